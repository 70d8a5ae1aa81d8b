/* adze run: inputs from .npy files, outputs to .npy files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "adze/formats.h"
#include "cli.h"

/* "<folder>/<name>.npy" with characters outside [A-Za-z0-9._-] replaced. */
static adze_status save(const char *folder, const char *name, const adze_tensor *t, adze_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/", folder);
    if (n < 0 || (size_t)n + strlen(name) + 5 >= sizeof path) {
        snprintf(err->message, sizeof err->message, "%s: name too long", name);
        return err->status = ADZE_BAD_ARGUMENT;
    }
    for (; *name; name++)
        path[n++] =
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *name)
                ? *name
                : '_';
    memcpy(path + n, ".npy", sizeof ".npy");
    return adze_npy_save(t, path, err);
}

typedef struct dump {
    const char *folder;
    adze_status status;
    adze_error err;
} dump;

static void dump_value(void *user, const adze_node *node, int output, adze_tensor *tensor)
{
    dump *d = user;
    if (d->status == ADZE_OK)
        d->status =
            save(d->folder, adze_value_name(adze_node_output(node, output)), tensor, &d->err);
}

/* Sequences and optionals: each element with its place behind the name. */
static adze_status show(const char *name, const adze_item *item, const char *folder,
                        adze_error *err)
{
    char text[512];
    if (item->kind == ADZE_VALUE_TENSOR) {
        printf("%s  %s\n", name, adze_tensor_format(&item->tensor, text, sizeof text));
        return folder ? save(folder, name, &item->tensor, err) : ADZE_OK;
    }
    printf("%s  %s of %d\n", name, item->kind == ADZE_VALUE_SEQUENCE ? "sequence" : "optional",
           item->count);
    adze_status status = ADZE_OK;
    for (int i = 0; i < item->count && status == ADZE_OK; i++) {
        snprintf(text, sizeof text, "%.480s.%d", name, i);
        status = show(text, &item->items[i], folder, err);
    }
    return status;
}

static adze_status execute(cli_model *m, const adze_plan_options *plan_options,
                           const adze_session_options *limits, const adze_tensor *inputs,
                           const char *output_dir, const char *dump_dir, adze_error *err)
{
    const adze_graph *graph = adze_model_graph(m->model);
    int count = adze_graph_output_count(graph), given = adze_graph_input_count(graph);
    adze_item *items = calloc((size_t)count + (size_t)given + 1, sizeof *items);
    adze_item *outputs = items + given;
    adze_plan *plan = NULL;
    adze_session *session = NULL;
    dump d = {.folder = dump_dir};
    adze_session_options options = *limits;
    for (int i = 0; i < given; i++)
        items[i].tensor = inputs[i];
    if (dump_dir) {
        options.observe = dump_value;
        options.observe_user = &d;
    }
    adze_status status = adze_plan_create(&plan, graph, plan_options, err);
    if (status == ADZE_OK)
        status = adze_session_open(&session, plan, &options, err);
    if (status == ADZE_OK)
        status = adze_session_run_items(session, items, outputs, err);
    if (status == ADZE_OK && d.status != ADZE_OK) {
        *err = d.err;
        status = d.status;
    }
    for (int i = 0; i < count && status == ADZE_OK; i++)
        status = show(adze_value_name(adze_graph_output(graph, i)), &outputs[i], output_dir, err);
    adze_session_close(&session);
    adze_plan_free(&plan);
    free(items);
    return status;
}

static int make_folder(const char *path)
{
    if (!path || mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    fprintf(stderr, "adze: %s: cannot make the folder: %s\n", path, strerror(errno));
    return 5;
}

static int read_seconds(const cli_command *self, const char *text, double *out)
{
    char *end = NULL;
    if (text)
        *out = strtod(text, &end);
    if (text && (end == text || *end || !(*out > 0)))
        return cli_usage(self, "--max-time '%s': expected seconds, as 2.5", text);
    return 0;
}

CLI_COMMAND(run)
{
    cli_model m = {0};
    cli_list files = {0};
    const char *output_dir = NULL, *dump_dir = NULL, *path, *seconds = NULL;
    adze_plan_options plan = adze_plan_options_default();
    adze_session_options limits = adze_session_options_default();
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(m),
        {CLI_LIST, "input", "NAME=FILE.npy", "an input (NAME= may be left out when there is one)",
         &files},
        {CLI_STRING, "output-dir", "DIR", "write each output as DIR/<name>.npy", &output_dir},
        {CLI_STRING, "dump-values", "DIR", "write every computed value as DIR/<name>.npy",
         &dump_dir},
        {CLI_ON_OFF, "fuse", "on|off", "rewriting passes (default on)", &plan.fuse},
        {CLI_STRING, "max-time", "SECONDS", "stop a run that takes longer", &seconds},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0 || (code = read_seconds(self, seconds, &limits.max_seconds)) != 0 ||
        (code = cli_open(&m, path)) != 0)
        return code;
    adze_error err = {0};
    adze_tensor *inputs;
    code = cli_load_inputs(&m, &files, &inputs);
    if (!code)
        code = make_folder(output_dir);
    if (!code)
        code = make_folder(dump_dir);
    if (!code && execute(&m, &plan, &limits, inputs, output_dir, dump_dir, &err) != ADZE_OK)
        code = cli_fail(&err);
    cli_free_inputs(&m, inputs);
    cli_close(&m);
    return code;
}
