#include "kernel_check.h"
#include "kernels/dwconv.h"

/* n, h, w, c, kernel, stride, dilation, pad */
static const int shapes[][8] = {
    {1, 5, 5, 1, 3, 1, 1, 1},    {1, 7, 7, 16, 3, 1, 1, 1},   {2, 9, 8, 33, 3, 2, 1, 1},
    {1, 28, 28, 32, 3, 1, 1, 1}, {1, 14, 14, 72, 5, 1, 1, 2}, {1, 15, 13, 130, 5, 2, 1, 2},
    {1, 6, 70, 65, 3, 1, 1, 0},  {1, 3, 3, 20, 7, 1, 1, 3},   {1, 2, 2, 8, 5, 1, 1, 2},
    {1, 12, 12, 17, 3, 1, 2, 2}, {1, 11, 90, 64, 3, 2, 1, 1}, {1, 20, 20, 5, 9, 1, 1, 4},
    {1, 1, 40, 24, 1, 1, 1, 0},  {1, 8, 8, 40, 2, 2, 1, 0},   {1, 30, 4, 100, 3, 1, 1, 1},
    {1, 3, 30, 88, 5, 1, 1, 2},  {2, 2, 20, 72, 5, 1, 1, 2},  {1, 6, 23, 40, 5, 2, 1, 2},
    {1, 9, 40, 40, 7, 1, 1, 3},  {2, 8, 21, 16, 7, 1, 1, 2},  {1, 4, 9, 16, 5, 2, 1, 6},
    {1, 5, 17, 20, 7, 1, 2, 6},
};

static adze_dwconv_shape make_shape(const int *d)
{
    int64_t reach = (d[4] - 1) * d[6];
    return (adze_dwconv_shape){.n = d[0],
                               .h = d[1],
                               .w = d[2],
                               .c = d[3],
                               .oh = (d[1] + 2 * d[7] - reach - 1) / d[5] + 1,
                               .ow = (d[2] + 2 * d[7] - reach - 1) / d[5] + 1,
                               .kh = d[4],
                               .kw = d[4],
                               .stride_h = d[5],
                               .stride_w = d[5],
                               .dilation_h = d[6],
                               .dilation_w = d[6],
                               .pad_top = d[7],
                               .pad_left = d[7]};
}

static size_t inputs(const adze_dwconv_shape *s)
{
    return (size_t)(s->n * s->h * s->w * s->c);
}

static size_t outputs(const adze_dwconv_shape *s)
{
    return (size_t)(s->n * s->oh * s->ow * s->c);
}

static adze_dwconv_f32_args make_f32(const int *d, uint64_t seed)
{
    adze_dwconv_shape s = make_shape(d);
    return (adze_dwconv_f32_args){.shape = s,
                                  .x = check_floats(inputs(&s), &seed),
                                  .weights = check_floats((size_t)(s.kh * s.kw * s.c), &seed),
                                  .bias = seed % 3 ? check_floats((size_t)s.c, &seed) : NULL,
                                  .lo = seed % 2 ? -0.5f : -INFINITY,
                                  .hi = seed % 2 ? 0.7f : INFINITY};
}

static float *run_f32(adze_dwconv_f32_args args, adze_cpu_level level, adze_pool *pool)
{
    adze_dwconv_table table;
    adze_dwconv_init(&table, level);
    args.y = test_guard_alloc(outputs(&args.shape) * sizeof(float), NULL);
    adze_dwconv_f32(&table, pool, &args);
    return args.y;
}

/* The bound of summing kh * kw products in order, magnitudes at most 1. */
TEST(float_levels_are_near_the_reference)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++)
        for (adze_cpu_level level = 1; check_next_level(&level); level++) {
            adze_dwconv_f32_args args = make_f32(shapes[i], i + 1);
            float taps = (float)(args.shape.kh * args.shape.kw + 2);
            float *want = run_f32(args, ADZE_CPU_REF, NULL);
            CHECK_FLOATS(run_f32(args, level, NULL), want, outputs(&args.shape),
                         taps * taps * 0x1p-23f, 0);
        }
}

static adze_dwconv_q8_args make_q8(const int *d, int variant, uint64_t seed)
{
    adze_dwconv_shape s = make_shape(d);
    size_t weights = (size_t)(s.kh * s.kw * s.c);
    int16_t *w = test_guard_alloc(weights * sizeof *w, NULL);
    for (size_t i = 0; i < weights; i++)
        w[i] = (int16_t)(variant & 8 ? check_between(-255, 255, &seed)
                                     : check_between(-128, 127, &seed));
    int32_t *bias = test_guard_alloc((size_t)s.c * sizeof *bias, NULL);
    float *scale = test_guard_alloc((size_t)s.c * sizeof *scale, NULL);
    float *f_bias = test_guard_alloc((size_t)s.c * sizeof *f_bias, NULL);
    for (int64_t i = 0; i < s.c; i++) {
        bias[i] = (int32_t)check_between(-3000, 3000, &seed);
        f_bias[i] = (float)check_between(-900, 900, &seed) / 16;
        scale[i] = (float)check_between(1, 100, &seed) * (variant == 5 ? 1.0f : 0.0001f);
    }
    bool x_signed = variant & 1, y_signed = variant & 2;
    return (adze_dwconv_q8_args){.shape = s,
                                 .x = check_bytes(inputs(&s), &seed),
                                 .x_signed = x_signed,
                                 .x_zero = variant & 4 ? (x_signed ? -128 : 255) : 7,
                                 .weights = w,
                                 .bias = variant == 3 ? NULL : bias,
                                 .scale = scale,
                                 .f_bias = variant % 3 == 1 ? f_bias : NULL,
                                 .y_signed = y_signed,
                                 .y_zero = y_signed ? -9 : 118,
                                 .lo = y_signed ? -128 : 4,
                                 .hi = y_signed ? 126 : 255};
}

static uint8_t *run_q8(adze_dwconv_q8_args args, adze_cpu_level level, adze_pool *pool)
{
    adze_dwconv_table table;
    adze_dwconv_init(&table, level);
    args.y = test_guard_alloc(outputs(&args.shape), NULL);
    adze_dwconv_q8(&table, pool, &args);
    return args.y;
}

TEST(integer_levels_give_the_bits_of_the_reference)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++)
        for (int variant = 0; variant < 16; variant++) {
            adze_dwconv_q8_args args = make_q8(shapes[i], variant, i + 1);
            uint8_t *want = run_q8(args, ADZE_CPU_REF, NULL);
            for (adze_cpu_level level = 1; check_next_level(&level); level++)
                CHECK_BYTES(run_q8(args, level, NULL), want, outputs(&args.shape));
        }
}

TEST(dwconv_threads_do_not_change_the_bits)
{
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    static const int shape[8] = {2, 40, 41, 70, 3, 1, 1, 1};
    adze_dwconv_f32_args f32 = make_f32(shape, 5);
    adze_dwconv_q8_args q8 = make_q8(shape, 0, 6);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        CHECK_BYTES(run_f32(f32, level, pool), run_f32(f32, level, NULL),
                    outputs(&f32.shape) * sizeof(float));
        CHECK_BYTES(run_q8(q8, level, pool), run_q8(q8, level, NULL), outputs(&q8.shape));
    }
    adze_pool_close(&pool);
}
