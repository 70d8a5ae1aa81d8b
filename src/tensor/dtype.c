/* The definition of every conversion between element types: one element first, rows in terms of it. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float adze_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u,
             mantissa = h & 0x3ffu;
    if (exponent == 31) /* infinity, NaN (made quiet, as the processors do) */
        return float_of(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent == 0) {
        float f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t adze_f32_to_f16(float f)
{
    uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (size >> 13 & 0x3ffu));
    if (size >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) { /* under 2^-14: a multiple of 2^-24; the addition rounds it */
        uint32_t sum = bits_of(float_of(size) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3f000000u));
    }
    uint32_t rounded = size + 0xfffu + (size >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

float adze_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t adze_f32_to_bf16(float f)
{
    uint32_t bits = bits_of(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* A narrow float: sign, exponent, mantissa. `uz`: no negative zero, its code is the only NaN. */
typedef struct narrow_format {
    int mantissa_bits, bias;
    uint8_t sign, largest, infinity, nan; /* codes; infinity 0: has none */
    bool uz;
} narrow_format;

static const narrow_format *format_of(adze_dtype dtype)
{
    static const narrow_format e4m3fn = {3, 7, 0x80, 0x7e, 0, 0x7f, false};
    static const narrow_format e4m3fnuz = {3, 8, 0x80, 0x7f, 0, 0x80, true};
    static const narrow_format e5m2 = {2, 15, 0x80, 0x7b, 0x7c, 0x7e, false};
    static const narrow_format e5m2fnuz = {2, 16, 0x80, 0x7f, 0, 0x80, true};
    static const narrow_format e2m1 = {1, 1, 0x08, 0x07, 0, 0x08, false};
    switch (dtype) {
    case ADZE_F8E4M3FN: return &e4m3fn;
    case ADZE_F8E4M3FNUZ: return &e4m3fnuz;
    case ADZE_F8E5M2: return &e5m2;
    case ADZE_F8E5M2FNUZ: return &e5m2fnuz;
    case ADZE_F4E2M1: return &e2m1;
    default: return NULL;
    }
}

static float power_of_two(int exponent) /* of a normal number */
{
    return float_of((uint32_t)(exponent + 127) << 23);
}

static float scale_to_f32(uint8_t code) /* float8e8m0: 2^(code - 127), no sign */
{
    return code == 255 ? NAN : code == 0 ? 0x1p-127f : power_of_two(code - 127);
}

float adze_narrow_to_f32(adze_dtype dtype, uint8_t code)
{
    const narrow_format *format = format_of(dtype);
    if (!format)
        return dtype == ADZE_F8E8M0 ? scale_to_f32(code) : 0.0f;
    code = (uint8_t)(code & (format->sign * 2u - 1u));
    uint8_t size = (uint8_t)(code & (format->sign - 1u));
    if (format->uz && code == format->nan)
        return NAN;
    if (!format->uz && size > format->largest)
        return size != format->infinity || !size ? NAN : code & format->sign ? -INFINITY : INFINITY;
    int exponent = size >> format->mantissa_bits;
    int mantissa = size & ((1 << format->mantissa_bits) - 1);
    if (exponent > 0)
        mantissa += 1 << format->mantissa_bits;
    int unit = ADZE_MAX(exponent, 1) - format->bias - format->mantissa_bits;
    float f = (float)mantissa * power_of_two(unit);
    return code & format->sign ? -f : f;
}

/* Rounds to the nearest power of two, half upwards, as ONNX's Cast with round_mode "nearest". */
static uint8_t f32_to_scale(float f)
{
    uint32_t bits = bits_of(f), exponent = bits >> 23 & 255u;
    if (exponent == 255)
        return 255;
    bool half = bits & 0x400000u, more = (bits & 0x3fffffu) || exponent > 0;
    return (uint8_t)(exponent + (half && more && exponent < 254));
}

/* Round half to even of f >= 0 to a code without sign; may go past the largest. */
static uint32_t round_to_code(const narrow_format *format, float f)
{
    int exponent = (int)(bits_of(f) >> 23) - 127;
    exponent = ADZE_MAX(exponent, 1 - format->bias);
    float units = f / power_of_two(exponent - format->mantissa_bits); /* exact */
    uint32_t whole = (uint32_t)units;
    float rest = units - (float)whole;
    whole += rest > 0.5f || (rest == 0.5f && (whole & 1u));
    return ((uint32_t)(exponent + format->bias - 1) << format->mantissa_bits) + whole;
}

uint8_t adze_f32_to_narrow(adze_dtype dtype, float f, bool saturate)
{
    const narrow_format *format = format_of(dtype);
    if (!format)
        return dtype == ADZE_F8E8M0 ? f32_to_scale(f) : 0;
    uint8_t sign = signbit(f) ? format->sign : 0;
    uint8_t nan = format->uz ? format->nan : (uint8_t)(sign | format->nan);
    if (isnan(f)) /* float4e2m1 has none: ONNX's Cast makes it -0 */
        return nan;
    uint32_t code = isinf(f) ? 256 : round_to_code(format, fabsf(f));
    if (code <= format->largest)
        return code == 0 && format->uz ? 0 : (uint8_t)(sign | code);
    if (saturate || dtype == ADZE_F4E2M1)
        return (uint8_t)(sign | format->largest);
    return format->infinity ? (uint8_t)(sign | format->infinity) : nan;
}

int adze_packed_get(adze_dtype dtype, const uint8_t *src, int64_t i)
{
    int bits = dtype == ADZE_U2 || dtype == ADZE_I2 ? 2 : 4, per_byte = 8 / bits;
    int value = src[i / per_byte] >> (int)(i % per_byte) * bits & ((1 << bits) - 1);
    bool negative = (dtype == ADZE_I2 || dtype == ADZE_I4) && value >> (bits - 1);
    return negative ? value - (1 << bits) : value;
}

void adze_packed_set(adze_dtype dtype, uint8_t *dst, int64_t i, int value)
{
    int bits = dtype == ADZE_U2 || dtype == ADZE_I2 ? 2 : 4, per_byte = 8 / bits;
    int shift = (int)(i % per_byte) * bits, mask = (1 << bits) - 1;
    uint8_t *byte = &dst[i / per_byte];
    *byte = (uint8_t)((*byte & ~(mask << shift)) | (value & mask) << shift);
}

#define TO_FLOATS(type, convert)                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                              \
        type x;                                                                                    \
        memcpy(&x, (const char *)src + (size_t)(first + i) * sizeof x, sizeof x);                  \
        dst[i] = convert;                                                                          \
    }                                                                                              \
    break

void adze_row_to_f32(adze_dtype dtype, const void *src, int64_t first, int64_t n, float *dst)
{
    switch (dtype) {
    case ADZE_F32:
        memcpy(dst, (const char *)src + (size_t)first * sizeof *dst, (size_t)n * sizeof *dst);
        break;
    case ADZE_F64: TO_FLOATS(double, (float)x);
    case ADZE_F16: TO_FLOATS(uint16_t, adze_f16_to_f32(x));
    case ADZE_BF16: TO_FLOATS(uint16_t, adze_bf16_to_f32(x));
    case ADZE_U8: TO_FLOATS(uint8_t, (float)x);
    case ADZE_I8: TO_FLOATS(int8_t, (float)x);
    case ADZE_U16: TO_FLOATS(uint16_t, (float)x);
    case ADZE_I16: TO_FLOATS(int16_t, (float)x);
    case ADZE_U32: TO_FLOATS(uint32_t, (float)x);
    case ADZE_I32: TO_FLOATS(int32_t, (float)x);
    case ADZE_U64: TO_FLOATS(uint64_t, (float)x);
    case ADZE_I64: TO_FLOATS(int64_t, (float)x);
    case ADZE_BOOL: TO_FLOATS(uint8_t, (float)(x != 0));
    case ADZE_U4:
    case ADZE_I4:
    case ADZE_U2:
    case ADZE_I2:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)adze_packed_get(dtype, src, first + i);
        break;
    case ADZE_F4E2M1:
        for (int64_t i = 0; i < n; i++)
            dst[i] = adze_narrow_to_f32(dtype, (uint8_t)adze_packed_get(ADZE_U4, src, first + i));
        break;
    default: /* the float8 kinds */ TO_FLOATS(uint8_t, adze_narrow_to_f32(dtype, x));
    }
}

/* Half to even, into [low, high]; NaN gives 0. */
static double round_into(float f, double low, double high)
{
    double whole = nearbyint((double)f);
    return isnan(whole) ? 0 : whole < low ? low : whole > high ? high : whole;
}

static int64_t to_i64(float f)
{
    return f >= 0x1p63f ? INT64_MAX : (int64_t)round_into(f, -0x1p63, 0x1p63);
}

static uint64_t to_u64(float f)
{
    return f >= 0x1p64f ? UINT64_MAX : (uint64_t)round_into(f, 0, 0x1p64);
}

static int to_packed(adze_dtype dtype, float f)
{
    switch (dtype) {
    case ADZE_I4: return (int)round_into(f, -8, 7);
    case ADZE_U4: return (int)round_into(f, 0, 15);
    case ADZE_I2: return (int)round_into(f, -2, 1);
    case ADZE_U2: return (int)round_into(f, 0, 3);
    default: return adze_f32_to_narrow(dtype, f, true);
    }
}

#define FROM_FLOATS(type, convert)                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                              \
        float f = src[i];                                                                          \
        type x = convert;                                                                          \
        memcpy((char *)dst + (size_t)(first + i) * sizeof x, &x, sizeof x);                        \
    }                                                                                              \
    break

void adze_row_from_f32(adze_dtype dtype, const float *src, int64_t n, void *dst, int64_t first)
{
    switch (dtype) {
    case ADZE_F32:
        memcpy((char *)dst + (size_t)first * sizeof *src, src, (size_t)n * sizeof *src);
        break;
    case ADZE_F64: FROM_FLOATS(double, (double)f);
    case ADZE_F16: FROM_FLOATS(uint16_t, adze_f32_to_f16(f));
    case ADZE_BF16: FROM_FLOATS(uint16_t, adze_f32_to_bf16(f));
    case ADZE_U8: FROM_FLOATS(uint8_t, (uint8_t)round_into(f, 0, UINT8_MAX));
    case ADZE_I8: FROM_FLOATS(int8_t, (int8_t)round_into(f, INT8_MIN, INT8_MAX));
    case ADZE_U16: FROM_FLOATS(uint16_t, (uint16_t)round_into(f, 0, UINT16_MAX));
    case ADZE_I16: FROM_FLOATS(int16_t, (int16_t)round_into(f, INT16_MIN, INT16_MAX));
    case ADZE_U32: FROM_FLOATS(uint32_t, (uint32_t)round_into(f, 0, UINT32_MAX));
    case ADZE_I32: FROM_FLOATS(int32_t, (int32_t)round_into(f, INT32_MIN, INT32_MAX));
    case ADZE_U64: FROM_FLOATS(uint64_t, to_u64(f));
    case ADZE_I64: FROM_FLOATS(int64_t, to_i64(f));
    case ADZE_BOOL: FROM_FLOATS(uint8_t, f != 0.0f);
    case ADZE_U4:
    case ADZE_I4:
    case ADZE_U2:
    case ADZE_I2:
    case ADZE_F4E2M1:
        for (int64_t i = 0; i < n; i++) {
            adze_dtype place = dtype == ADZE_F4E2M1 ? ADZE_U4 : dtype;
            adze_packed_set(place, dst, first + i, to_packed(dtype, src[i]));
        }
        break;
    default: /* the float8 kinds */ FROM_FLOATS(uint8_t, adze_f32_to_narrow(dtype, f, true));
    }
}
