/* The hyper-parameters of a language model, read from metadata in GGUF's keys ("llama.block_count"; a
 * folder's config.json was turned into them). Graph builders read them here; what only one architecture
 * has, it asks of the metadata through adze_config_key. */
#ifndef ADZE_LLM_CONFIG_H
#define ADZE_LLM_CONFIG_H
#include "llm/checkpoint.h"

struct adze_architecture;

typedef enum adze_pooling { /* values of <arch>.pooling_type */
                            ADZE_POOLING_NONE,
                            ADZE_POOLING_MEAN,
                            ADZE_POOLING_CLS,
                            ADZE_POOLING_LAST
} adze_pooling;

typedef struct adze_llm_config {
    const struct adze_architecture *architecture;
    const adze_gguf_meta *meta;
    const char *prefix; /* of the keys: "llama" */
    int64_t layers, width, vocabulary;
    int64_t trained_context;           /* 0: not said */
    int64_t heads, key_dim, value_dim; /* of one head */
    const int64_t *kv_heads;           /* [layers] */
    int64_t experts, experts_used;     /* 0: dense */
    float norm_epsilon;
    int64_t rope_dims; /* numbers of a head that are rotated; 0: none */
    float rope_base;
    int64_t window;                         /* 0: every layer sees everything */
    int64_t window_period;                  /* every n-th layer has no window; 0: all have it */
    float attention_softcap, logit_softcap; /* 0: none */
    float embedding_scale, residual_scale, attention_scale, logit_scale; /* 0: not said */
    adze_pooling pooling;
} adze_llm_config;

/* Fails with ADZE_UNSUPPORTED (architecture), ADZE_BAD_FILE (a key is missing or impossible: which). */
adze_status adze_llm_config_read(adze_llm_config *out, const adze_checkpoint *checkpoint,
                                 adze_arena *arena, adze_error *err) ADZE_MUST_CHECK;

/* "<prefix>.<key>" of the metadata; NULL when absent. */
const adze_gguf_entry *adze_config_key(const adze_llm_config *config, const char *key);
int64_t adze_config_int(const adze_llm_config *config, const char *key, int64_t otherwise);
float adze_config_float(const adze_llm_config *config, const char *key, float otherwise);
bool adze_config_bool(const adze_llm_config *config, const char *key, bool otherwise);
/* Element `layer` of an array, or the one number for all layers. */
int64_t adze_config_int_at(const adze_llm_config *config, const char *key, int64_t layer,
                           int64_t otherwise);

/* The window of a layer, 0: none. attention.sliding_window_pattern says which layers have it, one by one or as
 * a period, else window_period. */
int64_t adze_config_window(const adze_llm_config *config, int64_t layer);

/* ---- rotary positions ---- */

/* "none", "linear", "yarn", "longrope": a factor without a type is linear; 0, as no key at all, is the factor 1. */
const char *adze_rope_scaling(const adze_llm_config *config);
double adze_rope_factor(const adze_llm_config *config);
/* Angular frequencies of the rotated pairs, frequencies[dims / 2], for timelines of `context` tokens, with the
 * scaling of the metadata (none, linear, yarn, dynamic, and the factors of llama3 and longrope, which
 * are tensors: `factors` [dims / 2], or NULL); *scale multiplies cosines and sines. Sources: RoFormer (Su
 * 2021), YaRN (Peng 2023), LongRoPE (Ding 2024). */
void adze_rope_frequencies(const adze_llm_config *config, float base, int64_t dims, int64_t context,
                           const float *factors, float *frequencies, float *scale);
/* True when timelines of this length need the long factors (longrope). */
bool adze_rope_is_long(const adze_llm_config *config, int64_t context);

#endif
