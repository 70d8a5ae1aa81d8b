/* Integer matrix product with AVX2. vpmaddubsw would saturate, so bytes are widened to 16 bits, where
 * vpmaddwd multiplies and adds pairs exactly: A once per block of rows, into a copy on the stack, B on
 * its way from memory. A panel is 8 columns wide, two rows of k side by side; a tile of R rows and V
 * panels keeps its sums in registers over all of k. */
#include "kernels/x86/gemm_q8_avx2_impl.h"
#include "kernels/x86/tile_impl.h"

#include <string.h>

enum { MR = ADZE_Q8_AVX2_MR, NR = ADZE_Q8_AVX2_NR, KR = 2, MAX_PANELS = ADZE_Q8_AVX2_PANELS };

typedef struct tile_args {
    const int16_t *a; /* rows of whole groups */
    ptrdiff_t lda;
    const int8_t *b;
    ptrdiff_t panel;          /* bytes from one panel to the next */
    int64_t segments, groups; /* of k; of two rows in a segment */
    ptrdiff_t skip;           /* from the end of a segment to the next */
    const __m256i *start;     /* [panels]: what the products are added to */
} tile_args;

typedef void (*tile_fn)(const tile_args *t, __m256i *out);

typedef struct sums {
    __m256i at[MR][MAX_PANELS];
} sums;

INLINE __m256i pair(const int16_t *a)
{
    int32_t value;
    memcpy(&value, a, sizeof value);
    return _mm256_set1_epi32(value);
}

/* One group of k. Three rows share a pointer; lda reaches the other two. */
INLINE void multiply(const int R, const int V, sums *s, const int16_t *const *rows, ptrdiff_t lda,
                     const int8_t *b, ptrdiff_t panel)
{
    __m256i right[MAX_PANELS];
    UNROLL
    for (int v = 0; v < V; v++)
        right[v] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b + v * panel)));
    UNROLL
    for (int r = 0; r < R; r++) {
        __m256i left = pair(rows[r / 3] + r % 3 * lda);
        UNROLL
        for (int v = 0; v < V; v++)
            s->at[r][v] = _mm256_add_epi32(s->at[r][v], _mm256_madd_epi16(left, right[v]));
    }
}

INLINE void tile(const int R, const int V, const tile_args *t, __m256i *out)
{
    sums s;
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++)
            s.at[r][v] = t->start[v];
    }
    const int16_t *rows[(MR + 2) / 3];
    const int8_t *b = t->b;
    UNROLL
    for (int r = 0; r < R; r += 3)
        rows[r / 3] = t->a + r * t->lda;
    for (int64_t segment = 0; segment < t->segments; segment++) {
        for (int64_t p = 0; p < t->groups; p++, b += KR * NR) {
            multiply(R, V, &s, rows, t->lda, b, t->panel);
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

#define TILES(X) ADZE_ROWS_6(X, 1) ADZE_ROWS_6(X, 2)
#define DEFINE(R, V)                                                                               \
    static void tile_##R##x##V(const tile_args *t, __m256i *out)                                   \
    {                                                                                              \
        tile(R, V, t, out);                                                                        \
    }
TILES(DEFINE)

#define ENTRY(R, V) [V][R] = tile_##R##x##V,
static const tile_fn tiles[MAX_PANELS + 1][MR + 1] = {TILES(ENTRY)};

static size_t panel_size(int64_t k)
{
    return (size_t)((k + KR - 1) / KR * KR * NR);
}

/* count bytes as 16-bit numbers, and a zero where count is odd. */
static void widen(const uint8_t *a, int64_t count, uint8_t flip, int16_t *to)
{
    __m128i flips = _mm_set1_epi8((char)flip);
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(a + i)), flips);
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_cvtepu8_epi16(bytes));
    }
    for (; i < count; i++)
        to[i] = a[i] ^ flip;
    if (count % KR)
        to[count] = 0;
}

/* Rows [row, row + rows) of A, widened; their segments are `stride` apart. */
typedef struct block {
    int16_t *a;
    ptrdiff_t lda, stride;
    int64_t row, rows, segments;
} block;

/* Some panels against a block. */
static void run_panels(const adze_gemm_q8_args *args, const block *b, int64_t column, int panels)
{
    adze_q8_finish_avx2 f = adze_q8_finish_avx2_make(args, b->row, column, panels);
    tile_args t = {
        .lda = b->lda,
        .b = args->b + (size_t)(column / NR) * panel_size(args->k),
        .panel = (ptrdiff_t)panel_size(args->k),
        .segments = b->segments,
        .groups = (args->k / b->segments + KR - 1) / KR,
    };
    t.skip = b->stride - t.groups * KR;
    t.start = f.start;
    __m256i out[MR * MAX_PANELS];
    adze_cut cut = adze_cut_rows(0, b->rows, 0, MR);
    for (int64_t i = 0; i < b->rows; i += f.rows) {
        f.rows = (int)adze_cut_next(&cut);
        f.row = b->row + i;
        t.a = b->a + i * b->lda;
        tiles[panels][f.rows](&t, out);
        adze_gemm_q8_finish_avx2(&f, out);
    }
}

static void run_block(const adze_gemm_q8_args *args, const block *b)
{
    int64_t panels = (args->n + NR - 1) / NR;
    for (int64_t p = 0; p < panels; p += MAX_PANELS)
        run_panels(args, b, p * NR, (int)ADZE_MIN(panels - p, MAX_PANELS));
}

enum {
    MAX_COPY = 32 * 1024,
    COPY = 10 * 1024
}; /* numbers of 16 bits; what the nearest cache holds */

/* One row that does not fit: part by part. */
static void run_long_row(const adze_gemm_q8_args *args, int64_t row)
{
    int16_t copied[MAX_COPY];
    int64_t segment = args->view ? args->k / args->view->segments : args->k;
    for (int64_t column = 0; column < args->n; column += NR) {
        adze_q8_finish_avx2 f = adze_q8_finish_avx2_make(args, row, column, 1);
        f.rows = 1;
        __m256i out = f.start[0];
        tile_args t = {.a = copied, .segments = 1, .start = &out};
        t.b = args->b + (size_t)(column / NR) * panel_size(args->k);
        for (int64_t from = 0, count; from < args->k; from += count) {
            count = ADZE_MIN(segment - from % segment, MAX_COPY);
            ptrdiff_t at = adze_a_offset(args->view, args->lda, args->k, row, from);
            widen(args->a + at, count, args->a_flip, copied);
            t.groups = (count + KR - 1) / KR;
            tiles[1][1](&t, &out);
            t.b += t.groups * KR * NR;
        }
        adze_gemm_q8_finish_avx2(&f, &out);
    }
}

/* As many rows of a plain matrix at a time as fit the copy. */
static void run_plain(const adze_gemm_q8_args *args, int16_t *copied)
{
    int64_t whole = ADZE_MAX((args->k + KR - 1) / KR * KR, KR);
    int64_t most = ADZE_MIN(ADZE_MAX(COPY / whole / MR, 2) * MR, MAX_COPY / whole);
    block b = {.a = copied, .lda = whole, .segments = 1};
    for (b.row = 0; b.row < args->m; b.row += b.rows) {
        b.rows = ADZE_MIN(most, args->m - b.row);
        for (int64_t r = 0; r < b.rows; r++) {
            const uint8_t *a = args->a + (b.row + r) * args->lda;
            widen(a, args->k, args->a_flip, copied + r * whole);
        }
        run_block(args, &b);
    }
}

/* Rows of one group overlap: what they cover of each segment is widened once. */
static void run_view(const adze_gemm_q8_args *args, int64_t most, int16_t *copied)
{
    const adze_gemm_view *view = args->view;
    int64_t segment = args->k / view->segments;
    block b = {.a = copied, .lda = args->lda, .segments = view->segments};
    adze_cut cut = adze_cut_rows(0, args->m, view->group, most);
    for (b.row = 0; b.row < args->m; b.row += b.rows) {
        b.rows = adze_cut_next(&cut);
        int64_t covered = (b.rows - 1) * args->lda + segment;
        b.stride = (covered + KR - 1) / KR * KR;
        const uint8_t *a = args->a + adze_a_offset(view, args->lda, args->k, b.row, 0);
        for (int64_t i = 0; i < view->segments; i++)
            widen(a + i * view->segment_stride, covered, args->a_flip, copied + i * b.stride);
        run_block(args, &b);
    }
}

static void run(const adze_gemm_q8_args *args)
{
    int16_t copied[MAX_COPY];
    int64_t most = args->k <= MAX_COPY ? 1 : 0; /* rows that fit */
    if (args->view && args->k > 0) {
        int64_t room = MAX_COPY / args->view->segments - KR - args->k / args->view->segments;
        most = room >= 0 ? room / args->lda + 1 : 0;
    }
    if (most == 0)
        for (int64_t i = 0; i < args->m; i++)
            run_long_row(args, i);
    else if (args->view)
        run_view(args, most, copied);
    else
        run_plain(args, copied);
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + NR - 1) / NR) * panel_size(k);
}

static void pack_b(int64_t n, int64_t k, const int8_t *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, int8_t *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_q8_pack(NR, KR, &source, b, packed);
}

static void pack_conv(const adze_gemm_q8_conv *s, const int8_t *weights, int8_t *packed)
{
    adze_pack_source source = adze_pack_conv_weights(s->n, s->channels, s->taps, s->segments);
    adze_gemm_q8_pack(NR, KR, &source, weights, packed);
}

void adze_gemm_q8_init_avx2(adze_gemm_q8_table *table)
{
    *table = (adze_gemm_q8_table){
        .mr = MR,
        .nr = NR,
        .kr = KR,
        .panel_size = panel_size,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
}
