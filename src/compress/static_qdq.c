/* Writes a static plan into the graph as ONNX QDQ: QuantizeLinear and DequantizeLinear behind values,
 * DequantizeLinear before weights and biases. Names are short and equal constants shared, since on small
 * models they would weigh more than the weights. */
#include "compress/static_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

typedef struct writer {
    adze_static_plan *plan;
    adze_graph *graph;
    adze_map constants; /* content -> value */
} writer;

static adze_status no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
}

/* ---- constants ---- */

/* A constant that equals one made before is that one. */
static adze_value *shared(writer *w, adze_dtype dtype, int rank, const int64_t *dims,
                          const void *bytes)
{
    size_t size = adze_dtype_bytes(dtype, adze_shape_elements(rank, dims));
    char key[96];
    snprintf(key, sizeof key, "%d/%d/%zu/%016llx", (int)dtype, rank, size,
             (unsigned long long)adze_hash64(bytes, size));
    adze_value *known = adze_map_get(&w->constants, key);
    if (known && memcmp(known->constant->data, bytes, size) == 0)
        return known;
    void *data;
    adze_value *made = adze_compress_constant(w->graph, NULL, dtype, rank, dims, &data);
    if (!made || !adze_map_set(&w->constants, key, made))
        return NULL;
    memcpy(data, bytes, size);
    return made;
}

/* Scales and zero points of a group list; rank 0 for one. */
static bool scale_constants(writer *w, adze_value **scale, adze_value **zero, adze_dtype type,
                            const adze_quantized *q)
{
    adze_arena *arena = w->plan->work->arena;
    float *scales = ADZE_ARENA_ARRAY(arena, float, (size_t)q->groups);
    uint8_t *zeros = ADZE_ARENA_ARRAY(arena, uint8_t, (size_t)q->groups);
    if (!scales || !zeros)
        return false;
    for (int64_t g = 0; g < q->groups; g++) {
        scales[g] = q->affine[g].scale;
        zeros[g] = (uint8_t)q->affine[g].zero_point;
    }
    *scale = shared(w, ADZE_F32, q->scale_rank, q->scale_dims, scales);
    *zero = shared(w, type, q->scale_rank, q->scale_dims, zeros);
    return *scale && *zero;
}

static adze_node *add_node(writer *w, const char *op, const char *prefix, int id,
                           adze_value *const *inputs, int count)
{
    char name[32];
    snprintf(name, sizeof name, "%s%d", prefix, id);
    return adze_graph_add_node(w->graph, "", op, name, count, inputs, 1);
}

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
    adze_value *scale, *zero;
    if (!scale_constants(w, &scale, &zero, root->type, &one))
        return no_memory(err);
    adze_value *q_inputs[] = {value, scale, zero};
    adze_node *q = add_node(w, "QuantizeLinear", "q", value->id, q_inputs, 3);
    if (!q)
        return no_memory(err);
    adze_value *d_inputs[] = {q->outputs[0], scale, zero};
    adze_node *d = add_node(w, "DequantizeLinear", "d", value->id, d_inputs, 3);
    if (!d)
        return no_memory(err);
    adze_value *real = d->outputs[0];
    real->type = value->type;
    bool everywhere = value->producer && w->plan->quantized[value->producer->id];
    use_instead(w, value, real, everywhere);
    if (everywhere && !take_over_output(w->graph, value, real))
        return no_memory(err);
    return ADZE_OK;
}

/* ---- weights and biases ---- */

static adze_status write_dequantized(writer *w, adze_value **out, adze_value *stored,
                                     const adze_quantized *q, int axis, adze_error *err)
{
    adze_value *inputs[3] = {stored};
    if (!scale_constants(w, &inputs[1], &inputs[2], stored->type.dtype, q))
        return no_memory(err);
    adze_node *d = add_node(w, "DequantizeLinear", "w", stored->id, inputs, 3);
    if (!d || (q->groups > 1 && axis != 1 && !adze_node_set_int(d, "axis", axis)))
        return no_memory(err);
    *out = d->outputs[0];
    return ADZE_OK;
}

/* Biases count units of x_scale * w_scale in 32 bits: scales of weights below this would overflow. */
static float *least_scales(const writer *w, const float *bias, int64_t channels, bool one,
                           float x_scale)
{
    float *least = ADZE_ARENA_ARRAY(w->plan->work->arena, float, (size_t)channels);
    for (int64_t c = 0; least && bias && c < channels; c++) {
        float needed = fabsf(bias[c]) / (x_scale * 0x1p30f);
        int64_t at = one ? 0 : c;
        least[at] = fmaxf(least[at], needed);
    }
    return least;
}

/* The bias with its correction; NULL (and ok) when there is neither. */
static bool corrected_bias(const writer *w, const adze_node *node, const float **out)
{
    const adze_compression *work = w->plan->work;
    const adze_recipe *source = work->resolved ? work->resolved : work->recipe;
    const adze_named_floats *delta = adze_recipe_find_correction(source, node->name);
    const adze_value *bias = node->input_count > 2 ? node->inputs[2] : NULL;
    int64_t n = adze_compress_channels(node);
    bool can_have = !adze_compress_is(node, "MatMul");
    *out = bias ? bias->constant->data : NULL;
    if (!delta || !can_have || delta->count != n)
        return true;
    float *sum = ADZE_ARENA_ARRAY(work->arena, float, (size_t)n);
    for (int64_t c = 0; sum && c < n; c++)
        sum[c] = (*out ? (*out)[c] : 0) + delta->values[c];
    *out = sum;
    return sum;
}

static adze_status write_bias(writer *w, adze_node *node, const float *bias,
                              const adze_quantized *weights, float x_scale, adze_error *err)
{
    int64_t n = adze_compress_channels(node);
    void *data;
    adze_value *old = node->input_count > 2 ? node->inputs[2] : NULL;
    adze_value *stored = adze_compress_constant(w->graph, NULL, ADZE_I32, 1, &n, &data);
    int32_t *numbers = data;
    float *scales = ADZE_ARENA_ARRAY(w->plan->work->arena, float, (size_t)n);
    if (!stored || !scales)
        return no_memory(err);
    for (int64_t c = 0; c < n; c++) {
        scales[c] = x_scale * weights->affine[weights->groups == 1 ? 0 : c].scale;
        double q = rint((double)bias[c] / (double)scales[c]);
        numbers[c] = (int32_t)fmin(fmax(q, -2147483647.0), 2147483647.0);
    }
    adze_value *inputs[2] = {
        stored, shared(w, ADZE_F32, weights->groups == 1 ? 0 : 1, weights->scale_dims, scales)};
    adze_node *d = inputs[1] ? add_node(w, "DequantizeLinear", "b", stored->id, inputs, 2) : NULL;
    if (!d || (weights->groups > 1 && !adze_node_set_int(d, "axis", 0)))
        return no_memory(err);
    if (old && !adze_value_take_name(w->graph, stored, old))
        return no_memory(err);
    while (node->input_count < 3)
        if (!adze_node_add_input(node, NULL))
            return no_memory(err);
    node->inputs[2] = d->outputs[0];
    return ADZE_OK;
}

static adze_status write_weighted(writer *w, adze_node *node, adze_error *err)
{
    const adze_compression *work = w->plan->work;
    const adze_weight_recipe *how = &work->recipe->weights;
    adze_value *old = node->inputs[1];
    const adze_tensor *t = old->constant;
    int axis = adze_compress_weight_axis(node);
    adze_grouping grouping = {how->granularity == ADZE_GRANULARITY_TENSOR ? -1 : axis, 0};
    float x_scale = adze_static_root(w->plan, node->inputs[0])->affine.scale;
    const float *bias;
    if (!corrected_bias(w, node, &bias))
        return no_memory(err);
    float *least = least_scales(w, bias, adze_compress_channels(node), grouping.axis < 0, x_scale);
    if (!least)
        return no_memory(err);
    adze_quantized q;
    ADZE_TRY(adze_weights_scales(&q, t, &grouping, how, least, work->arena, err));
    void *data;
    adze_value *stored = adze_compress_constant(w->graph, NULL, how->type, t->rank, t->dims, &data);
    if (!stored || !adze_value_take_name(w->graph, stored, old))
        return no_memory(err);
    adze_weights_quantize(data, &q, t, &grouping, how);
    if (bias)
        ADZE_TRY(write_bias(w, node, bias, &q, x_scale, err));
    return write_dequantized(w, &node->inputs[1], stored, &q, axis, err);
}

/* A constant operand of arithmetic: in the type of the result, one scale. */
static adze_status write_operand(writer *w, adze_node *node, int i, adze_error *err)
{
    const adze_tensor *t = node->inputs[i]->constant;
    const adze_static_value *result = adze_static_root(w->plan, node->outputs[0]);
    adze_weight_recipe how = {.type = result->type, .symmetric = result->symmetric};
    adze_grouping one = {-1, 0};
    adze_quantized q;
    void *data;
    ADZE_TRY(adze_weights_scales(&q, t, &one, &how, NULL, w->plan->work->arena, err));
    adze_value *stored = adze_compress_constant(w->graph, NULL, how.type, t->rank, t->dims, &data);
    if (!stored)
        return no_memory(err);
    adze_weights_quantize(data, &q, t, &one, &how);
    return write_dequantized(w, &node->inputs[i], stored, &q, 1, err);
}

static adze_status write_nodes(writer *w, adze_error *err)
{
    int count = w->graph->node_count; /* those before the first addition */
    for (int n = 0; n < count; n++) {
        adze_node *node = w->graph->nodes[n];
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
    writer w = {&plan, work->graph, adze_map_in(work->arena)};
    int values = work->graph->value_count;
    ADZE_TRY(write_nodes(&w, err));
    for (int i = 0; i < values; i++)
        if (plan.values[i].pair)
            ADZE_TRY(write_pair(&w, work->graph->values[i], err));
    return adze_graph_sort(work->graph, err);
}
