/* Sequences of tensors. A sequence shares the tensors of the one it was made from: these live until the
 * step that made them runs again. Single tensors are copied in: their memory may be lent to others. */
#include <string.h>

#include "ops/control.h"

/* ---- types ---- */

/* The elements of a sequence may differ in every dimension. */
static adze_type sequence_of(adze_infer *infer, const adze_type *element)
{
    adze_type type = *element;
    type.kind = ADZE_VALUE_SEQUENCE;
    type.quant = NULL;
    type.inner = NULL;
    for (int d = 0; d < type.rank; d++)
        type.dims[d] = adze_dim_unknown(infer->dims, INT64_MAX);
    return type;
}

static adze_type element_of(adze_infer *infer, const adze_type *sequence)
{
    adze_type type = sequence_of(infer, sequence);
    type.kind = ADZE_VALUE_TENSOR;
    return type;
}

/* Input i must be a sequence; true unless it is known to be something else. */
static adze_status need_sequence(const adze_infer *infer, int i, adze_error *err)
{
    const adze_type *type = infer->inputs[i];
    bool unknown = type->kind == ADZE_VALUE_TENSOR && type->dtype == ADZE_UNDEFINED;
    if (type->kind == ADZE_VALUE_TENSOR && !unknown)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is a tensor, expected a sequence",
                         infer->node->op_type, infer->node->name, i);
    return ADZE_OK;
}

static adze_status need_items(const adze_run *run, const adze_item **out, adze_error *err)
{
    *out = run->input_items[0];
    if ((*out)->kind == ADZE_VALUE_OPTIONAL && (*out)->count == 1)
        *out = &(*out)->items[0];
    if ((*out)->kind != ADZE_VALUE_SEQUENCE)
        return adze_ops_bad(run->node, err, "input 0 is no sequence");
    return ADZE_OK;
}

/* A place in a sequence: from -count to count - 1 (count too where one is inserted). */
static adze_status position(const adze_run *run, int input, int count, int otherwise, int *out,
                            adze_error *err)
{
    const adze_tensor *t = adze_ops_input(run, input);
    int last = strcmp(run->node->op_type, "SequenceInsert") == 0 ? count : count - 1;
    *out = otherwise;
    if (t && ((t->dtype != ADZE_I64 && t->dtype != ADZE_I32) || adze_tensor_elements(t) != 1))
        return adze_ops_bad(run->node, err, "the position is not one integer");
    int64_t at = t ? adze_tensor_get_i64(t, 0) : otherwise;
    if (at < -count || at > last)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': position %lld in a sequence of %d elements",
                         run->node->op_type, run->node->name, (long long)at, count);
    *out = (int)(at < 0 ? at + count : at);
    return ADZE_OK;
}

/* ---- making ---- */

static adze_status construct_infer(adze_infer *infer, adze_error *err)
{
    adze_type type = {.rank = -1};
    for (int i = 0; i < infer->input_count; i++) {
        if (!infer->inputs[i] || infer->inputs[i]->kind != ADZE_VALUE_TENSOR)
            return adze_ops_bad(infer->node, err, "inputs must be tensors");
        if (i == 0)
            type = *infer->inputs[i];
        else
            adze_ops_join_types(infer->dims, &type, infer->inputs[i]);
    }
    type = sequence_of(infer, &type);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status construct_run(adze_run *run, adze_error *err)
{
    ADZE_TRY(adze_run_new_sequence(run, 0, run->input_count, err));
    for (int i = 0; i < run->input_count; i++) {
        if (run->inputs[i]->dtype != run->inputs[0]->dtype)
            return adze_ops_bad(run->node, err, "elements must be of one type");
        ADZE_TRY(
            adze_run_copy_item(run, 0, &run->output_items[0]->items[i], run->input_items[i], err));
    }
    return ADZE_OK;
}

static adze_status empty_infer(adze_infer *infer, adze_error *err)
{
    adze_type type = {.kind = ADZE_VALUE_SEQUENCE, .rank = -1};
    type.dtype = adze_dtype_from_onnx((int)adze_node_int(infer->node, "dtype", 1));
    if (type.dtype == ADZE_UNDEFINED)
        return adze_ops_bad(infer->node, err, "attribute dtype is no element type");
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status empty_run(adze_run *run, adze_error *err)
{
    return adze_run_new_sequence(run, 0, 0, err);
}

/* ---- taking apart ---- */

static adze_status at_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_sequence(infer, 0, err));
    adze_type type = element_of(infer, infer->inputs[0]);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status at_run(adze_run *run, adze_error *err)
{
    const adze_item *sequence;
    int at;
    ADZE_TRY(need_items(run, &sequence, err));
    ADZE_TRY(position(run, 1, sequence->count, 0, &at, err));
    if (sequence->items[at].kind != ADZE_VALUE_TENSOR)
        return adze_ops_bad(run->node, err, "the element is no tensor");
    return adze_run_copy_tensor(run, 0, &sequence->items[at].tensor, err);
}

static adze_status length_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_sequence(infer, 0, err));
    adze_infer_set_tensor(infer, 0, ADZE_I64, 0, NULL);
    return ADZE_OK;
}

static adze_status length_run(adze_run *run, adze_error *err)
{
    const adze_item *sequence;
    ADZE_TRY(need_items(run, &sequence, err));
    *(int64_t *)run->outputs[0]->data = sequence->count;
    return ADZE_OK;
}

/* ---- inserting, erasing ---- */

static adze_status insert_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_sequence(infer, 0, err));
    adze_type type = sequence_of(infer, infer->inputs[0]);
    adze_type element = sequence_of(infer, infer->inputs[1]);
    if (infer->inputs[1]->kind != ADZE_VALUE_TENSOR)
        return adze_ops_bad(infer->node, err, "input 1 must be a tensor");
    if (type.dtype != element.dtype && type.dtype != ADZE_UNDEFINED &&
        element.dtype != ADZE_UNDEFINED)
        return adze_ops_bad(infer->node, err, "the element is of another type than the sequence");
    adze_ops_join_types(infer->dims, &type, &element);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status insert_run(adze_run *run, adze_error *err)
{
    const adze_item *sequence;
    int at;
    ADZE_TRY(need_items(run, &sequence, err));
    int count = sequence->count;
    ADZE_TRY(position(run, 2, count, count, &at, err));
    if (count == INT32_MAX ||
        (count > 0 && sequence->items[0].tensor.dtype != run->inputs[1]->dtype))
        return adze_ops_bad(run->node, err, "the element is of another type than the sequence");
    ADZE_TRY(adze_run_new_sequence(run, 0, count + 1, err));
    adze_item *items = run->output_items[0]->items;
    for (int i = 0; i < count; i++)
        items[i < at ? i : i + 1] = sequence->items[i];
    return adze_run_copy_item(run, 0, &items[at], run->input_items[1], err);
}

static adze_status erase_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_sequence(infer, 0, err));
    adze_type type = sequence_of(infer, infer->inputs[0]);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status erase_run(adze_run *run, adze_error *err)
{
    const adze_item *sequence;
    int at;
    ADZE_TRY(need_items(run, &sequence, err));
    int count = sequence->count;
    ADZE_TRY(position(run, 1, count, count - 1, &at, err));
    ADZE_TRY(adze_run_new_sequence(run, 0, count - 1, err));
    adze_item *items = run->output_items[0]->items;
    for (int i = 0; i < count - 1; i++)
        items[i] = sequence->items[i < at ? i : i + 1];
    return ADZE_OK;
}

/* ---- SplitToSequence ---- */

static adze_status split_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = infer->node;
    adze_type type = *infer->inputs[0];
    if (type.kind != ADZE_VALUE_TENSOR)
        return adze_ops_bad(node, err, "input 0 must be a tensor");
    if (type.rank >= 0) {
        int axis;
        bool split = infer->input_count > 1 && infer->inputs[1];
        ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), type.rank, err));
        type.rank -= !split && adze_node_int(node, "keepdims", 1) == 0;
    }
    type = sequence_of(infer, &type);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

/* Number of pieces; sizes of them by split_size. */
static adze_status split_count(const adze_run *run, int64_t length, int *count, adze_error *err)
{
    const adze_tensor *split = adze_ops_input(run, 1);
    int64_t n = length;
    if (split && split->dtype != ADZE_I64 && split->dtype != ADZE_I32)
        return adze_ops_bad(run->node, err, "split is not of integers");
    if (split && split->rank == 0) {
        int64_t size = adze_tensor_get_i64(split, 0);
        if (size < 1)
            return adze_ops_bad(run->node, err, "split is below 1");
        n = length / size + (length % size > 0);
    } else if (split) {
        int64_t rest = length;
        n = split->rank == 1 ? adze_tensor_elements(split) : -1;
        for (int64_t i = 0; i < n && rest >= 0; i++) {
            int64_t size = adze_tensor_get_i64(split, i);
            rest = size < 0 || size > rest ? -1 : rest - size;
        }
        if (n < 0 || rest != 0)
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s '%s': split does not sum up to the %lld elements of the axis",
                             run->node->op_type, run->node->name, (long long)length);
    }
    if (n >= INT32_MAX)
        return adze_fail(err, ADZE_LIMIT, "%s '%s': too many pieces", run->node->op_type,
                         run->node->name);
    *count = (int)n;
    return ADZE_OK;
}

static int64_t split_size(const adze_tensor *split, int i, int64_t rest)
{
    if (!split)
        return 1;
    return split->rank == 0 ? ADZE_MIN(adze_tensor_get_i64(split, 0), rest)
                            : adze_tensor_get_i64(split, i);
}

/* Elements begin..begin + n of an axis, between `outer` axes before and `inner` bytes behind. */
static adze_status cut(adze_run *run, adze_item *to, int axis, int64_t begin, int64_t n,
                       adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    size_t inner = adze_ops_element(x->dtype);
    int64_t outer = 1, length = x->dims[axis];
    *to = (adze_item){.tensor = *x};
    for (int d = 0; d < x->rank; d++) {
        outer *= d < axis ? x->dims[d] : 1;
        inner *= d > axis ? (size_t)x->dims[d] : 1;
    }
    adze_tensor *y = &to->tensor;
    y->dims[axis] = n;
    y->owner = ADZE_BORROWED;
    y->size = (size_t)outer * (size_t)n * inner;
    y->data = adze_run_alloc(run, 0, ADZE_MAX(y->size, 64));
    if (!y->data)
        return adze_fail(err, ADZE_NO_MEMORY, "%s '%s': %zu bytes", run->node->op_type,
                         run->node->name, y->size);
    size_t bytes = (size_t)n * inner;
    for (int64_t o = 0; o < outer && bytes; o++)
        memcpy((char *)y->data + (size_t)o * bytes,
               (const char *)x->data + (size_t)(o * length + begin) * inner, bytes);
    return ADZE_OK;
}

static adze_status split_run(adze_run *run, adze_error *err)
{
    const adze_node *node = run->node;
    const adze_tensor *x = run->inputs[0], *split = adze_ops_input(run, 1);
    bool squeeze = !split && adze_node_int(node, "keepdims", 1) == 0;
    int axis, count = 0;
    if (adze_ops_element(x->dtype) == 0)
        return adze_ops_unsupported(node, x->dtype, err);
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    ADZE_TRY(split_count(run, x->dims[axis], &count, err));
    ADZE_TRY(adze_run_new_sequence(run, 0, count, err));
    int64_t begin = 0;
    for (int i = 0; i < count; i++) {
        adze_item *to = &run->output_items[0]->items[i];
        int64_t n = split_size(split, i, x->dims[axis] - begin);
        ADZE_TRY(cut(run, to, axis, begin, n, err));
        begin += n;
        if (squeeze) {
            adze_tensor *y = &to->tensor;
            y->rank--;
            memmove(y->dims + axis, y->dims + axis + 1, (size_t)(y->rank - axis) * sizeof *y->dims);
        }
    }
    return ADZE_OK;
}

/* ---- ConcatFromSequence ---- */

static adze_status concat_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_sequence(infer, 0, err));
    adze_type type = element_of(infer, infer->inputs[0]);
    if (!adze_node_has(infer->node, "axis"))
        return adze_ops_bad(infer->node, err, "attribute axis is missing");
    if (type.rank >= 0 && adze_node_int(infer->node, "new_axis", 0)) {
        type.rank = type.rank < ADZE_MAX_RANK ? type.rank + 1 : -1;
        if (type.rank > 0)
            type.dims[type.rank - 1] = adze_dim_unknown(infer->dims, INT64_MAX);
    }
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

/* Shape of the result; elements must agree outside the axis. */
static adze_status concat_shape(const adze_run *run, const adze_item *sequence, int *axis,
                                int64_t *dims, int *rank, adze_error *err)
{
    const adze_node *node = run->node;
    bool stacked = adze_node_int(node, "new_axis", 0) != 0;
    if (sequence->count == 0)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': the sequence is empty", node->op_type,
                         node->name);
    const adze_tensor *first = &sequence->items[0].tensor;
    *rank = first->rank + stacked;
    if (*rank > ADZE_MAX_RANK || adze_ops_element(first->dtype) == 0)
        return adze_ops_unsupported(node, first->dtype, err);
    ADZE_TRY(adze_ops_axis(axis, node, adze_node_int(node, "axis", 0), *rank, err));
    for (int d = 0, from = 0; d < *rank; d++)
        dims[d] = stacked && d == *axis ? 0 : first->dims[from++];
    int64_t length = 0;
    for (int i = 0; i < sequence->count; i++) {
        const adze_tensor *t = &sequence->items[i].tensor;
        bool same = t->rank == first->rank && t->dtype == first->dtype;
        for (int d = 0; same && d < t->rank; d++)
            same = t->dims[d] == first->dims[d] || (!stacked && d == *axis);
        if (!same || __builtin_add_overflow(length, stacked ? 1 : t->dims[*axis], &length))
            return adze_fail(err, ADZE_BAD_DATA, "%s '%s': element %d does not fit the first one",
                             node->op_type, node->name, i);
    }
    dims[*axis] = length;
    return ADZE_OK;
}

static adze_status concat_run(adze_run *run, adze_error *err)
{
    const adze_item *sequence;
    int64_t dims[ADZE_MAX_RANK], outer = 1;
    int axis = 0, rank = 0;
    ADZE_TRY(need_items(run, &sequence, err));
    ADZE_TRY(concat_shape(run, sequence, &axis, dims, &rank, err));
    adze_dtype dtype = sequence->items[0].tensor.dtype;
    ADZE_TRY(adze_run_resize(run, 0, dtype, rank, dims, err));
    adze_tensor *y = run->outputs[0];
    for (int d = 0; d < axis; d++)
        outer *= dims[d];
    size_t row = outer ? y->size / (size_t)outer : 0, at = 0;
    for (int i = 0; i < sequence->count; i++) {
        const adze_tensor *t = &sequence->items[i].tensor;
        size_t bytes = outer ? t->size / (size_t)outer : 0;
        for (int64_t o = 0; o < outer && bytes; o++)
            memcpy((char *)y->data + (size_t)o * row + at,
                   (const char *)t->data + (size_t)o * bytes, bytes);
        at += bytes;
    }
    return ADZE_OK;
}

/* clang-format off */
#define ROW(n, opset, lo, hi) .domain = "", .name = n, .since = opset, .min_inputs = lo, \
    .max_inputs = hi, .min_outputs = 1, .max_outputs = 1
/* clang-format on */

const adze_op adze_ops_sequence[] = {
    {ROW("SequenceConstruct", 11, 1, -1), .flags = ADZE_OP_ITEMS, .attrs = "",
     .infer = construct_infer, .run = construct_run},
    {ROW("SequenceEmpty", 11, 0, 0), .flags = ADZE_OP_ITEMS, .attrs = "dtype", .infer = empty_infer,
     .run = empty_run},
    {ROW("SequenceAt", 11, 2, 2), .flags = ADZE_OP_ITEMS | ADZE_OP_DATA_SIZED, .attrs = "",
     .infer = at_infer, .run = at_run},
    {ROW("SequenceLength", 11, 1, 1), .flags = ADZE_OP_ITEMS, .attrs = "", .infer = length_infer,
     .run = length_run},
    {ROW("SequenceInsert", 11, 2, 3), .flags = ADZE_OP_ITEMS, .attrs = "", .infer = insert_infer,
     .run = insert_run},
    {ROW("SequenceErase", 11, 1, 2), .flags = ADZE_OP_ITEMS, .attrs = "", .infer = erase_infer,
     .run = erase_run},
    {ROW("SplitToSequence", 11, 1, 2), .attrs = "axis keepdims", .infer = split_infer,
     .run = split_run},
    {ROW("ConcatFromSequence", 11, 1, 1), .flags = ADZE_OP_ITEMS | ADZE_OP_DATA_SIZED,
     .attrs = "axis new_axis", .infer = concat_infer, .run = concat_run},
    {.name = NULL},
};
