/* Inference of types: the services that an operator's infer calls, and the walk over a whole graph. */
#include <string.h>

#include "ops/helpers.h"
#include "ops/registry.h"

const adze_node *adze_infer_node(const adze_infer *infer)
{
    return infer->node;
}

int adze_infer_input_count(const adze_infer *infer)
{
    return infer->input_count;
}

int adze_infer_output_count(const adze_infer *infer)
{
    return infer->output_count;
}

const adze_type *adze_infer_input(const adze_infer *infer, int i)
{
    return i < infer->input_count ? infer->inputs[i] : NULL;
}

void adze_infer_set(adze_infer *infer, int i, const adze_type *type)
{
    if (i >= infer->output_count)
        return;
    adze_type *out = &infer->outputs[i];
    const adze_quant *quant = out->quant;
    adze_dtype dtype = out->dtype;
    *out = *type;
    if (quant)
        out->dtype = dtype;
    out->quant = quant;
}

void adze_infer_set_tensor(adze_infer *infer, int i, adze_dtype dtype, int rank,
                           const adze_dim *dims)
{
    adze_type type = adze_type_tensor(dtype, rank, dims);
    adze_infer_set(infer, i, &type);
}

const adze_tensor *adze_infer_content(const adze_infer *infer, int i)
{
    return i < infer->input_count ? infer->contents[i] : NULL;
}

int adze_infer_ints(const adze_infer *infer, int i, adze_dim *out, int max)
{
    const adze_tensor *content = adze_infer_content(infer, i);
    if (content) {
        adze_kind kind = adze_dtype_describe(content->dtype)->kind;
        int64_t n = adze_tensor_elements(content);
        if (n < 0 || n > max ||
            (kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT && kind != ADZE_KIND_BOOL))
            return -1;
        for (int64_t e = 0; e < n; e++)
            out[e] = adze_tensor_get_i64(content, e);
        return (int)n;
    }
    if (i >= infer->input_count || !infer->known[i] || infer->known_counts[i] > max)
        return -1;
    memcpy(out, infer->known[i], (size_t)infer->known_counts[i] * sizeof *out);
    return infer->known_counts[i];
}

void adze_infer_set_ints(adze_infer *infer, int i, const adze_dim *values, int count)
{
    if (i >= infer->output_count || count > ADZE_KNOWN_MAX)
        return;
    memcpy(infer->known_out[i], values, (size_t)count * sizeof *values);
    infer->known_out_counts[i] = count;
}

adze_dim adze_infer_add(adze_infer *infer, adze_dim a, adze_dim b)
{
    return adze_dim_op(infer->dims, ADZE_DIM_ADD, a, b);
}

adze_dim adze_infer_sub(adze_infer *infer, adze_dim a, adze_dim b)
{
    return adze_dim_op(infer->dims, ADZE_DIM_SUB, a, b);
}

adze_dim adze_infer_mul(adze_infer *infer, adze_dim a, adze_dim b)
{
    return adze_dim_op(infer->dims, ADZE_DIM_MUL, a, b);
}

adze_dim adze_infer_div(adze_infer *infer, adze_dim a, adze_dim b)
{
    return adze_dim_op(infer->dims, ADZE_DIM_DIV, a, b);
}

adze_dim adze_infer_ceil(adze_infer *infer, adze_dim a, adze_dim b)
{
    return adze_dim_op(infer->dims, ADZE_DIM_CEIL, a, b);
}

adze_dim adze_infer_unknown(adze_infer *infer, int64_t upper)
{
    return adze_dim_unknown(infer->dims, upper);
}

static adze_status broadcast_dim(adze_infer *infer, adze_dim *out, adze_dim a, adze_dim b, int axis,
                                 adze_error *err)
{
    if (a == b || b == 1)
        *out = a;
    else if (a == 1)
        *out = b;
    else if (adze_dim_known(a) && adze_dim_known(b))
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s '%s': shapes do not broadcast at axis %d: %lld against %lld",
                         infer->node->op_type, infer->node->name, axis, (long long)a, (long long)b);
    else if (adze_dim_known(a))
        *out = a; /* a number over 1 against a symbol: the symbol must be 1 or that number */
    else if (adze_dim_known(b))
        *out = b;
    else if (adze_dim_lower(infer->dims, a) > 0 && adze_dim_lower(infer->dims, b) > 0)
        *out = adze_dim_op(infer->dims, ADZE_DIM_MAX, a, b); /* equal, or one of them is 1 */
    else
        *out = adze_dim_unknown(
            infer->dims, ADZE_MAX(adze_dim_upper(infer->dims, a), adze_dim_upper(infer->dims, b)));
    return ADZE_OK;
}

adze_status adze_infer_broadcast(adze_infer *infer, adze_type *out, const adze_type *a,
                                 const adze_type *b, adze_error *err)
{
    adze_type type = *a;
    if (a->rank < 0 || b->rank < 0) {
        type.rank = -1;
        *out = type;
        return ADZE_OK;
    }
    type.rank = ADZE_MAX(a->rank, b->rank);
    for (int i = 0; i < type.rank; i++) {
        int ia = i - (type.rank - a->rank), ib = i - (type.rank - b->rank);
        ADZE_TRY(broadcast_dim(infer, &type.dims[i], ia < 0 ? 1 : a->dims[ia],
                               ib < 0 ? 1 : b->dims[ib], i, err));
    }
    *out = type;
    return ADZE_OK;
}

/* A number below zero that came as data is coded (ops/helpers.h): as a dimension it is no symbol of the graph. */
static adze_status check_dims(const adze_infer *infer, adze_error *err)
{
    int64_t number;
    for (int i = 0; i < infer->output_count; i++)
        for (int k = 0; k < infer->outputs[i].rank; k++)
            if (adze_ops_is_number(infer->outputs[i].dims[k], &number) && number < 0)
                return adze_fail(err, ADZE_BAD_MODEL,
                                 "%s '%s': axis %d of output %d would have %lld elements",
                                 infer->node->op_type, infer->node->name, k, i, (long long)number);
    return ADZE_OK;
}

/* The type that a letter of `types` stands for, given the one found; `same` has those of the small letters. */
static adze_dtype expected_type(char letter, adze_dtype found, adze_dtype *same)
{
    switch (letter) {
    case 'B': return ADZE_BOOL;
    case 'F': return ADZE_F32;
    case 'I': return found == ADZE_I32 ? ADZE_I32 : ADZE_I64;
    case 'L': return ADZE_I64;
    case 'S': return ADZE_STRING;
    case '.': return found;
    default:
        if (same[letter - 'a'] == ADZE_UNDEFINED)
            same[letter - 'a'] = found;
        return same[letter - 'a'];
    }
}

/* Quantized and unknown types fit all. */
static adze_status check_types(const adze_infer *infer, adze_error *err)
{
    const adze_node *node = infer->node;
    const char *letter = node->op->types;
    adze_dtype same['z' - 'a' + 1] = {ADZE_UNDEFINED};
    for (int i = 0; letter && i < infer->input_count; i++, letter += letter[1] != '\0') {
        const adze_type *t = infer->inputs[i];
        if (!t || t->kind != ADZE_VALUE_TENSOR || t->quant || t->dtype == ADZE_UNDEFINED)
            continue;
        adze_dtype expected = expected_type(*letter, t->dtype, same);
        if (t->dtype != expected)
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is of type %s, expected %s",
                             node->op_type, node->name, i, adze_dtype_describe(t->dtype)->name,
                             adze_dtype_describe(expected)->name);
    }
    return ADZE_OK;
}

adze_status adze_infer_run(adze_infer *infer, adze_error *err)
{
    const adze_node *node = infer->node;
    const adze_op *op = node->op;
    if (infer->input_count < op->min_inputs ||
        (op->max_inputs >= 0 && infer->input_count > op->max_inputs))
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %d inputs, expected %d to %d",
                         node->op_type, node->name, infer->input_count, op->min_inputs,
                         op->max_inputs);
    if (infer->output_count < op->min_outputs ||
        (op->max_outputs >= 0 && infer->output_count > op->max_outputs))
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %d outputs, expected %d to %d",
                         node->op_type, node->name, infer->output_count, op->min_outputs,
                         op->max_outputs);
    for (int i = 0; i < op->min_inputs; i++)
        if (!infer->inputs[i])
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': required input %d is absent",
                             node->op_type, node->name, i);
    for (int i = 0; i < infer->input_count && !(op->flags & (ADZE_OP_ITEMS | ADZE_OP_SUBGRAPH));
         i++)
        if (infer->inputs[i] && infer->inputs[i]->kind != ADZE_VALUE_TENSOR)
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is %s, expected a tensor",
                             node->op_type, node->name, i,
                             infer->inputs[i]->kind == ADZE_VALUE_SEQUENCE ? "a sequence"
                                                                           : "an optional");
    ADZE_TRY(check_types(infer, err));
    ADZE_TRY(op->infer(infer, err));
    return check_dims(infer, err);
}

/* ---- the walk over a graph ---- */

typedef struct walk {
    adze_graph *graph;
    adze_arena scratch;
    adze_infer infer;
    int capacity; /* of the arrays in infer */
} walk;

static bool walk_reserve(walk *w, int count)
{
    if (count <= w->capacity)
        return true;
    adze_arena *a = &w->scratch;
    size_t n = (size_t)count * 2;
    w->infer.inputs = ADZE_ARENA_ARRAY(a, const adze_type *, n);
    w->infer.contents = ADZE_ARENA_ARRAY(a, const adze_tensor *, n);
    w->infer.known = ADZE_ARENA_ARRAY(a, const adze_dim *, n);
    w->infer.known_counts = ADZE_ARENA_ARRAY(a, int, n);
    w->infer.outputs = ADZE_ARENA_ARRAY(a, adze_type, n);
    w->infer.known_out = adze_arena_alloc(a, n, sizeof *w->infer.known_out);
    w->infer.known_out_counts = ADZE_ARENA_ARRAY(a, int, n);
    w->capacity = (int)n;
    return w->infer.inputs && w->infer.contents && w->infer.known && w->infer.known_counts &&
           w->infer.outputs && w->infer.known_out && w->infer.known_out_counts;
}

static void gather_inputs(walk *w, const adze_node *node)
{
    adze_infer *infer = &w->infer;
    infer->node = node;
    infer->input_count = node->input_count;
    infer->output_count = node->output_count;
    const adze_type **inputs = (const adze_type **)infer->inputs;
    const adze_tensor **contents = (const adze_tensor **)infer->contents;
    const adze_dim **known = (const adze_dim **)infer->known;
    int *known_counts = (int *)infer->known_counts;
    for (int i = 0; i < node->input_count; i++) {
        const adze_value *v = node->inputs[i];
        inputs[i] = v ? &v->type : NULL;
        while (v && v->role == ADZE_ROLE_CAPTURE && v->outer)
            v = v->outer;
        contents[i] = v && v->role == ADZE_ROLE_CONSTANT ? v->constant : NULL;
        known[i] = v ? v->known : NULL;
        known_counts[i] = v ? v->known_count : 0;
    }
    for (int i = 0; i < node->output_count; i++) {
        const adze_value *v = node->outputs[i];
        infer->outputs[i] = (adze_type){.rank = -1};
        if (v && v->type.quant) {
            infer->outputs[i].dtype = v->type.dtype;
            infer->outputs[i].quant = v->type.quant;
        }
        infer->known_out_counts[i] = -1;
    }
}

/* What was inferred wins over what the file said: memory is planned by it. Only an element type that
 * inference does not know is taken from the file. */
static void merge_type(adze_type *declared, const adze_type *inferred)
{
    adze_dtype dtype = declared->dtype;
    *declared = *inferred;
    if (inferred->dtype == ADZE_UNDEFINED)
        declared->dtype = dtype;
}

static adze_status store_outputs(walk *w, adze_node *node, adze_error *err)
{
    for (int i = 0; i < node->output_count; i++) {
        adze_value *v = node->outputs[i];
        if (!v)
            continue;
        merge_type(&v->type, &w->infer.outputs[i]);
        v->known = NULL;
        v->known_count = 0;
        int n = w->infer.known_out_counts[i];
        if (n < 0)
            continue;
        v->known = adze_arena_memdup(&w->graph->arena, w->infer.known_out[i],
                                     ADZE_MAX((size_t)n, 1) * sizeof(adze_dim));
        if (!v->known)
            return adze_fail(err, ADZE_NO_MEMORY, "inference");
        v->known_count = n;
    }
    return ADZE_OK;
}

static adze_status infer_node(walk *w, adze_node *node, adze_error *err)
{
    if (!node->op)
        return ADZE_OK;
    if (!walk_reserve(w, ADZE_MAX(node->input_count, node->output_count) + 1))
        return adze_fail(err, ADZE_NO_MEMORY, "inference");
    gather_inputs(w, node);
    ADZE_TRY(adze_infer_run(&w->infer, err));
    return store_outputs(w, node, err);
}

adze_status adze_graph_infer(adze_graph *graph, adze_error *err)
{
    walk w = {.graph = graph};
    w.infer.dims = graph->dims;
    adze_graph_resolve_ops(graph);
    adze_status status = ADZE_OK;
    for (int i = 0; i < graph->node_count && status == ADZE_OK; i++)
        if (!graph->nodes[i]->dead)
            status = infer_node(&w, graph->nodes[i], err);
    adze_arena_free(&w.scratch);
    return status;
}

adze_status adze_graph_infer_node(adze_node *node, adze_error *err)
{
    walk w = {.graph = node->graph};
    w.infer.dims = node->graph->dims;
    if (!node->op)
        node->op = adze_op_find(node->graph->context, node->domain, node->op_type);
    adze_status status = infer_node(&w, node, err);
    adze_arena_free(&w.scratch);
    return status;
}
