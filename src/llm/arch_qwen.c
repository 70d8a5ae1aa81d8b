/* Qwen 2 and 2.5 (biases of q, k, v), Qwen 3 (norms of q and k), and both with experts (Qwen2-MoE has shared ones
 * beside the routed ones, behind a gate). */
#include "llm/architectures.h"

#define ALWAYS "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm "

const adze_architecture adze_arch_qwen[] = {
    {.name = "qwen2",
     .rope = ADZE_ROPE_HALVES,
     .activation = "silu",
     .required = ALWAYS "blk.*.ffn_gate"},
    {.name = "qwen3",
     .rope = ADZE_ROPE_HALVES,
     .activation = "silu",
     .required = ALWAYS "blk.*.ffn_gate blk.*.attn_q_norm blk.*.attn_k_norm"},
    {.name = "qwen2moe",
     .rope = ADZE_ROPE_HALVES,
     .experts_unnormed = true,
     .activation = "silu",
     .required = ALWAYS},
    {.name = "qwen3moe",
     .rope = ADZE_ROPE_HALVES,
     .activation = "silu",
     .required = ALWAYS "blk.*.attn_q_norm blk.*.attn_k_norm"},
    {.name = NULL},
};
