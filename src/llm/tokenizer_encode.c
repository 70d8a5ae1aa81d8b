/* Text to ids: added tokens are cut out first, what lies between them is normalized, split and given to the model.
 * Bytes that are no UTF-8 go round normalizers and splitters, straight to the model's tokens of bytes. */
#include <string.h>

#include "llm/tokenizer_impl.h"

enum { LONGEST_TEXT = 1 << 30 };

adze_status tok_no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "no memory for the tokenizer");
}

adze_status tok_grow(void *items_pointer, size_t *capacity, size_t needed, size_t size,
                     adze_error *err)
{
    if (needed <= *capacity)
        return ADZE_OK;
    void *old, *items;
    size_t wanted = ADZE_MAX(needed, ADZE_MAX(*capacity * 2, (size_t)64));
    memcpy(&old, items_pointer, sizeof old);
    items = adze_realloc(old, wanted, size);
    if (!items)
        return tok_no_memory(err);
    memcpy(items_pointer, &items, sizeof items);
    *capacity = wanted;
    return ADZE_OK;
}

adze_status tok_emit(tok_encoder *e, int32_t id)
{
    if (e->count == e->capacity)
        ADZE_TRY(tok_grow(&e->ids, &e->capacity, e->count + 1, sizeof *e->ids, e->err));
    e->ids[e->count++] = id;
    return ADZE_OK;
}

adze_status tok_need_matcher(tok_encoder *e)
{
    return e->matcher ? ADZE_OK : adze_matcher_open(&e->matcher, e->err);
}

void tok_encoder_free(tok_encoder *e)
{
    adze_matcher_close(&e->matcher);
    for (int i = 0; i < 2; i++) {
        adze_text_free(&e->text[i]);
        adze_text_free(&e->mapped[i]);
        adze_free(e->spans[i].items);
    }
    adze_free(e->symbols);
    adze_free(e->heap);
    adze_free(e->nodes);
    adze_free(e->cache);
    adze_text_free(&e->cache_bytes);
    adze_free(e->cache_ids);
    adze_free(e->ids);
}

/* ---- text without added tokens ---- */

static adze_status encode_piece(tok_encoder *e, const char *text, size_t length)
{
    switch (e->t->model) {
    case TOK_BPE: return tok_bpe_encode(e, text, length);
    case TOK_UNIGRAM: return tok_unigram_encode(e, text, length);
    case TOK_WORDPIECE: return tok_wordpiece_encode(e, text, length);
    default: break;
    }
    int32_t id = tok_texts_find(&e->t->texts, text, length);
    id = id < 0 ? e->t->unknown : id;
    return id < 0 ? ADZE_OK : tok_emit(e, id);
}

static adze_status encode_invalid(tok_encoder *e, const char *bytes, size_t length)
{
    const adze_tokenizer *t = e->t;
    if (t->model == TOK_BPE && t->bpe.byte_level)
        return tok_bpe_encode(e, bytes, length);
    if (!t->maps_bytes)
        return tok_bytes_encode(e, bytes, length);
    adze_text *out = &e->mapped[0];
    out->length = 0;
    tok_bytes_spell(out, bytes, length);
    return out->failed ? tok_no_memory(e->err) : encode_piece(e, out->data, out->length);
}

static adze_status encode_normalized(tok_encoder *e, const char *text, size_t length, bool first)
{
    int at;
    if (!length)
        return ADZE_OK;
    ADZE_TRY(tok_split(e, &text, length, first, &at));
    for (size_t i = 0; i < e->spans[at].count; i++) {
        tok_span piece = e->spans[at].items[i];
        ADZE_TRY(encode_piece(e, text + piece.start, piece.length));
    }
    return ADZE_OK;
}

/* ---- added tokens ---- */

typedef adze_status (*between_fn)(tok_encoder *e, const char *text, size_t length, bool first,
                                  bool special);

static bool is_word_at(const char *at, const char *end)
{
    uint32_t c;
    return adze_utf8_next(at, end, &c) && adze_unicode_is_word(c);
}

static const char *character_before(const char *begin, const char *at)
{
    const char *back = at;
    while (back > begin && at - back < 4 && ((unsigned char)*--back & 0xC0) == 0x80) {
    }
    return back;
}

static bool stands_alone(const char *begin, const char *end, const char *from, const char *to)
{
    return !(from > begin && is_word_at(character_before(begin, from), end)) &&
           !is_word_at(to, end);
}

static const char *skip_spaces(const char *at, const char *end)
{
    uint32_t c;
    for (size_t size; (size = adze_utf8_next(at, end, &c)) && adze_unicode_is_space(c);)
        at += size;
    return at;
}

static const char *skip_spaces_back(const char *begin, const char *at)
{
    uint32_t c;
    while (at > begin) {
        const char *back = character_before(begin, at);
        if (!adze_utf8_next(back, at, &c) || !adze_unicode_is_space(c))
            break;
        at = back;
    }
    return at;
}

/* The longest added token at `at`; NULL when there is none. */
static const tok_added *match_at(const adze_tokenizer *t, const tok_trie *trie, const char *at,
                                 const char *end, bool special)
{
    const tok_added *best = NULL;
    uint32_t node = 0;
    for (; at < end && (node = tok_trie_step(trie, node, *at)) != 0; at++) {
        int32_t value = trie->values[node];
        if (value >= 0 && (special || t->skipped_consumes || !t->added[value].special))
            best = &t->added[value];
    }
    return best;
}

static adze_status cut_added(tok_encoder *e, const tok_trie *trie, const char *text, size_t length,
                             bool first, bool special, between_fn between)
{
    const adze_tokenizer *t = e->t;
    const char *begin = text, *end = text + length, *done = text;
    if (trie->count <= 1)
        return between(e, text, length, first, special);
    for (const char *at = text; at < end;) {
        const tok_added *added =
            trie->root[(unsigned char)*at] ? match_at(t, trie, at, end, special) : NULL;
        if (!added) {
            at++;
            continue;
        }
        const char *from = at, *to = at + added->text.length;
        at = to;
        if ((added->special && !special) ||
            (added->single_word && !stands_alone(begin, end, from, to)))
            continue;
        /* what a token strips behind it may still begin the next token: the search goes on at `at` */
        if (added->lstrip)
            from = from > done ? skip_spaces_back(done, from) : done;
        if (added->rstrip)
            to = skip_spaces(to, end);
        if (from > done)
            ADZE_TRY(between(e, done, (size_t)(from - done), first && done == begin, special));
        ADZE_TRY(tok_emit(e, added->id));
        done = to;
    }
    if (end > done)
        ADZE_TRY(between(e, done, (size_t)(end - done), first && done == begin, special));
    return ADZE_OK;
}

static adze_status encode_between_normalized(tok_encoder *e, const char *text, size_t length,
                                             bool first, bool special)
{
    ADZE_UNUSED(special);
    return encode_normalized(e, text, length, first);
}

/* Valid UTF-8: `begins` the fragment, `first`: begins the whole input. */
static adze_status encode_valid(tok_encoder *e, const char *text, size_t length, bool begins,
                                bool first, bool special)
{
    const adze_tokenizer *t = e->t;
    for (int i = 0; i < t->normalizer_count; i++) {
        adze_text *out = text == e->text[0].data ? &e->text[1] : &e->text[0];
        out->length = 0;
        ADZE_TRY(tok_normalize(e, &t->normalizers[i], out, text, length, begins));
        if (out->failed)
            return tok_no_memory(e->err);
        if (out->length > INT32_MAX)
            return adze_fail(e->err, ADZE_LIMIT, "text too long for the tokenizer");
        text = adze_text_get(out);
        length = out->length;
    }
    return cut_added(e, &t->added_normalized, text, length, first, special,
                     encode_between_normalized);
}

static size_t invalid_run(const char *text, size_t length)
{
    uint32_t c;
    size_t run = 0;
    while (run < length && !adze_utf8_next(text + run, text + length, &c))
        run++;
    return run;
}

static adze_status encode_fragment(tok_encoder *e, const char *text, size_t length, bool first,
                                   bool special)
{
    for (size_t at = 0; at < length;) {
        size_t valid = adze_utf8_valid_prefix(text + at, length - at);
        if (valid)
            ADZE_TRY(encode_valid(e, text + at, valid, at == 0, first && at == 0, special));
        at += valid;
        size_t run = invalid_run(text + at, length - at);
        if (run)
            ADZE_TRY(encode_invalid(e, text + at, run));
        at += run;
    }
    return ADZE_OK;
}

/* ---- the whole ---- */

static adze_status encode_all(tok_encoder *e, const char *text, size_t length,
                              const adze_encode_options *options)
{
    const adze_tokenizer *t = e->t;
    bool ends = options && options->ends, special = options && options->special;
    for (int i = 0; ends && i < t->before_count; i++)
        ADZE_TRY(tok_emit(e, t->before[i]));
    if (length)
        ADZE_TRY(cut_added(e, &t->added_raw, text, length, true, special, encode_fragment));
    for (int i = 0; ends && i < t->after_count; i++)
        ADZE_TRY(tok_emit(e, t->after[i]));
    return ADZE_OK;
}

adze_status adze_tokenizer_encode(const adze_tokenizer *tokenizer, int32_t **ids, int64_t *count,
                                  const char *text, size_t length,
                                  const adze_encode_options *options, adze_error *err)
{
    if (length > LONGEST_TEXT)
        return adze_fail(err, ADZE_LIMIT,
                         "text of %zu bytes: at most %d at a time; give it in parts", length,
                         LONGEST_TEXT);
    tok_encoder e = {.t = tokenizer, .err = err};
    adze_status status = encode_all(&e, text, length, options);
    if (status == ADZE_OK)
        status = tok_grow(&e.ids, &e.capacity, 1, sizeof *e.ids, err);
    if (status == ADZE_OK) {
        *ids = e.ids;
        *count = (int64_t)e.count;
        e.ids = NULL;
    }
    tok_encoder_free(&e);
    return status;
}

void adze_tokens_free(int32_t **ids)
{
    adze_free(*ids);
    *ids = NULL;
}

/* ---- building the tries of added tokens ---- */

static adze_status build_one(adze_tokenizer *t, tok_trie *trie, bool normalized, tok_key *keys,
                             adze_error *err)
{
    size_t count = 0;
    for (int i = 0; i < t->added_count; i++)
        if (t->added[i].normalized == normalized && t->added[i].text.length)
            keys[count++] = (tok_key){t->added[i].text.data, (uint32_t)t->added[i].text.length, i};
    return count == 0 || tok_trie_build(trie, &t->arena, keys, count) ? ADZE_OK
                                                                      : tok_no_memory(err);
}

adze_status tok_added_build(adze_tokenizer *t, adze_error *err)
{
    tok_key *keys = adze_alloc((size_t)t->added_count + 1, sizeof *keys);
    if (!keys)
        return tok_no_memory(err);
    adze_status status = build_one(t, &t->added_raw, false, keys, err);
    if (status == ADZE_OK)
        status = build_one(t, &t->added_normalized, true, keys, err);
    adze_free(keys);
    return status;
}
