/* The inside of a search. */
#ifndef ADZE_SEARCH_SEARCH_IMPL_H
#define ADZE_SEARCH_SEARCH_IMPL_H
#include "adze/compress.h"
#include "adze/eval.h"
#include "adze/search.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "search/candidates.h"
#include "search/ledger.h"

/* Parts of the data: two disjoint ones, to choose by and to certify by, and the first samples of the
 * first to drop the hopeless by and to rank layers by. */
typedef enum search_part {
    PART_SELECTION,
    PART_CERTIFICATION,
    PART_SCREEN,
    PART_PROBE,
    PART_COUNT
} search_part;

typedef struct trial {
    const char *name, *scheme;
    const json_t *proposed; /* recipe; borrowed from the candidate */
    char key[65];
    json_t *record;     /* what the ledger keeps: see measure_trial */
    const char *status; /* "original", "front", "beaten", "rejected", "dropped", "failed" */
    const char *reason; /* why it lost */
    bool finalist, passes;
    json_t
        *certified; /* finalists and the original: {metrics, latency, size, peak_memory, gates} */
} trial;

typedef struct search {
    adze_optimize_options options;
    adze_arena arena;
    adze_context *context;
    adze_model *model;
    const char *model_path;
    char model_hash[65], key_prefix[65];
    adze_dataset *calibration_data, *all_data, *parts[PART_COUNT];
    adze_calibration *calibration;
    adze_plan *plan;                        /* of the original */
    adze_evaluation *reference[PART_COUNT]; /* the original's */
    adze_facts original;                    /* on the certification part */
    const char *metric; /* what quality is: "top1" with labels, else "agreement" */
    adze_gate *gates;
    int gate_count;
    adze_ledger *ledger;
    adze_candidates candidates;
    trial *trials; /* [0] is the original */
    int trial_count, trial_capacity;
    double started;
    int measured, reused; /* trials measured now, taken from the ledger */
    double slowdown;      /* test hook: extra milliseconds a run for candidates */
} search;

/* ---- judge.c: what one model is worth ---- */

/* Plan, evaluations and facts of the original; it becomes trial 0. */
adze_status search_judge_original(search *s, adze_error *err) ADZE_MUST_CHECK;
/* Metrics on a part as {name: {value, low, high, n}}. */
adze_status search_judge_quality(search *s, const adze_plan *plan, search_part part,
                                 json_t **metrics, adze_error *err) ADZE_MUST_CHECK;
/* Latency measured for so long only tells who is many times slower. */
#define SEARCH_GLANCE_SECONDS 0.02

/* Interleaved with the original for about `seconds`: {p50, p95, p99, mean, speedup: each {value, low,
 * high, n}, rounds, original_p50}; milliseconds. */
adze_status search_judge_latency(search *s, const adze_plan *plan, double seconds, json_t **latency,
                                 adze_error *err) ADZE_MUST_CHECK;
/* Everything afresh on the certification part, and the verdicts of all gates: t->certified, t->passes. */
adze_status search_certify(search *s, trial *t, const adze_plan *plan, const char *path,
                           adze_error *err) ADZE_MUST_CHECK;
/* The figures of the selection part break a requirement at face value. */
bool search_clearly_fails(const search *s, const trial *t);

/* ---- trial.c ---- */

/* Measures a candidate, or takes its record from the ledger; a candidate that cannot be made is a failed
 * trial, not a failure. Appends to s->trials. */
adze_status search_try(search *s, const adze_candidate *candidate, adze_error *err) ADZE_MUST_CHECK;
/* The model of a trial, made again from its resolved recipe, opened from the file it is saved to. */
adze_status search_make_model(search *s, const trial *t, const char *path,
                              adze_error *err) ADZE_MUST_CHECK;
/* SHA-256 of all that a trial of this recipe depends on. */
adze_status search_key(char key[65], const search *s, const json_t *recipe,
                       adze_error *err) ADZE_MUST_CHECK;
/* Calibrates, once. */
adze_status search_need_calibration(search *s, adze_error *err) ADZE_MUST_CHECK;
/* Opens a saved candidate and plans it; the caller frees both, on failure too. */
adze_status search_open_candidate(search *s, const char *path, adze_model **model, adze_plan **plan,
                                  adze_error *err) ADZE_MUST_CHECK;
trial *search_add_trial(search *s);
double search_number(const json_t *object, const char *path); /* "metric.value"; NAN when absent */
double search_elapsed(const search *s);
void search_progress(search *s, const char *format, ...) ADZE_PRINTF(2, 3);
bool search_cancelled(const search *s);

/* ---- choose.c ---- */

/* Sets status and reason of all trials from their selection figures; marks finalists. */
adze_status search_choose_finalists(search *s, adze_error *err) ADZE_MUST_CHECK;
/* Index of the measured, unrefined trial of a scheme with the best (rank 0), second best (1), ... metric on
 * the selection part; -1: none. */
int search_best_of(const search *s, const char *scheme, int rank);
/* After certification: front, rejected, the best (index, or -1). */
int search_choose_best(search *s);
/* Most sensitive weighted nodes first: how much leaving each alone in float helps the outputs. */
adze_status search_rank_nodes(search *s, const adze_candidate *around, const char ***names,
                              int *count, adze_error *err) ADZE_MUST_CHECK;

/* ---- outcome.c ---- */

/* Writes reports, recipes, models; *json and *text as adze_optimize says. */
adze_status search_write(search *s, int best, char **json, char **text,
                         adze_error *err) ADZE_MUST_CHECK;

#endif
