/* Loops that do nothing but what the processor does fastest, to measure what it can do at most:
 * independent multiply-adds from registers, and reading. They are a yardstick, not a computation. */
#ifndef ADZE_KERNELS_PEAK_H
#define ADZE_KERNELS_PEAK_H
#include "base/error.h"

typedef struct adze_peak_kernels {
    /* `steps` rounds of the loop; returns how many operations it did (a multiply-add is two). */
    double (*f32)(int64_t steps);
    double (*i8)(int64_t steps); /* 8 bits by 8 bits with exact 32-bit sums */
    /* Reads `size` bytes (a multiple of 512, 64-byte aligned) once in four streams; returns something
     * that depends on all of them, so that nothing is left out. */
    uint64_t (*read)(const void *bytes, size_t size);
} adze_peak_kernels;

/* Those of a level that this machine has. */
adze_peak_kernels adze_peak_of(adze_cpu_level level);

/* Overwrite what they do better; each file exists for its architecture only. */
void adze_peak_avx2(adze_peak_kernels *kernels);
void adze_peak_avx512(adze_peak_kernels *kernels);

#endif
