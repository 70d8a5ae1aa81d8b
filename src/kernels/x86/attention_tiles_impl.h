/* Attention in register tiles, for any vector of LANES floats. A score is LANES chains of products (chain l
 * takes the numbers l, l + LANES, ... of the key), added by halves: l to l + LANES / 2, and so on. That
 * order can be had in two ways, and both give the same bits:
 *   few rows   the keys as they lie, a vector along the key, halves added within the register;
 *   many rows  the chunk's keys turned once into float columns, vectors across keys, chain after chain.
 * Weighted values are one chain in the order of keys, in both.
 *
 * The file of a level defines, then includes this: LANES, LEVELS (2^LEVELS = LANES), vec with its vec_
 * functions, vec_load_half, vec_mul, vec_store, and vec_sum_4(a, b, c, d, to), which writes four sums by
 * halves. */
#include <immintrin.h>
#include "kernels/attention_impl.h"
#include "kernels/x86/tile_impl.h"

enum { FEW_ROWS = 8, ROWS = 6, PAIR = 2 };

typedef struct work {
    const adze_attention_args *a;
    const adze_attention_block *b;
    int64_t group, rows;
    int64_t dp, vp; /* d and dv, rounded up to vectors */
    int64_t stride; /* of acc */
    bool few, half;
    float *scores;  /* [rows, CHUNK] */
    float *factors; /* [rows]: what acc is still to be multiplied by */
    float *q;       /* many rows: [rows, dp], numbers in the order of chains */
    float *columns; /* many rows: keys [dp, CHUNK], numbers in the order of chains */
    float *values;  /* many rows: [CHUNK, vp] */
} work;

static inline int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Number i of a key stands at place_of(i) in the order of chains: chains whose numbers differ in high bits
 * only come one after the other, as they are to be added. */
static inline int64_t place_of(int64_t i, int64_t dp)
{
    int64_t lane = i % LANES, reversed = 0;
    for (int bit = 0; bit < LEVELS; bit++)
        reversed |= (lane >> bit & 1) << (LEVELS - 1 - bit);
    return reversed * (dp / LANES) + i / LANES;
}

static inline const char *key_at(const work *w, const void *base, int64_t d, int64_t key)
{
    const int64_t at = (key * w->a->kv_heads + w->b->kv_head) * d;
    return (const char *)base + (size_t)at * (w->half ? 2 : 4);
}

INLINE vec load_numbers(const bool half, const char *from, int64_t i)
{
    return half ? vec_load_half((const uint16_t *)(const void *)from + i)
                : vec_load((const float *)(const void *)from + i);
}

/* Eight numbers from i on, zeros past `count`. */
INLINE __m256 load_8(const bool half, const char *from, int64_t i, int64_t count)
{
    uint16_t h[8] = {0};
    float f[8] = {0};
    const int64_t left = count - i;
    if (half) {
        const uint16_t *x = (const uint16_t *)(const void *)from + i;
        if (left < 8)
            x = memcpy(h, x, (size_t)left * sizeof *h);
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)x));
    }
    const float *x = (const float *)(const void *)from + i;
    if (left < 8)
        x = memcpy(f, x, (size_t)left * sizeof *f);
    return _mm256_loadu_ps(x);
}

/* ---- turning and converting, for many rows ---- */

INLINE void turn_8(__m256 *r)
{
    __m256 a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
            b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
        }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

/* Keys begin .. end - 1 of the chunk (begin a multiple of 8) to columns; past the end the last key again. */
INLINE void turn_keys(const bool half, const work *w, int64_t key, int begin, int end)
{
    const int64_t d = w->a->d;
    const char *from[8];
    for (int j = begin; j < end; j += 8) {
        for (int r = 0; r < 8; r++)
            from[r] = key_at(w, w->a->k, d, key + ADZE_MIN(j + r, end - 1));
        for (int64_t i = 0; i < w->dp; i += 8) {
            __m256 v[8];
            UNROLL
            for (int r = 0; r < 8; r++)
                v[r] = i < d ? load_8(half, from[r], i, d) : _mm256_setzero_ps();
            turn_8(v);
            for (int r = 0; r < 8; r++)
                _mm256_storeu_ps(w->columns + place_of(i + r, w->dp) * CHUNK + j, v[r]);
        }
    }
}

INLINE void convert_values(const bool half, const work *w, int64_t key, int begin, int end)
{
    const int64_t dv = w->a->dv;
    for (int j = begin; j < end; j++) {
        const char *from = key_at(w, w->a->v, dv, key + j);
        for (int64_t i = 0; i < w->vp; i += 8)
            _mm256_storeu_ps(w->values + j * w->vp + i,
                             i < dv ? load_8(half, from, i, dv) : _mm256_setzero_ps());
    }
}

static void convert_half(const work *w, int64_t key, int begin, int end)
{
    turn_keys(true, w, key, begin & ~7, end);
    convert_values(true, w, key, begin, end);
}

static void convert_float(const work *w, int64_t key, int begin, int end)
{
    turn_keys(false, w, key, begin & ~7, end);
    convert_values(false, w, key, begin, end);
}

static const float *query(const work *w, int64_t row)
{
    const int64_t token = w->b->token + row / w->group;
    const int64_t head = w->b->kv_head * w->group + row % w->group;
    return w->a->q + (token * w->a->heads + head) * w->a->d;
}

static void order_queries(const work *w)
{
    for (int64_t row = 0; row < w->rows; row++) {
        const float *from = query(w, row);
        float *to = w->q + row * w->dp;
        for (int64_t i = 0; i < w->dp; i++)
            to[place_of(i, w->dp)] = i < w->a->d ? from[i] : 0;
    }
}

/* ---- scores, many rows: R rows by a pair of vectors of keys ---- */

INLINE void score_columns(const int R, const work *w, int64_t row, int j)
{
    const float *q = w->q + row * w->dp, *column = w->columns + j;
    const int64_t steps = w->dp / LANES, dp = w->dp;
    vec part[LEVELS + 1][ROWS][PAIR];
    for (int chain = 0; chain < LANES; chain++) {
        vec sum[ROWS][PAIR];
        UNROLL
        for (int r = 0; r < R; r++)
            sum[r][0] = sum[r][1] = vec_set1(0);
        for (int64_t s = 0; s < steps; s++, q++, column += CHUNK) {
            const vec k0 = vec_load(column), k1 = vec_load(column + LANES);
            UNROLL
            for (int r = 0; r < R; r++) {
                const vec left = vec_set1(q[r * dp]);
                sum[r][0] = vec_fma(left, k0, sum[r][0]);
                sum[r][1] = vec_fma(left, k1, sum[r][1]);
            }
        }
        int level = 0;
        for (; chain >> level & 1; level++) {
            UNROLL
            for (int r = 0; r < R; r++) {
                sum[r][0] = vec_add(part[level][r][0], sum[r][0]);
                sum[r][1] = vec_add(part[level][r][1], sum[r][1]);
            }
        }
        UNROLL
        for (int r = 0; r < R; r++) {
            part[level][r][0] = sum[r][0];
            part[level][r][1] = sum[r][1];
        }
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        float *to = w->scores + (row + r) * CHUNK + j;
        vec_store(to, part[LEVELS][r][0]);
        vec_store(to + LANES, part[LEVELS][r][1]);
    }
}

/* ---- scores, few rows: R rows by four keys ---- */

INLINE void score_keys(const int R, const bool half, const work *w, int64_t row, int64_t key, int j,
                       int end)
{
    const char *k[4];
    const float *q[3];
    vec sum[3][4];
    UNROLL
    for (int i = 0; i < 4; i++)
        k[i] = key_at(w, w->a->k, w->a->d, key + ADZE_MIN(j + i, end - 1));
    UNROLL
    for (int r = 0; r < R; r++) {
        q[r] = query(w, row + r);
        UNROLL
        for (int i = 0; i < 4; i++)
            sum[r][i] = vec_set1(0);
    }
    for (int64_t at = 0; at < w->dp; at += LANES) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            const vec right = load_numbers(half, k[i], at);
            UNROLL
            for (int r = 0; r < R; r++)
                sum[r][i] = vec_fma(vec_load(q[r] + at), right, sum[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < R; r++)
        vec_sum_4(sum[r][0], sum[r][1], sum[r][2], sum[r][3], w->scores + (row + r) * CHUNK + j);
}

/* ---- weighted values: R rows by V vectors, keys [begin, end) of the chunk ---- */

INLINE void add_values(const int R, const int V, const bool half, const work *w, int64_t row,
                       const char *values, int64_t step, int64_t at, int begin, int end)
{
    float *acc = w->b->acc + row * w->stride + at;
    const float *p = w->scores + row * CHUNK;
    vec sum[ROWS][8];
    UNROLL
    for (int r = 0; r < R; r++) {
        const vec factor = vec_set1(w->factors[row + r]);
        UNROLL
        for (int v = 0; v < V; v++)
            sum[r][v] = vec_mul(vec_load(acc + r * w->stride + v * LANES), factor);
    }
    values += begin * step;
    for (int j = begin; j < end; j++, values += step) {
        vec right[8];
        UNROLL
        for (int v = 0; v < V; v++)
            right[v] = load_numbers(half, values, at + v * LANES);
        UNROLL
        for (int r = 0; r < R; r++) {
            const vec left = vec_set1(p[r * CHUNK + j]);
            UNROLL
            for (int v = 0; v < V; v++)
                sum[r][v] = vec_fma(left, right[v], sum[r][v]);
        }
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++)
            vec_store(acc + r * w->stride + v * LANES, sum[r][v]);
    }
}

/* All vectors of R rows. */
INLINE void add_all(const int R, const int V, const bool half, const work *w, int64_t row,
                    const char *values, int64_t step, int begin, int end)
{
    int64_t at = 0;
    for (; at + V * LANES <= w->vp; at += V * LANES)
        add_values(R, V, half, w, row, values, step, at, begin, end);
    for (; at < w->vp; at += LANES)
        add_values(R, 1, half, w, row, values, step, at, begin, end);
    for (int r = 0; r < R; r++)
        w->factors[row + r] = 1;
}

/* ---- one chunk ---- */

typedef struct chunk {
    int64_t key;
    const char *values;
    int64_t step; /* bytes from one value to the next */
} chunk;

/* What row `row` sees of the chunk. */
static inline void seen_of(const work *w, int64_t row, int64_t key, int *begin, int *end)
{
    const key_range r =
        keys_seen(w->a, w->b->token + row / w->group, key, ADZE_MIN(key + CHUNK, w->b->last));
    *begin = (int)(r.begin - key);
    *end = (int)(r.end - key);
}

/* The keys that any (or, `all`, each) of some rows sees; false: none. */
static bool seen_of_rows(const work *w, int64_t row, int64_t rows, int64_t key, bool all,
                         int *begin, int *end)
{
    *begin = all ? 0 : CHUNK;
    *end = all ? CHUNK : 0;
    for (int64_t r = row; r < row + rows; r++) {
        int b, e;
        seen_of(w, r, key, &b, &e);
        if (b >= e && !all)
            continue;
        *begin = all == (b > *begin) ? b : *begin;
        *end = all == (e < *end) ? e : *end;
    }
    return *begin < *end;
}

#define CASE(fn, R, ...)                                                                           \
    case R: fn(R, __VA_ARGS__); break;

static void score_tile(const work *w, int rows, int64_t row, int64_t key, int begin, int end)
{
    if (!w->few) {
        for (int j = begin / (PAIR * LANES) * (PAIR * LANES); j < end; j += PAIR * LANES)
            switch (rows) {
                CASE(score_columns, 1, w, row, j)
                CASE(score_columns, 2, w, row, j)
                CASE(score_columns, 3, w, row, j)
                CASE(score_columns, 4, w, row, j)
                CASE(score_columns, 5, w, row, j)
                CASE(score_columns, 6, w, row, j)
            }
        return;
    }
    for (int j = begin & ~3; j < end; j += 4)
        switch (rows + (w->half ? 3 : 0)) {
        case 1: score_keys(1, false, w, row, key, j, end); break;
        case 2: score_keys(2, false, w, row, key, j, end); break;
        case 3: score_keys(3, false, w, row, key, j, end); break;
        case 4: score_keys(1, true, w, row, key, j, end); break;
        case 5: score_keys(2, true, w, row, key, j, end); break;
        case 6: score_keys(3, true, w, row, key, j, end); break;
        }
}

static void add_tile(const work *w, const chunk *c, int rows, int64_t row, int begin, int end)
{
    if (begin >= end)
        return;
    if (!w->few) {
        switch (rows) {
            CASE(add_all, 1, 8, false, w, row, c->values, c->step, begin, end)
            CASE(add_all, 2, 4, false, w, row, c->values, c->step, begin, end)
            CASE(add_all, 3, 4, false, w, row, c->values, c->step, begin, end)
            CASE(add_all, 4, 2, false, w, row, c->values, c->step, begin, end)
            CASE(add_all, 5, 2, false, w, row, c->values, c->step, begin, end)
            CASE(add_all, 6, 2, false, w, row, c->values, c->step, begin, end)
        }
        return;
    }
    switch (rows + (w->half ? 3 : 0)) {
    case 1: add_all(1, 8, false, w, row, c->values, c->step, begin, end); break;
    case 2: add_all(2, 4, false, w, row, c->values, c->step, begin, end); break;
    case 3: add_all(3, 4, false, w, row, c->values, c->step, begin, end); break;
    case 4: add_all(1, 8, true, w, row, c->values, c->step, begin, end); break;
    case 5: add_all(2, 4, true, w, row, c->values, c->step, begin, end); break;
    case 6: add_all(3, 4, true, w, row, c->values, c->step, begin, end); break;
    }
}

/* Scores to weights; a row that sees nothing here is left as it is. */
static void weigh_rows(const work *w, int rows, int64_t row, int64_t key)
{
    const adze_attention_args *a = w->a;
    for (int64_t r = row; r < row + rows; r++) {
        const int64_t token = w->b->token + r / w->group;
        chunk_row c = {.scale = a->scale,
                       .softcap = a->softcap,
                       .position = a->positions ? a->positions[token] : token,
                       .key = key};
        if (a->slopes)
            c.slope = a->slopes[w->b->kv_head * w->group + r % w->group];
        seen_of(w, r, key, &c.begin, &c.end);
        if (c.begin < c.end)
            w->factors[r] = weigh_chunk(&c, w->scores + r * CHUNK, &w->b->max[r], &w->b->sum[r]);
    }
}

/* The keys that all rows of a tile see in one go; those at the ends row by row. */
static void tile_chunk(const work *w, const chunk *c, int rows, int64_t row)
{
    int begin, end;
    if (!seen_of_rows(w, row, rows, c->key, false, &begin, &end))
        return;
    score_tile(w, rows, row, c->key, begin, end);
    weigh_rows(w, rows, row, c->key);
    const bool common = seen_of_rows(w, row, rows, c->key, true, &begin, &end);
    for (int64_t r = row; r < row + rows; r++) {
        int b, e;
        seen_of(w, r, c->key, &b, &e);
        add_tile(w, c, 1, r, b, common ? begin : e);
    }
    if (!common)
        return;
    add_tile(w, c, rows, row, begin, end);
    for (int64_t r = row; r < row + rows; r++) {
        int b, e;
        seen_of(w, r, c->key, &b, &e);
        add_tile(w, c, 1, r, end, e);
    }
}

static void block_chunk(const work *w, int64_t key)
{
    int begin, end;
    if (!seen_of_rows(w, 0, w->rows, key, false, &begin, &end))
        return;
    const adze_attention_args *a = w->a;
    chunk c = {.key = key, .values = key_at(w, a->v, a->dv, key)};
    c.step = a->kv_heads * a->dv * (w->half ? 2 : 4);
    if (!w->few) {
        (w->half ? convert_half : convert_float)(w, key, begin, end);
        c.values = (const char *)w->values;
        c.step = w->vp * (int64_t)sizeof(float);
    }
    adze_cut cut = adze_cut_rows(0, w->rows, 0, w->few ? 3 : ROWS);
    while (cut.row < w->rows) {
        const int64_t row = cut.row;
        tile_chunk(w, &c, (int)adze_cut_next(&cut), row);
    }
}

static size_t block_scratch(const adze_attention_args *a, int64_t rows)
{
    const int64_t dp = round_up(a->d, LANES), vp = round_up(a->dv, LANES);
    return (size_t)(rows * (CHUNK + dp) + (dp + vp) * CHUNK + round_up(rows, 16)) * sizeof(float);
}

static void block(const adze_attention_block *b)
{
    const adze_attention_args *a = b->args;
    work w = {.a = a,
              .b = b,
              .group = a->heads / a->kv_heads,
              .rows = rows_of(b),
              .dp = round_up(a->d, LANES),
              .vp = round_up(a->dv, LANES),
              .stride = adze_attention_stride(a->dv),
              .half = a->dtype == ADZE_F16,
              .scores = b->scratch};
    w.few = w.rows <= FEW_ROWS && w.dp == a->d && w.vp == a->dv;
    w.columns = w.scores + w.rows * CHUNK;
    w.values = w.columns + w.dp * CHUNK;
    w.factors = w.values + w.vp * CHUNK;
    w.q = w.factors + round_up(w.rows, 16);
    if (!w.few)
        order_queries(&w);
    memset(b->acc, 0, (size_t)(w.rows * w.stride) * sizeof(float));
    for (int64_t r = 0; r < w.rows; r++) {
        b->max[r] = -INFINITY;
        b->sum[r] = 0;
        w.factors[r] = 1;
    }
    for (int64_t key = b->first; key < b->last; key += CHUNK)
        block_chunk(&w, key);
}
