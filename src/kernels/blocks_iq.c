/* Reference codecs of the IQ formats. */
#include "kernels/blocks_iq_pack_impl.h"

void adze_blocks_init_iq(adze_blocks_table *table)
{
    fill_iq(table);
    fill_iq_encoders(table);
}
