/* AVX2 codecs of block formats: the reference, made wider by the compiler; float16 by its instruction. */
#include "kernels/x86/lanes_avx2_impl.h"
#include "kernels/blocks_k_impl.h"
#include "kernels/blocks_simple_impl.h"

void adze_blocks_init_avx2(adze_blocks_table *table)
{
    fill_simple(table);
    fill_k(table);
}
