/* Softmax and LogSoftmax along any axis. Rows go to the kernels; another axis than the last is
 * brought last by a copy and back; narrow and quantized types pass through float32. */
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
    bytes = (bytes + 63) / 64 * 64;
    return (s.narrow ? bytes : 0) + (s.inner > 1 ? bytes : 0);
}

typedef struct softmax_job {
    softmax_shape s;
    const void *x;
    void *y;
    void (*row)(int64_t n, const float *x, float *y);
} softmax_job;

static void softmax_rows(void *user, int64_t begin, int64_t end, int worker)
{
    const softmax_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t i = begin; i < end; i++)
        job->row(job->s.length, (const float *)job->x + i * job->s.length,
                 (float *)job->y + i * job->s.length);
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
        for (int64_t i = 0; i < n; i++)
            sum += exp(x[i * inner] - largest);
        for (int64_t i = 0; i < n; i++) {
            double v = x[i * inner] - largest;
            y[i * inner] = job->s.log ? v - log(sum) : exp(v) / sum;
        }
    }
}

/* [outer, length, inner] <-> [outer, inner, length] */
static void swap_axes(adze_run *run, const softmax_shape *s, bool back, const void *x, void *y)
{
    int64_t plane = s->length * s->inner;
    adze_ops_layout l = {.rank = 3,
                         .dims = {s->outer, s->length, s->inner},
                         .from = {plane, back ? 1 : s->inner, back ? s->length : 1},
                         .to = {plane, back ? s->inner : 1, back ? 1 : s->length},
                         .size = sizeof(float),
                         .x = x,
                         .y = y};
    adze_ops_copy(run, &l);
}

static adze_status softmax_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    softmax_job job = {.s = shape_of(run), .x = x->data, .y = y->data};
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
    float *first = run->scratch, *turned = first;
    if (s->narrow) {
        adze_ops_load(run->kernels, x, 0, 1, total, first);
        job.x = job.y = first;
        turned = first + (total + 15) / 16 * 16;
    }
    void *result = job.y;
    if (s->inner > 1) {
        swap_axes(run, s, false, job.x, turned);
        job.x = job.y = turned;
    }
    adze_ops_parallel(run, lines, grain, softmax_rows, &job);
    if (s->inner > 1)
        swap_axes(run, s, true, turned, result);
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
