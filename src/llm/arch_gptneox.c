/* GPT-NeoX (Black 2022; Pythia): attention and feed-forward in parallel, each on a norm of its own, where
 * use_parallel_residual says so. */
#include "llm/architectures.h"

static adze_value *layer(adze_builder *b, int64_t i, adze_value *x)
{
    if (!adze_config_bool(b->config, "use_parallel_residual", true))
        return adze_build_layer(b, i, x, NULL);
    adze_value *y = adze_build_attend(b, adze_build_norm(b, x, "attn_norm", i), i, NULL);
    adze_value *z = adze_build_feed(b, adze_build_norm(b, x, "ffn_norm", i), i);
    return adze_build_add(b, x, adze_build_add(b, y, z));
}

const adze_architecture adze_arch_gptneox[] = {
    {.name = "gptneox",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .activation = "gelu",
     .required = "token_embd output_norm output blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm "
                 "blk.*.ffn_up",
     .layer = layer},
    {.name = NULL},
};
