/* Reading GGUF: a header, metadata, a list of tensors, padding, their bytes. A file is read in one pass
 * through a cursor; nothing is allocated for a count that the rest of the file could not hold, and no
 * tensor is copied. */
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_impl.h"

enum {
    SMALLEST_ENTRY = 8 + 1 + 4 + 1,  /* key of one byte, type, value of one byte */
    SMALLEST_TENSOR = 8 + 4 + 4 + 8, /* empty name, rank, type, offset */
    MOST_AXES = 4,                   /* ggml's */
    DEEPEST_ARRAY = 8                /* arrays of arrays of ... */
};

/* Where a tensor's bytes lie: known before where the data begin. */
typedef struct placing {
    adze_gguf_tensor *tensor;
    uint64_t offset; /* from the start of the data */
    size_t at;       /* in the header */
} placing;

typedef struct reader {
    adze_gguf_shard *shard;
    placing *placings;
    adze_arena *arena;
    adze_cursor c;
    adze_error *err;
} reader;

static adze_status no_memory(const reader *r)
{
    return adze_fail(r->err, ADZE_NO_MEMORY, "%s: no memory to read it", r->shard->path);
}

static adze_status cut_off(const reader *r, const char *what)
{
    return adze_fail(
        r->err, ADZE_BAD_FILE,
        "%s: cut off: %s at byte %zu goes past the end of the file, %zu bytes; fetch it "
        "again",
        r->shard->path, what, adze_cursor_offset(&r->c), adze_mapping_size(r->shard->mapping));
}

/* ---- header ---- */

bool adze_gguf_sniff(const void *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "GGUF", 4) == 0;
}

static adze_status refuse_magic(const reader *r)
{
    static const char *const older[] = {"lmgg", "fmgg", "tjgg", "algg"};
    const char *path = r->shard->path, *begin = (const char *)r->c.begin;
    size_t size = adze_cursor_left(&r->c);
    for (size_t i = 0; i < ADZE_COUNT_OF(older); i++)
        if (size >= 4 && memcmp(begin, older[i], 4) == 0)
            return adze_fail(r->err, ADZE_UNSUPPORTED,
                             "%s: a GGML file from before GGUF (2023); convert the model again",
                             path);
    static const char pointer[] = "version https://git-lfs";
    if (size >= sizeof pointer - 1 && memcmp(begin, pointer, sizeof pointer - 1) == 0)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: a Git LFS pointer, not the model itself; run git lfs pull", path);
    return adze_fail(r->err, ADZE_BAD_FILE,
                     "%s: at byte 0: expected 'GGUF', found '%.*s'; not a GGUF file", path,
                     (int)ADZE_MIN(size, (size_t)4), begin);
}

static adze_status read_version(reader *r)
{
    if (!adze_gguf_sniff(r->c.begin, adze_cursor_left(&r->c)))
        return refuse_magic(r);
    (void)adze_cursor_bytes(&r->c, 4);
    uint32_t version = adze_cursor_u32le(&r->c);
    if (r->c.failed)
        return cut_off(r, "the version");
    if (version != 0 && (version & 0xffff) == 0)
        return adze_fail(r->err, ADZE_UNSUPPORTED,
                         "%s: at byte 4: a big-endian GGUF file; adze reads little-endian ones: "
                         "convert it (gguf-py's gguf-convert-endian) or fetch the usual one",
                         r->shard->path);
    if (version < 2 || version > ADZE_GGUF_VERSION)
        return adze_fail(r->err, ADZE_UNSUPPORTED,
                         "%s: at byte 4: expected GGUF version 2 or 3, found %u", r->shard->path,
                         version);
    r->shard->version = (int)version;
    return ADZE_OK;
}

/* A count of things that each need so many bytes of what is left of the file. */
static adze_status read_count(reader *r, uint64_t *out, size_t smallest, const char *what)
{
    size_t at = adze_cursor_offset(&r->c);
    uint64_t count = adze_cursor_u64le(&r->c);
    if (r->c.failed)
        return cut_off(r, what);
    size_t left = adze_cursor_left(&r->c);
    if (count > left / smallest || count > INT32_MAX)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: at byte %zu: %s: the file claims %llu, but the %zu bytes that follow can "
            "hold at most %zu",
            r->shard->path, at, what, (unsigned long long)count, left,
            ADZE_MIN(left / smallest, (size_t)INT32_MAX));
    *out = count;
    return ADZE_OK;
}

/* ---- metadata ---- */

static adze_status read_string(reader *r, adze_string *out, const char *what)
{
    uint64_t length = adze_cursor_u64le(&r->c);
    const uint8_t *bytes = adze_cursor_bytes(&r->c, length);
    if (!bytes)
        return cut_off(r, what);
    *out = (adze_string){(const char *)bytes, (size_t)length};
    return ADZE_OK;
}

/* A string that serves as a name: copied, with a NUL behind it and none inside. */
static adze_status read_name(reader *r, const char **out, const char *what)
{
    adze_string s = {0};
    size_t at = adze_cursor_offset(&r->c);
    ADZE_TRY(read_string(r, &s, what));
    if (memchr(s.data, 0, s.length))
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: at byte %zu: %s holds a NUL byte",
                         r->shard->path, at, what);
    *out = adze_arena_strndup(r->arena, s.data, s.length);
    return *out ? ADZE_OK : no_memory(r);
}

static adze_status read_type(reader *r, adze_gguf_type *out, const char *key)
{
    size_t at = adze_cursor_offset(&r->c);
    uint32_t type = adze_cursor_u32le(&r->c);
    if (r->c.failed)
        return cut_off(r, "a type");
    if (type >= ADZE_GGUF_TYPE_COUNT)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: at byte %zu: type of '%.80s': expected 0 to %d, found %u",
                         r->shard->path, at, key, ADZE_GGUF_TYPE_COUNT - 1, type);
    *out = (adze_gguf_type)type;
    return ADZE_OK;
}

static adze_status read_strings(reader *r, adze_gguf_entry *entry)
{
    adze_string *strings = ADZE_ARENA_ARRAY(r->arena, adze_string, (size_t)entry->count);
    if (!strings)
        return no_memory(r);
    for (int64_t i = 0; i < entry->count; i++)
        ADZE_TRY(read_string(r, &strings[i], entry->key));
    entry->as.strings = strings;
    return ADZE_OK;
}

/* Element type and count of an array. */
static adze_status read_array_head(reader *r, adze_gguf_type *element, uint64_t *count,
                                   const char *key)
{
    ADZE_TRY(read_type(r, element, key));
    size_t size = adze_gguf_type_size(*element);
    size_t smallest = *element == ADZE_GGUF_ARRAY ? 4 + 8 : *element == ADZE_GGUF_STRING ? 8 : size;
    return read_count(r, count, smallest, key);
}

/* The elements of an array in an array, whose bytes are kept as they are. */
static adze_status skip_array(reader *r, const char *key, int depth)
{
    adze_gguf_type element;
    uint64_t count;
    if (depth == DEEPEST_ARRAY)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: at byte %zu: '%.80s': arrays nested more than %d deep",
                         r->shard->path, adze_cursor_offset(&r->c), key, DEEPEST_ARRAY);
    ADZE_TRY(read_array_head(r, &element, &count, key));
    if (element != ADZE_GGUF_ARRAY && element != ADZE_GGUF_STRING) {
        (void)adze_cursor_bytes(&r->c, count * adze_gguf_type_size(element));
        return ADZE_OK;
    }
    adze_string ignored;
    for (uint64_t i = 0; i < count; i++)
        ADZE_TRY(element == ADZE_GGUF_ARRAY ? skip_array(r, key, depth + 1)
                                            : read_string(r, &ignored, key));
    return ADZE_OK;
}

static adze_status read_array(reader *r, adze_gguf_entry *entry)
{
    uint64_t count;
    ADZE_TRY(read_array_head(r, &entry->element, &count, entry->key));
    entry->count = (int64_t)count;
    if (entry->element == ADZE_GGUF_STRING)
        return read_strings(r, entry);
    const uint8_t *begin = r->c.at;
    if (entry->element == ADZE_GGUF_ARRAY)
        for (uint64_t i = 0; i < count; i++)
            ADZE_TRY(skip_array(r, entry->key, 1));
    else
        (void)adze_cursor_bytes(&r->c, count * adze_gguf_type_size(entry->element));
    entry->as.bytes = begin;
    entry->byte_count = (size_t)(r->c.at - begin);
    return ADZE_OK;
}

static adze_status read_value(reader *r, adze_gguf_entry *entry)
{
    const char *key = entry->key;
    ADZE_TRY(read_type(r, &entry->type, key));
    entry->count = 1;
    if (entry->type == ADZE_GGUF_ARRAY)
        return read_array(r, entry);
    if (entry->type == ADZE_GGUF_STRING) {
        adze_string *s = &entry->as.s;
        ADZE_TRY(read_string(r, s, key));
        s->data = adze_arena_strndup(r->arena, s->data, s->length);
        return s->data ? ADZE_OK : no_memory(r);
    }
    *entry = adze_gguf_read_scalar(entry->type, &r->c);
    entry->key = key;
    return r->c.failed ? cut_off(r, key) : ADZE_OK;
}

static adze_status read_entry(reader *r)
{
    const char *key;
    size_t at = adze_cursor_offset(&r->c);
    ADZE_TRY(read_name(r, &key, "a key"));
    if (!key[0])
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: at byte %zu: a key is empty", r->shard->path,
                         at);
    if (adze_gguf_find(&r->shard->meta, key))
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: at byte %zu: the key '%.80s' occurs twice",
                         r->shard->path, at, key);
    adze_gguf_entry *entry = adze_gguf_append(&r->shard->meta, key);
    return entry ? read_value(r, entry) : no_memory(r);
}

static adze_status read_metadata(reader *r, uint64_t count)
{
    adze_gguf_shard *s = r->shard;
    adze_gguf_meta_init(&s->meta, r->arena);
    for (uint64_t i = 0; i < count; i++)
        ADZE_TRY(read_entry(r));
    s->alignment = adze_gguf_meta_alignment(&s->meta);
    if (s->alignment)
        return ADZE_OK;
    const adze_gguf_entry *entry = adze_gguf_find(&s->meta, "general.alignment");
    return adze_fail(r->err, ADZE_BAD_FILE,
                     "%s: general.alignment: expected a power of two as uint32, found %lld as %s",
                     s->path, (long long)adze_gguf_int_at(entry, 0),
                     adze_gguf_type_name(entry->type));
}

/* ---- tensors ---- */

static adze_status set_dtype(reader *r, adze_gguf_tensor *t, uint32_t type, size_t at)
{
    static const struct {
        uint32_t type;
        const char *name;
    } removed[] = {
        {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
        {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
    };
    for (int d = 0; d < ADZE_DTYPE_COUNT; d++)
        if (adze_dtype_describe((adze_dtype)d)->ggml == (int64_t)type) {
            t->tensor.dtype = (adze_dtype)d;
            return ADZE_OK;
        }
    for (size_t i = 0; i < ADZE_COUNT_OF(removed); i++)
        if (removed[i].type == type)
            return adze_fail(
                r->err, ADZE_UNSUPPORTED,
                "%s: at byte %zu: tensor '%s' is of ggml type %u, %s, which is no longer "
                "part of GGUF; convert the model again",
                r->shard->path, at, t->name, type, removed[i].name);
    return adze_fail(r->err, ADZE_UNSUPPORTED,
                     "%s: at byte %zu: tensor '%s' is of ggml type %u, which this version does not "
                     "know",
                     r->shard->path, at, t->name, type);
}

/* The file has the fastest axis first. */
static adze_status read_dims(reader *r, adze_gguf_tensor *t, size_t at)
{
    uint64_t dims[MOST_AXES] = {1};
    uint32_t rank = adze_cursor_u32le(&r->c);
    if (!r->c.failed && rank > MOST_AXES)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: at byte %zu: tensor '%s': expected at most %d axes, found %u",
                         r->shard->path, at, t->name, MOST_AXES, rank);
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = adze_cursor_u64le(&r->c);
    if (r->c.failed)
        return cut_off(r, "the dimensions of a tensor");
    t->tensor.rank = rank ? (int)rank : 1;
    for (int i = 0; i < t->tensor.rank; i++)
        t->tensor.dims[t->tensor.rank - 1 - i] = (int64_t)dims[i];
    return ADZE_OK;
}

static adze_status read_tensor(reader *r, adze_gguf_tensor *t, placing *place)
{
    size_t at = adze_cursor_offset(&r->c);
    ADZE_TRY(read_name(r, &t->name, "the name of a tensor"));
    if (strlen(t->name) > ADZE_GGUF_LONGEST_NAME)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: at byte %zu: tensor '%.80s': expected a name of at most %d bytes, found "
            "%zu",
            r->shard->path, at, t->name, ADZE_GGUF_LONGEST_NAME, strlen(t->name));
    ADZE_TRY(read_dims(r, t, at));
    uint32_t type = adze_cursor_u32le(&r->c);
    uint64_t offset = adze_cursor_u64le(&r->c), size;
    if (r->c.failed)
        return cut_off(r, "the description of a tensor");
    ADZE_TRY(set_dtype(r, t, type, at));
    char text[160];
    if (!adze_gguf_tensor_size(&size, t->tensor.dtype, t->tensor.rank, t->tensor.dims))
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: at byte %zu: tensor '%s': %s is not a possible shape (rows are whole "
                         "blocks of %d)",
                         r->shard->path, at, t->name,
                         adze_tensor_format(&t->tensor, text, sizeof text),
                         adze_dtype_describe(t->tensor.dtype)->block_size);
    if (offset % r->shard->alignment)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: at byte %zu: tensor '%s': expected an offset divisible by %u, found %llu",
            r->shard->path, at, t->name, r->shard->alignment, (unsigned long long)offset);
    t->tensor.size = (size_t)size;
    t->mapping = r->shard->mapping;
    *place = (placing){t, offset, at};
    return ADZE_OK;
}

static int by_offset(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->tensor->tensor.size > y->tensor->tensor.size) -
           (x->tensor->tensor.size < y->tensor->tensor.size);
}

static adze_status check_overlaps(reader *r)
{
    placing *places = r->placings;
    int count = r->shard->tensor_count;
    bool sorted = true;
    for (int i = 1; i < count && sorted; i++)
        sorted = by_offset(&places[i - 1], &places[i]) <= 0;
    if (!sorted)
        qsort(places, (size_t)count, sizeof *places, by_offset);
    const placing *last = NULL;
    for (int i = 0; i < count; i++) {
        const placing *p = &places[i];
        if (p->tensor->tensor.size == 0)
            continue;
        if (last && p->offset - last->offset < last->tensor->tensor.size)
            return adze_fail(r->err, ADZE_BAD_FILE,
                             "%s: at byte %zu: the bytes of tensors '%s' and '%s' overlap",
                             r->shard->path, p->at, last->tensor->name, p->tensor->name);
        last = p;
    }
    return ADZE_OK;
}

/* Points the tensors at their bytes, `available` of which follow `data`; *end is where the last ends. */
static adze_status place_tensors(reader *r, const uint8_t *data, size_t available, uint64_t *end)
{
    *end = 0;
    for (int i = 0; i < r->shard->tensor_count; i++) {
        const placing *p = &r->placings[i];
        adze_tensor *t = &p->tensor->tensor;
        if (p->offset > available || t->size > available - p->offset)
            return adze_fail(
                r->err, ADZE_BAD_FILE,
                "%s: at byte %zu: tensor '%s' needs %zu bytes at offset %llu of the data, "
                "of which the file has %zu; it is cut off or damaged: fetch it again",
                r->shard->path, p->at, p->tensor->name, t->size, (unsigned long long)p->offset,
                available);
        t->data = (void *)(uintptr_t)(data + p->offset);
        *end = ADZE_MAX(*end, p->offset + t->size);
    }
    return ADZE_OK;
}

/* The data begin at the next multiple of the alignment, and each tensor is padded to it; some writers leave
 * the padding after the last one away, but none writes a part of it. */
static adze_status read_data(reader *r)
{
    adze_gguf_shard *s = r->shard;
    size_t size = adze_mapping_size(s->mapping);
    uint64_t mask = s->alignment - 1, start = (adze_cursor_offset(&r->c) + mask) & ~mask, end;
    ADZE_TRY(check_overlaps(r));
    for (int i = 0; i < s->tensor_count && size <= start; i++)
        s->lacks_data |= s->tensors[i].tensor.size > 0;
    if (s->lacks_data || s->tensor_count == 0)
        return ADZE_OK;
    if (size < start)
        return cut_off(r, "the padding of the header");
    size_t available = size - (size_t)start;
    ADZE_TRY(place_tensors(r, adze_mapping_bytes(s->mapping) + start, available, &end));
    if (available > end && available < ((end + mask) & ~mask))
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: cut off in the padding behind the last tensor: expected %llu bytes, found "
            "%zu; fetch it again",
            s->path, (unsigned long long)(start + ((end + mask) & ~mask)), size);
    return ADZE_OK;
}

adze_status adze_gguf_read_shard(adze_gguf_shard *s, adze_arena *arena, adze_error *err)
{
    uint64_t tensors, entries;
    reader r = {.shard = s, .arena = arena, .err = err};
    r.c = adze_cursor_over(adze_mapping_bytes(s->mapping), adze_mapping_size(s->mapping));
    ADZE_TRY(read_version(&r));
    ADZE_TRY(read_count(&r, &tensors, SMALLEST_TENSOR, "number of tensors"));
    ADZE_TRY(read_count(&r, &entries, SMALLEST_ENTRY, "number of metadata entries"));
    ADZE_TRY(read_metadata(&r, entries));
    s->tensors = ADZE_ARENA_ARRAY(arena, adze_gguf_tensor, (size_t)tensors);
    r.placings = ADZE_ARENA_ARRAY(arena, placing, (size_t)tensors);
    if (!s->tensors || !r.placings)
        return no_memory(&r);
    s->tensor_count = (int)tensors;
    for (int i = 0; i < s->tensor_count; i++)
        ADZE_TRY(read_tensor(&r, &s->tensors[i], &r.placings[i]));
    return read_data(&r);
}
