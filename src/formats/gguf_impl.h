/* What GGUF's reader and writer share. */
#ifndef ADZE_FORMATS_GGUF_IMPL_H
#define ADZE_FORMATS_GGUF_IMPL_H
#include "base/cursor.h"
#include "formats/gguf.h"

enum {
    ADZE_GGUF_VERSION = 3,
    ADZE_GGUF_ALIGNMENT = 32,   /* without general.alignment */
    ADZE_GGUF_LONGEST_NAME = 63 /* bytes of a tensor's name: ggml's GGML_MAX_NAME less the NUL */
};

/* Bytes of one element; 0: strings, arrays, unknown. */
size_t adze_gguf_type_size(adze_gguf_type type);
/* "uint8", "string"; never NULL. */
const char *adze_gguf_type_name(adze_gguf_type type);
/* Alignment that the metadata ask for; 0: not a power of two that fits, or not an U32. */
uint32_t adze_gguf_meta_alignment(const adze_gguf_meta *meta);
/* One number or bool; an entry without a key. */
adze_gguf_entry adze_gguf_read_scalar(adze_gguf_type type, adze_cursor *c);
/* Appends a zeroed entry under a key that is not there yet and lives as long as the arena; NULL: out of
 * memory. */
adze_gguf_entry *adze_gguf_append(adze_gguf_meta *meta, const char *key);
/* Bytes of a tensor, rows of whole blocks; false when there is no such size. */
bool adze_gguf_tensor_size(uint64_t *size, adze_dtype dtype, int rank, const int64_t *dims);

/* One file of what may be several. */
typedef struct adze_gguf_shard {
    const char *path;
    adze_mapping *mapping;
    int version;
    uint32_t alignment;
    adze_gguf_meta meta;
    adze_gguf_tensor *tensors; /* in the order of the file */
    int tensor_count;
    bool lacks_data; /* ends where its data should begin; they point nowhere */
} adze_gguf_shard;

/* Fills the rest from path and mapping. */
adze_status adze_gguf_read_shard(adze_gguf_shard *s, adze_arena *arena,
                                 adze_error *err) ADZE_MUST_CHECK;

#endif
