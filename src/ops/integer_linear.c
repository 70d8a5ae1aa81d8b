/* Numbers for integer kernels from quantization parameters. Scales are combined in double and rounded
 * once to float32: the multiply in requantization is a single float32 one. */
#include "ops/integer_linear.h"

#include <math.h>

#include "ops/fused.h"

float adze_quant_scale(const adze_quant *q, int64_t channel)
{
    return q->scale[q->count > 1 ? channel : 0];
}

int32_t adze_quant_zero(const adze_quant *q, int64_t channel)
{
    return q->zero_point ? q->zero_point[q->count > 1 ? channel : 0] : 0;
}

int32_t adze_quantize_bound(float v, float scale, int32_t zero, bool is_signed)
{
    int32_t least = is_signed ? -128 : 0, most = least + 255;
    double q = isinf(v) ? (double)v : rint((double)v / (double)scale) + zero;
    return q <= least ? least : q >= most ? most : (int32_t)q;
}

static bool is_byte(adze_dtype dtype)
{
    return dtype == ADZE_U8 || dtype == ADZE_I8;
}

static adze_status check(const adze_prepare *prepare, int64_t n, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0), *w = adze_prepare_input(prepare, 1);
    const adze_tensor *y = adze_prepare_output(prepare, 0);
    if (!is_byte(x->dtype) || x->quant->count != 1)
        return adze_fail(err, ADZE_UNSUPPORTED, "activations must be 8-bit, quantized per tensor");
    if (!w->quant || !is_byte(w->dtype) || !w->data ||
        (w->quant->count != 1 && w->quant->count != n))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "weights must be constant, 8-bit, quantized per tensor or per channel");
    if (y->quant ? !is_byte(y->dtype) || y->quant->count != 1 : y->dtype != ADZE_F32)
        return adze_fail(err, ADZE_UNSUPPORTED, "output must be 8-bit per tensor or float32");
    return ADZE_OK;
}

static adze_status take_bias(adze_prepare *prepare, adze_quantized_linear *q, int64_t n,
                             adze_error *err)
{
    const adze_tensor *b = adze_prepare_input(prepare, 2);
    if (!b)
        return ADZE_OK;
    if (!b->data || adze_tensor_elements(b) != n)
        return adze_fail(err, ADZE_UNSUPPORTED, "bias must be constant with %lld elements",
                         (long long)n);
    if (b->dtype == ADZE_I32)
        q->raw_bias = b->data;
    else if (b->dtype == ADZE_F32)
        q->f_bias = b->data; /* brought to steps of the output in fold() */
    else
        return adze_fail(err, ADZE_UNSUPPORTED, "bias of type %s",
                         adze_dtype_describe(b->dtype)->name);
    return ADZE_OK;
}

static void set_output(const adze_prepare *prepare, adze_quantized_linear *q)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *y = adze_prepare_output(prepare, 0);
    float lo = adze_node_float(node, ADZE_FUSED_LO, -INFINITY);
    float hi = adze_node_float(node, ADZE_FUSED_HI, INFINITY);
    q->f_lo = lo;
    q->f_hi = hi;
    q->output = y->quant ? ADZE_Q8_TO_Q8 : ADZE_Q8_TO_F32;
    if (!y->quant)
        return;
    float scale = adze_quant_scale(y->quant, 0);
    q->y_signed = y->dtype == ADZE_I8;
    q->y_zero = adze_quant_zero(y->quant, 0);
    q->lo = adze_quantize_bound(lo, scale, q->y_zero, q->y_signed);
    q->hi = adze_quantize_bound(hi, scale, q->y_zero, q->y_signed);
}

/* With a residual, scale, zero and range above are those of the inner value. */
static adze_status set_residual(const adze_prepare *prepare, adze_quantized_linear *q,
                                adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *r = adze_prepare_input(prepare, 3), *y = adze_prepare_output(prepare, 0);
    q->residual = adze_node_int(node, ADZE_FUSED_RESIDUAL, 0) != 0;
    if (!q->residual)
        return ADZE_OK;
    if (!r || !r->quant || !is_byte(r->dtype) || !y->quant)
        return adze_fail(err, ADZE_UNSUPPORTED, "residual must be 8-bit");
    float y_scale = adze_quant_scale(y->quant, 0);
    float t_scale = adze_node_float(node, ADZE_FUSED_INNER_SCALE, 1);
    bool t_signed = adze_node_int(node, ADZE_FUSED_INNER_TYPE, 3) == 3;
    int32_t t_zero = (int32_t)adze_node_int(node, ADZE_FUSED_INNER_ZERO, 0);
    q->residual_args = (adze_q8_residual){
        .is_signed = r->dtype == ADZE_I8,
        .zero = adze_quant_zero(r->quant, 0),
        .scale = (float)((double)adze_quant_scale(r->quant, 0) / (double)y_scale),
        .t_scale = (float)((double)t_scale / (double)y_scale),
        .y_signed = q->y_signed,
        .y_zero = q->y_zero,
        .y_lo = q->lo,
        .y_hi = q->hi};
    q->y_signed = t_signed;
    q->y_zero = t_zero;
    q->lo = adze_quantize_bound(adze_node_float(node, ADZE_FUSED_INNER_LO, -INFINITY), t_scale,
                                t_zero, t_signed);
    q->hi = adze_quantize_bound(adze_node_float(node, ADZE_FUSED_INNER_HI, INFINITY), t_scale,
                                t_zero, t_signed);
    return ADZE_OK;
}

static float output_scale(const adze_prepare *prepare, const adze_quantized_linear *q)
{
    const adze_tensor *y = adze_prepare_output(prepare, 0);
    if (q->residual)
        return adze_node_float(adze_prepare_node(prepare), ADZE_FUSED_INNER_SCALE, 1);
    return y->quant ? adze_quant_scale(y->quant, 0) : 1.0f;
}

/* sum (a - za)(w - zw) = sum a w - za sum w - zw sum a + k za zw: all but the first and third are folded
 * into the bias. The arithmetic wraps like the kernels' int32. */
static adze_status fold(adze_prepare *prepare, adze_quantized_linear *q, int64_t n, int64_t k,
                        int64_t channel_stride, int64_t element_stride, const int8_t *weights,
                        int32_t shift, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0), *w = adze_prepare_input(prepare, 1);
    int32_t *bias = adze_prepare_alloc(prepare, (size_t)n * sizeof *bias);
    int32_t *zeros = adze_prepare_alloc(prepare, (size_t)n * sizeof *zeros);
    float *scale = adze_prepare_alloc(prepare, (size_t)n * sizeof *scale);
    if (!bias || !zeros || !scale)
        return adze_fail(err, ADZE_NO_MEMORY, "integer weights");
    double sx = (double)adze_quant_scale(x->quant, 0), sy = (double)output_scale(prepare, q);
    float *steps = q->f_bias ? adze_prepare_alloc(prepare, (size_t)n * sizeof *steps) : NULL;
    if (q->f_bias && !steps)
        return adze_fail(err, ADZE_NO_MEMORY, "integer weights");
    int64_t za = q->x_zero + (q->a_flip ? 128 : 0);
    bool any_zero = false;
    for (int64_t o = 0; o < n; o++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += weights[o * channel_stride + i * element_stride];
        zeros[o] = adze_quant_zero(w->quant, o) - shift;
        any_zero |= zeros[o] != 0;
        bias[o] =
            (int32_t)(uint32_t)((q->raw_bias ? q->raw_bias[o] : 0) - za * sum + k * za * zeros[o]);
        scale[o] = (float)(sx * (double)adze_quant_scale(w->quant, o) / sy);
        if (steps)
            steps[o] = (float)((double)q->f_bias[o] / sy);
    }
    q->bias = bias;
    q->scale = scale;
    q->f_bias = steps;
    q->b_zero = any_zero ? zeros : NULL;
    return ADZE_OK;
}

adze_status adze_quantized_prepare(adze_prepare *prepare, adze_quantized_linear *q, int64_t n,
                                   int64_t k, int64_t channel_stride, int64_t element_stride,
                                   const int8_t **weights, adze_error *err)
{
    ADZE_TRY(check(prepare, n, err));
    const adze_tensor *x = adze_prepare_input(prepare, 0), *w = adze_prepare_input(prepare, 1);
    q->x_signed = x->dtype == ADZE_I8;
    q->a_flip = q->x_signed ? 0x80 : 0;
    q->x_zero = adze_quant_zero(x->quant, 0);
    set_output(prepare, q);
    ADZE_TRY(take_bias(prepare, q, n, err));
    ADZE_TRY(set_residual(prepare, q, err));
    *weights = w->data;
    if (w->dtype == ADZE_U8) {
        int8_t *shifted = adze_prepare_alloc(prepare, w->size);
        if (!shifted)
            return adze_fail(err, ADZE_NO_MEMORY, "integer weights");
        for (size_t i = 0; i < w->size; i++)
            shifted[i] = (int8_t)(((const uint8_t *)w->data)[i] ^ 0x80);
        *weights = shifted;
    }
    return fold(prepare, q, n, k, channel_stride, element_stride, *weights,
                w->dtype == ADZE_U8 ? 128 : 0, err);
}

adze_gemm_q8_args adze_quantized_gemm(const adze_quantized_linear *q)
{
    return (adze_gemm_q8_args){.a_flip = q->a_flip,
                               .bias = q->bias,
                               .b_zero = q->b_zero,
                               .output = q->output,
                               .scale = q->scale,
                               .c_signed = q->y_signed,
                               .zero = q->y_zero,
                               .lo = q->lo,
                               .hi = q->hi,
                               .f_bias = q->f_bias,
                               .f_lo = q->f_lo,
                               .f_hi = q->f_hi};
}
