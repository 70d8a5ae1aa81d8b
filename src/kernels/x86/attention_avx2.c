/* Attention with AVX2, FMA and F16C. */
#include "kernels/x86/vec_avx2_impl.h"

enum { LEVELS = 3 };

static inline vec vec_load_half(const uint16_t *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline void vec_store(float *to, vec v)
{
    _mm256_storeu_ps(to, v);
}

/* Lane l to l + 4, to l + 2, to l + 1; a in the low half of a register with b, c with d. */
static inline void vec_sum_4(vec a, vec b, vec c, vec d, float *to)
{
    const vec ab = _mm256_add_ps(_mm256_blend_ps(a, b, 0xf0), _mm256_permute2f128_ps(a, b, 0x21));
    const vec cd = _mm256_add_ps(_mm256_blend_ps(c, d, 0xf0), _mm256_permute2f128_ps(c, d, 0x21));
    const vec pairs = _mm256_add_ps(_mm256_blend_ps(ab, cd, 0xcc), _mm256_shuffle_ps(ab, cd, 0x4e));
    const vec sums = _mm256_hadd_ps(pairs, pairs); /* a c a c | b d b d */
    _mm_storeu_ps(to,
                  _mm_unpacklo_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

#include "kernels/x86/attention_tiles_impl.h"

void adze_attention_init_avx2(adze_attention_table *table)
{
    *table = (adze_attention_table){block, block_scratch, rope};
}
