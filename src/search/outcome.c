/* What a search leaves behind: report.json and report.html, a recipe and a model for each member of the
 * front, best.onnx. Old files of an earlier search in the same folder that are no longer true go away. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "search/assess.h"
#include "search/report.h"
#include "search/search_impl.h"

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* Certified figures where there are some, else those of the selection part. */
static json_t *describe_trial(const search *s, const trial *t)
{
    const json_t *facts = t->certified ? t->certified : t->record;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(t->name));
    json_object_set_new(o, "scheme", json_string(t->scheme));
    json_object_set_new(o, "status", json_string(t->status));
    json_object_set_new(o, "reason", json_string(t->reason));
    json_object_set_new(o, "size", number_or_null(search_number(facts, "size")));
    json_object_set_new(o, "latency_ms", number_or_null(search_number(facts, "latency.p50.value")));
    json_object_set_new(o, "latency", json_deep_copy(json_object_get(facts, "latency")));
    json_t *speedup = json_object_get(json_object_get(facts, "latency"), "speedup");
    json_object_set(o, "speedup", speedup ? speedup : json_null());
    json_t *selection = json_object_get(t->record, "metrics");
    json_t *metric = json_object_get(selection, s->metric);
    json_object_set(o, "metric", metric ? metric : json_null());
    if (selection)
        json_object_set(o, "selection_metrics", selection);
    if (json_object_get(t->record, "sha256"))
        json_object_set(o, "sha256", json_object_get(t->record, "sha256"));
    if (t->certified) {
        json_t *metrics = json_object_get(t->certified, "metrics");
        json_t *certified = json_object_get(metrics, s->metric);
        json_object_set(o, "certified_metric", certified ? certified : json_null());
        json_object_set(o, "certified_metrics", metrics);
        json_object_set_new(o, "peak_memory",
                            number_or_null(search_number(t->certified, "peak_memory")));
        if (json_object_get(t->certified, "gates"))
            json_object_set(o, "gates", json_object_get(t->certified, "gates"));
    }
    if (t->proposed)
        json_object_set(o, "recipe", (json_t *)t->proposed);
    return o;
}

/* ---- files of the front ---- */

/* "static int8, min-max" -> "static-int8-min-max" */
static char *file_stem(search *s, const char *name)
{
    char *stem = adze_arena_strdup(&s->arena, name);
    size_t n = 0;
    for (const char *p = name; stem && *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '.';
        if (plain)
            stem[n++] = *p;
        else if (n > 0 && stem[n - 1] != '-')
            stem[n++] = '-';
    }
    if (stem)
        stem[n] = 0;
    return stem;
}

static adze_status write_member(search *s, const trial *t, json_t *described, adze_error *err)
{
    const char *stem = file_stem(s, t->name);
    const char *model = adze_arena_printf(&s->arena, "models/%s.onnx", stem ? stem : "");
    const char *recipe = adze_arena_printf(&s->arena, "recipes/%s.json", stem ? stem : "");
    if (!stem || !model || !recipe)
        return adze_fail(err, ADZE_NO_MEMORY, "report");
    const char *model_path = adze_path_join(&s->arena, s->options.output, model);
    const char *recipe_path = adze_path_join(&s->arena, s->options.output, recipe);
    if (!model_path || !recipe_path)
        return adze_fail(err, ADZE_NO_MEMORY, "report");
    ADZE_TRY(search_make_model(s, t, model_path, err));
    ADZE_TRY(adze_json_save(json_object_get(t->record, "resolved"), recipe_path, err));
    json_object_set_new(described, "model_file", json_string(model));
    json_object_set_new(described, "recipe_file", json_string(recipe));
    return ADZE_OK;
}

static void clear_folder(search *s, const char *folder)
{
    char **names = NULL;
    int count = 0;
    adze_error ignored;
    if (adze_folder_list(&names, &count, folder, &s->arena, &ignored) != ADZE_OK)
        return;
    for (int i = 0; i < count; i++) {
        const char *path = adze_path_join(&s->arena, folder, names[i]);
        if (path && (adze_ends_with(path, ".onnx") || adze_ends_with(path, ".json")))
            remove(path);
    }
}

static adze_status make_folders(search *s, adze_error *err)
{
    static const char *const folders[] = {"models", "recipes"};
    static const char *const files[] = {"best.onnx", "best.recipe.json"};
    for (size_t i = 0; i < ADZE_COUNT_OF(folders); i++) {
        const char *path = adze_path_join(&s->arena, s->options.output, folders[i]);
        if (!path)
            return adze_fail(err, ADZE_NO_MEMORY, "report");
        clear_folder(s, path);
        ADZE_TRY(adze_folder_make(path, err));
    }
    for (size_t i = 0; i < ADZE_COUNT_OF(files); i++) {
        const char *path = adze_path_join(&s->arena, s->options.output, files[i]);
        if (path)
            remove(path);
    }
    return ADZE_OK;
}

static adze_status write_best(search *s, const trial *t, adze_error *err)
{
    const char *model = adze_path_join(&s->arena, s->options.output, "best.onnx");
    const char *recipe = adze_path_join(&s->arena, s->options.output, "best.recipe.json");
    if (!model || !recipe)
        return adze_fail(err, ADZE_NO_MEMORY, "report");
    ADZE_TRY(search_make_model(s, t, model, err));
    return adze_json_save(json_object_get(t->record, "resolved"), recipe, err);
}

/* ---- verdict and facts ---- */

/* How many requirements a finalist breaks, then how far its metric is: the nearest miss has least. */
static int nearest_miss(const search *s)
{
    int nearest = -1;
    double least = INFINITY;
    for (int i = 1; i < s->trial_count; i++) {
        const trial *t = &s->trials[i];
        const json_t *gate;
        size_t k;
        double miss = 0;
        if (!t->certified)
            continue;
        json_array_foreach(json_object_get(t->certified, "gates"), k, gate)
        {
            const char *verdict = json_string_value(json_object_get(gate, "verdict"));
            double value = search_number(gate, "value"), limit = search_number(gate, "limit");
            if (verdict && strcmp(verdict, "pass") == 0)
                continue;
            double relative = limit != 0 ? fabs(value - limit) / fabs(limit) : fabs(value - limit);
            miss += isfinite(relative) ? relative : 1;
        }
        if (miss < least) {
            least = miss;
            nearest = i;
        }
    }
    return nearest;
}

static void add_line(json_t *list, const char *format, ...) ADZE_PRINTF(2, 3);

static void add_line(json_t *list, const char *format, ...)
{
    adze_text text = {0};
    va_list args;
    va_start(args, format);
    adze_text_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(list, json_string(adze_text_get(&text)));
    adze_text_free(&text);
}

static void describe_gates(json_t *lines, const trial *t)
{
    const json_t *gate;
    size_t i;
    json_array_foreach(json_object_get(t->certified, "gates"), i, gate)
    {
        const char *note = json_string_value(json_object_get(gate, "note"));
        add_line(lines, "%s", note ? note : "");
    }
}

static void set_verdict(search *s, json_t *report, int best)
{
    json_t *lines = json_array();
    char a[32], b[32], line[512];
    json_object_set_new(report, "passed", json_boolean(best >= 0));
    if (best >= 0) {
        const trial *t = &s->trials[best];
        double size = search_number(t->certified, "size");
        double original = search_number(s->trials[0].record, "size");
        snprintf(line, sizeof line, "Best for %s: %s", s->options.goal, t->name);
        add_line(lines, "%s instead of %s (%.1f %%), %.2fx as fast", adze_format_bytes(a, size),
                 adze_format_bytes(b, original), 100 * size / original,
                 search_number(t->certified, "latency.speedup.value"));
        describe_gates(lines, t);
        json_object_set_new(report, "best", json_string(t->name));
    } else if (s->trial_count < 2) {
        snprintf(line, sizeof line,
                 "The budget ended before a candidate was measured: give more time (--budget), or "
                 "fewer samples (--samples)");
        json_object_set_new(report, "best", json_null());
        json_object_set_new(report, "nearest_miss", json_null());
    } else {
        int near_one = nearest_miss(s);
        snprintf(line, sizeof line, "No candidate meets all requirements%s%.300s",
                 near_one >= 0 ? ". Nearest miss: " : "",
                 near_one >= 0 ? s->trials[near_one].name : "");
        if (near_one >= 0)
            describe_gates(lines, &s->trials[near_one]);
        json_object_set_new(report, "best", json_null());
        json_object_set_new(report, "nearest_miss",
                            near_one >= 0 ? json_string(s->trials[near_one].name) : json_null());
    }
    json_object_set_new(report, "verdict", json_string(line));
    json_object_set_new(report, "verdict_details", lines);
}

static void fact(json_t *facts, const char *name, const char *format, ...) ADZE_PRINTF(3, 4);

static void fact(json_t *facts, const char *name, const char *format, ...)
{
    adze_text text = {0};
    va_list args;
    va_start(args, format);
    adze_text_vprintf(&text, format, args);
    va_end(args);
    json_object_set_new(facts, name, json_string(adze_text_get(&text)));
    adze_text_free(&text);
}

static json_t *describe_facts(const search *s)
{
    char cpu[96], when[32];
    time_t now = time(NULL);
    struct tm utc;
    json_t *facts = json_object();
    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
    fact(facts, "Machine", "%s, %s kernels, %d threads", adze_cpu_name(cpu),
         adze_cpu_level_name(adze_context_cpu_level(s->context)), adze_context_threads(s->context));
    fact(facts, "Program", "adze %s, %s", adze_version(), when);
    fact(facts, "Model", "%s, SHA-256 %s", s->model_path, s->model_hash);
    fact(facts, "Data", "%s: %lld samples to choose by, %lld others to certify by (seed %llu)",
         adze_dataset_path(s->all_data), (long long)adze_dataset_count(s->parts[PART_SELECTION]),
         (long long)adze_dataset_count(s->parts[PART_CERTIFICATION]),
         (unsigned long long)s->options.seed);
    fact(facts, "Calibration", "%s", adze_dataset_path(s->calibration_data));
    fact(facts, "Latency",
         "each run of a candidate is timed between runs of the original, in one process; medians, "
         "95 %% intervals of the ratio by paired bootstrap");
    fact(facts, "Quality",
         "%s on the same samples as the original, 95 %% intervals; differences are paired",
         s->metric);
    fact(facts, "Search", "%d candidates: %d measured now, %d taken from the ledger; %.1f s",
         s->trial_count - 1, s->measured, s->reused, search_elapsed(s));
    return facts;
}

static adze_status describe(search *s, int best, json_t **out, adze_error *err)
{
    json_t *sentences = NULL;
    ADZE_TRY(adze_assess(&sentences, s->model, err));
    json_t *report = json_object(), *trials = json_array(), *requirements = json_array();
    adze_status status = ADZE_OK;
    json_object_set_new(report, "version", json_integer(1));
    json_object_set_new(report, "title", json_string(adze_path_name(s->model_path)));
    json_object_set_new(report, "goal", json_string(s->options.goal));
    json_object_set_new(report, "metric", json_string(s->metric));
    for (int i = 0; i < s->options.requirement_count; i++)
        json_array_append_new(requirements, json_string(s->options.requirements[i]));
    json_object_set_new(report, "requirements", requirements);
    set_verdict(s, report, best);
    json_object_set_new(report, "assessment", sentences);
    json_object_set_new(report, "measured", json_integer(s->measured));
    json_object_set_new(report, "reused", json_integer(s->reused));
    json_object_set_new(report, "seconds", json_real(search_elapsed(s)));
    json_object_set_new(report, "facts", describe_facts(s));
    json_object_set_new(report, "trials", trials);
    for (int i = 0; i < s->trial_count && status == ADZE_OK; i++) {
        json_t *t = describe_trial(s, &s->trials[i]);
        json_array_append_new(trials, t);
        if (i > 0 && strcmp(s->trials[i].status, "front") == 0)
            status = write_member(s, &s->trials[i], t, err);
    }
    *out = report;
    return status;
}

static char *copy_out(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = adze_alloc(1, n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static adze_status write_html(search *s, const json_t *report, adze_error *err)
{
    adze_text html = {0};
    const char *path = adze_path_join(&s->arena, s->options.output, "report.html");
    adze_report_html(&html, report);
    adze_status status = !path || html.failed ? adze_fail(err, ADZE_NO_MEMORY, "report")
                                              : adze_file_write(path, html.data, html.length, err);
    adze_text_free(&html);
    return status;
}

adze_status search_write(search *s, int best, char **json, char **text, adze_error *err)
{
    json_t *report = NULL;
    adze_text table = {0};
    ADZE_TRY(make_folders(s, err));
    adze_status status = describe(s, best, &report, err);
    if (status == ADZE_OK && best >= 0)
        status = write_best(s, &s->trials[best], err);
    const char *path = adze_path_join(&s->arena, s->options.output, "report.json");
    if (status == ADZE_OK)
        status =
            path ? adze_json_save(report, path, err) : adze_fail(err, ADZE_NO_MEMORY, "report");
    if (status == ADZE_OK)
        status = write_html(s, report, err);
    if (status != ADZE_OK) {
        json_decref(report);
        return status;
    }
    adze_report_text(&table, report);
    char *dump = json_dumps(report, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    *json = dump ? copy_out(dump) : NULL;
    *text = copy_out(adze_text_get(&table));
    if (!*json || !*text)
        status = adze_fail(err, ADZE_NO_MEMORY, "report");
    free(dump);
    adze_text_free(&table);
    json_decref(report);
    return status;
}
