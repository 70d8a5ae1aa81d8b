/* Graphs inside nodes. A plan has a plan for each, made with it; a session has a session for each, opened
 * with it and run by the same executor. Dimensions are those of the whole model, so a child takes their
 * values from the session around it; what only data decide is found turn by turn, as everywhere. */
#include <string.h>

#include "runtime/session_impl.h"

/* ---- plans ---- */

/* What a capture stands for is known by now: constants become the child's own, so that weights are packed
 * and folded in there too. */
static void settle_captures(adze_graph *graph)
{
    int kept = 0;
    for (int i = 0; i < graph->capture_count; i++) {
        adze_value *v = graph->captures[i];
        const adze_value *outer = v->outer;
        v->type = outer->type;
        v->known = outer->known;
        v->known_count = outer->known_count;
        if (outer->role == ADZE_ROLE_CONSTANT) {
            v->role = ADZE_ROLE_CONSTANT;
            v->constant = outer->constant;
            v->outer = NULL;
        } else {
            graph->captures[kept++] = v;
        }
    }
    graph->capture_count = kept;
}

static int count_graphs(const adze_node *node)
{
    int count = 0;
    for (int i = 0; i < node->attr_count; i++)
        count += node->attrs[i].type == ADZE_ATTR_GRAPH;
    return count;
}

/* A body whose types contradict each other may be one that is never run (the other branch of an If): that
 * is told when it is run. */
static adze_status plan_child(adze_plan *plan, adze_child_plan *child, adze_graph *graph,
                              adze_error *err)
{
    adze_error why = {0};
    settle_captures(graph);
    child->graph = graph;
    adze_status status = adze_plan_create_child(&child->plan, plan, graph, &why);
    if (status == ADZE_BAD_MODEL) {
        child->error = adze_arena_strdup(&plan->arena, why.message);
        return child->error ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "plan");
    }
    if (status != ADZE_OK && err)
        *err = why;
    return status;
}

adze_status adze_plan_children(adze_plan *plan, adze_step *step, adze_error *err)
{
    const adze_node *node = step->node;
    int count = count_graphs(node);
    step->children = ADZE_ARENA_ARRAY(&plan->arena, adze_child_plan, (size_t)count + 1);
    if (!step->children)
        return adze_fail(err, ADZE_NO_MEMORY, "plan");
    size_t values = (size_t)(node->input_count + node->output_count);
    for (int i = 0; i < node->attr_count; i++) {
        if (node->attrs[i].type != ADZE_ATTR_GRAPH)
            continue;
        adze_child_plan *child = &step->children[step->child_count++];
        ADZE_TRY(plan_child(plan, child, node->attrs[i].as.graph, err));
        values += (size_t)(child->graph->input_count + child->graph->output_count);
    }
    step->shelf_count = (int)ADZE_MIN(5 * values + 8, (size_t)INT32_MAX);
    return ADZE_OK;
}

void adze_plan_free_children(adze_plan *plan)
{
    for (int s = 0; s < plan->step_count; s++)
        for (int c = 0; c < plan->steps[s].child_count; c++)
            adze_plan_free(&plan->steps[s].children[c].plan);
}

/* ---- sessions ---- */

adze_status adze_session_open_children(adze_session *s, adze_error *err)
{
    const adze_plan *plan = s->plan;
    for (int i = 0; i < plan->step_count; i++) {
        const adze_step *step = &plan->steps[i];
        if (step->child_count == 0)
            continue;
        adze_inside *in = &s->inside[i];
        in->shelves = ADZE_ARENA_ARRAY(&s->memory, adze_shelf, (size_t)step->shelf_count);
        in->sessions = ADZE_ARENA_ARRAY(&s->memory, adze_session *, (size_t)step->child_count);
        if (!in->shelves || !in->sessions)
            return adze_fail(err, ADZE_NO_MEMORY, "session");
        for (int c = 0; c < step->child_count; c++)
            if (step->children[c].plan)
                ADZE_TRY(adze_session_open_child(&in->sessions[c], step->children[c].plan, s, err));
    }
    return ADZE_OK;
}

void adze_session_close_children(adze_session *s)
{
    for (int i = 0; s->inside && i < s->plan->step_count; i++) {
        const adze_step *step = &s->plan->steps[i];
        adze_inside *in = &s->inside[i];
        for (int c = 0; in->sessions && c < step->child_count; c++)
            adze_session_close(&in->sessions[c]);
        for (int k = 0; in->shelves && k < step->shelf_count; k++)
            adze_free(in->shelves[k].bytes);
    }
}

size_t adze_session_inside_memory(const adze_session *s)
{
    size_t total = 0;
    for (int i = 0; i < s->plan->step_count; i++) {
        const adze_step *step = &s->plan->steps[i];
        const adze_inside *in = &s->inside[i];
        for (int c = 0; in->sessions && c < step->child_count; c++)
            total += in->sessions[c] ? adze_session_memory(in->sessions[c]) : 0;
        for (int k = 0; in->shelves && k < step->shelf_count; k++)
            total += in->shelves[k].capacity;
    }
    return total;
}

/* ---- running ---- */

static int child_of(const adze_run *run, const adze_graph *graph)
{
    const adze_session *s = run->session;
    const adze_step *step = &s->plan->steps[run - s->runs];
    for (int c = 0; c < step->child_count; c++)
        if (step->children[c].graph == graph)
            return c;
    return -1;
}

adze_status adze_session_run_graph(adze_run *run, const adze_graph *graph, const adze_item *inputs,
                                   adze_item *outputs, adze_error *err)
{
    adze_session *s = run->session;
    const adze_node *node = run->node;
    int c = child_of(run, graph);
    if (c < 0)
        return adze_fail(err, ADZE_INTERNAL, "%s '%s': a graph without a plan", node->op_type,
                         node->name);
    adze_session *child = s->inside[run - s->runs].sessions[c];
    if (!child)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': its graph cannot run: %s", node->op_type,
                         node->name, s->plan->steps[run - s->runs].children[c].error);
    const adze_graph *g = child->plan->graph;
    for (int i = 0; i < g->capture_count; i++)
        child->items[g->captures[i]->id] = s->items[g->captures[i]->outer->id];
    return adze_session_run_items(child, inputs, outputs, err);
}

bool adze_session_graph_lasts(adze_run *run, const adze_graph *graph, int output)
{
    const adze_session *s = run->session;
    int c = child_of(run, graph);
    const adze_plan *plan = s->plan->steps[run - s->runs].children[c].plan;
    int root = plan->slots[plan->graph->outputs[output]->id].root;
    return plan->slots[root].place != ADZE_PLACE_INPUT;
}

void *adze_session_shelf(adze_run *run, int slot, size_t size)
{
    adze_session *s = run->session;
    const adze_step *step = &s->plan->steps[run - s->runs];
    if (slot < 0 || slot >= step->shelf_count)
        return NULL;
    adze_shelf *shelf = &s->inside[run - s->runs].shelves[slot];
    if (shelf->bytes && shelf->capacity >= size)
        return shelf->bytes;
    size_t capacity = ADZE_MAX(size, shelf->capacity < SIZE_MAX / 4 ? shelf->capacity * 2 : size);
    if (adze_session_take(s, shelf->capacity, capacity, NULL) != ADZE_OK)
        return NULL;
    void *bytes = adze_alloc(1, capacity);
    if (!bytes)
        return NULL;
    if (shelf->bytes)
        memcpy(bytes, shelf->bytes, shelf->capacity);
    adze_free(shelf->bytes);
    *shelf = (adze_shelf){bytes, capacity};
    return bytes;
}
