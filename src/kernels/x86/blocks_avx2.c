/* AVX2 codecs of block formats: the same bytes as the reference. */
#include "kernels/blocks.h"

void adze_blocks_init_avx2(adze_blocks_table *table)
{
    ADZE_UNUSED(table);
}
