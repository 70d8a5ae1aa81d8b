/* A Hugging Face folder's tokenizer as GGUF metadata, such that llama.cpp (its src/llama-vocab.cpp is what the
 * keys mean) and adze_tokenizer_from_meta give the ids that tokenizer.json means. The four models of GGUF have fixed
 * steps: what tokenizer.json says beyond them is refused by name. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "llm/tokenizer.h"
#include "llm/tokenizer_convert_impl.h"

/* What steps amount to. */
enum {
    PREFIX = 1,     /* a space before the text */
    MARKS = 2,      /* spaces become U+2581 */
    WORDS = 4,      /* pieces begin at U+2581 */
    COMPOSED = 8,   /* NFC */
    CHARSMAP = 16,  /* SentencePiece's compiled normalizer */
    COLLAPSED = 32, /* runs of spaces are one */
    TRIMMED = 64,
    BERT = 128,
    BYTES = 256,
    CUTS = 512,   /* some expression or class */
    LINES = 1024, /* newlines are pieces of their own */
    UNKNOWN = 2048
};

typedef struct converter {
    tok_doc d;
    const char *folder;
    adze_gguf_meta *meta;
    adze_arena arena;
    json_t *config, *generation, *model; /* tokenizer_config, generation_config, config; or NULL */
    adze_string *texts;
    int32_t *types;
    float *scores;
    int64_t count;
    bool failed; /* out of memory */
} converter;

static adze_status refuse(const converter *c, const char *what, const char *which)
{
    return adze_fail(c->d.err, ADZE_UNSUPPORTED,
                     "%s: %s '%s' has no place in GGUF's metadata for this kind of tokenizer",
                     c->d.path, what, which);
}

/* ---- steps ---- */

static bool says(const json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

static bool replaces(const json_t *step, const char *pattern, const char *content)
{
    const json_t *from = json_object_get(step, "pattern");
    return says(step, "content", content) &&
           (says(from, "String", pattern) || says(from, "Regex", pattern));
}

static bool flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static unsigned read_normalizer(const json_t *step)
{
    const char *type = tok_json_type(step);
    if (strcmp(type, "NFC") == 0)
        return COMPOSED;
    if (strcmp(type, "Precompiled") == 0)
        return CHARSMAP;
    if (strcmp(type, "BertNormalizer") == 0)
        return flag(step, "clean_text", true) && flag(step, "handle_chinese_chars", true) ? BERT
                                                                                          : UNKNOWN;
    if (strcmp(type, "Prepend") == 0)
        return says(step, "prepend", ADZE_SPACE_MARK) ? PREFIX : UNKNOWN;
    if (strcmp(type, "Strip") == 0)
        return flag(step, "strip_left", true) && flag(step, "strip_right", true) ? TRIMMED
                                                                                 : UNKNOWN;
    if (strcmp(type, "Replace") != 0)
        return UNKNOWN;
    if (replaces(step, " ", ADZE_SPACE_MARK))
        return MARKS;
    return replaces(step, " {2,}", " ") || replaces(step, " +", " ") ? COLLAPSED : UNKNOWN;
}

static unsigned read_metaspace(const json_t *step)
{
    const char *scheme = json_string_value(json_object_get(step, "prepend_scheme"));
    bool prefix = scheme ? strcmp(scheme, "never") != 0 : flag(step, "add_prefix_space", true);
    if (!says(step, "replacement", ADZE_SPACE_MARK))
        return UNKNOWN;
    return MARKS | (prefix ? PREFIX : 0) | (flag(step, "split", true) ? WORDS : 0);
}

/* `so_far`: once spaces are marks there are none left to cut at. */
static unsigned read_splitter(const json_t *step, unsigned so_far)
{
    const char *type = tok_json_type(step);
    const json_t *pattern = json_object_get(step, "pattern");
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(step);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return COLLAPSED | TRIMMED | CUTS;
    if (strcmp(type, "BertPreTokenizer") == 0)
        return BERT;
    if (strcmp(type, "ByteLevel") == 0)
        return flag(step, "add_prefix_space", true) ? UNKNOWN : BYTES;
    if (strcmp(type, "Split") == 0 && (so_far & MARKS) &&
        (says(pattern, "String", " ") || says(pattern, "Regex", " ")))
        return 0;
    if (strcmp(type, "Split") == 0 && says(pattern, "Regex", "[^\\n]+|[\\n]+") &&
        says(step, "behavior", "Isolated"))
        return LINES;
    return CUTS;
}

/* Both sections' steps together; what is not among `allowed` is refused. */
static adze_status read_steps(const converter *c, unsigned allowed, unsigned *found)
{
    static const char *const sections[] = {"normalizer", "pre_tokenizer"};
    adze_arena arena = {0};
    adze_status status = ADZE_OK;
    *found = 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(sections) && status == ADZE_OK; i++) {
        const json_t **steps = NULL;
        int count = 0;
        status = tok_json_flatten(&c->d, &arena, sections[i], &steps, &count);
        for (int k = 0; k < count && status == ADZE_OK; k++) {
            unsigned one = i == 0 ? read_normalizer(steps[k]) : read_splitter(steps[k], *found);
            if (one & ~allowed)
                status = refuse(c, sections[i], tok_json_type(steps[k]));
            *found |= one;
        }
    }
    adze_arena_free(&arena);
    return status;
}

static const json_t *find_step(const converter *c, adze_arena *arena, const char *section,
                               const char *type)
{
    const json_t **steps = NULL;
    int count = 0;
    if (tok_json_flatten(&c->d, arena, section, &steps, &count) != ADZE_OK)
        return NULL;
    for (int i = 0; i < count; i++)
        if (strcmp(tok_json_type(steps[i]), type) == 0)
            return steps[i];
    return NULL;
}

/* ---- setting ---- */

static void put_text(converter *c, const char *key, const char *value)
{
    c->failed |= !adze_gguf_set_string(c->meta, key, value, strlen(value));
}

static void put_bool(converter *c, const char *key, bool value)
{
    c->failed |= !adze_gguf_set_bool(c->meta, key, value);
}

static void put_id(converter *c, const char *key, int64_t id)
{
    if (id >= 0)
        c->failed |= !adze_gguf_set_int(c->meta, key, ADZE_GGUF_U32, id);
}

static adze_status put_vocabulary(converter *c, const char *model)
{
    put_text(c, TOK_KEY("model"), model);
    c->failed |=
        !adze_gguf_set_strings(c->meta, TOK_KEY("tokens"), c->texts, c->count) ||
        !adze_gguf_set_array(c->meta, TOK_KEY("token_type"), ADZE_GGUF_I32, c->types, c->count);
    if (c->scores)
        c->failed |=
            !adze_gguf_set_array(c->meta, TOK_KEY("scores"), ADZE_GGUF_F32, c->scores, c->count);
    return c->failed ? tok_no_memory(c->d.err) : ADZE_OK;
}

static adze_status put_merges(converter *c)
{
    json_t *merges = json_object_get(json_object_get(c->d.root, "model"), "merges"), *merge;
    size_t count = json_array_size(merges), i;
    adze_string *list = ADZE_ARENA_ARRAY(&c->arena, adze_string, count);
    json_array_foreach(merges, i, merge)
    {
        const char *left = json_string_value(json_array_get(merge, 0));
        const char *right = json_string_value(json_array_get(merge, 1));
        const char *text = json_string_value(merge);
        if (!text && left && right && (strchr(left, ' ') || strchr(right, ' ')))
            return refuse(c, "a merge of a token with a space in it", left);
        if (!text && left && right)
            text = adze_arena_printf(&c->arena, "%s %s", left, right);
        if (!text || !list)
            return tok_no_memory(c->d.err);
        list[i] = (adze_string){text, strlen(text)};
    }
    c->failed |= !adze_gguf_set_strings(c->meta, TOK_KEY("merges"), list, (int64_t)count);
    return c->failed ? tok_no_memory(c->d.err) : ADZE_OK;
}

/* ---- the vocabulary ---- */

static const json_t *text_config(const converter *c)
{
    const json_t *text = json_object_get(c->model, "text_config");
    return text ? text : c->model;
}

/* As many tokens as the model has rows: those that the tokenizer lacks are there, and are never made. */
static adze_status count_tokens(converter *c)
{
    int64_t own = c->d.t->texts.count;
    const json_t *size = json_object_get(text_config(c), "vocab_size");
    c->count = json_is_integer(size) ? json_integer_value(size) : own;
    if (c->count < own)
        return adze_fail(c->d.err, ADZE_BAD_MODEL,
                         "%s: %lld tokens, but config.json says vocab_size %lld: take out the "
                         "added tokens that the model was never given rows for",
                         c->d.path, (long long)own, (long long)c->count);
    if (c->count > 1 << 24)
        return adze_fail(c->d.err, ADZE_LIMIT, "%s: vocab_size %lld", c->folder,
                         (long long)c->count);
    return ADZE_OK;
}

static const tok_added *added_of(const adze_tokenizer *t, int32_t id)
{
    for (int i = 0; i < t->added_count; i++)
        if (t->added[i].id == id)
            return &t->added[i];
    return NULL;
}

/* Added tokens that are matched in normalized text are found in GGUF's before spaces become marks. */
static adze_string spaced(converter *c, adze_string text)
{
    adze_text out = {0};
    tok_replace_literal(&out, (adze_string){ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE},
                        (adze_string){" ", 1}, text.data, text.length);
    adze_string kept = {adze_arena_strndup(&c->arena, adze_text_get(&out), out.length), out.length};
    c->failed |= out.failed || !kept.data;
    adze_text_free(&out);
    return kept;
}

static void fill_token(converter *c, int64_t i)
{
    const adze_tokenizer *t = c->d.t;
    uint8_t type = i < t->texts.count ? t->types[i] : (uint8_t)TOK_ABSENT;
    adze_string *text = &c->texts[i];
    if (type == TOK_ABSENT) {
        text->data = adze_arena_printf(&c->arena, "[PAD%lld]", (long long)i);
        text->length = text->data ? strlen(text->data) : 0;
        c->failed |= !text->data;
        type = TOK_UNUSED;
    } else {
        text->data = tok_texts_get(&t->texts, (int32_t)i, &text->length);
    }
    if (type == TOK_USER && !t->bpe.byte_level &&
        memmem(text->data, text->length, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE)) {
        const tok_added *added = added_of(t, (int32_t)i);
        if (added && added->normalized)
            *text = spaced(c, *text);
        else if (t->model == TOK_BPE) /* merges make it too, and only so it is decoded to spaces */
            type = TOK_NORMAL;
    }
    c->types[i] = type;
}

static adze_status fill_vocabulary(converter *c)
{
    ADZE_TRY(count_tokens(c));
    for (int i = 0; i < c->d.t->added_count; i++)
        if (c->d.t->added[i].single_word)
            return refuse(c, "added token (single_word)", c->d.t->added[i].text.data);
    c->texts = ADZE_ARENA_ARRAY(&c->arena, adze_string, (size_t)c->count);
    c->types = ADZE_ARENA_ARRAY(&c->arena, int32_t, (size_t)c->count);
    if (!c->texts || !c->types)
        return tok_no_memory(c->d.err);
    for (int64_t i = 0; i < c->count; i++)
        fill_token(c, i);
    return c->failed ? tok_no_memory(c->d.err) : ADZE_OK;
}

/* llama.cpp ends itself when two tokens are spelt alike. */
static adze_status check_unlike(const converter *c)
{
    adze_arena arena = {0};
    adze_map seen = adze_map_in(&arena);
    adze_status status = ADZE_OK;
    for (int64_t i = 0; i < c->count && status == ADZE_OK; i++) {
        const char *text = c->texts[i].data;
        if (strlen(text) != c->texts[i].length || !*text)
            continue; /* NULs inside: the map cannot tell */
        const void *other = adze_map_get(&seen, text);
        if (other)
            status = adze_fail(c->d.err, ADZE_UNSUPPORTED,
                               "%s: tokens %lld and %lld would both be spelt '%.100s' in GGUF",
                               c->d.path, (long long)(intptr_t)other - 1, (long long)i, text);
        else if (!adze_map_set(&seen, text, (void *)(intptr_t)(i + 1)))
            status = tok_no_memory(c->d.err);
    }
    adze_arena_free(&arena);
    return status;
}

/* ---- SentencePiece's BPE: "llama" ---- */

/* Newlines are pieces of their own where GGUF's "gpt2" knows spaces as marks. */
static bool crosses_lines(const adze_tokenizer *t)
{
    for (int32_t id = 0; id < t->texts.count; id++) {
        size_t length, newlines = 0;
        const char *text = tok_texts_get(&t->texts, id, &length);
        for (size_t i = 0; i < length; i++)
            newlines += text[i] == '\n';
        if (tok_is_plain(t, id) && newlines && newlines < length)
            return true;
    }
    return false;
}

static bool crosses_words(const adze_tokenizer *t)
{
    for (int32_t id = 0; id < t->texts.count; id++) {
        size_t length;
        const char *text = tok_texts_get(&t->texts, id, &length);
        if (tok_is_plain(t, id) && length > ADZE_SPACE_MARK_SIZE &&
            memmem(text + 1, length - 1, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE))
            return true;
    }
    return false;
}

static adze_status check_bytes(const converter *c)
{
    const adze_tokenizer *t = c->d.t;
    for (int i = 0; i < 256; i++)
        if (t->bytes[i] < 0)
            return adze_fail(c->d.err, ADZE_UNSUPPORTED,
                             "%s: no token <0x%02X>: GGUF's model of this kind needs one for "
                             "every byte",
                             c->d.path, (unsigned)i);
    return ADZE_OK;
}

static adze_status convert_spm(converter *c)
{
    unsigned found;
    bool exact = false;
    adze_tokenizer *t = c->d.t;
    ADZE_TRY(read_steps(c, PREFIX | MARKS | WORDS | LINES, &found));
    if (!(found & MARKS))
        return refuse(c, "model", "BPE of characters");
    ADZE_TRY(check_bytes(c));
    if ((found & WORDS) && crosses_words(t))
        return refuse(c, "pre_tokenizer", "Metaspace with split, and tokens across words");
    if (t->unknown >= 0)
        c->types[t->unknown] = TOK_UNKNOWN;
    c->scores = ADZE_ARENA_ARRAY(&c->arena, float, (size_t)c->count);
    if (!c->scores)
        return tok_no_memory(c->d.err);
    ADZE_TRY(tok_convert_scores(c->scores, c->d.t, c->types, c->count, &exact, c->d.err));
    bool lines = crosses_lines(t);
    if (exact && !((found & LINES) && lines)) {
        put_text(c, TOK_KEY("pre"), "default");
        put_bool(c, TOK_KEY("add_space_prefix"), (found & PREFIX) != 0);
        return put_vocabulary(c, "llama");
    }
    if ((found & PREFIX) || (lines && !(found & LINES)) || t->bpe.ignore_merges)
        return adze_fail(c->d.err, ADZE_UNSUPPORTED,
                         "%s: the order of its merges cannot be told by scores, as GGUF needs "
                         "where there is a space before the text",
                         c->d.path);
    c->scores = NULL;
    put_text(c, TOK_KEY("pre"), "sarvam-moe");
    ADZE_TRY(put_vocabulary(c, "gpt2"));
    return put_merges(c);
}

/* ---- byte-level BPE: "gpt2" ---- */

static adze_status convert_bytes(converter *c)
{
    unsigned found;
    const char *name;
    const tok_bpe *b = &c->d.t->bpe;
    ADZE_TRY(read_steps(c, COMPOSED | BYTES | CUTS | LINES | COLLAPSED | TRIMMED, &found));
    if (b->prefix.length || b->suffix.length)
        return refuse(c, "model",
                      b->prefix.length ? "continuing_subword_prefix" : "end_of_word_suffix");
    ADZE_TRY(put_vocabulary(c, "gpt2"));
    ADZE_TRY(put_merges(c));
    ADZE_TRY(tok_convert_find_pre(&c->d, c->meta,
                                  adze_gguf_string(c->meta, "general.architecture", ""), &name));
    put_text(c, TOK_KEY("pre"), name);
    return ADZE_OK;
}

static adze_status convert_bpe(converter *c)
{
    adze_arena arena = {0};
    bool bytes = find_step(c, &arena, "pre_tokenizer", "ByteLevel") != NULL;
    adze_arena_free(&arena);
    return bytes ? convert_bytes(c) : convert_spm(c);
}

/* ---- WordPiece: "bert" ---- */

/* Words begin with a mark there, and what goes on has none. */
static void respell(converter *c, adze_string *text, adze_string prefix)
{
    bool goes_on = text->length > prefix.length && prefix.length &&
                   memcmp(text->data, prefix.data, prefix.length) == 0;
    if (goes_on) {
        text->data += prefix.length;
        text->length -= prefix.length;
        return;
    }
    char *marked = adze_arena_alloc(&c->arena, ADZE_SPACE_MARK_SIZE + text->length + 1, 1);
    c->failed |= !marked;
    if (!marked)
        return;
    memcpy(marked, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE);
    memcpy(marked + ADZE_SPACE_MARK_SIZE, text->data, text->length);
    *text = (adze_string){marked, ADZE_SPACE_MARK_SIZE + text->length};
}

static adze_status convert_wordpiece(converter *c)
{
    unsigned found;
    adze_string prefix;
    adze_tokenizer *t = c->d.t;
    ADZE_TRY(read_steps(c, BERT, &found));
    const json_t *step = find_step(c, &c->arena, "normalizer", "BertNormalizer");
    if (!step || !find_step(c, &c->arena, "pre_tokenizer", "BertPreTokenizer"))
        return refuse(c, step ? "pre_tokenizer" : "normalizer", "other than BERT's");
    if (t->before_count != 1 || t->after_count != 1)
        return refuse(c, "post_processor", "without a token before and one behind");
    ADZE_TRY(tok_json_string(&c->d, &prefix, json_object_get(c->d.root, "model"),
                             "continuing_subword_prefix"));
    for (int64_t i = 0; i < c->count; i++)
        if (c->types[i] == TOK_NORMAL || c->types[i] == TOK_BYTE) {
            c->types[i] = TOK_NORMAL;
            respell(c, &c->texts[i], prefix);
        }
    bool lower = flag(step, "lowercase", true);
    put_bool(c, TOK_KEY("normalizer.lowercase"), lower);
    put_bool(c, TOK_KEY("normalizer.strip_accents"), flag(step, "strip_accents", lower));
    put_text(c, TOK_KEY("pre"), "default");
    put_id(c, TOK_KEY("cls_token_id"), t->before[0]);
    t->roles[ADZE_TOKEN_SEPARATOR] = t->after[0];
    return put_vocabulary(c, "bert");
}

/* ---- Unigram: "t5" ---- */

static const tok_charsmap *find_charsmap(const adze_tokenizer *t)
{
    for (int i = 0; i < t->normalizer_count; i++)
        if (t->normalizers[i].kind == TOK_NORMAL_CHARSMAP && t->normalizers[i].charsmap.unit_count)
            return &t->normalizers[i].charsmap;
    return NULL;
}

/* Length, double array and texts lie one behind the other, as they came. */
static void put_charsmap(converter *c, const tok_charsmap *map)
{
    const uint8_t *end = (const uint8_t *)map->texts + map->texts_size, *begin = map->units - 4;
    c->failed |= !adze_gguf_set_array(c->meta, TOK_KEY("precompiled_charsmap"), ADZE_GGUF_U8, begin,
                                      (int64_t)(end - begin));
}

static adze_status convert_unigram(converter *c)
{
    unsigned found;
    adze_tokenizer *t = c->d.t;
    ADZE_TRY(read_steps(c, PREFIX | MARKS | WORDS | CHARSMAP | COLLAPSED | TRIMMED | CUTS, &found));
    if (!(found & MARKS) || ((found & CUTS) && !(found & TRIMMED)))
        return refuse(c, "pre_tokenizer", "other than Metaspace");
    if (t->unigram.byte_fallback)
        return refuse(c, "model", "Unigram with byte_fallback");
    if ((found & WORDS) && crosses_words(t))
        return refuse(c, "pre_tokenizer", "Metaspace with split, and tokens across words");
    c->scores = ADZE_ARENA_ARRAY(&c->arena, float, (size_t)c->count);
    if (!c->scores)
        return tok_no_memory(c->d.err);
    int64_t listed =
        (int64_t)json_array_size(json_object_get(json_object_get(c->d.root, "model"), "vocab"));
    for (int64_t i = 0; i < c->count; i++)
        c->scores[i] = i < listed ? (float)t->unigram.scores[i] : -10000;
    if (t->unknown >= 0)
        c->types[t->unknown] = TOK_UNKNOWN;
    const tok_charsmap *map = find_charsmap(t);
    if (map)
        put_charsmap(c, map);
    put_text(c, TOK_KEY("pre"), "default");
    put_bool(c, TOK_KEY("add_space_prefix"), (found & PREFIX) != 0);
    put_bool(c, TOK_KEY("remove_extra_whitespaces"), (found & COLLAPSED) != 0);
    return put_vocabulary(c, "t5");
}

/* ---- special tokens ---- */

static const struct {
    adze_token_role role;
    const char *key, *id; /* id: of config.json */
} roles[] = {
    {ADZE_TOKEN_BOS, TOK_KEY("bos_token_id"), "bos_token_id"},
    {ADZE_TOKEN_EOS, TOK_KEY("eos_token_id"), "eos_token_id"},
    {ADZE_TOKEN_EOT, TOK_KEY("eot_token_id"), NULL},
    {ADZE_TOKEN_UNKNOWN, TOK_KEY("unknown_token_id"), NULL},
    {ADZE_TOKEN_SEPARATOR, TOK_KEY("seperator_token_id"), "sep_token_id"},
    {ADZE_TOKEN_PADDING, TOK_KEY("padding_token_id"), "pad_token_id"},
    {ADZE_TOKEN_MASK, TOK_KEY("mask_token_id"), "mask_token_id"},
};

static int64_t id_in(const converter *c, const json_t *config, const char *key)
{
    const json_t *id = json_object_get(config, key);
    if (json_is_array(id))
        id = json_array_get(id, 0);
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    return value < c->count ? value : -1;
}

/* The post-processor says what is put around a text; where there is none, tokenizer_config.json may. */
static adze_status find_ends(converter *c, bool *before, bool *after)
{
    adze_tokenizer *t = c->d.t;
    int32_t *bos = &t->roles[ADZE_TOKEN_BOS], *eos = &t->roles[ADZE_TOKEN_EOS];
    if (t->before_count > 1 || t->after_count > 1)
        return refuse(c, "post_processor", "with several tokens at one end");
    bool silent = !t->before_count && !t->after_count;
    *before = t->before_count > 0;
    *after = t->after_count > 0;
    if (*before)
        *bos = t->before[0];
    if (*after && t->model != TOK_WORDPIECE && *eos != t->after[0]) {
        if (*eos >= 0)
            t->roles[ADZE_TOKEN_EOT] = *eos;
        *eos = t->after[0];
    }
    const char *types[] = {"TemplateProcessing", "BertProcessing", "RobertaProcessing"};
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        silent &= !find_step(c, &c->arena, "post_processor", types[i]);
    if (silent) {
        *before = flag(c->config, "add_bos_token", false) && *bos >= 0;
        *after = flag(c->config, "add_eos_token", false) && *eos >= 0;
    }
    return ADZE_OK;
}

static adze_status put_special(converter *c)
{
    adze_tokenizer *t = c->d.t;
    bool before = false, after = false;
    for (size_t i = 0; i < ADZE_COUNT_OF(roles); i++) {
        int32_t *role = &t->roles[roles[i].role];
        if (*role < 0 && roles[i].id)
            *role = (int32_t)id_in(c, text_config(c), roles[i].id);
        if (*role < 0 && roles[i].id)
            *role = (int32_t)id_in(c, c->generation, roles[i].id);
    }
    ADZE_TRY(find_ends(c, &before, &after));
    for (size_t i = 0; i < ADZE_COUNT_OF(roles); i++)
        put_id(c, roles[i].key, t->roles[roles[i].role]);
    put_bool(c, TOK_KEY("add_bos_token"), before);
    put_bool(c, TOK_KEY("add_eos_token"), after);
    return ADZE_OK;
}

/* ---- chat templates ---- */

static void put_template(converter *c, const char *name, const json_t *text)
{
    char key[128] = "tokenizer.chat_template";
    if (!json_is_string(text))
        return;
    if (name && strcmp(name, "default") != 0)
        (void)snprintf(key, sizeof key, "tokenizer.chat_template.%.80s", name);
    c->failed |=
        !adze_gguf_set_string(c->meta, key, json_string_value(text), json_string_length(text));
}

static adze_status put_templates(converter *c)
{
    enum { LARGEST = 16 << 20 };
    const char *path = adze_path_join(&c->arena, c->folder, "chat_template.jinja");
    const json_t *template = json_object_get(c->config, "chat_template");
    json_t *one;
    size_t i;
    put_template(c, NULL, template);
    json_array_foreach(template, i, one) put_template(
        c, json_string_value(json_object_get(one, "name")), json_object_get(one, "template"));
    if (path && adze_file_exists(path)) {
        char *text;
        size_t size;
        ADZE_TRY(adze_file_read(&text, &size, path, LARGEST, c->d.err));
        c->failed |= !adze_gguf_set_string(c->meta, "tokenizer.chat_template", text, size);
        adze_free(text);
    }
    return ADZE_OK;
}

/* ---- all ---- */

/* NULL when the file is not there. */
static adze_status load_beside(converter *c, json_t **out, const char *name)
{
    const char *path = adze_path_join(&c->arena, c->folder, name);
    if (!path)
        return tok_no_memory(c->d.err);
    return adze_file_exists(path) ? tok_json_load(out, path, c->d.err) : ADZE_OK;
}

static adze_status convert(converter *c)
{
    ADZE_TRY(tok_json_open(&c->d.t, c->d.path, c->d.err));
    ADZE_TRY(tok_json_load(&c->d.root, c->d.path, c->d.err));
    ADZE_TRY(load_beside(c, &c->config, "tokenizer_config.json"));
    ADZE_TRY(load_beside(c, &c->generation, "generation_config.json"));
    ADZE_TRY(load_beside(c, &c->model, "config.json"));
    ADZE_TRY(fill_vocabulary(c));
    switch (c->d.t->model) {
    case TOK_BPE: ADZE_TRY(convert_bpe(c)); break;
    case TOK_WORDPIECE: ADZE_TRY(convert_wordpiece(c)); break;
    case TOK_UNIGRAM: ADZE_TRY(convert_unigram(c)); break;
    case TOK_WORDLEVEL: return refuse(c, "model", "WordLevel");
    }
    ADZE_TRY(check_unlike(c));
    ADZE_TRY(put_special(c));
    ADZE_TRY(put_templates(c));
    return c->failed ? tok_no_memory(c->d.err) : ADZE_OK;
}

adze_status adze_tokenizer_meta_from_folder(adze_gguf_meta *meta, const char *folder,
                                            adze_error *err)
{
    converter c = {.d = {.err = err}, .folder = folder, .meta = meta};
    c.d.path = adze_path_join(&c.arena, folder, "tokenizer.json");
    adze_status status = ADZE_OK;
    if (!c.d.path)
        status = tok_no_memory(err);
    else if (!adze_file_exists(c.d.path))
        status = adze_fail(err, ADZE_UNSUPPORTED,
                           "%s: no tokenizer.json in this folder, which is what is read: save the "
                           "tokenizer with transformers once, which writes it",
                           folder);
    else
        status = convert(&c);
    adze_tokenizer_close(&c.d.t);
    json_decref(c.d.root);
    json_decref(c.config);
    json_decref(c.generation);
    json_decref(c.model);
    adze_arena_free(&c.arena);
    return status;
}
