/* Each rewrite: what it makes of a small graph, and that the graph still computes the same. */
#include "pass_case.h"
#include "base/memory.h"

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

TEST(folds_casts_of_half_weights)
{
    begin();
    adze_node *half = NODE("Cast", constant(-1, 1, DIMS(256, 300)));
    adze_node_set_int(half, "to", 10);
    adze_node *whole = NODE("Cast", half->outputs[0]);
    adze_node_set_int(whole, "to", 1);
    output(OP("MatMul", input(DIMS(2, 256)), whole->outputs[0]));
    EXPECT("Cast", 0);
    EXPECT("MatMul", 1);
    same_result(FLOAT);
    finish();
}

static adze_value *cast_to(adze_value *x, int type)
{
    adze_node *n = NODE("Cast", x);
    adze_node_set_int(n, "to", type);
    return n->outputs[0];
}

/* Nothing is rounded between operators on float16; the casts of the model stay. */
TEST(computes_half_in_floats)
{
    for (int type = 10; type <= 16; type += 6) { /* float16, bfloat16 */
        begin();
        adze_value *x = cast_to(input(DIMS(2, 3, 6, 6)), type);
        adze_node *n = NODE("Conv", x, cast_to(constant(-1, 1, DIMS(8, 3, 3, 3)), type),
                            cast_to(constant(-1, 1, DIMS(8)), type));
        adze_node *flat = NODE("Flatten", OP("Tanh", OP("Relu", n->outputs[0])));
        x = OP("MatMul", flat->outputs[0], cast_to(constant(-0.1f, 0.1f, DIMS(128, 5)), type));
        output(cast_to(x, 1));
        EXPECT("Cast", 4); /* in, both ways: the model's and ours */
        EXPECT("Conv", 1);
        EXPECT("Relu", 0);
        same_result(type == 10 ? 2e-3 : 2e-2);
        finish();
    }
}

TEST(half_numbers_that_may_become_integers_stay)
{
    begin();
    adze_value *scale = cast_to(scalar(0.1), 10), *zero = typed(ADZE_I8, 0);
    adze_value *q = OP("QuantizeLinear", cast_to(input(DIMS(2, 3)), 10), scale, zero);
    adze_value *x = OP("Add", OP("DequantizeLinear", q, scale, zero), cast_to(scalar(1), 10));
    output(cast_to(x, 1));
    EXPECT("Cast", 2);
    same_result(0);
    finish();
}

/* What is joined before a normalisation keeps it from its convolutions. */
TEST(normalizes_with_channels_last)
{
    begin();
    adze_value *x = conv(input(DIMS(2, 3, 7, 5)), 20, 3, 3, 1);
    adze_node *joined = NODE("Concat", x, conv(x, 13, 20, 3, 1));
    adze_node_set_int(joined, "axis", 1);
    adze_value *y = batch_norm(joined->outputs[0], 33);
    output(conv(OP("Relu", y), 4, 33, 1, 1));
    EXPECT("BatchNormalization", 1);
    EXPECT("Transpose", 2);
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

/* ---- memory ---- */

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
