/* Planning a convolution and copying what its matrix products read. */
#include <string.h>

#include "kernels/conv_impl.h"

enum {
    A_BYTES = 192 * 1024, /* of copies for one piece, about */
    SLACK = 64,           /* bytes that kernels and copies may touch after the end */
};

static size_t round_up_64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static int64_t lines_needed(const adze_conv_shape *s, int64_t lines)
{
    return (lines - 1) * s->stride_h + (s->kh - 1) * s->dilation_h + 1;
}

static adze_conv_way choose_way(const adze_conv_shape *s)
{
    bool pointwise = s->kh == 1 && s->kw == 1 && s->stride_h == 1 && s->stride_w == 1;
    if (pointwise && s->pad_top == 0 && s->pad_left == 0 && s->oh == s->h && s->ow == s->w)
        return ADZE_CONV_IN_PLACE;
    bool far_apart =
        lines_needed(s, 1) > 2 * s->kh; /* most of the lines copied would not be read */
    if (s->dilation_w > 1 || s->ow < 6 || s->oh < 1 || s->c < 1 || s->stride_w > s->kw || far_apart)
        return ADZE_CONV_WINDOWS;
    return ADZE_CONV_LINES;
}

/* Output lines of a piece: enough to be worth copying their neighbours, few enough for A_BYTES. */
static void split_lines(adze_conv_plan *p, int mr, int nr)
{
    const adze_conv_shape *s = p->shape;
    size_t line_bytes = (size_t)p->pitch * p->element;
    int64_t fit = (int64_t)(A_BYTES / line_bytes) - lines_needed(s, 1);
    int64_t most = ADZE_MAX(fit / s->stride_h + 1, 1);
    p->split = adze_split_make(p->m, p->n, p->k, mr, nr, most * s->ow);
    int64_t lines = ADZE_MAX((p->split.rows + s->ow - 1) / s->ow, 1);
    p->lines = ADZE_MIN(ADZE_MIN(lines, most), s->oh);
    int64_t pieces = (s->oh + p->lines - 1) / p->lines;
    p->lines = (s->oh + pieces - 1) / pieces;
    p->split.row_pieces = s->n * pieces;
    p->a_bytes = (size_t)lines_needed(s, p->lines) * line_bytes + SLACK;
}

adze_conv_plan adze_conv_plan_make(const adze_kernels *kernels, const adze_conv_shape *s,
                                   size_t element)
{
    bool q8 = element == 1;
    int mr = q8 ? kernels->gemm_q8.mr : kernels->gemm_f32.mr;
    int nr = q8 ? kernels->gemm_q8.nr : kernels->gemm_f32.nr;
    adze_conv_plan p = {.shape = s, .element = element, .way = choose_way(s)};
    p.inputs = s->n * s->h * s->w * s->c;
    p.group_c = s->c / s->groups;
    p.m = s->n * s->oh * s->ow;
    p.n = s->oc / s->groups;
    p.k = s->kh * s->kw * p.group_c;
    int64_t kr = q8 ? kernels->gemm_q8.kr : 1;
    p.part = (s->kw * p.group_c + kr - 1) / kr * kr;
    p.depth = s->kh * p.part;
    p.pitch = ((s->ow - 1) * s->stride_w + s->kw) * p.group_c;
    size_t row_bytes = (size_t)ADZE_MAX(p.depth, 1) * element;
    if (p.way == ADZE_CONV_LINES) {
        split_lines(&p, mr, nr);
    } else if (p.way == ADZE_CONV_WINDOWS) {
        int64_t most = ADZE_MAX((int64_t)(A_BYTES / row_bytes), 1);
        p.split = adze_split_make(p.m, p.n, p.k * s->groups, mr, nr, most);
        p.a_bytes = (size_t)p.split.rows * row_bytes + SLACK;
    } else {
        p.split = adze_split_make(p.m, p.n, p.k * s->groups, mr, nr, 0);
    }
    size_t rows = (size_t)(p.way == ADZE_CONV_LINES ? p.lines * s->ow : p.split.rows);
    p.a_bytes = round_up_64(p.a_bytes);
    p.worker_bytes = p.a_bytes + (q8 ? round_up_64(rows * sizeof(int32_t)) : 0);
    return p;
}

int64_t adze_conv_pieces(const adze_conv_plan *p)
{
    return adze_split_pieces(&p->split);
}

adze_block adze_conv_block(const adze_conv_plan *p, int64_t piece)
{
    if (p->way != ADZE_CONV_LINES)
        return adze_split_block(&p->split, piece);
    const adze_conv_shape *s = p->shape;
    int64_t per_image = p->split.row_pieces / s->n, at = piece / p->split.column_pieces;
    int64_t line = at % per_image * p->lines, column = piece % p->split.column_pieces;
    return (adze_block){
        .row = (at / per_image * s->oh + line) * s->ow,
        .rows = ADZE_MIN(p->lines, s->oh - line) * s->ow,
        .column = column * p->split.columns,
        .columns = ADZE_MIN(p->split.columns, p->n - column * p->split.columns),
    };
}

adze_gemm_view adze_conv_view(const adze_conv_plan *p)
{
    const adze_conv_shape *s = p->shape;
    return (adze_gemm_view){
        .group = s->ow,
        .group_stride = s->stride_h * p->pitch,
        .segments = s->kh,
        .segment_stride = s->dilation_h * p->pitch,
    };
}

size_t adze_conv_scratch_size(const adze_kernels *k, const adze_conv_shape *s, int threads,
                              size_t element)
{
    return adze_conv_plan_make(k, s, element).worker_bytes * (size_t)ADZE_MAX(threads, 1);
}

/* `bytes` bytes, in steps of 16 as far as neither array ends: `out` may be written up to 15 bytes further
 * (what follows is written later), `from` is read so only before `end`. */
static inline void copy(uint8_t *out, const uint8_t *from, size_t bytes, const uint8_t *end)
{
    if ((size_t)(end - from) < bytes + 15) {
        memcpy(out, from, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += 16)
        memcpy(out + i, from + i, 16);
}

/* One row of the window, kw pixels of group_c channels, with the padding filled in. */
static inline void gather_row(const adze_conv_plan *p, const adze_conv_source *from,
                              const uint8_t *line, int64_t ix, uint8_t *out)
{
    const adze_conv_shape *s = p->shape;
    size_t pixel = (size_t)s->c * p->element, bytes = (size_t)p->group_c * p->element;
    int64_t end = ix + (s->kw - 1) * s->dilation_w;
    if (s->groups == 1 && s->dilation_w == 1 && ix >= 0 && end < s->w) {
        copy(out, line + (size_t)ix * pixel, (size_t)s->kw * bytes, from->end);
        return;
    }
    for (int64_t x = ix; x <= end; x += s->dilation_w, out += bytes) {
        if (x < 0 || x >= s->w)
            memset(out, from->pad, bytes);
        else
            copy(out, line + (size_t)x * pixel, bytes, from->end);
    }
}

void adze_conv_gather(const adze_conv_plan *p, const adze_conv_source *from, int64_t first,
                      int64_t rows, uint8_t *out)
{
    const adze_conv_shape *s = p->shape;
    size_t bytes = (size_t)(s->kw * p->group_c) * p->element;
    size_t part = (size_t)p->part * p->element;
    size_t line_bytes = (size_t)(s->w * s->c) * p->element;
    size_t row_bytes = (size_t)p->depth * p->element;
    int64_t image = first / (s->oh * s->ow), oy = first / s->ow % s->oh, ox = first % s->ow;
    for (int64_t r = 0; r < rows; r++, out += row_bytes) {
        int64_t iy = oy * s->stride_h - s->pad_top, ix = ox * s->stride_w - s->pad_left;
        uint8_t *to = out;
        for (int64_t ky = 0; ky < s->kh; ky++, iy += s->dilation_h, to += part) {
            if (iy < 0 || iy >= s->h)
                memset(to, from->pad, bytes);
            else
                gather_row(p, from, from->x + (size_t)(image * s->h + iy) * line_bytes, ix, to);
        }
        if (++ox == s->ow) {
            ox = 0;
            if (++oy == s->oh) {
                oy = 0;
                image++;
            }
        }
    }
}

/* `pixels` pixels of one group, side by side. */
static void copy_pixels(const adze_conv_plan *p, const adze_conv_source *from, const uint8_t *x,
                        size_t pixels, uint8_t *out)
{
    const size_t pixel = (size_t)p->shape->c * p->element;
    const size_t bytes = (size_t)p->group_c * p->element;
    if (bytes != pixel)
        for (size_t i = 0; i < pixels; i++)
            copy(out + i * bytes, x + i * pixel, bytes, from->end);
    else if (from->flip == 0)
        memcpy(out, x, pixels * bytes);
    if (from->flip != 0) {
        const uint8_t *unflipped = bytes == pixel ? x : out;
        for (size_t i = 0; i < pixels * bytes; i++)
            out[i] = unflipped[i] ^ from->flip;
    }
}

static void copy_line(const adze_conv_plan *p, const adze_conv_source *from, int64_t line,
                      uint8_t *out)
{
    const adze_conv_shape *s = p->shape;
    const size_t bytes = (size_t)p->group_c * p->element;
    const size_t pixels = (size_t)(p->pitch / p->group_c);
    const size_t left = ADZE_MIN((size_t)s->pad_left, pixels);
    const size_t middle = ADZE_MIN((size_t)s->w, pixels - left);
    const uint8_t *x = from->x + (size_t)line * (size_t)(s->w * s->c) * p->element;
    uint8_t pad = from->pad ^ from->flip;
    memset(out, pad, left * bytes);
    copy_pixels(p, from, x, middle, out + left * bytes);
    memset(out + (left + middle) * bytes, pad, (pixels - left - middle) * bytes);
}

void adze_conv_copy_lines(const adze_conv_plan *p, const adze_conv_source *from, int64_t first,
                          int64_t lines, uint8_t *out)
{
    const adze_conv_shape *s = p->shape;
    size_t line_bytes = (size_t)p->pitch * p->element;
    int64_t image = first / s->oh, iy = first % s->oh * s->stride_h - s->pad_top;
    int64_t count = lines_needed(s, lines);
    for (int64_t i = 0; i < count; i++, iy++, out += line_bytes) {
        if (iy < 0 || iy >= s->h)
            memset(out, from->pad ^ from->flip, line_bytes);
        else
            copy_line(p, from, image * s->h + iy, out);
    }
}
