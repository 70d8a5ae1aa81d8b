/* Eight floats, for kernels that are written once for all widths. */
#ifndef ADZE_KERNELS_X86_VEC_AVX2_IMPL_H
#define ADZE_KERNELS_X86_VEC_AVX2_IMPL_H
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

enum { LANES = 8 };
typedef __m256 vec;

/* Masked moves are slow on some processors: full vectors go without. */
typedef struct vec_mask {
    __m256i lanes;
    bool full;
} vec_mask;

/* The first `count` lanes, at most all. */
static inline vec_mask vec_first(int64_t count)
{
    __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int limit = count < LANES ? (int)count : LANES;
    return (vec_mask){_mm256_cmpgt_epi32(_mm256_set1_epi32(limit), index), limit == LANES};
}

static inline vec vec_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline vec vec_load_masked(const float *from, vec_mask mask)
{
    return mask.full ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask.lanes);
}

static inline void vec_store_masked(float *to, vec_mask mask, vec v)
{
    if (mask.full)
        _mm256_storeu_ps(to, v);
    else
        _mm256_maskstore_ps(to, mask.lanes, v);
}

static inline vec vec_set1(float v)
{
    return _mm256_set1_ps(v);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

/* As the instructions have it: b where either is not a number. */
static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

#endif
