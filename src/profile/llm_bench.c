/* Prompt and generation, timed on one timeline that is wound back between repetitions. One repetition before the
 * first is not counted: it brings the weights into memory. */
#include "adze/llm_bench.h"

#include <math.h>

#include "base/file.h"
#include "base/order.h"
#include "base/rng.h"

enum { MOST_REPETITIONS = 1000 };

adze_llm_bench_options adze_llm_bench_options_default(void)
{
    return (adze_llm_bench_options){.prompt = 512, .generate = 128, .repetitions = 5, .seed = 1};
}

typedef struct run {
    const adze_engine *engine;
    adze_llm_bench_options o;
    adze_chat *chat;
    int32_t *ids;              /* depth, then prompt or generation */
    double *prompt, *generate; /* [repetitions] tokens per second */
} run;

static adze_llm_rate rate_of(double *values, int64_t n)
{
    adze_llm_rate r = {0};
    double squares = 0;
    if (n < 1)
        return r;
    adze_sort_f64(values, n);
    r.median = adze_percentile(values, n, 50);
    r.best = values[n - 1];
    for (int64_t i = 0; i < n; i++)
        r.mean += values[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (values[i] - r.mean) * (values[i] - r.mean);
    r.deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    return r;
}

static adze_status time_prompt(run *r, double *rate, adze_error *err)
{
    const float *logits;
    adze_chat_rewind(r->chat, r->o.depth);
    double start = adze_now();
    ADZE_TRY(adze_chat_append(r->chat, r->ids + r->o.depth, r->o.prompt, err));
    ADZE_TRY(adze_chat_logits(r->chat, &logits, err));
    *rate = (double)r->o.prompt / (adze_now() - start);
    return ADZE_OK;
}

static adze_status time_generation(run *r, int64_t tokens, double *rate, adze_error *err)
{
    const float *logits;
    adze_chat_rewind(r->chat, r->o.depth);
    double start = adze_now();
    for (int64_t i = 0; i < tokens; i++) {
        ADZE_TRY(adze_chat_append(r->chat, r->ids + r->o.depth + i, 1, err));
        ADZE_TRY(adze_chat_logits(r->chat, &logits, err));
    }
    *rate = (double)tokens / (adze_now() - start);
    return ADZE_OK;
}

static adze_status repeat(run *r, int64_t *done, adze_error *err)
{
    double ignored;
    if (r->o.depth > 0)
        ADZE_TRY(adze_chat_append(r->chat, r->ids, r->o.depth, err));
    if (r->o.prompt > 0)
        ADZE_TRY(time_prompt(r, &ignored, err));
    if (r->o.generate > 0)
        ADZE_TRY(time_generation(r, 1, &ignored, err));
    for (*done = 0; *done < r->o.repetitions; (*done)++) {
        if (r->o.prompt > 0)
            ADZE_TRY(time_prompt(r, &r->prompt[*done], err));
        if (r->o.generate > 0)
            ADZE_TRY(time_generation(r, r->o.generate, &r->generate[*done], err));
        if (r->o.cancelled && r->o.cancelled(r->o.user))
            return adze_fail(err, ADZE_CANCELLED, "stopped");
    }
    return ADZE_OK;
}

static adze_status measure(run *r, adze_llm_bench *out, adze_error *err)
{
    int64_t longest = r->o.depth + ADZE_MAX(r->o.prompt, r->o.generate), done = 0;
    if (longest > adze_engine_context(r->engine))
        return adze_fail(err, ADZE_LIMIT, "%lld tokens do not fit in a context of %lld",
                         (long long)longest, (long long)adze_engine_context(r->engine));
    adze_rng rng = adze_rng_seed(r->o.seed);
    for (int64_t i = 0; i < longest; i++)
        r->ids[i] = (int32_t)adze_rng_below(&rng, (uint64_t)adze_engine_vocabulary(r->engine));
    ADZE_TRY(adze_chat_open(&r->chat, r->engine, NULL, err));
    ADZE_TRY(repeat(r, &done, err));
    *out = (adze_llm_bench){.repetitions = done, .peak_memory = adze_peak_rss()};
    if (r->o.prompt > 0)
        out->prompt = rate_of(r->prompt, done);
    if (r->o.generate > 0)
        out->generate = rate_of(r->generate, done);
    return ADZE_OK;
}

adze_status adze_llm_bench_run(adze_llm_bench *out, const adze_engine *engine,
                               const adze_llm_bench_options *options, adze_error *err)
{
    run r = {.engine = engine, .o = options ? *options : adze_llm_bench_options_default()};
    r.o.repetitions = r.o.repetitions ? r.o.repetitions : 5;
    static const int64_t most = (int64_t)1 << 24;
    if (r.o.prompt < 0 || r.o.generate < 0 || r.o.depth < 0 || r.o.prompt > most ||
        r.o.generate > most || r.o.depth > most || r.o.repetitions < 1 ||
        r.o.repetitions > MOST_REPETITIONS || r.o.prompt + r.o.generate == 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "prompt %lld, generate %lld, depth %lld, repetitions %lld",
                         (long long)r.o.prompt, (long long)r.o.generate, (long long)r.o.depth,
                         (long long)r.o.repetitions);
    size_t tokens = (size_t)(r.o.depth + ADZE_MAX(r.o.prompt, r.o.generate)) + 1;
    r.ids = adze_alloc(tokens, sizeof *r.ids);
    r.prompt = adze_alloc((size_t)r.o.repetitions, sizeof *r.prompt);
    r.generate = adze_alloc((size_t)r.o.repetitions, sizeof *r.generate);
    adze_status status = r.ids && r.prompt && r.generate
                             ? measure(&r, out, err)
                             : adze_fail(err, ADZE_NO_MEMORY, "%zu tokens", tokens);
    adze_chat_close(&r.chat);
    adze_free(r.ids);
    adze_free(r.prompt);
    adze_free(r.generate);
    return status;
}
