/* LinearClassifier, LinearRegressor, SVMClassifier, SVMRegressor (ai.onnx.ml). Coefficients are attributes;
 * sums are in double precision. */
#include <math.h>
#include <string.h>

#include "ops/classic.h"

enum kernel { LINEAR, POLY, RBF, SIGMOID };

typedef struct linear {
    adze_post post;
    adze_labels labels;
    int64_t outputs;       /* sums for a row */
    int64_t columns;       /* features */
    const double *weights; /* linear: [outputs, columns]; machines: coefficients of the vectors */
    const double *bias;    /* [bias_count] intercepts, rho */
    int64_t bias_count;
    /* support vector machines */
    enum kernel kernel;
    double gamma, offset, degree;
    const double *vectors; /* [vector_count, columns]; NULL: linear */
    int64_t vector_count, classes;
    const int64_t *per_class; /* [classes] */
    const double *prob_a, *prob_b;
    bool one_class;
} linear;

static int64_t classes_of(const adze_node *node)
{
    int64_t count = adze_classic_labels(node).count;
    int n;
    if (count == 0 && strcmp(adze_node_op(node), "LinearClassifier") == 0)
        count = adze_node_floats(node, "intercepts", &n) ? n : 1;
    return count ? count : 1;
}

/* ---- linear ---- */

static adze_status regressor_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    int64_t targets = adze_node_int(node, "targets", 1);
    if (targets < 1 || targets > INT32_MAX)
        return adze_ops_bad(node, err, "targets is not a count");
    if (!x)
        return ADZE_OK;
    if (x->rank != 1 && x->rank != 2)
        return adze_ops_bad(node, err, "the input must be [N, F] or [F]");
    adze_dim dims[2] = {x->rank == 2 ? x->dims[0] : 1, targets};
    adze_infer_set_tensor(infer, 0, ADZE_F32, 2, dims);
    return ADZE_OK;
}

static adze_status classifier_infer(adze_infer *infer, adze_error *err)
{
    return adze_classic_infer(infer, classes_of(adze_infer_node(infer)), err);
}

static adze_status open_linear(adze_prepare *prepare, linear **out, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int post = adze_classic_post(node);
    ADZE_TRY(adze_classic_prepare_input(prepare, err));
    if (post < 0)
        return adze_ops_bad(node, err, "unknown post_transform");
    *out = adze_prepare_alloc(prepare, sizeof **out);
    if (!*out)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", adze_node_op(node));
    (*out)->post = (adze_post)post;
    (*out)->labels = adze_classic_labels(node);
    (*out)->classes = classes_of(node);
    adze_prepare_set(prepare, *out);
    return ADZE_OK;
}

static adze_status linear_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int64_t n;
    linear *l;
    ADZE_TRY(open_linear(prepare, &l, err));
    l->weights = adze_classic_numbers(prepare, "coefficients", &n);
    l->bias = adze_classic_numbers(prepare, "intercepts", &l->bias_count);
    if (strcmp(adze_node_op(node), "LinearRegressor") == 0)
        l->outputs = adze_node_int(node, "targets", 1);
    else
        l->outputs = l->bias_count ? l->bias_count : l->classes;
    bool fits = l->outputs == l->classes || (l->outputs == 1 && l->classes == 2) ||
                strcmp(adze_node_op(node), "LinearRegressor") == 0;
    if (n < 1 || n % l->outputs || !fits || (l->bias_count && l->bias_count != l->outputs))
        return adze_ops_bad(node, err, "coefficients, intercepts and classes do not fit");
    l->columns = n / l->outputs;
    return ADZE_OK;
}

/* Sums run in four parts, so that they wait less for each other. */
#define SUM_OF(term)                                                                               \
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                         \
    int64_t i = 0;                                                                                 \
    for (; i + 4 <= n; i += 4) {                                                                   \
        s0 += term(a[i], b[i]);                                                                    \
        s1 += term(a[i + 1], b[i + 1]);                                                            \
        s2 += term(a[i + 2], b[i + 2]);                                                            \
        s3 += term(a[i + 3], b[i + 3]);                                                            \
    }                                                                                              \
    for (; i < n; i++)                                                                             \
        s0 += term(a[i], b[i]);                                                                    \
    return (s0 + s1) + (s2 + s3)
#define PRODUCT(u, v) ((u) * (v))
#define SQUARE(u, v) (((u) - (v)) * ((u) - (v)))

static double dot(int64_t n, const double *a, const double *b)
{
    SUM_OF(PRODUCT);
}

static double square_distance(int64_t n, const double *a, const double *b)
{
    SUM_OF(SQUARE);
}

/* A row of the input in double precision, at the end of the scratch. */
static const double *row_of(const linear *l, const adze_tensor *x, int64_t row, double *out)
{
    if (x->dtype == ADZE_F32) {
        const float *from = (const float *)x->data + row * l->columns;
        ADZE_SIMD
        for (int64_t c = 0; c < l->columns; c++)
            out[c] = (double)from[c];
        return out;
    }
    for (int64_t c = 0; c < l->columns; c++)
        out[c] = adze_classic_at(x, row * l->columns + c);
    return out;
}

static void sums_of_row(const linear *l, const double *x, double *sums)
{
    for (int64_t k = 0; k < l->outputs; k++)
        sums[k] =
            dot(l->columns, x, l->weights + k * l->columns) + (k < l->bias_count ? l->bias[k] : 0);
}

static int64_t largest(const double *values, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = values[i] > values[best] ? i : best;
    return best;
}

/* Transforms scores and gives the label. Two classes may have one sum. */
static void classify(const linear *l, double *scores, adze_tensor *labels, int64_t row)
{
    if (l->outputs == 1 && l->classes == 2) {
        adze_classic_put_label(&l->labels, labels, row, scores[0] > 0);
        adze_classic_pair(l->post, true, scores[0], scores);
        return;
    }
    if (l->classes == 1)
        adze_classic_put_single(&l->labels, labels, row, scores[0] > 0);
    else
        adze_classic_put_label(&l->labels, labels, row, largest(scores, l->classes));
    adze_classic_transform(l->post, l->classes, scores);
}

static int64_t sums_room(const linear *l)
{
    return ADZE_MAX(l->outputs, l->classes) + 1;
}

static size_t linear_scratch(const adze_run *run)
{
    const linear *l = run->prepared;
    return (size_t)(sums_room(l) + l->columns) * sizeof(double);
}

static adze_status check_columns(const adze_run *run, const linear *l, adze_error *err)
{
    int64_t found = adze_classic_columns(run->inputs[0]);
    if (found == l->columns)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %lld features, expected %lld",
                     adze_node_op(run->node), adze_node_name(run->node), (long long)found,
                     (long long)l->columns);
}

static void store(const double *from, int64_t n, adze_tensor *y, int64_t row)
{
    for (int64_t k = 0; y && k < n; k++)
        ((float *)y->data)[row * n + k] = (float)from[k];
}

static adze_status classifier_run(adze_run *run, adze_error *err)
{
    const linear *l = run->prepared;
    double *scores = run->scratch;
    ADZE_TRY(check_columns(run, l, err));
    for (int64_t row = 0; row < adze_classic_rows(run->inputs[0]); row++) {
        sums_of_row(l, row_of(l, run->inputs[0], row, scores + sums_room(l)), scores);
        classify(l, scores, run->outputs[0], row);
        store(scores, l->classes, adze_ops_output(run, 1), row);
    }
    return ADZE_OK;
}

static adze_status regressor_run(adze_run *run, adze_error *err)
{
    const linear *l = run->prepared;
    double *sums = run->scratch;
    ADZE_TRY(check_columns(run, l, err));
    for (int64_t row = 0; row < adze_classic_rows(run->inputs[0]); row++) {
        sums_of_row(l, row_of(l, run->inputs[0], row, sums + sums_room(l)), sums);
        if (l->outputs > 1 || l->post == ADZE_POST_PROBIT)
            adze_classic_transform(l->post, l->outputs, sums);
        store(sums, l->outputs, run->outputs[0], row);
    }
    return ADZE_OK;
}

/* ---- support vector machines ---- */

static bool read_kernel(const adze_node *node, linear *l)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    int n, kernel = adze_ops_choice(names, adze_node_string(node, "kernel_type", "LINEAR"));
    const float *params = adze_node_floats(node, "kernel_params", &n);
    if (kernel < 0 || (n != 0 && n != 3))
        return false;
    l->kernel = (enum kernel)kernel;
    l->gamma = n ? (double)params[0] : 0;
    l->offset = n ? (double)params[1] : 0;
    l->degree = n ? (double)params[2] : 0;
    return true;
}

/* Classes without vectors of their own: one set of coefficients for each class. */
static bool fits_classes(const linear *l, int64_t coefficients, int64_t prob)
{
    int64_t pairs = l->classes * (l->classes - 1) / 2;
    if (l->vector_count == 0)
        return l->outputs == l->classes && l->bias_count >= 1;
    return l->classes >= 2 && l->bias_count >= pairs && (!prob || prob >= pairs) &&
           coefficients == (l->classes - 1) * l->vector_count;
}

static adze_status count_vectors(const adze_node *node, linear *l, adze_error *err)
{
    int n;
    l->per_class = adze_node_ints(node, "vectors_per_class", &n);
    for (int i = 0; i < n; i++) {
        if (l->per_class[i] < 0 || l->per_class[i] > INT32_MAX)
            return adze_ops_bad(node, err, "vectors_per_class holds no counts");
        l->vector_count += l->per_class[i];
    }
    if (l->vector_count && n != l->classes)
        return adze_ops_bad(node, err, "vectors_per_class has another length than the labels");
    return ADZE_OK;
}

static adze_status machine_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    bool classifier = strcmp(adze_node_op(node), "SVMClassifier") == 0;
    int64_t coefficients, vectors, prob, prob_b;
    linear *l;
    ADZE_TRY(open_linear(prepare, &l, err));
    if (!read_kernel(node, l))
        return adze_ops_bad(node, err, "unknown kernel_type, or kernel_params of another length");
    l->weights = adze_classic_numbers(prepare, "coefficients", &coefficients);
    l->bias = adze_classic_numbers(prepare, "rho", &l->bias_count);
    l->vectors = adze_classic_numbers(prepare, "support_vectors", &vectors);
    l->prob_a = adze_classic_numbers(prepare, "prob_a", &prob);
    l->prob_b = adze_classic_numbers(prepare, "prob_b", &prob_b);
    l->one_class = adze_node_int(node, "one_class", 0) != 0;
    if (classifier)
        ADZE_TRY(count_vectors(node, l, err));
    else
        l->vector_count = ADZE_MAX(adze_node_int(node, "n_supports", 0), 0);
    bool fits = coefficients > 0 && prob == prob_b && l->bias_count >= 1;
    if (l->vector_count > 0) {
        fits &= vectors > 0 && vectors % l->vector_count == 0;
        l->columns = vectors / l->vector_count;
        l->outputs = 1;
    } else {
        l->kernel = LINEAR;
        l->outputs = classifier ? l->classes : 1;
        l->columns = coefficients / l->outputs;
        fits &= coefficients % l->outputs == 0;
    }
    fits &= classifier ? fits_classes(l, coefficients, prob)
                       : l->vector_count == 0 || coefficients == l->vector_count;
    return fits ? ADZE_OK : adze_ops_bad(node, err, "vectors and coefficients do not fit");
}

static double kernel_of(const linear *l, const double *x, const double *v)
{
    double sum = l->kernel == RBF ? square_distance(l->columns, x, v) : dot(l->columns, x, v);
    switch (l->kernel) {
    case POLY: return pow(l->gamma * sum + l->offset, l->degree);
    case RBF: return exp(-l->gamma * sum);
    case SIGMOID: return tanh(l->gamma * sum + l->offset);
    default: return sum;
    }
}

static size_t machine_regressor_scratch(const adze_run *run)
{
    return (size_t)((const linear *)run->prepared)->columns * sizeof(double);
}

static adze_status machine_regressor_run(adze_run *run, adze_error *err)
{
    const linear *l = run->prepared;
    const adze_tensor *x = run->inputs[0];
    ADZE_TRY(check_columns(run, l, err));
    for (int64_t row = 0; row < adze_classic_rows(x) && !adze_run_is_late(run); row++) {
        const double *features = row_of(l, x, row, run->scratch);
        double sum = l->bias[0];
        for (int64_t v = 0; v < l->vector_count && !(v % 256 == 255 && adze_run_is_late(run)); v++)
            sum += l->weights[v] * kernel_of(l, features, l->vectors + v * l->columns);
        if (l->vector_count == 0)
            sum += kernel_of(l, features, l->weights);
        sum = l->one_class ? (sum > 0 ? 1 : -1) : sum;
        store(&sum, 1, run->outputs[0], row);
    }
    return ADZE_OK;
}

/* What a classifier needs for a row. */
typedef struct machine_scratch {
    double *kernels;             /* [vector_count] */
    double *decisions;           /* [classes * (classes - 1) / 2] */
    double *votes, *scores, *qp; /* [classes] */
    double *pairs, *q;           /* [classes, classes] */
    double *features;            /* [columns] */
} machine_scratch;

static size_t machine_classifier_scratch(const adze_run *run)
{
    const linear *l = run->prepared;
    size_t k = (size_t)l->classes;
    return (size_t)(l->vector_count + 1) * sizeof(double) +
           (3 * k * k + 3 * k + 2 + (size_t)l->columns) * sizeof(double);
}

static machine_scratch cut_scratch(const linear *l, double *at)
{
    int64_t k = l->classes;
    machine_scratch s = {.kernels = at, .decisions = at + l->vector_count};
    s.pairs = s.decisions + k * k;
    s.q = s.pairs + k * k;
    s.votes = s.q + k * k;
    s.scores = s.votes + k;
    s.qp = s.scores + k;
    s.features = s.qp + k + 3;
    return s;
}

/* One against one: each pair of classes votes. Returns the number of decisions. */
static int64_t decide(const linear *l, machine_scratch *s)
{
    int64_t k = l->classes, n = l->vector_count, made = 0, start_i = 0;
    memset(s->votes, 0, (size_t)k * sizeof *s->votes);
    for (int64_t i = 0; i < k; start_i += l->per_class[i++]) {
        int64_t start_j = start_i + l->per_class[i];
        for (int64_t j = i + 1; j < k; start_j += l->per_class[j++]) {
            double sum = l->bias[made];
            for (int64_t v = start_i; v < start_i + l->per_class[i]; v++)
                sum += l->weights[(j - 1) * n + v] * s->kernels[v];
            for (int64_t v = start_j; v < start_j + l->per_class[j]; v++)
                sum += l->weights[i * n + v] * s->kernels[v];
            s->decisions[made++] = sum;
            s->votes[sum > 0 ? i : j]++;
        }
    }
    return made;
}

/* Probabilities of classes from those of pairs: Wu, Lin and Weng (2004), second approach. */
static void couple(int64_t k, machine_scratch *s)
{
    double *p = s->scores, *q = s->q, *qp = s->qp, *r = s->pairs;
    for (int64_t t = 0; t < k; t++) {
        p[t] = 1.0 / (double)k;
        q[t * k + t] = 0;
        for (int64_t j = 0; j < k; j++)
            if (j != t) {
                q[t * k + t] += r[j * k + t] * r[j * k + t];
                q[t * k + j] = -r[j * k + t] * r[t * k + j];
            }
    }
    for (int64_t iteration = 0; iteration < ADZE_MAX(100, k); iteration++) {
        double pqp = 0, worst = 0;
        for (int64_t t = 0; t < k; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < k; j++)
                qp[t] += q[t * k + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (int64_t t = 0; t < k; t++)
            worst = fmax(worst, fabs(qp[t] - pqp));
        if (worst < 0.005 / (double)k)
            return;
        for (int64_t t = 0; t < k; t++) {
            double d = (pqp - qp[t]) / q[t * k + t];
            p[t] += d;
            pqp = (pqp + d * (d * q[t * k + t] + 2 * qp[t])) / ((1 + d) * (1 + d));
            for (int64_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + d * q[t * k + j]) / (1 + d);
                p[j] /= 1 + d;
            }
        }
    }
}

static void probabilities(const linear *l, machine_scratch *s)
{
    int64_t k = l->classes, at = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++, at++) {
            double p = 1 / (1 + exp(s->decisions[at] * l->prob_a[at] + l->prob_b[at]));
            p = fmin(fmax(p, 1e-7), 1 - 1e-7);
            s->pairs[i * k + j] = p;
            s->pairs[j * k + i] = 1 - p;
        }
    couple(k, s);
}

static void machine_row(const linear *l, machine_scratch *s, adze_run *run, int64_t row)
{
    const double *features = row_of(l, run->inputs[0], row, s->features);
    adze_tensor *labels = run->outputs[0];
    int64_t k = l->classes;
    if (l->vector_count == 0) {
        for (int64_t c = 0; c < k; c++)
            s->scores[c] = l->bias[l->bias_count == k ? c : 0] +
                           kernel_of(l, features, l->weights + c * l->columns);
        classify(l, s->scores, labels, row);
        return;
    }
    for (int64_t v = 0; v < l->vector_count && !(v % 256 == 255 && adze_run_is_late(run)); v++)
        s->kernels[v] = kernel_of(l, features, l->vectors + v * l->columns);
    int64_t made = decide(l, s);
    adze_classic_put_label(&l->labels, labels, row, largest(s->votes, k));
    if (l->prob_a) {
        probabilities(l, s);
        adze_classic_transform(l->post, k, s->scores);
    } else if (k == 2) {
        adze_classic_pair(l->post, l->post != ADZE_POST_NONE, s->decisions[0], s->scores);
    } else {
        memcpy(s->scores, s->decisions, (size_t)ADZE_MIN(made, k) * sizeof *s->scores);
        adze_classic_transform(l->post, k, s->scores);
    }
}

/* Without probabilities the scores of more than three classes are the decisions of all pairs. */
static int64_t score_columns(const adze_node *node)
{
    int64_t k = classes_of(node);
    int vectors, prob;
    adze_node_ints(node, "vectors_per_class", &vectors);
    adze_node_floats(node, "prob_a", &prob);
    return vectors && !prob && k > 2 ? (k < INT32_MAX / 2 ? k * (k - 1) / 2 : -1) : k;
}

static adze_status machine_classifier_infer(adze_infer *infer, adze_error *err)
{
    return adze_classic_infer(infer, score_columns(adze_infer_node(infer)), err);
}

static adze_status machine_classifier_run(adze_run *run, adze_error *err)
{
    const linear *l = run->prepared;
    machine_scratch s = cut_scratch(l, run->scratch);
    int64_t columns = score_columns(run->node);
    bool decisions = columns != l->classes;
    ADZE_TRY(check_columns(run, l, err));
    for (int64_t row = 0; row < adze_classic_rows(run->inputs[0]) && !adze_run_is_late(run);
         row++) {
        machine_row(l, &s, run, row);
        if (decisions)
            adze_classic_transform(l->post, columns, s.decisions);
        store(decisions ? s.decisions : s.scores, columns, adze_ops_output(run, 1), row);
    }
    return ADZE_OK;
}

#define MODEL_ROW(op, outputs, list, ...)                                                          \
    {                                                                                              \
        .domain = "ai.onnx.ml", .name = op, .since = 1, .min_inputs = 1, .max_inputs = 1,          \
        .min_outputs = 1, .max_outputs = outputs, .attrs = list, __VA_ARGS__                       \
    }

const adze_op adze_ops_linear_models[] = {
    MODEL_ROW("LinearClassifier", 2,
              "classlabels_ints classlabels_strings coefficients intercepts multi_class "
              "post_transform",
              .infer = classifier_infer, .prepare = linear_prepare, .scratch = linear_scratch,
              .run = classifier_run),
    MODEL_ROW("LinearRegressor", 1, "coefficients intercepts post_transform targets",
              .infer = regressor_infer, .prepare = linear_prepare, .scratch = linear_scratch,
              .run = regressor_run),
    MODEL_ROW("SVMClassifier", 2,
              "classlabels_ints classlabels_strings coefficients kernel_params kernel_type "
              "post_transform prob_a prob_b rho support_vectors vectors_per_class",
              .infer = machine_classifier_infer, .prepare = machine_prepare,
              .scratch = machine_classifier_scratch, .run = machine_classifier_run),
    MODEL_ROW("SVMRegressor", 1,
              "coefficients kernel_params kernel_type n_supports one_class post_transform rho "
              "support_vectors",
              .infer = regressor_infer, .prepare = machine_prepare,
              .scratch = machine_regressor_scratch, .run = machine_regressor_run),
    {.name = NULL},
};
