/* Float matrix product with AVX2 and FMA. */
#include <immintrin.h>

#include "kernels/x86/vec_avx2_impl.h"

enum { MR = 6, MAX_PANELS = 3 };
#define TILES(X) ADZE_TILES_256(X)
#define tile_rows adze_tile_rows_256
#define cut_panels adze_cut_panels_256

#include "kernels/x86/gemm_f32_tiles_impl.h"

void adze_gemm_f32_init_avx2(adze_gemm_f32_table *table)
{
    fill_table(table);
}
