/* Reference codecs of the K formats. */
#include "kernels/blocks_k_impl.h"

void adze_blocks_init_k(adze_blocks_table *table)
{
    fill_k(table);
}
