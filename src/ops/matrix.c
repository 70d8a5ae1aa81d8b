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
    if (q->kind == PRODUCT_PLAIN)
        return 0;
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
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

/* ---- any type ---- */

static void plain_element(adze_run *run, const product *p, const product_prepared *q, int64_t a,
                          int64_t b, int64_t out, int64_t i, int64_t j)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1];
    const adze_tensor *c = run->input_count > 2 ? run->inputs[2] : NULL;
    bool whole = adze_dtype_describe(x->dtype)->kind != ADZE_KIND_FLOAT;
    double sum = 0;
    uint64_t exact = 0; /* integers wrap */
    for (int64_t k = 0; k < p->k; k++) {
        int64_t ea = a + (p->a_turned ? k * p->m + i : i * p->k + k);
        int64_t eb = b + (p->b_turned ? j * p->k + k : k * p->n + j);
        if (whole)
            exact += (uint64_t)adze_tensor_get_i64(x, ea) * (uint64_t)adze_tensor_get_i64(w, eb);
        else
            sum += adze_tensor_get_f64(x, ea) * adze_tensor_get_f64(w, eb);
    }
    if (whole && !c && q->alpha == 1) {
        int bits = adze_dtype_describe(run->outputs[0]->dtype)->bits;
        uint64_t kept = bits >= 64 ? exact : exact & ((UINT64_C(1) << bits) - 1);
        memcpy((uint8_t *)run->outputs[0]->data + out * (bits / 8), &kept, (size_t)bits / 8);
        return;
    }
    sum = (double)q->alpha * (whole ? (double)(int64_t)exact : sum);
    sum += c ? (double)q->beta * broadcast_element(c, i, j) : 0;
    sum = sum < (double)q->lo ? (double)q->lo : sum > (double)q->hi ? (double)q->hi : sum;
    adze_tensor_set_f64(run->outputs[0], out, sum);
}

static void run_plain(adze_run *run, const product_prepared *q)
{
    product p = product_of(run->node, run->inputs[0], run->inputs[1]);
    for (int64_t batch = 0; batch < p.batches; batch++) {
        int64_t ia, ib;
        batch_at(&p, batch, &ia, &ib);
        for (int64_t i = 0; i < p.m; i++)
            for (int64_t j = 0; j < p.n; j++)
                plain_element(run, &p, q, ia * p.m * p.k, ib * p.k * p.n,
                              (batch * p.m + i) * p.n + j, i, j);
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
