/* Operators on 8-bit tensors with scales: the same as the float operator between dequantization and
 * quantization, at every CPU level. */
#include "op_case.h"

#include "base/cpu.h"

static const float scales[3] = {0.03f, 0.05f, 0.04f};
static const int32_t zeros_u8[3] = {120, 7, 131}, zeros_i8[3] = {-5, 33, 0};

static adze_quant quant_of(int i, adze_dtype dtype)
{
    const int32_t *zero = dtype == ADZE_U8 ? &zeros_u8[i] : &zeros_i8[i];
    return (adze_quant){.axis = -1, .count = 1, .scale = &scales[i], .zero_point = zero};
}

static float real(const adze_tensor *t, int64_t i)
{
    return ((float)adze_tensor_get_i64(t, i) - (float)t->quant->zero_point[0]) * t->quant->scale[0];
}

static int32_t code(const adze_tensor *t, double v)
{
    double r = rint(v / (double)t->quant->scale[0]) + t->quant->zero_point[0];
    double lo = t->dtype == ADZE_U8 ? 0 : -128, hi = t->dtype == ADZE_U8 ? 255 : 127;
    return (int32_t)fmin(fmax(r, lo), hi);
}

typedef double (*pair_fn)(double, double);
static double add(double a, double b)
{
    return a + b;
}
static double sub(double a, double b)
{
    return a - b;
}
static double mul(double a, double b)
{
    return a * b;
}
static double largest(double a, double b)
{
    return a > b ? a : b;
}

static void check_pair(const char *op, pair_fn f, const char *level, adze_dtype dtype,
                       const int64_t *b_dims, int b_rank)
{
    op_case c;
    int64_t dims[3] = {5, 7, 33};
    uint8_t a[5 * 7 * 33], b[5 * 7 * 33];
    adze_quant q[3] = {quant_of(0, dtype), quant_of(1, dtype), quant_of(2, dtype)};
    op_case_fill_bytes(a, sizeof a, 1);
    op_case_fill_bytes(b, sizeof b, 2);
    op_case_open(&c, level);
    op_case_input(&c, dtype, 3, dims, a, &q[0]);
    op_case_input(&c, dtype, b_rank, b_dims, b, &q[1]);
    op_case_node(&c, op, 1);
    op_case_quantize(&c, dtype, &q[2]);
    op_case_run(&c);
    const adze_tensor *y = &c.output[0];
    CHECK_EQ(y->dtype, dtype);
    int64_t period = adze_tensor_elements(&c.input[1]);
    for (int64_t i = 0; i < 5 * 7 * 33; i++) {
        int64_t k = period == 7 ? i / 33 % 7 : i % period;
        double v = f((double)real(&c.input[0], i), (double)real(&c.input[1], k));
        CHECK_NEAR(adze_tensor_get_i64(y, i), code(y, v), 1); /* 1: ties in another precision */
    }
    op_case_close(&c);
}

static void check_levels(const char *op, pair_fn f)
{
    static const adze_cpu_level levels[] = {ADZE_CPU_REF, ADZE_CPU_AVX2, ADZE_CPU_AVX512,
                                            ADZE_CPU_NEON};
    const int64_t same[3] = {5, 7, 33}, row[1] = {33}, middle[2] = {7, 1}, one[1] = {1};
    for (size_t i = 0; i < ADZE_COUNT_OF(levels); i++) {
        if (!adze_cpu_has(levels[i]))
            continue;
        const char *level = adze_cpu_level_name(levels[i]);
        for (int k = 0; k < 2; k++) {
            adze_dtype dtype = k ? ADZE_I8 : ADZE_U8;
            check_pair(op, f, level, dtype, same, 3);
            check_pair(op, f, level, dtype, row, 1);
            check_pair(op, f, level, dtype, middle, 2);
            check_pair(op, f, level, dtype, one, 1);
        }
    }
}

TEST(add_of_bytes)
{
    check_levels("Add", add);
}
TEST(sub_of_bytes)
{
    check_levels("Sub", sub);
}
TEST(mul_of_bytes)
{
    check_levels("Mul", mul);
}
TEST(max_of_bytes)
{
    check_levels("Max", largest);
}

/* a op b, or b op a; at a CPU level, in pieces that begin anywhere in a row. */
static void run_rows(op_case *c, const char *level, adze_dtype dtype, bool swapped,
                     const adze_tensor x[2])
{
    static adze_quant q[3];
    for (int i = 0; i < 3; i++)
        q[i] = quant_of(i, dtype);
    bool real_numbers = dtype == ADZE_F32;
    op_case_open(c, level);
    for (int i = 0; i < 2; i++) {
        int k = swapped ? 1 - i : i;
        op_case_input(c, dtype, x[k].rank, x[k].dims, x[k].data, real_numbers ? NULL : &q[k]);
    }
    op_case_node(c, real_numbers ? "Sub" : "Mul", 1);
    if (!real_numbers)
        op_case_quantize(c, dtype, &q[2]);
    op_case_run(c);
}

/* A scale for each channel, channels last: as if it were written out for every pixel. */
/* Two steps of the operands are one of the result: the last bit of the float sum decides. */
TEST(sums_between_two_steps_are_rounded_as_floats)
{
    static const float scale = 4.773579f, double_scale = 9.547158f;
    static const int32_t zero = 114;
    const adze_quant q = {.axis = -1, .count = 1, .scale = &scale, .zero_point = &zero};
    const adze_quant half = {.axis = -1, .count = 1, .scale = &double_scale, .zero_point = &zero};
    int64_t n = 65536;
    static uint8_t a[65536], b[65536];
    for (int i = 0; i < n; i++) {
        a[i] = (uint8_t)(i >> 8);
        b[i] = (uint8_t)i;
    }
    for (int k = 0; k < 2; k++) {
        op_case c;
        op_case_open(&c, k ? "ref" : NULL);
        op_case_input(&c, ADZE_U8, 1, &n, a, &q);
        op_case_input(&c, ADZE_U8, 1, &n, b, &q);
        op_case_node(&c, "Add", 1);
        op_case_quantize(&c, ADZE_U8, &half);
        op_case_run(&c);
        for (int i = 0; i < n; i++) {
            float sum = (float)(a[i] - zero) * scale + (float)(b[i] - zero) * scale;
            float step = rintf(sum / double_scale) + (float)zero;
            CHECK_EQ(((const uint8_t *)c.output[0].data)[i], (int)fminf(fmaxf(step, 0), 255));
        }
        op_case_close(&c);
    }
}

TEST(short_rows_repeat)
{
    enum { N = 3, PIXELS = 1001, C = 24 }; /* more than a piece */
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    static float x[N * PIXELS * C], row[N * C], rows[N * PIXELS * C];
    const int64_t dims[3] = {N, PIXELS, C}, row_dims[3] = {N, 1, C};
    op_case_fill(x, N * PIXELS * C, 7, -1, 1);
    op_case_fill(row, N * C, 8, -1, 1);
    for (int mode = 0; mode < 4; mode++) {
        adze_dtype dtype = mode < 2 ? ADZE_F32 : ADZE_U8;
        size_t size = dtype == ADZE_F32 ? sizeof(float) : 1;
        for (size_t i = 0; i < N * PIXELS * C; i++)
            memcpy((char *)rows + i * size, (char *)row + (i / (PIXELS * C) * C + i % C) * size,
                   size);
        const adze_tensor a = adze_tensor_view(dtype, 3, dims, x);
        for (size_t i = 0; i < ADZE_COUNT_OF(levels); i++) {
            op_case c, whole;
            adze_cpu_level level;
            if (adze_cpu_level_from_name(&level, levels[i]) && adze_cpu_has(level)) {
                run_rows(&c, levels[i], dtype, mode & 1,
                         (adze_tensor[]){a, adze_tensor_view(dtype, 3, row_dims, row)});
                run_rows(&whole, levels[i], dtype, mode & 1,
                         (adze_tensor[]){a, adze_tensor_view(dtype, 3, dims, rows)});
                CHECK_BYTES(c.output[0].data, whole.output[0].data, whole.output[0].size);
                op_case_close(&c);
                op_case_close(&whole);
            }
        }
    }
}

TEST(fused_limits_are_clip)
{
    op_case c;
    int64_t n = 256;
    uint8_t a[256], b[256];
    adze_quant q[3] = {quant_of(0, ADZE_U8), quant_of(1, ADZE_U8), quant_of(2, ADZE_U8)};
    op_case_fill_bytes(a, sizeof a, 3);
    op_case_fill_bytes(b, sizeof b, 4);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 1, &n, a, &q[0]);
    op_case_input(&c, ADZE_U8, 1, &n, b, &q[1]);
    CHECK(adze_node_set_float(op_case_node(&c, "Add", 1), "adze.lo", 0));
    CHECK(adze_node_set_float(c.node, "adze.hi", 2));
    op_case_quantize(&c, ADZE_U8, &q[2]);
    op_case_run(&c);
    for (int64_t i = 0; i < n; i++) {
        double v = (double)real(&c.input[0], i) + (double)real(&c.input[1], i);
        CHECK_NEAR(adze_tensor_get_i64(&c.output[0], i), code(&c.output[0], fmin(fmax(v, 0), 2)),
                   1);
    }
    op_case_close(&c);
}

/* Every code through the table, against double precision. */
static void check_function(const char *op, double (*f)(double), adze_dtype dtype)
{
    op_case c;
    int64_t n = 256;
    uint8_t x[256];
    adze_quant q[2] = {quant_of(0, dtype), quant_of(2, dtype)};
    for (int i = 0; i < 256; i++)
        x[i] = (uint8_t)i;
    op_case_open(&c, NULL);
    op_case_input(&c, dtype, 1, &n, x, &q[0]);
    op_case_node(&c, op, 1);
    op_case_quantize(&c, dtype, &q[1]);
    op_case_run(&c);
    for (int64_t i = 0; i < n; i++)
        CHECK_NEAR(adze_tensor_get_i64(&c.output[0], i),
                   code(&c.output[0], f((double)real(&c.input[0], i))), 1);
    op_case_close(&c);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double hard_swish(double x)
{
    return x * fmin(fmax(x / 6 + 0.5, 0), 1);
}
static double relu(double x)
{
    return x > 0 ? x : 0;
}

TEST(functions_of_bytes)
{
    for (int k = 0; k < 2; k++) {
        adze_dtype dtype = k ? ADZE_I8 : ADZE_U8;
        check_function("Sigmoid", sigmoid, dtype);
        check_function("Tanh", tanh, dtype);
        check_function("HardSwish", hard_swish, dtype);
        check_function("Relu", relu, dtype);
        check_function("Exp", exp, dtype);
        check_function("Abs", fabs, dtype);
    }
}

static void check_mean(const int64_t *axes, int count)
{
    op_case c;
    int64_t dims[4] = {2, 5, 6, 17}, axes_dim = count;
    int8_t x[2 * 5 * 6 * 17];
    adze_quant q[2] = {quant_of(0, ADZE_I8), quant_of(2, ADZE_I8)};
    op_case_fill_bytes(x, sizeof x, 5);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_I8, 4, dims, x, &q[0]);
    op_case_input(&c, ADZE_I64, 1, &axes_dim, axes, NULL);
    op_case_node(&c, "ReduceMean", 1);
    op_case_quantize(&c, ADZE_I8, &q[1]);
    op_case_run(&c);
    double sums[2 * 5 * 6 * 17] = {0};
    bool reduced[4] = {false};
    int64_t elements = 2 * 5 * 6 * 17, outputs = adze_tensor_elements(&c.output[0]);
    for (int i = 0; i < count; i++)
        reduced[axes[i]] = true;
    for (int64_t i = 0; i < elements; i++) {
        int64_t rest = i, to = 0, stride = 1;
        for (int k = 3; k >= 0; k--) {
            if (!reduced[k]) {
                to += rest % dims[k] * stride;
                stride *= dims[k];
            }
            rest /= dims[k];
        }
        sums[to] += (double)real(&c.input[0], i);
    }
    for (int64_t i = 0; i < outputs; i++)
        CHECK_NEAR(adze_tensor_get_i64(&c.output[0], i),
                   code(&c.output[0], sums[i] * (double)outputs / (double)elements), 1);
    op_case_close(&c);
}

TEST(mean_of_bytes)
{
    check_mean((int64_t[]){1, 2}, 2); /* channels last */
    check_mean((int64_t[]){2, 3}, 2); /* channels first */
    check_mean((int64_t[]){0, 2}, 2);
    check_mean((int64_t[]){3}, 1);
}

TEST(pad_of_bytes_fills_with_the_zero_point)
{
    op_case c;
    int64_t n = 3, two = 2, pads[2] = {1, 2};
    uint8_t x[3] = {1, 2, 3}, expected[6] = {120, 1, 2, 3, 120, 120};
    adze_quant q = quant_of(0, ADZE_U8);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 1, &n, x, &q);
    op_case_input(&c, ADZE_I64, 1, &two, pads, NULL);
    op_case_node(&c, "Pad", 1);
    op_case_quantize(&c, ADZE_U8, &q);
    op_case_run(&c);
    CHECK_EQ(c.output[0].dims[0], 6);
    CHECK_BYTES(c.output[0].data, expected, 6);
    op_case_close(&c);
}

TEST(concat_of_bytes_with_two_scales)
{
    op_case c;
    int64_t dims[2] = {2, 2};
    uint8_t a[4] = {10, 20, 30, 40}, b[4] = {50, 60, 70, 80};
    adze_quant q[2] = {quant_of(0, ADZE_U8), quant_of(1, ADZE_U8)};
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 2, dims, a, &q[0]);
    op_case_input(&c, ADZE_U8, 2, dims, b, &q[1]);
    CHECK(adze_node_set_int(op_case_node(&c, "Concat", 1), "axis", 1));
    op_case_quantize(&c, ADZE_U8, &q[0]);
    op_case_run(&c);
    const uint8_t *y = c.output[0].data;
    CHECK_EQ(y[0], 10);
    CHECK_EQ(y[1], 20);
    CHECK_EQ(y[2], code(&c.output[0], (double)real(&c.input[1], 0)));
    CHECK_EQ(y[7], code(&c.output[0], (double)real(&c.input[1], 3)));
    op_case_close(&c);
}

TEST(linear_resize_of_bytes_stays_in_range)
{
    op_case c;
    int64_t dims[4] = {1, 4, 4, 2}, four = 4;
    float up[4] = {1, 1, 2, 2};
    uint8_t x[32];
    adze_quant q = quant_of(0, ADZE_U8);
    for (int i = 0; i < 32; i++)
        x[i] = (uint8_t)(i / 2 * 16); /* both channels the same */
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 4, dims, x, &q);
    op_case_input(&c, ADZE_F32, 1, &(int64_t){0}, up, NULL);
    op_case_input(&c, ADZE_F32, 1, &four, up, NULL);
    CHECK(adze_node_set_string(op_case_node(&c, "Resize", 1), "mode", "linear"));
    CHECK(adze_node_set_int(c.node, "adze.channels_last", 1));
    op_case_quantize(&c, ADZE_U8, &q);
    op_case_run(&c);
    const uint8_t *y = c.output[0].data;
    CHECK_EQ(c.output[0].dims[1], 8);
    CHECK_EQ(c.output[0].dims[3], 2);
    CHECK_EQ(y[0], 0);
    CHECK_EQ(y[2], 4); /* a quarter of the way from 0 to 16 */
    CHECK_EQ(y[3], 4);
    CHECK_EQ(y[2 * 64 - 1], 240);
    op_case_close(&c);
}

/* Bytes of other types are no integers of 8 bits, and parameters must be as many as rows, columns or one. */
TEST(integer_products_check_their_operands)
{
    int64_t dims[2] = {2, 2}, three = 3, none = 0;
    uint8_t a[4] = {1, 2, 3, 4}, zeros[3] = {0};
    float wide[4] = {1, 2, 3, 4};
    for (int wrong = 0; wrong < 4; wrong++) {
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_U8, 2, dims, a, NULL);
        op_case_input(&c, wrong == 0 ? ADZE_F32 : ADZE_U8, 2, dims,
                      wrong == 0 ? (const void *)wide : a, NULL);
        op_case_input(&c, wrong == 1 ? ADZE_I32 : ADZE_U8, 1,
                      wrong == 2   ? &three
                      : wrong == 3 ? &none
                                   : dims,
                      zeros, NULL);
        op_case_node(&c, "MatMulInteger", 1);
        CHECK_FAILS(op_case_try(&c), wrong < 2 ? ADZE_UNSUPPORTED : ADZE_BAD_MODEL, &c.error);
        op_case_close(&c);
    }
}

/* No number has a zero point: 0, and no cast of it. */
TEST(dynamic_quantization_of_no_number)
{
    int64_t n = 2;
    float x[2] = {-NAN, INFINITY};
    op_case c;
    op_case_open(&c, "ref");
    op_case_input(&c, ADZE_F32, 1, &n, x, NULL);
    op_case_node(&c, "DynamicQuantizeLinear", 3);
    op_case_run(&c);
    CHECK_EQ(*(uint8_t *)c.output[2].data, 0);
    op_case_close(&c);
}

/* A zero point of 32 bits could be further from a byte than an int reaches. */
TEST(zero_points_are_of_the_type_of_their_numbers)
{
    int64_t n = 1;
    uint8_t x[1] = {1};
    int32_t zero[1] = {INT32_MIN};
    float scale[1] = {0.5f};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 1, &n, x, NULL);
    op_case_input(&c, ADZE_F32, 1, &n, scale, NULL);
    op_case_input(&c, ADZE_I32, 1, &n, zero, NULL);
    op_case_node(&c, "DequantizeLinear", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}
