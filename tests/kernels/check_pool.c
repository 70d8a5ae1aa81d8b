/* The pooling kernels at every level against the definition, written once more as plain loops: float
 * in the same order and 8-bit integers must agree bit for bit. */
#include "base/error.h"
#include "kernel_check.h"
#include "kernels/pool.h"

static float *some_floats(int64_t count, uint64_t *seed)
{
    float *x = check_passing_floats((size_t)count, seed);
    for (int64_t i = 0; i < count; i++)
        if (test_random(seed) % 50 == 0)
            x[i] = i % 2 ? -0.0f : -INFINITY;
    return x;
}

/* A random window on a random small image. */
static adze_pool_shape random_shape(uint64_t *seed)
{
    adze_pool_shape s = {.n = check_between(1, 2, seed),
                         .h = check_between(1, 7, seed),
                         .w = check_between(1, 7, seed),
                         .kh = check_between(1, 4, seed),
                         .kw = check_between(1, 4, seed),
                         .stride_h = check_between(1, 3, seed),
                         .stride_w = check_between(1, 3, seed),
                         .dilation_h = check_between(1, 2, seed),
                         .dilation_w = check_between(1, 2, seed),
                         .pad_top = check_between(0, 2, seed),
                         .pad_left = check_between(0, 2, seed),
                         .pad_bottom = check_between(0, 2, seed),
                         .pad_right = check_between(0, 2, seed)};
    static const int64_t channels[] = {1,  2,  3,  8,  15, 16, 17, 24, 31,
                                       32, 33, 40, 63, 64, 65, 67, 100};
    s.c = channels[test_random(seed) % ADZE_COUNT_OF(channels)];
    s.oh = check_between(1, 4, seed);
    s.ow = check_between(1, 4, seed);
    return s;
}

/* One output element, from the definition. */
typedef struct pooled {
    float max, sum;
    int32_t max_q8, sum_q8;
    int64_t inside, padded;
} pooled;

static pooled pool_at(const adze_pool_shape *s, const float *x, const uint8_t *q, bool is_signed,
                      int64_t image, int64_t oy, int64_t ox, int64_t c)
{
    pooled p = {.max = -INFINITY, .max_q8 = is_signed ? -128 : 0};
    for (int64_t ky = 0; ky < s->kh; ky++)
        for (int64_t kx = 0; kx < s->kw; kx++) {
            const int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
            const int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
            p.padded += iy < s->h + s->pad_bottom && ix < s->w + s->pad_right;
            if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w)
                continue;
            const int64_t at = ((image * s->h + iy) * s->w + ix) * s->c + c;
            p.inside++;
            if (x != NULL) {
                p.max = x[at] > p.max || isnan(x[at]) ? x[at] : p.max;
                p.sum += x[at];
            } else {
                const int v = is_signed ? (int8_t)q[at] : q[at];
                p.max_q8 = v > p.max_q8 ? v : p.max_q8;
                p.sum_q8 += v;
            }
        }
    return p;
}

static void check_f32(const adze_pool_table *t, uint64_t *seed)
{
    const adze_pool_shape s = random_shape(seed);
    const float *x = some_floats(s.n * s.h * s.w * s.c, seed);
    const int64_t outputs = s.n * s.oh * s.ow * s.c;
    float *max = some_floats(outputs, seed), *average = some_floats(outputs, seed);
    const bool include_pad = test_random(seed) % 2;
    const adze_pool_f32_args args = {s, x, max, false}, average_args = {s, x, average, include_pad};
    adze_pool_max_f32(t, NULL, &args);
    adze_pool_average_f32(t, NULL, &average_args);
    for (int64_t i = 0; i < outputs; i++) {
        const int64_t pixel = i / s.c;
        const pooled p = pool_at(&s, x, NULL, false, pixel / s.ow / s.oh, pixel / s.ow % s.oh,
                                 pixel % s.ow, i % s.c);
        CHECK_BYTES(&max[i], &p.max, 4);
        const int64_t divisor = include_pad ? p.padded : p.inside;
        const float expected = divisor > 0 ? p.sum / (float)divisor : 0;
        CHECK_NEAR(average[i], expected, 0);
    }
}

static int limited(float v, int zero, int lo, int hi)
{
    const int q = (int)rintf(fminf(fmaxf(v, -1000), 1000)) + zero;
    return q < lo ? lo : q > hi ? hi : q;
}

static void check_q8(const adze_pool_table *t, uint64_t *seed)
{
    const adze_pool_shape s = random_shape(seed);
    const uint8_t *x = check_passing_bytes((size_t)(s.n * s.h * s.w * s.c), seed);
    const int64_t outputs = s.n * s.oh * s.ow * s.c;
    uint8_t *max = check_passing_bytes((size_t)outputs, seed);
    uint8_t *average = check_passing_bytes((size_t)outputs, seed);
    const bool is_signed = test_random(seed) % 2;
    adze_pool_q8_args args = {.shape = s,
                              .x = x,
                              .y = max,
                              .x_signed = is_signed,
                              .count_include_pad = test_random(seed) % 2,
                              .x_zero = (int)check_between(-128, 127, seed) + (is_signed ? 0 : 128),
                              .lo = is_signed ? -128 : 0,
                              .hi = is_signed ? 127 : 255,
                              .scale = 1.37f};
    args.y_zero = (int)check_between(args.lo, args.hi, seed);
    adze_pool_max_q8(t, NULL, &args);
    args.y = average;
    adze_pool_average_q8(t, NULL, &args);
    for (int64_t i = 0; i < outputs; i++) {
        const int64_t pixel = i / s.c;
        const pooled p = pool_at(&s, NULL, x, is_signed, pixel / s.ow / s.oh, pixel / s.ow % s.oh,
                                 pixel % s.ow, i % s.c);
        CHECK_EQ(max[i], (uint8_t)p.max_q8);
        const int64_t divisor = args.count_include_pad ? p.padded : p.inside;
        const int32_t sum = p.sum_q8 - (int32_t)p.inside * args.x_zero;
        const float scale = args.scale / (float)(divisor > 0 ? divisor : 1);
        const int expected = limited((float)sum * scale, args.y_zero, args.lo, args.hi);
        CHECK_EQ(average[i], (uint8_t)expected);
    }
}

TEST(windows)
{
    adze_pool_table t;
    uint64_t seed = 1;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_pool_init(&t, level);
        for (int round = 0; round < 600; round++) {
            check_f32(&t, &seed);
            check_q8(&t, &seed);
        }
    }
}

static void check_global_f32(const adze_pool_table *t, int64_t hw, int64_t c, uint64_t *seed)
{
    const ptrdiff_t ldx = c + (ptrdiff_t)(test_random(seed) % 3);
    const float *x = check_passing_floats((size_t)((hw - 1) * ldx + c), seed);
    float *sum = check_passing_floats((size_t)c, seed),
          *max = check_passing_floats((size_t)c, seed);
    float *average = check_passing_floats((size_t)c, seed);
    t->global_sum_f32(hw, c, x, ldx, sum);
    t->global_average_f32(hw, c, x, ldx, average);
    t->global_max_f32(hw, c, x, ldx, max);
    for (int64_t j = 0; j < c; j++) {
        float total = 0, part = 0, largest = -INFINITY;
        for (int64_t i = 0; i < hw; i++) {
            part += x[i * ldx + j];
            largest = x[i * ldx + j] > largest ? x[i * ldx + j] : largest;
            if (i % 64 == 63 || i == hw - 1) {
                total += part;
                part = 0;
            }
        }
        const float mean = total / (float)hw;
        CHECK_BYTES(&sum[j], &total, 4);
        CHECK_BYTES(&average[j], &mean, 4);
        CHECK_BYTES(&max[j], &largest, 4);
    }
}

static void check_global_q8(const adze_pool_table *t, int64_t hw, int64_t c, uint64_t *seed)
{
    const ptrdiff_t ldx = c + (ptrdiff_t)(test_random(seed) % 3);
    const uint8_t *x = check_passing_bytes((size_t)((hw - 1) * ldx + c), seed);
    uint8_t *y = check_passing_bytes((size_t)c, seed);
    const bool is_signed = test_random(seed) % 2;
    const adze_global_pool_q8_args args = {.hw = hw,
                                           .c = c,
                                           .x = x,
                                           .ldx = ldx,
                                           .y = y,
                                           .x_signed = is_signed,
                                           .x_zero = is_signed ? -5 : 130,
                                           .y_zero = 11,
                                           .lo = 3,
                                           .hi = 250,
                                           .scale = 2.5f};
    t->global_average_q8(&args);
    for (int64_t j = 0; j < c; j++) {
        int32_t sum = 0;
        for (int64_t i = 0; i < hw; i++)
            sum += is_signed ? (int8_t)x[i * ldx + j] : x[i * ldx + j];
        const float scale = args.scale / (float)hw;
        CHECK_EQ(y[j], limited((float)(sum - (int32_t)hw * args.x_zero) * scale, 11, 3, 250));
    }
}

TEST(global)
{
    adze_pool_table t;
    uint64_t seed = 2;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_pool_init(&t, level);
        for (int64_t c = 1; c < 70; c++)
            for (int64_t hw = 1; hw < 200; hw = hw * 2 + 1) {
                check_global_f32(&t, hw, c, &seed);
                check_global_q8(&t, hw, c, &seed);
            }
    }
}
