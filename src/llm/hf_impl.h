/* Hugging Face folders read as if they were GGUF files: the families, what their tensors are called, and how
 * each is rearranged. */
#ifndef ADZE_LLM_HF_IMPL_H
#define ADZE_LLM_HF_IMPL_H
#include "base/json.h"
#include "formats/safetensors.h"
#include "llm/checkpoint_impl.h"

/* How rows of the GGUF tensor come from the rows of its parts. */
typedef enum adze_hf_how {
    ADZE_HF_PLAIN,
    ADZE_HF_ROPE_Q,     /* halves of each head become neighbours (heads of q) */
    ADZE_HF_ROPE_K,     /* the same with the heads of k */
    ADZE_HF_QKV_HEADS,  /* [head][q, k, v] becomes [q, k, v][head] (GPT-NeoX) */
    ADZE_HF_QKV_GROUPS, /* [kv head][queries, k, v] becomes [q, k, v][head] (Falcon) */
    ADZE_HF_TURNED,     /* the part is stored transposed (Conv1D) */
    ADZE_HF_STACK,      /* parts %d one after another: experts, norms of heads */
    ADZE_HF_FIRST_HALF, /* of the rows of each expert: gate of gate_up_proj */
    ADZE_HF_SECOND_HALF
} adze_hf_how;

typedef struct adze_hf_rule {
    const char *gguf; /* "blk.*.attn_q": "*" is the layer; .weight and .bias alike */
    const char *hf;   /* "layers.*.self_attn.q_proj"; "#": the part of a stack */
    adze_hf_how how;
} adze_hf_rule;

typedef struct adze_hf_family {
    const char *model_type;    /* of config.json */
    const char *architecture;  /* of GGUF */
    const char *prefix;        /* of the names of all tensors but the head's; NULL: "model." */
    const char *activations;   /* of config.json that the architecture means, separated by blanks */
    const adze_hf_rule *rules; /* its own, before the common ones; closed by a row without names */
    const char *defaults;      /* JSON: what transformers takes where config.json has no such key */
    bool norm_plus_one;        /* norms are stored less one (Gemma) */
    bool layer_norm;
    bool windows; /* `sliding_window` means something */
} adze_hf_family;

const adze_hf_family *adze_hf_family_find(const char *model_type);
const adze_hf_family *adze_hf_family_of(const char *architecture, bool experts, bool window);
const char *adze_hf_family_names(char *buf, size_t size);
/* "blk.*.attn_q" or "layers.*.x.#" with numbers in place of '*' and '#'. */
void adze_hf_expand(char buf[192], const char *pattern, int64_t layer, int64_t part,
                    const char *suffix);
/* GGUF has this norm with one added. */
bool adze_hf_adds_one(const adze_hf_family *family, const char *gguf_name);
extern const adze_hf_rule adze_hf_common_rules[];

/* What config.json says, beside the metadata that comes of it. */
typedef struct adze_hf_config {
    json_t *root; /* config.json */
    json_t *text; /* text_config of it, or itself; borrowed */
    const adze_hf_family *family;
    int64_t layers, heads, kv_heads, head_dim;
    bool tied;
    const json_t *long_factors, *short_factors; /* of longrope; borrowed */
    float *llama3_factors;                      /* [llama3_count] in the arena, or NULL */
    int64_t llama3_count;
} adze_hf_config;

/* Whether the values of `object`, config.json or a part of it, are of the kind and in the range that they may be. */
adze_status adze_hf_check_values(const json_t *object, const char *model_type, const char *folder,
                                 adze_error *err) ADZE_MUST_CHECK;
/* Whether `name` is one of `names`, which blanks separate. */
bool adze_hf_is_among(const char *names, const char *name);

/* Reads config.json (and generation_config.json, 1_Pooling) and fills `meta`. root must be released. */
adze_status adze_hf_config_read(adze_hf_config *out, adze_gguf_meta *meta, const char *folder,
                                adze_error *err) ADZE_MUST_CHECK;
/* Of a folder without a tokenizer: that there is none, and the ids of its special tokens. False: no memory. */
bool adze_hf_config_ids(const adze_hf_config *config, adze_gguf_meta *meta);

#endif
