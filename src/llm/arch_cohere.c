/* Command R (Cohere): LayerNorm without bias, both branches on one norm, scaled logits; the larger one has norms of
 * q and k with weights for each head. */
#include "llm/architectures.h"

const adze_architecture adze_arch_cohere[] = {
    {.name = "command-r",
     .rope = ADZE_ROPE_INTERLEAVED,
     .layer_norm = true,
     .activation = "silu",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_gate"},
    {.name = NULL},
};
