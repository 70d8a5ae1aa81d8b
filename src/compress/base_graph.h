/* The graph that is calibrated and quantized: the model's own, with BatchNormalization folded into the
 * weights, still in the form of files. */
#ifndef ADZE_COMPRESS_BASE_GRAPH_H
#define ADZE_COMPRESS_BASE_GRAPH_H
#include "compress/recipe.h"
#include "graph/ir.h"
#include "ops/registry.h"

adze_status adze_compress_base_graph(adze_graph **out, const adze_graph *graph,
                                     adze_error *err) ADZE_MUST_CHECK;

/* Cross-layer equalisation: for each pair of layers with nothing but Relu between them, the channels in
 * between get the same range of weights on both sides (Nagel et al., "Data-free quantization through
 * weight equalization and bias correction", 2019). Factors found in `given` are applied as they stand;
 * those found here are added to `found` (either may be NULL). */
adze_status adze_compress_equalize(adze_graph *graph, const adze_recipe *given, adze_recipe *found,
                                   adze_error *err) ADZE_MUST_CHECK;

/* ---- questions about nodes ---- */

bool adze_compress_is(const adze_node *node, const char *op); /* of ai.onnx; NULL is nothing */
/* float32 constant weights at input 1 of an operator with weights, bias constant or absent. */
bool adze_compress_has_weights(const adze_node *node);
/* Axis of the weights that holds output channels; -1: none in one piece. */
int adze_compress_weight_axis(const adze_node *node);
/* Output channels; groups times that axis for ConvTranspose. */
int64_t adze_compress_channels(const adze_node *node);
/* Axis of input 0 that holds channels. */
int adze_compress_input_axis(const adze_node *node);

/* A new constant of this type and shape, its bytes zeroed and to be filled in; NULL: out of memory. */
adze_value *adze_compress_constant(adze_graph *graph, const char *name, adze_dtype dtype, int rank,
                                   const int64_t *dims, void **data);

#endif
