/* What an evaluation says, and the facts that gates are judged by. */
#include "adze/eval.h"

#include <math.h>

#include "base/memory.h"
#include "eval/evaluation_impl.h"

enum { ROUND_BLOCKS = 8 }; /* rounds that are resampled together: disturbances last several */

void adze_evaluation_free(adze_evaluation **evaluation)
{
    adze_evaluation *e = *evaluation;
    *evaluation = NULL;
    if (!e)
        return;
    if (e->metrics)
        adze_metrics_close(&e->metrics);
    adze_free(e->outputs);
    adze_free(e->confusion);
    adze_free(e);
}

int64_t adze_evaluation_samples(const adze_evaluation *e)
{
    return adze_metrics_count(e->metrics);
}

int64_t adze_evaluation_classes(const adze_evaluation *e)
{
    return adze_metrics_classes(e->metrics);
}

const adze_estimate *adze_evaluation_metric(const adze_evaluation *e, adze_gate_metric metric)
{
    return e->known[metric] ? &e->values[metric] : NULL;
}

const int32_t *adze_evaluation_predictions(const adze_evaluation *e)
{
    return adze_metrics_predicted(e->metrics);
}

const int64_t *adze_evaluation_confusion(const adze_evaluation *e)
{
    return e->confusion;
}

adze_status adze_evaluation_difference(adze_estimate *out, const adze_evaluation *candidate,
                                       const adze_evaluation *original, adze_gate_metric metric,
                                       double factor, adze_error *err)
{
    return adze_metrics_difference(out, candidate->metrics, original->metrics, metric, factor, err);
}

double adze_evaluation_mcnemar(const adze_evaluation *a, const adze_evaluation *b)
{
    adze_pairs pairs;
    if (adze_metrics_compare(&pairs, a->metrics, b->metrics, ADZE_METRIC_top1, NULL) != ADZE_OK)
        return 1;
    return adze_mcnemar(&pairs);
}

/* ---- facts ---- */

void adze_facts_set(adze_facts *facts, adze_gate_metric metric, adze_estimate estimate)
{
    facts->known[metric] = true;
    facts->values[metric] = estimate;
}

void adze_facts_set_exact(adze_facts *facts, adze_gate_metric metric, double value)
{
    adze_facts_set(facts, metric, (adze_estimate){value, value, value, 0, 0});
}

/* Milliseconds become seconds. */
static adze_estimate scaled(adze_estimate e, double factor, double seconds)
{
    return (adze_estimate){e.value * factor, e.low * factor, e.high * factor, e.samples, seconds};
}

static adze_bootstrap_options by_blocks(int64_t rounds)
{
    adze_bootstrap_options options = adze_bootstrap_options_default();
    options.resamples = 1000;
    options.block = ADZE_MAX(1, ADZE_MIN(ROUND_BLOCKS, rounds / 8));
    return options;
}

adze_status adze_facts_set_timing(adze_facts *facts, const double *candidate,
                                  const double *original, int64_t rounds, double seconds,
                                  adze_error *err)
{
    static const struct {
        adze_gate_metric metric;
        double percent;
    } percentiles[] = {{ADZE_METRIC_latency_p50, 50},
                       {ADZE_METRIC_latency_p90, 90},
                       {ADZE_METRIC_latency_p95, 95},
                       {ADZE_METRIC_latency_p99, 99}};
    adze_bootstrap_options options = by_blocks(rounds);
    adze_estimate e;
    for (size_t i = 0; i < ADZE_COUNT_OF(percentiles); i++) {
        ADZE_TRY(adze_bootstrap_percentile(&e, candidate, rounds, percentiles[i].percent, &options,
                                           err));
        adze_facts_set(facts, percentiles[i].metric, scaled(e, 1e-3, seconds));
    }
    ADZE_TRY(adze_bootstrap_mean(&e, candidate, rounds, &options, err));
    adze_facts_set(facts, ADZE_METRIC_latency_mean, scaled(e, 1e-3, seconds));
    adze_estimate rate = {1e3 / e.value, 1e3 / e.high, 1e3 / e.low, rounds, seconds};
    adze_facts_set(facts, ADZE_METRIC_throughput, rate);
    if (!original)
        return ADZE_OK;
    ADZE_TRY(adze_bootstrap_ratio(&e, original, candidate, rounds, &options, err));
    adze_facts_set(facts, ADZE_METRIC_speedup, scaled(e, 1, seconds));
    return ADZE_OK;
}

const adze_estimate *adze_facts_get(const adze_facts *facts, adze_gate_metric metric)
{
    if (facts->known[metric])
        return &facts->values[metric];
    return facts->evaluation ? adze_evaluation_metric(facts->evaluation, metric) : NULL;
}

adze_gate_result adze_facts_judge(const adze_gate *gate, const adze_facts *candidate,
                                  const adze_facts *original)
{
    adze_estimate paired;
    const adze_estimate *other = original ? adze_facts_get(original, gate->metric) : NULL;
    bool both = gate->relative && original && candidate->evaluation && original->evaluation &&
                !candidate->known[gate->metric] && !original->known[gate->metric];
    if (both)
        both = adze_evaluation_difference(&paired, candidate->evaluation, original->evaluation,
                                          gate->metric, gate->factor, NULL) == ADZE_OK;
    return adze_gate_judge(gate, adze_facts_get(candidate, gate->metric), other,
                           both ? &paired : NULL);
}
