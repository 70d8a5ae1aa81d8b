/* Sliding windows: attributes and sizes. */
#include "ops/window.h"

#include <string.h>

#include "base/error.h"

static adze_status read_list(int64_t *out, const adze_node *node, const char *name, int count,
                             int64_t otherwise, int64_t least, adze_error *err)
{
    int n;
    const int64_t *values = adze_node_ints(node, name, &n);
    for (int i = 0; i < count; i++)
        out[i] = values && i < n ? values[i] : otherwise;
    if (values && n != count)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %s has %d elements, expected %d",
                         adze_node_op(node), adze_node_name(node), name, n, count);
    for (int i = 0; i < count; i++)
        if (out[i] < least || out[i] > INT32_MAX)
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %s[%d] is %lld", adze_node_op(node),
                             adze_node_name(node), name, i, (long long)out[i]);
    return ADZE_OK;
}

adze_status adze_window_read(adze_window *w, const adze_node *node, int rank, const int64_t *kernel,
                             adze_error *err)
{
    *w = (adze_window){.rank = rank};
    if (rank < 0 || rank > ADZE_WINDOW_MAX)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s '%s': %d spatial axes, at most %d",
                         adze_node_op(node), adze_node_name(node), rank, ADZE_WINDOW_MAX);
    ADZE_TRY(read_list(w->kernel, node, "kernel_shape", rank, kernel ? 1 : 0, 1, err));
    for (int i = 0; kernel && i < rank; i++) {
        if (adze_node_has(node, "kernel_shape") && w->kernel[i] != kernel[i])
            return adze_fail(err, ADZE_BAD_MODEL,
                             "%s '%s': kernel_shape[%d] is %lld, but the weights have %lld",
                             adze_node_op(node), adze_node_name(node), i, (long long)w->kernel[i],
                             (long long)kernel[i]);
        w->kernel[i] = kernel[i];
    }
    ADZE_TRY(read_list(w->stride, node, "strides", rank, 1, 1, err));
    ADZE_TRY(read_list(w->dilation, node, "dilations", rank, 1, 1, err));
    int64_t pads[2 * ADZE_WINDOW_MAX];
    const char *mode = adze_node_string(node, "auto_pad", "NOTSET");
    w->auto_pad = strcmp(mode, "SAME_UPPER") == 0   ? ADZE_PAD_SAME_UPPER
                  : strcmp(mode, "SAME_LOWER") == 0 ? ADZE_PAD_SAME_LOWER
                  : strcmp(mode, "VALID") == 0      ? ADZE_PAD_VALID
                                                    : ADZE_PAD_EXPLICIT;
    ADZE_TRY(read_list(pads, node, "pads", 2 * rank, 0, -INT32_MAX, err));
    for (int i = 0; i < rank && w->auto_pad == ADZE_PAD_EXPLICIT; i++) {
        w->pad_begin[i] = pads[i];
        w->pad_end[i] = pads[rank + i];
    }
    w->ceil_mode = adze_node_int(node, "ceil_mode", 0) != 0;
    return ADZE_OK;
}

int64_t adze_window_span(const adze_window *w, int axis)
{
    return (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static bool is_same(const adze_window *w)
{
    return w->auto_pad == ADZE_PAD_SAME_UPPER || w->auto_pad == ADZE_PAD_SAME_LOWER;
}

int64_t adze_window_output_size(const adze_window *w, int axis, int64_t in)
{
    int64_t stride = w->stride[axis];
    if (is_same(w))
        return (in + stride - 1) / stride;
    int64_t room = in + w->pad_begin[axis] + w->pad_end[axis] - adze_window_span(w, axis);
    if (room < 0)
        return 0;
    int64_t out = (w->ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    /* The last window of ceil mode must start inside the image or its left padding. */
    if (w->ceil_mode && (out - 1) * stride >= in + w->pad_begin[axis])
        out--;
    return out;
}

adze_dim adze_window_output(adze_infer *infer, const adze_window *w, int axis, adze_dim in)
{
    if (in >= 0)
        return adze_window_output_size(w, axis, in);
    if (is_same(w))
        return adze_infer_ceil(infer, in, w->stride[axis]);
    if (w->ceil_mode && w->stride[axis] > 1)
        return adze_infer_unknown(infer, INT64_MAX);
    int64_t extra = w->pad_begin[axis] + w->pad_end[axis] - adze_window_span(w, axis);
    adze_dim room =
        extra >= 0 ? adze_infer_add(infer, in, extra) : adze_infer_sub(infer, in, -extra);
    return adze_infer_add(infer, adze_infer_div(infer, room, w->stride[axis]), 1);
}

void adze_window_resolve(adze_window *w, const int64_t *in)
{
    for (int i = 0; i < w->rank && is_same(w); i++) {
        int64_t out = (in[i] + w->stride[i] - 1) / w->stride[i];
        int64_t total = (out - 1) * w->stride[i] + adze_window_span(w, i) - in[i];
        total = ADZE_MAX(total, 0);
        w->pad_begin[i] = w->auto_pad == ADZE_PAD_SAME_UPPER ? total / 2 : (total + 1) / 2;
        w->pad_end[i] = total - w->pad_begin[i];
    }
}
