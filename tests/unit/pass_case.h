/* Small graphs for tests of rewrites: building them, looking at what the passes leave, running them with
 * and without. Each test file has its own copy. */
#ifndef ADZE_TESTS_PASS_CASE_H
#define ADZE_TESTS_PASS_CASE_H
#include "test.h"
#include "adze/passes.h"
#include "adze/session.h"
#include "graph/ir.h"

#include <stdio.h>

#define UNUSED __attribute__((unused))

/* ---- building ---- */

static adze_context *context;
static adze_graph *g;
static uint64_t seed = 1;

UNUSED static void begin(void)
{
    CHECK_OK(adze_context_open(&context, NULL, NULL), NULL);
    CHECK_OK(adze_graph_create(&g, context, NULL), NULL);
}

UNUSED static void finish(void)
{
    adze_graph_free(&g);
    adze_context_close(&context);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8)

UNUSED static adze_value *input(const int64_t *dims, int rank)
{
    adze_type type = adze_type_tensor(ADZE_F32, rank, dims);
    return adze_graph_add_input(g, NULL, &type);
}

/* Random numbers in [lo, hi). */
UNUSED static adze_value *constant(float lo, float hi, const int64_t *dims, int rank)
{
    adze_tensor t;
    CHECK_OK(adze_tensor_make(&t, ADZE_F32, rank, dims, NULL), NULL);
    test_random_floats(t.data, (size_t)adze_tensor_elements(&t), lo, hi, seed++);
    adze_value *value = adze_graph_add_constant(g, NULL, &t, true);
    adze_tensor_free(&t);
    return value;
}

UNUSED static adze_value *scalar(double x)
{
    float f = (float)x;
    adze_tensor t = adze_tensor_view(ADZE_F32, 0, NULL, &f);
    return adze_graph_add_constant(g, NULL, &t, true);
}

UNUSED static adze_value *typed(adze_dtype dtype, int64_t x)
{
    int64_t bytes = 0;
    adze_tensor t = adze_tensor_view(dtype, 0, NULL, &bytes);
    adze_tensor_set_i64(&t, 0, x);
    return adze_graph_add_constant(g, NULL, &t, true);
}

UNUSED static adze_value *ints(const int64_t *values, int n)
{
    int64_t dims[1] = {n};
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, dims, (void *)(uintptr_t)values);
    return adze_graph_add_constant(g, NULL, &t, true);
}

UNUSED static adze_node *node(const char *op, int n, adze_value *const *inputs)
{
    return adze_graph_add_node(g, "", op, NULL, n, inputs, 1);
}

#define NODE(op, ...)                                                                              \
    node(op, (int)(sizeof((adze_value *[]){__VA_ARGS__}) / sizeof(adze_value *)),                  \
         (adze_value *[]){__VA_ARGS__})
#define OP(op, ...) (NODE(op, __VA_ARGS__)->outputs[0])

UNUSED static adze_value *conv(adze_value *x, int64_t out, int64_t in, int64_t kernel,
                               int64_t stride)
{
    adze_node *n = NODE("Conv", x, constant(-0.5f, 0.5f, DIMS(out, in, kernel, kernel)),
                        constant(-1, 1, DIMS(out)));
    int64_t pad = kernel / 2;
    adze_node_set_ints(n, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    adze_node_set_ints(n, "strides", 2, (int64_t[]){stride, stride});
    return n->outputs[0];
}

UNUSED static void output(adze_value *value)
{
    CHECK_OK(adze_graph_add_output(g, value, NULL), NULL);
}

/* ---- looking ---- */

UNUSED static adze_graph *rewritten(const char *after)
{
    adze_graph *copy;
    adze_error err = {0};
    CHECK_OK(adze_graph_clone(&copy, g, &err), &err);
    CHECK_OK(adze_graph_rewrite(copy, after, &err), &err);
    return copy;
}

UNUSED static int count_in(const adze_graph *graph, const char *op)
{
    int n = 0;
    for (int i = 0; i < graph->node_count; i++)
        n += !op || strcmp(graph->nodes[i]->op_type, op) == 0;
    return n;
}

/* Nodes of this operator (NULL: all) after all passes. */
UNUSED static int count(const char *op)
{
    adze_graph *copy = rewritten(NULL);
    int n = count_in(copy, op);
    adze_graph_free(&copy);
    return n;
}

UNUSED static void print_rewritten(void)
{
    adze_graph *copy = rewritten(NULL);
    char *text;
    CHECK_OK(adze_graph_format_text(&text, copy, ADZE_GRAPH_TEXT, NULL), NULL);
    fputs(text, stderr);
    adze_string_free(&text);
    adze_graph_free(&copy);
}

UNUSED static void expect(const char *op, int expected, int line)
{
    int n = count(op);
    if (n == expected)
        return;
    print_rewritten();
    test_fail(__FILE__, line, "%d nodes %s, not %d", n, op ? op : "in all", expected);
}

#define EXPECT(op, expected) expect(op, expected, __LINE__)

/* ---- running ---- */

UNUSED static int64_t dim_for_run(adze_dim d)
{
    return d >= 0 ? d : 2;
}

UNUSED static void make_inputs(adze_tensor *in)
{
    for (int i = 0; i < g->input_count; i++) {
        const adze_type *t = &g->inputs[i]->type;
        int64_t dims[ADZE_MAX_RANK];
        for (int k = 0; k < t->rank; k++)
            dims[k] = dim_for_run(t->dims[k]);
        CHECK_OK(adze_tensor_make(&in[i], t->dtype, t->rank, dims, NULL), NULL);
        test_random_floats(in[i].data, (size_t)adze_tensor_elements(&in[i]), -2, 2, seed++);
    }
}

UNUSED static void run(const adze_graph *graph, bool fuse, const adze_tensor *in, adze_tensor *out)
{
    adze_error err = {0};
    adze_plan_options options = adze_plan_options_default();
    options.fuse = fuse;
    adze_plan *plan;
    adze_session *session;
    adze_tensor views[8];
    CHECK_OK(adze_plan_create(&plan, graph, &options, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    CHECK_OK(adze_session_run(session, in, views, &err), &err);
    for (int i = 0; i < g->output_count; i++)
        CHECK_OK(adze_tensor_copy(&out[i], &views[i], &err), &err);
    adze_session_close(&session);
    adze_plan_free(&plan);
}

UNUSED static void compare(const adze_tensor *fused, const adze_tensor *plain, double tolerance)
{
    double largest = 1e-6;
    CHECK_EQ(fused->dtype, plain->dtype);
    CHECK_EQ(fused->rank, plain->rank);
    for (int i = 0; i < plain->rank; i++)
        CHECK_EQ(fused->dims[i], plain->dims[i]);
    for (int64_t i = 0; i < adze_tensor_elements(plain); i++)
        largest = fmax(largest, fabs(adze_tensor_get_f64(plain, i)));
    for (int64_t i = 0; i < adze_tensor_elements(plain); i++)
        CHECK_NEAR(adze_tensor_get_f64(fused, i), adze_tensor_get_f64(plain, i),
                   tolerance * largest);
}

/* All passes give what `reference` gives without any, up to tolerance * the largest number. */
UNUSED static void same_as(const adze_graph *reference, double tolerance)
{
    adze_tensor in[4], fused[4], plain[4];
    make_inputs(in);
    run(g, true, in, fused);
    run(reference, false, in, plain);
    for (int i = 0; i < g->output_count; i++)
        compare(&fused[i], &plain[i], tolerance);
    for (int i = 0; i < g->output_count; i++) {
        adze_tensor_free(&fused[i]);
        adze_tensor_free(&plain[i]);
    }
    for (int i = 0; i < g->input_count; i++)
        adze_tensor_free(&in[i]);
}

UNUSED static void same_result(double tolerance)
{
    same_as(g, tolerance);
}

/* Integer operators give the same bits, whatever the passes behind qdq_to_integer do with them. */
UNUSED static void same_integers(void)
{
    adze_graph *typed_graph = rewritten("qdq_to_integer");
    same_as(typed_graph, 0);
    adze_graph_free(&typed_graph);
}

#define FLOAT 2e-5

/* ---- building blocks ---- */

UNUSED static adze_value *batch_norm(adze_value *x, int64_t c)
{
    return OP("BatchNormalization", x, constant(0.5f, 2, DIMS(c)), constant(-1, 1, DIMS(c)),
              constant(-1, 1, DIMS(c)), constant(0.1f, 2, DIMS(c)));
}

UNUSED static adze_value *quantize(adze_value *x, double scale, int64_t zero, adze_dtype dtype)
{
    adze_value *s = scalar(scale), *z = typed(dtype, zero);
    return OP("DequantizeLinear", OP("QuantizeLinear", x, s, z), s, z);
}

/* Random int8 weights behind a DequantizeLinear; channels 0: one scale. */
UNUSED static adze_value *weights(int64_t channels, int64_t axis, const int64_t *dims, int rank)
{
    adze_tensor t;
    CHECK_OK(adze_tensor_make(&t, ADZE_I8, rank, dims, NULL), NULL);
    test_random_bytes(t.data, t.size, seed++);
    adze_value *w = adze_graph_add_constant(g, NULL, &t, true);
    adze_tensor_free(&t);
    if (channels == 0)
        return OP("DequantizeLinear", w, scalar(0.01));
    adze_node *n = NODE("DequantizeLinear", w, constant(0.002f, 0.02f, DIMS(channels)));
    adze_node_set_int(n, "axis", axis);
    return n->outputs[0];
}

UNUSED static adze_value *conv_of(adze_value *x, adze_value *w, int64_t out, int64_t pad)
{
    adze_node *n = NODE("Conv", x, w, constant(-1, 1, DIMS(out)));
    adze_node_set_ints(n, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    return n->outputs[0];
}

#endif
