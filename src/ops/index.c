/* Elements chosen by other elements: the Gather and Scatter family, Compress, OneHot, NonZero,
 * ReverseSequence, TensorScatter. Indices may be int32 or int64 and count from the end when
 * negative; one outside the axis is an error of the data, never a read outside the tensor. */
#include <math.h>
#include <string.h>
#include "ops/binary.h"
#include "ops/helpers.h"

static adze_status bad_index(const adze_run *run, int64_t index, int64_t size, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): index %lld outside an axis of %lld",
                     adze_node_name(run->node), adze_node_op(run->node), (long long)index,
                     (long long)size);
}

/* Index i of the tensor, negative ones from the end; -1 when outside. */
static int64_t index_at(const adze_tensor *indices, int64_t i, int64_t size)
{
    int64_t v = indices->dtype == ADZE_I64   ? ((const int64_t *)indices->data)[i]
                : indices->dtype == ADZE_I32 ? ((const int32_t *)indices->data)[i]
                                             : adze_tensor_get_i64(indices, i);
    v += v < 0 ? size : 0;
    return v >= 0 && v < size ? v : -1;
}

static bool all_inside(const adze_tensor *indices, int64_t n, int64_t size)
{
    bool inside = true;
    if (indices->dtype == ADZE_I64)
        for (int64_t i = 0; i < n; i++) {
            int64_t v = ((const int64_t *)indices->data)[i];
            inside &= v < size && v >= -size;
        }
    else
        for (int64_t i = 0; i < n; i++)
            inside &= index_at(indices, i, size) >= 0;
    return inside;
}

static adze_status check_indices(const adze_run *run, const adze_tensor *indices, int64_t size,
                                 adze_error *err)
{
    int64_t n = adze_tensor_elements(indices), i = 0;
    if (all_inside(indices, n, size))
        return ADZE_OK;
    while (index_at(indices, i, size) >= 0)
        i++;
    return bad_index(run, adze_tensor_get_i64(indices, i), size, err);
}

/* ---- Gather ---- */

static void gather_known(adze_infer *infer, int rank)
{
    adze_dim data[ADZE_OPS_MAX_INTS], out[ADZE_OPS_MAX_INTS];
    int64_t indices[ADZE_OPS_MAX_INTS];
    int n = adze_ops_ints(infer, 0, data, ADZE_OPS_MAX_INTS);
    int count = adze_ops_numbers(infer, 1, indices, ADZE_OPS_MAX_INTS);
    if (n < 0 || count < 0 || rank > 1)
        return;
    for (int i = 0; i < count; i++) {
        int64_t at = indices[i] + (indices[i] < 0 ? n : 0);
        if (at < 0 || at >= n)
            return;
        out[i] = data[at];
    }
    adze_ops_set_ints(infer, 0, out, count);
}

static adze_status gather_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *i = adze_ops_ranked(infer, 1);
    const adze_node *node = adze_infer_node(infer);
    if (!x || !i)
        return ADZE_OK;
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    if (x->rank + i->rank - 1 > ADZE_MAX_RANK)
        return adze_ops_bad(node, err, "more axes than a tensor can have");
    adze_type y = *x;
    y.rank = 0;
    for (int k = 0; k < axis; k++)
        y.dims[y.rank++] = x->dims[k];
    for (int k = 0; k < i->rank; k++)
        y.dims[y.rank++] = i->dims[k];
    for (int k = axis + 1; k < x->rank; k++)
        y.dims[y.rank++] = x->dims[k];
    adze_infer_set(infer, 0, &y);
    if (x->rank == 1 && (x->dtype == ADZE_I64 || x->dtype == ADZE_I32))
        gather_known(infer, y.rank);
    return ADZE_OK;
}

typedef struct gather_job {
    const char *x;
    char *y;
    const adze_tensor *indices;
    int64_t count, length, row; /* indices, axis, bytes after the axis */
} gather_job;

static void gather_range(void *user, int64_t begin, int64_t end, int worker)
{
    const gather_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t at = begin; at < end; at++) {
        int64_t from =
            at / job->count * job->length + index_at(job->indices, at % job->count, job->length);
        memcpy(job->y + at * job->row, job->x + from * job->row, (size_t)job->row);
    }
}

static adze_status gather_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *indices = run->inputs[1];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", 0), x->rank, err));
    ADZE_TRY(check_indices(run, indices, x->dims[axis], err));
    gather_job job = {x->data,       run->outputs[0]->data,
                      indices,       adze_tensor_elements(indices),
                      x->dims[axis], (int64_t)adze_ops_element(x->dtype)};
    int64_t outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= x->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        job.row *= x->dims[i];
    if (job.row > 0)
        adze_ops_parallel(run, outer * job.count, ADZE_MAX(1, 65536 / job.row), gather_range, &job);
    return ADZE_OK;
}

/* ---- GatherElements ---- */

static adze_status elements_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *i = adze_ops_ranked(infer, 1);
    if (!x || !i)
        return ADZE_OK;
    if (x->rank != i->rank)
        return adze_ops_bad(adze_infer_node(infer), err, "data and indices differ in rank");
    adze_type y = *i;
    y.dtype = x->dtype;
    y.quant = x->quant;
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* Elements of `data` that `indices`, a tensor of the same rank and no longer in the other axes, name along `axis`,
 * a row of indices at a time. */
typedef struct named {
    const adze_tensor *indices;
    int axis;
    int64_t size, rows, width;      /* of the axis; of the indices */
    int64_t strides[ADZE_MAX_RANK]; /* of the data */
} named;

/* Fails when an axis of the indices is longer than that of the data. */
static adze_status named_open(named *n, const adze_run *run, const adze_tensor *data,
                              const adze_tensor *indices, adze_error *err)
{
    *n = (named){.indices = indices, .rows = 1, .width = 1};
    ADZE_TRY(
        adze_ops_axis(&n->axis, run->node, adze_node_int(run->node, "axis", 0), data->rank, err));
    n->size = data->dims[n->axis];
    n->width = indices->dims[indices->rank - 1];
    int64_t total = adze_tensor_elements(indices);
    n->rows = total ? total / n->width : 0;
    adze_ops_strides(data->rank, data->dims, n->strides);
    for (int k = 0; k < data->rank && total; k++)
        if (k != n->axis && indices->dims[k] > data->dims[k])
            return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): %lld indices along an axis of %lld",
                             adze_node_name(run->node), adze_node_op(run->node),
                             (long long)indices->dims[k], (long long)data->dims[k]);
    return ADZE_OK;
}

/* Element i of a row of indices names element base + index * stride + i * step. */
static int64_t row_base(const named *n, int64_t row)
{
    int64_t base = 0;
    for (int k = n->indices->rank - 2; k >= 0; k--) {
        base += k == n->axis ? 0 : row % n->indices->dims[k] * n->strides[k];
        row /= n->indices->dims[k];
    }
    return base;
}

typedef struct elements_job {
    named n;
    const adze_tensor *x;
    char *y;
    size_t size;
    int64_t *bad; /* for each worker: 1 + a place of `indices` that is outside, or 0 */
} elements_job;

#define PICK(I, T)                                                                                 \
    do {                                                                                           \
        const T *a = (const T *)job->x->data + base;                                               \
        T *b = (T *)(void *)job->y + start;                                                        \
        const I *index = (const I *)n->indices->data + start;                                      \
        for (int64_t i = 0; i < n->width; i++) {                                                   \
            int64_t v = (int64_t)index[i] + (index[i] < 0 ? n->size : 0);                          \
            if ((uint64_t)v >= (uint64_t)n->size)                                                  \
                return start + i;                                                                  \
            b[i] = a[v * stride + i * step];                                                       \
        }                                                                                          \
    } while (0)

/* -1, or a place of the indices that is outside */
static int64_t gather_row(const elements_job *job, int64_t row)
{
    const named *n = &job->n;
    const int64_t base = row_base(n, row), stride = n->strides[n->axis], start = row * n->width,
                  step = n->axis != n->indices->rank - 1;
    const size_t size = job->size;
    bool wide = n->indices->dtype == ADZE_I64;
    if (wide && size == 4)
        PICK(int64_t, uint32_t);
    else if (wide && size == 8)
        PICK(int64_t, uint64_t);
    else if (n->indices->dtype == ADZE_I32 && size == 4)
        PICK(int32_t, uint32_t);
    else
        for (int64_t i = 0; i < n->width; i++) {
            int64_t v = index_at(n->indices, start + i, n->size);
            if (v < 0)
                return start + i;
            memcpy(job->y + (size_t)(start + i) * size,
                   (const char *)job->x->data + (size_t)(base + v * stride + i * step) * size,
                   size);
        }
    return -1;
}

static void gather_rows(void *user, int64_t begin, int64_t end, int worker)
{
    const elements_job *job = user;
    for (int64_t row = begin; row < end && job->bad[worker] == 0; row++)
        job->bad[worker] = 1 + gather_row(job, row);
}

static size_t elements_scratch(const adze_run *run)
{
    return (size_t)adze_run_threads(run) * sizeof(int64_t);
}

static adze_status gather_elements_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *indices = run->inputs[1];
    elements_job job = {.x = x,
                        .y = run->outputs[0]->data,
                        .size = adze_ops_element(x->dtype),
                        .bad = run->scratch};
    ADZE_TRY(named_open(&job.n, run, x, indices, err));
    memset(job.bad, 0, elements_scratch(run));
    adze_ops_parallel(run, job.n.rows, ADZE_MAX(1, 16384 / ADZE_MAX(1, job.n.width)), gather_rows,
                      &job);
    for (int i = 0; i < adze_run_threads(run); i++)
        if (job.bad[i])
            return bad_index(run, adze_tensor_get_i64(indices, job.bad[i] - 1), job.n.size, err);
    return ADZE_OK;
}

/* ---- GatherND, ScatterND: rows of indices are coordinates ---- */

static adze_status gather_nd_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *i = adze_ops_ranked(infer, 1);
    const adze_node *node = adze_infer_node(infer);
    if (!x || !i || i->rank < 1)
        return ADZE_OK;
    int64_t batch = adze_node_int(node, "batch_dims", 0), width = i->dims[i->rank - 1];
    if (width < 0)
        return ADZE_OK;
    if (batch < 0 || batch >= i->rank || batch + width > x->rank)
        return adze_ops_bad(node, err, "indices have more coordinates than the data have axes");
    adze_type y = *x;
    y.rank = 0;
    if (i->rank - 1 + x->rank - batch - width > ADZE_MAX_RANK)
        return adze_ops_bad(node, err, "more axes than a tensor can have");
    for (int k = 0; k < i->rank - 1; k++)
        y.dims[y.rank++] = i->dims[k];
    for (int64_t k = batch + width; k < x->rank; k++)
        y.dims[y.rank++] = x->dims[k];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* How a row of coordinates names a slice of the data. */
typedef struct coordinates {
    int batch, width;
    int64_t rows, rows_per_batch; /* rows of coordinates */
    int64_t slice;                /* elements that one row names */
} coordinates;

static coordinates coordinates_of(const adze_tensor *x, const adze_tensor *indices, int batch)
{
    coordinates c = {.batch = batch, .width = (int)indices->dims[indices->rank - 1], .slice = 1};
    c.rows = c.rows_per_batch = 1;
    for (int i = 0; i < indices->rank - 1; i++) {
        c.rows *= indices->dims[i];
        c.rows_per_batch *= i < batch ? 1 : indices->dims[i];
    }
    for (int i = batch + c.width; i < x->rank; i++)
        c.slice *= x->dims[i];
    return c;
}

/* First element of the slice that row `row` names; -1 when a coordinate is outside. */
static int64_t named_slice(const coordinates *c, const adze_tensor *x, const adze_tensor *indices,
                           int64_t row)
{
    int64_t at = c->batch ? row / c->rows_per_batch : 0;
    for (int k = 0; k < c->width; k++) {
        int64_t size = x->dims[c->batch + k], v = index_at(indices, row * c->width + k, size);
        if (v < 0)
            return -1;
        at = at * size + v;
    }
    return at * c->slice;
}

static adze_status gather_nd_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *indices = run->inputs[1];
    coordinates c = coordinates_of(x, indices, (int)adze_node_int(run->node, "batch_dims", 0));
    for (int i = 0; i < c.batch; i++)
        if (indices->dims[i] != x->dims[i])
            return adze_ops_bad(run->node, err, "data and indices differ in a batch axis");
    size_t size = adze_ops_element(x->dtype) * (size_t)c.slice;
    for (int64_t row = 0; row < c.rows && !adze_ops_is_late(run, row); row++) {
        int64_t from = named_slice(&c, x, indices, row);
        if (from < 0)
            return bad_index(run, adze_tensor_get_i64(indices, row * c.width), x->dims[c.batch],
                             err);
        memcpy((char *)run->outputs[0]->data + (size_t)row * size,
               (const char *)x->data + (size_t)from * adze_ops_element(x->dtype), size);
    }
    return ADZE_OK;
}

/* ---- Scatter ---- */

/* none: -1 */
static int reduction_of(const adze_node *node, adze_status *status, adze_error *err)
{
    static const struct {
        const char *name;
        int pair;
    } table[] = {{"none", -1},
                 {"add", ADZE_PAIR_ADD},
                 {"mul", ADZE_PAIR_MUL},
                 {"min", ADZE_PAIR_MIN},
                 {"max", ADZE_PAIR_MAX}};
    const char *name = adze_node_string(node, "reduction", "none");
    *status = ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].pair;
    *status = adze_fail(err, ADZE_UNSUPPORTED, "node %s (%s): reduction '%s'", adze_node_name(node),
                        adze_node_op(node), name);
    return -1;
}

/* y[to ...] = pair(y[to ...], x[from ...]) for n elements; pair -1 replaces. */
static void merge(const adze_kernels *kernels, int pair, const adze_tensor *x, int64_t from,
                  adze_tensor *y, int64_t to, int64_t n)
{
    size_t size = adze_ops_element(y->dtype);
    char *target = (char *)y->data + (size_t)to * size;
    const char *source = (const char *)x->data + (size_t)from * size;
    adze_pair_fn typed = pair < 0 ? NULL : adze_pair_typed((adze_pair)pair, y->dtype);
    if (pair < 0) {
        memcpy(target, source, (size_t)n * size);
        return;
    }
    if (typed && !y->quant) {
        typed(n, target, 1, source, 1, target);
        return;
    }
    static const adze_binary binary[] = {[ADZE_PAIR_ADD] = ADZE_BINARY_ADD,
                                         [ADZE_PAIR_MUL] = ADZE_BINARY_MUL,
                                         [ADZE_PAIR_MIN] = ADZE_BINARY_MIN,
                                         [ADZE_PAIR_MAX] = ADZE_BINARY_MAX};
    float a[64], b[64];
    for (int64_t i = 0; i < n; i += 64) {
        int64_t count = ADZE_MIN(64, n - i);
        adze_ops_load(kernels, y, to + i, 1, count, a);
        adze_ops_load(kernels, x, from + i, 1, count, b);
        kernels->eltwise.binary[binary[pair]][ADZE_FORM_VV](count, a, b, a);
        adze_ops_store(kernels, a, count, y, to + i);
    }
}

static adze_status scatter_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    const adze_node *node = adze_prepare_node(prepare);
    adze_status status;
    int pair = reduction_of(node, &status, err);
    ADZE_TRY(status);
    bool computes = adze_ops_can_load(x) || adze_pair_typed(ADZE_PAIR_ADD, x->dtype);
    if (pair >= 0 && !computes)
        return adze_ops_unsupported(node, x->dtype, err);
    return adze_ops_prepare_move(prepare, err);
}

#define UPDATE(type, statement)                                                                    \
    do {                                                                                           \
        type *to = (type *)y->data;                                                                \
        const type *u = (const type *)updates->data + from;                                        \
        for (int64_t i = 0; i < count; i++)                                                        \
            statement;                                                                             \
    } while (0)

/* y[at[i]] = pair(y[at[i]], updates[from + i]), one after the other: an element may be named twice. */
static void scatter_row(const adze_kernels *kernels, int pair, const adze_tensor *updates,
                        int64_t from, int64_t count, const int64_t *at, adze_tensor *y)
{
    bool real = y->dtype == ADZE_F32 && !y->quant;
    size_t size = adze_ops_element(y->dtype);
    if (pair < 0 && size == 4)
        UPDATE(uint32_t, to[at[i]] = u[i]);
    else if (pair < 0 && size == 8)
        UPDATE(uint64_t, to[at[i]] = u[i]);
    else if (pair == ADZE_PAIR_ADD && real)
        UPDATE(float, to[at[i]] += u[i]);
    else if (pair == ADZE_PAIR_MUL && real)
        UPDATE(float, to[at[i]] *= u[i]);
    else
        for (int64_t i = 0; i < count; i++)
            merge(kernels, pair, updates, from + i, y, at[i], 1);
}

static adze_status scatter_elements_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *indices = run->inputs[1], *updates = run->inputs[2];
    adze_tensor *y = run->outputs[0];
    named n;
    adze_status status;
    int pair = reduction_of(run->node, &status, err);
    ADZE_TRY(status);
    if (adze_tensor_elements(updates) < adze_tensor_elements(indices) ||
        updates->dtype != x->dtype || indices->rank != x->rank)
        return adze_ops_bad(run->node, err, "data, indices and updates do not fit");
    ADZE_TRY(named_open(&n, run, x, indices, err));
    ADZE_TRY(check_indices(run, indices, n.size, err));
    adze_ops_copy_bytes(run, y->data, x->data, y->size);
    enum { NAMED = 256 };
    int64_t at[NAMED], count, stride = n.strides[n.axis], step = n.axis != x->rank - 1, turn = 0;
    for (int64_t row = 0; row < n.rows && !adze_ops_is_late(run, turn); row++)
        for (int64_t first = 0; first < n.width && !adze_ops_is_late(run, turn++); first += count) {
            int64_t base = row_base(&n, row) + first * step, from = row * n.width + first;
            count = ADZE_MIN(NAMED, n.width - first);
            for (int64_t i = 0; i < count; i++)
                at[i] = index_at(indices, from + i, n.size) * stride + base + i * step;
            scatter_row(run->kernels, pair, updates, from, count, at, y);
        }
    return ADZE_OK;
}

static adze_status scatter_nd_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *indices = run->inputs[1];
    adze_tensor *y = run->outputs[0];
    adze_status status;
    int pair = reduction_of(run->node, &status, err);
    ADZE_TRY(status);
    if (indices->rank < 1 || indices->dims[indices->rank - 1] > x->rank)
        return adze_ops_bad(run->node, err,
                            "indices have more coordinates than the data have axes");
    coordinates c = coordinates_of(x, indices, 0);
    adze_ops_copy_bytes(run, y->data, x->data, y->size);
    if (adze_tensor_elements(run->inputs[2]) < c.rows * c.slice ||
        run->inputs[2]->dtype != x->dtype)
        return adze_ops_bad(run->node, err, "data, indices and updates do not fit");
    for (int64_t row = 0; row < c.rows && !adze_ops_is_late(run, row); row++) {
        int64_t to = named_slice(&c, x, indices, row);
        if (to < 0)
            return bad_index(run, adze_tensor_get_i64(indices, row * c.width), x->dims[0], err);
        merge(run->kernels, pair, run->inputs[2], row * c.slice, y, to, c.slice);
    }
    return ADZE_OK;
}

/* ---- TensorScatter: a new piece of a cache, for each sequence at its own place ---- */

static adze_status tensor_scatter_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *update = run->inputs[1],
                      *where = adze_ops_input(run, 2);
    adze_tensor *y = run->outputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", -2), x->rank, err));
    bool circular = strcmp(adze_node_string(run->node, "mode", "linear"), "circular") == 0;
    int64_t outer = 1, row = (int64_t)adze_ops_element(x->dtype), size = x->dims[axis];
    for (int i = 0; i < axis; i++)
        outer *= x->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        row *= x->dims[i];
    bool fits = update->rank == x->rank && update->dtype == x->dtype && axis > 0 && outer > 0;
    for (int i = 0; i < x->rank && fits; i++)
        fits = i == axis || update->dims[i] == x->dims[i];
    if (!fits || (where && adze_tensor_elements(where) != x->dims[0]))
        return adze_ops_bad(run->node, err, "cache, update and indices do not fit");
    int64_t batches = x->dims[0], n = update->dims[axis];
    adze_ops_copy_bytes(run, y->data, x->data, y->size);
    for (int64_t o = 0; o < outer; o++) {
        int64_t start = where ? adze_tensor_get_i64(where, o / (outer / batches)) : 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t to = circular && size ? (start + i) % size : start + i;
            if (to < 0 || to >= size)
                return bad_index(run, start + i, size, err);
            memcpy((char *)y->data + (o * size + to) * row,
                   (const char *)update->data + (o * n + i) * row, (size_t)row);
        }
    }
    return ADZE_OK;
}

/* ---- NonZero, Compress: the data decide how much comes out ---- */

static adze_status non_zero_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_dim all = 1, dims[2] = {x->rank};
    for (int i = 0; i < x->rank; i++)
        all = adze_infer_mul(infer, all, x->dims[i]);
    dims[1] = adze_infer_unknown(infer, adze_dim_upper(infer->dims, all));
    adze_infer_set_tensor(infer, 0, ADZE_I64, 2, dims);
    return ADZE_OK;
}

/* Which of elements [first, first + n) are not zero: 1 or 0 each. */
static void truths(const adze_run *run, int64_t first, int64_t n, uint8_t *out)
{
    const adze_tensor *x = run->inputs[0];
    size_t size = adze_ops_element(x->dtype);
    const uint8_t *bytes = (const uint8_t *)x->data + (size_t)first * size;
    if (x->dtype == ADZE_F32) {
        run->kernels->eltwise.f32_to_bool(n, (const float *)(const void *)bytes, out);
    } else if (adze_dtype_describe(x->dtype)->kind == ADZE_KIND_FLOAT) { /* -0 is zero too */
        for (int64_t i = 0; i < n; i++)
            out[i] = adze_tensor_get_f64(x, first + i) != 0;
    } else if (size == 1) {
        ADZE_SIMD
        for (int64_t i = 0; i < n; i++)
            out[i] = bytes[i] != 0;
    } else {
        for (int64_t i = 0; i < n; i++) {
            uint8_t any = 0;
            for (size_t b = 0; b < size; b++)
                any |= bytes[(size_t)i * size + b];
            out[i] = any != 0;
        }
    }
}

static adze_status non_zero_run(adze_run *run, adze_error *err)
{
    enum { CHUNK = 1024 };
    const adze_tensor *x = run->inputs[0];
    uint8_t truth[CHUNK];
    int32_t columns[CHUNK] = {0};
    int64_t count = 0, total = adze_tensor_elements(x), turn = 0, n;
    for (int64_t i = 0; i < total && !adze_ops_is_late(run, turn++); i += n) {
        n = ADZE_MIN(CHUNK, total - i);
        truths(run, i, n, truth);
        count += run->kernels->eltwise.sum_u8(n, truth, 0);
    }
    int64_t dims[2] = {x->rank, count}, at = 0, width = x->rank ? x->dims[x->rank - 1] : 1;
    ADZE_TRY(adze_run_resize(run, 0, ADZE_I64, 2, dims, err));
    int64_t *y = run->outputs[0]->data;
    for (int64_t i = 0; i < total && at < count && !adze_ops_is_late(run, turn++); i += n) {
        int64_t column = i % width, rest = i / width, found = 0;
        n = ADZE_MIN(CHUNK, width - column); /* a piece of a row */
        truths(run, i, n, truth);
        for (int64_t k = 0; k < n; k++) {
            columns[found] = (int32_t)k;
            found += truth[k];
        }
        found = ADZE_MIN(found, count - at); /* the count of a run that is late is too small */
        for (int k = x->rank - 1; k >= 0; k--) {
            int64_t *to = y + k * count + at, coordinate = rest % x->dims[k];
            bool last = k == x->rank - 1;
            for (int64_t f = 0; f < found; f++)
                to[f] = last ? column + columns[f] : coordinate;
            rest = last ? rest : rest / x->dims[k];
        }
        at += found;
    }
    return ADZE_OK;
}

static adze_status compress_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    adze_type y = *x;
    int axis = 0;
    if (adze_node_has(node, "axis")) {
        ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    } else {
        y.rank = 1;
        y.dims[0] = 1;
        for (int i = 0; i < x->rank; i++)
            y.dims[0] = adze_infer_mul(infer, y.dims[0], x->dims[i]);
    }
    y.dims[axis] = adze_infer_unknown(infer, adze_dim_upper(infer->dims, y.dims[axis]));
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status compress_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *condition = run->inputs[1];
    const uint8_t *keep = condition->data;
    bool by_axis = adze_node_has(run->node, "axis");
    int axis = 0;
    if (by_axis)
        ADZE_TRY(
            adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", 0), x->rank, err));
    int64_t dims[ADZE_MAX_RANK], outer = 1, row = (int64_t)adze_ops_element(x->dtype), count = 0;
    int64_t length = by_axis ? x->dims[axis] : adze_tensor_elements(x);
    for (int i = 0; i < x->rank && by_axis; i++)
        if (i != axis)
            *(i < axis ? &outer : &row) *= x->dims[i];
    int64_t listed = ADZE_MIN(adze_tensor_elements(condition), length);
    for (int64_t i = 0; i < listed; i++)
        count += keep[i] != 0;
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = count;
    ADZE_TRY(adze_run_resize(run, 0, x->dtype, by_axis ? x->rank : 1, dims, err));
    char *y = run->outputs[0]->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < listed; i++)
            if (keep[i]) {
                memcpy(y, (const char *)x->data + (o * length + i) * row, (size_t)row);
                y += row;
            }
    return ADZE_OK;
}

/* ---- OneHot ---- */

static adze_status one_hot_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *i = adze_ops_ranked(infer, 0), *v = adze_infer_input(infer, 2);
    const adze_node *node = adze_infer_node(infer);
    if (!i)
        return ADZE_OK;
    int axis = 0;
    if (i->rank + 1 > ADZE_MAX_RANK)
        return adze_ops_bad(node, err, "more axes than a tensor can have");
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", -1), i->rank + 1, err));
    ADZE_TRY(adze_ops_need_scalar(infer, 1, err));
    const adze_tensor *depth = adze_infer_content(infer, 1);
    adze_dim d;
    if (depth)
        d = adze_tensor_get_i64(depth, 0);
    else if (adze_ops_ints(infer, 1, &d, 1) != 1)
        d = adze_infer_unknown(infer, INT64_MAX);
    if (depth && d < 0)
        return adze_ops_bad(node, err, "depth is negative");
    adze_type y = {.kind = ADZE_VALUE_TENSOR, .dtype = v->dtype, .rank = i->rank + 1};
    for (int k = 0, from = 0; k < y.rank; k++)
        y.dims[k] = k == axis ? d : i->dims[from++];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status one_hot_run(adze_run *run, adze_error *err)
{
    const adze_tensor *indices = run->inputs[0], *values = run->inputs[2];
    adze_tensor *y = run->outputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", -1), y->rank, err));
    if (adze_tensor_elements(values) != 2)
        return adze_ops_bad(run->node, err, "values must be two");
    int64_t inner = 1, depth = y->dims[axis];
    size_t size = adze_ops_element(values->dtype);
    for (int i = axis + 1; i < y->rank; i++)
        inner *= y->dims[i];
    const char *off = values->data, *on = off + size;
    memcpy(y->data, off, ADZE_MIN(size, y->size));
    int64_t turn = 0, count = adze_tensor_elements(indices);
    for (size_t done = size, n; done < y->size && !adze_ops_is_late(run, turn++); done += n) {
        n = ADZE_MIN(ADZE_MIN(done, y->size - done), 16384); /* of what is there once more */
        memcpy((char *)y->data + done, y->data, n);
    }
    for (int64_t i = 0; i < count && !adze_ops_is_late(run, i); i++) {
        int64_t v = adze_tensor_get_i64(indices, i);
        v += v < 0 ? depth : 0;
        if (v >= 0 && v < depth)
            memcpy((char *)y->data + (size_t)((i / inner * depth + v) * inner + i % inner) * size,
                   on, size);
    }
    return ADZE_OK;
}

/* ---- ReverseSequence ---- */

static adze_status reverse_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *lengths = run->inputs[1];
    int64_t batch_axis = adze_node_int(run->node, "batch_axis", 1);
    int64_t time_axis = adze_node_int(run->node, "time_axis", 0);
    if (x->rank < 2 || (batch_axis != 0 && batch_axis != 1) || time_axis != 1 - batch_axis)
        return adze_ops_bad(run->node, err, "batch_axis and time_axis must be 0 and 1");
    if (adze_tensor_elements(lengths) != x->dims[batch_axis])
        return adze_ops_bad(run->node, err, "one length for each sequence");
    int64_t batches = x->dims[batch_axis], times = x->dims[time_axis];
    int64_t row = (int64_t)adze_ops_element(x->dtype);
    for (int i = 2; i < x->rank; i++)
        row *= x->dims[i];
    for (int64_t b = 0; b < batches; b++) {
        int64_t n = adze_tensor_get_i64(lengths, b);
        if (n < 0 || n > times)
            return bad_index(run, n, times, err);
        for (int64_t t = 0; t < times && !adze_ops_is_late(run, t); t++) {
            int64_t from = t < n ? n - 1 - t : t;
            int64_t source = batch_axis ? from * batches + b : b * times + from;
            int64_t target = batch_axis ? t * batches + b : b * times + t;
            memcpy((char *)run->outputs[0]->data + target * row,
                   (const char *)x->data + source * row, (size_t)row);
        }
    }
    return ADZE_OK;
}

#define ROW(text, version, in_min, in_max)                                                         \
    .domain = "", .name = text, .since = version, .min_inputs = in_min, .max_inputs = in_max,      \
    .min_outputs = 1, .max_outputs = 1, .cost = adze_ops_cost_move
#define MOVE .quant = ADZE_QUANT_MOVE, .prepare = adze_ops_prepare_move

const adze_op adze_ops_index[] = {
    {ROW("Gather", 1, 2, 2), MOVE, .attrs = "axis", .infer = gather_infer, .run = gather_run},
    {ROW("GatherElements", 11, 2, 2), MOVE, .attrs = "axis", .infer = elements_infer,
     .scratch = elements_scratch, .run = gather_elements_run},
    {ROW("GatherND", 11, 2, 2), MOVE, .attrs = "batch_dims", .infer = gather_nd_infer,
     .run = gather_nd_run},
    {ROW("ScatterElements", 11, 3, 3), .attrs = "axis reduction", .infer = adze_ops_infer_same,
     .prepare = scatter_prepare, .run = scatter_elements_run},
    {ROW("Scatter", 9, 3, 3), .attrs = "axis", .infer = adze_ops_infer_same,
     .prepare = scatter_prepare, .run = scatter_elements_run},
    {ROW("ScatterND", 11, 3, 3), .attrs = "reduction", .infer = adze_ops_infer_same,
     .prepare = scatter_prepare, .run = scatter_nd_run},
    {ROW("TensorScatter", 24, 2, 3), .attrs = "axis mode", .infer = adze_ops_infer_same,
     .prepare = adze_ops_prepare_move, .run = tensor_scatter_run},
    {ROW("NonZero", 9, 1, 1), .flags = ADZE_OP_DATA_SIZED, .attrs = "", .infer = non_zero_infer,
     .prepare = adze_ops_prepare_move, .run = non_zero_run},
    {ROW("Compress", 9, 2, 2), MOVE, .flags = ADZE_OP_DATA_SIZED, .attrs = "axis",
     .infer = compress_infer, .run = compress_run},
    {ROW("OneHot", 9, 3, 3), .attrs = "axis", .infer = one_hot_infer, .run = one_hot_run},
    {ROW("ReverseSequence", 10, 2, 2), MOVE, .attrs = "batch_axis time_axis",
     .infer = adze_ops_infer_move, .run = reverse_run},
    {.name = NULL},
};
