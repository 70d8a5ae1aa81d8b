/* Float depthwise convolution with AVX-512. */
#include "kernels/x86/dwconv_x86_impl.h"
#include "kernels/x86/vec_avx512_impl.h"

#define OUTPUTS(X, ...)                                                                            \
    X(8, __VA_ARGS__) X(7, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define WIDEST OUTPUTS

#include "kernels/x86/dwconv_f32_tiles_impl.h"

void adze_dwconv_f32_rows_avx512(const adze_dwconv_f32_args *args, int64_t image, int64_t first,
                                 int64_t last)
{
    f32_rows(args, image, first, last);
}
