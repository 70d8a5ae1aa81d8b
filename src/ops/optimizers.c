/* ai.onnx.preview.training: one step of Adagrad, Adam or Momentum for any number of tensors. Inputs are
 * the rate R, the number of updates T, then all tensors X, all gradients G, and all of each state. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

typedef enum optimizer { ADAGRAD, ADAM, MOMENTUM } optimizer;

static optimizer kind_of(const adze_node *node)
{
    const char *op = adze_node_op(node);
    return strcmp(op, "Adam") == 0 ? ADAM : strcmp(op, "Adagrad") == 0 ? ADAGRAD : MOMENTUM;
}

/* Inputs for each tensor: X, G and its states. */
static int inputs_each(const adze_node *node)
{
    return kind_of(node) == ADAM ? 4 : 3;
}

static adze_status step_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    int each = inputs_each(node), given = adze_infer_input_count(infer) - 2;
    int tensors = given / each;
    if (given < each || given % each != 0 || adze_infer_output_count(infer) != tensors * (each - 1))
        return adze_ops_bad(node, err, "the numbers of inputs and outputs do not fit");
    for (int i = 0; i < 2; i++)
        ADZE_TRY(adze_ops_need_scalar(infer, i, err));
    for (int i = 0; i < tensors * (each - 1); i++) {
        const adze_type *x = adze_ops_ranked(infer, 2 + i % tensors);
        if (x)
            adze_infer_set(infer, i, x);
    }
    return ADZE_OK;
}

typedef struct step_job {
    optimizer kind;
    bool nesterov;
    double rate, alpha, beta, epsilon, norm, norm_after;
    const adze_tensor *x, *g, *v, *h;
    adze_tensor *new_x, *new_v, *new_h; /* NULL: not wanted */
} step_job;

static void put(adze_tensor *y, int64_t i, double v)
{
    if (y)
        adze_ops_put(y, i, v);
}

static void step_range(void *user, int64_t begin, int64_t end, int worker)
{
    const step_job *j = user;
    ADZE_UNUSED(worker);
    for (int64_t i = begin; i < end; i++) {
        double x = adze_ops_get(j->x, i), g = j->norm * x + adze_ops_get(j->g, i);
        double v = adze_ops_get(j->v, i);
        if (j->kind == ADAGRAD) {
            v += g * g;
            x -= j->rate * g / (sqrt(v) + j->epsilon);
        } else if (j->kind == MOMENTUM) {
            v = j->alpha * v + j->beta * g;
            x -= j->rate * (j->nesterov ? g + j->alpha * v : v);
        } else {
            double h = j->beta * adze_ops_get(j->h, i) + (1 - j->beta) * g * g;
            v = j->alpha * v + (1 - j->alpha) * g;
            x = (1 - j->norm_after) * (x - j->rate * v / (sqrt(h) + j->epsilon));
            put(j->new_h, i, h);
        }
        put(j->new_x, i, x);
        put(j->new_v, i, v);
    }
}

static adze_status read_step(step_job *j, const adze_run *run, adze_error *err)
{
    const adze_node *node = run->node;
    if (adze_tensor_elements(run->inputs[0]) != 1 || adze_tensor_elements(run->inputs[1]) != 1)
        return adze_ops_bad(node, err, "R and T must be single numbers");
    double t = adze_tensor_get_f64(run->inputs[1], 0);
    bool adam = kind_of(node) == ADAM;
    *j = (step_job){.kind = kind_of(node),
                    .nesterov = strcmp(adze_node_string(node, "mode", "standard"), "nesterov") == 0,
                    .rate = adze_tensor_get_f64(run->inputs[0], 0),
                    .alpha = (double)adze_node_float(node, "alpha", adam ? 0.9f : 0),
                    .beta = (double)adze_node_float(node, "beta", adam ? 0.999f : 0),
                    .epsilon = (double)adze_node_float(node, "epsilon", 1e-6f),
                    .norm = (double)adze_node_float(node, "norm_coefficient", 0),
                    .norm_after = (double)adze_node_float(node, "norm_coefficient_post", 0)};
    if (j->kind == ADAGRAD)
        j->rate /= 1 + t * (double)adze_node_float(node, "decay_factor", 0);
    if (j->kind == MOMENTUM && t <= 0)
        j->beta = 1;
    if (adam && t > 0)
        j->rate *= sqrt(1 - pow(j->beta, t)) / (1 - pow(j->alpha, t));
    return ADZE_OK;
}

static adze_status step_run(adze_run *run, adze_error *err)
{
    step_job j;
    ADZE_TRY(read_step(&j, run, err));
    int each = inputs_each(run->node), tensors = (run->input_count - 2) / each;
    for (int k = 0; k < tensors; k++) {
        const adze_tensor *in[4] = {NULL};
        for (int i = 0; i < each; i++) {
            in[i] = adze_ops_input(run, 2 + i * tensors + k);
            if (!in[i] || adze_tensor_elements(in[i]) != adze_tensor_elements(in[0]))
                return adze_ops_bad(run->node, err, "a tensor, its gradient and states differ");
        }
        j.x = in[0];
        j.g = in[1];
        j.v = in[2];
        j.h = in[3];
        j.new_x = adze_ops_output(run, k);
        j.new_v = adze_ops_output(run, tensors + k);
        j.new_h = each > 3 ? adze_ops_output(run, 2 * tensors + k) : NULL;
        adze_ops_parallel(run, adze_tensor_elements(j.x), 16384, step_range, &j);
    }
    return ADZE_OK;
}

static adze_status step_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    for (int i = 2; i < adze_node_input_count(node); i++) {
        const adze_tensor *x = adze_prepare_input(prepare, i);
        if (x && (x->quant || !adze_ops_is_float(x->dtype)))
            return adze_ops_unsupported(node, x->dtype, err);
    }
    return ADZE_OK;
}

#define ROW(text, least, list)                                                                     \
    {                                                                                              \
        .domain = "ai.onnx.preview.training", .name = text, .since = 1, .min_inputs = least,       \
        .max_inputs = -1, .min_outputs = 2, .max_outputs = -1, .attrs = list, .infer = step_infer, \
        .prepare = step_prepare, .run = step_run                                                   \
    }

const adze_op adze_ops_optimizers[] = {
    ROW("Adagrad", 5, "decay_factor epsilon norm_coefficient"),
    ROW("Adam", 6, "alpha beta epsilon norm_coefficient norm_coefficient_post"),
    ROW("Momentum", 5, "alpha beta mode norm_coefficient"),
    {.name = NULL},
};
