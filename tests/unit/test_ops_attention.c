/* Attention, RotaryEmbedding, Einsum: what ONNX's cases don't show: windows, refusals, places that the data
 * decide. */
#include "base/context.h"
#include "op_case.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static void attention_case(op_case *c, const float *x, int64_t tokens)
{
    op_case_open(c, NULL);
    for (int i = 0; i < 3; i++)
        op_case_input(c, ADZE_F32, 4, DIMS(1, 1, tokens, 2), x, NULL);
}

TEST(ops_attention_window_of_one_gives_the_values)
{
    op_case c;
    float x[8];
    op_case_fill(x, 8, 1, -1, 1);
    attention_case(&c, x, 4);
    adze_node *node = op_case_node(&c, "Attention", 1);
    CHECK(adze_node_set_int(node, "left_window_size", 0));
    CHECK(adze_node_set_int(node, "right_window_size", 0));
    op_case_run(&c);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(((const float *)c.output[0].data)[i], x[i]);
    op_case_close(&c);
}

TEST(ops_attention_refuses)
{
    op_case c;
    const float x[8] = {0};
    const int64_t lengths[1] = {5};
    attention_case(&c, x, 4);
    for (int i = 0; i < 3; i++)
        op_case_absent(&c);
    op_case_input(&c, ADZE_I64, 1, DIMS(1), lengths, NULL);
    op_case_node(&c, "Attention", 1);
    CHECK_EQ(op_case_try(&c), ADZE_BAD_DATA); /* 5 of 4 keys */
    op_case_close(&c);
    attention_case(&c, x, 4);
    op_case_input(&c, ADZE_F32, 2, DIMS(3, 4), x, NULL); /* 3 rows for 4 queries */
    op_case_node(&c, "Attention", 1);
    CHECK_EQ(op_case_try(&c), ADZE_BAD_DATA);
    op_case_close(&c);
    op_case_open(&c, NULL);
    for (int i = 0; i < 3; i++)
        op_case_input(&c, ADZE_F32, 3, DIMS(1, 2, 4), x, NULL);
    op_case_node(&c, "Attention", 1); /* no number of heads */
    CHECK_EQ(op_case_try(&c), ADZE_BAD_MODEL);
    op_case_close(&c);
}

TEST(ops_rotary_embedding_checks_positions)
{
    op_case c;
    const float x[4] = {1, 2, 3, 4}, table[4] = {0};
    const int64_t positions[2] = {0, 2};
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 4, DIMS(1, 1, 2, 2), x, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(2, 1), table, NULL);
    op_case_input(&c, ADZE_F32, 2, DIMS(2, 1), table, NULL);
    op_case_input(&c, ADZE_I64, 2, DIMS(1, 2), positions, NULL);
    op_case_node(&c, "RotaryEmbedding", 1);
    CHECK_EQ(op_case_try(&c), ADZE_BAD_DATA);
    op_case_close(&c);
}

static adze_status einsum(op_case *c, const char *equation, const int64_t *dims)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    op_case_open(c, NULL);
    op_case_input(c, ADZE_F32, 2, dims, x, NULL);
    op_case_input(c, ADZE_F32, 2, dims, x, NULL);
    adze_node *node = op_case_node(c, "Einsum", 1);
    CHECK(adze_node_set_string(node, "equation", equation));
    return op_case_try(c);
}

TEST(ops_einsum_equations)
{
    static const char *const wrong[] = {"ij",         "ij,jk,k",   "ij,ij->ii",   "ij,ij->k",
                                        "ij,i1",      "i..,ij",    "ij,j",        "ij,jk",
                                        "ij,ij->i,j", "....,ij->", "i...j...,ij", "ij,ij-"};
    op_case c;
    for (size_t i = 0; i < ADZE_COUNT_OF(wrong); i++) {
        CHECK_EQ(einsum(&c, wrong[i], DIMS(2, 3)), ADZE_BAD_MODEL);
        op_case_close(&c);
    }
    CHECK_EQ(einsum(&c, "ij,ij->", DIMS(2, 3)), ADZE_OK);
    CHECK_EQ(((const float *)c.output[0].data)[0], 91.0f);
    op_case_close(&c);
}
