/* tokenizer.json of each kind against the ids and texts that Hugging Face's tokenizers package gave for them
 * (tests/golden/tokenizers/make.py): small vocabularies trained on this repository's text. */
#include <jansson.h>
#include <stdio.h>

#include "adze/graph.h"
#include "adze/tokenizer.h"
#include "base/text.h"
#include "test.h"

typedef struct golden {
    const char *name;
    adze_tokenizer *tokenizer;
    json_t *strings, *rows;
} golden;

static json_t *load(const char *name)
{
    char path[256];
    json_error_t why;
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s.json", name);
    json_t *json = json_load_file(test_source_path(path), JSON_ALLOW_NUL, &why);
    if (!json)
        FAIL("%s:%d: %s", path, why.line, why.text);
    return json;
}

static golden open_golden(const char *name)
{
    char path[256];
    adze_error err = {0};
    golden g = {.name = name, .strings = load("strings")};
    (void)snprintf(path, sizeof path, "%s.ids", name);
    g.rows = load(path);
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s.json", name);
    CHECK_OK(adze_tokenizer_open(&g.tokenizer, test_source_path(path), &err), &err);
    CHECK(json_array_size(g.strings) >= 100);
    CHECK_EQ(json_array_size(g.strings), json_array_size(g.rows));
    return g;
}

static void close_golden(golden *g)
{
    adze_tokenizer_close(&g->tokenizer);
    json_decref(g->strings);
    json_decref(g->rows);
}

static void check_ids(const golden *g, size_t i, bool special)
{
    const json_t *text = json_array_get(g->strings, i);
    json_t *expected = json_object_get(json_array_get(g->rows, i), special ? "special" : "plain"),
           *id;
    adze_encode_options options = {.special = special, .ends = special};
    adze_error err = {0};
    adze_text got = {0}, wanted = {0};
    int32_t *ids;
    int64_t count;
    size_t k;
    CHECK_OK(adze_tokenizer_encode(g->tokenizer, &ids, &count, json_string_value(text),
                                   json_string_length(text), &options, &err),
             &err);
    for (int64_t at = 0; at < count; at++)
        adze_text_printf(&got, " %d", ids[at]);
    json_array_foreach(expected, k, id)
        adze_text_printf(&wanted, " %d", (int)json_integer_value(id));
    if (strcmp(adze_text_get(&got), adze_text_get(&wanted)) != 0)
        FAIL("%s, string %zu '%s', special %d\n   got%s\nexpect%s", g->name, i,
             json_string_value(text), special, adze_text_get(&got), adze_text_get(&wanted));
    adze_tokens_free(&ids);
    adze_text_free(&got);
    adze_text_free(&wanted);
}

/* Through the stream, which writes U+FFFD for what is no character, as the package does. */
static void check_text(const golden *g, size_t i, bool spelt)
{
    const json_t *row = json_array_get(g->rows, i);
    const json_t *ids = json_object_get(row, "special");
    const json_t *wanted = json_object_get(row, spelt ? "spelt" : "text");
    size_t count = json_array_size(ids), length;
    adze_decoder *decoder;
    adze_error err = {0};
    adze_text got = {0};
    const char *part;
    CHECK_OK(adze_decoder_open(&decoder, g->tokenizer, spelt, &err), &err);
    for (size_t k = 0; k <= count; k++) {
        int32_t id = k < count ? (int32_t)json_integer_value(json_array_get(ids, k)) : -1;
        CHECK_OK(adze_decoder_next(decoder, id, &part, &length, &err), &err);
        CHECK_EQ(adze_utf8_valid_prefix(part, length), length);
        adze_text_add(&got, part, length);
    }
    if (got.length != json_string_length(wanted) ||
        memcmp(adze_text_get(&got), json_string_value(wanted), got.length) != 0)
        FAIL("%s, string %zu, spelt %d\n   got '%s'\nexpect '%s'", g->name, i, spelt,
             adze_text_get(&got), json_string_value(wanted));
    adze_decoder_close(&decoder);
    adze_text_free(&got);
}

static void check_all(const char *name, const char *kind)
{
    golden g = open_golden(name);
    CHECK_STR(adze_tokenizer_kind(g.tokenizer), kind);
    for (size_t i = 0; i < json_array_size(g.strings); i++)
        for (int on = 0; on < 2; on++) {
            check_ids(&g, i, on);
            check_text(&g, i, on);
        }
    close_golden(&g);
}

TEST(wordpiece)
{
    check_all("wordpiece", "wordpiece");
}

TEST(unigram_with_bytes)
{
    check_all("unigram", "unigram");
}

TEST(bytes_with_added_tokens)
{
    check_all("bpe", "bpe");
}

TEST(bytes_with_expression)
{
    check_all("qwen", "bpe");
}

TEST(marks_with_bytes)
{
    check_all("spm", "bpe");
}
