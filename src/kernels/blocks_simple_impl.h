/* Unpacking of the formats whose scales are not themselves quantized (layouts: ggml-common.h of the
 * ggml project; mxfp4: OCP Microscaling Formats 1.0). */
#ifndef ADZE_KERNELS_BLOCKS_SIMPLE_IMPL_H
#define ADZE_KERNELS_BLOCKS_SIMPLE_IMPL_H
#include "kernels/blocks_bits_impl.h"
#include "kernels/blocks_simple_encode_impl.h"

static inline void unpack_q4_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    unpack_nibbles(b + 2, 16, 8, q);
}

static inline void unpack_q4_1(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    *scale = load_half(b);
    *offset = load_half(b + 2);
    unpack_nibbles(b + 4, 16, 0, q);
}

static inline void unpack_q5_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    unpack_nibbles(b + 6, 16, 0, q);
    add_fifth_bits(b + 2, 16, q);
}

static inline void unpack_q5_1(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    *scale = load_half(b);
    *offset = load_half(b + 2);
    unpack_nibbles(b + 8, 16, 0, q);
    add_fifth_bits(b + 4, 0, q);
}

static inline void unpack_q8_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    memcpy(q, b + 2, 32);
}

/* Bytes 2 and 3 are the sum of the block, for products. */
static inline void unpack_q8_1(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    memcpy(q, b + 4, 32);
}

static inline void unpack_tq1_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b + 52);
    unpack_trits(b, 32, 5, q);
    unpack_trits(b + 32, 16, 5, q + 160);
    unpack_trits(b + 48, 4, 4, q + 240);
}

static inline void unpack_tq2_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b + 64);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++)
            q[32 * i + j] = (int8_t)((b[i / 4 * 32 + j] >> i % 4 * 2 & 3) - 1);
}

static inline void unpack_mxfp4(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = fp4_scale(b[0]);
    unpack_fp4(b + 1, 16, q);
}

/* Half of an unsigned float8 with 4 bits of exponent; 0x7f (its NaN) and 0 are zero; of codes from
 * 0x80 the top bit is not looked at. */
static inline float nvfp4_scale(uint8_t code)
{
    const uint32_t size = code & 0x7fu;
    if (code == 0 || code == 0x7f)
        return 0.0f;
    return size < 8 ? (float)size * 0x1p-10f : float_of_bits((size << 20) + (119u << 23));
}

static inline void unpack_nvfp4(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    for (int i = 0; i < 4; i++) {
        scale[i] = nvfp4_scale(b[i]);
        unpack_fp4(b + 4 + 8 * i, 8, q + 16 * i);
    }
}

static inline void unpack_q1_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            q[8 * i + j] = (int8_t)((b[2 + i] >> j & 1) * 2 - 1);
}

static inline void unpack_q2_0(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 4; j++)
            q[4 * i + j] = (int8_t)((b[2 + i] >> 2 * j & 3) - 1);
}

DECODER(q4_0, 32, 18, 32, false)
DECODER(q4_1, 32, 20, 32, true)
DECODER(q5_0, 32, 22, 32, false)
DECODER(q5_1, 32, 24, 32, true)
DECODER(q8_0, 32, 34, 32, false)
DECODER(q8_1, 32, 36, 32, false)
DECODER(tq1_0, 256, 54, 256, false)
DECODER(tq2_0, 256, 66, 256, false)
DECODER(mxfp4, 32, 17, 32, false)
DECODER(nvfp4, 64, 36, 16, false)
DECODER(q1_0, 128, 18, 128, false)
DECODER(q2_0, 64, 18, 64, false)

static void decode_f32(const void *src, int64_t n, float *dst)
{
    memcpy(dst, src, (size_t)n * sizeof *dst);
}

static void decode_bf16(const void *src, int64_t n, float *dst)
{
    const uint8_t *from = src;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + 2 * i, sizeof h);
        dst[i] = float_of_bits((uint32_t)h << 16);
    }
}

static void decode_f16(const void *src, int64_t n, float *dst)
{
    const uint8_t *from = src;
    int64_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + 2 * i))));
#endif
    for (; i < n; i++)
        dst[i] = load_half(from + 2 * i);
}

static inline void fill_simple(adze_blocks_table *table)
{
    table->codec[ADZE_F32].decode = decode_f32;
    table->codec[ADZE_F32].encode = encode_f32;
    table->codec[ADZE_F16].decode = decode_f16;
    table->codec[ADZE_F16].encode = encode_f16;
    table->codec[ADZE_BF16].decode = decode_bf16;
    table->codec[ADZE_BF16].encode = encode_bf16;
    table->codec[ADZE_Q4_0].decode = decode_q4_0;
    table->codec[ADZE_Q4_0].encode = encode_q4_0;
    table->codec[ADZE_Q4_1].decode = decode_q4_1;
    table->codec[ADZE_Q4_1].encode = encode_q4_1;
    table->codec[ADZE_Q5_0].decode = decode_q5_0;
    table->codec[ADZE_Q5_0].encode = encode_q5_0;
    table->codec[ADZE_Q5_1].decode = decode_q5_1;
    table->codec[ADZE_Q5_1].encode = encode_q5_1;
    table->codec[ADZE_Q8_0].decode = decode_q8_0;
    table->codec[ADZE_Q8_0].encode = encode_q8_0;
    table->codec[ADZE_Q8_1].decode = decode_q8_1;
    table->codec[ADZE_Q8_1].encode = encode_q8_1;
    table->codec[ADZE_TQ1_0].decode = decode_tq1_0;
    table->codec[ADZE_TQ1_0].encode = encode_tq1_0;
    table->codec[ADZE_TQ2_0].decode = decode_tq2_0;
    table->codec[ADZE_TQ2_0].encode = encode_tq2_0;
    table->codec[ADZE_MXFP4].decode = decode_mxfp4;
    table->codec[ADZE_MXFP4].encode = encode_mxfp4;
    table->codec[ADZE_NVFP4].decode = decode_nvfp4;
    table->codec[ADZE_Q1_0].decode = decode_q1_0;
    table->codec[ADZE_Q2_0].decode = decode_q2_0;
}

#endif
