/* Reductions. The axes to reduce are brought last (one strided copy when they are not), then
 * every output element is the reduction of one row. One reduced run of axes before kept ones,
 * which is what pooling in channels-last order looks like, needs no copy: the pooling kernels do
 * it. */
#include <math.h>
#include <string.h>
#include "ops/helpers.h"
#include "tensor/dtype.h"

/* ---- inference ---- */

typedef struct reduce_spec {
    adze_reduce op;
} reduce_spec;

static adze_reduce op_of(const adze_node *node)
{
    return ((const reduce_spec *)adze_node_operator(node)->user)->op;
}

/* Marks the axes to reduce. */
static adze_status mark_axes(bool *reduced, const adze_node *node, const int64_t *axes, int count,
                             int rank, adze_error *err)
{
    int list[ADZE_MAX_RANK];
    bool all = count == 0 && adze_node_int(node, "noop_with_empty_axes", 0) == 0;
    for (int i = 0; i < rank; i++)
        reduced[i] = all;
    if (count > rank)
        return adze_ops_bad(node, err, "more axes than the rank");
    ADZE_TRY(adze_ops_axes(list, node, axes, count, rank, err));
    for (int i = 0; i < count; i++)
        reduced[list[i]] = true;
    return ADZE_OK;
}

static void infer_known(adze_infer *infer, adze_reduce op)
{
    static const adze_dim_kind kinds[ADZE_REDUCE_COUNT] = {[ADZE_REDUCE_SUM] = ADZE_DIM_ADD,
                                                           [ADZE_REDUCE_PROD] = ADZE_DIM_MUL,
                                                           [ADZE_REDUCE_MAX] = ADZE_DIM_MAX,
                                                           [ADZE_REDUCE_MIN] = ADZE_DIM_MIN};
    adze_dim values[ADZE_OPS_MAX_INTS];
    int n = adze_ops_ints(infer, 0, values, ADZE_OPS_MAX_INTS);
    if (n < 1 || kinds[op] == 0)
        return;
    for (int i = 1; i < n; i++)
        if (!adze_ops_dim_op(infer, kinds[op], values[0], values[i], &values[0]))
            return;
    adze_ops_set_ints(infer, 0, values, 1);
}

static adze_status reduce_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int64_t axes[ADZE_MAX_RANK];
    bool given = adze_infer_input_count(infer) > 1 && adze_infer_input(infer, 1);
    bool keep = adze_node_int(node, "keepdims", 1) != 0, reduced[ADZE_MAX_RANK];
    int count = given ? adze_ops_numbers(infer, 1, axes, ADZE_MAX_RANK) : 0;
    adze_type y = adze_ops_real(x);
    if (count < 0) {
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = adze_infer_unknown(infer, INT64_MAX);
        if (keep)
            adze_infer_set(infer, 0, &y);
        return ADZE_OK;
    }
    ADZE_TRY(mark_axes(reduced, node, axes, count, x->rank, err));
    y.rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!reduced[i] || keep)
            y.dims[y.rank++] = reduced[i] ? 1 : x->dims[i];
    adze_infer_set(infer, 0, &y);
    if (x->rank == 1 && reduced[0] && (x->dtype == ADZE_I64 || x->dtype == ADZE_I32))
        infer_known(infer, op_of(node));
    return ADZE_OK;
}

/* ---- shape of the work ---- */

/* The tensor as [outer, length, inner], length reduced; or not of that form (`copy`): then brought
 * into [outer, length] by a copy. */
typedef struct reduce_shape {
    int64_t outer, length, inner;
    bool copy;
    adze_ops_layout layout; /* of the copy, pointers not set */
} reduce_shape;

static void plan_copy(reduce_shape *s, const adze_tensor *x, const bool *reduced)
{
    int64_t strides[ADZE_MAX_RANK], to = 1;
    adze_ops_strides(x->rank, x->dims, strides);
    adze_ops_layout *l = &s->layout;
    l->rank = x->rank;
    for (int pass = 1; pass >= 0; pass--) { /* reduced axes are the fastest */
        for (int i = x->rank - 1; i >= 0; i--) {
            if (reduced[i] != (pass == 1))
                continue;
            l->dims[i] = x->dims[i];
            l->from[i] = strides[i];
            l->to[i] = to;
            to *= x->dims[i];
        }
    }
}

static adze_status plan_shape(reduce_shape *s, const adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *a = adze_ops_input(run, 1);
    int64_t axes[ADZE_MAX_RANK];
    bool reduced[ADZE_MAX_RANK];
    int count = a && a->data ? adze_ops_tensor_ints(a, axes, ADZE_MAX_RANK) : 0;
    if (count < 0)
        return adze_ops_bad(run->node, err, "more axes than the rank");
    ADZE_TRY(mark_axes(reduced, run->node, axes, count, x->rank, err));
    *s = (reduce_shape){1, 1, 1, false, {0}};
    int changes = 0;
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] == 1)
            continue;
        if (reduced[i]) {
            changes += s->length == 1 || s->inner > 1;
            s->length *= x->dims[i];
        } else if (s->length == 1) {
            s->outer *= x->dims[i];
        } else {
            s->inner *= x->dims[i];
        }
    }
    s->copy = changes > 1;
    if (s->copy) {
        s->outer *= s->inner;
        s->inner = 1;
        plan_copy(s, x, reduced);
    }
    return ADZE_OK;
}

static bool column_kernel(adze_reduce op)
{
    return op == ADZE_REDUCE_SUM || op == ADZE_REDUCE_MEAN || op == ADZE_REDUCE_MAX;
}

static bool is_narrow(const adze_tensor *x)
{
    return x->quant || x->dtype == ADZE_F16 || x->dtype == ADZE_BF16;
}

/* Worst case: a copy of the input; for narrow types the input and the output as float32 behind
 * it. */
static size_t reduce_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    size_t n = (size_t)ADZE_MAX(adze_tensor_elements(x), 0);
    size_t outputs = (size_t)ADZE_MAX(adze_tensor_elements(run->outputs[0]), 0);
    size_t size = ADZE_MAX(sizeof(float), adze_ops_element(x->dtype));
    size_t narrow = adze_ops_round64(n * sizeof(float)) + adze_ops_round64(outputs * sizeof(float));
    return adze_ops_round64(n * size) + (is_narrow(x) ? narrow : 0);
}

/* ---- rows of the types without kernels ---- */

static double finish_f64(adze_reduce op, double sum, int64_t n)
{
    switch (op) {
    case ADZE_REDUCE_MEAN: return sum / (double)n;
    case ADZE_REDUCE_L2: return sqrt(sum);
    case ADZE_REDUCE_LOG_SUM: return log(sum);
    default: return sum;
    }
}

static double start_f64(adze_reduce op)
{
    return op == ADZE_REDUCE_MAX    ? -(double)INFINITY
           : op == ADZE_REDUCE_MIN  ? (double)INFINITY
           : op == ADZE_REDUCE_PROD ? 1
                                    : 0;
}

static double step_f64(adze_reduce op, double sum, double v)
{
    switch (op) {
    case ADZE_REDUCE_MAX: return v > sum || isnan(v) ? v : sum;
    case ADZE_REDUCE_MIN: return v < sum || isnan(v) ? v : sum;
    case ADZE_REDUCE_PROD: return sum * v;
    case ADZE_REDUCE_SUM_SQUARE:
    case ADZE_REDUCE_L2: return sum + v * v;
    case ADZE_REDUCE_L1: return sum + fabs(v);
    default: return sum + v;
    }
}

/* Any type in double precision: float64, and functions of integers that are not integer. */
static double row_f64(const adze_run *run, adze_reduce op, const adze_tensor *x, int64_t first,
                      int64_t n, int64_t step)
{
    double sum = start_f64(op), largest = -(double)INFINITY;
    if (op == ADZE_REDUCE_LOG_SUM_EXP) {
        for (int64_t i = 0; i < n && !adze_ops_is_late(run, i); i++)
            largest = fmax(largest, adze_ops_get(x, first + i * step));
        double shift = isinf(largest) ? 0 : largest;
        for (int64_t i = 0; i < n && !adze_ops_is_late(run, i); i++)
            sum += exp(adze_ops_get(x, first + i * step) - shift);
        return log(sum) + shift;
    }
    bool sums = op == ADZE_REDUCE_SUM || op == ADZE_REDUCE_MEAN || op == ADZE_REDUCE_LOG_SUM;
    for (int64_t i = 0; i < n && sums && !adze_ops_is_late(run, i); i++)
        sum += adze_ops_get(x, first + i * step);
    for (int64_t i = 0; i < n && !sums && !adze_ops_is_late(run, i); i++)
        sum = step_f64(op, sum, adze_ops_get(x, first + i * step));
    return finish_f64(op, sum, n);
}

static bool integer_result(adze_reduce op)
{
    return op != ADZE_REDUCE_L2 && op != ADZE_REDUCE_LOG_SUM && op != ADZE_REDUCE_LOG_SUM_EXP;
}

#define INTEGER_ROW(name, T)                                                                       \
    static void row_##name(adze_reduce op, const T *x, int64_t n, int64_t step, T *y)              \
    {                                                                                              \
        const bool is_signed = (T)-1 < (T)1;                                                       \
        const bool sums = op == ADZE_REDUCE_SUM || op == ADZE_REDUCE_MEAN;                         \
        uint64_t sum = op == ADZE_REDUCE_PROD ? 1 : 0;                                             \
        const T least = is_signed ? (T)((uint64_t)1 << (8 * sizeof(T) - 1)) : 0;                   \
        T best = n > 0 ? x[0] : op == ADZE_REDUCE_MAX ? least : (T)~least;                         \
        for (int64_t i = 0; i < n && sums && step == 1; i++)                                       \
            sum += (uint64_t)x[i];                                                                 \
        for (int64_t i = 0; i < n && sums && step != 1; i++)                                       \
            sum += (uint64_t)x[i * step];                                                          \
        for (int64_t i = 0; i < n && op == ADZE_REDUCE_MAX; i++)                                   \
            best = x[i * step] > best ? x[i * step] : best;                                        \
        for (int64_t i = 0; i < n && op == ADZE_REDUCE_MIN; i++)                                   \
            best = x[i * step] < best ? x[i * step] : best;                                        \
        const bool extreme = op == ADZE_REDUCE_MAX || op == ADZE_REDUCE_MIN;                       \
        for (int64_t i = 0; i < n && !sums && !extreme; i++) {                                     \
            uint64_t w = (uint64_t)x[i * step];                                                    \
            if (op == ADZE_REDUCE_L1 && is_signed && (int64_t)w < 0)                               \
                w = 0 - w;                                                                         \
            if (op == ADZE_REDUCE_SUM_SQUARE)                                                      \
                w *= w;                                                                            \
            sum = op == ADZE_REDUCE_PROD ? sum * w : sum + w;                                      \
        }                                                                                          \
        if (op == ADZE_REDUCE_MEAN && n > 0)                                                       \
            sum = is_signed ? (uint64_t)((int64_t)sum / n) : sum / (uint64_t)n;                    \
        *y = extreme ? best : (T)sum;                                                              \
    }
ADZE_OPS_INT_LIST(INTEGER_ROW)

static void row_any(const adze_run *run, adze_reduce op, const adze_tensor *x, int64_t first,
                    int64_t n, int64_t step, adze_tensor *y, int64_t at)
{
    if (integer_result(op)) {
        switch (x->dtype) {
#define X(name, T)                                                                                 \
    case ADZE_##name:                                                                              \
        row_##name(op, (const T *)x->data + first, n, step, (T *)y->data + at);                    \
        return;
            ADZE_OPS_INT_LIST(X)
        case ADZE_BOOL:
            row_U8(op, (const uint8_t *)x->data + first, n, step, (uint8_t *)y->data + at);
            ((uint8_t *)y->data)[at] &= 1;
            return;
#undef X
        default: break;
        }
    }
    double value =
        row_f64(run, op, x, first, n, step); /* integers: cast, as the standard's body does */
    adze_tensor_set_f64(y, at, adze_ops_is_float(y->dtype) ? value : trunc(value));
}

/* ---- execution ---- */

typedef struct reduce_job {
    const adze_run *run;
    const adze_kernels *kernels;
    adze_reduce op;
    reduce_shape s;
    adze_tensor x, y;
    adze_global_pool_q8_args q8;
} reduce_job;

static void rows_f32(void *user, int64_t begin, int64_t end, int worker)
{
    const reduce_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t i = begin; i < end; i++)
        ((float *)job->y.data)[i] = job->kernels->rows.reduce[job->op](
            job->s.length, (const float *)job->x.data + i * job->s.length);
}

static void columns_f32(void *user, int64_t begin, int64_t end, int worker)
{
    const reduce_job *job = user;
    const adze_pool_table *k = &job->kernels->pool;
    ADZE_UNUSED(worker);
    int64_t inner = job->s.inner, plane = inner * job->s.length;
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)job->x.data + i * plane;
        float *y = (float *)job->y.data + i * inner;
        if (job->op == ADZE_REDUCE_MEAN)
            k->global_average_f32(job->s.length, inner, x, inner, y);
        else if (job->op == ADZE_REDUCE_SUM)
            k->global_sum_f32(job->s.length, inner, x, inner, y);
        else
            k->global_max_f32(job->s.length, inner, x, inner, y);
    }
}

static void columns_q8(void *user, int64_t begin, int64_t end, int worker)
{
    const reduce_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t i = begin; i < end; i++) {
        adze_global_pool_q8_args args = job->q8;
        args.x = (const uint8_t *)job->x.data + i * args.hw * args.c;
        args.y = (uint8_t *)job->y.data + i * args.c;
        job->kernels->pool.global_average_q8(&args);
    }
}

static void any_rows(void *user, int64_t begin, int64_t end, int worker)
{
    reduce_job *job = user;
    ADZE_UNUSED(worker);
    int64_t inner = job->s.inner;
    for (int64_t i = begin; i < end; i++)
        row_any(job->run, job->op, &job->x, i / inner * inner * job->s.length + i % inner,
                job->s.length, inner, &job->y, i);
}

static void bring_axes_last(adze_run *run, reduce_job *job, void *buffer)
{
    adze_ops_layout l = job->s.layout;
    l.size = adze_ops_element(job->x.dtype);
    l.x = job->x.data;
    l.y = buffer;
    adze_ops_copy(run, &l);
    job->x.data = buffer;
}

/* One row each where the axis is last; columns where kernels do them; else a transposition. */
static void reduce_f32(adze_run *run, reduce_job *job, char *scratch)
{
    reduce_shape *s = &job->s;
    if (s->length > 0 && s->inner > 1 && !s->copy && column_kernel(job->op)) {
        adze_ops_parallel(run, s->outer, ADZE_MAX(1, 65536 / (s->length * s->inner)), columns_f32,
                          job);
        return;
    }
    if (s->inner > 1 && !s->copy) {
        int64_t dims[3] = {s->outer, s->length, s->inner};
        s->layout = (adze_ops_layout){.rank = 3,
                                      .from = {dims[1] * dims[2], dims[2], 1},
                                      .to = {dims[1] * dims[2], 1, dims[1]}};
        memcpy(s->layout.dims, dims, sizeof dims);
        s->copy = true;
        s->outer *= s->inner;
        s->inner = 1;
    }
    if (s->copy)
        bring_axes_last(run, job, scratch);
    adze_ops_parallel(run, s->outer, ADZE_MAX(1, 16384 / ADZE_MAX(1, s->length)), rows_f32, job);
}

static bool mean_q8(adze_run *run, reduce_job *job)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    if (job->op != ADZE_REDUCE_MEAN || job->s.copy || !adze_ops_is_q8(x) || !adze_ops_is_q8(y) ||
        job->s.length < 1 || job->s.length > 1 << 23)
        return false;
    job->q8 = (adze_global_pool_q8_args){.hw = job->s.length,
                                         .c = job->s.inner,
                                         .ldx = job->s.inner,
                                         .x_signed = x->dtype == ADZE_I8,
                                         .x_zero = adze_ops_zero_point(x),
                                         .y_zero = adze_ops_zero_point(y),
                                         .lo = y->dtype == ADZE_I8 ? -128 : 0,
                                         .hi = y->dtype == ADZE_I8 ? 127 : 255,
                                         .scale = x->quant->scale[0] / y->quant->scale[0]};
    adze_ops_parallel(run, job->s.outer, ADZE_MAX(1, 65536 / (job->s.length * job->s.inner)),
                      columns_q8, job);
    return true;
}

static adze_status reduce_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    reduce_job job = {
        .run = run, .kernels = run->kernels, .op = op_of(run->node), .x = *x, .y = *y};
    ADZE_TRY(plan_shape(&job.s, run, err));
    if (mean_q8(run, &job))
        return ADZE_OK;
    char *scratch = run->scratch;
    int64_t n = adze_tensor_elements(x), outputs = adze_tensor_elements(y);
    size_t part = adze_ops_round64((size_t)n * sizeof(float));
    if (outputs == 0) /* some axis that stays is empty */
        return ADZE_OK;
    if (is_narrow(x)) {
        adze_ops_load(run->kernels, x, 0, 1, n, (float *)(void *)(scratch + part));
        job.x = adze_tensor_view(ADZE_F32, x->rank, x->dims, scratch + part);
        job.y = adze_tensor_view(ADZE_F32, y->rank, y->dims, scratch + 2 * part);
        reduce_f32(run, &job, scratch);
        adze_ops_store(run->kernels, job.y.data, outputs, y, 0);
        return ADZE_OK;
    }
    if (x->dtype == ADZE_F32) {
        reduce_f32(run, &job, scratch);
        return ADZE_OK;
    }
    if (job.s.copy)
        bring_axes_last(run, &job, scratch);
    adze_ops_parallel(run, outputs, ADZE_MAX(1, 4096 / ADZE_MAX(1, job.s.length)), any_rows, &job);
    return ADZE_OK;
}

static adze_status reduce_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    bool ok = adze_ops_can_load(x) ||
              (!x->quant && adze_ops_element(x->dtype) &&
               (kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT || kind == ADZE_KIND_BOOL));
    return ok ? ADZE_OK : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

static void reduce_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    cost->operations = (double)adze_tensor_elements(inputs[0]);
}

#define REDUCE(text, version, kernel)                                                              \
    {                                                                                              \
        .domain = "", .name = text, .since = version, .min_inputs = 1, .max_inputs = 2,            \
        .min_outputs = 1, .max_outputs = 1, .quant = ADZE_QUANT_COMPUTE,                           \
        .attrs = "keepdims noop_with_empty_axes", .infer = reduce_infer, .cost = reduce_cost,      \
        .prepare = reduce_prepare, .scratch = reduce_scratch, .run = reduce_run,                   \
        .user = (void *)&(const reduce_spec)                                                       \
        {                                                                                          \
            ADZE_REDUCE_##kernel                                                                   \
        }                                                                                          \
    }

const adze_op adze_ops_reduction[] = {
    REDUCE("ReduceSum", 13, SUM),
    REDUCE("ReduceMean", 18, MEAN),
    REDUCE("ReduceMax", 18, MAX),
    REDUCE("ReduceMin", 18, MIN),
    REDUCE("ReduceProd", 18, PROD),
    REDUCE("ReduceSumSquare", 18, SUM_SQUARE),
    REDUCE("ReduceL1", 18, L1),
    REDUCE("ReduceL2", 18, L2),
    REDUCE("ReduceLogSum", 18, LOG_SUM),
    REDUCE("ReduceLogSumExp", 18, LOG_SUM_EXP),
    {.name = NULL},
};
