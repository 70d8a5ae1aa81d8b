/* Quantizing a choice and measuring what came of it: size, divergence on text that had no part in choosing, speed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "search/llm_search_impl.h"

enum { SPEED_TOKENS = 48 };

double llm_picks_size(const llm_search *s, const int *picks)
{
    double size = s->fixed_bytes;
    for (int i = 0; i < s->count; i++)
        size += s->tensors[i].choices[picks[i]].size;
    return size;
}

double llm_picks_loss(const llm_search *s, const int *picks)
{
    double loss = 0;
    for (int i = 0; i < s->count; i++)
        loss += s->tensors[i].choices[picks[i]].loss;
    return loss;
}

/* ---- quantizing ---- */

adze_llm_quantize_options llm_quantize_options(void)
{
    adze_llm_quantize_options how = adze_llm_quantize_options_default();
    how.max_ram = SIZE_MAX / 4;
    return how;
}

/* "^blk\.0\.attn_q\.weight$=q4_K" */
static const char *override_of(adze_arena *arena, const char *name, adze_dtype type)
{
    char escaped[256];
    size_t n = 0;
    for (; *name && n + 3 < sizeof escaped; name++) {
        if (*name == '.')
            escaped[n++] = '\\';
        escaped[n++] = *name;
    }
    escaped[n] = 0;
    const char *text = type == ADZE_F16 ? "f16" : adze_dtype_describe(type)->name;
    return adze_arena_printf(arena, "^%s$=%s", escaped, text);
}

bool llm_go_on(void *user, const adze_llm_progress *progress)
{
    const llm_search *s = user;
    ADZE_UNUSED(progress);
    return !s->o.cancelled || !s->o.cancelled(s->o.user);
}

static int stop(void *user, int64_t chunk, int64_t chunks, double perplexity, double kld)
{
    ADZE_UNUSED(chunk);
    ADZE_UNUSED(chunks);
    ADZE_UNUSED(perplexity);
    ADZE_UNUSED(kld);
    return !llm_go_on(user, NULL);
}

adze_perplexity_options llm_perplexity_options(llm_search *s)
{
    adze_perplexity_options how = adze_perplexity_options_default();
    how.context = LLM_CHUNK;
    how.progress = stop;
    how.user = s;
    return how;
}

static adze_status quantize(llm_search *s, const char *mix, const int *picks, adze_error *err)
{
    adze_arena arena = {0};
    adze_llm_quantize_options how = llm_quantize_options();
    const char **overrides = ADZE_ARENA_ARRAY(&arena, const char *, (size_t)s->count + 1);
    how.type = mix ? mix : "Q8_0";
    how.pure = !mix;
    how.imatrix = s->imatrix_path;
    how.progress = llm_go_on;
    how.user = s;
    bool made = overrides != NULL;
    for (int i = 0; picks && made && i < s->count; i++) {
        const llm_tensor *t = &s->tensors[i];
        overrides[i] = override_of(&arena, t->name, t->types[picks[i]]);
        made = overrides[i] != NULL;
    }
    how.tensor_types = overrides;
    how.tensor_type_count = picks ? s->count : 0;
    adze_llm_quantization *q = NULL;
    adze_status status = made ? adze_llm_quantization_open(&q, s->context, s->reference, &how, err)
                              : adze_fail(err, ADZE_NO_MEMORY, "quantizing");
    if (status == ADZE_OK)
        status = adze_llm_quantization_run(q, s->trial_path, err);
    adze_llm_quantization_close(&q);
    adze_arena_free(&arena);
    return status;
}

/* ---- measuring ---- */

static double tokens_per_second(const adze_engine *engine, const int32_t *ids, adze_error *err)
{
    adze_chat *chat = NULL;
    double seconds = 0;
    if (adze_chat_open(&chat, engine, NULL, err) == ADZE_OK &&
        adze_chat_append(chat, ids, 8, err) == ADZE_OK) {
        double best = INFINITY;
        for (int round = 0; round < 3;
             round++) { /* the best: what disturbs a round makes it slower */
            double start = adze_now();
            for (int i = 0; i < SPEED_TOKENS / 3; i++) {
                const float *logits;
                if (adze_chat_append(chat, &ids[8 + i], 1, err) != ADZE_OK ||
                    adze_chat_logits(chat, &logits, err) != ADZE_OK)
                    break;
            }
            best = fmin(best, adze_now() - start);
        }
        seconds = best / (SPEED_TOKENS / 3.0);
    }
    adze_chat_close(&chat);
    return seconds > 0 ? 1 / seconds : 0;
}

static adze_status measure(llm_search *s, const char *file, llm_judged *j, adze_error *err)
{
    adze_engine *engine;
    adze_engine_options sizes = {.context = LLM_CHUNK, .batch = LLM_CHUNK};
    ADZE_TRY(adze_engine_open(&engine, s->context, file, &sizes, err));
    adze_perplexity_options how = llm_perplexity_options(s);
    how.base = s->judge_base;
    how.chunks = s->judge_count / LLM_CHUNK;
    how.klds_size = how.chunks * LLM_CHUNK;
    how.klds = j->klds = ADZE_ARENA_ARRAY(&s->arena, float, (size_t)how.klds_size);
    adze_status status = j->klds ? adze_perplexity_measure(&j->quality, engine, s->judge_ids,
                                                           s->judge_count, &how, err)
                                 : adze_fail(err, ADZE_NO_MEMORY, "judging");
    if (status == ADZE_OK)
        j->tokens_per_s = tokens_per_second(engine, s->judge_ids, err);
    adze_engine_close(&engine);
    return status;
}

adze_status llm_judge_measure(llm_search *s, const char *name, const int *picks, double limit,
                              llm_judged **out, adze_error *err)
{
    if (s->judged_count == LLM_MOST_JUDGED)
        return adze_fail(err, ADZE_INTERNAL, "more than %d files judged", LLM_MOST_JUDGED);
    llm_judged *j = &s->judged[s->judged_count];
    *j = (llm_judged){.limit = limit};
    const char *slash = strrchr(name, '/');
    snprintf(j->name, sizeof j->name, "%s", slash ? slash + 1 : name);
    const char *file = s->trial_path;
    if (!picks && adze_file_exists(name)) {
        ADZE_TRY(llm_say(s, err, "judging: %s", name));
        file = name;
    } else {
        ADZE_TRY(llm_say(s, err, "quantizing and judging: %s", name));
        ADZE_TRY(quantize(s, picks ? NULL : name, picks, err));
    }
    j->size = (double)adze_file_size(file);
    if (picks) {
        j->picks = adze_arena_memdup(&s->arena, picks, (size_t)s->count * sizeof *picks);
        j->predicted = llm_picks_loss(s, picks);
        if (!j->picks)
            return adze_fail(err, ADZE_NO_MEMORY, "judging");
    }
    ADZE_TRY(measure(s, file, j, err));
    s->judged_count++;
    *out = j;
    return ADZE_OK;
}

adze_mean_error llm_paired_difference(const llm_judged *a, const llm_judged *b)
{
    int64_t n = ADZE_MIN(a->quality.tokens, b->quality.tokens);
    double sum = 0, sum2 = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)a->klds[i] - (double)b->klds[i];
        sum += d;
        sum2 += d * d;
    }
    adze_mean_error e = {n > 0 ? sum / (double)n : 0, 0};
    double variance = n > 1 ? sum2 / (double)n - e.value * e.value : 0;
    if (variance > 0)
        e.error = sqrt(variance / (double)(n - 1));
    return e;
}

/* ---- requirements ---- */

static adze_estimate exact(double value)
{
    return (adze_estimate){.value = value, .low = value, .high = value};
}

static adze_estimate with_error(adze_mean_error e, int64_t n)
{
    return (adze_estimate){.value = e.value,
                           .low = e.value - 1.96 * e.error,
                           .high = e.value + 1.96 * e.error,
                           .samples = n};
}

static bool value_of(adze_estimate *out, adze_gate_metric metric, double size,
                     const adze_perplexity *q, double speed)
{
    switch (metric) {
    case ADZE_METRIC_size: *out = exact(size); return true;
    case ADZE_METRIC_tokens_per_s: *out = exact(speed); return true;
    case ADZE_METRIC_perplexity: *out = with_error(q->perplexity, q->tokens); return true;
    case ADZE_METRIC_kld: *out = with_error(q->kld, q->tokens); return true;
    default: return false;
    }
}

bool llm_gates_hold(const llm_search *s, const llm_judged *j, json_t *verdicts)
{
    bool all = true;
    for (int i = 0; i < s->o.requirement_count; i++) {
        adze_estimate own = {0}, original = {0};
        const adze_gate *gate = &s->gates[i];
        value_of(&own, gate->metric, j->size, &j->quality, j->tokens_per_s);
        value_of(&original, gate->metric, s->original_size, &s->original, s->original_tokens_per_s);
        adze_gate_result r = adze_gate_judge(gate, &own, &original, NULL);
        all &= r.verdict == ADZE_VERDICT_PASS;
        if (verdicts)
            json_array_append_new(verdicts,
                                  json_pack("{s:s, s:s, s:s}", "requirement", gate->text, "verdict",
                                            adze_verdict_name(r.verdict), "text", r.text));
    }
    return all;
}
