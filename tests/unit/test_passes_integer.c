/* Graphs between QuantizeLinear and DequantizeLinear become integer. */
#include "pass_case.h"

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

/* A unit of the sums is a quarter of a step: a bias rounded to units would show. */
TEST(float_biases_are_not_rounded)
{
    for (int depthwise = 0; depthwise < 2; depthwise++) {
        begin();
        adze_value *x = quantize(input(DIMS(2, 20, 6, 6)), 1, 3, ADZE_I8);
        adze_node *n = NODE("Conv", x, weights(0, 0, DIMS(20, depthwise ? 1 : 20, 1, 1)),
                            constant(-1, 1, DIMS(20)));
        adze_node_set_int(n, "group", depthwise ? 20 : 1);
        output(quantize(n->outputs[0], 0.04, 120, ADZE_U8));
        EXPECT("QuantizeLinear", 1);
        same_result(1e-6);
        finish();
    }
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

/* As ONNX Runtime leaves them, which likes its convolutions on unsigned bytes. */
TEST(signed_and_unsigned_bytes_are_joined)
{
    begin();
    adze_value *a = quantize(input(DIMS(2, 3, 4)), 0.02, -3, ADZE_I8);
    adze_value *b = quantize(input(DIMS(2, 5, 4)), 0.02, 125, ADZE_U8);
    adze_value *c = quantize(input(DIMS(2, 5, 4)), 0.03, 125, ADZE_U8);
    adze_node *joined = NODE("Concat", a, b, c);
    adze_node_set_int(joined, "axis", 1);
    output(quantize(joined->outputs[0], 0.04, 100, ADZE_U8));
    EXPECT("QuantizeLinear", 3);
    EXPECT("DequantizeLinear", 1);
    same_result(0.041); /* a step of the output */
    finish();
}

static adze_value *moved(adze_value *x, int64_t a, int64_t b, int64_t c)
{
    adze_node *n = NODE("Transpose", x);
    adze_node_set_ints(n, "perm", 4, (int64_t[]){0, a, b, c});
    return n->outputs[0];
}

/* Channels last between operators, as ONNX Runtime leaves it: bytes are moved before their scale is said. `also`:
 * somebody takes the bytes for plain numbers. */
static void build_moved_bytes(bool also)
{
    adze_value *s = scalar(0.02), *z = typed(ADZE_U8, 120);
    adze_value *q = OP("QuantizeLinear", input(DIMS(2, 6, 6, 3)), s, z);
    adze_value *x = OP("DequantizeLinear", moved(q, 3, 1, 2), s, z);
    x = quantize(conv_of(x, weights(0, 0, DIMS(8, 3, 3, 3)), 8, 1), 0.05, 110, ADZE_U8);
    adze_node *bytes = x->producer;
    adze_value *scale = bytes->inputs[1], *zero = bytes->inputs[2];
    adze_value *last = moved(bytes->inputs[0], 2, 3, 1);
    x = OP("DequantizeLinear", moved(last, 3, 1, 2), scale, zero);
    output(quantize(conv_of(x, weights(0, 0, DIMS(4, 8, 1, 1)), 4, 0), 0.05, -3, ADZE_I8));
    adze_node *cast = also ? NODE("Cast", last) : NULL;
    if (cast) {
        CHECK(adze_node_set_int(cast, "to", 1));
        output(cast->outputs[0]);
    }
}

TEST(moved_bytes_keep_what_they_mean)
{
    begin();
    build_moved_bytes(false);
    EXPECT("QuantizeLinear", 1);
    EXPECT("DequantizeLinear", 1);
    EXPECT("Transpose", 1); /* of the output */
    same_result(0.051);     /* a step of the output */
    finish();
    begin();
    build_moved_bytes(true);
    same_result(1.001); /* and of the bytes */
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

TEST(weights_without_integer_activations_become_float)
{
    begin();
    output(conv_of(input(DIMS(1, 3, 6, 6)), weights(8, 0, DIMS(8, 3, 3, 3)), 8, 1));
    EXPECT("DequantizeLinear", 0);
    same_result(FLOAT);
    finish();
}
