/* Attention: the reference of a block, and how the whole is cut. Few tokens (generation): each split of the
 * keys is a piece, so that one token with a long past keeps all threads busy. Many (prompts): each tile of
 * tokens is a piece that goes through all splits, and what it converts of the cache serves all its rows. */
#include "kernels/attention_impl.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

enum { FEW = 4, TILE_ROWS = 64, PIECES = 32, ALIGN = 64 };

static inline size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static float number_at(const void *from, adze_dtype dtype, int64_t i)
{
    return dtype == ADZE_F16 ? adze_f16_to_f32(((const uint16_t *)from)[i])
                             : ((const float *)from)[i];
}

/* ---- the reference of a block ---- */

/* Products to weights e^(score - max), 0 where not seen; *max and *sum go on. The factor for what was summed so
 * far. */
static float weigh_chunk(const chunk_row *c, float *s, float *max, float *sum)
{
    const float old = *max;
    score_chunk(c, s);
    for (int j = c->begin; j < c->end; j++)
        *max = s[j] > *max ? s[j] : *max;
    const float factor = exp_f32(old - *max);
    *sum *= factor;
    for (int j = c->begin; j < c->end; j++) {
        s[j] = exp_f32(s[j] - *max);
        *sum += s[j];
    }
    return factor;
}

static void row_chunk(const adze_attention_block *b, int64_t row, int64_t key, int begin, int end)
{
    const adze_attention_args *a = b->args;
    const int64_t group = a->heads / a->kv_heads, token = b->token + row / group;
    const int64_t head = b->kv_head * group + row % group;
    const float *q = a->q + (token * a->heads + head) * a->d;
    float s[CHUNK] = {0}, *acc = b->acc + row * adze_attention_stride(a->dv);
    for (int j = begin; j < end; j++)
        for (int64_t i = 0; i < a->d; i++)
            s[j] +=
                q[i] * number_at(a->k, a->dtype, ((key + j) * a->kv_heads + b->kv_head) * a->d + i);
    const chunk_row c = {.scale = a->scale,
                         .softcap = a->softcap,
                         .slope = a->slopes ? a->slopes[head] : 0,
                         .position = a->positions ? a->positions[token] : token,
                         .key = key,
                         .begin = begin,
                         .end = end};
    const float factor = weigh_chunk(&c, s, &b->max[row], &b->sum[row]);
    for (int64_t i = 0; i < a->dv; i++) {
        acc[i] *= factor;
        for (int j = begin; j < end; j++)
            acc[i] += s[j] *
                      number_at(a->v, a->dtype, ((key + j) * a->kv_heads + b->kv_head) * a->dv + i);
    }
}

static void block(const adze_attention_block *b)
{
    const adze_attention_args *a = b->args;
    const int64_t rows = rows_of(b), group = a->heads / a->kv_heads;
    memset(b->acc, 0, (size_t)(rows * adze_attention_stride(a->dv)) * sizeof(float));
    for (int64_t row = 0; row < rows; row++) {
        const key_range seen = keys_seen(a, b->token + row / group, b->first, b->last);
        b->max[row] = -INFINITY;
        b->sum[row] = 0;
        for (int64_t key = b->first; key < seen.end; key += CHUNK)
            if (key + CHUNK > seen.begin)
                row_chunk(b, row, key, (int)ADZE_MAX(seen.begin - key, 0),
                          (int)ADZE_MIN(seen.end - key, CHUNK));
    }
}

static size_t block_scratch(const adze_attention_args *args, int64_t rows)
{
    ADZE_UNUSED(args);
    ADZE_UNUSED(rows);
    return 0;
}

/* ---- what splits leave behind, and merging it ---- */

typedef struct state {
    float *max, *sum, *acc;
    int64_t dv, stride;
} state;

static size_t state_bytes(int64_t rows, int64_t dv)
{
    return 2 * aligned((size_t)rows * sizeof(float)) +
           aligned((size_t)(rows * adze_attention_stride(dv)) * sizeof(float));
}

static state state_at(char *memory, int64_t rows, int64_t dv)
{
    const size_t each = aligned((size_t)rows * sizeof(float));
    return (state){(float *)(void *)memory, (float *)(void *)(memory + each),
                   (float *)(void *)(memory + 2 * each), dv, adze_attention_stride(dv)};
}

/* Row `row` of a part into row `at` of a total. */
static void merge_row(const state *total, int64_t at, const state *part, int64_t row)
{
    const float *from = part->acc + row * part->stride;
    float *max = &total->max[at], *sum = &total->sum[at], *acc = total->acc + at * total->stride;
    if (part->sum[row] == 0)
        return; /* sees none of these keys */
    if (*sum == 0) {
        *max = part->max[row];
        *sum = part->sum[row];
        memcpy(acc, from, (size_t)part->dv * sizeof(float));
        return;
    }
    const float largest = *max > part->max[row] ? *max : part->max[row];
    const float old = exp_f32(*max - largest), new = exp_f32(part->max[row] - largest);
    *max = largest;
    *sum = *sum * old + part->sum[row] * new;
    for (int64_t i = 0; i < part->dv; i++)
        acc[i] = acc[i] * old + from[i] * new;
}

/* Row of a piece -> its place in y. */
static void finish_row(const adze_attention_args *a, int64_t kv_head, int64_t first_token,
                       int64_t row, const state *total, int64_t at)
{
    const int64_t group = a->heads / a->kv_heads, token = first_token + row / group;
    const float *acc = total->acc + at * total->stride, inverse = 1.0f / total->sum[at];
    float *y = a->y + (token * a->heads + kv_head * group + row % group) * a->dv;
    for (int64_t i = 0; i < a->dv; i++)
        y[i] = acc[i] * inverse;
}

/* ---- cutting ---- */

typedef struct job {
    const adze_attention_table *table;
    const adze_attention_args *a;
    int64_t group, tile, tiles; /* tokens of a tile */
    int64_t first, splits;      /* of the keys that any token sees */
    size_t worker_bytes, part_bytes;
    char *workers, *parts;
} job;

static int64_t tile_tokens(const adze_attention_args *a, int64_t rows)
{
    return ADZE_MAX(FEW, rows / (a->heads / a->kv_heads));
}

/* Twice as many where that leaves pieces enough. */
static int64_t tile_rows(const adze_attention_args *a)
{
    return a->tokens * a->heads / (2 * TILE_ROWS) >= PIECES ? 2 * TILE_ROWS : TILE_ROWS;
}

static size_t worker_bytes(const adze_attention_table *table, const adze_attention_args *a)
{
    const int64_t rows = tile_tokens(a, 2 * TILE_ROWS) * (a->heads / a->kv_heads);
    return aligned(table->block_scratch(a, rows)) + 2 * state_bytes(rows, a->dv);
}

static int64_t splits_of(int64_t keys)
{
    return (keys + SPLIT - 1) / SPLIT;
}

/* The splits that hold a key which one of the tokens sees. */
static void splits_seen(const adze_attention_args *a, int64_t token, int64_t tokens, int64_t *first,
                        int64_t *count)
{
    int64_t begin = a->keys, end = 0;
    for (int64_t t = token; t < token + tokens; t++) {
        const key_range r = keys_seen(a, t, 0, a->keys);
        begin = ADZE_MIN(begin, r.begin);
        end = ADZE_MAX(end, r.end);
    }
    *first = begin / SPLIT;
    *count = splits_of(end) - *first;
}

static adze_attention_block block_of(const job *j, int64_t kv_head, int64_t token, int64_t tokens,
                                     int64_t split, int worker)
{
    return (adze_attention_block){.args = j->a,
                                  .kv_head = kv_head,
                                  .token = token,
                                  .tokens = tokens,
                                  .first = split * SPLIT,
                                  .last = ADZE_MIN((split + 1) * SPLIT, j->a->keys),
                                  .scratch = j->workers + (size_t)worker * j->worker_bytes};
}

static void run_block(const job *j, adze_attention_block b, const state *to)
{
    b.max = to->max;
    b.sum = to->sum;
    b.acc = to->acc;
    j->table->block(&b);
}

/* Few tokens: a piece is a kv head in a split. */
static void split_piece(void *user, int64_t piece, int worker)
{
    const job *j = user;
    const adze_attention_args *a = j->a;
    const state part =
        state_at(j->parts + (size_t)piece * j->part_bytes, a->tokens * j->group, a->dv);
    run_block(
        j, block_of(j, piece % a->kv_heads, 0, a->tokens, j->first + piece / a->kv_heads, worker),
        &part);
}

static void merge_splits(const job *j)
{
    const adze_attention_args *a = j->a;
    const int64_t rows = a->tokens * j->group;
    const state total = state_at(j->workers, 1, a->dv);
    for (int64_t kv = 0; kv < a->kv_heads; kv++)
        for (int64_t row = 0; row < rows; row++) {
            total.sum[0] = 0;
            for (int64_t s = 0; s < j->splits; s++) {
                const int64_t piece = s * a->kv_heads + kv;
                const state part = state_at(j->parts + (size_t)piece * j->part_bytes, rows, a->dv);
                merge_row(&total, 0, &part, row);
            }
            finish_row(a, kv, 0, row, &total, 0);
        }
}

/* Many tokens: a piece is a kv head for a tile of tokens. */
static void tile_piece(void *user, int64_t piece, int worker)
{
    const job *j = user;
    const adze_attention_args *a = j->a;
    const int64_t token = piece / a->kv_heads * j->tile, kv = piece % a->kv_heads;
    const int64_t tokens = ADZE_MIN(j->tile, a->tokens - token), rows = tokens * j->group;
    char *memory = j->workers + (size_t)worker * j->worker_bytes + j->worker_bytes;
    const state total = state_at(memory - state_bytes(rows, a->dv), rows, a->dv);
    const state part = state_at(memory - 2 * state_bytes(rows, a->dv), rows, a->dv);
    int64_t first, splits;
    splits_seen(a, token, tokens, &first, &splits);
    memset(total.sum, 0, (size_t)rows * sizeof(float));
    for (int64_t s = first; s < first + splits; s++) {
        run_block(j, block_of(j, kv, token, tokens, s, worker), &part);
        for (int64_t row = 0; row < rows; row++)
            merge_row(&total, row, &part, row);
    }
    for (int64_t row = 0; row < rows; row++)
        finish_row(a, kv, token, row, &total, row);
}

size_t adze_attention_scratch(const adze_kernels *kernels, const adze_attention_args *args,
                              int threads)
{
    const int64_t rows = FEW * (args->heads / args->kv_heads);
    return (size_t)threads * worker_bytes(&kernels->attention, args) +
           (size_t)(splits_of(args->keys) * args->kv_heads) * state_bytes(rows, args->dv);
}

void adze_attention_run(const adze_kernels *kernels, adze_pool *pool, const adze_attention_args *a)
{
    job j = {.table = &kernels->attention,
             .a = a,
             .group = a->heads / a->kv_heads,
             .tile = tile_tokens(a, tile_rows(a)),
             .worker_bytes = worker_bytes(&kernels->attention, a),
             .workers = a->scratch};
    if (a->tokens == 0 || a->keys == 0) {
        memset(a->y, 0, (size_t)(a->tokens * a->heads * a->dv) * sizeof(float));
        return;
    }
    j.part_bytes = state_bytes(a->tokens * j.group, a->dv);
    j.parts = j.workers + (size_t)adze_pool_threads(pool) * j.worker_bytes;
    j.tiles = (a->tokens + j.tile - 1) / j.tile;
    if (a->tokens > FEW) {
        adze_pool_run(pool, j.tiles * a->kv_heads, tile_piece, &j);
        return;
    }
    splits_seen(a, 0, a->tokens, &j.first, &j.splits);
    adze_pool_run(pool, j.splits * a->kv_heads, split_piece, &j);
    merge_splits(&j);
}

void adze_attention_init(adze_attention_table *table, adze_cpu_level level)
{
    *table = (adze_attention_table){block, block_scratch, rope};
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_attention_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_attention_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}
