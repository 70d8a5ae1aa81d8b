/* Depthwise convolution: the plain C version (which defines every bit of the integer result) and the
 * drivers that split the output rows over the pool. */
#include "kernels/dwconv.h"

#include "kernels/dwconv_impl.h"
#include "kernels/requantize_impl.h"
#include "kernels/split_impl.h"

static float f32_output(const adze_dwconv_f32_args *args, int64_t image, adze_taps ky, adze_taps kx,
                        int64_t channel)
{
    const adze_dwconv_shape *s = &args->shape;
    float sum = 0;
    for (int64_t i = ky.first; i < ky.last; i++)
        for (int64_t j = kx.first; j < kx.last; j++) {
            int64_t row = image * s->h + ky.start + i * s->dilation_h;
            int64_t pixel = row * s->w + kx.start + j * s->dilation_w;
            float weight = args->weights[(i * s->kw + j) * s->c + channel];
            sum += args->x[pixel * s->c + channel] * weight;
        }
    if (args->bias)
        sum += args->bias[channel];
    sum = sum < args->lo ? args->lo : sum;
    return sum > args->hi ? args->hi : sum;
}

static void f32_rows(const adze_dwconv_f32_args *args, int64_t image, int64_t first, int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    for (int64_t oy = first; oy < last; oy++) {
        int64_t iy = oy * s->stride_h - s->pad_top;
        adze_taps ky = adze_taps_inside(iy, s->kh, s->dilation_h, s->h);
        for (int64_t ox = 0; ox < s->ow; ox++) {
            int64_t ix = ox * s->stride_w - s->pad_left;
            adze_taps kx = adze_taps_inside(ix, s->kw, s->dilation_w, s->w);
            float *y = args->y + ((image * s->oh + oy) * s->ow + ox) * s->c;
            for (int64_t channel = 0; channel < s->c; channel++)
                y[channel] = f32_output(args, image, ky, kx, channel);
        }
    }
}

static uint8_t q8_output(const adze_dwconv_q8_args *args, int64_t image, adze_taps ky, adze_taps kx,
                         int64_t channel)
{
    const adze_dwconv_shape *s = &args->shape;
    uint32_t acc = args->bias ? (uint32_t)args->bias[channel] : 0;
    for (int64_t i = ky.first; i < ky.last; i++)
        for (int64_t j = kx.first; j < kx.last; j++) {
            int64_t row = image * s->h + ky.start + i * s->dilation_h;
            int64_t pixel = row * s->w + kx.start + j * s->dilation_w;
            uint8_t byte = args->x[pixel * s->c + channel];
            int32_t value = args->x_signed ? (int8_t)byte : byte;
            int32_t weight = args->weights[(i * s->kw + j) * s->c + channel];
            acc += (uint32_t)((value - args->x_zero) * weight);
        }
    float v = (float)(int32_t)acc * args->scale[channel];
    if (args->f_bias)
        v += args->f_bias[channel];
    return (uint8_t)adze_requantize(v, args->y_zero, args->lo, args->hi);
}

void adze_dwconv_q8_rows_ref(const adze_dwconv_q8_args *args, int64_t image, int64_t first,
                             int64_t last)
{
    const adze_dwconv_shape *s = &args->shape;
    for (int64_t oy = first; oy < last; oy++) {
        int64_t iy = oy * s->stride_h - s->pad_top;
        adze_taps ky = adze_taps_inside(iy, s->kh, s->dilation_h, s->h);
        for (int64_t ox = 0; ox < s->ow; ox++) {
            int64_t ix = ox * s->stride_w - s->pad_left;
            adze_taps kx = adze_taps_inside(ix, s->kw, s->dilation_w, s->w);
            uint8_t *y = args->y + ((image * s->oh + oy) * s->ow + ox) * s->c;
            for (int64_t channel = 0; channel < s->c; channel++)
                y[channel] = q8_output(args, image, ky, kx, channel);
        }
    }
}

void adze_dwconv_init(adze_dwconv_table *table, adze_cpu_level level)
{
    *table = (adze_dwconv_table){.f32_rows = f32_rows, .q8_rows = adze_dwconv_q8_rows_ref};
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2)
        adze_dwconv_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_dwconv_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}

typedef struct rows_job {
    const adze_dwconv_table *table;
    const adze_dwconv_f32_args *f32;
    const adze_dwconv_q8_args *q8;
    int64_t oh, rows, pieces_per_image;
} rows_job;

/* Rows are taken in pieces worth waking a thread for, and preparing the weights again. */
static void split_rows(rows_job *job, const adze_dwconv_shape *s)
{
    enum { WORTH = 100000 }; /* products */
    int64_t pieces = adze_split_count(s->oh * s->ow * s->c * s->kh * s->kw, WORTH);
    job->oh = s->oh;
    job->rows = ADZE_MAX((s->oh + pieces - 1) / pieces, 1);
    job->pieces_per_image = (s->oh + job->rows - 1) / job->rows;
}

static void rows_piece(void *user, int64_t piece, int worker)
{
    const rows_job *job = user;
    int64_t image = piece / job->pieces_per_image;
    int64_t first = piece % job->pieces_per_image * job->rows;
    int64_t last = ADZE_MIN(first + job->rows, job->oh);
    if (job->f32)
        job->table->f32_rows(job->f32, image, first, last);
    else
        job->table->q8_rows(job->q8, image, first, last);
    ADZE_UNUSED(worker);
}

void adze_dwconv_f32(const adze_dwconv_table *table, adze_pool *pool, const adze_dwconv_f32_args *a)
{
    rows_job job = {.table = table, .f32 = a};
    split_rows(&job, &a->shape);
    adze_pool_run(pool, a->shape.n * job.pieces_per_image, rows_piece, &job);
}

void adze_dwconv_q8(const adze_dwconv_table *table, adze_pool *pool, const adze_dwconv_q8_args *a)
{
    rows_job job = {.table = table, .q8 = a};
    split_rows(&job, &a->shape);
    adze_pool_run(pool, a->shape.n * job.pieces_per_image, rows_piece, &job);
}
