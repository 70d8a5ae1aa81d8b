/* adze tokenize: text to token ids, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/tokenizer.h"
#include "cli.h"

typedef struct work {
    bool ids, special, ends, decode, count, json;
    adze_tokenizer *tokenizer;
} work;

static adze_status bad(adze_error *err, const char *what, const char *found)
{
    snprintf(err->message, sizeof err->message, "%s, found '%.60s'", what, found);
    return err->status = ADZE_BAD_DATA;
}

/* A character of JSON text, escaped where it must be. */
static void put_json(const char *text, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            printf("\\u00%02x",
                   c); /* bytes as they are, one by one: a token may hold half a character */
        else
            putchar(c);
    }
    putchar('"');
}

/* For people: control characters and blanks at the ends can be seen. */
static void put_visible(const char *text, size_t length)
{
    putchar('\'');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            printf("\\n");
        else if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\'');
}

static adze_status show(const work *w, const int32_t *ids, int64_t count, adze_error *err)
{
    if (w->count) {
        printf("%lld\n", (long long)count);
        return ADZE_OK;
    }
    for (int64_t i = 0; w->ids && i < count; i++)
        printf("%s%d", i ? " " : "", ids[i]);
    if (w->ids) {
        printf("\n");
        return ADZE_OK;
    }
    if (w->json)
        printf("[");
    for (int64_t i = 0; i < count; i++) {
        char *text = NULL;
        size_t length;
        adze_status status =
            adze_tokenizer_decode(w->tokenizer, &text, &length, &ids[i], 1, true, err);
        if (status != ADZE_OK)
            return status;
        if (w->json) {
            printf("%s{\"id\": %d, \"text\": ", i ? ",\n " : "", ids[i]);
            put_json(text, length);
            printf("}");
        } else {
            printf("%8d  ", ids[i]);
            put_visible(text, length);
            printf("\n");
        }
        adze_string_free(&text);
    }
    if (w->json)
        printf("]\n");
    return ADZE_OK;
}

/* Ids separated by anything that is no digit, back to text. */
static adze_status decode(const work *w, const char *text, adze_error *err)
{
    size_t capacity = strlen(text) / 2 + 1;
    int32_t *ids = malloc(capacity * sizeof *ids);
    int64_t count = 0;
    adze_status status = ids ? ADZE_OK : bad(err, "out of memory", "");
    for (const char *at = text; status == ADZE_OK && *(at += strspn(at, " \t\r\n,[]"));) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (end == at || errno || id < 0 || id >= adze_tokenizer_count(w->tokenizer))
            status = bad(err, "expected token ids of the vocabulary, separated by blanks", at);
        else
            ids[count++] = (int32_t)id;
        at = end;
    }
    char *decoded = NULL;
    size_t length = 0;
    if (status == ADZE_OK)
        status =
            adze_tokenizer_decode(w->tokenizer, &decoded, &length, ids, count, w->special, err);
    if (status == ADZE_OK)
        fwrite(decoded, 1, length, stdout);
    adze_string_free(&decoded);
    free(ids);
    return status;
}

static adze_status execute(work *w, const char *path, const char *text, size_t length,
                           adze_error *err)
{
    const adze_encode_options how = {.special = w->special, .ends = w->ends};
    int32_t *ids = NULL;
    int64_t count = 0;
    adze_status status = adze_tokenizer_open(&w->tokenizer, path, err);
    if (status == ADZE_OK && w->decode)
        return decode(w, text, err);
    if (status == ADZE_OK)
        status = adze_tokenizer_encode(w->tokenizer, &ids, &count, text, length, &how, err);
    if (status == ADZE_OK)
        status = show(w, ids, count, err);
    adze_tokens_free(&ids);
    return status;
}

CLI_COMMAND(tokenize)
{
    work w = {0};
    const char *path, *file = NULL, *given = NULL;
    const cli_option options[] = {
        {CLI_STRING, "file", "FILE", "the text ('-': standard input)", &file},
        {CLI_STRING, "text", "TEXT", "the text itself", &given},
        {CLI_FLAG, "ids", NULL, "ids alone, separated by blanks, on one line", &w.ids},
        {CLI_FLAG, "special", NULL, "the text of special tokens stands for them", &w.special},
        {CLI_FLAG, "ends", NULL, "add the tokens that begin and end a text", &w.ends},
        {CLI_FLAG, "count", NULL, "only how many tokens", &w.count},
        {CLI_FLAG, "decode", NULL, "the text is ids: print what they say", &w.decode},
        {CLI_FLAG, "json", NULL, "an array of {id, text}", &w.json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!file == !given)
        return cli_usage(self, "give one of --file and --text");
    adze_error err = {0};
    char *text = NULL;
    size_t length = given ? strlen(given) : 0;
    adze_status status = file ? cli_read_text(&text, &length, file, &err) : ADZE_OK;
    if (status == ADZE_OK)
        status = execute(&w, path, file ? text : given, length, &err);
    free(text);
    adze_tokenizer_close(&w.tokenizer);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
