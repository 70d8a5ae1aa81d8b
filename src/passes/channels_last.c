/* Two-dimensional convolutions get tensors whose channels lie side by side, [N, H, W, C]: that is how
 * their kernels want them. Each is put between two Transposes; sink_transposes then removes nearly all. */
#include "passes/list_impl.h"
#include "passes/transposes_impl.h"

static bool is_picture(const adze_value *value)
{
    const adze_type *t = &value->type;
    bool narrow = (t->dtype == ADZE_U8 || t->dtype == ADZE_I8) && t->quant;
    return t->rank == 4 && (narrow || (t->dtype == ADZE_F32 && !t->quant));
}

/* Its kernel wants float32 and constant weights. */
static bool is_fast_transposed(const adze_node *node)
{
    return adze_rw_is(node, "ConvTranspose") && adze_rw_is_float(node->inputs[0]) &&
           adze_rw_constant(node->inputs[1]);
}

static bool turn(adze_rewriter *rw, adze_node *node)
{
    if ((!adze_rw_is(node, "Conv") && !is_fast_transposed(node)) ||
        adze_node_has(node, ADZE_FUSED_CHANNELS_LAST) || !is_picture(node->inputs[0]) ||
        !is_picture(node->outputs[0]) || node->inputs[1]->type.rank != 4)
        return false;
    adze_value *x = adze_rw_transpose(rw, node->inputs[0], &adze_perm_to_last);
    if (!x || !adze_rw_check(rw, adze_node_set_int(node, ADZE_FUSED_CHANNELS_LAST, 1)))
        return false;
    adze_rw_set_input(rw, node, 0, x);
    return adze_rw_transpose_output(rw, node, 0, &adze_perm_to_first);
}

adze_status adze_pass_channels_last(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, turn, changed, err);
}
