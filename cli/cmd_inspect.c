/* adze inspect: what the model is. */
#include <stdio.h>

#include "adze/llm.h"
#include "cli.h"

static int inspect_llm(const cli_model *m, const char *path, int64_t tokens)
{
    adze_error err = {0};
    adze_context *context = NULL;
    char *json = NULL, *text = NULL;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)m->threads;
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK) {
        adze_llm_describe_options options = {.context = tokens, .speed = true};
        status = adze_llm_describe(context, path, &options, &json, &text, &err);
    }
    int code = cli_show(status, m->json, json, text, &err);
    adze_context_close(&context);
    return code;
}

/* Types and attributes without a kernel are known once everything was prepared to run. */
static void find_refused(const cli_model *m)
{
    adze_error ignored = {0};
    adze_plan *plan = NULL;
    adze_plan_options options = adze_plan_options_default();
    options.refused = adze_model_add_refused;
    options.refused_user = m->model;
    if (adze_plan_create(&plan, adze_model_graph(m->model), &options, &ignored) == ADZE_OK)
        adze_plan_free(&plan);
}

CLI_COMMAND(inspect)
{
    cli_model m = {0};
    int64_t tokens = 0;
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(m),
        {CLI_INT, "context", "N", "language models: tokens of the timeline to judge by", &tokens},
        {0}};
    const char *path;
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (adze_llm_sniff(path))
        return inspect_llm(&m, path, tokens);
    if ((code = cli_open(&m, path)) != 0)
        return code;
    find_refused(&m);
    adze_error err = {0};
    char *json = NULL, *text = NULL;
    adze_status status = adze_model_describe(m.model, &json, &text, &err);
    code = cli_show(status, m.json, json, text, &err);
    cli_close(&m);
    return code;
}
