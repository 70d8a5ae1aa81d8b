/* Quality of a model's outputs, gathered batch by batch. Per sample it keeps the predicted class, the
 * label and a bit for each kind of success, so that two models can be compared on the same samples. */
#ifndef ADZE_EVAL_METRICS_H
#define ADZE_EVAL_METRICS_H
#include "adze/gates.h"
#include "adze/tensor.h"
#include "eval/statistics.h"

typedef struct adze_metrics adze_metrics;

adze_status adze_metrics_open(adze_metrics **out, adze_error *err) ADZE_MUST_CHECK;
void adze_metrics_close(adze_metrics **metrics);

/* One batch: outputs [n, ...] of real numbers; labels [n] or NULL; reference (the original's outputs, or
 * expected ones) of the same shape, or NULL. With labels the axes after the first are the scores of the
 * classes; one score means two classes, the second when it is over 0.5. A class with NaN as score is
 * never predicted. The same of labels and reference must be given every time. Fails with ADZE_BAD_DATA:
 * shapes differ, a label is not among the scores. */
adze_status adze_metrics_add(adze_metrics *metrics, const adze_tensor *outputs,
                             const int64_t *labels, const adze_tensor *reference,
                             adze_error *err) ADZE_MUST_CHECK;

int64_t adze_metrics_count(const adze_metrics *metrics);   /* samples so far */
int64_t adze_metrics_classes(const adze_metrics *metrics); /* scores of a sample; 2 for one score */
/* With its 95 % interval; false when it is not a metric of outputs or was not measured. top1 top5
 * precision recall f1 need labels; agreement mse cosine need the reference. The means over classes are
 * bootstrapped over samples; classes that do not occur are left out. */
bool adze_metrics_get(adze_estimate *out, const adze_metrics *metrics, adze_gate_metric metric);

typedef struct adze_class_metrics {
    int64_t support;   /* samples of this class */
    int64_t predicted; /* times it was predicted */
    adze_estimate precision, recall, f1;
} adze_class_metrics;

/* Needs labels; classes as of adze_metrics_classes. */
adze_class_metrics adze_metrics_class(const adze_metrics *metrics, int64_t index);
/* counts [classes, classes], row: label, column: prediction; zeroed first. Without labels: zeros. */
void adze_metrics_confusion(const adze_metrics *metrics, int64_t *counts);

/* Bit i of byte i / 8 is set when sample i was right; NULL without labels. */
const uint8_t *adze_metrics_right(const adze_metrics *metrics, adze_gate_metric top1_or_top5);
/* Predicted class of each sample [count], -1: none. */
const int32_t *adze_metrics_predicted(const adze_metrics *metrics);
/* a - factor * b on the same samples in the same order: Newcombe's interval for top1 and top5, Student's
 * for mse and cosine, bootstrap over samples for precision, recall, f1. Fails with ADZE_BAD_ARGUMENT when
 * the numbers of samples differ or one of them was not measured, ADZE_NO_MEMORY. */
adze_status adze_metrics_difference(adze_estimate *out, const adze_metrics *a,
                                    const adze_metrics *b, adze_gate_metric metric, double factor,
                                    adze_error *err) ADZE_MUST_CHECK;
/* Both models on the same samples in the same order. Fails with ADZE_BAD_ARGUMENT when their numbers
 * differ or labels are missing. */
adze_status adze_metrics_compare(adze_pairs *out, const adze_metrics *first,
                                 const adze_metrics *second, adze_gate_metric top1_or_top5,
                                 adze_error *err) ADZE_MUST_CHECK;

#endif
