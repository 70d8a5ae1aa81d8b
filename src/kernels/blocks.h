/* Block formats of GGML: rows of floats to blocks and back (layouts: ggml-common.h of the ggml project; the
 * element types and sizes are the rows with kind BLOCK in adze/tensor.h). Bit-exact where a format
 * is decoded: every level gives the bytes that the reference gives.
 *
 * Encoding minimises the error of what the block can say, weighted by `importance` (one weight per
 * column, as an importance matrix gives it; NULL: the format's own weights). Any number of threads may
 * encode different rows. */
#ifndef ADZE_KERNELS_BLOCKS_H
#define ADZE_KERNELS_BLOCKS_H
#include "adze/tensor.h"
#include "base/cpu.h"
#include "base/error.h"

/* n elements (a multiple of the block size; f16, bf16, f32 too) at src -> floats. */
typedef void (*adze_block_decode_fn)(const void *src, int64_t n, float *dst);
/* One row of n floats -> blocks at dst. importance: [n] or NULL. tables: see encode_tables. Non-finite
 * floats are the caller's to refuse. */
typedef void (*adze_block_encode_fn)(const float *src, int64_t n, const float *importance,
                                     const void *tables, void *dst);

typedef struct adze_block_codec {
    adze_block_decode_fn decode; /* NULL: not a block (or f32, f16, bf16) type */
    adze_block_encode_fn encode; /* NULL: decode only */
    bool needs_importance;       /* encoding without a matrix is refused by callers */
    size_t tables_size;          /* bytes that the encoder's tables need; 0: none */
    void (*tables_init)(
        void *tables); /* fills them, once, before encoding (any thread may then read) */
} adze_block_codec;

typedef struct adze_blocks_table {
    adze_block_codec codec[ADZE_DTYPE_COUNT];
} adze_blocks_table;

void adze_blocks_init(adze_blocks_table *table, adze_cpu_level level);
/* Parts of the reference, each filling the rows of its formats. */
void adze_blocks_init_simple(
    adze_blocks_table *table); /* floats, q1_0 .. q8_1, mxfp4, nvfp4, tq1_0, tq2_0 */
void adze_blocks_init_k(adze_blocks_table *table);    /* q2_K .. q6_K, q8_K */
void adze_blocks_init_iq(adze_blocks_table *table);   /* iq1_s .. iq4_xs */
void adze_blocks_init_avx2(adze_blocks_table *table); /* overwrites what it does better */
void adze_blocks_init_iq_avx2(adze_blocks_table *table);

#endif
