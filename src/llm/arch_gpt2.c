/* GPT-2 (Radford 2019): learned positions, added to the embedding; no rotation. */
#include "llm/architectures.h"

static adze_value *embed(adze_builder *b, adze_value *tokens)
{
    return adze_build_add(b, adze_build_embedding(b, tokens, "token_embd"),
                          adze_build_learned_positions(b));
}

const adze_architecture adze_arch_gpt2[] = {
    {.name = "gpt2",
     .rope = ADZE_ROPE_NONE,
     .layer_norm = true,
     .activation = "gelu_tanh",
     .required = "token_embd position_embd output_norm blk.*.attn_norm blk.*.attn_output "
                 "blk.*.ffn_norm blk.*.ffn_up",
     .embed = embed},
    {.name = NULL},
};
