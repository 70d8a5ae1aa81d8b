/* Float depthwise convolution with AVX2 and FMA. */
#include "kernels/x86/dwconv_x86_impl.h"
#include "kernels/x86/vec_avx2_impl.h"

#define OUTPUTS(X, ...) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define WIDEST(X, ...)

#include "kernels/x86/dwconv_f32_tiles_impl.h"

void adze_dwconv_init_avx2(adze_dwconv_table *table)
{
    table->f32_rows = f32_rows;
    table->q8_rows = adze_dwconv_q8_rows_avx2;
}
