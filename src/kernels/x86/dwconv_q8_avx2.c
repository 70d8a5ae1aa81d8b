/* Integer depthwise convolution with AVX2: 16 channels at a time. Inputs less their zero point and
 * weights are numbers of 16 bits; vpmaddwd multiplies and adds two taps, which are laid side by side.
 * The taps of a window row are paired; the last is paired with nothing where they are odd. */
#include <immintrin.h>

#include "kernels/dwconv_impl.h"
#include "kernels/x86/dwconv_x86_impl.h"
#include "kernels/x86/tile_impl.h"

#include <string.h>

enum { CHANNELS = 16, MAX_OUTPUTS = 4 };

/* 16 channels of an output row. */
typedef struct block {
    const adze_dwconv_q8_args *args;
    int64_t channel, channels;
    const uint8_t *line; /* of input, at the block's channels; moves with ky */
    adze_taps ky;
    __m256i x_zero;
    __m256 low, high;
} block;

static __m256i load_weights(const block *b, const int16_t *from)
{
    int16_t copy[CHANNELS] = {0};
    if (b->channels == CHANNELS)
        return _mm256_loadu_si256((const __m256i *)from);
    memcpy(copy, from, (size_t)b->channels * sizeof *copy);
    return _mm256_loadu_si256((const __m256i *)copy);
}

INLINE __m256i load_input(const block *b, const uint8_t *from)
{
    __m128i bytes;
    if (b->channels == CHANNELS) {
        bytes = _mm_loadu_si128((const __m128i *)from);
    } else {
        uint8_t copy[CHANNELS] = {0};
        memcpy(copy, from, (size_t)b->channels);
        bytes = _mm_loadu_si128((const __m128i *)copy);
    }
    __m256i x = b->args->x_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
    return _mm256_sub_epi16(x, b->x_zero);
}

typedef struct sums {
    __m256i low[MAX_OUTPUTS], high[MAX_OUTPUTS]; /* channels 0-3, 8-11 and 4-7, 12-15 */
} sums;

/* Taps [kx.first, kx.last) of one window row of T outputs, the first of which begins at x. */
INLINE void add_row(const int T, const block *b, const uint8_t *x, const int16_t *weights,
                    adze_taps kx, sums *s)
{
    const adze_dwconv_shape *shape = &b->args->shape;
    const ptrdiff_t tap = shape->dilation_w * shape->c, output = shape->stride_w * shape->c;
    for (int64_t j = kx.first; j < kx.last; j += 2) {
        bool two = j + 1 < kx.last;
        __m256i none = _mm256_setzero_si256();
        __m256i w0 = load_weights(b, weights + j * shape->c);
        __m256i w1 = two ? load_weights(b, weights + (j + 1) * shape->c) : none;
        __m256i w_low = _mm256_unpacklo_epi16(w0, w1), w_high = _mm256_unpackhi_epi16(w0, w1);
        UNROLL
        for (int t = 0; t < T; t++) {
            const uint8_t *at = x + j * tap + t * output;
            __m256i x0 = load_input(b, at), x1 = two ? load_input(b, at + tap) : none;
            __m256i low = _mm256_unpacklo_epi16(x0, x1), high = _mm256_unpackhi_epi16(x0, x1);
            s->low[t] = _mm256_add_epi32(s->low[t], _mm256_madd_epi16(low, w_low));
            s->high[t] = _mm256_add_epi32(s->high[t], _mm256_madd_epi16(high, w_high));
        }
    }
}

INLINE __m256i round_sums(const block *b, __m256i sum, __m256 scale)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale);
    return _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(v, b->high), b->low));
}

/* 16 floats or integers in the order of the sums: low in [0], high in [1]. */
static void load_split(const block *b, const void *values, __m256i out[2])
{
    int32_t copy[CHANNELS] = {0};
    memcpy(copy, values, (size_t)b->channels * sizeof *copy);
    __m256i first = _mm256_loadu_si256((const __m256i *)copy);
    __m256i second = _mm256_loadu_si256((const __m256i *)(copy + 8));
    out[0] = _mm256_permute2x128_si256(first, second, 0x20);
    out[1] = _mm256_permute2x128_si256(first, second, 0x31);
}

INLINE void outputs(const int T, const block *b, adze_taps kx, uint8_t *y)
{
    const adze_dwconv_q8_args *args = b->args;
    const adze_dwconv_shape *shape = &args->shape;
    __m256i start[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, scale[2];
    if (args->bias)
        load_split(b, args->bias + b->channel, start);
    load_split(b, args->scale + b->channel, scale);
    sums s;
    UNROLL
    for (int t = 0; t < T; t++) {
        s.low[t] = start[0];
        s.high[t] = start[1];
    }
    for (int64_t i = b->ky.first; i < b->ky.last; i++) {
        int64_t pixel = i * shape->dilation_h * shape->w + kx.start;
        const int16_t *weights = args->weights + i * shape->kw * shape->c + b->channel;
        add_row(T, b, b->line + pixel * shape->c, weights, kx, &s);
    }
    UNROLL
    for (int t = 0; t < T; t++) {
        __m256i low = round_sums(b, s.low[t], _mm256_castsi256_ps(scale[0]));
        __m256i high = round_sums(b, s.high[t], _mm256_castsi256_ps(scale[1]));
        __m256i words = _mm256_packs_epi32(low, high);
        words = _mm256_add_epi16(words, _mm256_set1_epi16((short)args->y_zero));
        __m128i first = _mm256_castsi256_si128(words), second = _mm256_extracti128_si256(words, 1);
        __m128i bytes =
            args->y_signed ? _mm_packs_epi16(first, second) : _mm_packus_epi16(first, second);
        if (b->channels == CHANNELS)
            _mm_storeu_si128((__m128i *)(y + t * shape->c), bytes);
        else
            memcpy(y + t * shape->c, &bytes, (size_t)b->channels);
    }
}

static void block_row(const block *b, uint8_t *y)
{
    const adze_dwconv_shape *s = &b->args->shape;
    int64_t first, last;
    adze_dwconv_interior(s, &first, &last);
    for (int64_t ox = 0, count = 1; ox < s->ow; ox += count) {
        int64_t ix = ox * s->stride_w - s->pad_left;
        adze_taps kx = adze_taps_inside(ix, s->kw, s->dilation_w, s->w);
        count = ox >= first && ox + MAX_OUTPUTS <= last ? MAX_OUTPUTS : 1;
        if (count == MAX_OUTPUTS)
            outputs(MAX_OUTPUTS, b, kx, y + ox * s->c);
        else
            outputs(1, b, kx, y + ox * s->c);
    }
}

void adze_dwconv_q8_rows_avx2(const adze_dwconv_q8_args *args, int64_t image, int64_t first,
                              int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    block b = {.args = args,
               .x_zero = _mm256_set1_epi16((short)args->x_zero),
               .low = _mm256_set1_ps((float)(args->lo - args->y_zero)),
               .high = _mm256_set1_ps((float)(args->hi - args->y_zero))};
    for (int64_t oy = first; oy < last; oy++) {
        int64_t iy = oy * s->stride_h - s->pad_top;
        b.ky = adze_taps_inside(iy, s->kh, s->dilation_h, s->h);
        uint8_t *y = args->y + (image * s->oh + oy) * s->ow * s->c;
        for (b.channel = 0; b.channel < s->c; b.channel += CHANNELS) {
            b.channels = ADZE_MIN(s->c - b.channel, CHANNELS);
            b.line = args->x + (image * s->h + iy) * s->w * s->c + b.channel;
            block_row(&b, y + b.channel);
        }
    }
}
