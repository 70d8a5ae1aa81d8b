/* adze embed: the embedding of each line of a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/llm.h"
#include "cli.h"

static void print_vector(const float *v, int64_t n, const char *separator)
{
    for (int64_t i = 0; i < n; i++)
        printf("%s%.7g", i ? separator : "", (double)v[i]);
}

/* One text: its tokens, cut to what the model embeds at once, and its vector. */
static adze_status embed(const adze_engine *engine, const char *path, const char *text,
                         size_t length, float *out, int64_t *tokens, adze_error *err)
{
    const adze_encode_options how = {.special = false, .ends = true};
    int32_t *ids = NULL;
    adze_status status = cli_encode(&ids, tokens, engine, path, text, length, &how, err);
    if (status == ADZE_OK && *tokens == 0) {
        snprintf(err->message, sizeof err->message,
                 "an empty text: this vocabulary has no token that begins or ends one");
        status = err->status = ADZE_BAD_DATA;
    }
    if (status == ADZE_OK && *tokens > adze_engine_context(engine)) {
        ids[adze_engine_context(engine) - 1] = ids[*tokens - 1]; /* keeps the token that ends it */
        *tokens = adze_engine_context(engine);
    }
    if (status == ADZE_OK)
        status = adze_engine_embed(engine, out, ids, *tokens, err);
    adze_tokens_free(&ids);
    return status;
}

/* Every line is a text, an empty one too, so that results can be counted off against lines. */
static adze_status embed_lines(const adze_engine *engine, const char *path, const char *text,
                               size_t length, bool json, adze_error *err)
{
    int64_t width = adze_engine_width(engine), tokens, number = 0;
    const char *end = text + length;
    float *vector = malloc((size_t)width * sizeof *vector);
    adze_status status = vector ? ADZE_OK : ADZE_NO_MEMORY;
    if (!vector)
        snprintf(err->message, sizeof err->message, "out of memory");
    err->status = status;
    for (const char *line = text; status == ADZE_OK && line < end && !cli_interrupted();) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((newline ? newline : end) - line);
        size_t used = n > 0 && line[n - 1] == '\r' ? n - 1 : n;
        status = embed(engine, path, line, used, vector, &tokens, err);
        if (status != ADZE_OK)
            break;
        if (json)
            printf("%s{\"tokens\": %lld, \"embedding\": [", number ? ",\n" : "[",
                   (long long)tokens);
        print_vector(vector, width, json ? ", " : " ");
        printf(json ? "]}" : "\n");
        number++;
        line += n + 1;
    }
    if (json && (number || status == ADZE_OK))
        printf(number ? "]\n" : "[]\n");
    if (status != ADZE_OK) {
        char why[sizeof err->message];
        memcpy(why, err->message, sizeof why);
        snprintf(err->message, sizeof err->message, "text %lld: %.1900s", (long long)number + 1,
                 why);
    }
    free(vector);
    return status;
}

CLI_COMMAND(embed)
{
    const char *path, *file = NULL, *given = NULL;
    int64_t threads = 0;
    adze_engine_options sizes = {0};
    bool json = false;
    const cli_option options[] = {
        {CLI_STRING, "text", "TEXT", "a text (each line of it is one)", &given},
        {CLI_STRING, "file", "FILE", "a file of texts, one on each line ('-': standard input)",
         &file},
        {CLI_STRING, "tokenizer", "FILE", CLI_TOKENIZER_HELP, &sizes.tokenizer},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {CLI_FLAG, "json", NULL, "an array of {tokens, embedding}", &json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (given && !*given)
        return cli_usage(self, "--text: expected a text, found none");
    if (!given == !file)
        return cli_usage(self, "give one of --text and --file");
    adze_error err = {0};
    adze_context *context = NULL;
    adze_engine *engine = NULL;
    char *text = NULL;
    size_t length = given ? strlen(given) : 0;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = adze_engine_open(&engine, context, path, &sizes, &err);
    if (status == ADZE_OK && file)
        status = cli_read_text(&text, &length, file, &err);
    if (status == ADZE_OK)
        status = embed_lines(engine, path, file ? text : given, length, json, &err);
    free(text);
    adze_engine_close(&engine);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
