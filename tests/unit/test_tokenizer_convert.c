/* Tokenizers of Hugging Face folders as GGUF metadata, and back: the ids stay. Small ones of each kind written out here,
 * and the story model's. (Large ones, against other programs: tests/e2e/pip/llm_tokenizers.sh.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "llm/tokenizer.h"
#include "test.h"

#define MARK "\xE2\x96\x81"
#define KEY(name) "tokenizer.ggml." name

static const char *const texts[] = {"",
                                    "abab a b",
                                    " leading  two ",
                                    "Caf\xC3\xA9 au lait",
                                    "<s>ab</s> a",
                                    "line\nline\n\n",
                                    "\xE4\xB8\xAD 123 x_y",
                                    "aab b ba bba aba",
                                    "\xF0\x9F\x98\x80 !",
                                    "ab<|end|>ab"};

typedef struct fixture {
    adze_arena arena;
    adze_gguf_meta meta;
    adze_error err;
    char folder[512];
} fixture;

static void save(const fixture *f, const char *name, const char *text)
{
    char path[640];
    adze_error err;
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    CHECK_OK(adze_file_write(path, text, strlen(text), &err), &err);
}

static void start(fixture *f, const char *name, const char *json)
{
    *f = (fixture){{0}, {0}, {0}, ""};
    snprintf(f->folder, sizeof f->folder, "%s/%s", test_tmpdir(), name);
    CHECK_OK(adze_folder_make(f->folder, &f->err), &f->err);
    adze_gguf_meta_init(&f->meta, &f->arena);
    if (json)
        save(f, "tokenizer.json", json);
}

static void end(fixture *f)
{
    adze_arena_free(&f->arena);
}

static void convert(fixture *f)
{
    CHECK_OK(adze_tokenizer_meta_from_folder(&f->meta, f->folder, &f->err), &f->err);
}

static void refused(const char *json, const char *word)
{
    fixture f;
    start(&f, "refused", json);
    CHECK_FAILS(adze_tokenizer_meta_from_folder(&f.meta, f.folder, &f.err), ADZE_UNSUPPORTED,
                &f.err);
    if (!strstr(f.err.message, word))
        FAIL("no '%s' in: %s", word, f.err.message);
    end(&f);
}

static void same_ids(const adze_tokenizer *a, const adze_tokenizer *b, const char *text)
{
    static const adze_encode_options all = {.special = true, .ends = true};
    adze_error err;
    int32_t *x, *y;
    int64_t n, m;
    CHECK_OK(adze_tokenizer_encode(a, &x, &n, text, strlen(text), &all, &err), &err);
    CHECK_OK(adze_tokenizer_encode(b, &y, &m, text, strlen(text), &all, &err), &err);
    bool same = n == m && (n == 0 || memcmp(x, y, (size_t)n * sizeof *x) == 0);
    if (!same)
        FAIL("'%s': %lld ids, then %lld others", text, (long long)n, (long long)m);
    adze_tokens_free(&x);
    adze_tokens_free(&y);
}

/* The folder, its metadata, and the folder that is written of those. */
static void there_and_back(fixture *f)
{
    adze_tokenizer *first, *meta, *back;
    char folder[600];
    convert(f);
    snprintf(folder, sizeof folder, "%s/back", f->folder);
    CHECK_OK(adze_folder_make(folder, &f->err), &f->err);
    CHECK_OK(adze_tokenizer_open(&first, f->folder, &f->err), &f->err);
    CHECK_OK(adze_tokenizer_from_meta(&meta, &f->meta, "metadata", &f->err), &f->err);
    CHECK_OK(adze_tokenizer_write_folder(&f->meta, "metadata", folder, &f->err), &f->err);
    CHECK_OK(adze_tokenizer_open(&back, folder, &f->err), &f->err);
    for (size_t i = 0; i < ADZE_COUNT_OF(texts); i++) {
        same_ids(first, meta, texts[i]);
        same_ids(meta, back, texts[i]);
    }
    adze_tokenizer_close(&first);
    adze_tokenizer_close(&meta);
    adze_tokenizer_close(&back);
}

/* ---- SentencePiece's BPE ---- */

/* Bytes, then characters, then what merges of them make; `normalizer` and `merges` are put in. */
static char *spm_json(const char *normalizer, const char *merges)
{
    adze_text out = {0};
    adze_text_puts(&out,
                   "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},"
                   "{\"id\":1,\"content\":\"<s>\",\"special\":true},"
                   "{\"id\":2,\"content\":\"</s>\",\"special\":true},"
                   "{\"id\":269,\"content\":\"<|end|>\",\"special\":false,\"normalized\":false}],");
    adze_text_printf(&out, "\"normalizer\":%s,", normalizer);
    adze_text_puts(&out, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                         "\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],"
                         "\"special_tokens\":{\"<s>\":{\"ids\":[1]}}},"
                         "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"fuse_unk\":true,"
                         "\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2");
    for (int i = 0; i < 256; i++)
        adze_text_printf(&out, ",\"<0x%02X>\":%d", (unsigned)i, 3 + i);
    adze_text_puts(&out, ",\"" MARK "\":259,\"a\":260,\"b\":261,\"ab\":262,\"" MARK
                         "a\":263,\"" MARK "ab\":264,\"" MARK MARK "\":265,\"ba\":266,\"abab\":267,"
                         "\"aba\":268},");
    adze_text_printf(&out, "\"merges\":[%s]}}", merges);
    CHECK(!out.failed);
    return out.data;
}

#define MARKS "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"}"
#define PREPEND                                                                                    \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" MARK            \
    "\"}," MARKS "]}"
/* All pairs that make each token, token by token. */
#define ALL_MERGES                                                                                 \
    "\"a b\",\"" MARK " a\",\"" MARK " ab\",\"" MARK "a b\",\"" MARK " " MARK                      \
    "\",\"b a\",\"ab ab\",\"aba b\",\"a ba\",\"ab a\""

TEST(scores_from_merges)
{
    fixture f;
    char *json = spm_json(PREPEND, ALL_MERGES);
    start(&f, "spm", json);
    save(&f, "config.json", "{\"vocab_size\":272,\"eos_token_id\":[2, 3]}");
    save(&f, "tokenizer_config.json",
         "{\"bos_token\":\"<s>\",\"chat_template\":[{\"name\":\"default\",\"template\":\"D\"},"
         "{\"name\":\"tool\",\"template\":\"T\"}]}");
    there_and_back(&f);
    CHECK_STR(adze_gguf_string(&f.meta, KEY("model"), ""), "llama");
    CHECK_EQ(adze_gguf_find(&f.meta, KEY("tokens"))->count, 272);
    CHECK_EQ(adze_gguf_int_at(adze_gguf_find(&f.meta, KEY("token_type")), 271), 5);
    CHECK_EQ(adze_gguf_int(&f.meta, KEY("bos_token_id"), -1), 1);
    CHECK_EQ(adze_gguf_int(&f.meta, KEY("eos_token_id"), -1), 2);
    CHECK(adze_gguf_bool(&f.meta, KEY("add_bos_token"), false));
    CHECK(!adze_gguf_bool(&f.meta, KEY("add_eos_token"), true));
    CHECK(adze_gguf_bool(&f.meta, KEY("add_space_prefix"), false));
    CHECK_STR(adze_gguf_string(&f.meta, "tokenizer.chat_template", ""), "D");
    CHECK_STR(adze_gguf_string(&f.meta, "tokenizer.chat_template.tool", ""), "T");
    const adze_gguf_entry *scores = adze_gguf_find(&f.meta, KEY("scores"));
    CHECK(adze_gguf_float_at(scores, 262) > adze_gguf_float_at(scores, 263));
    end(&f);
    adze_free(json);
}

/* "ab a" is not in the list, but with scores it would merge. */
TEST(merges_that_scores_cannot_tell)
{
    fixture f;
    char *json = spm_json(MARKS, "\"a b\",\"b a\",\"" MARK " a\",\"" MARK " ab\",\"a ba\"");
    start(&f, "listed", json);
    there_and_back(&f);
    CHECK_STR(adze_gguf_string(&f.meta, KEY("model"), ""), "gpt2");
    CHECK_STR(adze_gguf_string(&f.meta, KEY("pre"), ""), "sarvam-moe");
    end(&f);
    adze_free(json);
    json = spm_json(PREPEND, "\"a b\",\"b a\",\"" MARK " a\",\"" MARK " ab\",\"a ba\"");
    refused(json, "scores");
    adze_free(json);
    json = spm_json("{\"type\":\"NFKC\"}", ALL_MERGES);
    refused(json, "NFKC");
    adze_free(json);
}

TEST(more_tokens_than_rows)
{
    fixture f;
    char *json = spm_json(PREPEND, ALL_MERGES);
    start(&f, "more", json);
    save(&f, "config.json", "{\"vocab_size\":269}");
    CHECK_FAILS(adze_tokenizer_meta_from_folder(&f.meta, f.folder, &f.err), ADZE_BAD_MODEL, &f.err);
    CHECK(strstr(f.err.message, "270 tokens"));
    end(&f);
    adze_free(json);
}

/* ---- byte-level BPE ---- */

#define LLAMA3                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "         \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static char *bytes_json(const char *regex, bool ignore_merges, const char *added)
{
    adze_text out = {0};
    adze_text_printf(&out,
                     "{\"added_tokens\":[%s{\"id\":256,\"content\":\"<|end|>\",\"special\":true}],"
                     "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                     "\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Isolated\"},{"
                     "\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
                     "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
                     "\"ignore_merges\":%s,\"vocab\":{",
                     added, regex, ignore_merges ? "true" : "false");
    for (int i = 0, other = 256; i < 256; i++) {
        bool printable = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        adze_text_printf(&out, "%s\"\\u%04x\":%d", i ? "," : "",
                         (unsigned)(printable ? i : other++), i);
    }
    adze_text_puts(&out, ",\"ab\":257,\"\\u0120a\":258,\"12\":259,\"abab\":260},"
                         "\"merges\":[\"a b\",[\"\\u0120\",\"a\"],\"1 2\",\"ab ab\"]}}");
    CHECK(!out.failed);
    return out.data;
}

TEST(pre_tokenizer_by_what_it_does)
{
    fixture f;
    char *json = bytes_json(LLAMA3, true, "");
    start(&f, "bytes", json);
    there_and_back(&f);
    CHECK_STR(adze_gguf_string(&f.meta, KEY("model"), ""), "gpt2");
    CHECK_STR(adze_gguf_string(&f.meta, KEY("pre"), ""), "llama-bpe");
    CHECK(!adze_gguf_bool(&f.meta, KEY("add_bos_token"), true));
    end(&f);
    adze_free(json);
    json = bytes_json("\\\\p{N}{1,3}|[ab]", false, "");
    refused(json, "\\p{N}{1,3}|[ab]");
    adze_free(json);
    json = bytes_json(LLAMA3, true,
                      "{\"id\":257,\"content\":\"ab\",\"single_word\":true,\"special\":false},");
    refused(json, "single_word");
    adze_free(json);
}

/* ---- WordPiece, Unigram ---- */

#define BERT(lower, pre)                                                                           \
    "{\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"special\":true},{\"id\":1,\"content\":"  \
    "\"[CLS]\",\"special\":true},{\"id\":2,\"content\":\"[SEP]\",\"special\":true}],"              \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":" lower "},"                        \
    "\"pre_tokenizer\":{\"type\":\"" pre "\"},\"post_processor\":{\"type\":\"BertProcessing\","    \
    "\"cls\":[\"[CLS]\",1],\"sep\":[\"[SEP]\",2]},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":" \
    "\"##\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                           \
    "\"continuing_subword_prefix\":\"##\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3," \
    "\"##b\":4,\"b\":5,\"##a\":6,\"ab\":7,\"cafe\":8,\"Caf\xC3\xA9\":9,\"##\":10,\"!\":11}}}"

TEST(words_and_their_rests)
{
    fixture f;
    start(&f, "bert", BERT("true", "BertPreTokenizer"));
    there_and_back(&f);
    const adze_gguf_entry *tokens = adze_gguf_find(&f.meta, KEY("tokens"));
    CHECK_STR(adze_gguf_string(&f.meta, KEY("model"), ""), "bert");
    CHECK_EQ(adze_gguf_int(&f.meta, KEY("cls_token_id"), -1), 1);
    CHECK_EQ(adze_gguf_int(&f.meta, KEY("seperator_token_id"), -1), 2);
    CHECK(strncmp(tokens->as.strings[4].data, "b", tokens->as.strings[4].length) == 0);
    CHECK(strncmp(tokens->as.strings[5].data, MARK "b", tokens->as.strings[5].length) == 0);
    end(&f);
    start(&f, "cased", BERT("false", "BertPreTokenizer"));
    there_and_back(&f);
    CHECK(!adze_gguf_bool(&f.meta, KEY("normalizer.lowercase"), true));
    end(&f);
    refused(BERT("true", "Whitespace"), "pre_tokenizer");
}

#define UNIGRAM(normalizer, fallback)                                                              \
    "{\"added_tokens\":[{\"id\":1,\"content\":\"</"                                                \
    "s>\",\"special\":true}],\"normalizer\":" normalizer                                           \
    ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK                           \
    "\",\"prepend_scheme\":\"always\",\"split\":false},\"decoder\":{\"type\":\"Metaspace\","       \
    "\"replacement\":\"" MARK "\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"                  \
    "\"byte_fallback\":" fallback ",\"vocab\":[[\"<unk>\",0],[\"</s>\",0],[\"" MARK "\",-2],"      \
    "[\"a\",-3],[\"b\",-3.5],[\"ab\",-4],[\"" MARK "ab\",-5],[\"aba\",-4.5],[\"bb\",-6]]}}"
#define COLLAPSE                                                                                   \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\"},{\"type\":\"Replace\","          \
    "\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]}"

TEST(pieces_with_probabilities)
{
    fixture f;
    start(&f, "unigram", UNIGRAM("null", "false"));
    convert(&f);
    CHECK_STR(adze_gguf_string(&f.meta, KEY("model"), ""), "t5");
    CHECK_NEAR(adze_gguf_float_at(adze_gguf_find(&f.meta, KEY("scores")), 4), -3.5, 0);
    end(&f);
    start(&f, "collapse", UNIGRAM(COLLAPSE, "false"));
    there_and_back(&f);
    CHECK(adze_gguf_bool(&f.meta, KEY("remove_extra_whitespaces"), false));
    end(&f);
    refused(UNIGRAM("null", "true"), "byte_fallback");
}

/* ---- the rest ---- */

TEST(the_story_model)
{
    fixture f;
    adze_gguf *gguf;
    char *text;
    size_t size;
    adze_tokenizer *a, *b, *c;
    start(&f, "story", NULL);
    CHECK_OK(
        adze_gguf_open(&gguf, test_source_path("models/stories260K/stories260K-f16.gguf"), &f.err),
        &f.err);
    CHECK_OK(adze_tokenizer_write_folder(&gguf->meta, "story", f.folder, &f.err), &f.err);
    convert(&f);
    CHECK_OK(adze_tokenizer_from_meta(&a, &gguf->meta, "first", &f.err), &f.err);
    CHECK_OK(adze_tokenizer_open(&b, f.folder, &f.err), &f.err);
    CHECK_OK(adze_tokenizer_from_meta(&c, &f.meta, "second", &f.err), &f.err);
    CHECK_OK(adze_file_read(&text, &size, test_source_path("ARCHITECTURE.md"), 1 << 24, NULL),
             NULL);
    same_ids(a, b, text);
    same_ids(a, c, text);
    for (size_t i = 0; i < ADZE_COUNT_OF(texts); i++) {
        same_ids(a, b, texts[i]);
        same_ids(a, c, texts[i]);
    }
    adze_free(text);
    adze_tokenizer_close(&a);
    adze_tokenizer_close(&b);
    adze_tokenizer_close(&c);
    adze_gguf_close(&gguf);
    end(&f);
}

TEST(no_tokenizer_json)
{
    fixture f;
    start(&f, "none", NULL);
    save(&f, "tokenizer.model", "x");
    CHECK_FAILS(adze_tokenizer_meta_from_folder(&f.meta, f.folder, &f.err), ADZE_UNSUPPORTED,
                &f.err);
    CHECK(strstr(f.err.message, "no tokenizer.json"));
    CHECK_FAILS(adze_tokenizer_write_folder(&f.meta, "empty", f.folder, &f.err), ADZE_NOT_FOUND,
                &f.err);
    end(&f);
}
