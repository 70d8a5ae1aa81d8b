/* Integer depthwise convolution with AVX-512 VNNI. vpdpbusd multiplies four bytes by four bytes, so four
 * taps of a column are laid side by side for each of 64 channels; a column serves all outputs whose
 * windows hold it. Interleaving bytes leaves the channels in four quarters, each spread over the lanes
 * as packing 32-bit sums to bytes needs them: packing puts them back in order. */
#include "kernels/x86/dwconv_avx512_impl.h"

#include "kernels/dwconv_impl.h"
#include "kernels/x86/requantize_avx512_impl.h"

enum {
    CHANNELS = 64,
    MAX_GROUPS = 2, /* of four taps: kh up to 8 */
    MAX_KW = 8,
    MAX_COLUMNS = 40,
    MAX_OUTPUTS = 4,
};

typedef struct quarters {
    __m512i at[4];
} quarters;

/* Everything of 64 channels that does not change along a row. */
typedef struct block {
    const adze_dwconv_q8_args *args;
    int64_t channel;
    __mmask64 mask;
    int groups;
    __m512i pad, flip;
    quarters weights[MAX_GROUPS][MAX_KW];
    quarters start; /* bias less x_zero times the sum of the weights */
    __m512 scale[4];
    adze_rounding to;
} block;

/* Byte i of each of a, b, c, d side by side. */
INLINE quarters interleave(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i low_ab = _mm512_unpacklo_epi8(a, b), high_ab = _mm512_unpackhi_epi8(a, b);
    __m512i low_cd = _mm512_unpacklo_epi8(c, d), high_cd = _mm512_unpackhi_epi8(c, d);
    return (quarters){{
        _mm512_unpacklo_epi16(low_ab, low_cd),
        _mm512_unpackhi_epi16(low_ab, low_cd),
        _mm512_unpacklo_epi16(high_ab, high_cd),
        _mm512_unpackhi_epi16(high_ab, high_cd),
    }};
}

/* 64 values of 32 bits, in the order of channels, as quarters. */
static quarters to_quarters(const void *values, __mmask64 mask)
{
    const int32_t *from = values;
    __m512i v[4];
    for (int i = 0; i < 4; i++)
        v[i] = _mm512_maskz_loadu_epi32((__mmask16)(mask >> 16 * i), from + 16 * i);
    __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44), b = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    __m512i c = _mm512_shuffle_i32x4(v[0], v[1], 0xee), d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    return (quarters){{
        _mm512_shuffle_i32x4(a, b, 0x88),
        _mm512_shuffle_i32x4(a, b, 0xdd),
        _mm512_shuffle_i32x4(c, d, 0x88),
        _mm512_shuffle_i32x4(c, d, 0xdd),
    }};
}

/* The weights of one tap as bytes; clears *fits where they are not. */
static __m512i load_weights(const block *b, int64_t ky, int64_t kx, bool *fits)
{
    const adze_dwconv_shape *s = &b->args->shape;
    if (ky >= s->kh)
        return _mm512_setzero_si512();
    const int16_t *from = b->args->weights + (ky * s->kw + kx) * s->c + b->channel;
    __m256i half[2];
    for (int i = 0; i < 2; i++) {
        __m512i wide = _mm512_maskz_loadu_epi16((__mmask32)(b->mask >> 32 * i), from + 32 * i);
        half[i] = _mm512_cvtsepi16_epi8(wide);
        if (_mm512_cmpneq_epi16_mask(_mm512_cvtepi8_epi16(half[i]), wide))
            *fits = false;
    }
    return _mm512_inserti64x4(_mm512_castsi256_si512(half[0]), half[1], 1);
}

static bool prepare_weights(block *b)
{
    const adze_dwconv_shape *s = &b->args->shape;
    __m512i ones = _mm512_set1_epi8(1);
    quarters sum = {{_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                     _mm512_setzero_si512()}};
    bool fits = true;
    for (int g = 0; g < b->groups; g++)
        for (int64_t kx = 0; kx < s->kw; kx++) {
            __m512i w[4];
            for (int i = 0; i < 4; i++)
                w[i] = load_weights(b, 4 * g + i, kx, &fits);
            b->weights[g][kx] = interleave(w[0], w[1], w[2], w[3]);
            for (int q = 0; q < 4; q++)
                sum.at[q] = _mm512_dpbusd_epi32(sum.at[q], ones, b->weights[g][kx].at[q]);
        }
    __m512i x_zero = _mm512_set1_epi32(b->args->x_zero + (b->args->x_signed ? 128 : 0));
    for (int q = 0; q < 4; q++)
        b->start.at[q] = _mm512_sub_epi32(b->start.at[q], _mm512_mullo_epi32(sum.at[q], x_zero));
    return fits;
}

/* False: the weights do not fit 8 bits. */
static bool prepare(block *b, const adze_dwconv_q8_args *args, int64_t channel)
{
    const adze_dwconv_shape *s = &args->shape;
    int64_t left = s->c - channel;
    int shift = args->x_signed ? 128 : 0;
    b->args = args;
    b->channel = channel;
    b->mask = left >= CHANNELS ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
    b->groups = (int)((s->kh + 3) / 4);
    b->pad = _mm512_set1_epi8((char)(args->x_zero + shift));
    b->flip = _mm512_set1_epi8((char)shift);
    b->start = args->bias ? to_quarters(args->bias + channel, b->mask) : (quarters){0};
    quarters scale = to_quarters(args->scale + channel, b->mask);
    bool wide = false;
    for (int q = 0; q < 4; q++) {
        b->scale[q] = _mm512_castsi512_ps(scale.at[q]);
        wide = wide || adze_scale_is_wide(b->scale[q]);
    }
    b->to = adze_rounding_make(args->y_zero, args->lo, args->hi, args->y_signed, wide);
    return prepare_weights(b);
}

INLINE __m512i load_pixel(const block *b, const uint8_t *line, int64_t ix)
{
    const adze_dwconv_shape *s = &b->args->shape;
    if (!line || ix < 0 || ix >= s->w)
        return b->pad;
    __m512i x = _mm512_maskz_loadu_epi8(b->mask, line + ix * s->c + b->channel);
    return _mm512_xor_si512(x, b->flip);
}

/* Interleaves the taps of columns [ix, ix + count). lines: NULL where in the padding. */
INLINE void make_columns(const int G, const block *b, const uint8_t *const *lines, int64_t ix,
                         int64_t count, quarters *columns)
{
    for (int64_t i = 0; i < count; i++, ix++)
        for (int g = 0; g < G; g++) {
            const uint8_t *const *four = lines + 4 * g;
            columns[i * G + g] = interleave(load_pixel(b, four[0], ix), load_pixel(b, four[1], ix),
                                            load_pixel(b, four[2], ix), load_pixel(b, four[3], ix));
        }
}

/* T outputs; columns: at the first tap of the first. */
INLINE void outputs(const int G, const int T, const block *b, const quarters *columns, uint8_t *y)
{
    const adze_dwconv_shape *s = &b->args->shape;
    __m512 scaled[MAX_OUTPUTS][4];
    UNROLL
    for (int q = 0; q < 4; q++) {
        __m512i sum[MAX_OUTPUTS];
        UNROLL
        for (int t = 0; t < T; t++)
            sum[t] = b->start.at[q];
        for (int64_t kx = 0; kx < s->kw; kx++) {
            const quarters *column = columns + kx * s->dilation_w * G;
            UNROLL
            for (int g = 0; g < G; g++) {
                UNROLL
                for (int t = 0; t < T; t++)
                    sum[t] = _mm512_dpbusd_epi32(sum[t], column[t * s->stride_w * G + g].at[q],
                                                 b->weights[g][kx].at[q]);
            }
        }
        UNROLL
        for (int t = 0; t < T; t++)
            scaled[t][q] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t]), b->scale[q]);
    }
    UNROLL
    for (int t = 0; t < T; t++)
        _mm512_mask_storeu_epi8(y + t * s->c, b->mask, adze_to_bytes(&b->to, scaled[t]));
}

INLINE void row(const int G, const block *b, int64_t image, int64_t oy)
{
    const adze_dwconv_shape *s = &b->args->shape;
    const uint8_t *lines[4 * MAX_GROUPS] = {NULL};
    for (int64_t ky = 0; ky < s->kh; ky++) {
        int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
        if (iy >= 0 && iy < s->h)
            lines[ky] = b->args->x + (image * s->h + iy) * s->w * s->c;
    }
    uint8_t *y = b->args->y + (image * s->oh + oy) * s->ow * s->c + b->channel;
    int64_t extent = (s->kw - 1) * s->dilation_w + 1;
    int64_t most = (MAX_COLUMNS - extent) / s->stride_w + 1;
    quarters columns[MAX_COLUMNS * MAX_GROUPS];
    for (int64_t ox = 0; ox < s->ow; ox += most) {
        int64_t count = ADZE_MIN(most, s->ow - ox), i = 0;
        make_columns(G, b, lines, ox * s->stride_w - s->pad_left,
                     (count - 1) * s->stride_w + extent, columns);
        for (; i + MAX_OUTPUTS <= count; i += MAX_OUTPUTS)
            outputs(G, MAX_OUTPUTS, b, columns + i * s->stride_w * G, y + (ox + i) * s->c);
        for (; i < count; i++)
            outputs(G, 1, b, columns + i * s->stride_w * G, y + (ox + i) * s->c);
    }
}

static void rows_of_one_group(const block *b, int64_t image, int64_t first, int64_t last)
{
    for (int64_t oy = first; oy < last; oy++)
        row(1, b, image, oy);
}

static void rows_of_two_groups(const block *b, int64_t image, int64_t first, int64_t last)
{
    for (int64_t oy = first; oy < last; oy++)
        row(2, b, image, oy);
}

static void q8_rows(const adze_dwconv_q8_args *args, int64_t image, int64_t first, int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    bool fits = s->kh <= 4 * MAX_GROUPS && s->kw <= MAX_KW &&
                (s->kw - 1) * s->dilation_w < MAX_COLUMNS / 2 && s->stride_w <= MAX_COLUMNS / 2;
    block b;
    for (int64_t channel = 0; fits && channel < s->c; channel += CHANNELS) {
        fits = prepare(&b, args, channel);
        if (fits && b.groups == 1)
            rows_of_one_group(&b, image, first, last);
        else if (fits)
            rows_of_two_groups(&b, image, first, last);
    }
    if (!fits)
        adze_dwconv_q8_rows_ref(args, image, first, last);
}

void adze_dwconv_init_avx512(adze_dwconv_table *table)
{
    table->f32_rows = adze_dwconv_f32_rows_avx512;
    table->q8_rows = q8_rows;
}
