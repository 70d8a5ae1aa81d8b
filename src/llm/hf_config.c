/* config.json, in the spellings of transformers 4 and 5, as metadata in GGUF's keys. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/hf_impl.h"

typedef struct reader {
    adze_hf_config *c;
    adze_gguf_meta *meta;
    const char *folder;
    const json_t *rope;       /* parameters of rotary positions; NULL: none */
    const json_t *rope_local; /* those of sliding layers; NULL: the same */
    bool failed;              /* out of memory */
} reader;

/* ---- reading JSON: the first of several names that is there ---- */

static const json_t *get(const json_t *object, const char *names)
{
    char name[64];
    for (const char *at = names; object && *at;) {
        size_t n = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        const json_t *found = json_object_get(object, name);
        if (found && !json_is_null(found))
            return found;
        at += n + (at[n] == ' ');
    }
    return NULL;
}

static double number(const json_t *object, const char *names, double otherwise)
{
    const json_t *found = get(object, names);
    return json_is_number(found) ? json_number_value(found) : otherwise;
}

static int64_t integer(const json_t *object, const char *names, int64_t otherwise)
{
    double value = number(object, names, NAN);
    bool whole = value >= -9e15 && value <= 9e15;
    return whole ? (int64_t)value : otherwise;
}

static const char *string(const json_t *object, const char *names, const char *otherwise)
{
    const json_t *found = get(object, names);
    return json_is_string(found) ? json_string_value(found) : otherwise;
}

/* ---- writing keys "<architecture>.<key>" ---- */

static const char *full(const reader *r, char buf[128], const char *key)
{
    snprintf(buf, 128, "%s.%s", r->c->family->architecture, key);
    return buf;
}

static void set_int(reader *r, const char *key, int64_t value)
{
    char name[128];
    r->failed |= !adze_gguf_set_int(r->meta, full(r, name, key), ADZE_GGUF_U32, value);
}

static void set_float(reader *r, const char *key, double value)
{
    char name[128];
    r->failed |= !adze_gguf_set_float(r->meta, full(r, name, key), value);
}

static void set_bool(reader *r, const char *key, bool value)
{
    char name[128];
    r->failed |= !adze_gguf_set_bool(r->meta, full(r, name, key), value);
}

static void set_string(reader *r, const char *key, const char *value)
{
    char name[128];
    r->failed |= !adze_gguf_set_string(r->meta, full(r, name, key), value, strlen(value));
}

/* Keys that are one number of config.json under another name. */
static const struct plain {
    const char *key, *json;
    bool real;
} plain_keys[] = {
    {"vocab_size", "vocab_size", false},
    {"context_length", "max_position_embeddings n_ctx n_positions", false},
    {"feed_forward_length", "intermediate_size n_inner ffn_hidden_size", false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true},
    {"attention.layer_norm_epsilon", "layer_norm_eps layer_norm_epsilon norm_epsilon", true},
    {"expert_count", "num_local_experts num_experts", false},
    {"expert_used_count", "num_experts_per_tok", false},
    {"expert_feed_forward_length", "moe_intermediate_size", false},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", false},
    {"attn_logit_softcapping", "attn_logit_softcapping", true},
    {"final_logit_softcapping", "final_logit_softcapping", true},
    {"attention.scale", "attention_multiplier", true},
    {"embedding_scale", "embedding_multiplier", true},
    {"residual_scale", "residual_multiplier", true},
    {"logit_scale", "logits_scaling logit_scale", true},
};

static void copy_plain(reader *r)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(plain_keys); i++) {
        double value = number(r->c->text, plain_keys[i].json, NAN);
        if (isnan(value))
            continue;
        if (plain_keys[i].real)
            set_float(r, plain_keys[i].key, value);
        else
            set_int(r, plain_keys[i].key, (int64_t)value);
    }
}

/* ---- heads ---- */

static adze_status read_sizes(reader *r, adze_error *err)
{
    adze_hf_config *c = r->c;
    int64_t width = integer(c->text, "hidden_size n_embd", 0);
    c->layers = integer(c->text, "num_hidden_layers n_layer", 0);
    c->heads = integer(c->text, "num_attention_heads n_head", 0);
    if (width < 1 || c->layers < 1 || c->heads < 1)
        return adze_fail(err, ADZE_BAD_FILE, "%s/config.json: no %s", r->folder,
                         width < 1       ? "hidden_size"
                         : c->layers < 1 ? "num_hidden_layers"
                                         : "num_attention_heads");
    if (width % c->heads != 0 && !get(c->text, "head_dim"))
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s/config.json: hidden_size %lld is no multiple of num_attention_heads "
                         "%lld, and there is no head_dim",
                         r->folder, (long long)width, (long long)c->heads);
    c->head_dim = integer(c->text, "head_dim", width / c->heads);
    c->kv_heads = integer(c->text, "num_key_value_heads num_kv_heads", c->heads);
    const char *a = c->family->architecture;
    bool old_falcon = strcmp(a, "falcon") == 0 &&
                      !json_is_true(json_object_get(c->text, "new_decoder_architecture"));
    if (old_falcon)
        c->kv_heads = json_is_false(json_object_get(c->text, "multi_query")) ? c->heads : 1;
    if (strcmp(a, "nomic-bert") == 0 || strcmp(a, "gptneox") == 0 || strcmp(a, "gpt2") == 0)
        c->kv_heads = c->heads;
    if (c->heads % c->kv_heads != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s/config.json: num_key_value_heads %lld: expected a divisor of "
                         "num_attention_heads %lld",
                         r->folder, (long long)c->kv_heads, (long long)c->heads);
    set_int(r, "block_count", c->layers);
    set_int(r, "embedding_length", width);
    set_int(r, "attention.head_count", c->heads);
    set_int(r, "attention.head_count_kv", c->kv_heads);
    if (c->head_dim != width / c->heads || get(c->text, "head_dim")) {
        set_int(r, "attention.key_length", c->head_dim);
        set_int(r, "attention.value_length", c->head_dim);
    }
    if (!get(c->text, "intermediate_size n_inner ffn_hidden_size"))
        set_int(r, "feed_forward_length", 4 * width);
    double scalar = number(c->text, "query_pre_attn_scalar", 0); /* Gemma 2 and 3 */
    if (scalar > 0)
        set_float(r, "attention.scale", 1 / sqrt(scalar));
    return ADZE_OK;
}

/* ---- sliding windows ---- */

static adze_status read_window(reader *r, adze_error *err)
{
    const json_t *types = json_object_get(r->c->text, "layer_types");
    const json_t *use = json_object_get(r->c->text, "use_sliding_window");
    int64_t window = integer(r->c->text, "sliding_window", 0), sliding = 0;
    uint8_t pattern[4096];
    if (json_is_array(types) && (int64_t)json_array_size(types) != r->c->layers)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s/config.json: layer_types has %zu entries for %lld layers", r->folder,
                         json_array_size(types), (long long)r->c->layers);
    size_t n = json_is_array(types) ? ADZE_MIN(json_array_size(types), sizeof pattern) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type || !adze_hf_is_among("full_attention sliding_attention", type))
            return adze_fail(
                err, ADZE_UNSUPPORTED,
                "%s/config.json: layer_types: layer %zu is '%s', not full_attention or "
                "sliding_attention",
                r->folder, i, type ? type : "no text");
        pattern[i] = strcmp(type, "sliding_attention") == 0;
        sliding += pattern[i];
    }
    int64_t first = integer(r->c->text, "max_window_layers", 0); /* transformers 4 on Qwen */
    if (n == 0 && json_is_true(use) && first > 0) {
        n = (size_t)ADZE_MIN(r->c->layers, (int64_t)sizeof pattern);
        for (size_t i = 0; i < n; i++)
            sliding += pattern[i] = (int64_t)i >= first;
    }
    if (window < 1 || !r->c->family->windows || json_is_false(use) || (n > 0 && sliding == 0))
        return ADZE_OK;
    char name[128];
    int64_t period = integer(r->c->text, "sliding_window_pattern", 0); /* transformers 4, Gemma 3 */
    set_int(r, "attention.sliding_window", window);
    if (n == 0 && period > 0)
        set_int(r, "attention.sliding_window_pattern", period);
    if (n > 0)
        r->failed |=
            !adze_gguf_set_array(r->meta, full(r, name, "attention.sliding_window_pattern"),
                                 ADZE_GGUF_BOOL, pattern, (int64_t)n);
    return ADZE_OK;
}

/* ---- rotary positions ---- */

/* transformers 5: rope_parameters, maybe one for each kind of layer; 4: rope_theta and rope_scaling. */
static void find_rope(reader *r)
{
    const json_t *text = r->c->text, *all = json_object_get(text, "rope_parameters");
    const json_t *full_layers = json_object_get(all, "full_attention");
    r->rope = json_is_object(full_layers) ? full_layers : all;
    r->rope_local = json_object_get(all, "sliding_attention");
    if (!json_is_object(r->rope))
        r->rope = json_object_get(text, "rope_scaling");
}

static double rope_number(const reader *r, const char *names, double otherwise)
{
    return number(r->rope, names, number(r->c->text, names, otherwise));
}

static const char *rope_type(const reader *r)
{
    return string(r->rope, "rope_type type", "default");
}

static double original_context(const reader *r)
{
    return rope_number(r, "original_max_position_embeddings",
                       number(r->c->text, "max_position_embeddings n_positions", 0));
}

/* Factors by which llama 3 slows its rotations down (transformers, modeling_rope_utils). */
static void llama3_factors(reader *r, double base, int64_t dims)
{
    double factor = number(r->rope, "factor", 1), low = number(r->rope, "low_freq_factor", 1);
    double high = number(r->rope, "high_freq_factor", 4), original = original_context(r);
    float *f = ADZE_ARENA_ARRAY(r->meta->arena, float, (size_t)dims / 2 + 1);
    r->failed |= !f;
    for (int64_t i = 0; f && i < dims / 2; i++) {
        double wave = 2 * 3.14159265358979323846 * pow(base, 2.0 * (double)i / (double)dims);
        double smooth = (original / wave - low) / (high - low);
        if (wave < original / high)
            f[i] = 1;
        else if (wave > original / low)
            f[i] = (float)factor;
        else
            f[i] = (float)(1 / ((1 - smooth) / factor + smooth));
    }
    r->c->llama3_factors = f;
    r->c->llama3_count = dims / 2;
}

static double yarn_scale(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

/* Our frequencies have the usual factor in them: what is written is what the config asks beyond it. */
static void yarn_keys(reader *r, double factor)
{
    double wanted = number(r->rope, "attention_factor", 0);
    double all = number(r->rope, "mscale_all_dim", 0), one = number(r->rope, "mscale", 0);
    if (wanted == 0 && all != 0 && one != 0)
        wanted = yarn_scale(factor, one) / yarn_scale(factor, all);
    if (wanted != 0)
        set_float(r, "rope.scaling.attn_factor", wanted / yarn_scale(factor, 1));
    if (get(r->rope, "beta_fast"))
        set_float(r, "rope.scaling.yarn_beta_fast", number(r->rope, "beta_fast", 32));
    if (get(r->rope, "beta_slow"))
        set_float(r, "rope.scaling.yarn_beta_slow", number(r->rope, "beta_slow", 1));
}

static adze_status check_factors(const reader *r, const char *name, int64_t dims, adze_error *err)
{
    const json_t *list = json_object_get(r->rope, name);
    bool good = json_is_array(list) && (int64_t)json_array_size(list) == dims / 2;
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        double factor = json_number_value(json_array_get(list, i));
        good = factor > 1e-6 && factor < 1e9;
    }
    if (good)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_FILE,
                     "%s/config.json: rope parameter %s: expected %lld positive numbers", r->folder,
                     name, (long long)dims / 2);
}

static adze_status longrope_keys(reader *r, int64_t dims, adze_error *err)
{
    double original = original_context(r);
    double longest = number(r->c->text, "max_position_embeddings", original);
    double factor = original > 0 ? longest / original : 1;
    double scale = factor > 1 && original > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
    ADZE_TRY(check_factors(r, "long_factor", dims, err));
    ADZE_TRY(check_factors(r, "short_factor", dims, err));
    set_float(r, "rope.scaling.attn_factor", number(r->rope, "attention_factor", scale));
    r->c->long_factors = json_object_get(r->rope, "long_factor");
    r->c->short_factors = json_object_get(r->rope, "short_factor");
    return ADZE_OK;
}

static adze_status scaling_keys(reader *r, double base, int64_t dims, adze_error *err)
{
    static const struct {
        const char *type, *name;
    } needed[] = {
        {"linear", "factor"}, {"dynamic", "factor"},         {"yarn", "factor"},
        {"llama3", "factor"}, {"llama3", "low_freq_factor"}, {"llama3", "high_freq_factor"}};
    const char *type = rope_type(r);
    double factor = number(r->rope, "factor", 1);
    if (strcmp(type, "default") == 0)
        return ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(needed); i++)
        if (strcmp(needed[i].type, type) == 0 && !get(r->rope, needed[i].name))
            return adze_fail(err, ADZE_BAD_FILE, "%s/config.json: rope_type '%s' needs %s",
                             r->folder, type, needed[i].name);
    if (strcmp(type, "llama3") == 0) {
        if (number(r->rope, "high_freq_factor", 4) <= number(r->rope, "low_freq_factor", 1))
            return adze_fail(err, ADZE_BAD_FILE,
                             "%s/config.json: high_freq_factor must be larger than low_freq_factor",
                             r->folder);
        llama3_factors(r, base, dims);
        return ADZE_OK;
    }
    bool known = strcmp(type, "linear") == 0 || strcmp(type, "dynamic") == 0 ||
                 strcmp(type, "yarn") == 0 || strcmp(type, "longrope") == 0 ||
                 strcmp(type, "su") == 0;
    if (!known)
        return adze_fail(
            err, ADZE_UNSUPPORTED,
            "%s/config.json: rope_type '%s' is not known; known are: default, linear, dynamic, "
            "yarn, llama3, longrope",
            r->folder, type);
    bool longrope = strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0;
    bool dynamic = strcmp(type, "dynamic") == 0; /* GGUF has no such type, and llama.cpp stops */
    set_string(r, "rope.scaling.type", longrope ? "longrope" : dynamic ? "none" : type);
    set_int(r, "rope.scaling.original_context_length", (int64_t)original_context(r));
    if (longrope)
        ADZE_TRY(longrope_keys(r, dims, err));
    else
        set_float(r, dynamic ? "rope.scaling.dynamic_factor" : "rope.scaling.factor", factor);
    if (strcmp(type, "yarn") == 0)
        yarn_keys(r, factor);
    return ADZE_OK;
}

static adze_status read_rope(reader *r, adze_error *err)
{
    static const char *const without[] = {"gpt2", "bert"};
    adze_hf_config *c = r->c;
    for (size_t i = 0; i < ADZE_COUNT_OF(without); i++)
        if (strcmp(c->family->architecture, without[i]) == 0)
            return ADZE_OK;
    find_rope(r);
    const char *family = c->family->model_type;
    ADZE_TRY(
        adze_hf_check_values(json_object_get(c->text, "rope_parameters"), family, r->folder, err));
    ADZE_TRY(adze_hf_check_values(r->rope, family, r->folder, err));
    ADZE_TRY(adze_hf_check_values(r->rope_local, family, r->folder, err));
    const char *local_type = string(r->rope_local, "rope_type type", "default");
    if (strcmp(local_type, "default") != 0)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s/config.json: rope_type '%s' of sliding_attention: only default is "
                         "supported there",
                         r->folder, local_type);
    double base = rope_number(r, "rope_theta rotary_emb_base", 10000);
    double part = rope_number(r, "partial_rotary_factor rotary_pct",
                              strcmp(c->family->architecture, "phi2") == 0 ? 0.5 : 1);
    int64_t dims = (int64_t)((double)c->head_dim * part);
    if (json_is_true(json_object_get(c->text, "alibi"))) {
        set_float(r, "attention.max_alibi_bias", 8);
        return ADZE_OK;
    }
    if (dims < 2 || dims % 2 != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s/config.json: %lld of the %lld numbers of a head are rotated: expected "
                         "an even number",
                         r->folder, (long long)dims, (long long)c->head_dim);
    set_int(r, "rope.dimension_count", dims);
    set_float(r, "rope.freq_base", base);
    double local = number(r->rope_local, "rope_theta", number(c->text, "rope_local_base_freq", 0));
    if (local > 0)
        set_float(r, "rope.freq_base_swa", local);
    return scaling_keys(r, base, dims, err);
}

/* ---- what only some families have ---- */

static void read_flags(reader *r)
{
    const json_t *text = r->c->text, *norm = json_object_get(text, "norm_topk_prob");
    const json_t *parallel = json_object_get(text, "use_parallel_residual");
    const char *type = r->c->family->model_type;
    if (strcmp(type, "gpt_neox") == 0 || json_is_boolean(parallel))
        set_bool(r, "use_parallel_residual", !json_is_false(parallel));
    if (strstr(type, "_moe"))
        set_bool(r, "expert_weights_norm", json_is_true(norm));
    if (strcmp(type, "bert") == 0 || strcmp(type, "nomic_bert") == 0)
        set_bool(r, "attention.causal", false);
    int64_t kinds = integer(text, "type_vocab_size", -1);
    if (kinds >= 0)
        r->failed |=
            !adze_gguf_set_int(r->meta, "tokenizer.ggml.token_type_count", ADZE_GGUF_U32, kinds);
    if (json_is_null(json_object_get(text, "attn_logit_softcapping")))
        set_float(r, "attn_logit_softcapping", 0);
    if (json_is_null(json_object_get(text, "final_logit_softcapping")))
        set_float(r, "final_logit_softcapping", 0);
    if (strcmp(type, "falcon") == 0 && json_is_false(json_object_get(text, "parallel_attn")))
        set_bool(r, "use_parallel_residual", false);
}

/* The pooling that sentence-transformers notes beside the model. */
static adze_status pooling_keys(reader *r, const json_t *pooling, const char *path, adze_error *err)
{
    static const char *const modes[] = {"pooling_mode_mean_tokens", "pooling_mode_cls_token",
                                        "pooling_mode_lasttoken"};
    const char *name, *mode = string(pooling, "pooling_mode", "");
    json_t *value;
    for (size_t i = 0; i < ADZE_COUNT_OF(modes); i++)
        if (json_is_true(json_object_get(pooling, modes[i])) ||
            (*mode && adze_starts_with(modes[i] + strlen("pooling_mode_"), mode))) {
            set_int(r, "pooling_type", (int64_t)i + 1);
            return ADZE_OK;
        }
    json_object_foreach((json_t *)(uintptr_t)pooling, name, value)
    {
        if (adze_starts_with(name, "pooling_mode") &&
            (json_is_true(value) || json_is_string(value)))
            return adze_fail(err, ADZE_UNSUPPORTED,
                             "%s: %s: pooling is over the mean, the first or the last token", path,
                             name);
    }
    return ADZE_OK;
}

static adze_status read_pooling(reader *r, adze_error *err)
{
    adze_arena arena = {0};
    const char *path = adze_path_join(&arena, r->folder, "1_Pooling/config.json");
    json_t *pooling = NULL;
    adze_status status = ADZE_OK;
    if (path && adze_file_exists(path))
        status = adze_json_load(&pooling, path, err);
    if (status == ADZE_OK)
        status = pooling_keys(r, pooling, path, err);
    json_decref(pooling);
    adze_arena_free(&arena);
    return status;
}

static adze_status check_activation(const reader *r, adze_error *err)
{
    const char *found =
        string(r->c->text, "hidden_activation hidden_act activation_function activation", "");
    const char *known = r->c->family->activations;
    return !*found || adze_hf_is_among(known, found)
               ? ADZE_OK
               : adze_fail(
                     err, ADZE_UNSUPPORTED,
                     "%s/config.json: activation '%s': a GGUF file of architecture %s means one "
                     "of: %s",
                     r->folder, found, r->c->family->architecture, known);
}

static adze_status check_quantized(const reader *r, adze_error *err)
{
    static const char names[] = "quantization_config compression_config";
    const json_t *q = get(r->c->root, names);
    if (!json_is_object(q))
        q = get(r->c->text, names);
    if (!json_is_object(q))
        return ADZE_OK;
    return adze_fail(
        err, ADZE_UNSUPPORTED,
        "%s/config.json: the checkpoint is already quantized (%s): convert from the original "
        "weights in float16, bfloat16 or float32",
        r->folder, string(q, "quant_method quant_type", "method not named"));
}

static adze_status fill(reader *r, adze_error *err)
{
    adze_hf_config *c = r->c;
    const json_t *text = json_object_get(c->root, "text_config");
    c->text = json_is_object(text) ? json_object_get(c->root, "text_config") : c->root;
    const char *type = string(c->root, "model_type", NULL);
    if (!type)
        return adze_fail(err, ADZE_BAD_FILE, "%s/config.json: no model_type", r->folder);
    c->family = adze_hf_family_find(type);
    char known[512];
    if (!c->family)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s/config.json: model_type '%s' is not known; known are: %s", r->folder,
                         type, adze_hf_family_names(known, sizeof known));
    ADZE_TRY(check_quantized(r, err));
    json_t *defaults = json_loads(c->family->defaults, 0, NULL);
    r->failed |= !defaults || json_object_update_missing(c->text, defaults) != 0;
    json_decref(defaults);
    ADZE_TRY(adze_hf_check_values(c->root, type, r->folder, err));
    ADZE_TRY(adze_hf_check_values(c->text, type, r->folder, err));
    ADZE_TRY(check_activation(r, err));
    const json_t *tied = json_object_get(c->text, "tie_word_embeddings");
    c->tied = json_is_true(tied);
    const char *name = adze_path_name(r->folder);
    r->failed |= !adze_gguf_set_string(r->meta, "general.architecture", c->family->architecture,
                                       strlen(c->family->architecture));
    r->failed |= !adze_gguf_set_string(r->meta, "general.name", name, strlen(name));
    ADZE_TRY(read_sizes(r, err));
    copy_plain(r);
    ADZE_TRY(read_window(r, err));
    ADZE_TRY(read_rope(r, err));
    read_flags(r);
    ADZE_TRY(read_pooling(r, err));
    return r->failed ? adze_fail(err, ADZE_NO_MEMORY, "%s", r->folder) : ADZE_OK;
}

bool adze_hf_config_ids(const adze_hf_config *config, adze_gguf_meta *meta)
{
    static const struct {
        const char *json, *key;
    } ids[] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
               {"eos_token_id", "tokenizer.ggml.eos_token_id"},
               {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    static const char none[] = "no_vocab";
    bool set = adze_gguf_set_string(meta, "tokenizer.ggml.model", none, strlen(none));
    for (size_t i = 0; i < ADZE_COUNT_OF(ids); i++) {
        const json_t *id = get(config->text, ids[i].json);
        if (json_is_array(id)) /* the first of several */
            id = json_array_get(id, 0);
        if (json_is_integer(id) && json_integer_value(id) >= 0)
            set &= adze_gguf_set_int(meta, ids[i].key, ADZE_GGUF_U32, json_integer_value(id));
    }
    return set;
}

adze_status adze_hf_config_read(adze_hf_config *out, adze_gguf_meta *meta, const char *folder,
                                adze_error *err)
{
    adze_hf_config c = {0};
    adze_arena arena = {0};
    const char *path = adze_path_join(&arena, folder, "config.json");
    adze_status status =
        path ? adze_json_load(&c.root, path, err) : adze_fail(err, ADZE_NO_MEMORY, "%s", folder);
    adze_arena_free(&arena);
    reader r = {.c = &c, .meta = meta, .folder = folder};
    if (status == ADZE_OK)
        status = fill(&r, err);
    if (status != ADZE_OK)
        json_decref(c.root);
    else
        *out = c;
    return status;
}
