/* One safetensors file: the length of a header (8 bytes), the header (a JSON object: name -> dtype, shape,
 * data_offsets), the bytes of the tensors. They must cover all that follows the header, each byte once. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "formats/safetensors_impl.h"

/* The reference implementation refuses longer headers too. */
enum { LONGEST_HEADER = 100000000 };

typedef struct type_row {
    const char *code;
    adze_dtype dtype;
} type_row;

static const type_row types[] = {
    {"F32", ADZE_F32},
    {"F16", ADZE_F16},
    {"BF16", ADZE_BF16},
    {"F64", ADZE_F64},
    {"BOOL", ADZE_BOOL},
    {"U8", ADZE_U8},
    {"I8", ADZE_I8},
    {"U16", ADZE_U16},
    {"I16", ADZE_I16},
    {"U32", ADZE_U32},
    {"I32", ADZE_I32},
    {"U64", ADZE_U64},
    {"I64", ADZE_I64},
    {"F8_E4M3", ADZE_F8E4M3FN},
    {"F8_E5M2", ADZE_F8E5M2},
    {"F8_E4M3FNUZ", ADZE_F8E4M3FNUZ},
    {"F8_E5M2FNUZ", ADZE_F8E5M2FNUZ},
    {"F8_E8M0", ADZE_F8E8M0},
    {"F4", ADZE_F4E2M1},
    {"C64", ADZE_C64},
};

const char *adze_safetensors_code(adze_dtype dtype)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (types[i].dtype == dtype)
            return types[i].code;
    return NULL;
}

typedef struct reader {
    adze_safetensors_shard *shard;
    adze_arena *arena;
    const uint8_t *data;
    size_t available; /* bytes at data */
    adze_error *err;
} reader;

static adze_status no_memory(const reader *r)
{
    return adze_fail(r->err, ADZE_NO_MEMORY, "%s: no memory to read it", r->shard->path);
}

/* ---- one tensor ---- */

static adze_status bad(const reader *r, const char *name, const char *expected)
{
    return adze_fail(r->err, ADZE_BAD_FILE, "%s: tensor '%.200s': expected %s", r->shard->path,
                     name, expected);
}

static adze_status read_dtype(const reader *r, adze_tensor *t, const char *name, json_t *info)
{
    const char *code = json_string_value(json_object_get(info, "dtype"));
    if (!code)
        return bad(r, name, "a \"dtype\" such as \"F32\"");
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (strcmp(types[i].code, code) == 0) {
            t->dtype = types[i].dtype;
            return ADZE_OK;
        }
    return adze_fail(r->err, ADZE_UNSUPPORTED,
                     "%s: tensor '%.200s' is of type '%.40s', which this version does not read",
                     r->shard->path, name, code);
}

static adze_status read_shape(const reader *r, adze_tensor *t, const char *name, json_t *info)
{
    json_t *shape = json_object_get(info, "shape"), *dim;
    size_t i;
    if (!json_is_array(shape))
        return bad(r, name, "a \"shape\" such as [2, 3]");
    if (json_array_size(shape) > ADZE_MAX_RANK)
        return adze_fail(r->err, ADZE_UNSUPPORTED,
                         "%s: tensor '%.200s' has %zu axes; at most %d are supported",
                         r->shard->path, name, json_array_size(shape), ADZE_MAX_RANK);
    json_array_foreach(shape, i, dim)
    {
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad(r, name, "a \"shape\" of whole numbers, none negative");
        t->dims[t->rank++] = json_integer_value(dim);
    }
    return ADZE_OK;
}

/* The range of bytes: inside the data, and as long as type and shape say. */
static adze_status read_offsets(const reader *r, adze_tensor *t, const char *name, json_t *info)
{
    json_t *offsets = json_object_get(info, "data_offsets");
    json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return bad(r, name, "\"data_offsets\" such as [0, 64]");
    int64_t begin = json_integer_value(from), end = json_integer_value(to);
    int64_t elements = adze_tensor_elements(t);
    size_t size = adze_dtype_bytes(t->dtype, elements);
    char text[160];
    if (size == SIZE_MAX || elements % adze_dtype_describe(t->dtype)->block_size != 0)
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: tensor '%.200s': %s is not a possible shape",
                         r->shard->path, name, adze_tensor_format(t, text, sizeof text));
    if (begin < 0 || end < begin || (uint64_t)(end - begin) != size)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: tensor '%.200s': expected %zu bytes for %s, found data_offsets [%lld, "
            "%lld]",
            r->shard->path, name, size, adze_tensor_format(t, text, sizeof text), (long long)begin,
            (long long)end);
    if ((uint64_t)end > r->available)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: cut off: tensor '%.200s' ends at byte %lld of the data, of which the file "
            "has %zu; fetch it again",
            r->shard->path, name, (long long)end, r->available);
    t->data = (void *)(uintptr_t)(r->data + begin);
    t->size = size;
    return ADZE_OK;
}

static adze_status read_tensor(const reader *r, adze_safetensor *out, const char *name,
                               json_t *info)
{
    adze_tensor tensor = {0};
    if (!json_is_object(info))
        return bad(r, name, "an object with dtype, shape and data_offsets");
    ADZE_TRY(read_dtype(r, &tensor, name, info));
    ADZE_TRY(read_shape(r, &tensor, name, info));
    ADZE_TRY(read_offsets(r, &tensor, name, info));
    *out = (adze_safetensor){adze_arena_strdup(r->arena, name), tensor, r->shard->mapping};
    return out->name ? ADZE_OK : no_memory(r);
}

/* ---- the header ---- */

static adze_status read_metadata(const reader *r, adze_map *metadata, json_t *values)
{
    const char *key;
    json_t *value;
    if (values && !json_is_object(values))
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: __metadata__: expected an object",
                         r->shard->path);
    json_object_foreach(values, key, value)
    {
        if (!json_is_string(value))
            return adze_fail(r->err, ADZE_BAD_FILE, "%s: __metadata__: '%.80s': expected a string",
                             r->shard->path, key);
        char *copy = adze_arena_strdup(r->arena, json_string_value(value));
        if (!copy || (metadata && !adze_map_set(metadata, key, copy)))
            return no_memory(r);
    }
    return ADZE_OK;
}

static int by_place(const void *a, const void *b)
{
    const adze_tensor *x = &((const adze_safetensor *)a)->tensor;
    const adze_tensor *y = &((const adze_safetensor *)b)->tensor;
    uintptr_t at = (uintptr_t)x->data, other = (uintptr_t)y->data;
    if (at != other)
        return at < other ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

/* Each byte of the data belongs to one tensor. */
static adze_status check_cover(const reader *r)
{
    adze_safetensors_shard *s = r->shard;
    size_t end = 0;
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_place);
    for (int i = 0; i < s->count; i++) {
        size_t begin = (size_t)((const uint8_t *)s->tensors[i].tensor.data - r->data);
        if (begin != end)
            return adze_fail(
                r->err, ADZE_BAD_FILE,
                "%s: tensor '%.200s' begins at byte %zu of the data, but the one before it "
                "ends at %zu: %s",
                s->path, s->tensors[i].name, begin, end,
                begin < end ? "they overlap" : "there is a hole");
        end += s->tensors[i].tensor.size;
    }
    if (end != r->available)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: expected %zu bytes of tensors after the header, found %zu", s->path,
                         end, r->available);
    return ADZE_OK;
}

static adze_status read_header(const reader *r, adze_map *metadata, json_t *header)
{
    const char *name;
    json_t *info;
    if (!json_is_object(header))
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: header: expected a JSON object",
                         r->shard->path);
    r->shard->tensors = ADZE_ARENA_ARRAY(r->arena, adze_safetensor, json_object_size(header));
    if (!r->shard->tensors)
        return no_memory(r);
    ADZE_TRY(read_metadata(r, metadata, json_object_get(header, "__metadata__")));
    json_object_foreach(header, name, info)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        ADZE_TRY(read_tensor(r, &r->shard->tensors[r->shard->count], name, info));
        r->shard->count++;
    }
    return check_cover(r);
}

/* Length and text of the header; what cannot be one is likely something else. */
static adze_status find_header(const reader *r, adze_cursor *c, const char **text, size_t *size)
{
    static const char pointer[] = "version https://git-lfs";
    const char *path = r->shard->path;
    bool is_pointer = adze_cursor_left(c) >= sizeof pointer - 1 &&
                      memcmp(c->at, pointer, sizeof pointer - 1) == 0;
    if (is_pointer)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: a Git LFS pointer, not the weights themselves; run git lfs pull",
                         path);
    uint64_t length = adze_cursor_u64le(c);
    if (c->failed)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: expected at least 8 bytes of a safetensors file, found %zu; fetch it again", path,
            adze_cursor_left(c));
    if (length > LONGEST_HEADER)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: at byte 0: a header of %llu bytes, more than safetensors allows (%d); not a "
            "safetensors file",
            path, (unsigned long long)length, LONGEST_HEADER);
    *text = (const char *)adze_cursor_bytes(c, length);
    *size = (size_t)length;
    if (!*text)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: cut off: a header of %llu bytes, of which %zu are there; fetch it again", path,
            (unsigned long long)length, adze_cursor_left(c));
    return ADZE_OK;
}

adze_status adze_safetensors_read_shard(adze_safetensors_shard *s, adze_map *metadata,
                                        adze_arena *arena, adze_error *err)
{
    adze_cursor c = adze_cursor_over(adze_mapping_bytes(s->mapping), adze_mapping_size(s->mapping));
    reader r = {.shard = s, .arena = arena, .err = err};
    const char *text = NULL;
    size_t size = 0;
    ADZE_TRY(find_header(&r, &c, &text, &size));
    r.data = c.at;
    r.available = adze_cursor_left(&c);
    json_error_t why;
    json_t *header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!header)
        return adze_fail(err, ADZE_BAD_FILE, "%s: at byte %lld: header is not valid JSON: %s",
                         s->path, (long long)why.position + 8, adze_json_why(&why));
    adze_status status = read_header(&r, metadata, header);
    json_decref(header);
    return status;
}
