/* Numbers in order. */
#ifndef ADZE_BASE_ORDER_H
#define ADZE_BASE_ORDER_H
#include <stdint.h>

/* Ascending; no NaN among them. */
void adze_sort_f64(double *values, int64_t n);
void adze_sort_f32(float *values, int64_t n);
/* Percentile 0 to 100 of n >= 1 ascending values, linear between neighbours (NumPy's default). */
double adze_percentile(const double *sorted, int64_t n, double percent);

#endif
