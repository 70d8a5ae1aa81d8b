/* adze bench on language models: tokens per second. */
#include <stdio.h>

#include "adze/llm_bench.h"
#include "cli.h"

enum { MOST = 1 << 24 };

static const cli_command command = {
    "bench", "MODEL", "Tokens per second of a language model: prompt and generation.",
    "adze bench model.gguf --prompt 512 --generate 128 --threads 2 --json\n"
    "adze bench model.gguf --prompt 0 --generate 64 --depth 2048",
    NULL};

static bool stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static void print_json(const char *path, const adze_context *context, const adze_engine *engine,
                       const adze_llm_bench_options *o, const adze_llm_bench *b)
{
    printf("{\"model\": \"");
    for (const char *c = path; *c; c++)
        printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    printf(
        "\", \"architecture\": \"%s\", \"threads\": %d, \"cpu_level\": \"%s\", \"prompt\": %lld, "
        "\"generate\": %lld, \"depth\": %lld, \"repetitions\": %lld,\n",
        adze_engine_architecture(engine), adze_context_threads(context),
        adze_cpu_level_name(adze_context_cpu_level(context)), (long long)o->prompt,
        (long long)o->generate, (long long)o->depth, (long long)b->repetitions);
    printf(
        " \"prompt_tokens_per_s\": %.4f, \"prompt_deviation\": %.4f, \"prompt_best\": %.4f,\n"
        " \"generate_tokens_per_s\": %.4f, \"generate_deviation\": %.4f, \"generate_best\": %.4f,\n"
        " \"peak_memory\": %llu}\n",
        b->prompt.median, b->prompt.deviation, b->prompt.best, b->generate.median,
        b->generate.deviation, b->generate.best, (unsigned long long)b->peak_memory);
}

static void print_text(const adze_llm_bench_options *o, const adze_llm_bench *b)
{
    if (o->prompt > 0)
        printf("prompt of %-6lld %10.2f tokens/s  +- %.2f\n", (long long)o->prompt,
               b->prompt.median, b->prompt.deviation);
    if (o->generate > 0)
        printf("generation     %10.2f tokens/s  +- %.2f\n", b->generate.median,
               b->generate.deviation);
    printf("peak memory    %10.1f MB\n", (double)b->peak_memory / 1e6);
}

int cmd_bench_llm(int argc, char **argv)
{
    adze_llm_bench_options o = adze_llm_bench_options_default();
    int64_t threads = 0, seed = 1;
    bool json = false;
    const char *path;
    const cli_option options[] = {
        {CLI_INT, "prompt", "N", "tokens of the prompt (default 512; 0: not measured)", &o.prompt},
        {CLI_INT, "generate", "N", "tokens generated (default 128; 0: not measured)", &o.generate},
        {CLI_INT, "depth", "N", "tokens on the timeline before (default 0)", &o.depth},
        {CLI_INT, "repetitions", "N", "of each (default 5); the median is given", &o.repetitions},
        {CLI_INT, "seed", "N", "of the random tokens", &seed},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &json},
        {0}};
    int count, code = cli_parse(&command, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (o.prompt < 0 || o.generate < 0 || o.depth < 0 || o.repetitions < 1 ||
        (o.prompt == 0 && o.generate == 0))
        return cli_usage(&command, "--prompt, --generate and --depth cannot be negative, the first "
                                   "two not both 0, and --repetitions is at least 1");
    if (o.prompt > MOST || o.generate > MOST || o.depth > MOST)
        return cli_usage(&command, "--prompt, --generate, --depth: at most %d", MOST);
    o.seed = (uint64_t)seed;
    o.cancelled = stop;
    adze_error err = {0};
    adze_context *context = NULL;
    adze_engine *engine = NULL;
    adze_llm_bench result;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    adze_engine_options sizes = {.context =
                                     o.depth + (o.prompt > o.generate ? o.prompt : o.generate)};
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = adze_engine_open(&engine, context, path, &sizes, &err);
    if (status == ADZE_OK)
        status = adze_llm_bench_run(&result, engine, &o, &err);
    if (status == ADZE_OK && json)
        print_json(path, context, engine, &o, &result);
    else if (status == ADZE_OK)
        print_text(&o, &result);
    adze_engine_close(&engine);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
