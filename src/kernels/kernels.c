/* Fills all kernel tables for one CPU level. */
#include "kernels/kernels.h"

void adze_kernels_init(adze_kernels *kernels, adze_cpu_level level)
{
    kernels->level = level;
    adze_gemm_f32_init(&kernels->gemm_f32, level);
    adze_gemm_q8_init(&kernels->gemm_q8, level);
    adze_dwconv_init(&kernels->dwconv, level);
    adze_eltwise_init(&kernels->eltwise, level);
    adze_pool_init(&kernels->pool, level);
    adze_rows_init(&kernels->rows, level);
    adze_blocks_init(&kernels->blocks, level);
    adze_linear_init(&kernels->linear, level);
    adze_attention_init(&kernels->attention, level);
}
