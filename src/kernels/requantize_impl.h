/* The one definition of rounding a float to a quantized integer, for the families of this folder. */
#ifndef ADZE_KERNELS_REQUANTIZE_IMPL_H
#define ADZE_KERNELS_REQUANTIZE_IMPL_H
#include <math.h>
#include <stdint.h>

/* rint(v clamped to [lo - zero, hi - zero]) + zero, half to even. Clamping first, in float, keeps the
 * conversion in range, where every instruction set agrees; NaN gives hi. */
static inline int32_t adze_requantize(float v, int32_t zero, int32_t lo, int32_t hi)
{
    float low = (float)(lo - zero), high = (float)(hi - zero);
    v = v < high ? v : high;
    v = v > low ? v : low;
    return (int32_t)rintf(v) + zero;
}

#endif
