/* Products of language models with AVX2 whose weights become floats. The lanes are rows of w and each sum
 * runs over k in order. Many tokens: a panel of 16 rows is converted and transposed once, then multiplied
 * with tile after tile of tokens. Few tokens: the rows are transposed on their way, eight columns at a
 * time. */
#include "kernels/x86/linear_avx2_impl.h"

enum { ROWS = LINEAR_PANEL, TOKENS = 6, CHUNK = 256 };

typedef struct workspace {
    _Alignas(64) float w[CHUNK * ROWS];          /* [k][16 rows] */
    _Alignas(64) float sums[LINEAR_SLAB * ROWS]; /* [tokens][16 rows] */
    _Alignas(64) float rows[ROWS][CHUNK];
} workspace;

/* --- many tokens --- */

typedef struct tile {
    int64_t k;
    const float *w, *x;
    int64_t ldx;
    float *sums;
    bool first;
} tile;

INLINE void multiply_column(int tokens, const float *w, const float *x, int64_t ldx, __m256 y[][2])
{
    const __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const __m256 v = _mm256_broadcast_ss(x + t * ldx);
        y[t][0] = _mm256_fmadd_ps(w0, v, y[t][0]);
        y[t][1] = _mm256_fmadd_ps(w1, v, y[t][1]);
    }
}

INLINE void multiply(const tile *a, int tokens)
{
    enum { UNROLLED = 4 };
    const float *w = a->w, *x = a->x;
    __m256 y[TOKENS][2];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++) y[t][v] =
        a->first ? _mm256_setzero_ps() : _mm256_load_ps(a->sums + t * ROWS + 8 * v);
    int64_t i = 0;
    for (; i + UNROLLED <= a->k; i += UNROLLED, w += UNROLLED * ROWS, x += UNROLLED) {
        UNROLL for (int j = 0; j < UNROLLED; j++)
        {
            multiply_column(tokens, w + j * ROWS, x + j, a->ldx, y);
            FENCE;
        }
    }
    for (; i < a->k; i++, w += ROWS, x++)
        multiply_column(tokens, w, x, a->ldx, y);
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++)
        _mm256_store_ps(a->sums + t * ROWS + 8 * v, y[t][v]);
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

static void make_panel(const linear_job *job, int64_t row, int64_t last, int64_t at, int64_t count,
                       workspace *s)
{
    const adze_dtype_info *type = adze_dtype_describe(job->args.dtype);
    const size_t skip = (size_t)(at / type->block_size) * (size_t)type->block_bytes;
    for (int64_t i = 0; i < ROWS; i++)
        if (row + i < last)
            job->decode(linear_row(job, row + i) + skip, count, s->rows[i]);
        else
            memset(s->rows[i], 0, sizeof s->rows[i]);
    linear_interleave(s->rows, sizeof s->rows[0], count, 0, s->w);
}

static void panel(const linear_job *job, int64_t row, int64_t last, const int64_t part[4],
                  workspace *s)
{
    const adze_linear_args *args = &job->args;
    const int64_t first = part[2], tokens = part[3] - part[2];
    for (int64_t at = 0; at < args->k; at += CHUNK) {
        const int64_t count = ADZE_MIN(args->k - at, CHUNK);
        make_panel(job, row, last, at, count, s);
        for (int64_t t = 0; t < tokens;) {
            const tile a = {.k = count,
                            .w = s->w,
                            .x = args->x + (first + t) * args->ldx + at,
                            .ldx = args->ldx,
                            .sums = s->sums + t * ROWS,
                            .first = at == 0};
            t += multiply_some(&a, tokens - t);
        }
    }
    linear_store_rows(job, row, last - row, first, tokens, s->sums);
}

/* --- few tokens: 16 rows --- */

/* The 16-bit elements of eight columns: [column] of lanes = rows 0-3 8-11 | 4-7 12-15 (`split`: those of
 * bfloat16, where a lane's halves are told apart) or 0-7 | 8-15. */
INLINE void load_columns_16(const uint8_t *w, size_t stride, bool split, __m256i out[8])
{
    __m256i a[8], b[8];
    UNROLL for (int i = 0; i < 8; i++)
    {
        const uint8_t *low = w + (size_t)(split && i >= 4 ? i + 4 : i) * stride;
        a[i] = load_two(low, low + (split ? 4 : 8) * stride);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        b[2 * i] = _mm256_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 2; j++)
    {
        a[4 * i + 2 * j] = _mm256_unpacklo_epi32(b[4 * i + j], b[4 * i + 2 + j]);
        a[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(b[4 * i + j], b[4 * i + 2 + j]);
    }
    UNROLL for (int j = 0; j < 4; j++)
    {
        out[2 * j] = _mm256_unpacklo_epi64(a[j], a[4 + j]);
        out[2 * j + 1] = _mm256_unpackhi_epi64(a[j], a[4 + j]);
    }
}

INLINE void columns_f16(const uint8_t *w, size_t stride, int count, const float *x, __m256 y[2])
{
    __m256i v[8];
    load_columns_16(w, stride, false, v);
    UNROLL_SMALL for (int j = 0; j < count; j++)
    {
        const __m256 p = _mm256_broadcast_ss(x + j);
        y[0] = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(v[j])), p, y[0]);
        y[1] = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(v[j], 1)), p, y[1]);
    }
}

INLINE void columns_bf16(const uint8_t *w, size_t stride, int count, const float *x, __m256 y[2])
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i v[8];
    load_columns_16(w, stride, true, v);
    UNROLL_SMALL for (int j = 0; j < count; j++)
    {
        const __m256 p = _mm256_broadcast_ss(x + j);
        y[0] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, v[j])), p, y[0]);
        y[1] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, v[j])), p, y[1]);
    }
}

INLINE void columns_f32(const uint8_t *w, size_t stride, int count, const float *x, __m256 y[2])
{
    UNROLL for (int half = 0; half < 2; half++)
    {
        __m256i v[8];
        transpose_8x8(w + (size_t)(8 * half) * stride, stride, v);
        UNROLL_SMALL for (int j = 0; j < count; j++) y[half] =
            _mm256_fmadd_ps(_mm256_castsi256_ps(v[j]), _mm256_broadcast_ss(x + j), y[half]);
    }
}

/* The last columns of 16 rows, as if there were eight. */
static void copy_tail(const uint8_t *w, size_t stride, size_t bytes, uint8_t out[ROWS][32])
{
    memset(out, 0, sizeof(uint8_t[ROWS][32]));
    for (int i = 0; i < ROWS; i++)
        memcpy(out[i], w + (size_t)i * stride, bytes);
}

#define FEW(name, size)                                                                            \
    static void rows_##name(const uint8_t *w, size_t stride, int64_t k, const float *x, float *y)  \
    {                                                                                              \
        __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};                                \
        const uint8_t *next = w + ROWS * stride;                                                   \
        int64_t i = 0;                                                                             \
        for (; i + 8 <= k; i += 8, w += 8 * (size), next += ROWS * 8 * (size)) {                   \
            for (int j = 0; j < ROWS * 8 * (size); j += 64)                                        \
                _mm_prefetch((const char *)next + j, _MM_HINT_T0);                                 \
            columns_##name(w, stride, 8, x + i, sum);                                              \
        }                                                                                          \
        if (i < k) {                                                                               \
            uint8_t tail[ROWS][32];                                                                \
            copy_tail(w, stride, (size_t)(k - i) * (size), tail);                                  \
            columns_##name(tail[0], sizeof tail[0], (int)(k - i), x + i, sum);                     \
        }                                                                                          \
        _mm256_storeu_ps(y, sum[0]);                                                               \
        _mm256_storeu_ps(y + 8, sum[1]);                                                           \
    }
FEW(f16, 2)
FEW(bf16, 2)
FEW(f32, 4)

typedef void (*rows_fn)(const uint8_t *w, size_t stride, int64_t k, const float *x, float *y);

static rows_fn rows_of(adze_dtype dtype)
{
    return dtype == ADZE_F16    ? rows_f16
           : dtype == ADZE_BF16 ? rows_bf16
           : dtype == ADZE_F32  ? rows_f32
                                : NULL;
}

static int64_t few_tokens(const linear_job *job, const int64_t part[4], rows_fn rows)
{
    const adze_linear_args *args = &job->args;
    int64_t row = part[0];
    for (; row + ROWS <= part[1]; row += ROWS)
        for (int64_t t = part[2]; t < part[3]; t++) {
            float sums[ROWS];
            rows(linear_row(job, row), args->w_stride, args->k, args->x + t * args->ldx, sums);
            linear_store_rows(job, row, ROWS, t, 1, sums);
        }
    return row;
}

void linear_floats_avx2(const linear_job *job, const int64_t part[4], void *scratch)
{
    enum { FEW_TOKENS = 3 };
    const rows_fn rows = rows_of(job->args.dtype);
    int64_t row = part[0];
    if (rows && job->args.tokens <= FEW_TOKENS)
        row = few_tokens(job, part, rows);
    for (; row < part[1]; row += ROWS)
        panel(job, row, ADZE_MIN(row + ROWS, part[1]), part, scratch);
}

size_t linear_floats_scratch_avx2(void)
{
    return sizeof(workspace);
}
