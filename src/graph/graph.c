/* Graphs and what they own: values, lists of inputs, outputs, states and captures, constants. All of
 * it lies in the graph's arena; subgraphs are graphs of their own that share the dims of the root. */
#include "graph/ir.h"

#include <string.h>

#define PUSH(graph, list, count, capacity, item)                                                   \
    (adze_arena_grow(&(graph)->arena, &(list), &(capacity), (count), sizeof *(list)) &&            \
     (((list)[(count)++] = (item)), true))

adze_type adze_type_tensor(adze_dtype dtype, int rank, const adze_dim *dims)
{
    adze_type type = {.kind = ADZE_VALUE_TENSOR, .dtype = dtype, .rank = rank};
    for (int i = 0; i < rank && i < ADZE_MAX_RANK; i++)
        type.dims[i] = dims[i];
    return type;
}

/* ---- life ---- */

static adze_status create(adze_graph **out, adze_context *context, adze_graph *parent,
                          adze_error *err)
{
    adze_graph *graph = adze_alloc(1, sizeof *graph);
    if (!graph)
        return adze_fail(err, ADZE_NO_MEMORY, "graph: out of memory");
    graph->context = context;
    graph->parent = parent;
    graph->by_name = adze_map_in(&graph->arena);
    graph->node_names = adze_map_in(&graph->arena);
    graph->name = "";
    bool ok = true;
    if (parent) {
        graph->dims = parent->dims;
    } else {
        graph->dims = ADZE_ARENA_NEW(&graph->arena, adze_dims);
        ok = graph->dims && adze_dims_init(graph->dims, &graph->arena);
    }
    if (!ok) {
        adze_graph_free(&graph);
        return adze_fail(err, ADZE_NO_MEMORY, "graph: out of memory");
    }
    *out = graph;
    return ADZE_OK;
}

adze_status adze_graph_create(adze_graph **out, adze_context *context, adze_error *err)
{
    return create(out, context, NULL, err);
}

adze_status adze_graph_create_child(adze_graph **out, adze_graph *parent, adze_error *err)
{
    adze_graph *graph;
    ADZE_TRY(create(&graph, parent->context, parent, err));
    if (!PUSH(parent, parent->subgraphs, parent->subgraph_count, parent->subgraph_capacity,
              graph)) {
        adze_graph_free(&graph);
        return adze_fail(err, ADZE_NO_MEMORY, "graph: out of memory");
    }
    *out = graph;
    return ADZE_OK;
}

void adze_graph_free(adze_graph **graph)
{
    if (!graph || !*graph)
        return;
    adze_graph *g = *graph;
    for (int i = 0; i < g->subgraph_count; i++)
        adze_graph_free(&g->subgraphs[i]);
    for (int i = 0; i < g->mapping_count; i++)
        adze_mapping_release(&g->mappings[i]);
    adze_arena_free(&g->arena);
    adze_free(g);
    *graph = NULL;
}

bool adze_graph_keep_mapping(adze_graph *graph, adze_mapping *mapping)
{
    if (!PUSH(graph, graph->mappings, graph->mapping_count, graph->mapping_capacity, mapping))
        return false;
    adze_mapping_retain(mapping);
    return true;
}

/* ---- copies into the arena ---- */

const adze_quant *adze_graph_new_quant(adze_graph *graph, int axis, int block, int64_t count,
                                       const float *scale, const int32_t *zero_point)
{
    adze_quant *quant = ADZE_ARENA_NEW(&graph->arena, adze_quant);
    if (!quant || count < 0)
        return NULL;
    size_t n = (size_t)count;
    *quant = (adze_quant){.axis = axis, .block = block, .count = count};
    quant->scale = adze_arena_memdup(&graph->arena, scale, n * sizeof *scale);
    if (zero_point)
        quant->zero_point = adze_arena_memdup(&graph->arena, zero_point, n * sizeof *zero_point);
    return quant->scale && (quant->zero_point || !zero_point) ? quant : NULL;
}

static bool keep_quant(adze_graph *graph, const adze_quant **out, const adze_quant *q)
{
    *out = q ? adze_graph_new_quant(graph, q->axis, q->block, q->count, q->scale, q->zero_point)
             : NULL;
    return *out || !q;
}

bool adze_graph_keep_type(adze_graph *graph, adze_type *out, const adze_type *type)
{
    *out = *type;
    if (!keep_quant(graph, &out->quant, type->quant))
        return false;
    if (!type->inner)
        return true;
    adze_type *inner = ADZE_ARENA_NEW(&graph->arena, adze_type);
    out->inner = inner;
    return inner && adze_graph_keep_type(graph, inner, type->inner);
}

static void *keep_strings(adze_graph *graph, const adze_string *from, size_t n)
{
    adze_string *strings = ADZE_ARENA_ARRAY(&graph->arena, adze_string, n);
    for (size_t i = 0; strings && i < n; i++) {
        strings[i].length = from[i].length;
        strings[i].data = adze_arena_strndup(&graph->arena, from[i].data, from[i].length);
        if (!strings[i].data)
            return NULL;
    }
    return strings;
}

const adze_tensor *adze_graph_keep_tensor(adze_graph *graph, const adze_tensor *tensor, bool copy)
{
    adze_tensor *kept = ADZE_ARENA_NEW(&graph->arena, adze_tensor);
    if (!kept)
        return NULL;
    *kept = *tensor;
    kept->owner = ADZE_BORROWED;
    copy = copy || tensor->size == 0; /* so that even no bytes have an address to count from */
    if (!keep_quant(graph, &kept->quant, tensor->quant))
        return NULL;
    if (copy && tensor->dtype == ADZE_STRING)
        kept->data = keep_strings(graph, tensor->data, (size_t)adze_tensor_elements(tensor));
    else if (copy)
        kept->data = adze_arena_memdup(&graph->arena, tensor->data, tensor->size);
    return kept->data || !copy ? kept : NULL;
}

/* ---- names ---- */

/* A copy of `name` that `map` does not have; `stem` stands in for a missing one. */
static const char *unique_name(adze_graph *graph, const adze_map *map, const char *name,
                               const char *stem, int id)
{
    bool given = name && *name;
    if (given && !adze_map_has(map, name))
        return adze_arena_strdup(&graph->arena, name);
    const char *unique;
    do {
        unique =
            adze_arena_printf(&graph->arena, given ? "%s_%d" : "%s%d", given ? name : stem, id);
        id++;
    } while (unique && adze_map_has(map, unique));
    return unique;
}

bool adze_value_take_name(adze_graph *graph, adze_value *to, adze_value *from)
{
    const char *name = from->name;
    const char *other = unique_name(graph, &graph->by_name, name, "v", from->id);
    if (!other || !adze_map_set(&graph->by_name, other, from) ||
        !adze_map_set(&graph->by_name, name, to))
        return false;
    if (adze_map_get(&graph->by_name, to->name) == to)
        adze_map_remove(&graph->by_name, to->name);
    from->name = other;
    to->name = name;
    return adze_map_set(&graph->by_name, name, to);
}

/* ---- values ---- */

adze_value *adze_graph_new_value(adze_graph *graph, const char *name, const adze_type *type)
{
    adze_value *value = ADZE_ARENA_NEW(&graph->arena, adze_value);
    if (!value)
        return NULL;
    value->id = graph->value_count;
    value->name = unique_name(graph, &graph->by_name, name, "v", value->id);
    value->type.rank = -1;
    bool ok = value->name && (!type || adze_graph_keep_type(graph, &value->type, type)) &&
              adze_map_set(&graph->by_name, value->name, value);
    if (!ok)
        return NULL;
    if (!PUSH(graph, graph->values, graph->value_count, graph->value_capacity, value)) {
        adze_map_remove(&graph->by_name, value->name);
        return NULL;
    }
    return value;
}

adze_value *adze_graph_add_input(adze_graph *graph, const char *name, const adze_type *type)
{
    adze_value *value = adze_graph_new_value(graph, name, type);
    if (!value || !PUSH(graph, graph->inputs, graph->input_count, graph->input_capacity, value))
        return NULL;
    value->role = ADZE_ROLE_INPUT;
    return value;
}

static adze_value *add_filled(adze_graph *graph, const char *name, adze_value_role role,
                              const adze_tensor *tensor, bool copy)
{
    const adze_tensor *kept = adze_graph_keep_tensor(graph, tensor, copy);
    if (!kept)
        return NULL;
    adze_type type = adze_type_tensor(kept->dtype, kept->rank, kept->dims);
    adze_value *value = adze_graph_new_value(graph, name, &type);
    if (!value)
        return NULL;
    value->type.quant = kept->quant;
    value->role = role;
    value->constant = kept;
    return value;
}

adze_value *adze_graph_add_constant(adze_graph *graph, const char *name, const adze_tensor *tensor,
                                    bool copy)
{
    return add_filled(graph, name, ADZE_ROLE_CONSTANT, tensor, copy);
}

adze_value *adze_graph_add_state(adze_graph *graph, const char *name, const adze_tensor *initial)
{
    adze_value *value = add_filled(graph, name, ADZE_ROLE_STATE, initial, initial->data != NULL);
    if (!value || !PUSH(graph, graph->states, graph->state_count, graph->state_capacity, value))
        return NULL;
    return value;
}

void adze_graph_set_next(adze_value *state, adze_value *next)
{
    state->next = next;
}

adze_value *adze_graph_add_capture(adze_graph *graph, const char *name, adze_value *outer)
{
    for (int i = 0; i < graph->capture_count; i++)
        if (graph->captures[i]->outer == outer)
            return graph->captures[i];
    adze_value *value = adze_graph_new_value(graph, name ? name : outer->name, &outer->type);
    if (!value ||
        !PUSH(graph, graph->captures, graph->capture_count, graph->capture_capacity, value))
        return NULL;
    value->role = ADZE_ROLE_CAPTURE;
    value->outer = outer;
    return value;
}

adze_status adze_graph_add_output(adze_graph *graph, adze_value *value, adze_error *err)
{
    if (!value)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "graph %s: an output is missing", graph->name);
    if (!PUSH(graph, graph->outputs, graph->output_count, graph->output_capacity, value))
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: out of memory", graph->name);
    return ADZE_OK;
}

bool adze_value_is_output(const adze_graph *graph, const adze_value *value)
{
    for (int i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == value)
            return true;
    return false;
}

/* ---- nodes ---- */

adze_node *adze_graph_new_node(adze_graph *graph, const char *domain, const char *op_type,
                               const char *name, int inputs, int outputs)
{
    adze_arena *arena = &graph->arena;
    adze_node *node = ADZE_ARENA_NEW(arena, adze_node);
    if (!node || inputs < 0 || outputs < 0)
        return NULL;
    node->graph = graph;
    node->id = graph->next_node_id++;
    node->input_count = inputs;
    node->output_count = outputs;
    node->inputs = ADZE_ARENA_ARRAY(arena, adze_value *, (size_t)inputs);
    node->outputs = ADZE_ARENA_ARRAY(arena, adze_value *, (size_t)outputs);
    node->domain = adze_arena_strdup(arena, domain ? domain : "");
    node->op_type = adze_arena_strdup(arena, op_type);
    const char *stem = adze_arena_printf(arena, "%s_", op_type);
    if (!node->inputs || !node->outputs || !node->domain || !node->op_type || !stem)
        return NULL;
    node->name = unique_name(graph, &graph->node_names, name, stem, node->id);
    for (int i = 0; i < outputs; i++) {
        adze_value *value = adze_graph_new_value(graph, NULL, NULL);
        if (!value)
            return NULL;
        value->producer = node;
        value->producer_output = i;
        node->outputs[i] = value;
    }
    return node->name && adze_map_set(&graph->node_names, node->name, node) ? node : NULL;
}

bool adze_graph_append(adze_graph *graph, adze_node *node)
{
    return PUSH(graph, graph->nodes, graph->node_count, graph->node_capacity, node);
}

adze_node *adze_graph_add_node(adze_graph *graph, const char *domain, const char *op,
                               const char *name, int input_count, adze_value *const *inputs,
                               int output_count)
{
    adze_node *node = adze_graph_new_node(graph, domain, op, name, input_count, output_count);
    if (!node)
        return NULL;
    for (int i = 0; i < input_count; i++)
        node->inputs[i] = inputs[i];
    if (!adze_graph_append(graph, node)) {
        adze_node_kill(node);
        return NULL;
    }
    return node;
}

/* ---- symbols ---- */

adze_dim adze_graph_symbol(adze_graph *graph, const char *name)
{
    return adze_dim_symbol(graph->dims, name);
}

adze_status adze_graph_bound(adze_graph *graph, const char *name, int64_t lower, int64_t upper,
                             adze_error *err)
{
    adze_dims *dims = graph->dims;
    for (int i = 0; i < dims->count; i++) {
        adze_dim_def *def = &dims->defs[i];
        if (def->kind != ADZE_DIM_SYMBOL || strcmp(def->name, name) != 0)
            continue;
        int64_t low = ADZE_MAX(def->lower, lower), high = ADZE_MIN(def->upper, upper);
        if (low > high)
            return adze_fail(err, ADZE_BAD_ARGUMENT,
                             "dimension %s: bounds %lld..%lld do not meet %lld..%lld", name,
                             (long long)lower, (long long)upper, (long long)def->lower,
                             (long long)def->upper);
        def->lower = low;
        def->upper = high;
        adze_dims_update_bounds(dims);
        return ADZE_OK;
    }
    return adze_fail(err, ADZE_NOT_FOUND, "no dimension is called %s", name);
}

/* ---- reading ---- */

int adze_graph_input_count(const adze_graph *graph)
{
    return graph->input_count;
}

int adze_graph_output_count(const adze_graph *graph)
{
    return graph->output_count;
}

int adze_graph_node_count(const adze_graph *graph)
{
    return graph->node_count;
}

const adze_value *adze_graph_input(const adze_graph *graph, int i)
{
    return i >= 0 && i < graph->input_count ? graph->inputs[i] : NULL;
}

const adze_value *adze_graph_output(const adze_graph *graph, int i)
{
    return i >= 0 && i < graph->output_count ? graph->outputs[i] : NULL;
}

const adze_node *adze_graph_node(const adze_graph *graph, int i)
{
    return i >= 0 && i < graph->node_count ? graph->nodes[i] : NULL;
}

const adze_value *adze_graph_find(const adze_graph *graph, const char *name)
{
    return adze_map_get(&graph->by_name, name);
}

const char *adze_value_name(const adze_value *value)
{
    return value->name;
}

const adze_type *adze_value_type(const adze_value *value)
{
    return &value->type;
}

const adze_tensor *adze_value_constant(const adze_value *value)
{
    return value->role == ADZE_ROLE_CONSTANT ? value->constant : NULL;
}
