/* The products of language models: y[t, n] = sum over k of x[t, k] * w[n, k], then + bias[n].
 *
 * Weights stay where they lie (a mapped file), row after row, in any float or block type; activations are
 * float32 and, for block types, quantized here to 8 bits in blocks of 32 with a float scale.
 *
 * What holds, and must go on holding: y[t, n] depends on row t of x and row n of w alone. The order of
 * its float sum is one fixed chain, so its bits are the same for 1 token or 512, in any tile, beside any
 * neighbours, on any number of threads, and at every CPU level. The chains:
 *
 * - float32, float16, bfloat16: eight sums, each from zero over the k with the same k % 8, in order:
 *   s = fma(w, x, s), k being filled up with zeros to a multiple of 8. Then, from left to right,
 *   s0 + s1 + ... + s7.
 * - Block types are w = scale * q + offset, with integers |q| <= 128 and one scale (and for some types
 *   an offset) for each group of 16 or 32 weights. x is quantized for each 32 elements: d = largest
 *   magnitude / 127, p = x / d rounded to nearest; a block with an infinity or NaN has d = NaN, one of
 *   less than 1e-30 has d = 0. From zero, for each group in order:
 *       sum = fma((float)(sum of q * p) * scale, d, sum);
 *       sum = fma(offset, d * (float)(sum of p), sum), where the type has offsets.
 *   q5_1 and q5_K: q is 16 less than stored, and the offset 16 * scale more. */
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

/* What a level does, on parts that adze_linear_run chooses (linear_impl.h). */
struct linear_job;
typedef struct adze_linear_table {
    /* Block types: rows of x, [first, first + count), to the job's records. */
    void (*prepare)(const struct linear_job *job, int64_t first, int64_t count);
    /* Part of y: rows [n0, n1) of w for tokens [t0, t1). Block types, and floats. */
    void (*codes)(const struct linear_job *job, const int64_t part[4], void *scratch);
    void (*floats)(const struct linear_job *job, const int64_t part[4], void *scratch);
    size_t codes_scratch, floats_scratch; /* bytes of a worker; multiples of 64 */
} adze_linear_table;

void adze_linear_init(adze_linear_table *table, adze_cpu_level level);
void adze_linear_init_avx2(adze_linear_table *table); /* overwrite what they do better */
void adze_linear_init_avx512(adze_linear_table *table);

#endif
