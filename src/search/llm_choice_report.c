/* What a choice of types came to: JSON that holds everything, the table for a terminal, one HTML page without scripts. */
#include <math.h>
#include <string.h>

#include "base/order.h"
#include "search/llm_search_impl.h"

enum { WORST = 8 };

/* ---- JSON ---- */

static double elements_of(const llm_tensor *t)
{
    return (double)adze_shape_elements(t->source->rank, t->source->dims);
}

/* Median over the tensors of sensitivity for each weight. */
static double median_sensitivity(const llm_search *s)
{
    double *values = adze_alloc((size_t)s->count, sizeof *values), median = 0;
    for (int i = 0; values && i < s->count; i++)
        values[i] = s->tensors[i].sensitivity / elements_of(&s->tensors[i]);
    if (values) {
        adze_sort_f64(values, s->count);
        median = values[s->count / 2];
    }
    adze_free(values);
    return median;
}

/* Why a tensor costs what it costs, from what was measured. */
static void why(char buf[200], const llm_tensor *t, double median)
{
    double times = median > 0 ? t->sensitivity / elements_of(t) / median : 1;
    int n = 0;
    buf[0] = 0;
    if (t->largest > 25)
        n = snprintf(buf, 200, "outlying weights, the largest %.0f times the root mean square",
                     t->largest);
    if (times > 3 && n < 150)
        n += snprintf(buf + n, 200 - (size_t)n,
                      "%san error here disturbs the predictions %.0f times as much as "
                      "in the median tensor",
                      n ? "; " : "", times);
    if (t->source->dims[t->source->rank - 1] % 256 != 0 && n < 150)
        n += snprintf(buf + n, 200 - (size_t)n, "%srows of %lld allow only blocks of 32",
                      n ? "; " : "", (long long)t->source->dims[t->source->rank - 1]);
    if (n == 0)
        snprintf(buf, 200, "size: %.1f million weights", elements_of(t) / 1e6);
}

static json_t *tensor_json(const llm_search *s, int i, double total, double median)
{
    const llm_tensor *t = &s->tensors[i];
    int pick = s->judged[s->best].picks[i];
    char reason[200];
    json_t *options = json_array();
    for (int k = 0; k < t->type_count; k++)
        json_array_append_new(options, json_pack("{s:s, s:f, s:f, s:f}", "type",
                                                 adze_dtype_describe(t->types[k])->name, "bytes",
                                                 t->choices[k].size, "error", sqrt(t->errors[k]),
                                                 "kld", t->choices[k].loss));
    why(reason, t, median);
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:o}", "name", t->name, "type",
                     adze_dtype_describe(t->types[pick])->name, "bytes", t->choices[pick].size,
                     "error", sqrt(t->errors[pick]), "sensitivity", t->sensitivity, "probe_kld",
                     t->probe_kld, "kld", t->choices[pick].loss, "share",
                     total > 0 ? t->choices[pick].loss / total : 0, "why", reason, "options",
                     options);
}

static json_t *judged_json(const llm_search *s, const llm_judged *j)
{
    const adze_perplexity *q = &j->quality;
    adze_mean_error d = llm_paired_difference(&s->judged[s->best], j);
    json_t *verdicts = json_array();
    bool holds = llm_gates_hold(s, j, verdicts);
    json_t *o = json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f}", "name", j->name, "mix",
                          j->picks == NULL, "size", j->size, "predicted_kld", j->predicted, "kld",
                          q->kld.value, "kld_error", q->kld.error, "kld_p99", q->kld_p99);
    json_object_update_new(
        o, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:o}", "perplexity", q->perplexity.value,
                     "perplexity_error", q->perplexity.error, "same_top", q->same_top.value,
                     "tokens_per_s", j->tokens_per_s, "best_less_this", d.value,
                     "best_less_this_error", d.error, "holds", holds, "requirements", verdicts));
    return o;
}

json_t *llm_report_json(const llm_search *s)
{
    json_t *tensors = json_array(), *judged = json_array();
    const llm_judged *best = &s->judged[s->best];
    double total = llm_picks_loss(s, best->picks), median = median_sensitivity(s);
    for (int i = 0; i < s->count; i++)
        json_array_append_new(tensors, tensor_json(s, i, total, median));
    for (int i = 0; i < s->judged_count; i++)
        json_array_append_new(judged, judged_json(s, &s->judged[i]));
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:i, s:o, s:o}", "kind", "llm_types",
                     "model", s->model, "original_size", s->original_size, "original_perplexity",
                     s->original.perplexity.value, "original_perplexity_error",
                     s->original.perplexity.error, "judged_tokens", (json_int_t)s->original.tokens,
                     "probe_tokens", (json_int_t)s->probe_count, "best", s->best, "judged", judged,
                     "tensors", tensors);
}

/* ---- reading it back ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const json_t *best_of(const json_t *report)
{
    return json_array_get(json_object_get(report, "judged"), (size_t)number_of(report, "best"));
}

/* The tensors with the largest predicted divergence, most first. */
static int worst_of(const json_t *report, const json_t *worst[WORST])
{
    const json_t *tensors = json_object_get(report, "tensors");
    int count = 0;
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        const json_t *t = json_array_get(tensors, i);
        int at = count;
        while (at > 0 && number_of(worst[at - 1], "kld") < number_of(t, "kld"))
            at--;
        if (at == WORST)
            continue;
        count = ADZE_MIN(count + 1, (int)WORST);
        for (int k = count - 1; k > at; k--)
            worst[k] = worst[k - 1];
        worst[at] = t;
    }
    return count;
}

/* ---- text ---- */

static void row_text(adze_text *out, const json_t *j, bool best)
{
    char size[32];
    adze_text_printf(out, "%s %-24s %10s  %9.5f +- %.5f  %8.4f  %7.2f %%  %8.1f\n",
                     best ? "*" : " ", text_of(j, "name"),
                     adze_format_bytes(size, number_of(j, "size")), number_of(j, "kld"),
                     number_of(j, "kld_error"), number_of(j, "perplexity"),
                     100 * number_of(j, "same_top"), number_of(j, "tokens_per_s"));
}

void llm_report_text(adze_text *out, const json_t *report)
{
    const json_t *judged = json_object_get(report, "judged"), *best = best_of(report);
    const json_t *worst[WORST], *verdicts = json_object_get(best, "requirements");
    char size[32];
    adze_text_printf(out, "  %-24s %10s  %20s  %8s  %9s  %8s\n", "file", "size", "divergence",
                     "perplex.", "same top", "tokens/s");
    adze_text_printf(out, "  %-24s %10s  %20s  %8.4f\n", "original",
                     adze_format_bytes(size, number_of(report, "original_size")), "",
                     number_of(report, "original_perplexity"));
    for (size_t i = 0; i < json_array_size(judged); i++)
        row_text(out, json_array_get(judged, i), json_array_get(judged, i) == best);
    adze_text_puts(out, "\n");
    for (size_t i = 0; i < json_array_size(verdicts); i++)
        adze_text_printf(out, "  %s\n", text_of(json_array_get(verdicts, i), "text"));
    for (size_t i = 0; i < json_array_size(judged); i++) {
        const json_t *j = json_array_get(judged, i);
        if (json_is_true(json_object_get(j, "mix")))
            adze_text_printf(
                out, "  against %s, on the same tokens: divergence %+.5f (95 %%: %+.5f to %+.5f)\n",
                text_of(j, "name"), number_of(j, "best_less_this"),
                number_of(j, "best_less_this") - 1.96 * number_of(j, "best_less_this_error"),
                number_of(j, "best_less_this") + 1.96 * number_of(j, "best_less_this_error"));
    }
    int n = worst_of(report, worst);
    adze_text_puts(out, "\n  tensors that cost most\n");
    for (int i = 0; i < n; i++)
        adze_text_printf(out, "  %-28s %-7s %4.1f %% of the divergence: %s\n",
                         text_of(worst[i], "name"), text_of(worst[i], "type"),
                         100 * number_of(worst[i], "share"), text_of(worst[i], "why"));
}

/* ---- HTML ---- */

static void escaped(adze_text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            adze_text_puts(out, "&lt;");
        else if (*s == '&')
            adze_text_puts(out, "&amp;");
        else if (*s == '"')
            adze_text_puts(out, "&quot;");
        else
            adze_text_add(out, s, 1);
    }
}

static const char style[] =
    "<style>:root{color-scheme:light dark;--line:#8884;--mark:#2a7}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "td,th{padding:.3rem .6rem;border-bottom:1px solid "
    "var(--line);text-align:left;vertical-align:top}"
    "td.n,th.n{text-align:right}tr.best{font-weight:600}tr.best td:first-child{border-left:4px "
    "solid var(--mark)}"
    "small{opacity:.7}.bar{display:inline-block;height:.7em;background:var(--mark)}"
    "div.wide{overflow-x:auto}</style>";

static void judged_row(adze_text *out, const json_t *j, bool best)
{
    char size[32];
    adze_text_printf(out, "<tr%s><td>", best ? " class=best" : "");
    escaped(out, text_of(j, "name"));
    adze_text_printf(
        out,
        "</td><td class=n>%s</td><td class=n>%.5f <small>&plusmn; %.5f</small></td><td class=n>%.5f"
        "</td><td class=n>%.4f</td><td class=n>%.2f&thinsp;%%</td><td class=n>%.1f</td><td "
        "class=n>",
        adze_format_bytes(size, number_of(j, "size")), number_of(j, "kld"),
        1.96 * number_of(j, "kld_error"), number_of(j, "kld_p99"), number_of(j, "perplexity"),
        100 * number_of(j, "same_top"), number_of(j, "tokens_per_s"));
    if (!best)
        adze_text_printf(out, "%+.5f <small>&plusmn; %.5f</small>", number_of(j, "best_less_this"),
                         1.96 * number_of(j, "best_less_this_error"));
    adze_text_puts(out, "</td></tr>");
}

static void tensor_row(adze_text *out, const json_t *t, double most)
{
    char size[32];
    double share = number_of(t, "share");
    adze_text_puts(out, "<tr><td>");
    escaped(out, text_of(t, "name"));
    adze_text_printf(
        out,
        "</td><td>%s</td><td class=n>%s</td><td class=n>%.2f&thinsp;%%</td><td><span class=bar "
        "style=\"width:%.1fem\"></span> %.1f&thinsp;%%</td><td>",
        text_of(t, "type"), adze_format_bytes(size, number_of(t, "bytes")),
        100 * number_of(t, "error"), most > 0 ? 8 * share / most : 0, 100 * share);
    escaped(out, text_of(t, "why"));
    adze_text_puts(out, "</td></tr>");
}

static void tensor_table(adze_text *out, const json_t *report)
{
    const json_t *tensors = json_object_get(report, "tensors"), *worst[WORST];
    int n = worst_of(report, worst);
    double most = n > 0 ? number_of(worst[0], "share") : 0;
    static const char head[] =
        "<div class=wide><table><tr><th>tensor<th>type<th class=n>size<th class=n>error of "
        "its product<th>share of the divergence<th>why</tr>";
    adze_text_printf(out, "<h2>Tensors that cost most</h2>%s", head);
    for (int i = 0; i < n; i++)
        tensor_row(out, worst[i], most);
    adze_text_printf(out, "</table></div><h2>All tensors</h2>%s", head);
    for (size_t i = 0; i < json_array_size(tensors); i++)
        tensor_row(out, json_array_get(tensors, i), most);
    adze_text_puts(out, "</table></div>");
}

void llm_report_html(adze_text *out, const json_t *report)
{
    const json_t *judged = json_object_get(report, "judged"), *best = best_of(report);
    const json_t *verdicts = json_object_get(best, "requirements");
    adze_text_puts(out, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
                        "content=\"width=device-width\"><title>");
    escaped(out, text_of(report, "model"));
    adze_text_printf(out, "</title>%s<h1>", style);
    escaped(out, text_of(report, "model"));
    adze_text_puts(out, "</h1><ul>");
    for (size_t i = 0; i < json_array_size(verdicts); i++) {
        adze_text_puts(out, "<li>");
        escaped(out, text_of(json_array_get(verdicts, i), "text"));
    }
    adze_text_printf(
        out,
        "</ul><p>Judged on %.0f tokens that had no part in choosing; divergence is the mean "
        "Kullback&ndash;Leibler divergence from the original, intervals 95&thinsp;%%. Original: "
        "perplexity "
        "%.4f &plusmn; %.4f.</p>",
        number_of(report, "judged_tokens"), number_of(report, "original_perplexity"),
        1.96 * number_of(report, "original_perplexity_error"));
    adze_text_puts(
        out,
        "<div class=wide><table><tr><th>file<th class=n>size<th class=n>divergence<th class=n>99th "
        "percentile<th class=n>perplexity<th class=n>same top token<th class=n>tokens/s<th "
        "class=n>chosen less this</tr>");
    for (size_t i = 0; i < json_array_size(judged); i++)
        judged_row(out, json_array_get(judged, i), json_array_get(judged, i) == best);
    adze_text_puts(out, "</table></div>");
    tensor_table(out, report);
    adze_text_puts(out, "</html>\n");
}
