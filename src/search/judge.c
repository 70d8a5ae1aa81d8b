/* What one model is worth: quality on a part of the data, latency interleaved with the original, memory of
 * a fresh process, and the verdict of the requirements. Proportions carry Wilson intervals; differences
 * and comparisons with the original are paired by sample; ratios of timings are bootstrapped by blocks of
 * neighbouring rounds, which keeps what a noisy machine does for a while together. */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "search/search_impl.h"

#define Z95 1.959963984540054

/* The original's answers on a part. */
typedef struct search_reference {
    int64_t count, width; /* samples, outputs a sample */
    float *outputs;       /* [count, width] */
    uint8_t *correct;     /* [count]: top-1 right; NULL without labels */
} search_reference;

void search_reference_free(search_reference **reference) {
    if (!*reference)
        return;
    adze_free((*reference)->outputs);
    adze_free((*reference)->correct);
    adze_free(*reference);
    *reference = NULL;
}

/* ---- running a model over a part ---- */

enum { BATCH = 32 };

static bool batches(const adze_graph *graph) {
    for (int i = 0; i < adze_graph_input_count(graph); i++) {
        const adze_type *type = adze_value_type(adze_graph_input(graph, i));
        if (type->rank < 1 || type->dims[0] >= 0)
            return false;
    }
    return true;
}

static const char *input_name(const adze_dataset *data, const adze_graph *graph, int i) {
    return adze_dataset_input_count(data) == 1 ? NULL
                                               : adze_value_name(adze_graph_input(graph, i));
}

typedef void (*outputs_fn)(void *user, int64_t first, int64_t count, const float *outputs,
                           int64_t width);

static adze_status run_batch(adze_session *session, const adze_graph *graph, const adze_dataset *data,
                             adze_tensor *inputs, adze_tensor *outputs, int64_t first, int64_t n,
                             adze_error *err) {
    int64_t indices[BATCH];
    for (int64_t i = 0; i < n; i++)
        indices[i] = first + i;
    for (int i = 0; i < adze_graph_input_count(graph); i++)
        ADZE_TRY(adze_dataset_read_as(&inputs[i], adze_value_type(adze_graph_input(graph, i))->dtype,
                                      data, input_name(data, graph, i), indices, n, err));
    return adze_session_run(session, inputs, outputs, err);
}

static adze_status run_over(const adze_plan *plan, const adze_dataset *data, int64_t limit,
                            outputs_fn fn, void *user, adze_error *err) {
    enum { MOST = 16 };
    const adze_graph *graph = adze_plan_graph(plan);
    adze_tensor inputs[MOST] = {0}, outputs[MOST] = {0};
    adze_session *session = NULL;
    int64_t count = adze_dataset_count(data), step = batches(graph) ? BATCH : 1;
    if (adze_graph_input_count(graph) > MOST || adze_graph_output_count(graph) > MOST)
        return adze_fail(err, ADZE_UNSUPPORTED, "models of more than %d inputs or outputs", MOST);
    count = limit > 0 ? ADZE_MIN(count, limit) : count;
    ADZE_TRY(adze_session_open(&session, plan, NULL, err));
    adze_status status = ADZE_OK;
    for (int64_t i = 0; i < count && status == ADZE_OK; i += step) {
        int64_t n = ADZE_MIN(step, count - i);
        status = run_batch(session, graph, data, inputs, outputs, i, n, err);
        if (status == ADZE_OK && outputs[0].dtype != ADZE_F32)
            status = adze_fail(err, ADZE_UNSUPPORTED, "first output is %s, expected float32",
                               adze_dtype_describe(outputs[0].dtype)->name);
        if (status == ADZE_OK)
            fn(user, i, n, outputs[0].data, adze_tensor_elements(&outputs[0]) / n);
    }
    for (int i = 0; i < MOST; i++)
        adze_tensor_free(&inputs[i]);
    adze_session_close(&session);
    return status;
}

/* ---- quality ---- */

static int64_t largest(const float *v, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

/* Is class `label` among the five largest? */
static bool in_top5(const float *v, int64_t n, int64_t label) {
    int64_t above = 0;
    if (label < 0 || label >= n)
        return false;
    for (int64_t i = 0; i < n; i++)
        above += v[i] > v[label] || (v[i] == v[label] && i < label);
    return above < 5;
}

typedef struct tally {
    const adze_dataset *data;
    search_reference *reference; /* compared with; NULL while it is being made */
    search_reference *fill;
    int64_t n, top1, top5, agree;
    double mse, mse_square, cosine, cosine_square;
    double gain, gain_square; /* correct - factor 1 * original's correct, per sample */
    uint8_t *correct;
    bool out_of_memory;
} tally;

static void compare(tally *t, int64_t at, const float *v, int64_t width) {
    const float *r = t->reference->outputs + at * width;
    double error = 0, dot = 0, vv = 0, rr = 0;
    for (int64_t i = 0; i < width; i++) {
        double a = (double)v[i], b = (double)r[i];
        error += (a - b) * (a - b);
        dot += a * b;
        vv += a * a;
        rr += b * b;
    }
    double mse = error / (double)width, cosine = vv > 0 && rr > 0 ? dot / sqrt(vv * rr) : vv == rr;
    t->mse += mse;
    t->mse_square += mse * mse;
    t->cosine += cosine;
    t->cosine_square += cosine * cosine;
    t->agree += largest(v, width) == largest(r, width);
}

static void keep(tally *t, int64_t first, int64_t count, const float *outputs, int64_t width) {
    search_reference *f = t->fill;
    if (!f->outputs) {
        f->width = width;
        f->outputs = adze_alloc((size_t)f->count, (size_t)width * sizeof *f->outputs);
    }
    t->out_of_memory |= !f->outputs;
    if (f->outputs && f->width == width)
        memcpy(f->outputs + first * width, outputs, (size_t)(count * width) * sizeof *outputs);
}

static void take_outputs(void *user, int64_t first, int64_t count, const float *outputs,
                         int64_t width) {
    tally *t = user;
    if (t->fill)
        keep(t, first, count, outputs, width);
    for (int64_t i = 0; i < count; i++) {
        const float *v = outputs + i * width;
        int64_t label = adze_dataset_label(t->data, first + i);
        bool right = label >= 0 && largest(v, width) == label;
        t->n++;
        t->top1 += right;
        t->top5 += in_top5(v, width, label);
        if (t->correct)
            t->correct[first + i] = right;
        if (t->reference && t->reference->width == width)
            compare(t, first + i, v, width);
        if (t->reference && t->reference->correct) {
            double gain = (double)right - (double)t->reference->correct[first + i];
            t->gain += gain;
            t->gain_square += gain * gain;
        }
    }
}

static json_t *interval(double value, double low, double high, int64_t n) {
    return json_pack("{s:f, s:f, s:f, s:I}", "value", value, "low", low, "high", high, "n",
                     (json_int_t)n);
}

/* Wilson's interval for a proportion. */
static json_t *proportion(int64_t hits, int64_t n) {
    double p = n ? (double)hits / (double)n : 0, z2 = Z95 * Z95, count = (double)ADZE_MAX(n, 1);
    double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z95 / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count * count));
    return interval(p, ADZE_MAX(0, centre - half), ADZE_MIN(1, centre + half), n);
}

/* Mean with its normal interval. */
static json_t *mean_of(double sum, double square, int64_t n) {
    double count = (double)ADZE_MAX(n, 1), mean = sum / count;
    double variance = n > 1 ? ADZE_MAX(0, (square - count * mean * mean) / (count - 1)) : 0;
    double half = Z95 * sqrt(variance / count);
    return interval(mean, mean - half, mean + half, n);
}

static json_t *metrics_of(const search *s, const tally *t) {
    json_t *m = json_object();
    if (s->labelled) {
        json_object_set_new(m, "top1", proportion(t->top1, t->n));
        json_object_set_new(m, "top5", proportion(t->top5, t->n));
    }
    if (t->reference) {
        json_object_set_new(m, "agreement", proportion(t->agree, t->n));
        json_object_set_new(m, "mse", mean_of(t->mse, t->mse_square, t->n));
        json_object_set_new(m, "cosine", mean_of(t->cosine, t->cosine_square, t->n));
        if (t->reference->correct)
            json_object_set_new(m, "top1_gain", mean_of(t->gain, t->gain_square, t->n));
    }
    return m;
}

adze_status search_judge_quality(search *s, const adze_plan *plan, search_part part, int64_t limit,
                                 json_t **metrics, adze_error *err) {
    tally t = {.data = s->parts[part], .reference = s->reference[part]};
    ADZE_TRY(run_over(plan, s->parts[part], limit, take_outputs, &t, err));
    *metrics = metrics_of(s, &t);
    return ADZE_OK;
}

static adze_status judge_reference(search *s, search_part part, json_t **metrics, adze_error *err) {
    search_reference *r = adze_alloc(1, sizeof *r);
    if (!r)
        return adze_fail(err, ADZE_NO_MEMORY, "original");
    s->reference[part] = r;
    r->count = adze_dataset_count(s->parts[part]);
    if (s->labelled)
        r->correct = adze_alloc((size_t)r->count + 1, 1);
    tally t = {.data = s->parts[part], .fill = r, .correct = r->correct};
    ADZE_TRY(run_over(s->plan, s->parts[part], 0, take_outputs, &t, err));
    if (t.out_of_memory || (s->labelled && !r->correct))
        return adze_fail(err, ADZE_NO_MEMORY, "answers of the original");
    t.reference = r;
    t.agree = t.n;
    t.cosine = t.cosine_square = (double)t.n;
    *metrics = metrics_of(s, &t);
    return ADZE_OK;
}

/* ---- latency ---- */

enum { MOST_ROUNDS = 4000, LEAST_ROUNDS = 24, RESAMPLES = 300, BLOCK = 8 };

static adze_status random_inputs(adze_tensor *inputs, const adze_graph *graph, adze_error *err) {
    adze_rng rng = adze_rng_seed(7);
    for (int i = 0; i < adze_graph_input_count(graph); i++) {
        const adze_type *type = adze_value_type(adze_graph_input(graph, i));
        int64_t dims[ADZE_MAX_RANK] = {0};
        for (int d = 0; d < type->rank; d++)
            dims[d] = type->dims[d] >= 0 ? type->dims[d] : 1;
        ADZE_TRY(adze_tensor_make(&inputs[i], type->dtype, ADZE_MAX(type->rank, 0), dims, err));
        bool real = adze_dtype_describe(type->dtype)->kind == ADZE_KIND_FLOAT;
        for (int64_t e = 0; e < adze_tensor_elements(&inputs[i]); e++)
            adze_tensor_set_f64(&inputs[i], e, real ? adze_rng_normal(&rng) : 1);
    }
    return ADZE_OK;
}

/* Sessions with inputs of the data where they fit, else random: one side of the race. */
typedef struct runner {
    adze_session *session;
    adze_tensor inputs[16], outputs[16];
} runner;

static void close_runner(runner *r) {
    for (int i = 0; i < 16; i++)
        adze_tensor_free(&r->inputs[i]);
    adze_session_close(&r->session);
}

static adze_status open_runner(search *s, runner *r, const adze_plan *plan, adze_error *err) {
    const adze_graph *graph = adze_plan_graph(plan);
    int64_t first[1] = {0};
    adze_error ignored;
    *r = (runner){0};
    ADZE_TRY(adze_session_open(&r->session, plan, NULL, err));
    bool from_data = true;
    for (int i = 0; i < adze_graph_input_count(graph) && from_data; i++)
        from_data = adze_dataset_read_as(&r->inputs[i],
                                         adze_value_type(adze_graph_input(graph, i))->dtype,
                                         s->parts[PART_SELECTION],
                                         input_name(s->parts[PART_SELECTION], graph, i), first, 1,
                                         &ignored) == ADZE_OK;
    if (!from_data)
        ADZE_TRY(random_inputs(r->inputs, graph, err));
    for (int i = 0; i < 3; i++) /* warm */
        ADZE_TRY(adze_session_run(r->session, r->inputs, r->outputs, err));
    return ADZE_OK;
}

static adze_status time_run(runner *r, double *ms, adze_error *err) {
    double start = adze_now();
    ADZE_TRY(adze_session_run(r->session, r->inputs, r->outputs, err));
    *ms = (adze_now() - start) * 1e3;
    return ADZE_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* q in [0, 1] of sorted values, between neighbours. */
static double quantile(const double *sorted, int n, double q) {
    double at = q * (n - 1);
    int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* Statistic of both sides on one resample of blocks of rounds: median(b) / median(a), and quantile q of b. */
static void resample(adze_rng *rng, const double *a, const double *b, int n, double *work, double *ratio,
                     double *median, double *p95) {
    double *x = work, *y = work + n;
    for (int i = 0; i < n; i += BLOCK) {
        int from = (int)adze_rng_below(rng, (uint64_t)(n - BLOCK + 1));
        for (int k = 0; k < BLOCK && i + k < n; k++) {
            x[i + k] = a[from + k];
            y[i + k] = b[from + k];
        }
    }
    qsort(x, (size_t)n, sizeof *x, ascending);
    qsort(y, (size_t)n, sizeof *y, ascending);
    *ratio = quantile(x, n, 0.5) / quantile(y, n, 0.5);
    *median = quantile(y, n, 0.5);
    *p95 = quantile(y, n, 0.95);
}

static json_t *bootstrapped(double value, double *samples, int64_t n) {
    qsort(samples, RESAMPLES, sizeof *samples, ascending);
    return interval(value, ADZE_MIN(value, quantile(samples, RESAMPLES, 0.025)),
                    ADZE_MAX(value, quantile(samples, RESAMPLES, 0.975)), n);
}

/* a: the original, b: the candidate; n rounds each, in order. */
static json_t *summarize(double *a, double *b, int n, double *work) {
    double ratios[RESAMPLES], medians[RESAMPLES], p95s[RESAMPLES], sum = 0;
    adze_rng rng = adze_rng_seed(11);
    for (int i = 0; i < RESAMPLES; i++)
        resample(&rng, a, b, n, work, &ratios[i], &medians[i], &p95s[i]);
    for (int i = 0; i < n; i++)
        sum += b[i];
    qsort(a, (size_t)n, sizeof *a, ascending);
    qsort(b, (size_t)n, sizeof *b, ascending);
    double p50 = quantile(b, n, 0.5), original = quantile(a, n, 0.5), p95 = quantile(b, n, 0.95);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:o, s:o, s:o}", "p50", p50, "p95", p95,
                     "p99", quantile(b, n, 0.99), "mean", sum / n, "min", b[0], "original_p50",
                     original, "rounds", n, "speedup", bootstrapped(original / p50, ratios, n),
                     "p50_interval", bootstrapped(p50, medians, n), "p95_interval",
                     bootstrapped(p95, p95s, n));
}

static adze_status race(search *s, runner *original, runner *candidate, double seconds,
                        json_t **latency, adze_error *err) {
    double *a = adze_alloc(4 * MOST_ROUNDS, sizeof *a), *b = a + MOST_ROUNDS;
    if (!a)
        return adze_fail(err, ADZE_NO_MEMORY, "timing");
    double end = adze_now() + seconds;
    adze_status status = ADZE_OK;
    int n = 0;
    for (; n < MOST_ROUNDS && status == ADZE_OK && (n < LEAST_ROUNDS || adze_now() < end); n++) {
        bool first = n % 2 == 0; /* who goes first alternates */
        status = time_run(first ? original : candidate, first ? &a[n] : &b[n], err);
        if (status == ADZE_OK)
            status = time_run(first ? candidate : original, first ? &b[n] : &a[n], err);
        b[n] += s->slowdown;
    }
    if (status == ADZE_OK)
        *latency = summarize(a, b, n, a + 2 * MOST_ROUNDS);
    adze_free(a);
    return status;
}

adze_status search_judge_latency(search *s, const adze_plan *plan, double seconds, json_t **latency,
                                 adze_error *err) {
    runner original, candidate = {0};
    adze_status status = open_runner(s, &original, s->plan, err);
    if (status == ADZE_OK)
        status = open_runner(s, &candidate, plan, err);
    if (status == ADZE_OK)
        status = race(s, &original, &candidate, seconds, latency, err);
    close_runner(&original);
    close_runner(&candidate);
    return status;
}

/* ---- memory ---- */

extern char **environ;

/* PROGRAM bench MODEL --runs 5 --json in a fresh process; its peak_rss_bytes. */
double search_judge_memory(search *s, const char *path) {
    char program[4096], output[8192], *argv[16];
    posix_spawn_file_actions_t actions;
    int pipes[2], status, argc = 0;
    pid_t child;
    ssize_t length = s->options.program ? readlink(s->options.program, program, sizeof program - 1) : -1;
    if (length <= 0 || pipe(pipes) != 0)
        return NAN;
    program[length] = 0;
    char *fixed[] = {program, "bench", (char *)path, "--runs", "5", "--json"};
    for (size_t i = 0; i < ADZE_COUNT_OF(fixed); i++)
        argv[argc++] = fixed[i];
    for (int i = 0; i < s->options.shape_count && argc + 3 < 16; i++) {
        argv[argc++] = "--shape";
        argv[argc++] = (char *)s->options.shapes[i];
    }
    argv[argc] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
    int failed = posix_spawn(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    size_t used = 0;
    ssize_t got;
    while (!failed && used + 1 < sizeof output &&
           ((got = read(pipes[0], output + used, sizeof output - 1 - used)) > 0 || errno == EINTR))
        used += got > 0 ? (size_t)got : 0;
    output[used] = 0;
    close(pipes[0]);
    if (failed || waitpid(child, &status, 0) != child || status != 0)
        return NAN;
    json_t *json = json_loads(output, 0, NULL);
    double peak = search_number(json, "peak_rss_bytes");
    json_decref(json);
    return peak;
}

/* ---- requirements ---- */

typedef struct measured {
    double value, low, high, limit;
    int64_t n;
} measured;

static void take(measured *m, const json_t *facts, const char *path) {
    char key[96];
    snprintf(key, sizeof key, "%s.value", path);
    m->value = search_number(facts, key);
    snprintf(key, sizeof key, "%s.low", path);
    m->low = search_number(facts, key);
    snprintf(key, sizeof key, "%s.high", path);
    m->high = search_number(facts, key);
    snprintf(key, sizeof key, "%s.n", path);
    double n = search_number(facts, key);
    m->n = isnan(n) ? 0 : (int64_t)n;
}

static double original_number(const search *s, search_part part, const char *path) {
    const json_t *facts = part == PART_CERTIFICATION ? s->trials[0].certified : s->trials[0].record;
    return search_number(facts, path);
}

/* Value, interval and limit of a gate for a candidate. */
static measured measure_gate(const search *s, const search_gate *g, const json_t *facts,
                             search_part part) {
    measured m = {NAN, NAN, NAN, g->offset, 0};
    char path[96];
    if (strcmp(g->metric, "size") == 0 || strcmp(g->metric, "peak_memory") == 0) {
        m.value = m.low = m.high = search_number(facts, g->metric);
        m.limit += g->factor * original_number(s, part, g->metric);
    } else if (strcmp(g->metric, "speedup") == 0) {
        take(&m, facts, "latency.speedup");
        m.limit += g->factor;
    } else if (strncmp(g->metric, "latency_", 8) == 0) {
        const char *which = g->metric + 8;
        snprintf(path, sizeof path, "latency.%s_interval", which);
        take(&m, facts, path);
        snprintf(path, sizeof path, "latency.%s", which);
        m.value = search_number(facts, path);
        if (isnan(m.low))
            m.low = m.high = m.value;
        m.limit += g->factor * search_number(facts, "latency.original_p50");
    } else {
        snprintf(path, sizeof path, "metrics.%.60s", g->metric);
        take(&m, facts, path);
        if (g->factor != 0) {
            snprintf(path, sizeof path, "metrics.%.60s.value", g->metric);
            m.limit += g->factor * original_number(s, part, path);
        }
        /* Against the original on the same samples: the interval is that of the paired difference. */
        measured gain;
        take(&gain, facts, "metrics.top1_gain");
        if (g->factor != 0 && strcmp(g->metric, "top1") == 0 && isfinite(gain.low)) {
            m.low = m.value - (gain.value - gain.low);
            m.high = m.value + (gain.high - gain.value);
        }
    }
    return m;
}

static void format_amount(char buf[48], const char *metric, double v) {
    char bytes[32];
    bool share = strcmp(metric, "top1") == 0 || strcmp(metric, "top5") == 0 ||
                 strcmp(metric, "agreement") == 0;
    if (strcmp(metric, "size") == 0 || strcmp(metric, "peak_memory") == 0)
        snprintf(buf, 48, "%s", adze_format_bytes(bytes, v));
    else if (strncmp(metric, "latency", 7) == 0)
        snprintf(buf, 48, "%.4g ms", v);
    else if (share)
        snprintf(buf, 48, "%.2f %%", 100 * v);
    else
        snprintf(buf, 48, "%.4g", v);
}

/* How many samples (or rounds) would shrink the interval to where the limit is outside. */
static double needed(const measured *m) {
    double half = (m->high - m->low) / 2, distance = fabs(m->value - m->limit);
    return distance > 0 && m->n > 0 ? ceil((double)m->n * (half / distance) * (half / distance)) : NAN;
}

static json_t *describe_gate(const search_gate *g, const measured *m, int verdict) {
    static const char *const words[] = {"pass", "undecided", "fail"};
    char value[48], low[48], high[48], limit[48], note[256];
    format_amount(value, g->metric, m->value);
    format_amount(low, g->metric, m->low);
    format_amount(high, g->metric, m->high);
    format_amount(limit, g->metric, m->limit);
    int n = snprintf(note, sizeof note, "%s %s", g->metric, value);
    if (m->low != m->high)
        n += snprintf(note + n, sizeof note - (size_t)n, " [%s, %s]", low, high);
    n += snprintf(note + n, sizeof note - (size_t)n, ", limit %s", limit);
    if (verdict == 1 && isfinite(needed(m)))
        snprintf(note + n, sizeof note - (size_t)n, "; about %.0f %s would decide", needed(m),
                 strncmp(g->metric, "latency", 7) == 0 || strcmp(g->metric, "speedup") == 0
                     ? "rounds"
                     : "samples");
    json_t *o = json_pack("{s:s, s:s, s:s}", "requirement", g->text, "verdict", words[verdict], "note",
                          note);
    const char *const names[] = {"value", "low", "high", "limit"};
    const double numbers[] = {m->value, m->low, m->high, m->limit};
    for (int i = 0; i < 4; i++)
        json_object_set_new(o, names[i], isfinite(numbers[i]) ? json_real(numbers[i]) : json_null());
    return o;
}

adze_status search_judge_gates(search *s, const json_t *facts, search_part part, json_t **verdicts,
                               int *worst, adze_error *err) {
    json_t *list = json_array();
    if (!list)
        return adze_fail(err, ADZE_NO_MEMORY, "requirements");
    *worst = 0;
    for (int i = 0; i < s->gate_count; i++) {
        const search_gate *g = &s->gates[i];
        measured m = measure_gate(s, g, facts, part);
        int verdict = search_gate_verdict(g, m.low, m.high, m.limit);
        *worst = ADZE_MAX(*worst, verdict);
        json_array_append_new(list, describe_gate(g, &m, verdict));
    }
    *verdicts = list;
    return ADZE_OK;
}

/* ---- the original ---- */

adze_status search_judge_original(search *s, adze_error *err) {
    json_t *metrics[PART_COUNT] = {0}, *latency = NULL;
    ADZE_TRY(adze_plan_create(&s->plan, adze_model_graph(s->model), NULL, err));
    for (int part = 0; part < PART_COUNT; part++)
        ADZE_TRY(judge_reference(s, (search_part)part, &metrics[part], err));
    double slowdown = s->slowdown;
    s->slowdown = 0;
    ADZE_TRY(search_judge_latency(s, s->plan, 0.5, &latency, err));
    s->slowdown = slowdown;
    trial *t = search_add_trial(s);
    if (!t)
        return adze_fail(err, ADZE_NO_MEMORY, "original");
    t->name = "original";
    t->scheme = "as given";
    t->status = "original";
    json_int_t size = (json_int_t)adze_model_file_size(s->model);
    t->record = json_pack("{s:s, s:s, s:I, s:s, s:o, s:O}", "state", "measured", "reason", "", "size",
                          size, "sha256", s->model_hash, "metrics", metrics[0], "latency", latency);
    t->certified = json_pack("{s:o, s:o, s:I}", "metrics", metrics[1], "latency", latency, "size", size);
    double peak = search_judge_memory(s, s->model_path);
    if (!isnan(peak)) {
        json_object_set_new(t->certified, "peak_memory", json_real(peak));
        json_object_set_new(t->record, "peak_memory", json_real(peak));
    }
    return ADZE_OK;
}
