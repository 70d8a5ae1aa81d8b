/* RNN, GRU, LSTM, and com.microsoft's DynamicQuantizeLSTM. The product of the inputs with W is one
 * matrix product over the whole sequence; each step then adds the product of the state with R. Two
 * directions run side by side on two threads, one direction splits its products over all of them.
 * Everything is computed in float32; other float types are converted where they are read and written.
 * DynamicQuantizeLSTM multiplies integers (dynamic_linear.h). */
#include <math.h>
#include <string.h>

#include "kernels/conv.h"
#include "ops/dynamic_linear.h"
#include "ops/helpers.h"
#include "ops/recurrent.h"

enum { X, W, R, B, LENGTHS, STATE, CELL, PEEPHOLES, W_SCALE, W_ZERO, R_SCALE, R_ZERO };

/* ---- inference ---- */

static bool may_equal(adze_dim a, adze_dim b)
{
    return !adze_dim_known(a) || !adze_dim_known(b) || a == b;
}

/* Input i, where there and known, must have this shape. */
static adze_status need_shape(const adze_infer *infer, int i, int rank, const adze_dim *dims,
                              adze_error *err)
{
    const adze_type *t = adze_ops_ranked(infer, i);
    bool fits = !t || t->rank == rank;
    for (int k = 0; t && fits && k < rank; k++)
        fits = may_equal(t->dims[k], dims[k]);
    if (fits)
        return ADZE_OK;
    const adze_node *node = adze_infer_node(infer);
    return adze_fail(err, ADZE_BAD_MODEL, "node %s (%s): input %d has the wrong shape",
                     adze_node_name(node), adze_node_op(node), i);
}

static adze_status check_shapes(adze_infer *infer, const adze_cell *c, adze_dim batch,
                                adze_dim width, adze_dim hidden, adze_error *err)
{
    adze_dim d = c->directions, all = adze_infer_mul(infer, hidden, c->gates);
    adze_dim w[] = {d, all, width}, r[] = {d, all, hidden},
             b[] = {d, adze_infer_mul(infer, all, 2)};
    adze_dim state[] = {c->batch_first ? batch : d, c->batch_first ? d : batch, hidden};
    adze_dim p[] = {d, adze_infer_mul(infer, hidden, 3)};
    if (c->quantized) {
        w[1] = width;
        r[1] = hidden;
        w[2] = r[2] = all;
    }
    ADZE_TRY(need_shape(infer, W, 3, w, err));
    ADZE_TRY(need_shape(infer, R, 3, r, err));
    ADZE_TRY(need_shape(infer, B, 2, b, err));
    ADZE_TRY(need_shape(infer, LENGTHS, 1, &batch, err));
    ADZE_TRY(need_shape(infer, STATE, 3, state, err));
    ADZE_TRY(need_shape(infer, CELL, 3, state, err));
    return need_shape(infer, PEEPHOLES, 2, p, err);
}

static adze_status recurrent_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, X), *r = adze_ops_ranked(infer, R);
    adze_cell c;
    ADZE_TRY(adze_read_cell(&c, node, err));
    if (!x || (!r && !adze_node_has(node, "hidden_size")))
        return ADZE_OK;
    if (x->rank != 3 || (r && r->rank != 3))
        return adze_ops_bad(node, err, "X and R must have 3 axes");
    adze_dim steps = x->dims[c.batch_first], batch = x->dims[!c.batch_first];
    adze_dim hidden = r ? r->dims[c.quantized ? 1 : 2] : 0;
    int64_t said = adze_node_int(node, "hidden_size", -1);
    if (!r || (!adze_dim_known(hidden) && said > 0))
        hidden = said;
    if (adze_node_has(node, "hidden_size") && (said < 1 || !may_equal(said, hidden)))
        return adze_ops_bad(node, err, "hidden_size is not that of R");
    ADZE_TRY(check_shapes(infer, &c, batch, x->dims[2], hidden, err));
    adze_dtype dtype = adze_ops_real(x).dtype;
    adze_dim y[] = {steps, c.directions, batch, hidden};
    adze_dim last[] = {c.directions, batch, hidden};
    if (c.batch_first) {
        y[0] = last[0] = batch;
        y[1] = steps;
        y[2] = last[1] = c.directions;
    }
    adze_infer_set_tensor(infer, 0, dtype, 4, y);
    for (int i = 1; i < adze_infer_output_count(infer); i++)
        adze_infer_set_tensor(infer, i, dtype, 3, last);
    return ADZE_OK;
}

/* ---- weights ---- */

static void measure_weights(adze_cell *c, const adze_tensor *w, const adze_tensor *r)
{
    c->width = w->dims[c->quantized ? 1 : 2];
    c->hidden = r->dims[c->quantized ? 1 : 2];
}

static size_t round16(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* R is packed in two parts for GRU: the gates z and r, then h, whose product comes later. */
static int64_t first_rows(const adze_cell *c)
{
    return (c->kind == CELL_GRU ? 2 : c->gates) * c->hidden;
}

/* Floats that the packed weights of a direction take. */
static size_t packed_floats(const adze_cell *c, const adze_kernels *k, const adze_tensor *w,
                            const adze_tensor *r)
{
    const adze_gemm_f32_table *t = &k->gemm_f32;
    if (c->quantized)
        return round16((adze_dynamic_size(k, w) + adze_dynamic_size(k, r)) / sizeof(float));
    size_t n = round16(t->packed_size(c->gates * c->hidden, c->width));
    n += round16(t->packed_size(first_rows(c), c->hidden));
    return n + (c->kind == CELL_GRU ? round16(t->packed_size(c->hidden, c->hidden)) : 0);
}

/* Weights of one direction as floats: where they are, or in `room`. */
static const float *float_weights(const adze_kernels *k, const adze_tensor *w, int64_t direction,
                                  float *room)
{
    int64_t n = adze_tensor_elements(w) / ADZE_MAX(1, w->dims[0]);
    if (w->dtype == ADZE_F32)
        return (const float *)w->data + direction * n;
    adze_ops_load(k, w, direction * n, 1, n, room);
    return room;
}

static void pack_direction(const adze_cell *c, const adze_kernels *k, const adze_tensor *const *in,
                           int64_t direction, float *room, float *packed)
{
    const adze_gemm_f32_table *t = &k->gemm_f32;
    int64_t all = c->gates * c->hidden, first = first_rows(c), h = c->hidden;
    const float *w = float_weights(k, in[W], direction, room);
    t->pack_b(all, c->width, w, 1, c->width, packed);
    packed += round16(t->packed_size(all, c->width));
    w = float_weights(k, in[R], direction, room);
    t->pack_b(first, h, w, 1, h, packed);
    if (c->kind == CELL_GRU)
        t->pack_b(h, h, w + first * h, 1, h, packed + round16(t->packed_size(first, h)));
}

static size_t room_floats(const adze_cell *c, const adze_tensor *w, const adze_tensor *r)
{
    bool plain = (w->dtype == ADZE_F32 && r->dtype == ADZE_F32) || c->quantized;
    return plain ? 0
                 : round16((size_t)(c->gates * c->hidden) * (size_t)ADZE_MAX(c->width, c->hidden));
}

typedef struct quantized_weights {
    adze_dynamic_linear w, r;
} quantized_weights;

static quantized_weights pack_quantized(const adze_kernels *k, const adze_tensor *const *in,
                                        int64_t direction, void *room)
{
    uint8_t *second = (uint8_t *)room + adze_dynamic_size(k, in[W]);
    return (quantized_weights){
        adze_dynamic_pack(k, in[W], direction, in[W_SCALE], in[W_ZERO], room),
        adze_dynamic_pack(k, in[R], direction, in[R_SCALE], in[R_ZERO], second)};
}

/* What preparation leaves: weights of both directions. */
typedef struct prepared_weights {
    const float *packed;
    quantized_weights q[2];
} prepared_weights;

/* Shapes that inference could only compare as symbols. */
static adze_status check_weights(const adze_cell *c, const adze_node *node,
                                 const adze_tensor *const *in, adze_error *err)
{
    int64_t all = c->gates * c->hidden, d = c->directions;
    const adze_tensor *w = in[W], *r = in[R];
    bool fits = w->rank == 3 && r->rank == 3 && w->dims[0] == d && r->dims[0] == d &&
                w->dims[c->quantized ? 2 : 1] == all && r->dims[c->quantized ? 2 : 1] == all;
    for (int i = W_SCALE; fits && i <= R_ZERO; i++) {
        int64_t n = in[i] ? adze_tensor_elements(in[i]) : 1;
        fits = n == 1 || n == d || n == d * all;
    }
    if (c->quantized && (!in[W_SCALE] || !in[R_SCALE]))
        return adze_ops_bad(node, err, "the scales of W and R are missing");
    return fits ? ADZE_OK : adze_ops_bad(node, err, "W and R do not fit");
}

/* The packed weights of all directions, when they are constant. */
static adze_status recurrent_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *in[R_ZERO + 1] = {NULL};
    adze_cell c;
    ADZE_TRY(adze_read_cell(&c, node, err));
    bool constant = true;
    for (int i = 0; i <= R_ZERO; i++) {
        in[i] = adze_ops_prepare_input(prepare, i);
        bool weights = i == W || i == R || i >= W_SCALE;
        constant = constant && (!weights || !in[i] || in[i]->data);
        bool eight = c.quantized && (i == W || i == R || i == W_ZERO || i == R_ZERO);
        if (in[i] && i != LENGTHS && !eight && (in[i]->quant || !adze_ops_is_float(in[i]->dtype)))
            return adze_ops_unsupported(node, in[i]->dtype, err);
        if (in[i] && eight && in[i]->dtype != ADZE_I8 && in[i]->dtype != ADZE_U8)
            return adze_ops_unsupported(node, in[i]->dtype, err);
    }
    if (!constant)
        return ADZE_OK;
    if (in[W]->rank != 3 || in[R]->rank != 3)
        return adze_ops_bad(node, err, "W and R must have 3 axes");
    measure_weights(&c, in[W], in[R]);
    ADZE_TRY(check_weights(&c, node, in, err));
    if (c.hidden < 1 || c.width < 1)
        return ADZE_OK;
    size_t size = packed_floats(&c, k, in[W], in[R]), room = room_floats(&c, in[W], in[R]);
    prepared_weights *out = adze_prepare_alloc(prepare, sizeof *out);
    float *packed = adze_prepare_alloc(prepare, size * (size_t)c.directions * sizeof(float));
    float *copy = room ? adze_prepare_alloc(prepare, room * sizeof(float)) : NULL;
    if (!out || !packed || (room && !copy))
        return adze_fail(err, ADZE_NO_MEMORY, "packed weights");
    out->packed = packed;
    for (int64_t d = 0; d < c.directions; d++)
        if (c.quantized)
            out->q[d] = pack_quantized(k, in, d, packed + (size_t)d * size);
        else
            pack_direction(&c, k, in, d, copy, packed + (size_t)d * size);
    adze_prepare_set(prepare, out);
    return ADZE_OK;
}

/* ---- one direction ---- */

typedef struct job {
    adze_run *run;
    adze_cell c;
    const adze_tensor *in[R_ZERO + 1];
    const float *x;         /* [rows, width] */
    const uint8_t *x_bytes; /* the same, quantized */
    adze_dynamic_scale x_scale;
    uint8_t *workspace; /* of direction 0 */
    size_t stride;      /* bytes to the next */
    bool ragged;
} job;

typedef struct worker {
    const job *j;
    const adze_cell *c;
    const adze_kernels *k;
    int64_t direction;
    const adze_activation *act;
    const float *packed_w, *packed_r, *packed_h;
    quantized_weights q;
    float *inputs;    /* [rows, gates * hidden]: products of the inputs with W */
    float *gates;     /* [batch, gates * hidden] */
    float *state;     /* [batch, hidden] */
    float *cells;     /* the same, LSTM */
    float *temp;      /* the same */
    float *bias;      /* [gates * hidden] */
    float *late;      /* [hidden] bias of GRU's h with linear_before_reset */
    float *peepholes; /* [3 * hidden] */
    float *products;  /* [batch, gates * hidden]: of quantized states with R */
    float *scratch;   /* of quantized products */
    float *packed, *room;
} worker;

/* Places the arrays from `base`; returns the floats that they take. */
static size_t place(worker *w, float *base, bool prepared, const adze_tensor *weights,
                    const adze_tensor *recurrent)
{
    const adze_cell *c = w->c;
    size_t all = (size_t)(c->gates * c->hidden), rows = (size_t)(c->steps * c->batch);
    size_t states = round16((size_t)(c->batch * c->hidden)), at = 0;
    const adze_dynamic_linear widest = {.n = (int64_t)all};
    struct {
        float **to;
        size_t floats;
    } parts[] = {
        {&w->inputs, rows * all},
        {&w->gates, (size_t)c->batch * all},
        {&w->state, states},
        {&w->cells, states},
        {&w->temp, states},
        {&w->bias, all},
        {&w->late, (size_t)c->hidden},
        {&w->peepholes, 3 * (size_t)c->hidden},
        {&w->products, c->quantized ? (size_t)c->batch * all : 0},
        {&w->scratch,
         c->quantized ? adze_dynamic_scratch(&widest, c->steps * c->batch) / sizeof(float) : 0},
        {&w->packed, prepared ? 0 : packed_floats(c, w->k, weights, recurrent)},
        {&w->room, prepared ? 0 : room_floats(c, weights, recurrent)},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(parts); i++) {
        *parts[i].to = base ? base + at : NULL;
        at += round16(parts[i].floats);
    }
    return at;
}

static void multiply(const worker *w, adze_gemm_f32_args *args)
{
    args->lo = -INFINITY;
    args->hi = INFINITY;
    if (w->c->directions > 1)
        w->k->gemm_f32.run(args);
    else
        adze_matmul_f32(w->k, w->j->run->pool, args);
}

static void activate(const worker *w, int which, int64_t n, float *x)
{
    const adze_activation *a = &w->act[which];
    const adze_unary_f32_fn *unary = w->k->eltwise.unary;
    if (a->kernel != ADZE_SCALED_TANH) {
        unary[a->kernel](n, x, x, a->alpha, a->beta);
        return;
    }
    unary[ADZE_UNARY_LINEAR](n, x, x, a->beta, 0);
    unary[ADZE_UNARY_TANH](n, x, x, 0, 0);
    unary[ADZE_UNARY_LINEAR](n, x, x, a->alpha, 0);
}

/* Clips what goes into an activation, then the activation. */
static void gate(const worker *w, int which, int64_t n, float *x)
{
    if (w->c->clip > 0)
        w->k->eltwise.unary[ADZE_UNARY_CLIP](n, x, x, -w->c->clip, w->c->clip);
    activate(w, which, n, x);
}

static void lstm_row(const worker *w, float *g, float *h, float *c)
{
    int64_t n = w->c->hidden;
    float *in = g, *out = g + n, *forget = g + 2 * n, *fresh = g + 3 * n;
    const float *p = w->j->in[PEEPHOLES] ? w->peepholes : NULL;
    if (p)
        for (int64_t i = 0; i < n; i++) {
            in[i] += p[i] * c[i];
            forget[i] += p[2 * n + i] * c[i];
        }
    gate(w, 0, p ? n : 3 * n, in);
    if (p)
        gate(w, 0, n, forget);
    if (w->c->input_forget)
        for (int64_t i = 0; i < n; i++)
            forget[i] = 1 - in[i];
    gate(w, 1, n, fresh);
    for (int64_t i = 0; i < n; i++)
        c[i] = forget[i] * c[i] + in[i] * fresh[i];
    if (p) {
        for (int64_t i = 0; i < n; i++)
            out[i] += p[n + i] * c[i];
        gate(w, 0, n, out);
    }
    memcpy(h, c, (size_t)n * sizeof *h);
    activate(w, 2, n, h);
    for (int64_t i = 0; i < n; i++)
        h[i] *= out[i];
}

/* h = (1 - z) * new + z * h */
static void gru_row(const worker *w, float *g, float *h, const float *product)
{
    int64_t n = w->c->hidden;
    float *z = g, *r = g + n, *fresh = g + 2 * n;
    if (w->c->linear_before_reset)
        for (int64_t i = 0; i < n; i++)
            fresh[i] += r[i] * product[i];
    gate(w, 1, n, fresh);
    for (int64_t i = 0; i < n; i++)
        h[i] = (1 - z[i]) * fresh[i] + z[i] * h[i];
}

/* What GRU needs between its two products: z and r, then the product for the new state. */
static void gru_middle(const worker *w)
{
    const adze_cell *c = w->c;
    int64_t n = c->hidden;
    for (int64_t b = 0; b < c->batch; b++) {
        float *g = w->gates + b * 3 * n;
        gate(w, 0, 2 * n, g);
        for (int64_t i = 0; i < n && !c->linear_before_reset; i++)
            w->temp[b * n + i] = g[n + i] * w->state[b * n + i];
    }
    adze_gemm_f32_args args = {.m = c->batch, .n = n, .k = n, .lda = n, .b = w->packed_h};
    if (c->linear_before_reset) {
        args.a = w->state;
        args.bias = w->late;
        args.c = w->temp;
        args.ldc = n;
    } else {
        args.a = w->temp;
        args.residual = args.c = w->gates + 2 * n;
        args.ldr = args.ldc = 3 * n;
    }
    multiply(w, &args);
}

static int64_t length_of(const job *j, int64_t b)
{
    return j->in[LENGTHS] ? adze_tensor_get_i64(j->in[LENGTHS], b) : j->c.steps;
}

/* The scale covers what lies up to the longest sequence; what is behind is never used. */
static void quantize_inputs(job *j, int64_t n, const float *x, uint8_t *to)
{
    const adze_eltwise_table *t = &j->run->kernels->eltwise;
    float lo = 0, hi = 0;
    int64_t longest = 0;
    for (int64_t b = 0; b < j->c.batch; b++)
        longest = ADZE_MAX(longest, length_of(j, b));
    t->range(longest * j->c.batch * j->c.width, x, &lo, &hi);
    j->x_scale = adze_dynamic_scale_of(lo, hi);
    j->x_bytes = to;
    t->quantize_u8(n, x, j->x_scale.scale, j->x_scale.zero, to);
}

static void multiply_quantized(const worker *w, const adze_dynamic_linear *by, int64_t rows,
                               const uint8_t *x, adze_dynamic_scale how, const float *bias,
                               float *y)
{
    adze_pool *pool = w->c->directions > 1 ? NULL : w->j->run->pool;
    adze_dynamic_multiply(by, w->k, pool, rows, x, how, bias, y, w->scratch);
}

/* gates += state * R. States of sequences that ended before the last step count as zeros in the scale. */
static void add_quantized(const worker *w, int64_t step)
{
    const adze_cell *c = w->c;
    const adze_eltwise_table *t = &w->k->eltwise;
    float lo = 0, hi = 0;
    uint8_t *bytes = (uint8_t *)w->temp;
    for (int64_t b = 0; b < c->batch; b++)
        if (length_of(w->j, b) >= step)
            t->range(c->hidden, w->state + b * c->hidden, &lo, &hi);
    adze_dynamic_scale how = adze_dynamic_scale_of(lo, hi);
    t->quantize_u8(c->batch * c->hidden, w->state, how.scale, how.zero, bytes);
    multiply_quantized(w, &w->q.r, c->batch, bytes, how, NULL, w->products);
    t->binary[ADZE_BINARY_ADD][ADZE_FORM_VV](c->batch * c->gates * c->hidden, w->gates, w->products,
                                             w->gates);
}

static int64_t time_of(const worker *w, int64_t step, int64_t b)
{
    return w->direction >= w->c->first_reverse ? length_of(w->j, b) - 1 - step : step;
}

static void write_step(const worker *w, int64_t time, int64_t b)
{
    const adze_cell *c = w->c;
    adze_tensor *y = adze_ops_output(w->j->run, 0);
    int64_t row = c->batch_first ? (b * c->steps + time) * c->directions + w->direction
                                 : (time * c->directions + w->direction) * c->batch + b;
    if (y)
        adze_ops_store(w->k, w->state + b * c->hidden, c->hidden, y, row * c->hidden);
}

static void step(const worker *w, int64_t at)
{
    const adze_cell *c = w->c;
    int64_t n = c->hidden, all = c->gates * n;
    for (int64_t b = 0; b < c->batch; b++) {
        int64_t time = at < length_of(w->j, b) ? time_of(w, at, b) : 0;
        int64_t row = c->batch_first ? b * c->steps + time : time * c->batch + b;
        memcpy(w->gates + b * all, w->inputs + row * all, (size_t)all * sizeof(float));
    }
    adze_gemm_f32_args args = {.m = c->batch,
                               .n = first_rows(c),
                               .k = n,
                               .a = w->state,
                               .lda = n,
                               .b = w->packed_r,
                               .residual = w->gates,
                               .ldr = all,
                               .c = w->gates,
                               .ldc = all};
    if (c->quantized)
        add_quantized(w, at);
    else
        multiply(w, &args);
    if (c->kind == CELL_GRU)
        gru_middle(w);
    for (int64_t b = 0; b < c->batch; b++) {
        float *g = w->gates + b * all, *h = w->state + b * n;
        if (at >= length_of(w->j, b))
            continue;
        if (c->kind == CELL_LSTM)
            lstm_row(w, g, h, w->cells + b * n);
        else if (c->kind == CELL_GRU)
            gru_row(w, g, h, w->temp + b * n);
        else {
            gate(w, 0, n, g);
            memcpy(h, g, (size_t)n * sizeof *h);
        }
        write_step(w, time_of(w, at, b), b);
    }
}

static int64_t state_at(const worker *w, int64_t b)
{
    const adze_cell *c = w->c;
    return (c->batch_first ? b * c->directions + w->direction : w->direction * c->batch + b) *
           c->hidden;
}

static void load_state(const worker *w, int input, float *to)
{
    int64_t n = w->c->hidden;
    memset(to, 0, (size_t)(w->c->batch * n) * sizeof *to);
    for (int64_t b = 0; b < w->c->batch && w->j->in[input]; b++)
        adze_ops_load(w->k, w->j->in[input], state_at(w, b), 1, n, to + b * n);
}

/* The biases of W and R become one, except where GRU multiplies between them. */
static void load_bias(const worker *w)
{
    const adze_cell *c = w->c;
    int64_t n = c->hidden, all = c->gates * n;
    const adze_tensor *bias = w->j->in[B], *peepholes = w->j->in[PEEPHOLES];
    memset(w->bias, 0, (size_t)all * sizeof *w->bias);
    memset(w->late, 0, (size_t)n * sizeof *w->late);
    for (int64_t i = 0; bias && i < all; i++) {
        int64_t at = w->direction * 2 * all + i;
        float recurrent = (float)adze_tensor_get_f64(bias, at + all);
        bool late = c->kind == CELL_GRU && c->linear_before_reset && i >= 2 * n;
        w->bias[i] = (float)adze_tensor_get_f64(bias, at) + (late ? 0 : recurrent);
        if (late)
            w->late[i - 2 * n] = recurrent;
    }
    if (peepholes)
        adze_ops_load(w->k, peepholes, w->direction * 3 * n, 1, 3 * n, w->peepholes);
}

/* Where the packed weights are, or packs them. */
static void place_weights(worker *w)
{
    const adze_cell *c = w->c;
    const prepared_weights *p = w->j->run->prepared;
    const adze_gemm_f32_table *t = &w->k->gemm_f32;
    const adze_tensor *const *in = w->j->in;
    if (c->quantized) {
        w->q = p ? p->q[w->direction] : pack_quantized(w->k, in, w->direction, w->packed);
        return;
    }
    if (!p)
        pack_direction(c, w->k, in, w->direction, w->room, w->packed);
    w->packed_w =
        p ? p->packed + (size_t)w->direction * packed_floats(c, w->k, in[W], in[R]) : w->packed;
    w->packed_r = w->packed_w + round16(t->packed_size(c->gates * c->hidden, c->width));
    w->packed_h = w->packed_r + round16(t->packed_size(first_rows(c), c->hidden));
}

static void run_direction(void *user, int64_t direction, int thread)
{
    const job *j = user;
    const adze_cell *c = &j->c;
    worker w = {.j = j, .c = c, .k = j->run->kernels, .direction = direction};
    ADZE_UNUSED(thread);
    float *base = (float *)(void *)(j->workspace + (size_t)direction * j->stride);
    place(&w, base, j->run->prepared, j->in[W], j->in[R]);
    w.act = c->activations[direction];
    place_weights(&w);
    load_bias(&w);
    load_state(&w, STATE, w.state);
    load_state(&w, CELL, w.cells);
    adze_gemm_f32_args args = {.m = c->steps * c->batch,
                               .n = c->gates * c->hidden,
                               .k = c->width,
                               .a = j->x,
                               .lda = c->width,
                               .b = w.packed_w,
                               .bias = w.bias,
                               .c = w.inputs,
                               .ldc = c->gates * c->hidden};
    if (args.m > 0 && c->quantized)
        multiply_quantized(&w, &w.q.w, args.m, j->x_bytes, j->x_scale, w.bias, w.inputs);
    else if (args.m > 0)
        multiply(&w, &args);
    for (int64_t s = 0; s < c->steps && !(s % 16 == 15 && adze_run_is_late(j->run)); s++)
        step(&w, s);
    for (int i = 1; i < 3; i++) {
        adze_tensor *last = adze_ops_output(j->run, i);
        for (int64_t b = 0; last && b < c->batch; b++)
            adze_ops_store(w.k, (i == 1 ? w.state : w.cells) + b * c->hidden, c->hidden, last,
                           state_at(&w, b));
    }
}

/* ---- run ---- */

static void measure(adze_cell *c, const adze_run *run)
{
    const adze_tensor *x = run->inputs[X];
    measure_weights(c, run->inputs[W], run->inputs[R]);
    c->steps = x->dims[c->batch_first];
    c->batch = x->dims[!c->batch_first];
}

/* x as floats (when it is not), then each direction's own. */
static size_t x_floats(const adze_cell *c, const adze_tensor *x)
{
    bool plain = x->dtype == ADZE_F32 && !c->quantized;
    return plain ? 0 : round16((size_t)adze_tensor_elements(x)) * (c->quantized ? 2 : 1);
}

static size_t recurrent_scratch(const adze_run *run)
{
    adze_cell c;
    if (adze_read_cell(&c, run->node, NULL) != ADZE_OK)
        return 0;
    measure(&c, run);
    worker w = {.c = &c, .k = run->kernels};
    size_t floats = place(&w, NULL, run->prepared, run->inputs[W], run->inputs[R]);
    return (floats * (size_t)c.directions + x_floats(&c, run->inputs[X])) * sizeof(float);
}

static adze_status check_run(job *j, adze_error *err)
{
    const adze_cell *c = &j->c;
    const adze_node *node = j->run->node;
    int64_t states = c->directions * c->batch * c->hidden, all = c->gates * c->hidden;
    const int64_t expected[] = {[X] = c->steps * c->batch * c->width,
                                [W] = c->directions * all * c->width,
                                [R] = c->directions * all * c->hidden,
                                [B] = 2 * c->directions * all,
                                [LENGTHS] = c->batch,
                                [STATE] = states,
                                [CELL] = states,
                                [PEEPHOLES] = 3 * c->directions * c->hidden};
    ADZE_TRY(check_weights(c, node, j->in, err));
    for (int i = 0; i <= PEEPHOLES; i++)
        if (j->in[i] && adze_tensor_elements(j->in[i]) != expected[i])
            return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): input %d has the wrong shape",
                             adze_node_name(node), adze_node_op(node), i);
    for (int i = 0; i < 3; i++) {
        const adze_tensor *y = adze_ops_output(j->run, i);
        if (y && adze_tensor_elements(y) != (i == 0 ? c->steps * states : states))
            return adze_ops_bad(node, err, "hidden_size is not that of R");
    }
    for (int64_t b = 0; j->in[LENGTHS] && b < c->batch; b++) {
        int64_t n = adze_tensor_get_i64(j->in[LENGTHS], b);
        if (n < 0 || n > c->steps)
            return adze_fail(
                err, ADZE_BAD_DATA, "node %s (%s): sequence length %lld, expected 0 to %lld",
                adze_node_name(node), adze_node_op(node), (long long)n, (long long)c->steps);
        j->ragged = j->ragged || n < c->steps;
    }
    return ADZE_OK;
}

static adze_status recurrent_run(adze_run *run, adze_error *err)
{
    job j = {.run = run};
    ADZE_TRY(adze_read_cell(&j.c, run->node, err));
    measure(&j.c, run);
    for (int i = 0; i <= R_ZERO; i++)
        j.in[i] = adze_ops_input(run, i);
    ADZE_TRY(check_run(&j, err));
    adze_tensor *y = adze_ops_output(run, 0);
    if (y && j.ragged)
        memset(y->data, 0, y->size);
    if (j.c.hidden == 0 || j.c.batch == 0)
        return ADZE_OK;
    const adze_tensor *x = run->inputs[X];
    float *room = run->scratch;
    size_t copied = x_floats(&j.c, x);
    int64_t n = adze_tensor_elements(x);
    j.x = x->data;
    if (copied) {
        adze_ops_load(run->kernels, x, 0, 1, n, room);
        j.x = room;
    }
    if (j.c.quantized)
        quantize_inputs(&j, n, room, (uint8_t *)(room + round16((size_t)n)));
    worker w = {.c = &j.c, .k = run->kernels};
    j.stride = place(&w, NULL, run->prepared, run->inputs[W], run->inputs[R]) * sizeof(float);
    j.workspace = (uint8_t *)(room + copied);
    if (j.c.directions > 1)
        adze_run_parallel(run, j.c.directions, run_direction, &j);
    else
        run_direction(&j, 0, 0);
    return ADZE_OK;
}

static void recurrent_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                           const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    const adze_tensor *x = inputs[X];
    double weights =
        (double)adze_tensor_elements(inputs[W]) + (double)adze_tensor_elements(inputs[R]);
    if (x->rank == 3)
        cost->operations = 2.0 * (double)(x->dims[0] * x->dims[1]) * weights;
}

#define ROW(area, text, version, least, most, results, list)                                       \
    {                                                                                              \
        .domain = area, .name = text, .since = version, .min_inputs = least, .max_inputs = most,   \
        .min_outputs = 0, .max_outputs = results, .attrs = list, .infer = recurrent_infer,         \
        .cost = recurrent_cost, .prepare = recurrent_prepare, .scratch = recurrent_scratch,        \
        .run = recurrent_run                                                                       \
    }
#define ATTRS                                                                                      \
    "activation_alpha activation_beta activations clip direction hidden_size layout "              \
    "output_sequence "

const adze_op adze_ops_recurrent[] = {
    ROW("", "RNN", 7, 3, 6, 2, ATTRS),
    ROW("", "GRU", 7, 3, 6, 2, ATTRS "linear_before_reset"),
    ROW("", "LSTM", 7, 3, 8, 3, ATTRS "input_forget"),
    ROW("com.microsoft", "DynamicQuantizeLSTM", 1, 3, 12, 3, ATTRS "input_forget"),
    {.name = NULL},
};
