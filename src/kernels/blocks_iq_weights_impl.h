/* What the encoders of the IQ formats start from, the elements and their weights, and how they compare
 * choices. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_WEIGHTS_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_WEIGHTS_IMPL_H
#include <float.h>
#include <stdbool.h>
#include "kernels/blocks_impl.h"
#include "kernels/blocks_iq_lanes_impl.h"

#define INLINE static inline __attribute__((always_inline))
/* For what serves all formats: GCC would make a copy of it for each. */
#ifdef __clang__
#define ONE_COPY static __attribute__((noinline))
#else
#define ONE_COPY static __attribute__((noinline, noclone))
#endif

/* What a choice of integers q is worth as a say on some elements: at scale s it costs
 * s * (s * qq - 2 * xq) more than zeros do. */
typedef struct iq_fit {
    float xq, qq;
} iq_fit;

static inline float fit_cost(iq_fit fit, float s)
{
    return s * (s * fit.qq - 2.0f * fit.xq);
}

/* x = source / unit, a power of two such that x is below 1 (2 for the very largest). Gives the unit; 0:
 * the source is next to nothing. */
static inline float load_values(const float *source, int n, float *x)
{
    lanes top = lanes_set(0.0f);
    for (int i = 0; i < n; i += 8)
        top = lanes_max(top, lanes_abs(lanes_load(source + i)));
    const float largest = lanes_largest(top);
    if (largest < 0x1p-60f)
        return 0.0f;
    int exponent;
    frexpf(largest, &exponent);
    const float unit = ldexpf(1.0f, exponent > 127 ? 127 : exponent);
    const lanes inverse = lanes_set(1.0f / unit);
    for (int i = 0; i < n; i += 8)
        lanes_store(x + i, lanes_mul(lanes_load(source + i), inverse));
    return unit;
}

/* The weight of an element is importance * sqrt(spread * mean square + square), without importance 1. (ggml
 * weighs by the square there, which costs far more accuracy than it gains: docs/block-types-iq.md.) */
static inline void load_weights(const float *x, int n, float spread, const float *importance,
                                float *w)
{
    lanes sum = lanes_set(0.0f), top = sum;
    for (int i = 0; i < n && importance; i += 8) {
        sum = lanes_add(sum, lanes_mul(lanes_load(x + i), lanes_load(x + i)));
        top = lanes_max(top, lanes_load(importance + i));
    }
    const lanes base = lanes_set(spread * lanes_sum(sum) / (float)n);
    const float most = lanes_largest(top);
    const lanes inverse = lanes_set(most > 0.0f ? 1.0f / most : 0.0f);
    for (int i = 0; i < n; i += 8) {
        lanes weight = lanes_set(1.0f);
        if (most > 0.0f) { /* even what is of no importance should be near */
            const lanes square = lanes_mul(lanes_load(x + i), lanes_load(x + i));
            const lanes part = lanes_mul(lanes_load(importance + i), inverse);
            weight = lanes_mul(lanes_add(part, lanes_set(0x1p-20f)),
                               lanes_sqrt(lanes_add(base, square)));
        }
        lanes_store(w + i, weight);
    }
}

/* The scale of a super-block (in units) as its float16 says it. */
static inline float round_scale(float unit, float d)
{
    uint16_t half;
    store_half(&half, d * unit);
    return half_to_float(half) / unit;
}

#endif
