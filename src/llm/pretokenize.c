/* Splitters: each cuts the pieces that the one before it left; some rewrite the text first. Behaviours are those
 * of Hugging Face's Split. */
#include <string.h>

#include "llm/tokenizer_impl.h"

/* ---- GPT-2's alphabet: printable bytes are themselves, the other 68 are U+0100 and on, in order ---- */

static bool is_printable(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static uint32_t character_of(unsigned byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 32)
        return 256 + byte;
    return byte <= 160 ? 256 + 33 + (byte - 127) : 256 + 67;
}

void tok_bytes_spell(adze_text *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        adze_utf8_add(out, character_of((unsigned char)bytes[i]));
}

static int byte_of(uint32_t c)
{
    if (c < 256)
        return is_printable(c) ? (int)c : -1;
    if (c <= 256 + 32)
        return (int)c - 256;
    if (c <= 256 + 66)
        return (int)c - 256 - 33 + 127;
    return c == 256 + 67 ? 173 : -1;
}

bool tok_bytes_unspell(adze_text *out, const char *text, size_t length)
{
    size_t before = out->length;
    const char *end = text + length;
    uint32_t c;
    for (size_t size; text < end; text += size) {
        size = adze_utf8_next(text, end, &c);
        int byte = size ? byte_of(c) : -1;
        if (byte < 0) {
            out->length = before;
            return false;
        }
        char as_char = (char)byte;
        adze_text_add(out, &as_char, 1);
    }
    return true;
}

/* ---- cutting ---- */

/* Collects the pieces of one splitter; `matched` of the last one decides what joins it. */
typedef struct cutter {
    tok_encoder *e;
    tok_spans *to;
    tok_behavior behavior;
    bool fresh, was_match; /* fresh: nothing of this text yet */
} cutter;

static adze_status put(cutter *c, size_t start, size_t end)
{
    tok_spans *to = c->to;
    if (start == end)
        return ADZE_OK;
    ADZE_TRY(tok_grow(&to->items, &to->capacity, to->count + 1, sizeof *to->items, c->e->err));
    to->items[to->count++] = (tok_span){(uint32_t)start, (uint32_t)(end - start)};
    return ADZE_OK;
}

/* MERGED_WITH_NEXT is decided when the next piece comes: a match waits as a piece of its own, which the piece
 * behind it takes over, unless another match lies between. */
static adze_status add(cutter *c, size_t start, size_t end, bool match)
{
    tok_spans *to = c->to;
    tok_span *last = to->count && !c->fresh ? &to->items[to->count - 1] : NULL;
    bool join = false;
    switch (c->behavior) {
    case TOK_REMOVED:
        if (match)
            return ADZE_OK;
        break;
    case TOK_ISOLATED: break;
    case TOK_CONTIGUOUS: join = last && match == c->was_match; break;
    case TOK_MERGED_WITH_PREVIOUS: join = last && match && !c->was_match; break;
    case TOK_MERGED_WITH_NEXT: join = last && !match && c->was_match; break;
    }
    if (start == end)
        return ADZE_OK;
    c->was_match = match;
    c->fresh = false;
    if (!join)
        return put(c, start, end);
    last->length += (uint32_t)(end - start);
    return ADZE_OK;
}

static adze_status cut_by_regex(cutter *c, const tok_splitter *s, const char *text, tok_span piece)
{
    tok_encoder *e = c->e;
    size_t previous = 0, from = 0;
    bool any = false;
    c->fresh = true;
    c->was_match = false;
    while (from <= piece.length) {
        bool found;
        size_t start, end;
        ADZE_TRY(adze_regex_search(s->regex, e->matcher, text + piece.start, piece.length, from,
                                   &found, &start, &end, e->err));
        if (!found)
            break;
        from = end;
        if (start == end) { /* an empty match: cuts here, but not where the last one ended */
            from += end < piece.length ? adze_utf8_size(text[piece.start + end]) : 1;
            if (any && end == previous)
                continue;
        }
        any = true;
        ADZE_TRY(add(c, piece.start + previous, piece.start + start, s->invert));
        ADZE_TRY(add(c, piece.start + start, piece.start + end, !s->invert));
        previous = end;
    }
    return add(c, piece.start + previous, piece.start + piece.length, s->invert);
}

static adze_status cut_by_class(cutter *c, const tok_splitter *s, const char *text, tok_span piece)
{
    const char *begin = text + piece.start, *end = begin + piece.length, *done = begin;
    uint32_t character;
    c->fresh = true;
    c->was_match = false;
    for (const char *at = begin; at < end;) {
        size_t size = adze_utf8_next(at, end, &character);
        at += size;
        if (!s->in_class(character))
            continue;
        ADZE_TRY(add(c, (size_t)(done - text), (size_t)(at - text) - size, false));
        ADZE_TRY(add(c, (size_t)(at - text) - size, (size_t)(at - text), true));
        done = at;
    }
    return add(c, (size_t)(done - text), (size_t)(end - text), false);
}

/* Cuts X|mark where no token has X before the mark: no merge can cross there. */
static adze_status cut_words(cutter *c, const tok_splitter *s, const char *text, tok_span piece)
{
    const char *at = text + piece.start, *begin = at, *end = at + piece.length, *mark;
    for (const char *from = at; from < end; from = mark + ADZE_SPACE_MARK_SIZE) {
        mark = memmem(from, (size_t)(end - from), ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE);
        if (!mark)
            break;
        bool run = mark - begin >= ADZE_SPACE_MARK_SIZE &&
                   memcmp(mark - ADZE_SPACE_MARK_SIZE, ADZE_SPACE_MARK, ADZE_SPACE_MARK_SIZE) == 0;
        if (mark == at || run || s->glued[(unsigned char)mark[-1]])
            continue;
        ADZE_TRY(put(c, (size_t)(at - text), (size_t)(mark - text)));
        at = mark;
    }
    return put(c, (size_t)(at - text), (size_t)(end - text));
}

static adze_status cut(cutter *c, const tok_splitter *s, const char *text, tok_span piece)
{
    if (s->kind == TOK_SPLIT_REGEX)
        return cut_by_regex(c, s, text, piece);
    return s->kind == TOK_SPLIT_CLASS ? cut_by_class(c, s, text, piece)
                                      : cut_words(c, s, text, piece);
}

/* ---- rewriting ---- */

static bool begins_with(const char *text, size_t length, adze_string prefix)
{
    return length >= prefix.length && memcmp(text, prefix.data, prefix.length) == 0;
}

static void rewrite_metaspace(adze_text *out, const tok_splitter *s, const char *text,
                              size_t length, bool whole_first)
{
    bool wanted =
        s->scheme == TOK_PREPEND_ALWAYS || (s->scheme == TOK_PREPEND_FIRST && whole_first);
    if (wanted && !(length && text[0] == ' ') && !begins_with(text, length, s->mark))
        adze_text_add(out, s->mark.data, s->mark.length);
    for (size_t i = 0; i < length; i++)
        if (text[i] == ' ')
            adze_text_add(out, s->mark.data, s->mark.length);
        else
            adze_text_add(out, text + i, 1);
}

static void rewrite_prefix(adze_text *out, const char *text, size_t length)
{
    if (!(length && text[0] == ' '))
        adze_text_add(out, " ", 1);
    adze_text_add(out, text, length);
}

static adze_status rewrite(tok_encoder *e, const tok_splitter *s, const char **text,
                           const tok_spans *from, tok_spans *to, bool whole_first)
{
    adze_text *out = *text == e->mapped[0].data ? &e->mapped[1] : &e->mapped[0];
    out->length = 0;
    for (size_t i = 0; i < from->count; i++) {
        tok_span piece = from->items[i];
        size_t start = out->length;
        const char *at = *text + piece.start;
        if (s->kind == TOK_SPLIT_METASPACE)
            rewrite_metaspace(out, s, at, piece.length, whole_first && i == 0);
        else if (s->kind == TOK_SPLIT_PREFIX)
            rewrite_prefix(out, at, piece.length);
        else
            tok_bytes_spell(out, at, piece.length);
        if (out->length > INT32_MAX)
            return adze_fail(e->err, ADZE_LIMIT, "text too long for the tokenizer");
        ADZE_TRY(tok_grow(&to->items, &to->capacity, to->count + 1, sizeof *to->items, e->err));
        to->items[to->count++] = (tok_span){(uint32_t)start, (uint32_t)(out->length - start)};
    }
    *text = adze_text_get(out);
    return out->failed ? tok_no_memory(e->err) : ADZE_OK;
}

adze_status tok_split(tok_encoder *e, const char **text, size_t length, bool whole_first, int *at)
{
    tok_spans *first = &e->spans[0];
    *at = 0;
    ADZE_TRY(tok_grow(&first->items, &first->capacity, 1, sizeof *first->items, e->err));
    first->items[0] = (tok_span){0, (uint32_t)length};
    first->count = 1;
    for (int k = 0; k < e->t->splitter_count; k++, *at ^= 1) {
        const tok_splitter *s = &e->t->splitters[k];
        tok_spans *from = &e->spans[*at], *to = &e->spans[*at ^ 1];
        cutter c = {.e = e, .to = to, .behavior = s->behavior};
        to->count = 0;
        if (s->kind == TOK_SPLIT_BYTES || s->kind == TOK_SPLIT_METASPACE ||
            s->kind == TOK_SPLIT_PREFIX) {
            ADZE_TRY(rewrite(e, s, text, from, to, whole_first));
            continue;
        }
        if (s->kind == TOK_SPLIT_REGEX)
            ADZE_TRY(tok_need_matcher(e));
        for (size_t i = 0; i < from->count; i++)
            ADZE_TRY(cut(&c, s, *text, from->items[i]));
    }
    return ADZE_OK;
}
