/* Growing text, numbers in text, wildcards and UTF-8. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool make_room(adze_text *text, size_t more)
{
    size_t needed;
    if (text->failed || !adze_add_size(&needed, text->length, more) ||
        !adze_add_size(&needed, needed, 1)) {
        text->failed = true;
        return false;
    }
    if (needed <= text->capacity)
        return true;
    size_t capacity = ADZE_MAX(needed, text->capacity * 2);
    capacity = ADZE_MAX(capacity, (size_t)64);
    char *data = adze_realloc(text->data, 1, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void adze_text_add(adze_text *text, const char *bytes, size_t length)
{
    if (!make_room(text, length))
        return;
    if (length)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void adze_text_puts(adze_text *text, const char *string)
{
    adze_text_add(text, string, strlen(string));
}

void adze_text_vprintf(adze_text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length < 0)
        text->failed = true;
    else if (make_room(text, (size_t)length)) {
        (void)vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void adze_text_printf(adze_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    adze_text_vprintf(text, format, args);
    va_end(args);
}

const char *adze_text_get(const adze_text *text)
{
    return text->data ? text->data : "";
}

void adze_text_free(adze_text *text)
{
    adze_free(text->data);
    *text = (adze_text){0};
}

bool adze_parse_i64(const char *s, int64_t *out)
{
    if (!*s || isspace((unsigned char)*s))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (errno || *end || end == s)
        return false;
    *out = value;
    return true;
}

/* The number at the start of `s`; NULL when there is none, else where it ends. */
static const char *number_prefix(const char *s, double *out)
{
    if (!*s || isspace((unsigned char)*s))
        return NULL;
    char *end;
    errno = 0;
    double value = strtod(s, &end);
    if (end == s || (errno == ERANGE && isinf(value)))
        return NULL;
    *out = value;
    return end;
}

bool adze_parse_f64(const char *s, double *out)
{
    double value;
    const char *end = number_prefix(s, &value);
    if (!end || *end)
        return false;
    *out = value;
    return true;
}

static bool same_letters(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
    return *a == *b;
}

bool adze_parse_size(const char *s, double *bytes)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {
        {"", 1},         {"B", 1},           {"K", 1e3},      {"KB", 1e3},     {"M", 1e6},
        {"MB", 1e6},     {"G", 1e9},         {"GB", 1e9},     {"T", 1e12},     {"TB", 1e12},
        {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
    };
    double value;
    const char *unit = number_prefix(s, &value);
    if (!unit || !(value >= 0) || isinf(value))
        return false;
    while (*unit == ' ')
        unit++;
    for (size_t i = 0; i < ADZE_COUNT_OF(units); i++)
        if (same_letters(unit, units[i].unit)) {
            *bytes = value * units[i].factor;
            return true;
        }
    return false;
}

/* Three significant digits, thousands in `steps`. */
static const char *format_scaled(char buf[32], double value, const char *const *steps, int count)
{
    int step = 0;
    while (step + 1 < count && fabs(value) >= 999.5) {
        value /= 1000;
        step++;
    }
    double size = fabs(value);
    bool whole = step == 0 && value == floor(value);
    int digits = whole || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    (void)snprintf(buf, 32, "%.*f%s%s", digits, value, *steps[step] ? " " : "", steps[step]);
    return buf;
}

const char *adze_format_bytes(char buf[32], double bytes)
{
    static const char *const steps[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    return format_scaled(buf, bytes, steps, (int)ADZE_COUNT_OF(steps));
}

const char *adze_format_count(char buf[32], double count)
{
    static const char *const steps[] = {"", "k", "M", "G", "T", "P"};
    return format_scaled(buf, count, steps, (int)ADZE_COUNT_OF(steps));
}

/* Linear time: on a mismatch only the last '*' can usefully take one more character. */
bool adze_glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

bool adze_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool adze_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

/* Length of the well-formed UTF-8 character at `s` (Unicode 15, table 3-7), 0 when there is none. */
static size_t utf8_character(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < length)
        return 0;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t adze_utf8_valid_prefix(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t step = utf8_character((const unsigned char *)bytes + at, length - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}
