/* One trial: make the candidate's model, save it, open what was saved, measure that. The record of a trial
 * is everything a later search needs, so that it can be taken from the ledger instead. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "search/search_impl.h"

double search_elapsed(const search *s)
{
    return adze_now() - s->started;
}

bool search_cancelled(const search *s)
{
    return s->options.cancelled && s->options.cancelled(s->options.user);
}

void search_progress(search *s, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!s->options.progress)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    s->options.progress(s->options.user, s->trial_count, ADZE_MAX(s->candidates.count, 1) + 1,
                        line);
}

double search_number(const json_t *object, const char *path)
{
    char word[64];
    while (*path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof word)
            return NAN;
        memcpy(word, path, n);
        word[n] = 0;
        object = json_object_get(object, word);
        path += n + (path[n] == '.');
    }
    return json_is_number(object) ? json_number_value(object) : NAN;
}

trial *search_add_trial(search *s)
{
    if (!adze_arena_grow(&s->arena, &s->trials, &s->trial_capacity, s->trial_count,
                         sizeof *s->trials))
        return NULL;
    trial *t = &s->trials[s->trial_count++];
    *t = (trial){.status = "", .reason = ""};
    return t;
}

/* ---- keys ---- */

adze_status search_key(char key[65], const search *s, const json_t *recipe, adze_error *err)
{
    adze_sha256 sha;
    char *text = json_dumps(recipe, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return adze_fail(err, ADZE_NO_MEMORY, "recipe");
    adze_sha256_init(&sha);
    adze_sha256_add(&sha, s->key_prefix, 64);
    adze_sha256_add(&sha, text, strlen(text));
    adze_sha256_hex(&sha, key);
    free(text);
    return ADZE_OK;
}

/* ---- making the model ---- */

adze_status search_need_calibration(search *s, adze_error *err)
{
    if (s->calibration)
        return ADZE_OK;
    adze_calibration_options options = adze_calibration_options_default();
    options.samples = s->options.calibration_samples > 0 ? s->options.calibration_samples : 512;
    options.seed = s->options.seed;
    options.plain = options.equalized = true;
    search_progress(s, "calibrating on %lld samples",
                    (long long)ADZE_MIN(options.samples, adze_dataset_count(s->calibration_data)));
    ADZE_TRY(adze_calibration_open(&s->calibration, s->model, &options, err));
    return adze_calibration_collect(s->calibration, s->calibration_data, NULL, NULL, err);
}

static adze_status make(search *s, const json_t *recipe_json, const char *path, json_t **resolved,
                        adze_error *err)
{
    adze_recipe *recipe = NULL, *full = NULL;
    adze_model *made = NULL;
    char *text = json_dumps(recipe_json, JSON_COMPACT), *full_text = NULL;
    adze_status status = text ? adze_recipe_parse(&recipe, text, "candidate", err)
                              : adze_fail(err, ADZE_NO_MEMORY, "recipe");
    if (status == ADZE_OK && !adze_recipe_is_complete(recipe))
        status = search_need_calibration(s, err);
    if (status == ADZE_OK)
        status = adze_quantize(&made, &full, s->model, recipe, s->calibration, err);
    if (status == ADZE_OK)
        status = adze_model_save(made, path, NULL, err);
    if (status == ADZE_OK && resolved) {
        status = adze_recipe_text(&full_text, full, err);
        *resolved = status == ADZE_OK ? json_loads(full_text, 0, NULL) : NULL;
    }
    adze_string_free(&full_text);
    adze_model_close(&made);
    adze_recipe_free(&recipe);
    adze_recipe_free(&full);
    free(text);
    return status;
}

adze_status search_make_model(search *s, const trial *t, const char *path, adze_error *err)
{
    return make(s, json_object_get(t->record, "resolved"), path, NULL, err);
}

adze_status search_open_candidate(search *s, const char *path, adze_model **model, adze_plan **plan,
                                  adze_error *err)
{
    ADZE_TRY(adze_model_open(model, s->context, path, err));
    for (int i = 0; i < s->options.shape_count; i++)
        ADZE_TRY(adze_model_set_shape(*model, s->options.shapes[i], err));
    return adze_plan_create(plan, adze_model_graph(*model), NULL, err);
}

/* ---- measuring ---- */

static const char *same_bytes(const search *s, const char *sha)
{
    for (int i = 0; i < s->trial_count; i++) {
        const char *other = json_string_value(json_object_get(s->trials[i].record, "sha256"));
        if (other && strcmp(other, sha) == 0)
            return s->trials[i].name;
    }
    return NULL;
}

/* Hopeless: even the upper end of its interval is far below the original on the screening samples. Where a
 * network hardly prefers one class to the next (random weights), nearly equal outputs may still disagree. */
static bool hopeless(const search *s, const json_t *metrics)
{
    char path[64];
    snprintf(path, sizeof path, "%s.high", s->metric);
    double high = search_number(metrics, path);
    snprintf(path, sizeof path, "metrics.%s.value", s->metric);
    double original = search_number(s->trials[0].record, path);
    original = isnan(original) ? 1 : original; /* agreement or cosine with itself */
    bool alike =
        strcmp(s->metric, "agreement") == 0 && search_number(metrics, "cosine.value") > 0.95;
    return isfinite(high) && isfinite(original) && high < 0.8 * original && !alike;
}

static void set_reason(json_t *record, const char *state, const char *reason)
{
    json_object_set_new(record, "state", json_string(state));
    json_object_set_new(record, "reason", json_string(reason));
}

/* Without this, judging the quality of a model that is a thousand times slower would eat the budget. */
static adze_status drop_sluggish(search *s, const adze_plan *plan, json_t *record, bool *dropped,
                                 adze_error *err)
{
    json_t *latency = NULL;
    char reason[96];
    ADZE_TRY(search_judge_latency(s, plan, SEARCH_GLANCE_SECONDS, &latency, err));
    double high = search_number(latency, "speedup.high");
    *dropped = isfinite(high) && high < 0.2;
    if (!*dropped) {
        json_decref(latency);
        return ADZE_OK;
    }
    snprintf(reason, sizeof reason, "slower than the original, speed-up %.2g: dropped early",
             search_number(latency, "speedup.value"));
    json_object_set_new(record, "latency", latency);
    set_reason(record, "slow", reason);
    return ADZE_OK;
}

static adze_status measure_plan(search *s, const adze_plan *plan, json_t *record, adze_error *err)
{
    json_t *metrics = NULL, *latency = NULL;
    bool dropped;
    ADZE_TRY(drop_sluggish(s, plan, record, &dropped, err));
    if (dropped)
        return ADZE_OK;
    int64_t count = adze_dataset_count(s->parts[PART_SELECTION]);
    if (count > 2 * adze_dataset_count(s->parts[PART_SCREEN])) {
        ADZE_TRY(search_judge_quality(s, plan, PART_SCREEN, &metrics, err));
        if (hopeless(s, metrics)) {
            json_object_set_new(record, "metrics", metrics);
            set_reason(record, "dropped", "hopeless on the first samples: dropped early");
            return ADZE_OK;
        }
        json_decref(metrics);
    }
    ADZE_TRY(search_judge_quality(s, plan, PART_SELECTION, &metrics, err));
    json_object_set_new(record, "metrics", metrics);
    if (hopeless(s, metrics)) {
        set_reason(record, "dropped",
                   "hopeless: its results have little to do with the original's");
        return ADZE_OK;
    }
    ADZE_TRY(search_judge_latency(s, plan, 0.35, &latency, err));
    json_object_set_new(record, "latency", latency);
    set_reason(record, "measured", "");
    return ADZE_OK;
}

static adze_status measure_file(search *s, const char *path, json_t *record, adze_error *err)
{
    char sha[65];
    ADZE_TRY(adze_file_sha256(sha, path, err));
    json_object_set_new(record, "size", json_integer(adze_file_size(path)));
    const char *twin = same_bytes(s, sha);
    json_object_set_new(record, "sha256", json_string(sha));
    if (twin) {
        char reason[256];
        snprintf(reason, sizeof reason, "gives the same bytes as '%.180s'", twin);
        set_reason(record, "dropped", reason);
        return ADZE_OK;
    }
    adze_model *model = NULL;
    adze_plan *plan = NULL;
    adze_status status = search_open_candidate(s, path, &model, &plan, err);
    if (status == ADZE_OK)
        status = measure_plan(s, plan, record, err);
    adze_plan_free(&plan);
    adze_model_close(&model);
    return status;
}

/* Failures that belong to the candidate, not to the machine or to the search. */
static bool is_candidates_fault(adze_status status)
{
    return status == ADZE_UNSUPPORTED || status == ADZE_BAD_MODEL || status == ADZE_BAD_ARGUMENT ||
           status == ADZE_BAD_DATA || status == ADZE_NOT_FOUND || status == ADZE_LIMIT ||
           status == ADZE_INTERNAL || status == ADZE_BAD_FILE;
}

static adze_status measure(search *s, const json_t *recipe, json_t **out, adze_error *err)
{
    adze_arena scratch = {0};
    adze_error why = {0};
    json_t *record = json_object(), *resolved = NULL;
    const char *path = adze_path_join(&scratch, s->options.output, "candidate.tmp.onnx");
    adze_status status = record && path ? make(s, recipe, path, &resolved, &why)
                                        : adze_fail(&why, ADZE_NO_MEMORY, "trial");
    if (status == ADZE_OK && resolved)
        json_object_set_new(record, "resolved", resolved);
    if (status == ADZE_OK)
        status = measure_file(s, path, record, &why);
    if (status != ADZE_OK && is_candidates_fault(status)) {
        set_reason(record, "failed", why.message);
        status = ADZE_OK;
    }
    if (path)
        remove(path);
    adze_arena_free(&scratch);
    if (status != ADZE_OK) {
        json_decref(record);
        if (err)
            *err = why;
        return status;
    }
    *out = record;
    return ADZE_OK;
}

adze_status search_try(search *s, const adze_candidate *candidate, adze_error *err)
{
    char key[65];
    json_t *record = NULL;
    ADZE_TRY(search_key(key, s, candidate->recipe, err));
    ADZE_TRY(adze_ledger_get(&record, s->ledger, key, err));
    if (record) {
        s->reused++;
    } else {
        search_progress(s, "%s", candidate->name);
        ADZE_TRY(measure(s, candidate->recipe, &record, err));
        s->measured++;
        adze_status status = adze_ledger_put(s->ledger, key, record, err);
        if (status != ADZE_OK) {
            json_decref(record);
            return status;
        }
    }
    trial *t = search_add_trial(s);
    if (!t) {
        json_decref(record);
        return adze_fail(err, ADZE_NO_MEMORY, "trial");
    }
    t->name = candidate->name;
    t->scheme = candidate->scheme;
    t->proposed = candidate->recipe;
    t->record = record;
    memcpy(t->key, key, sizeof key);
    const char *reason = json_string_value(json_object_get(record, "reason"));
    t->reason = reason ? reason : "";
    return ADZE_OK;
}
