/* Each step on what the other runtime made of the steps before: the session hands over every result, takes the other's in
 * its place, and goes on with that. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adze/session.h"
#include "base/error.h"
#include "graph/ir.h"
#include "peers/peers_impl.h"

typedef struct comparing {
    adze_comparison *out;
    const adze_peer_values *values;
    const adze_model *model;
    double tolerance;
    double integers, equal_integers; /* elements of 8 and 16 bits */
} comparing;

/* How one value differs. */
typedef struct verdict {
    bool out_of_bounds;
    double worst;  /* floats: over the largest magnitude; integers: steps */
    int64_t count; /* elements that differ by more than is allowed (integers: at all) */
    int64_t at;    /* the worst of them */
} verdict;

static bool one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

/* ---- one value ---- */

static double allowed(const comparing *c, const adze_node *node, adze_dtype dtype)
{
    bool coarse = dtype == ADZE_BF16 || strcmp(node->op_type, "DynamicQuantizeLSTM") == 0;
    bool half = dtype == ADZE_F16 || adze_dtype_describe(dtype)->bits < 16;
    return ADZE_MAX(c->tolerance, coarse ? 2e-2 : half ? 2e-3 : 0);
}

static double largest(const adze_tensor *t)
{
    double most = 0;
    for (int64_t i = 0, n = adze_tensor_elements(t); i < n; i++) {
        double x = fabs(adze_tensor_get_f64(t, i));
        most = isfinite(x) && x > most ? x : most;
    }
    return most;
}

/* `floor`: of an absolute difference, what does not count. */
static verdict compare_floats(const adze_tensor *a, const adze_tensor *e, double bound,
                              double floor)
{
    verdict v = {0};
    double scale = ADZE_MAX(largest(e), 1e-30);
    for (int64_t i = 0, n = adze_tensor_elements(e); i < n; i++) {
        double x = adze_tensor_get_f64(a, i), y = adze_tensor_get_f64(e, i);
        bool same = x == y || (isnan(x) && isnan(y));
        double off = same ? 0 : ADZE_MAX(fabs(x - y) - floor, 0) / scale;
        if (isnan(off) || (!same && (isinf(x) || isinf(y))))
            off = INFINITY;
        v.count += off > bound;
        if (off > v.worst) {
            v.worst = off;
            v.at = i;
        }
    }
    v.out_of_bounds = v.count > 0;
    return v;
}

static verdict compare_integers(const adze_tensor *a, const adze_tensor *e, bool steps)
{
    verdict v = {0};
    int64_t n = adze_tensor_elements(e);
    for (int64_t i = 0; i < n; i++) {
        int64_t x = adze_tensor_get_i64(a, i), y = adze_tensor_get_i64(e, i);
        double off = x == y ? 0 : fabs((double)x - (double)y);
        v.count += x != y;
        if (x != y && off >= v.worst) {
            v.worst = off;
            v.at = i;
        }
    }
    /* Few elements cannot be 99.9 % equal unless all are: one may be a step apart. */
    double most = steps ? ADZE_MAX(1e-3 * (double)n, 1) : 0;
    v.out_of_bounds = (double)v.count > most || (v.count > 0 && v.worst > 1);
    return v;
}

static verdict compare_strings(const adze_tensor *a, const adze_tensor *e)
{
    verdict v = {0};
    const adze_string *x = a->data, *y = e->data;
    for (int64_t i = 0, n = adze_tensor_elements(e); i < n; i++)
        if (x[i].length != y[i].length || memcmp(x[i].data, y[i].data, y[i].length) != 0) {
            v.at = v.count++ ? v.at : i;
            v.out_of_bounds = true;
        }
    return v;
}

static void describe_element(char *text, size_t size, const adze_tensor *t, int64_t i)
{
    adze_kind kind = adze_dtype_describe(t->dtype)->kind;
    if (t->dtype == ADZE_STRING)
        snprintf(text, size, "'%.*s'",
                 (int)ADZE_MIN(((const adze_string *)t->data)[i].length, size - 4),
                 ((const adze_string *)t->data)[i].data);
    else if (kind == ADZE_KIND_FLOAT)
        snprintf(text, size, "%.9g", adze_tensor_get_f64(t, i));
    else
        snprintf(text, size, "%lld", (long long)adze_tensor_get_i64(t, i));
}

static void first_to_differ(comparing *c, const adze_node *node, const char *name,
                            const adze_tensor *a, const adze_tensor *e, const verdict *v)
{
    adze_comparison *out = c->out;
    char shape[160], other[160], x[64], y[64];
    snprintf(out->op, sizeof out->op, "%s", node->op_type);
    snprintf(out->node, sizeof out->node, "%s", node->name);
    snprintf(out->value, sizeof out->value, "%s", name);
    adze_tensor_format(e, shape, sizeof shape);
    if (!v) {
        snprintf(out->what, sizeof out->what, "%s, ONNX Runtime's %s",
                 adze_tensor_format(a, other, sizeof other), shape);
        return;
    }
    describe_element(x, sizeof x, a, v->at);
    describe_element(y, sizeof y, e, v->at);
    snprintf(out->what, sizeof out->what,
             "%s: element %lld is %s, ONNX Runtime's %s; %lld of %lld differ", shape,
             (long long)v->at, x, y, (long long)v->count, (long long)adze_tensor_elements(e));
}

/* What the two need not agree in. */
static bool excused(const comparing *c, const adze_node *node, int output)
{
    static const char *const random[] = {"RandomNormal",
                                         "RandomUniform",
                                         "RandomNormalLike",
                                         "RandomUniformLike",
                                         "Bernoulli",
                                         "Multinomial",
                                         NULL};
    bool dropout = strcmp(node->op_type, "Dropout") == 0;
    /* What its mask is without training is said since opset 12: ONNX Runtime's was 0 before, adze's is 1. */
    return one_of(node->op_type, random) || (dropout && node->input_count > 2) ||
           (dropout && output > 0 && adze_model_opset(c->model) < 12);
}

static void compare_value(comparing *c, const adze_node *node, const char *name,
                          const adze_tensor *a, const adze_tensor *e)
{
    const adze_dtype_info *info = adze_dtype_describe(e->dtype);
    bool real = info->kind == ADZE_KIND_FLOAT,
         steps = !real && info->kind != ADZE_KIND_BOOL && info->bits <= 16;
    verdict v = {0};
    if (e->dtype == ADZE_STRING) {
        v = compare_strings(a, e);
    } else if (real) {
        /* ONNX Runtime's Sigmoid is right to about 1e-7, which is all of a small result. */
        double floor = strcmp(node->op_type, "Sigmoid") == 0 ? 2e-7 : 0;
        v = compare_floats(a, e, allowed(c, node, e->dtype), floor);
        c->out->worst_float = ADZE_MAX(c->out->worst_float, v.worst);
    } else {
        v = compare_integers(a, e, steps);
    }
    if (steps && e->dtype != ADZE_STRING) {
        c->out->worst_steps = ADZE_MAX(c->out->worst_steps, v.worst);
        c->integers += (double)adze_tensor_elements(e);
        c->equal_integers += (double)(adze_tensor_elements(e) - v.count);
    }
    if (v.out_of_bounds && c->out->different++ == 0)
        first_to_differ(c, node, name, a, e, &v);
}

/* ---- all of them ---- */

static void observe(void *user, const adze_node *node, int output, adze_tensor *a)
{
    comparing *c = user;
    const char *name = node->outputs[output]->name;
    const adze_tensor *e = adze_peer_value(c->values, name);
    if (!e || adze_dtype_describe(e->dtype)->kind == ADZE_KIND_COMPLEX)
        return;
    /* Rules for an operator are of the one that makes the value in the file, whatever does it after rewriting. */
    const adze_value *known = adze_graph_find(adze_model_graph(c->model), name);
    if (known && known->producer)
        node = known->producer;
    bool same = adze_tensor_same_type(a, e);
    if (!excused(c, node, output)) {
        c->out->values++;
        if (same)
            compare_value(c, node, name, a, e);
        else if (c->out->different++ == 0)
            first_to_differ(c, node, name, a, e, NULL);
    }
    if (same && adze_tensor_elements(e) > 0)
        a->data = e->data;
}

adze_status adze_peer_compare(adze_comparison *out, const adze_peer_values *values,
                              const adze_model *model, const adze_tensor *inputs,
                              const adze_compare_options *options, adze_error *err)
{
    const adze_graph *g = adze_model_graph(model);
    adze_plan_options how = adze_plan_options_default();
    adze_session_options session_how = adze_session_options_default();
    comparing c = {.out = out,
                   .values = values,
                   .model = model,
                   .tolerance = options->tolerance > 0 ? options->tolerance : 1e-4};
    adze_plan *plan = NULL;
    adze_session *session = NULL;
    *out = (adze_comparison){.equal = 1};
    how.fuse = options->fuse;
    session_how.observe = observe;
    session_how.observe_user = &c;
    adze_item *items = adze_alloc((size_t)(g->input_count + g->output_count) + 1, sizeof *items);
    if (!items)
        return adze_fail(err, ADZE_NO_MEMORY, "inputs");
    for (int i = 0; i < g->input_count; i++)
        items[i].tensor = inputs[i];
    adze_status status = adze_plan_create(&plan, g, &how, err);
    if (status == ADZE_OK)
        status = adze_session_open(&session, plan, &session_how, err);
    if (status == ADZE_OK)
        status = adze_session_run_items(session, items, items + g->input_count, err);
    if (c.integers > 0)
        out->equal = c.equal_integers / c.integers;
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_free(items);
    return status;
}
