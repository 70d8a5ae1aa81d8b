/* Numbers in order, by the C library's sort. */
#include "base/order.h"

#include <stdlib.h>

#include "base/error.h"

static int by_f64(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_f32(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void adze_sort_f64(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_f64);
}

void adze_sort_f32(float *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_f32);
}

double adze_percentile(const double *sorted, int64_t n, double percent)
{
    double at = percent / 100 * (double)(n - 1);
    at = ADZE_MIN(ADZE_MAX(at, 0.0), (double)(n - 1));
    int64_t below = (int64_t)at;
    int64_t above = ADZE_MIN(below + 1, n - 1);
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}
