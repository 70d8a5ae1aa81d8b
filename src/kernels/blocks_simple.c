/* Reference codecs of the floats and of the formats whose scales are not themselves quantized. */
#include "kernels/blocks_simple_impl.h"

void adze_blocks_init_simple(adze_blocks_table *table)
{
    fill_simple(table);
}
