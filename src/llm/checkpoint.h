/* The weights of a language model, whatever they came in: a GGUF file, or a Hugging Face folder read as if
 * it were one (config.json and tokenizer.json as metadata, tensors under GGUF's names and in GGUF's
 * arrangement: rows of q and k permuted for llama's rotary order, norms of gemma plus one, experts
 * stacked, Conv1D turned). So all that follows (graph, quantizer, converter) knows one form. */
#ifndef ADZE_LLM_CHECKPOINT_H
#define ADZE_LLM_CHECKPOINT_H
#include "formats/gguf.h"

typedef struct adze_checkpoint adze_checkpoint;

typedef struct adze_checkpoint_tensor {
    const char *name; /* GGUF's: "blk.0.attn_q.weight" */
    adze_dtype dtype;
    int rank;
    int64_t dims[4]; /* [n, k]; row = the last axis */
    int64_t rows;    /* product of all dims but the last */
    size_t row_bytes;
    const void *mapped;    /* all rows in place, or NULL: rows are made by adze_checkpoint_rows */
    adze_mapping *mapping; /* where they are mapped, or NULL */
    const void *source;    /* the checkpoint's own */
} adze_checkpoint_tensor;

/* `path`: a GGUF file (any shard) or a folder with config.json and safetensors. Fails with ADZE_NOT_FOUND,
 * ADZE_BAD_FILE, ADZE_BAD_MODEL (tensors that the architecture needs are missing or misshapen: all of
 * them), ADZE_UNSUPPORTED (architecture, quantization method: named). */
adze_status adze_checkpoint_open(adze_checkpoint **out, const char *path,
                                 adze_error *err) ADZE_MUST_CHECK;
void adze_checkpoint_close(adze_checkpoint **checkpoint);

const char *adze_checkpoint_path(const adze_checkpoint *checkpoint);
const char *adze_checkpoint_format(const adze_checkpoint *checkpoint); /* "GGUF", "safetensors" */
int64_t adze_checkpoint_file_size(const adze_checkpoint *checkpoint);
/* The files that hold the tensors: for letting their pages go, and for knowing them again. */
adze_mapping *const *adze_checkpoint_mappings(const adze_checkpoint *checkpoint, int *count);
/* Fails with ADZE_BAD_ARGUMENT when `path` is one of the files that are read, under any name: nothing may be written
 * there. */
adze_status adze_checkpoint_spare(const adze_checkpoint *checkpoint, const char *path,
                                  adze_error *err) ADZE_MUST_CHECK;
/* Metadata in GGUF's keys. For a folder the tokenizer's keys are there only after
 * adze_checkpoint_add_tokenizer. */
const adze_gguf_meta *adze_checkpoint_meta(const adze_checkpoint *checkpoint);
adze_status adze_checkpoint_add_tokenizer(adze_checkpoint *checkpoint,
                                          adze_error *err) ADZE_MUST_CHECK;
int adze_checkpoint_count(const adze_checkpoint *checkpoint);
const adze_checkpoint_tensor *adze_checkpoint_tensor_at(const adze_checkpoint *checkpoint, int i);
const adze_checkpoint_tensor *adze_checkpoint_find(const adze_checkpoint *checkpoint,
                                                   const char *name); /* NULL: absent */
/* Rows first .. first + count - 1 as bytes of the tensor's dtype; `to` has count * row_bytes. Any number of
 * threads may call it. */
adze_status adze_checkpoint_rows(const adze_checkpoint *checkpoint,
                                 const adze_checkpoint_tensor *tensor, int64_t first, int64_t count,
                                 void *to, adze_error *err) ADZE_MUST_CHECK;

#endif
