/* Speed foretold: the kernels of the model, on its shapes and types, over numbers that mean nothing. Products come
 * in the model's order, each with other memory than the last, so that it comes from where the weights will come from.
 * What happens between products is counted as the handing out of each step to the threads. */
#include "llm/speed.h"

#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "llm/architectures.h"
#include "runtime/plan.h"

enum { KEYS = 2 * ADZE_ATTENTION_SPLIT };
static const size_t LEAST = 96 << 20, MOST = (size_t)1 << 30; /* bytes that stand in for weights */
static const double ENOUGH = 0.03;                            /* seconds for attention */
static const double ENOUGH_TOKENS =
    0.25; /* and for the products of several tokens, or of a part of one */

typedef struct trial {
    const adze_engine *engine;
    const adze_context *context;
    uint8_t *memory;
    size_t size, at;
    float *x, *y; /* [widest] */
    int64_t widest;
    void *scratch;
} trial;

/* How often a token multiplies with a matrix of these dimensions: not at all, once, or with each expert that it uses. */
static int64_t products_with(const trial *t, const adze_checkpoint_tensor *w)
{
    const adze_llm_config *c = &t->engine->config;
    const bool tied =
        !adze_checkpoint_find(t->engine->checkpoint, "output.weight") && t->engine->head;
    const bool looked_up = strstr(w->name, "_embd.") != NULL && !tied;
    if (w->rank < 2 || looked_up || !adze_linear_can(t->context->kernels, w->dtype))
        return 0;
    return strstr(w->name, "_exps.") != NULL && c->experts > 0 ? c->experts_used : 1;
}

/* The next `bytes` of the memory, which begins anew at its end. */
static const uint8_t *next(trial *t, size_t bytes)
{
    if (t->at + bytes > t->size)
        t->at = 0;
    const uint8_t *p = t->memory + t->at;
    t->at += (bytes + 63) / 64 * 64;
    return p;
}

/* One product with the matrix; returns how many bytes of it were read. */
static double multiply(trial *t, const adze_checkpoint_tensor *w)
{
    const int64_t k = w->dims[w->rank - 1], n = w->dims[w->rank - 2];
    adze_linear_args args = {.dtype = w->dtype,
                             .w_stride = w->row_bytes,
                             .tokens = 1,
                             .n = ADZE_MIN(n, (int64_t)(t->size / w->row_bytes)),
                             .k = k,
                             .x = t->x,
                             .ldx = k,
                             .y = t->y,
                             .scratch = t->scratch};
    args.ldy = args.n;
    args.w = next(t, w->row_bytes * (size_t)args.n);
    adze_linear_run(t->context->kernels, t->context->pool, &args);
    return (double)w->row_bytes * (double)args.n;
}

/* Bytes of weights that a token reads. */
static double bytes_of_token(const trial *t)
{
    const adze_checkpoint *ck = t->engine->checkpoint;
    double bytes = 0;
    for (int i = 0; i < adze_checkpoint_count(ck); i++) {
        const adze_checkpoint_tensor *w = adze_checkpoint_tensor_at(ck, i);
        if (w->rank >= 2)
            bytes +=
                (double)w->row_bytes * (double)w->dims[w->rank - 2] * (double)products_with(t, w);
    }
    return bytes;
}

/* The products of tokens in the order of the file, which is the model's, until there are enough. */
static double seconds_of_products(trial *t)
{
    const adze_checkpoint *ck = t->engine->checkpoint;
    const double whole = bytes_of_token(t);
    double bytes = 0, start = adze_now();
    for (bool warm = false; whole > 0; warm = true) {
        for (int i = 0; i < adze_checkpoint_count(ck); i++) {
            const adze_checkpoint_tensor *w = adze_checkpoint_tensor_at(ck, i);
            for (int64_t j = products_with(t, w); j > 0; j--)
                bytes += multiply(t, w);
            if (bytes > 0 && adze_now() - start > ENOUGH_TOKENS)
                return whole / bytes * (adze_now() - start);
        }
        if (!warm) { /* the first token is not counted, if it is not all there is time for */
            bytes = 0;
            start = adze_now();
        }
    }
    return 0;
}

static double seconds_of_key(trial *t)
{
    const adze_llm_config *c = &t->engine->config;
    const int64_t position = KEYS - 1;
    adze_attention_args args = {.tokens = 1,
                                .heads = c->heads,
                                .kv_heads = c->kv_heads[0],
                                .keys = KEYS,
                                .d = c->key_dim,
                                .dv = c->value_dim,
                                .dtype = ADZE_F16,
                                .q = t->x,
                                .positions = &position,
                                .scale = 1e-3f,
                                .y = t->y,
                                .scratch = t->scratch};
    const size_t k = (size_t)(KEYS * args.kv_heads * args.d) * 2;
    const size_t v = (size_t)(KEYS * args.kv_heads * args.dv) * 2;
    double start = 0, calls = 0;
    for (int i = 0; i < 2 || adze_now() - start < ENOUGH; i++) {
        args.k = next(t, k);
        args.v = next(t, v);
        adze_attention_run(t->context->kernels, t->context->pool, &args);
        if (i == 0)
            start = adze_now();
        else
            calls++;
    }
    return (adze_now() - start) / calls * (double)c->layers / KEYS;
}

static void nothing(void *user, int64_t part, int worker)
{
    ADZE_UNUSED(user);
    ADZE_UNUSED(part);
    ADZE_UNUSED(worker);
}

static double seconds_of_steps(const trial *t)
{
    enum { TIMES = 1000 };
    const adze_engine *e = t->engine;
    const int steps = e->body_plan->step_count + (e->head ? e->head_plan->step_count : 0);
    const double start = adze_now();
    for (int i = 0; i < TIMES; i++)
        adze_pool_run(t->context->pool, adze_pool_threads(t->context->pool), nothing, NULL);
    return (adze_now() - start) / TIMES * steps;
}

static adze_status get_memory(trial *t, adze_arena *arena, adze_error *err)
{
    const adze_llm_config *c = &t->engine->config;
    const int threads = adze_pool_threads(t->context->pool);
    adze_attention_args a = {.tokens = 1,
                             .heads = c->heads,
                             .kv_heads = c->kv_heads[0],
                             .keys = KEYS,
                             .d = c->key_dim,
                             .dv = c->value_dim,
                             .dtype = ADZE_F16};
    size_t scratch = adze_attention_scratch(t->context->kernels, &a, threads), largest = 0;
    const adze_checkpoint *ck = t->engine->checkpoint;
    t->widest = c->heads * ADZE_MAX(c->key_dim, c->value_dim);
    for (int i = 0; i < adze_checkpoint_count(ck); i++) {
        const adze_checkpoint_tensor *w = adze_checkpoint_tensor_at(ck, i);
        if (products_with(t, w) == 0)
            continue;
        const int64_t k = w->dims[w->rank - 1], n = w->dims[w->rank - 2];
        scratch =
            ADZE_MAX(scratch, adze_linear_scratch(t->context->kernels, w->dtype, 1, k, threads));
        largest = ADZE_MAX(largest, w->row_bytes);
        t->widest = ADZE_MAX(t->widest, ADZE_MAX(k, n));
    }
    const double all = bytes_of_token(t);
    const size_t keys =
        2 * KEYS * (size_t)(c->kv_heads[0] * ADZE_MAX(c->key_dim, c->value_dim)) * 2;
    /* As large as the model, or than what no cache holds: weights must come from where the model's will. */
    const size_t most = ADZE_MIN(MOST, adze_memory_limit() / 4);
    const size_t uncached = ADZE_MIN(ADZE_MAX(2 * adze_last_cache(), LEAST), most);
    t->size = all < (double)uncached ? (size_t)all : uncached;
    t->size = ADZE_MAX(t->size, ADZE_MAX(largest, keys)) + 4096;
    t->memory = ADZE_ARENA_ARRAY(arena, uint8_t, t->size);
    t->x = ADZE_ARENA_ARRAY(arena, float, (size_t)t->widest);
    t->y = ADZE_ARENA_ARRAY(arena, float, (size_t)t->widest);
    t->scratch = ADZE_ARENA_ARRAY(arena, uint8_t, scratch);
    return t->memory && t->x && t->y && t->scratch
               ? ADZE_OK
               : adze_fail(err, ADZE_NO_MEMORY, "%zu bytes to time kernels with", t->size);
}

adze_status adze_llm_speed_measure(llm_speed *out, const adze_engine *engine, adze_error *err)
{
    trial t = {.engine = engine, .context = engine->context};
    adze_arena arena = {0};
    adze_status status = get_memory(&t, &arena, err);
    if (status == ADZE_OK) {
        *out = (llm_speed){.weights = seconds_of_steps(&t)};
        /* A file's pages lie beside each other in memory: on pages of 4 KB all over it, products take up to a quarter longer. */
        adze_memory_large_pages(t.memory, t.size);
        memset(t.memory, 0x3a, t.size); /* small numbers in every type */
        memset(t.x, 0x3a, (size_t)t.widest * sizeof *t.x);
        out->weights += seconds_of_products(&t);
        out->cache_key = engine->head ? seconds_of_key(&t) : 0;
    }
    adze_arena_free(&arena);
    return status;
}
