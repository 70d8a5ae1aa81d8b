/* The inside of choosing types for a language model: what is known of each tensor, and who finds it out.
 *
 * llm_options.c what may be chosen and what it costs: error of every type of every tensor
 * llm_sensitivity.c what a tensor's error does to the predictions, by disturbing one tensor at a time
 * llm_judge.c   quantizing and judging a choice
 * llm_optimize.c the order of work       llm_choice_report.c what people see */
#ifndef ADZE_SEARCH_LLM_SEARCH_IMPL_H
#define ADZE_SEARCH_LLM_SEARCH_IMPL_H
#include <jansson.h>

#include "adze/gates.h"
#include "adze/llm_optimize.h"
#include "adze/llm_quantize.h"
#include "adze/perplexity.h"
#include "base/memory.h"
#include "base/text.h"
#include "llm/engine_weights.h"
#include "search/knapsack.h"

enum { LLM_MOST_TYPES = 32, LLM_MOST_JUDGED = 80, LLM_CHUNK = 512 };

typedef struct llm_tensor {
    const adze_checkpoint_tensor *source; /* of the reference */
    const char *name;
    int type_count;
    adze_dtype types[LLM_MOST_TYPES];
    adze_choice choices[LLM_MOST_TYPES]; /* bytes, and predicted divergence */
    double errors[LLM_MOST_TYPES]; /* weighted squared error, as a share of the weights' own */
    double sensitivity;            /* divergence for each unit of error */
    double largest;                /* largest weight over root mean square: outliers */
    int probe;                     /* index of the type it was disturbed with */
    double probe_kld;              /* what that did */
} llm_tensor;

/* One file that was made and measured. */
typedef struct llm_judged {
    char name[64];
    double size, limit; /* bytes of the file, and of the budget it was solved for (0: a mix) */
    double predicted;   /* divergence; 0: a mix */
    adze_perplexity quality;
    double tokens_per_s;
    float *klds; /* of each token, [quality.tokens] */
    int *picks;  /* of the tensors; NULL: a mix */
} llm_judged;

typedef struct llm_search {
    adze_llm_optimize_options o;
    adze_context *context;
    const char *model, *reference; /* the file asked for; one in floats, to measure against */
    adze_arena arena;
    adze_gate *gates;    /* [o.requirement_count] */
    adze_engine *engine; /* of the reference */
    adze_imatrix *imatrix;
    const char *imatrix_path, *probe_base, *judge_base, *best_path, *trial_path;
    int32_t *probe_ids, *judge_ids;
    int64_t probe_count, judge_count;
    llm_tensor *tensors;
    int count;
    double fixed_bytes; /* of the file, beside the tensors above */
    double original_size;
    adze_perplexity original;
    double original_tokens_per_s;
    llm_judged *judged;     /* [LLM_MOST_JUDGED]; best first when all is done */
    int judged_count, best; /* -1: none */
    int step, steps;
} llm_search;

adze_status llm_say(llm_search *s, adze_error *err, const char *format, ...) ADZE_PRINTF(3, 4);

/* Whether a type may be chosen at all (for weights that it fits, with an importance matrix). */
bool llm_type_is_named(adze_dtype type, const char *name);
bool llm_type_is_choice(const llm_search *s, adze_dtype type);
/* Tensors that may be quantized, their types, sizes and errors. */
adze_status llm_options_find(llm_search *s, adze_error *err) ADZE_MUST_CHECK;
/* Fills sensitivity of all tensors and the losses of their choices. */
adze_status llm_sensitivity_measure(llm_search *s, adze_error *err) ADZE_MUST_CHECK;
/* Quantizes with the picks (NULL: with the mix `name`) into s->trial_path and measures, or, where `name` is a
 * file, measures that; *out is in s->judged. */
adze_status llm_judge_measure(llm_search *s, const char *name, const int *picks, double limit,
                              llm_judged **out, adze_error *err) ADZE_MUST_CHECK;
/* Measured in chunks of LLM_CHUNK tokens, after each of which the caller may stop. */
adze_perplexity_options llm_perplexity_options(llm_search *s);
bool llm_go_on(void *search, const adze_llm_progress *progress); /* the caller has not stopped */
/* The defaults, with no limit of memory but the machine's: this process holds the reference anyway. */
adze_llm_quantize_options llm_quantize_options(void);
/* Bytes of the file with these picks, and their predicted divergence. */
double llm_picks_size(const llm_search *s, const int *picks);
double llm_picks_loss(const llm_search *s, const int *picks);

/* Whether all requirements hold; lines of text, one each, into `verdicts` (may be NULL). */
bool llm_gates_hold(const llm_search *s, const llm_judged *j, json_t *verdicts);
/* Mean of a's divergence less b's on the same tokens. */
adze_mean_error llm_paired_difference(const llm_judged *a, const llm_judged *b);

json_t *llm_report_json(const llm_search *s);
void llm_report_text(adze_text *out, const json_t *report);
void llm_report_html(adze_text *out, const json_t *report);

#endif
