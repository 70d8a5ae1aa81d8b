/* Shared by the levels of depthwise convolution: which taps of a window lie inside the input, and
 * which outputs of a row have all of theirs inside. */
#ifndef ADZE_KERNELS_DWCONV_IMPL_H
#define ADZE_KERNELS_DWCONV_IMPL_H
#include "kernels/dwconv.h"

/* The taps [first, last) of a window starting at `start` that fall inside [0, size). */
typedef struct adze_taps {
    int64_t start, first, last;
} adze_taps;

static inline adze_taps adze_taps_inside(int64_t start, int64_t taps, int64_t dilation,
                                         int64_t size)
{
    adze_taps range = {start, 0, taps};
    while (range.first < taps && start + range.first * dilation < 0)
        range.first++;
    while (range.last > range.first && start + (range.last - 1) * dilation >= size)
        range.last--;
    return range;
}

/* Outputs [*first, *last) of a row of ow need no padding at the sides. */
static inline void adze_dwconv_interior(const adze_dwconv_shape *s, int64_t *first, int64_t *last)
{
    int64_t reach = (s->kw - 1) * s->dilation_w - s->pad_left;
    *first = ADZE_MIN((s->pad_left + s->stride_w - 1) / s->stride_w, s->ow);
    int64_t end = s->w - reach > 0 ? (s->w - 1 - reach) / s->stride_w + 1 : 0;
    *last = ADZE_MAX(ADZE_MIN(end, s->ow), *first);
}

/* The reference, for what a level does not do itself. */
void adze_dwconv_q8_rows_ref(const adze_dwconv_q8_args *args, int64_t image, int64_t first,
                             int64_t last);

#endif
