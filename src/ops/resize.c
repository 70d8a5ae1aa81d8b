/* Resize. Every mode is separable: an axis has, for each output coordinate, a first input
 * coordinate and a few weights (resize_axis.c). Nearest is a copy by tables; the others run axis
 * by axis in float32, the axes that shrink first. */
#include <math.h>
#include <string.h>

#include "ops/fused.h"
#include "ops/resize.h"

/* ---- which axes, how large ---- */

/* The tensor's axis for an axis of ONNX's order. */
static int physical_axis(const adze_node *node, int axis)
{
    static const int last[4] = {0, 3, 1, 2};
    return adze_node_int(node, ADZE_FUSED_CHANNELS_LAST, 0) ? last[axis & 3] : axis;
}

static adze_status resize_axes(int *axes, int *count, const adze_node *node, int rank,
                               adze_error *err)
{
    const int64_t *given = adze_node_ints(node, "axes", count);
    if (given && *count > rank)
        return adze_ops_bad(node, err, "more axes than the rank");
    if (!given)
        *count = rank;
    for (int i = 0; i < *count; i++)
        axes[i] = i;
    if (given)
        ADZE_TRY(adze_ops_axes(axes, node, given, *count, rank, err));
    for (int i = 0; i < *count; i++)
        axes[i] = physical_axis(node, axes[i]);
    return ADZE_OK;
}

static bool is_given(const adze_type *type)
{
    return type && type->rank == 1 && type->dims[0] != 0;
}

static int policy_of(const adze_node *node)
{
    const char *p = adze_node_string(node, "keep_aspect_ratio_policy", "stretch");
    return strcmp(p, "not_larger") == 0 ? -1 : strcmp(p, "not_smaller") == 0 ? 1 : 0;
}

/* One scale for all axes, the least (greatest) that the sizes ask for. */
static double common_scale(int policy, int n, const int64_t *in, const int64_t *sizes)
{
    double scale = 0;
    for (int i = 0; i < n; i++) {
        double s = in[i] ? (double)sizes[i] / (double)in[i] : 1;
        scale = i == 0 ? s : policy < 0 ? fmin(scale, s) : fmax(scale, s);
    }
    return scale;
}

static int64_t scaled_size(int64_t in, float scale)
{
    return adze_ops_whole((double)floorf(scale * (float)in));
}

static adze_dim scaled_dim(adze_infer *infer, adze_dim in, float scale)
{
    if (adze_dim_known(in))
        return scaled_size(in, scale);
    if (scale >= 1 && scale == rintf(scale))
        return adze_infer_mul(infer, in, adze_ops_whole((double)scale));
    float inverse = 1 / scale;
    if (inverse == rintf(inverse))
        return adze_infer_div(infer, in, adze_ops_whole((double)inverse));
    int64_t upper = adze_dim_upper(infer->dims, in);
    return adze_infer_unknown(infer, upper < INT32_MAX ? scaled_size(upper, scale) + 1 : INT64_MAX);
}

static adze_status infer_by_scales(adze_infer *infer, adze_type *y, const int *axes, int n,
                                   adze_error *err)
{
    const adze_tensor *scales = adze_infer_content(infer, 2);
    if (scales && adze_tensor_elements(scales) != n)
        return adze_ops_bad(adze_infer_node(infer), err, "one scale for each axis");
    for (int i = 0; i < n; i++) {
        float scale = scales ? (float)adze_tensor_get_f64(scales, i) : 1;
        if (!(scale > 0) || scale > 1e6f)
            return adze_ops_bad(adze_infer_node(infer), err, "a scale is not positive");
        y->dims[axes[i]] = scales ? scaled_dim(infer, y->dims[axes[i]], scale)
                                  : adze_infer_unknown(infer, INT64_MAX);
    }
    return ADZE_OK;
}

static adze_status infer_by_sizes(adze_infer *infer, adze_type *y, const int *axes, int n,
                                  adze_error *err)
{
    adze_dim sizes[ADZE_MAX_RANK];
    int64_t in[ADZE_MAX_RANK], number;
    int count = adze_ops_ints(infer, 3, sizes, ADZE_MAX_RANK);
    int policy = policy_of(adze_infer_node(infer));
    bool numbers = true;
    if (count >= 0 && count != n)
        return adze_ops_bad(adze_infer_node(infer), err, "one size for each axis");
    for (int i = 0; i < n; i++) {
        in[i] = y->dims[axes[i]];
        numbers = numbers && in[i] >= 0 && (count < 0 || sizes[i] >= 0);
        if (count >= 0 && adze_ops_is_number(sizes[i], &number) && number < 0)
            return adze_ops_bad(adze_infer_node(infer), err, "a size is negative");
    }
    double scale = policy && numbers && count >= 0 ? common_scale(policy, n, in, sizes) : 1;
    for (int i = 0; i < n; i++) {
        adze_dim *d = &y->dims[axes[i]];
        if (count < 0 || (policy && !numbers))
            *d = adze_infer_unknown(infer, INT64_MAX);
        else
            *d = policy ? adze_ops_whole(floor(scale * (double)in[i] + 0.5)) : sizes[i];
    }
    return ADZE_OK;
}

static adze_status resize_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int axes[ADZE_MAX_RANK] = {0}, n;
    ADZE_TRY(resize_axes(axes, &n, adze_infer_node(infer), x->rank, err));
    adze_type y = *x;
    if (is_given(adze_infer_input(infer, 3)))
        ADZE_TRY(infer_by_sizes(infer, &y, axes, n, err));
    else
        ADZE_TRY(infer_by_scales(infer, &y, axes, n, err));
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* ---- parameters of a run ---- */

static int mode_of(const adze_node *node)
{
    static const char *const names[] = {"nearest", "linear", "cubic", NULL};
    return adze_ops_choice(names, adze_node_string(node, "mode", "nearest"));
}

static adze_resize_spec spec_of(const adze_node *node)
{
    adze_resize_spec s = {.mode = (adze_resize_mode)mode_of(node)};
    const char *nearest = adze_node_string(node, "nearest_mode", "round_prefer_floor");
    s.nearest = adze_ops_choice(adze_resize_nearest_names, nearest);
    s.coordinate =
        adze_ops_choice(adze_resize_coordinate_names,
                        adze_node_string(node, "coordinate_transformation_mode", "half_pixel"));
    s.antialias = adze_node_int(node, "antialias", 0) != 0 && s.mode != ADZE_RESIZE_NEAREST;
    s.exclude_outside = adze_node_int(node, "exclude_outside", 0) != 0;
    s.cubic_a = (double)adze_node_float(node, "cubic_coeff_a", -0.75f);
    return s;
}

/* in, out, scale and region of interest of each axis of the tensor. */
static adze_status fill_axes(adze_resize_axis *list, const adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0], *roi = adze_ops_input(run, 1);
    const adze_tensor *scales = adze_ops_input(run, 2), *sizes = adze_ops_input(run, 3);
    int axes[ADZE_MAX_RANK] = {0}, n;
    int64_t in[ADZE_MAX_RANK] = {0}, wanted[ADZE_MAX_RANK] = {0};
    ADZE_TRY(resize_axes(axes, &n, run->node, x->rank, err));
    bool by_sizes = sizes && adze_tensor_elements(sizes) == n && n > 0;
    if (!by_sizes && (!scales || adze_tensor_elements(scales) != n))
        return adze_ops_bad(run->node, err, "one scale or size for each axis");
    for (int i = 0; i < x->rank; i++)
        list[i] = (adze_resize_axis){x->dims[i], y->dims[i], 1, 0, 1};
    for (int i = 0; i < n; i++) {
        in[i] = list[axes[i]].in;
        wanted[i] = by_sizes ? adze_tensor_get_i64(sizes, i) : 0;
    }
    int policy = policy_of(run->node);
    for (int i = 0; i < n; i++) {
        adze_resize_axis *a = &list[axes[i]];
        a->scale = !by_sizes ? adze_tensor_get_f64(scales, i)
                   : policy  ? common_scale(policy, n, in, wanted)
                             : (double)a->out / (double)ADZE_MAX(1, a->in);
        if (roi && adze_tensor_elements(roi) == 2 * n) {
            a->roi_start = adze_tensor_get_f64(roi, i);
            a->roi_end = adze_tensor_get_f64(roi, i + n);
        }
        if (!(a->scale > 0))
            return adze_ops_bad(run->node, err, "a scale is not positive");
    }
    return ADZE_OK;
}

/* ---- memory: float32 copies of input and output where they are no float32, results of all passes
 * but the last in two buffers, tables of coordinates and weights ---- */

typedef struct resize_memory {
    int order
        [ADZE_MAX_RANK]; /* of the passes: what leaves least work first, then the last axis first */
    size_t input, pass, output, blocks, total;
} resize_memory;

enum { LINES = 32 }; /* side by side: see line_blocks */

static resize_memory plan_memory(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    const adze_resize_spec spec = spec_of(run->node);
    resize_memory m = {.total = 0};
    double growth[ADZE_MAX_RANK];
    size_t n = (size_t)adze_tensor_elements(x), largest = 0, tables = 0;
    int64_t ends = 0; /* the longest axis with such filters */
    for (int i = 0; i < x->rank; i++) {
        int at = i;
        double g = (double)y->dims[i] / (double)ADZE_MAX(1, x->dims[i]);
        size_t taps = (size_t)adze_resize_taps(&spec, x->dims[i], y->dims[i]);
        if (i == x->rank - 1 && taps <= 4) /* an element there costs as much as four in rows */
            g = 4 / (1 / fmax(g, 1e-9) + 3);
        for (; at > 0 && growth[at - 1] >= g; at--) {
            growth[at] = growth[at - 1];
            m.order[at] = m.order[at - 1];
        }
        growth[at] = g;
        m.order[at] = i;
        tables += (size_t)y->dims[i] * (sizeof(int64_t) + taps * sizeof(float)) + 64;
        if (taps > 4)
            ends = ADZE_MAX(ends, x->dims[i] + y->dims[i]);
    }
    size_t size = n;
    for (int i = 0; i < x->rank; i++) {
        int a = m.order[i];
        size = x->dims[a] ? size / (size_t)x->dims[a] * (size_t)y->dims[a] : 0;
        largest = ADZE_MAX(largest, size);
    }
    bool plain = x->dtype == ADZE_F32;
    m.input = plain ? 0 : adze_ops_round64(n * sizeof(float));
    m.pass = spec.mode == ADZE_RESIZE_NEAREST ? 0 : adze_ops_round64(largest * sizeof(float));
    m.output = plain ? 0 : adze_ops_round64((size_t)adze_tensor_elements(y) * sizeof(float));
    m.blocks = (size_t)(ends * LINES * adze_run_threads(run)) * sizeof(float);
    m.total = m.input + 2 * m.pass + m.output + m.blocks + adze_ops_round64(tables);
    return m;
}

static size_t resize_scratch(const adze_run *run)
{
    return plan_memory(run).total;
}

/* ---- one axis ---- */

typedef struct pass_job {
    const adze_kernels *kernels;
    float *blocks; /* of line_blocks: for each worker [in + out][LINES] */
    int64_t lines;
    const float *x;
    float *y;
    int64_t inner, in, out;
    adze_resize_table table;
    float extrapolation;
} pass_job;

/* A row of `inner` elements: sum of weight * row of x, in the order of the taps. */
static void blend_row(const pass_job *job, const float *x, const float *weights, float *y)
{
    enum { CHUNK = 512 };
    float term[CHUNK];
    adze_binary_f32_fn mul = job->kernels->eltwise.binary[ADZE_BINARY_MUL][ADZE_FORM_VS];
    adze_binary_f32_fn add = job->kernels->eltwise.binary[ADZE_BINARY_ADD][ADZE_FORM_VV];
    for (int64_t i = 0; i < job->inner; i += CHUNK) {
        int64_t n = ADZE_MIN(CHUNK, job->inner - i);
        mul(n, x + i, &weights[0], y + i);
        for (int t = 1; t < job->table.taps; t++) {
            if (weights[t] == 0)
                continue;
            mul(n, x + t * job->inner + i, &weights[t], term);
            add(n, y + i, term, y + i);
        }
    }
}

static void blend_elements(const pass_job *job, const float *x, const float *weights, float *y)
{
    int64_t inner = job->inner;
    for (int64_t i = 0; i < inner; i++) {
        float sum = x[i] * weights[0];
        for (int t = 1; t < job->table.taps; t++)
            sum += x[t * inner + i] * weights[t];
        y[i] = sum;
    }
}

/* The last axis, whole rows of it. */
static void blend_line(const pass_job *job, const float *x, float *y)
{
    const int64_t *first = job->table.first;
    const float *w = job->table.weights;
    for (int64_t i = 0; i < job->out; i++, w += job->table.taps) {
        const float *a = x + (first[i] == ADZE_RESIZE_OUTSIDE ? 0 : first[i]);
        if (job->table.taps == 2)
            y[i] = a[0] * w[0] + a[1] * w[1];
        else if (job->table.taps == 4)
            y[i] = a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
        else
            blend_elements(job, a, w, y + i);
        if (first[i] == ADZE_RESIZE_OUTSIDE)
            y[i] = job->extrapolation;
    }
}

static void line_range(void *user, int64_t begin, int64_t end, int worker)
{
    const pass_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t line = begin; line < end; line++)
        blend_line(job, job->x + line * job->in, job->y + line * job->out);
}

/* Filters of many taps: LINES lines side by side, so that a tap is a row of them. */
static void line_blocks(void *user, int64_t begin, int64_t end, int worker)
{
    enum { TAPS = 32 };
    const pass_job *job = user;
    const adze_rows_table *rows = &job->kernels->rows;
    float *x = job->blocks + worker * (job->in + job->out) * LINES, *y = x + job->in * LINES;
    int64_t taps = job->table.taps, at[TAPS];
    for (int64_t line = begin * LINES; line < ADZE_MIN(end * LINES, job->lines); line += LINES) {
        const float *weights = job->table.weights;
        int64_t count = ADZE_MIN(LINES, job->lines - line);
        rows->transpose_4(count, job->in, job->x + line * job->in, job->in, x, LINES);
        memset(y, 0, (size_t)(job->out * LINES) * sizeof *y);
        for (int64_t i = 0; i < job->out; i++, weights += taps) {
            int64_t first = job->table.first[i];
            for (int64_t k = 0; k < LINES && first == ADZE_RESIZE_OUTSIDE; k++)
                y[i * LINES + k] = job->extrapolation;
            for (int64_t t = 0, n; t < taps && first != ADZE_RESIZE_OUTSIDE; t += n) {
                n = ADZE_MIN(TAPS, taps - t);
                for (int64_t k = 0; k < n; k++)
                    at[k] = (first + t + k) * LINES;
                rows->blend(count, n, x, at, weights + t, y + i * LINES);
            }
        }
        rows->transpose_4(job->out, count, y, LINES, job->y + line * job->out, job->out);
    }
}

static void row_range(void *user, int64_t begin, int64_t end, int worker)
{
    const pass_job *job = user;
    ADZE_UNUSED(worker);
    for (int64_t row = begin; row < end; row++) {
        int64_t at = row % job->out, first = job->table.first[at];
        const float *weights = job->table.weights + at * job->table.taps;
        float *y = job->y + row * job->inner;
        if (first == ADZE_RESIZE_OUTSIDE) {
            for (int64_t i = 0; i < job->inner; i++)
                y[i] = job->extrapolation;
            continue;
        }
        const float *x = job->x + (row / job->out * job->in + first) * job->inner;
        if (job->inner >= 16)
            blend_row(job, x, weights, y);
        else
            blend_elements(job, x, weights, y);
    }
}

static void run_pass(adze_run *run, pass_job *job, const int64_t *dims, int rank, int axis)
{
    int64_t outer = 1;
    job->inner = 1;
    for (int i = 0; i < axis; i++)
        outer *= dims[i];
    for (int i = axis + 1; i < rank; i++)
        job->inner *= dims[i];
    int64_t grain = 8192 / ADZE_MAX(1, job->inner * job->table.taps);
    job->lines = outer;
    if (job->inner == 1 && job->table.taps > 4 && outer >= 8)
        adze_ops_parallel(run, (outer + LINES - 1) / LINES, 1, line_blocks, job);
    else if (job->inner == 1)
        adze_ops_parallel(run, outer, ADZE_MAX(1, grain / ADZE_MAX(1, job->out)), line_range, job);
    else
        adze_ops_parallel(run, outer * job->out, ADZE_MAX(1, grain), row_range, job);
}

/* ---- execution ---- */

/* Whether an axis changes anything. */
static bool is_active(const adze_resize_axis *a, const adze_resize_spec *spec)
{
    bool crop = spec->coordinate == ADZE_RESIZE_CROP && (a->roi_start != 0 || a->roi_end != 1);
    return a->in != a->out || a->scale != 1 || crop;
}

static void run_nearest(adze_run *run, const adze_resize_axis *axes, const adze_resize_spec *spec)
{
    const adze_tensor *x = run->inputs[0];
    adze_ops_map map = {.x = x, .y = run->outputs[0], .size = adze_ops_element(x->dtype)};
    adze_tensor fill = adze_tensor_view(x->dtype, 0, NULL, map.fill);
    float value = adze_node_float(run->node, "extrapolation_value", 0);
    fill.quant = x->quant;
    if (adze_ops_can_load(x))
        adze_ops_store(run->kernels, &value, 1, &fill, 0);
    else
        adze_tensor_set_f64(&fill, 0, (double)value);
    int64_t *tables = run->scratch;
    for (int a = 0; a < x->rank; a++) {
        adze_resize_nearest(&axes[a], spec, tables);
        map.source[a] = tables;
        tables += axes[a].out;
    }
    adze_ops_map_copy(run, &map);
}

static void run_weighted(adze_run *run, const adze_resize_axis *axes, const adze_resize_spec *spec)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    resize_memory m = plan_memory(run);
    char *at = run->scratch, *buffers = at + m.input, *blocks = buffers + 2 * m.pass + m.output;
    char *tables = blocks + m.blocks;
    float *output = m.output ? (float *)(void *)(buffers + 2 * m.pass) : y->data;
    pass_job job = {.kernels = run->kernels, .x = x->data, .blocks = (float *)(void *)blocks};
    job.extrapolation = adze_node_float(run->node, "extrapolation_value", 0);
    int64_t dims[ADZE_MAX_RANK];
    int active = 0, done = 0;
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < x->rank; i++)
        active += is_active(&axes[i], spec);
    if (m.input) {
        adze_ops_load(run->kernels, x, 0, 1, adze_tensor_elements(x), (float *)(void *)at);
        job.x = (const float *)(void *)at;
    }
    for (int i = 0; i < x->rank; i++) {
        int a = m.order[i];
        if (!is_active(&axes[a], spec))
            continue;
        done++;
        job.y = done == active ? output : (float *)(void *)(buffers + (done % 2 ? 0 : m.pass));
        job.in = axes[a].in;
        job.out = axes[a].out;
        job.table = adze_resize_weights(&axes[a], spec, tables);
        dims[a] = axes[a].out;
        run_pass(run, &job, dims, x->rank, a);
        job.x = job.y;
    }
    if (active == 0)
        adze_ops_copy_bytes(run, y->data, x->data, y->size);
    else if (m.output)
        adze_ops_store(run->kernels, output, adze_tensor_elements(y), y, 0);
}

static adze_status resize_run(adze_run *run, adze_error *err)
{
    adze_resize_axis axes[ADZE_MAX_RANK] = {{0}};
    adze_resize_spec spec = spec_of(run->node);
    if (adze_tensor_elements(run->outputs[0]) == 0)
        return ADZE_OK;
    if (adze_tensor_elements(run->inputs[0]) == 0)
        return adze_ops_bad(run->node, err, "nothing to resize");
    ADZE_TRY(fill_axes(axes, run, err));
    if (spec.mode == ADZE_RESIZE_NEAREST)
        run_nearest(run, axes, &spec);
    else
        run_weighted(run, axes, &spec);
    return ADZE_OK;
}

static adze_status unknown_choice(const adze_node *node, const char *attr, const char *value,
                                  adze_error *err)
{
    return adze_fail(err, ADZE_UNSUPPORTED, "node %s (Resize): %s '%s'", adze_node_name(node), attr,
                     value);
}

static adze_status resize_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    const char *mode = adze_node_string(node, "mode", "nearest");
    adze_resize_spec spec = spec_of(node);
    if (mode_of(node) < 0)
        return unknown_choice(node, "mode", mode, err);
    if (spec.coordinate < 0)
        return unknown_choice(node, "coordinate_transformation_mode",
                              adze_node_string(node, "coordinate_transformation_mode", ""), err);
    if (spec.nearest < 0)
        return unknown_choice(node, "nearest_mode", adze_node_string(node, "nearest_mode", ""),
                              err);
    if (adze_dtype_describe(x->dtype)->kind == ADZE_KIND_STRING)
        return adze_ops_unsupported(node, x->dtype, err);
    return adze_ops_prepare_move(prepare, err);
}

static void resize_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    static const int each[] = {
        [ADZE_RESIZE_NEAREST] = 0, [ADZE_RESIZE_LINEAR] = 6, [ADZE_RESIZE_CUBIC] = 14};
    ADZE_UNUSED(inputs);
    int mode = mode_of(node);
    cost->operations = (mode < 0 ? 0 : each[mode]) * (double)adze_tensor_elements(outputs[0]);
}

const adze_op adze_ops_resize[] = {
    {.domain = "",
     .name = "Resize",
     .since = 11,
     .min_inputs = 1,
     .max_inputs = 4,
     .min_outputs = 1,
     .max_outputs = 1,
     .quant = ADZE_QUANT_MOVE,
     .attrs =
         "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside "
         "extrapolation_value keep_aspect_ratio_policy mode nearest_mode " ADZE_FUSED_CHANNELS_LAST,
     .infer = resize_infer,
     .cost = resize_cost,
     .prepare = resize_prepare,
     .scratch = resize_scratch,
     .run = resize_run},
    {.name = NULL},
};
