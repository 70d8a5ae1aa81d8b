/* Operators on float16 and bfloat16 compute in float32, where the fast kernels are: what comes in is
 * cast once, what leaves is rounded once. Between two such operators nothing is rounded: more precise
 * than the type asks. Casts that the model has itself stay.
 *
 * What only looks things up in large constants (Gather) keeps them narrow, and operators between
 * DequantizeLinear and QuantizeLinear are left to become integer ones. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <string.h>

static const char *const widened[] = {"Conv",
                                      "ConvTranspose",
                                      "MatMul",
                                      "Gemm",
                                      "Einsum",
                                      "BatchNormalization",
                                      "LRN",
                                      "InstanceNormalization",
                                      "Softmax",
                                      "GroupNormalization",
                                      "LogSoftmax",
                                      "LayerNormalization",
                                      "MaxPool",
                                      "RMSNormalization",
                                      "AveragePool",
                                      "GlobalAveragePool",
                                      "GlobalMaxPool",
                                      "Resize",
                                      "Relu",
                                      "LeakyRelu",
                                      "PRelu",
                                      "Sigmoid",
                                      "Tanh",
                                      "Erf",
                                      "Gelu",
                                      "HardSwish",
                                      "HardSigmoid",
                                      "Clip",
                                      "Elu",
                                      "Softplus",
                                      "Exp",
                                      "Log",
                                      "Sqrt",
                                      "Pow",
                                      "Abs",
                                      "Neg",
                                      "Reciprocal",
                                      "Add",
                                      "Sub",
                                      "Mul",
                                      "Div",
                                      "Min",
                                      "Max",
                                      "Sum",
                                      "Where",
                                      "ReduceMean",
                                      "ReduceSum",
                                      "ReduceMax",
                                      "Transpose",
                                      "Reshape",
                                      "Flatten",
                                      "Squeeze",
                                      "Unsqueeze",
                                      "Concat",
                                      "Split",
                                      "Slice",
                                      "Pad",
                                      "Expand",
                                      "DepthToSpace",
                                      "GridSample",
                                      "LSTM",
                                      "GRU",
                                      "RNN",
                                      "Attention",
                                      "RotaryEmbedding"};

static bool is_narrow(const adze_value *value)
{
    return value && value->type.kind == ADZE_VALUE_TENSOR && !value->type.quant &&
           (value->type.dtype == ADZE_F16 || value->type.dtype == ADZE_BF16);
}

static bool is_widened(const adze_node *node)
{
    bool listed = false, narrow = false;
    if (!adze_rw_is_typed(node))
        return false;
    for (size_t i = 0; i < sizeof widened / sizeof *widened && !listed; i++)
        listed = adze_rw_is(node, widened[i]);
    for (int i = 0; i < node->input_count && listed; i++) {
        narrow = narrow || is_narrow(node->inputs[i]);
        if (adze_rw_producer(node->inputs[i], "DequantizeLinear"))
            return false;
    }
    return narrow;
}

static adze_node *cast(adze_rewriter *rw, adze_dtype to)
{
    adze_node *node = adze_rw_new_node(rw, "Cast", NULL, 1, 1);
    bool done = node && adze_node_set_int(node, "to", adze_dtype_describe(to)->onnx);
    return adze_rw_check(rw, done) ? node : NULL;
}

/* The value in float32: what this pass has narrowed before, or a cast. */
static adze_value *wide(adze_rewriter *rw, adze_value *value)
{
    adze_node *made = adze_rw_producer(value, "Cast");
    if (made && adze_node_has(made, ADZE_FUSED_NARROWED))
        return made->inputs[0];
    adze_node *node = cast(rw, ADZE_F32);
    if (!node)
        return NULL;
    adze_rw_set_input(rw, node, 0, value);
    node->outputs[0]->type = value->type;
    node->outputs[0]->type.dtype = ADZE_F32;
    return node->outputs[0];
}

/* Output i is made in float32, and the value that it was by a cast behind it. */
static bool narrow_output(adze_rewriter *rw, adze_node *node, int i)
{
    adze_type type = node->outputs[i]->type;
    type.dtype = ADZE_F32;
    adze_value *made = adze_graph_new_value(rw->graph, NULL, &type);
    adze_node *back = adze_rw_check(rw, made) ? cast(rw, node->outputs[i]->type.dtype) : NULL;
    if (!back || !adze_rw_check(rw, adze_node_set_int(back, ADZE_FUSED_NARROWED, 1)))
        return false;
    adze_rw_follow(rw, node, i, made, back);
    return true;
}

static bool widen(adze_rewriter *rw, adze_node *node)
{
    if (!is_widened(node))
        return false;
    for (int i = 0; i < node->input_count; i++) {
        adze_value *x = is_narrow(node->inputs[i]) ? wide(rw, node->inputs[i]) : NULL;
        if (x)
            adze_rw_set_input(rw, node, i, x);
        else if (rw->failed)
            return false;
    }
    for (int i = 0; i < node->output_count; i++)
        if (is_narrow(node->outputs[i]) && !narrow_output(rw, node, i))
            return false;
    return true;
}

adze_status adze_pass_widen_half(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, widen, changed, err);
}
