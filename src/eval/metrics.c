/* Gathering is here; what follows from the gathered predictions (classes, means over classes) is in
 * class_metrics.c. Means are kept by Welford's method. */
#include "eval/metrics.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "eval/metrics_impl.h"
#include "eval/statistics.h"
#include "tensor/dtype.h"

adze_status adze_metrics_open(adze_metrics **out, adze_error *err)
{
    adze_metrics *m = adze_alloc(1, sizeof *m);
    if (!m)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for metrics");
    *out = m;
    return ADZE_OK;
}

void adze_metrics_close(adze_metrics **metrics)
{
    adze_metrics *m = *metrics;
    *metrics = NULL;
    if (!m)
        return;
    adze_free(m->predicted);
    adze_free(m->labels);
    adze_free(m->right[0]);
    adze_free(m->right[1]);
    adze_free(m->means[0]);
    adze_free(m->means[1]);
    adze_free(m->scores);
    adze_free(m);
}

int64_t adze_metrics_count(const adze_metrics *m)
{
    return m->count;
}

int64_t adze_metrics_classes(const adze_metrics *m)
{
    return m->width == 1 ? 2 : m->width;
}

static bool grow(void *pointer, int64_t capacity, size_t size)
{
    void *old, *bigger;
    memcpy(&old, pointer, sizeof old);
    bigger = adze_realloc(old, (size_t)capacity, size);
    if (bigger)
        memcpy(pointer, &bigger, sizeof bigger);
    return bigger != NULL;
}

static adze_status make_room(adze_metrics *m, int64_t n, int64_t width, adze_error *err)
{
    int64_t capacity = m->capacity;
    while (capacity < m->count + n)
        capacity = capacity ? capacity * 2 : 1024;
    bool good = grow(&m->scores, 2 * width, sizeof *m->scores);
    if (good && capacity > m->capacity) {
        good = grow(&m->predicted, capacity, sizeof *m->predicted) &&
               grow(&m->labels, capacity, sizeof *m->labels) &&
               grow(&m->means[0], capacity, sizeof *m->means[0]) &&
               grow(&m->means[1], capacity, sizeof *m->means[1]) &&
               grow(&m->right[0], capacity / 8, 1) && grow(&m->right[1], capacity / 8, 1);
        for (int i = 0; good && i < 2; i++)
            memset(m->right[i] + m->capacity / 8, 0, (size_t)(capacity - m->capacity) / 8);
        if (good)
            m->capacity = capacity;
    }
    return good ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "no memory for metrics");
}

static bool real(const adze_tensor *tensor)
{
    adze_kind kind = adze_dtype_describe(tensor->dtype)->kind;
    return kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT;
}

static adze_status check(const adze_metrics *m, const adze_tensor *outputs, bool labelled,
                         const adze_tensor *reference, adze_error *err)
{
    char a[160], b[160];
    const char *shape = adze_tensor_format(outputs, a, sizeof a);
    if (outputs->rank < 1 || !real(outputs) || adze_tensor_elements(outputs) < 1)
        return adze_fail(err, ADZE_BAD_DATA,
                         "metrics: expected outputs [n, ...] of numbers, found %s", shape);
    int64_t width = adze_tensor_elements(outputs) / outputs->dims[0];
    if (m->count &&
        (width != m->width || labelled != m->labelled || (reference != NULL) != m->referenced))
        return adze_fail(err, ADZE_BAD_DATA,
                         "metrics: %s: expected as many values, labels and references as before",
                         shape);
    if (reference &&
        (!real(reference) || reference->rank < 1 || reference->dims[0] != outputs->dims[0] ||
         adze_tensor_elements(reference) != adze_tensor_elements(outputs)))
        return adze_fail(err, ADZE_BAD_DATA, "metrics: outputs are %s, but the reference is %s",
                         shape, adze_tensor_format(reference, b, sizeof b));
    return ADZE_OK;
}

static adze_status check_labels(const int64_t *labels, int64_t n, int64_t width, adze_error *err)
{
    int64_t classes = width == 1 ? 2 : width;
    for (int64_t i = 0; labels && i < n; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return adze_fail(err, ADZE_BAD_DATA,
                             "metrics: label %lld, but the model gives scores for %lld classes",
                             (long long)labels[i], (long long)classes);
    return ADZE_OK;
}

/* The class with the highest score, the first of equals; -1 when all are NaN. */
static int64_t best_class(const float *scores, int64_t width)
{
    int64_t best = -1;
    if (width == 1)
        return isnan(scores[0]) ? -1 : scores[0] > 0.5f;
    for (int64_t i = 0; i < width; i++)
        if (!isnan(scores[i]) && (best < 0 || scores[i] > scores[best]))
            best = i;
    return best;
}

/* Among the five best: fewer than five classes come before it, equals in their order. */
static bool in_top5(const float *scores, int64_t width, int64_t label)
{
    int64_t before = 0;
    if (width == 1)
        return !isnan(scores[0]);
    if (isnan(scores[label]))
        return false;
    for (int64_t i = 0; i < width; i++)
        before += scores[i] > scores[label] || (scores[i] == scores[label] && i < label);
    return before < 5;
}

static void set_bit(uint8_t *bits, int64_t i, bool value)
{
    uint8_t mask = (uint8_t)(1u << (i % 8));
    bits[i / 8] = (uint8_t)(value ? bits[i / 8] | mask : bits[i / 8] & ~mask);
}

static void add_mean(adze_running_mean *mean, double value, int64_t count)
{
    double delta = value - mean->mean;
    mean->mean += delta / (double)count;
    mean->squares += delta * (value - mean->mean);
}

static void compare_outputs(adze_metrics *m, const float *a, const float *b, int64_t count)
{
    double error = 0, dot = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < m->width; i++) {
        double x = (double)a[i], y = (double)b[i];
        error += (x - y) * (x - y);
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    double lengths = sqrt(aa) * sqrt(bb);
    double cosine = lengths > 0 ? dot / lengths : aa == bb; /* two zero vectors are alike */
    add_mean(&m->mse, error / (double)m->width, count);
    add_mean(&m->cosine, cosine, count);
    m->means[0][count - 1] = (float)(error / (double)m->width);
    m->means[1][count - 1] = (float)cosine;
    int64_t best = best_class(a, m->width);
    m->agreed += best >= 0 && best == best_class(b, m->width);
}

static void add_sample(adze_metrics *m, const float *scores, const int64_t *label,
                       const float *reference)
{
    int64_t i = m->count++, best = best_class(scores, m->width);
    m->predicted[i] = (int32_t)best;
    if (label) {
        bool first = best == *label, five = in_top5(scores, m->width, *label);
        m->labels[i] = (int32_t)*label;
        set_bit(m->right[0], i, first);
        set_bit(m->right[1], i, five);
        m->hits[0] += first;
        m->hits[1] += five;
    }
    if (reference)
        compare_outputs(m, scores, reference, m->count);
}

adze_status adze_metrics_add(adze_metrics *m, const adze_tensor *outputs, const int64_t *labels,
                             const adze_tensor *reference, adze_error *err)
{
    ADZE_TRY(check(m, outputs, labels != NULL, reference, err));
    int64_t n = outputs->dims[0], width = adze_tensor_elements(outputs) / n;
    ADZE_TRY(check_labels(labels, n, width, err));
    ADZE_TRY(make_room(m, n, width, err));
    m->width = width;
    m->labelled = labels != NULL;
    m->referenced = reference != NULL;
    for (int64_t i = 0; i < n; i++) {
        float *scores = m->scores, *other = m->scores + width;
        adze_row_to_f32(outputs->dtype, outputs->data, i * width, width, scores);
        if (reference)
            adze_row_to_f32(reference->dtype, reference->data, i * width, width, other);
        add_sample(m, scores, labels ? &labels[i] : NULL, reference ? other : NULL);
    }
    return ADZE_OK;
}

const int32_t *adze_metrics_predicted(const adze_metrics *m)
{
    return m->predicted;
}

const uint8_t *adze_metrics_right(const adze_metrics *m, adze_gate_metric metric)
{
    if (!m->labelled || (metric != ADZE_METRIC_top1 && metric != ADZE_METRIC_top5))
        return NULL;
    return m->right[metric == ADZE_METRIC_top5];
}

adze_status adze_metrics_compare(adze_pairs *out, const adze_metrics *first,
                                 const adze_metrics *second, adze_gate_metric metric,
                                 adze_error *err)
{
    const uint8_t *a = adze_metrics_right(first, metric), *b = adze_metrics_right(second, metric);
    if (!a || !b || first->count != second->count)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "metrics: only top1 or top5 of the same labelled samples can be compared");
    adze_pairs pairs = {0};
    for (int64_t i = 0; i < first->count; i++) {
        bool x = a[i / 8] >> (i % 8) & 1, y = b[i / 8] >> (i % 8) & 1;
        pairs.both += x && y;
        pairs.only_first += x && !y;
        pairs.only_second += !x && y;
        pairs.neither += !x && !y;
    }
    *out = pairs;
    return ADZE_OK;
}

/* Of mse (0) or cosine (1): Student's interval of the differences sample by sample. */
static adze_estimate mean_difference(const adze_metrics *a, const adze_metrics *b, int which,
                                     double factor)
{
    adze_running_mean sum = {0};
    for (int64_t i = 0; i < a->count; i++)
        add_mean(&sum, (double)a->means[which][i] - factor * (double)b->means[which][i], i + 1);
    return adze_mean_estimate(sum.mean, sum.squares, a->count);
}

adze_status adze_metrics_difference(adze_estimate *out, const adze_metrics *a,
                                    const adze_metrics *b, adze_gate_metric metric, double factor,
                                    adze_error *err)
{
    adze_pairs pairs;
    adze_estimate one, other;
    if (a->count != b->count || !adze_metrics_get(&one, a, metric) ||
        !adze_metrics_get(&other, b, metric) || metric == ADZE_METRIC_agreement)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "%s: both models must have been measured on the same samples",
                         adze_gate_metric_name(metric));
    if (metric == ADZE_METRIC_mse || metric == ADZE_METRIC_cosine) {
        *out = mean_difference(a, b, metric == ADZE_METRIC_cosine, factor);
        return ADZE_OK;
    }
    if (metric != ADZE_METRIC_top1 && metric != ADZE_METRIC_top5)
        return adze_metrics_class_difference(out, a, b, metric, factor)
                   ? ADZE_OK
                   : adze_fail(err, ADZE_NO_MEMORY, "no memory to compare classes");
    ADZE_TRY(adze_metrics_compare(&pairs, a, b, metric, err));
    adze_interval interval = adze_paired_difference(&pairs, factor, 0.95);
    *out =
        (adze_estimate){one.value - factor * other.value, interval.low, interval.high, a->count, 0};
    return ADZE_OK;
}

bool adze_metrics_get(adze_estimate *out, const adze_metrics *m, adze_gate_metric metric)
{
    if (m->count == 0)
        return false;
    switch (metric) {
    case ADZE_METRIC_top1:
    case ADZE_METRIC_top5:
        *out = adze_proportion(m->hits[metric == ADZE_METRIC_top5], m->count);
        return m->labelled;
    case ADZE_METRIC_agreement: *out = adze_proportion(m->agreed, m->count); return m->referenced;
    case ADZE_METRIC_mse:
        *out = adze_mean_estimate(m->mse.mean, m->mse.squares, m->count);
        return m->referenced;
    case ADZE_METRIC_cosine:
        *out = adze_mean_estimate(m->cosine.mean, m->cosine.squares, m->count);
        return m->referenced;
    case ADZE_METRIC_precision:
    case ADZE_METRIC_recall:
    case ADZE_METRIC_f1: return m->labelled && adze_metrics_class_mean(out, m, metric);
    default: return false;
    }
}
