/* adze quantize, for language models: GGUF or a Hugging Face folder in, GGUF out. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "adze/llm_quantize.h"
#include "cli.h"

typedef struct task {
    adze_llm_quantize_options options;
    adze_context *context;
    adze_llm_quantization *work;
    const char *paths[2], *max_ram;
    cli_list tensor_types;
    int64_t threads;
    bool dry_run, report, json;
    int shown; /* tenths of progress */
    double shown_at;
} task;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool show_progress(void *user, const adze_llm_progress *progress)
{
    task *t = user;
    int tenth = (int)(progress->share * 10);
    double now = seconds_now();
    if (cli_terminal() ? now - t->shown_at > 0.1 : tenth > t->shown) {
        t->shown_at = now;
        if (progress->seconds_left >= 0)
            cli_progress("%3.0f %%  %.0f s left  %s", progress->share * 100, progress->seconds_left,
                         progress->tensor);
        else
            cli_progress("%3.0f %%  %s", progress->share * 100, progress->tensor);
    }
    t->shown = tenth;
    return !cli_interrupted();
}

static adze_status open_work(task *t, adze_error *err)
{
    adze_context_options options = adze_context_options_default();
    options.threads = (int)t->threads;
    t->options.tensor_types = t->tensor_types.items;
    t->options.tensor_type_count = t->tensor_types.count;
    t->options.progress = show_progress;
    t->options.user = t;
    t->options.measure_error = t->report;
    adze_status status = adze_context_open(&t->context, &options, err);
    return status == ADZE_OK
               ? adze_llm_quantization_open(&t->work, t->context, t->paths[0], &t->options, err)
               : status;
}

static void print_summary(const task *t, double seconds)
{
    double after = (double)adze_llm_quantization_bytes(t->work);
    double before = (double)adze_llm_quantization_bytes_before(t->work);
    double resumed = adze_llm_quantization_resumed(t->work);
    printf("%s  %s  %.0f bytes, %.1f %% of %.0f, in %.1f s", t->paths[1], t->options.type, after,
           before > 0 ? 100 * after / before : 0, before, seconds);
    if (resumed > 0)
        printf(" (%.0f %% was there already)", resumed * 100);
    printf("\n");
}

/* An estimate is not to be had without the importance matrix that the run will want. */
static adze_status do_work(task *t, double *seconds, adze_error *err)
{
    double start = seconds_now();
    *seconds = -1;
    if (t->dry_run) {
        adze_status status = adze_llm_quantization_estimate(seconds, t->work, err);
        return status == ADZE_BAD_ARGUMENT ? ADZE_OK : status;
    }
    (void)cli_interrupted(); /* from here on Ctrl-C is asked about */
    adze_status status = adze_llm_quantization_run(t->work, t->paths[1], err);
    cli_progress_end();
    *seconds = seconds_now() - start;
    return status;
}

static int run_task(task *t)
{
    adze_error err = {0};
    double seconds;
    char *json = NULL, *text = NULL;
    adze_status status = open_work(t, &err);
    if (status == ADZE_OK)
        status = do_work(t, &seconds, &err);
    if (status == ADZE_OK && !t->json && !t->dry_run && !t->report) {
        print_summary(t, seconds);
        return 0;
    }
    if (status == ADZE_OK)
        status = adze_llm_quantization_describe(t->work, seconds, &json, &text, &err);
    return cli_show(status, t->json, json, text, &err);
}

bool cli_quantizes_llm(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]);
        if (strcmp(argv[i], "--type") == 0 || strncmp(argv[i], "--type=", 7) == 0 ||
            (n > 5 && argv[i][0] != '-' && strcmp(argv[i] + n - 5, ".gguf") == 0) ||
            (argv[i][0] != '-' && adze_llm_sniff(argv[i])))
            return true;
    }
    return false;
}

static const cli_command command = {
    "quantize", "IN OUT.gguf", "Quantizes a language model: GGUF or a Hugging Face folder to GGUF.",
    "adze quantize model-f16.gguf model-q4.gguf --type Q4_K_M\n"
    "adze quantize folder/ small.gguf --type IQ3_XS --imatrix m.gguf --max-ram 400M\n"
    "adze quantize model-f16.gguf m.gguf --type Q4_K_M --tensor-type 'ffn_down=q6_K' --dry-run",
    NULL};

int cmd_quantize_llm(int argc, char **argv)
{
    task t = {.options = adze_llm_quantize_options_default()};
    const cli_option options[] = {
        {CLI_STRING, "type", "NAME", "Q4_K_M, Q8_0, IQ3_XS, F16 ...; COPY changes nothing",
         &t.options.type},
        {CLI_STRING, "imatrix", "M.gguf", "importance matrix ('adze imatrix' makes one)",
         &t.options.imatrix},
        {CLI_STRING, "max-ram", "N", "resident memory, as 400M (default 250M)", &t.max_ram},
        {CLI_LIST, "tensor-type", "REGEX=TYPE", "tensors whose name matches; the first wins",
         &t.tensor_types},
        {CLI_STRING, "output-tensor-type", "TYPE", "of output.weight", &t.options.output_type},
        {CLI_STRING, "token-embedding-type", "TYPE", "of token_embd.weight",
         &t.options.embedding_type},
        {CLI_FLAG, "pure", NULL, "one type for all tensors", &t.options.pure},
        {CLI_FLAG, "leave-output-tensor", NULL, "output.weight stays as it is",
         &t.options.leave_output},
        {CLI_FLAG, "allow-requantize", NULL, "also tensors that are quantized already",
         &t.options.allow_requantize},
        {CLI_FLAG, "dry-run", NULL, "types, size, memory and time; writes nothing", &t.dry_run},
        {CLI_FLAG, "report", NULL, "measure and print the error of every tensor", &t.report},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &t.threads},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &t.json},
        {0}};
    double bytes = 0;
    int count, code = cli_parse(&command, options, argc, argv, t.paths, 1, 2, &count);
    if (code >= 0)
        return code;
    if (!t.options.type)
        return cli_usage(&command, "--type is missing");
    if (count < 2 && !t.dry_run)
        return cli_usage(&command, "expected %s", command.arguments);
    if (t.max_ram && (!cli_bytes(t.max_ram, &bytes) || bytes < 1))
        return cli_usage(&command, "--max-ram '%s': expected bytes, as 250000000 or 400M",
                         t.max_ram);
    t.options.max_ram = (size_t)bytes;
    code = run_task(&t);
    adze_llm_quantization_close(&t.work);
    adze_context_close(&t.context);
    return code;
}
