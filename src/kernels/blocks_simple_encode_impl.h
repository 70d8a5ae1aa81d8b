/* Encoding of the floats and of the formats whose scales are not themselves quantized, by the range of a
 * block and rounding: the very bytes of ggml's quantize_row_*_ref (ggml-quants.c) for all finite input
 * whose scale fits a float16; where it does not, the largest float16 stands instead of an infinity. */
#ifndef ADZE_KERNELS_BLOCKS_SIMPLE_ENCODE_IMPL_H
#define ADZE_KERNELS_BLOCKS_SIMPLE_ENCODE_IMPL_H
#include "kernels/blocks_bits_impl.h"
#include "kernels/blocks_matrix_impl.h"

static inline float largest_size(const float *x, int n)
{
    int32_t top = 0;
    for (int j = 0; j < n; j++) {
        int32_t bits;
        memcpy(&bits, &x[j], sizeof bits);
        bits &= 0x7fffffff;
        top = bits > top ? bits : top;
    }
    return float_of_bits((uint32_t)top);
}

/* The float of largest magnitude in x[n]; the first of them; 0 where all are zeros of either sign. */
static inline float largest(const float *x, int n)
{
    const float size = largest_size(x, n);
    int first = n - 1;
    for (int j = n - 2; j >= 0; j--)
        first = fabsf(x[j]) == size ? j : first;
    return size > 0.0f ? x[first] : 0.0f;
}

/* 1 / d, 0 for 0. Infinite where d is next to nothing: nothing can be said in its units, and q stays 0
 * as it does in ggml, whose conversion of an infinity to a byte gives that. */
static inline float inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

/* Half away from zero; |v| < 2^22. */
static inline int round_away(float v)
{
    return (int)(v + copysignf(0x1.fffffep-2f, v));
}

/* q[j] = (x[j] - origin) / d + half, cut, at most `most`. */
static inline void round_up_from(const float *x, int n, float origin, float id, float half,
                                 int most, uint8_t *q)
{
    if (isinf(id)) {
        memset(q, 0, (size_t)n);
        return;
    }
    for (int j = 0; j < n; j++) {
        const int v = (int)((x[j] - origin) * id + half);
        q[j] = (uint8_t)(v < most ? v : most);
    }
}

static inline void range(const float *x, int n, float *min, float *max)
{
    *min = *max = x[0];
    for (int j = 1; j < n; j++) {
        *min = x[j] < *min ? x[j] : *min;
        *max = x[j] > *max ? x[j] : *max;
    }
}

static inline void encode_block_q4_0(const float *x, uint8_t *b)
{
    const float d = largest(x, 32) / -8.0f;
    uint8_t q[32];
    round_up_from(x, 32, 0, inverse(d), 8.5f, 15, q);
    pack_q4_0(d, 0, q, b);
}

static inline void encode_block_q4_1(const float *x, uint8_t *b)
{
    float min, max;
    range(x, 32, &min, &max);
    const float d = (max - min) / 15.0f;
    uint8_t q[32];
    round_up_from(x, 32, min, inverse(d), 0.5f, 15, q);
    pack_q4_1(d, min, q, b);
}

static inline void encode_block_q5_0(const float *x, uint8_t *b)
{
    const float d = largest(x, 32) / -16.0f;
    uint8_t q[32];
    round_up_from(x, 32, 0, inverse(d), 16.5f, 31, q);
    pack_q5_0(d, 0, q, b);
}

static inline void encode_block_q5_1(const float *x, uint8_t *b)
{
    float min, max;
    range(x, 32, &min, &max);
    const float d = (max - min) / 31.0f;
    uint8_t q[32];
    round_up_from(x, 32, min, inverse(d), 0.5f, 31, q);
    pack_q5_1(d, min, q, b);
}

/* Rounded to signed bytes; the sum of them. */
static inline int round_bytes(const float *x, float id, uint8_t *b)
{
    int sum = 0;
    int8_t q[32];
    id = isinf(id) ? 0.0f : id;
    for (int j = 0; j < 32; j++)
        q[j] = (int8_t)round_away(x[j] * id);
    for (int j = 0; j < 32; j++)
        sum += q[j];
    memcpy(b, q, 32);
    return sum;
}

static inline void encode_block_q8_0(const float *x, uint8_t *b)
{
    const float d = largest_size(x, 32) / 127.0f;
    store_half(b, d);
    round_bytes(x, inverse(d), b + 2);
}

static inline void encode_block_q8_1(const float *x, uint8_t *b)
{
    const float d = largest_size(x, 32) / 127.0f;
    store_half(b, d);
    const uint16_t sum = float_to_half((float)round_bytes(x, inverse(d), b + 4) * d);
    memcpy(b + 2, &sum, sizeof sum);
}

/* The nearest of the values of float4e2m1 times 2 d; of two as near the smaller. */
static inline void round_fp4(const float *x, int n, float d, uint8_t *q)
{
    for (int j = 0; j < n; j++) {
        const float size = fabsf(x[j]);
        const int code = (size > 0.5f * d) + (size > 1.5f * d) + (size > 2.5f * d) +
                         (size > 3.5f * d) + (size > 5.0f * d) + (size > 7.0f * d) +
                         (size > 10.0f * d);
        q[j] = (uint8_t)(code + (x[j] < 0.0f && code > 0 ? 8 : 0));
    }
}

/* Very small blocks have ggml's code of the scale, which has gone round past 0, and only zeros. */
static inline void encode_block_mxfp4(const float *x, uint8_t *b)
{
    const float size = largest_size(x, 32);
    uint8_t q[32];
    b[0] = size > 0.0f ? (uint8_t)((int)floorf(log2f(size)) - 2 + 127) : 0;
    round_fp4(x, 32, fp4_scale(b[0]), q);
    pack_nibbles(q, 16, b + 1);
}

static inline void round_trits(const float *x, float id, uint8_t *q)
{
    id = isinf(id) ? 0.0f : id;
    for (int j = 0; j < 256; j++)
        q[j] = (uint8_t)(round_away(x[j] * id) + 1);
}

static inline void encode_block_tq1_0(const float *x, uint8_t *b)
{
    const float d = largest_size(x, 256);
    uint8_t q[256];
    round_trits(x, inverse(d), q);
    pack_trits(q, 32, 5, b);
    pack_trits(q + 160, 16, 5, b + 32);
    pack_trits(q + 240, 4, 4, b + 48);
    store_half(b + 52, d);
}

static inline void encode_block_tq2_0(const float *x, uint8_t *b)
{
    const float d = largest_size(x, 256);
    uint8_t q[256];
    round_trits(x, inverse(d), q);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *from = q + 128 * i + j;
            b[32 * i + j] = (uint8_t)(from[0] | from[32] << 2 | from[64] << 4 | from[96] << 6);
        }
    store_half(b + 64, d);
}

/* encode_<name> by encode_block_<name>; the importance does not change the bytes. */
#define ENCODER(name, block, bytes)                                                                \
    static void encode_##name(const float *src, int64_t n, const float *importance,                \
                              const void *tables, void *dst)                                       \
    {                                                                                              \
        ADZE_UNUSED(importance);                                                                   \
        ADZE_UNUSED(tables);                                                                       \
        uint8_t *to = dst;                                                                         \
        for (int64_t i = 0; i < n; i += (block), to += (bytes))                                    \
            encode_block_##name(src + i, to);                                                      \
    }

/* The same, but a search where there is an importance. */
#define ENCODER_OR_SEARCH(name, block, bytes)                                                      \
    static void encode_##name(const float *src, int64_t n, const float *importance,                \
                              const void *tables, void *dst)                                       \
    {                                                                                              \
        ADZE_UNUSED(tables);                                                                       \
        uint8_t *to = dst;                                                                         \
        if (importance)                                                                            \
            encode_matrix_##name(src, n, importance, dst);                                         \
        else                                                                                       \
            for (int64_t i = 0; i < n; i += (block), to += (bytes))                                \
                encode_block_##name(src + i, to);                                                  \
    }

ENCODER_OR_SEARCH(q4_0, 32, 18)
ENCODER_OR_SEARCH(q4_1, 32, 20)
ENCODER_OR_SEARCH(q5_0, 32, 22)
ENCODER_OR_SEARCH(q5_1, 32, 24)
ENCODER(q8_0, 32, 34)
ENCODER(q8_1, 32, 36)
ENCODER(mxfp4, 32, 17)
ENCODER(tq1_0, 256, 54)
ENCODER(tq2_0, 256, 66)

static void encode_f32(const float *src, int64_t n, const float *importance, const void *tables,
                       void *dst)
{
    ADZE_UNUSED(importance);
    ADZE_UNUSED(tables);
    memcpy(dst, src, (size_t)n * sizeof *src);
}

static void encode_f16(const float *src, int64_t n, const float *importance, const void *tables,
                       void *dst)
{
    ADZE_UNUSED(importance);
    ADZE_UNUSED(tables);
    uint8_t *to = dst;
    int64_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(to + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < n; i++) {
        const uint16_t h = float_to_half(src[i]);
        memcpy(to + 2 * i, &h, sizeof h);
    }
}

static void encode_bf16(const float *src, int64_t n, const float *importance, const void *tables,
                        void *dst)
{
    ADZE_UNUSED(importance);
    ADZE_UNUSED(tables);
    uint8_t *to = dst;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, src + i, sizeof bits);
        const uint16_t h = (bits & 0x7fffffffu) > 0x7f800000u
                               ? (uint16_t)(bits >> 16 | 0x40u)
                               : (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
        memcpy(to + 2 * i, &h, sizeof h);
    }
}

#endif
