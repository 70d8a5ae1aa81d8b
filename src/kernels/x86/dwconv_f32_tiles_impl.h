/* Float depthwise convolution for any vector of LANES floats: the channels of one vector, for up to eight
 * neighbouring outputs at a time. For the common kernels a row of input pixels is loaded once and used
 * for all outputs whose windows hold them; the others load a pixel for each tap.
 *
 * The file of a level defines, then includes this: vec, vec_mask with their vec_ functions, and
 * OUTPUTS(X, ...) with X(count, ...) for the numbers of outputs, descending to 1; WIDEST, the same for kernels of 7 columns
 * (nothing where registers are too few for them). */
#include "kernels/dwconv_impl.h"
#include "kernels/x86/tile_impl.h"

enum { MAX_OUTPUTS = 8, MAX_KW = 7, MAX_STRIDE = 2 };

typedef struct tile_args {
    const adze_dwconv_f32_args *args;
    int64_t image, row, column; /* the first output */
    adze_taps ky, kx;           /* kx: of a general kernel alone */
} tile_args;

INLINE void store(const int T, const tile_args *t, int64_t channel, vec_mask mask, const vec *sum)
{
    const adze_dwconv_f32_args *args = t->args;
    const adze_dwconv_shape *s = &args->shape;
    float *y = args->y + ((t->image * s->oh + t->row) * s->ow + t->column) * s->c + channel;
    vec lo = vec_set1(args->lo), hi = vec_set1(args->hi);
    UNROLL
    for (int i = 0; i < T; i++)
        vec_store_masked(y + i * s->c, mask, vec_min(hi, vec_max(lo, sum[i])));
}

/* T outputs of a kernel of KW columns at stride SW, undilated. Careful: some pixels may lie in the
 * padding, some channels may be missing. */
INLINE void tile(const int T, const int KW, const int SW, const bool careful, const tile_args *t,
                 int64_t channel, vec_mask some)
{
    const adze_dwconv_f32_args *args = t->args;
    const adze_dwconv_shape *s = &args->shape;
    const vec_mask mask = careful ? some : vec_first(LANES);
    const int64_t first = t->column * SW - s->pad_left;
    vec sum[MAX_OUTPUTS], start = vec_set1(0);
    if (args->bias)
        start = vec_load_masked(args->bias + channel, mask);
    UNROLL
    for (int i = 0; i < T; i++)
        sum[i] = start;
    for (int64_t ky = t->ky.first; ky < t->ky.last; ky++) {
        int64_t line = t->image * s->h + t->ky.start + ky * s->dilation_h;
        const float *x = args->x + (line * s->w + first) * s->c + channel;
        const float *weight = args->weights + ky * KW * s->c + channel;
        vec pixel[(MAX_OUTPUTS - 1) * MAX_STRIDE + MAX_KW];
        UNROLL
        for (int i = 0; i < (T - 1) * SW + KW; i++) {
            if (careful && (first + i < 0 || first + i >= s->w))
                pixel[i] = vec_set1(0);
            else
                pixel[i] = vec_load_masked(x + i * s->c, mask);
        }
        UNROLL
        for (int kx = 0; kx < KW; kx++) {
            vec w = vec_load_masked(weight + kx * s->c, mask);
            UNROLL
            for (int i = 0; i < T; i++)
                sum[i] = vec_fma(pixel[i * SW + kx], w, sum[i]);
        }
    }
    store(T, t, channel, mask, sum);
}

/* Any kernel; T is 1 where taps lie in the padding. */
INLINE void general_tile(const int T, const tile_args *t, int64_t channel, vec_mask mask)
{
    const adze_dwconv_f32_args *args = t->args;
    const adze_dwconv_shape *s = &args->shape;
    const ptrdiff_t step = s->stride_w * s->c;
    vec sum[MAX_OUTPUTS], start = vec_set1(0);
    if (args->bias)
        start = vec_load_masked(args->bias + channel, mask);
    UNROLL
    for (int i = 0; i < T; i++)
        sum[i] = start;
    for (int64_t ky = t->ky.first; ky < t->ky.last; ky++) {
        int64_t line = t->image * s->h + t->ky.start + ky * s->dilation_h;
        for (int64_t kx = t->kx.first; kx < t->kx.last; kx++) {
            int64_t pixel = line * s->w + t->kx.start + kx * s->dilation_w;
            const float *x = args->x + pixel * s->c + channel;
            vec w = vec_load_masked(args->weights + (ky * s->kw + kx) * s->c + channel, mask);
            UNROLL
            for (int i = 0; i < T; i++)
                sum[i] = vec_fma(vec_load_masked(x + i * step, mask), w, sum[i]);
        }
    }
    store(T, t, channel, mask, sum);
}

/* All channels of a tile. */
#define DEFINE(T, KW, SW)                                                                          \
    static void tile_##T##_##KW##_##SW(const tile_args *t, bool careful)                           \
    {                                                                                              \
        int64_t c = t->args->shape.c, channel = 0;                                                 \
        for (; !careful && channel + LANES <= c; channel += LANES)                                 \
            tile(T, KW, SW, false, t, channel, vec_first(LANES));                                  \
        for (; channel < c; channel += LANES)                                                      \
            tile(T, KW, SW, true, t, channel, vec_first(c - channel));                             \
    }
OUTPUTS(DEFINE, 3, 1)
OUTPUTS(DEFINE, 3, 2)
OUTPUTS(DEFINE, 5, 1)
OUTPUTS(DEFINE, 5, 2)
WIDEST(DEFINE, 7, 1)

#define DEFINE_GENERAL(T, KW, SW)                                                                  \
    static void tile_##T##_##KW##_##SW(const tile_args *t, bool careful)                           \
    {                                                                                              \
        ADZE_UNUSED(careful);                                                                      \
        for (int64_t c = t->args->shape.c, channel = 0; channel < c; channel += LANES)             \
            general_tile(T, t, channel, vec_first(c - channel));                                   \
    }
OUTPUTS(DEFINE_GENERAL, any, any)

typedef void (*tile_fn)(const tile_args *t, bool careful);

typedef struct kernel {
    int64_t kw, stride;
    tile_fn tiles[MAX_OUTPUTS + 1];
} kernel;

#define ENTRY(T, KW, SW) [T] = tile_##T##_##KW##_##SW,
static const kernel kernels[] = {
    {3, 1, {OUTPUTS(ENTRY, 3, 1)}},
    {3, 2, {OUTPUTS(ENTRY, 3, 2)}},
    {5, 1, {OUTPUTS(ENTRY, 5, 1)}},
    {5, 2, {OUTPUTS(ENTRY, 5, 2)}},
    {7, 1, {[0] = NULL, WIDEST(ENTRY, 7, 1)}},
};
static const kernel general = {0, 0, {OUTPUTS(ENTRY, any, any)}};

static const kernel *find_kernel(const adze_dwconv_shape *s)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(kernels); i++)
        if (kernels[i].tiles[1] && s->kw == kernels[i].kw && s->stride_w == kernels[i].stride &&
            s->dilation_w == 1)
            return &kernels[i];
    return &general;
}

/* The largest tile, but one that leaves no small rest if there is one. */
static int64_t choose_outputs(const kernel *k, int64_t left)
{
    int64_t most = ADZE_MIN(left, MAX_OUTPUTS);
    for (int64_t count = most; count > most / 2; count--)
        if (k->tiles[count] && left % count == 0)
            return count;
    while (!k->tiles[most])
        most--;
    return most;
}

static void row(tile_args *t, const kernel *k)
{
    const adze_dwconv_shape *s = &t->args->shape;
    int64_t first, last;
    t->ky = adze_taps_inside(t->row * s->stride_h - s->pad_top, s->kh, s->dilation_h, s->h);
    adze_dwconv_interior(s, &first, &last);
    for (int64_t ox = 0, count; ox < s->ow; ox += count) {
        bool inside = ox >= first && ox < last;
        if (k == &general)
            count = inside ? choose_outputs(k, last - ox) : 1;
        else
            count = choose_outputs(k, s->ow - ox);
        t->column = ox;
        t->kx = adze_taps_inside(ox * s->stride_w - s->pad_left, s->kw, s->dilation_w, s->w);
        k->tiles[count](t, !inside || ox + count > last);
    }
}

static void f32_rows(const adze_dwconv_f32_args *args, int64_t image, int64_t first, int64_t last)
{
    const kernel *k = find_kernel(&args->shape);
    tile_args t = {.args = args, .image = image};
    for (t.row = first; t.row < last; t.row++)
        row(&t, k);
}
