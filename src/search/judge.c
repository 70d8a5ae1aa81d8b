/* What one model is worth, by the means of eval and profile, written down as JSON: quality on a part of the
 * data, latency interleaved with the original, memory of a fresh process, verdicts of the requirements. */
#include <math.h>
#include <string.h>

#include "adze/profile.h"
#include "search/search_impl.h"

/* ---- estimates as JSON; latencies in milliseconds ---- */

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *estimate_json(const adze_estimate *e, double unit)
{
    json_t *o = json_object();
    json_object_set_new(o, "value", number_or_null(e->value * unit));
    json_object_set_new(o, "low", number_or_null(e->low * unit));
    json_object_set_new(o, "high", number_or_null(e->high * unit));
    json_object_set_new(o, "n", json_integer((json_int_t)e->samples));
    return o;
}

static json_t *metrics_json(const adze_evaluation *evaluation)
{
    json_t *o = json_object();
    for (int i = 0; i < ADZE_METRIC_COUNT; i++) {
        const adze_estimate *e = adze_evaluation_metric(evaluation, (adze_gate_metric)i);
        if (e)
            json_object_set_new(o, adze_gate_metric_name((adze_gate_metric)i), estimate_json(e, 1));
    }
    return o;
}

/* ---- quality ---- */

static adze_status evaluate(search *s, const adze_plan *plan, search_part part,
                            adze_evaluation **out, adze_error *err)
{
    adze_evaluate_options options = adze_evaluate_options_default();
    options.keep_outputs = s->reference[part] == NULL; /* the original itself */
    return adze_evaluate(out, plan, s->parts[part], s->reference[part], &options, err);
}

adze_status search_judge_quality(search *s, const adze_plan *plan, search_part part,
                                 json_t **metrics, adze_error *err)
{
    adze_evaluation *evaluation = NULL;
    ADZE_TRY(evaluate(s, plan, part, &evaluation, err));
    *metrics = metrics_json(evaluation);
    adze_evaluation_free(&evaluation);
    return ADZE_OK;
}

/* ---- latency ---- */

typedef struct timing {
    double *candidate; /* [rounds] ms, with the test hook's slow-down */
    const double *original;
    int64_t rounds;
    adze_measurement *measurement;
} timing;

static void free_timing(timing *t)
{
    adze_free(t->candidate);
    adze_measurement_free(&t->measurement);
}

static adze_status race(search *s, const adze_plan *plan, double seconds, timing *t,
                        adze_error *err)
{
    adze_measure_options options = adze_measure_options_default();
    const adze_contestant contestants[] = {{.plan = s->plan}, {.plan = plan}};
    options.seconds = seconds;
    options.min_rounds = seconds < SEARCH_GLANCE_SECONDS * 1.5 ? 3 : 24;
    options.max_rounds = 4000;
    *t = (timing){0};
    ADZE_TRY(adze_measure(&t->measurement, contestants, 2, &options, err));
    t->rounds = adze_measurement_rounds(t->measurement);
    t->original = adze_measurement_samples(t->measurement, 0);
    t->candidate = adze_alloc((size_t)t->rounds, sizeof *t->candidate);
    if (!t->candidate) {
        free_timing(t);
        return adze_fail(err, ADZE_NO_MEMORY, "timing");
    }
    const double *samples = adze_measurement_samples(t->measurement, 1);
    for (int64_t i = 0; i < t->rounds; i++)
        t->candidate[i] = samples[i] + s->slowdown;
    return ADZE_OK;
}

static adze_status set_timing(adze_facts *facts, const timing *t, adze_error *err)
{
    return adze_facts_set_timing(facts, t->candidate, t->original, t->rounds,
                                 adze_measurement_seconds(t->measurement), err);
}

static json_t *latency_json(const adze_facts *facts, const timing *t)
{
    static const adze_gate_metric metrics[] = {ADZE_METRIC_latency_p50, ADZE_METRIC_latency_p95,
                                               ADZE_METRIC_latency_p99, ADZE_METRIC_latency_mean};
    json_t *o = json_object();
    for (size_t i = 0; i < ADZE_COUNT_OF(metrics); i++)
        json_object_set_new(o, adze_gate_metric_name(metrics[i]) + strlen("latency_"),
                            estimate_json(adze_facts_get(facts, metrics[i]), 1e3));
    json_object_set_new(o, "speedup", estimate_json(adze_facts_get(facts, ADZE_METRIC_speedup), 1));
    json_object_set_new(o, "rounds", json_integer((json_int_t)t->rounds));
    json_object_set_new(o, "original_p50",
                        number_or_null(adze_measurement_latency(t->measurement, 0)->p50));
    return o;
}

adze_status search_judge_latency(search *s, const adze_plan *plan, double seconds, json_t **latency,
                                 adze_error *err)
{
    timing t;
    adze_facts facts = {0};
    ADZE_TRY(race(s, plan, seconds, &t, err));
    adze_status status = set_timing(&facts, &t, err);
    if (status == ADZE_OK)
        *latency = latency_json(&facts, &t);
    free_timing(&t);
    return status;
}

/* ---- memory ---- */

static double peak_memory(search *s, const char *path)
{
    adze_peak_options options = {.program = s->options.program,
                                 .shapes = s->options.shapes,
                                 .shape_count = s->options.shape_count,
                                 .threads = s->options.threads};
    adze_error ignored;
    uint64_t bytes;
    if (!options.program || adze_measure_peak_memory(&bytes, path, &options, &ignored) != ADZE_OK)
        return NAN;
    return (double)bytes;
}

/* ---- requirements ---- */

static json_t *verdict_json(const adze_gate *gate, const adze_gate_result *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "requirement", json_string(gate->text));
    json_object_set_new(o, "verdict", json_string(adze_verdict_name(r->verdict)));
    json_object_set_new(o, "note", json_string(r->text));
    json_object_set_new(o, "measured", json_boolean(r->measured));
    json_object_set_new(o, "value", number_or_null(r->value.value));
    json_object_set_new(o, "low", number_or_null(r->value.low));
    json_object_set_new(o, "high", number_or_null(r->value.high));
    json_object_set_new(o, "limit", number_or_null(r->limit));
    return o;
}

static json_t *judge_gates(search *s, const adze_facts *facts, bool *passes)
{
    json_t *list = json_array();
    *passes = true;
    for (int i = 0; i < s->gate_count; i++) {
        adze_gate_result r = adze_facts_judge(&s->gates[i], facts, &s->original);
        *passes &= r.verdict == ADZE_VERDICT_PASS;
        json_array_append_new(list, verdict_json(&s->gates[i], &r));
    }
    return list;
}

/* Where the ledger has only numbers, intervals are not paired: clear failures alone count. */
bool search_clearly_fails(const search *s, const trial *t)
{
    for (int i = 0; i < s->gate_count; i++) {
        const adze_gate *gate = &s->gates[i];
        char path[96];
        snprintf(path, sizeof path, "metrics.%s.value", adze_gate_metric_name(gate->metric));
        double value = search_number(t->record, path);
        double original = search_number(s->trials[0].record, path);
        if (gate->metric == ADZE_METRIC_size) {
            value = search_number(t->record, "size");
            original = search_number(s->trials[0].record, "size");
        } else if (gate->metric == ADZE_METRIC_speedup) {
            value = search_number(t->record, "latency.speedup.value");
            original = 0;
        }
        double limit = (gate->relative ? gate->factor * original : 0) + gate->offset;
        if (gate->at_most ? value > limit : value < limit)
            return true;
    }
    return false;
}

/* ---- certification ---- */

static adze_status certify(search *s, trial *t, const adze_plan *plan, const char *path,
                           const timing *times, adze_error *err)
{
    adze_evaluation *evaluation = NULL;
    adze_facts facts = {0};
    ADZE_TRY(evaluate(s, plan, PART_CERTIFICATION, &evaluation, err));
    facts.evaluation = evaluation;
    adze_status status = set_timing(&facts, times, err);
    if (status != ADZE_OK) {
        adze_evaluation_free(&evaluation);
        return status;
    }
    double size = (double)adze_file_size(path), peak = peak_memory(s, path);
    adze_facts_set_exact(&facts, ADZE_METRIC_size, size);
    if (isfinite(peak))
        adze_facts_set_exact(&facts, ADZE_METRIC_peak_memory, peak);
    t->certified = json_object();
    json_object_set_new(t->certified, "metrics", metrics_json(evaluation));
    json_object_set_new(t->certified, "latency", latency_json(&facts, times));
    json_object_set_new(t->certified, "size", json_real(size));
    json_object_set_new(t->certified, "peak_memory", number_or_null(peak));
    json_object_set_new(t->certified, "gates", judge_gates(s, &facts, &t->passes));
    adze_evaluation_free(&evaluation);
    return ADZE_OK;
}

adze_status search_certify(search *s, trial *t, const adze_plan *plan, const char *path,
                           adze_error *err)
{
    timing times;
    ADZE_TRY(race(s, plan, 1.0, &times, err));
    adze_status status = certify(s, t, plan, path, &times, err);
    free_timing(&times);
    return status;
}

/* ---- the original ---- */

static adze_status set_original_facts(search *s, const timing *times, double peak, adze_error *err)
{
    adze_facts *facts = &s->original;
    facts->evaluation = s->reference[PART_CERTIFICATION];
    ADZE_TRY(set_timing(facts, times, err));
    adze_facts_set_exact(facts, ADZE_METRIC_size, (double)adze_model_file_size(s->model));
    if (isfinite(peak))
        adze_facts_set_exact(facts, ADZE_METRIC_peak_memory, peak);
    return ADZE_OK;
}

static adze_status describe_original(search *s, const timing *times, double peak, adze_error *err)
{
    trial *t = search_add_trial(s);
    if (!t)
        return adze_fail(err, ADZE_NO_MEMORY, "original");
    t->name = "original";
    t->scheme = "as given";
    t->status = "original";
    for (int i = 0; i < 2; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "state", json_string("measured"));
        json_object_set_new(o, "sha256", json_string(s->model_hash));
        json_object_set_new(o, "size", json_real((double)adze_model_file_size(s->model)));
        json_object_set_new(o, "peak_memory", number_or_null(peak));
        json_object_set_new(o, "latency", latency_json(&s->original, times));
        json_t *metrics = metrics_json(s->reference[i ? PART_CERTIFICATION : PART_SELECTION]);
        if (!json_object_get(metrics, s->metric)) /* agreement or cosine with itself */
            json_object_set_new(
                metrics, s->metric,
                json_pack("{s:f, s:f, s:f}", "value", 1.0, "low", 1.0, "high", 1.0));
        json_object_set_new(o, "metrics", metrics);
        *(i ? &t->certified : &t->record) = o;
    }
    return ADZE_OK;
}

adze_status search_judge_original(search *s, adze_error *err)
{
    timing times;
    double slowdown = s->slowdown;
    ADZE_TRY(adze_plan_create(&s->plan, adze_model_graph(s->model), NULL, err));
    for (int part = 0; part < PART_COUNT; part++)
        ADZE_TRY(evaluate(s, s->plan, (search_part)part, &s->reference[part], err));
    s->slowdown = 0;
    adze_status status = race(s, s->plan, 0.5, &times, err);
    s->slowdown = slowdown;
    ADZE_TRY(status);
    double peak = peak_memory(s, s->model_path);
    status = set_original_facts(s, &times, peak, err);
    if (status == ADZE_OK)
        status = describe_original(s, &times, peak, err);
    free_timing(&times);
    return status;
}
