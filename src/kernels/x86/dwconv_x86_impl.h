/* The halves of depthwise convolution on x86, each in a file of its own. */
#ifndef ADZE_KERNELS_X86_DWCONV_X86_IMPL_H
#define ADZE_KERNELS_X86_DWCONV_X86_IMPL_H
#include "kernels/dwconv.h"

void adze_dwconv_f32_rows_avx512(const adze_dwconv_f32_args *args, int64_t image, int64_t first,
                                 int64_t last);
void adze_dwconv_q8_rows_avx2(const adze_dwconv_q8_args *args, int64_t image, int64_t first,
                              int64_t last);

#endif
