/* Oniguruma's spelling of regular expressions in PCRE2's. What differs and occurs in tokenizers: \s \w \d \b
 * and [:space:] have Unicode's meaning whatever the version of PCRE2; \h is a hexadecimal digit; classes may
 * hold classes and intersections ([\p{L}&&[^\p{Han}]]), which become lookaheads before one character. */
#include <string.h>

#include "llm/unicode_regex.h"

#define SPACE                                                                                      \
    "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{"    \
    "205f}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define HEX "0-9A-Fa-f"
enum { NESTING = 20 };

typedef struct source {
    const char *begin, *at, *end;
    adze_error *err;
} source;

/* Escapes that mean a set of characters: what to write between brackets, and whether it is the complement. */
typedef struct set_row {
    char letter;
    const char *inside;
    bool complement;
} set_row;

static const set_row sets[] = {
    {'s', SPACE, false},     {'S', SPACE, true},     {'w', WORD, false}, {'W', WORD, true},
    {'d', "\\p{Nd}", false}, {'D', "\\p{Nd}", true}, {'h', HEX, false},  {'H', HEX, true},
};

static const set_row *find_set(char letter)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(sets); i++)
        if (sets[i].letter == letter)
            return &sets[i];
    return NULL;
}

static adze_status fail(const source *s, const char *what)
{
    return adze_fail(
        s->err, ADZE_UNSUPPORTED, "regular expression %.*s: at byte %zu: %s",
        (int)adze_utf8_valid_prefix(s->begin, (size_t)ADZE_MIN(s->end - s->begin, 500)), s->begin,
        (size_t)(s->at - s->begin), what);
}

static bool looking_at(const source *s, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(s->end - s->at) >= length && memcmp(s->at, text, length) == 0;
}

/* An escape that means the same inside of a class and outside, backslash included. */
static adze_status copy_escape(adze_text *out, source *s)
{
    char c = s->at[1];
    if (c == 'v') {
        adze_text_puts(out, "\\x0b");
        s->at += 2;
        return ADZE_OK;
    }
    if (c == 'u') {
        if (s->end - s->at < 6)
            return fail(s, "\\u needs four hexadecimal digits");
        adze_text_printf(out, "\\x{%.4s}", s->at + 2);
        s->at += 6;
        return ADZE_OK;
    }
    const char *close = NULL;
    if ((c == 'p' || c == 'P' || c == 'x') && s->end - s->at > 2 && s->at[2] == '{')
        close = memchr(s->at, '}', (size_t)(s->end - s->at));
    size_t length = close ? (size_t)(close + 1 - s->at) : 2;
    bool plain = (unsigned char)c >= 0x80; /* PCRE2 takes no backslash before those */
    adze_text_add(out, s->at + plain, length - plain);
    s->at += length;
    return ADZE_OK;
}

/* ---- classes ---- */

typedef struct members {
    adze_text plain;  /* between brackets */
    adze_text nested; /* alternatives "|[...]" that each match one character */
} members;

static adze_status parse_class(adze_text *out, source *s, int depth);

static const char *const posix[][2] = {
    {"[:space:]", SPACE},
    {"[:word:]", WORD},
    {"[:digit:]", "\\p{Nd}"},
    {"[:alpha:]", "\\p{Alphabetic}"},
    {"[:alnum:]", "\\p{Alphabetic}\\p{Nd}"},
    {"[:upper:]", "\\p{Uppercase}"},
    {"[:lower:]", "\\p{Lowercase}"},
    {"[:punct:]", "\\p{P}\\p{S}"},
};

static adze_status posix_class(members *m, source *s)
{
    const char *close = s->at + 2;
    while (close < s->end && *close != ']')
        close++;
    if (close == s->end || close[-1] != ':')
        return fail(s, "[: without :]");
    size_t length = (size_t)(close + 1 - s->at);
    const char *meaning = NULL;
    for (size_t i = 0; i < ADZE_COUNT_OF(posix); i++)
        if (looking_at(s, posix[i][0]))
            meaning = posix[i][1];
    adze_text_add(&m->plain, meaning ? meaning : s->at, meaning ? strlen(meaning) : length);
    s->at += length;
    return ADZE_OK;
}

static adze_status class_escape(members *m, source *s)
{
    if (s->end - s->at < 2)
        return fail(s, "nothing behind the backslash");
    const set_row *set = find_set(s->at[1]);
    if (set && set->complement)
        adze_text_printf(&m->nested, "|[^%s]", set->inside);
    else if (set)
        adze_text_puts(&m->plain, set->inside);
    else if (s->at[1] == 'b')
        adze_text_puts(&m->plain, "\\x08");
    else
        return copy_escape(&m->plain, s);
    s->at += 2;
    return ADZE_OK;
}

/* Up to the closing bracket or &&. */
static adze_status parse_members(members *m, source *s, int depth)
{
    for (bool first = true; s->at < s->end && (first || *s->at != ']'); first = false) {
        if (looking_at(s, "&&"))
            return ADZE_OK;
        if (looking_at(s, "[:")) {
            ADZE_TRY(posix_class(m, s));
        } else if (*s->at == '[') {
            adze_text_puts(&m->nested, "|");
            ADZE_TRY(parse_class(&m->nested, s, depth + 1));
        } else if (*s->at == '\\') {
            ADZE_TRY(class_escape(m, s));
        } else {
            if (*s->at == ']' || *s->at == '^')
                adze_text_puts(&m->plain, "\\");
            adze_text_add(&m->plain, s->at++, 1);
        }
    }
    return s->at < s->end ? ADZE_OK : fail(s, "[ without ]");
}

static void write_members(adze_text *out, const members *m)
{
    const char *nested = adze_text_get(&m->nested);
    if (!m->nested.length)
        adze_text_printf(out, "[%s]", adze_text_get(&m->plain));
    else if (!m->plain.length)
        adze_text_printf(out, "(?:%s)", nested + 1);
    else
        adze_text_printf(out, "(?:[%s]%s)", adze_text_get(&m->plain), nested);
    out->failed |= m->plain.failed || m->nested.failed;
}

/* One operand after the other; all but the last become conditions. */
static adze_status parse_operands(adze_text *out, source *s, bool negated, int depth)
{
    members m = {0};
    adze_status status = parse_members(&m, s, depth);
    bool more = status == ADZE_OK && *s->at == '&', simple = !more && !m.nested.length;
    if (status == ADZE_OK && negated && simple) {
        adze_text_printf(out, "[^%s]", adze_text_get(&m.plain));
    } else if (status == ADZE_OK) {
        adze_text_puts(out, negated ? "(?:(?!" : more ? "(?:(?=" : "");
        write_members(out, &m);
    }
    adze_text_free(&m.plain);
    adze_text_free(&m.nested);
    ADZE_TRY(status);
    if (!more) {
        adze_text_puts(out, negated && !simple ? ")(?s:.))" : "");
        return ADZE_OK;
    }
    s->at += 2;
    if (negated) /* not (a and b) = not a, or not b: one negative lookahead of both */
        return fail(s, "a negated class with && inside");
    adze_text_puts(out, ")");
    ADZE_TRY(parse_operands(out, s, false, depth + 1));
    adze_text_puts(out, ")");
    return ADZE_OK;
}

static adze_status parse_class(adze_text *out, source *s, int depth)
{
    if (depth > NESTING)
        return fail(s, "classes nested too deeply");
    s->at++;
    bool negated = s->at < s->end && *s->at == '^';
    s->at += negated;
    ADZE_TRY(parse_operands(out, s, negated, depth));
    s->at++;
    return ADZE_OK;
}

/* ---- the rest ---- */

static adze_status plain_escape(adze_text *out, source *s)
{
    if (s->end - s->at < 2)
        return fail(s, "nothing behind the backslash");
    char c = s->at[1];
    const set_row *set = find_set(c);
    if (set)
        adze_text_printf(out, "[%s%s]", set->complement ? "^" : "", set->inside);
    else if (c == 'b')
        adze_text_puts(out, "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))");
    else if (c == 'B')
        adze_text_puts(out, "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))");
    else
        return copy_escape(out, s);
    s->at += 2;
    return ADZE_OK;
}

/* "(?m" of Oniguruma lets '.' match a newline: PCRE2's s. */
static void copy_group(adze_text *out, source *s)
{
    adze_text_add(out, s->at, 2);
    for (s->at += 2; s->at < s->end && strchr("imsx-", *s->at) && *s->at; s->at++)
        adze_text_add(out, *s->at == 'm' ? "s" : s->at, 1);
}

adze_status adze_regex_translate(adze_text *out, const char *pattern, size_t length,
                                 adze_error *err)
{
    source s = {pattern, pattern, pattern + length, err};
    if (memchr(pattern, 0, length))
        return adze_fail(err, ADZE_UNSUPPORTED, "regular expression with a NUL byte");
    while (s.at < s.end) {
        if (*s.at == '\\') {
            ADZE_TRY(plain_escape(out, &s));
        } else if (*s.at == '[') {
            ADZE_TRY(parse_class(out, &s, 0));
        } else if (looking_at(&s, "(?")) {
            copy_group(out, &s);
        } else if (looking_at(&s, "{,")) {
            adze_text_puts(out, "{0,");
            s.at += 2;
        } else {
            adze_text_add(out, s.at++, 1);
        }
    }
    return ADZE_OK;
}
