/* The search from start to end: open, judge the original, try coarse to fine, certify, write. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/hash.h"
#include "search/search_impl.h"

adze_optimize_options adze_optimize_options_default(void)
{
    return (adze_optimize_options){.budget_seconds = 120, .seed = 1, .goal = "latency"};
}

/* ---- setting up ---- */

enum { SCREEN_SAMPLES = 1000, PROBE_SAMPLES = 128 };

static adze_status first_samples(search *s, adze_dataset **out, int64_t most, adze_error *err)
{
    int64_t n = adze_dataset_count(s->parts[PART_SELECTION]);
    n = most > 0 ? ADZE_MIN(n, most) : n;
    int64_t *first = ADZE_ARENA_ARRAY(&s->arena, int64_t, (size_t)n + 1);
    if (!first)
        return adze_fail(err, ADZE_NO_MEMORY, "data");
    for (int64_t i = 0; i < n; i++)
        first[i] = i;
    return adze_dataset_subset(out, s->parts[PART_SELECTION], first, n, err);
}

/* Labels decide unless a requirement or the goal names another measure of quality. */
static const char *choose_metric(const search *s)
{
    static const adze_gate_metric others[] = {ADZE_METRIC_agreement, ADZE_METRIC_cosine,
                                              ADZE_METRIC_top5, ADZE_METRIC_f1};
    const char *metric = adze_dataset_has_labels(s->all_data) ? "top1" : "agreement";
    for (size_t i = 0; i < ADZE_COUNT_OF(others); i++) {
        const char *name = adze_gate_metric_name(others[i]);
        bool named = s->options.goal && strcmp(s->options.goal, name) == 0;
        for (int g = 0; g < s->gate_count; g++) {
            if (s->gates[g].metric == ADZE_METRIC_top1)
                return "top1";
            named |= s->gates[g].metric == others[i];
        }
        if (named)
            return name;
    }
    return metric;
}

static adze_status open_data(search *s, adze_error *err)
{
    const adze_optimize_options *o = &s->options;
    adze_preprocess preprocess = adze_preprocess_default();
    if (o->preprocess)
        ADZE_TRY(adze_preprocess_load(&preprocess, o->preprocess, err));
    const adze_preprocess *p = o->preprocess ? &preprocess : NULL;
    if (!o->data && !o->calibration)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "no data to judge by: give --data");
    ADZE_TRY(adze_dataset_open(&s->all_data, o->data ? o->data : o->calibration, p, err));
    s->metric = choose_metric(s);
    ADZE_TRY(adze_dataset_split(&s->parts[PART_SELECTION], &s->parts[PART_CERTIFICATION],
                                s->all_data, 0.5, o->seed, err));
    ADZE_TRY(first_samples(s, &s->parts[PART_SCREEN], SCREEN_SAMPLES, err));
    ADZE_TRY(first_samples(s, &s->parts[PART_PROBE], PROBE_SAMPLES, err));
    if (o->calibration)
        return adze_dataset_open(&s->calibration_data, o->calibration, p, err);
    return first_samples(s, &s->calibration_data, 0, err);
}

static adze_status open_model(search *s, const char *path, adze_error *err)
{
    adze_context_options options = adze_context_options_default();
    options.threads = s->options.threads;
    ADZE_TRY(adze_context_open(&s->context, &options, err));
    if (s->options.operators)
        ADZE_TRY(s->options.operators(s->context, s->options.user, err));
    ADZE_TRY(adze_model_open(&s->model, s->context, path, err));
    for (int i = 0; i < s->options.shape_count; i++)
        ADZE_TRY(adze_model_set_shape(s->model, s->options.shapes[i], err));
    s->model_path = path;
    return adze_file_sha256(s->model_hash, path, err);
}

static adze_status parse_gates(search *s, adze_error *err)
{
    const adze_optimize_options *o = &s->options;
    s->gates = ADZE_ARENA_ARRAY(&s->arena, adze_gate, (size_t)o->requirement_count + 1);
    if (!s->gates)
        return adze_fail(err, ADZE_NO_MEMORY, "requirements");
    for (int i = 0; i < o->requirement_count; i++) {
        ADZE_TRY(adze_gate_parse(&s->gates[i], o->requirements[i], err));
        s->gate_count++;
    }
    return ADZE_OK;
}

static adze_status add_identity(adze_sha256 *sha, const adze_dataset *data, adze_error *err)
{
    char hex[65];
    ADZE_TRY(adze_dataset_identity(hex, data, err));
    adze_sha256_add(sha, hex, 64);
    return ADZE_OK;
}

/* Everything but the recipe that a measurement depends on: model, data, preprocessing, seed, program,
 * machine. */
static adze_status make_key_prefix(search *s, adze_error *err)
{
    char cpu[96], text[512], hex[65];
    adze_sha256 sha;
    adze_sha256_init(&sha);
    adze_sha256_add(&sha, s->model_hash, 64);
    ADZE_TRY(add_identity(&sha, s->all_data, err));
    ADZE_TRY(add_identity(&sha, s->calibration_data, err));
    if (s->options.preprocess) {
        ADZE_TRY(adze_file_sha256(hex, s->options.preprocess, err));
        adze_sha256_add(&sha, hex, 64);
    }
    if (s->options.program && adze_file_sha256(hex, s->options.program, NULL) == ADZE_OK)
        adze_sha256_add(&sha, hex, 64);
    snprintf(text, sizeof text, "%s|%s|%s|%d|%llu|%d", ADZE_VERSION, adze_cpu_name(cpu),
             adze_cpu_level_name(adze_context_cpu_level(s->context)),
             adze_context_threads(s->context), (unsigned long long)s->options.seed,
             s->options.calibration_samples);
    adze_sha256_add(&sha, text, strlen(text));
    for (int i = 0; i < s->options.shape_count; i++)
        adze_sha256_add(&sha, s->options.shapes[i], strlen(s->options.shapes[i]) + 1);
    adze_sha256_hex(&sha, s->key_prefix);
    return ADZE_OK;
}

static adze_status set_up(search *s, const char *model, adze_error *err)
{
    adze_arena *a = &s->arena;
    if (!s->options.output)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "no output folder: give --output");
    ADZE_TRY(parse_gates(s, err));
    ADZE_TRY(open_model(s, model, err));
    ADZE_TRY(open_data(s, err));
    ADZE_TRY(make_key_prefix(s, err));
    ADZE_TRY(adze_folder_make(s->options.output, err));
    const char *path = adze_path_join(a, s->options.output, "ledger.sqlite");
    if (!path)
        return adze_fail(err, ADZE_NO_MEMORY, "ledger");
    const char *slowdown =
        getenv("ADZE_TEST_SLOWDOWN"); /* milliseconds added to candidates: tests */
    s->slowdown = slowdown ? atof(slowdown) : 0;
    return adze_ledger_open(&s->ledger, path, err);
}

/* ---- searching ---- */

static bool may_go_on(const search *s)
{
    return !search_cancelled(s) && search_elapsed(s) < s->options.budget_seconds;
}

/* Tries all candidates that are in the list and not tried yet. */
static adze_status try_new(search *s, int *next, adze_error *err)
{
    if (s->candidates.failed)
        return adze_fail(err, ADZE_NO_MEMORY, "candidates");
    for (; *next < s->candidates.count && may_go_on(s); ++*next)
        ADZE_TRY(search_try(s, &s->candidates.items[*next], err));
    return ADZE_OK;
}

static const adze_candidate *candidate_of(const search *s, int trial_index)
{
    for (int i = 0; i < s->candidates.count; i++)
        if (strcmp(s->candidates.items[i].name, s->trials[trial_index].name) == 0)
            return &s->candidates.items[i];
    return NULL;
}

static adze_status refine(search *s, int *next, adze_error *err)
{
    for (int rank = 0; rank < 2; rank++) {
        int best = search_best_of(s, ADZE_SCHEME_STATIC_INT8, rank);
        if (best < 0)
            return ADZE_OK;
        adze_candidate around = *candidate_of(s, best);
        adze_candidates_refine(&s->candidates, &around);
    }
    return try_new(s, next, err);
}

static adze_status leave_float(search *s, const char *scheme, int *next, adze_error *err)
{
    static const int steps[] = {1, 2, 4};
    int best = search_best_of(s, scheme, 0), count = 0;
    const char **names = NULL;
    if (best < 0 || !may_go_on(s))
        return ADZE_OK;
    adze_candidate around = *candidate_of(s, best);
    ADZE_TRY(search_rank_nodes(s, &around, &names, &count, err));
    for (size_t i = 0; i < ADZE_COUNT_OF(steps); i++) {
        char what[64];
        snprintf(what, sizeof what, i ? "%d most sensitive layers" : "the most sensitive layer",
                 steps[i]);
        if (steps[i] < count)
            adze_candidates_leave_float(&s->candidates, &around, what, names, steps[i]);
    }
    return try_new(s, next, err);
}

static adze_status run_search(search *s, adze_error *err)
{
    int next = 0;
    adze_candidates_coarse(&s->candidates);
    adze_candidates_grid(&s->candidates);
    ADZE_TRY(try_new(s, &next, err));
    ADZE_TRY(refine(s, &next, err));
    ADZE_TRY(leave_float(s, ADZE_SCHEME_STATIC_INT8, &next, err));
    return leave_float(s, ADZE_SCHEME_INT4, &next, err);
}

/* ---- certifying ---- */

static adze_status certify_file(search *s, trial *t, const char *path, adze_error *err)
{
    adze_model *model = NULL;
    adze_plan *plan = NULL;
    adze_status status = search_open_candidate(s, path, &model, &plan, err);
    if (status == ADZE_OK)
        status = search_certify(s, t, plan, path, err);
    adze_plan_free(&plan);
    adze_model_close(&model);
    return status;
}

static adze_status certify(search *s, adze_error *err)
{
    int number = 0, total = 0;
    for (int i = 1; i < s->trial_count; i++)
        total += s->trials[i].finalist;
    for (int i = 1; i < s->trial_count && !search_cancelled(s); i++) {
        trial *t = &s->trials[i];
        if (!t->finalist)
            continue;
        const char *path = adze_path_join(&s->arena, s->options.output, "candidate.tmp.onnx");
        if (!path)
            return adze_fail(err, ADZE_NO_MEMORY, "certification");
        search_progress(s, "certifying %d of %d: %s", ++number, total, t->name);
        ADZE_TRY(search_make_model(s, t, path, err));
        adze_status status = certify_file(s, t, path, err);
        remove(path);
        ADZE_TRY(status);
    }
    for (int i = 1; i < s->trial_count;
         i++) /* interrupted: what was not certified is not on the front */
        if (s->trials[i].finalist && !s->trials[i].certified) {
            s->trials[i].finalist = false;
            s->trials[i].status = "beaten";
            s->trials[i].reason = "not certified: the search was interrupted";
        }
    return ADZE_OK;
}

/* ---- all of it ---- */

static void tear_down(search *s)
{
    for (int i = 0; i < s->trial_count; i++) {
        json_decref(s->trials[i].record);
        json_decref(s->trials[i].certified);
    }
    for (int i = 0; i < PART_COUNT; i++) {
        adze_evaluation_free(&s->reference[i]);
        adze_dataset_close(&s->parts[i]);
    }
    adze_plan_free(&s->plan);
    adze_calibration_close(&s->calibration);
    adze_dataset_close(&s->calibration_data);
    adze_dataset_close(&s->all_data);
    adze_ledger_close(&s->ledger);
    adze_candidates_free(&s->candidates);
    adze_model_close(&s->model);
    adze_context_close(&s->context);
    adze_arena_free(&s->arena);
}

static adze_status optimize(search *s, const char *model, char **json, char **text, adze_error *err)
{
    ADZE_TRY(set_up(s, model, err));
    search_progress(s, "judging the original");
    ADZE_TRY(search_judge_original(s, err));
    ADZE_TRY(run_search(s, err));
    ADZE_TRY(search_choose_finalists(s, err));
    ADZE_TRY(certify(s, err));
    int best = search_choose_best(s);
    ADZE_TRY(search_write(s, best, json, text, err));
    return best >= 0 ? ADZE_OK
                     : adze_fail(err, ADZE_GATE_FAILED, "no candidate meets all requirements");
}

adze_status adze_optimize(const char *model, const adze_optimize_options *options, char **json,
                          char **text, adze_error *err)
{
    search *s = adze_alloc(1, sizeof *s);
    if (!s)
        return adze_fail(err, ADZE_NO_MEMORY, "search");
    s->options = *options;
    s->started = adze_now();
    *json = *text = NULL;
    adze_status status = optimize(s, model, json, text, err);
    tear_down(s);
    adze_free(s);
    return status;
}
