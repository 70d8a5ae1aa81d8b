/** @file
 * Perplexity of a language model over a text, and how far its predictions are from those of a reference: the
 * protocol and the statistics of llama-perplexity (llama.cpp), so that figures compare. The text is cut
 * into chunks of `context` tokens, each begins with BOS where the vocabulary wants one, and the second
 * half of each is scored. */
#ifndef ADZE_PERPLEXITY_H
#define ADZE_PERPLEXITY_H
#include "adze/llm.h"

ADZE_BEGIN_C

typedef struct adze_perplexity_options {
    int64_t context;              /* tokens of a chunk; 0: 512 */
    int64_t chunks;               /* most; 0: all that fit */
    int64_t skip;                 /* chunks passed over at the beginning of the text */
    const adze_engine *reference; /* compare with this model, or NULL */
    const char *base; /* compare with these log-probabilities (llama-perplexity's file), or NULL */
    const char *save_base; /* write them, or NULL */
    float *klds; /* or NULL: [adze_perplexity.tokens] filled with each token's divergence */
    int64_t klds_size;
    /* Called after each chunk with the figures so far; non-zero ends with ADZE_CANCELLED. May be NULL. */
    int (*progress)(void *user, int64_t chunk, int64_t chunks, double perplexity, double kld);
    void *user;
} adze_perplexity_options;

ADZE_API adze_perplexity_options adze_perplexity_options_default(void);

typedef struct adze_mean_error {
    double value, error; /* one standard error */
} adze_mean_error;

typedef struct adze_perplexity {
    int64_t chunks, tokens; /* scored */
    adze_mean_error perplexity;
    bool compared; /* the rest is there */
    adze_mean_error base_perplexity;
    adze_mean_error log_ratio; /* ln(perplexity / base), paired */
    adze_mean_error kld;       /* mean Kullback-Leibler divergence from the reference, nats */
    double kld_min, kld_p01, kld_p05, kld_p10, kld_median, kld_p90, kld_p95, kld_p99, kld_p999,
        kld_max;
    adze_mean_error same_top; /* share of tokens whose likeliest is the reference's */
    adze_mean_error delta_p;  /* mean change of the right token's probability */
    adze_mean_error delta_p_rms;
} adze_perplexity;

/** Scores `ids`: the whole text, encoded with its ends (BOS where the vocabulary wants one). Fails with ADZE_BAD_DATA (text shorter than a chunk, or than
 * the chunks of the base; the base is of another vocabulary, context or text), ADZE_BAD_FILE,
 * ADZE_BAD_ARGUMENT (the engine's context is too short), ADZE_CANCELLED. */
ADZE_MUST_CHECK ADZE_API adze_status adze_perplexity_measure(adze_perplexity *out,
                                                             const adze_engine *engine,
                                                             const int32_t *ids, int64_t count,
                                                             const adze_perplexity_options *options,
                                                             adze_error *err);

/** As JSON and as text for people; free both with adze_string_free; either may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_perplexity_report(const adze_perplexity *result,
                                                            char **json, char **text,
                                                            adze_error *err);

ADZE_END_C
#endif
