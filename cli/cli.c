/* Option parsing and the small services of commands. */
#include "cli.h"
#include "adze/formats.h"
#include "adze/ops_extra.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const adze_error *err)
{
    fprintf(stderr, "adze: %s\n", err->message);
    return adze_status_exit_code(err->status);
}

int cli_usage(const cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "adze %s: ", command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry 'adze %s --help'.\n", command->name);
    va_end(args);
    return 2;
}

/* ---- help ---- */

static void print_examples(const char *examples)
{
    printf("\nExamples:\n");
    while (examples && *examples) {
        size_t n = strcspn(examples, "\n");
        printf("  %.*s\n", (int)n, examples);
        examples += n + (examples[n] == '\n');
    }
}

static int print_help(const cli_command *command, const cli_option *options)
{
    printf("adze %s %s\n%s\n\nOptions:\n", command->name, command->arguments, command->summary);
    for (; options->kind != CLI_END; options++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options->name, options->argument ? " " : "",
                 options->argument ? options->argument : "");
        printf("  %-30s %s\n", left, options->help);
    }
    print_examples(command->examples);
    return 0;
}

/* ---- parsing ---- */

static const cli_option *find_option(const cli_option *options, const char *name, size_t length)
{
    for (; options->kind != CLI_END; options++)
        if (strlen(options->name) == length && strncmp(options->name, name, length) == 0)
            return options;
    return NULL;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return !errno && end != text && !*end;
}

/* -1: fine, else an exit code. */
static int store(const cli_command *command, const cli_option *option, const char *value)
{
    cli_list *list = option->target;
    bool on = value && strcmp(value, "on") == 0;
    switch (option->kind) {
    case CLI_STRING: *(const char **)option->target = value; return -1;
    case CLI_INT:
        if (parse_int(value, option->target))
            return -1;
        return cli_usage(command, "--%s: '%s' is no whole number", option->name, value);
    case CLI_LIST:
        if (list->count == CLI_LIST_MAX)
            return cli_usage(command, "--%s: given more than %d times", option->name, CLI_LIST_MAX);
        list->items[list->count++] = value;
        return -1;
    case CLI_ON_OFF:
        if (!on && strcmp(value, "off") != 0)
            return cli_usage(command, "--%s: '%s'; expected on or off", option->name, value);
        *(bool *)option->target = on;
        return -1;
    default: return -1;
    }
}

/* Parses argv[*at], an option; advances *at over its value. */
static int parse_option(const cli_command *command, const cli_option *options, int argc,
                        char **argv, int *at)
{
    const char *word = argv[*at] + 2, *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    if (length == 4 && strncmp(word, "help", 4) == 0)
        return print_help(command, options);
    const cli_option *option = find_option(options, word, length);
    if (!option)
        return cli_usage(command, "unknown option --%.*s", (int)length, word);
    if (option->kind == CLI_FLAG) {
        if (equals)
            return cli_usage(command, "--%s takes no value", option->name);
        *(bool *)option->target = true;
        return -1;
    }
    if (!equals && *at + 1 >= argc)
        return cli_usage(command, "--%s needs %s", option->name, option->argument);
    return store(command, option, equals ? equals + 1 : argv[++*at]);
}

int cli_parse(const cli_command *command, const cli_option *options, int argc, char **argv,
              const char **args, int least, int most, int *count)
{
    bool only_args = false;
    *count = 0;
    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "-h") == 0)
            return print_help(command, options);
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && strncmp(argv[i], "--", 2) == 0) {
            int code = parse_option(command, options, argc, argv, &i);
            if (code >= 0)
                return code;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            return cli_usage(command, "unknown option %s", argv[i]);
        } else if (*count == most) {
            return cli_usage(command, "unexpected argument '%s'", argv[i]);
        } else {
            args[(*count)++] = argv[i];
        }
    }
    if (*count < least)
        return cli_usage(command, "expected %s", command->arguments);
    return -1;
}

/* ---- models ---- */

int cli_open(cli_model *m, const char *path)
{
    adze_error err = {0};
    double most = 0;
    if (m->max_ram && (!cli_bytes(m->max_ram, &most) || most < 1 || most > 1e18)) {
        fprintf(stderr, "adze: --max-ram '%s': expected bytes, as 250000000 or 400M\n", m->max_ram);
        return 2;
    }
    if (path && adze_llm_sniff(path)) {
        fprintf(
            stderr,
            "adze: %s: is a language model, this command reads ONNX; language models have "
            "inspect, generate, embed, perplexity, bench, imatrix, quantize, convert, optimize\n",
            path);
        return 4;
    }
    adze_memory_set_limit((size_t)most);
    adze_context_options options = adze_context_options_default();
    options.threads = (int)m->threads;
    adze_status status = adze_context_open(&m->context, &options, &err);
    if (status == ADZE_OK)
        status = adze_ops_extra_register(m->context, &err);
    if (status == ADZE_OK && path)
        status = adze_model_open(&m->model, m->context, path, &err);
    for (int i = 0; i < m->shapes.count && status == ADZE_OK; i++)
        status = adze_model_set_shape(m->model, m->shapes.items[i], &err);
    for (int i = 0; i < m->bounds.count && status == ADZE_OK; i++)
        status = adze_model_set_bound(m->model, m->bounds.items[i], &err);
    if (status == ADZE_OK)
        return 0;
    cli_close(m);
    return cli_fail(&err);
}

void cli_close(cli_model *m)
{
    adze_model_close(&m->model);
    adze_context_close(&m->context);
}

int cli_named_input(const adze_graph *graph, const char *text, const char **file)
{
    const char *equals = strchr(text, '=');
    int count = adze_graph_input_count(graph);
    if (!equals && count == 1) {
        *file = text;
        return 0;
    }
    for (int i = 0; equals && i < count; i++) {
        const char *name = adze_value_name(adze_graph_input(graph, i));
        if (strlen(name) == (size_t)(equals - text) && strncmp(name, text, strlen(name)) == 0) {
            *file = equals + 1;
            return i;
        }
    }
    fprintf(stderr, "adze: --input '%s': expected NAME=FILE with NAME one of", text);
    for (int i = 0; i < count; i++)
        fprintf(stderr, " '%s'", adze_value_name(adze_graph_input(graph, i)));
    fprintf(stderr, "\n");
    return -1;
}

bool cli_seconds(const char *text, double *seconds)
{
    char *end;
    double value = strtod(text, &end);
    double unit = strcmp(end, "h") == 0 ? 3600 : strcmp(end, "m") == 0 ? 60 : 1;
    if (end == text || !(value > 0) || (*end && unit == 1 && strcmp(end, "s") != 0))
        return false;
    *seconds = value * unit;
    return true;
}

bool cli_bytes(const char *text, double *bytes)
{
    char *end;
    static const char units[] = "KMGT";
    double value = strtod(text, &end), factor = 1;
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || !(value >= 0))
        return false;
    if (unit) {
        bool binary = end[1] == 'i';
        end += binary ? 2 : 1;
        for (const char *u = units; u <= unit; u++)
            factor *= binary ? 1024 : 1000;
    }
    end += *end == 'B';
    *bytes = value * factor;
    return !*end;
}

static int read_inputs(cli_model *m, const cli_list *files, adze_tensor *inputs)
{
    adze_error err = {0};
    const adze_graph *graph = adze_model_graph(m->model);
    for (int i = 0; i < files->count; i++) {
        const char *file;
        int at = cli_named_input(graph, files->items[i], &file);
        if (at < 0)
            return 2;
        adze_tensor_free(&inputs[at]);
        if (adze_npy_load(&inputs[at], file, &err) != ADZE_OK)
            return cli_fail(&err);
    }
    for (int i = 0; i < adze_graph_input_count(graph); i++)
        if (inputs[i].dtype == ADZE_UNDEFINED) {
            const char *name = adze_value_name(adze_graph_input(graph, i));
            fprintf(stderr, "adze: input '%s' is missing: give --input %s=FILE.npy\n", name, name);
            return 2;
        }
    return 0;
}

int cli_load_inputs(cli_model *m, const cli_list *files, adze_tensor **inputs)
{
    size_t count = (size_t)adze_graph_input_count(adze_model_graph(m->model));
    *inputs = calloc(count + 1, sizeof **inputs);
    if (!*inputs) {
        fprintf(stderr, "adze: out of memory\n");
        return 5;
    }
    int code = read_inputs(m, files, *inputs);
    if (code) {
        cli_free_inputs(m, *inputs);
        *inputs = NULL;
    }
    return code;
}

void cli_free_inputs(cli_model *m, adze_tensor *inputs)
{
    for (int i = 0; inputs && i < adze_graph_input_count(adze_model_graph(m->model)); i++)
        adze_tensor_free(&inputs[i]);
    free(inputs);
}

int cli_show(adze_status status, bool as_json, char *json, char *text, const adze_error *err)
{
    if (status == ADZE_OK && as_json)
        printf("%s\n", json);
    else if (status == ADZE_OK)
        printf("%s", text);
    adze_string_free(&json);
    adze_string_free(&text);
    return status == ADZE_OK ? 0 : cli_fail(err);
}

/* ---- progress and interruption ---- */

static bool progress_open;

bool cli_terminal(void)
{
    return isatty(STDERR_FILENO) != 0;
}

void cli_progress(const char *format, ...)
{
    bool terminal = cli_terminal();
    va_list args;
    va_start(args, format);
    fprintf(stderr, terminal ? "\r\033[K" : "");
    vfprintf(stderr, format, args);
    fprintf(stderr, terminal ? "" : "\n");
    fflush(stderr);
    va_end(args);
    progress_open = terminal;
}

void cli_progress_end(void)
{
    if (progress_open)
        fprintf(stderr, "\r\033[K");
    progress_open = false;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
    signal(number, SIG_DFL); /* a second Ctrl-C ends at once */
}

bool cli_interrupted(void)
{
    static bool installed;
    if (!installed)
        signal(SIGINT, on_interrupt), signal(SIGTERM, on_interrupt);
    installed = true;
    return interrupted != 0;
}
