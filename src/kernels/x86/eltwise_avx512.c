/* AVX-512: the loops of the reference made wider by the compiler. */
#include "kernels/eltwise_impl.h"

void adze_eltwise_init_avx512(adze_eltwise_table *table)
{
    fill(table);
}
