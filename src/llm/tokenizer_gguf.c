/* Tokenizers from tokenizer.ggml.* of GGUF metadata, such that they encode as llama.cpp does: which steps each model
 * of vocabulary means, which defaults hold where a key is absent (facts of its src/llama-vocab.cpp, MIT). */
#include <float.h>
#include <string.h>

#include "llm/tokenizer.h"
#include "llm/tokenizer_impl.h"

enum { MOST_TOKENS = 1 << 24 };

typedef struct reader {
    adze_tokenizer *t;
    const adze_gguf_meta *meta;
    const char *where;
    adze_error *err;
    float *scores;
} reader;

#define KEY(name) "tokenizer.ggml." name

/* An array of `count` numbers (strings where is_string); NULL is fine when the key is absent. */
static adze_status get_array(const reader *r, const adze_gguf_entry **out, const char *key,
                             bool is_string, int64_t count)
{
    const adze_gguf_entry *e = *out = adze_gguf_find(r->meta, key);
    if (!e)
        return ADZE_OK;
    bool ok = e->type == ADZE_GGUF_ARRAY && (e->element == ADZE_GGUF_STRING) == is_string &&
              e->element != ADZE_GGUF_ARRAY;
    if (!ok)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: %s: expected an array of %s; convert the model again", r->where, key,
                         is_string ? "strings" : "numbers");
    if (count >= 0 && e->count != count)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: %s has %lld elements, but there are %lld tokens; convert the model "
                         "again",
                         r->where, key, (long long)e->count, (long long)count);
    return ADZE_OK;
}

/* ---- the vocabulary ---- */

static adze_status read_texts(reader *r)
{
    const adze_gguf_entry *tokens;
    ADZE_TRY(get_array(r, &tokens, KEY("tokens"), true, -1));
    if (!tokens || tokens->count < 1)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: no tokens: %s is missing; convert the model again", r->where,
                         KEY("tokens"));
    if (tokens->count > MOST_TOKENS)
        return adze_fail(r->err, ADZE_LIMIT, "%s: %lld tokens; at most %d", r->where,
                         (long long)tokens->count, MOST_TOKENS);
    size_t total = 0;
    for (int64_t i = 0; i < tokens->count; i++)
        if (!adze_add_size(&total, total, tokens->as.strings[i].length))
            return tok_no_memory(r->err);
    adze_tokenizer *t = r->t;
    if (!tok_texts_reserve(&t->texts, &t->arena, (int32_t)tokens->count, total))
        return tok_no_memory(r->err);
    for (int32_t i = 0; i < t->texts.count; i++)
        tok_texts_put(&t->texts, i, tokens->as.strings[i].data, tokens->as.strings[i].length);
    return tok_texts_index(&t->texts, &t->arena) ? ADZE_OK : tok_no_memory(r->err);
}

static adze_status read_types(reader *r)
{
    const adze_gguf_entry *types;
    adze_tokenizer *t = r->t;
    ADZE_TRY(get_array(r, &types, KEY("token_type"), false, t->texts.count));
    t->types = ADZE_ARENA_ARRAY(&t->arena, uint8_t, (size_t)t->texts.count);
    if (!t->types)
        return tok_no_memory(r->err);
    for (int32_t i = 0; i < t->texts.count; i++) {
        int64_t type = types ? adze_gguf_int_at(types, i) : TOK_NORMAL;
        size_t length;
        const char *text = tok_texts_get(&t->texts, i, &length);
        bool is_byte = length == 6 && memcmp(text, "<0x", 3) == 0;
        if (type < TOK_NORMAL || type > TOK_BYTE || (type == TOK_BYTE && !is_byte))
            type = TOK_UNUSED;
        t->types[i] = (uint8_t)type;
    }
    return ADZE_OK;
}

static adze_status read_scores(reader *r)
{
    const adze_gguf_entry *scores;
    int32_t count = r->t->texts.count;
    ADZE_TRY(get_array(r, &scores, KEY("scores"), false, count));
    if (!scores)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: %s is missing, which this kind of vocabulary needs; convert the "
                         "model again",
                         r->where, KEY("scores"));
    r->scores = ADZE_ARENA_ARRAY(&r->t->arena, float, (size_t)count);
    if (!r->scores)
        return tok_no_memory(r->err);
    for (int32_t i = 0; i < count; i++) {
        r->scores[i] = (float)adze_gguf_float_at(scores, i);
        if (r->scores[i] != r->scores[i])
            return adze_fail(r->err, ADZE_BAD_FILE, "%s: %s: token %d has no number", r->where,
                             KEY("scores"), i);
    }
    return ADZE_OK;
}

static adze_status read_merges(reader *r)
{
    const adze_gguf_entry *merges;
    ADZE_TRY(get_array(r, &merges, KEY("merges"), true, -1));
    if (!merges)
        return adze_fail(
            r->err, ADZE_BAD_FILE,
            "%s: %s is missing, which byte pair encoding needs; convert the model again", r->where,
            KEY("merges"));
    adze_arena scratch = {0};
    tok_merge_list list = {ADZE_ARENA_ARRAY(&scratch, adze_string, 2 * (size_t)merges->count),
                           merges->count};
    adze_status status = list.pairs ? ADZE_OK : tok_no_memory(r->err);
    for (int64_t i = 0; i < merges->count && status == ADZE_OK; i++) {
        adze_string m = merges->as.strings[i];
        const char *space = m.length > 1 ? memchr(m.data + 1, ' ', m.length - 1) : NULL;
        if (!space)
            status =
                adze_fail(r->err, ADZE_BAD_FILE,
                          "%s: merge %lld is '%.*s'; expected two tokens with a space between",
                          r->where, (long long)i, (int)ADZE_MIN(m.length, (size_t)100), m.data);
        else {
            size_t left = (size_t)(space - m.data);
            list.pairs[2 * i] = (adze_string){m.data, left};
            list.pairs[2 * i + 1] = (adze_string){space + 1, m.length - left - 1};
        }
    }
    if (status == ADZE_OK)
        status = tok_bpe_build(r->t, &list, r->where, r->err);
    adze_arena_free(&scratch);
    return status;
}

/* ---- special tokens ---- */

/* An id that the metadata name, or `otherwise` where they do not and there is such a token. */
static adze_status read_id(const reader *r, int32_t *out, const char *key, int32_t otherwise,
                           bool strict)
{
    int32_t count = r->t->texts.count;
    const int64_t none = UINT32_MAX;
    int64_t id = adze_gguf_int(r->meta, key, none);
    *out = otherwise < count ? otherwise : -1;
    if (id == none || id == -1)
        return ADZE_OK;
    if (id >= 0 && id < count)
        *out = (int32_t)id;
    else if (strict)
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s: %s is %lld, but there are %d tokens; convert the model again",
                         r->where, key, (long long)id, (int)count);
    return ADZE_OK;
}

typedef struct role_defaults {
    int32_t bos, eos, unknown, separator, padding, mask;
} role_defaults;

static adze_status read_roles(reader *r, const role_defaults *d)
{
    int32_t *roles = r->t->roles, other;
    roles[ADZE_TOKEN_EOT] = -1;
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_BOS], KEY("bos_token_id"), d->bos, true));
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_EOS], KEY("eos_token_id"), d->eos, true));
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_EOT], KEY("eot_token_id"), -1, true));
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_UNKNOWN], KEY("unknown_token_id"), d->unknown, true));
    ADZE_TRY(
        read_id(r, &roles[ADZE_TOKEN_SEPARATOR], KEY("seperator_token_id"), d->separator, true));
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_PADDING], KEY("padding_token_id"), d->padding, false));
    ADZE_TRY(read_id(r, &roles[ADZE_TOKEN_MASK], KEY("mask_token_id"), d->mask, false));
    ADZE_TRY(tok_find_ends(r->t, true, r->err));
    static const char *const ends[] = {KEY("eom_token_id"), KEY("fim_pad_token_id"),
                                       KEY("fim_rep_token_id"), KEY("fim_sep_token_id")};
    for (size_t i = 0; i < ADZE_COUNT_OF(ends); i++) {
        ADZE_TRY(read_id(r, &other, ends[i], -1, false));
        if (other >= 0)
            r->t->ends_text[other] = true;
    }
    return ADZE_OK;
}

static bool contains_any(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

/* Spaces beside special tokens, which GGUF does not say: known by the model's name. */
static void strip_beside(const reader *r, tok_added *a)
{
    static const char *const pres[] = {"jina-v2-de", "jina-v2-es", "jina-v2-code"};
    static const char *const archs[] = {"nomic-bert-moe", "jina-bert-v3"};
    static const char *const phi[] = {"phi-3", "phi3"};
    static const char *const kept[] = {"<unk>", "<s>", "<|endoftext|>"};
    const char *name = adze_gguf_string(r->meta, "general.name", "");
    const char *arch = adze_gguf_string(r->meta, "general.architecture", "");
    bool mask = strcmp(a->text.data, "<mask>") == 0, plain = false;
    if (contains_any(r->t->pre, pres, ADZE_COUNT_OF(pres)) ||
        contains_any(arch, archs, ADZE_COUNT_OF(archs))) {
        a->lstrip = mask;
    } else if (contains_any(name, phi, ADZE_COUNT_OF(phi))) {
        for (size_t i = 0; i < ADZE_COUNT_OF(kept); i++)
            plain |= strcmp(a->text.data, kept[i]) == 0;
        a->rstrip = !plain;
    } else if (strcasestr(name, "modern-bert")) {
        a->lstrip = strcmp(a->text.data, "[MASK]") == 0;
    }
}

static adze_status read_added(reader *r)
{
    adze_tokenizer *t = r->t;
    int count = 0;
    for (int32_t i = 0; i < t->texts.count; i++)
        count +=
            t->types[i] == TOK_CONTROL || t->types[i] == TOK_USER || t->types[i] == TOK_UNKNOWN;
    t->added = ADZE_ARENA_ARRAY(&t->arena, tok_added, (size_t)count);
    if (!t->added)
        return tok_no_memory(r->err);
    for (int32_t i = 0; i < t->texts.count; i++) {
        if (t->types[i] != TOK_CONTROL && t->types[i] != TOK_USER && t->types[i] != TOK_UNKNOWN)
            continue;
        tok_added *a = &t->added[t->added_count++];
        *a = (tok_added){.id = i, .special = t->types[i] != TOK_USER};
        a->text.data = tok_texts_get(&t->texts, i, &a->text.length);
        strip_beside(r, a);
    }
    t->added_verbatim = true;
    return tok_added_build(t, r->err);
}

static adze_status add_ends(reader *r, bool begin, bool end, adze_token_role last)
{
    adze_tokenizer *t = r->t;
    int32_t *ids = ADZE_ARENA_ARRAY(&t->arena, int32_t, 2);
    if (!ids)
        return tok_no_memory(r->err);
    ids[0] = t->roles[ADZE_TOKEN_BOS];
    ids[1] = t->roles[last];
    t->before = ids;
    t->after = ids + 1;
    t->before_count = adze_gguf_bool(r->meta, KEY("add_bos_token"), begin) && ids[0] >= 0;
    t->after_count = end && ids[1] >= 0;
    return ADZE_OK;
}

/* ---- steps ---- */

static adze_status add_replace(reader *r, const char *from, const char *to)
{
    tok_normalizer *n = tok_add_normalizer(r->t);
    if (!n)
        return tok_no_memory(r->err);
    *n = (tok_normalizer){
        .kind = TOK_NORMAL_REPLACE, .pattern = {from, strlen(from)}, .content = {to, strlen(to)}};
    return ADZE_OK;
}

static adze_status add_decoder(reader *r, tok_decode_step step)
{
    tok_decode_step *s = tok_add_decoder(r->t);
    if (!s)
        return tok_no_memory(r->err);
    *s = step;
    return ADZE_OK;
}

static adze_status decode_marks(reader *r, bool space_before)
{
    ADZE_TRY(add_decoder(r, (tok_decode_step){.kind = TOK_DECODE_REPLACE,
                                              .pattern = {ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE},
                                              .content = {" ", 1}}));
    ADZE_TRY(add_decoder(r, (tok_decode_step){.kind = TOK_DECODE_BYTE_FALLBACK}));
    if (!space_before)
        return ADZE_OK;
    return add_decoder(
        r, (tok_decode_step){
               .kind = TOK_DECODE_STRIP, .content = {" ", 1}, .start = 1, .whole = true});
}

static adze_status read_spm(reader *r)
{
    static const role_defaults defaults = {1, 2, 0, -1, -1, -1};
    adze_tokenizer *t = r->t;
    t->kind = "spm";
    ADZE_TRY(read_scores(r));
    ADZE_TRY(tok_finish_vocabulary(t, false, r->err));
    ADZE_TRY(tok_bpe_rank(t, r->scores, r->err));
    ADZE_TRY(read_roles(r, &defaults));
    ADZE_TRY(read_added(r));
    bool space = adze_gguf_bool(r->meta, KEY("add_space_prefix"), true);
    if (space) {
        tok_normalizer *n = tok_add_normalizer(t);
        if (!n)
            return tok_no_memory(r->err);
        *n = (tok_normalizer){.kind = TOK_NORMAL_PREPEND, .content = {" ", 1}};
    }
    ADZE_TRY(add_replace(r, " ", ADZE_SPACE_MARK));
    ADZE_TRY(tok_split_words_build(t, r->err));
    ADZE_TRY(decode_marks(r, space));
    return add_ends(r, true, adze_gguf_bool(r->meta, KEY("add_eos_token"), false), ADZE_TOKEN_EOS);
}

static adze_status read_bpe(reader *r, bool gemma4, bool whitespace)
{
    adze_tokenizer *t = r->t;
    const char *name = gemma4 ? "gemma4" : adze_gguf_string(r->meta, KEY("pre"), "default");
    const tok_pre *pre =
        whitespace ? tok_pre_find("gpt-2") : tok_pre_find(*name ? name : "default");
    if (!pre)
        return adze_fail(
            r->err, ADZE_UNSUPPORTED,
            "%s: pre-tokenizer '%.100s' (%s) is not known; docs/tokenizers.md lists those that "
            "are",
            r->where, name, KEY("pre"));
    role_defaults defaults = {
        gemma4 || (pre->flags & TOK_PRE_NO_BOS) ? -1 : 11, gemma4 ? -1 : 11, -1, -1, -1, -1};
    bool marks = (pre->flags & TOK_PRE_MARKS) || whitespace;
    t->kind = "bpe";
    t->pre = adze_arena_strdup(&t->arena, name);
    if (!t->pre)
        return tok_no_memory(r->err);
    ADZE_TRY(tok_finish_vocabulary(t, !marks, r->err));
    ADZE_TRY(read_merges(r));
    t->bpe.ignore_merges = (pre->flags & TOK_PRE_IGNORE_MERGES) != 0;
    t->bpe.whole_newlines = (pre->flags & TOK_PRE_NEWLINES) != 0;
    t->bpe.byte_fallback = marks;
    ADZE_TRY(read_roles(r, &defaults));
    ADZE_TRY(read_added(r));
    if (whitespace) {
        if (adze_gguf_bool(r->meta, KEY("normalizer.lowercase"), false)) {
            tok_normalizer *n = tok_add_normalizer(t);
            if (!n)
                return tok_no_memory(r->err);
            n->kind = TOK_NORMAL_LOWER;
        }
        ADZE_TRY(tok_add_class(t, adze_unicode_is_space, TOK_REMOVED, r->err));
    } else if (marks) {
        ADZE_TRY(add_replace(r, " ", ADZE_SPACE_MARK));
    }
    for (int i = 0; !whitespace && i < (int)ADZE_COUNT_OF(pre->regexes) && pre->regexes[i]; i++)
        ADZE_TRY(tok_add_split(t, pre->regexes[i], strlen(pre->regexes[i]), TOK_ISOLATED, false,
                               r->err));
    if (marks && !whitespace)
        ADZE_TRY(tok_split_words_build(t, r->err));
    if (marks)
        ADZE_TRY(decode_marks(r, false));
    else
        ADZE_TRY(add_decoder(r, (tok_decode_step){.kind = TOK_DECODE_BYTES}));
    bool begin = (pre->flags & TOK_PRE_ADD_BOS) != 0;
    ADZE_TRY(
        add_ends(r, begin, adze_gguf_bool(r->meta, KEY("add_eos_token"), false), ADZE_TOKEN_EOS));
    if (gemma4 && t->before[0] >= 0) /* files that say otherwise are wrong */
        t->before_count = 1;
    return ADZE_OK;
}

static adze_status build_wordpiece(reader *r)
{
    adze_tokenizer *t = r->t;
    size_t count = (size_t)t->texts.count, firsts = 0, rests = 0, length;
    tok_key *keys = adze_alloc(2 * count, sizeof *keys);
    if (!keys)
        return tok_no_memory(r->err);
    for (int32_t i = 0; i < t->texts.count; i++) {
        const char *text = tok_texts_get(&t->texts, i, &length);
        bool first = length >= ADZE_SPACE_MARK_SIZE &&
                     memcmp(text, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE) == 0;
        size_t skip = first ? ADZE_SPACE_MARK_SIZE : 0;
        tok_key key = {text + skip, (uint32_t)(length - skip), i};
        if (first)
            keys[firsts++] = key;
        else if (length)
            keys[count + rests++] = key;
    }
    bool ok = tok_trie_build(&t->wordpiece.first, &t->arena, keys, firsts) &&
              tok_trie_build(&t->wordpiece.rest, &t->arena, keys + count, rests);
    adze_free(keys);
    return ok ? ADZE_OK : tok_no_memory(r->err);
}

static adze_status read_wordpiece(reader *r)
{
    int32_t cls;
    adze_tokenizer *t = r->t;
    t->kind = "wordpiece";
    t->model = TOK_WORDPIECE;
    t->wordpiece.longest_word = INT64_MAX;
    ADZE_TRY(tok_finish_vocabulary(t, false, r->err));
    ADZE_TRY(build_wordpiece(r));
    ADZE_TRY(read_id(r, &cls, KEY("cls_token_id"), 101, true));
    const role_defaults defaults = {cls, -1, 100, 102, 0, 103};
    ADZE_TRY(read_roles(r, &defaults));
    ADZE_TRY(read_added(r));
    tok_normalizer *n = tok_add_normalizer(t);
    if (!n)
        return tok_no_memory(r->err);
    bool lower = adze_gguf_bool(r->meta, KEY("normalizer.lowercase"), true);
    *n = (tok_normalizer){.kind = TOK_NORMAL_BERT,
                          .clean = true,
                          .chinese = true,
                          .bases = true,
                          .lower = lower,
                          .accents =
                              adze_gguf_bool(r->meta, KEY("normalizer.strip_accents"), lower)};
    ADZE_TRY(tok_add_class(t, adze_unicode_is_space, TOK_REMOVED, r->err));
    ADZE_TRY(tok_add_class(t, adze_unicode_is_punctuation, TOK_ISOLATED, r->err));
    ADZE_TRY(add_decoder(r, (tok_decode_step){.kind = TOK_DECODE_WORDPIECE,
                                              .content = {ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE},
                                              .strip_first = true,
                                              .cleanup = true}));
    t->unknown = t->roles[ADZE_TOKEN_UNKNOWN];
    return add_ends(r, true, true, ADZE_TOKEN_SEPARATOR);
}

static adze_status build_unigram(reader *r, tok_trie *verbatim)
{
    adze_tokenizer *t = r->t;
    size_t count = (size_t)t->texts.count, kept = 0, users = 0, length;
    float least = FLT_MAX;
    tok_key *keys = adze_alloc(2 * count, sizeof *keys);
    t->unigram.scores = ADZE_ARENA_ARRAY(&t->arena, double, count);
    if (!keys || !t->unigram.scores) {
        adze_free(keys);
        return tok_no_memory(r->err);
    }
    for (int32_t i = 0; i < t->texts.count; i++) {
        unsigned type = t->types[i];
        const char *text = tok_texts_get(&t->texts, i, &length);
        tok_key key = {text, (uint32_t)length, i};
        t->unigram.scores[i] = type == TOK_USER ? 0.0 : (double)r->scores[i];
        if (type == TOK_NORMAL)
            least = ADZE_MIN(least, r->scores[i]);
        if (length && (type == TOK_NORMAL || type == TOK_USER || type == TOK_UNUSED))
            keys[kept++] = key;
        if (length && type == TOK_USER)
            keys[count + users++] = key;
    }
    t->unigram.unknown_score = (double)(least - 10.0f);
    bool ok = tok_trie_build(&t->unigram.trie, &t->arena, keys, kept) &&
              (!users || tok_trie_build(verbatim, &t->arena, keys + count, users));
    adze_free(keys);
    return ok ? ADZE_OK : tok_no_memory(r->err);
}

static adze_status read_charsmap(reader *r, tok_charsmap *map)
{
    const adze_gguf_entry *bytes;
    ADZE_TRY(get_array(r, &bytes, KEY("precompiled_charsmap"), false, -1));
    if (!bytes || bytes->count == 0)
        return ADZE_OK;
    const void *copy = adze_arena_memdup(&r->t->arena, bytes->as.bytes, bytes->byte_count);
    return copy ? tok_charsmap_open(map, copy, bytes->byte_count, r->where, r->err)
                : tok_no_memory(r->err);
}

static adze_status read_unigram(reader *r)
{
    static const role_defaults defaults = {-1, 1, 2, -1, 0, -1};
    adze_tokenizer *t = r->t;
    t->kind = "unigram";
    t->model = TOK_UNIGRAM;
    ADZE_TRY(read_scores(r));
    ADZE_TRY(tok_finish_vocabulary(t, false, r->err));
    tok_normalizer *n = tok_add_normalizer(t);
    if (!n)
        return tok_no_memory(r->err);
    n->kind = TOK_NORMAL_PIECES;
    n->escape = true;
    n->prefix = adze_gguf_bool(r->meta, KEY("add_space_prefix"), false);
    n->merge_spaces = adze_gguf_bool(r->meta, KEY("remove_extra_whitespaces"), false);
    ADZE_TRY(read_charsmap(r, &n->charsmap));
    ADZE_TRY(build_unigram(r, &n->verbatim));
    bool prefix = n->prefix;
    ADZE_TRY(read_roles(r, &defaults));
    ADZE_TRY(read_added(r));
    t->unknown = t->roles[ADZE_TOKEN_UNKNOWN];
    ADZE_TRY(decode_marks(r, prefix));
    return add_ends(r, false, adze_gguf_bool(r->meta, KEY("add_eos_token"), true), ADZE_TOKEN_EOS);
}

/* ---- all ---- */

static adze_status read_all(reader *r)
{
    const char *model = adze_gguf_string(r->meta, KEY("model"), NULL);
    if (!model || strcmp(model, "none") == 0 || strcmp(model, "no_vocab") == 0)
        return adze_fail(r->err, ADZE_NOT_FOUND, "%s: holds no tokenizer (%s %s)", r->where,
                         KEY("model"), model ? "is none" : "is missing");
    r->t->pre = "";
    r->t->unknown = -1;
    bool gemma4 = strcmp(model, "gemma4") == 0, whitespace = strcmp(model, "whitespace") == 0;
    bool spm = strcmp(model, "llama") == 0, bert = strcmp(model, "bert") == 0;
    bool t5 = strcmp(model, "t5") == 0;
    if (!spm && !bert && !t5 && !gemma4 && !whitespace && strcmp(model, "gpt2") != 0)
        return adze_fail(
            r->err, ADZE_UNSUPPORTED,
            "%s: tokenizer model '%.100s' (%s) is not known; expected llama, gpt2, bert, t5, "
            "gemma4 or whitespace",
            r->where, model, KEY("model"));
    ADZE_TRY(read_texts(r));
    ADZE_TRY(read_types(r));
    if (spm)
        return read_spm(r);
    if (bert)
        return read_wordpiece(r);
    return t5 ? read_unigram(r) : read_bpe(r, gemma4, whitespace);
}

adze_status adze_tokenizer_from_meta(adze_tokenizer **out, const adze_gguf_meta *meta,
                                     const char *where, adze_error *err)
{
    adze_arena arena = {0};
    adze_tokenizer *t = ADZE_ARENA_NEW(&arena, adze_tokenizer);
    if (!t)
        return tok_no_memory(err);
    t->arena = arena;
    reader r = {.t = t, .meta = meta, .where = where, .err = err};
    adze_status status = read_all(&r);
    if (status == ADZE_OK)
        *out = t;
    else
        adze_tokenizer_close(&t);
    return status;
}
