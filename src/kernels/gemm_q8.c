/* Integer matrix product: the plain C version, which defines every bit of the result, and packing. */
#include "kernels/gemm_q8.h"

#include <math.h>
#include <string.h>

#include "kernels/gemm_impl.h"
#include "kernels/requantize_impl.h"

enum { MR = 4, NR = 8 };

void adze_gemm_q8_pack(int nr, int kr, const adze_pack_source *source, const int8_t *b,
                       int8_t *packed)
{
    const int64_t segment = source->k / source->segments;
    for (int64_t j = 0; j < source->n; j += nr) {
        int64_t columns = ADZE_MIN(nr, source->n - j);
        for (int64_t i = 0, count; i < source->k; i += count, packed += nr * kr) {
            count = ADZE_MIN(segment - i % segment, kr);
            memset(packed, 0, (size_t)(nr * kr));
            for (int64_t r = 0; r < count; r++) {
                const int8_t *from = b + adze_pack_offset(source, i + r, j);
                for (int64_t x = 0; x < columns; x++)
                    packed[x * kr + r] = from[x * source->column_stride];
            }
        }
    }
}

static size_t panel_size(int64_t k)
{
    return (size_t)(NR * k);
}

static size_t packed_size(int64_t n, int64_t k)
{
    return (size_t)((n + NR - 1) / NR) * panel_size(k);
}

static void pack_b(int64_t n, int64_t k, const int8_t *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, int8_t *packed)
{
    adze_pack_source source = adze_pack_matrix(n, k, row_stride, column_stride);
    adze_gemm_q8_pack(NR, 1, &source, b, packed);
}

static void pack_conv(const adze_gemm_q8_conv *s, const int8_t *weights, int8_t *packed)
{
    adze_pack_source source = adze_pack_conv_weights(s->n, s->channels, s->taps, s->segments);
    adze_gemm_q8_pack(NR, 1, &source, weights, packed);
}

static void store_q8(const adze_gemm_q8_args *args, int32_t acc, int64_t i, int64_t j)
{
    float v = (float)acc * args->scale[j];
    if (args->f_bias)
        v += args->f_bias[j];
    int32_t t = adze_requantize(v, args->zero, args->lo, args->hi);
    const adze_q8_residual *r = args->residual;
    if (r) {
        uint8_t byte = r->data[i * r->ld + j];
        int32_t other = r->is_signed ? (int8_t)byte : byte;
        float left = (float)(t - args->zero) * r->t_scale;
        float right = (float)(other - r->zero) * r->scale;
        t = adze_requantize(left + right, r->y_zero, r->y_lo, r->y_hi);
    }
    ((uint8_t *)args->c)[i * args->ldc + j] = (uint8_t)t;
}

static void store_f32(const adze_gemm_q8_args *args, int32_t acc, int64_t i, int64_t j)
{
    float v = (float)acc * args->scale[j];
    if (args->row_scale)
        v *= args->row_scale[i];
    if (args->f_bias)
        v += args->f_bias[j];
    v = v < args->f_lo ? args->f_lo : v;
    ((float *)args->c)[i * args->ldc + j] = v > args->f_hi ? args->f_hi : v;
}

static void store(const adze_gemm_q8_args *args, uint32_t acc, int64_t i, int64_t j)
{
    if (args->bias)
        acc += (uint32_t)args->bias[j];
    if (args->row_sum)
        acc -= (uint32_t)args->row_sum[i] * (uint32_t)args->b_zero[j];
    switch (args->output) {
    case ADZE_Q8_TO_Q8: store_q8(args, (int32_t)acc, i, j); break;
    case ADZE_Q8_TO_F32: store_f32(args, (int32_t)acc, i, j); break;
    case ADZE_Q8_TO_I32: ((int32_t *)args->c)[i * args->ldc + j] = (int32_t)acc; break;
    }
}

static void run(const adze_gemm_q8_args *args)
{
    for (int64_t j = 0; j < args->n; j += NR) {
        const int8_t *panel = args->b + j * args->k;
        int64_t columns = ADZE_MIN(NR, args->n - j);
        for (int64_t i = 0; i < args->m; i++) {
            uint32_t sum[NR] = {0};
            for (int64_t p = 0; p < args->k; p++) {
                int32_t left = args->a[adze_a_offset(args->view, args->lda, args->k, i, p)];
                left ^= args->a_flip;
                for (int x = 0; x < NR; x++)
                    sum[x] += (uint32_t)(left * panel[p * NR + x]);
            }
            for (int64_t x = 0; x < columns; x++)
                store(args, sum[x], i, j + x);
        }
    }
}

void adze_gemm_q8_init(adze_gemm_q8_table *table, adze_cpu_level level)
{
    *table = (adze_gemm_q8_table){
        .mr = MR,
        .nr = NR,
        .kr = 1,
        .panel_size = panel_size,
        .packed_size = packed_size,
        .pack_b = pack_b,
        .pack_conv = pack_conv,
        .run = run,
    };
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2)
        adze_gemm_q8_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_gemm_q8_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}
