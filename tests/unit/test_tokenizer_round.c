/* Byte-level tokenizers give back what they were given, whatever the bytes; streaming never splits a character. */
#include <stdio.h>

#include "adze/graph.h"
#include "adze/tokenizer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "test.h"

/* ---- random text ---- */

static size_t roll(uint64_t *seed, size_t sides)
{
    return (size_t)(test_random(seed) >> 11) % sides;
}

static void add_character(adze_text *text, uint32_t c)
{
    char b[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (char)(0x80 | (c & 0x3F));
    b[0] = (char)(n == 1 ? c : (0xF00u >> n & 0xF0) | c);
    adze_text_add(text, b, n);
}

static void add_code_point(adze_text *text, uint64_t *seed)
{
    static const uint32_t blocks[][2] = {
        {1, 0x7F},        {0xA0, 0x17F},      {0x300, 0x36F},     {0x370, 0x5FF},
        {0xE00, 0xE7F},   {0x2000, 0x206F},   {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3},
        {0xE000, 0xFFFF}, {0x1F300, 0x1FAFF}, {0x20000, 0x2A6DF}, {0xE0001, 0x10FFFF}};
    size_t i = roll(seed, ADZE_COUNT_OF(blocks));
    add_character(text, blocks[i][0] + (uint32_t)roll(seed, blocks[i][1] - blocks[i][0] + 1));
}

static void add_some(adze_text *text, uint64_t *seed)
{
    static const char *const spaces[] = {" ",        "  ",           "\t", "\n",          "\r\n",
                                         "\xC2\xA0", "\xE3\x80\x80", "\v", "\xE2\x80\xA8"};
    static const char *const emoji[] = {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7",
                                        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",
                                        "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
                                        "\xF0\x9F\x8F\xB3\xEF\xB8\x8F\xE2\x80\x8D\xF0\x9F\x8C\x88"};
    static const char *const words[] = {"Hello",      "don't", " we'LL",       "123456",
                                        "x1=3.5e-9;", "...!?", " the",         "caf\xC3\xA9",
                                        "e\xCC\x81",  "<s>",   "<|endoftext|>"};
    size_t n = 1 + roll(seed, 12);
    switch (roll(seed, 6)) {
    case 0:
        while (n--)
            add_code_point(text, seed);
        break;
    case 1:
        while (n--)
            adze_text_puts(text, spaces[roll(seed, ADZE_COUNT_OF(spaces))]);
        break;
    case 2: adze_text_puts(text, emoji[roll(seed, ADZE_COUNT_OF(emoji))]); break;
    case 3: adze_text_puts(text, words[roll(seed, ADZE_COUNT_OF(words))]); break;
    case 4: /* any bytes, NUL too */
        while (n--) {
            char byte = (char)roll(seed, 256);
            adze_text_add(text, &byte, 1);
        }
        break;
    default: { /* a character cut off */
        const char *whole = emoji[roll(seed, ADZE_COUNT_OF(emoji))];
        adze_text_add(text, whole, 1 + roll(seed, 3));
    }
    }
}

/* ---- checking ---- */

static void fail_with_text(const char *what, const char *name, const char *text, size_t length)
{
    adze_text shown = {0};
    for (size_t i = 0; i < length; i++)
        adze_text_printf(&shown, "%02x ", (unsigned char)text[i]);
    FAIL("%s, %s: %s", name, what, adze_text_get(&shown));
}

/* Some vocabularies lack bytes that are rare or in no UTF-8, or have instead an added token that is spelt
 * like one and means that character: text with those bytes does not come back. */
typedef struct byte_set {
    bool has[256];
    int count;
} byte_set;

static byte_set bytes_of(const adze_tokenizer *t)
{
    byte_set set = {.count = 0};
    for (int i = 0; i < 256; i++) {
        char byte = (char)i, *back;
        size_t length;
        int32_t *ids;
        int64_t count;
        CHECK_OK(adze_tokenizer_encode(t, &ids, &count, &byte, 1, NULL, NULL), NULL);
        CHECK_OK(adze_tokenizer_decode(t, &back, &length, ids, count, true, NULL), NULL);
        set.has[i] = length == 1 && back[0] == byte;
        set.count += set.has[i];
        adze_string_free(&back);
        adze_tokens_free(&ids);
    }
    return set;
}

static bool all_in(const byte_set *set, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!set->has[(unsigned char)text[i]])
            return false;
    return true;
}

static void check_round(const adze_tokenizer *t, const char *name, const char *text, size_t length)
{
    adze_error err = {0};
    int32_t *ids;
    int64_t count;
    char *back;
    size_t back_length;
    CHECK_OK(adze_tokenizer_encode(t, &ids, &count, text, length, NULL, &err), &err);
    CHECK_OK(adze_tokenizer_decode(t, &back, &back_length, ids, count, true, &err), &err);
    if (back_length != length || memcmp(back, text, length) != 0)
        fail_with_text("does not come back", name, text, length);
    adze_string_free(&back);
    adze_tokens_free(&ids);
}

/* How many bytes at `at` are the beginning of a character whose rest never came; else 1. */
static size_t broken_size(const char *at, size_t left)
{
    unsigned char first = (unsigned char)at[0];
    size_t whole = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    for (size_t k = ADZE_MIN(left, whole - 1); k > 1; k--) {
        char filled[4] = {'\x80', '\x80', '\x80', '\x80'};
        memcpy(filled, at, k);
        if (adze_utf8_valid_prefix(filled, whole) == whole)
            return k;
    }
    return 1;
}

/* With U+FFFD for each stretch that is no character. */
static void repair(adze_text *out, const char *text, size_t length)
{
    while (length) {
        size_t valid = adze_utf8_valid_prefix(text, length);
        size_t broken = valid < length ? broken_size(text + valid, length - valid) : 0;
        adze_text_add(out, text, valid);
        if (broken)
            adze_text_puts(out, "\xEF\xBF\xBD");
        text += valid + broken;
        length -= valid + broken;
    }
}

/* Pieces are whole characters, together what the whole is when it is repaired. */
static void check_stream(const adze_tokenizer *t, const char *name, const int32_t *ids,
                         int64_t count)
{
    adze_error err = {0};
    adze_decoder *decoder;
    adze_text all = {0}, wanted = {0};
    const char *part;
    char *whole;
    size_t length;
    CHECK_OK(adze_decoder_open(&decoder, t, true, &err), &err);
    for (int64_t i = 0; i <= count; i++) {
        CHECK_OK(adze_decoder_next(decoder, i < count ? ids[i] : -1, &part, &length, &err), &err);
        if (adze_utf8_valid_prefix(part, length) != length)
            fail_with_text("a piece splits a character", name, part, length);
        adze_text_add(&all, part, length);
    }
    adze_decoder_close(&decoder);
    CHECK_OK(adze_tokenizer_decode(t, &whole, &length, ids, count, true, &err), &err);
    repair(&wanted, whole, length);
    if (all.length != wanted.length ||
        memcmp(adze_text_get(&all), adze_text_get(&wanted), all.length) != 0)
        fail_with_text("the stream differs from the whole", name, whole, length);
    adze_string_free(&whole);
    adze_text_free(&all);
    adze_text_free(&wanted);
}

/* bytes_known: how many the vocabulary has, where text must come back; else 0. */
static void check_random(const adze_tokenizer *t, const char *name, int bytes_known)
{
    uint64_t seed = 2024;
    int rounds = 0;
    byte_set set = bytes_of(t);
    if (bytes_known)
        CHECK_EQ(set.count, bytes_known);
    for (int i = 0; i < 400; i++) {
        adze_text text = {0};
        adze_error err = {0};
        int32_t *ids;
        int64_t count;
        for (size_t n = roll(&seed, 8); n > 0; n--)
            add_some(&text, &seed);
        const char *bytes = adze_text_get(&text);
        if (bytes_known && all_in(&set, bytes, text.length)) {
            check_round(t, name, bytes, text.length);
            rounds++;
        }
        CHECK_OK(adze_tokenizer_encode(t, &ids, &count, bytes, text.length, NULL, &err), &err);
        check_stream(t, name, ids, count);
        /* any order of tokens makes bytes of all sorts */
        for (int64_t k = 0; k < count; k++)
            if (roll(&seed, 3) == 0)
                ids[k] = (int32_t)roll(&seed, (size_t)adze_tokenizer_count(t));
        check_stream(t, name, ids, count);
        adze_tokens_free(&ids);
        adze_text_free(&text);
    }
    CHECK(!bytes_known || rounds >= 150);
}

static adze_tokenizer *open_golden(const char *name)
{
    char path[256];
    adze_error err = {0};
    adze_tokenizer *t = NULL;
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s.json", name);
    CHECK_OK(adze_tokenizer_open(&t, test_source_path(path), &err), &err);
    return t;
}

/* The two that are byte-level normalize to NFC: text that is not is not given back. Their pieces of bytes that are
 * no UTF-8 go round that. */
TEST(streams)
{
    static const char *const names[] = {"wordpiece", "unigram", "bpe", "qwen", "spm"};
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
        adze_tokenizer *t = open_golden(names[i]);
        check_random(t, names[i], 0);
        adze_tokenizer_close(&t);
    }
}

/* The same vocabulary without its normalizer. */
static adze_tokenizer *open_without_normalizer(const char *name)
{
    char path[256], *text;
    adze_error err = {0};
    size_t size;
    adze_tokenizer *t = NULL;
    static const char from[] = "\"normalizer\":{\"type\":\"NFC\"}";
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s.json", name);
    CHECK_OK(adze_file_read(&text, &size, test_source_path(path), 1 << 20, &err), &err);
    char *at = strstr(text, from);
    CHECK(at != NULL);
    memset(at, ' ', sizeof from - 1);
    memcpy(at, "\"normalizer\":null", 17);
    const char *copy = test_tmpfile("tokenizer.json");
    FILE *file = fopen(copy, "wb");
    CHECK(file && fwrite(text, 1, size, file) == size && fclose(file) == 0);
    adze_free(text);
    CHECK_OK(adze_tokenizer_open(&t, copy, &err), &err);
    return t;
}

TEST(bytes_come_back)
{
    static const char *const names[] = {"bpe", "qwen"};
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
        adze_tokenizer *t = open_without_normalizer(names[i]);
        check_random(t, names[i], 256);
        adze_tokenizer_close(&t);
    }
}

TEST(bytes_come_back_from_gguf)
{
    static const struct {
        const char *name;
        int bytes;
    } list[] = {{"gpt-2", 256},  {"llama-bpe", 256},    {"qwen2", 256}, {"command-r", 256},
                {"aquila", 256}, {"deepseek-llm", 243}, {"mpt", 243},   {"gpt-neox", 243},
                {"refact", 242}, {"starcoder", 242},    {"falcon", 228}};
    const char *folder = test_need_unpacked("conformance/vocab.tar.xz");
    for (size_t i = 0; i < ADZE_COUNT_OF(list); i++) {
        char path[4096];
        adze_error err = {0};
        adze_tokenizer *t = NULL;
        (void)snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf", folder, list[i].name);
        CHECK_OK(adze_tokenizer_open(&t, path, &err), &err);
        check_random(t, list[i].name, list[i].bytes);
        adze_tokenizer_close(&t);
    }
}

/* A character that comes in parts waits for its end; one that never ends is U+FFFD, once. */
TEST(stream_waits)
{
    static const char *const hex[] = {"<0xF0>", "<0x9F>", "<0x98>", "<0x80>"};
    static const char replacement[] = "\xEF\xBF\xBD";
    adze_tokenizer *t = open_golden("spm");
    adze_error err = {0};
    adze_decoder *decoder;
    const char *part;
    size_t length;
    int32_t ids[4], letter = adze_tokenizer_find(t, "a");
    for (int i = 0; i < 4; i++) {
        ids[i] = adze_tokenizer_find(t, hex[i]);
        CHECK(ids[i] >= 0);
    }
    CHECK_OK(adze_decoder_open(&decoder, t, false, &err), &err);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(adze_decoder_next(decoder, ids[i], &part, &length, &err), &err);
        CHECK_STR(part, i < 3 ? "" : "\xF0\x9F\x98\x80");
    }
    for (int i = 0; i < 3; i++) {
        CHECK_OK(adze_decoder_next(decoder, ids[i], &part, &length, &err), &err);
        CHECK_EQ(length, 0);
    }
    CHECK_OK(adze_decoder_next(decoder, letter, &part, &length, &err), &err);
    CHECK_STR(part, "\xEF\xBF\xBD"
                    "a");
    CHECK_OK(adze_decoder_next(decoder, ids[1], &part, &length, &err), &err);
    CHECK_STR(part, replacement); /* no character begins so: there is nothing to wait for */
    CHECK_OK(adze_decoder_next(decoder, ids[0], &part, &length, &err), &err);
    CHECK_OK(adze_decoder_next(decoder, ids[1], &part, &length, &err), &err);
    CHECK_OK(adze_decoder_next(decoder, -1, &part, &length, &err), &err);
    CHECK_STR(part, replacement);
    CHECK_FAILS(adze_decoder_next(decoder, adze_tokenizer_count(t), &part, &length, &err),
                ADZE_BAD_ARGUMENT, &err);
    adze_decoder_close(&decoder);
    adze_tokenizer_close(&t);
}
