/* Relu, Clip, and Min or Max with a constant, behind an operator that can clamp its result. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <math.h>
#include <string.h>

typedef struct clamp {
    double lo, hi;
} clamp;

static bool read_clip(clamp *out, const adze_node *node)
{
    if (adze_rw_input(node, 1) && !adze_rw_scalar(node->inputs[1], &out->lo))
        return false;
    return !adze_rw_input(node, 2) || adze_rw_scalar(node->inputs[2], &out->hi);
}

/* The other operand of Min or Max of two. */
static bool read_bound(double *out, const adze_node *node, const adze_value *x)
{
    if (node->input_count != 2 || node->inputs[0] == node->inputs[1])
        return false;
    const adze_value *bound = node->inputs[node->inputs[0] == x];
    return adze_rw_scalar(bound, out) && bound->type.rank <= x->type.rank;
}

static bool read_clamp(clamp *out, const adze_node *node, const adze_value *x)
{
    *out = (clamp){-INFINITY, INFINITY};
    if (adze_rw_is(node, "Clip"))
        return node->inputs[0] == x && read_clip(out, node);
    if (adze_rw_is(node, "Max"))
        return read_bound(&out->lo, node, x);
    if (adze_rw_is(node, "Min"))
        return read_bound(&out->hi, node, x);
    out->lo = 0;
    return adze_rw_is(node, "Relu");
}

static bool can_clamp(const adze_node *node)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add"};
    for (size_t i = 0; i < ADZE_COUNT_OF(ops); i++)
        if (adze_rw_is(node, ops[i]))
            return true;
    return false;
}

static double between(double x, const clamp *c)
{
    return fmin(fmax(x, c->lo), c->hi);
}

static bool fuse(adze_rewriter *rw, adze_node *node)
{
    clamp own, next;
    if (!can_clamp(node) || !adze_rw_is_float(node->outputs[0]))
        return false;
    adze_node *user = adze_rw_sole_user(rw, node->outputs[0]);
    if (!user || !read_clamp(&next, user, node->outputs[0]) || !(next.lo <= next.hi))
        return false;
    adze_rw_get_clamp(node, &own.lo, &own.hi);
    if (!adze_rw_set_clamp(rw, node, between(own.lo, &next), between(own.hi, &next)))
        return false;
    adze_rw_take_output(rw, node, 0, user->outputs[0]);
    return true;
}

adze_status adze_pass_fuse_activation(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fuse, changed, err);
}
