/* The bootstrap. A resample is kept as how often each value was drawn; with the values' order known once,
 * any percentile of it is one walk over the counts, without sorting again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"
#include "eval/statistics.h"

enum { MOST_RESAMPLES = 10000000 };

typedef struct bootstrap {
    adze_arena arena;
    const adze_bootstrap_options *options;
    adze_rng rng;
    int64_t n;
    uint32_t *times; /* [n]: how often each value is in the resample */
    double *results; /* [resamples] */
} bootstrap;

typedef struct ranked { /* values in ascending order, and where they came from */
    double value;
    int64_t index;
} ranked;

adze_bootstrap_options adze_bootstrap_options_default(void)
{
    return (adze_bootstrap_options){.resamples = 2000, .confidence = 0.95, .seed = 1, .block = 1};
}

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static ranked *rank(bootstrap *b, const double *values)
{
    ranked *order = ADZE_ARENA_ARRAY(&b->arena, ranked, (size_t)b->n);
    for (int64_t i = 0; order && i < b->n; i++)
        order[i] = (ranked){values[i], i};
    if (order)
        qsort(order, (size_t)b->n, sizeof *order, by_value);
    return order;
}

static adze_status check(const double *values, int64_t n, const adze_bootstrap_options *options,
                         adze_error *err)
{
    bool good = n >= 2 && n <= UINT32_MAX && options->resamples >= 100 &&
                options->resamples <= MOST_RESAMPLES && options->confidence > 0 &&
                options->confidence < 1 && options->block >= 1;
    if (!good)
        return adze_fail(
            err, ADZE_BAD_ARGUMENT,
            "bootstrap: expected 2 values or more, 100 resamples or more, a confidence "
            "between 0 and 1 and blocks of at least 1");
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return adze_fail(err, ADZE_BAD_ARGUMENT, "bootstrap: value %lld is not finite",
                             (long long)i);
    return ADZE_OK;
}

static adze_status begin(bootstrap *b, int64_t n, const adze_bootstrap_options *options,
                         adze_error *err)
{
    *b = (bootstrap){.options = options, .rng = adze_rng_seed(options->seed), .n = n};
    b->times = ADZE_ARENA_ARRAY(&b->arena, uint32_t, (size_t)n);
    b->results = ADZE_ARENA_ARRAY(&b->arena, double, (size_t)options->resamples);
    if (!b->times || !b->results) {
        adze_arena_free(&b->arena);
        return adze_fail(err, ADZE_NO_MEMORY, "bootstrap: no memory");
    }
    return ADZE_OK;
}

/* Draws n values, in runs of `block` that wrap around at the end. */
static void draw(bootstrap *b)
{
    int64_t block = ADZE_MIN(b->options->block, b->n);
    memset(b->times, 0, (size_t)b->n * sizeof *b->times);
    for (int64_t drawn = 0; drawn < b->n; drawn += block) {
        int64_t at = (int64_t)adze_rng_below(&b->rng, (uint64_t)b->n);
        for (int64_t k = 0; k < block && drawn + k < b->n; k++)
            b->times[(at + k) % b->n]++;
    }
}

/* Percentile of the resample. */
static double resampled_percentile(const bootstrap *b, const ranked *order, double percent)
{
    double at = percent / 100 * (double)(b->n - 1);
    int64_t below = (int64_t)at, above = ADZE_MIN(below + 1, b->n - 1), seen = 0, i = 0;
    while (seen + b->times[order[i].index] <= below)
        seen += b->times[order[i++].index];
    double low = order[i].value;
    while (seen + b->times[order[i].index] <= above)
        seen += b->times[order[i++].index];
    return low + (at - (double)below) * (order[i].value - low);
}

/* The interval of the results, around `value`; ends the bootstrap. */
static adze_estimate finish(bootstrap *b, double value)
{
    int count = b->options->resamples;
    double outside = 100 * (1 - b->options->confidence) / 2;
    adze_sort_f64(b->results, count);
    adze_estimate estimate = {.value = value,
                              .low = adze_percentile(b->results, count, outside),
                              .high = adze_percentile(b->results, count, 100 - outside),
                              .samples = b->n};
    adze_arena_free(&b->arena);
    return estimate;
}

static adze_status no_memory(bootstrap *b, adze_error *err)
{
    adze_arena_free(&b->arena);
    return adze_fail(err, ADZE_NO_MEMORY, "bootstrap: no memory for %lld values", (long long)b->n);
}

static double mean_of(const bootstrap *b, const double *values)
{
    double sum = 0;
    for (int64_t i = 0; i < b->n; i++)
        sum += b->times[i] * values[i];
    return sum / (double)b->n;
}

adze_status adze_bootstrap_mean(adze_estimate *out, const double *values, int64_t n,
                                const adze_bootstrap_options *options, adze_error *err)
{
    bootstrap b;
    ADZE_TRY(check(values, n, options, err));
    ADZE_TRY(begin(&b, n, options, err));
    for (int r = 0; r < options->resamples; r++) {
        draw(&b);
        b.results[r] = mean_of(&b, values);
    }
    for (int64_t i = 0; i < n; i++)
        b.times[i] = 1;
    *out = finish(&b, mean_of(&b, values));
    return ADZE_OK;
}

static double percentile_of(const bootstrap *b, const ranked *order, double percent)
{
    double at = percent / 100 * (double)(b->n - 1);
    int64_t below = (int64_t)at, above = ADZE_MIN(below + 1, b->n - 1);
    double low = order[below].value;
    return low + (at - (double)below) * (order[above].value - low);
}

adze_status adze_bootstrap_percentile(adze_estimate *out, const double *values, int64_t n,
                                      double percent, const adze_bootstrap_options *options,
                                      adze_error *err)
{
    bootstrap b;
    ADZE_TRY(check(values, n, options, err));
    if (!(percent >= 0 && percent <= 100))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "bootstrap: expected a percentile of 0 to 100");
    ADZE_TRY(begin(&b, n, options, err));
    const ranked *order = rank(&b, values);
    if (!order)
        return no_memory(&b, err);
    for (int r = 0; r < options->resamples; r++) {
        draw(&b);
        b.results[r] = resampled_percentile(&b, order, percent);
    }
    *out = finish(&b, percentile_of(&b, order, percent));
    return ADZE_OK;
}

adze_status adze_bootstrap_ratio(adze_estimate *out, const double *first, const double *second,
                                 int64_t n, const adze_bootstrap_options *options, adze_error *err)
{
    bootstrap b;
    ADZE_TRY(check(first, n, options, err));
    ADZE_TRY(check(second, n, options, err));
    for (int64_t i = 0; i < n; i++)
        if (first[i] <= 0 || second[i] <= 0)
            return adze_fail(err, ADZE_BAD_ARGUMENT, "bootstrap: a ratio needs values over 0");
    ADZE_TRY(begin(&b, n, options, err));
    const ranked *above = rank(&b, first), *below = rank(&b, second);
    if (!above || !below)
        return no_memory(&b, err);
    for (int r = 0; r < options->resamples; r++) {
        draw(&b);
        b.results[r] = resampled_percentile(&b, above, 50) / resampled_percentile(&b, below, 50);
    }
    *out = finish(&b, percentile_of(&b, above, 50) / percentile_of(&b, below, 50));
    return ADZE_OK;
}
