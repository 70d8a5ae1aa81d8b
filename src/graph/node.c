/* Nodes and their attributes: setting copies into the graph's arena, reading forgives absence. */
#include "graph/ir.h"

#include <string.h>

/* ---- setting ---- */

static const adze_string *copy_strings(adze_arena *arena, const adze_string *from, int n)
{
    adze_string *strings = ADZE_ARENA_ARRAY(arena, adze_string, (size_t)n);
    for (int i = 0; strings && i < n; i++) {
        strings[i].length = from[i].length;
        strings[i].data = adze_arena_strndup(arena, from[i].data, from[i].length);
        if (!strings[i].data)
            return NULL;
    }
    return strings;
}

static const adze_type *copy_type(adze_graph *graph, const adze_type *type)
{
    adze_type *copy = ADZE_ARENA_NEW(&graph->arena, adze_type);
    return copy && adze_graph_keep_type(graph, copy, type) ? copy : NULL;
}

/* Makes `attr` point into the arena of `graph` alone. */
static bool keep_content(adze_graph *graph, adze_attr *attr)
{
    adze_arena *arena = &graph->arena;
    size_t n = (size_t)attr->count;
    switch (attr->type) {
    case ADZE_ATTR_INT:
    case ADZE_ATTR_FLOAT: return true;
    case ADZE_ATTR_STRING: attr->as.s = adze_arena_strdup(arena, attr->as.s); return attr->as.s;
    case ADZE_ATTR_INTS:
        attr->as.ints = adze_arena_memdup(arena, attr->as.ints, n * sizeof *attr->as.ints);
        return attr->as.ints;
    case ADZE_ATTR_FLOATS:
        attr->as.floats = adze_arena_memdup(arena, attr->as.floats, n * sizeof *attr->as.floats);
        return attr->as.floats;
    case ADZE_ATTR_STRINGS:
        attr->as.strings = copy_strings(arena, attr->as.strings, attr->count);
        return attr->as.strings;
    case ADZE_ATTR_TENSOR:
        attr->as.tensor = adze_graph_keep_tensor(graph, attr->as.tensor, true);
        return attr->as.tensor;
    case ADZE_ATTR_GRAPH: return attr->as.graph->parent == graph;
    case ADZE_ATTR_TYPE:
        attr->as.value_type = copy_type(graph, attr->as.value_type);
        return attr->as.value_type;
    }
    return false;
}

static adze_attr *find(const adze_node *node, const char *name)
{
    for (int i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

static bool put(adze_node *node, const adze_attr *attr)
{
    adze_attr *old = find(node, attr->name);
    if (old) {
        *old = *attr;
        return true;
    }
    if (!adze_arena_grow(&node->graph->arena, &node->attrs, &node->attr_capacity, node->attr_count,
                         sizeof *attr))
        return false;
    node->attrs[node->attr_count++] = *attr;
    return true;
}

bool adze_node_set_attr(adze_node *node, const adze_attr *attr)
{
    adze_attr copy = *attr;
    copy.name = adze_arena_strdup(&node->graph->arena, attr->name);
    return copy.name && copy.count >= 0 && keep_content(node->graph, &copy) && put(node, &copy);
}

bool adze_node_copy_attrs(adze_node *to, const adze_node *from)
{
    for (int i = 0; i < from->attr_count; i++) {
        bool same = to->graph == from->graph; /* the arena has it already */
        if (!(same ? put(to, &from->attrs[i]) : adze_node_set_attr(to, &from->attrs[i])))
            return false;
    }
    return true;
}

void adze_node_remove_attr(adze_node *node, const char *name)
{
    adze_attr *attr = find(node, name);
    if (!attr)
        return;
    adze_attr *end = node->attrs + node->attr_count--;
    memmove(attr, attr + 1, (size_t)(end - attr - 1) * sizeof *attr);
}

bool adze_node_set_int(adze_node *node, const char *name, int64_t value)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_INT, .as.i = value};
    return adze_node_set_attr(node, &attr);
}

bool adze_node_set_float(adze_node *node, const char *name, float value)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_FLOAT, .as.f = value};
    return adze_node_set_attr(node, &attr);
}

bool adze_node_set_string(adze_node *node, const char *name, const char *value)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_STRING, .as.s = value};
    return adze_node_set_attr(node, &attr);
}

bool adze_node_set_ints(adze_node *node, const char *name, int n, const int64_t *values)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_INTS, .count = n, .as.ints = values};
    return adze_node_set_attr(node, &attr);
}

bool adze_node_set_floats(adze_node *node, const char *name, int n, const float *values)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_FLOATS, .count = n, .as.floats = values};
    return adze_node_set_attr(node, &attr);
}

bool adze_node_add_input(adze_node *node, adze_value *value)
{
    adze_value **inputs =
        ADZE_ARENA_ARRAY(&node->graph->arena, adze_value *, (size_t)node->input_count + 1);
    if (!inputs)
        return false;
    for (int i = 0; i < node->input_count; i++)
        inputs[i] = node->inputs[i];
    inputs[node->input_count++] = value;
    node->inputs = inputs;
    return true;
}

/* ---- reading ---- */

const adze_attr *adze_node_attr(const adze_node *node, const char *name)
{
    return find(node, name);
}

bool adze_node_has(const adze_node *node, const char *name)
{
    return find(node, name);
}

int64_t adze_node_int(const adze_node *node, const char *name, int64_t otherwise)
{
    const adze_attr *attr = find(node, name);
    return attr && attr->type == ADZE_ATTR_INT ? attr->as.i : otherwise;
}

float adze_node_float(const adze_node *node, const char *name, float otherwise)
{
    const adze_attr *attr = find(node, name);
    if (attr && attr->type == ADZE_ATTR_INT)
        return (float)attr->as.i;
    return attr && attr->type == ADZE_ATTR_FLOAT ? attr->as.f : otherwise;
}

const char *adze_node_string(const adze_node *node, const char *name, const char *otherwise)
{
    const adze_attr *attr = find(node, name);
    return attr && attr->type == ADZE_ATTR_STRING ? attr->as.s : otherwise;
}

const int64_t *adze_node_ints(const adze_node *node, const char *name, int *count)
{
    const adze_attr *attr = find(node, name);
    bool is_list = attr && attr->type == ADZE_ATTR_INTS;
    *count = is_list ? attr->count : 0;
    return is_list ? attr->as.ints : NULL;
}

const float *adze_node_floats(const adze_node *node, const char *name, int *count)
{
    const adze_attr *attr = find(node, name);
    bool is_list = attr && attr->type == ADZE_ATTR_FLOATS;
    *count = is_list ? attr->count : 0;
    return is_list ? attr->as.floats : NULL;
}

const char *adze_node_name(const adze_node *node)
{
    return node->name;
}

const char *adze_node_op(const adze_node *node)
{
    return node->op_type;
}

const char *adze_node_domain(const adze_node *node)
{
    return node->domain;
}

int adze_node_input_count(const adze_node *node)
{
    return node->input_count;
}

int adze_node_output_count(const adze_node *node)
{
    return node->output_count;
}

const adze_value *adze_node_input(const adze_node *node, int i)
{
    return i >= 0 && i < node->input_count ? node->inputs[i] : NULL;
}

const adze_value *adze_node_output(const adze_node *node, int i)
{
    return i >= 0 && i < node->output_count ? node->outputs[i] : NULL;
}
