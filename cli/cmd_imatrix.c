/* adze imatrix: which columns of the weights meet large activations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/llm_quantize.h"
#include "cli.h"

enum { SAVE_EVERY = 10 }; /* chunks: a kill costs no more */

typedef struct task {
    const char *model, *file, *output, *show, *tokenizer;
    cli_list merge;
    adze_imatrix_collect_options how;
    int64_t threads;
    bool special, json;
    adze_context *context;
    adze_engine *engine;
    adze_imatrix *imatrix;
    int32_t *ids;
    int64_t count, skip, chunks_seen;
} task;

static bool show_progress(void *user, const adze_llm_progress *progress)
{
    task *t = user;
    adze_error ignored;
    cli_progress("%3.0f %%  %.0f s left", progress->share * 100, progress->seconds_left);
    if (++t->chunks_seen % SAVE_EVERY == 0)
        (void)(adze_imatrix_save(t->imatrix, t->output, &ignored) !=
               ADZE_OK); /* the end will tell */
    return !cli_interrupted();
}

static adze_status encode_text(task *t, adze_error *err)
{
    const adze_encode_options how = {.special = t->special, .ends = true};
    adze_status status =
        cli_encode_file(&t->ids, &t->count, t->engine, t->model, t->file, &how, err);
    if (status != ADZE_OK || t->count / t->how.context > t->skip)
        return status;
    char skipped[64] = "";
    if (t->skip > 0)
        snprintf(skipped, sizeof skipped, " after the %lld of --skip", (long long)t->skip);
    snprintf(
        err->message, sizeof err->message,
        "%s: %lld tokens, fewer than one chunk of %lld%s: a longer text, or a smaller --context",
        t->file, (long long)t->count, (long long)t->how.context, skipped);
    return err->status = ADZE_BAD_DATA;
}

static adze_status collect(task *t, adze_error *err)
{
    adze_context_options threads = adze_context_options_default();
    adze_engine_options sizes = {
        .context = t->how.context, .batch = t->how.context, .tokenizer = t->tokenizer};
    threads.threads = (int)t->threads;
    t->how.dataset = t->file;
    t->how.progress = show_progress;
    t->how.user = t;
    adze_status status = adze_context_open(&t->context, &threads, err);
    if (status == ADZE_OK)
        status = adze_engine_open(&t->engine, t->context, t->model, &sizes, err);
    if (status == ADZE_OK)
        status = adze_engine_check_output(t->engine, t->output, err);
    if (status == ADZE_OK)
        status = cli_spare(t->output, t->file, err);
    if (status == ADZE_OK)
        status = cli_spare(t->output, t->tokenizer, err);
    if (status == ADZE_OK)
        status = encode_text(t, err);
    if (status == ADZE_OK) {
        (void)cli_interrupted(); /* from here on Ctrl-C is asked about */
        int64_t from = t->skip * t->how.context;
        status = adze_imatrix_collect(t->imatrix, t->engine, t->ids + from, t->count - from,
                                      &t->how, err);
    }
    cli_progress_end();
    return status;
}

static adze_status merge(task *t, adze_error *err)
{
    adze_status status = ADZE_OK;
    for (int i = 0; i < t->merge.count && status == ADZE_OK; i++) {
        adze_imatrix *other = NULL;
        status = adze_imatrix_open(&other, t->merge.items[i], err);
        if (status == ADZE_OK)
            status = adze_imatrix_merge(t->imatrix, other, err);
        adze_imatrix_close(&other);
    }
    return status;
}

/* What was seen before Ctrl-C is kept; the exit code says that it is not all. */
static adze_status make(task *t, adze_error *err)
{
    adze_error on_save = {0};
    adze_status status = adze_imatrix_create(&t->imatrix, err);
    if (status == ADZE_OK)
        status = merge(t, err);
    if (status == ADZE_OK && t->model)
        status = collect(t, err);
    if (status != ADZE_OK && status != ADZE_CANCELLED)
        return status;
    adze_status saved = adze_imatrix_save(t->imatrix, t->output, &on_save);
    if (saved != ADZE_OK)
        *err = on_save;
    else if (status == ADZE_CANCELLED)
        snprintf(err->message + strlen(err->message), sizeof err->message - strlen(err->message),
                 "; %s has what was seen", t->output);
    return saved != ADZE_OK ? saved : status;
}

static void report_made(const task *t)
{
    long long tensors = adze_imatrix_count(t->imatrix), chunks = adze_imatrix_chunks(t->imatrix);
    long long unseen = 0;
    for (int i = 0; i < tensors; i++) {
        const adze_imatrix_entry *entry = adze_imatrix_entry_at(t->imatrix, i);
        for (int64_t e = 0; e < entry->experts; e++)
            unseen += entry->counts[e] == 0;
    }
    if (t->json)
        printf("{\"tensors\": %lld, \"chunks\": %lld, \"experts_unseen\": %lld}\n", tensors, chunks,
               unseen);
    else
        printf("%s  %lld tensors, %lld chunks\n", t->output, tensors, chunks);
    if (unseen)
        fprintf(stderr, "adze: %lld experts saw no token of this text: it should be longer\n",
                unseen);
}

static int show(task *t)
{
    adze_error err = {0};
    char *json = NULL, *text = NULL;
    adze_status status = adze_imatrix_open(&t->imatrix, t->show, &err);
    if (status == ADZE_OK)
        status = adze_imatrix_describe(t->imatrix, &json, &text, &err);
    return cli_show(status, t->json, json, text, &err);
}

static int check(const cli_command *self, const task *t)
{
    if (t->show && (t->model || t->merge.count))
        return cli_usage(self, "--show looks at a file and needs no model");
    if (!t->show && !t->output)
        return cli_usage(self, "--output is missing");
    if (!t->show && !t->model && !t->merge.count)
        return cli_usage(self, "expected a model and --file, or --merge, or --show");
    if (t->model && !t->file)
        return cli_usage(self, "--file is missing: which text?");
    if (t->how.context < 8 || t->how.chunks < 0 || t->skip < 0)
        return cli_usage(self, "--context must be at least 8, --chunks and --skip at least 0");
    return -1;
}

CLI_COMMAND(imatrix)
{
    task t = {.how = adze_imatrix_collect_options_default()};
    adze_error err = {0};
    const cli_option options[] = {
        {CLI_STRING, "file", "TEXT", "text like that the model will see", &t.file},
        {CLI_STRING, "output", "M.gguf", "the matrix to write", &t.output},
        {CLI_INT, "chunks", "N", "at most so many (default: all of the text)", &t.how.chunks},
        {CLI_INT, "skip", "N", "chunks to pass over first; with --merge: go on after a kill",
         &t.skip},
        {CLI_INT, "context", "N", "tokens in a chunk (default 512)", &t.how.context},
        {CLI_FLAG, "process-output", NULL, "output.weight too", &t.how.output},
        {CLI_FLAG, "special", NULL, "parse special tokens in the text", &t.special},
        {CLI_LIST, "merge", "OTHER", "add what this matrix has seen (GGUF or .dat)", &t.merge},
        {CLI_STRING, "show", "M.gguf", "statistics of each tensor", &t.show},
        {CLI_STRING, "tokenizer", "FILE", CLI_TOKENIZER_HELP, &t.tokenizer},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &t.threads},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &t.json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &t.model, 0, 1, &count);
    if (code >= 0)
        return code;
    if ((code = check(self, &t)) >= 0)
        return code;
    if (t.show)
        code = show(&t);
    else if (make(&t, &err) != ADZE_OK)
        code = cli_fail(&err);
    else
        report_made(&t);
    code = code < 0 ? 0 : code;
    adze_tokens_free(&t.ids);
    adze_imatrix_close(&t.imatrix);
    adze_engine_close(&t.engine);
    adze_context_close(&t.context);
    return code;
}
