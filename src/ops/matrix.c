/* MatMul and Gemm: float32 through the packed kernels, integer when the tensors carry a quantization,
 * every other type by plain loops. MatMul takes an optional bias [n] as a third input and Gemm a
 * clamp, both put there by passes only. */
#include <math.h>
#include <string.h>

#include "kernels/conv.h"
#include "ops/execute.h"
#include "ops/helpers.h"
#include "ops/fused.h"
#include "ops/integer_linear.h"

/* ---- shapes: y[batch..., m, n] = a[batch..., m, k] b[batch..., k, n] ---- */

typedef struct product {
    int64_t m, n, k, batches;
    int batch_rank;
    int64_t batch_dims[ADZE_MAX_RANK], a_step[ADZE_MAX_RANK],
        b_step[ADZE_MAX_RANK]; /* in matrices */
    bool a_turned, b_turned;   /* Gemm: stored transposed */
} product;

/* Steps of one operand over the batch axes of the result: 0 where it is broadcast. */
static void batch_steps(int64_t *steps, const product *p, int rank, const int64_t *dims)
{
    int64_t step = 1;
    int own = rank - 2;
    for (int i = p->batch_rank - 1; i >= 0; i--) {
        int at = own - (p->batch_rank - i);
        int64_t d = at >= 0 ? dims[at] : 1;
        steps[i] = d == 1 ? 0 : step;
        step *= d;
    }
}

static void widen(int *rank, int64_t dims[ADZE_MAX_RANK + 1], const adze_tensor *t, bool right)
{
    *rank = t->rank;
    memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    if (t->rank != 1)
        return;
    dims[right ? 1 : 0] = 1;
    dims[right ? 0 : 1] = t->dims[0];
    *rank = 2;
}

static product matmul_product(const adze_tensor *a, const adze_tensor *b)
{
    int ra, rb;
    int64_t da[ADZE_MAX_RANK + 1] = {0}, db[ADZE_MAX_RANK + 1] = {0};
    widen(&ra, da, a, false);
    widen(&rb, db, b, true);
    product p = {.m = da[ra - 2], .k = db[rb - 2], .n = db[rb - 1], .batches = 1};
    p.batch_rank = ADZE_MAX(ra, rb) - 2;
    for (int i = 0; i < p.batch_rank; i++) {
        int ia = i - (p.batch_rank - (ra - 2)), ib = i - (p.batch_rank - (rb - 2));
        int64_t x = ia < 0 ? 1 : da[ia], y = ib < 0 ? 1 : db[ib];
        p.batch_dims[i] = x == 1 ? y : x;
        p.batches *= p.batch_dims[i];
    }
    batch_steps(p.a_step, &p, ra, da);
    batch_steps(p.b_step, &p, rb, db);
    /* A matrix on the right and any number of rows on the left are one big matrix. */
    if (rb == 2 && p.batch_rank > 0) {
        p.m *= p.batches;
        p.batches = 1;
        p.batch_rank = 0;
    }
    return p;
}

static product gemm_product(const adze_node *node, const adze_tensor *a, const adze_tensor *b)
{
    product p = {.batches = 1,
                 .a_turned = adze_node_int(node, "transA", 0) != 0,
                 .b_turned = adze_node_int(node, "transB", 0) != 0};
    p.m = a->dims[p.a_turned ? 1 : 0];
    p.k = b->dims[p.b_turned ? 1 : 0]; /* known wherever weights are packed; a's may be a symbol */
    p.n = b->dims[p.b_turned ? 0 : 1];
    return p;
}

static bool is_gemm(const adze_node *node)
{
    return adze_node_op(node)[0] == 'G';
}

static product product_of(const adze_node *node, const adze_tensor *a, const adze_tensor *b)
{
    return is_gemm(node) ? gemm_product(node, a, b) : matmul_product(a, b);
}

static void batch_at(const product *p, int64_t batch, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int i = p->batch_rank - 1; i >= 0 && p->batch_dims[i] > 0; i--) {
        int64_t at = batch % p->batch_dims[i];
        batch /= p->batch_dims[i];
        *a += at * p->a_step[i];
        *b += at * p->b_step[i];
    }
}

/* ---- inference ---- */

static adze_status mismatch(const adze_node *node, adze_dim a, adze_dim b, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': inner dimensions differ: %lld and %lld",
                     adze_node_op(node), adze_node_name(node), (long long)a, (long long)b);
}

adze_status adze_matmul_infer_with(adze_infer *infer, int second, adze_dtype out_dtype,
                                   adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *a = adze_infer_input(infer, 0), *b = adze_infer_input(infer, second);
    if (a->rank < 0 || b->rank < 0)
        return ADZE_OK;
    if (a->rank == 0 || b->rank == 0)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': a scalar operand", adze_node_op(node),
                         adze_node_name(node));
    adze_dim ka = a->dims[a->rank - 1], kb = b->dims[ADZE_MAX(b->rank - 2, 0)];
    if (ka >= 0 && kb >= 0 && ka != kb)
        return mismatch(node, ka, kb, err);
    adze_type batch_a = *a, batch_b = *b, y;
    batch_a.rank = ADZE_MAX(a->rank - 2, 0);
    batch_b.rank = ADZE_MAX(b->rank - 2, 0);
    ADZE_TRY(adze_infer_broadcast(infer, &y, &batch_a, &batch_b, err));
    if (a->rank > 1)
        y.dims[y.rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        y.dims[y.rank++] = b->dims[b->rank - 1];
    y.dtype = out_dtype;
    y.quant = NULL;
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status matmul_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *a = adze_infer_input(infer, 0);
    return adze_matmul_infer_with(infer, 1, a->quant ? ADZE_F32 : a->dtype, err);
}

static adze_status gemm_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *a = adze_infer_input(infer, 0), *b = adze_infer_input(infer, 1);
    if (a->rank < 0 || b->rank < 0)
        return ADZE_OK;
    if (a->rank != 2 || b->rank != 2)
        return adze_fail(err, ADZE_BAD_MODEL, "Gemm '%s': operands of rank %d and %d, expected 2",
                         adze_node_name(node), a->rank, b->rank);
    int ta = adze_node_int(node, "transA", 0) != 0, tb = adze_node_int(node, "transB", 0) != 0;
    adze_dim ka = a->dims[1 - ta], kb = b->dims[tb];
    if (ka >= 0 && kb >= 0 && ka != kb)
        return mismatch(node, ka, kb, err);
    adze_dim dims[2] = {a->dims[ta], b->dims[1 - tb]};
    const adze_type *c = adze_infer_input(infer, 2);
    for (int i = 0; c && c->rank > 0 && i < ADZE_MIN(c->rank, 2); i++) {
        adze_dim d = c->dims[c->rank - 1 - i], of = dims[1 - i];
        if (c->rank > 2 || (d >= 0 && d != 1 && of >= 0 && d != of))
            return adze_fail(err, ADZE_BAD_MODEL,
                             "Gemm '%s': the third operand does not broadcast to the product",
                             adze_node_name(node));
    }
    adze_infer_set_tensor(infer, 0, a->quant ? ADZE_F32 : a->dtype, 2, dims);
    return ADZE_OK;
}

static void product_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                         const adze_tensor *const *outputs)
{
    product p = product_of(node, inputs[0], inputs[1]);
    cost->operations = 2.0 * (double)p.k * (double)adze_tensor_elements(outputs[0]);
}

/* ---- preparation ---- */

typedef enum product_kind { PRODUCT_PLAIN, PRODUCT_F32, PRODUCT_Q8 } product_kind;

typedef struct product_prepared {
    product_kind kind;
    float lo, hi, alpha, beta;
    const float *packed; /* one constant matrix on the right */
    const int8_t *packed_q8;
    adze_quantized_linear q;
} product_prepared;

static void pack_f32(const adze_kernels *k, const product *p, const float *b, float *packed)
{
    k->gemm_f32.pack_b(p->n, p->k, b, p->b_turned ? 1 : p->n, p->b_turned ? p->k : 1, packed);
}

static adze_status prepare_f32(adze_prepare *prepare, product_prepared *out, const product *p,
                               adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *b = adze_prepare_input(prepare, 1);
    out->kind = PRODUCT_F32;
    if (!b->data || b->rank != 2)
        return ADZE_OK;
    float *packed =
        adze_prepare_alloc(prepare, k->gemm_f32.packed_size(p->n, p->k) * sizeof *packed);
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "packed weights");
    pack_f32(k, p, b->data, packed);
    out->packed = packed;
    return ADZE_OK;
}

static adze_status prepare_q8(adze_prepare *prepare, product_prepared *out, const product *p,
                              adze_error *err)
{
    const adze_kernels *k = adze_prepare_kernels(prepare);
    const adze_tensor *b = adze_prepare_input(prepare, 1);
    out->kind = PRODUCT_Q8;
    if (b->rank != 2 || p->a_turned || out->alpha != 1 || out->beta != 1)
        return adze_fail(err, ADZE_UNSUPPORTED, "integer product of this form");
    int64_t channel = p->b_turned ? p->k : 1, element = p->b_turned ? 1 : p->n;
    const int8_t *weights;
    ADZE_TRY(adze_quantized_prepare(prepare, &out->q, p->n, p->k, channel, element, &weights, err));
    int8_t *packed = adze_prepare_alloc(prepare, k->gemm_q8.packed_size(p->n, p->k));
    if (!packed)
        return adze_fail(err, ADZE_NO_MEMORY, "packed weights");
    k->gemm_q8.pack_b(p->n, p->k, weights, element, channel, packed);
    out->packed_q8 = packed;
    return ADZE_OK;
}

static adze_status product_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *a = adze_prepare_input(prepare, 0), *b = adze_prepare_input(prepare, 1);
    product_prepared *out = adze_prepare_alloc(prepare, sizeof *out);
    if (!out)
        return adze_fail(err, ADZE_NO_MEMORY, "product");
    *out = (product_prepared){.lo = adze_node_float(node, ADZE_FUSED_LO, -INFINITY),
                              .hi = adze_node_float(node, ADZE_FUSED_HI, INFINITY),
                              .alpha = adze_node_float(node, "alpha", 1),
                              .beta = adze_node_float(node, "beta", 1)};
    adze_prepare_set(prepare, out);
    if (b->quant && !a->quant)
        return adze_fail(err, ADZE_UNSUPPORTED, "quantized weights with float activations");
    if (b->rank < 1 || (b->data && adze_tensor_elements(b) < 1))
        return a->quant ? adze_fail(err, ADZE_UNSUPPORTED, "empty weights") : ADZE_OK;
    product p = product_of(node, a, b);
    if (a->quant)
        return prepare_q8(prepare, out, &p, err);
    adze_kind kind = adze_dtype_describe(a->dtype)->kind;
    if (kind != ADZE_KIND_FLOAT && kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT)
        return adze_fail(err, ADZE_UNSUPPORTED, "element type %s",
                         adze_dtype_describe(a->dtype)->name);
    return a->dtype == ADZE_F32 && a->rank > 0 ? prepare_f32(prepare, out, &p, err) : ADZE_OK;
}

/* ---- other types: what they need ---- */

/* What elements become while they are summed: doubles, or words that wrap. */
typedef enum wide { WIDE_F64, WIDE_U32, WIDE_U64 } wide;

enum { WIDE_ROWS = 16 }; /* of a piece */

static bool is_whole(const adze_tensor *t)
{
    return adze_dtype_describe(t->dtype)->kind != ADZE_KIND_FLOAT;
}

/* Nothing is done with the sums but to keep their low bits. */
static bool keeps_bits(const adze_run *run, const product_prepared *q)
{
    return is_whole(run->inputs[0]) && q->alpha == 1 && (run->input_count < 3 || !run->inputs[2]);
}

static wide wide_of(const adze_run *run, const product_prepared *q)
{
    if (!is_whole(run->inputs[0]))
        return WIDE_F64;
    return keeps_bits(run, q) && adze_dtype_describe(run->inputs[0]->dtype)->bits <= 32 ? WIDE_U32
                                                                                        : WIDE_U64;
}

static size_t wide_bytes(wide w)
{
    return w == WIDE_U32 ? 4 : 8;
}

/* As they lie, where the type has the wide one's bits. */
static bool b_is_wide(const adze_run *run, const product *p, wide w)
{
    const adze_tensor *b = run->inputs[1];
    return !p->b_turned && (size_t)adze_dtype_describe(b->dtype)->bits == 8 * wide_bytes(w) &&
           is_whole(b) == (w != WIDE_F64);
}

static size_t plain_worker_scratch(const product *p, wide w)
{
    return ((size_t)(WIDE_ROWS * (p->k + p->n)) * wide_bytes(w) + 63) & ~(size_t)63;
}

static size_t plain_b_scratch(const adze_run *run, const product *p, wide w)
{
    size_t bytes = b_is_wide(run, p, w) ? 0 : (size_t)(p->k * p->n) * wide_bytes(w);
    return (bytes + 63) & ~(size_t)63;
}

static size_t plain_scratch(const adze_run *run, const product *p, const product_prepared *q)
{
    const wide w = wide_of(run, q);
    return plain_b_scratch(run, p, w) + plain_worker_scratch(p, w) * (size_t)adze_run_threads(run);
}

/* ---- float32 ---- */

/* One worker's share: [packed b][turned a] */
static size_t worker_scratch(const adze_run *run, const product *p, const product_prepared *q)
{
    size_t floats = q->packed ? 0 : run->kernels->gemm_f32.packed_size(p->n, p->k);
    if (p->a_turned)
        floats += (size_t)(p->m * p->k);
    return (floats * sizeof(float) + 63) & ~(size_t)63;
}

static bool splits_batches(const adze_run *run, const product *p)
{
    return p->batches >= 2 && adze_run_threads(run) > 1;
}

static size_t product_scratch(const adze_run *run)
{
    const product_prepared *q = run->prepared;
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
    if (q->kind == PRODUCT_PLAIN)
        return plain_scratch(run, &p, q);
    if (q->kind == PRODUCT_Q8)
        return q->q.b_zero ? (size_t)p.m * sizeof(int32_t) : 0;
    return worker_scratch(run, &p, q) *
           (size_t)(splits_batches(run, &p) ? adze_run_threads(run) : 1);
}

typedef struct batch_job {
    const adze_run *run;
    const product *p;
    const product_prepared *q;
    const float *bias;
    size_t scratch; /* of one worker */
    bool split;
} batch_job;

static void run_batch(void *user, int64_t batch, int worker)
{
    const batch_job *j = user;
    const product *p = j->p;
    const adze_kernels *k = j->run->kernels;
    float *scratch = (float *)(void *)((uint8_t *)j->run->scratch + (size_t)worker * j->scratch);
    int64_t ia, ib;
    batch_at(p, batch, &ia, &ib);
    const float *a = (const float *)j->run->inputs[0]->data + ia * p->m * p->k;
    const float *b = (const float *)j->run->inputs[1]->data + ib * p->k * p->n;
    const float *packed = j->q->packed;
    if (!packed) {
        pack_f32(k, p, b, scratch);
        packed = scratch;
        scratch += k->gemm_f32.packed_size(p->n, p->k);
    }
    if (p->a_turned) {
        adze_transpose(&k->rows, sizeof *a, p->k, p->m, a, scratch);
        a = scratch;
    }
    adze_gemm_f32_args args = {.m = p->m,
                               .n = p->n,
                               .k = p->k,
                               .a = a,
                               .lda = p->k,
                               .b = packed,
                               .bias = j->bias,
                               .c = (float *)j->run->outputs[0]->data + batch * p->m * p->n,
                               .ldc = p->n,
                               .lo = j->q->lo,
                               .hi = j->q->hi};
    if (j->split)
        k->gemm_f32.run(&args);
    else
        adze_matmul_f32(k, j->run->pool, &args);
}

/* The third operand as a row of n floats; false when it has another form. */
static bool bias_row(const adze_run *run, const product *p, const product_prepared *q,
                     const float **bias)
{
    const adze_tensor *c = run->input_count > 2 ? run->inputs[2] : NULL;
    *bias = c ? c->data : NULL;
    if (q->alpha != 1)
        return false;
    return !c || (q->beta == 1 && c->rank > 0 && c->dims[c->rank - 1] == p->n &&
                  adze_tensor_elements(c) == p->n);
}

static double broadcast_element(const adze_tensor *c, int64_t row, int64_t column)
{
    int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
    int64_t rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
    return adze_tensor_get_f64(c, (rows == 1 ? 0 : row) * columns + (columns == 1 ? 0 : column));
}

/* alpha * y + beta * c, then the clamp: Gemm's general form. */
static void finish_general(const adze_run *run, const product *p, const product_prepared *q)
{
    const adze_tensor *c = run->input_count > 2 ? run->inputs[2] : NULL;
    float *y = run->outputs[0]->data;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float v = q->alpha * y[i * p->n + j];
            v += c ? q->beta * (float)broadcast_element(c, i, j) : 0.0f;
            y[i * p->n + j] = v < q->lo ? q->lo : v > q->hi ? q->hi : v;
        }
}

static void run_f32(adze_run *run, const product_prepared *q)
{
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
    const float *bias;
    bool simple = bias_row(run, &p, q, &bias);
    product_prepared raw = *q;
    raw.lo = -INFINITY;
    raw.hi = INFINITY;
    batch_job job = {.run = run,
                     .p = &p,
                     .q = simple ? q : &raw,
                     .bias = simple ? bias : NULL,
                     .scratch = worker_scratch(run, &p, q),
                     .split = splits_batches(run, &p)};
    if (job.split)
        adze_run_parallel(run, p.batches, run_batch, &job);
    else
        for (int64_t i = 0; i < p.batches; i++)
            run_batch(&job, i, 0);
    if (!simple)
        finish_general(run, &p, q);
}

/* ---- integer ---- */

static void run_q8(adze_run *run, const product_prepared *q)
{
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
    adze_gemm_q8_args args = adze_quantized_gemm(&q->q);
    args.m = p.m;
    args.n = p.n;
    args.k = p.k;
    args.a = run->inputs[0]->data;
    args.lda = p.k;
    args.b = q->packed_q8;
    args.c = run->outputs[0]->data;
    args.ldc = p.n;
    if (q->q.b_zero) {
        int32_t *sums = run->scratch;
        for (int64_t i = 0; i < p.m; i++)
            sums[i] = run->kernels->eltwise.sum_u8(p.k, args.a + i * p.k, args.a_flip);
        args.row_sum = sums;
    }
    adze_matmul_q8(run->kernels, run->pool, &args);
}

/* ---- other types ---- */

/* `rows` by `columns` elements, strides apart, as dense wide ones. */
static void load_wide(wide w, const adze_tensor *t, int64_t first, int64_t rows,
                      ptrdiff_t row_stride, int64_t columns, ptrdiff_t column_stride, void *to)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t from = first + i * row_stride + j * column_stride;
            const int64_t at = i * columns + j;
            if (w == WIDE_F64)
                ((double *)to)[at] = adze_tensor_get_f64(t, from);
            else if (w == WIDE_U32)
                ((uint32_t *)to)[at] = (uint32_t)adze_tensor_get_i64(t, from);
            else
                ((uint64_t *)to)[at] = (uint64_t)adze_tensor_get_i64(t, from);
        }
}

typedef struct plain_job {
    adze_run *run;
    const product *p;
    const product_prepared *q;
    wide wide;
    int64_t batch, a; /* a: first element of this batch's */
    const void *b;    /* [k, n], wide */
    uint8_t *scratch; /* of the workers: rows of a, then of the result */
} plain_job;

static void finish_plain(const plain_job *j, const void *sums, int64_t row, int64_t column,
                         int64_t at)
{
    const adze_tensor *c = j->run->input_count > 2 ? j->run->inputs[2] : NULL;
    adze_tensor *y = j->run->outputs[0];
    const int64_t out = (j->batch * j->p->m + row) * j->p->n + column;
    const size_t bytes = (size_t)adze_dtype_describe(y->dtype)->bits / 8;
    if (keeps_bits(j->run, j->q)) {
        uint64_t kept =
            j->wide == WIDE_U32 ? ((const uint32_t *)sums)[at] : ((const uint64_t *)sums)[at];
        memcpy((uint8_t *)y->data + (size_t)out * bytes, &kept, bytes);
        return;
    }
    double sum =
        j->wide == WIDE_F64 ? ((const double *)sums)[at] : (double)((const int64_t *)sums)[at];
    sum *= (double)j->q->alpha;
    sum += c ? (double)j->q->beta * broadcast_element(c, row, column) : 0;
    const double lo = (double)j->q->lo, hi = (double)j->q->hi;
    adze_tensor_set_f64(y, out, sum < lo ? lo : sum > hi ? hi : sum);
}

static void plain_rows(void *user, int64_t piece, int worker)
{
    const plain_job *j = user;
    const product *p = j->p;
    const adze_rows_table *t = &j->run->kernels->rows;
    const size_t bytes = wide_bytes(j->wide);
    const int64_t first = piece * WIDE_ROWS, rows = ADZE_MIN(p->m - first, WIDE_ROWS);
    uint8_t *a = j->scratch + (size_t)worker * plain_worker_scratch(p, j->wide);
    uint8_t *y = a + (size_t)(WIDE_ROWS * p->k) * bytes;
    load_wide(j->wide, j->run->inputs[0], j->a + first * (p->a_turned ? 1 : p->k), rows,
              p->a_turned ? 1 : p->k, p->k, p->a_turned ? p->m : 1, a);
    memset(y, 0, (size_t)(rows * p->n) * bytes);
    const void *va = a;
    void *vy = y;
    if (j->wide == WIDE_F64)
        t->multiply_f64(rows, p->n, p->k, va, j->b, vy);
    else if (j->wide == WIDE_U32)
        t->multiply_u32(rows, p->n, p->k, va, j->b, vy);
    else
        t->multiply_u64(rows, p->n, p->k, va, j->b, vy);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < p->n; k++)
            finish_plain(j, y, first + i, k, i * p->n + k);
}

static void run_plain(adze_run *run, const product_prepared *q)
{
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
    plain_job job = {.run = run, .p = &p, .q = q, .wide = wide_of(run, q)};
    const adze_tensor *b = run->inputs[1];
    const bool direct = b_is_wide(run, &p, job.wide);
    job.scratch = (uint8_t *)run->scratch + plain_b_scratch(run, &p, job.wide);
    int64_t last = -1;
    for (; job.batch < p.batches && !adze_run_is_late(run); job.batch++) {
        int64_t ia, ib;
        batch_at(&p, job.batch, &ia, &ib);
        job.a = ia * p.m * p.k;
        job.b = run->scratch;
        if (direct)
            job.b = (const uint8_t *)b->data + (size_t)(ib * p.k * p.n) * wide_bytes(job.wide);
        else if (ib != last)
            load_wide(job.wide, b, ib * p.k * p.n, p.k, p.b_turned ? 1 : p.n, p.n,
                      p.b_turned ? p.k : 1, run->scratch);
        last = ib;
        adze_run_parallel(run, (p.m + WIDE_ROWS - 1) / WIDE_ROWS, plain_rows, &job);
    }
}

static adze_status product_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const product_prepared *q = run->prepared;
    if (adze_tensor_elements(run->outputs[0]) == 0)
        return ADZE_OK;
    if (q->kind == PRODUCT_F32)
        run_f32(run, q);
    else if (q->kind == PRODUCT_Q8)
        run_q8(run, q);
    else
        run_plain(run, q);
    return ADZE_OK;
}

const adze_op adze_ops_matrix[] = {
    {.name = "MatMul",
     .domain = "",
     .since = 1,
     .min_inputs = 2,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .quant = ADZE_QUANT_WEIGHTED,
     .weight_axis = -1,
     .attrs = "",
     .types = "a",
     .infer = matmul_infer,
     .cost = product_cost,
     .prepare = product_prepare,
     .scratch = product_scratch,
     .run = product_run},
    {.name = "Gemm",
     .domain = "",
     .since = 7,
     .min_inputs = 2,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .quant = ADZE_QUANT_WEIGHTED,
     .weight_axis = -1,
     .attrs = "alpha beta transA transB",
     .types = "a",
     .infer = gemm_infer,
     .cost = product_cost,
     .prepare = product_prepare,
     .scratch = product_scratch,
     .run = product_run},
    {0},
};
