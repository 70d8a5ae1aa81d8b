/* Operators of language models on rows of tokens: products with weights as they lie in a file, rows of a
 * table, rotary position, gated activations, pooling. A row's result depends on that row alone, never on
 * how many there are. */
#include "ops/language.h"

#include <math.h>
#include <string.h>

#include "kernels/linear.h"
#include "ops/execute.h"
#include "ops/unary.h"

/* ---- checks that all share ---- */

bool adze_language_agree(adze_dim a, adze_dim b)
{
    return a == b || !adze_dim_known(a) || !adze_dim_known(b);
}

static adze_status bad_input(const adze_infer *infer, int i, const char *expected, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    char found[200];
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is %s, expected %s",
                     adze_node_op(node), adze_node_name(node), i,
                     adze_type_format(node->graph, adze_infer_input(infer, i), found, sizeof found),
                     expected);
}

adze_status adze_language_shape(const adze_infer *infer, int i, int rank, const adze_dim *dims,
                                const char *form, adze_error *err)
{
    const adze_type *t = adze_infer_input(infer, i);
    if (!t || t->rank < 0)
        return ADZE_OK;
    bool fits = t->kind == ADZE_VALUE_TENSOR && t->rank == rank;
    for (int k = 0; k < rank && fits; k++)
        fits = dims[k] == ADZE_LANGUAGE_ANY || adze_language_agree(t->dims[k], dims[k]);
    return fits ? ADZE_OK : bad_input(infer, i, form, err);
}

adze_status adze_language_dtype(const adze_infer *infer, int i, const adze_dtype *allowed,
                                adze_error *err)
{
    const adze_type *t = adze_infer_input(infer, i);
    if (!t || t->dtype == ADZE_UNDEFINED)
        return ADZE_OK;
    for (int k = 0; allowed[k] != ADZE_UNDEFINED; k++)
        if (t->dtype == allowed[k] && !t->quant)
            return ADZE_OK;
    return bad_input(infer, i, adze_dtype_describe(allowed[0])->name, err);
}

adze_status adze_language_f32(const adze_infer *infer, int i, adze_error *err)
{
    return adze_language_dtype(infer, i, (const adze_dtype[]){ADZE_F32, ADZE_UNDEFINED}, err);
}

adze_status adze_language_i64(const adze_infer *infer, int i, adze_error *err)
{
    return adze_language_dtype(infer, i, (const adze_dtype[]){ADZE_I64, ADZE_UNDEFINED}, err);
}

adze_status adze_language_weights(const adze_infer *infer, int i, adze_error *err)
{
    const adze_type *t = adze_infer_input(infer, i);
    if (!t || t->rank < 1 || t->dtype == ADZE_UNDEFINED)
        return ADZE_OK;
    const adze_dtype_info *info = adze_dtype_describe(t->dtype);
    bool real = info->kind == ADZE_KIND_BLOCK || t->dtype == ADZE_F32 || t->dtype == ADZE_F16 ||
                t->dtype == ADZE_BF16;
    if (!real || t->quant)
        return bad_input(infer, i, "float32, float16, bfloat16 or a block type", err);
    adze_dim k = t->dims[t->rank - 1];
    return adze_dim_known(k) && k % info->block_size != 0
               ? bad_input(infer, i, "rows of whole blocks", err)
               : ADZE_OK;
}

adze_status adze_language_range(const adze_run *run, int i, int64_t limit, const char *what,
                                adze_error *err)
{
    const adze_tensor *t = run->inputs[i];
    const int64_t *numbers = t->data, count = adze_tensor_elements(t);
    for (int64_t k = 0; k < count; k++)
        if (numbers[k] < 0 || numbers[k] >= limit)
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s '%s': %s %lld at place %lld, expected 0 to %lld",
                             adze_node_op(run->node), adze_node_name(run->node), what,
                             (long long)numbers[k], (long long)k, (long long)limit - 1);
    return ADZE_OK;
}

static bool are_ranked(const adze_infer *infer, int count)
{
    for (int i = 0; i < count; i++)
        if (!adze_ops_ranked(infer, i))
            return false;
    return true;
}

static int64_t rows_before(const adze_tensor *t, int last_axes)
{
    return adze_shape_elements(t->rank - last_axes, t->dims);
}

/* ---- Linear: x [.., K], w [N, K], bias [N] or none -> [.., N] ---- */

static adze_status linear_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_weights(infer, 1, err));
    ADZE_TRY(adze_language_f32(infer, 2, err));
    if (!are_ranked(infer, 2))
        return ADZE_OK;
    adze_type y = *adze_infer_input(infer, 0);
    const adze_type *w = adze_infer_input(infer, 1);
    if (y.rank < 1)
        return bad_input(infer, 0, "[.., K]", err);
    ADZE_TRY(adze_language_shape(infer, 1, 2, (adze_dim[]){ADZE_LANGUAGE_ANY, y.dims[y.rank - 1]},
                                 "[N, K]", err));
    ADZE_TRY(adze_language_shape(infer, 2, 1, (adze_dim[]){w->dims[0]}, "[N]", err));
    y.dims[y.rank - 1] = w->dims[0];
    adze_infer_set_tensor(infer, 0, ADZE_F32, y.rank, y.dims);
    return ADZE_OK;
}

static void linear_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const adze_tensor *x = inputs[0];
    cost->operations =
        2.0 * (double)adze_tensor_elements(outputs[0]) * (double)x->dims[x->rank - 1];
}

static adze_status weights_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    return adze_linear_can(adze_prepare_kernels(prepare), w->dtype)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), w->dtype, err);
}

static size_t linear_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    return adze_linear_scratch(run->kernels, run->inputs[1]->dtype, rows_before(x, 1),
                               x->dims[x->rank - 1], adze_run_threads(run));
}

static adze_status linear_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *bias = adze_ops_input(run, 2);
    adze_linear_args args = {.dtype = w->dtype,
                             .w = w->data,
                             .w_stride = adze_dtype_bytes(w->dtype, w->dims[1]),
                             .tokens = rows_before(x, 1),
                             .n = w->dims[0],
                             .k = w->dims[1],
                             .x = x->data,
                             .ldx = w->dims[1],
                             .bias = bias ? bias->data : NULL,
                             .y = run->outputs[0]->data,
                             .ldy = w->dims[0],
                             .scratch = run->scratch};
    if (args.tokens > 0 && args.n > 0)
        adze_linear_run(run->kernels, run->pool, &args);
    return ADZE_OK;
}

/* ---- Embedding: ids [T], table [V, K] -> [T, K] ---- */

static adze_status embedding_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_i64(infer, 0, err));
    ADZE_TRY(adze_language_weights(infer, 1, err));
    const adze_dim any[2] = {ADZE_LANGUAGE_ANY, ADZE_LANGUAGE_ANY};
    ADZE_TRY(adze_language_shape(infer, 0, 1, any, "[T]", err));
    ADZE_TRY(adze_language_shape(infer, 1, 2, any, "[V, K]", err));
    if (are_ranked(infer, 2))
        adze_infer_set_tensor(
            infer, 0, ADZE_F32, 2,
            (adze_dim[]){adze_infer_input(infer, 0)->dims[0], adze_infer_input(infer, 1)->dims[1]});
    return ADZE_OK;
}

/* A row of the table for each token is read, not all of it. */
static void embedding_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                           const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const int64_t n = adze_tensor_elements(outputs[0]);
    cost->operations = 0;
    cost->bytes = (double)adze_dtype_bytes(inputs[1]->dtype, n) + 4.0 * (double)n;
}

static adze_status embedding_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_dtype dtype = adze_prepare_input(prepare, 1)->dtype;
    return dtype == ADZE_F32 || adze_prepare_kernels(prepare)->blocks.codec[dtype].decode
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), dtype, err);
}

typedef struct embedding_job {
    const adze_run *run;
    size_t row_bytes;
    int64_t k;
    float scale;
} embedding_job;

static void embedding_rows(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const embedding_job *j = user;
    const adze_tensor *table = j->run->inputs[1];
    const int64_t *ids = j->run->inputs[0]->data;
    const adze_kernels *kernels = j->run->kernels;
    for (int64_t t = begin; t < end; t++) {
        const char *row = (const char *)table->data + (size_t)ids[t] * j->row_bytes;
        float *y = (float *)j->run->outputs[0]->data + t * j->k;
        if (table->dtype == ADZE_F32)
            memcpy(y, row, j->row_bytes);
        else
            kernels->blocks.codec[table->dtype].decode(row, j->k, y);
        if (j->scale != 1)
            kernels->eltwise.binary[ADZE_BINARY_MUL][ADZE_FORM_VS](j->k, y, &j->scale, y);
    }
}

static adze_status embedding_run(adze_run *run, adze_error *err)
{
    const adze_tensor *table = run->inputs[1];
    embedding_job j = {.run = run,
                       .row_bytes = adze_dtype_bytes(table->dtype, table->dims[1]),
                       .k = table->dims[1],
                       .scale = adze_node_float(run->node, "scale", 1)};
    ADZE_TRY(adze_language_range(run, 0, table->dims[0], "token", err));
    adze_ops_parallel(run, run->inputs[0]->dims[0], ADZE_MAX(1, 32768 / ADZE_MAX(j.k, 1)),
                      embedding_rows, &j);
    return ADZE_OK;
}

/* ---- RopeTable: positions [T], frequencies [R / 2] -> [T, R], cosines then sines ---- */

static adze_status rope_table_infer(adze_infer *infer, adze_error *err)
{
    const adze_dim any[1] = {ADZE_LANGUAGE_ANY};
    ADZE_TRY(adze_language_i64(infer, 0, err));
    ADZE_TRY(adze_language_f32(infer, 1, err));
    ADZE_TRY(adze_language_shape(infer, 0, 1, any, "[T]", err));
    ADZE_TRY(adze_language_shape(infer, 1, 1, any, "[R / 2]", err));
    if (are_ranked(infer, 2))
        adze_infer_set_tensor(
            infer, 0, ADZE_F32, 2,
            (adze_dim[]){adze_infer_input(infer, 0)->dims[0],
                         adze_infer_mul(infer, adze_infer_input(infer, 1)->dims[0], 2)});
    return ADZE_OK;
}

static void rope_table_cost(adze_cost *cost, const adze_node *node,
                            const adze_tensor *const *inputs, const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 20.0 * (double)adze_tensor_elements(outputs[0]);
}

static void rope_table_rows(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const adze_run *run = user;
    const int64_t *positions = run->inputs[0]->data, half = run->inputs[1]->dims[0];
    const float *frequency = run->inputs[1]->data;
    const float scale = adze_node_float(run->node, "scale", 1);
    for (int64_t t = begin; t < end; t++) {
        float *y = (float *)run->outputs[0]->data + t * 2 * half;
        for (int64_t i = 0; i < half; i++) {
            const float angle = (float)positions[t] * frequency[i];
            y[i] = (float)cos((double)angle) * scale;
            y[half + i] = (float)sin((double)angle) * scale;
        }
    }
}

static adze_status rope_table_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_ops_parallel(run, run->inputs[0]->dims[0], 16, rope_table_rows, run);
    return ADZE_OK;
}

/* ---- Rope: x [T, H, D], table [T, R] -> [T, H, D] ---- */

static adze_status rope_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_f32(infer, 1, err));
    const adze_dim any[3] = {ADZE_LANGUAGE_ANY, ADZE_LANGUAGE_ANY, ADZE_LANGUAGE_ANY};
    ADZE_TRY(adze_language_shape(infer, 0, 3, any, "[T, H, D]", err));
    if (!are_ranked(infer, 2))
        return ADZE_OK;
    const adze_type *x = adze_infer_input(infer, 0), *table = adze_infer_input(infer, 1);
    ADZE_TRY(adze_language_shape(infer, 1, 2, (adze_dim[]){x->dims[0], ADZE_LANGUAGE_ANY}, "[T, R]",
                                 err));
    const adze_dim r = table->dims[1];
    if (adze_dim_known(r) && (r % 2 != 0 || (adze_dim_known(x->dims[2]) && r > x->dims[2])))
        return bad_input(infer, 1, "[T, R] with R even and at most D", err);
    adze_infer_set_tensor(infer, 0, ADZE_F32, 3, x->dims);
    return ADZE_OK;
}

static void rope_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const adze_tensor *x = outputs[0];
    cost->operations = 3.0 * (double)(x->dims[0] * x->dims[1] * inputs[1]->dims[1]);
}

static void rope_tokens(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const adze_run *run = user;
    const adze_tensor *x = run->inputs[0];
    const int64_t r = run->inputs[1]->dims[1], size = x->dims[1] * x->dims[2];
    const bool interleaved = adze_node_int(run->node, "interleaved", 0) != 0;
    for (int64_t t = begin; t < end; t++)
        run->kernels->attention.rope(
            x->dims[1], x->dims[2], r, interleaved, (const float *)run->inputs[1]->data + t * r,
            (const float *)x->data + t * size, (float *)run->outputs[0]->data + t * size);
}

static adze_status rope_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    const int64_t size = ADZE_MAX(x->dims[1] * x->dims[2], 1);
    adze_ops_parallel(run, x->dims[0], ADZE_MAX(1, 16384 / size), rope_tokens, run);
    return ADZE_OK;
}

/* ---- Glu: activation(gate) * up ---- */

static const char *const activations[] = {"silu", "gelu", "gelu_tanh", "relu", NULL};

static adze_status glu_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_f32(infer, 1, err));
    const adze_node *node = adze_infer_node(infer);
    if (adze_ops_choice(activations, adze_node_string(node, "activation", "silu")) < 0)
        return adze_ops_bad(node, err, "activation is none of silu, gelu, gelu_tanh, relu");
    if (!are_ranked(infer, 2))
        return ADZE_OK;
    const adze_type *gate = adze_infer_input(infer, 0);
    ADZE_TRY(adze_language_shape(infer, 1, gate->rank, gate->dims, "of the gate's shape", err));
    adze_infer_set_tensor(infer, 0, ADZE_F32, gate->rank, gate->dims);
    return ADZE_OK;
}

static void glu_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                     const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 16.0 * (double)adze_tensor_elements(outputs[0]);
}

typedef struct glu_job {
    adze_binary_f32_fn fn;
    const float *gate, *up;
    float *y;
} glu_job;

static void glu_range(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const glu_job *j = user;
    j->fn(end - begin, j->gate + begin, j->up + begin, j->y + begin);
}

static adze_status glu_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    /* activations[] is in the order of adze_glu */
    int kind = adze_ops_choice(activations, adze_node_string(run->node, "activation", "silu"));
    glu_job j = {run->kernels->eltwise.glu[kind], run->inputs[0]->data, run->inputs[1]->data,
                 run->outputs[0]->data};
    adze_ops_parallel(run, adze_tensor_elements(run->outputs[0]), 8192, glu_range, &j);
    return ADZE_OK;
}

/* ---- Softcap: cap * tanh(x / cap) ---- */

static adze_unary_call softcap_call(const adze_node *node)
{
    return (adze_unary_call){ADZE_UNARY_SOFTCAP, adze_node_float(node, "cap", 0), 0};
}

static adze_status softcap_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    if (!(softcap_call(adze_infer_node(infer)).a > 0))
        return adze_ops_bad(adze_infer_node(infer), err, "cap must be above 0");
    return adze_ops_infer_same(infer, err);
}

/* ---- Pool: x [T, N] -> [1, N] ---- */

static const char *const pool_modes[] = {"mean", "first", "last", NULL};

static adze_status pool_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    const adze_node *node = adze_infer_node(infer);
    if (adze_ops_choice(pool_modes, adze_node_string(node, "mode", "mean")) < 0)
        return adze_ops_bad(node, err, "mode is none of mean, first, last");
    const adze_dim any[2] = {ADZE_LANGUAGE_ANY, ADZE_LANGUAGE_ANY};
    ADZE_TRY(adze_language_shape(infer, 0, 2, any, "[T, N]", err));
    if (are_ranked(infer, 1))
        adze_infer_set_tensor(infer, 0, ADZE_F32, 2,
                              (adze_dim[]){1, adze_infer_input(infer, 0)->dims[1]});
    return ADZE_OK;
}

static size_t pool_scratch(const adze_run *run)
{
    return (size_t)ADZE_MAX(run->inputs[0]->dims[1], 0) * sizeof(double);
}

static void sum_rows(const float *x, int64_t rows, int64_t n, double *sum)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < n; i++)
            sum[i] += (double)x[t * n + i];
}

static adze_status pool_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    const int64_t t = x->dims[0], n = x->dims[1];
    const char *mode = adze_node_string(run->node, "mode", "mean");
    float *y = run->outputs[0]->data;
    double *row = run->scratch, square = 0, count = mode[0] == 'm' ? (double)t : 1;
    if (t == 0)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': no rows", adze_node_op(run->node),
                         adze_node_name(run->node));
    const float *from = (const float *)x->data + (mode[0] == 'l' ? (t - 1) * n : 0);
    sum_rows(from, mode[0] == 'm' ? t : 1, n, row);
    for (int64_t i = 0; i < n; i++) {
        row[i] /= count;
        square += row[i] * row[i];
    }
    double factor =
        adze_node_int(run->node, "normalize", 0) != 0 && square > 0 ? 1 / sqrt(square) : 1;
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(row[i] * factor);
    return ADZE_OK;
}

const adze_op adze_ops_language[] = {
    ADZE_LANGUAGE_ROW("Linear", 2, 3, 1, "", .flags = ADZE_OP_INTERNAL, .infer = linear_infer,
                      .cost = linear_cost, .prepare = weights_prepare, .scratch = linear_scratch,
                      .run = linear_run),
    ADZE_LANGUAGE_ROW("Embedding", 2, 2, 1, "scale", .flags = ADZE_OP_INTERNAL,
                      .infer = embedding_infer, .cost = embedding_cost,
                      .prepare = embedding_prepare, .run = embedding_run),
    ADZE_LANGUAGE_ROW("RopeTable", 2, 2, 1, "scale", .flags = ADZE_OP_INTERNAL,
                      .infer = rope_table_infer, .cost = rope_table_cost, .run = rope_table_run),
    ADZE_LANGUAGE_ROW("Rope", 2, 2, 1, "interleaved", .flags = ADZE_OP_INTERNAL | ADZE_OP_INPLACE,
                      .infer = rope_infer, .cost = rope_cost, .run = rope_run),
    ADZE_LANGUAGE_ROW("Glu", 2, 2, 1, "activation",
                      .flags = ADZE_OP_INTERNAL | ADZE_OP_INPLACE_ANY | ADZE_OP_ELEMENTWISE,
                      .infer = glu_infer, .cost = glu_cost, .run = glu_run),
    ADZE_LANGUAGE_ROW("Softcap", 1, 1, 1, "cap",
                      .flags = ADZE_OP_INTERNAL | ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,
                      .infer = softcap_infer, .cost = adze_unary_cost,
                      .prepare = adze_unary_prepare, .run = adze_unary_run,
                      .user = (void *)&(const adze_unary_spec){.kernel = ADZE_UNARY_SOFTCAP,
                                                               .choose = softcap_call}),
    ADZE_LANGUAGE_ROW("Pool", 1, 1, 1, "mode normalize", .flags = ADZE_OP_INTERNAL,
                      .infer = pool_infer, .scratch = pool_scratch, .run = pool_run),
    {.name = NULL},
};
