/* Products of language models with AVX2 whose weights are floats: a vector is one row. */
#include "kernels/x86/linear_avx2_impl.h"

enum { VEC_ROWS = 1, HIGH = 4, WIDE = 3 };
typedef __m256 vec;

INLINE vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE vec vec_load(const float *p)
{
    return _mm256_load_ps(p);
}

INLINE void vec_store(float *p, vec v)
{
    _mm256_store_ps(p, v);
}

INLINE vec vec_load_x(const float *x)
{
    return _mm256_loadu_ps(x);
}

INLINE vec vec_load_w(linear_float type, const uint8_t *const *rows, size_t at)
{
    if (type == LINEAR_F32)
        return _mm256_loadu_ps((const float *)(const void *)(rows[0] + at));
    const __m128i v = _mm_loadu_si128((const __m128i *)(rows[0] + at));
    if (type == LINEAR_F16)
        return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#define MULTIPLY_SOME(type)                                                                        \
    tokens >= 3   ? (multiply_rows(a, type, 3), 3)                                                 \
    : tokens == 2 ? (multiply_rows(a, type, 2), 2)                                                 \
                  : (multiply_rows(a, type, 1), 1)

#include "kernels/x86/linear_float_tiles_impl.h"

void linear_init_floats_avx2(adze_linear_table *table)
{
    table->floats = floats;
    table->floats_scratch = sizeof(workspace);
}
