/* A bias added behind a matrix product becomes its third input (behind convolutions fuse_batch_norm takes
 * it). */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

/* Dequantized constant, or constant. */
static const adze_tensor *stored(const adze_value *value)
{
    const adze_node *dequantize = adze_rw_producer(value, "DequantizeLinear");
    return adze_rw_constant(dequantize ? dequantize->inputs[0] : value);
}

/* [n], or 1 for all axes but the last. */
static bool is_row(const adze_value *value, const adze_type *sum)
{
    const adze_type *t = &value->type;
    if (!stored(value) || !adze_rw_is_float(value) || t->rank < 1 || t->rank > sum->rank ||
        !adze_rw_same_dim(t->dims[t->rank - 1], sum->dims[sum->rank - 1]))
        return false;
    for (int i = 0; i < t->rank - 1; i++)
        if (t->dims[i] != 1)
            return false;
    return true;
}

static adze_value *as_row(adze_rewriter *rw, adze_value *value)
{
    if (value->type.rank == 1)
        return value;
    adze_tensor row = *value->constant;
    row.dims[0] = row.dims[row.rank - 1];
    row.rank = 1;
    adze_value *constant = adze_graph_add_constant(rw->graph, value->name, &row, false);
    adze_rw_check(rw, constant);
    return constant;
}

static bool fuse(adze_rewriter *rw, adze_node *node)
{
    if (!adze_rw_is(node, "MatMul") || adze_rw_input(node, 2) || adze_rw_has_clamp(node) ||
        !adze_rw_is_float(node->outputs[0]) || node->outputs[0]->type.rank < 2)
        return false;
    adze_value *product = node->outputs[0];
    adze_node *add = adze_rw_sole_user(rw, product);
    if (!adze_rw_is(add, "Add") || adze_rw_has_clamp(add))
        return false;
    adze_value *bias = add->inputs[add->inputs[0] == product];
    if (bias == product || !is_row(bias, &product->type) ||
        (bias->type.rank > 1 && !adze_rw_constant(bias)))
        return false;
    adze_value *row = as_row(rw, bias);
    if (!row)
        return false;
    adze_rw_set_input(rw, node, 2, row);
    adze_rw_take_output(rw, node, 0, add->outputs[0]);
    return true;
}

adze_status adze_pass_fuse_bias(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fuse, changed, err);
}
