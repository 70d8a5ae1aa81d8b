/* The engine and its timelines on the model that comes with adze: what it says, that bits do not depend on how tokens
 * come in, and what happens at the limits. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adze/llm.h"
#include "adze/perplexity.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/gguf.h"
#include "llm/config.h"
#include "llm/speed.h"
#include "test.h"

#define MODEL ADZE_SOURCE_DIR "/models/stories260K/stories260K-f16.gguf"

/* "Once upon a time" and what follows greedily, by the float32 weights; the text is in the model's card. */
static const int32_t story[] = {1,   403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421,
                                395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411,
                                322, 265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370,
                                432, 352, 266, 268, 388, 426, 338, 391, 266, 267, 337, 335, 312,
                                432, 398, 312, 286, 267, 414, 270, 333, 415, 426};
enum { PROMPT = 5, COUNT = (int)(sizeof story / sizeof *story) };

typedef struct fixture {
    adze_context *context;
    adze_engine *engine;
    adze_chat *chat;
} fixture;

static fixture open_model(const char *path, int threads, const adze_engine_options *sizes)
{
    fixture f = {0};
    adze_error err;
    adze_context_options how = adze_context_options_default();
    how.threads = threads;
    CHECK_OK(adze_context_open(&f.context, &how, &err), &err);
    CHECK_OK(adze_engine_open(&f.engine, f.context, path, sizes, &err), &err);
    CHECK_OK(adze_chat_open(&f.chat, f.engine, NULL, &err), &err);
    return f;
}

static fixture open_with(int threads, int64_t batch)
{
    return open_model(MODEL, threads, &(adze_engine_options){.context = 128, .batch = batch});
}

static void close_all(fixture *f)
{
    adze_chat_close(&f->chat);
    adze_engine_close(&f->engine);
    adze_context_close(&f->context);
}

TEST(engine_says_the_story)
{
    fixture f = open_with(1, 0);
    adze_error err;
    uint64_t state = 0;
    CHECK_OK(adze_chat_append(f.chat, story, PROMPT, &err), &err);
    for (int i = PROMPT; i < COUNT; i++) {
        const float *logits;
        CHECK_OK(adze_chat_logits(f.chat, &logits, &err), &err);
        int32_t id = adze_sample(logits, adze_engine_vocabulary(f.engine), 0, &state);
        CHECK_EQ(id, story[i]);
        CHECK_OK(adze_chat_append(f.chat, &id, 1, &err), &err);
    }
    CHECK_EQ(adze_chat_length(f.chat), COUNT);
    close_all(&f);
}

/* How many of the story's tokens behind the prompt are the likeliest after those before them. */
static int64_t agreement(const char *path, const char *tokenizer, const adze_mapping *text,
                         int64_t *count)
{
    fixture f = open_model(path, 1, &(adze_engine_options){.context = 256, .tokenizer = tokenizer});
    adze_error err;
    int32_t *ids;
    int64_t same = 0;
    uint64_t state = 0;
    const size_t length = adze_mapping_size(text) - 1; /* but for the line's end */
    CHECK_OK(adze_tokenizer_encode(adze_engine_tokenizer(f.engine), &ids, count,
                                   (const char *)adze_mapping_bytes(text), length,
                                   &(adze_encode_options){.ends = true}, &err),
             &err);
    CHECK_OK(adze_chat_append(f.chat, ids, PROMPT, &err), &err);
    for (int64_t i = PROMPT; i < *count; i++) {
        const float *logits;
        CHECK_OK(adze_chat_logits(f.chat, &logits, &err), &err);
        same += adze_sample(logits, adze_engine_vocabulary(f.engine), 0, &state) == ids[i];
        CHECK_OK(adze_chat_append(f.chat, ids + i, 1, &err), &err);
    }
    *count -= PROMPT;
    adze_tokens_free(&ids);
    close_all(&f);
    return same;
}

TEST(engine_says_the_story_of_the_reference)
{
    const char *gguf = test_need_data("llm/stories260K-f32.gguf");
    adze_error err;
    adze_mapping *text;
    int64_t count;
    CHECK_OK(adze_mapping_open(&text, test_need_data("llm/stories260K.greedy.txt"), &err), &err);
    int64_t same = agreement(gguf, NULL, text, &count);
    CHECK(count > 100);
    CHECK_EQ(same, count);
    CHECK_EQ(mkdir(test_tmpfile("folder"), 0700), 0);
    CHECK_EQ(symlink(test_need_data("llm/stories260K.safetensors"),
                     test_tmpfile("folder/model.safetensors")),
             0);
    CHECK_EQ(
        symlink(test_need_data("llm/stories260K.config.json"), test_tmpfile("folder/config.json")),
        0);
    same = agreement(test_tmpfile("folder"), gguf, text, &count);
    CHECK_EQ(same, count);
    same = agreement(test_need_data("llm/stories260K-q8_0.gguf"), NULL, text, &count);
    CHECK(100 * same >= 95 * count);
    adze_mapping_release(&text);
}

typedef struct rows {
    float *at; /* [COUNT, vocabulary] */
    int64_t vocabulary, base;
} rows;

static int keep(void *user, int64_t index, const float *logits)
{
    rows *r = user;
    memcpy(r->at + (r->base + index) * r->vocabulary, logits,
           (size_t)r->vocabulary * sizeof(float));
    return 0;
}

/* Logits of all tokens, fed `step` at a time. */
static float *score_in_steps(const fixture *f, int64_t step)
{
    adze_error err;
    rows r = {.vocabulary = adze_engine_vocabulary(f->engine)};
    r.at = adze_alloc((size_t)(COUNT * r.vocabulary), sizeof *r.at);
    CHECK(r.at);
    adze_chat_rewind(f->chat, 0);
    for (; r.base < COUNT; r.base += step)
        CHECK_OK(adze_chat_score(f->chat, story + r.base, ADZE_MIN(step, COUNT - r.base), 0, keep,
                                 &r, &err),
                 &err);
    return r.at;
}

/* The weights are somewhere else meanwhile, and back afterwards. */
TEST(engine_speed_foretold)
{
    fixture f = open_with(1, 0);
    adze_error err;
    llm_speed speed = {0};
    float before[512];
    const float *logits;
    const size_t size = (size_t)adze_engine_vocabulary(f.engine) * sizeof *before;
    CHECK_EQ(size, sizeof before);
    CHECK_OK(adze_chat_append(f.chat, story, PROMPT, &err), &err);
    CHECK_OK(adze_chat_logits(f.chat, &logits, &err), &err);
    memcpy(before, logits, sizeof before);
    CHECK_OK(adze_llm_speed_measure(&speed, f.engine, &err), &err);
    CHECK(speed.token > 0 && speed.key > 0);
    adze_chat *chat;
    CHECK_OK(adze_chat_open(&chat, f.engine, NULL, &err), &err);
    CHECK_OK(adze_chat_append(chat, story, PROMPT, &err), &err);
    CHECK_OK(adze_chat_logits(chat, &logits, &err), &err);
    CHECK_BYTES(before, logits, sizeof before);
    adze_chat_close(&chat);
    close_all(&f);
}

TEST(engine_bits_do_not_depend_on_company)
{
    fixture one = open_with(1, 0), two = open_with(2, 16);
    size_t size = (size_t)(COUNT * adze_engine_vocabulary(one.engine)) * sizeof(float);
    float *whole = score_in_steps(&one, COUNT);
    static const int64_t steps[] = {1, 7, 20};
    for (size_t i = 0; i < ADZE_COUNT_OF(steps); i++) {
        float *a = score_in_steps(&one, steps[i]), *b = score_in_steps(&two, steps[i]);
        CHECK(memcmp(whole, a, size) == 0);
        CHECK(memcmp(whole, b, size) == 0);
        adze_free(a);
        adze_free(b);
    }
    /* After winding back, another continuation, and winding back again. */
    adze_error err;
    const float *logits;
    adze_chat_rewind(one.chat, 30);
    CHECK_OK(adze_chat_append(one.chat, story, 10, &err), &err);
    adze_chat_rewind(one.chat, 30);
    CHECK_OK(adze_chat_logits(one.chat, &logits, &err), &err);
    size_t row = (size_t)adze_engine_vocabulary(one.engine);
    CHECK(memcmp(logits, whole + 29 * row, row * sizeof(float)) == 0);
    CHECK_OK(adze_chat_append(one.chat, story + 30, 5, &err), &err);
    CHECK_OK(adze_chat_logits(one.chat, &logits, &err), &err);
    CHECK(memcmp(logits, whole + 34 * row, row * sizeof(float)) == 0);
    adze_free(whole);
    close_all(&one);
    close_all(&two);
}

TEST(engine_limits)
{
    fixture f = open_with(1, 0);
    adze_error err;
    const float *logits;
    CHECK_EQ(adze_chat_logits(f.chat, &logits, &err), ADZE_BAD_ARGUMENT);
    int32_t bad[] = {1, 512};
    CHECK_EQ(adze_chat_append(f.chat, bad, 2, &err), ADZE_BAD_ARGUMENT);
    CHECK(strstr(err.message, "512"));
    CHECK_EQ(adze_chat_length(f.chat), 0);
    for (int i = 0; i < 2; i++)
        CHECK_OK(adze_chat_append(f.chat, story, COUNT, &err), &err);
    CHECK_EQ(adze_chat_append(f.chat, story, 5, &err), ADZE_LIMIT);
    CHECK(strstr(err.message, "128"));
    CHECK_EQ(adze_chat_length(f.chat), 2 * COUNT);
    close_all(&f);
}

TEST(engine_that_is_none)
{
    adze_context *context;
    adze_engine *engine;
    adze_error err;
    CHECK_OK(adze_context_open(&context, NULL, &err), &err);
    CHECK_EQ(adze_engine_open(&engine, context, ADZE_SOURCE_DIR "/README.md", NULL, &err),
             ADZE_BAD_FILE);
    CHECK_EQ(adze_engine_open(&engine, context, "nowhere.gguf", NULL, &err), ADZE_NOT_FOUND);
    CHECK_EQ(adze_engine_open(&engine, context, ADZE_SOURCE_DIR "/models", NULL, &err),
             ADZE_NOT_FOUND);
    adze_engine_options sizes = {.cache_type = ADZE_I8};
    CHECK_EQ(adze_engine_open(&engine, context, MODEL, &sizes, &err), ADZE_BAD_ARGUMENT);
    adze_context_close(&context);
}

/* MODEL with one key changed: its error. */
static void changed_fails(const char *key, const char *text, int64_t number, adze_status status,
                          const char *said)
{
    adze_gguf *file;
    adze_engine *engine;
    adze_context *context;
    adze_gguf_plan plans[64];
    const void *data[64];
    adze_error err;
    CHECK_OK(adze_gguf_open(&file, MODEL, &err), &err);
    for (int k = 0; k < file->tensor_count; k++) {
        const adze_tensor *t = &file->tensors[k].tensor;
        plans[k] =
            (adze_gguf_plan){.name = file->tensors[k].name, .dtype = t->dtype, .rank = t->rank};
        memcpy(plans[k].dims, t->dims, sizeof plans[k].dims);
        data[k] = t->data;
    }
    CHECK(text ? adze_gguf_set_string(&file->meta, key, text, strlen(text))
               : adze_gguf_set_int(&file->meta, key, ADZE_GGUF_U32, number));
    for (int i = 0; i < file->meta.count && strcmp(key, "tokens") == 0; i++) {
        adze_gguf_entry *e = &file->meta.entries[i]; /* tokens, their scores and types */
        if (e->count == 512) {
            e->count = 500;
            e->byte_count = e->byte_count / 512 * 500;
        }
    }
    const char *path = test_tmpfile("changed.gguf");
    CHECK_OK(adze_gguf_write(path, &file->meta, plans, data, file->tensor_count, &err), &err);
    adze_gguf_close(&file);
    CHECK_OK(adze_context_open(&context, NULL, &err), &err);
    CHECK_FAILS(adze_engine_open(&engine, context, path, NULL, &err), status, &err);
    if (!strstr(err.message, said) || !strstr(err.message, path))
        FAIL("'%s' or the file is not said: %s", said, err.message);
    adze_context_close(&context);
}

/* Passed over, each would be another model without a word. */
TEST(engine_of_metadata_that_do_not_fit)
{
    changed_fails("llama.rope.scaling.type", "spiral", 0, ADZE_UNSUPPORTED,
                  "'spiral' is not known");
    changed_fails("general.architecture", "mamba2", 0, ADZE_UNSUPPORTED, "known are");
    changed_fails("llama.rope.freq_base", NULL, 0, ADZE_BAD_FILE, "at least 1e-06, found 0");
    changed_fails("llama.feed_forward_length", NULL, 100, ADZE_BAD_MODEL,
                  "15 tensors are not as its metadata mean them: blk.0.ffn_gate.weight is");
    changed_fails("llama.attention.key_length", NULL, 16, ADZE_BAD_MODEL, "blk.0.attn_q.weight is");
    changed_fails("llama.block_count", NULL, 6, ADZE_BAD_MODEL,
                  "blk.5.attn_norm.weight is missing");
    changed_fails("tokens", NULL, 0, ADZE_BAD_MODEL, "500 tokens, but token_embd.weight 512 rows");
    changed_fails("llama.expert_count", NULL, 4, ADZE_BAD_FILE, "of which 0 are used");
}

/* A factor alone is a linear scaling, under its old name too; 0 is none. */
TEST(rope_factors_without_a_type)
{
    static const struct {
        const char *key, *type;
        float factor, expected;
    } cases[] = {{"llama.rope.scaling.factor", NULL, 4, 0.25f},
                 {"llama.rope.scale_linear", NULL, 4, 0.25f},
                 {"llama.rope.scaling.factor", "linear", 4, 0.25f},
                 {"llama.rope.scaling.factor", "none", 4, 1},
                 {"llama.rope.scaling.factor", NULL, 0, 1}};
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        adze_arena arena = {0};
        adze_gguf_meta meta;
        float f[2], scale;
        adze_gguf_meta_init(&meta, &arena);
        CHECK(adze_gguf_set_float(&meta, cases[i].key, (double)cases[i].factor));
        if (cases[i].type)
            CHECK(adze_gguf_set_string(&meta, "llama.rope.scaling.type", cases[i].type,
                                       strlen(cases[i].type)));
        adze_llm_config c = {.meta = &meta, .prefix = "llama", .trained_context = 64};
        adze_rope_frequencies(&c, 10000, 4, 64, NULL, f, &scale);
        CHECK_NEAR(f[0], cases[i].expected, 0);
        CHECK_NEAR(scale, 1, 0);
        adze_arena_free(&arena);
    }
}

/* Every allocation fails in turn: an error each time, nothing leaks, nothing crashes. */
TEST(engine_without_memory)
{
    adze_context *context;
    adze_error err;
    adze_context_options how = adze_context_options_default();
    how.threads = 1;
    CHECK_OK(adze_context_open(&context, &how, &err), &err);
    bool opened = false;
    for (long n = 1; n < 200000 && !opened; n += n < 60 ? 1 : n / 6) {
        adze_engine *engine = NULL;
        adze_chat *chat = NULL;
        adze_alloc_fail_after(n);
        adze_status status = adze_engine_open(&engine, context, MODEL, NULL, &err);
        if (status == ADZE_OK)
            status = adze_chat_open(&chat, engine, NULL, &err);
        adze_alloc_fail_after(0);
        opened = status == ADZE_OK;
        CHECK(opened || status == ADZE_NO_MEMORY);
        adze_chat_close(&chat);
        adze_engine_close(&engine);
    }
    CHECK(opened);
    adze_context_close(&context);
}

/* A model diverges from itself by nothing but the sixteen bits of the packed rows. */
TEST(perplexity_against_itself)
{
    fixture f = open_with(2, 0);
    adze_error err;
    adze_perplexity_options how = adze_perplexity_options_default();
    adze_perplexity r;
    how.context = 24;
    how.reference = f.engine;
    CHECK_OK(adze_perplexity_measure(&r, f.engine, story, COUNT, &how, &err), &err);
    CHECK_EQ(r.chunks, 2);
    CHECK_EQ(r.tokens, 2 * 11);
    CHECK(r.perplexity.value > 1 && r.perplexity.value < 3); /* it says this itself */
    CHECK_NEAR(r.base_perplexity.value, r.perplexity.value, 1e-3);
    CHECK_NEAR(r.kld.value, 0, 1e-5);
    CHECK_NEAR(r.same_top.value, 1, 0);
    how.context = 500;
    CHECK_EQ(adze_perplexity_measure(&r, f.engine, story, COUNT, &how, &err), ADZE_BAD_ARGUMENT);
    close_all(&f);
}
