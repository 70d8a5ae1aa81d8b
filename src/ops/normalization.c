/* BatchNormalization, InstanceNormalization, GroupNormalization, LayerNormalization, RMSNormalization. All see
 * the tensor as [outer, middle, inner]; float32 rows go through kernels/rows.h where the layout allows, the rest
 * through plain loops in double. */
#include <math.h>

#include "ops/execute.h"
#include "ops/fused.h"
#include "ops/helpers.h"

static adze_status same_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_infer_input(infer, 0);
    adze_type y = *x;
    y.quant = NULL;
    if (x->rank >= 0)
        adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static void norm_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    cost->operations = 5.0 * (double)adze_tensor_elements(inputs[0]);
}

static adze_status float_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    if (adze_dtype_describe(x->dtype)->kind != ADZE_KIND_FLOAT)
        return adze_fail(err, ADZE_UNSUPPORTED, "element type %s",
                         adze_dtype_describe(x->dtype)->name);
    return ADZE_OK;
}

static const adze_tensor *optional(const adze_run *run, int i)
{
    return i < run->input_count ? run->inputs[i] : NULL;
}

/* Inputs from 1 on have one number for each channel. */
static adze_status channels_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_infer_input(infer, 0);
    ADZE_TRY(same_infer(infer, err));
    if (x->rank < 0)
        return ADZE_OK;
    if (x->rank < 2)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input of rank %d, expected at least 2",
                         adze_node_op(node), adze_node_name(node), x->rank);
    bool last = adze_node_int(node, ADZE_FUSED_CHANNELS_LAST, 0) != 0;
    adze_dim channels = x->dims[last ? x->rank - 1 : 1];
    for (int i = 1; i < adze_infer_input_count(infer); i++) {
        const adze_type *t = adze_infer_input(infer, i);
        if (!t || t->rank < 0)
            continue;
        if (t->rank != 1 || (t->dims[0] >= 0 && channels >= 0 && t->dims[0] != channels))
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is not of shape [%lld]",
                             adze_node_op(node), adze_node_name(node), i, (long long)channels);
    }
    return ADZE_OK;
}

/* ---- BatchNormalization ---- */

static adze_status batch_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(channels_infer(infer, err));
    for (int i = 1; i < 3 && i < adze_infer_output_count(infer); i++) {
        const adze_type *t = adze_infer_input(infer, 2 + i);
        if (t && t->rank >= 0)
            adze_infer_set(infer, i, t);
    }
    return ADZE_OK;
}

typedef struct batch_job {
    const adze_run *run;
    int64_t n, c, inner;
    bool last; /* channels last: [n * inner, c] */
    double epsilon;
    const adze_tensor *mean, *variance;
} batch_job;

static void batch_factors(const batch_job *j, int64_t c, float *a, float *b)
{
    double var = adze_tensor_get_f64(j->variance, c), mean = adze_tensor_get_f64(j->mean, c);
    double scale = adze_tensor_get_f64(j->run->inputs[1], c) / sqrt(var + j->epsilon);
    *a = (float)scale;
    *b = (float)(adze_tensor_get_f64(j->run->inputs[2], c) - mean * scale);
}

static void batch_channel(void *user, int64_t c, int worker)
{
    ADZE_UNUSED(worker);
    const batch_job *j = user;
    const adze_tensor *x = j->run->inputs[0];
    adze_tensor *y = j->run->outputs[0];
    float a, b;
    batch_factors(j, c, &a, &b);
    for (int64_t n = 0; n < j->n; n++) {
        int64_t at = j->last ? n * j->inner * j->c + c : (n * j->c + c) * j->inner;
        if (x->dtype == ADZE_F32) {
            j->run->kernels->eltwise.unary[ADZE_UNARY_LINEAR](j->inner, (const float *)x->data + at,
                                                              (float *)y->data + at, a, b);
            continue;
        }
        for (int64_t i = 0; i < j->inner; i++, at += j->last ? j->c : 1)
            adze_tensor_set_f64(y, at, adze_tensor_get_f64(x, at) * (double)a + (double)b);
    }
}

typedef struct batch_rows {
    const batch_job *job;
    float *a, *b; /* [c] */
} batch_rows;

/* Channels last: rows of channels, times and plus the factors of all. */
static void batch_range(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const batch_rows *r = user;
    const batch_job *j = r->job;
    const adze_binary_f32_fn mul = j->run->kernels->eltwise.binary[ADZE_BINARY_MUL][ADZE_FORM_VV];
    const adze_binary_f32_fn add = j->run->kernels->eltwise.binary[ADZE_BINARY_ADD][ADZE_FORM_VV];
    for (int64_t i = begin; i < end; i++) {
        float *y = (float *)j->run->outputs[0]->data + i * j->c;
        mul(j->c, (const float *)j->run->inputs[0]->data + i * j->c, r->a, y);
        add(j->c, y, r->b, y);
    }
}

static void batch_last(const batch_job *j, adze_run *run)
{
    batch_rows r = {j, run->scratch, (float *)run->scratch + j->c};
    for (int64_t c = 0; c < j->c; c++)
        batch_factors(j, c, &r.a[c], &r.b[c]);
    adze_ops_parallel(run, j->n * j->inner, ADZE_MAX(4096 / ADZE_MAX(j->c, 1), 1), batch_range, &r);
}

/* Mean and variance of the batch, and the running ones (opset 14, training_mode 1). */
static void batch_statistics(const batch_job *j, float *mean, float *variance)
{
    const adze_tensor *x = j->run->inputs[0];
    double momentum = (double)adze_node_float(j->run->node, "momentum", 0.9f);
    for (int64_t c = 0; c < j->c; c++) {
        double sum = 0, square = 0, count = (double)(j->n * j->inner);
        for (int64_t n = 0; n < j->n; n++)
            for (int64_t i = 0; i < j->inner && !adze_ops_is_late(j->run, i); i++)
                sum += adze_tensor_get_f64(x, (n * j->c + c) * j->inner + i);
        for (int64_t n = 0; n < j->n; n++)
            for (int64_t i = 0; i < j->inner && !adze_ops_is_late(j->run, i); i++) {
                double d = adze_tensor_get_f64(x, (n * j->c + c) * j->inner + i) - sum / count;
                square += d * d;
            }
        mean[c] = (float)(sum / count);
        variance[c] = (float)(square / count);
        for (int o = 1; o < j->run->output_count && o < 3; o++)
            if (j->run->outputs[o])
                adze_tensor_set_f64(j->run->outputs[o], c,
                                    adze_tensor_get_f64(j->run->inputs[2 + o], c) * momentum +
                                        (double)(o == 1 ? mean[c] : variance[c]) * (1 - momentum));
    }
}

static size_t batch_scratch(const adze_run *run)
{
    return (size_t)adze_tensor_elements(run->inputs[1]) * 2 * sizeof(float) + 64;
}

static adze_status batch_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    bool last = adze_node_int(run->node, ADZE_FUSED_CHANNELS_LAST, 0) != 0;
    batch_job j = {.run = run,
                   .n = x->dims[0],
                   .c = x->rank > 1 ? x->dims[last ? x->rank - 1 : 1] : 1,
                   .last = last,
                   .epsilon = (double)adze_node_float(run->node, "epsilon", 1e-5f),
                   .mean = run->inputs[3],
                   .variance = run->inputs[4]};
    j.inner = adze_tensor_elements(x) / ADZE_MAX(j.n * j.c, 1);
    adze_tensor mean, variance;
    if (adze_node_int(run->node, "training_mode", 0) && !last) {
        float *statistics = run->scratch;
        int64_t dims[1] = {j.c};
        batch_statistics(&j, statistics, statistics + j.c);
        mean = adze_tensor_view(ADZE_F32, 1, dims, statistics);
        variance = adze_tensor_view(ADZE_F32, 1, dims, statistics + j.c);
        j.mean = &mean;
        j.variance = &variance;
    }
    if (last && x->dtype == ADZE_F32)
        batch_last(&j, run);
    else
        adze_run_parallel(run, j.c, batch_channel, &j);
    return ADZE_OK;
}

/* ---- groups of contiguous elements, each normalised to mean 0, variance 1 ---- */

typedef struct group_job {
    const adze_run *run;
    int64_t size;      /* elements of a group */
    int64_t channels;  /* channels in one image */
    int64_t per_group; /* channels of a group */
    int64_t inner;     /* elements of a channel */
    double epsilon;
} group_job;

/* float32: the group as one row, then each channel its scale and shift. */
static void normalize_floats(const group_job *j, int64_t at, int64_t channel)
{
    const adze_kernels *k = j->run->kernels;
    const float *x = (const float *)j->run->inputs[0]->data + at;
    float *y = (float *)j->run->outputs[0]->data + at;
    k->rows.layer_norm(j->size, x, NULL, NULL, (float)j->epsilon, y);
    for (int64_t c = channel; c < channel + j->per_group; c++, y += j->inner)
        k->eltwise.unary[ADZE_UNARY_LINEAR](j->inner, y, y,
                                            (float)adze_tensor_get_f64(j->run->inputs[1], c),
                                            (float)adze_tensor_get_f64(j->run->inputs[2], c));
}

static void normalize_group(void *user, int64_t g, int worker)
{
    ADZE_UNUSED(worker);
    const group_job *j = user;
    const adze_tensor *x = j->run->inputs[0], *scale = j->run->inputs[1], *bias = j->run->inputs[2];
    int64_t at = g * j->size, channel = g * j->per_group % j->channels;
    if (x->dtype == ADZE_F32) {
        normalize_floats(j, at, channel);
        return;
    }
    double sum = 0, square = 0;
    for (int64_t i = 0; i < j->size && !adze_ops_is_late(j->run, i); i++)
        sum += adze_tensor_get_f64(x, at + i);
    double mean = sum / (double)j->size;
    for (int64_t i = 0; i < j->size && !adze_ops_is_late(j->run, i); i++) {
        double d = adze_tensor_get_f64(x, at + i) - mean;
        square += d * d;
    }
    double factor = 1 / sqrt(square / (double)j->size + j->epsilon);
    for (int64_t i = 0; i < j->size && !adze_ops_is_late(j->run, i); i++) {
        int64_t c = channel + i / j->inner;
        adze_tensor_set_f64(j->run->outputs[0], at + i,
                            (adze_tensor_get_f64(x, at + i) - mean) * factor *
                                    adze_tensor_get_f64(scale, c) +
                                adze_tensor_get_f64(bias, c));
    }
}

/* InstanceNormalization is one group a channel. */
static adze_status group_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int64_t images = x->dims[0], channels = x->dims[1];
    int64_t groups =
        adze_node_op(run->node)[0] == 'I' ? channels : adze_node_int(run->node, "num_groups", 1);
    if (groups < 1 || channels % groups != 0)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %lld channels in %lld groups",
                         adze_node_op(run->node), adze_node_name(run->node), (long long)channels,
                         (long long)groups);
    group_job j = {.run = run,
                   .channels = channels,
                   .per_group = channels / groups,
                   .inner = adze_ops_product(x->dims, 2, x->rank),
                   .epsilon = (double)adze_node_float(run->node, "epsilon", 1e-5f)};
    j.size = j.per_group * j.inner;
    if (j.size > 0)
        adze_run_parallel(run, images * groups, normalize_group, &j);
    return ADZE_OK;
}

/* ---- LayerNormalization, RMSNormalization ---- */

static int axis_of(const adze_node *node, int rank, int64_t otherwise)
{
    int64_t axis = adze_node_int(node, "axis", otherwise);
    axis = axis < 0 ? axis + rank : axis;
    return (int)(axis < 0 ? 0 : axis > rank ? rank : axis);
}

static adze_status layer_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(same_infer(infer, err));
    const adze_node *node = adze_infer_node(infer);
    adze_type t = *adze_infer_input(infer, 0);
    if (t.rank < 0)
        return ADZE_OK;
    for (int i = axis_of(node, t.rank, -1); i < t.rank; i++)
        t.dims[i] = 1;
    t.dtype = adze_dtype_from_onnx((int)adze_node_int(node, "stash_type", 1));
    t.quant = NULL;
    if (adze_dtype_describe(t.dtype)->kind != ADZE_KIND_FLOAT)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': stash_type is no float type",
                         adze_node_op(node), adze_node_name(node));
    adze_infer_set(infer, 1, &t);
    adze_infer_set(infer, 2, &t);
    return ADZE_OK;
}

typedef struct layer_job {
    const adze_run *run;
    int64_t n; /* elements of a row */
    bool rms;
    bool spread[3]; /* input i broadcasts to x in another way than as its last axes */
    float epsilon;
} layer_job;

static bool is_spread(const adze_tensor *t, const adze_tensor *x)
{
    bool last = true;
    int i = x->rank - 1, k = t ? t->rank - 1 : -1, rest;
    for (; k >= 0 && i >= 0 && t->dims[k] == x->dims[i]; k--)
        i--;
    for (rest = k; rest >= 0; rest--)
        last = last && t->dims[rest] == 1;
    for (; k >= 0 && i >= 0 && (t->dims[k] == 1 || t->dims[k] == x->dims[i]); k--)
        i--;
    return !last && k < 0;
}

/* Input i at an element of x. */
static double parameter(const layer_job *j, int i, int64_t at, double otherwise)
{
    const adze_tensor *t = optional(j->run, i), *x = j->run->inputs[0];
    int64_t n = t ? adze_tensor_elements(t) : 0, index = 0, step = 1;
    if (n < 1)
        return otherwise;
    if (!j->spread[i])
        return adze_tensor_get_f64(t, at % n);
    for (int a = x->rank - 1, k = t->rank - 1; k >= 0; k--, a--) {
        index += t->dims[k] == 1 ? 0 : at % x->dims[a] * step;
        step *= t->dims[k];
        at /= x->dims[a];
    }
    return adze_tensor_get_f64(t, index);
}

static void layer_plain(const layer_job *j, int64_t row)
{
    const adze_tensor *x = j->run->inputs[0];
    double sum = 0, square = 0;
    int64_t at = row * j->n;
    for (int64_t i = 0; i < j->n && !j->rms && !adze_ops_is_late(j->run, i); i++)
        sum += adze_tensor_get_f64(x, at + i);
    double mean = sum / (double)j->n;
    for (int64_t i = 0; i < j->n && !adze_ops_is_late(j->run, i); i++) {
        double d = adze_tensor_get_f64(x, at + i) - mean;
        square += d * d;
    }
    double factor = 1 / sqrt(square / (double)j->n + (double)j->epsilon);
    for (int64_t i = 0; i < j->n && !adze_ops_is_late(j->run, i); i++)
        adze_tensor_set_f64(j->run->outputs[0], at + i,
                            (adze_tensor_get_f64(x, at + i) - mean) * factor *
                                    parameter(j, 1, at + i, 1) +
                                (j->rms ? 0 : parameter(j, 2, at + i, 0)));
    if (j->run->output_count > 1 && j->run->outputs[1])
        adze_tensor_set_f64(j->run->outputs[1], row, mean);
    if (j->run->output_count > 2 && j->run->outputs[2])
        adze_tensor_set_f64(j->run->outputs[2], row, factor);
}

static bool is_row(const adze_tensor *t, int64_t n)
{
    return !t || (t->dtype == ADZE_F32 && adze_tensor_elements(t) == n);
}

static void layer_row(void *user, int64_t row, int worker)
{
    ADZE_UNUSED(worker);
    const layer_job *j = user;
    const adze_tensor *x = j->run->inputs[0], *scale = j->run->inputs[1];
    const adze_tensor *bias = j->rms ? NULL : optional(j->run, 2);
    bool only = j->run->output_count < 2 || (!j->run->outputs[1] && j->run->output_count < 3);
    if (x->dtype != ADZE_F32 || !only || j->spread[1] || j->spread[2] || !is_row(scale, j->n) ||
        !is_row(bias, j->n)) {
        layer_plain(j, row);
        return;
    }
    const float *from = (const float *)x->data + row * j->n;
    float *to = (float *)j->run->outputs[0]->data + row * j->n;
    if (j->rms)
        j->run->kernels->rows.rms_norm(j->n, from, scale->data, j->epsilon, to);
    else
        j->run->kernels->rows.layer_norm(j->n, from, scale->data, bias ? bias->data : NULL,
                                         j->epsilon, to);
}

static adze_status layer_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    int axis = axis_of(run->node, x->rank, -1);
    layer_job j = {.run = run,
                   .n = adze_ops_product(x->dims, axis, x->rank),
                   .rms = adze_node_op(run->node)[0] == 'R',
                   .spread = {false, is_spread(run->inputs[1], x), is_spread(optional(run, 2), x)},
                   .epsilon = adze_node_float(run->node, "epsilon", 1e-5f)};
    if (j.n > 0)
        adze_run_parallel(run, adze_ops_product(x->dims, 0, axis), layer_row, &j);
    return ADZE_OK;
}

#define NORM_ROW(op_name, first, least, most, outputs, attr_names, infer_fn, scratch_fn, run_fn)   \
    {                                                                                              \
        .name = op_name, .domain = "", .since = first, .min_inputs = least, .max_inputs = most,    \
        .min_outputs = 1, .max_outputs = outputs, .attrs = attr_names, .infer = infer_fn,          \
        .cost = norm_cost, .prepare = float_prepare, .scratch = scratch_fn, .run = run_fn          \
    }

const adze_op adze_ops_normalization[] = {
    NORM_ROW("BatchNormalization", 9, 5, 5, 3, "epsilon momentum training_mode", batch_infer,
             batch_scratch, batch_run),
    NORM_ROW("InstanceNormalization", 6, 3, 3, 1, "epsilon", channels_infer, NULL, group_run),
    NORM_ROW("GroupNormalization", 21, 3, 3, 1, "epsilon num_groups stash_type", channels_infer,
             NULL, group_run),
    NORM_ROW("LayerNormalization", 17, 2, 3, 3, "axis epsilon stash_type", layer_infer, NULL,
             layer_run),
    NORM_ROW("RMSNormalization", 23, 2, 2, 1, "axis epsilon stash_type", same_infer, NULL,
             layer_run),
    {0},
};
