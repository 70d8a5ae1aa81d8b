/** @file
 * Comparing with ONNX Runtime, node by node. It is loaded from its own shared library when asked for
 * (pip's onnxruntime carries one in onnxruntime/capi); nothing else in adze needs it.
 * Threads: one at a time for each of these objects. */
#ifndef ADZE_PEERS_H
#define ADZE_PEERS_H
#include "adze/model.h"

ADZE_BEGIN_C

typedef struct adze_peer adze_peer;
typedef struct adze_peer_values adze_peer_values;

/** Loads ONNX Runtime 1.6 or newer from the shared library `path`; NULL: the file that the environment
 * variable ADZE_ONNXRUNTIME names, else what the system's loader finds, else what the Python environment in
 * VIRTUAL_ENV holds. Fails with ADZE_NOT_FOUND, ADZE_UNSUPPORTED, ADZE_NO_MEMORY. Close with adze_peer_close. */
ADZE_MUST_CHECK ADZE_API adze_status adze_peer_open(adze_peer **out, const char *path,
                                                    adze_error *err);
/** Frees and nulls; values must be freed before. The library stays loaded. NULL is fine. */
ADZE_API void adze_peer_close(adze_peer **peer);
ADZE_API const char *adze_peer_version(const adze_peer *peer); /* "1.31.1" */

/** Runs the ONNX file of `model` in ONNX Runtime, its optimisation off, on `inputs` (as many as the graph of the
 * model has, in its order), and keeps every tensor that a node of the outermost graph makes. threads: 0: its
 * own choice. Fails with ADZE_UNSUPPORTED (not from an ONNX file; a refusal by ONNX Runtime, in its words),
 * ADZE_NO_MEMORY, ADZE_IO. Free with adze_peer_values_free. */
ADZE_MUST_CHECK ADZE_API adze_status adze_peer_run(adze_peer_values **out, adze_peer *peer,
                                                   const adze_model *model,
                                                   const adze_tensor *inputs, int threads,
                                                   adze_error *err);
ADZE_API void adze_peer_values_free(adze_peer_values **values);

typedef struct adze_comparison {
    int values;    /* compared */
    int different; /* of these, out of bounds */
    double
        worst_float; /* largest difference over the largest magnitude of the value; infinity: not comparable */
    double worst_steps;                 /* of 8 and 16 bit integers */
    double equal;                       /* share of their elements, 1 when there are none */
    char op[64], node[160], value[160]; /* the first that is out of bounds */
    char what[400];                     /* how */
} adze_comparison;

typedef struct adze_compare_options {
    bool
        fuse; /* the plan is rewritten as for a run: fewer values to compare, but what really runs */
    double tolerance; /* of floats, relative to the largest magnitude of the value; 0: 1e-4 */
} adze_compare_options;

/** Runs `model` on the same inputs, each step on what ONNX Runtime made of the steps before it, so that
 * differences do not add up, and compares. Bounds: floats `tolerance` (float16 at least 2e-3, bfloat16 and
 * DynamicQuantizeLSTM 2e-2); integers of 8 and 16 bits one step, 99.9 % of the elements equal; all else equal. Values that
 * only one of the two has, and random ones, are not compared. Where a shape differs, the steps after it go on with
 * adze's own value. Fails as planning and running do. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_peer_compare(adze_comparison *out, const adze_peer_values *values, const adze_model *model,
                  const adze_tensor *inputs, const adze_compare_options *options, adze_error *err);

ADZE_END_C
#endif
