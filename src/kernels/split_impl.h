/* How a matrix product is cut into pieces for the pool: a function of the shape and the table's tile
 * alone, so that the pieces are the same whatever the number of threads. */
#ifndef ADZE_KERNELS_SPLIT_IMPL_H
#define ADZE_KERNELS_SPLIT_IMPL_H
#include "kernels/gemm_f32.h"
#include "kernels/gemm_q8.h"

typedef struct adze_split {
    int64_t m, n;
    int64_t rows, columns; /* of a piece; multiples of the tile, except where cut by m and n */
    int64_t row_pieces, column_pieces;
} adze_split;

typedef struct adze_block {
    int64_t row, rows, column, columns;
} adze_block;

/* How many pieces to cut work into: at most 12, else a power of two, so that few threads share them
 * evenly. worth: the least work that is worth a piece. */
static inline int64_t adze_split_count(int64_t work, int64_t worth)
{
    int64_t most = work / worth;
    return most >= 12 ? 12 : most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
}

/* max_rows limits the rows of a piece (scratch); 0: no limit. */
adze_split adze_split_make(int64_t m, int64_t n, int64_t k, int mr, int nr, int64_t max_rows);

/* The arguments for one block of the whole product; *residual keeps the moved residual. */
adze_gemm_f32_args adze_gemm_f32_block(const adze_gemm_f32_args *whole, adze_block at);
adze_gemm_q8_args adze_gemm_q8_block(const adze_gemm_q8_table *table,
                                     const adze_gemm_q8_args *whole, adze_block at,
                                     adze_q8_residual *residual);

static inline int64_t adze_split_pieces(const adze_split *s)
{
    return s->row_pieces * s->column_pieces;
}

static inline adze_block adze_split_block(const adze_split *s, int64_t piece)
{
    adze_block b;
    b.row = piece / s->column_pieces * s->rows;
    b.column = piece % s->column_pieces * s->columns;
    b.rows = ADZE_MIN(s->rows, s->m - b.row);
    b.columns = ADZE_MIN(s->columns, s->n - b.column);
    return b;
}

#endif
