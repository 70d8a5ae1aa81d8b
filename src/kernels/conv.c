/* Convolution as matrix products over channels-last pixels: a row of A is the window of one output
 * pixel, in the order (kh, kw, channel). A pointwise convolution finds its A in the input as it lies;
 * the others gather the windows of one piece of the output into the worker's scratch. */
#include "kernels/conv.h"

#include <string.h>

#include "kernels/split_impl.h"

typedef struct conv_plan {
    const adze_conv_shape *shape;
    size_t element;  /* bytes of an input element */
    int64_t m, n, k; /* of the matrix product of one group */
    int64_t group_c; /* input channels of a group */
    int64_t inputs;  /* elements of x */
    bool in_place;   /* A is the input */
    adze_split split;
    int64_t depth;       /* k rounded up to whole groups of the table */
    size_t row_bytes;    /* from one gathered window to the next */
    size_t gather_bytes; /* of one worker */
    size_t worker_bytes; /* gathered windows, then the sums of rows */
} conv_plan;

static size_t round_up_64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static conv_plan make_plan(const adze_kernels *kernels, const adze_conv_shape *s, size_t element)
{
    enum { GATHER_BYTES = 192 * 1024 };
    bool q8 = element == 1;
    conv_plan p = {.shape = s, .element = element};
    p.group_c = s->c / s->groups;
    p.inputs = s->n * s->h * s->w * s->c;
    p.m = s->n * s->oh * s->ow;
    p.n = s->oc / s->groups;
    p.k = s->kh * s->kw * p.group_c;
    p.in_place = s->kh == 1 && s->kw == 1 && s->stride_h == 1 && s->stride_w == 1 &&
                 s->pad_top == 0 && s->pad_left == 0 && s->oh == s->h && s->ow == s->w;
    int kr = q8 && !p.in_place ? kernels->gemm_q8.kr : 1;
    p.depth = (p.k + kr - 1) / kr * kr;
    p.row_bytes = (size_t)ADZE_MAX(p.depth, 1) * element;
    int64_t max_rows = p.in_place ? 0 : ADZE_MAX((int64_t)(GATHER_BYTES / p.row_bytes), 1);
    int mr = q8 ? kernels->gemm_q8.mr : kernels->gemm_f32.mr;
    int nr = q8 ? kernels->gemm_q8.nr : kernels->gemm_f32.nr;
    p.split = adze_split_make(p.m, p.n, p.k * s->groups, mr, nr, max_rows);
    p.gather_bytes = p.in_place ? 0 : round_up_64((size_t)p.split.rows * p.row_bytes + 15);
    p.worker_bytes = p.gather_bytes + round_up_64((size_t)p.split.rows * sizeof(int32_t));
    return p;
}

size_t adze_conv_scratch_size(const adze_kernels *k, const adze_conv_shape *s, int threads,
                              size_t element)
{
    return make_plan(k, s, element).worker_bytes * (size_t)ADZE_MAX(threads, 1);
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

typedef struct source {
    const uint8_t *x, *end; /* the group's first channel; the end of the input */
    uint8_t pad;
} source;

/* One row of the window, kw pixels of group_c channels, with the padding filled in. */
static inline void gather_row(const conv_plan *p, const source *from, const uint8_t *line,
                              int64_t ix, uint8_t *out)
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

/* The windows of output pixels [first, first + rows), counted over the images, row_bytes apart. */
static void gather(const conv_plan *p, const source *from, int64_t first, int64_t rows,
                   uint8_t *out)
{
    const adze_conv_shape *s = p->shape;
    size_t part = (size_t)(s->kw * p->group_c) * p->element;
    size_t line_bytes = (size_t)(s->w * s->c) * p->element;
    int64_t image = first / (s->oh * s->ow), oy = first / s->ow % s->oh, ox = first % s->ow;
    for (int64_t r = 0; r < rows; r++, out += p->row_bytes) {
        int64_t iy = oy * s->stride_h - s->pad_top, ix = ox * s->stride_w - s->pad_left;
        uint8_t *to = out;
        for (int64_t ky = 0; ky < s->kh; ky++, iy += s->dilation_h, to += part) {
            if (iy < 0 || iy >= s->h)
                memset(to, from->pad, part);
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

size_t adze_conv_f32_packed_size(const adze_kernels *k, const adze_conv_shape *s)
{
    int64_t depth = s->kh * s->kw * (s->c / s->groups);
    return (size_t)s->groups * k->gemm_f32.packed_size(s->oc / s->groups, depth) * sizeof(float);
}

void adze_conv_f32_pack(const adze_kernels *k, const adze_conv_shape *s, const float *weights,
                        float *packed)
{
    int64_t channels = s->c / s->groups, taps = s->kh * s->kw, n = s->oc / s->groups;
    for (int64_t g = 0; g < s->groups; g++) {
        k->gemm_f32.pack_conv(n, channels, taps, weights + g * n * channels * taps, packed);
        packed += k->gemm_f32.packed_size(n, channels * taps);
    }
}

size_t adze_conv_q8_packed_size(const adze_kernels *k, const adze_conv_shape *s)
{
    int64_t depth = s->kh * s->kw * (s->c / s->groups);
    return (size_t)s->groups * k->gemm_q8.packed_size(s->oc / s->groups, depth);
}

void adze_conv_q8_pack(const adze_kernels *k, const adze_conv_shape *s, const int8_t *weights,
                       int8_t *packed)
{
    int64_t channels = s->c / s->groups, taps = s->kh * s->kw, n = s->oc / s->groups;
    for (int64_t g = 0; g < s->groups; g++) {
        k->gemm_q8.pack_conv(n, channels, taps, weights + g * n * channels * taps, packed);
        packed += k->gemm_q8.packed_size(n, channels * taps);
    }
}

typedef struct f32_job {
    const adze_gemm_f32_table *table;
    const adze_conv_f32_args *args;
    conv_plan plan;
} f32_job;

static void f32_piece(void *user, int64_t piece, int worker)
{
    const f32_job *job = user;
    const adze_conv_f32_args *args = job->args;
    const conv_plan *p = &job->plan;
    adze_block at = adze_split_block(&p->split, piece);
    float *windows = (float *)((uint8_t *)args->scratch + (size_t)worker * p->worker_bytes);
    for (int64_t g = 0; g < p->shape->groups; g++) {
        adze_gemm_f32_args group = {
            .k = p->k,
            .a = args->x + g * p->group_c,
            .lda = p->in_place ? p->shape->c : 0,
            .b = args->packed + (size_t)g * job->table->packed_size(p->n, p->k),
            .bias = args->bias ? args->bias + g * p->n : NULL,
            .residual = args->residual ? args->residual + g * p->n : NULL,
            .ldr = p->shape->oc,
            .c = args->y + g * p->n,
            .ldc = p->shape->oc,
            .lo = args->lo,
            .hi = args->hi,
        };
        adze_gemm_f32_args block = adze_gemm_f32_block(&group, at);
        if (!p->in_place) {
            source from = {(const uint8_t *)group.a, (const uint8_t *)(args->x + p->inputs), 0};
            gather(p, &from, at.row, at.rows, (uint8_t *)windows);
            block.a = windows;
            block.lda = p->k;
        }
        job->table->run(&block);
    }
}

void adze_conv_f32(const adze_kernels *k, adze_pool *pool, const adze_conv_f32_args *args)
{
    f32_job job = {.table = &k->gemm_f32, .args = args};
    job.plan = make_plan(k, &args->shape, sizeof(float));
    adze_pool_run(pool, adze_split_pieces(&job.plan.split), f32_piece, &job);
}

typedef struct q8_job {
    const adze_gemm_q8_table *table;
    const adze_conv_q8_args *args;
    conv_plan plan;
} q8_job;

/* The arguments for block `at` of group g, but for a gathered A. */
static adze_gemm_q8_args q8_group(const q8_job *job, int64_t g, adze_block at,
                                  adze_q8_residual *residual)
{
    static const size_t element[] = {
        [ADZE_Q8_TO_Q8] = 1, [ADZE_Q8_TO_F32] = sizeof(float), [ADZE_Q8_TO_I32] = sizeof(int32_t)};
    const conv_plan *p = &job->plan;
    int64_t skip = g * p->n;
    adze_gemm_q8_args whole = job->args->gemm;
    whole.k = p->k;
    whole.a = job->args->x + g * p->group_c;
    whole.lda = p->in_place ? p->shape->c : 0;
    whole.a_flip = job->args->a_flip;
    whole.b = job->args->packed + (size_t)g * job->table->packed_size(p->n, p->k);
    whole.row_sum = NULL;
    whole.c = (uint8_t *)job->args->y + (size_t)skip * element[whole.output];
    whole.ldc = p->shape->oc;
    whole.bias = whole.bias ? whole.bias + skip : NULL;
    whole.b_zero = whole.b_zero ? whole.b_zero + skip : NULL;
    whole.scale = whole.scale ? whole.scale + skip : NULL;
    whole.f_bias = whole.f_bias ? whole.f_bias + skip : NULL;
    adze_q8_residual moved;
    if (whole.residual) {
        moved = *whole.residual;
        moved.data += skip;
        whole.residual = &moved;
    }
    return adze_gemm_q8_block(job->table, &whole, at, residual);
}

static void sum_rows(const adze_gemm_q8_args *args, int32_t *sums)
{
    for (int64_t i = 0; i < args->m; i++) {
        const uint8_t *a = args->a + i * args->lda;
        int32_t sum = 0;
        for (int64_t p = 0; p < args->k; p++)
            sum += a[p] ^ args->a_flip;
        sums[i] = sum;
    }
}

static void q8_piece(void *user, int64_t piece, int worker)
{
    const q8_job *job = user;
    const conv_plan *p = &job->plan;
    adze_block at = adze_split_block(&p->split, piece);
    uint8_t *windows = (uint8_t *)job->args->scratch + (size_t)worker * p->worker_bytes;
    int32_t *sums = (int32_t *)(windows + p->gather_bytes);
    for (int64_t g = 0; g < p->shape->groups; g++) {
        adze_q8_residual residual;
        adze_gemm_q8_args args = q8_group(job, g, at, &residual);
        if (!p->in_place) {
            source from = {args.a, job->args->x + p->inputs, job->args->x_pad};
            gather(p, &from, at.row, at.rows, windows);
            args.a = windows;
            args.lda = p->depth;
        }
        if (args.b_zero) {
            sum_rows(&args, sums);
            args.row_sum = sums;
        }
        args.k = p->depth; /* b is zero past k */
        job->table->run(&args);
    }
}

void adze_conv_q8(const adze_kernels *k, adze_pool *pool, const adze_conv_q8_args *args)
{
    q8_job job = {.table = &k->gemm_q8, .args = args};
    job.plan = make_plan(k, &args->shape, 1);
    adze_pool_run(pool, adze_split_pieces(&job.plan.split), q8_piece, &job);
}
