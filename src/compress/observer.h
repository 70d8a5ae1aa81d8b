/* What is remembered of one value while a model runs over data, in fixed memory: extremes, a histogram
 * whose range doubles by merging bins, sums by channel. Bin edges are dyadic, so that the histogram does
 * not depend on the order of the data. */
#ifndef ADZE_COMPRESS_OBSERVER_H
#define ADZE_COMPRESS_OBSERVER_H
#include "compress/recipe.h"

#define ADZE_OBSERVER_BINS 4096

typedef struct adze_observer {
    bool seen;
    float low, high;
    double radius;          /* the bins divide [-radius, radius); a power of two */
    int64_t *bins;          /* [ADZE_OBSERVER_BINS] */
    int64_t count;          /* finite numbers seen */
    int64_t bad;            /* infinities and NaN, left out */
    int64_t channels, rows; /* of the sums; 0: none */
    double *sums;           /* [channels] */
} adze_observer;

/* Adds n numbers. */
void adze_observer_add(adze_observer *o, const float *x, int64_t n);
/* Adds [outer, channels, inner] to the sums. False: out of memory or another number of channels. */
bool adze_observer_add_channels(adze_observer *o, adze_arena *arena, const float *x, int64_t outer,
                                int64_t channels, int64_t inner);

/* The range that a calibrator chooses; it contains zero. */
void adze_observer_range(float *low, float *high, const adze_observer *o,
                         const adze_activation_recipe *how);

#endif
