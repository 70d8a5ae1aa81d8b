/* Depthwise convolution over channels-last buffers: one filter per channel (channel multiplier 1).
 * One call computes output rows [first, last) of one image; adze_dwconv_f32 and adze_dwconv_q8 split
 * them over threads. Accumulation in the order of the taps (kh, then kw); a level may add taps in the
 * padding as zeros. Integer semantics: those of gemm_q8.h, its q() with acc = sum over the taps of
 * (x - x_zero) * w + bias, modulo 2^32, and f_bias. x_zero and y_zero lie in the range of x and y. */
#ifndef ADZE_KERNELS_DWCONV_H
#define ADZE_KERNELS_DWCONV_H
#include "base/threads.h"

typedef struct adze_dwconv_shape {
    int64_t n, h, w, c, oh, ow;
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} adze_dwconv_shape;

typedef struct adze_dwconv_f32_args {
    adze_dwconv_shape shape;
    const float *x;       /* [n, h, w, c] */
    const float *weights; /* [kh, kw, c]: transposed once from ONNX's [c, 1, kh, kw] */
    const float *bias;    /* [c] or NULL */
    float *y;             /* [n, oh, ow, c] */
    float lo, hi;
} adze_dwconv_f32_args;

typedef struct adze_dwconv_q8_args {
    adze_dwconv_shape shape;
    const uint8_t *x; /* bytes of uint8 or int8 */
    bool x_signed;
    int32_t x_zero;
    const int16_t *weights; /* [kh, kw, c], w - w_zero */
    const int32_t *bias;    /* [c] or NULL */
    const float *scale;     /* [c] x_scale * w_scale / y_scale */
    const float *f_bias;    /* [c] in steps of y, or NULL */
    uint8_t *y;             /* bytes of uint8 or int8 */
    bool y_signed;
    int32_t y_zero, lo, hi;
} adze_dwconv_q8_args;

typedef struct adze_dwconv_table {
    void (*f32_rows)(const adze_dwconv_f32_args *args, int64_t image, int64_t first, int64_t last);
    void (*q8_rows)(const adze_dwconv_q8_args *args, int64_t image, int64_t first, int64_t last);
} adze_dwconv_table;

void adze_dwconv_init(adze_dwconv_table *table, adze_cpu_level level);
void adze_dwconv_init_avx2(adze_dwconv_table *table);
void adze_dwconv_init_avx512(adze_dwconv_table *table);
void adze_dwconv_f32(const adze_dwconv_table *table, adze_pool *pool,
                     const adze_dwconv_f32_args *a);
void adze_dwconv_q8(const adze_dwconv_table *table, adze_pool *pool, const adze_dwconv_q8_args *a);

#endif
