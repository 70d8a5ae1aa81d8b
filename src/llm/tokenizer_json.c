/* tokenizer.json: in work. */
#include "llm/tokenizer_json.h"

#include "llm/tokenizer.h"

adze_status tok_json_open(adze_tokenizer **out, const char *path, adze_error *err)
{
    ADZE_UNUSED(out);
    return adze_fail(err, ADZE_UNSUPPORTED, "%s: tokenizer.json is not read yet", path);
}

adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err)
{
    ADZE_UNUSED(meta);
    return adze_fail(err, ADZE_UNSUPPORTED, "%s: tokenizer.json is not read yet", folder);
}
