/** @file
 * What an operator is, and how to register one's own.
 *
 * An operator is one row: names, attributes, inference of shapes, cost, preparation, execution, how it
 * may be quantized. The built-in ones use exactly this interface. See docs/add-an-operator.md. */
#ifndef ADZE_OP_H
#define ADZE_OP_H
#include "adze/graph.h"

ADZE_BEGIN_C

/* ---- inference ---- */

/** One call of infer: the node's input types are known (as far as they can be), output types wanted.
 * The same function serves three times: symbolic when a model is loaded, at the bounds when memory is
 * planned, with numbers when a run has new shapes. */
typedef struct adze_infer adze_infer;

ADZE_API const adze_node *adze_infer_node(const adze_infer *infer);
/** Type of input i; NULL when absent. Rank -1 when unknown: return ADZE_OK and leave outputs unset. */
ADZE_API const adze_type *adze_infer_input(const adze_infer *infer, int i);
ADZE_API int adze_infer_input_count(const adze_infer *infer);
ADZE_API int adze_infer_output_count(const adze_infer *infer);
/** Sets the type of output i. A quantized type that the output already has keeps its dtype and quant. */
ADZE_API void adze_infer_set(adze_infer *infer, int i, const adze_type *type);
ADZE_API void adze_infer_set_tensor(adze_infer *infer, int i, adze_dtype dtype, int rank,
                                    const adze_dim *dims);
/** Content of input i when it is known: constants, and at run time whatever was computed. */
ADZE_API const adze_tensor *adze_infer_content(const adze_infer *infer, int i);
/** Content of an integer input of at most `max` elements as dimensions (shapes that flow as data);
 * returns the number of elements, or -1 when not known. */
ADZE_API int adze_infer_ints(const adze_infer *infer, int i, adze_dim *out, int max);
/** Says what an integer output holds. */
ADZE_API void adze_infer_set_ints(adze_infer *infer, int i, const adze_dim *values, int count);
ADZE_API adze_dim adze_infer_add(adze_infer *infer, adze_dim a, adze_dim b);
ADZE_API adze_dim adze_infer_sub(adze_infer *infer, adze_dim a, adze_dim b);
ADZE_API adze_dim adze_infer_mul(adze_infer *infer, adze_dim a, adze_dim b);
ADZE_API adze_dim adze_infer_div(adze_infer *infer, adze_dim a, adze_dim b);  /* floor */
ADZE_API adze_dim adze_infer_ceil(adze_infer *infer, adze_dim a, adze_dim b); /* ceiling */
/** A dimension that only the data decide, at most `upper`. */
ADZE_API adze_dim adze_infer_unknown(adze_infer *infer, int64_t upper);
/** Multidirectional broadcast of two shapes (numpy's rule); fails with ADZE_BAD_MODEL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_infer_broadcast(adze_infer *infer, adze_type *out,
                                                          const adze_type *a, const adze_type *b,
                                                          adze_error *err);

/* ---- execution ---- */

/** A value at run time. Tensors are by far the most; sequences hold items, optionals 0 or 1. A map (ZipMap) is a
 * sequence of two tensors, its keys and its values. */
typedef struct adze_item {
    adze_value_kind kind;
    adze_tensor tensor;
    int count;
    struct adze_item *items;
} adze_item;

struct adze_pool;
struct adze_kernels;

/** One execution of a node. Pointers are valid during the call only. */
typedef struct adze_run {
    const adze_node *node;
    adze_context *context;
    struct adze_pool *pool;             /* worker threads of the session */
    const struct adze_kernels *kernels; /* tables of the context's CPU level */
    const void *prepared;               /* what prepare left, or NULL */
    int input_count, output_count;
    const adze_tensor *const *inputs; /* NULL: absent */
    adze_tensor *const *outputs; /* NULL: not wanted; memory is there unless the size is unknown */
    adze_item *const *input_items, *const *output_items; /* the same values as items */
    void *scratch; /* as many bytes as scratch() asked for, 64-byte aligned */
    void *session; /* the runtime's own */
} adze_run;

/** Gives output i its size when only the data decide it (operators with ADZE_OP_DATA_SIZED): memory comes
 * from the session's pool. */
ADZE_MUST_CHECK ADZE_API adze_status adze_run_resize(adze_run *run, int i, adze_dtype dtype,
                                                     int rank, const int64_t *dims,
                                                     adze_error *err);
/** Memory of the session's pool that lives until output i is written again (strings, sequences). */
ADZE_API void *adze_run_alloc(adze_run *run, int i, size_t size);
/** fn(user, piece, worker) for pieces 0..pieces-1 on the session's threads. */
ADZE_API void adze_run_parallel(adze_run *run, int64_t pieces,
                                void (*fn)(void *user, int64_t piece, int worker), void *user);
/** True once the run's time is over: then pieces that have not begun are left out, and a long loop of an operator's own may
 * end too. What it leaves is not looked at. */
ADZE_API bool adze_run_is_late(const adze_run *run);
/** Workers that may run at once: the size of per-worker scratch. */
ADZE_API int adze_run_threads(const adze_run *run);

/** Preparation of a node, once per plan, at the bounds: choose kernels, pack constant weights. */
typedef struct adze_prepare adze_prepare;
ADZE_API const adze_node *adze_prepare_node(const adze_prepare *prepare);
/** Type of input / output i with numbers for dimensions (at the bounds); data set when constant. */
ADZE_API const adze_tensor *adze_prepare_input(const adze_prepare *prepare, int i);
ADZE_API const adze_tensor *adze_prepare_output(const adze_prepare *prepare, int i);
ADZE_API const struct adze_kernels *adze_prepare_kernels(const adze_prepare *prepare);
/** Zeroed memory that lives as long as the plan, 64-byte aligned; NULL when there is none. */
ADZE_API void *adze_prepare_alloc(adze_prepare *prepare, size_t size);
/** What run will see as `prepared`. */
ADZE_API void adze_prepare_set(adze_prepare *prepare, const void *prepared);

/* ---- description ---- */

typedef struct adze_cost {
    double operations; /* multiply-add counts as two */
    double bytes; /* read and written when nothing is in a cache; set by the caller by default */
} adze_cost;

enum {
    ADZE_OP_VIEW = 1,        /* output 0 has the bytes of input 0: no work */
    ADZE_OP_INPLACE = 2,     /* output 0 may overwrite input 0 when sizes agree */
    ADZE_OP_INPLACE_ANY = 4, /* output 0 may overwrite any input of the same size */
    ADZE_OP_DATA_SIZED = 8,  /* an output's size is decided by data */
    ADZE_OP_RANDOM = 16,     /* never folded */
    ADZE_OP_ELEMENTWISE =
        32, /* output element i depends on input elements i alone (after broadcast) */
    ADZE_OP_SUBGRAPH = 64,  /* runs graphs held in attributes */
    ADZE_OP_INTERNAL = 128, /* made by passes only: never read from or written to files */
    ADZE_OP_ITEMS = 256 /* inputs may be sequences and optionals too, as with ADZE_OP_SUBGRAPH */
};

/** How an operator may become integer. */
typedef enum adze_quant_rule {
    ADZE_QUANT_NEVER,
    ADZE_QUANT_WEIGHTED, /* input 0 activation, 1 weights, 2 bias (int32); output requantized */
    ADZE_QUANT_COMPUTE,  /* all float inputs and outputs are activations with scales of their own */
    ADZE_QUANT_MOVE /* moves or selects elements: outputs take the scale of input 0 (Concat: all the
                            same scale, else COMPUTE) */
} adze_quant_rule;

typedef struct adze_op {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    int since;                  /* first opset version whose form is the one implemented here */
    int min_inputs, max_inputs; /* max -1: any number */
    int min_outputs, max_outputs;
    unsigned flags;
    adze_quant_rule quant;
    int weight_axis; /* QUANT_WEIGHTED: axis of output channels in the weights (-1: last) */
    const char
        *attrs; /* known attributes, separated by blanks: others are reported as unsupported */
    /** Element types of the inputs, a letter each, the last for all that follow; NULL: any. Inputs with the same small
     * letter are of one type; B bool, F float32, I int32 or int64, L int64, S string; a point: any. */
    const char *types;
    adze_status (*infer)(adze_infer *infer, adze_error *err);
    /** Types are concrete. NULL: one operation per output element. */
    void (*cost)(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                 const adze_tensor *const *outputs);
    /** NULL: can always run. Fails with ADZE_UNSUPPORTED for types or attributes without a kernel. */
    adze_status (*prepare)(adze_prepare *prepare, adze_error *err);
    /** Bytes of scratch for these shapes; NULL: none. run->scratch is not set, no data may be read. */
    size_t (*scratch)(const adze_run *run);
    adze_status (*run)(adze_run *run, adze_error *err);
    void *user; /* a custom operator's own */
} adze_op;

/** Adds an operator to a context (before models are read); a later row of the same domain and name wins.
 * The row and its strings must outlive the context. */
ADZE_MUST_CHECK ADZE_API adze_status adze_op_register(adze_context *context, const adze_op *op,
                                                      adze_error *err);
/** NULL when there is none. */
ADZE_API const adze_op *adze_op_find(const adze_context *context, const char *domain,
                                     const char *name);
/** The operator of a node (NULL: unknown). */
ADZE_API const adze_op *adze_node_operator(const adze_node *node);

ADZE_END_C
#endif
