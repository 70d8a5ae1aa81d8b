/** @file
 * The one graph: values, nodes in order, constants, symbolic dimensions, subgraphs, state.
 *
 * Every reader makes it, every pass rewrites it, the runtime executes it. Values and nodes belong to
 * their graph and die with it. The meaning of an operator is that of the newest ONNX opset known;
 * readers adapt older forms. Threads: a graph may be read by many threads while nobody changes it. */
#ifndef ADZE_GRAPH_H
#define ADZE_GRAPH_H
#include "adze/tensor.h"

ADZE_BEGIN_C

typedef struct adze_graph adze_graph;
typedef struct adze_node adze_node;
typedef struct adze_value adze_value;

/** A dimension: >= 0 a number, < 0 a symbol or an expression over symbols, defined in the graph. */
typedef int64_t adze_dim;

typedef enum adze_value_kind {
    ADZE_VALUE_TENSOR,
    ADZE_VALUE_SEQUENCE,
    ADZE_VALUE_OPTIONAL
} adze_value_kind;

typedef struct adze_type {
    adze_value_kind kind;
    adze_dtype dtype; /* of a tensor, or of the tensors in a sequence or optional */
    int rank;         /* -1: unknown */
    adze_dim dims[ADZE_MAX_RANK];
    const adze_quant *quant;       /* NULL: elements are the numbers */
    const struct adze_type *inner; /* element of a sequence or optional; NULL: unknown */
} adze_type;

/** A tensor type from numbers. */
ADZE_API adze_type adze_type_tensor(adze_dtype dtype, int rank, const adze_dim *dims);

ADZE_MUST_CHECK ADZE_API adze_status adze_graph_create(adze_graph **out, adze_context *context,
                                                       adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_graph_free(adze_graph **graph);
/** Deep copy; constants share the bytes of the original, which must outlive the copy. */
ADZE_MUST_CHECK ADZE_API adze_status adze_graph_clone(adze_graph **out, const adze_graph *graph,
                                                      adze_error *err);

/* ---- building ---- */

/** The symbol called `name`, made on first use with bounds 1 to INT64_MAX. 0 when out of memory. */
ADZE_API adze_dim adze_graph_symbol(adze_graph *graph, const char *name);
/** Narrows the bounds of a symbol; ADZE_NOT_FOUND when there is no such symbol. */
ADZE_MUST_CHECK ADZE_API adze_status adze_graph_bound(adze_graph *graph, const char *name,
                                                      int64_t lower, int64_t upper,
                                                      adze_error *err);
/** The adders return NULL when out of memory. Names are made unique where they clash or are NULL. */
ADZE_API adze_value *adze_graph_add_input(adze_graph *graph, const char *name,
                                          const adze_type *type);
/** A constant over the tensor's bytes: copied when `copy`, else they must outlive the graph. */
ADZE_API adze_value *adze_graph_add_constant(adze_graph *graph, const char *name,
                                             const adze_tensor *tensor, bool copy);
/** A value that persists between runs: starts as `initial` (copied; data NULL: zeros, for caches), takes the
 * content of `next` after each run once adze_graph_set_next was called. Where the node that makes
 * `next` may overwrite the state and nobody reads it later, that happens in place. */
ADZE_API adze_value *adze_graph_add_state(adze_graph *graph, const char *name,
                                          const adze_tensor *initial);
ADZE_API void adze_graph_set_next(adze_value *state, adze_value *next);
/** Appends a node with new output values (types unknown until inference). NULL inputs: absent. */
ADZE_API adze_node *adze_graph_add_node(adze_graph *graph, const char *domain, const char *op,
                                        const char *name, int input_count,
                                        adze_value *const *inputs, int output_count);
ADZE_MUST_CHECK ADZE_API adze_status adze_graph_add_output(adze_graph *graph, adze_value *value,
                                                           adze_error *err);
ADZE_API bool adze_node_set_int(adze_node *node, const char *name, int64_t value);
ADZE_API bool adze_node_set_float(adze_node *node, const char *name, float value);
ADZE_API bool adze_node_set_string(adze_node *node, const char *name, const char *value);
ADZE_API bool adze_node_set_ints(adze_node *node, const char *name, int n, const int64_t *values);
ADZE_API bool adze_node_set_floats(adze_node *node, const char *name, int n, const float *values);

/* ---- reading ---- */

ADZE_API int adze_graph_input_count(const adze_graph *graph);
ADZE_API int adze_graph_output_count(const adze_graph *graph);
ADZE_API int adze_graph_node_count(const adze_graph *graph);
ADZE_API const adze_value *adze_graph_input(const adze_graph *graph, int i);
ADZE_API const adze_value *adze_graph_output(const adze_graph *graph, int i);
ADZE_API const adze_node *adze_graph_node(const adze_graph *graph, int i);
ADZE_API const adze_value *adze_graph_find(const adze_graph *graph, const char *name);

ADZE_API const char *adze_value_name(const adze_value *value);
ADZE_API const adze_type *adze_value_type(const adze_value *value);
ADZE_API const adze_tensor *adze_value_constant(const adze_value *value); /* NULL: computed */

ADZE_API const char *adze_node_name(const adze_node *node);
ADZE_API const char *adze_node_op(const adze_node *node);     /* "Conv" */
ADZE_API const char *adze_node_domain(const adze_node *node); /* "" for ai.onnx */
ADZE_API int adze_node_input_count(const adze_node *node);
ADZE_API int adze_node_output_count(const adze_node *node);
ADZE_API const adze_value *adze_node_input(const adze_node *node, int i);  /* NULL: absent */
ADZE_API const adze_value *adze_node_output(const adze_node *node, int i); /* NULL: absent */

/* Attributes: the value, or the default given when the node does not have it. */
ADZE_API bool adze_node_has(const adze_node *node, const char *name);
ADZE_API int64_t adze_node_int(const adze_node *node, const char *name, int64_t otherwise);
ADZE_API float adze_node_float(const adze_node *node, const char *name, float otherwise);
ADZE_API const char *adze_node_string(const adze_node *node, const char *name,
                                      const char *otherwise);
/** The list and its length; NULL and 0 when absent. */
ADZE_API const int64_t *adze_node_ints(const adze_node *node, const char *name, int *count);
ADZE_API const float *adze_node_floats(const adze_node *node, const char *name, int *count);

/* ---- showing ---- */

typedef enum adze_graph_format {
    ADZE_GRAPH_TEXT,
    ADZE_GRAPH_DOT,
    ADZE_GRAPH_MERMAID
} adze_graph_format;

/** The graph as text, to be freed with adze_string_free. */
ADZE_MUST_CHECK ADZE_API adze_status adze_graph_format_text(char **out, const adze_graph *graph,
                                                            adze_graph_format format,
                                                            adze_error *err);
ADZE_API void adze_string_free(char **text);
/** "float32[N,3,H/2,224]" into buf, which is returned. */
ADZE_API const char *adze_type_format(const adze_graph *graph, const adze_type *type, char *buf,
                                      size_t size);

ADZE_END_C
#endif
