/* Normalizers: each appends its form of a text to another. */
#include <string.h>

#include "llm/tokenizer_impl.h"

static void strip(adze_text *out, const tok_normalizer *n, const char *text, size_t length)
{
    const char *end = text + length;
    uint32_t c;
    for (size_t size;
         n->left && (size = adze_utf8_next(text, end, &c)) && adze_unicode_is_space(c);)
        text += size;
    while (n->right && end > text) {
        const char *back = end - 1;
        while (back > text && ((unsigned char)*back & 0xC0) == 0x80)
            back--;
        if (!adze_utf8_next(back, end, &c) || !adze_unicode_is_space(c))
            break;
        end = back;
    }
    adze_text_add(out, text, (size_t)(end - text));
}

/* Leaves out the characters that `drop` says. */
static void filter(adze_text *out, const char *text, size_t length, bool (*drop)(uint32_t))
{
    const char *end = text + length;
    uint32_t c;
    for (size_t size; (size = adze_utf8_next(text, end, &c)) != 0; text += size)
        if (!drop(c))
            adze_text_add(out, text, size);
}

/* The blocks that BERT's authors call Chinese; one of them begins late, as everywhere since. */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void bert_clean(adze_text *out, const tok_normalizer *n, const char *text, size_t length)
{
    const char *end = text + length;
    uint32_t c;
    for (size_t size; (size = adze_utf8_next(text, end, &c)) != 0; text += size) {
        bool blank = c == '\t' || c == '\n' || c == '\r';
        if (n->clean && (c == 0 || c == 0xFFFD || (!blank && adze_unicode_is_other(c))))
            continue;
        if (n->clean && adze_unicode_is_space(c)) {
            adze_text_add(out, " ", 1);
        } else if (n->chinese && is_chinese(c)) {
            adze_text_add(out, " ", 1);
            adze_text_add(out, text, size);
            adze_text_add(out, " ", 1);
        } else {
            adze_text_add(out, text, size);
        }
    }
}

static void bert(adze_text *out, const tok_normalizer *n, const char *text, size_t length)
{
    adze_text a = {0}, b = {0};
    bert_clean(&a, n, text, length);
    if (n->accents && n->bases) {
        adze_unicode_bases(&b, adze_text_get(&a), a.length);
        a.length = 0;
        filter(&a, adze_text_get(&b), b.length, adze_unicode_is_mark);
    } else if (n->accents) {
        adze_unicode_normalize(&b, adze_text_get(&a), a.length, ADZE_FORM_D);
        a.length = 0;
        filter(&a, adze_text_get(&b), b.length, adze_unicode_is_nonspacing);
    }
    if (n->lower)
        adze_unicode_lower(out, adze_text_get(&a), a.length);
    else
        adze_text_add(out, adze_text_get(&a), a.length);
    out->failed |= a.failed || b.failed;
    adze_text_free(&a);
    adze_text_free(&b);
}

/* What Google's NMT models drop, and what they take for a space. */
static bool nmt_drops(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F;
}

static bool nmt_is_space(uint32_t c)
{
    return c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

static void nmt(adze_text *out, const char *text, size_t length)
{
    const char *end = text + length;
    uint32_t c;
    for (size_t size; (size = adze_utf8_next(text, end, &c)) != 0; text += size)
        if (!nmt_drops(c))
            adze_text_add(out, nmt_is_space(c) ? " " : text, nmt_is_space(c) ? 1 : size);
}

void tok_replace_literal(adze_text *out, adze_string pattern, adze_string content, const char *text,
                         size_t length)
{
    const char *end = text + length;
    while (text < end && pattern.length) {
        const char *at = memmem(text, (size_t)(end - text), pattern.data, pattern.length);
        if (!at)
            break;
        adze_text_add(out, text, (size_t)(at - text));
        adze_text_add(out, content.data, content.length);
        text = at + pattern.length;
    }
    adze_text_add(out, text, (size_t)(end - text));
}

adze_status tok_replace(tok_encoder *e, adze_text *out, const adze_regex *regex,
                        adze_string pattern, adze_string content, const char *text, size_t length)
{
    if (!regex) {
        tok_replace_literal(out, pattern, content, text, length);
        return ADZE_OK;
    }
    ADZE_TRY(tok_need_matcher(e));
    size_t previous = 0, from = 0;
    bool any = false;
    while (from <= length) {
        bool found;
        size_t start, end;
        ADZE_TRY(
            adze_regex_search(regex, e->matcher, text, length, from, &found, &start, &end, e->err));
        if (!found)
            break;
        from = end;
        if (start == end) {
            from += end < length ? adze_utf8_size(text[end]) : 1;
            if (any && end == previous)
                continue;
        }
        any = true;
        adze_text_add(out, text + previous, start - previous);
        adze_text_add(out, content.data, content.length);
        previous = end;
    }
    adze_text_add(out, text + previous, length - previous);
    return ADZE_OK;
}

adze_status tok_normalize(tok_encoder *e, const tok_normalizer *n, adze_text *out, const char *text,
                          size_t length, bool first)
{
    switch (n->kind) {
    case TOK_NORMAL_FORM: adze_unicode_normalize(out, text, length, n->form); break;
    case TOK_NORMAL_LOWER: adze_unicode_lower(out, text, length); break;
    case TOK_NORMAL_STRIP_ACCENTS: filter(out, text, length, adze_unicode_is_mark); break;
    case TOK_NORMAL_STRIP: strip(out, n, text, length); break;
    case TOK_NORMAL_BERT: bert(out, n, text, length); break;
    case TOK_NORMAL_CHARSMAP: tok_charsmap_normalize(out, &n->charsmap, text, length); break;
    case TOK_NORMAL_NMT: nmt(out, text, length); break;
    case TOK_NORMAL_BYTES: tok_bytes_spell(out, text, length); break;
    case TOK_NORMAL_PIECES: tok_pieces_normalize(out, n, text, length, first); break;
    case TOK_NORMAL_REPLACE:
        return tok_replace(e, out, n->regex, n->pattern, n->content, text, length);
    case TOK_NORMAL_PREPEND:
        if (length && first)
            adze_text_add(out, n->content.data, n->content.length);
        adze_text_add(out, text, length);
        break;
    }
    return ADZE_OK;
}
