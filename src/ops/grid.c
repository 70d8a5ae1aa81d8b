/* Pictures read at computed places: GridSample, AffineGrid; and what undoes im2col, Col2Im. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

/* ---- AffineGrid: theta [N, d, d + 1] and size (N, C, spatial ...) -> grid [N, spatial ..., d] ---- */

static adze_status affine_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *theta = adze_ops_ranked(infer, 0), *size = adze_ops_ranked(infer, 1);
    adze_dim dims[ADZE_MAX_RANK];
    int n = adze_ops_ints(infer, 1, dims, ADZE_MAX_RANK);
    if (!theta || (n < 0 && (!size || size->rank != 1 || size->dims[0] < 0)))
        return ADZE_OK;
    if (n < 0) {
        n = (int)ADZE_MIN(size->dims[0], ADZE_MAX_RANK);
        for (int i = 0; i < n; i++)
            dims[i] = adze_infer_unknown(infer, INT64_MAX);
    }
    if (n < 4 || n > 5)
        return adze_ops_bad(adze_infer_node(infer), err, "size must have 4 or 5 elements");
    for (int i = 1; i < n - 1; i++)
        dims[i] = dims[i + 1];
    dims[n - 1] = n - 2;
    adze_infer_set_tensor(infer, 0, theta->dtype, n, dims);
    return ADZE_OK;
}

/* Coordinate i of n points between -1 and 1. */
static double grid_point(int64_t i, int64_t n, bool align)
{
    if (align)
        return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : 0;
    return (2 * (double)i + 1) / (double)n - 1;
}

static adze_status affine_run(adze_run *run, adze_error *err)
{
    const adze_tensor *theta = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int d = y->rank - 2;
    bool align = adze_node_int(run->node, "align_corners", 0) != 0;
    if (theta->rank != 3 || theta->dims[0] != y->dims[0] || theta->dims[1] != d ||
        theta->dims[2] != d + 1)
        return adze_ops_bad(run->node, err, "theta does not fit size");
    int64_t points = adze_tensor_elements(y) / d, plane = points / ADZE_MAX(1, y->dims[0]);
    int64_t place[3] = {0};              /* x, y, z: the last axis first */
    double at[4] = {0}, row[3][4] = {0}; /* its coordinates; theta */
    for (int k = 0; k < d; k++)
        at[k] = grid_point(0, y->dims[y->rank - 2 - k], align);
    at[d] = 1;
    for (int64_t p = 0; p < points && !adze_ops_is_late(run, p); p++) {
        for (int i = 0; i < d * (d + 1) && p % plane == 0; i++)
            row[i / (d + 1)][i % (d + 1)] = adze_ops_get(theta, p / plane * d * (d + 1) + i);
        for (int r = 0; r < d; r++) {
            double sum = 0;
            for (int c = 0; c <= d; c++)
                sum += row[r][c] * at[c];
            adze_ops_put(y, p * d + r, sum);
        }
        for (int k = 0; k < d; k++) { /* the next point */
            int64_t n = y->dims[y->rank - 2 - k];
            bool wraps = ++place[k] == n;
            place[k] = wraps ? 0 : place[k];
            at[k] = grid_point(place[k], n, align);
            if (!wraps)
                break;
        }
    }
    return ADZE_OK;
}

/* ---- GridSample: x [N, C, spatial ...], grid [N, out spatial ..., d] ---- */

static adze_status sample_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *grid = adze_ops_ranked(infer, 1);
    if (!x || !grid)
        return ADZE_OK;
    if (x->rank < 3 || x->rank != grid->rank)
        return adze_ops_bad(adze_infer_node(infer), err, "picture and grid differ in rank");
    adze_type y = adze_ops_real(x);
    for (int i = 2; i < y.rank; i++)
        y.dims[i] = grid->dims[i - 1];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };

typedef struct sample_job {
    const adze_run *run;
    float *turned, *blocks; /* scratch: see sample_block */
    const adze_tensor *x, *grid;
    adze_tensor *y;
    int spatial, mode, padding;
    bool align;
    int64_t points, plane; /* of the output and of the input, for one picture and channel */
} sample_job;

/* Mirrors a coordinate between two borders. */
static double reflect(double v, double low, double high)
{
    double range = high - low;
    if (range <= 0)
        return low;
    double away = v < low ? low - v : v > high ? v - high : 0;
    if (away == 0)
        return v;
    double turns = floor(away / range), rest = away - turns * range;
    bool even = fmod(turns, 2) == 0;
    return (v < low) == even ? low + rest : high - rest;
}

/* Input coordinate that a tap reads, -1 for zero. */
static int64_t tap_index(const sample_job *job, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (job->padding == ZEROS)
        return -1;
    if (job->padding == BORDER)
        return i < 0 ? 0 : n - 1;
    double low = job->align ? 0 : -0.5, high = low + (double)n - (job->align ? 1 : 0);
    int64_t v = (int64_t)reflect((double)i, low, high);
    return v < 0 ? 0 : v < n ? v : n - 1;
}

static double cubic_weight(double x)
{
    const double a = -0.75;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* First tap and weights (1, 2 or 4 of them) along one axis for grid coordinate g. */
static int axis_taps(const sample_job *job, double g, int64_t n, int64_t *first, double *weights)
{
    double size = (double)n, low = job->align ? 0 : -0.5;
    double at = job->align ? (g + 1) / 2 * (size - 1) : ((g + 1) * size - 1) / 2;
    at = isnan(at) || fabs(at) > 1e12 ? -1e12 : at;
    if (job->mode == NEAREST)
        at = rint(at);
    if (job->padding == BORDER && job->mode != CUBIC)
        at = fmin(fmax(at, 0), size - 1);
    if (job->padding == REFLECTION && job->mode != CUBIC)
        at = reflect(at, low, low + size - (job->align ? 1 : 0));
    if (job->mode == NEAREST) {
        *first = (int64_t)rint(at);
        weights[0] = 1;
        return 1;
    }
    double whole = floor(at), rest = at - whole;
    *first = (int64_t)whole - (job->mode == CUBIC);
    if (job->mode == LINEAR) {
        weights[0] = 1 - rest;
        weights[1] = rest;
        return 2;
    }
    for (int t = 0; t < 4; t++)
        weights[t] = cubic_weight((double)(t - 1) - rest);
    return 4;
}

enum { MOST_TAPS = 64, POINTS = 64 };

/* What a point of the output is: the sum of weight * element of the picture. */
typedef struct sample_taps {
    int64_t count, at[MOST_TAPS];
    double weight[MOST_TAPS];
} sample_taps;

/* All combinations of the taps of the axes, the first axis fastest; none without weight. */
static void point_taps(const sample_job *job, int64_t point, sample_taps *taps)
{
    int64_t all = 1, first, index;
    taps->at[0] = 0;
    taps->weight[0] = 1;
    for (int a = 0; a < job->spatial; a++) { /* the grid's last element is the first axis */
        int64_t n = job->x->dims[2 + a];
        double weights[4];
        int count =
            axis_taps(job, adze_ops_get(job->grid, point * job->spatial + job->spatial - 1 - a), n,
                      &first, weights);
        for (int t = count - 1; t >= 0; t--) {
            index = tap_index(job, first + t, n);
            for (int64_t k = 0; k < all; k++) {
                taps->at[t * all + k] = taps->at[k] * n + ADZE_MAX(index, 0);
                taps->weight[t * all + k] = index < 0 ? 0 : taps->weight[k] * weights[t];
            }
        }
        all *= count;
    }
    taps->count = 0;
    for (int64_t k = 0; k < all; k++) {
        taps->at[taps->count] = taps->at[k];
        taps->weight[taps->count] = taps->weight[k];
        taps->count += taps->weight[k] != 0;
    }
}

static void sample_range(void *user, int64_t begin, int64_t end, int worker)
{
    const sample_job *job = user;
    ADZE_UNUSED(worker);
    int64_t channels = job->x->dims[1];
    for (int64_t p = begin; p < end; p++) {
        sample_taps taps;
        int64_t n = p / job->points, at = p % job->points;
        point_taps(job, p, &taps);
        for (int64_t c = n * channels; c < (n + 1) * channels; c++) {
            double sum = 0;
            for (int64_t k = 0; k < taps.count; k++)
                sum += taps.weight[k] * adze_ops_get(job->x, c * job->plane + taps.at[k]);
            adze_ops_put(job->y, c * job->points + at, sum);
        }
    }
}

/* float32: pictures with the channels last, so that a tap is a row; a block of points is turned back. */
static void sample_block(void *user, int64_t piece, int worker)
{
    const sample_job *job = user;
    const adze_rows_table *rows = &job->run->kernels->rows;
    int64_t c = job->x->dims[1], each = (job->points + POINTS - 1) / POINTS;
    int64_t n = piece / each, first = piece % each * POINTS;
    int64_t count = ADZE_MIN(POINTS, job->points - first);
    float *block = job->blocks + worker * POINTS * c;
    memset(block, 0, (size_t)(count * c) * sizeof *block);
    for (int64_t i = 0; i < count; i++) {
        sample_taps taps;
        float weights[MOST_TAPS];
        point_taps(job, n * job->points + first + i, &taps);
        for (int64_t k = 0; k < taps.count; k++) {
            taps.at[k] *= c;
            weights[k] = (float)taps.weight[k];
        }
        rows->blend(c, taps.count, job->turned + n * job->plane * c, taps.at, weights,
                    block + i * c);
    }
    rows->transpose_4(count, c, block, c, (float *)job->y->data + n * c * job->points + first,
                      job->points);
}

static void turn_picture(void *user, int64_t n, int worker)
{
    ADZE_UNUSED(worker);
    const sample_job *job = user;
    int64_t c = job->x->dims[1], at = n * c * job->plane;
    adze_transpose(&job->run->kernels->rows, sizeof(float), c, job->plane,
                   (const float *)job->x->data + at, job->turned + at);
}

static size_t sample_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    return x->dtype == ADZE_F32
               ? (x->size + 63) / 64 * 64 +
                     (size_t)(adze_run_threads(run) * POINTS * x->dims[1]) * sizeof(float)
               : 0;
}

static adze_status sample_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *grid = run->inputs[1];
    const char *mode = adze_node_string(run->node, "mode", "linear");
    const char *padding = adze_node_string(run->node, "padding_mode", "zeros");
    sample_job job = {.run = run,
                      .turned = run->scratch,
                      .blocks = (float *)run->scratch + (x->size + 63) / 64 * 16,
                      .x = x,
                      .grid = grid,
                      .y = run->outputs[0],
                      .spatial = x->rank - 2};
    job.mode = strstr(mode, "nearest") ? NEAREST : strstr(mode, "cubic") ? CUBIC : LINEAR;
    job.padding = strcmp(padding, "border") == 0       ? BORDER
                  : strcmp(padding, "reflection") == 0 ? REFLECTION
                                                       : ZEROS;
    job.align = adze_node_int(run->node, "align_corners", 0) != 0;
    if (job.spatial > 3 || grid->dims[grid->rank - 1] != job.spatial || grid->dims[0] != x->dims[0])
        return adze_ops_bad(run->node, err, "the grid does not fit the picture");
    job.points = job.plane = 1;
    for (int i = 0; i < job.spatial; i++) {
        job.points *= grid->dims[1 + i];
        job.plane *= x->dims[2 + i];
    }
    if (adze_tensor_elements(job.y) == 0 || job.plane == 0)
        return ADZE_OK;
    if (x->dtype == ADZE_F32) {
        adze_run_parallel(run, x->dims[0], turn_picture, &job);
        adze_run_parallel(run, x->dims[0] * ((job.points + POINTS - 1) / POINTS), sample_block,
                          &job);
    } else {
        adze_ops_parallel(run, job.points * x->dims[0], 256, sample_range, &job);
    }
    return ADZE_OK;
}

/* ---- Col2Im: x [N, C * block, places] -> [N, C, picture ...], overlapping places add up ---- */

typedef struct col_window {
    int spatial;
    int64_t image[6], block[6], places[6], dilation[6], pad[12], stride[6];
} col_window;

static void read_list(const adze_node *node, const char *name, int64_t *out, int n,
                      int64_t otherwise)
{
    int count;
    const int64_t *given = adze_node_ints(node, name, &count);
    for (int i = 0; i < n; i++)
        out[i] = given && count == n ? given[i] : otherwise;
}

static adze_status read_window(col_window *w, const adze_run *run, adze_error *err)
{
    w->spatial = adze_ops_tensor_ints(run->inputs[1], w->image, 6);
    if (w->spatial < 1 || adze_ops_tensor_ints(run->inputs[2], w->block, 6) != w->spatial)
        return adze_ops_bad(run->node, err, "image_shape and block_shape differ in length");
    read_list(run->node, "dilations", w->dilation, w->spatial, 1);
    read_list(run->node, "strides", w->stride, w->spatial, 1);
    read_list(run->node, "pads", w->pad, 2 * w->spatial, 0);
    for (int i = 0; i < w->spatial; i++) {
        if (w->stride[i] < 1 || w->block[i] < 1 || w->dilation[i] < 1)
            return adze_ops_bad(run->node, err, "strides, dilations and block must be positive");
        const int64_t all[] = {w->stride[i], w->block[i], w->dilation[i],
                               w->image[i],  w->pad[i],   w->pad[i + w->spatial]};
        for (size_t k = 0; k < ADZE_COUNT_OF(all); k++)
            if (all[k] > INT32_MAX || all[k] < (k < 4 ? 0 : -INT32_MAX))
                return adze_ops_bad(run->node, err, "a size does not fit 31 bits");
        int64_t room = w->image[i] + w->pad[i] + w->pad[i + w->spatial] -
                       w->dilation[i] * (w->block[i] - 1) - 1;
        w->places[i] = room < 0 ? 0 : room / w->stride[i] + 1;
    }
    return ADZE_OK;
}

static adze_status col_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    adze_dim image[ADZE_MAX_RANK], block[ADZE_MAX_RANK], all = 1;
    int n = adze_ops_ints(infer, 1, image, ADZE_MAX_RANK - 2);
    int m = adze_ops_ints(infer, 2, block, ADZE_MAX_RANK - 2);
    if (!x || n < 0 || m < 0)
        return ADZE_OK;
    if (x->rank != 3 || n != m)
        return adze_ops_bad(adze_infer_node(infer), err,
                            "the input must be [N, C * block, places]");
    adze_type y = *x;
    y.rank = n + 2;
    for (int i = 0; i < n; i++) {
        if (block[i] < 1)
            return adze_ops_bad(adze_infer_node(infer), err, "bad block_shape");
        all = adze_infer_mul(infer, all, block[i]);
        y.dims[i + 2] = image[i];
    }
    y.dims[1] = adze_infer_div(infer, x->dims[1], all);
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

typedef struct col_job {
    const adze_run *run;
    col_window w;
    int64_t block, places, picture;
} col_job;

/* y[i * stride] += x[i] for a run of places. */
static void add_places(const col_job *j, int64_t n, int64_t from, int64_t to, int64_t stride)
{
    const adze_tensor *x = j->run->inputs[0];
    adze_tensor *y = j->run->outputs[0];
    if (x->dtype == ADZE_F32 && stride == 1) {
        float *sums = (float *)y->data + to;
        j->run->kernels->eltwise.binary[ADZE_BINARY_ADD][ADZE_FORM_VV](
            n, sums, (const float *)x->data + from, sums);
        return;
    }
    for (int64_t i = 0; i < n; i++, to += stride)
        adze_ops_put(y, to, adze_ops_get(y, to) + adze_ops_get(x, from + i));
}

/* A tap of all places lands on the picture, a run of places along the last axis at a time. */
static void add_tap(const col_job *j, const int64_t *tap, int64_t from, int64_t picture)
{
    const col_window *w = &j->w;
    int d = w->spatial - 1;
    int64_t line = w->places[d], stride = w->stride[d];
    int64_t start = tap[d] * w->dilation[d] - w->pad[d]; /* of place 0 */
    int64_t first = start < 0 ? (stride - 1 - start) / stride : 0;
    int64_t last =
        start < w->image[d] ? ADZE_MIN((w->image[d] - start + stride - 1) / stride, line) : 0;
    int64_t place[6] = {0};
    for (int64_t p = 0; p < j->places && first < last; p += line) {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < d; i++) {
            int64_t v = place[i] * w->stride[i] + tap[i] * w->dilation[i] - w->pad[i];
            inside &= v >= 0 && v < w->image[i];
            at = at * w->image[i] + v;
        }
        if (inside)
            add_places(j, last - first, from + p + first,
                       picture + at * w->image[d] + start + first * stride, stride);
        for (int i = d - 1; i >= 0 && ++place[i] == w->places[i]; i--)
            place[i] = 0;
    }
}

static void col_channel(void *user, int64_t channel, int worker)
{
    ADZE_UNUSED(worker);
    const col_job *j = user;
    int64_t tap[6] = {0};
    for (int64_t b = 0; b < j->block && !adze_run_is_late(j->run); b++) {
        add_tap(j, tap, (channel * j->block + b) * j->places, channel * j->picture);
        for (int i = j->w.spatial - 1; i >= 0 && ++tap[i] == j->w.block[i]; i--)
            tap[i] = 0;
    }
}

static adze_status col_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    col_job j = {.run = run};
    ADZE_TRY(read_window(&j.w, run, err));
    j.block = adze_shape_elements(j.w.spatial, j.w.block);
    j.places = adze_shape_elements(j.w.spatial, j.w.places);
    j.picture = adze_shape_elements(j.w.spatial, j.w.image);
    if (x->dims[2] != j.places || x->dims[1] != y->dims[1] * j.block)
        return adze_ops_bad(run->node, err, "the columns do not fit image_shape and block_shape");
    memset(y->data, 0, y->size);
    adze_run_parallel(run, y->dims[0] * y->dims[1], col_channel, &j);
    return ADZE_OK;
}

/* ---- Det ---- */

static adze_status det_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    if (x->rank < 2)
        return adze_ops_bad(adze_infer_node(infer), err, "no matrix");
    adze_infer_set_tensor(infer, 0, x->dtype, x->rank - 2, x->dims);
    return ADZE_OK;
}

static size_t det_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    int64_t n = x->dims[x->rank - 1];
    return (size_t)n * (size_t)n * sizeof(double);
}

/* Gaussian elimination with the largest pivot of each column. */
static double determinant(const adze_run *run, double *a, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n && !(n > 64 && adze_run_is_late(run)); k++) {
        int64_t pivot = k;
        for (int64_t r = k + 1; r < n; r++)
            if (fabs(a[r * n + k]) > fabs(a[pivot * n + k]))
                pivot = r;
        if (a[pivot * n + k] == 0)
            return 0;
        if (pivot != k)
            det = -det;
        for (int64_t c = k; c < n && pivot != k; c++) {
            double t = a[k * n + c];
            a[k * n + c] = a[pivot * n + c];
            a[pivot * n + c] = t;
        }
        det *= a[k * n + k];
        for (int64_t r = k + 1; r < n && !(r % 256 == 0 && adze_run_is_late(run)); r++) {
            const double *top = a + k * n;
            double *row = a + r * n, f = row[k] / top[k];
            ADZE_SIMD
            for (int64_t c = k + 1; c < n; c++) /* column k is not looked at again */
                row[c] -= f * top[c];
        }
    }
    return det;
}

static adze_status det_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int64_t n = x->dims[x->rank - 1];
    double *a = run->scratch;
    if (x->dims[x->rank - 2] != n)
        return adze_ops_bad(run->node, err, "matrices are not square");
    for (int64_t m = 0; m < adze_tensor_elements(run->outputs[0]) && !adze_run_is_late(run); m++) {
        for (int64_t i = 0; i < n * n; i++)
            a[i] = adze_ops_get(x, m * n * n + i);
        adze_tensor_set_f64(run->outputs[0], m, determinant(run, a, n));
    }
    return ADZE_OK;
}

static adze_status float_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    bool ok = !x->quant && adze_ops_element(x->dtype) && kind != ADZE_KIND_STRING &&
              kind != ADZE_KIND_COMPLEX;
    return ok ? ADZE_OK : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

#define ROW(text, version, inputs)                                                                 \
    .domain = "", .name = text, .since = version, .min_inputs = inputs, .max_inputs = inputs,      \
    .min_outputs = 1, .max_outputs = 1, .prepare = float_prepare

const adze_op adze_ops_grid[] = {
    {ROW("AffineGrid", 20, 2), .attrs = "align_corners", .infer = affine_infer, .run = affine_run},
    {ROW("GridSample", 16, 2), .attrs = "align_corners mode padding_mode", .infer = sample_infer,
     .scratch = sample_scratch, .run = sample_run},
    {ROW("Col2Im", 18, 3), .attrs = "dilations pads strides", .infer = col_infer, .run = col_run},
    {ROW("Det", 11, 1), .attrs = "", .infer = det_infer, .scratch = det_scratch, .run = det_run},
    {.name = NULL},
};
