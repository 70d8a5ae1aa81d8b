/* adze perplexity: how well a language model predicts a text, and how far it is from a reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/perplexity.h"
#include "cli.h"

typedef struct work {
    const char *model, *reference, *file, *tokenizer;
    int64_t threads;
    bool json;
    adze_perplexity_options how;
    adze_context *context;
    adze_engine *engine, *other;
    int32_t *ids;
    int64_t count;
} work;

static int progress(void *user, int64_t chunk, int64_t chunks, double perplexity, double kld)
{
    const work *w = user;
    if (w->reference || w->how.base)
        cli_progress("chunk %lld of %lld  perplexity %.4f  divergence %.6f", (long long)chunk,
                     (long long)chunks, perplexity, kld);
    else
        cli_progress("chunk %lld of %lld  perplexity %.4f", (long long)chunk, (long long)chunks,
                     perplexity);
    return cli_interrupted();
}

static adze_status encode_file(work *w, adze_error *err)
{
    const adze_encode_options ends = {.ends = true};
    adze_status status =
        cli_encode_file(&w->ids, &w->count, w->engine, w->model, w->file, &ends, err);
    if (status != ADZE_OK || w->count / w->how.context > w->how.skip)
        return status;
    char skipped[64] = "";
    if (w->how.skip > 0)
        snprintf(skipped, sizeof skipped, " after the %lld of --skip", (long long)w->how.skip);
    snprintf(
        err->message, sizeof err->message,
        "%s: %lld tokens, fewer than one chunk of %lld%s: a longer text, or a smaller --context",
        w->file, (long long)w->count, (long long)w->how.context, skipped);
    return err->status = ADZE_BAD_DATA;
}

static adze_status execute(work *w, adze_perplexity *result, adze_error *err)
{
    adze_context_options how = adze_context_options_default();
    adze_engine_options sizes = {
        .context = w->how.context, .batch = 512, .tokenizer = w->tokenizer};
    how.threads = (int)w->threads;
    adze_status status = adze_context_open(&w->context, &how, err);
    if (status == ADZE_OK)
        status = adze_engine_open(&w->engine, w->context, w->model, &sizes, err);
    if (status == ADZE_OK && w->reference)
        status = adze_engine_open(&w->other, w->context, w->reference, &sizes, err);
    if (status == ADZE_OK)
        status = cli_spare(w->how.save_base, w->file, err);
    if (status == ADZE_OK)
        status = cli_spare(w->how.save_base, w->tokenizer, err);
    if (status == ADZE_OK)
        status = encode_file(w, err);
    w->how.reference = w->other;
    if (status == ADZE_OK)
        status = adze_perplexity_measure(result, w->engine, w->ids, w->count, &w->how, err);
    cli_progress_end();
    return status;
}

CLI_COMMAND(perplexity)
{
    work w = {.how = adze_perplexity_options_default()};
    const cli_option options[] = {
        {CLI_STRING, "file", "TEXT", "the text", &w.file},
        {CLI_INT, "context", "N", "tokens of a chunk (default 512); its second half is scored",
         &w.how.context},
        {CLI_INT, "chunks", "N", "most chunks (default: all)", &w.how.chunks},
        {CLI_INT, "skip", "N", "chunks to pass over first", &w.how.skip},
        {CLI_STRING, "kl-divergence", "MODEL", "compare with this model, run beside", &w.reference},
        {CLI_STRING, "kl-divergence-base", "FILE",
         "compare with saved log-probabilities (of --save-base, or of llama-perplexity)",
         &w.how.base},
        {CLI_STRING, "save-base", "FILE", "save log-probabilities for later comparisons",
         &w.how.save_base},
        {CLI_STRING, "tokenizer", "FILE", CLI_TOKENIZER_HELP, &w.tokenizer},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &w.threads},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &w.json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &w.model, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!w.file)
        return cli_usage(self, "--file is missing: which text?");
    if (w.reference && w.how.base)
        return cli_usage(self, "--kl-divergence and --kl-divergence-base: only one of them");
    if (w.how.context < 4 || w.how.chunks < 0 || w.how.skip < 0)
        return cli_usage(self, "--context must be at least 4, --chunks and --skip at least 0");
    w.how.progress = progress;
    w.how.user = &w;
    adze_error err = {0};
    adze_perplexity result;
    adze_status status = execute(&w, &result, &err);
    char *json = NULL, *text = NULL;
    if (status == ADZE_OK)
        status =
            adze_perplexity_report(&result, w.json ? &json : NULL, w.json ? NULL : &text, &err);
    code = cli_show(status, w.json, json, text, &err);
    adze_tokens_free(&w.ids);
    adze_engine_close(&w.engine);
    adze_engine_close(&w.other);
    adze_context_close(&w.context);
    return code;
}
