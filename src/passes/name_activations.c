/* Activation functions that exporters wrote as arithmetic get their names back: HardSigmoid,
 * HardSwish, Swish (SiLU), Gelu. Products and sums match in any order and grouping. The piecewise linear
 * ones are a pass of their own: models are also saved with those names, which are old enough for that. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <math.h>

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * fabs(b);
}

/* A product taken apart: number * factors. Div by a constant counts as a factor. */
#define MAX_FACTORS 4
typedef struct product {
    double number;
    int count;
    adze_value *factors[MAX_FACTORS];
} product;

static bool take_apart(adze_rewriter *rw, product *p, adze_value *value, int depth);

static bool take_constant(product *p, const adze_value *value, bool divide)
{
    double number;
    if (!adze_rw_scalar(value, &number) || value->type.dtype != ADZE_F32)
        return false;
    p->number = divide ? p->number / number : p->number * number;
    return true;
}

static bool take_leaf(product *p, adze_value *value)
{
    if (p->count == MAX_FACTORS)
        return false;
    p->factors[p->count++] = value;
    return true;
}

/* Inner results must be used here only, else they would be computed twice. */
static bool take_apart(adze_rewriter *rw, product *p, adze_value *value, int depth)
{
    adze_node *mul = adze_rw_producer(value, "Mul"), *div = adze_rw_producer(value, "Div");
    if (take_constant(p, value, false))
        return true;
    if (depth == 0 || (!mul && !div) || (depth < 3 && !adze_rw_sole_user(rw, value)))
        return take_leaf(p, value);
    if (mul)
        return take_apart(rw, p, mul->inputs[0], depth - 1) &&
               take_apart(rw, p, mul->inputs[1], depth - 1);
    if (take_constant(p, div->inputs[1], true))
        return take_apart(rw, p, div->inputs[0], depth - 1);
    return take_leaf(p, value);
}

/* x when value = x + number. */
static adze_value *match_sum(const adze_value *value, double *number)
{
    adze_node *add = adze_rw_producer(value, "Add");
    if (!add || adze_rw_has_clamp(add))
        return NULL;
    for (int i = 0; i < 2; i++)
        if (adze_rw_scalar(add->inputs[i], number))
            return add->inputs[1 - i];
    return NULL;
}

/* x when value = clip(x + 3, 0, 6). */
static adze_value *match_relu6_of_sum(const adze_value *value)
{
    double lo, hi, three;
    adze_node *clip = adze_rw_producer(value, "Clip");
    if (!clip || !adze_rw_scalar(adze_rw_input(clip, 1), &lo) ||
        !adze_rw_scalar(adze_rw_input(clip, 2), &hi) || lo != 0 || hi != 6)
        return NULL;
    adze_value *x = match_sum(clip->inputs[0], &three);
    return x && three == 3 ? x : NULL;
}

/* x when value = 1 + erf(x / sqrt(2)). */
static adze_value *match_erf_term(adze_rewriter *rw, const adze_value *value)
{
    double one;
    adze_value *sum = match_sum(value, &one);
    adze_node *erf = sum && one == 1 ? adze_rw_producer(sum, "Erf") : NULL;
    product p = {.number = 1};
    if (!erf || !take_apart(rw, &p, erf->inputs[0], 3) || p.count != 1)
        return NULL;
    return near(p.number, 0.70710678118654752) ? p.factors[0] : NULL;
}

/* The value becomes op(x). The node is killed by the new one taking its output. */
static adze_node *name_it(adze_rewriter *rw, adze_node *node, const char *op, adze_value *x)
{
    if (!adze_op_find(rw->graph->context, "", op))
        return NULL;
    adze_node *named = adze_rw_new_node(rw, op, node->name, 1, 1);
    if (!named)
        return NULL;
    named->inputs[0] = x;
    adze_rw_take_output(rw, named, 0, node->outputs[0]);
    return named;
}

static bool name_hard_sigmoid(adze_rewriter *rw, adze_node *node, adze_value *x)
{
    adze_node *named = name_it(rw, node, "HardSigmoid", x);
    return named && adze_rw_check(rw, adze_node_set_float(named, "alpha", 1.0f / 6) &&
                                          adze_node_set_float(named, "beta", 0.5f));
}

static bool is_hard_swish_gate(const adze_node *gate)
{
    return gate && near((double)adze_node_float(gate, "alpha", 0.2f), 1.0 / 6) &&
           adze_node_float(gate, "beta", 0.5f) == 0.5f;
}

/* ---- piecewise linear ---- */

/* x * gate(x) * number */
static bool name_hard_product(adze_rewriter *rw, adze_node *node, const product *p)
{
    for (int i = 0; i < 2; i++) {
        adze_value *x = p->factors[i], *gate = p->factors[1 - i];
        const adze_node *hard = adze_rw_producer(gate, "HardSigmoid");
        if (is_hard_swish_gate(hard) && p->number == 1 && hard->inputs[0] == x)
            return name_it(rw, node, "HardSwish", x);
        if (near(p->number, 1.0 / 6) && match_relu6_of_sum(gate) == x)
            return name_it(rw, node, "HardSwish", x);
    }
    return false;
}

/* The node's float product taken apart. */
static bool match_product(adze_rewriter *rw, product *p, const adze_node *node)
{
    *p = (product){.number = 1};
    return (adze_rw_is(node, "Mul") || adze_rw_is(node, "Div")) &&
           adze_rw_is_float(node->outputs[0]) && take_apart(rw, p, node->outputs[0], 3);
}

static bool name_hard_activation(adze_rewriter *rw, adze_node *node)
{
    product p;
    if (!match_product(rw, &p, node))
        return false;
    if (p.count == 2)
        return name_hard_product(rw, node, &p);
    adze_value *x = p.count == 1 ? match_relu6_of_sum(p.factors[0]) : NULL;
    return x && near(p.number, 1.0 / 6) && name_hard_sigmoid(rw, node, x);
}

adze_status adze_pass_name_hard_activations(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, name_hard_activation, changed, err);
}

/* ---- smooth ---- */

static bool name_activation(adze_rewriter *rw, adze_node *node)
{
    product p;
    if (!match_product(rw, &p, node) || p.count != 2)
        return false;
    for (int i = 0; i < 2; i++) {
        adze_value *x = p.factors[i], *gate = p.factors[1 - i];
        const adze_node *sigmoid = adze_rw_producer(gate, "Sigmoid");
        if (sigmoid && p.number == 1 && sigmoid->inputs[0] == x)
            return name_it(rw, node, "Swish", x);
        if (near(p.number, 0.5) && match_erf_term(rw, gate) == x)
            return name_it(rw, node, "Gelu", x);
    }
    return false;
}

adze_status adze_pass_name_activations(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, name_activation, changed, err);
}
