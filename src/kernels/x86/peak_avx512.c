/* AVX-512: twelve chains of FMA, and of dot products of four bytes (VNNI). */
#include <immintrin.h>

#include "kernels/peak.h"

/* Variables of their own: an array would go through memory, and chains that are known to
 * begin alike would become one. */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define FLOATS(i)                                                                                  \
    __m512 s##i = _mm512_setzero_ps();                                                             \
    __asm__ volatile("" : "+v"(s##i));
#define INTS(i)                                                                                    \
    __m512i s##i = _mm512_setzero_si512();                                                         \
    __asm__ volatile("" : "+v"(s##i));
#define FMA(i) s##i = _mm512_fmadd_ps(a, b, s##i);
#define DOT(i) s##i = _mm512_dpbusd_epi32(s##i, a, b);
#define USE(i) __asm__ volatile("" : : "v"(s##i));

static double f32(int64_t steps)
{
    __m512 a = _mm512_set1_ps(1e-9f), b = a;
    TWELVE(FLOATS)
    for (int64_t i = 0; i < steps; i++) {
        __asm__ volatile("" : "+v"(a), "+v"(b));
        TWELVE(FMA)
    }
    TWELVE(USE)
    return 12.0 * 2 * 16 * (double)steps;
}

static double i8(int64_t steps)
{
    __m512i a = _mm512_set1_epi8(3), b = a;
    TWELVE(INTS)
    for (int64_t i = 0; i < steps; i++) {
        __asm__ volatile("" : "+v"(a), "+v"(b));
        TWELVE(DOT)
    }
    TWELVE(USE)
    return 12.0 * 2 * 64 * (double)steps;
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
