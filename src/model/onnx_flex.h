/* The pieces of a FlexAttention whose graphs (score_mod, prob_mod) are put in its place. */
#ifndef ADZE_MODEL_ONNX_FLEX_H
#define ADZE_MODEL_ONNX_FLEX_H
#include "graph/ir.h"

/* Scores in the precision of the softmax, before the node. */
adze_status adze_onnx_flex_scores(adze_value **out, const adze_node *node,
                                  adze_error *err) ADZE_MUST_CHECK;
adze_status adze_onnx_flex_softmax(adze_value **out, const adze_node *node, adze_value *scores,
                                   adze_error *err) ADZE_MUST_CHECK;
/* The node becomes the last product. */
adze_status adze_onnx_flex_finish(adze_node *node, adze_value *probabilities,
                                  adze_error *err) ADZE_MUST_CHECK;

#endif
