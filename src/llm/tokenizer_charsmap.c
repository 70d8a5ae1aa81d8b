/* SentencePiece's compiled normalizer: a double array (Darts-clone's units) from byte sequences to places in a list
 * of replacements. SentencePiece replaces the longest match; Hugging Face's Precompiled looks at one grapheme
 * at a time and takes the shortest. Both are here, for the file that asks. */
#include <string.h>

#include "base/cursor.h"
#include "llm/tokenizer_impl.h"

adze_status tok_charsmap_open(tok_charsmap *map, const void *bytes, size_t size, const char *where,
                              adze_error *err)
{
    adze_cursor c = adze_cursor_over(bytes, size);
    uint32_t units = adze_cursor_u32le(&c);
    const uint8_t *array = adze_cursor_bytes(&c, units);
    size_t left = adze_cursor_left(&c);
    if (c.failed || units % 4 || !left || ((const char *)bytes)[size - 1] != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: precompiled charsmap: %zu bytes, expected a double array of %u bytes "
                         "and NUL-terminated texts behind it",
                         where, size, (unsigned)units);
    *map = (tok_charsmap){.units = array,
                          .unit_count = units / 4,
                          .texts = (const char *)bytes + size - left,
                          .texts_size = left};
    return ADZE_OK;
}

static uint32_t unit_at(const tok_charsmap *m, size_t i)
{
    if (i >= m->unit_count)
        return 0;
    const uint8_t *u = m->units + 4 * i;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The replacement of a prefix of text, and how long that prefix is; NULL when none is replaced. */
static const char *look_up(const tok_charsmap *m, const char *text, size_t length, bool longest,
                           size_t *matched)
{
    const char *found = NULL;
    size_t node = offset_of(unit_at(m, 0));
    for (size_t i = 0; i < length && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        node ^= c;
        uint32_t unit = unit_at(m, node);
        if ((unit & (1u << 31 | 0xFF)) != c)
            break;
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1))
            continue;
        uint32_t value = unit_at(m, node) & ~(1u << 31);
        if (value >= m->texts_size)
            break;
        found = m->texts + value;
        *matched = i + 1;
        if (!longest)
            break;
    }
    return found;
}

void tok_charsmap_normalize(adze_text *out, const tok_charsmap *map, const char *text,
                            size_t length)
{
    enum { LONGEST_WHOLE = 5 };
    const char *end = text + length;
    while (text < end) {
        size_t matched;
        const char *next = adze_unicode_grapheme_end(text, end);
        const char *whole = next - text > LONGEST_WHOLE
                                ? NULL
                                : look_up(map, text, (size_t)(next - text), false, &matched);
        if (whole) {
            adze_text_puts(out, whole);
            text = next;
        }
        for (size_t size; text < next; text += size) {
            size = adze_utf8_size(*text);
            const char *one = look_up(map, text, size, false, &matched);
            adze_text_add(out, one ? one : text, one ? strlen(one) : size);
        }
    }
}

/* ---- SentencePiece's normalizer around it ---- */

/* Length of the longest user-defined token at `at`, or 0. */
static size_t verbatim_length(const tok_trie *trie, const char *at, const char *end)
{
    size_t best = 0;
    uint32_t node = 0;
    if (trie->count <= 1)
        return 0;
    for (const char *p = at; p < end && (node = tok_trie_step(trie, node, *p)) != 0; p++)
        if (trie->values[node] >= 0)
            best = (size_t)(p + 1 - at);
    return best;
}

typedef struct pieces_state {
    bool in_word, prefixed;
} pieces_state;

static void add_piece_bytes(adze_text *out, const tok_normalizer *n, pieces_state *s,
                            const char *bytes, size_t length)
{
    const char *space = n->escape ? ADZE_SPACE_MARK : " ";
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == ' ') {
            s->in_word = false;
            if (!n->merge_spaces)
                adze_text_puts(out, space);
            continue;
        }
        if (!s->in_word && ((n->prefix && !s->prefixed) || n->merge_spaces)) {
            adze_text_puts(out, space);
            s->prefixed = true;
        }
        s->in_word = true;
        adze_text_add(out, bytes + i, 1);
    }
}

void tok_pieces_normalize(adze_text *out, const tok_normalizer *n, const char *text, size_t length,
                          bool first)
{
    const char *end = text + length;
    pieces_state s = {.prefixed = !first, .in_word = !first && n->merge_spaces};
    while (text < end) {
        size_t taken = verbatim_length(&n->verbatim, text, end);
        const char *other =
            taken ? NULL : look_up(&n->charsmap, text, (size_t)(end - text), true, &taken);
        if (!taken)
            taken = adze_utf8_size(*text);
        add_piece_bytes(out, n, &s, other ? other : text, other ? strlen(other) : taken);
        text += taken;
    }
    if (n->suffix)
        adze_text_puts(out, n->escape ? ADZE_SPACE_MARK : " ");
}
