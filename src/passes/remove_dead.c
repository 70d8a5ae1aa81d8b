/* Nodes that no output and no state needs go, and so do outputs of the rest that nobody reads. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

static bool has_user(const adze_uses *uses, const adze_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && uses->count[node->outputs[i]->id] > 0)
            return true;
    return false;
}

static void forget_uses(const adze_uses *uses, const adze_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i])
            uses->count[node->inputs[i]->id]--;
    for (int i = 0; i < node->attr_count; i++) {
        const adze_attr *attr = &node->attrs[i];
        for (int c = 0; attr->type == ADZE_ATTR_GRAPH && c < attr->as.graph->capture_count; c++)
            uses->count[attr->as.graph->captures[c]->outer->id]--;
    }
}

/* Optional outputs that nobody reads need not be computed. */
static bool drop_outputs(const adze_uses *uses, adze_node *node)
{
    bool changed = false;
    int first = node->op && node->op->max_outputs > 0 ? node->op->min_outputs : node->output_count;
    for (int i = first; i < node->output_count; i++) {
        adze_value *value = node->outputs[i];
        if (!value || uses->count[value->id] > 0)
            continue;
        value->producer = NULL;
        node->outputs[i] = NULL;
        changed = true;
    }
    return changed;
}

adze_status adze_pass_remove_dead(adze_graph *graph, bool *changed, adze_error *err)
{
    adze_arena scratch = {0};
    adze_uses uses;
    *changed = false;
    if (!adze_uses_build(&uses, graph, &scratch)) {
        adze_arena_free(&scratch);
        return adze_fail(err, ADZE_NO_MEMORY, "removing what nobody needs: out of memory");
    }
    for (int i = graph->node_count - 1; i >= 0; i--) { /* users come after */
        adze_node *node = graph->nodes[i];
        if (has_user(&uses, node)) {
            *changed |= drop_outputs(&uses, node);
            continue;
        }
        forget_uses(&uses, node);
        adze_node_kill(node);
        *changed = true;
    }
    adze_graph_compact(graph);
    adze_arena_free(&scratch);
    return ADZE_OK;
}
