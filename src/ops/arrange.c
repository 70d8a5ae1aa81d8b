/* Elements in another order: Transpose, Expand, Tile, Slice, Concat, Split, DepthToSpace,
 * SpaceToDepth. Each says which strides lead from input to output; strided.c does the copying. */
#include <string.h>
#include "ops/helpers.h"

/* ---- Transpose ---- */

static adze_status permutation(int *perm, const adze_node *node, int rank, adze_error *err)
{
    int count;
    const int64_t *given = adze_node_ints(node, "perm", &count);
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    if (!given)
        return ADZE_OK;
    if (count != rank)
        return adze_ops_bad(node, err, "perm must name every axis");
    return adze_ops_axes(perm, node, given, count, rank, err);
}

static adze_status transpose_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    int perm[ADZE_MAX_RANK];
    if (!x)
        return ADZE_OK;
    ADZE_TRY(permutation(perm, adze_infer_node(infer), x->rank, err));
    adze_type y = *x;
    for (int i = 0; i < x->rank; i++)
        y.dims[i] = x->dims[perm[i]];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* A layout that copies dense x to dense y, strides still to be set. */
static adze_ops_layout layout_of(const adze_tensor *x, adze_tensor *y)
{
    return (adze_ops_layout){.size = adze_ops_element(x->dtype), .x = x->data, .y = y->data};
}

static adze_status transpose_bytes(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int perm[ADZE_MAX_RANK];
    int64_t strides[ADZE_MAX_RANK];
    ADZE_TRY(permutation(perm, run->node, x->rank, err));
    adze_ops_layout l = layout_of(x, y);
    l.rank = x->rank;
    adze_ops_strides(x->rank, x->dims, strides);
    adze_ops_strides(y->rank, y->dims, l.to);
    for (int i = 0; i < x->rank; i++) {
        l.dims[i] = y->dims[i];
        l.from[i] = strides[perm[i]];
    }
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

static adze_status transpose_run(adze_run *run, adze_error *err)
{
    return adze_ops_move_packed(run, 0, transpose_bytes, err);
}

static size_t transpose_scratch(const adze_run *run)
{
    return adze_ops_packed_scratch(run, 0);
}

/* ---- Expand ---- */

static adze_status expand_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *s = adze_ops_ranked(infer, 1);
    if (!x || !s)
        return ADZE_OK;
    adze_dim shape[ADZE_MAX_RANK];
    int n = adze_ops_ints(infer, 1, shape, ADZE_MAX_RANK);
    if (n < 0) {
        if (s->rank != 1 || s->dims[0] < 0 || s->dims[0] > ADZE_MAX_RANK)
            return ADZE_OK;
        adze_type y = *x;
        y.rank = (int)ADZE_MAX(s->dims[0], x->rank);
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = adze_infer_unknown(infer, INT64_MAX);
        adze_infer_set(infer, 0, &y);
        return ADZE_OK;
    }
    for (int i = 0; i < n; i++) {
        int64_t number;
        if (adze_ops_is_number(shape[i], &number) && number < 0) {
            if (number != -1)
                return adze_ops_bad(adze_infer_node(infer), err,
                                    "the shape holds a negative number");
            shape[i] = 1; /* PyTorch's "leave as it is" */
        }
    }
    adze_type other = adze_type_tensor(x->dtype, n, shape), y;
    ADZE_TRY(adze_infer_broadcast(infer, &y, x, &other, err));
    adze_infer_set(infer, 0, &y);
    adze_dim known[ADZE_OPS_MAX_INTS];
    int count = adze_ops_ints(infer, 0, known, ADZE_OPS_MAX_INTS);
    bool index = x->dtype == ADZE_I64 || x->dtype == ADZE_I32;
    int64_t wanted = y.rank == 1 ? y.dims[0] : y.rank == 0 ? 1 : -1;
    if (!index || count < 1 || wanted < count || wanted > ADZE_OPS_MAX_INTS)
        return ADZE_OK;
    for (int i = count; i < wanted; i++)
        known[i] = known[0];
    adze_ops_set_ints(infer, 0, known, (int)wanted);
    return ADZE_OK;
}

static adze_status expand_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    adze_broadcast b;
    ADZE_TRY(adze_ops_broadcast(&b, run, y, 1, &x, err));
    adze_ops_layout l = layout_of(x, y);
    l.rank = b.rank;
    memcpy(l.dims, b.dims, sizeof b.dims);
    memcpy(l.from, b.stride[0], sizeof b.stride[0]);
    adze_ops_strides(b.rank, b.dims, l.to);
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

/* ---- Tile ---- */

static adze_status tile_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_dim repeats[ADZE_MAX_RANK];
    int n = adze_ops_ints(infer, 1, repeats, ADZE_MAX_RANK);
    if (n >= 0 && n != x->rank)
        return adze_ops_bad(adze_infer_node(infer), err, "one number of repeats for each axis");
    adze_type y = *x;
    for (int i = 0; i < x->rank; i++) {
        int64_t number;
        if (n >= 0 && adze_ops_is_number(repeats[i], &number) && number < 0)
            return adze_ops_bad(adze_infer_node(infer), err, "a number of repeats is negative");
        y.dims[i] = n < 0 ? adze_infer_unknown(infer, INT64_MAX)
                          : adze_infer_mul(infer, x->dims[i], repeats[i]);
    }
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status tile_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    adze_ops_layout l = layout_of(x, y);
    int64_t from[ADZE_MAX_RANK], to[ADZE_MAX_RANK];
    adze_ops_strides(x->rank, x->dims, from);
    adze_ops_strides(y->rank, y->dims, to);
    l.rank = 2 * x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] == 0)
            return ADZE_OK;
        l.dims[2 * i] = y->dims[i] / x->dims[i];
        l.from[2 * i] = 0;
        l.to[2 * i] = to[i] * x->dims[i];
        l.dims[2 * i + 1] = x->dims[i];
        l.from[2 * i + 1] = from[i];
        l.to[2 * i + 1] = to[i];
    }
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

/* ---- Slice ---- */

/* Where a bound of a slice falls, symbolically, for a step of 1 or more. */
static adze_dim slice_bound(adze_infer *infer, adze_dim bound, adze_dim dim)
{
    int64_t number;
    if (!adze_ops_is_number(bound, &number))
        return bound == dim ? dim : adze_dim_op(infer->dims, ADZE_DIM_MIN, dim, bound);
    if (number >= 0) {
        bool all = number >= adze_dim_upper(infer->dims, dim) || number >= INT32_MAX;
        return all ? dim : number == 0 ? 0 : adze_dim_op(infer->dims, ADZE_DIM_MIN, dim, number);
    }
    if (adze_dim_known(dim))
        return ADZE_MAX(0, dim + number);
    return adze_dim_op(infer->dims, ADZE_DIM_MAX, adze_infer_sub(infer, dim, -number), 0);
}

/* First element and number of elements of a slice of `dim` elements. */
static void slice_numbers(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first,
                          int64_t *count)
{
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    if (step > 0) {
        start = ADZE_MIN(ADZE_MAX(start, 0), dim);
        end = ADZE_MIN(ADZE_MAX(end, 0), dim);
        *count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = ADZE_MIN(ADZE_MAX(start, 0), dim - 1);
        end = ADZE_MIN(ADZE_MAX(end, -1), dim);
        uint64_t back = 0 - (uint64_t)step;
        *count = start > end ? (int64_t)(((uint64_t)(start - end) - 1) / back + 1) : 0;
    }
    *first = start;
}

static adze_dim slice_dim(adze_infer *infer, adze_dim dim, adze_dim start, adze_dim end,
                          int64_t step)
{
    int64_t s, e, first, count;
    bool numbers = adze_ops_is_number(start, &s) && adze_ops_is_number(end, &e);
    if (numbers && adze_dim_known(dim)) {
        slice_numbers(dim, s, e, step, &first, &count);
        return count;
    }
    if (step == -1 && numbers && s == -1 && e < INT32_MIN)
        return dim;
    if (step < 1)
        return adze_infer_unknown(infer, adze_dim_upper(infer->dims, dim));
    adze_dim to = slice_bound(infer, end, dim), from = slice_bound(infer, start, dim);
    adze_dim length = from == 0 ? to : adze_infer_sub(infer, to, from);
    if (to == dim && adze_ops_is_number(start, &s) && s < 0) /* the last ones */
        length = adze_dim_op(infer->dims, ADZE_DIM_MIN, dim, -s);
    else if (to != dim)
        length = adze_dim_op(infer->dims, ADZE_DIM_MAX, length, 0);
    return step == 1 ? length : adze_infer_ceil(infer, length, step);
}

static void slice_known(adze_infer *infer, adze_dim start, adze_dim end, int64_t step)
{
    adze_dim in[ADZE_OPS_MAX_INTS], out[ADZE_OPS_MAX_INTS];
    int64_t s, e, first, count;
    int n = adze_ops_ints(infer, 0, in, ADZE_OPS_MAX_INTS);
    if (n < 0 || !adze_ops_is_number(start, &s) || !adze_ops_is_number(end, &e))
        return;
    slice_numbers(n, s, e, step, &first, &count);
    for (int64_t i = 0; i < count; i++)
        out[i] = in[first + i * step];
    adze_ops_set_ints(infer, 0, out, (int)count);
}

static int count_of(const adze_type *list)
{
    return list && list->rank == 1 && list->dims[0] >= 0 && list->dims[0] <= ADZE_MAX_RANK
               ? (int)list->dims[0]
               : -1;
}

/* Axes and steps that are not given: 0, 1, ... and 1. False: not known. */
static bool slice_lists(adze_infer *infer, int n, int64_t *axes, int64_t *steps)
{
    for (int i = 0; i < n; i++) {
        axes[i] = i;
        steps[i] = 1;
    }
    bool has_axes = adze_infer_input_count(infer) > 3 && adze_infer_input(infer, 3);
    bool has_steps = adze_infer_input_count(infer) > 4 && adze_infer_input(infer, 4);
    return (!has_axes || adze_ops_numbers(infer, 3, axes, n) == n) &&
           (!has_steps || adze_ops_numbers(infer, 4, steps, n) == n);
}

static adze_status slice_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_dim starts[ADZE_MAX_RANK], ends[ADZE_MAX_RANK];
    int64_t given[ADZE_MAX_RANK], steps[ADZE_MAX_RANK];
    int axes[ADZE_MAX_RANK];
    int n = count_of(adze_ops_ranked(infer, 1));
    int n1 = adze_ops_ints(infer, 1, starts, ADZE_MAX_RANK);
    int n2 = adze_ops_ints(infer, 2, ends, ADZE_MAX_RANK);
    n = n1 >= 0 ? n1 : n2 >= 0 ? n2 : n;
    adze_type y = *x;
    if (n > x->rank)
        return adze_ops_bad(node, err, "more starts than axes");
    if (n < 0 || !slice_lists(infer, n, given, steps)) {
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = adze_infer_unknown(infer, adze_dim_upper(infer->dims, x->dims[i]));
        adze_infer_set(infer, 0, &y);
        return ADZE_OK;
    }
    ADZE_TRY(adze_ops_axes(axes, node, given, n, x->rank, err));
    for (int i = 0; i < n; i++) {
        if (steps[i] == 0)
            return adze_ops_bad(node, err, "a step is 0");
        adze_dim dim = x->dims[axes[i]];
        y.dims[axes[i]] = n1 == n && n2 == n
                              ? slice_dim(infer, dim, starts[i], ends[i], steps[i])
                              : adze_infer_unknown(infer, adze_dim_upper(infer->dims, dim));
    }
    adze_infer_set(infer, 0, &y);
    if (x->rank == 1 && n == 1 && n1 == 1 && n2 == 1 &&
        (x->dtype == ADZE_I64 || x->dtype == ADZE_I32))
        slice_known(infer, starts[0], ends[0], steps[0]);
    return ADZE_OK;
}

static adze_status slice_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int64_t starts[ADZE_MAX_RANK], ends[ADZE_MAX_RANK], given[ADZE_MAX_RANK], steps[ADZE_MAX_RANK],
        offset = 0;
    int axes[ADZE_MAX_RANK];
    int n = adze_ops_tensor_ints(run->inputs[1], starts, ADZE_MAX_RANK);
    int n2 = adze_ops_tensor_ints(run->inputs[2], ends, ADZE_MAX_RANK);
    for (int i = 0; i < ADZE_MAX_RANK; i++) {
        given[i] = i;
        steps[i] = 1;
    }
    int n3 = adze_ops_tensor_ints(adze_ops_input(run, 3), given, ADZE_MAX_RANK);
    int n4 = adze_ops_tensor_ints(adze_ops_input(run, 4), steps, ADZE_MAX_RANK);
    if (n < 0 || n != n2 || (adze_ops_input(run, 3) && n3 != n) ||
        (adze_ops_input(run, 4) && n4 != n) || n > x->rank)
        return adze_ops_bad(run->node, err, "starts, ends, axes and steps differ in number");
    ADZE_TRY(adze_ops_axes(axes, run->node, given, n, x->rank, err));
    adze_ops_layout l = layout_of(x, y);
    l.rank = x->rank;
    adze_ops_strides(x->rank, x->dims, l.from);
    adze_ops_strides(y->rank, y->dims, l.to);
    memcpy(l.dims, x->dims, sizeof x->dims);
    for (int i = 0; i < n; i++) {
        int a = axes[i];
        int64_t first;
        slice_numbers(x->dims[a], starts[i], ends[i], steps[i], &first, &l.dims[a]);
        offset += first * l.from[a];
        l.from[a] *= l.dims[a] > 1 ? steps[i] : 1; /* no step may be as large as a number can be */
    }
    for (int i = 0; i < x->rank; i++)
        if (l.dims[i] != y->dims[i])
            return adze_ops_bad(run->node, err, "the slice has another shape than inferred");
    l.x += offset * (int64_t)l.size;
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

/* ---- Concat ---- */

static adze_status concat_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int axis = 0, known_count = 0;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    adze_type y = *x;
    adze_dim known[ADZE_OPS_MAX_INTS];
    bool index = x->rank == 1 && (x->dtype == ADZE_I64 || x->dtype == ADZE_I32);
    for (int i = 0; i < adze_infer_input_count(infer); i++) {
        const adze_type *t = adze_ops_ranked(infer, i);
        if (!t)
            return ADZE_OK;
        const bool quantized = t->quant && x->quant; /* each has its own way to say a number */
        if (t->rank != x->rank || (t->dtype != x->dtype && !quantized))
            return adze_ops_bad(node, err, "inputs differ in rank or type");
        for (int k = 0; k < y.rank; k++) {
            bool differ =
                adze_dim_known(t->dims[k]) && adze_dim_known(y.dims[k]) && t->dims[k] != y.dims[k];
            if (k != axis && differ)
                return adze_ops_bad(node, err, "inputs differ in an axis that is not joined");
            if (k != axis && adze_dim_known(t->dims[k]))
                y.dims[k] = t->dims[k];
        }
        if (i > 0)
            y.dims[axis] = adze_infer_add(infer, y.dims[axis], t->dims[axis]);
        int n = index && known_count >= 0
                    ? adze_ops_ints(infer, i, known + known_count, ADZE_OPS_MAX_INTS - known_count)
                    : -1;
        known_count = n < 0 ? -1 : known_count + n;
    }
    adze_infer_set(infer, 0, &y);
    if (index && known_count >= 0)
        adze_ops_set_ints(infer, 0, known, known_count);
    return ADZE_OK;
}

static bool same_scale(const adze_tensor *a, const adze_tensor *b)
{
    if (!a->quant || !b->quant || a->quant == b->quant)
        return a->quant == b->quant || !b->quant;
    return a->dtype == b->dtype && adze_ops_is_q8(a) && adze_ops_is_q8(b) &&
           a->quant->scale[0] == b->quant->scale[0] &&
           adze_ops_zero_point(a) == adze_ops_zero_point(b);
}

/* Rows of an input with another scale than the output's, through float32. */
static void concat_requantized(adze_run *run, const adze_tensor *x, int64_t outer, int64_t row,
                               int64_t stride, int64_t offset)
{
    enum { CHUNK = 512 };
    float chunk[CHUNK];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < row; i += CHUNK) {
            int64_t n = ADZE_MIN(CHUNK, row - i);
            adze_ops_load(run->kernels, x, o * row + i, 1, n, chunk);
            adze_ops_store(run->kernels, chunk, n, run->outputs[0], o * stride + offset + i);
        }
}

static adze_status concat_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", 0), y->rank, err));
    int64_t outer = 1, inner = 1, offset = 0;
    for (int i = 0; i < y->rank; i++)
        *(i < axis ? &outer : &inner) *= y->dims[i];
    for (int i = 0; i < run->input_count; i++) {
        const adze_tensor *x = run->inputs[i];
        int64_t row = outer ? adze_tensor_elements(x) / outer : 0;
        if (row > inner - offset)
            return adze_ops_bad(run->node, err, "inputs differ in an axis that is not joined");
        if (!same_scale(x, y)) {
            concat_requantized(run, x, outer, row, inner, offset);
        } else {
            adze_ops_layout l = layout_of(x, y);
            l.rank = 2;
            l.dims[0] = outer;
            l.dims[1] = row;
            l.from[0] = row;
            l.to[0] = inner;
            l.from[1] = l.to[1] = 1;
            l.y += offset * (int64_t)l.size;
            adze_ops_copy(run, &l);
        }
        offset += row;
    }
    return ADZE_OK;
}

/* ---- Split ---- */

static adze_status split_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int axis = 0, parts = adze_infer_output_count(infer);
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    bool given = adze_infer_input_count(infer) > 1 && adze_infer_input(infer, 1);
    adze_dim sizes[ADZE_OPS_MAX_INTS], total = x->dims[axis];
    int n = given ? adze_ops_ints(infer, 1, sizes, ADZE_OPS_MAX_INTS) : parts;
    if (given && n >= 0 && n != parts)
        return adze_ops_bad(node, err, "one size for each output");
    adze_dim part = adze_infer_ceil(infer, total, parts), left = total;
    for (int i = 0; i < parts; i++) {
        adze_type y = *x;
        if (given)
            y.dims[axis] =
                n < 0 ? adze_infer_unknown(infer, adze_dim_upper(infer->dims, total)) : sizes[i];
        else if (adze_dim_known(total))
            y.dims[axis] = ADZE_MIN(part, left);
        else
            y.dims[axis] = i < parts - 1 ? part : left;
        if (!given)
            left = adze_infer_sub(infer, left, y.dims[axis]);
        adze_infer_set(infer, i, &y);
        adze_dim known[ADZE_OPS_MAX_INTS];
        int first = i * (int)ADZE_MAX(part, 0);
        int count = adze_ops_ints(infer, 0, known, ADZE_OPS_MAX_INTS);
        if (!given && count > 0 && x->rank == 1 && first + y.dims[0] <= count)
            adze_ops_set_ints(infer, i, known + first, (int)y.dims[0]);
    }
    return ADZE_OK;
}

static adze_status split_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *sizes = adze_ops_input(run, 1);
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", 0), x->rank, err));
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; i++)
        outer *= x->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        inner *= x->dims[i];
    int64_t total = x->dims[axis], part = (total + run->output_count - 1) / run->output_count;
    int64_t first = 0;
    for (int i = 0; i < run->output_count; i++) {
        int64_t length = sizes ? adze_tensor_get_i64(sizes, i) : ADZE_MIN(part, total - first);
        if (length < 0 || length > total - first)
            return adze_ops_bad(run->node, err, "the sizes do not fit the axis");
        adze_tensor *y = run->outputs[i];
        if (y && y->dims[axis] != length)
            return adze_ops_bad(run->node, err, "the sizes are not those that were inferred");
        if (y) {
            adze_ops_layout l = layout_of(x, y);
            l.rank = 2;
            l.dims[0] = outer;
            l.dims[1] = length * inner;
            l.from[0] = total * inner;
            l.to[0] = length * inner;
            l.from[1] = l.to[1] = 1;
            l.x += first * inner * (int64_t)l.size;
            adze_ops_copy(run, &l);
        }
        first += length;
    }
    return ADZE_OK;
}

/* ---- DepthToSpace, SpaceToDepth ---- */

static adze_status blocks_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    int64_t b = adze_node_int(node, "blocksize", 0);
    if (!x)
        return ADZE_OK;
    if (x->rank != 4 || b < 1 || b > INT32_MAX)
        return adze_ops_bad(node, err, "the input must be [N, C, H, W], blocksize 1 to 2^31 - 1");
    bool to_space = strcmp(adze_node_op(node), "DepthToSpace") == 0;
    adze_type y = *x;
    if (to_space && x->dims[1] >= 0 && x->dims[1] % (b * b))
        return adze_ops_bad(node, err, "channels are no multiple of blocksize squared");
    y.dims[1] = to_space ? adze_infer_div(infer, x->dims[1], b * b)
                         : adze_infer_mul(infer, x->dims[1], b * b);
    for (int i = 2; i < 4; i++)
        y.dims[i] =
            to_space ? adze_infer_mul(infer, x->dims[i], b) : adze_infer_div(infer, x->dims[i], b);
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* Axes [n, depth axes, h, w]: in the space tensor, h and w are h * b + bh and w * b + bw. */
static adze_status blocks_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    bool to_space = strcmp(adze_node_op(run->node), "DepthToSpace") == 0;
    bool crd = to_space && strcmp(adze_node_string(run->node, "mode", "DCR"), "CRD") == 0;
    const adze_tensor *space = to_space ? y : x;
    if (adze_tensor_elements(y) == 0)
        return ADZE_OK;
    int64_t b = adze_node_int(run->node, "blocksize", 1);
    int64_t c = space->dims[1], h = space->dims[2] / b, w = space->dims[3] / b;
    adze_ops_layout l = layout_of(x, y);
    l.rank = 6; /* n c h bh w bw */
    int64_t dims[6] = {space->dims[0], c, h, b, w, b};
    int64_t in_space[6] = {c * h * b * w * b, h * b * w * b, b * w * b, w * b, b, 1};
    int64_t plane = h * w;
    int64_t in_depth[6] = {
        c * b * b * plane,      crd ? b * b * plane : plane, w, crd ? b * plane : b * c * plane, 1,
        crd ? plane : c * plane};
    memcpy(l.dims, dims, sizeof dims);
    memcpy(to_space ? l.to : l.from, in_space, sizeof in_space);
    memcpy(to_space ? l.from : l.to, in_depth, sizeof in_depth);
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

#define MOVE(text, version, in_min, in_max, out_max)                                               \
    .domain = "", .name = text, .since = version, .min_inputs = in_min, .max_inputs = in_max,      \
    .min_outputs = 1, .max_outputs = out_max, .quant = ADZE_QUANT_MOVE, .cost = adze_ops_cost_move
#define ROW(text, version, in_min, in_max, out_max)                                                \
    MOVE(text, version, in_min, in_max, out_max), .prepare = adze_ops_prepare_move

const adze_op adze_ops_arrange[] = {
    {MOVE("Transpose", 1, 1, 1, 1), .attrs = "perm", .infer = transpose_infer,
     .prepare = adze_ops_prepare_move_packed, .scratch = transpose_scratch, .run = transpose_run},
    {ROW("Expand", 8, 2, 2, 1), .attrs = "", .infer = expand_infer, .run = expand_run},
    {ROW("Tile", 6, 2, 2, 1), .attrs = "", .infer = tile_infer, .run = tile_run},
    {ROW("Slice", 10, 3, 5, 1), .attrs = "", .infer = slice_infer, .run = slice_run},
    {ROW("Concat", 4, 1, -1, 1), .attrs = "axis", .infer = concat_infer, .run = concat_run},
    {ROW("Split", 13, 1, 2, -1), .attrs = "axis num_outputs", .infer = split_infer,
     .run = split_run},
    {ROW("DepthToSpace", 11, 1, 1, 1), .attrs = "blocksize mode", .infer = blocks_infer,
     .run = blocks_run},
    {ROW("SpaceToDepth", 1, 1, 1, 1), .attrs = "blocksize", .infer = blocks_infer,
     .run = blocks_run},
    {.name = NULL},
};
