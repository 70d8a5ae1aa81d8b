/** @file
 * Speed of a language model as llama-bench measures it: tokens per second of a prompt, and of generating one
 * token after another, at a depth of tokens that are there already. */
#ifndef ADZE_LLM_BENCH_H
#define ADZE_LLM_BENCH_H
#include "adze/llm.h"

ADZE_BEGIN_C

typedef struct adze_llm_bench_options {
    int64_t prompt, generate;      /* tokens; 0: not measured */
    int64_t depth;                 /* tokens on the timeline before */
    int64_t repetitions;           /* 0: 5 */
    uint64_t seed;                 /* of the tokens, which are random */
    bool (*cancelled)(void *user); /* asked after each repetition. May be NULL. */
    void *user;
} adze_llm_bench_options;

/** 512, 128, 0, 5. */
ADZE_API adze_llm_bench_options adze_llm_bench_options_default(void);

typedef struct adze_llm_rate {
    double median, mean, deviation, best; /* tokens per second over the repetitions */
} adze_llm_rate;

typedef struct adze_llm_bench {
    adze_llm_rate prompt, generate; /* zero where not measured */
    int64_t repetitions;
    uint64_t peak_memory; /* bytes resident in this process so far */
} adze_llm_bench;

/** Fails with ADZE_LIMIT (the engine's context is too short: says how long it must be), as adze_chat_append. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_bench_run(adze_llm_bench *out,
                                                        const adze_engine *engine,
                                                        const adze_llm_bench_options *options,
                                                        adze_error *err);

ADZE_END_C
#endif
