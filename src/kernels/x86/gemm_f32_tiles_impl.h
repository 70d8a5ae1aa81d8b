/* Float matrix product in register tiles, for any vector of LANES floats. A panel is one vector wide; a
 * tile takes R rows and V neighbouring panels and keeps its R * V sums in registers over all of k. R and
 * V are constants at every use of `tile`, so the compiler makes one straight loop for each pair.
 *
 * The file of a level defines, then includes this: LANES, MR, MAX_PANELS, TILES(X) with X(rows, panels),
 * tile_rows(panels), cut_panels(rows, panels), and vec, vec_mask with their vec_ functions. */
#include "kernels/gemm_impl.h"
#include "kernels/x86/tile_impl.h"

typedef struct tile_args {
    const float *a, *b, *bias, *residual;
    float *c;
    ptrdiff_t lda, ldr, ldc, panel; /* panel: floats from one panel to the next */
    int64_t segments, length;       /* of k */
    ptrdiff_t skip;                 /* from the end of a segment to the next */
    vec_mask last;                  /* columns of the last panel */
    vec lo, hi;
} tile_args;

typedef void (*tile_fn)(const tile_args *t);

typedef struct sums {
    vec at[MR][MAX_PANELS];
} sums;

/* One step of k. Three rows share a pointer; lda reaches the other two. */
INLINE void multiply(const int R, const int V, sums *s, const float *const *rows, ptrdiff_t lda,
                     const float *b, ptrdiff_t panel)
{
    vec right[MAX_PANELS];
    UNROLL
    for (int v = 0; v < V; v++)
        right[v] = vec_load(b + v * panel);
    UNROLL
    for (int r = 0; r < R; r++) {
        vec left = vec_set1(*(rows[r / 3] + r % 3 * lda));
        UNROLL
        for (int v = 0; v < V; v++)
            s->at[r][v] = vec_fma(left, right[v], s->at[r][v]);
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
            b += LANES;
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
    vec_mask mask[MAX_PANELS];
    UNROLL
    for (int v = 0; v < V; v++) {
        mask[v] = v + 1 < V ? vec_first(LANES) : t->last;
        vec start = t->bias ? vec_load_masked(t->bias + v * LANES, mask[v]) : vec_set1(0);
        UNROLL
        for (int r = 0; r < R; r++)
            s.at[r][v] = start;
    }
    accumulate(R, V, &s, t);
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int v = 0; v < V; v++) {
            vec sum = s.at[r][v];
            if (t->residual) {
                const float *residual = t->residual + r * t->ldr + v * LANES;
                sum = vec_add(sum, vec_load_masked(residual, mask[v]));
            }
            sum = vec_min(t->hi, vec_max(t->lo, sum));
            vec_store_masked(t->c + r * t->ldc + v * LANES, mask[v], sum);
        }
    }
}

#define DEFINE(R, V)                                                                               \
    static void tile_##R##x##V(const tile_args *t)                                                 \
    {                                                                                              \
        tile(R, V, t);                                                                             \
    }
TILES(DEFINE)

#define ENTRY(R, V) [V][R] = tile_##R##x##V,
static const tile_fn tiles[MAX_PANELS + 1][MR + 1] = {TILES(ENTRY)};

/* Rows [first, last) of `panels` panels from column j on, in tiles of nearly equal height. */
static void run_rows(const adze_gemm_f32_args *args, int64_t first, int64_t last, int64_t j,
                     int panels)
{
    int64_t columns = ADZE_MIN(args->n - j, panels * LANES);
    adze_gemm_view view = args->view ? *args->view : (adze_gemm_view){.group = 0, .segments = 1};
    tile_args t = {
        .b = args->b + j * args->k,
        .bias = args->bias ? args->bias + j : NULL,
        .lda = args->lda,
        .ldr = args->ldr,
        .ldc = args->ldc,
        .panel = LANES * args->k,
        .segments = view.segments,
        .length = args->k / view.segments,
        .last = vec_first(columns - (panels - 1) * LANES),
        .lo = vec_set1(args->lo),
        .hi = vec_set1(args->hi),
    };
    t.skip = view.segment_stride - t.length;
    adze_cut cut = adze_cut_rows(first, last, view.group, tile_rows(panels));
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
    int64_t panels = (args->n + LANES - 1) / LANES;
    for (int64_t first = 0; first < args->m; first += block) {
        int64_t last = ADZE_MIN(first + block, args->m);
        for (int64_t p = 0; p < panels;) {
            int width = cut_panels(last - first, panels - p);
            run_rows(args, first, last, p * LANES, width);
            p += width;
        }
    }
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + LANES - 1) / LANES * LANES * k);
}

static void pack_b(int64_t n, int64_t k, const float *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, float *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_f32_pack(LANES, &source, b, packed);
}

static void pack_conv(int64_t n, int64_t channels, int64_t taps, const float *weights,
                      float *packed)
{
    adze_pack_source source = adze_pack_conv_weights(n, channels, taps, 1);
    adze_gemm_f32_pack(LANES, &source, weights, packed);
}

static void fill_table(adze_gemm_f32_table *table)
{
    *table = (adze_gemm_f32_table){
        .mr = MR,
        .nr = LANES,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
}
