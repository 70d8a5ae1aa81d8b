/* Float matrix product with AVX-512. A panel is one vector (16 columns) wide; a tile takes R rows and V
 * neighbouring panels and keeps its R * V sums in registers over all of k. R and V are constants at
 * every use of `tile`, so the compiler makes one straight loop for each pair in the table below. */
#include <immintrin.h>

#include "kernels/gemm_impl.h"
#include "kernels/x86/tile_impl.h"

enum { MR = 14, NR = 16, MAX_PANELS = 4 };

/* The tile's rows and columns of everything in args. */
typedef struct tile_args {
    const float *a, *b, *bias, *residual;
    float *c;
    ptrdiff_t lda, ldr, ldc, panel; /* panel: floats from one panel to the next */
    int64_t segments, length;       /* of k */
    ptrdiff_t skip;                 /* from the end of a segment to the next */
    __mmask16 last;                 /* columns of the last panel */
    __m512 lo, hi;
} tile_args;

typedef void (*tile_fn)(const tile_args *t);

typedef struct sums {
    __m512 at[MR][MAX_PANELS];
} sums;

/* One step of k. Three rows share a pointer; lda reaches the other two. */
INLINE void multiply(const int R, const int V, sums *s, const float *const *rows, ptrdiff_t lda,
                     const float *b, ptrdiff_t panel)
{
    __m512 right[MAX_PANELS];
    UNROLL
    for (int v = 0; v < V; v++)
        right[v] = _mm512_loadu_ps(b + v * panel);
    UNROLL
    for (int r = 0; r < R; r++) {
        __m512 left = _mm512_set1_ps(*(rows[r / 3] + r % 3 * lda));
        UNROLL
        for (int v = 0; v < V; v++)
            s->at[r][v] = _mm512_fmadd_ps(left, right[v], s->at[r][v]);
    }
}

INLINE void accumulate(const int R, const int V, sums *s, const tile_args *t)
{
    const float *rows[(MR + 2) / 3], *b = t->b;
    UNROLL
    for (int r = 0; r < R; r += 3)
        rows[r / 3] = t->a + r * t->lda;
    for (int64_t segment = 0; segment < t->segments; segment++) {
        for (int64_t p = 0; p < t->length; p++) {
            multiply(R, V, s, rows, t->lda, b, t->panel);
            b += NR;
            UNROLL
            for (int r = 0; r < R; r += 3)
                rows[r / 3]++;
        }
        UNROLL
        for (int r = 0; r < R; r += 3)
            rows[r / 3] += t->skip;
    }
}

INLINE void tile(const int R, const int V, const tile_args *t)
{
    sums s;
    __mmask16 mask[MAX_PANELS];
    UNROLL
    for (int v = 0; v < V; v++) {
        mask[v] = v + 1 < V ? (__mmask16)0xffff : t->last;
        __m512 start =
            t->bias ? _mm512_maskz_loadu_ps(mask[v], t->bias + v * NR) : _mm512_setzero_ps();
        UNROLL
        for (int r = 0; r < R; r++)
            s.at[r][v] = start;
    }
    accumulate(R, V, &s, t);
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++) {
            __m512 sum = s.at[r][v];
            if (t->residual) {
                const float *residual = t->residual + r * t->ldr + v * NR;
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask[v], residual));
            }
            sum = _mm512_min_ps(t->hi, _mm512_max_ps(t->lo, sum));
            _mm512_mask_storeu_ps(t->c + r * t->ldc + v * NR, mask[v], sum);
        }
    }
}

#define DEFINE(R, V)                                                                               \
    static void tile_##R##x##V(const tile_args *t)                                                 \
    {                                                                                              \
        tile(R, V, t);                                                                             \
    }
ADZE_TILES_512(DEFINE)

#define ENTRY(R, V) [V][R] = tile_##R##x##V,
static const tile_fn tiles[MAX_PANELS + 1][MR + 1] = {ADZE_TILES_512(ENTRY)};

/* Rows [first, last) of `panels` panels from column j on, in tiles of nearly equal height. */
static void run_rows(const adze_gemm_f32_args *args, int64_t first, int64_t last, int64_t j,
                     int panels)
{
    int64_t columns = ADZE_MIN(args->n - j, panels * NR);
    adze_gemm_view view = args->view ? *args->view : (adze_gemm_view){.group = 0, .segments = 1};
    tile_args t = {
        .b = args->b + j * args->k,
        .bias = args->bias ? args->bias + j : NULL,
        .lda = args->lda,
        .ldr = args->ldr,
        .ldc = args->ldc,
        .panel = NR * args->k,
        .segments = view.segments,
        .length = args->k / view.segments,
        .last = (__mmask16)(0xffff >> (panels * NR - columns)),
        .lo = _mm512_set1_ps(args->lo),
        .hi = _mm512_set1_ps(args->hi),
    };
    t.skip = view.segment_stride - t.length;
    adze_cut cut = adze_cut_rows(first, last, view.group, adze_tile_rows_512(panels));
    for (int64_t i = first; i < last;) {
        int64_t rows = adze_cut_next(&cut);
        t.a = args->a + adze_a_offset(args->view, args->lda, args->k, i, 0);
        t.residual = args->residual ? args->residual + i * args->ldr + j : NULL;
        t.c = args->c + i * args->ldc + j;
        tiles[panels][rows](&t);
        i += rows;
    }
}

/* Rows are taken in blocks that stay in the second-level cache while all of B passes by. */
static void run(const adze_gemm_f32_args *args)
{
    enum { BLOCK_FLOATS = 192 * 1024 };
    int64_t block = ADZE_MAX(BLOCK_FLOATS / ADZE_MAX(args->k, 1) / MR, 3) * MR;
    int64_t panels = (args->n + NR - 1) / NR;
    for (int64_t first = 0; first < args->m; first += block) {
        int64_t last = ADZE_MIN(first + block, args->m);
        for (int64_t p = 0; p < panels;) {
            int width = adze_cut_panels(last - first, panels - p);
            run_rows(args, first, last, p * NR, width);
            p += width;
        }
    }
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + NR - 1) / NR * NR * k);
}

static void pack_b(int64_t n, int64_t k, const float *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, float *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_f32_pack(NR, &source, b, packed);
}

static void pack_conv(int64_t n, int64_t channels, int64_t taps, const float *weights,
                      float *packed)
{
    adze_pack_source source = adze_pack_conv_weights(n, channels, taps, 1);
    adze_gemm_f32_pack(NR, &source, weights, packed);
}

void adze_gemm_f32_init_avx512(adze_gemm_f32_table *table)
{
    *table = (adze_gemm_f32_table){
        .mr = MR,
        .nr = NR,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
}
