/* Gemma 1, 2, 3: embeddings scaled by the root of their width. Gemma 2 has norms after its branches too, soft
 * caps, and a window on every other layer; Gemma 3 norms of q and k instead of caps, a window on five of six
 * layers, and there rotary positions of a base of their own, not scaled. Norms come with one added. */
#include <math.h>

#include "llm/architectures.h"

static void scale_embedding(adze_llm_config *c)
{
    if (c->embedding_scale == 0)
        c->embedding_scale = sqrtf((float)c->width);
}

/* The largest of both generations divides by another root; its files do not say so (google/gemma_pytorch). */
static void scale_attention(adze_llm_config *c, int64_t layers_of_largest)
{
    if (c->attention_scale == 0 && c->layers == layers_of_largest)
        c->attention_scale = 1 / sqrtf((float)c->width / (float)c->heads);
}

static void configure2(adze_llm_config *c)
{
    scale_embedding(c);
    scale_attention(c, 46);
    c->window_period = 2;
    if (!adze_config_key(c, "attn_logit_softcapping"))
        c->attention_softcap = 50;
    if (!adze_config_key(c, "final_logit_softcapping"))
        c->logit_softcap = 30;
}

static void configure3(adze_llm_config *c)
{
    scale_embedding(c);
    scale_attention(c, 62);
    c->window_period = 6;
}

static adze_value *layer3(adze_builder *b, int64_t i, adze_value *x)
{
    const adze_llm_config *c = b->config;
    adze_build_attention options = {.window = adze_config_window(c, i),
                                    .scale = c->attention_scale};
    if (options.window > 0) {
        options.rope_base = adze_config_float(c, "rope.freq_base_swa", 10000);
        options.rope_unscaled = true;
    }
    return adze_build_layer(b, i, x, &options);
}

#define ALWAYS                                                                                     \
    "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm blk.*.ffn_gate "

const adze_architecture adze_arch_gemma[] = {
    {.name = "gemma",
     .rope = ADZE_ROPE_HALVES,
     .activation = "gelu_tanh",
     .required = ALWAYS,
     .configure = scale_embedding},
    {.name = "gemma2",
     .rope = ADZE_ROPE_HALVES,
     .activation = "gelu_tanh",
     .required = ALWAYS "blk.*.post_attention_norm blk.*.post_ffw_norm",
     .configure = configure2},
    {.name = "gemma3",
     .rope = ADZE_ROPE_HALVES,
     .activation = "gelu_tanh",
     .required = ALWAYS "blk.*.post_attention_norm blk.*.post_ffw_norm blk.*.attn_q_norm "
                        "blk.*.attn_k_norm",
     .configure = configure3,
     .layer = layer3},
    {.name = NULL},
};
