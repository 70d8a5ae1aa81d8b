/* What the parts of safetensors share. */
#ifndef ADZE_FORMATS_SAFETENSORS_IMPL_H
#define ADZE_FORMATS_SAFETENSORS_IMPL_H
#include "formats/safetensors.h"

/* The format's code for an element type ("BF16"); NULL: it has none. */
const char *adze_safetensors_code(adze_dtype dtype);

/* One file of what may be several. */
typedef struct adze_safetensors_shard {
    const char *path;
    adze_mapping *mapping;
    adze_safetensor *tensors; /* in the order of their bytes */
    int count;
} adze_safetensors_shard;

/* Fills the rest from path and mapping; `metadata` (NULL: skipped) gets what __metadata__ holds. */
adze_status adze_safetensors_read_shard(adze_safetensors_shard *s, adze_map *metadata,
                                        adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;

#endif
