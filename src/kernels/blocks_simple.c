/* Reference codecs of the floats and of the formats with one scale for 32 or 256 elements. */
#include "kernels/blocks.h"

void adze_blocks_init_simple(adze_blocks_table *table)
{
    ADZE_UNUSED(table);
}
