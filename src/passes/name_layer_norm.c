/* Layer normalization over the last axis that exporters wrote as arithmetic gets its name back:
 * (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

/* x when value is the mean of x over its last axis. */
static adze_value *match_mean(const adze_value *value)
{
    adze_node *mean = adze_rw_producer(value, "ReduceMean");
    int64_t axis;
    if (!mean || adze_node_int(mean, "keepdims", 1) == 0 ||
        adze_rw_ints(adze_rw_input(mean, 1), &axis, 1) != 1)
        return NULL;
    int rank = mean->inputs[0]->type.rank;
    return rank > 0 && (axis == -1 || axis == rank - 1) ? mean->inputs[0] : NULL;
}

/* x when value is x squared. */
static adze_value *match_square(const adze_value *value)
{
    double two;
    adze_node *pow = adze_rw_producer(value, "Pow"), *mul = adze_rw_producer(value, "Mul");
    if (pow)
        return adze_rw_scalar(pow->inputs[1], &two) && two == 2 ? pow->inputs[0] : NULL;
    return mul && mul->inputs[0] == mul->inputs[1] ? mul->inputs[0] : NULL;
}

/* The mean of squares when value = sqrt(mean of squares + epsilon). */
static adze_value *match_deviation(const adze_value *value, double *epsilon)
{
    adze_node *root = adze_rw_producer(value, "Sqrt");
    adze_node *add = root ? adze_rw_producer(root->inputs[0], "Add") : NULL;
    for (int i = 0; add && i < 2; i++)
        if (adze_rw_scalar(add->inputs[i], epsilon))
            return add->inputs[1 - i];
    return NULL;
}

/* x when `divide` normalizes it. */
static adze_value *match_normalized(const adze_node *divide, double *epsilon)
{
    adze_node *centred = adze_rw_producer(divide->inputs[0], "Sub");
    adze_value *variance = match_deviation(divide->inputs[1], epsilon);
    adze_value *squares = variance ? match_mean(variance) : NULL;
    if (!centred || !squares || match_square(squares) != divide->inputs[0])
        return NULL;
    adze_value *x = centred->inputs[0];
    return match_mean(centred->inputs[1]) == x ? x : NULL;
}

/* The constant of the size of the last axis that the only user of `value` applies; NULL: none. */
static adze_value *match_applied(adze_rewriter *rw, const adze_value *value, const char *op,
                                 adze_node **user)
{
    *user = adze_rw_sole_user(rw, value);
    if (!adze_rw_is(*user, op))
        return NULL;
    adze_value *other = (*user)->inputs[(*user)->inputs[0] == value];
    const adze_tensor *t = adze_rw_constant(other);
    const adze_type *type = &value->type;
    bool fits =
        t && t->dtype == ADZE_F32 && t->rank == 1 && t->dims[0] == type->dims[type->rank - 1];
    return fits ? other : NULL;
}

static adze_value *ones(adze_rewriter *rw, int64_t n)
{
    adze_value *value;
    float *data = adze_rw_new_floats(rw, &value, NULL, 1, &n);
    for (int64_t i = 0; data && i < n; i++)
        data[i] = 1;
    return data ? value : NULL;
}

static bool name_layer_norm(adze_rewriter *rw, adze_node *node)
{
    double epsilon;
    adze_node *last = node, *user;
    if (!adze_rw_is(node, "Div") || !adze_rw_is_float(node->outputs[0]) ||
        !adze_op_find(rw->graph->context, "", "LayerNormalization"))
        return false;
    adze_value *x = match_normalized(node, &epsilon), *bias = NULL;
    const adze_type *t = &node->outputs[0]->type;
    if (!x || t->rank < 1 || t->dims[t->rank - 1] < 1)
        return false;
    adze_value *scale = match_applied(rw, node->outputs[0], "Mul", &user);
    if (scale) {
        last = user;
        bias = match_applied(rw, last->outputs[0], "Add", &user);
    }
    last = bias ? user : last;
    scale = scale ? scale : ones(rw, t->dims[t->rank - 1]);
    adze_node *norm = adze_rw_new_node(rw, "LayerNormalization", last->name, bias ? 3 : 2, 1);
    if (!scale || !norm ||
        !adze_rw_check(rw, adze_node_set_int(norm, "axis", -1) &&
                               adze_node_set_float(norm, "epsilon", (float)epsilon)))
        return false;
    norm->inputs[0] = x;
    norm->inputs[1] = scale;
    if (bias)
        norm->inputs[2] = bias;
    adze_rw_take_output(rw, norm, 0, last->outputs[0]);
    return true;
}

adze_status adze_pass_name_layer_norm(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, name_layer_norm, changed, err);
}
