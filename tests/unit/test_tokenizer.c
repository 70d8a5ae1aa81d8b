/* Tokenizers of GGUF vocabularies against the ids that others made (shared test data), and that decoding gives back what
 * was encoded. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "llm/tokenizer.h"
#include "test.h"

#define SEPARATOR "\n__ggml_vocab_test__\n"

static adze_tokenizer *open_vocabulary(const char *folder, const char *name)
{
    char path[4096];
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    (void)snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf", folder, name);
    CHECK_OK(adze_tokenizer_open(&t, path, &err), &err);
    return t;
}

static void print_ids(adze_text *text, const int32_t *ids, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        adze_text_printf(text, " %d", ids[i]);
}

/* Encodes as the data's rules say; fails when the ids are others. */
static void check_case(const adze_tokenizer *t, const char *name, int index, const char *text,
                       size_t length, const char *expected)
{
    adze_error err = {0};
    adze_text got = {0};
    int32_t *ids;
    int64_t count;
    CHECK_OK(adze_tokenizer_encode(t, &ids, &count, text, length, NULL, &err), &err);
    print_ids(&got, ids, count);
    const char *without_space = adze_text_get(&got) + (*expected != ' ' && got.length);
    if (strcmp(without_space, expected) != 0)
        FAIL("%s, case %d '%.*s'\n   got%s\nexpect%s", name, index, (int)length, text,
             adze_text_get(&got), expected);
    adze_tokens_free(&ids);
    adze_text_free(&got);
}

static int run_listed_cases(const char *folder, const char *name)
{
    char path[4096], *inputs, *outputs;
    size_t size, output_size;
    adze_tokenizer *t = open_vocabulary(folder, name);
    (void)snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf.inp", folder, name);
    CHECK_OK(adze_file_read(&inputs, &size, path, 1 << 24, NULL), NULL);
    (void)snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf.out", folder, name);
    CHECK_OK(adze_file_read(&outputs, &output_size, path, 1 << 24, NULL), NULL);
    int done = 0;
    char *text = inputs, *line = outputs;
    for (; *line; done++) {
        char *end = strstr(text, SEPARATOR);
        size_t length = end ? (size_t)(end - text) : strlen(text);
        line[strcspn(line, "\n")] = 0;
        check_case(t, name, done, text, length, line);
        line += strlen(line) + 1;
        text += length + (end ? strlen(SEPARATOR) : 0);
    }
    adze_free(inputs);
    adze_free(outputs);
    adze_tokenizer_close(&t);
    return done;
}

static const char *const listed[] = {"bert-bge",  "command-r", "deepseek-coder", "deepseek-llm",
                                     "falcon",    "gemma-4",   "gpt-2",          "llama-bpe",
                                     "llama-spm", "mpt",       "phi-3",          "qwen2",
                                     "qwen35",    "refact",    "starcoder"};

TEST(listed_cases)
{
    const char *folder = test_need_unpacked("conformance/vocab.tar.xz");
    int done = 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(listed); i++)
        done += run_listed_cases(folder, listed[i]);
    CHECK_EQ(done, 694);
}

static const char *const extra[] = {
    "aquila",  "baichuan", "bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon",
    "gemma-4", "gpt-2",    "gpt-neox", "llama-bpe", "llama-spm",      "mpt"};

static int run_extra_cases(const char *vocabularies, const char *folder, const char *name)
{
    char path[4096];
    json_error_t why;
    (void)snprintf(path, sizeof path, "%s/vocab-extra/%s.json", folder, name);
    json_t *cases = json_load_file(path, JSON_ALLOW_NUL, &why), *one, *id;
    CHECK(cases != NULL);
    adze_tokenizer *t = open_vocabulary(vocabularies, name);
    size_t i, k;
    json_array_foreach(cases, i, one)
    {
        adze_text expected = {0};
        json_t *text = json_object_get(one, "text");
        json_array_foreach(json_object_get(one, "ids"), k, id)
            adze_text_printf(&expected, " %lld", (long long)json_integer_value(id));
        check_case(t, name, (int)i, json_string_value(text), json_string_length(text),
                   adze_text_get(&expected));
        adze_text_free(&expected);
    }
    int done = (int)json_array_size(cases);
    json_decref(cases);
    adze_tokenizer_close(&t);
    return done;
}

TEST(extra_cases)
{
    const char *vocabularies = test_need_unpacked("conformance/vocab.tar.xz");
    const char *folder = test_need_unpacked("conformance/vocab-extra.tar.xz");
    int done = 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(extra); i++)
        done += run_extra_cases(vocabularies, folder, extra[i]);
    CHECK_EQ(done, 1027);
}
