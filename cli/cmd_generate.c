/* adze generate: continues a text, token by token, to stdout. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adze/llm.h"
#include "cli.h"

typedef struct generate {
    const char *path, *prompt;
    int64_t tokens, context, seed;
    double temperature;
    bool json, ids_only, speed;
} generate;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct timing {
    int64_t prompt, generated;
    double prompt_seconds, generate_seconds;
} timing;

static void put(const generate *g, int32_t id, const char *text, size_t length)
{
    if (g->ids_only)
        printf("%d ", id);
    else
        fwrite(text, 1, length, stdout);
    fflush(stdout);
}

static adze_status too_long(const adze_engine *engine, const char *what, int64_t tokens,
                            adze_error *err)
{
    snprintf(err->message, sizeof err->message,
             "%s %lld tokens, the timeline holds %lld: --context makes it longer", what,
             (long long)tokens, (long long)adze_engine_context(engine));
    return err->status = ADZE_LIMIT;
}

/* The decoder has read what stands before, so that a space between it and the first token is kept. */
static adze_status open_decoder(adze_decoder **decoder, const adze_chat *chat,
                                const adze_tokenizer *tokenizer, adze_error *err)
{
    const char *text;
    size_t length;
    const int32_t *ids = adze_chat_tokens(chat);
    adze_status status = adze_decoder_open(decoder, tokenizer, false, err);
    for (int64_t i = 0; i < adze_chat_length(chat) && status == ADZE_OK; i++)
        status = adze_decoder_next(*decoder, ids[i], &text, &length, err);
    return status;
}

/* Generates until the model ends, the count is reached, the timeline is full or Ctrl-C. */
static adze_status go_on(adze_chat *chat, const adze_engine *engine, const generate *g, timing *t,
                         adze_error *err)
{
    const adze_tokenizer *tokenizer = adze_engine_tokenizer(engine);
    uint64_t state = (uint64_t)g->seed;
    adze_decoder *decoder = NULL;
    const char *text = "";
    size_t length = 0;
    adze_status status = open_decoder(&decoder, chat, tokenizer, err);
    for (t->generated = 0; status == ADZE_OK && t->generated < g->tokens && !cli_interrupted();) {
        const float *logits;
        status = adze_chat_logits(chat, &logits, err);
        if (status != ADZE_OK)
            break;
        int32_t id =
            adze_sample(logits, adze_engine_vocabulary(engine), (float)g->temperature, &state);
        if (!isfinite(logits[id])) {
            snprintf(err->message, sizeof err->message,
                     "%s: after %lld tokens the model's logits are no numbers: its weights are "
                     "damaged",
                     g->path, (long long)adze_chat_length(chat));
            status = err->status = ADZE_BAD_MODEL;
            break;
        }
        if (adze_tokenizer_is_end(tokenizer, id))
            break;
        status = adze_decoder_next(decoder, id, &text, &length, err);
        if (status == ADZE_OK)
            put(g, id, text, length);
        bool more = ++t->generated < g->tokens && status == ADZE_OK;
        if (more && adze_chat_length(chat) == adze_engine_context(engine))
            status = too_long(engine, "the text has", adze_chat_length(chat) + 1, err);
        else if (more)
            status = adze_chat_append(chat, &id, 1, err);
    }
    adze_error ignored;
    if (adze_decoder_next(decoder, -1, &text, &length, &ignored) == ADZE_OK && !g->ids_only)
        fwrite(text, 1, length, stdout);
    printf("\n");
    fflush(stdout);
    adze_decoder_close(&decoder);
    return status;
}

static adze_status run(const adze_engine *engine, const generate *g, timing *t, adze_error *err)
{
    adze_chat *chat = NULL;
    int32_t *ids = NULL;
    const adze_encode_options how = {.special = true, .ends = true};
    adze_status status =
        cli_encode(&ids, &t->prompt, engine, g->path, g->prompt, strlen(g->prompt), &how, err);
    if (status == ADZE_OK && t->prompt == 0) {
        snprintf(err->message, sizeof err->message,
                 "the prompt is empty, and this vocabulary has no "
                 "token that begins a text: give some --prompt");
        status = err->status = ADZE_BAD_ARGUMENT;
    }
    if (status == ADZE_OK && t->prompt > adze_engine_context(engine))
        status = too_long(engine, "the prompt has", t->prompt, err);
    if (status == ADZE_OK)
        status = adze_chat_open(&chat, engine, NULL, err);
    double start = now();
    if (status == ADZE_OK)
        status = adze_chat_append(chat, ids, t->prompt, err);
    double middle = now();
    if (status == ADZE_OK && !g->ids_only)
        printf("%s", g->prompt);
    if (status == ADZE_OK)
        status = go_on(chat, engine, g, t, err);
    t->prompt_seconds = middle - start;
    t->generate_seconds = now() - middle;
    adze_chat_close(&chat);
    adze_tokens_free(&ids);
    return status;
}

CLI_COMMAND(generate)
{
    generate g = {.prompt = "", .tokens = 128};
    int64_t threads = 0;
    adze_engine_options engine_options = {0};
    const char *temperature = "0";
    const cli_option options[] = {
        {CLI_STRING, "prompt", "TEXT", "the text to continue", &g.prompt},
        {CLI_INT, "tokens", "N", "most tokens to generate (default 128)", &g.tokens},
        {CLI_STRING, "temperature", "T", "0: always the likeliest token (default); else sampled",
         &temperature},
        {CLI_INT, "seed", "N", "of sampling", &g.seed},
        {CLI_INT, "context", "N", "most tokens on the timeline (default: as trained, at most 4096)",
         &g.context},
        {CLI_STRING, "tokenizer", "FILE", CLI_TOKENIZER_HELP, &engine_options.tokenizer},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &threads},
        {CLI_FLAG, "ids", NULL, "print token ids, not text", &g.ids_only},
        {CLI_FLAG, "speed", NULL, "say on stderr how fast it was", &g.speed},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &g.path, 1, 1, &count);
    if (code >= 0)
        return code;
    char *end;
    g.temperature = strtod(temperature, &end);
    if (end == temperature || *end || !(g.temperature >= 0 && g.temperature <= 100))
        return cli_usage(self, "--temperature: expected a number from 0 to 100, found '%s'",
                         temperature);
    if (g.tokens < 0)
        return cli_usage(self, "--tokens: expected at least 0, found %lld", (long long)g.tokens);
    adze_error err = {0};
    adze_context *context = NULL;
    adze_engine *engine = NULL;
    timing t = {0};
    adze_context_options how = adze_context_options_default();
    how.threads = (int)threads;
    engine_options.context = g.context;
    adze_status status = adze_context_open(&context, &how, &err);
    if (status == ADZE_OK)
        status = adze_engine_open(&engine, context, g.path, &engine_options, &err);
    if (status == ADZE_OK)
        status = run(engine, &g, &t, &err);
    if (status == ADZE_OK && g.speed)
        fprintf(stderr,
                "prompt: %lld tokens, %.1f tokens/s; generated: %lld tokens, %.1f tokens/s\n",
                (long long)t.prompt, (double)t.prompt / t.prompt_seconds, (long long)t.generated,
                (double)t.generated / t.generate_seconds);
    adze_engine_close(&engine);
    adze_context_close(&context);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
