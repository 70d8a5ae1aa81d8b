/* The element-wise kernels: every level against the reference bit for bit, with tails and special
 * values; the reference against the formulas and against libm in double precision. */
#include <float.h>
#include <stdio.h>
#include "base/error.h"
#include "kernel_check.h"
#include "kernels/eltwise.h"
#include "tensor/dtype.h"

enum { TAILS = 68, MANY = 500 };

static const float special[] = {
    0.0f,   -0.0f,     1.0f,      -1.0f,      0.5f,       -0.5f,       1.5f,       2.5f,
    -2.5f,  INFINITY,  -INFINITY, NAN,        FLT_MAX,    -FLT_MAX,    FLT_MIN,    -FLT_MIN,
    1e-45f, -1e-45f,   1e-40f,    8388607.5f, 8388609.0f, -8388607.5f, 4194303.5f, 88.72f,
    88.73f, -87.4f,    -103.9f,   -104.1f,    127.5f,     -128.5f,     255.5f,     3e9f,
    -3e9f,  0.999999f, 1.000001f, 1e-6f,      -1e-6f,     20.0f,       -20.0f,     9.1f,
};

/* Values of all sizes and signs, specials among them; ends at a guard page. */
static float *any_floats(size_t count, uint64_t *seed)
{
    float *out = check_passing_floats(count, seed);
    for (size_t i = 0; i < count; i++) {
        const uint64_t r = test_random(seed);
        if (r % 4 == 0)
            out[i] = special[(r >> 8) % ADZE_COUNT_OF(special)];
        else if (r % 4 == 1)
            out[i] = ldexpf(out[i], (int)(r >> 8) % 32);
        else if (r % 4 == 2)
            out[i] = out[i] * 8;
    }
    return out;
}

static void check_binary(const adze_eltwise_table *t, const adze_eltwise_table *ref,
                         adze_cpu_level level, int64_t n, uint64_t *seed)
{
    const size_t size = (size_t)n;
    for (int op = 0; op < ADZE_BINARY_COUNT; op++)
        for (int form = 0; form < ADZE_FORM_COUNT; form++) {
            float *a = any_floats(form == ADZE_FORM_SV ? 1 : size, seed);
            float *b = any_floats(form == ADZE_FORM_VS ? 1 : size, seed);
            float *y = check_passing_floats(size, seed),
                  *expected = check_passing_floats(size, seed);
            ref->binary[op][form](n, a, b, expected);
            t->binary[op][form](n, a, b, y);
            check_same(adze_binary_name((adze_binary)op), level, y, expected, n);
            float *in_place = form == ADZE_FORM_SV ? b : a;
            t->binary[op][form](n, a, b, in_place);
            check_same("in place", level, in_place, expected, n);
        }
}

static void check_unary(const adze_eltwise_table *t, const adze_eltwise_table *ref,
                        adze_cpu_level level, int64_t n, uint64_t *seed)
{
    static const float parameters[][2] = {{0.2f, 0.5f}, {1.0f, 6.0f}, {-0.5f, 0.5f}};
    const size_t size = (size_t)n;
    for (int op = 0; op < ADZE_UNARY_COUNT; op++)
        for (size_t p = 0; p < ADZE_COUNT_OF(parameters); p++) {
            float *x = any_floats(size, seed);
            float *y = check_passing_floats(size, seed),
                  *expected = check_passing_floats(size, seed);
            ref->unary[op](n, x, expected, parameters[p][0], parameters[p][1]);
            t->unary[op](n, x, y, parameters[p][0], parameters[p][1]);
            check_same(adze_unary_name((adze_unary)op), level, y, expected, n);
            t->unary[op](n, x, x, parameters[p][0], parameters[p][1]);
            check_same("in place", level, x, expected, n);
        }
}

TEST(float_functions_are_the_same_at_every_level)
{
    adze_eltwise_table ref, t;
    adze_eltwise_init(&ref, ADZE_CPU_REF);
    uint64_t seed = 1;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 0; n < TAILS; n += n < 20 ? 1 : 5) {
            check_binary(&t, &ref, level, n, &seed);
            check_unary(&t, &ref, level, n, &seed);
        }
        check_binary(&t, &ref, level, MANY, &seed);
        check_unary(&t, &ref, level, MANY, &seed);
    }
}

/* --- accuracy -------------------------------------------------------------------------------- */

static double relu(double x)
{
    return x < 0 ? 0 : x;
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double softplus(double x)
{
    return x > 30 ? x : log1p(exp(x));
}
static double log_sigmoid(double x)
{
    return -softplus(-x);
}
static double silu(double x)
{
    return x * sigmoid(x);
}
static double gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2));
}
static double gelu_tanh(double x)
{
    return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
}
static double mish(double x)
{
    return x * tanh(softplus(x));
}
static double softsign(double x)
{
    return x / (1 + fabs(x));
}
static double elu(double x)
{
    return x < 0 ? expm1(x) : x;
}
static double hard_swish(double x)
{
    return x * fmin(fmax(x / 6 + 0.5, 0), 1);
}
static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

/* |y - exact| <= relative * |exact| + absolute (and one subnormal step) over floats of [lo, hi] */
typedef struct accuracy {
    adze_unary op;
    double (*exact)(double x);
    float lo, hi;
    double relative, absolute;
} accuracy;

static const accuracy accuracies[] = {
    {ADZE_UNARY_EXP, exp, -87.3f, 88.7f, 1.2e-7, 0},
    {ADZE_UNARY_EXP, exp, -104.0f, -87.3f, 1.2e-7, 0},
    {ADZE_UNARY_EXPM1, expm1, -20, 88.7f, 2e-7, 0},
    {ADZE_UNARY_LOG, log, 1e-45f, 3.4e38f, 1.2e-7, 0},
    {ADZE_UNARY_LOG, log, 0.5f, 2, 1.2e-7, 0},
    {ADZE_UNARY_LOG1P, log1p, -0.99f, 1e6f, 3e-7, 0},
    {ADZE_UNARY_SIGMOID, sigmoid, -87, 87, 2.5e-7, 0},
    {ADZE_UNARY_LOG_SIGMOID, log_sigmoid, -80, 80, 3e-7, 0},
    {ADZE_UNARY_TANH, tanh, -10, 10, 2e-7, 0},
    {ADZE_UNARY_ERF, erf, -5, 5, 2e-7, 0},
    {ADZE_UNARY_SILU, silu, -80, 80, 3e-7, 0},
    {ADZE_UNARY_GELU, gelu, -10, 10, 2e-7, 2e-7},
    {ADZE_UNARY_GELU_TANH, gelu_tanh, -3, 10, 2e-6, 0},
    {ADZE_UNARY_SOFTPLUS, softplus, -80, 80, 3e-7, 0},
    {ADZE_UNARY_MISH, mish, -80, 80, 4e-7, 0},
    {ADZE_UNARY_SOFTSIGN, softsign, -1e6f, 1e6f, 1.2e-7, 0},
    {ADZE_UNARY_ELU, elu, -80, 80, 2e-7, 0},
    {ADZE_UNARY_HARD_SWISH, hard_swish, -10, 10, 3e-7, 4e-7},
    {ADZE_UNARY_RSQRT, rsqrt, 1e-30f, 1e30f, 1.2e-7, 0},
    {ADZE_UNARY_SQRT, sqrt, 0, 1e30f, 6e-8, 0},
    {ADZE_UNARY_RELU, relu, -10, 10, 0, 0},
    {ADZE_UNARY_SIN, sin, -1e5f, 1e5f, 6e-8, 0},
    {ADZE_UNARY_COS, cos, -1e5f, 1e5f, 6e-8, 0},
    {ADZE_UNARY_TAN, tan, -1e3f, 1e3f, 6e-8, 0},
    {ADZE_UNARY_SIN, sin, 9e5f, 3e6f, 6e-8, 0},
    {ADZE_UNARY_COS, cos, -1e38f, 1e38f, 6e-8, 0},
    {ADZE_UNARY_TAN, tan, -3e6f, -9e5f, 6e-8, 0},
    {ADZE_UNARY_SIN, sin, -4, 4, 6e-8, 0},
    {ADZE_UNARY_ASIN, asin, 0.99f, 1, 6e-8, 0},
    {ADZE_UNARY_ACOS, acos, 0.99f, 1, 6e-8, 0},
    {ADZE_UNARY_ATAN, atan, -3, 3, 6e-8, 0},
    {ADZE_UNARY_ASIN, asin, -1, 1, 6e-8, 0},
    {ADZE_UNARY_ACOS, acos, -1, 1, 6e-8, 0},
    {ADZE_UNARY_ATAN, atan, -1e3f, 1e3f, 6e-8, 0},
    {ADZE_UNARY_SINH, sinh, -80, 80, 6e-8, 0},
    {ADZE_UNARY_COSH, cosh, -80, 80, 6e-8, 0},
    {ADZE_UNARY_ASINH, asinh, -1e3f, 1e3f, 6e-8, 0},
    {ADZE_UNARY_ACOSH, acosh, 1, 1e3f, 6e-8, 0},
    {ADZE_UNARY_ATANH, atanh, -0.999f, 0.999f, 6e-8, 0},
    {ADZE_UNARY_FLOOR, floor, -9e6f, 9e6f, 0, 0},
    {ADZE_UNARY_CEIL, ceil, -9e6f, 9e6f, 0, 0},
    {ADZE_UNARY_ROUND, rint, -9e6f, 9e6f, 0, 0},
    {ADZE_UNARY_TRUNC, trunc, -9e6f, 9e6f, 0, 0},
    {ADZE_UNARY_FLOOR, floor, -3, 3, 0, 0},
    {ADZE_UNARY_CEIL, ceil, -3, 3, 0, 0},
    {ADZE_UNARY_ROUND, rint, -3, 3, 0, 0},
    {ADZE_UNARY_TRUNC, trunc, -3, 3, 0, 0},
};

/* Half of the points uniform in value, half in their bits, so that all exponents are met. */
static float point_of(const accuracy *a, uint64_t *seed)
{
    const uint64_t r = test_random(seed);
    if (r & 1) {
        const float u = (float)(r >> 40) / (float)(1 << 24);
        return a->lo + u * (a->hi - a->lo);
    }
    for (;;) {
        const uint32_t bits = (uint32_t)(test_random(seed) >> 32);
        float x;
        memcpy(&x, &bits, sizeof x);
        if (x >= a->lo && x <= a->hi)
            return x;
    }
}

static void check_accuracy(const adze_eltwise_table *t, const accuracy *a)
{
    enum { POINTS = 4096, ROUNDS = 24 };
    float x[POINTS], y[POINTS];
    uint64_t seed = 7;
    double worst = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < POINTS; i++)
            x[i] = point_of(a, &seed);
        t->unary[a->op](POINTS, x, y, 1, 0);
        for (int i = 0; i < POINTS; i++) {
            const double exact = a->exact((double)x[i]);
            const double error = fabs((double)y[i] - exact);
            if (!(error <= a->relative * fabs(exact) + a->absolute + 2e-45))
                FAIL("%s(%.9g) is %.9g, exactly %.12g: off by %.3g, relative %.3g",
                     adze_unary_name(a->op), (double)x[i], (double)y[i], exact, error,
                     error / fabs(exact));
            if (exact != 0)
                worst = fmax(worst, error / fabs(exact));
        }
    }
    printf("%-12s [%g, %g] worst relative error %.3g\n", adze_unary_name(a->op), (double)a->lo,
           (double)a->hi, worst);
}

TEST(functions_are_accurate)
{
    adze_eltwise_table t;
    adze_eltwise_init(&t, ADZE_CPU_REF);
    for (size_t i = 0; i < ADZE_COUNT_OF(accuracies); i++)
        check_accuracy(&t, &accuracies[i]);
}

static float value_of(adze_unary op, float x, float a, float b)
{
    adze_eltwise_table t;
    adze_eltwise_init(&t, ADZE_CPU_REF);
    float y;
    t.unary[op](1, &x, &y, a, b);
    return y;
}

TEST(functions_have_their_limits)
{
    static const struct {
        adze_unary op;
        float x, y;
    } cases[] = {
        {ADZE_UNARY_EXP, -INFINITY, 0},
        {ADZE_UNARY_EXP, INFINITY, INFINITY},
        {ADZE_UNARY_EXP, 0, 1},
        {ADZE_UNARY_EXP, 89, INFINITY},
        {ADZE_UNARY_EXP, -105, 0},
        {ADZE_UNARY_EXPM1, -INFINITY, -1},
        {ADZE_UNARY_EXPM1, INFINITY, INFINITY},
        {ADZE_UNARY_EXPM1, 0, 0},
        {ADZE_UNARY_LOG, 0, -INFINITY},
        {ADZE_UNARY_LOG, INFINITY, INFINITY},
        {ADZE_UNARY_LOG, 1, 0},
        {ADZE_UNARY_LOG, -1, NAN},
        {ADZE_UNARY_LOG, -INFINITY, NAN},
        {ADZE_UNARY_LOG1P, -1, -INFINITY},
        {ADZE_UNARY_LOG1P, INFINITY, INFINITY},
        {ADZE_UNARY_LOG1P, -2, NAN},
        {ADZE_UNARY_SIGMOID, -INFINITY, 0},
        {ADZE_UNARY_SIGMOID, INFINITY, 1},
        {ADZE_UNARY_SIGMOID, 0, 0.5f},
        {ADZE_UNARY_TANH, INFINITY, 1},
        {ADZE_UNARY_TANH, -INFINITY, -1},
        {ADZE_UNARY_ERF, INFINITY, 1},
        {ADZE_UNARY_ERF, -INFINITY, -1},
        {ADZE_UNARY_SOFTPLUS, INFINITY, INFINITY},
        {ADZE_UNARY_SOFTPLUS, -INFINITY, 0},
        {ADZE_UNARY_GELU, INFINITY, INFINITY},
        {ADZE_UNARY_MISH, INFINITY, INFINITY},
        {ADZE_UNARY_SILU, INFINITY, INFINITY},
        {ADZE_UNARY_RELU, -INFINITY, 0},
        {ADZE_UNARY_RELU, INFINITY, INFINITY},
        {ADZE_UNARY_ELU, -INFINITY, -1},
        {ADZE_UNARY_SIGN, -INFINITY, -1},
        {ADZE_UNARY_FLOOR, -INFINITY, -INFINITY},
        {ADZE_UNARY_ROUND, 2.5f, 2},
        {ADZE_UNARY_ROUND, 3.5f, 4},
        {ADZE_UNARY_ROUND, -0.5f, -0.0f},
        {ADZE_UNARY_CEIL, -0.5f, -0.0f},
        {ADZE_UNARY_TANH, -0.0f, -0.0f},
        {ADZE_UNARY_SIN, -0.0f, -0.0f},
        {ADZE_UNARY_TAN, -0.0f, -0.0f},
        {ADZE_UNARY_ASIN, -0.0f, -0.0f},
        {ADZE_UNARY_ATAN, -0.0f, -0.0f},
        {ADZE_UNARY_COS, 0, 1},
        {ADZE_UNARY_SIN, INFINITY, NAN},
        {ADZE_UNARY_ACOS, 1, 0},
        {ADZE_UNARY_ACOS, 1.5f, NAN},
        {ADZE_UNARY_ASIN, -1.5f, NAN},
        {ADZE_UNARY_ATAN, -INFINITY, -1.57079637f},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        const float y = value_of(cases[i].op, cases[i].x, 1, 0);
        check_same(adze_unary_name(cases[i].op), ADZE_CPU_REF, &y, &cases[i].y, 1);
    }
    for (int op = 0; op < ADZE_UNARY_COUNT; op++) {
        /* ONNX: y = 0 otherwise, which is what NaN is */
        bool zero = op == ADZE_UNARY_THRESHOLDED_RELU || op == ADZE_UNARY_SHRINK;
        const float y = value_of((adze_unary)op, NAN, 1, 2);
        if (zero ? y != 0 : !isnan(y))
            FAIL("%s of NaN is %g", adze_unary_name((adze_unary)op), (double)y);
    }
}

TEST(binary_operators_mean_what_they_say)
{
    adze_eltwise_table t;
    adze_eltwise_init(&t, ADZE_CPU_REF);
    static const struct {
        adze_binary op;
        float a, b, y;
    } cases[] = {
        {ADZE_BINARY_SUB, 5, 3, 2},
        {ADZE_BINARY_DIV, 1, 0, INFINITY},
        {ADZE_BINARY_MIN, 1, 2, 1},
        {ADZE_BINARY_MAX, 1, 2, 2},
        {ADZE_BINARY_MIN, NAN, 2, NAN},
        {ADZE_BINARY_MAX, 2, NAN, NAN},
        {ADZE_BINARY_POW, 2, 10, 1024},
        {ADZE_BINARY_POW, -2, 3, -8},
        {ADZE_BINARY_POW, 0.1f, 3, 0.00100000005f},
        {ADZE_BINARY_POW, -INFINITY, 3, -INFINITY},
        {ADZE_BINARY_FMOD, -7, 3, -1},
        {ADZE_BINARY_MOD, -7, 3, 2},
        {ADZE_BINARY_MOD, 7, -3, -2},
        {ADZE_BINARY_MOD, 6, 3, 0},
        {ADZE_BINARY_PRELU, -2, 0.5, -1},
        {ADZE_BINARY_PRELU, 2, 0.5, 2},
        {ADZE_BINARY_SQUARED_DIFFERENCE, 1, 4, 9},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++)
        for (int form = 0; form < ADZE_FORM_COUNT; form++) {
            float y;
            t.binary[cases[i].op][form](1, &cases[i].a, &cases[i].b, &y);
            check_same(adze_binary_name(cases[i].op), ADZE_CPU_REF, &y, &cases[i].y, 1);
        }
}

/* Quotients of all sizes, whole ones too: the remainder of floats is a float. */
TEST(remainders_are_exact)
{
    enum { N = 1000 };
    adze_eltwise_table t;
    adze_eltwise_init(&t, ADZE_CPU_REF);
    uint64_t seed = 3;
    float a[N], b[N], y[N];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < N; i++) {
            const uint64_t r = test_random(&seed);
            b[i] = ldexpf((float)(int32_t)(r >> 40) + 1.0f, (int)(r & 15) - 8);
            a[i] = r & 16 ? b[i] * (float)(r >> 5 & 1023)
                          : ldexpf((float)(int32_t)(r >> 20), round % 8);
            a[i] = r & 32 ? -a[i] : a[i];
        }
        a[0] = round == 49 ? 3e38f : a[0]; /* the first block goes to libm */
        t.binary[ADZE_BINARY_FMOD][ADZE_FORM_VV](N, a, b, y);
        for (int i = 0; i < N; i++)
            if (y[i] != fmodf(a[i], b[i]) || signbit(y[i]) != signbit(a[i]))
                FAIL("fmod(%a, %a) is %a", (double)a[i], (double)b[i], (double)y[i]);
    }
}

TEST(bytes_and_running_sums_are_the_same_at_every_level)
{
    adze_eltwise_table ref, t;
    adze_eltwise_init(&ref, ADZE_CPU_REF);
    uint64_t seed = 5;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 1; n < TAILS; n++) {
            const size_t size = (size_t)n;
            float *x = any_floats(size, &seed), *y = check_passing_floats(size, &seed),
                  *expected = check_passing_floats(size, &seed);
            uint8_t *a = check_passing_bytes(size, &seed), *b = check_passing_bytes(size, &seed);
            double *sums = check_passing_bytes(size * 8, &seed), start[TAILS] = {0};
            for (int kind = 0; kind < 3; kind++) {
                if (kind == 2) {
                    t.f32_to_bool(n, x, a);
                    ref.f32_to_bool(n, x, b);
                } else {
                    t.f32_to_8(n, x, kind ? -128 : 0, kind ? 127 : 255, a);
                    ref.f32_to_8(n, x, kind ? -128 : 0, kind ? 127 : 255, b);
                }
                CHECK_BYTES(a, b, size);
            }
            memset(sums, 0, size * sizeof *sums);
            for (int step = 0; step < 3; step++) {
                t.accumulate(n, x, sums, y);
                ref.accumulate(n, x, start, expected);
                check_same("accumulate", level, y, expected, n);
            }
        }
    }
}

/* --- quantization ---------------------------------------------------------------------------- */

/* ONNX QuantizeLinear, written once more from its definition. */
static int quantized(float x, float scale, int zero, int lo, int hi)
{
    const float q = rintf(x / scale);
    if (isnan(q))
        return lo;
    const double shifted = (double)q + zero;
    return shifted < lo ? lo : shifted > hi ? hi : (int)shifted;
}

#define CHECK_QUANTIZE(type, suffix, lo, hi)                                                       \
    static void check_##suffix(const adze_eltwise_table *t, int64_t n, uint64_t *seed)             \
    {                                                                                              \
        static const float scales[] = {1.0f, 0.5f, 0.0171f, 3.7e-5f, 1e-39f};                      \
        const float scale = scales[test_random(seed) % ADZE_COUNT_OF(scales)];                     \
        const int zero = (int)check_between(lo, hi, seed);                                         \
        float *x = any_floats((size_t)n, seed), *back = check_passing_floats((size_t)n, seed);     \
        type *y = check_passing_bytes((size_t)n * sizeof(type), seed);                             \
        t->quantize_##suffix(n, x, scale, zero, y);                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            CHECK_EQ(y[i], quantized(x[i], scale, zero, lo, hi));                                  \
        t->dequantize_##suffix(n, y, scale, zero, back);                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            CHECK_EQ(back[i] == (float)(y[i] - zero) * scale, true);                               \
        t->fake_quantize(n, x, scale, zero, lo, hi, x);                                            \
        check_same("fake_quantize", ADZE_CPU_REF, x, back, n);                                     \
    }
CHECK_QUANTIZE(uint8_t, u8, 0, 255)
CHECK_QUANTIZE(int8_t, i8, -128, 127)
CHECK_QUANTIZE(uint16_t, u16, 0, 65535)
CHECK_QUANTIZE(int16_t, i16, -32768, 32767)

TEST(quantize_and_dequantize)
{
    adze_eltwise_table t;
    uint64_t seed = 3;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 0; n < 3 * TAILS; n++) {
            check_u8(&t, n % 100, &seed);
            check_i8(&t, n % 100, &seed);
            check_u16(&t, n % 100, &seed);
            check_i16(&t, n % 100, &seed);
        }
    }
}

TEST(requantize_and_dequantize_i32)
{
    adze_eltwise_table t;
    uint64_t seed = 4;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 0; n < 100; n++) {
            int32_t *acc = check_passing_bytes((size_t)n * 4, &seed);
            float *scale = check_passing_floats((size_t)n, &seed),
                  *y = check_passing_floats((size_t)n, &seed);
            uint8_t *q = check_passing_bytes((size_t)n, &seed);
            const int zero = (int)check_between(-128, 127, &seed);
            for (int64_t i = 0; i < n; i++)
                if (i % 3)
                    acc[i] >>= 20;
            t.requantize(n, acc, scale, zero, -128, 127, q);
            for (int64_t i = 0; i < n; i++)
                CHECK_EQ((int8_t)q[i], quantized((float)acc[i] * scale[i], 1, zero, -128, 127));
            t.dequantize_i32(n, acc, 0.3f, 5, y);
            for (int64_t i = 0; i < n; i++)
                CHECK_EQ(y[i] == (float)(int32_t)((uint32_t)acc[i] - 5u) * 0.3f, true);
        }
    }
}

static int q8_at(const uint8_t *bytes, int64_t i, bool is_signed)
{
    return is_signed ? (int8_t)bytes[i] : bytes[i];
}

static void check_q8(const adze_eltwise_table *t, int64_t n, uint64_t *seed)
{
    const uint64_t r = test_random(seed);
    adze_q8_binary_args args = {.n = n,
                                .a_signed = r & 1,
                                .b_signed = r >> 1 & 1,
                                .b_scalar = r >> 2 & 1,
                                .a_scale = 0.73f,
                                .b_scale = r >> 3 & 1 ? 0.5f : -1.31f};
    const bool y_signed = r >> 4 & 1, multiply = r >> 5 & 1;
    const size_t b_size = args.b_scalar ? 1 : (size_t)n;
    uint8_t *a = check_passing_bytes((size_t)n, seed), *b = check_passing_bytes(b_size, seed);
    uint8_t *y = check_passing_bytes((size_t)n, seed);
    args.a = a, args.b = b, args.y = y;
    args.a_zero = (int)check_between(0, 255, seed) - (args.a_signed ? 128 : 0);
    args.b_zero = (int)check_between(0, 255, seed) - (args.b_signed ? 128 : 0);
    args.lo = (y_signed ? -128 : 0) + (r >> 6 & 1 ? 17 : 0);
    args.hi = (y_signed ? 127 : 255) - (r >> 7 & 1 ? 13 : 0);
    args.y_zero = (int)check_between(args.lo, args.hi, seed);
    if (multiply)
        args.a_scale = 0.011f;
    (multiply ? t->q8_mul : t->q8_add)(&args);
    for (int64_t i = 0; i < n; i++) {
        const int va = q8_at(a, i, args.a_signed) - args.a_zero;
        const int vb = q8_at(b, args.b_scalar ? 0 : i, args.b_signed) - args.b_zero;
        const float v = multiply ? (float)(va * vb) * args.a_scale
                                 : (float)va * args.a_scale + (float)vb * args.b_scale;
        CHECK_EQ(q8_at(y, i, y_signed), quantized(v, 1, args.y_zero, args.lo, args.hi));
    }
    args.y = a;
    (multiply ? t->q8_mul : t->q8_add)(&args);
    CHECK_BYTES(a, y, (size_t)n);
}

TEST(q8_add_and_mul)
{
    adze_eltwise_table t;
    uint64_t seed = 5;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int round = 0; round < 20; round++)
            for (int64_t n = 0; n < 2 * TAILS; n++)
                check_q8(&t, n, &seed);
    }
}

TEST(lookup_and_sum)
{
    adze_eltwise_table t;
    uint64_t seed = 6;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 0; n < 5 * TAILS; n++) {
            uint8_t *x = check_passing_bytes((size_t)n, &seed),
                    *y = check_passing_bytes((size_t)n, &seed);
            uint8_t *table = check_passing_bytes(256, &seed);
            t.lookup(n, x, table, y);
            int32_t plain = 0, flipped = 0;
            for (int64_t i = 0; i < n; i++) {
                CHECK_EQ(y[i], table[x[i]]);
                plain += x[i], flipped += x[i] ^ 0x80;
            }
            CHECK_EQ(t.sum_u8(n, x, 0), plain);
            CHECK_EQ(t.sum_u8(n, x, 0x80), flipped);
            t.lookup(n, x, table, x);
            CHECK_BYTES(x, y, (size_t)n);
        }
        uint8_t *full = check_passing_bytes(1 << 16, &seed);
        memset(full, 255, 1 << 16);
        CHECK_EQ(t.sum_u8(1 << 16, full, 0), 255 << 16);
    }
}

/* --- narrow floats and ranges ---------------------------------------------------------------- */

static bool is_nan16(uint16_t code, int mantissa_bits)
{
    const int exponent = 0x7fff >> mantissa_bits << mantissa_bits;
    return (code & 0x7fff) > exponent;
}

TEST(narrow_floats)
{
    adze_eltwise_table t;
    uint64_t seed = 8;
    uint16_t all[256];
    float wide[256];
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int high = 0; high < 256; high++) {
            for (int i = 0; i < 256; i++)
                all[i] = (uint16_t)(high << 8 | i);
            t.f16_to_f32(256, all, wide);
            for (int i = 0; i < 256; i++)
                CHECK_NEAR(wide[i], adze_f16_to_f32(all[i]), 0);
            t.bf16_to_f32(256, all, wide);
            for (int i = 0; i < 256; i++)
                CHECK_NEAR(wide[i], adze_bf16_to_f32(all[i]), 0);
        }
        for (int64_t n = 0; n < 40 * TAILS; n++) {
            const int64_t count = n % TAILS;
            float *x = any_floats((size_t)count, &seed);
            uint16_t *y = check_passing_bytes((size_t)count * 2, &seed);
            if (n > 20 * TAILS) /* any bits; near halves of float16 */
                test_random_bytes(x, (size_t)count * 4, (uint64_t)n);
            t.f32_to_f16(count, x, y);
            for (int64_t i = 0; i < count; i++)
                if (!isnan(x[i]) || !is_nan16(y[i], 10))
                    CHECK_EQ(y[i], adze_f32_to_f16(x[i]));
            t.f32_to_bf16(count, x, y);
            for (int64_t i = 0; i < count; i++)
                if (!isnan(x[i]) || !is_nan16(y[i], 7))
                    CHECK_EQ(y[i], adze_f32_to_bf16(x[i]));
        }
    }
}

TEST(range_ignores_nan)
{
    adze_eltwise_table t;
    uint64_t seed = 9;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_eltwise_init(&t, level);
        for (int64_t n = 0; n < 2 * TAILS; n++) {
            float *x = any_floats((size_t)n, &seed), lo = INFINITY, hi = -INFINITY;
            float low = INFINITY, high = -INFINITY;
            for (int64_t i = 0; i < n; i++) {
                low = fminf(low, x[i]);
                high = fmaxf(high, x[i]);
            }
            t.range(n, x, &lo, &hi);
            CHECK_EQ(lo == low && hi == high, true);
        }
    }
}
