/* Linear operators (Conv, Gemm, MatMul) on integers: from the quantizations of x, w and y to the numbers
 * that kernels/gemm_q8.h wants. Shared by their preparations. */
#ifndef ADZE_OPS_INTEGER_LINEAR_H
#define ADZE_OPS_INTEGER_LINEAR_H
#include "kernels/conv.h"
#include "ops/execute.h"

typedef struct adze_quantized_linear {
    bool x_signed, y_signed;
    uint8_t a_flip;
    int32_t x_zero;          /* as stored */
    adze_q8_output output;   /* TO_Q8, or TO_F32 when y is float */
    const int32_t *raw_bias; /* [n] or NULL: the operator's */
    const int32_t *bias;     /* [n] with the zero points folded in */
    const float *scale;      /* [n] */
    const int32_t *b_zero;   /* [n], or NULL: all zero */
    const float *f_bias;     /* [n] or NULL: a float bias, in steps of a quantized output */
    int32_t y_zero, lo, hi;
    float f_lo, f_hi;
    bool residual;
    adze_q8_residual residual_args; /* without data, ld */
} adze_quantized_linear;

float adze_quant_scale(const adze_quant *q, int64_t channel); /* per tensor: any channel */
int32_t adze_quant_zero(const adze_quant *q, int64_t channel);

/* Input 0 is x, 1 the constant weights with n output channels, 2 the bias or absent; element (channel o,
 * index i of k) of the weights is at o * channel_stride + i * element_stride. *weights: the weights as
 * int8 (uint8 ones shifted by 128), same order. Fails with ADZE_UNSUPPORTED. */
adze_status adze_quantized_prepare(adze_prepare *prepare, adze_quantized_linear *q, int64_t n,
                                   int64_t k, int64_t channel_stride, int64_t element_stride,
                                   const int8_t **weights, adze_error *err) ADZE_MUST_CHECK;
/* What a convolution's kernel sees of a node: the last two spatial axes, a single one as the width. */
adze_status adze_conv_geometry(adze_conv_shape *s, const adze_node *node, const adze_tensor *x,
                               const adze_tensor *w, const adze_tensor *y,
                               adze_error *err) ADZE_MUST_CHECK;
/* Shape of a product whose second operand is input `second`. */
adze_status adze_matmul_infer_with(adze_infer *infer, int second, adze_dtype out_dtype,
                                   adze_error *err) ADZE_MUST_CHECK;
/* The parts of the kernel's arguments that come from q. */
adze_gemm_q8_args adze_quantized_gemm(const adze_quantized_linear *q);
/* clamp(rint(v / scale) + zero) to the type, for clamps given as real numbers (infinities saturate). */
int32_t adze_quantize_bound(float v, float scale, int32_t zero, bool is_signed);

#endif
