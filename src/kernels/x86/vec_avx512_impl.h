/* Sixteen floats, for kernels that are written once for all widths. */
#ifndef ADZE_KERNELS_X86_VEC_AVX512_IMPL_H
#define ADZE_KERNELS_X86_VEC_AVX512_IMPL_H
#include <immintrin.h>
#include <stdint.h>

enum { LANES = 16 };
typedef __m512 vec;
typedef __mmask16 vec_mask;

/* The first `count` lanes, at most all. */
static inline vec_mask vec_first(int64_t count)
{
    int64_t missing = count < LANES ? LANES - count : 0;
    return (vec_mask)(0xffffU >> missing);
}

static inline vec vec_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline vec vec_load_masked(const float *from, vec_mask mask)
{
    return _mm512_maskz_loadu_ps(mask, from);
}

static inline void vec_store_masked(float *to, vec_mask mask, vec v)
{
    _mm512_mask_storeu_ps(to, mask, v);
}

static inline vec vec_set1(float v)
{
    return _mm512_set1_ps(v);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

/* As the instructions have it: b where either is not a number. */
static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

#endif
