/* Shared by the files of the two matrix product families: packing, which differs between levels only
 * in the width of a panel and in how many rows of k lie side by side. */
#ifndef ADZE_KERNELS_GEMM_IMPL_H
#define ADZE_KERNELS_GEMM_IMPL_H
#include "kernels/gemm_f32.h"
#include "kernels/gemm_q8.h"

/* Where element (row, column) of a [k, n] matrix lies:
 * (row % inner) * inner_stride + (row / inner) * outer_stride + column * column_stride. */
typedef struct adze_pack_source {
    int64_t n, k, inner;
    ptrdiff_t inner_stride, outer_stride, column_stride;
} adze_pack_source;

static inline adze_pack_source adze_pack_matrix(int64_t n, int64_t k, ptrdiff_t row_stride,
                                                ptrdiff_t column_stride)
{
    return (adze_pack_source){n, k, ADZE_MAX(k, 1), row_stride, 0, column_stride};
}

static inline adze_pack_source adze_pack_conv_weights(int64_t n, int64_t channels, int64_t taps)
{
    return (adze_pack_source){n, channels * taps, channels, taps, 1, channels * taps};
}

static inline ptrdiff_t adze_pack_offset(const adze_pack_source *s, int64_t row, int64_t column)
{
    return (row % s->inner) * s->inner_stride + (row / s->inner) * s->outer_stride +
           column * s->column_stride;
}

/* Panels of nr columns, [panel][k][nr]; columns past n are zero. */
void adze_gemm_f32_pack(int nr, const adze_pack_source *source, const float *b, float *packed);

/* Panels of nr columns, [panel][k / kr][nr][kr]; rows past k and columns past n are zero. */
void adze_gemm_q8_pack(int nr, int kr, const adze_pack_source *source, const int8_t *b,
                       int8_t *packed);

#endif
