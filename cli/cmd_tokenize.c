/* adze tokenize: text to token ids and back. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/tokenizer.h"
#include "cli.h"

enum { MOST_ARGUMENTS = 4096 };

typedef struct job {
    const char *file, *text, *lines;
    bool ids, special, ends, decode, json, count;
    adze_tokenizer *tokenizer;
    const char *args[MOST_ARGUMENTS];
    int arg_count;
} job;

/* The whole of a file ("-": standard input), NUL behind it; NULL and a message when that fails. */
static char *read_whole(const char *path, size_t *length)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t capacity = 0, got = 1;
    char *bytes = NULL;
    *length = 0;
    while (file && got) {
        if (*length + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            char *more = realloc(bytes, capacity);
            if (!more)
                break;
            bytes = more;
        }
        got = fread(bytes + *length, 1, capacity - 1 - *length, file);
        *length += got;
    }
    bool ok = file && !got && !ferror(file);
    if (!ok)
        fprintf(stderr, "adze: %s: cannot read: %s\n", path, strerror(errno));
    if (file && file != stdin)
        fclose(file);
    if (!ok) {
        free(bytes);
        return NULL;
    }
    bytes[*length] = 0;
    return bytes;
}

static void print_ids(const int32_t *ids, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        printf(i ? " %d" : "%d", ids[i]);
    printf("\n");
}

/* So that a terminal can show it: what is not printable, or no character, as \n or \xNN. */
static void print_visible(const char *text, size_t length)
{
    putchar('\'');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        json_t *whole = NULL;
        size_t size = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (c >= 0x80 && i + size <= length)
            whole = json_stringn(text + i, size); /* refuses what is no UTF-8 */
        if (whole) {
            fwrite(text + i, 1, size, stdout);
            i += size - 1;
        } else if (c == '\n') {
            printf("\\n");
        } else if (c < 0x20 || c >= 0x7F) {
            printf("\\x%02x", c);
        } else {
            putchar(c);
        }
        json_decref(whole);
    }
    putchar('\'');
}

/* Byte-level tokens as the bytes they stand for; others as they are spelt, which says where words begin. */
static int print_table(const job *j, const int32_t *ids, int64_t count)
{
    adze_error err = {0};
    bool bytes = strcmp(adze_tokenizer_kind(j->tokenizer), "bpe") == 0;
    for (int64_t i = 0; i < count; i++) {
        size_t length;
        char *decoded = NULL;
        const char *text = adze_tokenizer_text(j->tokenizer, ids[i], &length);
        if (bytes && adze_tokenizer_decode(j->tokenizer, &decoded, &length, &ids[i], 1, true,
                                           &err) != ADZE_OK)
            return cli_fail(&err);
        printf("%8d  ", ids[i]);
        print_visible(decoded ? decoded : text, length);
        printf("\n");
        adze_string_free(&decoded);
    }
    return 0;
}

static void print_json(const job *j, const int32_t *ids, int64_t count)
{
    json_t *root = json_object(), *list = json_array(), *texts = json_array();
    for (int64_t i = 0; i < count && !j->count; i++) {
        size_t length;
        const char *text = adze_tokenizer_text(j->tokenizer, ids[i], &length);
        json_t *spelt = json_stringn(text, length);
        json_array_append_new(list, json_integer(ids[i]));
        json_array_append_new(texts, spelt ? spelt : json_null());
    }
    json_object_set_new(root, "count", json_integer(count));
    if (!j->count) {
        json_object_set(root, "ids", list);
        json_object_set(root, "tokens", texts);
    }
    json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(list);
    json_decref(texts);
    json_decref(root);
}

static int encode(const job *j, const char *text, size_t length)
{
    adze_error err = {0};
    adze_encode_options options = {.special = j->special, .ends = j->ends};
    int32_t *ids;
    int64_t count;
    int code = 0;
    if (adze_tokenizer_encode(j->tokenizer, &ids, &count, text, length, &options, &err) != ADZE_OK)
        return cli_fail(&err);
    if (j->json)
        print_json(j, ids, count);
    else if (j->count)
        printf("%lld\n", (long long)count);
    else if (j->ids)
        print_ids(ids, count);
    else
        code = print_table(j, ids, count);
    adze_tokens_free(&ids);
    return code;
}

/* A JSON string on each line, each encoded by itself. */
static int encode_lines(const job *j)
{
    size_t length;
    char *lines = read_whole(j->lines, &length), *at = lines;
    int code = lines ? 0 : 3;
    for (int number = 1; at && *at && code == 0; number++) {
        size_t size = strcspn(at, "\n");
        json_error_t why;
        json_t *line = json_loadb(at, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        if (json_is_string(line)) {
            code = encode(j, json_string_value(line), json_string_length(line));
        } else {
            fprintf(stderr, "adze: %s:%d: expected a JSON string\n", j->lines, number);
            code = 3;
        }
        json_decref(line);
        at += size + (at[size] == '\n');
    }
    free(lines);
    return code;
}

/* ---- back ---- */

typedef struct id_list {
    int32_t *ids;
    size_t count, capacity;
} id_list;

/* Adds the numbers of `text`, whatever spaces, commas or brackets lie between; 0, or the exit code. */
static int add_numbers(id_list *list, const char *text)
{
    for (;;) {
        text += strspn(text, " \t\r\n,[]");
        if (!*text)
            return 0;
        char *end;
        errno = 0;
        long value = strtol(text, &end, 10);
        if (end == text || errno || value < 0 || value > INT32_MAX) {
            fprintf(stderr, "adze: '%.40s': expected token ids\n", text);
            return 2;
        }
        if (list->count == list->capacity) {
            list->capacity = list->capacity ? list->capacity * 2 : 1024;
            int32_t *more = realloc(list->ids, list->capacity * sizeof *more);
            if (!more) {
                fprintf(stderr, "adze: out of memory\n");
                return 5;
            }
            list->ids = more;
        }
        list->ids[list->count++] = (int32_t)value;
        text = end;
    }
}

static int decode(const job *j)
{
    id_list list = {0};
    adze_error err = {0};
    int code = 0;
    size_t length;
    char *text = j->file ? read_whole(j->file, &length) : NULL;
    if (j->file)
        code = text ? add_numbers(&list, text) : 3;
    free(text);
    if (j->text && code == 0)
        code = add_numbers(&list, j->text);
    for (int i = 1; i < j->arg_count && code == 0; i++)
        code = add_numbers(&list, j->args[i]);
    if (code == 0 && adze_tokenizer_decode(j->tokenizer, &text, &length, list.ids,
                                           (int64_t)list.count, j->special, &err) != ADZE_OK)
        code = cli_fail(&err);
    else if (code == 0) {
        if (j->json) {
            json_t *spelt = json_stringn(text, length);
            json_t *root = json_pack("{s:o}", "text", spelt ? spelt : json_null());
            json_dumpf(root, stdout, JSON_COMPACT);
            json_decref(root);
        } else {
            fwrite(text, 1, length, stdout);
        }
        if (j->json || (length && text[length - 1] != '\n' && !j->file))
            printf("\n");
        adze_string_free(&text);
    }
    free(list.ids);
    return code;
}

static int work(const cli_command *self, const job *j)
{
    if (j->decode)
        return j->file || j->text || j->arg_count > 1
                   ? decode(j)
                   : cli_usage(self, "--decode needs ids: arguments, or --file FILE");
    if (j->arg_count > 1)
        return cli_usage(self, "unexpected argument '%s' (text is given by --text)", j->args[1]);
    if (!!j->file + !!j->text + !!j->lines != 1)
        return cli_usage(self, "expected one of --file, --text, --lines");
    if (j->lines)
        return encode_lines(j);
    if (j->text)
        return encode(j, j->text, strlen(j->text));
    size_t length;
    char *bytes = read_whole(j->file, &length);
    int code = bytes ? encode(j, bytes, length) : 3;
    free(bytes);
    return code;
}

CLI_COMMAND(tokenize)
{
    static job j;
    const cli_option options[] = {
        {CLI_STRING, "file", "FILE", "the text (with --decode: the ids); '-' is standard input",
         &j.file},
        {CLI_STRING, "text", "TEXT", "the text itself", &j.text},
        {CLI_STRING, "lines", "FILE", "many texts: a JSON string on each line", &j.lines},
        {CLI_FLAG, "ids", NULL, "print the ids alone, separated by spaces", &j.ids},
        {CLI_FLAG, "count", NULL, "print how many tokens there are", &j.count},
        {CLI_FLAG, "special", NULL, "parse special tokens; with --decode: spell them out",
         &j.special},
        {CLI_FLAG, "ends", NULL, "add BOS and EOS where the vocabulary says so", &j.ends},
        {CLI_FLAG, "decode", NULL, "ids (arguments or --file) to text", &j.decode},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &j.json},
        {0}};
    int code = cli_parse(self, options, argc, argv, j.args, 1, MOST_ARGUMENTS, &j.arg_count);
    if (code >= 0)
        return code;
    adze_error err = {0};
    if (adze_tokenizer_open(&j.tokenizer, j.args[0], &err) != ADZE_OK)
        return cli_fail(&err);
    code = work(self, &j);
    adze_tokenizer_close(&j.tokenizer);
    return code;
}
