/* What the models of ai.onnx.ml share: lists among the attributes, class labels, transforms of scores. Where
 * the specification leaves a choice, this is ONNX Runtime's. */
#ifndef ADZE_OPS_CLASSIC_H
#define ADZE_OPS_CLASSIC_H
#include "ops/helpers.h"

/* An attribute that is a list of numbers or strings, or a tensor, as a tensor; false: there is none. */
bool adze_classic_list(const adze_node *node, const char *name, adze_tensor *out);
/* The same as `count` numbers in the plan's memory: from `name` or `name`_as_tensor. NULL: absent (count 0) or
 * no memory (count -1). */
const double *adze_classic_numbers(adze_prepare *prepare, const char *name, int64_t *count);

typedef enum adze_post {
    ADZE_POST_NONE,
    ADZE_POST_SOFTMAX,
    ADZE_POST_LOGISTIC,
    ADZE_POST_SOFTMAX_ZERO,
    ADZE_POST_PROBIT
} adze_post;
/* -1: unknown name. */
int adze_classic_post(const adze_node *node);
void adze_classic_transform(adze_post post, int64_t n, double *scores);
/* The scores of two classes from one: [1 - s, s] when `complement`, else [-s, s]. */
void adze_classic_pair(adze_post post, bool complement, double s, double *out);

/* Class labels: strings or 64-bit integers, under one of the attributes' names; count 0: none. */
typedef struct adze_labels {
    adze_tensor list;
    int64_t count;
} adze_labels;
adze_labels adze_classic_labels(const adze_node *node);
/* Writes label `k`; without labels the number itself. */
void adze_classic_put_label(const adze_labels *labels, adze_tensor *y, int64_t row, int64_t k);
/* For a single label: it or "" for strings, 1 or 0 for numbers. */
void adze_classic_put_single(const adze_labels *labels, adze_tensor *y, int64_t row, bool is);
/* Outputs of a classifier: labels [N], scores float32 [N, classes]. */
adze_status adze_classic_infer(adze_infer *infer, int64_t classes, adze_error *err);

/* Rows of the input: [N, F], or [F] as one row. */
int64_t adze_classic_rows(const adze_tensor *x);
int64_t adze_classic_columns(const adze_tensor *x);
adze_status adze_classic_prepare_input(const adze_prepare *prepare, adze_error *err);
static inline double adze_classic_at(const adze_tensor *x, int64_t i)
{
    return x->dtype == ADZE_F32 ? (double)((const float *)x->data)[i] : adze_tensor_get_f64(x, i);
}

#endif
