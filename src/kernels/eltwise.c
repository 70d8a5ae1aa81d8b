/* The reference of the element-wise family, and the choice of a level. */
#include "kernels/eltwise_impl.h"
#include "tensor/dtype.h"

static void f16_to_f32(int64_t n, const uint16_t *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = adze_f16_to_f32(x[i]);
}

static void f32_to_f16(int64_t n, const float *x, uint16_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = adze_f32_to_f16(x[i]);
}

static void lookup(int64_t n, const uint8_t *x, const uint8_t table[256], uint8_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

static int32_t sum_u8(int64_t n, const uint8_t *x, uint8_t flip)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (uint8_t)(x[i] ^ flip);
    return (int32_t)sum;
}

const char *adze_binary_name(adze_binary op)
{
    static const char *const names[] = {
#define X(name, text, meaning) #text,
        ADZE_BINARY_LIST(X)
#undef X
    };
    return (unsigned)op < ADZE_BINARY_COUNT ? names[op] : "?";
}

const char *adze_unary_name(adze_unary op)
{
    static const char *const names[] = {
#define X(name, text, meaning) #text,
        ADZE_UNARY_LIST(X)
#undef X
    };
    return (unsigned)op < ADZE_UNARY_COUNT ? names[op] : "?";
}

void adze_eltwise_init(adze_eltwise_table *table, adze_cpu_level level)
{
    fill(table);
    table->f16_to_f32 = f16_to_f32;
    table->f32_to_f16 = f32_to_f16;
    table->lookup = lookup;
    table->sum_u8 = sum_u8;
#if defined(__x86_64__)
    if (level == ADZE_CPU_AVX2 || level == ADZE_CPU_AVX512)
        adze_eltwise_init_avx2(table);
#ifndef ADZE_NO_AVX512
    if (level == ADZE_CPU_AVX512)
        adze_eltwise_init_avx512(table);
#endif
#else
    ADZE_UNUSED(level);
#endif
}
