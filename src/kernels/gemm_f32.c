/* Float matrix product: the plain C version, which defines the result up to rounding, and packing. */
#include "kernels/gemm_f32.h"

#include <string.h>

#include "kernels/gemm_impl.h"

enum { MR = 4, NR = 8 };

void adze_gemm_f32_pack(int nr, const adze_pack_source *source, const float *b, float *packed)
{
    for (int64_t j = 0; j < source->n; j += nr) {
        int64_t columns = ADZE_MIN(nr, source->n - j);
        for (int64_t i = 0; i < source->k; i++) {
            const float *from = b + adze_pack_offset(source, i, j);
            if (source->column_stride == 1)
                memcpy(packed, from, (size_t)columns * sizeof *packed);
            else
                for (int64_t x = 0; x < columns; x++)
                    packed[x] = from[x * source->column_stride];
            for (int64_t x = columns; x < nr; x++)
                packed[x] = 0;
            packed += nr;
        }
    }
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + NR - 1) / NR * NR * k);
}

static void pack_b(int64_t n, int64_t k, const float *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, float *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_f32_pack(NR, &source, b, packed);
}

static void pack_conv(int64_t n, int64_t channels, int64_t taps, const float *weights,
                      float *packed)
{
    adze_pack_source source = adze_pack_conv_weights(n, channels, taps, 1);
    adze_gemm_f32_pack(NR, &source, weights, packed);
}

static float finish(const adze_gemm_f32_args *args, float sum, int64_t i, int64_t j)
{
    if (args->bias)
        sum += args->bias[j];
    if (args->residual)
        sum += args->residual[i * args->ldr + j];
    sum = sum < args->lo ? args->lo : sum;
    return sum > args->hi ? args->hi : sum;
}

static void run(const adze_gemm_f32_args *args)
{
    for (int64_t j = 0; j < args->n; j += NR) {
        const float *panel = args->b + j * args->k;
        int64_t columns = ADZE_MIN(NR, args->n - j);
        for (int64_t i = 0; i < args->m; i++) {
            float sum[NR] = {0};
            for (int64_t p = 0; p < args->k; p++) {
                float left = args->a[adze_a_offset(args->view, args->lda, args->k, i, p)];
                for (int x = 0; x < NR; x++)
                    sum[x] += left * panel[p * NR + x];
            }
            for (int64_t x = 0; x < columns; x++)
                args->c[i * args->ldc + j + x] = finish(args, sum[x], i, j + x);
        }
    }
}

void adze_gemm_f32_init(adze_gemm_f32_table *table, adze_cpu_level level)
{
    *table = (adze_gemm_f32_table){
        .mr = MR,
        .nr = NR,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2)
        adze_gemm_f32_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_gemm_f32_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}
