/* Which characters are too new for the tables of Hugging Face's tokenizers. */
#ifndef ADZE_LLM_UNICODE_LATE_H
#define ADZE_LLM_UNICODE_LATE_H
#include <stdbool.h>
#include <stdint.h>

bool adze_unicode_after_8(uint32_t c);      /* punctuation, nonspacing marks, format characters */
bool adze_unicode_after_10(uint32_t c);     /* marks */
bool adze_unicode_undecomposed(uint32_t c); /* that have a decomposition now */

#endif
