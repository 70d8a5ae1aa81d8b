/* Unpacking of the K formats (layouts: ggml-common.h of the ggml project): super-blocks of 256 in groups
 * of 16 or 32, whose scales (and offsets) are small integers times one float16 of the super-block. */
#ifndef ADZE_KERNELS_BLOCKS_K_IMPL_H
#define ADZE_KERNELS_BLOCKS_K_IMPL_H
#include "kernels/blocks_bits_impl.h"
#include "kernels/blocks_k_encode_impl.h"

static inline void unpack_q2_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    const float d = load_half(b + 80), dmin = load_half(b + 82);
    for (int g = 0; g < 16; g++) {
        scale[g] = d * (float)(b[g] & 15);
        offset[g] = -(dmin * (float)(b[g] >> 4));
    }
    unpack_pairs(b + 16, q);
}

/* 16 scales of 6 bits, less 32, in 12 bytes: 4 low bits each in eight, 2 high bits each in four. */
static inline int q3_K_scale(const uint8_t *packed, int g)
{
    const int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
    return (low | (packed[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32;
}

static inline void unpack_q3_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b + 108);
    for (int g = 0; g < 16; g++)
        scale[g] = d * (float)q3_K_scale(b + 96, g);
    unpack_pairs(b + 32, q);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++)
            q[32 * i + j] = (int8_t)(q[32 * i + j] + (b[j] >> i & 1) * 4 - 4);
}

/* 8 scales and 8 mins of 6 bits in 12 bytes: the first four of each in bytes 0 to 7, whose top bits are
 * those of the last four. */
static inline void unpack_scales_mins(const uint8_t *packed, uint8_t *scale, uint8_t *min)
{
    for (int g = 0; g < 4; g++) {
        scale[g] = packed[g] & 63;
        min[g] = packed[g + 4] & 63;
        scale[g + 4] = (uint8_t)((packed[g + 8] & 15) | packed[g] >> 6 << 4);
        min[g + 4] = (uint8_t)(packed[g + 8] >> 4 | packed[g + 4] >> 6 << 4);
    }
}

static inline void unpack_q45_K(const uint8_t *b, const uint8_t *nibbles, int8_t *q, float *scale,
                                float *offset)
{
    const float d = load_half(b), dmin = load_half(b + 2);
    uint8_t scales[8], mins[8];
    unpack_scales_mins(b + 4, scales, mins);
    for (int g = 0; g < 8; g++) {
        scale[g] = d * (float)scales[g];
        offset[g] = -(dmin * (float)mins[g]);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 32; j++) {
            q[64 * i + j] = (int8_t)(nibbles[32 * i + j] & 15);
            q[64 * i + 32 + j] = (int8_t)(nibbles[32 * i + j] >> 4);
        }
}

static inline void unpack_q4_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    unpack_q45_K(b, b + 16, q, scale, offset);
}

static inline void unpack_q5_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    unpack_q45_K(b, b + 48, q, scale, offset);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++)
            q[32 * i + j] = (int8_t)(q[32 * i + j] | (b[16 + j] >> i & 1) << 4);
}

static inline void unpack_q6_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b + 208);
    for (int g = 0; g < 16; g++)
        scale[g] = d * (float)(int8_t)b[192 + g];
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *low = b + 64 * h + j, high = b[128 + 32 * h + j];
            int8_t *to = q + 128 * h + j;
            to[0] = (int8_t)((low[0] & 15) + (high & 3) * 16 - 32);
            to[32] = (int8_t)((low[32] & 15) + (high >> 2 & 3) * 16 - 32);
            to[64] = (int8_t)((low[0] >> 4) + (high >> 4 & 3) * 16 - 32);
            to[96] = (int8_t)((low[32] >> 4) + (high >> 6) * 16 - 32);
        }
}

/* The last 32 bytes are the sums of 16 elements each, for products. */
static inline void unpack_q8_K(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = float_of_bits(load_u32(b));
    memcpy(q, b + 4, 256);
}

DECODER(q2_K, 256, 84, 16, true)
DECODER(q3_K, 256, 110, 16, false)
DECODER(q4_K, 256, 144, 32, true)
DECODER(q5_K, 256, 176, 32, true)
DECODER(q6_K, 256, 210, 16, false)
DECODER(q8_K, 256, 292, 256, false)

static inline void fill_k(adze_blocks_table *table)
{
    table->codec[ADZE_Q2_K].decode = decode_q2_K;
    table->codec[ADZE_Q2_K].encode = encode_q2_K;
    table->codec[ADZE_Q3_K].decode = decode_q3_K;
    table->codec[ADZE_Q3_K].encode = encode_q3_K;
    table->codec[ADZE_Q4_K].decode = decode_q4_K;
    table->codec[ADZE_Q4_K].encode = encode_q4_K;
    table->codec[ADZE_Q5_K].decode = decode_q5_K;
    table->codec[ADZE_Q5_K].encode = encode_q5_K;
    table->codec[ADZE_Q6_K].decode = decode_q6_K;
    table->codec[ADZE_Q6_K].encode = encode_q6_K;
    table->codec[ADZE_Q8_K].decode = decode_q8_K;
}

#endif
