/* Attention of language models over a cache of keys and values, and rotary position.
 *
 * For query row (token t, head h), with kv = h / (heads / kv_heads):
 *
 *     s[j] = scale * sum over i of q[t, h, i] * k[j, kv, i]
 *     s[j] = softcap * tanh(s[j] / softcap)                        when softcap > 0
 *     s[j] = s[j] - slopes[h] * |j - position of t|                with slopes (ALiBi)
 *     y[t, h] = sum over visible j of e^s[j] v[j, kv] / sum over visible j of e^s[j]
 *
 * Visible to a query at position p are the keys max(0, p - window + 1) .. p (window 0: 0 .. p); without
 * positions all keys, and the position of t is t.
 *
 * What holds, and must go on holding: within one CPU level the bits of a row depend on that row of q, its
 * position, and the visible keys and values alone. Keys are taken in chunks of ADZE_ATTENTION_CHUNK from
 * key 0 on, with the largest score so far subtracted (online softmax: Milakov and Gimelshein 2018); every
 * ADZE_ATTENTION_SPLIT keys begin anew, and what splits give is merged in their order. So tokens may be
 * cut into tiles, and keys given to threads by splits, as one likes. Invisible keys are left out, not
 * added as zeros: what lies there may be anything. */
#ifndef ADZE_KERNELS_ATTENTION_H
#define ADZE_KERNELS_ATTENTION_H
#include "adze/tensor.h"
#include "base/error.h"
#include "base/threads.h"

struct adze_kernels;

enum { ADZE_ATTENTION_CHUNK = 64, ADZE_ATTENTION_SPLIT = 512 };

typedef struct adze_attention_args {
    int64_t tokens, heads, kv_heads, keys; /* heads: a multiple of kv_heads */
    int64_t d, dv;                         /* numbers in a key, in a value */
    adze_dtype dtype;                      /* of k and v: float32 or float16 */
    const float *q;                        /* [tokens, heads, d] */
    const void *k, *v;                     /* [keys, kv_heads, d], [keys, kv_heads, dv] */
    const int64_t *positions;              /* [tokens], each in 0 .. keys - 1; or NULL */
    const float *slopes;                   /* [heads] or NULL */
    float scale, softcap;
    int64_t window;
    float *y;      /* [tokens, heads, dv]; must not overlap q */
    void *scratch; /* adze_attention_scratch bytes, 64-byte aligned */
} adze_attention_args;

/* Queries of `tokens` tokens from `token` on, all heads of one kv head, over the keys first .. last - 1 of one
 * split (both multiples of the split, or the end of the keys). Row r is token r / group, head r % group
 * of the kv head's. Writes for each row the largest score, the sum of e^(s - max) and the sum of
 * e^(s - max) v; a row that sees none of these keys has sum 0. */
typedef struct adze_attention_block {
    const adze_attention_args *args;
    int64_t kv_head, token, tokens, first, last;
    float *max, *sum; /* [rows] */
    float *acc; /* [rows, dv], rows adze_attention_stride(dv) apart; what is between is undefined */
    void *scratch; /* block_scratch bytes, 64-byte aligned */
} adze_attention_block;

typedef struct adze_attention_table {
    void (*block)(const adze_attention_block *b);
    size_t (*block_scratch)(const adze_attention_args *args, int64_t rows);
    /* Turns pairs of `heads` rows of d numbers by the angles of one token: table [r] holds r / 2 cosines,
     * then r / 2 sines. Pair i is (x[i], x[i + r / 2]), or (x[2 i], x[2 i + 1]) when interleaved:
     * (a, b) -> (a cos - b sin, b cos + a sin), each product rounded. Numbers from r on are copied.
     * y may be x. The same bits at every level. */
    void (*rope)(int64_t heads, int64_t d, int64_t r, bool interleaved, const float *table,
                 const float *x, float *y);
} adze_attention_table;

/* Bytes of scratch on so many threads, enough for any smaller number of tokens too. Pointers of args are not
 * looked at. */
size_t adze_attention_scratch(const struct adze_kernels *kernels, const adze_attention_args *args,
                              int threads);
/* All of it, over the pool. Not from inside a piece of the pool. */
void adze_attention_run(const struct adze_kernels *kernels, adze_pool *pool,
                        const adze_attention_args *args);

static inline int64_t adze_attention_stride(int64_t dv)
{
    return (dv + 31) / 32 * 32;
}

void adze_attention_init(adze_attention_table *table, adze_cpu_level level);
void adze_attention_init_avx2(adze_attention_table *table);
void adze_attention_init_avx512(adze_attention_table *table);

#endif
