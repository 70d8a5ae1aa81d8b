/* A decoder layer of the operators of language models: passes leave it and its weights alone; through plan and
 * session, with the cache as state, a token's bits are the same alone, in a prompt and on any number of
 * threads. */
#include "graph/ir.h"
#include "op_case.h"
#include "tensor/dtype.h"

#include "adze/passes.h"
#include "adze/session.h"

enum {
    VOCABULARY = 50,
    WIDTH = 64,
    HEADS = 4,
    KV_HEADS = 2,
    D = 16,
    CACHE = 40,
    HIDDEN = 96,
    EXPERTS = 4,
    TOKENS = 23
};

typedef struct layer {
    adze_context *context;
    adze_graph *graph;
    uint64_t seed;
} layer;

static adze_value *op(layer *l, const char *domain, const char *name, int n,
                      adze_value *const *inputs)
{
    adze_node *node = adze_graph_add_node(l->graph, domain, name, NULL, n, inputs, 1);
    CHECK(node);
    return node->outputs[0];
}

#define OP(domain, name, ...)                                                                      \
    op(l, domain, name, (int)(sizeof((adze_value *[]){__VA_ARGS__}) / sizeof(adze_value *)),       \
       (adze_value *[]){__VA_ARGS__})

/* Weights as a file maps them: the graph borrows the bytes. Q8_0: scale 2^-6 and any bytes. */
static adze_value *weights(layer *l, adze_dtype dtype, int rank, const int64_t *dims)
{
    const int64_t n = adze_shape_elements(rank, dims);
    const size_t size = adze_dtype_bytes(dtype, n);
    uint8_t *data = test_guard_alloc(size, NULL);
    test_random_bytes(data, size, l->seed++);
    for (int64_t i = 0; i < n && dtype == ADZE_F16; i++)
        ((uint16_t *)(void *)data)[i] = adze_f32_to_f16((float)data[2 * i] / 512 - 0.25f);
    for (int64_t i = 0; i < n && dtype == ADZE_F32; i++)
        ((float *)(void *)data)[i] = (float)data[4 * i] / 256 + 0.5f;
    for (int64_t b = 0; b < n / 32 && dtype == ADZE_Q8_0; b++)
        memcpy(data + b * 34, &(uint16_t){adze_f32_to_f16(1.0f / 512)}, 2);
    adze_tensor t = adze_tensor_view(dtype, rank, dims, data);
    adze_value *value = adze_graph_add_constant(l->graph, NULL, &t, false);
    CHECK(value);
    return value;
}

#define WEIGHTS(dtype, ...)                                                                        \
    weights(l, dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                   \
            (const int64_t[]){__VA_ARGS__})

static adze_value *ints(layer *l, int n, const int64_t *values)
{
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, &(int64_t){n}, (void *)(uintptr_t)values);
    return adze_graph_add_constant(l->graph, NULL, &t, true);
}

static adze_value *linear(layer *l, adze_value *x, int64_t n, int64_t k, adze_dtype dtype)
{
    return OP("adze", "Linear", x, WEIGHTS(dtype, n, k));
}

static adze_value *heads_of(layer *l, adze_value *x, int64_t heads)
{
    return OP("", "Reshape", x, ints(l, 3, (const int64_t[]){-1, heads, D}));
}

static adze_value *cached(layer *l, adze_value *x, adze_value *positions)
{
    adze_tensor zero;
    CHECK_OK(adze_tensor_make(&zero, ADZE_F16, 3, (const int64_t[]){CACHE, KV_HEADS, D}, NULL),
             NULL);
    adze_value *state = adze_graph_add_state(l->graph, NULL, &zero);
    adze_tensor_free(&zero);
    adze_value *next = OP("adze", "CacheWrite", state, x, positions);
    adze_graph_set_next(state, next);
    return next;
}

static adze_value *attention(layer *l, adze_value *x, adze_value *positions)
{
    adze_value *table = OP("adze", "RopeTable", positions, WEIGHTS(ADZE_F32, D / 2));
    adze_value *q = heads_of(l, linear(l, x, HEADS * D, WIDTH, ADZE_Q8_0), HEADS);
    adze_value *k = heads_of(l, linear(l, x, KV_HEADS * D, WIDTH, ADZE_F16), KV_HEADS);
    adze_value *v = heads_of(l, linear(l, x, KV_HEADS * D, WIDTH, ADZE_F32), KV_HEADS);
    q = OP("adze", "Rope", OP("", "RMSNormalization", q, WEIGHTS(ADZE_F32, D)), table);
    k = cached(l, OP("adze", "Rope", k, table), positions);
    v = cached(l, v, positions);
    adze_value *y = OP("adze", "CachedAttention", q, k, v, positions);
    return linear(l, y, WIDTH, HEADS * D, ADZE_Q8_0);
}

static adze_value *experts(layer *l, adze_value *x)
{
    adze_value *logits = linear(l, x, EXPERTS, WIDTH, ADZE_F32);
    adze_node *route = adze_graph_add_node(l->graph, "adze", "MoeRoute", NULL, 1, &logits, 2);
    CHECK(adze_node_set_int(route, "k", 2));
    adze_value *ids = route->outputs[1];
    adze_value *gate =
        OP("adze", "ExpertLinear", x, WEIGHTS(ADZE_Q8_0, EXPERTS, HIDDEN, WIDTH), ids);
    adze_value *up = OP("adze", "ExpertLinear", x, WEIGHTS(ADZE_F16, EXPERTS, HIDDEN, WIDTH), ids);
    adze_value *h = OP("adze", "Glu", gate, up);
    adze_value *down =
        OP("adze", "ExpertLinear", h, WEIGHTS(ADZE_Q8_0, EXPERTS, WIDTH, HIDDEN), ids);
    return OP("adze", "MoeCombine", down, route->outputs[0]);
}

static void build(layer *l, int threads)
{
    adze_context_options options = adze_context_options_default();
    options.threads = threads;
    l->seed = 1;
    CHECK_OK(adze_context_open(&l->context, &options, NULL), NULL);
    CHECK_OK(adze_graph_create(&l->graph, l->context, NULL), NULL);
    adze_dim t = adze_graph_symbol(l->graph, "T");
    CHECK_OK(adze_graph_bound(l->graph, "T", 1, TOKENS, NULL), NULL);
    adze_type type = adze_type_tensor(ADZE_I64, 1, &t);
    adze_value *ids = adze_graph_add_input(l->graph, "ids", &type);
    adze_value *positions = adze_graph_add_input(l->graph, "positions", &type);
    adze_value *x = OP("adze", "Embedding", ids, WEIGHTS(ADZE_Q8_0, VOCABULARY, WIDTH));
    adze_value *h = OP("", "RMSNormalization", x, WEIGHTS(ADZE_F32, WIDTH));
    x = OP("", "Add", x, attention(l, h, positions));
    h = OP("", "LayerNormalization", x, WEIGHTS(ADZE_F32, WIDTH));
    x = OP("", "Add", x, experts(l, h));
    adze_value *logits = linear(l, x, VOCABULARY, WIDTH, ADZE_F16);
    adze_node *cap = adze_graph_add_node(l->graph, "adze", "Softcap", NULL, 1, &logits, 1);
    CHECK(adze_node_set_float(cap, "cap", 30));
    CHECK_OK(adze_graph_add_output(l->graph, cap->outputs[0], NULL), NULL);
}

static void finish(layer *l)
{
    adze_graph_free(&l->graph);
    adze_context_close(&l->context);
}

TEST(passes_leave_language_models_alone)
{
    layer l;
    adze_graph *copy;
    adze_error err = {0};
    build(&l, 1);
    CHECK_OK(adze_graph_clone(&copy, l.graph, &err), &err);
    CHECK_OK(adze_graph_rewrite(copy, NULL, &err), &err);
    CHECK_EQ(copy->node_count, l.graph->node_count);
    for (int i = 0; i < copy->node_count; i++) {
        const adze_node *was = l.graph->nodes[i], *is = copy->nodes[i];
        CHECK_STR(is->op_type, was->op_type);
        CHECK_STR(is->domain, was->domain);
        for (int k = 0; k < was->input_count; k++) {
            const adze_tensor *a = was->inputs[k]->constant, *b = is->inputs[k]->constant;
            if (a && was->inputs[k]->role == ADZE_ROLE_CONSTANT && a->dtype != ADZE_I64) {
                CHECK(b);
                CHECK_EQ((uintptr_t)b->data, (uintptr_t)a->data);
                CHECK_EQ(b->dtype, a->dtype);
            }
        }
    }
    adze_graph_free(&copy);
    adze_plan *plan;
    CHECK_OK(adze_plan_create(&plan, l.graph, NULL, &err), &err);
    CHECK(adze_plan_memory(plan) < 65536); /* nothing was packed or copied */
    adze_plan_free(&plan);
    finish(&l);
}

/* Feeds tokens 0 .. TOKENS - 1 in steps; logits [TOKENS, VOCABULARY]. */
static void decode(layer *l, const int *steps, float *logits)
{
    adze_plan *plan;
    adze_session *session;
    adze_error err = {0};
    CHECK_OK(adze_plan_create(&plan, l->graph, NULL, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    int64_t ids[TOKENS], positions[TOKENS], done = 0;
    for (int64_t t = 0; t < TOKENS; t++) {
        ids[t] = t * 7 % VOCABULARY;
        positions[t] = t;
    }
    for (; done<TOKENS; steps += steps[1]> 0) {
        const int64_t n = ADZE_MIN(*steps, TOKENS - done);
        adze_tensor in[2] = {adze_tensor_view(ADZE_I64, 1, &n, ids + done),
                             adze_tensor_view(ADZE_I64, 1, &n, positions + done)};
        adze_tensor out;
        CHECK_OK(adze_session_run(session, in, &out, &err), &err);
        CHECK_EQ(out.dims[0], n);
        CHECK_EQ(out.dims[1], VOCABULARY);
        memcpy(logits + done * VOCABULARY, out.data, out.size);
        done += n;
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
}

TEST(logits_of_a_token_are_its_own)
{
    static float all[TOKENS * VOCABULARY], parts[TOKENS * VOCABULARY];
    static const int steps[][8] = {{1, 0}, {5, 1, 0}, {2, 3, 9, 1, 1, 7, 0}, {TOKENS, 0}};
    for (int threads = 1; threads <= 2; threads++) {
        layer l;
        build(&l, threads);
        if (threads == 1)
            decode(&l, (const int[]){TOKENS, 0}, all);
        for (int i = 0; i < TOKENS * VOCABULARY; i++)
            CHECK(isfinite(all[i]));
        for (size_t s = 0; s < ADZE_COUNT_OF(steps); s++) {
            decode(&l, steps[s], parts);
            CHECK_BYTES(parts, all, sizeof all);
        }
        finish(&l);
    }
    float largest = 0;
    for (int i = 0; i < VOCABULARY; i++)
        largest = fmaxf(largest, fabsf(all[i] - all[(TOKENS - 1) * VOCABULARY + i]));
    CHECK(largest > 0.01f); /* tokens do differ */
}

TEST(a_cache_that_is_full_says_so)
{
    layer l;
    adze_plan *plan;
    adze_session *session;
    adze_error err = {0};
    build(&l, 1);
    CHECK_OK(adze_plan_create(&plan, l.graph, NULL, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    int64_t one = 1, id = 3, position = CACHE;
    adze_tensor in[2] = {adze_tensor_view(ADZE_I64, 1, &one, &id),
                         adze_tensor_view(ADZE_I64, 1, &one, &position)};
    adze_tensor out;
    CHECK_FAILS(adze_session_run(session, in, &out, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "position 40"));
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish(&l);
}
