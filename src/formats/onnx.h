/* ONNX files as plain structs: the protobuf messages of onnx.proto (onnx.ai), read by our own walker
 * over the wire format. Strings are NUL-terminated copies in the arena; raw tensor bytes point into the
 * mapping (of the model or of an external data file), so that weights are never copied. Nothing here
 * knows the graph IR. */
#ifndef ADZE_FORMATS_ONNX_H
#define ADZE_FORMATS_ONNX_H
#include "adze/tensor.h"
#include "base/file.h"
#include "base/memory.h"

typedef struct adze_onnx_tensor {
    const char *name; /* "" when none */
    int32_t type;     /* TensorProto.DataType */
    int rank;
    int64_t *dims;
    const uint8_t
        *data; /* little-endian elements as adze_tensor wants them (strings: adze_string[]),
                            aligned for their type; in the mapping when raw and aligned there, else
                            in the arena; NULL when there are none. Types that adze_dtype_from_onnx
                            does not know: raw bytes, unchecked. */
    size_t size;
    bool external; /* bytes lie in another file */
    const char *doc;
} adze_onnx_tensor;

/* Values at places, all else zero: values [NNZ], indices [NNZ] (into the flat tensor) or [NNZ, rank]. */
typedef struct adze_onnx_sparse {
    adze_onnx_tensor values, indices; /* values.name names the whole */
    int rank;
    int64_t *dims;
} adze_onnx_sparse;

typedef struct adze_onnx_dim {
    int64_t value;      /* -1: not a number */
    const char *symbol; /* NULL: none */
} adze_onnx_dim;

typedef enum adze_onnx_type_kind {
    ADZE_ONNX_NO_TYPE,
    ADZE_ONNX_TENSOR,
    ADZE_ONNX_SEQUENCE,
    ADZE_ONNX_OPTIONAL,
    ADZE_ONNX_MAP,
    ADZE_ONNX_SPARSE,
    ADZE_ONNX_OPAQUE
} adze_onnx_type_kind;

typedef struct adze_onnx_type {
    adze_onnx_type_kind kind;
    int32_t elem; /* tensors: DataType; maps: DataType of the key */
    int rank;     /* -1: no shape given */
    adze_onnx_dim *dims;
    const struct adze_onnx_type *inner; /* sequence, optional, map (its values); NULL: not given */
} adze_onnx_type;

typedef struct adze_onnx_value {
    const char *name;
    adze_onnx_type type;
} adze_onnx_value;

typedef enum adze_onnx_attr_type { /* AttributeProto.AttributeType */
                                   ADZE_ONNX_ATTR_UNDEFINED = 0,
                                   ADZE_ONNX_ATTR_FLOAT = 1,
                                   ADZE_ONNX_ATTR_INT = 2,
                                   ADZE_ONNX_ATTR_STRING = 3,
                                   ADZE_ONNX_ATTR_TENSOR = 4,
                                   ADZE_ONNX_ATTR_GRAPH = 5,
                                   ADZE_ONNX_ATTR_FLOATS = 6,
                                   ADZE_ONNX_ATTR_INTS = 7,
                                   ADZE_ONNX_ATTR_STRINGS = 8,
                                   ADZE_ONNX_ATTR_TENSORS = 9,
                                   ADZE_ONNX_ATTR_GRAPHS = 10,
                                   ADZE_ONNX_ATTR_SPARSE_TENSOR = 11,
                                   ADZE_ONNX_ATTR_SPARSE_TENSORS = 12,
                                   ADZE_ONNX_ATTR_TYPE_PROTO = 13,
                                   ADZE_ONNX_ATTR_TYPE_PROTOS = 14
} adze_onnx_attr_type;

typedef struct adze_onnx_attr {
    const char *name, *ref_name; /* ref_name: attribute of the enclosing function, or "" */
    adze_onnx_attr_type type;
    float f;
    int64_t i;
    adze_string s;
    int count; /* of the list that type says */
    float *floats;
    int64_t *ints;
    adze_string *strings;
    adze_onnx_tensor *tensors;       /* TENSOR (count 1) and TENSORS */
    struct adze_onnx_graph **graphs; /* GRAPH (count 1) and GRAPHS */
    adze_onnx_sparse *sparse;        /* SPARSE_TENSOR (count 1) and SPARSE_TENSORS */
    adze_onnx_type *type_proto;      /* TYPE_PROTO (count 1) and TYPE_PROTOS */
} adze_onnx_attr;

typedef struct adze_onnx_node {
    const char *name, *op_type, *domain, *overload;
    int input_count, output_count, attr_count;
    const char **inputs, **outputs; /* "" : absent */
    adze_onnx_attr *attrs;
} adze_onnx_node;

typedef struct adze_onnx_graph {
    const char *name, *doc;
    int node_count, initializer_count, input_count, output_count, value_info_count, sparse_count;
    adze_onnx_node *nodes;
    adze_onnx_tensor *initializers;
    adze_onnx_sparse *sparse; /* sparse initializers */
    adze_onnx_value *inputs, *outputs, *value_info;
} adze_onnx_graph;

typedef struct adze_onnx_opset {
    const char *domain;
    int64_t version;
} adze_onnx_opset;

typedef struct adze_onnx_function {
    const char *name, *domain, *overload;
    int input_count, output_count, attr_count, attr_default_count, node_count, opset_count;
    const char **inputs, **outputs, **attrs; /* attrs: required attribute names */
    adze_onnx_attr *attr_defaults;
    adze_onnx_node *nodes;
    adze_onnx_opset *opsets;
    int value_info_count;
    adze_onnx_value *value_info;
} adze_onnx_function;

typedef struct adze_onnx_meta {
    const char *key, *value;
} adze_onnx_meta;

typedef struct adze_onnx_model {
    int64_t ir_version, model_version;
    const char *producer_name, *producer_version, *domain, *doc;
    adze_onnx_graph graph;
    int opset_count, function_count, meta_count;
    adze_onnx_opset *opsets;
    adze_onnx_function *functions;
    adze_onnx_meta *meta;
    int mapping_count; /* all files whose bytes tensors point into; the caller releases them; the writer
                          lets go of their pages as it goes */
    adze_mapping **mappings; /* [0] is the model file itself when read from a path */
} adze_onnx_model;

/* Reads `path` and its external data files (only below the model's folder: ".." and absolute paths are
 * refused). Everything lands in `arena`; mappings must be released by adze_onnx_close once nothing
 * points into them. Fails with ADZE_BAD_FILE (message: file, byte offset, what), ADZE_IO, ADZE_NO_MEMORY. */
adze_status adze_onnx_read(adze_onnx_model **out, const char *path, adze_arena *arena,
                           adze_error *err) ADZE_MUST_CHECK;
/* The same over bytes that stay valid; external data are looked for in `folder` (NULL: refused). */
adze_status adze_onnx_parse(adze_onnx_model **out, const void *bytes, size_t size,
                            const char *folder, adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;
void adze_onnx_close(adze_onnx_model *model); /* releases the mappings */

/* One serialized TensorProto, SequenceProto or OptionalProto, as in ONNX's test data. */
adze_status adze_onnx_parse_tensor(adze_onnx_tensor *out, const void *bytes, size_t size,
                                   adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;
typedef struct adze_onnx_sequence {
    int elem_type; /* SequenceProto.DataType / OptionalProto.DataType: 1 tensor, 3 sequence, ... */
    int count;     /* optional: 0 or 1 */
    adze_onnx_tensor *tensors;
    struct adze_onnx_sequence *sequences;
} adze_onnx_sequence;
adze_status adze_onnx_parse_sequence(adze_onnx_sequence *out, const void *bytes, size_t size,
                                     adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_onnx_parse_optional(adze_onnx_sequence *out, const void *bytes, size_t size,
                                     adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;

typedef struct adze_onnx_write_options {
    const char *external_data; /* NULL: inside, unless the file would pass 2 GB; else this file name
                                  (beside the model) takes tensors of at least external_threshold bytes */
    size_t external_threshold; /* 0: 1024 */
} adze_onnx_write_options;

/* Writes beside and renames; the same model gives the same bytes. Tensors are written as raw_data. */
adze_status adze_onnx_write(const adze_onnx_model *model, const char *path,
                            const adze_onnx_write_options *options,
                            adze_error *err) ADZE_MUST_CHECK;
/* Serialized size of the model without writing it. */
uint64_t adze_onnx_measure(const adze_onnx_model *model);

#endif
