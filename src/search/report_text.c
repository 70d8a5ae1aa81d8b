/* The front as a table for the terminal. */
#include <math.h>
#include <string.h>

#include "search/report.h"

const char *adze_report_metric(char buf[48], const char *name, double value)
{
    bool share = strcmp(name, "top1") == 0 || strcmp(name, "top5") == 0 ||
                 strcmp(name, "agreement") == 0 || strcmp(name, "macro_f1") == 0;
    if (isnan(value))
        snprintf(buf, 48, "-");
    else if (share)
        snprintf(buf, 48, "%.2f %%", 100 * value);
    else if (strcmp(name, "speedup") == 0)
        snprintf(buf, 48, "%.2fx", value);
    else
        snprintf(buf, 48, "%.4g", value);
    return buf;
}

static const char *string_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void with_interval(char buf[96], const char *name, const json_t *m)
{
    char v[48], lo[48], hi[48];
    if (!json_is_object(m)) {
        snprintf(buf, 96, "-");
        return;
    }
    snprintf(buf, 96, "%s [%s, %s]", adze_report_metric(v, name, number_of(m, "value")),
             adze_report_metric(lo, name, number_of(m, "low")),
             adze_report_metric(hi, name, number_of(m, "high")));
}

static void row(adze_text *out, const json_t *t, const char *metric, const char *best)
{
    char size[32], speed[96], quality[96], ms[32];
    with_interval(speed, "speedup", json_object_get(t, "speedup"));
    with_interval(quality, metric, json_object_get(t, "certified_metric"));
    snprintf(ms, sizeof ms, "%.4g ms", number_of(t, "latency_ms"));
    adze_text_printf(out, "%c %-66.66s %9s %10s  %-22s %s\n",
                     *best && strcmp(best, string_of(t, "name")) == 0 ? '*' : ' ',
                     string_of(t, "name"), adze_format_bytes(size, number_of(t, "size")), ms, speed,
                     quality);
}

void adze_report_text(adze_text *out, const json_t *report)
{
    const char *metric = string_of(report, "metric"), *best = string_of(report, "best");
    const json_t *t, *s;
    size_t i;
    adze_text_printf(out, "  %-66s %9s %10s  %-22s %s\n", "model", "size", "latency",
                     "speed-up [95 %]", metric);
    json_array_foreach(json_object_get(report, "trials"), i,
                       t) if (strcmp(string_of(t, "status"), "original") == 0 ||
                              strcmp(string_of(t, "status"), "front") == 0)
        row(out, t, metric, best);
    adze_text_printf(out, "\n%s\n", string_of(report, "verdict"));
    json_array_foreach(json_object_get(report, "verdict_details"), i, s)
        adze_text_printf(out, "  %s\n", json_string_value(s));
}
