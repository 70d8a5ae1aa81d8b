/* Candidates timed side by side. A round runs each once; who begins rotates, so that no one always comes
 * after the same neighbour. Rounds stay aligned: round i of one is comparable with round i of another. */
#include <string.h>

#include "adze/profile.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/order.h"

struct adze_measurement {
    int count;
    int64_t rounds, capacity;
    double seconds;
    double **samples;      /* [count] -> [capacity] milliseconds */
    adze_latency *latency; /* [count] */
};

typedef struct runner {
    const adze_graph *graph;
    adze_session *session, *own_session;
    const adze_tensor *inputs;
    adze_tensor *own_inputs, *outputs;
} runner;

/* ---- latencies ---- */

adze_status adze_latency_of(adze_latency *out, const double *samples, int64_t n, adze_error *err)
{
    *out = (adze_latency){0};
    if (n <= 0)
        return ADZE_OK;
    double *sorted = adze_alloc((size_t)n, sizeof *sorted), sum = 0;
    if (!sorted)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %lld timings", (long long)n);
    memcpy(sorted, samples, (size_t)n * sizeof *sorted);
    adze_sort_f64(sorted, n);
    for (int64_t i = 0; i < n; i++)
        sum += sorted[i];
    *out = (adze_latency){.min = sorted[0],
                          .mean = sum / (double)n,
                          .p50 = adze_percentile(sorted, n, 50),
                          .p90 = adze_percentile(sorted, n, 90),
                          .p95 = adze_percentile(sorted, n, 95),
                          .p99 = adze_percentile(sorted, n, 99)};
    adze_free(sorted);
    return ADZE_OK;
}

/* ---- contestants ---- */

static void close_runner(runner *r)
{
    adze_session_close(&r->own_session);
    adze_inputs_free(&r->own_inputs, r->graph);
    adze_free(r->outputs);
}

static adze_status open_runner(runner *r, const adze_contestant *contestant, uint64_t seed,
                               adze_error *err)
{
    r->graph = adze_plan_graph(contestant->plan);
    r->session = contestant->session;
    r->inputs = contestant->inputs;
    r->outputs = adze_alloc((size_t)adze_graph_output_count(r->graph) + 1, sizeof *r->outputs);
    if (!r->outputs)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to measure");
    if (!r->session) {
        ADZE_TRY(adze_session_open(&r->own_session, contestant->plan, NULL, err));
        r->session = r->own_session;
    }
    if (!r->inputs) {
        ADZE_TRY(adze_inputs_random(&r->own_inputs, r->graph, seed, err));
        r->inputs = r->own_inputs;
    }
    return ADZE_OK;
}

static adze_status run_round(runner *runners, int count, int64_t round, double *milliseconds,
                             adze_error *err)
{
    for (int k = 0; k < count; k++) {
        int i = (int)((round + k) % count);
        runner *r = &runners[i];
        double start = adze_now();
        ADZE_TRY(adze_session_run(r->session, r->inputs, r->outputs, err));
        milliseconds[i] = 1e3 * (adze_now() - start);
    }
    return ADZE_OK;
}

/* ---- the measurement ---- */

adze_measure_options adze_measure_options_default(void)
{
    return (adze_measure_options){.seconds = 2, .min_rounds = 5, .warmup_rounds = 3, .seed = 1};
}

static adze_status make_measurement(adze_measurement **out, int count, adze_error *err)
{
    adze_measurement *m = adze_alloc(1, sizeof *m);
    if (m) {
        m->count = count;
        m->samples = adze_alloc((size_t)count, sizeof *m->samples);
        m->latency = adze_alloc((size_t)count, sizeof *m->latency);
    }
    *out = m;
    if (!m || !m->samples || !m->latency)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to measure");
    return ADZE_OK;
}

void adze_measurement_free(adze_measurement **measurement)
{
    adze_measurement *m = *measurement;
    *measurement = NULL;
    for (int i = 0; m && m->samples && i < m->count; i++)
        adze_free(m->samples[i]);
    if (m) {
        adze_free(m->samples);
        adze_free(m->latency);
    }
    adze_free(m);
}

static adze_status keep_round(adze_measurement *m, const double *milliseconds, adze_error *err)
{
    if (m->rounds == m->capacity) {
        int64_t capacity = m->capacity ? 2 * m->capacity : 256;
        for (int i = 0; i < m->count; i++) {
            double *grown = adze_realloc(m->samples[i], (size_t)capacity, sizeof *grown);
            if (!grown)
                return adze_fail(err, ADZE_NO_MEMORY, "no memory for %lld rounds",
                                 (long long)capacity);
            m->samples[i] = grown;
        }
        m->capacity = capacity;
    }
    for (int i = 0; i < m->count; i++)
        m->samples[i][m->rounds] = milliseconds[i];
    m->rounds++;
    return ADZE_OK;
}

static adze_status run_rounds(adze_measurement *m, runner *runners, double *milliseconds,
                              const adze_measure_options *options, adze_error *err)
{
    for (int64_t i = 0; i < options->warmup_rounds; i++)
        ADZE_TRY(run_round(runners, m->count, i, milliseconds, err));
    double start = adze_now();
    for (;;) {
        bool enough = options->max_rounds > 0 && m->rounds >= options->max_rounds;
        bool late = m->rounds >= options->min_rounds && m->seconds >= options->seconds;
        if (enough || late || (options->cancelled && options->cancelled(options->user)))
            return ADZE_OK;
        ADZE_TRY(run_round(runners, m->count, m->rounds, milliseconds, err));
        ADZE_TRY(keep_round(m, milliseconds, err));
        m->seconds = adze_now() - start;
    }
}

static adze_status measure(adze_measurement *m, runner *runners, const adze_contestant *contestants,
                           const adze_measure_options *options, adze_error *err)
{
    double *milliseconds = adze_alloc((size_t)m->count, sizeof *milliseconds);
    adze_status status = milliseconds ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "no memory");
    for (int i = 0; i < m->count && status == ADZE_OK; i++)
        status = open_runner(&runners[i], &contestants[i], options->seed, err);
    if (status == ADZE_OK)
        status = run_rounds(m, runners, milliseconds, options, err);
    for (int i = 0; i < m->count && status == ADZE_OK; i++)
        status = adze_latency_of(&m->latency[i], m->samples[i], m->rounds, err);
    for (int i = 0; i < m->count; i++)
        close_runner(&runners[i]);
    adze_free(milliseconds);
    return status;
}

adze_status adze_measure(adze_measurement **out, const adze_contestant *contestants, int count,
                         const adze_measure_options *options, adze_error *err)
{
    adze_measure_options defaults = adze_measure_options_default();
    adze_measurement *m = NULL;
    runner *runners = adze_alloc((size_t)ADZE_MAX(count, 1), sizeof *runners);
    adze_status status = adze_fail(err, ADZE_BAD_ARGUMENT, "measuring needs at least one model");
    if (!runners)
        status = adze_fail(err, ADZE_NO_MEMORY, "no memory to measure");
    else if (count > 0)
        status = make_measurement(&m, count, err);
    if (status == ADZE_OK)
        status = measure(m, runners, contestants, options ? options : &defaults, err);
    adze_free(runners);
    if (status == ADZE_OK)
        *out = m;
    else
        adze_measurement_free(&m);
    return status;
}

int64_t adze_measurement_rounds(const adze_measurement *m)
{
    return m->rounds;
}

const double *adze_measurement_samples(const adze_measurement *m, int i)
{
    return m->samples[i];
}

const adze_latency *adze_measurement_latency(const adze_measurement *m, int i)
{
    return &m->latency[i];
}

double adze_measurement_seconds(const adze_measurement *m)
{
    return m->seconds;
}
