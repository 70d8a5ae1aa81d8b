/* Conv: float and, when the tensors carry a quantization, integer. Convolutions over at
 * most two spatial axes run channels-last through kernels/conv.h and dwconv.h (nodes that the layout
 * pass has not converted are transposed in scratch). Over more axes they are sums of those over the
 * last two; what has no kernel (float16, weights that are computed) takes the plain loops below. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/conv.h"
#include "ops/execute.h"
#include "ops/helpers.h"
#include "ops/fused.h"
#include "ops/integer_linear.h"
#include "ops/window.h"

static bool is_last(const adze_node *node)
{
    return adze_node_int(node, ADZE_FUSED_CHANNELS_LAST, 0) != 0;
}

/* ---- inference ---- */

static adze_status check_channels(const adze_node *node, adze_dim channels, adze_dim per_group,
                                  int64_t groups, adze_error *err)
{
    if (channels < 0 || per_group < 0 ||
        (groups >= 1 && channels % groups == 0 && channels / groups == per_group))
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_MODEL,
                     "%s '%s': input has %lld channels, weights take %lld in %lld groups",
                     adze_node_op(node), adze_node_name(node), (long long)channels,
                     (long long)per_group, (long long)groups);
}

static adze_status kernel_of(const adze_type *w, int64_t kernel[ADZE_WINDOW_MAX])
{
    for (int i = 2; i < w->rank; i++) {
        if (w->dims[i] < 0)
            return ADZE_UNSUPPORTED;
        kernel[i - 2] = w->dims[i];
    }
    return ADZE_OK;
}

adze_status adze_conv_check_bias(const adze_infer *infer, adze_dim channels, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *b = adze_infer_input(infer, 2);
    bool fits = !b || b->rank < 0 ||
                (b->rank == 1 && (b->dims[0] == channels || b->dims[0] < 0 || channels < 0));
    if (fits)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': the bias is not of shape [%lld]",
                     adze_node_op(node), adze_node_name(node), (long long)channels);
}

adze_status adze_conv_infer_with(adze_infer *infer, int weights, adze_dtype out_dtype,
                                 adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_infer_input(infer, 0), *w = adze_infer_input(infer, weights);
    if (x->rank < 0 || w->rank < 0)
        return ADZE_OK;
    if (x->rank < 3 || w->rank != x->rank || x->rank - 2 > ADZE_WINDOW_MAX)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input of rank %d, weights of rank %d",
                         adze_node_op(node), adze_node_name(node), x->rank, w->rank);
    int64_t kernel[ADZE_WINDOW_MAX];
    bool last = is_last(node);
    int c = last ? x->rank - 1 : 1, s = last ? 1 : 2, rank = x->rank - 2;
    int64_t groups = adze_node_int(node, "group", 1);
    ADZE_TRY(check_channels(node, x->dims[c], w->dims[1], groups, err));
    if (groups < 1 || (w->dims[0] >= 0 && w->dims[0] % groups != 0))
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %lld output channels in %lld groups",
                         adze_node_op(node), adze_node_name(node), (long long)w->dims[0],
                         (long long)groups);
    adze_type y = *x;
    y.dtype = out_dtype;
    y.quant = NULL;
    y.dims[c] = w->dims[0];
    bool known = kernel_of(w, kernel) == ADZE_OK || adze_node_has(node, "kernel_shape");
    adze_window window;
    if (known)
        ADZE_TRY(adze_window_read(&window, node, rank,
                                  kernel_of(w, kernel) == ADZE_OK ? kernel : NULL, err));
    for (int i = 0; i < rank; i++)
        y.dims[s + i] = known ? adze_window_output(infer, &window, i, x->dims[s + i])
                              : adze_infer_unknown(infer, INT64_MAX);
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status conv_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_infer_input(infer, 0), *w = adze_infer_input(infer, 1);
    if (w->rank > 0)
        ADZE_TRY(adze_conv_check_bias(infer, w->dims[0], err));
    return adze_conv_infer_with(infer, 1, x->quant ? ADZE_F32 : x->dtype, err);
}

void adze_conv_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                    const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const adze_tensor *w = inputs[1];
    if (w->rank > 0 && w->dims[0] > 0)
        cost->operations = 2.0 * (double)adze_tensor_elements(outputs[0]) *
                           (double)adze_tensor_elements(w) / (double)w->dims[0];
}

/* ---- geometry ---- */

adze_status adze_conv_geometry(adze_conv_shape *s, const adze_node *node, const adze_tensor *x,
                               const adze_tensor *w, const adze_tensor *y, adze_error *err)
{
    adze_window window;
    bool last = is_last(node);
    int rank = x->rank - 2, at = last ? 1 : 2, c = last ? x->rank - 1 : 1;
    ADZE_TRY(adze_window_read(&window, node, rank, &w->dims[2], err));
    adze_window_resolve(&window, &x->dims[at]);
    bool flat = rank == 1; /* a single spatial axis is the width */
    int h = flat ? 0 : rank - 2, v = rank - 1;
    *s = (adze_conv_shape){.n = x->dims[0],
                           .h = flat ? 1 : x->dims[at + h],
                           .w = x->dims[at + v],
                           .c = x->dims[c],
                           .oh = flat ? 1 : y->dims[at + h],
                           .ow = y->dims[at + v],
                           .oc = w->dims[0],
                           .kh = flat ? 1 : window.kernel[h],
                           .kw = window.kernel[v],
                           .stride_h = flat ? 1 : window.stride[h],
                           .stride_w = window.stride[v],
                           .dilation_h = flat ? 1 : window.dilation[h],
                           .dilation_w = window.dilation[v],
                           .pad_top = flat ? 0 : window.pad_begin[h],
                           .pad_left = window.pad_begin[v],
                           .groups = adze_node_int(node, "group", 1)};
    return ADZE_OK;
}

static adze_dwconv_shape depthwise_shape(const adze_conv_shape *s)
{
    return (adze_dwconv_shape){s->n,          s->h,          s->w,       s->c,        s->oh,
                               s->ow,         s->kh,         s->kw,      s->stride_h, s->stride_w,
                               s->dilation_h, s->dilation_w, s->pad_top, s->pad_left};
}

/* ---- preparation ---- */

typedef enum conv_kind {
    CONV_PLAIN,
    CONV_F32,
    CONV_F32_DEPTHWISE,
    CONV_F32_DEEP, /* more than two spatial axes */
    CONV_Q8,
    CONV_Q8_DEPTHWISE
} conv_kind;

typedef struct conv_prepared {
    conv_kind kind;
    float lo, hi;
    const float *packed;     /* CONV_F32*: packed weights, NULL when they are not constant */
    adze_quantized_linear q; /* CONV_Q8*: folded bias, scales, output range, residual */
    const int8_t *packed_q8;
    const int16_t *weights_q8; /* depthwise [kh, kw, c] */
    const int32_t *bias_q8;    /* depthwise, not folded */
} conv_prepared;

/* [c, 1, kh, kw] -> [kh, kw, c] */
static void pack_depthwise_f32(int64_t c, int64_t taps, const float *w, float *out)
{
    for (int64_t i = 0; i < c; i++)
        for (int64_t t = 0; t < taps; t++)
            out[t * c + i] = w[i * taps + t];
}

static bool is_depthwise(const adze_conv_shape *s)
{
    return s->groups == s->c && s->oc == s->c && s->c > 1;
}

static bool has_residual(const adze_node *node)
{
    return adze_node_int(node, ADZE_FUSED_RESIDUAL, 0) != 0;
}

static conv_kind float_kind(const adze_node *node, const adze_conv_shape *s)
{
    return is_depthwise(s) && !has_residual(node) ? CONV_F32_DEPTHWISE : CONV_F32;
}

static adze_status prepare_f32(adze_prepare *prepare, conv_prepared *p, const adze_conv_shape *s,
                               adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    p->kind = float_kind(adze_prepare_node(prepare), s);
    if (!w->data)
        return ADZE_OK;
    size_t size = p->kind == CONV_F32 ? adze_conv_f32_packed_size(k, s) : w->size;
    float *packed = adze_prepare_alloc(prepare, size);
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "Conv: %zu bytes of packed weights", size);
    if (p->kind == CONV_F32)
        adze_conv_f32_pack(k, s, w->data, packed);
    else
        pack_depthwise_f32(s->c, s->kh * s->kw, w->data, packed);
    p->packed = packed;
    return ADZE_OK;
}

/* Weights [oc, c, outer taps, kh, kw]: each outer tap is packed as a convolution of its own. */
static adze_status prepare_deep(adze_prepare *prepare, conv_prepared *p, const adze_conv_shape *s,
                                adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    int64_t rows = s->oc * (s->c / s->groups), plane = s->kh * s->kw;
    int64_t taps = adze_ops_product(w->dims, 2, w->rank - 2);
    size_t size = adze_conv_f32_packed_size(k, s), bytes;
    float *one = adze_alloc((size_t)(rows * plane), sizeof *one);
    bool fits = adze_mul_size(&bytes, size, (size_t)taps);
    uint8_t *packed = one && fits ? adze_prepare_alloc(prepare, bytes) : NULL;
    for (int64_t t = 0; packed && t < taps; t++) {
        for (int64_t r = 0; r < rows; r++)
            memcpy(one + r * plane, (const float *)w->data + (r * taps + t) * plane,
                   (size_t)plane * sizeof *one);
        adze_conv_f32_pack(k, s, one, (float *)(void *)(packed + (size_t)t * size));
    }
    adze_free(one);
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "Conv: packed weights");
    p->kind = CONV_F32_DEEP;
    p->packed = (const float *)(const void *)packed;
    return ADZE_OK;
}

static adze_status prepare_depthwise_q8(adze_prepare *prepare, conv_prepared *p,
                                        const adze_conv_shape *s, adze_error *err)
{
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    int64_t taps = s->kh * s->kw;
    int16_t *out = adze_prepare_alloc(prepare, (size_t)(taps * s->c) * sizeof *out);
    if (!out)
        return adze_fail(err, ADZE_NO_MEMORY, "Conv: packed weights");
    for (int64_t c = 0; c < s->c; c++)
        for (int64_t t = 0; t < taps; t++)
            out[t * s->c + c] =
                (int16_t)(adze_tensor_get_i64(w, c * taps + t) - adze_quant_zero(w->quant, c));
    p->weights_q8 = out;
    p->bias_q8 = p->q.raw_bias;
    return ADZE_OK;
}

static adze_status prepare_q8(adze_prepare *prepare, conv_prepared *p, const adze_conv_shape *s,
                              adze_error *err)
{
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    const adze_kernels *k = adze_prepare_kernels(prepare);
    int64_t per_channel = s->c / s->groups * s->kh * s->kw;
    const int8_t *weights;
    ADZE_TRY(
        adze_quantized_prepare(prepare, &p->q, s->oc, per_channel, per_channel, 1, &weights, err));
    p->kind = is_depthwise(s) && !p->q.residual && p->q.output == ADZE_Q8_TO_Q8 ? CONV_Q8_DEPTHWISE
                                                                                : CONV_Q8;
    if (p->kind == CONV_Q8_DEPTHWISE)
        return prepare_depthwise_q8(prepare, p, s, err);
    int8_t *packed = adze_prepare_alloc(prepare, adze_conv_q8_packed_size(k, s));
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "Conv: packed weights of %zu bytes", w->size);
    adze_conv_q8_pack(k, s, weights, packed);
    p->packed_q8 = packed;
    return ADZE_OK;
}

/* The shape with everything that packing needs; sizes of the pictures do not matter there. */
static adze_status packing_shape(adze_conv_shape *s, const adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    adze_tensor x = *adze_prepare_input(prepare, 0), y = *adze_prepare_output(prepare, 0);
    for (int i = 0; i < x.rank; i++) {
        x.dims[i] = ADZE_MAX(x.dims[i], 1);
        y.dims[i] = ADZE_MAX(y.dims[i], 1);
    }
    ADZE_TRY(adze_conv_geometry(s, node, &x, w, &y, err));
    s->c = w->dims[1] * s->groups;
    return ADZE_OK;
}

static adze_status conv_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0), *w = adze_prepare_input(prepare, 1);
    conv_prepared *p = adze_prepare_alloc(prepare, sizeof *p);
    if (!p)
        return adze_fail(err, ADZE_NO_MEMORY, "Conv");
    p->lo = adze_node_float(node, ADZE_FUSED_LO, -INFINITY);
    p->hi = adze_node_float(node, ADZE_FUSED_HI, INFINITY);
    adze_prepare_set(prepare, p);
    if (x->quant)
        p->kind = CONV_Q8;
    else if (x->dtype != ADZE_F32 && x->dtype != ADZE_F16 && x->dtype != ADZE_F64 &&
             x->dtype != ADZE_BF16)
        return adze_fail(err, ADZE_UNSUPPORTED, "element type %s",
                         adze_dtype_describe(x->dtype)->name);
    bool small = x->rank == 3 || x->rank == 4;
    bool deep = x->rank > 4 && x->dtype == ADZE_F32 && w->data && adze_tensor_elements(w) > 0;
    if (!deep && (!small || (!x->quant && x->dtype != ADZE_F32))) {
        if (x->quant)
            return adze_fail(err, ADZE_UNSUPPORTED, "integer convolution over %d axes",
                             x->rank - 2);
        p->kind = CONV_PLAIN;
        return ADZE_OK;
    }
    bool known = true;
    for (int i = 0; i < w->rank; i++) {
        if (w->dims[i] == 0)
            return adze_fail(err, ADZE_UNSUPPORTED, "weights of empty shape");
        known = known && w->dims[i] > 0;
    }
    if (!known && !x->quant) { /* packed when a run brings them */
        p->kind = CONV_F32;
        return ADZE_OK;
    }
    if (!known)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "integer convolution with weights of unknown shape");
    adze_conv_shape s;
    ADZE_TRY(packing_shape(&s, prepare, err));
    if (deep)
        return prepare_deep(prepare, p, &s, err);
    return x->quant ? prepare_q8(prepare, p, &s, err) : prepare_f32(prepare, p, &s, err);
}

/* ---- scratch: [packed weights] [x] [residual] [y] [kernel's own] ---- */

typedef struct conv_areas {
    size_t packed, x, residual, y, own, total;
} conv_areas;

static size_t take(size_t *at, size_t size)
{
    size_t begin = *at;
    *at += (size + 63) & ~(size_t)63;
    return begin;
}

static conv_areas areas_of(const adze_run *run, const conv_prepared *p, const adze_conv_shape *s)
{
    conv_areas a = {0};
    bool last = is_last(run->node), q8 = p->kind == CONV_Q8 || p->kind == CONV_Q8_DEPTHWISE;
    if (!q8 && !p->packed)
        a.packed = take(&a.total,
                        ADZE_MAX(adze_conv_f32_packed_size(run->kernels, s), run->inputs[1]->size));
    if (!last) {
        a.x = take(&a.total, run->inputs[0]->size);
        a.residual = take(&a.total, run->input_count > 3 ? run->outputs[0]->size : 0);
        a.y = take(&a.total, run->outputs[0]->size);
    }
    a.own =
        take(&a.total, adze_conv_scratch_size(run->kernels, s, adze_run_threads(run), q8 ? 1 : 4));
    return a;
}

static size_t conv_scratch(const adze_run *run)
{
    const conv_prepared *p = run->prepared;
    adze_conv_shape s;
    if (p->kind == CONV_PLAIN || adze_conv_geometry(&s, run->node, run->inputs[0], run->inputs[1],
                                                    run->outputs[0], NULL) != ADZE_OK)
        return 0;
    return areas_of(run, p, &s).total;
}

/* ---- execution ---- */

static void run_f32(const adze_run *run, const conv_prepared *p, const adze_conv_shape *s,
                    const conv_areas *a, const void *x, const void *residual, void *y)
{
    uint8_t *scratch = run->scratch;
    const adze_tensor *w = run->inputs[1];
    const adze_tensor *b = run->input_count > 2 ? run->inputs[2] : NULL;
    const float *packed = p->packed;
    const conv_kind kind = float_kind(run->node, s);
    if (!packed) {
        float *fresh = (float *)(void *)(scratch + a->packed);
        if (kind == CONV_F32)
            adze_conv_f32_pack(run->kernels, s, w->data, fresh);
        else
            pack_depthwise_f32(s->c, s->kh * s->kw, w->data, fresh);
        packed = fresh;
    }
    if (kind == CONV_F32_DEPTHWISE) {
        adze_dwconv_f32_args d = {
            depthwise_shape(s), x, packed, b ? b->data : NULL, y, p->lo, p->hi};
        adze_dwconv_f32(&run->kernels->dwconv, run->pool, &d);
        return;
    }
    adze_conv_f32_args c = {*s, x,     packed, b ? b->data : NULL, residual,
                            y,  p->lo, p->hi,  scratch + a->own};
    adze_conv_f32(run->kernels, run->pool, &c);
}

static void run_q8(const adze_run *run, const conv_prepared *p, const adze_conv_shape *s,
                   const conv_areas *a, const void *x, const void *residual, void *y)
{
    const adze_quantized_linear *q = &p->q;
    if (p->kind == CONV_Q8_DEPTHWISE) {
        adze_dwconv_q8_args d = {
            depthwise_shape(s), x, q->x_signed, q->x_zero, p->weights_q8, p->bias_q8, q->scale,
            q->f_bias,          y, q->y_signed, q->y_zero, q->lo,         q->hi};
        adze_dwconv_q8(&run->kernels->dwconv, run->pool, &d);
        return;
    }
    adze_q8_residual r = q->residual_args;
    r.data = residual;
    r.ld = s->oc;
    adze_conv_q8_args c = {*s,
                           x,
                           q->a_flip,
                           (uint8_t)q->x_zero,
                           p->packed_q8,
                           adze_quantized_gemm(q),
                           y,
                           (uint8_t *)run->scratch + a->own};
    c.gemm.residual = q->residual ? &r : NULL;
    adze_conv_q8(run->kernels, run->pool, &c);
}

typedef struct turn_job {
    const adze_run *run;
    const uint8_t *from;
    uint8_t *to;
    int64_t rows, columns;
    size_t size;
} turn_job;

static void turn_image(void *user, int64_t image, int worker)
{
    ADZE_UNUSED(worker);
    const turn_job *j = user;
    size_t at = (size_t)(image * j->rows * j->columns) * j->size;
    adze_transpose(&j->run->kernels->rows, j->size, j->rows, j->columns, j->from + at, j->to + at);
}

/* [n, rows, columns] -> [n, columns, rows] */
static void turn(const adze_run *run, int64_t n, int64_t rows, int64_t columns, size_t size,
                 const void *from, void *to)
{
    turn_job job = {run, from, to, rows, columns, size};
    adze_run_parallel((adze_run *)run, n, turn_image, &job);
}

static size_t element_bytes(const adze_tensor *t)
{
    return (size_t)adze_dtype_describe(t->dtype)->block_bytes;
}

typedef void (*conv_fn)(const adze_run *run, const conv_prepared *p, const adze_conv_shape *s,
                        const conv_areas *a, const void *x, const void *residual, void *y);

static adze_status conv_plain(adze_run *run, const conv_prepared *p, adze_error *err);
static adze_status conv_deep(adze_run *run, const conv_prepared *p, adze_error *err);

static adze_status conv_run(adze_run *run, adze_error *err)
{
    const conv_prepared *p = run->prepared;
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    const adze_tensor *r = run->input_count > 3 ? run->inputs[3] : NULL;
    if (p->kind == CONV_PLAIN)
        return conv_plain(run, p, err);
    if (adze_tensor_elements(y) == 0)
        return ADZE_OK;
    if (p->kind == CONV_F32_DEEP)
        return conv_deep(run, p, err);
    adze_conv_shape s;
    ADZE_TRY(adze_conv_geometry(&s, run->node, x, run->inputs[1], y, err));
    if (adze_tensor_elements(run->inputs[1]) == 0)
        return adze_fail(err, ADZE_BAD_DATA, "Conv '%s': weights of empty shape",
                         adze_node_name(run->node));
    conv_areas a = areas_of(run, p, &s);
    conv_fn fn = p->kind == CONV_F32 || p->kind == CONV_F32_DEPTHWISE ? run_f32 : run_q8;
    if (is_last(run->node)) {
        fn(run, p, &s, &a, x->data, r ? r->data : NULL, y->data);
        return ADZE_OK;
    }
    uint8_t *scratch = run->scratch;
    turn(run, s.n, s.c, s.h * s.w, element_bytes(x), x->data, scratch + a.x);
    if (r)
        turn(run, s.n, s.oc, s.oh * s.ow, element_bytes(r), r->data, scratch + a.residual);
    fn(run, p, &s, &a, scratch + a.x, r ? scratch + a.residual : NULL, scratch + a.y);
    turn(run, s.n, s.oh * s.ow, s.oc, element_bytes(y), scratch + a.y, y->data);
    return ADZE_OK;
}

/* ---- more than two spatial axes: for each place along the outer ones, a sum over their taps ---- */

typedef struct deep_job {
    const adze_run *run;
    const conv_prepared *p;
    adze_conv_shape plane; /* n = 1 */
    adze_window window;
    int64_t in, out, taps; /* places along the outer axes, outer taps */
    size_t packed;         /* bytes of one tap */
    const float *x;        /* [n, in, h, w, c] */
    float *y;              /* [n, out, oh, ow, oc] */
    void *own;
} deep_job;

/* Place of the input that tap `tap` of output place `place` reads; -1 for padding. */
static int64_t deep_source(const deep_job *j, int64_t place, int64_t tap)
{
    const adze_window *w = &j->window;
    const adze_tensor *x = j->run->inputs[0], *y = j->run->outputs[0];
    int64_t source = 0, stride = 1;
    for (int d = w->rank - 3; d >= 0; d--) {
        int64_t i = place % y->dims[2 + d] * w->stride[d] - w->pad_begin[d] +
                    tap % w->kernel[d] * w->dilation[d];
        if (i < 0 || i >= x->dims[2 + d])
            return -1;
        source += i * stride;
        stride *= x->dims[2 + d];
        place /= y->dims[2 + d];
        tap /= w->kernel[d];
    }
    return source;
}

static void deep_plane(const deep_job *j, int64_t n, int64_t place)
{
    const adze_conv_shape *s = &j->plane;
    const adze_tensor *b = j->run->input_count > 2 ? j->run->inputs[2] : NULL;
    adze_conv_f32_args c = {.shape = *s, .bias = b ? b->data : NULL, .scratch = j->own};
    c.lo = -INFINITY;
    c.hi = INFINITY;
    c.y = j->y + (n * j->out + place) * s->oh * s->ow * s->oc;
    for (int64_t t = 0; t < j->taps; t++) {
        int64_t source = deep_source(j, place, t);
        if (source < 0)
            continue;
        c.x = j->x + (n * j->in + source) * s->h * s->w * s->c;
        c.packed =
            (const float *)(const void *)((const uint8_t *)j->p->packed + (size_t)t * j->packed);
        adze_conv_f32(j->run->kernels, j->run->pool, &c);
        c.residual = c.y;
        c.bias = NULL;
    }
    if (!c.residual) /* padding alone */
        for (int64_t i = 0; i < s->oh * s->ow * s->oc; i++)
            c.y[i] = c.bias ? c.bias[i % s->oc] : 0;
    if (j->p->lo > -INFINITY || j->p->hi < INFINITY)
        j->run->kernels->eltwise.unary[ADZE_UNARY_CLIP](s->oh * s->ow * s->oc, c.y, c.y, j->p->lo,
                                                        j->p->hi);
}

static adze_status conv_deep(adze_run *run, const conv_prepared *p, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *y = run->outputs[0];
    deep_job j = {.run = run, .p = p};
    ADZE_TRY(adze_conv_geometry(&j.plane, run->node, x, w, y, err));
    ADZE_TRY(adze_window_read(&j.window, run->node, x->rank - 2, &w->dims[2], err));
    adze_window_resolve(&j.window, &x->dims[2]);
    conv_areas a = areas_of(run, p, &j.plane);
    uint8_t *scratch = run->scratch;
    int64_t images = x->dims[0], in = adze_ops_product(x->dims, 2, x->rank),
            out = adze_ops_product(y->dims, 2, y->rank);
    j.plane.n = 1;
    j.in = adze_ops_product(x->dims, 2, x->rank - 2);
    j.out = adze_ops_product(y->dims, 2, y->rank - 2);
    j.taps = adze_ops_product(w->dims, 2, w->rank - 2);
    j.packed = adze_conv_f32_packed_size(run->kernels, &j.plane);
    j.x = (const float *)(void *)(scratch + a.x);
    j.y = (float *)(void *)(scratch + a.y);
    j.own = scratch + a.own;
    turn(run, images, j.plane.c, in, sizeof(float), x->data, scratch + a.x);
    for (int64_t n = 0; n < images; n++)
        for (int64_t place = 0; place < j.out; place++)
            deep_plane(&j, n, place);
    turn(run, images, out, j.plane.oc, sizeof(float), scratch + a.y, y->data);
    return ADZE_OK;
}

/* ---- any number of axes, any float type: plain loops, in double ---- */

typedef struct plain_job {
    adze_run *run;
    const conv_prepared *p;
    adze_window window;
    int64_t c, oc, groups, out_points, taps;
} plain_job;

static double plain_point(const plain_job *j, int64_t n, int64_t o, const int64_t *at)
{
    const adze_tensor *x = j->run->inputs[0], *w = j->run->inputs[1];
    int64_t per_group = j->c / j->groups, group = o / (j->oc / j->groups);
    double sum = 0;
    for (int64_t t = 0; t < j->taps; t++) {
        int64_t rest = t, offset = 0, stride = 1;
        bool inside = true;
        for (int d = j->window.rank - 1; d >= 0; d--) {
            int64_t k = rest % j->window.kernel[d];
            rest /= j->window.kernel[d];
            int64_t i =
                at[d] * j->window.stride[d] - j->window.pad_begin[d] + k * j->window.dilation[d];
            inside &= i >= 0 && i < x->dims[2 + d];
            offset += i * stride;
            stride *= x->dims[2 + d];
        }
        for (int64_t c = 0; inside && c < per_group; c++)
            sum += adze_tensor_get_f64(x, (n * j->c + group * per_group + c) * stride + offset) *
                   adze_tensor_get_f64(w, (o * per_group + c) * j->taps + t);
    }
    return sum;
}

static void plain_channel(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const plain_job *j = user;
    const adze_tensor *b = j->run->input_count > 2 ? j->run->inputs[2] : NULL;
    adze_tensor *y = j->run->outputs[0];
    int64_t n = piece / j->oc, o = piece % j->oc, at[ADZE_WINDOW_MAX] = {0};
    for (int64_t i = 0; i < j->out_points && !adze_run_is_late(j->run); i++) {
        double v = plain_point(j, n, o, at) + (b ? adze_tensor_get_f64(b, o) : 0);
        v = v < (double)j->p->lo ? (double)j->p->lo : v > (double)j->p->hi ? (double)j->p->hi : v;
        adze_tensor_set_f64(y, piece * j->out_points + i, v);
        for (int d = j->window.rank - 1; d >= 0 && ++at[d] == y->dims[2 + d]; d--)
            at[d] = 0;
    }
}

static adze_status conv_plain(adze_run *run, const conv_prepared *p, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *y = run->outputs[0];
    plain_job j = {.run = run,
                   .p = p,
                   .c = x->dims[1],
                   .oc = w->dims[0],
                   .groups = adze_node_int(run->node, "group", 1),
                   .out_points = 1,
                   .taps = 1};
    if (is_last(run->node) || has_residual(run->node))
        return adze_fail(err, ADZE_UNSUPPORTED, "Conv '%s': fused form without a kernel",
                         adze_node_name(run->node));
    ADZE_TRY(adze_window_read(&j.window, run->node, x->rank - 2, &w->dims[2], err));
    adze_window_resolve(&j.window, &x->dims[2]);
    for (int i = 2; i < x->rank; i++) {
        j.out_points *= y->dims[i];
        j.taps *= w->dims[i];
    }
    adze_run_parallel(run, y->dims[0] * j.oc, plain_channel, &j);
    return ADZE_OK;
}

#define WINDOW_ATTRS "auto_pad dilations group kernel_shape pads strides "

const adze_op adze_ops_convolution[] = {
    {.name = "Conv",
     .domain = "",
     .since = 1,
     .min_inputs = 2,
     .max_inputs = 4,
     .min_outputs = 1,
     .max_outputs = 1,
     .quant = ADZE_QUANT_WEIGHTED,
     .attrs = WINDOW_ATTRS,
     .types = "a",
     .infer = conv_infer,
     .cost = adze_conv_cost,
     .prepare = conv_prepare,
     .scratch = conv_scratch,
     .run = conv_run},
    {0},
};
