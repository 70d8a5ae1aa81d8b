/* One operator executed alone, for tests: inputs, attributes, quantized outputs. */
#ifndef ADZE_TEST_OP_CASE_H
#define ADZE_TEST_OP_CASE_H
#include "ops/execute.h"
#include "ops/registry.h"
#include "test.h"

enum { OP_CASE_INPUTS = 20 };

typedef struct op_case {
    adze_context *context;
    adze_graph *graph;
    adze_node *node;
    adze_arena arena;
    int inputs;
    adze_tensor input[OP_CASE_INPUTS];
    adze_tensor output[4];
    adze_error error;
} op_case;

/* A case at a CPU level ("ref", ...; NULL: the best). */
void op_case_open(op_case *c, const char *level);
void op_case_open_threads(op_case *c, const char *level, int threads);
/* The next input; quant may be NULL. Data stay the caller's. */
void op_case_input(op_case *c, adze_dtype dtype, int rank, const int64_t *dims, const void *data,
                   const adze_quant *quant);
/* The next input is absent. */
void op_case_absent(op_case *c);
/* The node over the inputs so far; set its attributes and output types before op_case_run. */
adze_node *op_case_node(op_case *c, const char *op, int outputs);
/* The same for an operator of another domain than ONNX's. */
adze_node *op_case_node_in(op_case *c, const char *domain, const char *op, int outputs);
/* Output 0 becomes quantized. */
void op_case_quantize(op_case *c, adze_dtype dtype, const adze_quant *quant);
void op_case_run(op_case *c);
adze_status op_case_try(op_case *c);
void op_case_close(op_case *c);

/* Numbers that repeat by themselves: uniform in [lo, hi). */
void op_case_fill(float *x, int64_t n, uint64_t seed, float lo, float hi);
void op_case_fill_bytes(void *x, size_t n, uint64_t seed);

#endif
