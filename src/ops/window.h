/* The sliding windows of convolution and pooling: kernel, strides, dilations, pads and how the output
 * size follows (ONNX Conv, ConvTranspose, MaxPool, AveragePool, LpPool). */
#ifndef ADZE_OPS_WINDOW_H
#define ADZE_OPS_WINDOW_H
#include "adze/op.h"

#define ADZE_WINDOW_MAX 6

typedef enum adze_auto_pad {
    ADZE_PAD_EXPLICIT,
    ADZE_PAD_SAME_UPPER,
    ADZE_PAD_SAME_LOWER,
    ADZE_PAD_VALID
} adze_auto_pad;

typedef struct adze_window {
    int rank; /* spatial axes */
    int64_t kernel[ADZE_WINDOW_MAX], stride[ADZE_WINDOW_MAX], dilation[ADZE_WINDOW_MAX];
    int64_t pad_begin[ADZE_WINDOW_MAX], pad_end[ADZE_WINDOW_MAX];
    adze_auto_pad auto_pad;
    bool ceil_mode;
} adze_window;

/* Reads the attributes. kernel NULL: from kernel_shape. Fails with ADZE_BAD_MODEL. */
adze_status adze_window_read(adze_window *w, const adze_node *node, int rank, const int64_t *kernel,
                             adze_error *err) ADZE_MUST_CHECK;
/* Output size of one axis for an input size, symbolic or a number. */
adze_dim adze_window_output(adze_infer *infer, const adze_window *w, int axis, adze_dim in);
int64_t adze_window_output_size(const adze_window *w, int axis, int64_t in);
/* Fills pad_begin and pad_end of SAME_* for these input sizes. */
void adze_window_resolve(adze_window *w, const int64_t *in);
/* Shape of a convolution whose weights are input `weights`. */
adze_status adze_conv_infer_with(adze_infer *infer, int weights, adze_dtype out_dtype,
                                 adze_error *err) ADZE_MUST_CHECK;
/* Input 2 is absent or [channels]. */
adze_status adze_conv_check_bias(const adze_infer *infer, adze_dim channels,
                                 adze_error *err) ADZE_MUST_CHECK;
/* Of Conv and what computes like it: weights [outputs, ...] at input 1. */
void adze_conv_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                    const adze_tensor *const *outputs);
/* Span of the kernel with its dilation. */
int64_t adze_window_span(const adze_window *w, int axis);

#endif
