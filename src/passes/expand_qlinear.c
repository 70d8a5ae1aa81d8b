/* QLinearConv and QLinearMatMul with constant scales are Conv and MatMul between DequantizeLinear and
 * QuantizeLinear: written so, qdq_to_integer makes of them what it makes of all others. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

static bool are_constant(const adze_node *node, const int *inputs, int n)
{
    for (int i = 0; i < n; i++)
        if (!adze_rw_constant(adze_rw_input(node, inputs[i])))
            return false;
    return true;
}

static bool is_scalar(const adze_value *value)
{
    return adze_tensor_elements(value->constant) == 1;
}

/* DequantizeLinear of inputs at, at + 1, at + 2 of `node`. */
static adze_value *dequantize(adze_rewriter *rw, const adze_node *node, int at, int64_t axis)
{
    adze_node *dequantizer = adze_rw_new_node(rw, "DequantizeLinear", NULL, 3, 1);
    if (!dequantizer || !adze_rw_check(rw, adze_node_set_int(dequantizer, "axis", axis)))
        return NULL;
    for (int i = 0; i < 3; i++)
        dequantizer->inputs[i] = node->inputs[at + i];
    return dequantizer->outputs[0];
}

/* The bias counts in units of x_scale * w_scale. */
static adze_value *dequantize_bias(adze_rewriter *rw, const adze_node *node, adze_value *bias)
{
    const adze_tensor *w = node->inputs[4]->constant;
    int64_t n = adze_tensor_elements(w);
    adze_value *value;
    float *scale = adze_rw_new_floats(rw, &value, NULL, n == 1 ? 0 : 1, &n);
    adze_node *dequantizer = adze_rw_new_node(rw, "DequantizeLinear", NULL, 2, 1);
    if (!scale || !dequantizer || !adze_rw_check(rw, adze_node_set_int(dequantizer, "axis", 0)))
        return NULL;
    float x = (float)adze_tensor_get_f64(node->inputs[1]->constant, 0);
    for (int64_t i = 0; i < n; i++)
        scale[i] = x * (float)adze_tensor_get_f64(w, i);
    dequantizer->inputs[0] = bias;
    dequantizer->inputs[1] = value;
    return dequantizer->outputs[0];
}

/* The float operator takes the attributes; a QuantizeLinear behind it the output. */
static bool put_between(adze_rewriter *rw, adze_node *node, const char *op, int n,
                        adze_value *const *inputs)
{
    adze_node *real = adze_rw_new_node(rw, op, node->name, n, 1);
    adze_node *quantizer = adze_rw_new_node(rw, "QuantizeLinear", NULL, 3, 1);
    if (!real || !quantizer || !adze_rw_check(rw, adze_node_copy_attrs(real, node)))
        return false;
    for (int i = 0; i < n; i++)
        real->inputs[i] = inputs[i];
    quantizer->inputs[0] = real->outputs[0];
    quantizer->inputs[1] = node->inputs[6];
    quantizer->inputs[2] = node->inputs[7];
    adze_rw_take_output(rw, quantizer, 0, node->outputs[0]);
    return true;
}

/* x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero[, bias] */
static bool fits(const adze_node *node)
{
    static const int constants[] = {1, 2, 3, 4, 5, 6, 7};
    return node->input_count >= 8 && are_constant(node, constants, 7) &&
           is_scalar(node->inputs[1]) && is_scalar(node->inputs[6]) &&
           node->inputs[1]->type.dtype == ADZE_F32 && node->inputs[4]->type.dtype == ADZE_F32 &&
           node->inputs[3]->constant->rank >= 2;
}

static bool expand(adze_rewriter *rw, adze_node *node)
{
    bool conv = adze_rw_is(node, "QLinearConv");
    if ((!conv && !adze_rw_is(node, "QLinearMatMul")) || !fits(node))
        return false;
    adze_value *bias = conv ? adze_rw_input(node, 8) : NULL;
    if (bias && !adze_rw_constant(bias))
        return false;
    int64_t axis = conv ? 0 : node->inputs[3]->constant->rank - 1;
    adze_value *inputs[3] = {dequantize(rw, node, 0, 0), dequantize(rw, node, 3, axis)};
    if (bias)
        inputs[2] = dequantize_bias(rw, node, bias);
    return !rw->failed && put_between(rw, node, conv ? "Conv" : "MatMul", bias ? 3 : 2, inputs);
}

adze_status adze_pass_expand_qlinear(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, expand, changed, err);
}
