/* Precision, recall and F1, of each class and as means over classes. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/order.h"
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

/* The models of a bootstrap: one, or two that are compared. */
typedef struct contest {
    const adze_metrics *models[2]; /* the second may be NULL */
    double factor;
    int64_t class_count;
    counts *classes[2]; /* [class_count] */
    adze_gate_metric metric;
} contest;

/* Value over the samples; drawn anew from `rng`, or each once when NULL. */
static double value_of(contest *c, adze_rng *rng)
{
    int64_t n = c->models[0]->count;
    for (int k = 0; k < 2; k++)
        memset(c->classes[k], 0, (size_t)c->class_count * sizeof *c->classes[k]);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = rng ? (int64_t)adze_rng_below(rng, (uint64_t)n) : i;
        for (int k = 0; k < 2 && c->models[k]; k++)
            count_sample(c->classes[k], c->models[k], at);
    }
    double value = mean_over(c->classes[0], c->class_count, c->metric);
    if (c->models[1])
        value -= c->factor * mean_over(c->classes[1], c->class_count, c->metric);
    return value;
}

static bool estimate(adze_estimate *out, contest *c)
{
    double results[RESAMPLES];
    adze_rng rng = adze_rng_seed(1);
    counts *classes = adze_alloc((size_t)c->class_count * 2, sizeof *classes);
    if (!classes)
        return false;
    c->classes[0] = classes;
    c->classes[1] = classes + c->class_count;
    double value = value_of(c, NULL);
    for (int r = 0; r < RESAMPLES; r++)
        results[r] = value_of(c, &rng);
    adze_free(classes);
    adze_sort_f64(results, RESAMPLES);
    *out = (adze_estimate){.value = value,
                           .low = adze_percentile(results, RESAMPLES, 2.5),
                           .high = adze_percentile(results, RESAMPLES, 97.5),
                           .samples = c->models[0]->count};
    return true;
}

bool adze_metrics_class_mean(adze_estimate *out, const adze_metrics *m, adze_gate_metric metric)
{
    contest c = {.models = {m}, .class_count = adze_metrics_classes(m), .metric = metric};
    return estimate(out, &c);
}

bool adze_metrics_class_difference(adze_estimate *out, const adze_metrics *a, const adze_metrics *b,
                                   adze_gate_metric metric, double factor)
{
    int64_t classes = ADZE_MAX(adze_metrics_classes(a), adze_metrics_classes(b));
    contest c = {{a, b}, factor, classes, {NULL}, metric};
    return estimate(out, &c);
}
