/* Small integers in and out of bytes, as several block formats lay them. */
#ifndef ADZE_KERNELS_BLOCKS_BITS_IMPL_H
#define ADZE_KERNELS_BLOCKS_BITS_IMPL_H
#include "kernels/blocks_impl.h"

/* 2 n numbers of 4 bits: the low halves of n bytes, then the high halves. */
static inline void unpack_nibbles(const uint8_t *packed, int n, int bias, int8_t *q)
{
    int j = 0;
#ifdef __AVX2__ /* compilers make a poor job of so short a loop */
    const __m128i low = _mm_set1_epi8(15), less = _mm_set1_epi8((char)bias);
    for (; j + 16 <= n; j += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(packed + j));
        const __m128i high = _mm_and_si128(_mm_srli_epi16(v, 4), low);
        _mm_storeu_si128((__m128i *)(q + j), _mm_sub_epi8(_mm_and_si128(v, low), less));
        _mm_storeu_si128((__m128i *)(q + j + n), _mm_sub_epi8(high, less));
    }
#endif
    for (; j < n; j++) {
        q[j] = (int8_t)((packed[j] & 15) - bias);
        q[j + n] = (int8_t)((packed[j] >> 4) - bias);
    }
}

static inline void pack_nibbles(const uint8_t *q, int n, uint8_t *packed)
{
    for (int j = 0; j < n; j++)
        packed[j] = (uint8_t)((q[j] & 15) | (q[j + n] & 15) << 4);
}

/* Adds the fifth bits of 32 numbers: element j has bit j. */
static inline void add_fifth_bits(const uint8_t *bits, int bias, int8_t *q)
{
#ifdef __AVX2__
    const __m256i byte_of =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of = _mm256_set1_epi64x((long long)0x8040201008040201u);
    const __m256i all = _mm256_shuffle_epi8(_mm256_set1_epi32((int)load_u32(bits)), byte_of);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(all, bit_of), bit_of);
    const __m256i fifth = _mm256_and_si256(set, _mm256_set1_epi8(16));
    const __m256i v = _mm256_add_epi8(_mm256_loadu_si256((const __m256i *)q), fifth);
    _mm256_storeu_si256((__m256i *)q, _mm256_sub_epi8(v, _mm256_set1_epi8((char)bias)));
#else
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 8; j++)
            q[8 * i + j] = (int8_t)(q[8 * i + j] + ((bits[i] >> j & 1) << 4) - bias);
#endif
}

static inline void pack_fifth_bits(const uint8_t *q, uint8_t *bits)
{
    for (int i = 0; i < 4; i++) {
        int byte = 0;
        for (int j = 0; j < 8; j++)
            byte |= (q[8 * i + j] >> 4 & 1) << j;
        bits[i] = (uint8_t)byte;
    }
}

/* 256 numbers of 2 bits: each 32 bytes hold four times 32 elements. */
static inline void unpack_pairs(const uint8_t *packed, int8_t *q)
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++)
            q[32 * i + j] = (int8_t)(packed[i / 4 * 32 + j] >> i % 4 * 2 & 3);
}

/* 256 numbers of 2 bits, the undoing of unpack_pairs. */
static inline void pack_pairs(const uint8_t *q, uint8_t *packed)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *from = q + 128 * i + j;
            packed[32 * i + j] = (uint8_t)((from[0] & 3) | (from[32] & 3) << 2 |
                                           (from[64] & 3) << 4 | (from[96] & 3) << 6);
        }
}

/* The powers of three are read off the top of a byte: v / 256 is a fraction whose digits in base 3 are
 * the elements. */
static inline void unpack_trits(const uint8_t *packed, int bytes, int digits, int8_t *q)
{
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    for (int k = 0; k < digits; k++)
        for (int j = 0; j < bytes; j++)
            q[k * bytes + j] = (int8_t)(((uint8_t)(packed[j] * power[k]) * 3 >> 8) - 1);
}

/* Digits of base 3 as the fraction v / 256, rounded up, so that reading off the top gives them back. */
static inline void pack_trits(const uint8_t *q, int bytes, int digits, uint8_t *packed)
{
    static const int power[5] = {81, 27, 9, 3, 1};
    for (int j = 0; j < bytes; j++) {
        int v = 0;
        for (int k = 0; k < digits; k++)
            v += power[k] * q[k * bytes + j];
        packed[j] = (uint8_t)((v * 256 + 242) / 243);
    }
}

/* Twice the values of float4e2m1. */
#define FP4_VALUES                                                                                 \
    {                                                                                              \
        0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12                                    \
    }

static inline void unpack_fp4(const uint8_t *packed, int n, int8_t *q)
{
    static const int8_t value[16] = FP4_VALUES;
    for (int j = 0; j < n; j++) {
        q[j] = value[packed[j] & 15];
        q[j + n] = value[packed[j] >> 4];
    }
}

#endif
