/* The architectures: one row each, found by the name in general.architecture. A row says what a layer is made of;
 * most layers are the shared ones of build.h, which follow the tensors that are there (a bias, a norm of
 * q and k, a gate, experts). See docs/add-an-architecture.md. */
#ifndef ADZE_LLM_ARCHITECTURES_H
#define ADZE_LLM_ARCHITECTURES_H
#include "llm/build.h"

typedef enum adze_rope_kind {
    ADZE_ROPE_NONE,
    ADZE_ROPE_INTERLEAVED, /* pairs are neighbours: 2i, 2i + 1 */
    ADZE_ROPE_HALVES       /* pairs are i, i + dims / 2 (NeoX) */
} adze_rope_kind;

typedef struct adze_architecture {
    const char *name; /* as in general.architecture, and the prefix of its keys */
    adze_rope_kind rope;
    bool layer_norm;        /* norms subtract the mean (LayerNorm); else root mean square */
    bool encoder;           /* every token sees every token; no cache, no logits */
    bool experts_unnormed;  /* weights of the chosen experts need not sum to one */
    const char *activation; /* of the feed-forward: "silu", "gelu", "gelu_tanh", "relu" */
    const char
        *required; /* tensors that must be there, separated by blanks; "blk.*.": every layer */
    /* Defaults that differ, for what the metadata did not say (0); NULL: none. */
    void (*configure)(adze_llm_config *config);
    /* Hidden states [T, width] from tokens; NULL: the rows of token_embd. */
    adze_value *(*embed)(adze_builder *b, adze_value *tokens);
    /* One layer, x [T, width] -> [T, width]; NULL: adze_build_layer. */
    adze_value *(*layer)(adze_builder *b, int64_t i, adze_value *x);
} adze_architecture;

/* clang-format off */
#define ADZE_ARCHITECTURES(X) \
    X(llama) X(qwen) X(gemma) X(phi) X(gpt2) X(gptneox) X(stablelm) X(falcon) X(starcoder2) \
    X(olmo2) X(granite) X(cohere) X(bert)
/* clang-format on */

#define X(name) extern const adze_architecture adze_arch_##name[];
ADZE_ARCHITECTURES(X)
#undef X

/* NULL when there is none. Files hold arrays closed by a row without a name. */
const adze_architecture *adze_architecture_find(const char *name);
/* All names, separated by ", ", into buf, which is returned. */
const char *adze_architecture_names(char *buf, size_t size);

#endif
