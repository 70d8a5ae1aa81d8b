/* Attention with AVX-512. */
#include <math.h>
#include "kernels/x86/vec_avx512_impl.h"

enum { LEVELS = 4 };

static inline vec vec_load_half(const uint16_t *from)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_times_power(vec y, vec n)
{
    const __m512i power = _mm512_slli_epi32(_mm512_castps_si512(n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(y), power));
}

static inline vec vec_zero_below(vec x, vec limit, vec y)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), y);
}

static inline void vec_store(float *to, vec v)
{
    _mm512_storeu_ps(to, v);
}

static inline vec vec_between(vec v, int begin, int end)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 in = _mm512_cmp_epi32_mask(lane, _mm512_set1_epi32(begin), _MM_CMPINT_NLT) &
                         _mm512_cmp_epi32_mask(lane, _mm512_set1_epi32(end), _MM_CMPINT_LT);
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), in, v);
}

static inline float vec_greatest(vec v)
{
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline __m256 halves_added(vec v)
{
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}

static inline float vec_total(vec v)
{
    const __m256 eight = halves_added(v);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* a in the low half of a register with b, c with d. */
static inline void vec_total_4(vec a16, vec b16, vec c16, vec d16, float *to)
{
    const __m256 a = halves_added(a16), b = halves_added(b16);
    const __m256 c = halves_added(c16), d = halves_added(d16);
    const __m256 ab =
        _mm256_add_ps(_mm256_blend_ps(a, b, 0xf0), _mm256_permute2f128_ps(a, b, 0x21));
    const __m256 cd =
        _mm256_add_ps(_mm256_blend_ps(c, d, 0xf0), _mm256_permute2f128_ps(c, d, 0x21));
    const __m256 pairs =
        _mm256_add_ps(_mm256_blend_ps(ab, cd, 0xcc), _mm256_shuffle_ps(ab, cd, 0x4e));
    const __m256 sums = _mm256_hadd_ps(pairs, pairs); /* a c a c | b d b d */
    _mm_storeu_ps(to,
                  _mm_unpacklo_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

#include "kernels/x86/attention_tiles_impl.h"

void adze_attention_init_avx512(adze_attention_table *table)
{
    *table = (adze_attention_table){block, block_scratch, rope};
}
