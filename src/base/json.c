/* Jansson with our errors and our whole-or-nothing files. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { LARGEST_JSON = 256 << 20 };

const char *adze_json_why(json_error_t *why)
{
    why->text[adze_utf8_valid_prefix(why->text, strlen(why->text))] = 0;
    return why->text;
}

/* "123...789" of n digits -> "123...7e2": as long, and nearly as large. Escapes in strings are skipped. */
json_t *adze_json_parse(char *text, size_t size, size_t flags, json_error_t *why)
{
    static const char largest[] = "9223372036854775807";
    enum { LARGEST_DIGITS = sizeof largest - 1 };
    size_t digits = 0;
    bool quoted = false, real = false;
    for (size_t i = 0; i <= size; i++) {
        char c = i < size ? text[i] : 0;
        if (!quoted && c >= '0' && c <= '9') {
            digits++;
            continue;
        }
        bool big = digits > LARGEST_DIGITS ||
                   (digits == LARGEST_DIGITS && memcmp(text + i - digits, largest, digits) > 0);
        if (big && !real && c != '.' && c != 'e' && c != 'E')
            memcpy(text + i - 2, "e2", 2);
        real = !quoted &&
               (c == '.' || ((c == 'e' || c == 'E' || c == '+' || c == '-') && digits + real > 0));
        digits = 0;
        i += quoted && c == '\\';
        quoted ^= c == '"';
    }
    return json_loadb(text, size, flags, why);
}

adze_status adze_json_load(json_t **out, const char *path, adze_error *err)
{
    char *text;
    size_t size;
    ADZE_TRY(adze_file_read(&text, &size, path, LARGEST_JSON, err));
    json_error_t why;
    json_t *json = adze_json_parse(text, size, JSON_REJECT_DUPLICATES, &why);
    adze_free(text);
    if (!json)
        return adze_fail(err, ADZE_BAD_FILE, "%s:%d:%d: not valid JSON: %s", path, why.line,
                         why.column, adze_json_why(&why));
    *out = json;
    return ADZE_OK;
}

static int write_some(const char *bytes, size_t size, void *output)
{
    adze_output_write(output, bytes, size);
    return 0;
}

adze_status adze_json_save(const json_t *json, const char *path, adze_error *err)
{
    adze_output *output;
    ADZE_TRY(adze_output_open(&output, path, err));
    size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY;
    if (json_dump_callback(json, write_some, output, flags) != 0) {
        adze_output_abort(&output);
        return adze_fail(err, ADZE_NO_MEMORY, "%s: could not write the JSON text", path);
    }
    adze_output_write(output, "\n", 1);
    return adze_output_finish(&output, err);
}

static char *copy_of(const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    char *copy = text ? adze_alloc(size, 1) : NULL;
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

adze_status adze_json_report(char **json, char **text, json_t *root, adze_text *human,
                             adze_error *err)
{
    char *dumped = json && root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    char *made_json = copy_of(dumped), *made_text = text ? copy_of(adze_text_get(human)) : NULL;
    bool ok = root && !human->failed && (!json || made_json) && (!text || made_text);
    free(dumped);
    json_decref(root);
    adze_text_free(human);
    if (!ok) {
        adze_free(made_json);
        adze_free(made_text);
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for the report");
    }
    if (json)
        *json = made_json;
    if (text)
        *text = made_text;
    return ADZE_OK;
}
