/* Items as values that move: how many bytes one needs with all it points to, copies of it in one block,
 * tensors that grow by a piece at a time. */
#include <string.h>

#include "ops/control.h"
#include "ops/execute.h"

/* One row for each element type, so that types of sequences need no memory of a graph. */
#define ROW(name, ...) {.kind = ADZE_VALUE_SEQUENCE, .dtype = ADZE_##name, .rank = -1},
static const adze_type sequences[] = {ADZE_DTYPE_LIST(ROW)};
#undef ROW

const adze_type *adze_ops_sequence_type(adze_dtype dtype)
{
    return &sequences[(size_t)dtype < ADZE_COUNT_OF(sequences) ? (size_t)dtype : 0];
}

/* ---- what the session does ---- */

adze_status adze_run_graph(adze_run *run, const adze_graph *graph, const adze_item *inputs,
                           adze_item *outputs, adze_error *err)
{
    const adze_run_host *host = run->session;
    if (!host->graph)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s '%s': graphs run in sessions only",
                         run->node->op_type, run->node->name);
    return host->graph(run, graph, inputs, outputs, err);
}

bool adze_run_graph_lasts(adze_run *run, const adze_graph *graph, int output)
{
    const adze_run_host *host = run->session;
    return host->lasts(run, graph, output);
}

void *adze_run_shelf(adze_run *run, int slot, size_t size)
{
    const adze_run_host *host = run->session;
    return host->shelf ? host->shelf(run, slot, size) : NULL;
}

/* ---- copies ---- */

static size_t aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static size_t text_bytes(const adze_tensor *t)
{
    const adze_string *strings = t->data;
    size_t total = 0;
    for (int64_t i = 0, n = adze_tensor_elements(t); i < n; i++)
        total += strings[i].length;
    return total;
}

static size_t item_bytes(const adze_item *item)
{
    const adze_tensor *t = &item->tensor;
    if (item->kind == ADZE_VALUE_TENSOR)
        return aligned(t->size) + (t->dtype == ADZE_STRING ? aligned(text_bytes(t)) : 0);
    size_t total = aligned((size_t)item->count * sizeof *item->items);
    for (int i = 0; i < item->count; i++)
        total += item_bytes(&item->items[i]);
    return total;
}

static void copy_strings(adze_string *to, const adze_string *from, int64_t n, char *text)
{
    for (int64_t i = 0; i < n; i++) {
        size_t length = from[i].length;
        if (length)
            memcpy(text, from[i].data, length);
        to[i] = (adze_string){text, length};
        text += length;
    }
}

static char *place_item(adze_item *out, const adze_item *from, char *at)
{
    *out = *from;
    if (from->kind != ADZE_VALUE_TENSOR) {
        out->items = (adze_item *)at;
        at += aligned((size_t)from->count * sizeof *from->items);
        for (int i = 0; i < from->count; i++)
            at = place_item(&out->items[i], &from->items[i], at);
        return at;
    }
    adze_tensor *t = &out->tensor;
    t->owner = ADZE_BORROWED;
    t->data = at;
    at += aligned(t->size);
    if (t->dtype == ADZE_STRING) {
        copy_strings(t->data, from->tensor.data, adze_tensor_elements(t), at);
        at += aligned(text_bytes(&from->tensor));
    } else if (t->size) {
        memcpy(t->data, from->tensor.data, t->size);
    }
    return at;
}

static adze_status no_room(const adze_run *run, size_t size, adze_error *err)
{
    if (err && err->status != ADZE_OK)
        return err->status;
    return adze_fail(err, ADZE_NO_MEMORY, "%s '%s': no %zu bytes for a value", run->node->op_type,
                     run->node->name, size);
}

adze_status adze_run_keep(adze_run *run, int slot, adze_item *out, const adze_item *from,
                          adze_error *err)
{
    size_t size = ADZE_MAX(item_bytes(from), 64);
    char *at = adze_run_shelf(run, slot, size);
    if (!at)
        return no_room(run, size, err);
    adze_item kept;
    place_item(&kept, from, at);
    *out = kept;
    return ADZE_OK;
}

adze_status adze_run_copy_item(adze_run *run, int i, adze_item *out, const adze_item *from,
                               adze_error *err)
{
    size_t size = ADZE_MAX(item_bytes(from), 64);
    char *at = adze_run_alloc(run, i, size);
    if (!at)
        return no_room(run, size, err);
    place_item(out, from, at);
    return ADZE_OK;
}

adze_status adze_run_new_sequence(adze_run *run, int i, int count, adze_error *err)
{
    size_t size = ((size_t)count + 1) * sizeof(adze_item);
    adze_item *items = adze_run_alloc(run, i, size);
    if (!items)
        return no_room(run, size, err);
    memset(items, 0, size);
    *run->output_items[i] =
        (adze_item){.kind = ADZE_VALUE_SEQUENCE, .count = count, .items = items};
    return ADZE_OK;
}

adze_status adze_run_copy_tensor(adze_run *run, int i, const adze_tensor *from, adze_error *err)
{
    ADZE_TRY(adze_run_resize(run, i, from->dtype, from->rank, from->dims, err));
    adze_tensor *to = run->outputs[i];
    run->output_items[i]->kind = ADZE_VALUE_TENSOR;
    if (from->dtype != ADZE_STRING) {
        if (from->size)
            memcpy(to->data, from->data, from->size);
        return ADZE_OK;
    }
    size_t size = text_bytes(from);
    char *text = adze_run_alloc(run, i, ADZE_MAX(size, 1));
    if (!text)
        return no_room(run, size, err);
    copy_strings(to->data, from->data, adze_tensor_elements(from), text);
    return ADZE_OK;
}

/* ---- stacks ---- */

static adze_status check_piece(adze_stack *s, const adze_tensor *piece, adze_error *err)
{
    if (s->count == 0) {
        s->piece = *piece;
        s->piece.data = NULL;
        s->bytes = piece->size;
        if (adze_ops_element(piece->dtype) == 0 && piece->dtype != ADZE_STRING)
            return adze_ops_unsupported(s->run->node, piece->dtype, err);
        return ADZE_OK;
    }
    bool same = piece->dtype == s->piece.dtype && piece->rank == s->piece.rank;
    for (int d = 0; same && d < piece->rank; d++)
        same = piece->dims[d] == s->piece.dims[d];
    if (same)
        return ADZE_OK;
    char was[160], is[160];
    return adze_fail(err, ADZE_BAD_DATA, "%s '%s': turn %lld gives %s, the first one gave %s",
                     s->run->node->op_type, s->run->node->name, (long long)s->count,
                     adze_tensor_format(piece, is, sizeof is),
                     adze_tensor_format(&s->piece, was, sizeof was));
}

/* Text may move while it grows: until the end strings hold offsets. */
static adze_status push_strings(adze_stack *s, adze_string *to, const adze_tensor *piece,
                                adze_error *err)
{
    size_t more = text_bytes(piece);
    char *text = adze_run_shelf(s->run, s->slot + 1, s->text + more + 1);
    if (!text)
        return no_room(s->run, s->text + more, err);
    int64_t n = adze_tensor_elements(piece);
    copy_strings(to, piece->data, n, text + s->text);
    for (int64_t i = 0; i < n; i++) {
        to[i].data = (const char *)(uintptr_t)s->text;
        s->text += to[i].length;
    }
    return ADZE_OK;
}

adze_status adze_stack_push(adze_stack *s, const adze_tensor *piece, adze_error *err)
{
    ADZE_TRY(check_piece(s, piece, err));
    size_t before, size;
    if (!adze_mul_size(&before, (size_t)s->count, s->bytes) ||
        !adze_add_size(&size, before, s->bytes) || s->piece.rank >= ADZE_MAX_RANK)
        return adze_fail(err, ADZE_LIMIT, "%s '%s': an output of too many turns or axes",
                         s->run->node->op_type, s->run->node->name);
    char *at = adze_run_shelf(s->run, s->slot, ADZE_MAX(size, 64));
    if (!at)
        return no_room(s->run, size, err);
    s->count++;
    if (piece->dtype == ADZE_STRING)
        return push_strings(s, (adze_string *)(at + before), piece, err);
    if (s->bytes)
        memcpy(at + before, piece->data, s->bytes);
    return ADZE_OK;
}

static void set_unseen_piece(adze_stack *s, const adze_type *type)
{
    s->piece = (adze_tensor){.dtype = type->dtype, .rank = ADZE_MAX(type->rank, 0)};
    if (s->piece.rank >= ADZE_MAX_RANK)
        s->piece.rank = 0;
    for (int d = 0; d < s->piece.rank; d++)
        s->piece.dims[d] = ADZE_MAX(type->dims[d], 0);
    int64_t n = adze_shape_elements(s->piece.rank, s->piece.dims);
    s->piece.size = n < 0 ? SIZE_MAX : adze_dtype_bytes(type->dtype, n);
}

adze_status adze_stack_fill(adze_stack *s, int64_t count, const adze_type *type, adze_error *err)
{
    if (s->count == 0)
        set_unseen_piece(s, type);
    adze_tensor zeros = s->piece;
    if (zeros.size > SIZE_MAX / 4 || zeros.dtype == ADZE_STRING)
        return adze_ops_bad(s->run->node, err, "turns that are left out give no output");
    for (int64_t i = 0; i < count; i++) {
        zeros.data = adze_run_shelf(s->run, s->slot + 2, ADZE_MAX(zeros.size, 64));
        if (!zeros.data)
            return no_room(s->run, zeros.size, err);
        memset(zeros.data, 0, zeros.size);
        ADZE_TRY(adze_stack_push(s, &zeros, err));
    }
    return ADZE_OK;
}

/* Pieces lie one after another; the new axis goes to its place. */
static void permute(const adze_stack *s, int64_t axis, bool backwards, const char *from, char *to)
{
    size_t inner = adze_dtype_bytes(s->piece.dtype, 1);
    int64_t outer = 1, n = s->count;
    for (int d = 0; d < s->piece.rank; d++) {
        if (d < axis)
            outer *= s->piece.dims[d];
        else
            inner *= (size_t)s->piece.dims[d];
    }
    for (int64_t o = 0; o < outer; o++)
        for (int64_t t = 0; t < n; t++) {
            size_t source = (size_t)(backwards ? n - 1 - t : t) * (size_t)outer + (size_t)o;
            memcpy(to, from + source * inner, inner);
            to += inner;
        }
}

adze_status adze_stack_finish(adze_stack *s, int64_t axis, bool backwards, const adze_type *type,
                              adze_item *out, adze_error *err)
{
    if (s->count == 0)
        set_unseen_piece(s, type);
    int rank = s->piece.rank + 1;
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': axis %lld of an output of rank %d",
                         s->run->node->op_type, s->run->node->name, (long long)axis, rank);
    size_t size = (size_t)s->count * s->bytes;
    char *data = adze_run_shelf(s->run, s->slot, ADZE_MAX(size, 64));
    if (!data)
        return no_room(s->run, size, err);
    if (s->piece.dtype == ADZE_STRING && s->count) {
        const char *text = adze_run_shelf(s->run, s->slot + 1, 1);
        adze_string *strings = (adze_string *)data;
        for (size_t i = 0; i < size / sizeof *strings; i++)
            strings[i].data = text + (uintptr_t)strings[i].data;
    }
    if ((axis > 0 || backwards) && size) {
        char *moved = adze_run_shelf(s->run, s->slot + 2, size);
        if (!moved)
            return no_room(s->run, size, err);
        permute(s, axis, backwards, data, moved);
        data = moved;
    }
    *out = (adze_item){.tensor = adze_tensor_view(s->piece.dtype, 0, NULL, data)};
    out->tensor.rank = rank;
    for (int d = 0, from = 0; d < rank; d++)
        out->tensor.dims[d] = d == axis ? s->count : s->piece.dims[from++];
    out->tensor.size = size;
    return ADZE_OK;
}
