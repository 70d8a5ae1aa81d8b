/* Choosing scales for weights, and rounding to them. Everything is computed in a fixed order in double
 * or float, so that the same weights give the same integers anywhere. */
#include "compress/weights.h"

#include <float.h>
#include <math.h>

#include "tensor/dtype.h"

/* ---- one range ---- */

void adze_affine_limits(adze_dtype type, bool symmetric, int32_t *least, int32_t *most)
{
    const adze_dtype_info *info = adze_dtype_describe(type);
    int32_t half = 1 << (info->bits - 1);
    bool is_signed = info->kind == ADZE_KIND_INT;
    *least = is_signed ? -half : 0;
    *most = is_signed ? half - 1 : 2 * half - 1;
    if (symmetric)
        *least += 1;
}

adze_affine adze_affine_from_range(float low, float high, adze_dtype type, bool symmetric)
{
    int32_t least, most;
    adze_affine_limits(type, symmetric, &least, &most);
    double a = fmin((double)low, 0), b = fmax((double)high, 0);
    int32_t middle = (least + most) / 2;
    if (symmetric) {
        b = fmax(-a, b);
        a = -b;
    }
    adze_affine out = {(float)((b - a) / (most - least)), middle};
    if (out.scale < FLT_MIN)
        return (adze_affine){1, symmetric ? middle : least};
    if (!symmetric) {
        double zero = rint((double)least - a / (double)out.scale);
        out.zero_point = (int32_t)fmin(fmax(zero, least), most);
    }
    return out;
}

int32_t adze_affine_quantize(const adze_affine *a, float x, int32_t least, int32_t most)
{
    float q = rintf(x / a->scale) + (float)a->zero_point;
    return (int32_t)fminf(fmaxf(q, (float)least), (float)most);
}

/* ---- groups ---- */

static int64_t inner_of(const adze_tensor *w, int axis)
{
    return adze_shape_elements(w->rank - axis - 1, w->dims + axis + 1);
}

int64_t adze_weights_group(const adze_tensor *w, const adze_grouping *g, int64_t i)
{
    if (g->axis < 0)
        return 0;
    int64_t inner = inner_of(w, g->axis), size = w->dims[g->axis], along = i / inner % size;
    if (g->block == 0)
        return along;
    int64_t blocks = (size + g->block - 1) / g->block;
    return (i / inner / size * blocks + along / g->block) * inner + i % inner;
}

static void shape_scales(adze_quantized *out, const adze_tensor *w, const adze_grouping *g)
{
    *out = (adze_quantized){.groups = 1};
    if (g->axis < 0)
        return;
    if (g->block == 0) {
        out->scale_rank = 1;
        out->groups = out->scale_dims[0] = w->dims[g->axis];
        return;
    }
    out->scale_rank = w->rank;
    for (int i = 0; i < w->rank; i++)
        out->scale_dims[i] = w->dims[i];
    out->scale_dims[g->axis] = (w->dims[g->axis] + g->block - 1) / g->block;
    out->groups = adze_shape_elements(out->scale_rank, out->scale_dims);
}

/* ---- choosing ---- */

typedef struct chooser {
    const adze_tensor *w;
    const adze_grouping *grouping;
    const adze_weight_recipe *how;
    int64_t groups;
    float *low, *high;
    int64_t *group_of; /* [elements] */
} chooser;

static void find_ranges(const chooser *c)
{
    const float *x = c->w->data;
    int64_t n = adze_tensor_elements(c->w);
    for (int64_t i = 0; i < n; i++) {
        int64_t g = c->group_of[i] = adze_weights_group(c->w, c->grouping, i);
        c->low[g] = fminf(c->low[g], x[i]);
        c->high[g] = fmaxf(c->high[g], x[i]);
    }
}

/* For each group the share of its range with the least squared error. */
static bool shrink_ranges(const chooser *c, adze_arena *scratch)
{
    const float *x = c->w->data;
    int64_t n = adze_tensor_elements(c->w);
    size_t groups = (size_t)c->groups;
    double *error = ADZE_ARENA_ARRAY(scratch, double, groups);
    double *best = ADZE_ARENA_ARRAY(scratch, double, groups);
    double *share = ADZE_ARENA_ARRAY(scratch, double, groups);
    adze_affine *affine = ADZE_ARENA_ARRAY(scratch, adze_affine, groups);
    int32_t least, most;
    if (!error || !best || !share || !affine)
        return false;
    adze_affine_limits(c->how->type, c->how->symmetric, &least, &most);
    for (int step = 0; step <= 60; step++) {
        double s = 1 - step * 0.01;
        for (int64_t g = 0; g < c->groups; g++) {
            error[g] = 0;
            affine[g] = adze_affine_from_range((float)((double)c->low[g] * s),
                                               (float)((double)c->high[g] * s), c->how->type,
                                               c->how->symmetric);
        }
        for (int64_t i = 0; i < n; i++) {
            const adze_affine *a = &affine[c->group_of[i]];
            int32_t q = adze_affine_quantize(a, x[i], least, most) - a->zero_point;
            double d = (double)x[i] - (double)q * (double)a->scale;
            error[c->group_of[i]] += d * d;
        }
        for (int64_t g = 0; g < c->groups; g++)
            if (step == 0 || error[g] < best[g]) {
                best[g] = error[g];
                share[g] = s;
            }
    }
    for (int64_t g = 0; g < c->groups; g++) {
        c->low[g] = (float)((double)c->low[g] * share[g]);
        c->high[g] = (float)((double)c->high[g] * share[g]);
    }
    return true;
}

adze_status adze_weights_scales(adze_quantized *out, const adze_tensor *w,
                                const adze_grouping *grouping, const adze_weight_recipe *how,
                                const float *least, adze_arena *scratch, adze_error *err)
{
    shape_scales(out, w, grouping);
    chooser c = {.w = w, .grouping = grouping, .how = how, .groups = out->groups};
    size_t n = (size_t)out->groups;
    c.low = ADZE_ARENA_ARRAY(scratch, float, n);
    c.high = ADZE_ARENA_ARRAY(scratch, float, n);
    c.group_of = ADZE_ARENA_ARRAY(scratch, int64_t, (size_t)adze_tensor_elements(w));
    out->affine = ADZE_ARENA_ARRAY(scratch, adze_affine, n);
    if (!c.low || !c.high || !c.group_of || !out->affine)
        return adze_fail(err, ADZE_NO_MEMORY, "weights: out of memory");
    find_ranges(&c);
    if (how->calibrator == ADZE_CALIBRATOR_MSE && !shrink_ranges(&c, scratch))
        return adze_fail(err, ADZE_NO_MEMORY, "weights: out of memory");
    for (int64_t g = 0; g < out->groups; g++) {
        out->affine[g] = adze_affine_from_range(c.low[g], c.high[g], how->type, how->symmetric);
        if (least && out->affine[g].scale < least[g])
            out->affine[g].scale = least[g];
    }
    return ADZE_OK;
}

/* ---- rounding ---- */

void adze_weights_quantize(void *out, const adze_quantized *q, const adze_tensor *w,
                           const adze_grouping *grouping, const adze_weight_recipe *how)
{
    const float *x = w->data;
    int64_t n = adze_tensor_elements(w);
    int32_t least, most;
    adze_affine_limits(how->type, how->symmetric, &least, &most);
    for (int64_t i = 0; i < n; i++) {
        int32_t v =
            adze_affine_quantize(&q->affine[adze_weights_group(w, grouping, i)], x[i], least, most);
        if (how->type == ADZE_I4 || how->type == ADZE_U4)
            adze_packed_set(how->type, out, i, v);
        else
            ((uint8_t *)out)[i] = (uint8_t)v;
    }
}

float adze_weights_rounded(const adze_quantized *q, const adze_tensor *w,
                           const adze_grouping *grouping, const adze_weight_recipe *how, int64_t i)
{
    int32_t least, most;
    adze_affine_limits(how->type, how->symmetric, &least, &most);
    const adze_affine *a = &q->affine[adze_weights_group(w, grouping, i)];
    int32_t v = adze_affine_quantize(a, ((const float *)w->data)[i], least, most);
    return (float)(v - a->zero_point) * a->scale;
}
