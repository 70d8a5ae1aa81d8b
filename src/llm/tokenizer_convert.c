/* tokenizer.json as GGUF metadata: not possible yet; said before any work begins. */
#include "llm/tokenizer.h"

adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err)
{
    ADZE_UNUSED(meta);
    return adze_fail(err, ADZE_UNSUPPORTED,
                     "%s: a tokenizer of tokenizer.json cannot be written as GGUF metadata yet",
                     folder);
}
