/* adze eval: quality on data, compared with an original, judged by requirements. */
#include <stdio.h>
#include <string.h>

#include "adze/eval.h"
#include "adze/profile.h"
#include "cli.h"

typedef struct eval_job {
    cli_model m;
    const char *path, *data, *preprocess, *against;
    cli_list requirements;
    adze_evaluate_options how;
    adze_gate gates[CLI_LIST_MAX];
    adze_dataset *dataset;
    adze_model *original_model;
    adze_plan *plan, *original_plan;
    adze_evaluation *evaluation, *original_evaluation;
    adze_facts facts, original;
} eval_job;

static bool show_progress(void *user, int64_t done, int64_t total)
{
    const char *what = user;
    if (done == total || done % 1024 < 32)
        cli_progress("%s: %lld of %lld samples", what, (long long)done, (long long)total);
    return !cli_interrupted();
}

static bool any_gate(const eval_job *job, adze_gate_metric first, adze_gate_metric last)
{
    for (int i = 0; i < job->requirements.count; i++)
        if (job->gates[i].metric >= first && job->gates[i].metric <= last)
            return true;
    return false;
}

static adze_status open_original(eval_job *job, adze_error *err)
{
    adze_status status = adze_model_open(&job->original_model, job->m.context, job->against, err);
    for (int i = 0; i < job->m.shapes.count && status == ADZE_OK; i++)
        status = adze_model_set_shape(job->original_model, job->m.shapes.items[i], err);
    for (int i = 0; i < job->m.bounds.count && status == ADZE_OK; i++)
        status = adze_model_set_bound(job->original_model, job->m.bounds.items[i], err);
    if (status == ADZE_OK)
        status =
            adze_plan_create(&job->original_plan, adze_model_graph(job->original_model), NULL, err);
    return status;
}

static adze_status open_all(eval_job *job, adze_error *err)
{
    adze_preprocess preprocess = adze_preprocess_default();
    adze_status status = ADZE_OK;
    for (int i = 0; i < job->requirements.count && status == ADZE_OK; i++)
        status = adze_gate_parse(&job->gates[i], job->requirements.items[i], err);
    if (status == ADZE_OK && job->preprocess)
        status = adze_preprocess_load(&preprocess, job->preprocess, err);
    if (status == ADZE_OK)
        status =
            adze_dataset_open(&job->dataset, job->data, job->preprocess ? &preprocess : NULL, err);
    if (status == ADZE_OK)
        status = adze_plan_create(&job->plan, adze_model_graph(job->m.model), NULL, err);
    if (status == ADZE_OK && job->against)
        status = open_original(job, err);
    return status;
}

static adze_status evaluate(eval_job *job, adze_error *err)
{
    adze_evaluate_options how = job->how;
    adze_status status = ADZE_OK;
    how.progress = show_progress;
    how.keep_outputs = true;
    how.user = "original";
    if (job->against)
        status = adze_evaluate(&job->original_evaluation, job->original_plan, job->dataset, NULL,
                               &how, err);
    how.keep_outputs = false;
    how.user = "model";
    if (status == ADZE_OK)
        status = adze_evaluate(&job->evaluation, job->plan, job->dataset, job->original_evaluation,
                               &how, err);
    cli_progress_end();
    job->facts.evaluation = job->evaluation;
    job->original.evaluation = job->original_evaluation;
    return status;
}

static adze_status time_models(eval_job *job, adze_error *err)
{
    const adze_contestant pair[2] = {{.plan = job->plan}, {.plan = job->original_plan}};
    adze_measure_options how = adze_measure_options_default();
    adze_measurement *m = NULL;
    how.seconds = 5;
    how.min_rounds = 20;
    adze_status status = adze_measure(&m, pair, job->against ? 2 : 1, &how, err);
    if (status != ADZE_OK)
        return status;
    const double *candidate = adze_measurement_samples(m, 0);
    const double *original = job->against ? adze_measurement_samples(m, 1) : NULL;
    int64_t rounds = adze_measurement_rounds(m);
    double seconds = adze_measurement_seconds(m);
    status = adze_facts_set_timing(&job->facts, candidate, original, rounds, seconds, err);
    if (status == ADZE_OK && original)
        status = adze_facts_set_timing(&job->original, original, NULL, rounds, seconds, err);
    adze_measurement_free(&m);
    return status;
}

static adze_status weigh(eval_job *job, const char *path, adze_facts *facts, adze_error *err)
{
    const adze_peak_options how = {.program = "/proc/self/exe",
                                   .shapes = job->m.shapes.items,
                                   .shape_count = job->m.shapes.count,
                                   .threads = (int)job->m.threads};
    uint64_t bytes;
    adze_status status = adze_measure_peak_memory(&bytes, path, &how, err);
    if (status == ADZE_OK)
        adze_facts_set_exact(facts, ADZE_METRIC_peak_memory, (double)bytes);
    return status;
}

/* What requirements ask for beside quality. */
static adze_status measure(eval_job *job, adze_error *err)
{
    adze_status status = ADZE_OK;
    adze_facts_set_exact(&job->facts, ADZE_METRIC_size, (double)adze_model_file_size(job->m.model));
    if (job->against)
        adze_facts_set_exact(&job->original, ADZE_METRIC_size,
                             (double)adze_model_file_size(job->original_model));
    if (any_gate(job, ADZE_METRIC_latency_mean, ADZE_METRIC_latency_p99) ||
        any_gate(job, ADZE_METRIC_throughput, ADZE_METRIC_speedup))
        status = time_models(job, err);
    bool memory = any_gate(job, ADZE_METRIC_peak_memory, ADZE_METRIC_peak_memory);
    if (status == ADZE_OK && memory)
        status = weigh(job, job->path, &job->facts, err);
    if (status == ADZE_OK && memory && job->against)
        status = weigh(job, job->against, &job->original, err);
    return status;
}

static int report(eval_job *job)
{
    adze_error err = {0};
    adze_requirements requirements = {.gates = job->gates, .count = job->requirements.count};
    char *json = NULL, *text = NULL;
    adze_status status = open_all(job, &err);
    if (status == ADZE_OK)
        status = evaluate(job, &err);
    if (status == ADZE_OK)
        status = measure(job, &err);
    if (status == ADZE_OK)
        status = adze_facts_report(&json, &text, &job->facts, job->against ? &job->original : NULL,
                                   requirements.count ? &requirements : NULL, job->dataset, &err);
    int code = cli_show(status, job->m.json, json, text, &err);
    return !code && requirements.count && !requirements.passed ? 1 : code;
}

static void close_all(eval_job *job)
{
    adze_evaluation_free(&job->evaluation);
    adze_evaluation_free(&job->original_evaluation);
    adze_plan_free(&job->plan);
    adze_plan_free(&job->original_plan);
    adze_dataset_close(&job->dataset);
    adze_model_close(&job->original_model);
    cli_close(&job->m);
}

CLI_COMMAND(eval)
{
    eval_job job = {.how = adze_evaluate_options_default()};
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(job.m),
        {CLI_STRING, "data", "DATA", "samples to judge by (see docs/data.md)", &job.data},
        {CLI_STRING, "preprocess", "FILE.json", "from pictures to inputs", &job.preprocess},
        {CLI_STRING, "against", "ORIGINAL", "compare with this model on the same samples",
         &job.against},
        {CLI_LIST, "require", "LIMIT", "as \"top1>=0.95*original\", size<=300KB (docs/gates.md)",
         &job.requirements},
        {CLI_STRING, "output", "NAME", "the output to judge (default: the first)", &job.how.output},
        {CLI_INT, "limit", "N", "only the first N samples", &job.how.limit},
        {CLI_INT, "batch", "N", "samples per run where the model's batch is free (default 32)",
         &job.how.batch},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &job.path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!job.data)
        return cli_usage(self, "--data DATA is needed");
    (void)cli_interrupted(); /* from now on Ctrl-C ends it cleanly */
    if ((code = cli_open(&job.m, job.path)) != 0)
        return code;
    code = report(&job);
    close_all(&job);
    return code;
}
