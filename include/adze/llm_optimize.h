/** @file
 * A type for every tensor of a language model, chosen by measurement: how much each tensor's error disturbs the
 * predictions, what each type costs, and an exact choice within the limits; quantized, judged on text that
 * had no part in choosing, beside the usual mixes of the same size (docs/llm-optimize.md). */
#ifndef ADZE_LLM_OPTIMIZE_H
#define ADZE_LLM_OPTIMIZE_H
#include "adze/llm.h"

ADZE_BEGIN_C

typedef struct adze_llm_optimize_options {
    const char *calibration; /* a text file: what the model is used for */
    const char *test;        /* a text file to judge by; NULL: the last quarter of `calibration` */
    const char *imatrix; /* an importance matrix; NULL: made from the first half of `calibration` */
    const char *const
        *requirements; /* "size<=90MB", "kld<=0.02", "tokens_per_s>=20" (docs/gates.md) */
    int requirement_count;
    const char *const *types; /* to choose from, as "q4_K"; none: all that have an encoder */
    int type_count;
    const char *const
        *compare; /* mixes ("Q4_K_M") or files to judge beside; none: the largest mix that fits */
    int compare_count;
    const char *output;   /* folder, made when missing */
    int64_t probe_tokens; /* of text, for each tensor's sensitivity; 0: 512 */
    int64_t judge_chunks; /* of 512 tokens; 0: 40 */
    /** A line for people now and then; done of total steps. May be NULL. */
    void (*progress)(void *user, int done, int total, const char *line);
    bool (*cancelled)(void *user); /* or NULL */
    void *user;
} adze_llm_optimize_options;

ADZE_API adze_llm_optimize_options adze_llm_optimize_options_default(void);

/** Writes into options->output: best.gguf, best.recipe.json (types and what they were chosen by), report.json,
 * report.html, imatrix.gguf when it was made. Among what meets the requirements the least divergence wins;
 * without a limit of size, the smallest file that keeps the divergence. *json is the report, *text the table
 * for people; free both with adze_string_free. ADZE_GATE_FAILED: all is written, but a requirement does not hold
 * (the text says by how much). Fails with ADZE_BAD_ARGUMENT, ADZE_BAD_DATA (text too short), ADZE_LIMIT
 * (no types are so small), ADZE_CANCELLED, and as its parts. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_optimize(adze_context *context, const char *model,
                                                       const adze_llm_optimize_options *options,
                                                       char **json, char **text, adze_error *err);

ADZE_END_C
#endif
