/* What metrics.c gathers and class_metrics.c evaluates. */
#ifndef ADZE_EVAL_METRICS_IMPL_H
#define ADZE_EVAL_METRICS_IMPL_H
#include "eval/metrics.h"

typedef struct adze_running_mean {
    double mean, squares; /* sum of squared deviations */
} adze_running_mean;

struct adze_metrics {
    int64_t count, capacity, width;
    bool labelled, referenced;
    int32_t *predicted; /* [count]; -1: none */
    int32_t *labels;    /* [count] */
    uint8_t *right[2];  /* bits: top 1, top 5 */
    int64_t hits[2], agreed;
    adze_running_mean mse, cosine;
    float *means[2]; /* [count]: squared error, cosine of each sample */
    float *scores;   /* [2, width]: one sample and its reference */
};

/* Mean over the classes that occur, bootstrapped over samples; false without memory. */
bool adze_metrics_class_mean(adze_estimate *out, const adze_metrics *m, adze_gate_metric metric);
/* a - factor * b: both models are resampled with the same samples. False without memory. */
bool adze_metrics_class_difference(adze_estimate *out, const adze_metrics *a, const adze_metrics *b,
                                   adze_gate_metric metric, double factor);

#endif
