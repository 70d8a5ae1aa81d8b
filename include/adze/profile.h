/** @file
 * Time and memory of models on this machine: candidates timed side by side, benchmarks, profiles of each
 * step against what the machine could do, peak memory in a process of its own. */
#ifndef ADZE_PROFILE_H
#define ADZE_PROFILE_H
#include "adze/device.h"
#include "adze/model.h"
#include "adze/session.h"

ADZE_BEGIN_C

/* ---- inputs ---- */

/** Tensors for every input of `graph`, the same for the same seed: floats of a unit normal, small
 * integers, booleans; symbols at their upper bound where they have one, else 1. `*inputs` is an array of
 * adze_graph_input_count tensors; free with adze_inputs_free. Fails with ADZE_UNSUPPORTED (sequences,
 * strings), ADZE_BAD_MODEL (rank unknown), ADZE_LIMIT, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_inputs_random(adze_tensor **inputs,
                                                        const adze_graph *graph, uint64_t seed,
                                                        adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_inputs_free(adze_tensor **inputs, const adze_graph *graph);

/* ---- candidates side by side ---- */

typedef struct adze_latency {
    double min, mean, p50, p90, p95, p99; /* milliseconds */
} adze_latency;

/** Of `count` samples in ms, which keep their order; all zero for none. Percentiles are interpolated
 * between the two nearest samples. ADZE_NO_MEMORY leaves `*out` zero. */
ADZE_MUST_CHECK ADZE_API adze_status adze_latency_of(adze_latency *out, const double *samples,
                                                     int64_t count, adze_error *err);

typedef struct adze_contestant {
    const adze_plan *plan;
    adze_session *session;     /* NULL: one is opened for the measurement */
    const adze_tensor *inputs; /* NULL: adze_inputs_random of the plan's graph */
} adze_contestant;

typedef struct adze_measure_options {
    double seconds;                /* of measuring, all contestants together */
    int64_t min_rounds;            /* also when the time is over */
    int64_t max_rounds;            /* 0: no limit but the time */
    int64_t warmup_rounds;         /* not counted */
    uint64_t seed;                 /* of random inputs */
    bool (*cancelled)(void *user); /* asked after each round; true ends early. May be NULL. */
    void *user;
} adze_measure_options;

/** 2 seconds, at least 5 rounds, 3 of warm-up. */
ADZE_API adze_measure_options adze_measure_options_default(void);

typedef struct adze_measurement adze_measurement;

/** Times the contestants in rounds: in each, every one runs once, and the first of a round rotates, so
 * that what disturbs the machine disturbs all alike. All plans must be of one context, whose threads
 * they use one after the other. Free with adze_measurement_free. Fails as adze_session_open and
 * adze_session_run; when cancelled, what was measured is returned. */
ADZE_MUST_CHECK ADZE_API adze_status adze_measure(adze_measurement **out,
                                                  const adze_contestant *contestants, int count,
                                                  const adze_measure_options *options,
                                                  adze_error *err);
ADZE_API void adze_measurement_free(adze_measurement **measurement);
ADZE_API int64_t adze_measurement_rounds(const adze_measurement *measurement);
/** Milliseconds of contestant i in each round [rounds]; belongs to the measurement. */
ADZE_API const double *adze_measurement_samples(const adze_measurement *measurement, int i);
ADZE_API const adze_latency *adze_measurement_latency(const adze_measurement *measurement, int i);
/** Seconds that the measurement took. */
ADZE_API double adze_measurement_seconds(const adze_measurement *measurement);

/** Peak resident bytes of a fresh process that runs the model: `program` (the adze program's file) with
 * `bench MODEL --runs 5 --json`, `threads` (0: default) and `shapes` (as --shape takes them). Fails with
 * ADZE_UNSUPPORTED when program is NULL, ADZE_IO when it cannot be run or says nothing that makes
 * sense, else as that process did. */
typedef struct adze_peak_options {
    const char *program;
    const char *const *shapes;
    int shape_count;
    int threads;
} adze_peak_options;
ADZE_MUST_CHECK ADZE_API adze_status adze_measure_peak_memory(uint64_t *bytes, const char *model,
                                                              const adze_peak_options *options,
                                                              adze_error *err);

/* ---- one model ---- */

typedef struct adze_bench_options {
    const adze_tensor *inputs; /* of the model's graph; NULL: random */
    int64_t runs;              /* exactly so many; 0: by seconds */
    double seconds;
    int64_t warmup; /* runs not counted */
    uint64_t seed;
    bool fuse;                     /* rewriting passes */
    bool (*cancelled)(void *user); /* may be NULL */
    void *user;
} adze_bench_options;

ADZE_API adze_bench_options adze_bench_options_default(void);

/** Latency, throughput, peak memory of this process, time of preparation. JSON: latency_ms{min, mean,
 * p50, p90, p95, p99}, throughput_per_s, peak_rss_bytes, prepare_ms, threads, cpu_level, runs, model,
 * shapes. `json` and `text` as of adze_evaluation_format; the model's context gives the threads. */
ADZE_MUST_CHECK ADZE_API adze_status adze_bench_run(char **json, char **text,
                                                    const adze_model *model,
                                                    const adze_bench_options *options,
                                                    adze_error *err);

/** Time per step and per operator against what the machine could do (roofline: Williams, Waterman,
 * Patterson 2009): the larger of operations / peak and bytes / bandwidth, peaks as measured in `device`
 * (NULL: measured now, with the bandwidth of as many bytes as a run touches). Sorted by time; ends with a sentence where the bottleneck is. */
ADZE_MUST_CHECK ADZE_API adze_status adze_profile_run(char **json, char **text,
                                                      const adze_model *model,
                                                      const adze_device *device,
                                                      const adze_bench_options *options,
                                                      adze_error *err);

ADZE_END_C
#endif
