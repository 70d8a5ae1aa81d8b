/* Jansson with our errors: everything else of JSON is Jansson's own API (<jansson.h>). */
#ifndef ADZE_BASE_JSON_H
#define ADZE_BASE_JSON_H
#include <jansson.h>
#include "base/error.h"
#include "base/text.h"

/* What Jansson says, cut where it cut what it quotes inside a character. */
const char *adze_json_why(json_error_t *why);
/* json_loadb, but integers beyond 64 bits become reals: transformers writes 10^30 where there is no limit, which
 * Jansson refuses. Changes `text`. */
json_t *adze_json_parse(char *text, size_t size, size_t flags, json_error_t *why);
/* Reads a JSON file; message names file, line and column. *out is a new reference. */
adze_status adze_json_load(json_t **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Writes beside and renames; two-space indentation, key order kept; reals with 17 digits. */
adze_status adze_json_save(const json_t *json, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Ends a report: its JSON text and its text for people, each only where wanted (not NULL), to be freed with
 * adze_free (adze_string_free outside). Takes `root` (NULL: out of memory) and `human`. */
adze_status adze_json_report(char **json, char **text, json_t *root, adze_text *human,
                             adze_error *err) ADZE_MUST_CHECK;

#endif
