/* Whole rows of floats: softmax, normalisation, reductions, dot products; and transposition. A
 * row is n contiguous floats; callers split rows over threads. Sums run in 32 partial sums
 * (element i goes to partial i % 32, in order), which are then added pairwise (16 + 16, 8 + 8,
 * ...), sums of e^x in parts of 1024 elements: every level gives the same bits. y may be exactly
 * x, never overlap it partly. */
#ifndef ADZE_KERNELS_ROWS_H
#define ADZE_KERNELS_ROWS_H
#include "base/error.h"

/* name, text, meaning, value for n = 0 */
#define ADZE_REDUCE_LIST(X)                                                                        \
    X(SUM, sum, "sum", 0.0f)                                                                       \
    X(MEAN, mean, "sum / n", NAN)                                                                  \
    X(MAX, max, "largest; NaN if one is", -INFINITY)                                               \
    X(MIN, min, "smallest; NaN if one is", INFINITY)                                               \
    X(PROD, prod, "product", 1.0f)                                                                 \
    X(SUM_SQUARE, sum_square, "sum of squares", 0.0f)                                              \
    X(L1, l1, "sum of absolute values", 0.0f)                                                      \
    X(L2, l2, "square root of the sum of squares", 0.0f)                                           \
    X(LOG_SUM, log_sum, "logarithm of the sum", -INFINITY)                                         \
    X(LOG_SUM_EXP, log_sum_exp, "logarithm of the sum of e^x, taken from the largest", -INFINITY)

typedef enum adze_reduce {
#define X(name, text, meaning, empty) ADZE_REDUCE_##name,
    ADZE_REDUCE_LIST(X)
#undef X
        ADZE_REDUCE_COUNT
} adze_reduce;

typedef struct adze_rows_table {
    /* e^(x - max) * (1 / sum). A row of -inf alone, or with NaN or +inf in it, gives NaN. */
    void (*softmax)(int64_t n, const float *x, float *y);
    /* x - max - log(sum of e^(x - max)) */
    void (*log_softmax)(int64_t n, const float *x, float *y);
    /* (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale[i] + bias[i]; scale, bias [n] or
     * NULL. Two passes: the mean first. */
    void (*layer_norm)(int64_t n, const float *x, const float *scale, const float *bias,
                       float epsilon, float *y);
    /* x / sqrt(mean of x^2 + epsilon) * scale[i]; scale [n] or NULL. */
    void (*rms_norm)(int64_t n, const float *x, const float *scale, float epsilon, float *y);
    float (*reduce[ADZE_REDUCE_COUNT])(int64_t n, const float *x);
    float (*dot)(int64_t n, const float *a, const float *b);
    /* y[j] += weights[t] * x[offsets[t] + j] for each tap t, in their order. Never in place. */
    void (*blend)(int64_t n, int64_t taps, const float *x, const int64_t *offsets,
                  const float *weights, float *y);
    /* y[j] += a[a_offsets[t] + j] * b[b_offsets[t] + j], likewise. */
    void (*add_products)(int64_t n, int64_t taps, const float *a, const int64_t *a_offsets,
                         const float *b, const int64_t *b_offsets, float *y);
    /* Index of the largest (smallest) element, the first of equals; a NaN wins, the first of them.
     * n >= 1. */
    int64_t (*argmax)(int64_t n, const float *x);
    int64_t (*argmin)(int64_t n, const float *x);
    /* The same of each of `columns` columns, at most 256, of rows ldx apart; rows >= 1. */
    void (*argmax_columns)(int64_t rows, int64_t columns, const float *x, ptrdiff_t ldx,
                           int32_t *y);
    void (*argmin_columns)(int64_t rows, int64_t columns, const float *x, ptrdiff_t ldx,
                           int32_t *y);
    /* y[2 * i] = y[2 * i + 1] = x[i] for elements of 1 and of 4 bytes. Never in place. */
    void (*double_1)(int64_t n, const void *x, void *y);
    void (*double_4)(int64_t n, const void *x, void *y);

    /* y[j * ldy + i] = x[i * ldx + j] for i < rows, j < columns; elements of 1, 2, 4 or 8 bytes;
     * ldx, ldy in elements. Never in place. Split rows or columns over threads freely. */
    void (*transpose_1)(int64_t rows, int64_t columns, const void *x, ptrdiff_t ldx, void *y,
                        ptrdiff_t ldy);
    void (*transpose_2)(int64_t rows, int64_t columns, const void *x, ptrdiff_t ldx, void *y,
                        ptrdiff_t ldy);
    void (*transpose_4)(int64_t rows, int64_t columns, const void *x, ptrdiff_t ldx, void *y,
                        ptrdiff_t ldy);
    void (*transpose_8)(int64_t rows, int64_t columns, const void *x, ptrdiff_t ldx, void *y,
                        ptrdiff_t ldy);

    /* y[i * n + j] += sum over k < depth of a[i * depth + k] * b[k * n + j], added in the order of k; integers wrap. For
     * types that have no product of their own. */
    void (*multiply_f64)(int64_t rows, int64_t n, int64_t depth, const double *a, const double *b,
                         double *y);
    void (*multiply_u32)(int64_t rows, int64_t n, int64_t depth, const uint32_t *a,
                         const uint32_t *b, uint32_t *y);
    void (*multiply_u64)(int64_t rows, int64_t n, int64_t depth, const uint64_t *a,
                         const uint64_t *b, uint64_t *y);
} adze_rows_table;

/* "sum", "log_sum_exp"; never NULL. */
const char *adze_reduce_name(adze_reduce op);

void adze_rows_init(adze_rows_table *table, adze_cpu_level level);
void adze_rows_init_avx2(adze_rows_table *table);
void adze_rows_init_avx512(adze_rows_table *table);

/* Dense [rows, columns] -> [columns, rows] for elements of `size` 1, 2, 4 or 8 bytes; false
 * (nothing done) for other sizes. NCHW -> NHWC is one call per image with rows = C, columns = H
 * * W; back is rows = H * W, columns = C. */
bool adze_transpose(const adze_rows_table *table, size_t size, int64_t rows, int64_t columns,
                    const void *x, void *y);

#endif
