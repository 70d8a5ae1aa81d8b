/* Trigonometry and remainders of floats by way of double precision: straight-line code as in math_impl.h,
 * right to half a unit of the float and 2^-9 of it. Polynomials interpolate at the Chebyshev nodes. */
#ifndef ADZE_KERNELS_MATH64_IMPL_H
#define ADZE_KERNELS_MATH64_IMPL_H
#include "kernels/loop_impl.h"

#define HALF_PI 1.57079632679489661923

static inline uint64_t bits_of_f64(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

static inline double f64_of(uint64_t u)
{
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

/* x = quarters * pi / 2 + r, |r| <= pi / 4, for floats up to 2^20: pi / 2 is two numbers, the first of 33
 * bits, so that its product is exact. */
#define TRIG_LIMIT 0x1p20f

static inline double quarter_turns(double x, uint64_t *quarters)
{
    const double magic = 0x1.8p52, shifted = x * 0.636619772367581343076 + magic;
    const double k = shifted - magic;
    *quarters = bits_of_f64(shifted);
    return (x - k * 1.57079632673412561417) - k * 6.07710050650619224932e-11;
}

static inline double sin_near(double r)
{
    const double z = r * r;
    double p = 2.724989523061168e-06;
    p = p * z - 0.000198400864995936;
    p = p * z + 0.008333331874273714;
    p = p * z - 0.16666666663854168;
    return r * (1.0 + z * p); /* keeps -0 */
}

static inline double cos_near(double r)
{
    const double z = r * r;
    double p = -2.7237108576245085e-07;
    p = p * z + 2.4799861846361453e-05;
    p = p * z - 0.0013888885090262895;
    p = p * z + 0.041666666637384386;
    p = p * z - 0.49999999999963873;
    return 1.0 + z * p;
}

/* The sine `ahead` quarters further on. */
static inline float sin_f32(float x, uint64_t ahead)
{
    uint64_t k;
    const double r = quarter_turns((double)x, &k);
    k += ahead;
    const uint64_t odd = 0 - (k & 1), sign = (k & 2) << 62;
    const uint64_t even_bits = bits_of_f64(sin_near(r)), odd_bits = bits_of_f64(cos_near(r));
    return (float)f64_of(((odd_bits & odd) | (even_bits & ~odd)) ^ sign);
}

static inline float tan_f32(float x)
{
    uint64_t k;
    const double r = quarter_turns((double)x, &k);
    const uint64_t odd = 0 - (k & 1);
    const uint64_t s = bits_of_f64(sin_near(r)), c = bits_of_f64(cos_near(r));
    const double over = f64_of((c & odd) | (s & ~odd)), under = f64_of((s & odd) | (c & ~odd));
    return (float)(f64_of(bits_of_f64(over) ^ (odd & (uint64_t)1 << 63)) / under);
}

/* Arc sine of t, 0 <= t <= 1/2, z = t * t */
static inline double asin_near(double t, double z)
{
    double p = 0.030974540371355073;
    p = p * z + 0.010574415516912907;
    p = p * z + 0.023611817008891752;
    p = p * z + 0.030269138728589183;
    p = p * z + 0.04464766388813485;
    p = p * z + 0.07499992404401838;
    p = p * z + 0.16666666686085643;
    return t + t * (z * p);
}

/* Beyond 1/2 by asin t = pi / 2 - 2 asin sqrt((1 - t) / 2), whose root is NaN for t > 1. */
static inline double asin_part(double t)
{
    const double z = t > 0.5 ? (1.0 - t) * 0.5 : t * t;
    return asin_near(t > 0.5 ? sqrt(z) : t, z);
}

static inline float asin_f32(float x)
{
    const double t = fabs((double)x), p = asin_part(t);
    return (float)copysign(t > 0.5 ? HALF_PI - 2.0 * p : p, (double)x);
}

static inline float acos_f32(float x)
{
    const double t = fabs((double)x), p = asin_part(t),
                 beyond = x < 0.0f ? 2.0 * HALF_PI - 2.0 * p : 2.0 * p;
    return (float)(t > 0.5 ? beyond : HALF_PI - copysign(p, (double)x));
}

/* Turned back by 0, pi / 4 or pi / 2, so that |t| <= tan(pi / 8). */
static inline float atan_f32(float x)
{
    const double a = fabs((double)x);
    const double over = a > 2.41421356 ? -1.0 : a > 0.41421356 ? a - 1.0 : a;
    const double under = a > 2.41421356 ? a : a > 0.41421356 ? a + 1.0 : 1.0;
    const double base = a > 2.41421356 ? HALF_PI : a > 0.41421356 ? HALF_PI * 0.5 : 0.0;
    const double t = over / under, z = t * t;
    double p = 0.0504793743204009;
    p = p * z - 0.08624598215196126;
    p = p * z + 0.11071354571201351;
    p = p * z - 0.14284150629730288;
    p = p * z + 0.1999997724823353;
    p = p * z - 0.3333333327922454;
    return (float)copysign(base + (t + t * (z * p)), (double)x);
}

static inline float cube_f32(float x)
{
    return (float)((double)x * (double)x * (double)x);
}

/* Remainder for |a / b| < 2^28, b finite: the quotient, rounded to double, is no whole number unless it is
 * one, and its product with b is exact. */
static inline int is_near_quotient(float a, float b)
{
    return fabsf(a) < 0x1p27f * fabsf(b) && fabsf(b) < INFINITY;
}

static inline float fmod_near(float a, float b)
{
    const double q = (double)a / (double)b, t = fabs(q), r = (t + 0x1p52) - 0x1p52;
    const double whole = copysign(r > t ? r - 1.0 : r, q);
    return (float)copysign((double)a - whole * (double)b, (double)a);
}

#endif
