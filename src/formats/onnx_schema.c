/* onnx.proto as tables: field number, kind, where it lies in the struct. Fields that are not listed
 * (documentation of nodes and values, training, quantization annotations, device configurations) are
 * skipped by the reader. */
#include "formats/onnx_impl.h"

#define ONE(number, kind, type, member)                                                            \
    {                                                                                              \
        number, ONNX_##kind, ONNX_ONE, offsetof(type, member), 0, NULL                             \
    }
#define MANY(number, kind, type, member, count)                                                    \
    {                                                                                              \
        number, ONNX_##kind, ONNX_LIST, offsetof(type, member), offsetof(type, count), NULL        \
    }
#define SUB(number, type, member, message)                                                         \
    {                                                                                              \
        number, ONNX_MESSAGE, ONNX_ONE, offsetof(type, member), 0, &message                        \
    }
#define SUBS(number, many, type, member, count, message)                                           \
    {                                                                                              \
        number, ONNX_MESSAGE, ONNX_##many, offsetof(type, member), offsetof(type, count), &message \
    }
#define POINTERS(number, many, type, member, count, message)                                       \
    {                                                                                              \
        number, ONNX_POINTER, ONNX_##many, offsetof(type, member), offsetof(type, count), &message \
    }
#define BIT(number) (UINT64_C(1) << (number))
#define MESSAGE(name, form, type, always, fields)                                                  \
    {                                                                                              \
        name, ONNX_##form, sizeof(type), always, fields, (int)ADZE_COUNT_OF(fields)                \
    }

static const onnx_message graph_message, node_message, value_message, sparse_message, meta_message,
    opset_message, attr_message, dim_message;

static const onnx_field meta_fields[] = {
    ONE(1, NAME, adze_onnx_meta, key),
    ONE(2, TEXT, adze_onnx_meta, value),
};
static const onnx_message meta_message =
    MESSAGE("StringStringEntryProto", PLAIN, adze_onnx_meta, BIT(1) | BIT(2), meta_fields);

static const onnx_field opset_fields[] = {
    ONE(1, NAME, adze_onnx_opset, domain),
    ONE(2, I64, adze_onnx_opset, version),
};
static const onnx_message opset_message =
    MESSAGE("OperatorSetIdProto", PLAIN, adze_onnx_opset, BIT(1) | BIT(2), opset_fields);

static const onnx_field tensor_fields[] = {
    MANY(1, I64, onnx_wire_tensor, dims, dim_count),
    ONE(2, I32, onnx_wire_tensor, type),
    MANY(4, F32, onnx_wire_tensor, floats, float_count),
    MANY(5, I32, onnx_wire_tensor, ints, int_count),
    MANY(6, BYTES, onnx_wire_tensor, strings, string_count),
    MANY(7, I64, onnx_wire_tensor, longs, long_count),
    ONE(8, NAME, onnx_wire_tensor, name),
    ONE(9, RAW, onnx_wire_tensor, raw),
    MANY(10, F64, onnx_wire_tensor, doubles, double_count),
    MANY(11, U64, onnx_wire_tensor, ulongs, ulong_count),
    ONE(12, TEXT, onnx_wire_tensor, doc),
    SUBS(13, LIST, onnx_wire_tensor, external, external_count, meta_message),
    ONE(14, I32, onnx_wire_tensor, location),
};
const onnx_message adze_onnx_tensor_message =
    MESSAGE("TensorProto", TENSOR_FORM, adze_onnx_tensor, BIT(2), tensor_fields);

static const onnx_field sparse_fields[] = {
    SUB(1, adze_onnx_sparse, values, adze_onnx_tensor_message),
    SUB(2, adze_onnx_sparse, indices, adze_onnx_tensor_message),
    MANY(3, I64, adze_onnx_sparse, dims, rank),
};
static const onnx_message sparse_message =
    MESSAGE("SparseTensorProto", PLAIN, adze_onnx_sparse, 0, sparse_fields);

static const onnx_field dim_fields[] = {
    ONE(1, I64, onnx_wire_dim, value),
    ONE(2, NAME, onnx_wire_dim, symbol),
};
static const onnx_message dim_message =
    MESSAGE("TensorShapeProto.Dimension", DIM_FORM, adze_onnx_dim, 0, dim_fields);

static const onnx_field shape_fields[] = {
    SUBS(1, LIST, onnx_wire_shape, dims, dim_count, dim_message),
};
static const onnx_message shape_message =
    MESSAGE("TensorShapeProto", PLAIN, onnx_wire_shape, 0, shape_fields);

static const onnx_field tensor_type_fields[] = {
    ONE(1, I32, onnx_wire_tensor_type, elem),
    SUBS(2, AT_MOST, onnx_wire_tensor_type, shape, shape_count, shape_message),
};
static const onnx_message tensor_type_message =
    MESSAGE("TypeProto.Tensor", PLAIN, onnx_wire_tensor_type, BIT(1), tensor_type_fields);
static const onnx_message sparse_type_message =
    MESSAGE("TypeProto.SparseTensor", PLAIN, onnx_wire_tensor_type, BIT(1), tensor_type_fields);

static const onnx_field inner_type_fields[] = {
    SUBS(1, AT_MOST, onnx_wire_inner_type, inner, inner_count, adze_onnx_type_message),
};
static const onnx_message sequence_type_message =
    MESSAGE("TypeProto.Sequence", PLAIN, onnx_wire_inner_type, 0, inner_type_fields);
static const onnx_message optional_type_message =
    MESSAGE("TypeProto.Optional", PLAIN, onnx_wire_inner_type, 0, inner_type_fields);

static const onnx_field map_type_fields[] = {
    ONE(1, I32, onnx_wire_inner_type, key),
    SUBS(2, AT_MOST, onnx_wire_inner_type, inner, inner_count, adze_onnx_type_message),
};
static const onnx_message map_type_message =
    MESSAGE("TypeProto.Map", PLAIN, onnx_wire_inner_type, BIT(1), map_type_fields);

/* Read for its presence alone. */
static const onnx_message opaque_message = {
    "TypeProto.Opaque", ONNX_PLAIN, sizeof(onnx_wire_opaque), 0, NULL, 0};
static const onnx_message unsupported_value_message = {
    "a sparse or map value", ONNX_PLAIN, sizeof(onnx_wire_opaque), 0, NULL, 0};

static const onnx_field type_fields[] = {
    SUBS(1, AT_MOST, onnx_wire_type, tensor, tensor_count, tensor_type_message),
    SUBS(4, AT_MOST, onnx_wire_type, sequence, sequence_count, sequence_type_message),
    SUBS(5, AT_MOST, onnx_wire_type, map, map_count, map_type_message),
    SUBS(7, AT_MOST, onnx_wire_type, opaque, opaque_count, opaque_message),
    SUBS(8, AT_MOST, onnx_wire_type, sparse, sparse_count, sparse_type_message),
    SUBS(9, AT_MOST, onnx_wire_type, optional, optional_count, optional_type_message),
};
const onnx_message adze_onnx_type_message =
    MESSAGE("TypeProto", VALUE_TYPE_FORM, adze_onnx_type, 0, type_fields);

static const onnx_field value_fields[] = {
    ONE(1, NAME, adze_onnx_value, name),
    SUB(2, adze_onnx_value, type, adze_onnx_type_message),
};
static const onnx_message value_message =
    MESSAGE("ValueInfoProto", PLAIN, adze_onnx_value, BIT(1), value_fields);

static const onnx_field attr_fields[] = {
    ONE(1, NAME, onnx_wire_attr, name),
    ONE(2, F32, onnx_wire_attr, f),
    ONE(3, I64, onnx_wire_attr, i),
    ONE(4, BYTES, onnx_wire_attr, s),
    SUBS(5, AT_MOST, onnx_wire_attr, t, t_count, adze_onnx_tensor_message),
    POINTERS(6, AT_MOST, onnx_wire_attr, g, g_count, graph_message),
    MANY(7, F32, onnx_wire_attr, floats, float_count),
    MANY(8, I64, onnx_wire_attr, ints, int_count),
    MANY(9, BYTES, onnx_wire_attr, strings, string_count),
    SUBS(10, LIST, onnx_wire_attr, tensors, tensor_count, adze_onnx_tensor_message),
    POINTERS(11, LIST, onnx_wire_attr, graphs, graph_count, graph_message),
    SUBS(14, AT_MOST, onnx_wire_attr, tp, tp_count, adze_onnx_type_message),
    SUBS(15, LIST, onnx_wire_attr, type_protos, type_proto_count, adze_onnx_type_message),
    ONE(20, I32, onnx_wire_attr, type),
    ONE(21, NAME, onnx_wire_attr, ref_name),
    SUBS(22, AT_MOST, onnx_wire_attr, sparse, sparse_count, sparse_message),
    SUBS(23, LIST, onnx_wire_attr, sparses, sparses_count, sparse_message),
};
static const onnx_message attr_message =
    MESSAGE("AttributeProto", ATTR_FORM, adze_onnx_attr, BIT(1) | BIT(20), attr_fields);

static const onnx_field node_fields[] = {
    MANY(1, NAME, adze_onnx_node, inputs, input_count),
    MANY(2, NAME, adze_onnx_node, outputs, output_count),
    ONE(3, NAME, adze_onnx_node, name),
    ONE(4, NAME, adze_onnx_node, op_type),
    SUBS(5, LIST, adze_onnx_node, attrs, attr_count, attr_message),
    ONE(7, NAME, adze_onnx_node, domain),
    ONE(8, NAME, adze_onnx_node, overload),
};
static const onnx_message node_message =
    MESSAGE("NodeProto", PLAIN, adze_onnx_node, BIT(4), node_fields);

static const onnx_field graph_fields[] = {
    SUBS(1, LIST, adze_onnx_graph, nodes, node_count, node_message),
    ONE(2, NAME, adze_onnx_graph, name),
    SUBS(5, LIST, adze_onnx_graph, initializers, initializer_count, adze_onnx_tensor_message),
    ONE(10, TEXT, adze_onnx_graph, doc),
    SUBS(11, LIST, adze_onnx_graph, inputs, input_count, value_message),
    SUBS(12, LIST, adze_onnx_graph, outputs, output_count, value_message),
    SUBS(13, LIST, adze_onnx_graph, value_info, value_info_count, value_message),
    SUBS(15, LIST, adze_onnx_graph, sparse, sparse_count, sparse_message),
};
static const onnx_message graph_message =
    MESSAGE("GraphProto", PLAIN, adze_onnx_graph, BIT(2), graph_fields);

static const onnx_field function_fields[] = {
    ONE(1, NAME, adze_onnx_function, name),
    MANY(4, NAME, adze_onnx_function, inputs, input_count),
    MANY(5, NAME, adze_onnx_function, outputs, output_count),
    MANY(6, NAME, adze_onnx_function, attrs, attr_count),
    SUBS(7, LIST, adze_onnx_function, nodes, node_count, node_message),
    SUBS(9, LIST, adze_onnx_function, opsets, opset_count, opset_message),
    ONE(10, NAME, adze_onnx_function, domain),
    SUBS(11, LIST, adze_onnx_function, attr_defaults, attr_default_count, attr_message),
    SUBS(12, LIST, adze_onnx_function, value_info, value_info_count, value_message),
    ONE(13, NAME, adze_onnx_function, overload),
};
static const onnx_message function_message =
    MESSAGE("FunctionProto", PLAIN, adze_onnx_function, BIT(1) | BIT(10), function_fields);

static const onnx_field model_fields[] = {
    ONE(1, I64, adze_onnx_model, ir_version),
    ONE(2, TEXT, adze_onnx_model, producer_name),
    ONE(3, TEXT, adze_onnx_model, producer_version),
    ONE(4, NAME, adze_onnx_model, domain),
    ONE(5, I64, adze_onnx_model, model_version),
    ONE(6, TEXT, adze_onnx_model, doc),
    SUB(7, adze_onnx_model, graph, graph_message),
    SUBS(8, LIST, adze_onnx_model, opsets, opset_count, opset_message),
    SUBS(14, LIST, adze_onnx_model, meta, meta_count, meta_message),
    SUBS(25, LIST, adze_onnx_model, functions, function_count, function_message),
};
const onnx_message adze_onnx_model_message =
    MESSAGE("ModelProto", PLAIN, adze_onnx_model, BIT(1), model_fields);

static const onnx_field sequence_fields[] = {
    ONE(2, I32, onnx_wire_sequence, elem_type),
    SUBS(3, LIST, onnx_wire_sequence, tensors, tensor_count, adze_onnx_tensor_message),
    SUBS(4, LIST, onnx_wire_sequence, sparses, sparse_count, unsupported_value_message),
    SUBS(5, LIST, onnx_wire_sequence, sequences, sequence_count, adze_onnx_sequence_message),
    SUBS(6, LIST, onnx_wire_sequence, maps, map_count, unsupported_value_message),
    SUBS(7, LIST, onnx_wire_sequence, optionals, optional_count, adze_onnx_optional_message),
};
const onnx_message adze_onnx_sequence_message =
    MESSAGE("SequenceProto", SEQUENCE_FORM, adze_onnx_sequence, 0, sequence_fields);

static const onnx_field optional_fields[] = {
    ONE(2, I32, onnx_wire_sequence, elem_type),
    SUBS(3, AT_MOST, onnx_wire_sequence, tensors, tensor_count, adze_onnx_tensor_message),
    SUBS(4, AT_MOST, onnx_wire_sequence, sparses, sparse_count, unsupported_value_message),
    SUBS(5, AT_MOST, onnx_wire_sequence, sequences, sequence_count, adze_onnx_sequence_message),
    SUBS(6, AT_MOST, onnx_wire_sequence, maps, map_count, unsupported_value_message),
    SUBS(7, AT_MOST, onnx_wire_sequence, optionals, optional_count, adze_onnx_optional_message),
};
const onnx_message adze_onnx_optional_message =
    MESSAGE("OptionalProto", OPTIONAL_FORM, adze_onnx_sequence, 0, optional_fields);
