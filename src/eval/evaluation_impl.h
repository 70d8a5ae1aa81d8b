/* The inside of an evaluation. */
#ifndef ADZE_EVAL_EVALUATION_IMPL_H
#define ADZE_EVAL_EVALUATION_IMPL_H
#include "adze/eval.h"
#include "eval/metrics.h"

struct adze_evaluation {
    adze_metrics *metrics;
    bool labelled, vector; /* vector: one score per class, so that the best class means something */
    float *outputs;        /* [samples, width] with keep_outputs, else NULL */
    int64_t width;
    int64_t *confusion; /* [classes, classes] or NULL */
    bool known[ADZE_METRIC_COUNT];
    adze_estimate values[ADZE_METRIC_COUNT];
};

#endif
