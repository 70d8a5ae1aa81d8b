/* Reading requirements:
 *     METRIC (>= | <= | > | <) LIMIT
 *     LIMIT = NUMBER [UNIT] | [FACTOR *] original [(+ | -) NUMBER [UNIT]] | original * FACTOR
 * A percentage after original means points for shares, and a part of the original for everything else. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/gates.h"
#include "base/text.h"

typedef struct metric_row {
    const char *name;
    adze_quantity quantity;
    const char *meaning;
} metric_row;

static const metric_row metrics[] = {
#define X(name, quantity, meaning) {#name, ADZE_##quantity, meaning},
    ADZE_GATE_METRIC_LIST(X)
#undef X
};

static const metric_row *row_of(adze_gate_metric metric)
{
    size_t i = (size_t)metric;
    return &metrics[i < ADZE_COUNT_OF(metrics) ? i : 0];
}

const char *adze_gate_metric_name(adze_gate_metric metric)
{
    return row_of(metric)->name;
}

const char *adze_gate_metric_meaning(adze_gate_metric metric)
{
    return row_of(metric)->meaning;
}

adze_quantity adze_gate_metric_quantity(adze_gate_metric metric)
{
    return row_of(metric)->quantity;
}

bool adze_gate_metric_from_name(adze_gate_metric *out, const char *name)
{
    static const struct {
        const char *alias;
        adze_gate_metric metric;
    } aliases[] = {
        {"latency", ADZE_METRIC_latency_p50},
        {"memory", ADZE_METRIC_peak_memory},
        {"accuracy", ADZE_METRIC_top1},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(metrics); i++)
        if (strcmp(metrics[i].name, name) == 0) {
            *out = (adze_gate_metric)i;
            return true;
        }
    for (size_t i = 0; i < ADZE_COUNT_OF(aliases); i++)
        if (strcmp(aliases[i].alias, name) == 0) {
            *out = aliases[i].metric;
            return true;
        }
    return false;
}

typedef struct reader {
    const char *at;
    const char *text; /* as the user wrote it */
    adze_gate *gate;
    adze_error *err;
} reader;

static adze_status bad(reader *r, const char *expected)
{
    adze_text known = {0};
    for (size_t i = 0; i < ADZE_COUNT_OF(metrics); i++)
        adze_text_printf(&known, "%s%s", i ? ", " : "", metrics[i].name);
    adze_status status = adze_fail(
        r->err, ADZE_BAD_ARGUMENT,
        "requirement \"%.200s\": %s. Write METRIC>=LIMIT or METRIC<=LIMIT, where LIMIT is a number "
        "with its unit (0.9, 2ms, 300KB), 0.95*original, or original-0.5%%. Metrics: %s",
        r->text, expected, adze_text_get(&known));
    adze_text_free(&known);
    return status;
}

static bool take(reader *r, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* Digits, a point, an exponent; neither sign nor hexadecimal nor "inf". */
static bool take_number(reader *r, double *out)
{
    char digits[40];
    size_t n = 0;
    const char *at = r->at;
    while ((isdigit((unsigned char)*at) || *at == '.') && n < 30)
        digits[n++] = *at++;
    bool exponent = (at[0] == 'e' || at[0] == 'E') &&
                    (isdigit((unsigned char)at[1]) ||
                     ((at[1] == '+' || at[1] == '-') && isdigit((unsigned char)at[2])));
    if (exponent && n > 0) {
        digits[n++] = *at++;
        do
            digits[n++] = *at++;
        while (isdigit((unsigned char)*at) && n < sizeof digits - 1);
    }
    digits[n] = 0;
    if (n == 0 || !adze_parse_f64(digits, out))
        return false;
    r->at = at;
    return true;
}

typedef struct unit_row {
    adze_quantity quantity;
    const char *unit;
    double factor;
} unit_row;

static const unit_row units[] = {
    {ADZE_PROPORTION, "", 1},
    {ADZE_SECONDS, "s", 1},
    {ADZE_SECONDS, "ms", 1e-3},
    {ADZE_SECONDS, "us", 1e-6},
    {ADZE_SECONDS, "\xc2\xb5s", 1e-6},
    {ADZE_SECONDS, "ns", 1e-9},
    {ADZE_BYTES, "", 1},
    {ADZE_BYTES, "b", 1},
    {ADZE_BYTES, "kb", 1e3},
    {ADZE_BYTES, "mb", 1e6},
    {ADZE_BYTES, "gb", 1e9},
    {ADZE_BYTES, "kib", 1024},
    {ADZE_BYTES, "mib", 1048576},
    {ADZE_BYTES, "gib", 1073741824},
    {ADZE_JOULES, "j", 1},
    {ADZE_JOULES, "mj", 1e-3},
    {ADZE_JOULES, "uj", 1e-6},
    {ADZE_RATIO, "", 1},
    {ADZE_RATIO, "x", 1},
    {ADZE_NUMBER, "", 1},
    {ADZE_NUMBER, "/s", 1},
};

static const char *unit_hint(adze_quantity quantity)
{
    static const char *const hints[] = {
        [ADZE_PROPORTION] = "expected a share such as 0.95 or 95%",
        [ADZE_SECONDS] = "expected a time with its unit, such as 2ms",
        [ADZE_BYTES] = "expected bytes with their unit, such as 300KB",
        [ADZE_JOULES] = "expected an energy with its unit, such as 5mJ",
        [ADZE_RATIO] = "expected a ratio such as 2 or 2x",
        [ADZE_NUMBER] = "expected a number without a unit",
    };
    return hints[quantity];
}

/* The unit runs to the end of the limit's part. */
static bool take_unit(reader *r, adze_quantity quantity, double *value)
{
    char unit[8];
    size_t n = strcspn(r->at, "+-*");
    if (n >= sizeof unit)
        return false;
    for (size_t i = 0; i < n; i++)
        unit[i] = (char)tolower((unsigned char)r->at[i]);
    unit[n] = 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(units); i++)
        if (units[i].quantity == quantity && strcmp(units[i].unit, unit) == 0) {
            *value *= units[i].factor;
            r->at += n;
            return true;
        }
    return false;
}

static adze_status read_offset(reader *r)
{
    adze_gate *gate = r->gate;
    adze_quantity quantity = adze_gate_metric_quantity(gate->metric);
    double sign = take(r, "-") ? -1 : 1, value;
    if (sign > 0)
        (void)take(r, "+");
    if (!take_number(r, &value))
        return bad(r, "expected a number after original");
    if (take(r, "%")) {
        if (quantity == ADZE_PROPORTION)
            gate->offset = sign * value / 100;
        else
            gate->factor *= 1 + sign * value / 100;
        return ADZE_OK;
    }
    if (!take_unit(r, quantity, &value))
        return bad(r, unit_hint(quantity));
    gate->offset = sign * value;
    return ADZE_OK;
}

/* What follows the word original. */
static adze_status read_relative(reader *r, double factor)
{
    adze_gate *gate = r->gate;
    if (gate->metric == ADZE_METRIC_speedup || gate->metric == ADZE_METRIC_agreement)
        return bad(r, "this metric already compares with the original; expected a plain number");
    gate->relative = true;
    gate->factor = factor;
    if (take(r, "*") && !take_number(r, &gate->factor))
        return bad(r, "expected a number after original*");
    return *r->at == '+' || *r->at == '-' ? read_offset(r) : ADZE_OK;
}

static adze_status read_limit(reader *r)
{
    adze_quantity quantity = adze_gate_metric_quantity(r->gate->metric);
    double value;
    if (take(r, "original"))
        return read_relative(r, 1);
    if (!take_number(r, &value))
        return bad(r, unit_hint(quantity));
    bool percent = take(r, "%");
    if (percent)
        value /= 100;
    if (take(r, "*original"))
        return read_relative(r, value);
    if (percent ? quantity != ADZE_PROPORTION : !take_unit(r, quantity, &value))
        return bad(r, unit_hint(quantity));
    if (quantity == ADZE_PROPORTION && value > 1)
        return bad(r, "a share goes from 0 to 1; write 95% or 0.95");
    r->gate->offset = value;
    return ADZE_OK;
}

static adze_status read_metric(reader *r)
{
    char name[32], unknown[80];
    size_t n = strcspn(r->at, "<>=");
    (void)snprintf(name, sizeof name, "%.*s", (int)ADZE_MIN(n, sizeof name - 1), r->at);
    if (n >= sizeof name || !adze_gate_metric_from_name(&r->gate->metric, name)) {
        (void)snprintf(unknown, sizeof unknown, "there is no metric \"%s\"", name);
        return bad(r, unknown);
    }
    r->at += n;
    if (*r->at != '<' && *r->at != '>')
        return bad(r, "expected >= or <= after the metric");
    r->gate->at_most = *r->at++ == '<';
    (void)take(r, "=");
    return ADZE_OK;
}

adze_status adze_gate_parse(adze_gate *out, const char *text, adze_error *err)
{
    adze_gate gate = {0};
    size_t n = 0;
    reader r = {.at = gate.text, .text = text, .gate = &gate, .err = err};
    for (const char *at = text; *at; at++) {
        if (isspace((unsigned char)*at))
            continue;
        if (n == sizeof gate.text - 1)
            return bad(&r, "too long");
        gate.text[n++] = *at;
    }
    ADZE_TRY(read_metric(&r));
    ADZE_TRY(read_limit(&r));
    if (*r.at)
        return bad(&r, "there is something after the limit that is not understood");
    *out = gate;
    return ADZE_OK;
}
