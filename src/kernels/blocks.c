/* The table of block codecs: the reference of every format, then what the CPU level does better. */
#include "kernels/blocks.h"
#include <string.h>

void adze_blocks_init(adze_blocks_table *table, adze_cpu_level level)
{
    memset(table, 0, sizeof *table);
    adze_blocks_init_simple(table);
    adze_blocks_init_k(table);
    adze_blocks_init_iq(table);
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512) {
        adze_blocks_init_avx2(table);
        adze_blocks_init_iq_avx2(table);
    }
#else
    ADZE_UNUSED(level);
#endif
}
