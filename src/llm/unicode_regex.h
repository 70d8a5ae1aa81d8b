/* Regular expressions of tokenizers: PCRE2 over UTF-8, from the spelling that Hugging Face's files use
 * (Oniguruma's: nested character classes, &&, Unicode meanings of \s \w \d \b). */
#ifndef ADZE_LLM_UNICODE_REGEX_H
#define ADZE_LLM_UNICODE_REGEX_H
#include "base/text.h"

typedef struct adze_regex adze_regex;     /* immutable, shared */
typedef struct adze_matcher adze_matcher; /* one thread's working memory */

/* Fails with ADZE_UNSUPPORTED (names the pattern, the place and what is wrong), ADZE_NO_MEMORY. */
adze_status adze_regex_open(adze_regex **out, const char *pattern, size_t length,
                            adze_error *err) ADZE_MUST_CHECK;
/* Matches `text` itself. */
adze_status adze_regex_open_literal(adze_regex **out, const char *text, size_t length,
                                    adze_error *err) ADZE_MUST_CHECK;
void adze_regex_close(adze_regex **regex);

adze_status adze_matcher_open(adze_matcher **out, adze_error *err) ADZE_MUST_CHECK;
void adze_matcher_close(adze_matcher **matcher);

/* The first match at `from` or after in text, valid UTF-8: *found, *start, *end. Fails with ADZE_LIMIT when
 * the search takes too many steps. */
adze_status adze_regex_search(const adze_regex *regex, adze_matcher *matcher, const char *text,
                              size_t length, size_t from, bool *found, size_t *start, size_t *end,
                              adze_error *err) ADZE_MUST_CHECK;

/* The pattern as PCRE2 is given it, appended; for tests. */
adze_status adze_regex_translate(adze_text *out, const char *pattern, size_t length,
                                 adze_error *err) ADZE_MUST_CHECK;

#endif
