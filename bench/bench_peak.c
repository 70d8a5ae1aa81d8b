#include "bench_peak.h"

#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { STEPS = 50000 };

#if defined(__x86_64__)
/* Twelve chains: more than latency (4 or 5) times units (2). */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define FMA_YMM(i) "vfmadd231ps %%ymm15, %%ymm14, %%ymm" #i "\n"
#define FMA_ZMM(i) "vfmadd231ps %%zmm15, %%zmm14, %%zmm" #i "\n"
#define DOT_ZMM(i) "vpdpbusd %%zmm15, %%zmm14, %%zmm" #i "\n"
/* Six multiplications of pairs and the additions that they need. */
#define SIX(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define MADD_YMM(i)                                                                                \
    "vpmaddwd %%ymm15, %%ymm14, %%ymm13\n vpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n"
#define CLOBBERED                                                                                  \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm13", "xmm14", "xmm15"
#define LOOP(body)                                                                                 \
    for (int i = 0; i < STEPS; i++)                                                                \
    __asm__ volatile(body ::: CLOBBERED)

#define ZERO(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n"

/* Runs the loop and says how many operations it did. */
static double run(adze_cpu_level level, bool integer)
{
    __asm__ volatile(TWELVE(ZERO) ZERO(14) ZERO(15)::: CLOBBERED);
    if (level == ADZE_CPU_AVX512 && integer) {
        LOOP(TWELVE(DOT_ZMM));
        return 12.0 * 128 * STEPS;
    }
    if (level == ADZE_CPU_AVX512) {
        LOOP(TWELVE(FMA_ZMM));
        return 12.0 * 32 * STEPS;
    }
    if (integer) {
        LOOP(SIX(MADD_YMM));
        return 6.0 * 32 * STEPS;
    }
    LOOP(TWELVE(FMA_YMM));
    return 12.0 * 16 * STEPS;
}
#else
static double run(adze_cpu_level level, bool integer)
{
    float sum[64] = {0};
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < 64; j++)
            sum[j] += sum[j] * 0.5f;
    __asm__ volatile("" ::"r"(sum) : "memory");
    ADZE_UNUSED(level);
    ADZE_UNUSED(integer);
    return 2.0 * 64 * STEPS;
}
#endif

double bench_peak(adze_cpu_level level, bool integer)
{
    double start = now(), operations = run(level, integer);
    return operations / (now() - start);
}
