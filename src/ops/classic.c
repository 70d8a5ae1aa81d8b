/* Scores and labels of classic models. */
#include "ops/classic.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool adze_classic_list(const adze_node *node, const char *name, adze_tensor *out)
{
    const adze_attr *a = adze_node_attr(node, name);
    int64_t n = a ? a->count : 0;
    *out = (adze_tensor){.rank = 1};
    if (!a)
        return false;
    switch (a->type) {
    case ADZE_ATTR_INTS: *out = adze_tensor_view(ADZE_I64, 1, &n, (void *)a->as.ints); break;
    case ADZE_ATTR_FLOATS: *out = adze_tensor_view(ADZE_F32, 1, &n, (void *)a->as.floats); break;
    case ADZE_ATTR_STRINGS:
        *out = adze_tensor_view(ADZE_STRING, 1, &n, (void *)a->as.strings);
        break;
    case ADZE_ATTR_TENSOR: *out = *a->as.tensor; break;
    default: return false;
    }
    return true;
}

const double *adze_classic_numbers(adze_prepare *prepare, const char *name, int64_t *count)
{
    const adze_node *node = adze_prepare_node(prepare);
    adze_tensor t;
    char long_name[64];
    *count = 0;
    snprintf(long_name, sizeof long_name, "%s_as_tensor", name);
    if (!adze_classic_list(node, long_name, &t) && !adze_classic_list(node, name, &t))
        return NULL;
    adze_kind kind = adze_dtype_describe(t.dtype)->kind;
    int64_t n = adze_tensor_elements(&t);
    if (n <= 0 || (kind != ADZE_KIND_FLOAT && kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT))
        return NULL;
    double *out = adze_prepare_alloc(prepare, (size_t)n * sizeof *out);
    *count = out ? n : -1;
    for (int64_t i = 0; out && i < n; i++)
        out[i] = adze_tensor_get_f64(&t, i);
    return out;
}

int adze_classic_post(const adze_node *node)
{
    static const char *const names[] = {"NONE",         "SOFTMAX", "LOGISTIC",
                                        "SOFTMAX_ZERO", "PROBIT",  NULL};
    return adze_ops_choice(names, adze_node_string(node, "post_transform", "NONE"));
}

static double logistic(double v)
{
    return 1 / (1 + exp(-v));
}

/* Winitzki's approximation of the inverse error function, with the constant that runtimes agree on. */
static double probit(double v)
{
    double x = 2 * v - 1, l = log((1 - x) * (1 + x));
    double a = 2 / (3.14159265358979323846 * 0.147) + l / 2;
    return copysign(1.41421356 * sqrt(sqrt(a * a - l / 0.147) - a), x);
}

static void softmax(int64_t n, double *scores, bool keep_zeros)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, scores[i]);
    for (int64_t i = 0; i < n; i++) {
        bool zero = keep_zeros && fabs(scores[i]) <= 1e-7;
        scores[i] = zero ? scores[i] * exp(-largest) : exp(scores[i] - largest);
        sum += scores[i];
    }
    for (int64_t i = 0; i < n; i++)
        scores[i] = sum != 0 ? scores[i] / sum : 0.5;
}

void adze_classic_transform(adze_post post, int64_t n, double *scores)
{
    if (post == ADZE_POST_SOFTMAX || post == ADZE_POST_SOFTMAX_ZERO)
        softmax(n, scores, post == ADZE_POST_SOFTMAX_ZERO);
    for (int64_t i = 0; i < n; i++)
        if (post == ADZE_POST_LOGISTIC)
            scores[i] = logistic(scores[i]);
        else if (post == ADZE_POST_PROBIT)
            scores[i] = probit(scores[i]);
}

void adze_classic_pair(adze_post post, bool complement, double s, double *out)
{
    out[0] = complement && post != ADZE_POST_LOGISTIC ? 1 - s : -s;
    out[1] = s;
    if (post == ADZE_POST_LOGISTIC || post == ADZE_POST_PROBIT)
        adze_classic_transform(post, 2, out);
}

adze_labels adze_classic_labels(const adze_node *node)
{
    static const char *const names[] = {"classlabels_strings", "classlabels_int64s",
                                        "classlabels_ints", NULL};
    adze_labels labels = {0};
    for (int i = 0; names[i] && labels.count == 0; i++)
        if (adze_classic_list(node, names[i], &labels.list) && labels.list.rank == 1)
            labels.count = labels.list.dims[0];
    if (labels.list.dtype != ADZE_STRING && labels.list.dtype != ADZE_I64)
        labels.count = 0;
    return labels;
}

void adze_classic_put_label(const adze_labels *labels, adze_tensor *y, int64_t row, int64_t k)
{
    if (labels->count == 0)
        ((int64_t *)y->data)[row] = k;
    else if (y->dtype == ADZE_STRING)
        ((adze_string *)y->data)[row] = ((const adze_string *)labels->list.data)[k];
    else
        ((int64_t *)y->data)[row] = ((const int64_t *)labels->list.data)[k];
}

void adze_classic_put_single(const adze_labels *labels, adze_tensor *y, int64_t row, bool is)
{
    if (y->dtype != ADZE_STRING)
        ((int64_t *)y->data)[row] = is;
    else if (is)
        adze_classic_put_label(labels, y, row, 0);
    else
        ((adze_string *)y->data)[row] = (adze_string){"", 0};
}

adze_status adze_classic_infer(adze_infer *infer, int64_t classes, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    adze_labels labels = adze_classic_labels(node);
    if (classes < 1 || classes > INT32_MAX)
        return adze_ops_bad(node, err, "no classes");
    if (!x)
        return ADZE_OK;
    if (x->rank != 1 && x->rank != 2)
        return adze_ops_bad(node, err, "the input must be [N, F] or [F]");
    adze_dim dims[2] = {x->rank == 2 ? x->dims[0] : 1, classes};
    adze_infer_set_tensor(infer, 0, labels.count ? labels.list.dtype : ADZE_I64, 1, dims);
    if (adze_infer_output_count(infer) > 1)
        adze_infer_set_tensor(infer, 1, ADZE_F32, 2, dims);
    return ADZE_OK;
}

int64_t adze_classic_rows(const adze_tensor *x)
{
    return x->rank == 2 ? x->dims[0] : 1;
}

int64_t adze_classic_columns(const adze_tensor *x)
{
    return x->rank ? x->dims[x->rank - 1] : 1;
}

adze_status adze_classic_prepare_input(const adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    if (x->quant || (kind != ADZE_KIND_FLOAT && kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT))
        return adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
    return ADZE_OK;
}
