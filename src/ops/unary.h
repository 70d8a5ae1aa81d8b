/* One function of one tensor, element by element: the machinery behind the activations and the
 * elementary functions. An operator is a row of a table: name, kernel, attributes of its
 * parameters. */
#ifndef ADZE_OPS_UNARY_H
#define ADZE_OPS_UNARY_H
#include "ops/helpers.h"

typedef struct adze_unary_call {
    adze_unary kernel;
    float a, b;
} adze_unary_call;

/* Hangs on adze_op.user. Parameters a and b of the kernel: attribute (NULL: none) and default; or a
 * function that chooses the kernel as well. */
typedef struct adze_unary_spec {
    adze_unary kernel;
    const char *a_attr, *b_attr;
    float a, b;
    adze_unary_call (*choose)(const adze_node *node); /* NULL: as above */
} adze_unary_spec;

/* A row of an operator family; the rest are fields of adze_unary_spec. */
#define ADZE_UNARY_ROW(op, version, attributes, ...)                                               \
    {                                                                                              \
        .domain = "", .name = op, .since = version, .min_inputs = 1, .max_inputs = 1,              \
        .min_outputs = 1, .max_outputs = 1, .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,        \
        .quant = ADZE_QUANT_COMPUTE, .attrs = attributes, .infer = adze_ops_infer_same,            \
        .cost = adze_unary_cost, .prepare = adze_unary_prepare, .run = adze_unary_run,             \
        .user = (void *)&(const adze_unary_spec)                                                   \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

void adze_unary_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                     const adze_tensor *const *outputs);
adze_status adze_unary_prepare(adze_prepare *prepare, adze_error *err);
adze_status adze_unary_run(adze_run *run, adze_error *err);

/* For operators that choose kernel and parameters themselves (Clip). */
adze_status adze_unary_prepare_call(adze_prepare *prepare, adze_unary_call call, adze_error *err);
adze_status adze_unary_run_call(adze_run *run, adze_unary_call call, adze_error *err);

/* The same function in double precision. */
double adze_unary_f64(adze_unary_call call, double x);

#endif
