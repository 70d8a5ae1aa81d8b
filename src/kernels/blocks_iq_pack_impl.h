/* The grid formats as shapes for the encoder, and how what it finds is laid out (see
 * kernels/blocks_iq_impl.h for the layouts). Spreads of the weights are those of
 * quantize_row_iq*_impl in ggml-quants.c. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_PACK_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_PACK_IMPL_H
#include "kernels/blocks_iq4_encode_impl.h"
#include "kernels/blocks_iq_encode_impl.h"
#include "kernels/blocks_iq_impl.h"

/* clang-format off */
#define IQ1_LEVELS(shift) {(shift) - 1, (shift), (shift) + 1, 0, (shift) - 1, (shift), (shift) + 1, 0}
#define IQ1_GRID {adze_iq1_grid, 2048, 2}, {IQ1_LEVELS(0.125f), IQ1_LEVELS(-0.125f)}
#define IQ2_GRID(name, points) \
    {adze_##name##_grid, points, 2}, {{1, 3.125f, 5.375f, 0, 1, 3.125f, 5.375f, 0}}
#define IQ3_XXS_GRID {adze_iq3_xxs_grid, 256, 3}, {{1, 3, 5, 7, 9, 11, 13, 15.5f}}
#define IQ3_S_GRID {adze_iq3_s_grid, 512, 3}, {{1, 3, 5, 7, 9, 11, 13, 15}}

/* grid and levels, group, scales, signs, shifts, spread, scales tried: from, to, how many */
static const iq_shape
    iq1_s_shape = {IQ1_GRID, 32, 8, SIGNS_IN_GRID, SHIFT_OF_GROUP, 2, 0.7f, 1.8f, 5},
    iq1_m_shape = {IQ1_GRID, 16, 8, SIGNS_IN_GRID, SHIFT_OF_EIGHT, 2, 0.7f, 1.8f, 5},
    iq2_xxs_shape = {IQ2_GRID(iq2_xxs, 256), 32, 16, SIGNS_EVEN, SHIFT_NONE, 1, 0.7f, 1.9f, 5},
    iq2_xs_shape = {IQ2_GRID(iq2_xs, 512), 16, 16, SIGNS_EVEN, SHIFT_NONE, 1, 0.7f, 1.9f, 5},
    iq2_s_shape = {IQ2_GRID(iq2_s, 1024), 16, 16, SIGNS_FREE, SHIFT_NONE, 2, 0.7f, 1.9f, 5},
    iq3_xxs_shape = {IQ3_XXS_GRID, 32, 16, SIGNS_EVEN, SHIFT_NONE, 2, 0.7f, 1.4f, 7},
    iq3_s_shape = {IQ3_S_GRID, 32, 16, SIGNS_FREE, SHIFT_NONE, 2, 0.7f, 1.4f, 7};
/* clang-format on */

static inline void or_u16(uint8_t *p, unsigned bits)
{
    const uint16_t v = (uint16_t)(load_u16(p) | bits);
    memcpy(p, &v, sizeof v);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

/* Four times seven signs and a scale. */
static inline uint32_t signs_and_scale(const iq_work *work, int g)
{
    uint32_t out = (uint32_t)work->scale[g] << 28;
    for (int i = 0; i < 4; i++)
        out |= (uint32_t)(work->signs[4 * g + i] & 127) << 7 * i;
    return out;
}

static inline void pack_scales(const iq_work *work, int groups, uint8_t *b)
{
    for (int g = 0; g < groups; g++)
        b[g / 2] = (uint8_t)(b[g / 2] | work->scale[g] << g % 2 * 4);
}

static inline void pack_iq1_s(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++) {
        const unsigned point = point_number(&iq1_s_shape.grid, tables, work->code[e] & 0xffff);
        b[2 + e] = (uint8_t)point;
        or_u16(b + 34 + e / 4 * 2, point >> 8 << e % 4 * 3);
    }
    for (int g = 0; g < 8; g++)
        or_u16(b + 34 + 2 * g,
               (unsigned)work->scale[g] << 12 | (work->code[4 * g] & SHIFTED ? 0x8000 : 0));
}

static inline void pack_iq1_m(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    for (int e = 0; e < EIGHTS; e++) {
        const unsigned point = point_number(&iq1_m_shape.grid, tables, work->code[e] & 0xffff);
        const unsigned high = point >> 8 | (work->code[e] & SHIFTED ? 8 : 0);
        b[e] = (uint8_t)point;
        b[32 + e / 2] = (uint8_t)(b[32 + e / 2] | high << e % 2 * 4);
    }
    for (int g = 0; g < GROUPS; g++)
        or_u16(b + 48 + g / 4 * 2, (unsigned)work->scale[g] << g % 4 * 3);
    for (int i = 0; i < 4; i++)
        or_u16(b + 48 + 2 * i, (unsigned)(work->d >> 4 * i & 15) << 12);
}

static inline void pack_iq2_xxs(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++)
        b[2 + e / 4 * 8 + e % 4] =
            (uint8_t)point_number(&iq2_xxs_shape.grid, tables, work->code[e]);
    for (int g = 0; g < 8; g++)
        store_u32(b + 6 + 8 * g, signs_and_scale(work, g));
}

static inline void pack_iq2_xs(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++)
        or_u16(b + 2 + 2 * e, point_number(&iq2_xs_shape.grid, tables, work->code[e]) |
                                  (unsigned)(work->signs[e] & 127) << 9);
    pack_scales(work, GROUPS, b + 66);
}

static inline void pack_iq2_s(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++) {
        const unsigned point = point_number(&iq2_s_shape.grid, tables, work->code[e]);
        b[2 + e] = (uint8_t)point;
        b[66 + e / 4] = (uint8_t)(b[66 + e / 4] | point >> 8 << e % 4 * 2);
    }
    memcpy(b + 34, work->signs, EIGHTS);
    pack_scales(work, GROUPS, b + 74);
}

static inline void pack_iq3_xxs(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    const iq_grid *grid = &iq3_xxs_shape.grid;
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++) {
        b[2 + 2 * e] = (uint8_t)point_number(grid, tables, work->code[e] & 4095);
        b[3 + 2 * e] = (uint8_t)point_number(grid, tables, work->code[e] >> 12);
    }
    for (int g = 0; g < 8; g++)
        store_u32(b + 66 + 4 * g, signs_and_scale(work, g));
}

static inline void pack_iq3_s(const iq_work *work, const iq_tables *tables, uint8_t *b)
{
    const iq_grid *grid = &iq3_s_shape.grid;
    memcpy(b, &work->d, 2);
    for (int e = 0; e < EIGHTS; e++) {
        const unsigned first = point_number(grid, tables, work->code[e] & 4095);
        const unsigned second = point_number(grid, tables, work->code[e] >> 12);
        b[2 + 2 * e] = (uint8_t)first;
        b[3 + 2 * e] = (uint8_t)second;
        b[66 + e / 4] = (uint8_t)(b[66 + e / 4] | (first >> 8 | second >> 8 << 1) << e % 4 * 2);
    }
    memcpy(b + 74, work->signs, EIGHTS);
    pack_scales(work, 8, b + 106);
}

/* encode_<name> and tables_init_<name>. */
#define ENCODER(name, bytes)                                                                       \
    static void encode_##name(const float *src, int64_t n, const float *importance,                \
                              const void *tables, void *dst)                                       \
    {                                                                                              \
        uint8_t *to = dst;                                                                         \
        for (int64_t i = 0; i < n; i += SUPER, to += (bytes)) {                                    \
            iq_work work;                                                                          \
            memset(to, 0, bytes);                                                                  \
            if (encode_super(&name##_shape, tables, src + i, importance ? importance + i : NULL,   \
                             &work))                                                               \
                pack_##name(&work, tables, to);                                                    \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void tables_init_##name(void *tables)                                                   \
    {                                                                                              \
        adze_iq_tables_init(&name##_shape.grid, name##_shape.level[0], tables);                    \
    }

ENCODER(iq1_s, 50)
ENCODER(iq1_m, 56)
ENCODER(iq2_xxs, 66)
ENCODER(iq2_xs, 74)
ENCODER(iq2_s, 82)
ENCODER(iq3_xxs, 98)
ENCODER(iq3_s, 110)

#define FILL_ENCODER(type, name, needs)                                                            \
    do {                                                                                           \
        adze_block_codec *codec = &table->codec[type];                                             \
        codec->encode = encode_##name;                                                             \
        codec->needs_importance = needs;                                                           \
        codec->tables_size = grid_tables_size(&name##_shape.grid);                                 \
        codec->tables_init = tables_init_##name;                                                   \
    } while (0)

/* Without importance these say too little to be of use, and ggml refuses: iq2_xxs, iq2_xs, iq1_s. */
static inline void fill_iq_encoders(adze_blocks_table *table)
{
    FILL_ENCODER(ADZE_IQ1_S, iq1_s, true);
    FILL_ENCODER(ADZE_IQ1_M, iq1_m, false);
    FILL_ENCODER(ADZE_IQ2_XXS, iq2_xxs, true);
    FILL_ENCODER(ADZE_IQ2_XS, iq2_xs, true);
    FILL_ENCODER(ADZE_IQ2_S, iq2_s, false);
    FILL_ENCODER(ADZE_IQ3_XXS, iq3_xxs, false);
    FILL_ENCODER(ADZE_IQ3_S, iq3_s, false);
    table->codec[ADZE_IQ4_NL].encode = encode_iq4_nl;
    table->codec[ADZE_IQ4_XS].encode = encode_iq4_xs;
}

#endif
