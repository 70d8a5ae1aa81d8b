/* Float matrix product C[m,n] = clamp(A[m,k] B[k,n] + bias[n] + residual[m,n], lo, hi).
 * B is packed once into panels; each output is accumulated in the order of k, so that its bits depend
 * on the level alone: not on m, on the tile it falls in, or on threads. Nothing is read or written
 * outside of the arrays as described; none need be aligned. Zero an args first: later fields keep
 * their meaning of "not used" as zero. */
#ifndef ADZE_KERNELS_GEMM_F32_H
#define ADZE_KERNELS_GEMM_F32_H
#include "base/error.h"

/* How A lies where it is not a plain matrix: the windows of a convolution in a padded picture, where
 * they overlap. Row i begins at (i / group) * group_stride + (i % group) * lda; its k elements are
 * `segments` equal parts, segment_stride apart. Strides in elements. */
typedef struct adze_gemm_view {
    int64_t group;
    ptrdiff_t group_stride;
    int64_t segments;
    ptrdiff_t segment_stride;
} adze_gemm_view;

typedef struct adze_gemm_f32_args {
    int64_t m, n, k;
    const float *a;        /* [m, k], rows lda apart, k contiguous */
    ptrdiff_t lda;         /* in floats */
    const float *b;        /* packed by pack_b of the same table, starting at a panel */
    const float *bias;     /* [n] or NULL */
    const float *residual; /* [m, n], rows ldr apart, or NULL */
    ptrdiff_t ldr;
    float *c; /* [m, n], rows ldc apart; may be the residual itself */
    ptrdiff_t ldc;
    const adze_gemm_view *view; /* or NULL */
    float lo, hi;               /* -INFINITY, INFINITY: no clamp (NaN passes through) */
} adze_gemm_f32_args;

typedef struct adze_gemm_f32_table {
    int mr, nr; /* rows and columns of the register tile: split work at multiples of these */
    /* Floats needed to pack a [k, n] matrix: ceil(n / nr) * nr * k. Panel p starts at p * nr * k. */
    size_t (*packed_size)(int64_t n, int64_t k);
    /* b element (row i of k, column j of n) is at b[i * row_stride + j * column_stride]. */
    void (*pack_b)(int64_t n, int64_t k, const float *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, float *packed);
    /* The same for convolution weights [n, channels, taps] (ONNX): k = taps * channels, channels
     * fast. */
    void (*pack_conv)(int64_t n, int64_t channels, int64_t taps, const float *weights,
                      float *packed);
    void (*run)(const adze_gemm_f32_args *args);
} adze_gemm_f32_table;

void adze_gemm_f32_init(adze_gemm_f32_table *table, adze_cpu_level level);
void adze_gemm_f32_init_avx2(adze_gemm_f32_table *table);
void adze_gemm_f32_init_avx512(adze_gemm_f32_table *table);

#endif
