/* If and Loop, and how the types of a body are found: what goes round takes the narrowest type that holds
 * in every turn, by inferring the body until its outputs no longer widen its inputs. */
#include "ops/control.h"

#include <string.h>

#include "graph/ir.h"

#define DEEPEST_SEARCH 3 /* graphs nested deeper: what goes round has no known shape */
#define MOST_ROUNDS 4

adze_graph *adze_ops_graph(const adze_node *node, const char *name)
{
    const adze_attr *attr = adze_node_attr(node, name);
    return attr && attr->type == ADZE_ATTR_GRAPH ? attr->as.graph : NULL;
}

adze_status adze_ops_need_graph(adze_graph **out, const adze_node *node, const char *name,
                                int inputs, int outputs, adze_error *err)
{
    *out = adze_ops_graph(node, name);
    if (!*out)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': attribute %s with a graph is missing",
                         node->op_type, node->name, name);
    if ((*out)->input_count != inputs)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %s has %d inputs, expected %d",
                         node->op_type, node->name, name, (*out)->input_count, inputs);
    if (outputs >= 0 && (*out)->output_count != outputs)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %s has %d outputs, expected %d",
                         node->op_type, node->name, name, (*out)->output_count, outputs);
    return ADZE_OK;
}

adze_status adze_ops_infer_graph(adze_graph *graph, adze_error *err)
{
    for (int i = 0; i < graph->capture_count; i++) {
        adze_value *capture = graph->captures[i];
        capture->type = capture->outer->type;
        capture->known = capture->outer->known;
        capture->known_count = capture->outer->known_count;
    }
    return adze_graph_infer(graph, err);
}

void adze_ops_set_graph_input(adze_graph *graph, int i, const adze_type *type)
{
    adze_value *input = graph->inputs[i];
    adze_dtype dtype = input->type.dtype;
    if (input->role != ADZE_ROLE_INPUT)
        return; /* a pass made it a constant */
    input->type = *type;
    input->type.quant = NULL;
    if (type->dtype == ADZE_UNDEFINED)
        input->type.dtype = dtype;
    input->known = NULL;
    input->known_count = 0;
}

static bool covers_all(const adze_dims *dims, adze_dim d)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    return def && def->kind == ADZE_DIM_UNKNOWN && def->upper >= INT64_MAX / 2;
}

bool adze_ops_join_types(adze_dims *dims, adze_type *into, const adze_type *other)
{
    bool changed = false;
    if (into->kind != other->kind) {
        changed = into->kind != ADZE_VALUE_OPTIONAL || into->rank >= 0;
        into->kind = ADZE_VALUE_OPTIONAL;
        into->rank = -1;
    }
    if (into->dtype == ADZE_UNDEFINED && other->dtype != ADZE_UNDEFINED) {
        into->dtype = other->dtype;
        changed = true;
    }
    if (into->rank >= 0 && into->rank != other->rank) {
        into->rank = -1;
        changed = true;
    }
    for (int i = 0; i < into->rank; i++) {
        if (into->dims[i] == other->dims[i] || covers_all(dims, into->dims[i]))
            continue;
        into->dims[i] = adze_dim_unknown(dims, INT64_MAX);
        changed = true;
    }
    return changed;
}

adze_type adze_ops_outer_type(adze_dims *dims, const adze_type *type)
{
    adze_type out = *type;
    out.quant = NULL;
    for (int i = 0; i < out.rank; i++)
        if (adze_dim_has_unknown(dims, out.dims[i]))
            out.dims[i] = adze_dim_unknown(dims, INT64_MAX);
    return out;
}

static int depth_of(const adze_graph *graph)
{
    int depth = 0;
    for (; graph->parent; graph = graph->parent)
        depth++;
    return depth;
}

static bool widen_carried(adze_infer *infer, adze_graph *body, int first, int carried, int count)
{
    bool changed = false;
    for (int i = 0; i < count; i++)
        changed |= adze_ops_join_types(infer->dims, &body->inputs[first + i]->type,
                                       &body->outputs[carried + i]->type);
    return changed;
}

adze_status adze_ops_infer_carried(adze_infer *infer, adze_graph *body, int first, int from,
                                   int carried, int count, adze_error *err)
{
    for (int i = 0; i < count; i++)
        adze_ops_set_graph_input(body, first + i, infer->inputs[from + i]);
    bool search = depth_of(body) <= DEEPEST_SEARCH;
    for (int round = 0; search && round < MOST_ROUNDS; round++) {
        ADZE_TRY(adze_ops_infer_graph(body, err));
        if (!widen_carried(infer, body, first, carried, count))
            return ADZE_OK;
    }
    for (int i = 0; i < count; i++)
        body->inputs[first + i]->type.rank = -1;
    ADZE_TRY(adze_ops_infer_graph(body, err));
    for (int i = 0; i < count; i++) {
        adze_type *type = &body->inputs[first + i]->type;
        if (type->dtype == ADZE_UNDEFINED)
            type->dtype = body->outputs[carried + i]->type.dtype;
    }
    return ADZE_OK;
}

/* ---- conditions ---- */

static adze_status read_condition(bool *out, const adze_node *node, const adze_tensor *t,
                                  adze_error *err)
{
    if (t->dtype != ADZE_BOOL || adze_tensor_elements(t) != 1) {
        char text[160];
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': the condition is %s, expected one bool",
                         node->op_type, node->name, adze_tensor_format(t, text, sizeof text));
    }
    *out = *(const uint8_t *)t->data != 0;
    return ADZE_OK;
}

/* ---- If ---- */

static adze_status if_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = infer->node;
    const char *const names[2] = {"else_branch", "then_branch"};
    const adze_tensor *cond = adze_infer_content(infer, 0);
    adze_graph *graphs[2];
    int only = cond && cond->dtype == ADZE_BOOL && adze_tensor_elements(cond) == 1
                   ? *(const uint8_t *)cond->data != 0
                   : -1;
    for (int b = 0; b < 2; b++) {
        ADZE_TRY(adze_ops_need_graph(&graphs[b], node, names[b], 0, -1, err));
        if (graphs[b]->output_count < node->output_count)
            return adze_fail(err, ADZE_BAD_MODEL, "If '%s': %s has %d outputs, expected %d",
                             node->name, names[b], graphs[b]->output_count, node->output_count);
    }
    for (int b = 0; b < 2; b++) {
        if (only >= 0 && only != b)
            continue;
        adze_error why = {0};
        adze_status status = adze_ops_infer_graph(graphs[b], &why);
        if (status == ADZE_BAD_MODEL && only < 0) {
            only = 1 - b; /* shapes that cannot be: this branch is never meant to be taken */
            continue;
        }
        if (status != ADZE_OK && err)
            *err = why;
        if (status != ADZE_OK)
            return status;
    }
    for (int o = 0; o < infer->output_count; o++) {
        adze_type type = graphs[only == 0 ? 0 : 1]->outputs[o]->type;
        if (only < 0)
            adze_ops_join_types(infer->dims, &type, &graphs[0]->outputs[o]->type);
        type = adze_ops_outer_type(infer->dims, &type);
        adze_infer_set(infer, o, &type);
    }
    return ADZE_OK;
}

static size_t if_scratch(const adze_run *run)
{
    const adze_graph *a = adze_ops_graph(run->node, "then_branch");
    const adze_graph *b = adze_ops_graph(run->node, "else_branch");
    return (size_t)(ADZE_MAX(a->output_count, b->output_count) + 1) * sizeof(adze_item);
}

static adze_status if_run(adze_run *run, adze_error *err)
{
    bool condition;
    ADZE_TRY(read_condition(&condition, run->node, run->inputs[0], err));
    const adze_graph *graph = adze_ops_graph(run->node, condition ? "then_branch" : "else_branch");
    adze_item *results = run->scratch;
    ADZE_TRY(adze_run_graph(run, graph, NULL, results, err));
    for (int o = 0; o < run->output_count; o++) {
        if (!run->output_items[o])
            continue;
        *run->output_items[o] = results[o];
        if (!adze_run_graph_lasts(run, graph, o))
            ADZE_TRY(adze_run_keep(run, o, run->output_items[o], &results[o], err));
    }
    return ADZE_OK;
}

/* ---- Loop ---- */

static int loop_carried(const adze_node *node)
{
    return ADZE_MAX(node->input_count - 2, 0);
}

/* Some exporters declare the number of the turn and the condition as tensors with one axis. */
static void set_single(adze_graph *body, int i, adze_dtype dtype)
{
    adze_type type = {.dtype = dtype};
    if (body->inputs[i]->type.rank == 1) {
        type.rank = 1;
        type.dims[0] = 1;
    }
    adze_ops_set_graph_input(body, i, &type);
}

static void set_scan_output(adze_infer *infer, int o, const adze_type *piece, int64_t axis,
                            adze_dim length)
{
    adze_type type = {.dtype = piece->dtype, .rank = -1};
    if (piece->rank >= 0 && piece->rank < ADZE_MAX_RANK) {
        adze_type inner = adze_ops_outer_type(infer->dims, piece);
        type.rank = inner.rank + 1;
        for (int d = 0, from = 0; d < type.rank; d++)
            type.dims[d] = d == axis ? length : inner.dims[from++];
    }
    adze_infer_set(infer, o, &type);
}

static adze_status loop_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = infer->node;
    int n = loop_carried(node);
    adze_graph *body;
    ADZE_TRY(adze_ops_need_graph(&body, node, "body", 2 + n, -1, err));
    if (body->output_count < 1 + n || infer->output_count > body->output_count - 1)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "Loop '%s': the body gives %d values for %d carried ones and %d outputs",
                         node->name, body->output_count, n, infer->output_count);
    for (int i = 0; i < n; i++)
        if (!infer->inputs[2 + i])
            return adze_fail(err, ADZE_BAD_MODEL, "Loop '%s': input %d is absent", node->name,
                             2 + i);
    set_single(body, 0, ADZE_I64);
    set_single(body, 1, ADZE_BOOL);
    ADZE_TRY(adze_ops_infer_carried(infer, body, 2, 2, 1, n, err));
    for (int o = 0; o < infer->output_count; o++) {
        if (o >= n) {
            set_scan_output(infer, o, &body->outputs[1 + o]->type, 0,
                            adze_dim_unknown(infer->dims, INT64_MAX));
            continue;
        }
        /* An optional that the body fills is the plain value from then on. */
        adze_type type = adze_ops_outer_type(infer->dims, &body->inputs[2 + o]->type);
        if (type.kind == ADZE_VALUE_OPTIONAL)
            type.kind = body->outputs[1 + o]->type.kind;
        adze_infer_set(infer, o, &type);
    }
    return ADZE_OK;
}

typedef struct loop {
    adze_run *run;
    const adze_graph *body;
    int carried, stacked;
    adze_item *in, *out; /* of the body */
    adze_stack *stacks;
    uint8_t *turned; /* which of its two slots a carried value is in; 2: in neither yet */
    int64_t turn;
    bool condition;
} loop;

static size_t loop_scratch(const adze_run *run)
{
    const adze_graph *body = adze_ops_graph(run->node, "body");
    size_t items = (size_t)body->input_count + (size_t)body->output_count;
    return items * (sizeof(adze_item) + sizeof(adze_stack) + 1) + 64;
}

static adze_tensor single(const adze_graph *body, int i, adze_dtype dtype, void *data)
{
    int64_t one = 1;
    return adze_tensor_view(dtype, ADZE_MAX(body->inputs[i]->type.rank, 0), &one, data);
}

static adze_status loop_start(loop *l, adze_run *run, int64_t *most, adze_error *err)
{
    const adze_graph *body = adze_ops_graph(run->node, "body");
    *l = (loop){.run = run, .body = body, .carried = loop_carried(run->node), .condition = true};
    l->stacked = body->output_count - 1 - l->carried;
    l->in = run->scratch;
    l->out = l->in + body->input_count;
    l->stacks = (adze_stack *)(l->out + body->output_count);
    l->turned = (uint8_t *)(l->stacks + l->stacked);
    const adze_tensor *limit = adze_ops_input(run, 0), *condition = adze_ops_input(run, 1);
    *most = INT64_MAX;
    if (limit && (limit->dtype != ADZE_I64 || adze_tensor_elements(limit) != 1))
        return adze_ops_bad(run->node, err, "the number of turns is not one int64");
    if (limit)
        *most = *(const int64_t *)limit->data;
    if (condition)
        ADZE_TRY(read_condition(&l->condition, run->node, condition, err));
    l->in[0] = (adze_item){.tensor = single(body, 0, ADZE_I64, &l->turn)};
    l->in[1] = (adze_item){.tensor = single(body, 1, ADZE_BOOL, &l->condition)};
    for (int i = 0; i < l->carried; i++) {
        l->in[2 + i] = *run->input_items[2 + i];
        l->turned[i] = 2;
    }
    for (int k = 0; k < l->stacked; k++)
        l->stacks[k] = (adze_stack){.run = run, .slot = 2 * l->carried + 3 * k};
    return ADZE_OK;
}

/* What the body gave goes into the slot that its input is not in: an output may be a view of any input. */
static adze_status carry(loop *l, int i, adze_error *err)
{
    const adze_item *from = &l->out[1 + i];
    adze_item *to = &l->in[2 + i];
    bool unchanged = from->kind == ADZE_VALUE_TENSOR && to->kind == from->kind &&
                     to->tensor.data == from->tensor.data &&
                     adze_tensor_elements(&to->tensor) == adze_tensor_elements(&from->tensor);
    if (unchanged) {
        to->tensor = from->tensor;
        return ADZE_OK;
    }
    l->turned[i] = l->turned[i] == 0;
    adze_item kept;
    ADZE_TRY(adze_run_keep(l->run, 2 * i + l->turned[i], &kept, from, err));
    l->out[1 + i] = kept; /* inputs change when all outputs are safe */
    return ADZE_OK;
}

static adze_status loop_turn(loop *l, adze_error *err)
{
    const adze_node *node = l->run->node;
    ADZE_TRY(adze_run_graph(l->run, l->body, l->in, l->out, err));
    for (int k = 0; k < l->stacked; k++) {
        const adze_item *piece = &l->out[1 + l->carried + k];
        if (piece->kind != ADZE_VALUE_TENSOR)
            return adze_ops_bad(node, err, "what every turn adds to an output must be a tensor");
        if (l->carried + k < l->run->output_count && l->run->output_items[l->carried + k])
            ADZE_TRY(adze_stack_push(&l->stacks[k], &piece->tensor, err));
    }
    bool condition;
    ADZE_TRY(read_condition(&condition, node, &l->out[0].tensor, err));
    for (int i = 0; i < l->carried; i++)
        ADZE_TRY(carry(l, i, err));
    for (int i = 0; i < l->carried; i++)
        l->in[2 + i] = l->out[1 + i];
    l->condition = condition;
    return ADZE_OK;
}

static adze_status loop_run(adze_run *run, adze_error *err)
{
    loop l;
    int64_t most;
    ADZE_TRY(loop_start(&l, run, &most, err));
    for (; l.turn < most && l.condition; l.turn++)
        ADZE_TRY(loop_turn(&l, err));
    for (int o = 0; o < run->output_count; o++) {
        if (!run->output_items[o])
            continue;
        if (o >= l.carried)
            ADZE_TRY(adze_stack_finish(&l.stacks[o - l.carried], 0, false,
                                       &l.body->outputs[1 + o]->type, run->output_items[o], err));
        else if (l.turned[o] == 2)
            ADZE_TRY(adze_run_keep(run, 2 * o, run->output_items[o], &l.in[2 + o], err));
        else
            *run->output_items[o] = l.in[2 + o];
    }
    return ADZE_OK;
}

const adze_op adze_ops_control[] = {
    {.domain = "",
     .name = "If",
     .since = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = -1,
     .flags = ADZE_OP_SUBGRAPH,
     .attrs = "then_branch else_branch",
     .infer = if_infer,
     .scratch = if_scratch,
     .run = if_run},
    {.domain = "",
     .name = "Loop",
     .since = 1,
     .min_inputs = 0,
     .max_inputs = -1,
     .min_outputs = 0,
     .max_outputs = -1,
     .flags = ADZE_OP_SUBGRAPH,
     .attrs = "body",
     .infer = loop_infer,
     .scratch = loop_scratch,
     .run = loop_run},
    {.name = NULL},
};
