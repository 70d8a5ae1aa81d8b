/* Deep copies. Ids stay the same, so that side tables made for the original fit the copy. Only the
 * bytes of constants are shared. */
#include "graph/ir.h"

typedef struct cloner {
    const struct cloner *enclosing; /* of the graph around; NULL at the top */
    const adze_graph *from;
    adze_graph *to;
} cloner;

static adze_value *twin(const cloner *c, const adze_value *value)
{
    return value ? c->to->values[value->id] : NULL;
}

static bool copy_name(adze_graph *to, const char **out, const char *name)
{
    *out = name ? adze_arena_strdup(&to->arena, name) : NULL;
    return *out || !name;
}

static adze_value *copy_value(const cloner *c, const adze_value *from)
{
    adze_graph *to = c->to;
    adze_value *value = ADZE_ARENA_NEW(&to->arena, adze_value);
    if (!value)
        return NULL;
    *value = *from;
    value->producer = NULL;
    if (!copy_name(to, &value->name, from->name) ||
        !adze_graph_keep_type(to, &value->type, &from->type))
        return NULL;
    if (from->known) {
        size_t size = (size_t)from->known_count * sizeof *from->known;
        value->known = adze_arena_memdup(&to->arena, from->known, size);
        if (!value->known)
            return NULL;
    }
    if (from->constant) {
        value->constant = adze_graph_keep_tensor(to, from->constant, false);
        if (!value->constant)
            return NULL;
        value->type.quant = value->constant->quant;
    }
    if (from->outer && c->enclosing)
        value->outer = twin(c->enclosing, from->outer);
    bool named = adze_map_get(&c->from->by_name, from->name) == from;
    return !named || adze_map_set(&to->by_name, value->name, value) ? value : NULL;
}

static bool copy_values(const cloner *c)
{
    adze_graph *to = c->to;
    for (int i = 0; i < c->from->value_count; i++) {
        adze_value *value = copy_value(c, c->from->values[i]);
        if (!value || !adze_arena_grow(&to->arena, &to->values, &to->value_capacity,
                                       to->value_count, sizeof(adze_value *)))
            return false;
        to->values[to->value_count++] = value;
    }
    for (int i = 0; i < c->from->value_count; i++)
        to->values[i]->next = twin(c, c->from->values[i]->next);
    return true;
}

static bool copy_list(const cloner *c, adze_value ***out, int *count, adze_value *const *from,
                      int n)
{
    *out = ADZE_ARENA_ARRAY(&c->to->arena, adze_value *, (size_t)n);
    for (int i = 0; *out && i < n; i++)
        (*out)[i] = twin(c, from[i]);
    *count = *out ? n : 0;
    return *out;
}

static bool copy_lists(const cloner *c)
{
    adze_graph *to = c->to;
    const adze_graph *from = c->from;
    bool ok = copy_list(c, &to->inputs, &to->input_count, from->inputs, from->input_count) &&
              copy_list(c, &to->outputs, &to->output_count, from->outputs, from->output_count) &&
              copy_list(c, &to->states, &to->state_count, from->states, from->state_count) &&
              copy_list(c, &to->captures, &to->capture_count, from->captures, from->capture_count);
    to->input_capacity = to->input_count;
    to->output_capacity = to->output_count;
    to->state_capacity = to->state_count;
    to->capture_capacity = to->capture_count;
    return ok;
}

static bool fill(const cloner *c);

static bool copy_attrs(const cloner *c, adze_node *to, const adze_node *from)
{
    for (int i = 0; i < from->attr_count; i++) {
        adze_attr attr = from->attrs[i];
        if (attr.type == ADZE_ATTR_GRAPH) {
            cloner inner = {c, attr.as.graph, NULL};
            if (adze_graph_create_child(&inner.to, c->to, NULL) != ADZE_OK || !fill(&inner))
                return false;
            attr.as.graph = inner.to;
        }
        if (!adze_node_set_attr(to, &attr))
            return false;
    }
    return true;
}

static adze_node *copy_node(const cloner *c, const adze_node *from)
{
    adze_graph *to = c->to;
    adze_node *node = ADZE_ARENA_NEW(&to->arena, adze_node);
    if (!node)
        return NULL;
    *node = (adze_node){.id = from->id, .op = from->op, .graph = to};
    bool ok =
        copy_name(to, &node->name, from->name) && copy_name(to, &node->domain, from->domain) &&
        copy_name(to, &node->op_type, from->op_type) &&
        copy_list(c, &node->inputs, &node->input_count, from->inputs, from->input_count) &&
        copy_list(c, &node->outputs, &node->output_count, from->outputs, from->output_count) &&
        copy_attrs(c, node, from) && adze_map_set(&to->node_names, node->name, node);
    for (int i = 0; ok && i < node->output_count; i++)
        if (node->outputs[i])
            node->outputs[i]->producer = node;
    return ok ? node : NULL;
}

static bool copy_nodes(const cloner *c)
{
    for (int i = 0; i < c->from->node_count; i++) {
        if (c->from->nodes[i]->dead)
            continue;
        adze_node *node = copy_node(c, c->from->nodes[i]);
        if (!node || !adze_graph_append(c->to, node))
            return false;
    }
    c->to->next_node_id = c->from->next_node_id;
    return true;
}

static bool fill(const cloner *c)
{
    for (int i = 0; i < c->from->mapping_count; i++)
        if (!adze_graph_keep_mapping(c->to, c->from->mappings[i]))
            return false;
    return copy_name(c->to, &c->to->name, c->from->name) && copy_values(c) && copy_lists(c) &&
           copy_nodes(c);
}

adze_status adze_graph_clone(adze_graph **out, const adze_graph *graph, adze_error *err)
{
    cloner c = {NULL, graph, NULL};
    ADZE_TRY(adze_graph_create(&c.to, graph->context, err));
    if (!adze_dims_copy(c.to->dims, graph->dims) || !fill(&c)) {
        adze_graph_free(&c.to);
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: out of memory", graph->name);
    }
    *out = c.to;
    return ADZE_OK;
}
