/* What the AVX2 files of the products of language models share. */
#ifndef ADZE_KERNELS_X86_LINEAR_AVX2_IMPL_H
#define ADZE_KERNELS_X86_LINEAR_AVX2_IMPL_H
#include <immintrin.h>
#include "kernels/linear_impl.h"
#include "kernels/x86/tile_impl.h"

/* Keeps a sum in the order in which it is written, and loads where they are written: compilers otherwise
 * gather all loads of an unrolled loop at its head, where the registers do not suffice. */
#define KEEP(v) __asm__("" : "+x"(v))
#define FENCE __asm__ volatile("" ::: "memory")

INLINE __m256i broadcast_4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

INLINE __m256i load_two(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low)),
                                   _mm_loadu_si128((const __m128i *)high), 1);
}

/* Eight rows, `row_bytes` apart, of eight dwords -> eight vectors of one dword of each row. */
INLINE void transpose_8x8(const void *from, size_t row_bytes, __m256i out[8])
{
    __m256i r[8], t[8];
    UNROLL for (int i = 0; i < 4; i++)
    {
        const char *low = (const char *)from + (size_t)i * row_bytes, *high = low + 4 * row_bytes;
        r[i] = load_two(low, high);
        r[i + 4] = load_two(low + 16, high + 16);
    }
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
    {
        out[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        out[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        out[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        out[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
}

/* [16 rows][count] dwords, rows row_bytes apart -> [count][16 rows], each byte `add` more. */
static inline void linear_interleave(const void *from, size_t row_bytes, int64_t count, int add,
                                     void *to)
{
    const __m256i more = _mm256_set1_epi8((char)add);
    for (int half = 0; half < 2; half++)
        for (int64_t i = 0; i < count; i += 8) {
            const char *rows = (const char *)from + (size_t)half * 8 * row_bytes + 4 * i;
            __m256i columns[8];
            transpose_8x8(rows, row_bytes, columns);
            for (int64_t j = 0; j < ADZE_MIN(count - i, 8); j++)
                _mm256_store_si256((__m256i *)to + 2 * (i + j) + half,
                                   _mm256_add_epi8(columns[j], more));
        }
}

/* y of rows [row, row + count) from sums [tokens][16 rows]. */
static inline void linear_store_rows(const linear_job *job, int64_t row, int64_t count,
                                     int64_t token, int64_t tokens, const float *sums)
{
    const float *bias = job->args.bias ? job->args.bias + row : NULL;
    for (int64_t t = 0; t < tokens; t++, sums += LINEAR_PANEL) {
        float *y = job->args.y + (token + t) * job->args.ldy + row;
        for (int64_t i = 0; i < count; i++)
            y[i] = bias ? sums[i] + bias[i] : sums[i];
    }
}

/* y[0 .. 7]: eight rows of w, `stride` bytes apart, times one record. NULL: the type has none. */
typedef void (*linear_rows_fn)(const uint8_t *w, size_t stride, int64_t k, const linear_record *x,
                               float *y);
linear_rows_fn linear_rows_avx2(adze_dtype dtype);

void linear_floats_avx2(const linear_job *job, const int64_t part[4], void *scratch);
/* Spreads rows of x for linear_floats_avx2, where its records have a size. */
void linear_spread_avx2(const linear_job *job, int64_t first, int64_t count);
size_t linear_float_record_avx2(adze_dtype dtype, int64_t tokens, int64_t k);
size_t linear_float_worker_avx2(int64_t k);

#endif
