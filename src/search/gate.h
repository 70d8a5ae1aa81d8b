/* Requirements: "top1>=0.95*original", "latency_p95<=2ms", "size<=300KB", "speedup>=2". */
#ifndef ADZE_SEARCH_GATE_H
#define ADZE_SEARCH_GATE_H
#include "base/error.h"

typedef struct search_gate {
    const char *text;   /* as given; borrowed */
    char metric[32];    /* "top1", "latency_p95", "size", "peak_memory", "speedup", ... */
    bool at_least;      /* >= rather than <= */
    double factor;      /* limit = factor * original + offset */
    double offset;      /* in the metric's unit: share, ms, bytes */
} search_gate;

adze_status search_gate_parse(search_gate *out, const char *text, adze_error *err) ADZE_MUST_CHECK;

/* A measured value against a limit: 0 pass, 1 undecided (the interval straddles the limit), 2 fail. */
int search_gate_verdict(const search_gate *gate, double low, double high, double limit);

#endif
