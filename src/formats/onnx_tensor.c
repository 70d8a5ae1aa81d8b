/* TensorProto into one shape: bytes of just the size that type and dimensions ask for, whichever of
 * the seven places in the file they come from. */
#include "formats/onnx_impl.h"

#include <stdio.h>
#include <string.h>

enum { EXTERNAL = 1, LARGE = 65536 };

static adze_status bad(const onnx_reader *r, const uint8_t *at, const adze_onnx_tensor *t,
                       const char *expected, const char *found)
{
    return adze_onnx_bad(r, ADZE_BAD_FILE, at, &adze_onnx_tensor_message,
                         "tensor '%.200s' of type %s (%d): expected %s, found %s", t->name,
                         adze_dtype_describe(adze_dtype_from_onnx(t->type))->name, (int)t->type,
                         expected, found);
}

/* Strictest alignment that a type's elements need; complex numbers are moved whole. */
static size_t alignment_of(const adze_dtype_info *info)
{
    return ADZE_MAX((size_t)info->block_bytes, (size_t)1);
}

/* Bytes in place when they are aligned, else copied (one copy in memory, not two). */
static adze_status set_bytes(const onnx_reader *r, adze_onnx_tensor *t, const adze_dtype_info *info,
                             const void *bytes, size_t size)
{
    t->size = size;
    t->data = size ? bytes : NULL;
    if (size == 0 || (uintptr_t)bytes % alignment_of(info) == 0)
        return ADZE_OK;
    t->data = adze_arena_memdup(r->arena, bytes, size);
    for (int i = 0; size >= LARGE && i < r->files.count; i++)
        if (adze_mapping_drop(r->files.mappings[i], bytes, size))
            break;
    return t->data ? ADZE_OK : adze_onnx_no_memory(r);
}

/* --- external data --------------------------------------------------------------------------- */

typedef struct place {
    const char *location;
    int64_t offset, length; /* length -1: not given */
} place;

static bool find_place(const onnx_wire_tensor *w, place *out)
{
    *out = (place){"", 0, -1};
    for (int i = 0; i < w->external_count; i++) {
        const adze_onnx_meta *entry = &w->external[i];
        if (strcmp(entry->key, "location") == 0)
            out->location = entry->value;
        else if (strcmp(entry->key, "offset") == 0 &&
                 (!adze_parse_i64(entry->value, &out->offset) || out->offset < 0))
            return false;
        else if (strcmp(entry->key, "length") == 0 &&
                 (!adze_parse_i64(entry->value, &out->length) || out->length < 0))
            return false;
    }
    return true;
}

static adze_status take_external(onnx_reader *r, const uint8_t *at, const onnx_wire_tensor *w,
                                 adze_onnx_tensor *t, const adze_dtype_info *info, size_t need)
{
    place where;
    char expected[128], found[256];
    if (!find_place(w, &where))
        return bad(r, at, t, "external data with decimal 'offset' and 'length'", "other text");
    adze_mapping *mapping;
    ADZE_TRY(adze_onnx_files_open(r, &mapping, where.location, t->name));
    size_t size = adze_mapping_size(mapping), offset = (size_t)where.offset;
    bool known = info->kind != ADZE_KIND_NONE;
    if (!known)
        need = where.length >= 0 ? (size_t)where.length : offset <= size ? size - offset : 0;
    snprintf(expected, sizeof expected, "%zu bytes of external data", need);
    if (where.length >= 0 && (uint64_t)where.length != need) {
        snprintf(found, sizeof found, "a length of %lld", (long long)where.length);
        return bad(r, at, t, expected, found);
    }
    if (offset > size || need > size - offset) {
        snprintf(found, sizeof found, "%zu bytes in '%.100s' and offset %zu", size, where.location,
                 offset);
        return bad(r, at, t, expected, found);
    }
    t->external = true;
    return set_bytes(r, t, info, adze_mapping_bytes(mapping) + offset, need);
}

/* --- data in typed fields -------------------------------------------------------------------- */

typedef struct typed {
    const char *field;
    const void *items;
    int count;
    size_t size; /* of an item */
} typed;

/* The field that the specification gives a type, and how many entries an element or byte takes. */
static typed field_of(const onnx_wire_tensor *w, const adze_dtype_info *info)
{
    typed floats = {"float_data", w->floats, w->float_count, sizeof(float)};
    typed doubles = {"double_data", w->doubles, w->double_count, sizeof(double)};
    typed ints = {"int32_data", w->ints, w->int_count, sizeof(int32_t)};
    typed longs = {"int64_data", w->longs, w->long_count, sizeof(int64_t)};
    typed ulongs = {"uint64_data", w->ulongs, w->ulong_count, sizeof(uint64_t)};
    typed strings = {"string_data", w->strings, w->string_count, sizeof(adze_string)};
    switch (info->kind) {
    case ADZE_KIND_STRING: return strings;
    case ADZE_KIND_FLOAT: return info->bits == 32 ? floats : info->bits == 64 ? doubles : ints;
    case ADZE_KIND_COMPLEX: return info->bits == 64 ? floats : doubles;
    case ADZE_KIND_UINT: return info->bits >= 32 ? ulongs : ints;
    case ADZE_KIND_INT: return info->bits == 64 ? longs : ints;
    default: return ints;
    }
}

/* Narrows `count` little-endian items to `size` bytes each; booleans to 0 and 1. */
static adze_status narrow(const onnx_reader *r, const typed *from, size_t size, bool boolean,
                          const void **out)
{
    const uint8_t *items = from->items;
    uint8_t *narrowed = adze_arena_alloc(r->arena, (size_t)from->count, size);
    if (!narrowed)
        return adze_onnx_no_memory(r);
    for (size_t i = 0; i < (size_t)from->count; i++)
        memcpy(narrowed + i * size, items + i * from->size, size);
    const int32_t *wide = from->items;
    for (int i = 0; boolean && i < from->count; i++)
        narrowed[i] = wide[i] != 0;
    *out = narrowed;
    return ADZE_OK;
}

static adze_status take_typed(const onnx_reader *r, const uint8_t *at, const onnx_wire_tensor *w,
                              adze_onnx_tensor *t, const adze_dtype_info *info, size_t need)
{
    typed from = field_of(w, info);
    char expected[128], found[128];
    size_t size = ADZE_MIN(from.size, (size_t)info->block_bytes); /* bytes an entry stands for */
    if ((uint64_t)from.count * size != need) {
        snprintf(expected, sizeof expected, "%zu entries in %s", need / size, from.field);
        snprintf(found, sizeof found, "%d", from.count);
        return bad(r, at, t, expected, found);
    }
    const void *bytes = from.items;
    if (size < from.size && from.count)
        ADZE_TRY(narrow(r, &from, size, info->kind == ADZE_KIND_BOOL, &bytes));
    return set_bytes(r, t, info, bytes, need);
}

/* --- the whole ------------------------------------------------------------------------------- */

static adze_status take_raw(const onnx_reader *r, const uint8_t *at, const onnx_wire_tensor *w,
                            adze_onnx_tensor *t, const adze_dtype_info *info, size_t need)
{
    char expected[64], found[64];
    snprintf(expected, sizeof expected, "%zu bytes in raw_data", need);
    snprintf(found, sizeof found, "%zu", w->raw.length);
    bool known = info->kind != ADZE_KIND_NONE;
    if ((known && w->raw.length != need) || info->kind == ADZE_KIND_STRING)
        return bad(r, at, t, info->kind == ADZE_KIND_STRING ? "elements in string_data" : expected,
                   found);
    return set_bytes(r, t, info, w->raw.data, w->raw.length);
}

static adze_status check_one_source(const onnx_reader *r, const uint8_t *at,
                                    const onnx_wire_tensor *w, const adze_onnx_tensor *t)
{
    int sources = (w->float_count > 0) + (w->int_count > 0) + (w->string_count > 0) +
                  (w->long_count > 0) + (w->double_count > 0) + (w->ulong_count > 0) +
                  (w->raw.length > 0) + (w->location == EXTERNAL);
    if (sources > 1)
        return bad(r, at, t, "its elements in one place",
                   "several of raw, typed and external data");
    return ADZE_OK;
}

adze_status adze_onnx_read_tensor(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                                  adze_onnx_tensor *t)
{
    onnx_wire_tensor w = {0};
    uint64_t seen;
    const uint8_t *at = bytes.at;
    ADZE_TRY(adze_onnx_read_fields(r, m, bytes, &w, &seen));
    *t = (adze_onnx_tensor){
        .name = w.name, .type = w.type, .rank = w.dim_count, .dims = w.dims, .doc = w.doc};
    const adze_dtype_info *info = adze_dtype_describe(adze_dtype_from_onnx(w.type));
    int64_t elements = adze_shape_elements(t->rank, t->dims);
    size_t need =
        elements < 0 ? SIZE_MAX : adze_dtype_bytes(adze_dtype_from_onnx(w.type), elements);
    if (need > PTRDIFF_MAX)
        return bad(r, at, t, "dimensions whose product is a possible size", "others");
    ADZE_TRY(check_one_source(r, at, &w, t));
    if (w.location == EXTERNAL)
        return take_external(r, at, &w, t, info, need);
    if (w.raw.length)
        return take_raw(r, at, &w, t, info, need);
    if (info->kind == ADZE_KIND_NONE)
        return ADZE_OK;
    return take_typed(r, at, &w, t, info, need);
}
