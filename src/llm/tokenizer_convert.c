/* tokenizer.json as GGUF metadata: in work. */
#include "llm/tokenizer.h"

adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err)
{
    ADZE_UNUSED(meta);
    return adze_fail(err, ADZE_UNSUPPORTED, "%s: tokenizer.json is not read yet", folder);
}
