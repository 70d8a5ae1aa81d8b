/* DeformConv: a convolution whose taps are moved by computed offsets and read between pixels. The
 * values of all taps of some output places become rows of a matrix, which goes to the matrix product. */
#include <math.h>
#include <string.h>

#include "kernels/conv.h"
#include "ops/helpers.h"
#include "ops/window.h"

enum { PLACES = 256 }; /* output places at a time */

static adze_status deform_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    return x && adze_ops_ranked(infer, 1)
               ? adze_conv_infer_with(infer, 1, adze_ops_real(x).dtype, err)
               : ADZE_OK;
}

typedef struct deform {
    const adze_rows_table *kernels;
    const adze_tensor *x, *w, *offset, *bias, *mask;
    adze_tensor *y;
    adze_window window;
    int64_t channels, outputs, groups, offset_groups, taps, plane, places;
    int64_t picture, first; /* of the rows being made */
    float *weights, *packed, *rows, *products, *bias_row;
    float *turned; /* the picture with its channels last; float32 only */
} deform;

static size_t round16(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static void measure(deform *d, const adze_run *run)
{
    *d = (deform){.kernels = &run->kernels->rows,
                  .x = run->inputs[0],
                  .w = run->inputs[1],
                  .offset = run->inputs[2],
                  .bias = adze_ops_input(run, 3),
                  .mask = adze_ops_input(run, 4),
                  .y = run->outputs[0]};
    d->channels = d->x->dims[1];
    d->outputs = d->w->dims[0];
    d->groups = ADZE_MAX(1, adze_node_int(run->node, "group", 1));
    d->offset_groups = adze_node_int(run->node, "offset_group", 1);
    d->taps = d->plane = d->places = 1;
    for (int i = 2; i < d->x->rank; i++) {
        d->taps *= d->w->dims[i];
        d->plane *= d->x->dims[i];
        d->places *= d->y->dims[i];
    }
}

/* Places the arrays from `base`; returns the floats they take. */
static size_t place(deform *d, const adze_gemm_f32_table *t, float *base)
{
    size_t k = (size_t)(d->channels * d->taps), n = (size_t)d->outputs, at = 0;
    size_t group = t->packed_size(d->outputs / d->groups, d->channels / d->groups * d->taps);
    float **parts[] = {&d->packed, &d->rows, &d->products, &d->bias_row, &d->weights, &d->turned};
    size_t sizes[] = {round16(group) * (size_t)d->groups,
                      PLACES * k,
                      PLACES * n,
                      n,
                      d->w->dtype == ADZE_F32 ? 0 : (size_t)adze_tensor_elements(d->w),
                      d->x->dtype == ADZE_F32 ? (size_t)(d->channels * d->plane) : 0};
    for (size_t i = 0; i < ADZE_COUNT_OF(parts); i++) {
        *parts[i] = base ? base + at : NULL;
        at += round16(sizes[i]);
    }
    return at;
}

static size_t deform_scratch(const adze_run *run)
{
    deform d;
    measure(&d, run);
    return place(&d, &run->kernels->gemm_f32, NULL) * sizeof(float);
}

typedef struct corner_set {
    int count;
    int64_t at[1 << ADZE_WINDOW_MAX];
    double weight[1 << ADZE_WINDOW_MAX];
} corner_set;

/* The pixels around tap `tap` of output place `place`, for one group of offsets. */
static void find_corners(const deform *d, int64_t group, int64_t tap, int64_t place, corner_set *s)
{
    int rank = d->window.rank;
    int64_t first = (d->picture * d->offset_groups + group) * d->taps + tap, at = place;
    s->count = 1;
    s->at[0] = 0;
    s->weight[0] = d->mask ? adze_ops_get(d->mask, first * d->places + place) : 1;
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int64_t k = tap % d->window.kernel[i], out = at % d->y->dims[2 + i], n = d->x->dims[2 + i];
        tap /= d->window.kernel[i];
        at /= d->y->dims[2 + i];
        double v = (double)(out * d->window.stride[i] - d->window.pad_begin[i] +
                            k * d->window.dilation[i]) +
                   adze_ops_get(d->offset, (first * rank + i) * d->places + place);
        if (!(v > -1 && v < (double)n)) {
            s->count = 0;
            return;
        }
        int64_t low = (int64_t)floor(v);
        double rest = v - (double)low;
        int kept = 0, before = s->count;
        int64_t old_at[1 << ADZE_WINDOW_MAX];
        double old_weight[1 << ADZE_WINDOW_MAX];
        memcpy(old_at, s->at, (size_t)before * sizeof *old_at);
        memcpy(old_weight, s->weight, (size_t)before * sizeof *old_weight);
        for (int c = 0; c < before; c++)
            for (int side = 0; side < 2; side++) {
                if (low + side < 0 || low + side >= n)
                    continue;
                s->at[kept] = old_at[c] + (low + side) * stride;
                s->weight[kept++] = old_weight[c] * (side ? rest : 1 - rest);
            }
        s->count = kept;
        stride *= n;
    }
}

/* Channels [first, last) of a tap, all of one group of the product, to `row`: [channels]. */
static void make_values(const deform *d, const corner_set *s, int64_t first, int64_t last,
                        float *row)
{
    int64_t at[1 << ADZE_WINDOW_MAX];
    float weights[1 << ADZE_WINDOW_MAX];
    if (d->x->dtype == ADZE_F32) {
        for (int k = 0; k < s->count; k++) {
            at[k] = s->at[k] * d->channels + first;
            weights[k] = (float)s->weight[k];
        }
        memset(row, 0, (size_t)(last - first) * sizeof *row);
        d->kernels->blend(last - first, s->count, d->turned, at, weights, row);
        return;
    }
    for (int64_t c = first; c < last; c++) {
        double sum = 0;
        for (int k = 0; k < s->count; k++)
            sum += s->weight[k] *
                   adze_ops_get(d->x, (d->picture * d->channels + c) * d->plane + s->at[k]);
        row[c - first] = (float)sum;
    }
}

/* A row has for each group of the product [taps][channels of the group]. */
static void make_rows(void *user, int64_t begin, int64_t end, int worker)
{
    const deform *d = user;
    ADZE_UNUSED(worker);
    int64_t per = d->channels / d->offset_groups, group = d->channels / d->groups;
    for (int64_t i = begin; i < end; i++)
        for (int64_t g = 0; g < d->offset_groups; g++)
            for (int64_t tap = 0; tap < d->taps; tap++) {
                corner_set s;
                float *row = d->rows + i * d->channels * d->taps;
                find_corners(d, g, tap, d->first + i, &s);
                for (int64_t c = g * per, last; c < (g + 1) * per; c = last) {
                    last = ADZE_MIN((g + 1) * per, (c / group + 1) * group);
                    make_values(d, &s, c, last,
                                row + (c / group * d->taps + tap) * group + c % group);
                }
            }
}

static adze_status check(const deform *d, const adze_node *node, adze_error *err)
{
    int64_t n = d->x->dims[0];
    if (d->offset_groups < 1 || d->channels % d->offset_groups != 0 ||
        d->channels % d->groups != 0 || d->outputs % d->groups != 0 ||
        d->w->dims[1] != d->channels / d->groups)
        return adze_ops_bad(node, err, "channels do not divide into the groups");
    int64_t each = n * d->offset_groups * d->taps * d->places;
    bool fits = adze_tensor_elements(d->offset) == each * d->window.rank &&
                (!d->mask || adze_tensor_elements(d->mask) == each) &&
                (!d->bias || adze_tensor_elements(d->bias) == d->outputs);
    return fits ? ADZE_OK : adze_ops_bad(node, err, "offset, mask or bias do not fit the output");
}

static void pack(deform *d, const adze_kernels *k, size_t stride)
{
    int64_t n = d->outputs / d->groups, depth = d->channels / d->groups * d->taps;
    const float *w = d->w->data;
    if (d->w->dtype != ADZE_F32) {
        adze_ops_load(k, d->w, 0, 1, adze_tensor_elements(d->w), d->weights);
        w = d->weights;
    }
    for (int64_t g = 0; g < d->groups; g++)
        k->gemm_f32.pack_conv(n, d->channels / d->groups, d->taps, w + g * n * depth,
                              d->packed + (size_t)g * stride);
    for (int64_t o = 0; o < d->outputs; o++)
        d->bias_row[o] = d->bias ? (float)adze_ops_get(d->bias, o) : 0;
}

static adze_status deform_run(adze_run *run, adze_error *err)
{
    const adze_kernels *k = run->kernels;
    deform d;
    measure(&d, run);
    ADZE_TRY(adze_window_read(&d.window, run->node, d.x->rank - 2, &d.w->dims[2], err));
    ADZE_TRY(check(&d, run->node, err));
    if (adze_tensor_elements(d.y) == 0)
        return ADZE_OK;
    place(&d, &k->gemm_f32, run->scratch);
    int64_t n = d.outputs / d.groups, depth = d.channels / d.groups * d.taps;
    size_t stride = round16(k->gemm_f32.packed_size(n, depth));
    pack(&d, k, stride);
    for (d.picture = 0; d.picture < d.x->dims[0]; d.picture++) {
        if (d.x->dtype == ADZE_F32)
            adze_transpose(d.kernels, sizeof(float), d.channels, d.plane,
                           (const float *)d.x->data + d.picture * d.channels * d.plane, d.turned);
        for (d.first = 0; d.first < d.places; d.first += PLACES) {
            int64_t rows = ADZE_MIN(PLACES, d.places - d.first);
            adze_ops_parallel(run, rows, 8, make_rows, &d);
            for (int64_t g = 0; g < d.groups; g++) {
                adze_gemm_f32_args args = {.m = rows,
                                           .n = n,
                                           .k = depth,
                                           .a = d.rows + g * depth,
                                           .lda = d.channels * d.taps,
                                           .b = d.packed + (size_t)g * stride,
                                           .bias = d.bias_row + g * n,
                                           .c = d.products + g * n,
                                           .ldc = d.outputs,
                                           .lo = -INFINITY,
                                           .hi = INFINITY};
                adze_matmul_f32(k, run->pool, &args);
            }
            for (int64_t o = 0; o < d.outputs; o++)
                for (int64_t i = 0; i < rows; i++)
                    adze_ops_put(d.y, (d.picture * d.outputs + o) * d.places + d.first + i,
                                 (double)d.products[i * d.outputs + o]);
        }
    }
    return ADZE_OK;
}

const adze_op adze_ops_deformable[] = {
    {.domain = "",
     .name = "DeformConv",
     .since = 19,
     .min_inputs = 3,
     .max_inputs = 5,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "dilations group kernel_shape offset_group pads strides",
     .types = "a",
     .infer = deform_infer,
     .cost = adze_conv_cost,
     .prepare = adze_ops_prepare_float,
     .scratch = deform_scratch,
     .run = deform_run},
    {.name = NULL},
};
