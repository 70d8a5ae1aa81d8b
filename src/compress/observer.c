/* Histograms in fixed memory. */
#include "compress/observer.h"

#include <math.h>
#include <string.h>

enum { BINS = ADZE_OBSERVER_BINS };

/* Twice the radius: bin i goes to a quarter of the bins plus half of i. */
static void widen(adze_observer *o)
{
    int64_t merged[BINS] = {0};
    for (int i = 0; i < BINS; i++)
        merged[BINS / 4 + i / 2] += o->bins[i];
    memcpy(o->bins, merged, sizeof merged);
    o->radius *= 2;
}

static void reach(adze_observer *o, float largest)
{
    if (o->radius == 0) {
        int exponent;
        frexp(fmax((double)largest, 0x1p-100), &exponent);
        o->radius = ldexp(1, exponent);
    }
    while (o->radius <= (double)largest)
        widen(o);
}

static bool extremes(adze_observer *o, const float *x, int64_t n)
{
    float low = INFINITY, high = -INFINITY;
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bool finite = isfinite(x[i]);
        low = finite && x[i] < low ? x[i] : low;
        high = finite && x[i] > high ? x[i] : high;
        bad += !finite;
    }
    o->bad += bad;
    o->count += n - bad;
    if (bad == n)
        return false;
    o->low = o->seen ? fminf(o->low, low) : low;
    o->high = o->seen ? fmaxf(o->high, high) : high;
    o->seen = true;
    reach(o, fmaxf(fabsf(low), fabsf(high)));
    return true;
}

void adze_observer_add(adze_observer *o, const float *x, int64_t n)
{
    if (!extremes(o, x, n))
        return;
    float scale = (float)(BINS / 2 / o->radius); /* a power of two: exact */
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) {
            int bin = (int)floorf(x[i] * scale) + BINS / 2;
            o->bins[ADZE_MIN(ADZE_MAX(bin, 0), BINS - 1)]++;
        }
}

bool adze_observer_add_channels(adze_observer *o, adze_arena *arena, const float *x, int64_t outer,
                                int64_t channels, int64_t inner)
{
    if (!o->sums) {
        o->sums = ADZE_ARENA_ARRAY(arena, double, (size_t)channels);
        o->channels = channels;
    }
    if (!o->sums || o->channels != channels)
        return false;
    for (int64_t a = 0; a < outer; a++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t b = 0; b < inner; b++, x++)
                o->sums[c] += isfinite(*x) ? (double)*x : 0;
    o->rows += outer * inner;
    return true;
}
