/* What the rewrites share: a sweep over the nodes that always knows who uses what, matching, reading of
 * constants, replacing. A rewrite looks at one node and its surroundings; the sweep repeats until
 * nothing changes. New nodes are appended: the graph is sorted when the sweep is over. */
#ifndef ADZE_PASSES_REWRITER_IMPL_H
#define ADZE_PASSES_REWRITER_IMPL_H
#include "ops/fused.h"
#include "ops/registry.h"

typedef struct adze_rewriter {
    adze_graph *graph;
    adze_uses uses;
    adze_arena scratch; /* of the uses; emptied whenever the graph has changed */
    bool stale;
    bool failed; /* out of memory: the pass ends with ADZE_NO_MEMORY */
} adze_rewriter;

/* Returns true when it changed the graph. */
typedef bool (*adze_rewrite_fn)(adze_rewriter *rw, adze_node *node);

/* Sweeps until nothing changes, then drops dead nodes and sorts. */
adze_status adze_rewrite_sweep(adze_graph *graph, adze_rewrite_fn rewrite, bool *changed,
                               adze_error *err) ADZE_MUST_CHECK;

/* ---- matching ---- */

bool adze_rw_is(const adze_node *node, const char *op); /* of ai.onnx; NULL is nothing */
adze_node *adze_rw_producer(const adze_value *value, const char *op); /* NULL: another or none */
adze_value *adze_rw_input(const adze_node *node, int i);              /* NULL: absent */
bool adze_rw_has_output(const adze_node *node, int i);
int adze_rw_use_count(adze_rewriter *rw, const adze_value *value);
adze_node *adze_rw_user(adze_rewriter *rw, const adze_value *value, int i); /* NULL: no node */
/* The node that alone uses the value, once; NULL when there are others or it is an output. */
adze_node *adze_rw_sole_user(adze_rewriter *rw, const adze_value *value);

bool adze_rw_is_float(const adze_value *value); /* float32, not quantized, rank known */
/* The element types of all inputs and outputs are known: those of a rank that only a run knows are not. */
bool adze_rw_is_typed(const adze_node *node);
bool adze_rw_same_shape(const adze_value *a, const adze_value *b);
bool adze_rw_same_dim(adze_dim a, adze_dim b); /* surely equal */

/* ---- constants ---- */

const adze_tensor *adze_rw_constant(const adze_value *value); /* NULL: none */
bool adze_rw_scalar(const adze_value *value, double *out);    /* constant of one number */
/* All elements of a constant are this number. */
bool adze_rw_all_equal(const adze_value *value, double number);
/* Integers of a constant; -1 when it is none or has more than max. */
int adze_rw_ints(const adze_value *value, int64_t *out, int max);
/* A new float32 constant [count] or of the shape of `like`, to be filled; NULL: out of memory. */
float *adze_rw_new_floats(adze_rewriter *rw, adze_value **out, const char *name, int rank,
                          const int64_t *dims);
adze_value *adze_rw_new_ints(adze_rewriter *rw, const char *name, int count, const int64_t *values);

/* ---- rewriting ---- */

/* Uses of `from` become uses of `to`. False when `from` is an output of the graph, whose name cannot
 * pass to `to` (an input, a constant of other users, another output), and when users of `to` read its
 * numbers in another way. */
bool adze_rw_replace(adze_rewriter *rw, adze_value *from, adze_value *to);
/* Kills `node`, whose only output was used by `user` alone, or whose uses have been replaced. */
void adze_rw_kill(adze_rewriter *rw, adze_node *node);
/* Output i of the node becomes `made`, and what it was the only output of `next`, which reads `made`. */
void adze_rw_follow(adze_rewriter *rw, adze_node *node, int i, adze_value *made, adze_node *next);
void adze_rw_set_input(adze_rewriter *rw, adze_node *node, int i, adze_value *value);
/* An appended node of ai.onnx with its operator resolved; NULL: out of memory. Output types unknown. */
adze_node *adze_rw_new_node(adze_rewriter *rw, const char *op, const char *name, int inputs,
                            int outputs);
/* Output `i` of `node` becomes `value`, until now made by another node (which is killed). */
void adze_rw_take_output(adze_rewriter *rw, adze_node *node, int i, adze_value *value);
/* Notes that memory ran out when `ok` is false; returns ok. */
bool adze_rw_check(adze_rewriter *rw, bool ok);

/* ---- clamps (adze.lo, adze.hi) ---- */

void adze_rw_get_clamp(const adze_node *node, double *lo, double *hi);
bool adze_rw_set_clamp(adze_rewriter *rw, adze_node *node, double lo, double hi);
bool adze_rw_has_clamp(const adze_node *node);

#endif
