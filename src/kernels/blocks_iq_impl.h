/* Unpacking of the IQ formats (layouts: ggml-common.h of the ggml project). A block is scales and points
 * of a grid (kernels/blocks_iq_grids_impl.h), signs apart; only iq4_nl and iq4_xs have a code for each
 * element. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_IMPL_H
#include "kernels/blocks_impl.h"
#include "kernels/blocks_iq_grids_impl.h"

static inline uint16_t load_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_8(int8_t *q, uint64_t bytes)
{
    memcpy(q, &bytes, sizeof bytes);
}

/* Each 32 elements: 4 bytes of points, 4 x 7 signs, 4 bits of scale. */
static inline void unpack_iq2_xxs(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    b += 2;
    for (int g = 0; g < 8; g++, b += 8, q += 32) {
        const uint32_t rest = load_u32(b + 4);
        scale[g] = d * (0.5f + (float)(rest >> 28)) * 0.25f;
        for (int i = 0; i < 4; i++)
            store_8(q + 8 * i, negate_bytes(iq2_levels(spread_pairs(adze_iq2_xxs_grid[b[i]])),
                                            even_signs(rest >> 7 * i)));
    }
}

/* Each 8 elements: 9 bits of point, 7 signs; then the scales of 16 elements, 4 bits each. */
static inline void unpack_iq2_xs(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    for (int g = 0; g < 16; g++)
        scale[g] = d * (0.5f + (float)(b[66 + g / 2] >> g % 2 * 4 & 15)) * 0.25f;
    for (int i = 0; i < 32; i++) {
        const uint16_t code = load_u16(b + 2 + 2 * i);
        store_8(q + 8 * i, negate_bytes(iq2_levels(spread_pairs(adze_iq2_xs_grid[code & 511])),
                                        even_signs(code >> 9)));
    }
}

/* 32 low bytes of points, 32 bytes of signs, 8 bytes with the 2 high bits of points, scales as in iq2_xs. */
static inline void unpack_iq2_s(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    for (int g = 0; g < 16; g++)
        scale[g] = d * (0.5f + (float)(b[74 + g / 2] >> g % 2 * 4 & 15)) * 0.25f;
    for (int i = 0; i < 32; i++) {
        const int point = b[2 + i] | (b[66 + i / 4] >> i % 4 * 2 & 3) << 8;
        store_8(q + 8 * i,
                negate_bytes(iq2_levels(spread_pairs(adze_iq2_s_grid[point])), b[34 + i]));
    }
}

/* 64 points of 4 elements; then for each 32 elements 4 x 7 signs and 4 bits of scale. */
static inline void unpack_iq3_xxs(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    for (int g = 0; g < 8; g++) {
        const uint32_t rest = load_u32(b + 66 + 4 * g);
        scale[g] = d * (0.5f + (float)(rest >> 28)) * 0.5f;
        for (int i = 4 * g; i < 4 * g + 4; i++) {
            const uint64_t numbers =
                spread_triples(adze_iq3_xxs_grid[b[2 + 2 * i]], adze_iq3_xxs_grid[b[3 + 2 * i]]);
            store_8(q + 8 * i,
                    negate_bytes(iq3_xxs_levels(numbers), even_signs(rest >> i % 4 * 7)));
        }
    }
}

/* 64 low bytes of points, 8 bytes with their ninth bits, 32 bytes of signs, 4 bytes of scales. */
static inline void unpack_iq3_s(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    for (int g = 0; g < 8; g++)
        scale[g] = d * (float)(1 + 2 * (b[106 + g / 2] >> g % 2 * 4 & 15));
    for (int i = 0; i < 32; i++) {
        const int high = b[66 + i / 4] >> i % 4 * 2;
        const uint64_t numbers = spread_triples(adze_iq3_s_grid[b[2 + 2 * i] | (high & 1) << 8],
                                                adze_iq3_s_grid[b[3 + 2 * i] | (high & 2) << 7]);
        store_8(q + 8 * i, negate_bytes(iq3_s_levels(numbers), b[74 + i]));
    }
}

/* 32 low bytes of points; then for each 32 elements 4 x 3 high bits, 3 bits of scale, and whether the
 * levels lie an eighth lower instead of higher. */
static inline void unpack_iq1_s(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    for (int g = 0; g < 8; g++) {
        const uint16_t rest = load_u16(b + 34 + 2 * g);
        scale[g] = d * (float)(2 * (rest >> 12 & 7) + 1) * 0.125f;
        for (int i = 0; i < 4; i++) {
            const int point = b[2 + 4 * g + i] | (rest >> 3 * i & 7) << 8;
            store_8(q + 32 * g + 8 * i,
                    iq1_levels(spread_pairs(adze_iq1_grid[point]), rest >> 15 != 0));
        }
    }
}

/* 32 low bytes of points; 32 x 4 bits: 3 high bits and whether lower; then 4 x 16 bits, each four scales
 * of 3 bits and, highest, 4 bits of the float16 that multiplies all of them. */
static inline void unpack_iq1_m(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    uint16_t scales[4], whole = 0;
    for (int i = 0; i < 4; i++) {
        scales[i] = load_u16(b + 48 + 2 * i);
        whole = (uint16_t)(whole | scales[i] >> 12 << 4 * i);
    }
    const float d = half_to_float(whole);
    for (int g = 0; g < 16; g++)
        scale[g] = d * (float)(2 * (scales[g / 4] >> g % 4 * 3 & 7) + 1) * 0.125f;
    for (int i = 0; i < 32; i++) {
        const int high = b[32 + i / 2] >> i % 2 * 4;
        const uint16_t code = adze_iq1_grid[b[i] | (high & 7) << 8];
        store_8(q + 8 * i, iq1_levels(spread_pairs(code), (high & 8) != 0));
    }
}

static inline void unpack_iq4_codes(const uint8_t *packed, int8_t *q)
{
    static const int8_t value[16] = IQ4_VALUES;
    for (int j = 0; j < 16; j++) {
        q[j] = value[packed[j] & 15];
        q[j + 16] = value[packed[j] >> 4];
    }
}

static inline void unpack_iq4_nl(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    *scale = load_half(b);
    unpack_iq4_codes(b + 2, q);
}

/* Scales of 6 bits, less 32: 2 high bits each in 16, then 4 low bits each in four bytes. */
static inline void unpack_iq4_xs(const uint8_t *b, int8_t *q, float *scale, float *offset)
{
    ADZE_UNUSED(offset);
    const float d = load_half(b);
    const int high = load_u16(b + 2);
    for (int g = 0; g < 8; g++) {
        const int low = b[4 + g / 2] >> g % 2 * 4 & 15;
        scale[g] = d * (float)((low | (high >> 2 * g & 3) << 4) - 32);
        unpack_iq4_codes(b + 8 + 16 * g, q + 32 * g);
    }
}

DECODER(iq1_s, 256, 50, 32, false)
DECODER(iq1_m, 256, 56, 16, false)
DECODER(iq2_xxs, 256, 66, 32, false)
DECODER(iq2_xs, 256, 74, 16, false)
DECODER(iq2_s, 256, 82, 16, false)
DECODER(iq3_xxs, 256, 98, 32, false)
DECODER(iq3_s, 256, 110, 32, false)
DECODER(iq4_nl, 32, 18, 32, false)
DECODER(iq4_xs, 256, 136, 32, false)

static inline void fill_iq(adze_blocks_table *table)
{
    table->codec[ADZE_IQ1_S].decode = decode_iq1_s;
    table->codec[ADZE_IQ1_M].decode = decode_iq1_m;
    table->codec[ADZE_IQ2_XXS].decode = decode_iq2_xxs;
    table->codec[ADZE_IQ2_XS].decode = decode_iq2_xs;
    table->codec[ADZE_IQ2_S].decode = decode_iq2_s;
    table->codec[ADZE_IQ3_XXS].decode = decode_iq3_xxs;
    table->codec[ADZE_IQ3_S].decode = decode_iq3_s;
    table->codec[ADZE_IQ4_NL].decode = decode_iq4_nl;
    table->codec[ADZE_IQ4_XS].decode = decode_iq4_xs;
}

#endif
