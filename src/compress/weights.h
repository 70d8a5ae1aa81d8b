/* Weights as integers with scales. */
#ifndef ADZE_COMPRESS_WEIGHTS_H
#define ADZE_COMPRESS_WEIGHTS_H
#include "compress/base_graph.h"

/* How a range maps to integers. */
typedef struct adze_affine {
    float scale;
    int32_t zero_point;
} adze_affine;

/* Integers that a type offers; symmetric ones leave out the lowest. */
void adze_affine_limits(adze_dtype type, bool symmetric, int32_t *least, int32_t *most);
adze_affine adze_affine_from_range(float low, float high, adze_dtype type, bool symmetric);
/* clamp(round half to even(x / scale) + zero point) */
int32_t adze_affine_quantize(const adze_affine *a, float x, int32_t least, int32_t most);

/* Which numbers share a scale. */
typedef struct adze_grouping {
    int axis;      /* -1: one group for all */
    int64_t block; /* 0: one scale for each index of the axis, whatever the others */
} adze_grouping;

typedef struct adze_quantized {
    int64_t groups;
    int scale_rank;
    int64_t scale_dims[ADZE_MAX_RANK];
    adze_affine *affine; /* [groups] */
} adze_quantized;

/* Chooses the scales of `w` into `scratch`. `least` (or NULL) holds for each group the smallest scale
 * that is allowed. */
adze_status adze_weights_scales(adze_quantized *out, const adze_tensor *w,
                                const adze_grouping *grouping, const adze_weight_recipe *how,
                                const float *least, adze_arena *scratch,
                                adze_error *err) ADZE_MUST_CHECK;
/* Group of element i. */
int64_t adze_weights_group(const adze_tensor *w, const adze_grouping *grouping, int64_t i);
/* The integers, written into bytes of the type (4-bit ones packed). */
void adze_weights_quantize(void *out, const adze_quantized *q, const adze_tensor *w,
                           const adze_grouping *grouping, const adze_weight_recipe *how);
/* What element i becomes when quantized and dequantized. */
float adze_weights_rounded(const adze_quantized *q, const adze_tensor *w,
                           const adze_grouping *grouping, const adze_weight_recipe *how, int64_t i);

#endif
