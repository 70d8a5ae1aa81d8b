/* Operators of com.microsoft: what a file or a run may say that they must refuse. */
#include "op_case.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static const float numbers[64];

enum { PAST_V = 4, COSINES = 7, SINES, POSITIONS, QUERY_LENGTHS = 16 };

typedef struct query_case {
    bool past, turned;
    adze_dtype past_v;
    int64_t length, total;
} query_case;

/* Two entries of one query, one head of two numbers; a cache of four rows. */
static adze_status query(op_case *c, const query_case *q)
{
    const int64_t lengths[2] = {1, q->length}, positions[2] = {0, 99}, one[2] = {1, 1};
    op_case_open(c, NULL);
    for (int i = 0; i < 3; i++)
        op_case_input(c, ADZE_F32, 3, DIMS(2, 1, 2), numbers, NULL);
    for (int i = 3; i <= PAST_V; i++)
        if (q->past)
            op_case_input(c, i == PAST_V ? q->past_v : ADZE_F32, 4, DIMS(2, 1, 4, 2), numbers,
                          NULL);
        else
            op_case_absent(c);
    op_case_input(c, ADZE_I64, 1, DIMS(2), lengths, NULL);
    op_case_input(c, ADZE_I64, 1, DIMS(1), &q->total, NULL);
    for (int i = COSINES; q->turned && i <= QUERY_LENGTHS; i++)
        if (i <= SINES)
            op_case_input(c, ADZE_F32, 2, DIMS(8, 1), numbers, NULL);
        else if (i == POSITIONS)
            op_case_input(c, ADZE_I64, 2, DIMS(1, 1), positions, NULL); /* the second is beyond */
        else if (i == QUERY_LENGTHS)
            op_case_input(c, ADZE_I64, 1, DIMS(2), one, NULL);
        else
            op_case_absent(c);
    adze_node *node = op_case_node_in(c, "com.microsoft", "GroupQueryAttention", 3);
    CHECK(adze_node_set_int(node, "num_heads", 1) && adze_node_set_int(node, "kv_num_heads", 1));
    CHECK(adze_node_set_int(node, "do_rotary", q->turned));
    return op_case_try(c);
}

static void expect(const query_case *q, adze_status status, const char *words)
{
    op_case c;
    CHECK_EQ(query(&c, q), status);
    if (!strstr(c.error.message, words))
        FAIL("expected '%s' in '%s'", words, c.error.message);
    op_case_close(&c);
}

TEST(group_query_refuses)
{
    const query_case good = {.past = true, .past_v = ADZE_F32, .length = 1, .total = 2};
    expect(&good, ADZE_OK, "");
    query_case q = good;
    q.past_v = ADZE_F16;
    expect(&q, ADZE_BAD_MODEL, "different types");
    q = good;
    q.length = INT64_MAX;
    expect(&q, ADZE_BAD_DATA, "seqlens_k 9223372036854775807 of batch 1");
    q = good;
    q.turned = true;
    q.total = 1; /* as many as queries */
    expect(&q, ADZE_BAD_DATA, "position_ids");
    q = good;
    q.past = false;
    q.total = -1;
    expect(&q, ADZE_BAD_MODEL, "would have -1 elements");
}

static adze_status gather(op_case *c, int64_t block, adze_dtype zeros)
{
    static const int64_t row[1], bytes[4];
    op_case_open(c, NULL);
    op_case_input(c, ADZE_U8, 2, DIMS(2, 8), bytes, NULL);
    op_case_input(c, ADZE_I64, 1, DIMS(1), row, NULL);
    op_case_input(c, ADZE_F32, 2, DIMS(2, 1), numbers, NULL);
    op_case_input(c, zeros, 2, DIMS(2, 1), bytes, NULL);
    adze_node *node = op_case_node_in(c, "com.microsoft", "GatherBlockQuantized", 1);
    CHECK(adze_node_set_int(node, "bits", 4) && adze_node_set_int(node, "block_size", block));
    return op_case_try(c);
}

TEST(gather_of_blocks_refuses)
{
    op_case c;
    CHECK_OK(gather(&c, 16, ADZE_U8), &c.error);
    op_case_close(&c);
    CHECK_FAILS(gather(&c, INT64_MAX, ADZE_U8), ADZE_UNSUPPORTED, &c.error);
    op_case_close(&c);
    CHECK_FAILS(gather(&c, 16, ADZE_I64), ADZE_UNSUPPORTED, &c.error);
    op_case_close(&c);
}
