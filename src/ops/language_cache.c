/* The cache of keys and values that a language model keeps between runs, and attention over it. */
#include "ops/language.h"

#include <math.h>
#include <string.h>

#include "ops/execute.h"

static const adze_dtype cache_types[] = {ADZE_F16, ADZE_F32, ADZE_UNDEFINED};

/* ---- CacheWrite: cache [C, ..], x [T, ..], positions [T] -> [C, ..] ---- */

static adze_status cache_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_dtype(infer, 0, cache_types, err));
    ADZE_TRY(adze_language_f32(infer, 1, err));
    ADZE_TRY(adze_language_i64(infer, 2, err));
    const adze_type *cache = adze_ops_ranked(infer, 0), *x = adze_ops_ranked(infer, 1);
    if (!cache || !x)
        return ADZE_OK;
    if (cache->rank < 1)
        return adze_ops_bad(adze_infer_node(infer), err, "the cache is a scalar");
    adze_dim row[ADZE_MAX_RANK];
    memcpy(row, cache->dims, sizeof row);
    row[0] = ADZE_LANGUAGE_ANY;
    ADZE_TRY(adze_language_shape(infer, 1, cache->rank, row, "rows like the cache's", err));
    ADZE_TRY(adze_language_shape(infer, 2, 1, x->dims, "[T]", err));
    adze_infer_set_tensor(infer, 0, cache->dtype, cache->rank, cache->dims);
    return ADZE_OK;
}

/* Rows are written, the rest of the cache stays. */
static void cache_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                       const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const double n = (double)adze_tensor_elements(inputs[1]);
    cost->operations = 0;
    cost->bytes = n * (4.0 + (double)adze_ops_element(outputs[0]->dtype));
}

static void cache_rows(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const adze_run *run = user;
    const adze_tensor *x = run->inputs[1];
    adze_tensor *cache = run->outputs[0];
    const int64_t *positions = run->inputs[2]->data;
    const int64_t n = adze_shape_elements(x->rank - 1, x->dims + 1);
    for (int64_t t = begin; t < end; t++)
        adze_ops_store(run->kernels, (const float *)x->data + t * n, n, cache, positions[t] * n);
}

static adze_status cache_run(adze_run *run, adze_error *err)
{
    const adze_tensor *cache = run->inputs[0], *x = run->inputs[1];
    const int64_t *positions = run->inputs[2]->data, tokens = x->dims[0];
    ADZE_TRY(adze_language_range(run, 2, cache->dims[0], "position", err));
    if (run->outputs[0]->data != cache->data)
        adze_ops_copy_bytes(run, run->outputs[0]->data, cache->data, cache->size);
    /* Where a position comes twice, the later row stays: such rows are not for several threads. */
    bool rising = true;
    for (int64_t t = 1; t < tokens; t++)
        rising = rising && positions[t] > positions[t - 1];
    const int64_t n = ADZE_MAX(adze_shape_elements(x->rank - 1, x->dims + 1), 1);
    adze_ops_parallel(run, tokens, rising ? ADZE_MAX(1, 32768 / n) : ADZE_MAX(tokens, 1),
                      cache_rows, run);
    return ADZE_OK;
}

/* ---- CachedAttention: q [T, H, D], k [C, HK, D], v [C, HK, DV], positions [T] or none, slopes [H] or none
 * -> [T, H * DV] ---- */

static adze_status attention_attributes(const adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const int64_t window = adze_node_int(node, "window", 0);
    if (window < 0 || !(adze_node_float(node, "softcap", 0) >= 0))
        return adze_ops_bad(node, err, "window and softcap may not be negative");
    return window > 0 && !adze_infer_input(infer, 3)
               ? adze_ops_bad(node, err, "a window needs positions")
               : ADZE_OK;
}

static adze_status attention_infer(adze_infer *infer, adze_error *err)
{
    const adze_dim any = ADZE_LANGUAGE_ANY;
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_dtype(infer, 1, cache_types, err));
    ADZE_TRY(adze_language_dtype(infer, 2, cache_types, err));
    ADZE_TRY(adze_language_i64(infer, 3, err));
    ADZE_TRY(adze_language_f32(infer, 4, err));
    ADZE_TRY(attention_attributes(infer, err));
    ADZE_TRY(adze_language_shape(infer, 0, 3, (adze_dim[]){any, any, any}, "[T, H, D]", err));
    const adze_type *q = adze_ops_ranked(infer, 0), *k = adze_ops_ranked(infer, 1);
    const adze_type *v = adze_ops_ranked(infer, 2);
    if (!q || !k || !v)
        return ADZE_OK;
    ADZE_TRY(
        adze_language_shape(infer, 1, 3, (adze_dim[]){any, any, q->dims[2]}, "[C, HK, D]", err));
    ADZE_TRY(adze_language_shape(infer, 2, 3, (adze_dim[]){k->dims[0], k->dims[1], any},
                                 "[C, HK, DV]", err));
    ADZE_TRY(adze_language_shape(infer, 3, 1, q->dims, "[T]", err));
    ADZE_TRY(adze_language_shape(infer, 4, 1, q->dims + 1, "[H]", err));
    const adze_node *node = adze_infer_node(infer);
    const adze_dim h = q->dims[1], hk = k->dims[1];
    if (adze_dim_known(h) && adze_dim_known(hk) && (h < 1 || hk < 1 || h % hk != 0))
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s '%s': %lld heads of queries, expected a multiple of the %lld of keys",
                         adze_node_op(node), adze_node_name(node), (long long)h, (long long)hk);
    if (k->dtype != v->dtype)
        return adze_ops_bad(node, err, "keys and values differ in type");
    adze_infer_set_tensor(infer, 0, ADZE_F32, 2,
                          (adze_dim[]){q->dims[0], adze_infer_mul(infer, h, v->dims[2])});
    return ADZE_OK;
}

/* As if every query saw every key; half of that for a prompt. */
static void attention_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                           const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    const adze_tensor *q = inputs[0], *k = inputs[1], *v = inputs[2];
    cost->operations = 2.0 * (double)(q->dims[0] * q->dims[1]) * (double)k->dims[0] *
                       (double)(k->dims[2] + v->dims[2]);
}

static adze_attention_args attention_args(const adze_run *run)
{
    const adze_tensor *q = run->inputs[0], *k = run->inputs[1], *v = run->inputs[2];
    const adze_tensor *positions = adze_ops_input(run, 3), *slopes = adze_ops_input(run, 4);
    return (adze_attention_args){
        .tokens = q->dims[0],
        .heads = q->dims[1],
        .kv_heads = k->dims[1],
        .keys = k->dims[0],
        .d = q->dims[2],
        .dv = v->dims[2],
        .dtype = k->dtype,
        .q = q->data,
        .k = k->data,
        .v = v->data,
        .positions = positions ? positions->data : NULL,
        .slopes = slopes ? slopes->data : NULL,
        .scale = adze_node_float(run->node, "scale", 1 / sqrtf((float)ADZE_MAX(q->dims[2], 1))),
        .softcap = adze_node_float(run->node, "softcap", 0),
        .window = adze_node_int(run->node, "window", 0),
        .y = run->outputs[0]->data,
        .scratch = run->scratch};
}

static size_t attention_scratch(const adze_run *run)
{
    adze_attention_args args = attention_args(run);
    return adze_attention_scratch(run->kernels, &args, adze_run_threads(run));
}

static adze_status attention_run(adze_run *run, adze_error *err)
{
    adze_attention_args args = attention_args(run);
    if (args.positions)
        ADZE_TRY(adze_language_range(run, 3, args.keys, "position", err));
    adze_attention_run(run->kernels, run->pool, &args);
    return ADZE_OK;
}

const adze_op adze_ops_language_cache[] = {
    ADZE_LANGUAGE_ROW("CacheWrite", 3, 3, 1, "", .flags = ADZE_OP_INTERNAL | ADZE_OP_INPLACE,
                      .infer = cache_infer, .cost = cache_cost, .run = cache_run),
    ADZE_LANGUAGE_ROW("CachedAttention", 3, 5, 1, "scale softcap window", .flags = ADZE_OP_INTERNAL,
                      .infer = attention_infer, .cost = attention_cost,
                      .scratch = attention_scratch, .run = attention_run),
    {.name = NULL},
};
