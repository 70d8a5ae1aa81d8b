/* OLMo 2 (2024): norms only after the branches, and of the whole of q and k. */
#include "llm/architectures.h"

const adze_architecture adze_arch_olmo2[] = {
    {.name = "olmo2",
     .rope = ADZE_ROPE_HALVES,
     .activation = "silu",
     .required = "token_embd output_norm output blk.*.post_attention_norm blk.*.post_ffw_norm "
                 "blk.*.attn_output blk.*.ffn_gate blk.*.attn_q_norm blk.*.attn_k_norm"},
    {.name = NULL},
};
