/* ONNX models out: the same tables, walked the other way. Protobuf puts a size in front of every
 * message, so each is first written to a writer that only counts. The order is that of the field
 * numbers, lists of numbers are unpacked: the bytes that the official libraries write. */
#include "formats/onnx_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };
enum { USUAL_THRESHOLD = 1024, PAGE = 4096, LINE = 64, PAGED_SIZE = 65536, PIECE = 1 << 23 };
#define LARGEST_MODEL UINT64_C(0x7fffffff) /* what protobuf libraries read */

typedef struct onnx_writer {
    adze_output *out; /* NULL: only counts */
    uint64_t size;
    adze_output *data;     /* where external tensors go; NULL when counting */
    const char *data_name; /* NULL: all tensors stay inside */
    size_t threshold;
    uint64_t data_size;
    const adze_onnx_model *model;
} onnx_writer;

static void write_message(onnx_writer *w, const onnx_message *m, const void *in);

/* Large bytes, in pieces that leave memory again when they are mapped. */
static void put_large(const onnx_writer *w, adze_output *out, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0, step; at < size; at += step) {
        step = ADZE_MIN(size - at, (size_t)PIECE);
        adze_output_write(out, bytes + at, step);
        for (int i = 0; step >= PAGED_SIZE && i < w->model->mapping_count; i++)
            if (adze_mapping_drop(w->model->mappings[i], bytes + at, step))
                break;
    }
}

static void put(onnx_writer *w, const void *bytes, size_t size)
{
    if (w->out)
        put_large(w, w->out, bytes, size);
    w->size += size;
}

static void put_varint(onnx_writer *w, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    put(w, bytes, size);
}

static void put_key(onnx_writer *w, uint32_t number, unsigned wire)
{
    put_varint(w, (uint64_t)number << 3 | wire);
}

static void put_bytes(onnx_writer *w, uint32_t number, const void *bytes, size_t size)
{
    put_key(w, number, LENGTH);
    put_varint(w, size);
    put(w, bytes, size);
}

static void put_message(onnx_writer *w, uint32_t number, const onnx_message *m, const void *in)
{
    onnx_writer count = *w; /* external data go where they will go in earnest */
    count.out = count.data = NULL;
    count.size = 0;
    write_message(&count, m, in);
    put_key(w, number, LENGTH);
    put_varint(w, count.size);
    if (w->out) {
        write_message(w, m, in);
    } else { /* once is enough: twice at each level would be exponential */
        w->size += count.size;
        w->data_size = count.data_size;
    }
}

/* --- fields ---------------------------------------------------------------------------------- */

typedef union value {
    int32_t i32;
    uint64_t u64;
    uint32_t bits32;
    const char *text;
    adze_string string;
    const void *pointer;
} value;

static void load(value *out, const onnx_field *f, const char *at)
{
    memset(out, 0, sizeof *out);
    if (f->kind == ONNX_MESSAGE)
        out->pointer = at;
    else
        memcpy(out, at, adze_onnx_item_size(f));
}

static void put_value(onnx_writer *w, const onnx_field *f, const value *v)
{
    switch (f->kind) {
    case ONNX_I32:
        put_key(w, f->number, VARINT);
        put_varint(w, (uint64_t)(int64_t)v->i32);
        break;
    case ONNX_I64:
    case ONNX_U64:
        put_key(w, f->number, VARINT);
        put_varint(w, v->u64);
        break;
    case ONNX_F32:
        put_key(w, f->number, FIXED32);
        put(w, &v->bits32, 4);
        break;
    case ONNX_F64:
        put_key(w, f->number, FIXED64);
        put(w, &v->u64, 8);
        break;
    case ONNX_NAME:
    case ONNX_TEXT: put_bytes(w, f->number, v->text, v->text ? strlen(v->text) : 0); break;
    case ONNX_BYTES:
    case ONNX_RAW: put_bytes(w, f->number, v->string.data, v->string.length); break;
    case ONNX_MESSAGE:
    case ONNX_POINTER: put_message(w, f->number, f->message, v->pointer); break;
    }
}

static bool is_absent(const onnx_field *f, const value *v)
{
    switch (f->kind) {
    case ONNX_I32: return v->i32 == 0;
    case ONNX_F32: return v->bits32 == 0;
    case ONNX_I64:
    case ONNX_U64:
    case ONNX_F64: return v->u64 == 0;
    case ONNX_NAME:
    case ONNX_TEXT: return !v->text || !v->text[0];
    case ONNX_BYTES:
    case ONNX_RAW: return v->string.length == 0;
    default:
        return f->message->form == ONNX_VALUE_TYPE_FORM &&
               ((const adze_onnx_type *)v->pointer)->kind == ADZE_ONNX_NO_TYPE;
    }
}

static void write_fields(onnx_writer *w, const onnx_message *m, const void *in, uint64_t always)
{
    const char *base = in;
    for (int i = 0; i < m->field_count; i++) {
        const onnx_field *f = &m->fields[i];
        value v;
        if (f->many == ONNX_ONE) {
            load(&v, f, base + f->at);
            if (!is_absent(f, &v) || (always >> f->number & 1))
                put_value(w, f, &v);
            continue;
        }
        const char *items;
        int count;
        memcpy(&items, base + f->at, sizeof items);
        memcpy(&count, base + f->count_at, sizeof count);
        for (int k = 0; k < count; k++, items += adze_onnx_item_size(f)) {
            load(&v, f, items);
            put_value(w, f, &v);
        }
    }
}

/* --- messages with a choice inside ----------------------------------------------------------- */

/* Places the tensor in the data file: `offset` bytes from its begin. */
static uint64_t write_external(onnx_writer *w, const adze_onnx_tensor *t)
{
    static const uint8_t zeros[PAGE];
    uint64_t step = t->size >= PAGED_SIZE ? PAGE : LINE;
    uint64_t padding = (step - w->data_size % step) % step;
    uint64_t offset = w->data_size + padding;
    if (w->data) {
        adze_output_write(w->data, zeros, (size_t)padding);
        put_large(w, w->data, t->data, t->size);
    }
    w->data_size = offset + t->size;
    return offset;
}

static void write_tensor(onnx_writer *w, const onnx_message *m, const adze_onnx_tensor *t)
{
    char offset[24], length[24];
    adze_onnx_meta entries[] = {{"location", w->data_name}, {"offset", offset}, {"length", length}};
    onnx_wire_tensor wire = {
        .dims = t->dims, .dim_count = t->rank, .type = t->type, .name = t->name, .doc = t->doc};
    if (adze_dtype_from_onnx(t->type) == ADZE_STRING) {
        wire.strings = (adze_string *)(uintptr_t)t->data;
        wire.string_count = (int)(t->size / sizeof(adze_string));
    } else if (w->data_name && t->size >= w->threshold) {
        snprintf(offset, sizeof offset, "%" PRIu64, write_external(w, t));
        snprintf(length, sizeof length, "%zu", t->size);
        wire.external = entries;
        wire.external_count = (int)ADZE_COUNT_OF(entries);
        wire.location = 1;
    } else {
        wire.raw = (adze_string){(const char *)t->data, t->size};
    }
    write_fields(w, m, &wire, m->always);
}

static uint64_t set_wire_value(onnx_wire_attr *wire, const adze_onnx_attr *a)
{
    switch (a->type) {
    case ADZE_ONNX_ATTR_UNDEFINED: break;
    case ADZE_ONNX_ATTR_FLOAT: wire->f = a->f; return 1 << 2;
    case ADZE_ONNX_ATTR_INT: wire->i = a->i; return 1 << 3;
    case ADZE_ONNX_ATTR_STRING: wire->s = a->s; return 1 << 4;
    case ADZE_ONNX_ATTR_FLOATS: wire->floats = a->floats, wire->float_count = a->count; break;
    case ADZE_ONNX_ATTR_INTS: wire->ints = a->ints, wire->int_count = a->count; break;
    case ADZE_ONNX_ATTR_STRINGS: wire->strings = a->strings, wire->string_count = a->count; break;
    case ADZE_ONNX_ATTR_TENSOR: wire->t = a->tensors, wire->t_count = a->count; break;
    case ADZE_ONNX_ATTR_TENSORS: wire->tensors = a->tensors, wire->tensor_count = a->count; break;
    case ADZE_ONNX_ATTR_GRAPH: wire->g = a->graphs, wire->g_count = a->count; break;
    case ADZE_ONNX_ATTR_GRAPHS: wire->graphs = a->graphs, wire->graph_count = a->count; break;
    case ADZE_ONNX_ATTR_SPARSE_TENSOR:
        wire->sparse = a->sparse, wire->sparse_count = a->count;
        break;
    case ADZE_ONNX_ATTR_SPARSE_TENSORS:
        wire->sparses = a->sparse, wire->sparses_count = a->count;
        break;
    case ADZE_ONNX_ATTR_TYPE_PROTO: wire->tp = a->type_proto, wire->tp_count = a->count; break;
    case ADZE_ONNX_ATTR_TYPE_PROTOS:
        wire->type_protos = a->type_proto, wire->type_proto_count = a->count;
        break;
    }
    return 0;
}

static void write_attr(onnx_writer *w, const onnx_message *m, const adze_onnx_attr *a)
{
    onnx_wire_attr wire = {.name = a->name, .ref_name = a->ref_name, .type = (int32_t)a->type};
    bool reference = a->ref_name && a->ref_name[0];
    uint64_t always = reference ? 0 : set_wire_value(&wire, a);
    write_fields(w, m, &wire, m->always | always);
}

static void write_type(onnx_writer *w, const onnx_message *m, const adze_onnx_type *t)
{
    onnx_wire_shape shape = {t->dims, t->rank < 0 ? 0 : t->rank};
    onnx_wire_tensor_type tensor = {t->elem, &shape, t->rank >= 0};
    onnx_wire_inner_type inner = {t->elem, (adze_onnx_type *)(uintptr_t)t->inner, t->inner != NULL};
    onnx_wire_opaque opaque = {0};
    onnx_wire_type wire = {&tensor, &tensor, &inner, &inner, &inner, &opaque, 0, 0, 0, 0, 0, 0};
    switch (t->kind) {
    case ADZE_ONNX_NO_TYPE: break;
    case ADZE_ONNX_TENSOR: wire.tensor_count = 1; break;
    case ADZE_ONNX_SPARSE: wire.sparse_count = 1; break;
    case ADZE_ONNX_SEQUENCE: wire.sequence_count = 1; break;
    case ADZE_ONNX_OPTIONAL: wire.optional_count = 1; break;
    case ADZE_ONNX_MAP: wire.map_count = 1; break;
    case ADZE_ONNX_OPAQUE: wire.opaque_count = 1; break;
    }
    write_fields(w, m, &wire, m->always);
}

static void write_dim(onnx_writer *w, const onnx_message *m, const adze_onnx_dim *d)
{
    bool number = d->value >= 0;
    onnx_wire_dim wire = {number ? d->value : 0, number ? NULL : d->symbol};
    write_fields(w, m, &wire, number ? 1 << 1 : 0);
}

static void write_message(onnx_writer *w, const onnx_message *m, const void *in)
{
    switch (m->form) {
    case ONNX_PLAIN: write_fields(w, m, in, m->always); break;
    case ONNX_TENSOR_FORM: write_tensor(w, m, in); break;
    case ONNX_ATTR_FORM: write_attr(w, m, in); break;
    case ONNX_VALUE_TYPE_FORM: write_type(w, m, in); break;
    case ONNX_DIM_FORM: write_dim(w, m, in); break;
    case ONNX_SEQUENCE_FORM:
    case ONNX_OPTIONAL_FORM: assert(false && "values are read only"); break;
    }
}

/* --- files ----------------------------------------------------------------------------------- */

uint64_t adze_onnx_measure(const adze_onnx_model *model)
{
    onnx_writer w = {.model = model};
    write_message(&w, &adze_onnx_model_message, model);
    return w.size;
}

/* Opens both files before the first byte, so that nothing is half-written. */
static adze_status write_files(onnx_writer *w, const adze_onnx_model *model, const char *path,
                               const char *data_path, adze_error *err)
{
    if (data_path)
        ADZE_TRY(adze_output_open(&w->data, data_path, err));
    adze_status status = adze_output_open(&w->out, path, err);
    if (status == ADZE_OK) {
        write_message(w, &adze_onnx_model_message, model);
        if (w->data)
            status = adze_output_finish(&w->data, err);
    }
    if (status == ADZE_OK)
        return adze_output_finish(&w->out, err);
    if (w->data)
        adze_output_abort(&w->data);
    if (w->out)
        adze_output_abort(&w->out);
    return status;
}

static adze_status write_model(const adze_onnx_model *model, const char *path,
                               const adze_onnx_write_options *options, adze_arena *arena,
                               adze_error *err)
{
    onnx_writer plan = {.data_name = options->external_data, .model = model};
    plan.threshold = options->external_threshold ? options->external_threshold : USUAL_THRESHOLD;
    const char *name = plan.data_name;
    if (name && (!name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "%s: external data: expected the name of a file beside the model, found "
                         "'%s'",
                         path, name);
    if (name && strcmp(name, adze_path_name(path)) == 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: external data need another name", path);
    if (!name && adze_onnx_measure(model) > LARGEST_MODEL) {
        plan.data_name = adze_arena_printf(arena, "%s.data", adze_path_name(path));
        if (!plan.data_name)
            return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
    }
    onnx_writer counted = plan;
    write_message(&counted, &adze_onnx_model_message, model);
    if (counted.size > LARGEST_MODEL)
        return adze_fail(err, ADZE_LIMIT,
                         "%s: expected at most 2 GB beside external data, found %" PRIu64 " bytes",
                         path, counted.size);
    if (counted.data_size == 0)
        plan.data_name = NULL;
    char *data_path = plan.data_name ? adze_path_beside(arena, path, plan.data_name) : NULL;
    if (plan.data_name && !data_path)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
    return write_files(&plan, model, path, data_path, err);
}

adze_status adze_onnx_write(const adze_onnx_model *model, const char *path,
                            const adze_onnx_write_options *options, adze_error *err)
{
    adze_onnx_write_options usual = {0};
    adze_arena arena = {0};
    adze_status status = write_model(model, path, options ? options : &usual, &arena, err);
    adze_arena_free(&arena);
    return status;
}
