/* What the operators of language models share: checks of types at inference. T, the number of tokens, is a
 * symbol; what does not agree yet is checked again when a run binds it. All are rows of domain "adze"
 * that graph builders and passes make, and no file holds (ADZE_OP_INTERNAL). */
#ifndef ADZE_OPS_LANGUAGE_H
#define ADZE_OPS_LANGUAGE_H
#include "ops/helpers.h"

#define ADZE_LANGUAGE_ANY INT64_MAX /* a dimension of any size */

/* Input i, when there, is of this rank and these dimensions (as far as can be told): else ADZE_BAD_MODEL.
 * `form` says it in words: "[T, H, D]". */
adze_status adze_language_shape(const adze_infer *infer, int i, int rank, const adze_dim *dims,
                                const char *form, adze_error *err) ADZE_MUST_CHECK;
/* Types of elements that input i may have, ended by ADZE_UNDEFINED. */
adze_status adze_language_dtype(const adze_infer *infer, int i, const adze_dtype *allowed,
                                adze_error *err) ADZE_MUST_CHECK;
adze_status adze_language_f32(const adze_infer *infer, int i, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_language_i64(const adze_infer *infer, int i, adze_error *err) ADZE_MUST_CHECK;
/* Weights [.., N, K]: a float or block type whose blocks divide K; without scales. */
adze_status adze_language_weights(const adze_infer *infer, int i, adze_error *err) ADZE_MUST_CHECK;
/* The last dimension of two inputs must agree: x [.., K] with w [.., K]. */
bool adze_language_agree(adze_dim a, adze_dim b);

/* Fails with ADZE_BAD_DATA unless all numbers of an int64 tensor lie in 0 .. limit - 1. */
adze_status adze_language_range(const adze_run *run, int i, int64_t limit, const char *what,
                                adze_error *err) ADZE_MUST_CHECK;

/* A row; the rest are members of adze_op. */
#define ADZE_LANGUAGE_ROW(op, least, most, outs, attributes, ...)                                  \
    {                                                                                              \
        .domain = "adze", .name = op, .since = 1, .min_inputs = least, .max_inputs = most,         \
        .min_outputs = outs, .max_outputs = outs, .quant = ADZE_QUANT_NEVER, .attrs = attributes,  \
        __VA_ARGS__                                                                                \
    }

#endif
