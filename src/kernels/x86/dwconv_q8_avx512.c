/* Integer depthwise convolution with AVX-512 VNNI. vpdpbusd multiplies four bytes by four bytes, so four
 * taps of a column are laid side by side for each of 64 channels; a column serves all outputs whose
 * windows hold it. Interleaving bytes leaves the channels in four quarters, each spread over the lanes
 * as packing 32-bit sums to bytes needs them: packing puts them back in order.
 *
 * Where there are fewer channels, a vector holds two or four streams: the same 32 or 16 channels of as
 * many parts of the output row. */
#include "kernels/x86/dwconv_x86_impl.h"

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

/* Everything of up to 64 channels that does not change along a row. */
typedef struct block {
    const adze_dwconv_q8_args *args;
    int64_t channel;
    int64_t first_line, line_count; /* of the kernel: those whose weights are here */
    int groups, streams;
    int64_t part;      /* outputs of a stream */
    __mmask64 mask;    /* channels of one stream */
    __m512i pad, flip; /* pad: as in x */
    quarters weights[MAX_GROUPS][MAX_KW];
    quarters bias, start; /* start: bias less x_zero times the sum of the weights */
    __m512 scale[4], offset[4];
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

/* The first stream's part of a vector in all of them. */
static __m512i in_all_streams(int streams, __m512i v)
{
    if (streams == 4)
        return _mm512_broadcast_i32x4(_mm512_castsi512_si128(v));
    return streams == 2 ? _mm512_broadcast_i64x4(_mm512_castsi512_si256(v)) : v;
}

/* Values of 32 bits for each channel, as quarters. */
static quarters to_quarters(const block *b, const void *values)
{
    const int32_t *from = values;
    __m512i v[4];
    for (int i = 0; i < 4; i++) {
        int natural = i % (4 / b->streams); /* 16 channels are a vector of values */
        v[i] = _mm512_maskz_loadu_epi32((__mmask16)(b->mask >> 16 * natural), from + 16 * natural);
    }
    __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44), c = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
    __m512i d = _mm512_shuffle_i32x4(v[2], v[3], 0x44), e = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    return (quarters){{
        _mm512_shuffle_i32x4(a, d, 0x88),
        _mm512_shuffle_i32x4(a, d, 0xdd),
        _mm512_shuffle_i32x4(c, e, 0x88),
        _mm512_shuffle_i32x4(c, e, 0xdd),
    }};
}

/* The weights of one tap as bytes; clears *fits where they are not. */
static __m512i load_weights(const block *b, int64_t ky, int64_t kx, bool *fits)
{
    const adze_dwconv_shape *s = &b->args->shape;
    if (ky >= b->first_line + b->line_count)
        return _mm512_setzero_si512();
    const int16_t *from = b->args->weights + (ky * s->kw + kx) * s->c + b->channel;
    __m256i half[2];
    for (int i = 0; i < 2; i++) {
        __m512i wide = _mm512_maskz_loadu_epi16((__mmask32)(b->mask >> 32 * i), from + 32 * i);
        half[i] = _mm512_cvtsepi16_epi8(wide);
        if (_mm512_cmpneq_epi16_mask(_mm512_cvtepi8_epi16(half[i]), wide))
            *fits = false;
    }
    __m512i bytes = _mm512_inserti64x4(_mm512_castsi256_si512(half[0]), half[1], 1);
    return in_all_streams(b->streams, bytes);
}

/* Weights of `count` lines of the kernel. False: they do not fit 8 bits. */
static bool prepare_weights(block *b, int64_t first, int64_t count)
{
    const adze_dwconv_shape *s = &b->args->shape;
    b->first_line = first;
    b->line_count = count;
    b->groups = (int)ADZE_MAX((count + 3) / 4, 1);
    __m512i ones = _mm512_set1_epi8(1);
    quarters sum = {{_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                     _mm512_setzero_si512()}};
    bool fits = true;
    for (int g = 0; g < b->groups; g++)
        for (int64_t kx = 0; kx < s->kw; kx++) {
            __m512i w[4];
            for (int i = 0; i < 4; i++)
                w[i] = load_weights(b, first + 4 * g + i, kx, &fits);
            b->weights[g][kx] = interleave(w[0], w[1], w[2], w[3]);
            for (int q = 0; q < 4; q++)
                sum.at[q] = _mm512_dpbusd_epi32(sum.at[q], ones, b->weights[g][kx].at[q]);
        }
    __m512i x_zero = _mm512_set1_epi32(b->args->x_zero + (b->args->x_signed ? 128 : 0));
    for (int q = 0; q < 4; q++)
        b->start.at[q] = _mm512_sub_epi32(b->bias.at[q], _mm512_mullo_epi32(sum.at[q], x_zero));
    return fits;
}

/* How many streams to make of the channels that are left. */
static int choose_streams(int64_t left)
{
    return left > 48 ? 1 : left > 16 ? 2 : 4;
}

/* False: the weights do not fit 8 bits. */
static bool prepare(block *b, const adze_dwconv_q8_args *args, int64_t channel)
{
    const adze_dwconv_shape *s = &args->shape;
    int64_t left = s->c - channel;
    int shift = args->x_signed ? 128 : 0;
    b->args = args;
    b->channel = channel;
    b->streams = choose_streams(left);
    b->part = (s->ow + b->streams - 1) / b->streams;
    left = ADZE_MIN(left, CHANNELS / b->streams);
    b->mask = left == CHANNELS ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
    b->pad = _mm512_set1_epi8((char)args->x_zero);
    b->flip = _mm512_set1_epi8((char)shift);
    b->bias = args->bias ? to_quarters(b, args->bias + channel) : (quarters){0};
    quarters scale = to_quarters(b, args->scale + channel);
    quarters offset = args->f_bias ? to_quarters(b, args->f_bias + channel) : (quarters){0};
    bool wide = args->f_bias != NULL;
    for (int q = 0; q < 4; q++) {
        b->scale[q] = _mm512_castsi512_ps(scale.at[q]);
        b->offset[q] = _mm512_castsi512_ps(offset.at[q]);
        wide = wide || adze_scale_is_wide(b->scale[q]);
    }
    b->to = adze_rounding_make(args->y_zero, args->lo, args->hi, args->y_signed, wide);
    return prepare_weights(b, 0, s->kh);
}

/* A row near an edge may need fewer groups of four taps: those of the lines inside the image. */
static void prepare_row(block *b, int64_t oy)
{
    const adze_dwconv_shape *s = &b->args->shape;
    adze_taps ky = adze_taps_inside(oy * s->stride_h - s->pad_top, s->kh, s->dilation_h, s->h);
    int64_t first = ky.first, count = ADZE_MAX(ky.last - ky.first, 0);
    if ((count + 3) / 4 == (s->kh + 3) / 4) {
        first = 0;
        count = s->kh;
    }
    if (first != b->first_line || count != b->line_count)
        (void)prepare_weights(b, first, count);
}

/* The lines of a window, at the block's first channel. A line in the padding: one padded pixel, step 0. */
typedef struct lines {
    const uint8_t *at[4 * MAX_GROUPS];
    ptrdiff_t step[4 * MAX_GROUPS];
    uint8_t padding[CHANNELS];
} lines;

/* Pixel ix of the first stream, at x, and those of the others beside it. At an edge some may lie beside
 * the line: those are padding. */
INLINE __m512i load_pixels(const int S, const bool edge, const block *b, const uint8_t *x,
                           ptrdiff_t step, int64_t ix)
{
    const int64_t next = b->part * b->args->shape.stride_w, w = b->args->shape.w;
    __m512i v = edge ? b->pad : _mm512_setzero_si512();
    UNROLL
    for (int i = 0; i < S; i++) {
        const int first = i * (CHANNELS / S);
        const int64_t at = ix + i * next;
        if (!edge || (at >= 0 && at < w))
            v = _mm512_mask_loadu_epi8(v, b->mask << first, x + i * next * step - first);
    }
    return v;
}

/* Columns [ix, ix + count) of the first stream and those of the others, four taps interleaved. */
INLINE void make_columns_of(const int S, const bool edge, const block *b, const lines *l, int group,
                            int64_t ix, int64_t count, quarters *columns)
{
    const ptrdiff_t *step = l->step + 4 * group;
    const uint8_t *x[4];
    UNROLL
    for (int j = 0; j < 4; j++)
        x[j] = l->at[4 * group + j] + ix * step[j];
    for (int64_t i = 0; i < count; i++) {
        __m512i v[4];
        UNROLL
        for (int j = 0; j < 4; j++) {
            v[j] = load_pixels(S, edge, b, x[j], step[j], ix + i);
            x[j] += step[j];
            if (b->args->x_signed)
                v[j] = _mm512_xor_si512(v[j], b->flip);
        }
        columns[i * b->groups + group] = interleave(v[0], v[1], v[2], v[3]);
    }
}

INLINE void make_columns(const int S, const block *b, const lines *l, int64_t ix, int64_t count,
                         quarters *columns)
{
    const adze_dwconv_shape *s = &b->args->shape;
    const int64_t inside = s->w - (S - 1) * b->part * s->stride_w, end = ix + count;
    const int64_t from = ADZE_MIN(ADZE_MAX(ix, 0), end);
    const int64_t to = ADZE_MAX(ADZE_MIN(inside, end), from);
    for (int g = 0; g < b->groups; g++) {
        make_columns_of(S, true, b, l, g, ix, from - ix, columns);
        make_columns_of(S, false, b, l, g, from, to - from, columns + (from - ix) * b->groups);
        make_columns_of(S, true, b, l, g, to, end - to, columns + (to - ix) * b->groups);
    }
}

#define DEFINE(S)                                                                                  \
    static void make_columns_##S(const block *b, const lines *l, int64_t ix, int64_t count,        \
                                 quarters *columns)                                                \
    {                                                                                              \
        make_columns(S, b, l, ix, count, columns);                                                 \
    }
DEFINE(1)
DEFINE(2)
DEFINE(4)
#undef DEFINE

/* Output ox of the first stream and those of the others, as far as they are in the row. */
static inline void store_output(const block *b, int64_t ox, uint8_t *row, __m512i bytes)
{
    const adze_dwconv_shape *s = &b->args->shape;
    uint8_t *y = row + ox * s->c;
    const ptrdiff_t next = b->part * s->c;
    if (b->streams == 1) {
        _mm512_mask_storeu_epi8(y, b->mask, bytes);
    } else if (b->streams == 2) {
        _mm256_mask_storeu_epi8(y, (__mmask32)b->mask, _mm512_castsi512_si256(bytes));
        if (ox + b->part < s->ow)
            _mm256_mask_storeu_epi8(y + next, (__mmask32)b->mask,
                                    _mm512_extracti64x4_epi64(bytes, 1));
    } else {
        __mmask16 mask = (__mmask16)b->mask;
        _mm_mask_storeu_epi8(y, mask, _mm512_castsi512_si128(bytes));
        if (ox + b->part < s->ow)
            _mm_mask_storeu_epi8(y + next, mask, _mm512_extracti32x4_epi32(bytes, 1));
        if (ox + 2 * b->part < s->ow)
            _mm_mask_storeu_epi8(y + 2 * next, mask, _mm512_extracti32x4_epi32(bytes, 2));
        if (ox + 3 * b->part < s->ow)
            _mm_mask_storeu_epi8(y + 3 * next, mask, _mm512_extracti32x4_epi32(bytes, 3));
    }
}

INLINE void add_bias(const int T, const block *b, __m512 scaled[MAX_OUTPUTS][4])
{
    for (int t = 0; t < T; t++)
        for (int q = 0; q < 4; q++)
            scaled[t][q] = _mm512_add_ps(scaled[t][q], b->offset[q]);
}

/* T outputs from ox on; columns: at the first tap of the first. G groups of four taps, KW columns at
 * stride SW; KW 0: any kernel. */
INLINE void outputs_of(const int G, const int KW, const int SW, const int T, const block *b,
                       const quarters *columns, int64_t ox, uint8_t *y)
{
    const adze_dwconv_shape *s = &b->args->shape;
    const int64_t kw = KW ? KW : s->kw, dilation = KW ? 1 : s->dilation_w;
    const int64_t stride = KW ? SW : s->stride_w;
    __m512 scaled[MAX_OUTPUTS][4];
    UNROLL
    for (int q = 0; q < 4; q++) {
        __m512i sum[MAX_OUTPUTS];
        UNROLL
        for (int t = 0; t < T; t++)
            sum[t] = b->start.at[q];
        UNROLL_SMALL
        for (int64_t kx = 0; kx < kw; kx++) {
            UNROLL
            for (int g = 0; g < G; g++) {
                const quarters *column = columns + kx * dilation * G + g;
                UNROLL
                for (int t = 0; t < T; t++)
                    sum[t] = _mm512_dpbusd_epi32(sum[t], column[t * stride * G].at[q],
                                                 b->weights[g][kx].at[q]);
            }
        }
        UNROLL
        for (int t = 0; t < T; t++)
            scaled[t][q] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t]), b->scale[q]);
    }
    if (b->args->f_bias)
        add_bias(T, b, scaled);
    UNROLL
    for (int t = 0; t < T; t++)
        store_output(b, ox + t, y, adze_to_bytes(&b->to, scaled[t]));
}

/* Outputs [ox, ox + count). */
INLINE void outputs(const int G, const int KW, const int SW, const block *b,
                    const quarters *columns, int64_t ox, int64_t count, uint8_t *y)
{
    const int64_t step = (KW ? SW : b->args->shape.stride_w) * G;
    int64_t i = 0;
    for (; i + MAX_OUTPUTS <= count; i += MAX_OUTPUTS)
        outputs_of(G, KW, SW, MAX_OUTPUTS, b, columns + i * step, ox + i, y);
    for (; i < count; i++)
        outputs_of(G, KW, SW, 1, b, columns + i * step, ox + i, y);
}

#define DEFINE(G, KW, SW)                                                                          \
    static void outputs_##G##_##KW##_##SW(const block *b, const quarters *columns, int64_t ox,     \
                                          int64_t count, uint8_t *y)                               \
    {                                                                                              \
        outputs(G, KW, SW, b, columns, ox, count, y);                                              \
    }
DEFINE(1, 3, 1)
DEFINE(1, 3, 2)
DEFINE(1, 5, 1)
DEFINE(1, 5, 2)
DEFINE(2, 5, 1)
DEFINE(2, 5, 2)
DEFINE(1, 0, 0)
DEFINE(2, 0, 0)
#undef DEFINE

typedef void (*columns_fn)(const block *, const lines *, int64_t, int64_t, quarters *);
typedef void (*outputs_fn)(const block *, const quarters *, int64_t, int64_t, uint8_t *);

static outputs_fn find_outputs(const block *b)
{
    const adze_dwconv_shape *s = &b->args->shape;
    bool common = s->dilation_w == 1 && s->stride_w <= 2;
    if (common && b->groups == 1 && s->kw == 3)
        return s->stride_w == 1 ? outputs_1_3_1 : outputs_1_3_2;
    if (common && b->groups == 1 && s->kw == 5)
        return s->stride_w == 1 ? outputs_1_5_1 : outputs_1_5_2;
    if (common && b->groups == 2 && s->kw == 5)
        return s->stride_w == 1 ? outputs_2_5_1 : outputs_2_5_2;
    return b->groups == 1 ? outputs_1_0_0 : outputs_2_0_0;
}

static void find_lines(const block *b, int64_t image, int64_t oy, lines *l)
{
    const adze_dwconv_shape *s = &b->args->shape;
    _mm512_storeu_si512(l->padding, b->pad);
    for (int64_t i = 0; i < 4 * MAX_GROUPS; i++) {
        int64_t iy = oy * s->stride_h - s->pad_top + (b->first_line + i) * s->dilation_h;
        bool inside = i < b->line_count && iy >= 0 && iy < s->h;
        const uint8_t *line = b->args->x + (image * s->h + iy) * s->w * s->c + b->channel;
        l->at[i] = inside ? line : l->padding;
        l->step[i] = inside ? s->c : 0;
    }
}

static void row(const block *b, int64_t image, int64_t oy)
{
    static const columns_fn make[5] = {
        [1] = make_columns_1, [2] = make_columns_2, [4] = make_columns_4};
    const adze_dwconv_shape *s = &b->args->shape;
    const outputs_fn finish = find_outputs(b);
    lines l;
    find_lines(b, image, oy, &l);
    uint8_t *y = b->args->y + (image * s->oh + oy) * s->ow * s->c + b->channel;
    int64_t extent = (s->kw - 1) * s->dilation_w + 1;
    int64_t most = (MAX_COLUMNS - extent) / s->stride_w + 1;
    quarters columns[MAX_COLUMNS * MAX_GROUPS];
    for (int64_t ox = 0; ox < b->part; ox += most) {
        int64_t count = ADZE_MIN(most, b->part - ox);
        int64_t needed = (count - 1) * s->stride_w + extent;
        make[b->streams](b, &l, ox * s->stride_w - s->pad_left, needed, columns);
        finish(b, columns, ox, count, y);
    }
}

static void q8_rows(const adze_dwconv_q8_args *args, int64_t image, int64_t first, int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    bool fits = s->kh <= 4 * MAX_GROUPS && s->kw <= MAX_KW &&
                (s->kw - 1) * s->dilation_w < MAX_COLUMNS / 2 && s->stride_w <= MAX_COLUMNS / 2;
    block b;
    for (int64_t channel = 0; fits && channel < s->c; channel += CHANNELS / b.streams) {
        fits = prepare(&b, args, channel);
        for (int64_t oy = first; fits && oy < last; oy++) {
            prepare_row(&b, oy);
            row(&b, image, oy);
        }
    }
    if (!fits)
        adze_dwconv_q8_rows_avx2(args, image, first, last);
}

void adze_dwconv_init_avx512(adze_dwconv_table *table)
{
    table->f32_rows = adze_dwconv_f32_rows_avx512;
    table->q8_rows = q8_rows;
}
