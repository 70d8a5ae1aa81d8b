/* Every scheme on a small network: what it writes, that it computes nearly the same, that the resolved
 * recipe gives the same bytes. */
#include "test.h"
#include "adze/compress.h"
#include "adze/session.h"
#include "compress/weights.h"
#include "graph/ir.h"

#include <stdlib.h>

static adze_context *context;
static adze_model *model;
static uint64_t seed = 1;

#define DIMS(...) ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8)

static adze_value *constant(adze_graph *g, const int64_t *dims, int rank, float spread)
{
    adze_tensor t;
    CHECK_OK(adze_tensor_make(&t, ADZE_F32, rank, dims, NULL), NULL);
    test_random_floats(t.data, (size_t)adze_tensor_elements(&t), -spread, spread, seed++);
    adze_value *value = adze_graph_add_constant(g, NULL, &t, true);
    adze_tensor_free(&t);
    return value;
}

static adze_value *op(adze_graph *g, const char *type, const char *name, int n,
                      adze_value *const *inputs)
{
    return adze_graph_add_node(g, "", type, name, n, inputs, 1)->outputs[0];
}

#define OP(type, name, ...)                                                                        \
    op(g, type, name, (int)(sizeof((adze_value *[]){__VA_ARGS__}) / sizeof(adze_value *)),         \
       (adze_value *[]){__VA_ARGS__})

/* Conv, Relu, depthwise Conv, Relu, Conv, residual Add, MaxPool, GlobalAveragePool, Flatten, Gemm */
static void begin(void)
{
    adze_graph *g;
    seed = 1;
    CHECK_OK(adze_context_open(&context, NULL, NULL), NULL);
    CHECK_OK(adze_graph_create(&g, context, NULL), NULL);
    const int64_t dims[] = {adze_graph_symbol(g, "N"), 3, 8, 8};
    adze_type type = adze_type_tensor(ADZE_F32, 4, dims);
    adze_value *x = adze_graph_add_input(g, "x", &type);
    adze_value *a =
        OP("Relu", "relu1",
           OP("Conv", "conv1", x, constant(g, DIMS(16, 3, 1, 1), 1), constant(g, DIMS(16), 0.2f)));
    adze_value *w = constant(g, DIMS(16, 1, 3, 3), 0.5f);
    adze_node *dw = adze_graph_add_node(g, "", "Conv", "dw", 3,
                                        (adze_value *[]){a, w, constant(g, DIMS(16), 0.2f)}, 1);
    adze_node_set_int(dw, "group", 16);
    adze_node_set_ints(dw, "pads", 4, (const int64_t[]){1, 1, 1, 1});
    adze_value *b = OP("Relu", "relu2", dw->outputs[0]);
    adze_value *c = OP("Conv", "conv2", b, constant(g, DIMS(16, 16, 1, 1), 0.3f));
    adze_value *sum = OP("Add", "add", a, c);
    adze_node *pool = adze_graph_add_node(g, "", "MaxPool", "pool", 1, &sum, 1);
    adze_node_set_ints(pool, "kernel_shape", 2, (const int64_t[]){2, 2});
    adze_value *flat = OP("Flatten", "flat", OP("GlobalAveragePool", "mean", pool->outputs[0]));
    adze_value *y =
        OP("Gemm", "fc", flat, constant(g, DIMS(16, 5), 0.5f), constant(g, DIMS(5), 0.1f));
    CHECK_OK(adze_graph_add_output(g, y, NULL), NULL);
    CHECK_OK(adze_model_from_graph(&model, &g, NULL, NULL), NULL);
}

static void finish(void)
{
    adze_model_close(&model);
    adze_context_close(&context);
}

static void fill(adze_tensor *x, uint64_t which)
{
    CHECK_OK(adze_tensor_make(x, ADZE_F32, 4, (const int64_t[]){4, 3, 8, 8}, NULL), NULL);
    test_random_floats(x->data, 4 * 3 * 64, -1, 1, 100 + which);
}

static adze_calibration *calibrate(bool equalized)
{
    adze_calibration *c;
    adze_calibration_options options = adze_calibration_options_default();
    adze_error err;
    options.equalized = equalized;
    CHECK_OK(adze_calibration_open(&c, model, &options, &err), &err);
    for (uint64_t i = 0; i < 8; i++) {
        adze_tensor x;
        fill(&x, i);
        CHECK_OK(adze_calibration_add(c, &x, &err), &err);
        adze_tensor_free(&x);
    }
    return c;
}

static void run(float out[20], const adze_graph *g, bool fuse)
{
    adze_plan *plan;
    adze_session *session;
    adze_tensor x, y;
    adze_error err;
    adze_plan_options options = adze_plan_options_default();
    options.fuse = fuse;
    fill(&x, 3);
    CHECK_OK(adze_plan_create(&plan, g, &options, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    CHECK_OK(adze_session_run(session, &x, &y, &err), &err);
    CHECK_EQ(adze_tensor_elements(&y), 20);
    memcpy(out, y.data, 20 * sizeof *out);
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_tensor_free(&x);
}

static int count(const adze_graph *g, const char *type)
{
    int n = 0;
    for (int i = 0; i < g->node_count; i++)
        n += strcmp(g->nodes[i]->op_type, type) == 0;
    return n;
}

static char *bytes_of(const adze_model *m, size_t *size)
{
    char *bytes;
    const char *path = test_tmpfile("m.onnx");
    adze_error err;
    CHECK_OK(adze_model_save(m, path, NULL, &err), &err);
    CHECK_OK(adze_file_read(&bytes, size, path, 1 << 20, &err), &err);
    return bytes;
}

/* The result is near the float one, fused and not; the resolved recipe makes it again. */
static void check_recipe(const char *text, float tolerance)
{
    adze_recipe *recipe, *resolved;
    adze_model *made, *again;
    adze_error err;
    float expected[20], actual[20];
    size_t size, size_again;
    CHECK_OK(adze_recipe_parse(&recipe, text, "recipe", &err), &err);
    adze_calibration *c =
        adze_recipe_is_complete(recipe) ? NULL : calibrate(adze_recipe_equalizes(recipe));
    CHECK_OK(adze_quantize(&made, &resolved, model, recipe, c, &err), &err);
    CHECK_OK(adze_quantize(&again, NULL, model, resolved, NULL, &err), &err);
    run(expected, adze_model_graph(model), true);
    for (int fuse = 0; fuse < 2; fuse++) {
        run(actual, adze_model_graph(made), fuse);
        CHECK_FLOATS(actual, expected, 20, tolerance, 0);
    }
    char *bytes = bytes_of(made, &size), *bytes_again = bytes_of(again, &size_again);
    CHECK_EQ(size, size_again);
    CHECK_BYTES(bytes, bytes_again, size);
    adze_free(bytes);
    adze_free(bytes_again);
    adze_model_close(&made);
    adze_model_close(&again);
    adze_calibration_close(&c);
    adze_recipe_free(&recipe);
    adze_recipe_free(&resolved);
}

TEST(schemes)
{
    begin();
    check_recipe("{\"version\":1,\"scheme\":\"none\"}", 1e-5f);
    check_recipe("{\"version\":1,\"scheme\":\"float16\"}", 1e-3f);
    check_recipe("{\"version\":1,\"scheme\":\"weight_only\"}", 0.02f);
    check_recipe("{\"version\":1,\"scheme\":\"weight_only\",\"weights\":{\"type\":\"int4\","
                 "\"block\":8}}",
                 0.3f);
    check_recipe("{\"version\":1,\"scheme\":\"weight_only\",\"weights\":{\"type\":\"uint4\","
                 "\"symmetric\":false,\"calibrator\":\"mse\"}}",
                 0.3f);
    check_recipe("{\"version\":1,\"scheme\":\"dynamic\"}", 0.05f);
    check_recipe("{\"version\":1,\"scheme\":\"dynamic\",\"weights\":{\"type\":\"uint8\","
                 "\"granularity\":\"tensor\",\"symmetric\":false}}",
                 0.05f);
    finish();
}

TEST(static_recipes)
{
    begin();
    check_recipe("{\"version\":1}", 0.05f);
    check_recipe("{\"version\":1,\"activations\":{\"type\":\"int8\"}}", 0.05f);
    check_recipe("{\"version\":1,\"activations\":{\"type\":\"int8\",\"symmetric\":true}}", 0.1f);
    check_recipe("{\"version\":1,\"activations\":{\"symmetric\":true}}", 0.1f);
    check_recipe("{\"version\":1,\"activations\":{\"calibrator\":\"percentile\"}}", 0.1f);
    check_recipe("{\"version\":1,\"activations\":{\"calibrator\":\"entropy\"}}", 0.1f);
    check_recipe("{\"version\":1,\"activations\":{\"calibrator\":\"mse\"}}", 0.1f);
    check_recipe("{\"version\":1,\"weights\":{\"granularity\":\"tensor\"}}", 0.1f);
    check_recipe("{\"version\":1,\"equalize\":true,\"bias_correction\":true}", 0.05f);
    check_recipe("{\"version\":1,\"float_nodes\":[\"conv*\",\"Gemm\"]}", 0.05f);
    finish();
}

TEST(pairs_stand_where_they_should)
{
    begin();
    adze_calibration *c = calibrate(false);
    adze_recipe *recipe, *resolved;
    adze_model *made;
    CHECK_OK(adze_recipe_create(&recipe, "static", NULL), NULL);
    CHECK_OK(adze_quantize(&made, &resolved, model, recipe, c, NULL), NULL);
    const adze_graph *g = adze_model_graph(made);
    /* x, relu1, relu2, conv2, add, pool, mean, flat, fc; none between Conv and Relu */
    CHECK_EQ(count(g, "QuantizeLinear"), 9);
    /* 9 values, 4 weights, 3 biases (conv2 has none) */
    CHECK_EQ(count(g, "DequantizeLinear"), 16);
    /* What only moves keeps its scale. */
    const adze_named_range *before = NULL;
    for (int i = 0; i < resolved->range_count; i++) {
        before = &resolved->ranges[i];
        CHECK(before->low <= 0 && before->high >= 0);
    }
    CHECK_EQ(resolved->range_count, 9);
    CHECK_EQ(resolved->kept_count, 0);
    adze_model_close(&made);
    adze_recipe_free(&recipe);
    adze_recipe_free(&resolved);
    adze_calibration_close(&c);
    finish();
}

/* Activations written as arithmetic: HardSwish gets its name, Swish would make the file too new. The file
 * can be opened again. */
TEST(activations_as_arithmetic)
{
    adze_graph *g;
    adze_model *made, *opened;
    adze_recipe *recipe;
    adze_error err;
    float three = 3, zero = 0, six = 6;
    CHECK_OK(adze_context_open(&context, NULL, NULL), NULL);
    CHECK_OK(adze_graph_create(&g, context, NULL), NULL);
    adze_value *number[3];
    for (int i = 0; i < 3; i++) {
        adze_tensor t = adze_tensor_view(ADZE_F32, 0, NULL, (float *[]){&three, &zero, &six}[i]);
        number[i] = adze_graph_add_constant(g, NULL, &t, true);
    }
    const int64_t dims[] = {4, 3, 8, 8};
    adze_type type = adze_type_tensor(ADZE_F32, 4, dims);
    adze_value *x = adze_graph_add_input(g, "x", &type);
    x = OP("Conv", NULL, x, constant(g, DIMS(4, 3, 1, 1), 1));
    adze_value *gate = OP("Clip", NULL, OP("Add", NULL, x, number[0]), number[1], number[2]);
    x = OP("Div", NULL, OP("Mul", NULL, x, gate), number[2]);
    x = OP("Conv", NULL, x, constant(g, DIMS(4, 4, 1, 1), 1));
    x = OP("Mul", NULL, x, OP("Sigmoid", NULL, x));
    x = OP("Clip", NULL, OP("Add", NULL, x, number[0]), number[1], number[2]);
    x = OP("Conv", NULL, x, constant(g, DIMS(5, 4, 1, 1), 1));
    CHECK_OK(adze_graph_add_output(g, x, NULL), NULL);
    CHECK_OK(adze_model_from_graph(&model, &g, NULL, NULL), NULL);
    adze_calibration *c = calibrate(false);
    CHECK_OK(adze_recipe_create(&recipe, "static", NULL), NULL);
    CHECK_OK(adze_quantize(&made, NULL, model, recipe, c, &err), &err);
    CHECK_EQ(count(adze_model_graph(made), "HardSwish"), 1);
    CHECK_EQ(count(adze_model_graph(made), "Sigmoid"), 1);
    const char *path = test_tmpfile("named.onnx");
    CHECK_OK(adze_model_save(made, path, NULL, &err), &err);
    CHECK_OK(adze_model_open(&opened, context, path, &err), &err);
    adze_model_close(&opened);
    adze_model_close(&made);
    adze_recipe_free(&recipe);
    adze_calibration_close(&c);
    finish();
}

TEST(needs_data)
{
    begin();
    adze_recipe *recipe;
    adze_model *made;
    CHECK_OK(adze_recipe_create(&recipe, "static", NULL), NULL);
    CHECK_FAILS(adze_quantize(&made, NULL, model, recipe, NULL, NULL), ADZE_BAD_ARGUMENT, NULL);
    recipe->resolved = true; /* with no ranges: of another model */
    CHECK_FAILS(adze_quantize(&made, NULL, model, recipe, NULL, NULL), ADZE_BAD_MODEL, NULL);
    adze_recipe_free(&recipe);
    finish();
}

TEST(exact_parameters)
{
    adze_affine a = adze_affine_from_range(-1, 3, ADZE_U8, false);
    CHECK(a.scale == (float)(4.0 / 255));
    CHECK_EQ(a.zero_point, 64);
    a = adze_affine_from_range(0.5f, 4, ADZE_I8, false); /* zero is always inside */
    CHECK(a.scale == (float)(4.0 / 255));
    CHECK_EQ(a.zero_point, -128);
    a = adze_affine_from_range(-1, 2, ADZE_I8, true);
    CHECK(a.scale == (float)(2.0 / 127));
    CHECK_EQ(a.zero_point, 0);
    a = adze_affine_from_range(-1, 2, ADZE_U8, true);
    CHECK_EQ(a.zero_point, 128);
    a = adze_affine_from_range(0, 0, ADZE_I8, true);
    CHECK(a.scale == 1);
    CHECK_EQ(adze_affine_quantize(&a, 2.5f, -127, 127), 2); /* half to even */
    CHECK_EQ(adze_affine_quantize(&a, 1e9f, -127, 127), 127);
}

TEST(blocks)
{
    float x[2 * 5] = {1, 2, 3, 4, 5, -10, 20, -30, 40, -50};
    const int64_t dims[] = {2, 5};
    adze_tensor w = adze_tensor_view(ADZE_F32, 2, dims, x);
    adze_weight_recipe how = {.type = ADZE_I8, .symmetric = true};
    adze_grouping by_column = {1, 2}, by_row = {0, 0};
    adze_quantized q;
    adze_arena arena = {0};
    CHECK_OK(adze_weights_scales(&q, &w, &by_column, &how, NULL, &arena, NULL), NULL);
    CHECK_EQ(q.groups, 6);
    CHECK_EQ(q.scale_dims[1], 3);
    CHECK(q.affine[0].scale == (float)(2.0 * 2 / 254) && q.affine[5].scale == (float)(100.0 / 254));
    CHECK_OK(adze_weights_scales(&q, &w, &by_row, &how, NULL, &arena, NULL), NULL);
    CHECK_EQ(q.groups, 2);
    CHECK_NEAR(adze_weights_rounded(&q, &w, &by_row, &how, 9), -50, 1e-4);
    adze_arena_free(&arena);
}
