/* An evaluation as JSON and for people. */
#include "base/json.h"
#include "eval/evaluation_impl.h"

enum { MOST_SHOWN = 20 }; /* classes in the text's confusion matrix */

static json_t *estimate_json(const adze_estimate *e)
{
    return json_pack("{s:f,s:f,s:f,s:I}", "value", e->value, "low", e->low, "high", e->high, "n",
                     (json_int_t)e->samples);
}

static json_t *metrics_json(const adze_evaluation *e)
{
    json_t *metrics = json_object();
    for (int m = 0; m < ADZE_METRIC_COUNT; m++)
        if (e->known[m])
            json_object_set_new(metrics, adze_gate_metric_name((adze_gate_metric)m),
                                estimate_json(&e->values[m]));
    return metrics;
}

static const char *class_name(const adze_dataset *dataset, int64_t index, char buf[24])
{
    const char *name = dataset ? adze_dataset_class_name(dataset, index) : NULL;
    if (name)
        return name;
    (void)snprintf(buf, 24, "%lld", (long long)index);
    return buf;
}

static json_t *classes_json(const adze_evaluation *e, const adze_dataset *dataset)
{
    json_t *list = json_array();
    char buf[24];
    for (int64_t i = 0; i < adze_metrics_classes(e->metrics); i++) {
        adze_class_metrics c = adze_metrics_class(e->metrics, i);
        json_array_append_new(
            list, json_pack("{s:s,s:I,s:I,s:o,s:o,s:o}", "class", class_name(dataset, i, buf),
                            "support", (json_int_t)c.support, "predicted", (json_int_t)c.predicted,
                            "precision", estimate_json(&c.precision), "recall",
                            estimate_json(&c.recall), "f1", estimate_json(&c.f1)));
    }
    return list;
}

static json_t *confusion_json(const adze_evaluation *e)
{
    json_t *rows = json_array();
    int64_t classes = adze_metrics_classes(e->metrics);
    for (int64_t i = 0; i < classes; i++) {
        json_t *row = json_array();
        for (int64_t k = 0; k < classes; k++)
            json_array_append_new(row, json_integer((json_int_t)e->confusion[i * classes + k]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void print_metrics(adze_text *t, const adze_evaluation *e)
{
    char value[48], low[48], high[48];
    for (int m = 0; m < ADZE_METRIC_COUNT; m++) {
        if (!e->known[m])
            continue;
        adze_gate_metric metric = (adze_gate_metric)m;
        const adze_estimate *v = &e->values[m];
        adze_text_printf(t, "%-10s %10s   95 %%: %s to %s\n", adze_gate_metric_name(metric),
                         adze_gate_format(metric, v->value, value),
                         adze_gate_format(metric, v->low, low),
                         adze_gate_format(metric, v->high, high));
    }
}

static void print_classes(adze_text *t, const adze_evaluation *e, const adze_dataset *dataset)
{
    char buf[24];
    adze_text_printf(t, "\n%-20s %8s %10s %8s %8s\n", "class", "samples", "precision", "recall",
                     "F1");
    for (int64_t i = 0; i < adze_metrics_classes(e->metrics); i++) {
        adze_class_metrics c = adze_metrics_class(e->metrics, i);
        if (c.support || c.predicted)
            adze_text_printf(t, "%-20.20s %8lld %8.2f %% %6.2f %% %6.2f %%\n",
                             class_name(dataset, i, buf), (long long)c.support,
                             100 * c.precision.value, 100 * c.recall.value, 100 * c.f1.value);
    }
}

static void print_confusion(adze_text *t, const adze_evaluation *e)
{
    int64_t classes = adze_metrics_classes(e->metrics);
    if (classes > MOST_SHOWN)
        return;
    adze_text_puts(t, "\nconfusion (row: label, column: prediction)\n     ");
    for (int64_t k = 0; k < classes; k++)
        adze_text_printf(t, " %6lld", (long long)k);
    for (int64_t i = 0; i < classes; i++) {
        adze_text_printf(t, "\n%5lld", (long long)i);
        for (int64_t k = 0; k < classes; k++)
            adze_text_printf(t, " %6lld", (long long)e->confusion[i * classes + k]);
    }
    adze_text_puts(t, "\n");
}

/* ---- against the original, and verdicts ---- */

static void add_differences(json_t *root, adze_text *t, const adze_evaluation *candidate,
                            const adze_evaluation *original)
{
    json_t *all = json_object();
    for (int m = 0; m < ADZE_METRIC_COUNT; m++) {
        adze_gate_metric metric = (adze_gate_metric)m;
        adze_estimate d;
        if (adze_evaluation_difference(&d, candidate, original, metric, 1, NULL) != ADZE_OK)
            continue;
        char value[48], low[48], high[48];
        json_object_set_new(all, adze_gate_metric_name(metric), estimate_json(&d));
        adze_text_printf(t, "%s%-10s %10s   95 %%: %s to %s\n",
                         json_object_size(all) == 1 ? "\ndifference to the original\n" : "",
                         adze_gate_metric_name(metric), adze_gate_format(metric, d.value, value),
                         adze_gate_format(metric, d.low, low),
                         adze_gate_format(metric, d.high, high));
    }
    json_object_set_new(root, "difference", all);
    if (candidate->labelled && original->labelled)
        json_object_set_new(root, "mcnemar_p",
                            json_real(adze_evaluation_mcnemar(candidate, original)));
}

static json_t *judge_all(adze_text *t, adze_requirements *requirements, const adze_facts *candidate,
                         const adze_facts *original)
{
    json_t *list = json_array();
    requirements->passed = true;
    adze_text_puts(t, requirements->count ? "\n" : "");
    for (int i = 0; i < requirements->count; i++) {
        const adze_gate *gate = &requirements->gates[i];
        adze_gate_result r = adze_facts_judge(gate, candidate, original);
        json_t *o = json_pack("{s:s,s:s,s:s}", "require", gate->text, "verdict",
                              adze_verdict_name(r.verdict), "text", r.text);
        if (o && r.measured)
            (void)json_object_update_new(
                o,
                json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:f}", "value", r.value.value, "low",
                          r.value.low, "high", r.value.high, "limit", r.limit, "margin", r.margin,
                          "margin_low", r.margin_low, "margin_high", r.margin_high, "more_samples",
                          (json_int_t)r.more_samples, "more_seconds", r.more_seconds));
        json_array_append_new(list, o);
        adze_text_printf(t, "%s\n", r.text);
        requirements->passed = requirements->passed && r.verdict == ADZE_VERDICT_PASS;
    }
    return list;
}

static json_t *describe(adze_text *t, const adze_evaluation *e, const adze_dataset *dataset)
{
    json_t *root =
        json_pack("{s:I,s:I,s:o}", "samples", (json_int_t)adze_evaluation_samples(e), "classes",
                  (json_int_t)adze_metrics_classes(e->metrics), "metrics", metrics_json(e));
    adze_text_printf(t, "%lld samples\n", (long long)adze_evaluation_samples(e));
    print_metrics(t, e);
    if (e->confusion && root) {
        json_object_set_new(root, "per_class", classes_json(e, dataset));
        json_object_set_new(root, "confusion", confusion_json(e));
        print_classes(t, e, dataset);
        print_confusion(t, e);
    }
    return root;
}

adze_status adze_facts_report(char **json, char **text, const adze_facts *candidate,
                              const adze_facts *original, adze_requirements *requirements,
                              const adze_dataset *dataset, adze_error *err)
{
    adze_text t = {0};
    if (!candidate->evaluation)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "a report needs an evaluation");
    json_t *root = describe(&t, candidate->evaluation, dataset);
    if (root && original && original->evaluation)
        add_differences(root, &t, candidate->evaluation, original->evaluation);
    if (root && requirements)
        json_object_set_new(root, "requirements", judge_all(&t, requirements, candidate, original));
    return adze_json_report(json, text, root, &t, err);
}

adze_status adze_evaluation_format(char **json, char **text, const adze_evaluation *e,
                                   const adze_dataset *dataset, adze_error *err)
{
    adze_facts facts = {.evaluation = e};
    return adze_facts_report(json, text, &facts, NULL, NULL, dataset, err);
}
