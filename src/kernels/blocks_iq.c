/* Reference codecs of the IQ formats: elements are taken from a grid of points. */
#include "kernels/blocks.h"

void adze_blocks_init_iq(adze_blocks_table *table)
{
    ADZE_UNUSED(table);
}

#if defined(__x86_64__)
void adze_blocks_init_iq_avx2(adze_blocks_table *table)
{
    ADZE_UNUSED(table);
}
#endif
