/* What the operator families share: attributes and axes, integers known at inference, broadcasting,
 * copies between strided layouts, ranges over threads. One operator row should need little more. */
#ifndef ADZE_OPS_HELPERS_H
#define ADZE_OPS_HELPERS_H
#include "adze/op.h"
#include "kernels/kernels.h"
#include "ops/registry.h"

/* enum of the type, C type, C type of its unsigned twin */
#define ADZE_OPS_INT_LIST(X)                                                                       \
    X(I8, int8_t)                                                                                  \
    X(U8, uint8_t)                                                                                 \
    X(I16, int16_t)                                                                                \
    X(U16, uint16_t) X(I32, int32_t) X(U32, uint32_t) X(I64, int64_t) X(U64, uint64_t)

#define ADZE_OPS_MAX_INTS 64

/* Before a loop whose iterations are independent: vectors of the base architecture, at -O2 too. */
#define ADZE_SIMD _Pragma("omp simd")

/* ---- inference ---- */

/* Type of input i when it is a tensor of known rank, else NULL (nothing can be said yet). */
const adze_type *adze_ops_ranked(const adze_infer *infer, int i);
/* The type that a computing operator gives from this one: no scales; a quantized input is a
 * float. */
adze_type adze_ops_real(const adze_type *type);
/* Output 0 is like input 0 (ADZE_QUANT_MOVE: with its scales). */
adze_status adze_ops_infer_same(adze_infer *infer, adze_error *err);
adze_status adze_ops_infer_move(adze_infer *infer, adze_error *err);
/* Broadcast of all inputs, type of input 0. */
adze_status adze_ops_infer_broadcast(adze_infer *infer, adze_error *err);

/* Input i, if there, must have one element (when that can be told). */
adze_status adze_ops_need_scalar(const adze_infer *infer, int i, adze_error *err);

/* Integers that flow as data are dimensions (below zero: symbols), so numbers below zero are
 * coded. What is less than the least (an end before everything) is coded as that. */
#define ADZE_OPS_LEAST (INT64_MIN / 2)
adze_dim adze_ops_number(int64_t value);
bool adze_ops_is_number(adze_dim d, int64_t *value);
/* Content of integer input i; number of elements or -1. */
int adze_ops_ints(const adze_infer *infer, int i, adze_dim *out, int max);
/* The same when all of them are numbers (no symbols). */
int adze_ops_numbers(const adze_infer *infer, int i, int64_t *out, int max);
/* Says what output i holds, if it is an integer tensor of at most one axis. */
void adze_ops_set_ints(adze_infer *infer, int i, const adze_dim *values, int count);
/* Arithmetic on coded integers; false when the result cannot be said. */
bool adze_ops_dim_op(adze_infer *infer, adze_dim_kind kind, adze_dim a, adze_dim b, adze_dim *out);

/* ---- attributes ---- */

adze_status adze_ops_axis(int *out, const adze_node *node, int64_t axis, int rank, adze_error *err);
/* Axes from numbers; fails on repetition. */
adze_status adze_ops_axes(int *out, const adze_node *node, const int64_t *axes, int count, int rank,
                          adze_error *err);
/* Place of a name in a list that ends with NULL; -1: none. */
int adze_ops_choice(const char *const *names, const char *name);
adze_status adze_ops_unsupported(const adze_node *node, adze_dtype dtype, adze_error *err);
adze_status adze_ops_bad(const adze_node *node, adze_error *err, const char *what);

/* ---- execution ---- */

const adze_tensor *adze_ops_input(const adze_run *run, int i); /* NULL: absent */
adze_tensor *adze_ops_output(const adze_run *run, int i);      /* NULL: not wanted */
const adze_tensor *adze_ops_prepare_input(const adze_prepare *prepare, int i);
/* Numbers of an integer tensor; -1 when there are more than max; 0 for NULL. */
int adze_ops_tensor_ints(const adze_tensor *tensor, int64_t *out, int max);
/* Bytes of an element; 0 for packed and block types. */
size_t adze_ops_element(adze_dtype dtype);
bool adze_ops_is_float(adze_dtype dtype);       /* float64, 32, 16, bfloat16 */
bool adze_ops_is_q8(const adze_tensor *tensor); /* uint8 / int8 with one scale */
int32_t adze_ops_zero_point(const adze_tensor *tensor);
/* Whether some small number of steps of `scale` lies right between two steps of `step` (scales of 1 : 2, say).
 * There the last bit of float arithmetic decides how it is rounded, so that only the very operations of the
 * dequantized form give its results. */
bool adze_ops_falls_between(float scale, float step);
/* prepare of data movement: element types of whole bytes. */
adze_status adze_ops_prepare_move(adze_prepare *prepare, adze_error *err);
/* The same where types narrower than a byte move too: `move` sees input 0 and output 0 with a byte an element, in
 * scratch behind the `own` bytes of the operator. */
adze_status adze_ops_prepare_move_packed(adze_prepare *prepare, adze_error *err);
size_t adze_ops_packed_scratch(const adze_run *run, size_t own);
adze_status adze_ops_move_packed(adze_run *run, size_t own,
                                 adze_status (*move)(adze_run *run, adze_error *err),
                                 adze_error *err);
void adze_ops_cost_move(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs);

/* fn over [0, total) in ranges of `grain`, on the session's threads. */
typedef void (*adze_ops_range_fn)(void *user, int64_t begin, int64_t end, int worker);
void adze_ops_parallel(adze_run *run, int64_t total, int64_t grain, adze_ops_range_fn fn,
                       void *user);

/* Of dimensions [from, to). */
static inline int64_t adze_ops_product(const int64_t *dims, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= dims[i];
    return n;
}

/* Bytes up to the next array in scratch. */
static inline size_t adze_ops_round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* In a long loop of an operator's own: whether the run's time is over; the clock is asked once in 4096 turns. */
static inline bool adze_ops_is_late(const adze_run *run, int64_t turn)
{
    return turn % 4096 == 4095 && adze_run_is_late(run);
}

/* A number as a whole one, towards zero, saturated; NaN is 0. */
static inline int64_t adze_ops_whole(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : x == x ? (int64_t)x : 0;
}

/* n real numbers as float32: element first + i * step (step 0 or 1) of a float16, bfloat16,
 * float32, float64 or quantized 8-bit tensor; and back. */
void adze_ops_load(const adze_kernels *kernels, const adze_tensor *from, int64_t first, int step,
                   int64_t n, float *to);
void adze_ops_store(const adze_kernels *kernels, const float *from, int64_t n, adze_tensor *to,
                    int64_t first);
bool adze_ops_can_load(const adze_tensor *tensor);
/* One element of any numeric type, float32 the quick way. */
static inline double adze_ops_get(const adze_tensor *x, int64_t i)
{
    return x->dtype == ADZE_F32 ? (double)((const float *)x->data)[i] : adze_tensor_get_f64(x, i);
}
static inline void adze_ops_put(adze_tensor *y, int64_t i, double v)
{
    if (y->dtype == ADZE_F32)
        ((float *)y->data)[i] = (float)v;
    else
        adze_tensor_set_f64(y, i, v);
}
/* prepare of operators on floats read one by one: input 0 is a float without scales. */
adze_status adze_ops_prepare_float(adze_prepare *prepare, adze_error *err);

/* Broadcasting of up to 3 operands to an output, with axes joined where all allow it. The last
 * axis is one row: step 0 or 1 for each operand. */
typedef struct adze_broadcast {
    int rank, operands;
    int64_t dims[ADZE_MAX_RANK];
    int64_t stride[3][ADZE_MAX_RANK]; /* elements */
    int64_t total;
} adze_broadcast;
typedef void (*adze_broadcast_fn)(void *user, int64_t n, const int64_t *from, int64_t to);

/* Fails when the shapes of this run do not broadcast to y. */
adze_status adze_ops_broadcast(adze_broadcast *out, const adze_run *run, const adze_tensor *y,
                               int operands, const adze_tensor *const *inputs, adze_error *err);
/* fn for each piece of a row in output elements [begin, end): n elements, operand k from element
 * from[k] with step adze_ops_step(b, k), output from element `to`. */
void adze_ops_broadcast_range(const adze_broadcast *b, int64_t begin, int64_t end,
                              adze_broadcast_fn fn, void *user);
int adze_ops_step(const adze_broadcast *b, int operand);

/* y[sum of i_k * to_k] = x[sum of i_k * from_k] for all indices, elements of `size` bytes. */
#define ADZE_OPS_COPY_RANK (2 * ADZE_MAX_RANK)
typedef struct adze_ops_layout {
    int rank;
    int64_t dims[ADZE_OPS_COPY_RANK];
    int64_t from[ADZE_OPS_COPY_RANK], to[ADZE_OPS_COPY_RANK];
    size_t size;
    const char *x;
    char *y;
} adze_ops_layout;
void adze_ops_copy(adze_run *run, const adze_ops_layout *layout);

/* y[i, j, ...] = x[source[0][i], source[1][j], ...], or `fill` where a source is -1. */
typedef struct adze_ops_map {
    const adze_tensor *x;
    adze_tensor *y; /* of x's rank */
    const int64_t *source[ADZE_MAX_RANK];
    size_t size;   /* of an element */
    char fill[16]; /* one element */
} adze_ops_map;
void adze_ops_map_copy(adze_run *run, const adze_ops_map *map);
/* Contiguous bytes, over the threads when there are many. */
void adze_ops_copy_bytes(adze_run *run, void *to, const void *from, size_t size);
/* Strides of a dense shape in elements. */
void adze_ops_strides(int rank, const int64_t *dims, int64_t *strides);

#endif
