/* What config.json may say: the kind of each value, its range, and what it must not say because another model would
 * have to be computed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "llm/hf_impl.h"

/* What each number may be: anything else would make sizes that nothing could hold, or no numbers at all. */
static const struct limit {
    const char *names;
    double low, high;
    bool whole;
} limits[] = {
    {"hidden_size n_embd", 1, 1 << 24, true},
    {"num_hidden_layers n_layer", 1, 4096, true},
    {"num_attention_heads n_head", 1, 65536, true},
    {"num_key_value_heads num_kv_heads", 1, 65536, true},
    {"head_dim", 1, 65536, true},
    {"vocab_size", 1, 1 << 30, true},
    {"max_position_embeddings n_ctx n_positions", 1, 1 << 30, true},
    {"original_max_position_embeddings", 1, 1 << 30, true},
    {"intermediate_size n_inner ffn_hidden_size", 1, 1 << 28, true},
    {"moe_intermediate_size", 0, 1 << 28, true},
    {"shared_expert_intermediate_size", 0, 1 << 28, true},
    {"num_local_experts num_experts", 0, 65536, true},
    {"num_experts_per_tok", 0, 65536, true},
    {"type_vocab_size", 0, 65536, true},
    {"sliding_window", -1, 1 << 30, true},
    {"sliding_window_pattern", 0, 4096, true},
    {"max_window_layers", 0, 1 << 30, true},
    {"rms_norm_eps", 1e-30, 100, false},
    {"layer_norm_eps layer_norm_epsilon norm_epsilon", 1e-30, 100, false},
    {"rope_theta rotary_emb_base", 1e-6, 1e30, false},
    {"rope_local_base_freq", 1e-6, 1e30, false},
    {"partial_rotary_factor rotary_pct", 0, 1, false},
    {"factor", 1e-6, 1e6, false},
    {"low_freq_factor", 1e-6, 1e6, false},
    {"high_freq_factor", 1e-6, 1e6, false},
    {"beta_fast", 1e-6, 1e6, false},
    {"beta_slow", 1e-6, 1e6, false},
    {"attention_factor", 0, 1e6, false},
    {"mscale", 0, 1e6, false},
    {"mscale_all_dim", 0, 1e6, false},
    {"query_pre_attn_scalar", 1e-6, 1e9, false},
    {"attn_logit_softcapping", 0, 1e9, false},
    {"final_logit_softcapping", 0, 1e9, false},
    {"attention_multiplier", -1e9, 1e9, false},
    {"embedding_multiplier", -1e9, 1e9, false},
    {"residual_multiplier", -1e9, 1e9, false},
    {"logits_scaling", 1e-9, 1e9, false},
    {"logit_scale", -1e9, 1e9, false},
};

/* Values that are no numbers. */
static const struct kind {
    const char *names, *what;
    json_type type; /* JSON_TRUE: either truth */
} kinds[] = {
    {"tie_word_embeddings use_sliding_window use_parallel_residual new_decoder_architecture "
     "multi_query parallel_attn alibi norm_topk_prob",
     "true or false", JSON_TRUE},
    {"model_type hidden_act hidden_activation activation_function rope_type type", "a text",
     JSON_STRING},
    {"layer_types", "a list", JSON_ARRAY},
    {"rope_parameters rope_scaling text_config full_attention sliding_attention", "an object",
     JSON_OBJECT},
};

/* Switches that no graph here follows: whatever has them otherwise is another model. */
static const struct only {
    const char *model_types, *name, *values; /* NULL: every model; spellings in JSON */
} onlys[] = {
    {"gemma3 gemma3_text", "use_bidirectional_attention", "false"},
    {"gpt2", "scale_attn_weights", "true"},
    {"gpt2", "scale_attn_by_inverse_layer_idx", "false"},
    {"falcon", "apply_residual_connection_post_layernorm", "false"},
    {"bert", "is_decoder", "false"},
    {"bert", "position_embedding_type", "\"absolute\""},
    {"nomic_bert", "causal", "false"},
    {"nomic_bert", "prenorm", "false"},
    {"nomic_bert", "parallel_block", "false"},
    {"nomic_bert", "use_rms_norm", "false"},
    {"nomic_bert", "rotary_emb_fraction", "1.0 1"},
    {"nomic_bert", "rotary_emb_interleaved", "false"},
    {NULL, "truncate", "true"}, /* of YaRN */
};

bool adze_hf_is_among(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = names; *at && n > 0;) {
        size_t length = strcspn(at, " ");
        if (length == n && strncmp(at, name, n) == 0)
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

static bool fits_limit(const struct limit *limit, const json_t *value)
{
    double number = json_number_value(value);
    return json_is_number(value) && number >= limit->low && number <= limit->high &&
           (!limit->whole || number == floor(number));
}

static bool fits_kind(const struct kind *kind, const json_t *value)
{
    return json_typeof(value) == kind->type || (kind->type == JSON_TRUE && json_is_boolean(value));
}

/* `text`: the value as JSON. */
static adze_status check_value(const char *name, const json_t *value, const char *text,
                               const char *model_type, const char *folder, adze_error *err)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(limits); i++)
        if (adze_hf_is_among(limits[i].names, name) && !fits_limit(&limits[i], value))
            return adze_fail(err, ADZE_BAD_FILE,
                             "%s/config.json: %s: expected a %snumber from %g to %g, found %.60s",
                             folder, name, limits[i].whole ? "whole " : "", limits[i].low,
                             limits[i].high, text);
    for (size_t i = 0; i < ADZE_COUNT_OF(kinds); i++)
        if (adze_hf_is_among(kinds[i].names, name) && !fits_kind(&kinds[i], value))
            return adze_fail(err, ADZE_BAD_FILE, "%s/config.json: %s: expected %s, found %.60s",
                             folder, name, kinds[i].what, text);
    for (size_t i = 0; i < ADZE_COUNT_OF(onlys); i++) {
        const struct only *o = &onlys[i];
        if (strcmp(o->name, name) == 0 && !adze_hf_is_among(o->values, text) &&
            (!o->model_types || adze_hf_is_among(o->model_types, model_type)))
            return adze_fail(err, ADZE_UNSUPPORTED,
                             "%s/config.json: %s: only %.*s is supported, found %.60s", folder,
                             name, (int)strcspn(o->values, " "), o->values, text);
    }
    return ADZE_OK;
}

adze_status adze_hf_check_values(const json_t *object, const char *model_type, const char *folder,
                                 adze_error *err)
{
    const char *name;
    json_t *value;
    adze_status status = ADZE_OK;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (json_is_null(value) || status != ADZE_OK)
            continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        status = check_value(name, value, text ? text : "something else", model_type, folder, err);
        free(text);
    }
    return status;
}
