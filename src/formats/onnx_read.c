/* ONNX models, and the messages in them that leave a choice: attributes, types, dimensions, sequences.
 * Tensors have a file of their own. */
#include "formats/onnx_impl.h"

#include <string.h>

/* --- types ----------------------------------------------------------------------------------- */

static adze_status read_dim(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                            adze_onnx_dim *out)
{
    onnx_wire_dim w = {0};
    uint64_t seen;
    ADZE_TRY(adze_onnx_read_fields(r, m, bytes, &w, &seen));
    bool number = (seen & 1 << 1) && w.value >= 0;
    *out = (adze_onnx_dim){number ? w.value : -1, NULL};
    if (!number && w.symbol[0])
        out->symbol = w.symbol;
    return ADZE_OK;
}

static void set_tensor_type(adze_onnx_type *out, adze_onnx_type_kind kind,
                            const onnx_wire_tensor_type *w)
{
    out->kind = kind;
    out->elem = w->elem;
    if (w->shape_count) {
        out->rank = w->shape->dim_count;
        out->dims = w->shape->dims;
    }
}

static void set_inner_type(adze_onnx_type *out, adze_onnx_type_kind kind,
                           const onnx_wire_inner_type *w)
{
    out->kind = kind;
    out->elem = w->key;
    out->inner = w->inner;
}

static adze_status read_type(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                             adze_onnx_type *out)
{
    onnx_wire_type w = {0};
    uint64_t seen;
    const uint8_t *at = bytes.at;
    ADZE_TRY(adze_onnx_read_fields(r, m, bytes, &w, &seen));
    if (w.tensor_count + w.sparse_count + w.sequence_count + w.map_count + w.optional_count +
            w.opaque_count >
        1)
        return adze_onnx_bad(r, ADZE_BAD_FILE, at, m, "expected one type, found several");
    *out = (adze_onnx_type){.rank = -1};
    if (w.tensor)
        set_tensor_type(out, ADZE_ONNX_TENSOR, w.tensor);
    else if (w.sparse)
        set_tensor_type(out, ADZE_ONNX_SPARSE, w.sparse);
    else if (w.sequence)
        set_inner_type(out, ADZE_ONNX_SEQUENCE, w.sequence);
    else if (w.optional)
        set_inner_type(out, ADZE_ONNX_OPTIONAL, w.optional);
    else if (w.map)
        set_inner_type(out, ADZE_ONNX_MAP, w.map);
    else if (w.opaque)
        out->kind = ADZE_ONNX_OPAQUE;
    return ADZE_OK;
}

/* --- attributes ------------------------------------------------------------------------------ */

/* Files of IR version 1 do not say the type: the field that is there does. */
static adze_onnx_attr_type type_from_fields(uint64_t seen)
{
    static const struct {
        int field;
        adze_onnx_attr_type type;
    } rows[] = {
        {2, ADZE_ONNX_ATTR_FLOAT},          {3, ADZE_ONNX_ATTR_INT},
        {4, ADZE_ONNX_ATTR_STRING},         {5, ADZE_ONNX_ATTR_TENSOR},
        {6, ADZE_ONNX_ATTR_GRAPH},          {7, ADZE_ONNX_ATTR_FLOATS},
        {8, ADZE_ONNX_ATTR_INTS},           {9, ADZE_ONNX_ATTR_STRINGS},
        {10, ADZE_ONNX_ATTR_TENSORS},       {11, ADZE_ONNX_ATTR_GRAPHS},
        {14, ADZE_ONNX_ATTR_TYPE_PROTO},    {15, ADZE_ONNX_ATTR_TYPE_PROTOS},
        {22, ADZE_ONNX_ATTR_SPARSE_TENSOR}, {23, ADZE_ONNX_ATTR_SPARSE_TENSORS},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(rows); i++)
        if (seen >> rows[i].field & 1)
            return rows[i].type;
    return ADZE_ONNX_ATTR_UNDEFINED;
}

static void set_value(adze_onnx_attr *out, const onnx_wire_attr *w)
{
    switch (out->type) {
    case ADZE_ONNX_ATTR_UNDEFINED: break;
    case ADZE_ONNX_ATTR_FLOAT: out->f = w->f; break;
    case ADZE_ONNX_ATTR_INT: out->i = w->i; break;
    case ADZE_ONNX_ATTR_STRING: out->s = w->s; break;
    case ADZE_ONNX_ATTR_FLOATS: out->floats = w->floats, out->count = w->float_count; break;
    case ADZE_ONNX_ATTR_INTS: out->ints = w->ints, out->count = w->int_count; break;
    case ADZE_ONNX_ATTR_STRINGS: out->strings = w->strings, out->count = w->string_count; break;
    case ADZE_ONNX_ATTR_TENSOR: out->tensors = w->t, out->count = w->t_count; break;
    case ADZE_ONNX_ATTR_TENSORS: out->tensors = w->tensors, out->count = w->tensor_count; break;
    case ADZE_ONNX_ATTR_GRAPH: out->graphs = w->g, out->count = w->g_count; break;
    case ADZE_ONNX_ATTR_GRAPHS: out->graphs = w->graphs, out->count = w->graph_count; break;
    case ADZE_ONNX_ATTR_SPARSE_TENSOR: out->sparse = w->sparse, out->count = w->sparse_count; break;
    case ADZE_ONNX_ATTR_SPARSE_TENSORS:
        out->sparse = w->sparses, out->count = w->sparses_count;
        break;
    case ADZE_ONNX_ATTR_TYPE_PROTO: out->type_proto = w->tp, out->count = w->tp_count; break;
    case ADZE_ONNX_ATTR_TYPE_PROTOS:
        out->type_proto = w->type_protos, out->count = w->type_proto_count;
        break;
    }
}

static bool needs_one(adze_onnx_attr_type type)
{
    return type == ADZE_ONNX_ATTR_TENSOR || type == ADZE_ONNX_ATTR_GRAPH ||
           type == ADZE_ONNX_ATTR_SPARSE_TENSOR || type == ADZE_ONNX_ATTR_TYPE_PROTO;
}

static adze_status read_attr(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                             adze_onnx_attr *out)
{
    onnx_wire_attr w = {.s = {"", 0}};
    uint64_t seen;
    const uint8_t *at = bytes.at;
    ADZE_TRY(adze_onnx_read_fields(r, m, bytes, &w, &seen));
    if (w.type < 0 || w.type > ADZE_ONNX_ATTR_TYPE_PROTOS)
        return adze_onnx_bad(r, ADZE_BAD_FILE, at, m,
                             "attribute '%.200s': expected a type of 0 to %d, found %d", w.name,
                             ADZE_ONNX_ATTR_TYPE_PROTOS, (int)w.type);
    *out = (adze_onnx_attr){.name = w.name, .ref_name = w.ref_name, .s = {"", 0}};
    out->type = w.type ? (adze_onnx_attr_type)w.type : type_from_fields(seen);
    set_value(out, &w);
    if (needs_one(out->type) && out->count == 0 && !w.ref_name[0])
        return adze_onnx_bad(r, ADZE_BAD_FILE, at, m,
                             "attribute '%.200s': expected a value of type %d, found none", w.name,
                             (int)out->type);
    return ADZE_OK;
}

/* --- values of test data --------------------------------------------------------------------- */

enum { ELEM_TENSOR = 1, ELEM_SEQUENCE = 3, ELEM_OPTIONAL = 5 };

static adze_status read_sequence(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                                 adze_onnx_sequence *out)
{
    onnx_wire_sequence w = {0};
    uint64_t seen;
    const uint8_t *at = bytes.at;
    ADZE_TRY(adze_onnx_read_fields(r, m, bytes, &w, &seen));
    if (w.sparse_count + w.map_count)
        return adze_onnx_bad(r, ADZE_UNSUPPORTED, at, m, "sparse tensors and maps as values");
    if ((w.tensor_count > 0) + (w.sequence_count > 0) + (w.optional_count > 0) > 1)
        return adze_onnx_bad(r, ADZE_BAD_FILE, at, m, "expected elements of one type");
    *out = (adze_onnx_sequence){.elem_type = w.elem_type};
    if (w.tensor_count)
        *out = (adze_onnx_sequence){ELEM_TENSOR, w.tensor_count, w.tensors, NULL};
    else if (w.sequence_count)
        *out = (adze_onnx_sequence){ELEM_SEQUENCE, w.sequence_count, NULL, w.sequences};
    else if (w.optional_count)
        *out = (adze_onnx_sequence){ELEM_OPTIONAL, w.optional_count, NULL, w.optionals};
    return ADZE_OK;
}

/* --- the whole ------------------------------------------------------------------------------- */

adze_status adze_onnx_read_message(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                                   void *out)
{
    uint64_t seen;
    switch (m->form) {
    case ONNX_PLAIN: return adze_onnx_read_fields(r, m, bytes, out, &seen);
    case ONNX_TENSOR_FORM: return adze_onnx_read_tensor(r, m, bytes, out);
    case ONNX_ATTR_FORM: return read_attr(r, m, bytes, out);
    case ONNX_VALUE_TYPE_FORM: return read_type(r, m, bytes, out);
    case ONNX_DIM_FORM: return read_dim(r, m, bytes, out);
    case ONNX_SEQUENCE_FORM:
    case ONNX_OPTIONAL_FORM: return read_sequence(r, m, bytes, out);
    }
    return ADZE_OK;
}

static onnx_reader reader_over(const char *file, const void *bytes, size_t size, adze_arena *arena,
                               adze_error *err)
{
    return (onnx_reader){.arena = arena, .err = err, .file = file, .base = bytes, .size = size};
}

static adze_status read_model(onnx_reader *r, adze_onnx_model *model)
{
    const onnx_message *m = &adze_onnx_model_message;
    uint64_t seen;
    ADZE_TRY(adze_onnx_read_fields(r, m, adze_cursor_over(r->base, r->size), model, &seen));
    if (!(seen >> 7 & 1))
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: expected an ONNX model, found no graph in its %zu bytes", r->file,
                         r->size);
    model->mapping_count = r->files.count;
    model->mappings = r->files.mappings;
    return ADZE_OK;
}

adze_status adze_onnx_parse(adze_onnx_model **out, const void *bytes, size_t size,
                            const char *folder, adze_arena *arena, adze_error *err)
{
    onnx_reader r = reader_over("ONNX model", bytes, size, arena, err);
    adze_onnx_model *model = ADZE_ARENA_NEW(arena, adze_onnx_model);
    if (!model)
        return adze_onnx_no_memory(&r);
    ADZE_TRY(adze_onnx_files_init(&r, folder, NULL));
    adze_status status = read_model(&r, model);
    if (status == ADZE_OK)
        *out = model;
    else
        adze_onnx_files_close(&r.files);
    return status;
}

static adze_status read_path(onnx_reader *r, const char *path, adze_onnx_model **out)
{
    adze_onnx_model *model = ADZE_ARENA_NEW(r->arena, adze_onnx_model);
    char *folder = adze_arena_strndup(r->arena, path, (size_t)(adze_path_name(path) - path));
    if (!model || !folder)
        return adze_onnx_no_memory(r);
    ADZE_TRY(adze_onnx_files_init(r, folder, path));
    ADZE_TRY(read_model(r, model));
    *out = model;
    return ADZE_OK;
}

adze_status adze_onnx_read(adze_onnx_model **out, const char *path, adze_arena *arena,
                           adze_error *err)
{
    adze_mapping *own = NULL;
    ADZE_TRY(adze_mapping_open(&own, path, err));
    onnx_reader r = reader_over(path, adze_mapping_bytes(own), adze_mapping_size(own), arena, err);
    adze_status status = adze_onnx_files_adopt(&r, own);
    if (status == ADZE_OK)
        status = read_path(&r, path, out);
    if (status != ADZE_OK)
        adze_onnx_files_close(&r.files);
    return status;
}

void adze_onnx_close(adze_onnx_model *model)
{
    for (int i = 0; model && i < model->mapping_count; i++)
        adze_mapping_release(&model->mappings[i]);
    if (model)
        model->mapping_count = 0;
}

static adze_status parse_alone(const onnx_message *m, void *out, onnx_reader *r)
{
    ADZE_TRY(adze_onnx_files_init(r, NULL, NULL));
    return adze_onnx_read_message(r, m, adze_cursor_over(r->base, r->size), out);
}

adze_status adze_onnx_parse_tensor(adze_onnx_tensor *out, const void *bytes, size_t size,
                                   adze_arena *arena, adze_error *err)
{
    onnx_reader r = reader_over("ONNX tensor", bytes, size, arena, err);
    return parse_alone(&adze_onnx_tensor_message, out, &r);
}

adze_status adze_onnx_parse_sequence(adze_onnx_sequence *out, const void *bytes, size_t size,
                                     adze_arena *arena, adze_error *err)
{
    onnx_reader r = reader_over("ONNX sequence", bytes, size, arena, err);
    return parse_alone(&adze_onnx_sequence_message, out, &r);
}

adze_status adze_onnx_parse_optional(adze_onnx_sequence *out, const void *bytes, size_t size,
                                     adze_arena *arena, adze_error *err)
{
    onnx_reader r = reader_over("ONNX optional", bytes, size, arena, err);
    return parse_alone(&adze_onnx_optional_message, out, &r);
}
