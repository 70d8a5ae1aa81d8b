/* Nodes that give back what they get, whatever they are called; chains of two that are one; shapes that
 * are computed without need. */
#include "passes/list_impl.h"
#include "passes/transposes_impl.h"

#include <math.h>

/* ---- nodes that give back an input ---- */

static adze_value *first_input(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return adze_rw_input(node, 0);
}

static adze_value *dropout(adze_rewriter *rw, adze_node *node)
{
    double training;
    bool masked = adze_rw_has_output(node, 1) && adze_rw_use_count(rw, node->outputs[1]) > 0;
    if (masked ||
        (adze_rw_input(node, 2) && (!adze_rw_scalar(node->inputs[2], &training) || training != 0)))
        return NULL;
    return node->inputs[0];
}

static adze_value *cast(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    const adze_type *from = &node->inputs[0]->type, *to = &node->outputs[0]->type;
    bool same = from->dtype == to->dtype && from->dtype != ADZE_UNDEFINED && !from->quant;
    return same ? node->inputs[0] : NULL;
}

static bool keeps_shape(const adze_node *node)
{
    const adze_value *x = adze_rw_input(node, 0);
    return x && x->type.dtype == node->outputs[0]->type.dtype &&
           adze_rw_same_shape(x, node->outputs[0]);
}

static adze_value *same_shape(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return keeps_shape(node) ? node->inputs[0] : NULL;
}

static adze_value *slice(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    int64_t steps[ADZE_MAX_RANK];
    int n = adze_rw_input(node, 4) ? adze_rw_ints(node->inputs[4], steps, ADZE_MAX_RANK) : 0;
    for (int i = 0; i < n; i++)
        if (steps[i] < 1)
            return NULL;
    return n >= 0 && keeps_shape(node) ? node->inputs[0] : NULL;
}

static adze_value *pad(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return adze_rw_all_equal(adze_rw_input(node, 1), 0) ? node->inputs[0] : NULL;
}

static adze_value *only_input(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return node->input_count == 1 ? node->inputs[0] : NULL;
}

static adze_value *clip(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    double bound;
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] && (!adze_rw_scalar(node->inputs[i], &bound) ||
                                bound != (i == 1 ? (double)-INFINITY : (double)INFINITY)))
            return NULL;
    return node->inputs[0];
}

/* x op c where c changes nothing; only the second operand for Sub and Div. */
static adze_value *neutral(adze_node *node, double number, bool commutes)
{
    for (int i = 1; i >= (commutes ? 0 : 1); i--) {
        adze_value *x = node->inputs[1 - i];
        if (adze_rw_all_equal(node->inputs[i], number) &&
            x->type.dtype == node->outputs[0]->type.dtype && !x->type.quant &&
            adze_rw_same_shape(x, node->outputs[0]))
            return x;
    }
    return NULL;
}

static adze_value *add(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return neutral(node, 0, true);
}

static adze_value *sub(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return neutral(node, 0, false);
}

static adze_value *mul(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return neutral(node, 1, true);
}

static adze_value *divide(adze_rewriter *rw, adze_node *node)
{
    ADZE_UNUSED(rw);
    return neutral(node, 1, false);
}

typedef struct identity {
    const char *op;
    adze_value *(*same_as)(adze_rewriter *rw, adze_node *node); /* NULL: it does something */
} identity;

static const identity identities[] = {
    {"Identity", first_input},
    {"Dropout", dropout},
    {"Cast", cast},
    {"CastLike", cast},
    {"Reshape", same_shape},
    {"Flatten", same_shape},
    {"Expand", same_shape},
    {"Tile", same_shape},
    {"Slice", slice},
    {"Pad", pad},
    {"Concat", only_input},
    {"Sum", only_input},
    {"Max", only_input},
    {"Min", only_input},
    {"Mean", only_input},
    {"Clip", clip},
    {"Add", add},
    {"Sub", sub},
    {"Mul", mul},
    {"Div", divide},
};

static bool remove_identity(adze_rewriter *rw, adze_node *node)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(identities); i++) {
        if (!adze_rw_is(node, identities[i].op) || adze_rw_has_clamp(node))
            continue;
        adze_value *same = identities[i].same_as(rw, node);
        if (!same || !adze_rw_replace(rw, node->outputs[0], same))
            return false;
        adze_rw_kill(rw, node);
        return true;
    }
    return false;
}

/* ---- two in a row ---- */

/* Sum of two is Add, which other passes know. */
static bool sum_to_add(adze_rewriter *rw, adze_node *node)
{
    if (!adze_rw_is(node, "Sum") || node->input_count != 2)
        return false;
    adze_node *add = adze_rw_new_node(rw, "Add", node->name, 2, 1);
    if (!add)
        return false;
    add->inputs[0] = node->inputs[0];
    add->inputs[1] = node->inputs[1];
    adze_rw_take_output(rw, add, 0, node->outputs[0]);
    return true;
}

/* Only the last of several changes of shape counts, unless it copies a dimension (0). */
static bool merge_reshapes(adze_rewriter *rw, adze_node *node)
{
    int64_t shape[2 * ADZE_MAX_RANK];
    if (!adze_rw_is(node, "Reshape"))
        return false;
    int n = adze_rw_ints(node->inputs[1], shape, 2 * ADZE_MAX_RANK);
    for (int i = 0; i < n; i++)
        if (shape[i] == 0)
            return false;
    static const char *const reshaping[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
    for (size_t i = 0; n >= 0 && i < ADZE_COUNT_OF(reshaping); i++) {
        adze_node *before = adze_rw_producer(node->inputs[0], reshaping[i]);
        if (!before)
            continue;
        adze_rw_set_input(rw, node, 0, before->inputs[0]);
        return true;
    }
    return false;
}

/* A shape that is computed only to copy dimensions need not be. */
static bool settle_shape(adze_rewriter *rw, adze_node *node)
{
    int64_t shape[ADZE_MAX_RANK];
    if (!adze_rw_is(node, "Reshape") || adze_rw_constant(node->inputs[1]) ||
        node->inputs[0]->type.rank < 0 || node->outputs[0]->type.rank < 0 ||
        !adze_rw_reshape_target(&node->inputs[0]->type, &node->outputs[0]->type, shape))
        return false;
    adze_value *target = adze_rw_new_ints(rw, NULL, node->outputs[0]->type.rank, shape);
    if (!target)
        return false;
    adze_node_remove_attr(node, "allowzero");
    adze_rw_set_input(rw, node, 1, target);
    return true;
}

static bool remove_one(adze_rewriter *rw, adze_node *node)
{
    return remove_identity(rw, node) || adze_rw_tidy_transpose(rw, node) ||
           settle_shape(rw, node) || merge_reshapes(rw, node) || sum_to_add(rw, node);
}

adze_status adze_pass_remove_identities(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, remove_one, changed, err);
}
