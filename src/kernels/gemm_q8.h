/* Integer matrix product, 8-bit by 8-bit into exact int32, and its requantization.
 *
 *   acc[i,j] = sum_k (a[i,k] ^ a_flip as unsigned) * b[k,j]  +  bias[j]  -  row_sum[i] * b_zero[j]
 *
 * a is unsigned after a_flip (0 for uint8, 0x80 for int8: the caller adds 128 to its zero point), b is
 * int8. The caller folds -a_zero * sum_k b[k,j] (and k * a_zero * b_zero) into bias. Then one of:
 *   Q8:  q(v, zero, lo, hi) with v = (float)acc * scale[j] + f_bias[j] (NULL: 0), as uint8 or int8, where
 *        q(v, zero, lo, hi) = rint(v clamped to [lo - zero, hi - zero]) + zero      (half to even)
 *        with a residual r: t = that; c = q((float)(t - zero) * t_scale + (float)(r - r_zero) *
 *        r_scale, y_zero, y_lo, y_hi). The clamp is in float, before the conversion (which is then
 *        never out of range): v < hi - zero ? v : hi - zero, then the same with lo; NaN gives hi.
 *   F32: (float)acc * scale[j] * row_scale[i] (row_scale NULL: 1) + f_bias[j] (NULL: 0), clamped f_lo..f_hi
 *   I32: acc
 * acc wraps modulo 2^32; it is exact while k <= 65793 and bias leaves room. zero, lo, hi lie in the
 * range of the type written. All levels give the same bits: no saturating intermediate, no FMA, float32
 * multiply as written. */
#ifndef ADZE_KERNELS_GEMM_Q8_H
#define ADZE_KERNELS_GEMM_Q8_H
#include "kernels/gemm_f32.h"

typedef enum adze_q8_output { ADZE_Q8_TO_Q8, ADZE_Q8_TO_F32, ADZE_Q8_TO_I32 } adze_q8_output;

typedef struct adze_q8_residual {
    const uint8_t *data; /* [m, n], rows ld apart; bytes of uint8 or int8 */
    ptrdiff_t ld;
    bool is_signed; /* of data */
    int32_t zero;   /* of data */
    float scale;    /* r_scale: residual's scale / y's scale */
    float t_scale;  /* t's scale / y's scale */
    bool y_signed;  /* type written to c */
    int32_t y_zero, y_lo, y_hi;
} adze_q8_residual;

typedef struct adze_gemm_q8_args {
    int64_t m, n, k;
    const uint8_t *a; /* [m, k], rows lda bytes apart; never read past k */
    ptrdiff_t lda;
    uint8_t a_flip;             /* 0 or 0x80 */
    const adze_gemm_view *view; /* or NULL; then a_flip is 0, k / segments a multiple of kr */
    const int8_t *b;            /* packed by pack_b of the same table, starting at a panel */
    const int32_t *bias;        /* [n], or NULL */
    const int32_t *row_sum;     /* [m] sums of the flipped a, or NULL: b_zero is all zero */
    const int32_t *b_zero;      /* [n] */
    adze_q8_output output;
    const float *scale;  /* [n]; not used for I32 */
    const float *f_bias; /* [n] or NULL; Q8: in steps of the result before a residual */
    /* Q8 */
    bool c_signed;                    /* int8 rather than uint8 */
    int32_t zero, lo, hi;             /* of the result before a residual */
    const adze_q8_residual *residual; /* or NULL */
    /* F32 */
    const float *row_scale; /* [m] or NULL */
    float f_lo, f_hi;
    void *c;       /* [m, n] of uint8/int8, float or int32 */
    ptrdiff_t ldc; /* in elements */
} adze_gemm_q8_args;

typedef struct adze_gemm_q8_conv {
    int64_t n, channels, taps, segments;
} adze_gemm_q8_conv;

typedef struct adze_gemm_q8_table {
    int mr, nr;
    int kr; /* rows of k packed side by side, zeros past k: k may be called the next multiple of kr */
    /* Bytes for a packed [k, n] matrix; panel p starts at p * panel_size(k). */
    size_t (*panel_size)(int64_t k);
    size_t (*packed_size)(int64_t n, int64_t k);
    void (*pack_b)(int64_t n, int64_t k, const int8_t *b, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, int8_t *packed);
    /* The same for convolution weights [n, channels, taps] (ONNX): k = taps * channels, channels
     * fast, as `segments` equal parts, each with zeros up to a multiple of kr. */
    void (*pack_conv)(const adze_gemm_q8_conv *shape, const int8_t *weights, int8_t *packed);
    void (*run)(const adze_gemm_q8_args *args);
} adze_gemm_q8_table;

void adze_gemm_q8_init(adze_gemm_q8_table *table, adze_cpu_level level);
void adze_gemm_q8_init_avx2(adze_gemm_q8_table *table);
void adze_gemm_q8_init_avx512(adze_gemm_q8_table *table);

#endif
