/* Functions of one float as straight-line code, so that loops over them become vectors: no
 * table, no branch, no libm, no FMA. Polynomials are minimax fits (Remez) of this project;
 * reductions follow Cody and Waite. Errors against exact values are checked in
 * tests/kernels/check_eltwise.c. */
#ifndef ADZE_KERNELS_MATH_IMPL_H
#define ADZE_KERNELS_MATH_IMPL_H
#include "kernels/loop_impl.h"

#define LOG2_E 1.44269504f
#define LN_2_HI 0.693359375f /* few bits: its product with an exponent is exact */
#define LN_2_LO (-2.12194440e-4f)

static inline float power_of_2(int32_t n) /* -126 <= n <= 127 */
{
    return float_of((uint32_t)(n + 127) << 23);
}

/* y * 2^n for -252 <= n <= 254, in two steps because 2^n alone may not be a float. */
static inline float scale_by_power_of_2(float y, int32_t n)
{
    const int32_t half = n >> 1;
    return y * power_of_2(half) * power_of_2(n - half);
}

/* e^r - 1 - r for |r| <= ln 2 / 2 */
static inline float exp_tail(float r)
{
    float p = 1.99141723e-4f;
    p = p * r + 1.39410084e-3f;
    p = p * r + 8.33327323e-3f;
    p = p * r + 4.16663550e-2f;
    p = p * r + 1.66666672e-1f;
    p = p * r + 0.5f;
    return p * (r * r);
}

/* Splits x = n ln 2 + r; x outside [-104, 89], where e^x is 0 or infinite, is moved to the end. */
static inline float exp_reduce(float x, int32_t *n)
{
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float shifted = x * LOG2_E + ROUND_MAGIC;
    const float k = shifted - ROUND_MAGIC;
    *n = (int32_t)(bits_of(shifted) - bits_of(ROUND_MAGIC));
    return (x - k * LN_2_HI) - k * LN_2_LO;
}

static inline float exp_f32(float x)
{
    int32_t n;
    const float r = exp_reduce(x, &n);
    return scale_by_power_of_2(1.0f + (r + exp_tail(r)), n);
}

/* Keeps its accuracy near 0, where e^x - 1 cancels. */
static inline float expm1_f32(float x)
{
    int32_t n;
    const float r = exp_reduce(x, &n);
    const float s = r + exp_tail(r); /* e^r - 1 */
    const float low = n < 64 ? power_of_2(n < -64 ? -64 : n) : 1.0f;
    const float near = s * low + (low - 1.0f);
    return n < 64 ? (n == 0 ? s : near) : scale_by_power_of_2(1.0f + s, n);
}

static inline float log_f32(float x)
{
    const int small = x < 1.17549435e-38f; /* subnormal: no hidden bit */
    uint32_t u = bits_of(small ? x * 8388608.0f : x) + (0x3f800000u - 0x3f3504f3u);
    const float e = (float)((int32_t)(u >> 23) - (small ? 127 + 23 : 127));
    const float f = float_of((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float p = 6.91554546e-2f;
    p = p * f - 1.17898390e-1f;
    p = p * f + 1.18729085e-1f;
    p = p * f - 1.23843387e-1f;
    p = p * f + 1.42186671e-1f;
    p = p * f - 1.66692510e-1f;
    p = p * f + 2.00022265e-1f;
    p = p * f - 2.49999866e-1f;
    p = p * f + 3.33333105e-1f;
    const float z = f * f;
    const float tail = (p * f * z + e * LN_2_LO) - 0.5f * z;
    float y = (f + tail) + e * LN_2_HI;
    y = x < 0.0f ? NAN : y;
    y = x == 0.0f ? -INFINITY : y;
    return x < INFINITY ? y : x; /* infinity and NaN stay */
}

/* log(1 + u) for 0 <= u <= 1, by atanh(u / (2 + u)) */
static inline float log1p_unit(float u)
{
    const float s = u / (2.0f + u);
    const float z = s * s;
    float p = 1.40122086e-1f;
    p = p * z + 1.39995754e-1f;
    p = p * z + 2.00108498e-1f;
    p = p * z + 3.33332062e-1f;
    return 2.0f * (s + s * (z * p));
}

/* log(1 + x) with what rounding 1 + x lost put back (Kahan). */
static inline float log1p_f32(float x)
{
    const float v = 1.0f + x;
    const float d = v - 1.0f;
    const float y = log_f32(v) * (x / d);
    return d == 0.0f || v == INFINITY ? x : y;
}

static inline float sigmoid_f32(float x)
{
    const float e = exp_f32(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

static inline float tanh_f32(float x)
{
    const float t = fabsf(x);
    const float z = t * t;
    float p = -5.71704796e-3f;
    p = p * z + 2.06505898e-2f;
    p = p * z - 5.37435003e-2f;
    p = p * z + 1.33314908e-1f;
    p = p * z - 3.33332837e-1f;
    const float near = t + t * (z * p);
    const float far = 1.0f - 2.0f / (exp_f32(2.0f * t) + 1.0f);
    return copysignf(t < 0.625f ? near : far, x);
}

/* Near 0 a polynomial in x^2, further out 1 - e^-(t + t q(t)). */
static inline float erf_f32(float x)
{
    const float t = fabsf(x);
    const float z = t * t;
    float p = -5.97689650e-4f;
    p = p * z + 4.99098096e-3f;
    p = p * z - 2.67655682e-2f;
    p = p * z + 1.12818025e-1f;
    p = p * z - 3.76124948e-1f;
    p = p * z + 1.28379151e-1f;
    const float near = t + t * p;
    const float c = t > 4.0f ? 4.0f : t;
    float q = 1.12316202e-5f;
    q = q * c - 3.22806591e-4f;
    q = q * c + 3.64246848e-3f;
    q = q * c - 2.37620790e-2f;
    q = q * c + 1.06236897e-1f;
    q = q * c + 6.35151327e-1f;
    q = q * c + 1.28648490e-1f;
    const float far = 1.0f - exp_f32(-(c + c * q));
    return copysignf(t < 0.93f ? near : far, x);
}

/* For |x| >= 2^23 every float is an integer already; NaN and infinities stay. */
static inline float round_even_f32(float x)
{
    const float t = fabsf(x);
    const float r = (t + 8388608.0f) - 8388608.0f;
    return copysignf(t < 8388608.0f ? r : t, x);
}

static inline float floor_f32(float x)
{
    const float r = round_even_f32(x);
    return copysignf(r > x ? r - 1.0f : r, x);
}

static inline float ceil_f32(float x)
{
    const float r = round_even_f32(x);
    return copysignf(r < x ? r + 1.0f : r, x);
}

static inline float trunc_f32(float x)
{
    const float t = fabsf(x);
    const float r = round_even_f32(t);
    return copysignf(r > t ? r - 1.0f : r, x);
}

#endif
