/* Llama (Touvron 2023; Llama 2, 3, 3.1, 3.2) and what is written under its name in GGUF files: Mistral, Mixtral,
 * SmolLM, TinyLlama, ... Rows of q and k are permuted in GGUF, so that rotated pairs are neighbours. */
#include "llm/architectures.h"

const adze_architecture adze_arch_llama[] = {
    {.name = "llama",
     .rope = ADZE_ROPE_INTERLEAVED,
     .activation = "silu",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_output blk.*.ffn_norm"},
    {.name = NULL},
};
