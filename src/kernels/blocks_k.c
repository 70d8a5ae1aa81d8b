/* Reference codecs of the K formats: super-blocks of 256 whose sub-blocks have quantized scales. */
#include "kernels/blocks.h"

void adze_blocks_init_k(adze_blocks_table *table)
{
    ADZE_UNUSED(table);
}
