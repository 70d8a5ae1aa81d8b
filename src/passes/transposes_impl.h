/* Permutations of axes, and Transpose nodes, for the passes that make, move and remove them. */
#ifndef ADZE_PASSES_TRANSPOSES_IMPL_H
#define ADZE_PASSES_TRANSPOSES_IMPL_H
#include "passes/rewriter_impl.h"

/* Axis i of the result is axis axes[i] of what is transposed. */
typedef struct adze_perm {
    int rank;
    int64_t axes[ADZE_MAX_RANK];
} adze_perm;

extern const adze_perm adze_perm_to_last;  /* [N, C, H, W] -> [N, H, W, C] */
extern const adze_perm adze_perm_to_first; /* and back */

/* That of a Transpose; false when `node` is none (NULL is none) or its rank is not known. */
bool adze_perm_read(adze_perm *out, const adze_node *node);
bool adze_perm_equal(const adze_perm *a, const adze_perm *b);
adze_perm adze_perm_inverse(const adze_perm *p);
adze_type adze_perm_type(const adze_type *type, const adze_perm *p);
/* It moves axes of size 1 only: the bytes stay where they are. */
bool adze_perm_is_free(const adze_type *from, const adze_perm *p);

/* The value transposed: computed by a new node. NULL: out of memory. */
adze_value *adze_rw_transpose(adze_rewriter *rw, adze_value *value, const adze_perm *p);
/* A constant transposed now; of less rank than p: seen with axes of size 1 in front. */
adze_value *adze_rw_transpose_constant(adze_rewriter *rw, adze_value *value, const adze_perm *p);
/* From now on `node` makes the inverse-transposed output i, and a new Transpose by `p` what it was. */
bool adze_rw_transpose_output(adze_rewriter *rw, adze_node *node, int i, const adze_perm *p);

/* Merges a Transpose with one before it or beside it; removes it when it does nothing. */
bool adze_rw_tidy_transpose(adze_rewriter *rw, adze_node *node);
/* The shape of `to` as a Reshape of `from` says it (0: the same as before, -1: the rest); false when
 * that cannot be said. */
bool adze_rw_reshape_target(const adze_type *from, const adze_type *to, int64_t *shape);
/* A Transpose that moves no byte becomes a Reshape. */
bool adze_rw_transpose_to_reshape(adze_rewriter *rw, adze_node *node);

#endif
