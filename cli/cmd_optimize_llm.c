/* adze optimize on language models: a type for every tensor. */
#include <stdio.h>

#include "adze/llm_optimize.h"
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

static const cli_command command = {
    "optimize", "MODEL", "Chooses a type for every tensor of a language model, by measurement.",
    "adze optimize f16.gguf --calibration text.txt --require 'size<=90MB' --output out\n"
    "adze optimize f16.gguf --calibration text.txt --require 'kld<=0.02' --compare Q4_K_M --output "
    "out",
    NULL};

int cmd_optimize_llm(int argc, char **argv)
{
    adze_llm_optimize_options o = adze_llm_optimize_options_default();
    cli_list requirements = {0}, types = {0}, compare = {0};
    int64_t threads = 0;
    bool json = false;
    const char *path;
    const cli_option options[] = {
        {CLI_STRING, "calibration", "TEXT", "a text like those that the model will see",
         &o.calibration},
        {CLI_STRING, "test", "TEXT", "a text to judge by (default: the calibration's last quarter)",
         &o.test},
        {CLI_STRING, "imatrix", "FILE", "importance matrix (default: made from the calibration)",
         &o.imatrix},
        {CLI_LIST, "require", "LIMIT", "size<=90MB, kld<=0.02, tokens_per_s>=20, perplexity<=...",
         &requirements},
        {CLI_LIST, "type", "TYPE", "choose only among these types (default: all)", &types},
        {CLI_LIST, "compare", "MIX",
         "judge this mix, or this file, too (default: the largest mix that fits)", &compare},
        {CLI_STRING, "output", "DIR", "where best.gguf, recipe and report go", &o.output},
        {CLI_INT, "probe-tokens", "N", "of text for each tensor's sensitivity (default 512)",
         &o.probe_tokens},
        {CLI_INT, "judge-chunks", "N", "of 512 tokens to judge by (default 40)", &o.judge_chunks},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {CLI_FLAG, "json", NULL, "print the report as JSON", &json},
        {0}};
    int count, code = cli_parse(&command, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!o.output || !o.calibration)
        return cli_usage(&command, "--calibration and --output are needed");
    o.requirements = requirements.items;
    o.requirement_count = requirements.count;
    o.types = types.items;
    o.type_count = types.count;
    o.compare = compare.items;
    o.compare_count = compare.count;
    o.progress = show;
    o.cancelled = stop;
    adze_error err = {0};
    adze_context *context = NULL;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    char *report = NULL, *text = NULL;
    (void)cli_interrupted(); /* from now on Ctrl-C is asked about */
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = adze_llm_optimize(context, path, &o, &report, &text, &err);
    cli_progress_end();
    if (report && text)
        printf("%s", json ? report : text);
    if (report && text && !json)
        printf("\nmodel: %s/best.gguf   report: %s/report.html\n", o.output, o.output);
    adze_string_free(&report);
    adze_string_free(&text);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
