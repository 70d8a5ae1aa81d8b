/* Broken tokenizers: one error each, which names the file, the place, what was expected, what was found, what to do. */
#include <stdio.h>
#include <string.h>

#include "adze/tokenizer.h"
#include "base/file.h"
#include "llm/tokenizer.h"
#include "test.h"

static const char whole[] =
    "{\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true}],"
    "\"normalizer\":{\"type\":\"NFC\"},"
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a-z]+\"},\"behavior\":"
    "\"Isolated\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"<s>\",4],\"cls\":[\"<s>\",4]},"
    "\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"a\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2,\"c\":3},"
    "\"merges\":[[\"a\",\"b\"]]}}";

/* The whole with the first `from` in it changed into `to`, as a file. */
static const char *save(const char *from, const char *to)
{
    const char *path = test_tmpfile("tokenizer.json"), *at = strstr(whole, from);
    CHECK(at != NULL);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    (void)fprintf(file, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    CHECK_EQ(fclose(file), 0);
    return path;
}

typedef struct broken {
    const char *from, *to;
    adze_status status;
    const char *words[4]; /* all in the message, which also begins with the path */
} broken;

/* Passed over, they would take away the tokens that end a text. */
TEST(files_beside_that_are_broken)
{
    static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json",
                                        "generation_config.json"};
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
        adze_tokenizer *t;
        adze_error err = {0};
        const char *path = save("\"c\"", "\"c\"");
        CHECK_OK(adze_file_write(test_tmpfile(names[i]), "{\"eos", 5, NULL), NULL);
        CHECK_FAILS(adze_tokenizer_open(&t, path, &err), ADZE_BAD_FILE, &err);
        CHECK(strstr(err.message, names[i]));
        CHECK_EQ(remove(test_tmpfile(names[i])), 0);
    }
}

static const broken list[] = {
    {"{\"added", "[{\"added", ADZE_BAD_FILE, {"not valid JSON", ":1:"}},
    {"\"model\":{\"type\":\"BPE\"",
     "\"model\":[],\"m\":{\"x\":0",
     ADZE_BAD_FILE,
     {"model: expected an object", "found an array of 0 elements", "again"}},
    {"\"BPE\"", "\"Lattice\"", ADZE_UNSUPPORTED, {"model 'Lattice'", "expected BPE, Unigram"}},
    {",\"merges\":[[\"a\",\"b\"]]",
     "",
     ADZE_BAD_FILE,
     {"model.merges: expected an array", "found nothing", "again"}},
    {"[[\"a\",\"b\"]]", "7", ADZE_BAD_FILE, {"model.merges: expected an array", "found 7"}},
    {"[[\"a\",\"b\"]]",
     "[\"a b\",\"ab\"]",
     ADZE_BAD_FILE,
     {"model.merges: element 1", "found 'ab'"}},
    {"[[\"a\",\"b\"]]",
     "[[\"a\",\"z\"]]",
     ADZE_BAD_FILE,
     {"merge 0 joins 'a' and 'z'", "the second is no token", "again"}},
    {"[[\"a\",\"b\"]]", "[[\"a\",\"c\"]]", ADZE_BAD_FILE, {"merge 0", "their union is no token"}},
    {"\"c\":3", "\"c\":\"3\"", ADZE_BAD_FILE, {"model.vocab: expected whole numbers", "found '3'"}},
    {"\"c\":3", "\"c\":1.5", ADZE_BAD_FILE, {"model.vocab", "found 1.5"}},
    {"\"c\":3", "\"c\":1", ADZE_BAD_FILE, {"id 1 is both 'b' and 'c'", "one token to an id"}},
    {"\"c\":3", "\"c\":-1", ADZE_BAD_FILE, {"token 'c' has id -1", "5 tokens"}},
    {"\"c\":3",
     "\"c\":4611686018427387904",
     ADZE_BAD_FILE,
     {"token 'c' has id 4611686018427387904", "expected at most", "5 tokens", "again"}},
    {"\"c\":3", "\"c\":16000000", ADZE_BAD_FILE, {"token 'c' has id 16000000", "5 tokens"}},
    {"\"id\":4", "\"id\":2000000000", ADZE_BAD_FILE, {"token '<s>' has id 2000000000"}},
    {"\"id\":4",
     "\"id\":null",
     ADZE_BAD_FILE,
     {"added_tokens", "content and id", "found an object"}},
    {"[{\"id\":4", "{\"x\":[{\"id\":4", ADZE_BAD_FILE, {"not valid JSON"}},
    {"\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3}",
     "\"vocab\":false",
     ADZE_BAD_FILE,
     {"model.vocab: expected an object or an array", "found false"}},
    {"\"unk_token\":\"a\"", "\"unk_token\":\"q\"", ADZE_BAD_FILE, {"model.unk_token", "found 'q'"}},
    {"\"unk_token\":\"a\"",
     "\"unk_token\":[]",
     ADZE_BAD_FILE,
     {"unk_token: expected a string", "array"}},
    {"\"dropout\":null", "\"dropout\":0.1", ADZE_UNSUPPORTED, {"model.dropout", "random", "null"}},
    {"\"NFC\"", "\"NFX\"", ADZE_UNSUPPORTED, {"not known: normalizer 'NFX'", "docs/tokenizers.md"}},
    {"{\"type\":\"NFC\"}", "3", ADZE_BAD_FILE, {"normalizer: expected an object", "found 3"}},
    {"\"Split\"", "\"Cut\"", ADZE_UNSUPPORTED, {"not known: pre_tokenizer 'Cut'"}},
    {"\"[a-z]+\"", "\"[a-z\"", ADZE_UNSUPPORTED, {"pattern: regular expression [a-z"}},
    {"{\"Regex\":\"[a-z]+\"}", "\"x\"", ADZE_BAD_FILE, {"pattern: expected", "found 'x'"}},
    {"\"Isolated\"", "\"Lonely\"", ADZE_BAD_FILE, {"behavior: expected Removed", "found 'Lonely'"}},
    {"[\"<s>\",4],\"cls", "[\"<s>\",9],\"cls", ADZE_BAD_FILE, {"sep", "an id of the vocabulary"}},
    {"\"special\":true",
     "\"special\":1",
     ADZE_BAD_FILE,
     {"special: expected true or false", "found 1"}},
};

static void check_broken(const broken *b)
{
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    const char *path = save(b->from, b->to);
    adze_status status = adze_tokenizer_open(&t, path, &err);
    if (status != b->status)
        FAIL("'%s': status %d, message '%s'", b->to, (int)status, err.message);
    CHECK(t == NULL);
    if (strncmp(err.message, path, strlen(path)) != 0 || strchr(err.message, '\n'))
        FAIL("'%s': not one line that begins with the file: %s", b->to, err.message);
    for (size_t i = 0; i < ADZE_COUNT_OF(b->words) && b->words[i]; i++)
        if (!strstr(err.message, b->words[i]))
            FAIL("'%s': '%s' is not in: %s", b->to, b->words[i], err.message);
}

TEST(json)
{
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    CHECK_OK(adze_tokenizer_open(&t, save("NFC", "NFC"), &err), &err);
    CHECK_EQ(adze_tokenizer_count(t), 5);
    adze_tokenizer_close(&t);
    for (size_t i = 0; i < ADZE_COUNT_OF(list); i++)
        check_broken(&list[i]);
}

TEST(absent)
{
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    CHECK_FAILS(adze_tokenizer_open(&t, test_tmpdir(), &err), ADZE_NOT_FOUND, &err);
    CHECK(strstr(err.message, "no tokenizer.json in this folder") != NULL);
    CHECK_FAILS(adze_tokenizer_open(&t, test_tmpfile("none.json"), &err), ADZE_NOT_FOUND, &err);
    CHECK(strstr(err.message, "none.json") != NULL);
    CHECK(t == NULL);
}

/* ---- GGUF ---- */

static void add_strings(adze_gguf_meta *meta, const char *key, const char *const *texts,
                        int64_t count)
{
    adze_string strings[8];
    for (int64_t i = 0; i < count; i++)
        strings[i] = (adze_string){texts[i], strlen(texts[i])};
    CHECK(adze_gguf_set_strings(meta, key, strings, count));
}

static void set_text(adze_gguf_meta *meta, const char *key, const char *text)
{
    CHECK(adze_gguf_set_string(meta, key, text, strlen(text)));
}

static const char *const tokens[] = {"a", "b", "ab"};

static void check_meta(const adze_gguf_meta *meta, adze_status status, const char *words,
                       const char *advice)
{
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    CHECK_FAILS(adze_tokenizer_from_meta(&t, meta, "m.gguf", &err), status, &err);
    if (strncmp(err.message, "m.gguf: ", 8) != 0 || !strstr(err.message, words) ||
        !strstr(err.message, advice))
        FAIL("expected '%s' and '%s' in: %s", words, advice, err.message);
}

TEST(gguf)
{
    static const char *const merges[] = {"a b"}, *const odd[] = {"ab"}, *const wrong[] = {"a c"};
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_gguf_meta_init(&meta, &arena);
    check_meta(&meta, ADZE_NOT_FOUND, "tokenizer.ggml.model is missing", "holds no tokenizer");
    set_text(&meta, "tokenizer.ggml.model", "rwkv");
    check_meta(&meta, ADZE_UNSUPPORTED, "tokenizer model 'rwkv'", "expected llama, gpt2");
    set_text(&meta, "tokenizer.ggml.model", "gpt2");
    check_meta(&meta, ADZE_BAD_FILE, "tokenizer.ggml.tokens is missing", "again");
    add_strings(&meta, "tokenizer.ggml.tokens", tokens, 3);
    check_meta(&meta, ADZE_BAD_FILE, "tokenizer.ggml.merges is missing", "again");
    add_strings(&meta, "tokenizer.ggml.merges", odd, 1);
    check_meta(&meta, ADZE_BAD_FILE, "merge 0 is 'ab'", "expected two tokens");
    add_strings(&meta, "tokenizer.ggml.merges", wrong, 1);
    check_meta(&meta, ADZE_BAD_FILE, "merge 0 joins 'a' and 'c'", "no token of the vocabulary");
    add_strings(&meta, "tokenizer.ggml.merges", merges, 1);
    set_text(&meta, "tokenizer.ggml.pre", "llama-bpe-9");
    check_meta(&meta, ADZE_UNSUPPORTED, "pre-tokenizer 'llama-bpe-9' (tokenizer.ggml.pre)",
               "docs/tokenizers.md");
    set_text(&meta, "tokenizer.ggml.pre", "gpt-2");
    CHECK(adze_gguf_set_int(&meta, "tokenizer.ggml.bos_token_id", ADZE_GGUF_U32, 77));
    check_meta(&meta, ADZE_BAD_FILE, "bos_token_id is 77", "3 tokens");
    CHECK(adze_gguf_set_int(&meta, "tokenizer.ggml.bos_token_id", ADZE_GGUF_U32, 2));
    set_text(&meta, "tokenizer.ggml.model", "llama");
    check_meta(&meta, ADZE_BAD_FILE, "tokenizer.ggml.scores is missing", "again");
    adze_tokenizer *t = NULL;
    adze_error err = {0};
    set_text(&meta, "tokenizer.ggml.model", "gpt2");
    CHECK_OK(adze_tokenizer_from_meta(&t, &meta, "m.gguf", &err), &err);
    adze_tokenizer_close(&t);
    adze_arena_free(&arena);
}
