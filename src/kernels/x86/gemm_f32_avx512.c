/* Float matrix product with AVX-512. */
#include <immintrin.h>

#include "kernels/x86/vec_avx512_impl.h"

enum { MR = 14, MAX_PANELS = 4 };
#define TILES(X) ADZE_TILES_512(X)
#define tile_rows adze_tile_rows_512
#define cut_panels adze_cut_panels_512

#include "kernels/x86/gemm_f32_tiles_impl.h"

void adze_gemm_f32_init_avx512(adze_gemm_f32_table *table)
{
    fill_table(table);
}
