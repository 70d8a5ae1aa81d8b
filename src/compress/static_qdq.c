/* Writes a static plan into the graph as ONNX QDQ: QuantizeLinear and DequantizeLinear behind values,
 * DequantizeLinear before weights and biases. */
#include <math.h>

#include "compress/qdq.h"
#include "compress/static_plan.h"

typedef struct writer {
    adze_static_plan *plan;
    adze_qdq qdq;
} writer;

/* ---- values ---- */

static void use_instead(writer *w, adze_value *value, adze_value *real, bool everywhere)
{
    const adze_static_plan *p = w->plan;
    for (int u = 0; u < p->uses.count[value->id]; u++) {
        adze_node *user = p->uses.users[value->id][u];
        for (int i = 0; user && i < user->input_count; i++)
            if (user->inputs[i] == value &&
                (everywhere || (p->quantized[user->id] && adze_static_is_activation(user, i))))
                user->inputs[i] = real;
    }
}

static bool take_over_output(adze_graph *g, adze_value *value, adze_value *real)
{
    if (!adze_value_is_output(g, value))
        return true;
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i] == value)
            g->outputs[i] = real;
    return adze_value_take_name(g, real, value);
}

static adze_status write_pair(writer *w, adze_value *value, adze_error *err)
{
    const adze_static_value *root = adze_static_root(w->plan, value);
    adze_affine affine = root->affine;
    adze_quantized one = {.groups = 1, .affine = &affine};
    adze_value *q_inputs[3] = {value};
    if (!adze_qdq_scales(&w->qdq, &q_inputs[1], &q_inputs[2], root->type, &one))
        return adze_qdq_no_memory(err);
    adze_node *q = adze_qdq_node(&w->qdq, "QuantizeLinear", "q", value->id, q_inputs, 3);
    if (!q)
        return adze_qdq_no_memory(err);
    adze_value *d_inputs[] = {q->outputs[0], q_inputs[1], q_inputs[2]};
    adze_node *d = adze_qdq_node(&w->qdq, "DequantizeLinear", "d", value->id, d_inputs, 3);
    if (!d)
        return adze_qdq_no_memory(err);
    adze_value *real = d->outputs[0];
    real->type = value->type;
    bool everywhere = value->producer && w->plan->quantized[value->producer->id];
    use_instead(w, value, real, everywhere);
    if (everywhere && !take_over_output(w->qdq.graph, value, real))
        return adze_qdq_no_memory(err);
    return ADZE_OK;
}

/* ---- weights and biases ---- */

static const float *bias_of(const adze_node *node)
{
    const adze_value *bias = node->input_count > 2 ? node->inputs[2] : NULL;
    return bias ? bias->constant->data : NULL;
}

/* Biases count units of x_scale * w_scale in 32 bits: scales of weights below this would overflow. */
static float *least_scales(const writer *w, const float *bias, int64_t channels, bool one,
                           float x_scale)
{
    float *least = ADZE_ARENA_ARRAY(w->qdq.arena, float, (size_t)channels);
    for (int64_t c = 0; least && bias && c < channels; c++) {
        float needed = fabsf(bias[c]) / (x_scale * 0x1p30f);
        int64_t at = one ? 0 : c;
        least[at] = fmaxf(least[at], needed);
    }
    return least;
}

static adze_status write_bias(writer *w, adze_node *node, const adze_quantized *weights,
                              float x_scale, adze_error *err)
{
    int64_t n = adze_compress_channels(node);
    void *data;
    adze_value *old = node->inputs[2];
    const float *bias = bias_of(node);
    adze_value *stored = adze_compress_constant(w->qdq.graph, NULL, ADZE_I32, 1, &n, &data);
    int32_t *numbers = data;
    float *scales = ADZE_ARENA_ARRAY(w->qdq.arena, float, (size_t)n);
    if (!stored || !scales)
        return adze_qdq_no_memory(err);
    for (int64_t c = 0; c < n; c++) {
        scales[c] = x_scale * weights->affine[weights->groups == 1 ? 0 : c].scale;
        double q = rint((double)bias[c] / (double)scales[c]);
        numbers[c] = (int32_t)fmin(fmax(q, -2147483647.0), 2147483647.0);
    }
    adze_value *inputs[2] = {stored, adze_qdq_shared(&w->qdq, ADZE_F32, weights->scale_rank,
                                                     weights->scale_dims, scales)};
    adze_node *d =
        inputs[1] ? adze_qdq_node(&w->qdq, "DequantizeLinear", "b", stored->id, inputs, 2) : NULL;
    if (!d || (weights->scale_rank > 0 && !adze_node_set_int(d, "axis", 0)) ||
        !adze_value_take_name(w->qdq.graph, stored, old))
        return adze_qdq_no_memory(err);
    node->inputs[2] = d->outputs[0];
    return ADZE_OK;
}

static adze_status write_weighted(writer *w, adze_node *node, adze_error *err)
{
    const adze_weight_recipe *how = &w->plan->work->recipe->weights;
    adze_value *old = node->inputs[1], *stored;
    adze_grouping grouping = adze_qdq_grouping(node, how);
    float x_scale = adze_static_root(w->plan, node->inputs[0])->affine.scale;
    float *least =
        least_scales(w, bias_of(node), adze_compress_channels(node), grouping.axis < 0, x_scale);
    if (!least)
        return adze_qdq_no_memory(err);
    adze_quantized q;
    ADZE_TRY(adze_qdq_stored(&w->qdq, &stored, &q, old->constant, &grouping, how, least, err));
    if (!adze_value_take_name(w->qdq.graph, stored, old))
        return adze_qdq_no_memory(err);
    if (bias_of(node))
        ADZE_TRY(write_bias(w, node, &q, x_scale, err));
    return adze_qdq_dequantized(&w->qdq, &node->inputs[1], stored, &q, &grouping, true, err);
}

/* A constant operand of arithmetic: in the type of activations, one scale. */
static adze_status write_operand(writer *w, adze_node *node, int i, adze_error *err)
{
    const adze_activation_recipe *activations = &w->plan->work->recipe->activations;
    adze_weight_recipe how = {.type = activations->type, .symmetric = activations->symmetric};
    adze_grouping one = {-1, 0};
    adze_quantized q;
    adze_value *stored;
    ADZE_TRY(
        adze_qdq_stored(&w->qdq, &stored, &q, node->inputs[i]->constant, &one, &how, NULL, err));
    return adze_qdq_dequantized(&w->qdq, &node->inputs[i], stored, &q, &one, true, err);
}

static adze_status write_nodes(writer *w, adze_error *err)
{
    int count = w->qdq.graph->node_count; /* those before the first addition */
    for (int n = 0; n < count; n++) {
        adze_node *node = w->qdq.graph->nodes[n];
        if (!w->plan->quantized[node->id])
            continue;
        if (node->op->quant == ADZE_QUANT_WEIGHTED)
            ADZE_TRY(write_weighted(w, node, err));
        for (int i = 0; i < node->input_count && node->op->quant != ADZE_QUANT_WEIGHTED; i++)
            if (node->inputs[i] && node->inputs[i]->role == ADZE_ROLE_CONSTANT &&
                adze_static_is_activation(node, i))
                ADZE_TRY(write_operand(w, node, i, err));
    }
    return ADZE_OK;
}

adze_status adze_compress_static(adze_compression *work, adze_error *err)
{
    adze_static_plan plan;
    ADZE_TRY(adze_static_plan_make(&plan, work, err));
    writer w = {&plan, adze_qdq_writer(work->graph, work->arena)};
    int values = work->graph->value_count;
    ADZE_TRY(write_nodes(&w, err));
    for (int i = 0; i < values; i++)
        if (plan.values[i].pair)
            ADZE_TRY(write_pair(&w, work->graph->values[i], err));
    return ADZE_OK;
}
