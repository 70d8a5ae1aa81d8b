/* The outputs of a tile of the integer matrix product: zero points, scaling, residual, rounding. Four
 * vectors of sums become one vector of bytes, whatever the shape of the tile. */
#include "kernels/x86/gemm_q8_avx512_impl.h"
#include "kernels/x86/requantize_avx512_impl.h"

#include <math.h>

adze_q8_finish adze_q8_finish_make(const adze_gemm_q8_args *args, int64_t row, int64_t column,
                                   int panels)
{
    int64_t columns = ADZE_MIN(args->n - column, panels * ADZE_Q8_NR);
    adze_q8_finish f = {
        .args = args,
        .row = row,
        .column = column,
        .panels = panels,
        .last = (__mmask16)(0xffff >> (panels * ADZE_Q8_NR - columns)),
    };
    for (int v = 0; v < panels && args->output != ADZE_Q8_TO_I32; v++) {
        __mmask16 mask = v + 1 < panels ? (__mmask16)0xffff : f.last;
        f.scale[v] = _mm512_maskz_loadu_ps(mask, args->scale + column + v * ADZE_Q8_NR);
        f.wide = f.wide || adze_scale_is_wide(f.scale[v]);
    }
    if (args->f_bias)
        f.wide = true;
    const adze_q8_residual *r = args->residual;
    if (r && !(fabsf(r->scale) < 0x1p20f && fabsf(r->t_scale) < 0x1p20f))
        f.wide = true;
    return f;
}

static adze_rounding last_rounding(const adze_q8_finish *f)
{
    const adze_gemm_q8_args *args = f->args;
    const adze_q8_residual *r = args->residual;
    if (r)
        return adze_rounding_make(r->y_zero, r->y_lo, r->y_hi, r->y_signed, f->wide);
    return adze_rounding_make(args->zero, args->lo, args->hi, args->c_signed, f->wide);
}

/* Puts the bytes of v[0] of adze_to_bytes first, then those of v[1], ... */
static __m512i order_of_quarters(void)
{
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

/* What the sum of t and the residual would be before rounding to y. */
INLINE __m512 add_residual(const adze_q8_finish *f, __m512 v, int row, int panel)
{
    const adze_gemm_q8_args *args = f->args;
    const adze_q8_residual *r = args->residual;
    __mmask16 mask = panel + 1 < f->panels ? (__mmask16)0xffff : f->last;
    const uint8_t *data = r->data + (f->row + row) * r->ld + f->column + panel * ADZE_Q8_NR;
    __m128i bytes = _mm_maskz_loadu_epi8(mask, data);
    __m512i other = r->is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
    other = _mm512_sub_epi32(other, _mm512_set1_epi32(r->zero));
    v = _mm512_min_ps(v, _mm512_set1_ps((float)(args->hi - args->zero)));
    v = _mm512_max_ps(v, _mm512_set1_ps((float)(args->lo - args->zero)));
    __m512 t = _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 left = _mm512_mul_ps(t, _mm512_set1_ps(r->t_scale));
    return _mm512_add_ps(left, _mm512_mul_ps(_mm512_cvtepi32_ps(other), _mm512_set1_ps(r->scale)));
}

/* Writes the bytes of `4 / V` rows (one row if V is 3). */
INLINE void store_rows(const int V, const adze_q8_finish *f, int row, __m512i bytes)
{
    uint8_t *c = (uint8_t *)f->args->c + (f->row + row) * f->args->ldc + f->column;
    ptrdiff_t ldc = f->args->ldc;
    if (V >= 3) {
        __mmask64 full = ((__mmask64)1 << 16 * (V - 1)) - 1;
        _mm512_mask_storeu_epi8(c, full | (__mmask64)f->last << 16 * (V - 1), bytes);
    } else if (V == 2) {
        __mmask32 mask = 0xffff | (__mmask32)f->last << 16;
        _mm256_mask_storeu_epi8(c, mask, _mm512_castsi512_si256(bytes));
        if (row + 1 < f->rows)
            _mm256_mask_storeu_epi8(c + ldc, mask, _mm512_extracti64x4_epi64(bytes, 1));
    } else {
        _mm_mask_storeu_epi8(c, f->last, _mm512_castsi512_si128(bytes));
        if (row + 1 < f->rows)
            _mm_mask_storeu_epi8(c + ldc, f->last, _mm512_extracti32x4_epi32(bytes, 1));
        if (row + 2 < f->rows)
            _mm_mask_storeu_epi8(c + 2 * ldc, f->last, _mm512_extracti32x4_epi32(bytes, 2));
        if (row + 3 < f->rows)
            _mm_mask_storeu_epi8(c + 3 * ldc, f->last, _mm512_extracti32x4_epi32(bytes, 3));
    }
}

INLINE __m512 add_bias(const adze_q8_finish *f, __m512 v, int panel)
{
    __mmask16 mask = panel + 1 < f->panels ? (__mmask16)0xffff : f->last;
    const float *bias = f->args->f_bias + f->column + panel * ADZE_Q8_NR;
    return _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, bias));
}

INLINE void finish_q8(const int V, const bool residual, const bool bias, const adze_q8_finish *f,
                      const __m512i *sums)
{
    const int step = V >= 3 ? 1 : 4 / V;
    const adze_rounding to = last_rounding(f);
    const __m512i order = order_of_quarters();
    for (int row = 0; row < f->rows; row += step) {
        __m512 v[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            int r = ADZE_MIN(row + i / V, f->rows - 1), panel = i % V;
            v[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r * V + panel]), f->scale[panel]);
            if (bias)
                v[i] = add_bias(f, v[i], panel);
            if (residual)
                v[i] = add_residual(f, v[i], r, panel);
        }
        store_rows(V, f, row, _mm512_permutexvar_epi32(order, adze_to_bytes(&to, v)));
    }
}

#define DEFINE(V)                                                                                  \
    static void finish_q8_##V(const adze_q8_finish *f, const __m512i *sums)                        \
    {                                                                                              \
        finish_q8(V, false, false, f, sums);                                                       \
    }                                                                                              \
    static void finish_q8_residual_##V(const adze_q8_finish *f, const __m512i *sums)               \
    {                                                                                              \
        finish_q8(V, true, false, f, sums);                                                        \
    }                                                                                              \
    static void finish_q8_bias_##V(const adze_q8_finish *f, const __m512i *sums)                   \
    {                                                                                              \
        if (f->args->residual)                                                                     \
            finish_q8(V, true, true, f, sums);                                                     \
        else                                                                                       \
            finish_q8(V, false, true, f, sums);                                                    \
    }
DEFINE(1)
DEFINE(2)
DEFINE(3)
DEFINE(4)

static __m512 to_float(const adze_q8_finish *f, __m512i sum, int row, int panel, __mmask16 mask)
{
    const adze_gemm_q8_args *args = f->args;
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), f->scale[panel]);
    if (args->row_scale)
        v = _mm512_mul_ps(v, _mm512_set1_ps(args->row_scale[f->row + row]));
    if (args->f_bias) {
        const float *bias = args->f_bias + f->column + panel * ADZE_Q8_NR;
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, bias));
    }
    return _mm512_min_ps(_mm512_set1_ps(args->f_hi), _mm512_max_ps(_mm512_set1_ps(args->f_lo), v));
}

/* Outputs of 32 bits. */
static void finish_wide(const adze_q8_finish *f, const __m512i *sums)
{
    const adze_gemm_q8_args *args = f->args;
    for (int row = 0; row < f->rows; row++)
        for (int v = 0; v < f->panels; v++) {
            __mmask16 mask = v + 1 < f->panels ? (__mmask16)0xffff : f->last;
            ptrdiff_t at = (f->row + row) * args->ldc + f->column + v * ADZE_Q8_NR;
            __m512i out = sums[row * f->panels + v];
            if (args->output == ADZE_Q8_TO_F32)
                out = _mm512_castps_si512(to_float(f, out, row, v, mask));
            _mm512_mask_storeu_epi32((int32_t *)args->c + at, mask, out);
        }
}

/* sums less row_sum * b_zero. */
static void subtract_zero_points(const adze_q8_finish *f, const __m512i *sums, __m512i *out)
{
    const adze_gemm_q8_args *args = f->args;
    for (int v = 0; v < f->panels; v++) {
        __mmask16 mask = v + 1 < f->panels ? (__mmask16)0xffff : f->last;
        const int32_t *from = args->b_zero + f->column + v * ADZE_Q8_NR;
        __m512i zero = _mm512_maskz_loadu_epi32(mask, from);
        for (int row = 0; row < f->rows; row++) {
            __m512i sum = _mm512_set1_epi32(args->row_sum[f->row + row]);
            int at = row * f->panels + v;
            out[at] = _mm512_sub_epi32(sums[at], _mm512_mullo_epi32(sum, zero));
        }
    }
}

void adze_gemm_q8_finish_avx512(const adze_q8_finish *f, const __m512i *sums)
{
    typedef void (*finish_fn)(const adze_q8_finish *f, const __m512i *sums);
    static const finish_fn finish[3][ADZE_Q8_PANELS + 1] = {
        {NULL, finish_q8_1, finish_q8_2, finish_q8_3, finish_q8_4},
        {NULL, finish_q8_residual_1, finish_q8_residual_2, finish_q8_residual_3,
         finish_q8_residual_4},
        {NULL, finish_q8_bias_1, finish_q8_bias_2, finish_q8_bias_3, finish_q8_bias_4},
    };
    __m512i corrected[ADZE_Q8_MR * ADZE_Q8_PANELS];
    if (f->args->row_sum) {
        subtract_zero_points(f, sums, corrected);
        sums = corrected;
    }
    if (f->args->output == ADZE_Q8_TO_Q8)
        finish[f->args->f_bias ? 2 : f->args->residual != NULL][f->panels](f, sums);
    else
        finish_wide(f, sums);
}
