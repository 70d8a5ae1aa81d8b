/* AVX-512: twelve chains of FMA, and of dot products of four bytes (VNNI). */
#include <immintrin.h>

#include "kernels/peak.h"

enum { CHAINS = 12 };

static double f32(int64_t steps)
{
    __m512 sum[CHAINS], a = _mm512_set1_ps(1e-9f), b = a;
    __asm__ volatile("" : "+v"(a), "+v"(b));
    for (int k = 0; k < CHAINS; k++)
        sum[k] = _mm512_setzero_ps();
    for (int64_t i = 0; i < steps; i++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++) {
            sum[k] = _mm512_fmadd_ps(a, b, sum[k]);
            __asm__ volatile("" : "+v"(sum[k]));
        }
    return 2.0 * 16 * CHAINS * (double)steps;
}

static double i8(int64_t steps)
{
    __m512i sum[CHAINS], a = _mm512_set1_epi8(3), b = a;
    __asm__ volatile("" : "+v"(a), "+v"(b));
    for (int k = 0; k < CHAINS; k++)
        sum[k] = _mm512_setzero_si512();
    for (int64_t i = 0; i < steps; i++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++) {
            sum[k] = _mm512_dpbusd_epi32(sum[k], a, b);
            __asm__ volatile("" : "+v"(sum[k]));
        }
    return 2.0 * 64 * CHAINS * (double)steps;
}

static uint64_t read_all(const void *bytes, size_t size)
{
    const __m512i *p = bytes;
    size_t quarter = size / 256;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i < quarter; i++) {
        a = _mm512_xor_si512(a, _mm512_load_si512(p + i));
        b = _mm512_xor_si512(b, _mm512_load_si512(p + i + quarter));
        c = _mm512_xor_si512(c, _mm512_load_si512(p + i + 2 * quarter));
        d = _mm512_xor_si512(d, _mm512_load_si512(p + i + 3 * quarter));
    }
    __m512i all = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
    return (uint64_t)_mm512_reduce_or_epi64(all);
}

void adze_peak_avx512(adze_peak_kernels *kernels)
{
    *kernels = (adze_peak_kernels){f32, i8, read_all};
}
