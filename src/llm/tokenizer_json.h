/* tokenizer.json of Hugging Face's tokenizers library, and what lies beside it. */
#ifndef ADZE_LLM_TOKENIZER_JSON_H
#define ADZE_LLM_TOKENIZER_JSON_H
#include "adze/tokenizer.h"

/* `path` is the file itself; tokenizer_config.json and generation_config.json beside it are looked at where
 * they are. */
adze_status tok_json_open(adze_tokenizer **out, const char *path, adze_error *err) ADZE_MUST_CHECK;

#endif
