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

/* y[0 .. 7]: eight rows of w, `stride` bytes apart, times one record. NULL: the type has none. */
typedef void (*linear_rows_fn)(const uint8_t *w, size_t stride, int64_t k, const linear_record *x,
                               float *y);
linear_rows_fn linear_rows_avx2(adze_dtype dtype);

#endif
