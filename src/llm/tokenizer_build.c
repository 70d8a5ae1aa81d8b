/* What both kinds of file need when a tokenizer is made: tables that follow from the vocabulary, and the tokens
 * that are known by their spelling. */
#include <stdio.h>
#include <string.h>

#include "llm/tokenizer_impl.h"

/* ---- steps ---- */

/* One more zeroed item in an array of the arena. */
static void *append(adze_arena *arena, void *items_pointer, int *count, size_t size)
{
    void *old, *items = adze_arena_alloc(arena, (size_t)*count + 1, size);
    if (!items)
        return NULL;
    memcpy(&old, items_pointer, sizeof old);
    if (*count)
        memcpy(items, old, (size_t)*count * size);
    memcpy(items_pointer, &items, sizeof items);
    return (char *)items + (size_t)(*count)++ * size;
}

tok_splitter *tok_add_splitter(adze_tokenizer *t)
{
    return append(&t->arena, &t->splitters, &t->splitter_count, sizeof *t->splitters);
}

tok_normalizer *tok_add_normalizer(adze_tokenizer *t)
{
    return append(&t->arena, &t->normalizers, &t->normalizer_count, sizeof *t->normalizers);
}

tok_decode_step *tok_add_decoder(adze_tokenizer *t)
{
    return append(&t->arena, &t->decoders, &t->decoder_count, sizeof *t->decoders);
}

adze_status tok_add_split(adze_tokenizer *t, const char *pattern, size_t length,
                          tok_behavior behavior, bool invert, adze_error *err)
{
    tok_splitter *s = tok_add_splitter(t);
    if (!s)
        return tok_no_memory(err);
    s->kind = TOK_SPLIT_REGEX;
    s->behavior = behavior;
    s->invert = invert;
    return adze_regex_open(&s->regex, pattern, length, err);
}

adze_status tok_add_class(adze_tokenizer *t, bool (*in_class)(uint32_t), tok_behavior behavior,
                          adze_error *err)
{
    tok_splitter *s = tok_add_splitter(t);
    if (!s)
        return tok_no_memory(err);
    s->kind = TOK_SPLIT_CLASS;
    s->in_class = in_class;
    s->behavior = behavior;
    return ADZE_OK;
}

/* ---- the vocabulary ---- */

static bool unspell_all(adze_tokenizer *t)
{
    adze_text bytes = {0};
    size_t total = t->texts.offsets[t->texts.count], length;
    bool ok = tok_texts_reserve(&t->raw, &t->arena, t->texts.count, total);
    for (int32_t id = 0; ok && id < t->texts.count; id++) {
        const char *text = tok_texts_get(&t->texts, id, &length);
        bytes.length = 0;
        (void)tok_bytes_unspell(&bytes, text, length);
        tok_texts_put(&t->raw, id, adze_text_get(&bytes), bytes.length);
    }
    ok = ok && !bytes.failed && tok_texts_index(&t->raw, &t->arena);
    adze_text_free(&bytes);
    return ok;
}

adze_status tok_finish_vocabulary(adze_tokenizer *t, bool byte_level, adze_error *err)
{
    t->bpe.byte_level = byte_level;
    if (byte_level && !unspell_all(t))
        return tok_no_memory(err);
    for (int i = 0; i < 256; i++) {
        char name[8], byte = (char)i;
        (void)snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        t->bytes[i] =
            byte_level ? tok_texts_find(&t->raw, &byte, 1) : tok_texts_find(&t->texts, name, 6);
        if (i < 128)
            t->single[i] = tok_texts_find(&t->texts, &byte, 1);
    }
    return ADZE_OK;
}

adze_status tok_split_words_build(adze_tokenizer *t, adze_error *err)
{
    bool glued[256] = {false};
    size_t length;
    if (tok_texts_find(&t->texts, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE) < 0)
        return ADZE_OK;
    for (int32_t id = 0; id < t->texts.count; id++) {
        const char *text = tok_texts_get(&t->texts, id, &length), *end = text + length;
        for (const char *at = text; at < end; at += ADZE_SPACE_MARK_SIZE) {
            at = memmem(at, (size_t)(end - at), ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE);
            if (!at)
                break;
            if (at > text)
                glued[(unsigned char)at[-1]] = true;
        }
    }
    tok_splitter *s = tok_add_splitter(t);
    if (!s)
        return tok_no_memory(err);
    s->kind = TOK_SPLIT_WORDS;
    memcpy(s->glued, glued, sizeof glued);
    return ADZE_OK;
}

/* ---- tokens known by their spelling ---- */

enum { END = 1, TURN = 2, FILL = 4, PLAIN = 8 };

typedef struct known_row {
    const char *text;
    int what;
} known_row;

/* END: the model has finished; TURN: may be the end of a turn; FILL: parts of filling in the middle; PLAIN: always
 * shown. All but PLAIN are control tokens, whatever the file says (facts of llama.cpp's llama-vocab.cpp). */
static const known_row known[] = {
    {"<|eot_id|>", END | TURN},
    {"<|im_end|>", END | TURN},
    {"<|end|>", END | TURN},
    {"<end_of_turn>", END | TURN},
    {"<|endoftext|>", END | TURN},
    {"<|end_of_text|>", END | TURN},
    {"<EOT>", END | TURN},
    {"_<EOT>", END | TURN},
    {"[EOT]", END | TURN},
    {"<\xEF\xBD\x9C"
     "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
     END | TURN},
    {"<end_of_utterance>", END | TURN},
    {"<|return|>", END},
    {"<|call|>", END},
    {"<|flush|>", END},
    {"<|calls|>", END},
    {"</s>", END},
    {"<|eom_id|>", END},
    {"[EOS]", END},
    {"<eos>", END},
    {"<turn|>", END},
    {"<|tool_response>", END},
    {"[e~[", END},
    {"<|fim_pad|>", END | FILL},
    {"<fim-pad>", END | FILL},
    {"<fim_pad>", END | FILL},
    {"<|fim_repo|>", END | FILL},
    {"<|repo_name|>", END | FILL},
    {"<fim-repo>", END | FILL},
    {"<reponame>", END | FILL},
    {"<|file_sep|>", END | FILL},
    {"<|fim_prefix|>", FILL},
    {"<fim-prefix>", FILL},
    {"<fim_prefix>", FILL},
    {"<|fim_suffix|>", FILL},
    {"<fim-suffix>", FILL},
    {"<fim_suffix>", FILL},
    {"<|fim_middle|>", FILL},
    {"<fim-middle>", FILL},
    {"<fim_middle>", FILL},
    {"<\xEF\xBD\x9C"
     "fim\xE2\x96\x81"
     "begin\xEF\xBD\x9C>",
     FILL},
    {"<\xEF\xBD\x9C"
     "fim\xE2\x96\x81hole\xEF\xBD\x9C>",
     FILL},
    {"<\xEF\xBD\x9C"
     "fim\xE2\x96\x81"
     "end\xEF\xBD\x9C>",
     FILL},
    {"<PRE>", FILL},
    {"<SUF>", FILL},
    {"<MID>", FILL},
    {"\xE2\x96\x81<PRE>", FILL},
    {"\xE2\x96\x81<SUF>", FILL},
    {"\xE2\x96\x81<MID>", FILL},
    {"<|code_prefix|>", FILL},
    {"<|code_suffix|>", FILL},
    {"<|code_middle|>", FILL},
    {"<|channel|>", PLAIN},
    {"<|message|>", PLAIN},
    {"<|start|>", PLAIN},
    {"<|constrain|>", PLAIN},
};

static int32_t find_text(const adze_tokenizer *t, const char *text)
{
    return tok_texts_find(&t->texts, text, strlen(text));
}

/* Of two markers of one family the larger unit ends the text: the smaller is text again. */
static void demote(adze_tokenizer *t, const char *text, bool retype, tok_type type)
{
    int32_t id = find_text(t, text);
    if (id < 0)
        return;
    t->ends_text[id] = false;
    if (retype)
        t->types[id] = (uint8_t)type;
    if (t->roles[ADZE_TOKEN_EOT] == id)
        t->roles[ADZE_TOKEN_EOT] = -1;
}

static bool ends(const adze_tokenizer *t, const char *text)
{
    int32_t id = find_text(t, text);
    return id >= 0 && t->ends_text[id];
}

adze_status tok_find_ends(adze_tokenizer *t, bool retype, adze_error *err)
{
    if (!t->ends_text)
        t->ends_text = ADZE_ARENA_ARRAY(&t->arena, bool, (size_t)t->texts.count);
    if (!t->ends_text)
        return tok_no_memory(err);
    for (size_t i = 0; i < ADZE_COUNT_OF(known); i++) {
        int32_t id = find_text(t, known[i].text);
        if (id < 0)
            continue;
        if (retype)
            t->types[id] = known[i].what & PLAIN ? TOK_USER : TOK_CONTROL;
        t->ends_text[id] |= (known[i].what & END) != 0;
        if ((known[i].what & TURN) && t->roles[ADZE_TOKEN_EOT] < 0)
            t->roles[ADZE_TOKEN_EOT] = id;
    }
    if ((ends(t, "<|return|>") && ends(t, "<|call|>")) ||
        (ends(t, "<|calls|>") && ends(t, "<|flush|>")))
        demote(t, "<|end|>", retype, TOK_USER);
    if (ends(t, "<|tool_response>"))
        demote(t, "</s>", retype, TOK_NORMAL);
    for (int r = ADZE_TOKEN_EOS; r <= ADZE_TOKEN_EOT; r++)
        if (t->roles[r] >= 0)
            t->ends_text[t->roles[r]] = true;
    return ADZE_OK;
}
