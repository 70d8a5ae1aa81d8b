/* Arithmetic peak of one core, measured: independent multiply-adds from registers. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H
#include "base/cpu.h"

/* Operations (a multiply-add is two) a second; integer: 8 bits by 8 bits, with the best exact
 * instruction of the level. Levels without a loop of their own: that of a plain C loop. */
double bench_peak(adze_cpu_level level, bool integer);

#endif
