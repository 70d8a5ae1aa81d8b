/* The loops of the row family as plain C. Included by rows.c and x86/rows_<level>.c. */
#ifndef ADZE_KERNELS_ROWS_IMPL_H
#define ADZE_KERNELS_ROWS_IMPL_H
#include "kernels/math_impl.h"
#include "kernels/rows.h"

enum { LANES = 32 }; /* partial results of a reduction */

/* Reduces `term` of element i over i < n with `combine`, in the order that rows.h promises. */
#define REDUCE_BODY(n, start, combine, term)                                                       \
    do {                                                                                           \
        float lane[LANES];                                                                         \
        for (int j = 0; j < LANES; j++)                                                            \
            lane[j] = (start);                                                                     \
        int64_t base = 0;                                                                          \
        for (; base + LANES <= (n); base += LANES)                                                 \
            for (int j = 0; j < LANES; j++) {                                                      \
                const int64_t i = base + j;                                                        \
                lane[j] = combine(lane[j], (term));                                                \
            }                                                                                      \
        for (int j = 0; j < (n)-base; j++) {                                                       \
            const int64_t i = base + j;                                                            \
            lane[j] = combine(lane[j], (term));                                                    \
        }                                                                                          \
        for (int j = 0; j < 16; j++)                                                               \
            lane[j] = combine(lane[j], lane[j + 16]);                                              \
        for (int j = 0; j < 8; j++)                                                                \
            lane[j] = combine(lane[j], lane[j + 8]);                                               \
        for (int j = 0; j < 4; j++)                                                                \
            lane[j] = combine(lane[j], lane[j + 4]);                                               \
        return combine(combine(lane[0], lane[2]), combine(lane[1], lane[3]));                      \
    } while (0)

static inline float add_f32(float a, float b)
{
    return a + b;
}

static inline float mul_f32(float a, float b)
{
    return a * b;
}

static float reduce_sum(int64_t n, const float *x)
{
    REDUCE_BODY(n, 0.0f, add_f32, x[i]);
}

static float reduce_max(int64_t n, const float *x)
{
    REDUCE_BODY(n, -INFINITY, max_f32, x[i]);
}

static float reduce_min(int64_t n, const float *x)
{
    REDUCE_BODY(n, INFINITY, min_f32, x[i]);
}

static float reduce_prod(int64_t n, const float *x)
{
    REDUCE_BODY(n, 1.0f, mul_f32, x[i]);
}

static float reduce_sum_square(int64_t n, const float *x)
{
    REDUCE_BODY(n, 0.0f, add_f32, x[i] * x[i]);
}

static float reduce_l1(int64_t n, const float *x)
{
    REDUCE_BODY(n, 0.0f, add_f32, fabsf(x[i]));
}

static float sum_square_from(int64_t n, const float *x, float mean)
{
    REDUCE_BODY(n, 0.0f, add_f32, (x[i] - mean) * (x[i] - mean));
}

/* y = e^(x - max). One loop for all that need it: it is large. */
ONE_COPY static void exp_from(int64_t n, const float *x, float max, float *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = exp_f32(x[i] - max);
}

static float sum_exp_from(int64_t n, const float *x, float max)
{
    enum { CHUNK = 1024 };
    float y[CHUNK], sum = 0.0f;
    for (int64_t i = 0, count; i < n; i += count) {
        count = n - i < CHUNK ? n - i : CHUNK;
        exp_from(count, x + i, max, y);
        sum += reduce_sum(count, y);
    }
    return sum;
}

static float dot(int64_t n, const float *a, const float *b)
{
    REDUCE_BODY(n, 0.0f, add_f32, a[i] * b[i]);
}

/* Four taps at a time. */
static void blend(int64_t n, int64_t taps, const float *x, const int64_t *offsets,
                  const float *weights, float *y)
{
    for (; taps >= 4; taps -= 4, offsets += 4, weights += 4) {
        const float *x0 = x + offsets[0], *x1 = x + offsets[1], *x2 = x + offsets[2],
                    *x3 = x + offsets[3];
        const float w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (((y[i] + w0 * x0[i]) + w1 * x1[i]) + w2 * x2[i]) + w3 * x3[i];
    }
    for (int64_t t = 0; t < taps; t++) {
        const float *from = x + offsets[t], weight = weights[t];
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] += weight * from[i];
    }
}

static void add_products(int64_t n, int64_t taps, const float *a, const int64_t *a_offsets,
                         const float *b, const int64_t *b_offsets, float *y)
{
    for (; taps >= 4; taps -= 4, a_offsets += 4, b_offsets += 4) {
        const float *a0 = a + a_offsets[0], *a1 = a + a_offsets[1], *a2 = a + a_offsets[2],
                    *a3 = a + a_offsets[3], *b0 = b + b_offsets[0], *b1 = b + b_offsets[1],
                    *b2 = b + b_offsets[2], *b3 = b + b_offsets[3];
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (((y[i] + a0[i] * b0[i]) + a1[i] * b1[i]) + a2[i] * b2[i]) + a3[i] * b3[i];
    }
    for (int64_t t = 0; t < taps; t++) {
        const float *p = a + a_offsets[t], *q = b + b_offsets[t];
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] += p[i] * q[i];
    }
}

static float reduce_mean(int64_t n, const float *x)
{
    return reduce_sum(n, x) / (float)n;
}

static float reduce_l2(int64_t n, const float *x)
{
    return sqrtf(reduce_sum_square(n, x));
}

static float reduce_log_sum(int64_t n, const float *x)
{
    return log_f32(reduce_sum(n, x));
}

static float reduce_log_sum_exp(int64_t n, const float *x)
{
    const float max = reduce_max(n, x);
    return fabsf(max) == INFINITY ? max : max + log_f32(sum_exp_from(n, x, max));
}

static void softmax(int64_t n, const float *x, float *y)
{
    const float max = reduce_max(n, x);
    exp_from(n, x, max, y);
    const float scale = 1.0f / reduce_sum(n, y);
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] * scale;
}

static void log_softmax(int64_t n, const float *x, float *y)
{
    const float max = reduce_max(n, x);
    const float log_sum = log_f32(sum_exp_from(n, x, max));
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - max) - log_sum;
}

static void multiply_add_rows(int64_t n, const float *scale, const float *bias, float *y)
{
    if (scale != NULL) {
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = y[i] * scale[i];
    }
    if (bias != NULL) {
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = y[i] + bias[i];
    }
}

static void layer_norm(int64_t n, const float *x, const float *scale, const float *bias,
                       float epsilon, float *y)
{
    const float mean = reduce_mean(n, x);
    const float variance = sum_square_from(n, x, mean) / (float)n;
    const float inverse = 1.0f / sqrtf(variance + epsilon);
    if (scale != NULL && bias != NULL) {
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
        return;
    }
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * inverse;
    multiply_add_rows(n, scale, bias, y);
}

static void rms_norm(int64_t n, const float *x, const float *scale, float epsilon, float *y)
{
    const float inverse = 1.0f / sqrtf(reduce_sum_square(n, x) / (float)n + epsilon);
    if (scale != NULL) {
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * inverse * scale[i];
        return;
    }
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * inverse;
}

/* First i with x[i] == value, or with x[i] NaN when value is NaN; there is one. */
static int64_t find_first(int64_t n, const float *x, float value)
{
    const bool nan = value != value;
    int64_t base = 0;
    for (; base + LANES <= n; base += LANES) {
        int found = 0;
        for (int j = 0; j < LANES; j++)
            found |= nan ? x[base + j] != x[base + j] : x[base + j] == value;
        if (found)
            break;
    }
    while (base < n - 1 && !(nan ? x[base] != x[base] : x[base] == value))
        base++;
    return base;
}

static int64_t argmax(int64_t n, const float *x)
{
    return find_first(n, x, reduce_max(n, x));
}

static int64_t argmin(int64_t n, const float *x)
{
    return find_first(n, x, reduce_min(n, x));
}

#define DOUBLE(bytes, type)                                                                        \
    static void double_##bytes(int64_t n, const void *x, void *y)                                  \
    {                                                                                              \
        const type *restrict from = x;                                                             \
        type *restrict to = y;                                                                     \
        for (int64_t i = 0; i < n; i++)                                                            \
            to[2 * i] = to[2 * i + 1] = from[i];                                                   \
    }
DOUBLE(1, uint8_t)
DOUBLE(4, uint32_t)
#undef DOUBLE

/* `better` says whether v comes before the best; the first NaN stays. */
#define ARG_COLUMNS(name, better)                                                                  \
    static void name(int64_t rows, int64_t columns, const float *x, ptrdiff_t ldx, int32_t *y)     \
    {                                                                                              \
        float best[256];                                                                           \
        memcpy(best, x, (size_t)columns * sizeof *best);                                           \
        memset(y, 0, (size_t)columns * sizeof *y);                                                 \
        for (int32_t k = 1; k < (int32_t)rows; k++) {                                              \
            const float *row = x + k * ldx;                                                        \
            VECTOR_LOOP                                                                            \
            for (int64_t i = 0; i < columns; i++) {                                                \
                const float v = row[i], b = best[i];                                               \
                const int wins = ((better) | (v != v)) & (b == b);                                 \
                y[i] = wins ? k : y[i];                                                            \
                best[i] = wins ? v : b;                                                            \
            }                                                                                      \
        }                                                                                          \
    }
ARG_COLUMNS(argmax_columns, v > b)
ARG_COLUMNS(argmin_columns, v < b)
#undef ARG_COLUMNS

/* All entries but the transpositions, which want shuffles by hand. */
/* R rows and K steps of a product: constants where it is called. */
#define MULTIPLY(name, type)                                                                       \
    static inline __attribute__((always_inline)) void part_##name(                                 \
        const int R, const int K, int64_t columns, int64_t n, int64_t depth, const type *a,        \
        const type *b, type *y)                                                                    \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t j = 0; j < columns; j++)                                                      \
            for (int r = 0; r < R; r++) {                                                          \
                type sum = y[r * n + j];                                                           \
                for (int k = 0; k < K; k++)                                                        \
                    sum += a[r * depth + k] * b[k * n + j];                                        \
                y[r * n + j] = sum;                                                                \
            }                                                                                      \
    }                                                                                              \
    static void multiply_##name(int64_t rows, int64_t n, int64_t depth, const type *a,             \
                                const type *b, type *y)                                            \
    {                                                                                              \
        enum { COLUMNS = 512 };                                                                    \
        for (int64_t j = 0; j < n; j += COLUMNS) {                                                 \
            const int64_t columns = n - j < COLUMNS ? n - j : COLUMNS;                             \
            for (int64_t i = 0; i < rows; i += 4) {                                                \
                const type *x = a + i * depth;                                                     \
                int64_t k = 0;                                                                     \
                for (; i + 4 <= rows && k + 4 <= depth; k += 4)                                    \
                    part_##name(4, 4, columns, n, depth, x + k, b + k * n + j, y + i * n + j);     \
                for (int64_t r = i; r < rows && r < i + 4; r++)                                    \
                    for (int64_t rest = k; rest < depth; rest++)                                   \
                        part_##name(1, 1, columns, n, depth, a + r * depth + rest,                 \
                                    b + rest * n + j, y + r * n + j);                              \
            }                                                                                      \
        }                                                                                          \
    }
MULTIPLY(f64, double)
MULTIPLY(u32, uint32_t)
MULTIPLY(u64, uint64_t)

static void fill(adze_rows_table *t)
{
#define X(name, text, meaning, empty) t->reduce[ADZE_REDUCE_##name] = reduce_##text;
    ADZE_REDUCE_LIST(X)
#undef X
    t->softmax = softmax;
    t->log_softmax = log_softmax;
    t->layer_norm = layer_norm;
    t->rms_norm = rms_norm;
    t->dot = dot;
    t->blend = blend;
    t->add_products = add_products;
    t->argmax = argmax;
    t->argmin = argmin;
    t->double_1 = double_1;
    t->double_4 = double_4;
    t->argmax_columns = argmax_columns;
    t->argmin_columns = argmin_columns;
    t->multiply_f64 = multiply_f64;
    t->multiply_u32 = multiply_u32;
    t->multiply_u64 = multiply_u64;
}

#endif
