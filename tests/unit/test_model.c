/* Models: old operator forms brought to the newest, functions and subgraphs, saving and opening again, what
 * is refused, shapes and bounds as text. */
#include <stdio.h>

#include "adze/session.h"
#include "base/memory.h"
#include "formats/onnx.h"
#include "graph/ir.h"
#include "model/onnx_import.h"
#include "test.h"

/* ---- building files ---- */

enum { MOST = 16 };

typedef struct file {
    adze_arena arena;
    adze_onnx_model model;
    adze_onnx_node nodes[MOST];
    adze_onnx_tensor tensors[MOST];
    adze_onnx_value inputs[MOST], outputs[MOST];
    adze_onnx_function functions[2];
} file;

static file f;
static adze_context *context;
static adze_onnx_opset opsets[2];

static void begin(int64_t opset)
{
    memset(&f, 0, sizeof f);
    opsets[0] = (adze_onnx_opset){"", opset};
    opsets[1] = (adze_onnx_opset){"local", 1};
    f.model = (adze_onnx_model){.ir_version = 8,
                                .producer_name = "test",
                                .producer_version = "",
                                .domain = "",
                                .doc = "",
                                .opset_count = 2,
                                .opsets = opsets,
                                .functions = f.functions};
    f.model.graph = (adze_onnx_graph){.name = "g",
                                      .doc = "",
                                      .nodes = f.nodes,
                                      .initializers = f.tensors,
                                      .inputs = f.inputs,
                                      .outputs = f.outputs};
    CHECK_OK(adze_context_open(&context, NULL, NULL), NULL);
}

static void finish(void)
{
    adze_arena_free(&f.arena);
    adze_context_close(&context);
}

static adze_onnx_value value_of(const char *name, int rank, const int64_t *dims)
{
    adze_onnx_value v = {name, {.kind = ADZE_ONNX_TENSOR, .elem = 1, .rank = rank}};
    v.type.dims = ADZE_ARENA_ARRAY(&f.arena, adze_onnx_dim, (size_t)rank + 1);
    for (int i = 0; i < rank; i++)
        v.type.dims[i] = (adze_onnx_dim){dims[i], dims[i] < 0 ? "N" : NULL};
    return v;
}

#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), ((const int64_t[]){__VA_ARGS__})

static void input(const char *name, int rank, const int64_t *dims)
{
    f.inputs[f.model.graph.input_count++] = value_of(name, rank, dims);
}

static void output(const char *name)
{
    adze_onnx_value v = {name, {.kind = ADZE_ONNX_TENSOR, .elem = 1, .rank = -1}};
    f.outputs[f.model.graph.output_count++] = v;
}

/* 1, 2, 3, ... divided by ten. */
static void weights(const char *name, int rank, const int64_t *dims)
{
    int64_t n = adze_shape_elements(rank, dims);
    float *numbers = ADZE_ARENA_ARRAY(&f.arena, float, (size_t)n);
    int64_t *kept = ADZE_ARENA_ARRAY(&f.arena, int64_t, (size_t)rank + 1);
    memcpy(kept, dims, (size_t)rank * sizeof *kept);
    for (int64_t i = 0; i < n; i++)
        numbers[i] = (float)(i + 1) / 10;
    f.tensors[f.model.graph.initializer_count++] =
        (adze_onnx_tensor){.name = name,
                           .type = 1,
                           .rank = rank,
                           .dims = kept,
                           .data = (const uint8_t *)numbers,
                           .size = (size_t)n * 4,
                           .doc = ""};
}

/* "Conv: x w -> y"; "-" is an absent name, "local.F: ..." a domain. */
static adze_onnx_node node_of(const char *text)
{
    char op[64], *words = adze_arena_strdup(&f.arena, text), *save = NULL;
    adze_onnx_node n = {.name = "", .domain = "", .overload = ""};
    n.inputs = ADZE_ARENA_ARRAY(&f.arena, const char *, MOST);
    n.outputs = ADZE_ARENA_ARRAY(&f.arena, const char *, MOST);
    n.attrs = ADZE_ARENA_ARRAY(&f.arena, adze_onnx_attr, MOST);
    bool after = false;
    snprintf(op, sizeof op, "%s", strtok_r(words, ":", &save));
    n.op_type = adze_arena_strdup(&f.arena, strncmp(op, "local.", 6) == 0 ? op + 6 : op);
    n.domain = n.op_type && strncmp(op, "local.", 6) == 0 ? "local" : "";
    for (char *word; (word = strtok_r(NULL, " ", &save));) {
        if (strcmp(word, "->") == 0)
            after = true;
        else if (after)
            n.outputs[n.output_count++] = strcmp(word, "-") == 0 ? "" : word;
        else
            n.inputs[n.input_count++] = strcmp(word, "-") == 0 ? "" : word;
    }
    return n;
}

static adze_onnx_attr *attr(adze_onnx_node *n, const char *name, adze_onnx_attr_type type)
{
    adze_onnx_attr *a = &n->attrs[n->attr_count++];
    *a = (adze_onnx_attr){.name = name, .ref_name = "", .type = type, .s = {"", 0}};
    return a;
}

static adze_onnx_node *node(const char *text)
{
    f.nodes[f.model.graph.node_count] = node_of(text);
    return &f.nodes[f.model.graph.node_count++];
}

static void set_int(adze_onnx_node *n, const char *name, int64_t value)
{
    attr(n, name, ADZE_ONNX_ATTR_INT)->i = value;
}

static void set_float(adze_onnx_node *n, const char *name, float value)
{
    attr(n, name, ADZE_ONNX_ATTR_FLOAT)->f = value;
}

static void set_text(adze_onnx_node *n, const char *name, const char *value)
{
    attr(n, name, ADZE_ONNX_ATTR_STRING)->s = (adze_string){value, strlen(value)};
}

static void set_ints(adze_onnx_node *n, const char *name, int count, const int64_t *values)
{
    adze_onnx_attr *a = attr(n, name, ADZE_ONNX_ATTR_INTS);
    a->count = count;
    a->ints = adze_arena_memdup(&f.arena, values, (size_t)count * 8);
}

static const char *write_file(void)
{
    const char *path = test_tmpfile("model.onnx");
    adze_error err;
    CHECK_OK(adze_onnx_write(&f.model, path, NULL, &err), &err);
    return path;
}

static adze_model *open_file(void)
{
    adze_model *model;
    adze_error err;
    CHECK_OK(adze_model_open(&model, context, write_file(), &err), &err);
    CHECK_EQ(adze_model_issue_count(model), 0);
    return model;
}

static void refused(adze_status status, const char *why)
{
    adze_model *model = NULL;
    adze_error err;
    CHECK_FAILS(adze_model_open(&model, context, write_file(), &err), status, &err);
    if (!strstr(err.message, why))
        FAIL("'%s' is not in: %s", why, err.message);
    CHECK(!model);
}

/* Output `which` of the model on inputs 0, 1, 2, ... (- 3) / 4. */
static adze_tensor run_model(adze_model *model, int which)
{
    adze_plan *plan;
    adze_session *session;
    adze_tensor inputs[4] = {0}, outputs[4], kept;
    adze_error err;
    const adze_graph *g = adze_model_graph(model);
    CHECK_OK(adze_plan_create(&plan, g, NULL, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    for (int i = 0; i < adze_graph_input_count(g); i++) {
        adze_type type = *adze_value_type(adze_graph_input(g, i));
        for (int d = 0; d < type.rank; d++)
            type.dims[d] = type.dims[d] < 0 ? 2 : type.dims[d];
        CHECK_OK(adze_tensor_make(&inputs[i], type.dtype, type.rank, type.dims, &err), &err);
        for (int64_t e = 0; e < adze_tensor_elements(&inputs[i]); e++)
            adze_tensor_set_f64(&inputs[i], e, (double)(e % 13 - 3) / 4);
    }
    CHECK_OK(adze_session_run(session, inputs, outputs, &err), &err);
    CHECK_OK(adze_tensor_copy(&kept, &outputs[which], &err), &err);
    for (int i = 0; i < 4; i++)
        adze_tensor_free(&inputs[i]);
    adze_session_close(&session);
    adze_plan_free(&plan);
    return kept;
}

/* The result of the file as it is, and after saving and opening it again, whose opset is returned. */
static int64_t check_result(int n, const float *expected, int rank, const int64_t *dims)
{
    adze_model *model = open_file(), *again;
    const char *path = test_tmpfile("again.onnx");
    adze_error err;
    CHECK_OK(adze_model_save(model, path, NULL, &err), &err);
    CHECK_OK(adze_model_open(&again, context, path, &err), &err);
    int64_t opset = adze_model_opset(again);
    for (int i = 0; i < 2; i++) {
        adze_tensor got = run_model(i ? again : model, 0);
        CHECK_EQ(got.rank, rank);
        for (int d = 0; d < rank; d++)
            CHECK_EQ(got.dims[d], dims[d]);
        CHECK_EQ(adze_tensor_elements(&got) >= n, 1);
        CHECK_FLOATS(got.data, expected, n, 1e-5, 1e-5);
        adze_tensor_free(&got);
    }
    adze_model_close(&model);
    adze_model_close(&again);
    return opset;
}

#define RESULT(...) (int)(sizeof((float[]){__VA_ARGS__}) / 4), ((const float[]){__VA_ARGS__})

/* ---- old opsets ---- */

TEST(upsample)
{
    begin(7);
    input("x", DIMS(1, 1, 1, 2));
    adze_onnx_node *n = node("Upsample: x -> y");
    adze_onnx_attr *scales = attr(n, "scales", ADZE_ONNX_ATTR_FLOATS);
    scales->count = 4;
    scales->floats = (float[]){1, 1, 2, 2};
    set_text(n, "mode", "nearest");
    output("y");
    int64_t opset = check_result(RESULT(-0.75f, -0.75f, -0.5f, -0.5f, -0.75f, -0.75f, -0.5f, -0.5f),
                                 DIMS(1, 1, 2, 4));
    CHECK_EQ(opset >= 13, 1); /* before, regions could not be absent */
    finish();
}

/* What an opset allows beyond the form of an operator (types above all) is not known here. */
TEST(saved_opset_is_not_before_the_files)
{
    begin(17);
    input("x", DIMS(2));
    node("Add: x x -> y");
    output("y");
    CHECK_EQ(check_result(RESULT(-1.5f, -1), DIMS(2)), 17);
    finish();
}

static int64_t saved_version(const char *path, const char *domain)
{
    adze_onnx_model *saved;
    adze_error err;
    int64_t version = 0;
    CHECK_OK(adze_onnx_read(&saved, path, &f.arena, &err), &err);
    for (int i = 0; i < saved->opset_count; i++)
        if (strcmp(saved->opsets[i].domain, domain) == 0)
            version = saved->opsets[i].version;
    adze_onnx_close(saved);
    return version;
}

TEST(saved_domains_keep_their_versions)
{
    begin(17);
    opsets[1] = (adze_onnx_opset){"ai.onnx.ml", 4};
    static float numbers[2] = {-0.75f, 5};
    input("x", DIMS(2));
    adze_onnx_node *n = node("LabelEncoder: x -> y");
    n->domain = "ai.onnx.ml";
    for (int i = 0; i < 2; i++) {
        adze_onnx_attr *a = attr(n, i ? "values_floats" : "keys_floats", ADZE_ONNX_ATTR_FLOATS);
        a->count = 1;
        a->floats = &numbers[i];
    }
    output("y");
    check_result(RESULT(5, 0), DIMS(2));
    CHECK_EQ(saved_version(test_tmpfile("again.onnx"), "ai.onnx.ml"), 4);
    finish();
}

TEST(softmax_over_a_matrix)
{
    begin(11);
    input("x", DIMS(1, 2, 2, 1));
    set_int(node("Softmax: x -> y"), "axis", 1);
    output("y");
    float e[4], sum = 0, expected[4];
    for (int i = 0; i < 4; i++)
        sum += e[i] = expf((float)(i - 3) / 4);
    for (int i = 0; i < 4; i++)
        expected[i] = e[i] / sum;
    check_result(4, expected, DIMS(1, 2, 2, 1));
    finish();
}

TEST(clip_with_attributes)
{
    begin(6);
    input("x", DIMS(6));
    adze_onnx_node *n = node("Clip: x -> y");
    set_float(n, "min", -0.5f);
    set_float(n, "max", 0.25f);
    output("y");
    check_result(RESULT(-0.5f, -0.5f, -0.25f, 0, 0.25f, 0.25f), DIMS(6));
    finish();
}

TEST(slice_and_pad_with_attributes)
{
    begin(9);
    input("x", DIMS(2, 3));
    adze_onnx_node *slice = node("Slice: x -> a"), *pad = node("Pad: a -> y");
    set_ints(slice, "axes", DIMS(1));
    set_ints(slice, "starts", DIMS(1));
    set_ints(slice, "ends", DIMS(9));
    set_ints(pad, "pads", DIMS(0, 1, 0, 0));
    set_float(pad, "value", 7);
    output("y");
    check_result(RESULT(7, -0.5f, -0.25f, 7, 0.25f, 0.5f), DIMS(2, 3));
    finish();
}

TEST(dropout_mask_of_numbers)
{
    begin(7);
    input("x", DIMS(3));
    node("Dropout: x -> a mask");
    node("Add: a mask -> y"); /* a mask of booleans could not be added */
    output("y");
    check_result(RESULT(0.25f, 0.5f, 0.75f), DIMS(3));
    finish();
}

TEST(reduce_sum_split_and_top_k_with_attributes)
{
    begin(9);
    input("x", DIMS(2, 4));
    adze_onnx_node *split = node("Split: x -> a b"), *top = node("TopK: a -> v i");
    adze_onnx_node *sum = node("ReduceSum: v -> y");
    set_int(split, "axis", 1);
    set_ints(split, "split", DIMS(3, 1));
    set_int(top, "k", 2);
    set_ints(sum, "axes", DIMS(1));
    set_int(sum, "keepdims", 0);
    output("y");
    check_result(RESULT(-0.75f, 1.25f), DIMS(2));
    finish();
}

TEST(batch_normalization_of_opset_7)
{
    begin(7);
    input("x", DIMS(1, 2, 2));
    weights("w", DIMS(2));
    adze_onnx_node *n = node("BatchNormalization: x w w w w -> y");
    set_float(n, "epsilon", 0);
    set_float(n, "momentum", 0.9f);
    output("y");
    float expected[4];
    for (int i = 0; i < 4; i++) {
        float w = i < 2 ? 0.1f : 0.2f;
        expected[i] = ((float)(i - 3) / 4 - w) / sqrtf(w) * w + w;
    }
    check_result(4, expected, DIMS(1, 2, 2));
    finish();
}

TEST(broadcasting_at_an_axis)
{
    begin(6);
    input("x", DIMS(2, 3, 2));
    weights("w", DIMS(3));
    adze_onnx_node *n = node("Add: x w -> y");
    set_int(n, "axis", 1);
    set_int(n, "broadcast", 1);
    output("y");
    check_result(RESULT(-0.65f, -0.4f, -0.05f, 0.2f, 0.55f, 0.8f), DIMS(2, 3, 2));
    n->attrs[0].i = -1000;
    refused(ADZE_BAD_MODEL, "axis -997");
    finish();
}

/* ---- functions and subgraphs ---- */

static adze_onnx_node body[3];
static const char *function_inputs[] = {"a", "b"}, *function_outputs[] = {"c"};
static const char *function_attrs[] = {"slope"};

static void add_function(int nodes)
{
    f.functions[f.model.function_count++] = (adze_onnx_function){.name = "F",
                                                                 .domain = "local",
                                                                 .overload = "",
                                                                 .input_count = 2,
                                                                 .output_count = 1,
                                                                 .attr_count = 1,
                                                                 .node_count = nodes,
                                                                 .opset_count = 2,
                                                                 .inputs = function_inputs,
                                                                 .outputs = function_outputs,
                                                                 .attrs = function_attrs,
                                                                 .nodes = body,
                                                                 .opsets = opsets};
}

TEST(functions_with_attribute_references)
{
    begin(16);
    input("x", DIMS(4));
    body[0] = node_of("LeakyRelu: a -> t");
    attr(&body[0], "alpha", ADZE_ONNX_ATTR_FLOAT)->ref_name = "slope";
    body[1] = node_of("Clip: t - b -> c");
    add_function(2);
    set_float(node("local.F: x -> p"), "slope", 0.5f); /* b is left out */
    set_float(node("local.F: p -> y"), "slope", 2);
    output("y");
    check_result(RESULT(-0.75f, -0.5f, -0.25f, 0), DIMS(4));
    finish();
}

TEST(functions_that_do_not_make_their_output)
{
    begin(16);
    input("x", DIMS(4));
    body[0] = node_of("Neg: a -> t");
    add_function(1);
    node("local.F: x x -> p");
    node("Neg: p -> y");
    output("y");
    refused(ADZE_BAD_MODEL, "nothing makes");
    finish();
}

TEST(functions_that_make_their_output_twice)
{
    begin(16);
    input("x", DIMS(4));
    body[0] = node_of("Neg: a -> c");
    body[1] = node_of("Abs: a -> c");
    add_function(2);
    node("local.F: x x -> y");
    output("y");
    refused(ADZE_BAD_MODEL, "made twice");
    finish();
}

TEST(functions_that_call_themselves)
{
    begin(16);
    input("x", DIMS(4));
    body[0] = node_of("local.F: a a -> t");
    body[1] = node_of("local.F: t t -> u");
    body[2] = node_of("local.F: u u -> c");
    add_function(3);
    node("local.F: x x -> y");
    output("y");
    refused(ADZE_BAD_MODEL, "nest too deeply");
    finish();
}

/* ---- refused ---- */

TEST(names_that_clash_and_cycles)
{
    begin(16);
    input("x", DIMS(4));
    node("Neg: x -> y");
    node("Abs: x -> y");
    output("y");
    refused(ADZE_BAD_MODEL, "'y' is made twice");
    f.nodes[1] = node_of("Abs: y -> z");
    f.nodes[0] = node_of("Add: x z -> y");
    refused(ADZE_BAD_MODEL, "cycle");
    f.nodes[0] = node_of("Neg: nowhere -> y");
    refused(ADZE_BAD_MODEL, "nowhere");
    f.nodes[0] = node_of("Neg: x -> y");
    input("x", DIMS(4));
    refused(ADZE_BAD_MODEL, "two inputs are called 'x'");
    f.model.graph.input_count--;
    weights("w", DIMS(2));
    weights("w", DIMS(2));
    refused(ADZE_BAD_MODEL, "two initializers are called 'w'");
    finish();
}

TEST(operators_without_inputs_or_outputs)
{
    static const char *const ops[] = {
        "Softmax",  "Clip",   "Upsample", "TopK",    "Resize",
        "Split",    "Add",    "Pad",      "Slice",   "Conv",
        "Gemm",     "Concat", "Constant", "Scatter", "BatchNormalization",
        "ReduceSum"};
    for (size_t i = 0; i < ADZE_COUNT_OF(ops); i++) {
        char text[64];
        adze_model *model = NULL;
        adze_error err;
        for (int form = 0; form < 2; form++) {
            begin(form ? 6 : 9);
            input("x", DIMS(4));
            snprintf(text, sizeof text, form ? "%s: x ->" : "%s: -> y", ops[i]);
            adze_onnx_node *n = node(text);
            set_float(n, "min", 0);
            output(form ? "x" : "y");
            adze_status status = adze_model_open(&model, context, write_file(), &err);
            if (status != ADZE_OK)
                CHECK_FAILS(status, ADZE_BAD_MODEL, &err);
            adze_model_close(&model);
            finish();
        }
    }
}

TEST(operators_that_no_file_may_use)
{
    begin(17);
    input("x", DIMS(2, 4));
    weights("w", DIMS(3, 4));
    node("Linear: x w -> y")->domain = "adze";
    output("y");
    refused(ADZE_BAD_MODEL, "adze.Linear");
    finish();
}

/* A convolution whose numbers make no sense: refused or unsupported, never run. */
TEST(hostile_convolutions)
{
    static const int64_t groups[] = {0, -1, 3, INT64_MAX, INT64_MIN, 2};
    static const int64_t strides[] = {0, -1, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 10; i++) {
        adze_model *model = NULL;
        adze_plan *plan = NULL;
        adze_error err;
        begin(16);
        input("x", DIMS(1, 4, 5, 5));
        weights("w", DIMS(3, 2, 3, 3));
        adze_onnx_node *n = node("Conv: x w -> y");
        set_int(n, "group", i < 6 ? groups[i] : 2);
        if (i >= 6)
            set_ints(n, "strides", 2, (int64_t[]){strides[i - 6], 1});
        output("y");
        adze_status status = adze_model_open(&model, context, write_file(), &err);
        if (status == ADZE_OK)
            status = adze_plan_create(&plan, adze_model_graph(model), NULL, &err);
        if (status != ADZE_BAD_MODEL && status != ADZE_UNSUPPORTED)
            FAIL("case %d: status %d %s", i, (int)status, status ? err.message : "");
        adze_plan_free(&plan);
        adze_model_close(&model);
        finish();
    }
}

TEST(sizes_that_overflow)
{
    begin(16);
    input("x", DIMS(INT64_MAX / 2, 8, 3));
    node("Relu: x -> a");
    node("Flatten: a -> y");
    output("y");
    adze_model *model = NULL;
    adze_plan *plan = NULL;
    adze_session *session = NULL;
    adze_error err;
    adze_status status = adze_model_open(&model, context, write_file(), &err);
    if (status == ADZE_OK)
        status = adze_plan_create(&plan, adze_model_graph(model), NULL, &err);
    if (status == ADZE_OK)
        status = adze_session_open(&session, plan, NULL, &err);
    CHECK(status != ADZE_OK);
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_model_close(&model);
    finish();
}

/* ---- shapes and bounds as text ---- */

TEST(shapes_and_bounds)
{
    begin(16);
    input("x", DIMS(-1, 4));
    input("z", DIMS(-1, 4));
    node("Add: x z -> y");
    output("y");
    adze_model *model = open_file();
    adze_error err;
    static const char *const bad[] = {"x=2x5", "x=2",  "x=2x4x1", "nobody=2x4",          "2x4",
                                      "x=",    "x=2x", "x=-2x4",  "x=1x1x1x1x1x1x1x1x1", ""};
    for (size_t i = 0; i < ADZE_COUNT_OF(bad); i++)
        if (adze_model_set_shape(model, bad[i], &err) != ADZE_BAD_ARGUMENT)
            FAIL("shape %s", bad[i]);
    static const char *const bad_bounds[] = {"N", "N=", "N=0..-1", "N=a", "N=5..4", "=4", ""};
    for (size_t i = 0; i < ADZE_COUNT_OF(bad_bounds); i++)
        CHECK(adze_model_set_bound(model, bad_bounds[i], &err) != ADZE_OK);
    CHECK_FAILS(adze_model_set_bound(model, "M=4", &err), ADZE_NOT_FOUND, &err);
    CHECK_OK(adze_model_set_bound(model, "N=1..8", &err), &err);
    CHECK_OK(adze_model_set_shape(model, "x=3x4", &err), &err);
    const adze_graph *g = adze_model_graph(model);
    CHECK_EQ(adze_value_type(adze_graph_input(g, 1))->dims[0], 3);
    CHECK_EQ(adze_value_type(adze_graph_output(g, 0))->dims[0], 3);
    adze_model_close(&model);
    finish();
}

/* A description counts symbols without a bound as 1. The bounds of expressions must not keep that. */
TEST(describing_leaves_bounds_alone)
{
    begin(13);
    input("x", DIMS(-1));
    set_ints(node("Constant: -> c"), "value_ints", DIMS(256));
    node("Shape: x -> s");
    node("Sub: c s -> d");
    node("ConstantOfShape: d -> y");
    output("y");
    adze_error err;
    adze_model *model;
    char *json = NULL, *text = NULL;
    CHECK_OK(adze_model_open(&model, context, write_file(), &err), &err);
    CHECK_OK(adze_model_describe(model, &json, &text, &err), &err);
    const adze_graph *g = adze_model_graph(model);
    adze_dim rest = adze_value_type(adze_graph_output(g, 0))->dims[0];
    CHECK_EQ(adze_dim_lower(g->dims, rest), 0); /* N may be 256 */
    CHECK_EQ(adze_dim_upper(g->dims, rest), 255);
    adze_string_free(&json);
    adze_string_free(&text);
    adze_model_close(&model);
    finish();
}

/* ---- memory ---- */

TEST(metadata_is_kept)
{
    adze_onnx_meta meta[2] = {{"character", "a\nb"}, {"", "none"}};
    begin(13);
    f.model.meta = meta;
    f.model.meta_count = 2;
    input("x", DIMS(2));
    node("Relu:x -> y");
    output("y");
    adze_model *model = open_file(), *around, *again;
    adze_error err;
    adze_graph *copy;
    const char *path = test_tmpfile("kept.onnx");
    CHECK_STR(adze_model_metadata(model, "character"), "a\nb");
    CHECK(!adze_model_metadata(model, "Character"));
    CHECK_OK(adze_graph_clone(&copy, adze_model_graph(model), &err), &err);
    CHECK_OK(adze_model_from_graph(&around, &copy, model, &err), &err);
    CHECK_OK(adze_model_save(around, path, NULL, &err), &err);
    CHECK_OK(adze_model_open(&again, context, path, &err), &err);
    CHECK_STR(adze_model_metadata(again, "character"), "a\nb");
    adze_model_close(&again);
    adze_model_close(&around);
    adze_model_close(&model);
    finish();
}

TEST(out_of_memory_at_every_step_of_opening)
{
    begin(9);
    input("x", DIMS(-1, 2, 4, 4));
    weights("w", DIMS(2, 2, 3, 3));
    node("Conv: x w -> a");
    set_float(node("Clip: a -> b"), "min", 0);
    set_int(node("Softmax: b -> y"), "axis", 1);
    output("y");
    const char *path = write_file();
    adze_error err;
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK; n++) {
        adze_model *model = NULL;
        char *json = NULL, *text = NULL;
        CHECK(n < 20000);
        adze_alloc_fail_after(n);
        status = adze_model_open(&model, context, path, &err);
        adze_alloc_fail_after(0);
        if (status != ADZE_OK)
            CHECK_FAILS(status, ADZE_NO_MEMORY, &err);
        else
            CHECK_OK(adze_model_describe(model, &json, &text, &err), &err);
        adze_string_free(&json);
        adze_string_free(&text);
        adze_model_close(&model);
    }
    finish();
}
