/* The plain loops, and the choice by level. */
#include "kernels/peak.h"

enum { LANES = 64 };

/* Keeps the compiler from knowing what is in memory, and so from computing ahead. */
static void forget(void *values)
{
#if defined(__GNUC__)
    __asm__ volatile("" : : "r"(values) : "memory");
#else
    ADZE_UNUSED(values);
#endif
}

static double f32(int64_t steps)
{
    float sum[LANES] = {0}, a[LANES] = {0};
    forget(a);
    for (int64_t i = 0; i < steps; i++) {
        for (int k = 0; k < LANES; k++)
            sum[k] += a[k] * a[k];
        forget(sum);
    }
    return 2.0 * LANES * (double)steps;
}

static double i8(int64_t steps)
{
    int32_t sum[LANES] = {0};
    int8_t a[LANES] = {0};
    forget(a);
    for (int64_t i = 0; i < steps; i++) {
        for (int k = 0; k < LANES; k++)
            sum[k] += a[k] * a[k];
        forget(sum);
    }
    return 2.0 * LANES * (double)steps;
}

static uint64_t read_all(const void *bytes, size_t size)
{
    const uint64_t *p = bytes;
    size_t quarter = size / 32;
    uint64_t sum = 0;
    for (size_t i = 0; i < quarter; i++)
        sum += (p[i] ^ p[i + quarter]) + (p[i + 2 * quarter] ^ p[i + 3 * quarter]);
    return sum;
}

adze_peak_kernels adze_peak_of(adze_cpu_level level)
{
    adze_peak_kernels kernels = {f32, i8, read_all};
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_peak_avx2(&kernels);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_peak_avx512(&kernels);
#endif
#else
    ADZE_UNUSED(level);
#endif
    return kernels;
}
