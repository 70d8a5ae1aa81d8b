/* Products of language models with AVX2, for many tokens: a panel of 16 rows of w is unpacked and
 * interleaved once, then multiplied with tile after tile of tokens. The lanes of a vector are rows, so
 * that the chain of each sum is that of the reference, whatever the tile.
 *
 * Codes of q + zero <= 63 are multiplied as unsigned bytes by vpmaddubsw and summed in 16 bits. These
 * sums begin at -zero * (sum of p), so they end at the sum of q * p, which fits; in between they may wrap,
 * which does no harm. Wide codes are multiplied as |q| * (p with the sign of q). */
#include "kernels/x86/linear_avx2_impl.h"

enum { ROWS = LINEAR_PANEL, TOKENS = 6, PANELS = 4 };

/* The scratch of a worker. */
typedef struct workspace {
    linear_panel panel[PANELS];
    linear_unpacked unpacked;
    _Alignas(64) float sums[PANELS][LINEAR_SLAB][ROWS];
} workspace;

/* --- tiles --- */

typedef struct tile {
    int64_t groups;
    const linear_panel *panel;
    linear_record x; /* of the first token, at the first group */
    size_t record_size;
    float *sums; /* [tokens][16 rows] */
    bool first;  /* sums begin at zero */
} tile;

typedef struct kind {
    int group;
    bool wide, zero, offset;
} kind;

INLINE const void *next_record(const void *p, const tile *a, int t)
{
    return (const char *)p + (size_t)t * a->record_size;
}

/* Sums of the products of 4 weights each of 16 rows, with 4 elements of each token. */
INLINE void multiply_step(int tokens, kind m, bool first, const __m256i *w, const int8_t *x,
                          size_t record_size, __m256i sum[][2])
{
    const __m256i w0 = _mm256_load_si256(w), w1 = _mm256_load_si256(w + 1);
    const __m256i ones = _mm256_set1_epi16(1);
    if (m.wide) {
        const __m256i a0 = _mm256_abs_epi8(w0), a1 = _mm256_abs_epi8(w1);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const __m256i p = broadcast_4(x + (size_t)t * record_size);
            __m256i q0 = _mm256_maddubs_epi16(a0, _mm256_sign_epi8(p, w0));
            __m256i q1 = _mm256_maddubs_epi16(a1, _mm256_sign_epi8(p, w1));
            q0 = _mm256_madd_epi16(q0, ones), q1 = _mm256_madd_epi16(q1, ones);
            sum[t][0] = first ? q0 : _mm256_add_epi32(sum[t][0], q0);
            sum[t][1] = first ? q1 : _mm256_add_epi32(sum[t][1], q1);
            KEEP(sum[t][0]);
            KEEP(sum[t][1]);
        }
        return;
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const __m256i p = broadcast_4(x + (size_t)t * record_size);
        const __m256i q0 = _mm256_maddubs_epi16(w0, p), q1 = _mm256_maddubs_epi16(w1, p);
        sum[t][0] = first && !m.zero ? q0 : _mm256_add_epi16(sum[t][0], q0);
        sum[t][1] = first && !m.zero ? q1 : _mm256_add_epi16(sum[t][1], q1);
        KEEP(sum[t][0]);
        KEEP(sum[t][1]);
    }
}

/* One group's part of the chains. */
INLINE __m256 chain(kind m, __m256i sum, const float *scale, const float *offset, __m256 d,
                    __m256 plain, __m256 y)
{
    const __m256i whole = m.wide ? sum : _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
    y = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(whole), _mm256_load_ps(scale)), d, y);
    return m.offset ? _mm256_fmadd_ps(_mm256_load_ps(offset), plain, y) : y;
}

INLINE void multiply(const tile *a, int tokens, kind m)
{
    const __m256i *w = (const __m256i *)a->panel->codes;
    const float *scale = a->panel->scale, *offset = a->panel->offset;
    linear_record x = a->x;
    __m256 y[TOKENS][2];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++) y[t][v] =
        a->first ? _mm256_setzero_ps() : _mm256_load_ps(a->sums + t * ROWS + 8 * v);
    for (int64_t g = 0; g < a->groups; g++) {
        __m256i sum[TOKENS][2];
        if (m.zero) {
            UNROLL for (int t = 0; t < tokens; t++) sum[t][0] = sum[t][1] =
                broadcast_4(next_record(x.zeros + g, a, t));
        }
        UNROLL for (int i = 0; i < m.group / 4; i++)
        {
            multiply_step(tokens, m, i == 0, w + 2 * i, x.codes + g * m.group + 4 * i,
                          a->record_size, sum);
            FENCE;
        }
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const float *at = next_record(x.scale + g * m.group / LINEAR_BLOCK, a, t);
            const __m256 d = _mm256_broadcast_ss(at);
            const __m256 plain = m.offset ? _mm256_broadcast_ss(next_record(x.sums + g, a, t)) : d;
            UNROLL for (int v = 0; v < 2; v++) y[t][v] =
                chain(m, sum[t][v], scale + 8 * v, offset + 8 * v, d, plain, y[t][v]);
        }
        w += m.group / 2;
        scale += ROWS;
        offset += ROWS;
    }
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < 2; v++)
        _mm256_store_ps(a->sums + t * ROWS + 8 * v, y[t][v]);
}

/* name, group, wide, zero, offset */
#define KINDS(X)                                                                                   \
    X(narrow_32, 32, false, false, false)                                                          \
    X(narrow_32_zero, 32, false, true, false)                                                      \
    X(narrow_32_offset, 32, false, false, true)                                                    \
    X(narrow_32_both, 32, false, true, true)                                                       \
    X(narrow_16_zero, 16, false, true, false)                                                      \
    X(narrow_16_offset, 16, false, false, true)                                                    \
    X(wide_32, 32, true, false, false)                                                             \
    X(wide_16, 16, true, false, false)

typedef int (*tile_fn)(const tile *a, int64_t tokens);

/* Multiplies at most `tokens` tokens and says how many. */
#define X(name, group, wide, zero, offset)                                                         \
    static int tile_##name(const tile *a, int64_t tokens)                                          \
    {                                                                                              \
        const kind m = {group, wide, zero, offset};                                                \
        if (tokens >= 6)                                                                           \
            return multiply(a, 6, m), 6;                                                           \
        if (tokens >= 4)                                                                           \
            return multiply(a, 4, m), 4;                                                           \
        if (tokens >= 2)                                                                           \
            return multiply(a, 2, m), 2;                                                           \
        return multiply(a, 1, m), 1;                                                               \
    }
KINDS(X)
#undef X

static tile_fn choose(const linear_format *f)
{
    static const struct {
        kind m;
        tile_fn run;
    } kinds[] = {
#define X(name, group, wide, zero, offset) {{group, wide, zero, offset}, tile_##name},
        KINDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const kind m = kinds[i].m;
        if (m.group == f->group && m.wide == f->wide && m.offset == f->offset &&
            m.zero == (f->zero != 0))
            return kinds[i].run;
    }
    return NULL;
}

/* --- parts --- */

/* Columns [at, at + count) of all tokens; the x of a tile stays in the first cache while the panels pass,
 * and the panels in the second while the tokens pass. */
static void add_columns(const linear_job *job, int panels, int64_t at, int64_t count, int64_t first,
                        int64_t tokens, workspace *s)
{
    const linear_format *f = job->format;
    const tile_fn run = choose(f);
    for (int64_t t = 0, done = 1; t < tokens; t += done) {
        linear_record r = linear_record_at(job, first + t);
        r.codes += at;
        r.scale += at / LINEAR_BLOCK;
        r.zeros += at / f->group;
        r.sums += at / f->group;
        for (int v = 0; v < panels; v++) {
            const tile a = {.groups = count / f->group,
                            .panel = &s->panel[v],
                            .x = r,
                            .record_size = job->record_size,
                            .sums = s->sums[v][t],
                            .first = at == 0};
            done = run(&a, tokens - t);
        }
    }
}

/* At most PANELS * 16 rows. */
static void many_tokens(const linear_job *job, int64_t row, int64_t last, const int64_t part[4],
                        workspace *s)
{
    const int64_t k = job->args.k, first = part[2], tokens = part[3] - part[2];
    const int panels = (int)((last - row + ROWS - 1) / ROWS);
    for (int64_t at = 0; at < k; at += LINEAR_CHUNK) {
        const int64_t count = ADZE_MIN(k - at, LINEAR_CHUNK);
        for (int v = 0; v < panels; v++) {
            const int64_t from = row + v * ROWS;
            const linear_piece piece = {from, ADZE_MIN(from + ROWS, last), at, count};
            linear_pack_codes_avx2(job, piece, job->format->zero, &s->unpacked, &s->panel[v]);
        }
        add_columns(job, panels, at, count, first, tokens, s);
    }
    for (int v = 0; v < panels; v++) {
        const int64_t from = row + v * ROWS;
        linear_store_rows(job, from, ADZE_MIN(ROWS, last - from), first, tokens, s->sums[v][0]);
    }
}

/* Rows [part[0], ...) eight at a time, each eight with all tokens while it is in the cache. Gives the row
 * after the last. */
static int64_t few_tokens(const linear_job *job, const int64_t part[4], linear_rows_fn rows)
{
    const adze_linear_args *args = &job->args;
    int64_t row = part[0];
    for (; row + 8 <= part[1]; row += 8)
        for (int64_t t = part[2]; t < part[3]; t++) {
            const linear_record r = linear_record_at(job, t);
            float *y = args->y + t * args->ldy + row;
            rows(linear_row(job, row), args->w_stride, args->k, &r, y);
            if (args->bias)
                _mm256_storeu_ps(
                    y, _mm256_add_ps(_mm256_loadu_ps(y), _mm256_loadu_ps(args->bias + row)));
        }
    return row;
}

void linear_codes_avx2(const linear_job *job, const int64_t part[4], void *scratch)
{
    const linear_rows_fn rows = linear_few_avx2(job->args.dtype, job->all_tokens);
    int64_t row = rows ? few_tokens(job, part, rows) : part[0];
    for (; row < part[1]; row += PANELS * ROWS)
        many_tokens(job, row, ADZE_MIN(row + PANELS * ROWS, part[1]), part, scratch);
}

size_t linear_codes_scratch_avx2(void)
{
    return sizeof(workspace);
}

static void prepare(const linear_job *job, int64_t first, int64_t count)
{
    linear_quantize_avx2(job, first, count, 0);
}

void adze_linear_init_avx2(adze_linear_table *table)
{
    table->prepare = prepare;
    table->codes = linear_codes_avx2;
    table->codes_scratch = sizeof(workspace);
    linear_init_floats_avx2(table);
}
