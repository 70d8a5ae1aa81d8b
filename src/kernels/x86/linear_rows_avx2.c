/* Products of language models with AVX2, for one token: eight rows of w at a time, as they lie.
 *
 * A vector holds 16 weights of one row and the same 16 of the row four below. What is left of the sums of
 * a group after vpmaddubsw, four numbers for each row, is added across by a tree that brings the rows
 * into the lanes 0 to 7; from there on the chain is that of all other ways. */
#include "kernels/x86/linear_avx2_impl.h"

/* A block of each of eight rows. */
typedef struct eight {
    const uint8_t *b;
    size_t stride;
} eight;

/* 16 bytes of row `pair` and of row `pair + 4`. */
INLINE __m256i two(eight e, int pair, int at)
{
    const uint8_t *low = e.b + (size_t)pair * e.stride + at;
    return load_two(low, low + 4 * e.stride);
}

INLINE __m256i low_bits(__m256i v, int mask)
{
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

INLINE __m256i nibble(__m256i v, int which)
{
    return low_bits(which ? _mm256_srli_epi16(v, 4) : v, 15);
}

/* v's bits moved up by `by` (down where negative); those that `mask` keeps must come from the same byte. */
INLINE __m256i bits_at(__m256i v, int by, int mask)
{
    return low_bits(by > 0   ? _mm256_slli_epi16(v, by)
                    : by < 0 ? _mm256_srli_epi16(v, -by)
                             : v,
                    mask);
}

INLINE __m256i load_x(const int8_t *x)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)x));
}

INLINE __m256i add(bool wide, __m256i a, __m256i b)
{
    return wide ? _mm256_add_epi32(a, b) : _mm256_add_epi16(a, b);
}

INLINE __m256i add_two(bool wide, __m256i a, __m256i b)
{
    return add(wide, _mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

/* From add_two of rows 0 and 1 (4 and 5), and of rows 2 and 3 (6 and 7). */
INLINE __m256i add_four(bool wide, __m256i a, __m256i b)
{
    return add(wide, _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* The dwords at `at` of eight rows' 16 bytes: [dword] of lanes = rows. */
INLINE void load_dwords(eight e, int at, __m256i out[4])
{
    const __m256i a = two(e, 0, at), b = two(e, 1, at), c = two(e, 2, at), d = two(e, 3, at);
    const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    const __m256i ab2 = _mm256_unpackhi_epi32(a, b), cd2 = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab, cd);
    out[1] = _mm256_unpackhi_epi64(ab, cd);
    out[2] = _mm256_unpacklo_epi64(ab2, cd2);
    out[3] = _mm256_unpackhi_epi64(ab2, cd2);
}

INLINE int load_16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* float16 of eight rows. */
INLINE __m256 load_halves(eight e, int at)
{
    const uint8_t *p = e.b + at, *q = p + 4 * e.stride;
    const size_t s = e.stride;
    __m128i low = _mm_cvtsi32_si128(load_16(p)), high = _mm_cvtsi32_si128(load_16(q));
    low = _mm_insert_epi16(low, load_16(p + s), 1);
    high = _mm_insert_epi16(high, load_16(q + s), 1);
    low = _mm_insert_epi16(low, load_16(p + 2 * s), 2);
    high = _mm_insert_epi16(high, load_16(q + 2 * s), 2);
    low = _mm_insert_epi16(low, load_16(p + 3 * s), 3);
    high = _mm_insert_epi16(high, load_16(q + 3 * s), 3);
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(low, high));
}

/* Two float16 in each lane: the lower ones, the upper ones. */
INLINE void split_halves(__m256i v, __m256 *low, __m256 *high)
{
    const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)),
                                               _mm256_srli_epi32(v, 16));
    const __m256i ordered = _mm256_permute4x64_epi64(packed, 0xd8);
    *low = _mm256_cvtph_ps(_mm256_castsi256_si128(ordered));
    *high = _mm256_cvtph_ps(_mm256_extracti128_si256(ordered, 1));
}

/* Unsigned byte i of each lane times d. */
INLINE __m256 scaled_byte(__m256i v, int i, __m256 d)
{
    const int alone = (int)0x80808000 + i; /* zeros above */
    const __m128i bytes = _mm_setr_epi32(alone, alone + 4, alone + 8, alone + 12);
    v = _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(bytes));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(v), d);
}

INLINE __m256 scaled_signed_byte(__m256i v, int i, __m256 d)
{
    v = _mm256_srai_epi32(i < 3 ? _mm256_slli_epi32(v, 24 - 8 * i) : v, 24);
    return _mm256_mul_ps(_mm256_cvtepi32_ps(v), d);
}

INLINE __m256 negative(__m256 v)
{
    return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
}

/* --- each type: scales of a block's groups, and their sums --- */

/* Runs the last argument, which gives `groups` vectors p for `pair`, for the four pairs, and adds
 * across. */
#define FOUR_PAIRS(wide, groups, ...)                                                              \
    do {                                                                                           \
        __m256i p[groups], even[groups], half[groups];                                             \
        UNROLL for (int pair = 0; pair < 4; pair++)                                                \
        {                                                                                          \
            __VA_ARGS__;                                                                           \
            UNROLL for (int g = 0; g < (groups); g++)                                              \
            {                                                                                      \
                if (pair % 2 == 0)                                                                 \
                    even[g] = p[g];                                                                \
                else if (pair == 1)                                                                \
                    half[g] = add_two(wide, even[g], p[g]);                                        \
                else                                                                               \
                    sums[g] = add_four(wide, half[g], add_two(wide, even[g], p[g]));               \
            }                                                                                      \
            FENCE;                                                                                 \
        }                                                                                          \
    } while (0)

INLINE __m256i nibble_products(__m256i v, __m256i x0, __m256i x1)
{
    return _mm256_add_epi16(_mm256_maddubs_epi16(nibble(v, 0), x0),
                            _mm256_maddubs_epi16(nibble(v, 1), x1));
}

INLINE void scales_q4_0(eight e, __m256 *scale, __m256 *offset)
{
    *scale = load_halves(e, 0);
    ADZE_UNUSED(offset);
}

INLINE void sums_q4_0(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(false, 1, p[0] = nibble_products(two(e, pair, 2), x0, x1));
}

INLINE __m256i load_first_dwords(eight e)
{
    const uint8_t *p = e.b, *q = p + 4 * e.stride;
    const size_t s = e.stride;
    const __m128i low = _mm_unpacklo_epi64(
        _mm_unpacklo_epi32(_mm_loadu_si32(p), _mm_loadu_si32(p + s)),
        _mm_unpacklo_epi32(_mm_loadu_si32(p + 2 * s), _mm_loadu_si32(p + 3 * s)));
    const __m128i high = _mm_unpacklo_epi64(
        _mm_unpacklo_epi32(_mm_loadu_si32(q), _mm_loadu_si32(q + s)),
        _mm_unpacklo_epi32(_mm_loadu_si32(q + 2 * s), _mm_loadu_si32(q + 3 * s)));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

INLINE void scales_q4_1(eight e, __m256 *scale, __m256 *offset)
{
    split_halves(load_first_dwords(e), scale, offset);
}

INLINE void sums_q4_1(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(false, 1, p[0] = nibble_products(two(e, pair, 4), x0, x1));
}

/* 16 where bit i (of each lane's first dword) is set, for elements i = first .. first + 15. */
INLINE __m256i fifth_bits(__m256i bits, int first)
{
    const char a = (char)(first / 8), b = (char)(a + 1);
    const __m128i bytes = _mm_setr_epi8(a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b);
    const __m256i each = _mm256_set1_epi64x((long long)0x8040201008040201U);
    const __m256i spread = _mm256_shuffle_epi8(bits, _mm256_broadcastsi128_si256(bytes));
    return low_bits(_mm256_cmpeq_epi8(_mm256_and_si256(spread, each), each), 16);
}

INLINE __m256i products_q5(eight e, int pair, int bits_at_byte, __m256i x0, __m256i x1)
{
    const __m256i bits = two(e, pair, bits_at_byte), v = two(e, pair, bits_at_byte + 4);
    const __m256i u0 = _mm256_or_si256(nibble(v, 0), fifth_bits(bits, 0));
    const __m256i u1 = _mm256_or_si256(nibble(v, 1), fifth_bits(bits, 16));
    return _mm256_add_epi16(_mm256_maddubs_epi16(u0, x0), _mm256_maddubs_epi16(u1, x1));
}

INLINE void scales_q5_0(eight e, __m256 *scale, __m256 *offset)
{
    scales_q4_0(e, scale, offset);
}

INLINE void sums_q5_0(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(false, 1, p[0] = products_q5(e, pair, 2, x0, x1));
}

/* For codes that are 16 less than stored. */
INLINE __m256 raise_offset(__m256 offset, __m256 scale)
{
    return _mm256_add_ps(offset, _mm256_mul_ps(_mm256_set1_ps(16), scale));
}

INLINE void scales_q5_1(eight e, __m256 *scale, __m256 *offset)
{
    scales_q4_1(e, scale, offset);
    *offset = raise_offset(*offset, *scale);
}

INLINE void sums_q5_1(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(false, 1, p[0] = products_q5(e, pair, 4, x0, x1));
}

INLINE __m256i signed_products(__m256i v, __m256i x)
{
    const __m256i p = _mm256_maddubs_epi16(_mm256_abs_epi8(v), _mm256_sign_epi8(x, v));
    return _mm256_madd_epi16(p, _mm256_set1_epi16(1));
}

INLINE void scales_q8_0(eight e, __m256 *scale, __m256 *offset)
{
    scales_q4_0(e, scale, offset);
}

INLINE void sums_q8_0(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(true, 1,
               p[0] = _mm256_add_epi32(signed_products(two(e, pair, 2), x0),
                                       signed_products(two(e, pair, 18), x1)));
}

/* 2 bits each of eight groups of 16, from 32 bytes; `third` of the third bits, moved to bit 2. */
INLINE void scales_q2_K(eight e, __m256 *scale, __m256 *offset)
{
    __m256i v[4];
    __m256 d, dmin;
    load_dwords(e, 0, v);
    const eight tail = {e.b + 80, e.stride};
    split_halves(load_first_dwords(tail), &d, &dmin);
    dmin = negative(dmin);
    UNROLL for (int g = 0; g < 16; g++)
    {
        scale[g] = scaled_byte(low_bits(v[g / 4], 15), g % 4, d);
        offset[g] = scaled_byte(nibble(v[g / 4], 1), g % 4, dmin);
    }
}

INLINE void sums_q2_K(eight e, const int8_t *x, int step, __m256i *all)
{
    UNROLL for (int part = 2 * step; part < 2 * step + 2; part++)
    {
        const int first = part / 2 * 8 + part % 2;
        const __m256i x0 = load_x(x + 16 * first), x1 = load_x(x + 16 * first + 32);
        const __m256i x2 = load_x(x + 16 * first + 64), x3 = load_x(x + 16 * first + 96);
        __m256i sums[4];
        FOUR_PAIRS(false, 4, {
            const __m256i v = two(e, pair, 16 + 16 * part);
            p[0] = _mm256_maddubs_epi16(bits_at(v, 0, 3), x0);
            p[1] = _mm256_maddubs_epi16(bits_at(v, -2, 3), x1);
            p[2] = _mm256_maddubs_epi16(bits_at(v, -4, 3), x2);
            p[3] = _mm256_maddubs_epi16(bits_at(v, -6, 3), x3);
        });
        UNROLL for (int i = 0; i < 4; i++) all[part % 2 + 2 * i] = sums[i];
    }
}

INLINE void scales_q3_K(eight e, __m256 *scale, __m256 *offset)
{
    __m256i v[4];
    load_dwords(e, 94, v); /* 2 bytes before: the last 4 bytes are then within the block */
    const __m256 d = load_halves(e, 108);
    __m256i low[3];
    UNROLL for (int i = 0; i < 3; i++) low[i] =
        _mm256_or_si256(_mm256_srli_epi32(v[i], 16), _mm256_slli_epi32(v[i + 1], 16));
    UNROLL for (int i = 0; i < 4; i++)
    {
        const __m256i four = nibble(low[i % 2], i / 2);
        const __m256i six = _mm256_or_si256(four, bits_at(low[2], 4 - 2 * i, 0x30));
        const __m256i s = _mm256_sub_epi8(six, _mm256_set1_epi8(32));
        UNROLL for (int j = 0; j < 4; j++) scale[4 * i + j] = scaled_signed_byte(s, j, d);
    }
    ADZE_UNUSED(offset);
}

INLINE __m256i code_q3(__m256i v, __m256i third, int i, int bit)
{
    return _mm256_or_si256(bits_at(v, -2 * i, 3), bits_at(third, 2 - bit, 4));
}

INLINE void sums_q3_K(eight e, const int8_t *x, int step, __m256i *all)
{
    UNROLL for (int part = 2 * step; part < 2 * step + 2; part++)
    {
        const int first = part / 2 * 8 + part % 2, bit = part / 2 * 4;
        const __m256i x0 = load_x(x + 16 * first), x1 = load_x(x + 16 * first + 32);
        const __m256i x2 = load_x(x + 16 * first + 64), x3 = load_x(x + 16 * first + 96);
        __m256i sums[4];
        FOUR_PAIRS(false, 4, {
            const __m256i v = two(e, pair, 32 + 16 * part);
            const __m256i third = two(e, pair, 16 * (part % 2));
            p[0] = _mm256_maddubs_epi16(code_q3(v, third, 0, bit), x0);
            p[1] = _mm256_maddubs_epi16(code_q3(v, third, 1, bit + 1), x1);
            p[2] = _mm256_maddubs_epi16(code_q3(v, third, 2, bit + 2), x2);
            p[3] = _mm256_maddubs_epi16(code_q3(v, third, 3, bit + 3), x3);
        });
        UNROLL for (int i = 0; i < 4; i++) all[part % 2 + 2 * i] = sums[i];
    }
}

/* Layout: unpack_scales_mins. */
INLINE void scales_q4_K(eight e, __m256 *scale, __m256 *offset)
{
    __m256i v[4];
    __m256 d, dmin;
    load_dwords(e, 0, v);
    split_halves(v[0], &d, &dmin);
    dmin = negative(dmin);
    const __m256i scales[2] = {low_bits(v[1], 63),
                               _mm256_or_si256(low_bits(v[3], 15), bits_at(v[1], -2, 0x30))};
    const __m256i mins[2] = {low_bits(v[2], 63),
                             _mm256_or_si256(nibble(v[3], 1), bits_at(v[2], -2, 0x30))};
    UNROLL for (int g = 0; g < 8; g++)
    {
        scale[g] = scaled_byte(scales[g / 4], g % 4, d);
        offset[g] = scaled_byte(mins[g / 4], g % 4, dmin);
    }
}

INLINE void sums_q4_K(eight e, const int8_t *x, int step, __m256i *sums)
{
    const __m256i x0 = load_x(x + 64 * step), x1 = load_x(x + 64 * step + 16);
    const __m256i x2 = load_x(x + 64 * step + 32), x3 = load_x(x + 64 * step + 48);
    FOUR_PAIRS(false, 2, {
        const __m256i v0 = two(e, pair, 16 + 32 * step), v1 = two(e, pair, 32 + 32 * step);
        p[0] = _mm256_add_epi16(_mm256_maddubs_epi16(nibble(v0, 0), x0),
                                _mm256_maddubs_epi16(nibble(v1, 0), x1));
        p[1] = _mm256_add_epi16(_mm256_maddubs_epi16(nibble(v0, 1), x2),
                                _mm256_maddubs_epi16(nibble(v1, 1), x3));
    });
}

INLINE void scales_q5_K(eight e, __m256 *scale, __m256 *offset)
{
    scales_q4_K(e, scale, offset);
    UNROLL for (int g = 0; g < 8; g++) offset[g] = raise_offset(offset[g], scale[g]);
}

INLINE __m256i code_q5(__m256i v, int which, __m256i fifth, int bit)
{
    return _mm256_or_si256(nibble(v, which), bits_at(fifth, 4 - bit, 16));
}

INLINE void sums_q5_K(eight e, const int8_t *x, int step, __m256i *sums)
{
    const __m256i x0 = load_x(x + 64 * step), x1 = load_x(x + 64 * step + 16);
    const __m256i x2 = load_x(x + 64 * step + 32), x3 = load_x(x + 64 * step + 48);
    FOUR_PAIRS(false, 2, {
        const __m256i v0 = two(e, pair, 48 + 32 * step), v1 = two(e, pair, 64 + 32 * step);
        const __m256i h0 = two(e, pair, 16), h1 = two(e, pair, 32);
        p[0] = _mm256_add_epi16(_mm256_maddubs_epi16(code_q5(v0, 0, h0, 2 * step), x0),
                                _mm256_maddubs_epi16(code_q5(v1, 0, h1, 2 * step), x1));
        p[1] = _mm256_add_epi16(_mm256_maddubs_epi16(code_q5(v0, 1, h0, 2 * step + 1), x2),
                                _mm256_maddubs_epi16(code_q5(v1, 1, h1, 2 * step + 1), x3));
    });
}

INLINE void scales_q6_K(eight e, __m256 *scale, __m256 *offset)
{
    __m256i v[4];
    load_dwords(e, 192, v);
    const __m256 d = load_halves(e, 208);
    UNROLL for (int g = 0; g < 16; g++) scale[g] = scaled_signed_byte(v[g / 4], g % 4, d);
    ADZE_UNUSED(offset);
}

INLINE void sums_q6_K(eight e, const int8_t *x, int step, __m256i *all)
{
    UNROLL for (int part = 2 * step; part < 2 * step + 2; part++)
    {
        const int upper = part / 2, first = upper * 8 + part % 2;
        const __m256i x0 = load_x(x + 16 * first), x1 = load_x(x + 16 * first + 32);
        const __m256i x2 = load_x(x + 16 * first + 64), x3 = load_x(x + 16 * first + 96);
        __m256i sums[4];
        FOUR_PAIRS(false, 4, {
            const __m256i a = two(e, pair, 64 * upper + 16 * (part % 2));
            const __m256i b = two(e, pair, 64 * upper + 32 + 16 * (part % 2));
            const __m256i h = two(e, pair, 128 + 16 * part);
            p[0] = _mm256_or_si256(nibble(a, 0), bits_at(h, 4, 0x30));
            p[1] = _mm256_or_si256(nibble(b, 0), bits_at(h, 2, 0x30));
            p[2] = _mm256_or_si256(nibble(a, 1), bits_at(h, 0, 0x30));
            p[3] = _mm256_or_si256(nibble(b, 1), bits_at(h, -2, 0x30));
            p[0] = _mm256_maddubs_epi16(p[0], x0);
            p[1] = _mm256_maddubs_epi16(p[1], x1);
            p[2] = _mm256_maddubs_epi16(p[2], x2);
            p[3] = _mm256_maddubs_epi16(p[3], x3);
        });
        UNROLL for (int i = 0; i < 4; i++) all[part % 2 + 2 * i] = sums[i];
    }
}

/* Numbers by table. */
INLINE __m256i look_up(const int8_t table[16], __m256i v)
{
    const __m128i values = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), v);
}

INLINE __m256i products_iq4(__m256i v, __m256i x0, __m256i x1)
{
    static const int8_t values[16] = IQ4_VALUES;
    return _mm256_add_epi32(signed_products(look_up(values, nibble(v, 0)), x0),
                            signed_products(look_up(values, nibble(v, 1)), x1));
}

INLINE void scales_iq4_nl(eight e, __m256 *scale, __m256 *offset)
{
    scales_q4_0(e, scale, offset);
}

INLINE void sums_iq4_nl(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(true, 1, p[0] = products_iq4(two(e, pair, 2), x0, x1));
}

INLINE void scales_iq4_xs(eight e, __m256 *scale, __m256 *offset)
{
    __m256i v[4];
    load_dwords(e, 0, v);
    const __m256 d = load_halves(e, 0);
    UNROLL for (int g = 0; g < 8; g++)
    {
        const __m256i low = _mm256_and_si256(_mm256_srli_epi32(v[1], 4 * g), _mm256_set1_epi32(15));
        const __m256i high =
            _mm256_and_si256(_mm256_srli_epi32(v[0], 16 + 2 * g), _mm256_set1_epi32(3));
        const __m256i six = _mm256_or_si256(low, _mm256_slli_epi32(high, 4));
        const __m256i s = _mm256_sub_epi32(six, _mm256_set1_epi32(32));
        scale[g] = _mm256_mul_ps(_mm256_cvtepi32_ps(s), d);
    }
    ADZE_UNUSED(offset);
}

INLINE void sums_iq4_xs(eight e, const int8_t *x, int step, __m256i *sums)
{
    const __m256i x0 = load_x(x + 32 * step), x1 = load_x(x + 32 * step + 16);
    FOUR_PAIRS(true, 1, p[0] = products_iq4(two(e, pair, 8 + 16 * step), x0, x1));
}

/* fp4_scale of eight rows. */
INLINE void scales_mxfp4(eight e, __m256 *scale, __m256 *offset)
{
    float s[8];
    UNROLL for (int i = 0; i < 8; i++) s[i] = fp4_scale(e.b[(size_t)i * e.stride]);
    *scale = _mm256_loadu_ps(s);
    ADZE_UNUSED(offset);
}

INLINE void sums_mxfp4(eight e, const int8_t *x, int step, __m256i *sums)
{
    ADZE_UNUSED(step);
    static const int8_t values[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    const __m256i x0 = load_x(x), x1 = load_x(x + 16);
    FOUR_PAIRS(false, 1, {
        const __m256i v = two(e, pair, 1);
        p[0] = _mm256_add_epi16(_mm256_maddubs_epi16(look_up(values, nibble(v, 0)), x0),
                                _mm256_maddubs_epi16(look_up(values, nibble(v, 1)), x1));
    });
}

/* --- rows --- */

/* Adds groups [first, first + count) of a block to the chains. */
INLINE __m256 chain(linear_format f, int first, int count, const __m256i *sums, const __m256 *scale,
                    const __m256 *offset, const linear_record *x, int64_t at, __m256 y)
{
    const float *d = x->scale + at / LINEAR_BLOCK;
    const int64_t group = at / f.group + first;
    UNROLL for (int g = 0; g < count; g++)
    {
        __m256i sum = sums[g];
        if (f.zero)
            sum = _mm256_add_epi16(sum, broadcast_4(x->zeros + group + g));
        if (!f.wide)
            sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
        const __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale[first + g]);
        const float *scale_x = d + (first + g) * f.group / LINEAR_BLOCK;
        y = _mm256_fmadd_ps(part, _mm256_broadcast_ss(scale_x), y);
        if (f.offset)
            y = _mm256_fmadd_ps(offset[first + g], _mm256_broadcast_ss(x->sums + group + g), y);
    }
    return y;
}

/* What is asked for lies so many bytes behind the eight rows at hand: measured, 8 to 18 KB are alike. */
enum { AHEAD = 8 << 10 };

/* The lines of 64 bytes that begin in p[first, last). */
INLINE void ask(const uint8_t *p, int first, int last)
{
    for (int i = (first + 63) / 64 * 64; i < last; i += 64)
        _mm_prefetch((const char *)p + i, _MM_HINT_T1);
}

/* A block is taken in steps of some groups, so that its chain runs beside the integers of the next step.
 * The rows after these eight are asked for as they lie, a few lines in each step: of a whole block's
 * lines at once, a processor whose buffers are full drops some (seen on Zen 4). */
#define ROWS(name, code, step_groups)                                                              \
    static void rows_##name(const uint8_t *w, size_t stride, int64_t k, const linear_record *x,    \
                            float *y)                                                              \
    {                                                                                              \
        const linear_format f = format_##name;                                                     \
        enum { GROUPS = BLOCK_##code / GROUP_##code, STEP = step_groups };                         \
        __m256 sum = _mm256_setzero_ps();                                                          \
        const uint8_t *next = w + 8 * stride + AHEAD;                                              \
        for (int64_t at = 0; at < k; at += f.block, w += f.bytes, next += 8 * f.bytes) {           \
            __m256 scale[GROUPS], offset[GROUPS];                                                  \
            const eight e = {w, stride};                                                           \
            scales_##name(e, scale, offset);                                                       \
            UNROLL for (int g = 0; g < GROUPS; g += STEP)                                          \
            {                                                                                      \
                __m256i sums[STEP];                                                                \
                ask(next, 8 * f.bytes * g / GROUPS, 8 * f.bytes * (g + STEP) / GROUPS);            \
                sums_##name(e, x->codes + at, g / STEP, sums);                                     \
                sum = chain(f, g, STEP, sums, scale, offset, x, at, sum);                          \
            }                                                                                      \
        }                                                                                          \
        _mm256_storeu_ps(y, sum);                                                                  \
    }

#define X(name, code, block, bytes, stored, group, zero, wide, shift, offset)                      \
    enum { BLOCK_##code = (block), GROUP_##code = (group) };
LINEAR_FORMATS(X)
#undef X

#define TYPES(X)                                                                                   \
    X(q4_0, Q4_0, 1)                                                                               \
    X(q4_1, Q4_1, 1)                                                                               \
    X(q5_0, Q5_0, 1)                                                                               \
    X(q5_1, Q5_1, 1)                                                                               \
    X(q8_0, Q8_0, 1)                                                                               \
    X(q2_K, Q2_K, 8)                                                                               \
    X(q3_K, Q3_K, 8)                                                                               \
    X(q4_K, Q4_K, 2)                                                                               \
    X(q5_K, Q5_K, 2)                                                                               \
    X(q6_K, Q6_K, 8)                                                                               \
    X(iq4_nl, IQ4_NL, 1)                                                                           \
    X(iq4_xs, IQ4_XS, 1)                                                                           \
    X(mxfp4, MXFP4, 1)

TYPES(ROWS)

linear_rows_fn linear_few_avx2(adze_dtype dtype, int64_t tokens)
{
    enum { FEW = 6 };
    static const linear_rows_fn rows[ADZE_DTYPE_COUNT] = {
#define X(name, code, step) [ADZE_##code] = rows_##name,
        TYPES(X)
#undef X
    };
    return tokens <= FEW ? rows[dtype] : NULL;
}
