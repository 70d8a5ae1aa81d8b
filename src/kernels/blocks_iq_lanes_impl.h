/* Eight floats at once, in plain C and in AVX2, with the same result to the bit: what the encoders of the
 * IQ formats are written in. Sums are over eight partial sums, joined in one order. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_LANES_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_LANES_IMPL_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>

typedef __m256 lanes;

static inline lanes lanes_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes v)
{
    _mm256_storeu_ps(to, v);
}

static inline lanes lanes_set(float v)
{
    return _mm256_set1_ps(v);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_ps(a, b);
}

static inline lanes lanes_sub(lanes a, lanes b)
{
    return _mm256_sub_ps(a, b);
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return _mm256_mul_ps(a, b);
}

static inline lanes lanes_div(lanes a, lanes b)
{
    return _mm256_div_ps(a, b);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}

static inline lanes lanes_sqrt(lanes a)
{
    return _mm256_sqrt_ps(a);
}

static inline lanes lanes_abs(lanes a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* Bit i: a > b in lane i. */
static inline unsigned lanes_above(lanes a, lanes b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

/* Lane i: table[(code >> bits * i) mod 8]. */
static inline lanes lanes_pick(const float *table, uint32_t code, int bits)
{
    const __m256i shift =
        _mm256_mullo_epi32(_mm256_set1_epi32(bits), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i numbers = _mm256_srlv_epi32(_mm256_set1_epi32((int)code), shift);
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), numbers);
}

static inline float lanes_sum(lanes a)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

#else

typedef struct lanes {
    float v[8];
} lanes;

static inline lanes lanes_load(const float *from)
{
    lanes out;
    memcpy(out.v, from, sizeof out.v);
    return out;
}

static inline void lanes_store(float *to, lanes v)
{
    memcpy(to, v.v, sizeof v.v);
}

#define LANES_FUNCTION(name, arguments, value)                                                     \
    static inline lanes lanes_##name arguments                                                     \
    {                                                                                              \
        lanes out;                                                                                 \
        for (int i = 0; i < 8; i++)                                                                \
            out.v[i] = value;                                                                      \
        return out;                                                                                \
    }

LANES_FUNCTION(set, (float v), v)
LANES_FUNCTION(add, (lanes a, lanes b), a.v[i] + b.v[i])
LANES_FUNCTION(sub, (lanes a, lanes b), a.v[i] - b.v[i])
LANES_FUNCTION(mul, (lanes a, lanes b), a.v[i] * b.v[i])
LANES_FUNCTION(div, (lanes a, lanes b), a.v[i] / b.v[i])
LANES_FUNCTION(min, (lanes a, lanes b), a.v[i] < b.v[i] ? a.v[i] : b.v[i])
LANES_FUNCTION(max, (lanes a, lanes b), a.v[i] > b.v[i] ? a.v[i] : b.v[i])
LANES_FUNCTION(sqrt, (lanes a), sqrtf(a.v[i]))
LANES_FUNCTION(abs, (lanes a), fabsf(a.v[i]))
LANES_FUNCTION(pick, (const float *table, uint32_t code, int bits), table[code >> bits *i & 7])

static inline unsigned lanes_above(lanes a, lanes b)
{
    unsigned out = 0;
    for (int i = 0; i < 8; i++)
        out |= (unsigned)(a.v[i] > b.v[i]) << i;
    return out;
}

static inline float lanes_sum(lanes a)
{
    return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
}

#endif

static inline float lanes_largest(lanes a)
{
    float v[8];
    lanes_store(v, a);
    float out = v[0];
    for (int i = 1; i < 8; i++)
        out = v[i] > out ? v[i] : out;
    return out;
}

/* Half to even; |a| < 2^22. */
static inline lanes lanes_round(lanes a)
{
    const lanes large = lanes_set(12582912.0f);
    return lanes_sub(lanes_add(a, large), large);
}

#endif
