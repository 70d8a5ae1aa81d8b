/* Random graphs compute the same with and without passes. */
#include "pass_case.h"

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
