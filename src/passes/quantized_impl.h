/* Reading of QuantizeLinear and DequantizeLinear for the passes about quantized values. */
#ifndef ADZE_PASSES_QUANTIZED_IMPL_H
#define ADZE_PASSES_QUANTIZED_IMPL_H
#include "passes/rewriter_impl.h"

/* How a QuantizeLinear or DequantizeLinear node maps stored numbers to real ones. */
typedef struct adze_qparams {
    adze_dtype dtype; /* of the stored numbers */
    int axis;         /* -1: one scale */
    int64_t count;
    const adze_tensor *scale;
    const adze_tensor *zero_point; /* NULL: zero */
} adze_qparams;

/* False when the scales are not constants, come in blocks or are not float32. */
bool adze_qparams_read(adze_qparams *out, const adze_node *node);
bool adze_qparams_equal(const adze_qparams *a, const adze_qparams *b);
/* 8 bits and one scale: what activations of integer operators have. */
bool adze_qparams_is_activation(const adze_qparams *p);
float adze_qparams_scale(const adze_qparams *p, int64_t i);
int32_t adze_qparams_zero(const adze_qparams *p, int64_t i);
const adze_quant *adze_qparams_quant(adze_rewriter *rw, const adze_qparams *p);

/* A DequantizeLinear that makes the value, with its parameters; NULL: none. */
adze_node *adze_rw_dequantizer(const adze_value *value, adze_qparams *out);
/* A QuantizeLinear of activations that alone uses the value; NULL: none. */
adze_node *adze_rw_quantizer(adze_rewriter *rw, const adze_value *value, adze_qparams *out);
/* Says in the type of `value` what its numbers mean, if all who use it read it so. False: they do not. */
bool adze_rw_set_quant(adze_rewriter *rw, adze_value *value, const adze_qparams *p);
/* `to`, which is to stand for `from`, takes over what its numbers mean. False: others read them differently. */
bool adze_rw_adopt_quant(adze_rewriter *rw, const adze_value *from, adze_value *to);
bool adze_rw_can_set_quant(adze_rewriter *rw, const adze_value *value, const adze_qparams *p);

#endif
