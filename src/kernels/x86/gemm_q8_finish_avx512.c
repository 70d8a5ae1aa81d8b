/* The outputs of a tile of the integer matrix product: zero points, scaling, residual, rounding. Four
 * vectors of sums become one vector of bytes, whatever the shape of the tile. */
#include "kernels/x86/gemm_q8_avx512_impl.h"
#include "kernels/x86/tile_impl.h"

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
    __m512 one = _mm512_set1_ps(1);
    for (int v = 0; v < panels && args->output != ADZE_Q8_TO_I32; v++) {
        __mmask16 mask = v + 1 < panels ? (__mmask16)0xffff : f.last;
        f.scale[v] = _mm512_maskz_loadu_ps(mask, args->scale + column + v * ADZE_Q8_NR);
        __mmask16 small = _mm512_cmp_ps_mask(_mm512_abs_ps(f.scale[v]), one, _CMP_LT_OQ);
        f.wide = f.wide || small != 0xffff;
    }
    const adze_q8_residual *r = args->residual;
    if (r && !(fabsf(r->scale) < 0x1p20f && fabsf(r->t_scale) < 0x1p20f))
        f.wide = true;
    return f;
}

/* Constants of the last step, from float to bytes. Signed outputs are made as unsigned ones 128 higher,
 * then flipped. */
typedef struct rounding {
    __m512 high;
    __m512i zero, lo, hi, flip, order;
    bool wide;
} rounding;

static rounding make_rounding(const adze_q8_finish *f, __m512i order)
{
    const adze_gemm_q8_args *args = f->args;
    const adze_q8_residual *r = args->residual;
    int32_t zero = r ? r->y_zero : args->zero, lo = r ? r->y_lo : args->lo;
    int32_t hi = r ? r->y_hi : args->hi, shift = (r ? r->y_signed : args->c_signed) ? 128 : 0;
    return (rounding){
        .high = _mm512_set1_ps((float)(hi - zero)),
        .zero = _mm512_set1_epi16((short)(zero + shift)),
        .lo = _mm512_set1_epi8((char)(lo + shift)),
        .hi = _mm512_set1_epi8((char)(hi + shift)),
        .flip = _mm512_set1_epi8((char)shift),
        .order = order,
        .wide = f->wide,
    };
}

/* 64 bytes: those of v[0], then v[1], ... in the order that `order` makes of the packed quarters.
 * Saturation of the 16-bit and 8-bit steps lies outside of lo and hi, so the result is exact. */
INLINE __m512i to_bytes(const rounding *to, __m512 v[4])
{
    if (to->wide) {
        UNROLL
        for (int i = 0; i < 4; i++)
            v[i] = _mm512_min_ps(v[i], to->high);
    }
    __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
    __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
    __m512i bytes =
        _mm512_packus_epi16(_mm512_adds_epi16(low, to->zero), _mm512_adds_epi16(high, to->zero));
    bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, to->lo), to->hi);
    return _mm512_permutexvar_epi32(to->order, _mm512_xor_si512(bytes, to->flip));
}

/* After packing, 32-bit element 4 * lane + i holds columns 4 * lane.. of v[i]. */
static __m512i quarters_in_order(void)
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

/* Writes what to_bytes made of `4 / V` rows (one row if V is 3). */
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

INLINE void finish_q8(const int V, const bool residual, const adze_q8_finish *f,
                      const __m512i *sums)
{
    const int step = V >= 3 ? 1 : 4 / V;
    const rounding to = make_rounding(f, quarters_in_order());
    for (int row = 0; row < f->rows; row += step) {
        __m512 v[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            int r = ADZE_MIN(row + i / V, f->rows - 1), panel = i % V;
            v[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r * V + panel]), f->scale[panel]);
            if (residual)
                v[i] = add_residual(f, v[i], r, panel);
        }
        store_rows(V, f, row, to_bytes(&to, v));
    }
}

#define DEFINE(V)                                                                                  \
    static void finish_q8_##V(const adze_q8_finish *f, const __m512i *sums)                        \
    {                                                                                              \
        finish_q8(V, false, f, sums);                                                              \
    }                                                                                              \
    static void finish_q8_residual_##V(const adze_q8_finish *f, const __m512i *sums)               \
    {                                                                                              \
        finish_q8(V, true, f, sums);                                                               \
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
    static const finish_fn finish[2][ADZE_Q8_PANELS + 1] = {
        {NULL, finish_q8_1, finish_q8_2, finish_q8_3, finish_q8_4},
        {NULL, finish_q8_residual_1, finish_q8_residual_2, finish_q8_residual_3,
         finish_q8_residual_4},
    };
    __m512i corrected[ADZE_Q8_MR * ADZE_Q8_PANELS];
    if (f->args->row_sum) {
        subtract_zero_points(f, sums, corrected);
        sums = corrected;
    }
    if (f->args->output == ADZE_Q8_TO_Q8)
        finish[f->args->residual != NULL][f->panels](f, sums);
    else
        finish_wide(f, sums);
}
