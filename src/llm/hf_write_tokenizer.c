/* GGUF's tokenizer as tokenizer.json: the same four models the other way. Steps are those that adze itself takes
 * for the metadata; merges that GGUF gives as scores become a list. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "llm/tokenizer.h"
#include "llm/tokenizer_convert_impl.h"

typedef struct maker {
    const adze_gguf_meta *meta;
    const char *where;
    const adze_tokenizer *t;
    json_t *out;   /* tokenizer.json */
    json_t *model; /* its model; owned by out */
    adze_arena arena;
    adze_error *err;
    bool failed; /* out of memory, or a token that is not UTF-8 */
} maker;

static void set(maker *m, json_t *object, const char *key, json_t *value)
{
    m->failed |= json_object_set_new(object, key, value) != 0;
}

static void append(maker *m, json_t *array, json_t *value)
{
    m->failed |= json_array_append_new(array, value) != 0;
}

static json_t *text_of(const maker *m, int32_t id)
{
    size_t length;
    const char *text = tok_texts_get(&m->t->texts, id, &length);
    return json_stringn(text, length);
}

/* Rows of the model that no token has: written by adze and by llama.cpp's converter. */
static bool is_padding(const adze_tokenizer *t, int32_t id, const char *text)
{
    long long number;
    char *end;
    if (t->types[id] != TOK_UNUSED || strncmp(text, "[PAD", 4) != 0)
        return false;
    number = strtoll(text + 4, &end, 10);
    return number == id && strcmp(end, "]") == 0;
}

static adze_status no_place(const maker *m, const char *what)
{
    return adze_fail(m->err, ADZE_UNSUPPORTED, "%s: %s has no place in tokenizer.json", m->where,
                     what);
}

/* ---- vocabularies ---- */

/* Texts by id, spelt by `spell`; of equal ones the first stands. */
static adze_status put_vocabulary(maker *m, const char *(*spell)(maker *m, int32_t id))
{
    json_t *vocab = json_object();
    for (int32_t id = 0; id < m->t->texts.count; id++) {
        size_t length;
        const char *own = tok_texts_get(&m->t->texts, id, &length);
        const char *text = spell ? spell(m, id) : own;
        if (!text || !length || is_padding(m->t, id, own))
            continue;
        if (strlen(own) != length || adze_utf8_valid_prefix(own, length) != length) {
            json_decref(vocab);
            return no_place(m, "a token that is not UTF-8 text");
        }
        if (!json_object_get(vocab, text))
            set(m, vocab, text, json_integer(id));
    }
    set(m, m->model, "vocab", vocab);
    return ADZE_OK;
}

static void put_model(maker *m, const char *type)
{
    m->model = json_object();
    set(m, m->model, "type", json_string(type));
    set(m, m->out, "model", m->model);
}

static void put_bpe(maker *m, bool ignore_merges, bool fallback)
{
    int32_t unknown = m->t->roles[ADZE_TOKEN_UNKNOWN];
    static const char *const nothing[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix"};
    put_model(m, "BPE");
    for (size_t i = 0; i < ADZE_COUNT_OF(nothing); i++)
        set(m, m->model, nothing[i], json_null());
    set(m, m->model, "unk_token", fallback && unknown >= 0 ? text_of(m, unknown) : json_null());
    set(m, m->model, "fuse_unk", json_boolean(fallback));
    set(m, m->model, "byte_fallback", json_boolean(fallback));
    set(m, m->model, "ignore_merges", json_boolean(ignore_merges));
}

static void put_listed_merges(maker *m)
{
    const adze_gguf_entry *merges = adze_gguf_find(m->meta, TOK_KEY("merges"));
    json_t *list = json_array();
    for (int64_t i = 0; merges && i < merges->count; i++)
        append(m, list, json_stringn(merges->as.strings[i].data, merges->as.strings[i].length));
    set(m, m->model, "merges", list);
}

/* ---- merges from scores ---- */

typedef struct scored_merge {
    uint32_t rank; /* of what it makes */
    int32_t id;
    uint32_t left; /* length of the first part */
} scored_merge;

static int by_rank(const void *left, const void *right)
{
    const scored_merge *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->left < b->left) - (a->left > b->left);
}

/* What text can become by merging, and be merged on. */
static bool is_made_of_text(const adze_tokenizer *t, int32_t id)
{
    return id >= 0 && t->types[id] != TOK_CONTROL && t->types[id] != TOK_UNKNOWN &&
           t->types[id] != TOK_BYTE;
}

static adze_status list_merges(maker *m, scored_merge **list, int *count)
{
    const adze_tokenizer *t = m->t;
    int capacity = 0;
    for (int32_t id = 0; id < t->texts.count; id++) {
        size_t length;
        const char *text = tok_texts_get(&t->texts, id, &length);
        if (!is_made_of_text(t, id) || !length || memchr(text, ' ', length) ||
            is_padding(t, id, text))
            continue;
        for (size_t at = adze_utf8_size(*text); at < length; at += adze_utf8_size(text[at])) {
            int32_t left = tok_texts_find(&t->texts, text, at);
            int32_t right = tok_texts_find(&t->texts, text + at, length - at);
            if (!is_made_of_text(t, left) || !is_made_of_text(t, right))
                continue;
            if (!adze_arena_grow(&m->arena, list, &capacity, *count, sizeof **list))
                return tok_no_memory(m->err);
            (*list)[(*count)++] = (scored_merge){t->bpe.ranks[id], id, (uint32_t)at};
        }
    }
    return ADZE_OK;
}

static adze_status put_scored_merges(maker *m)
{
    scored_merge *list = NULL;
    int count = 0;
    ADZE_TRY(list_merges(m, &list, &count));
    if (count)
        qsort(list, (size_t)count, sizeof *list, by_rank);
    json_t *merges = json_array();
    adze_text pair = {0};
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *text = tok_texts_get(&m->t->texts, list[i].id, &length);
        pair.length = 0;
        adze_text_add(&pair, text, list[i].left);
        adze_text_add(&pair, " ", 1);
        adze_text_add(&pair, text + list[i].left, length - list[i].left);
        append(m, merges, json_stringn(adze_text_get(&pair), pair.length));
    }
    m->failed |= pair.failed;
    adze_text_free(&pair);
    set(m, m->model, "merges", merges);
    return ADZE_OK;
}

/* ---- steps ---- */

static json_t *replacing(const char *kind, const char *from, const char *to)
{
    return json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", kind, from, "content",
                     to);
}

static json_t *sequence(const char *list, json_t *steps)
{
    return json_pack("{s:s, s:o}", "type", "Sequence", list, steps);
}

static json_t *split_at(const char *regex)
{
    return json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", regex,
                     "behavior", "Isolated", "invert", 0);
}

static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", 0);
}

static void put_marks(maker *m, bool prefix)
{
    json_t *steps = json_array();
    if (prefix)
        append(m, steps, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", ADZE_SPACE_MARK));
    append(m, steps, replacing("String", " ", ADZE_SPACE_MARK));
    set(m, m->out, "normalizer", sequence("normalizers", steps));
}

static void put_mark_decoder(maker *m, bool prefix)
{
    json_t *steps = json_array();
    append(m, steps, replacing("String", ADZE_SPACE_MARK, " "));
    append(m, steps, json_pack("{s:s}", "type", "ByteFallback"));
    append(m, steps, json_pack("{s:s}", "type", "Fuse"));
    if (prefix)
        append(m, steps,
               json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1,
                         "stop", 0));
    set(m, m->out, "decoder", sequence("decoders", steps));
}

/* ---- the four models ---- */

static adze_status make_spm(maker *m)
{
    bool prefix = adze_gguf_bool(m->meta, TOK_KEY("add_space_prefix"), true);
    put_bpe(m, false, true);
    ADZE_TRY(put_vocabulary(m, NULL));
    ADZE_TRY(put_scored_merges(m));
    put_marks(m, prefix);
    put_mark_decoder(m, prefix);
    return ADZE_OK;
}

static adze_status make_bpe(maker *m)
{
    const tok_pre *pre = tok_pre_find(m->t->pre);
    const char *model = adze_gguf_string(m->meta, TOK_KEY("model"), "");
    if (!pre || strcmp(model, "whitespace") == 0)
        return no_place(m, "this model of words and merges");
    bool marks = (pre->flags & TOK_PRE_MARKS) != 0;
    json_t *steps = json_array();
    put_bpe(m, (pre->flags & TOK_PRE_IGNORE_MERGES) != 0, marks);
    for (size_t i = 0; i < ADZE_COUNT_OF(pre->regexes) && pre->regexes[i]; i++)
        append(m, steps, split_at(pre->regexes[i]));
    if (marks) {
        put_marks(m, false);
        put_mark_decoder(m, false);
    } else {
        append(m, steps, byte_level());
        set(m, m->out, "decoder", byte_level());
    }
    set(m, m->out, "pre_tokenizer", sequence("pretokenizers", steps));
    put_listed_merges(m);
    return put_vocabulary(m, NULL);
}

/* Words begin with a mark in GGUF, what goes on does here. */
static const char *spell_piece(maker *m, int32_t id)
{
    size_t length;
    const char *text = tok_texts_get(&m->t->texts, id, &length);
    if (m->t->types[id] != TOK_NORMAL)
        return text;
    return adze_starts_with(text, ADZE_SPACE_MARK) ? text + ADZE_SPACE_MARK_SIZE
                                                   : adze_arena_printf(&m->arena, "##%s", text);
}

static adze_status make_wordpiece(maker *m)
{
    enum { LONGEST_WORD = 100 };
    bool lower = adze_gguf_bool(m->meta, TOK_KEY("normalizer.lowercase"), true);
    bool accents = adze_gguf_bool(m->meta, TOK_KEY("normalizer.strip_accents"), lower);
    if (m->t->unknown < 0)
        return no_place(m, "WordPiece without an unknown token");
    put_model(m, "WordPiece");
    set(m, m->model, "unk_token", text_of(m, m->t->unknown));
    set(m, m->model, "continuing_subword_prefix", json_string("##"));
    set(m, m->model, "max_input_chars_per_word", json_integer(LONGEST_WORD));
    set(m, m->out, "normalizer",
        json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", "BertNormalizer", "clean_text", 1,
                  "handle_chinese_chars", 1, "strip_accents", accents, "lowercase", lower));
    set(m, m->out, "pre_tokenizer", json_pack("{s:s}", "type", "BertPreTokenizer"));
    set(m, m->out, "decoder",
        json_pack("{s:s, s:s, s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1));
    return put_vocabulary(m, spell_piece);
}

static json_t *base64(const void *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *b = bytes;
    adze_text out = {0};
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)b[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};
        if (left > 1)
            four[2] = digits[bits >> 6 & 63];
        if (left > 2)
            four[3] = digits[bits & 63];
        adze_text_add(&out, four, 4);
    }
    json_t *text = out.failed ? NULL : json_stringn(adze_text_get(&out), out.length);
    adze_text_free(&out);
    return text;
}

static void put_unigram_steps(maker *m)
{
    const adze_gguf_entry *map = adze_gguf_find(m->meta, TOK_KEY("precompiled_charsmap"));
    bool prefix = adze_gguf_bool(m->meta, TOK_KEY("add_space_prefix"), false);
    bool collapse = adze_gguf_bool(m->meta, TOK_KEY("remove_extra_whitespaces"), false);
    json_t *steps = json_array();
    if (map && map->count > 0)
        append(m, steps,
               json_pack("{s:s, s:o}", "type", "Precompiled", "precompiled_charsmap",
                         base64(map->as.bytes, map->byte_count)));
    if (collapse) {
        append(m, steps,
               json_pack("{s:s, s:b, s:b}", "type", "Strip", "strip_left", 1, "strip_right", 1));
        append(m, steps, replacing("Regex", " {2,}", " "));
    }
    set(m, m->out, "normalizer", sequence("normalizers", steps));
    const char *scheme = prefix || collapse ? "always" : "never";
    json_t *marks = json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement",
                              ADZE_SPACE_MARK, "prepend_scheme", scheme, "split", 0);
    set(m, m->out, "pre_tokenizer", json_deep_copy(marks));
    set(m, m->out, "decoder", marks);
}

static adze_status make_unigram(maker *m)
{
    const adze_tokenizer *t = m->t;
    json_t *vocab = json_array();
    put_model(m, "Unigram");
    for (int32_t id = 0; id < t->texts.count; id++) {
        json_t *text = text_of(m, id);
        append(m, vocab, json_pack("[o, f]", text, t->unigram.scores[id]));
    }
    set(m, m->model, "unk_id", t->unknown >= 0 ? json_integer(t->unknown) : json_null());
    set(m, m->model, "vocab", vocab);
    set(m, m->model, "byte_fallback", json_false());
    put_unigram_steps(m);
    return ADZE_OK;
}

/* ---- what all have ---- */

static void put_added(maker *m)
{
    const adze_tokenizer *t = m->t;
    json_t *list = json_array();
    for (int i = 0; i < t->added_count; i++) {
        const tok_added *a = &t->added[i];
        append(m, list,
               json_pack("{s:i, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (int)a->id, "content",
                         text_of(m, a->id), "single_word", 0, "lstrip", a->lstrip, "rstrip",
                         a->rstrip, "normalized", 0, "special", a->special));
    }
    set(m, m->out, "added_tokens", list);
}

static void add_special(maker *m, json_t *list, json_t *tokens, int32_t id, int type_id)
{
    json_t *text = text_of(m, id);
    append(m, list, json_pack("{s:{s:O, s:i}}", "SpecialToken", "id", text, "type_id", type_id));
    set(m, tokens, json_string_value(text) ? json_string_value(text) : "",
        json_pack("{s:O, s:[i], s:[O]}", "id", text, "ids", (int)id, "tokens", text));
    json_decref(text);
}

static void add_sequence(maker *m, json_t *list, const char *name, int type_id)
{
    append(m, list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", type_id));
}

static void put_ends(maker *m)
{
    const adze_tokenizer *t = m->t;
    json_t *single = json_array(), *pair = json_array(), *tokens = json_object();
    bool bert = t->model == TOK_WORDPIECE;
    for (int i = 0; i < t->before_count; i++) {
        add_special(m, single, tokens, t->before[i], 0);
        add_special(m, pair, tokens, t->before[i], 0);
    }
    add_sequence(m, single, "A", 0);
    add_sequence(m, pair, "A", 0);
    for (int i = 0; i < t->after_count; i++) {
        add_special(m, single, tokens, t->after[i], 0);
        add_special(m, pair, tokens, t->after[i], 0);
    }
    for (int i = 0; i < t->before_count && !bert; i++)
        add_special(m, pair, tokens, t->before[i], 1);
    add_sequence(m, pair, "B", 1);
    for (int i = 0; i < t->after_count; i++)
        add_special(m, pair, tokens, t->after[i], 1);
    json_t *ends = json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single,
                             "pair", pair, "special_tokens", tokens);
    set(m, m->out, "post_processor", ends);
}

/* ---- tokenizer_config.json ---- */

static void put_role(maker *m, json_t *config, const char *key, adze_token_role role,
                     const char *in_meta)
{
    int32_t id = m->t->roles[role];
    if (id >= 0 && adze_gguf_find(m->meta, in_meta))
        set(m, config, key, text_of(m, id));
}

static json_t *make_config(maker *m)
{
    const adze_tokenizer *t = m->t;
    json_t *config = json_object();
    char key[128];
    set(m, config, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    set(m, config, "clean_up_tokenization_spaces", json_boolean(t->model == TOK_WORDPIECE));
    (void)snprintf(key, sizeof key, "%.64s.context_length",
                   adze_gguf_string(m->meta, "general.architecture", ""));
    int64_t longest = adze_gguf_int(m->meta, key, -1);
    if (longest > 0)
        set(m, config, "model_max_length", json_integer((json_int_t)longest));
    put_role(m, config, "bos_token", ADZE_TOKEN_BOS, TOK_KEY("bos_token_id"));
    put_role(m, config, "eos_token", ADZE_TOKEN_EOS, TOK_KEY("eos_token_id"));
    put_role(m, config, "unk_token", ADZE_TOKEN_UNKNOWN, TOK_KEY("unknown_token_id"));
    put_role(m, config, "sep_token", ADZE_TOKEN_SEPARATOR, TOK_KEY("seperator_token_id"));
    put_role(m, config, "pad_token", ADZE_TOKEN_PADDING, TOK_KEY("padding_token_id"));
    put_role(m, config, "mask_token", ADZE_TOKEN_MASK, TOK_KEY("mask_token_id"));
    if (t->model == TOK_WORDPIECE && t->before_count && t->after_count) {
        set(m, config, "cls_token", text_of(m, t->before[0]));
        set(m, config, "sep_token", text_of(m, t->after[0]));
    }
    return config;
}

/* ---- all ---- */

static adze_status make(maker *m)
{
    m->out = json_object();
    set(m, m->out, "version", json_string("1.0"));
    set(m, m->out, "truncation", json_null());
    set(m, m->out, "padding", json_null());
    put_added(m);
    static const char *const sections[] = {"normalizer", "pre_tokenizer", "post_processor",
                                           "decoder"};
    for (size_t i = 0; i < ADZE_COUNT_OF(sections); i++)
        set(m, m->out, sections[i], json_null());
    if (m->t->before_count || m->t->after_count)
        put_ends(m);
    switch (m->t->model) {
    case TOK_WORDPIECE: return make_wordpiece(m);
    case TOK_UNIGRAM: return make_unigram(m);
    default: return m->t->bpe.merges ? make_bpe(m) : make_spm(m);
    }
}

static adze_status save(maker *m, const char *folder, const char *name, const json_t *json)
{
    const char *path = adze_path_join(&m->arena, folder, name);
    return path && json ? adze_json_save(json, path, m->err) : tok_no_memory(m->err);
}

adze_status adze_tokenizer_write_folder(const adze_gguf_meta *meta, const char *where,
                                        const char *folder, adze_error *err)
{
    adze_tokenizer *t;
    ADZE_TRY(adze_tokenizer_from_meta(&t, meta, where, err));
    maker m = {.meta = meta, .where = where, .t = t, .err = err};
    json_t *config = NULL;
    adze_status status = make(&m);
    if (status == ADZE_OK) {
        config = make_config(&m);
        if (m.failed)
            status = no_place(&m, "a token that is not UTF-8 text");
    }
    if (status == ADZE_OK)
        status = save(&m, folder, "tokenizer.json", m.out);
    if (status == ADZE_OK)
        status = save(&m, folder, "tokenizer_config.json", config);
    json_decref(m.out);
    json_decref(config);
    adze_tokenizer_close(&t);
    adze_arena_free(&m.arena);
    return status;
}
