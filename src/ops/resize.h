/* One axis of a resize: from output coordinates to input coordinates and weights, as ONNX's Resize
 * defines them. */
#ifndef ADZE_OPS_RESIZE_H
#define ADZE_OPS_RESIZE_H
#include "ops/helpers.h"

typedef enum adze_resize_mode {
    ADZE_RESIZE_NEAREST,
    ADZE_RESIZE_LINEAR,
    ADZE_RESIZE_CUBIC
} adze_resize_mode;

enum { /* order of adze_resize_coordinate_names, adze_resize_nearest_names */
       ADZE_RESIZE_HALF_PIXEL,
       ADZE_RESIZE_HALF_PIXEL_SYMMETRIC,
       ADZE_RESIZE_PYTORCH_HALF_PIXEL,
       ADZE_RESIZE_ALIGN_CORNERS,
       ADZE_RESIZE_ASYMMETRIC,
       ADZE_RESIZE_CROP,          /* tf_crop_and_resize */
       ADZE_RESIZE_TF_HALF_PIXEL, /* opset 11 only, nearest */
       ADZE_RESIZE_ROUND_PREFER_FLOOR = 0,
       ADZE_RESIZE_ROUND_PREFER_CEIL,
       ADZE_RESIZE_FLOOR,
       ADZE_RESIZE_CEIL
};

extern const char *const adze_resize_coordinate_names[]; /* NULL at the end */
extern const char *const adze_resize_nearest_names[];

typedef struct adze_resize_spec {
    adze_resize_mode mode;
    int coordinate, nearest;
    bool antialias, exclude_outside;
    double cubic_a;
} adze_resize_spec;

typedef struct adze_resize_axis {
    int64_t in, out;
    double scale, roi_start, roi_end;
} adze_resize_axis;

#define ADZE_RESIZE_OUTSIDE INT64_MIN

/* For output coordinate i: taps weights at weights[i * taps] for input coordinates first[i] and
 * on, all inside the axis; or first[i] ADZE_RESIZE_OUTSIDE for the extrapolation value. */
typedef struct adze_resize_table {
    int taps;
    int64_t *first;
    float *weights;
} adze_resize_table;

/* Weights per output coordinate: what the table takes at most. */
int adze_resize_taps(const adze_resize_spec *spec, int64_t in, int64_t out);
adze_resize_table adze_resize_weights(const adze_resize_axis *axis, const adze_resize_spec *spec,
                                      void *memory);
/* source[out]: input coordinates, -1 for the extrapolation value. */
void adze_resize_nearest(const adze_resize_axis *axis, const adze_resize_spec *spec,
                         int64_t *source);

static inline int64_t adze_resize_clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

#endif
