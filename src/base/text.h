/* Growing text and small string helpers. */
#ifndef ADZE_BASE_TEXT_H
#define ADZE_BASE_TEXT_H
#include <stdarg.h>
#include "base/error.h"

typedef struct adze_text {
    char *data; /* always NUL-terminated once anything was added; NULL before */
    size_t length, capacity;
    bool failed; /* an allocation failed: content is incomplete; check once at the end */
} adze_text;

void adze_text_add(adze_text *text, const char *bytes, size_t length);
void adze_text_puts(adze_text *text, const char *string);
void adze_text_printf(adze_text *text, const char *format, ...) ADZE_PRINTF(2, 3);
void adze_text_vprintf(adze_text *text, const char *format, va_list args);
const char *adze_text_get(const adze_text *text); /* "" when empty */
void adze_text_free(adze_text *text);

/* Whole-string numbers: false unless all of `s` is one number in range. */
bool adze_parse_i64(const char *s, int64_t *out);
bool adze_parse_f64(const char *s, double *out);
/* "300KB" "8MB" "1.5GiB" "4096" -> bytes (KB = 1000, KiB = 1024). */
bool adze_parse_size(const char *s, double *bytes);
/* "12.3 MB" style, for people; buf is returned. */
const char *adze_format_bytes(char buf[32], double bytes);
const char *adze_format_count(char buf[32], double count); /* "1.23 M" */
/* '*' and '?' wildcards. */
bool adze_glob_match(const char *pattern, const char *text);
bool adze_starts_with(const char *text, const char *prefix);
bool adze_ends_with(const char *text, const char *suffix);
/* n and length of the longest valid UTF-8 prefix; used to print bytes from files safely. */
size_t adze_utf8_valid_prefix(const char *bytes, size_t length);

#endif
