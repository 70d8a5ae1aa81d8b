/* Element by element: float arithmetic and functions, quantization, 8-bit integer arithmetic,
 * look-up, conversions, ranges. All entries work on n contiguous elements (n >= 0) in the
 * calling thread; callers split a tensor into ranges over threads and broadcast by calling once
 * per row. Unless said otherwise y may be exactly an input of the same element size (in place),
 * never overlap it partly.
 *
 * Every level gives the same bits as the reference: all loops come from eltwise_impl.h, which
 * uses IEEE single precision in the order written, without FMA. */
#ifndef ADZE_KERNELS_ELTWISE_H
#define ADZE_KERNELS_ELTWISE_H
#include "base/error.h"

/* name, text, meaning */
#define ADZE_BINARY_LIST(X)                                                                        \
    X(ADD, add, "a + b")                                                                           \
    X(SUB, sub, "a - b")                                                                           \
    X(MUL, mul, "a * b")                                                                           \
    X(DIV, div, "a / b")                                                                           \
    X(MIN, min, "the smaller; NaN if either is")                                                   \
    X(MAX, max, "the larger; NaN if either is")                                                    \
    X(SQUARED_DIFFERENCE, squared_difference, "(a - b)^2")                                         \
    X(PRELU, prelu, "a < 0 ? a * b : a")                                                           \
    X(POW, pow, "a to the power b (libm)")                                                         \
    X(FMOD, fmod, "remainder with the sign of a, as C fmod")                                       \
    X(MOD, mod, "remainder with the sign of b, as Python % (libm)")                                \
    X(ATAN2, atan2, "angle of the point (b, a) (libm)")

typedef enum adze_binary {
#define X(name, text, meaning) ADZE_BINARY_##name,
    ADZE_BINARY_LIST(X)
#undef X
        ADZE_BINARY_COUNT
} adze_binary;

/* Which operand is one element rather than n. */
typedef enum adze_form {
    ADZE_FORM_VV, /* a[n], b[n] */
    ADZE_FORM_VS, /* a[n], b[1] */
    ADZE_FORM_SV, /* a[1], b[n] */
    ADZE_FORM_COUNT
} adze_form;

/* name, text, meaning with parameters a and b (entries that name none ignore them). NaN gives
 * NaN. */
#define ADZE_UNARY_LIST(X)                                                                         \
    X(RELU, relu, "max(x, 0)")                                                                     \
    X(LEAKY_RELU, leaky_relu, "x < 0 ? a * x : x")                                                 \
    X(THRESHOLDED_RELU, thresholded_relu, "x > a ? x : 0")                                         \
    X(CLIP, clip, "x limited to [a, b]; b when a > b")                                             \
    X(LINEAR, linear, "a * x + b (two roundings)")                                                 \
    X(ABS, abs, "|x|")                                                                             \
    X(NEG, neg, "-x")                                                                              \
    X(SIGN, sign, "-1, 0 or 1")                                                                    \
    X(SQUARE, square, "x * x")                                                                     \
    X(SQRT, sqrt, "square root")                                                                   \
    X(RSQRT, rsqrt, "1 / sqrt(x)")                                                                 \
    X(RECIPROCAL, reciprocal, "1 / x")                                                             \
    X(FLOOR, floor, "largest integer <= x")                                                        \
    X(CEIL, ceil, "smallest integer >= x")                                                         \
    X(ROUND, round, "nearest integer, half to even")                                               \
    X(TRUNC, trunc, "integer part")                                                                \
    X(EXP, exp, "e^x")                                                                             \
    X(EXPM1, expm1, "e^x - 1")                                                                     \
    X(LOG, log, "natural logarithm")                                                               \
    X(LOG1P, log1p, "log(1 + x)")                                                                  \
    X(SIGMOID, sigmoid, "1 / (1 + e^-x)")                                                          \
    X(LOG_SIGMOID, log_sigmoid, "log(sigmoid(x))")                                                 \
    X(TANH, tanh, "hyperbolic tangent")                                                            \
    X(ERF, erf, "error function")                                                                  \
    X(HARD_SIGMOID, hard_sigmoid, "a * x + b limited to [0, 1]; ONNX default a = 0.2, b = 0.5")    \
    X(HARD_SWISH, hard_swish, "x * (x / 6 + 0.5 limited to [0, 1])")                               \
    X(SILU, silu, "x * sigmoid(x)")                                                                \
    X(GELU, gelu, "x * (1 + erf(x / sqrt 2)) / 2")                                                 \
    X(GELU_TANH, gelu_tanh, "tanh approximation of GELU")                                          \
    X(GELU_QUICK, gelu_quick, "x * sigmoid(a * x); a = 1.702")                                     \
    X(SOFTCAP, softcap, "a * tanh(x / a)")                                                         \
    X(SOFTPLUS, softplus, "log(1 + e^x)")                                                          \
    X(SOFTSIGN, softsign, "x / (1 + |x|)")                                                         \
    X(ELU, elu, "x < 0 ? a * (e^x - 1) : x; ONNX default a = 1")                                   \
    X(SELU, selu, "b * (x < 0 ? a * (e^x - 1) : x); a = 1.67326319, b = 1.05070102")               \
    X(CELU, celu, "x < 0 ? a * (e^(x / a) - 1) : x; ONNX default a = 1")                           \
    X(MISH, mish, "x * tanh(softplus(x))")                                                         \
    X(SHRINK, shrink, "x < -b ? x + a : x > b ? x - a : 0; a: bias, b: lambda; ONNX 0, 0.5")       \
    X(SIN, sin, "sine (libm above 2^20)")                                                          \
    X(COS, cos, "cosine (libm above 2^20)")                                                        \
    X(TAN, tan, "tangent (libm above 2^20)")                                                       \
    X(ASIN, asin, "arc sine")                                                                      \
    X(ACOS, acos, "arc cosine")                                                                    \
    X(ATAN, atan, "arc tangent")                                                                   \
    X(SINH, sinh, "hyperbolic sine (libm)")                                                        \
    X(COSH, cosh, "hyperbolic cosine (libm)")                                                      \
    X(ASINH, asinh, "inverse hyperbolic sine (libm)")                                              \
    X(ACOSH, acosh, "inverse hyperbolic cosine (libm)")                                            \
    X(ATANH, atanh, "inverse hyperbolic tangent (libm)")

typedef enum adze_unary {
#define X(name, text, meaning) ADZE_UNARY_##name,
    ADZE_UNARY_LIST(X)
#undef X
        ADZE_UNARY_COUNT
} adze_unary;

/* Gated activations: name, text, meaning. */
#define ADZE_GLU_LIST(X)                                                                           \
    X(SILU, silu, "silu(a) * b")                                                                   \
    X(GELU, gelu, "gelu(a) * b")                                                                   \
    X(GELU_TANH, gelu_tanh, "gelu_tanh(a) * b")                                                    \
    X(RELU, relu, "relu(a) * b")

typedef enum adze_glu {
#define X(name, text, meaning) ADZE_GLU_##name,
    ADZE_GLU_LIST(X)
#undef X
        ADZE_GLU_COUNT
} adze_glu;

typedef void (*adze_binary_f32_fn)(int64_t n, const float *a, const float *b, float *y);
typedef void (*adze_unary_f32_fn)(int64_t n, const float *x, float *y, float a, float b);

/* Two 8-bit operands, requantized (half to even; y in place of a or of a vector b is fine):
 *   add: clamp(rint((float)(a - a_zero) * a_scale + (float)(b - b_zero) * b_scale) + y_zero, lo,
 *        hi)
 *   mul: clamp(rint((float)((a - a_zero) * (b - b_zero)) * a_scale) + y_zero, lo, hi)
 *        Subtraction is an addition with a negative b_scale. [lo, hi] lies inside the range of
 *        y's type. */
typedef struct adze_q8_binary_args {
    int64_t n;
    const uint8_t *a, *b; /* [n]; bytes of uint8 or int8 */
    uint8_t *y;           /* [n]; bytes of uint8 or int8, as lo and hi say */
    bool a_signed, b_signed;
    bool b_scalar; /* b is one element */
    int32_t a_zero, b_zero, y_zero, lo, hi;
    float a_scale; /* add: a's scale / y's scale; mul: a's scale * b's scale / y's scale */
    float b_scale; /* add: b's scale / y's scale */
} adze_q8_binary_args;

typedef struct adze_eltwise_table {
    adze_binary_f32_fn binary[ADZE_BINARY_COUNT][ADZE_FORM_COUNT];
    adze_unary_f32_fn unary[ADZE_UNARY_COUNT];
    /* y[i] = activation(gate[i]) * up[i], the same bits as unary, then mul */
    adze_binary_f32_fn glu[ADZE_GLU_COUNT];

    /* ONNX QuantizeLinear: clamp(rint(x / scale) + zero) to y's type. Infinities saturate; NaN
     * gives the type's lowest value, as ONNX Runtime's vector code does. Not in place. */
    void (*quantize_u8)(int64_t n, const float *x, float scale, int32_t zero, uint8_t *y);
    void (*quantize_i8)(int64_t n, const float *x, float scale, int32_t zero, int8_t *y);
    void (*quantize_u16)(int64_t n, const float *x, float scale, int32_t zero, uint16_t *y);
    void (*quantize_i16)(int64_t n, const float *x, float scale, int32_t zero, int16_t *y);
    /* quantize then dequantize without leaving float: the value that x becomes on the way. */
    void (*fake_quantize)(int64_t n, const float *x, float scale, int32_t zero, int32_t lo,
                          int32_t hi, float *y);

    /* (float)(x - zero) * scale. Not in place, except i32. */
    void (*dequantize_u8)(int64_t n, const uint8_t *x, float scale, int32_t zero, float *y);
    void (*dequantize_i8)(int64_t n, const int8_t *x, float scale, int32_t zero, float *y);
    void (*dequantize_u16)(int64_t n, const uint16_t *x, float scale, int32_t zero, float *y);
    void (*dequantize_i16)(int64_t n, const int16_t *x, float scale, int32_t zero, float *y);
    void (*dequantize_i32)(int64_t n, const int32_t *x, float scale, int32_t zero, float *y);

    /* clamp(rint((float)acc[i] * scale[i]) + zero, lo, hi), the low byte stored: a row of
     * channels. */
    void (*requantize)(int64_t n, const int32_t *acc, const float *scale, int32_t zero, int32_t lo,
                       int32_t hi, uint8_t *y);

    void (*q8_add)(const adze_q8_binary_args *args);
    void (*q8_mul)(const adze_q8_binary_args *args);

    /* y[i] = table[x[i]]: any function of one 8-bit tensor (index by the byte as stored). */
    void (*lookup)(int64_t n, const uint8_t *x, const uint8_t table[256], uint8_t *y);

    /* Narrow floats as 16-bit codes; rounding half to even, overflow to infinity, NaN stays (quiet)
     * NaN. Not in place. */
    void (*f16_to_f32)(int64_t n, const uint16_t *x, float *y);
    void (*f32_to_f16)(int64_t n, const float *x, uint16_t *y);
    void (*bf16_to_f32)(int64_t n, const uint16_t *x, float *y);
    void (*f32_to_bf16)(int64_t n, const float *x, uint16_t *y);

    /* The low byte of x towards zero, limited to [lo, hi], NaN 0; and whether x is not 0. Not in place. */
    void (*f32_to_8)(int64_t n, const float *x, float lo, float hi, uint8_t *y);
    void (*f32_to_bool)(int64_t n, const float *x, uint8_t *y);

    /* sum += x, y = sum: a step of running sums. */
    void (*accumulate)(int64_t n, const float *x, double *sum, float *y);

    /* Widens [*lo, *hi] to hold all x; NaN is ignored. Start from (INFINITY, -INFINITY). */
    void (*range)(int64_t n, const float *x, float *lo, float *hi);
    /* Sum of (x ^ flip) as unsigned bytes; flip 0x80 adds 128 to int8. n <= 2^23. */
    int32_t (*sum_u8)(int64_t n, const uint8_t *x, uint8_t flip);
} adze_eltwise_table;

/* "add", "leaky_relu": lower-case names of the enum; never NULL. */
const char *adze_binary_name(adze_binary op);
const char *adze_unary_name(adze_unary op);

void adze_eltwise_init(adze_eltwise_table *table, adze_cpu_level level);
void adze_eltwise_init_avx2(adze_eltwise_table *table);
void adze_eltwise_init_avx512(adze_eltwise_table *table);

#endif
