/* The sweep, and what rewrites have in common. */
#include "passes/quantized_impl.h"

#include <math.h>
#include <string.h>

#define MAX_SWEEPS 64 /* a rewrite that undoes another would go on for ever */

static bool sweep_once(adze_rewriter *rw, adze_rewrite_fn rewrite)
{
    bool changed = false;
    for (int i = 0; i < rw->graph->node_count && !rw->failed; i++) {
        adze_node *node = rw->graph->nodes[i];
        if (node->dead || !rewrite(rw, node))
            continue;
        changed = true;
        rw->stale = true;
    }
    return changed;
}

adze_status adze_rewrite_sweep(adze_graph *graph, adze_rewrite_fn rewrite, bool *changed,
                               adze_error *err)
{
    adze_rewriter rw = {.graph = graph, .stale = true};
    *changed = false;
    for (int i = 0; i < MAX_SWEEPS && !rw.failed && sweep_once(&rw, rewrite); i++) {
        *changed = true;
        adze_graph_compact(graph);
    }
    adze_graph_compact(graph);
    adze_arena_free(&rw.scratch);
    if (rw.failed)
        return adze_fail(err, ADZE_NO_MEMORY, "rewriting the graph: out of memory");
    return *changed ? adze_graph_sort(graph, err) : ADZE_OK;
}

bool adze_rw_check(adze_rewriter *rw, bool ok)
{
    rw->failed |= !ok;
    return ok;
}

/* ---- matching ---- */

bool adze_rw_is(const adze_node *node, const char *op)
{
    return node && !*node->domain && strcmp(node->op_type, op) == 0;
}

adze_node *adze_rw_producer(const adze_value *value, const char *op)
{
    return value && adze_rw_is(value->producer, op) ? value->producer : NULL;
}

adze_value *adze_rw_input(const adze_node *node, int i)
{
    return i < node->input_count ? node->inputs[i] : NULL;
}

bool adze_rw_has_output(const adze_node *node, int i)
{
    return i < node->output_count && node->outputs[i];
}

static bool refresh(adze_rewriter *rw)
{
    if (!rw->stale)
        return true;
    adze_arena_free(&rw->scratch);
    rw->stale = !adze_rw_check(rw, adze_uses_build(&rw->uses, rw->graph, &rw->scratch));
    return !rw->stale;
}

int adze_rw_use_count(adze_rewriter *rw, const adze_value *value)
{
    return refresh(rw) ? rw->uses.count[value->id] : 0;
}

adze_node *adze_rw_user(adze_rewriter *rw, const adze_value *value, int i)
{
    return refresh(rw) && i < rw->uses.count[value->id] ? rw->uses.users[value->id][i] : NULL;
}

adze_node *adze_rw_sole_user(adze_rewriter *rw, const adze_value *value)
{
    return adze_rw_use_count(rw, value) == 1 ? adze_rw_user(rw, value, 0) : NULL;
}

bool adze_rw_is_float(const adze_value *value)
{
    return value && value->type.kind == ADZE_VALUE_TENSOR && value->type.dtype == ADZE_F32 &&
           !value->type.quant && value->type.rank >= 0;
}

static bool are_typed(adze_value *const *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i] && values[i]->type.kind == ADZE_VALUE_TENSOR &&
            values[i]->type.dtype == ADZE_UNDEFINED)
            return false;
    return true;
}

bool adze_rw_is_typed(const adze_node *node)
{
    return are_typed(node->inputs, node->input_count) &&
           are_typed(node->outputs, node->output_count);
}

bool adze_rw_same_dim(adze_dim a, adze_dim b)
{
    return a == b && a != -1;
}

bool adze_rw_same_shape(const adze_value *a, const adze_value *b)
{
    if (a->type.rank < 0 || a->type.rank != b->type.rank)
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (!adze_rw_same_dim(a->type.dims[i], b->type.dims[i]))
            return false;
    return true;
}

/* ---- constants ---- */

const adze_tensor *adze_rw_constant(const adze_value *value)
{
    return value && value->role == ADZE_ROLE_CONSTANT ? value->constant : NULL;
}

static bool is_number(const adze_tensor *tensor)
{
    adze_kind kind = adze_dtype_describe(tensor->dtype)->kind;
    return !tensor->quant && (kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT ||
                              kind == ADZE_KIND_UINT || kind == ADZE_KIND_BOOL);
}

bool adze_rw_scalar(const adze_value *value, double *out)
{
    const adze_tensor *tensor = adze_rw_constant(value);
    if (!tensor || !is_number(tensor) || adze_tensor_elements(tensor) != 1)
        return false;
    *out = adze_tensor_get_f64(tensor, 0);
    return true;
}

bool adze_rw_all_equal(const adze_value *value, double number)
{
    const adze_tensor *tensor = adze_rw_constant(value);
    if (!tensor || !is_number(tensor))
        return false;
    int64_t n = adze_tensor_elements(tensor), i = 0;
    while (i < n && adze_tensor_get_f64(tensor, i) == number)
        i++;
    return i == n;
}

int adze_rw_ints(const adze_value *value, int64_t *out, int max)
{
    const adze_tensor *tensor = adze_rw_constant(value);
    int64_t n = tensor && is_number(tensor) ? adze_tensor_elements(tensor) : -1;
    if (n < 0 || n > max)
        return -1;
    for (int64_t i = 0; i < n; i++)
        out[i] = adze_tensor_get_i64(tensor, i);
    return (int)n;
}

float *adze_rw_new_floats(adze_rewriter *rw, adze_value **out, const char *name, int rank,
                          const int64_t *dims)
{
    int64_t n = adze_shape_elements(rank, dims);
    float *data = n < 0 ? NULL : ADZE_ARENA_ARRAY(&rw->graph->arena, float, (size_t)n);
    if (!adze_rw_check(rw, data))
        return NULL;
    adze_tensor tensor = adze_tensor_view(ADZE_F32, rank, dims, data);
    *out = adze_graph_add_constant(rw->graph, name, &tensor, false);
    rw->stale = true;
    return adze_rw_check(rw, *out) ? data : NULL;
}

adze_value *adze_rw_new_ints(adze_rewriter *rw, const char *name, int count, const int64_t *values)
{
    int64_t dims[1] = {count}, copy[2 * ADZE_MAX_RANK] = {0};
    memcpy(copy, values, (size_t)count * sizeof *copy);
    adze_tensor tensor = adze_tensor_view(ADZE_I64, 1, dims, copy);
    adze_value *value = adze_graph_add_constant(rw->graph, name, &tensor, true);
    rw->stale = true;
    adze_rw_check(rw, value);
    return value;
}

/* ---- rewriting ---- */

bool adze_rw_replace(adze_rewriter *rw, adze_value *from, adze_value *to)
{
    if (!adze_rw_adopt_quant(rw, from, to))
        return false;
    if (adze_value_is_output(rw->graph, from)) {
        bool made = to->role == ADZE_ROLE_COMPUTED || to->role == ADZE_ROLE_CONSTANT;
        if (!made || adze_value_is_output(rw->graph, to))
            return false;
        if (!adze_rw_check(rw, adze_value_take_name(rw->graph, to, from)))
            return false;
    }
    adze_graph_replace_uses(rw->graph, from, to);
    rw->stale = true;
    return true;
}

void adze_rw_kill(adze_rewriter *rw, adze_node *node)
{
    adze_node_kill(node);
    rw->stale = true;
}

void adze_rw_follow(adze_rewriter *rw, adze_node *node, int i, adze_value *made, adze_node *next)
{
    adze_value *old = node->outputs[i];
    node->outputs[i] = made;
    made->producer = node;
    made->producer_output = i;
    next->inputs[0] = made;
    next->outputs[0]->producer = NULL;
    next->outputs[0] = old;
    old->producer = next;
    old->producer_output = 0;
    rw->stale = true;
}

void adze_rw_set_input(adze_rewriter *rw, adze_node *node, int i, adze_value *value)
{
    rw->stale = true;
    while (node->input_count <= i && !rw->failed)
        adze_rw_check(rw, adze_node_add_input(node, NULL));
    if (!rw->failed)
        node->inputs[i] = value;
}

adze_node *adze_rw_new_node(adze_rewriter *rw, const char *op, const char *name, int inputs,
                            int outputs)
{
    adze_graph *graph = rw->graph;
    rw->stale = true;
    adze_node *node = adze_graph_new_node(graph, "", op, name, inputs, outputs);
    if (!adze_rw_check(rw, node && adze_graph_append(graph, node)))
        return NULL;
    node->op = adze_op_find(graph->context, "", op);
    return node;
}

void adze_rw_take_output(adze_rewriter *rw, adze_node *node, int i, adze_value *value)
{
    if (value->producer) {
        value->producer->outputs[value->producer_output] = NULL;
        adze_node_kill(value->producer);
    }
    if (node->outputs[i])
        node->outputs[i]->producer = NULL;
    node->outputs[i] = value;
    value->producer = node;
    value->producer_output = i;
    rw->stale = true;
}

/* ---- clamps ---- */

bool adze_rw_has_clamp(const adze_node *node)
{
    return adze_node_has(node, ADZE_FUSED_LO) || adze_node_has(node, ADZE_FUSED_HI);
}

void adze_rw_get_clamp(const adze_node *node, double *lo, double *hi)
{
    *lo = (double)adze_node_float(node, ADZE_FUSED_LO, -INFINITY);
    *hi = (double)adze_node_float(node, ADZE_FUSED_HI, INFINITY);
}

bool adze_rw_set_clamp(adze_rewriter *rw, adze_node *node, double lo, double hi)
{
    adze_node_remove_attr(node, ADZE_FUSED_LO);
    adze_node_remove_attr(node, ADZE_FUSED_HI);
    return adze_rw_check(rw,
                         (isinf(lo) || adze_node_set_float(node, ADZE_FUSED_LO, (float)lo)) &&
                             (isinf(hi) || adze_node_set_float(node, ADZE_FUSED_HI, (float)hi)));
}
