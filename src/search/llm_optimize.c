/* The order of work: a reference in floats, the text split three ways (importance, sensitivity, judging), errors and
 * sensitivities of all tensors, an exact choice for the limits, the file, the verdict; and again with a corrected
 * budget where a requirement on divergence or speed was missed. */
#include "adze/llm_optimize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "search/llm_search_impl.h"

enum { USUAL_PROBE = 512, USUAL_JUDGE_CHUNKS = 40, MOST_ROUNDS = 5 };

adze_llm_optimize_options adze_llm_optimize_options_default(void)
{
    return (adze_llm_optimize_options){.probe_tokens = USUAL_PROBE,
                                       .judge_chunks = USUAL_JUDGE_CHUNKS};
}

adze_status llm_say(llm_search *s, adze_error *err, const char *format, ...)
{
    char line[256];
    va_list args;
    if (s->o.cancelled && s->o.cancelled(s->o.user))
        return adze_fail(err, ADZE_CANCELLED, "stopped");
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    s->step++;
    if (s->o.progress)
        s->o.progress(s->o.user, s->step, ADZE_MAX(s->steps, s->step), line);
    return ADZE_OK;
}

/* ---- the reference ---- */

static bool has_blocks(const adze_checkpoint *c)
{
    bool blocks = false;
    for (int i = 0; i < adze_checkpoint_count(c); i++)
        blocks |=
            adze_dtype_describe(adze_checkpoint_tensor_at(c, i)->dtype)->kind == ADZE_KIND_BLOCK;
    return blocks;
}

/* A quantized source is first written in float16: errors are measured against what it means. */
static adze_status make_reference(llm_search *s, adze_error *err)
{
    adze_checkpoint *c;
    ADZE_TRY(adze_checkpoint_open(&c, s->model, err));
    bool blocks = has_blocks(c);
    s->original_size = (double)adze_checkpoint_file_size(c);
    adze_status spared = adze_checkpoint_spare(c, s->best_path, err);
    if (spared == ADZE_OK)
        spared = adze_checkpoint_spare(c, s->trial_path, err);
    adze_checkpoint_close(&c);
    ADZE_TRY(spared);
    s->reference = s->model;
    if (!blocks)
        return ADZE_OK;
    adze_llm_quantize_options how = llm_quantize_options();
    how.type = "F16";
    how.progress = llm_go_on;
    how.user = s;
    how.allow_requantize = true;
    adze_llm_quantization *q;
    s->reference = adze_path_join(&s->arena, s->o.output, "reference.gguf");
    ADZE_TRY(llm_say(s, err, "the source is quantized: its weights in float16 are the reference"));
    ADZE_TRY(adze_llm_quantization_open(&q, s->context, s->model, &how, err));
    adze_status status = adze_llm_quantization_run(q, s->reference, err);
    adze_llm_quantization_close(&q);
    return status;
}

/* ---- the text ---- */

static adze_status encode(llm_search *s, const char *text, size_t length, int64_t most,
                          int32_t **out, int64_t *count, adze_error *err)
{
    const adze_encode_options ends = {.ends = true};
    int32_t *ids = NULL;
    ADZE_TRY(adze_tokenizer_encode(adze_engine_tokenizer(s->engine), &ids, count, text, length,
                                   &ends, err));
    *count = most > 0 ? ADZE_MIN(*count, most) : *count;
    *out = adze_arena_memdup(&s->arena, ids, (size_t)*count * sizeof *ids);
    adze_tokens_free(&ids);
    return *out || *count == 0 ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "text");
}

/* Cut at a line's end near `at`. */
static size_t cut_near(const char *text, size_t length, size_t at)
{
    while (at < length && text[at] != '\n')
        at++;
    return at < length ? at + 1 : length;
}

static adze_status make_imatrix(llm_search *s, const char *text, size_t length, adze_error *err)
{
    if (s->o.imatrix) {
        s->imatrix_path = s->o.imatrix;
        return adze_imatrix_open(&s->imatrix, s->o.imatrix, err);
    }
    adze_imatrix_collect_options how = adze_imatrix_collect_options_default();
    how.progress = llm_go_on;
    how.user = s;
    how.output = true; /* a file of its own for the embeddings' other use */
    ADZE_TRY(llm_say(s, err, "importance matrix"));
    s->imatrix_path = adze_path_join(&s->arena, s->o.output, "imatrix.gguf");
    ADZE_TRY(adze_imatrix_create(&s->imatrix, err));
    int32_t *ids;
    int64_t count;
    ADZE_TRY(encode(s, text, length, 0, &ids, &count, err));
    ADZE_TRY(adze_imatrix_collect(s->imatrix, s->engine, ids, count, &how, err));
    return adze_imatrix_save(s->imatrix, s->imatrix_path, err);
}

static adze_status split_text(llm_search *s, const char *text, size_t length, const char *test,
                              size_t test_length, adze_error *err)
{
    size_t half = cut_near(text, length, test ? length * 3 / 4 : length / 2);
    size_t end = test ? length : cut_near(text, length, length * 3 / 4);
    int64_t judge = (s->o.judge_chunks > 0 ? s->o.judge_chunks : USUAL_JUDGE_CHUNKS) * LLM_CHUNK;
    ADZE_TRY(encode(s, text + half, end - half,
                    s->o.probe_tokens > 0 ? s->o.probe_tokens : USUAL_PROBE, &s->probe_ids,
                    &s->probe_count, err));
    ADZE_TRY(encode(s, test ? test : text + end, test ? test_length : length - end, judge,
                    &s->judge_ids, &s->judge_count, err));
    if (s->probe_count < 64 || s->judge_count < LLM_CHUNK)
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: too short a text: %lld tokens for %s, at least %d are needed%s",
                         s->probe_count < 64 || !test ? s->o.calibration : s->o.test,
                         (long long)(s->probe_count < 64 ? s->probe_count : s->judge_count),
                         s->probe_count < 64 ? "sensitivities" : "judging",
                         s->probe_count < 64 ? 64 : (int)LLM_CHUNK,
                         test ? "" : "; give more, or one of its own to judge by (--test)");
    if (s->probe_count > LLM_CHUNK)
        s->probe_count -= s->probe_count % LLM_CHUNK;
    return make_imatrix(s, text, half, err);
}

static adze_status read_texts(llm_search *s, adze_error *err)
{
    static const size_t most = (size_t)1 << 30;
    char *text = NULL, *test = NULL;
    size_t length = 0, test_length = 0;
    adze_status status = adze_file_read(&text, &length, s->o.calibration, most, err);
    if (status == ADZE_OK && s->o.test)
        status = adze_file_read(&test, &test_length, s->o.test, most, err);
    if (status == ADZE_OK)
        status = split_text(s, text, length, test, test_length, err);
    adze_free(text);
    adze_free(test);
    return status;
}

/* ---- opening ---- */

static adze_status read_gates(llm_search *s, adze_error *err)
{
    int n = s->o.requirement_count;
    s->gates = ADZE_ARENA_ARRAY(&s->arena, adze_gate, (size_t)n + 1);
    if (!s->gates)
        return adze_fail(err, ADZE_NO_MEMORY, "requirements");
    for (int i = 0; i < n; i++) {
        ADZE_TRY(adze_gate_parse(&s->gates[i], s->o.requirements[i], err));
        adze_gate_metric m = s->gates[i].metric;
        if (m != ADZE_METRIC_size && m != ADZE_METRIC_kld && m != ADZE_METRIC_tokens_per_s &&
            m != ADZE_METRIC_perplexity)
            return adze_fail(
                err, ADZE_BAD_ARGUMENT,
                "requirement '%s': of a language model size, kld, perplexity and tokens_per_s "
                "can be required",
                s->gates[i].text);
        if (s->gates[i].at_most == (m == ADZE_METRIC_tokens_per_s))
            return adze_fail(err, ADZE_BAD_ARGUMENT, "requirement '%s': expected %s%s",
                             s->gates[i].text, adze_gate_metric_name(m),
                             s->gates[i].at_most ? ">=" : "<=");
    }
    return ADZE_OK;
}

static adze_status check_numbers(const llm_search *s, adze_error *err)
{
    if (s->o.probe_tokens < 0 || s->o.judge_chunks < 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: expected at least 0, found %lld",
                         s->o.probe_tokens < 0 ? "tokens to probe with" : "chunks to judge by",
                         (long long)ADZE_MIN(s->o.probe_tokens, s->o.judge_chunks));
    for (int i = 0; i < s->o.type_count; i++) {
        adze_text known = {0};
        bool found = false;
        for (int d = 0; d < ADZE_DTYPE_COUNT; d++) {
            const char *name = adze_dtype_describe((adze_dtype)d)->name;
            if (!llm_type_is_choice(s, (adze_dtype)d))
                continue;
            found |= llm_type_is_named((adze_dtype)d, s->o.types[i]);
            adze_text_printf(&known, " %s", name);
        }
        adze_status status = found ? ADZE_OK
                                   : adze_fail(err, ADZE_BAD_ARGUMENT, "type '%s': there are%s",
                                               s->o.types[i], adze_text_get(&known));
        adze_text_free(&known);
        ADZE_TRY(status);
    }
    return ADZE_OK;
}

static adze_status mix_size(llm_search *s, const char *mix, double *size, adze_error *err)
{
    adze_llm_quantize_options how = llm_quantize_options();
    adze_llm_quantization *q;
    how.type = mix;
    how.imatrix = s->imatrix_path;
    ADZE_TRY(adze_llm_quantization_open(&q, s->context, s->reference, &how, err));
    *size = (double)adze_llm_quantization_bytes(q);
    adze_llm_quantization_close(&q);
    return ADZE_OK;
}

/* Known before hours of work, not after. */
static adze_status check_compared_file(const llm_search *s, const char *path, adze_error *err)
{
    adze_engine *engine;
    adze_engine_options sizes = {.context = LLM_CHUNK, .batch = LLM_CHUNK};
    ADZE_TRY(adze_engine_open(&engine, s->context, path, &sizes, err));
    int64_t own = adze_engine_vocabulary(s->engine), other = adze_engine_vocabulary(engine);
    adze_engine_close(&engine);
    return own == other
               ? ADZE_OK
               : adze_fail(err, ADZE_BAD_DATA,
                           "%s: a vocabulary of %lld, that of %s is %lld: they cannot be compared",
                           path, (long long)other, s->model, (long long)own);
}

static adze_status check_compared(llm_search *s, adze_error *err)
{
    double size;
    for (int i = 0; i < s->o.compare_count; i++) {
        if (!adze_file_exists(s->o.compare[i]))
            ADZE_TRY(mix_size(s, s->o.compare[i], &size, err));
        else
            ADZE_TRY(check_compared_file(s, s->o.compare[i], err));
        if (adze_file_is_same(s->o.compare[i], s->best_path))
            return adze_fail(err, ADZE_BAD_ARGUMENT,
                             "%s: will be written; give --output another folder", s->best_path);
    }
    return ADZE_OK;
}

static adze_status open_search(llm_search *s, adze_error *err)
{
    ADZE_TRY(read_gates(s, err));
    ADZE_TRY(check_numbers(s, err));
    ADZE_TRY(adze_folder_make(s->o.output, err));
    s->probe_base = adze_path_join(&s->arena, s->o.output, "probe.base");
    s->judge_base = adze_path_join(&s->arena, s->o.output, "judge.base");
    s->trial_path = adze_path_join(&s->arena, s->o.output, "trial.gguf");
    s->best_path = adze_path_join(&s->arena, s->o.output, "best.gguf");
    s->judged = ADZE_ARENA_ARRAY(&s->arena, llm_judged, LLM_MOST_JUDGED);
    if (!s->probe_base || !s->judge_base || !s->trial_path || !s->best_path || !s->judged)
        return adze_fail(err, ADZE_NO_MEMORY, "search");
    ADZE_TRY(make_reference(s, err));
    adze_engine_options sizes = {.context = LLM_CHUNK, .batch = LLM_CHUNK};
    ADZE_TRY(adze_engine_open(&s->engine, s->context, s->reference, &sizes, err));
    if (!adze_engine_tokenizer(s->engine) || adze_engine_is_encoder(s->engine))
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: %s", s->model,
                         adze_engine_is_encoder(s->engine)
                             ? "an encoder predicts no tokens to judge by"
                             : "no tokenizer");
    ADZE_TRY(read_texts(s, err));
    return check_compared(s, err); /* types may need the importance matrix */
}

static adze_status judge_original(llm_search *s, adze_error *err)
{
    adze_perplexity_options how = llm_perplexity_options(s);
    how.save_base = s->judge_base;
    ADZE_TRY(llm_say(s, err, "the original on the text to judge by"));
    return adze_perplexity_measure(&s->original, s->engine, s->judge_ids, s->judge_count, &how,
                                   err);
}

/* ---- choosing ---- */

static double limit_of(const adze_gate *g, double original)
{
    return g->relative ? g->factor * original + g->offset : g->offset;
}

/* Of several the narrowest. */
static const adze_gate *gate_of(const llm_search *s, adze_gate_metric metric, double original)
{
    const adze_gate *found = NULL;
    for (int i = 0; i < s->o.requirement_count; i++) {
        const adze_gate *g = &s->gates[i];
        double than = found ? limit_of(g, original) - limit_of(found, original) : 0;
        if (g->metric == metric && (!found || (g->at_most ? than < 0 : than > 0)))
            found = g;
    }
    return found;
}

/* Before sensitivities are measured, which takes long. */
static adze_status check_size(const llm_search *s, adze_error *err)
{
    const adze_gate *g = gate_of(s, ADZE_METRIC_size, s->original_size);
    double least = s->fixed_bytes;
    char smallest[32];
    for (int i = 0; i < s->count; i++) {
        double own = s->tensors[i].choices[0].size;
        for (int k = 1; k < s->tensors[i].type_count; k++)
            own = fmin(own, s->tensors[i].choices[k].size);
        least += own;
    }
    if (!g || least <= limit_of(g, s->original_size))
        return ADZE_OK;
    return adze_fail(err, ADZE_LIMIT, "%s: requirement '%s': the smallest types make a file of %s",
                     s->model, g->text, adze_format_bytes(smallest, least));
}

static double largest_size(const llm_search *s)
{
    double size = s->fixed_bytes;
    for (int i = 0; i < s->count; i++) {
        double most = 0;
        for (int k = 0; k < s->tensors[i].type_count; k++)
            most = fmax(most, s->tensors[i].choices[k].size);
        size += most;
    }
    return size;
}

static adze_status solve(llm_search *s, double limit, int *picks, adze_error *err)
{
    adze_choice_item *items = ADZE_ARENA_ARRAY(&s->arena, adze_choice_item, (size_t)s->count);
    if (!items)
        return adze_fail(err, ADZE_NO_MEMORY, "choosing");
    for (int i = 0; i < s->count; i++)
        items[i] = (adze_choice_item){s->tensors[i].choices, s->tensors[i].type_count};
    return adze_knapsack_solve(picks, items, s->count, limit - s->fixed_bytes, err);
}

/* The smallest budget whose best choice is predicted to diverge at most so much. */
static adze_status solve_for_loss(llm_search *s, double loss, double most, int *picks,
                                  double *limit, adze_error *err)
{
    double low = s->fixed_bytes, high = most;
    for (int i = 0; i < 24 && high - low > 0.0005 * most; i++) {
        double middle = (low + high) / 2;
        adze_error ignored;
        bool fits =
            solve(s, middle, picks, &ignored) == ADZE_OK && llm_picks_loss(s, picks) <= loss;
        *(fits ? &high : &low) = middle;
    }
    *limit = high;
    return solve(s, high, picks, err);
}

/* Keeps the trial as the best so far when it is: what holds beats what does not, then divergence (or, without a
 * limit of size, size). */
static adze_status keep_if_best(llm_search *s, llm_judged *j, bool by_size, adze_error *err)
{
    int index = (int)(j - s->judged);
    bool holds = llm_gates_hold(s, j, NULL), better = s->best < 0;
    if (s->best >= 0) {
        const llm_judged *b = &s->judged[s->best];
        bool b_holds = llm_gates_hold(s, b, NULL);
        bool nearer =
            by_size && holds ? j->size < b->size : j->quality.kld.value < b->quality.kld.value;
        better = holds != b_holds ? holds : nearer;
    }
    if (!better)
        return ADZE_OK;
    if (rename(s->trial_path, s->best_path) != 0)
        return adze_fail(err, ADZE_IO, "%s: cannot be renamed to %s", s->trial_path, s->best_path);
    s->best = index;
    return ADZE_OK;
}

static adze_status search_choices(llm_search *s, adze_error *err)
{
    const adze_gate *size = gate_of(s, ADZE_METRIC_size, s->original_size);
    const adze_gate *kld = gate_of(s, ADZE_METRIC_kld, 0);
    const adze_gate *speed = gate_of(s, ADZE_METRIC_tokens_per_s, s->original_tokens_per_s);
    double most = largest_size(s), correction = 1;
    double limit = size ? fmin(limit_of(size, s->original_size), most) : most;
    bool by_size = !size && (kld || speed);
    int *picks = ADZE_ARENA_ARRAY(&s->arena, int, (size_t)s->count + 1);
    if (!picks)
        return adze_fail(err, ADZE_NO_MEMORY, "choosing");
    for (int round = 0; round < MOST_ROUNDS; round++) {
        char name[64];
        double budget = limit;
        llm_judged *j;
        if (kld && !size)
            ADZE_TRY(solve_for_loss(s, limit_of(kld, 0) * 0.97 * correction, limit, picks, &budget,
                                    err));
        else
            ADZE_TRY(solve(s, budget, picks, err));
        snprintf(name, sizeof name, "chosen for %.1f MB", budget / 1e6);
        ADZE_TRY(llm_judge_measure(s, name, picks, budget, &j, err));
        ADZE_TRY(keep_if_best(s, j, by_size, err));
        bool slow = speed && j->tokens_per_s < limit_of(speed, s->original_tokens_per_s);
        bool again = (kld && !size && j->quality.kld.value > limit_of(kld, 0)) || slow;
        if (!again)
            break;
        if (slow)
            limit = budget * fmax(0.7, j->tokens_per_s / limit_of(speed, s->original_tokens_per_s));
        else /* what was predicted, against what came */
            correction *= fmin(limit_of(kld, 0) / j->quality.kld.value, 0.97);
    }
    return ADZE_OK;
}

/* ---- beside the usual mixes ---- */

static const char *const usual_mixes[] = {
    "Q8_0",   "Q6_K",  "Q5_K_M", "Q5_K_S", "Q4_K_M",  "Q4_K_S", "IQ4_XS", "Q4_0",   "Q3_K_L",
    "Q3_K_M", "IQ3_M", "Q3_K_S", "IQ3_XS", "IQ3_XXS", "Q2_K",   "IQ2_M",  "IQ2_XS", "IQ2_XXS"};

static adze_status compare_mixes(llm_search *s, adze_error *err)
{
    llm_judged *j;
    for (int i = 0; i < s->o.compare_count && s->judged_count < LLM_MOST_JUDGED; i++)
        ADZE_TRY(llm_judge_measure(s, s->o.compare[i], NULL, 0, &j, err));
    if (s->o.compare_count > 0)
        return ADZE_OK;
    /* The largest that is no larger than what was chosen. */
    const char *best = NULL;
    double best_size = 0, limit = s->judged[s->best].size;
    for (size_t i = 0; i < ADZE_COUNT_OF(usual_mixes); i++) {
        double size;
        adze_error why_not; /* no encoder for one of its types: no mix to compare with */
        if (mix_size(s, usual_mixes[i], &size, &why_not) != ADZE_OK)
            continue;
        if (size <= limit && size > best_size) {
            best = usual_mixes[i];
            best_size = size;
        }
    }
    return best && s->judged_count < LLM_MOST_JUDGED ? llm_judge_measure(s, best, NULL, 0, &j, err)
                                                     : ADZE_OK;
}

/* ---- the end ---- */

static adze_status write_text(const llm_search *s, const char *name, const adze_text *text,
                              adze_error *err)
{
    adze_arena arena = {0};
    const char *path = adze_path_join(&arena, s->o.output, name);
    adze_status status = path && !text->failed
                             ? adze_file_write(path, adze_text_get(text), text->length, err)
                             : adze_fail(err, ADZE_NO_MEMORY, "%s", name);
    adze_arena_free(&arena);
    return status;
}

static adze_status write_recipe(const llm_search *s, adze_error *err)
{
    adze_arena arena = {0};
    const llm_judged *best = &s->judged[s->best];
    json_t *types = json_object();
    for (int i = 0; i < s->count; i++)
        json_object_set_new(
            types, s->tensors[i].name,
            json_string(adze_dtype_describe(s->tensors[i].types[best->picks[i]])->name));
    json_t *recipe = json_pack("{s:s, s:s, s:o}", "kind", "llm_types", "imatrix",
                               s->imatrix_path ? s->imatrix_path : "", "types", types);
    const char *path = adze_path_join(&arena, s->o.output, "best.recipe.json");
    adze_status status = recipe && path ? adze_json_save(recipe, path, err)
                                        : adze_fail(err, ADZE_NO_MEMORY, "recipe");
    json_decref(recipe);
    adze_arena_free(&arena);
    return status;
}

static adze_status write_all(const llm_search *s, char **json, char **text, adze_error *err)
{
    adze_text human = {0}, page = {0}, data = {0};
    json_t *report = llm_report_json(s);
    char *dumped = report ? json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    adze_status status = dumped ? write_recipe(s, err) : adze_fail(err, ADZE_NO_MEMORY, "report");
    if (status == ADZE_OK) {
        adze_text_puts(&data, dumped);
        llm_report_text(&human, report);
        llm_report_html(&page, report);
        status = write_text(s, "report.json", &data, err);
    }
    if (status == ADZE_OK)
        status = write_text(s, "report.html", &page, err);
    free(dumped);
    adze_text_free(&page);
    adze_text_free(&data);
    if (status != ADZE_OK) {
        json_decref(report);
        adze_text_free(&human);
        return status;
    }
    return adze_json_report(json, text, report, &human, err);
}

static adze_status run(llm_search *s, char **json, char **text, adze_error *err)
{
    ADZE_TRY(open_search(s, err));
    ADZE_TRY(judge_original(s, err));
    ADZE_TRY(llm_options_find(s, err));
    ADZE_TRY(check_size(s, err));
    s->steps = s->step + s->count + 4;
    ADZE_TRY(llm_sensitivity_measure(s, err));
    ADZE_TRY(search_choices(s, err));
    ADZE_TRY(compare_mixes(s, err));
    ADZE_TRY(write_all(s, json, text, err));
    if (!llm_gates_hold(s, &s->judged[s->best], NULL))
        return adze_fail(err, ADZE_GATE_FAILED, "no choice of types meets all requirements");
    return ADZE_OK;
}

static void close_search(llm_search *s)
{
    adze_engine_close(&s->engine);
    adze_imatrix_close(&s->imatrix);
    if (s->probe_base)
        (void)unlink(s->probe_base);
    if (s->judge_base)
        (void)unlink(s->judge_base);
    if (s->trial_path)
        (void)unlink(s->trial_path);
    if (s->reference && s->reference != s->model)
        (void)unlink(s->reference);
    adze_arena_free(&s->arena);
}

adze_status adze_llm_optimize(adze_context *context, const char *model,
                              const adze_llm_optimize_options *options, char **json, char **text,
                              adze_error *err)
{
    llm_search s = {.o = *options, .context = context, .model = model, .best = -1};
    if (!options->calibration || !options->output)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "a calibration text and an output folder are needed");
    adze_status status = run(&s, json, text, err);
    close_search(&s);
    return status;
}
