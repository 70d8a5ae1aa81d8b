/* Words about a quantization: a line for each tensor, then for each type what it took and gave. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "compress/llm_stream_impl.h"

static double elements_of(const adze_llm_tensor_report *t)
{
    return (double)adze_shape_elements(t->rank, t->dims);
}

static bool needs_matrix(const adze_llm_quantization *q)
{
    for (int i = 0; i < q->count; i++) {
        const adze_llm_tensor_report *t = &q->work[i].report;
        if (t->needs_matrix && !t->has_matrix && t->from != t->to)
            return true;
    }
    return false;
}

/* ---- JSON ---- */

static json_t *tensor_json(const adze_llm_tensor_report *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->dims[i]));
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:b, s:b}", "name", t->name, "from",
                  adze_llm_type_name(t->from), "to", adze_llm_type_name(t->to), "shape", shape,
                  "bytes_before", (json_int_t)t->bytes_before, "bytes", (json_int_t)t->bytes,
                  "fallback", t->fallback, "matrix", t->has_matrix);
    if (json && t->error >= 0)
        json_object_set_new(json, "error", json_real(t->error));
    return json;
}

static json_t *quantization_json(const adze_llm_quantization *q, double seconds, double elements)
{
    json_t *tensors = json_array();
    for (int i = 0; tensors && i < q->count; i++)
        json_array_append_new(tensors, tensor_json(&q->work[i].report));
    json_t *json = json_pack(
        "{s:s, s:s, s:I, s:I, s:f, s:I, s:b, s:f, s:o}", "source",
        adze_checkpoint_path(q->checkpoint), "type",
        q->file < ADZE_LLM_FILE_COUNT ? adze_llm_files[q->file].name : "COPY", "bytes_before",
        (json_int_t)q->bytes_before, "bytes", (json_int_t)q->bytes, "bits_per_weight",
        elements > 0 ? (double)q->bytes * 8 / elements : 0, "memory", (json_int_t)q->cut.memory,
        "needs_imatrix", needs_matrix(q), "resumed", q->resumed, "tensors", tensors);
    if (json && seconds >= 0)
        json_object_set_new(json, "seconds", json_real(seconds));
    return json;
}

/* ---- text ---- */

static void tensor_text(adze_text *text, const adze_llm_tensor_report *t)
{
    char shape[64] = "", before[32], after[32];
    size_t n = 0;
    for (int i = 0; i < t->rank && n < sizeof shape; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%lld", i ? "x" : "",
                              (long long)t->dims[i]);
    adze_text_printf(text, "%-36s %-16s %7s", t->name, shape, adze_llm_type_name(t->from));
    if (t->from == t->to)
        adze_text_printf(text, " %10s  %s", "", adze_format_bytes(after, (double)t->bytes));
    else
        adze_text_printf(text, " -> %7s  %s -> %s", adze_llm_type_name(t->to),
                         adze_format_bytes(before, (double)t->bytes_before),
                         adze_format_bytes(after, (double)t->bytes));
    if (t->error >= 0)
        adze_text_printf(text, "  error %.4f %%", t->error * 100);
    if (t->fallback)
        adze_text_puts(text, "  (row does not divide into larger blocks)");
    if (t->from != t->to && t->needs_matrix && !t->has_matrix)
        adze_text_puts(text, "  (needs an importance matrix)");
    adze_text_puts(text, "\n");
}

static void types_text(adze_text *text, const adze_llm_quantization *q)
{
    char bytes[32], count[32];
    for (int to = 0; to < ADZE_DTYPE_COUNT; to++) {
        double elements = 0, size = 0;
        int tensors = 0;
        for (int i = 0; i < q->count; i++) {
            const adze_llm_tensor_report *t = &q->work[i].report;
            if (t->to != (adze_dtype)to)
                continue;
            tensors++;
            elements += elements_of(t);
            size += (double)t->bytes;
        }
        if (tensors)
            adze_text_printf(text, "%7s  %4d tensors  %10s weights  %10s\n",
                             adze_llm_type_name((adze_dtype)to), tensors,
                             adze_format_count(count, elements), adze_format_bytes(bytes, size));
    }
}

static void quantization_text(adze_text *text, const adze_llm_quantization *q, double seconds,
                              double elements)
{
    char before[32], after[32], memory[32];
    for (int i = 0; i < q->count; i++)
        tensor_text(text, &q->work[i].report);
    adze_text_puts(text, "\n");
    types_text(text, q);
    adze_text_printf(text, "\n%s -> %s (%.2f bits per weight), at most %s of memory",
                     adze_format_bytes(before, (double)q->bytes_before),
                     adze_format_bytes(after, (double)q->bytes),
                     elements > 0 ? (double)q->bytes * 8 / elements : 0,
                     adze_format_bytes(memory, (double)q->cut.memory));
    if (seconds >= 0)
        adze_text_printf(text, ", %.1f s with %d threads", seconds, q->cut.workers);
    adze_text_puts(text, needs_matrix(q) ? "; an importance matrix is needed\n" : "\n");
}

adze_status adze_llm_quantization_describe(const adze_llm_quantization *q, double seconds,
                                           char **json, char **text, adze_error *err)
{
    adze_text human = {0};
    double elements = 0;
    for (int i = 0; i < q->count; i++)
        elements += elements_of(&q->work[i].report);
    quantization_text(&human, q, seconds, elements);
    return adze_json_report(json, text, quantization_json(q, seconds, elements), &human, err);
}
