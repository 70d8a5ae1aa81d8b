/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, which is the same over log_softmax. Scores are
 * [N, C, places ...], labels [N, places ...]; sums are in double precision and in the order of the
 * labels. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

static const char *const reductions[] = {"none", "sum", "mean", NULL};
enum { NONE, SUM, MEAN };

static bool takes_softmax(const adze_node *node)
{
    return adze_node_op(node)[0] == 'S';
}

static adze_status loss_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0), *labels = adze_ops_ranked(infer, 1);
    const adze_type *weights = adze_ops_ranked(infer, 2);
    int reduction = adze_ops_choice(reductions, adze_node_string(node, "reduction", "mean"));
    if (reduction < 0)
        return adze_ops_bad(node, err, "reduction must be none, sum or mean");
    if (!x || (!labels && reduction == NONE))
        return ADZE_OK;
    bool fits = x->rank >= 2 && (!labels || labels->rank == x->rank - 1) &&
                (!weights || weights->rank == 1);
    for (int i = 0; labels && fits && i < labels->rank; i++) {
        adze_dim a = labels->dims[i], b = x->dims[i ? i + 1 : 0];
        fits = a == b || !adze_dim_known(a) || !adze_dim_known(b);
    }
    if (!fits)
        return adze_ops_bad(node, err, "scores, labels and weights do not fit");
    adze_dtype dtype = adze_ops_real(x).dtype;
    adze_infer_set_tensor(infer, 0, dtype, reduction == NONE ? labels->rank : 0,
                          reduction == NONE ? labels->dims : NULL);
    if (adze_infer_output_count(infer) > 1)
        adze_infer_set_tensor(infer, 1, dtype, x->rank, x->dims);
    return ADZE_OK;
}

typedef struct loss_job {
    const adze_tensor *x, *labels, *weights;
    adze_tensor *log_prob;
    bool softmax, ignores;
    int64_t ignored, classes, places;
    double *loss, *weight; /* of each label */
} loss_job;

static void loss_range(void *user, int64_t begin, int64_t end, int worker)
{
    const loss_job *j = user;
    ADZE_UNUSED(worker);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i / j->places * j->classes * j->places + i % j->places;
        int64_t label = adze_tensor_get_i64(j->labels, i);
        double most = -(double)INFINITY, sum = 0, shift = 0;
        for (int64_t c = 0; c < j->classes && j->softmax; c++)
            most = fmax(most, adze_ops_get(j->x, first + c * j->places));
        for (int64_t c = 0; c < j->classes && j->softmax; c++)
            sum += exp(adze_ops_get(j->x, first + c * j->places) - most);
        if (j->softmax)
            shift = most + log(sum);
        for (int64_t c = 0; c < j->classes && j->log_prob; c++) {
            int64_t at = first + c * j->places;
            adze_ops_put(j->log_prob, at, adze_ops_get(j->x, at) - shift);
        }
        j->weight[i] = j->loss[i] = 0;
        if (j->ignores && label == j->ignored)
            continue;
        j->weight[i] = j->weights ? adze_ops_get(j->weights, label) : 1;
        j->loss[i] = j->weight[i] * (shift - adze_ops_get(j->x, first + label * j->places));
    }
}

static size_t loss_scratch(const adze_run *run)
{
    return 2 * sizeof(double) * (size_t)ADZE_MAX(adze_tensor_elements(run->inputs[1]), 0);
}

static adze_status check(const loss_job *j, const adze_node *node, adze_error *err)
{
    int64_t n = adze_tensor_elements(j->labels);
    if (n != j->x->dims[0] * j->places ||
        (j->weights && adze_tensor_elements(j->weights) != j->classes))
        return adze_ops_bad(node, err, "scores, labels and weights do not fit");
    for (int64_t i = 0; i < n; i++) {
        int64_t label = adze_tensor_get_i64(j->labels, i);
        if ((label < 0 || label >= j->classes) && !(j->ignores && label == j->ignored))
            return adze_fail(
                err, ADZE_BAD_DATA, "node %s (%s): label %lld of %lld classes is not ignored",
                adze_node_name(node), adze_node_op(node), (long long)label, (long long)j->classes);
    }
    return ADZE_OK;
}

static adze_status loss_run(adze_run *run, adze_error *err)
{
    loss_job j = {.x = run->inputs[0],
                  .labels = run->inputs[1],
                  .weights = adze_ops_input(run, 2),
                  .log_prob = adze_ops_output(run, 1),
                  .softmax = takes_softmax(run->node),
                  .ignores = adze_node_has(run->node, "ignore_index"),
                  .ignored = adze_node_int(run->node, "ignore_index", 0),
                  .classes = run->inputs[0]->dims[1],
                  .places = 1,
                  .loss = run->scratch};
    adze_tensor *y = adze_ops_output(run, 0);
    int reduction = adze_ops_choice(reductions, adze_node_string(run->node, "reduction", "mean"));
    for (int i = 2; i < j.x->rank; i++)
        j.places *= j.x->dims[i];
    ADZE_TRY(check(&j, run->node, err));
    int64_t n = adze_tensor_elements(j.labels);
    j.weight = j.loss + n;
    adze_ops_parallel(run, n, ADZE_MAX(1, 4096 / ADZE_MAX(1, j.classes)), loss_range, &j);
    double loss = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        if (y && reduction == NONE)
            adze_ops_put(y, i, j.loss[i]);
        loss += j.loss[i];
        weight += j.weight[i];
    }
    if (y && reduction != NONE)
        adze_ops_put(y, 0, reduction == MEAN ? loss / weight : loss);
    return ADZE_OK;
}

static adze_status loss_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *labels = adze_prepare_input(prepare, 1);
    if (labels->dtype != ADZE_I32 && labels->dtype != ADZE_I64)
        return adze_ops_unsupported(adze_prepare_node(prepare), labels->dtype, err);
    return adze_ops_prepare_float(prepare, err);
}

static void loss_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    ADZE_UNUSED(outputs);
    cost->operations = (takes_softmax(node) ? 20.0 : 1.0) * (double)adze_tensor_elements(inputs[0]);
}

#define ROW(text, results)                                                                         \
    {                                                                                              \
        .domain = "", .name = text, .since = 12, .min_inputs = 2, .max_inputs = 3,                 \
        .min_outputs = 1, .max_outputs = results, .attrs = "ignore_index reduction",               \
        .infer = loss_infer, .cost = loss_cost, .prepare = loss_prepare, .scratch = loss_scratch,  \
        .run = loss_run                                                                            \
    }

const adze_op adze_ops_losses[] = {
    ROW("NegativeLogLikelihoodLoss", 1),
    ROW("SoftmaxCrossEntropyLoss", 2),
    {.name = NULL},
};
