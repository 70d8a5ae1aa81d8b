/* Stands before the compiler's header where a kernel of a wider level is compiled to be tested on a
 * narrower machine: the intrinsics up to AVX2 are real, those above are emulated by SIMDe. */
#ifndef EMULATE_IMMINTRIN_H
#define EMULATE_IMMINTRIN_H
#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* Not in SIMDe 0.7. */
static inline simde__m512 emulate_cvtepi32_ps(simde__m512i v)
{
    simde__m512i_private from = simde__m512i_to_private(v);
    simde__m512_private to;
    for (int i = 0; i < 2; i++)
        to.m256[i] = _mm256_cvtepi32_ps(from.m256i[i]);
    return simde__m512_from_private(to);
}
#define _mm512_cvtepi32_ps emulate_cvtepi32_ps

#endif
