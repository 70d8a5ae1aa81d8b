/* Whole matrix products split over the pool. */
#include "kernels/conv.h"
#include "kernels/split_impl.h"

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* Rows are cut first (each piece then reads all of B), columns where rows are few. */
adze_split adze_split_make(int64_t m, int64_t n, int64_t k, int mr, int nr, int64_t max_rows)
{
    enum { WORTH = 600000, OUTPUT_COST = 48 }; /* in products */
    int64_t pieces = adze_split_count(m * n * (k + OUTPUT_COST), WORTH);
    int64_t row_pieces = ADZE_MIN(pieces, ADZE_MAX(m / (2 * mr), 1));
    int64_t column_pieces = ADZE_MAX(ADZE_MIN(pieces / row_pieces, n / (4 * nr)), 1);

    adze_split s = {.m = m, .n = n};
    s.rows = round_up(ADZE_MAX((m + row_pieces - 1) / row_pieces, 1), mr);
    if (max_rows > 0)
        s.rows = ADZE_MIN(s.rows, round_up(max_rows, mr));
    s.columns = round_up(ADZE_MAX((n + column_pieces - 1) / column_pieces, 1), nr);
    s.row_pieces = (m + s.rows - 1) / s.rows;
    s.column_pieces = (n + s.columns - 1) / s.columns;
    return s;
}

adze_gemm_f32_args adze_gemm_f32_block(const adze_gemm_f32_args *whole, adze_block at)
{
    adze_gemm_f32_args args = *whole;
    args.m = at.rows;
    args.n = at.columns;
    args.a += at.row * args.lda;
    args.b += at.column * args.k;
    args.bias = args.bias ? args.bias + at.column : NULL;
    if (args.residual)
        args.residual += at.row * args.ldr + at.column;
    args.c += at.row * args.ldc + at.column;
    return args;
}

adze_gemm_q8_args adze_gemm_q8_block(const adze_gemm_q8_table *table,
                                     const adze_gemm_q8_args *whole, adze_block at,
                                     adze_q8_residual *residual)
{
    static const size_t element[] = {
        [ADZE_Q8_TO_Q8] = 1, [ADZE_Q8_TO_F32] = sizeof(float), [ADZE_Q8_TO_I32] = sizeof(int32_t)};
    adze_gemm_q8_args args = *whole;
    args.m = at.rows;
    args.n = at.columns;
    args.a += at.row * args.lda;
    args.b += (size_t)(at.column / table->nr) * table->panel_size(args.k);
    args.bias = args.bias ? args.bias + at.column : NULL;
    args.row_sum = args.row_sum ? args.row_sum + at.row : NULL;
    args.b_zero = args.b_zero ? args.b_zero + at.column : NULL;
    args.scale = args.scale ? args.scale + at.column : NULL;
    args.row_scale = args.row_scale ? args.row_scale + at.row : NULL;
    args.f_bias = args.f_bias ? args.f_bias + at.column : NULL;
    args.c = (uint8_t *)args.c + (at.row * args.ldc + at.column) * (ptrdiff_t)element[args.output];
    if (args.residual) {
        *residual = *args.residual;
        residual->data += at.row * residual->ld + at.column;
        args.residual = residual;
    }
    return args;
}

typedef struct f32_job {
    const adze_gemm_f32_table *table;
    const adze_gemm_f32_args *args;
    adze_split split;
} f32_job;

static void f32_piece(void *user, int64_t piece, int worker)
{
    const f32_job *job = user;
    adze_gemm_f32_args args = adze_gemm_f32_block(job->args, adze_split_block(&job->split, piece));
    job->table->run(&args);
    ADZE_UNUSED(worker);
}

void adze_matmul_f32(const adze_kernels *k, adze_pool *pool, const adze_gemm_f32_args *args)
{
    f32_job job = {.table = &k->gemm_f32, .args = args};
    job.split = adze_split_make(args->m, args->n, args->k, job.table->mr, job.table->nr, 0);
    adze_pool_run(pool, adze_split_pieces(&job.split), f32_piece, &job);
}

typedef struct q8_job {
    const adze_gemm_q8_table *table;
    const adze_gemm_q8_args *args;
    adze_split split;
} q8_job;

static void q8_piece(void *user, int64_t piece, int worker)
{
    const q8_job *job = user;
    adze_q8_residual residual;
    adze_block at = adze_split_block(&job->split, piece);
    adze_gemm_q8_args args = adze_gemm_q8_block(job->table, job->args, at, &residual);
    job->table->run(&args);
    ADZE_UNUSED(worker);
}

void adze_matmul_q8(const adze_kernels *k, adze_pool *pool, const adze_gemm_q8_args *args)
{
    q8_job job = {.table = &k->gemm_q8, .args = args};
    job.split = adze_split_make(args->m, args->n, args->k, job.table->mr, job.table->nr, 0);
    adze_pool_run(pool, adze_split_pieces(&job.split), q8_piece, &job);
}
