/* Where values live. Lifetimes are counted in steps; views and results written in place share the bytes
 * of their root; roots that are alive at the same time get disjoint ranges of one arena. */
#include <stdlib.h>
#include <string.h>

#include "runtime/plan.h"

static bool is_planned(const adze_plan *plan, const adze_value *value)
{
    const adze_type *t = &value->type;
    if (t->kind != ADZE_VALUE_TENSOR || t->dtype == ADZE_STRING || t->dtype == ADZE_UNDEFINED ||
        t->rank < 0)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (adze_dim_has_unknown(plan->graph->dims, t->dims[i]))
            return false;
    return true;
}

static bool same_size(const adze_value *a, const adze_value *b)
{
    if (a->type.rank != b->type.rank ||
        adze_dtype_describe(a->type.dtype)->block_bytes !=
            adze_dtype_describe(b->type.dtype)->block_bytes ||
        adze_dtype_describe(a->type.dtype)->bits != adze_dtype_describe(b->type.dtype)->bits)
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i])
            return false;
    return true;
}

static void place_sources(adze_plan *plan)
{
    const adze_graph *g = plan->graph;
    for (int i = 0; i < g->value_count; i++) {
        adze_slot *s = &plan->slots[i];
        *s = (adze_slot){.place = ADZE_PLACE_NONE, .root = i, .first = -1, .last = -1};
        switch (g->values[i]->role) {
        case ADZE_ROLE_INPUT:
        case ADZE_ROLE_CAPTURE: s->place = ADZE_PLACE_INPUT; break;
        case ADZE_ROLE_CONSTANT: s->place = ADZE_PLACE_CONSTANT; break;
        case ADZE_ROLE_STATE: s->place = ADZE_PLACE_STATE; break;
        case ADZE_ROLE_COMPUTED: break;
        }
    }
}

/* Step after which nobody reads a value; outputs, next states and kept values live to the end. */
static void find_last_uses(const adze_plan *plan, int *last)
{
    const adze_graph *g = plan->graph;
    int end = plan->step_count;
    for (int i = 0; i < g->value_count; i++)
        last[i] = plan->options.keep_all ? end : -1;
    for (int s = 0; s < plan->step_count; s++) {
        const adze_node *node = plan->steps[s].node;
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] && last[node->inputs[i]->id] < end)
                last[node->inputs[i]->id] = s;
        for (int k = 0; k < plan->steps[s].child_count; k++) {
            const adze_graph *inside = plan->steps[s].children[k].graph;
            for (int i = 0; i < inside->capture_count; i++)
                if (last[inside->captures[i]->outer->id] < end)
                    last[inside->captures[i]->outer->id] = s;
        }
    }
    for (int i = 0; i < g->output_count; i++)
        last[g->outputs[i]->id] = end;
    for (int i = 0; i < g->state_count; i++)
        if (g->states[i]->next)
            last[g->states[i]->next->id] = end;
}

/* The input whose bytes output 0 of this step takes over, or NULL: one whose memory the arena lends and
 * nobody reads later, or the state whose next value this is. */
static const adze_value *overwritten_input(const adze_plan *plan, int step, const int *root_last)
{
    const adze_node *node = plan->steps[step].node;
    unsigned flags = node->op->flags;
    if (!(flags & (ADZE_OP_INPLACE | ADZE_OP_INPLACE_ANY)) || !node->outputs[0] ||
        !is_planned(plan, node->outputs[0]))
        return NULL;
    int candidates = (flags & ADZE_OP_INPLACE_ANY) ? node->input_count : 1;
    for (int i = 0; i < candidates && i < node->input_count; i++) {
        const adze_value *in = node->inputs[i];
        if (!in || !same_size(in, node->outputs[0]))
            continue;
        int root = plan->slots[in->id].root;
        bool own = plan->slots[root].place == ADZE_PLACE_ARENA || in->next == node->outputs[0];
        if (!own || root_last[root] != step)
            continue;
        bool again =
            false; /* the same bytes must not come in twice: x + x is fine only elementwise */
        for (int j = 0; j < node->input_count; j++)
            again |= j != i && node->inputs[j] && plan->slots[node->inputs[j]->id].root == root &&
                     node->inputs[j] != in;
        if (!again)
            return in;
    }
    return NULL;
}

/* Last use of each root when every alias counts: views are resolved first, so that in-place writing sees
 * the whole group. */
static void spread_last_uses(const adze_plan *plan, const int *last, int *root_last)
{
    for (int i = 0; i < plan->graph->value_count; i++)
        root_last[i] = last[i];
    for (int i = 0; i < plan->graph->value_count; i++) {
        int root = plan->slots[i].root;
        root_last[root] = ADZE_MAX(root_last[root], last[i]);
    }
}

static void place_views(adze_plan *plan)
{
    for (int s = 0; s < plan->step_count; s++) {
        adze_step *step = &plan->steps[s];
        const adze_node *node = step->node;
        for (int o = 0; o < node->output_count; o++) {
            if (!node->outputs[o])
                continue;
            adze_slot *slot = &plan->slots[node->outputs[o]->id];
            slot->place = is_planned(plan, node->outputs[o]) && !step->dynamic ? ADZE_PLACE_ARENA
                                                                               : ADZE_PLACE_POOL;
            slot->first = s;
        }
        if (!(node->op->flags & ADZE_OP_VIEW) || !node->outputs[0] || !node->inputs[0] ||
            node->inputs[0]->type.kind != ADZE_VALUE_TENSOR)
            continue;
        step->view = true;
        adze_slot *slot = &plan->slots[node->outputs[0]->id];
        slot->place = ADZE_PLACE_ALIAS;
        slot->root = plan->slots[node->inputs[0]->id].root;
    }
}

adze_status adze_plan_place_values(adze_plan *plan, adze_arena *scratch, adze_error *err)
{
    int n = plan->graph->value_count;
    plan->slots = ADZE_ARENA_ARRAY(&plan->arena, adze_slot, (size_t)n + 1);
    int *last = ADZE_ARENA_ARRAY(scratch, int, (size_t)n + 1);
    int *root_last = ADZE_ARENA_ARRAY(scratch, int, (size_t)n + 1);
    if (!plan->slots || !last || !root_last)
        return adze_fail(err, ADZE_NO_MEMORY, "plan of %d values", n);
    place_sources(plan);
    find_last_uses(plan, last);
    place_views(plan);
    spread_last_uses(plan, last, root_last);
    for (int s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].view || plan->steps[s].dynamic)
            continue;
        const adze_value *in = overwritten_input(plan, s, root_last);
        if (!in)
            continue;
        int root = plan->slots[in->id].root, out = plan->steps[s].node->outputs[0]->id;
        /* The output, and every view of it found before, now share the input's root. */
        for (int i = 0; i < n; i++)
            if (plan->slots[i].root == out)
                plan->slots[i].root = root;
        plan->slots[out].place = ADZE_PLACE_ALIAS;
        plan->steps[s].state = in->role == ADZE_ROLE_STATE ? in : NULL;
        root_last[root] = ADZE_MAX(root_last[root], root_last[out]);
    }
    for (int i = 0; i < n; i++)
        plan->slots[i].last = ADZE_MAX(root_last[i], plan->slots[i].first);
    return ADZE_OK;
}

typedef struct pack_order {
    const size_t *sizes;
} pack_order;

static int by_size(const void *a, const void *b, void *user)
{
    const size_t *sizes = ((const pack_order *)user)->sizes;
    int ia = *(const int *)a, ib = *(const int *)b;
    if (sizes[ia] != sizes[ib])
        return sizes[ia] > sizes[ib] ? -1 : 1;
    return ia - ib;
}

static bool overlap_in_time(const adze_slot *a, const adze_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset where `id` fits beside those already placed (order[0..placed)). */
static size_t lowest_fit(const adze_plan *plan, const size_t *sizes, const size_t *offsets,
                         const int *order, int placed, int id)
{
    size_t at = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (int k = 0; k < placed; k++) {
            int other = order[k];
            if (!overlap_in_time(&plan->slots[id], &plan->slots[other]))
                continue;
            if (at < offsets[other] + sizes[other] && offsets[other] < at + sizes[id]) {
                at = offsets[other] + sizes[other];
                moved = true;
            }
        }
    }
    return at;
}

size_t adze_plan_pack(const adze_plan *plan, const size_t *sizes, size_t *offsets, int *scratch)
{
    int count = 0;
    for (int i = 0; i < plan->graph->value_count; i++)
        if (plan->slots[i].place == ADZE_PLACE_ARENA && sizes[i] > 0)
            scratch[count++] = i;
    pack_order order = {sizes};
    qsort_r(scratch, (size_t)count, sizeof *scratch, by_size, &order);
    size_t total = 0;
    for (int k = 0; k < count; k++) {
        int id = scratch[k];
        offsets[id] = lowest_fit(plan, sizes, offsets, scratch, k, id);
        total = ADZE_MAX(total, offsets[id] + sizes[id]);
    }
    return total;
}
