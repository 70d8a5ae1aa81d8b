/* StarCoder 2 (Lozhkov 2024): LayerNorm, biases, a feed-forward without gate, maybe a window. */
#include "llm/architectures.h"

const adze_architecture adze_arch_starcoder2[] = {
    {.name = "starcoder2",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .activation = "gelu_tanh",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm "
                 "blk.*.ffn_up"},
    {.name = NULL},
};
