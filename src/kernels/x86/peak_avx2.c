/* AVX2: ten chains of FMA (latency 4, two a cycle, and two more); for 8 bits the pairs of 16-bit products
 * that exact kernels use. The empty assembly keeps the sums apart and alive. */
#include <immintrin.h>

#include "kernels/peak.h"

enum { CHAINS = 10, MADD_CHAINS = 6 };

static double f32(int64_t steps)
{
    __m256 sum[CHAINS], a = _mm256_set1_ps(1e-9f), b = a;
    __asm__ volatile("" : "+x"(a), "+x"(b));
    for (int k = 0; k < CHAINS; k++)
        sum[k] = _mm256_setzero_ps();
    for (int64_t i = 0; i < steps; i++)
#pragma GCC unroll 10
        for (int k = 0; k < CHAINS; k++) {
            sum[k] = _mm256_fmadd_ps(a, b, sum[k]);
            __asm__ volatile("" : "+x"(sum[k]));
        }
    return 2.0 * 8 * CHAINS * (double)steps;
}

static double i8(int64_t steps)
{
    __m256i sum[MADD_CHAINS], a = _mm256_set1_epi16(3), b = a;
    for (int k = 0; k < MADD_CHAINS; k++)
        sum[k] = _mm256_setzero_si256();
    for (int64_t i = 0; i < steps; i++)
#pragma GCC unroll 6
        for (int k = 0; k < MADD_CHAINS; k++) {
            __asm__ volatile("" : "+x"(a));
            sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(a, b));
            __asm__ volatile("" : "+x"(sum[k]));
        }
    return 2.0 * 16 * MADD_CHAINS * (double)steps;
}

static uint64_t read_all(const void *bytes, size_t size)
{
    const __m256i *p = bytes;
    size_t quarter = size / 128;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < quarter; i++) {
        a = _mm256_xor_si256(a, _mm256_load_si256(p + i));
        b = _mm256_xor_si256(b, _mm256_load_si256(p + i + quarter));
        c = _mm256_xor_si256(c, _mm256_load_si256(p + i + 2 * quarter));
        d = _mm256_xor_si256(d, _mm256_load_si256(p + i + 3 * quarter));
    }
    __m256i all = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return (uint64_t)_mm256_extract_epi64(all, 0) ^ (uint64_t)_mm256_extract_epi64(all, 1) ^
           (uint64_t)_mm256_extract_epi64(all, 2) ^ (uint64_t)_mm256_extract_epi64(all, 3);
}

void adze_peak_avx2(adze_peak_kernels *kernels)
{
    *kernels = (adze_peak_kernels){f32, i8, read_all};
}
