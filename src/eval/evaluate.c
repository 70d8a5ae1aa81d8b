/* Running a model over a data set. Data sets give samples, models want tensors of the shape they were
 * exported with: the two agree when a sample has as many elements as the model takes per sample. */
#include <string.h>

#include "base/memory.h"
#include "eval/evaluation_impl.h"
#include "graph/ir.h"
#include "tensor/dtype.h"

enum { DEFAULT_BATCH = 32, MOST_CONFUSED = 4096 };
static const size_t default_keep = (size_t)512 << 20;

typedef struct evaluator {
    const adze_plan *plan;
    const adze_graph *graph;
    const adze_dataset *dataset;
    const adze_evaluation *original;
    const adze_evaluate_options *options;
    adze_evaluation *result;
    adze_session *session;
    int64_t total, batch;
    bool fixed_batch; /* of the model: the last run is filled up */
    int output;
    const char *expected;      /* name of the expected output, NULL: none */
    int64_t *indices, *labels; /* [batch] */
    adze_tensor *inputs;       /* [input_count] as the data set gives them */
    adze_tensor *shaped;       /* the same bytes as the model wants them */
    adze_tensor *outputs;
    adze_tensor reference;
    adze_error *err;
} evaluator;

adze_evaluate_options adze_evaluate_options_default(void)
{
    return (adze_evaluate_options){.batch = DEFAULT_BATCH, .keep_bytes = default_keep};
}

/* ---- what fits what ---- */

/* The first dimension of the inputs: the batch when symbolic, and how large it may be. */
static void choose_batch(evaluator *e)
{
    e->batch = e->options->batch > 0 ? e->options->batch : DEFAULT_BATCH;
    for (int i = 0; i < e->graph->input_count; i++) {
        const adze_type *type = &e->graph->inputs[i]->type;
        if (type->rank < 1)
            continue;
        int64_t upper = adze_dim_upper(e->graph->dims, type->dims[0]);
        if (type->dims[0] >= 0) {
            e->batch = ADZE_MAX(type->dims[0], 1);
            e->fixed_batch = true;
            return;
        }
        e->batch = ADZE_MAX(ADZE_MIN(e->batch, upper), 1);
    }
    e->batch = ADZE_MIN(e->batch, ADZE_MAX(e->total, 1));
}

/* Models without a batch dimension take one sample as it is: all inputs fixed, and the first sample has
 * as many elements as the whole input. */
static adze_status check_unbatched(evaluator *e)
{
    const adze_type *type = &e->graph->inputs[0]->type;
    int64_t whole = type->rank < 0 ? -1 : adze_shape_elements(type->rank, type->dims);
    if (!e->fixed_batch || e->batch == 1 || whole < 0)
        return ADZE_OK;
    const char *name = e->graph->input_count == 1 ? NULL : e->graph->inputs[0]->name;
    adze_tensor sample = {0};
    int64_t first = 0;
    adze_status status = adze_dataset_read_as(
        &sample, type->dtype, e->dataset, adze_dataset_input_count(e->dataset) == 1 ? NULL : name,
        &first, 1, e->err);
    if (status == ADZE_OK && adze_tensor_elements(&sample) == whole)
        e->batch = 1;
    adze_tensor_free(&sample);
    return status;
}

static adze_status find_output(evaluator *e)
{
    const char *name = e->options->output;
    for (int i = 0; i < e->graph->output_count; i++)
        if (!name || strcmp(e->graph->outputs[i]->name, name) == 0) {
            e->output = i;
            return ADZE_OK;
        }
    return adze_fail(e->err, ADZE_BAD_ARGUMENT, "the model has no output '%s'; its first is '%s'",
                     name ? name : "",
                     e->graph->output_count ? e->graph->outputs[0]->name : "(none)");
}

static void find_expected(evaluator *e)
{
    const char *name = e->graph->outputs[e->output]->name;
    int count = adze_dataset_expected_count(e->dataset);
    for (int i = 0; i < count; i++) {
        const char *other = adze_dataset_expected_name(e->dataset, i);
        if (!other[0] || strcmp(other, name) == 0 || count == 1)
            e->expected = other;
    }
}

/* The data's bytes with the shape that the model says, where numbers of elements agree. */
static adze_tensor shaped_as(const adze_type *type, const adze_tensor *data)
{
    int64_t dims[ADZE_MAX_RANK], n = 1;
    adze_tensor as_is = adze_tensor_view(data->dtype, data->rank, data->dims, data->data);
    if (type->rank < 0)
        return as_is;
    for (int k = 0; k < type->rank; k++) {
        bool batch = k == 0 && type->dims[0] < 0;
        dims[k] = batch ? data->dims[0] : type->dims[k];
        if (dims[k] < 0)
            return as_is;
        n *= dims[k];
    }
    bool fits = n == adze_tensor_elements(data);
    return fits ? adze_tensor_view(data->dtype, type->rank, dims, data->data) : as_is;
}

static adze_status read_input(evaluator *e, int i, int64_t count)
{
    const adze_value *value = e->graph->inputs[i];
    bool only = e->graph->input_count == 1 && adze_dataset_input_count(e->dataset) == 1;
    adze_status status = adze_dataset_read_as(&e->inputs[i], value->type.dtype, e->dataset,
                                              only ? NULL : value->name, e->indices, count, e->err);
    if (status != ADZE_OK)
        return status;
    e->shaped[i] = shaped_as(&value->type, &e->inputs[i]);
    return ADZE_OK;
}

/* ---- one run ---- */

/* Rows of an output: its first dimension is the batch, or it is that of a single sample. */
static adze_status rows_of(evaluator *e, const adze_tensor *output, int64_t count,
                           adze_tensor *rows)
{
    int64_t elements = adze_tensor_elements(output), filled = e->fixed_batch ? e->batch : count;
    char text[160];
    bool batched = output->rank > 0 && output->dims[0] == filled;
    if (elements < 1 || (!batched && filled != 1))
        return adze_fail(e->err, ADZE_BAD_DATA,
                         "output '%s' is %s: expected a first dimension of %lld, the batch",
                         e->graph->outputs[e->output]->name,
                         adze_tensor_format(output, text, sizeof text), (long long)filled);
    int64_t dims[2] = {count, elements / filled};
    int64_t wide = 0; /* dimensions of a sample that are more than 1 */
    for (int k = batched ? 1 : 0; k < output->rank; k++)
        wide += output->dims[k] > 1;
    e->result->vector = wide <= 1;
    e->result->width = dims[1];
    *rows = adze_tensor_view(output->dtype, 2, dims, output->data);
    return ADZE_OK;
}

static adze_status keep_rows(evaluator *e, const adze_tensor *rows, int64_t done)
{
    adze_evaluation *r = e->result;
    int64_t width = r->width;
    if (!e->options->keep_outputs)
        return ADZE_OK;
    if (!r->outputs) {
        size_t bytes, most = e->options->keep_bytes ? e->options->keep_bytes : default_keep;
        if (!adze_mul_size(&bytes, (size_t)e->total, (size_t)width * sizeof(float)) || bytes > most)
            return adze_fail(e->err, ADZE_LIMIT,
                             "%lld outputs of %lld numbers are more than %zu bytes to keep: use "
                             "fewer samples",
                             (long long)e->total, (long long)width, most);
        r->outputs = adze_alloc((size_t)(e->total * width), sizeof(float));
        if (!r->outputs)
            return adze_fail(e->err, ADZE_NO_MEMORY, "no memory to keep outputs");
    }
    for (int64_t i = 0; i < rows->dims[0]; i++)
        adze_row_to_f32(rows->dtype, rows->data, i * width, width, r->outputs + (done + i) * width);
    return ADZE_OK;
}

/* The outputs to compare with: expected ones, else the original's. *out NULL: none. */
static adze_status find_reference(evaluator *e, int64_t done, int64_t count,
                                  const adze_tensor **out, adze_tensor *view)
{
    *out = NULL;
    if (e->expected) {
        ADZE_TRY(adze_dataset_read_expected(&e->reference, e->dataset, e->expected, e->indices,
                                            count, e->err));
        *out = &e->reference;
    } else if (e->original && e->original->outputs) {
        int64_t dims[2] = {count, e->original->width};
        *view = adze_tensor_view(ADZE_F32, 2, dims, e->original->outputs + done * dims[1]);
        *out = view;
    }
    return ADZE_OK;
}

static adze_status run_batch(evaluator *e, int64_t done, int64_t count)
{
    const adze_tensor *reference;
    adze_tensor rows, view;
    int64_t filled = e->fixed_batch ? e->batch : count;
    for (int64_t i = 0; i < filled; i++)
        e->indices[i] = done + ADZE_MIN(i, count - 1);
    for (int i = 0; i < e->graph->input_count; i++)
        ADZE_TRY(read_input(e, i, filled));
    ADZE_TRY(adze_session_run(e->session, e->shaped, e->outputs, e->err));
    ADZE_TRY(rows_of(e, &e->outputs[e->output], count, &rows));
    ADZE_TRY(keep_rows(e, &rows, done));
    ADZE_TRY(find_reference(e, done, count, &reference, &view));
    for (int64_t i = 0; i < count && e->result->labelled; i++)
        e->labels[i] = adze_dataset_label(e->dataset, done + i);
    return adze_metrics_add(e->result->metrics, &rows, e->result->labelled ? e->labels : NULL,
                            reference, e->err);
}

static adze_status run_all(evaluator *e)
{
    for (int64_t done = 0; done < e->total;) {
        int64_t count = ADZE_MIN(e->batch, e->total - done);
        adze_status status = run_batch(e, done, count);
        if (status != ADZE_OK)
            return adze_wrap(e->err, status, "%s, sample %lld", adze_dataset_path(e->dataset),
                             (long long)done);
        done += count;
        if (e->options->progress && !e->options->progress(e->options->user, done, e->total))
            return adze_fail(e->err, ADZE_CANCELLED, "cancelled after %lld of %lld samples",
                             (long long)done, (long long)e->total);
    }
    return ADZE_OK;
}

/* ---- results ---- */

static void agree(adze_evaluation *r, const adze_evaluation *original)
{
    const int32_t *a = adze_metrics_predicted(r->metrics);
    const int32_t *b = adze_metrics_predicted(original->metrics);
    int64_t n = adze_metrics_count(r->metrics), same = 0;
    if (!r->vector || r->width < 2 || n != adze_metrics_count(original->metrics))
        return;
    for (int64_t i = 0; i < n; i++)
        same += a[i] >= 0 && a[i] == b[i];
    r->known[ADZE_METRIC_agreement] = true;
    r->values[ADZE_METRIC_agreement] = adze_proportion(same, n);
}

static adze_status summarize(evaluator *e)
{
    adze_evaluation *r = e->result;
    int64_t classes = adze_metrics_classes(r->metrics);
    for (int m = 0; m < ADZE_METRIC_COUNT; m++)
        if (m != ADZE_METRIC_agreement)
            r->known[m] = adze_metrics_get(&r->values[m], r->metrics, (adze_gate_metric)m);
    if (e->original)
        agree(r, e->original);
    if (!r->labelled || classes > MOST_CONFUSED)
        return ADZE_OK;
    r->confusion = adze_alloc((size_t)(classes * classes), sizeof *r->confusion);
    if (!r->confusion)
        return adze_fail(e->err, ADZE_NO_MEMORY, "no memory for the confusion matrix");
    adze_metrics_confusion(r->metrics, r->confusion);
    return ADZE_OK;
}

static adze_status prepare(evaluator *e)
{
    size_t inputs = (size_t)e->graph->input_count + 1, outputs = (size_t)e->graph->output_count + 1;
    if (e->graph->input_count < 1 || e->total < 1)
        return adze_fail(e->err, ADZE_BAD_DATA, "%s: no samples, or the model has no input",
                         adze_dataset_path(e->dataset));
    if (e->original && adze_evaluation_samples(e->original) != e->total)
        return adze_fail(e->err, ADZE_BAD_ARGUMENT,
                         "the original was evaluated on %lld samples, these are %lld",
                         (long long)adze_evaluation_samples(e->original), (long long)e->total);
    ADZE_TRY(find_output(e));
    find_expected(e);
    choose_batch(e);
    ADZE_TRY(check_unbatched(e));
    e->result = adze_alloc(1, sizeof *e->result);
    e->indices = adze_alloc((size_t)e->batch, sizeof *e->indices);
    e->labels = adze_alloc((size_t)e->batch, sizeof *e->labels);
    e->inputs = adze_alloc(inputs, sizeof *e->inputs);
    e->shaped = adze_alloc(inputs, sizeof *e->shaped);
    e->outputs = adze_alloc(outputs, sizeof *e->outputs);
    if (!e->result || !e->indices || !e->labels || !e->inputs || !e->shaped || !e->outputs)
        return adze_fail(e->err, ADZE_NO_MEMORY, "no memory to evaluate");
    e->result->labelled = adze_dataset_has_labels(e->dataset);
    ADZE_TRY(adze_metrics_open(&e->result->metrics, e->err));
    return adze_session_open(&e->session, e->plan, NULL, e->err);
}

static void clean_up(evaluator *e)
{
    for (int i = 0; e->inputs && i < e->graph->input_count; i++)
        adze_tensor_free(&e->inputs[i]);
    adze_tensor_free(&e->reference);
    adze_session_close(&e->session);
    adze_free(e->indices);
    adze_free(e->labels);
    adze_free(e->inputs);
    adze_free(e->shaped);
    adze_free(e->outputs);
}

adze_status adze_evaluate(adze_evaluation **out, const adze_plan *plan, const adze_dataset *dataset,
                          const adze_evaluation *original, const adze_evaluate_options *options,
                          adze_error *err)
{
    adze_evaluate_options defaults = adze_evaluate_options_default();
    evaluator e = {.plan = plan,
                   .graph = adze_plan_graph(plan),
                   .dataset = dataset,
                   .original = original,
                   .options = options ? options : &defaults,
                   .total = adze_dataset_count(dataset),
                   .err = err};
    if (e.options->limit > 0)
        e.total = ADZE_MIN(e.total, e.options->limit);
    adze_status status = prepare(&e);
    if (status == ADZE_OK)
        status = run_all(&e);
    if (status == ADZE_OK)
        status = summarize(&e);
    clean_up(&e);
    if (status == ADZE_OK)
        *out = e.result;
    else
        adze_evaluation_free(&e.result);
    return status;
}
