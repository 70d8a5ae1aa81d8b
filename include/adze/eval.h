/** @file
 * Quality of a model on data: metrics with 95 % intervals, differences to another model on the same
 * samples by paired methods, and the facts that requirements (gates.h) are judged by.
 *
 * Of labels: top1, top5 and the means over classes of precision, recall, F1. Of the original's outputs
 * (or those that the data expect): agreement, mse, cosine.
 * Threads: an evaluation is immutable once made and may be shared. */
#ifndef ADZE_EVAL_H
#define ADZE_EVAL_H
#include "adze/data.h"
#include "adze/gates.h"
#include "adze/session.h"

ADZE_BEGIN_C

typedef struct adze_evaluation adze_evaluation;

typedef struct adze_evaluate_options {
    int64_t batch;      /* samples per run where the model's batch is symbolic; 0: 32 */
    int64_t limit;      /* first so many samples; 0: all */
    const char *output; /* name of the output to judge; NULL: the first */
    bool keep_outputs;  /* so that it can be the original of other evaluations */
    size_t keep_bytes;  /* at most so much; 0: 512 MiB */
    /** Called after each run; false ends with ADZE_CANCELLED. May be NULL. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} adze_evaluate_options;

ADZE_API adze_evaluate_options adze_evaluate_options_default(void);

/** Runs the plan over the data, in its order, and computes every metric that the data allow. `original`
 * (or NULL) is an evaluation of another model over the same data with keep_outputs; without it outputs
 * that the data expect take its place. A symbolic first dimension of the inputs is the batch; a model with
 * a fixed batch gets so many samples at a time. Keeps no reference to its arguments. Free with
 * adze_evaluation_free. Fails with ADZE_BAD_DATA (inputs do not fit: says which), ADZE_BAD_ARGUMENT (no
 * such output), ADZE_LIMIT (outputs larger than keep_bytes), ADZE_CANCELLED, ADZE_NO_MEMORY, and as
 * adze_dataset_read and adze_session_run. */
ADZE_MUST_CHECK ADZE_API adze_status adze_evaluate(adze_evaluation **out, const adze_plan *plan,
                                                   const adze_dataset *dataset,
                                                   const adze_evaluation *original,
                                                   const adze_evaluate_options *options,
                                                   adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_evaluation_free(adze_evaluation **evaluation);

ADZE_API int64_t adze_evaluation_samples(const adze_evaluation *evaluation);
/** Scores per sample; meaningful as classes where there are labels. */
ADZE_API int64_t adze_evaluation_classes(const adze_evaluation *evaluation);
/** NULL when the metric is not one of outputs, or was not computed (no labels, no original). Belongs to
 * the evaluation. */
ADZE_API const adze_estimate *adze_evaluation_metric(const adze_evaluation *evaluation,
                                                     adze_gate_metric metric);
/** First class of each sample [samples], -1: none. */
ADZE_API const int32_t *adze_evaluation_predictions(const adze_evaluation *evaluation);
/** [classes, classes]: row the label, column the prediction; NULL without labels. */
ADZE_API const int64_t *adze_evaluation_confusion(const adze_evaluation *evaluation);

/** candidate - factor * original of a metric on the same samples, with its paired interval: Newcombe's for
 * top1 and top5, Student's for mse and cosine, bootstrap over samples for precision, recall, f1. Fails with ADZE_BAD_ARGUMENT (not the same
 * number of samples, or not computed for both), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_evaluation_difference(adze_estimate *out,
                                                                const adze_evaluation *candidate,
                                                                const adze_evaluation *original,
                                                                adze_gate_metric metric,
                                                                double factor, adze_error *err);
/** Exact McNemar test of top1 of two models on the same samples: how probable so uneven a split is, of
 * the samples that only one of them gets right, when they are equally good. 1 when not comparable. */
ADZE_API double adze_evaluation_mcnemar(const adze_evaluation *a, const adze_evaluation *b);

/** As JSON ({"samples", "classes", "metrics": {"top1": {"value", "low", "high", "n"}, ...}, "per_class",
 * "confusion"}) and for people; class names from `dataset` (may be NULL). Free with adze_string_free;
 * either may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_evaluation_format(char **json, char **text,
                                                            const adze_evaluation *evaluation,
                                                            const adze_dataset *dataset,
                                                            adze_error *err);

/* ---- facts ---- */

/** What is known of a model: all that gates may ask for. Zero is: nothing. */
typedef struct adze_facts {
    const adze_evaluation *evaluation;       /* metrics of outputs; or NULL; not owned */
    bool known[ADZE_METRIC_COUNT];           /* values that are set */
    adze_estimate values[ADZE_METRIC_COUNT]; /* of what is not in the evaluation */
} adze_facts;

ADZE_API void adze_facts_set(adze_facts *facts, adze_gate_metric metric, adze_estimate estimate);
/** A value without an interval, such as size and peak_memory (bytes). */
ADZE_API void adze_facts_set_exact(adze_facts *facts, adze_gate_metric metric, double value);
/** Timings of rounds in which candidate and original ran side by side (adze_measure), in ms [rounds]: sets
 * latency_*, throughput and, with `original` (or NULL), speedup. Intervals by bootstrap over blocks of
 * rounds, as a machine's disturbances last longer than one. `seconds`: that measuring took.
 * Fails with ADZE_BAD_ARGUMENT (fewer than 2 rounds), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_facts_set_timing(adze_facts *facts,
                                                           const double *candidate,
                                                           const double *original, int64_t rounds,
                                                           double seconds, adze_error *err);
/** The known value, from the evaluation or the values; NULL: unknown. */
ADZE_API const adze_estimate *adze_facts_get(const adze_facts *facts, adze_gate_metric metric);
/** adze_gate_judge with what is known of the candidate and of the original (or NULL); metrics relative to
 * the original are compared by paired methods when both were evaluated. */
ADZE_API adze_gate_result adze_facts_judge(const adze_gate *gate, const adze_facts *candidate,
                                           const adze_facts *original);

typedef struct adze_requirements {
    const adze_gate *gates;
    int count;
    bool passed; /* every gate did; set by adze_facts_report */
} adze_requirements;

/** adze_evaluation_format of the candidate's evaluation, with what was paired with the original's
 * ("difference": {metric: {"value", "low", "high", "n"}}, "mcnemar_p") and with the verdicts
 * ("requirements": [{"require", "verdict", "value", "low", "high", "limit", "margin", "text"}]).
 * `original`, `requirements` and `dataset` may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_facts_report(char **json, char **text, const adze_facts *candidate, const adze_facts *original,
                  adze_requirements *requirements, const adze_dataset *dataset, adze_error *err);

ADZE_END_C
#endif
