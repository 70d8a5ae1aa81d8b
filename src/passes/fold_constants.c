/* What depends on constants alone is computed now: nodes whose inputs are all constants, and integer
 * values that inference knows (shapes that flow as data). Results that would need much more memory
 * than what they are made from (float16 may become float32), or much time, stay as they are, except
 * weights.
 *
 * Dequantized weights are left alone at first, so that integer operators can take the integers; what
 * no operator took is folded by fold_weights. */
#include "ops/execute.h"
#include "ops/helpers.h"
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <string.h>

#define LARGEST_GROWTH 65536 /* bytes that a result may have more than twice its inputs */
#define MOST_OPERATIONS 1e9  /* of a node: a file must not decide how long planning takes */

static bool inputs_are_constant(const adze_node *node, size_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < node->input_count; i++) {
        const adze_value *value = node->inputs[i];
        if (value && !adze_rw_constant(value))
            return false;
        *bytes += value ? value->constant->size : 0;
    }
    return true;
}

/* Bytes of the outputs; SIZE_MAX when they are not known. */
static size_t output_bytes(const adze_node *node)
{
    size_t total = 0;
    for (int i = 0; i < node->output_count; i++) {
        const adze_value *value = node->outputs[i];
        if (!value)
            continue;
        const adze_type *type = &value->type;
        bool known = type->rank >= 0;
        for (int d = 0; d < type->rank; d++)
            known = known && adze_dim_known(type->dims[d]);
        int64_t n = known ? adze_shape_elements(type->rank, type->dims) : -1;
        bool plain = type->kind == ADZE_VALUE_TENSOR && type->dtype != ADZE_UNDEFINED &&
                     type->dtype != ADZE_STRING && !type->quant;
        if (!plain || n < 0)
            return SIZE_MAX;
        size_t bytes = adze_dtype_bytes(type->dtype, n);
        if (!adze_add_size(&total, total, bytes))
            return SIZE_MAX;
    }
    return total;
}

/* Weights of a product, which its kernel wants packed once: their memory is needed in any case. */
static bool makes_weights(adze_rewriter *rw, const adze_node *node)
{
    adze_node *user = node->output_count == 1 ? adze_rw_sole_user(rw, node->outputs[0]) : NULL;
    return user && user->op && user->op->quant == ADZE_QUANT_WEIGHTED &&
           adze_rw_input(user, 1) == node->outputs[0];
}

static bool may_fold(adze_rewriter *rw, const adze_node *node)
{
    const adze_op *op = node->op;
    if (!op || !op->run || (op->flags & (ADZE_OP_RANDOM | ADZE_OP_SUBGRAPH)))
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->type.kind != ADZE_VALUE_TENSOR)
            return false;
    size_t from, to = output_bytes(node);
    return to != SIZE_MAX && inputs_are_constant(node, &from) &&
           (to <= LARGEST_GROWTH || (to - LARGEST_GROWTH) / 2 <= from || makes_weights(rw, node));
}

static bool is_cheap(const adze_node *node, const adze_tensor *const *inputs, adze_arena *arena)
{
    size_t count = (size_t)node->output_count;
    adze_tensor *types = ADZE_ARENA_ARRAY(arena, adze_tensor, count + 1);
    const adze_tensor **outputs = ADZE_ARENA_ARRAY(arena, const adze_tensor *, count + 1);
    adze_cost cost = {0};
    if (!types || !outputs)
        return false;
    for (size_t i = 0; i < count; i++) {
        const adze_value *value = node->outputs[i];
        if (value)
            types[i] =
                adze_tensor_view(value->type.dtype, value->type.rank, value->type.dims, NULL);
        outputs[i] = value ? &types[i] : NULL;
    }
    if (node->op->cost)
        node->op->cost(&cost, node, inputs, outputs);
    return cost.operations <= MOST_OPERATIONS;
}

/* Computes the node on its constants; false when its operator cannot. */
static bool compute(adze_rewriter *rw, const adze_node *node, adze_tensor *outputs,
                    adze_arena *arena)
{
    const adze_tensor **inputs =
        ADZE_ARENA_ARRAY(arena, const adze_tensor *, (size_t)node->input_count + 1);
    if (!adze_rw_check(rw, inputs))
        return false;
    for (int i = 0; i < node->input_count; i++)
        inputs[i] = adze_rw_constant(node->inputs[i]);
    if (!is_cheap(node, inputs, arena))
        return false;
    adze_status status = adze_op_run_single(outputs, node, inputs, arena, NULL);
    adze_rw_check(rw, status != ADZE_NO_MEMORY);
    return status == ADZE_OK;
}

/* Constants take the places of the outputs. */
static bool put_results(adze_rewriter *rw, adze_node *node, const adze_tensor *results)
{
    for (int i = 0; i < node->output_count; i++) {
        adze_value *old = node->outputs[i];
        if (!old)
            continue;
        adze_value *value = adze_graph_add_constant(rw->graph, old->name, &results[i], true);
        if (!adze_rw_check(rw, value) || !adze_rw_replace(rw, old, value))
            return false;
    }
    adze_rw_kill(rw, node);
    return true;
}

static bool fold_node(adze_rewriter *rw, adze_node *node)
{
    if (!may_fold(rw, node))
        return false;
    adze_arena arena = {0};
    adze_tensor *results = ADZE_ARENA_ARRAY(&arena, adze_tensor, (size_t)node->output_count + 1);
    bool done = adze_rw_check(rw, results) && compute(rw, node, results, &arena) &&
                put_results(rw, node, results);
    adze_arena_free(&arena);
    return done;
}

/* An integer value whose content inference knows as numbers. */
static bool fold_known(adze_rewriter *rw, adze_node *node)
{
    adze_value *old = node->output_count == 1 ? node->outputs[0] : NULL;
    if (!old || !old->known || old->type.rank < 0 || old->type.rank > 1 || old->type.quant ||
        (old->type.dtype != ADZE_I64 && old->type.dtype != ADZE_I32))
        return false;
    if (old->type.rank == 1 ? old->type.dims[0] != old->known_count : old->known_count != 1)
        return false;
    adze_tensor tensor;
    int64_t number, dims[1] = {old->known_count};
    for (int i = 0; i < old->known_count; i++)
        if (!adze_ops_is_number(old->known[i], &number) || number == ADZE_OPS_LEAST)
            return false;
    if (!adze_rw_check(rw, adze_tensor_make(&tensor, old->type.dtype, old->type.rank, dims, NULL) ==
                               ADZE_OK))
        return false;
    for (int i = 0; i < old->known_count; i++) {
        adze_ops_is_number(old->known[i], &number);
        adze_tensor_set_i64(&tensor, i, number);
    }
    bool done = put_results(rw, node, &tensor);
    adze_tensor_free(&tensor);
    return done;
}

static bool fold(adze_rewriter *rw, adze_node *node)
{
    return !adze_rw_is(node, "DequantizeLinear") && (fold_known(rw, node) || fold_node(rw, node));
}

adze_status adze_pass_fold_constants(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fold, changed, err);
}

static bool fold_weight(adze_rewriter *rw, adze_node *node)
{
    size_t bytes, to = output_bytes(node);
    if (!adze_rw_is(node, "DequantizeLinear"))
        return fold(rw, node);
    if (!node->op || !node->op->run || to == SIZE_MAX || !inputs_are_constant(node, &bytes))
        return false;
    adze_arena arena = {0};
    adze_tensor result;
    bool done = compute(rw, node, &result, &arena) && put_results(rw, node, &result);
    adze_arena_free(&arena);
    return done;
}

adze_status adze_pass_fold_weights(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fold_weight, changed, err);
}
