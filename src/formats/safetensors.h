/* safetensors (specification: github.com/huggingface/safetensors): one file, or a folder's shards through
 * model.safetensors.index.json, mapped. Checked when opened: header length and JSON, types, shapes
 * against byte ranges, no holes, no overlaps, nothing past the end. */
#ifndef ADZE_FORMATS_SAFETENSORS_H
#define ADZE_FORMATS_SAFETENSORS_H
#include "adze/tensor.h"
#include "base/file.h"
#include "base/map.h"

typedef struct adze_safetensor {
    const char *name;
    adze_tensor tensor; /* borrowed, mapped read-only; may be unaligned for its type */
    adze_mapping *mapping;
} adze_safetensor;

typedef struct adze_safetensors {
    adze_arena arena;
    const char *path;
    adze_safetensor *tensors; /* sorted by name */
    int count;
    adze_map by_name;  /* -> adze_safetensor */
    adze_map metadata; /* __metadata__ of the first file: -> const char * */
    adze_mapping **mappings;
    int mapping_count;
    int64_t file_size;
} adze_safetensors;

/* `path`: a .safetensors file, an index.json, or a folder with model.safetensors or an index. Fails with
 * ADZE_NOT_FOUND (a shard is missing: which), ADZE_BAD_FILE, ADZE_UNSUPPORTED (element type). */
adze_status adze_safetensors_open(adze_safetensors **out, const char *path,
                                  adze_error *err) ADZE_MUST_CHECK;
void adze_safetensors_close(adze_safetensors **file);
const adze_tensor *adze_safetensors_find(const adze_safetensors *file, const char *name);

typedef struct adze_safetensor_plan {
    const char *name;
    adze_dtype dtype;
    int rank;
    int64_t dims[ADZE_MAX_RANK];
    size_t size; /* filled: bytes */
} adze_safetensor_plan;

/* Gives the bytes of plan i piece by piece: called until plans[i].size bytes were given. */
typedef adze_status (*adze_safetensor_fill)(void *user, int i, uint64_t offset, void *bytes,
                                            size_t size, adze_error *err);
/* Writes beside and renames; the order of data is that of the plans. */
adze_status adze_safetensors_write(const char *path, adze_safetensor_plan *plans, int count,
                                   adze_safetensor_fill fill, void *user,
                                   adze_error *err) ADZE_MUST_CHECK;

#endif
