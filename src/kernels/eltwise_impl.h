/* The loops of the element-wise family as plain C: one function of one element for each entry, and
 * one loop over it. Included by eltwise.c and x86/eltwise_<level>.c. */
#ifndef ADZE_KERNELS_ELTWISE_IMPL_H
#define ADZE_KERNELS_ELTWISE_IMPL_H
#include "kernels/eltwise.h"
#include "kernels/math64_impl.h"
#include "kernels/math_impl.h"

#define BINARY(name, expression)                                                                   \
    static inline float binary_##name(float a, float b)                                            \
    {                                                                                              \
        return expression;                                                                         \
    }

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a *b)
BINARY(div, a / b)
BINARY(min, min_f32(a, b))
BINARY(max, max_f32(a, b))
BINARY(squared_difference, (a - b) * (a - b))
BINARY(prelu, a < 0.0f ? a * b : a)
BINARY(pow, b == 2.0f ? a * a : b == 3.0f ? cube_f32(a) : powf(a, b)) /* common, and as exact */
BINARY(fmod, fmodf(a, b))
BINARY(atan2, atan2f(a, b))
#undef BINARY

static inline float binary_mod(float a, float b)
{
    const float r = fmodf(a, b);
    return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r;
}

#define X(name, text, meaning)                                                                     \
    static void text##_vv(int64_t n, const float *a, const float *b, float *y)                     \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = binary_##text(a[i], b[i]);                                                      \
    }                                                                                              \
    static void text##_vs(int64_t n, const float *a, const float *b, float *y)                     \
    {                                                                                              \
        const float s = *b;                                                                        \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = binary_##text(a[i], s);                                                         \
    }                                                                                              \
    static void text##_sv(int64_t n, const float *a, const float *b, float *y)                     \
    {                                                                                              \
        const float s = *a;                                                                        \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = binary_##text(s, b[i]);                                                         \
    }
ADZE_BINARY_LIST(X)
#undef X

/* x limited to [a, b]; NaN passes. */
static inline float limit(float x, float a, float b)
{
    x = x < a ? a : x;
    return x > b ? b : x;
}

static inline float mish_f32(float x)
{
    const float e = exp_f32(x > 20.0f ? 20.0f : x);
    const float w = e * (e + 2.0f); /* tanh(softplus(x)) = w / (w + 2) */
    return x > 20.0f ? x : x * (w / (w + 2.0f));
}

static inline float softplus_f32(float x)
{
    return (x < 0.0f ? 0.0f : x) + log1p_unit(exp_f32(-fabsf(x)));
}

static inline float gelu_tanh_f32(float x)
{
    const float u = 0.797884561f * (x + 0.044715f * (x * x * x)); /* sqrt(2 / pi) */
    return x * sigmoid_f32(2.0f * u);                             /* 1 + tanh u = 2 sigmoid 2u */
}

/* What is made of vectors in blocks of one length needs no code for tails: they are filled up. */
enum { BLOCK = 256 };

/* Exact either way; in vectors where all quotients of a block allow it. */
static ONE_COPY void remainders(int64_t n, const float *a, int a_step, const float *b, int b_step,
                                float *y)
{
    const float first_a = n > 0 ? *a : 0.0f, first_b = n > 0 ? *b : 0.0f;
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t count = n - at < BLOCK ? n - at : BLOCK;
        float u[BLOCK], v[BLOCK];
        int others = 0;
        for (int64_t i = 0; i < BLOCK; i++) {
            u[i] = a_step ? 0.0f : first_a;
            v[i] = b_step ? 1.0f : first_b;
        }
        if (a_step)
            memcpy(u, a + at, (size_t)count * sizeof *u);
        if (b_step)
            memcpy(v, b + at, (size_t)count * sizeof *v);
        for (int64_t i = 0; i < BLOCK; i++)
            others |= !is_near_quotient(u[i], v[i]);
        if (others)
            fmod_vv(count, u, v, u);
        else
            for (int64_t i = 0; i < BLOCK; i++)
                u[i] = fmod_near(u[i], v[i]);
        memcpy(y + at, u, (size_t)count * sizeof *u);
    }
}

static void fmod_blocks_vv(int64_t n, const float *a, const float *b, float *y)
{
    remainders(n, a, 1, b, 1, y);
}

static void fmod_blocks_vs(int64_t n, const float *a, const float *b, float *y)
{
    remainders(n, a, 1, b, 0, y);
}

static void fmod_blocks_sv(int64_t n, const float *a, const float *b, float *y)
{
    remainders(n, a, 0, b, 1, y);
}

#define UNARY(name, expression)                                                                    \
    static inline float unary_##name(float x, float a, float b)                                    \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        return expression;                                                                         \
    }

UNARY(relu, x < 0.0f ? 0.0f : x)
UNARY(leaky_relu, x < 0.0f ? a * x : x)
UNARY(thresholded_relu, x > a ? x : 0.0f)
UNARY(clip, limit(x, a, b))
UNARY(linear, a *x + b)
UNARY(abs, fabsf(x))
UNARY(neg, -x)
UNARY(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
UNARY(square, x *x)
UNARY(sqrt, sqrtf(x))
UNARY(rsqrt, 1.0f / sqrtf(x))
UNARY(reciprocal, 1.0f / x)
UNARY(floor, floor_f32(x))
UNARY(ceil, ceil_f32(x))
UNARY(round, round_even_f32(x))
UNARY(trunc, trunc_f32(x))
UNARY(exp, exp_f32(x))
UNARY(expm1, expm1_f32(x))
UNARY(log, log_f32(x))
UNARY(log1p, log1p_f32(x))
UNARY(sigmoid, sigmoid_f32(x))
UNARY(log_sigmoid, -softplus_f32(-x))
UNARY(tanh, tanh_f32(x))
UNARY(erf, erf_f32(x))
UNARY(hard_sigmoid, limit(a *x + b, 0.0f, 1.0f))
UNARY(hard_swish, x *limit(x *(1.0f / 6.0f) + 0.5f, 0.0f, 1.0f))
UNARY(silu, x *sigmoid_f32(x))
UNARY(gelu, 0.5f * x * (1.0f + erf_f32(x * 0.707106781f)))
UNARY(gelu_tanh, gelu_tanh_f32(x))
UNARY(gelu_quick, x *sigmoid_f32(a *x))
UNARY(softcap, a *tanh_f32(x / a))
UNARY(softplus, softplus_f32(x))
UNARY(softsign, x / (1.0f + fabsf(x)))
UNARY(elu, x < 0.0f ? a * expm1_f32(x) : x)
UNARY(selu, b *(x < 0.0f ? a * expm1_f32(x) : x))
UNARY(celu, x < 0.0f ? a * expm1_f32(x / a) : x)
UNARY(mish, mish_f32(x))
UNARY(shrink, x<-b ? x + a : x> b ? x - a : 0.0f)
UNARY(sin, fabsf(x) <= TRIG_LIMIT ? sin_f32(x, 0) : (float)sin((double)x))
UNARY(cos, fabsf(x) <= TRIG_LIMIT ? sin_f32(x, 1) : (float)cos((double)x))
UNARY(tan, fabsf(x) <= TRIG_LIMIT ? tan_f32(x) : (float)tan((double)x))
UNARY(asin, fabsf(x) <= 1.0f ? asin_f32(x) : (float)asin((double)x))
UNARY(acos, fabsf(x) <= 1.0f ? acos_f32(x) : (float)acos((double)x))
UNARY(atan, fabsf(x) <= INFINITY ? atan_f32(x) : (float)atan((double)x))
UNARY(sinh, (float)sinh((double)x))
UNARY(cosh, (float)cosh((double)x))
UNARY(asinh, (float)asinh((double)x))
UNARY(acosh, (float)acosh((double)x))
UNARY(atanh, (float)atanh((double)x))
#undef UNARY

#define X(name, text, meaning)                                                                     \
    static void text##_v(int64_t n, const float *x, float *y, float a, float b)                    \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = unary_##text(x[i], a, b);                                                       \
    }
ADZE_UNARY_LIST(X)
#undef X

/* `quick` for the blocks that have no |x| above `limit`, `each` for the others: the bits are the same. */
static ONE_COPY void in_blocks(int64_t n, const float *x, float *y, float limit_x,
                               void (*quick)(const float *x, float *y), adze_unary_f32_fn each)
{
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t count = n - at < BLOCK ? n - at : BLOCK;
        float block[BLOCK] = {0};
        int others = 0;
        memcpy(block, x + at, (size_t)count * sizeof *block);
        for (int64_t i = 0; i < BLOCK; i++)
            others |= !(fabsf(block[i]) <= limit_x);
        if (others)
            each(count, block, block, 0.0f, 0.0f);
        else
            quick(block, block);
        memcpy(y + at, block, (size_t)count * sizeof *block);
    }
}

#define BLOCKS(name, limit_x, expression)                                                          \
    static void name##_block(const float *x, float *y)                                             \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < BLOCK; i++)                                                        \
            y[i] = expression;                                                                     \
    }                                                                                              \
    static void name##_blocks(int64_t n, const float *x, float *y, float a, float b)               \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        in_blocks(n, x, y, limit_x, name##_block, name##_v);                                       \
    }
BLOCKS(sin, TRIG_LIMIT, sin_f32(x[i], 0))
BLOCKS(cos, TRIG_LIMIT, sin_f32(x[i], 1))
BLOCKS(tan, TRIG_LIMIT, tan_f32(x[i]))
BLOCKS(asin, 1.0f, asin_f32(x[i]))
BLOCKS(acos, 1.0f, acos_f32(x[i]))
BLOCKS(atan, INFINITY, atan_f32(x[i]))
#undef BLOCKS

#define X(name, text, meaning)                                                                     \
    static void text##_glu(int64_t n, const float *gate, const float *up, float *y)                \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = unary_##text(gate[i], 0.0f, 0.0f) * up[i];                                      \
    }
ADZE_GLU_LIST(X)
#undef X

#define QUANTIZE(type, suffix, lowest, highest)                                                    \
    static void quantize_##suffix(int64_t n, const float *x, float scale, int32_t zero, type *y)   \
    {                                                                                              \
        const float lo = (float)(lowest - zero), hi = (float)(highest - zero);                     \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = (type)(round_limited(x[i] / scale, lo, hi) + zero);                             \
    }                                                                                              \
    static void dequantize_##suffix(int64_t n, const type *x, float scale, int32_t zero, float *y) \
    {                                                                                              \
        VECTOR_LOOP                                                                                \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = (float)(x[i] - zero) * scale;                                                   \
    }
QUANTIZE(uint8_t, u8, 0, 255)
QUANTIZE(int8_t, i8, -128, 127)
QUANTIZE(uint16_t, u16, 0, 65535)
QUANTIZE(int16_t, i16, -32768, 32767)
#undef QUANTIZE

static void fake_quantize(int64_t n, const float *x, float scale, int32_t zero, int32_t lo,
                          int32_t hi, float *y)
{
    const float lowest = (float)(lo - zero), highest = (float)(hi - zero);
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)round_limited(x[i] / scale, lowest, highest) * scale;
}

static void dequantize_i32(int64_t n, const int32_t *x, float scale, int32_t zero, float *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(int32_t)((uint32_t)x[i] - (uint32_t)zero) * scale;
}

static void requantize(int64_t n, const int32_t *acc, const float *scale, int32_t zero, int32_t lo,
                       int32_t hi, uint8_t *y)
{
    const float lowest = (float)(lo - zero), highest = (float)(hi - zero);
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)(round_limited((float)acc[i] * scale[i], lowest, highest) + zero);
}

/* Flipping the top bit turns int8 into uint8 with everything 128 higher, the zero point too. */
typedef struct q8_operand {
    uint8_t flip;
    int32_t zero;
} q8_operand;

static inline q8_operand q8_operand_of(bool is_signed, int32_t zero)
{
    return is_signed ? (q8_operand){0x80, zero + 128} : (q8_operand){0, zero};
}

static inline int32_t q8_value(uint8_t byte, q8_operand o)
{
    return (uint8_t)(byte ^ o.flip) - o.zero;
}

static void q8_add(const adze_q8_binary_args *args)
{
    const q8_operand oa = q8_operand_of(args->a_signed, args->a_zero);
    const q8_operand ob = q8_operand_of(args->b_signed, args->b_zero);
    const float sa = args->a_scale, sb = args->b_scale;
    const int32_t zero = args->y_zero;
    const float lo = (float)(args->lo - zero), hi = (float)(args->hi - zero);
    const int64_t n = args->n;
    const uint8_t *a = args->a, *b = args->b;
    uint8_t *y = args->y;
    if (args->b_scalar) {
        const float tb = (float)q8_value(*b, ob) * sb;
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)(round_limited((float)q8_value(a[i], oa) * sa + tb, lo, hi) + zero);
        return;
    }
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) {
        const float t = (float)q8_value(a[i], oa) * sa + (float)q8_value(b[i], ob) * sb;
        y[i] = (uint8_t)(round_limited(t, lo, hi) + zero);
    }
}

/* Products of two bytes are exact as floats, and faster than as integers of 32 bits. */
static void q8_mul(const adze_q8_binary_args *args)
{
    const q8_operand oa = q8_operand_of(args->a_signed, args->a_zero);
    const q8_operand ob = q8_operand_of(args->b_signed, args->b_zero);
    const float scale = args->a_scale;
    const int32_t zero = args->y_zero;
    const float lo = (float)(args->lo - zero), hi = (float)(args->hi - zero);
    const int64_t n = args->n;
    const uint8_t *a = args->a, *b = args->b;
    uint8_t *y = args->y;
    if (args->b_scalar) {
        const float vb = (float)q8_value(*b, ob);
        VECTOR_LOOP
        for (int64_t i = 0; i < n; i++) {
            const float t = (float)q8_value(a[i], oa) * vb * scale;
            y[i] = (uint8_t)(round_limited(t, lo, hi) + zero);
        }
        return;
    }
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) {
        const float t = (float)q8_value(a[i], oa) * (float)q8_value(b[i], ob) * scale;
        y[i] = (uint8_t)(round_limited(t, lo, hi) + zero);
    }
}

static void bf16_to_f32(int64_t n, const uint16_t *x, float *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = float_of((uint32_t)x[i] << 16);
}

static void f32_to_bf16(int64_t n, const float *x, uint16_t *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = bits_of(x[i]);
        const uint32_t rounded = u + 0x7fffu + (u >> 16 & 1u);
        const uint32_t quiet = u | 0x00400000u;
        y[i] = (uint16_t)(((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
    }
}

static void f32_to_8(int64_t n, const float *x, float lo, float hi, uint8_t *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = bits_of(x[i]);
        const uint32_t not_nan = 0u - (uint32_t)((u & 0x7fffffffu) <= 0x7f800000u);
        y[i] = (uint8_t)(int32_t)limit(float_of(u & not_nan), lo, hi);
    }
}

static void f32_to_bool(int64_t n, const float *x, uint8_t *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] != 0.0f;
}

static void accumulate(int64_t n, const float *x, double *sum, float *y)
{
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) {
        sum[i] += (double)x[i];
        y[i] = (float)sum[i];
    }
}

static void range(int64_t n, const float *x, float *lo, float *hi)
{
    enum { LANES = 32 };
    float low[LANES], high[LANES];
    for (int j = 0; j < LANES; j++)
        low[j] = *lo, high[j] = *hi;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            low[j] = x[i + j] < low[j] ? x[i + j] : low[j];
            high[j] = x[i + j] > high[j] ? x[i + j] : high[j];
        }
    for (; i < n; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    for (int j = 0; j < LANES; j++) {
        *lo = low[j] < *lo ? low[j] : *lo;
        *hi = high[j] > *hi ? high[j] : *hi;
    }
}

/* All entries but lookup, sum_u8 and the float16 conversions, which have instructions of their own. */
static void fill(adze_eltwise_table *t)
{
#define X(name, text, meaning)                                                                     \
    t->binary[ADZE_BINARY_##name][ADZE_FORM_VV] = text##_vv;                                       \
    t->binary[ADZE_BINARY_##name][ADZE_FORM_VS] = text##_vs;                                       \
    t->binary[ADZE_BINARY_##name][ADZE_FORM_SV] = text##_sv;
    ADZE_BINARY_LIST(X)
#undef X
#define X(name, text, meaning) t->unary[ADZE_UNARY_##name] = text##_v;
    ADZE_UNARY_LIST(X)
#undef X
    t->unary[ADZE_UNARY_SIN] = sin_blocks;
    t->unary[ADZE_UNARY_COS] = cos_blocks;
    t->unary[ADZE_UNARY_TAN] = tan_blocks;
    t->unary[ADZE_UNARY_ASIN] = asin_blocks;
    t->unary[ADZE_UNARY_ACOS] = acos_blocks;
    t->unary[ADZE_UNARY_ATAN] = atan_blocks;
    t->binary[ADZE_BINARY_FMOD][ADZE_FORM_VV] = fmod_blocks_vv;
    t->binary[ADZE_BINARY_FMOD][ADZE_FORM_VS] = fmod_blocks_vs;
    t->binary[ADZE_BINARY_FMOD][ADZE_FORM_SV] = fmod_blocks_sv;
#define X(name, text, meaning) t->glu[ADZE_GLU_##name] = text##_glu;
    ADZE_GLU_LIST(X)
#undef X
    t->quantize_u8 = quantize_u8;
    t->quantize_i8 = quantize_i8;
    t->quantize_u16 = quantize_u16;
    t->quantize_i16 = quantize_i16;
    t->fake_quantize = fake_quantize;
    t->dequantize_u8 = dequantize_u8;
    t->dequantize_i8 = dequantize_i8;
    t->dequantize_u16 = dequantize_u16;
    t->dequantize_i16 = dequantize_i16;
    t->dequantize_i32 = dequantize_i32;
    t->requantize = requantize;
    t->q8_add = q8_add;
    t->q8_mul = q8_mul;
    t->bf16_to_f32 = bf16_to_f32;
    t->f32_to_bf16 = f32_to_bf16;
    t->f32_to_8 = f32_to_8;
    t->f32_to_bool = f32_to_bool;
    t->accumulate = accumulate;
    t->range = range;
}

#endif
