/* One execution at a time of a plan: open makes the arrays, run walks the steps. */
#include <string.h>

#include "base/file.h"

#include "runtime/session_impl.h"

adze_session_options adze_session_options_default(void)
{
    return (adze_session_options){0};
}

static adze_status host_resize(adze_run *run, int i, adze_dtype dtype, int rank,
                               const int64_t *dims, adze_error *err)
{
    adze_session *s = run->session;
    const adze_value *v = run->node->outputs[i];
    int64_t n = adze_shape_elements(rank, dims);
    size_t size = n < 0 ? SIZE_MAX : adze_dtype_bytes(dtype, n);
    if (size > SIZE_MAX / 4)
        return adze_fail(err, ADZE_LIMIT, "%s '%s': output '%s' is too large", run->node->op_type,
                         run->node->name, v->name);
    adze_item *item = &s->items[v->id];
    if (s->plan->slots[v->id].place == ADZE_PLACE_POOL) {
        ADZE_TRY(adze_session_reserve(s, v->id, size, err));
        item->tensor.data = s->buffers[v->id];
    } else if (size > s->sizes[s->plan->slots[v->id].root]) {
        return adze_fail(err, ADZE_INTERNAL, "%s '%s': output '%s' outgrew its plan",
                         run->node->op_type, run->node->name, v->name);
    }
    item->kind = ADZE_VALUE_TENSOR;
    item->tensor.dtype = dtype;
    item->tensor.rank = rank;
    memcpy(item->tensor.dims, dims, (size_t)rank * sizeof *dims);
    item->tensor.size = size;
    return ADZE_OK;
}

static void *host_alloc(adze_run *run, int i, size_t size)
{
    adze_session *s = run->session;
    adze_arena *arena = &s->value_arenas[run->node->outputs[i]->id];
    if (adze_session_take(s, 0, size, NULL) != ADZE_OK)
        return NULL;
    return adze_arena_alloc(arena, 1, size);
}

/* ---- opening ---- */

static void largest_node(const adze_plan *plan, int *inputs, int *outputs)
{
    for (int i = 0; i < plan->step_count; i++) {
        *inputs = ADZE_MAX(*inputs, plan->steps[i].node->input_count);
        *outputs = ADZE_MAX(*outputs, plan->steps[i].node->output_count);
    }
}

static bool make_arrays(adze_session *s)
{
    const adze_plan *plan = s->plan;
    adze_arena *a = &s->memory;
    size_t values = (size_t)plan->graph->value_count + 1;
    size_t steps = (size_t)plan->step_count + 1, dims = (size_t)plan->graph->dims->count + 1;
    int inputs = 1, outputs = 1;
    largest_node(plan, &inputs, &outputs);
    s->items = ADZE_ARENA_ARRAY(a, adze_item, values);
    s->dim_values = ADZE_ARENA_ARRAY(a, int64_t, dims);
    s->last_dims = ADZE_ARENA_ARRAY(a, int64_t, dims);
    s->sizes = ADZE_ARENA_ARRAY(a, size_t, values);
    s->offsets = ADZE_ARENA_ARRAY(a, size_t, values);
    s->pack_scratch = ADZE_ARENA_ARRAY(a, int, values);
    s->buffers = ADZE_ARENA_ARRAY(a, void *, values);
    s->capacities = ADZE_ARENA_ARRAY(a, size_t, values);
    s->value_arenas = ADZE_ARENA_ARRAY(a, adze_arena, values);
    s->runs = ADZE_ARENA_ARRAY(a, adze_run, steps);
    s->seconds = ADZE_ARENA_ARRAY(a, double, steps);
    s->inside = ADZE_ARENA_ARRAY(a, adze_inside, steps);
    s->late = ADZE_ARENA_ARRAY(a, adze_late, steps);
    s->infer.inputs = ADZE_ARENA_ARRAY(a, const adze_type *, (size_t)inputs);
    s->infer.contents = ADZE_ARENA_ARRAY(a, const adze_tensor *, (size_t)inputs);
    s->infer.known = ADZE_ARENA_ARRAY(a, const adze_dim *, (size_t)inputs);
    s->infer.known_counts = ADZE_ARENA_ARRAY(a, int, (size_t)inputs);
    s->infer.outputs = ADZE_ARENA_ARRAY(a, adze_type, (size_t)(inputs + outputs));
    s->infer.known_out = adze_arena_alloc(a, (size_t)outputs, sizeof *s->infer.known_out);
    s->infer.known_out_counts = ADZE_ARENA_ARRAY(a, int, (size_t)outputs);
    s->infer_known = adze_arena_alloc(a, (size_t)inputs, sizeof *s->infer_known);
    s->infer_dims.arena = &s->infer_memory;
    s->infer.dims = &s->infer_dims;
    return s->items && s->dim_values && s->last_dims && s->sizes && s->offsets && s->pack_scratch &&
           s->buffers && s->capacities && s->value_arenas && s->runs && s->seconds && s->inside &&
           s->late && adze_session_make_late(s) && s->infer.inputs && s->infer.contents &&
           s->infer.known && s->infer.known_counts && s->infer.outputs && s->infer.known_out &&
           s->infer.known_out_counts && s->infer_known;
}

/* Each step's adze_run points at the items of its values once and for all. */
static bool wire_step(adze_session *s, int step)
{
    const adze_node *node = s->plan->steps[step].node;
    adze_arena *a = &s->memory;
    size_t n = (size_t)node->input_count + 1, m = (size_t)node->output_count + 1;
    const adze_tensor **inputs = ADZE_ARENA_ARRAY(a, const adze_tensor *, n);
    adze_tensor **outputs = ADZE_ARENA_ARRAY(a, adze_tensor *, m);
    adze_item **input_items = ADZE_ARENA_ARRAY(a, adze_item *, n);
    adze_item **output_items = ADZE_ARENA_ARRAY(a, adze_item *, m);
    if (!inputs || !outputs || !input_items || !output_items)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i]) {
            input_items[i] = &s->items[node->inputs[i]->id];
            inputs[i] = &input_items[i]->tensor;
        }
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]) {
            output_items[i] = &s->items[node->outputs[i]->id];
            outputs[i] = &output_items[i]->tensor;
        }
    s->runs[step] = (adze_run){.node = node,
                               .context = s->plan->context,
                               .pool = s->pool,
                               .kernels = s->plan->context->kernels,
                               .prepared = s->plan->steps[step].prepared,
                               .input_count = node->input_count,
                               .output_count = node->output_count,
                               .inputs = inputs,
                               .outputs = outputs,
                               .input_items = input_items,
                               .output_items = output_items,
                               .session = s};
    return true;
}

/* Fresh memory is zero: a state that starts so is not touched, and costs nothing until it is used. */
static adze_status fill_state(adze_session *s, const adze_value *v, adze_error *err)
{
    size_t size = ADZE_MAX(v->constant->size, 64);
    ADZE_TRY(adze_session_take(s, 0, size, err));
    s->buffers[v->id] = adze_alloc(1, size);
    if (!s->buffers[v->id])
        return adze_fail(err, ADZE_NO_MEMORY, "state '%s': %zu bytes", v->name, size);
    s->capacities[v->id] = size;
    s->items[v->id].tensor = *v->constant;
    s->items[v->id].tensor.data = s->buffers[v->id];
    if (v->constant->data)
        memcpy(s->buffers[v->id], v->constant->data, v->constant->size);
    return ADZE_OK;
}

static adze_status fill_sources(adze_session *s, adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    for (int i = 0; i < g->value_count; i++) {
        const adze_value *v = g->values[i];
        s->items[i].kind = v->type.kind;
        s->items[i].tensor.dtype = v->type.dtype;
        s->items[i].tensor.quant = v->type.quant;
        if (v->role == ADZE_ROLE_CONSTANT)
            s->items[i].tensor = *v->constant;
        if (v->role == ADZE_ROLE_CONSTANT && v->type.quant)
            s->items[i].tensor.quant = v->type.quant;
        if (v->role == ADZE_ROLE_STATE)
            ADZE_TRY(fill_state(s, v, err));
    }
    return ADZE_OK;
}

/* States are written when a run ends. Where an output or another state's next value is a state itself, that
 * would be too early. */
static adze_status make_spares(adze_session *s, adze_error *err)
{
    const adze_plan *plan = s->plan;
    const adze_graph *g = plan->graph;
    bool needed = false;
    for (int i = 0; i < g->output_count; i++)
        needed |= plan->slots[plan->slots[g->outputs[i]->id].root].place == ADZE_PLACE_STATE;
    for (int i = 0; i < g->state_count; i++) {
        const adze_value *next = g->states[i]->next;
        int root = next ? plan->slots[next->id].root : -1;
        needed |= next && root != g->states[i]->id && plan->slots[root].place == ADZE_PLACE_STATE;
    }
    if (!needed)
        return ADZE_OK;
    s->spares = ADZE_ARENA_ARRAY(&s->memory, void *, (size_t)g->state_count + 1);
    bool made = s->spares != NULL;
    for (int i = 0; i < g->state_count && made; i++) {
        ADZE_TRY(adze_session_take(s, 0, s->capacities[g->states[i]->id], err));
        s->spares[i] = adze_alloc(1, ADZE_MAX(s->capacities[g->states[i]->id], 64));
        made = s->spares[i] != NULL;
    }
    return made ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "state");
}

static adze_status open_session(adze_session *s, adze_error *err)
{
    if (s->around)
        s->pool = s->around->pool;
    else
        ADZE_TRY(adze_pool_share(&s->pool, s->plan->context->pool, err));
    if (!make_arrays(s))
        return adze_fail(err, ADZE_NO_MEMORY, "session");
    for (int i = 0; i < s->plan->step_count; i++)
        if (!wire_step(s, i))
            return adze_fail(err, ADZE_NO_MEMORY, "session");
    ADZE_TRY(fill_sources(s, err));
    ADZE_TRY(make_spares(s, err));
    ADZE_TRY(adze_session_open_children(s, err));
    return s->around ? ADZE_OK : adze_session_plan_bounds(s, err);
}

static adze_status open_over(adze_session **out, const adze_plan *plan,
                             const adze_session_options *options, const adze_session *around,
                             adze_error *err)
{
    adze_session *s = adze_alloc(1, sizeof *s);
    if (!s)
        return adze_fail(err, ADZE_NO_MEMORY, "session");
    s->host = (adze_run_host){host_resize, host_alloc, adze_session_run_graph,
                              adze_session_graph_lasts, adze_session_shelf};
    s->plan = plan;
    s->around = around;
    s->options = options ? *options : adze_session_options_default();
    s->own_budget.most = s->options.max_bytes;
    s->budget = around ? around->budget : &s->own_budget;
    adze_status status = open_session(s, err);
    if (status != ADZE_OK)
        adze_session_close(&s);
    else
        *out = s;
    return status;
}

adze_status adze_session_open_child(adze_session **out, const adze_plan *plan,
                                    const adze_session *around, adze_error *err)
{
    return open_over(out, plan, NULL, around, err);
}

adze_status adze_session_open(adze_session **out, const adze_plan *plan,
                              const adze_session_options *options, adze_error *err)
{
    return open_over(out, plan, options, NULL, err);
}

void adze_session_close(adze_session **session)
{
    if (!session || !*session)
        return;
    adze_session *s = *session;
    adze_session_close_children(s);
    adze_session_free_late(s);
    for (int i = 0; s->value_arenas && s->buffers && i < s->plan->graph->value_count; i++) {
        adze_free(s->buffers[i]);
        adze_arena_free(&s->value_arenas[i]);
    }
    for (int i = 0; s->spares && i < s->plan->graph->state_count; i++)
        adze_free(s->spares[i]);
    if (!s->around)
        adze_pool_close(&s->pool);
    adze_free(s->arena);
    adze_free(s->scratch);
    adze_arena_free(&s->infer_memory);
    adze_arena_free(&s->memory);
    adze_free(s);
    *session = NULL;
}

void adze_session_reset(adze_session *s)
{
    const adze_graph *g = s->plan->graph;
    for (int i = 0; i < g->state_count; i++) {
        const adze_value *v = g->states[i];
        if (v->constant->data)
            memcpy(s->buffers[v->id], v->constant->data, v->constant->size);
        else
            memset(s->buffers[v->id], 0, v->constant->size);
    }
}

/* ---- running ---- */

static void release_pool_items(adze_session *s, const adze_node *node)
{
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] && s->value_arenas[node->outputs[o]->id].blocks) {
            size_t used = s->value_arenas[node->outputs[o]->id].used;
            s->budget->used -= ADZE_MIN(used, s->budget->used);
            adze_arena_reset(&s->value_arenas[node->outputs[o]->id]);
        }
}

/* The output has the bytes of the input, which may be fewer than was planned where data decide shapes. */
static adze_status take_view(adze_session *s, const adze_node *node, adze_error *err)
{
    const adze_tensor *from = &s->items[node->inputs[0]->id].tensor;
    adze_tensor *to = &s->items[node->outputs[0]->id].tensor;
    if (adze_tensor_elements(from) != adze_tensor_elements(to))
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %lld elements cannot take the shape of %lld",
                         node->op_type, node->name, (long long)adze_tensor_elements(from),
                         (long long)adze_tensor_elements(to));
    to->data = from->data;
    return ADZE_OK;
}

static adze_status run_step(adze_session *s, int i, adze_error *err)
{
    const adze_step *step = &s->plan->steps[i];
    const adze_op *op = step->node->op;
    adze_run *run = &s->runs[i];
    if (step->dynamic) {
        release_pool_items(s, step->node);
        ADZE_TRY(adze_session_infer_step(s, i, err));
    } else if (step->late) {
        ADZE_TRY(adze_session_check_step(s, i, true, err));
    }
    if (step->view)
        return take_view(s, step->node, err);
    if (step->raw)
        ADZE_TRY(adze_session_prepare_late(s, i, err));
    if (step->state)
        s->items[step->node->outputs[0]->id].tensor.data = s->buffers[step->state->id];
    if (step->late && op->scratch)
        ADZE_TRY(adze_session_reserve_scratch(s, op->scratch(run), err));
    run->scratch = s->scratch;
    ADZE_TRY(op->run(run, err));
    return step->dynamic ? adze_session_check_promises(s, i, err) : ADZE_OK;
}

static void observe(adze_session *s, const adze_node *node)
{
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] && s->items[node->outputs[o]->id].kind == ADZE_VALUE_TENSOR)
            s->options.observe(s->options.observe_user, node, o,
                               &s->items[node->outputs[o]->id].tensor);
}

static adze_status check_time(const adze_session *s, adze_error *err)
{
    if (s->budget->deadline <= 0 || adze_now() < s->budget->deadline)
        return ADZE_OK;
    return adze_fail(err, ADZE_TIMEOUT, "the run took longer than it may");
}

static adze_status run_steps(adze_session *s, adze_error *err)
{
    ADZE_TRY(check_time(s, err)); /* turns of an empty body too */
    for (int i = 0; i < s->plan->step_count; i++) {
        ADZE_TRY(check_time(s, err));
        double start = s->options.profile ? adze_now() : 0;
        ADZE_TRY(run_step(s, i, err));
        if (s->options.profile)
            s->seconds[i] += adze_now() - start;
        if (s->options.observe)
            observe(s, s->plan->steps[i].node);
    }
    ADZE_TRY(check_time(s, err)); /* what the last step did may not be whole */
    s->run_count++;
    return ADZE_OK;
}

static adze_status check_states(const adze_session *s, adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    for (int i = 0; i < g->state_count; i++) {
        const adze_value *v = g->states[i];
        if (v->next && s->items[v->next->id].tensor.size != s->items[v->id].tensor.size)
            return adze_fail(err, ADZE_BAD_MODEL, "state '%s' changed its size", v->name);
    }
    return ADZE_OK;
}

static adze_status keep_states(adze_session *s, adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    ADZE_TRY(check_states(s, err));
    for (int i = 0; i < g->state_count; i++) {
        const adze_value *v = g->states[i], *next = v->next ? v->next : v;
        const adze_tensor *from = &s->items[next->id].tensor;
        void *to = s->spares ? s->spares[i] : s->buffers[v->id];
        if (to != from->data && from->size > 0)
            memcpy(to, from->data, from->size);
    }
    for (int i = 0; i < g->state_count && s->spares; i++) {
        int id = g->states[i]->id;
        void *old = s->buffers[id];
        s->buffers[id] = s->spares[i];
        s->spares[i] = old;
        s->items[id].tensor.data = s->buffers[id];
    }
    return ADZE_OK;
}

adze_status adze_session_run_items(adze_session *s, const adze_item *inputs, adze_item *outputs,
                                   adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    if (!s->around) {
        s->budget->deadline = s->options.max_seconds > 0 ? adze_now() + s->options.max_seconds : 0;
        s->budget->exceeded = false;
        adze_pool_set_deadline(s->pool, s->budget->deadline);
    }
    for (int i = 0; i < g->input_count; i++) {
        adze_item *item = &s->items[g->inputs[i]->id];
        const adze_quant *quant = item->tensor.quant;
        *item = inputs[i];
        item->tensor.quant = quant;
        if (!item->tensor.data && item->tensor.size > 0)
            return adze_fail(err, ADZE_BAD_ARGUMENT, "input '%s': %zu bytes, but data is NULL",
                             g->inputs[i]->name, item->tensor.size);
        if (!item->tensor.data)
            item->tensor.data = s; /* no bytes, but an address to count from */
    }
    ADZE_TRY(adze_session_lay_out(s, err));
    adze_status status = run_steps(s, err);
    if (status == ADZE_NO_MEMORY && s->budget->exceeded)
        return adze_session_take(s, 0, SIZE_MAX, err);
    if (status != ADZE_OK)
        return status;
    for (int i = 0; i < g->output_count; i++) {
        outputs[i] = s->items[g->outputs[i]->id];
        outputs[i].tensor.owner = ADZE_BORROWED;
    }
    return keep_states(s, err);
}

adze_status adze_session_run(adze_session *s, const adze_tensor *inputs, adze_tensor *outputs,
                             adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    adze_item in_small[16] = {0}, out_small[16] = {0};
    adze_item *in = in_small, *out = out_small;
    bool large = g->input_count > 16 || g->output_count > 16;
    if (large) {
        in = adze_alloc((size_t)(g->input_count + g->output_count) + 1, sizeof *in);
        if (!in)
            return adze_fail(err, ADZE_NO_MEMORY, "run");
        out = in + g->input_count;
    }
    for (int i = 0; i < g->input_count; i++)
        in[i].tensor = inputs[i];
    adze_status status = adze_session_run_items(s, in, out, err);
    for (int i = 0; i < g->output_count && status == ADZE_OK; i++)
        outputs[i] = out[i].tensor;
    if (large)
        adze_free(in);
    return status;
}

/* ---- looking ---- */

const adze_tensor *adze_session_value(const adze_session *s, const char *name)
{
    const adze_value *v = adze_graph_find(s->plan->graph, name);
    if (!v || s->items[v->id].kind != ADZE_VALUE_TENSOR || !s->items[v->id].tensor.data)
        return NULL;
    return &s->items[v->id].tensor;
}

size_t adze_session_memory(const adze_session *s)
{
    size_t total = s->arena_size + s->scratch_size + adze_session_inside_memory(s);
    for (int i = 0; i < s->plan->graph->value_count; i++)
        total += s->capacities[i] + s->value_arenas[i].used;
    return total;
}

int adze_session_step_count(const adze_session *s)
{
    return s->plan->step_count;
}

void adze_session_step(const adze_session *s, int i, adze_step_profile *out)
{
    const adze_run *run = &s->runs[i];
    const adze_op *op = run->node->op;
    *out = (adze_step_profile){.node = run->node, .runs = s->run_count, .seconds = s->seconds[i]};
    if (s->plan->steps[i].view)
        return;
    for (int k = 0; k < run->input_count; k++)
        out->cost.bytes += run->inputs[k] ? (double)run->inputs[k]->size : 0;
    for (int k = 0; k < run->output_count; k++)
        out->cost.bytes += run->outputs[k] ? (double)run->outputs[k]->size : 0;
    if (op->cost)
        op->cost(&out->cost, run->node, run->inputs, (const adze_tensor *const *)run->outputs);
    else if (run->outputs[0])
        out->cost.operations = (double)adze_tensor_elements(run->outputs[0]);
}
