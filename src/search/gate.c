/* Parsing of requirements. */
#include "search/gate.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char known[] = "top1, top5, agreement, mse, cosine, latency_mean, latency_p50, latency_p95, "
                            "latency_p99, size, peak_memory, speedup";

static bool is_known(const char *metric) {
    const char *at = strstr(known, metric);
    size_t n = strlen(metric);
    return n > 0 && at && (at == known || at[-1] == ' ') && (at[n] == ',' || !at[n]);
}

static adze_status malformed(const char *text, const char *why, adze_error *err) {
    return adze_fail(err, ADZE_BAD_ARGUMENT,
                     "requirement '%s': %s; expected METRIC>=LIMIT or METRIC<=LIMIT with METRIC one of "
                     "%s and LIMIT a number with its unit, 0.95*original or original-0.5%%",
                     text, why, known);
}

/* A number with its unit, in the metric's own: shares, milliseconds, bytes. */
static bool parse_amount(const char *word, const char *metric, double *out) {
    char *end;
    double v = strtod(word, &end);
    if (end == word || !isfinite(v))
        return false;
    if (strcmp(metric, "size") == 0 || strcmp(metric, "peak_memory") == 0)
        return adze_parse_size(word, out);
    *out = v;
    if (strcmp(end, "%") == 0)
        *out = v / 100;
    else if (strncmp(metric, "latency", 7) == 0 && strcmp(end, "us") == 0)
        *out = v / 1000;
    else if (strncmp(metric, "latency", 7) == 0 && strcmp(end, "s") == 0)
        *out = v * 1000;
    else if (strncmp(metric, "latency", 7) == 0 && strcmp(end, "ms") == 0)
        *out = v;
    else if (*end && strcmp(end, "x") != 0)
        return false;
    return true;
}

static bool parse_limit(search_gate *g, const char *limit) {
    const char *original = strstr(limit, "original");
    if (!original)
        return parse_amount(limit, g->metric, &g->offset);
    const char *rest = original + strlen("original");
    g->factor = 1;
    if (original > limit) {
        char *end;
        g->factor = strtod(limit, &end);
        if (end == limit || *end != '*' || end + 1 != original)
            return false;
    }
    if (!*rest)
        return true;
    bool ok = (*rest == '-' || *rest == '+') && parse_amount(rest + 1, g->metric, &g->offset);
    if (*rest == '-')
        g->offset = -g->offset;
    return ok;
}

adze_status search_gate_parse(search_gate *out, const char *text, adze_error *err) {
    char packed[128];
    size_t n = 0;
    for (const char *p = text; *p; p++)
        if (!isspace((unsigned char)*p)) {
            if (n + 1 >= sizeof packed)
                return malformed(text, "too long", err);
            packed[n++] = *p;
        }
    packed[n] = 0;
    size_t length = strcspn(packed, "<>=");
    *out = (search_gate){.text = text};
    if (length >= sizeof out->metric)
        return malformed(text, "unknown metric", err);
    memcpy(out->metric, packed, length);
    const char *sign = packed + length;
    if (!is_known(out->metric))
        return malformed(text, "unknown metric", err);
    if (strncmp(sign, ">=", 2) != 0 && strncmp(sign, "<=", 2) != 0)
        return malformed(text, "no >= or <=", err);
    out->at_least = sign[0] == '>';
    if (!parse_limit(out, sign + 2))
        return malformed(text, "the limit is not understood", err);
    return ADZE_OK;
}

int search_gate_verdict(const search_gate *gate, double low, double high, double limit) {
    if (!isfinite(low) || !isfinite(high))
        return 1;
    if (gate->at_least)
        return low >= limit ? 0 : high < limit ? 2 : 1;
    return high <= limit ? 0 : low > limit ? 2 : 1;
}
