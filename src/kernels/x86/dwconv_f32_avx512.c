/* Float depthwise convolution with AVX-512: sixteen channels of up to eight neighbouring outputs at a
 * time, so that a weight is loaded once for all of them and their sums run side by side. */
#include <immintrin.h>

#include "kernels/dwconv_impl.h"
#include "kernels/x86/dwconv_avx512_impl.h"
#include "kernels/x86/tile_impl.h"

enum { MAX_OUTPUTS = 8, LANES = 16 };

typedef struct tile_args {
    const adze_dwconv_f32_args *args;
    int64_t image, row, column; /* the first output */
    adze_taps ky, kx;
} tile_args;

/* Channels [channel, channel + 16) of T outputs; `mask` where there are fewer. */
INLINE void tile(const int T, const bool full, const tile_args *t, int64_t channel, __mmask16 mask)
{
    const adze_dwconv_f32_args *args = t->args;
    const adze_dwconv_shape *s = &args->shape;
    const __mmask16 lanes = full ? (__mmask16)0xffff : mask;
    const ptrdiff_t step = s->stride_w * s->c;
    __m512 sum[MAX_OUTPUTS];
    __m512 start =
        args->bias ? _mm512_maskz_loadu_ps(lanes, args->bias + channel) : _mm512_setzero_ps();
    UNROLL
    for (int i = 0; i < T; i++)
        sum[i] = start;
    for (int64_t ky = t->ky.first; ky < t->ky.last; ky++) {
        int64_t line = t->image * s->h + t->ky.start + ky * s->dilation_h;
        const float *weight = args->weights + (ky * s->kw + t->kx.first) * s->c + channel;
        int64_t pixel = line * s->w + t->kx.start + t->kx.first * s->dilation_w;
        const float *x = args->x + pixel * s->c + channel;
        for (int64_t kx = t->kx.first; kx < t->kx.last; kx++) {
            __m512 w = _mm512_maskz_loadu_ps(lanes, weight);
            UNROLL
            for (int i = 0; i < T; i++)
                sum[i] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, x + i * step), w, sum[i]);
            weight += s->c;
            x += s->dilation_w * s->c;
        }
    }
    float *y = args->y + ((t->image * s->oh + t->row) * s->ow + t->column) * s->c + channel;
    __m512 lo = _mm512_set1_ps(args->lo), hi = _mm512_set1_ps(args->hi);
    UNROLL
    for (int i = 0; i < T; i++)
        _mm512_mask_storeu_ps(y + i * s->c, lanes, _mm512_min_ps(hi, _mm512_max_ps(lo, sum[i])));
}

#define OUTPUTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

#define DEFINE(T)                                                                                  \
    static void outputs_##T(const tile_args *t)                                                    \
    {                                                                                              \
        int64_t c = t->args->shape.c, channel = 0;                                                 \
        for (; channel + LANES <= c; channel += LANES)                                             \
            tile(T, true, t, channel, 0);                                                          \
        if (channel < c)                                                                           \
            tile(T, false, t, channel, (__mmask16)((1 << (c - channel)) - 1));                     \
    }
OUTPUTS(DEFINE)

#define ENTRY(T) outputs_##T,
static void (*const outputs[])(const tile_args *) = {OUTPUTS(ENTRY)};

static void row(tile_args *t)
{
    const adze_dwconv_shape *s = &t->args->shape;
    int64_t iy = t->row * s->stride_h - s->pad_top, first, last;
    t->ky = adze_taps_inside(iy, s->kh, s->dilation_h, s->h);
    adze_dwconv_interior(s, &first, &last);
    adze_cut cut = adze_cut_rows(first, last, 0, MAX_OUTPUTS);
    for (int64_t ox = 0, count = 1; ox < s->ow; ox += count) {
        count = ox >= first && ox < last ? adze_cut_next(&cut) : 1;
        t->column = ox;
        t->kx = adze_taps_inside(ox * s->stride_w - s->pad_left, s->kw, s->dilation_w, s->w);
        outputs[count - 1](t);
    }
}

void adze_dwconv_f32_rows_avx512(const adze_dwconv_f32_args *args, int64_t image, int64_t first,
                                 int64_t last)
{
    tile_args t = {.args = args, .image = image};
    for (t.row = first; t.row < last; t.row++)
        row(&t);
}
