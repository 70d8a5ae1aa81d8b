/* Convolution as matrix products over channels-last pixels: a row of A is the window of one output
 * pixel, in the order (kh, kw, channel). conv_plan.c says where it lies. */
#include "kernels/conv_impl.h"

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

/* What the pack functions of the table need to know, for one group. */
static adze_gemm_q8_conv q8_pack_shape(const adze_conv_plan *p)
{
    const adze_conv_shape *s = p->shape;
    return (adze_gemm_q8_conv){p->n, p->group_c, s->kh * s->kw, s->kh};
}

size_t adze_conv_q8_packed_size(const adze_kernels *k, const adze_conv_shape *s)
{
    adze_conv_plan p = adze_conv_plan_make(k, s, 1);
    return (size_t)s->groups * k->gemm_q8.packed_size(p.n, p.depth);
}

void adze_conv_q8_pack(const adze_kernels *k, const adze_conv_shape *s, const int8_t *weights,
                       int8_t *packed)
{
    adze_conv_plan p = adze_conv_plan_make(k, s, 1);
    adze_gemm_q8_conv shape = q8_pack_shape(&p);
    for (int64_t g = 0; g < s->groups; g++) {
        k->gemm_q8.pack_conv(&shape, weights + g * p.n * p.k, packed);
        packed += k->gemm_q8.packed_size(p.n, p.depth);
    }
}

typedef struct f32_job {
    const adze_gemm_f32_table *table;
    const adze_conv_f32_args *args;
    adze_conv_plan plan;
    adze_gemm_view view;
} f32_job;

/* Fills a, lda, view: copies what the piece needs into the worker's scratch, unless it is in place. */
static void place_f32(const f32_job *job, int64_t g, const adze_block *at, uint8_t *scratch,
                      adze_gemm_f32_args *args)
{
    const adze_conv_plan *p = &job->plan;
    const float *x = job->args->x;
    adze_conv_source from = {(const uint8_t *)(x + g * p->group_c),
                             (const uint8_t *)(x + p->inputs), 0, 0};
    args->a = (const float *)scratch;
    if (p->way == ADZE_CONV_IN_PLACE) {
        args->a = x + g * p->group_c + at->row * p->shape->c;
        args->lda = p->shape->c;
    } else if (p->way == ADZE_CONV_LINES) {
        adze_conv_copy_lines(p, &from, at->row / p->shape->ow, at->rows / p->shape->ow, scratch);
        args->lda = p->shape->stride_w * p->group_c;
        args->view = &job->view;
    } else {
        adze_conv_gather(p, &from, at->row, at->rows, scratch);
        args->lda = p->k;
    }
}

static void f32_piece(void *user, int64_t piece, int worker)
{
    const f32_job *job = user;
    const adze_conv_f32_args *args = job->args;
    const adze_conv_plan *p = &job->plan;
    adze_block at = adze_conv_block(p, piece);
    uint8_t *scratch = (uint8_t *)args->scratch + (size_t)worker * p->worker_bytes;
    for (int64_t g = 0; g < p->shape->groups; g++) {
        adze_gemm_f32_args group = {
            .k = p->k,
            .a = args->x,
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
        place_f32(job, g, &at, scratch, &block);
        job->table->run(&block);
    }
}

void adze_conv_f32(const adze_kernels *k, adze_pool *pool, const adze_conv_f32_args *args)
{
    f32_job job = {.table = &k->gemm_f32, .args = args};
    job.plan = adze_conv_plan_make(k, &args->shape, sizeof(float));
    job.view = adze_conv_view(&job.plan);
    adze_pool_run(pool, adze_conv_pieces(&job.plan), f32_piece, &job);
}

typedef struct q8_job {
    const adze_gemm_q8_table *table;
    const adze_conv_q8_args *args;
    adze_conv_plan plan;
    adze_gemm_view view;
} q8_job;

/* The arguments for block `at` of group g, but for A. */
static adze_gemm_q8_args q8_group(const q8_job *job, int64_t g, adze_block at,
                                  adze_q8_residual *residual)
{
    static const size_t element[] = {
        [ADZE_Q8_TO_Q8] = 1, [ADZE_Q8_TO_F32] = sizeof(float), [ADZE_Q8_TO_I32] = sizeof(int32_t)};
    const adze_conv_plan *p = &job->plan;
    int64_t skip = g * p->n;
    adze_gemm_q8_args whole = job->args->gemm;
    whole.k = p->depth;
    whole.a = job->args->x;
    whole.lda = 0;
    whole.a_flip = job->args->a_flip;
    whole.b = job->args->packed + (size_t)g * job->table->packed_size(p->n, p->depth);
    whole.row_sum = NULL;
    whole.view = NULL;
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

/* Fills a, lda, view, a_flip, as place_f32 does. */
static void place_q8(const q8_job *job, int64_t g, const adze_block *at, uint8_t *scratch,
                     adze_gemm_q8_args *args)
{
    const adze_conv_plan *p = &job->plan;
    const uint8_t *x = job->args->x;
    adze_conv_source from = {x + g * p->group_c, x + p->inputs, job->args->x_pad, args->a_flip};
    args->a = scratch;
    if (p->way == ADZE_CONV_IN_PLACE) {
        args->a = x + g * p->group_c + at->row * p->shape->c;
        args->lda = p->shape->c;
        args->k = p->k;
    } else if (p->way == ADZE_CONV_LINES) {
        adze_conv_copy_lines(p, &from, at->row / p->shape->ow, at->rows / p->shape->ow, scratch);
        args->lda = p->shape->stride_w * p->group_c;
        args->view = &job->view;
        args->a_flip = 0;
    } else {
        adze_conv_gather(p, &from, at->row, at->rows, scratch);
        args->lda = p->depth;
    }
}

/* Sums of the rows of A, without what rounds its segments up. */
static void sum_rows(const adze_conv_plan *p, const adze_gemm_q8_args *args, int32_t *sums)
{
    adze_gemm_view plain = {.group = INT64_MAX, .segment_stride = p->part};
    const adze_gemm_view *v = args->view ? args->view : &plain;
    for (int64_t i = 0; i < args->m; i++) {
        const uint8_t *a = args->a + i / v->group * v->group_stride + i % v->group * args->lda;
        int32_t sum = 0;
        for (int64_t segment = 0; segment < p->shape->kh; segment++, a += v->segment_stride)
            for (int64_t j = 0; j < p->shape->kw * p->group_c; j++)
                sum += a[j] ^ args->a_flip;
        sums[i] = sum;
    }
}

static void q8_piece(void *user, int64_t piece, int worker)
{
    const q8_job *job = user;
    const adze_conv_plan *p = &job->plan;
    adze_block at = adze_conv_block(p, piece);
    uint8_t *scratch = (uint8_t *)job->args->scratch + (size_t)worker * p->worker_bytes;
    int32_t *sums = (int32_t *)(scratch + p->a_bytes);
    for (int64_t g = 0; g < p->shape->groups; g++) {
        adze_q8_residual residual;
        adze_gemm_q8_args args = q8_group(job, g, at, &residual);
        place_q8(job, g, &at, scratch, &args);
        if (args.b_zero) {
            sum_rows(p, &args, sums);
            args.row_sum = sums;
        }
        job->table->run(&args);
    }
}

void adze_conv_q8(const adze_kernels *k, adze_pool *pool, const adze_conv_q8_args *args)
{
    q8_job job = {.table = &k->gemm_q8, .args = args};
    job.plan = adze_conv_plan_make(k, &args->shape, 1);
    job.view = adze_conv_view(&job.plan);
    adze_pool_run(pool, adze_conv_pieces(&job.plan), q8_piece, &job);
}
