/* Known values, and that intervals cover as often as they promise. */
#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"
#include "eval/statistics.h"
#include "test.h"

TEST(normal_quantiles)
{
    CHECK_NEAR(adze_normal_quantile(0.5), 0, 0);
    CHECK_NEAR(adze_normal_quantile(0.975), 1.959963984540054, 1e-14);
    CHECK_NEAR(adze_normal_quantile(0.025), -1.959963984540054, 1e-14);
    CHECK_NEAR(adze_normal_quantile(0.999), 3.090232306167813, 1e-13);
    CHECK_NEAR(adze_normal_quantile(1e-10), -6.361340902404056, 1e-12);
    CHECK(isinf(adze_normal_quantile(0)) && isinf(adze_normal_quantile(1)));
    CHECK(isnan(adze_normal_quantile(-0.1)) && isnan(adze_normal_quantile(NAN)));
    for (double x = -8; x < 8; x += 0.01) {
        double p = 0.5 * erfc(-x / sqrt(2.0));
        if (p > 1e-16 && p < 0.999)
            CHECK_NEAR(adze_normal_quantile(p), x, 1e-11);
    }
}

TEST(student_quantiles)
{
    CHECK_NEAR(adze_student_quantile(0.975, 1), 12.706204736432095, 1e-9);
    CHECK_NEAR(adze_student_quantile(0.975, 2), 4.302652729911275, 1e-8);
    CHECK_NEAR(adze_student_quantile(0.975, 4), 2.7764451051977987, 2e-4);
    CHECK_NEAR(adze_student_quantile(0.975, 5), 2.570581835636314, 1e-4);
    CHECK_NEAR(adze_student_quantile(0.975, 10), 2.2281388519649385, 1e-5);
    CHECK_NEAR(adze_student_quantile(0.025, 30), -2.0422724563012373, 1e-6);
    CHECK_NEAR(adze_student_quantile(0.975, 1e7), 1.959963984540054, 1e-6);
    CHECK(isnan(adze_student_quantile(0.975, 0)));
}

TEST(wilson)
{
    adze_interval i = adze_wilson(45, 50, 0.95);
    CHECK_NEAR(i.low, 0.7863976856252035, 1e-12);
    CHECK_NEAR(i.high, 0.9565242350681096, 1e-12);
    i = adze_wilson(0, 10, 0.95);
    CHECK(i.low == 0);
    CHECK_NEAR(i.high, 0.2775327998628892, 1e-12);
    i = adze_wilson(10, 10, 0.95);
    CHECK_NEAR(i.low, 0.7224672001371107, 1e-12);
    CHECK(i.high == 1);
    i = adze_wilson(0, 0, 0.95);
    CHECK(i.low == 0 && i.high == 1);
    i = adze_wilson(1, 1000, 0.95);
    CHECK_NEAR(i.low, 0.00017654637062607852, 1e-12);
}

static void check_pairs(adze_pairs pairs, double factor, double low, double high)
{
    adze_interval i = adze_paired_difference(&pairs, factor, 0.95);
    CHECK_NEAR(i.low, low, 1e-12);
    CHECK_NEAR(i.high, high, 1e-12);
}

TEST(paired_difference)
{
    /* Altman, Machin, Bryant, Gardner: Statistics with Confidence, table 6.2: 0.011 to 0.226 */
    check_pairs((adze_pairs){14, 5, 0, 22}, 1, 0.011483241383033305, 0.2264926843512112);
    check_pairs((adze_pairs){9000, 100, 150, 750}, 1, -0.008131968456691265, -0.001893722309002014);
    check_pairs((adze_pairs){9000, 100, 150, 750}, 0.95, 0.03764455468842632, 0.04377478867804595);
    check_pairs((adze_pairs){1, 9, 8, 2}, 1, -0.3271266975110047, 0.41226227406064136);
    adze_interval i = adze_paired_difference(&(adze_pairs){0}, 1, 0.95);
    CHECK(i.low == -1 && i.high == 1);
    i = adze_paired_difference(&(adze_pairs){10, 0, 0, 0}, 1, 0.95);
    CHECK(i.low < 0 && i.high > 0);
}

TEST(mcnemar_exact)
{
    CHECK_NEAR(adze_mcnemar(&(adze_pairs){100, 10, 2, 50}), 0.03857421875, 1e-12);
    CHECK_NEAR(adze_mcnemar(&(adze_pairs){0, 2, 10, 0}), 0.03857421875, 1e-12);
    CHECK_NEAR(adze_mcnemar(&(adze_pairs){5, 7, 7, 1}), 1, 1e-12);
    CHECK_NEAR(adze_mcnemar(&(adze_pairs){5, 0, 0, 1}), 1, 1e-12);
    CHECK(adze_mcnemar(&(adze_pairs){0, 3000, 2000, 0}) < 1e-40);
}

/* How often the interval holds the true difference, for correlated successes. */
TEST(paired_difference_covers)
{
    adze_rng rng = adze_rng_seed(11);
    int covered = 0, runs = 4000, n = 200;
    for (int run = 0; run < runs; run++) {
        adze_pairs pairs = {0};
        for (int i = 0; i < n; i++) {
            double u = adze_rng_f64(&rng);
            if (u < 0.80)
                pairs.both++;
            else if (u < 0.85)
                pairs.only_first++;
            else if (u < 0.93)
                pairs.only_second++;
            else
                pairs.neither++;
        }
        adze_interval i = adze_paired_difference(&pairs, 1, 0.95);
        covered += i.low <= -0.03 && i.high >= -0.03;
    }
    CHECK_NEAR((double)covered / runs, 0.96, 0.02);
}

TEST(percentiles)
{
    static const double x[] = {1, 2, 3, 4, 10};
    CHECK_EQ(adze_percentile(x, 5, 50), 3);
    CHECK_EQ(adze_percentile(x, 5, 0), 1);
    CHECK_EQ(adze_percentile(x, 5, 100), 10);
    CHECK_NEAR(adze_percentile(x, 5, 90), 7.6, 1e-12);
    CHECK_EQ(adze_percentile(x, 1, 90), 1);
}

TEST(mean_estimate)
{
    adze_estimate e = adze_mean_estimate(5, 32, 8);        /* of 2 4 4 4 5 5 7 9 */
    double half = 2.3646242515927844 * sqrt(32.0 / 7 / 8); /* t(0.975, 7) */
    CHECK_NEAR(e.low, 5 - half, 1e-4);
    CHECK_NEAR(e.high, 5 + half, 1e-4);
    e = adze_mean_estimate(5, 0, 1);
    CHECK(isinf(e.low) && isinf(e.high));
}

TEST(bootstrap_intervals)
{
    enum { N = 400 };
    double x[N];
    adze_rng rng = adze_rng_seed(5);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++)
        sum += x[i] = 10 + adze_rng_normal(&rng);
    for (int i = 0; i < N; i++)
        squares += (x[i] - sum / N) * (x[i] - sum / N);
    adze_bootstrap_options o = adze_bootstrap_options_default();
    adze_estimate e, t = adze_mean_estimate(sum / N, squares, N), again;
    adze_error err;
    CHECK_OK(adze_bootstrap_mean(&e, x, N, &o, &err), &err);
    CHECK_NEAR(e.value, t.value, 1e-12);
    CHECK_NEAR(e.low, t.low, 0.01); /* agrees with Student's */
    CHECK_NEAR(e.high, t.high, 0.01);
    CHECK_OK(adze_bootstrap_percentile(&e, x, N, 50, &o, &err), &err);
    CHECK_NEAR(e.high - e.low, 2 * 1.96 * 1.2533 / 20, 0.08); /* of a normal median */
    CHECK(e.low < e.value && e.value < e.high);
    CHECK_OK(adze_bootstrap_percentile(&again, x, N, 50, &o, &err), &err);
    CHECK_BYTES(&again, &e, sizeof e);
    o.seed = 2;
    CHECK_OK(adze_bootstrap_percentile(&again, x, N, 50, &o, &err), &err);
    CHECK(again.low != e.low || again.high != e.high);
}

TEST(bootstrap_of_runs_is_wider_for_correlated_values)
{
    enum { N = 1000 };
    double x[N], level = 0;
    adze_rng rng = adze_rng_seed(6);
    for (int i = 0; i < N; i++)
        x[i] = level = 0.95 * level + adze_rng_normal(&rng);
    adze_bootstrap_options o = adze_bootstrap_options_default();
    adze_estimate single, blocks;
    CHECK_OK(adze_bootstrap_mean(&single, x, N, &o, NULL), NULL);
    o.block = 50;
    CHECK_OK(adze_bootstrap_mean(&blocks, x, N, &o, NULL), NULL);
    CHECK(blocks.high - blocks.low > 2 * (single.high - single.low));
}

TEST(bootstrap_ratio_uses_pairs)
{
    enum { N = 200 };
    double slow[N], fast[N];
    adze_rng rng = adze_rng_seed(7);
    for (int i = 0; i < N; i++) { /* noise of the machine hits both of a pair */
        double noise = exp(0.5 * adze_rng_normal(&rng));
        fast[i] = noise * exp(0.01 * adze_rng_normal(&rng));
        slow[i] = 2 * noise * exp(0.01 * adze_rng_normal(&rng));
    }
    adze_bootstrap_options o = adze_bootstrap_options_default();
    adze_estimate e;
    CHECK_OK(adze_bootstrap_ratio(&e, slow, fast, N, &o, NULL), NULL);
    CHECK_NEAR(e.value, 2, 0.05);
    CHECK(e.low < 2 && e.high > 2 && e.high - e.low < 0.1);
    fast[3] = 0;
    CHECK_FAILS(adze_bootstrap_ratio(&e, slow, fast, N, &o, NULL), ADZE_BAD_ARGUMENT, NULL);
}

TEST(bootstrap_covers)
{
    enum { N = 60, RUNS = 400 };
    adze_rng rng = adze_rng_seed(8);
    adze_bootstrap_options o = adze_bootstrap_options_default();
    o.resamples = 500;
    int covered = 0;
    for (int run = 0; run < RUNS; run++) {
        double x[N];
        adze_estimate e;
        for (int i = 0; i < N; i++)
            x[i] = adze_rng_f64(&rng);
        CHECK_OK(adze_bootstrap_percentile(&e, x, N, 50, &o, NULL), NULL);
        covered += e.low <= 0.5 && e.high >= 0.5;
    }
    CHECK_NEAR((double)covered / RUNS, 0.94, 0.04);
}

TEST(bootstrap_refusals)
{
    double x[3] = {1, NAN, 2};
    adze_bootstrap_options o = adze_bootstrap_options_default();
    adze_estimate e;
    adze_error err;
    CHECK_FAILS(adze_bootstrap_mean(&e, x, 3, &o, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(adze_bootstrap_mean(&e, x, 1, &o, &err), ADZE_BAD_ARGUMENT, &err);
    x[1] = 5;
    CHECK_FAILS(adze_bootstrap_percentile(&e, x, 3, 101, &o, &err), ADZE_BAD_ARGUMENT, &err);
    for (long n = 1; n < 4; n++) {
        adze_alloc_fail_after(n);
        adze_status status = adze_bootstrap_ratio(&e, x, x, 3, &o, &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
    }
}
