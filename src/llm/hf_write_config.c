/* Metadata in GGUF's keys back as config.json, in the spelling of transformers 5. What families share is said once;
 * a row for each family names its class and what of the rest it has. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/architectures.h"
#include "llm/hf_write_impl.h"

enum {
    KV = 1,       /* num_key_value_heads */
    HEAD = 2,     /* head_dim */
    PART = 4,     /* partial_rotary_factor */
    WINDOW = 8,   /* sliding_window on all layers, or null */
    SOME = 16,    /* sliding_window on some layers, by layer_types and use_sliding_window */
    TYPES = 32,   /* layer_types alone */
    SOFTCAP = 64, /* and query_pre_attn_scalar */
    EXPERTS = 128,
    NO_ROPE = 256
};

static const struct row {
    const char *model_type, *class, *epsilon, *act_key, *act;
    int has;
    const char *biases; /* key that says there are biases of attention, or NULL */
    const char *norms;  /* key that says there are norms of q and k, or NULL */
} rows[] = {
    {"llama", "LlamaForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | HEAD, "attention_bias",
     NULL},
    {"mistral", "MistralForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | HEAD | WINDOW,
     NULL, NULL},
    {"mixtral", "MixtralForCausalLM", "rms_norm_eps", "hidden_act", "silu",
     KV | HEAD | WINDOW | EXPERTS, NULL, NULL},
    {"granite", "GraniteForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV, "attention_bias",
     NULL},
    {"qwen2", "Qwen2ForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | SOME, NULL, NULL},
    {"qwen3", "Qwen3ForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | HEAD | SOME,
     "attention_bias", NULL},
    {"qwen2_moe", "Qwen2MoeForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | SOME | EXPERTS,
     "qkv_bias", NULL},
    {"qwen3_moe", "Qwen3MoeForCausalLM", "rms_norm_eps", "hidden_act", "silu",
     KV | HEAD | SOME | EXPERTS, "attention_bias", NULL},
    {"gemma", "GemmaForCausalLM", "rms_norm_eps", "hidden_act", "gelu_pytorch_tanh", KV | HEAD,
     "attention_bias", NULL},
    {"gemma2", "Gemma2ForCausalLM", "rms_norm_eps", "hidden_activation", "gelu_pytorch_tanh",
     KV | HEAD | TYPES | SOFTCAP, "attention_bias", NULL},
    {"gemma3_text", "Gemma3ForCausalLM", "rms_norm_eps", "hidden_activation", "gelu_pytorch_tanh",
     KV | HEAD | TYPES | SOFTCAP, "attention_bias", NULL},
    {"phi", "PhiForCausalLM", "layer_norm_eps", "hidden_act", "gelu_new", KV | PART, NULL,
     "qk_layernorm"},
    {"phi3", "Phi3ForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV | PART | WINDOW, NULL,
     NULL},
    {"gpt2", "GPT2LMHeadModel", "layer_norm_epsilon", "activation_function", "gelu_new", NO_ROPE,
     NULL, NULL},
    {"gpt_neox", "GPTNeoXForCausalLM", "layer_norm_eps", "hidden_act", "gelu", PART,
     "attention_bias", NULL},
    {"stablelm", "StableLmForCausalLM", "layer_norm_eps", "hidden_act", "silu", KV | PART,
     "use_qkv_bias", "qk_layernorm"},
    {"falcon", "FalconForCausalLM", "layer_norm_epsilon", "activation", "gelu", 0, "bias", NULL},
    {"starcoder2", "Starcoder2ForCausalLM", "norm_epsilon", "hidden_act", "gelu_pytorch_tanh",
     KV | WINDOW, "use_bias", NULL},
    {"olmo2", "Olmo2ForCausalLM", "rms_norm_eps", "hidden_act", "silu", KV, "attention_bias", NULL},
    {"cohere", "CohereForCausalLM", "layer_norm_eps", "hidden_act", "silu", KV, "attention_bias",
     "use_qk_norm"},
    {"bert", "BertModel", "layer_norm_eps", "hidden_act", "gelu", NO_ROPE, NULL, NULL},
    {"nomic_bert", "NomicBertModel", "layer_norm_eps", "hidden_act", "silu", HEAD, NULL, NULL},
};

typedef struct maker {
    const adze_hf_export *x;
    const adze_llm_config *c;
    const struct row *row;
    const char *path;
    json_t *out;
    bool failed; /* out of memory */
} maker;

/* ---- setting ---- */

static void set(maker *m, json_t *object, const char *key, json_t *value)
{
    m->failed |= json_object_set_new(object, key, value) != 0;
}

static void set_int(maker *m, const char *key, int64_t value)
{
    set(m, m->out, key, json_integer((json_int_t)value));
}

static void set_bool(maker *m, const char *key, bool value)
{
    set(m, m->out, key, json_boolean(value));
}

/* The shortest decimal number that is this float: 0.02, not 0.0199999996. */
static json_t *real(double value)
{
    char text[40];
    float wanted = (float)value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)wanted);
        if (strtof(text, NULL) == wanted)
            break;
    }
    return json_real(strtod(text, NULL));
}

static void set_real(maker *m, const char *key, double value)
{
    set(m, m->out, key, real(value));
}

/* Null where there is none (0). */
static void set_or_null(maker *m, const char *key, double value)
{
    set(m, m->out, key, value != 0 ? real(value) : json_null());
}

static bool is(const maker *m, const char *model_types)
{
    const char *type = m->row->model_type;
    size_t n = strlen(type);
    for (const char *at = model_types; *at;) {
        size_t length = strcspn(at, " ");
        if (length == n && strncmp(at, type, n) == 0)
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

/* ---- what tensors say ---- */

static const adze_checkpoint_tensor *tensor(const maker *m, const char *name)
{
    return adze_checkpoint_find(m->x->from, name);
}

/* A dimension of the first of two tensors that is there. */
static int64_t dim(const maker *m, const char *name, int axis, int64_t otherwise)
{
    const adze_checkpoint_tensor *t = tensor(m, name);
    return t && axis < t->rank ? t->dims[axis] : otherwise;
}

static bool has_biases(const maker *m)
{
    return tensor(m, "blk.0.attn_q.bias") || tensor(m, "blk.0.attn_qkv.bias");
}

/* ---- rotary positions ---- */

/* The inverse of llama 3's factors. They say how the wave lengths compare with two bounds, original / high and
 * original / low, not what each of the three is: low is taken as 1, as in all models. Pairs between the bounds
 * give both; with one of them, or none, high is taken as 4. */
typedef struct llama3 {
    double factor, high, original;
} llama3;

static double wave_of(const adze_llm_config *c, int64_t i)
{
    return 2 * 3.14159265358979323846 *
           pow((double)c->rope_base, 2.0 * (double)i / (double)c->rope_dims);
}

static double llama3_factor(const llama3 *k, double wave)
{
    double smooth = (k->original / wave - 1) / (k->high - 1);
    if (wave < k->original / k->high)
        return 1;
    return wave > k->original ? k->factor : 1 / ((1 - smooth) / k->factor + smooth);
}

static llama3 guess_llama3(const adze_llm_config *c, const float *f, int64_t n)
{
    llama3 k = {.factor = (double)f[n - 1], .high = 4, .original = 0};
    int64_t first = -1, last = -1, ones = 0;
    for (int64_t i = 0; i < n; i++) {
        bool between = f[i] > 1 && (double)f[i] < k.factor * (1 - 1e-6);
        first = between && first < 0 ? i : first;
        last = between ? i : last;
        ones += f[i] == 1;
    }
    if (first < 0) { /* anything between the last that is kept and the first that is slowed */
        k.original = ones < n ? ceil(wave_of(c, ones) / 2) : 0;
        return k;
    }
    /* smooth = (original / wave - 1) / (high - 1): a line in 1 / wave */
    double x0 = 1 / wave_of(c, first), x1 = 1 / wave_of(c, last);
    double s0 = (1 / (double)f[first] - 1 / k.factor) / (1 - 1 / k.factor);
    double s1 = (1 / (double)f[last] - 1 / k.factor) / (1 - 1 / k.factor);
    if (last > first) {
        double slope = (s0 - s1) / (x0 - x1), at_zero = s0 - slope * x0;
        k.high = at_zero < 0 ? 1 - 1 / at_zero : 4;
        if (fabs(k.high - round(k.high)) < 1e-2)
            k.high = round(k.high);
    }
    k.original = round((s0 * (k.high - 1) + 1) / x0);
    return k;
}

static adze_status llama3_rope(maker *m, json_t *rope, const adze_checkpoint_tensor *t,
                               adze_error *err)
{
    const adze_llm_config *c = m->c;
    int64_t n = c->rope_dims / 2;
    float *f = adze_alloc((size_t)n + 1, sizeof *f);
    if (!f)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", m->path);
    bool good = t->rank == 1 && t->dtype == ADZE_F32 && t->dims[0] == n && n > 0;
    adze_status status = good ? adze_checkpoint_rows(m->x->from, t, 0, 1, f, err) : ADZE_OK;
    llama3 k = {0};
    if (good && status == ADZE_OK) {
        k = guess_llama3(c, f, n);
        for (int64_t i = 0; i < n; i++)
            good &= fabs(llama3_factor(&k, wave_of(c, i)) / (double)f[i] - 1) < 1e-4;
    }
    adze_free(f);
    if (status == ADZE_OK && !good)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: tensor rope_freqs.weight is not of the form of llama 3, and no other "
                         "can be said in config.json",
                         m->path);
    set(m, rope, "rope_type", json_string("llama3"));
    set(m, rope, "factor", real(k.factor));
    set(m, rope, "low_freq_factor", json_real(1));
    set(m, rope, "high_freq_factor", real(k.high));
    set(m, rope, "original_max_position_embeddings", json_integer((json_int_t)k.original));
    return status;
}

static adze_status factors(maker *m, json_t *rope, const char *key, const char *name,
                           adze_error *err)
{
    const adze_checkpoint_tensor *t = tensor(m, name);
    if (!t || t->rank != 1 || t->dtype != ADZE_F32)
        return adze_fail(err, ADZE_BAD_MODEL, "%s: tensor %s: expected a vector of F32, %s",
                         m->path, name, t ? "found something else" : "found none");
    float *f = adze_alloc((size_t)t->dims[0] + 1, sizeof *f);
    if (!f)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", m->path);
    adze_status status = adze_checkpoint_rows(m->x->from, t, 0, 1, f, err);
    json_t *list = json_array();
    for (int64_t i = 0; i < t->dims[0] && status == ADZE_OK; i++)
        json_array_append_new(list, real((double)f[i]));
    adze_free(f);
    set(m, rope, key, list);
    return status;
}

/* Our keys have the factor of attention without the usual one of YaRN in it. */
static void yarn_rope(maker *m, json_t *rope, double factor)
{
    double usual = factor > 1 ? 0.1 * log(factor) + 1 : 1;
    double scale = (double)adze_config_float(m->c, "rope.scaling.attn_factor", 1);
    double own = (double)adze_config_float(m->c, "rope.scaling.yarn_attn_factor", (float)usual);
    if (adze_config_key(m->c, "rope.scaling.attn_factor") ||
        adze_config_key(m->c, "rope.scaling.yarn_attn_factor"))
        set(m, rope, "attention_factor", real(scale * own));
    static const char *const betas[] = {"beta_fast", "beta_slow"};
    for (size_t i = 0; i < ADZE_COUNT_OF(betas); i++) {
        char key[64];
        snprintf(key, sizeof key, "rope.scaling.yarn_%s", betas[i]);
        if (adze_config_key(m->c, key))
            set(m, rope, betas[i], real((double)adze_config_float(m->c, key, 0)));
    }
}

static adze_status scaled_rope(maker *m, json_t *rope, const char *type, adze_error *err)
{
    double factor = adze_rope_factor(m->c);
    int64_t original =
        adze_config_int(m->c, "rope.scaling.original_context_length", m->c->trained_context);
    set(m, rope, "rope_type", json_string(type));
    bool longrope = strcmp(type, "longrope") == 0;
    if (!longrope)
        set(m, rope, "factor", real(factor));
    if (longrope || strcmp(type, "yarn") == 0)
        set(m, rope, "original_max_position_embeddings", json_integer((json_int_t)original));
    if (strcmp(type, "yarn") == 0)
        yarn_rope(m, rope, factor);
    if (!longrope)
        return ADZE_OK;
    if (m->c->trained_context > original && original > 0)
        set(m, rope, "factor", real((double)m->c->trained_context / (double)original));
    if (adze_config_key(m->c, "rope.scaling.attn_factor"))
        set(m, rope, "attention_factor",
            real((double)adze_config_float(m->c, "rope.scaling.attn_factor", 1)));
    if (is(m, "phi3"))
        set_int(m, "original_max_position_embeddings", original);
    ADZE_TRY(factors(m, rope, "long_factor", "rope_factors_long.weight", err));
    return factors(m, rope, "short_factor", "rope_factors_short.weight", err);
}

static adze_status fill_rope(maker *m, json_t *rope, adze_error *err)
{
    const char *type = adze_rope_scaling(m->c);
    const adze_checkpoint_tensor *freqs = tensor(m, "rope_freqs.weight");
    set(m, rope, "rope_theta", real((double)m->c->rope_base));
    if (m->row->has & PART)
        set(m, rope, "partial_rotary_factor",
            real((double)m->c->rope_dims / (double)m->c->key_dim));
    else if (m->c->rope_dims != m->c->key_dim)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: %lld of %lld numbers of a head are rotated, which model_type %s "
                         "cannot say",
                         m->path, (long long)m->c->rope_dims, (long long)m->c->key_dim,
                         m->row->model_type);
    if (freqs)
        return llama3_rope(m, rope, freqs, err);
    if (adze_config_key(m->c, "rope.scaling.dynamic_factor")) {
        set(m, rope, "rope_type", json_string("dynamic"));
        set(m, rope, "factor",
            real((double)adze_config_float(m->c, "rope.scaling.dynamic_factor", 1)));
        return ADZE_OK;
    }
    if (strcmp(type, "none") != 0 && strcmp(type, "") != 0)
        return scaled_rope(m, rope, type, err);
    set(m, rope, "rope_type", json_string("default"));
    return ADZE_OK;
}

static adze_status put_rope(maker *m, adze_error *err)
{
    if (m->row->has & NO_ROPE)
        return ADZE_OK;
    json_t *rope = json_object();
    if (!is(m, "gemma3_text")) {
        set(m, m->out, "rope_parameters", rope);
        return fill_rope(m, rope, err);
    }
    json_t *both = json_object(), *local = json_object();
    set(m, m->out, "rope_parameters", both);
    set(m, both, "full_attention", rope);
    set(m, both, "sliding_attention", local);
    set(m, local, "rope_type", json_string("default"));
    set(m, local, "rope_theta", real((double)adze_config_float(m->c, "rope.freq_base_swa", 10000)));
    return fill_rope(m, rope, err);
}

/* ---- windows ---- */

static void put_windows(maker *m)
{
    const adze_llm_config *c = m->c;
    int64_t first = -1;
    if (m->row->has & WINDOW)
        set(m, m->out, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
    if (!(m->row->has & (SOME | TYPES)))
        return;
    json_t *types = json_array();
    for (int64_t i = 0; i < c->layers; i++) {
        bool slides = adze_config_window(c, i) > 0;
        first = slides && first < 0 ? i : first;
        json_array_append_new(types, json_string(slides ? "sliding_attention" : "full_attention"));
    }
    set(m, m->out, "layer_types", types);
    if (m->row->has & TYPES || first >= 0)
        set_int(m, "sliding_window", c->window > 0 ? c->window : 4096);
    if (m->row->has & SOME) {
        set_bool(m, "use_sliding_window", first >= 0);
        set_int(m, "max_window_layers", first >= 0 ? first : c->layers);
    }
}

/* ---- sizes ---- */

static void put_sizes(maker *m)
{
    const adze_llm_config *c = m->c;
    bool gpt2 = is(m, "gpt2");
    int64_t positions = dim(m, "position_embd.weight", 0, c->trained_context);
    int64_t inner = dim(m, "blk.0.ffn_down.weight", 1, dim(m, "blk.0.ffn_down_exps.weight", 2, 0));
    if (is(m, "qwen2_moe qwen3_moe"))
        inner = adze_config_int_at(c, "feed_forward_length", 0, inner);
    set_int(m, "vocab_size", c->vocabulary);
    set_int(m, gpt2 ? "n_embd" : "hidden_size", c->width);
    set_int(m, gpt2 ? "n_layer" : "num_hidden_layers", c->layers);
    set_int(m, gpt2 ? "n_head" : "num_attention_heads", c->heads);
    set_int(m, gpt2 ? "n_inner" : is(m, "falcon") ? "ffn_hidden_size" : "intermediate_size", inner);
    if (positions > 0)
        set_int(m, gpt2 ? "n_positions" : "max_position_embeddings", positions);
    if (m->row->has & KV)
        set_int(m, "num_key_value_heads", c->kv_heads[0]);
    if (m->row->has & HEAD || c->key_dim != c->width / c->heads)
        set_int(m, "head_dim", c->key_dim);
    set_real(m, m->row->epsilon, (double)c->norm_epsilon);
    set(m, m->out, m->row->act_key, json_string(m->row->act));
    set_bool(m, "tie_word_embeddings", !tensor(m, "output.weight"));
}

static void put_experts(maker *m)
{
    if (!(m->row->has & EXPERTS))
        return;
    set_int(m, is(m, "qwen2_moe") ? "num_experts" : "num_local_experts", m->c->experts);
    set_int(m, "num_experts_per_tok", m->c->experts_used);
    if (is(m, "mixtral"))
        return;
    set_int(m, "moe_intermediate_size", dim(m, "blk.0.ffn_gate_exps.weight", 1, 0));
    if (is(m, "qwen2_moe"))
        set_int(m, "shared_expert_intermediate_size", dim(m, "blk.0.ffn_gate_shexp.weight", 0, 0));
    set_bool(m, "norm_topk_prob",
             adze_config_bool(m->c, "expert_weights_norm", !m->c->architecture->experts_unnormed));
    set_int(m, "decoder_sparse_step", 1);
    set(m, m->out, "mlp_only_layers", json_array());
}

/* ---- what only some families have ---- */

static void put_scales(maker *m)
{
    const adze_llm_config *c = m->c;
    if (is(m, "granite")) {
        set_real(m, "embedding_multiplier", (double)adze_config_float(c, "embedding_scale", 1));
        set_real(m, "residual_multiplier", (double)adze_config_float(c, "residual_scale", 1));
        set_real(m, "attention_multiplier", (double)adze_config_float(c, "attention.scale", 1));
        set_real(m, "logits_scaling", (double)adze_config_float(c, "logit_scale", 1));
    }
    if (is(m, "cohere"))
        set_real(m, "logit_scale", (double)adze_config_float(c, "logit_scale", 1));
    if (!(m->row->has & SOFTCAP))
        return;
    set_or_null(m, "attn_logit_softcapping", (double)c->attention_softcap);
    set_or_null(m, "final_logit_softcapping", (double)c->logit_softcap);
    double scale = (double)c->attention_scale, scalar = (double)c->key_dim;
    if (scale > 0)
        scalar = 1 / (scale * scale);
    if (fabs(scalar - round(scalar)) < 1e-4 * scalar)
        set_int(m, "query_pre_attn_scalar", (int64_t)round(scalar));
    else
        set_real(m, "query_pre_attn_scalar", scalar);
}

static void put_falcon(maker *m)
{
    const adze_llm_config *c = m->c;
    int64_t kv = c->kv_heads[0];
    bool two = tensor(m, "blk.0.attn_norm_2.weight") != NULL;
    bool grouped = two || (kv != 1 && kv != c->heads);
    bool alibi = adze_config_float(c, "attention.max_alibi_bias", 0) > 0;
    set_bool(m, "new_decoder_architecture", grouped);
    set_bool(m, "multi_query", kv == 1 || grouped);
    set_int(m, "num_kv_heads", kv);
    set_bool(m, "parallel_attn", !alibi && adze_config_bool(c, "use_parallel_residual", true));
    set(m, m->out, "num_ln_in_parallel_attn", grouped ? json_integer(two ? 2 : 1) : json_null());
    set_bool(m, "alibi", alibi);
}

static void put_flags(maker *m)
{
    const adze_llm_config *c = m->c;
    if (m->row->biases)
        set_bool(m, m->row->biases, has_biases(m));
    if (m->row->norms)
        set_bool(m, m->row->norms, tensor(m, "blk.0.attn_q_norm.weight") != NULL);
    if (is(m, "llama granite"))
        set_bool(m, "mlp_bias", tensor(m, "blk.0.ffn_up.bias") != NULL);
    if (is(m, "gpt_neox"))
        set_bool(m, "use_parallel_residual", adze_config_bool(c, "use_parallel_residual", true));
    if (is(m, "stablelm")) /* both branches on one norm: the second is not there */
        set_bool(m, "use_parallel_residual", !tensor(m, "blk.0.ffn_norm.weight"));
    if (is(m, "bert nomic_bert"))
        set_int(m, "type_vocab_size", dim(m, "token_types.weight", 0, 1));
    if (is(m, "falcon"))
        put_falcon(m);
}

/* ---- special tokens ---- */

static void put_ids(maker *m, json_t *generation)
{
    static const struct {
        const char *json, *key;
    } ids[] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
               {"eos_token_id", "tokenizer.ggml.eos_token_id"},
               {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    for (size_t i = 0; i < ADZE_COUNT_OF(ids); i++) {
        int64_t id = adze_gguf_int(m->c->meta, ids[i].key, -1);
        set(m, m->out, ids[i].json, id >= 0 ? json_integer((json_int_t)id) : json_null());
        if (id >= 0)
            set(m, generation, ids[i].json, json_integer((json_int_t)id));
    }
    int64_t eos = adze_gguf_int(m->c->meta, "tokenizer.ggml.eos_token_id", -1);
    int64_t eot = adze_gguf_int(m->c->meta, "tokenizer.ggml.eot_token_id", -1);
    if (eos >= 0 && eot >= 0 && eos != eot)
        set(m, generation, "eos_token_id", json_pack("[I, I]", (json_int_t)eos, (json_int_t)eot));
    set(m, generation, "_from_model_config", json_true());
}

static adze_status make(maker *m, json_t *generation, adze_error *err)
{
    adze_dtype type = m->x->type;
    set(m, m->out, "architectures", json_pack("[s]", m->row->class));
    set(m, m->out, "model_type", json_string(m->row->model_type));
    set(m, m->out, "dtype",
        json_string(type == ADZE_F32   ? "float32"
                    : type == ADZE_F16 ? "float16"
                                       : "bfloat16"));
    put_sizes(m);
    put_experts(m);
    put_windows(m);
    put_scales(m);
    put_flags(m);
    put_ids(m, generation);
    ADZE_TRY(put_rope(m, err));
    return m->failed ? adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for config.json", m->path)
                     : ADZE_OK;
}

adze_status adze_hf_config_make(json_t **config, json_t **generation, const adze_hf_export *x,
                                adze_error *err)
{
    maker m = {.x = x, .c = &x->config, .path = adze_checkpoint_path(x->from)};
    for (size_t i = 0; i < ADZE_COUNT_OF(rows); i++)
        if (strcmp(rows[i].model_type, x->family->model_type) == 0)
            m.row = &rows[i];
    if (!m.row)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: model_type %s cannot be written", m.path,
                         x->family->model_type);
    m.out = json_object();
    json_t *other = json_object();
    adze_status status =
        m.out && other ? make(&m, other, err) : adze_fail(err, ADZE_NO_MEMORY, "%s", m.path);
    if (status != ADZE_OK) {
        json_decref(m.out);
        json_decref(other);
        return status;
    }
    *config = m.out;
    *generation = other;
    return ADZE_OK;
}
