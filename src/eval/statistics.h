/* Intervals. Everything is a function of its arguments alone; random resampling takes a seed. */
#ifndef ADZE_EVAL_STATISTICS_H
#define ADZE_EVAL_STATISTICS_H
#include "adze/gates.h"

/* Successes of two models on the same samples. */
typedef struct adze_pairs {
    int64_t both, only_first, only_second, neither;
} adze_pairs;

typedef struct adze_interval {
    double low, high;
} adze_interval;

/* x with P(X <= x) = p for the standard normal distribution, 0 < p < 1 (Wichura, AS 241, 1988: 16
 * digits). Outside: -infinity, infinity, NaN. */
double adze_normal_quantile(double p);
/* The same for Student's t with `freedom` >= 1 degrees (exact for 1 and 2, else Hill's expansion). */
double adze_student_quantile(double p, double freedom);

/* Wilson's score interval for successes of n (1927). n = 0: [0, 1]. */
adze_interval adze_wilson(int64_t successes, int64_t n, double confidence);
/* A proportion with its 95 % Wilson interval. */
adze_estimate adze_proportion(int64_t successes, int64_t n);

/* p1 - factor * p2 for two proportions on the same samples: Newcombe's square-and-add of Wilson's
 * intervals with continuity-corrected correlation (1998, method 10). */
adze_interval adze_paired_difference(const adze_pairs *pairs, double factor, double confidence);
/* a - factor * b for independent estimates, from their intervals (square-and-add). */
adze_interval adze_independent_difference(const adze_estimate *a, const adze_estimate *b,
                                          double factor);
/* Exact two-sided McNemar test of "both succeed equally often". */
double adze_mcnemar(const adze_pairs *pairs);

/* Mean of n values from their sum of squared deviations, with Student's 95 % interval. */
adze_estimate adze_mean_estimate(double mean, double squares, int64_t n);

typedef struct adze_bootstrap_options {
    int resamples;
    double confidence;
    uint64_t seed;
    int64_t block; /* 1: values are independent; more: runs of so many are kept together */
} adze_bootstrap_options;

/* 2000 resamples, 0.95, seed 1, block 1. */
adze_bootstrap_options adze_bootstrap_options_default(void);

/* Percentile bootstrap (Efron); n >= 2, values finite, else ADZE_BAD_ARGUMENT. */
adze_status adze_bootstrap_mean(adze_estimate *out, const double *values, int64_t n,
                                const adze_bootstrap_options *options,
                                adze_error *err) ADZE_MUST_CHECK;
adze_status adze_bootstrap_percentile(adze_estimate *out, const double *values, int64_t n,
                                      double percent, const adze_bootstrap_options *options,
                                      adze_error *err) ADZE_MUST_CHECK;
/* Median of `first` over median of `second`, measured in turns: pairs are resampled together. */
adze_status adze_bootstrap_ratio(adze_estimate *out, const double *first, const double *second,
                                 int64_t n, const adze_bootstrap_options *options,
                                 adze_error *err) ADZE_MUST_CHECK;

#endif
