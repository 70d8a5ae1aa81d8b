/* Precision, recall and F1, of each class and as means over classes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "eval/metrics_impl.h"
#include "eval/statistics.h"

enum { RESAMPLES = 1000 };

typedef struct counts {
    int64_t support, predicted, hits;
} counts;

static void count_sample(counts *classes, const adze_metrics *m, int64_t i)
{
    int32_t label = m->labels[i], predicted = m->predicted[i];
    classes[label].support++;
    if (predicted >= 0)
        classes[predicted].predicted++;
    classes[label].hits += predicted == label;
}

/* F1 = 2 s / (1 + s), where s = hits / (support + predicted - hits) is a proportion: so is its interval. */
static adze_estimate f1_estimate(const counts *c)
{
    adze_estimate s = adze_proportion(c->hits, c->support + c->predicted - c->hits);
    return (adze_estimate){2 * s.value / (1 + s.value), 2 * s.low / (1 + s.low),
                           2 * s.high / (1 + s.high), s.samples, 0};
}

adze_class_metrics adze_metrics_class(const adze_metrics *m, int64_t index)
{
    counts c = {0};
    for (int64_t i = 0; m->labelled && i < m->count; i++) {
        c.support += m->labels[i] == index;
        c.predicted += m->predicted[i] == index;
        c.hits += m->labels[i] == index && m->predicted[i] == index;
    }
    return (adze_class_metrics){.support = c.support,
                                .predicted = c.predicted,
                                .precision = adze_proportion(c.hits, c.predicted),
                                .recall = adze_proportion(c.hits, c.support),
                                .f1 = f1_estimate(&c)};
}

void adze_metrics_confusion(const adze_metrics *m, int64_t *table)
{
    int64_t classes = adze_metrics_classes(m);
    memset(table, 0, (size_t)(classes * classes) * sizeof *table);
    for (int64_t i = 0; m->labelled && i < m->count; i++)
        if (m->predicted[i] >= 0)
            table[m->labels[i] * classes + m->predicted[i]]++;
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* Over the classes that occur among the labels; a class never predicted has precision 0. */
static double mean_over(const counts *classes, int64_t count, adze_gate_metric metric)
{
    double sum = 0;
    int64_t occurring = 0;
    for (int64_t c = 0; c < count; c++) {
        const counts *x = &classes[c];
        if (x->support == 0)
            continue;
        occurring++;
        sum += metric == ADZE_METRIC_precision ? share(x->hits, x->predicted)
               : metric == ADZE_METRIC_recall  ? share(x->hits, x->support)
                                               : share(2 * x->hits, x->support + x->predicted);
    }
    return occurring ? sum / (double)occurring : 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool adze_metrics_class_mean(adze_estimate *out, const adze_metrics *m, adze_gate_metric metric)
{
    int64_t count = adze_metrics_classes(m);
    counts *classes = adze_alloc((size_t)count, sizeof *classes);
    if (!classes)
        return false;
    double results[RESAMPLES];
    adze_rng rng = adze_rng_seed(1);
    for (int64_t i = 0; i < m->count; i++)
        count_sample(classes, m, i);
    *out = (adze_estimate){.value = mean_over(classes, count, metric), .samples = m->count};
    for (int r = 0; r < RESAMPLES; r++) {
        memset(classes, 0, (size_t)count * sizeof *classes);
        for (int64_t i = 0; i < m->count; i++)
            count_sample(classes, m, (int64_t)adze_rng_below(&rng, (uint64_t)m->count));
        results[r] = mean_over(classes, count, metric);
    }
    adze_free(classes);
    qsort(results, RESAMPLES, sizeof results[0], by_size);
    out->low = adze_percentile(results, RESAMPLES, 2.5);
    out->high = adze_percentile(results, RESAMPLES, 97.5);
    return true;
}
