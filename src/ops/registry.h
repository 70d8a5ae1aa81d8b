/* The table of all operators. A family file ends with `const adze_op adze_ops_<family>[]`, closed by a
 * row whose name is NULL; one line in ADZE_OP_FAMILIES makes it known. */
#ifndef ADZE_OPS_REGISTRY_H
#define ADZE_OPS_REGISTRY_H
#include "adze/op.h"
#include "graph/ir.h"

/* clang-format off */
#define ADZE_OP_FAMILIES(X) \
    X(onnx_attention) X(group_query) X(rotary) X(linear_attention) X(einsum) \
    X(activation) X(softmax) X(elementwise) X(cast) X(convolution) X(transposed) X(matrix) \
    X(pooling) X(normalization) X(norms) X(reduction) X(selection) X(shape) X(arrange) X(pad) \
    X(recurrent) X(detection) X(deformable) X(losses) X(signal) X(random) X(optimizers) \
    X(control) X(scan) X(sequence) X(optional) \
    X(index) X(gather_blocks) X(resize) X(grid) X(quantize) X(qlinear) \
    X(strings) X(tfidf) X(labels) X(features) X(trees) X(linear_models) \
    X(language) X(language_cache) X(language_moe)
/* clang-format on */

#define X(family) extern const adze_op adze_ops_##family[];
ADZE_OP_FAMILIES(X)
#undef X

typedef struct adze_registry {
    adze_map by_name; /* "domain:name" -> const adze_op */
} adze_registry;

/* Fills context->registry with the built-in families. */
adze_status adze_registry_open(adze_context *context, adze_error *err) ADZE_MUST_CHECK;

/* Looks up node->op by domain and op_type, in subgraphs too. */
void adze_graph_resolve_ops(adze_graph *graph);

/* Longest integer content that flows through inference as dimensions. */
#define ADZE_KNOWN_MAX 64

/* Inference context: where types come from and go to (graph values at load, tensors at run time). */
struct adze_infer {
    const adze_node *node;
    adze_dims *dims;
    int input_count, output_count;
    const adze_type *const *inputs;     /* NULL: absent */
    const adze_tensor *const *contents; /* NULL entries: unknown */
    const adze_dim *const *known;       /* NULL entries: unknown */
    const int *known_counts;
    adze_type *outputs;                    /* rank -1 until set */
    adze_dim (*known_out)[ADZE_KNOWN_MAX]; /* [output_count][]: by set_ints */
    int *known_out_counts;                 /* -1: not said */
};

/* Calls the operator's infer; a failure names the node. */
adze_status adze_infer_run(adze_infer *infer, adze_error *err) ADZE_MUST_CHECK;

/* Infers all types of a graph, symbolically; unknown operators leave rank -1 behind and go on. Also
 * resolves operators that are not resolved yet. Runs again after passes. */
adze_status adze_graph_infer(adze_graph *graph, adze_error *err) ADZE_MUST_CHECK;
/* The same for one node, whose inputs are inferred already. */
adze_status adze_graph_infer_node(adze_node *node, adze_error *err) ADZE_MUST_CHECK;

#endif
