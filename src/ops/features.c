/* Preparing features for classic models (ai.onnx.ml): scaling, imputing, selecting, encoding. Small rows,
 * plain loops in double precision. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

static bool is_number(const adze_tensor *t)
{
    adze_kind kind = adze_dtype_describe(t->dtype)->kind;
    return !t->quant &&
           (kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT);
}

static adze_status numbers_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    for (int i = 0; i < adze_node_input_count(node); i++) {
        const adze_tensor *x = adze_prepare_input(prepare, i);
        if (x && !is_number(x))
            return adze_ops_unsupported(node, x->dtype, err);
    }
    return ADZE_OK;
}

/* Output 0: float32 of the shape of input 0. */
static adze_status float_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x)
        adze_infer_set_tensor(infer, 0, ADZE_F32, x->rank, x->dims);
    return ADZE_OK;
}

/* Features are the last axis. */
static int64_t features_of(const adze_tensor *x)
{
    return x->rank ? x->dims[x->rank - 1] : 1;
}

/* ---- Binarizer ---- */

static adze_status binarizer_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    double threshold = (double)adze_node_float(run->node, "threshold", 0);
    for (int64_t i = 0; i < adze_tensor_elements(run->inputs[0]); i++)
        adze_tensor_set_f64(run->outputs[0], i,
                            adze_tensor_get_f64(run->inputs[0], i) > threshold ? 1 : 0);
    return ADZE_OK;
}

/* ---- Scaler ---- */

static adze_status bad_length(const adze_run *run, const char *attr, int n, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s has %d numbers, the input %lld features",
                     adze_node_op(run->node), adze_node_name(run->node), attr, n,
                     (long long)features_of(run->inputs[0]));
}

static adze_status scaler_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int scales, offsets;
    const float *scale = adze_node_floats(run->node, "scale", &scales);
    const float *offset = adze_node_floats(run->node, "offset", &offsets);
    int64_t features = features_of(x), n = adze_tensor_elements(x);
    if (scales > 1 && scales != features)
        return bad_length(run, "scale", scales, err);
    if (offsets > 1 && offsets != features)
        return bad_length(run, "offset", offsets, err);
    static const float none[2] = {0, 1};
    const float *o = offsets ? offset : &none[0], *s = scales ? scale : &none[1];
    int64_t o_step = offsets > 1, s_step = scales > 1;
    float *y = run->outputs[0]->data;
    for (int64_t i = 0; i < n; i += features)
        for (int64_t k = 0; k < features; k++)
            y[i + k] =
                (float)((adze_ops_get(x, i + k) - (double)o[k * o_step]) * (double)s[k * s_step]);
    return ADZE_OK;
}

/* ---- Normalizer ---- */

static const char *const norms[] = {"MAX", "L1", "L2", NULL};

static adze_status normalizer_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    if (adze_ops_choice(norms, adze_node_string(node, "norm", "MAX")) < 0)
        return adze_ops_bad(node, err, "norm must be MAX, L1 or L2");
    return numbers_prepare(prepare, err);
}

static adze_status normalizer_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    int norm = adze_ops_choice(norms, adze_node_string(run->node, "norm", "MAX"));
    float *y = run->outputs[0]->data;
    int64_t n = adze_tensor_elements(x), features = features_of(x);
    for (int64_t row = 0; row < n; row += features) {
        double size = norm == 0 ? -INFINITY : 0;
        for (int64_t i = row; i < row + features; i++) {
            double v = adze_ops_get(x, i);
            size = norm == 0 ? (v > size ? v : size) : size + (norm == 1 ? fabs(v) : v * v);
        }
        size = norm == 2 ? sqrt(size) : size;
        for (int64_t i = row; i < row + features; i++) {
            double v = adze_ops_get(x, i);
            y[i] = (float)(size != 0 ? v / size : v);
        }
    }
    return ADZE_OK;
}

/* ---- Imputer ---- */

static adze_status imputer_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int floats, ints;
    const float *real = adze_node_floats(run->node, "imputed_value_floats", &floats);
    const int64_t *whole = adze_node_ints(run->node, "imputed_value_int64s", &ints);
    bool use_real = adze_ops_is_float(x->dtype);
    int count = use_real ? floats : ints;
    int64_t n = adze_tensor_elements(x), features = features_of(x);
    if (count < 1)
        return adze_ops_bad(run->node, err, "no imputed values for an input of this type");
    if (count > 1 && count != features)
        return bad_length(run, "the list of imputed values", count, err);
    double gone = (double)adze_node_float(run->node, "replaced_value_float", 0);
    int64_t gone_whole = adze_node_int(run->node, "replaced_value_int64", 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = count > 1 ? i % features : 0;
        if (use_real) {
            double v = adze_tensor_get_f64(x, i);
            bool replace = v == gone || (isnan(v) && isnan(gone));
            adze_tensor_set_f64(y, i, replace ? (double)real[k] : v);
        } else {
            int64_t v = adze_tensor_get_i64(x, i);
            adze_tensor_set_i64(y, i, v == gone_whole ? whole[k] : v);
        }
    }
    return ADZE_OK;
}

/* ---- OneHotEncoder ---- */

static const adze_attr *categories(const adze_node *node)
{
    const adze_attr *a = adze_node_attr(node, "cats_strings");
    if (a && a->type == ADZE_ATTR_STRINGS)
        return a;
    a = adze_node_attr(node, "cats_int64s");
    return a && a->type == ADZE_ATTR_INTS ? a : NULL;
}

static adze_status one_hot_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_attr *cats = categories(adze_infer_node(infer));
    if (!cats)
        return adze_ops_bad(adze_infer_node(infer), err, "no categories");
    if (!x)
        return ADZE_OK;
    if (x->rank == ADZE_MAX_RANK)
        return adze_ops_bad(adze_infer_node(infer), err, "the input has too many axes");
    adze_dim dims[ADZE_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = cats->count;
    adze_infer_set_tensor(infer, 0, ADZE_F32, x->rank + 1, dims);
    return ADZE_OK;
}

static adze_status one_hot_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    bool strings = categories(node)->type == ADZE_ATTR_STRINGS;
    if (strings != (x->dtype == ADZE_STRING) || (!strings && !is_number(x)))
        return adze_ops_unsupported(node, x->dtype, err);
    return ADZE_OK;
}

static int category_of(const adze_attr *cats, const adze_tensor *x, int64_t i)
{
    if (x->dtype == ADZE_STRING) {
        const adze_string *s = (const adze_string *)x->data + i;
        for (int c = 0; c < cats->count; c++) {
            const adze_string *k = &cats->as.strings[c];
            if (k->length == s->length &&
                (s->length == 0 || memcmp(k->data, s->data, s->length) == 0))
                return c;
        }
        return -1;
    }
    if (adze_ops_is_float(x->dtype)) { /* cut off; NaN and what is too large are no category */
        double v = trunc(adze_tensor_get_f64(x, i));
        for (int c = 0; c < cats->count; c++)
            if ((double)cats->as.ints[c] == v)
                return c;
        return -1;
    }
    int64_t v = adze_tensor_get_i64(x, i);
    for (int c = 0; c < cats->count; c++)
        if (cats->as.ints[c] == v)
            return c;
    return -1;
}

static adze_status one_hot_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    const adze_attr *cats = categories(run->node);
    bool zeros = adze_node_int(run->node, "zeros", 1) != 0;
    float *y = run->outputs[0]->data;
    memset(y, 0, run->outputs[0]->size);
    for (int64_t i = 0; i < adze_tensor_elements(x); i++) {
        int c = category_of(cats, x, i);
        if (c >= 0)
            y[i * cats->count + c] = 1;
        else if (!zeros)
            return adze_fail(err, ADZE_BAD_DATA,
                             "OneHotEncoder '%s': element %lld is none of the categories",
                             adze_node_name(run->node), (long long)i);
    }
    return ADZE_OK;
}

/* ---- FeatureVectorizer ---- */

static adze_status vectorizer_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    int n, inputs = adze_infer_input_count(infer);
    const int64_t *sizes = adze_node_ints(node, "inputdimensions", &n);
    const adze_type *x = adze_ops_ranked(infer, 0);
    int64_t total = 0;
    if (n != inputs)
        return adze_ops_bad(node, err, "inputdimensions must have a size for each input");
    for (int i = 0; i < n; i++) {
        const adze_type *type = adze_ops_ranked(infer, i);
        if (sizes[i] < 0 || sizes[i] > INT32_MAX)
            return adze_ops_bad(node, err, "inputdimensions holds an impossible size");
        if (type && type->rank != 1 && type->rank != 2)
            return adze_ops_bad(node, err, "inputs must be [N, C] or [C]");
        total += sizes[i];
    }
    if (!x)
        return ADZE_OK;
    adze_dim dims[2] = {x->rank == 1 ? 1 : x->dims[0], total};
    adze_infer_set_tensor(infer, 0, ADZE_F32, 2, dims);
    return ADZE_OK;
}

static adze_status vectorizer_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    float *out = y->data;
    int n;
    const int64_t *sizes = adze_node_ints(run->node, "inputdimensions", &n);
    int64_t rows = y->dims[0], width = y->dims[1], first = 0;
    memset(out, 0, y->size);
    for (int i = 0; i < n && i < run->input_count; first += sizes[i++]) {
        const adze_tensor *x = run->inputs[i];
        int64_t columns = x ? features_of(x) : 0;
        if (x && (x->rank == 2 ? x->dims[0] : 1) != rows)
            return adze_fail(err, ADZE_BAD_DATA, "FeatureVectorizer '%s': input %d has other rows",
                             adze_node_name(run->node), i);
        for (int64_t r = 0; x && r < rows; r++)
            for (int64_t c = 0; c < columns && c < sizes[i]; c++)
                out[r * width + first + c] = (float)adze_tensor_get_f64(x, r * columns + c);
    }
    return ADZE_OK;
}

/* ---- ArrayFeatureExtractor ---- */

static adze_status extractor_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0), *i = adze_ops_ranked(infer, 1);
    if (!x || !i)
        return ADZE_OK;
    if (x->rank < 1)
        return adze_ops_bad(adze_infer_node(infer), err, "the data must have an axis");
    adze_type y = *x;
    adze_dim count = 1;
    for (int d = 0; d < i->rank; d++)
        count = adze_infer_mul(infer, count, i->dims[d]);
    y.rank = ADZE_MAX(x->rank, 2);
    if (x->rank == 1)
        y.dims[0] = 1;
    y.dims[y.rank - 1] = count;
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status extractor_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *index = run->inputs[1];
    size_t size = adze_ops_element(x->dtype);
    int64_t columns = features_of(x), n = adze_tensor_elements(index);
    int64_t rows = columns ? adze_tensor_elements(x) / columns : 0;
    char *y = run->outputs[0]->data;
    for (int64_t k = 0; k < n && !adze_ops_is_late(run, k); k++) {
        int64_t at = adze_tensor_get_i64(index, k);
        if (at < 0 || at >= columns)
            return adze_fail(err, ADZE_BAD_DATA,
                             "ArrayFeatureExtractor '%s': index %lld of %lld features",
                             adze_node_name(run->node), (long long)at, (long long)columns);
        for (int64_t r = 0; r < rows; r++)
            memcpy(y + (size_t)(r * n + k) * size,
                   (const char *)x->data + (size_t)(r * columns + at) * size, size);
    }
    return ADZE_OK;
}

static adze_status extractor_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *index = adze_prepare_input(prepare, 1);
    if (index->dtype != ADZE_I64 && index->dtype != ADZE_I32)
        return adze_ops_unsupported(adze_prepare_node(prepare), index->dtype, err);
    return adze_ops_prepare_move(prepare, err);
}

#define ML_ROW(op, least, most, list, ...)                                                         \
    {                                                                                              \
        .domain = "ai.onnx.ml", .name = op, .since = 1, .min_inputs = least, .max_inputs = most,   \
        .min_outputs = 1, .max_outputs = 1, .attrs = list, __VA_ARGS__                             \
    }

const adze_op adze_ops_features[] = {
    ML_ROW("Binarizer", 1, 1, "threshold", .infer = adze_ops_infer_same, .prepare = numbers_prepare,
           .run = binarizer_run),
    ML_ROW("Scaler", 1, 1, "offset scale", .infer = float_infer, .prepare = numbers_prepare,
           .run = scaler_run),
    ML_ROW("Normalizer", 1, 1, "norm", .infer = float_infer, .prepare = normalizer_prepare,
           .run = normalizer_run),
    ML_ROW("Imputer", 1, 1,
           "imputed_value_floats imputed_value_int64s replaced_value_float replaced_value_int64",
           .infer = adze_ops_infer_same, .prepare = numbers_prepare, .run = imputer_run),
    ML_ROW("OneHotEncoder", 1, 1, "cats_int64s cats_strings zeros", .infer = one_hot_infer,
           .prepare = one_hot_prepare, .run = one_hot_run),
    ML_ROW("FeatureVectorizer", 1, -1, "inputdimensions", .infer = vectorizer_infer,
           .prepare = numbers_prepare, .run = vectorizer_run),
    ML_ROW("ArrayFeatureExtractor", 2, 2, "", .infer = extractor_infer,
           .prepare = extractor_prepare, .run = extractor_run),
    {.name = NULL},
};
