#include "ops/dynamic_linear.h"

#include <math.h>

#include "ops/helpers.h"

adze_dynamic_scale adze_dynamic_scale_of(float lo, float hi)
{
    float scale = hi > lo && isfinite(hi - lo) ? (hi - lo) / 255 : 1;
    return (adze_dynamic_scale){scale, (int32_t)rintf(fminf(fmaxf(-lo / scale, 0), 255))};
}

/* Of a scale or zero point: the element for this matrix and column. */
static double element_of(const adze_tensor *t, int64_t matrices, int64_t index, int64_t column)
{
    int64_t each = adze_tensor_elements(t) / matrices;
    return adze_tensor_get_f64(t, each > 1 ? index * each + column : each < 1 ? 0 : index);
}

/* [packed][scales][sums][zeros][signed copy of uint8] */
size_t adze_dynamic_size(const adze_kernels *k, const adze_tensor *w)
{
    size_t copy = w->dtype == ADZE_U8 ? (size_t)(w->dims[1] * w->dims[2]) : 0;
    return adze_ops_round64(k->gemm_q8.packed_size(w->dims[2], w->dims[1])) +
           3 * adze_ops_round64((size_t)w->dims[2] * 4) + adze_ops_round64(copy);
}

adze_dynamic_linear adze_dynamic_pack(const adze_kernels *k, const adze_tensor *w, int64_t index,
                                      const adze_tensor *scale, const adze_tensor *zero, void *room)
{
    const int64_t depth = w->dims[1], n = w->dims[2];
    const size_t step = adze_ops_round64((size_t)n * 4), elements = (size_t)(depth * n);
    const int32_t shift = w->dtype == ADZE_U8 ? 128 : 0;
    const int8_t *weights = (const int8_t *)w->data + (size_t)index * elements;
    int8_t *packed = room;
    float *scales = (float *)(void *)(packed + adze_ops_round64(k->gemm_q8.packed_size(n, depth)));
    int32_t *sums = (int32_t *)(void *)((uint8_t *)scales + step);
    int32_t *zeros = (int32_t *)(void *)((uint8_t *)sums + step);
    if (shift) {
        uint8_t *copy = (uint8_t *)zeros + step;
        for (size_t i = 0; i < elements; i++)
            copy[i] = (uint8_t)weights[i] ^ 0x80;
        weights = (const int8_t *)copy;
    }
    k->gemm_q8.pack_b(n, depth, weights, n, 1, packed);
    bool any = false;
    for (int64_t j = 0; j < n; j++) {
        scales[j] = (float)element_of(scale, w->dims[0], index, j);
        zeros[j] = (zero ? (int32_t)element_of(zero, w->dims[0], index, j) : 0) - shift;
        any |= zeros[j] != 0;
        uint32_t sum = 0; /* wraps, as the kernels do */
        for (int64_t i = 0; i < depth; i++)
            sum += (uint32_t)(weights[i * n + j] - zeros[j]);
        sums[j] = (int32_t)sum;
    }
    return (adze_dynamic_linear){n, depth, packed, scales, any ? zeros : NULL, sums};
}

size_t adze_dynamic_scratch(const adze_dynamic_linear *w, int64_t rows)
{
    return 2 * adze_ops_round64((size_t)w->n * 4) + adze_ops_round64((size_t)rows * 4);
}

void adze_dynamic_multiply(const adze_dynamic_linear *w, const adze_kernels *k, adze_pool *pool,
                           int64_t rows, const uint8_t *x, adze_dynamic_scale how,
                           const float *bias, float *y, void *scratch)
{
    const size_t step = adze_ops_round64((size_t)w->n * 4);
    int32_t *folded = scratch;
    float *scale = (float *)(void *)((uint8_t *)scratch + step);
    int32_t *sums = (int32_t *)(void *)((uint8_t *)scratch + 2 * step);
    for (int64_t j = 0; j < w->n; j++) {
        folded[j] = (int32_t)(0 - (uint32_t)how.zero * (uint32_t)w->sums[j]);
        scale[j] = how.scale * w->scale[j];
    }
    for (int64_t i = 0; w->zero && i < rows; i++)
        sums[i] = k->eltwise.sum_u8(w->k, x + i * w->k, 0);
    adze_gemm_q8_args args = {.m = rows,
                              .n = w->n,
                              .k = w->k,
                              .a = x,
                              .lda = w->k,
                              .b = w->packed,
                              .bias = folded,
                              .row_sum = w->zero ? sums : NULL,
                              .b_zero = w->zero,
                              .output = ADZE_Q8_TO_F32,
                              .scale = scale,
                              .f_bias = bias,
                              .f_lo = -INFINITY,
                              .f_hi = INFINITY,
                              .c = y,
                              .ldc = w->n};
    if (pool)
        adze_matmul_q8(k, pool, &args);
    else
        k->gemm_q8.run(&args);
}
