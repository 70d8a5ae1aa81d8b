/* The loops of the pooling family as plain C. Included by pool.c and x86/pool_<level>.c. A window's
 * channels are taken BLOCK at a time, which stay in registers while the taps pass. */
#ifndef ADZE_KERNELS_POOL_IMPL_H
#define ADZE_KERNELS_POOL_IMPL_H
#include "kernels/loop_impl.h"
#include "kernels/pool.h"

/* Taps [first, last) of one axis that lie inside [low, high), for a window that starts at `start`. */
typedef struct taps {
    int64_t first, last;
} taps;

static inline taps taps_inside(int64_t start, int64_t count, int64_t dilation, int64_t low,
                               int64_t high)
{
    taps t = {0, count};
    while (t.first < t.last && start + t.first * dilation < low) t.first++;
    while (t.last > t.first && start + (t.last - 1) * dilation >= high) t.last--;
    return t;
}

/* The window of one output pixel: where its first tap inside the image is, in elements from the start
 * of the image, and how many taps there are. */
typedef struct window {
    int64_t rows, columns, offset, step_y, step_x;
    int64_t divisor;
} window;

static inline window window_at(const adze_pool_shape *s, bool include_pad, int64_t oy, int64_t ox)
{
    const int64_t y = oy * s->stride_h - s->pad_top, x = ox * s->stride_w - s->pad_left;
    const taps ty = taps_inside(y, s->kh, s->dilation_h, 0, s->h);
    const taps tx = taps_inside(x, s->kw, s->dilation_w, 0, s->w);
    window v = {ty.last - ty.first, tx.last - tx.first, 0, 0, 0, 0};
    v.offset = ((y + ty.first * s->dilation_h) * s->w + x + tx.first * s->dilation_w) * s->c;
    v.step_y = s->dilation_h * s->w * s->c;
    v.step_x = s->dilation_w * s->c;
    v.divisor = v.rows * v.columns;
    if (v.divisor == 0) v.rows = v.columns = v.offset = 0;
    if (include_pad) {
        const taps py = taps_inside(y, s->kh, s->dilation_h, -s->pad_top, s->h + s->pad_bottom);
        const taps px = taps_inside(x, s->kw, s->dilation_w, -s->pad_left, s->w + s->pad_right);
        v.divisor = (py.last - py.first) * (px.last - px.first);
    }
    return v;
}

/* Runs `acc[j] = combine(acc[j], tap[j])` over the taps of window v at x, for `width` channels. */
#define OVER_TAPS(type, acc, width, combine)                                        \
    for (int64_t ky = 0; ky < v->rows; ky++)                                        \
        for (int64_t kx = 0; kx < v->columns; kx++) {                               \
            const type *tap = x + ky * v->step_y + kx * v->step_x;                  \
            for (int64_t j = 0; j < (width); j++) acc[j] = combine(acc[j], tap[j]); \
        }

/* Accumulates the window into acc[width]; whole blocks with a constant trip count. */
#define ACCUMULATE(name, type, acc_type, start, combine)                                  \
    static inline void name(const window *v, const type *x, acc_type *acc, int64_t width) \
    {                                                                                     \
        for (int j = 0; j < BLOCK; j++) acc[j] = start;                                   \
        if (width == BLOCK) {                                                             \
            OVER_TAPS(type, acc, BLOCK, combine)                                          \
        } else {                                                                          \
            OVER_TAPS(type, acc, width, combine)                                          \
        }                                                                                 \
    }

enum { BLOCK = 64 };

static inline float add_f32(float a, float b)
{
    return a + b;
}

static inline uint8_t max_u8(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

static inline int8_t max_i8(int8_t a, int8_t b)
{
    return a > b ? a : b;
}

static inline int32_t add_byte(int32_t a, int32_t b)
{
    return a + b;
}

ACCUMULATE(window_max_f32, float, float, -INFINITY, max_f32)
ACCUMULATE(window_sum_f32, float, float, 0.0f, add_f32)
ACCUMULATE(window_max_u8, uint8_t, uint8_t, 0, max_u8)
ACCUMULATE(window_max_i8, int8_t, int8_t, -128, max_i8)
ACCUMULATE(window_sum_u8, uint8_t, int32_t, 0, add_byte)
ACCUMULATE(window_sum_i8, int8_t, int32_t, 0, add_byte)

static inline int64_t block_width(int64_t c, int64_t c0)
{
    return c - c0 < BLOCK ? c - c0 : BLOCK;
}

/* y[ow, c] of one output row, by `window_max`. */
#define MAX_ROW(name, args_type, type, window_max)                          \
    static void name(const args_type *args, int64_t image, int64_t row)     \
    {                                                                       \
        const adze_pool_shape *s = &args->shape;                            \
        const type *x = (const type *)args->x + image * s->h * s->w * s->c; \
        type *y = (type *)args->y + (image * s->oh + row) * s->ow * s->c;   \
        for (int64_t ox = 0; ox < s->ow; ox++, y += s->c) {                 \
            const window v = window_at(s, false, row, ox);                  \
            for (int64_t c0 = 0; c0 < s->c; c0 += BLOCK) {                  \
                const int64_t width = block_width(s->c, c0);                \
                type acc[BLOCK];                                            \
                window_max(&v, x + v.offset + c0, acc, width);              \
                memcpy(y + c0, acc, (size_t)width * sizeof(type));          \
            }                                                               \
        }                                                                   \
    }
MAX_ROW(max_f32_row, adze_pool_f32_args, float, window_max_f32)
MAX_ROW(max_u8_row, adze_pool_q8_args, uint8_t, window_max_u8)
MAX_ROW(max_i8_row, adze_pool_q8_args, int8_t, window_max_i8)

static void max_q8_row(const adze_pool_q8_args *args, int64_t image, int64_t row)
{
    (args->x_signed ? max_i8_row : max_u8_row)(args, image, row);
}

static void average_f32_row(const adze_pool_f32_args *args, int64_t image, int64_t row)
{
    const adze_pool_shape *s = &args->shape;
    const float *x = args->x + image * s->h * s->w * s->c;
    float *y = args->y + (image * s->oh + row) * s->ow * s->c;
    for (int64_t ox = 0; ox < s->ow; ox++, y += s->c) {
        const window v = window_at(s, args->count_include_pad, row, ox);
        const float divisor = v.divisor > 0 ? (float)v.divisor : 1.0f;
        for (int64_t c0 = 0; c0 < s->c; c0 += BLOCK) {
            const int64_t width = block_width(s->c, c0);
            float acc[BLOCK];
            window_sum_f32(&v, x + v.offset + c0, acc, width);
            for (int j = 0; j < BLOCK; j++) acc[j] /= divisor;
            memcpy(y + c0, acc, (size_t)width * sizeof(float));
        }
    }
}

/* What turns a sum of 8-bit taps into a byte of the output. */
typedef struct requantizer {
    int32_t sum_zero; /* taps_inside * x_zero */
    float scale, lo, hi;
    int32_t zero;
} requantizer;

static inline requantizer requantizer_of(int64_t inside, int32_t x_zero, float scale,
                                         int32_t y_zero, int32_t lo, int32_t hi)
{
    return (requantizer){(int32_t)inside * x_zero, scale, (float)(lo - y_zero),
                         (float)(hi - y_zero), y_zero};
}

static inline void requantize_block(const requantizer *r, const int32_t *sum, uint8_t *y,
                                    int64_t width)
{
    uint8_t out[BLOCK];
    for (int j = 0; j < BLOCK; j++)
        out[j] = (uint8_t)(round_limited((float)(sum[j] - r->sum_zero) * r->scale, r->lo, r->hi) +
                           r->zero);
    memcpy(y, out, (size_t)width);
}

static void average_q8_row(const adze_pool_q8_args *args, int64_t image, int64_t row)
{
    const adze_pool_shape *s = &args->shape;
    const uint8_t *x = args->x + image * s->h * s->w * s->c;
    uint8_t *y = args->y + (image * s->oh + row) * s->ow * s->c;
    for (int64_t ox = 0; ox < s->ow; ox++, y += s->c) {
        const window v = window_at(s, args->count_include_pad, row, ox);
        const float scale = args->scale / (v.divisor > 0 ? (float)v.divisor : 1.0f);
        const requantizer r = requantizer_of(v.rows * v.columns, args->x_zero, scale, args->y_zero,
                                             args->lo, args->hi);
        for (int64_t c0 = 0; c0 < s->c; c0 += BLOCK) {
            const int64_t width = block_width(s->c, c0);
            int32_t acc[BLOCK];
            if (args->x_signed) window_sum_i8(&v, (const int8_t *)x + v.offset + c0, acc, width);
            else window_sum_u8(&v, x + v.offset + c0, acc, width);
            requantize_block(&r, acc, y + c0, width);
        }
    }
}

/* Rows [0, hw) of one image as a window of one column. */
static inline window window_of_rows(int64_t rows, ptrdiff_t ldx)
{
    return (window){rows, 1, 0, ldx, 0, rows};
}

static void global_sum_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    enum { PART = 64 };
    for (int64_t c0 = 0; c0 < c; c0 += BLOCK) {
        const int64_t width = block_width(c, c0);
        float sum[BLOCK] = {0};
        for (int64_t i = 0; i < hw; i += PART) {
            float part[BLOCK];
            const window v = window_of_rows(hw - i < PART ? hw - i : PART, ldx);
            window_sum_f32(&v, x + i * ldx + c0, part, width);
            for (int j = 0; j < BLOCK; j++) sum[j] += part[j];
        }
        memcpy(y + c0, sum, (size_t)width * sizeof(float));
    }
}

static void global_average_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    global_sum_f32(hw, c, x, ldx, y);
    const float divisor = (float)hw;
    for (int64_t j = 0; j < c; j++) y[j] /= divisor;
}

static void global_max_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    const window v = window_of_rows(hw, ldx);
    for (int64_t c0 = 0; c0 < c; c0 += BLOCK) {
        const int64_t width = block_width(c, c0);
        float acc[BLOCK];
        window_max_f32(&v, x + c0, acc, width);
        memcpy(y + c0, acc, (size_t)width * sizeof(float));
    }
}

static void global_average_q8(const adze_global_pool_q8_args *args)
{
    const window v = window_of_rows(args->hw, args->ldx);
    const requantizer r = requantizer_of(args->hw, args->x_zero, args->scale / (float)args->hw,
                                         args->y_zero, args->lo, args->hi);
    for (int64_t c0 = 0; c0 < args->c; c0 += BLOCK) {
        const int64_t width = block_width(args->c, c0);
        int32_t acc[BLOCK];
        if (args->x_signed) window_sum_i8(&v, (const int8_t *)args->x + c0, acc, width);
        else window_sum_u8(&v, args->x + c0, acc, width);
        requantize_block(&r, acc, args->y + c0, width);
    }
}

static void fill(adze_pool_table *t)
{
    t->max_f32_row = max_f32_row;
    t->average_f32_row = average_f32_row;
    t->max_q8_row = max_q8_row;
    t->average_q8_row = average_q8_row;
    t->global_average_f32 = global_average_f32;
    t->global_sum_f32 = global_sum_f32;
    t->global_max_f32 = global_max_f32;
    t->global_average_q8 = global_average_q8;
}

#endif
