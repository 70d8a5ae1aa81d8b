/* Writing quantized constants and the nodes around them. Names are short and equal constants shared,
 * since on small models they would weigh more than the weights. */
#ifndef ADZE_COMPRESS_QDQ_H
#define ADZE_COMPRESS_QDQ_H
#include "compress/weights.h"

typedef struct adze_qdq {
    adze_graph *graph;
    adze_arena *arena;  /* scratch */
    adze_map constants; /* content -> value */
} adze_qdq;

adze_qdq adze_qdq_writer(adze_graph *graph, adze_arena *scratch);
adze_status adze_qdq_no_memory(adze_error *err);

/* A constant with these bytes: one made before when it is equal. NULL: out of memory. */
adze_value *adze_qdq_shared(adze_qdq *w, adze_dtype dtype, int rank, const int64_t *dims,
                            const void *bytes);
/* Scales and zero points of `q`; zero may be NULL. False: out of memory. */
bool adze_qdq_scales(adze_qdq *w, adze_value **scale, adze_value **zero, adze_dtype type,
                     const adze_quantized *q);
/* A node of ai.onnx with one output, called "<prefix><id>". NULL: out of memory. */
adze_node *adze_qdq_node(adze_qdq *w, const char *op, const char *prefix, int id,
                         adze_value *const *inputs, int count);

/* How the recipe groups the weights of this node. */
adze_grouping adze_qdq_grouping(const adze_node *node, const adze_weight_recipe *how);
/* The constant's integers under its name, and how they were made. `name_from` may be NULL. */
adze_status adze_qdq_stored(adze_qdq *w, adze_value **out, adze_quantized *q, const adze_tensor *t,
                            const adze_grouping *grouping, const adze_weight_recipe *how,
                            const float *least, adze_error *err) ADZE_MUST_CHECK;
/* The output of a DequantizeLinear over `stored`. Without `zeros` the zero points, being zero, are
 * left out. */
adze_status adze_qdq_dequantized(adze_qdq *w, adze_value **out, adze_value *stored,
                                 const adze_quantized *q, const adze_grouping *grouping, bool zeros,
                                 adze_error *err) ADZE_MUST_CHECK;
/* `value` is from now on made by output 0 of `node`, which stands for the node that made it before. */
void adze_qdq_take_over(adze_node *node, adze_value *value);

#endif
