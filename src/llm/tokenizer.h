/* Tokenizers from metadata that is in memory already. */
#ifndef ADZE_LLM_TOKENIZER_H
#define ADZE_LLM_TOKENIZER_H
#include "adze/tokenizer.h"
#include "formats/gguf.h"

/* From tokenizer.ggml.* keys; copies what it needs. `where` names the source in messages. */
adze_status adze_tokenizer_from_meta(adze_tokenizer **out, const adze_gguf_meta *meta,
                                     const char *where, adze_error *err) ADZE_MUST_CHECK;
/* Writes tokenizer.ggml.* keys (and tokenizer.chat_template) for the tokenizer.json, tokenizer_config.json and
 * config.json in `folder`, such that llama.cpp, and adze_tokenizer_from_meta, encode alike. Fails with
 * ADZE_UNSUPPORTED where GGUF cannot say what tokenizer.json says: names it. */
adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err) ADZE_MUST_CHECK;

/* The way back: tokenizer.json and tokenizer_config.json in `folder`, such that Hugging Face's tokenizers encodes as
 * adze does with the metadata. Fails with ADZE_NOT_FOUND (no tokenizer in the metadata), ADZE_UNSUPPORTED (one that
 * tokenizer.json cannot say; nothing is written), ADZE_BAD_FILE, ADZE_IO. */
adze_status adze_tokenizer_write_folder(const adze_gguf_meta *meta, const char *where,
                                        const char *folder, adze_error *err) ADZE_MUST_CHECK;

#endif
