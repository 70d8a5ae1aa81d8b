/* Signals: DFT, STFT, the windows, MelWeightMatrix. A complex signal has real and imaginary parts in its
 * last axis. All is computed in double precision, except transforms of complex float32. */
#include <math.h>
#include <string.h>

#include "ops/fourier.h"
#include "ops/helpers.h"

#define PI 3.14159265358979323846

/* Input i as one number, or a symbol; false: absent or not known. */
static bool one_number(const adze_infer *infer, int i, adze_dim *out)
{
    return adze_ops_ints(infer, i, out, 1) == 1;
}

static bool is_given(const adze_infer *infer, int i)
{
    return i < adze_infer_input_count(infer) && adze_infer_input(infer, i);
}

/* Number of input i, which has one element at least; `otherwise` when absent. */
static adze_status run_number(const adze_run *run, int i, int64_t otherwise, int64_t *out,
                              adze_error *err)
{
    const adze_tensor *t = adze_ops_input(run, i);
    if (t && adze_tensor_elements(t) != 1)
        return adze_ops_bad(run->node, err, "a length must be one number");
    *out = t ? adze_tensor_get_i64(t, 0) : otherwise;
    return ADZE_OK;
}

static adze_dim half_and_one(adze_infer *infer, adze_dim n)
{
    return adze_infer_add(infer, adze_infer_div(infer, n, 2), 1);
}

/* ---- DFT: [..., n, ..., 1 or 2] ---- */

static adze_status dft_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    bool inverse = adze_node_int(node, "inverse", 0) != 0;
    bool onesided = adze_node_int(node, "onesided", 0) != 0;
    adze_dim n = -1, given = -2;
    int64_t number = -2;
    if (x->rank < 2 || (adze_dim_known(x->dims[x->rank - 1]) && x->dims[x->rank - 1] != 1 &&
                        x->dims[x->rank - 1] != 2))
        return adze_ops_bad(node, err, "the last axis must hold 1 or 2 numbers");
    adze_type y = adze_ops_real(x);
    y.dims[y.rank - 1] = inverse && onesided ? 1 : 2;
    bool known =
        !is_given(infer, 2) || (one_number(infer, 2, &given) && adze_ops_is_number(given, &number));
    int axis = 0;
    if (known)
        ADZE_TRY(adze_ops_axis(&axis, node, number, x->rank, err));
    if (known && axis == x->rank - 1)
        return adze_ops_bad(node, err, "the last axis cannot be transformed");
    if (!known) {
        for (int i = 0; i < y.rank - 1; i++)
            y.dims[i] = adze_infer_unknown(infer, INT64_MAX);
        adze_infer_set(infer, 0, &y);
        return ADZE_OK;
    }
    if (!is_given(infer, 1))
        n = inverse && onesided ? adze_infer_mul(infer, adze_infer_sub(infer, x->dims[axis], 1), 2)
                                : x->dims[axis];
    else if (!one_number(infer, 1, &n))
        n = adze_infer_unknown(infer, INT64_MAX);
    if (adze_ops_is_number(n, &number) && number < 1)
        return adze_ops_bad(node, err, "dft_length must be positive");
    y.dims[axis] = onesided && !inverse ? half_and_one(infer, n) : n;
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

typedef struct dft_job {
    const adze_tensor *x, *window;
    adze_tensor *y;
    adze_fourier plan;
    bool inverse, onesided;
    int64_t n, in, out,
        inner; /* lengths of the transform and of the two axes; stride of the axis */
    int64_t parts_in, parts_out;
    int64_t step, frames, length; /* STFT */
    adze_complex *work;           /* of worker 0 */
    size_t each;
} dft_job;

/* [tables][for each worker: line, result, work] */
static size_t transform_scratch(const adze_run *run, int64_t n)
{
    if (n < 1 || n > INT32_MAX)
        return 0;
    size_t each = 2 * (size_t)n + adze_fourier_work(n);
    return (adze_fourier_table(n) + each * (size_t)adze_run_threads(run)) * sizeof(adze_complex);
}

static void make_plan(dft_job *j, adze_run *run)
{
    adze_complex *table = run->scratch;
    j->each = 2 * (size_t)j->n + adze_fourier_work(j->n);
    j->work = table + adze_fourier_table(j->n);
    adze_fourier_make(&j->plan, run, j->n, table, j->work);
}

static adze_complex read_part(const dft_job *j, int64_t at)
{
    return (adze_complex){adze_ops_get(j->x, at * j->parts_in),
                          j->parts_in > 1 ? adze_ops_get(j->x, at * j->parts_in + 1) : 0};
}

static void write_part(const dft_job *j, int64_t at, adze_complex v)
{
    adze_ops_put(j->y, at * j->parts_out, v.re);
    if (j->parts_out > 1)
        adze_ops_put(j->y, at * j->parts_out + 1, v.im);
}

/* Complex float32 lines stay in single precision, like ONNX's reference. */
static void dft_line_f32(const dft_job *j, int64_t from, int64_t to, int64_t n, adze_complex *room)
{
    adze_complex_f32 *line = (adze_complex_f32 *)(void *)room, *other = line + j->n;
    const float *x = j->x->data;
    for (int64_t k = 0; k < j->n; k++) {
        int64_t at = 2 * (from + k * j->inner);
        line[k] = k < n ? (adze_complex_f32){x[at], x[at + 1]} : (adze_complex_f32){0, 0};
    }
    line = adze_fourier_run_f32(&j->plan, j->inverse, line, other);
    for (int64_t k = 0; k < j->out; k++)
        write_part(j, to + k * j->inner, (adze_complex){(double)line[k].re, (double)line[k].im});
}

static void dft_lines(void *user, int64_t begin, int64_t end, int worker)
{
    const dft_job *j = user;
    adze_complex *line = j->work + (size_t)worker * j->each, *result = line + j->n;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i / j->inner * j->in * j->inner + i % j->inner;
        int64_t to = i / j->inner * j->out * j->inner + i % j->inner;
        int64_t n = ADZE_MIN(j->in, j->n), half = j->n / 2 + 1;
        bool mirrored = j->inverse && j->onesided;
        n = mirrored ? ADZE_MIN(n, half) : n;
        if (j->x->dtype == ADZE_F32 && j->parts_in == 2 && !mirrored && !j->plan.padded) {
            dft_line_f32(j, from, to, n, line);
            continue;
        }
        memset(line, 0, (size_t)j->n * sizeof *line);
        for (int64_t k = 0; k < n; k++)
            line[k] = read_part(j, from + k * j->inner);
        for (int64_t k = half; k < j->n && mirrored; k++)
            line[k] = (adze_complex){line[j->n - k].re, -line[j->n - k].im};
        adze_fourier_run(&j->plan, j->inverse, line, result, result + j->n);
        for (int64_t k = 0; k < j->out; k++)
            write_part(j, to + k * j->inner, result[k]);
    }
}

/* The axis; -1 when it cannot be one. */
static int dft_axis(const adze_run *run)
{
    const adze_tensor *given = adze_ops_input(run, 2);
    int64_t axis = given && adze_tensor_elements(given) == 1 && given->data
                       ? adze_tensor_get_i64(given, 0)
                       : -2;
    int rank = run->inputs[0]->rank;
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank - 1 ? (int)axis : -1;
}

/* The longest that the transform may be: its length is data, which may not be read here. */
static size_t dft_scratch(const adze_run *run)
{
    bool half = adze_node_int(run->node, "onesided", 0) && !adze_node_int(run->node, "inverse", 0);
    size_t most = 0;
    for (int i = 0; i < run->outputs[0]->rank - 1; i++) {
        int64_t n = run->outputs[0]->dims[i];
        for (int64_t k = half ? 2 * n - 2 : n; k <= (half ? 2 * n - 1 : n); k++)
            most = ADZE_MAX(most, transform_scratch(run, k));
    }
    return most;
}

static adze_status dft_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    dft_job j = {.x = x,
                 .y = run->outputs[0],
                 .inverse = adze_node_int(run->node, "inverse", 0) != 0,
                 .onesided = adze_node_int(run->node, "onesided", 0) != 0,
                 .inner = 1};
    int axis = dft_axis(run);
    if (axis < 0)
        return adze_ops_bad(run->node, err, "the axis cannot be transformed");
    bool mirrored = j.inverse && j.onesided;
    j.in = x->dims[axis];
    j.out = j.y->dims[axis];
    ADZE_TRY(run_number(run, 1, mirrored ? 2 * (j.in - 1) : j.in, &j.n, err));
    j.parts_in = x->dims[x->rank - 1];
    j.parts_out = mirrored ? 1 : 2;
    if (j.n < 1 || j.n > INT32_MAX || j.out != (j.onesided && !j.inverse ? j.n / 2 + 1 : j.n) ||
        (j.parts_in != 1 && j.parts_in != 2))
        return adze_ops_bad(run->node, err, "dft_length does not fit");
    for (int i = axis + 1; i < x->rank - 1; i++)
        j.inner *= x->dims[i];
    int64_t lines = adze_tensor_elements(j.y) / (j.out * j.parts_out);
    make_plan(&j, run);
    adze_ops_parallel(run, lines, ADZE_MAX(1, 2048 / j.n), dft_lines, &j);
    return ADZE_OK;
}

/* ---- STFT: signal [B, L, 1 or 2] -> [B, frames, bins, 2] ---- */

static adze_status stft_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0), *window = adze_ops_ranked(infer, 2);
    if (!x || (is_given(infer, 2) && !window))
        return ADZE_OK;
    if (x->rank < 2 || x->rank > 3 || (window && window->rank != 1))
        return adze_ops_bad(node, err, "the signal must be [batch, length, 1 or 2]");
    adze_dim step, length = x->dims[1];
    int64_t a, b;
    if (window)
        length = window->dims[0];
    else if (is_given(infer, 3) && !one_number(infer, 3, &length))
        length = adze_infer_unknown(infer, INT64_MAX);
    adze_dim dims[4] = {x->dims[0], -1, length, 2};
    bool known = one_number(infer, 1, &step);
    if ((known && adze_ops_is_number(step, &a) && a < 1) ||
        (adze_ops_is_number(length, &b) && b < 1))
        return adze_ops_bad(node, err, "frame_step and frame_length must be positive");
    if (adze_ops_is_number(length, &b) && adze_ops_is_number(x->dims[1], &a) && a < b)
        return adze_ops_bad(node, err, "the signal is shorter than a frame");
    dims[1] = known ? adze_infer_add(
                          infer,
                          adze_infer_div(infer, adze_infer_sub(infer, x->dims[1], length), step), 1)
                    : adze_infer_unknown(infer, INT64_MAX);
    if (adze_node_int(node, "onesided", 1) != 0)
        dims[2] = half_and_one(infer, length);
    adze_infer_set_tensor(infer, 0, adze_ops_real(x).dtype, 4, dims);
    return ADZE_OK;
}

static void stft_frames(void *user, int64_t begin, int64_t end, int worker)
{
    const dft_job *j = user;
    adze_complex *line = j->work + (size_t)worker * j->each, *result = line + j->n;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i / j->frames * j->length + i % j->frames * j->step;
        for (int64_t k = 0; k < j->n; k++) {
            double w = j->window ? adze_ops_get(j->window, k) : 1;
            adze_complex v = read_part(j, from + k);
            line[k] = (adze_complex){v.re * w, v.im * w};
        }
        adze_fourier_run(&j->plan, false, line, result, result + j->n);
        for (int64_t k = 0; k < j->out; k++)
            write_part(j, i * j->out + k, result[k]);
    }
}

static size_t stft_scratch(const adze_run *run)
{
    int64_t bins = run->outputs[0]->dims[2];
    if (adze_node_int(run->node, "onesided", 1) == 0)
        return transform_scratch(run, bins);
    return ADZE_MAX(transform_scratch(run, 2 * bins - 2), transform_scratch(run, 2 * bins - 1));
}

static adze_status stft_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    dft_job j = {.x = x,
                 .window = adze_ops_input(run, 2),
                 .y = run->outputs[0],
                 .onesided = adze_node_int(run->node, "onesided", 1) != 0,
                 .length = x->dims[1],
                 .parts_in = x->rank > 2 ? x->dims[2] : 1,
                 .parts_out = 2,
                 .frames = run->outputs[0]->dims[1],
                 .out = run->outputs[0]->dims[2]};
    int64_t whole = j.window ? j.window->dims[0] : j.length;
    ADZE_TRY(run_number(run, 1, 0, &j.step, err));
    ADZE_TRY(run_number(run, 3, whole, &j.n, err));
    if (j.window && j.n != whole)
        return adze_ops_bad(run->node, err, "window and frame_length differ in length");
    if (j.n < 1 || j.n > j.length || j.n > INT32_MAX || j.step < 1 ||
        j.frames != (j.length - j.n) / j.step + 1 || j.out != (j.onesided ? j.n / 2 + 1 : j.n) ||
        (j.parts_in != 1 && j.parts_in != 2))
        return adze_ops_bad(run->node, err, "frame_step and frame_length do not fit the signal");
    make_plan(&j, run);
    adze_ops_parallel(run, x->dims[0] * j.frames, ADZE_MAX(1, 2048 / j.n), stft_frames, &j);
    return ADZE_OK;
}

static void transform_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                           const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 60 * (double)adze_tensor_elements(outputs[0]);
}

/* ---- windows ---- */

static adze_status made_type(adze_infer *infer, int rank, const adze_dim *dims, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    int64_t asked = adze_node_int(node, "output_datatype", 1);
    adze_dtype dtype = asked > 0 && asked < 64 ? adze_dtype_from_onnx((int)asked) : ADZE_UNDEFINED;
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    if (kind != ADZE_KIND_FLOAT && kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT)
        return adze_ops_bad(node, err, "output_datatype is no type of numbers");
    adze_infer_set_tensor(infer, 0, dtype, rank, dims);
    return ADZE_OK;
}

static adze_status window_infer(adze_infer *infer, adze_error *err)
{
    adze_dim size;
    int64_t n;
    if (!one_number(infer, 0, &size))
        size = adze_infer_unknown(infer, INT64_MAX);
    else if (adze_ops_is_number(size, &n) && n < 0)
        return adze_ops_bad(adze_infer_node(infer), err, "the size is negative");
    return made_type(infer, 1, &size, err);
}

/* Sums of cosines: a0 - a1 cos(t) + a2 cos(2 t). */
static adze_status window_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    const char *op = adze_node_op(run->node);
    double a[3] = {0.5, 0.5, 0}; /* Hann */
    if (strcmp(op, "HammingWindow") == 0) {
        a[0] = 25.0 / 46;
        a[1] = 1 - a[0];
    } else if (strcmp(op, "BlackmanWindow") == 0) {
        a[0] = 0.42;
        a[2] = 0.08;
    }
    int64_t size = 0, whole = adze_node_int(run->node, "periodic", 1) != 0 ? 0 : 1;
    ADZE_TRY(run_number(run, 0, 0, &size, err));
    if (size != y->dims[0])
        return adze_ops_bad(run->node, err, "the size does not fit");
    bool real = adze_dtype_describe(y->dtype)->kind == ADZE_KIND_FLOAT;
    for (int64_t i = 0; i < size; i++) {
        double t = 2 * PI * (double)i / (double)ADZE_MAX(size - whole, 1);
        /* One element of a symmetric window: 0 / 0 in the formula. */
        double v = size == whole ? 1 : a[0] - a[1] * cos(t) + a[2] * cos(2 * t);
        adze_ops_put(y, i, real ? v : trunc(v));
    }
    return ADZE_OK;
}

/* ---- MelWeightMatrix ---- */

static adze_status mel_infer(adze_infer *infer, adze_error *err)
{
    adze_dim dims[2], n;
    int64_t number;
    if (!one_number(infer, 0, &dims[1]))
        dims[1] = adze_infer_unknown(infer, INT64_MAX);
    dims[0] = one_number(infer, 1, &n) ? n : adze_infer_unknown(infer, INT64_MAX);
    for (int i = 0; i < 2; i++)
        if (adze_ops_is_number(dims[i], &number) && number < 0)
            return adze_ops_bad(adze_infer_node(infer), err, "a size is negative");
    dims[0] = half_and_one(infer, dims[0]);
    return made_type(infer, 2, dims, err);
}

/* Spectrum bin where triangle i begins. */
static int64_t mel_edge(int64_t i, int64_t bands, int64_t length, double rate, double low,
                        double high)
{
    double from = 2595 * log10(1 + low / 700), to = 2595 * log10(1 + high / 700);
    double mel = (double)i * (to - from) / (double)(bands + 2) + from;
    double at = floor((double)(length + 1) * 700 * (pow(10, mel / 2595) - 1) / rate);
    return at >= 0 && at < 1e15 ? (int64_t)at : -1;
}

static adze_status mel_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    int64_t bands = 0, length = 0, rate = 0;
    ADZE_TRY(run_number(run, 0, 0, &bands, err));
    ADZE_TRY(run_number(run, 1, 0, &length, err));
    ADZE_TRY(run_number(run, 2, 0, &rate, err));
    if (bands != y->dims[1] || length < 0 || length / 2 + 1 != y->dims[0] || rate < 1 ||
        adze_tensor_elements(run->inputs[3]) != 1 || adze_tensor_elements(run->inputs[4]) != 1)
        return adze_ops_bad(run->node, err, "sizes or rates do not fit");
    double low = adze_ops_get(run->inputs[3], 0), high = adze_ops_get(run->inputs[4], 0);
    memset(y->data, 0, y->size);
    for (int64_t i = 0; i < bands; i++) {
        int64_t edges[3];
        for (int k = 0; k < 3; k++) {
            edges[k] = mel_edge(i + k, bands, length, (double)rate, low, high);
            if (edges[k] < (k ? edges[k - 1] : 0) || edges[k] > y->dims[0] - (k < 2))
                return adze_ops_bad(run->node, err, "the edges in hertz are outside the spectrum");
        }
        int64_t rise = edges[1] - edges[0], fall = edges[2] - edges[1];
        for (int64_t k = edges[0]; k <= edges[1]; k++)
            adze_ops_put(y, k * bands + i, rise ? (double)(k - edges[0]) / (double)rise : 1);
        for (int64_t k = edges[1]; k < edges[2]; k++)
            adze_ops_put(y, k * bands + i, (double)(edges[2] - k) / (double)fall);
    }
    return ADZE_OK;
}

#define ROW(text, version, least, most)                                                            \
    .domain = "", .name = text, .since = version, .min_inputs = least, .max_inputs = most,         \
    .min_outputs = 1, .max_outputs = 1
#define WINDOW(text)                                                                               \
    {                                                                                              \
        ROW(text, 17, 1, 1), .attrs = "output_datatype periodic", .infer = window_infer,           \
                             .run = window_run                                                     \
    }

const adze_op adze_ops_signal[] = {
    {ROW("DFT", 20, 1, 3), .attrs = "inverse onesided", .infer = dft_infer, .cost = transform_cost,
     .prepare = adze_ops_prepare_float, .scratch = dft_scratch, .run = dft_run},
    {ROW("STFT", 17, 2, 4), .attrs = "onesided", .infer = stft_infer, .cost = transform_cost,
     .prepare = adze_ops_prepare_float, .scratch = stft_scratch, .run = stft_run},
    WINDOW("HannWindow"),
    WINDOW("HammingWindow"),
    WINDOW("BlackmanWindow"),
    {ROW("MelWeightMatrix", 17, 5, 5), .attrs = "output_datatype", .infer = mel_infer,
     .run = mel_run},
    {.name = NULL},
};
