/* Eight floats side by side, in plain C. What is written in these words gives the same bits at every CPU
 * level: x86/lanes_avx2_impl.h has the same words in instructions, and every sum has one order. */
#ifndef ADZE_KERNELS_LANES_IMPL_H
#define ADZE_KERNELS_LANES_IMPL_H
#define ADZE_KERNELS_LANES
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Sanitizers would check each lane of each inlined copy, and take minutes to compile. */
#ifdef __SANITIZE_ADDRESS__
#define LANES_FUNCTION __attribute__((noinline, unused)) static
#else
#define LANES_FUNCTION static inline
#endif

typedef struct f8 {
    float v[8];
} f8;

/* Of each lane yes (1) or no (0). */
typedef struct m8 {
    int v[8];
} m8;

#define EACH_LANE(type, expression)                                                                \
    type y;                                                                                        \
    for (int i = 0; i < 8; i++)                                                                    \
        y.v[i] = (expression);                                                                     \
    return y

LANES_FUNCTION f8 f8_set(float a)
{
    EACH_LANE(f8, a);
}

LANES_FUNCTION f8 f8_load(const float *from)
{
    f8 y;
    memcpy(y.v, from, sizeof y.v);
    return y;
}

LANES_FUNCTION void f8_store(float *to, f8 a)
{
    memcpy(to, a.v, sizeof a.v);
}

/* Whole numbers from 0 to 255. */
LANES_FUNCTION void f8_store_bytes(uint8_t *to, f8 a)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)a.v[i];
}

LANES_FUNCTION f8 f8_add(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] + b.v[i]);
}

LANES_FUNCTION f8 f8_sub(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] - b.v[i]);
}

LANES_FUNCTION f8 f8_mul(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] * b.v[i]);
}

LANES_FUNCTION f8 f8_div(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] / b.v[i]);
}

LANES_FUNCTION f8 f8_sqrt(f8 a)
{
    EACH_LANE(f8, sqrtf(a.v[i]));
}

LANES_FUNCTION f8 f8_abs(f8 a)
{
    EACH_LANE(f8, fabsf(a.v[i]));
}

/* b where a is not a number. */
LANES_FUNCTION f8 f8_min(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
}

LANES_FUNCTION f8 f8_max(f8 a, f8 b)
{
    EACH_LANE(f8, a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}

/* Half to even, where |a| < 2^22; a larger stays about what it is. */
LANES_FUNCTION f8 f8_round(f8 a)
{
    EACH_LANE(f8, (a.v[i] + 12582912.0f) - 12582912.0f);
}

LANES_FUNCTION m8 f8_less(f8 a, f8 b)
{
    EACH_LANE(m8, a.v[i] < b.v[i]);
}

LANES_FUNCTION m8 m8_and(m8 a, m8 b)
{
    EACH_LANE(m8, a.v[i] & b.v[i]);
}

LANES_FUNCTION m8 m8_or(m8 a, m8 b)
{
    EACH_LANE(m8, a.v[i] | b.v[i]);
}

LANES_FUNCTION f8 f8_select(m8 mask, f8 yes, f8 no)
{
    EACH_LANE(f8, mask.v[i] ? yes.v[i] : no.v[i]);
}

/* By halves. */
LANES_FUNCTION float f8_sum(f8 a)
{
    const float *v = a.v;
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

LANES_FUNCTION float f8_most(f8 a)
{
    float most = a.v[0];
    for (int i = 1; i < 8; i++)
        most = a.v[i] > most ? a.v[i] : most;
    return most;
}

/* to[j] has element j of the eight rows at from, from + stride, ... */
LANES_FUNCTION void f8_load_columns(const float *from, int stride, f8 *to)
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 8; i++)
            to[j].v[i] = from[i * stride + j];
}

#undef EACH_LANE
#undef LANES_FUNCTION
#endif
