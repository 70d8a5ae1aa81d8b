/* Until the tokenizers are there: a model computes, but takes no text. Removed with their arrival. */
#include "llm/tokenizer.h"

static adze_status absent(adze_error *err)
{
    return adze_fail(err, ADZE_UNSUPPORTED, "this build has no tokenizers");
}

adze_status adze_tokenizer_open(adze_tokenizer **out, const char *path, adze_error *err)
{
    ADZE_UNUSED(out);
    return adze_fail(err, ADZE_NOT_FOUND, "%s: this build has no tokenizers", path);
}

void adze_tokenizer_close(adze_tokenizer **tokenizer)
{
    ADZE_UNUSED(tokenizer);
}

int32_t adze_tokenizer_count(const adze_tokenizer *tokenizer)
{
    ADZE_UNUSED(tokenizer);
    return 0;
}

const char *adze_tokenizer_kind(const adze_tokenizer *tokenizer)
{
    ADZE_UNUSED(tokenizer);
    return "";
}

const char *adze_tokenizer_pre(const adze_tokenizer *tokenizer)
{
    ADZE_UNUSED(tokenizer);
    return "";
}

int32_t adze_tokenizer_special(const adze_tokenizer *tokenizer, adze_token_role role)
{
    ADZE_UNUSED(tokenizer);
    ADZE_UNUSED(role);
    return -1;
}

bool adze_tokenizer_is_end(const adze_tokenizer *tokenizer, int32_t id)
{
    ADZE_UNUSED(tokenizer);
    ADZE_UNUSED(id);
    return false;
}

adze_status adze_tokenizer_encode(const adze_tokenizer *tokenizer, int32_t **ids, int64_t *count,
                                  const char *text, size_t length,
                                  const adze_encode_options *options, adze_error *err)
{
    ADZE_UNUSED(tokenizer);
    ADZE_UNUSED(ids);
    ADZE_UNUSED(count);
    ADZE_UNUSED(text);
    ADZE_UNUSED(length);
    ADZE_UNUSED(options);
    return absent(err);
}

void adze_tokens_free(int32_t **ids)
{
    ADZE_UNUSED(ids);
}

adze_status adze_decoder_open(adze_decoder **out, const adze_tokenizer *tokenizer, bool special,
                              adze_error *err)
{
    ADZE_UNUSED(out);
    ADZE_UNUSED(tokenizer);
    ADZE_UNUSED(special);
    return absent(err);
}

void adze_decoder_close(adze_decoder **decoder)
{
    ADZE_UNUSED(decoder);
}

adze_status adze_decoder_next(adze_decoder *decoder, int32_t id, const char **text, size_t *length,
                              adze_error *err)
{
    ADZE_UNUSED(decoder);
    ADZE_UNUSED(id);
    ADZE_UNUSED(text);
    ADZE_UNUSED(length);
    return absent(err);
}

adze_status adze_tokenizer_from_meta(adze_tokenizer **out, const adze_gguf_meta *meta,
                                     const char *where, adze_error *err)
{
    ADZE_UNUSED(meta);
    ADZE_UNUSED(where);
    ADZE_UNUSED(err);
    *out = NULL;
    return ADZE_OK;
}

adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err)
{
    ADZE_UNUSED(meta);
    ADZE_UNUSED(folder);
    return absent(err);
}
