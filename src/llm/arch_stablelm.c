/* StableLM: llama with LayerNorm and a quarter of each head rotated. The larger ones of the second generation have
 * both branches on one norm, and norms of q and k with weights for each head. */
#include "llm/architectures.h"

const adze_architecture adze_arch_stablelm[] = {
    {.name = "stablelm",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .activation = "silu",
     .required = "token_embd output_norm output blk.*.attn_norm blk.*.attn_output blk.*.ffn_gate"},
    {.name = NULL},
};
