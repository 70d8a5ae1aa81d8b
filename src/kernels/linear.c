/* The products of language models: how the work is cut, and the plain C version that defines every bit.
 *
 * A part is some rows of w and some tokens. However work is cut and whatever a level does inside a part,
 * each sum is the one chain of linear.h. */
#include "kernels/linear_impl.h"

/* --- the reference --- */

static void quantize(const linear_job *job, int64_t first, int64_t count)
{
    for (int64_t t = first; t < first + count; t++) {
        const float *x = job->args.x + t * job->args.ldx;
        const linear_record r = linear_record_at(job, t);
        for (int64_t b = 0; b < job->args.k / LINEAR_BLOCK; b++) {
            float inverse;
            r.scale[b] = linear_block_scale(x + b * LINEAR_BLOCK, &inverse);
            linear_block_codes(x + b * LINEAR_BLOCK, inverse, r.codes + b * LINEAR_BLOCK);
        }
    }
}

/* Adds groups [0, count) to the sum; `r` begins where they do. */
static float add_groups(const linear_format *f, int64_t count, const int8_t *codes,
                        const float *scale, const float *offset, const linear_record *r, float sum)
{
    for (int64_t g = 0; g < count; g++) {
        const float d = r->scale[g * f->group / LINEAR_BLOCK];
        int32_t products = 0, plain = 0;
        for (int64_t i = g * f->group; i < (g + 1) * f->group; i++) {
            products += codes[i] * r->codes[i];
            plain += r->codes[i];
        }
        sum = fmaf((float)products * scale[g], d, sum);
        if (f->offset)
            sum = fmaf(offset[g], d * (float)plain, sum);
    }
    return sum;
}

static void finish(const linear_job *job, int64_t row, const int64_t part[4])
{
    for (int64_t t = part[2]; job->args.bias && t < part[3]; t++)
        job->args.y[t * job->args.ldy + row] += job->args.bias[row];
}

static void codes(const linear_job *job, const int64_t part[4], void *scratch)
{
    int8_t q[LINEAR_CHUNK];
    float scale[LINEAR_CHUNK / 16], offset[LINEAR_CHUNK / 16];
    const linear_format *f = job->format;
    const int64_t k = job->args.k;
    ADZE_UNUSED(scratch);
    for (int64_t row = part[0]; row < part[1]; row++) {
        for (int64_t at = 0; at < k; at += LINEAR_CHUNK) {
            const int64_t count = ADZE_MIN(k - at, LINEAR_CHUNK);
            f->unpack(linear_row(job, row) + at / f->block * f->bytes, count / f->block, q, scale,
                      offset);
            for (int64_t t = part[2]; t < part[3]; t++) {
                float *y = &job->args.y[t * job->args.ldy + row];
                linear_record r = linear_record_at(job, t);
                r.codes += at;
                r.scale += at / LINEAR_BLOCK;
                *y = add_groups(f, count / f->group, q, scale, offset, &r, at ? *y : 0.0f);
            }
        }
        finish(job, row, part);
    }
}

static float element(adze_dtype dtype, const uint8_t *row, int64_t i)
{
    uint16_t half;
    float whole;
    memcpy(&half, row + 2 * i, sizeof half);
    if (dtype == ADZE_F16)
        return half_to_float(half);
    if (dtype == ADZE_BF16)
        return float_of((uint32_t)half << 16);
    memcpy(&whole, row + 4 * i, sizeof whole);
    return whole;
}

/* Eight sums, of the elements i with i % 8 the same; k is filled up with zeros. */
static float dot_floats(adze_dtype dtype, int64_t k, const uint8_t *w, const float *x)
{
    float s[8] = {0};
    for (int64_t i = 0; i < (k + 7) / 8 * 8; i++)
        s[i % 8] = fmaf(i < k ? element(dtype, w, i) : 0.0f, i < k ? x[i] : 0.0f, s[i % 8]);
    float sum = s[0];
    for (int i = 1; i < 8; i++)
        sum += s[i];
    return sum;
}

static void floats(const linear_job *job, const int64_t part[4], void *scratch)
{
    const adze_linear_args *args = &job->args;
    ADZE_UNUSED(scratch);
    for (int64_t row = part[0]; row < part[1]; row++) {
        for (int64_t t = part[2]; t < part[3]; t++)
            args->y[t * args->ldy + row] =
                dot_floats(args->dtype, args->k, linear_row(job, row), args->x + t * args->ldx);
        finish(job, row, part);
    }
}

void adze_linear_init(adze_linear_table *table, adze_cpu_level level)
{
    *table = (adze_linear_table){.prepare = quantize, .codes = codes, .floats = floats};
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_linear_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_linear_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}

/* --- the whole --- */

bool adze_linear_can(const adze_kernels *kernels, adze_dtype dtype)
{
    ADZE_UNUSED(kernels);
    return dtype == ADZE_F32 || dtype == ADZE_F16 || dtype == ADZE_BF16 || linear_format_of(dtype);
}

size_t adze_linear_scratch(const adze_kernels *kernels, adze_dtype dtype, int64_t tokens, int64_t k,
                           int threads)
{
    const adze_linear_table *table = &kernels->linear;
    const linear_format *f = linear_format_of(dtype);
    if (!f)
        return (size_t)threads * table->floats_scratch;
    return (size_t)ADZE_MIN(tokens, LINEAR_SLAB) * linear_record_size(f, k) +
           (size_t)threads * table->codes_scratch;
}

static void prepare_part(void *user, int64_t part, int worker)
{
    const linear_job *job = user;
    const int64_t first = part * job->part_tokens;
    ADZE_UNUSED(worker);
    job->table->prepare(job, first, ADZE_MIN(job->part_tokens, job->args.tokens - first));
}

static void multiply_part(void *user, int64_t part, int worker)
{
    const linear_job *job = user;
    const int64_t row = part % job->row_parts * job->part_rows;
    const int64_t token = part / job->row_parts * job->part_tokens;
    const int64_t limits[4] = {row, ADZE_MIN(row + job->part_rows, job->args.n), token,
                               ADZE_MIN(token + job->part_tokens, job->args.tokens)};
    void *scratch = job->workers + (size_t)worker * job->worker_size;
    (job->format ? job->table->codes : job->table->floats)(job, limits, scratch);
}

static int64_t count_of(int64_t total, int64_t each)
{
    return (total + each - 1) / each;
}

/* Rows of x in parts of about 16 Ki elements. */
static void prepare_all(linear_job *job, adze_pool *pool)
{
    job->part_tokens = ADZE_MAX((1 << 14) / ADZE_MAX(job->args.k, 1), 1);
    adze_pool_run(pool, count_of(job->args.tokens, job->part_tokens), prepare_part, job);
}

/* Parts are worth the handing out, but number enough for many cores: first some rows, then, where that
 * gives few parts, some tokens. Up to four panels of rows share what they read of x; float weights, which
 * cost nothing to unpack, are read again for every so many tokens, whose x then stays in the cache. A
 * single token has few, long parts: what a level asks for ahead of the end of its part is asked for in
 * vain. */
static void cut(linear_job *job, int threads)
{
    enum {
        WORTH = 1 << 16,
        PLENTY = 256,
        ENOUGH = 48,
        TOKENS = 64,
        FLOAT_TOKENS = 96,
        SHARE = 4,
        THREAD_PARTS = 4,
    };
    const int64_t n = job->args.n, tokens = job->args.tokens;
    const int64_t panels = count_of(n, LINEAR_PANEL);
    const int64_t panel_work = ADZE_MAX(LINEAR_PANEL * job->args.k * tokens, 1);
    const int64_t most = job->format ? tokens : ADZE_MIN(tokens, FLOAT_TOKENS);
    const int64_t share = panels * count_of(tokens, most) / (ENOUGH / 2);
    int64_t each = count_of(WORTH, panel_work);
    if (tokens > 1)
        each = ADZE_MAX(ADZE_MAX(each, count_of(panels, PLENTY)), ADZE_MIN(share, SHARE));
    else
        each = ADZE_MAX(each, panels / (THREAD_PARTS * threads));
    job->part_rows = each * LINEAR_PANEL;
    job->row_parts = count_of(n, job->part_rows);
    const int64_t wanted = count_of(ENOUGH, ADZE_MAX(job->row_parts, 1));
    job->part_tokens = ADZE_MIN(ADZE_MAX(count_of(tokens, wanted), TOKENS), ADZE_MAX(most, 1));
    job->token_parts = count_of(tokens, job->part_tokens);
}

void adze_linear_run(const adze_kernels *kernels, adze_pool *pool, const adze_linear_args *args)
{
    linear_job job = {.args = *args, .all_tokens = args->tokens, .table = &kernels->linear};
    job.format = linear_format_of(args->dtype);
    job.record_size = job.format ? linear_record_size(job.format, args->k) : 0;
    job.worker_size = job.format ? job.table->codes_scratch : job.table->floats_scratch;
    const int64_t most = ADZE_MIN(args->tokens, LINEAR_SLAB);
    job.records = args->scratch;
    job.workers = job.records + (size_t)most * job.record_size;
    for (int64_t t = 0; t < args->tokens; t += most) {
        job.args.tokens = ADZE_MIN(most, args->tokens - t);
        job.args.x = args->x + t * args->ldx;
        job.args.y = args->y + t * args->ldy;
        if (job.format)
            prepare_all(&job, pool);
        cut(&job, adze_pool_threads(pool));
        adze_pool_run(pool, job.row_parts * job.token_parts, multiply_part, &job);
    }
}
