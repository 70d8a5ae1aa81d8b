/* From a graph to a plan: clone, rewrite, check that everything can run, prepare each node, place
 * values. All that cannot run is reported together. */
#include "runtime/plan.h"

#include <string.h>

#include "base/text.h"
#include "passes/passes.h"

adze_plan_options adze_plan_options_default(void)
{
    return (adze_plan_options){.fuse = true};
}

/* Dimensions of `type` at the bounds, -1 where there is none. */
static adze_tensor concrete_at_bounds(const adze_graph *graph, const adze_value *value)
{
    if (value->constant && value->role == ADZE_ROLE_CONSTANT)
        return *value->constant;
    const adze_type *type = &value->type;
    adze_tensor t = {.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
    for (int i = 0; i < type->rank; i++) {
        int64_t d = adze_dim_upper(graph->dims, type->dims[i]);
        t.dims[i] = d == INT64_MAX ? -1 : d;
    }
    return t;
}

static bool input_type_unknown(const adze_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->type.kind == ADZE_VALUE_TENSOR &&
            (node->inputs[i]->type.dtype == ADZE_UNDEFINED || node->inputs[i]->type.rank < 0))
            return true;
    return false;
}

static adze_status prepare_step(adze_plan *plan, adze_step *step, adze_arena *scratch,
                                adze_error *err)
{
    adze_node *node = step->node;
    size_t n = (size_t)(node->input_count + node->output_count) + 1;
    adze_tensor *tensors = ADZE_ARENA_ARRAY(scratch, adze_tensor, n);
    const adze_tensor **pointers = ADZE_ARENA_ARRAY(scratch, const adze_tensor *, n);
    if (!tensors || !pointers)
        return adze_fail(err, ADZE_NO_MEMORY, "plan");
    for (int i = 0; i < node->input_count + node->output_count; i++) {
        const adze_value *v =
            i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        if (!v)
            continue;
        tensors[i] = concrete_at_bounds(plan->graph, v);
        pointers[i] = &tensors[i];
    }
    adze_prepare prepare = {.node = node,
                            .inputs = pointers,
                            .outputs = pointers + node->input_count,
                            .kernels = plan->context->kernels,
                            .arena = &plan->arena};
    step->raw = node->op->prepare && input_type_unknown(node);
    if (node->op->prepare && !step->raw)
        ADZE_TRY(node->op->prepare(&prepare, err));
    step->prepared = prepare.prepared;
    return node->op->flags & ADZE_OP_SUBGRAPH ? adze_plan_children(plan, step, err) : ADZE_OK;
}

bool adze_plan_is_symbolic(const adze_graph *graph, const adze_value *v)
{
    if (v->type.kind != ADZE_VALUE_TENSOR || v->type.rank < 0 || v->type.dtype == ADZE_UNDEFINED ||
        v->type.dtype == ADZE_STRING)
        return false;
    for (int d = 0; d < v->type.rank; d++)
        if (adze_dim_has_unknown(graph->dims, v->type.dims[d]))
            return false;
    return true;
}

static bool outputs_are_symbolic(const adze_graph *graph, const adze_node *node)
{
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] && !adze_plan_is_symbolic(graph, node->outputs[o]))
            return false;
    return true;
}

/* An input whose shape is there only when its turn comes: the data decide it, or its maker, a dynamic step,
 * makes something else that they decide. */
static bool has_late_input(const adze_graph *graph, const adze_node *node, const bool *made_late)
{
    for (int k = 0; k < node->input_count; k++)
        if (node->inputs[k] &&
            (!adze_plan_is_symbolic(graph, node->inputs[k]) || made_late[node->inputs[k]->id]))
            return true;
    return false;
}

/* Prepares all steps; collects what is not supported into one message. */
static adze_status prepare_steps(adze_plan *plan, adze_arena *scratch, adze_error *err)
{
    adze_graph *g = plan->graph;
    plan->steps = ADZE_ARENA_ARRAY(&plan->arena, adze_step, (size_t)g->node_count + 1);
    bool *made_late = ADZE_ARENA_ARRAY(scratch, bool, (size_t)g->value_count + 1);
    if (!plan->steps || !made_late)
        return adze_fail(err, ADZE_NO_MEMORY, "plan");
    adze_text reasons = {0};
    int failures = 0;
    adze_status status = ADZE_OK;
    plan->all_static = true;
    for (int i = 0; i < g->node_count && status == ADZE_OK; i++) {
        adze_step *step = &plan->steps[plan->step_count++];
        step->node = g->nodes[i];
        adze_error why = {0};
        if (!step->node->op)
            adze_fail(&why, ADZE_UNSUPPORTED, "operator %s%s%s is not known", step->node->domain,
                      *step->node->domain ? "." : "", step->node->op_type);
        else
            status = prepare_step(plan, step, scratch, &why);
        if (why.status == ADZE_UNSUPPORTED) {
            status = ADZE_OK;
            if (plan->options.refused)
                plan->options.refused(plan->options.refused_user, step->node, &why);
            if (failures++ < 12)
                adze_text_printf(&reasons, "\n  %s '%s': %s", step->node->op_type, step->node->name,
                                 why.message);
            continue;
        }
        if (status != ADZE_OK && err)
            *err = why;
        step->dynamic =
            !outputs_are_symbolic(g, step->node) ||
            (step->node->op && (step->node->op->flags & (ADZE_OP_DATA_SIZED | ADZE_OP_SUBGRAPH)));
        step->late = step->dynamic || step->raw || has_late_input(g, step->node, made_late);
        for (int k = 0; k < step->node->output_count && step->dynamic; k++)
            if (step->node->outputs[k])
                made_late[step->node->outputs[k]->id] = true;
        plan->all_static &= !step->dynamic;
    }
    if (status == ADZE_OK && failures > 0)
        status = adze_fail(err, ADZE_UNSUPPORTED, "%d of %d nodes cannot run:%s%s", failures,
                           g->node_count, adze_text_get(&reasons), failures > 12 ? "\n  ..." : "");
    adze_text_free(&reasons);
    return status;
}

/* plan->graph is there. */
static adze_status fill(adze_plan *plan, adze_arena *scratch, adze_error *err)
{
    adze_pass_options passes = adze_pass_options_default();
    passes.fuse = plan->options.fuse;
    ADZE_TRY(adze_passes_run(plan->graph, &passes, err));
    ADZE_TRY(prepare_steps(plan, scratch, err));
    for (int i = 0; i < plan->graph->dims->count; i++)
        plan->all_static &= plan->graph->dims->defs[i].kind != ADZE_DIM_SYMBOL;
    return adze_plan_place_values(plan, scratch, err);
}

adze_status adze_plan_create(adze_plan **out, const adze_graph *graph,
                             const adze_plan_options *options, adze_error *err)
{
    adze_plan *plan = adze_alloc(1, sizeof *plan);
    if (!plan)
        return adze_fail(err, ADZE_NO_MEMORY, "plan");
    plan->options = options ? *options : adze_plan_options_default();
    plan->context = graph->context;
    adze_arena scratch = {0};
    adze_status status = adze_graph_clone(&plan->graph, graph, err);
    if (status == ADZE_OK)
        status = fill(plan, &scratch, err);
    adze_arena_free(&scratch);
    if (status != ADZE_OK)
        adze_plan_free(&plan);
    else
        *out = plan;
    return status;
}

adze_status adze_plan_create_child(adze_plan **out, const adze_plan *parent, adze_graph *graph,
                                   adze_error *err)
{
    adze_plan *plan = adze_alloc(1, sizeof *plan);
    if (!plan)
        return adze_fail(err, ADZE_NO_MEMORY, "plan");
    plan->options = parent->options;
    plan->options.refused = NULL; /* the node around is refused, with the reason */
    plan->context = parent->context;
    plan->graph = graph;
    plan->is_child = true;
    adze_arena scratch = {0};
    adze_status status = fill(plan, &scratch, err);
    adze_arena_free(&scratch);
    if (status != ADZE_OK)
        adze_plan_free(&plan);
    else
        *out = plan;
    return status;
}

void adze_plan_free(adze_plan **plan)
{
    if (!plan || !*plan)
        return;
    adze_plan_free_children(*plan);
    if (!(*plan)->is_child)
        adze_graph_free(&(*plan)->graph);
    adze_arena_free(&(*plan)->arena);
    adze_free(*plan);
    *plan = NULL;
}

const adze_graph *adze_plan_graph(const adze_plan *plan)
{
    return plan->graph;
}

size_t adze_plan_memory(const adze_plan *plan)
{
    size_t total = plan->arena.used;
    for (int s = 0; s < plan->step_count; s++)
        for (int c = 0; c < plan->steps[s].child_count; c++)
            if (plan->steps[s].children[c].plan)
                total += adze_plan_memory(plan->steps[s].children[c].plan);
    return total;
}
