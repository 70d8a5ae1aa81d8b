/* AVX-512: the loops of the reference made wider by the compiler; look-up by permutations. */
#include <immintrin.h>
#include "kernels/eltwise_impl.h"

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

void adze_eltwise_init_avx512(adze_eltwise_table *table)
{
    fill(table);
    table->lookup = lookup;
}
