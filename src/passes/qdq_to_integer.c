/* DequantizeLinear -> operator -> QuantizeLinear becomes the operator on the quantized values
 * themselves. There are no integer operators: the types of the values say how their numbers are meant,
 * and the operator's row says (its quant rule) what it can do with that.
 *
 *   WEIGHTED  activation, constant weights, bias as int32 where it counts x_scale * w_scale, else float;
 *             without a QuantizeLinear behind it the result is float
 *   COMPUTE   all activations dequantized and the result quantized again, each with its own scale
 *   MOVE      the scale goes along: the DequantizeLinear moves behind the operator */
#include "passes/list_impl.h"
#include "passes/quantized_impl.h"

#include <math.h>
#include <string.h>

/* ---- inputs ---- */

static bool is_real(const adze_value *value)
{
    return value && adze_dtype_describe(value->type.dtype)->kind == ADZE_KIND_FLOAT &&
           !value->type.quant;
}

/* The stored numbers behind a DequantizeLinear, as activation; NULL: not possible. */
static adze_value *activation(adze_rewriter *rw, const adze_value *value, adze_qparams *p)
{
    adze_node *node = adze_rw_dequantizer(value, p);
    if (!node || !adze_qparams_is_activation(p) || adze_rw_constant(node->inputs[0]) ||
        !adze_rw_can_set_quant(rw, node->inputs[0], p))
        return NULL;
    return node->inputs[0];
}

/* A constant over the same bytes whose type carries the quantization. */
static adze_value *typed_constant(adze_rewriter *rw, const adze_value *stored,
                                  const adze_quant *quant)
{
    adze_tensor tensor = *stored->constant;
    tensor.quant = quant;
    adze_value *value = adze_graph_add_constant(rw->graph, stored->name, &tensor, false);
    rw->stale = true;
    adze_rw_check(rw, value);
    return value;
}

static adze_value *dequantized_constant(adze_rewriter *rw, const adze_node *dequantizer,
                                        const adze_qparams *p)
{
    const adze_quant *quant = adze_qparams_quant(rw, p);
    return quant ? typed_constant(rw, dequantizer->inputs[0], quant) : NULL;
}

/* ---- weighted ---- */

typedef struct weighted {
    adze_node *node, *weights_node; /* the latter: DequantizeLinear of the weights */
    adze_value *x;
    adze_qparams x_params, w_params;
    int64_t channels;
} weighted;

/* Axis of the weights that holds output channels; -1: only one scale for all is possible. */
static int weight_axis(const adze_node *node, int rank)
{
    if (adze_rw_is(node, "Gemm"))
        return adze_node_int(node, "transB", 0) ? 0 : 1;
    if (adze_rw_is(node, "ConvTranspose") && adze_node_int(node, "group", 1) != 1)
        return -1;
    return node->op->weight_axis < 0 ? node->op->weight_axis + rank : node->op->weight_axis;
}

static bool plain_gemm(const adze_node *node)
{
    return !adze_rw_is(node, "Gemm") ||
           (adze_node_float(node, "alpha", 1) == 1 && adze_node_float(node, "beta", 1) == 1 &&
            !adze_node_int(node, "transA", 0));
}

static bool match_weights(weighted *w)
{
    adze_node *dequantizer = adze_rw_dequantizer(adze_rw_input(w->node, 1), &w->w_params);
    const adze_tensor *t = dequantizer ? adze_rw_constant(dequantizer->inputs[0]) : NULL;
    if (!t || t->quant || (t->dtype != ADZE_I8 && t->dtype != ADZE_U8) || t->rank < 2)
        return false;
    bool matrix = t->rank == 2 || !adze_rw_is(w->node, "MatMul");
    int axis = weight_axis(w->node, t->rank);
    w->weights_node = dequantizer;
    w->channels = axis < 0 ? t->dims[1] * adze_node_int(w->node, "group", 1) : t->dims[axis];
    return matrix && (w->w_params.count == 1 ||
                      (w->w_params.axis == axis && w->w_params.count == w->channels));
}

static bool match_weighted(adze_rewriter *rw, weighted *w, adze_node *node)
{
    *w = (weighted){.node = node};
    if (!plain_gemm(node) || !match_weights(w))
        return false;
    w->x = activation(rw, node->inputs[0], &w->x_params);
    return w->x;
}

/* Real value of bias i, from a float constant or a dequantized one. */
typedef struct bias_source {
    const adze_tensor *tensor;
    adze_qparams params; /* scale NULL: the tensor holds the numbers */
} bias_source;

static bool match_bias(bias_source *out, const adze_value *value, int64_t channels)
{
    adze_node *dequantizer = adze_rw_dequantizer(value, &out->params);
    if (!dequantizer)
        out->params.scale = NULL;
    out->tensor = adze_rw_constant(dequantizer ? dequantizer->inputs[0] : value);
    if (!out->tensor || out->tensor->quant || adze_tensor_elements(out->tensor) != channels)
        return false;
    if (!dequantizer)
        return out->tensor->dtype == ADZE_F32;
    return out->params.count == 1 || out->params.count == channels;
}

static double bias_at(const bias_source *b, int64_t i)
{
    if (!b->params.scale)
        return (double)((const float *)b->tensor->data)[i];
    int64_t stored = adze_tensor_get_i64(b->tensor, i) - adze_qparams_zero(&b->params, i);
    return (double)stored * (double)adze_qparams_scale(&b->params, i);
}

/* One unit of the accumulator. */
static double unit(const weighted *w, int64_t channel)
{
    return (double)(adze_qparams_scale(&w->x_params, 0) *
                    adze_qparams_scale(&w->w_params, channel));
}

/* Its numbers count units already: they are taken as they are. */
static bool counts_units(const weighted *w, const bias_source *b)
{
    if (!b->params.scale || b->tensor->dtype != ADZE_I32)
        return false;
    for (int64_t i = 0; i < w->channels; i++)
        if (adze_qparams_zero(&b->params, i) != 0 ||
            fabs((double)adze_qparams_scale(&b->params, i) - unit(w, i)) > 1e-6 * unit(w, i))
            return false;
    return true;
}

static adze_value *integer_bias(adze_rewriter *rw, const weighted *w, const bias_source *b,
                                const char *name)
{
    float *scale = ADZE_ARENA_ARRAY(&rw->graph->arena, float, (size_t)w->channels);
    if (!adze_rw_check(rw, scale))
        return NULL;
    for (int64_t i = 0; i < w->channels; i++)
        scale[i] = (float)unit(w, i);
    adze_tensor tensor = adze_tensor_view(ADZE_I32, 1, &w->channels, b->tensor->data);
    tensor.quant =
        adze_graph_new_quant(rw->graph, w->channels == 1 ? -1 : 0, 0, w->channels, scale, NULL);
    adze_value *value = adze_graph_add_constant(rw->graph, name, &tensor, false);
    rw->stale = true;
    return adze_rw_check(rw, tensor.quant && value) ? value : NULL;
}

static adze_value *float_bias(adze_rewriter *rw, const weighted *w, const bias_source *b,
                              const char *name)
{
    float *numbers = ADZE_ARENA_ARRAY(&rw->graph->arena, float, (size_t)w->channels);
    if (!adze_rw_check(rw, numbers))
        return NULL;
    for (int64_t i = 0; i < w->channels; i++)
        numbers[i] = (float)bias_at(b, i);
    adze_tensor tensor = adze_tensor_view(ADZE_F32, 1, &w->channels, numbers);
    adze_value *value = adze_graph_add_constant(rw->graph, name, &tensor, false);
    rw->stale = true;
    return adze_rw_check(rw, value) ? value : NULL;
}

/* The result becomes the output of the QuantizeLinear behind; none, or others use it: it stays float. */
static bool take_quantized(adze_rewriter *rw, adze_node *node, bool *taken)
{
    adze_qparams p;
    adze_node *quantizer = adze_rw_quantizer(rw, node->outputs[0], &p);
    *taken = quantizer && adze_rw_set_quant(rw, quantizer->outputs[0], &p);
    if (*taken)
        adze_rw_take_output(rw, node, 0, quantizer->outputs[0]);
    return !rw->failed;
}

static bool rewrite_weighted(adze_rewriter *rw, adze_node *node)
{
    weighted w;
    bias_source bias;
    adze_value *old_bias = adze_rw_input(node, 2), *new_bias = NULL;
    bool taken;
    if (node->inputs[0]->type.quant &&
        is_real(node->outputs[0])) /* several behind it are one now */
        return take_quantized(rw, node, &taken) && taken;
    if (!match_weighted(rw, &w, node) || (old_bias && !match_bias(&bias, old_bias, w.channels)))
        return false;
    adze_value *weights = dequantized_constant(rw, w.weights_node, &w.w_params);
    if (weights && old_bias)
        new_bias =
            (counts_units(&w, &bias) ? integer_bias : float_bias)(rw, &w, &bias, old_bias->name);
    if (rw->failed || !adze_rw_set_quant(rw, w.x, &w.x_params))
        return false;
    adze_rw_set_input(rw, node, 0, w.x);
    adze_rw_set_input(rw, node, 1, weights);
    if (new_bias)
        adze_rw_set_input(rw, node, 2, new_bias);
    return take_quantized(rw, node, &taken);
}

/* ---- compute ---- */

/* Every float input is dequantized or constant; at least one is an activation. */
static bool inputs_compute(adze_rewriter *rw, const adze_node *node)
{
    adze_qparams p;
    bool any = false;
    for (int i = 0; i < node->input_count; i++) {
        const adze_value *value = node->inputs[i];
        if (!is_real(value) || adze_rw_constant(value))
            continue;
        adze_node *dequantizer = adze_rw_dequantizer(value, &p);
        bool constant = dequantizer && adze_rw_constant(dequantizer->inputs[0]);
        if (constant ? !adze_qparams_is_activation(&p) : !activation(rw, value, &p))
            return false;
        any |= !constant;
    }
    return any;
}

static bool set_quantized_inputs(adze_rewriter *rw, adze_node *node)
{
    adze_qparams p;
    for (int i = 0; i < node->input_count && !rw->failed; i++) {
        adze_node *dequantizer =
            is_real(node->inputs[i]) ? adze_rw_dequantizer(node->inputs[i], &p) : NULL;
        if (!dequantizer)
            continue;
        adze_value *stored = dequantizer->inputs[0];
        if (adze_rw_constant(stored))
            stored = dequantized_constant(rw, dequantizer, &p);
        else
            adze_rw_set_quant(rw, stored, &p);
        if (!rw->failed)
            adze_rw_set_input(rw, node, i, stored);
    }
    return !rw->failed;
}

static bool one_output(const adze_node *node)
{
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i])
            return false;
    return node->output_count > 0 && is_real(node->outputs[0]);
}

static bool rewrite_compute(adze_rewriter *rw, adze_node *node)
{
    adze_qparams p;
    bool taken;
    if (!one_output(node) || !inputs_compute(rw, node))
        return false;
    adze_node *quantizer = adze_rw_quantizer(rw, node->outputs[0], &p);
    if (!quantizer || !adze_rw_can_set_quant(rw, quantizer->outputs[0], &p))
        return false;
    return set_quantized_inputs(rw, node) && take_quantized(rw, node, &taken);
}

/* ---- move ---- */

/* Inputs that are moved: all of Concat, else the first. */
static int moved_inputs(const adze_node *node)
{
    return adze_rw_is(node, "Concat") ? node->input_count : 1;
}

/* What a padding operator writes must be the real number zero. */
static bool fills_with_zero(const adze_node *node)
{
    const adze_value *fill = adze_rw_is(node, "Pad") ? adze_rw_input(node, 2) : NULL;
    return !fill || adze_rw_all_equal(fill, 0);
}

static bool match_move(adze_rewriter *rw, const adze_node *node, adze_qparams *p)
{
    adze_qparams other;
    if (node->input_count < 1 || !activation(rw, node->inputs[0], p) || !fills_with_zero(node))
        return false;
    for (int i = 1; i < node->input_count; i++) {
        bool moved = i < moved_inputs(node);
        if (moved ? !activation(rw, node->inputs[i], &other) || !adze_qparams_equal(p, &other)
                  : is_real(node->inputs[i]) && !adze_rw_constant(node->inputs[i]))
            return false;
    }
    return true;
}

/* Output i becomes quantized; a new DequantizeLinear makes what it was. */
static bool dequantize_behind(adze_rewriter *rw, adze_node *node, int i, const adze_node *before,
                              const adze_qparams *p)
{
    adze_value *real = node->outputs[i];
    adze_type type = real->type;
    type.dtype = p->dtype;
    type.quant = adze_qparams_quant(rw, p);
    adze_value *stored = type.quant ? adze_graph_new_value(rw->graph, NULL, &type) : NULL;
    adze_node *after = adze_rw_new_node(rw, "DequantizeLinear", NULL, before->input_count, 1);
    if (!adze_rw_check(rw, stored) || !after)
        return false;
    for (int k = 1; k < before->input_count; k++)
        after->inputs[k] = before->inputs[k];
    after->inputs[0] = stored;
    after->outputs[0]->producer = NULL;
    after->outputs[0] = real;
    real->producer = after;
    real->producer_output = 0;
    node->outputs[i] = stored;
    stored->producer = node;
    stored->producer_output = i;
    return true;
}

static bool rewrite_move(adze_rewriter *rw, adze_node *node)
{
    adze_qparams p;
    if (!match_move(rw, node, &p))
        return false;
    const adze_node *before = node->inputs[0]->producer;
    for (int i = 0; i < moved_inputs(node); i++) {
        adze_value *stored = node->inputs[i]->producer->inputs[0];
        adze_rw_set_quant(rw, stored, &p);
        adze_rw_set_input(rw, node, i, stored);
    }
    for (int i = 0; i < node->output_count && !rw->failed; i++)
        if (is_real(node->outputs[i]))
            dequantize_behind(rw, node, i, before, &p);
    return !rw->failed;
}

/* ---- QuantizeLinear itself ---- */

/* Quantizing what was just dequantized in the same way. */
static bool cancel(adze_rewriter *rw, adze_node *quantizer)
{
    adze_qparams p, q;
    adze_node *dequantizer = adze_rw_dequantizer(quantizer->inputs[0], &q);
    if (!dequantizer || !adze_qparams_read(&p, quantizer) || !adze_qparams_equal(&p, &q) ||
        !adze_rw_replace(rw, quantizer->outputs[0], dequantizer->inputs[0]))
        return false;
    adze_rw_kill(rw, quantizer);
    return true;
}

/* Another QuantizeLinear does the same. */
static bool merge(adze_rewriter *rw, adze_node *quantizer)
{
    adze_qparams p, q;
    const adze_value *x = quantizer->inputs[0];
    if (adze_rw_use_count(rw, x) < 2 || !adze_qparams_read(&p, quantizer))
        return false;
    for (int i = 0; i < adze_rw_use_count(rw, x); i++) {
        adze_node *other = adze_rw_user(rw, x, i);
        if (other == quantizer || !adze_rw_is(other, "QuantizeLinear") || other->inputs[0] != x ||
            !adze_qparams_read(&q, other) || !adze_qparams_equal(&p, &q) ||
            !adze_rw_replace(rw, other->outputs[0], quantizer->outputs[0]))
            continue;
        adze_rw_kill(rw, other);
        return true;
    }
    return false;
}

/* Integer convolution and pooling are for pictures and sequences: volumes stay floats. */
static bool is_volume(const adze_node *node)
{
    const adze_value *x =
        adze_rw_input(node, adze_rw_is(node, "Conv") || adze_rw_is(node, "ConvTranspose"));
    bool window = strstr(node->op_type, "Pool") || strncmp(node->op_type, "Conv", 4) == 0;
    return window && x && (x->type.rank < 0 || x->type.rank > 4);
}

static bool rewrite(adze_rewriter *rw, adze_node *node)
{
    if (adze_rw_is(node, "QuantizeLinear"))
        return cancel(rw, node) || merge(rw, node);
    if (!node->op || adze_rw_is(node, "DequantizeLinear") || is_volume(node) ||
        !adze_rw_is_typed(node))
        return false;
    switch (node->op->quant) {
    case ADZE_QUANT_WEIGHTED: return rewrite_weighted(rw, node);
    case ADZE_QUANT_COMPUTE: return rewrite_compute(rw, node);
    case ADZE_QUANT_MOVE:
        return rewrite_move(rw, node) || (adze_rw_is(node, "Concat") && rewrite_compute(rw, node));
    case ADZE_QUANT_NEVER: break;
    }
    return false;
}

adze_status adze_pass_qdq_to_integer(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, rewrite, changed, err);
}
