/* The inside of a checkpoint, for the sources that fill one. */
#ifndef ADZE_LLM_CHECKPOINT_IMPL_H
#define ADZE_LLM_CHECKPOINT_IMPL_H
#include "llm/checkpoint.h"

struct adze_checkpoint {
    adze_arena arena;
    const char *path, *format;
    int64_t file_size;
    adze_mapping **mappings; /* the source's */
    int mapping_count;
    adze_gguf_meta *meta;
    adze_checkpoint_tensor *tensors;
    int count;
    adze_map by_name; /* -> adze_checkpoint_tensor */
    /* Makes rows of tensors that are not mapped; NULL where all are. */
    adze_status (*rows)(const adze_checkpoint *checkpoint, const adze_checkpoint_tensor *tensor,
                        int64_t first, int64_t count, void *to, adze_error *err);
    adze_status (*add_tokenizer)(adze_checkpoint *checkpoint, adze_error *err); /* or NULL */
    void *source;
    void (*close)(void *source);
};

/* Fills rows, row_bytes and by_name from name, dtype, rank and dims of all tensors. */
adze_status adze_checkpoint_index(adze_checkpoint *checkpoint, adze_error *err) ADZE_MUST_CHECK;
/* A folder with config.json and safetensors. */
adze_status adze_checkpoint_open_folder(adze_checkpoint *checkpoint,
                                        adze_error *err) ADZE_MUST_CHECK;
/* That the tensors which its metadata mean are there and of the right shapes; ADZE_BAD_MODEL names all that are
 * not. */
adze_status adze_checkpoint_check(const adze_checkpoint *checkpoint,
                                  adze_error *err) ADZE_MUST_CHECK;

#endif
