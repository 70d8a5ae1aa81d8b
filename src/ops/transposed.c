/* ConvTranspose. float32: each row of the output is the sum of matrix
 * products of input rows with the taps of one kernel row, whose columns are spread over the row
 * (channels last; other nodes are turned in scratch); a channel on its own takes its taps pixel by
 * pixel. Everything else: plain loops in double. */
#include <math.h>
#include <string.h>

#include "ops/execute.h"
#include "ops/fused.h"
#include "ops/helpers.h"
#include "ops/window.h"

static bool is_last(const adze_node *node)
{
    return adze_node_int(node, ADZE_FUSED_CHANNELS_LAST, 0) != 0;
}

/* ---- inference ---- */

static adze_dim output_size(adze_infer *infer, const adze_window *w, int i, adze_dim in,
                            int64_t extra)
{
    if (w->auto_pad == ADZE_PAD_SAME_LOWER || w->auto_pad == ADZE_PAD_SAME_UPPER)
        return adze_infer_mul(infer, in, w->stride[i]);
    int64_t rest = extra + adze_window_span(w, i) - w->pad_begin[i] - w->pad_end[i];
    adze_dim grown = adze_infer_mul(infer, adze_infer_sub(infer, in, 1), w->stride[i]);
    return rest >= 0 ? adze_infer_add(infer, grown, rest) : adze_infer_sub(infer, grown, -rest);
}

/* What the attributes say of axis i beside the window. */
static int64_t listed(const adze_node *node, const char *name, int i, int64_t otherwise)
{
    int count;
    const int64_t *values = adze_node_ints(node, name, &count);
    return i < count ? values[i] : otherwise;
}

static adze_status check_weights(const adze_infer *infer, adze_dim channels, const adze_type *w,
                                 adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    int64_t groups = adze_node_int(node, "group", 1);
    if (groups < 1 || (w->dims[0] >= 0 && w->dims[0] % groups != 0) ||
        (channels >= 0 && w->dims[0] >= 0 && channels != w->dims[0]))
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s '%s': input has %lld channels, weights take %lld in %lld groups",
                         adze_node_op(node), adze_node_name(node), (long long)channels,
                         (long long)w->dims[0], (long long)groups);
    return adze_conv_check_bias(infer, w->dims[1] < 0 ? -1 : w->dims[1] * groups, err);
}

static adze_status transposed_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_infer_input(infer, 0), *w = adze_infer_input(infer, 1);
    if (x->rank < 0 || w->rank < 0)
        return ADZE_OK;
    int rank = x->rank - 2, c = is_last(node) ? x->rank - 1 : 1;
    if (x->rank < 3 || w->rank != x->rank || rank > ADZE_WINDOW_MAX)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input of rank %d, weights of rank %d",
                         adze_node_op(node), adze_node_name(node), x->rank, w->rank);
    ADZE_TRY(check_weights(infer, x->dims[c], w, err));
    for (int i = 2; i < w->rank; i++)
        if (w->dims[i] < 0)
            return ADZE_OK;
    adze_window window;
    ADZE_TRY(adze_window_read(&window, node, rank, &w->dims[2], err));
    adze_type y = *x;
    y.quant = NULL;
    y.dims[c] = adze_infer_mul(infer, w->dims[1], adze_node_int(node, "group", 1));
    for (int i = 0; i < rank; i++) {
        int at = (is_last(node) ? 1 : 2) + i;
        int64_t wanted = listed(node, "output_shape", i, -1);
        int64_t extra = listed(node, "output_padding", i, 0);
        if (wanted > INT32_MAX || extra > INT32_MAX || extra < 0)
            return adze_ops_bad(node, err, "output_shape or output_padding is out of range");
        y.dims[at] = wanted >= 0 ? wanted : output_size(infer, &window, i, x->dims[at], extra);
    }
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static void transposed_cost(adze_cost *cost, const adze_node *node,
                            const adze_tensor *const *inputs, const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    const adze_tensor *w = inputs[1];
    if (w->rank > 0 && w->dims[0] > 0)
        cost->operations = 2.0 * (double)adze_tensor_elements(inputs[0]) *
                           (double)adze_tensor_elements(w) / (double)w->dims[0];
}

/* Pads that make the output the wanted size (output_shape, SAME_*): ONNX ConvTranspose. */
static void resolve(adze_window *w, const adze_node *node, const int64_t *in, const int64_t *out)
{
    if (!adze_node_has(node, "output_shape") && w->auto_pad != ADZE_PAD_SAME_UPPER &&
        w->auto_pad != ADZE_PAD_SAME_LOWER)
        return;
    for (int i = 0; i < w->rank; i++) {
        int64_t total = w->stride[i] * (in[i] - 1) + listed(node, "output_padding", i, 0) +
                        adze_window_span(w, i) - out[i];
        int64_t half =
            total / 2; /* what is missing for an output larger than it would be: at the end */
        w->pad_begin[i] = w->auto_pad == ADZE_PAD_SAME_UPPER || total < 0 ? half : total - half;
        w->pad_end[i] = total - w->pad_begin[i];
    }
}

/* ---- the geometry of the fast form: the last spatial axis is the width, all others are rows ---- */

typedef struct transposed_shape {
    int64_t n, h, w, c, oh, ow, oc, groups; /* h, oh: rows */
    int64_t kh, kw;                         /* kh: rows of the kernel */
    int64_t stride_w, dilation_w, pad_left;
    adze_window window;
    const int64_t *in, *out; /* spatial axes */
} transposed_shape;

static adze_status read_shape(transposed_shape *s, const adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *y = run->outputs[0];
    bool last = is_last(run->node);
    int c = last ? x->rank - 1 : 1, at = last ? 1 : 2, v = x->rank - 3;
    *s = (transposed_shape){.in = &x->dims[at], .out = &y->dims[at]};
    ADZE_TRY(adze_window_read(&s->window, run->node, x->rank - 2, &w->dims[2], err));
    resolve(&s->window, run->node, s->in, s->out);
    s->n = x->dims[0];
    s->c = x->dims[c];
    s->oc = y->dims[c];
    s->groups = adze_node_int(run->node, "group", 1);
    s->h = adze_ops_product(s->in, 0, v);
    s->oh = adze_ops_product(s->out, 0, v);
    s->kh = adze_ops_product(s->window.kernel, 0, v);
    s->w = s->in[v];
    s->ow = s->out[v];
    s->kw = s->window.kernel[v];
    s->stride_w = s->window.stride[v];
    s->dilation_w = s->window.dilation[v];
    s->pad_left = s->window.pad_begin[v];
    return ADZE_OK;
}

/* The input row that kernel row k brings to output row o; -1: none. */
static int64_t source_row(const transposed_shape *s, int64_t o, int64_t k)
{
    const adze_window *w = &s->window;
    int64_t row = 0, stride = 1;
    for (int d = w->rank - 2; d >= 0; d--) {
        int64_t at = o % s->out[d] + w->pad_begin[d] - k % w->kernel[d] * w->dilation[d];
        if (at < 0 || at % w->stride[d] != 0 || at / w->stride[d] >= s->in[d])
            return -1;
        row += at / w->stride[d] * stride;
        stride *= s->in[d];
        o /= s->out[d];
        k /= w->kernel[d];
    }
    return row;
}

/* ---- preparation ---- */

typedef struct transposed_prepared {
    bool fast;
    const float *packed; /* see pack_weights; NULL: weights that a run brings */
} transposed_prepared;

static int64_t groups_of(const adze_node *node)
{
    return adze_node_int(node, "group", 1);
}

/* Each channel on its own. */
static bool is_depthwise(const adze_tensor *w, int64_t groups)
{
    return groups == w->dims[0] && w->dims[1] == 1;
}

/* Floats of the packed matrix of one group and kernel row. */
static size_t packed_size(const adze_kernels *k, const adze_tensor *w, int64_t groups)
{
    size_t size = k->gemm_f32.packed_size(w->dims[1] * w->dims[w->rank - 1], w->dims[0] / groups);
    return (size + 15) & ~(size_t)15;
}

/* Floats of all packed weights, and behind them of one matrix before it is packed. */
static size_t weights_size(const adze_kernels *k, const adze_tensor *w, int64_t groups,
                           size_t *matrix)
{
    *matrix = 0;
    if (is_depthwise(w, groups))
        return (size_t)adze_tensor_elements(w);
    *matrix = (size_t)(w->dims[0] / groups * w->dims[1] * w->dims[w->rank - 1]);
    return packed_size(k, w, groups) *
           (size_t)(groups * adze_ops_product(&w->dims[2], 0, w->rank - 3));
}

/* Weights [c, oc / groups, rows, kw], channels `first` on, kernel row kh -> [c / groups, kw, oc / groups]. */
static void kernel_row(const adze_tensor *w, int64_t first, int64_t count, int64_t row, float *out)
{
    const float *from = w->data;
    int64_t oc = w->dims[1], kh = adze_ops_product(&w->dims[2], 0, w->rank - 3),
            kw = w->dims[w->rank - 1];
    for (int64_t c = 0; c < count; c++)
        for (int64_t t = 0; t < kw; t++)
            for (int64_t o = 0; o < oc; o++)
                out[(c * kw + t) * oc + o] = from[(((first + c) * oc + o) * kh + row) * kw + t];
}

/* [groups][kh] packed matrices [c / groups, kw * oc / groups]; depthwise: [taps][c]. */
static void pack_weights(const adze_kernels *k, const adze_tensor *w, int64_t groups, float *packed)
{
    int64_t kh = adze_ops_product(&w->dims[2], 0, w->rank - 3), per_group = w->dims[0] / groups;
    int64_t columns = w->dims[1] * w->dims[w->rank - 1];
    size_t matrix, size = packed_size(k, w, groups);
    float *row = packed + weights_size(k, w, groups, &matrix);
    if (is_depthwise(w, groups)) {
        adze_transpose(&k->rows, sizeof(float), w->dims[0],
                       adze_ops_product(&w->dims[2], 0, w->rank - 2), w->data, packed);
        return;
    }
    for (int64_t i = 0; i < groups * kh; i++) {
        kernel_row(w, i / kh * per_group, per_group, i % kh, row);
        k->gemm_f32.pack_b(columns, per_group, row, columns, 1, packed + (size_t)i * size);
    }
}

static adze_status pack(adze_prepare *prepare, transposed_prepared *p, adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    int64_t groups = groups_of(adze_prepare_node(prepare));
    size_t matrix, size = weights_size(k, w, groups, &matrix);
    float *packed = adze_prepare_alloc(prepare, (size + matrix) * sizeof(float));
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "ConvTranspose: packed weights");
    pack_weights(k, w, groups, packed);
    p->packed = packed;
    return ADZE_OK;
}

static adze_status transposed_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0), *w = adze_prepare_input(prepare, 1);
    if (x->quant || adze_dtype_describe(x->dtype)->kind != ADZE_KIND_FLOAT)
        return adze_fail(err, ADZE_UNSUPPORTED, "element type %s",
                         adze_dtype_describe(x->dtype)->name);
    transposed_prepared *p = adze_prepare_alloc(prepare, sizeof *p);
    if (!p)
        return adze_fail(err, ADZE_NO_MEMORY, "ConvTranspose");
    adze_prepare_set(prepare, p);
    p->fast = x->dtype == ADZE_F32;
    return p->fast && w->data && adze_tensor_elements(w) > 0 ? pack(prepare, p, err) : ADZE_OK;
}

/* ---- fast: rows of the output ---- */

typedef struct fast_job {
    const adze_run *run;
    const float *packed;
    size_t packed_size; /* floats of one matrix */
    bool depthwise;
    transposed_shape s;
    const float *x, *bias;
    float *y, *columns;   /* the latter: [workers][w, kw * oc / groups] */
    int32_t *taps, *rows; /* of depthwise_row: [ow][kw + 1][2], [workers][kh][2] */
    float lo, hi;
} fast_job;

static size_t column_count(const transposed_shape *s)
{
    return (size_t)(s->w * s->kw * (s->oc / s->groups));
}

/* Adds the products of one input row to an output row, at the columns where they land: all taps of a pixel at once
 * where these are neighbours there. */
static void spread(const fast_job *j, const float *columns, float *row)
{
    const transposed_shape *s = &j->s;
    const adze_binary_f32_fn add = j->run->kernels->eltwise.binary[ADZE_BINARY_ADD][ADZE_FORM_VV];
    int64_t oc = s->oc / s->groups, step = s->groups == 1 && s->dilation_w == 1 ? s->kw : 1;
    for (int64_t i = 0; i < s->w; i++)
        for (int64_t t = 0; t < s->kw; t += step) {
            int64_t o = i * s->stride_w + t * s->dilation_w - s->pad_left;
            int64_t first = ADZE_MAX(0, -o), last = ADZE_MIN(step, s->ow - o);
            const float *from = columns + (i * s->kw + t + first) * oc;
            float *to = row + (o + first) * s->oc;
            if (first < last)
                add((last - first) * oc, to, from, to);
        }
}

/* Whether columns lie in a row of the output as they come. */
static bool is_tiled(const transposed_shape *s)
{
    return s->groups == 1 && s->stride_w == s->kw && s->dilation_w == 1 && s->pad_left == 0 &&
           s->ow >= s->w * s->kw;
}

/* Output row gets the products with kernel row k of input row `in`. */
static void add_row(const fast_job *j, int64_t image, int64_t in, int64_t k, float *columns,
                    float *row)
{
    const transposed_shape *s = &j->s;
    int64_t per_group = s->c / s->groups, oc = s->oc / s->groups;
    for (int64_t g = 0; g < s->groups; g++) {
        adze_gemm_f32_args args = {.m = s->w,
                                   .n = s->kw * oc,
                                   .k = per_group,
                                   .a = j->x + (image * s->h + in) * s->w * s->c + g * per_group,
                                   .lda = s->c,
                                   .b = j->packed + (size_t)(g * s->kh + k) * j->packed_size,
                                   .c = columns,
                                   .ldc = s->kw * oc,
                                   .lo = -INFINITY,
                                   .hi = INFINITY};
        if (is_tiled(s)) {
            args.c = row;
            args.residual = row;
            args.ldr = args.ldc;
        }
        j->run->kernels->gemm_f32.run(&args);
        if (!is_tiled(s))
            spread(j, columns, row + g * oc);
    }
}

static void begin_row(const fast_job *j, float *row)
{
    size_t bytes = (size_t)j->s.oc * sizeof *row;
    for (int64_t i = 0; i < j->s.ow; i++)
        if (j->bias)
            memcpy(row + i * j->s.oc, j->bias, bytes);
        else
            memset(row + i * j->s.oc, 0, bytes);
}

static void end_row(const fast_job *j, float *row)
{
    if (isinf(j->lo) && isinf(j->hi))
        return;
    for (int64_t i = 0; i < j->s.ow * j->s.oc; i++) {
        float v = row[i];
        row[i] = v < j->lo ? j->lo : v > j->hi ? j->hi : v;
    }
}

/* For each output column the taps along the width that bring something: tap, input column; ends with -1. */
static void list_taps(const transposed_shape *s, int32_t *taps)
{
    for (int64_t o = 0; o < s->ow; o++, taps += 2 * (s->kw + 1)) {
        int32_t *to = taps;
        for (int64_t t = 0; t < s->kw; t++) {
            int64_t at = o + s->pad_left - t * s->dilation_w;
            if (at < 0 || at % s->stride_w != 0 || at / s->stride_w >= s->w)
                continue;
            *to++ = (int32_t)t;
            *to++ = (int32_t)(at / s->stride_w);
        }
        *to = -1;
    }
}

static void depthwise_row(const fast_job *j, int64_t image, int64_t o, int worker, float *row)
{
    enum { TAPS = 64 };
    const transposed_shape *s = &j->s;
    const adze_rows_table *kernels = &j->run->kernels->rows;
    const float *x = j->x + image * s->h * s->w * s->c;
    int32_t *rows = j->rows + (size_t)worker * 2 * (size_t)s->kh;
    const int32_t *taps = j->taps;
    int64_t from[TAPS], weights[TAPS], n = 0, count = 0;
    for (int64_t k = 0; k < s->kh; k++) {
        int64_t in = source_row(s, o, k);
        if (in < 0)
            continue;
        rows[2 * count] = (int32_t)k;
        rows[2 * count++ + 1] = (int32_t)in;
    }
    for (int64_t i = 0; i < s->ow; i++, row += s->c, taps += 2 * (s->kw + 1), n = 0) {
        for (int64_t r = 0; r < count; r++)
            for (const int32_t *t = taps; *t >= 0; t += 2) {
                from[n] = (rows[2 * r + 1] * s->w + t[1]) * s->c;
                weights[n++] = (rows[2 * r] * s->kw + t[0]) * s->c;
                if (n == TAPS) {
                    kernels->add_products(s->c, n, x, from, j->packed, weights, row);
                    n = 0;
                }
            }
        kernels->add_products(s->c, n, x, from, j->packed, weights, row);
    }
}

static void fast_row(void *user, int64_t piece, int worker)
{
    const fast_job *j = user;
    const transposed_shape *s = &j->s;
    int64_t image = piece / s->oh, o = piece % s->oh;
    float *row = j->y + piece * s->ow * s->oc;
    float *columns = j->columns + (size_t)worker * column_count(s);
    begin_row(j, row);
    if (j->depthwise)
        depthwise_row(j, image, o, worker, row);
    for (int64_t k = 0; k < s->kh && !j->depthwise; k++) {
        int64_t in = source_row(s, o, k);
        if (in >= 0)
            add_row(j, image, in, k, columns, row);
    }
    end_row(j, row);
}

/* ---- fast: scratch [columns of the workers, or taps and rows] [x] [y] [weights that a run brings] ---- */

typedef struct transposed_areas {
    size_t taps, rows, x, y, weights, total;
} transposed_areas;

static size_t take(size_t *at, size_t size)
{
    size_t begin = *at;
    *at += (size + 63) & ~(size_t)63;
    return begin;
}

static transposed_areas areas_of(const adze_run *run, const transposed_shape *s)
{
    const transposed_prepared *p = run->prepared;
    transposed_areas a = {0};
    size_t threads = (size_t)adze_run_threads(run), pair = 2 * sizeof(int32_t);
    if (is_depthwise(run->inputs[1], s->groups)) {
        a.taps = take(&a.total, (size_t)(s->ow * (s->kw + 1)) * pair);
        a.rows = take(&a.total, (size_t)s->kh * pair * threads);
    } else {
        take(&a.total, column_count(s) * sizeof(float) * threads);
    }
    if (!is_last(run->node)) {
        a.x = take(&a.total, run->inputs[0]->size);
        a.y = take(&a.total, run->outputs[0]->size);
    }
    if (!p->packed) {
        size_t matrix, size = weights_size(run->kernels, run->inputs[1], s->groups, &matrix);
        a.weights = take(&a.total, (size + matrix) * sizeof(float));
    }
    return a;
}

typedef struct turn_job {
    const adze_run *run;
    const float *from;
    float *to;
    int64_t rows, columns;
} turn_job;

static void turn_image(void *user, int64_t image, int worker)
{
    ADZE_UNUSED(worker);
    const turn_job *j = user;
    int64_t at = image * j->rows * j->columns;
    adze_transpose(&j->run->kernels->rows, sizeof(float), j->rows, j->columns, j->from + at,
                   j->to + at);
}

/* [n, rows, columns] -> [n, columns, rows] */
static void turn(adze_run *run, int64_t n, int64_t rows, int64_t columns, const float *from,
                 float *to)
{
    turn_job job = {run, from, to, rows, columns};
    adze_run_parallel(run, n, turn_image, &job);
}

static adze_status run_fast(adze_run *run, const transposed_prepared *p, adze_error *err)
{
    const adze_tensor *b = run->input_count > 2 ? run->inputs[2] : NULL;
    fast_job j = {.run = run,
                  .packed = p->packed,
                  .x = run->inputs[0]->data,
                  .bias = b ? b->data : NULL,
                  .y = run->outputs[0]->data,
                  .columns = run->scratch,
                  .lo = adze_node_float(run->node, ADZE_FUSED_LO, -INFINITY),
                  .hi = adze_node_float(run->node, ADZE_FUSED_HI, INFINITY)};
    ADZE_TRY(read_shape(&j.s, run, err));
    const transposed_shape *s = &j.s;
    transposed_areas a = areas_of(run, s);
    bool last = is_last(run->node);
    uint8_t *scratch = run->scratch;
    j.depthwise = is_depthwise(run->inputs[1], s->groups);
    j.packed_size = packed_size(run->kernels, run->inputs[1], s->groups);
    if (!j.packed) {
        float *packed = (float *)(void *)(scratch + a.weights);
        pack_weights(run->kernels, run->inputs[1], s->groups, packed);
        j.packed = packed;
    }
    if (j.depthwise) {
        j.taps = (int32_t *)(void *)(scratch + a.taps);
        j.rows = (int32_t *)(void *)(scratch + a.rows);
        list_taps(s, j.taps);
    }
    if (!last) {
        float *x = (float *)(void *)(scratch + a.x);
        turn(run, s->n, s->c, s->h * s->w, j.x, x);
        j.x = x;
        j.y = (float *)(void *)(scratch + a.y);
    }
    adze_run_parallel(run, s->n * s->oh, fast_row, &j);
    if (!last)
        turn(run, s->n, s->oh * s->ow, s->oc, j.y, run->outputs[0]->data);
    return ADZE_OK;
}

/* ---- plain: any number of axes, any float type ---- */

typedef struct plain_job {
    adze_run *run;
    adze_window window;
    int64_t c, oc_group, groups, in_points, out_points, taps;
    float lo, hi;
} plain_job;

/* Where input point `in` with tap `t` lands, or -1. */
static int64_t landing(const plain_job *j, int64_t in, int64_t t)
{
    const adze_tensor *x = j->run->inputs[0], *y = j->run->outputs[0];
    int64_t out = 0, stride = 1;
    for (int d = j->window.rank - 1; d >= 0; d--) {
        int64_t i = in % x->dims[2 + d], k = t % j->window.kernel[d];
        in /= x->dims[2 + d];
        t /= j->window.kernel[d];
        int64_t o = i * j->window.stride[d] + k * j->window.dilation[d] - j->window.pad_begin[d];
        if (o < 0 || o >= y->dims[2 + d])
            return -1;
        out += o * stride;
        stride *= y->dims[2 + d];
    }
    return out;
}

/* One output channel of one image; sums in double scratch of the worker. */
static void plain_channel(void *user, int64_t piece, int worker)
{
    const plain_job *j = user;
    const adze_tensor *x = j->run->inputs[0], *w = j->run->inputs[1];
    const adze_tensor *b = j->run->input_count > 2 ? j->run->inputs[2] : NULL;
    int64_t oc = j->oc_group * j->groups, n = piece / oc, o = piece % oc;
    int64_t group = o / j->oc_group, per_group = j->c / j->groups;
    double *sum = (double *)j->run->scratch + (int64_t)worker * j->out_points;
    for (int64_t i = 0; i < j->out_points; i++)
        sum[i] = b ? adze_tensor_get_f64(b, o) : 0;
    for (int64_t in = 0; in < j->in_points && !adze_run_is_late(j->run); in++)
        for (int64_t t = 0; t < j->taps; t++) {
            int64_t out = landing(j, in, t);
            for (int64_t c = group * per_group; out >= 0 && c < (group + 1) * per_group; c++)
                sum[out] +=
                    adze_tensor_get_f64(x, (n * j->c + c) * j->in_points + in) *
                    adze_tensor_get_f64(w, (c * j->oc_group + o % j->oc_group) * j->taps + t);
        }
    for (int64_t i = 0; i < j->out_points && !adze_ops_is_late(j->run, i); i++) {
        double v = sum[i];
        v = v < (double)j->lo ? (double)j->lo : v > (double)j->hi ? (double)j->hi : v;
        adze_tensor_set_f64(j->run->outputs[0], piece * j->out_points + i, v);
    }
}

/* ---- both ---- */

static bool use_fast(const adze_run *run)
{
    const transposed_prepared *p = run->prepared;
    return p->fast && run->inputs[1]->dtype == ADZE_F32 && adze_tensor_elements(run->inputs[1]) > 0;
}

static size_t transposed_scratch(const adze_run *run)
{
    const adze_tensor *y = run->outputs[0];
    transposed_shape s;
    if (use_fast(run))
        return read_shape(&s, run, NULL) == ADZE_OK ? areas_of(run, &s).total : 0;
    int64_t points = y->dims[0] * y->dims[1];
    return points < 1 ? 0
                      : (size_t)(adze_tensor_elements(y) / points) * sizeof(double) *
                            (size_t)adze_run_threads(run);
}

static adze_status run_plain(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *y = run->outputs[0];
    plain_job j = {.run = run,
                   .c = x->dims[1],
                   .oc_group = w->dims[1],
                   .groups = adze_node_int(run->node, "group", 1),
                   .in_points = 1,
                   .out_points = 1,
                   .taps = 1,
                   .lo = adze_node_float(run->node, ADZE_FUSED_LO, -INFINITY),
                   .hi = adze_node_float(run->node, ADZE_FUSED_HI, INFINITY)};
    if (is_last(run->node))
        return adze_fail(err, ADZE_UNSUPPORTED, "ConvTranspose '%s': fused form without a kernel",
                         adze_node_name(run->node));
    ADZE_TRY(adze_window_read(&j.window, run->node, x->rank - 2, &w->dims[2], err));
    resolve(&j.window, run->node, &x->dims[2], &y->dims[2]);
    for (int i = 2; i < x->rank; i++) {
        j.in_points *= x->dims[i];
        j.out_points *= y->dims[i];
        j.taps *= w->dims[i];
    }
    adze_run_parallel(run, y->dims[0] * y->dims[1], plain_channel, &j);
    return ADZE_OK;
}

static adze_status transposed_run(adze_run *run, adze_error *err)
{
    const transposed_prepared *p = run->prepared;
    if (adze_tensor_elements(run->outputs[0]) == 0)
        return ADZE_OK;
    return use_fast(run) ? run_fast(run, p, err) : run_plain(run, err);
}

const adze_op adze_ops_transposed[] = {
    {.name = "ConvTranspose",
     .domain = "",
     .since = 1,
     .min_inputs = 2,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "auto_pad dilations group kernel_shape pads strides output_padding output_shape",
     .types = "a",
     .infer = transposed_infer,
     .cost = transposed_cost,
     .prepare = transposed_prepare,
     .scratch = transposed_scratch,
     .run = transposed_run},
    {0},
};
