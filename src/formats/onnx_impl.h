/* The messages of onnx.proto as tables that the reader and the writer both walk. Plain messages map
 * straight onto the public structs; those with a choice inside (tensors, attributes, types) pass
 * through the "wire" structs below, which have one member per field. */
#ifndef ADZE_FORMATS_ONNX_IMPL_H
#define ADZE_FORMATS_ONNX_IMPL_H
#include "base/cursor.h"
#include "base/map.h"
#include "formats/onnx.h"

typedef enum onnx_kind {
    ONNX_I32,
    ONNX_I64,
    ONNX_U64,
    ONNX_F32,
    ONNX_F64,
    ONNX_NAME,  /* const char *: valid UTF-8 without NUL, else the file is refused */
    ONNX_TEXT,  /* const char *: for people; bytes that are no UTF-8 are read as '?' */
    ONNX_BYTES, /* adze_string: any bytes, copied, a NUL behind them */
    ONNX_RAW,   /* adze_string: any bytes, in place */
    ONNX_MESSAGE,
    ONNX_POINTER /* to a message */
} onnx_kind;

typedef enum onnx_many {
    ONNX_ONE,     /* in the struct itself */
    ONNX_AT_MOST, /* behind a pointer, with a count of 0 or 1 */
    ONNX_LIST     /* an array, with its count; read packed or not, written unpacked */
} onnx_many;

typedef struct onnx_message onnx_message;

typedef struct onnx_field {
    uint32_t number;
    onnx_kind kind;
    onnx_many many;
    size_t at, count_at; /* offsets in the struct of the value (or pointer) and of its int count */
    const onnx_message *message;
} onnx_field;

/* What stands between the fields and the struct. */
typedef enum onnx_form {
    ONNX_PLAIN,
    ONNX_TENSOR_FORM,
    ONNX_ATTR_FORM,
    ONNX_VALUE_TYPE_FORM,
    ONNX_DIM_FORM,
    ONNX_SEQUENCE_FORM,
    ONNX_OPTIONAL_FORM
} onnx_form;

struct onnx_message {
    const char *name; /* as in onnx.proto */
    onnx_form form;
    size_t size;              /* of the struct that a list of such messages holds */
    uint64_t always;          /* bit n: field n is written even when it is zero or empty */
    const onnx_field *fields; /* by ascending number, all below 64 */
    int field_count;
};

enum { ONNX_MAX_FIELDS = 24 };

extern const onnx_message adze_onnx_model_message, adze_onnx_tensor_message,
    adze_onnx_sequence_message, adze_onnx_optional_message, adze_onnx_type_message;

typedef struct onnx_wire_tensor {
    int64_t *dims;
    float *floats;
    int32_t *ints;
    adze_string *strings;
    int64_t *longs;
    double *doubles;
    uint64_t *ulongs;
    adze_onnx_meta *external;
    int dim_count, float_count, int_count, string_count, long_count, double_count, ulong_count,
        external_count;
    int32_t type, location;
    const char *name, *doc;
    adze_string raw;
} onnx_wire_tensor;

typedef struct onnx_wire_attr {
    const char *name, *ref_name;
    int32_t type;
    float f;
    int64_t i;
    adze_string s;
    adze_onnx_tensor *t, *tensors;
    adze_onnx_graph **g, **graphs;
    adze_onnx_sparse *sparse, *sparses;
    adze_onnx_type *tp, *type_protos;
    float *floats;
    int64_t *ints;
    adze_string *strings;
    int t_count, tensor_count, g_count, graph_count, sparse_count, sparses_count, tp_count,
        type_proto_count, float_count, int_count, string_count;
} onnx_wire_attr;

typedef struct onnx_wire_dim {
    int64_t value;
    const char *symbol;
} onnx_wire_dim;

typedef struct onnx_wire_shape {
    adze_onnx_dim *dims;
    int dim_count;
} onnx_wire_shape;

typedef struct onnx_wire_tensor_type { /* dense and sparse */
    int32_t elem;
    onnx_wire_shape *shape;
    int shape_count;
} onnx_wire_tensor_type;

typedef struct onnx_wire_inner_type { /* sequence, optional, map */
    int32_t key;                      /* map only */
    adze_onnx_type *inner;
    int inner_count;
} onnx_wire_inner_type;

typedef struct onnx_wire_opaque {
    int unused;
} onnx_wire_opaque;

typedef struct onnx_wire_type {
    onnx_wire_tensor_type *tensor, *sparse;
    onnx_wire_inner_type *sequence, *map, *optional;
    onnx_wire_opaque *opaque;
    int tensor_count, sparse_count, sequence_count, map_count, optional_count, opaque_count;
} onnx_wire_type;

typedef struct onnx_wire_sequence { /* SequenceProto and OptionalProto */
    int32_t elem_type;
    adze_onnx_tensor *tensors;
    adze_onnx_sequence *sequences, *optionals;
    onnx_wire_opaque *sparses, *maps;
    int tensor_count, sequence_count, optional_count, sparse_count, map_count;
} onnx_wire_sequence;

/* Files that tensors point into, opened once each. */
typedef struct onnx_files {
    const char *folder; /* NULL: none are allowed */
    const char *roots[2];
    int root_count;
    adze_map opened; /* location -> mapping */
    adze_mapping **mappings;
    int count, capacity;
} onnx_files;

typedef struct onnx_reader {
    adze_arena *arena;
    adze_error *err;
    const char *file; /* for messages */
    const uint8_t *base;
    size_t size;
    int depth;
    onnx_files files;
} onnx_reader;

/* Reads `bytes` as the fields of `message` into `out` (zeroed); bit n of *seen: field n was there. */
adze_status adze_onnx_read_fields(onnx_reader *reader, const onnx_message *message,
                                  adze_cursor bytes, void *out, uint64_t *seen) ADZE_MUST_CHECK;
/* The same into the public struct that `message` stands for. */
adze_status adze_onnx_read_message(onnx_reader *reader, const onnx_message *message,
                                   adze_cursor bytes, void *out) ADZE_MUST_CHECK;
adze_status adze_onnx_read_tensor(onnx_reader *reader, const onnx_message *message,
                                  adze_cursor bytes, adze_onnx_tensor *out) ADZE_MUST_CHECK;
/* Bytes of one value of the field where the structs hold it. */
size_t adze_onnx_item_size(const onnx_field *field);
/* BAD_FILE, or another status, with "file: byte N: Message: " in front of the text. */
adze_status adze_onnx_bad(const onnx_reader *reader, adze_status status, const uint8_t *at,
                          const onnx_message *message, const char *format, ...) ADZE_PRINTF(5, 6);
adze_status adze_onnx_no_memory(const onnx_reader *reader) ADZE_MUST_CHECK;

/* The folder of external data: only what really lies in it (or in the folder of the file that
 * `model_path`, nullable, really is) will be opened. */
adze_status adze_onnx_files_init(onnx_reader *reader, const char *folder,
                                 const char *model_path) ADZE_MUST_CHECK;
adze_status adze_onnx_files_open(onnx_reader *reader, adze_mapping **out, const char *location,
                                 const char *tensor) ADZE_MUST_CHECK;
/* Keeps an open mapping among the model's; released on failure. */
adze_status adze_onnx_files_adopt(onnx_reader *reader, adze_mapping *mapping) ADZE_MUST_CHECK;
void adze_onnx_files_close(onnx_files *files);

#endif
