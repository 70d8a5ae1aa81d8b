/* Granite 3: llama with factors on the embedding, on each branch and on the scores; logits are divided by theirs. */
#include "llm/architectures.h"

static void configure(adze_llm_config *c)
{
    if (c->logit_scale != 0)
        c->logit_scale = 1 / c->logit_scale;
}

const adze_architecture adze_arch_granite[] = {
    {.name = "granite",
     .rope = ADZE_ROPE_INTERLEAVED,
     .activation = "silu",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm "
                 "blk.*.ffn_gate",
     .configure = configure},
    {.name = NULL},
};
