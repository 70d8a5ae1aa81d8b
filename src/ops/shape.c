/* Shapes as data and views: what asks for a shape, what gives the same bytes another shape, and
 * what makes a tensor out of a shape. Integers computed here are followed symbolically, so that
 * Shape -> Gather -> Concat -> Reshape needs no computed value to be understood. */
#include <math.h>
#include <string.h>
#include "ops/helpers.h"
#include "ops/random.h"

/* ---- Shape, Size ---- */

static void shape_range(const adze_node *node, int rank, int *start, int *end)
{
    int64_t s = adze_node_int(node, "start", 0), e = adze_node_int(node, "end", rank);
    s += s < 0 ? rank : 0;
    e += e < 0 ? rank : 0;
    *start = (int)ADZE_MAX(0, ADZE_MIN(s, rank));
    *end = (int)ADZE_MAX(*start, ADZE_MIN(e, rank));
}

static adze_status shape_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int start, end;
    shape_range(adze_infer_node(infer), x->rank, &start, &end);
    adze_dim count = end - start;
    adze_infer_set_tensor(infer, 0, ADZE_I64, 1, &count);
    adze_ops_set_ints(infer, 0, x->dims + start, end - start);
    return ADZE_OK;
}

static adze_status shape_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    int start, end;
    shape_range(run->node, run->inputs[0]->rank, &start, &end);
    if (end > start)
        memcpy(run->outputs[0]->data, run->inputs[0]->dims + start,
               (size_t)(end - start) * sizeof(int64_t));
    return ADZE_OK;
}

static adze_status size_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_dim size = 1;
    for (int i = 0; i < x->rank; i++)
        size = adze_infer_mul(infer, size, x->dims[i]);
    adze_infer_set_tensor(infer, 0, ADZE_I64, 0, NULL);
    adze_ops_set_ints(infer, 0, &size, 1);
    return ADZE_OK;
}

static adze_status size_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    *(int64_t *)run->outputs[0]->data = adze_tensor_elements(run->inputs[0]);
    return ADZE_OK;
}

/* ---- views: the executor gives the output the input's bytes ---- */

static adze_status view_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(run);
    ADZE_UNUSED(err);
    return ADZE_OK;
}

/* Sequences and optionals have no bytes of their own to view: the items are shared. */
static adze_status identity_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_item *x = run->input_items[0];
    if (x && x->kind != ADZE_VALUE_TENSOR && run->output_items[0])
        *run->output_items[0] = *x;
    return ADZE_OK;
}

static void set_view(adze_infer *infer, const adze_type *y)
{
    adze_infer_set(infer, 0, y);
    adze_dim known[ADZE_OPS_MAX_INTS];
    const adze_type *x = adze_infer_input(infer, 0);
    bool index = x->dtype == ADZE_I64 || x->dtype == ADZE_I32;
    int n = index && y->rank <= 1 ? adze_ops_ints(infer, 0, known, ADZE_OPS_MAX_INTS) : -1;
    if (n >= 0)
        adze_ops_set_ints(infer, 0, known, n);
}

static adze_status identity_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_infer_input(infer, 0);
    if (x->kind != ADZE_VALUE_TENSOR)
        adze_infer_set(infer, 0, x);
    else if (x->rank >= 0)
        set_view(infer, x);
    return ADZE_OK;
}

static adze_status dropout_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x)
        adze_infer_set_tensor(infer, 1, ADZE_BOOL, x->rank, x->dims);
    return adze_ops_infer_move(infer, err);
}

/* Training: elements fall out with probability `ratio`, the others grow. */
static adze_status dropout_train(adze_run *run, double ratio, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = adze_ops_output(run, 0), *mask = adze_ops_output(run, 1);
    if (!(ratio >= 0 && ratio < 1))
        return adze_ops_bad(run->node, err, "ratio must lie in [0, 1)");
    if (x->quant || !adze_ops_is_float(x->dtype))
        return adze_ops_unsupported(run->node, x->dtype, err);
    adze_twister t;
    adze_twister_open(&t, run->node);
    for (int64_t i = 0; i < adze_tensor_elements(x); i++) {
        bool keep = adze_twister_uniform(&t) >= ratio;
        if (mask)
            ((uint8_t *)mask->data)[i] = keep;
        if (y)
            adze_ops_put(y, i, adze_ops_get(x, i) * (keep ? 1 / (1 - ratio) : 0));
    }
    return ADZE_OK;
}

static adze_status dropout_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    const adze_tensor *ratio = adze_ops_input(run, 1), *training = adze_ops_input(run, 2);
    adze_tensor *y = adze_ops_output(run, 0);
    double part = ratio && adze_tensor_elements(ratio) == 1 ? adze_tensor_get_f64(ratio, 0) : 0.5;
    if (training && adze_tensor_elements(training) == 1 && adze_tensor_get_i64(training, 0) &&
        part != 0)
        return dropout_train(run, part, err);
    if (y)
        adze_ops_copy_bytes(run, y->data, x->data, y->size);
    adze_tensor *mask = adze_ops_output(run, 1);
    if (mask)
        memset(mask->data, 1, mask->size);
    return ADZE_OK;
}

/* The input's dimensions that no output dimension repeats, divided by the output's that no input
 * dimension repeats: what -1 stands for, simple also when symbols are about. */
static adze_dim rest_of(adze_infer *infer, const adze_type *x, const adze_type *y, int rest)
{
    bool used[ADZE_MAX_RANK] = {false};
    adze_dim above = 1, below = 1;
    for (int i = 0; i < y->rank; i++) {
        bool found = i == rest;
        for (int k = 0; k < x->rank && !found; k++) {
            found = !used[k] && x->dims[k] == y->dims[i];
            used[k] |= found;
        }
        if (!found)
            below = adze_infer_mul(infer, below, y->dims[i]);
    }
    for (int k = 0; k < x->rank; k++)
        if (!used[k])
            above = adze_infer_mul(infer, above, x->dims[k]);
    return below == 0 ? 0 : adze_infer_div(infer, above, below);
}

static adze_status reshape_known(adze_infer *infer, const adze_type *x, const adze_dim *shape,
                                 int n, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    bool allow_zero = adze_node_int(node, "allowzero", 0) != 0, numbers = true;
    adze_type y = *x;
    int rest = -1;
    y.rank = n;
    for (int i = 0; i < n; i++) {
        int64_t number = 0;
        bool is_number = adze_ops_is_number(shape[i], &number);
        y.dims[i] = shape[i];
        if (is_number && number == 0 && !allow_zero) {
            if (i >= x->rank)
                return adze_ops_bad(node, err, "0 in the shape copies an axis that is not there");
            y.dims[i] = x->dims[i];
        } else if (is_number && number == -1 && rest < 0) {
            rest = i;
            y.dims[i] = 1;
        } else if (is_number && number < 0) {
            return adze_ops_bad(node, err, "the shape holds a number below -1, or two of -1");
        }
        numbers &= adze_dim_known(y.dims[i]);
    }
    if (rest >= 0)
        y.dims[rest] = rest_of(infer, x, &y, rest);
    int64_t from = 1, to = 1;
    for (int i = 0; i < x->rank; i++)
        numbers &= adze_dim_known(x->dims[i]);
    if (numbers) {
        from = adze_shape_elements(x->rank, x->dims);
        to = adze_shape_elements(y.rank, y.dims);
    }
    if (from != to)
        return adze_fail(err, ADZE_BAD_MODEL, "node %s (Reshape): %lld elements cannot become %lld",
                         adze_node_name(node), (long long)from, (long long)to);
    set_view(infer, &y);
    return ADZE_OK;
}

static adze_status reshape_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *s = adze_ops_ranked(infer, 1);
    if (!x || !s)
        return ADZE_OK;
    adze_dim shape[ADZE_MAX_RANK];
    int n = adze_ops_ints(infer, 1, shape, ADZE_MAX_RANK);
    if (n >= 0)
        return reshape_known(infer, x, shape, n, err);
    if (s->rank == 1 && s->dims[0] > ADZE_MAX_RANK)
        return adze_ops_bad(adze_infer_node(infer), err, "more axes than a tensor can have");
    if (s->rank != 1 || s->dims[0] < 0)
        return ADZE_OK;
    adze_type y = *x;
    y.rank = (int)s->dims[0];
    for (int i = 0; i < y.rank; i++)
        y.dims[i] = adze_infer_unknown(infer, INT64_MAX);
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status flatten_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    int64_t axis = adze_node_int(node, "axis", 1);
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis > x->rank)
        return adze_ops_bad(node, err, "axis outside the rank");
    adze_type y = *x;
    y.rank = 2;
    y.dims[0] = y.dims[1] = 1;
    for (int i = 0; i < x->rank; i++)
        y.dims[i >= axis] = adze_infer_mul(infer, y.dims[i >= axis], x->dims[i]);
    set_view(infer, &y);
    return ADZE_OK;
}

static adze_status squeeze_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    int64_t given[ADZE_MAX_RANK];
    int axes[ADZE_MAX_RANK];
    bool drop[ADZE_MAX_RANK] = {false};
    bool all = adze_infer_input_count(infer) < 2 || !adze_infer_input(infer, 1);
    int n = all ? 0 : adze_ops_numbers(infer, 1, given, x->rank);
    if (n < 0)
        return ADZE_OK;
    for (int i = 0; i < x->rank && all; i++)
        if (!adze_dim_known(x->dims[i]) && adze_dim_lower(infer->dims, x->dims[i]) <= 1 &&
            adze_dim_upper(infer->dims, x->dims[i]) >= 1) {
            /* whether it is 1 is seen when the data are there */
            adze_infer_set_tensor(infer, 0, x->dtype, -1, NULL);
            return ADZE_OK;
        }
    ADZE_TRY(adze_ops_axes(axes, node, given, n, x->rank, err));
    for (int i = 0; i < n; i++)
        drop[axes[i]] = true;
    adze_type y = *x;
    y.rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (drop[i] && adze_dim_known(x->dims[i]) && x->dims[i] != 1)
            return adze_ops_bad(node, err, "an axis to drop has not one element");
        if (!drop[i] && !(all && x->dims[i] == 1))
            y.dims[y.rank++] = x->dims[i];
    }
    set_view(infer, &y);
    return ADZE_OK;
}

static adze_status unsqueeze_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    int64_t given[ADZE_MAX_RANK];
    int axes[ADZE_MAX_RANK];
    int n = x ? adze_ops_numbers(infer, 1, given, ADZE_MAX_RANK) : -1;
    if (n < 0)
        return ADZE_OK;
    adze_type y = *x;
    y.rank = x->rank + n;
    if (y.rank > ADZE_MAX_RANK)
        return adze_ops_bad(node, err, "more axes than a tensor can have");
    ADZE_TRY(adze_ops_axes(axes, node, given, n, y.rank, err));
    bool added[ADZE_MAX_RANK] = {false};
    for (int i = 0; i < n; i++)
        added[axes[i]] = true;
    for (int i = 0, k = 0; i < y.rank; i++)
        y.dims[i] = added[i] ? 1 : x->dims[k++];
    set_view(infer, &y);
    return ADZE_OK;
}

/* ---- Constant: readers make constants of it; this is for those that nobody folded ---- */

static const adze_attr *constant_attr(const adze_node *node)
{
    static const char *const names[] = {"value",      "value_float",  "value_floats", "value_int",
                                        "value_ints", "value_string", "value_strings"};
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
        const adze_attr *a = adze_node_attr(node, names[i]);
        if (a)
            return a;
    }
    return NULL;
}

/* The attribute as a tensor over the attribute's own memory; `text` holds a single string. */
static bool constant_tensor(const adze_attr *a, adze_tensor *out, adze_string *text)
{
    int64_t n = a->count;
    switch (a->type) {
    case ADZE_ATTR_TENSOR: *out = *a->as.tensor; return true;
    case ADZE_ATTR_FLOAT: *out = adze_tensor_view(ADZE_F32, 0, NULL, (void *)&a->as.f); return true;
    case ADZE_ATTR_INT: *out = adze_tensor_view(ADZE_I64, 0, NULL, (void *)&a->as.i); return true;
    case ADZE_ATTR_FLOATS:
        *out = adze_tensor_view(ADZE_F32, 1, &n, (void *)a->as.floats);
        return true;
    case ADZE_ATTR_INTS: *out = adze_tensor_view(ADZE_I64, 1, &n, (void *)a->as.ints); return true;
    case ADZE_ATTR_STRINGS:
        *out = adze_tensor_view(ADZE_STRING, 1, &n, (void *)a->as.strings);
        return true;
    case ADZE_ATTR_STRING:
        *text = (adze_string){a->as.s, strlen(a->as.s)};
        *out = adze_tensor_view(ADZE_STRING, 0, NULL, text);
        return true;
    default: return false;
    }
}

static adze_status constant_infer(adze_infer *infer, adze_error *err)
{
    const adze_attr *a = constant_attr(adze_infer_node(infer));
    adze_tensor t;
    adze_string text;
    if (!a || !constant_tensor(a, &t, &text))
        return adze_ops_bad(adze_infer_node(infer), err,
                            "no value (sparse ones are not supported)");
    adze_infer_set_tensor(infer, 0, t.dtype, t.rank, t.dims);
    int64_t n = adze_tensor_elements(&t);
    if ((t.dtype == ADZE_I64 || t.dtype == ADZE_I32) && t.rank <= 1 && n <= ADZE_OPS_MAX_INTS) {
        adze_dim known[ADZE_OPS_MAX_INTS];
        for (int i = 0; i < n; i++)
            known[i] = adze_ops_number(adze_tensor_get_i64(&t, i));
        adze_ops_set_ints(infer, 0, known, (int)n);
    }
    return ADZE_OK;
}

static adze_status constant_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_tensor t;
    adze_string text;
    if (constant_tensor(constant_attr(run->node), &t, &text) && run->outputs[0]->size)
        memcpy(run->outputs[0]->data, t.data, run->outputs[0]->size);
    return ADZE_OK;
}

/* ---- ConstantOfShape, Expand's cousin without an input ---- */

static adze_tensor fill_value(const adze_node *node)
{
    static const float zero = 0;
    const adze_attr *a = adze_node_attr(node, "value");
    return a && a->type == ADZE_ATTR_TENSOR ? *a->as.tensor
                                            : adze_tensor_view(ADZE_F32, 0, NULL, (void *)&zero);
}

static adze_status fill_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *s = adze_ops_ranked(infer, 0);
    adze_tensor value = fill_value(adze_infer_node(infer));
    adze_dim shape[ADZE_MAX_RANK];
    int n = adze_ops_ints(infer, 0, shape, ADZE_MAX_RANK);
    if (n < 0 && (!s || s->rank != 1 || s->dims[0] < 0 || s->dims[0] > ADZE_MAX_RANK))
        return ADZE_OK;
    for (int i = 0; i < (n < 0 ? (int)s->dims[0] : n); i++) {
        int64_t number;
        if (n < 0)
            shape[i] = adze_infer_unknown(infer, INT64_MAX);
        else if (adze_ops_is_number(shape[i], &number) && number < 0)
            return adze_ops_bad(adze_infer_node(infer), err, "the shape holds a negative number");
    }
    adze_infer_set_tensor(infer, 0, value.dtype, n < 0 ? (int)s->dims[0] : n, shape);
    bool index = value.dtype == ADZE_I64 || value.dtype == ADZE_I32;
    int64_t count = n == 0 ? 1 : n == 1 ? shape[0] : -1;
    if (!index || count < 0 || count > ADZE_OPS_MAX_INTS)
        return ADZE_OK;
    adze_dim known[ADZE_OPS_MAX_INTS];
    for (int i = 0; i < count; i++)
        known[i] = adze_ops_number(adze_tensor_get_i64(&value, 0));
    adze_ops_set_ints(infer, 0, known, (int)count);
    return ADZE_OK;
}

static adze_status fill_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_tensor value = fill_value(run->node), *y = run->outputs[0];
    size_t size = adze_ops_element(value.dtype);
    if (size == 0) { /* packed types */
        for (int64_t i = 0; i < adze_tensor_elements(y); i++)
            adze_tensor_set_i64(y, i, adze_tensor_get_i64(&value, 0));
        return ADZE_OK;
    }
    adze_ops_layout l = {.rank = 1,
                         .dims = {adze_tensor_elements(y)},
                         .to = {1},
                         .size = size,
                         .x = value.data,
                         .y = y->data};
    adze_ops_copy(run, &l);
    return ADZE_OK;
}

/* ---- Range ---- */

static int64_t range_count(const adze_tensor *start, const adze_tensor *limit,
                           const adze_tensor *delta)
{
    if (adze_dtype_describe(start->dtype)->kind == ADZE_KIND_INT) {
        int64_t s = adze_tensor_get_i64(start, 0), l = adze_tensor_get_i64(limit, 0),
                d = adze_tensor_get_i64(delta, 0);
        if (d == 0 || (d > 0 ? l <= s : l >= s))
            return 0;
        uint64_t span = d > 0 ? (uint64_t)l - (uint64_t)s : (uint64_t)s - (uint64_t)l;
        uint64_t step = d > 0 ? (uint64_t)d : 0 - (uint64_t)d;
        uint64_t n = span / step + (span % step != 0);
        return n > INT64_MAX / 8 ? -1 : (int64_t)n;
    }
    double d = adze_tensor_get_f64(delta, 0);
    double n = ceil((adze_tensor_get_f64(limit, 0) - adze_tensor_get_f64(start, 0)) / d);
    return n > 1e15 ? -1 : n > 0 ? (int64_t)n : 0;
}

static adze_status range_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *type = adze_infer_input(infer, 0);
    const adze_tensor *t[3] = {adze_infer_content(infer, 0), adze_infer_content(infer, 1),
                               adze_infer_content(infer, 2)};
    for (int i = 0; i < 3; i++)
        ADZE_TRY(adze_ops_need_scalar(infer, i, err));
    adze_dim dims[3] = {0}, n = 0, known[ADZE_OPS_MAX_INTS];
    int64_t start = 0, delta = 0;
    bool ints = true;
    for (int i = 0; i < 3; i++)
        ints &= adze_ops_ints(infer, i, &dims[i], 1) == 1;
    if (t[0] && t[1] && t[2]) {
        n = range_count(t[0], t[1], t[2]);
        if (n < 0)
            return adze_ops_bad(adze_infer_node(infer), err, "the range is impossibly long");
    } else if (!ints || !adze_ops_is_number(dims[2], &delta) || delta != 1 ||
               !adze_ops_dim_op(infer, ADZE_DIM_SUB, dims[1], dims[0], &n) || n < INT64_MIN / 2) {
        n = adze_infer_unknown(infer, INT64_MAX);
    }
    adze_infer_set_tensor(infer, 0, type->dtype, 1, &n);
    ints = ints && adze_ops_is_number(dims[0], &start) && adze_ops_is_number(dims[2], &delta);
    if (!ints || n < 0 || n > ADZE_OPS_MAX_INTS)
        return ADZE_OK;
    for (int i = 0; i < n; i++)
        known[i] = adze_ops_number(start + i * delta);
    adze_ops_set_ints(infer, 0, known, (int)n);
    return ADZE_OK;
}

static adze_status range_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_tensor *y = run->outputs[0];
    const adze_tensor *start = run->inputs[0], *delta = run->inputs[2];
    const int64_t n = adze_tensor_elements(y);
    if (adze_dtype_describe(y->dtype)->kind == ADZE_KIND_INT) {
        const uint64_t first = (uint64_t)adze_tensor_get_i64(start, 0),
                       step = (uint64_t)adze_tensor_get_i64(delta, 0);
        for (int64_t i = 0; i < n && y->dtype == ADZE_I64; i++)
            ((int64_t *)y->data)[i] = (int64_t)(first + (uint64_t)i * step);
        for (int64_t i = 0; i < n && y->dtype != ADZE_I64; i++)
            adze_tensor_set_i64(y, i, (int64_t)(first + (uint64_t)i * step));
        return ADZE_OK;
    }
    const double first = adze_tensor_get_f64(start, 0), step = adze_tensor_get_f64(delta, 0);
    for (int64_t i = 0; i < n; i++)
        adze_ops_put(y, i, first + (double)i * step);
    return ADZE_OK;
}

/* ---- EyeLike ---- */

static adze_status eye_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    if (x->rank != 2)
        return adze_ops_bad(node, err, "the input must have two axes");
    adze_dtype dtype = adze_node_has(node, "dtype")
                           ? adze_dtype_from_onnx((int)adze_node_int(node, "dtype", 1))
                           : x->dtype;
    adze_infer_set_tensor(infer, 0, dtype, 2, x->dims);
    return ADZE_OK;
}

static adze_status eye_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_tensor *y = run->outputs[0];
    int64_t k = adze_node_int(run->node, "k", 0);
    memset(y->data, 0, y->size);
    for (int64_t i = k < 0 ? -ADZE_MAX(k, -y->dims[0]) : 0; i < y->dims[0]; i++)
        if (k < y->dims[1] - i)
            adze_tensor_set_f64(y, i * y->dims[1] + i + k, 1);
    return ADZE_OK;
}

#define ROW(text, version, in_min, in_max)                                                         \
    .domain = "", .name = text, .since = version, .min_inputs = in_min, .max_inputs = in_max,      \
    .min_outputs = 1, .max_outputs = 1
#define VIEW .flags = ADZE_OP_VIEW, .quant = ADZE_QUANT_MOVE, .cost = adze_ops_cost_move

const adze_op adze_ops_shape[] = {
    {ROW("Shape", 1, 1, 1), .attrs = "start end", .infer = shape_infer, .run = shape_run},
    {ROW("Size", 1, 1, 1), .attrs = "", .infer = size_infer, .run = size_run},
    {ROW("Identity", 1, 1, 1), .flags = ADZE_OP_VIEW | ADZE_OP_ITEMS, .quant = ADZE_QUANT_MOVE,
     .cost = adze_ops_cost_move, .attrs = "", .infer = identity_infer, .run = identity_run},
    {.domain = "",
     .name = "Dropout",
     .since = 12,
     .min_inputs = 1,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 2,
     .flags = ADZE_OP_INPLACE, /* no view: the mask has to be written */
     .quant = ADZE_QUANT_MOVE,
     .cost = adze_ops_cost_move,
     .prepare = adze_ops_prepare_move,
     .attrs = "seed",
     .infer = dropout_infer,
     .run = dropout_run},
    {ROW("Reshape", 5, 2, 2), VIEW, .attrs = "allowzero", .infer = reshape_infer, .run = view_run},
    {ROW("Flatten", 1, 1, 1), VIEW, .attrs = "axis", .infer = flatten_infer, .run = view_run},
    {ROW("Squeeze", 13, 1, 2), VIEW, .attrs = "", .infer = squeeze_infer, .run = view_run},
    {ROW("Unsqueeze", 13, 2, 2), VIEW, .attrs = "", .infer = unsqueeze_infer, .run = view_run},
    {ROW("Constant", 1, 0, 0),
     .attrs = "value value_float value_floats value_int value_ints value_string value_strings",
     .infer = constant_infer, .run = constant_run},
    {ROW("ConstantOfShape", 9, 1, 1), .attrs = "value", .infer = fill_infer,
     .cost = adze_ops_cost_move, .run = fill_run},
    {ROW("Range", 11, 3, 3), .attrs = "stash_type", .infer = range_infer, .run = range_run},
    {ROW("EyeLike", 9, 1, 1), .attrs = "dtype k", .infer = eye_infer, .run = eye_run},
    {.name = NULL},
};
