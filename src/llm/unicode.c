/* Characters, their classes and their normal forms. ASCII is answered here, the rest by utf8proc's tables. */
#include "llm/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "llm/unicode_late.h"

static bool follows(const char *at)
{
    return ((unsigned char)*at & 0xC0) == 0x80;
}

static uint32_t low6(const char *at)
{
    return (unsigned char)*at & 0x3Fu;
}

size_t adze_utf8_next(const char *at, const char *end, uint32_t *character)
{
    if (at >= end)
        return 0;
    unsigned char lead = (unsigned char)*at;
    size_t left = (size_t)(end - at);
    if (lead < 0x80) {
        *character = lead;
        return 1;
    }
    if (lead >= 0xC2 && lead < 0xE0 && left > 1 && follows(at + 1)) {
        *character = (lead & 0x1Fu) << 6 | low6(at + 1);
        return 2;
    }
    if (lead >= 0xE0 && lead < 0xF0 && left > 2 && follows(at + 1) && follows(at + 2)) {
        *character = (lead & 0x0Fu) << 12 | low6(at + 1) << 6 | low6(at + 2);
        return *character >= 0x800 && (*character & 0xF800) != 0xD800 ? 3 : 0;
    }
    if (lead >= 0xF0 && lead < 0xF5 && left > 3 && follows(at + 1) && follows(at + 2) &&
        follows(at + 3)) {
        *character = (lead & 0x07u) << 18 | low6(at + 1) << 12 | low6(at + 2) << 6 | low6(at + 3);
        return *character >= 0x10000 && *character <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

size_t adze_utf8_size(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

size_t adze_utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18 & 7));
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

void adze_utf8_add(adze_text *out, uint32_t character)
{
    char bytes[4];
    adze_text_add(out, bytes, adze_utf8_put(bytes, character));
}

size_t adze_utf8_incomplete(const char *bytes, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char c = (unsigned char)bytes[length - back];
        if ((c & 0xC0) == 0x80)
            continue;
        if (c < 0xC2 || c > 0xF4 || adze_utf8_size((char)c) <= back)
            return 0;
        if (back == 1)
            return 1;
        char whole[4] = {(char)0x80, (char)0x80, (char)0x80, (char)0x80};
        uint32_t ignored;
        memcpy(whole, bytes + length - back, back);
        return adze_utf8_next(whole, whole + 4, &ignored) ? back : 0;
    }
    return 0;
}

/* ---- classes ---- */

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool adze_unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool adze_unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    utf8proc_category_t k = category(c);
    if (c == 0x166D || c == 0x111C9) /* were punctuation once */
        return true;
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO && !adze_unicode_after_8(c);
}

bool adze_unicode_is_mark(uint32_t c)
{
    utf8proc_category_t k = c < 0x80 ? UTF8PROC_CATEGORY_CN : category(c);
    if (c == 0x1CF2 || c == 0x1CF3) /* were marks once */
        return true;
    return (k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME) &&
           !adze_unicode_after_10(c);
}

bool adze_unicode_is_nonspacing(uint32_t c)
{
    return c == 0x1734 ||
           (c >= 0x80 && category(c) == UTF8PROC_CATEGORY_MN && !adze_unicode_after_8(c));
}

bool adze_unicode_is_other(uint32_t c)
{
    if (c < 0x80)
        return c < 0x20 || c == 0x7F;
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CO ||
           (k == UTF8PROC_CATEGORY_CF && !adze_unicode_after_8(c));
}

bool adze_unicode_is_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool adze_unicode_is_word(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ND) || k == UTF8PROC_CATEGORY_PC;
}

/* ---- forms ---- */

static bool is_ascii(const char *text, size_t length)
{
    unsigned char any = 0;
    for (size_t i = 0; i < length; i++)
        any |= (unsigned char)text[i];
    return any < 0x80;
}

/* A stretch that begins with a character below U+0300 (no mark, no jamo) composes with nothing before it:
 * normalizing stretch by stretch needs little memory whatever the length. */
static size_t stretch_end(const char *text, size_t length, size_t from)
{
    enum { STRETCH = 4096 };
    size_t at = from + STRETCH;
    while (at < length && (unsigned char)text[at] >= 0x80)
        at++;
    return ADZE_MIN(at, length);
}

static void normalize_stretch(adze_text *out, const char *text, size_t length, int options)
{
    utf8proc_option_t how = (utf8proc_option_t)options;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t size = (utf8proc_ssize_t)length;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, size, NULL, 0, how);
    utf8proc_int32_t *characters =
        count < 0 ? NULL : adze_realloc(NULL, (size_t)count + 1, sizeof *characters);
    if (!characters || utf8proc_decompose(bytes, size, characters, count, how) != count) {
        out->failed = true;
    } else {
        count = utf8proc_normalize_utf32(characters, count, how);
        for (utf8proc_ssize_t i = 0; i < count; i++)
            adze_utf8_add(out, (uint32_t)characters[i]);
    }
    adze_free(characters);
}

/* How many bytes before `end` the first character is that stays as it is, and its size; 0 where there is none. */
static size_t undecomposed_at(const char *at, const char *end, size_t *size)
{
    uint32_t c;
    for (size_t n; (n = adze_utf8_next(at, end, &c)) != 0; at += n)
        if (adze_unicode_undecomposed(c)) {
            *size = n;
            break;
        }
    return (size_t)(end - at);
}

void adze_unicode_normalize(adze_text *out, const char *text, size_t length, adze_unicode_form form)
{
    static const int options[] = {
        [ADZE_FORM_C] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [ADZE_FORM_D] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [ADZE_FORM_KC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [ADZE_FORM_KD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    for (size_t from = 0, to; from < length; from = to) {
        size_t kept = 0;
        to = stretch_end(text, length, from);
        if (is_ascii(text + from, to - from)) {
            adze_text_add(out, text + from, to - from);
            continue;
        }
        size_t change = to - undecomposed_at(text + from, text + to, &kept);
        normalize_stretch(out, text + from, change - from, options[form]);
        adze_text_add(out, text + change, kept);
        to = change + kept;
    }
}

void adze_unicode_lower(adze_text *out, const char *text, size_t length)
{
    const char *end = text + length;
    for (uint32_t c; text < end; text += adze_utf8_size(*text)) {
        if (!adze_utf8_next(text, end, &c))
            return;
        if (c == 0x130) { /* the only character whose lower case is two (Unicode's SpecialCasing) */
            adze_text_add(out, "i\xCC\x87", 3);
        } else if (c < 0x80) {
            char lower = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
            adze_text_add(out, &lower, 1);
        } else {
            adze_utf8_add(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
        }
    }
}

void adze_unicode_bases(adze_text *out, const char *text, size_t length)
{
    const char *end = text + length;
    uint32_t c;
    for (size_t size; (size = adze_utf8_next(text, end, &c)) != 0; text += size) {
        utf8proc_int32_t parts[32] = {(utf8proc_int32_t)c};
        if (c >= 0x80)
            (void)utf8proc_decompose_char((utf8proc_int32_t)c, parts, 32, UTF8PROC_DECOMPOSE, NULL);
        adze_utf8_add(out, (uint32_t)parts[0]);
    }
}

const char *adze_unicode_grapheme_end(const char *at, const char *end)
{
    uint32_t before, c;
    utf8proc_int32_t state = 0;
    at += adze_utf8_next(at, end, &before);
    while (at < end) {
        size_t size = adze_utf8_next(at, end, &c);
        if (!size ||
            utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state))
            break;
        before = c;
        at += size;
    }
    return at;
}
