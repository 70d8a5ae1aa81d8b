/* The products of language models: y[t, n] = sum over k of x[t, k] * w[n, k], then + bias[n].
 *
 * Weights stay where they lie (a mapped file), row after row, in any float or block type; activations are
 * float32 and, for block types, quantized here to 8 bits in blocks of 32 with a float scale.
 *
 * What holds, and must go on holding: within one CPU level, y[t, n] depends on row t of x and row n of w
 * alone. The order of its float sum is one fixed chain, so its bits are the same for 1 token or 512, in
 * any tile, beside any neighbours, on any number of threads. */
#ifndef ADZE_KERNELS_LINEAR_H
#define ADZE_KERNELS_LINEAR_H
#include "adze/tensor.h"
#include "base/error.h"
#include "base/threads.h"

struct adze_kernels;

typedef struct adze_linear_args {
    adze_dtype dtype; /* of w: float32, float16, bfloat16 or a block type */
    const void *w;    /* [n, k] */
    size_t w_stride;  /* bytes from one row to the next */
    int64_t tokens, n, k;
    const float *x; /* [tokens, k], rows ldx floats apart */
    int64_t ldx;
    const float *bias; /* [n] or NULL */
    float *y;          /* [tokens, n], rows ldy floats apart */
    int64_t ldy;
    void *scratch; /* adze_linear_scratch bytes, 64-byte aligned */
} adze_linear_args;

/* False for types that no kernel reads. */
bool adze_linear_can(const struct adze_kernels *kernels, adze_dtype dtype);
/* Bytes of scratch for these sizes on so many threads. */
size_t adze_linear_scratch(const struct adze_kernels *kernels, adze_dtype dtype, int64_t tokens,
                           int64_t k, int threads);
/* The whole product, over the pool. Not from inside a piece of the pool. */
void adze_linear_run(const struct adze_kernels *kernels, adze_pool *pool,
                     const adze_linear_args *args);

#endif
