/* Characters: UTF-8 in and out, the classes that tokenizers ask for, normal forms (utf8proc inside). Text that
 * functions here take is valid UTF-8, except where they say otherwise. */
#ifndef ADZE_LLM_UNICODE_H
#define ADZE_LLM_UNICODE_H
#include "base/text.h"

/* U+2581, which SentencePiece writes for a space. */
#define ADZE_SPACE_MARK "\xE2\x96\x81"
enum { ADZE_SPACE_MARK_SIZE = 3 };

/* The character at `at`, and how many bytes it takes; 0 where the bytes before `end` are no character. */
size_t adze_utf8_next(const char *at, const char *end, uint32_t *character);
/* Bytes of the character that begins with `lead`, which must begin one. */
size_t adze_utf8_size(char lead);
/* Writes at most 4 bytes, returns how many. */
size_t adze_utf8_put(char *out, uint32_t character);
void adze_utf8_add(adze_text *out, uint32_t character);
/* Bytes at the end of `bytes` that begin a character and lack its rest, 0 to 3. */
size_t adze_utf8_incomplete(const char *bytes, size_t length);

/* As the tokenizers library sees them, whose tables are older than others (unicode_late.h). */
bool adze_unicode_is_space(uint32_t c);       /* White_Space */
bool adze_unicode_is_punctuation(uint32_t c); /* category P, or ASCII punctuation */
bool adze_unicode_is_mark(uint32_t c);        /* category M */
bool adze_unicode_is_nonspacing(uint32_t c);  /* category Mn */
bool adze_unicode_is_other(uint32_t c);       /* categories Cc, Cf, Co */
bool adze_unicode_is_number(uint32_t c);      /* category N */
bool adze_unicode_is_word(uint32_t c);        /* letter, mark, decimal digit, connector */

typedef enum adze_unicode_form {
    ADZE_FORM_C,
    ADZE_FORM_D,
    ADZE_FORM_KC,
    ADZE_FORM_KD
} adze_unicode_form;

/* These append; out of memory sets out->failed. */
void adze_unicode_normalize(adze_text *out, const char *text, size_t length,
                            adze_unicode_form form);
void adze_unicode_lower(adze_text *out, const char *text, size_t length); /* full mapping */
/* Each character, or the first of its canonical decomposition. */
void adze_unicode_bases(adze_text *out, const char *text, size_t length);
/* End of the extended grapheme cluster that begins at `at`. */
const char *adze_unicode_grapheme_end(const char *at, const char *end);

#endif
