/* The types of every tensor against what llama-quantize chose: tests/golden/llm_mix.txt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "compress/llm_mix.h"
#include "test.h"

enum { MOST = 2000 };

typedef struct model {
    char name[64], architecture[64];
    long long layers, heads, kv_heads, experts;
    int count;
    adze_llm_mix_tensor tensors[MOST];
    char names[MOST][64];
    int64_t dims[MOST][4];
} model;

static void add_tensor(model *m, const char *name, int layer, const int64_t *dims, int rank)
{
    int i = m->count++;
    CHECK(i < MOST);
    if (layer < 0)
        snprintf(m->names[i], sizeof m->names[i], "%s", name);
    else
        snprintf(m->names[i], sizeof m->names[i], "blk.%d.%s", layer, name);
    memcpy(m->dims[i], dims, sizeof m->dims[i]);
    m->tensors[i] = (adze_llm_mix_tensor){
        .name = m->names[i], .rank = rank, .dims = m->dims[i], .from = ADZE_F32};
}

/* "*attn_q.weight 256 256" */
static void add_kind(model *m, char *line)
{
    char *save = NULL, *name = strtok_r(line, " ", &save), *word;
    int64_t dims[4] = {0};
    int rank = 0;
    while ((word = strtok_r(NULL, " ", &save)) && rank < 4)
        dims[rank++] = atoll(word);
    if (name[0] != '*')
        add_tensor(m, name, -1, dims, rank);
    for (int i = 0; name[0] == '*' && i < m->layers; i++)
        add_tensor(m, name + 1, i, dims, rank);
}

static void check_types(model *m, const adze_llm_mix *mix, const char *mix_name, char *runs)
{
    adze_error err;
    CHECK_OK(adze_llm_mix_choose(m->tensors, m->count, mix, &err), &err);
    char *save = NULL;
    int i = 0;
    for (char *word = strtok_r(runs, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *star = strchr(word, '*');
        int n = star ? atoi(star + 1) : 1;
        if (star)
            *star = 0;
        for (; n > 0; n--, i++)
            if (strcmp(adze_llm_type_name(m->tensors[i].to), word) != 0)
                FAIL("%s as %s%s: %s is %s, llama-quantize's %s", m->name, mix_name,
                     mix->matrix ? " with matrix" : "", m->tensors[i].name,
                     adze_llm_type_name(m->tensors[i].to), word);
    }
    CHECK_EQ(i, m->count);
}

/* "Q4_K_M = q6_K f32 ..." */
static void check_mix(model *m, char *line)
{
    char name[32], which;
    int at = 0;
    CHECK_EQ(sscanf(line, "%31s %c %n", name, &which, &at), 2);
    adze_llm_mix mix = {.file = adze_llm_file_find(name),
                        .architecture = m->architecture,
                        .layers = m->layers,
                        .heads = m->heads,
                        .kv_heads = m->kv_heads,
                        .experts = m->experts};
    CHECK(mix.file < ADZE_LLM_FILE_COUNT);
    for (int matrix = 0; matrix < 2; matrix++) {
        if (which != '=' && which != "-+"[matrix])
            continue;
        char runs[4096];
        snprintf(runs, sizeof runs, "%s", line + at);
        mix.matrix = matrix;
        check_types(m, &mix, name, runs);
    }
}

TEST(as_llama_quantize)
{
    char *text, *save = NULL;
    size_t size;
    int mixes = 0;
    adze_error err;
    model *m = calloc(1, sizeof *m);
    CHECK_OK(
        adze_file_read(&text, &size, test_source_path("tests/golden/llm_mix.txt"), 1 << 20, &err),
        &err);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (sscanf(line, "model %63s %63s %lld %lld %lld %lld", m->name, m->architecture,
                   &m->layers, &m->heads, &m->kv_heads, &m->experts) == 6)
            m->count = 0;
        else if (adze_starts_with(line, "kind "))
            add_kind(m, line + 5);
        else if (adze_starts_with(line, "mix "))
            check_mix(m, line + 4), mixes++;
        else
            FAIL("line '%s'", line);
    }
    CHECK(mixes > 400);
    adze_free(text);
    free(m);
}

static const int64_t square[] = {256, 256};

static adze_dtype chosen(const char *name, adze_llm_mix mix)
{
    adze_error err;
    adze_llm_mix_tensor t = {.name = name, .rank = 2, .dims = square, .from = ADZE_F16};
    mix.architecture = "llama";
    mix.layers = 4;
    CHECK_OK(adze_llm_mix_choose(&t, 1, &mix, &err), &err);
    return t.to;
}

TEST(overrides)
{
    adze_error err;
    const char *overrides[] = {"^blk\\.0\\.ffn_(up|down)=Q6_k", "ffn_down=f16"};
    adze_llm_mix mix = {.file = ADZE_LLM_FILE_Q4_0, .overrides = overrides, .override_count = 1};
    adze_llm_mix plain = {.file = ADZE_LLM_FILE_Q4_0};
    CHECK_EQ(chosen("blk.0.ffn_down.weight", mix), ADZE_Q6_K);
    CHECK_EQ(chosen("blk.0.ffn_down.weight", plain), ADZE_Q4_0);
    mix.overrides = overrides + 1;
    CHECK_EQ(chosen("blk.1.ffn_down.weight", mix), ADZE_F16);
    mix = (adze_llm_mix){.file = ADZE_LLM_FILE_Q4_K_M, .pure = true};
    CHECK_EQ(chosen("output.weight", mix), ADZE_Q4_K);
    mix = (adze_llm_mix){.file = ADZE_LLM_FILE_Q4_K_M, .leave_output = true};
    CHECK_EQ(chosen("output.weight", mix), ADZE_F16);
    mix = (adze_llm_mix){.file = ADZE_LLM_FILE_Q4_K_M, .output = ADZE_Q8_0};
    CHECK_EQ(chosen("output.weight", mix), ADZE_Q8_0);
    CHECK_EQ(chosen("token_embd.weight", mix), ADZE_Q8_0); /* tied */
    mix = (adze_llm_mix){.file = ADZE_LLM_FILE_F16, .embedding = ADZE_Q8_0};
    CHECK_EQ(chosen("token_embd.weight", mix), ADZE_Q8_0);
    mix = (adze_llm_mix){.file = ADZE_LLM_FILE_Q4_K_M, .copy = true};
    CHECK_EQ(chosen("blk.0.ffn_down.weight", mix), ADZE_F16);

    static const char *const wrong[] = {"ffn_down", "=q4_K", "ffn_down=q4_9", "ffn_(down=q4_K",
                                        "nothing_of_this_name=q4_K"};
    adze_llm_mix_tensor t = {
        .name = "blk.0.ffn_down.weight", .rank = 2, .dims = square, .from = ADZE_F16};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        adze_llm_mix bad = {.architecture = "llama", .overrides = &wrong[i], .override_count = 1};
        CHECK_FAILS(adze_llm_mix_choose(&t, 1, &bad, &err), ADZE_BAD_ARGUMENT, &err);
        CHECK(strstr(err.message, wrong[i]) != NULL);
    }
}

TEST(names)
{
    CHECK_EQ(adze_llm_file_find("q4_k"), ADZE_LLM_FILE_Q4_K_M);
    CHECK_EQ(adze_llm_file_find("IQ3_xs"), ADZE_LLM_FILE_IQ3_XS);
    CHECK_EQ(adze_llm_file_find("Q4_9"), ADZE_LLM_FILE_COUNT);
    CHECK_EQ(adze_llm_type_find("bf16"), ADZE_BF16);
    CHECK_EQ(adze_llm_type_find("float16"), ADZE_F16);
    CHECK_EQ(adze_llm_type_find("i32"), ADZE_UNDEFINED);
    CHECK_STR(adze_llm_type_name(ADZE_Q6_K), "q6_K");
    CHECK_STR(adze_llm_type_name(ADZE_F32), "f32");
}
