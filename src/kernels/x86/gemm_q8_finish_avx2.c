/* The outputs of a tile of the AVX2 integer matrix product: zero points, scaling, residual, rounding. */
#include "kernels/x86/gemm_q8_avx2_impl.h"
#include "kernels/x86/tile_impl.h"

#include <string.h>

enum { NR = ADZE_Q8_AVX2_NR };

adze_q8_finish_avx2 adze_q8_finish_avx2_make(const adze_gemm_q8_args *args, int64_t row,
                                             int64_t column, int panels)
{
    adze_q8_finish_avx2 f = {.args = args, .row = row, .column = column, .panels = panels};
    f.columns = (int)ADZE_MIN(args->n - column, panels * NR);
    __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    bool wide = args->residual || args->f_bias;
    for (int v = 0; v < panels; v++) {
        int64_t at = column + v * NR;
        __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(f.columns - v * NR), index);
        f.mask[v] = mask;
        if (args->bias)
            f.start[v] = _mm256_maskload_epi32(args->bias + at, mask);
        if (args->output == ADZE_Q8_TO_I32)
            continue;
        f.scale[v] = _mm256_maskload_ps(args->scale + at, mask);
        __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1);
        __m256 small = _mm256_cmp_ps(_mm256_andnot_ps(sign, f.scale[v]), one, _CMP_LT_OQ);
        wide = wide || _mm256_movemask_ps(small) != 0xff;
    }
    f.wide = wide;
    return f;
}

/* Signed outputs are made as unsigned ones 128 higher, then flipped. */
typedef struct rounding {
    __m256 low, high;
    __m256i zero;
    __m128i lo, hi, flip;
    bool wide;
} rounding;

static rounding make_rounding(int32_t zero, int32_t lo, int32_t hi, bool is_signed, bool wide)
{
    int32_t shift = is_signed ? 128 : 0;
    return (rounding){
        .low = _mm256_set1_ps((float)(lo - zero)),
        .high = _mm256_set1_ps((float)(hi - zero)),
        .zero = _mm256_set1_epi16((short)(zero + shift)),
        .lo = _mm_set1_epi8((char)(lo + shift)),
        .hi = _mm_set1_epi8((char)(hi + shift)),
        .flip = _mm_set1_epi8((char)shift),
        .wide = wide,
    };
}

/* 16 values as bytes. Saturation of the 16-bit and 8-bit steps lies outside of lo and hi. */
INLINE __m128i to_bytes(const rounding *to, __m256 a, __m256 b)
{
    if (to->wide) {
        a = _mm256_min_ps(a, to->high);
        b = _mm256_min_ps(b, to->high);
    }
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
    words = _mm256_permute4x64_epi64(_mm256_adds_epi16(words, to->zero), 0xd8);
    __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    bytes = _mm_min_epu8(_mm_max_epu8(bytes, to->lo), to->hi);
    return _mm_xor_si128(bytes, to->flip);
}

/* What the sum of t and the residual would be before rounding to y. */
static __m256 add_residual(const adze_q8_finish_avx2 *f, const rounding *to, __m256 v, int row,
                           int panel)
{
    const adze_q8_residual *r = f->args->residual;
    const uint8_t *data = r->data + (f->row + row) * r->ld + f->column + panel * NR;
    uint8_t bytes[NR] = {0};
    memcpy(bytes, data, (size_t)ADZE_MIN(f->columns - panel * NR, NR));
    __m128i eight = _mm_loadl_epi64((const __m128i *)bytes);
    __m256i other = r->is_signed ? _mm256_cvtepi8_epi32(eight) : _mm256_cvtepu8_epi32(eight);
    other = _mm256_sub_epi32(other, _mm256_set1_epi32(r->zero));
    v = _mm256_max_ps(_mm256_min_ps(v, to->high), to->low);
    __m256 t = _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 left = _mm256_mul_ps(t, _mm256_set1_ps(r->t_scale));
    return _mm256_add_ps(left, _mm256_mul_ps(_mm256_cvtepi32_ps(other), _mm256_set1_ps(r->scale)));
}

INLINE void finish_q8(const int V, const bool residual, const adze_q8_finish_avx2 *f,
                      const __m256i *sums)
{
    const adze_gemm_q8_args *args = f->args;
    const adze_q8_residual *r = args->residual;
    const rounding own = make_rounding(args->zero, args->lo, args->hi, args->c_signed, f->wide);
    const rounding last =
        residual ? make_rounding(r->y_zero, r->y_lo, r->y_hi, r->y_signed, true) : own;
    for (int row = 0; row < f->rows; row++) {
        __m256 v[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        UNROLL
        for (int i = 0; i < V; i++) {
            v[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[row * V + i]), f->scale[i]);
            if (args->f_bias)
                v[i] = _mm256_add_ps(
                    v[i], _mm256_maskload_ps(args->f_bias + f->column + i * NR, f->mask[i]));
            if (residual)
                v[i] = add_residual(f, &own, v[i], row, i);
        }
        uint8_t *c = (uint8_t *)args->c + (f->row + row) * args->ldc + f->column;
        __m128i bytes = to_bytes(&last, v[0], v[1]);
        if (f->columns == 16)
            _mm_storeu_si128((__m128i *)c, bytes);
        else
            memcpy(c, &bytes, (size_t)f->columns);
    }
}

static void finish_wide(const adze_q8_finish_avx2 *f, const __m256i *sums)
{
    const adze_gemm_q8_args *args = f->args;
    __m256 lo = _mm256_set1_ps(args->f_lo), hi = _mm256_set1_ps(args->f_hi);
    for (int row = 0; row < f->rows; row++)
        for (int v = 0; v < f->panels; v++) {
            __m256i out = sums[row * f->panels + v];
            if (args->output == ADZE_Q8_TO_F32) {
                __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(out), f->scale[v]);
                if (args->row_scale)
                    x = _mm256_mul_ps(x, _mm256_set1_ps(args->row_scale[f->row + row]));
                if (args->f_bias)
                    x = _mm256_add_ps(
                        x, _mm256_maskload_ps(args->f_bias + f->column + v * NR, f->mask[v]));
                out = _mm256_castps_si256(_mm256_min_ps(hi, _mm256_max_ps(lo, x)));
            }
            int32_t *c = (int32_t *)args->c + (f->row + row) * args->ldc + f->column + v * NR;
            _mm256_maskstore_epi32(c, f->mask[v], out);
        }
}

/* sums less row_sum * b_zero. */
static void subtract_zero_points(const adze_q8_finish_avx2 *f, const __m256i *sums, __m256i *out)
{
    for (int v = 0; v < f->panels; v++) {
        const int32_t *from = f->args->b_zero + f->column + v * NR;
        __m256i zero = _mm256_maskload_epi32(from, f->mask[v]);
        for (int row = 0; row < f->rows; row++) {
            __m256i sum = _mm256_set1_epi32(f->args->row_sum[f->row + row]);
            int at = row * f->panels + v;
            out[at] = _mm256_sub_epi32(sums[at], _mm256_mullo_epi32(sum, zero));
        }
    }
}

void adze_gemm_q8_finish_avx2(const adze_q8_finish_avx2 *f, const __m256i *sums)
{
    __m256i corrected[ADZE_Q8_AVX2_MR * ADZE_Q8_AVX2_PANELS];
    if (f->args->row_sum) {
        subtract_zero_points(f, sums, corrected);
        sums = corrected;
    }
    if (f->args->output != ADZE_Q8_TO_Q8)
        finish_wide(f, sums);
    else if (f->args->residual && f->panels == 2)
        finish_q8(2, true, f, sums);
    else if (f->args->residual)
        finish_q8(1, true, f, sums);
    else if (f->panels == 2)
        finish_q8(2, false, f, sums);
    else
        finish_q8(1, false, f, sums);
}
