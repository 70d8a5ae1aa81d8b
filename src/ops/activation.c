/* Activations. Most are one row over the element-wise machinery in unary.h. */
#include <math.h>
#include <string.h>
#include "ops/binary.h"
#include "ops/unary.h"

/* ---- Gelu: the attribute chooses the kernel ---- */

static adze_status gelu_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const char *how = adze_node_string(node, "approximate", "none");
    bool quick = strcmp(how, "tanh") == 0;
    if (!quick && strcmp(how, "none") != 0)
        return adze_fail(err, ADZE_UNSUPPORTED, "node %s (Gelu): approximate '%s'",
                         adze_node_name(node), how);
    adze_unary_call call = {quick ? ADZE_UNARY_GELU_TANH : ADZE_UNARY_GELU, 0, 0};
    return adze_unary_prepare_call(prepare, call, err);
}

/* ---- Swish: x * sigmoid(alpha x) ---- */

static adze_status swish_prepare(adze_prepare *prepare, adze_error *err)
{
    float alpha = adze_node_float(adze_prepare_node(prepare), "alpha", 1);
    adze_unary_call call = {alpha == 1 ? ADZE_UNARY_SILU : ADZE_UNARY_GELU_QUICK, alpha, 0};
    return adze_unary_prepare_call(prepare, call, err);
}

/* ---- Clip: limits are inputs ---- */

typedef struct clip_limits {
    const adze_tensor *lo, *hi; /* NULL: none */
} clip_limits;

static float limit_of(const adze_tensor *tensor, float otherwise)
{
    if (!tensor || !tensor->data)
        return otherwise;
    float stored = (float)adze_tensor_get_f64(tensor, 0);
    if (!tensor->quant)
        return stored;
    return (stored - (float)adze_ops_zero_point(tensor)) * tensor->quant->scale[0];
}

static adze_unary_call clip_call(const adze_tensor *lo, const adze_tensor *hi)
{
    return (adze_unary_call){ADZE_UNARY_CLIP, limit_of(lo, -INFINITY), limit_of(hi, INFINITY)};
}

static bool is_plain_integer(const adze_tensor *x)
{
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    return !x->quant && (kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT) &&
           adze_ops_element(x->dtype);
}

static adze_status clip_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    if (is_plain_integer(x))
        return ADZE_OK;
    const adze_tensor *lo = adze_ops_prepare_input(prepare, 1);
    const adze_tensor *hi = adze_ops_prepare_input(prepare, 2);
    if (adze_ops_is_q8(x) && ((lo && !lo->data) || (hi && !hi->data)))
        return adze_fail(err, ADZE_UNSUPPORTED, "node %s (Clip): quantized, limits not constant",
                         adze_node_name(adze_prepare_node(prepare)));
    return adze_unary_prepare_call(prepare, clip_call(lo, hi), err);
}

#define CLIP_INTEGERS(name, T)                                                                     \
    static void clip_##name(const adze_tensor *x, clip_limits limits, adze_tensor *y,              \
                            int64_t begin, int64_t end)                                            \
    {                                                                                              \
        const T *from = x->data;                                                                   \
        T *to = y->data;                                                                           \
        for (int64_t i = begin; i < end; i++) {                                                    \
            T v = from[i];                                                                         \
            if (limits.lo && v < *(const T *)limits.lo->data)                                      \
                v = *(const T *)limits.lo->data;                                                   \
            if (limits.hi && v > *(const T *)limits.hi->data)                                      \
                v = *(const T *)limits.hi->data;                                                   \
            to[i] = v;                                                                             \
        }                                                                                          \
    }
ADZE_OPS_INT_LIST(CLIP_INTEGERS)

static adze_status clip_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    clip_limits limits = {adze_ops_input(run, 1), adze_ops_input(run, 2)};
    if (!is_plain_integer(x))
        return adze_unary_run_call(run, clip_call(limits.lo, limits.hi), err);
    switch (x->dtype) {
#define X(name, T)                                                                                 \
    case ADZE_##name: clip_##name(x, limits, run->outputs[0], 0, adze_tensor_elements(x)); break;
        ADZE_OPS_INT_LIST(X)
#undef X
    default: break;
    }
    return ADZE_OK;
}

const adze_op adze_ops_activation[] = {
    ADZE_UNARY_ROW("Relu", 6, RELU, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("LeakyRelu", 6, LEAKY_RELU, "alpha", "alpha", NULL, 0.01f, 0),
    ADZE_UNARY_ROW("ThresholdedRelu", 10, THRESHOLDED_RELU, "alpha", "alpha", NULL, 1, 0),
    ADZE_UNARY_ROW("Elu", 6, ELU, "alpha", "alpha", NULL, 1, 0),
    ADZE_UNARY_ROW("Selu", 6, SELU, "alpha gamma", "alpha", "gamma", 1.67326319217681884765625f,
                   1.05070102214813232421875f),
    ADZE_UNARY_ROW("Celu", 12, CELU, "alpha", "alpha", NULL, 1, 0),
    ADZE_UNARY_ROW("Sigmoid", 6, SIGMOID, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("HardSigmoid", 6, HARD_SIGMOID, "alpha beta", "alpha", "beta", 0.2f, 0.5f),
    ADZE_UNARY_ROW("HardSwish", 14, HARD_SWISH, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Tanh", 6, TANH, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Softplus", 1, SOFTPLUS, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Softsign", 1, SOFTSIGN, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Mish", 18, MISH, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Erf", 9, ERF, "", NULL, NULL, 0, 0),
    ADZE_UNARY_ROW("Shrink", 9, SHRINK, "bias lambd", "bias", "lambd", 0, 0.5f),
    {.domain = "",
     .name = "Gelu",
     .since = 20,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,
     .quant = ADZE_QUANT_COMPUTE,
     .attrs = "approximate",
     .infer = adze_ops_infer_same,
     .prepare = gelu_prepare,
     .run = adze_unary_run},
    {.domain = "",
     .name = "Swish",
     .since = 24,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,
     .quant = ADZE_QUANT_COMPUTE,
     .attrs = "alpha",
     .infer = adze_ops_infer_same,
     .prepare = swish_prepare,
     .run = adze_unary_run},
    {.domain = "",
     .name = "Clip",
     .since = 12,
     .min_inputs = 1,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,
     .quant = ADZE_QUANT_COMPUTE,
     .attrs = "",
     .infer = adze_ops_infer_same,
     .prepare = clip_prepare,
     .run = clip_run},
    ADZE_BINARY_ROW("PRelu", 9, PRELU, ADZE_OP_INPLACE, ADZE_QUANT_COMPUTE, ""),
    {.name = NULL},
};
