/* Random operators: NumPy's numbers for a seed, repeatable without; probabilities that are certain. */
#include "op_case.h"

static void shaped(op_case *c, const char *op, bool seeded)
{
    op_case_open(c, NULL);
    op_case_node(c, op, 1);
    CHECK(adze_node_set_ints(c->node, "shape", 1, (int64_t[]){5}));
    if (seeded)
        CHECK(adze_node_set_float(c->node, "seed", 42));
    op_case_run(c);
}

TEST(random_numbers_of_a_seed_are_those_of_numpy)
{
    /* numpy.random.RandomState(42).rand(5) and .randn(5) */
    static const float uniform[5] = {0.37454012f, 0.95071431f, 0.73199394f, 0.59865848f,
                                     0.15601864f};
    static const float normal[5] = {0.49671415f, -0.13826430f, 0.64768854f, 1.52302986f,
                                    -0.23415337f};
    op_case c;
    shaped(&c, "RandomUniform", true);
    CHECK_FLOATS(c.output[0].data, uniform, 5, 1e-7, 1e-7);
    op_case_close(&c);
    shaped(&c, "RandomNormal", true);
    CHECK_FLOATS(c.output[0].data, normal, 5, 1e-7, 1e-7);
    op_case_close(&c);
    op_case again;
    shaped(&c, "RandomNormal", false);
    shaped(&again, "RandomNormal", false);
    CHECK_BYTES(c.output[0].data, again.output[0].data, 20);
    op_case_close(&c);
    op_case_close(&again);
}

TEST(random_certainties)
{
    static const float p[4] = {0, 1, 1, 0}, logits[6] = {0, -1e9f, -1e9f, -1e9f, -1e9f, 3};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 1, (int64_t[]){4}, p, NULL);
    op_case_node(&c, "Bernoulli", 1);
    op_case_run(&c);
    CHECK_FLOATS(c.output[0].data, p, 4, 0, 0);
    op_case_close(&c);
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, (int64_t[]){2, 3}, logits, NULL);
    op_case_node(&c, "Multinomial", 1);
    CHECK(adze_node_set_int(c.node, "sample_size", 2));
    op_case_run(&c);
    CHECK_BYTES(c.output[0].data, ((int32_t[]){0, 0, 2, 2}), 16);
    op_case_close(&c);
    op_case_open(&c, NULL);
    op_case_node(&c, "RandomUniform", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}

TEST(dropout_of_everything_is_refused)
{
    static const float x[2] = {1, 2}, ratio = 1;
    static const bool training = true;
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 1, (int64_t[]){2}, x, NULL);
    op_case_input(&c, ADZE_F32, 0, NULL, &ratio, NULL);
    op_case_input(&c, ADZE_BOOL, 0, NULL, &training, NULL);
    op_case_node(&c, "Dropout", 2);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}
