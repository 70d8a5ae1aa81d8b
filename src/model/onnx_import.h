/* From ONNX structs to the graph. */
#ifndef ADZE_MODEL_ONNX_IMPORT_H
#define ADZE_MODEL_ONNX_IMPORT_H
#include "formats/onnx.h"
#include "adze/model.h"
#include "ops/registry.h"

/* adze_model_open over the bytes of an ONNX file without external data; they must outlive the model. */
adze_status adze_model_open_bytes(adze_model **out, adze_context *context, const void *bytes,
                                  size_t size, adze_error *err) ADZE_MUST_CHECK;

/* Fills an empty graph. Constants borrow the bytes of `model`, whose mappings the graph retains and whose
 * arena must outlive it. Old operator forms are adapted to the newest (onnx_adapt.c); functions are
 * expanded in place; Constant nodes become constants. Types are not inferred yet. */
adze_status adze_onnx_to_graph(adze_graph *graph, const adze_onnx_model *model,
                               adze_error *err) ADZE_MUST_CHECK;

/* A tensor over the bytes of an ONNX one. */
adze_status adze_onnx_tensor_view(adze_tensor *out, const adze_onnx_tensor *tensor,
                                  adze_error *err) ADZE_MUST_CHECK;

/* Brings `node`, read from a file of this opset version of its domain, to the newest form, before it is
 * appended to node->graph. It may append helper nodes itself before, and return in *last a node to append
 * after (NULL: none), whose outputs took the place of node's. */
adze_status adze_onnx_adapt_node(adze_node *node, int64_t opset, adze_node **last,
                                 adze_error *err) ADZE_MUST_CHECK;

/* Writes a quantized operator of com.microsoft out in ONNX's own (onnx_contrib.c); other nodes stay as
 * they are. Appends what comes before the node. */
adze_status adze_onnx_expand_contrib(adze_node *node, adze_error *err) ADZE_MUST_CHECK;
/* The same for operators that onnxruntime's optimiser fuses (onnx_fused.c). */
adze_status adze_onnx_expand_fused(adze_node *node, adze_error *err) ADZE_MUST_CHECK;

#endif
