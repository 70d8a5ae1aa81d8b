/* Activations. Most are one row over the element-wise machinery in unary.h. */
#include <math.h>
#include <string.h>
#include "ops/binary.h"
#include "ops/unary.h"

/* ---- Gelu and Swish: an attribute chooses the kernel ---- */

static adze_unary_call gelu_call(const adze_node *node)
{
    bool quick = strcmp(adze_node_string(node, "approximate", "none"), "tanh") == 0;
    return (adze_unary_call){quick ? ADZE_UNARY_GELU_TANH : ADZE_UNARY_GELU, 0, 0};
}

/* x * sigmoid(alpha * x) */
static adze_unary_call swish_call(const adze_node *node)
{
    float alpha = adze_node_float(node, "alpha", 1);
    return (adze_unary_call){alpha == 1 ? ADZE_UNARY_SILU : ADZE_UNARY_GELU_QUICK, alpha, 0};
}

/* ---- SwiGLU: Swish(a) * b, in the output's memory ---- */

static adze_status swiglu_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *a = adze_ops_ranked(infer, 0), *b = adze_ops_ranked(infer, 1);
    for (int i = 0; a && b && i < a->rank; i++)
        if (a->rank != b->rank ||
            (adze_dim_known(a->dims[i]) && adze_dim_known(b->dims[i]) && a->dims[i] != b->dims[i]))
            return adze_ops_bad(adze_infer_node(infer), err, "inputs differ in shape");
    return adze_ops_infer_same(infer, err);
}

static adze_status swiglu_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *a = adze_prepare_input(prepare, 0);
    return !a->quant && adze_ops_is_float(a->dtype)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), a->dtype, err);
}

static adze_status swiglu_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    ADZE_TRY(adze_unary_run_call(run, swish_call(run->node), err));
    return adze_binary_run_pair(run, ADZE_PAIR_MUL, y, run->inputs[1], y, err);
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

static adze_status clip_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_ops_need_scalar(infer, 1, err));
    ADZE_TRY(adze_ops_need_scalar(infer, 2, err));
    const adze_type *x = adze_infer_input(infer, 0);
    for (int i = 1; i < adze_infer_input_count(infer); i++) {
        const adze_type *limit = adze_infer_input(infer, i);
        if (limit && !x->quant && !limit->quant && limit->dtype != x->dtype &&
            limit->dtype != ADZE_UNDEFINED && x->dtype != ADZE_UNDEFINED)
            return adze_ops_bad(adze_infer_node(infer), err,
                                "limits differ from the input in type");
    }
    return adze_ops_infer_same(infer, err);
}

static adze_status clip_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    if (is_plain_integer(x))
        return ADZE_OK;
    const adze_tensor *lo = adze_ops_prepare_input(prepare, 1);
    const adze_tensor *hi = adze_ops_prepare_input(prepare, 2);
    bool known = (!lo || lo->data) && (!hi || hi->data);
    if (!known && adze_ops_can_load(x))
        return ADZE_OK; /* no table: the limits are read at run time */
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
    ADZE_UNARY_ROW("Relu", 6, "", .kernel = ADZE_UNARY_RELU),
    ADZE_UNARY_ROW("LeakyRelu", 6, "alpha", .kernel = ADZE_UNARY_LEAKY_RELU, .a_attr = "alpha",
                   .a = 0.01f),
    ADZE_UNARY_ROW("ThresholdedRelu", 10, "alpha", .kernel = ADZE_UNARY_THRESHOLDED_RELU,
                   .a_attr = "alpha", .a = 1),
    ADZE_UNARY_ROW("Elu", 6, "alpha", .kernel = ADZE_UNARY_ELU, .a_attr = "alpha", .a = 1),
    ADZE_UNARY_ROW("Selu", 6, "alpha gamma", .kernel = ADZE_UNARY_SELU, .a_attr = "alpha",
                   .b_attr = "gamma", .a = 1.67326319f, .b = 1.05070102f),
    ADZE_UNARY_ROW("Celu", 12, "alpha", .kernel = ADZE_UNARY_CELU, .a_attr = "alpha", .a = 1),
    ADZE_UNARY_ROW("Sigmoid", 6, "", .kernel = ADZE_UNARY_SIGMOID),
    ADZE_UNARY_ROW("HardSigmoid", 6, "alpha beta", .kernel = ADZE_UNARY_HARD_SIGMOID,
                   .a_attr = "alpha", .b_attr = "beta", .a = 0.2f, .b = 0.5f),
    ADZE_UNARY_ROW("HardSwish", 14, "", .kernel = ADZE_UNARY_HARD_SWISH),
    ADZE_UNARY_ROW("Tanh", 6, "", .kernel = ADZE_UNARY_TANH),
    ADZE_UNARY_ROW("Softplus", 1, "", .kernel = ADZE_UNARY_SOFTPLUS),
    ADZE_UNARY_ROW("Softsign", 1, "", .kernel = ADZE_UNARY_SOFTSIGN),
    ADZE_UNARY_ROW("Mish", 18, "", .kernel = ADZE_UNARY_MISH),
    ADZE_UNARY_ROW("Erf", 9, "", .kernel = ADZE_UNARY_ERF),
    ADZE_UNARY_ROW("Shrink", 9, "bias lambd", .kernel = ADZE_UNARY_SHRINK, .a_attr = "bias",
                   .b_attr = "lambd", .a = 0, .b = 0.5f),
    ADZE_UNARY_ROW("Gelu", 20, "approximate", .kernel = ADZE_UNARY_GELU, .choose = gelu_call),
    ADZE_UNARY_ROW("Swish", 24, "alpha", .kernel = ADZE_UNARY_SILU, .choose = swish_call),
    {.domain = "",
     .name = "SwiGLU",
     .since = 28,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_ELEMENTWISE,
     .attrs = "alpha",
     .infer = swiglu_infer,
     .prepare = swiglu_prepare,
     .run = swiglu_run},
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
     .infer = clip_infer,
     .prepare = clip_prepare,
     .run = clip_run},
    ADZE_BINARY_ROW("PRelu", 9, PRELU, ADZE_OP_INPLACE, ADZE_QUANT_COMPUTE, ""),
    {.name = NULL},
};
