/* adze optimize: the best model inside the limits. */
#include <stdio.h>

#include "adze/search.h"
#include "adze/ops_extra.h"
#include "cli.h"

static void show(void *user, int done, int total, const char *line)
{
    (void)user;
    cli_progress("[%d/%d] %s", done, total, line);
}

static bool stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static adze_status register_operators(adze_context *context, void *user, adze_error *err)
{
    (void)user;
    return adze_ops_extra_register(context, err);
}

CLI_COMMAND(optimize)
{
    if (cli_names_llm(argc, argv))
        return cmd_optimize_llm(argc, argv);
    adze_optimize_options o = adze_optimize_options_default();
    const char *path, *budget = NULL;
    cli_list requirements = {0}, shapes = {0};
    int64_t threads = 0, seed = 1, samples = 0;
    bool json = false;
    const cli_option options[] = {
        {CLI_STRING, "calibration", "DATA", "samples to find ranges with (labels not needed)",
         &o.calibration},
        {CLI_STRING, "data", "DATA", "samples to judge by (see docs/data.md)", &o.data},
        {CLI_STRING, "preprocess", "FILE.json", "from pictures to inputs", &o.preprocess},
        {CLI_LIST, "require", "LIMIT", "as \"top1>=0.95*original\", size<=300KB (docs/gates.md)",
         &requirements},
        {CLI_STRING, "goal", "GOAL", "latency, size, memory or a metric (default latency)",
         &o.goal},
        {CLI_STRING, "budget", "120s", "time for the search (default 120s)", &budget},
        {CLI_STRING, "output", "DIR", "where report, models and recipes go", &o.output},
        {CLI_LIST, "shape", "NAME=1x3x224x224", "dimensions of an input", &shapes},
        {CLI_INT, "samples", "N", "calibrate with at most N samples (default 512)", &samples},
        {CLI_INT, "seed", "N", "of the split of the data (default 1)", &seed},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {CLI_FLAG, "json", NULL, "print the report as JSON", &json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!o.output || (!o.data && !o.calibration))
        return cli_usage(self, "--output and --data are needed");
    if (budget && !cli_seconds(budget, &o.budget_seconds))
        return cli_usage(self, "--budget '%s': expected seconds, as 120s or 5m", budget);
    o.requirements = requirements.items;
    o.requirement_count = requirements.count;
    o.shapes = shapes.items;
    o.shape_count = shapes.count;
    o.threads = (int)threads;
    o.seed = (uint64_t)seed;
    o.calibration_samples = (int)samples;
    o.program = "/proc/self/exe";
    o.operators = register_operators;
    o.progress = show;
    o.cancelled = stop;
    cli_interrupted(); /* from now on Ctrl-C ends the search, not the program */
    adze_error err = {0};
    char *report = NULL, *text = NULL;
    adze_status status = adze_optimize(path, &o, &report, &text, &err);
    cli_progress_end();
    if (report && text)
        puts(json ? report : text);
    if (report && text && !json)
        printf("report: %s/report.html\n", o.output);
    adze_string_free(&report);
    adze_string_free(&text);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
