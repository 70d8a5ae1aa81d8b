/* Softmax and LogSoftmax along any axis. Rows go to the kernels; along another axis than the last, many
 * rows are computed side by side; narrow and quantized types pass through float32. */
#include <math.h>
#include <string.h>
#include "ops/helpers.h"

typedef struct softmax_shape {
    int64_t outer, length, inner;
    bool narrow; /* float16, bfloat16, quantized */
    bool log;
} softmax_shape;

static softmax_shape shape_of(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    int64_t axis = adze_node_int(run->node, "axis", -1);
    axis += axis < 0 ? x->rank : 0;
    softmax_shape s = {1, 1, 1, x->dtype != ADZE_F32 && x->dtype != ADZE_F64,
                       strcmp(adze_node_op(run->node), "LogSoftmax") == 0};
    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &s.outer : i > axis ? &s.inner : &s.length) *= x->dims[i];
    return s;
}

static size_t softmax_scratch(const adze_run *run)
{
    softmax_shape s = shape_of(run);
    size_t bytes = (size_t)ADZE_MAX(adze_tensor_elements(run->inputs[0]), 0) * sizeof(float);
    return s.narrow ? (bytes + 63) / 64 * 64 : 0;
}

enum { CHUNK = 1024 }; /* elements of short rows */

typedef struct softmax_job {
    const adze_run *run;
    softmax_shape s;
    const void *x;
    void *y;
    void (*row)(int64_t n, const float *x, float *y);
    const adze_eltwise_table *elements;
    float (*const *reduce)(int64_t n, const float *x);
} softmax_job;

/* Short rows, several at once: e^x of all their elements is one call. The same operations as the kernels'. */
static void softmax_short(const softmax_job *job, int64_t rows, const float *x, float *y)
{
    const adze_binary_f32_fn sub = job->elements->binary[ADZE_BINARY_SUB][ADZE_FORM_VS];
    const adze_binary_f32_fn mul = job->elements->binary[ADZE_BINARY_MUL][ADZE_FORM_VS];
    const adze_unary_f32_fn *unary = job->elements->unary;
    int64_t n = job->s.length;
    float e[CHUNK], *powers = job->s.log ? e : y;
    for (int64_t r = 0; r < rows; r++) {
        float most = job->reduce[ADZE_REDUCE_MAX](n, x + r * n);
        sub(n, x + r * n, &most, y + r * n);
    }
    unary[ADZE_UNARY_EXP](rows * n, y, powers, 0, 0);
    for (int64_t r = 0; r < rows; r++) {
        float sum = job->reduce[ADZE_REDUCE_SUM](n, powers + r * n), scale = 1 / sum;
        if (job->s.log) {
            unary[ADZE_UNARY_LOG](1, &sum, &sum, 0, 0);
            sub(n, y + r * n, &sum, y + r * n);
        } else {
            mul(n, y + r * n, &scale, y + r * n);
        }
    }
}

static void softmax_rows(void *user, int64_t begin, int64_t end, int worker)
{
    const softmax_job *job = user;
    ADZE_UNUSED(worker);
    int64_t n = job->s.length;
    for (int64_t i = begin, rows; i < end; i += rows) {
        const float *x = (const float *)job->x + i * n;
        float *y = (float *)job->y + i * n;
        rows = ADZE_MIN(end - i, ADZE_MAX(1, CHUNK / n));
        if (n <= CHUNK)
            softmax_short(job, rows, x, y);
        else
            job->row(n, x, y);
    }
}

/* float64, any axis. */
static void softmax_lines_f64(void *user, int64_t begin, int64_t end, int worker)
{
    const softmax_job *job = user;
    ADZE_UNUSED(worker);
    int64_t inner = job->s.inner, n = job->s.length;
    for (int64_t line = begin; line < end; line++) {
        int64_t first = line / inner * inner * n + line % inner;
        const double *x = (const double *)job->x + first;
        double *y = (double *)job->y + first, largest = -(double)INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++)
            largest = fmax(largest, x[i * inner]);
        for (int64_t i = 0; i < n && !adze_ops_is_late(job->run, i); i++)
            sum += exp(x[i * inner] - largest);
        for (int64_t i = 0; i < n && !adze_ops_is_late(job->run, i); i++) {
            double v = x[i * inner] - largest;
            y[i * inner] = job->s.log ? v - log(sum) : exp(v) / sum;
        }
    }
}

enum { SIDE_BY_SIDE = 512 };

/* n neighbours of [length, inner]: the largest, the sum, the quotients of all of them at a time. */
static void softmax_columns(const softmax_job *job, int64_t n, const float *x, float *y)
{
    const adze_eltwise_table *e = job->elements;
    const adze_binary_f32_fn max = e->binary[ADZE_BINARY_MAX][ADZE_FORM_VV],
                             add = e->binary[ADZE_BINARY_ADD][ADZE_FORM_VV],
                             sub = e->binary[ADZE_BINARY_SUB][ADZE_FORM_VV],
                             div = e->binary[ADZE_BINARY_DIV][ADZE_FORM_VV];
    float largest[SIDE_BY_SIDE], sum[SIDE_BY_SIDE], power[SIDE_BY_SIDE];
    int64_t step = job->s.inner, end = job->s.length * step;
    memcpy(largest, x, (size_t)n * sizeof *x);
    for (int64_t i = step; i < end; i += step)
        max(n, largest, x + i, largest);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < end; i += step) {
        sub(n, x + i, largest, y + i);
        e->unary[ADZE_UNARY_EXP](n, y + i, power, 0, 0);
        add(n, sum, power, sum);
        if (!job->s.log)
            memcpy(y + i, power, (size_t)n * sizeof *y);
    }
    if (job->s.log)
        e->unary[ADZE_UNARY_LOG](n, sum, sum, 0, 0);
    for (int64_t i = 0; i < end; i += step)
        (job->s.log ? sub : div)(n, y + i, sum, y + i);
}

/* Pieces of SIDE_BY_SIDE neighbours of [outer, length, inner]. */
static void softmax_pieces(void *user, int64_t begin, int64_t end, int worker)
{
    const softmax_job *job = user;
    ADZE_UNUSED(worker);
    int64_t inner = job->s.inner, each = (inner + SIDE_BY_SIDE - 1) / SIDE_BY_SIDE;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t first = piece % each * SIDE_BY_SIDE,
                at = piece / each * job->s.length * inner + first;
        softmax_columns(job, ADZE_MIN(SIDE_BY_SIDE, inner - first), (const float *)job->x + at,
                        (float *)job->y + at);
    }
}

static adze_status softmax_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    softmax_job job = {.run = run,
                       .s = shape_of(run),
                       .x = x->data,
                       .y = y->data,
                       .elements = &run->kernels->eltwise,
                       .reduce = run->kernels->rows.reduce};
    const softmax_shape *s = &job.s;
    const adze_rows_table *rows = &run->kernels->rows;
    int64_t total = adze_tensor_elements(x);
    job.row = s->log ? rows->log_softmax : rows->softmax;
    int64_t grain = ADZE_MAX(1, 8192 / ADZE_MAX(1, s->length)), lines = s->outer * s->inner;
    if (total == 0)
        return ADZE_OK;
    if (x->dtype == ADZE_F64) {
        adze_ops_parallel(run, lines, grain, softmax_lines_f64, &job);
        return ADZE_OK;
    }
    float *first = run->scratch;
    if (s->narrow) {
        adze_ops_load(run->kernels, x, 0, 1, total, first);
        job.x = job.y = first;
    }
    if (s->inner > 1)
        adze_ops_parallel(run, s->outer * ((s->inner + SIDE_BY_SIDE - 1) / SIDE_BY_SIDE),
                          ADZE_MAX(1, 16 / ADZE_MAX(1, s->length)), softmax_pieces, &job);
    else
        adze_ops_parallel(run, lines, grain, softmax_rows, &job);
    if (s->narrow)
        adze_ops_store(run->kernels, first, total, y, 0);
    return ADZE_OK;
}

static adze_status softmax_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    int axis;
    if (x && x->rank > 0)
        ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", -1), x->rank, err));
    return adze_ops_infer_same(infer, err);
}

static adze_status softmax_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    return adze_ops_can_load(x) ? ADZE_OK
                                : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

static void softmax_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                         const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 20 * (double)adze_tensor_elements(outputs[0]);
}

#define SOFTMAX(text)                                                                              \
    {                                                                                              \
        .domain = "", .name = text, .since = 13, .min_inputs = 1, .max_inputs = 1,                 \
        .min_outputs = 1, .max_outputs = 1, .flags = ADZE_OP_INPLACE, .quant = ADZE_QUANT_COMPUTE, \
        .attrs = "axis", .infer = softmax_infer, .cost = softmax_cost, .prepare = softmax_prepare, \
        .scratch = softmax_scratch, .run = softmax_run                                             \
    }

const adze_op adze_ops_softmax[] = {
    SOFTMAX("Softmax"),
    SOFTMAX("LogSoftmax"),
    {.name = NULL},
};
