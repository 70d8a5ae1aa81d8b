/* The loops of the pooling family as plain C. Included by pool.c and x86/pool_<level>.c. A window's
 * channels are taken a block at a time, which stays in registers while the taps pass: 64 channels,
 * then 16 and 8 (constant widths, which the compiler makes into vectors), then one by one. */
#ifndef ADZE_KERNELS_POOL_IMPL_H
#define ADZE_KERNELS_POOL_IMPL_H
#include "kernels/loop_impl.h"
#include "kernels/pool.h"

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 64 };

/* Taps [first, last) of one axis that lie inside [low, high), for a window that begins at start. */
typedef struct taps {
    int64_t first, last;
} taps;

INLINE taps taps_inside(int64_t start, int64_t count, int64_t dilation, int64_t low, int64_t high)
{
    taps t = {0, count};
    while (t.first < t.last && start + t.first * dilation < low)
        t.first++;
    while (t.last > t.first && start + (t.last - 1) * dilation >= high)
        t.last--;
    return t;
}

/* The taps inside the image of one output pixel: how many, where the first is (elements from the
 * start of the image), how far the next ones are; and the divisor of the average. */
typedef struct window {
    int64_t rows, columns, offset, step_y, step_x;
    float divisor;
} window;

/* What all windows of one output row share. */
typedef struct window_row {
    const adze_pool_shape *shape;
    int64_t y;
    taps inside, padded;
    bool include_pad;
} window_row;

static inline window_row window_row_at(const adze_pool_shape *s, bool include_pad, int64_t oy)
{
    window_row r = {.shape = s, .y = oy * s->stride_h - s->pad_top, .include_pad = include_pad};
    r.inside = taps_inside(r.y, s->kh, s->dilation_h, 0, s->h);
    r.padded = taps_inside(r.y, s->kh, s->dilation_h, -s->pad_top, s->h + s->pad_bottom);
    return r;
}

static inline window window_at(const window_row *r, int64_t ox)
{
    const adze_pool_shape *s = r->shape;
    const int64_t x = ox * s->stride_w - s->pad_left;
    const taps t = taps_inside(x, s->kw, s->dilation_w, 0, s->w);
    window v = {.rows = r->inside.last - r->inside.first,
                .columns = t.last - t.first,
                .step_y = s->dilation_h * s->w * s->c,
                .step_x = s->dilation_w * s->c};
    int64_t divisor = v.rows * v.columns;
    if (divisor > 0)
        v.offset = r->inside.first * v.step_y + t.first * v.step_x + (r->y * s->w + x) * s->c;
    else
        v.rows = 0;
    if (r->include_pad) {
        const taps p = taps_inside(x, s->kw, s->dilation_w, -s->pad_left, s->w + s->pad_right);
        divisor = (r->padded.last - r->padded.first) * (p.last - p.first);
    }
    v.divisor = divisor > 0 ? (float)divisor : 1.0f;
    return v;
}

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

static inline uint16_t add_u8(uint16_t sum, uint8_t byte)
{
    return (uint16_t)(sum + byte);
}

static inline uint16_t add_i8(uint16_t sum, uint8_t byte) /* the byte + 128 */
{
    return (uint16_t)(sum + (byte ^ 0x80));
}

/* y[j] = combination of the window's taps in channel j, for a constant width. */
#define BLOCK_OF_TAPS(name, type, result, start, combine, hint)                                    \
    INLINE void name(const window *v, const type *x, result *y, int64_t width)                     \
    {                                                                                              \
        result acc[BLOCK];                                                                         \
        for (int64_t j = 0; j < width; j++)                                                        \
            acc[j] = start;                                                                        \
        for (int64_t ky = 0; ky < v->rows; ky++)                                                   \
            for (int64_t kx = 0; kx < v->columns; kx++) {                                          \
                const type *tap = x + ky * v->step_y + kx * v->step_x;                             \
                hint for (int64_t j = 0; j < width; j++) acc[j] = combine(acc[j], tap[j]);         \
            }                                                                                      \
        for (int64_t j = 0; j < width; j++)                                                        \
            y[j] = acc[j];                                                                         \
    }

/* GCC takes a short loop apart before it looks for vectors, unless told not to. */
#if defined(__clang__)
#define SHORT_LOOP
#else
#define SHORT_LOOP _Pragma("GCC unroll 1")
#endif

/* name(v, x, y, c): the same for any number of channels. */
#define OVER_TAPS(name, type, result, start, combine)                                              \
    BLOCK_OF_TAPS(name##_wide, type, result, start, combine, )                                     \
    BLOCK_OF_TAPS(name##_narrow, type, result, start, combine, SHORT_LOOP)                         \
    static void name(const window *v, const type *x, result *y, int64_t c)                         \
    {                                                                                              \
        int64_t c0 = 0;                                                                            \
        for (; c0 + 64 <= c; c0 += 64)                                                             \
            name##_wide(v, x + c0, y + c0, 64);                                                    \
        for (; c0 + 16 <= c; c0 += 16)                                                             \
            name##_narrow(v, x + c0, y + c0, 16);                                                  \
        if (c0 + 8 <= c) {                                                                         \
            name##_narrow(v, x + c0, y + c0, 8);                                                   \
            c0 += 8;                                                                               \
        }                                                                                          \
        for (; c0 < c; c0++)                                                                       \
            name##_wide(v, x + c0, y + c0, 1);                                                     \
    }
OVER_TAPS(max_f32_taps, float, float, -INFINITY, max_f32)
OVER_TAPS(max_u8_taps, uint8_t, uint8_t, 0, max_u8)
OVER_TAPS(max_i8_taps, int8_t, int8_t, -128, max_i8)
OVER_TAPS(sum_f32_taps, float, float, 0.0f, add_f32)
OVER_TAPS(sum_u8_taps, uint8_t, uint16_t, 0, add_u8)
OVER_TAPS(sum_i8_taps, uint8_t, uint16_t, 0, add_i8)
#undef OVER_TAPS
#undef BLOCK_OF_TAPS

#define MAX_ROW(name, args_type, type, max_taps)                                                   \
    static void name(const args_type *args, int64_t image, int64_t row)                            \
    {                                                                                              \
        const adze_pool_shape *s = &args->shape;                                                   \
        const window_row r = window_row_at(s, false, row);                                         \
        const type *x = (const type *)args->x + image * s->h * s->w * s->c;                        \
        type *y = (type *)args->y + (image * s->oh + row) * s->ow * s->c;                          \
        for (int64_t ox = 0; ox < s->ow; ox++, y += s->c) {                                        \
            const window v = window_at(&r, ox);                                                    \
            max_taps(&v, x + v.offset, y, s->c);                                                   \
        }                                                                                          \
    }
MAX_ROW(max_f32_row, adze_pool_f32_args, float, max_f32_taps)
MAX_ROW(max_u8_row, adze_pool_q8_args, uint8_t, max_u8_taps)
MAX_ROW(max_i8_row, adze_pool_q8_args, int8_t, max_i8_taps)
#undef MAX_ROW

static void max_q8_row(const adze_pool_q8_args *args, int64_t image, int64_t row)
{
    (args->x_signed ? max_i8_row : max_u8_row)(args, image, row);
}

static void average_f32_row(const adze_pool_f32_args *args, int64_t image, int64_t row)
{
    const adze_pool_shape *s = &args->shape;
    const window_row r = window_row_at(s, args->count_include_pad, row);
    const int64_t c = s->c;
    const float *x = args->x + image * s->h * s->w * c;
    float *y = args->y + (image * s->oh + row) * s->ow * c;
    for (int64_t ox = 0; ox < s->ow; ox++, y += c) {
        const window v = window_at(&r, ox);
        sum_f32_taps(&v, x + v.offset, y, c);
        for (int64_t j = 0; j < c; j++)
            y[j] /= v.divisor;
    }
}

/* What turns the sum of a window's bytes into a byte of the output. */
typedef struct requantizer {
    bool x_signed;
    int32_t x_zero; /* of the bytes as sum_i8_taps and sum_u8_taps see them, unsigned */
    float scale, lo, hi;
    int32_t y_zero;
} requantizer;

static inline requantizer requantizer_of(bool x_signed, int32_t x_zero, int32_t y_zero, int32_t lo,
                                         int32_t hi)
{
    return (requantizer){.x_signed = x_signed,
                         .x_zero = x_signed ? x_zero + 128 : x_zero,
                         .lo = (float)(lo - y_zero),
                         .hi = (float)(hi - y_zero),
                         .y_zero = y_zero};
}

enum { TAPS_IN_16_BITS = 257 }; /* 257 * 255 = 65535 */

/* sum[BLOCK] of any window: by parts of its rows, or of its columns where a row is too long, whose
 * sums have room in 16 bits. */
static void sum_q8_taps(const window *v, bool x_signed, const uint8_t *x, int32_t *sum,
                        int64_t width)
{
    const int64_t columns = ADZE_MIN(v->columns, TAPS_IN_16_BITS);
    const int64_t rows = columns > 0 ? TAPS_IN_16_BITS / columns : 1;
    memset(sum, 0, BLOCK * sizeof *sum);
    for (int64_t ky = 0; ky < v->rows; ky += rows)
        for (int64_t kx = 0; kx < v->columns; kx += columns) {
            window part = *v;
            uint16_t acc[BLOCK] = {0};
            part.rows = ADZE_MIN(rows, v->rows - ky);
            part.columns = ADZE_MIN(columns, v->columns - kx);
            (x_signed ? sum_i8_taps : sum_u8_taps)(&part, x + ky * v->step_y + kx * v->step_x, acc,
                                                   width);
            for (int j = 0; j < BLOCK; j++)
                sum[j] += acc[j];
        }
}

static void average_q8_taps(const window *v, const requantizer *q, const uint8_t *x, uint8_t *y,
                            int64_t c)
{
    const int64_t count = v->rows * v->columns;
    const int32_t sum_zero = (int32_t)count * q->x_zero, y_zero = q->y_zero;
    const float scale = q->scale / v->divisor, lo = q->lo, hi = q->hi;
    for (int64_t c0 = 0; c0 < c; c0 += BLOCK) {
        const int64_t width = ADZE_MIN(c - c0, BLOCK);
        int32_t sum[BLOCK];
        uint16_t acc[BLOCK] = {0};
        uint8_t out[BLOCK];
        if (count <= TAPS_IN_16_BITS) {
            (q->x_signed ? sum_i8_taps : sum_u8_taps)(v, x + c0, acc, width);
            for (int j = 0; j < BLOCK; j++)
                sum[j] = acc[j];
        } else {
            sum_q8_taps(v, q->x_signed, x + c0, sum, width);
        }
        for (int j = 0; j < BLOCK; j++)
            out[j] = (uint8_t)(round_limited((float)(sum[j] - sum_zero) * scale, lo, hi) + y_zero);
        memcpy(y + c0, out, (size_t)width);
    }
}

static void average_q8_row(const adze_pool_q8_args *args, int64_t image, int64_t row)
{
    const adze_pool_shape *s = &args->shape;
    const window_row r = window_row_at(s, args->count_include_pad, row);
    const uint8_t *x = args->x + image * s->h * s->w * s->c;
    uint8_t *y = args->y + (image * s->oh + row) * s->ow * s->c;
    requantizer q = requantizer_of(args->x_signed, args->x_zero, args->y_zero, args->lo, args->hi);
    q.scale = args->scale;
    for (int64_t ox = 0; ox < s->ow; ox++, y += s->c) {
        const window v = window_at(&r, ox);
        average_q8_taps(&v, &q, x + v.offset, y, s->c);
    }
}

/* Rows [0, hw) of one image as a window of one column. */
static inline window window_of_rows(int64_t rows, ptrdiff_t ldx)
{
    return (window){.rows = rows, .columns = 1, .step_y = ldx, .divisor = (float)rows};
}

static void global_sum_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    enum { PART = 64 };
    for (int64_t c0 = 0; c0 < c; c0 += BLOCK) {
        const int64_t width = ADZE_MIN(c - c0, BLOCK);
        float sum[BLOCK] = {0}, part[BLOCK] = {0};
        for (int64_t i = 0; i < hw; i += PART) {
            const window v = window_of_rows(ADZE_MIN(hw - i, PART), ldx);
            sum_f32_taps(&v, x + i * ldx + c0, part, width);
            for (int j = 0; j < BLOCK; j++)
                sum[j] += part[j];
        }
        memcpy(y + c0, sum, (size_t)width * sizeof *y);
    }
}

static void global_average_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    global_sum_f32(hw, c, x, ldx, y);
    const float divisor = (float)hw;
    for (int64_t j = 0; j < c; j++)
        y[j] /= divisor;
}

static void global_max_f32(int64_t hw, int64_t c, const float *x, ptrdiff_t ldx, float *y)
{
    const window v = window_of_rows(hw, ldx);
    max_f32_taps(&v, x, y, c);
}

static void global_average_q8(const adze_global_pool_q8_args *args)
{
    const window v = window_of_rows(args->hw, args->ldx);
    requantizer q = requantizer_of(args->x_signed, args->x_zero, args->y_zero, args->lo, args->hi);
    q.scale = args->scale;
    average_q8_taps(&v, &q, args->x, args->y, args->c);
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
