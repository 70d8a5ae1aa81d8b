/* Between the two halves of the AVX2 integer matrix product: the tiles that make exact sums and the code
 * that turns the sums of one tile into outputs. */
#ifndef ADZE_KERNELS_X86_GEMM_Q8_AVX2_IMPL_H
#define ADZE_KERNELS_X86_GEMM_Q8_AVX2_IMPL_H
#include <immintrin.h>

#include "kernels/gemm_impl.h"

enum { ADZE_Q8_AVX2_MR = 6, ADZE_Q8_AVX2_NR = 8, ADZE_Q8_AVX2_PANELS = 2 };

typedef struct adze_q8_finish_avx2 {
    const adze_gemm_q8_args *args;
    int64_t row, column; /* of the tile's first output */
    int rows, panels, columns;
    __m256i mask[ADZE_Q8_AVX2_PANELS];  /* columns of each panel */
    __m256i start[ADZE_Q8_AVX2_PANELS]; /* bias */
    __m256 scale[ADZE_Q8_AVX2_PANELS];
    bool wide; /* conversion to integer might overflow: clamp before it */
} adze_q8_finish_avx2;

adze_q8_finish_avx2 adze_q8_finish_avx2_make(const adze_gemm_q8_args *args, int64_t row,
                                             int64_t column, int panels);

/* sums: [rows][panels], `start` already added. */
void adze_gemm_q8_finish_avx2(const adze_q8_finish_avx2 *f, const __m256i *sums);

#endif
