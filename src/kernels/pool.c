/* The reference of the pooling family, the choice of a level, and whole tensors over threads. */
#include "kernels/pool_impl.h"

void adze_pool_init(adze_pool_table *table, adze_cpu_level level)
{
    fill(table);
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_pool_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_pool_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}

/* Output rows of all images, `rows_per_piece` at a time so that a piece is worth handing out. */
typedef struct row_job {
    const adze_pool_f32_args *f32;
    const adze_pool_q8_args *q8;
    void (*f32_row)(const adze_pool_f32_args *args, int64_t image, int64_t row);
    void (*q8_row)(const adze_pool_q8_args *args, int64_t image, int64_t row);
    int64_t oh, rows, rows_per_piece;
} row_job;

static void run_piece(void *user, int64_t piece, int worker)
{
    const row_job *job = user;
    ADZE_UNUSED(worker);
    const int64_t end = ADZE_MIN((piece + 1) * job->rows_per_piece, job->rows);
    for (int64_t i = piece * job->rows_per_piece; i < end; i++) {
        if (job->f32 != NULL)
            job->f32_row(job->f32, i / job->oh, i % job->oh);
        else
            job->q8_row(job->q8, i / job->oh, i % job->oh);
    }
}

static void run_rows(adze_pool *pool, const adze_pool_shape *s, row_job *job)
{
    enum { OPERATIONS_PER_PIECE = 1 << 16 };
    const int64_t row_cost = ADZE_MAX(s->ow * s->c * s->kh * s->kw, 1);
    job->oh = s->oh;
    job->rows = s->n * s->oh;
    job->rows_per_piece = ADZE_MAX(OPERATIONS_PER_PIECE / row_cost, 1);
    adze_pool_run(pool, (job->rows + job->rows_per_piece - 1) / job->rows_per_piece, run_piece,
                  job);
}

void adze_pool_max_f32(const adze_pool_table *table, adze_pool *pool, const adze_pool_f32_args *a)
{
    row_job job = {.f32 = a, .f32_row = table->max_f32_row};
    run_rows(pool, &a->shape, &job);
}

void adze_pool_average_f32(const adze_pool_table *table, adze_pool *pool,
                           const adze_pool_f32_args *a)
{
    row_job job = {.f32 = a, .f32_row = table->average_f32_row};
    run_rows(pool, &a->shape, &job);
}

void adze_pool_max_q8(const adze_pool_table *table, adze_pool *pool, const adze_pool_q8_args *a)
{
    row_job job = {.q8 = a, .q8_row = table->max_q8_row};
    run_rows(pool, &a->shape, &job);
}

void adze_pool_average_q8(const adze_pool_table *table, adze_pool *pool, const adze_pool_q8_args *a)
{
    row_job job = {.q8 = a, .q8_row = table->average_q8_row};
    run_rows(pool, &a->shape, &job);
}
