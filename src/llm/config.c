/* Hyper-parameters: one reading of the keys that nearly all architectures share, with the defaults that
 * GGUF gives them, checked for what would make a graph impossible. */
#include "llm/config.h"

#include <stdio.h>
#include <string.h>

#include "llm/architectures.h"

enum { MOST_LAYERS = 4096, MOST_HEADS = 65536 };
static const int64_t most_width = (int64_t)1 << 24;

const adze_gguf_entry *adze_config_key(const adze_llm_config *config, const char *key)
{
    char full[160];
    snprintf(full, sizeof full, "%s.%s", config->prefix, key);
    return adze_gguf_find(config->meta, full);
}

static bool is_number(const adze_gguf_entry *e)
{
    return e && e->type != ADZE_GGUF_STRING && e->type != ADZE_GGUF_ARRAY;
}

int64_t adze_config_int(const adze_llm_config *config, const char *key, int64_t otherwise)
{
    const adze_gguf_entry *e = adze_config_key(config, key);
    return is_number(e) ? adze_gguf_int(config->meta, e->key, otherwise) : otherwise;
}

float adze_config_float(const adze_llm_config *config, const char *key, float otherwise)
{
    const adze_gguf_entry *e = adze_config_key(config, key);
    return is_number(e) ? (float)adze_gguf_float(config->meta, e->key, otherwise) : otherwise;
}

bool adze_config_bool(const adze_llm_config *config, const char *key, bool otherwise)
{
    return adze_config_int(config, key, otherwise) != 0;
}

int64_t adze_config_int_at(const adze_llm_config *config, const char *key, int64_t layer,
                           int64_t otherwise)
{
    const adze_gguf_entry *e = adze_config_key(config, key);
    if (!e || e->type != ADZE_GGUF_ARRAY)
        return adze_config_int(config, key, otherwise);
    bool numbers = e->element != ADZE_GGUF_STRING && e->element != ADZE_GGUF_ARRAY;
    return numbers && layer < e->count ? adze_gguf_int_at(e, layer) : otherwise;
}

/* A key that must be there, between 1 and `most`. */
static adze_status need(const adze_llm_config *c, const char *path, const char *key, int64_t most,
                        int64_t *out, adze_error *err)
{
    int64_t value = adze_config_int_at(c, key, 0, -1);
    if (value < 1 || value > most)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: %s.%s: expected a number from 1 to %lld, found %s", path, c->prefix,
                         key, (long long)most,
                         adze_config_key(c, key) ? "something else" : "no such key");
    *out = value;
    return ADZE_OK;
}

/* The architectures that are not made for one token after another say so here. */
static adze_status read_heads(adze_llm_config *c, const char *path, adze_arena *arena,
                              adze_error *err)
{
    ADZE_TRY(need(c, path, "attention.head_count", MOST_HEADS, &c->heads, err));
    int64_t *kv = ADZE_ARENA_ARRAY(arena, int64_t, (size_t)c->layers);
    if (!kv)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    for (int64_t i = 0; i < c->layers; i++) {
        kv[i] = adze_config_int_at(c, "attention.head_count_kv", i, c->heads);
        if (kv[i] < 1 || kv[i] > c->heads || c->heads % kv[i] != 0)
            return adze_fail(
                err, ADZE_BAD_FILE,
                "%s: %s.attention.head_count_kv of layer %lld: expected a divisor of %lld, "
                "found %lld",
                path, c->prefix, (long long)i, (long long)c->heads, (long long)kv[i]);
    }
    c->kv_heads = kv;
    c->key_dim = adze_config_int(c, "attention.key_length", c->width / c->heads);
    c->value_dim = adze_config_int(c, "attention.value_length", c->key_dim);
    if (c->key_dim < 1 || c->key_dim > most_width || c->value_dim < 1 || c->value_dim > most_width)
        return adze_fail(err, ADZE_BAD_FILE, "%s: heads of %lld and %lld numbers", path,
                         (long long)c->key_dim, (long long)c->value_dim);
    return ADZE_OK;
}

static void read_scales(adze_llm_config *c)
{
    c->norm_epsilon =
        adze_config_float(c, "attention.layer_norm_rms_epsilon",
                          adze_config_float(c, "attention.layer_norm_epsilon", 1e-5f));
    c->attention_softcap = adze_config_float(c, "attn_logit_softcapping", 0);
    c->logit_softcap = adze_config_float(c, "final_logit_softcapping", 0);
    c->embedding_scale = adze_config_float(c, "embedding_scale", 0);
    c->residual_scale = adze_config_float(c, "residual_scale", 0);
    c->attention_scale = adze_config_float(c, "attention.scale", 0);
    c->logit_scale = adze_config_float(c, "logit_scale", 0);
    c->window = adze_config_int_at(c, "attention.sliding_window", 0, 0);
}

/* What would make no numbers, or none that JSON can hold. */
static adze_status check_scales(const adze_llm_config *c, const char *path, adze_error *err)
{
    static const struct {
        const char *key;
        float least;
    } keys[] = {{"attention.layer_norm_rms_epsilon", 0},
                {"attention.layer_norm_epsilon", 0},
                {"rope.freq_base", 1e-6f},
                {"rope.freq_base_swa", 1e-6f},
                {"rope.scaling.factor", 0},
                {"rope.scale_linear", 0},
                {"rope.scaling.attn_factor", -1e9f},
                {"rope.scaling.yarn_attn_factor", -1e9f},
                {"rope.scaling.yarn_beta_fast", 1e-6f},
                {"rope.scaling.yarn_beta_slow", 1e-6f},
                {"rope.scaling.dynamic_factor", 0},
                {"attn_logit_softcapping", 0},
                {"final_logit_softcapping", 0},
                {"embedding_scale", -1e9f},
                {"residual_scale", -1e9f},
                {"attention.scale", -1e9f},
                {"attention.max_alibi_bias", 0},
                {"logit_scale", -1e9f}};
    for (size_t i = 0; i < ADZE_COUNT_OF(keys); i++) {
        float value = adze_config_float(c, keys[i].key, 1);
        if (!(value >= keys[i].least && value <= 1e30f))
            return adze_fail(err, ADZE_BAD_FILE,
                             "%s: %s.%s: expected a number of at least %g, found %g", path,
                             c->prefix, keys[i].key, (double)keys[i].least, (double)value);
    }
    return ADZE_OK;
}

int64_t adze_config_window(const adze_llm_config *c, int64_t layer)
{
    static const char key[] = "attention.sliding_window_pattern";
    const adze_gguf_entry *e = adze_config_key(c, key);
    if (e && e->type == ADZE_GGUF_ARRAY)
        return adze_config_int_at(c, key, layer, 0) ? c->window : 0;
    int64_t period = adze_config_int(c, key, c->window_period);
    return period > 0 && layer % period == period - 1 ? 0 : c->window;
}

static adze_status read_rope(adze_llm_config *c, const char *path, adze_error *err)
{
    c->rope_dims = adze_config_int(c, "rope.dimension_count", c->key_dim);
    c->rope_base = adze_config_float(c, "rope.freq_base", 10000);
    if (c->rope_dims < 0 || c->rope_dims > c->key_dim || c->rope_dims % 2 != 0)
        return adze_fail(
            err, ADZE_BAD_FILE,
            "%s: %s.rope.dimension_count: expected an even number up to %lld, found %lld", path,
            c->prefix, (long long)c->key_dim, (long long)c->rope_dims);
    static const char *const known[] = {"none", "linear", "yarn", "longrope"};
    const adze_gguf_entry *scaling = adze_config_key(c, "rope.scaling.type");
    const char *type = scaling ? adze_gguf_string(c->meta, scaling->key, "no text") : known[0];
    for (size_t i = 0; i < ADZE_COUNT_OF(known); i++)
        if (strcmp(type, known[i]) == 0)
            return ADZE_OK;
    return adze_fail(err, ADZE_UNSUPPORTED,
                     "%s: %s.rope.scaling.type '%s' is not known; known are: none, linear, yarn, "
                     "longrope",
                     path, c->prefix, type);
}

static adze_status find_architecture(adze_llm_config *c, const char *path, adze_error *err)
{
    const char *name = adze_gguf_string(c->meta, "general.architecture", NULL);
    if (!name)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: no general.architecture: this is not a language model", path);
    c->architecture = adze_architecture_find(name);
    if (!c->architecture) {
        char known[1024];
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: architecture '%s' is not known; known are: %s",
                         path, name, adze_architecture_names(known, sizeof known));
    }
    c->prefix = c->architecture->name;
    return ADZE_OK;
}

adze_status adze_llm_config_read(adze_llm_config *out, const adze_checkpoint *checkpoint,
                                 adze_arena *arena, adze_error *err)
{
    adze_llm_config c = {.meta = adze_checkpoint_meta(checkpoint)};
    const char *path = adze_checkpoint_path(checkpoint);
    ADZE_TRY(find_architecture(&c, path, err));
    ADZE_TRY(need(&c, path, "block_count", MOST_LAYERS, &c.layers, err));
    ADZE_TRY(need(&c, path, "embedding_length", most_width, &c.width, err));
    const adze_checkpoint_tensor *embedding = adze_checkpoint_find(checkpoint, "token_embd.weight");
    if (!embedding || embedding->rank != 2 || embedding->dims[1] != c.width)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s: tensor token_embd.weight: expected [tokens, %lld], %s", path,
                         (long long)c.width, embedding ? "found another shape" : "found none");
    c.vocabulary = embedding->dims[0];
    c.trained_context = adze_config_int(&c, "context_length", 0);
    c.experts = adze_config_int(&c, "expert_count", 0);
    c.experts_used = adze_config_int(&c, "expert_used_count", 0);
    if (c.experts < 0 || c.experts_used < (c.experts > 0) || c.experts_used > c.experts)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: %lld experts, of which %lld are used: expected 1 to all of them",
                         path, (long long)c.experts, (long long)c.experts_used);
    c.pooling = (adze_pooling)adze_config_int(&c, "pooling_type", ADZE_POOLING_NONE);
    ADZE_TRY(read_heads(&c, path, arena, err));
    ADZE_TRY(read_rope(&c, path, err));
    ADZE_TRY(check_scales(&c, path, err));
    read_scales(&c);
    if (c.architecture->configure)
        c.architecture->configure(&c);
    *out = c;
    return ADZE_OK;
}
