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

static inline simde__m512 emulate_cvtph_ps(__m256i v)
{
    simde__m512_private to;
    to.m256[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(v));
    to.m256[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1));
    return simde__m512_from_private(to);
}
#define _mm512_cvtph_ps emulate_cvtph_ps

static inline simde__m512i emulate_cvtepu16_epi32(__m256i v)
{
    simde__m512i_private to;
    to.m256i[0] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(v));
    to.m256i[1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(v, 1));
    return simde__m512i_from_private(to);
}
#define _mm512_cvtepu16_epi32 emulate_cvtepu16_epi32

#endif
