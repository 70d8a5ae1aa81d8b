/* Folders that are not what they say: one clear error for each. */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors.h"
#include "llm/checkpoint.h"
#include "test.h"

static const char *golden(const char *variant, const char *file)
{
    static char name[2][256];
    static int turn;
    turn = !turn;
    snprintf(name[turn], sizeof name[turn], "tests/golden/llm/%s/%s", variant, file);
    return test_source_path(name[turn]);
}

static char *in_folder(const char *folder, const char *name)
{
    static char path[640];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A folder of its own with the weights of a golden model, and no config.json yet. */
static const char *folder_of(const char *variant, bool weights)
{
    static char folder[512];
    static int count;
    char name[64];
    snprintf(name, sizeof name, "folder-%d", count++);
    snprintf(folder, sizeof folder, "%s", test_tmpfile(name));
    CHECK_OK(adze_folder_make(folder, NULL), NULL);
    if (weights)
        CHECK_EQ(
            symlink(golden(variant, "model.safetensors"), in_folder(folder, "model.safetensors")),
            0);
    return folder;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    CHECK_OK(adze_file_write(in_folder(folder, name), text, strlen(text), NULL), NULL);
}

/* The golden config.json with the keys of `patch` (JSON) in place of its own. */
static void write_config(const char *folder, const char *variant, const char *patch)
{
    json_t *config, *with = json_loads(patch, 0, NULL);
    CHECK_OK(adze_json_load(&config, golden(variant, "config.json"), NULL), NULL);
    CHECK(with != NULL);
    json_object_update(config, with);
    CHECK_OK(adze_json_save(config, in_folder(folder, "config.json"), NULL), NULL);
    json_decref(config);
    json_decref(with);
}

static void fails(const char *folder, adze_status status, const char *const *said)
{
    adze_checkpoint *c = NULL;
    adze_error err = {0};
    CHECK_FAILS(adze_checkpoint_open(&c, folder, &err), status, &err);
    CHECK(c == NULL);
    for (; *said; said++)
        if (!strstr(err.message, *said))
            FAIL("'%s' is not said: %s", *said, err.message);
}

#define FAILS(folder, status, ...) fails(folder, status, (const char *const[]){__VA_ARGS__, NULL})

static void config_fails(const char *variant, const char *patch, adze_status status,
                         const char *const *said)
{
    const char *folder = folder_of(variant, true);
    write_config(folder, variant, patch);
    fails(folder, status, said);
}

#define CONFIG_FAILS(patch, status, ...)                                                           \
    config_fails("llama", patch, status, (const char *const[]){__VA_ARGS__, NULL})

TEST(config_that_is_none)
{
    const char *folder = folder_of("llama", true);
    FAILS(folder, ADZE_NOT_FOUND, "config.json");
    write_text(folder, "config.json", "");
    FAILS(folder, ADZE_BAD_FILE, "config.json");
    write_text(folder, "config.json", "{\"model_type\": \"llama\", ");
    FAILS(folder, ADZE_BAD_FILE, "config.json:1:24");
    write_text(folder, "config.json", "[1, 2]");
    FAILS(folder, ADZE_BAD_FILE, "config.json");
    write_text(folder, "config.json", "{\"hidden_size\": 32}");
    FAILS(folder, ADZE_BAD_FILE, "config.json", "model_type");
    write_text(folder, "config.json", "{\"model_type\": \"llama\"}");
    FAILS(folder, ADZE_BAD_FILE, "config.json", "hidden_size");
}

TEST(numbers_that_make_no_sense)
{
    CONFIG_FAILS("{\"num_attention_heads\": 0}", ADZE_BAD_FILE, "num_attention_heads", "found 0");
    CONFIG_FAILS("{\"num_attention_heads\": -4}", ADZE_BAD_FILE, "num_attention_heads", "-4");
    CONFIG_FAILS("{\"num_hidden_layers\": 1000000000}", ADZE_BAD_FILE, "num_hidden_layers", "4096");
    CONFIG_FAILS("{\"hidden_size\": 1e300}", ADZE_BAD_FILE, "hidden_size");
    CONFIG_FAILS("{\"hidden_size\": \"32\"}", ADZE_BAD_FILE, "hidden_size", "\"32\"");
    CONFIG_FAILS("{\"hidden_size\": 32.5}", ADZE_BAD_FILE, "hidden_size", "whole");
    CONFIG_FAILS("{\"head_dim\": 0}", ADZE_BAD_FILE, "head_dim");
    CONFIG_FAILS("{\"head_dim\": 7}", ADZE_BAD_FILE, "even");
    CONFIG_FAILS("{\"num_key_value_heads\": 3}", ADZE_BAD_FILE, "num_key_value_heads", "divisor");
    CONFIG_FAILS("{\"intermediate_size\": -1}", ADZE_BAD_FILE, "intermediate_size");
    CONFIG_FAILS("{\"rms_norm_eps\": 0}", ADZE_BAD_FILE, "rms_norm_eps");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_theta\": -1}}", ADZE_BAD_FILE, "rope_theta");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 0}}", ADZE_BAD_FILE,
                 "factor");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": \"spiral\"}}", ADZE_UNSUPPORTED, "spiral",
                 "yarn");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": \"longrope\", \"long_factor\": [1, 2]}}",
                 ADZE_BAD_FILE, "long_factor", "4");
    CONFIG_FAILS("{\"layer_types\": [\"full_attention\"], \"sliding_window\": 8}", ADZE_BAD_FILE,
                 "layer_types");
}

TEST(values_of_another_kind)
{
    CONFIG_FAILS("{\"rope_parameters\": [1]}", ADZE_BAD_FILE, "rope_parameters", "[1]");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": 5}}", ADZE_BAD_FILE, "rope_type", "5");
    CONFIG_FAILS("{\"tie_word_embeddings\": \"yes\"}", ADZE_BAD_FILE, "tie_word", "true or false");
    CONFIG_FAILS("{\"hidden_act\": 3}", ADZE_BAD_FILE, "hidden_act", "a text");
    CONFIG_FAILS("{\"layer_types\": \"full_attention\"}", ADZE_BAD_FILE, "layer_types", "a list");
    CONFIG_FAILS("{\"vocab_size\": 81}", ADZE_BAD_MODEL, "vocab_size is 81", "80 rows");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": \"linear\"}}", ADZE_BAD_FILE, "linear",
                 "factor");
    CONFIG_FAILS("{\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8}}", ADZE_BAD_FILE,
                 "low_freq_factor");
}

/* Each of them, passed over, would give other numbers without a word. */
TEST(switches_of_other_models)
{
    static const struct {
        const char *variant, *patch, *said;
    } cases[] = {
        {"gemma3", "{\"use_bidirectional_attention\": true}", "use_bidirectional_attention"},
        {"gemma3", "{\"layer_types\": [\"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\"]}",
         "layer 0 is 'a'"},
        {"gemma3",
         "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}, "
         "\"sliding_attention\": {\"rope_type\": \"linear\", \"factor\": 2}}}",
         "sliding_attention"},
        {"gpt2", "{\"scale_attn_by_inverse_layer_idx\": true}", "only false"},
        {"gpt2", "{\"scale_attn_weights\": false}", "only true"},
        {"bert", "{\"position_embedding_type\": \"relative_key\"}", "relative_key"},
        {"bert", "{\"is_decoder\": true}", "is_decoder"},
        {"nomic-bert", "{\"rotary_emb_fraction\": 0.5}", "only 1.0"},
        {"llama",
         "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2, \"truncate\": false}}",
         "truncate"},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++)
        config_fails(cases[i].variant, cases[i].patch, ADZE_UNSUPPORTED,
                     (const char *const[]){"config.json", cases[i].said, NULL});
}

static adze_checkpoint *without(const char *variant, const char *const *keys)
{
    const char *folder = folder_of(variant, true);
    json_t *config;
    adze_checkpoint *c = NULL;
    adze_error err;
    CHECK_OK(adze_json_load(&config, golden(variant, "config.json"), NULL), NULL);
    for (; *keys; keys++)
        (void)json_object_del(config, *keys);
    CHECK_OK(adze_json_save(config, in_folder(folder, "config.json"), NULL), NULL);
    json_decref(config);
    CHECK_OK(adze_checkpoint_open(&c, folder, &err), &err);
    return c;
}

/* The classes of transformers have defaults of their own, and multimodal Gemma 3 says little else. */
TEST(what_config_does_not_say)
{
    static const struct {
        const char *variant, *keys[8], *gguf;
        double expected;
    } cases[] = {
        {"llama", {"rms_norm_eps"}, "llama.attention.layer_norm_rms_epsilon", 1e-6},
        {"gemma3", {"rms_norm_eps"}, "gemma3.attention.layer_norm_rms_epsilon", 1e-6},
        {"gemma3", {"rope_parameters"}, "gemma3.rope.freq_base", 1e6},
        {"gemma3", {"rope_parameters"}, "gemma3.rope.freq_base_swa", 1e4},
        {"gemma3", {"query_pre_attn_scalar"}, "gemma3.attention.scale", 1.0 / 16},
        {"gemma3", {"sliding_window"}, "gemma3.attention.sliding_window", 4096},
        {"gemma2", {"attn_logit_softcapping"}, "gemma2.attn_logit_softcapping", 50},
        {"mixtral", {"rope_parameters"}, "llama.rope.freq_base", 1e6},
        {"mistral", {"sliding_window"}, "llama.attention.sliding_window", 4096},
        {"qwen2-window",
         {"use_sliding_window", "layer_types"},
         "qwen2.attention.sliding_window",
         0},
        {"gpt-neox", {"rope_parameters"}, "gptneox.rope.dimension_count", 4},
        {"stablelm", {"rope_parameters"}, "stablelm.rope.dimension_count", 4},
        {"cohere", {"logit_scale"}, "command-r.logit_scale", 0.0625},
        {"bert", {"layer_norm_eps"}, "bert.attention.layer_norm_epsilon", 1e-12},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        adze_checkpoint *c = without(cases[i].variant, cases[i].keys);
        double found = adze_gguf_float(adze_checkpoint_meta(c), cases[i].gguf, 0);
        if (!(found >= cases[i].expected * 0.999999 && found <= cases[i].expected * 1.000001))
            FAIL("%s without %s: %s is %g", cases[i].variant, cases[i].keys[0], cases[i].gguf,
                 found);
        adze_checkpoint_close(&c);
    }
}

TEST(pooling_that_is_not_known)
{
    const char *folder = folder_of("bert", true);
    write_config(folder, "bert", "{}");
    CHECK_OK(adze_folder_make(in_folder(folder, "1_Pooling"), NULL), NULL);
    write_text(folder, "1_Pooling/config.json", "{\"pooling_mode_max_tokens\": true}");
    FAILS(folder, ADZE_UNSUPPORTED, "1_Pooling", "pooling_mode_max_tokens");
    write_text(folder, "1_Pooling/config.json", "{\"pooling_mode\": \"max\"}");
    FAILS(folder, ADZE_UNSUPPORTED, "1_Pooling", "pooling_mode");
    write_text(folder, "1_Pooling/config.json", "{\"pooling_mode\": \"cls\"}");
    adze_checkpoint *c;
    CHECK_OK(adze_checkpoint_open(&c, folder, NULL), NULL);
    CHECK_EQ(adze_gguf_int(adze_checkpoint_meta(c), "bert.pooling_type", 0), 2);
    adze_checkpoint_close(&c);
    write_text(folder, "1_Pooling/config.json", "{\"pooling_mode");
    FAILS(folder, ADZE_BAD_FILE, "1_Pooling");
}

TEST(windows_where_the_class_has_none)
{
    const char *folder = folder_of("llama", true);
    adze_checkpoint *c;
    write_config(folder, "llama", "{\"sliding_window\": 8}");
    CHECK_OK(adze_checkpoint_open(&c, folder, NULL), NULL);
    CHECK(!adze_gguf_find(adze_checkpoint_meta(c), "llama.attention.sliding_window"));
    adze_checkpoint_close(&c);
}

TEST(numbers_under_any_of_their_names)
{
    config_fails("starcoder2", "{\"norm_epsilon\": 0}", ADZE_BAD_FILE,
                 (const char *const[]){"norm_epsilon", NULL});
    config_fails("gpt2", "{\"n_layer\": 0}", ADZE_BAD_FILE, (const char *const[]){"n_layer", NULL});
}

TEST(models_that_are_not_known)
{
    CONFIG_FAILS("{\"model_type\": \"mamba2\"}", ADZE_UNSUPPORTED, "mamba2", "llama", "gemma3");
    CONFIG_FAILS("{\"hidden_act\": \"relu6\"}", ADZE_UNSUPPORTED, "relu6", "silu");
}

TEST(checkpoints_that_are_quantized)
{
    static const char *const methods[] = {"gptq", "awq", "fp8", "compressed-tensors"};
    for (size_t i = 0; i < ADZE_COUNT_OF(methods); i++) {
        char patch[128];
        snprintf(patch, sizeof patch, "{\"quantization_config\": {\"quant_method\": \"%s\"}}",
                 methods[i]);
        CONFIG_FAILS(patch, ADZE_UNSUPPORTED, methods[i], "already quantized");
    }
}

/* ---- weights ---- */

TEST(weights_that_are_not_there)
{
    const char *folder = folder_of("llama", false);
    write_config(folder, "llama", "{}");
    FAILS(folder, ADZE_NOT_FOUND, "model.safetensors");
    write_text(folder, "pytorch_model.bin", "PK");
    FAILS(folder, ADZE_NOT_FOUND, "PyTorch's own files", "transformers");
    write_text(folder, "model.safetensors.index.json",
               "{\"weight_map\": {\"model.norm.weight\": \"model-00001-of-00002.safetensors\","
               " \"lm_head.weight\": \"model-00002-of-00002.safetensors\"}}");
    FAILS(folder, ADZE_NOT_FOUND, "model-00001-of-00002.safetensors");
}

typedef struct source {
    const adze_safetensors *file;
    int from[64];
} source;

static adze_status copy(void *user, int i, uint64_t offset, void *bytes, size_t size,
                        adze_error *err)
{
    const source *s = user;
    ADZE_UNUSED(err);
    memcpy(bytes, (const char *)s->file->tensors[s->from[i]].tensor.data + offset, size);
    return ADZE_OK;
}

/* llama's weights without those that `left_out` names, and one of another shape or name. */
static const char *with_weights(const char *left_out, const char *changed, int64_t rows,
                                const char *renamed)
{
    const char *folder = folder_of("llama", false);
    adze_safetensors *file;
    adze_safetensor_plan plans[64];
    source s;
    int n = 0;
    write_config(folder, "llama", "{}");
    CHECK_OK(adze_safetensors_open(&file, golden("llama", ""), NULL), NULL);
    s.file = file;
    for (int i = 0; i < file->count; i++) {
        const adze_safetensor *t = &file->tensors[i];
        if (left_out && strstr(t->name, left_out))
            continue;
        s.from[n] = i;
        plans[n] = (adze_safetensor_plan){t->name, t->tensor.dtype, t->tensor.rank, {0}, 0};
        memcpy(plans[n].dims, t->tensor.dims, sizeof t->tensor.dims);
        if (changed && strstr(t->name, changed)) {
            plans[n].dims[0] = rows;
            plans[n].name = renamed ? renamed : t->name;
        }
        n++;
    }
    CHECK_OK(
        adze_safetensors_write(in_folder(folder, "model.safetensors"), plans, n, copy, &s, NULL),
        NULL);
    adze_safetensors_close(&file);
    return folder;
}

TEST(tensors_missing)
{
    FAILS(with_weights("o_proj", NULL, 0, NULL), ADZE_BAD_MODEL, "2 tensors",
          "blk.0.attn_output.weight is missing", "blk.1.attn_output.weight is missing");
    FAILS(with_weights("layers.1.self_attn.k_proj", NULL, 0, NULL), ADZE_BAD_MODEL,
          "blk.1.attn_k.weight is missing");
    FAILS(with_weights("up_proj", NULL, 0, NULL), ADZE_BAD_MODEL, "blk.0.ffn_up.weight is missing",
          "blk.1.ffn_up.weight is missing");
    FAILS(with_weights("embed_tokens", NULL, 0, NULL), ADZE_BAD_MODEL, "token_embd.weight");
    FAILS(with_weights("lm_head", NULL, 0, NULL), ADZE_BAD_MODEL, "lm_head.weight is missing");
}

TEST(tensors_misshapen)
{
    FAILS(with_weights(NULL, "layers.1.mlp.down_proj", 16, NULL), ADZE_BAD_MODEL,
          "blk.1.ffn_down.weight is [16, 64], expected [32, 64]");
    FAILS(with_weights(NULL, "input_layernorm", 16, NULL), ADZE_BAD_MODEL, "2 tensors",
          "blk.0.attn_norm.weight is [16], expected [32]");
    CONFIG_FAILS("{\"head_dim\": 16}", ADZE_BAD_MODEL,
                 "blk.0.attn_q.weight is [32, 32], "
                 "expected [64, 32]");
}

TEST(tensors_without_a_place)
{
    FAILS(with_weights(NULL, "layers.1.mlp.down_proj", 32, "model.layers.1.mlp.gadget.weight"),
          ADZE_UNSUPPORTED, "model.layers.1.mlp.gadget.weight", "llama");
    FAILS(with_weights(NULL, "layers.1.mlp.down_proj", 32, "model.layers.1.mlp.down_proj.qweight"),
          ADZE_UNSUPPORTED, "already quantized");
}

TEST(golden_folders_open)
{
    static const char *const variants[] = {"llama", "gpt2", "bert", "qwen2-moe", "falcon-new"};
    for (size_t i = 0; i < ADZE_COUNT_OF(variants); i++) {
        adze_checkpoint *c;
        adze_error err;
        CHECK_OK(adze_checkpoint_open(&c, golden(variants[i], ""), &err), &err);
        adze_checkpoint_close(&c);
    }
}
