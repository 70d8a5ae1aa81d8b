/* Eight floats side by side: lanes_impl.h in AVX2. */
#ifndef ADZE_KERNELS_X86_LANES_AVX2_IMPL_H
#define ADZE_KERNELS_X86_LANES_AVX2_IMPL_H
#define ADZE_KERNELS_LANES
#include <immintrin.h>
#include <stdint.h>

typedef __m256 f8;
typedef __m256 m8; /* all bits or none */

static inline f8 f8_set(float a)
{
    return _mm256_set1_ps(a);
}

static inline f8 f8_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void f8_store(float *to, f8 a)
{
    _mm256_storeu_ps(to, a);
}

static inline void f8_store_bytes(uint8_t *to, f8 a)
{
    const __m256i v = _mm256_cvtps_epi32(a);
    const __m128i pairs =
        _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(pairs, pairs));
}

static inline f8 f8_add(f8 a, f8 b)
{
    return _mm256_add_ps(a, b);
}

static inline f8 f8_sub(f8 a, f8 b)
{
    return _mm256_sub_ps(a, b);
}

static inline f8 f8_mul(f8 a, f8 b)
{
    return _mm256_mul_ps(a, b);
}

static inline f8 f8_div(f8 a, f8 b)
{
    return _mm256_div_ps(a, b);
}

static inline f8 f8_sqrt(f8 a)
{
    return _mm256_sqrt_ps(a);
}

static inline f8 f8_abs(f8 a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline f8 f8_min(f8 a, f8 b)
{
    return _mm256_min_ps(a, b);
}

static inline f8 f8_max(f8 a, f8 b)
{
    return _mm256_max_ps(a, b);
}

static inline f8 f8_round(f8 a)
{
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    return _mm256_sub_ps(_mm256_add_ps(a, magic), magic);
}

static inline m8 f8_less(f8 a, f8 b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline m8 m8_and(m8 a, m8 b)
{
    return _mm256_and_ps(a, b);
}

static inline m8 m8_or(m8 a, m8 b)
{
    return _mm256_or_ps(a, b);
}

static inline f8 f8_select(m8 mask, f8 yes, f8 no)
{
    return _mm256_blendv_ps(no, yes, mask);
}

static inline float f8_sum(f8 a)
{
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

static inline float f8_most(f8 a)
{
    __m128 v = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)));
}

static inline void f8_load_columns(const float *from, int stride, f8 *to)
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i++) { /* rows i and i + 4 share a register */
        const float *low = from + i % 4 * stride + (i < 4 ? 0 : 4);
        a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)),
                                    _mm_loadu_ps(low + 4 * stride), 1);
    }
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            to[i + 2 * j] = _mm256_shuffle_ps(b[i + j], b[i + j + 2], 0x44);
            to[i + 2 * j + 1] = _mm256_shuffle_ps(b[i + j], b[i + j + 2], 0xee);
        }
}

#endif
