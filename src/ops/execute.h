/* What stands between an operator and whoever executes it: the session of the runtime, or the
 * single-node executor below (constant folding, tests). */
#ifndef ADZE_OPS_EXECUTE_H
#define ADZE_OPS_EXECUTE_H
#include "kernels/kernels.h"
#include "ops/registry.h"

struct adze_prepare {
    const adze_node *node;
    const adze_tensor *const
        *inputs; /* NULL: absent; data NULL: not constant; dims -1: not bounded */
    const adze_tensor *const *outputs;
    const adze_kernels *kernels;
    adze_arena *arena; /* the plan's */
    const void *prepared;
};

/* First member of whatever adze_run.session points to. */
typedef struct adze_run_host {
    adze_status (*resize)(adze_run *run, int i, adze_dtype dtype, int rank, const int64_t *dims,
                          adze_error *err);
    void *(*alloc)(adze_run *run, int i, size_t size);
    /* See ops/control.h; NULL where no graphs can be run. */
    adze_status (*graph)(adze_run *run, const adze_graph *graph, const adze_item *inputs,
                         adze_item *outputs, adze_error *err);
    bool (*lasts)(adze_run *run, const adze_graph *graph, int output);
    void *(*shelf)(adze_run *run, int slot, size_t size);
} adze_run_host;

/* Executes one node on tensors: infers the output types, prepares, runs. Outputs (node->output_count of
 * them, descriptors and bytes) are made in `arena`. inputs[i] NULL: absent. */
adze_status adze_op_run_single(adze_tensor *outputs, const adze_node *node,
                               const adze_tensor *const *inputs, adze_arena *arena,
                               adze_error *err) ADZE_MUST_CHECK;

#endif
