/* AVX2 codecs of the IQ formats: the reference, compiled for it. */
#include "kernels/blocks_iq_pack_impl.h"

void adze_blocks_init_iq_avx2(adze_blocks_table *table)
{
    fill_iq(table);
    fill_iq_encoders(table);
}
