/* MaxPool, AveragePool, LpPool and the global ones: channels-last through kernels/pool.h when float32 or
 * 8-bit with at most two spatial axes, MaxPool three, everything else by plain loops. */
#include <math.h>
#include <string.h>

#include "ops/execute.h"
#include "ops/fused.h"
#include "ops/helpers.h"
#include "ops/integer_linear.h"
#include "ops/window.h"

typedef enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP } pool_kind;

static bool is_last(const adze_node *node)
{
    return adze_node_int(node, ADZE_FUSED_CHANNELS_LAST, 0) != 0;
}

static pool_kind kind_of(const adze_node *node)
{
    const char *name = adze_node_op(node);
    return strstr(name, "Max") ? POOL_MAX : strstr(name, "Average") ? POOL_AVERAGE : POOL_LP;
}

static bool is_global(const adze_node *node)
{
    return adze_node_op(node)[0] == 'G';
}

/* ---- inference ---- */

static adze_status check_rank(const adze_node *node, int rank, adze_error *err)
{
    if (rank >= 3 && rank - 2 <= ADZE_WINDOW_MAX)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input of rank %d, expected at least 3",
                     adze_node_op(node), adze_node_name(node), rank);
}

static adze_status pool_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_infer_input(infer, 0);
    if (x->rank < 0)
        return ADZE_OK;
    ADZE_TRY(check_rank(node, x->rank, err));
    adze_type y = *x;
    y.quant = NULL;
    adze_window window = {0};
    if (!is_global(node))
        ADZE_TRY(adze_window_read(&window, node, x->rank - 2, NULL, err));
    for (int i = 0; i < x->rank - 2; i++) {
        int at = (is_last(node) ? 1 : 2) + i;
        y.dims[at] = is_global(node) ? 1 : adze_window_output(infer, &window, i, x->dims[at]);
    }
    adze_infer_set(infer, 0, &y);
    y.dtype = ADZE_I64; /* MaxPool's Indices */
    adze_infer_set(infer, 1, &y);
    return ADZE_OK;
}

static void pool_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    int n;
    const int64_t *kernel = adze_node_ints(node, "kernel_shape", &n);
    cost->operations = (double)adze_tensor_elements(outputs[0]);
    for (int i = 0; i < n; i++)
        cost->operations *= (double)kernel[i];
    if (is_global(node))
        cost->operations = (double)adze_tensor_elements(inputs[0]);
}

/* ---- geometry of the fast path ---- */

static adze_status window_of(adze_window *w, const adze_node *node, const adze_tensor *x,
                             adze_error *err)
{
    int at = is_last(node) ? 1 : 2, rank = x->rank - 2;
    if (is_global(node)) {
        *w = (adze_window){.rank = rank};
        for (int i = 0; i < rank; i++) {
            w->kernel[i] = x->dims[at + i];
            w->stride[i] = w->dilation[i] = 1;
        }
        return ADZE_OK;
    }
    ADZE_TRY(adze_window_read(w, node, rank, NULL, err));
    adze_window_resolve(w, &x->dims[at]);
    return ADZE_OK;
}

/* Of a volume, the pictures that are left when its depth is done. */
static adze_pool_shape shape_of(const adze_window *w, const adze_node *node, const adze_tensor *x,
                                const adze_tensor *y)
{
    int at = is_last(node) ? 1 : 2, rank = x->rank - 2, v = rank - 1, h = rank - 2;
    bool two = rank >= 2;
    return (adze_pool_shape){.n = x->dims[0] * (rank > 2 ? y->dims[2] : 1),
                             .h = two ? x->dims[at + h] : 1,
                             .w = x->dims[at + v],
                             .c = x->dims[is_last(node) ? x->rank - 1 : 1],
                             .oh = two ? y->dims[at + h] : 1,
                             .ow = y->dims[at + v],
                             .kh = two ? w->kernel[h] : 1,
                             .kw = w->kernel[v],
                             .stride_h = two ? w->stride[h] : 1,
                             .stride_w = w->stride[v],
                             .dilation_h = two ? w->dilation[h] : 1,
                             .dilation_w = w->dilation[v],
                             .pad_top = two ? w->pad_begin[h] : 0,
                             .pad_left = w->pad_begin[v],
                             .pad_bottom = two ? w->pad_end[h] : 0,
                             .pad_right = w->pad_end[v]};
}

static bool is_fast(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    bool type = x->dtype == ADZE_F32 || x->dtype == ADZE_U8 || x->dtype == ADZE_I8;
    bool indices = run->output_count > 1 && run->outputs[1];
    bool deep = kind_of(run->node) == POOL_MAX && !is_last(run->node) && !is_global(run->node);
    return type && x->rank <= (deep ? 5 : 4) && kind_of(run->node) != POOL_LP && !indices;
}

static size_t rounded(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* Whether the largest of windows is taken of their columns first, then of these: EARLY before the input is turned,
 * of which less is left then, or LATE, as large windows overlap much. The result is the same bit for bit. */
typedef enum two_steps { NOT, EARLY, LATE } two_steps;

static two_steps steps_of(const adze_run *run, const adze_pool_shape *s)
{
    if (kind_of(run->node) != POOL_MAX || is_global(run->node) || s->kh < 2)
        return NOT;
    if (!is_last(run->node) && s->stride_h > 1 && s->w >= 32)
        return EARLY;
    return 2 * (s->kh * s->w + s->kw * s->ow) <= s->kh * s->kw * s->ow ? LATE : NOT;
}

/* Scratch: [what the first of two steps gives] [the input turned] [the output before it is turned]
 * [a volume whose depth is done] */
typedef struct pool_areas {
    two_steps steps;
    size_t turned, result, deep, total;
} pool_areas;

static pool_areas areas_of(const adze_run *run, const adze_pool_shape *s)
{
    size_t e = (size_t)adze_dtype_describe(run->inputs[0]->dtype)->block_bytes;
    size_t row = (size_t)(s->n * s->c * s->w) * e;
    pool_areas a = {.steps = steps_of(run, s)};
    a.result = a.turned = a.steps ? rounded(row * (size_t)s->oh) : 0;
    if (!is_last(run->node))
        a.result += rounded(row * (size_t)(a.steps == EARLY ? s->oh : s->h));
    a.deep = a.result + (is_last(run->node) ? 0 : rounded(run->outputs[0]->size));
    a.total = a.deep + (run->inputs[0]->rank > 4 ? rounded(row * (size_t)s->h) : 0);
    return a;
}

static size_t pool_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    if (!is_fast(run)) /* a row of each worker: see plain_row */
        return (size_t)((x->dims[x->rank - 1] + 2 * y->dims[y->rank - 1]) * adze_run_threads(run)) *
               sizeof(double);
    adze_window w;
    if (window_of(&w, run->node, x, NULL) != ADZE_OK)
        return 0;
    adze_pool_shape s = shape_of(&w, run->node, x, y);
    return areas_of(run, &s).total;
}

/* ---- execution, channels last ---- */

static void average_q8(const adze_run *run, const adze_pool_shape *s, const void *x, void *y)
{
    const adze_tensor *tx = run->inputs[0], *ty = run->outputs[0];
    bool y_signed = ty->dtype == ADZE_I8;
    float sx = tx->quant ? adze_quant_scale(tx->quant, 0) : 1;
    float sy = ty->quant ? adze_quant_scale(ty->quant, 0) : 1;
    adze_pool_q8_args args = {.shape = *s,
                              .x = x,
                              .y = y,
                              .x_signed = tx->dtype == ADZE_I8,
                              .count_include_pad =
                                  adze_node_int(run->node, "count_include_pad", 0) != 0,
                              .x_zero = tx->quant ? adze_quant_zero(tx->quant, 0) : 0,
                              .y_zero = ty->quant ? adze_quant_zero(ty->quant, 0) : 0,
                              .lo = y_signed ? -128 : 0,
                              .hi = y_signed ? 127 : 255,
                              .scale = (float)((double)sx / (double)sy)};
    if (!is_global(run->node)) {
        adze_pool_average_q8(&run->kernels->pool, run->pool, &args);
        return;
    }
    adze_global_pool_q8_args g = {.hw = s->h * s->w,
                                  .c = s->c,
                                  .ldx = s->c,
                                  .x_signed = args.x_signed,
                                  .x_zero = args.x_zero,
                                  .y_zero = args.y_zero,
                                  .lo = args.lo,
                                  .hi = args.hi,
                                  .scale = args.scale};
    for (int64_t n = 0; n < s->n; n++) {
        g.x = (const uint8_t *)x + n * g.hw * g.c;
        g.y = (uint8_t *)y + n * g.c;
        run->kernels->pool.global_average_q8(&g);
    }
}

static void global_f32(const adze_run *run, const adze_pool_shape *s, const float *x, float *y)
{
    const adze_pool_table *t = &run->kernels->pool;
    bool max = kind_of(run->node) == POOL_MAX;
    for (int64_t n = 0; n < s->n; n++)
        (max ? t->global_max_f32 : t->global_average_f32)(
            s->h * s->w, s->c, x + n * s->h * s->w * s->c, s->c, y + n * s->c);
}

static void max_of(const adze_run *run, const adze_pool_shape *s, const void *x, void *y)
{
    const adze_pool_table *t = &run->kernels->pool;
    if (run->inputs[0]->dtype == ADZE_F32) {
        adze_pool_f32_args args = {.shape = *s, .x = x, .y = y};
        adze_pool_max_f32(t, run->pool, &args);
    } else {
        adze_pool_q8_args args = {
            .shape = *s, .x = x, .y = y, .x_signed = run->inputs[0]->dtype == ADZE_I8};
        adze_pool_max_q8(t, run->pool, &args);
    }
}

/* Each column of a window becomes one element; elements side by side are channels for that. */
static void max_of_columns(const adze_run *run, adze_pool_shape *s, bool last, const void *x,
                           void *y)
{
    adze_pool_shape first = *s;
    first.n = last ? s->n : s->n * s->c;
    first.c = last ? s->w * s->c : s->w;
    first.w = first.ow = first.kw = first.stride_w = first.dilation_w = 1;
    first.pad_left = first.pad_right = 0;
    max_of(run, &first, x, y);
    s->h = s->oh;
    s->kh = s->stride_h = s->dilation_h = 1;
    s->pad_top = s->pad_bottom = 0;
}

/* The depth of a volume; pixels side by side are channels for that. */
static void max_of_depths(const adze_run *run, const adze_window *w, void *y)
{
    const int64_t *dims = run->inputs[0]->dims;
    adze_pool_shape s = {.n = dims[0] * dims[1],
                         .h = dims[2],
                         .w = 1,
                         .c = dims[3] * dims[4],
                         .oh = run->outputs[0]->dims[2],
                         .ow = 1,
                         .kh = w->kernel[0],
                         .kw = 1,
                         .stride_h = w->stride[0],
                         .stride_w = 1,
                         .dilation_h = w->dilation[0],
                         .dilation_w = 1,
                         .pad_top = w->pad_begin[0],
                         .pad_bottom = w->pad_end[0]};
    max_of(run, &s, run->inputs[0]->data, y);
}

static void run_last(const adze_run *run, adze_pool_shape *s, const pool_areas *a, const void *x,
                     void *y)
{
    bool max = kind_of(run->node) == POOL_MAX, f32 = run->inputs[0]->dtype == ADZE_F32;
    if (a->steps == LATE) {
        max_of_columns(run, s, true, x, run->scratch);
        x = run->scratch;
    }
    if (f32 && is_global(run->node)) {
        global_f32(run, s, x, y);
    } else if (max) {
        max_of(run, s, x, y);
    } else if (f32) {
        adze_pool_f32_args args = {*s, x, y, adze_node_int(run->node, "count_include_pad", 0) != 0};
        adze_pool_average_f32(&run->kernels->pool, run->pool, &args);
    } else {
        average_q8(run, s, x, y);
    }
}

static void run_fast(const adze_run *run, const adze_window *w)
{
    const adze_tensor *y = run->outputs[0];
    const uint8_t *x = run->inputs[0]->data;
    adze_pool_shape s = shape_of(w, run->node, run->inputs[0], y);
    pool_areas a = areas_of(run, &s);
    uint8_t *scratch = run->scratch;
    if (is_last(run->node)) {
        run_last(run, &s, &a, x, y->data);
        return;
    }
    if (run->inputs[0]->rank > 4) {
        max_of_depths(run, w, scratch + a.deep);
        x = scratch + a.deep;
    }
    if (a.steps == EARLY) {
        max_of_columns(run, &s, false, x, scratch);
        x = scratch;
    }
    uint8_t *turned = scratch + a.turned, *result = scratch + a.result;
    size_t e = (size_t)adze_dtype_describe(y->dtype)->block_bytes;
    int64_t images = y->dims[0], each = s.n / images; /* pictures of a volume */
    int64_t in = each * s.h * s.w, out = each * s.oh * s.ow;
    for (int64_t n = 0; n < images; n++)
        adze_transpose(&run->kernels->rows, e, s.c, in, x + (size_t)(n * s.c * in) * e,
                       turned + (size_t)(n * s.c * in) * e);
    run_last(run, &s, &a, turned, result);
    for (int64_t n = 0; n < images; n++)
        adze_transpose(&run->kernels->rows, e, out, s.c, result + (size_t)(n * s.c * out) * e,
                       (uint8_t *)y->data + (size_t)(n * s.c * out) * e);
}

/* ---- plain loops: any axes, any type, indices; a row of the output at a time, in double ---- */

typedef struct plain_pool {
    adze_run *run;
    adze_window window;
    pool_kind kind;
    bool include_pad, column_major;
    double p;
    int64_t in_points, out_points;
    int64_t taps, width, out_width; /* taps of all axes but the last; sizes of the last one */
} plain_pool;

/* An output row in the making, and one of the input; memory of a worker. The largest is found by whole numbers of
 * the same order, for which the compiler needs no jumps. */
typedef struct plain_row {
    double *value, *line;
    int64_t *best, *keys;                /* in the place of these */
    int64_t *index;                      /* of the largest; -1: no tap yet */
    int64_t taps_inside, taps_in_padded; /* of all axes but the last */
} plain_row;

/* Whether a tap of all axes but the last lies inside the image, and where its line begins. */
static bool find_line(const plain_pool *j, const int64_t *at, const int64_t *tap, int64_t *offset,
                      bool *in_padded)
{
    const int64_t *dims = &j->run->inputs[0]->dims[2];
    const adze_window *w = &j->window;
    int64_t stride = j->width;
    bool inside = true;
    *offset = 0;
    *in_padded = true;
    for (int d = w->rank - 2; d >= 0; d--) {
        int64_t i = at[d] * w->stride[d] - w->pad_begin[d] + tap[d] * w->dilation[d];
        inside &= i >= 0 && i < dims[d];
        *in_padded &= i < dims[d] + w->pad_end[d];
        *offset += i * stride;
        stride *= dims[d];
    }
    return inside;
}

/* The next place of `count` axes, the last one fastest. */
static void step(int64_t *at, const int64_t *dims, int count)
{
    for (int d = count - 1; d >= 0 && ++at[d] == dims[d]; d--)
        at[d] = 0;
}

/* Order of numbers; all zeros are the same, NaN is the largest. */
static int64_t key_of(double v)
{
    int64_t bits;
    v += 0.0;
    memcpy(&bits, &v, sizeof bits);
    bits ^= (int64_t)((uint64_t)(bits >> 63) >> 1);
    return v == v ? bits : INT64_MAX;
}

/* What is compared or added up: a key for MaxPool, |x|^p for LpPool, else x. */
static void load_line(const plain_pool *j, int64_t at, const plain_row *r)
{
    for (int64_t i = 0; i < j->width; i++)
        r->line[i] = adze_ops_get(j->run->inputs[0], at + i);
    for (int64_t i = 0; i < j->width && j->kind == POOL_MAX; i++)
        r->keys[i] = key_of(r->line[i]);
    for (int64_t i = 0; i < j->width && j->kind == POOL_LP; i++)
        r->line[i] = j->p == 2 ? r->line[i] * r->line[i] : pow(fabs(r->line[i]), j->p);
}

/* Output columns [*first, *last) for which tap k of the last axis lies below `size`, and not below 0. */
static void columns_of_tap(const plain_pool *j, int64_t k, int64_t size, int64_t *first,
                           int64_t *last)
{
    const adze_window *w = &j->window;
    int d = w->rank - 1;
    int64_t stride = w->stride[d], begin = k * w->dilation[d] - w->pad_begin[d];
    *first = begin < 0 ? (stride - 1 - begin) / stride : 0;
    if (begin + (j->out_width - 1) * stride < size)
        *last = j->out_width;
    else
        *last = begin < size ? (size - begin + stride - 1) / stride : 0;
}

/* The line of the input at element `line`, which is `offset` in its image. */
static void add_line(const plain_pool *j, const plain_row *r, int64_t line, int64_t offset)
{
    const adze_tensor *x = j->run->inputs[0];
    const float *floats =
        x->dtype == ADZE_F32 && j->kind == POOL_AVERAGE ? (const float *)x->data + line : NULL;
    int d = j->window.rank - 1;
    int64_t stride = j->window.stride[d];
    if (!floats)
        load_line(j, line, r);
    for (int64_t k = 0; k < j->window.kernel[d]; k++) {
        int64_t at = k * j->window.dilation[d] - j->window.pad_begin[d], o, last;
        columns_of_tap(j, k, j->width, &o, &last);
        at += o * stride;
        for (; o < last && floats; o++, at += stride)
            r->value[o] += (double)floats[at];
        for (; o < last && j->kind != POOL_MAX; o++, at += stride)
            r->value[o] += r->line[at];
        for (; o < last; o++, at += stride) {
            int64_t key = r->keys[at], best = r->best[o], index = r->index[o];
            r->best[o] = key > best ? key : best;
            r->index[o] = key > best ? offset + at : index;
        }
    }
}

/* index: how many taps of the last axis count for each column. */
static void finish_average(const plain_pool *j, const plain_row *r)
{
    int d = j->window.rank - 1;
    int64_t lines = j->include_pad ? r->taps_in_padded : r->taps_inside, o, last;
    int64_t size = j->width + (j->include_pad ? j->window.pad_end[d] : 0);
    memset(r->index, 0, (size_t)j->out_width * sizeof *r->index);
    for (int64_t k = 0; k < j->window.kernel[d]; k++)
        for (columns_of_tap(j, k, size, &o, &last), o = j->include_pad ? 0 : o; o < last; o++)
            r->index[o]++;
    for (o = 0; o < j->out_width; o++)
        r->value[o] /= (double)ADZE_MAX(lines * r->index[o], 1);
}

/* storage_order 1: the index as if the spatial axes were stored in reverse. */
static int64_t stored_index(const plain_pool *j, int64_t image, int64_t offset)
{
    const adze_tensor *x = j->run->inputs[0];
    offset = ADZE_MAX(offset, 0);
    if (!j->column_major)
        return image * j->in_points + offset;
    int64_t out = 0, at[ADZE_WINDOW_MAX];
    for (int d = j->window.rank - 1; d >= 0; d--) {
        at[d] = offset % x->dims[2 + d];
        offset /= x->dims[2 + d];
    }
    for (int d = j->window.rank - 1; d >= 0; d--)
        out = out * x->dims[2 + d] + at[d];
    return image * j->in_points + out;
}

static void finish_row(const plain_pool *j, const plain_row *r, int64_t image, int64_t to)
{
    adze_tensor *indices = j->run->output_count > 1 ? j->run->outputs[1] : NULL;
    for (int64_t o = 0; o < j->out_width && indices; o++)
        ((int64_t *)indices->data)[to + o] = stored_index(j, image, r->index[o]);
    if (j->kind == POOL_AVERAGE)
        finish_average(j, r);
    for (int64_t o = 0; o < j->out_width; o++) {
        double v = r->value[o];
        if (j->kind == POOL_LP)
            v = j->p == 2 ? sqrt(v) : pow(v, 1 / j->p);
        else if (j->kind == POOL_MAX)
            v = r->index[o] < 0
                    ? -(double)INFINITY
                    : adze_ops_get(j->run->inputs[0], image * j->in_points + r->index[o]);
        adze_ops_put(j->run->outputs[0], to + o, v);
    }
}

static void clear_row(const plain_pool *j, plain_row *r)
{
    r->taps_inside = r->taps_in_padded = 0;
    for (int64_t o = 0; o < j->out_width; o++)
        if (j->kind == POOL_MAX) {
            r->best[o] = INT64_MIN;
            r->index[o] = -1;
        } else {
            r->value[o] = 0;
        }
}

static void plain_image(void *user, int64_t image, int worker)
{
    const plain_pool *j = user;
    const adze_tensor *y = j->run->outputs[0];
    int lead = j->window.rank - 1;
    plain_row r = {.value = (double *)j->run->scratch + worker * (2 * j->out_width + j->width)};
    r.line = r.value + j->out_width;
    r.best = (int64_t *)(void *)r.value;
    r.keys = (int64_t *)(void *)r.line;
    r.index = r.keys + j->width;
    int64_t at[ADZE_WINDOW_MAX] = {0};
    for (int64_t to = 0; to < j->out_points && !adze_run_is_late(j->run); to += j->out_width) {
        int64_t tap[ADZE_WINDOW_MAX] = {0};
        clear_row(j, &r);
        for (int64_t t = 0, offset; t < j->taps; t++, step(tap, j->window.kernel, lead)) {
            bool in_padded, inside = find_line(j, at, tap, &offset, &in_padded);
            r.taps_in_padded += in_padded;
            r.taps_inside += inside;
            if (inside)
                add_line(j, &r, image * j->in_points + offset, offset);
        }
        finish_row(j, &r, image, image * j->out_points + to);
        step(at, &y->dims[2], lead);
    }
}

static adze_status pool_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    plain_pool j = {.run = run,
                    .kind = kind_of(run->node),
                    .include_pad = adze_node_int(run->node, "count_include_pad", 0) != 0,
                    .column_major = adze_node_int(run->node, "storage_order", 0) != 0,
                    .p = (double)adze_node_int(run->node, "p", 2),
                    .in_points = 1,
                    .out_points = 1,
                    .taps = 1,
                    .width = x->dims[x->rank - 1],
                    .out_width = y->dims[y->rank - 1]};
    ADZE_TRY(window_of(&j.window, run->node, x, err));
    if (adze_tensor_elements(y) == 0)
        return ADZE_OK;
    if (is_fast(run)) {
        run_fast(run, &j.window);
        return ADZE_OK;
    }
    if (is_last(run->node))
        return adze_fail(err, ADZE_INTERNAL, "%s '%s': channels-last form without a kernel",
                         adze_node_op(run->node), adze_node_name(run->node));
    for (int i = 2; i < x->rank; i++) {
        j.in_points *= x->dims[i];
        j.out_points *= y->dims[i];
        j.taps *= i < x->rank - 1 ? j.window.kernel[i - 2] : 1;
    }
    adze_run_parallel(run, x->dims[0] * x->dims[1], plain_image, &j);
    return ADZE_OK;
}

static adze_status pool_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    if (kind != ADZE_KIND_FLOAT && x->dtype != ADZE_U8 && x->dtype != ADZE_I8)
        return adze_fail(err, ADZE_UNSUPPORTED, "element type %s",
                         adze_dtype_describe(x->dtype)->name);
    if (x->quant && (x->quant->count != 1 || x->rank > 4))
        return adze_fail(err, ADZE_UNSUPPORTED, "integer pooling of this form");
    return ADZE_OK;
}

#define POOL_ATTRS "auto_pad ceil_mode dilations kernel_shape pads strides "
#define POOL_ROW(op_name, first, outputs, rule, attr_names)                                        \
    {                                                                                              \
        .name = op_name, .domain = "", .since = first, .min_inputs = 1, .max_inputs = 1,           \
        .min_outputs = 1, .max_outputs = outputs, .quant = rule, .attrs = attr_names,              \
        .infer = pool_infer, .cost = pool_cost, .prepare = pool_prepare, .scratch = pool_scratch,  \
        .run = pool_run                                                                            \
    }

const adze_op adze_ops_pooling[] = {
    POOL_ROW("MaxPool", 8, 2, ADZE_QUANT_MOVE, POOL_ATTRS "storage_order"),
    POOL_ROW("AveragePool", 7, 1, ADZE_QUANT_COMPUTE, POOL_ATTRS "count_include_pad"),
    POOL_ROW("LpPool", 2, 1, ADZE_QUANT_NEVER, POOL_ATTRS "p"),
    POOL_ROW("GlobalMaxPool", 1, 1, ADZE_QUANT_MOVE, ""),
    POOL_ROW("GlobalAveragePool", 1, 1, ADZE_QUANT_COMPUTE, ""),
    POOL_ROW("GlobalLpPool", 2, 1, ADZE_QUANT_NEVER, "p"),
    {0},
};
