/* The reference of the row family, and the choice of a level. */
#include "kernels/rows_impl.h"

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
    case 1:
        table->transpose_1(rows, columns, x, columns, y, rows);
        return true;
    case 2:
        table->transpose_2(rows, columns, x, columns, y, rows);
        return true;
    case 4:
        table->transpose_4(rows, columns, x, columns, y, rows);
        return true;
    case 8:
        table->transpose_8(rows, columns, x, columns, y, rows);
        return true;
    default:
        return false;
    }
}

void adze_rows_init(adze_rows_table *table, adze_cpu_level level)
{
    fill(table);
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512) adze_rows_init_avx2(table);
    if (level == ADZE_CPU_AVX512) adze_rows_init_avx512(table);
#else
    ADZE_UNUSED(level);
#endif
}
