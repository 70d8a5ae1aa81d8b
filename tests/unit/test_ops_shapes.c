/* Shapes with symbols through the operators that compute and use them, as exported models do. */
#include "op_case.h"

#include <stdlib.h>

typedef struct flow {
    adze_context *context;
    adze_graph *graph;
    adze_error error;
} flow;

static void open_flow(flow *f)
{
    memset(f, 0, sizeof *f);
    adze_context_options options = adze_context_options_default();
    CHECK_OK(adze_context_open(&f->context, &options, &f->error), &f->error);
    CHECK_OK(adze_graph_create(&f->graph, f->context, &f->error), &f->error);
}

static void close_flow(flow *f)
{
    adze_graph_free(&f->graph);
    adze_context_close(&f->context);
}

static adze_value *ints(flow *f, int rank, int n, const int64_t *values)
{
    int64_t dims[1] = {n};
    adze_tensor t = adze_tensor_view(ADZE_I64, rank, dims, (void *)(uintptr_t)values);
    return adze_graph_add_constant(f->graph, NULL, &t, true);
}

static adze_value *number(flow *f, int64_t value)
{
    return ints(f, 0, 1, &value);
}
static adze_value *list(flow *f, int64_t value)
{
    return ints(f, 1, 1, &value);
}

static adze_node *node(flow *f, const char *op, int n, adze_value **inputs)
{
    return adze_graph_add_node(f->graph, "", op, NULL, n, inputs, 1);
}

static adze_value *apply(flow *f, const char *op, adze_value *a, adze_value *b, adze_value *c,
                         adze_value *d)
{
    adze_value *inputs[] = {a, b, c, d};
    return node(f, op, d ? 4 : c ? 3 : b ? 2 : 1, inputs)->outputs[0];
}

static adze_value *picture(flow *f, int rank, const char *const *names)
{
    adze_type type = {.kind = ADZE_VALUE_TENSOR, .dtype = ADZE_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        type.dims[i] = names[i][0] >= '0' && names[i][0] <= '9'
                           ? (adze_dim)strtol(names[i], NULL, 10)
                           : adze_graph_symbol(f->graph, names[i]);
    return adze_graph_add_input(f->graph, NULL, &type);
}

static void check_type(flow *f, const adze_value *v, const char *expected)
{
    char text[200];
    CHECK_OK(adze_graph_infer(f->graph, &f->error), &f->error);
    CHECK_STR(adze_type_format(f->graph, &v->type, text, sizeof text), expected);
}

TEST(flatten_by_computed_shape)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 4, (const char *const[]){"N", "16", "H", "W"});
    adze_value *n =
        apply(&f, "Gather", apply(&f, "Shape", x, NULL, NULL, NULL), number(&f, 0), NULL, NULL);
    adze_value *parts[2] = {apply(&f, "Unsqueeze", n, list(&f, 0), NULL, NULL), list(&f, -1)};
    adze_node *concat = node(&f, "Concat", 2, parts);
    CHECK(adze_node_set_int(concat, "axis", 0));
    check_type(&f, apply(&f, "Reshape", x, concat->outputs[0], NULL, NULL), "float32[N,16*(H*W)]");
    close_flow(&f);
}

TEST(heads_of_attention)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 3, (const char *const[]){"B", "S", "64"});
    adze_value *y = apply(&f, "Reshape", x, ints(&f, 1, 4, (int64_t[]){0, 0, 8, -1}), NULL, NULL);
    adze_node *t = node(&f, "Transpose", 1, &y);
    CHECK(adze_node_set_ints(t, "perm", 4, (int64_t[]){0, 2, 1, 3}));
    check_type(&f, t->outputs[0], "float32[B,8,S,8]");
    close_flow(&f);
}

TEST(slice_up_to_a_symbol)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 2, (const char *const[]){"B", "S"});
    adze_value *table = picture(&f, 2, (const char *const[]){"1", "512"});
    CHECK_OK(adze_graph_bound(f.graph, "S", 1, 512, &f.error), &f.error);
    adze_node *shape = node(&f, "Shape", 1, &x);
    CHECK(adze_node_set_int(shape, "start", 1));
    adze_value *y = apply(&f, "Slice", table, list(&f, 0), shape->outputs[0], list(&f, 1));
    check_type(&f, y, "float32[1,S]");
    close_flow(&f);
}

TEST(slice_off_the_last)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 2, (const char *const[]){"B", "S"});
    adze_value *y = apply(&f, "Slice", x, list(&f, 0), list(&f, -1), list(&f, 1));
    check_type(&f, y, "float32[B,S-1]");
    y = apply(&f, "Slice", x, list(&f, -1), list(&f, INT64_MAX), list(&f, 1));
    check_type(&f, y, "float32[B,1]");
    close_flow(&f);
}

TEST(slice_of_what_may_be_shorter)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 2, (const char *const[]){"B", "S"});
    adze_value *y = apply(&f, "Slice", x, list(&f, -5), list(&f, INT64_MAX), list(&f, 1));
    check_type(&f, y, "float32[B,min(S,5)]");
    y = apply(&f, "Slice", x, list(&f, 0), list(&f, -5), list(&f, 1));
    check_type(&f, y, "float32[B,max(S-5,0)]");
    y = apply(&f, "Slice", x, list(&f, 2), list(&f, -3), list(&f, 1));
    check_type(&f, y, "float32[B,max(max(S-3,0)-min(S,2),0)]");
    close_flow(&f);
}

/* PyTorch writes flips with the least number but one as their end. */
TEST(slice_backwards_to_the_end)
{
    for (int k = 0; k < 2; k++) {
        flow f;
        open_flow(&f);
        adze_value *x = picture(&f, 2, (const char *const[]){"S", "2"});
        adze_value *end = list(&f, INT64_MIN + k);
        adze_value *inputs[] = {x, list(&f, -1), end, list(&f, 0), list(&f, -1)};
        check_type(&f, node(&f, "Slice", 5, inputs)->outputs[0], "float32[S,2]");
        inputs[3] = list(&f, 1);
        check_type(&f, node(&f, "Slice", 5, inputs)->outputs[0], "float32[S,2]");
        close_flow(&f);
    }
}

TEST(squeeze_of_all_ones)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 3, (const char *const[]){"B", "1", "2"});
    adze_value *y = apply(&f, "Squeeze", x, NULL, NULL, NULL);
    check_type(&f, y, "float32[...]"); /* B may be 1 */
    CHECK_OK(adze_graph_bound(f.graph, "B", 2, 8, &f.error), &f.error);
    check_type(&f, y, "float32[B,2]");
    close_flow(&f);
}

TEST(expand_by_where_equal)
{
    flow f; /* what PyTorch writes for x.expand(n, -1, 4) */
    open_flow(&f);
    adze_value *x = picture(&f, 3, (const char *const[]){"1", "S", "1"});
    adze_value *wanted = ints(&f, 1, 3, (int64_t[]){5, -1, 4});
    adze_value *ones = ints(&f, 1, 3, (int64_t[]){1, 1, 1});
    adze_value *left = ints(&f, 1, 3, (int64_t[]){-1, -1, -1});
    adze_value *equal = apply(&f, "Equal", wanted, left, NULL, NULL);
    adze_value *shape = apply(&f, "Where", equal, ones, wanted, NULL);
    check_type(&f, apply(&f, "Expand", x, shape, NULL, NULL), "float32[5,S,4]");
    close_flow(&f);
}

TEST(size_arithmetic)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 2, (const char *const[]){"A", "B"});
    adze_value *shape = apply(&f, "Shape", x, NULL, NULL, NULL);
    adze_value *a = apply(&f, "Gather", shape, number(&f, 0), NULL, NULL);
    adze_value *twice = apply(&f, "Mul", a, number(&f, 2), NULL, NULL);
    adze_value *less = apply(&f, "Sub", twice, number(&f, 1), NULL, NULL);
    adze_value *range = apply(&f, "Range", number(&f, 0), less, number(&f, 1), NULL);
    check_type(&f, range, "int64[2*A-1]");
    close_flow(&f);
}

TEST(resize_and_pad_keep_symbols)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 4, (const char *const[]){"1", "3", "H", "W"});
    float up[4] = {1, 1, 2, 0.5f};
    int64_t four = 4;
    adze_tensor t = adze_tensor_view(ADZE_F32, 1, &four, up);
    adze_value *scales = adze_graph_add_constant(f.graph, NULL, &t, true);
    check_type(&f, apply(&f, "Resize", x, scales, scales, NULL), "float32[1,3,2*H,W/2]");
    adze_value *pads = ints(&f, 1, 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 2});
    check_type(&f, apply(&f, "Pad", x, pads, NULL, NULL), "float32[1,3,H+2,W+3]");
    close_flow(&f);
}

TEST(split_concat_pools_of_symbols)
{
    flow f;
    open_flow(&f);
    adze_value *x = picture(&f, 2, (const char *const[]){"B", "12"});
    adze_node *split = adze_graph_add_node(f.graph, "", "Split", NULL, 1, &x, 5);
    CHECK(adze_node_set_int(split, "axis", 1));
    check_type(&f, split->outputs[3], "float32[B,3]");
    CHECK_EQ(split->outputs[4]->type.dims[1], 0);
    adze_node *concat = node(&f, "Concat", 5, split->outputs);
    CHECK(adze_node_set_int(concat, "axis", 0));
    close_flow(&f);
}

typedef struct size_case {
    const char *op;
    adze_dtype dtype;
    int rank;
    int64_t dims[4];
    int at, count, outputs; /* the input that gives sizes */
    int64_t sizes[4];
} size_case;

/* Sizes below zero are refused where they are inferred, not taken for symbols. */
TEST(sizes_below_zero_are_refused)
{
    static const float zeros[64];
    static const int64_t one[2] = {1, 1};
    static const size_case cases[] = {
        {"Split", ADZE_F32, 1, {4}, 1, 2, 2, {5, -1}},
        {"CenterCropPad", ADZE_F32, 2, {4, 4}, 1, 2, 1, {-3, 4}},
        {"AffineGrid", ADZE_F32, 3, {1, 2, 3}, 1, 4, 1, {1, 1, -3, 4}},
        {"Col2Im", ADZE_F32, 3, {1, 1, 5}, 1, 2, 1, {-5, 5}},
        {"MaxUnpool", ADZE_F32, 4, {1, 1, 2, 2}, 2, 4, 1, {1, 1, -4, 4}},
        {"OneHot", ADZE_I64, 1, {2}, 1, 1, 1, {-3}},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        const size_case *e = &cases[i];
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, e->dtype, e->rank, e->dims, zeros, NULL);
        if (e->at == 2)
            op_case_input(&c, ADZE_I64, e->rank, e->dims, zeros, NULL);
        op_case_input(&c, ADZE_I64, 1, (int64_t[]){e->count}, e->sizes, NULL);
        if (strcmp(e->op, "Col2Im") == 0)
            op_case_input(&c, ADZE_I64, 1, (int64_t[]){2}, one, NULL);
        if (strcmp(e->op, "OneHot") == 0)
            op_case_input(&c, ADZE_F32, 1, (int64_t[]){2}, zeros, NULL);
        adze_node *node = op_case_node(&c, e->op, e->outputs);
        if (strcmp(e->op, "MaxUnpool") == 0)
            CHECK(adze_node_set_ints(node, "kernel_shape", 2, (int64_t[]){2, 2}));
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
        op_case_close(&c);
    }
}

static adze_value *of_type(flow *f, adze_dtype dtype)
{
    adze_type type = {.kind = ADZE_VALUE_TENSOR, .dtype = dtype, .rank = 3, .dims = {1, 4, 4}};
    return adze_graph_add_input(f->graph, NULL, &type);
}

static void types_fail(const char *op, const adze_dtype *types, const char *message)
{
    flow f;
    open_flow(&f);
    adze_value *v[3];
    for (int i = 0; i < 3; i++)
        v[i] = of_type(&f, types[i]);
    apply(&f, op, v[0], v[1], v[2], NULL);
    CHECK_FAILS(adze_graph_infer(f.graph, &f.error), ADZE_BAD_MODEL, &f.error);
    CHECK(strstr(f.error.message, message));
    close_flow(&f);
}

TEST(inputs_of_another_type_are_named)
{
    types_fail("Where", (const adze_dtype[]){ADZE_F32, ADZE_F32, ADZE_F32},
               "input 0 is of type float32, expected bool");
    types_fail("Where", (const adze_dtype[]){ADZE_BOOL, ADZE_I8, ADZE_F32},
               "input 2 is of type float32, expected int8");
    types_fail("ConvTranspose", (const adze_dtype[]){ADZE_F32, ADZE_F16, ADZE_F32},
               "input 1 is of type float16, expected float32");
}
