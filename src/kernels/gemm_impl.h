/* Shared by the files of the two matrix product families: packing, which differs between levels only
 * in the width of a panel and in how many rows of k lie side by side. */
#ifndef ADZE_KERNELS_GEMM_IMPL_H
#define ADZE_KERNELS_GEMM_IMPL_H
#include "kernels/gemm_f32.h"
#include "kernels/gemm_q8.h"

/* Where element (row, column) of a [k, n] matrix lies:
 * (row % inner) * inner_stride + (row / inner) * outer_stride + column * column_stride.
 * k consists of equal segments, each of which is packed with zeros up to whole groups. */
typedef struct adze_pack_source {
    int64_t n, k, segments, inner;
    ptrdiff_t inner_stride, outer_stride, column_stride;
} adze_pack_source;

static inline adze_pack_source adze_pack_matrix(int64_t n, int64_t k, ptrdiff_t row_stride,
                                                ptrdiff_t column_stride)
{
    return (adze_pack_source){n, k, 1, ADZE_MAX(k, 1), row_stride, 0, column_stride};
}

static inline adze_pack_source adze_pack_conv_weights(int64_t n, int64_t channels, int64_t taps,
                                                      int64_t segments)
{
    int64_t k = channels * taps;
    return (adze_pack_source){n, k, segments, ADZE_MAX(channels, 1), taps, 1, k};
}

static inline ptrdiff_t adze_pack_offset(const adze_pack_source *s, int64_t row, int64_t column)
{
    return row % s->inner * s->inner_stride + row / s->inner * s->outer_stride +
           column * s->column_stride;
}

/* Where element (i, p) of A lies. */
static inline ptrdiff_t adze_a_offset(const adze_gemm_view *view, ptrdiff_t lda, int64_t k,
                                      int64_t i, int64_t p)
{
    if (!view)
        return i * lda + p;
    int64_t segment = k / view->segments;
    return i / view->group * view->group_stride + i % view->group * lda +
           p / segment * view->segment_stride + p % segment;
}

/* Panels of nr columns, [panel][k][nr]; columns past n are zero. */
void adze_gemm_f32_pack(int nr, const adze_pack_source *source, const float *b, float *packed);

/* Panels of nr columns, [panel][k / kr][nr][kr]; columns past n are zero. */
void adze_gemm_q8_pack(int nr, int kr, const adze_pack_source *source, const int8_t *b,
                       int8_t *packed);

#endif
