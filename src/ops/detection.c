/* Boxes and regions: NonMaxSuppression, RoiAlign, MaxRoiPool; and MaxUnpool, which puts maxima back
 * where MaxPool found them. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

/* ---- NonMaxSuppression: boxes [N, B, 4], scores [N, C, B] -> [selected, 3] ---- */

static adze_status nms_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *boxes = adze_ops_ranked(infer, 0), *scores = adze_ops_ranked(infer, 1);
    const adze_node *node = adze_infer_node(infer);
    if ((boxes && boxes->rank != 3) || (scores && scores->rank != 3))
        return adze_ops_bad(node, err, "boxes and scores must have 3 axes");
    if (boxes && adze_dim_known(boxes->dims[2]) && boxes->dims[2] != 4)
        return adze_ops_bad(node, err, "a box must be 4 numbers");
    adze_dim dims[2] = {0, 3}, all = INT64_MAX;
    if (scores) {
        all = adze_infer_mul(infer, scores->dims[0], scores->dims[1]);
        all = adze_dim_upper(infer->dims, adze_infer_mul(infer, all, scores->dims[2]));
    }
    for (int i = 2; i < 5; i++)
        ADZE_TRY(adze_ops_need_scalar(infer, i, err));
    dims[0] = adze_infer_unknown(infer, all < 0 ? INT64_MAX : all);
    adze_infer_set_tensor(infer, 0, ADZE_I64, 2, dims);
    return ADZE_OK;
}

typedef struct corners {
    float y1, x1, y2, x2, area;
} corners;

typedef struct nms_job {
    const adze_run *run;
    const float *boxes, *scores;
    int64_t count, classes, most;
    bool centered;
    float iou, least;  /* thresholds */
    int32_t *selected; /* [batches * classes, count] */
    int64_t *found;    /* [batches * classes] */
    int32_t *heaps;    /* [workers, count] */
    corners *kept;     /* [workers, count]: the selected boxes */
} nms_job;

static corners box_at(const nms_job *j, int64_t i)
{
    const float *b = j->boxes + 4 * i;
    float y1 = ADZE_MIN(b[0], b[2]), x1 = ADZE_MIN(b[1], b[3]), y2 = ADZE_MAX(b[0], b[2]),
          x2 = ADZE_MAX(b[1], b[3]);
    if (j->centered) {
        y1 = b[1] - b[3] / 2;
        x1 = b[0] - b[2] / 2;
        y2 = b[1] + b[3] / 2;
        x2 = b[0] + b[2] / 2;
    }
    return (corners){y1, x1, y2, x2, (y2 - y1) * (x2 - x1)};
}

static bool overlap(const nms_job *j, const corners *a, const corners *b)
{
    float h = ADZE_MIN(a->y2, b->y2) - ADZE_MAX(a->y1, b->y1);
    float w = ADZE_MIN(a->x2, b->x2) - ADZE_MAX(a->x1, b->x1);
    if (!(h > 0 && w > 0 && a->area > 0 && b->area > 0))
        return false;
    float both = h * w, either = a->area + b->area - both;
    return either > 0 && both / either > j->iou;
}

/* Largest score first, then the lower index. */
static bool before(const float *scores, int32_t a, int32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

static void sift_down(const float *scores, int32_t *heap, int64_t n, int64_t at)
{
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && before(scores, heap[child + 1], heap[child]))
            child++;
        if (!before(scores, heap[child], heap[at]))
            return;
        int32_t t = heap[at];
        heap[at] = heap[child];
        heap[child] = t;
        at = child;
    }
}

/* One class of one picture. */
static void nms_class(void *user, int64_t piece, int worker)
{
    const nms_job *j = user;
    const float *scores = j->scores + piece * j->count;
    int32_t *heap = j->heaps + worker * j->count, *selected = j->selected + piece * j->count;
    corners *kept = j->kept + worker * j->count;
    int64_t n = 0, found = 0, first = piece / j->classes * j->count;
    for (int64_t i = 0; i < j->count; i++)
        if (scores[i] > j->least)
            heap[n++] = (int32_t)i;
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(scores, heap, n, i);
    int64_t looked = 0; /* pairs since the clock was asked */
    while (n > 0 && found < j->most) {
        if ((looked += found + 64) > 65536) {
            looked = 0;
            if (adze_run_is_late(j->run))
                break;
        }
        int32_t best = heap[0];
        corners box = box_at(j, first + best);
        bool keep = true;
        for (int64_t i = 0; i < found && keep; i++)
            keep = !overlap(j, &box, &kept[i]);
        if (keep) {
            kept[found] = box;
            selected[found++] = best;
        }
        heap[0] = heap[--n];
        sift_down(scores, heap, n, 0);
    }
    j->found[piece] = found;
}

static size_t nms_scratch(const adze_run *run)
{
    const adze_tensor *s = run->inputs[1];
    size_t classes = (size_t)(s->dims[0] * s->dims[1]), boxes = (size_t)s->dims[2],
           threads = (size_t)adze_run_threads(run);
    return classes * sizeof(int64_t) + (classes + threads) * boxes * sizeof(int32_t) +
           threads * boxes * sizeof(corners);
}

static adze_status nms_read(nms_job *j, const adze_run *run, adze_error *err)
{
    const adze_tensor *boxes = run->inputs[0], *scores = run->inputs[1];
    const adze_tensor *most = adze_ops_input(run, 2), *iou = adze_ops_input(run, 3);
    const adze_tensor *least = adze_ops_input(run, 4);
    for (int i = 2; i < 5; i++)
        if (adze_ops_input(run, i) && adze_tensor_elements(run->inputs[i]) != 1)
            return adze_ops_bad(run->node, err, "the limits must be single numbers");
    if (boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2] ||
        boxes->dims[2] != 4 || boxes->dims[1] > INT32_MAX)
        return adze_ops_bad(run->node, err, "boxes and scores do not fit");
    *j = (nms_job){.run = run,
                   .boxes = boxes->data,
                   .scores = scores->data,
                   .count = scores->dims[2],
                   .classes = scores->dims[1],
                   .most = most ? adze_tensor_get_i64(most, 0) : 0,
                   .centered = adze_node_int(run->node, "center_point_box", 0) != 0,
                   .iou = iou ? (float)adze_tensor_get_f64(iou, 0) : 0,
                   .least = least ? (float)adze_tensor_get_f64(least, 0) : -INFINITY};
    if (!(j->iou >= 0 && j->iou <= 1))
        return adze_ops_bad(run->node, err, "iou_threshold must lie in [0, 1]");
    return ADZE_OK;
}

static adze_status nms_run(adze_run *run, adze_error *err)
{
    nms_job j = {0};
    ADZE_TRY(nms_read(&j, run, err));
    int64_t pieces = run->inputs[1]->dims[0] * j.classes, total = 0, at = 0;
    j.found = run->scratch;
    j.selected = (int32_t *)(j.found + pieces);
    j.heaps = j.selected + pieces * j.count;
    j.kept = (corners *)(void *)(j.heaps + adze_run_threads(run) * j.count);
    memset(j.found, 0, (size_t)pieces * sizeof *j.found); /* out of time, some are not visited */
    adze_run_parallel(run, pieces, nms_class, &j);
    for (int64_t p = 0; p < pieces; p++)
        total += j.found[p];
    int64_t dims[2] = {total, 3};
    ADZE_TRY(adze_run_resize(run, 0, ADZE_I64, 2, dims, err));
    int64_t *y = run->outputs[0]->data;
    for (int64_t p = 0; p < pieces; p++)
        for (int64_t i = 0; i < j.found[p]; i++) {
            y[at++] = p / j.classes;
            y[at++] = p % j.classes;
            y[at++] = j.selected[p * j.count + i];
        }
    return ADZE_OK;
}

static adze_status nms_prepare(adze_prepare *prepare, adze_error *err)
{
    for (int i = 0; i < 2; i++) {
        const adze_tensor *x = adze_prepare_input(prepare, i);
        if (x->dtype != ADZE_F32 || x->quant)
            return adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
    }
    return ADZE_OK;
}

/* ---- regions: x [N, C, H, W], rois [R, 4 or 5] -> [R, C, height, width] ---- */

static adze_status region_shape(adze_infer *infer, int64_t columns, int64_t height, int64_t width,
                                adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *rois = adze_ops_ranked(infer, 1);
    const adze_node *node = adze_infer_node(infer);
    if (!x || !rois)
        return ADZE_OK;
    if (x->rank != 4 || rois->rank != 2 ||
        (adze_dim_known(rois->dims[1]) && rois->dims[1] != columns))
        return adze_ops_bad(node, err, "the picture must have 4 axes, the regions 2");
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
        return adze_ops_bad(node, err, "the size of a region must be positive");
    adze_dim dims[4] = {rois->dims[0], x->dims[1], height, width};
    adze_infer_set_tensor(infer, 0, adze_ops_real(x).dtype, 4, dims);
    return ADZE_OK;
}

static const char *const align_modes[] = {"half_pixel", "output_half_pixel", NULL};
static const char *const region_modes[] = {"avg", "max", NULL};

static adze_status align_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const char *shift = adze_node_string(node, "coordinate_transformation_mode", "half_pixel");
    if (adze_ops_choice(align_modes, shift) < 0 ||
        adze_ops_choice(region_modes, adze_node_string(node, "mode", "avg")) < 0)
        return adze_ops_bad(node, err, "unknown mode");
    return region_shape(infer, 4, adze_node_int(node, "output_height", 1),
                        adze_node_int(node, "output_width", 1), err);
}

typedef struct align_job {
    const adze_run *run;
    const adze_tensor *x, *rois, *pictures;
    adze_tensor *y;
    bool max, half;
    int64_t ratio;
    float scale;
    float *turned,
        *own; /* scratch: pictures with the channels last; of each worker, see align_region */
} align_job;

/* One axis of a region: where it begins, how large a bin is, how many samples it takes. Coordinates are
 * float32, as in ONNX Runtime: they decide what is outside. */
typedef struct align_axis {
    float start, bin;
    int64_t samples;
} align_axis;

static align_axis axis_of(const align_job *j, int64_t roi, int which, int64_t bins)
{
    float shift = j->half ? 0.5f : 0;
    float begin = (float)adze_ops_get(j->rois, roi * 4 + which) * j->scale - shift;
    float size = (float)adze_ops_get(j->rois, roi * 4 + which + 2) * j->scale - shift - begin;
    if (!j->half)
        size = fmaxf(size, 1);
    align_axis a = {begin, size / (float)bins, j->ratio};
    if (j->ratio <= 0)
        a.samples = a.bin > 0 ? (int64_t)fminf(ceilf(a.bin), 1e6f) : 0;
    return a;
}

/* The two lines around a coordinate and the weight of the second; false: outside. */
static bool lines_at(float v, int64_t n, int64_t line[2], double *weight)
{
    if (!(v >= -1 && v <= (float)n))
        return false;
    v = fminf(fmaxf(v, 0), (float)(n - 1));
    line[0] = (int64_t)v;
    line[1] = ADZE_MIN(line[0] + 1, n - 1);
    *weight = (double)(v - (float)line[0]);
    return true;
}

enum { CHANNELS = 64 };

typedef struct align_tap {
    int64_t at[4];
    double weight[4];
} align_tap;

static void add_tap(const align_job *j, const align_tap *t, int64_t plane, int64_t size, int n,
                    bool first, double *sums)
{
    for (int c = 0; c < n; c++, plane += size) {
        double v[4];
        for (int k = 0; k < 4; k++)
            v[k] = t->weight[k] * adze_ops_get(j->x, plane + t->at[k]);
        if (!j->max)
            sums[c] += v[0] + v[1] + v[2] + v[3];
        else {
            double most = fmax(fmax(v[0], v[1]), fmax(v[2], v[3]));
            sums[c] = first ? most : fmax(sums[c], most);
        }
    }
}

/* What sample s of a bin reads; outside, the first pixel times 0. */
static align_tap tap_of(const align_job *j, const align_axis axes[2], const int64_t bin[2],
                        int64_t s)
{
    int64_t h = j->x->dims[2], w = j->x->dims[3];
    int64_t at[2] = {s / axes[1].samples, s % axes[1].samples}, y[2] = {0}, x[2] = {0};
    double fy = 0, fx = 0;
    float v[2];
    for (int k = 0; k < 2; k++)
        v[k] = axes[k].start + (float)bin[k] * axes[k].bin +
               ((float)at[k] + 0.5f) * axes[k].bin / (float)axes[k].samples;
    if (!lines_at(v[0], h, y, &fy) || !lines_at(v[1], w, x, &fx))
        return (align_tap){{0}, {0}};
    return (align_tap){{y[0] * w + x[0], y[0] * w + x[1], y[1] * w + x[0], y[1] * w + x[1]},
                       {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx}};
}

/* One bin of up to CHANNELS channels. */
static void align_bin(const align_job *j, const align_axis axes[2], const int64_t bin[2],
                      int64_t plane, int n, double *sums)
{
    int64_t size = j->x->dims[2] * j->x->dims[3];
    for (int c = 0; c < n; c++)
        sums[c] = 0;
    const int64_t samples = axes[0].samples * axes[1].samples;
    for (int64_t s = 0; s < samples && (s % 1024 != 1023 || !adze_run_is_late(j->run)); s++) {
        align_tap tap = tap_of(j, axes, bin, s);
        add_tap(j, &tap, plane * size, size, n, s == 0, sums);
    }
    double count = (double)ADZE_MAX(axes[0].samples * axes[1].samples, 1);
    for (int c = 0; c < n && !j->max; c++)
        sums[c] /= count;
}

static void align_bins(void *user, int64_t begin, int64_t end, int worker)
{
    const align_job *j = user;
    ADZE_UNUSED(worker);
    int64_t height = j->y->dims[2], width = j->y->dims[3], channels = j->y->dims[1];
    for (int64_t i = begin; i < end; i++) {
        int64_t roi = i / (height * width), place = i % (height * width);
        int64_t bin[2] = {place / width, place % width};
        align_axis axes[2] = {axis_of(j, roi, 1, height), axis_of(j, roi, 0, width)};
        int64_t picture = adze_tensor_get_i64(j->pictures, roi);
        for (int64_t c = 0; c < channels; c += CHANNELS) {
            double sums[CHANNELS];
            int n = (int)ADZE_MIN(CHANNELS, channels - c);
            align_bin(j, axes, bin, picture * channels + c, n, sums);
            for (int k = 0; k < n; k++)
                adze_ops_put(j->y, (roi * channels + c + k) * height * width + place, sums[k]);
        }
    }
}

/* ---- float32 regions that cover much of the pictures: these with their channels last, so that a pixel is a row; an
 * average is one sum of weighted rows, since its weights are those of its lines times those of its columns ---- */

enum { ROWS = 64 }; /* blended at once */

static bool by_channels(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    return x->dtype == ADZE_F32 &&
           4 * y->dims[0] * y->dims[2] * y->dims[3] >= x->dims[0] * x->dims[2] * x->dims[3];
}

static size_t turned_size(const adze_run *run)
{
    return (run->inputs[0]->size + 63) / 64 * 64;
}

/* Of each worker: the weights of lines and columns, or two pixels; then the bins of a region. */
static size_t own_floats(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    return (size_t)(x->dims[2] + x->dims[3] + y->dims[1] * (2 + y->dims[2] * y->dims[3]));
}

static size_t align_scratch(const adze_run *run)
{
    return by_channels(run)
               ? turned_size(run) + own_floats(run) * sizeof(float) * (size_t)adze_run_threads(run)
               : 0;
}

/* Weights of the lines that a bin reads along one axis, from the first on; how many. */
static int64_t line_weights(const align_axis *a, int64_t bin, int64_t n, float *weights,
                            int64_t *first)
{
    int64_t last = -1, line[2];
    double part;
    *first = n;
    memset(weights, 0, (size_t)n * sizeof *weights);
    for (int64_t s = 0; s < a->samples; s++) {
        float v = a->start + (float)bin * a->bin + ((float)s + 0.5f) * a->bin / (float)a->samples;
        if (!lines_at(v, n, line, &part))
            continue;
        weights[line[0]] += (float)(1 - part);
        weights[line[1]] += (float)part;
        *first = ADZE_MIN(*first, line[0]);
        last = ADZE_MAX(last, line[1]);
    }
    return last + 1 - *first;
}

/* The largest weighted pixel of all samples of a bin. */
static void align_largest(const align_job *j, const align_axis axes[2], const int64_t bin[2],
                          const float *x, float *term, float *out)
{
    const adze_eltwise_table *e = &j->run->kernels->eltwise;
    const int64_t n = j->x->dims[1], samples = axes[0].samples * axes[1].samples;
    for (int64_t s = 0; s < samples && (s % 1024 != 1023 || !adze_run_is_late(j->run)); s++) {
        align_tap tap = tap_of(j, axes, bin, s);
        for (int k = 0; k < 4; k++) {
            const float weight = (float)tap.weight[k];
            float *to = s + k ? term : out;
            e->binary[ADZE_BINARY_MUL][ADZE_FORM_VS](n, x + tap.at[k] * n, &weight, to);
            if (s + k)
                e->binary[ADZE_BINARY_MAX][ADZE_FORM_VV](n, out, term, out);
        }
    }
}

static void align_region(void *user, int64_t roi, int worker)
{
    const align_job *j = user;
    const adze_rows_table *rows = &j->run->kernels->rows;
    int64_t h = j->x->dims[2], w = j->x->dims[3], channels = j->y->dims[1];
    int64_t height = j->y->dims[2], width = j->y->dims[3], bins = height * width;
    align_axis axes[2] = {axis_of(j, roi, 1, height), axis_of(j, roi, 0, width)};
    float *wy = j->own + (size_t)worker * own_floats(j->run), *wx = wy + h;
    float *out = wx + w + 2 * channels;
    const float *x = j->turned + adze_tensor_get_i64(j->pictures, roi) * h * w * channels;
    const float count = (float)ADZE_MAX(axes[0].samples * axes[1].samples, 1);
    memset(out, 0, (size_t)(bins * channels) * sizeof *out);
    for (int64_t bin = 0; bin < bins && !adze_run_is_late(j->run); bin++) {
        int64_t top, left, at[ROWS], taps = 0, place[2] = {bin / width, bin % width};
        float weights[ROWS];
        if (j->max) {
            align_largest(j, axes, place, x, wy, out + bin * channels);
            continue;
        }
        int64_t lines = line_weights(&axes[0], bin / width, h, wy, &top);
        int64_t columns = line_weights(&axes[1], bin % width, w, wx, &left);
        for (int64_t i = 0; i < lines; i++)
            for (int64_t k = 0; k < columns; k++) {
                float weight = wy[top + i] * wx[left + k] / count;
                at[taps] = ((top + i) * w + left + k) * channels;
                weights[taps] = weight;
                taps += weight != 0;
                if (taps == ROWS || (i == lines - 1 && k == columns - 1)) {
                    rows->blend(channels, taps, x, at, weights, out + bin * channels);
                    taps = 0;
                }
            }
    }
    rows->transpose_4(bins, channels, out, channels, (float *)j->y->data + roi * channels * bins,
                      bins);
}

static void turn_picture(void *user, int64_t n, int worker)
{
    ADZE_UNUSED(worker);
    const align_job *j = user;
    int64_t c = j->x->dims[1], plane = j->x->dims[2] * j->x->dims[3];
    adze_transpose(&j->run->kernels->rows, sizeof(float), c, plane,
                   (const float *)j->x->data + n * c * plane, j->turned + n * c * plane);
}

static adze_status align_run(adze_run *run, adze_error *err)
{
    const adze_node *node = run->node;
    align_job j = {.run = run,
                   .x = run->inputs[0],
                   .rois = run->inputs[1],
                   .pictures = run->inputs[2],
                   .y = run->outputs[0],
                   .max = strcmp(adze_node_string(node, "mode", "avg"), "max") == 0,
                   .half = *adze_node_string(node, "coordinate_transformation_mode", "h") == 'h',
                   .ratio = adze_node_int(node, "sampling_ratio", 0),
                   .scale = adze_node_float(node, "spatial_scale", 1)};
    int64_t rois = j.rois->dims[0];
    if (j.rois->dims[1] != 4 || adze_tensor_elements(j.pictures) != rois)
        return adze_ops_bad(node, err, "regions and their pictures do not fit");
    if (adze_tensor_elements(j.y) == 0)
        return ADZE_OK;
    if (j.x->dims[2] < 1 || j.x->dims[3] < 1 || j.ratio > 4096)
        return adze_ops_bad(node, err, "an empty picture, or too many samples");
    for (int64_t r = 0; r < rois; r++) {
        int64_t picture = adze_tensor_get_i64(j.pictures, r);
        if (picture < 0 || picture >= j.x->dims[0])
            return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): region %lld is of picture %lld",
                             adze_node_name(node), adze_node_op(node), (long long)r,
                             (long long)picture);
        align_axis a = axis_of(&j, r, 0, j.y->dims[3]), b = axis_of(&j, r, 1, j.y->dims[2]);
        if (a.samples * b.samples > 1 << 24)
            return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): region %lld is too large",
                             adze_node_name(node), adze_node_op(node), (long long)r);
    }
    if (by_channels(run)) {
        j.turned = run->scratch;
        j.own = j.turned + turned_size(run) / sizeof(float);
        adze_run_parallel(run, j.x->dims[0], turn_picture, &j);
        adze_run_parallel(run, rois, align_region, &j);
    } else {
        adze_ops_parallel(run, rois * j.y->dims[2] * j.y->dims[3], 16, align_bins, &j);
    }
    return ADZE_OK;
}

static adze_status roi_pool_infer(adze_infer *infer, adze_error *err)
{
    int n;
    const int64_t *shape = adze_node_ints(adze_infer_node(infer), "pooled_shape", &n);
    if (n != 2)
        return adze_ops_bad(adze_infer_node(infer), err, "pooled_shape must be 2 numbers");
    return region_shape(infer, 5, shape[0], shape[1], err);
}

/* First or one past the last line of a bin, inside the picture. */
static int64_t bin_edge(float v, int64_t start, int64_t n)
{
    double at = (double)v + (double)start;
    return at < 0 ? 0 : at > (double)n ? n : (int64_t)at;
}

static double largest_in(const adze_tensor *x, int64_t plane, const int64_t from[2],
                         const int64_t to[2])
{
    double most = -INFINITY;
    for (int64_t h = from[0]; h < to[0]; h++)
        for (int64_t w = from[1]; w < to[1]; w++) {
            double v = adze_ops_get(x, plane + h * x->dims[3] + w);
            most = v > most ? v : most;
        }
    return from[0] < to[0] && from[1] < to[1] ? most : 0;
}

/* A region: of which picture, the line and column where it begins, its size. */
typedef struct pool_region {
    int64_t picture, start[2], size[2];
} pool_region;

static adze_status read_region(pool_region *region, const align_job *j, int64_t r, adze_error *err)
{
    const adze_node *node = j->run->node;
    double picture = adze_ops_get(j->rois, r * 5);
    if (!(picture >= 0 && picture < (double)j->x->dims[0]))
        return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): region %lld is of picture %g",
                         adze_node_name(node), adze_node_op(node), (long long)r, picture);
    region->picture = (int64_t)picture;
    for (int k = 0; k < 2; k++) { /* y, x */
        float begin = roundf((float)adze_ops_get(j->rois, r * 5 + 2 - k) * j->scale);
        float end = roundf((float)adze_ops_get(j->rois, r * 5 + 4 - k) * j->scale);
        if (!(fabsf(begin) < 1e9f && fabsf(end) < 1e9f))
            return adze_ops_bad(node, err, "a region is out of range");
        region->start[k] = (int64_t)begin;
        region->size[k] = ADZE_MAX((int64_t)end - (int64_t)begin + 1, 1);
    }
    return ADZE_OK;
}

/* All channels of a bin, pixel after pixel. */
static void largest_pixels(const align_job *j, int64_t picture, const int64_t from[2],
                           const int64_t to[2], float *out)
{
    const adze_binary_f32_fn max = j->run->kernels->eltwise.binary[ADZE_BINARY_MAX][ADZE_FORM_VV];
    int64_t c = j->x->dims[1], h = j->x->dims[2], w = j->x->dims[3];
    bool any = from[0] < to[0] && from[1] < to[1];
    for (int64_t k = 0; k < c; k++)
        out[k] = any ? -INFINITY : 0;
    for (int64_t y = from[0]; y < to[0]; y++)
        for (int64_t x = from[1]; x < to[1]; x++)
            max(c, out, j->turned + ((picture * h + y) * w + x) * c, out);
}

static void pool_one_region(void *user, int64_t r, int worker)
{
    const align_job *j = user;
    const adze_tensor *x = j->x;
    int64_t channels = j->y->dims[1], bins[2] = {j->y->dims[2], j->y->dims[3]};
    int64_t count = bins[0] * bins[1];
    float *out = j->own + (size_t)worker * own_floats(j->run);
    pool_region region = {0};
    if (read_region(&region, j, r, NULL) != ADZE_OK)
        return; /* seen before */
    for (int64_t i = 0; i < count && !adze_run_is_late(j->run); i++) {
        int64_t bin[2] = {i / bins[1], i % bins[1]}, from[2], to[2];
        for (int k = 0; k < 2; k++) {
            float each = (float)region.size[k] / (float)bins[k];
            from[k] = bin_edge(floorf((float)bin[k] * each), region.start[k], x->dims[2 + k]);
            to[k] = bin_edge(ceilf((float)(bin[k] + 1) * each), region.start[k], x->dims[2 + k]);
        }
        if (j->turned)
            largest_pixels(j, region.picture, from, to, out + i * channels);
        for (int64_t c = 0; c < channels && !j->turned; c++)
            adze_ops_put(
                j->y, (r * channels + c) * count + i,
                largest_in(x, (region.picture * channels + c) * x->dims[2] * x->dims[3], from, to));
    }
    if (j->turned)
        j->run->kernels->rows.transpose_4(count, channels, out, channels,
                                          (float *)j->y->data + r * channels * count, count);
}

static adze_status roi_pool_run(adze_run *run, adze_error *err)
{
    align_job j = {.run = run,
                   .x = run->inputs[0],
                   .rois = run->inputs[1],
                   .y = run->outputs[0],
                   .scale = adze_node_float(run->node, "spatial_scale", 1)};
    pool_region region = {0};
    if (j.rois->dims[1] != 5)
        return adze_ops_bad(run->node, err, "a region must be 5 numbers");
    for (int64_t r = 0; r < j.rois->dims[0]; r++)
        ADZE_TRY(read_region(&region, &j, r, err));
    if (adze_tensor_elements(j.y) == 0)
        return ADZE_OK;
    if (by_channels(run)) {
        j.turned = run->scratch;
        j.own = j.turned + turned_size(run) / sizeof(float);
        adze_run_parallel(run, j.x->dims[0], turn_picture, &j);
    }
    adze_run_parallel(run, j.rois->dims[0], pool_one_region, &j);
    return ADZE_OK;
}

/* ---- MaxUnpool ---- */

typedef struct unpool {
    int spatial;
    int64_t kernel[ADZE_MAX_RANK], stride[ADZE_MAX_RANK], pads[ADZE_MAX_RANK]; /* both sides */
} unpool;

static adze_status read_unpool(unpool *u, const adze_node *node, int rank, adze_error *err)
{
    int kernels, strides, pads;
    const int64_t *kernel = adze_node_ints(node, "kernel_shape", &kernels);
    const int64_t *stride = adze_node_ints(node, "strides", &strides);
    const int64_t *pad = adze_node_ints(node, "pads", &pads);
    u->spatial = rank - 2;
    if (u->spatial < 1 || kernels != u->spatial || (stride && strides != u->spatial) ||
        (pad && pads != 2 * u->spatial))
        return adze_ops_bad(node, err, "kernel_shape, strides or pads do not fit the input");
    for (int i = 0; i < u->spatial; i++) {
        u->kernel[i] = kernel[i];
        u->stride[i] = stride ? stride[i] : 1;
        u->pads[i] = pad ? pad[i] + pad[i + u->spatial] : 0;
        if (kernel[i] < 1 || u->stride[i] < 1 || u->pads[i] < 0 || kernel[i] > INT32_MAX ||
            u->stride[i] > INT32_MAX || u->pads[i] > INT32_MAX)
            return adze_ops_bad(node, err, "kernel_shape, strides or pads out of range");
    }
    return ADZE_OK;
}

static adze_status unpool_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    unpool u;
    adze_dim given[ADZE_MAX_RANK];
    if (!x)
        return ADZE_OK;
    ADZE_TRY(read_unpool(&u, adze_infer_node(infer), x->rank, err));
    adze_type y = *x;
    bool asked = infer->input_count > 2 && adze_infer_input(infer, 2);
    int n = asked ? adze_ops_ints(infer, 2, given, ADZE_MAX_RANK) : -1;
    if (n >= 0 && n != x->rank)
        return adze_ops_bad(adze_infer_node(infer), err, "output_shape has the wrong length");
    for (int i = 0; i < x->rank && asked; i++)
        y.dims[i] = n >= 0 ? given[i] : adze_infer_unknown(infer, INT64_MAX);
    for (int i = 0; i < u.spatial && !asked; i++) {
        adze_dim d = adze_infer_sub(infer, x->dims[2 + i], 1);
        d = adze_infer_add(infer, adze_infer_mul(infer, d, u.stride[i]), u.kernel[i]);
        y.dims[2 + i] = adze_infer_sub(infer, d, u.pads[i]);
    }
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* Indices count in the picture that the attributes give; output_shape may enlarge it afterwards. */
static adze_status unpool_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *places = run->inputs[1];
    adze_tensor *y = run->outputs[0];
    int64_t own[ADZE_MAX_RANK] = {0}, n = adze_tensor_elements(x);
    size_t size = adze_ops_element(x->dtype);
    unpool u = {0};
    ADZE_TRY(read_unpool(&u, run->node, x->rank, err));
    for (int i = 0; i < x->rank; i++) {
        own[i] = i < 2 ? x->dims[i]
                       : (x->dims[i] - 1) * u.stride[i - 2] + u.kernel[i - 2] - u.pads[i - 2];
        if (own[i] < 0 || own[i] > y->dims[i])
            return adze_ops_bad(run->node, err, "output_shape is smaller than what pooling saw");
    }
    int64_t total = adze_shape_elements(x->rank, own);
    if (adze_tensor_elements(places) != n)
        return adze_ops_bad(run->node, err, "input and indices differ in size");
    bool same = total == adze_tensor_elements(y);
    memset(y->data, 0, y->size);
    for (int64_t i = 0; i < n && !adze_ops_is_late(run, i); i++) {
        int64_t rest = places->dtype == ADZE_I64 ? ((const int64_t *)places->data)[i]
                                                 : adze_tensor_get_i64(places, i);
        int64_t at = same ? rest : 0, step = 1;
        if (rest < 0 || rest >= total)
            return adze_fail(err, ADZE_BAD_DATA,
                             "node %s (%s): index %lld is outside of %lld elements",
                             adze_node_name(run->node), adze_node_op(run->node), (long long)rest,
                             (long long)total);
        for (int k = x->rank - 1; k >= 0 && !same; k--) {
            const int64_t most = ADZE_MAX(own[k], 1);
            at += rest % most * step;
            rest /= most;
            step *= y->dims[k];
        }
        if (x->dtype == ADZE_F32)
            ((float *)y->data)[at] = ((const float *)x->data)[i];
        else
            memcpy((uint8_t *)y->data + (size_t)at * size,
                   (const uint8_t *)x->data + (size_t)i * size, size);
    }
    return ADZE_OK;
}

#define ROW(text, version, least, most)                                                            \
    .domain = "", .name = text, .since = version, .min_inputs = least, .max_inputs = most,         \
    .min_outputs = 1, .max_outputs = 1

const adze_op adze_ops_detection[] = {
    {ROW("NonMaxSuppression", 10, 2, 5), .flags = ADZE_OP_DATA_SIZED, .attrs = "center_point_box",
     .infer = nms_infer, .prepare = nms_prepare, .scratch = nms_scratch, .run = nms_run},
    {ROW("RoiAlign", 16, 3, 3),
     .attrs = "coordinate_transformation_mode mode output_height output_width sampling_ratio "
              "spatial_scale",
     .infer = align_infer, .prepare = adze_ops_prepare_float, .scratch = align_scratch,
     .run = align_run},
    {ROW("MaxRoiPool", 1, 2, 2), .attrs = "pooled_shape spatial_scale", .infer = roi_pool_infer,
     .prepare = adze_ops_prepare_float, .scratch = align_scratch, .run = roi_pool_run},
    {ROW("MaxUnpool", 9, 2, 3), .attrs = "kernel_shape pads strides", .infer = unpool_infer,
     .prepare = adze_ops_prepare_float, .run = unpool_run},
    {.name = NULL},
};
