/* Upper and lower case of UTF-8 text, the same on every machine (a C library's depends on its locale). */
#ifndef ADZE_OPS_LETTER_CASE_H
#define ADZE_OPS_LETTER_CASE_H
#include "base/error.h"

/* Writes the text in upper or lower case; `to` has room for ADZE_LETTER_GROWTH * length bytes. Bytes that are
 * not UTF-8 stay. Returns the bytes written. */
#define ADZE_LETTER_GROWTH 2
size_t adze_letter_case(const char *text, size_t length, bool upper, char *to);
/* Bytes of the white space that the text begins with; 0: it begins with something else. */
size_t adze_utf8_space(const char *text, size_t length);

#endif
