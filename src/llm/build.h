/* Blocks from which the graphs of language models are built. T is the number of tokens of a run (a symbol
 * bounded by the batch), activations are float32 [T, width].
 *
 * A builder remembers its first failure and then does nothing more: blocks return NULL, and NULL goes
 * through all of them, so an architecture is written without a check. Tensors are named without
 * "blk.<i>." and ".weight" ("attn_q"), layer -1: of the whole model. */
#ifndef ADZE_LLM_BUILD_H
#define ADZE_LLM_BUILD_H
#include "graph/ir.h"
#include "llm/config.h"

enum { ADZE_BUILDER_ROPES = 4 };

typedef struct adze_builder {
    adze_graph *graph;
    const adze_checkpoint *checkpoint;
    const adze_llm_config *config;
    adze_arena *arena;     /* lives as long as the graph: weights that had to be made */
    int64_t context;       /* rows of the KV cache */
    adze_dtype cache_type; /* its elements */
    adze_value *positions; /* [T] int64; NULL: an encoder without a cache */
    struct {
        float base;
        bool scaled;
        adze_value *table;
    } ropes[ADZE_BUILDER_ROPES];
    int rope_count;
    size_t made_bytes; /* of weights in the arena */
    adze_error *err;
    adze_status status;
} adze_builder;

/* Notes the first failure; returns NULL. */
adze_value *adze_build_fail(adze_builder *b, adze_status status, const char *format, ...)
    ADZE_PRINTF(3, 4);

/* ---- weights ---- */

bool adze_build_has(const adze_builder *b, const char *name, int64_t layer); /* <name>.weight */
/* A weight as a constant in its own type (mapped where it can be); NULL and a failure when absent. */
adze_value *adze_build_weight(adze_builder *b, const char *name, int64_t layer);
/* `suffix` "bias" or "weight"; float32, made from any float type; NULL without failure when absent. */
adze_value *adze_build_vector(adze_builder *b, const char *name, const char *suffix, int64_t layer);
adze_value *adze_build_constant(adze_builder *b, const char *name, int rank, const int64_t *dims,
                                const float *values); /* copied */

/* ---- nodes ---- */

/* A node with one output. Domain "" or "adze". */
adze_value *adze_build_node(adze_builder *b, const char *domain, const char *op, const char *name,
                            int inputs, adze_value *const *values);
#define ADZE_BUILD(b, domain, op, ...)                                                             \
    adze_build_node(b, domain, op, NULL,                                                           \
                    (int)(sizeof((adze_value *[]){__VA_ARGS__}) / sizeof(adze_value *)),           \
                    (adze_value *[]){__VA_ARGS__})
/* Attributes of the node that made `value`; NULL passes. */
void adze_build_int(adze_builder *b, adze_value *value, const char *name, int64_t attr);
void adze_build_float(adze_builder *b, adze_value *value, const char *name, float attr);
void adze_build_string(adze_builder *b, adze_value *value, const char *name, const char *attr);

adze_value *adze_build_add(adze_builder *b, adze_value *x, adze_value *y);
adze_value *adze_build_scale(adze_builder *b, adze_value *x, float factor); /* 0 or 1: x itself */
adze_value *adze_build_reshape(adze_builder *b, adze_value *x, int rank, const int64_t *dims);

/* ---- blocks ---- */

/* Rows of <name>.weight for the tokens, times the embedding_scale of the config. */
adze_value *adze_build_embedding(adze_builder *b, adze_value *tokens, const char *name);
/* Rows of position_embd for the positions; fails where the context is longer than that. */
adze_value *adze_build_learned_positions(adze_builder *b);
/* The architecture's kind of norm over the last axis, with <name>.weight and, if there, <name>.bias. */
adze_value *adze_build_norm(adze_builder *b, adze_value *x, const char *name, int64_t layer);
/* x times the transposed <name>.weight [n, k], plus <name>.bias if there. */
adze_value *adze_build_linear(adze_builder *b, adze_value *x, const char *name, int64_t layer);
/* The same with rows first .. first + count - 1 of the weight and the bias. */
adze_value *adze_build_linear_rows(adze_builder *b, adze_value *x, const char *name, int64_t layer,
                                   int64_t first, int64_t count);

typedef struct adze_build_attention {
    int64_t window;      /* 0: none */
    float scale;         /* 0: 1 / sqrt(key_dim) */
    float rope_base;     /* 0: the config's */
    bool no_rope;        /* this layer has no positions */
    bool rope_unscaled;  /* without the scaling of the metadata (local layers of gemma 3) */
    const float *slopes; /* [heads] ALiBi, or NULL */
} adze_build_attention;

/* Attention whole: q, k, v from attn_q, attn_k, attn_v or the fused attn_qkv; norms attn_q_norm and
 * attn_k_norm where there; rotary positions; cache; attn_output. options NULL: those of the config. */
adze_value *adze_build_attend(adze_builder *b, adze_value *x, int64_t layer,
                              const adze_build_attention *options);
/* Feed-forward whole: ffn_gate (or both halves in ffn_up), ffn_up, ffn_down; experts where there is a
 * router (ffn_gate_inp), shared ones too. */
adze_value *adze_build_feed(adze_builder *b, adze_value *x, int64_t layer);
/* The usual layer: norm, attend, add, norm, feed, add; post_attention_norm and post_ffw_norm where there;
 * residual_scale of the config; no second norm: both branches in parallel on one norm. */
adze_value *adze_build_layer(adze_builder *b, int64_t layer, adze_value *x,
                             const adze_build_attention *options);

/* ---- whole graphs ---- */

typedef struct adze_build_sizes {
    int64_t context, batch, rows; /* of the cache; most tokens of a run; most rows of the head */
    adze_dtype cache_type;
} adze_build_sizes;

/* body: tokens [T] int64 (and positions [T] int64, but for encoders) -> hidden [T, width], normed. head: hidden
 * [R, width] -> logits [R, vocabulary]; NULL for encoders. Weights borrow from the checkpoint and
 * `arena`, which must outlive both. Free with adze_graph_free. */
adze_status adze_llm_build(adze_graph **body, adze_graph **head, adze_context *context,
                           const adze_checkpoint *checkpoint, const adze_llm_config *config,
                           const adze_build_sizes *sizes, adze_arena *arena,
                           adze_error *err) ADZE_MUST_CHECK;

#endif
