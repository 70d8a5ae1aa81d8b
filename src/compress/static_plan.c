/* Which operators compute on integers, where values are quantized, and which share a scale.
 *
 * Operators with weights always may. Others join when their inputs come from operators on integers, so
 * that arithmetic that needs floats (normalisation, softmax) is left alone. Values that only move keep
 * their scale; Relu and Clip behind a sum of products melt into its rounding. */
#include "compress/static_plan.h"

#include <math.h>
#include <string.h>

static bool is_one_of(const adze_node *node, const char *const *ops)
{
    for (; *ops; ops++)
        if (adze_compress_is(node, *ops))
            return true;
    return false;
}

static bool is_float(const adze_value *v)
{
    return v && v->type.kind == ADZE_VALUE_TENSOR && v->type.dtype == ADZE_F32 && !v->type.quant;
}

static int moved_inputs(const adze_node *node)
{
    return adze_compress_is(node, "Concat") ? node->input_count : 1;
}

bool adze_static_is_activation(const adze_node *node, int i)
{
    if (!is_float(node->inputs[i]))
        return false;
    if (node->op->quant == ADZE_QUANT_COMPUTE)
        return i == 0 || !adze_compress_is(node, "Clip");
    return i < (node->op->quant == ADZE_QUANT_MOVE ? moved_inputs(node) : 1);
}

/* ---- what computes on integers ---- */

/* Operators whose results survive 8 bits. */
static bool computes_well(const adze_node *node)
{
    static const char *const ops[] = {
        "Add",       "Sub",  "Mul",       "AveragePool", "GlobalAveragePool",
        "Relu",      "Clip", "LeakyRelu", "Sigmoid",     "HardSigmoid",
        "HardSwish", "Tanh", "Elu",       "Swish",       "Gelu",
        "Mish",      NULL};
    bool divides = adze_compress_is(node, "Div") && node->inputs[1]->role == ADZE_ROLE_CONSTANT;
    return divides || is_one_of(node, ops);
}

static bool from_integers(const adze_static_plan *p, const adze_value *v)
{
    return v->producer && p->quantized[v->producer->id];
}

/* Every activation comes from integers; at least one is no constant. */
static bool inputs_join(const adze_static_plan *p, const adze_node *node)
{
    bool any = false;
    for (int i = 0; i < node->input_count; i++) {
        const adze_value *v = node->inputs[i];
        if (!v || !adze_static_is_activation(node, i))
            continue;
        if (v->role == ADZE_ROLE_CONSTANT)
            continue;
        if (!from_integers(p, v))
            return false;
        any = true;
    }
    return any;
}

static bool makes_output(const adze_static_plan *p, const adze_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && adze_value_is_output(p->work->graph, node->outputs[i]))
            return true;
    return false;
}

/* What padding writes must be the number zero. */
static bool pads_with_zero(const adze_node *node)
{
    const adze_value *fill = node->input_count > 2 ? node->inputs[2] : NULL;
    return !adze_compress_is(node, "Pad") || !fill ||
           (fill->constant && adze_tensor_get_f64(fill->constant, 0) == 0);
}

static bool joins(const adze_static_plan *p, const adze_node *node)
{
    if (!node->op || adze_recipe_keeps_float(p->work->recipe, node->name, node->op_type))
        return false;
    switch (node->op->quant) {
    case ADZE_QUANT_WEIGHTED: return adze_compress_has_weights(node);
    case ADZE_QUANT_COMPUTE:
        return computes_well(node) && node->output_count == 1 && is_float(node->outputs[0]) &&
               inputs_join(p, node) && !makes_output(p, node);
    case ADZE_QUANT_MOVE:
        return node->input_count > 0 && is_float(node->inputs[0]) && node->outputs[0] &&
               is_float(node->outputs[0]) && pads_with_zero(node) && inputs_join(p, node);
    case ADZE_QUANT_NEVER: break;
    }
    return false;
}

static bool is_weighted(const adze_node *node)
{
    return node->op && node->op->quant == ADZE_QUANT_WEIGHTED;
}

static void mark_nodes(adze_static_plan *p)
{
    const adze_graph *g = p->work->graph;
    for (int i = 0; i < g->node_count; i++)
        p->quantized[g->nodes[i]->id] = joins(p, g->nodes[i]);
}

static bool note_float_nodes(const adze_static_plan *p)
{
    const adze_graph *g = p->work->graph;
    for (int i = 0; p->work->resolved && i < g->node_count; i++)
        if (is_weighted(g->nodes[i]) && !p->quantized[g->nodes[i]->id] &&
            is_float(g->nodes[i]->outputs[0]) &&
            !adze_recipe_add_kept(p->work->resolved, g->nodes[i]->name))
            return false;
    return true;
}

/* ---- where values are quantized ---- */

static adze_node *sole_user(const adze_static_plan *p, const adze_value *v)
{
    return p->uses.count[v->id] == 1 ? p->uses.users[v->id][0] : NULL;
}

static bool is_constant(const adze_value *v)
{
    return v && v->role == ADZE_ROLE_CONSTANT;
}

/* The sum behind a matrix product is its bias. */
static bool is_bias_add(const adze_node *product, const adze_node *add)
{
    if (!adze_compress_is(product, "MatMul") || !adze_compress_is(add, "Add"))
        return false;
    const adze_value *bias = add->inputs[add->inputs[0] == product->outputs[0]];
    return is_constant(bias) && bias->type.rank == 1 &&
           bias->type.dims[0] == adze_compress_channels(product);
}

static bool can_clamp(const adze_node *node)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", NULL};
    return is_one_of(node, ops);
}

static void mark_outputs(adze_static_plan *p, const adze_node *node)
{
    static const char *const clamps[] = {"Relu", "Clip", NULL};
    for (int i = 0; i < node->output_count; i++)
        if (is_float(node->outputs[i]))
            p->values[node->outputs[i]->id].pair = true;
    adze_static_value *made = &p->values[node->outputs[0]->id];
    adze_node *user = sole_user(p, node->outputs[0]);
    if (!user || !p->quantized[user->id])
        return;
    if (is_bias_add(node, user)) {
        made->pair = false;
    } else if (can_clamp(node) && is_one_of(user, clamps) && user->inputs[0] == node->outputs[0]) {
        made->pair = false;
        made->clamp = user;
    }
}

/* Values that operators on integers make, and values that they take from elsewhere. */
static void mark_values(adze_static_plan *p)
{
    const adze_graph *g = p->work->graph;
    for (int n = 0; n < g->node_count; n++) {
        const adze_node *node = g->nodes[n];
        if (!p->quantized[node->id])
            continue;
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] && adze_static_is_activation(node, i) &&
                !is_constant(node->inputs[i]) && !from_integers(p, node->inputs[i]))
                p->values[node->inputs[i]->id].pair = true;
        mark_outputs(p, node);
    }
}

/* ---- what shares a scale ---- */

adze_static_value *adze_static_root(const adze_static_plan *p, const adze_value *value)
{
    adze_static_value *v = &p->values[value->id];
    while (&p->values[v->group] != v)
        v = &p->values[v->group];
    return v;
}

static void join_groups(adze_static_plan *p, const adze_value *a, const adze_value *b)
{
    adze_static_value *x = adze_static_root(p, a), *y = adze_static_root(p, b);
    int lower = ADZE_MIN(x->group, y->group);
    x->group = y->group = lower;
}

static void group_values(adze_static_plan *p)
{
    const adze_graph *g = p->work->graph;
    for (int i = 0; i < g->value_count; i++)
        p->values[i].group = i;
    for (int n = 0; n < g->node_count; n++) {
        const adze_node *node = g->nodes[n];
        if (!p->quantized[node->id] || node->op->quant != ADZE_QUANT_MOVE)
            continue;
        bool concat = adze_compress_is(node, "Concat");
        for (int i = 0; i < moved_inputs(node); i++)
            if (!is_constant(node->inputs[i]) && (!concat || sole_user(p, node->inputs[i])))
                join_groups(p, node->inputs[i], node->outputs[0]);
        for (int i = 1; i < node->output_count; i++)
            if (is_float(node->outputs[i]))
                join_groups(p, node->outputs[0], node->outputs[i]);
    }
}

/* ---- ranges ---- */

static adze_status value_range(float *low, float *high, const adze_static_plan *p,
                               const adze_value *v, const adze_override *how, adze_error *err)
{
    const adze_compression *work = p->work;
    if (how->ranged) {
        *low = how->low;
        *high = how->high;
        return ADZE_OK;
    }
    if (work->recipe->resolved) {
        const adze_named_range *range = adze_recipe_find_range(work->recipe, v->name);
        if (!range)
            return adze_fail(err, ADZE_BAD_MODEL,
                             "the recipe has no range for '%s': it was resolved for another model",
                             v->name);
        *low = range->low;
        *high = range->high;
        return ADZE_OK;
    }
    const adze_observer *o = work->seen ? adze_observation_find(work->seen, v->name) : NULL;
    if (!o)
        return adze_fail(err, ADZE_BAD_DATA, "calibration never saw a number of '%s'", v->name);
    adze_observer_range(low, high, o, &how->activation);
    return ADZE_OK;
}

static adze_status merge_ranges(adze_static_plan *p, adze_error *err)
{
    const adze_graph *g = p->work->graph;
    for (int i = 0; i < g->value_count; i++) {
        const adze_value *v = g->values[i];
        if (!p->values[i].pair)
            continue;
        adze_static_value *root = adze_static_root(p, v);
        adze_override how = adze_recipe_activation(p->work->recipe, v->name);
        float low, high;
        ADZE_TRY(value_range(&low, &high, p, v, &how, err));
        if (p->work->resolved && !adze_recipe_add_range(p->work->resolved, v->name, low, high))
            return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
        root->low = root->ranged ? fminf(root->low, low) : low;
        root->high = root->ranged ? fmaxf(root->high, high) : high;
        root->type = how.activation.type;
        root->symmetric = how.activation.symmetric;
        root->ranged = true;
    }
    for (int i = 0; i < g->value_count; i++) {
        adze_static_value *v = &p->values[i];
        if (v->ranged)
            v->affine = adze_affine_from_range(v->low, v->high, v->type, v->symmetric);
    }
    return ADZE_OK;
}

/* ---- clamps ---- */

static bool scalar_at(const adze_node *node, int i, double *out)
{
    if (i >= node->input_count || !node->inputs[i])
        return true;
    const adze_tensor *t = node->inputs[i]->constant;
    if (!t || adze_tensor_elements(t) != 1)
        return false;
    *out = adze_tensor_get_f64(t, 0);
    return true;
}

/* The integers of the clamp's result reach no further than the clamp: rounding does its work. A scale
 * that is too large by its own rounding gives way. */
static bool melts(adze_static_value *result, const adze_node *clamp)
{
    double low = adze_compress_is(clamp, "Relu") ? 0 : -INFINITY, high = INFINITY;
    int32_t least, most;
    if (adze_compress_is(clamp, "Clip") &&
        (!scalar_at(clamp, 1, &low) || !scalar_at(clamp, 2, &high)))
        return false;
    adze_affine_limits(result->type, false, &least, &most);
    adze_affine *a = &result->affine;
    for (int i = 0; i < 4 && (double)((float)(most - a->zero_point) * a->scale) > high &&
                    (double)result->high <= high;
         i++)
        a->scale = nextafterf(a->scale, 0);
    return (double)((float)(least - a->zero_point) * a->scale) >= low &&
           (double)((float)(most - a->zero_point) * a->scale) <= high;
}

/* Where it cannot melt, the value before the clamp is quantized as the one behind: what that cuts off,
 * the clamp would cut off too. */
static void place_clamps(adze_static_plan *p)
{
    const adze_graph *g = p->work->graph;
    for (int i = 0; i < g->value_count; i++) {
        adze_static_value *v = &p->values[i];
        if (!v->clamp || melts(adze_static_root(p, v->clamp->outputs[0]), v->clamp))
            continue;
        v->pair = true;
        v->group = adze_static_root(p, v->clamp->outputs[0])->group;
    }
}

adze_status adze_static_plan_make(adze_static_plan *p, adze_compression *work, adze_error *err)
{
    const adze_graph *g = work->graph;
    *p = (adze_static_plan){.work = work};
    p->quantized = ADZE_ARENA_ARRAY(work->arena, bool, (size_t)g->next_node_id + 1);
    p->values = ADZE_ARENA_ARRAY(work->arena, adze_static_value, (size_t)g->value_count + 1);
    if (!p->quantized || !p->values || !adze_uses_build(&p->uses, g, work->arena))
        return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
    mark_nodes(p);
    if (!note_float_nodes(p))
        return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
    mark_values(p);
    group_values(p);
    ADZE_TRY(merge_ranges(p, err));
    place_clamps(p);
    return ADZE_OK;
}
