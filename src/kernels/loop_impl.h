/* What the loop templates (*_impl.h of this folder) share. A template holds the loops of one
 * family as plain C; <family>.c and each x86/<family>_<level>.c include it and are compiled with
 * flags of their own, so the compiler makes the vectors and every level does the same operations
 * in the same order. */
#ifndef ADZE_KERNELS_LOOP_IMPL_H
#define ADZE_KERNELS_LOOP_IMPL_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Before a loop whose iterations are independent although y may be x: no check for overlap
 * needed. */
#if defined(__clang__)
#define VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define VECTOR_LOOP _Pragma("GCC ivdep")
#endif

/* A function that is neither inlined nor cloned for constant arguments: large loops stand in the text once. */
#if defined(__clang__)
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noipa))
#endif

static inline uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Adding 1.5 * 2^23 leaves a float no bits for a fraction: the sum is rounded (half to even) to an
 * integer, which stands in its low bits. For |x| < 2^22. Unlike rintf it is fast at every level. */
#define ROUND_MAGIC 12582912.0f

static inline float round_small(float x)
{
    return (x + ROUND_MAGIC) - ROUND_MAGIC;
}

static inline int32_t round_small_int(float x)
{
    return (int32_t)(bits_of(x + ROUND_MAGIC) - bits_of(ROUND_MAGIC));
}

/* Limits first, then rounds: the same as rounding first, since lo and hi are integers. NaN gives
 * lo. */
static inline int32_t round_limited(float x, float lo, float hi)
{
    x = x > lo ? x : lo;
    x = x < hi ? x : hi;
    return round_small_int(x);
}

/* NaN if either is: a comparison with NaN is false, so one of the two picks is that NaN, and setting
 * bits leaves it one. Where the values are the same the picks differ at most in the sign of zero. */
static inline float max_f32(float a, float b)
{
    const float first = a > b ? a : b, second = b > a ? b : a;
    return float_of(bits_of(first) | bits_of(second));
}

static inline float min_f32(float a, float b)
{
    const float first = a < b ? a : b, second = b < a ? b : a;
    return float_of(bits_of(first) | bits_of(second));
}

#endif
