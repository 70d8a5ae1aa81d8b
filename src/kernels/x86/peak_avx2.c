/* AVX2: ten chains of FMA (latency 4, two a cycle, and two more); for 8 bits the pairs of 16-bit products
 * that exact kernels use. The empty assembly keeps the sums alive and hides the factors. */
#include <immintrin.h>

#include "kernels/peak.h"

/* Variables of their own: an array would go through memory, and chains that are known to
 * begin alike would become one. */
#define SIX(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define TEN(X) SIX(X) X(6) X(7) X(8) X(9)
#define FLOATS(i)                                                                                  \
    __m256 s##i = _mm256_setzero_ps();                                                             \
    __asm__ volatile("" : "+x"(s##i));
#define INTS(i)                                                                                    \
    __m256i s##i = _mm256_setzero_si256();                                                         \
    __asm__ volatile("" : "+x"(s##i));
#define FMA(i) s##i = _mm256_fmadd_ps(a, b, s##i);
#define MADD(i)                                                                                    \
    __asm__ volatile("" : "+x"(a));                                                                \
    s##i = _mm256_add_epi32(s##i, _mm256_madd_epi16(a, b));
#define USE(i) __asm__ volatile("" : : "x"(s##i));

static double f32(int64_t steps)
{
    __m256 a = _mm256_set1_ps(1e-9f), b = a;
    TEN(FLOATS)
    for (int64_t i = 0; i < steps; i++) {
        __asm__ volatile("" : "+x"(a), "+x"(b));
        TEN(FMA)
    }
    TEN(USE)
    return 10.0 * 2 * 8 * (double)steps;
}

static double i8(int64_t steps)
{
    __m256i a = _mm256_set1_epi16(3), b = a;
    SIX(INTS)
    for (int64_t i = 0; i < steps; i++) {
        SIX(MADD)
    }
    SIX(USE)
    return 6.0 * 2 * 16 * (double)steps;
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
