/* One model measured: latency, throughput, memory of this process, time of preparation. */
#include "adze/profile.h"
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "graph/ir.h"

adze_bench_options adze_bench_options_default(void)
{
    return (adze_bench_options){.seconds = 2, .warmup = 3, .seed = 1, .fuse = true};
}

static json_t *shapes_json(const adze_graph *graph, const adze_tensor *inputs)
{
    json_t *shapes = json_object();
    for (int i = 0; i < adze_graph_input_count(graph); i++) {
        json_t *dims = json_array();
        for (int k = 0; k < inputs[i].rank; k++)
            json_array_append_new(dims, json_integer((json_int_t)inputs[i].dims[k]));
        json_object_set_new(shapes, adze_value_name(adze_graph_input(graph, i)), dims);
    }
    return shapes;
}

static json_t *latency_json(const adze_latency *l)
{
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "min", l->min, "mean", l->mean, "p50", l->p50,
                     "p90", l->p90, "p95", l->p95, "p99", l->p99);
}

typedef struct bench_result {
    const adze_model *model;
    const adze_tensor *inputs;
    adze_latency latency;
    int64_t runs;
    double prepare_ms, seconds;
    adze_cpu_level level;
    int threads;
} bench_result;

static adze_status report(char **json, char **text, const bench_result *r, adze_error *err)
{
    char rss[32];
    adze_text t = {0};
    const adze_latency *l = &r->latency;
    double rate = l->mean > 0 ? 1e3 / l->mean : 0;
    uint64_t peak = adze_peak_rss();
    adze_text_printf(&t, "%s, %d thread%s, CPU level %s, %lld runs\n", adze_model_path(r->model),
                     r->threads, r->threads == 1 ? "" : "s", adze_cpu_level_name(r->level),
                     (long long)r->runs);
    adze_text_printf(&t,
                     "latency ms   min %.3f  mean %.3f  p50 %.3f  p90 %.3f  p95 %.3f  p99 %.3f\n",
                     l->min, l->mean, l->p50, l->p90, l->p95, l->p99);
    adze_text_printf(&t, "throughput   %.1f runs/s\nprepared in  %.1f ms\npeak memory  %s\n", rate,
                     r->prepare_ms, adze_format_bytes(rss, (double)peak));
    json_t *root = json_pack(
        "{s:s,s:o,s:f,s:I,s:f,s:i,s:s,s:I,s:o}", "model", adze_model_path(r->model), "latency_ms",
        latency_json(l), "throughput_per_s", rate, "peak_rss_bytes", (json_int_t)peak, "prepare_ms",
        r->prepare_ms, "threads", r->threads, "cpu_level", adze_cpu_level_name(r->level), "runs",
        (json_int_t)r->runs, "shapes", shapes_json(adze_model_graph(r->model), r->inputs));
    return adze_json_report(json, text, root, &t, err);
}

static adze_status measure(bench_result *r, const adze_contestant *contestant,
                           const adze_bench_options *options, adze_error *err)
{
    adze_measurement *m = NULL;
    adze_measure_options how = {.seconds = options->seconds,
                                .min_rounds = options->runs > 0 ? options->runs : 5,
                                .max_rounds = options->runs,
                                .warmup_rounds = options->warmup,
                                .seed = options->seed,
                                .cancelled = options->cancelled,
                                .user = options->user};
    ADZE_TRY(adze_measure(&m, contestant, 1, &how, err));
    r->latency = *adze_measurement_latency(m, 0);
    r->runs = adze_measurement_rounds(m);
    r->seconds = adze_measurement_seconds(m);
    adze_measurement_free(&m);
    return ADZE_OK;
}

adze_status adze_bench_run(char **json, char **text, const adze_model *model,
                           const adze_bench_options *options, adze_error *err)
{
    adze_bench_options defaults = adze_bench_options_default();
    const adze_bench_options *o = options ? options : &defaults;
    const adze_graph *graph = adze_model_graph(model);
    adze_plan_options how = adze_plan_options_default();
    adze_plan *plan = NULL;
    adze_session *session = NULL;
    adze_tensor *random = NULL;
    how.fuse = o->fuse;
    double start = adze_now();
    adze_status status = adze_plan_create(&plan, graph, &how, err);
    if (status == ADZE_OK)
        status = adze_session_open(&session, plan, NULL, err);
    bench_result r = {.model = model, .prepare_ms = 1e3 * (adze_now() - start)};
    if (status == ADZE_OK && !o->inputs)
        status = adze_inputs_random(&random, graph, o->seed, err);
    r.inputs = o->inputs ? o->inputs : random;
    if (status == ADZE_OK)
        status = measure(&r, &(adze_contestant){plan, session, r.inputs}, o, err);
    if (status == ADZE_OK) {
        r.level = adze_context_cpu_level(graph->context);
        r.threads = adze_context_threads(graph->context);
        status = report(json, text, &r, err);
    }
    adze_inputs_free(&random, graph);
    adze_session_close(&session);
    adze_plan_free(&plan);
    return status;
}
