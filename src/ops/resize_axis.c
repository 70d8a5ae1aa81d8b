/* See resize.h. The formulas are those of ONNX's reference: a point that falls on a pixel counts as
 * the right end of the interval before it. */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

const char *const adze_resize_coordinate_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",   "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn", NULL};
const char *const adze_resize_nearest_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                 "ceil", NULL};

/* Input coordinate of output coordinate i; false: outside, takes the extrapolation value. */
static bool coordinate(const adze_resize_axis *a, int mode, int64_t i, double *out)
{
    double x = (double)i, width = a->scale * (double)a->in, end = (double)(a->in - 1);
    switch (mode) {
    case ADZE_RESIZE_ALIGN_CORNERS: *out = width == 1 ? 0 : x * end / (width - 1); return true;
    case ADZE_RESIZE_ASYMMETRIC: *out = x / a->scale; return true;
    case ADZE_RESIZE_TF_HALF_PIXEL: *out = (x + 0.5) / a->scale; return true;
    case ADZE_RESIZE_CROP:
        if (width == 1)
            *out = (a->roi_end - a->roi_start) * end / 2;
        else
            *out = x * (a->roi_end - a->roi_start) * end / (width - 1);
        *out += a->roi_start * end;
        return *out >= 0 && *out <= end;
    case ADZE_RESIZE_PYTORCH_HALF_PIXEL:
        *out = a->out == 1 ? -0.5 : (x + 0.5) / a->scale - 0.5;
        return true;
    case ADZE_RESIZE_HALF_PIXEL_SYMMETRIC: {
        double offset = (double)a->in / 2 * (1 - (double)a->out / width);
        *out = offset + (x + 0.5) / a->scale - 0.5;
        return true;
    }
    default: *out = (x + 0.5) / a->scale - 0.5; return true;
    }
}

/* ratio in (0, 1]: how far the point is from *base to *base + 1. */
static double split(double point, int64_t *base)
{
    double whole = floor(point);
    if (whole == point)
        whole -= 1;
    *base = (int64_t)whole;
    return point - whole;
}

void adze_resize_nearest(const adze_resize_axis *axis, const adze_resize_spec *spec,
                         int64_t *source)
{
    for (int64_t i = 0; i < axis->out; i++) {
        double point;
        int64_t base;
        if (!coordinate(axis, spec->coordinate, i, &point)) {
            source[i] = -1;
            continue;
        }
        double ratio = split(point, &base);
        bool right = ratio == 1                                        ? true
                     : spec->nearest == ADZE_RESIZE_ROUND_PREFER_FLOOR ? ratio > 0.5
                     : spec->nearest == ADZE_RESIZE_ROUND_PREFER_CEIL
                         ? ratio >= 0.5
                         : spec->nearest == ADZE_RESIZE_CEIL;
        source[i] = adze_resize_clamp(base + right, axis->in);
    }
}

static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Half the width of the filter in input pixels. */
static double support(const adze_resize_spec *spec, double scale)
{
    double radius = spec->mode == ADZE_RESIZE_LINEAR ? 1 : 2;
    return spec->antialias && scale < 1 ? radius / scale : radius;
}

int adze_resize_taps(const adze_resize_spec *spec, int64_t in, int64_t out)
{
    if (spec->mode == ADZE_RESIZE_NEAREST)
        return 0;
    double scale = fmax((double)out - 0.5, 0.5) / (double)ADZE_MAX(1, in);
    double taps = 2 * ceil(support(spec, scale));
    return taps < 1e6 ? (int)taps : 1000000;
}

/* The filter around a point: `taps` weights from input coordinate `first` on. */
typedef struct filter {
    double point, scale;
    int64_t first;
    int taps;
} filter;

static double filter_weight(const adze_resize_axis *axis, const adze_resize_spec *spec,
                            const filter *f, int tap)
{
    int64_t at = f->first + tap;
    double d = ((double)at - f->point) * f->scale;
    if (spec->exclude_outside && (at < 0 || at >= axis->in))
        return 0;
    return spec->mode == ADZE_RESIZE_LINEAR ? fmax(0, 1 - fabs(d)) : cubic(d, spec->cubic_a);
}

/* `kept` weights that sum to 1 from the coordinate that is returned on; those of coordinates
 * outside the axis are added to its edges. */
static int64_t weigh(const adze_resize_axis *axis, const adze_resize_spec *spec, const filter *f,
                     int kept, float *weights)
{
    double sum = 0;
    int64_t from = ADZE_MAX(0, ADZE_MIN(f->first, axis->in - kept));
    for (int t = 0; t < f->taps; t++)
        sum += filter_weight(axis, spec, f, t);
    memset(weights, 0, (size_t)kept * sizeof *weights);
    for (int t = 0; t < f->taps; t++) {
        double w = filter_weight(axis, spec, f, t);
        weights[adze_resize_clamp(f->first + t, axis->in) - from] +=
            (float)(sum != 0 ? w / sum : w);
    }
    return from;
}

adze_resize_table adze_resize_weights(const adze_resize_axis *axis, const adze_resize_spec *spec,
                                      void *memory)
{
    adze_resize_table table = {.first = memory};
    filter f = {.scale = spec->antialias ? fmin(axis->scale, 1) : 1};
    f.taps = ADZE_MIN(adze_resize_taps(spec, axis->in, axis->out),
                      2 * (int)ceil(support(spec, axis->scale)));
    table.taps = (int)ADZE_MIN(f.taps, axis->in);
    table.weights = (float *)(table.first + axis->out);
    for (int64_t i = 0; i < axis->out; i++) {
        int64_t base;
        if (!coordinate(axis, spec->coordinate, i, &f.point)) {
            table.first[i] = ADZE_RESIZE_OUTSIDE;
            continue;
        }
        split(f.point, &base);
        f.first = base + 1 - f.taps / 2;
        table.first[i] = weigh(axis, spec, &f, table.taps, table.weights + i * table.taps);
    }
    return table;
}
