/* GGUF, versions 2 and 3, little-endian (specification: ggml/docs/gguf.md of the ggml project): metadata
 * of all types, tensors mapped where they lie, files split into shards opened as one.
 *
 * Everything is checked when the file is opened: counts, lengths, types, alignment, that every tensor lies
 * in its file and overlaps no other, that no key or tensor occurs twice. Dimensions are in adze's order
 * (last axis fastest), the reverse of the file's. */
#ifndef ADZE_FORMATS_GGUF_H
#define ADZE_FORMATS_GGUF_H
#include "adze/tensor.h"
#include "base/file.h"
#include "base/map.h"

typedef enum adze_gguf_type {
    ADZE_GGUF_U8,
    ADZE_GGUF_I8,
    ADZE_GGUF_U16,
    ADZE_GGUF_I16,
    ADZE_GGUF_U32,
    ADZE_GGUF_I32,
    ADZE_GGUF_F32,
    ADZE_GGUF_BOOL,
    ADZE_GGUF_STRING,
    ADZE_GGUF_ARRAY,
    ADZE_GGUF_U64,
    ADZE_GGUF_I64,
    ADZE_GGUF_F64,
    ADZE_GGUF_TYPE_COUNT
} adze_gguf_type;

/* One value of the metadata. Arrays hold elements of one scalar type or strings (arrays of arrays are
 * kept as bytes: `bytes`, written back as they were). */
typedef struct adze_gguf_entry {
    const char *key;
    adze_gguf_type type;    /* ARRAY: see element */
    adze_gguf_type element; /* of an array */
    int64_t count;          /* of an array; 1 otherwise */
    union {
        int64_t i;            /* all integers and bool, sign-extended */
        uint64_t u;           /* U64 */
        double f;             /* F32, F64 */
        adze_string s;        /* STRING: any bytes; also NUL-terminated */
        adze_string *strings; /* ARRAY of STRING: often in the mapped file, not NUL-terminated */
        const void *bytes;    /* other ARRAYs: elements as in the file (little-endian, unaligned) */
    } as;
    size_t byte_count; /* of as.bytes */
} adze_gguf_entry;

typedef struct adze_gguf_tensor {
    const char *name;
    adze_tensor tensor; /* borrowed, mapped read-only: dtype, rank 1..4, dims, data, size; aligned
                            * to the file's alignment, which may be 1 */
    adze_mapping *mapping; /* the file it lies in, not retained */
} adze_gguf_tensor;

/* Metadata alone: what a GGUF file, or a folder read as if it were one, says of itself. */
typedef struct adze_gguf_meta {
    adze_arena *arena;
    adze_gguf_entry *entries; /* in the order of the file */
    int count, capacity;
    adze_map by_key; /* -> adze_gguf_entry; rebuilt when entries move */
} adze_gguf_meta;

typedef struct adze_gguf {
    adze_arena arena;
    const char *path;
    int version, alignment;
    adze_gguf_meta meta;       /* of the first shard, without split.* */
    adze_gguf_tensor *tensors; /* of all shards, in order */
    int tensor_count;
    adze_map by_name; /* -> adze_gguf_tensor */
    adze_mapping **mappings;
    int mapping_count;
    int64_t file_size; /* all shards together */
    bool header_only;  /* see adze_gguf_open_header: data are missing, their tensor.data NULL */
} adze_gguf;

/* True when the bytes begin with "GGUF" (so do files of either byte order). */
bool adze_gguf_sniff(const void *bytes, size_t size);
/* `path` may be any shard of a split file (NAME-00001-of-00003.gguf). Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE
 * (names file, byte offset, expected, found), ADZE_UNSUPPORTED (big-endian, version, tensor type unknown). */
adze_status adze_gguf_open(adze_gguf **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* The same for looking only: a file that ends where its tensors' data should begin opens too, with
 * header_only set. */
adze_status adze_gguf_open_header(adze_gguf **out, const char *path,
                                  adze_error *err) ADZE_MUST_CHECK;
void adze_gguf_close(adze_gguf **gguf);

/* ---- metadata ---- */

void adze_gguf_meta_init(adze_gguf_meta *meta, adze_arena *arena);
const adze_gguf_entry *adze_gguf_find(const adze_gguf_meta *meta,
                                      const char *key); /* NULL: absent */
/* Any integer, float or bool entry as the asked type; `otherwise` when absent or not a number. */
int64_t adze_gguf_int(const adze_gguf_meta *meta, const char *key, int64_t otherwise);
double adze_gguf_float(const adze_gguf_meta *meta, const char *key, double otherwise);
bool adze_gguf_bool(const adze_gguf_meta *meta, const char *key, bool otherwise);
const char *adze_gguf_string(const adze_gguf_meta *meta, const char *key, const char *otherwise);
/* Element i of an array of numbers (or the scalar itself for i 0). */
int64_t adze_gguf_int_at(const adze_gguf_entry *entry, int64_t i);
double adze_gguf_float_at(const adze_gguf_entry *entry, int64_t i);
/* Setters replace or append, copying into the arena; false when out of memory. Unsuffixed key text is the
 * whole key. */
bool adze_gguf_set_int(adze_gguf_meta *meta, const char *key, adze_gguf_type type, int64_t value);
bool adze_gguf_set_float(adze_gguf_meta *meta, const char *key, double value); /* F32 */
bool adze_gguf_set_bool(adze_gguf_meta *meta, const char *key, bool value);
bool adze_gguf_set_string(adze_gguf_meta *meta, const char *key, const char *value, size_t length);
bool adze_gguf_set_strings(adze_gguf_meta *meta, const char *key, const adze_string *values,
                           int64_t count);
bool adze_gguf_set_array(adze_gguf_meta *meta, const char *key, adze_gguf_type element,
                         const void *values, int64_t count); /* native little-endian elements */
void adze_gguf_remove(adze_gguf_meta *meta, const char *key);
bool adze_gguf_copy_entry(adze_gguf_meta *to, const adze_gguf_entry *entry);

/* ---- writing: version 3, alignment general.alignment or 32 ---- */

typedef struct adze_gguf_plan {
    const char *name;
    adze_dtype dtype;
    int rank;
    int64_t dims[4];
    uint64_t offset, size; /* filled by adze_gguf_layout: from the start of the data, and bytes */
} adze_gguf_plan;

/* Bytes of everything before the tensor data (padded), and the plans' offsets; *total is the whole file. */
adze_status adze_gguf_layout(char **header, size_t *header_size, uint64_t *total,
                             const adze_gguf_meta *meta, adze_gguf_plan *plans, int count,
                             adze_error *err) ADZE_MUST_CHECK; /* free *header with adze_free */
/* A whole file at once, written beside and renamed: data[i] holds plans[i].size bytes. */
adze_status adze_gguf_write(const char *path, const adze_gguf_meta *meta, adze_gguf_plan *plans,
                            const void *const *data, int count, adze_error *err) ADZE_MUST_CHECK;

#endif
