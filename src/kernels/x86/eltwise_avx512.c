/* AVX-512: the loops of the reference made wider by the compiler; look-up by permutations, products of bytes
 * in 16 bits. */
#include <immintrin.h>
#include "kernels/eltwise_impl.h"
#include "kernels/x86/requantize_avx512_impl.h"

/* The table as 128 words in four registers. Returns for each index (0 to 255, one to a word) the word
 * that holds its byte, shifted so that the byte is the low one. */
static inline __m512i word_of(const __m512i table[4], __m512i index)
{
    const __m512i word = _mm512_srli_epi16(index, 1);
    const __m512i low = _mm512_permutex2var_epi16(table[0], word, table[1]);
    const __m512i high = _mm512_permutex2var_epi16(table[2], word, table[3]);
    const __mmask32 is_high = _mm512_test_epi16_mask(index, _mm512_set1_epi16(0x80));
    const __m512i odd = _mm512_and_si512(index, _mm512_set1_epi16(1));
    return _mm512_srlv_epi16(_mm512_mask_blend_epi16(is_high, low, high),
                             _mm512_slli_epi16(odd, 3));
}

static inline __m512i look_up(const __m512i table[4], __m512i x)
{
    const __m512i bytes = _mm512_set1_epi16(0xff);
    const __m512i even = word_of(table, _mm512_and_si512(x, bytes));
    const __m512i odd = word_of(table, _mm512_srli_epi16(x, 8));
    return _mm512_or_si512(_mm512_and_si512(even, bytes), _mm512_slli_epi16(odd, 8));
}

static void lookup(int64_t n, const uint8_t *x, const uint8_t table[256], uint8_t *y)
{
    __m512i t[4];
    for (int i = 0; i < 4; i++)
        t[i] = _mm512_loadu_si512(table + 64 * i);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(y + i, look_up(t, _mm512_loadu_si512(x + i)));
    if (i < n) {
        const __mmask64 rest = ~(__mmask64)0 >> (64 - (n - i));
        _mm512_mask_storeu_epi8(y + i, rest, look_up(t, _mm512_maskz_loadu_epi8(rest, x + i)));
    }
}

typedef struct q8_product {
    __m512i a_flip, b_flip, a_zero, b_zero;
    __m512 scale;
    adze_rounding to;
} q8_product;

/* The products of 32 words as two vectors of 16, in the order that adze_to_bytes wants. */
static inline void scaled_products(const q8_product *p, __m512i a, __m512i b, __m512 v[2])
{
    a = _mm512_sub_epi16(a, p->a_zero);
    b = _mm512_sub_epi16(b, p->b_zero);
    const __m512i low = _mm512_mullo_epi16(a, b), high = _mm512_mulhi_epi16(a, b);
    v[0] = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_unpacklo_epi16(low, high)), p->scale);
    v[1] = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_unpackhi_epi16(low, high)), p->scale);
}

static inline __m512i multiply(const q8_product *p, __m512i a, __m512i b)
{
    const __m512i none = _mm512_setzero_si512();
    __m512 v[4];
    a = _mm512_xor_si512(a, p->a_flip);
    b = _mm512_xor_si512(b, p->b_flip);
    scaled_products(p, _mm512_unpacklo_epi8(a, none), _mm512_unpacklo_epi8(b, none), v);
    scaled_products(p, _mm512_unpackhi_epi8(a, none), _mm512_unpackhi_epi8(b, none), v + 2);
    return adze_to_bytes(&p->to, v);
}

static void q8_mul_bytes(const adze_q8_binary_args *args)
{
    const q8_operand oa = q8_operand_of(args->a_signed, args->a_zero);
    const q8_operand ob = q8_operand_of(args->b_signed, args->b_zero);
    const q8_product p = {
        .a_flip = _mm512_set1_epi8((char)oa.flip),
        .b_flip = _mm512_set1_epi8((char)ob.flip),
        .a_zero = _mm512_set1_epi16((short)oa.zero),
        .b_zero = _mm512_set1_epi16((short)ob.zero),
        .scale = _mm512_set1_ps(args->a_scale),
        .to = adze_rounding_make(args->y_zero, args->lo, args->hi, args->lo < 0, false),
    };
    if (!(fabsf(args->a_scale) < 1)) { /* might leave the range of int32 */
        q8_mul(args);
        return;
    }
    __m512i b = _mm512_set1_epi8(args->b_scalar ? (char)*args->b : 0);
    int64_t i = 0;
    for (; i + 64 <= args->n; i += 64) {
        b = args->b_scalar ? b : _mm512_loadu_si512(args->b + i);
        _mm512_storeu_si512(args->y + i, multiply(&p, _mm512_loadu_si512(args->a + i), b));
    }
    if (i < args->n) {
        const __mmask64 rest = ~(__mmask64)0 >> (64 - (args->n - i));
        b = args->b_scalar ? b : _mm512_maskz_loadu_epi8(rest, args->b + i);
        const __m512i a = _mm512_maskz_loadu_epi8(rest, args->a + i);
        _mm512_mask_storeu_epi8(args->y + i, rest, multiply(&p, a, b));
    }
}

/* The same with permutations of bytes, which most processors of this level have. */
#define VBMI __attribute__((target("avx512vbmi")))

VBMI static inline __m512i look_up_vbmi(const __m512i t[4], __m512i x)
{
    const __m512i low = _mm512_permutex2var_epi8(t[0], x, t[1]);
    const __m512i high = _mm512_permutex2var_epi8(t[2], x, t[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
}

VBMI static void lookup_vbmi(int64_t n, const uint8_t *x, const uint8_t table[256], uint8_t *y)
{
    __m512i t[4];
    for (int i = 0; i < 4; i++)
        t[i] = _mm512_loadu_si512(table + 64 * i);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(y + i, look_up_vbmi(t, _mm512_loadu_si512(x + i)));
    if (i < n) {
        const __mmask64 rest = ~(__mmask64)0 >> (64 - (n - i));
        _mm512_mask_storeu_epi8(y + i, rest, look_up_vbmi(t, _mm512_maskz_loadu_epi8(rest, x + i)));
    }
}

void adze_eltwise_init_avx512(adze_eltwise_table *table)
{
    fill(table);
    table->lookup = __builtin_cpu_supports("avx512vbmi") ? lookup_vbmi : lookup;
    table->q8_mul = q8_mul_bytes;
}
