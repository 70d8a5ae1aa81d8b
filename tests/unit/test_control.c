/* Graphs inside nodes: memory over many turns, limits of time and memory, what is captured, branches that
 * cannot run, sessions after a failure. */
#include "base/memory.h"
#include "ops/registry.h"
#include "pass_case.h"

#include <math.h>

static adze_plan *plan;
static adze_session *session;

static void open_session(const adze_session_options *options)
{
    adze_error err;
    CHECK_OK(adze_graph_infer(g, &err), &err);
    CHECK_OK(adze_plan_create(&plan, g, NULL, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, options, &err), &err);
}

static void close_session(void)
{
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

static adze_graph *child(void)
{
    adze_graph *graph;
    CHECK_OK(adze_graph_create_child(&graph, g, NULL), NULL);
    return graph;
}

static adze_value *inner_input(adze_graph *graph, adze_dtype dtype)
{
    adze_type type = {.dtype = dtype, .rank = -1};
    return adze_graph_add_input(graph, NULL, &type);
}

static adze_value *inner(adze_graph *graph, const char *op, adze_value *a, adze_value *b)
{
    adze_value *inputs[2] = {a, b};
    adze_node *node = adze_graph_add_node(graph, "", op, NULL, b ? 2 : 1, inputs, 1);
    CHECK(node);
    if (strcmp(op, "Concat") == 0)
        CHECK(adze_node_set_int(node, "axis", 0));
    return node->outputs[0];
}

static void output_of(adze_graph *graph, adze_value *value)
{
    CHECK_OK(adze_graph_add_output(graph, value, NULL), NULL);
}

static void attach(adze_node *node, const char *name, adze_graph *graph)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_GRAPH, .as.graph = graph};
    CHECK(node && adze_node_set_attr(node, &attr));
}

/* y = Loop(most, x): a = op(a, what the second input is) */
static void build_loop(const char *op, bool with_itself, bool endless)
{
    begin();
    adze_value *x = input((adze_dim[]){adze_graph_symbol(g, "N")}, 1);
    adze_type type = adze_type_tensor(ADZE_I64, 0, NULL);
    adze_value *most = adze_graph_add_input(g, "most", &type);
    adze_graph *body = child();
    inner_input(body, ADZE_I64);
    adze_value *go = inner_input(body, ADZE_BOOL), *a = inner_input(body, ADZE_F32);
    adze_value *captured = adze_graph_add_capture(body, "x_in", x);
    output_of(body, inner(body, "Identity", go, NULL));
    output_of(body, inner(body, op, a, with_itself ? a : captured));
    adze_value *inputs[3] = {endless ? NULL : most, NULL, x};
    adze_node *loop = adze_graph_add_node(g, "", "Loop", NULL, 3, inputs, 1);
    attach(loop, "body", body);
    output_of(g, loop->outputs[0]);
}

static adze_status run_loop(float *x, int64_t n, int64_t most, adze_tensor *y, adze_error *err)
{
    adze_tensor inputs[2] = {adze_tensor_view(ADZE_F32, 1, &n, x),
                             adze_tensor_view(ADZE_I64, 0, NULL, &most)};
    return adze_session_run(session, inputs, y, err);
}

TEST(control_turns_do_not_allocate)
{
    build_loop("Add", false, false);
    open_session(NULL);
    float x[4] = {1, 2, 3, 4};
    adze_tensor y;
    adze_error err;
    CHECK_OK(run_loop(x, 4, 2, &y, &err), &err);
    adze_alloc_fail_after(1);
    adze_status status = run_loop(x, 4, 1000, &y, &err);
    adze_alloc_fail_after(0);
    CHECK_OK(status, &err);
    CHECK(y.rank == 1 && y.dims[0] == 4);
    for (int i = 0; i < 4; i++)
        CHECK(((float *)y.data)[i] == 1001 * x[i]);
    CHECK_OK(run_loop(x, 3, 0, &y, &err), &err);
    CHECK(y.dims[0] == 3 && ((float *)y.data)[2] == 3);
    close_session();
}

TEST(control_shapes_grow_from_turn_to_turn)
{
    build_loop("Concat", false, false);
    open_session(NULL);
    float x[3] = {1, 2, 3};
    adze_tensor y;
    adze_error err;
    for (int64_t turns = 5; turns >= 0; turns -= 5) {
        CHECK_OK(run_loop(x, 3, turns, &y, &err), &err);
        CHECK(y.dims[0] == 3 * (turns + 1));
        for (int i = 0; i < y.dims[0]; i++)
            CHECK(((float *)y.data)[i] == x[i % 3]);
    }
    close_session();
}

TEST(control_time_is_limited)
{
    adze_session_options options = {.max_seconds = 0.05};
    build_loop("Add", false, true);
    open_session(&options);
    float x[2] = {1, 2};
    adze_tensor y;
    adze_error err;
    CHECK(run_loop(x, 2, 0, &y, &err) == ADZE_TIMEOUT);
    CHECK(run_loop(x, 2, 0, &y, &err) == ADZE_TIMEOUT);
    close_session();
}

TEST(control_memory_is_limited)
{
    adze_session_options options = {.max_bytes = 1 << 20};
    build_loop("Concat", true, false); /* twice as long with each turn */
    open_session(&options);
    float x[4] = {1, 2, 3, 4};
    adze_tensor y;
    adze_error err;
    CHECK(run_loop(x, 4, 40, &y, &err) == ADZE_LIMIT);
    CHECK(adze_session_memory(session) <= (1 << 20));
    CHECK_OK(run_loop(x, 4, 3, &y, &err), &err);
    CHECK(y.dims[0] == 32);
    close_session();
}

/* The result of a branch that hands on what it captured outlives what it captured. */
TEST(control_branches)
{
    begin();
    adze_value *x = input((adze_dim[]){64}, 1);
    adze_type flag = adze_type_tensor(ADZE_BOOL, 0, NULL);
    adze_value *cond = adze_graph_add_input(g, "cond", &flag);
    adze_value *a = NODE("Neg", x)->outputs[0];
    adze_graph *yes = child(), *no = child();
    output_of(yes, inner(yes, "Identity", adze_graph_add_capture(yes, "a_yes", a), NULL));
    adze_value *wrong = adze_graph_add_capture(no, "a_no", a);
    output_of(no, inner(no, "MatMul", wrong, inner(no, "Concat", wrong, wrong)));
    adze_node *branch = NODE("If", cond);
    attach(branch, "then_branch", yes);
    attach(branch, "else_branch", no);
    adze_value *b = NODE("Exp", x)->outputs[0];
    b = NODE("Neg", b)->outputs[0];
    output_of(g, NODE("Add", b, branch->outputs[0])->outputs[0]);
    open_session(NULL);
    float data[64];
    uint8_t take = 1;
    int64_t n = 64;
    test_random_floats(data, 64, -1, 1, 3);
    adze_tensor inputs[2] = {adze_tensor_view(ADZE_F32, 1, &n, data),
                             adze_tensor_view(ADZE_BOOL, 0, NULL, &take)},
                y;
    adze_error err;
    CHECK_OK(adze_session_run(session, inputs, &y, &err), &err);
    for (int i = 0; i < 64; i++)
        CHECK(fabsf(((float *)y.data)[i] + expf(data[i]) + data[i]) < 1e-5f);
    take = 0;
    CHECK(adze_session_run(session, inputs, &y, &err) == ADZE_BAD_MODEL);
    CHECK(strstr(err.message, "cannot run"));
    close_session();
}

/* Sizes that a failed run asked for are no memory that is there. */
TEST(control_a_failed_run_leaves_no_false_sizes)
{
    begin();
    adze_value *a = input((adze_dim[]){adze_graph_symbol(g, "N")}, 1);
    adze_value *b = input((adze_dim[]){adze_graph_symbol(g, "M")}, 1);
    adze_value *c = NODE("Neg", a)->outputs[0];
    output_of(g, NODE("Add", NODE("Exp", c)->outputs[0], b)->outputs[0]);
    open_session(NULL);
    static float x[4000];
    const int64_t sizes[3][2] = {{4, 4}, {4000, 3999}, {2000, 2000}};
    for (int i = 0; i < 3; i++) {
        adze_tensor inputs[2] = {adze_tensor_view(ADZE_F32, 1, &sizes[i][0], x),
                                 adze_tensor_view(ADZE_F32, 1, &sizes[i][1], x)},
                    y;
        adze_status status = adze_session_run(session, inputs, &y, NULL);
        CHECK(i == 1 ? status == ADZE_BAD_DATA : status == ADZE_OK);
    }
    CHECK(adze_session_memory(session) >= 2000 * sizeof(float));
    close_session();
}
