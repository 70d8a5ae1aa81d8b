#include "kernel_check.h"
#include "kernels/conv.h"

typedef struct q8_case {
    int64_t m, n, k, extra; /* extra: bytes or columns that lda, ld and ldc have more */
    bool a_signed, c_signed, bias, zero_points, extreme;
    int residual; /* 0: none, 1: uint8 to uint8, 2: int8 to int8, 3: uint8 to int8 */
    adze_q8_output output;
    float scale; /* 0: around what fills the output's range */
} q8_case;

typedef struct q8_data {
    q8_case c;
    uint8_t *a, *residual;
    int8_t *b;
    int32_t *bias, *b_zero, *row_sum;
    float *scale, *row_scale, *f_bias;
} q8_data;

static void fill_extreme(uint8_t *bytes, size_t count, uint8_t low, uint8_t high, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = test_random(seed) % 4 == 0 ? low : high;
}

static size_t extent(int64_t rows, int64_t columns, int64_t ld)
{
    return rows > 0 ? (size_t)((rows - 1) * ld + columns) : 0;
}

static int32_t *small_integers(int64_t count, int range, uint64_t *seed)
{
    int32_t *out = test_guard_alloc((size_t)count * sizeof *out, NULL);
    for (int64_t i = 0; i < count; i++)
        out[i] = (int32_t)check_between(-range, range, seed);
    return out;
}

static void fill_scales(q8_data *d, uint64_t *seed)
{
    float full = d->c.scale > 0 ? d->c.scale : 1.0f / (64 * sqrtf((float)ADZE_MAX(d->c.k, 1)));
    d->scale = check_floats((size_t)d->c.n, seed);
    for (int64_t j = 0; j < d->c.n; j++)
        d->scale[j] = full * (0.5f + fabsf(d->scale[j]));
}

static q8_data make_data(q8_case c, uint64_t seed)
{
    q8_data d = {.c = c};
    size_t a_size = extent(c.m, c.k, c.k + c.extra), b_size = (size_t)(c.k * c.n);
    d.a = check_bytes(a_size, &seed);
    d.b = check_bytes(b_size, &seed);
    if (c.extreme) {
        fill_extreme(d.a, a_size, c.a_signed ? 0x80 : 0, c.a_signed ? 0x7f : 0xff, &seed);
        fill_extreme((uint8_t *)d.b, b_size, 0x7f, 0x80, &seed);
    }
    d.bias = c.bias ? small_integers(c.n, 20000, &seed) : NULL;
    fill_scales(&d, &seed);
    d.row_scale = check_floats((size_t)c.m, &seed);
    d.f_bias = check_floats((size_t)c.n, &seed);
    if (c.residual)
        d.residual = check_bytes(extent(c.m, c.n, c.n + c.extra), &seed);
    if (c.zero_points) {
        d.b_zero = small_integers(c.n, 100, &seed);
        d.row_sum = test_guard_alloc((size_t)c.m * sizeof(int32_t), NULL);
        for (int64_t i = 0; i < c.m; i++) {
            d.row_sum[i] = 0;
            for (int64_t p = 0; p < c.k; p++)
                d.row_sum[i] += d.a[i * (c.k + c.extra) + p] ^ (c.a_signed ? 0x80 : 0);
        }
    }
    return d;
}

static size_t element_size(const q8_case *c)
{
    return c->output == ADZE_Q8_TO_Q8 ? 1 : 4;
}

/* The result of one level for rows [first, first + rows). */
static uint8_t *run_level(const q8_data *d, adze_cpu_level level, adze_pool *pool, int64_t first,
                          int64_t rows)
{
    const q8_case *c = &d->c;
    adze_kernels kernels = {.level = level};
    const adze_gemm_q8_table *table = &kernels.gemm_q8;
    adze_gemm_q8_init(&kernels.gemm_q8, level);
    int8_t *packed = test_guard_alloc(table->packed_size(c->n, c->k), NULL);
    table->pack_b(c->n, c->k, d->b, c->n, 1, packed);
    int64_t ld = c->n + c->extra;
    size_t size = extent(rows, c->n, ld) * element_size(c);
    adze_q8_residual residual = {.data = d->residual ? d->residual + first * ld : NULL,
                                 .ld = ld,
                                 .is_signed = c->residual == 2,
                                 .zero = c->residual == 2 ? -7 : 121,
                                 .scale = 0.71f,
                                 .t_scale = 0.93f,
                                 .y_signed = c->residual >= 2,
                                 .y_zero = c->residual >= 2 ? -20 : 99,
                                 .y_lo = c->residual >= 2 ? -128 : 3,
                                 .y_hi = c->residual >= 2 ? 120 : 255};
    adze_gemm_q8_args args = {.m = rows,
                              .n = c->n,
                              .k = c->k,
                              .a = d->a + first * (c->k + c->extra),
                              .lda = c->k + c->extra,
                              .a_flip = c->a_signed ? 0x80 : 0,
                              .b = packed,
                              .bias = d->bias,
                              .row_sum = d->row_sum ? d->row_sum + first : NULL,
                              .b_zero = d->b_zero,
                              .output = c->output,
                              .scale = d->scale,
                              .c_signed = c->c_signed,
                              .zero = c->c_signed ? -3 : 130,
                              .lo = c->c_signed ? -128 : 7,
                              .hi = c->c_signed ? 127 : 250,
                              .residual = c->residual ? &residual : NULL,
                              .row_scale = c->extra ? d->row_scale + first : NULL,
                              .f_bias = c->bias ? d->f_bias : NULL,
                              .f_lo = c->bias ? -3 : -INFINITY,
                              .f_hi = c->bias ? 40 : INFINITY,
                              .c = test_guard_alloc(size, NULL),
                              .ldc = ld};
    if (pool)
        adze_matmul_q8(&kernels, pool, &args);
    else
        table->run(&args);
    return args.c;
}

/* Byte by byte, gaps between rows too: they must stay as they were. */
static void check_case(q8_case c, uint64_t seed)
{
    q8_data d = make_data(c, seed);
    size_t size = extent(c.m, c.n, c.n + c.extra) * element_size(&c);
    uint8_t *want = run_level(&d, ADZE_CPU_REF, NULL, 0, c.m);
    for (adze_cpu_level level = ADZE_CPU_REF + 1; check_next_level(&level); level++) {
        uint8_t *got = run_level(&d, level, NULL, 0, c.m);
        for (size_t i = 0; i < size; i++)
            if (got[i] != want[i])
                FAIL("level %s, seed %d, m %d n %d k %d: byte %zu is %d, expected %d",
                     adze_cpu_level_name(level), (int)seed, (int)c.m, (int)c.n, (int)c.k, i, got[i],
                     want[i]);
    }
}

static q8_case random_case(uint64_t *seed, int64_t most)
{
    uint64_t bits = test_random(seed);
    q8_case c = {.m = check_between(1, most, seed),
                 .n = check_between(1, most, seed),
                 .k = check_between(1, 2 * most, seed),
                 .extra = bits & 1 ? check_between(1, 9, seed) : 0,
                 .a_signed = bits & 2,
                 .c_signed = bits & 4,
                 .bias = bits & 8,
                 .zero_points = (bits & 0x30) == 0,
                 .extreme = (bits & 0xc0) == 0,
                 .residual = bits & 0x100 ? (int)(bits >> 12 & 3) : 0,
                 .output = bits & 0x200 ? ADZE_Q8_TO_Q8 : (adze_q8_output)(bits >> 16 & 3) % 3};
    c.k = bits & 0x400 ? (c.k + 3) / 4 * 4 : c.k;
    c.scale = (bits >> 20 & 15) == 0 ? 1e20f : (bits >> 20 & 15) == 1 ? 0.5f : 0;
    return c;
}

TEST(every_level_gives_the_bits_of_the_reference)
{
    uint64_t seed = 11;
    for (int i = 0; i < 400; i++)
        check_case(random_case(&seed, i < 200 ? 34 : 130), (uint64_t)i);
}

TEST(nothing_saturates_on_the_way)
{
    for (int i = 0; i < 8; i++)
        check_case((q8_case){.m = 17,
                             .n = 40,
                             .k = 1000,
                             .a_signed = i & 1,
                             .extreme = true,
                             .output = i & 2 ? ADZE_Q8_TO_I32 : ADZE_Q8_TO_Q8,
                             .scale = i & 4 ? 1e-7f : 1.0f},
                   (uint64_t)i);
    check_case((q8_case){.m = 3, .n = 17, .k = 65793, .extreme = true, .output = ADZE_Q8_TO_I32},
               1);
    check_case(
        (q8_case){
            .m = 3, .n = 17, .k = 140001, .a_signed = true, .bias = true, .output = ADZE_Q8_TO_I32},
        2);
}

TEST(halves_round_to_even)
{
    uint64_t seed = 1;
    for (int k = 1; k < 9; k++)
        check_case((q8_case){.m = 60, .n = 60, .k = k, .scale = 0.0f}, test_random(&seed));
    q8_data d = make_data((q8_case){.m = 40, .n = 19, .k = 1}, 5);
    for (int j = 0; j < 19; j++) {
        d.scale[j] = 0.5f;
        d.b[j] = 1;
    }
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint8_t *got = run_level(&d, level, NULL, 0, 40);
        for (int i = 0; i < 40; i++) {
            double want = fmin(fmax(rint(d.a[i] * 0.5) + 130, 7), 250);
            CHECK_EQ(got[i * 19], (int)want);
        }
    }
}

TEST(a_scale_that_is_not_a_number_gives_the_same_everywhere)
{
    q8_data d = make_data((q8_case){.m = 9, .n = 33, .k = 8, .residual = 1}, 5);
    d.scale[0] = NAN;
    d.scale[20] = INFINITY;
    d.scale[32] = -INFINITY;
    for (int residual = 0; residual < 2; residual++) {
        d.c.residual = residual;
        uint8_t *want = run_level(&d, ADZE_CPU_REF, NULL, 0, 9);
        for (adze_cpu_level level = 0; check_next_level(&level); level++)
            CHECK_BYTES(run_level(&d, level, NULL, 0, 9), want, 9 * 33);
    }
}

TEST(a_row_has_the_same_bits_whatever_m_and_threads)
{
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    q8_data d = make_data((q8_case){.m = 300,
                                    .n = 120,
                                    .k = 200,
                                    .bias = true,
                                    .residual = 2,
                                    .zero_points = true,
                                    .a_signed = true},
                          9);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        uint8_t *whole = run_level(&d, level, NULL, 0, 300);
        CHECK_BYTES(run_level(&d, level, pool, 0, 300), whole, 300 * 120);
        for (int64_t rows = 1; rows < 30; rows++)
            CHECK_BYTES(run_level(&d, level, NULL, 5, rows), whole + 5 * 120, (size_t)rows * 120);
    }
    adze_pool_close(&pool);
}
