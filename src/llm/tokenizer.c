/* Opening and closing tokenizers, and what they say of themselves. */
#include "llm/tokenizer.h"

#include <string.h>

#include "base/file.h"
#include "llm/tokenizer_impl.h"
#include "llm/tokenizer_json_impl.h"

static adze_status open_gguf(adze_tokenizer **out, const char *path, adze_error *err)
{
    adze_gguf *gguf;
    ADZE_TRY(adze_gguf_open(&gguf, path, err));
    adze_status status = adze_tokenizer_from_meta(out, &gguf->meta, path, err);
    adze_gguf_close(&gguf);
    return status;
}

static adze_status begins_with_magic(bool *is_gguf, const char *path, adze_error *err)
{
    adze_mapping *mapping;
    ADZE_TRY(adze_mapping_open(&mapping, path, err));
    *is_gguf = adze_gguf_sniff(adze_mapping_bytes(mapping), adze_mapping_size(mapping));
    adze_mapping_release(&mapping);
    return ADZE_OK;
}

static adze_status open_path(adze_tokenizer **out, const char *path, adze_arena *arena,
                             adze_error *err)
{
    bool is_gguf;
    if (adze_file_is_folder(path)) {
        const char *file = adze_path_join(arena, path, "tokenizer.json");
        if (!file)
            return tok_no_memory(err);
        if (!adze_file_exists(file))
            return adze_fail(err, ADZE_NOT_FOUND, "%s: no tokenizer.json in this folder%s", path,
                             adze_file_exists(adze_path_join(arena, path, "tokenizer.model"))
                                 ? "; tokenizer.model alone is not read: save the tokenizer with "
                                   "transformers once, which writes tokenizer.json"
                                 : "");
        return tok_json_open(out, file, err);
    }
    ADZE_TRY(begins_with_magic(&is_gguf, path, err));
    return is_gguf ? open_gguf(out, path, err) : tok_json_open(out, path, err);
}

adze_status adze_tokenizer_open(adze_tokenizer **out, const char *path, adze_error *err)
{
    adze_arena arena = {0};
    adze_status status = open_path(out, path, &arena, err);
    adze_arena_free(&arena);
    return status;
}

void adze_tokenizer_close(adze_tokenizer **tokenizer)
{
    adze_tokenizer *t = *tokenizer;
    if (!t)
        return;
    for (int i = 0; i < t->normalizer_count; i++)
        adze_regex_close(&t->normalizers[i].regex);
    for (int i = 0; i < t->splitter_count; i++)
        adze_regex_close(&t->splitters[i].regex);
    for (int i = 0; i < t->decoder_count; i++)
        adze_regex_close(&t->decoders[i].regex);
    adze_arena arena = t->arena;
    adze_arena_free(&arena);
    *tokenizer = NULL;
}

int32_t adze_tokenizer_count(const adze_tokenizer *tokenizer)
{
    return tokenizer->texts.count;
}

const char *adze_tokenizer_kind(const adze_tokenizer *tokenizer)
{
    return tokenizer->kind;
}

const char *adze_tokenizer_pre(const adze_tokenizer *tokenizer)
{
    return tokenizer->pre;
}

const char *adze_tokenizer_text(const adze_tokenizer *tokenizer, int32_t id, size_t *length)
{
    *length = 0;
    if (id < 0 || id >= tokenizer->texts.count)
        return NULL;
    return tok_texts_get(&tokenizer->texts, id, length);
}

int32_t adze_tokenizer_find(const adze_tokenizer *tokenizer, const char *text)
{
    return tok_texts_find(&tokenizer->texts, text, strlen(text));
}

int32_t adze_tokenizer_special(const adze_tokenizer *tokenizer, adze_token_role role)
{
    return (int)role < 0 || (int)role >= TOK_ROLES ? -1 : tokenizer->roles[role];
}

bool adze_tokenizer_is_end(const adze_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->texts.count && tokenizer->ends_text[id];
}

bool adze_tokenizer_is_control(const adze_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->texts.count && tokenizer->types[id] == TOK_CONTROL;
}
