/* What all schemes start from. */
#include "compress/base_graph.h"

#include <string.h>

#include "passes/passes.h"

enum { NEWEST_OPSET = 20 };

static adze_status fold(adze_graph *graph, adze_error *err)
{
    static const char *const names[] = {"remove_dead",       "fold_constants",
                                        "remove_identities", "name_hard_activations",
                                        "fuse_batch_norm",   "remove_dead"};
    ADZE_TRY(adze_graph_infer(graph, err));
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++)
        ADZE_TRY(adze_passes_run_one(graph, names[i], err));
    return ADZE_OK;
}

/* Operators that too few can run yet. */
static bool is_new(const adze_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i]->op && graph->nodes[i]->op->since > NEWEST_OPSET)
            return true;
    return false;
}

/* Arithmetic that is an activation becomes that operator, which has one scale where its parts had many;
 * unless that makes the file too new. */
static adze_status name_activations(adze_graph *graph, adze_error *err)
{
    adze_graph *probe;
    ADZE_TRY(adze_graph_clone(&probe, graph, err));
    adze_status status = adze_passes_run_one(probe, "name_activations", err);
    bool better = status == ADZE_OK && !is_new(probe);
    adze_graph_free(&probe);
    return better ? adze_passes_run_one(graph, "name_activations", err) : status;
}

/* ---- matrix products with bias ---- */

static adze_value *row_bias(adze_graph *graph, const adze_node *add, const adze_value *product,
                            int64_t columns)
{
    adze_value *bias = add->inputs[add->inputs[0] == product];
    const adze_tensor *t = bias->role == ADZE_ROLE_CONSTANT ? bias->constant : NULL;
    if (!t || t->dtype != ADZE_F32 || t->rank < 1 || t->rank > 2 ||
        t->dims[t->rank - 1] != columns || adze_tensor_elements(t) != columns)
        return NULL;
    if (t->rank == 1)
        return bias;
    adze_tensor row = adze_tensor_view(ADZE_F32, 1, &columns, t->data);
    return adze_graph_add_constant(graph, NULL, &row, false);
}

/* MatMul and the Add behind it are a Gemm, whose bias may be an integer. */
static void join_bias(adze_graph *graph, const adze_uses *uses, adze_node *node)
{
    if (!adze_compress_is(node, "MatMul") || !adze_compress_has_weights(node) ||
        node->inputs[0]->type.rank != 2 || node->input_count != 2)
        return;
    adze_value *product = node->outputs[0];
    adze_node *add = uses->count[product->id] == 1 ? uses->users[product->id][0] : NULL;
    if (!adze_compress_is(add, "Add") || add->outputs[0]->type.rank != 2)
        return;
    adze_value *bias = row_bias(graph, add, product, adze_compress_channels(node));
    const adze_op *gemm = adze_op_find(graph->context, "", "Gemm");
    if (!bias || !gemm || !adze_node_add_input(node, bias))
        return;
    node->op_type = gemm->name;
    node->op = gemm;
    product->producer = NULL;
    node->outputs[0] = add->outputs[0];
    node->outputs[0]->producer = node;
    node->outputs[0]->producer_output = 0;
    adze_node_kill(add);
}

static adze_status join_biases(adze_graph *graph, adze_error *err)
{
    adze_arena scratch = {0};
    adze_uses uses;
    bool ok = adze_uses_build(&uses, graph, &scratch);
    for (int i = 0; ok && i < graph->node_count; i++)
        if (!graph->nodes[i]->dead)
            join_bias(graph, &uses, graph->nodes[i]);
    adze_arena_free(&scratch);
    if (!ok)
        return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
    adze_graph_compact(graph);
    ADZE_TRY(adze_graph_sort(graph, err));
    return adze_graph_infer(graph, err);
}

adze_status adze_compress_base_graph(adze_graph **out, const adze_graph *graph, adze_error *err)
{
    adze_graph *base;
    ADZE_TRY(adze_graph_clone(&base, graph, err));
    adze_status status = fold(base, err);
    if (status == ADZE_OK)
        status = name_activations(base, err);
    if (status == ADZE_OK)
        status = join_biases(base, err);
    if (status != ADZE_OK)
        adze_graph_free(&base);
    else
        *out = base;
    return status;
}

/* ---- questions about nodes ---- */

bool adze_compress_is(const adze_node *node, const char *op)
{
    return node && !*node->domain && strcmp(node->op_type, op) == 0;
}

static bool plain_gemm(const adze_node *node)
{
    return !adze_compress_is(node, "Gemm") ||
           (adze_node_float(node, "alpha", 1) == 1 && adze_node_float(node, "beta", 1) == 1 &&
            !adze_node_int(node, "transA", 0));
}

static bool bias_fits(const adze_node *node)
{
    if (node->input_count < 3 || !node->inputs[2])
        return true;
    const adze_tensor *bias = node->inputs[2]->constant;
    return node->inputs[2]->role == ADZE_ROLE_CONSTANT && bias && bias->dtype == ADZE_F32 &&
           bias->rank == 1 && bias->dims[0] == adze_compress_channels(node);
}

bool adze_compress_has_weights(const adze_node *node)
{
    if (!node->op || node->op->quant != ADZE_QUANT_WEIGHTED || node->input_count < 2 ||
        !node->inputs[0] || !node->inputs[1] || !plain_gemm(node))
        return false;
    const adze_value *x = node->inputs[0], *w = node->inputs[1];
    if (x->constant || x->type.dtype != ADZE_F32 || w->role != ADZE_ROLE_CONSTANT ||
        w->type.dtype != ADZE_F32 || w->type.rank < 2 || w->type.quant)
        return false;
    if (adze_compress_is(node, "MatMul") && w->type.rank != 2)
        return false;
    return adze_tensor_elements(w->constant) > 0 && bias_fits(node);
}

int adze_compress_weight_axis(const adze_node *node)
{
    if (adze_compress_is(node, "Gemm"))
        return adze_node_int(node, "transB", 0) ? 0 : 1;
    if (adze_compress_is(node, "ConvTranspose") && adze_node_int(node, "group", 1) != 1)
        return -1;
    int axis = node->op->weight_axis;
    return axis < 0 ? axis + node->inputs[1]->type.rank : axis;
}

int64_t adze_compress_channels(const adze_node *node)
{
    int axis = adze_compress_weight_axis(node);
    const adze_tensor *w = node->inputs[1]->constant;
    return axis < 0 ? w->dims[1] * adze_node_int(node, "group", 1) : w->dims[axis];
}

int adze_compress_input_axis(const adze_node *node)
{
    bool matrix = adze_compress_is(node, "MatMul") || adze_compress_is(node, "Gemm");
    return matrix ? node->inputs[0]->type.rank - 1 : 1;
}

adze_value *adze_compress_constant(adze_graph *graph, const char *name, adze_dtype dtype, int rank,
                                   const int64_t *dims, void **data)
{
    size_t size = adze_dtype_bytes(dtype, adze_shape_elements(rank, dims));
    *data = size == SIZE_MAX ? NULL : adze_arena_alloc(&graph->arena, 1, ADZE_MAX(size, 1));
    if (!*data)
        return NULL;
    adze_tensor tensor = adze_tensor_view(dtype, rank, dims, *data);
    return adze_graph_add_constant(graph, name, &tensor, false);
}
