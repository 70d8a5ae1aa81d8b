/* What the register-tiled kernels of this folder share: forced unrolling and how rows are cut. */
#ifndef ADZE_KERNELS_X86_TILE_IMPL_H
#define ADZE_KERNELS_X86_TILE_IMPL_H
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* Before a loop with constant bounds: no loop remains, and arrays that it indexes become registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Cuts `total` rows into as few tiles of at most `most` rows as possible, of nearly equal height. */
typedef struct adze_cut {
    int64_t rows, taller; /* height of a tile; how many of the first are one row taller */
} adze_cut;

static inline adze_cut adze_cut_rows(int64_t total, int64_t most)
{
    int64_t tiles = (total + most - 1) / most;
    return tiles > 0 ? (adze_cut){total / tiles, total % tiles} : (adze_cut){0, 0};
}

static inline int64_t adze_cut_next(adze_cut *cut)
{
    return cut->rows + (cut->taller-- > 0);
}

/* How many panels of AVX-512 tiles to take next: pairs, three where that leaves none over, four when
 * there are so few rows that the sums of two would not fill the pipeline. */
static inline int adze_cut_panels(int64_t rows, int64_t panels)
{
    if (rows <= 6 && panels >= 4)
        return 4;
    return (int)(panels <= 3 ? panels : 2);
}

#endif
