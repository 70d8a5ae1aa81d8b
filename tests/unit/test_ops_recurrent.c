/* Recurrent operators: what the cases of ONNX do not show. */
#include "op_case.h"

enum { STEPS = 4, BATCH = 2, WIDTH = 3, HIDDEN = 5, GATES = 4 };

typedef struct lstm_data {
    float x[STEPS * BATCH * WIDTH], turned[STEPS * BATCH * WIDTH];
    float w[2 * GATES * HIDDEN * WIDTH], r[2 * GATES * HIDDEN * HIDDEN];
    int32_t lengths[BATCH];
} lstm_data;

static void make_data(lstm_data *d)
{
    op_case_fill(d->x, ADZE_COUNT_OF(d->x), 1, -1, 1);
    op_case_fill(d->w, ADZE_COUNT_OF(d->w), 2, -1, 1);
    op_case_fill(d->r, ADZE_COUNT_OF(d->r), 3, -1, 1);
    for (int t = 0; t < STEPS; t++)
        for (int b = 0; b < BATCH; b++)
            memcpy(&d->turned[(b * STEPS + t) * WIDTH], &d->x[(t * BATCH + b) * WIDTH],
                   WIDTH * sizeof(float));
    d->lengths[0] = STEPS;
    d->lengths[1] = 2;
}

static void open_lstm(op_case *c, const lstm_data *d, bool batch_first, int64_t r_columns)
{
    op_case_open(c, NULL);
    op_case_input(c, ADZE_F32, 3,
                  (int64_t[]){batch_first ? BATCH : STEPS, batch_first ? STEPS : BATCH, WIDTH},
                  batch_first ? d->turned : d->x, NULL);
    op_case_input(c, ADZE_F32, 3, (int64_t[]){2, GATES * HIDDEN, WIDTH}, d->w, NULL);
    op_case_input(c, ADZE_F32, 3, (int64_t[]){2, GATES * HIDDEN, r_columns}, d->r, NULL);
    op_case_absent(c);
    op_case_input(c, ADZE_I32, 1, (int64_t[]){BATCH}, d->lengths, NULL);
    op_case_node(c, "LSTM", 3);
    CHECK(adze_node_set_int(c->node, "layout", batch_first));
    CHECK(adze_node_set_int(c->node, "hidden_size", HIDDEN));
    CHECK(adze_node_set_string(c->node, "direction", "bidirectional"));
}

TEST(recurrent_layouts_agree_and_padding_is_zero)
{
    lstm_data d;
    op_case a, b;
    make_data(&d);
    open_lstm(&a, &d, false, HIDDEN);
    open_lstm(&b, &d, true, HIDDEN);
    op_case_run(&a);
    op_case_run(&b);
    const float *y = a.output[0].data, *z = b.output[0].data;
    for (int t = 0; t < STEPS; t++)
        for (int n = 0; n < BATCH; n++)
            for (int way = 0; way < 2; way++) {
                const float *row = y + ((t * 2 + way) * BATCH + n) * HIDDEN;
                CHECK_BYTES(z + ((n * STEPS + t) * 2 + way) * HIDDEN, row, HIDDEN * sizeof(float));
                CHECK((row[0] == 0.0f) == (t >= d.lengths[n]));
            }
    /* the last state of the short sequence: forward at its end, backward at its beginning */
    const float *last = b.output[1].data;
    CHECK_BYTES(last + 2 * HIDDEN, z + (STEPS + 1) * 2 * HIDDEN, HIDDEN * sizeof(float));
    CHECK_BYTES(last + 3 * HIDDEN, z + (STEPS * 2 + 1) * HIDDEN, HIDDEN * sizeof(float));
    op_case_close(&a);
    op_case_close(&b);
}

TEST(recurrent_refuses_what_does_not_fit)
{
    lstm_data d;
    op_case c;
    make_data(&d);
    d.lengths[1] = STEPS + 1;
    open_lstm(&c, &d, false, HIDDEN);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
    op_case_close(&c);
    open_lstm(&c, &d, false, HIDDEN - 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
    open_lstm(&c, &d, false, HIDDEN);
    CHECK(adze_node_set_string(c.node, "direction", "sideways"));
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}
