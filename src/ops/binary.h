/* Two tensors, element by element, with broadcasting: the machinery behind arithmetic,
 * comparisons and logic. An operator is a row of a table. */
#ifndef ADZE_OPS_BINARY_H
#define ADZE_OPS_BINARY_H
#include "ops/helpers.h"

/* The first are kernels of float32 (eltwise.h, same order not needed); the others exist in C
 * only. */
/* clang-format off */
#define ADZE_PAIR_LIST(X)                                                                          \
    X(ADD) X(SUB) X(MUL) X(DIV) X(MIN) X(MAX) X(PRELU) X(POW) X(FMOD) X(MOD)                       \
    X(EQUAL) X(LESS) X(LESS_EQUAL) X(GREATER) X(GREATER_EQUAL)                                     \
    X(AND) X(OR) X(XOR) X(SHIFT_LEFT) X(SHIFT_RIGHT)
/* clang-format on */

typedef enum adze_pair {
#define X(name) ADZE_PAIR_##name,
    ADZE_PAIR_LIST(X)
#undef X
        ADZE_PAIR_COUNT
} adze_pair;

/* Hangs on adze_op.user. */
typedef struct adze_pair_spec {
    adze_pair pair;
} adze_pair_spec;

/* Rows of operator families: two inputs, and any number of them folded from the left (not in
 * place: a value may come in twice). */
#define ADZE_BINARY_ROW(op, version, pair_name, flag_bits, quant_rule, attributes)                 \
    {                                                                                              \
        .domain = "", .name = op, .since = version, .min_inputs = 2, .max_inputs = 2,              \
        .min_outputs = 1, .max_outputs = 1, .flags = (flag_bits) | ADZE_OP_ELEMENTWISE,            \
        .quant = quant_rule, .attrs = attributes, .infer = adze_binary_infer,                      \
        .prepare = adze_binary_prepare, .run = adze_binary_run,                                    \
        .user = (void *)&(const adze_pair_spec)                                                    \
        {                                                                                          \
            ADZE_PAIR_##pair_name                                                                  \
        }                                                                                          \
    }
#define ADZE_VARIADIC_ROW(op, version, pair_name)                                                  \
    {                                                                                              \
        .domain = "", .name = op, .since = version, .min_inputs = 1, .max_inputs = -1,             \
        .min_outputs = 1, .max_outputs = 1, .flags = ADZE_OP_ELEMENTWISE,                          \
        .quant = ADZE_QUANT_COMPUTE, .attrs = "", .infer = adze_binary_infer,                      \
        .cost = adze_variadic_cost, .prepare = adze_binary_prepare, .run = adze_variadic_run,      \
        .user = (void *)&(const adze_pair_spec)                                                    \
        {                                                                                          \
            ADZE_PAIR_##pair_name                                                                  \
        }                                                                                          \
    }

adze_status adze_binary_infer(adze_infer *infer, adze_error *err);
adze_status adze_binary_prepare(adze_prepare *prepare, adze_error *err);
adze_status adze_binary_run(adze_run *run, adze_error *err);
adze_status adze_variadic_run(adze_run *run, adze_error *err);
void adze_variadic_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs);

/* y = pair(a, b), broadcast; operators that choose the pair themselves. */
adze_status adze_binary_run_pair(adze_run *run, adze_pair pair, const adze_tensor *a,
                                 const adze_tensor *b, adze_tensor *y, adze_error *err);

/* One row of one element type: a and b with steps 0 or 1. NULL when the type has none. */
typedef void (*adze_pair_fn)(int64_t n, const void *a, int a_step, const void *b, int b_step,
                             void *y);
adze_pair_fn adze_pair_typed(adze_pair pair, adze_dtype dtype);

#endif
