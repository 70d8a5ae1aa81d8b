/* Text files for commands of language models. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
        status = fail(err, errno == EISDIR ? ADZE_BAD_ARGUMENT : ADZE_IO, path, strerror(errno));
    if (!standard)
        (void)fclose(file);
    if (status != ADZE_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

adze_status cli_spare(const char *output, const char *input, adze_error *err)
{
    struct stat a, b;
    bool same = output && input && stat(output, &a) == 0 && stat(input, &b) == 0 &&
                a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    return same ? fail(err, ADZE_BAD_ARGUMENT, output, "is read; give the output another name")
                : ADZE_OK;
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

/* A tokenizer may have a few tokens that nobody embedded; one of another model has many. */
adze_status cli_encode(int32_t **ids, int64_t *count, const adze_engine *engine, const char *path,
                       const char *text, size_t length, const adze_encode_options *how,
                       adze_error *err)
{
    if (cli_need_tokenizer(engine, path, err) != ADZE_OK)
        return err->status;
    const adze_tokenizer *tokenizer = adze_engine_tokenizer(engine);
    long long rows = adze_engine_vocabulary(engine), tokens = adze_tokenizer_count(tokenizer);
    adze_status status = adze_tokenizer_encode(tokenizer, ids, count, text, length, how, err);
    bool fits = tokens > rows / 2 && tokens < rows + rows / 4;
    for (int64_t i = 0; status == ADZE_OK && i < *count && fits; i++)
        fits = (*ids)[i] < rows;
    if (status != ADZE_OK || fits)
        return status;
    adze_tokens_free(ids);
    snprintf(err->message, sizeof err->message,
             "%s: the model has embeddings for %lld tokens, the tokenizer has %lld: it is of "
             "another model; name the right one with --tokenizer",
             path, rows, tokens);
    return err->status = ADZE_BAD_MODEL;
}

adze_status cli_encode_file(int32_t **ids, int64_t *count, const adze_engine *engine,
                            const char *path, const char *file, const adze_encode_options *how,
                            adze_error *err)
{
    char *text;
    size_t length;
    adze_status status = cli_read_text(&text, &length, file, err);
    if (status == ADZE_OK)
        status = cli_encode(ids, count, engine, path, text, length, how, err);
    free(text);
    return status;
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
