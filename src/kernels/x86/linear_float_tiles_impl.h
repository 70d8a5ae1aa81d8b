/* Products of language models whose weights are floats, for any vector of whole rows: its lanes are the
 * eight interleaved sums over k of one row, or of several. A tile of some rows and tokens stays in
 * registers; rows of w are converted as they are read. Where there are many tokens, part of the columns of
 * a block of rows is copied close together (rows a power of two apart would share few sets of the
 * caches) and stays in the second cache while a block of tokens passes, whose x stays in the first.
 *
 * The file of a level defines, then includes this: vec, VEC_ROWS, HIGH (vectors of a tile), WIDE (tokens
 * of a tile), vec_load_w(type, rows, at) of VEC_ROWS rows, vec_load_x(x), vec_load(sums), vec_store(sums,
 * v), vec_zero(), vec_fma(a, b, c), and MULTIPLY_SOME, which picks multiply_rows of a constant number of
 * tokens. */

enum {
    TILE_ROWS = HIGH * VEC_ROWS,
    BLOCK_ROWS = 64,
    TOKEN_SUMS = BLOCK_ROWS + TILE_ROWS,
    BLOCK_TOKENS = 96,
    CHUNK_BYTES = 4096 /* of a row */
};

typedef struct workspace {
    _Alignas(64) float sums[BLOCK_TOKENS][TOKEN_SUMS][8];
    _Alignas(64) uint8_t w[BLOCK_ROWS][CHUNK_BYTES + 64];
} workspace;

typedef struct tile {
    const uint8_t *w[TILE_ROWS];
    const float *x; /* rows ldx apart */
    int64_t ldx, k;
    float (*sums)[8]; /* of each of the tokens, TOKEN_SUMS apart, at the first row */
    bool first;       /* they begin at zero */
} tile;

/* Eight elements of each row, from byte `at` on. */
INLINE void add_products(linear_float type, int tokens, const uint8_t *const *rows, size_t at,
                         const float *x, int64_t ldx, vec sum[HIGH][WIDE])
{
    vec v[WIDE];
    UNROLL for (int t = 0; t < tokens; t++) v[t] = vec_load_x(x + t * ldx);
    UNROLL for (int r = 0; r < HIGH; r++)
    {
        const vec w = vec_load_w(type, rows + r * VEC_ROWS, at);
        UNROLL for (int t = 0; t < tokens; t++) sum[r][t] = vec_fma(w, v[t], sum[r][t]);
    }
}

/* The last elements of rows, then zeros. */
INLINE void add_tail(const tile *a, linear_float type, int tokens, int64_t at, vec sum[HIGH][WIDE])
{
    uint8_t copies[TILE_ROWS][32] = {{0}};
    float tail[WIDE][8] = {{0}};
    const uint8_t *rows[TILE_ROWS];
    const size_t count = (size_t)(a->k - at), size = (size_t)linear_float_size(type);
    for (int r = 0; r < TILE_ROWS; r++) {
        memcpy(copies[r], a->w[r] + (size_t)at * size, count * size);
        rows[r] = copies[r];
    }
    for (int t = 0; t < tokens; t++)
        memcpy(tail[t], a->x + t * a->ldx + at, count * sizeof(float));
    add_products(type, tokens, rows, 0, tail[0], 8, sum);
}

/* A single token takes as long as its weights take to come: the tile that follows is asked for beside
 * elements [at, at + 8) of this one. */
INLINE void prefetch_next(const tile *a, linear_float type, int64_t at)
{
    const int64_t stride = a->w[TILE_ROWS - 1] - a->w[TILE_ROWS - 2];
    const uint8_t *next = a->w[0] + TILE_ROWS * (stride + at * linear_float_size(type));
    UNROLL for (int i = 0; i < 8 * TILE_ROWS * linear_float_size(type); i += 64)
        _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

INLINE void multiply_rows(const tile *a, linear_float type, int tokens)
{
    vec sum[HIGH][WIDE];
    UNROLL for (int r = 0; r < HIGH; r++) UNROLL for (int t = 0; t < tokens; t++) sum[r][t] =
        a->first ? vec_zero() : vec_load(a->sums[t * TOKEN_SUMS + r * VEC_ROWS]);
    int64_t i = 0;
    for (; i + 8 <= a->k; i += 8) {
        if (tokens == 1)
            prefetch_next(a, type, i);
        add_products(type, tokens, a->w, (size_t)(i * linear_float_size(type)), a->x + i, a->ldx,
                     sum);
    }
    if (i < a->k)
        add_tail(a, type, tokens, i, sum);
    UNROLL for (int r = 0; r < HIGH; r++) UNROLL for (int t = 0; t < tokens; t++)
        vec_store(a->sums[t * TOKEN_SUMS + r * VEC_ROWS], sum[r][t]);
}

/* At most `tokens` tokens; says how many. */
static int multiply_some(const tile *a, linear_float type, int64_t tokens)
{
    if (type == LINEAR_F16)
        return MULTIPLY_SOME(LINEAR_F16);
    if (type == LINEAR_BF16)
        return MULTIPLY_SOME(LINEAR_BF16);
    return MULTIPLY_SOME(LINEAR_F32);
}

/* y[0, rows) from the eight sums of each; rows beyond are read and their sums dropped. */
static void add_across(const float sums[][8], int64_t rows, const float *bias, float *y)
{
    for (int64_t r = 0; r < rows; r += 8) {
        __m256i lane[8];
        transpose_8x8(sums[r], sizeof sums[r], lane);
        __m256 sum = _mm256_castsi256_ps(lane[0]);
        UNROLL for (int j = 1; j < 8; j++) sum = _mm256_add_ps(sum, _mm256_castsi256_ps(lane[j]));
        if (rows - r >= 8) {
            if (bias)
                sum = _mm256_add_ps(sum, _mm256_loadu_ps(bias + r));
            _mm256_storeu_ps(y + r, sum);
            continue;
        }
        float some[8];
        _mm256_storeu_ps(some, sum);
        for (int64_t i = 0; i < rows - r; i++)
            y[r + i] = bias ? some[i] + bias[r + i] : some[i];
    }
}

typedef struct block {
    int64_t row, rows, token, tokens; /* at most BLOCK_ROWS, BLOCK_TOKENS */
} block;

/* Asks for part `i` of `parts` of the x of some tokens, that they are there when their turn comes. */
INLINE void prefetch_x(const float *x, int64_t ldx, int64_t tokens, int64_t count, int64_t i,
                       int64_t parts)
{
    const int64_t first = count * i / parts, last = count * (i + 1) / parts;
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t k = first; k < last; k += 16)
            _mm_prefetch((const char *)(x + t * ldx + k), _MM_HINT_T1);
}

/* Columns [at, at + count) for all of a block; those of w are `stride` bytes apart. */
static void add_columns(const linear_job *job, const block *b, int64_t at, int64_t count,
                        const uint8_t *w, size_t stride, workspace *s)
{
    const adze_linear_args *args = &job->args;
    const linear_float type = linear_float_of(args->dtype);
    for (int64_t t = 0, done = 1; t < b->tokens; t += done)
        for (int64_t r = 0; r < b->rows; r += TILE_ROWS) {
            tile a = {.x = args->x + (b->token + t) * args->ldx + at,
                      .ldx = args->ldx,
                      .k = count,
                      .sums = &s->sums[t][r],
                      .first = at == 0};
            for (int i = 0; i < TILE_ROWS; i++) /* the last row again where there are no more */
                a.w[i] = w + (size_t)ADZE_MIN(r + i, b->rows - 1) * stride;
            const int64_t next = ADZE_MIN(t + WIDE, b->tokens);
            prefetch_x(a.x + (next - t) * args->ldx, args->ldx, ADZE_MIN(WIDE, b->tokens - next),
                       count, r, b->rows);
            done = multiply_some(&a, type, b->tokens - t);
        }
}

static void copy_columns(const linear_job *job, const block *b, size_t at, size_t bytes,
                         workspace *s)
{
    for (int64_t r = 0; r < b->rows; r++)
        memcpy(s->w[r], linear_row(job, b->row + r) + at, bytes);
}

static void multiply_block(const linear_job *job, const block *b, bool first, workspace *s)
{
    const adze_linear_args *args = &job->args;
    const int64_t size = linear_float_size(linear_float_of(args->dtype));
    const int64_t chunk = CHUNK_BYTES / size;
    if (job->all_tokens <= WIDE)
        add_columns(job, b, 0, args->k, linear_row(job, b->row), args->w_stride, s);
    for (int64_t at = 0; job->all_tokens > WIDE && (at == 0 || at < args->k); at += chunk) {
        const int64_t count = ADZE_MIN(chunk, args->k - at);
        if (first || args->k > chunk)
            copy_columns(job, b, (size_t)(at * size), (size_t)(count * size), s);
        add_columns(job, b, at, count, s->w[0], sizeof s->w[0], s);
    }
    for (int64_t t = 0; t < b->tokens; t++)
        add_across((const float(*)[8])s->sums[t], b->rows, args->bias ? args->bias + b->row : NULL,
                   args->y + (b->token + t) * args->ldy + b->row);
}

static void floats(const linear_job *job, const int64_t part[4], void *scratch)
{
    for (int64_t row = part[0]; row < part[1]; row += BLOCK_ROWS)
        for (int64_t t = part[2]; t < part[3]; t += BLOCK_TOKENS) {
            const block b = {row, ADZE_MIN(BLOCK_ROWS, part[1] - row), t,
                             ADZE_MIN(BLOCK_TOKENS, part[3] - t)};
            multiply_block(job, &b, t == part[2], scratch);
        }
}
