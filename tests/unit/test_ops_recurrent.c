/* Recurrent operators: what the cases of ONNX do not show. */
#include <math.h>

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

/* ---- DynamicQuantizeLSTM against its definition ---- */

enum { COLUMNS = GATES * HIDDEN };

typedef struct bytes_data {
    float x[STEPS * BATCH * WIDTH], scale[2][COLUMNS];
    uint8_t w[WIDTH * COLUMNS], r[HIDDEN * COLUMNS], zero[2][COLUMNS];
    adze_dtype dtype;
} bytes_data;

/* As com.microsoft.DynamicQuantizeLinear: 8 bits over the range that holds 0. */
static void to_bytes(const float *x, int n, float *values)
{
    float lo = 0, hi = 0;
    for (int i = 0; i < n; i++) {
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
    }
    const float scale = hi > lo ? (hi - lo) / 255 : 1, zero = rintf(-lo / scale);
    for (int i = 0; i < n; i++)
        values[i] = (fminf(fmaxf(rintf(x[i] / scale) + zero, 0), 255) - zero) * scale;
}

static double weight_of(const bytes_data *d, const uint8_t *from, int which, int row, int column)
{
    uint8_t b = from[row * COLUMNS + column], z = d->zero[which][column];
    int whole = d->dtype == ADZE_I8 ? (int8_t)b - (int8_t)z : b - z;
    return whole * (double)d->scale[which][column];
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void plain_lstm(const bytes_data *d, float *y)
{
    float x[STEPS * BATCH * WIDTH], h[BATCH * HIDDEN] = {0}, state[BATCH * HIDDEN];
    double cells[BATCH * HIDDEN] = {0};
    to_bytes(d->x, STEPS * BATCH * WIDTH, x);
    for (int t = 0; t < STEPS; t++) {
        to_bytes(h, BATCH * HIDDEN, state);
        for (int b = 0; b < BATCH; b++) {
            double g[COLUMNS];
            for (int j = 0; j < COLUMNS; j++) {
                g[j] = 0;
                for (int i = 0; i < WIDTH; i++)
                    g[j] += (double)x[(t * BATCH + b) * WIDTH + i] * weight_of(d, d->w, 0, i, j);
                for (int i = 0; i < HIDDEN; i++)
                    g[j] += (double)state[b * HIDDEN + i] * weight_of(d, d->r, 1, i, j);
            }
            for (int i = 0; i < HIDDEN; i++) { /* gates i, o, f, c */
                double *c = &cells[b * HIDDEN + i];
                *c = sigmoid(g[2 * HIDDEN + i]) * *c + sigmoid(g[i]) * tanh(g[3 * HIDDEN + i]);
                h[b * HIDDEN + i] = (float)(sigmoid(g[HIDDEN + i]) * tanh(*c));
            }
        }
        memcpy(y + t * BATCH * HIDDEN, h, sizeof h);
    }
}

static void check_bytes(const bytes_data *d, const char *level)
{
    float expected[STEPS * BATCH * HIDDEN];
    op_case c;
    op_case_open(&c, level);
    op_case_input(&c, ADZE_F32, 3, (int64_t[]){STEPS, BATCH, WIDTH}, d->x, NULL);
    op_case_input(&c, d->dtype, 3, (int64_t[]){1, WIDTH, COLUMNS}, d->w, NULL);
    op_case_input(&c, d->dtype, 3, (int64_t[]){1, HIDDEN, COLUMNS}, d->r, NULL);
    for (int i = 0; i < 5; i++)
        op_case_absent(&c);
    for (int i = 0; i < 2; i++) {
        op_case_input(&c, ADZE_F32, 2, (int64_t[]){1, COLUMNS}, d->scale[i], NULL);
        op_case_input(&c, d->dtype, 2, (int64_t[]){1, COLUMNS}, d->zero[i], NULL);
    }
    op_case_node_in(&c, "com.microsoft", "DynamicQuantizeLSTM", 3);
    CHECK(adze_node_set_int(c.node, "hidden_size", HIDDEN));
    op_case_run(&c);
    plain_lstm(d, expected);
    const float *y = c.output[0].data;
    for (int i = 0; i < STEPS * BATCH * HIDDEN; i++)
        CHECK(fabsf(y[i] - expected[i]) < 1e-5f);
    op_case_close(&c);
}

TEST(lstm_of_bytes_is_its_definition)
{
    bytes_data d;
    op_case_fill(d.x, ADZE_COUNT_OF(d.x), 1, -2, 3);
    op_case_fill_bytes(d.w, sizeof d.w, 2);
    op_case_fill_bytes(d.r, sizeof d.r, 3);
    op_case_fill(d.scale[0], COLUMNS, 4, 0.005f, 0.02f);
    op_case_fill(d.scale[1], COLUMNS, 5, 0.005f, 0.02f);
    for (int some = 0; some < 2; some++)
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            d.dtype = is_signed ? ADZE_I8 : ADZE_U8;
            for (int j = 0; j < 2 * COLUMNS; j++)
                d.zero[j / COLUMNS][j % COLUMNS] = (uint8_t)(some        ? 120 + j % 7
                                                             : is_signed ? 0
                                                                         : 128);
            check_bytes(&d, "ref");
            check_bytes(&d, NULL);
        }
}
