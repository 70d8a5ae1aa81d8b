/* Speed foretold: the kernels of the model, on its shapes and types, over numbers that mean nothing. Each call gets
 * other memory than the last, so that it comes from where the weights will come from. What happens
 * between products is counted as the handing out of each step to the threads. */
#include "llm/speed.h"

#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "llm/architectures.h"
#include "runtime/plan.h"

enum {
    MEMORY = 96 << 20, /* more than the caches of a small machine */
    SHAPES = 48,
    KEYS = 2 * ADZE_ATTENTION_SPLIT
};
static const double ENOUGH = 0.03; /* seconds for each shape */

typedef struct shape {
    adze_dtype dtype;
    int64_t n, k;
    double bytes; /* of all weights of this shape that a token reads */
} shape;

typedef struct trial {
    const adze_engine *engine;
    const adze_context *context;
    uint8_t *memory;
    size_t size, at;
    float *x, *y; /* [widest] */
    int64_t widest;
    void *scratch;
    shape shapes[SHAPES];
    int count;
} trial;

static double share_read(const adze_llm_config *c, const adze_checkpoint_tensor *t)
{
    bool experts = strstr(t->name, "_exps.") != NULL && c->experts > 0;
    return experts ? (double)c->experts_used / (double)c->experts : 1;
}

/* Shapes that do not fit in the list count as those of the first that has the type. */
static void add_shape(trial *t, const adze_checkpoint_tensor *w, double bytes)
{
    const int64_t k = w->dims[w->rank - 1], n = w->dims[w->rank - 2];
    int i = 0, same_type = -1;
    for (; i < t->count; i++) {
        const shape *s = &t->shapes[i];
        if (s->dtype == w->dtype && s->n == n && s->k == k)
            break;
        if (s->dtype == w->dtype && same_type < 0)
            same_type = i;
    }
    if (i == SHAPES)
        i = same_type;
    if (i < 0)
        return;
    if (i == t->count)
        t->shapes[t->count++] = (shape){w->dtype, n, k, 0};
    t->shapes[i].bytes += bytes;
}

static void find_shapes(trial *t)
{
    const adze_checkpoint *ck = t->engine->checkpoint;
    const bool tied = !adze_checkpoint_find(ck, "output.weight") && t->engine->head;
    for (int i = 0; i < adze_checkpoint_count(ck); i++) {
        const adze_checkpoint_tensor *w = adze_checkpoint_tensor_at(ck, i);
        const bool looked_up = strstr(w->name, "_embd.") != NULL && !tied;
        if (w->rank < 2 || looked_up || !adze_linear_can(t->context->kernels, w->dtype))
            continue;
        add_shape(t, w, (double)w->rows * (double)w->row_bytes * share_read(&t->engine->config, w));
    }
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

static double seconds_of(trial *t, const shape *s)
{
    const size_t row = adze_dtype_bytes(s->dtype, s->k);
    adze_linear_args args = {.dtype = s->dtype,
                             .w_stride = row,
                             .tokens = 1,
                             .k = s->k,
                             .x = t->x,
                             .ldx = s->k,
                             .y = t->y};
    args.n = ADZE_MIN(s->n, (int64_t)(t->size / row));
    args.ldy = args.n;
    args.scratch = t->scratch;
    double bytes = 0, start = 0;
    for (int i = 0; i < 2 || adze_now() - start < ENOUGH; i++) {
        args.w = next(t, row * (size_t)args.n);
        adze_linear_run(t->context->kernels, t->context->pool, &args);
        if (i == 0)
            start = adze_now(); /* the first is not counted */
        else
            bytes += (double)row * (double)args.n;
    }
    return s->bytes / bytes * (adze_now() - start);
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
    double all = 0;
    t->widest = c->heads * ADZE_MAX(c->key_dim, c->value_dim);
    for (int i = 0; i < t->count; i++) {
        const shape *s = &t->shapes[i];
        scratch =
            ADZE_MAX(scratch, adze_linear_scratch(t->context->kernels, s->dtype, 1, s->k, threads));
        largest = ADZE_MAX(largest, adze_dtype_bytes(s->dtype, s->k));
        t->widest = ADZE_MAX(t->widest, ADZE_MAX(s->k, s->n));
        all += s->bytes;
    }
    const size_t keys =
        2 * KEYS * (size_t)(c->kv_heads[0] * ADZE_MAX(c->key_dim, c->value_dim)) * 2;
    t->size = all < MEMORY ? (size_t)all : MEMORY;
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
    find_shapes(&t);
    adze_status status = get_memory(&t, &arena, err);
    if (status == ADZE_OK) {
        *out = (llm_speed){.weights = seconds_of_steps(&t)};
        memset(t.memory, 0x3a, t.size); /* small numbers in every type */
        memset(t.x, 0x3a, (size_t)t.widest * sizeof *t.x);
        for (int i = 0; i < t.count; i++)
            out->weights += seconds_of(&t, &t.shapes[i]);
        out->cache_key = engine->head ? seconds_of_key(&t) : 0;
    }
    adze_arena_free(&arena);
    return status;
}
