/* The operators that carry their scales and zero points as inputs: QLinearConv, QLinearMatMul,
 * ConvInteger, MatMulInteger. ConvInteger with constant weights and products of one matrix by a matrix
 * take the packed integer kernels, the rest plain loops. (A pass turns QLinear forms with constant scales
 * into Conv and MatMul over quantized types, which is the fast way.) */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/conv.h"
#include "ops/execute.h"
#include "ops/helpers.h"
#include "ops/integer_linear.h"
#include "ops/window.h"

static const adze_tensor *optional(const adze_run *run, int i)
{
    return i < run->input_count ? run->inputs[i] : NULL;
}

static int64_t zero_of(const adze_tensor *zero, int64_t channel)
{
    if (!zero)
        return 0;
    return adze_tensor_get_i64(zero, adze_tensor_elements(zero) > 1 ? channel : 0);
}

static float scale_of(const adze_tensor *scale, int64_t channel)
{
    return (float)adze_tensor_get_f64(scale, adze_tensor_elements(scale) > 1 ? channel : 0);
}

/* clamp(rint(acc * (sx * sw / sy)) + zy) */
static void store_requantized(adze_tensor *y, int64_t i, int64_t acc, float scale, int64_t zero)
{
    adze_tensor_set_f64(y, i, (double)rintf((float)acc * scale) + (double)zero);
}

/* Constant weights as int8 (uint8 ones shifted by 128), for the kernels. */
typedef struct packed_integers {
    const int8_t *packed;
    const int32_t *sums; /* of the weights of each output channel, as packed */
} packed_integers;

/* ---- convolution ---- */

static bool is_byte(const adze_tensor *t)
{
    return t->dtype == ADZE_U8 || t->dtype == ADZE_I8;
}

/* One letter for each input: q 8-bit integers, f floats, i int32. */
static adze_status check_types(adze_prepare *prepare, const char *letters, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    for (int i = 0; letters[i] && i < adze_node_input_count(node); i++) {
        const adze_tensor *x = adze_prepare_input(prepare, i);
        bool fits = !x || (letters[i] == 'q'   ? is_byte(x)
                           : letters[i] == 'f' ? adze_ops_is_float(x->dtype)
                                               : x->dtype == ADZE_I32);
        if (!fits)
            return adze_ops_unsupported(node, x->dtype, err);
    }
    return ADZE_OK;
}

/* A scale or zero point for all, or one for each of n (or of m). */
static bool counts(const adze_tensor *p, int64_t n, int64_t m)
{
    int64_t count = p ? adze_tensor_elements(p) : 1;
    return count == 1 || count == n || count == m;
}

static adze_status bad_counts(const adze_run *run, adze_error *err)
{
    return adze_ops_bad(
        run->node, err,
        "expected one scale and zero point, or one for each row, column or channel");
}

typedef struct conv_job {
    adze_run *run;
    const adze_tensor *x, *w, *x_zero, *w_zero, *bias;
    const adze_tensor *x_scale, *w_scale, *y_scale, *y_zero; /* NULL: int32 result */
    adze_window window;
    int64_t c, oc, groups, out_points, taps;
} conv_job;

static int64_t conv_point(const conv_job *j, int64_t n, int64_t o, const int64_t *at)
{
    int64_t per_group = j->c / j->groups, group = o / (j->oc / j->groups);
    int64_t sum = 0, zw = zero_of(j->w_zero, o), zx = zero_of(j->x_zero, 0);
    for (int64_t t = 0; t < j->taps; t++) {
        int64_t rest = t, offset = 0, stride = 1;
        bool inside = true;
        for (int d = j->window.rank - 1; d >= 0; d--) {
            int64_t k = rest % j->window.kernel[d];
            rest /= j->window.kernel[d];
            int64_t i =
                at[d] * j->window.stride[d] - j->window.pad_begin[d] + k * j->window.dilation[d];
            inside &= i >= 0 && i < j->x->dims[2 + d];
            offset += i * stride;
            stride *= j->x->dims[2 + d];
        }
        for (int64_t c = 0; inside && c < per_group; c++)
            sum +=
                (adze_tensor_get_i64(j->x, (n * j->c + group * per_group + c) * stride + offset) -
                 zx) *
                (adze_tensor_get_i64(j->w, (o * per_group + c) * j->taps + t) - zw);
    }
    return sum;
}

static void conv_channel(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const conv_job *j = user;
    adze_tensor *y = j->run->outputs[0];
    int64_t n = piece / j->oc, o = piece % j->oc, at[ADZE_WINDOW_MAX] = {0};
    float scale = j->y_scale
                      ? scale_of(j->x_scale, 0) * scale_of(j->w_scale, o) / scale_of(j->y_scale, 0)
                      : 0;
    for (int64_t i = 0; i < j->out_points; i++) {
        int64_t acc = conv_point(j, n, o, at) + (j->bias ? adze_tensor_get_i64(j->bias, o) : 0);
        if (j->y_scale)
            store_requantized(y, piece * j->out_points + i, acc, scale, zero_of(j->y_zero, 0));
        else
            ((int32_t *)y->data)[piece * j->out_points + i] = (int32_t)acc;
        for (int d = j->window.rank - 1; d >= 0 && ++at[d] == y->dims[2 + d]; d--)
            at[d] = 0;
    }
}

/* ---- convolution of pictures to int32: one weight at a time over whole rows ---- */

typedef struct plane_term {
    const uint8_t *x; /* [h, w] */
    uint8_t flip;     /* makes int8 unsigned */
    int32_t zero;     /* of the flipped */
    int32_t weight;
    int64_t ky, kx;
} plane_term;

/* y[oy, ox] += (x[iy, ix] - zero) * weight wherever the window touches the picture. */
static void add_term(int32_t *y, const conv_job *j, const plane_term *t)
{
    const adze_window *win = &j->window;
    int64_t oh = j->run->outputs[0]->dims[2], ow = j->run->outputs[0]->dims[3];
    int64_t h = j->x->dims[2], w = j->x->dims[3], step = win->stride[1];
    int64_t left = t->kx * win->dilation[1] - win->pad_begin[1], first = 0, end = ow;
    while (first < ow && first * step + left < 0)
        first++;
    while (end > first && (end - 1) * step + left >= w)
        end--;
    for (int64_t oy = 0; oy < oh; oy++) {
        int64_t iy = oy * win->stride[0] - win->pad_begin[0] + t->ky * win->dilation[0];
        if (iy < 0 || iy >= h)
            continue;
        const uint8_t *row = t->x + iy * w;
        for (int64_t ox = first; ox < end; ox++)
            y[oy * ow + ox] += ((int32_t)(row[ox * step + left] ^ t->flip) - t->zero) * t->weight;
    }
}

static void conv_plane(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const conv_job *j = user;
    int64_t n = piece / j->oc, o = piece % j->oc, per_group = j->c / j->groups;
    int64_t plane = j->x->dims[2] * j->x->dims[3], group = o / (j->oc / j->groups);
    int32_t *y = (int32_t *)j->run->outputs[0]->data + piece * j->out_points;
    bool is_signed = j->x->dtype == ADZE_I8;
    plane_term t = {.flip = is_signed ? 0x80 : 0,
                    .zero = (int32_t)zero_of(j->x_zero, 0) + (is_signed ? 128 : 0)};
    const uint8_t *weights = j->w->data;
    int64_t zw = zero_of(j->w_zero, o);
    memset(y, 0, (size_t)j->out_points * sizeof *y);
    for (int64_t c = 0; c < per_group; c++) {
        t.x = (const uint8_t *)j->x->data + (n * j->c + group * per_group + c) * plane;
        for (int64_t k = 0; k < j->taps; k++) {
            uint8_t byte = weights[(o * per_group + c) * j->taps + k];
            t.weight = (int32_t)((j->w->dtype == ADZE_I8 ? (int8_t)byte : byte) - zw);
            t.ky = k / j->window.kernel[1];
            t.kx = k % j->window.kernel[1];
            if (t.weight != 0)
                add_term(y, j, &t);
        }
    }
}

static bool is_picture(const conv_job *j)
{
    return j->window.rank == 2 && !j->y_scale && is_byte(j->x) && is_byte(j->w);
}

static adze_status run_conv(conv_job *j, adze_error *err)
{
    adze_run *run = j->run;
    j->c = j->x->dims[1];
    j->oc = j->w->dims[0];
    j->groups = adze_node_int(run->node, "group", 1);
    j->out_points = j->taps = 1;
    if (!counts(j->x_scale, 1, 1) || !counts(j->x_zero, 1, 1) || !counts(j->w_scale, j->oc, 1) ||
        !counts(j->w_zero, j->oc, 1) || !counts(j->y_scale, 1, 1) || !counts(j->y_zero, 1, 1) ||
        (j->bias && adze_tensor_elements(j->bias) != j->oc))
        return bad_counts(run, err);
    ADZE_TRY(adze_window_read(&j->window, run->node, j->x->rank - 2, &j->w->dims[2], err));
    adze_window_resolve(&j->window, &j->x->dims[2]);
    for (int i = 2; i < j->x->rank; i++) {
        j->out_points *= run->outputs[0]->dims[i];
        j->taps *= j->w->dims[i];
    }
    adze_run_parallel(run, j->x->dims[0] * j->oc, is_picture(j) ? conv_plane : conv_channel, j);
    return ADZE_OK;
}

static adze_status conv_integer_infer(adze_infer *infer, adze_error *err)
{
    return adze_conv_infer_with(infer, 1, ADZE_I32, err);
}

/* ---- ConvInteger with constant weights, through the kernel of integer convolutions ---- */

enum { LONGEST_SUM = 65793 }; /* kernels/gemm_q8.h */

static adze_status pack_conv(adze_prepare *prepare, packed_integers *p, adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    int64_t groups = adze_node_int(adze_prepare_node(prepare), "group", 1);
    adze_conv_shape s = {.c = w->dims[1] * groups,
                         .oc = w->dims[0],
                         .kh = w->rank == 4 ? w->dims[2] : 1,
                         .kw = w->dims[w->rank - 1],
                         .groups = groups};
    int64_t each = (int64_t)w->size / s.oc;
    int8_t *shifted = adze_alloc(w->size, 1);
    int8_t *packed = adze_prepare_alloc(prepare, adze_conv_q8_packed_size(k, &s));
    int32_t *sums = adze_prepare_alloc(prepare, (size_t)s.oc * sizeof *sums);
    bool done = shifted && packed && sums;
    uint8_t flip = w->dtype == ADZE_U8 ? 0x80 : 0;
    for (int64_t i = 0; done && i < (int64_t)w->size; i++) {
        shifted[i] = (int8_t)(((const uint8_t *)w->data)[i] ^ flip);
        sums[i / each] += shifted[i];
    }
    if (done)
        adze_conv_q8_pack(k, &s, shifted, packed);
    adze_free(shifted);
    *p = (packed_integers){packed, sums};
    return done ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "packed weights");
}

static adze_status conv_integer_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    ADZE_TRY(check_types(prepare, "qqqq", err));
    for (int i = 0; i < 2; i++) { /* padding is made of bytes that mean x's zero point */
        const adze_tensor *zero = adze_ops_prepare_input(prepare, 2 + i);
        if (zero && zero->dtype != adze_prepare_input(prepare, i)->dtype)
            return adze_ops_bad(adze_prepare_node(prepare), err,
                                "a zero point is not of the type of its numbers");
    }
    if (!w->data || w->rank < 3 || w->rank > 4 || adze_tensor_elements(w) < 1 ||
        (int64_t)w->size / w->dims[0] > LONGEST_SUM)
        return ADZE_OK;
    packed_integers *p = adze_prepare_alloc(prepare, sizeof *p);
    if (!p)
        return adze_fail(err, ADZE_NO_MEMORY, "ConvInteger");
    adze_prepare_set(prepare, p);
    return pack_conv(prepare, p, err);
}

/* [x, channels last] [y, channels last] [bias] [zero points] [the kernel's own] */
typedef struct integer_areas {
    size_t y, bias, zeros, own, total;
} integer_areas;

static integer_areas integer_areas_of(const adze_run *run, const adze_conv_shape *s)
{
    integer_areas a;
    size_t channels = (size_t)s->oc * sizeof(int32_t), gap = 63;
    a.y = (run->inputs[0]->size + gap) & ~gap;
    a.bias = a.y + ((run->outputs[0]->size + gap) & ~gap);
    a.zeros = a.bias + ((channels + gap) & ~gap);
    a.own = a.zeros + ((channels + gap) & ~gap);
    a.total = a.own + adze_conv_scratch_size(run->kernels, s, adze_run_threads(run), 1);
    return a;
}

static size_t conv_integer_scratch(const adze_run *run)
{
    adze_conv_shape s;
    if (!run->prepared || adze_conv_geometry(&s, run->node, run->inputs[0], run->inputs[1],
                                             run->outputs[0], NULL) != ADZE_OK)
        return 0;
    return integer_areas_of(run, &s).total;
}

/* sum (x - zx) (w - zw) = sum x w - zx sum w + k zx zw - zw sum x; padding holds zx. */
static void fast_conv(const conv_job *j, const adze_conv_shape *s, const packed_integers *p)
{
    const adze_run *run = j->run;
    integer_areas a = integer_areas_of(run, s);
    uint8_t *scratch = run->scratch, flip = j->x->dtype == ADZE_I8 ? 0x80 : 0;
    int32_t *y = (int32_t *)(void *)(scratch + a.y), *bias = (int32_t *)(void *)(scratch + a.bias),
            *zeros = (int32_t *)(void *)(scratch + a.zeros);
    int64_t zx = zero_of(j->x_zero, 0), in = s->h * s->w, out = s->oh * s->ow;
    int64_t flipped = zx + (flip ? 128 : 0), k = s->c / s->groups * s->kh * s->kw;
    for (int64_t o = 0; o < s->oc; o++) {
        int64_t zw = zero_of(j->w_zero, o) - (j->w->dtype == ADZE_U8 ? 128 : 0);
        zeros[o] = (int32_t)zw;
        bias[o] = (int32_t)(flipped * (k * zw - p->sums[o]));
    }
    for (int64_t n = 0; n < s->n; n++)
        adze_transpose(&run->kernels->rows, 1, s->c, in,
                       (const uint8_t *)j->x->data + n * s->c * in, scratch + n * s->c * in);
    adze_conv_q8_args args = {.shape = *s,
                              .x = scratch,
                              .a_flip = flip,
                              .x_pad = (uint8_t)zx,
                              .packed = p->packed,
                              .y = y,
                              .scratch = scratch + a.own};
    args.gemm.bias = bias;
    args.gemm.b_zero = zeros;
    args.gemm.output = ADZE_Q8_TO_I32;
    adze_conv_q8(run->kernels, run->pool, &args);
    for (int64_t n = 0; n < s->n; n++)
        adze_transpose(&run->kernels->rows, sizeof *y, out, s->oc, y + n * s->oc * out,
                       (int32_t *)run->outputs[0]->data + n * s->oc * out);
}

static adze_status conv_integer_run(adze_run *run, adze_error *err)
{
    conv_job j = {.run = run,
                  .x = run->inputs[0],
                  .w = run->inputs[1],
                  .x_zero = optional(run, 2),
                  .w_zero = optional(run, 3)};
    if (!run->prepared || adze_tensor_elements(run->outputs[0]) == 0)
        return run_conv(&j, err);
    adze_conv_shape s;
    ADZE_TRY(adze_conv_geometry(&s, run->node, j.x, j.w, run->outputs[0], err));
    if (!counts(j.x_zero, 1, 1) || !counts(j.w_zero, s.oc, 1))
        return bad_counts(run, err);
    fast_conv(&j, &s, run->prepared);
    return ADZE_OK;
}

static adze_status qlinear_conv_infer(adze_infer *infer, adze_error *err)
{
    return adze_conv_infer_with(infer, 3, adze_infer_input(infer, 7)->dtype, err);
}

static adze_status qlinear_conv_prepare(adze_prepare *prepare, adze_error *err)
{
    return check_types(prepare, "qfqqfqfqi", err);
}

static adze_status qlinear_conv_run(adze_run *run, adze_error *err)
{
    conv_job j = {.run = run,
                  .x = run->inputs[0],
                  .x_scale = run->inputs[1],
                  .x_zero = run->inputs[2],
                  .w = run->inputs[3],
                  .w_scale = run->inputs[4],
                  .w_zero = run->inputs[5],
                  .y_scale = run->inputs[6],
                  .y_zero = run->inputs[7],
                  .bias = optional(run, 8)};
    return run_conv(&j, err);
}

static void conv_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    const adze_tensor *w = inputs[adze_node_op(node)[0] == 'Q' ? 3 : 1];
    if (w->rank > 0 && w->dims[0] > 0)
        cost->operations = 2.0 * (double)adze_tensor_elements(outputs[0]) *
                           (double)adze_tensor_elements(w) / (double)w->dims[0];
}

/* ---- matrix product ---- */

typedef struct product_job {
    adze_run *run;
    const adze_tensor *a, *b, *a_zero, *b_zero;
    const adze_tensor *a_scale, *b_scale, *y_scale, *y_zero; /* NULL: int32 result */
    int64_t m, n, k;
    int batch_axes; /* of the result; a vector has no axis in it */
} product_job;

/* Offset of the matrix of one operand for a batch of the result, by broadcasting. */
static int64_t matrix_at(const adze_tensor *t, const product_job *j, int64_t batch, int64_t matrix)
{
    const adze_tensor *y = j->run->outputs[0];
    int64_t index = 0, step = 1;
    for (int i = j->batch_axes - 1; i >= 0; i--) {
        int64_t at = batch % y->dims[i];
        batch /= y->dims[i];
        int own = i - (j->batch_axes - (t->rank - 2));
        if (own < 0)
            continue;
        index += (t->dims[own] == 1 ? 0 : at) * step;
        step *= t->dims[own];
    }
    return index * matrix;
}

/* Zero point or scale of a row of a ([m] or one) in its batch. */
static int64_t row_parameter(const adze_tensor *p, const product_job *j, int64_t batch, int64_t i)
{
    int64_t n = p ? adze_tensor_elements(p) : 1;
    return n == 1 ? 0 : n == j->m ? i : batch * j->m + i;
}

static int64_t column_parameter(const adze_tensor *p, const product_job *j, int64_t batch,
                                int64_t c)
{
    int64_t n = p ? adze_tensor_elements(p) : 1;
    return n == 1 ? 0 : n == j->n ? c : batch * j->n + c;
}

static void product_row(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const product_job *j = user;
    adze_tensor *y = j->run->outputs[0];
    int64_t batch = piece / j->m, i = piece % j->m;
    int64_t a = matrix_at(j->a, j, batch, j->m * j->k) + i * j->k;
    int64_t b = matrix_at(j->b, j, batch, j->k * j->n);
    int64_t za =
        j->a_zero ? adze_tensor_get_i64(j->a_zero, row_parameter(j->a_zero, j, batch, i)) : 0;
    for (int64_t c = 0; c < j->n && !(c % 64 == 63 && adze_run_is_late(j->run)); c++) {
        int64_t zb = j->b_zero
                         ? adze_tensor_get_i64(j->b_zero, column_parameter(j->b_zero, j, batch, c))
                         : 0;
        int64_t sum = 0;
        for (int64_t k = 0; k < j->k; k++)
            sum += (adze_tensor_get_i64(j->a, a + k) - za) *
                   (adze_tensor_get_i64(j->b, b + k * j->n + c) - zb);
        int64_t out = piece * j->n + c;
        if (!j->y_scale) {
            ((int32_t *)y->data)[out] = (int32_t)sum;
            continue;
        }
        float sa = (float)adze_tensor_get_f64(j->a_scale, row_parameter(j->a_scale, j, batch, i));
        float sb =
            (float)adze_tensor_get_f64(j->b_scale, column_parameter(j->b_scale, j, batch, c));
        store_requantized(y, out, sum, sa * sb / scale_of(j->y_scale, 0), zero_of(j->y_zero, 0));
    }
}

static adze_status run_product(product_job *j, adze_error *err)
{
    j->m = j->a->rank > 1 ? j->a->dims[j->a->rank - 2] : 1;
    j->k = j->a->dims[j->a->rank - 1];
    j->n = j->b->rank > 1 ? j->b->dims[j->b->rank - 1] : 1;
    j->batch_axes = j->run->outputs[0]->rank - (j->a->rank > 1) - (j->b->rank > 1);
    int64_t elements = adze_tensor_elements(j->run->outputs[0]);
    if (elements == 0)
        return ADZE_OK;
    int64_t rows = elements / j->n, columns = rows / j->m * j->n;
    if (!counts(j->a_scale, j->m, rows) || !counts(j->a_zero, j->m, rows) ||
        !counts(j->b_scale, j->n, columns) || !counts(j->b_zero, j->n, columns) ||
        !counts(j->y_scale, 1, 1) || !counts(j->y_zero, 1, 1))
        return bad_counts(j->run, err);
    adze_run_parallel(j->run, rows, product_row, j);
    return ADZE_OK;
}

static bool is_fast_integer(const adze_run *run)
{
    const adze_tensor *a_zero = optional(run, 2), *b_zero = optional(run, 3);
    return run->inputs[1]->rank == 2 && run->inputs[0]->rank >= 2 &&
           (!a_zero || adze_tensor_elements(a_zero) == 1) &&
           (!b_zero || adze_tensor_elements(b_zero) == 1 ||
            adze_tensor_elements(b_zero) == run->inputs[1]->dims[1]);
}

static void shift_weights(const adze_tensor *b, int8_t *shifted)
{
    uint8_t flip = b->dtype == ADZE_U8 ? 0x80 : 0;
    for (size_t i = 0; i < b->size; i++)
        shifted[i] = (int8_t)(((const uint8_t *)b->data)[i] ^ flip);
}

static void sum_columns(int64_t k, int64_t n, const int8_t *shifted, int32_t *sums)
{
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++)
            sums[j] += shifted[i * n + j];
}

/* The packed weights when they are constant, else NULL. */
static adze_status integer_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *b = adze_prepare_input(prepare, 1);
    ADZE_TRY(check_types(prepare, "qqqq", err));
    if (!b->data || b->rank != 2 || adze_tensor_elements(b) < 1)
        return ADZE_OK;
    const adze_gemm_q8_table *t = &adze_prepare_kernels(prepare)->gemm_q8;
    packed_integers *p = adze_prepare_alloc(prepare, sizeof *p);
    int8_t *packed = adze_prepare_alloc(prepare, t->packed_size(b->dims[1], b->dims[0]));
    int32_t *sums = adze_prepare_alloc(prepare, (size_t)b->dims[1] * sizeof *sums);
    int8_t *shifted = adze_alloc(b->size, 1);
    bool done = p && packed && sums && shifted;
    if (done) {
        shift_weights(b, shifted);
        sum_columns(b->dims[0], b->dims[1], shifted, sums);
        t->pack_b(b->dims[1], b->dims[0], shifted, b->dims[1], 1, packed);
        *p = (packed_integers){packed, sums};
        adze_prepare_set(prepare, p);
    }
    adze_free(shifted);
    return done ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "packed weights");
}

/* [bias n][zeros n][row sums m][packed][shifted b] */
static size_t integer_scratch(const adze_run *run)
{
    if (!is_fast_integer(run))
        return 0;
    const adze_tensor *a = run->inputs[0], *b = run->inputs[1];
    size_t n = (size_t)b->dims[1], m = (size_t)(adze_tensor_elements(a) / ADZE_MAX(b->dims[0], 1));
    size_t size = (2 * n + m) * sizeof(int32_t) + 256;
    if (!run->prepared)
        size += run->kernels->gemm_q8.packed_size(b->dims[1], b->dims[0]) + b->size;
    return size;
}

/* The packed weights; the sums of their columns into `sums`. */
static const int8_t *packed_weights(const adze_run *run, uint8_t *room, int32_t *sums)
{
    const adze_tensor *b = run->inputs[1];
    const adze_gemm_q8_table *t = &run->kernels->gemm_q8;
    const packed_integers *p = run->prepared;
    if (p) {
        memcpy(sums, p->sums, (size_t)b->dims[1] * sizeof *sums);
        return p->packed;
    }
    int8_t *packed = (int8_t *)room;
    int8_t *shifted = packed + t->packed_size(b->dims[1], b->dims[0]);
    shift_weights(b, shifted);
    sum_columns(b->dims[0], b->dims[1], shifted, sums);
    t->pack_b(b->dims[1], b->dims[0], shifted, b->dims[1], 1, packed);
    return packed;
}

static void integer_fast(adze_run *run)
{
    const adze_tensor *a = run->inputs[0], *b = run->inputs[1];
    int64_t k = b->dims[0], n = b->dims[1], m = adze_tensor_elements(a) / ADZE_MAX(k, 1);
    uint8_t flip_a = a->dtype == ADZE_I8 ? 0x80 : 0, flip_b = b->dtype == ADZE_U8 ? 0x80 : 0;
    int64_t za = zero_of(optional(run, 2), 0) + (flip_a ? 128 : 0);
    int32_t *bias = run->scratch, *zeros = bias + n, *sums = zeros + n;
    uint8_t *room = (uint8_t *)(sums + m);
    room += -(uintptr_t)room & 63;
    const int8_t *packed = packed_weights(run, room, bias);
    for (int64_t j = 0; j < n; j++) {
        zeros[j] = (int32_t)(zero_of(optional(run, 3), j) - (flip_b ? 128 : 0));
        bias[j] = (int32_t)(-za * bias[j] + k * za * zeros[j]);
    }
    for (int64_t i = 0; i < m; i++)
        sums[i] = run->kernels->eltwise.sum_u8(k, (const uint8_t *)a->data + i * k, flip_a);
    adze_gemm_q8_args args = {.m = m,
                              .n = n,
                              .k = k,
                              .a = a->data,
                              .lda = k,
                              .a_flip = flip_a,
                              .b = packed,
                              .bias = bias,
                              .row_sum = sums,
                              .b_zero = zeros,
                              .output = ADZE_Q8_TO_I32,
                              .c = run->outputs[0]->data,
                              .ldc = n};
    adze_matmul_q8(run->kernels, run->pool, &args);
}

static adze_status integer_infer(adze_infer *infer, adze_error *err)
{
    return adze_matmul_infer_with(infer, 1, ADZE_I32, err);
}

static adze_status integer_run(adze_run *run, adze_error *err)
{
    if (adze_tensor_elements(run->outputs[0]) == 0)
        return ADZE_OK;
    if (is_fast_integer(run)) {
        integer_fast(run);
        return ADZE_OK;
    }
    product_job j = {.run = run,
                     .a = run->inputs[0],
                     .b = run->inputs[1],
                     .a_zero = optional(run, 2),
                     .b_zero = optional(run, 3)};
    return run_product(&j, err);
}

static adze_status qlinear_matmul_infer(adze_infer *infer, adze_error *err)
{
    return adze_matmul_infer_with(infer, 3, adze_infer_input(infer, 7)->dtype, err);
}

static adze_status qlinear_matmul_prepare(adze_prepare *prepare, adze_error *err)
{
    return check_types(prepare, "qfqqfqfq", err);
}

static adze_status qlinear_matmul_run(adze_run *run, adze_error *err)
{
    product_job j = {.run = run,
                     .a = run->inputs[0],
                     .a_scale = run->inputs[1],
                     .a_zero = run->inputs[2],
                     .b = run->inputs[3],
                     .b_scale = run->inputs[4],
                     .b_zero = run->inputs[5],
                     .y_scale = run->inputs[6],
                     .y_zero = run->inputs[7]};
    return run_product(&j, err);
}

static void product_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                         const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const adze_tensor *a = inputs[0];
    if (a->rank > 0)
        cost->operations =
            2.0 * (double)a->dims[a->rank - 1] * (double)adze_tensor_elements(outputs[0]);
}

#define CONV_ATTRS "auto_pad dilations group kernel_shape pads strides"

const adze_op adze_ops_qlinear[] = {
    {.name = "ConvInteger",
     .domain = "",
     .since = 10,
     .min_inputs = 2,
     .max_inputs = 4,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = CONV_ATTRS,
     .infer = conv_integer_infer,
     .cost = conv_cost,
     .prepare = conv_integer_prepare,
     .scratch = conv_integer_scratch,
     .run = conv_integer_run},
    {.name = "QLinearConv",
     .domain = "",
     .since = 10,
     .min_inputs = 8,
     .max_inputs = 9,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = CONV_ATTRS,
     .infer = qlinear_conv_infer,
     .cost = conv_cost,
     .prepare = qlinear_conv_prepare,
     .run = qlinear_conv_run},
    {.name = "MatMulInteger",
     .domain = "",
     .since = 10,
     .min_inputs = 2,
     .max_inputs = 4,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "",
     .infer = integer_infer,
     .cost = product_cost,
     .prepare = integer_prepare,
     .scratch = integer_scratch,
     .run = integer_run},
    {.name = "QLinearMatMul",
     .domain = "",
     .since = 10,
     .min_inputs = 8,
     .max_inputs = 8,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "",
     .infer = qlinear_matmul_infer,
     .cost = product_cost,
     .prepare = qlinear_matmul_prepare,
     .run = qlinear_matmul_run},
    {0},
};
