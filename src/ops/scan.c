/* Scan and SequenceMap: a body for each slice of tensors along an axis, for each element of sequences.
 * Scan of opset 8 has an axis of batches in front of everything (attribute `batched`, which
 * src/model/onnx_adapt.c sets): each batch is a scan of its own. */
#include <string.h>

#include "graph/ir.h"
#include "ops/control.h"

/* ---- what the attributes say ---- */

typedef struct scan_form {
    adze_graph *body;
    int first; /* input of the first state: 1 when batched, behind the lengths */
    int states, scanned, stacked;
    bool batched;
    const int64_t *in_axes, *in_directions, *out_axes, *out_directions; /* or NULL */
} scan_form;

static adze_status list_of(const int64_t **out, const adze_node *node, const char *name, int count,
                           adze_error *err)
{
    int n;
    *out = adze_node_ints(node, name, &n);
    if (*out && n != count)
        return adze_fail(err, ADZE_BAD_MODEL, "Scan '%s': %s has %d numbers, expected %d",
                         node->name, name, n, count);
    return ADZE_OK;
}

static adze_status scan_form_of(scan_form *f, const adze_node *node, adze_error *err)
{
    int64_t scanned = adze_node_int(node, "num_scan_inputs", 0);
    *f = (scan_form){.batched = adze_node_int(node, "batched", 0) != 0};
    f->first = f->batched;
    if (scanned < 1 || scanned > node->input_count - f->first)
        return adze_fail(err, ADZE_BAD_MODEL, "Scan '%s': num_scan_inputs is %lld of %d inputs",
                         node->name, (long long)scanned, node->input_count - f->first);
    f->scanned = (int)scanned;
    f->states = node->input_count - f->first - f->scanned;
    ADZE_TRY(adze_ops_need_graph(&f->body, node, "body", f->states + f->scanned, -1, err));
    f->stacked = f->body->output_count - f->states;
    if (f->stacked < 0 || node->output_count > f->body->output_count)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "Scan '%s': the body gives %d values for %d states and %d outputs",
                         node->name, f->body->output_count, f->states, node->output_count);
    for (int i = f->first; i < node->input_count; i++)
        if (!node->inputs[i])
            return adze_fail(err, ADZE_BAD_MODEL, "Scan '%s': input %d is absent", node->name, i);
    ADZE_TRY(list_of(&f->in_axes, node, "scan_input_axes", f->scanned, err));
    ADZE_TRY(list_of(&f->out_axes, node, "scan_output_axes", f->stacked, err));
    ADZE_TRY(list_of(&f->out_directions, node, "scan_output_directions", f->stacked, err));
    return list_of(&f->in_directions, node, f->batched ? "directions" : "scan_input_directions",
                   f->scanned, err);
}

static adze_status input_axis(int *out, const scan_form *f, const adze_node *node, int k, int rank,
                              adze_error *err)
{
    int64_t axis = f->batched ? 1 : f->in_axes ? f->in_axes[k] : 0;
    return adze_ops_axis(out, node, axis, rank, err);
}

/* ---- types ---- */

static adze_type without_axis(const adze_type *type, int axis)
{
    adze_type out = *type;
    out.rank = type->rank - 1;
    for (int d = axis; d < out.rank; d++)
        out.dims[d] = type->dims[d + 1];
    return out;
}

static adze_type with_axis(const adze_type *type, int axis, adze_dim length)
{
    adze_type out = *type;
    out.rank = type->rank < 0 || type->rank >= ADZE_MAX_RANK ? -1 : type->rank + 1;
    for (int d = out.rank - 1; d > axis; d--)
        out.dims[d] = type->dims[d - 1];
    if (out.rank > 0)
        out.dims[axis] = length;
    return out;
}

/* Types of the slices; length and number of batches through the pointers where they can be told. */
static adze_status set_slices(adze_infer *infer, const scan_form *f, adze_dim *length,
                              adze_dim *batch, adze_error *err)
{
    for (int k = 0; k < f->scanned; k++) {
        const adze_type *type = infer->inputs[f->first + f->states + k];
        adze_type slice = *type;
        int axis;
        if (type->kind != ADZE_VALUE_TENSOR)
            return adze_ops_bad(infer->node, err, "what is scanned must be tensors");
        if (type->rank >= 0) {
            ADZE_TRY(input_axis(&axis, f, infer->node, k, type->rank, err));
            *length = type->dims[axis];
            slice = without_axis(type, axis);
            if (f->batched && axis != 1)
                return adze_ops_bad(infer->node, err, "an input has no axis of batches");
            *batch = f->batched ? type->dims[0] : *batch;
            slice = f->batched ? without_axis(&slice, 0) : slice;
        }
        adze_ops_set_graph_input(f->body, f->states + k, &slice);
    }
    return ADZE_OK;
}

/* States of one batch in place of those of all. */
static adze_status infer_batched(adze_infer *infer, const scan_form *f, adze_dim *batch,
                                 adze_error *err)
{
    for (int i = 0; i < f->states; i++) {
        adze_type type = *infer->inputs[f->first + i];
        if (type.rank == 0)
            return adze_ops_bad(infer->node, err, "a state has no axis of batches");
        if (type.rank > 0) {
            *batch = type.dims[0];
            type = without_axis(&type, 0);
        }
        adze_ops_set_graph_input(f->body, i, &type);
    }
    return adze_ops_infer_graph(f->body, err);
}

static adze_status scan_infer(adze_infer *infer, adze_error *err)
{
    scan_form f;
    ADZE_TRY(scan_form_of(&f, infer->node, err));
    adze_dim length = adze_dim_unknown(infer->dims, INT64_MAX), batch = length;
    ADZE_TRY(set_slices(infer, &f, &length, &batch, err));
    if (f.batched)
        ADZE_TRY(infer_batched(infer, &f, &batch, err));
    else
        ADZE_TRY(adze_ops_infer_carried(infer, f.body, 0, 0, 0, f.states, err));
    for (int o = 0; o < infer->output_count; o++) {
        const adze_value *from = o < f.states ? f.body->inputs[o] : f.body->outputs[o];
        adze_type type = adze_ops_outer_type(infer->dims, &from->type);
        if (o >= f.states && type.rank >= 0) {
            int64_t axis = f.out_axes ? f.out_axes[o - f.states] : 0;
            int at = 0;
            ADZE_TRY(adze_ops_axis(&at, infer->node, axis, type.rank + 1, err));
            type = with_axis(&type, at, length);
        }
        type = f.batched ? with_axis(&type, 0, batch) : type;
        adze_infer_set(infer, o, &type);
    }
    return ADZE_OK;
}

/* ---- execution ---- */

typedef struct scan {
    adze_run *run;
    scan_form form;
    int64_t length, batches, turns; /* turns: of the batch at hand */
    adze_item *in, *out;
    adze_stack *stacks; /* [states] final states of the batches, [stacked] */
    uint8_t *turned;
} scan;

static size_t scan_scratch(const adze_run *run)
{
    const adze_graph *body = adze_ops_graph(run->node, "body");
    size_t values = (size_t)body->input_count + (size_t)body->output_count;
    return values * (sizeof(adze_item) + sizeof(adze_stack) + 1) + 64;
}

static adze_status find_lengths(scan *s, adze_error *err)
{
    const scan_form *f = &s->form;
    const adze_run *run = s->run;
    s->length = s->batches = -1;
    for (int k = 0; k < f->scanned; k++) {
        const adze_tensor *x = run->inputs[f->first + f->states + k];
        int axis;
        ADZE_TRY(input_axis(&axis, f, run->node, k, x->rank, err));
        if (adze_ops_element(x->dtype) == 0 && x->dtype != ADZE_STRING)
            return adze_ops_unsupported(run->node, x->dtype, err);
        if (s->length >= 0 &&
            (x->dims[axis] != s->length || (f->batched && x->dims[0] != s->batches)))
            return adze_fail(err, ADZE_BAD_DATA,
                             "Scan '%s': %lld slices of input %d, expected %lld", run->node->name,
                             (long long)x->dims[axis], f->first + f->states + k,
                             (long long)s->length);
        s->length = x->dims[axis];
        s->batches = f->batched ? x->dims[0] : 1;
    }
    for (int i = 0; f->batched && i < f->states; i++) {
        const adze_tensor *x = run->inputs[f->first + i];
        if (x->rank < 1 || x->dims[0] != s->batches)
            return adze_ops_bad(run->node, err, "states and inputs have different batches");
    }
    return ADZE_OK;
}

/* Slice t along `axis` of batch b: where it lies when the axes before have one element, else copied. */
static adze_status slice(scan *s, int k, int64_t b, int64_t t, adze_error *err)
{
    const scan_form *f = &s->form;
    const adze_tensor *x = s->run->inputs[f->first + f->states + k];
    int axis;
    ADZE_TRY(input_axis(&axis, f, s->run->node, k, x->rank, err));
    if (f->in_directions && f->in_directions[k])
        t = s->turns - 1 - t;
    adze_tensor *y = &s->in[f->states + k].tensor;
    size_t inner = adze_dtype_bytes(x->dtype, 1);
    int64_t outer = 1;
    *y = adze_tensor_view(x->dtype, 0, NULL, NULL);
    for (int d = 0; d < x->rank; d++) {
        if (d > axis)
            inner *= (size_t)x->dims[d];
        else if (d < axis && !f->batched)
            outer *= x->dims[d];
        if (d != axis && !(f->batched && d == 0))
            y->dims[y->rank++] = x->dims[d];
    }
    y->size = (size_t)outer * inner;
    char *from = (char *)x->data + (size_t)(b * s->length + t) * inner;
    y->data = from;
    if (outer == 1 || y->size == 0)
        return ADZE_OK;
    char *to = adze_run_shelf(s->run, 5 * f->states + 3 * f->stacked + k, y->size);
    if (!to)
        return adze_fail(err, ADZE_NO_MEMORY, "Scan '%s': %zu bytes for a slice",
                         s->run->node->name, y->size);
    y->data = to;
    for (int64_t o = 0; o < outer; o++)
        memcpy(to + (size_t)o * inner, from + (size_t)(o * s->length) * inner, inner);
    return ADZE_OK;
}

static void start_batch(scan *s, int64_t b)
{
    const scan_form *f = &s->form;
    for (int i = 0; i < f->states; i++) {
        s->in[i] = *s->run->input_items[f->first + i];
        s->turned[i] = 0;
        adze_tensor *x = &s->in[i].tensor;
        if (!f->batched)
            continue;
        x->size = s->batches > 0 ? x->size / (size_t)s->batches : 0;
        x->data = (char *)x->data + (size_t)b * x->size;
        memmove(x->dims, x->dims + 1, (size_t)--x->rank * sizeof *x->dims);
    }
}

static adze_status scan_turn(scan *s, int64_t b, int64_t t, adze_error *err)
{
    const scan_form *f = &s->form;
    for (int k = 0; k < f->scanned; k++)
        ADZE_TRY(slice(s, k, b, t, err));
    ADZE_TRY(adze_run_graph(s->run, f->body, s->in, s->out, err));
    for (int k = 0; k < f->stacked; k++) {
        const adze_item *piece = &s->out[f->states + k];
        if (piece->kind != ADZE_VALUE_TENSOR)
            return adze_ops_bad(s->run->node, err, "outputs must be tensors");
        ADZE_TRY(adze_stack_push(&s->stacks[f->states + k], &piece->tensor, err));
    }
    for (int i = 0; i < f->states; i++) {
        s->turned[i] ^= 1;
        ADZE_TRY(adze_run_keep(s->run, 2 * i + s->turned[i], &s->out[i], &s->out[i], err));
    }
    for (int i = 0; i < f->states; i++)
        s->in[i] = s->out[i];
    return ADZE_OK;
}

/* Turns of this batch; behind them outputs are zero. */
static adze_status batch_length(const scan *s, int64_t b, int64_t *out, adze_error *err)
{
    const adze_tensor *lengths = s->form.batched ? adze_ops_input(s->run, 0) : NULL;
    *out = s->length;
    if (!lengths)
        return ADZE_OK;
    if (lengths->dtype != ADZE_I64 || adze_tensor_elements(lengths) != s->batches)
        return adze_ops_bad(s->run->node, err, "sequence_lens must be one int64 for each batch");
    *out = ((const int64_t *)lengths->data)[b];
    if (*out < 0 || *out > s->length)
        return adze_fail(err, ADZE_BAD_DATA, "Scan '%s': length %lld of batch %lld, at most %lld",
                         s->run->node->name, (long long)*out, (long long)b, (long long)s->length);
    return ADZE_OK;
}

static adze_status scan_batch(scan *s, int64_t b, adze_error *err)
{
    const scan_form *f = &s->form;
    int64_t length;
    ADZE_TRY(batch_length(s, b, &length, err));
    s->turns = length;
    start_batch(s, b);
    for (int64_t t = 0; t < length; t++)
        ADZE_TRY(scan_turn(s, b, t, err));
    for (int k = 0; k < f->stacked && length < s->length; k++)
        ADZE_TRY(adze_stack_fill(&s->stacks[f->states + k], s->length - length,
                                 &f->body->outputs[f->states + k]->type, err));
    for (int i = 0; i < f->states && f->batched; i++)
        ADZE_TRY(adze_stack_push(&s->stacks[i], &s->in[i].tensor, err));
    return ADZE_OK;
}

/* [batches * length, ...] is [batches, length, ...]. */
static adze_status split_batches(const scan *s, adze_tensor *y, adze_error *err)
{
    if (y->rank >= ADZE_MAX_RANK)
        return adze_ops_bad(s->run->node, err, "an output has too many axes");
    memmove(y->dims + 1, y->dims, (size_t)y->rank++ * sizeof *y->dims);
    y->dims[0] = s->batches;
    y->dims[1] = s->length;
    return ADZE_OK;
}

static adze_status finish_output(scan *s, int o, adze_error *err)
{
    const scan_form *f = &s->form;
    adze_item *out = s->run->output_items[o];
    const adze_type *type = &f->body->outputs[o]->type;
    if (o >= f->states) {
        int k = o - f->states;
        ADZE_TRY(adze_stack_finish(&s->stacks[o], f->out_axes ? f->out_axes[k] : 0,
                                   f->out_directions && f->out_directions[k], type, out, err));
        return f->batched ? split_batches(s, &out->tensor, err) : ADZE_OK;
    }
    if (f->batched)
        return adze_stack_finish(&s->stacks[o], 0, false, type, out, err);
    return adze_run_keep(s->run, 2 * o + !s->turned[o], out, &s->in[o], err);
}

static adze_status scan_run(adze_run *run, adze_error *err)
{
    scan s = {.run = run};
    ADZE_TRY(scan_form_of(&s.form, run->node, err));
    const scan_form *f = &s.form;
    s.in = run->scratch;
    s.out = s.in + f->body->input_count;
    s.stacks = (adze_stack *)(s.out + f->body->output_count);
    s.turned = (uint8_t *)(s.stacks + f->body->output_count);
    memset(s.in, 0, (size_t)f->body->input_count * sizeof *s.in);
    for (int k = 0; k < f->body->output_count; k++)
        s.stacks[k] = (adze_stack){.run = run, .slot = 2 * f->states + 3 * k};
    ADZE_TRY(find_lengths(&s, err));
    for (int64_t b = 0; b < s.batches; b++)
        ADZE_TRY(scan_batch(&s, b, err));
    for (int o = 0; o < run->output_count; o++)
        if (run->output_items[o])
            ADZE_TRY(finish_output(&s, o, err));
    return ADZE_OK;
}

/* ---- SequenceMap ---- */

static adze_status map_infer(adze_infer *infer, adze_error *err)
{
    adze_graph *body;
    ADZE_TRY(adze_ops_need_graph(&body, infer->node, "body", infer->input_count, -1, err));
    if (body->output_count < infer->output_count)
        return adze_ops_bad(infer->node, err, "the body has too few outputs");
    for (int i = 0; i < infer->input_count; i++) {
        if (!infer->inputs[i])
            return adze_ops_bad(infer->node, err, "an input is absent");
        adze_type type = *infer->inputs[i];
        type.kind = ADZE_VALUE_TENSOR;
        adze_ops_set_graph_input(body, i, &type);
    }
    ADZE_TRY(adze_ops_infer_graph(body, err));
    for (int o = 0; o < infer->output_count; o++) {
        adze_type type = adze_ops_outer_type(infer->dims, &body->outputs[o]->type);
        type.kind = ADZE_VALUE_SEQUENCE;
        for (int d = 0; d < type.rank; d++)
            type.dims[d] = adze_dim_unknown(infer->dims, INT64_MAX);
        adze_infer_set(infer, o, &type);
    }
    return ADZE_OK;
}

static adze_status map_length(const adze_run *run, int *out, adze_error *err)
{
    *out = -1;
    for (int i = 0; i < run->input_count; i++) {
        const adze_item *item = run->input_items[i];
        if (item->kind != ADZE_VALUE_SEQUENCE)
            continue;
        if (*out >= 0 && item->count != *out)
            return adze_fail(err, ADZE_BAD_DATA,
                             "SequenceMap '%s': input %d has %d elements, expected %d",
                             run->node->name, i, item->count, *out);
        *out = item->count;
    }
    return *out >= 0 ? ADZE_OK : adze_ops_bad(run->node, err, "no input is a sequence");
}

static adze_status map_run(adze_run *run, adze_error *err)
{
    const adze_graph *body = adze_ops_graph(run->node, "body");
    adze_item *in = run->scratch, *out = in + body->input_count;
    int length;
    ADZE_TRY(map_length(run, &length, err));
    for (int o = 0; o < run->output_count; o++)
        if (run->output_items[o])
            ADZE_TRY(adze_run_new_sequence(run, o, length, err));
    for (int t = 0; t < length; t++) {
        for (int i = 0; i < run->input_count; i++) {
            const adze_item *item = run->input_items[i];
            in[i] = item->kind == ADZE_VALUE_SEQUENCE ? item->items[t] : *item;
        }
        ADZE_TRY(adze_run_graph(run, body, in, out, err));
        for (int o = 0; o < run->output_count; o++)
            if (run->output_items[o])
                ADZE_TRY(adze_run_copy_item(run, o, &run->output_items[o]->items[t], &out[o], err));
    }
    return ADZE_OK;
}

const adze_op adze_ops_scan[] = {
    {.domain = "",
     .name = "Scan",
     .since = 9,
     .min_inputs = 0,
     .max_inputs = -1,
     .min_outputs = 0,
     .max_outputs = -1,
     .flags = ADZE_OP_SUBGRAPH,
     .attrs = "body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes "
              "scan_output_directions batched directions",
     .infer = scan_infer,
     .scratch = scan_scratch,
     .run = scan_run},
    {.domain = "",
     .name = "SequenceMap",
     .since = 17,
     .min_inputs = 1,
     .max_inputs = -1,
     .min_outputs = 1,
     .max_outputs = -1,
     .flags = ADZE_OP_SUBGRAPH,
     .attrs = "body",
     .infer = map_infer,
     .scratch = scan_scratch,
     .run = map_run},
    {.name = NULL},
};
