/* Folders from GGUF files: what came from a folder goes back to the same bytes, and computes the same. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adze/llm_convert.h"
#include "adze/llm_quantize.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "llm/checkpoint.h"
#include "test.h"

enum { COUNT = 40, WIDTH = 80 };

typedef struct trip {
    adze_context *context;
    const char *variant;
    char folder[512], gguf[512], back[512];
    float logits[2][COUNT * WIDTH];
    adze_error err;
} trip;

static void start(trip *t, const char *variant)
{
    char name[128];
    memset(t, 0, sizeof *t);
    t->variant = variant;
    snprintf(name, sizeof name, "tests/golden/llm/%s", variant);
    snprintf(t->folder, sizeof t->folder, "%s", test_source_path(name));
    snprintf(name, sizeof name, "%s.gguf", variant);
    snprintf(t->gguf, sizeof t->gguf, "%s", test_tmpfile(name));
    snprintf(t->back, sizeof t->back, "%s", test_tmpfile(variant));
    CHECK_OK(adze_context_open(&t->context, NULL, &t->err), &t->err);
}

static void end(trip *t)
{
    adze_context_close(&t->context);
}

static void to_gguf(trip *t, const char *type)
{
    adze_llm_quantization *q;
    adze_llm_quantize_options o = adze_llm_quantize_options_default();
    o.type = type;
    CHECK_OK(adze_llm_quantization_open(&q, t->context, t->folder, &o, &t->err), &t->err);
    CHECK_OK(adze_llm_quantization_run(q, t->gguf, &t->err), &t->err);
    adze_llm_quantization_close(&q);
}

static adze_status to_folder(trip *t, const char *type)
{
    adze_llm_folder_options o = {.type = type};
    return adze_llm_write_folder(t->context, t->gguf, t->back, &o, &t->err);
}

static int keep(void *user, int64_t index, const float *logits)
{
    memcpy((float *)user + index * WIDTH, logits, WIDTH * sizeof(float));
    return 0;
}

/* Encoders are compared by their weights alone. */
static bool compute(trip *t, const char *path, float *out)
{
    adze_engine *engine;
    adze_chat *chat;
    adze_engine_options o = {.context = COUNT, .cache_type = ADZE_F32};
    int32_t ids[COUNT];
    for (int i = 0; i < COUNT; i++)
        ids[i] = (i * 7 + 3) % WIDTH;
    CHECK_OK(adze_engine_open(&engine, t->context, path, &o, &t->err), &t->err);
    bool decoder = !adze_engine_is_encoder(engine);
    if (decoder) {
        CHECK_EQ(adze_engine_vocabulary(engine), WIDTH);
        CHECK_OK(adze_chat_open(&chat, engine, NULL, &t->err), &t->err);
        CHECK_OK(adze_chat_score(chat, ids, COUNT, 0, keep, out, &t->err), &t->err);
        adze_chat_close(&chat);
    }
    adze_engine_close(&engine);
    return decoder;
}

/* Every tensor of the first folder is in the second, bit by bit. */
static void same_files(trip *t)
{
    adze_safetensors *a, *b;
    CHECK_OK(adze_safetensors_open(&a, t->folder, &t->err), &t->err);
    CHECK_OK(adze_safetensors_open(&b, t->back, &t->err), &t->err);
    int compared = 0;
    for (int i = 0; i < a->count; i++) {
        const char *name = a->tensors[i].name;
        if (strncmp(name, "pooler.", 7) == 0)
            continue;
        const adze_tensor *x = &a->tensors[i].tensor, *y = adze_safetensors_find(b, name);
        if (!y)
            FAIL("%s: no tensor %s", t->variant, name);
        if (x->dtype != y->dtype || x->rank != y->rank || x->size != y->size ||
            memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0)
            FAIL("%s: tensor %s has another shape", t->variant, name);
        if (memcmp(x->data, y->data, x->size) != 0)
            FAIL("%s: tensor %s has other bits", t->variant, name);
        compared++;
    }
    CHECK_EQ(b->count, compared);
    adze_safetensors_close(&a);
    adze_safetensors_close(&b);
}

/* The same as GGUF, whatever the names in the folder (experts one by one, or together). */
static void same_model(trip *t)
{
    adze_checkpoint *a, *b;
    CHECK_OK(adze_checkpoint_open(&a, t->folder, &t->err), &t->err);
    CHECK_OK(adze_checkpoint_open(&b, t->back, &t->err), &t->err);
    CHECK_EQ(adze_checkpoint_count(b), adze_checkpoint_count(a));
    for (int i = 0; i < adze_checkpoint_count(a); i++) {
        const adze_checkpoint_tensor *x = adze_checkpoint_tensor_at(a, i);
        const adze_checkpoint_tensor *y = adze_checkpoint_find(b, x->name);
        if (!y || y->rows != x->rows || y->row_bytes != x->row_bytes || y->dtype != x->dtype)
            FAIL("%s: tensor %s is not as it was", t->variant, x->name);
        size_t size = (size_t)x->rows * x->row_bytes;
        char *p = malloc(size), *q = malloc(size);
        int64_t calls = x->rank == 1 ? 1 : x->rows;
        CHECK_OK(adze_checkpoint_rows(a, x, 0, calls, p, &t->err), &t->err);
        CHECK_OK(adze_checkpoint_rows(b, y, 0, calls, q, &t->err), &t->err);
        if (memcmp(p, q, size) != 0)
            FAIL("%s: tensor %s has other bits", t->variant, x->name);
        free(p);
        free(q);
    }
    adze_checkpoint_close(&a);
    adze_checkpoint_close(&b);
}

static void round_trip(const char *variant)
{
    trip t;
    start(&t, variant);
    to_gguf(&t, "COPY");
    if (to_folder(&t, NULL) != ADZE_OK)
        FAIL("%s: %s", variant, t.err.message);
    if (strcmp(variant, "qwen3-moe-fused") != 0)
        same_files(&t);
    same_model(&t);
    if (compute(&t, t.folder, t.logits[0])) {
        compute(&t, t.back, t.logits[1]);
        for (int i = 0; i < COUNT * WIDTH; i++)
            if (!(fabsf(t.logits[0][i] - t.logits[1][i]) <= 1e-5f * (1 + fabsf(t.logits[0][i]))))
                FAIL("%s: logit %d: %g became %g", variant, i, (double)t.logits[0][i],
                     (double)t.logits[1][i]);
    }
    end(&t);
}

TEST(there_and_back)
{
    json_t *index, *entry;
    const char *variant;
    adze_error err;
    CHECK_OK(adze_json_load(&index, test_source_path("tests/golden/llm/index.json"), &err), &err);
    json_object_foreach(json_object_get(index, "variants"), variant, entry)
    {
        ADZE_UNUSED(entry);
        round_trip(variant);
    }
    json_decref(index);
}

static json_t *config_of(const trip *t, const char *name)
{
    char path[640];
    json_t *config;
    adze_error err;
    snprintf(path, sizeof path, "%s/%s", t->back, name);
    CHECK_OK(adze_json_load(&config, path, &err), &err);
    return config;
}

TEST(what_config_says)
{
    trip t;
    start(&t, "llama-llama3");
    to_gguf(&t, "COPY");
    CHECK_OK(to_folder(&t, NULL), &t.err);
    json_t *config = config_of(&t, "config.json"), *generation;
    json_t *rope = json_object_get(config, "rope_parameters");
    CHECK_STR(json_string_value(json_object_get(config, "dtype")), "bfloat16");
    CHECK_STR(json_string_value(json_object_get(rope, "rope_type")), "llama3");
    CHECK_NEAR(json_number_value(json_object_get(rope, "factor")), 4, 0);
    CHECK_EQ(json_integer_value(json_object_get(rope, "original_max_position_embeddings")), 32);
    CHECK_NEAR(json_number_value(json_object_get(config, "rms_norm_eps")), 0.02, 0);
    generation = config_of(&t, "generation_config.json");
    CHECK_EQ(json_integer_value(json_object_get(generation, "eos_token_id")), 2);
    json_decref(config);
    json_decref(generation);
    end(&t);
}

/* A quantized model is decoded; without being asked, to float16. */
TEST(from_quantized)
{
    trip t;
    start(&t, "llama");
    to_gguf(&t, "Q8_0");
    CHECK_OK(to_folder(&t, NULL), &t.err);
    compute(&t, t.gguf, t.logits[0]);
    compute(&t, t.back, t.logits[1]);
    for (int i = 0; i < COUNT * WIDTH; i++) /* activations are quantized in one of the two */
        CHECK_NEAR(t.logits[1][i], t.logits[0][i], 1);
    json_t *config = config_of(&t, "config.json");
    CHECK_STR(json_string_value(json_object_get(config, "dtype")), "float16");
    json_decref(config);
    end(&t);
}

TEST(shards)
{
    trip t;
    char path[640];
    start(&t, "gpt2");
    to_gguf(&t, "F32");
    adze_llm_folder_options o = {.type = "BF16", .shard_bytes = 20000};
    CHECK_OK(adze_llm_write_folder(t.context, t.gguf, t.back, &o, &t.err), &t.err);
    snprintf(path, sizeof path, "%s/model.safetensors", t.back);
    CHECK(!adze_file_exists(path));
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", t.back);
    CHECK(adze_file_exists(path));
    same_files(&t);
    end(&t);
}

static bool stop_late(void *user, double share, const char *tensor)
{
    ADZE_UNUSED(user);
    ADZE_UNUSED(tensor);
    return share < 0.5;
}

/* Names in the folder that the tests write to. */
static int files_like(const trip *t, const char *part)
{
    adze_arena arena = {0};
    char folder[512], **names;
    int count, found = 0;
    snprintf(folder, sizeof folder, "%s", t->back);
    *strrchr(folder, '/') = 0;
    CHECK_OK(adze_folder_list(&names, &count, folder, &arena, NULL), NULL);
    for (int i = 0; i < count; i++)
        found += strstr(names[i], part) != NULL;
    adze_arena_free(&arena);
    return found;
}

TEST(nothing_remains_of_a_stopped_one)
{
    trip t;
    start(&t, "llama");
    to_gguf(&t, "COPY");
    adze_llm_folder_options o = {.progress = stop_late, .shard_bytes = 20000};
    CHECK_FAILS(adze_llm_write_folder(t.context, t.gguf, t.back, &o, &t.err), ADZE_CANCELLED,
                &t.err);
    CHECK(!adze_file_exists(t.back));
    CHECK_EQ(files_like(&t, ".part"), 0);
    end(&t);
}

/* What a killed process left is taken away by the next. */
TEST(nothing_remains_of_a_killed_one)
{
    trip t;
    char left[640];
    start(&t, "llama");
    to_gguf(&t, "COPY");
    (void)snprintf(left, sizeof left, "%s.adze.part/1_Pooling", t.back);
    CHECK_OK(adze_folder_make(left, &t.err), &t.err);
    CHECK_OK(to_folder(&t, "F32"), &t.err);
    CHECK_EQ(files_like(&t, ".part"), 0);
    CHECK_EQ(files_like(&t, "1_Pooling"), 0);
    end(&t);
}

TEST(full_folders_and_unknown_types_are_refused)
{
    trip t;
    start(&t, "llama");
    to_gguf(&t, "COPY");
    CHECK_FAILS(to_folder(&t, "Q8_0"), ADZE_BAD_ARGUMENT, &t.err);
    CHECK_OK(to_folder(&t, "F32"), &t.err);
    CHECK_FAILS(to_folder(&t, "F32"), ADZE_BAD_ARGUMENT, &t.err);
    CHECK(strstr(t.err.message, "config.json"));
    end(&t);
}
