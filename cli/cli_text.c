/* Text files for commands of language models. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/llm.h"
#include "cli.h"

enum { FIRST = 1 << 16 };
static const size_t most = (size_t)1 << 31;

static adze_status fail(adze_error *err, adze_status status, const char *path, const char *why)
{
    snprintf(err->message, sizeof err->message, "%s: %s", path, why);
    return err->status = status;
}

adze_status cli_read_text(char **text, size_t *length, const char *path, adze_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    *text = NULL;
    *length = 0;
    if (!file)
        return fail(err, errno == ENOENT ? ADZE_NOT_FOUND : ADZE_IO, path, strerror(errno));
    adze_status status = ADZE_OK;
    for (size_t capacity = 0, got = 1; got > 0 && status == ADZE_OK;) {
        if (*length + 1 >= capacity) {
            capacity = capacity ? 2 * capacity : FIRST;
            char *grown = capacity <= most ? realloc(*text, capacity) : NULL;
            if (!grown) {
                status = fail(err, ADZE_NO_MEMORY, path, "too large a text");
                break;
            }
            *text = grown;
        }
        got = fread(*text + *length, 1, capacity - *length - 1, file);
        *length += got;
        (*text)[*length] = 0;
    }
    if (status == ADZE_OK && ferror(file))
        status = fail(err, ADZE_IO, path, strerror(errno));
    if (!standard)
        (void)fclose(file);
    if (status != ADZE_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

adze_status cli_need_tokenizer(const adze_engine *engine, const char *path, adze_error *err)
{
    if (adze_engine_tokenizer(engine))
        return ADZE_OK;
    snprintf(err->message, sizeof err->message,
             "%s: the model has no tokenizer; name one with --tokenizer: a GGUF file, a "
             "tokenizer.json or its folder",
             path);
    return err->status = ADZE_BAD_MODEL;
}

bool cli_names_llm(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]);
        if (argv[i][0] == '-')
            continue;
        if (adze_llm_sniff(argv[i]) || (n > 5 && strcmp(argv[i] + n - 5, ".gguf") == 0))
            return true;
    }
    return false;
}
