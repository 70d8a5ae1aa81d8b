/* tokenizer.json of Hugging Face's tokenizers library as a pipeline; its own parts only. */
#ifndef ADZE_LLM_TOKENIZER_JSON_IMPL_H
#define ADZE_LLM_TOKENIZER_JSON_IMPL_H
#include "base/json.h"
#include "llm/tokenizer_impl.h"

typedef struct tok_doc {
    const char *path;
    json_t *root;
    adze_tokenizer *t;
    adze_error *err;
} tok_doc;

/* `path` is the file itself; tokenizer_config.json and generation_config.json beside it are looked at where
 * they are. */
adze_status tok_json_open(adze_tokenizer **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* A JSON file as it is, NULs in strings allowed. */
adze_status tok_json_load(json_t **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Fails with ADZE_UNSUPPORTED, naming all that no one here knows. */
adze_status tok_json_check(const tok_doc *d) ADZE_MUST_CHECK;

/* ---- members of an object; those of another type fail with ADZE_BAD_FILE and the name ---- */

/* `found`: what stands there, NULL: nothing. */
adze_status tok_json_bad(const tok_doc *d, const char *what, const char *expected,
                         const json_t *found) ADZE_MUST_CHECK;
bool tok_json_absent(const json_t *object, const char *key); /* or null */
adze_status tok_json_bool(const tok_doc *d, bool *out, const json_t *object, const char *key,
                          bool otherwise) ADZE_MUST_CHECK;
adze_status tok_json_int(const tok_doc *d, int64_t *out, const json_t *object, const char *key,
                         int64_t otherwise) ADZE_MUST_CHECK;
/* Copied into the tokenizer's arena; empty when absent. */
adze_status tok_json_string(const tok_doc *d, adze_string *out, const json_t *object,
                            const char *key) ADZE_MUST_CHECK;

/* ---- the four lists of steps ---- */

adze_status tok_json_normalizers(const tok_doc *d) ADZE_MUST_CHECK;
adze_status tok_json_splitters(const tok_doc *d) ADZE_MUST_CHECK;
adze_status tok_json_decoders(const tok_doc *d) ADZE_MUST_CHECK;
adze_status tok_json_ends(const tok_doc *d) ADZE_MUST_CHECK;

/* The steps of a section with sequences opened out, in order: an array of borrowed objects in the arena. */
adze_status tok_json_flatten(const tok_doc *d, adze_arena *arena, const char *section,
                             const json_t ***steps, int *count) ADZE_MUST_CHECK;
const char *tok_json_type(const json_t *object); /* "" when it has none */

/* The regular expression that pre-tokenizers of fixed meaning stand for. */
extern const char tok_gpt2_pattern[];

#endif
