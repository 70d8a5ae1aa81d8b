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

/* --- before the multiplication: linear_pack_avx2.c --- */

enum { LINEAR_STEP = 256 }; /* weights of a row unpacked at once; whole blocks */

/* Part of 16 rows of w as codes, interleaved. */
typedef struct linear_panel {
    _Alignas(64) int8_t codes[LINEAR_CHUNK * LINEAR_PANEL];     /* [k / 4][16 rows][4] */
    _Alignas(64) float scale[LINEAR_CHUNK / 16 * LINEAR_PANEL]; /* [groups][16 rows] */
    _Alignas(64) float offset[LINEAR_CHUNK / 16 * LINEAR_PANEL];
} linear_panel;

typedef struct linear_unpacked {
    _Alignas(64) int8_t codes[LINEAR_PANEL][LINEAR_STEP];
    _Alignas(64) float scale[LINEAR_PANEL][LINEAR_STEP / 16];
    _Alignas(64) float offset[LINEAR_PANEL][LINEAR_STEP / 16];
} linear_unpacked;

/* Weights [k, k + count), at most LINEAR_CHUNK, of rows [row, last), at most 16. */
typedef struct linear_piece {
    int64_t row, last, k, count;
} linear_piece;

/* Codes are made `add` more; missing rows have scales and offsets of zero. */
void linear_pack_codes_avx2(const linear_job *job, linear_piece at, int add, linear_unpacked *u,
                            linear_panel *to);
/* Rows of x to records. What is added for the zero of a format: two sums of 16 bits, or, where `whole`
 * is not 0, one of 32 bits for codes of q + whole. */
void linear_quantize_avx2(const linear_job *job, int64_t first, int64_t count, int whole);

/* --- the multiplication --- */

/* y[0 .. 7]: eight rows of w, `stride` bytes apart, times one record. */
typedef void (*linear_rows_fn)(const uint8_t *w, size_t stride, int64_t k, const linear_record *x,
                               float *y);
/* For so few tokens that rows are multiplied as they lie; NULL where panels are better. */
linear_rows_fn linear_few_avx2(adze_dtype dtype, int64_t tokens);

void linear_codes_avx2(const linear_job *job, const int64_t part[4], void *scratch);
size_t linear_codes_scratch_avx2(void);

typedef enum linear_float { LINEAR_F32, LINEAR_F16, LINEAR_BF16 } linear_float;

static inline linear_float linear_float_of(adze_dtype dtype)
{
    return dtype == ADZE_F16 ? LINEAR_F16 : dtype == ADZE_BF16 ? LINEAR_BF16 : LINEAR_F32;
}

static inline int linear_float_size(linear_float type)
{
    return type == LINEAR_F32 ? 4 : 2;
}

void linear_init_floats_avx2(adze_linear_table *table);
void linear_init_floats_avx512(adze_linear_table *table);

#endif
