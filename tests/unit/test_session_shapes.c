/* One session at twenty shapes in turn: the bits of fresh sessions, and memory is asked for only where a shape is
 * larger, in some axis, than all before it. */
#include "base/memory.h"
#include "ops/registry.h"
#include "pass_case.h"

enum { SHAPES = 20, AXES = 2 };

static adze_dim symbol(const char *name)
{
    return adze_graph_symbol(g, name);
}

static adze_value *turned(adze_value *x, const int64_t perm[4])
{
    adze_node *n = NODE("Transpose", x);
    CHECK(adze_node_set_ints(n, "perm", 4, perm));
    return n->outputs[0];
}

static adze_value *extent(adze_value *x, int64_t axis)
{
    adze_node *n = NODE("Shape", x);
    CHECK(adze_node_set_int(n, "start", axis) && adze_node_set_int(n, "end", axis + 1));
    return n->outputs[0];
}

static adze_value *along(int64_t axis, adze_node *joined)
{
    CHECK(adze_node_set_int(joined, "axis", axis));
    return joined->outputs[0];
}

/* x[1, 3, H, W]: down, depthwise, up again to the size of x, joined with it, pooled. */
static void build_convnet(void)
{
    adze_value *x = input((adze_dim[]){1, 3, symbol("H"), symbol("W")}, 4);
    adze_value *wide = OP("Relu", conv(x, 8, 3, 3, 1)), *down = OP("Relu", conv(wide, 16, 8, 3, 2));
    adze_value *deep = conv(down, 16, 1, 3, 1);
    CHECK(adze_node_set_int(deep->producer, "group", 16));
    adze_value *size =
        along(0, NODE("Concat", ints((int64_t[]){1, 16}, 2), extent(wide, 2), extent(wide, 3)));
    adze_node *up = NODE("Resize", deep, NULL, NULL, size);
    CHECK(adze_node_set_string(up, "mode", "linear"));
    adze_value *joined = along(1, NODE("Concat", up->outputs[0], wide));
    adze_node *pool = NODE("MaxPool", joined);
    CHECK(adze_node_set_ints(pool, "kernel_shape", 2, (int64_t[]){2, 2}));
    output(pool->outputs[0]);
    output(OP("GlobalAveragePool", joined));
}

static adze_value *product(adze_value *x, int64_t from, int64_t to)
{
    return OP("MatMul", x, constant(-1, 1, DIMS(from, to)));
}

/* One layer of an encoder over x[B, S, 16], two heads, as exporters write it: shapes computed from shapes. */
static void build_transformer(void)
{
    static const int64_t middle[4] = {0, 2, 1, 3}, last[4] = {0, 1, 3, 2};
    adze_value *x = input((adze_dim[]){symbol("B"), symbol("S"), 16}, 3);
    adze_value *zero = ints((int64_t[]){0}, 1), *batch = extent(x, 0), *length = extent(x, 1);
    adze_value *places =
        OP("Range", typed(ADZE_I64, 0), OP("Squeeze", length, zero), typed(ADZE_I64, 1));
    x = OP("Add", x, OP("Gather", constant(-1, 1, DIMS(64, 16)), places));
    adze_value *norm = OP("LayerNormalization", x, constant(0.5, 1, DIMS(16)));
    adze_value *split = along(0, NODE("Concat", batch, length, ints((int64_t[]){2, 8}, 2)));
    adze_value *part[3];
    for (int i = 0; i < 3; i++)
        part[i] = turned(OP("Reshape", product(norm, 16, 16), split), middle);
    adze_value *p = OP("Softmax", OP("MatMul", part[0], turned(part[1], last)));
    adze_value *join = along(0, NODE("Concat", batch, length, ints((int64_t[]){16}, 1)));
    adze_value *y = OP("Reshape", turned(OP("MatMul", p, part[2]), middle), join);
    y = OP("Add", x, y);
    output(OP("Add", y, product(OP("Gelu", product(y, 16, 32)), 32, 16)));
}

/* Sizes of the two symbols, drawn so that growing and shrinking alternate. */
static void draw_shapes(int64_t shapes[SHAPES][AXES], int64_t least, int64_t most)
{
    uint64_t random = 7;
    for (int i = 0; i < SHAPES; i++)
        for (int a = 0; a < AXES; a++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            shapes[i][a] = least + (int64_t)((random >> 33) % (uint64_t)(most - least + 1));
        }
}

/* Some shape before number n was as large in every axis. */
static bool was_seen(int64_t shapes[SHAPES][AXES], int n)
{
    for (int i = 0; i < n; i++)
        if (shapes[i][0] >= shapes[n][0] && shapes[i][1] >= shapes[n][1])
            return true;
    return false;
}

static adze_tensor input_at(const int64_t shape[AXES], uint64_t random)
{
    const adze_type *type = adze_value_type(adze_graph_input(g, 0));
    int64_t dims[ADZE_MAX_RANK];
    adze_tensor t;
    for (int i = 0, a = 0; i < type->rank; i++)
        dims[i] = type->dims[i] < 0 ? shape[a++] : type->dims[i];
    CHECK_OK(adze_tensor_make(&t, ADZE_F32, type->rank, dims, NULL), NULL);
    test_random_floats(t.data, (size_t)adze_tensor_elements(&t), -2, 2, random);
    return t;
}

static void check_turn(adze_session *session, const adze_plan *plan, const adze_tensor *x,
                       bool seen)
{
    adze_tensor found[2], expected[2];
    adze_session *fresh;
    adze_error err;
    adze_alloc_fail_after(seen ? 1 : 0);
    adze_status status = adze_session_run(session, x, found, &err);
    adze_alloc_fail_after(0);
    CHECK_OK(status, &err);
    CHECK_OK(adze_session_open(&fresh, plan, NULL, &err), &err);
    CHECK_OK(adze_session_run(fresh, x, expected, &err), &err);
    for (int o = 0; o < adze_graph_output_count(g); o++) {
        CHECK_EQ(found[o].size, expected[o].size);
        CHECK_BYTES(found[o].data, expected[o].data, expected[o].size);
    }
    adze_session_close(&fresh);
}

static void check_shapes(void (*build)(void), int64_t least, int64_t most)
{
    int64_t shapes[SHAPES][AXES];
    int repeats = 0;
    draw_shapes(shapes, least, most);
    for (int fuse = 0; fuse < 2; fuse++) {
        adze_plan_options options = {.fuse = fuse != 0};
        adze_plan *plan;
        adze_session *session;
        adze_error err;
        begin();
        build();
        CHECK_OK(adze_graph_infer(g, &err), &err);
        CHECK_OK(adze_plan_create(&plan, g, &options, &err), &err);
        CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
        for (int i = 0; i < SHAPES; i++) {
            adze_tensor x = input_at(shapes[i], (uint64_t)i + 1);
            check_turn(session, plan, &x, was_seen(shapes, i));
            repeats += was_seen(shapes, i);
            adze_tensor_free(&x);
        }
        adze_session_close(&session);
        adze_plan_free(&plan);
        finish();
    }
    CHECK(repeats >= SHAPES); /* half of the turns, and the other half grew something */
    CHECK(repeats < 2 * SHAPES - 4);
}

TEST(a_convnet_at_twenty_sizes)
{
    check_shapes(build_convnet, 5, 40);
}

TEST(a_transformer_at_twenty_batches_and_lengths)
{
    check_shapes(build_transformer, 1, 24);
}
