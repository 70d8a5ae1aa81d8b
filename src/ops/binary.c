/* Element-wise functions of two tensors with broadcasting. float32 rows go to the kernels,
 * narrow and quantized floats through float32 in pieces that stay in the first cache, 8-bit sums
 * and products to the integer kernels, all else to the typed loops of pairs.c. */
#include "ops/binary.h"
#include <math.h>
#include <string.h>
#include "ops/fused.h"

#define GRAIN 16384
#define BYTES_GRAIN 65536 /* less is done before a second thread has begun */
#define CHUNK 512
#define REPEATED 1024 /* elements */

/* ---- inference ---- */

static adze_pair pair_of(const adze_node *node)
{
    return ((const adze_pair_spec *)adze_node_operator(node)->user)->pair;
}

static bool is_comparison(adze_pair pair)
{
    return pair >= ADZE_PAIR_EQUAL && pair <= ADZE_PAIR_GREATER_EQUAL;
}

static bool known_pair(adze_infer *infer, adze_pair pair, adze_dim a, adze_dim b, adze_dim *out)
{
    static const int kinds[] = {[ADZE_PAIR_ADD] = ADZE_DIM_ADD, [ADZE_PAIR_SUB] = ADZE_DIM_SUB,
                                [ADZE_PAIR_MUL] = ADZE_DIM_MUL, [ADZE_PAIR_DIV] = ADZE_DIM_DIV,
                                [ADZE_PAIR_MIN] = ADZE_DIM_MIN, [ADZE_PAIR_MAX] = ADZE_DIM_MAX};
    if (pair <= ADZE_PAIR_MAX)
        return adze_ops_dim_op(infer, (adze_dim_kind)kinds[pair], a, b, out);
    int64_t x = 0, y = 0;
    bool a_number = adze_ops_is_number(a, &x), b_number = adze_ops_is_number(b, &y);
    *out = a == b;
    /* a symbol is never below zero; any other number it may equal */
    return a == b || (a_number && b_number) || x < 0 || y < 0;
}

static void infer_known(adze_infer *infer, adze_pair pair)
{
    adze_dim a[ADZE_OPS_MAX_INTS], b[ADZE_OPS_MAX_INTS];
    int n = adze_ops_ints(infer, 0, a, ADZE_OPS_MAX_INTS);
    for (int i = 1; i < adze_infer_input_count(infer) && n >= 0; i++) {
        int m = adze_ops_ints(infer, i, b, ADZE_OPS_MAX_INTS);
        if (m < 0 || (m != n && m != 1 && n != 1))
            return;
        int count = m == 0 || n == 0 ? 0 : ADZE_MAX(m, n);
        for (int k = count - 1; k >= 0; k--)
            if (!known_pair(infer, pair, a[n == 1 ? 0 : k], b[m == 1 ? 0 : k], &a[k]))
                return;
        n = count;
    }
    if (n >= 0)
        adze_ops_set_ints(infer, 0, a, n);
}

adze_status adze_binary_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    ADZE_TRY(adze_ops_infer_broadcast(infer, err));
    if (!x || infer->outputs[0].rank < 0)
        return ADZE_OK;
    adze_pair pair = pair_of(adze_infer_node(infer));
    bool index = x->dtype == ADZE_I64 || x->dtype == ADZE_I32;
    if (index && infer->outputs[0].rank <= 1 && (pair <= ADZE_PAIR_MAX || pair == ADZE_PAIR_EQUAL))
        infer_known(infer, pair);
    if (is_comparison(pair)) {
        adze_type y = infer->outputs[0];
        y.dtype = ADZE_BOOL;
        adze_infer_set(infer, 0, &y);
    }
    return ADZE_OK;
}

void adze_variadic_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(inputs);
    cost->operations =
        (double)adze_tensor_elements(outputs[0]) * ADZE_MAX(1, adze_node_input_count(node) - 1);
}

/* ---- preparation: only checks ---- */

static bool has_kernel(adze_pair pair)
{
    return pair <= ADZE_PAIR_MOD;
}

static bool strings_equal(adze_pair pair, adze_dtype dtype)
{
    return pair == ADZE_PAIR_EQUAL && dtype == ADZE_STRING;
}

static bool can_run(adze_pair pair, const adze_tensor *x)
{
    if (adze_ops_can_load(x) && (has_kernel(pair) || is_comparison(pair)))
        return true;
    return !x->quant && (adze_pair_typed(pair, x->dtype) || strings_equal(pair, x->dtype));
}

adze_status adze_binary_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    adze_pair pair = pair_of(node);
    const adze_tensor *first = adze_prepare_input(prepare, 0);
    for (int i = 0; i < adze_node_input_count(node); i++) {
        const adze_tensor *x = adze_prepare_input(prepare, i);
        if (!x)
            return adze_ops_bad(node, err, "an input is absent");
        bool mixed = pair == ADZE_PAIR_POW || (adze_ops_can_load(first) && adze_ops_can_load(x));
        if (x->dtype != first->dtype && !mixed)
            return adze_ops_bad(node, err, "inputs differ in type");
        if (!can_run(pair, x))
            return adze_ops_unsupported(node, x->dtype, err);
    }
    return ADZE_OK;
}

/* ---- execution ---- */

typedef struct pair_job {
    adze_broadcast b;
    const adze_kernels *kernels;
    adze_pair pair;
    adze_binary kernel;
    adze_pair_fn typed;
    const adze_tensor *x[2];
    adze_tensor *y;
    size_t x_size, y_size;
    bool clamp;
    float lo, hi;
    adze_q8_binary_args q8;
    adze_broadcast_fn row;
    int64_t period; /* of operand `repeated`; 0: none is */
    int repeated;
} pair_job;

static const adze_binary kernel_of[] = {
    [ADZE_PAIR_ADD] = ADZE_BINARY_ADD,     [ADZE_PAIR_SUB] = ADZE_BINARY_SUB,
    [ADZE_PAIR_MUL] = ADZE_BINARY_MUL,     [ADZE_PAIR_DIV] = ADZE_BINARY_DIV,
    [ADZE_PAIR_MIN] = ADZE_BINARY_MIN,     [ADZE_PAIR_MAX] = ADZE_BINARY_MAX,
    [ADZE_PAIR_PRELU] = ADZE_BINARY_PRELU, [ADZE_PAIR_POW] = ADZE_BINARY_POW,
    [ADZE_PAIR_FMOD] = ADZE_BINARY_FMOD,   [ADZE_PAIR_MOD] = ADZE_BINARY_MOD,
};

static void float_pair(const pair_job *job, adze_form form, int64_t n, const float *a,
                       const float *b, float *y)
{
    const adze_eltwise_table *k = &job->kernels->eltwise;
    k->binary[job->kernel][form](n, a, b, y);
    if (job->clamp)
        k->unary[ADZE_UNARY_CLIP](n, y, y, job->lo, job->hi);
}

static void float_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    const float *a = (const float *)job->x[0]->data + from[0];
    const float *b = (const float *)job->x[1]->data + from[1];
    adze_form form = !adze_ops_step(&job->b, 1)   ? ADZE_FORM_VS
                     : !adze_ops_step(&job->b, 0) ? ADZE_FORM_SV
                                                  : ADZE_FORM_VV;
    float_pair(job, form, n, a, b, (float *)job->y->data + to);
}

/* float16, bfloat16 and quantized operands: through float32. */
static void narrow_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    float a[CHUNK], b[CHUNK];
    int sa = adze_ops_step(&job->b, 0), sb = adze_ops_step(&job->b, 1);
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t count = ADZE_MIN(CHUNK, n - i);
        adze_ops_load(job->kernels, job->x[0], from[0] + i * sa, sa, count, a);
        adze_ops_load(job->kernels, job->x[1], from[1] + i * sb, sb, count, b);
        if (is_comparison(job->pair)) {
            job->typed(count, a, 1, b, 1, (uint8_t *)job->y->data + to + i);
            continue;
        }
        job->kernels->eltwise.binary[job->kernel][ADZE_FORM_VV](count, a, b, a);
        if (job->clamp)
            job->kernels->eltwise.unary[ADZE_UNARY_CLIP](count, a, a, job->lo, job->hi);
        adze_ops_store(job->kernels, a, count, job->y, to + i);
    }
}

static void typed_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    job->typed(n, (const char *)job->x[0]->data + from[0] * (int64_t)job->x_size,
               adze_ops_step(&job->b, 0),
               (const char *)job->x[1]->data + from[1] * (int64_t)job->x_size,
               adze_ops_step(&job->b, 1), (char *)job->y->data + to * (int64_t)job->y_size);
}

static void string_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    const adze_string *a = (const adze_string *)job->x[0]->data + from[0];
    const adze_string *b = (const adze_string *)job->x[1]->data + from[1];
    uint8_t *y = (uint8_t *)job->y->data + to;
    int sa = adze_ops_step(&job->b, 0), sb = adze_ops_step(&job->b, 1);
    for (int64_t i = 0; i < n; i++, a += sa, b += sb)
        y[i] = a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

/* A power of a type with an exponent of another: in double precision, integers cut off. */
static void mixed_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    bool real = adze_ops_is_float(job->y->dtype);
    for (int64_t i = 0; i < n; i++) {
        double a = adze_tensor_get_f64(job->x[0], from[0] + i * adze_ops_step(&job->b, 0));
        double b = adze_tensor_get_f64(job->x[1], from[1] + i * adze_ops_step(&job->b, 1));
        double y = pow(a, b);
        adze_tensor_set_f64(job->y, to + i, real ? y : trunc(y));
    }
}

static void q8_pair(const pair_job *job, bool scalar, int64_t n, const uint8_t *a, const uint8_t *b,
                    uint8_t *y)
{
    adze_q8_binary_args args = job->q8;
    args.n = n;
    args.a = a;
    args.b = b;
    args.y = y;
    args.b_scalar = scalar;
    (job->pair == ADZE_PAIR_MUL ? job->kernels->eltwise.q8_mul
                                : job->kernels->eltwise.q8_add)(&args);
}

static void q8_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    q8_pair(job, adze_ops_step(&job->b, 1) == 0, n, (const uint8_t *)job->x[0]->data + from[0],
            (const uint8_t *)job->x[1]->data + from[1], (uint8_t *)job->y->data + to);
}

static int32_t quantized_limit(const adze_tensor *y, float limit, int32_t lo, int32_t hi)
{
    float v = rintf(limit / y->quant->scale[0]) + (float)adze_ops_zero_point(y);
    return !(v > (float)lo) ? lo : v < (float)hi ? (int32_t)v : hi;
}

static adze_status q8_setup(pair_job *job, const adze_run *run, adze_error *err)
{
    const adze_tensor *a = job->x[0], *b = job->x[1], *y = job->y;
    float ys = y->quant->scale[0], as = a->quant->scale[0], bs = b->quant->scale[0];
    bool product = job->pair == ADZE_PAIR_MUL;
    job->q8 = (adze_q8_binary_args){.a_signed = a->dtype == ADZE_I8,
                                    .b_signed = b->dtype == ADZE_I8,
                                    .a_zero = adze_ops_zero_point(a),
                                    .b_zero = adze_ops_zero_point(b),
                                    .y_zero = adze_ops_zero_point(y),
                                    .lo = y->dtype == ADZE_I8 ? -128 : 0,
                                    .hi = y->dtype == ADZE_I8 ? 127 : 255,
                                    .a_scale = product ? as * bs / ys : as / ys,
                                    .b_scale = bs / ys};
    if (job->pair == ADZE_PAIR_SUB)
        job->q8.b_scale = -job->q8.b_scale;
    if (job->clamp) {
        int32_t lo = job->q8.lo, hi = job->q8.hi;
        job->q8.lo = quantized_limit(y, job->lo, lo, hi);
        job->q8.hi = quantized_limit(y, job->hi, lo, hi);
    }
    if (adze_ops_step(&job->b, 0) == 0 && adze_ops_step(&job->b, 1) != 0) { /* the vector first */
        adze_q8_binary_args q = job->q8;
        job->q8.a_signed = q.b_signed;
        job->q8.b_signed = q.a_signed;
        job->q8.a_zero = q.b_zero;
        job->q8.b_zero = q.a_zero;
        job->q8.a_scale = product ? q.a_scale : q.b_scale;
        job->q8.b_scale = q.a_scale;
        job->x[0] = b;
        job->x[1] = a;
        ADZE_TRY(adze_ops_broadcast(&job->b, run, y, 2, job->x, err));
    }
    return ADZE_OK;
}

static bool is_q8_pair(const pair_job *job)
{
    const adze_tensor *a = job->x[0], *b = job->x[1], *y = job->y;
    if (job->pair > ADZE_PAIR_MUL || !adze_ops_is_q8(a) || !adze_ops_is_q8(b) || !adze_ops_is_q8(y))
        return false;
    float as = a->quant->scale[0], bs = b->quant->scale[0], ys = y->quant->scale[0];
    return job->pair == ADZE_PAIR_MUL
               ? !adze_ops_falls_between(as * bs, ys)
               : !adze_ops_falls_between(as, ys) && !adze_ops_falls_between(bs, ys);
}

static void choose_row(pair_job *job)
{
    const adze_tensor *a = job->x[0], *b = job->x[1];
    bool quant = a->quant || b->quant || job->y->quant;
    bool narrow = quant || a->dtype == ADZE_F16 || a->dtype == ADZE_BF16 ||
                  (a->dtype == ADZE_F32 && b->dtype != ADZE_F32);
    if (narrow)
        job->typed = adze_pair_typed(job->pair, ADZE_F32);
    job->row = is_q8_pair(job)           ? q8_row
               : narrow                  ? narrow_row
               : a->dtype != b->dtype    ? mixed_row
               : a->dtype == ADZE_STRING ? string_row
               : job->typed              ? typed_row
                                         : float_row;
}

/* ---- short rows ---- */

/* An operand that is one short row for all (a scale for each channel, channels last) is laid out many
 * times, so that the kernels get long rows. Its last two axes become one, along which it repeats. */
static void find_repeated(pair_job *job)
{
    adze_broadcast *b = &job->b;
    int last = b->rank - 1;
    if (last < 1 || b->dims[last] > REPEATED / 2 || b->dims[last - 1] < 4 ||
        (job->row != q8_row && job->row != float_row))
        return;
    for (int k = 0; k < 2; k++) {
        const int64_t *own = b->stride[k], *other = b->stride[1 - k];
        if (own[last] != 1 || own[last - 1] != 0 || other[last] != 1 ||
            other[last - 1] != b->dims[last])
            continue;
        job->period = b->dims[last];
        job->repeated = k;
        b->dims[last - 1] *= job->period;
        b->stride[1 - k][last - 1] = 1;
        b->rank--;
        return;
    }
}

/* to[i] = from[(phase + i) % period] */
static void repeat(uint8_t *to, const uint8_t *from, size_t n, size_t period, size_t phase)
{
    size_t done = ADZE_MIN(period - phase, n);
    memcpy(to, from + phase, done);
    if (done < n) {
        size_t rest = ADZE_MIN(phase, n - done);
        memcpy(to + done, from, rest);
        done += rest;
    }
    for (size_t count; done < n; done += count) {
        count = ADZE_MIN(done, n - done); /* `done` is a multiple of the period */
        memcpy(to + done, to, count);
    }
}

static void repeated_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    float copies[REPEATED];
    const void *x[2];
    int k = job->repeated;
    size_t size = job->x_size;
    int64_t most = ADZE_MIN(n, REPEATED / job->period * job->period);
    const uint8_t *source = (const uint8_t *)job->x[k]->data + (size_t)from[k] * size;
    const uint8_t *other = (const uint8_t *)job->x[1 - k]->data + (size_t)from[1 - k] * size;
    uint8_t *y = (uint8_t *)job->y->data + (size_t)to * size;
    repeat((uint8_t *)copies, source, (size_t)most * size, (size_t)job->period * size,
           (size_t)(to % job->period) * size);
    x[k] = copies;
    for (int64_t i = 0; i < n; i += most) {
        int64_t count = ADZE_MIN(most, n - i);
        x[1 - k] = other + (size_t)i * size;
        if (job->row == q8_row)
            q8_pair(job, false, count, x[0], x[1], y + (size_t)i * size);
        else
            float_pair(job, ADZE_FORM_VV, count, x[0], x[1],
                       (float *)(void *)(y + (size_t)i * size));
    }
}

/* Neither operand goes along the row, as when a third of Max does: one result for all of it. */
static void even_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const pair_job *job = user;
    uint8_t *y = (uint8_t *)job->y->data + (size_t)to * job->y_size;
    job->row(user, 1, from, to);
    for (int64_t done = 1, count; done < n; done += count) {
        count = ADZE_MIN(done, n - done);
        memcpy(y + (size_t)done * job->y_size, y, (size_t)count * job->y_size);
    }
}

static void pair_range(void *user, int64_t begin, int64_t end, int worker)
{
    pair_job *job = user;
    ADZE_UNUSED(worker);
    bool even = !adze_ops_step(&job->b, 0) && !adze_ops_step(&job->b, 1);
    adze_ops_broadcast_range(&job->b, begin, end,
                             even          ? even_row
                             : job->period ? repeated_row
                                           : job->row,
                             job);
}

adze_status adze_binary_run_pair(adze_run *run, adze_pair pair, const adze_tensor *a,
                                 const adze_tensor *b, adze_tensor *y, adze_error *err)
{
    pair_job job = {.kernels = run->kernels, .pair = pair, .x = {a, b}, .y = y};
    job.kernel = has_kernel(pair) ? kernel_of[pair] : ADZE_BINARY_ADD;
    job.typed = adze_pair_typed(pair, a->dtype);
    job.x_size = adze_ops_element(a->dtype);
    job.y_size = adze_ops_element(y->dtype);
    job.lo = adze_node_float(run->node, ADZE_FUSED_LO, -INFINITY);
    job.hi = adze_node_float(run->node, ADZE_FUSED_HI, INFINITY);
    job.clamp = job.lo > -INFINITY || job.hi < INFINITY;
    ADZE_TRY(adze_ops_broadcast(&job.b, run, y, 2, job.x, err));
    choose_row(&job);
    if (job.row == q8_row)
        ADZE_TRY(q8_setup(&job, run, err));
    find_repeated(&job);
    int64_t grain = pair == ADZE_PAIR_POW ? GRAIN / 16 : job.row == q8_row ? BYTES_GRAIN : GRAIN;
    adze_ops_parallel(run, job.b.total, grain, pair_range, &job);
    return ADZE_OK;
}

/* x^2 is so common that it has its own kernel; powf gives the same bits. */
static bool is_square(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0], *e = run->inputs[1];
    return pair_of(run->node) == ADZE_PAIR_POW && x->dtype == ADZE_F32 && e->dtype == ADZE_F32 &&
           !x->quant && !e->quant && adze_tensor_elements(e) == 1 && *(float *)e->data == 2.0f &&
           adze_tensor_elements(run->outputs[0]) == adze_tensor_elements(x);
}

adze_status adze_binary_run(adze_run *run, adze_error *err)
{
    adze_pair pair = pair_of(run->node);
    if (is_square(run))
        return adze_binary_run_pair(run, ADZE_PAIR_MUL, run->inputs[0], run->inputs[0],
                                    run->outputs[0], err);
    if (pair == ADZE_PAIR_MOD && adze_node_int(run->node, "fmod", 0))
        pair = ADZE_PAIR_FMOD;
    if (pair == ADZE_PAIR_SHIFT_LEFT &&
        strcmp(adze_node_string(run->node, "direction", "LEFT"), "RIGHT") == 0)
        pair = ADZE_PAIR_SHIFT_RIGHT;
    return adze_binary_run_pair(run, pair, run->inputs[0], run->inputs[1], run->outputs[0], err);
}

adze_status adze_variadic_run(adze_run *run, adze_error *err)
{
    adze_pair pair = pair_of(run->node);
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    if (run->input_count == 1 && x->dtype == y->dtype && x->quant == y->quant) {
        adze_ops_copy_bytes(run, y->data, x->data, y->size);
        return ADZE_OK;
    }
    double number = 1.0;
    adze_tensor scalar =
        adze_tensor_view(x->dtype == ADZE_F64 ? ADZE_F64 : ADZE_F32, 0, NULL, &number);
    adze_tensor_set_f64(&scalar, 0, 1.0);
    if (run->input_count == 1)
        return adze_binary_run_pair(run, ADZE_PAIR_MUL, x, &scalar, y, err);
    for (int i = 1; i < run->input_count; i++)
        ADZE_TRY(adze_binary_run_pair(run, pair, i == 1 ? x : y, run->inputs[i], y, err));
    if (strcmp(adze_node_op(run->node), "Mean") != 0)
        return ADZE_OK;
    adze_tensor_set_f64(&scalar, 0, run->input_count);
    return adze_binary_run_pair(run, ADZE_PAIR_DIV, y, &scalar, y, err);
}
