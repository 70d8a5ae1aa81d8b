/* What a recurrent node says of itself: kind of cell, directions, activations. */
#ifndef ADZE_OPS_RECURRENT_H
#define ADZE_OPS_RECURRENT_H
#include "kernels/eltwise.h"
#include "ops/helpers.h"

enum { ADZE_SCALED_TANH = ADZE_UNARY_COUNT }; /* beside the kernels: alpha * tanh(beta * x) */

typedef struct adze_activation {
    int kernel;
    float alpha, beta;
} adze_activation;

typedef enum adze_cell_kind { CELL_RNN, CELL_GRU, CELL_LSTM } adze_cell_kind;

typedef struct adze_cell {
    adze_cell_kind kind;
    bool quantized; /* DynamicQuantizeLSTM: weights [D, I, G * H] of 8 bits */
    bool batch_first, linear_before_reset, input_forget;
    int first_reverse; /* direction that runs backwards; 2: none */
    int64_t gates, directions, hidden, width, steps, batch;
    float clip;
    adze_activation activations[2][3];
} adze_cell;

/* All that the node alone says; hidden, width, steps and batch stay 0. */
adze_status adze_read_cell(adze_cell *c, const adze_node *node, adze_error *err) ADZE_MUST_CHECK;

#endif
