/* Sessions: many over one plan, in many threads, with shapes that change, with values whose size the data
 * decide, with state; and what they say of inputs that do not fit. */
#include <pthread.h>

#include "base/memory.h"
#include "ops/registry.h"
#include "pass_case.h"

static adze_dim symbol(const char *name)
{
    return adze_graph_symbol(g, name);
}

static void set_output(adze_node *n)
{
    CHECK(n);
    CHECK_OK(adze_graph_add_output(g, n->outputs[0], NULL), NULL);
}

static adze_plan *plan_of(bool fuse, bool keep_all)
{
    adze_plan_options options = {.fuse = fuse, .keep_all = keep_all};
    adze_plan *plan;
    adze_error err;
    CHECK_OK(adze_graph_infer(g, &err), &err);
    CHECK_OK(adze_plan_create(&plan, g, &options, &err), &err);
    return plan;
}

static adze_session *session_of(const adze_plan *plan)
{
    adze_session *session;
    adze_error err;
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    return session;
}

static adze_tensor random_input(const int64_t *dims, int rank, uint64_t random)
{
    adze_tensor t;
    CHECK_OK(adze_tensor_make(&t, ADZE_F32, rank, dims, NULL), NULL);
    test_random_floats(t.data, (size_t)adze_tensor_elements(&t), -2, 2, random);
    return t;
}

/* x[N, 3, H, W] -> Conv -> Relu -> + residual -> GlobalAveragePool -> Flatten -> Gemm -> Softmax */
static void build_network(adze_dim n, adze_dim h, adze_dim w)
{
    adze_value *x = input((adze_dim[]){n, 3, h, w}, 4);
    adze_node *conv = NODE("Conv", x, constant(-1, 1, DIMS(8, 3, 3, 3)), constant(-1, 1, DIMS(8)));
    CHECK(adze_node_set_ints(conv, "pads", 4, (int64_t[]){1, 1, 1, 1}));
    adze_node *relu = NODE("Relu", conv->outputs[0]);
    adze_node *again = NODE("Conv", relu->outputs[0], constant(-1, 1, DIMS(8, 8, 1, 1)));
    adze_node *sum = NODE("Add", again->outputs[0], relu->outputs[0]);
    adze_node *pool = NODE("GlobalAveragePool", sum->outputs[0]);
    adze_node *flat = NODE("Flatten", pool->outputs[0]);
    adze_node *product = NODE("MatMul", flat->outputs[0], constant(-1, 1, DIMS(8, 5)));
    set_output(NODE("Softmax", product->outputs[0]));
}

typedef struct worker {
    const adze_plan *plan;
    const adze_tensor *input;
    float result[10];
    adze_status status;
} worker;

static void *work(void *user)
{
    worker *w = user;
    adze_session *session = NULL;
    adze_tensor out;
    w->status = adze_session_open(&session, w->plan, NULL, NULL);
    for (int i = 0; i < 20 && w->status == ADZE_OK; i++)
        w->status = adze_session_run(session, w->input, &out, NULL);
    if (w->status == ADZE_OK)
        memcpy(w->result, out.data, sizeof w->result);
    adze_session_close(&session);
    return NULL;
}

TEST(an_input_without_data_is_refused)
{
    begin();
    build_network(2, 9, 7);
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    adze_tensor out, x = adze_tensor_view(ADZE_F32, 4, (int64_t[]){2, 3, 9, 7}, NULL);
    adze_error err;
    CHECK_FAILS(adze_session_run(session, &x, &out, &err), ADZE_BAD_ARGUMENT, &err);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(sessions_of_one_plan_in_many_threads)
{
    enum { WORKERS = 4 };
    begin();
    build_network(2, 9, 7);
    adze_plan *plan = plan_of(true, false);
    adze_tensor x = random_input(DIMS(2, 3, 9, 7), 4);
    worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.plan = plan, .input = &x};
        CHECK_EQ(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WORKERS; i++) {
        CHECK_EQ(workers[i].status, ADZE_OK);
        CHECK_BYTES(workers[i].result, workers[0].result, sizeof workers[0].result);
    }
    adze_tensor_free(&x);
    adze_plan_free(&plan);
    finish();
}

TEST(repeating_a_run_allocates_nothing)
{
    for (int fuse = 0; fuse < 2; fuse++) {
        begin();
        build_network(symbol("N"), symbol("H"), symbol("W"));
        adze_plan *plan = plan_of(fuse != 0, false);
        adze_session *session = session_of(plan);
        adze_tensor x = random_input(DIMS(2, 3, 9, 7), 4), out;
        adze_error err;
        float first[10];
        CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
        memcpy(first, out.data, sizeof first);
        adze_alloc_fail_after(1);
        adze_status status = adze_session_run(session, &x, &out, &err);
        adze_alloc_fail_after(0);
        CHECK_OK(status, &err);
        CHECK_BYTES(out.data, first, sizeof first);
        adze_tensor_free(&x);
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
}

TEST(a_smaller_shape_allocates_nothing)
{
    begin();
    build_network(symbol("N"), symbol("H"), symbol("W"));
    CHECK_OK(adze_graph_bound(g, "N", 1, 3, NULL), NULL);
    CHECK_OK(adze_graph_bound(g, "H", 1, 12, NULL), NULL);
    CHECK_OK(adze_graph_bound(g, "W", 1, 12, NULL), NULL);
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    adze_tensor x = random_input(DIMS(3, 3, 12, 12), 4), small = random_input(DIMS(1, 3, 5, 12), 4),
                out;
    adze_error err;
    CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
    size_t memory = adze_session_memory(session);
    CHECK_OK(adze_session_run(session, &small, &out, &err), &err);
    CHECK_EQ(adze_session_memory(session), memory);
    CHECK_EQ(out.dims[0], 1);
    adze_tensor_free(&x);
    adze_tensor_free(&small);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(shapes_in_turn_give_what_fresh_sessions_give)
{
    begin();
    build_network(symbol("N"), symbol("H"), symbol("W"));
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    uint64_t random = 5;
    for (int i = 0; i < 20; i++) {
        int64_t dims[] = {1 + (int64_t)(test_random(&random) % 3), 3,
                          3 + (int64_t)(test_random(&random) % 14),
                          3 + (int64_t)(test_random(&random) % 14)};
        adze_tensor x = random_input(dims, 4, random), out, expected;
        adze_session *fresh = session_of(plan);
        adze_error err;
        CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
        CHECK_OK(adze_session_run(fresh, &x, &expected, &err), &err);
        CHECK_EQ(out.size, expected.size);
        CHECK_BYTES(out.data, expected.data, out.size);
        adze_session_close(&fresh);
        adze_tensor_free(&x);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(values_whose_size_the_data_decide)
{
    begin();
    adze_value *x = input((adze_dim[]){symbol("N")}, 1);
    adze_node *where = NODE("NonZero", x);
    adze_node *turned = NODE("Transpose", where->outputs[0]);
    set_output(NODE("GatherND", x, turned->outputs[0]));
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    static const float data[3][6] = {{0, 1, 2, 0, 3, 0}, {0}, {1, 2, 3, 4, 5, 6}};
    static const int expected[] = {3, 0, 6};
    for (int i = 0; i < 6; i++) {
        adze_tensor t =
            adze_tensor_view(ADZE_F32, 1, (int64_t[]){6}, (void *)(uintptr_t)data[i % 3]);
        adze_tensor out;
        adze_error err;
        adze_alloc_fail_after(i < 3 ? 0 : 1); /* what was allocated is kept */
        adze_status status = adze_session_run(session, &t, &out, &err);
        adze_alloc_fail_after(0);
        CHECK_OK(status, &err);
        CHECK_EQ(adze_tensor_elements(&out), expected[i % 3]);
        for (int k = 0, at = 0; k < 6; k++)
            if (data[i % 3][k] != 0)
                CHECK_NEAR(((const float *)out.data)[at++], data[i % 3][k], 0);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(ranks_that_a_run_decides)
{
    begin();
    adze_value *x = input((adze_dim[]){symbol("N"), 1, 2}, 3);
    set_output(NODE("Sigmoid", NODE("Squeeze", x)->outputs[0]));
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    for (int n = 3; n > 0; n--) {
        adze_tensor t = random_input((int64_t[]){n, 1, 2}, 3, 1), out;
        adze_error err;
        CHECK_OK(adze_session_run(session, &t, &out, &err), &err);
        CHECK_EQ(out.rank, n == 1 ? 1 : 2);
        CHECK_EQ(adze_tensor_elements(&out), 2 * n);
        adze_tensor_free(&t);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(state_persists_and_resets)
{
    begin();
    float zero[2] = {0, 0}, step[2] = {1, 10};
    adze_tensor initial = adze_tensor_view(ADZE_F32, 1, (int64_t[]){2}, zero);
    adze_value *state = adze_graph_add_state(g, "sum", &initial);
    adze_node *add = NODE("Add", input((adze_dim[]){2}, 1), state);
    adze_graph_set_next(state, add->outputs[0]);
    set_output(add);
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan), *other = session_of(plan);
    adze_tensor x = adze_tensor_view(ADZE_F32, 1, (int64_t[]){2}, step), out;
    adze_error err;
    for (int i = 1; i <= 3; i++) {
        CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
        CHECK_NEAR(((const float *)out.data)[1], 10 * i, 0);
    }
    CHECK_OK(adze_session_run(other, &x, &out, &err), &err);
    CHECK_NEAR(((const float *)out.data)[1], 10, 0);
    adze_session_reset(session);
    CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
    CHECK_NEAR(((const float *)out.data)[0], 1, 0);
    adze_session_close(&session);
    adze_session_close(&other);
    adze_plan_free(&plan);
    finish();
}

/* A node that may overwrite its input writes the next value where the state lies; starting from zeros needs no
 * bytes; a view of the new value sees it in the same run. */
TEST(state_written_in_place)
{
    begin();
    adze_tensor zeros = adze_tensor_view(ADZE_F32, 2, (int64_t[]){1000, 1000}, NULL);
    adze_value *state = adze_graph_add_state(g, "cache", &zeros);
    adze_node *add = NODE("Add", state, input((adze_dim[]){1}, 1));
    adze_graph_set_next(state, add->outputs[0]);
    adze_node *most = NODE("ReduceMax", add->outputs[0]);
    CHECK(adze_node_set_int(most, "keepdims", 0));
    set_output(most);
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    float step = 2;
    adze_tensor x = adze_tensor_view(ADZE_F32, 1, (int64_t[]){1}, &step), out;
    adze_error err;
    for (int i = 1; i <= 3; i++) {
        CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
        CHECK_NEAR(*(const float *)out.data, 2 * i, 0);
    }
    CHECK(adze_session_memory(session) < 9000000); /* the state once, and scratch of ReduceMax */
    adze_session_reset(session);
    CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
    CHECK_NEAR(*(const float *)out.data, 2, 0);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

/* All states take their next values at once, whatever their order. */
TEST(states_that_change_places)
{
    begin();
    float one = 1, two = 2;
    adze_tensor first = adze_tensor_view(ADZE_F32, 0, NULL, &one);
    adze_tensor second = adze_tensor_view(ADZE_F32, 0, NULL, &two);
    adze_value *a = adze_graph_add_state(g, "a", &first),
               *b = adze_graph_add_state(g, "b", &second);
    adze_graph_set_next(a, b);
    adze_graph_set_next(b, a);
    adze_value *x = input(NULL, 0);
    adze_node *product = NODE("Mul", a, scalar(10));
    adze_node *sum = NODE("Add", product->outputs[0], b);
    set_output(NODE("Add", sum->outputs[0], x));
    CHECK_OK(adze_graph_add_output(g, a, NULL), NULL); /* what it was during the run */
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    float zero = 0;
    adze_tensor in = adze_tensor_view(ADZE_F32, 0, NULL, &zero), out[2];
    adze_error err;
    static const float expected[] = {12, 21, 12}, states[] = {1, 2, 1};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(adze_session_run(session, &in, out, &err), &err);
        CHECK_NEAR(*(const float *)out[0].data, expected[i], 0);
        CHECK_NEAR(*(const float *)out[1].data, states[i], 0);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

TEST(inputs_that_do_not_fit)
{
    begin();
    adze_value *a = input((adze_dim[]){symbol("N"), 4}, 2),
               *b = input((adze_dim[]){symbol("N"), 4}, 2);
    set_output(NODE("Add", a, b));
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    adze_tensor good = random_input(DIMS(2, 4), 1), wide = random_input(DIMS(2, 5), 1);
    adze_tensor flat = random_input(DIMS(8), 1), longer = random_input(DIMS(3, 4), 1), out, whole;
    CHECK_OK(adze_tensor_make(&whole, ADZE_I64, 2, (int64_t[]){2, 4}, NULL), NULL);
    const adze_tensor *bad[] = {&wide, &flat, &longer, &whole};
    const char *name = adze_value_name(adze_graph_input(g, 1));
    adze_error err;
    for (size_t i = 0; i < 4; i++) {
        CHECK_FAILS(adze_session_run(session, (adze_tensor[]){good, *bad[i]}, &out, &err),
                    ADZE_BAD_DATA, &err);
        CHECK(strstr(err.message, name));
    }
    CHECK_OK(adze_session_run(session, (adze_tensor[]){good, good}, &out, &err), &err);
    adze_tensor_free(&good);
    adze_tensor_free(&wide);
    adze_tensor_free(&flat);
    adze_tensor_free(&longer);
    adze_tensor_free(&whole);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

static void count_nodes(void *user, const adze_node *node, int output, adze_tensor *tensor)
{
    CHECK(adze_node_op(node) && output == 0 && tensor->data && adze_tensor_elements(tensor) > 0);
    ++*(int *)user;
}

TEST(keeping_and_observing_all_values)
{
    begin();
    build_network(1, 6, 6);
    adze_plan *plan = plan_of(false, true);
    int seen = 0;
    adze_session_options options = {.observe = count_nodes, .observe_user = &seen, .profile = true};
    adze_session *session;
    adze_error err;
    CHECK_OK(adze_session_open(&session, plan, &options, &err), &err);
    adze_tensor x = random_input(DIMS(1, 3, 6, 6), 4), out;
    CHECK_OK(adze_session_run(session, &x, &out, &err), &err);
    const adze_graph *planned = adze_plan_graph(plan);
    CHECK_EQ(seen, planned->node_count);
    for (int i = 0; i < planned->node_count; i++)
        CHECK(adze_session_value(session, planned->nodes[i]->outputs[0]->name));
    CHECK(!adze_session_value(session, "no such value"));
    for (int i = 0; i < adze_session_step_count(session); i++) {
        adze_step_profile step;
        adze_session_step(session, i, &step);
        CHECK_EQ(step.runs, 1);
    }
    adze_tensor_free(&x);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

/* Views of views between operators that write in place, of inputs and of constants. */
TEST(views_and_work_in_place)
{
    float results[2][24];
    for (int fuse = 0; fuse < 2; fuse++) {
        begin();
        seed = 1;
        adze_value *x = input((adze_dim[]){2, 3, 4}, 3);
        adze_node *view = NODE("Reshape", x, ints((int64_t[]){6, 4}, 2));
        adze_node *first = NODE("Neg", view->outputs[0]);
        adze_node *again = NODE("Reshape", first->outputs[0], ints((int64_t[]){4, 6}, 2));
        adze_node *third = NODE("Reshape", again->outputs[0], ints((int64_t[]){24}, 1));
        adze_node *second = NODE("Abs", third->outputs[0]);
        adze_node *twice = NODE("Add", second->outputs[0], second->outputs[0]);
        adze_node *back = NODE("Reshape", twice->outputs[0], ints((int64_t[]){6, 4}, 2));
        adze_node *mixed = NODE("Sub", back->outputs[0], first->outputs[0]);
        adze_node *scaled = NODE("Mul", mixed->outputs[0], mixed->outputs[0]);
        set_output(NODE("Sub", scaled->outputs[0], view->outputs[0]));
        adze_plan *plan = plan_of(fuse != 0, false);
        adze_session *session = session_of(plan);
        adze_tensor in = random_input(DIMS(2, 3, 4), 4), out;
        adze_error err;
        for (int i = 0; i < 2; i++)
            CHECK_OK(adze_session_run(session, &in, &out, &err), &err);
        memcpy(results[fuse], out.data, sizeof results[fuse]);
        const float *v = in.data;
        for (int i = 0; i < 24; i++) {
            float m = 2 * fabsf(v[i]) + v[i];
            CHECK_NEAR(results[fuse][i], m * m - v[i], 1e-5);
        }
        adze_tensor_free(&in);
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
    CHECK_FLOATS(results[1], results[0], 24, 1e-6, 1e-6);
}

/* Each allocation fails in turn: an error, nothing lost. */
TEST(out_of_memory_at_every_step)
{
    begin();
    build_network(symbol("N"), 6, 6);
    adze_error err;
    CHECK_OK(adze_graph_infer(g, &err), &err);
    adze_tensor x = random_input(DIMS(2, 3, 6, 6), 4), out;
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK; n++) {
        adze_plan *plan = NULL;
        adze_session *session = NULL;
        CHECK(n < 20000);
        adze_alloc_fail_after(n);
        status = adze_plan_create(&plan, g, NULL, &err);
        if (status == ADZE_OK)
            status = adze_session_open(&session, plan, NULL, &err);
        if (status == ADZE_OK)
            status = adze_session_run(session, &x, &out, &err);
        adze_alloc_fail_after(0);
        if (status != ADZE_OK)
            CHECK_FAILS(status, ADZE_NO_MEMORY, &err);
        adze_session_close(&session);
        adze_plan_free(&plan);
    }
    adze_tensor_free(&x);
    finish();
}

/* An axis that stays has no elements: nothing to read, nothing to write. */
TEST(reducing_to_nothing)
{
    begin();
    adze_value *x = input((adze_dim[]){2, 0, 4}, 3);
    adze_node *reduced = NODE("ReduceMax", x, ints((int64_t[]){0}, 1));
    set_output(reduced);
    adze_plan *plan = plan_of(true, false);
    adze_session *session = session_of(plan);
    adze_tensor in = random_input(DIMS(2, 0, 4), 1), out;
    adze_error err;
    CHECK_OK(adze_session_run(session, &in, &out, &err), &err);
    CHECK_EQ(adze_tensor_elements(&out), 0);
    adze_tensor_free(&in);
    adze_session_close(&session);
    adze_plan_free(&plan);
    finish();
}

/* Weights are packed although nothing is known of the axis they are summed over; a run that does not fit says so. */
TEST(products_over_a_symbol)
{
    for (int gemm = 0; gemm < 2; gemm++) {
        begin();
        adze_value *x = input((adze_dim[]){symbol("N"), symbol("K")}, 2);
        set_output(NODE(gemm ? "Gemm" : "MatMul", x, constant(2, 2, DIMS(5, 3))));
        adze_plan *plan = plan_of(true, false);
        CHECK(adze_plan_memory(plan) > 0);
        adze_session *session = session_of(plan);
        float ones[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        adze_tensor in = adze_tensor_view(ADZE_F32, 2, (int64_t[]){2, 5}, ones), out;
        adze_error err;
        CHECK_OK(adze_session_run(session, &in, &out, &err), &err);
        for (int i = 0; i < 6; i++)
            CHECK_EQ(((const float *)out.data)[i], 10);
        in = adze_tensor_view(ADZE_F32, 2, (int64_t[]){2, 4}, ones);
        CHECK_EQ(adze_session_run(session, &in, &out, &err), ADZE_BAD_DATA);
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
}
