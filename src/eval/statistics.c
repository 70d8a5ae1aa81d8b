/* Closed-form intervals: Wilson, Newcombe, McNemar, Student. */
#include "eval/statistics.h"

#include <math.h>

#include "base/error.h"

static double polynomial(const double *c, int count, double x)
{
    double sum = 0;
    while (count-- > 0)
        sum = sum * x + c[count];
    return sum;
}

/* Coefficients of Wichura's PPND16: numerator and denominator of three rational functions. */
static const double middle[2][8] = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
     3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
     5.2264952788528545610e+3},
};
static const double tail[2][8] = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9},
};
static const double far_tail[2][8] = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15},
};

static double rational(const double c[2][8], double x)
{
    return polynomial(c[0], 8, x) / polynomial(c[1], 8, x);
}

double adze_normal_quantile(double p)
{
    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * rational(middle, 0.180625 - q * q);
    double r = sqrt(-log(q < 0 ? p : 1 - p));
    double x = r <= 5 ? rational(tail, r - 1.6) : rational(far_tail, r - 5);
    return q < 0 ? -x : x;
}

/* G. W. Hill, algorithm 396, 1970. */
static double hill(double two_tails, double n)
{
    double a = 1 / (n - 0.5), b = 48 / (a * a);
    double c = ((20700 * a / b - 98) * a - 16) * a + 96.36;
    double d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * 1.57079632679489661923) * n;
    double y = pow(d * two_tails, 2 / n);
    if (y <= 0.05 + a) {
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y -
             1) *
                (n + 1) / (n + 2) +
            1 / y;
        return sqrt(n * y);
    }
    double x = adze_normal_quantile(two_tails / 2);
    y = x * x;
    if (n < 5)
        c += 0.3 * (n - 4.5) * (x + 0.6);
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
    y = a * y * y;
    return sqrt(n * (y > 0.002 ? expm1(y) : 0.5 * y * y + y));
}

double adze_student_quantile(double p, double n)
{
    if (!(p > 0 && p < 1) || !(n >= 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    double two_tails = 2 * ADZE_MIN(p, 1 - p), x;
    if (n == 1)
        x = 1 / tan(two_tails * 1.57079632679489661923);
    else if (n == 2)
        x = sqrt(2 / (two_tails * (2 - two_tails)) - 2);
    else
        x = hill(two_tails, n);
    return p < 0.5 ? -x : x;
}

static double z_of(double confidence)
{
    return adze_normal_quantile(0.5 + confidence / 2);
}

adze_interval adze_wilson(int64_t successes, int64_t count, double confidence)
{
    if (count <= 0)
        return (adze_interval){0, 1};
    double n = (double)count, p = (double)successes / n, z = z_of(confidence), zz = z * z;
    double center = (p + zz / (2 * n)) / (1 + zz / n);
    double half = z / (1 + zz / n) * sqrt(p * (1 - p) / n + zz / (4 * n * n));
    return (adze_interval){successes <= 0 ? 0 : center - half,
                           successes >= count ? 1 : center + half};
}

adze_estimate adze_proportion(int64_t successes, int64_t n)
{
    adze_interval interval = adze_wilson(successes, n, 0.95);
    double value = n > 0 ? (double)successes / (double)n : 0;
    return (adze_estimate){value, interval.low, interval.high, n, 0};
}

/* Correlation of the two successes; towards 0 by Newcombe's correction. */
static double correlation(double a, double b, double c, double d)
{
    double scale = (a + b) * (c + d) * (a + c) * (b + d);
    double numerator = a * d - b * c, n = a + b + c + d;
    if (numerator > n / 2)
        numerator -= n / 2;
    else if (numerator > 0)
        numerator = 0;
    return scale > 0 ? numerator / sqrt(scale) : 0;
}

/* sqrt(x^2 - 2 r x y + y^2), safe from rounding. */
static double combine(double x, double y, double r)
{
    return sqrt(ADZE_MAX(x * x - 2 * r * x * y + y * y, 0.0));
}

adze_interval adze_paired_difference(const adze_pairs *pairs, double factor, double confidence)
{
    int64_t n = pairs->both + pairs->only_first + pairs->only_second + pairs->neither;
    if (n <= 0)
        return (adze_interval){-factor, 1};
    int64_t first = pairs->both + pairs->only_first, second = pairs->both + pairs->only_second;
    adze_interval i1 = adze_wilson(first, n, confidence), i2 = adze_wilson(second, n, confidence);
    double p1 = (double)first / (double)n, p2 = (double)second / (double)n;
    double r = correlation((double)pairs->both, (double)pairs->only_first,
                           (double)pairs->only_second, (double)pairs->neither);
    double difference = p1 - factor * p2;
    return (adze_interval){difference - combine(p1 - i1.low, factor * (i2.high - p2), r),
                           difference + combine(i1.high - p1, factor * (p2 - i2.low), r)};
}

adze_interval adze_independent_difference(const adze_estimate *a, const adze_estimate *b,
                                          double factor)
{
    double difference = a->value - factor * b->value;
    double above = factor >= 0 ? b->high - b->value : b->value - b->low;
    double below = factor >= 0 ? b->value - b->low : b->high - b->value;
    return (adze_interval){difference - combine(a->value - a->low, fabs(factor) * above, 0),
                           difference + combine(a->high - a->value, fabs(factor) * below, 0)};
}

double adze_mcnemar(const adze_pairs *pairs)
{
    int64_t n = pairs->only_first + pairs->only_second;
    int64_t fewer = ADZE_MIN(pairs->only_first, pairs->only_second);
    double log_term = -(double)n * 0.69314718055994530942, sum = 0; /* 2^-n */
    for (int64_t k = 0; k <= fewer; k++) {
        sum += exp(log_term);
        log_term += log((double)(n - k) / (double)(k + 1));
    }
    return ADZE_MIN(1.0, 2 * sum);
}

adze_estimate adze_mean_estimate(double mean, double squares, int64_t n)
{
    if (n < 2)
        return (adze_estimate){mean, -INFINITY, INFINITY, n, 0};
    double count = (double)n, error = sqrt(squares / (count - 1) / count);
    double half = adze_student_quantile(0.975, count - 1) * error;
    return (adze_estimate){mean, mean - half, mean + half, n, 0};
}
