/* Between the two halves of the AVX-512 integer matrix product: the tiles that make exact sums and the
 * code that turns the sums of one tile into outputs. */
#ifndef ADZE_KERNELS_X86_GEMM_Q8_AVX512_IMPL_H
#define ADZE_KERNELS_X86_GEMM_Q8_AVX512_IMPL_H
#include <immintrin.h>

#include "kernels/gemm_impl.h"

enum { ADZE_Q8_MR = 14, ADZE_Q8_NR = 16, ADZE_Q8_PANELS = 4 };

typedef struct adze_q8_finish {
    const adze_gemm_q8_args *args;
    int64_t row, column; /* of the tile's first output */
    int rows, panels;
    __mmask16 last;               /* columns of the last panel */
    bool wide;                    /* conversion to integer might overflow: clamp before it */
    __m512 scale[ADZE_Q8_PANELS]; /* zero past the last column */
} adze_q8_finish;

adze_q8_finish adze_q8_finish_make(const adze_gemm_q8_args *args, int64_t row, int64_t column,
                                   int panels);

/* sums: [rows][panels], bias already added. */
void adze_gemm_q8_finish_avx512(const adze_q8_finish *f, const __m512i *sums);

#endif
