/* Speed foretold: the model's own graphs generate tokens, but each matrix lies somewhere in memory that means nothing.
 * They lie behind each other in the model's order, so that they come from where the weights will come from. */
#include "llm/speed.h"

#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "base/order.h"
#include "kernels/kernels.h"
#include "runtime/plan.h"

enum { KEYS = 2 * ADZE_ATTENTION_SPLIT, FEWEST = 3, MOST_TOKENS = 1000 };
static const size_t UNCACHED = 96 << 20,
                    MOST = (size_t)1 << 30;           /* bytes that stand in for weights */
static const double ENOUGH_KEYS = 0.03, ENOUGH = 0.5; /* seconds for attention, for tokens */
static const double TOO_LONG = 2;                     /* seconds after which fewer tokens will do */

typedef struct weight {
    adze_value *value;
    const adze_tensor *real; /* to be put back */
} weight;

typedef struct trial {
    const adze_engine *engine;
    adze_arena arena;
    uint8_t *memory;
    size_t size, at;
    weight *weights; /* the matrices of all products, as often as they are multiplied with */
    int count;
    size_t bytes, largest, float_bytes;
} trial;

/* ---- memory that stands in for weights ---- */

static int products_of(const adze_graph *graph, weight *out)
{
    int count = 0;
    for (int i = 0; graph && i < graph->node_count; i++) {
        const adze_node *node = graph->nodes[i];
        const bool product =
            strcmp(node->op_type, "Linear") == 0 || strcmp(node->op_type, "ExpertLinear") == 0;
        if (!product || !node->inputs[1]->constant)
            continue;
        if (out)
            out[count] = (weight){node->inputs[1], node->inputs[1]->constant};
        count++;
    }
    return count;
}

static adze_status find_weights(trial *t, adze_error *err)
{
    const adze_engine *e = t->engine;
    const int in_body = products_of(e->body, NULL);
    t->weights =
        ADZE_ARENA_ARRAY(&t->arena, weight, (size_t)in_body + (size_t)products_of(e->head, NULL));
    if (!t->weights)
        return adze_fail(err, ADZE_NO_MEMORY, "products of a model");
    t->count = products_of(e->body, t->weights);
    t->count += products_of(e->head, t->weights + in_body);
    for (int i = 0; i < t->count; i++) {
        const adze_tensor *w = t->weights[i].real;
        const bool floats = w->dtype == ADZE_F32 || w->dtype == ADZE_BF16 || w->dtype == ADZE_MXFP4;
        t->bytes += w->size;
        t->largest = ADZE_MAX(t->largest, w->size);
        t->float_bytes += floats ? w->size : 0;
    }
    return ADZE_OK;
}

/* As large as the model, or than what no cache holds, of experts those in use. */
static adze_status get_memory(trial *t, adze_error *err)
{
    const adze_llm_config *c = &t->engine->config;
    const size_t keys =
        2 * KEYS * (size_t)(c->kv_heads[0] * ADZE_MAX(c->key_dim, c->value_dim)) * 2;
    const size_t unused = c->experts > 0 ? (size_t)(c->experts / c->experts_used) : 1;
    const size_t most = ADZE_MIN(MOST, adze_memory_limit() / 4);
    const size_t uncached = ADZE_MIN(ADZE_MAX(2 * adze_last_cache(), UNCACHED) * unused, most);
    const size_t padding = 64 * (size_t)t->count;
    t->size = ADZE_MAX(ADZE_MIN(t->bytes + padding, uncached), ADZE_MAX(t->largest, keys));
    t->memory = ADZE_ARENA_ARRAY(&t->arena, uint8_t, t->size);
    if (!t->memory)
        return adze_fail(err, ADZE_NO_MEMORY, "%zu bytes to foretell speed with", t->size);
    /* A file's pages lie beside each other in memory: on pages of 4 KB all over it, products take up to a quarter longer. */
    adze_memory_large_pages(t->memory, t->size);
    /* Numbers neither so large that they overflow nor so small that processors take their time over them: 0.01 as float16 and
     * as scales of blocks, 0.0007 with the exponents of float32. */
    memset(t->memory, t->float_bytes > t->bytes / 2 ? 0x3a : 0x22, t->size);
    return ADZE_OK;
}

/* The next `bytes` of the memory, which begins anew at its end. */
static uint8_t *next(trial *t, size_t bytes)
{
    if (t->at + bytes > t->size)
        t->at = 0;
    uint8_t *p = t->memory + t->at;
    t->at = ADZE_MIN(t->at + (bytes + 63) / 64 * 64, t->size);
    return p;
}

static adze_status replace_weights(trial *t, adze_error *err)
{
    adze_tensor *tensors = ADZE_ARENA_ARRAY(&t->arena, adze_tensor, (size_t)t->count);
    if (!tensors && t->count > 0)
        return adze_fail(err, ADZE_NO_MEMORY, "products of a model");
    for (int i = 0; i < t->count; i++) {
        tensors[i] = *t->weights[i].real;
        tensors[i].data = next(t, tensors[i].size);
        t->weights[i].value->constant = &tensors[i];
    }
    return ADZE_OK;
}

static void restore_weights(trial *t)
{
    for (int i = 0; i < t->count; i++)
        t->weights[i].value->constant = t->weights[i].real;
}

/* ---- time ---- */

static adze_status time_token(adze_chat *chat, double *seconds, adze_error *err)
{
    const int32_t first = 0;
    const float *logits;
    const double start = adze_now();
    adze_chat_rewind(chat, 0);
    ADZE_TRY(adze_chat_append(chat, &first, 1, err));
    ADZE_TRY(adze_chat_logits(chat, &logits, err));
    *seconds = adze_now() - start;
    return ADZE_OK;
}

/* Median of tokens, the first not among them. */
static adze_status seconds_of_token(adze_chat *chat, double *out, adze_error *err)
{
    double seconds[MOST_TOKENS];
    int count = 0;
    const double start = adze_now();
    ADZE_TRY(time_token(chat, &seconds[0], err));
    do
        ADZE_TRY(time_token(chat, &seconds[count++], err));
    while (count < MOST_TOKENS && adze_now() - start < (count < FEWEST ? TOO_LONG : ENOUGH));
    adze_sort_f64(seconds, count);
    *out = seconds[count / 2];
    return ADZE_OK;
}

static adze_status seconds_of_key(trial *t, double *out, adze_error *err)
{
    const adze_llm_config *c = &t->engine->config;
    const adze_context *context = t->engine->context;
    const int64_t position = KEYS - 1;
    adze_attention_args args = {.tokens = 1,
                                .heads = c->heads,
                                .kv_heads = c->kv_heads[0],
                                .keys = KEYS,
                                .d = c->key_dim,
                                .dv = c->value_dim,
                                .dtype = ADZE_F16,
                                .positions = &position,
                                .scale = 1e-3f};
    const size_t k = (size_t)(KEYS * args.kv_heads * args.d) * 2;
    const size_t v = (size_t)(KEYS * args.kv_heads * args.dv) * 2;
    const size_t scratch =
        adze_attention_scratch(context->kernels, &args, adze_pool_threads(context->pool));
    float *q = ADZE_ARENA_ARRAY(&t->arena, float, (size_t)(args.heads * args.d));
    args.q = q;
    args.y = ADZE_ARENA_ARRAY(&t->arena, float, (size_t)(args.heads * args.dv));
    args.scratch = ADZE_ARENA_ARRAY(&t->arena, uint8_t, scratch);
    if (!q || !args.y || !args.scratch)
        return adze_fail(err, ADZE_NO_MEMORY, "attention");
    memset(q, 0x3a, (size_t)(args.heads * args.d) * sizeof *q);
    double start = 0, calls = 0;
    for (int i = 0; i < 2 || adze_now() - start < ENOUGH_KEYS; i++) {
        args.k = next(t, k);
        args.v = next(t, v);
        adze_attention_run(context->kernels, context->pool, &args);
        if (i == 0)
            start = adze_now();
        else
            calls++;
    }
    *out = (adze_now() - start) / calls * (double)c->layers / KEYS;
    return ADZE_OK;
}

static adze_status measure(trial *t, llm_speed *out, adze_error *err)
{
    adze_chat *chat = NULL;
    ADZE_TRY(find_weights(t, err));
    ADZE_TRY(get_memory(t, err));
    ADZE_TRY(replace_weights(t, err));
    adze_status status = adze_chat_open(&chat, t->engine, NULL, err);
    if (status == ADZE_OK)
        status = seconds_of_token(chat, &out->token, err);
    adze_chat_close(&chat);
    restore_weights(t);
    return status == ADZE_OK ? seconds_of_key(t, &out->key, err) : status;
}

adze_status adze_llm_speed_measure(llm_speed *out, const adze_engine *engine, adze_error *err)
{
    trial t = {.engine = engine};
    adze_status status = measure(&t, out, err);
    adze_arena_free(&t.arena);
    return status;
}
