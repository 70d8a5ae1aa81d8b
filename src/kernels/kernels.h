/* All kernel tables for one CPU level. A context holds one; operators take kernels from it and never
 * ask which CPU they run on. Each family: <family>.h (signatures, table), <family>.c (the C reference
 * of every entry, which defines the result, then the init that picks), x86/<family>_<level>.c. */
#ifndef ADZE_KERNELS_KERNELS_H
#define ADZE_KERNELS_KERNELS_H
#include "kernels/attention.h"
#include "kernels/blocks.h"
#include "kernels/dwconv.h"
#include "kernels/eltwise.h"
#include "kernels/gemm_f32.h"
#include "kernels/gemm_q8.h"
#include "kernels/linear.h"
#include "kernels/pool.h"
#include "kernels/rows.h"

typedef struct adze_kernels {
    adze_cpu_level level;
    adze_gemm_f32_table gemm_f32;
    adze_gemm_q8_table gemm_q8;
    adze_dwconv_table dwconv;
    adze_eltwise_table eltwise;
    adze_pool_table pool;
    adze_rows_table rows;
    adze_blocks_table blocks;
    adze_linear_table linear;
    adze_attention_table attention;
} adze_kernels;

void adze_kernels_init(adze_kernels *kernels, adze_cpu_level level);

#endif
