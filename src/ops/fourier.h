/* Discrete Fourier transforms of any length in double precision. Lengths whose prime factors are small go
 * through mixed radices; others through a convolution with a chirp (Bluestein). */
#ifndef ADZE_OPS_FOURIER_H
#define ADZE_OPS_FOURIER_H
#include "base/error.h"

struct adze_run;

typedef struct adze_complex {
    double re, im;
} adze_complex;

typedef struct adze_fourier {
    const struct adze_run *run; /* once its time is over, what is left is not done */
    int64_t n, padded;          /* padded: length of the convolution, 0: none */
    const adze_complex *roots;  /* e^(-2 pi i k / length) of n, or of padded */
    const adze_complex *chirp;  /* [n] e^(-pi i k^2 / n) */
    const adze_complex *filter; /* [padded] transform of the chirp, conjugate and wrapped */
} adze_fourier;

/* Numbers that a plan keeps, and that one call needs to work. */
size_t adze_fourier_table(int64_t n);
size_t adze_fourier_work(int64_t n);
/* A plan for length n >= 1 in `table`, for one run. */
void adze_fourier_make(adze_fourier *f, const struct adze_run *run, int64_t n, adze_complex *table,
                       adze_complex *work);
/* y = transform of x; both [n], not the same. inverse: of the other sign, and divided by n. x may be
 * overwritten. */
void adze_fourier_run(const adze_fourier *f, bool inverse, adze_complex *x, adze_complex *y,
                      adze_complex *work);

/* The same in single precision, for plans that are not padded. The operations are those of pocketfft
 * (M. Reinecke), as NumPy has it, so that radices 2, 4 and 5 round as ONNX's reference does. x and y are
 * overwritten; returns the one with the result. */
typedef struct adze_complex_f32 {
    float re, im;
} adze_complex_f32;
adze_complex_f32 *adze_fourier_run_f32(const adze_fourier *f, bool inverse, adze_complex_f32 *x,
                                       adze_complex_f32 *y);

#endif
