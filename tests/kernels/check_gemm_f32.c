#include "kernel_check.h"
#include "kernels/conv.h"

typedef struct f32_case {
    int64_t m, n, k, extra; /* extra: columns that lda, ldr and ldc have more */
    bool bias, residual;
    float lo, hi;
} f32_case;

static const f32_case cases[] = {
    {1, 1, 1, 0, false, false, -INFINITY, INFINITY},
    {1, 10, 64, 0, true, false, -INFINITY, INFINITY},
    {1, 1000, 70, 3, true, true, 0, 6},
    {2, 33, 5, 0, false, true, 0, INFINITY},
    {3, 64, 17, 1, true, false, -0.5f, 0.5f},
    {4, 100, 31, 0, true, false, 0, INFINITY},
    {6, 16, 96, 2, true, true, 0, INFINITY},
    {7, 48, 33, 0, true, false, -INFINITY, INFINITY},
    {13, 17, 9, 0, false, false, 0, 6},
    {14, 32, 32, 0, true, true, 0, 6},
    {15, 31, 128, 5, true, false, -INFINITY, INFINITY},
    {29, 80, 27, 0, true, true, 0, INFINITY},
    {49, 96, 40, 0, true, false, 0, 6},
    {100, 24, 1024, 0, true, true, -INFINITY, INFINITY},
    {61, 70, 515, 9, true, true, -1, 1},
    {0, 8, 8, 0, true, false, 0, 6},
    {5, 9, 0, 0, true, false, -INFINITY, INFINITY},
};

typedef struct f32_data {
    f32_case c;
    float *a, *b, *bias, *residual;
} f32_data;

static f32_data make_data(f32_case c, uint64_t seed)
{
    f32_data d = {.c = c};
    size_t rows = (size_t)ADZE_MAX(c.m - 1, 0), last = c.m > 0;
    d.a = check_floats(rows * (size_t)(c.k + c.extra) + last * (size_t)c.k, &seed);
    d.b = check_floats((size_t)(c.k * c.n), &seed);
    d.bias = c.bias ? check_floats((size_t)c.n, &seed) : NULL;
    if (c.residual)
        d.residual = check_floats(rows * (size_t)(c.n + c.extra) + last * (size_t)c.n, &seed);
    return d;
}

/* The result of one level, [m, n + extra]; the caller may ask for rows [first, first + rows) alone. */
static float *run_level(const f32_data *d, adze_cpu_level level, adze_pool *pool, int64_t first,
                        int64_t rows)
{
    const f32_case *c = &d->c;
    adze_kernels kernels = {.level = level};
    adze_gemm_f32_init(&kernels.gemm_f32, level);
    float *packed =
        test_guard_alloc(kernels.gemm_f32.packed_size(c->n, c->k) * sizeof(float), NULL);
    kernels.gemm_f32.pack_b(c->n, c->k, d->b, c->n, 1, packed);
    int64_t ld = c->n + c->extra;
    float *out = test_guard_alloc(
        (size_t)(ADZE_MAX(rows - 1, 0) * ld + (rows > 0) * c->n) * sizeof(float), NULL);
    adze_gemm_f32_args args = {
        .m = rows,
        .n = c->n,
        .k = c->k,
        .a = d->a + first * (c->k + c->extra),
        .lda = c->k + c->extra,
        .b = packed,
        .bias = d->bias,
        .residual = d->residual ? d->residual + first * ld : NULL,
        .ldr = ld,
        .c = out,
        .ldc = ld,
        .lo = c->lo,
        .hi = c->hi,
    };
    if (pool)
        adze_matmul_f32(&kernels, pool, &args);
    else
        kernels.gemm_f32.run(&args);
    return out;
}

static double exact(const f32_data *d, int64_t i, int64_t j, double *magnitude)
{
    const f32_case *c = &d->c;
    double sum = c->bias ? (double)d->bias[j] : 0;
    *magnitude = fabs(sum);
    for (int64_t p = 0; p < c->k; p++) {
        double product = (double)d->a[i * (c->k + c->extra) + p] * (double)d->b[p * c->n + j];
        sum += product;
        *magnitude += fabs(product);
    }
    if (c->residual)
        sum += (double)d->residual[i * (c->n + c->extra) + j];
    *magnitude += 1;
    return fmin(fmax(sum, (double)c->lo), (double)c->hi);
}

/* |error| <= k + 3 roundings of the sum of magnitudes: the bound of summing in order. */
TEST(every_level_is_near_the_exact_result)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++)
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            f32_data d = make_data(cases[i], i + 1);
            float *out = run_level(&d, level, NULL, 0, d.c.m);
            for (int64_t r = 0; r < d.c.m; r++)
                for (int64_t j = 0; j < d.c.n; j++) {
                    double magnitude, want = exact(&d, r, j, &magnitude);
                    double bound = (double)(d.c.k + 3) * 0x1p-24 * magnitude;
                    CHECK_NEAR(out[r * (d.c.n + d.c.extra) + j], want, bound);
                }
        }
}

static void check_rows(const f32_data *d, const float *part, int64_t rows, const float *whole)
{
    int64_t ld = d->c.n + d->c.extra;
    for (int64_t r = 0; r < rows; r++)
        CHECK_BYTES(part + r * ld, whole + r * ld, (size_t)d->c.n * sizeof(float));
}

TEST(a_row_has_the_same_bits_whatever_m)
{
    f32_data d = make_data((f32_case){60, 77, 65, 2, true, true, -1, 1}, 7);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        float *whole = run_level(&d, level, NULL, 0, d.c.m);
        for (int64_t rows = 1; rows <= 33; rows++) {
            float *part = run_level(&d, level, NULL, 5, rows);
            check_rows(&d, part, rows, whole + 5 * (d.c.n + d.c.extra));
        }
    }
}

TEST(threads_do_not_change_the_bits)
{
    static const f32_case large[] = {{300, 200, 100, 0, true, true, 0, 6},
                                     {3, 1000, 900, 0, true, false, -INFINITY, INFINITY},
                                     {800, 16, 70, 1, true, false, 0, INFINITY}};
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    for (size_t i = 0; i < ADZE_COUNT_OF(large); i++)
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            f32_data d = make_data(large[i], i + 100);
            float *one = run_level(&d, level, NULL, 0, d.c.m);
            float *two = run_level(&d, level, pool, 0, d.c.m);
            check_rows(&d, two, d.c.m, one);
        }
    adze_pool_close(&pool);
}

TEST(the_residual_may_be_the_result)
{
    f32_data d = make_data((f32_case){37, 50, 20, 0, true, true, 0, 1}, 3);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        float *apart = run_level(&d, level, NULL, 0, d.c.m);
        adze_kernels kernels;
        adze_gemm_f32_init(&kernels.gemm_f32, level);
        uint64_t seed = 1;
        float *packed = check_floats(kernels.gemm_f32.packed_size(d.c.n, d.c.k), &seed);
        kernels.gemm_f32.pack_b(d.c.n, d.c.k, d.b, d.c.n, 1, packed);
        float *both = check_floats((size_t)(d.c.m * d.c.n), &seed);
        memcpy(both, d.residual, (size_t)(d.c.m * d.c.n) * sizeof(float));
        adze_gemm_f32_args args = {.m = d.c.m,
                                   .n = d.c.n,
                                   .k = d.c.k,
                                   .a = d.a,
                                   .lda = d.c.k,
                                   .b = packed,
                                   .bias = d.bias,
                                   .residual = both,
                                   .ldr = d.c.n,
                                   .c = both,
                                   .ldc = d.c.n,
                                   .hi = 1};
        kernels.gemm_f32.run(&args);
        CHECK_BYTES(both, apart, (size_t)(d.c.m * d.c.n) * sizeof(float));
    }
}

TEST(not_a_number_passes_through_the_clamp)
{
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        f32_data d = make_data((f32_case){3, 20, 4, 0, true, false, 0, 6}, 3);
        d.a[4 + 2] = NAN;
        float *out = run_level(&d, level, NULL, 0, 3);
        for (int j = 0; j < 20; j++)
            CHECK(isfinite(out[j]) && isnan(out[20 + j]) && isfinite(out[40 + j]));
    }
}
