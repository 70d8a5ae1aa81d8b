/** @file
 * Requirements on a model ("top1>=0.95*original", "latency_p95<=2ms") and their verdicts. A verdict is
 * given only when the interval of the measurement lies on one side of the limit. docs/gates.md has the
 * grammar. Threads: everything here is pure. */
#ifndef ADZE_GATES_H
#define ADZE_GATES_H
#include "adze/adze.h"

ADZE_BEGIN_C

/** A measured value with its 95 % interval; low = high = value for what is exact (a file's size). */
typedef struct adze_estimate {
    double value, low, high;
    int64_t samples; /* it was measured on; 0: does not apply */
    double seconds;  /* that measuring took; 0: does not apply */
} adze_estimate;

/* kinds of quantity: what a bare number, and which units, mean */
typedef enum adze_quantity {
    ADZE_PROPORTION, /* 0 to 1; "95%" */
    ADZE_SECONDS,    /* s, ms, us, ns */
    ADZE_BYTES,      /* B, KB, MB, GB, KiB, MiB, GiB */
    ADZE_JOULES,     /* J, mJ, uJ */
    ADZE_RATIO,      /* to the original: "2" or "2x" */
    ADZE_NUMBER      /* plain */
} adze_quantity;

/* name, quantity, what it is */
#define ADZE_GATE_METRIC_LIST(X)                                                                   \
    X(top1, PROPORTION, "share of samples whose best class is the label")                          \
    X(top5, PROPORTION, "share of samples with the label among the five best classes")             \
    X(agreement, PROPORTION, "share of samples with the same best class as the original")          \
    X(precision, PROPORTION, "mean over the classes of the precision")                             \
    X(recall, PROPORTION, "mean over the classes of the recall")                                   \
    X(f1, PROPORTION, "mean over the classes of F1")                                               \
    X(cosine, NUMBER, "mean cosine between outputs and the original's or expected ones")           \
    X(mse, NUMBER, "mean squared error against expected outputs or the original's")                \
    X(perplexity, NUMBER, "perplexity of a language model")                                        \
    X(kld, NUMBER, "mean divergence of a language model's predictions from the original's")        \
    X(tokens_per_s, NUMBER, "tokens that a language model generates in a second")                  \
    X(latency_mean, SECONDS, "mean time of one run")                                               \
    X(latency_p50, SECONDS, "median time of one run (also: latency)")                              \
    X(latency_p90, SECONDS, "90th percentile of the time of one run")                              \
    X(latency_p95, SECONDS, "95th percentile of the time of one run")                              \
    X(latency_p99, SECONDS, "99th percentile of the time of one run")                              \
    X(first_token, SECONDS, "time to a language model's first token")                              \
    X(throughput, NUMBER, "samples or tokens a second")                                            \
    X(speedup, RATIO, "median time of the original over that of this model")                       \
    X(size, BYTES, "bytes of the file")                                                            \
    X(peak_memory, BYTES, "largest memory of the process while it runs (also: memory)")            \
    X(ram, BYTES, "working memory of the emitted C code")                                          \
    X(flash, BYTES, "code and constants of the emitted C code")                                    \
    X(energy, JOULES, "energy of one run")

typedef enum adze_gate_metric {
#define X(name, quantity, meaning) ADZE_METRIC_##name,
    ADZE_GATE_METRIC_LIST(X)
#undef X
        ADZE_METRIC_COUNT
} adze_gate_metric;

/** "top1" and the like; never NULL. */
ADZE_API const char *adze_gate_metric_name(adze_gate_metric metric);
/** A sentence for help texts; never NULL. */
ADZE_API const char *adze_gate_metric_meaning(adze_gate_metric metric);
ADZE_API adze_quantity adze_gate_metric_quantity(adze_gate_metric metric);
/** False when there is no metric of that name (or alias). */
ADZE_API bool adze_gate_metric_from_name(adze_gate_metric *out, const char *name);

/** A requirement: metric >= limit, or <= with `at_most`; the limit is factor * original + offset. */
typedef struct adze_gate {
    char text[128]; /* as it was written, without spaces */
    adze_gate_metric metric;
    bool at_most;
    bool relative; /* to the original's measurement; else factor is 0 */
    double factor, offset;
} adze_gate;

/** Fails with ADZE_BAD_ARGUMENT: the message says what was expected where, and lists the metrics. */
ADZE_MUST_CHECK ADZE_API adze_status adze_gate_parse(adze_gate *out, const char *text,
                                                     adze_error *err);

typedef enum adze_verdict {
    ADZE_VERDICT_PASS,
    ADZE_VERDICT_FAIL,
    ADZE_VERDICT_UNDECIDED
} adze_verdict;

/** "pass", "fail", "undecided". */
ADZE_API const char *adze_verdict_name(adze_verdict verdict);

typedef struct adze_gate_result {
    adze_verdict verdict;
    bool measured;       /* false: something was not measured; the numbers below are 0 */
    adze_estimate value; /* the candidate's */
    double limit;
    double margin, margin_low,
        margin_high; /* distance to the limit, positive when met, and interval */
    int64_t
        more_samples; /* undecided: about so many more would decide; 0: unknown or more would not */
    double more_seconds; /* the same in time of measuring */
    char text[320]; /* one line for people: value, interval, limit, verdict, what would decide */
} adze_gate_result;

/** Judges. `candidate` NULL: not measured. `original` is needed for relative gates only. `paired`:
 * candidate - gate->factor * original with an interval made on the same samples, which is sharper than the
 * two intervals together (adze_evaluation_difference); NULL is fine. */
ADZE_API adze_gate_result adze_gate_judge(const adze_gate *gate, const adze_estimate *candidate,
                                          const adze_estimate *original,
                                          const adze_estimate *paired);

/** A value with its metric's unit, for people: "93.4 %", "1.52 ms", "300 KB"; returns buf. */
ADZE_API const char *adze_gate_format(adze_gate_metric metric, double value, char buf[48]);

ADZE_END_C
#endif
