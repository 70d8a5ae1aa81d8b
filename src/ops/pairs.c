/* Two numbers to one, for every element type that has no float32 kernel: integers (wrapping,
 * shifts past the width give 0, division by zero gives 0), booleans, float64, and comparisons of
 * float32. */
#include <math.h>
#include "ops/binary.h"

static int64_t divide_signed(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static uint64_t divide_unsigned(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : a / b;
}

static int64_t fmod_signed(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

static uint64_t fmod_unsigned(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : a % b;
}

static int64_t mod_signed(int64_t a, int64_t b)
{
    int64_t r = fmod_signed(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static uint64_t mod_unsigned(uint64_t a, uint64_t b)
{
    return fmod_unsigned(a, b);
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

static int64_t pow_signed(int64_t a, int64_t b)
{
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    return (int64_t)power((uint64_t)a, (uint64_t)b);
}

static uint64_t pow_unsigned(uint64_t a, uint64_t b)
{
    return power(a, b);
}

static double mod_f64(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double min_f64(double a, double b)
{
    return isnan(a) ? a : isnan(b) ? b : a < b ? a : b;
}

static double max_f64(double a, double b)
{
    return isnan(a) ? a : isnan(b) ? b : a > b ? a : b;
}

/* a loop for one operation: T elements, R results */
#define LOOP(pair, name, T, R, value)                                                              \
    static void pair##_##name(int64_t n, const void *pa, int sa, const void *pb, int sb, void *py) \
    {                                                                                              \
        const T *a_ = pa, *b_ = pb;                                                                \
        R *y_ = py;                                                                                \
        for (int64_t i_ = 0; i_ < n; i_++) {                                                       \
            const T a = a_[i_ * sa], b = b_[i_ * sb];                                              \
            y_[i_] = (R)(value);                                                                   \
        }                                                                                          \
    }

/* The same for what networks do all the time: vectors, at steps 1 and for a number on either side. */
#define VECTOR_LOOP(pair, name, T, R, value)                                                       \
    static void pair##_##name(int64_t n, const void *pa, int sa, const void *pb, int sb, void *py) \
    {                                                                                              \
        const T *a_ = pa, *b_ = pb;                                                                \
        R *y_ = py;                                                                                \
        if (sa && sb) {                                                                            \
            ADZE_SIMD                                                                              \
            for (int64_t i_ = 0; i_ < n; i_++) {                                                   \
                const T a = a_[i_], b = b_[i_];                                                    \
                y_[i_] = (R)(value);                                                               \
            }                                                                                      \
        } else if (sa) {                                                                           \
            const T b = *b_;                                                                       \
            ADZE_SIMD                                                                              \
            for (int64_t i_ = 0; i_ < n; i_++) {                                                   \
                const T a = a_[i_];                                                                \
                y_[i_] = (R)(value);                                                               \
            }                                                                                      \
        } else {                                                                                   \
            const T a = *a_;                                                                       \
            for (int64_t i_ = 0; i_ < n; i_++) {                                                   \
                const T b = b_[i_ * sb];                                                           \
                y_[i_] = (R)(value);                                                               \
            }                                                                                      \
        }                                                                                          \
    }

/* pair(a, b) = other(b, a) */
#define SWAPPED(pair, name, other)                                                                 \
    static void pair##_##name(int64_t n, const void *pa, int sa, const void *pb, int sb, void *py) \
    {                                                                                              \
        other##_##name(n, pb, sb, pa, sa, py);                                                     \
    }

#define COMPARISONS(name, T, LOOP)                                                                 \
    LOOP(EQUAL, name, T, uint8_t, a == b)                                                          \
    LOOP(LESS, name, T, uint8_t, a < b)                                                            \
    LOOP(LESS_EQUAL, name, T, uint8_t, a <= b)                                                     \
    SWAPPED(GREATER, name, LESS)                                                                   \
    SWAPPED(GREATER_EQUAL, name, LESS_EQUAL)

#define INTEGERS(name, T, sign, wide)                                                              \
    LOOP(ADD, name, T, T, (uint64_t)a + (uint64_t)b)                                               \
    LOOP(SUB, name, T, T, (uint64_t)a - (uint64_t)b)                                               \
    LOOP(MUL, name, T, T, (uint64_t)a *(uint64_t)b)                                                \
    LOOP(DIV, name, T, T, divide_##sign((wide)a, (wide)b))                                         \
    LOOP(MIN, name, T, T, a < b ? a : b)                                                           \
    LOOP(MAX, name, T, T, a > b ? a : b)                                                           \
    LOOP(PRELU, name, T, T, a > 0 ? (uint64_t)a : (uint64_t)a * (uint64_t)b)                       \
    LOOP(POW, name, T, T, pow_##sign((wide)a, (wide)b))                                            \
    LOOP(FMOD, name, T, T, fmod_##sign((wide)a, (wide)b))                                          \
    LOOP(MOD, name, T, T, mod_##sign((wide)a, (wide)b))                                            \
    LOOP(AND, name, T, T, a &b)                                                                    \
    LOOP(OR, name, T, T, a | b)                                                                    \
    LOOP(XOR, name, T, T, a ^ b)                                                                   \
    LOOP(SHIFT_LEFT, name, T, T,                                                                   \
         (uint64_t)b < 8 * sizeof(T) ? (uint64_t)a << ((uint64_t)b & 63) : 0)                      \
    LOOP(SHIFT_RIGHT, name, T, T,                                                                  \
         (uint64_t)b < 8 * sizeof(T) ? (uint64_t)a >> ((uint64_t)b & 63) : 0)

#define FLOATS(name, T)                                                                            \
    LOOP(ADD, name, T, T, a + b)                                                                   \
    LOOP(SUB, name, T, T, a - b)                                                                   \
    LOOP(MUL, name, T, T, a *b)                                                                    \
    LOOP(DIV, name, T, T, a / b)                                                                   \
    LOOP(MIN, name, T, T, min_f64(a, b))                                                           \
    LOOP(MAX, name, T, T, max_f64(a, b))                                                           \
    LOOP(PRELU, name, T, T, a < 0 ? a * b : a)                                                     \
    LOOP(POW, name, T, T, pow(a, b))                                                               \
    LOOP(FMOD, name, T, T, fmod(a, b))                                                             \
    LOOP(MOD, name, T, T, mod_f64(a, b))

INTEGERS(I8, int8_t, signed, int64_t)
INTEGERS(I16, int16_t, signed, int64_t)
INTEGERS(I32, int32_t, signed, int64_t)
INTEGERS(I64, int64_t, signed, int64_t)
INTEGERS(U8, uint8_t, unsigned, uint64_t)
INTEGERS(U16, uint16_t, unsigned, uint64_t)
INTEGERS(U32, uint32_t, unsigned, uint64_t)
INTEGERS(U64, uint64_t, unsigned, uint64_t)
FLOATS(F64, double)
COMPARISONS(I8, int8_t, LOOP)
COMPARISONS(I16, int16_t, LOOP)
COMPARISONS(I32, int32_t, VECTOR_LOOP)
COMPARISONS(I64, int64_t, LOOP)
COMPARISONS(U8, uint8_t, LOOP)
COMPARISONS(U16, uint16_t, LOOP)
COMPARISONS(U32, uint32_t, LOOP)
COMPARISONS(U64, uint64_t, LOOP)
COMPARISONS(F64, double, LOOP)
COMPARISONS(F32, float, VECTOR_LOOP)
VECTOR_LOOP(AND, BOOL, uint8_t, uint8_t, a &b)
VECTOR_LOOP(OR, BOOL, uint8_t, uint8_t, a | b)
VECTOR_LOOP(XOR, BOOL, uint8_t, uint8_t, a ^ b)

#define ROW(pair, name) [ADZE_PAIR_##pair][ADZE_##name] = pair##_##name
#define COMPARISON_ROWS(name)                                                                      \
    ROW(EQUAL, name), ROW(LESS, name), ROW(LESS_EQUAL, name), ROW(GREATER, name),                  \
        ROW(GREATER_EQUAL, name)
#define ARITHMETIC_ROWS(name)                                                                      \
    ROW(ADD, name), ROW(SUB, name), ROW(MUL, name), ROW(DIV, name), ROW(MIN, name),                \
        ROW(MAX, name), ROW(PRELU, name), ROW(POW, name), ROW(FMOD, name), ROW(MOD, name),         \
        COMPARISON_ROWS(name)
#define INTEGER_ROWS(name, T)                                                                      \
    ARITHMETIC_ROWS(name), ROW(AND, name), ROW(OR, name), ROW(XOR, name), ROW(SHIFT_LEFT, name),   \
        ROW(SHIFT_RIGHT, name),

static const adze_pair_fn typed[ADZE_PAIR_COUNT][ADZE_DTYPE_COUNT] = {
    ADZE_OPS_INT_LIST(INTEGER_ROWS) ARITHMETIC_ROWS(F64),
    COMPARISON_ROWS(F32),
    [ADZE_PAIR_EQUAL][ADZE_BOOL] = EQUAL_U8,
    [ADZE_PAIR_AND][ADZE_BOOL] = AND_BOOL,
    [ADZE_PAIR_OR][ADZE_BOOL] = OR_BOOL,
    [ADZE_PAIR_XOR][ADZE_BOOL] = XOR_BOOL,
};

adze_pair_fn adze_pair_typed(adze_pair pair, adze_dtype dtype)
{
    return typed[pair][dtype];
}
