/* adze convert on language models: a Hugging Face folder or GGUF file to GGUF, or to a folder. */
#include <stdio.h>
#include <string.h>

#include "adze/llm_convert.h"
#include "adze/llm_quantize.h"
#include "cli.h"

static const cli_command command = {
    "convert", "IN OUT",
    "Writes a language model as GGUF, or (OUT without .gguf) as a Hugging Face folder.",
    "adze convert folder/ model.gguf\n"
    "adze convert folder/ model-f16.gguf --type F16\n"
    "adze convert model-q4.gguf folder/ --type BF16",
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

static bool folder_progress(void *user, double share, const char *tensor)
{
    (void)user;
    cli_progress("%3.0f %%  %s", 100 * share, tensor);
    return !cli_interrupted();
}

static void note(void *user, const char *text)
{
    (void)user;
    cli_progress_end();
    fprintf(stderr, "adze convert: %s\n", text);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static adze_status to_gguf(adze_context *context, const char *const *paths,
                           adze_llm_quantize_options *o, adze_error *err)
{
    adze_llm_quantization *q = NULL;
    o->progress = progress;
    adze_status status = adze_llm_quantization_open(&q, context, paths[0], o, err);
    if (status == ADZE_OK)
        status = adze_llm_quantization_run(q, paths[1], err);
    cli_progress_end();
    if (status == ADZE_OK)
        printf("%s: %d tensors, %llu bytes\n", paths[1], adze_llm_quantization_count(q),
               (unsigned long long)adze_llm_quantization_bytes(q));
    adze_llm_quantization_close(&q);
    return status;
}

static adze_status to_folder(adze_context *context, const char *const *paths, const char *type,
                             adze_error *err)
{
    adze_llm_folder_options o = {.type = type, .progress = folder_progress, .note = note};
    adze_status status = adze_llm_write_folder(context, paths[0], paths[1], &o, err);
    cli_progress_end();
    if (status == ADZE_OK)
        printf("%s: written\n", paths[1]);
    return status;
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
    if (ends_with(paths[1], ".onnx") || ends_with(paths[1], ".safetensors"))
        return cli_usage(&command, "'%s': expected NAME.gguf or the name of a folder", paths[1]);
    adze_error err = {0};
    adze_context *context = NULL;
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    (void)cli_interrupted(); /* from here on Ctrl-C is asked about */
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = ends_with(paths[1], ".gguf") ? to_gguf(context, paths, &o, &err)
                                              : to_folder(context, paths, o.type, &err);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
