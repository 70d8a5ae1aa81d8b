/* AVX2: the loops of the reference made wider by the compiler; by hand what it does not see. */
#include <immintrin.h>
#include "kernels/eltwise_impl.h"

static void f16_to_f32(int64_t n, const uint16_t *x, float *y)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    for (; i < n; i++)
        y[i] = _cvtsh_ss(x[i]);
}

static void f32_to_f16(int64_t n, const float *x, uint16_t *y)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

/* Four sums of 16 bytes each at once; they have room in 64 bits. */
static int32_t sum_u8(int64_t n, const uint8_t *x, uint8_t flip)
{
    const __m256i flips = _mm256_set1_epi8((char)flip);
    __m256i sums = _mm256_setzero_si256();
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(x + i));
        sums = _mm256_add_epi64(
            sums, _mm256_sad_epu8(_mm256_xor_si256(v, flips), _mm256_setzero_si256()));
    }
    int64_t part[4];
    _mm256_storeu_si256((__m256i *)part, sums);
    int64_t sum = part[0] + part[1] + part[2] + part[3];
    for (; i < n; i++)
        sum += x[i] ^ flip;
    return (int32_t)sum;
}

void adze_eltwise_init_avx2(adze_eltwise_table *table)
{
    fill(table);
    table->f16_to_f32 = f16_to_f32;
    table->f32_to_f16 = f32_to_f16;
    table->sum_u8 = sum_u8;
}
