/* Attention with AVX-512. */
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

static inline void vec_store(float *to, vec v)
{
    _mm512_storeu_ps(to, v);
}

static inline __m256 halves_added(vec v)
{
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}

/* Lane l to l + 8, to l + 4, to l + 2, to l + 1; a in the low half of a register with b, c with d. */
static inline void vec_sum_4(vec a16, vec b16, vec c16, vec d16, float *to)
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
