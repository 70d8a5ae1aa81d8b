/* The addition of a shortcut becomes part of the convolution in front of it: y = clamp(conv + shortcut).
 * Integer convolutions keep the rounding of what stood between: see ops/fused.h. */
#include "ops/helpers.h"
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <math.h>

/* Depthwise kernels have no residual. */
static bool is_depthwise(const adze_node *conv)
{
    const adze_type *w = &conv->inputs[1]->type;
    return w->rank < 2 || (w->dims[1] == 1 && adze_node_int(conv, "group", 1) > 1);
}

static bool is_scalar_q8(const adze_value *value)
{
    const adze_type *t = &value->type;
    return (t->dtype == ADZE_U8 || t->dtype == ADZE_I8) && t->quant && t->quant->count == 1;
}

static bool put_inner(adze_node *conv, const adze_type *t)
{
    int32_t zero = t->quant->zero_point ? t->quant->zero_point[0] : 0;
    const adze_attr *lo = adze_node_attr(conv, ADZE_FUSED_LO);
    const adze_attr *hi = adze_node_attr(conv, ADZE_FUSED_HI);
    return adze_node_set_int(conv, ADZE_FUSED_INNER_TYPE, adze_dtype_describe(t->dtype)->onnx) &&
           adze_node_set_float(conv, ADZE_FUSED_INNER_SCALE, t->quant->scale[0]) &&
           adze_node_set_int(conv, ADZE_FUSED_INNER_ZERO, zero) &&
           (!lo || adze_node_set_float(conv, ADZE_FUSED_INNER_LO, lo->as.f)) &&
           (!hi || adze_node_set_float(conv, ADZE_FUSED_INNER_HI, hi->as.f));
}

/* Both float, or all three quantized. */
static bool types_fit(const adze_node *conv, const adze_node *add, const adze_value *other)
{
    const adze_value *inner = conv->outputs[0], *sum = add->outputs[0];
    if (!adze_rw_same_shape(inner, sum) || !adze_rw_same_shape(other, sum))
        return false;
    if (adze_rw_is_float(inner))
        return adze_rw_is_float(sum) && adze_rw_is_float(other) && !adze_rw_has_clamp(conv);
    return is_scalar_q8(inner) && is_scalar_q8(sum) && is_scalar_q8(other) &&
           adze_rw_input(conv, 0) && adze_rw_input(conv, 0)->type.quant &&
           !adze_ops_falls_between(inner->type.quant->scale[0], sum->type.quant->scale[0]) &&
           !adze_ops_falls_between(other->type.quant->scale[0], sum->type.quant->scale[0]);
}

static bool can_take(adze_rewriter *rw, const adze_node *conv, const adze_node *add)
{
    return adze_rw_is(conv, "Conv") && adze_node_int(conv, ADZE_FUSED_CHANNELS_LAST, 0) &&
           !adze_node_has(conv, ADZE_FUSED_RESIDUAL) && !is_depthwise(conv) &&
           adze_rw_sole_user(rw, conv->outputs[0]) == add;
}

static int position(const adze_graph *graph, const adze_node *node)
{
    int i = 0;
    while (graph->nodes[i] != node)
        i++;
    return i;
}

/* Of two convolutions the later one: its shortcut is there already. */
static int choose(adze_rewriter *rw, const adze_node *add)
{
    int best = -1, best_position = -1;
    for (int i = 0; i < 2; i++) {
        const adze_node *conv = add->inputs[i] ? add->inputs[i]->producer : NULL;
        if (!conv || !can_take(rw, conv, add) || !types_fit(conv, add, add->inputs[1 - i]))
            continue;
        int at = position(rw->graph, conv);
        if (at > best_position) {
            best = i;
            best_position = at;
        }
    }
    return best;
}

static bool fuse(adze_rewriter *rw, adze_node *add)
{
    if (!adze_rw_is(add, "Add"))
        return false;
    int which = choose(rw, add);
    if (which < 0)
        return false;
    adze_node *conv = add->inputs[which]->producer;
    double lo, hi;
    adze_rw_get_clamp(add, &lo, &hi);
    bool ok = !conv->outputs[0]->type.quant || put_inner(conv, &conv->outputs[0]->type);
    if (!adze_rw_check(rw, ok && adze_node_set_int(conv, ADZE_FUSED_RESIDUAL, 1)) ||
        !adze_rw_set_clamp(rw, conv, lo, hi))
        return false;
    adze_rw_set_input(rw, conv, 3, add->inputs[1 - which]);
    adze_rw_take_output(rw, conv, 0, add->outputs[0]);
    return true;
}

adze_status adze_pass_fuse_residual(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fuse, changed, err);
}
