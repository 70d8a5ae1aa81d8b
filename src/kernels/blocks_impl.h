/* What the block codecs share: reading and writing of scales, and decoding, which is the same for all
 * formats once a block is unpacked into small integers, a scale for each group of them, and for some
 * formats an offset: y = scale * q + offset. Included by blocks_*.c and x86/blocks_*_avx2.c. */
#ifndef ADZE_KERNELS_BLOCKS_IMPL_H
#define ADZE_KERNELS_BLOCKS_IMPL_H
#include <math.h>
#include <string.h>
#include "kernels/blocks.h"
#include "tensor/dtype.h"
#ifdef __F16C__
#include <immintrin.h>
#endif

static inline float half_to_float(uint16_t h)
{
#ifdef __F16C__
    return _cvtsh_ss(h);
#else
    return adze_f16_to_f32(h);
#endif
}

static inline uint16_t float_to_half(float f)
{
#ifdef __F16C__
    return (uint16_t)_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);
#else
    return adze_f32_to_f16(f);
#endif
}

static inline float load_half(const void *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return half_to_float(h);
}

/* The largest float16 instead of an infinity. */
static inline void store_half(void *p, float f)
{
    const uint16_t h = float_to_half(f > 65504.0f ? 65504.0f : f < -65504.0f ? -65504.0f : f);
    memcpy(p, &h, sizeof h);
}

static inline uint32_t load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* 2^(code - 128): half of float8e8m0, for the doubled values; 255 is no NaN here. */
static inline float fp4_scale(uint8_t code)
{
    return float_of_bits(code < 2 ? 0x200000u << code : (uint32_t)(code - 1) << 23);
}

/* dst[j] = scale * q[j] (+ offset); n is a multiple of 8. */
static inline void scale_group(const int8_t *q, int n, float scale, float *dst)
{
#ifdef __AVX2__
    const __m256 s = _mm256_set1_ps(scale);
    for (int j = 0; j < n; j += 8) {
        const __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(q + j)));
        _mm256_storeu_ps(dst + j, _mm256_mul_ps(s, _mm256_cvtepi32_ps(v)));
    }
#else
    for (int j = 0; j < n; j++)
        dst[j] = scale * (float)q[j];
#endif
}

static inline void scale_group_from(const int8_t *q, int n, float scale, float offset, float *dst)
{
#ifdef __AVX2__
    const __m256 s = _mm256_set1_ps(scale), o = _mm256_set1_ps(offset);
    for (int j = 0; j < n; j += 8) {
        const __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(q + j)));
        _mm256_storeu_ps(dst + j, _mm256_add_ps(_mm256_mul_ps(s, _mm256_cvtepi32_ps(v)), o));
    }
#else
    for (int j = 0; j < n; j++)
        dst[j] = scale * (float)q[j] + offset;
#endif
}

/* decode_<name> over unpack_<name>(block, q, scale, offset). */
#define DECODER(name, block, bytes, group, with_offset)                                            \
    static void decode_##name(const void *src, int64_t n, float *dst)                              \
    {                                                                                              \
        const uint8_t *from = src;                                                                 \
        for (int64_t i = 0; i < n; i += (block), from += (bytes), dst += (block)) {                \
            int8_t q[block];                                                                       \
            float scale[(block) / (group)], offset[(block) / (group)];                             \
            unpack_##name(from, q, scale, offset);                                                 \
            for (int g = 0; g < (block) / (group); g++)                                            \
                if (with_offset)                                                                   \
                    scale_group_from(q + g * (group), group, scale[g], offset[g],                  \
                                     dst + g * (group));                                           \
                else                                                                               \
                    scale_group(q + g * (group), group, scale[g], dst + g * (group));              \
        }                                                                                          \
    }

#endif
