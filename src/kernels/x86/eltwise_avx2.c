/* AVX2: the loops of the reference made wider by the compiler; by hand what it does not see. */
#include <immintrin.h>
#include "kernels/eltwise_impl.h"

static void f16_to_f32(int64_t n, const uint16_t *x, float *y)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    for (; i < n; i++) y[i] = _cvtsh_ss(x[i]);
}

static void f32_to_f16(int64_t n, const float *x, uint16_t *y)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

void adze_eltwise_init_avx2(adze_eltwise_table *table)
{
    fill(table);
    table->f16_to_f32 = f16_to_f32;
    table->f32_to_f16 = f32_to_f16;
}
