/* Jansson with our errors: everything else of JSON is Jansson's own API (<jansson.h>). */
#ifndef ADZE_BASE_JSON_H
#define ADZE_BASE_JSON_H
#include <jansson.h>
#include "base/error.h"

/* Reads a JSON file; message names file, line and column. *out is a new reference. */
adze_status adze_json_load(json_t **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Writes beside and renames; two-space indentation, key order kept; reals with 17 digits. */
adze_status adze_json_save(const json_t *json, const char *path, adze_error *err) ADZE_MUST_CHECK;

#endif
