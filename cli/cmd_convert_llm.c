/* adze convert on language models: a Hugging Face folder or GGUF file to GGUF. */
#include <stdio.h>
#include <string.h>

#include "adze/llm_quantize.h"
#include "cli.h"

static const cli_command command = {
    "convert", "IN OUT.gguf",
    "Writes a language model as GGUF: its weights as they are, or as floats.",
    "adze convert folder/ model.gguf\n"
    "adze convert folder/ model-f16.gguf --type F16",
    NULL};

static bool progress(void *user, const adze_llm_progress *p)
{
    (void)user;
    if (p->seconds_left >= 0)
        cli_progress("%3.0f %%  %s  %.0f s left", 100 * p->share, p->tensor, p->seconds_left);
    else
        cli_progress("%3.0f %%  %s", 100 * p->share, p->tensor);
    return !cli_interrupted();
}

int cmd_convert_llm(int argc, char **argv)
{
    adze_llm_quantize_options o = adze_llm_quantize_options_default();
    int64_t threads = 0;
    const char *paths[2];
    o.type = "COPY";
    const cli_option options[] = {
        {CLI_STRING, "type", "TYPE", "F32, F16 or BF16 for all weights (default: each as it is)",
         &o.type},
        {CLI_FLAG, "allow-requantize", NULL, "a quantized source may be decoded",
         &o.allow_requantize},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {0}};
    int count, code = cli_parse(&command, options, argc, argv, paths, 2, 2, &count);
    if (code >= 0)
        return code;
    size_t n = strlen(paths[1]);
    if (n < 5 || strcmp(paths[1] + n - 5, ".gguf") != 0)
        return cli_usage(&command, "'%s': expected a name that ends with .gguf", paths[1]);
    adze_error err = {0};
    adze_context *context = NULL;
    adze_llm_quantization *q = NULL;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    o.progress = progress;
    (void)cli_interrupted(); /* from here on Ctrl-C is asked about */
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = adze_llm_quantization_open(&q, context, paths[0], &o, &err);
    if (status == ADZE_OK)
        status = adze_llm_quantization_run(q, paths[1], &err);
    cli_progress_end();
    if (status == ADZE_OK)
        printf("%s: %d tensors, %llu bytes\n", paths[1], adze_llm_quantization_count(q),
               (unsigned long long)adze_llm_quantization_bytes(q));
    adze_llm_quantization_close(&q);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
