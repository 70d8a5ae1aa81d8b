/* The grids of the IQ formats as numbers of levels, and what the levels stand for. A point is unpacked
 * into bytes by arithmetic on all of its coordinates at once: its levels are nearly an arithmetic
 * progression. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_GRIDS_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_GRIDS_IMPL_H
#include <stdbool.h>
#include <stdint.h>

extern const uint16_t adze_iq1_grid[2048];
extern const uint16_t adze_iq2_xxs_grid[256];
extern const uint16_t adze_iq2_xs_grid[512];
extern const uint16_t adze_iq2_s_grid[1024];
extern const uint16_t adze_iq3_xxs_grid[256];
extern const uint16_t adze_iq3_s_grid[512];

/* The values of the sixteen codes of iq4_nl and iq4_xs. */
#define IQ4_VALUES                                                                                 \
    {                                                                                              \
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113                   \
    }

#define EACH_BYTE(value) ((uint64_t)(value)*0x0101010101010101u)

/* 8 numbers of 2 bits -> 8 bytes. */
static inline uint64_t spread_pairs(uint16_t code)
{
    uint64_t x = code;
    x = (x | x << 24) & 0x000000ff000000ff;
    x = (x | x << 12) & 0x000f000f000f000f;
    return (x | x << 6) & EACH_BYTE(3);
}

/* Two codes of 4 numbers of 3 bits -> 8 bytes. */
static inline uint64_t spread_triples(uint16_t first, uint16_t second)
{
    uint64_t x = first | (uint64_t)second << 32;
    x = (x | x << 10) & 0x003f003f003f003f;
    return (x | x << 5) & EACH_BYTE(7);
}

/* Each bit -> a byte of 0 or 1. */
static inline uint64_t spread_bits(uint8_t bits)
{
    return ((EACH_BYTE(bits) & 0x8040201008040201) + EACH_BYTE(0x7f)) >> 7 & EACH_BYTE(1);
}

/* 8, 25, 43 */
static inline uint64_t iq2_levels(uint64_t numbers)
{
    return EACH_BYTE(8) + 17 * numbers + (numbers >> 1 & EACH_BYTE(1));
}

/* 4, 12, 20, 28, 36, 44, 52, 62 */
static inline uint64_t iq3_xxs_levels(uint64_t numbers)
{
    return EACH_BYTE(4) + 8 * numbers + 2 * (numbers & numbers >> 1 & numbers >> 2);
}

/* 1, 3 .. 15 */
static inline uint64_t iq3_s_levels(uint64_t numbers)
{
    return EACH_BYTE(1) + 2 * numbers;
}

/* Eight times: -1, 0, 1 and an eighth; or less an eighth. */
static inline uint64_t iq1_levels(uint64_t numbers, bool below)
{
    return (EACH_BYTE(below ? 0x77 : 0x79) + 8 * numbers) ^ EACH_BYTE(0x80);
}

/* Positive bytes, each negated where its bit is 1. */
static inline uint64_t negate_bytes(uint64_t bytes, uint8_t signs)
{
    const uint64_t negative = spread_bits(signs);
    return (bytes ^ negative * 255) + negative;
}

/* The eighth sign, which is not stored, makes the number of negative ones even. */
static inline uint8_t even_signs(uint32_t seven)
{
    uint32_t parity = seven & 127;
    parity ^= parity >> 4;
    return (uint8_t)((seven & 127) | (0x6996u >> (parity & 15) & 1) << 7);
}

#endif
