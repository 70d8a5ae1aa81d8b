/* Zero padding in front of a convolution or pooling becomes padding of that operator. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <math.h>
#include <string.h>

/* Padding of spatial axes, begins then ends, as Conv has it. */
typedef struct padding {
    int spatial;
    int64_t pads[2 * ADZE_MAX_RANK];
} padding;

static bool read_axes(const adze_node *pad, int rank, int count, int64_t *axes)
{
    const adze_value *value = adze_rw_input(pad, 3);
    for (int i = 0; i < count; i++)
        axes[i] = i;
    if (value && adze_rw_ints(value, axes, ADZE_MAX_RANK) != count)
        return false;
    for (int i = 0; i < count; i++)
        axes[i] += axes[i] < 0 ? rank : 0;
    return value || count == rank;
}

/* A Pad with zeros on spatial axes only. */
static bool match_pad(padding *out, const adze_node *pad)
{
    int64_t raw[2 * ADZE_MAX_RANK], axes[ADZE_MAX_RANK];
    double fill = 0;
    int rank = pad->inputs[0]->type.rank, n = adze_rw_ints(pad->inputs[1], raw, 2 * ADZE_MAX_RANK);
    if (rank < 3 || n < 0 || strcmp(adze_node_string(pad, "mode", "constant"), "constant") != 0 ||
        (adze_rw_input(pad, 2) && (!adze_rw_scalar(pad->inputs[2], &fill) || fill != 0)) ||
        !read_axes(pad, rank, n / 2, axes))
        return false;
    *out = (padding){.spatial = rank - 2};
    for (int i = 0; i < n / 2; i++) {
        int64_t begin = raw[i], end = raw[n / 2 + i];
        if (begin < 0 || end < 0 || axes[i] < 0 || axes[i] >= rank ||
            (axes[i] < 2 && (begin || end)))
            return false;
        if (axes[i] < 2)
            continue;
        out->pads[axes[i] - 2] = begin;
        out->pads[axes[i] - 2 + out->spatial] = end;
    }
    return true;
}

/* Padding of the operator itself; false when it is found from the shape. */
static bool add_own_pads(padding *p, const adze_node *node)
{
    const char *mode = adze_node_string(node, "auto_pad", "NOTSET");
    int n;
    const int64_t *pads = adze_node_ints(node, "pads", &n);
    if (strcmp(mode, "VALID") == 0)
        return true;
    if (strcmp(mode, "NOTSET") != 0 || (pads && n != 2 * p->spatial))
        return false;
    for (int i = 0; i < n; i++)
        p->pads[i] += pads[i];
    return true;
}

static bool has_pads(const adze_node *node)
{
    int n;
    const int64_t *pads = adze_node_ints(node, "pads", &n);
    for (int i = 0; i < n; i++)
        if (pads[i] != 0)
            return true;
    return false;
}

/* Nothing below zero comes out: zero padding does not change a maximum. */
static bool never_negative(const adze_value *value)
{
    double low;
    const adze_node *clip = adze_rw_producer(value, "Clip");
    if (clip)
        return adze_rw_scalar(adze_rw_input(clip, 1), &low) && low >= 0;
    return adze_rw_producer(value, "Relu") || adze_rw_producer(value, "Sigmoid");
}

/* Each window must see something else than padding. */
static bool windows_stay_inside(const padding *p, const adze_node *node)
{
    int n;
    const int64_t *kernel = adze_node_ints(node, "kernel_shape", &n);
    if (n != p->spatial || adze_node_int(node, "ceil_mode", 0) != 0)
        return false;
    for (int i = 0; i < n; i++)
        if (p->pads[i] >= kernel[i] || p->pads[i + n] >= kernel[i])
            return false;
    return true;
}

static bool may_take(const padding *p, const adze_node *node, const adze_node *pad)
{
    if (adze_rw_is(node, "Conv"))
        return true;
    if (!windows_stay_inside(p, node))
        return false;
    if (adze_rw_is(node, "MaxPool"))
        return !adze_rw_has_output(node, 1) && !adze_node_has(node, "dilations") &&
               never_negative(pad->inputs[0]);
    return adze_rw_is(node, "AveragePool") &&
           (!has_pads(node) || adze_node_int(node, "count_include_pad", 0));
}

static bool fuse(adze_rewriter *rw, adze_node *node)
{
    adze_node *pad = node->input_count > 0 ? adze_rw_producer(node->inputs[0], "Pad") : NULL;
    padding p;
    if (!pad || !adze_rw_is_float(pad->inputs[0]) ||
        (!adze_rw_is(node, "Conv") && !adze_rw_is(node, "MaxPool") &&
         !adze_rw_is(node, "AveragePool")) ||
        !match_pad(&p, pad) || !add_own_pads(&p, node) || !may_take(&p, node, pad))
        return false;
    adze_node_remove_attr(node, "auto_pad");
    bool average = adze_rw_is(node, "AveragePool");
    adze_rw_check(rw, adze_node_set_ints(node, "pads", 2 * p.spatial, p.pads) &&
                          (!average || adze_node_set_int(node, "count_include_pad", 1)));
    adze_rw_set_input(rw, node, 0, pad->inputs[0]);
    return true;
}

adze_status adze_pass_fuse_pad(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fuse, changed, err);
}
