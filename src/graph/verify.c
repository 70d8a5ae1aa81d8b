/* What must hold between passes. A failure is a bug of the pass that ran last, never of a file. */
#include "graph/ir.h"

#include <string.h>

typedef struct checker {
    const adze_graph *graph;
    const char *after;
    adze_error *err;
    bool *defined; /* [value_count] */
} checker;

#define BROKEN(c, format, ...)                                                                     \
    adze_fail((c)->err, ADZE_INTERNAL, "graph %s after %s: " format, (c)->graph->name, (c)->after, \
              __VA_ARGS__)

static bool belongs(const checker *c, const adze_value *value)
{
    return value->id >= 0 && value->id < c->graph->value_count &&
           c->graph->values[value->id] == value;
}

static adze_status check_type(const checker *c, const adze_value *value)
{
    const adze_type *type = &value->type;
    if (type->rank < -1 || type->rank > ADZE_MAX_RANK)
        return BROKEN(c, "value %s has rank %d", value->name, type->rank);
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] < 0 && !adze_dim_get(c->graph->dims, type->dims[i]))
            return BROKEN(c, "dimension %d of value %s is not defined", i, value->name);
    for (int i = 0; i < value->known_count; i++)
        if (value->known[i] < 0 && value->known[i] > INT64_MIN / 2 && /* below: coded numbers */
            !adze_dim_get(c->graph->dims, value->known[i]))
            return BROKEN(c, "element %d known of value %s is not defined", i, value->name);
    return ADZE_OK;
}

static adze_status check_content(const checker *c, const adze_value *value)
{
    const adze_tensor *t = value->constant;
    if (!t)
        return BROKEN(c, "value %s has no content", value->name);
    bool same = t->dtype == value->type.dtype && t->rank == value->type.rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dims[i] == value->type.dims[i];
    if (!same)
        return BROKEN(c, "the content of value %s is not of its type", value->name);
    return ADZE_OK;
}

static adze_status check_value(const checker *c, const adze_value *value, int id)
{
    if (value->id != id || !value->name || !*value->name)
        return BROKEN(c, "value %d has id %d and no name", id, value->id);
    bool computed = value->role == ADZE_ROLE_COMPUTED;
    if (computed != (value->producer != NULL) && !computed)
        return BROKEN(c, "value %s has a producer and a role of its own", value->name);
    if (computed && !value->producer)
        return ADZE_OK; /* dead */
    if (adze_map_get(&c->graph->by_name, value->name) != value)
        return BROKEN(c, "another value is called %s too", value->name);
    if (value->role == ADZE_ROLE_CAPTURE && !value->outer)
        return BROKEN(c, "value %s stands for no value outside", value->name);
    ADZE_TRY(check_type(c, value));
    if (value->role == ADZE_ROLE_CONSTANT || value->role == ADZE_ROLE_STATE)
        return check_content(c, value);
    return ADZE_OK;
}

static adze_status check_use(const checker *c, const adze_value *value, const char *user)
{
    if (!belongs(c, value))
        return BROKEN(c, "%s uses value %s of another graph", user, value->name);
    if (value->role == ADZE_ROLE_COMPUTED && !c->defined[value->id])
        return BROKEN(c, "%s uses value %s, which nothing before it makes", user, value->name);
    return ADZE_OK;
}

static adze_status check_graph(const adze_graph *graph, const char *after, adze_arena *scratch,
                               adze_error *err);

static adze_status check_subgraphs(const checker *c, const adze_node *node, adze_arena *scratch)
{
    for (int i = 0; i < node->attr_count; i++) {
        const adze_attr *attr = &node->attrs[i];
        if (attr->type != ADZE_ATTR_GRAPH)
            continue;
        if (attr->as.graph->parent != c->graph)
            return BROKEN(c, "node %s carries a graph of another one", node->name);
        for (int k = 0; k < attr->as.graph->capture_count; k++)
            ADZE_TRY(check_use(c, attr->as.graph->captures[k]->outer, node->name));
        ADZE_TRY(check_graph(attr->as.graph, c->after, scratch, c->err));
    }
    return ADZE_OK;
}

static adze_status check_node(const checker *c, const adze_node *node, adze_arena *scratch)
{
    if (node->dead || node->graph != c->graph)
        return BROKEN(c, "node %s is dead or of another graph", node->name);
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i])
            ADZE_TRY(check_use(c, node->inputs[i], node->name));
    ADZE_TRY(check_subgraphs(c, node, scratch));
    for (int i = 0; i < node->output_count; i++) {
        const adze_value *value = node->outputs[i];
        if (!value)
            continue;
        if (!belongs(c, value) || value->producer != node || value->producer_output != i)
            return BROKEN(c, "output %d of node %s does not know its producer", i, node->name);
        if (c->defined[value->id])
            return BROKEN(c, "value %s is made twice", value->name);
        c->defined[value->id] = true;
    }
    return ADZE_OK;
}

static adze_status check_lists(const checker *c)
{
    const adze_graph *graph = c->graph;
    for (int i = 0; i < graph->output_count; i++)
        ADZE_TRY(check_use(c, graph->outputs[i], "the graph's output"));
    for (int i = 0; i < graph->input_count; i++)
        if (!belongs(c, graph->inputs[i]) || graph->inputs[i]->role != ADZE_ROLE_INPUT)
            return BROKEN(c, "input %d is no input", i);
    for (int i = 0; i < graph->state_count; i++) {
        if (!belongs(c, graph->states[i]) || graph->states[i]->role != ADZE_ROLE_STATE)
            return BROKEN(c, "state %d is no state", i);
        if (graph->states[i]->next)
            ADZE_TRY(check_use(c, graph->states[i]->next, "a state"));
    }
    return ADZE_OK;
}

static adze_status check_graph(const adze_graph *graph, const char *after, adze_arena *scratch,
                               adze_error *err)
{
    checker c = {graph, after ? after : "building", err, NULL};
    c.defined = ADZE_ARENA_ARRAY(scratch, bool, (size_t)graph->value_count);
    if (!c.defined)
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: out of memory", graph->name);
    if (graph->dims->failed)
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: no memory for dimensions", graph->name);
    for (int i = 0; i < graph->value_count; i++)
        ADZE_TRY(check_value(&c, graph->values[i], i));
    for (int i = 0; i < graph->node_count; i++)
        ADZE_TRY(check_node(&c, graph->nodes[i], scratch));
    return check_lists(&c);
}

adze_status adze_graph_verify(const adze_graph *graph, const char *after, adze_error *err)
{
    adze_arena scratch = {0};
    adze_status status = check_graph(graph, after, &scratch, err);
    adze_arena_free(&scratch);
    return status;
}
