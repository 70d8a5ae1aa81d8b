#include <string.h>

#include "kernels/kernels.h"
#include "ops/recurrent.h"

typedef struct activation_row {
    const char *name;
    int kernel;
    int parameters; /* of alpha, beta: how many it takes from the lists */
    float alpha, beta;
} activation_row;

static const activation_row activation_rows[] = {
    {"Sigmoid", ADZE_UNARY_SIGMOID, 0, 0, 0},
    {"Tanh", ADZE_UNARY_TANH, 0, 0, 0},
    {"Relu", ADZE_UNARY_RELU, 0, 0, 0},
    {"LeakyRelu", ADZE_UNARY_LEAKY_RELU, 1, 0.01f, 0},
    {"ThresholdedRelu", ADZE_UNARY_THRESHOLDED_RELU, 1, 1, 0},
    {"ScaledTanh", ADZE_SCALED_TANH, 2, 1, 1},
    {"HardSigmoid", ADZE_UNARY_HARD_SIGMOID, 2, 0.2f, 0.5f},
    {"Elu", ADZE_UNARY_ELU, 1, 1, 0},
    {"Softsign", ADZE_UNARY_SOFTSIGN, 0, 0, 0},
    {"Softplus", ADZE_UNARY_SOFTPLUS, 0, 0, 0},
    {"Affine", ADZE_UNARY_LINEAR, 2, 1, 0},
};

static const activation_row *find_activation(const adze_string *name)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(activation_rows); i++) {
        const char *known = activation_rows[i].name;
        size_t n = strlen(known), at = 0;
        while (n == name->length && at < n && (known[at] | 0x20) == (name->data[at] | 0x20))
            at++;
        if (at == n && n == name->length)
            return &activation_rows[i];
    }
    return NULL;
}

static adze_cell_kind kind_of(const adze_node *node)
{
    const char *op = adze_node_op(node);
    return strcmp(op, "GRU") == 0 ? CELL_GRU : strcmp(op, "RNN") == 0 ? CELL_RNN : CELL_LSTM;
}

static adze_status read_activations(adze_cell *c, const adze_node *node, adze_error *err)
{
    static const int counts[] = {1, 2, 3}, defaults[3][3] = {{1}, {0, 1}, {0, 1, 1}};
    const adze_attr *names = adze_node_attr(node, "activations");
    int alphas, betas, alpha = 0, beta = 0, per = counts[c->kind];
    const float *a = adze_node_floats(node, "activation_alpha", &alphas);
    const float *b = adze_node_floats(node, "activation_beta", &betas);
    if (names && (names->type != ADZE_ATTR_STRINGS || names->count != per * (int)c->directions))
        return adze_ops_bad(node, err, "the list of activations has the wrong length");
    for (int i = 0; i < per * (int)c->directions; i++) {
        const activation_row *row = names ? find_activation(&names->as.strings[i])
                                          : &activation_rows[defaults[c->kind][i % per]];
        if (!row)
            return adze_fail(err, ADZE_UNSUPPORTED, "node %s (%s): activation '%.*s'",
                             adze_node_name(node), adze_node_op(node),
                             (int)ADZE_MIN(names->as.strings[i].length, 40),
                             names->as.strings[i].data);
        adze_activation *to = &c->activations[i / per][i % per];
        *to = (adze_activation){row->kernel, row->alpha, row->beta};
        if (row->parameters > 0 && alpha < alphas)
            to->alpha = a[alpha++];
        if (row->parameters > 1 && beta < betas)
            to->beta = b[beta++];
    }
    return ADZE_OK;
}

/* All that the node alone says. */
adze_status adze_read_cell(adze_cell *c, const adze_node *node, adze_error *err)
{
    static const int gates[] = {1, 3, 4};
    static const char *const names[] = {"forward", "reverse", "bidirectional", NULL};
    int direction = adze_ops_choice(names, adze_node_string(node, "direction", "forward"));
    *c = (adze_cell){.kind = kind_of(node)};
    if (direction < 0)
        return adze_ops_bad(node, err, "direction must be forward, reverse or bidirectional");
    c->quantized = *adze_node_domain(node) != 0;
    c->gates = gates[c->kind];
    c->directions = direction == 2 ? 2 : 1;
    c->first_reverse = direction == 0 ? 2 : direction == 1 ? 0 : 1;
    c->batch_first = adze_node_int(node, "layout", 0) != 0;
    c->linear_before_reset = adze_node_int(node, "linear_before_reset", 0) != 0;
    c->input_forget = adze_node_int(node, "input_forget", 0) != 0;
    c->clip = adze_node_float(node, "clip", 0);
    return read_activations(c, node, err);
}
