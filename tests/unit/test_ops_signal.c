/* Fourier transforms against the plain sum, for lengths of every kind; what windows and frames refuse. */
#include "op_case.h"

#include <math.h>
#include <stdlib.h>

#include "ops/fourier.h"

TEST(fourier_of_any_length_is_the_plain_sum)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 7, 12, 13, 17, 25, 60, 64, 74, 400, 289};
    for (size_t i = 0; i < ADZE_COUNT_OF(lengths); i++) {
        int64_t n = lengths[i];
        size_t size = adze_fourier_table(n) + adze_fourier_work(n) + 3 * (size_t)n;
        adze_complex *all = calloc(size, sizeof *all), *work = all + adze_fourier_table(n);
        CHECK(all);
        adze_complex *x = work + adze_fourier_work(n), *y = x + n, *back = y + n;
        adze_fourier f;
        adze_fourier_make(&f, NULL, n, all, work);
        for (int64_t k = 0; k < n; k++)
            x[k] = (adze_complex){sin((double)(3 * k + 1)), cos((double)(k * k))};
        adze_fourier_run(&f, false, x, y, work);
        for (int64_t k = 0; k < n; k++) {
            double re = 0, im = 0;
            for (int64_t t = 0; t < n; t++) {
                double a = -2 * acos(-1) * (double)(k * t % n) / (double)n;
                re += x[t].re * cos(a) - x[t].im * sin(a);
                im += x[t].re * sin(a) + x[t].im * cos(a);
            }
            CHECK_NEAR(y[k].re, re, 1e-10);
            CHECK_NEAR(y[k].im, im, 1e-10);
        }
        adze_fourier_run(&f, true, y, back, work);
        for (int64_t k = 0; k < n; k++)
            CHECK_NEAR(back[k].re, x[k].re, 1e-12);
        free(all);
    }
}

TEST(fourier_in_single_precision_agrees)
{
    static const int64_t lengths[] = {1, 2, 4, 6, 8, 10, 21, 32, 60, 143, 400};
    for (size_t i = 0; i < ADZE_COUNT_OF(lengths); i++) {
        int64_t n = lengths[i];
        adze_complex *all = calloc(3 * (size_t)n, sizeof *all), *x = all + n, *y = x + n;
        adze_complex_f32 *a = calloc(2 * (size_t)n, sizeof *a), *b;
        adze_fourier f;
        CHECK(all && a);
        CHECK_EQ(adze_fourier_work(n), 0u);
        adze_fourier_make(&f, NULL, n, all, NULL);
        for (int inverse = 0; inverse < 2; inverse++) {
            for (int64_t k = 0; k < n; k++) {
                a[k] = (adze_complex_f32){(float)sin((double)(k + 1)), (float)cos((double)(k * k))};
                x[k] = (adze_complex){(double)a[k].re, (double)a[k].im};
            }
            b = adze_fourier_run_f32(&f, inverse, a, a + n);
            adze_fourier_run(&f, inverse, x, y, NULL);
            for (int64_t k = 0; k < n; k++) {
                CHECK_NEAR((double)b[k].re, y[k].re, 1e-4);
                CHECK_NEAR((double)b[k].im, y[k].im, 1e-4);
            }
        }
        free(all);
        free(a);
    }
}

TEST(frames_longer_than_the_signal_are_refused)
{
    float x[8] = {0};
    int64_t step = 2, length = 9;
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 3, (int64_t[]){1, 8, 1}, x, NULL);
    op_case_input(&c, ADZE_I64, 0, NULL, &step, NULL);
    op_case_absent(&c);
    op_case_input(&c, ADZE_I64, 0, NULL, &length, NULL);
    op_case_node(&c, "STFT", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    length = 8;
    step = 0;
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}
