/* Which tensor of a Hugging Face model is which of GGUF. Prefixes such as "model." are taken off before. A rule
 * whose tensor is not there does not apply; the first that applies to a GGUF name wins. */
#include <stdio.h>
#include <string.h>

#include "llm/hf_impl.h"

/* Names that most families share. */
const adze_hf_rule adze_hf_common_rules[] = {
    {"token_embd", "embed_tokens", ADZE_HF_PLAIN},
    {"output_norm", "norm", ADZE_HF_PLAIN},
    {"output", "lm_head", ADZE_HF_PLAIN},
    {"blk.*.attn_norm", "layers.*.input_layernorm", ADZE_HF_PLAIN},
    {"blk.*.attn_q", "layers.*.self_attn.q_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_k", "layers.*.self_attn.k_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_v", "layers.*.self_attn.v_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_qkv", "layers.*.self_attn.qkv_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_output", "layers.*.self_attn.o_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_q_norm", "layers.*.self_attn.q_norm", ADZE_HF_PLAIN},
    {"blk.*.attn_k_norm", "layers.*.self_attn.k_norm", ADZE_HF_PLAIN},
    {"blk.*.ffn_norm", "layers.*.post_attention_layernorm", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate", "layers.*.mlp.gate_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "layers.*.mlp.up_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "layers.*.mlp.down_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate_inp", "layers.*.mlp.gate", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate_exps", "layers.*.mlp.experts.#.gate_proj", ADZE_HF_STACK},
    {"blk.*.ffn_up_exps", "layers.*.mlp.experts.#.up_proj", ADZE_HF_STACK},
    {"blk.*.ffn_down_exps", "layers.*.mlp.experts.#.down_proj", ADZE_HF_STACK},
    {"blk.*.ffn_gate_exps", "layers.*.mlp.experts.gate_up_proj", ADZE_HF_FIRST_HALF},
    {"blk.*.ffn_up_exps", "layers.*.mlp.experts.gate_up_proj", ADZE_HF_SECOND_HALF},
    {"blk.*.ffn_down_exps", "layers.*.mlp.experts.down_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate_shexp", "layers.*.mlp.shared_expert.gate_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_up_shexp", "layers.*.mlp.shared_expert.up_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_down_shexp", "layers.*.mlp.shared_expert.down_proj", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate_inp_shexp", "layers.*.mlp.shared_expert_gate", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule none[] = {{NULL, NULL, ADZE_HF_PLAIN}};

static const adze_hf_rule llama[] = {
    {"blk.*.attn_q", "layers.*.self_attn.q_proj", ADZE_HF_ROPE_Q},
    {"blk.*.attn_k", "layers.*.self_attn.k_proj", ADZE_HF_ROPE_K},
    {"blk.*.ffn_gate_inp", "layers.*.block_sparse_moe.gate", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate_exps", "layers.*.block_sparse_moe.experts.#.w1", ADZE_HF_STACK},
    {"blk.*.ffn_down_exps", "layers.*.block_sparse_moe.experts.#.w2", ADZE_HF_STACK},
    {"blk.*.ffn_up_exps", "layers.*.block_sparse_moe.experts.#.w3", ADZE_HF_STACK},
    {"blk.*.ffn_gate_exps", "layers.*.block_sparse_moe.experts.gate_up_proj", ADZE_HF_FIRST_HALF},
    {"blk.*.ffn_up_exps", "layers.*.block_sparse_moe.experts.gate_up_proj", ADZE_HF_SECOND_HALF},
    {"blk.*.ffn_down_exps", "layers.*.block_sparse_moe.experts.down_proj", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule phi3[] = {
    {"blk.*.ffn_up", "layers.*.mlp.gate_up_proj", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule norms_after[] = {
    /* Gemma 2 and 3, OLMo 2 */
    {"blk.*.post_attention_norm", "layers.*.post_attention_layernorm", ADZE_HF_PLAIN},
    {"blk.*.ffn_norm", "layers.*.pre_feedforward_layernorm", ADZE_HF_PLAIN},
    {"blk.*.post_ffw_norm", "layers.*.post_feedforward_layernorm", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule phi2[] = {
    {"output_norm", "final_layernorm", ADZE_HF_PLAIN},
    {"blk.*.attn_output", "layers.*.self_attn.dense", ADZE_HF_PLAIN},
    {"blk.*.attn_q_norm", "layers.*.self_attn.q_layernorm", ADZE_HF_PLAIN},
    {"blk.*.attn_k_norm", "layers.*.self_attn.k_layernorm", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "layers.*.mlp.fc1", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "layers.*.mlp.fc2", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule stablelm[] = {
    {"blk.*.attn_q_norm", "layers.*.self_attn.q_layernorm.norms.#", ADZE_HF_STACK},
    {"blk.*.attn_k_norm", "layers.*.self_attn.k_layernorm.norms.#", ADZE_HF_STACK},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule starcoder2[] = {
    {"blk.*.ffn_up", "layers.*.mlp.c_fc", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "layers.*.mlp.c_proj", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule gpt2[] = {
    {"token_embd", "wte", ADZE_HF_PLAIN},
    {"position_embd", "wpe", ADZE_HF_PLAIN},
    {"output_norm", "ln_f", ADZE_HF_PLAIN},
    {"blk.*.attn_norm", "h.*.ln_1", ADZE_HF_PLAIN},
    {"blk.*.attn_qkv", "h.*.attn.c_attn", ADZE_HF_TURNED},
    {"blk.*.attn_output", "h.*.attn.c_proj", ADZE_HF_TURNED},
    {"blk.*.ffn_norm", "h.*.ln_2", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "h.*.mlp.c_fc", ADZE_HF_TURNED},
    {"blk.*.ffn_down", "h.*.mlp.c_proj", ADZE_HF_TURNED},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule gpt_neox[] = {
    {"token_embd", "embed_in", ADZE_HF_PLAIN},
    {"output_norm", "final_layer_norm", ADZE_HF_PLAIN},
    {"output", "embed_out", ADZE_HF_PLAIN},
    {"blk.*.attn_qkv", "layers.*.attention.query_key_value", ADZE_HF_QKV_HEADS},
    {"blk.*.attn_output", "layers.*.attention.dense", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "layers.*.mlp.dense_h_to_4h", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "layers.*.mlp.dense_4h_to_h", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule falcon[] = {
    {"token_embd", "word_embeddings", ADZE_HF_PLAIN},
    {"output_norm", "ln_f", ADZE_HF_PLAIN},
    {"blk.*.attn_norm", "h.*.ln_mlp", ADZE_HF_PLAIN},
    {"blk.*.attn_norm_2", "h.*.ln_attn", ADZE_HF_PLAIN},
    {"blk.*.attn_norm", "h.*.input_layernorm", ADZE_HF_PLAIN},
    {"blk.*.ffn_norm", "h.*.post_attention_layernorm", ADZE_HF_PLAIN},
    {"blk.*.attn_qkv", "h.*.self_attention.query_key_value", ADZE_HF_QKV_GROUPS},
    {"blk.*.attn_output", "h.*.self_attention.dense", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "h.*.mlp.dense_h_to_4h", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "h.*.mlp.dense_4h_to_h", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule bert[] = {
    {"token_embd", "embeddings.word_embeddings", ADZE_HF_PLAIN},
    {"position_embd", "embeddings.position_embeddings", ADZE_HF_PLAIN},
    {"token_types", "embeddings.token_type_embeddings", ADZE_HF_PLAIN},
    {"token_embd_norm", "embeddings.LayerNorm", ADZE_HF_PLAIN},
    {"blk.*.attn_q", "encoder.layer.*.attention.self.query", ADZE_HF_PLAIN},
    {"blk.*.attn_k", "encoder.layer.*.attention.self.key", ADZE_HF_PLAIN},
    {"blk.*.attn_v", "encoder.layer.*.attention.self.value", ADZE_HF_PLAIN},
    {"blk.*.attn_output", "encoder.layer.*.attention.output.dense", ADZE_HF_PLAIN},
    {"blk.*.attn_output_norm", "encoder.layer.*.attention.output.LayerNorm", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "encoder.layer.*.intermediate.dense", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "encoder.layer.*.output.dense", ADZE_HF_PLAIN},
    {"blk.*.layer_output_norm", "encoder.layer.*.output.LayerNorm", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

static const adze_hf_rule nomic_bert[] = {
    {"token_embd", "embeddings.word_embeddings", ADZE_HF_PLAIN},
    {"token_types", "embeddings.token_type_embeddings", ADZE_HF_PLAIN},
    {"token_embd_norm", "emb_ln", ADZE_HF_PLAIN},
    {"blk.*.attn_qkv", "encoder.layers.*.attn.Wqkv", ADZE_HF_PLAIN},
    {"blk.*.attn_output", "encoder.layers.*.attn.out_proj", ADZE_HF_PLAIN},
    {"blk.*.attn_output_norm", "encoder.layers.*.norm1", ADZE_HF_PLAIN},
    {"blk.*.ffn_up", "encoder.layers.*.mlp.fc11", ADZE_HF_PLAIN},
    {"blk.*.ffn_gate", "encoder.layers.*.mlp.fc12", ADZE_HF_PLAIN},
    {"blk.*.ffn_down", "encoder.layers.*.mlp.fc2", ADZE_HF_PLAIN},
    {"blk.*.layer_output_norm", "encoder.layers.*.norm2", ADZE_HF_PLAIN},
    {NULL, NULL, ADZE_HF_PLAIN},
};

#define GELU_TANH "gelu_new gelu_pytorch_tanh gelu_fast"
/* Its multimodal checkpoints say little more than hidden_size. */
#define GEMMA3                                                                                     \
    "{\"num_hidden_layers\": 26, \"hidden_size\": 2304, "                                          \
    "\"intermediate_size\": 9216, \"num_attention_heads\": 8, "                                    \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"rms_norm_eps\": 1e-6, "                      \
    "\"max_position_embeddings\": 131072, "                                                        \
    "\"tie_word_embeddings\": true, \"rope_theta\": 1e6, "                                         \
    "\"rope_local_base_freq\": 1e4, \"query_pre_attn_scalar\": 256, "                              \
    "\"sliding_window\": 4096, \"sliding_window_pattern\": 6}"
static const adze_hf_family families[] = {
    {.model_type = "llama",
     .architecture = "llama",
     .activations = "silu swish",
     .rules = llama,
     .defaults = "{\"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 2048}"},
    {.model_type = "mistral",
     .architecture = "llama",
     .activations = "silu swish",
     .rules = llama,
     .defaults = "{\"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 131072, \"sliding_window\": 4096}",
     .windows = true},
    {.model_type = "mixtral",
     .architecture = "llama",
     .activations = "silu swish",
     .rules = llama,
     .defaults = "{\"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-5, "
                 "\"max_position_embeddings\": 131072, \"rope_theta\": 1e6, "
                 "\"num_local_experts\": 8, \"num_experts_per_tok\": 2}",
     .windows = true},
    {.model_type = "granite",
     .architecture = "granite",
     .activations = "silu swish",
     .rules = llama,
     .defaults = "{\"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 2048, "
                 "\"attention_multiplier\": 1, \"embedding_multiplier\": 1, "
                 "\"residual_multiplier\": 1, \"logits_scaling\": 1}"},
    {.model_type = "qwen2",
     .architecture = "qwen2",
     .activations = "silu swish",
     .rules = none,
     .defaults = "{\"num_key_value_heads\": 32, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 32768, \"use_sliding_window\": false, "
                 "\"sliding_window\": 4096, \"max_window_layers\": 28}",
     .windows = true},
    {.model_type = "qwen3",
     .architecture = "qwen3",
     .activations = "silu swish",
     .rules = none,
     .defaults = "{\"num_key_value_heads\": 32, \"head_dim\": 128, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 32768, \"use_sliding_window\": false, "
                 "\"sliding_window\": 4096, \"max_window_layers\": 28}",
     .windows = true},
    {.model_type = "qwen2_moe",
     .architecture = "qwen2moe",
     .activations = "silu swish",
     .rules = none,
     .defaults = "{\"num_key_value_heads\": 16, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 32768, \"use_sliding_window\": false, "
                 "\"sliding_window\": 4096, \"max_window_layers\": 28, \"num_experts\": 60, "
                 "\"num_experts_per_tok\": 4}",
     .windows = true},
    {.model_type = "qwen3_moe",
     .architecture = "qwen3moe",
     .activations = "silu swish",
     .rules = none,
     .defaults = "{\"num_key_value_heads\": 4, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 32768, \"use_sliding_window\": false, "
                 "\"sliding_window\": 4096, \"max_window_layers\": 28, \"num_experts\": 128, "
                 "\"num_experts_per_tok\": 8}",
     .windows = true},
    {.model_type = "gemma",
     .architecture = "gemma",
     .activations = "gelu " GELU_TANH, /* "gelu" has always meant the tanh form there */
     .rules = none,
     .defaults = "{\"num_key_value_heads\": 16, \"head_dim\": 256, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 8192, \"tie_word_embeddings\": true}",
     .norm_plus_one = true},
    {.model_type = "gemma2",
     .architecture = "gemma2",
     .activations = "gelu " GELU_TANH,
     .rules = norms_after,
     .defaults = "{\"num_key_value_heads\": 4, \"head_dim\": 256, \"rms_norm_eps\": 1e-6, "
                 "\"max_position_embeddings\": 8192, \"tie_word_embeddings\": true, "
                 "\"query_pre_attn_scalar\": 256, \"sliding_window\": 4096, "
                 "\"attn_logit_softcapping\": 50, \"final_logit_softcapping\": 30}",
     .windows = true,
     .norm_plus_one = true},
    {.model_type = "gemma3_text",
     .architecture = "gemma3",
     .activations = "gelu " GELU_TANH,
     .rules = norms_after,
     .defaults = GEMMA3,
     .windows = true,
     .norm_plus_one = true},
    {.model_type = "gemma3",
     .architecture = "gemma3",
     .activations = "gelu " GELU_TANH,
     .rules = norms_after,
     .defaults = GEMMA3,
     .windows = true,
     .norm_plus_one = true},
    {.model_type = "phi",
     .architecture = "phi2",
     .activations = GELU_TANH,
     .rules = phi2,
     .defaults = "{\"layer_norm_eps\": 1e-5, \"partial_rotary_factor\": 0.5, "
                 "\"max_position_embeddings\": 2048}",
     .layer_norm = true},
    {.model_type = "phi3",
     .architecture = "phi3",
     .activations = "silu swish",
     .rules = phi3,
     .defaults = "{\"rms_norm_eps\": 1e-5, \"max_position_embeddings\": 4096, "
                 "\"original_max_position_embeddings\": 4096}",
     .windows = true},
    {.model_type = "gpt2",
     .architecture = "gpt2",
     .prefix = "transformer.",
     .activations = GELU_TANH,
     .rules = gpt2,
     .defaults = "{\"layer_norm_epsilon\": 1e-5, \"tie_word_embeddings\": true}",
     .layer_norm = true},
    {.model_type = "gpt_neox",
     .architecture = "gptneox",
     .prefix = "gpt_neox.",
     .activations = "gelu",
     .rules = gpt_neox,
     .defaults = "{\"layer_norm_eps\": 1e-5, \"rotary_pct\": 0.25, "
                 "\"max_position_embeddings\": 2048}",
     .layer_norm = true},
    {.model_type = "stablelm",
     .architecture = "stablelm",
     .activations = "silu swish",
     .rules = stablelm,
     .defaults = "{\"layer_norm_eps\": 1e-5, \"partial_rotary_factor\": 0.25, "
                 "\"max_position_embeddings\": 4096}",
     .layer_norm = true},
    {.model_type = "falcon",
     .architecture = "falcon",
     .prefix = "transformer.",
     .activations = "gelu",
     .rules = falcon,
     .defaults = "{\"layer_norm_epsilon\": 1e-5, \"max_position_embeddings\": 2048}",
     .layer_norm = true},
    {.model_type = "starcoder2",
     .architecture = "starcoder2",
     .activations = GELU_TANH,
     .rules = starcoder2,
     .defaults = "{\"num_key_value_heads\": 2, \"norm_epsilon\": 1e-5, "
                 "\"max_position_embeddings\": 4096}",
     .windows = true,
     .layer_norm = true},
    {.model_type = "olmo2",
     .architecture = "olmo2",
     .activations = "silu swish",
     .rules = norms_after,
     .defaults = "{\"rms_norm_eps\": 1e-5, \"max_position_embeddings\": 2048}"},
    {.model_type = "cohere",
     .architecture = "command-r",
     .activations = "silu swish",
     .rules = none,
     .defaults = "{\"layer_norm_eps\": 1e-5, \"logit_scale\": 0.0625, "
                 "\"max_position_embeddings\": 8192, \"tie_word_embeddings\": true}",
     .layer_norm = true},
    {.model_type = "bert",
     .architecture = "bert",
     .prefix = "",
     .activations = "gelu",
     .rules = bert,
     .defaults = "{\"layer_norm_eps\": 1e-12, \"max_position_embeddings\": 512, "
                 "\"type_vocab_size\": 2}",
     .layer_norm = true},
    {.model_type = "nomic_bert",
     .architecture = "nomic-bert",
     .prefix = "",
     .activations = "silu swiglu",
     .rules = nomic_bert,
     .defaults = "{\"norm_epsilon\": 1e-12}",
     .layer_norm = true},
};

const adze_hf_family *adze_hf_family_find(const char *model_type)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(families); i++)
        if (strcmp(families[i].model_type, model_type) == 0)
            return &families[i];
    return NULL;
}

/* Mixtral and Mistral are llama to GGUF, told apart by what they have; of several others the first is meant. */
const adze_hf_family *adze_hf_family_of(const char *architecture, bool experts, bool window)
{
    if (strcmp(architecture, "llama") == 0)
        return adze_hf_family_find(experts ? "mixtral" : window ? "mistral" : "llama");
    for (size_t i = 0; i < ADZE_COUNT_OF(families); i++)
        if (strcmp(families[i].architecture, architecture) == 0)
            return &families[i];
    return NULL;
}

void adze_hf_expand(char buf[192], const char *pattern, int64_t layer, int64_t part,
                    const char *suffix)
{
    size_t at = 0;
    for (const char *p = pattern; *p && at < 150; p++) {
        if (*p == '*')
            at += (size_t)snprintf(buf + at, 192 - at, "%lld", (long long)layer);
        else if (*p == '#')
            at += (size_t)snprintf(buf + at, 192 - at, "%lld", (long long)part);
        else
            buf[at++] = *p;
    }
    snprintf(buf + at, 192 - at, "%s", suffix);
}

bool adze_hf_adds_one(const adze_hf_family *family, const char *gguf_name)
{
    return family->norm_plus_one && adze_ends_with(gguf_name, "_norm.weight");
}

const char *adze_hf_family_names(char *buf, size_t size)
{
    size_t at = 0;
    buf[0] = 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(families) && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", families[i].model_type);
    return buf;
}
