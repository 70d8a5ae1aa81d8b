/* Pooling over channels-last buffers. One call of a *_row entry computes one output row of one
 * image, like dwconv.h; the caller splits rows over threads (adze_pool_rows does). Taps outside
 * the image are left out. Accumulation in the order of the taps (kh, then kw). Every level gives
 * the same bits. */
#ifndef ADZE_KERNELS_POOL_H
#define ADZE_KERNELS_POOL_H
#include "base/threads.h"

typedef struct adze_pool_shape {
    int64_t n, h, w, c, oh, ow; /* input [n, h, w, c], output [n, oh, ow, c] */
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left;
    int64_t pad_bottom, pad_right; /* used only to count with count_include_pad */
} adze_pool_shape;

/* max: the largest tap inside the image (NaN if one is NaN); for a window wholly outside, -inf
 * (q8: the lowest value of the type).
 * average: sum of the taps inside / divisor. The divisor is the number of taps inside the image,
 * or with count_include_pad inside the padded image [-pad_top, h + pad_bottom) x [-pad_left, w +
 * pad_right). A window wholly outside gives 0 (q8: y_zero). */
typedef struct adze_pool_f32_args {
    adze_pool_shape shape;
    const float *x;
    float *y;
    bool count_include_pad; /* average only */
} adze_pool_f32_args;

/* 8-bit. max: the largest byte as its type compares (x and y share type, scale and zero point).
 * average: clamp(rint((float)(sum - taps_inside * x_zero) * (scale / (float)divisor)) + y_zero, lo,
 * hi), half to even; the low byte is stored, so lo and hi say whether y is uint8 or int8. */
typedef struct adze_pool_q8_args {
    adze_pool_shape shape;
    const uint8_t *x; /* bytes of uint8 or int8 */
    uint8_t *y;       /* bytes of uint8 or int8 */
    bool x_signed;
    /* average only */
    bool count_include_pad;
    int32_t x_zero, y_zero, lo, hi;
    float scale; /* x's scale / y's scale */
} adze_pool_q8_args;

/* One image [hw, c] (rows ldx elements apart, so that callers may split the channels) to y[c]; the
 * formula of average q8 with divisor = taps_inside = hw. hw <= 2^23, hw >= 1. */
typedef struct adze_global_pool_q8_args {
    int64_t hw, c;
    const uint8_t *x;
    ptrdiff_t ldx;
    uint8_t *y;
    bool x_signed;
    int32_t x_zero, y_zero, lo, hi;
    float scale; /* x's scale / y's scale */
} adze_global_pool_q8_args;

typedef struct adze_pool_table {
    void (*max_f32_row)(const adze_pool_f32_args *args, int64_t image, int64_t row);
    void (*average_f32_row)(const adze_pool_f32_args *args, int64_t image, int64_t row);
    void (*max_q8_row)(const adze_pool_q8_args *args, int64_t image, int64_t row);
    void (*average_q8_row)(const adze_pool_q8_args *args, int64_t image, int64_t row);
    /* y[j] = sum over i of x[i * ldx + j], / hw for the average: partial sums of 64 rows each, then
     * their sum, in order; maximum likewise (NaN if one is NaN). */
    void (*global_average_f32)(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y);
    void (*global_sum_f32)(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y);
    void (*global_max_f32)(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y);
    void (*global_average_q8)(const adze_global_pool_q8_args *args);
} adze_pool_table;

void adze_pool_init(adze_pool_table *table, adze_cpu_level level);
void adze_pool_init_avx2(adze_pool_table *table);
void adze_pool_init_avx512(adze_pool_table *table);

/* Whole tensors, split over the worker threads (NULL: the caller alone). */
void adze_pool_max_f32(const adze_pool_table *table, adze_pool *pool, const adze_pool_f32_args *a);
void adze_pool_average_f32(const adze_pool_table *table, adze_pool *pool,
                           const adze_pool_f32_args *a);
void adze_pool_max_q8(const adze_pool_table *table, adze_pool *pool, const adze_pool_q8_args *a);
void adze_pool_average_q8(const adze_pool_table *table, adze_pool *pool,
                          const adze_pool_q8_args *a);

#endif
