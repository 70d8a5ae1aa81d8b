/** @file
 * Language models back into the folders that transformers reads: config.json, model.safetensors (in shards where it
 * is large), generation_config.json (docs/convert.md). The other way is adze_llm_quantization_run. */
#ifndef ADZE_LLM_CONVERT_H
#define ADZE_LLM_CONVERT_H
#include "adze/llm.h"

ADZE_BEGIN_C

typedef struct adze_llm_folder_options {
    const char
        *type; /* of all weights: "BF16", "F16", "F32"; NULL: as they are, quantized ones as F16 */
    int64_t shard_bytes; /* weights in one file; 0: 5,000,000,000 */
    /** With the share that is done, before each piece of a tensor; false stops, and nothing remains. */
    bool (*progress)(void *user, double share, const char *tensor);
    void *user;
    /** What the folder lacks (a tokenizer), in one sentence; or NULL. */
    void (*note)(void *user, const char *text);
} adze_llm_folder_options;

/** Writes the model at `path` (as for adze_engine_open) as the folder `out`, which must not be there or be empty: beside
 * it first, then renamed. One tensor is in memory at a time. options NULL: defaults. Fails with ADZE_NOT_FOUND,
 * ADZE_BAD_FILE, ADZE_BAD_MODEL, ADZE_BAD_ARGUMENT (type; `out` holds something), ADZE_UNSUPPORTED (architecture,
 * tensors that transformers has no place for: named), ADZE_BAD_DATA (a weight too large for F16), ADZE_IO,
 * ADZE_CANCELLED, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_write_folder(adze_context *context, const char *path,
                                                           const char *out,
                                                           const adze_llm_folder_options *options,
                                                           adze_error *err);

ADZE_END_C
#endif
