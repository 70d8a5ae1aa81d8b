/* AVX2: the loops of the reference made wider by the compiler. */
#include "kernels/rows_impl.h"

void adze_rows_init_avx2(adze_rows_table *table)
{
    fill(table);
}
