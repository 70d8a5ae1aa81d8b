/* Products of language models with AVX-512 whose weights are floats: a vector is two rows. */
#include "kernels/x86/linear_avx2_impl.h"

enum { VEC_ROWS = 2, HIGH = 4, WIDE = 6 };
typedef __m512 vec;

INLINE vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}

INLINE vec vec_load_x(const float *x)
{
    return _mm512_castpd_ps(_mm512_broadcast_f64x4(_mm256_castps_pd(_mm256_loadu_ps(x))));
}

INLINE vec vec_load_w(linear_float type, const uint8_t *const *rows, size_t at)
{
    if (type == LINEAR_F32) {
        const __m256d low = _mm256_loadu_pd((const double *)(const void *)(rows[0] + at));
        const __m256d high = _mm256_loadu_pd((const double *)(const void *)(rows[1] + at));
        return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1));
    }
    const __m256i v = load_two(rows[0] + at, rows[1] + at);
    if (type == LINEAR_F16)
        return _mm512_cvtph_ps(v);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#define MULTIPLY_SOME(type)                                                                        \
    tokens >= 6   ? (multiply_rows(a, type, 6), 6)                                                 \
    : tokens >= 3 ? (multiply_rows(a, type, 3), 3)                                                 \
    : tokens == 2 ? (multiply_rows(a, type, 2), 2)                                                 \
                  : (multiply_rows(a, type, 1), 1)

#include "kernels/x86/linear_float_tiles_impl.h"

void linear_init_floats_avx512(adze_linear_table *table)
{
    table->floats = floats;
    table->floats_scratch = sizeof(workspace);
}
