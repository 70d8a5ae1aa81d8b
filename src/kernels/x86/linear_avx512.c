/* Products of language models with AVX-512 and VNNI, for many tokens: the panels of linear_pack_avx2.c,
 * one or two of 16 rows, multiplied with tiles of tokens. vpdpbusd sums four products of an unsigned
 * byte (a code made positive) with a signed one in 32 bits, exactly; sums begin at what takes the codes
 * back. Few tokens are limited by memory and left to the AVX2 kernels. */
#include "kernels/x86/linear_avx2_impl.h"

enum { ROWS = LINEAR_PANEL, PANELS = 2, TOKENS = 6, CHUNK = 512 };

typedef struct workspace {
    linear_panel panel[PANELS];
    linear_unpacked unpacked;
    _Alignas(64) float sums[PANELS][LINEAR_SLAB][ROWS];
} workspace;

/* --- codes --- */

/* What codes are made more by. */
static int zero_of(const linear_format *f)
{
    return f->wide ? 128 : f->zero;
}

typedef struct tile {
    int64_t groups;
    const linear_panel *panel;
    linear_record x; /* of the first token, at the first group */
    size_t record_size;
    float *sums; /* [panels][LINEAR_SLAB][16 rows], at the first token */
    bool first;  /* sums begin at zero */
} tile;

typedef struct kind {
    int group;
    bool zero, offset;
} kind;

INLINE const void *next_record(const void *p, const tile *a, int t)
{
    return (const char *)p + (size_t)t * a->record_size;
}

INLINE __m512i broadcast_4_512(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* One group: the exact sums of 16 rows for each token and panel. */
INLINE void multiply_group(const tile *a, int panels, int tokens, kind m, int64_t g,
                           __m512i sum[TOKENS][PANELS])
{
    const int8_t *x = a->x.codes + g * m.group;
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const __m512i zero =
            m.zero ? broadcast_4_512(next_record(a->x.zeros + g, a, t)) : _mm512_setzero_si512();
        UNROLL for (int v = 0; v < panels; v++) sum[t][v] = zero;
    }
    UNROLL for (int i = 0; i < m.group; i += 4)
    {
        __m512i w[PANELS];
        UNROLL for (int v = 0; v < panels; v++) w[v] =
            _mm512_load_si512(a->panel[v].codes + (g * m.group + i) * ROWS);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const __m512i p = broadcast_4_512(next_record(x + i, a, t));
            UNROLL for (int v = 0; v < panels; v++) sum[t][v] =
                _mm512_dpbusd_epi32(sum[t][v], w[v], p);
        }
        FENCE;
    }
}

INLINE void multiply(const tile *a, int panels, int tokens, kind m)
{
    __m512 y[TOKENS][PANELS];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < panels; v++) y[t][v] =
        a->first ? _mm512_setzero_ps() : _mm512_load_ps(a->sums + (v * LINEAR_SLAB + t) * ROWS);
    for (int64_t g = 0; g < a->groups; g++) {
        __m512i sum[TOKENS][PANELS];
        multiply_group(a, panels, tokens, m, g, sum);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const float *at = next_record(a->x.scale + g * m.group / LINEAR_BLOCK, a, t);
            const float *plain = next_record(a->x.sums + g, a, t);
            UNROLL for (int v = 0; v < panels; v++)
            {
                const __m512 scale = _mm512_load_ps(a->panel[v].scale + g * ROWS);
                const __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t][v]), scale);
                y[t][v] = _mm512_fmadd_ps(part, _mm512_set1_ps(*at), y[t][v]);
                if (m.offset)
                    y[t][v] = _mm512_fmadd_ps(_mm512_load_ps(a->panel[v].offset + g * ROWS),
                                              _mm512_set1_ps(*plain), y[t][v]);
            }
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int v = 0; v < panels; v++)
        _mm512_store_ps(a->sums + (v * LINEAR_SLAB + t) * ROWS, y[t][v]);
}

/* name, group, zero, offset */
#define KINDS(X)                                                                                   \
    X(plain_32_offset, 32, false, true)                                                            \
    X(zero_32, 32, true, false)                                                                    \
    X(zero_32_offset, 32, true, true)                                                              \
    X(zero_16, 16, true, false)                                                                    \
    X(plain_16_offset, 16, false, true)

typedef int (*tile_fn)(const tile *a, int panels, int64_t tokens);

#define SOME(panels, m)                                                                            \
    tokens >= 6   ? (multiply(a, panels, 6, m), 6)                                                 \
    : tokens >= 4 ? (multiply(a, panels, 4, m), 4)                                                 \
    : tokens >= 2 ? (multiply(a, panels, 2, m), 2)                                                 \
                  : (multiply(a, panels, 1, m), 1)

/* Multiplies at most `tokens` tokens and says how many. */
#define X(name, group, zero, offset)                                                               \
    static int tile_##name(const tile *a, int panels, int64_t tokens)                              \
    {                                                                                              \
        const kind m = {group, zero, offset};                                                      \
        if (panels == 2)                                                                           \
            return SOME(2, m);                                                                     \
        return SOME(1, m);                                                                         \
    }
KINDS(X)
#undef X

static tile_fn choose(const linear_format *f)
{
    static const struct {
        kind m;
        tile_fn run;
    } kinds[] = {
#define X(name, group, zero, offset) {{group, zero, offset}, tile_##name},
        KINDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const kind m = kinds[i].m;
        if (m.group == f->group && m.offset == f->offset && m.zero == (zero_of(f) != 0))
            return kinds[i].run;
    }
    return NULL;
}

/* At most 32 rows. */
static void many_codes(const linear_job *job, int64_t row, int64_t last, const int64_t part[4],
                       workspace *s)
{
    const linear_format *f = job->format;
    const tile_fn run = choose(f);
    const int64_t k = job->args.k, first = part[2], tokens = part[3] - part[2];
    const int panels = last - row > ROWS ? 2 : 1;
    for (int64_t at = 0; at < k; at += CHUNK) {
        const int64_t count = ADZE_MIN(k - at, CHUNK);
        for (int v = 0; v < panels; v++) {
            const int64_t from = row + v * ROWS;
            const linear_piece piece = {from, ADZE_MIN(from + ROWS, last), at, count};
            linear_pack_codes_avx2(job, piece, zero_of(f), &s->unpacked, &s->panel[v]);
        }
        for (int64_t t = 0; t < tokens;) {
            linear_record r = linear_record_at(job, first + t);
            r.codes += at;
            r.scale += at / LINEAR_BLOCK;
            r.zeros += at / f->group;
            r.sums += at / f->group;
            const tile a = {.groups = count / f->group,
                            .panel = s->panel,
                            .x = r,
                            .record_size = job->record_size,
                            .sums = s->sums[0][t],
                            .first = at == 0};
            t += run(&a, panels, tokens - t);
        }
    }
    for (int v = 0; v < panels; v++) {
        const int64_t from = row + v * ROWS;
        linear_store_rows(job, from, ADZE_MIN(ROWS, last - from), first, tokens, s->sums[v][0]);
    }
}

static void codes(const linear_job *job, const int64_t part[4], void *scratch)
{
    if (linear_few_avx2(job->args.dtype, job->all_tokens)) {
        linear_codes_avx2(job, part, scratch);
        return;
    }
    for (int64_t row = part[0]; row < part[1]; row += PANELS * ROWS)
        many_codes(job, row, ADZE_MIN(row + PANELS * ROWS, part[1]), part, scratch);
}

/* --- the level --- */

static void prepare(const linear_job *job, int64_t first, int64_t count)
{
    const bool few = linear_few_avx2(job->args.dtype, job->all_tokens);
    linear_quantize_avx2(job, first, count, few ? 0 : zero_of(job->format));
}

void adze_linear_init_avx512(adze_linear_table *table)
{
    table->prepare = prepare;
    table->codes = codes;
    table->codes_scratch = ADZE_MAX(sizeof(workspace), linear_codes_scratch_avx2());
    linear_init_floats_avx512(table);
}
