/* How a convolution becomes matrix products, and where their A comes from. */
#ifndef ADZE_KERNELS_CONV_IMPL_H
#define ADZE_KERNELS_CONV_IMPL_H
#include "kernels/conv.h"
#include "kernels/split_impl.h"

typedef enum adze_conv_way {
    ADZE_CONV_IN_PLACE, /* pointwise: A is the input as it lies */
    ADZE_CONV_LINES, /* A is a view of input lines, copied once with their padding: for wide lines */
    ADZE_CONV_WINDOWS, /* the windows are gathered: any dilation, groups, narrow lines */
} adze_conv_way;

typedef struct adze_conv_plan {
    const adze_conv_shape *shape;
    adze_conv_way way;
    size_t element;      /* bytes of an input element */
    int64_t inputs;      /* elements of x */
    int64_t m, n, k;     /* of the matrix product of one group */
    int64_t group_c;     /* input channels of a group */
    int64_t part;        /* kw * group_c, rounded up to whole groups of the table */
    int64_t depth;       /* kh parts: k as the product sees it */
    int64_t pitch;       /* elements from one copied line to the next */
    int64_t lines;       /* output lines of a piece, not across images */
    adze_split split;    /* lines: m counts output lines */
    size_t a_bytes;      /* of one worker: what is copied */
    size_t worker_bytes; /* that and the sums of rows */
} adze_conv_plan;

adze_conv_plan adze_conv_plan_make(const adze_kernels *kernels, const adze_conv_shape *s,
                                   size_t element);

/* What the copies are made from. */
typedef struct adze_conv_source {
    const uint8_t *x; /* the group's first channel of the first pixel */
    const uint8_t *end;
    uint8_t pad, flip; /* flip: for lines alone */
} adze_conv_source;

/* The windows of output pixels [first, first + rows), counted over the images. */
void adze_conv_gather(const adze_conv_plan *p, const adze_conv_source *from, int64_t first,
                      int64_t rows, uint8_t *out);

/* All input lines that output lines [first, first + lines), counted over the images, need. */
void adze_conv_copy_lines(const adze_conv_plan *p, const adze_conv_source *from, int64_t first,
                          int64_t lines, uint8_t *out);

/* A piece: output pixels and columns, whatever the way. */
adze_block adze_conv_block(const adze_conv_plan *p, int64_t piece);
int64_t adze_conv_pieces(const adze_conv_plan *p);
adze_gemm_view adze_conv_view(const adze_conv_plan *p);

#endif
