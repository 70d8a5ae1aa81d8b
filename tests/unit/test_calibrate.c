/* Observers and calibrators: fixed memory, the same in any order, sensible ranges. */
#include "test.h"
#include "compress/observer.h"

#include <stdlib.h>

static adze_observer make(int64_t *bins)
{
    return (adze_observer){.bins = bins};
}

static adze_activation_recipe how(adze_calibrator calibrator, double percentile)
{
    return (adze_activation_recipe){ADZE_U8, false, calibrator, percentile};
}

TEST(order_does_not_matter)
{
    enum { N = 3000 };
    static float x[N];
    static int64_t bins[2][ADZE_OBSERVER_BINS];
    test_random_floats(x, N, -3, 3, 1);
    for (int i = 0; i < N; i++)
        x[i] *= x[i] * x[i];
    adze_observer a = make(bins[0]), b = make(bins[1]);
    for (int i = 0; i < 10; i++)
        adze_observer_add(&a, x + i * 300, 300);
    for (int i = 9; i >= 0; i--)
        adze_observer_add(&b, x + i * 300, 300);
    CHECK_EQ(a.count, N);
    CHECK(a.low == b.low && a.high == b.high && a.radius == b.radius);
    CHECK_BYTES(bins[0], bins[1], sizeof bins[0]);
}

TEST(range_doubles_by_merging)
{
    int64_t bins[ADZE_OBSERVER_BINS] = {0}, total = 0;
    adze_observer o = make(bins);
    float small = 0.3f, large = 1000, bad = INFINITY;
    adze_observer_add(&o, &small, 1);
    CHECK(o.radius == 0.5);
    adze_observer_add(&o, &large, 1);
    CHECK(o.radius == 1024);
    adze_observer_add(&o, &bad, 1);
    CHECK_EQ(o.bad, 1);
    for (int i = 0; i < ADZE_OBSERVER_BINS; i++)
        total += bins[i];
    CHECK_EQ(total, 2);
    CHECK_EQ(bins[ADZE_OBSERVER_BINS / 2], 1);
}

/* Most numbers in [0, 1), one in ten thousand at 100. */
static void fill_with_outliers(adze_observer *o)
{
    enum { N = 100000 };
    float *x = malloc(N * sizeof *x);
    test_random_floats(x, N, 0, 1, 3);
    for (int i = 0; i < N; i += 10000)
        x[i] = 100;
    adze_observer_add(o, x, N);
    free(x);
}

TEST(calibrators)
{
    static int64_t bins[ADZE_OBSERVER_BINS];
    adze_observer o = make(bins);
    adze_activation_recipe minmax = how(ADZE_CALIBRATOR_MINMAX, 0),
                           percentile = how(ADZE_CALIBRATOR_PERCENTILE, 99.9),
                           entropy = how(ADZE_CALIBRATOR_ENTROPY, 0),
                           mse = how(ADZE_CALIBRATOR_MSE, 0);
    float low, high;
    fill_with_outliers(&o);
    adze_observer_range(&low, &high, &o, &minmax);
    CHECK(low == 0 && high == 100);
    adze_observer_range(&low, &high, &o, &percentile);
    CHECK(low == 0);
    CHECK_NEAR(high, 1, 0.1);
    adze_observer_range(&low, &high, &o, &entropy);
    CHECK(low == 0 && high > 0.9f && high <= 100);
    adze_observer_range(&low, &high, &o, &mse);
    CHECK(low == 0 && high > 0.9f && high <= 100);
}

TEST(nothing_seen)
{
    adze_observer o = {0};
    adze_activation_recipe minmax = how(ADZE_CALIBRATOR_MINMAX, 0);
    float low = 1, high = 1;
    adze_observer_range(&low, &high, &o, &minmax);
    CHECK(low == 0 && high == 0);
}

TEST(channel_sums)
{
    adze_arena arena = {0};
    adze_observer o = {0};
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8}; /* [2, 2, 2] */
    CHECK(adze_observer_add_channels(&o, &arena, x, 2, 2, 2));
    CHECK(o.sums[0] == 14 && o.sums[1] == 22);
    CHECK_EQ(o.rows, 4);
    CHECK(!adze_observer_add_channels(&o, &arena, x, 1, 4, 2));
    adze_arena_free(&arena);
}
