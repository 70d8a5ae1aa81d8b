/* What operators that run graphs or handle sequences and optionals share: types of bodies, running a
 * body, memory that outlives a turn, copies of items, tensors that grow by one piece a turn.
 *
 * A body is a graph in an attribute of the node. It is planned with the plan around it; the session runs
 * it with the same executor. */
#ifndef ADZE_OPS_CONTROL_H
#define ADZE_OPS_CONTROL_H
#include "ops/helpers.h"

/* ---- types ---- */

/* The graph of an attribute; NULL: absent. */
adze_graph *adze_ops_graph(const adze_node *node, const char *name);
/* Fails with ADZE_BAD_MODEL unless the graph is there and takes and gives so many values (outputs -1:
 * any number). */
adze_status adze_ops_need_graph(adze_graph **out, const adze_node *node, const char *name,
                                int inputs, int outputs, adze_error *err) ADZE_MUST_CHECK;
/* Captures take the types of what they stand for, then all types are inferred. Types of the inputs are
 * the caller's. */
adze_status adze_ops_infer_graph(adze_graph *graph, adze_error *err) ADZE_MUST_CHECK;
/* Input i of a graph gets this type (an element type that is not known stays what the file says). */
void adze_ops_set_graph_input(adze_graph *graph, int i, const adze_type *type);
/* `into` becomes a type that covers both; true: it changed. */
bool adze_ops_join_types(adze_dims *dims, adze_type *into, const adze_type *other);
/* A type of inside a body as seen from outside: dimensions that data decide are new ones. */
adze_type adze_ops_outer_type(adze_dims *dims, const adze_type *type);
/* Body inputs first.. carry inputs from.. of the node into body outputs carried..: their types become ones
 * that hold in every turn; the body is inferred. */
adze_status adze_ops_infer_carried(adze_infer *infer, adze_graph *body, int first, int from,
                                   int carried, int count, adze_error *err) ADZE_MUST_CHECK;
/* Sequence of tensors of this element type, nothing else known; lives forever. */
const adze_type *adze_ops_sequence_type(adze_dtype dtype);

/* ---- execution ---- */

/* Runs a graph of this node on items (as many as it has inputs); outputs are valid until it runs again. */
adze_status adze_run_graph(adze_run *run, const adze_graph *graph, const adze_item *inputs,
                           adze_item *outputs, adze_error *err) ADZE_MUST_CHECK;
/* Output i of that run keeps its bytes until the graph runs again (false: they are someone else's). */
bool adze_run_graph_lasts(adze_run *run, const adze_graph *graph, int output);
/* At least `size` bytes that live until the session closes, what was there kept when it grows; slots
 * 0 to 5 * (inputs and outputs of the node and its graphs) + 7. NULL: none. */
void *adze_run_shelf(adze_run *run, int slot, size_t size);
/* Copy of an item with all it points to in a slot of the shelf. */
adze_status adze_run_keep(adze_run *run, int slot, adze_item *out, const adze_item *from,
                          adze_error *err) ADZE_MUST_CHECK;
/* The same into memory that belongs to output i. */
adze_status adze_run_copy_item(adze_run *run, int i, adze_item *out, const adze_item *from,
                               adze_error *err) ADZE_MUST_CHECK;
/* Output i becomes a sequence of so many empty items. */
adze_status adze_run_new_sequence(adze_run *run, int i, int count, adze_error *err) ADZE_MUST_CHECK;
/* Output i becomes a copy of the tensor. Needs ADZE_OP_DATA_SIZED. */
adze_status adze_run_copy_tensor(adze_run *run, int i, const adze_tensor *from,
                                 adze_error *err) ADZE_MUST_CHECK;

/* Tensors of one shape, one after another, in slots `slot` to slot + 2. */
typedef struct adze_stack {
    adze_run *run;
    int slot;
    int64_t count;
    adze_tensor piece; /* type and shape of the first one */
    size_t bytes;      /* of a piece */
    size_t text;       /* strings: bytes in slot + 1 */
} adze_stack;

adze_status adze_stack_push(adze_stack *stack, const adze_tensor *piece,
                            adze_error *err) ADZE_MUST_CHECK;
/* Pieces of zeros (of a shape that `type` knows where there was none yet). */
adze_status adze_stack_fill(adze_stack *stack, int64_t count, const adze_type *type,
                            adze_error *err) ADZE_MUST_CHECK;
/* The pieces as one tensor with a new axis; backwards: the last piece comes first. When there is no piece
 * the shape of one is what `type` knows, else 0. */
adze_status adze_stack_finish(adze_stack *stack, int64_t axis, bool backwards,
                              const adze_type *type, adze_item *out,
                              adze_error *err) ADZE_MUST_CHECK;

#endif
