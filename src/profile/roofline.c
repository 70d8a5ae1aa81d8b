/* Time per step against what the machine could do. A step can be no faster than its operations at peak
 * speed, nor than its bytes at full bandwidth (roofline: Williams, Waterman, Patterson 2009); the share
 * it reaches of that says whether a better kernel or less work would help. */
#include <stdlib.h>
#include <string.h>

#include "adze/profile.h"
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "base/order.h"
#include "graph/ir.h"

enum { MOST_SHOWN = 30, KEPT_RUNS = 512 };

typedef struct step_row {
    const char *name, *op;
    double ms, operations, bytes; /* of one run */
    double least_ms;              /* what the machine could do */
    bool integer, compute_bound;
    int steps; /* rows of operators: how many steps */
} step_row;

typedef struct roofline {
    adze_arena arena;
    adze_device_peak peak;
    const adze_device *device;
    adze_device measured; /* when none was given */
    size_t working_set;   /* bytes that a run touches: they decide which cache they come from */
    int count, op_count, threads;
    step_row *rows, *ops;
    double total_ms, run_ms; /* sum of steps; of a whole run */
    int64_t runs;
    int steps;
    double *before; /* [steps] seconds of all runs so far */
    float *samples; /* [steps, KEPT_RUNS] milliseconds of the last runs */
    float *outside; /* [KEPT_RUNS] milliseconds of a run that are in no step */
} roofline;

/* ---- gathering ---- */

static bool is_integer(const adze_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        if (!node->inputs[i])
            continue;
        adze_dtype t = node->inputs[i]->type.dtype;
        if (i < 2 && (t == ADZE_U8 || t == ADZE_I8))
            return true;
    }
    return false;
}

static void set_least(step_row *row, const adze_device_peak *peak)
{
    double speed = row->integer ? peak->i8_operations : peak->f32_operations;
    double compute = speed > 0 ? 1e3 * row->operations / speed : 0;
    double memory = peak->read_bandwidth > 0 ? 1e3 * row->bytes / peak->read_bandwidth : 0;
    row->compute_bound = compute >= memory;
    row->least_ms = ADZE_MAX(compute, memory);
}

static int by_time(const void *a, const void *b)
{
    double x = ((const step_row *)a)->ms, y = ((const step_row *)b)->ms;
    return x > y ? -1 : x < y;
}

static void add_to_operator(roofline *r, const step_row *row)
{
    int i = 0;
    while (i < r->op_count && strcmp(r->ops[i].op, row->op) != 0)
        i++;
    if (i == r->op_count)
        r->ops[r->op_count++].op = row->op;
    r->ops[i].ms += row->ms;
    r->ops[i].operations += row->operations;
    r->ops[i].bytes += row->bytes;
    r->ops[i].least_ms += row->least_ms;
    r->ops[i].steps++;
}

/* Medians, so that what disturbs some runs changes nothing. */
static double median(float *samples, int64_t runs)
{
    const int64_t n = ADZE_MIN(runs, KEPT_RUNS);
    adze_sort_f32(samples, n);
    return n ? (double)samples[n / 2] : 0;
}

static adze_status prepare_samples(roofline *r, const adze_session *session, adze_error *err)
{
    r->steps = adze_session_step_count(session);
    size_t steps = (size_t)r->steps + 1;
    r->before = ADZE_ARENA_ARRAY(&r->arena, double, steps);
    r->samples = ADZE_ARENA_ARRAY(&r->arena, float, steps *KEPT_RUNS);
    r->outside = ADZE_ARENA_ARRAY(&r->arena, float, KEPT_RUNS);
    if (!r->before || !r->samples || !r->outside)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to profile %d steps", r->steps);
    return ADZE_OK;
}

static void keep_run(roofline *r, const adze_session *session, double seconds)
{
    int64_t at = r->runs++ % KEPT_RUNS;
    for (int i = 0; i < r->steps; i++) {
        adze_step_profile p;
        adze_session_step(session, i, &p);
        r->samples[i * KEPT_RUNS + at] = (float)(1e3 * (p.seconds - r->before[i]));
        seconds -= p.seconds - r->before[i];
        r->before[i] = p.seconds;
    }
    r->outside[at] = (float)(1e3 * seconds);
}

static size_t constant_bytes(const adze_graph *graph)
{
    size_t bytes = 0;
    for (int i = 0; i < graph->value_count; i++)
        if (graph->values[i]->role == ADZE_ROLE_CONSTANT)
            bytes += graph->values[i]->constant->size;
    return bytes;
}

/* Peaks, with the bandwidth that bytes of this model have: a small one lives in a cache. */
static adze_status find_peaks(roofline *r, const adze_plan *plan, const adze_session *session,
                              adze_error *err)
{
    const adze_graph *graph = adze_plan_graph(plan);
    size_t weights = ADZE_MAX(constant_bytes(graph), adze_plan_memory(plan));
    r->working_set = weights + adze_session_memory(session);
    if (!r->device) {
        adze_device_options how = {
            .seconds = 0.1, .max_threads = r->threads, .buffer = ADZE_MAX(r->working_set, 1)};
        how.buffer = ADZE_MIN(how.buffer, (size_t)256 << 20);
        ADZE_TRY(adze_device_measure(&r->measured, graph->context, &how, err));
        r->device = &r->measured;
    }
    r->peak = adze_device_peak_at(r->device, r->threads);
    return ADZE_OK;
}

static adze_status gather(roofline *r, const adze_session *session, adze_error *err)
{
    int steps = r->steps;
    r->rows = ADZE_ARENA_ARRAY(&r->arena, step_row, (size_t)steps + 1);
    r->ops = ADZE_ARENA_ARRAY(&r->arena, step_row, (size_t)steps + 1);
    if (!r->rows || !r->ops)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to profile %d steps", steps);
    for (int i = 0; i < steps; i++) {
        adze_step_profile p;
        adze_session_step(session, i, &p);
        step_row row = {.name = p.node->name,
                        .op = p.node->op_type,
                        .ms = median(r->samples + (size_t)i * KEPT_RUNS, r->runs),
                        .operations = p.cost.operations,
                        .bytes = p.cost.bytes,
                        .integer = is_integer(p.node),
                        .steps = 1};
        set_least(&row, &r->peak);
        r->total_ms += row.ms;
        r->rows[r->count++] = row;
        add_to_operator(r, &row);
    }
    r->run_ms = r->total_ms + ADZE_MAX(median(r->outside, r->runs), 0.0);
    qsort(r->rows, (size_t)r->count, sizeof *r->rows, by_time);
    qsort(r->ops, (size_t)r->op_count, sizeof *r->ops, by_time);
    return ADZE_OK;
}

static adze_status time_runs(roofline *r, adze_session *session, const adze_tensor *inputs,
                             const adze_bench_options *options, adze_tensor *outputs,
                             adze_error *err)
{
    double start = adze_now(), now = start;
    for (int64_t i = 0; options->runs <= 0 || r->runs < options->runs; i++) {
        bool late = options->runs <= 0 && r->runs >= 5 && now - start >= options->seconds;
        if (late || (options->cancelled && options->cancelled(options->user)))
            break;
        double before = adze_now();
        ADZE_TRY(adze_session_run(session, inputs, outputs, err));
        now = adze_now();
        keep_run(r, session, now - before);
        if (i < options->warmup)
            r->runs = 0;
    }
    return ADZE_OK;
}

static adze_status profile_plan(roofline *r, const adze_plan *plan, const adze_tensor *inputs,
                                const adze_bench_options *options, adze_error *err)
{
    adze_session *session = NULL;
    adze_session_options how = adze_session_options_default();
    size_t outputs = (size_t)adze_graph_output_count(adze_plan_graph(plan)) + 1;
    adze_tensor *results = ADZE_ARENA_ARRAY(&r->arena, adze_tensor, outputs);
    how.profile = true;
    if (!results)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to profile");
    ADZE_TRY(adze_session_open(&session, plan, &how, err));
    adze_status status = prepare_samples(r, session, err);
    if (status == ADZE_OK)
        status = time_runs(r, session, inputs, options, results, err);
    if (status == ADZE_OK)
        status = find_peaks(r, plan, session, err);
    if (status == ADZE_OK)
        status = gather(r, session, err);
    adze_session_close(&session);
    return status;
}

/* ---- showing ---- */

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void print_row(adze_text *t, const roofline *r, const step_row *row, const char *what)
{
    double seconds = row->ms * 1e-3;
    double rate = row->compute_bound ? row->operations : row->bytes;
    adze_text_printf(t, "%9.4f %5.1f%% %9.1f %-7s %5.1f%%  %s\n", row->ms,
                     100 * share(row->ms, r->total_ms), share(rate, seconds) / 1e9,
                     !row->compute_bound ? "GB/s"
                     : row->integer      ? "GOP/s"
                                         : "GFLOP/s",
                     100 * share(row->least_ms, row->ms), what);
}

static double sum_of(const roofline *r, bool compute_bound, double *least)
{
    double ms = 0;
    for (int i = 0; i < r->count; i++)
        if (r->rows[i].compute_bound == compute_bound) {
            ms += r->rows[i].ms;
            *least += r->rows[i].least_ms;
        }
    return ms;
}

/* One sentence: what the time goes to, and what would help. */
static void conclude(adze_text *t, const roofline *r)
{
    double compute_least = 0, memory_least = 0;
    double compute = sum_of(r, true, &compute_least), memory = sum_of(r, false, &memory_least);
    double outside = ADZE_MAX(r->run_ms - r->total_ms, 0.0);
    double reached = share(compute_least + memory_least, r->total_ms);
    if (r->count == 0 || r->op_count == 0) {
        adze_text_puts(t, "There are no steps.");
        return;
    }
    adze_text_printf(t, "%s takes %.0f %% of the time. ", r->ops[0].op,
                     100 * share(r->ops[0].ms, r->total_ms));
    if (outside > 0.3 * r->run_ms)
        adze_text_printf(t,
                         "The bottleneck is what lies between steps (%.0f %% of a run): the steps "
                         "are too small for it; run more samples at once.",
                         100 * share(outside, r->run_ms));
    else if (compute >= memory)
        adze_text_printf(t,
                         "The bottleneck is arithmetic: such steps take %.0f %% of the time, at "
                         "%.0f %% of the machine's peak; smaller types or fewer operations help.",
                         100 * share(compute, r->total_ms), 100 * share(compute_least, compute));
    else
        adze_text_printf(t,
                         "The bottleneck is moving bytes: such steps take %.0f %% of the time, at "
                         "%.0f %% of the machine's bandwidth; smaller types or fewer steps help.",
                         100 * share(memory, r->total_ms), 100 * share(memory_least, memory));
    adze_text_printf(t, " All together reach %.0f %% of what the machine could do.", 100 * reached);
}

static void print_tables(adze_text *t, const roofline *r)
{
    char size[32];
    adze_text_printf(
        t,
        "%d thread%s, peaks: %.1f GFLOP/s float32, %.1f GOP/s int8, %.1f GB/s (reading %s)\n"
        "a run takes %.4f ms, its steps %.4f ms (medians, %lld runs)\n\n",
        r->threads, r->threads == 1 ? "" : "s", r->peak.f32_operations / 1e9,
        r->peak.i8_operations / 1e9, r->peak.read_bandwidth / 1e9,
        adze_format_bytes(size, (double)r->working_set), r->run_ms, r->total_ms,
        (long long)r->runs);
    adze_text_puts(t, "       ms  share      rate           peak  step\n");
    for (int i = 0; i < ADZE_MIN(r->count, MOST_SHOWN); i++) {
        char what[160];
        (void)snprintf(what, sizeof what, "%-20.40s %.100s", r->rows[i].op, r->rows[i].name);
        print_row(t, r, &r->rows[i], what);
    }
    if (r->count > MOST_SHOWN)
        adze_text_printf(t, "          ... and %d more steps\n", r->count - MOST_SHOWN);
    adze_text_puts(t, "\n       ms  share     peak  steps operator\n");
    for (int i = 0; i < r->op_count; i++)
        adze_text_printf(t, "%9.4f %5.1f%%  %5.1f%% %6d %s\n", r->ops[i].ms,
                         100 * share(r->ops[i].ms, r->total_ms),
                         100 * share(r->ops[i].least_ms, r->ops[i].ms), r->ops[i].steps,
                         r->ops[i].op);
}

static json_t *rows_json(const step_row *rows, int count, double total, bool named)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        const step_row *row = &rows[i];
        json_t *o =
            json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f}", "op", row->op, "ms", row->ms, "share",
                      share(row->ms, total), "operations", row->operations, "bytes", row->bytes,
                      "least_ms", row->least_ms, "peak_share", share(row->least_ms, row->ms));
        if (o && named) {
            json_object_set_new(o, "name", json_string(row->name));
            json_object_set_new(o, "bound", json_string(row->compute_bound ? "compute" : "memory"));
            json_object_set_new(o, "integer", json_boolean(row->integer));
        } else if (o) {
            json_object_set_new(o, "steps", json_integer(row->steps));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static adze_status report(char **json, char **text, const roofline *r, const adze_model *model,
                          adze_error *err)
{
    adze_text t = {0}, sentence = {0};
    conclude(&sentence, r);
    print_tables(&t, r);
    adze_text_printf(&t, "\n%s\n", adze_text_get(&sentence));
    json_t *root = json_pack(
        "{s:s,s:s,s:i,s:I,s:f,s:f,s:I,s:{s:f,s:f,s:f},s:s,s:o,s:o}", "model",
        adze_model_path(model), "cpu_level", adze_cpu_level_name(r->device->level), "threads",
        r->threads, "runs", (json_int_t)r->runs, "run_ms", r->run_ms, "steps_ms", r->total_ms,
        "working_set_bytes", (json_int_t)r->working_set, "peaks", "f32_operations_per_s",
        r->peak.f32_operations, "i8_operations_per_s", r->peak.i8_operations, "read_bytes_per_s",
        r->peak.read_bandwidth, "bottleneck", adze_text_get(&sentence), "steps",
        rows_json(r->rows, r->count, r->total_ms, true), "operators",
        rows_json(r->ops, r->op_count, r->total_ms, false));
    adze_text_free(&sentence);
    return adze_json_report(json, text, root, &t, err);
}

static adze_status profile_model(roofline *r, const adze_model *model,
                                 const adze_bench_options *options, char **json, char **text,
                                 adze_error *err)
{
    const adze_graph *graph = adze_model_graph(model);
    adze_plan_options how = adze_plan_options_default();
    adze_plan *plan = NULL;
    adze_tensor *random = NULL;
    how.fuse = options->fuse;
    adze_status status = adze_plan_create(&plan, graph, &how, err);
    if (status == ADZE_OK && !options->inputs)
        status = adze_inputs_random(&random, graph, options->seed, err);
    if (status == ADZE_OK)
        status = profile_plan(r, plan, options->inputs ? options->inputs : random, options, err);
    if (status == ADZE_OK) /* before the plan's nodes go */
        status = report(json, text, r, model, err);
    adze_inputs_free(&random, graph);
    adze_plan_free(&plan);
    return status;
}

adze_status adze_profile_run(char **json, char **text, const adze_model *model,
                             const adze_device *device, const adze_bench_options *options,
                             adze_error *err)
{
    adze_bench_options defaults = adze_bench_options_default();
    const adze_context *context = adze_model_graph(model)->context;
    roofline r = {.device = device, .threads = adze_context_threads(context)};
    adze_status status = profile_model(&r, model, options ? options : &defaults, json, text, err);
    adze_arena_free(&r.arena);
    return status;
}
