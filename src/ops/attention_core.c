/* See attention_core.h. A piece is a tile of the queries of all heads that share one head of keys: scores by a
 * product with packed keys, softmax row by row, a product with packed values. Narrow types are rounded where
 * ONNX's definition of the operator has a tensor. float64 goes row by row through plain loops. */
#include "ops/attention_core.h"

#include <math.h>
#include <string.h>

enum { TILE = 128, CHUNK = 256, LONG = 65536 }; /* LONG: keys for which a look at the clock pays */

adze_heads adze_heads_of(const adze_tensor *tensor, bool packed, int64_t heads, int64_t length,
                         int64_t d)
{
    return (adze_heads){.tensor = tensor,
                        .batch = heads * length * d,
                        .head = packed ? d : length * d,
                        .row = packed ? heads * d : d};
}

static int64_t place(const adze_heads *h, int64_t batch, int64_t head, int64_t row)
{
    return h->first + batch * h->batch + head * h->head + row * h->row;
}

/* ---- masks ---- */

bool adze_mask_make(adze_mask *mask, const adze_tensor *tensor, const adze_attend *a,
                    bool short_keys)
{
    const int64_t dims[4] = {a->batches, a->heads, a->queries, a->keys};
    *mask =
        (adze_mask){.tensor = tensor, .keys = tensor->rank ? tensor->dims[tensor->rank - 1] : 0};
    if (tensor->rank < 1 || tensor->rank > 4)
        return false;
    int64_t step = mask->keys;
    for (int i = tensor->rank - 2; i >= 0; i--) {
        int axis = i + 4 - tensor->rank;
        if (tensor->dims[i] != 1 && tensor->dims[i] != dims[axis])
            return false;
        mask->stride[axis] = tensor->dims[i] == 1 ? 0 : step;
        step *= tensor->dims[i];
    }
    return short_keys ? mask->keys <= a->keys : mask->keys == a->keys || mask->keys == 1;
}

void adze_mask_add(const adze_mask *mask, int64_t batch, int64_t head, int64_t query, int64_t keys,
                   float *row)
{
    const adze_tensor *t = mask->tensor;
    const int64_t at = batch * mask->stride[0] + head * mask->stride[1] + query * mask->stride[2];
    const int64_t n = ADZE_MIN(mask->keys, keys);
    if (t->dtype == ADZE_BOOL)
        for (int64_t j = 0; j < n; j++)
            row[j] = ((const uint8_t *)t->data)[at + j] ? row[j] : -INFINITY;
    else
        for (int64_t j = 0; j < n; j++)
            row[j] += (float)adze_tensor_get_f64(t, at + j);
    for (int64_t j = n; j < keys; j++)
        row[j] = -INFINITY;
}

/* ---- scratch of a worker ---- */

typedef struct memory {
    float *q, *raw, *keys, *values, *scores, *bias, *y;
    size_t bytes;
} memory;

static size_t carve(float **to, char *base, size_t *at, double floats)
{
    const double most = (double)(SIZE_MAX / 64);
    *to = (float *)(void *)(base ? base + *at : NULL);
    size_t bytes = floats * 4 < most ? ((size_t)floats * 4 + 63) / 64 * 64 : SIZE_MAX / 64;
    *at = *at < SIZE_MAX / 4 ? *at + bytes : *at;
    return *at;
}

static memory memory_at(const adze_kernels *k, const adze_attend *a, char *base)
{
    memory m = {0};
    const double keys = (double)a->keys, rows = TILE, nr = k->gemm_f32.nr;
    const bool wide = a->q.tensor->dtype == ADZE_F64;
    size_t at = 0;
    carve(&m.bias, base, &at, keys);
    carve(&m.scores, base, &at, wide ? 2 * keys : rows * keys);
    if (!wide) {
        carve(&m.q, base, &at, rows * (double)a->d);
        carve(&m.raw, base, &at, keys * (double)ADZE_MAX(a->d, a->dv));
        carve(&m.keys, base, &at, (keys + nr) * (double)a->d);
        carve(&m.values, base, &at, ((double)a->dv + nr) * keys);
        carve(&m.y, base, &at, rows * (double)a->dv);
    }
    m.bytes = at;
    return m;
}

size_t adze_attend_scratch(const adze_run *run, const adze_attend *a)
{
    const size_t one = memory_at(run->kernels, a, NULL).bytes;
    const size_t threads = (size_t)adze_run_threads(run);
    return one < SIZE_MAX / 4 / threads ? one * threads : SIZE_MAX / 4;
}

/* ---- float32 and narrower ---- */

typedef struct job {
    adze_run *run;
    const adze_attend *a;
    int64_t group, tiles;
    size_t worker_bytes;
    float q_scale, k_scale;
} job;

static void round_to(const adze_kernels *k, adze_dtype dtype, int64_t n, float *x)
{
    uint16_t narrow[CHUNK];
    if (dtype != ADZE_F16 && dtype != ADZE_BF16)
        return;
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t count = ADZE_MIN(CHUNK, n - i);
        if (dtype == ADZE_F16) {
            k->eltwise.f32_to_f16(count, x + i, narrow);
            k->eltwise.f16_to_f32(count, narrow, x + i);
        } else {
            k->eltwise.f32_to_bf16(count, x + i, narrow);
            k->eltwise.bf16_to_f32(count, narrow, x + i);
        }
    }
}

static void load_scaled(const job *j, const adze_heads *from, int64_t at, int64_t n, float scale,
                        float *to)
{
    const adze_kernels *k = j->run->kernels;
    adze_ops_load(k, from->tensor, at, 1, n, to);
    if (scale == 1)
        return;
    k->eltwise.binary[ADZE_BINARY_MUL][ADZE_FORM_VS](n, to, &scale, to);
    round_to(k, j->a->round, n, to);
}

/* Rows of keys or values, past ones first. */
static void load_rows(const job *j, const adze_heads *past, const adze_heads *fresh, int64_t batch,
                      int64_t head, int64_t keys, int64_t n, float scale, float *to)
{
    for (int64_t i = 0; i < keys && !adze_ops_is_late(j->run, i); i++) {
        const bool old = i < j->a->past;
        const adze_heads *from = old ? past : fresh;
        load_scaled(j, from, place(from, batch, head, old ? i : i - j->a->past), n, scale,
                    to + i * n);
    }
}

static void show_scores(const job *j, adze_scores_mode mode, int64_t batch, int64_t head,
                        int64_t query, const float *row)
{
    const adze_attend *a = j->a;
    if (a->scores && a->mode == mode)
        adze_ops_store(j->run->kernels, row, a->scores->dims[3], a->scores,
                       ((batch * a->heads + head) * a->queries + query) * a->scores->dims[3]);
}

/* The score of a sink that takes its share of a softmax and gives nothing; -inf: none. */
static float sink_of(const adze_attend *a, int64_t head)
{
    return a->sinks ? (float)adze_tensor_get_f64(a->sinks, head) : a->smooth ? 0.0f : -INFINITY;
}

static void softmax_row(const adze_kernels *k, float sink, int64_t n, float *row)
{
    if (sink == -INFINITY) {
        k->rows.softmax(n, row, row);
        return;
    }
    float largest = sink, sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = row[i] > largest ? row[i] : largest;
    for (int64_t i = 0; i < n; i++)
        sum += row[i] = expf(row[i] - largest);
    sum = 1 / (sum + expf(sink - largest));
    for (int64_t i = 0; i < n; i++)
        row[i] *= sum;
}

static void probabilities(const job *j, int64_t batch, int64_t head, int64_t query, int64_t keys,
                          float *row, float *bias)
{
    const adze_attend *a = j->a;
    const adze_kernels *k = j->run->kernels;
    float largest = 0;
    round_to(k, a->round, keys, row);
    show_scores(j, ADZE_SCORES_RAW, batch, head, query, row);
    if (a->softcap > 0) {
        k->eltwise.unary[ADZE_UNARY_SOFTCAP](keys, row, row, a->softcap, 0);
        round_to(k, a->round, keys, row);
    }
    show_scores(j, ADZE_SCORES_CAPPED, batch, head, query, row);
    if (a->bias) {
        memset(bias, 0, (size_t)keys * sizeof *bias);
        a->bias(a, batch, head, query, bias);
        largest = k->rows.reduce[ADZE_REDUCE_MAX](keys, bias);
        k->eltwise.binary[ADZE_BINARY_ADD][ADZE_FORM_VV](keys, row, bias, row);
        round_to(k, a->round, keys, row);
    }
    show_scores(j, ADZE_SCORES_BIASED, batch, head, query, row);
    round_to(k, a->precision, keys, row);
    if (largest == -INFINITY || k->rows.reduce[ADZE_REDUCE_MAX](keys, row) == -INFINITY)
        memset(row, 0, (size_t)keys * sizeof *row);
    else
        softmax_row(k, sink_of(a, head), keys, row);
    round_to(k, a->precision, keys, row);
    if (!a->exact)
        round_to(k, a->round, keys, row);
    show_scores(j, ADZE_SCORES_SOFTMAX, batch, head, query, row);
}

static void multiply(const adze_kernels *k, int64_t m, int64_t n, int64_t depth, const float *x,
                     const float *packed, float *y)
{
    adze_gemm_f32_args args = {.m = m,
                               .n = n,
                               .k = depth,
                               .a = x,
                               .lda = depth,
                               .b = packed,
                               .c = y,
                               .ldc = n,
                               .lo = -INFINITY,
                               .hi = INFINITY};
    k->gemm_f32.run(&args);
}

static int64_t keys_of(const adze_attend *a, int64_t batch)
{
    return a->valid && !a->scores ? ADZE_MAX(0, ADZE_MIN(a->valid[batch], a->keys)) : a->keys;
}

static void piece_f32(const job *j, int64_t batch, int64_t kv, int64_t first, int64_t rows,
                      const memory *m)
{
    const adze_attend *a = j->a;
    const adze_kernels *k = j->run->kernels;
    const int64_t keys = keys_of(a, batch), lq = a->queries;
    for (int64_t r = 0; r < rows; r++)
        load_scaled(j, &a->q,
                    place(&a->q, batch, kv * j->group + (first + r) / lq, (first + r) % lq), a->d,
                    j->q_scale, m->q + r * a->d);
    load_rows(j, &a->past_k, &a->k, batch, kv, keys, a->d, j->k_scale, m->raw);
    if (keys > LONG && adze_run_is_late(j->run))
        return;
    k->gemm_f32.pack_b(keys, a->d, m->raw, 1, a->d, m->keys);
    multiply(k, rows, keys, a->d, m->q, m->keys, m->scores);
    for (int64_t r = 0; r < rows && !(keys > LONG && adze_run_is_late(j->run)); r++)
        probabilities(j, batch, kv * j->group + (first + r) / lq, (first + r) % lq, keys,
                      m->scores + r * keys, m->bias);
    load_rows(j, &a->past_v, &a->v, batch, kv, keys, a->dv, 1, m->raw);
    if (keys > LONG && adze_run_is_late(j->run))
        return;
    k->gemm_f32.pack_b(a->dv, keys, m->raw, a->dv, 1, m->values);
    multiply(k, rows, a->dv, keys, m->scores, m->values, m->y);
    for (int64_t r = 0; r < rows; r++)
        adze_ops_store(k, m->y + r * a->dv, a->dv, (adze_tensor *)a->y.tensor,
                       place(&a->y, batch, kv * j->group + (first + r) / lq, (first + r) % lq));
}

/* ---- float64 ---- */

static double element(const adze_heads *h, int64_t batch, int64_t head, int64_t row, int64_t i)
{
    return adze_tensor_get_f64(h->tensor, place(h, batch, head, row) + i);
}

static double element_of(const adze_attend *a, const adze_heads *past, const adze_heads *fresh,
                         int64_t batch, int64_t head, int64_t row, int64_t i)
{
    return row < a->past ? element(past, batch, head, row, i)
                         : element(fresh, batch, head, row - a->past, i);
}

static void show_f64(const adze_attend *a, adze_scores_mode mode, int64_t first, int64_t keys,
                     const double *row)
{
    for (int64_t i = 0; i < keys && a->scores && a->mode == mode; i++)
        adze_tensor_set_f64(a->scores, first + i, row[i]);
}

static void softmax_f64(double sink, bool masked, int64_t keys, double *row)
{
    double largest = sink, sum = 0;
    for (int64_t i = 0; i < keys; i++)
        largest = row[i] > largest ? row[i] : largest;
    masked |= largest == -(double)INFINITY;
    for (int64_t i = 0; i < keys; i++)
        sum += row[i] = masked ? 0 : exp(row[i] - largest);
    sum += sink > -(double)INFINITY ? exp(sink - largest) : 0;
    for (int64_t i = 0; i < keys && !masked; i++)
        row[i] /= sum;
}

static void row_f64(const job *j, int64_t batch, int64_t head, int64_t query, double *row,
                    float *bias)
{
    const adze_attend *a = j->a;
    const int64_t keys = keys_of(a, batch), kv = head / j->group;
    const int64_t first = ((batch * a->heads + head) * a->queries + query) * a->keys;
    const double cap = (double)a->softcap;
    bool masked = a->bias != NULL;
    memset(bias, 0, (size_t)keys * sizeof *bias);
    if (a->bias)
        a->bias(a, batch, head, query, bias);
    for (int64_t r = 0; r < keys && !adze_ops_is_late(j->run, r); r++) {
        double sum = 0;
        for (int64_t i = 0; i < a->d; i++)
            sum += element(&a->q, batch, head, query, i) *
                   element_of(a, &a->past_k, &a->k, batch, kv, r, i);
        row[r] = sum * (double)a->scale;
        masked = masked && bias[r] == -INFINITY;
    }
    show_f64(a, ADZE_SCORES_RAW, first, keys, row);
    for (int64_t r = 0; r < keys && cap > 0; r++)
        row[r] = cap * tanh(row[r] / cap);
    show_f64(a, ADZE_SCORES_CAPPED, first, keys, row);
    for (int64_t r = 0; r < keys; r++)
        row[r] += (double)bias[r];
    show_f64(a, ADZE_SCORES_BIASED, first, keys, row);
    softmax_f64((double)sink_of(a, head), masked, keys, row);
    show_f64(a, ADZE_SCORES_SOFTMAX, first, keys, row);
    for (int64_t i = 0; i < a->dv; i++) {
        double sum = 0;
        for (int64_t r = 0; r < keys && !adze_ops_is_late(j->run, r); r++)
            sum += row[r] * element_of(a, &a->past_v, &a->v, batch, kv, r, i);
        adze_tensor_set_f64((adze_tensor *)a->y.tensor, place(&a->y, batch, head, query) + i, sum);
    }
}

/* ---- all ---- */

static void piece(void *user, int64_t at, int worker)
{
    const job *j = user;
    const adze_attend *a = j->a;
    const memory m =
        memory_at(j->run->kernels, a, (char *)j->run->scratch + (size_t)worker * j->worker_bytes);
    const int64_t first = at % j->tiles * TILE, kv = at / j->tiles % a->kv_heads;
    const int64_t batch = at / j->tiles / a->kv_heads;
    const int64_t rows = ADZE_MIN(TILE, j->group * a->queries - first);
    if (a->q.tensor->dtype != ADZE_F64) {
        piece_f32(j, batch, kv, first, rows, &m);
        return;
    }
    for (int64_t r = first; r < first + rows && !adze_run_is_late(j->run); r++)
        row_f64(j, batch, kv * j->group + r / a->queries, r % a->queries,
                (double *)(void *)m.scores, m.bias);
}

void adze_attend_run(adze_run *run, const adze_attend *a)
{
    if (a->batches == 0 || a->heads == 0 || a->queries == 0)
        return;
    const float root = sqrtf(a->scale);
    job j = {.run = run,
             .a = a,
             .group = a->heads / a->kv_heads,
             .worker_bytes = memory_at(run->kernels, a, NULL).bytes,
             .q_scale = a->half_scale && a->scale >= 0 ? root : a->scale,
             .k_scale = a->half_scale && a->scale >= 0 ? root : 1};
    j.tiles = (j.group * a->queries + TILE - 1) / TILE;
    adze_run_parallel(run, a->batches * a->kv_heads * j.tiles, piece, &j);
}

static void join_part(adze_run *run, const adze_heads *from, int64_t rows, int64_t first,
                      adze_tensor *to)
{
    const int64_t heads = to->dims[1], total = to->dims[2], d = to->dims[3];
    const size_t size = adze_ops_element(to->dtype);
    adze_ops_layout l = {.rank = 4,
                         .dims = {to->dims[0], heads, rows, d},
                         .from = {from->batch, from->head, from->row, 1},
                         .to = {heads * total * d, total * d, d, 1},
                         .size = size,
                         .x = (const char *)from->tensor->data + (size_t)from->first * size,
                         .y = (char *)to->data + (size_t)(first * d) * size};
    if (rows > 0 && adze_tensor_elements(to) > 0)
        adze_ops_copy(run, &l);
}

void adze_attend_join(adze_run *run, const adze_heads *past, int64_t past_rows,
                      const adze_heads *rows, int64_t count, adze_tensor *to)
{
    if (past->tensor)
        join_part(run, past, past_rows, 0, to);
    join_part(run, rows, count, past_rows, to);
}
