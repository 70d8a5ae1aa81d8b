/* What a file may make adze take: memory while it is read, planned and run, and time while one node runs. */
#include <time.h>

#include "adze/model.h"
#include "base/memory.h"
#include "base/threads.h"
#include "ops/registry.h"
#include "pass_case.h"

enum { MILLION = 1000000 };

TEST(limit_of_all_memory)
{
    adze_error err;
    CHECK(adze_memory_limit() > 0);
    CHECK(adze_memory_limit() <= adze_machine_memory() / 2);
    size_t before = adze_memory_in_use();
    adze_memory_set_limit(before + 3 * MILLION);
    void *first = adze_alloc(2, MILLION);
    CHECK(first && adze_memory_in_use() == before + 2 * MILLION);
    CHECK(!adze_alloc(2, MILLION));
    CHECK_FAILS(adze_fail(&err, ADZE_NO_MEMORY, "a thing"), ADZE_LIMIT, &err);
    CHECK(strstr(err.message, "a thing: more than the ") && strstr(err.message, "--max-ram"));
    CHECK(adze_fail(&err, ADZE_NO_MEMORY, "a thing") == ADZE_NO_MEMORY); /* said once */
    void *grown = adze_realloc(NULL, 1, MILLION / 2);
    CHECK(grown);
    CHECK(!adze_realloc(grown, 1, MILLION + 1)); /* only what it grows by counts */
    grown = adze_realloc(grown, 1, MILLION);
    CHECK(grown && adze_memory_in_use() == before + 3 * MILLION);
    adze_free(first);
    grown = adze_realloc(grown, 1, MILLION / 4);
    CHECK(grown && adze_memory_in_use() == before + MILLION / 4);
    adze_free(grown);
    CHECK_EQ(adze_memory_in_use(), before);
    adze_memory_set_limit(0);
    CHECK(adze_memory_limit() > before + 3 * MILLION);
}

/* Room for `room` bytes more than now; what fails leaves nothing behind. */
static void expect_limit(size_t room, adze_status (*act)(adze_error *err))
{
    adze_error err;
    size_t before = adze_memory_in_use();
    adze_memory_set_limit(before + room);
    CHECK_FAILS(act(&err), ADZE_LIMIT, &err);
    CHECK(strstr(err.message, "--max-ram"));
    CHECK_EQ(adze_memory_in_use(), before);
    adze_memory_set_limit(0);
}

static adze_status open_model(adze_error *err)
{
    adze_model *model = NULL;
    const char *path = ADZE_SOURCE_DIR "/models/fashion-mnist/fashion-mnist.onnx";
    adze_status status = adze_model_open(&model, context, path, err);
    adze_model_close(&model);
    return status;
}

TEST(limit_of_reading)
{
    begin();
    adze_error err;
    expect_limit(10000, open_model);
    CHECK_OK(open_model(&err), &err);
    finish();
}

static adze_status make_plan(adze_error *err)
{
    adze_plan *plan = NULL;
    adze_status status = adze_plan_create(&plan, g, NULL, err);
    adze_plan_free(&plan);
    return status;
}

TEST(limit_of_planning)
{
    begin();
    adze_value *x = input((adze_dim[]){1, 1000}, 2);
    output(OP("MatMul", x, constant(-1, 1, DIMS(1000, 1000))));
    CHECK_OK(adze_graph_infer(g, NULL), NULL);
    expect_limit(2 * MILLION, make_plan); /* of 4 for the packed weights */
    adze_error err;
    CHECK_OK(make_plan(&err), &err);
    finish();
}

static adze_plan *plan;

static adze_status run_plan(adze_error *err)
{
    adze_session *session = NULL;
    adze_tensor out, shape = adze_tensor_view(ADZE_I64, 1, (int64_t[]){1}, (int64_t[]){MILLION});
    adze_status status = adze_session_open(&session, plan, NULL, err);
    if (status == ADZE_OK)
        status = adze_session_run(session, &shape, &out, err);
    adze_session_close(&session);
    return status;
}

TEST(limit_of_what_data_size)
{
    begin();
    adze_type type = adze_type_tensor(ADZE_I64, 1, (adze_dim[]){1});
    output(OP("ConstantOfShape", adze_graph_add_input(g, NULL, &type)));
    adze_error err;
    CHECK_OK(adze_graph_infer(g, NULL), NULL);
    CHECK_OK(adze_plan_create(&plan, g, NULL, &err), &err);
    expect_limit(3 * MILLION, run_plan);
    CHECK_OK(run_plan(&err), &err);
    adze_plan_free(&plan);
    finish();
}

/* ---- time ---- */

static void count_piece(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(piece);
    ADZE_UNUSED(worker);
    ++*(_Atomic int *)user;
}

TEST(limit_of_a_pool)
{
    for (int threads = 1; threads <= 3; threads++) {
        adze_pool *all, *own;
        CHECK_OK(adze_pool_open(&all, threads, NULL), NULL);
        CHECK_OK(adze_pool_share(&own, all, NULL), NULL);
        CHECK_EQ(adze_pool_threads(own), threads);
        _Atomic int pieces = 0;
        adze_pool_set_deadline(own, adze_now() - 1);
        adze_pool_run(own, 100, count_piece, &pieces);
        CHECK_EQ(pieces, 0);
        CHECK(adze_pool_is_late(own) && !adze_pool_is_late(all));
        adze_pool_run(all, 100, count_piece, &pieces);
        adze_pool_set_deadline(own, adze_now() + 1e6);
        adze_pool_run(own, 100, count_piece, &pieces);
        CHECK_EQ(pieces, 200);
        adze_pool_close(&own);
        adze_pool_close(&all);
    }
}

static adze_value *ones(const int64_t *dims, int rank)
{
    return constant(1, 1.001F, dims, rank);
}

static adze_value *large_product(void)
{
    adze_dim dims[] = {3000, 3000};
    return OP("MatMul", input(dims, 2), input(dims, 2));
}

static adze_value *large_weighted(void)
{
    return OP("MatMul", input((adze_dim[]){20000, 1000}, 2), ones(DIMS(1000, 1000)));
}

static adze_value *large_conv(void)
{
    adze_node *n =
        NODE("Conv", input((adze_dim[]){1, 128, 200, 200}, 4), ones(DIMS(128, 128, 5, 5)));
    return n->outputs[0];
}

static adze_value *deep_conv(void)
{
    adze_node *n = NODE("Conv", input((adze_dim[]){1, 256, 400, 400}, 4), ones(DIMS(256, 1, 9, 9)));
    adze_node_set_int(n, "group", 256);
    return n->outputs[0];
}

static adze_value *large_transposed(void)
{
    return OP("ConvTranspose", input((adze_dim[]){1, 128, 100, 100}, 4),
              ones(DIMS(128, 128, 5, 5)));
}

static adze_value *large_pool(void)
{
    adze_node *n = NODE("MaxPool", input((adze_dim[]){1, 64, 300, 300}, 4));
    adze_node_set_ints(n, "kernel_shape", 2, (int64_t[]){99, 99});
    return n->outputs[0];
}

static adze_value *large_einsum(void)
{
    adze_dim dims[] = {300, 300, 30};
    adze_node *n = NODE("Einsum", input(dims, 3), input(dims, 3), input(dims, 3));
    adze_node_set_string(n, "equation", "abx,bcx,cdx->adx");
    return n->outputs[0];
}

static adze_value *long_recurrence(void)
{
    adze_node *n = NODE("LSTM", input((adze_dim[]){3000, 4, 512}, 3), ones(DIMS(1, 2048, 512)),
                        ones(DIMS(1, 2048, 512)));
    adze_node_set_int(n, "hidden_size", 512);
    return n->outputs[0];
}

static adze_value *long_attention(void)
{
    adze_dim dims[] = {1, 8, 6000, 64};
    return OP("Attention", input(dims, 4), input(dims, 4), input(dims, 4));
}

static adze_value *deep_volume(void)
{
    return OP("Conv", input((adze_dim[]){1, 4, 40, 40, 40}, 5), ones(DIMS(1, 4, 9, 9, 9)));
}

static adze_value *deep_volume_back(void)
{
    return OP("ConvTranspose", input((adze_dim[]){1, 4, 40, 40, 40}, 5), ones(DIMS(4, 1, 9, 9, 9)));
}

static adze_value *deep_pool(void)
{
    adze_node *n = NODE("LpPool", input((adze_dim[]){1, 1, 300, 300}, 4));
    adze_node_set_ints(n, "kernel_shape", 2, (int64_t[]){99, 99});
    return n->outputs[0];
}

static adze_value *long_transform(void)
{
    return OP("DFT", input((adze_dim[]){1, 1000003, 1}, 3));
}

static adze_value *long_order(void)
{
    const int64_t k[1] = {4000000};
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, (const int64_t[]){1}, (void *)k);
    return NODE("TopK", input((adze_dim[]){4000000}, 1), adze_graph_add_constant(g, "k", &t, true))
        ->outputs[0];
}

static adze_value *long_unique(void)
{
    return OP("Unique", input((adze_dim[]){8000000}, 1));
}

/* One line of data, no pieces to leave out: the operator looks at the clock itself. */
TEST(limit_of_time_inside_one_line)
{
    static adze_value *(*const builders[])(void) = {long_transform, long_order, long_unique};
    for (size_t i = 0; i < ADZE_COUNT_OF(builders); i++) {
        begin();
        adze_session_options options = {.max_seconds = 0.005};
        adze_session *session;
        adze_tensor x, out;
        adze_error err;
        output(builders[i]());
        CHECK_OK(adze_graph_infer(g, &err), &err);
        CHECK_OK(adze_plan_create(&plan, g, NULL, &err), &err);
        CHECK_OK(adze_session_open(&session, plan, &options, &err), &err);
        const adze_type *type = &g->inputs[0]->type;
        CHECK_OK(adze_tensor_make(&x, ADZE_F32, type->rank, type->dims, NULL), NULL);
        for (int64_t e = 0; e < adze_tensor_elements(&x); e++)
            ((float *)x.data)[e] = (float)(e * 7919 % 1000003);
        const clock_t start = clock();
        CHECK_FAILS(adze_session_run(session, &x, &out, &err), ADZE_TIMEOUT, &err);
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds > 0.5)
            FAIL("%s: %.2f s", g->outputs[0]->producer->op_type, seconds);
        adze_tensor_free(&x);
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
}

/* One node is stopped inside: what it would have written last is not there. */
TEST(limit_of_time_inside_a_node)
{
    static adze_value *(*const builders[])(void) = {
        large_product, large_weighted,  large_conv,     deep_conv,   large_transposed, large_pool,
        large_einsum,  long_recurrence, long_attention, deep_volume, deep_volume_back, deep_pool};
    for (size_t i = 0; i < ADZE_COUNT_OF(builders); i++) {
        begin();
        adze_plan_options plain = {.keep_all = true};
        adze_session_options options = {.max_seconds = 0.005};
        adze_session *session;
        adze_tensor inputs[3], out;
        adze_error err;
        adze_value *last = builders[i]();
        const char *name = last->name, *op = last->producer->op_type;
        output(last);
        CHECK_OK(adze_graph_infer(g, &err), &err);
        CHECK_OK(adze_plan_create(&plan, g, &plain, &err), &err);
        CHECK_OK(adze_session_open(&session, plan, &options, &err), &err);
        for (int k = 0; k < g->input_count; k++) {
            const adze_type *type = &g->inputs[k]->type;
            CHECK_OK(adze_tensor_make(&inputs[k], ADZE_F32, type->rank, type->dims, NULL), NULL);
            for (int64_t e = 0; e < adze_tensor_elements(&inputs[k]); e++)
                ((float *)inputs[k].data)[e] = 1;
        }
        CHECK_FAILS(adze_session_run(session, inputs, &out, &err), ADZE_TIMEOUT, &err);
        const adze_tensor *t = adze_session_value(session, name);
        CHECK(t != NULL);
        if (((const float *)t->data)[adze_tensor_elements(t) - 1] != 0)
            FAIL("%s ran to its end", op);
        for (int k = 0; k < g->input_count; k++)
            adze_tensor_free(&inputs[k]);
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
}
