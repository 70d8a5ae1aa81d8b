/* Integer depthwise convolution with AVX2: 16 channels at a time. Inputs less their zero point and
 * weights are numbers of 16 bits (so any zero point of the weights will do); vpmaddwd multiplies and
 * adds two taps of a column, laid side by side once and used for all outputs whose windows hold them.
 * That leaves the channels in two halves, as packing 32-bit sums needs them. */
#include <immintrin.h>

#include "kernels/dwconv_impl.h"
#include "kernels/x86/dwconv_x86_impl.h"
#include "kernels/x86/tile_impl.h"

#include <string.h>

enum { CHANNELS = 16, MAX_PAIRS = 4, MAX_KW = 8, MAX_COLUMNS = 40, MAX_OUTPUTS = 4 };

/* Channels 0-3 and 8-11, then the others. */
typedef struct halves {
    __m256i at[2];
} halves;

/* Everything of 16 channels that does not change along a row. */
typedef struct block {
    const adze_dwconv_q8_args *args;
    int64_t channel, channels;
    int pairs; /* of taps in a column */
    __m128i flip;
    __m256i x_zero, y_zero;
    halves weights[MAX_PAIRS][MAX_KW], start, scale, offset;
    __m256 low, high;
} block;

/* Numbers of 16 bits side by side. */
INLINE halves interleave(__m256i a, __m256i b)
{
    return (halves){{_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)}};
}

static halves split(const block *b, const void *values)
{
    int32_t copy[CHANNELS] = {0};
    memcpy(copy, values, (size_t)b->channels * sizeof *copy);
    __m256i first = _mm256_loadu_si256((const __m256i *)copy);
    __m256i second = _mm256_loadu_si256((const __m256i *)(copy + 8));
    return (halves){{_mm256_permute2x128_si256(first, second, 0x20),
                     _mm256_permute2x128_si256(first, second, 0x31)}};
}

static __m256i load_weights(const block *b, int64_t ky, int64_t kx)
{
    const adze_dwconv_shape *s = &b->args->shape;
    int16_t copy[CHANNELS] = {0};
    if (ky < s->kh)
        memcpy(copy, b->args->weights + (ky * s->kw + kx) * s->c + b->channel,
               (size_t)b->channels * sizeof *copy);
    return _mm256_loadu_si256((const __m256i *)copy);
}

static void prepare(block *b, const adze_dwconv_q8_args *args, int64_t channel)
{
    const adze_dwconv_shape *s = &args->shape;
    b->args = args;
    b->channel = channel;
    b->channels = ADZE_MIN(s->c - channel, CHANNELS);
    b->pairs = (int)((s->kh + 1) / 2);
    b->flip = _mm_set1_epi8(args->x_signed ? (char)0x80 : 0);
    b->x_zero = _mm256_set1_epi16((short)(args->x_zero + (args->x_signed ? 128 : 0)));
    b->y_zero = _mm256_set1_epi16((short)args->y_zero);
    b->start = args->bias ? split(b, args->bias + channel) : (halves){0};
    b->scale = split(b, args->scale + channel);
    b->offset = args->f_bias ? split(b, args->f_bias + channel) : (halves){0};
    b->low = _mm256_set1_ps((float)(args->lo - args->y_zero));
    b->high = _mm256_set1_ps((float)(args->hi - args->y_zero));
    for (int p = 0; p < b->pairs; p++)
        for (int64_t kx = 0; kx < s->kw; kx++)
            b->weights[p][kx] =
                interleave(load_weights(b, 2 * p, kx), load_weights(b, 2 * p + 1, kx));
}

/* The input lines of a window at the block's channels. A line in the padding: one pixel, step 0. */
typedef struct lines {
    const uint8_t *at[2 * MAX_PAIRS];
    ptrdiff_t step[2 * MAX_PAIRS];
    uint8_t padding[CHANNELS];
} lines;

static void find_lines(const block *b, int64_t image, int64_t oy, lines *l)
{
    const adze_dwconv_shape *s = &b->args->shape;
    memset(l->padding, (uint8_t)b->args->x_zero, CHANNELS);
    for (int64_t ky = 0; ky < 2 * MAX_PAIRS; ky++) {
        int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
        bool inside = ky < s->kh && iy >= 0 && iy < s->h;
        const uint8_t *line = b->args->x + (image * s->h + iy) * s->w * s->c + b->channel;
        l->at[ky] = inside ? line : l->padding;
        l->step[ky] = inside ? s->c : 0;
    }
}

INLINE __m256i load_pixel(const bool full, const block *b, const uint8_t *x)
{
    uint8_t copy[CHANNELS] = {0};
    if (!full) {
        memcpy(copy, x, (size_t)b->channels);
        x = copy;
    }
    __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)x), b->flip);
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), b->x_zero);
}

/* Columns [ix, ix + count), two taps interleaved, in all pairs. */
INLINE void make_columns(const bool full, const block *b, const lines *l, int64_t ix, int64_t count,
                         halves *columns)
{
    const halves none = {{_mm256_setzero_si256(), _mm256_setzero_si256()}};
    const int64_t from = ADZE_MIN(ADZE_MAX(-ix, 0), count);
    const int64_t to = ADZE_MAX(ADZE_MIN(b->args->shape.w - ix, count), from);
    for (int p = 0; p < b->pairs; p++) {
        const ptrdiff_t step[2] = {l->step[2 * p], l->step[2 * p + 1]};
        const uint8_t *x[2] = {l->at[2 * p] + (ix + from) * step[0],
                               l->at[2 * p + 1] + (ix + from) * step[1]};
        for (int64_t i = 0; i < from; i++)
            columns[i * b->pairs + p] = none;
        for (int64_t i = from; i < to; i++) {
            columns[i * b->pairs + p] =
                interleave(load_pixel(full, b, x[0]), load_pixel(full, b, x[1]));
            x[0] += step[0];
            x[1] += step[1];
        }
        for (int64_t i = to; i < count; i++)
            columns[i * b->pairs + p] = none;
    }
}

INLINE __m256i rounded(const block *b, __m256i sum, int half)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_castsi256_ps(b->scale.at[half]));
    if (b->args->f_bias)
        v = _mm256_add_ps(v, _mm256_castsi256_ps(b->offset.at[half]));
    return _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(v, b->high), b->low));
}

static inline void store(const block *b, uint8_t *y, __m256i low, __m256i high)
{
    __m256i words = _mm256_add_epi16(_mm256_packs_epi32(low, high), b->y_zero);
    __m128i first = _mm256_castsi256_si128(words), second = _mm256_extracti128_si256(words, 1);
    __m128i bytes =
        b->args->y_signed ? _mm_packs_epi16(first, second) : _mm_packus_epi16(first, second);
    if (b->channels == CHANNELS)
        _mm_storeu_si128((__m128i *)y, bytes);
    else
        memcpy(y, &bytes, (size_t)b->channels);
}

/* T outputs; columns: at the first tap of the first. P pairs of taps, KW columns at stride SW; KW 0: any
 * kernel. */
INLINE void outputs_of(const int P, const int KW, const int SW, const int T, const block *b,
                       const halves *columns, uint8_t *y)
{
    const adze_dwconv_shape *s = &b->args->shape;
    const int64_t kw = KW ? KW : s->kw, tap = KW ? P : s->dilation_w * b->pairs;
    const int64_t step = KW ? SW * P : s->stride_w * b->pairs, pairs = KW ? P : b->pairs;
    __m256i out[2][MAX_OUTPUTS];
    UNROLL
    for (int half = 0; half < 2; half++) {
        __m256i sum[MAX_OUTPUTS];
        UNROLL
        for (int t = 0; t < T; t++)
            sum[t] = b->start.at[half];
        for (int64_t kx = 0; kx < kw; kx++)
            for (int64_t p = 0; p < pairs; p++) {
                __m256i w = b->weights[p][kx].at[half];
                const halves *column = columns + kx * tap + p;
                UNROLL
                for (int t = 0; t < T; t++)
                    sum[t] =
                        _mm256_add_epi32(sum[t], _mm256_madd_epi16(column[t * step].at[half], w));
            }
        UNROLL
        for (int t = 0; t < T; t++)
            out[half][t] = rounded(b, sum[t], half);
    }
    UNROLL
    for (int t = 0; t < T; t++)
        store(b, y + t * s->c, out[0][t], out[1][t]);
}

INLINE void outputs(const int P, const int KW, const int SW, const block *b, const halves *columns,
                    int64_t count, uint8_t *y)
{
    const adze_dwconv_shape *s = &b->args->shape;
    int64_t i = 0, step = s->stride_w * b->pairs;
    for (; i + MAX_OUTPUTS <= count; i += MAX_OUTPUTS)
        outputs_of(P, KW, SW, MAX_OUTPUTS, b, columns + i * step, y + i * s->c);
    for (; i < count; i++)
        outputs_of(P, KW, SW, 1, b, columns + i * step, y + i * s->c);
}

#define DEFINE(P, KW, SW)                                                                          \
    static void outputs_##P##_##KW##_##SW(const block *b, const halves *columns, int64_t count,    \
                                          uint8_t *y)                                              \
    {                                                                                              \
        outputs(P, KW, SW, b, columns, count, y);                                                  \
    }
DEFINE(2, 3, 1)
DEFINE(2, 3, 2)
DEFINE(3, 5, 1)
DEFINE(3, 5, 2)
DEFINE(0, 0, 0)

typedef void (*outputs_fn)(const block *, const halves *, int64_t, uint8_t *);

static outputs_fn find_outputs(const block *b)
{
    const adze_dwconv_shape *s = &b->args->shape;
    bool common = s->dilation_w == 1 && s->stride_w <= 2;
    if (common && b->pairs == 2 && s->kw == 3)
        return s->stride_w == 1 ? outputs_2_3_1 : outputs_2_3_2;
    if (common && b->pairs == 3 && s->kw == 5)
        return s->stride_w == 1 ? outputs_3_5_1 : outputs_3_5_2;
    return outputs_0_0_0;
}

static void row(const block *b, int64_t image, int64_t oy)
{
    const adze_dwconv_shape *s = &b->args->shape;
    const outputs_fn finish = find_outputs(b);
    lines l;
    find_lines(b, image, oy, &l);
    uint8_t *y = b->args->y + (image * s->oh + oy) * s->ow * s->c + b->channel;
    int64_t extent = (s->kw - 1) * s->dilation_w + 1;
    int64_t most = (MAX_COLUMNS - extent) / s->stride_w + 1;
    halves columns[MAX_COLUMNS * MAX_PAIRS];
    for (int64_t ox = 0; ox < s->ow; ox += most) {
        int64_t count = ADZE_MIN(most, s->ow - ox), ix = ox * s->stride_w - s->pad_left;
        int64_t needed = (count - 1) * s->stride_w + extent;
        if (b->channels == CHANNELS)
            make_columns(true, b, &l, ix, needed, columns);
        else
            make_columns(false, b, &l, ix, needed, columns);
        finish(b, columns, count, y + ox * s->c);
    }
}

void adze_dwconv_q8_rows_avx2(const adze_dwconv_q8_args *args, int64_t image, int64_t first,
                              int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    if (s->kh > 2 * MAX_PAIRS || s->kw > MAX_KW || s->stride_w > MAX_COLUMNS / 2 ||
        (s->kw - 1) * s->dilation_w >= MAX_COLUMNS / 2) {
        adze_dwconv_q8_rows_ref(args, image, first, last);
        return;
    }
    block b;
    for (int64_t channel = 0; channel < s->c; channel += CHANNELS) {
        /* the last block overlaps the one before, rather than being narrow */
        int64_t full = s->c >= CHANNELS ? ADZE_MIN(channel, s->c - CHANNELS) : channel;
        prepare(&b, args, full);
        for (int64_t oy = first; oy < last; oy++)
            row(&b, image, oy);
    }
}
