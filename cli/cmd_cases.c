/* adze cases: ONNX backend test cases, against what they expect or against ONNX Runtime (cases_against.c). Against what
 * they expect, a case passes when the number of outputs, their types, shapes and
 * strings are equal and |actual - expected| <= 1e-7 + 1e-3 |expected| (NaN equal to NaN). */
#include <dirent.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cases.h"

enum { MOST = CASE_INPUTS, REASON = CASE_REASON };

/* ---- comparison ---- */

static bool equal_numbers(double a, double e)
{
    if (isnan(e) || isnan(a))
        return isnan(e) && isnan(a);
    return a == e || fabs(a - e) <= 1e-7 + 1e-3 * fabs(e);
}

static bool compare_complex(const adze_tensor *a, const adze_tensor *e, int64_t n, int64_t *at)
{
    for (*at = 0; *at < 2 * n; ++*at) {
        bool wide = a->dtype == ADZE_C128;
        double x = wide ? ((const double *)a->data)[*at] : (double)((const float *)a->data)[*at];
        double y = wide ? ((const double *)e->data)[*at] : (double)((const float *)e->data)[*at];
        if (!equal_numbers(x, y))
            return false;
    }
    return true;
}

static bool compare_elements(const adze_tensor *a, const adze_tensor *e, char *why)
{
    int64_t n = adze_tensor_elements(e), i = 0;
    if (a->dtype == ADZE_C64 || a->dtype == ADZE_C128) {
        if (compare_complex(a, e, n, &i))
            return true;
        snprintf(why, REASON, "element %lld differs", (long long)i);
        return false;
    }
    for (i = 0; i < n; i++) {
        if (a->dtype == ADZE_STRING) {
            const adze_string *x = a->data, *y = e->data;
            if (x[i].length == y[i].length && memcmp(x[i].data, y[i].data, y[i].length) == 0)
                continue;
            snprintf(why, REASON, "element %lld: '%.*s', expected '%.*s'", (long long)i,
                     (int)x[i].length, x[i].data, (int)y[i].length, y[i].data);
            return false;
        }
        double x = adze_tensor_get_f64(a, i), y = adze_tensor_get_f64(e, i);
        if (equal_numbers(x, y))
            continue;
        snprintf(why, REASON, "element %lld: %.9g, expected %.9g", (long long)i, x, y);
        return false;
    }
    return true;
}

static bool compare_tensors(const adze_tensor *a, const adze_tensor *e, char *why)
{
    if (!adze_tensor_same_type(a, e)) {
        char found[160], expected[160];
        snprintf(why, REASON, "%s, expected %s", adze_tensor_format(a, found, sizeof found),
                 adze_tensor_format(e, expected, sizeof expected));
        return false;
    }
    return compare_elements(a, e, why);
}

static bool compare_items(const adze_item *a, const adze_item *e, char *why)
{
    if (a->kind != e->kind) {
        snprintf(why, REASON, "another kind of value");
        return false;
    }
    if (a->kind == ADZE_VALUE_TENSOR)
        return compare_tensors(&a->tensor, &e->tensor, why);
    if (a->count != e->count) {
        snprintf(why, REASON, "%d elements, expected %d", a->count, e->count);
        return false;
    }
    for (int i = 0; i < a->count; i++)
        if (!compare_items(&a->items[i], &e->items[i], why))
            return false;
    return true;
}

/* ---- one case ---- */

typedef struct test_case {
    adze_test_value *values[2 * MOST]; /* inputs, then expected outputs at MOST */
    adze_model *model;
    adze_plan *plan;
    adze_session *session;
} test_case;

static bool load_values(test_case *c, const adze_graph *g, const char *folder, adze_error *err)
{
    int inputs = adze_graph_input_count(g), outputs = adze_graph_output_count(g);
    char path[4640];
    if (inputs > MOST || outputs > MOST)
        return false;
    for (int i = 0; i < inputs; i++) {
        snprintf(path, sizeof path, "%s/input_%d.pb", folder, i);
        if (adze_test_value_open(&c->values[i], path, adze_value_type(adze_graph_input(g, i)),
                                 err) != ADZE_OK)
            return false;
    }
    for (int i = 0; i < outputs; i++) {
        snprintf(path, sizeof path, "%s/output_%d.pb", folder, i);
        if (adze_test_value_open(&c->values[MOST + i], path,
                                 adze_value_type(adze_graph_output(g, i)), err) != ADZE_OK)
            return false;
    }
    return true;
}

static bool run_set(test_case *c, const adze_graph *g, const char *folder, char *why)
{
    adze_error err = {0};
    adze_item inputs[MOST] = {0}, outputs[MOST] = {0};
    bool ok = load_values(c, g, folder, &err);
    for (int i = 0; ok && i < adze_graph_input_count(g); i++)
        inputs[i] = *adze_test_value_item(c->values[i]);
    if (ok)
        ok = adze_session_run_items(c->session, inputs, outputs, &err) == ADZE_OK;
    if (!ok)
        snprintf(why, REASON, "%.*s", REASON - 1, err.message);
    for (int i = 0; ok && i < adze_graph_output_count(g); i++)
        ok = compare_items(&outputs[i], adze_test_value_item(c->values[MOST + i]), why);
    for (int i = 0; i < 2 * MOST; i++)
        adze_test_value_close(&c->values[i]);
    return ok;
}

/* Every dimension of every input becomes a symbol of its own. */
static bool make_symbolic(adze_model *model, adze_error *err)
{
    const adze_graph *g = adze_model_graph(model);
    for (int i = 0; i < adze_graph_input_count(g); i++) {
        const adze_value *value = adze_graph_input(g, i);
        const adze_type *type = adze_value_type(value);
        char text[1024];
        int at = snprintf(text, sizeof text, "%s=", adze_value_name(value));
        if (type->kind != ADZE_VALUE_TENSOR || type->rank < 1 || at >= 512)
            continue;
        for (int k = 0; k < type->rank; k++)
            at += snprintf(text + at, sizeof text - (size_t)at, "%si%dd%d", k ? "x" : "", i, k);
        if (adze_model_set_shape(model, text, err) != ADZE_OK)
            return false;
    }
    return true;
}

static bool prepare_case(test_case *c, adze_context *context, const char *folder,
                         const adze_plan_options *options, bool symbolic, adze_error *err)
{
    char path[4608];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return adze_model_open(&c->model, context, path, err) == ADZE_OK &&
           (!symbolic || make_symbolic(c->model, err)) &&
           adze_plan_create(&c->plan, adze_model_graph(c->model), options, err) == ADZE_OK &&
           adze_session_open(&c->session, c->plan, NULL, err) == ADZE_OK;
}

static bool run_case(adze_context *context, const char *folder, const adze_plan_options *options,
                     bool symbolic, char *why)
{
    test_case c = {0};
    adze_error err = {0};
    struct stat st;
    bool ok = prepare_case(&c, context, folder, options, symbolic, &err);
    if (!ok)
        snprintf(why, REASON, "%.*s", REASON - 1, err.message);
    for (int set = 0; ok; set++) {
        char path[4608];
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, set);
        if (stat(path, &st) != 0)
            break;
        ok = run_set(&c, adze_model_graph(c.model), path, why);
    }
    adze_session_close(&c.session);
    adze_plan_free(&c.plan);
    adze_model_close(&c.model);
    return ok;
}

/* ---- all cases ---- */

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

typedef struct cases {
    const char *only;
    FILE *list;
    adze_context *context;
    adze_plan_options plan;
    bool symbolic;
    adze_peer *peer; /* NULL: against the expected outputs */
    int counts[3];   /* by case_outcome */
} cases;

static const char *const words[][3] = {{"pass", "fail", "skip"},
                                       {"equal", "different", "not compared"}};

static void try_case(cases *c, const char *name, const char *path)
{
    char why[CASE_REASON] = "";
    case_outcome outcome = c->peer ? cases_compare(c->context, c->peer, path, why)
                           : run_case(c->context, path, &c->plan, c->symbolic, why) ? CASE_PASSED
                                                                                    : CASE_FAILED;
    for (char *p = why; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    c->counts[outcome]++;
    if (c->list)
        fprintf(c->list, "%s\t%s\t%s\n", name, words[c->peer != NULL][outcome], why);
    else if (outcome != CASE_PASSED)
        printf("%s %s: %s\n", outcome == CASE_FAILED ? "FAILED" : "SKIPPED", name, why);
}

static void run_folder(cases *c, const char *dir)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4400], model[4608];
        struct stat st;
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", dir, name);
        snprintf(model, sizeof model, "%s/model.onnx", path);
        bool there = stat(model, &st) == 0 && (!c->only || fnmatch(c->only, name, 0) == 0);
        if (there && !cli_interrupted())
            try_case(c, name, path);
        else if (!there && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && stat(model, &st) != 0)
            run_folder(c, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static int run_all(cases *c, const char *dir, const char *list_path)
{
    struct stat st;
    c->list = list_path ? fopen(list_path, "w") : NULL;
    if (stat(dir, &st) != 0 || (list_path && !c->list)) {
        fprintf(stderr, "adze: %s: cannot be opened\n", stat(dir, &st) != 0 ? dir : list_path);
        if (c->list)
            fclose(c->list);
        return 3;
    }
    run_folder(c, dir);
    if (c->peer)
        printf("%d equal, %d different, %d not compared\n", c->counts[0], c->counts[1],
               c->counts[2]);
    else
        printf("%d passed, %d failed\n", c->counts[0], c->counts[1]);
    if (c->list)
        fclose(c->list);
    return c->counts[CASE_FAILED] > 0;
}

CLI_COMMAND(cases)
{
    cli_model m = {0};
    cli_list files = {0};
    const char *path, *list_path = NULL, *against = NULL;
    cases c = {.plan = adze_plan_options_default()};
    const cli_option options[] = {
        {CLI_STRING, "only", "GLOB", "run the cases whose name matches", &c.only},
        {CLI_STRING, "list", "FILE", "write case, pass or fail, reason; tab-separated", &list_path},
        {CLI_ON_OFF, "fuse", "on|off", "rewriting passes (default on)", &c.plan.fuse},
        {CLI_FLAG, "symbolic", NULL, "with every dimension of every input made a symbol",
         &c.symbolic},
        {CLI_STRING, "against", "onnxruntime",
         "each node on ONNX Runtime's inputs of it, compared with its result; or the path of "
         "libonnxruntime.so",
         &against},
        {CLI_LIST, "input", "NAME=FILE.npy", "an input, for a model (default: all random)", &files},
        {CLI_LIST, "shape", "NAME=1x3x224x224", "dimensions of an input, for a model", &m.shapes},
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &m.threads},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    struct stat st;
    if (code >= 0)
        return code;
    if (against && (!c.plan.fuse || c.symbolic))
        return cli_usage(self,
                         "--against compares both ways of --fuse, in the shapes of the inputs: "
                         "it takes neither --fuse nor --symbolic");
    bool file = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
    if (file && against)
        return cases_compare_model(&m, path, &files, against);
    if (file || files.count || m.shapes.count)
        return cli_usage(self, "%s: a model file, and --input and --shape, go with --against only",
                         path);
    if ((code = cli_open(&m, NULL)) != 0)
        return code;
    if (against)
        code = cases_open_peer(&c.peer, against);
    c.context = m.context;
    if (!code)
        code = run_all(&c, path, list_path);
    adze_peer_close(&c.peer);
    cli_close(&m);
    return code;
}
