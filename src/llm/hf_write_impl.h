/* A checkpoint on its way back into a Hugging Face folder. */
#ifndef ADZE_LLM_HF_WRITE_IMPL_H
#define ADZE_LLM_HF_WRITE_IMPL_H
#include "llm/config.h"
#include "llm/hf_impl.h"

typedef struct adze_hf_export {
    const adze_checkpoint *from;
    const adze_hf_family *family;
    adze_llm_config config;
    adze_dtype type; /* of all weights written */
} adze_hf_export;

/* config.json and generation_config.json; new references. Fails with ADZE_UNSUPPORTED (what the metadata say has
 * no place in config.json). */
adze_status adze_hf_config_make(json_t **config, json_t **generation, const adze_hf_export *x,
                                adze_error *err) ADZE_MUST_CHECK;

#endif
