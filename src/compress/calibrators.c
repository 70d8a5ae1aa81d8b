/* From a histogram to a range. All keep zero inside the range, and stay inside what was seen.
 *
 *   percentile  half of the excluded share is cut off at each end
 *   entropy     the range that loses least information (Kullback-Leibler divergence) when its bins are
 *               merged into as many levels as there are integers (Migacz, "8-bit inference with
 *               TensorRT", 2017; as in ONNX Runtime)
 *   mse         the range of the least mean squared error of rounding and clipping */
#include "compress/observer.h"

#include <math.h>

enum { BINS = ADZE_OBSERVER_BINS, HALF = BINS / 2 };

static double edge(const adze_observer *o, int bin)
{
    return (bin - HALF) * (o->radius / HALF);
}

static void percentile(double *low, double *high, const adze_observer *o, double share)
{
    double tail = (double)o->count * (1 - share / 100) / 2, sum = 0;
    int bin = 0;
    for (; bin < BINS - 1 && sum + (double)o->bins[bin] <= tail; bin++)
        sum += (double)o->bins[bin];
    *low = edge(o, bin);
    sum = 0;
    for (bin = BINS - 1; bin > 0 && sum + (double)o->bins[bin] <= tail; bin--)
        sum += (double)o->bins[bin];
    *high = edge(o, bin + 1);
}

/* ---- entropy ---- */

/* Divergence of the first `n` magnitudes, all above counted as the last, from the same in `levels`
 * levels. */
static double divergence(const double *magnitudes, int n, int levels, double total)
{
    double inside = 0, merged_total = 0, sum = 0;
    for (int i = 0; i < n; i++)
        inside += magnitudes[i];
    double outside = total - inside;
    for (int level = 0; level < levels; level++) {
        int begin = (int)((int64_t)level * n / levels);
        int end = (int)((int64_t)(level + 1) * n / levels);
        double mass = 0, used = 0;
        for (int i = begin; i < end; i++) {
            mass += magnitudes[i];
            used += magnitudes[i] > 0 || (i == n - 1 && outside > 0);
        }
        merged_total += mass;
        for (int i = begin; i < end && used > 0; i++) {
            double p = magnitudes[i] + (i == n - 1 ? outside : 0);
            double q = mass / used;
            if (p > 0)
                sum += p * log(p / fmax(q, 1e-4));
        }
    }
    if (merged_total <= 0)
        return INFINITY;
    return sum / total + log(merged_total / total);
}

/* Numbers of one sign, or of both folded together (sign 0), by magnitude. */
static double fold_signs(double *magnitudes, const adze_observer *o, int sign)
{
    double total = 0;
    for (int i = 0; i < HALF; i++) {
        double above = (double)o->bins[HALF + i], below = (double)o->bins[HALF - 1 - i];
        magnitudes[i] = (sign >= 0 ? above : 0) + (sign <= 0 ? below : 0);
    }
    /* The bin of zero holds what activations cut off; it would hide everything else. */
    magnitudes[0] = magnitudes[1];
    for (int i = 0; i < HALF; i++)
        total += magnitudes[i];
    return total;
}

/* The magnitude beyond which to clip. Spikes (constant backgrounds) mislead the divergence, so never more
 * than one number in two hundred is clipped. */
static double entropy_end(const adze_observer *o, int sign, int levels)
{
    double magnitudes[HALF], inside = 0, best = INFINITY;
    double total = fold_signs(magnitudes, o, sign);
    int used = HALF, least = 0, chosen = HALF;
    while (used > 1 && magnitudes[used - 1] == 0)
        used--;
    while (least < used && inside + magnitudes[least] < 0.995 * total)
        inside += magnitudes[least++];
    for (int n = ADZE_MAX(ADZE_MIN(levels, used), least + 1); n <= used && total > 0;
         n += ADZE_MAX(1, used / 256)) {
        double d = divergence(magnitudes, n, ADZE_MIN(levels, n), total);
        if (d < best) {
            best = d;
            chosen = n;
        }
    }
    return edge(o, HALF + chosen);
}

static void entropy(double *low, double *high, const adze_observer *o, bool symmetric)
{
    bool both = *low < 0 && *high > 0;
    if (symmetric) {
        *high = entropy_end(o, 0, 128);
        *low = -*high;
        return;
    }
    if (*high > 0)
        *high = entropy_end(o, 1, both ? 128 : 256);
    if (*low < 0)
        *low = -entropy_end(o, -1, both ? 128 : 256);
}

/* ---- mean squared error ---- */

static double squared_error(const adze_observer *o, double low, double high, double steps)
{
    double step = (high - low) / steps, width = o->radius / HALF, sum = 0;
    if (step <= 0)
        return INFINITY;
    /* Zero is a level; so are the ends, or almost. */
    double bottom = rint(low / step) * step, top = bottom + steps * step;
    for (int i = 0; i < BINS; i++) {
        if (o->bins[i] == 0)
            continue;
        double x = edge(o, i) + width / 2, clipped = fmin(fmax(x, bottom), top);
        /* Rounding: a bin narrower than a step is a sample of it, a wider one averages over steps. */
        double off =
            width < step ? clipped - rint(clipped / step) * step : step * 0.28867513459481287;
        double error = x < bottom || x > top ? x - clipped : off;
        sum += (double)o->bins[i] * error * error;
    }
    return sum;
}

static double shrink(const adze_observer *o, double low, double high, bool both, bool lower,
                     double steps)
{
    double best = INFINITY, chosen = 1;
    for (int i = 0; i <= 80; i++) {
        double share = 1 - i * 0.01;
        double a = both || lower ? low * share : low, b = both || !lower ? high * share : high;
        double error = squared_error(o, a, b, steps);
        if (error < best) {
            best = error;
            chosen = share;
        }
    }
    return chosen;
}

static void mean_squared(double *low, double *high, const adze_observer *o, bool symmetric)
{
    if (symmetric) {
        double m = fmax(fabs(*low), fabs(*high));
        *high = m * shrink(o, -m, m, true, false, 254);
        *low = -*high;
        return;
    }
    for (int round = 0; round < 2; round++) {
        *high *= shrink(o, *low, *high, false, false, 255);
        if (*low < 0)
            *low *= shrink(o, *low, *high, false, true, 255);
    }
}

void adze_observer_range(float *low, float *high, const adze_observer *o,
                         const adze_activation_recipe *how)
{
    double least = fmin((double)o->low, 0), most = fmax((double)o->high, 0), a = least, b = most;
    *low = *high = 0;
    if (!o->seen)
        return;
    switch (how->calibrator) {
    case ADZE_CALIBRATOR_MINMAX: break;
    case ADZE_CALIBRATOR_PERCENTILE: percentile(&a, &b, o, how->percentile); break;
    case ADZE_CALIBRATOR_ENTROPY: entropy(&a, &b, o, how->symmetric); break;
    case ADZE_CALIBRATOR_MSE: mean_squared(&a, &b, o, how->symmetric); break;
    }
    *low = (float)fmin(fmax(a, least), 0);
    *high = (float)fmax(fmin(b, most), 0);
}
