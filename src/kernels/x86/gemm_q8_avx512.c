/* Integer matrix product with AVX-512 VNNI: vpdpbusd multiplies four unsigned by four signed bytes and
 * adds them to a 32-bit sum, exactly. A panel is 16 columns wide, four rows of k side by side; a tile of
 * R rows and V panels keeps its sums in registers over all of k, then leaves them in memory for
 * gemm_q8_finish_avx512.c, which turns them into the output. */
#include "kernels/x86/gemm_q8_avx512_impl.h"
#include "kernels/x86/tile_impl.h"

#include <string.h>

enum { KR = 4 };

typedef struct tile_args {
    const uint8_t *a;
    ptrdiff_t lda;
    const int8_t *b;
    ptrdiff_t panel;          /* bytes from one panel to the next */
    int64_t segments, groups; /* of k; of four rows in a segment */
    ptrdiff_t skip;           /* from the end of a segment to the next */
    const int32_t *bias;
    __mmask16 last; /* columns of the last panel */
} tile_args;

typedef void (*tile_fn)(const tile_args *t, __m512i *out);

typedef struct sums {
    __m512i at[ADZE_Q8_MR][ADZE_Q8_PANELS];
} sums;

INLINE __m512i four_bytes(const uint8_t *a)
{
    int32_t value;
    memcpy(&value, a, sizeof value);
    return _mm512_set1_epi32(value);
}

/* One group of k. Three rows share a pointer; lda reaches the other two. */
INLINE void multiply(const int R, const int V, sums *s, const uint8_t *const *rows, ptrdiff_t lda,
                     const int8_t *b, ptrdiff_t panel)
{
    __m512i right[ADZE_Q8_PANELS];
    UNROLL
    for (int v = 0; v < V; v++)
        right[v] = _mm512_loadu_si512(b + v * panel);
    UNROLL
    for (int r = 0; r < R; r++) {
        __m512i left = four_bytes(rows[r / 3] + r % 3 * lda);
        UNROLL
        for (int v = 0; v < V; v++)
            s->at[r][v] = _mm512_dpbusd_epi32(s->at[r][v], left, right[v]);
    }
}

INLINE void tile(const int R, const int V, const tile_args *t, __m512i *out)
{
    sums s;
    UNROLL
    for (int v = 0; v < V; v++) {
        __mmask16 mask = v + 1 < V ? (__mmask16)0xffff : t->last;
        __m512i start = t->bias ? _mm512_maskz_loadu_epi32(mask, t->bias + v * ADZE_Q8_NR)
                                : _mm512_setzero_si512();
        UNROLL
        for (int r = 0; r < R; r++)
            s.at[r][v] = start;
    }
    const uint8_t *rows[(ADZE_Q8_MR + 2) / 3];
    const int8_t *b = t->b;
    UNROLL
    for (int r = 0; r < R; r += 3)
        rows[r / 3] = t->a + r * t->lda;
    for (int64_t segment = 0; segment < t->segments; segment++) {
        for (int64_t p = 0; p < t->groups; p++) {
            multiply(R, V, &s, rows, t->lda, b, t->panel);
            b += KR * ADZE_Q8_NR;
            UNROLL
            for (int r = 0; r < R; r += 3)
                rows[r / 3] += KR;
        }
        UNROLL
        for (int r = 0; r < R; r += 3)
            rows[r / 3] += t->skip;
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++)
            out[r * V + v] = s.at[r][v];
    }
}

#define DEFINE(R, V)                                                                               \
    static void tile_##R##x##V(const tile_args *t, __m512i *out)                                   \
    {                                                                                              \
        tile(R, V, t, out);                                                                        \
    }
ADZE_TILES_512(DEFINE)

#define ENTRY(R, V) [V][R] = tile_##R##x##V,
static const tile_fn tiles[ADZE_Q8_PANELS + 1][ADZE_Q8_MR + 1] = {ADZE_TILES_512(ENTRY)};

static size_t panel_size(int64_t k)
{
    return (size_t)((k + KR - 1) / KR * KR * ADZE_Q8_NR);
}

/* Where a tile finds its rows: in args->a, or in a copy of some. */
typedef struct rows_of_a {
    const uint8_t *at; /* row `first` of the product */
    ptrdiff_t lda;
    int64_t first;
} rows_of_a;

/* `rows` rows of f->panels panels from (f->row, f->column) on. */
static void run_rows(const adze_gemm_q8_args *args, adze_q8_finish *f, const rows_of_a *a,
                     int64_t rows)
{
    int64_t column = f->column, first = f->row;
    adze_gemm_view view = args->view ? *args->view : (adze_gemm_view){.group = 0, .segments = 1};
    tile_args t = {
        .lda = a->lda,
        .b = args->b + (size_t)(column / ADZE_Q8_NR) * panel_size(args->k),
        .panel = (ptrdiff_t)panel_size(args->k),
        .segments = view.segments,
        .groups = (args->k / view.segments + KR - 1) / KR,
        .bias = args->bias ? args->bias + column : NULL,
        .last = f->last,
    };
    t.skip = view.segment_stride - t.groups * KR;
    __m512i out[ADZE_Q8_MR * ADZE_Q8_PANELS];
    adze_cut cut = adze_cut_rows(first, first + rows, view.group, adze_tile_rows_512(f->panels));
    for (int64_t i = 0; i < rows; i += f->rows) {
        f->rows = (int)adze_cut_next(&cut);
        f->row = first + i;
        t.a = a->at + adze_a_offset(args->view, a->lda, args->k, f->row - a->first, 0);
        tiles[f->panels][f->rows](&t, out);
        adze_gemm_q8_finish_avx512(f, out);
    }
}

INLINE __mmask64 first_bytes(int64_t count)
{
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* k bytes, flipped, and up to three more to the end of the group. */
INLINE void copy_flipped(const uint8_t *a, int64_t k, __m512i flip, uint8_t *to)
{
    const int64_t last = k > 0 ? (k - 1) / 64 * 64 : 0, rest = k - last;
    for (int64_t p = 0; p < last; p += 64)
        _mm512_storeu_si512(to + p, _mm512_xor_si512(_mm512_loadu_si512(a + p), flip));
    __m512i bytes = _mm512_maskz_loadu_epi8(first_bytes(rest), a + last);
    __mmask64 whole = first_bytes((rest + KR - 1) / KR * KR);
    _mm512_mask_storeu_epi8(to + last, whole, _mm512_xor_si512(bytes, flip));
}

/* Rows [first, first + rows), flipped, each to the end of its last group. */
static void copy_rows(const adze_gemm_q8_args *args, int64_t first, int64_t rows, uint8_t *to)
{
    const __m512i flip = _mm512_set1_epi8((char)args->a_flip);
    const int64_t k = args->k, whole = (k + KR - 1) / KR * KR;
    const uint8_t *a = args->a + first * args->lda;
    if (args->lda == k && whole == k) {
        copy_flipped(a, rows * k, flip, to);
        return;
    }
    for (int64_t r = 0; r < rows; r++, a += args->lda, to += whole)
        copy_flipped(a, k, flip, to);
}

/* Rows [first, first + rows) against all of B. */
static void run_block(const adze_gemm_q8_args *args, const rows_of_a *a, int64_t first,
                      int64_t rows)
{
    int64_t panels = (args->n + ADZE_Q8_NR - 1) / ADZE_Q8_NR;
    for (int64_t p = 0; p < panels;) {
        int width = adze_cut_panels_512(rows, panels - p);
        adze_q8_finish f = adze_q8_finish_make(args, first, p * ADZE_Q8_NR, width);
        run_rows(args, &f, a, rows);
        p += width;
    }
}

enum { MAX_COPY = 64 * 1024 }; /* bytes */

/* One row whose copy would not fit: the sums so far take the place of the bias. */
static void run_long_row(const adze_gemm_q8_args *args, int64_t row)
{
    uint8_t copied[MAX_COPY];
    const __m512i flip = _mm512_set1_epi8((char)args->a_flip);
    for (int64_t column = 0; column < args->n; column += ADZE_Q8_NR) {
        adze_q8_finish f = adze_q8_finish_make(args, row, column, 1);
        __m512i sum = _mm512_setzero_si512();
        tile_args t = {.a = copied, .segments = 1, .last = f.last};
        t.b = args->b + (size_t)(column / ADZE_Q8_NR) * panel_size(args->k);
        t.bias = args->bias ? args->bias + column : NULL;
        for (int64_t p = 0; p < args->k; p += MAX_COPY) {
            int64_t bytes = ADZE_MIN(args->k - p, MAX_COPY);
            copy_flipped(args->a + row * args->lda + p, bytes, flip, copied);
            t.groups = (bytes + KR - 1) / KR;
            tiles[1][1](&t, &sum);
            t.b += t.groups * KR * ADZE_Q8_NR;
            t.bias = (const int32_t *)&sum;
        }
        f.rows = 1;
        adze_gemm_q8_finish_avx512(&f, &sum);
    }
}

/* Where a must be flipped or does not end at a whole group: as many rows as fit a copy on the stack. */
static void run_copied(const adze_gemm_q8_args *args)
{
    enum { COPY = 24 * 1024 };
    uint8_t copied[MAX_COPY];
    int64_t whole = (args->k + KR - 1) / KR * KR, rows = COPY / ADZE_MAX(whole, 1);
    rows = rows > ADZE_Q8_MR ? rows / ADZE_Q8_MR * ADZE_Q8_MR : ADZE_MAX(rows, 1);
    for (int64_t i = 0; i < args->m; i += rows) {
        int64_t height = ADZE_MIN(rows, args->m - i);
        copy_rows(args, i, height, copied);
        run_block(args, &(rows_of_a){copied, whole, i}, i, height);
    }
}

/* Rows are taken in blocks that stay in the second-level cache while all of B passes by. */
static void run(const adze_gemm_q8_args *args)
{
    enum { BLOCK = 768 * 1024 };
    bool copy = args->a_flip != 0 || args->k % KR != 0;
    if (copy && args->k > MAX_COPY) {
        for (int64_t i = 0; i < args->m; i++)
            run_long_row(args, i);
        return;
    }
    if (copy) {
        run_copied(args);
        return;
    }
    int64_t rows = ADZE_MAX(BLOCK / ADZE_MAX(args->k, 1) / ADZE_Q8_MR, 3) * ADZE_Q8_MR;
    for (int64_t i = 0; i < args->m; i += rows)
        run_block(args, &(rows_of_a){args->a, args->lda, 0}, i, ADZE_MIN(rows, args->m - i));
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + ADZE_Q8_NR - 1) / ADZE_Q8_NR) * panel_size(k);
}

static void pack_b(int64_t n, int64_t k, const int8_t *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, int8_t *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_q8_pack(ADZE_Q8_NR, KR, &source, b, packed);
}

static void pack_conv(const adze_gemm_q8_conv *s, const int8_t *weights, int8_t *packed)
{
    adze_pack_source source = adze_pack_conv_weights(s->n, s->channels, s->taps, s->segments);
    adze_gemm_q8_pack(ADZE_Q8_NR, KR, &source, weights, packed);
}

void adze_gemm_q8_init_avx512(adze_gemm_q8_table *table)
{
    *table = (adze_gemm_q8_table){
        .mr = ADZE_Q8_MR,
        .nr = ADZE_Q8_NR,
        .kr = KR,
        .panel_size = panel_size,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
}
