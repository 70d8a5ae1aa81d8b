/* Attention in register tiles, for any vector of LANES floats. A score is LANES chains of products (chain l
 * takes the numbers l, l + LANES, ... of the key), added by halves: l to l + LANES / 2, and so on. That
 * order can be had in two ways, and both give the same bits:
 *   few rows   the keys as they lie, a vector along the key, halves added within the register;
 *   many rows  the chunk's keys turned once into float columns, vectors across keys, chain after chain.
 * Weighted values are one chain in the order of keys, in both. Many rows go slice by slice (a pair of
 * vectors of keys, or of the numbers of a value), which stays in the first cache for all of them.
 *
 * The file of a level defines, then includes this: LANES, LEVELS (2^LEVELS = LANES), vec with its vec_
 * functions, vec_load_half, vec_mul, vec_sub, vec_store, vec_greatest and vec_total (of all lanes, by
 * halves), vec_times_power (y * 2^n, n in the low bits of a float), vec_zero_below (0 for y where x is
 * below a limit), vec_between (x in lanes begin .. end - 1, else -inf), and vec_total_4(a, b, c, d, to),
 * which writes four totals. */
#include <immintrin.h>
#include "kernels/attention_impl.h"
#include "kernels/x86/tile_impl.h"

enum { FEW_ROWS = 8, ROWS = 6, HALF_ROWS = 3, SLICE = 2 * LANES, FETCH = 64 };

/* Keys of the chunk at hand, counted from its first. */
typedef struct seen {
    int begin, end;
} seen;

/* Rows that go through the registers together: the keys that any of them sees, and that all of them see. */
typedef struct tile {
    int64_t row;
    int rows;
    seen any, all;
} tile;

typedef struct work {
    const adze_attention_args *a;
    const adze_attention_block *b;
    int64_t group, rows, tile_count;
    int64_t dp, vp; /* d rounded up to vectors, dv to slices */
    int64_t stride; /* of acc */
    int64_t key;    /* first of the chunk */
    int64_t step;   /* bytes from one value to the next */
    bool few, half;
    float *scores;  /* [rows, CHUNK] */
    float *q;       /* many rows: [rows, dp], numbers in the order of chains */
    float *columns; /* many rows: keys [CHUNK / SLICE, dp, SLICE], numbers in the order of chains */
    float *values;  /* many rows: [vp / SLICE, CHUNK, SLICE] */
    tile *tiles;    /* [tile_count] */
    seen *seen;     /* [rows] */
} work;

static inline int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Where chain `lane` stands among the chains: those that differ in high bits only come one after the other,
 * as they are to be added. */
static inline int64_t chain_of(int lane)
{
    static const uint8_t reversed[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    return reversed[lane] >> (4 - LEVELS);
}

static inline const char *at_key(const work *w, const void *base, int64_t d, int64_t key)
{
    const int64_t at = (key * w->a->kv_heads + w->b->kv_head) * d;
    return (const char *)base + (size_t)at * (w->half ? 2 : 4);
}

/* Rows key .. key + count - 1, as far as there are keys, come into the first cache. An instruction by hand:
 * gcc takes loops of the intrinsic for empty. */
INLINE void fetch(const work *w, const void *base, int64_t d, int64_t key, int64_t count)
{
    const int64_t bytes = d * (w->half ? 2 : 4), step = w->a->kv_heads * bytes;
    const char *row = at_key(w, base, d, key);
    const char *end = row + ADZE_MIN(count, w->a->keys - key) * step;
    for (; row < end; row += step)
        for (int64_t i = 0; i < bytes; i += FETCH)
            __asm__ volatile("prefetcht0 %0" ::"m"(row[i]));
}

INLINE vec load_numbers(const bool half, const char *from, int64_t i)
{
    return half ? vec_load_half((const uint16_t *)(const void *)from + i)
                : vec_load((const float *)(const void *)from + i);
}

/* ---- turning and converting, for many rows ---- */

INLINE __m256 load_8(const bool half, const char *from, int64_t i)
{
    return half ? _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + 2 * i)))
                : _mm256_loadu_ps((const float *)(const void *)from + i);
}

/* The same with zeros past `count`. */
INLINE __m256 load_8_of(const bool half, const char *from, int64_t i, int64_t count)
{
    const size_t size = half ? 2 : 4;
    float room[8] = {0};
    if (i < count)
        memcpy(room, from + (size_t)i * size, (size_t)ADZE_MIN(count - i, 8) * size);
    return load_8(half, (const char *)room, 0);
}

INLINE void turn_8(__m256 *r)
{
    __m256 a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i++) { /* rows 4 i .. of the first two, then of the last two columns */
        const int from = i / 4 * 4 + i % 2;
        b[i] = i / 2 % 2 ? _mm256_shuffle_ps(a[from], a[from + 2], 0xee)
                         : _mm256_shuffle_ps(a[from], a[from + 2], 0x44);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        const int from = i % 2 * 2 + i / 2;
        r[i] = _mm256_permute2f128_ps(b[from], b[from + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[from], b[from + 4], 0x31);
    }
}

/* Keys begin .. end - 1 of the chunk (begin a multiple of 8) to columns; past the end the last key again. */
INLINE void turn_keys(const bool half, const work *w, int begin, int end)
{
    const int64_t d = w->a->d, steps = w->dp / LANES;
    const char *from[8];
    for (int j = begin; j < end; j += 8) {
        float *slice = w->columns + j / SLICE * w->dp * SLICE + j % SLICE;
        for (int r = 0; r < 8; r++)
            from[r] = at_key(w, w->a->k, d, w->key + ADZE_MIN(j + r, end - 1));
        for (int64_t i = 0; i < w->dp; i += 8) {
            __m256 v[8];
            UNROLL
            for (int r = 0; r < 8; r++)
                v[r] = i + 8 <= d ? load_8(half, from[r], i) : load_8_of(half, from[r], i, d);
            turn_8(v);
            float *to = slice + i / LANES * SLICE;
            UNROLL
            for (int r = 0; r < 8; r++)
                _mm256_storeu_ps(to + chain_of((int)(i % LANES) + r) * steps * SLICE, v[r]);
        }
    }
}

INLINE void convert_values(const bool half, const work *w, int begin, int end)
{
    const int64_t dv = w->a->dv;
    for (int j = begin; j < end; j++) {
        const char *from = at_key(w, w->a->v, dv, w->key + j);
        float *to = w->values + j * SLICE;
        for (int64_t i = 0; i < w->vp; i += 8)
            _mm256_storeu_ps(to + i / SLICE * (CHUNK * SLICE) + i % SLICE,
                             i + 8 <= dv ? load_8(half, from, i) : load_8_of(half, from, i, dv));
    }
}

static void convert_half(const work *w, int begin, int end)
{
    turn_keys(true, w, begin & ~7, end);
    convert_values(true, w, begin, end);
}

static void convert_float(const work *w, int begin, int end)
{
    turn_keys(false, w, begin & ~7, end);
    convert_values(false, w, begin, end);
}

static const float *query(const work *w, int64_t row)
{
    const int64_t token = w->b->token + row / w->group;
    const int64_t head = w->b->kv_head * w->group + row % w->group;
    return w->a->q + (token * w->a->heads + head) * w->a->d;
}

static void order_queries(const work *w)
{
    const int64_t steps = w->dp / LANES;
    for (int64_t row = 0; row < w->rows; row++) {
        const float *from = query(w, row);
        float *to = w->q + row * w->dp;
        for (int64_t i = 0; i < w->dp; i++)
            to[chain_of((int)(i % LANES)) * steps + i / LANES] = i < w->a->d ? from[i] : 0;
    }
}

/* ---- scores, many rows: R rows by a slice of keys, two chains at a time ---- */

typedef struct sums {
    vec at[HALF_ROWS][2];
} sums;

INLINE void add_sums(const int R, sums *to, const sums *from)
{
    UNROLL
    for (int r = 0; r < R; r++) {
        to->at[r][0] = vec_add(to->at[r][0], from->at[r][0]);
        to->at[r][1] = vec_add(to->at[r][1], from->at[r][1]);
    }
}

INLINE void multiply(const int R, sums *sum, const float *q, int64_t dp, const float *column)
{
    const vec k0 = vec_load(column), k1 = vec_load(column + LANES);
    UNROLL
    for (int r = 0; r < R; r++) {
        const vec left = vec_set1(q[r * dp]);
        sum->at[r][0] = vec_fma(left, k0, sum->at[r][0]);
        sum->at[r][1] = vec_fma(left, k1, sum->at[r][1]);
    }
}

INLINE void score_columns(const int R, const work *w, int64_t row, int j)
{
    const int64_t dp = w->dp, steps = dp / LANES;
    const float *q = w->q + row * dp, *column = w->columns + j * dp;
    sums part[LEVELS];
    for (int i = 0; i < LANES / 2; i++, q += steps, column += steps * SLICE) {
        sums a, b;
        UNROLL
        for (int r = 0; r < R; r++)
            a.at[r][0] = a.at[r][1] = b.at[r][0] = b.at[r][1] = vec_set1(0);
        for (int64_t s = 0; s < steps; s++, q++, column += SLICE) {
            multiply(R, &a, q, dp, column);
            multiply(R, &b, q + steps, dp, column + steps * SLICE);
        }
        add_sums(R, &a, &b);
        int level = 0;
        for (; i >> level & 1; level++)
            add_sums(R, &a, &part[level]);
        part[level] = a;
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        float *to = w->scores + (row + r) * CHUNK + j;
        vec_store(to, part[LEVELS - 1].at[r][0]);
        vec_store(to + LANES, part[LEVELS - 1].at[r][1]);
    }
}

/* ---- scores, few rows: R rows by four keys ---- */

typedef struct few_args {
    const float *q[HALF_ROWS];
    const char *k; /* first key of the chunk */
    int64_t step;  /* bytes from one key to the next */
    int64_t dp;
    float *scores; /* of the first row */
} few_args;

/* Keys j .. j + 3; past the last one that again. */
INLINE void score_keys(const int R, const bool half, const few_args *f, int64_t j, int64_t last)
{
    const char *k[4];
    vec sum[HALF_ROWS][4];
    UNROLL
    for (int i = 0; i < 4; i++)
        k[i] = f->k + ADZE_MIN(j + i, last) * f->step;
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            sum[r][i] = vec_set1(0);
    }
    for (int64_t at = 0; at < f->dp; at += LANES) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            const vec right = load_numbers(half, k[i], at);
            UNROLL
            for (int r = 0; r < R; r++)
                sum[r][i] = vec_fma(vec_load(f->q[r] + at), right, sum[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < R; r++)
        vec_total_4(sum[r][0], sum[r][1], sum[r][2], sum[r][3], f->scores + r * CHUNK + j);
}

/* ---- products to weights ---- */

/* e^x for x <= 0; what is below e^-86 is 0. */
INLINE vec exp_below(vec x)
{
    const vec limit = vec_set1(-86), magic = vec_set1(ROUND_MAGIC);
    const vec t = vec_max(limit, x); /* NaN stays */
    const vec n = vec_fma(t, vec_set1(LOG2_E), magic), k = vec_sub(magic, n);
    const vec r = vec_fma(k, vec_set1(LN_2_LO), vec_fma(k, vec_set1(LN_2_HI), t));
    vec p = vec_fma(vec_set1(1.99141723e-4f), r, vec_set1(1.39410084e-3f)); /* as in exp_tail */
    p = vec_fma(p, r, vec_set1(8.33327323e-3f));
    p = vec_fma(p, r, vec_set1(4.16663550e-2f));
    p = vec_fma(p, r, vec_set1(1.66666672e-1f));
    p = vec_fma(p, r, vec_set1(0.5f));
    p = vec_fma(vec_mul(p, r), r, r);
    return vec_zero_below(x, limit, vec_times_power(vec_add(p, vec_set1(1)), n));
}

/* Products to scores, -inf where not seen; the largest of them and of what was before. */
INLINE float finish_scores(const chunk_row *c, float *s, float before)
{
    vec most = vec_set1(before), scale = vec_set1(c->scale);
    const bool whole = c->begin == 0 && c->end == CHUNK;
    if (c->softcap > 0 || c->slope != 0) {
        score_chunk(c, s);
        scale = vec_set1(1);
    }
    for (int j = 0; j < CHUNK; j += LANES) {
        vec v = vec_mul(vec_load(s + j), scale);
        if (!whole)
            v = vec_between(v, c->begin - j, c->end - j);
        vec_store(s + j, v);
        most = vec_max(v, most);
    }
    return vec_greatest(most);
}

/* Row r: its scores, and what was summed before to be relative to the largest score now. */
static void score_row(const work *w, int64_t r)
{
    const adze_attention_args *a = w->a;
    const adze_attention_block *b = w->b;
    const int64_t token = b->token + r / w->group;
    const chunk_row c = {.scale = a->scale,
                         .softcap = a->softcap,
                         .slope = a->slopes ? a->slopes[b->kv_head * w->group + r % w->group] : 0,
                         .position = a->positions ? a->positions[token] : token,
                         .key = w->key,
                         .begin = w->seen[r].begin,
                         .end = w->seen[r].end};
    const float old = b->max[r], largest = finish_scores(&c, w->scores + r * CHUNK, old);
    if (old == largest)
        return;
    const float factor = exp_f32(old - largest);
    float *acc = b->acc + r * w->stride;
    b->max[r] = largest;
    b->sum[r] *= factor;
    for (int64_t i = 0; i < w->vp; i += LANES)
        vec_store(acc + i, vec_mul(vec_load(acc + i), vec_set1(factor)));
}

static void weigh_row(const work *w, int64_t r)
{
    float *s = w->scores + r * CHUNK;
    const vec largest = vec_set1(w->b->max[r]);
    vec total = vec_set1(0);
    for (int j = 0; j < CHUNK; j += LANES) {
        const vec p = exp_below(vec_sub(vec_load(s + j), largest));
        vec_store(s + j, p);
        total = vec_add(total, p);
    }
    w->b->sum[r] += vec_total(total);
}

/* Products to weights e^(score - max), 0 where not seen. A row that sees nothing here is left as it is. Two
 * loops, so that the processor takes several rows at once. */
static void weigh_rows(const work *w)
{
    for (int64_t r = 0; r < w->rows; r++)
        if (w->seen[r].begin < w->seen[r].end)
            score_row(w, r);
    for (int64_t r = 0; r < w->rows; r++)
        if (w->seen[r].begin < w->seen[r].end)
            weigh_row(w, r);
}

/* ---- weighted values: V vectors from number `at` on, of R rows, for some keys of the chunk ---- */

/* Of the shorter side the vectors of a key are held in registers. */
INLINE void add_values(const int R, const int V, const bool half, const work *w, int64_t row,
                       const char *values, int64_t step, int64_t at, seen keys)
{
    float *acc = w->b->acc + row * w->stride + at;
    const float *p = w->scores + row * CHUNK;
    vec sum[ROWS][8];
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++)
            sum[r][v] = vec_load(acc + r * w->stride + v * LANES);
    }
    values += keys.begin * step;
    for (int j = keys.begin; j < keys.end && V > R; j++, values += step) {
        vec left[ROWS];
        UNROLL
        for (int r = 0; r < R; r++)
            left[r] = vec_set1(p[r * CHUNK + j]);
        UNROLL
        for (int v = 0; v < V; v++) {
            const vec right = load_numbers(half, values, v * LANES);
            UNROLL
            for (int r = 0; r < R; r++)
                sum[r][v] = vec_fma(left[r], right, sum[r][v]);
        }
    }
    for (int j = keys.begin; j < keys.end && V <= R; j++, values += step) {
        vec right[8];
        UNROLL
        for (int v = 0; v < V; v++)
            right[v] = load_numbers(half, values, v * LANES);
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

/* The keys that all rows see in one go; those at the ends row by row. */
INLINE void add_tile(const int R, const int V, const bool half, const work *w, const tile *t,
                     const char *values, int64_t at)
{
    const bool common = t->all.begin < t->all.end;
    for (int64_t r = t->row; r < t->row + R; r++) {
        const seen head = {w->seen[r].begin, common ? t->all.begin : w->seen[r].end};
        if (head.begin < head.end)
            add_values(1, V, half, w, r, values, w->step, at, head);
    }
    if (!common)
        return;
    add_values(R, V, half, w, t->row, values, w->step, at, t->all);
    for (int64_t r = t->row; r < t->row + R; r++) {
        const seen tail = {t->all.end, w->seen[r].end};
        if (tail.begin < tail.end)
            add_values(1, V, half, w, r, values, w->step, at, tail);
    }
}

/* ---- one chunk ---- */

static void score_rows(const work *w, int64_t row, int64_t rows, int j)
{
    switch (rows) {
    case 1: score_columns(1, w, row, j); break;
    case 2: score_columns(2, w, row, j); break;
    case 3: score_columns(3, w, row, j); break;
    }
}

static void score_slice(const work *w, const tile *t, int j)
{
    const int64_t half = (t->rows + 1) / 2;
    score_rows(w, t->row, half, j);
    score_rows(w, t->row + half, t->rows - half, j);
}

static void add_slice(const work *w, const tile *t, int64_t at)
{
    const char *values = (const char *)(w->values + at * CHUNK);
    switch (t->rows) {
    case 1: add_tile(1, 2, false, w, t, values, at); break;
    case 2: add_tile(2, 2, false, w, t, values, at); break;
    case 3: add_tile(3, 2, false, w, t, values, at); break;
    case 4: add_tile(4, 2, false, w, t, values, at); break;
    case 5: add_tile(5, 2, false, w, t, values, at); break;
    case 6: add_tile(6, 2, false, w, t, values, at); break;
    }
}

static void many_rows(const work *w, seen any)
{
    const tile *end = w->tiles + w->tile_count;
    (w->half ? convert_half : convert_float)(w, any.begin, any.end);
    fetch(w, w->a->k, w->a->d, w->key + CHUNK, CHUNK);
    fetch(w, w->a->v, w->a->dv, w->key + CHUNK, CHUNK);
    for (int j = any.begin / SLICE * SLICE; j < any.end; j += SLICE)
        for (const tile *t = w->tiles; t < end; t++)
            if (t->any.begin < j + SLICE && t->any.end > j)
                score_slice(w, t, j);
    weigh_rows(w);
    for (int64_t at = 0; at < w->vp; at += SLICE)
        for (const tile *t = w->tiles; t < end; t++)
            add_slice(w, t, at);
}

/* What comes next is fetched meanwhile: the values while keys are read, the next keys while values are. */
INLINE void few_scores(const int R, const bool half, const work *w, const tile *t)
{
    few_args f = {.k = at_key(w, w->a->k, w->a->d, w->key),
                  .step = w->a->kv_heads * w->a->d * (half ? 2 : 4),
                  .dp = w->dp,
                  .scores = w->scores + t->row * CHUNK};
    for (int r = 0; r < R; r++)
        f.q[r] = query(w, t->row + r);
    for (int j = t->any.begin & ~3; j < t->any.end; j += 4) {
        if (t->row == 0)
            fetch(w, w->a->v, w->a->dv, w->key + j, 4);
        score_keys(R, half, &f, j, t->any.end - 1);
    }
}

INLINE void few_values(const int R, const int V, const bool half, const work *w, const tile *t)
{
    const char *values = at_key(w, w->a->v, w->a->dv, w->key);
    const int64_t blocks = ADZE_MAX(w->vp / (V * LANES), 1);
    const int64_t size = half ? 2 : 4, share = (CHUNK + blocks - 1) / blocks;
    int64_t at = 0;
    for (int64_t i = 0; at + V * LANES <= w->vp; at += V * LANES, i++) {
        if (t->row == 0)
            fetch(w, w->a->k, w->a->d, w->key + CHUNK + i * share, share);
        add_tile(R, V, half, w, t, values + at * size, at);
    }
    for (; at < w->vp; at += LANES)
        add_tile(R, 1, half, w, t, values + at * size, at);
}

static void few_rows(const work *w)
{
    for (const tile *t = w->tiles; t < w->tiles + w->tile_count; t++) {
        switch (t->rows + (w->half ? 3 : 0)) {
        case 1: few_scores(1, false, w, t); break;
        case 2: few_scores(2, false, w, t); break;
        case 3: few_scores(3, false, w, t); break;
        case 4: few_scores(1, true, w, t); break;
        case 5: few_scores(2, true, w, t); break;
        case 6: few_scores(3, true, w, t); break;
        }
    }
    weigh_rows(w);
    for (const tile *t = w->tiles; t < w->tiles + w->tile_count; t++) {
        switch (t->rows + (w->half ? 3 : 0)) {
        case 1: few_values(1, 8, false, w, t); break;
        case 2: few_values(2, 4, false, w, t); break;
        case 3: few_values(3, 4, false, w, t); break;
        case 4: few_values(1, 8, true, w, t); break;
        case 5: few_values(2, 4, true, w, t); break;
        case 6: few_values(3, 4, true, w, t); break;
        }
    }
}

/* What rows and tiles see of the chunk; what any row sees. */
static seen look(const work *w)
{
    seen whole = {CHUNK, 0};
    const int64_t last = ADZE_MIN(w->key + CHUNK, w->b->last);
    for (tile *t = w->tiles; t < w->tiles + w->tile_count; t++) {
        t->any = (seen){CHUNK, 0};
        t->all = (seen){0, CHUNK};
        for (int64_t r = t->row; r < t->row + t->rows; r++) {
            const key_range keys = keys_seen(w->a, w->b->token + r / w->group, w->key, last);
            const seen s = {(int)ADZE_MIN(keys.begin - w->key, CHUNK),
                            (int)ADZE_MAX(keys.end - w->key, 0)};
            w->seen[r] = s;
            t->all = (seen){ADZE_MAX(t->all.begin, s.begin), ADZE_MIN(t->all.end, s.end)};
            if (s.begin < s.end)
                t->any = (seen){ADZE_MIN(t->any.begin, s.begin), ADZE_MAX(t->any.end, s.end)};
        }
        whole = (seen){ADZE_MIN(whole.begin, t->any.begin), ADZE_MAX(whole.end, t->any.end)};
    }
    return whole;
}

static size_t block_scratch(const adze_attention_args *a, int64_t rows)
{
    const int64_t dp = round_up(a->d, LANES), vp = round_up(a->dv, SLICE);
    return (size_t)(rows * (CHUNK + dp) + (dp + vp) * CHUNK) * sizeof(float) +
           (size_t)rows * (sizeof(tile) + sizeof(seen));
}

static work work_of(const adze_attention_block *b)
{
    const adze_attention_args *a = b->args;
    work w = {.a = a,
              .b = b,
              .group = a->heads / a->kv_heads,
              .rows = rows_of(b),
              .dp = round_up(a->d, LANES),
              .vp = round_up(a->dv, SLICE),
              .stride = adze_attention_stride(a->dv),
              .step = SLICE * sizeof(float),
              .half = a->dtype == ADZE_F16,
              .scores = b->scratch};
    w.few = w.rows <= FEW_ROWS && w.dp == a->d && a->dv % LANES == 0;
    if (w.few) {
        w.vp = a->dv;
        w.step = a->kv_heads * a->dv * (w.half ? 2 : 4);
    }
    w.q = w.scores + w.rows * CHUNK;
    w.columns = w.q + w.rows * w.dp;
    w.values = w.columns + w.dp * CHUNK;
    w.tiles = (tile *)(void *)(w.values + round_up(a->dv, SLICE) * CHUNK);
    w.seen = (seen *)(void *)(w.tiles + w.rows);
    adze_cut cut = adze_cut_rows(0, w.rows, 0, w.few ? 3 : ROWS);
    while (cut.row < w.rows) {
        tile *t = &w.tiles[w.tile_count++];
        t->row = cut.row;
        t->rows = (int)adze_cut_next(&cut);
    }
    return w;
}

static void block(const adze_attention_block *b)
{
    work w = work_of(b);
    if (!w.few)
        order_queries(&w);
    memset(b->acc, 0, (size_t)(w.rows * w.stride) * sizeof(float));
    memset(b->sum, 0, (size_t)w.rows * sizeof(float));
    for (int64_t r = 0; r < w.rows; r++)
        b->max[r] = -INFINITY;
    for (w.key = b->first; w.key < b->last; w.key += CHUNK) {
        const seen any = look(&w);
        if (any.begin < any.end)
            w.few ? few_rows(&w) : many_rows(&w, any);
    }
}
