/* Products of language models with AVX2 whose weights become floats.
 *
 * Few tokens: the lanes of a vector are the eight interleaved sums over k, and rows are read as they lie.
 * Many: the lanes are rows. A panel of 16 rows is converted and transposed once, x is spread into its
 * eight parts, and each of the eight sums is a product of its own, of a tile of six tokens that
 * stays in registers. */
#include "kernels/x86/linear_avx2_impl.h"

enum { ROWS = LINEAR_PANEL, LANES = 8, FEW = 6, HIGH = 4, WIDE = 3, TOKENS = 6, CHUNK = 256 };

/* The scratch of a worker, before the panel. */
typedef struct workspace {
    _Alignas(64) float sums[LINEAR_SLAB][ROWS]; /* of the part at hand, where it is cut */
    _Alignas(64) float y[LINEAR_SLAB][ROWS];
    _Alignas(64) float few[FEW][ROWS][LANES];
    _Alignas(64) float rows[ROWS][LINEAR_STEP];
} workspace;

/* --- few tokens --- */

typedef enum kind { F32, F16, BF16 } kind;

INLINE int size_of(kind type)
{
    return type == F32 ? 4 : 2;
}

INLINE __m256 load_8(kind type, const uint8_t *w)
{
    if (type == F32)
        return _mm256_loadu_ps((const float *)(const void *)w);
    const __m128i v = _mm_loadu_si128((const __m128i *)w);
    if (type == F16)
        return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* The last elements of a row, then zeros. */
INLINE __m256 load_tail(kind type, const uint8_t *w, int64_t count)
{
    uint8_t copy[32] = {0};
    memcpy(copy, w, (size_t)count * (size_t)size_of(type));
    return load_8(type, copy);
}

typedef struct few_tile {
    const uint8_t *w; /* four rows, `stride` bytes apart */
    size_t stride;
    const float *x; /* rows ldx apart */
    int64_t ldx, k;
    float *sums; /* [tokens][16 rows][8] */
} few_tile;

INLINE void add_products(const few_tile *a, kind type, int tokens, const uint8_t *w, const float *x,
                         __m256 sum[HIGH][WIDE])
{
    __m256 v[WIDE];
    UNROLL for (int t = 0; t < tokens; t++) v[t] = _mm256_loadu_ps(x + t * a->ldx);
    UNROLL for (int r = 0; r < HIGH; r++)
    {
        const __m256 row = load_8(type, w + (size_t)r * a->stride);
        UNROLL for (int t = 0; t < tokens; t++) sum[r][t] = _mm256_fmadd_ps(row, v[t], sum[r][t]);
    }
}

INLINE void multiply_rows(const few_tile *a, kind type, int tokens)
{
    const uint8_t *w = a->w;
    const float *x = a->x;
    __m256 sum[HIGH][WIDE];
    UNROLL for (int r = 0; r < HIGH; r++) UNROLL for (int t = 0; t < tokens; t++) sum[r][t] =
        _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 2 * LANES <= a->k; i += 2 * LANES, w += 2 * LANES * size_of(type), x += 2 * LANES) {
        add_products(a, type, tokens, w, x, sum);
        FENCE;
        add_products(a, type, tokens, w + LANES * size_of(type), x + LANES, sum);
    }
    for (; i + LANES <= a->k; i += LANES, w += LANES * size_of(type), x += LANES)
        add_products(a, type, tokens, w, x, sum);
    for (; i < a->k; i = a->k) {
        UNROLL for (int r = 0; r < HIGH; r++)
        {
            const __m256 row = load_tail(type, w + (size_t)r * a->stride, a->k - i);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const uint8_t *at = (const uint8_t *)(const void *)(x + t * a->ldx);
                sum[r][t] = _mm256_fmadd_ps(row, load_tail(F32, at, a->k - i), sum[r][t]);
            }
        }
    }
    UNROLL for (int r = 0; r < HIGH; r++) UNROLL for (int t = 0; t < tokens; t++)
        _mm256_store_ps(a->sums + (t * ROWS + r) * LANES, sum[r][t]);
}

static int multiply_few(const few_tile *a, kind type, int64_t tokens)
{
#define CASE(type, tokens) multiply_rows(a, type, tokens), tokens
#define CASES(type) tokens >= 3 ? (CASE(type, 3)) : tokens == 2 ? (CASE(type, 2)) : (CASE(type, 1))
    if (type == F16)
        return CASES(F16);
    if (type == BF16)
        return CASES(BF16);
    return CASES(F32);
}

/* y[tokens][16 rows] from the eight sums of each. */
static void add_across(const float *sums, int64_t tokens, float *y)
{
    for (int64_t i = 0; i < tokens * ROWS / 8; i++, sums += 8 * LANES) {
        __m256i lane[8];
        transpose_8x8(sums, LANES * sizeof *sums, lane);
        __m256 sum = _mm256_castsi256_ps(lane[0]);
        UNROLL for (int j = 1; j < 8; j++) sum = _mm256_add_ps(sum, _mm256_castsi256_ps(lane[j]));
        _mm256_storeu_ps(y + 8 * i, sum);
    }
}

/* At most 16 rows, as they lie. */
static void few_tokens(const linear_job *job, kind type, int64_t row, int64_t last,
                       const int64_t part[4], workspace *s)
{
    const adze_linear_args *args = &job->args;
    const int64_t first = part[2], tokens = part[3] - part[2];
    const int64_t rows = last - row, high = rows >= HIGH ? HIGH : 1;
    for (int64_t i = 0; i < rows; i += high) {
        const int64_t r = ADZE_MIN(i, rows - high); /* some rows twice rather than fewer */
        for (int64_t t = 0; t < tokens;) {
            const few_tile a = {.w = linear_row(job, row + r),
                                .stride = high == HIGH ? args->w_stride : 0,
                                .x = args->x + (first + t) * args->ldx,
                                .ldx = args->ldx,
                                .k = args->k,
                                .sums = s->few[t][r]};
            t += multiply_few(&a, type, tokens - t);
        }
    }
    add_across(s->few[0][0], tokens, s->y[0]);
    linear_store_rows(job, row, last - row, first, tokens, s->y[0]);
}

/* --- many tokens --- */

typedef struct tile {
    const float *w, *x; /* of one part, [count][16 rows]; tokens x_stride floats apart */
    size_t x_stride;
    int64_t count;
    const float *from, *plus; /* [tokens][16 rows]: what to begin with, what to add last, or NULL */
    float *to;
} tile;

INLINE void multiply_column(int tokens, const float *w, const float *x, size_t x_stride,
                            __m256 y[][2])
{
    const __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const __m256 v = _mm256_broadcast_ss(x + (size_t)t * x_stride);
        y[t][0] = _mm256_fmadd_ps(w0, v, y[t][0]);
        y[t][1] = _mm256_fmadd_ps(w1, v, y[t][1]);
    }
}

INLINE void multiply(const tile *a, int tokens)
{
    enum { STEP = 4 };
    const float *w = a->w, *x = a->x;
    __m256 y[TOKENS][2];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++) y[t][v] =
        a->from ? _mm256_load_ps(a->from + t * ROWS + 8 * v) : _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + STEP <= a->count; i += STEP, w += STEP * ROWS, x += STEP) {
        UNROLL for (int j = 0; j < STEP; j++)
        {
            multiply_column(tokens, w + j * ROWS, x + j, a->x_stride, y);
            FENCE;
        }
    }
    for (; i < a->count; i++, w += ROWS, x++)
        multiply_column(tokens, w, x, a->x_stride, y);
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++)
    {
        if (a->plus)
            y[t][v] = _mm256_add_ps(_mm256_load_ps(a->plus + t * ROWS + 8 * v), y[t][v]);
        _mm256_store_ps(a->to + t * ROWS + 8 * v, y[t][v]);
    }
}

static int multiply_some(const tile *a, int64_t tokens)
{
    if (tokens >= 6)
        return multiply(a, 6), 6;
    if (tokens >= 4)
        return multiply(a, 4), 4;
    if (tokens >= 2)
        return multiply(a, 2), 2;
    return multiply(a, 1), 1;
}

/* At most 16 rows. */
static void many_tokens(const linear_job *job, int64_t row, int64_t last, const int64_t part[4],
                        workspace *s, float *w)
{
    const int64_t first = part[2], tokens = part[3] - part[2],
                  length = linear_part_length(job->args.k);
    linear_pack_floats_avx2(job, row, last, s->rows, w);
    for (int j = 0; j < LANES; j++)
        for (int64_t at = 0, count; at < length; at += count) {
            count = ADZE_MIN(length - at, CHUNK);
            const bool finished = at + count == length;
            for (int64_t t = 0; t < tokens;) {
                const tile a = {.w = w + (j * length + at) * ROWS,
                                .x = linear_spread_row(job, first + t) + j * length + at,
                                .x_stride = job->record_size / sizeof(float),
                                .count = count,
                                .from = at ? s->sums[t] : NULL,
                                .plus = finished && j > 0 ? s->y[t] : NULL,
                                .to = finished ? s->y[t] : s->sums[t]};
                t += multiply_some(&a, tokens - t);
            }
        }
    linear_store_rows(job, row, last - row, first, tokens, s->y[0]);
}

/* --- the whole --- */

void linear_floats_avx2(const linear_job *job, const int64_t part[4], void *scratch)
{
    const adze_dtype dtype = job->args.dtype;
    const kind type = dtype == ADZE_F16 ? F16 : dtype == ADZE_BF16 ? BF16 : F32;
    workspace *s = scratch;
    float *panel = (float *)(void *)(s + 1);
    for (int64_t row = part[0]; row < part[1]; row += ROWS)
        if (job->record_size == 0)
            few_tokens(job, type, row, ADZE_MIN(row + ROWS, part[1]), part, s);
        else
            many_tokens(job, row, ADZE_MIN(row + ROWS, part[1]), part, s, panel);
}

/* Rows a multiple of 4096 bytes apart would share few sets of the cache. */
size_t linear_float_record_avx2(int64_t tokens, int64_t k)
{
    const size_t bytes = (size_t)linear_part_length(k) * LANES * sizeof(float);
    return tokens <= FEW ? 0 : linear_round_up(bytes) + 64;
}

size_t linear_float_worker_avx2(int64_t k)
{
    return sizeof(workspace) +
           linear_round_up((size_t)linear_part_length(k) * LANES * ROWS * sizeof(float));
}
