/* Products of language models: the reference against double precision, and every level against the bits
 * of the reference, which computes each element alone; so that batches, tiles, neighbours and threads
 * change nothing. All arrays end at pages that cannot be touched. */
#include <math.h>

#include "kernel_check.h"
#include "kernels/kernels.h"

enum { BLOCK = 32 };

/* Where the float16 fields of a block are (-1: none): random bytes there would be infinities. */
typedef struct halves {
    adze_dtype dtype;
    int at[2];
} halves;
static const halves scales_of[] = {
    {ADZE_Q4_0, {0, -1}},    {ADZE_Q4_1, {0, 2}},    {ADZE_Q5_0, {0, -1}},
    {ADZE_Q5_1, {0, 2}},     {ADZE_Q8_0, {0, -1}},   {ADZE_Q8_1, {0, -1}},
    {ADZE_Q2_K, {80, 82}},   {ADZE_Q3_K, {108, -1}}, {ADZE_Q4_K, {0, 2}},
    {ADZE_Q5_K, {0, 2}},     {ADZE_Q6_K, {208, -1}}, {ADZE_Q8_K, {2, -1}},
    {ADZE_IQ2_XXS, {0, -1}}, {ADZE_IQ2_XS, {0, -1}}, {ADZE_IQ3_XXS, {0, -1}},
    {ADZE_IQ1_S, {0, -1}},   {ADZE_IQ4_NL, {0, -1}}, {ADZE_IQ3_S, {0, -1}},
    {ADZE_IQ2_S, {0, -1}},   {ADZE_IQ4_XS, {0, -1}}, {ADZE_IQ1_M, {-1, -1}},
    {ADZE_TQ1_0, {52, -1}},  {ADZE_TQ2_0, {64, -1}}, {ADZE_MXFP4, {-1, -1}},
    {ADZE_NVFP4, {-1, -1}},  {ADZE_Q1_0, {0, -1}},   {ADZE_Q2_0, {0, -1}},
    {ADZE_F32, {-1, -1}},    {ADZE_F16, {-1, -1}},   {ADZE_BF16, {-1, -1}},
};

/* A float16 (or the upper half of a float32) of about 2^-8 to 1, either sign. */
static uint16_t small_half(adze_dtype dtype, uint64_t *seed)
{
    const uint16_t bits = (uint16_t)test_random(seed);
    const bool wide = dtype == ADZE_BF16 || dtype == ADZE_F32 || dtype == ADZE_Q8_K;
    if (wide)
        return (uint16_t)((bits & 0x83ff) | 0x3c00);
    return (uint16_t)((bits & 0x9fff) | 0x2000);
}

static void set_half(uint8_t *at, adze_dtype dtype, uint64_t *seed)
{
    const uint16_t h = small_half(dtype, seed);
    memcpy(at, &h, sizeof h);
}

static void tame_block(const halves *type, uint8_t *block, uint64_t *seed)
{
    for (int i = 0; i < 2; i++)
        if (type->at[i] >= 0)
            set_half(block + type->at[i], type->dtype, seed);
    switch (type->dtype) {
    case ADZE_F16:
    case ADZE_BF16: set_half(block, type->dtype, seed); break;
    case ADZE_F32: set_half(block + 2, type->dtype, seed); break;
    case ADZE_MXFP4: block[0] = (uint8_t)(120 + block[0] % 8); break;
    case ADZE_NVFP4:
        for (int i = 0; i < 4; i++)
            block[i] = (uint8_t)(0x30 + block[i] % 16);
        break;
    case ADZE_IQ1_M: block[55] = (uint8_t)((block[55] & 15) | 0x20); break;
    default: break;
    }
}

typedef struct product {
    adze_linear_args args;
    size_t w_size;
} product;

static product make_product(const halves *type, int64_t tokens, int64_t n, int64_t k,
                            uint64_t *seed)
{
    const adze_dtype_info *info = adze_dtype_describe(type->dtype);
    const size_t row = (size_t)(k / info->block_size * info->block_bytes);
    product p = {.w_size = row * (size_t)n};
    uint8_t *w = check_bytes(p.w_size, seed);
    for (size_t at = 0; at < p.w_size; at += (size_t)info->block_bytes)
        tame_block(type, w + at, seed);
    p.args = (adze_linear_args){.dtype = type->dtype,
                                .w = w,
                                .w_stride = row,
                                .tokens = tokens,
                                .n = n,
                                .k = k,
                                .x = check_floats((size_t)(tokens * k), seed),
                                .ldx = k,
                                .ldy = n};
    p.args.y = check_floats((size_t)(tokens * n), seed);
    p.args.bias = test_random(seed) % 2 ? check_floats((size_t)n, seed) : NULL;
    return p;
}

static void run(const adze_kernels *kernels, adze_pool *pool, adze_linear_args *args)
{
    void *base = NULL;
    size_t size =
        adze_linear_scratch(kernels, args->dtype, args->tokens, args->k, adze_pool_threads(pool));
    CHECK_EQ(size % 64, 0);
    args->scratch = test_guard_alloc(size ? size : 64, &base);
    adze_linear_run(kernels, pool, args);
    args->scratch = NULL;
    test_guard_free(base);
}

/* --- the reference against double precision --- */

/* x as the block types see it. */
static void quantize_row(const float *x, int64_t k, double *out)
{
    for (int64_t b = 0; b < k; b += BLOCK) {
        float largest = 0;
        for (int64_t i = b; i < b + BLOCK; i++)
            largest = fmaxf(largest, fabsf(x[i]));
        const float d = largest / 127.0f, inverse = 127.0f / largest;
        for (int64_t i = b; i < b + BLOCK; i++)
            out[i] = (double)d * (double)rintf(x[i] * inverse);
    }
}

static void check_against_double(const adze_kernels *kernels, const adze_linear_args *args)
{
    double *x = test_guard_alloc((size_t)args->k * sizeof *x, NULL);
    float *w = test_guard_alloc((size_t)args->k * sizeof *w, NULL);
    for (int64_t n = 0; n < args->n; n++) {
        kernels->blocks.codec[args->dtype].decode(
            (const uint8_t *)args->w + (size_t)n * args->w_stride, args->k, w);
        for (int64_t t = 0; t < args->tokens; t++) {
            const float *row = args->x + t * args->ldx;
            if (adze_dtype_describe(args->dtype)->kind == ADZE_KIND_FLOAT)
                for (int64_t i = 0; i < args->k; i++)
                    x[i] = (double)row[i];
            else
                quantize_row(row, args->k, x);
            double sum = 0, size = 0, bias = args->bias ? (double)args->bias[n] : 0;
            for (int64_t i = 0; i < args->k; i++) {
                sum += (double)w[i] * x[i];
                size += fabs((double)w[i] * x[i]);
            }
            /* One rounding for each step of the chain; offsets are larger than what they leave. */
            const double bound = 1e-7 * (4 * size + fabs(bias)) * sqrt((double)args->k) + 1e-30;
            CHECK_NEAR(args->y[t * args->ldy + n], sum + bias, bound);
        }
    }
}

static const halves *type_at(size_t i)
{
    return i < sizeof scales_of / sizeof *scales_of ? &scales_of[i] : NULL;
}

TEST(reference_equals_double_precision)
{
    adze_kernels kernels;
    uint64_t seed = 1;
    adze_kernels_init(&kernels, ADZE_CPU_REF);
    for (size_t i = 0; type_at(i); i++) {
        if (!adze_linear_can(&kernels, type_at(i)->dtype))
            continue;
        const int64_t block = adze_dtype_describe(type_at(i)->dtype)->block_size;
        product p = make_product(type_at(i), 2, 3, block == 1 ? 1301 : 1280, &seed);
        run(&kernels, NULL, &p.args);
        check_against_double(&kernels, &p.args);
    }
}

/* --- every level against the reference --- */

/* Each element by the reference, from one row of w and one of x. */
static void expect_alone(const adze_kernels *reference, const adze_linear_args *args, float *y)
{
    for (int64_t t = 0; t < args->tokens; t++)
        for (int64_t n = 0; n < args->n; n++) {
            adze_linear_args one = *args;
            one.w = (const uint8_t *)args->w + (size_t)n * args->w_stride;
            one.x = args->x + t * args->ldx;
            one.bias = args->bias ? args->bias + n : NULL;
            one.y = &y[t * args->n + n];
            one.tokens = one.n = 1;
            run(reference, NULL, &one);
        }
}

static void check_kernels(const adze_kernels *kernels, adze_pool *pool, const product *p,
                          const float *expected, const char *what)
{
    const size_t count = (size_t)(p->args.tokens * p->args.n);
    for (int threads = 1; threads <= 2; threads++) {
        adze_linear_args args = p->args;
        memset(args.y, 0xff, count * sizeof *args.y);
        run(kernels, threads == 2 ? pool : NULL, &args);
        check_same(what, kernels->level, args.y, expected, (int64_t)count);
    }
}

#ifdef ADZE_EMULATED_AVX512
void adze_linear_init_emulated(adze_linear_table *table);
#endif

static void check_levels(const product *p, const char *what)
{
    adze_kernels kernels;
    float *expected = test_guard_alloc((size_t)(p->args.tokens * p->args.n) * sizeof(float), NULL);
    adze_kernels_init(&kernels, ADZE_CPU_REF);
    expect_alone(&kernels, &p->args, expected);
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_kernels_init(&kernels, level);
        check_kernels(&kernels, pool, p, expected, what);
    }
#ifdef ADZE_EMULATED_AVX512
    if (adze_cpu_has(ADZE_CPU_AVX2) && !adze_cpu_has(ADZE_CPU_AVX512)) {
        adze_kernels_init(&kernels, ADZE_CPU_AVX2);
        adze_linear_init_emulated(&kernels.linear);
        kernels.level = ADZE_CPU_AVX512;
        check_kernels(&kernels, pool, p, expected, what);
    }
#endif
    adze_pool_close(&pool);
}

static void check_type(const halves *type, uint64_t *seed)
{
    adze_kernels kernels;
    adze_kernels_init(&kernels, ADZE_CPU_REF);
    if (!adze_linear_can(&kernels, type->dtype))
        return;
    const adze_dtype_info *info = adze_dtype_describe(type->dtype);
    static const int shapes[][3] = {/* tokens, n, k in blocks or floats */
                                    {1, 1, 1},  {1, 7, 2},  {2, 8, 3},  {3, 9, 5},
                                    {4, 16, 1}, {5, 17, 4}, {7, 20, 2}, {17, 33, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t k = shapes[i][2] * (int64_t)info->block_size;
        product p = make_product(type, shapes[i][0], shapes[i][1], k, seed);
        check_levels(&p, info->name);
    }
    product p = make_product(type, 6, 19, 1280 + (info->block_size == 1 ? 13 : 0), seed);
    check_levels(&p, info->name);
}

TEST(every_level_gives_the_bits_of_the_reference)
{
    uint64_t seed = 2;
    for (size_t i = 0; type_at(i); i++)
        check_type(type_at(i), &seed);
}

/* --- what else may differ between calls --- */

static const halves *type_of(adze_dtype dtype)
{
    size_t i = 0;
    while (type_at(i)->dtype != dtype)
        i++;
    return type_at(i);
}

static const adze_dtype hot[] = {ADZE_Q4_0, ADZE_Q8_0, ADZE_Q4_K, ADZE_Q6_K,
                                 ADZE_Q2_K, ADZE_F16,  ADZE_F32};
enum { HOT = sizeof hot / sizeof *hot };

/* Rows further apart than they are long: nothing between them is read (it is NaN) or written. */
TEST(rows_may_be_apart)
{
    uint64_t seed = 3;
    for (size_t i = 0; i < HOT; i++) {
        const product p = make_product(type_of(hot[i]), 9, 21, 512, &seed);
        const size_t count = (size_t)(p.args.tokens * p.args.n);
        float *expected = test_guard_alloc(count * sizeof *expected, NULL);
        adze_kernels kernels;
        adze_kernels_init(&kernels, ADZE_CPU_REF);
        expect_alone(&kernels, &p.args, expected);
        adze_linear_args args = p.args;
        args.ldx += 5, args.ldy += 3, args.w_stride += 7;
        uint8_t *w = test_guard_alloc(args.w_stride * (size_t)(args.n - 1) + p.args.w_stride, NULL);
        float *x = test_guard_alloc((size_t)((args.tokens - 1) * args.ldx + args.k) * 4, NULL);
        const size_t outputs = (size_t)((args.tokens - 1) * args.ldy + args.n);
        float *y = test_guard_alloc(outputs * sizeof *y, NULL);
        memset(w, 0xff, args.w_stride * (size_t)(args.n - 1) + p.args.w_stride);
        memset(x, 0xff, (size_t)((args.tokens - 1) * args.ldx + args.k) * sizeof *x);
        for (int64_t n = 0; n < args.n; n++)
            memcpy(w + (size_t)n * args.w_stride,
                   (const uint8_t *)p.args.w + (size_t)n * p.args.w_stride, p.args.w_stride);
        for (int64_t t = 0; t < args.tokens; t++)
            memcpy(x + t * args.ldx, p.args.x + t * p.args.ldx, (size_t)args.k * sizeof *x);
        args.w = w, args.x = x, args.y = y;
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            adze_kernels_init(&kernels, level);
            memset(y, 0xa5, outputs * sizeof *y);
            run(&kernels, NULL, &args);
            for (int64_t t = 0; t < args.tokens; t++) {
                check_same("apart", level, y + t * args.ldy, expected + t * args.n, args.n);
                for (int64_t j = args.n; t + 1 < args.tokens && j < args.ldy; j++) {
                    uint32_t between;
                    memcpy(&between, &y[t * args.ldy + j], sizeof between);
                    CHECK_EQ(between, 0xa5a5a5a5u);
                }
            }
        }
    }
}

/* More tokens than are taken at once, and a single row; rows in one call or in several. */
TEST(many_tokens_and_parts_of_the_rows)
{
    uint64_t seed = 4;
    for (size_t i = 0; i < HOT; i++) {
        const int64_t tokens = i % 2 ? 64 : 515;
        product p = make_product(type_of(hot[i]), tokens, 19, 256, &seed);
        const size_t count = (size_t)(tokens * p.args.n);
        float *expected = test_guard_alloc(count * sizeof *expected, NULL), *y = p.args.y;
        adze_kernels kernels;
        adze_kernels_init(&kernels, ADZE_CPU_REF);
        p.args.y = expected;
        run(&kernels, NULL, &p.args);
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            adze_kernels_init(&kernels, level);
            p.args.y = y;
            run(&kernels, NULL, &p.args);
            check_same("many tokens", level, y, expected, (int64_t)count);
            memset(y, 0xff, count * sizeof *y);
            for (int64_t n = 0, rows; n < p.args.n; n += rows) {
                adze_linear_args some = p.args;
                rows = some.n = ADZE_MIN(n + 1, p.args.n - n);
                some.w = (const uint8_t *)some.w + (size_t)n * some.w_stride;
                some.bias = some.bias ? some.bias + n : NULL;
                some.y = y + n;
                run(&kernels, NULL, &some);
            }
            check_same("parts of rows", level, y, expected, (int64_t)count);
        }
    }
}

/* A token with an infinity or NaN gives NaN or infinities, the same at every level, and leaves the others
 * as they were; zeros and the smallest numbers are harmless. */
TEST(unusual_numbers_stay_in_their_token)
{
    static const float unusual[] = {INFINITY, -INFINITY, NAN, 3e38f, 1e-38f, 1e-45f, 0.0f, -0.0f};
    enum { COUNT = sizeof unusual / sizeof *unusual };
    uint64_t seed = 5;
    for (size_t i = 0; i < HOT; i++)
        for (int few = 0; few < 2; few++) {
            product p = make_product(type_of(hot[i]), few ? 2 : 2 * COUNT, 17, 512, &seed);
            float *x = check_floats((size_t)(p.args.tokens * p.args.k), &seed);
            for (int64_t t = 0; t < p.args.tokens; t += 2)
                for (int64_t j = 32; j < 64; j += unusual[t / 2] < 1 ? 1 : 32)
                    x[t * p.args.k + j] = unusual[t / 2];
            p.args.x = x;
            check_levels(&p, adze_dtype_describe(hot[i])->name);
            for (int64_t n = 0; n < p.args.n; n++) {
                CHECK(!isfinite(p.args.y[n]));
                for (int64_t t = 1; t < p.args.tokens; t += 2)
                    CHECK(isfinite(p.args.y[t * p.args.ldy + n]));
            }
        }
}
