/* What the register-tiled kernels of this folder share: forced unrolling and how rows are cut. */
#ifndef ADZE_KERNELS_X86_TILE_IMPL_H
#define ADZE_KERNELS_X86_TILE_IMPL_H
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* Before a loop with constant bounds: no loop remains, and arrays that it indexes become registers.
 * UNROLL_SMALL where the bounds are constant in some uses only. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_SMALL
#else
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_SMALL
#endif

/* Cuts rows [first, last) into as few tiles of at most `most` rows as possible, of nearly equal height;
 * none crosses a multiple of `group` (0: there are no groups). */
typedef struct adze_cut {
    int64_t row, last, group, most;
    int64_t end;          /* of this group */
    int64_t rows, taller; /* height of a tile; how many of the next are one row taller */
} adze_cut;

static inline adze_cut adze_cut_rows(int64_t first, int64_t last, int64_t group, int64_t most)
{
    return (adze_cut){.row = first, .last = last, .group = group, .most = most, .end = first};
}

static inline int64_t adze_cut_next(adze_cut *cut)
{
    if (cut->row == cut->end) {
        int64_t group = cut->group > 0 ? cut->group - cut->row % cut->group : cut->last;
        cut->end = cut->last - cut->row < group ? cut->last : cut->row + group;
        int64_t total = cut->end - cut->row, tiles = (total + cut->most - 1) / cut->most;
        tiles = tiles > 0 ? tiles : 1;
        cut->rows = total / tiles;
        cut->taller = total % tiles;
    }
    int64_t rows = cut->rows + (cut->taller-- > 0);
    cut->row += rows;
    return rows;
}

/* The AVX-512 tiles, X(rows, panels). The register file holds 32 vectors: the sums, one of B for each
 * panel and one of A. */
#define ADZE_ROWS_6(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define ADZE_ROWS_9(X, V) ADZE_ROWS_6(X, V) X(7, V) X(8, V) X(9, V)
#define ADZE_ROWS_14(X, V) ADZE_ROWS_9(X, V) X(10, V) X(11, V) X(12, V) X(13, V) X(14, V)
#define ADZE_TILES_512(X) ADZE_ROWS_14(X, 1) ADZE_ROWS_14(X, 2) ADZE_ROWS_9(X, 3) ADZE_ROWS_6(X, 4)

static inline int adze_tile_rows_512(int panels)
{
    return panels <= 2 ? 14 : panels == 3 ? 9 : 6;
}

/* How many panels of AVX-512 tiles to take next: pairs, three where that leaves none over, four when
 * there are so few rows that the sums of two would not fill the pipeline. */
static inline int adze_cut_panels_512(int64_t rows, int64_t panels)
{
    if (rows <= 6 && panels >= 4)
        return 4;
    return (int)(panels <= 3 ? panels : 2);
}

/* The AVX2 tiles; the register file holds 16 vectors. */
#define ADZE_TILES_256(X) ADZE_ROWS_6(X, 1) ADZE_ROWS_6(X, 2) X(1, 3) X(2, 3) X(3, 3) X(4, 3)

static inline int adze_tile_rows_256(int panels)
{
    return panels <= 2 ? 6 : 4;
}

static inline int adze_cut_panels_256(int64_t rows, int64_t panels)
{
    if (panels <= 3)
        return (int)panels;
    return rows % 6 == 0 || rows > 12 ? 2 : 3;
}

#endif
