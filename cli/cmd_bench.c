/* adze bench: latency, throughput, memory. With --commands another program leads, so that both can be
 * timed side by side: it writes "run N" and reads one line with the milliseconds of N runs. */
#include <stdio.h>

#include "adze/profile.h"
#include "cli.h"

enum { MOST_RUNS = 100000 };

static adze_status answer(const adze_contestant *contestant, long runs, adze_error *err)
{
    adze_measurement *m = NULL;
    adze_measure_options how = {.min_rounds = runs, .max_rounds = runs};
    adze_status status = adze_measure(&m, contestant, 1, &how, err);
    if (status != ADZE_OK)
        return status;
    const double *samples = adze_measurement_samples(m, 0);
    for (int64_t i = 0; i < adze_measurement_rounds(m); i++)
        printf("%s%.6f", i ? " " : "", samples[i]);
    printf("\n");
    fflush(stdout);
    adze_measurement_free(&m);
    return ADZE_OK;
}

static adze_status obey(const adze_contestant *contestant, adze_error *err)
{
    char line[64];
    long runs;
    adze_status status = ADZE_OK;
    printf("ready\n");
    fflush(stdout);
    while (status == ADZE_OK && fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "run %ld", &runs) == 1 && runs > 0 && runs <= MOST_RUNS) {
            status = answer(contestant, runs, err);
        } else {
            printf("expected: run N, with N from 1 to %d\n", MOST_RUNS);
            fflush(stdout);
        }
    }
    return status;
}

static adze_status follow_commands(const cli_model *m, const adze_bench_options *how,
                                   adze_error *err)
{
    const adze_graph *graph = adze_model_graph(m->model);
    adze_plan_options plan_options = adze_plan_options_default();
    adze_contestant contestant = {.inputs = how->inputs};
    adze_plan *plan = NULL;
    adze_tensor *random = NULL;
    plan_options.fuse = how->fuse;
    adze_status status = adze_plan_create(&plan, graph, &plan_options, err);
    contestant.plan = plan;
    if (status == ADZE_OK)
        status = adze_session_open(&contestant.session, plan, NULL, err);
    if (status == ADZE_OK && !how->inputs)
        status = adze_inputs_random(&random, graph, how->seed, err);
    if (random)
        contestant.inputs = random;
    if (status == ADZE_OK)
        status = obey(&contestant, err);
    adze_inputs_free(&random, graph);
    adze_session_close(&contestant.session);
    adze_plan_free(&plan);
    return status;
}

static int bench(cli_model *m, const cli_list *files, adze_bench_options *how, bool commands)
{
    adze_error err = {0};
    adze_tensor *inputs = NULL;
    char *json = NULL, *text = NULL;
    int code = files->count ? cli_load_inputs(m, files, &inputs) : 0;
    if (code)
        return code;
    how->inputs = inputs;
    if (commands && follow_commands(m, how, &err) != ADZE_OK)
        code = cli_fail(&err);
    if (!commands) {
        adze_status status = adze_bench_run(&json, &text, m->model, how, &err);
        code = cli_show(status, m->json, json, text, &err);
    }
    cli_free_inputs(m, inputs);
    return code;
}

CLI_COMMAND(bench)
{
    if (cli_names_llm(argc, argv))
        return cmd_bench_llm(argc, argv);
    cli_model m = {0};
    cli_list files = {0};
    adze_bench_options how = adze_bench_options_default();
    const char *path, *seconds = NULL;
    bool commands = false;
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(m),
        {CLI_LIST, "input", "NAME=FILE.npy", "an input (default: all random)", &files},
        {CLI_STRING, "seconds", "2", "time to run for (default 2)", &seconds},
        {CLI_INT, "runs", "N", "run exactly N times instead", &how.runs},
        {CLI_INT, "warmup", "N", "runs before that are not counted (default 3)", &how.warmup},
        {CLI_ON_OFF, "fuse", "on|off", "rewriting passes (default on)", &how.fuse},
        {CLI_FLAG, "commands", NULL, "answer lines 'run N' on stdin with N times in ms", &commands},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (seconds && !cli_seconds(seconds, &how.seconds))
        return cli_usage(self, "--seconds '%s': expected a time, as 2 or 0.5s", seconds);
    if (how.runs < 0 || how.warmup < 0)
        return cli_usage(self, "--runs and --warmup are at least 0");
    if ((code = cli_open(&m, path)) != 0)
        return code;
    code = bench(&m, &files, &how, commands);
    cli_close(&m);
    return code;
}
