/* Tokenizers between tokenizer.json and GGUF metadata; the two directions' own parts. */
#ifndef ADZE_LLM_TOKENIZER_CONVERT_IMPL_H
#define ADZE_LLM_TOKENIZER_CONVERT_IMPL_H
#include "formats/gguf.h"
#include "llm/tokenizer_json_impl.h"

#define TOK_KEY(name) "tokenizer.ggml." name

/* The name for tokenizer.ggml.pre under which `metadata` (all but that name, of the same vocabulary) cuts text as the
 * tokenizer.json behind `d` does: of names that mean the same the one closest to `architecture`. Fails with
 * ADZE_UNSUPPORTED, showing the expressions. */
adze_status tok_convert_find_pre(const tok_doc *d, adze_gguf_meta *metadata,
                                 const char *architecture, const char **name) ADZE_MUST_CHECK;

/* A token that merges make: no control, added, byte or unknown one. */
bool tok_is_plain(const adze_tokenizer *t, int32_t id);
/* `count` scores with which "llama" makes the merges of t's list; *exact false: there are none. */
adze_status tok_convert_scores(float *scores, const adze_tokenizer *t, const int32_t *types,
                               int64_t count, bool *exact, adze_error *err) ADZE_MUST_CHECK;

#endif
