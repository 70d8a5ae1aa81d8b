/* AVX-512: the loops of the reference made wider by the compiler. */
#include "kernels/pool_impl.h"

void adze_pool_init_avx512(adze_pool_table *table)
{
    fill(table);
}
