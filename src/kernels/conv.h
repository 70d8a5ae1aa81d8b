/* Two-dimensional convolution over channels-last buffers, on top of the matrix products: pointwise
 * convolutions are matrix products in place; others gather a tile of rows at a time (no whole im2col
 * buffer). Groups run one after another; depthwise has kernels of its own (dwconv.h). */
#ifndef ADZE_KERNELS_CONV_H
#define ADZE_KERNELS_CONV_H
#include "base/threads.h"
#include "kernels/kernels.h"

typedef struct adze_conv_shape {
    int64_t n, h, w, c; /* input [n, h, w, c] */
    int64_t oh, ow, oc; /* output [n, oh, ow, oc] */
    int64_t kh, kw;     /* kernel */
    int64_t stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left; /* bottom and right follow from oh, ow */
    int64_t groups;            /* c and oc are totals */
} adze_conv_shape;

typedef struct adze_conv_f32_args {
    adze_conv_shape shape;
    const float *x;
    const float *packed;   /* by adze_conv_f32_pack */
    const float *bias;     /* [oc] or NULL */
    const float *residual; /* like y, or NULL: added before the clamp */
    float *y;
    float lo, hi;
    void *scratch; /* adze_conv_scratch_size bytes, 64-byte aligned */
} adze_conv_f32_args;

typedef struct adze_conv_q8_args {
    adze_conv_shape shape;
    const uint8_t *x;
    uint8_t a_flip, x_pad; /* x_pad: the byte (as stored in x) that means zero, for padding */
    const int8_t *packed;  /* by adze_conv_q8_pack */
    /* a, a_flip, b, m, n, k, lda, ldc, c and row_sum of `gemm` are filled by the convolution; bias,
     * scale, b_zero are [oc]; residual->data is the whole tensor, like y. row_sum is computed when
     * b_zero is not NULL. */
    adze_gemm_q8_args gemm;
    void *y;
    void *scratch;
} adze_conv_q8_args;

/* Weights come as ONNX has them, [oc, c / groups, kh, kw]. Packed sizes in bytes. Of the shape, only c,
 * oc, kh, kw and groups matter here: what is packed once serves all sizes of pictures. */
size_t adze_conv_f32_packed_size(const adze_kernels *k, const adze_conv_shape *s);
void adze_conv_f32_pack(const adze_kernels *k, const adze_conv_shape *s, const float *weights,
                        float *packed);
size_t adze_conv_q8_packed_size(const adze_kernels *k, const adze_conv_shape *s);
void adze_conv_q8_pack(const adze_kernels *k, const adze_conv_shape *s, const int8_t *weights,
                       int8_t *packed);
/* Scratch for `threads` workers. element: 4 for float, 1 for q8. */
size_t adze_conv_scratch_size(const adze_kernels *k, const adze_conv_shape *s, int threads,
                              size_t element);
void adze_conv_f32(const adze_kernels *k, adze_pool *pool, const adze_conv_f32_args *args);
void adze_conv_q8(const adze_kernels *k, adze_pool *pool, const adze_conv_q8_args *args);

/* Whole matrix products split over the pool; C = A B as in the tables' args. */
void adze_matmul_f32(const adze_kernels *k, adze_pool *pool, const adze_gemm_f32_args *args);
void adze_matmul_q8(const adze_kernels *k, adze_pool *pool, const adze_gemm_q8_args *args);

#endif
