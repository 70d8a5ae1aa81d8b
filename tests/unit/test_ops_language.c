/* The operators of language models against plain C in double precision; what they refuse. */
#include "base/context.h"
#include "op_case.h"
#include "tensor/dtype.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static const char *const levels[] = {"ref", NULL}; /* NULL: the best of this machine */

/* Values that live as long as the test. */
static float *floats(int64_t n, uint64_t seed, float size)
{
    float *x = test_guard_alloc((size_t)n * sizeof(float), NULL);
    op_case_fill(x, n, seed, -size, size);
    return x;
}

static uint16_t *halves(int64_t n, uint64_t seed, float size)
{
    uint16_t *x = test_guard_alloc((size_t)n * sizeof *x, NULL);
    float *f = floats(n, seed, size);
    for (int64_t i = 0; i < n; i++)
        x[i] = adze_f32_to_f16(f[i]);
    return x;
}

static const float *output(const op_case *c)
{
    return c->output[0].data;
}

static void expect_dims(const adze_tensor *t, int rank, const int64_t *dims)
{
    CHECK_EQ(t->rank, rank);
    for (int i = 0; i < rank; i++)
        CHECK_EQ(t->dims[i], dims[i]);
}

/* ---- Linear ---- */

static void check_linear(const char *level, int64_t tokens, int64_t n, int64_t k, adze_dtype dtype,
                         bool biased)
{
    op_case c;
    const float *x = floats(tokens * k, 1, 1), *bias = floats(n, 3, 1);
    const float *wf = floats(n * k, 2, 1);
    uint16_t *wh = halves(n * k, 2, 1);
    op_case_open(&c, level);
    op_case_input(&c, ADZE_F32, 3, DIMS(1, tokens, k), x, NULL);
    op_case_input(&c, dtype, 2, DIMS(n, k), dtype == ADZE_F32 ? (const void *)wf : wh, NULL);
    if (biased)
        op_case_input(&c, ADZE_F32, 1, DIMS(n), bias, NULL);
    op_case_node_in(&c, "adze", "Linear", 1);
    op_case_run(&c);
    expect_dims(&c.output[0], 3, DIMS(1, tokens, n));
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < n; i++) {
            double sum = biased ? (double)bias[i] : 0;
            for (int64_t j = 0; j < k; j++)
                sum += (double)x[t * k + j] *
                       (double)(dtype == ADZE_F32 ? wf[i * k + j] : adze_f16_to_f32(wh[i * k + j]));
            CHECK_NEAR(output(&c)[t * n + i], sum, 2e-6 * (double)k + 1e-6);
        }
    op_case_close(&c);
}

TEST(linear)
{
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++)
        for (int half = 0; half < 2; half++) {
            check_linear(levels[l], 1, 1, 1, half ? ADZE_F16 : ADZE_F32, false);
            check_linear(levels[l], 3, 5, 17, half ? ADZE_F16 : ADZE_F32, true);
            check_linear(levels[l], 1, 33, 64, half ? ADZE_F16 : ADZE_F32, true);
            check_linear(levels[l], 19, 12, 40, half ? ADZE_F16 : ADZE_F32, false);
        }
}

TEST(linear_refuses)
{
    static float x[64], bias[3];
    static char w[1024];
    const struct {
        adze_dtype dtype;
        int64_t n, k, bias;
        adze_status status;
    } cases[] = {
        {ADZE_F32, 4, 31, 4, ADZE_BAD_MODEL}, /* K differs */
        {ADZE_F32, 4, 32, 3, ADZE_BAD_MODEL}, /* N differs */
        {ADZE_I8, 4, 32, 4, ADZE_BAD_MODEL},  /* integers without a scale are no weights */
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        op_case c;
        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_F32, 2, DIMS(2, 32), x, NULL);
        op_case_input(&c, cases[i].dtype, 2, DIMS(cases[i].n, cases[i].k), w, NULL);
        op_case_input(&c, ADZE_F32, 1, DIMS(cases[i].bias), bias, NULL);
        op_case_node_in(&c, "adze", "Linear", 1);
        CHECK_FAILS(op_case_try(&c), cases[i].status, &c.error);
        op_case_close(&c);
    }
}

/* ---- Embedding ---- */

TEST(embedding)
{
    enum { V = 5, K = 64, T = 4 };
    static const int64_t ids[T] = {4, 0, 2, 4};
    const adze_dtype dtypes[] = {ADZE_F32, ADZE_F16, ADZE_Q8_0};
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++)
        for (size_t d = 0; d < ADZE_COUNT_OF(dtypes); d++) {
            op_case c;
            op_case_open(&c, levels[l]);
            const size_t size = adze_dtype_bytes(dtypes[d], V * K);
            uint8_t *table = test_guard_alloc(size, NULL);
            op_case_fill_bytes(table, size, 5);
            float decoded[V * K];
            if (dtypes[d] == ADZE_Q8_0) /* scale 2^-7, then 32 bytes */
                for (int b = 0; b < V * K / 32; b++) {
                    memcpy(table + b * 34, &(uint16_t){adze_f32_to_f16(0.0078125f)}, 2);
                    for (int i = 0; i < 32; i++)
                        decoded[b * 32 + i] = (float)(int8_t)table[b * 34 + 2 + i] * 0.0078125f;
                }
            else {
                op_case_fill(decoded, V * K, 6, -1, 1);
                for (int i = 0; i < V * K; i++) {
                    uint16_t h = adze_f32_to_f16(decoded[i]);
                    if (dtypes[d] == ADZE_F16)
                        decoded[i] = adze_f16_to_f32(h);
                    memcpy(table + (size_t)i * size / (V * K),
                           dtypes[d] == ADZE_F16 ? (void *)&h : (void *)&decoded[i],
                           size / (V * K));
                }
            }
            op_case_input(&c, ADZE_I64, 1, DIMS(T), ids, NULL);
            op_case_input(&c, dtypes[d], 2, DIMS(V, K), table, NULL);
            CHECK(adze_node_set_float(op_case_node_in(&c, "adze", "Embedding", 1), "scale", 3));
            op_case_run(&c);
            expect_dims(&c.output[0], 2, DIMS(T, K));
            for (int t = 0; t < T; t++)
                for (int i = 0; i < K; i++)
                    CHECK_NEAR(output(&c)[t * K + i], decoded[ids[t] * K + i] * 3, 0);
            op_case_close(&c);
        }
}

TEST(numbers_out_of_range_are_refused)
{
    static float table[5 * 8];
    const int64_t bad[] = {5, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ADZE_COUNT_OF(bad); i++) {
        const int64_t ids[3] = {0, bad[i], 1};
        op_case c;
        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_I64, 1, DIMS(3), ids, NULL);
        op_case_input(&c, ADZE_F32, 2, DIMS(5, 8), table, NULL);
        op_case_node_in(&c, "adze", "Embedding", 1);
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
        CHECK(strstr(c.error.message, "place 1"));
        op_case_close(&c);

        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_F32, 2, DIMS(5, 8), table, NULL);
        op_case_input(&c, ADZE_F32, 2, DIMS(3, 8), table, NULL);
        op_case_input(&c, ADZE_I64, 1, DIMS(3), ids, NULL);
        op_case_node_in(&c, "adze", "CacheWrite", 1);
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
        op_case_close(&c);

        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_F32, 3, DIMS(3, 1, 8), table, NULL);
        op_case_input(&c, ADZE_F32, 3, DIMS(5, 1, 8), table, NULL);
        op_case_input(&c, ADZE_F32, 3, DIMS(5, 1, 8), table, NULL);
        op_case_input(&c, ADZE_I64, 1, DIMS(3), ids, NULL);
        op_case_node_in(&c, "adze", "CachedAttention", 1);
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
        op_case_close(&c);

        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_F32, 2, DIMS(3, 4), table, NULL);
        op_case_input(&c, ADZE_F32, 3, DIMS(5, 2, 4), table, NULL);
        op_case_input(&c, ADZE_I64, 2, DIMS(3, 1), ids, NULL);
        op_case_node_in(&c, "adze", "ExpertLinear", 1);
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
        op_case_close(&c);
    }
}

/* ---- RopeTable, Rope ---- */

TEST(rope_table)
{
    enum { T = 40, HALF = 5 };
    int64_t positions[T];
    const float frequencies[HALF] = {1, 0.31622777f, 0.1f, 1e-4f, 0};
    for (int t = 0; t < T; t++)
        positions[t] = t * t * t;
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_I64, 1, DIMS(T), positions, NULL);
    op_case_input(&c, ADZE_F32, 1, DIMS(HALF), frequencies, NULL);
    CHECK(adze_node_set_float(op_case_node_in(&c, "adze", "RopeTable", 1), "scale", 1.25f));
    op_case_run(&c);
    expect_dims(&c.output[0], 2, DIMS(T, 2 * HALF));
    for (int t = 0; t < T; t++)
        for (int i = 0; i < HALF; i++) {
            const double angle = (double)((float)positions[t] * frequencies[i]);
            CHECK_NEAR(output(&c)[t * 2 * HALF + i], (float)cos(angle) * 1.25f, 0);
            CHECK_NEAR(output(&c)[t * 2 * HALF + HALF + i], (float)sin(angle) * 1.25f, 0);
        }
    op_case_close(&c);
}

static void check_rope(const char *level, int64_t tokens, int64_t heads, int64_t d, int64_t r,
                       bool interleaved)
{
    op_case c;
    const float *x = floats(tokens * heads * d, 1, 3), *table = floats(tokens * r, 2, 1);
    op_case_open(&c, level);
    op_case_input(&c, ADZE_F32, 3, DIMS(tokens, heads, d), x, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(tokens, r), table, NULL);
    CHECK(adze_node_set_int(op_case_node_in(&c, "adze", "Rope", 1), "interleaved", interleaved));
    op_case_run(&c);
    expect_dims(&c.output[0], 3, DIMS(tokens, heads, d));
    for (int64_t row = 0; row < tokens * heads; row++)
        for (int64_t i = 0; i < d; i++) {
            const float *from = x + row * d, *angle = table + row / heads * r;
            double expected = (double)from[i];
            if (i < r) {
                const int64_t pair = interleaved ? i / 2 : i % (r / 2);
                const bool second = interleaved ? i % 2 : i >= r / 2;
                const int64_t other = interleaved ? i ^ 1 : second ? i - r / 2 : i + r / 2;
                const double cosine = (double)angle[pair], sine = (double)angle[r / 2 + pair];
                expected = expected * cosine + (second ? 1 : -1) * (double)from[other] * sine;
            }
            CHECK_NEAR(output(&c)[row * d + i], expected, 5e-7);
        }
    op_case_close(&c);
}

TEST(rope)
{
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++)
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            check_rope(levels[l], 1, 1, 2, 2, interleaved);
            check_rope(levels[l], 3, 2, 8, 8, interleaved);
            check_rope(levels[l], 5, 3, 80, 32, interleaved);
            check_rope(levels[l], 300, 3, 21, 18, interleaved);
            check_rope(levels[l], 2, 2, 7, 0, interleaved);
        }
}

/* ---- CacheWrite ---- */

TEST(cache_write)
{
    enum { C = 9, N = 15, T = 3 };
    const int64_t orders[2][T] = {{2, 3, 8}, {7, 1, 7}}; /* the second in no order, one twice */
    for (int half = 0; half < 2; half++)
        for (int o = 0; o < 2; o++) {
            op_case c;
            const adze_dtype dtype = half ? ADZE_F16 : ADZE_F32;
            const float *x = floats(T * N, 1, 100), *cache = floats(C * N, 2, 1);
            uint16_t *narrow = halves(C * N, 2, 1);
            op_case_open(&c, NULL);
            op_case_input(&c, dtype, 3, DIMS(C, 3, N / 3), half ? (const void *)narrow : cache,
                          NULL);
            op_case_input(&c, ADZE_F32, 3, DIMS(T, 3, N / 3), x, NULL);
            op_case_input(&c, ADZE_I64, 1, DIMS(T), orders[o], NULL);
            op_case_node_in(&c, "adze", "CacheWrite", 1);
            op_case_run(&c);
            expect_dims(&c.output[0], 3, DIMS(C, 3, N / 3));
            CHECK_EQ(c.output[0].dtype, dtype);
            for (int row = 0; row < C; row++)
                for (int i = 0; i < N; i++) {
                    float expected =
                        half ? adze_f16_to_f32(narrow[row * N + i]) : cache[row * N + i];
                    for (int t = 0; t < T; t++)
                        if (orders[o][t] == row)
                            expected = half ? adze_f16_to_f32(adze_f32_to_f16(x[t * N + i]))
                                            : x[t * N + i];
                    CHECK_NEAR(
                        half ? adze_f16_to_f32(((const uint16_t *)c.output[0].data)[row * N + i])
                             : output(&c)[row * N + i],
                        expected, 0);
                }
            op_case_close(&c);
        }
}

/* ---- CachedAttention: the operator's attributes; the kernels have a check of their own ---- */

typedef struct attention_case {
    int64_t t, h, c, hk, d, dv;
    bool half, positions, slopes;
    float softcap, scale;
    int64_t window;
} attention_case;

static void expected_row(const attention_case *a, const float *q, const double *k, const double *v,
                         int64_t position, double slope, double *y)
{
    const int64_t first = a->positions && a->window > 0 ? ADZE_MAX(0, position - a->window + 1) : 0;
    const int64_t last = a->positions ? position : a->c - 1;
    double sum = 0;
    for (int64_t i = 0; i < a->dv; i++)
        y[i] = 0;
    for (int64_t j = first; j <= last; j++) {
        double s = 0;
        for (int64_t i = 0; i < a->d; i++)
            s += (double)q[i] * k[j * a->hk * a->d + i];
        s *= a->scale > 0 ? (double)a->scale : 1 / sqrt((double)a->d);
        s = a->softcap > 0 ? (double)a->softcap * tanh(s / (double)a->softcap) : s;
        const double w = exp(s - slope * fabs((double)(j - position)));
        sum += w;
        for (int64_t i = 0; i < a->dv; i++)
            y[i] += w * v[j * a->hk * a->dv + i];
    }
    for (int64_t i = 0; i < a->dv; i++)
        y[i] /= sum;
}

static const void *cache_of(const attention_case *a, int64_t n, uint64_t seed, double **exact)
{
    float *f = floats(n, seed, 2);
    uint16_t *h = halves(n, seed, 2);
    *exact = test_guard_alloc((size_t)n * sizeof(double), NULL);
    for (int64_t i = 0; i < n; i++)
        (*exact)[i] = (double)(a->half ? adze_f16_to_f32(h[i]) : f[i]);
    return a->half ? (const void *)h : f;
}

static void check_attention(const char *level, const attention_case *a)
{
    op_case c;
    double *ke, *ve, y[64];
    const float *q = floats(a->t * a->h * a->d, 1, 2), *slopes = floats(a->h, 7, 0.1f);
    const void *k = cache_of(a, a->c * a->hk * a->d, 2, &ke);
    const void *v = cache_of(a, a->c * a->hk * a->dv, 3, &ve);
    int64_t positions[64];
    for (int64_t t = 0; t < a->t; t++)
        positions[t] = a->positions ? (a->c - 1) * (t + 1) / a->t : t;
    op_case_open(&c, level);
    op_case_input(&c, ADZE_F32, 3, DIMS(a->t, a->h, a->d), q, NULL);
    op_case_input(&c, a->half ? ADZE_F16 : ADZE_F32, 3, DIMS(a->c, a->hk, a->d), k, NULL);
    op_case_input(&c, a->half ? ADZE_F16 : ADZE_F32, 3, DIMS(a->c, a->hk, a->dv), v, NULL);
    if (a->positions)
        op_case_input(&c, ADZE_I64, 1, DIMS(a->t), positions, NULL);
    else
        op_case_absent(&c);
    if (a->slopes)
        op_case_input(&c, ADZE_F32, 1, DIMS(a->h), slopes, NULL);
    adze_node *node = op_case_node_in(&c, "adze", "CachedAttention", 1);
    CHECK(adze_node_set_int(node, "window", a->window));
    CHECK(adze_node_set_float(node, "softcap", a->softcap));
    if (a->scale > 0)
        CHECK(adze_node_set_float(node, "scale", a->scale));
    op_case_run(&c);
    expect_dims(&c.output[0], 2, DIMS(a->t, a->h * a->dv));
    for (int64_t t = 0; t < a->t; t++)
        for (int64_t h = 0; h < a->h; h++) {
            const int64_t kv = h / (a->h / a->hk);
            expected_row(a, q + (t * a->h + h) * a->d, ke + kv * a->d, ve + kv * a->dv,
                         positions[t], a->slopes ? (double)slopes[h] : 0, y);
            for (int64_t i = 0; i < a->dv; i++)
                CHECK_NEAR(output(&c)[(t * a->h + h) * a->dv + i], y[i], 1e-5);
        }
    op_case_close(&c);
}

TEST(cached_attention)
{
    static const attention_case cases[] = {
        {1, 1, 1, 1, 1, 1, false, true, false, 0, 0, 0},
        {1, 4, 70, 2, 8, 8, true, true, false, 0, 0, 0},
        {6, 3, 40, 1, 10, 6, true, true, false, 0, 0.5f, 0},
        {7, 2, 130, 2, 16, 24, false, true, true, 0, 0, 0},
        {5, 4, 600, 2, 16, 16, true, true, true, 5, 0, 50},
        {9, 2, 9, 2, 12, 12, false, false, false, 0, 0, 0},
        {9, 2, 9, 1, 12, 12, false, false, true, 2, 0, 0},
        {3, 1, 20, 1, 4, 4, false, true, false, 0, 0, 1},
    };
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++)
        for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++)
            check_attention(levels[l], &cases[i]);
}

TEST(attention_refuses)
{
    static float x[64];
    const struct {
        int64_t h, hk, d, dk;
        int64_t window;
        float softcap;
    } cases[] = {{3, 2, 4, 4, 0, 0},  {2, 2, 4, 5, 0, 0},   {2, 1, 4, 4, -1, 0},
                 {2, 1, 4, 4, 0, -1}, {2, 1, 4, 4, 0, NAN}, {2, 1, 4, 4, 3, 0}};
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        op_case c;
        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_F32, 3, DIMS(2, cases[i].h, cases[i].d), x, NULL);
        op_case_input(&c, ADZE_F32, 3, DIMS(2, cases[i].hk, cases[i].dk), x, NULL);
        op_case_input(&c, ADZE_F32, 3, DIMS(2, cases[i].hk, 4), x, NULL);
        adze_node *node = op_case_node_in(&c, "adze", "CachedAttention", 1);
        CHECK(adze_node_set_int(node, "window", cases[i].window));
        CHECK(adze_node_set_float(node, "softcap", cases[i].softcap));
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
        op_case_close(&c);
    }
}

/* ---- Glu, Softcap ---- */

static double activation(const char *name, double x)
{
    if (strcmp(name, "silu") == 0)
        return x / (1 + exp(-x));
    if (strcmp(name, "gelu") == 0)
        return x * erfc(-x / sqrt(2)) / 2;
    if (strcmp(name, "relu") == 0)
        return x > 0 ? x : 0;
    return x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x))) / 2;
}

TEST(glu)
{
    static const char *const names[] = {"silu", "gelu", "gelu_tanh", "relu"};
    enum { T = 3, F = 5001 };
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++)
        for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
            op_case c;
            const float *gate = floats(T * F, 1, 9), *up = floats(T * F, 2, 2);
            op_case_open(&c, levels[l]);
            op_case_input(&c, ADZE_F32, 2, DIMS(T, F), gate, NULL);
            op_case_input(&c, ADZE_F32, 2, DIMS(T, F), up, NULL);
            adze_node *node = op_case_node_in(&c, "adze", "Glu", 1);
            CHECK(adze_node_set_string(node, "activation", names[i]));
            op_case_run(&c);
            for (int k = 0; k < T * F; k++) {
                const double exact = activation(names[i], (double)gate[k]) * (double)up[k];
                CHECK_NEAR(output(&c)[k], exact, 1e-6 * fabs(exact) + 1e-6);
            }
            op_case_close(&c);
        }
    op_case c;
    op_case_open(&c, "ref");
    op_case_input(&c, ADZE_F32, 2, DIMS(1, 2), floats(2, 1, 1), NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(1, 2), floats(2, 1, 1), NULL);
    CHECK(adze_node_set_string(op_case_node_in(&c, "adze", "Glu", 1), "activation", "swish"));
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}

TEST(softcap)
{
    op_case c;
    const float *x = floats(1000, 1, 200);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(10, 100), x, NULL);
    CHECK(adze_node_set_float(op_case_node_in(&c, "adze", "Softcap", 1), "cap", 30));
    op_case_run(&c);
    for (int i = 0; i < 1000; i++)
        CHECK_NEAR(output(&c)[i], 30 * tanh((double)x[i] / 30), 1e-5);
    op_case_close(&c);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(10, 100), x, NULL);
    op_case_node_in(&c, "adze", "Softcap", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}

/* ---- mixtures of experts ---- */

static void check_route(const float *logits, int64_t t, int64_t e, int64_t k, bool sigmoid,
                        bool normalize, float scale)
{
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(t, e), logits, NULL);
    adze_node *node = op_case_node_in(&c, "adze", "MoeRoute", 2);
    CHECK(adze_node_set_int(node, "k", k));
    CHECK(adze_node_set_int(node, "normalize", normalize));
    CHECK(adze_node_set_float(node, "scale", scale));
    CHECK(adze_node_set_string(node, "gate", sigmoid ? "sigmoid" : "softmax"));
    op_case_run(&c);
    expect_dims(&c.output[0], 2, DIMS(t, k));
    expect_dims(&c.output[1], 2, DIMS(t, k));
    for (int64_t row = 0; row < t; row++) {
        const float *x = logits + row * e;
        const int64_t *ids = (const int64_t *)c.output[1].data + row * k;
        double all = 0, chosen = 0;
        for (int64_t i = 0; i < e; i++)
            all += exp((double)x[i]);
        for (int64_t i = 0; i < k; i++) {
            int64_t above = 0; /* experts that come before this one */
            for (int64_t o = 0; o < e; o++)
                above += x[o] > x[ids[i]] || (x[o] == x[ids[i]] && o < ids[i]);
            CHECK_EQ(above, i);
            const double v = (double)x[ids[i]];
            chosen += sigmoid ? 1 / (1 + exp(-v)) : exp(v) / all;
        }
        for (int64_t i = 0; i < k; i++) {
            const double v = (double)x[ids[i]];
            double w = sigmoid ? 1 / (1 + exp(-v)) : exp(v) / all;
            w = (normalize ? w / chosen : w) * (double)scale;
            CHECK_NEAR(output(&c)[row * k + i], w, 1e-6);
        }
    }
    op_case_close(&c);
}

TEST(moe_route)
{
    static const float ties[8] = {1, 3, 3, 1, 3, 0, 3, 3};
    check_route(ties, 1, 8, 5, false, true, 1);
    check_route(floats(40 * 60, 4, 3), 40, 60, 8, false, false, 1);
    check_route(floats(5 * 4, 5, 3), 5, 4, 4, true, true, 2.5f);
    check_route(floats(3, 6, 3), 3, 1, 1, true, false, 1);
}

TEST(moe_route_survives_what_is_no_number)
{
    const float logits[4] = {NAN, 1, NAN, 2};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(1, 4), logits, NULL);
    CHECK(adze_node_set_int(op_case_node_in(&c, "adze", "MoeRoute", 2), "k", 3));
    op_case_run(&c);
    for (int i = 0; i < 3; i++)
        CHECK(((const int64_t *)c.output[1].data)[i] >= 0 &&
              ((const int64_t *)c.output[1].data)[i] < 4);
    op_case_close(&c);
}

static void check_expert(int64_t t, int64_t slots, int64_t e, int64_t n, int64_t k, bool wide,
                         bool biased)
{
    op_case c;
    const float *x = floats(t * (wide ? slots : 1) * k, 1, 1), *bias = floats(e * n, 3, 1);
    const float *w = floats(e * n * k, 2, 1);
    int64_t ids[200];
    uint64_t seed = 9;
    for (int64_t i = 0; i < t * slots; i++)
        ids[i] = (int64_t)(test_random(&seed) % (uint64_t)e);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, wide ? 3 : 2, wide ? DIMS(t, slots, k) : DIMS(t, k), x, NULL);
    op_case_input(&c, ADZE_F32, 3, DIMS(e, n, k), w, NULL);
    op_case_input(&c, ADZE_I64, 2, DIMS(t, slots), ids, NULL);
    if (biased)
        op_case_input(&c, ADZE_F32, 2, DIMS(e, n), bias, NULL);
    op_case_node_in(&c, "adze", "ExpertLinear", 1);
    op_case_run(&c);
    expect_dims(&c.output[0], 3, DIMS(t, slots, n));
    for (int64_t row = 0; row < t * slots; row++)
        for (int64_t i = 0; i < n; i++) {
            const float *from = x + (wide ? row : row / slots) * k;
            double sum = biased ? (double)bias[ids[row] * n + i] : 0;
            for (int64_t j = 0; j < k; j++)
                sum += (double)from[j] * (double)w[(ids[row] * n + i) * k + j];
            CHECK_NEAR(output(&c)[row * n + i], sum, 1e-5);
        }
    op_case_close(&c);
}

TEST(expert_linear)
{
    check_expert(1, 1, 1, 1, 1, false, false);
    check_expert(1, 3, 5, 7, 12, false, true);
    check_expert(1, 4, 2, 7, 12, true, false);
    check_expert(20, 2, 4, 9, 33, false, false);
    check_expert(17, 5, 40, 6, 8, true, true);
}

TEST(moe_combine)
{
    enum { T = 3, K = 4, N = 37 };
    op_case c;
    const float *y = floats(T * K * N, 1, 1), *w = floats(T * K, 2, 1);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 3, DIMS(T, K, N), y, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(T, K), w, NULL);
    op_case_node_in(&c, "adze", "MoeCombine", 1);
    op_case_run(&c);
    expect_dims(&c.output[0], 2, DIMS(T, N));
    for (int t = 0; t < T; t++)
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += (double)w[t * K + k] * (double)y[(t * K + k) * N + i];
            CHECK_NEAR(output(&c)[t * N + i], sum, 1e-6);
        }
    op_case_close(&c);
}

/* ---- Pool ---- */

TEST(pool)
{
    static const char *const modes[] = {"mean", "first", "last"};
    enum { T = 7, N = 19 };
    const float *x = floats(T * N, 1, 2);
    for (size_t m = 0; m < ADZE_COUNT_OF(modes); m++)
        for (int normalize = 0; normalize < 2; normalize++) {
            op_case c;
            op_case_open(&c, NULL);
            op_case_input(&c, ADZE_F32, 2, DIMS(T, N), x, NULL);
            adze_node *node = op_case_node_in(&c, "adze", "Pool", 1);
            CHECK(adze_node_set_string(node, "mode", modes[m]));
            CHECK(adze_node_set_int(node, "normalize", normalize));
            op_case_run(&c);
            expect_dims(&c.output[0], 2, DIMS(1, N));
            double row[N] = {0}, square = 0;
            for (int i = 0; i < N; i++) {
                for (int t = 0; t < T && m == 0; t++)
                    row[i] += (double)x[t * N + i] / T;
                row[i] = m == 1 ? (double)x[i] : m == 2 ? (double)x[(T - 1) * N + i] : row[i];
                square += row[i] * row[i];
            }
            for (int i = 0; i < N; i++)
                CHECK_NEAR(output(&c)[i], normalize ? row[i] / sqrt(square) : row[i], 1e-6);
            op_case_close(&c);
        }
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(0, N), x, NULL);
    op_case_node_in(&c, "adze", "Pool", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
    op_case_close(&c);
}

/* ---- norms: a row's bits do not depend on how many rows there are ---- */

static void check_norm(const char *op, int rank, const int64_t *dims, bool biased)
{
    op_case all, one;
    const int64_t n = dims[rank - 1], rows = adze_shape_elements(rank, dims) / n;
    const float *x = floats(rows * n, 1, 3), *scale = floats(n, 2, 2), *bias = floats(n, 3, 1);
    op_case_open_threads(&all, NULL, 2);
    op_case_input(&all, ADZE_F32, rank, dims, x, NULL);
    op_case_input(&all, ADZE_F32, 1, DIMS(n), scale, NULL);
    if (biased)
        op_case_input(&all, ADZE_F32, 1, DIMS(n), bias, NULL);
    CHECK(adze_node_set_float(op_case_node(&all, op, 1), "epsilon", 1e-6f));
    op_case_run(&all);
    for (int64_t row = 0; row < rows; row++) {
        op_case_open_threads(&one, NULL, 1);
        op_case_input(&one, ADZE_F32, 2, DIMS(1, n), x + row * n, NULL);
        op_case_input(&one, ADZE_F32, 1, DIMS(n), scale, NULL);
        if (biased)
            op_case_input(&one, ADZE_F32, 1, DIMS(n), bias, NULL);
        CHECK(adze_node_set_float(op_case_node(&one, op, 1), "epsilon", 1e-6f));
        op_case_run(&one);
        CHECK_BYTES(output(&all) + row * n, one.output[0].data, (size_t)n * sizeof(float));
        float y[200];
        if (op[0] == 'R')
            one.context->kernels->rows.rms_norm(n, x + row * n, scale, 1e-6f, y);
        else
            one.context->kernels->rows.layer_norm(n, x + row * n, scale, biased ? bias : NULL,
                                                  1e-6f, y);
        CHECK_BYTES(one.output[0].data, y, (size_t)n * sizeof(float));
        op_case_close(&one);
    }
    op_case_close(&all);
}

TEST(norms_of_a_row_are_its_own)
{
    check_norm("RMSNormalization", 2, DIMS(5, 100), false);
    check_norm("RMSNormalization", 3, DIMS(5, 3, 24), false);
    check_norm("LayerNormalization", 2, DIMS(5, 100), false);
    check_norm("LayerNormalization", 2, DIMS(5, 100), true);
    check_norm("LayerNormalization", 3, DIMS(5, 3, 24), false);
}
