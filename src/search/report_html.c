/* The report as one HTML page: what was asked, the verdict, the front as a picture, the front as a table
 * with intervals, everything tried and why it lost, how it was measured. */
#include <math.h>
#include <string.h>

#include "search/report.h"

/* ---- small pieces ---- */

static void escaped(adze_text *out, const char *s)
{
    for (; s && *s; s++) {
        if (*s == '<')
            adze_text_puts(out, "&lt;");
        else if (*s == '>')
            adze_text_puts(out, "&gt;");
        else if (*s == '&')
            adze_text_puts(out, "&amp;");
        else if (*s == '"')
            adze_text_puts(out, "&quot;");
        else
            adze_text_add(out, s, 1);
    }
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

static void cell(adze_text *out, const char *tag, const char *text)
{
    adze_text_printf(out, "<%s>", tag);
    escaped(out, text);
    adze_text_printf(out, "</%s>", strcmp(tag, "td class=n") == 0 ? "td" : tag);
}

static void interval_cell(adze_text *out, const char *metric, const json_t *m)
{
    char v[48], lo[48], hi[48];
    if (!json_is_object(m)) {
        adze_text_puts(out, "<td class=n>&ndash;</td>");
        return;
    }
    adze_text_printf(out, "<td class=n>%s<small>%s &ndash; %s</small></td>",
                     adze_report_metric(v, metric, number_of(m, "value")),
                     adze_report_metric(lo, metric, number_of(m, "low")),
                     adze_report_metric(hi, metric, number_of(m, "high")));
}

static bool is_status(const json_t *trial, const char *status)
{
    return strcmp(string_of(trial, "status"), status) == 0;
}

/* ---- the picture ---- */

enum { WIDTH = 760, HEIGHT = 400, LEFT = 92, RIGHT = 20, TOP = 32, BOTTOM = 62 };

typedef struct scale {
    double lo, hi;
} scale;

static void widen(scale *s, double v)
{
    if (!isfinite(v))
        return;
    s->lo = fmin(s->lo, v);
    s->hi = fmax(s->hi, v);
}

static void pad(scale *s)
{
    double room = s->hi > s->lo ? (s->hi - s->lo) * 0.08 : fmax(fabs(s->hi), 1) * 0.05;
    s->lo -= room;
    s->hi += room;
}

static double x_at(const scale *s, double v)
{
    return LEFT + (v - s->lo) / (s->hi - s->lo) * (WIDTH - LEFT - RIGHT);
}

static double y_at(const scale *s, double v)
{
    return HEIGHT - BOTTOM - (v - s->lo) / (s->hi - s->lo) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten: about five ticks. */
static double tick_step(const scale *s)
{
    double raw = (s->hi - s->lo) / 5, power = pow(10, floor(log10(raw)));
    double lead = raw / power;
    return (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
}

static bool is_share(const char *metric)
{
    char text[48];
    return strchr(adze_report_metric(text, metric, 0), '%') != NULL;
}

static void axes(adze_text *out, const scale *x, const scale *y, const char *metric)
{
    char label[48];
    bool share = is_share(metric);
    double step = tick_step(x);
    for (double v = ceil(x->lo / step) * step; v <= x->hi; v += step)
        adze_text_printf(out,
                         "<line class=grid x1=%.1f y1=%d x2=%.1f y2=%d /><text class=tick x=%.1f "
                         "y=%d text-anchor=middle>%.4g</text>",
                         x_at(x, v), TOP, x_at(x, v), HEIGHT - BOTTOM, x_at(x, v),
                         HEIGHT - BOTTOM + 24, v);
    step = tick_step(y);
    for (double v = ceil(y->lo / step) * step; v <= y->hi; v += step) {
        snprintf(label, sizeof label, share ? "%.4g %%" : "%.4g", share ? 100 * v : v);
        adze_text_printf(out,
                         "<line class=grid x1=%d y1=%.1f x2=%d y2=%.1f /><text class=tick x=%d "
                         "y=%.1f text-anchor=end>%s</text>",
                         LEFT, y_at(y, v), WIDTH - RIGHT, y_at(y, v), LEFT - 6, y_at(y, v) + 5,
                         label);
    }
    adze_text_printf(out, "<text class=axis x=%d y=%d text-anchor=middle>latency, median ms</text>",
                     (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
    adze_text_printf(out, "<text class=axis x=%d y=%d>", LEFT, TOP - 8);
    escaped(out, metric);
    adze_text_puts(out, "</text>");
}

static void dot(adze_text *out, const json_t *trial, const char *metric, const scale *x,
                const scale *y, double largest, bool best)
{
    double ms = number_of(trial, "latency_ms"),
           m = number_of(json_object_get(trial, "metric"), "value");
    double size = number_of(trial, "size");
    char value[48], bytes[32];
    if (!isfinite(ms) || !isfinite(m) || ms < x->lo || ms > x->hi || m < y->lo || m > y->hi)
        return;
    const char *class = best                           ? "best"
                        : is_status(trial, "original") ? "original"
                        : is_status(trial, "front")    ? "front"
                                                       : "lost";
    adze_text_printf(out, "<circle class=%s cx=%.1f cy=%.1f r=%.1f><title>", class, x_at(x, ms),
                     y_at(y, m), 4 + 10 * sqrt(size / largest));
    escaped(out, string_of(trial, "name"));
    adze_text_printf(out, ": %.4g ms, %s, %s</title></circle>", ms,
                     adze_report_metric(value, metric, m), adze_format_bytes(bytes, size));
}

/* Far outliers would squeeze the interesting part: what is far below the original or twice as
 * slow is cut off. */
static void find_scales(const json_t *trials, scale *x, scale *y, double *largest)
{
    size_t i;
    const json_t *t;
    double original = NAN, worst = NAN, latest = INFINITY;
    json_array_foreach(trials, i, t)
    {
        double m = number_of(json_object_get(t, "metric"), "value");
        *largest = fmax(*largest, number_of(t, "size"));
        if (is_status(t, "original")) {
            original = m;
            latest = 2 * number_of(t, "latency_ms");
        }
        if (is_status(t, "front"))
            worst = isnan(worst) ? m : fmin(worst, m);
    }
    double floor_at = isnan(original) ? -INFINITY : fmin(worst, original) - fabs(original) * 0.04;
    json_array_foreach(trials, i, t)
    {
        double m = number_of(json_object_get(t, "metric"), "value");
        double ms = number_of(t, "latency_ms");
        if (m < floor_at || !isfinite(ms) || ms > latest)
            continue;
        widen(x, ms);
        widen(y, m);
    }
    pad(x);
    pad(y);
}

static void picture(adze_text *out, const json_t *report)
{
    const json_t *trials = json_object_get(report, "trials"), *t;
    const char *metric = string_of(report, "metric"), *best = string_of(report, "best");
    scale x = {INFINITY, -INFINITY}, y = {INFINITY, -INFINITY};
    double largest = 1;
    size_t i;
    find_scales(trials, &x, &y, &largest);
    if (!isfinite(x.lo) || !isfinite(y.lo))
        return;
    adze_text_printf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"front\">",
                     WIDTH, HEIGHT);
    axes(out, &x, &y, metric);
    for (int pass = 0; pass < 3; pass++)
        json_array_foreach(trials, i, t)
        {
            bool is_best = *best && strcmp(string_of(t, "name"), best) == 0;
            int layer = is_best ? 2 : is_status(t, "front") || is_status(t, "original") ? 1 : 0;
            if (layer == pass)
                dot(out, t, metric, &x, &y, largest, is_best);
        }
    adze_text_puts(out, "</svg><figcaption><span class=\"key best\"></span>best "
                        "<span class=\"key front\"></span>front "
                        "<span class=\"key original\"></span>original "
                        "<span class=\"key lost\"></span>beaten or rejected. Area of a dot: file "
                        "size. Up and to the left is better.</figcaption></figure>");
}

/* ---- tables ---- */

static void front_row(adze_text *out, const json_t *t, const char *metric, bool best)
{
    char buf[64];
    adze_text_printf(out, "<tr%s><th scope=row>", best ? " class=chosen" : "");
    escaped(out, string_of(t, "name"));
    adze_text_printf(out, "%s</th>", best ? " <b class=badge>best</b>" : "");
    cell(out, "td class=n", adze_format_bytes(buf, number_of(t, "size")));
    snprintf(buf, sizeof buf, "%.4g ms", number_of(t, "latency_ms"));
    cell(out, "td class=n", buf);
    interval_cell(out, "speedup", json_object_get(t, "speedup"));
    interval_cell(out, metric, json_object_get(t, "certified_metric"));
    double memory = number_of(t, "peak_memory");
    cell(out, "td class=n", isnan(memory) ? "\xe2\x80\x93" : adze_format_bytes(buf, memory));
    adze_text_puts(out, "<td>");
    const json_t *gates = json_object_get(t, "gates"), *g;
    size_t i;
    json_array_foreach(gates, i, g)
    {
        adze_text_printf(out, "<span class=\"gate %s\">%s ", string_of(g, "verdict"),
                         string_of(g, "verdict"));
        escaped(out, string_of(g, "requirement"));
        adze_text_puts(out, "</span> ");
    }
    adze_text_puts(out, "</td></tr>");
}

static void front_table(adze_text *out, const json_t *report)
{
    const char *metric = string_of(report, "metric"), *best = string_of(report, "best");
    const json_t *t;
    size_t i;
    adze_text_puts(out, "<div class=scroll><table><thead><tr><th>model</th><th>size</th><th>latency"
                        "</th><th>speed-up</th><th>");
    escaped(out, metric);
    adze_text_puts(out, "</th><th>peak memory</th><th>requirements</th></tr></thead><tbody>");
    json_array_foreach(json_object_get(report, "trials"), i,
                       t) if (is_status(t, "original") || is_status(t, "front"))
        front_row(out, t, metric, *best && strcmp(string_of(t, "name"), best) == 0);
    adze_text_puts(out, "</tbody></table></div>");
}

static void trial_row(adze_text *out, const json_t *t, const char *metric)
{
    char buf[64];
    adze_text_puts(out, "<tr><th scope=row>");
    escaped(out, string_of(t, "name"));
    adze_text_puts(out, "</th>");
    cell(out, "td", string_of(t, "scheme"));
    double size = number_of(t, "size"), ms = number_of(t, "latency_ms");
    cell(out, "td class=n", isnan(size) ? "\xe2\x80\x93" : adze_format_bytes(buf, size));
    snprintf(buf, sizeof buf, "%.4g ms", ms);
    cell(out, "td class=n", isnan(ms) ? "\xe2\x80\x93" : buf);
    interval_cell(out, "speedup", json_object_get(t, "speedup"));
    interval_cell(out, metric, json_object_get(t, "metric"));
    adze_text_printf(out, "<td><span class=\"state %s\">%s</span> ", string_of(t, "status"),
                     string_of(t, "status"));
    escaped(out, string_of(t, "reason"));
    adze_text_puts(out, "</td></tr>");
}

static void trials_table(adze_text *out, const json_t *report)
{
    const json_t *trials = json_object_get(report, "trials"), *t;
    const char *metric = string_of(report, "metric");
    size_t i;
    adze_text_puts(out, "<div class=scroll><table><thead><tr><th>candidate</th><th>scheme</th><th>"
                        "size</th><th>latency</th><th>speed-up</th><th>");
    escaped(out, metric);
    adze_text_puts(out, ", selection</th><th>outcome</th></tr></thead><tbody>");
    json_array_foreach(trials, i, t) trial_row(out, t, metric);
    adze_text_puts(out, "</tbody></table></div>");
}

/* ---- the page ---- */

static const char style[] =
    "<style>:root{color-scheme:light dark;--bg:#fff;--fg:#1c2126;--soft:#5b6670;--line:#dde2e7;"
    "--card:#f6f8fa;--front:#2563eb;--best:#15803d;--orig:#b45309;--lost:#9aa4ae;--bad:#b91c1c}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181c;--fg:#e6eaee;--soft:#9aa6b2;--line:#"
    "2c343c;"
    "--card:#1c2228;--front:#6ea0ff;--best:#4ade80;--orig:#fbbf24;--lost:#66717c;--bad:#f87171}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 "
    "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}main{max-width:1080px;margin:0 auto;"
    "padding:24px 20px 60px}h1{font-size:1.6rem;line-height:1.25;margin:0 0 "
    "4px;overflow-wrap:anywhere}"
    "h2{font-size:1.15rem;margin:36px 0 10px}p{margin:8px "
    "0}.soft,small,figcaption{color:var(--soft)}"
    "small{display:block;font-size:.78rem;white-space:nowrap}.verdict{background:var(--card);"
    "border-left:4px solid var(--best);padding:12px 16px;border-radius:6px;margin:18px 0}"
    ".verdict.failed{border-color:var(--bad)}.verdict strong{font-size:1.1rem}"
    "figure{margin:0;background:var(--card);border-radius:8px;padding:12px}svg{width:100%;height:"
    "auto;"
    "display:block}figcaption{font-size:.85rem;padding:4px "
    "6px}.grid{stroke:var(--line)}.tick,.axis{"
    "fill:var(--soft);font-size:12px}.axis{font-size:13px}circle{stroke:var(--bg);stroke-width:1.5}"
    "circle.front{fill:var(--front)}circle.best{fill:var(--best)}circle.original{fill:var(--orig)}"
    "circle.lost{fill:var(--lost);opacity:.55}.key{display:inline-block;width:10px;height:10px;"
    "border-radius:50%;margin:0 4px 0 10px}.key.front{background:var(--front)}.key.best{background:"
    "var(--best)}.key.original{background:var(--orig)}.key.lost{background:var(--lost)}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-"
    "align:"
    "left;padding:7px 10px;border-bottom:1px solid var(--line);vertical-align:top}thead th{color:"
    "var(--soft);font-weight:600;white-space:nowrap}tbody th{font-weight:500;min-width:180px}"
    "td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}tr.chosen{"
    "background:"
    "var(--card)}.badge{background:var(--best);color:var(--bg);border-radius:4px;padding:0 6px;"
    "font-size:.78rem}.gate,.state{white-space:nowrap;font-size:.82rem}.gate::before,.state::"
    "before{"
    "content:'';display:inline-block;width:8px;height:8px;border-radius:50%;margin-right:5px;"
    "background:var(--lost)}.gate.pass::before,.state.front::before{background:var(--best)}"
    ".gate.fail::before,.state.rejected::before,.state.failed::before{background:var(--bad)}"
    ".gate.undecided::before,.state.original::before{background:var(--orig)}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px "
    "16px;margin:0}dt{color:var(--soft)}"
    "dd{margin:0;overflow-wrap:anywhere}summary{cursor:pointer}@media(max-width:560px){.tick{font-"
    "size:22px}.axis{font-size:24px}main{padding:16px "
    "12px 40px}tbody "
    "th{min-width:130px}dl{grid-template-columns:1fr}dd{margin-bottom:6px}h1{font-size:1.3rem}}</"
    "style>";

static void definition(adze_text *out, const char *term, const char *text)
{
    cell(out, "dt", term);
    cell(out, "dd", text);
}

static void facts(adze_text *out, const json_t *report)
{
    const json_t *facts_list = json_object_get(report, "facts");
    const char *term;
    json_t *text;
    adze_text_puts(out, "<dl>");
    json_object_foreach((json_t *)facts_list, term, text)
    {
        definition(out, term, json_string_value(text));
    }
    adze_text_puts(out, "</dl>");
}

static void paragraphs(adze_text *out, const json_t *list)
{
    size_t i;
    const json_t *s;
    json_array_foreach(list, i, s) cell(out, "p", json_string_value(s));
}

void adze_report_html(adze_text *out, const json_t *report)
{
    bool passed = json_is_true(json_object_get(report, "passed"));
    adze_text_puts(out,
                   "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
                   "content=\"width=device-width,initial-scale=1\"><link rel=icon href=\"data:,\">"
                   "<title>adze: ");
    escaped(out, string_of(report, "title"));
    adze_text_puts(out, "</title>");
    adze_text_puts(out, style);
    adze_text_puts(out, "</head><body><main><p class=soft>adze optimize</p><h1>");
    escaped(out, string_of(report, "title"));
    adze_text_printf(out, "</h1><div class=\"verdict%s\"><strong>", passed ? "" : " failed");
    escaped(out, string_of(report, "verdict"));
    adze_text_puts(out, "</strong>");
    paragraphs(out, json_object_get(report, "verdict_details"));
    adze_text_puts(out, "</div>");
    picture(out, report);
    adze_text_puts(out, "<h2>The front: no other candidate beats these</h2><p class=soft>Measured "
                        "afresh on data that had no part in choosing; below each value its 95 % "
                        "interval.</p>");
    front_table(out, report);
    adze_text_puts(out, "<h2>What the model is</h2>");
    paragraphs(out, json_object_get(report, "assessment"));
    adze_text_puts(out, "<h2>Everything that was tried</h2><details open><summary>");
    adze_text_printf(out, "%zu candidates, with why they lost</summary>",
                     json_array_size(json_object_get(report, "trials")) - 1);
    trials_table(out, report);
    adze_text_puts(out, "</details><h2>How it was measured</h2>");
    facts(out, report);
    adze_text_puts(out, "</main></body></html>\n");
}
