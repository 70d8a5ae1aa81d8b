/* Phi-2: both branches of a layer on one norm, biases everywhere, half of each head rotated. Phi-3, 3.5 and 4: like
 * llama, with q, k, v in one tensor, gate and up in another, a window, and longrope. */
#include "llm/architectures.h"

const adze_architecture adze_arch_phi[] = {
    {.name = "phi2",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .activation = "gelu_tanh",
     .required = "token_embd output_norm output blk.*.attn_norm blk.*.attn_output blk.*.ffn_up"},
    {.name = "phi3",
     .rope = ADZE_ROPE_HALVES,
     .activation = "silu",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm "
                 "blk.*.ffn_up"},
    {.name = NULL},
};
