/* Each rewrite: what it makes of a small graph, and that the graph still computes the same. */
#include "test.h"
#include "adze/passes.h"
#include "adze/session.h"
#include "base/memory.h"
#include "graph/ir.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- building ---- */

static adze_context *context;
static adze_graph *g;
static uint64_t seed = 1;

static void begin(void)
{
    CHECK_OK(adze_context_open(&context, NULL, NULL), NULL);
    CHECK_OK(adze_graph_create(&g, context, NULL), NULL);
}

static void finish(void)
{
    adze_graph_free(&g);
    adze_context_close(&context);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8)

static adze_value *input(const int64_t *dims, int rank)
{
    adze_type type = adze_type_tensor(ADZE_F32, rank, dims);
    return adze_graph_add_input(g, NULL, &type);
}

/* Random numbers in [lo, hi). */
static adze_value *constant(float lo, float hi, const int64_t *dims, int rank)
{
    adze_tensor t;
    CHECK_OK(adze_tensor_make(&t, ADZE_F32, rank, dims, NULL), NULL);
    test_random_floats(t.data, (size_t)adze_tensor_elements(&t), lo, hi, seed++);
    adze_value *value = adze_graph_add_constant(g, NULL, &t, true);
    adze_tensor_free(&t);
    return value;
}

static adze_value *scalar(double x)
{
    float f = (float)x;
    adze_tensor t = adze_tensor_view(ADZE_F32, 0, NULL, &f);
    return adze_graph_add_constant(g, NULL, &t, true);
}

static adze_value *typed(adze_dtype dtype, int64_t x)
{
    int64_t bytes = 0;
    adze_tensor t = adze_tensor_view(dtype, 0, NULL, &bytes);
    adze_tensor_set_i64(&t, 0, x);
    return adze_graph_add_constant(g, NULL, &t, true);
}

static adze_value *ints(const int64_t *values, int n)
{
    int64_t dims[1] = {n};
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, dims, (void *)(uintptr_t)values);
    return adze_graph_add_constant(g, NULL, &t, true);
}

static adze_node *node(const char *op, int n, adze_value *const *inputs)
{
    return adze_graph_add_node(g, "", op, NULL, n, inputs, 1);
}

#define NODE(op, ...)                                                                              \
    node(op, (int)(sizeof((adze_value *[]){__VA_ARGS__}) / sizeof(adze_value *)),                  \
         (adze_value *[]){__VA_ARGS__})
#define OP(op, ...) (NODE(op, __VA_ARGS__)->outputs[0])

static adze_value *conv(adze_value *x, int64_t out, int64_t in, int64_t kernel, int64_t stride)
{
    adze_node *n = NODE("Conv", x, constant(-0.5f, 0.5f, DIMS(out, in, kernel, kernel)),
                        constant(-1, 1, DIMS(out)));
    int64_t pad = kernel / 2;
    adze_node_set_ints(n, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    adze_node_set_ints(n, "strides", 2, (int64_t[]){stride, stride});
    return n->outputs[0];
}

static void output(adze_value *value)
{
    CHECK_OK(adze_graph_add_output(g, value, NULL), NULL);
}

/* ---- looking ---- */

static adze_graph *rewritten(const char *after)
{
    adze_graph *copy;
    adze_error err = {0};
    CHECK_OK(adze_graph_clone(&copy, g, &err), &err);
    CHECK_OK(adze_graph_rewrite(copy, after, &err), &err);
    return copy;
}

static int count_in(const adze_graph *graph, const char *op)
{
    int n = 0;
    for (int i = 0; i < graph->node_count; i++)
        n += !op || strcmp(graph->nodes[i]->op_type, op) == 0;
    return n;
}

/* Nodes of this operator (NULL: all) after all passes. */
static int count(const char *op)
{
    adze_graph *copy = rewritten(NULL);
    int n = count_in(copy, op);
    adze_graph_free(&copy);
    return n;
}

static void print_rewritten(void)
{
    adze_graph *copy = rewritten(NULL);
    char *text;
    CHECK_OK(adze_graph_format_text(&text, copy, ADZE_GRAPH_TEXT, NULL), NULL);
    fputs(text, stderr);
    adze_string_free(&text);
    adze_graph_free(&copy);
}

static void expect(const char *op, int expected, int line)
{
    int n = count(op);
    if (n == expected)
        return;
    print_rewritten();
    test_fail(__FILE__, line, "%d nodes %s, not %d", n, op ? op : "in all", expected);
}

#define EXPECT(op, expected) expect(op, expected, __LINE__)

/* ---- running ---- */

static int64_t dim_for_run(adze_dim d)
{
    return d >= 0 ? d : 2;
}

static void make_inputs(adze_tensor *in)
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

static void run(const adze_graph *graph, bool fuse, const adze_tensor *in, adze_tensor *out)
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

static void compare(const adze_tensor *fused, const adze_tensor *plain, double tolerance)
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
static void same_as(const adze_graph *reference, double tolerance)
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

static void same_result(double tolerance)
{
    same_as(g, tolerance);
}

/* Integer operators give the same bits, whatever the passes behind qdq_to_integer do with them. */
static void same_integers(void)
{
    adze_graph *typed_graph = rewritten("qdq_to_integer");
    same_as(typed_graph, 0);
    adze_graph_free(&typed_graph);
}

#define FLOAT 2e-5

/* ---- float ---- */

TEST(lists_passes)
{
    CHECK(adze_pass_count() > 10);
    for (int i = 0; i < adze_pass_count(); i++)
        CHECK(adze_pass_name(i) && adze_pass_what(i));
    CHECK(!adze_pass_name(-1) && !adze_pass_name(adze_pass_count()));
    begin();
    output(OP("Relu", input(DIMS(2))));
    CHECK_FAILS(adze_graph_rewrite(g, "no_such_pass", NULL), ADZE_NOT_FOUND, NULL);
    finish();
}

TEST(folds_constants)
{
    begin();
    adze_value *x = input(DIMS(2, 3));
    adze_value *sum = OP("Add", constant(-1, 1, DIMS(3)), constant(-1, 1, DIMS(2, 3)));
    output(OP("Mul", x, OP("Sqrt", OP("Abs", sum))));
    EXPECT(NULL, 1);
    same_result(FLOAT);
    finish();
}

TEST(folds_shapes_that_are_known)
{
    begin();
    adze_value *x = input(DIMS(adze_graph_symbol(g, "N"), 4, 6));
    adze_value *shape = OP("Shape", x);
    adze_value *rest =
        OP("Mul", OP("Gather", shape, typed(ADZE_I64, 1)), OP("Gather", shape, typed(ADZE_I64, 2)));
    adze_value *one = OP("Unsqueeze", rest, ints((int64_t[]){0}, 1));
    adze_node *concat = NODE("Concat", ints((int64_t[]){-1}, 1), one);
    adze_node_set_int(concat, "axis", 0);
    output(OP("Reshape", x, concat->outputs[0]));
    EXPECT(NULL, 1);
    same_result(0);
    finish();
}

TEST(does_not_fold_into_much_more_memory)
{
    begin();
    adze_node *big = NODE("Expand", scalar(2), ints((int64_t[]){512, 512}, 2));
    output(OP("Add", input(DIMS(512, 512)), big->outputs[0]));
    EXPECT("Expand", 1);
    same_result(FLOAT);
    finish();
}

TEST(removes_identities)
{
    begin();
    adze_value *x = OP("Relu", input(DIMS(2, 3, 4)));
    x = OP("Identity", x);
    adze_node *cast = NODE("Cast", x);
    adze_node_set_int(cast, "to", 1);
    x = OP("Mul", cast->outputs[0], scalar(1));
    x = OP("Add", x, constant(0, 0, DIMS(3, 1)));
    adze_node *t = NODE("Transpose", x);
    adze_node_set_ints(t, "perm", 3, (int64_t[]){2, 0, 1});
    t = NODE("Transpose", t->outputs[0]);
    adze_node_set_ints(t, "perm", 3, (int64_t[]){1, 2, 0});
    x = OP("Reshape", t->outputs[0], ints((int64_t[]){6, 4}, 2));
    x = OP("Reshape", x, ints((int64_t[]){2, 3, 4}, 3));
    x = OP("Pad", x, ints((int64_t[]){0, 0, 0, 0, 0, 0}, 6));
    x = OP("Dropout", x);
    output(OP("Clip", x));
    EXPECT(NULL, 1);
    same_result(0);
    finish();
}

TEST(keeps_an_identity_between_input_and_output)
{
    begin();
    adze_value *x = input(DIMS(2));
    output(OP("Identity", x));
    output(OP("Identity", x));
    EXPECT("Identity", 2);
    same_result(0);
    finish();
}

TEST(outputs_keep_their_names)
{
    begin();
    adze_node *last = NODE("Identity", OP("Relu", input(DIMS(2))));
    output(last->outputs[0]);
    adze_graph *copy = rewritten(NULL);
    CHECK_EQ(copy->node_count, 1);
    CHECK_STR(copy->outputs[0]->name, last->outputs[0]->name);
    adze_graph_free(&copy);
    finish();
}

static adze_value *batch_norm(adze_value *x, int64_t c)
{
    return OP("BatchNormalization", x, constant(0.5f, 2, DIMS(c)), constant(-1, 1, DIMS(c)),
              constant(-1, 1, DIMS(c)), constant(0.1f, 2, DIMS(c)));
}

TEST(fuses_scales_and_shifts_into_convolutions)
{
    begin();
    adze_value *x = batch_norm(conv(input(DIMS(2, 3, 5, 5)), 4, 3, 3, 1), 4);
    x = OP("Mul", x, constant(-2, 2, DIMS(4, 1, 1)));
    x = OP("Sub", scalar(0.3), x);
    output(OP("Div", x, constant(1, 2, DIMS(1, 4, 1, 1))));
    EXPECT("Conv", 1);
    EXPECT(NULL, 3); /* and two Transposes */
    same_result(FLOAT);
    finish();
}

TEST(fuses_batch_norm_into_transposed_and_grouped)
{
    begin();
    adze_node *n =
        NODE("ConvTranspose", input(DIMS(1, 4, 5, 5)), constant(-1, 1, DIMS(4, 3, 2, 2)));
    adze_node_set_int(n, "group", 2);
    output(batch_norm(n->outputs[0], 6));
    n = NODE("Gemm", input(DIMS(3, 4)), constant(-1, 1, DIMS(4, 5)), constant(-1, 1, DIMS(1, 5)));
    adze_node_set_float(n, "beta", 0.5f);
    output(batch_norm(n->outputs[0], 5));
    EXPECT("BatchNormalization", 0);
    EXPECT(NULL, 4); /* and two Transposes */
    same_result(FLOAT);
    finish();
}

TEST(keeps_what_others_read)
{
    begin();
    adze_value *x = conv(input(DIMS(1, 3, 4, 4)), 4, 3, 1, 1);
    output(x);
    output(OP("Relu", x));
    EXPECT("Relu", 1);
    same_result(FLOAT);
    finish();
}

TEST(fuses_padding)
{
    begin();
    adze_value *x = input(DIMS(1, 3, 6, 6)), *pads = ints((int64_t[]){0, 0, 1, 2, 0, 0, 0, 1}, 8);
    output(conv(OP("Pad", x, pads), 4, 3, 3, 1));
    adze_node *pool = NODE("AveragePool", OP("Pad", x, pads));
    adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
    output(pool->outputs[0]);
    pool = NODE("MaxPool", OP("Pad", OP("Relu", x), pads));
    adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
    output(pool->outputs[0]);
    EXPECT("Pad", 0);
    pool = NODE("MaxPool", OP("Pad", x, pads));
    adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
    output(pool->outputs[0]);
    EXPECT("Pad", 1);
    same_result(FLOAT);
    finish();
}

TEST(fuses_activations)
{
    begin();
    adze_value *x = conv(input(DIMS(1, 3, 4, 4)), 4, 3, 3, 1);
    x = OP("Clip", OP("Relu", x), scalar(-1), scalar(0.7));
    output(OP("Min", x, scalar(0.6)));
    adze_value *product = OP("MatMul", input(DIMS(2, 5, 4)), constant(-1, 1, DIMS(4, 3)));
    output(OP("Relu", OP("Add", constant(-1, 1, DIMS(1, 1, 3)), product)));
    EXPECT(NULL, 4);
    EXPECT("MatMul", 1);
    same_result(FLOAT);
    finish();
}

TEST(names_activations)
{
    begin();
    adze_value *x = input(DIMS(2, 8)), *three = scalar(3), *zero = scalar(0), *six = scalar(6);
    output(OP("Mul", x, OP("Sigmoid", x)));
    output(OP("Div", OP("Mul", x, OP("Clip", OP("Add", x, three), zero, six)), six));
    output(OP("Mul", OP("Div", OP("Clip", OP("Add", three, x), zero, six), six), x));
    adze_value *term = OP("Add", OP("Erf", OP("Div", x, scalar(1.41421356237))), scalar(1));
    output(OP("Mul", OP("Mul", x, term), scalar(0.5)));
    EXPECT("Swish", 1);
    EXPECT("HardSwish", 2);
    EXPECT("Gelu", 1);
    EXPECT(NULL, 4);
    same_result(1e-4);
    finish();
}

TEST(names_layer_norm)
{
    begin();
    adze_value *x = input(DIMS(2, 3, 8)), *last = ints((int64_t[]){-1}, 1);
    adze_value *centred = OP("Sub", x, OP("ReduceMean", x, last));
    adze_value *variance = OP("ReduceMean", OP("Pow", centred, scalar(2)), last);
    x = OP("Div", centred, OP("Sqrt", OP("Add", variance, scalar(1e-5))));
    output(OP("Add", OP("Mul", x, constant(-1, 1, DIMS(8))), constant(-1, 1, DIMS(8))));
    centred = OP("Sub", g->inputs[0], OP("ReduceMean", g->inputs[0], last));
    variance = OP("ReduceMean", OP("Mul", centred, centred), last);
    output(OP("Div", centred, OP("Sqrt", OP("Add", variance, scalar(1e-5)))));
    EXPECT("LayerNormalization", 2);
    EXPECT(NULL, 2);
    same_result(1e-4);
    finish();
}

TEST(fuses_scales_and_shifts_in_front_of_convolutions)
{
    begin();
    adze_value *x = batch_norm(OP("Relu", input(DIMS(2, 4, 5, 5))), 4);
    adze_node *n = NODE("Conv", x, constant(-1, 1, DIMS(6, 2, 1, 1)));
    adze_node_set_int(n, "group", 2);
    output(n->outputs[0]);
    x = OP("Mul", scalar(0.25), OP("Sub", g->inputs[0], constant(-1, 1, DIMS(4, 1, 1))));
    output(conv(x, 4, 4, 3, 1)); /* the difference must stay: padding is zero behind it */
    EXPECT("BatchNormalization", 0);
    EXPECT("Mul", 0);
    EXPECT("Sub", 1);
    same_result(FLOAT);
    finish();
}

TEST(settles_shapes_and_keeps_sequences_in_order)
{
    begin();
    adze_dim n = adze_graph_symbol(g, "N"), h = adze_graph_symbol(g, "H");
    adze_value *x = conv(input(DIMS(n, 3, h, h)), 4, 3, 3, 1);
    adze_node *head = NODE("Shape", x);
    adze_node_set_int(head, "end", 2);
    adze_node *concat = NODE("Concat", head->outputs[0], ints((int64_t[]){-1}, 1));
    adze_node_set_int(concat, "axis", 0);
    adze_node *turn = NODE("Transpose", OP("Reshape", x, concat->outputs[0]));
    adze_node_set_ints(turn, "perm", 3, (int64_t[]){0, 2, 1});
    output(OP("MatMul", turn->outputs[0], constant(-1, 1, DIMS(4, 5))));
    EXPECT(NULL, 4);
    EXPECT("Transpose", 1);
    EXPECT("Reshape", 1);
    same_result(FLOAT);
    finish();
}

/* A symbol that was taken for a number, or for another symbol, must be it in each run. */
TEST(shapes_that_do_not_fit_are_refused)
{
    begin();
    adze_value *x = input(DIMS(adze_graph_symbol(g, "N"), 1));
    adze_value *y = input(DIMS(adze_graph_symbol(g, "M"), 4));
    output(OP("Add", OP("Add", x, y), constant(-1, 1, DIMS(6, 4))));
    static const struct {
        int64_t n, m;
        bool fits;
    } cases[] = {{6, 6, true}, {1, 6, true},  {6, 1, true},
                 {1, 1, true}, {2, 6, false}, {5, 5, false}};
    adze_plan *plan;
    adze_session *session;
    CHECK_OK(adze_plan_create(&plan, g, NULL, NULL), NULL);
    CHECK_OK(adze_session_open(&session, plan, NULL, NULL), NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float bytes[24] = {0};
        adze_error err = {0};
        adze_tensor out, in[2] = {adze_tensor_view(ADZE_F32, 2, (int64_t[]){cases[i].n, 1}, bytes),
                                  adze_tensor_view(ADZE_F32, 2, (int64_t[]){cases[i].m, 4}, bytes)};
        adze_status status = adze_session_run(session, in, &out, &err);
        CHECK_EQ(status, cases[i].fits ? ADZE_OK : ADZE_BAD_DATA);
        if (cases[i].fits)
            CHECK_EQ(out.dims[0], 6);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

/* ---- layout ---- */

/* conv, relu, pool, two blocks with shortcuts, mean, product. */
static adze_value *residual_net(adze_value *x)
{
    x = OP("Relu", conv(x, 8, 3, 3, 2));
    adze_node *pool = NODE("MaxPool", x);
    adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
    adze_node_set_ints(pool, "strides", 2, (int64_t[]){2, 2});
    adze_node_set_ints(pool, "pads", 4, (int64_t[]){1, 1, 1, 1});
    x = pool->outputs[0];
    adze_value *inner = conv(OP("Relu", batch_norm(conv(x, 8, 8, 3, 1), 8)), 8, 8, 3, 1);
    x = OP("Relu", OP("Add", x, batch_norm(inner, 8)));
    inner = conv(OP("Relu", conv(x, 16, 8, 3, 2)), 16, 16, 3, 1);
    x = OP("Relu", OP("Add", inner, conv(x, 16, 8, 1, 2)));
    x = OP("Flatten", OP("GlobalAveragePool", x));
    return OP("Gemm", x, constant(-1, 1, DIMS(16, 10)), constant(-1, 1, DIMS(10)));
}

TEST(one_transpose_is_left_of_a_residual_net)
{
    begin();
    output(residual_net(input(DIMS(adze_graph_symbol(g, "N"), 3, 32, 32))));
    EXPECT("Transpose", 1);
    EXPECT("Add", 0);
    EXPECT("Relu", 0);
    EXPECT("Conv", 6);
    same_result(FLOAT);
    finish();
}

TEST(transposes_sink_through_attention_of_channels)
{
    begin();
    adze_value *x = conv(input(DIMS(2, 3, 8, 8)), 8, 3, 3, 1);
    adze_node *mean = NODE("ReduceMean", x, ints((int64_t[]){2, 3}, 2));
    adze_value *gate = conv(OP("Swish", conv(mean->outputs[0], 4, 8, 1, 1)), 8, 4, 1, 1);
    x = OP("Mul", x, OP("Sigmoid", gate));
    x = OP("PRelu", x, constant(0, 1, DIMS(8, 1, 1)));
    output(OP("GlobalMaxPool", conv(x, 4, 8, 3, 2)));
    EXPECT("Transpose", 1);
    same_result(FLOAT);
    finish();
}

TEST(transposes_sink_through_axes)
{
    begin();
    adze_value *x = conv(input(DIMS(2, 3, 8, 8)), 8, 3, 3, 1);
    adze_node *split = adze_graph_add_node(g, "", "Split", NULL, 1, &x, 2);
    adze_node_set_int(split, "axis", 1);
    adze_node_set_int(split, "num_outputs", 2);
    adze_node *concat = NODE("Concat", split->outputs[1], OP("Relu", split->outputs[0]), x);
    adze_node_set_int(concat, "axis", -3);
    x = concat->outputs[0];
    x = OP("Slice", x, ints((int64_t[]){2, 1}, 2), ints((int64_t[]){14, 7}, 2),
           ints((int64_t[]){1, 2}, 2));
    x = OP("Pad", x, ints((int64_t[]){0, 0, 1, 2, 0, 0, 0, 1}, 8), scalar(0.5));
    adze_node *softmax = NODE("Softmax", x);
    adze_node_set_int(softmax, "axis", 1);
    x = softmax->outputs[0];
    adze_node *arg = NODE("ArgMax", x), *max = NODE("ReduceMax", x, ints((int64_t[]){1}, 1));
    adze_node_set_int(arg, "axis", 1);
    adze_node_set_int(arg, "keepdims", 0);
    adze_node_set_int(max, "keepdims", 0);
    output(arg->outputs[0]);
    output(max->outputs[0]);
    adze_node *sum = NODE("ReduceSum", x, ints((int64_t[]){3}, 1));
    adze_node_set_int(sum, "keepdims", 0);
    output(sum->outputs[0]);
    EXPECT("Transpose", 2); /* at the input, and of the last sum */
    same_result(FLOAT);
    finish();
}

TEST(channels_are_shuffled_in_place)
{
    begin();
    adze_value *x = conv(input(DIMS(2, 3, 4, 5)), 6, 3, 3, 1);
    adze_node *turn = NODE("Transpose", OP("Reshape", x, ints((int64_t[]){2, 2, 3, 4, 5}, 5)));
    adze_node_set_ints(turn, "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    x = OP("Reshape", turn->outputs[0], ints((int64_t[]){2, 6, 4, 5}, 4));
    output(OP("GlobalMaxPool", OP("Sum", conv(x, 4, 6, 3, 1), conv(x, 4, 6, 1, 1))));
    EXPECT("Transpose", 2); /* at the input, and the shuffle */
    EXPECT("Add", 0);
    same_result(FLOAT);
    finish();
}

TEST(shape_does_not_keep_a_transpose)
{
    begin();
    adze_dim n = adze_graph_symbol(g, "N"), h = adze_graph_symbol(g, "H");
    adze_value *x = conv(input(DIMS(n, 3, h, h)), 4, 3, 3, 2);
    adze_node *area = NODE("Shape", x);
    adze_node_set_int(area, "start", 1);
    adze_node_set_int(area, "end", 3);
    output(area->outputs[0]);
    output(OP("GlobalAveragePool", x));
    EXPECT("Transpose", 1);
    same_result(FLOAT);
    finish();
}

/* ---- any graph ---- */

enum { CHANNELS = 4, MOST_VALUES = 64 };

/* Values of one shape [2, 4, 6, 6], so that any operator fits any of them. */
typedef struct soup {
    adze_value *values[MOST_VALUES];
    int count;
    uint64_t seed;
} soup;

static int pick(soup *s, int n)
{
    return (int)(test_random(&s->seed) % (uint64_t)n);
}

static adze_value *any(soup *s)
{
    int recent = s->count > 5 ? 5 : s->count;
    return s->values[s->count - 1 - pick(s, recent)];
}

static adze_value *pooled(soup *s, const char *op)
{
    adze_node *n = NODE(op, any(s));
    adze_node_set_ints(n, "kernel_shape", 2, (int64_t[]){3, 3});
    adze_node_set_ints(n, "pads", 4, (int64_t[]){1, 1, 1, 1});
    return n->outputs[0];
}

static adze_value *split_and_joined(soup *s)
{
    int64_t axis = 1 + pick(s, 3);
    adze_value *x = any(s);
    adze_node *split = adze_graph_add_node(g, "", "Split", NULL, 1, &x, 2);
    adze_node_set_int(split, "axis", axis);
    adze_node_set_int(split, "num_outputs", 2);
    adze_node *concat = NODE("Concat", OP("Relu", split->outputs[1]), split->outputs[0]);
    adze_node_set_int(concat, "axis", axis - 4);
    return concat->outputs[0];
}

static adze_value *sliced_and_padded(soup *s)
{
    adze_value *x = OP("Slice", any(s), ints((int64_t[]){1, 1}, 2), ints((int64_t[]){6, 9}, 2),
                       ints((int64_t[]){3, 2}, 2));
    return OP("Pad", x, ints((int64_t[]){0, 0, 1, 0, 0, 0, 0, 1}, 8));
}

static adze_value *gated(soup *s)
{
    adze_value *x = any(s), *gate;
    adze_node *mean = NODE("ReduceMean", x, ints((int64_t[]){2, 3}, 2));
    adze_node_set_int(mean, "keepdims", pick(s, 2));
    gate = mean->outputs[0];
    if (!adze_node_int(mean, "keepdims", 1))
        gate = OP("Unsqueeze", gate, ints((int64_t[]){2, 3}, 2));
    return OP("Mul", OP("Sigmoid", conv(gate, CHANNELS, CHANNELS, 1, 1)), x);
}

static adze_value *turned_and_back(soup *s)
{
    adze_node *n = NODE("Transpose", any(s));
    adze_node_set_ints(n, "perm", 4, (int64_t[]){0, 2, 3, 1});
    adze_value *x = OP("MatMul", n->outputs[0], constant(-0.5f, 0.5f, DIMS(CHANNELS, CHANNELS)));
    n = NODE("Transpose", OP("Add", x, constant(-1, 1, DIMS(CHANNELS))));
    adze_node_set_ints(n, "perm", 4, (int64_t[]){0, 3, 1, 2});
    return n->outputs[0];
}

static adze_value *grown_and_shrunk(soup *s)
{
    if (pick(s, 2)) {
        adze_node *n =
            NODE("ConvTranspose", any(s), constant(-0.5f, 0.5f, DIMS(CHANNELS, 4, 2, 2)));
        adze_node_set_ints(n, "strides", 2, (int64_t[]){2, 2});
        return conv(n->outputs[0], CHANNELS, 4, 3, 2);
    }
    adze_node *n = adze_graph_add_node(g, "", "Resize", NULL, 3,
                                       (adze_value *[]){any(s), NULL, constant(2, 2, DIMS(4))}, 1);
    float *scales = (float *)(uintptr_t)n->inputs[2]->constant->data;
    scales[0] = scales[1] = 1;
    return conv(n->outputs[0], CHANNELS, CHANNELS, 3, 2);
}

static adze_value *shuffled(soup *s)
{
    adze_node *n = NODE("Transpose", OP("Reshape", any(s), ints((int64_t[]){2, 2, 2, 6, 6}, 5)));
    adze_node_set_ints(n, "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    return OP("Reshape", n->outputs[0], ints((int64_t[]){2, 4, 6, 6}, 4));
}

static adze_value *something(soup *s)
{
    switch (pick(s, 20)) {
    case 0: return OP("Relu", any(s));
    case 1: return OP("Clip", any(s), scalar(-0.5), scalar(0.8));
    case 2: return OP("Add", any(s), any(s));
    case 3: return OP("Mul", any(s), OP("Tanh", any(s)));
    case 4: return OP("Add", constant(-1, 1, DIMS(CHANNELS, 1, 1)), any(s));
    case 5: return OP("Mul", any(s), scalar(0.7));
    case 6: return batch_norm(any(s), CHANNELS);
    case 7: return pooled(s, "MaxPool");
    case 8: return pooled(s, "AveragePool");
    case 9: return split_and_joined(s);
    case 10: return sliced_and_padded(s);
    case 11: return gated(s);
    case 12: return turned_and_back(s);
    case 13: return grown_and_shrunk(s);
    case 14: return shuffled(s);
    case 15: return OP("HardSwish", any(s));
    case 16: return OP("Add", conv(any(s), CHANNELS, CHANNELS, 3, 1), any(s));
    default: return conv(any(s), CHANNELS, CHANNELS, 1 + 2 * pick(s, 2), 1);
    }
}

TEST(any_graph_computes_the_same)
{
    for (uint64_t round = 0; round < 150; round++) {
        soup s = {.seed = round + 1};
        begin();
        s.values[s.count++] = input(DIMS(round % 2 ? 2 : adze_graph_symbol(g, "N"), 4, 6, 6));
        int wanted = 5 + pick(&s, 25);
        while (s.count < wanted) {
            adze_value *next = something(&s);
            s.values[s.count++] = next;
        }
        output(s.values[s.count - 1]);
        output(s.values[s.count - 3]);
        output(OP("GlobalAveragePool", s.values[s.count - 2]));
        same_result(2e-4);
        finish();
    }
}

/* ---- quantized ---- */

static adze_value *quantize(adze_value *x, double scale, int64_t zero, adze_dtype dtype)
{
    adze_value *s = scalar(scale), *z = typed(dtype, zero);
    return OP("DequantizeLinear", OP("QuantizeLinear", x, s, z), s, z);
}

/* Random int8 weights behind a DequantizeLinear; channels 0: one scale. */
static adze_value *weights(int64_t channels, int64_t axis, const int64_t *dims, int rank)
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

static adze_value *conv_of(adze_value *x, adze_value *w, int64_t out, int64_t pad)
{
    adze_node *n = NODE("Conv", x, w, constant(-1, 1, DIMS(out)));
    adze_node_set_ints(n, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    return n->outputs[0];
}

TEST(convolutions_become_integer)
{
    begin();
    adze_value *x = quantize(input(DIMS(2, 3, 6, 6)), 0.02, 120, ADZE_U8);
    x = quantize(OP("Relu", conv_of(x, weights(8, 0, DIMS(8, 3, 3, 3)), 8, 1)), 0.03, 0, ADZE_U8);
    adze_node *pool = NODE("MaxPool", x);
    adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){2, 2});
    x = quantize(pool->outputs[0], 0.03, 0, ADZE_U8);
    x = quantize(conv_of(x, weights(0, 0, DIMS(4, 8, 1, 1)), 4, 0), 0.05, -3, ADZE_I8);
    output(x);
    EXPECT("QuantizeLinear", 1);
    EXPECT("DequantizeLinear", 1);
    EXPECT("Conv", 2);
    same_result(0.03); /* a step of the output */
    same_integers();
    finish();
}

TEST(shortcuts_become_integer)
{
    begin();
    adze_value *x = quantize(input(DIMS(1, 4, 6, 6)), 0.02, 3, ADZE_I8);
    adze_value *a = conv_of(x, weights(0, 0, DIMS(4, 4, 3, 3)), 4, 1);
    a = quantize(OP("Relu", a), 0.04, -128, ADZE_I8);
    adze_value *b = conv_of(a, weights(4, 0, DIMS(4, 4, 3, 3)), 4, 1);
    b = quantize(b, 0.1, 7, ADZE_I8);
    output(quantize(OP("Relu", OP("Add", b, a)), 0.06, -128, ADZE_I8));
    EXPECT("QuantizeLinear", 1);
    EXPECT("DequantizeLinear", 1);
    EXPECT("Add", 0);
    same_result(0.03);
    same_integers();
    finish();
}

TEST(products_become_integer)
{
    begin();
    adze_value *x = quantize(input(DIMS(3, 8)), 0.02, 0, ADZE_I8);
    adze_node *gemm = NODE("Gemm", x, weights(5, 0, DIMS(5, 8)), constant(-1, 1, DIMS(5)));
    adze_node_set_int(gemm, "transB", 1);
    x = quantize(gemm->outputs[0], 0.05, 5, ADZE_I8);
    adze_value *product = OP("MatMul", x, weights(6, 1, DIMS(5, 6)));
    output(OP("Relu", OP("Add", product, constant(-1, 1, DIMS(6))))); /* float */
    EXPECT("DequantizeLinear", 0);
    EXPECT("QuantizeLinear", 1);
    EXPECT(NULL, 3);
    same_result(0.02);
    same_integers();
    finish();
}

TEST(functions_become_integer)
{
    begin();
    adze_value *x = quantize(input(DIMS(1, 4, 6)), 0.02, 100, ADZE_U8);
    adze_value *y = quantize(OP("Sigmoid", x), 1.0 / 256, 0, ADZE_U8);
    x = quantize(OP("Mul", x, y), 0.015, 90, ADZE_U8);
    x = quantize(OP("Reshape", x, ints((int64_t[]){4, 6}, 2)), 0.015, 90, ADZE_U8);
    adze_node *concat = NODE("Concat", x, x);
    adze_node_set_int(concat, "axis", 0);
    output(quantize(concat->outputs[0], 0.02, 100, ADZE_U8));
    EXPECT("QuantizeLinear",
           2); /* the input; the last one has another scale than what it quantizes */
    same_result(0.03);
    finish();
}

TEST(qlinear_operators_become_typed)
{
    begin();
    adze_value *s = scalar(0.02), *z = typed(ADZE_U8, 100), *t = scalar(0.05);
    adze_value *x = OP("QuantizeLinear", input(DIMS(1, 3, 6, 6)), s, z);
    int8_t bytes[4 * 3 * 3 * 3];
    int32_t bias[4] = {100, -2000, 0, 777};
    int64_t wd[4] = {4, 3, 3, 3}, bd[1] = {4};
    test_random_bytes(bytes, sizeof bytes, seed++);
    adze_tensor wt = adze_tensor_view(ADZE_I8, 4, wd, bytes);
    adze_tensor bt = adze_tensor_view(ADZE_I32, 1, bd, bias);
    int8_t no[4] = {0, 0, 0, 0};
    adze_tensor zt = adze_tensor_view(ADZE_I8, 1, bd, no);
    x = OP("QLinearConv", x, s, z, adze_graph_add_constant(g, NULL, &wt, true),
           constant(0.002f, 0.02f, DIMS(4)), adze_graph_add_constant(g, NULL, &zt, true), t, z,
           adze_graph_add_constant(g, NULL, &bt, true));
    output(OP("DequantizeLinear", x, t, z));
    EXPECT("Conv", 1);
    EXPECT("QuantizeLinear", 1);
    EXPECT("DequantizeLinear", 1);
    same_result(0);
    finish();
}

static adze_value *quantized_something(soup *s, double *scale, int64_t *zero)
{
    adze_node *pool, *concat;
    *scale = 0.02 + 0.01 * pick(s, 4);
    *zero = 90 + 20 * pick(s, 4);
    switch (pick(s, 8)) {
    case 0: return OP("Relu", any(s));
    case 1: return OP("Add", any(s), any(s));
    case 2: return OP("Mul", any(s), OP("Sigmoid", any(s)));
    case 3: return OP("HardSwish", any(s));
    case 4:
        pool = NODE(pick(s, 2) ? "MaxPool" : "AveragePool", any(s));
        adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
        adze_node_set_ints(pool, "pads", 4, (int64_t[]){1, 1, 1, 1});
        return pool->outputs[0];
    case 5:
        concat = NODE("Concat", any(s), any(s));
        adze_node_set_int(concat, "axis", 1);
        return conv_of(concat->outputs[0], weights(0, 0, DIMS(4, 8, 1, 1)), 4, 0);
    case 6: return shuffled(s);
    default: return conv_of(any(s), weights(4, 0, DIMS(4, 4, 3, 3)), 4, 1);
    }
}

TEST(any_quantized_graph_computes_nearly_the_same)
{
    for (uint64_t round = 0; round < 60; round++) {
        soup s = {.seed = round + 1};
        begin();
        s.values[s.count++] = quantize(input(DIMS(2, 4, 6, 6)), 0.02, 128, ADZE_U8);
        int wanted = 3 + pick(&s, 12);
        while (s.count < wanted) {
            double scale;
            int64_t zero;
            adze_value *next = quantized_something(&s, &scale, &zero);
            s.values[s.count++] = quantize(next, scale, zero, ADZE_U8);
        }
        output(s.values[s.count - 1]);
        output(s.values[s.count - 2]);
        same_result(0.1); /* roundings differ by a step now and then, and that spreads */
        same_integers();
        finish();
    }
}

TEST(weights_without_integer_activations_become_float)
{
    begin();
    output(conv_of(input(DIMS(1, 3, 6, 6)), weights(8, 0, DIMS(8, 3, 3, 3)), 8, 1));
    EXPECT("DequantizeLinear", 0);
    same_result(FLOAT);
    finish();
}

TEST(survives_every_failed_allocation)
{
    begin();
    adze_value *x = quantize(residual_net(input(DIMS(1, 3, 16, 16))), 0.1, 0, ADZE_I8);
    adze_node *gemm = NODE("Gemm", x, weights(5, 0, DIMS(5, 10)), constant(-1, 1, DIMS(5)));
    adze_node_set_int(gemm, "transB", 1);
    output(gemm->outputs[0]);
    adze_error err;
    long step = 1;
    for (bool done = false; !done && step < 5000; step++) {
        adze_graph *copy = NULL;
        adze_alloc_fail_after(step);
        adze_status status = adze_graph_clone(&copy, g, &err);
        if (status == ADZE_OK)
            status = adze_graph_rewrite(copy, NULL, &err);
        adze_alloc_fail_after(0);
        adze_graph_free(&copy);
        done = status == ADZE_OK;
        if (!done)
            CHECK_FAILS(status, ADZE_NO_MEMORY, &err);
    }
    CHECK(step > 20 && step < 5000);
    finish();
}
