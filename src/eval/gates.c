/* Judging: the distance to the limit with its interval. The verdict is given only when the whole interval
 * lies on one side; half-widths shrink with the square root of the samples, which tells how many more
 * would be needed. */
#include "adze/gates.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "eval/statistics.h"

static const double most_more = 1e12; /* samples: past this, more would not help anybody */

const char *adze_verdict_name(adze_verdict verdict)
{
    static const char *const names[] = {"pass", "fail", "undecided"};
    return names[verdict];
}

/* Three significant digits with the largest unit that keeps the number at 1 or more. */
static void format_scaled(char buf[48], double value, const char *const units[4])
{
    int step = 0;
    double size = fabs(value);
    while (step < 3 && size < 1 && size > 0) {
        size *= 1000;
        value *= 1000;
        step++;
    }
    (void)snprintf(buf, 48, "%.3g %s", value, units[step]);
}

const char *adze_gate_format(adze_gate_metric metric, double value, char buf[48])
{
    static const char *const seconds[4] = {"s", "ms", "us", "ns"};
    static const char *const joules[4] = {"J", "mJ", "uJ", "nJ"};
    switch (adze_gate_metric_quantity(metric)) {
    case ADZE_PROPORTION: (void)snprintf(buf, 48, "%.2f %%", 100 * value); break;
    case ADZE_SECONDS: format_scaled(buf, value, seconds); break;
    case ADZE_JOULES: format_scaled(buf, value, joules); break;
    case ADZE_BYTES: (void)adze_format_bytes(buf, value); break;
    case ADZE_RATIO: (void)snprintf(buf, 48, "%.3gx", value); break;
    default: (void)snprintf(buf, 48, "%.5g", value);
    }
    return buf;
}

/* Candidate minus factor times original, with the sharpest interval that the data allow. */
static adze_interval difference(const adze_gate *gate, const adze_estimate *candidate,
                                const adze_estimate *original, const adze_estimate *paired)
{
    if (!gate->relative)
        return (adze_interval){candidate->low, candidate->high};
    return paired ? (adze_interval){paired->low, paired->high}
                  : adze_independent_difference(candidate, original, gate->factor);
}

static void set_margin(adze_gate_result *result, const adze_gate *gate, adze_interval interval)
{
    double sign = gate->at_most ? -1 : 1;
    double a = sign * (interval.low - gate->offset), b = sign * (interval.high - gate->offset);
    result->margin = sign * (result->value.value - result->limit);
    result->margin_low = ADZE_MIN(a, b);
    result->margin_high = ADZE_MAX(a, b);
}

static adze_verdict verdict_of(const adze_gate_result *result)
{
    if (result->margin_low >= 0)
        return ADZE_VERDICT_PASS;
    return result->margin_high < 0 ? ADZE_VERDICT_FAIL : ADZE_VERDICT_UNDECIDED;
}

static void set_more(adze_gate_result *result)
{
    double margin = result->margin;
    double half = margin > 0 ? margin - result->margin_low : result->margin_high - margin;
    double times = margin == 0 ? INFINITY : (half / margin) * (half / margin);
    double samples = (double)result->value.samples * (times - 1);
    double seconds = result->value.seconds * (times - 1);
    if (samples > 0 && samples < most_more)
        result->more_samples = (int64_t)ceil(samples);
    if (seconds > 0 && seconds < most_more)
        result->more_seconds = seconds;
}

static void describe(adze_gate_result *result, const adze_gate *gate)
{
    char value[48], low[48], high[48], limit[48], more[112] = "";
    adze_gate_metric m = gate->metric;
    const adze_estimate *v = &result->value;
    char interval[112] = "";
    if (v->low != v->high)
        (void)snprintf(interval, sizeof interval, " (%s to %s)", adze_gate_format(m, v->low, low),
                       adze_gate_format(m, v->high, high));
    if (result->verdict == ADZE_VERDICT_UNDECIDED && result->more_seconds > 0)
        (void)snprintf(more, sizeof more, "; measuring for about %.3g s more would decide",
                       result->more_seconds);
    else if (result->verdict == ADZE_VERDICT_UNDECIDED && result->more_samples > 0)
        (void)snprintf(more, sizeof more, "; about %lld more samples would decide",
                       (long long)result->more_samples);
    else if (result->verdict == ADZE_VERDICT_UNDECIDED)
        (void)snprintf(more, sizeof more, "; too close to the limit to tell");
    (void)snprintf(result->text, sizeof result->text, "%s: %s: %s%s, limit %s%s", gate->text,
                   adze_verdict_name(result->verdict), adze_gate_format(m, v->value, value),
                   interval, adze_gate_format(m, result->limit, limit), more);
}

adze_gate_result adze_gate_judge(const adze_gate *gate, const adze_estimate *candidate,
                                 const adze_estimate *original, const adze_estimate *paired)
{
    adze_gate_result result = {.verdict = ADZE_VERDICT_UNDECIDED};
    if (!candidate || (gate->relative && !original)) {
        (void)snprintf(result.text, sizeof result.text, "%s: undecided: %s was not measured%s",
                       gate->text, adze_gate_metric_name(gate->metric),
                       candidate ? " on the original" : "");
        return result;
    }
    result.measured = true;
    result.value = *candidate;
    result.limit = gate->offset + (gate->relative ? gate->factor * original->value : 0);
    set_margin(&result, gate, difference(gate, candidate, original, paired));
    result.verdict = verdict_of(&result);
    if (result.verdict == ADZE_VERDICT_UNDECIDED)
        set_more(&result);
    describe(&result, gate);
    return result;
}
