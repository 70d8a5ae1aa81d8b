/* LabelEncoder and CategoryMapper (ai.onnx.ml): a table from keys to values, strings or numbers. Preparation
 * sorts the keys; of equal keys the last one counts. And ZipMap, which puts labels beside scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/classic.h"

typedef struct entry {
    adze_string text; /* data NULL: a number */
    int64_t whole;
    double real; /* NaN equals NaN */
    int64_t place;
} entry;

typedef struct table {
    int64_t count;
    entry *entries;
    adze_tensor keys, values;
    adze_tensor otherwise; /* one element */
    int32_t
        *places; /* [span] of the keys from `lowest` on, when they are close integers; -1: none */
    int64_t lowest, span;
    union {
        adze_string text;
        int64_t whole;
        float real;
    } fallback; /* where `otherwise` points, unless a tensor says it */
} table;

/* ---- the lists of a node ---- */

static bool any_list(const adze_node *node, const char *const *names, adze_tensor *out)
{
    for (; *names; names++)
        if (adze_classic_list(node, *names, out))
            return true;
    return false;
}

static const char *const key_names[] = {"keys_tensor", "keys_strings", "keys_int64s", "keys_floats",
                                        NULL};
static const char *const value_names[] = {"values_tensor", "values_strings", "values_int64s",
                                          "values_floats", NULL};

/* Keys and values of any form; dtype_in tells the direction of the forms that have two. False: no table.
 * A key or value without bytes is the number of its place (LabelEncoder 1: classes_strings). */
static bool find_lists(const adze_node *node, adze_dtype dtype_in, adze_tensor *keys,
                       adze_tensor *values)
{
    bool from_strings = dtype_in == ADZE_STRING;
    if (any_list(node, key_names, keys))
        return any_list(node, value_names, values);
    adze_tensor strings, ints = {.dtype = ADZE_I64, .rank = 1};
    if (adze_classic_list(node, "cats_strings", &strings)) {
        if (!adze_classic_list(node, "cats_int64s", &ints))
            return false;
    } else if (adze_classic_list(node, "classes_strings", &strings)) {
        ints.dims[0] = strings.dims[0];
    } else {
        return false;
    }
    *keys = from_strings ? strings : ints;
    *values = from_strings ? ints : strings;
    return true;
}

static adze_status labels_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_infer_input(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    adze_tensor keys, values;
    if (x->dtype == ADZE_UNDEFINED)
        return ADZE_OK;
    if (!find_lists(node, x->dtype, &keys, &values) || keys.rank != 1 || values.rank != 1 ||
        keys.dims[0] != values.dims[0])
        return adze_ops_bad(node, err, "expected a list of keys and one of values, of one length");
    adze_type y = {.kind = ADZE_VALUE_TENSOR, .dtype = values.dtype, .rank = x->rank};
    memcpy(y.dims, x->dims, sizeof y.dims);
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* ---- the table ---- */

static bool is_label(adze_dtype dtype)
{
    return dtype == ADZE_STRING || dtype == ADZE_F32 || dtype == ADZE_F64 || dtype == ADZE_I64 ||
           dtype == ADZE_I32 || dtype == ADZE_I16;
}

static entry entry_of(const adze_tensor *t, int64_t i)
{
    entry e = {.place = i};
    if (t->dtype == ADZE_STRING) {
        e.text = ((const adze_string *)t->data)[i];
        e.text.data = e.text.data ? e.text.data : "";
    } else if (!t->data) {
        e.whole = i;
    } else if (adze_ops_is_float(t->dtype)) {
        e.real = adze_tensor_get_f64(t, i);
    } else {
        e.whole = adze_tensor_get_i64(t, i);
    }
    return e;
}

static int compare(const entry *a, const entry *b)
{
    if (a->text.data && b->text.data) {
        size_t n = ADZE_MIN(a->text.length, b->text.length);
        int order = n ? memcmp(a->text.data, b->text.data, n) : 0;
        return order ? order
                     : (a->text.length > b->text.length) - (a->text.length < b->text.length);
    }
    if (a->whole != b->whole)
        return a->whole > b->whole ? 1 : -1;
    if (isnan(a->real) || isnan(b->real))
        return (isnan(a->real) != 0) - (isnan(b->real) != 0);
    return (a->real > b->real) - (a->real < b->real);
}

static int by_key(const void *a, const void *b)
{
    return compare(a, b);
}

static int by_key_then_place(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    int order = compare(a, b);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static bool set_fallback(table *t, const adze_node *node)
{
    void *at = &t->fallback;
    adze_dtype dtype = t->values.dtype;
    if (adze_classic_list(node, "default_tensor", &t->otherwise))
        return t->otherwise.dtype == dtype && adze_tensor_elements(&t->otherwise) == 1;
    if (dtype == ADZE_STRING) {
        const char *text = adze_node_string(node, "default_string", "_Unused");
        t->fallback.text = (adze_string){text, strlen(text)};
    } else if (adze_ops_is_float(dtype)) {
        t->fallback.real = adze_node_float(node, "default_float", -0.0f);
        dtype = ADZE_F32;
    } else {
        t->fallback.whole = adze_node_int(node, "default_int64", -1);
        dtype = ADZE_I64;
    }
    t->otherwise = adze_tensor_view(dtype, 0, NULL, at);
    return true;
}

/* Of sorted keys. */
static adze_status make_places(adze_prepare *prepare, table *t, adze_error *err)
{
    bool whole = t->count > 0 && t->keys.dims[0] < INT32_MAX / 8 && t->keys.data &&
                 t->keys.dtype != ADZE_STRING && !adze_ops_is_float(t->keys.dtype);
    if (!whole)
        return ADZE_OK;
    t->lowest = t->entries[0].whole;
    uint64_t span = (uint64_t)t->entries[t->count - 1].whole - (uint64_t)t->lowest;
    if (span >= (uint64_t)t->count * 4 + 1024)
        return ADZE_OK;
    t->span = (int64_t)span + 1;
    t->places = adze_prepare_alloc(prepare, (size_t)t->span * sizeof *t->places);
    if (!t->places)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", adze_node_op(adze_prepare_node(prepare)));
    memset(t->places, 0xff, (size_t)t->span * sizeof *t->places);
    for (int64_t i = 0; i < t->count; i++)
        t->places[t->entries[i].whole - t->lowest] = (int32_t)t->entries[i].place;
    return ADZE_OK;
}

static adze_status labels_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    table *t = adze_prepare_alloc(prepare, sizeof *t);
    if (!t)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", adze_node_op(node));
    if (!find_lists(node, x->dtype, &t->keys, &t->values) || !is_label(t->keys.dtype) ||
        !is_label(t->values.dtype) || t->keys.dtype != x->dtype || x->quant)
        return adze_ops_unsupported(node, x->dtype, err);
    if (!set_fallback(t, node))
        return adze_ops_bad(node, err, "default_tensor is not one element of the values' type");
    int64_t n = t->keys.dims[0];
    t->entries = adze_prepare_alloc(prepare, ((size_t)n + 1) * sizeof *t->entries);
    if (!t->entries)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", adze_node_op(node));
    for (int64_t i = 0; i < n; i++)
        t->entries[i] = entry_of(&t->keys, i);
    qsort(t->entries, (size_t)n, sizeof *t->entries, by_key_then_place);
    for (int64_t i = 0; i < n; i++) {
        entry e = t->entries[i];
        t->count -= t->count && compare(&t->entries[t->count - 1], &e) == 0;
        t->entries[t->count++] = e;
    }
    adze_prepare_set(prepare, t);
    return make_places(prepare, t, err);
}

/* ---- running ---- */

static void put(adze_tensor *y, int64_t i, const adze_tensor *from, int64_t at)
{
    if (y->dtype == ADZE_STRING)
        ((adze_string *)y->data)[i] = ((const adze_string *)from->data)[at];
    else if (!from->data)
        adze_tensor_set_i64(y, i, at);
    else if (adze_ops_is_float(from->dtype))
        adze_tensor_set_f64(y, i, adze_tensor_get_f64(from, at));
    else
        adze_tensor_set_i64(y, i, adze_tensor_get_i64(from, at));
}

typedef struct labels_job {
    const table *t;
    const adze_tensor *x;
    adze_tensor *y;
} labels_job;

/* Keys that are integers close to each other: no search. */
static void close_labels(const labels_job *job, int64_t begin, int64_t end)
{
    const table *t = job->t;
    const int64_t *x = job->x->data, *values = t->values.data, *none = t->otherwise.data;
    const adze_tensor *y = job->y;
    bool plain = job->x->dtype == ADZE_I64 && y->dtype == ADZE_I64 && values &&
                 t->otherwise.dtype == ADZE_I64;
    for (int64_t i = begin; i < end; i++) {
        uint64_t at =
            (uint64_t)(plain ? x[i] : adze_tensor_get_i64(job->x, i)) - (uint64_t)t->lowest;
        int64_t place = at < (uint64_t)t->span ? t->places[at] : -1;
        if (plain)
            ((int64_t *)y->data)[i] = place < 0 ? *none : values[place];
        else
            put(job->y, i, place < 0 ? &t->otherwise : &t->values, ADZE_MAX(place, 0));
    }
}

static void labels_range(void *user, int64_t begin, int64_t end, int worker)
{
    const labels_job *job = user;
    ADZE_UNUSED(worker);
    if (job->t->places) {
        close_labels(job, begin, end);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        entry wanted = entry_of(job->x, i);
        const entry *found =
            bsearch(&wanted, job->t->entries, (size_t)job->t->count, sizeof wanted, by_key);
        put(job->y, i, found ? &job->t->values : &job->t->otherwise, found ? found->place : 0);
    }
}

static adze_status labels_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    labels_job job = {run->prepared, run->inputs[0], run->outputs[0]};
    adze_ops_parallel(run, adze_tensor_elements(job.x), 4096, labels_range, &job);
    return ADZE_OK;
}

/* ---- ZipMap: a map of labels to scores for each row ---- */

static adze_status zip_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    adze_labels labels = adze_classic_labels(node);
    if (labels.count == 0)
        return adze_ops_bad(node, err, "no class labels");
    if (x && (x->rank < 1 || x->rank > 2 ||
              (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != labels.count)))
        return adze_ops_bad(node, err, "the input must be [N, labels]");
    adze_type y = {.kind = ADZE_VALUE_SEQUENCE, .rank = -1};
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status zip_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    bool ok = x->dtype == ADZE_F32 || x->dtype == ADZE_F64;
    return ok ? ADZE_OK : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

/* A map is a sequence of two tensors: its keys and its values. */
static adze_status zip_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_labels labels = adze_classic_labels(run->node);
    int64_t rows = adze_classic_rows(x), n = labels.count;
    size_t row_bytes = (size_t)n * adze_ops_element(x->dtype);
    if (adze_classic_columns(x) != n || rows > INT32_MAX)
        return adze_ops_bad(run->node, err, "the input must be [N, labels]");
    adze_item *maps = adze_run_alloc(run, 0, ((size_t)rows * 3 + 1) * sizeof *maps);
    char *values = adze_run_alloc(run, 0, (size_t)rows * row_bytes + 1);
    if (!maps || !values)
        return adze_fail(err, ADZE_NO_MEMORY, "ZipMap '%s'", adze_node_name(run->node));
    memcpy(values, rows ? x->data : "", (size_t)rows * row_bytes);
    for (int64_t r = 0; r < rows; r++) {
        adze_item *pair = maps + rows + 2 * r;
        pair[0] = (adze_item){.tensor = labels.list};
        pair[1] = (adze_item){
            .tensor = adze_tensor_view(x->dtype, 1, &n, values + (size_t)r * row_bytes)};
        maps[r] = (adze_item){.kind = ADZE_VALUE_SEQUENCE, .count = 2, .items = pair};
    }
    run->output_items[0]->kind = ADZE_VALUE_SEQUENCE;
    run->output_items[0]->count = (int)rows;
    run->output_items[0]->items = maps;
    return ADZE_OK;
}

#define LABELS(op, v, list)                                                                        \
    {                                                                                              \
        .domain = "ai.onnx.ml", .name = op, .since = v, .min_inputs = 1, .max_inputs = 1,          \
        .min_outputs = 1, .max_outputs = 1, .attrs = list, .infer = labels_infer,                  \
        .prepare = labels_prepare, .run = labels_run                                               \
    }

const adze_op adze_ops_labels[] = {
    LABELS("LabelEncoder", 1,
           "classes_strings default_float default_int64 default_string default_tensor keys_floats "
           "keys_int64s keys_strings keys_tensor values_floats values_int64s values_strings "
           "values_tensor"),
    LABELS("CategoryMapper", 1, "cats_int64s cats_strings default_int64 default_string"),
    {.domain = "ai.onnx.ml",
     .name = "ZipMap",
     .since = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "classlabels_int64s classlabels_strings",
     .infer = zip_infer,
     .prepare = zip_prepare,
     .run = zip_run},
    {.name = NULL},
};
