/* See fourier.h. */
#include "ops/fourier.h"

#include <math.h>
#include <string.h>

#include "ops/helpers.h"

enum { LARGEST_RADIX = 13, LONG = 65536 }; /* LONG: worth a look at the clock */

static adze_complex times(adze_complex a, adze_complex b)
{
    return (adze_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static adze_complex plus(adze_complex a, adze_complex b)
{
    return (adze_complex){a.re + b.re, a.im + b.im};
}

static adze_complex minus(adze_complex a, adze_complex b)
{
    return (adze_complex){a.re - b.re, a.im - b.im};
}

/* Next radix of n: 4, else the smallest prime factor; 0 when that is too large. */
static int64_t radix_of(int64_t n)
{
    if (n % 4 == 0)
        return 4;
    for (int64_t p = 2; p <= LARGEST_RADIX; p++)
        if (n % p == 0)
            return p;
    return 0;
}

static int64_t padded_length(int64_t n)
{
    int64_t rest = n, padded = 1;
    while (rest > 1 && radix_of(rest))
        rest /= radix_of(rest);
    if (rest == 1)
        return 0;
    while (padded < 2 * n - 1)
        padded *= 2;
    return padded;
}

size_t adze_fourier_table(int64_t n)
{
    int64_t padded = padded_length(n);
    return (size_t)(padded ? 2 * padded + n : n);
}

size_t adze_fourier_work(int64_t n)
{
    return 2 * (size_t)padded_length(n);
}

/* y[k + q m] = sum over r of y[r m + k] * root^(r (k + q m)): joins 4 transforms of length m. */
static void join_four(const adze_complex *roots, int64_t step, int64_t m, adze_complex *y)
{
    for (int64_t k = 0; k < m; k++) {
        adze_complex a = y[k], b = times(y[m + k], roots[k * step]);
        adze_complex c = times(y[2 * m + k], roots[2 * k * step]);
        adze_complex d = times(y[3 * m + k], roots[3 * k * step]);
        adze_complex even = plus(a, c), odd = minus(a, c), sum = plus(b, d), rest = minus(b, d);
        adze_complex turned = {rest.im, -rest.re};
        y[k] = plus(even, sum);
        y[m + k] = plus(odd, turned);
        y[2 * m + k] = minus(even, sum);
        y[3 * m + k] = minus(odd, turned);
    }
}

static void join(const adze_complex *roots, int64_t length, int64_t step, int64_t radix, int64_t m,
                 adze_complex *y)
{
    for (int64_t k = 0; k < m; k++) {
        adze_complex parts[LARGEST_RADIX];
        for (int64_t r = 0; r < radix; r++)
            parts[r] = times(y[r * m + k], roots[r * k * step]);
        for (int64_t q = 0; q < radix; q++) {
            adze_complex sum = parts[0];
            for (int64_t r = 1; r < radix; r++)
                sum = plus(sum, times(parts[r], roots[r * q * m * step % length]));
            y[q * m + k] = sum;
        }
    }
}

/* Transform of x[0], x[stride], ... (n of them); the whole is of `length` = n * stride. Depth: the
 * number of factors. */
static void transform(const adze_fourier *f, int64_t length, int64_t n, int64_t stride,
                      const adze_complex *x, adze_complex *y)
{
    if (n >= LONG && adze_run_is_late(f->run))
        return;
    if (n == 1) {
        *y = *x;
        return;
    }
    int64_t radix = radix_of(n), m = n / radix;
    for (int64_t r = 0; r < radix; r++)
        transform(f, length, m, stride * radix, x + r * stride, y + r * m);
    if (radix == 4)
        join_four(f->roots, stride, m, y);
    else
        join(f->roots, length, stride, radix, m, y);
}

static adze_complex turn(double part)
{
    const double pi = 3.14159265358979323846;
    return (adze_complex){cos(2 * pi * part), -sin(2 * pi * part)};
}

void adze_fourier_make(adze_fourier *f, const adze_run *run, int64_t n, adze_complex *table,
                       adze_complex *work)
{
    int64_t padded = padded_length(n), length = padded ? padded : n;
    *f = (adze_fourier){.run = run, .n = n, .padded = padded, .roots = table};
    for (int64_t k = 0; k < length && !adze_ops_is_late(run, k); k++)
        table[k] = turn((double)k / (double)length);
    if (!padded)
        return;
    adze_complex *chirp = table + padded, *filter = chirp + n;
    f->chirp = chirp;
    f->filter = filter;
    memset(work, 0, (size_t)padded * sizeof *work);
    for (int64_t k = 0; k < n && !adze_ops_is_late(run, k); k++) {
        uint64_t square = (uint64_t)k * (uint64_t)k % (2 * (uint64_t)n);
        chirp[k] = turn((double)square / (double)(2 * n));
        work[k] = (adze_complex){chirp[k].re, -chirp[k].im};
        work[(padded - k) % padded] = work[k];
    }
    transform(f, padded, padded, 1, work, filter);
}

static void conjugate(const adze_fourier *f, int64_t n, adze_complex *x, double scale)
{
    for (int64_t k = 0; k < n && !adze_ops_is_late(f->run, k); k++)
        x[k] = (adze_complex){x[k].re * scale, -x[k].im * scale};
}

static void through_chirp(const adze_fourier *f, const adze_complex *x, adze_complex *y,
                          adze_complex *work)
{
    adze_complex *a = work, *b = work + f->padded;
    if (f->n >= LONG && adze_run_is_late(f->run))
        return;
    memset(a, 0, (size_t)f->padded * sizeof *a);
    for (int64_t k = 0; k < f->n; k++)
        a[k] = times(x[k], f->chirp[k]);
    transform(f, f->padded, f->padded, 1, a, b);
    for (int64_t k = 0; k < f->padded && !adze_ops_is_late(f->run, k); k++)
        b[k] = times(b[k], f->filter[k]);
    conjugate(f, f->padded, b, 1);
    transform(f, f->padded, f->padded, 1, b, a);
    conjugate(f, f->n, a, 1 / (double)f->padded);
    for (int64_t k = 0; k < f->n; k++)
        y[k] = times(a[k], f->chirp[k]);
}

void adze_fourier_run(const adze_fourier *f, bool inverse, adze_complex *x, adze_complex *y,
                      adze_complex *work)
{
    if (inverse)
        conjugate(f, f->n, x, 1);
    if (f->padded)
        through_chirp(f, x, y, work);
    else
        transform(f, f->n, f->n, 1, x, y);
    if (inverse)
        conjugate(f, f->n, y, 1 / (double)f->n);
}

/* ---- single precision: the factors one after another, results in order (Stockham) ---- */

typedef adze_complex_f32 single;

static single plus_f32(single a, single b)
{
    return (single){a.re + b.re, a.im + b.im};
}

static single minus_f32(single a, single b)
{
    return (single){a.re - b.re, a.im - b.im};
}

/* v times root k, which is turned the other way for the inverse. */
static single turned_f32(const adze_fourier *f, bool inverse, single v, int64_t k)
{
    float re = (float)f->roots[k].re, im = -(float)f->roots[k].im;
    if (inverse)
        return (single){v.re * re - v.im * im, v.re * im + v.im * re};
    return (single){v.re * re + v.im * im, v.im * re - v.re * im};
}

static void five_f32(bool inverse, const single *c, single *d)
{
    float sign = inverse ? 1 : -1;
    float r1 = 0.30901699437494742410f, i1 = sign * 0.95105651629515357212f;
    float r2 = -0.80901699437494742410f, i2 = sign * 0.58778525229247312917f;
    single t1 = plus_f32(c[1], c[4]), t4 = minus_f32(c[1], c[4]);
    single t2 = plus_f32(c[2], c[3]), t3 = minus_f32(c[2], c[3]);
    single a = {c[0].re + r1 * t1.re + r2 * t2.re, c[0].im + r1 * t1.im + r2 * t2.im};
    single b = {-(i1 * t4.im + i2 * t3.im), i1 * t4.re + i2 * t3.re};
    d[0] = (single){c[0].re + t1.re + t2.re, c[0].im + t1.im + t2.im};
    d[1] = plus_f32(a, b);
    d[4] = minus_f32(a, b);
    a = (single){c[0].re + r2 * t1.re + r1 * t2.re, c[0].im + r2 * t1.im + r1 * t2.im};
    b = (single){-(i2 * t4.im - i1 * t3.im), i2 * t4.re - i1 * t3.re};
    d[2] = plus_f32(a, b);
    d[3] = minus_f32(a, b);
}

/* Transform of `radix` numbers. */
static void small_f32(const adze_fourier *f, bool inverse, int64_t radix, const single *c,
                      single *d)
{
    if (radix == 2) {
        d[0] = plus_f32(c[0], c[1]);
        d[1] = minus_f32(c[0], c[1]);
    } else if (radix == 4) {
        single t2 = plus_f32(c[0], c[2]), t1 = minus_f32(c[0], c[2]);
        single t3 = plus_f32(c[1], c[3]), t4 = minus_f32(c[1], c[3]);
        t4 = inverse ? (single){-t4.im, t4.re} : (single){t4.im, -t4.re};
        d[0] = plus_f32(t2, t3);
        d[1] = plus_f32(t1, t4);
        d[2] = minus_f32(t2, t3);
        d[3] = minus_f32(t1, t4);
    } else if (radix == 5)
        five_f32(inverse, c, d);
    else
        for (int64_t u = 0; u < radix; u++) {
            d[u] = c[0];
            for (int64_t b = 1; b < radix; b++)
                d[u] = plus_f32(d[u], turned_f32(f, inverse, c[b], u * b % radix * (f->n / radix)));
        }
}

static void pass_f32(const adze_fourier *f, bool inverse, int64_t radix, int64_t before,
                     const single *x, single *y)
{
    int64_t inner = f->n / (before * radix);
    for (int64_t k = 0; k < before; k++)
        for (int64_t i = 0; i < inner; i++) {
            single c[LARGEST_RADIX], d[LARGEST_RADIX];
            for (int64_t b = 0; b < radix; b++)
                c[b] = x[i + inner * (b + radix * k)];
            small_f32(f, inverse, radix, c, d);
            for (int64_t u = 0; u < radix; u++)
                y[i + inner * (k + before * u)] =
                    i && u ? turned_f32(f, inverse, d[u], u * before * i) : d[u];
        }
}

adze_complex_f32 *adze_fourier_run_f32(const adze_fourier *f, bool inverse, adze_complex_f32 *x,
                                       adze_complex_f32 *y)
{
    int64_t before = 1;
    bool first_two = f->n % 2 == 0; /* a single factor 2 comes first, after it the fours */
    for (int64_t rest = f->n; rest % 4 == 0; rest /= 4)
        first_two = rest / 4 % 2 == 0;
    while (before < f->n && !(f->n >= LONG && adze_run_is_late(f->run))) {
        int64_t radix = first_two ? 2 : radix_of(f->n / before);
        first_two = false;
        pass_f32(f, inverse, radix, before, x, y);
        before *= radix;
        adze_complex_f32 *t = x;
        x = y;
        y = t;
    }
    float scale = 1 / (float)f->n;
    for (int64_t k = 0; inverse && k < f->n; k++)
        x[k] = (single){x[k].re * scale, x[k].im * scale};
    return x;
}
