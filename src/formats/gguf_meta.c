/* Metadata of GGUF: finding, converting and changing entries. Entries keep their order; the table by key
 * points at them and is made anew for those that move. */
#include <math.h>
#include <string.h>

#include "formats/gguf_impl.h"

typedef struct type_row {
    const char *name;
    size_t size;
} type_row;

static const type_row types[ADZE_GGUF_TYPE_COUNT] = {
    [ADZE_GGUF_U8] = {"uint8", 1},      [ADZE_GGUF_I8] = {"int8", 1},
    [ADZE_GGUF_U16] = {"uint16", 2},    [ADZE_GGUF_I16] = {"int16", 2},
    [ADZE_GGUF_U32] = {"uint32", 4},    [ADZE_GGUF_I32] = {"int32", 4},
    [ADZE_GGUF_F32] = {"float32", 4},   [ADZE_GGUF_BOOL] = {"bool", 1},
    [ADZE_GGUF_STRING] = {"string", 0}, [ADZE_GGUF_ARRAY] = {"array", 0},
    [ADZE_GGUF_U64] = {"uint64", 8},    [ADZE_GGUF_I64] = {"int64", 8},
    [ADZE_GGUF_F64] = {"float64", 8},
};

static const type_row *row_of(adze_gguf_type type)
{
    static const type_row unknown = {"unknown", 0};
    return (size_t)type < ADZE_COUNT_OF(types) ? &types[type] : &unknown;
}

size_t adze_gguf_type_size(adze_gguf_type type)
{
    return row_of(type)->size;
}

const char *adze_gguf_type_name(adze_gguf_type type)
{
    return row_of(type)->name;
}

bool adze_gguf_tensor_size(uint64_t *size, adze_dtype dtype, int rank, const int64_t *dims)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    if (rank > 0 && dims[rank - 1] % info->block_size != 0)
        return false;
    size_t bytes = adze_dtype_bytes(dtype, adze_shape_elements(rank, dims));
    *size = bytes;
    return bytes != SIZE_MAX;
}

/* ---- finding ---- */

void adze_gguf_meta_init(adze_gguf_meta *meta, adze_arena *arena)
{
    *meta = (adze_gguf_meta){.arena = arena, .by_key = adze_map_in(arena)};
}

static adze_gguf_entry *find(const adze_gguf_meta *meta, const char *key)
{
    return adze_map_get(&meta->by_key, key);
}

const adze_gguf_entry *adze_gguf_find(const adze_gguf_meta *meta, const char *key)
{
    return find(meta, key);
}

uint32_t adze_gguf_meta_alignment(const adze_gguf_meta *meta)
{
    const adze_gguf_entry *entry = find(meta, "general.alignment");
    if (!entry)
        return ADZE_GGUF_ALIGNMENT;
    int64_t value = entry->type == ADZE_GGUF_U32 ? entry->as.i : 0;
    return value > 0 && value <= INT32_MAX && (value & (value - 1)) == 0 ? (uint32_t)value : 0;
}

static int64_t int_of_float(double f, int64_t otherwise)
{
    if (isnan(f))
        return otherwise;
    return f >= 0x1p63 ? INT64_MAX : f < -0x1p63 ? INT64_MIN : (int64_t)f;
}

static bool is_number(adze_gguf_type type)
{
    return type != ADZE_GGUF_STRING && type != ADZE_GGUF_ARRAY;
}

static bool is_float(adze_gguf_type type)
{
    return type == ADZE_GGUF_F32 || type == ADZE_GGUF_F64;
}

static int64_t scalar_int(const adze_gguf_entry *entry, int64_t otherwise)
{
    if (is_float(entry->type))
        return int_of_float(entry->as.f, otherwise);
    bool huge = entry->type == ADZE_GGUF_U64 && entry->as.u > INT64_MAX;
    return huge ? INT64_MAX : entry->as.i;
}

static double scalar_float(const adze_gguf_entry *entry)
{
    if (is_float(entry->type))
        return entry->as.f;
    return entry->type == ADZE_GGUF_U64 ? (double)entry->as.u : (double)entry->as.i;
}

static const adze_gguf_entry *find_number(const adze_gguf_meta *meta, const char *key)
{
    const adze_gguf_entry *entry = find(meta, key);
    return entry && is_number(entry->type) ? entry : NULL;
}

int64_t adze_gguf_int(const adze_gguf_meta *meta, const char *key, int64_t otherwise)
{
    const adze_gguf_entry *entry = find_number(meta, key);
    return entry ? scalar_int(entry, otherwise) : otherwise;
}

double adze_gguf_float(const adze_gguf_meta *meta, const char *key, double otherwise)
{
    const adze_gguf_entry *entry = find_number(meta, key);
    return entry ? scalar_float(entry) : otherwise;
}

bool adze_gguf_bool(const adze_gguf_meta *meta, const char *key, bool otherwise)
{
    const adze_gguf_entry *entry = find_number(meta, key);
    return entry ? scalar_float(entry) != 0 : otherwise;
}

const char *adze_gguf_string(const adze_gguf_meta *meta, const char *key, const char *otherwise)
{
    const adze_gguf_entry *entry = find(meta, key);
    return entry && entry->type == ADZE_GGUF_STRING ? entry->as.s.data : otherwise;
}

/* ---- elements of arrays ---- */

adze_gguf_entry adze_gguf_read_scalar(adze_gguf_type type, adze_cursor *c)
{
    adze_gguf_entry value = {.type = type, .count = 1};
    switch (type) {
    case ADZE_GGUF_U8: value.as.i = adze_cursor_u8(c); break;
    case ADZE_GGUF_I8: value.as.i = (int8_t)adze_cursor_u8(c); break;
    case ADZE_GGUF_U16: value.as.i = adze_cursor_u16le(c); break;
    case ADZE_GGUF_I16: value.as.i = (int16_t)adze_cursor_u16le(c); break;
    case ADZE_GGUF_U32: value.as.i = adze_cursor_u32le(c); break;
    case ADZE_GGUF_I32: value.as.i = (int32_t)adze_cursor_u32le(c); break;
    case ADZE_GGUF_F32: value.as.f = (double)adze_cursor_f32le(c); break;
    case ADZE_GGUF_BOOL: value.as.i = adze_cursor_u8(c) != 0; break;
    case ADZE_GGUF_U64: value.as.u = adze_cursor_u64le(c); break;
    case ADZE_GGUF_I64: value.as.i = (int64_t)adze_cursor_u64le(c); break;
    case ADZE_GGUF_F64: value.as.f = adze_cursor_f64le(c); break;
    default: break;
    }
    return value;
}

/* Element i as an entry of its own; false when there is no such number. */
static bool element_at(adze_gguf_entry *out, const adze_gguf_entry *entry, int64_t i)
{
    if (i < 0 || i >= entry->count)
        return false;
    if (entry->type != ADZE_GGUF_ARRAY) {
        *out = *entry;
        return is_number(entry->type);
    }
    size_t size = adze_gguf_type_size(entry->element);
    if (!size)
        return false;
    adze_cursor c = adze_cursor_over((const char *)entry->as.bytes + (size_t)i * size, size);
    *out = adze_gguf_read_scalar(entry->element, &c);
    return true;
}

int64_t adze_gguf_int_at(const adze_gguf_entry *entry, int64_t i)
{
    adze_gguf_entry value;
    return element_at(&value, entry, i) ? scalar_int(&value, 0) : 0;
}

double adze_gguf_float_at(const adze_gguf_entry *entry, int64_t i)
{
    adze_gguf_entry value;
    return element_at(&value, entry, i) ? scalar_float(&value) : 0;
}

/* ---- changing ---- */

static bool index_from(adze_gguf_meta *meta, int first)
{
    for (int i = first; i < meta->count; i++)
        if (!adze_map_set(&meta->by_key, meta->entries[i].key, &meta->entries[i]))
            return false;
    return true;
}

adze_gguf_entry *adze_gguf_append(adze_gguf_meta *meta, const char *key)
{
    const adze_gguf_entry *before = meta->entries;
    if (!adze_arena_grow(meta->arena, &meta->entries, &meta->capacity, meta->count,
                         sizeof *meta->entries) ||
        (meta->entries != before && !index_from(meta, 0)))
        return NULL;
    adze_gguf_entry *entry = &meta->entries[meta->count];
    *entry = (adze_gguf_entry){.key = key};
    if (!adze_map_set(&meta->by_key, key, entry))
        return NULL;
    meta->count++;
    return entry;
}

static bool set(adze_gguf_meta *meta, const char *key, adze_gguf_entry value)
{
    adze_gguf_entry *entry = find(meta, key);
    char *copy = entry ? NULL : adze_arena_strdup(meta->arena, key);
    if (copy)
        entry = adze_gguf_append(meta, copy);
    if (!entry)
        return false;
    value.key = entry->key;
    *entry = value;
    return true;
}

bool adze_gguf_set_int(adze_gguf_meta *meta, const char *key, adze_gguf_type type, int64_t value)
{
    return set(meta, key, (adze_gguf_entry){.type = type, .count = 1, .as.i = value});
}

bool adze_gguf_set_float(adze_gguf_meta *meta, const char *key, double value)
{
    return set(meta, key, (adze_gguf_entry){.type = ADZE_GGUF_F32, .count = 1, .as.f = value});
}

bool adze_gguf_set_bool(adze_gguf_meta *meta, const char *key, bool value)
{
    return adze_gguf_set_int(meta, key, ADZE_GGUF_BOOL, value);
}

bool adze_gguf_set_string(adze_gguf_meta *meta, const char *key, const char *value, size_t length)
{
    adze_gguf_entry entry = {.type = ADZE_GGUF_STRING, .count = 1};
    entry.as.s = (adze_string){adze_arena_strndup(meta->arena, value, length), length};
    return entry.as.s.data && set(meta, key, entry);
}

bool adze_gguf_set_strings(adze_gguf_meta *meta, const char *key, const adze_string *values,
                           int64_t count)
{
    size_t total = 0;
    for (int64_t i = 0; i < count; i++)
        if (!adze_add_size(&total, total, values[i].length) || !adze_add_size(&total, total, 1))
            return false;
    adze_string *copy = ADZE_ARENA_ARRAY(meta->arena, adze_string, (size_t)count);
    char *bytes = adze_arena_alloc(meta->arena, 1, total);
    if (!copy || !bytes)
        return false;
    for (int64_t i = 0; i < count; i++) {
        copy[i] = (adze_string){bytes, values[i].length};
        if (values[i].length)
            memcpy(bytes, values[i].data, values[i].length);
        bytes += values[i].length + 1;
    }
    return set(meta, key,
               (adze_gguf_entry){.type = ADZE_GGUF_ARRAY,
                                 .element = ADZE_GGUF_STRING,
                                 .count = count,
                                 .as.strings = copy});
}

static bool set_bytes(adze_gguf_meta *meta, const char *key, adze_gguf_type element,
                      const void *bytes, size_t size, int64_t count)
{
    const void *copy = adze_arena_memdup(meta->arena, bytes, size);
    return copy && set(meta, key,
                       (adze_gguf_entry){.type = ADZE_GGUF_ARRAY,
                                         .element = element,
                                         .count = count,
                                         .as.bytes = copy,
                                         .byte_count = size});
}

bool adze_gguf_set_array(adze_gguf_meta *meta, const char *key, adze_gguf_type element,
                         const void *values, int64_t count)
{
    size_t size;
    return adze_mul_size(&size, (size_t)count, adze_gguf_type_size(element)) &&
           set_bytes(meta, key, element, values, size, count);
}

void adze_gguf_remove(adze_gguf_meta *meta, const char *key)
{
    adze_gguf_entry *gone = find(meta, key);
    if (!gone)
        return;
    int at = (int)(gone - meta->entries);
    adze_map_remove(&meta->by_key, key);
    meta->count--;
    memmove(gone, gone + 1, (size_t)(meta->count - at) * sizeof *gone);
    (void)index_from(meta, at); /* replaces values only: needs no memory */
}

bool adze_gguf_copy_entry(adze_gguf_meta *to, const adze_gguf_entry *entry)
{
    if (entry->type == ADZE_GGUF_STRING)
        return adze_gguf_set_string(to, entry->key, entry->as.s.data, entry->as.s.length);
    if (entry->type != ADZE_GGUF_ARRAY)
        return set(to, entry->key, *entry);
    if (entry->element == ADZE_GGUF_STRING)
        return adze_gguf_set_strings(to, entry->key, entry->as.strings, entry->count);
    return set_bytes(to, entry->key, entry->element, entry->as.bytes, entry->byte_count,
                     entry->count);
}
