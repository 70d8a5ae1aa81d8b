/* What an importance matrix says of each tensor: how much its columns differ, how many hardly matter, how alike
 * they are to the layer before. Statistics as llama-imatrix --show-statistics defines them: of the mean
 * squares a of the columns, their entropy is that of a / sum(a), "peaks" is the share of columns more than a
 * standard deviation above the mean. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "compress/imatrix.h"

typedef struct statistics {
    double sum, mean, least, most, deviation, active, entropy, peaks;
    double alike;            /* cosine to the same tensor one layer before; -1: none */
    int64_t columns, unseen; /* of experts that saw rows; experts that saw none */
} statistics;

static void first_moments(statistics *s, const adze_imatrix_entry *entry)
{
    double squares = 0;
    int64_t active = 0;
    s->least = INFINITY;
    for (int64_t e = 0; e < entry->experts; e++) {
        s->unseen += entry->counts[e] == 0;
        for (int64_t j = 0; j < entry->width && entry->counts[e] > 0; j++) {
            double a = entry->sums[e * entry->width + j] / (double)entry->counts[e];
            s->sum += a;
            squares += a * a;
            s->least = fmin(s->least, a);
            s->most = fmax(s->most, a);
            active += a > 1e-5;
            s->columns++;
        }
    }
    if (s->columns == 0) {
        s->least = 0;
        return;
    }
    double n = (double)s->columns;
    s->mean = s->sum / n;
    s->deviation = sqrt(fmax(0, squares / n - s->mean * s->mean));
    s->active = (double)active / n;
}

static void shape_of_columns(statistics *s, const adze_imatrix_entry *entry)
{
    int64_t peaks = 0;
    for (int64_t e = 0; e < entry->experts; e++)
        for (int64_t j = 0; j < entry->width && entry->counts[e] > 0; j++) {
            double a = entry->sums[e * entry->width + j] / (double)entry->counts[e];
            double p = s->sum > 0 ? a / s->sum : 0;
            s->entropy -= p > 0 ? p * log2(p) : 0;
            peaks += s->deviation > 0 && a - s->mean > s->deviation;
        }
    s->peaks = s->columns > 0 ? (double)peaks / (double)s->columns : 0;
}

static double cosine(const adze_imatrix_entry *a, const adze_imatrix_entry *b)
{
    double ab = 0, aa = 0, bb = 0;
    if (a->width * a->experts != b->width * b->experts)
        return -1;
    for (int64_t j = 0; j < a->width * a->experts; j++) {
        ab += a->sums[j] * b->sums[j];
        aa += a->sums[j] * a->sums[j];
        bb += b->sums[j] * b->sums[j];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : -1;
}

static double alike_the_layer_before(const adze_imatrix *imatrix, const adze_imatrix_entry *entry)
{
    int layer, rest = 0;
    char before[256];
    if (sscanf(entry->name, "blk.%d.%n", &layer, &rest) != 1 || rest == 0 || layer < 1 ||
        snprintf(before, sizeof before, "blk.%d.%s", layer - 1, entry->name + rest) >=
            (int)sizeof before)
        return -1;
    const adze_imatrix_entry *other = adze_imatrix_find(imatrix, before);
    return other ? cosine(entry, other) : -1;
}

static statistics statistics_of(const adze_imatrix *imatrix, const adze_imatrix_entry *entry)
{
    statistics s = {0};
    first_moments(&s, entry);
    shape_of_columns(&s, entry);
    s.alike = alike_the_layer_before(imatrix, entry);
    return s;
}

static json_t *entry_json(const adze_imatrix_entry *entry, const statistics *s)
{
    json_t *json =
        json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
                  entry->name, "columns", (json_int_t)entry->width, "experts",
                  (json_int_t)entry->experts, "experts_unseen", (json_int_t)s->unseen, "sum",
                  s->sum, "mean", s->mean, "min", s->least, "max", s->most, "deviation",
                  s->deviation, "active", s->active, "entropy", s->entropy, "peaks", s->peaks);
    if (json && s->alike >= 0)
        json_object_set_new(json, "cosine_to_layer_before", json_real(s->alike));
    return json;
}

static void entry_text(adze_text *text, const adze_imatrix_entry *entry, const statistics *s)
{
    adze_text_printf(text, "%-34s %7lld %10.4g %10.4g %10.4g %7.2f%% %8.3f %7.2f%%", entry->name,
                     (long long)(entry->width * entry->experts), s->mean, s->most, s->deviation,
                     100 * s->active, s->entropy, 100 * s->peaks);
    if (s->alike >= 0)
        adze_text_printf(text, " %7.4f", s->alike);
    if (s->unseen)
        adze_text_printf(text, "  (%lld of %lld experts saw nothing)", (long long)s->unseen,
                         (long long)entry->experts);
    adze_text_puts(text, "\n");
}

adze_status adze_imatrix_describe(const adze_imatrix *imatrix, char **json, char **text,
                                  adze_error *err)
{
    adze_text human = {0};
    json_t *entries = json_array(), *datasets = json_array();
    adze_text_printf(&human, "%-34s %7s %10s %10s %10s %8s %8s %8s %7s\n", "tensor", "columns",
                     "mean", "max", "deviation", "active", "entropy", "peaks", "cosine");
    for (int i = 0; i < imatrix->count; i++) {
        statistics s = statistics_of(imatrix, imatrix->entries[i]);
        json_array_append_new(entries, entry_json(imatrix->entries[i], &s));
        entry_text(&human, imatrix->entries[i], &s);
    }
    for (int i = 0; i < imatrix->dataset_count; i++) {
        const adze_string *name = &imatrix->datasets[i];
        size_t readable = adze_utf8_valid_prefix(name->data, name->length);
        json_array_append_new(datasets, json_stringn(name->data, readable));
    }
    adze_text_printf(&human, "\n%d tensors, %lld chunks\n", imatrix->count,
                     (long long)adze_imatrix_chunks(imatrix));
    json_t *root = json_pack(
        "{s:I, s:I, s:o, s:o}", "chunks", (json_int_t)adze_imatrix_chunks(imatrix), "chunk_size",
        (json_int_t)imatrix->chunk_size, "datasets", datasets, "tensors", entries);
    return adze_json_report(json, text, root, &human, err);
}
