/** @file
 * Language models. An engine is an immutable model: weights (mapped from a GGUF file or a Hugging Face folder),
 * tokenizer, the plan of its graph. A chat is one mutable timeline over it: the tokens so far and their
 * KV cache. Threads: an engine may be shared; a chat belongs to one thread at a time.
 *
 * Within one CPU level, the logits after a token have the same bits whether it came alone or in a prompt of
 * any length, after rewinding, and on any number of threads. */
#ifndef ADZE_LLM_H
#define ADZE_LLM_H
#include "adze/graph.h"
#include "adze/tokenizer.h"

ADZE_BEGIN_C

typedef struct adze_engine adze_engine;
typedef struct adze_chat adze_chat;

typedef struct adze_engine_options {
    int64_t
        context;   /* most tokens on a timeline; 0: what the model was trained for, at most 4096 */
    int64_t batch; /* most tokens in one run of the graph; 0: 512 */
    adze_dtype cache_type; /* of the KV cache: ADZE_F16 (default, and when 0) or ADZE_F32 */
    const char *tokenizer; /* of another file (adze_tokenizer_open); NULL: the model's own */
} adze_engine_options;

ADZE_API adze_engine_options adze_engine_options_default(void);

/** Opens `path`: a .gguf file (any shard) or a folder with config.json and safetensors. Close with
 * adze_engine_close. options NULL: defaults. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE, ADZE_BAD_MODEL,
 * ADZE_UNSUPPORTED (architecture, type), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_engine_open(adze_engine **out, adze_context *context,
                                                      const char *path,
                                                      const adze_engine_options *options,
                                                      adze_error *err);
/** Frees and nulls; its chats must be closed before. NULL is fine. */
ADZE_API void adze_engine_close(adze_engine **engine);

/** Whether a file can be written at `path`, before long work: fails with ADZE_BAD_ARGUMENT (it is a file of this model),
 * ADZE_NOT_FOUND, ADZE_IO (no such folder, not writable). Writes nothing. */
ADZE_MUST_CHECK ADZE_API adze_status adze_engine_check_output(const adze_engine *engine,
                                                              const char *path, adze_error *err);

ADZE_API const adze_tokenizer *adze_engine_tokenizer(const adze_engine *engine);
ADZE_API const char *adze_engine_architecture(const adze_engine *engine); /* "llama" */
ADZE_API int64_t adze_engine_context(const adze_engine *engine);    /* most tokens on a timeline */
ADZE_API int64_t adze_engine_vocabulary(const adze_engine *engine); /* logits per token */
ADZE_API int64_t adze_engine_width(const adze_engine *engine);      /* numbers in a hidden state */
ADZE_API bool adze_engine_is_encoder(const adze_engine *engine);    /* embeds; has no logits */
/** The graph that maps tokens to hidden states, and the one from hidden states to logits (NULL: encoders). */
ADZE_API const adze_graph *adze_engine_graph(const adze_engine *engine);
ADZE_API const adze_graph *adze_engine_head_graph(const adze_engine *engine);

/** Called for each product with weights during a run, before it: name of the weights ("blk.0.attn_q.weight"),
 * the activations [tokens, width] that meet them (experts: those routed to `expert`, else -1). */
typedef void (*adze_activation_fn)(void *user, const char *weights, int64_t expert, const float *x,
                                   int64_t tokens, int64_t width);

typedef struct adze_chat_options {
    adze_activation_fn observe; /* or NULL */
    void *observe_user;
} adze_chat_options;

ADZE_MUST_CHECK ADZE_API adze_status adze_chat_open(adze_chat **out, const adze_engine *engine,
                                                    const adze_chat_options *options,
                                                    adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_chat_close(adze_chat **chat);

/** Appends tokens and computes them. Fails with ADZE_LIMIT when the context is full (says how long it is),
 * ADZE_BAD_ARGUMENT (an id outside of the vocabulary); the timeline is then as before. */
ADZE_MUST_CHECK ADZE_API adze_status adze_chat_append(adze_chat *chat, const int32_t *ids,
                                                      int64_t count, adze_error *err);
/** Logits after the last token, [vocabulary]; valid until the next call. Fails with ADZE_BAD_ARGUMENT on an
 * empty timeline or an encoder. */
ADZE_MUST_CHECK ADZE_API adze_status adze_chat_logits(adze_chat *chat, const float **logits,
                                                      adze_error *err);
/** Appends tokens and gives the logits after each of those from `first` on (0: all), a few rows at a time, in
 * order: fn(user, index of the token in ids, logits [vocabulary]). Non-zero from fn stops. */
typedef int (*adze_logits_fn)(void *user, int64_t index, const float *logits);
ADZE_MUST_CHECK ADZE_API adze_status adze_chat_score(adze_chat *chat, const int32_t *ids,
                                                     int64_t count, int64_t first,
                                                     adze_logits_fn fn, void *user,
                                                     adze_error *err);
/** Drops all tokens from position `length` on; what was computed for those before is kept. */
ADZE_API void adze_chat_rewind(adze_chat *chat, int64_t length);
ADZE_API int64_t adze_chat_length(const adze_chat *chat);
ADZE_API const int32_t *adze_chat_tokens(const adze_chat *chat);
/** Bytes of KV cache and activations. */
ADZE_API size_t adze_chat_memory(const adze_chat *chat);

/** Greedy (temperature 0) or sampled: the next id from the logits, drawn from a generator that `*state` seeds
 * and keeps. */
ADZE_API int32_t adze_sample(const float *logits, int64_t count, float temperature,
                             uint64_t *state);

/** The embedding of a text's tokens, [width], of unit length where the model says so: mean, CLS or last
 * token as the model says. */
ADZE_MUST_CHECK ADZE_API adze_status adze_engine_embed(const adze_engine *engine, float *out,
                                                       const int32_t *ids, int64_t count,
                                                       adze_error *err);

typedef struct adze_llm_describe_options {
    int64_t context; /* tokens of the timeline to judge by; 0: as the engine's */
    bool speed;      /* foretell it too, from kernels timed on this machine: a second or less */
} adze_llm_describe_options;

/** What the model is and what running it takes, before any weight is read: JSON (stable schema, docs/llm.md) and
 * text for people; free both with adze_string_free; either may be NULL. options NULL: defaults. Fails as
 * adze_engine_open. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_describe(adze_context *context, const char *path,
                                                       const adze_llm_describe_options *options,
                                                       char **json, char **text, adze_error *err);
/** True when `path` is a language model: a GGUF file or a folder with config.json. */
ADZE_API bool adze_llm_sniff(const char *path);

ADZE_END_C
#endif
