/* From scaled sums to bytes with AVX-512, as adze_requantize does. */
#ifndef ADZE_KERNELS_X86_REQUANTIZE_AVX512_IMPL_H
#define ADZE_KERNELS_X86_REQUANTIZE_AVX512_IMPL_H
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/x86/tile_impl.h"

/* Signed outputs are made as unsigned ones 128 higher, then flipped. */
typedef struct adze_rounding {
    __m512 high;
    __m512i zero, lo, hi, flip;
    bool wide;   /* conversion to integer might overflow: clamp before it */
    bool clamps; /* lo or hi are not what saturation gives anyway */
    bool is_signed;
} adze_rounding;

static inline adze_rounding adze_rounding_make(int32_t zero, int32_t lo, int32_t hi, bool is_signed,
                                               bool wide)
{
    int32_t shift = is_signed ? 128 : 0;
    return (adze_rounding){
        .high = _mm512_set1_ps((float)(hi - zero)),
        .zero = _mm512_set1_epi16((short)(zero + shift)),
        .lo = _mm512_set1_epi8((char)(lo + shift)),
        .hi = _mm512_set1_epi8((char)(hi + shift)),
        .flip = _mm512_set1_epi8((char)shift),
        .wide = wide,
        .clamps = lo + shift > 0 || hi + shift < 255,
        .is_signed = is_signed,
    };
}

/* Whether an exact sum times this scale may leave the range of int32 (or is not a number). */
static inline bool adze_scale_is_wide(__m512 scale)
{
    __m512 one = _mm512_set1_ps(1);
    return _mm512_cmp_ps_mask(_mm512_abs_ps(scale), one, _CMP_LT_OQ) != 0xffff;
}

/* 64 bytes. Lane i of 128 bits holds four bytes of lane i of v[0], then of v[1], v[2], v[3].
 * Saturation of the 16-bit and 8-bit steps lies outside of lo and hi, so the result is exact. */
INLINE __m512i adze_to_bytes(const adze_rounding *to, __m512 v[4])
{
    if (to->wide) {
        UNROLL
        for (int i = 0; i < 4; i++)
            v[i] = _mm512_min_ps(v[i], to->high);
    }
    __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
    __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
    __m512i bytes =
        _mm512_packus_epi16(_mm512_adds_epi16(low, to->zero), _mm512_adds_epi16(high, to->zero));
    if (to->clamps)
        bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, to->lo), to->hi);
    return to->is_signed ? _mm512_xor_si512(bytes, to->flip) : bytes;
}

#endif
