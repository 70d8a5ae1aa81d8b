/* Attention: every level against double precision; the bits of a token's result alone, in a batch of any
 * size, on any number of threads; what lies in keys that nobody sees. Rotary position: every level the
 * same bits. */
#include "kernel_check.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

typedef struct shape {
    int64_t heads, kv_heads, d, dv, keys;
    bool half;
    int64_t window;
    float softcap;
    bool slopes;
} shape;

typedef struct setting {
    shape s;
    adze_attention_args args; /* positions: of all keys */
    double *k, *v;            /* what k and v say */
} setting;

static const void *cache(const shape *s, int64_t n, double **exact, uint64_t *seed)
{
    float *f = check_floats((size_t)n, seed);
    uint16_t *h = check_bytes((size_t)n * sizeof *h, seed);
    *exact = test_guard_alloc((size_t)n * sizeof(double), NULL);
    for (int64_t i = 0; i < n; i++) {
        f[i] *= 3;
        h[i] = adze_f32_to_f16(f[i]);
        (*exact)[i] = (double)(s->half ? adze_f16_to_f32(h[i]) : f[i]);
    }
    return s->half ? (const void *)h : f;
}

static setting make(const shape *s, uint64_t *seed)
{
    setting c = {.s = *s};
    int64_t *positions = test_guard_alloc((size_t)s->keys * sizeof *positions, NULL);
    for (int64_t i = 0; i < s->keys; i++)
        positions[i] = i;
    float *slopes = check_floats((size_t)s->heads, seed);
    for (int64_t h = 0; h < s->heads; h++)
        slopes[h] = ldexpf(1, (int)-h % 8 - 1);
    c.args = (adze_attention_args){.heads = s->heads,
                                   .kv_heads = s->kv_heads,
                                   .keys = s->keys,
                                   .d = s->d,
                                   .dv = s->dv,
                                   .dtype = s->half ? ADZE_F16 : ADZE_F32,
                                   .q = check_floats((size_t)(s->keys * s->heads * s->d), seed),
                                   .positions = positions,
                                   .slopes = s->slopes ? slopes : NULL,
                                   .scale = 2 / sqrtf((float)s->d),
                                   .softcap = s->softcap,
                                   .window = s->window};
    c.args.k = cache(s, s->keys * s->kv_heads * s->d, &c.k, seed);
    c.args.v = cache(s, s->keys * s->kv_heads * s->dv, &c.v, seed);
    return c;
}

/* Tokens first .. first + count - 1 of the setting; the result is [count, heads, dv]. */
static float *run(const adze_kernels *kernels, adze_pool *pool, const setting *c, int64_t first,
                  int64_t count, bool positions)
{
    adze_attention_args a = c->args;
    void *base_y, *base;
    a.tokens = count;
    a.q += first * a.heads * a.d;
    a.positions = positions ? a.positions + first : NULL;
    a.y = test_guard_alloc((size_t)(count * a.heads * a.dv) * sizeof(float), &base_y);
    a.scratch = test_guard_alloc(
        (adze_attention_scratch(kernels, &a, adze_pool_threads(pool)) + 63) / 64 * 64, &base);
    CHECK_EQ((uintptr_t)a.scratch % 64, 0);
    adze_attention_run(kernels, pool, &a);
    test_guard_free(base);
    return a.y;
}

static void exact_row(const setting *c, int64_t t, int64_t h, bool positions, double *y)
{
    const shape *s = &c->s;
    const int64_t kv = h / (s->heads / s->kv_heads), last = positions ? t : s->keys - 1;
    const int64_t first = positions && s->window > 0 ? ADZE_MAX(0, t - s->window + 1) : 0;
    double sum = 0, scores[1300], most = -INFINITY;
    for (int64_t j = first; j <= last; j++) {
        double score = 0;
        for (int64_t i = 0; i < s->d; i++)
            score += (double)c->args.q[(t * s->heads + h) * s->d + i] *
                     c->k[(j * s->kv_heads + kv) * s->d + i];
        score *= (double)c->args.scale;
        if (s->softcap > 0)
            score = (double)s->softcap * tanh(score / (double)s->softcap);
        if (s->slopes)
            score -= (double)c->args.slopes[h] * fabs((double)(j - t));
        scores[j] = score;
        most = fmax(most, score);
    }
    for (int64_t i = 0; i < s->dv; i++)
        y[i] = 0;
    for (int64_t j = first; j <= last; j++) {
        const double w = exp(scores[j] - most);
        sum += w;
        for (int64_t i = 0; i < s->dv; i++)
            y[i] += w * c->v[(j * s->kv_heads + kv) * s->dv + i];
    }
    for (int64_t i = 0; i < s->dv; i++)
        y[i] /= sum;
}

static void check_exact(const setting *c, const float *y, int64_t first, int64_t count,
                        bool positions, adze_cpu_level level)
{
    const shape *s = &c->s;
    double row[320];
    for (int64_t t = 0; t < count; t++)
        for (int64_t h = 0; h < s->heads; h++) {
            exact_row(c, first + t, h, positions, row);
            for (int64_t i = 0; i < s->dv; i++) {
                const float found = y[(t * s->heads + h) * s->dv + i];
                if (!(fabs((double)found - row[i]) <= 2e-5))
                    FAIL("%s: heads %d/%d d %d dv %d keys %d: token %d head %d [%d] is %.9g, "
                         "exactly %.9g",
                         adze_cpu_level_name(level), (int)s->heads, (int)s->kv_heads, (int)s->d,
                         (int)s->dv, (int)s->keys, (int)(first + t), (int)h, (int)i, (double)found,
                         row[i]);
            }
        }
}

static const shape shapes[] = {
    {1, 1, 1, 1, 1, false, 0, 0, false},     {1, 1, 8, 8, 1, true, 0, 0, false},
    {4, 4, 8, 8, 70, true, 0, 0, false},     {9, 3, 64, 64, 200, true, 0, 0, false},
    {3, 1, 16, 32, 130, false, 0, 0, false}, {2, 2, 80, 48, 64, true, 0, 0, false},
    {4, 1, 10, 6, 65, true, 0, 0, false},    {2, 1, 13, 21, 129, false, 0, 0, false},
    {6, 2, 32, 32, 150, true, 16, 0, false}, {2, 1, 24, 40, 200, false, 70, 0, true},
    {4, 2, 128, 128, 96, true, 1, 5, false}, {10, 1, 16, 16, 90, true, 0, 3, true},
    {17, 1, 8, 8, 80, false, 33, 0, false},  {2, 1, 256, 256, 70, true, 0, 0, false},
    {3, 3, 16, 8, 1200, true, 0, 0, true},   {4, 2, 16, 16, 1200, true, 600, 0, false},
};

TEST(attention_means_what_it_says)
{
    static adze_kernels kernels;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 1;
        adze_kernels_init(&kernels, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++) {
            const setting c = make(&shapes[i], &seed);
            const int64_t n = c.s.keys, some = ADZE_MIN(n, 75), last = ADZE_MIN(n, 2);
            check_exact(&c, run(&kernels, NULL, &c, n - some, some, true), n - some, some, true,
                        level);
            check_exact(&c, run(&kernels, NULL, &c, n - last, last, true), n - last, last, true,
                        level);
            if (c.s.window == 0)
                check_exact(&c, run(&kernels, NULL, &c, 0, some, false), 0, some, false, level);
        }
    }
}

TEST(attention_of_a_token_is_its_own)
{
    static adze_kernels kernels;
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 2;
        adze_kernels_init(&kernels, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++) {
            const setting c = make(&shapes[i], &seed);
            const int64_t n = c.s.keys, row = c.s.heads * c.s.dv;
            if (level == ADZE_CPU_REF && n > 200)
                continue;
            const float *all = run(&kernels, pool, &c, 0, n, true);
            const int64_t counts[] = {1, 2, 3, 5, 13, 64};
            for (int round = 0; round < 12; round++) {
                const int64_t count = ADZE_MIN(n, counts[(size_t)round % ADZE_COUNT_OF(counts)]);
                const int64_t first = check_between(0, n - count, &seed);
                const float *part = run(&kernels, round % 2 ? pool : NULL, &c, first, count, true);
                check_same("attention of some tokens", level, part, all + first * row, count * row);
            }
        }
    }
    adze_pool_close(&pool);
}

static void spoil(const setting *c, int64_t key)
{
    const int64_t size = c->s.half ? 2 : 4, k = c->s.kv_heads * c->s.d * size;
    const int64_t v = c->s.kv_heads * c->s.dv * size;
    memset((char *)(uintptr_t)c->args.k + key * k, 0xff, (size_t)k); /* NaN */
    memset((char *)(uintptr_t)c->args.v + key * v, 0xff, (size_t)v);
}

/* Keys after the last position, and before the window, may hold anything; so may keys that only other tokens
 * see. */
TEST(attention_leaves_out_what_is_not_seen)
{
    static adze_kernels kernels;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 3;
        adze_kernels_init(&kernels, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++) {
            const setting c = make(&shapes[i], &seed);
            const int64_t n = c.s.keys, count = ADZE_MIN(n / 2, 20), first = (n - count) / 2;
            const int64_t window = c.s.window > 0 ? c.s.window : n, row = c.s.heads * c.s.dv;
            if (count == 0)
                continue;
            const float *clean = run(&kernels, NULL, &c, first, count, true);
            for (int64_t j = 0; j < n; j++)
                if (j >= first + count || j <= first - window)
                    spoil(&c, j);
            const float *dirty = run(&kernels, NULL, &c, first, count, true);
            check_same("attention beside NaN", level, dirty, clean, count * row);
            const float *one = run(&kernels, NULL, &c, first, 1, true);
            check_same("attention of one beside NaN", level, one, clean, row);
            for (int64_t t = count - 1; t > 0; t -= 3) {
                spoil(&c, first + t);
                dirty = run(&kernels, NULL, &c, first, count, true);
                check_same("attention before NaN", level, dirty, clean, t * row);
                CHECK(isnan(dirty[t * row]));
            }
            for (int64_t t = 1; c.s.window > 0 && t < count; t += 3) {
                const int64_t key = first + t - window; /* the last that token t does not see */
                const setting fresh = make(&shapes[i], &seed);
                if (key < 0)
                    continue;
                clean = run(&kernels, NULL, &fresh, first, count, true);
                spoil(&fresh, key);
                dirty = run(&kernels, NULL, &fresh, first, count, true);
                check_same("attention after NaN", level, dirty + t * row, clean + t * row,
                           (count - t) * row);
                CHECK(isnan(dirty[(t - 1) * row]));
            }
        }
    }
}

/* Tokens in any order of positions. */
TEST(attention_at_any_positions)
{
    static adze_kernels kernels;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 4;
        adze_kernels_init(&kernels, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++) {
            setting c = make(&shapes[i], &seed);
            const int64_t n = ADZE_MIN(c.s.keys, 90), row = c.s.heads * c.s.dv;
            int64_t *positions = test_guard_alloc((size_t)n * sizeof *positions, NULL);
            for (int64_t t = 0; t < n; t++)
                positions[t] = check_between(0, c.s.keys - 1, &seed);
            c.args.positions = positions;
            const float *all = run(&kernels, NULL, &c, 0, n, true);
            for (int64_t t = 0; t < n; t += 7)
                check_same("attention at a position", level, run(&kernels, NULL, &c, t, 1, true),
                           all + t * row, row);
        }
    }
}

TEST(rope_is_the_same_at_every_level)
{
    static adze_kernels ref, kernels;
    static const int64_t sizes[][3] = {{1, 2, 2},   {3, 8, 8}, {2, 80, 32},  {5, 64, 64},
                                       {2, 21, 18}, {3, 7, 0}, {1, 130, 130}};
    adze_kernels_init(&ref, ADZE_CPU_REF);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 5;
        adze_kernels_init(&kernels, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(sizes); i++)
            for (int interleaved = 0; interleaved < 2; interleaved++) {
                const int64_t heads = sizes[i][0], d = sizes[i][1], r = sizes[i][2], n = heads * d;
                const float *table = check_floats((size_t)r, &seed);
                float *x = check_floats((size_t)n, &seed), *y = check_floats((size_t)n, &seed);
                float *expected = check_floats((size_t)n, &seed);
                ref.attention.rope(heads, d, r, interleaved, table, x, expected);
                kernels.attention.rope(heads, d, r, interleaved, table, x, y);
                check_same("rope", level, y, expected, n);
                kernels.attention.rope(heads, d, r, interleaved, table, x, x);
                check_same("rope in place", level, x, expected, n);
            }
    }
}

TEST(glu_is_the_same_at_every_level)
{
    static adze_kernels kernels;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint64_t seed = 6;
        adze_kernels_init(&kernels, level);
        const adze_eltwise_table *t = &kernels.eltwise;
        const adze_unary unary[ADZE_GLU_COUNT] = {ADZE_UNARY_SILU, ADZE_UNARY_GELU,
                                                  ADZE_UNARY_GELU_TANH, ADZE_UNARY_RELU};
        for (int64_t n = 0; n < 70; n++)
            for (int op = 0; op < ADZE_GLU_COUNT; op++) {
                float *gate = check_passing_floats((size_t)n, &seed);
                float *up = check_passing_floats((size_t)n, &seed);
                float *y = check_passing_floats((size_t)n, &seed);
                float *expected = check_passing_floats((size_t)n, &seed);
                t->unary[unary[op]](n, gate, expected, 0, 0);
                t->binary[ADZE_BINARY_MUL][ADZE_FORM_VV](n, expected, up, expected);
                t->glu[op](n, gate, up, y);
                check_same("glu", level, y, expected, n);
                t->glu[op](n, gate, up, op % 2 ? gate : up);
                check_same("glu in place", level, op % 2 ? gate : up, expected, n);
            }
    }
}
