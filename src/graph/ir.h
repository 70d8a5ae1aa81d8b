/* The inside of the graph, for modules that rewrite or execute it. Knows nothing of any operator: a
 * node carries its operator as an opaque pointer that the ops module fills in.
 *
 * Everything lives in the graph's arena and is never freed alone; a removed node is marked dead and
 * dropped by adze_graph_compact. Values keep their ids for life: side tables are arrays indexed by id. */
#ifndef ADZE_GRAPH_IR_H
#define ADZE_GRAPH_IR_H
#include "adze/graph.h"
#include "base/context.h"
#include "base/file.h"
#include "base/map.h"

struct adze_op;

typedef enum adze_dim_kind {
    ADZE_DIM_SYMBOL,  /* bound at run time by the inputs' shapes */
    ADZE_DIM_UNKNOWN, /* known only when the node that makes it has run (data decides) */
    ADZE_DIM_ADD,
    ADZE_DIM_SUB,
    ADZE_DIM_MUL,
    ADZE_DIM_DIV,  /* floor */
    ADZE_DIM_CEIL, /* ceiling division */
    ADZE_DIM_MIN,
    ADZE_DIM_MAX
} adze_dim_kind;

typedef struct adze_dim_def {
    adze_dim_kind kind;
    const char *name;     /* symbols */
    int64_t lower, upper; /* bounds of the value; a difference may have a negative lower one */
    adze_dim a, b;        /* operands; always defined before this one */
    int size;             /* symbols and operations in it: bounds the work of evaluating it */
} adze_dim_def;

/* The table of symbols and expressions; dimension d < 0 is defs[-1 - d]. */
typedef struct adze_dims {
    adze_arena *arena;
    adze_dim_def *defs;
    int count, capacity;
    bool failed; /* out of memory since: such results are the dimension -1, unknown without bound */
} adze_dims;

bool adze_dims_init(adze_dims *dims, adze_arena *arena);
bool adze_dims_copy(adze_dims *to, const adze_dims *from); /* `to` was initialised */
/* Computes the bounds of all expressions afresh, after those of a symbol have changed. */
void adze_dims_update_bounds(adze_dims *dims);
/* Arithmetic that folds numbers, brings sums, products and quotients to one form (so that equal
 * expressions mostly are the same dimension) and shares equal expressions. Results below zero, too
 * large expressions and out of memory: unknown dimension. */
adze_dim adze_dim_op(adze_dims *dims, adze_dim_kind kind, adze_dim a, adze_dim b);
adze_dim adze_dim_symbol(adze_dims *dims, const char *name);
adze_dim adze_dim_unknown(adze_dims *dims, int64_t upper);
bool adze_dim_known(adze_dim d); /* a number */
/* Value of d when every symbol s has values[index of s]; upper bounds: adze_dim_upper. -1: unknown. */
int64_t adze_dim_evaluate(const adze_dims *dims, adze_dim d, const int64_t *values);
int64_t adze_dim_upper(const adze_dims *dims, adze_dim d);
/* True when d is, or is computed from, a dimension that only data decide. */
bool adze_dim_has_unknown(const adze_dims *dims, adze_dim d);
int64_t adze_dim_lower(const adze_dims *dims, adze_dim d);           /* >= 0 */
const adze_dim_def *adze_dim_get(const adze_dims *dims, adze_dim d); /* NULL: a number */
const char *adze_dim_format(const adze_dims *dims, adze_dim d, char *buf, size_t size);

typedef enum adze_attr_type {
    ADZE_ATTR_INT,
    ADZE_ATTR_FLOAT,
    ADZE_ATTR_STRING,
    ADZE_ATTR_INTS,
    ADZE_ATTR_FLOATS,
    ADZE_ATTR_STRINGS,
    ADZE_ATTR_TENSOR,
    ADZE_ATTR_GRAPH,
    ADZE_ATTR_TYPE
} adze_attr_type;

typedef struct adze_attr {
    const char *name;
    adze_attr_type type;
    int count; /* of lists */
    union {
        int64_t i;
        float f;
        const char *s;
        const int64_t *ints;
        const float *floats;
        const adze_string *strings;
        const adze_tensor *tensor;
        struct adze_graph *graph; /* owned by the node's graph, freed with it */
        const adze_type *value_type;
    } as;
} adze_attr;

typedef enum adze_value_role {
    ADZE_ROLE_COMPUTED,
    ADZE_ROLE_INPUT,
    ADZE_ROLE_CONSTANT,
    ADZE_ROLE_STATE,
    ADZE_ROLE_CAPTURE /* of a subgraph: stands for a value of the enclosing graph */
} adze_value_role;

struct adze_value {
    int id; /* index in graph->values */
    adze_value_role role;
    const char *name;
    adze_type type;
    adze_node *producer; /* computed values */
    int producer_output;
    const adze_tensor *constant; /* ROLE_CONSTANT: content; ROLE_STATE: initial content */
    adze_value *next;            /* ROLE_STATE: value that it takes after a run */
    adze_value *outer;           /* ROLE_CAPTURE */
    /* Content known at inference time although computed (shapes that flow as data): dimensions, and
     * numbers n < 0 as INT64_MIN - n. */
    const adze_dim *known; /* known_count elements, or NULL */
    int known_count;
};

struct adze_node {
    int id; /* unique in the graph; not its position */
    const char *name, *domain, *op_type;
    const struct adze_op *op; /* NULL: unknown operator */
    int input_count, output_count;
    adze_value **inputs;  /* NULL: absent */
    adze_value **outputs; /* NULL: absent */
    int attr_count, attr_capacity;
    adze_attr *attrs;
    bool dead;
    adze_graph *graph;
};

struct adze_graph {
    adze_context *context;
    adze_arena arena;
    const char *name;
    adze_graph *parent; /* subgraphs: the enclosing graph (its dims are shared) */
    adze_dims *dims;
    int value_count, value_capacity, node_count, node_capacity, next_node_id;
    adze_value **values;
    adze_node **nodes; /* in an order that can be executed */
    int input_count, input_capacity, output_count, output_capacity, state_count, state_capacity;
    int capture_count, capture_capacity;
    adze_value **inputs, **outputs, **states, **captures;
    adze_map by_name;    /* name -> adze_value */
    adze_map node_names; /* name -> adze_node */
    int subgraph_count, subgraph_capacity;
    adze_graph *
        *subgraphs; /* of the attributes of all nodes, killed ones too; freed with the graph */
    int mapping_count, mapping_capacity;
    adze_mapping **mappings; /* files that constants point into; released with the graph */
};

/* ---- subgraphs ---- */

/* An empty graph for an attribute of a node of `parent`, which owns it and shares its dims with it. */
adze_status adze_graph_create_child(adze_graph **out, adze_graph *parent,
                                    adze_error *err) ADZE_MUST_CHECK;
/* The value of a subgraph that stands for `outer`, a value of the enclosing graph; made on first use. */
adze_value *adze_graph_add_capture(adze_graph *graph, const char *name, adze_value *outer);

/* ---- rewriting ---- */

adze_value *adze_graph_new_value(adze_graph *graph, const char *name, const adze_type *type);
/* A node that is in no list yet, with its own new outputs. */
adze_node *adze_graph_new_node(adze_graph *graph, const char *domain, const char *op_type,
                               const char *name, int inputs, int outputs);
bool adze_graph_append(adze_graph *graph, adze_node *node); /* false: out of memory */
/* Inserts before position `at` of graph->nodes. False: out of memory. */
bool adze_graph_insert(adze_graph *graph, int at, adze_node *node);
bool adze_node_add_input(adze_node *node, adze_value *value);
void adze_node_kill(adze_node *node); /* outputs lose their producer; its names become free */
/* `to` gets the name of `from`, which gets another one. False: out of memory. */
bool adze_value_take_name(adze_graph *graph, adze_value *to, adze_value *from);
void adze_graph_compact(adze_graph *graph); /* drops dead nodes */
/* Every use of `from` (inputs, outputs, next, captures) becomes `to`. */
void adze_graph_replace_uses(adze_graph *graph, adze_value *from, adze_value *to);
bool adze_value_is_output(const adze_graph *graph, const adze_value *value);
bool adze_node_set_attr(adze_node *node, const adze_attr *attr); /* copies what it points to */
bool adze_node_copy_attrs(adze_node *to, const adze_node *from);
const adze_attr *adze_node_attr(const adze_node *node, const char *name);
void adze_node_remove_attr(adze_node *node, const char *name);
const adze_quant *adze_graph_new_quant(adze_graph *graph, int axis, int block, int64_t count,
                                       const float *scale, const int32_t *zero_point);
/* Copies into the graph's arena, with what they point to; the bytes of a tensor only when `copy`. */
const adze_tensor *adze_graph_keep_tensor(adze_graph *graph, const adze_tensor *tensor, bool copy);
bool adze_graph_keep_type(adze_graph *graph, adze_type *out, const adze_type *type);
bool adze_graph_keep_mapping(adze_graph *graph, adze_mapping *mapping); /* retains */

/* Who uses each value: made fresh by a pass, thrown away by it. */
typedef struct adze_uses {
    int *count;         /* [value_count] uses, an output of the graph counting as one */
    adze_node ***users; /* [value_count] -> [count] (graph outputs and states have no node: NULL) */
} adze_uses;
bool adze_uses_build(adze_uses *uses, const adze_graph *graph, adze_arena *scratch);

/* Checks: order, single producers, no dangling values, unique names, dims defined, types of constants.
 * `after` names the pass for the message. Fails with ADZE_INTERNAL. */
adze_status adze_graph_verify(const adze_graph *graph, const char *after,
                              adze_error *err) ADZE_MUST_CHECK;
/* Sorts nodes so that producers come first; fails with ADZE_BAD_MODEL on a cycle (names a node on it). */
adze_status adze_graph_sort(adze_graph *graph, adze_error *err) ADZE_MUST_CHECK;

#endif
