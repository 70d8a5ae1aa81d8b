/* The reference of the row family, and the choice of a level. */
#include "kernels/rows_impl.h"

/* In blocks of 16 by 16, so that the cache lines of a block are used whole before they leave. */
#define TRANSPOSE(bytes, type)                                                                     \
    static void transpose_##bytes(int64_t rows, int64_t columns, const void *x, ptrdiff_t ldx,     \
                                  void *y, ptrdiff_t ldy)                                          \
    {                                                                                              \
        enum { BLOCK = 16 };                                                                       \
        const type *from = x;                                                                      \
        type *to = y;                                                                              \
        for (int64_t j0 = 0; j0 < columns; j0 += BLOCK)                                            \
            for (int64_t i0 = 0; i0 < rows; i0 += BLOCK) {                                         \
                const int64_t i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows;                          \
                const int64_t j1 = j0 + BLOCK < columns ? j0 + BLOCK : columns;                    \
                for (int64_t j = j0; j < j1; j++)                                                  \
                    for (int64_t i = i0; i < i1; i++)                                              \
                        to[j * ldy + i] = from[i * ldx + j];                                       \
            }                                                                                      \
    }
TRANSPOSE(1, uint8_t)
TRANSPOSE(2, uint16_t)
TRANSPOSE(4, uint32_t)
TRANSPOSE(8, uint64_t)
#undef TRANSPOSE

const char *adze_reduce_name(adze_reduce op)
{
    static const char *const names[] = {
#define X(name, text, meaning, empty) #text,
        ADZE_REDUCE_LIST(X)
#undef X
    };
    return (unsigned)op < ADZE_REDUCE_COUNT ? names[op] : "?";
}

bool adze_transpose(const adze_rows_table *table, size_t size, int64_t rows, int64_t columns,
                    const void *x, void *y)
{
    switch (size) {
    case 1: table->transpose_1(rows, columns, x, columns, y, rows); return true;
    case 2: table->transpose_2(rows, columns, x, columns, y, rows); return true;
    case 4: table->transpose_4(rows, columns, x, columns, y, rows); return true;
    case 8: table->transpose_8(rows, columns, x, columns, y, rows); return true;
    default: return false;
    }
}

void adze_rows_init(adze_rows_table *table, adze_cpu_level level)
{
    fill(table);
    table->transpose_1 = transpose_1;
    table->transpose_2 = transpose_2;
    table->transpose_4 = transpose_4;
    table->transpose_8 = transpose_8;
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_rows_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_rows_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}
