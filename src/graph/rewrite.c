/* What passes do to graphs: who uses what, replacing, killing, inserting, sorting. A use by a subgraph
 * counts as a use by the node that carries the subgraph. */
#include "graph/ir.h"

#include <string.h>

/* ---- uses ---- */

typedef void (*use_fn)(void *user, adze_node *node, adze_value *value);

static void each_use_of_node(adze_node *node, use_fn fn, void *user)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i])
            fn(user, node, node->inputs[i]);
    for (int i = 0; i < node->attr_count; i++) {
        const adze_attr *attr = &node->attrs[i];
        for (int c = 0; attr->type == ADZE_ATTR_GRAPH && c < attr->as.graph->capture_count; c++)
            fn(user, node, attr->as.graph->captures[c]->outer);
    }
}

static void each_use(const adze_graph *graph, use_fn fn, void *user)
{
    for (int i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->dead)
            each_use_of_node(graph->nodes[i], fn, user);
    for (int i = 0; i < graph->output_count; i++)
        fn(user, NULL, graph->outputs[i]);
    for (int i = 0; i < graph->state_count; i++)
        if (graph->states[i]->next)
            fn(user, NULL, graph->states[i]->next);
}

static void count_use(void *user, adze_node *node, adze_value *value)
{
    adze_uses *uses = user;
    ADZE_UNUSED(node);
    uses->count[value->id]++;
}

static void record_use(void *user, adze_node *node, adze_value *value)
{
    adze_uses *uses = user;
    uses->users[value->id][uses->count[value->id]++] = node;
}

bool adze_uses_build(adze_uses *uses, const adze_graph *graph, adze_arena *scratch)
{
    size_t n = (size_t)graph->value_count, total = 0;
    uses->count = ADZE_ARENA_ARRAY(scratch, int, n);
    uses->users = ADZE_ARENA_ARRAY(scratch, adze_node **, n);
    if (!uses->count || !uses->users)
        return false;
    each_use(graph, count_use, uses);
    for (size_t i = 0; i < n; i++)
        total += (size_t)uses->count[i];
    adze_node **all = ADZE_ARENA_ARRAY(scratch, adze_node *, total);
    if (!all)
        return false;
    for (size_t i = 0; i < n; i++) {
        uses->users[i] = all;
        all += uses->count[i];
        uses->count[i] = 0;
    }
    each_use(graph, record_use, uses);
    return true;
}

static void replace_in(adze_value **list, int count, const adze_value *from, adze_value *to)
{
    for (int i = 0; i < count; i++)
        if (list[i] == from)
            list[i] = to;
}

void adze_graph_replace_uses(adze_graph *graph, adze_value *from, adze_value *to)
{
    for (int i = 0; i < graph->node_count; i++)
        replace_in(graph->nodes[i]->inputs, graph->nodes[i]->input_count, from, to);
    replace_in(graph->outputs, graph->output_count, from, to);
    for (int i = 0; i < graph->state_count; i++)
        replace_in(&graph->states[i]->next, 1, from, to);
    for (int i = 0; i < graph->subgraph_count; i++)
        for (int c = 0; c < graph->subgraphs[i]->capture_count; c++)
            replace_in(&graph->subgraphs[i]->captures[c]->outer, 1, from, to);
}

/* ---- the list of nodes ---- */

void adze_node_kill(adze_node *node)
{
    adze_graph *graph = node->graph;
    node->dead = true;
    if (node->name && adze_map_get(&graph->node_names, node->name) == node)
        adze_map_remove(&graph->node_names, node->name);
    for (int i = 0; i < node->output_count; i++) {
        adze_value *value = node->outputs[i];
        if (!value || value->producer != node)
            continue;
        value->producer = NULL;
        if (adze_map_get(&graph->by_name, value->name) == value)
            adze_map_remove(&graph->by_name, value->name);
    }
}

void adze_graph_compact(adze_graph *graph)
{
    int kept = 0;
    for (int i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->dead)
            graph->nodes[kept++] = graph->nodes[i];
    graph->node_count = kept;
}

bool adze_graph_insert(adze_graph *graph, int at, adze_node *node)
{
    if (!adze_graph_append(graph, node))
        return false;
    adze_node **place = graph->nodes + at;
    memmove(place + 1, place, (size_t)(graph->node_count - 1 - at) * sizeof *place);
    *place = node;
    return true;
}

/* ---- sorting ---- */

/* Depth-first from each node in turn, producers before users: an order that is right stays as it is.
 * The stack holds nodes and how far their uses have been followed, so depth costs no C stack. */
typedef struct sorter {
    int *position; /* [next_node_id] of the node in the old order, -1: not in the list */
    char *state;   /* [node_count] 0 new, 1 on the stack, 2 done */
    int *stack;    /* positions */
    int *first;    /* [node_count + 1] where the producers of a node start in `needs` */
    int *needs;    /* positions of producers */
    int need_count, depth;
} sorter;

static void count_need(void *user, adze_node *node, adze_value *value)
{
    sorter *s = user;
    if (value->producer && value->producer->graph == node->graph)
        s->need_count++;
}

static void record_need(void *user, adze_node *node, adze_value *value)
{
    sorter *s = user;
    if (value->producer && value->producer->graph == node->graph)
        s->needs[s->need_count++] = s->position[value->producer->id];
}

static bool prepare_sorter(sorter *s, const adze_graph *graph, adze_arena *arena)
{
    size_t n = (size_t)graph->node_count;
    s->position = ADZE_ARENA_ARRAY(arena, int, (size_t)graph->next_node_id);
    s->state = ADZE_ARENA_ARRAY(arena, char, n);
    s->stack = ADZE_ARENA_ARRAY(arena, int, n);
    s->first = ADZE_ARENA_ARRAY(arena, int, n + 1);
    if (!s->position || !s->state || !s->stack || !s->first)
        return false;
    for (int i = 0; i < graph->next_node_id; i++)
        s->position[i] = -1;
    for (int i = 0; i < graph->node_count; i++) {
        s->position[graph->nodes[i]->id] = i;
        each_use_of_node(graph->nodes[i], count_need, s);
    }
    s->needs = ADZE_ARENA_ARRAY(arena, int, (size_t)s->need_count);
    s->need_count = 0;
    if (!s->needs)
        return false;
    for (int i = 0; i < graph->node_count; i++) {
        s->first[i] = s->need_count;
        each_use_of_node(graph->nodes[i], record_need, s);
    }
    s->first[n] = s->need_count;
    return true;
}

/* Puts `root` and all it needs behind sorted[*count]. `next` is how far each node has been followed.
 * Returns the position of a node on a cycle, or -1. */
static int visit(sorter *s, int root, int *next, int *sorted, int *count)
{
    s->stack[0] = root;
    s->depth = 1;
    s->state[root] = 1;
    while (s->depth > 0) {
        int at = s->stack[s->depth - 1];
        if (next[at] == s->first[at + 1]) {
            s->state[at] = 2;
            sorted[(*count)++] = at;
            s->depth--;
            continue;
        }
        int need = s->needs[next[at]++];
        if (need < 0 || s->state[need] == 2)
            continue;
        if (s->state[need] == 1)
            return need;
        s->state[need] = 1;
        s->stack[s->depth++] = need;
    }
    return -1;
}

static adze_status sort_nodes(adze_graph *graph, adze_arena *arena, adze_error *err)
{
    sorter s = {0};
    size_t n = (size_t)graph->node_count;
    int *next = ADZE_ARENA_ARRAY(arena, int, n), *sorted = ADZE_ARENA_ARRAY(arena, int, n);
    adze_node **nodes = ADZE_ARENA_ARRAY(arena, adze_node *, n);
    if (!next || !sorted || !nodes || !prepare_sorter(&s, graph, arena))
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: out of memory", graph->name);
    memcpy(next, s.first, n * sizeof *next);
    int count = 0;
    for (int i = 0; i < graph->node_count; i++) {
        int cycle = s.state[i] == 0 ? visit(&s, i, next, sorted, &count) : -1;
        if (cycle >= 0)
            return adze_fail(err, ADZE_BAD_MODEL,
                             "node %s (%s) needs its own result: the graph has a cycle",
                             graph->nodes[cycle]->name, graph->nodes[cycle]->op_type);
    }
    for (size_t i = 0; i < n; i++)
        nodes[i] = graph->nodes[sorted[i]];
    memcpy(graph->nodes, nodes, n * sizeof *nodes);
    return ADZE_OK;
}

adze_status adze_graph_sort(adze_graph *graph, adze_error *err)
{
    adze_arena scratch = {0};
    if (graph->node_count == 0)
        return ADZE_OK;
    adze_status status = sort_nodes(graph, &scratch, err);
    adze_arena_free(&scratch);
    return status;
}
