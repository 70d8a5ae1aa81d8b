/* The shapes of one run. Symbols are bound by the inputs, expressions evaluated in order, planned values
 * get their dimensions and addresses; only when a size outgrows what was planned is the arena packed
 * again. Dynamic steps are inferred when their turn comes, with the contents computed so far. */
#include <stdio.h>
#include <string.h>

#include "runtime/session_impl.h"

#define UNKNOWN INT64_MIN /* differences may be negative on the way */

static int64_t evaluate(const adze_dim_def *def, const int64_t *values)
{
    int64_t a = def->a >= 0 ? def->a : values[-1 - def->a];
    int64_t b = def->b >= 0 ? def->b : values[-1 - def->b], result;
    if (def->kind == ADZE_DIM_UNKNOWN || a == UNKNOWN || b == UNKNOWN)
        return UNKNOWN;
    switch (def->kind) {
    case ADZE_DIM_ADD: return __builtin_add_overflow(a, b, &result) ? UNKNOWN : result;
    case ADZE_DIM_SUB: return __builtin_sub_overflow(a, b, &result) ? UNKNOWN : result;
    case ADZE_DIM_MUL: return __builtin_mul_overflow(a, b, &result) ? UNKNOWN : result;
    case ADZE_DIM_DIV: /* floor */ return b <= 0 ? UNKNOWN : a / b - (a % b < 0);
    case ADZE_DIM_CEIL: return b <= 0 ? UNKNOWN : a / b + (a % b > 0);
    case ADZE_DIM_MIN: return ADZE_MIN(a, b);
    case ADZE_DIM_MAX: return ADZE_MAX(a, b);
    default: return UNKNOWN;
    }
}

static adze_status bind_symbol(adze_session *s, int def, int64_t found, const adze_value *input,
                               int axis, adze_error *err)
{
    int64_t *bound = &s->dim_values[def];
    if (*bound != UNKNOWN && *bound != found)
        return adze_fail(err, ADZE_BAD_DATA,
                         "input '%s': dimension %d is %lld, but '%s' is already %lld", input->name,
                         axis, (long long)found, s->plan->graph->dims->defs[def].name,
                         (long long)*bound);
    *bound = found;
    return ADZE_OK;
}

static bool tensor_fits(const int64_t *values, const adze_type *type, const adze_tensor *t)
{
    bool fit = (t->dtype == type->dtype || type->dtype == ADZE_UNDEFINED) &&
               (t->rank == type->rank || type->rank < 0);
    for (int i = 0; i < type->rank && fit; i++) {
        int64_t d = type->dims[i] >= 0 ? type->dims[i]
                    : values           ? values[-1 - type->dims[i]]
                                       : UNKNOWN;
        fit = d == UNKNOWN || d == t->dims[i];
    }
    return fit;
}

/* Whether an item is what planning counted on (values: of the dimensions, or NULL). A plain value stands for an optional that is there; where
 * nothing is known, anything fits. */
static bool fits(const int64_t *values, const adze_type *type, const adze_item *item)
{
    if (type->kind == ADZE_VALUE_TENSOR && type->dtype == ADZE_UNDEFINED && type->rank < 0)
        return true;
    if (item->kind == ADZE_VALUE_TENSOR)
        return type->kind != ADZE_VALUE_SEQUENCE && tensor_fits(values, type, &item->tensor);
    if (type->kind == ADZE_VALUE_TENSOR ||
        (item->kind == ADZE_VALUE_OPTIONAL && type->kind != item->kind))
        return false;
    for (int i = 0; i < item->count; i++) {
        const adze_item *element = &item->items[i];
        if (element->kind == ADZE_VALUE_TENSOR ? !tensor_fits(values, type, &element->tensor)
                                               : !fits(values, type, element))
            return false;
    }
    return true;
}

static const char *format_item(const adze_item *item, char *buf, size_t size)
{
    static const char *const kinds[] = {"tensor", "sequence", "optional"};
    if (item->kind == ADZE_VALUE_TENSOR)
        return adze_tensor_format(&item->tensor, buf, size);
    char first[120] = "";
    if (item->count > 0 && item->items[0].kind == ADZE_VALUE_TENSOR)
        adze_tensor_format(&item->items[0].tensor, first, sizeof first);
    snprintf(buf, size, "%s of %d %s", kinds[item->kind], item->count, first);
    return buf;
}

static adze_status bind_input(adze_session *s, const adze_value *input, adze_error *err)
{
    const adze_type *type = &input->type;
    const adze_item *item = &s->items[input->id];
    const adze_tensor *t = &item->tensor;
    char expected[200], found[200];
    if (!fits(s->around ? s->dim_values : NULL, type, item)) /* else symbols are bound below */
        return adze_fail(err, ADZE_BAD_DATA, "input '%s': expected %s, found %s", input->name,
                         adze_type_format(s->plan->graph, type, expected, sizeof expected),
                         format_item(item, found, sizeof found));
    for (int i = 0; i < type->rank && !s->around && type->kind == ADZE_VALUE_TENSOR; i++) {
        int def = (int)(-1 - type->dims[i]);
        if (type->dims[i] < 0 && s->plan->graph->dims->defs[def].kind == ADZE_DIM_SYMBOL)
            ADZE_TRY(bind_symbol(s, def, t->dims[i], input, i, err));
    }
    return ADZE_OK;
}

static adze_status bind_dims(adze_session *s, adze_error *err)
{
    const adze_graph *g = s->plan->graph;
    size_t size = (size_t)g->dims->count * sizeof *s->dim_values;
    if (s->around && s->around->dim_values)
        memcpy(s->dim_values, s->around->dim_values, size);
    for (int i = 0; i < g->dims->count && !s->around; i++)
        s->dim_values[i] = UNKNOWN;
    for (int i = 0; i < g->input_count; i++)
        ADZE_TRY(bind_input(s, g->inputs[i], err));
    for (int i = 0; i < g->dims->count && !s->around; i++)
        if (g->dims->defs[i].kind != ADZE_DIM_SYMBOL)
            s->dim_values[i] = evaluate(&g->dims->defs[i], s->dim_values);
    return ADZE_OK;
}

adze_status adze_session_take(adze_session *s, size_t from, size_t to, adze_error *err)
{
    adze_budget *b = s->budget;
    size_t used = b->used - ADZE_MIN(from, b->used);
    b->exceeded |= b->most && (to > b->most || used > b->most - to);
    if (b->exceeded)
        return adze_fail(err, ADZE_LIMIT, "the model needs more than the %zu bytes it may have",
                         b->most);
    b->used = used + to;
    return ADZE_OK;
}

adze_status adze_session_reserve(adze_session *s, int id, size_t size, adze_error *err)
{
    if (s->capacities[id] >= size && s->buffers[id])
        return ADZE_OK;
    size_t capacity = ADZE_MAX(size + size / 4, 64);
    ADZE_TRY(adze_session_take(s, s->capacities[id], capacity, err));
    void *bytes = adze_alloc(1, capacity);
    if (!bytes)
        return adze_fail(err, ADZE_NO_MEMORY, "value '%s': %zu bytes",
                         s->plan->graph->values[id]->name, size);
    adze_free(s->buffers[id]);
    s->buffers[id] = bytes;
    s->capacities[id] = capacity;
    return ADZE_OK;
}

adze_status adze_session_reserve_scratch(adze_session *s, size_t size, adze_error *err)
{
    if (s->scratch_size >= size && s->scratch)
        return ADZE_OK;
    ADZE_TRY(adze_session_take(s, s->scratch_size, ADZE_MAX(size, 64), err));
    adze_free(s->scratch);
    s->scratch = adze_alloc(1, ADZE_MAX(size, 64));
    s->scratch_size = s->scratch ? ADZE_MAX(size, 64) : 0;
    if (!s->scratch)
        return adze_fail(err, ADZE_NO_MEMORY, "%zu bytes of scratch", size);
    return ADZE_OK;
}

/* Dimensions of a planned value in this run; bytes through *size. */
static adze_status concretize(adze_session *s, const adze_value *v, size_t *size, adze_error *err)
{
    adze_tensor *t = &s->items[v->id].tensor;
    t->dtype = v->type.dtype;
    t->rank = v->type.rank;
    t->quant = v->type.quant;
    for (int i = 0; i < t->rank; i++)
        t->dims[i] = v->type.dims[i] >= 0 ? v->type.dims[i] : s->dim_values[-1 - v->type.dims[i]];
    int64_t n = adze_shape_elements(t->rank, t->dims);
    *size = n < 0 ? SIZE_MAX : adze_dtype_bytes(t->dtype, n);
    if (*size > SIZE_MAX / 4) {
        char shape[200];
        return adze_fail(err, ADZE_LIMIT, "value '%s': impossible size %s in this run", v->name,
                         adze_tensor_format(t, shape, sizeof shape));
    }
    t->size = *size;
    return ADZE_OK;
}

static adze_status repack(adze_session *s, adze_error *err)
{
    size_t total = adze_plan_pack(s->plan, s->sizes, s->offsets, s->pack_scratch);
    if (total > s->arena_size || !s->arena) {
        adze_status status = adze_session_take(s, s->arena_size, ADZE_MAX(total, 64), err);
        if (status != ADZE_OK) { /* a smaller run may still fit */
            memset(s->sizes, 0, (size_t)s->plan->graph->value_count * sizeof *s->sizes);
            return status;
        }
        adze_free(s->arena);
        s->arena_size = 0;
        s->arena = adze_alloc(1, ADZE_MAX(total, 64));
        if (!s->arena)
            return adze_fail(err, ADZE_NO_MEMORY, "%zu bytes for activations", total);
        s->arena_size = ADZE_MAX(total, 64);
    }
    s->outgrown = false;
    return ADZE_OK;
}

static bool is_planned_place(adze_place place)
{
    return place == ADZE_PLACE_ARENA || place == ADZE_PLACE_ALIAS;
}

static bool made_by_dynamic_step(const adze_plan *plan, const adze_value *v)
{
    int first = plan->slots[v->id].first;
    return first >= 0 && plan->steps[first].dynamic;
}

static adze_status shape_values(adze_session *s, bool *grown, adze_error *err)
{
    const adze_plan *plan = s->plan;
    for (int i = 0; i < plan->graph->value_count; i++) {
        const adze_slot *slot = &plan->slots[i];
        const adze_value *v = plan->graph->values[i];
        size_t size;
        if (!is_planned_place(slot->place) || made_by_dynamic_step(plan, v))
            continue;
        ADZE_TRY(concretize(s, v, &size, err));
        size = (size + 63) & ~(size_t)63;
        if (size > s->sizes[slot->root]) {
            s->sizes[slot->root] = size;
            *grown |= plan->slots[slot->root].place == ADZE_PLACE_ARENA;
        }
    }
    return ADZE_OK;
}

static void point_values(adze_session *s)
{
    const adze_plan *plan = s->plan;
    for (int i = 0; i < plan->graph->value_count; i++) {
        const adze_slot *slot = &plan->slots[i];
        const adze_slot *root = &plan->slots[slot->root];
        if (is_planned_place(slot->place) && root->place == ADZE_PLACE_ARENA)
            s->items[i].tensor.data = s->arena + s->offsets[slot->root];
    }
}

static adze_status size_scratch(adze_session *s, adze_error *err)
{
    size_t most = 0;
    for (int i = 0; i < s->plan->step_count; i++) {
        const adze_step *step = &s->plan->steps[i];
        if (step->node->op->scratch && !step->late && !step->view)
            most = ADZE_MAX(most, step->node->op->scratch(&s->runs[i]));
    }
    return adze_session_reserve_scratch(s, most, err);
}

adze_status adze_session_plan_bounds(adze_session *s, adze_error *err)
{
    const adze_dims *dims = s->plan->graph->dims;
    for (int i = 0; i < dims->count; i++)
        if (dims->defs[i].kind == ADZE_DIM_SYMBOL && dims->defs[i].upper >= INT64_MAX / 2)
            return ADZE_OK;
    for (int i = 0; i < dims->count; i++) {
        s->dim_values[i] = dims->defs[i].kind == ADZE_DIM_SYMBOL
                               ? dims->defs[i].upper
                               : evaluate(&dims->defs[i], s->dim_values);
    }
    for (int i = 0; i < s->plan->graph->input_count; i++) {
        size_t size;
        const adze_value *input = s->plan->graph->inputs[i];
        if (input->type.kind != ADZE_VALUE_TENSOR || input->type.rank < 0)
            return ADZE_OK;
        ADZE_TRY(concretize(s, input, &size, err));
    }
    bool grown = true;
    ADZE_TRY(shape_values(s, &grown, err));
    ADZE_TRY(repack(s, err));
    point_values(s);
    return size_scratch(s, err);
}

/* ---- dynamic steps ---- */

static void gather_concrete(adze_session *s, const adze_node *node)
{
    adze_infer *infer = &s->infer;
    adze_type *types = (adze_type *)s->infer.outputs + node->output_count;
    infer->node = node;
    infer->input_count = node->input_count;
    infer->output_count = node->output_count;
    for (int i = 0; i < node->input_count; i++) {
        ((const adze_type **)infer->inputs)[i] = NULL;
        ((const adze_tensor **)infer->contents)[i] = NULL;
        if (!node->inputs[i])
            continue;
        const adze_item *item = &s->items[node->inputs[i]->id];
        types[i] = node->inputs[i]->type;
        types[i].kind = item->kind;
        if (item->kind == ADZE_VALUE_TENSOR) {
            types[i] = adze_type_tensor(item->tensor.dtype, item->tensor.rank, item->tensor.dims);
            types[i].quant = item->tensor.quant;
            ((const adze_tensor **)infer->contents)[i] = &item->tensor;
        }
        ((const adze_type **)infer->inputs)[i] = &types[i];
    }
    for (int i = 0; i < node->output_count; i++) {
        infer->outputs[i] = (adze_type){.rank = -1};
        if (node->outputs[i] && node->outputs[i]->type.quant) {
            infer->outputs[i].dtype = node->outputs[i]->type.dtype;
            infer->outputs[i].quant = node->outputs[i]->type.quant;
        }
        infer->known_out_counts[i] = -1;
    }
}

static bool all_numbers(const adze_type *type)
{
    if (type->kind != ADZE_VALUE_TENSOR || type->rank < 0 || type->dtype == ADZE_UNDEFINED)
        return false;
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] < 0)
            return false;
    return true;
}

static bool sizes_itself(const adze_op *op)
{
    return (op->flags & (ADZE_OP_DATA_SIZED | ADZE_OP_SUBGRAPH)) != 0;
}

adze_status adze_session_infer_step(adze_session *s, int step, adze_error *err)
{
    const adze_step *st = &s->plan->steps[step];
    const adze_node *node = st->node;
    if (node->op->flags & ADZE_OP_SUBGRAPH)
        return ADZE_OK;
    s->infer_dims.count = 0;
    gather_concrete(s, node);
    ADZE_TRY(adze_infer_run(&s->infer, err));
    for (int i = 0; i < node->output_count; i++) {
        if (!node->outputs[i])
            continue;
        int id = node->outputs[i]->id;
        const adze_type *type = &s->infer.outputs[i];
        adze_item *item = &s->items[id];
        item->kind = type->kind;
        item->tensor.dtype = type->dtype;
        item->tensor.quant = type->quant;
        if (!all_numbers(type)) {
            if (item->kind == ADZE_VALUE_TENSOR && !sizes_itself(node->op))
                return adze_fail(err, ADZE_BAD_DATA,
                                 "%s '%s': these inputs give no shape of output '%s'",
                                 node->op_type, node->name, node->outputs[i]->name);
            continue;
        }
        if (st->view && i == 0) {
            const adze_tensor *in = &s->items[node->inputs[0]->id].tensor;
            item->tensor = adze_tensor_view(type->dtype, type->rank, type->dims, in->data);
            item->tensor.quant = type->quant;
        } else {
            ADZE_TRY(adze_run_resize(&s->runs[step], i, type->dtype, type->rank, type->dims, err));
        }
    }
    return ADZE_OK;
}

/* ---- checking what symbols promised ---- */

/* Contents that inference knows as expressions, in numbers; other contents are of the run before. */
static void gather_known(adze_session *s, const adze_node *node)
{
    adze_infer *infer = &s->infer;
    for (int i = 0; i < node->input_count; i++) {
        const adze_value *v = node->inputs[i];
        ((const adze_dim **)infer->known)[i] = NULL;
        if (!v || v->role == ADZE_ROLE_CONSTANT)
            continue;
        ((const adze_tensor **)infer->contents)[i] = NULL;
        bool all = v->known && v->known_count <= ADZE_KNOWN_MAX;
        for (int k = 0; all && k < v->known_count; k++) {
            int64_t d = v->known[k];
            bool number = d >= 0 || d <= INT64_MIN / 2; /* negative numbers are coded */
            int64_t value = number ? d : s->dim_values[-1 - d];
            all = number || value != UNKNOWN;
            s->infer_known[i][k] = number || value >= 0 ? value : INT64_MIN - value;
        }
        if (!all)
            continue;
        ((const adze_dim **)infer->known)[i] = s->infer_known[i];
        ((int *)infer->known_counts)[i] = v->known_count;
    }
}

static void forget_known(adze_session *s, const adze_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        ((const adze_dim **)s->infer.known)[i] = NULL;
}

/* No turn, no element: the result has the shape that was planned where that is empty too. */
static void shape_empty(const adze_session *s, const adze_type *type, adze_item *item)
{
    adze_tensor *t = &item->tensor;
    int64_t dims[ADZE_MAX_RANK];
    if (item->kind != ADZE_VALUE_TENSOR || type->kind != ADZE_VALUE_TENSOR ||
        type->rank != t->rank || t->size != 0)
        return;
    for (int i = 0; i < t->rank; i++) {
        int64_t d = type->dims[i] >= 0 ? type->dims[i] : s->dim_values[-1 - type->dims[i]];
        dims[i] = d == UNKNOWN ? t->dims[i] : d;
    }
    if (adze_shape_elements(t->rank, dims) == 0)
        memcpy(t->dims, dims, (size_t)t->rank * sizeof *dims);
}

adze_status adze_session_check_promises(adze_session *s, int step, adze_error *err)
{
    const adze_node *node = s->plan->steps[step].node;
    for (int o = 0; o < node->output_count; o++) {
        const adze_value *v = node->outputs[o];
        if (v)
            shape_empty(s, &v->type, &s->items[v->id]);
        if (!v || fits(s->dim_values, &v->type, &s->items[v->id]))
            continue;
        char expected[160], found[160];
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': output '%s' is %s, expected %s",
                         node->op_type, node->name, v->name,
                         format_item(&s->items[v->id], found, sizeof found),
                         adze_type_format(s->plan->graph, &v->type, expected, sizeof expected));
    }
    return ADZE_OK;
}

static bool same_shape(const adze_type *type, const adze_tensor *tensor)
{
    bool same = type->rank == tensor->rank;
    for (int i = 0; i < type->rank && same; i++)
        same = type->dims[i] < 0 || type->dims[i] == tensor->dims[i];
    return same;
}

adze_status adze_session_check_step(adze_session *s, int step, bool computed, adze_error *err)
{
    const adze_node *node = s->plan->steps[step].node;
    char planned[200];
    s->infer_dims.count = 0;
    gather_concrete(s, node);
    if (!computed)
        gather_known(s, node);
    adze_status status = adze_infer_run(&s->infer, err);
    forget_known(s, node);
    if (status == ADZE_BAD_MODEL && err)
        err->status = ADZE_BAD_DATA;
    if (status != ADZE_OK)
        return adze_wrap(err, status == ADZE_BAD_MODEL ? ADZE_BAD_DATA : status,
                         "these inputs do not fit the model");
    for (int i = 0; i < node->output_count; i++) {
        const adze_type *type = &s->infer.outputs[i];
        if (!node->outputs[i] || type->rank < 0 || type->kind != ADZE_VALUE_TENSOR)
            continue;
        const adze_tensor *t = &s->items[node->outputs[i]->id].tensor;
        if (!same_shape(type, t))
            return adze_fail(
                err, ADZE_BAD_DATA, "these inputs do not fit the model: %s '%s' cannot give %s",
                node->op_type, node->name, adze_tensor_format(t, planned, sizeof planned));
    }
    return ADZE_OK;
}

static adze_status check_steps(adze_session *s, adze_error *err)
{
    for (int i = 0; i < s->plan->step_count && !s->plan->all_static; i++)
        if (!s->plan->steps[i].late)
            ADZE_TRY(adze_session_check_step(s, i, false, err));
    return ADZE_OK;
}

adze_status adze_session_lay_out(adze_session *s, adze_error *err)
{
    const adze_plan *plan = s->plan;
    size_t dims_size = (size_t)plan->graph->dims->count * sizeof(int64_t);
    ADZE_TRY(bind_dims(s, err));
    if (s->laid_out && memcmp(s->dim_values, s->last_dims, dims_size) == 0)
        return ADZE_OK;
    s->outgrown |= !s->arena;
    s->laid_out = false;
    ADZE_TRY(shape_values(s, &s->outgrown, err));
    ADZE_TRY(check_steps(s, err));
    if (s->outgrown)
        ADZE_TRY(repack(s, err));
    point_values(s);
    ADZE_TRY(size_scratch(s, err));
    memcpy(s->last_dims, s->dim_values, dims_size);
    s->laid_out = true;
    return ADZE_OK;
}
