/* AVX2: the loops of the reference made wider by the compiler; transposition by hand. */
#include <immintrin.h>
#include "kernels/rows_impl.h"

/* Interleaves the low and the high halves of a and b, by elements of 8, 16, 32 or 64 bits. */
#define UNPACK(bits, a, b, low, high)                                                              \
    low = _mm_unpacklo_epi##bits(a, b);                                                            \
    high = _mm_unpackhi_epi##bits(a, b)

static inline __m128i load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline void store(void *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)p, v);
}

/* Interleaving rows i and i + n / 2 of n, log2(n) times over, transposes. */
static inline void transpose_block_1(const uint8_t *x, ptrdiff_t ldx, uint8_t *y, ptrdiff_t ldy)
{
    __m128i a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = load(x + i * ldx);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            UNPACK(8, a[i], a[i + 8], b[2 * i], b[2 * i + 1]);
        }
        for (int i = 0; i < 8; i++) {
            UNPACK(8, b[i], b[i + 8], a[2 * i], a[2 * i + 1]);
        }
    }
    for (int i = 0; i < 16; i++)
        store(y + i * ldy, a[i]);
}

static inline void transpose_block_2(const uint16_t *x, ptrdiff_t ldx, uint16_t *y, ptrdiff_t ldy)
{
    __m128i a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = load(x + i * ldx);
    for (int i = 0; i < 4; i++) {
        UNPACK(16, a[i], a[i + 4], b[2 * i], b[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        UNPACK(16, b[i], b[i + 4], a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        UNPACK(16, a[i], a[i + 4], b[2 * i], b[2 * i + 1]);
    }
    for (int i = 0; i < 8; i++)
        store(y + i * ldy, b[i]);
}

/* Two halves of 128 bits at a time: rows i and i + 4 share a register. */
static inline void transpose_block_4(const uint32_t *x, ptrdiff_t ldx, uint32_t *y, ptrdiff_t ldy)
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i++) {
        const float *low = (const float *)(x + (i % 4) * ldx) + (i < 4 ? 0 : 4);
        a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)),
                                    _mm_loadu_ps(low + 4 * ldx), 1);
    }
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = _mm256_shuffle_ps(b[i + j], b[i + j + 2], 0x44);
            a[i + 2 * j + 1] = _mm256_shuffle_ps(b[i + j], b[i + j + 2], 0xee);
        }
    for (int i = 0; i < 8; i++)
        _mm256_storeu_ps((float *)(y + i * ldy), a[i]);
}

static inline void transpose_block_8(const uint64_t *x, ptrdiff_t ldx, uint64_t *y, ptrdiff_t ldy)
{
    __m256d a[4];
    for (int i = 0; i < 4; i++) {
        const double *low = (const double *)(x + (i % 2) * ldx) + (i < 2 ? 0 : 2);
        a[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(low)),
                                    _mm_loadu_pd(low + 2 * ldx), 1);
    }
    for (int i = 0; i < 4; i += 2) {
        _mm256_storeu_pd((double *)(y + i * ldy), _mm256_unpacklo_pd(a[i], a[i + 1]));
        _mm256_storeu_pd((double *)(y + (i + 1) * ldy), _mm256_unpackhi_pd(a[i], a[i + 1]));
    }
}

/* Blocks go down a strip of columns one cache line wide, so that lines of x are used whole and y is
 * written in runs. What no block covers, and the three colours of a picture, are plain loops. */
#define TRANSPOSE(bytes, type, block)                                                              \
    static void transpose_rest_##bytes(int64_t rows, int64_t columns, const type *x,               \
                                       ptrdiff_t ldx, type *y, ptrdiff_t ldy)                      \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int64_t j = 0; j < columns; j++)                                                  \
                y[j * ldy + i] = x[i * ldx + j];                                                   \
    }                                                                                              \
    static void interleave_3_##bytes(int64_t n, const type *restrict x, ptrdiff_t ldx,             \
                                     type *restrict y)                                             \
    {                                                                                              \
        const type *restrict x1 = x + ldx, *restrict x2 = x + 2 * ldx;                             \
        for (int64_t j = 0; j < n; j++) {                                                          \
            y[3 * j] = x[j];                                                                       \
            y[3 * j + 1] = x1[j];                                                                  \
            y[3 * j + 2] = x2[j];                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void separate_3_##bytes(int64_t n, const type *restrict x, type *restrict y,            \
                                   ptrdiff_t ldy)                                                  \
    {                                                                                              \
        type *restrict y1 = y + ldy, *restrict y2 = y + 2 * ldy;                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            y[i] = x[3 * i];                                                                       \
            y1[i] = x[3 * i + 1];                                                                  \
            y2[i] = x[3 * i + 2];                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void transpose_##bytes(int64_t rows, int64_t columns, const void *from, ptrdiff_t ldx,  \
                                  void *to, ptrdiff_t ldy)                                         \
    {                                                                                              \
        enum { STRIP = 64 / bytes };                                                               \
        const type *x = from;                                                                      \
        type *y = to;                                                                              \
        if (rows == 3 && ldy == 3) {                                                               \
            interleave_3_##bytes(columns, x, ldx, y);                                              \
            return;                                                                                \
        }                                                                                          \
        if (columns == 3 && ldx == 3) {                                                            \
            separate_3_##bytes(rows, x, y, ldy);                                                   \
            return;                                                                                \
        }                                                                                          \
        const int64_t m = rows - rows % block, n = columns - columns % block;                      \
        for (int64_t j0 = 0; j0 < n; j0 += STRIP)                                                  \
            for (int64_t i = 0; i < m; i += block)                                                 \
                for (int64_t j = j0; j < n && j < j0 + STRIP; j += block)                          \
                    transpose_block_##bytes(x + i * ldx + j, ldx, y + j * ldy + i, ldy);           \
        transpose_rest_##bytes(m, columns - n, x + n, ldx, y + n * ldy, ldy);                      \
        transpose_rest_##bytes(rows - m, columns, x + m * ldx, ldx, y + m, ldy);                   \
    }
TRANSPOSE(1, uint8_t, 16)
TRANSPOSE(2, uint16_t, 8)
TRANSPOSE(4, uint32_t, 8)
TRANSPOSE(8, uint64_t, 4)

void adze_rows_init_avx2(adze_rows_table *table)
{
    fill(table);
    table->transpose_1 = transpose_1;
    table->transpose_2 = transpose_2;
    table->transpose_4 = transpose_4;
    table->transpose_8 = transpose_8;
}
