/* tokenizer.json as a pipeline: the document, its vocabulary and model, its added tokens. */
#include "llm/tokenizer_json_impl.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { LARGEST_FILE = 256 << 20, MOST_TOKENS = 1 << 24, LARGEST_GAP = 1 << 16 };

/* What the end of each message says: only the tokenizers package knows what the file should have been. */
#define REMEDY "; download the file again, or save it again with the tokenizers package"

/* ---- members ---- */

/* A value in a few words. */
static void describe(char out[96], const json_t *value)
{
    if (!value)
        (void)snprintf(out, 96, "nothing");
    else if (json_is_string(value))
        (void)snprintf(out, 96, "'%.*s'",
                       (int)adze_utf8_valid_prefix(json_string_value(value),
                                                   ADZE_MIN(json_string_length(value), (size_t)60)),
                       json_string_value(value));
    else if (json_is_object(value))
        (void)snprintf(out, 96, "an object of %zu members", json_object_size(value));
    else if (json_is_array(value))
        (void)snprintf(out, 96, "an array of %zu elements", json_array_size(value));
    else if (json_is_integer(value))
        (void)snprintf(out, 96, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(out, 96, "%g", json_real_value(value));
    else
        (void)snprintf(out, 96, "%s",
                       json_is_null(value)   ? "null"
                       : json_is_true(value) ? "true"
                                             : "false");
}

adze_status tok_json_bad(const tok_doc *d, const char *what, const char *expected,
                         const json_t *found)
{
    char words[96];
    describe(words, found);
    return adze_fail(d->err, ADZE_BAD_FILE, "%s: %s: expected %s, found %s" REMEDY, d->path, what,
                     expected, words);
}

bool tok_json_absent(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value);
}

adze_status tok_json_bool(const tok_doc *d, bool *out, const json_t *object, const char *key,
                          bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    *out = otherwise;
    if (!value || json_is_null(value))
        return ADZE_OK;
    if (!json_is_boolean(value))
        return tok_json_bad(d, key, "true or false", value);
    *out = json_is_true(value);
    return ADZE_OK;
}

adze_status tok_json_int(const tok_doc *d, int64_t *out, const json_t *object, const char *key,
                         int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    *out = otherwise;
    if (!value || json_is_null(value))
        return ADZE_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return tok_json_bad(d, key, "a whole number, not negative", value);
    *out = json_integer_value(value);
    return ADZE_OK;
}

adze_status tok_json_string(const tok_doc *d, adze_string *out, const json_t *object,
                            const char *key)
{
    const json_t *value = json_object_get(object, key);
    *out = (adze_string){"", 0};
    if (!value || json_is_null(value))
        return ADZE_OK;
    if (!json_is_string(value))
        return tok_json_bad(d, key, "a string", value);
    out->length = json_string_length(value);
    out->data = adze_arena_strndup(&d->t->arena, json_string_value(value), out->length);
    return out->data ? ADZE_OK : tok_no_memory(d->err);
}

adze_status tok_json_load(json_t **out, const char *path, adze_error *err)
{
    char *text;
    size_t size;
    json_error_t why;
    ADZE_TRY(adze_file_read(&text, &size, path, LARGEST_FILE, err));
    *out = adze_json_parse(text, size, JSON_ALLOW_NUL, &why);
    adze_free(text);
    if (*out)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_FILE, "%s:%d:%d: not valid JSON: %s" REMEDY, path, why.line,
                     why.column, adze_json_why(&why));
}

/* ---- the vocabulary: of the model, then added tokens, which may lie beyond ---- */

typedef struct entry {
    const char *text;
    size_t length;
    bool added;
} entry;

typedef struct vocabulary {
    entry *entries; /* by id; text NULL: no such token */
    size_t count, capacity, given, total;
} vocabulary;

/* How much of a token a message shows. */
static int shown(const char *text)
{
    return (int)adze_utf8_valid_prefix(text, strnlen(text, 60));
}

static adze_status put(const tok_doc *d, vocabulary *v, const char *text, size_t length,
                       json_int_t id, bool added)
{
    if (id < 0 || id >= MOST_TOKENS || (size_t)id > v->given * 4 + LARGEST_GAP)
        return adze_fail(
            d->err, ADZE_BAD_FILE,
            "%s: token '%.*s' has id %lld; expected at most about %zu, as the file has "
            "%zu tokens" REMEDY,
            d->path, shown(text), text, (long long)id, v->given, v->given);
    if ((size_t)id >= v->capacity) {
        size_t old = v->capacity;
        ADZE_TRY(tok_grow(&v->entries, &v->capacity, (size_t)id + 1, sizeof *v->entries, d->err));
        memset(v->entries + old, 0, (v->capacity - old) * sizeof *v->entries);
    }
    entry *e = &v->entries[id];
    if (e->text && !added)
        return adze_fail(d->err, ADZE_BAD_FILE,
                         "%s: model.vocab: id %lld is both '%.*s' and '%.*s'; expected one token "
                         "to an id" REMEDY,
                         d->path, (long long)id, shown(e->text), e->text, shown(text), text);
    if (e->text) /* the model's token stands, and is found by its own spelling */
        return ADZE_OK;
    *e = (entry){text, length, added};
    v->count = ADZE_MAX(v->count, (size_t)id + 1);
    v->total += length;
    return ADZE_OK;
}

static adze_status collect_object(const tok_doc *d, vocabulary *v, json_t *object)
{
    const char *text;
    json_t *id;
    json_object_foreach(object, text, id)
    {
        if (!json_is_integer(id))
            return tok_json_bad(d, "model.vocab", "whole numbers as ids", id);
        ADZE_TRY(put(d, v, text, strlen(text), json_integer_value(id), false));
    }
    return ADZE_OK;
}

static adze_status collect_pairs(const tok_doc *d, vocabulary *v, json_t *array)
{
    size_t i;
    json_t *pair;
    json_array_foreach(array, i, pair)
    {
        json_t *text = json_array_get(pair, 0);
        if (!json_is_string(text) || !json_is_number(json_array_get(pair, 1)))
            return tok_json_bad(d, "model.vocab", "pairs of a string and a number", pair);
        ADZE_TRY(
            put(d, v, json_string_value(text), json_string_length(text), (json_int_t)i, false));
    }
    return ADZE_OK;
}

static adze_status collect_added(const tok_doc *d, vocabulary *v)
{
    size_t i;
    json_t *one, *list = json_object_get(d->root, "added_tokens");
    const json_t *vocab = json_object_get(json_object_get(d->root, "model"), "vocab");
    if (list && !json_is_array(list) && !json_is_null(list))
        return tok_json_bad(d, "added_tokens", "an array", list);
    json_array_foreach(list, i, one)
    {
        json_t *content = json_object_get(one, "content"), *id = json_object_get(one, "id");
        if (!json_is_string(content) || !json_is_integer(id))
            return tok_json_bad(d, "added_tokens", "objects with content and id", one);
        if (json_is_object(vocab) && json_object_get(vocab, json_string_value(content)))
            continue; /* the model's id counts */
        ADZE_TRY(put(d, v, json_string_value(content), json_string_length(content),
                     json_integer_value(id), true));
    }
    return ADZE_OK;
}

static const json_t *vocab_of(const tok_doc *d)
{
    return json_object_get(json_object_get(d->root, "model"), "vocab");
}

static adze_status store(const tok_doc *d, const vocabulary *v)
{
    adze_tokenizer *t = d->t;
    if (v->count == 0)
        return tok_json_bad(d, "model.vocab", "at least one token", vocab_of(d));
    t->types = ADZE_ARENA_ARRAY(&t->arena, uint8_t, v->count);
    if (!t->types || !tok_texts_reserve(&t->texts, &t->arena, (int32_t)v->count, v->total))
        return tok_no_memory(d->err);
    for (size_t i = 0; i < v->count; i++) {
        tok_texts_put(&t->texts, (int32_t)i, v->entries[i].text, v->entries[i].length);
        t->types[i] = v->entries[i].text ? TOK_NORMAL : TOK_ABSENT;
    }
    return tok_texts_index(&t->texts, &t->arena) ? ADZE_OK : tok_no_memory(d->err);
}

static adze_status read_vocabulary(const tok_doc *d)
{
    json_t *vocab = json_object_get(json_object_get(d->root, "model"), "vocab");
    json_t *added = json_object_get(d->root, "added_tokens");
    vocabulary v = {.given =
                        json_object_size(vocab) + json_array_size(vocab) + json_array_size(added)};
    adze_status status = json_is_object(vocab) ? collect_object(d, &v, vocab)
                         : json_is_array(vocab)
                             ? collect_pairs(d, &v, vocab)
                             : tok_json_bad(d, "model.vocab", "an object or an array", vocab);
    if (status == ADZE_OK)
        status = collect_added(d, &v);
    if (status == ADZE_OK)
        status = store(d, &v);
    adze_free(v.entries);
    return status;
}

/* ---- models ---- */

static adze_status get_unknown(const tok_doc *d, const json_t *model, bool needed)
{
    adze_string text;
    ADZE_TRY(tok_json_string(d, &text, model, "unk_token"));
    d->t->unknown = text.length ? tok_texts_find(&d->t->texts, text.data, text.length) : -1;
    if (d->t->unknown < 0 && (text.length || needed))
        return tok_json_bad(d, "model.unk_token", "a token of the vocabulary",
                            json_object_get(model, "unk_token"));
    return ADZE_OK;
}

static adze_status split_merge(const tok_doc *d, const json_t *merge, adze_string *pair, size_t i)
{
    char words[96];
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        for (size_t k = 0; k < 2; k++) {
            const json_t *side = json_array_get(merge, k);
            pair[k] = (adze_string){json_string_value(side), json_string_length(side)};
        }
        if (pair[0].data && pair[1].data)
            return ADZE_OK;
    } else if (json_is_string(merge)) {
        const char *text = json_string_value(merge), *space = strchr(text, ' ');
        if (space && !strchr(space + 1, ' ')) {
            pair[0] = (adze_string){text, (size_t)(space - text)};
            pair[1] = (adze_string){space + 1, strlen(space + 1)};
            return ADZE_OK;
        }
    }
    describe(words, merge);
    return adze_fail(d->err, ADZE_BAD_FILE,
                     "%s: model.merges: element %zu: expected two tokens: [\"a\", \"b\"] or \"a "
                     "b\", found %s" REMEDY,
                     d->path, i, words);
}

static adze_status read_merges(const tok_doc *d, const json_t *model)
{
    adze_arena scratch = {0};
    json_t *merges = json_object_get(model, "merges");
    if (!json_is_array(merges))
        return tok_json_bad(d, "model.merges", "an array", merges);
    size_t count = json_array_size(merges);
    tok_merge_list list = {ADZE_ARENA_ARRAY(&scratch, adze_string, 2 * count), (int64_t)count};
    adze_status status = list.pairs ? ADZE_OK : tok_no_memory(d->err);
    for (size_t i = 0; i < count && status == ADZE_OK; i++)
        status = split_merge(d, json_array_get(merges, i), &list.pairs[2 * i], i);
    if (status == ADZE_OK)
        status = tok_bpe_build(d->t, &list, d->path, d->err);
    adze_arena_free(&scratch);
    return status;
}

static adze_status read_bpe(const tok_doc *d, const json_t *model)
{
    adze_tokenizer *t = d->t;
    const json_t *dropout = json_object_get(model, "dropout");
    t->kind = "bpe";
    if (dropout && json_number_value(dropout) != 0)
        return adze_fail(d->err, ADZE_UNSUPPORTED,
                         "%s: model.dropout: encoding would be random; set it to null in the file",
                         d->path);
    ADZE_TRY(get_unknown(d, model, false));
    ADZE_TRY(tok_json_string(d, &t->bpe.prefix, model, "continuing_subword_prefix"));
    ADZE_TRY(tok_json_string(d, &t->bpe.suffix, model, "end_of_word_suffix"));
    ADZE_TRY(tok_json_bool(d, &t->bpe.fuse_unknown, model, "fuse_unk", false));
    ADZE_TRY(tok_json_bool(d, &t->bpe.byte_fallback, model, "byte_fallback", false));
    ADZE_TRY(tok_json_bool(d, &t->bpe.ignore_merges, model, "ignore_merges", false));
    return read_merges(d, model);
}

static adze_status read_unigram(const tok_doc *d, const json_t *model)
{
    adze_tokenizer *t = d->t;
    json_t *vocab = json_object_get(model, "vocab"), *pair;
    size_t count = json_array_size(vocab), i, length;
    int64_t unknown;
    t->kind = "unigram";
    t->model = TOK_UNIGRAM;
    t->unigram.find_fused = true;
    if (!json_is_array(vocab))
        return tok_json_bad(d, "model.vocab", "pairs of a string and a number", vocab);
    ADZE_TRY(tok_json_bool(d, &t->unigram.byte_fallback, model, "byte_fallback", false));
    ADZE_TRY(tok_json_int(d, &unknown, model, "unk_id", -1));
    if (unknown >= (int64_t)count)
        return tok_json_bad(d, "model.unk_id", "an id of the vocabulary",
                            json_object_get(model, "unk_id"));
    t->unknown = (int32_t)unknown;
    tok_key *keys = adze_alloc(count + 1, sizeof *keys);
    t->unigram.scores = ADZE_ARENA_ARRAY(&t->arena, double, (size_t)t->texts.count);
    if (!keys || !t->unigram.scores) {
        adze_free(keys);
        return tok_no_memory(d->err);
    }
    double least = DBL_MAX;
    json_array_foreach(vocab, i, pair)
    {
        const char *text = tok_texts_get(&t->texts, (int32_t)i, &length);
        keys[i] = (tok_key){text, (uint32_t)length, (int32_t)i};
        t->unigram.scores[i] = json_number_value(json_array_get(pair, 1));
        least = ADZE_MIN(least, t->unigram.scores[i]);
    }
    t->unigram.unknown_score = least - 10.0;
    bool ok = tok_trie_build(&t->unigram.trie, &t->arena, keys, count);
    adze_free(keys);
    return ok ? ADZE_OK : tok_no_memory(d->err);
}

static adze_status build_wordpiece(const tok_doc *d, adze_string prefix)
{
    adze_tokenizer *t = d->t;
    size_t count = (size_t)t->texts.count, firsts = 0, rests = 0, length;
    tok_key *keys = adze_alloc(2 * count, sizeof *keys);
    if (!keys)
        return tok_no_memory(d->err);
    const json_t *vocab = vocab_of(d);
    for (int32_t i = 0; i < t->texts.count; i++) {
        const char *text = tok_texts_get(&t->texts, i, &length);
        if (!length || !json_object_get(vocab, text))
            continue;
        keys[firsts++] = (tok_key){text, (uint32_t)length, i};
        if (length > prefix.length && memcmp(text, prefix.data, prefix.length) == 0)
            keys[count + rests++] =
                (tok_key){text + prefix.length, (uint32_t)(length - prefix.length), i};
    }
    bool ok = tok_trie_build(&t->wordpiece.first, &t->arena, keys, firsts) &&
              tok_trie_build(&t->wordpiece.rest, &t->arena, keys + count, rests);
    adze_free(keys);
    return ok ? ADZE_OK : tok_no_memory(d->err);
}

static adze_status read_wordpiece(const tok_doc *d, const json_t *model)
{
    adze_string prefix;
    d->t->kind = "wordpiece";
    d->t->model = TOK_WORDPIECE;
    ADZE_TRY(get_unknown(d, model, true));
    ADZE_TRY(tok_json_string(d, &prefix, model, "continuing_subword_prefix"));
    ADZE_TRY(
        tok_json_int(d, &d->t->wordpiece.longest_word, model, "max_input_chars_per_word", 100));
    return build_wordpiece(d, prefix);
}

static adze_status read_wordlevel(const tok_doc *d, const json_t *model)
{
    d->t->kind = "wordlevel";
    d->t->model = TOK_WORDLEVEL;
    return get_unknown(d, model, true);
}

typedef struct model_row {
    const char *name, *sign; /* sign: a member that tells, in old files without type */
    adze_status (*read)(const tok_doc *d, const json_t *model);
} model_row;

static const model_row models[] = {
    {"BPE", "merges", read_bpe},
    {"WordPiece", "max_input_chars_per_word", read_wordpiece},
    {"Unigram", "unk_id", read_unigram},
    {"WordLevel", "vocab", read_wordlevel},
};

static adze_status find_model(const tok_doc *d, const model_row **row)
{
    const json_t *model = json_object_get(d->root, "model");
    const char *type = tok_json_type(model);
    if (!json_is_object(model))
        return tok_json_bad(d, "model", "an object", model);
    for (size_t i = 0; i < ADZE_COUNT_OF(models); i++)
        if (*type ? strcmp(type, models[i].name) == 0
                  : json_object_get(model, models[i].sign) != NULL) {
            *row = &models[i];
            return ADZE_OK;
        }
    return adze_fail(d->err, ADZE_UNSUPPORTED,
                     "%s: not known: model '%.100s'; expected BPE, Unigram, WordPiece or WordLevel",
                     d->path, type);
}

/* ---- added tokens ---- */

static adze_status normalize_added(const tok_doc *d, tok_added *a)
{
    adze_text text[2] = {{0}, {0}};
    tok_encoder e = {.t = d->t, .err = d->err};
    adze_status status = ADZE_OK;
    adze_string now = a->text;
    for (int i = 0; i < d->t->normalizer_count && status == ADZE_OK; i++) {
        adze_text *out = &text[i & 1];
        out->length = 0;
        status = tok_normalize(&e, &d->t->normalizers[i], out, now.data, now.length, true);
        if (status == ADZE_OK && out->failed)
            status = tok_no_memory(d->err);
        now = (adze_string){adze_text_get(out), out->length};
    }
    if (status == ADZE_OK && d->t->normalizer_count) {
        a->text = (adze_string){adze_arena_strndup(&d->t->arena, now.data, now.length), now.length};
        status = a->text.data ? ADZE_OK : tok_no_memory(d->err);
    }
    adze_text_free(&text[0]);
    adze_text_free(&text[1]);
    tok_encoder_free(&e);
    return status;
}

static adze_status read_added_one(const tok_doc *d, const json_t *o, tok_added *a)
{
    ADZE_TRY(tok_json_string(d, &a->text, o, "content"));
    ADZE_TRY(tok_json_bool(d, &a->special, o, "special", false));
    ADZE_TRY(tok_json_bool(d, &a->normalized, o, "normalized", !a->special));
    ADZE_TRY(tok_json_bool(d, &a->single_word, o, "single_word", false));
    ADZE_TRY(tok_json_bool(d, &a->lstrip, o, "lstrip", false));
    ADZE_TRY(tok_json_bool(d, &a->rstrip, o, "rstrip", false));
    a->id = tok_texts_find(&d->t->texts, a->text.data, a->text.length);
    if (a->id >= 0)
        d->t->types[a->id] = a->special ? TOK_CONTROL : TOK_USER;
    return a->normalized ? normalize_added(d, a) : ADZE_OK;
}

static adze_status read_added(const tok_doc *d)
{
    adze_tokenizer *t = d->t;
    json_t *list = json_object_get(d->root, "added_tokens"), *one;
    size_t i;
    t->added = ADZE_ARENA_ARRAY(&t->arena, tok_added, json_array_size(list) + 1);
    if (!t->added)
        return tok_no_memory(d->err);
    json_array_foreach(list, i, one)
    {
        tok_added *a = &t->added[t->added_count];
        ADZE_TRY(read_added_one(d, one, a));
        t->added_count += a->id >= 0;
    }
    t->skipped_consumes = true;
    return tok_added_build(t, d->err);
}

/* ---- what lies beside ---- */

static int32_t id_of(const adze_tokenizer *t, const json_t *value)
{
    if (json_is_object(value))
        value = json_object_get(value, "content");
    return json_is_string(value)
               ? tok_texts_find(&t->texts, json_string_value(value), json_string_length(value))
               : -1;
}

static void read_roles(adze_tokenizer *t, const json_t *config)
{
    static const struct {
        const char *key;
        adze_token_role role;
    } rows[] = {
        {"cls_token", ADZE_TOKEN_BOS},       {"bos_token", ADZE_TOKEN_BOS},
        {"eos_token", ADZE_TOKEN_EOS},       {"unk_token", ADZE_TOKEN_UNKNOWN},
        {"sep_token", ADZE_TOKEN_SEPARATOR}, {"pad_token", ADZE_TOKEN_PADDING},
        {"mask_token", ADZE_TOKEN_MASK},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(rows); i++) {
        int32_t id = id_of(t, json_object_get(config, rows[i].key));
        if (id >= 0)
            t->roles[rows[i].role] = id;
    }
}

static void add_end(adze_tokenizer *t, const json_t *id)
{
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value >= 0 && value < t->texts.count)
        t->ends_text[value] = true;
}

/* Files beside are help, not need; but one that is there and broken would take away tokens that end a text. *out NULL:
 * none there. */
static adze_status load_beside(const tok_doc *d, json_t **out, const char *name)
{
    const char *path = adze_path_beside(&d->t->arena, d->path, name);
    *out = NULL;
    return path && adze_file_exists(path) ? tok_json_load(out, path, d->err) : ADZE_OK;
}

static adze_status read_beside(const tok_doc *d)
{
    adze_tokenizer *t = d->t;
    json_t *config, *one;
    static const char *const files[] = {"special_tokens_map.json", "tokenizer_config.json"};
    for (int i = 0; i < TOK_ROLES; i++)
        t->roles[i] = -1;
    t->roles[ADZE_TOKEN_UNKNOWN] = t->unknown;
    for (size_t i = 0; i < ADZE_COUNT_OF(files); i++) {
        ADZE_TRY(load_beside(d, &config, files[i]));
        read_roles(t, config);
        json_decref(config);
    }
    t->ends_text = ADZE_ARENA_ARRAY(&t->arena, bool, (size_t)t->texts.count);
    if (!t->ends_text)
        return tok_no_memory(d->err);
    ADZE_TRY(load_beside(d, &config, "generation_config.json"));
    json_t *eos = json_object_get(config, "eos_token_id");
    size_t i;
    add_end(t, eos);
    json_array_foreach(eos, i, one) add_end(t, one);
    json_decref(config);
    return tok_find_ends(t, false, d->err);
}

/* ---- all ---- */

/* Where the last splitter spells bytes and the model is BPE, symbols can be the bytes themselves. */
static bool drop_spelling(adze_tokenizer *t)
{
    int last = t->splitter_count - 1, spellings = 0;
    for (int i = 0; i < t->splitter_count; i++)
        spellings += t->splitters[i].kind == TOK_SPLIT_BYTES;
    for (int i = 0; i < t->normalizer_count; i++)
        spellings += t->normalizers[i].kind == TOK_NORMAL_BYTES;
    bool can = last >= 0 && t->splitters[last].kind == TOK_SPLIT_BYTES && spellings == 1 &&
               t->model == TOK_BPE && !t->bpe.prefix.length && !t->bpe.suffix.length &&
               !t->bpe.byte_fallback && !t->bpe.fuse_unknown;
    t->splitter_count -= can;
    return can;
}

static void mark_bytes(adze_tokenizer *t)
{
    for (int i = 0; i < 256; i++)
        if (t->bytes[i] >= 0 && t->types[t->bytes[i]] == TOK_NORMAL)
            t->types[t->bytes[i]] = TOK_BYTE;
}

static adze_status read_all(const tok_doc *d)
{
    const model_row *model = NULL;
    adze_tokenizer *t = d->t;
    if (!json_is_object(d->root))
        return tok_json_bad(d, "the file", "a JSON object", d->root);
    ADZE_TRY(find_model(d, &model));
    ADZE_TRY(tok_json_check(d));
    t->pre = "";
    t->unknown = -1;
    ADZE_TRY(read_vocabulary(d));
    ADZE_TRY(model->read(d, json_object_get(d->root, "model")));
    ADZE_TRY(tok_json_normalizers(d));
    ADZE_TRY(tok_json_splitters(d));
    bool byte_level = drop_spelling(t);
    ADZE_TRY(tok_finish_vocabulary(t, byte_level, d->err));
    if (t->model == TOK_BPE && !byte_level && !t->bpe.prefix.length && !t->bpe.suffix.length &&
        !t->bpe.ignore_merges)
        ADZE_TRY(tok_split_words_build(t, d->err));
    if (!byte_level)
        mark_bytes(t);
    ADZE_TRY(tok_json_decoders(d));
    ADZE_TRY(read_added(d));
    ADZE_TRY(tok_json_ends(d));
    return read_beside(d);
}

adze_status tok_json_open(adze_tokenizer **out, const char *path, adze_error *err)
{
    adze_arena arena = {0};
    adze_tokenizer *t = ADZE_ARENA_NEW(&arena, adze_tokenizer);
    if (!t)
        return tok_no_memory(err);
    t->arena = arena;
    tok_doc d = {.path = path, .t = t, .err = err};
    adze_status status = tok_json_load(&d.root, path, err);
    if (status == ADZE_OK)
        status = read_all(&d);
    json_decref(d.root);
    if (status == ADZE_OK)
        *out = t;
    else
        adze_tokenizer_close(&t);
    return status;
}
