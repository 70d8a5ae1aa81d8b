/** @file
 * The main job: from a model, data and limits to the best model inside the limits, measured on this
 * machine. Candidates are tried from coarse to fine, the hopeless dropped early, every trial kept in a
 * ledger, the finalists judged on data that had no part in choosing them. */
#ifndef ADZE_SEARCH_H
#define ADZE_SEARCH_H
#include "adze/adze.h"

ADZE_BEGIN_C

typedef struct adze_optimize_options {
    const char *
        calibration; /* data set for ranges; unlabelled is fine; NULL: the selection part of data */
    const char *data; /* data set to judge by; labelled, or else agreement with the original */
    const char *preprocess;          /* JSON file (docs/data.md) or NULL */
    const char *const *requirements; /* "top1>=0.95*original" (docs/gates.md) */
    int requirement_count;
    const char *const *shapes; /* "NAME=1x3x48x192", as adze_model_set_shape takes them */
    int shape_count;
    const char *goal;      /* "latency", "size", "memory" or a metric; NULL: latency */
    double budget_seconds; /* for the search; the finalists' certification comes on top */
    const char *output;    /* folder, made when missing */
    uint64_t seed;
    int threads;             /* 0: one per core */
    int calibration_samples; /* at most so many; 0: 512 */
    const char
        *program; /* this program's file: part of the ledger's key, and run to measure memory */
    /** Registers operators (adze_op_register, adze_ops_extra_register) in the context that the search opens, before
     * the model is read. May be NULL. */
    adze_status (*operators)(adze_context *context, void *user, adze_error *err);
    /** Called now and then with a line for people; done and total count steps. May be NULL. */
    void (*progress)(void *user, int done, int total, const char *line);
    /** True ends the search early and cleanly: what was measured stays in the ledger. May be NULL. */
    bool (*cancelled)(void *user);
    void *user;
} adze_optimize_options;

ADZE_API adze_optimize_options adze_optimize_options_default(void);

/** Searches, certifies and writes into options->output: report.html, report.json, ledger.sqlite,
 * models/ (each member of the front), recipes/ (each resolved), best.onnx and best.recipe.json.
 * *json is the report, *text the table for people; both to be freed with adze_string_free.
 * ADZE_GATE_FAILED: everything was done and written, but no candidate meets all requirements (the text
 * names the nearest miss; there is no best.onnx). Other failures as of the parts; then nothing but the ledger changes. */
ADZE_MUST_CHECK ADZE_API adze_status adze_optimize(const char *model,
                                                   const adze_optimize_options *options,
                                                   char **json, char **text, adze_error *err);

ADZE_END_C
#endif
