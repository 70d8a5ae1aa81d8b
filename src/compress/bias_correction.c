/* Bias correction: rounding weights shifts the mean of each output channel by what the rounding errors
 * make of the mean input; the bias takes that back (Nagel et al., 2019, section 4.2, with measured
 * instead of estimated means; padding is taken as more of the mean). */
#include "compress/qdq.h"
#include "compress/schemes.h"

typedef struct correction {
    adze_compression *work;
    adze_node *node;
    int64_t channels;
    float *delta; /* [channels], what is added to the bias */
} correction;

/* Output channel and input channel that element i of the weights joins. */
static void ends(const adze_node *node, int64_t i, int64_t *out, int64_t *in)
{
    const adze_tensor *w = node->inputs[1]->constant;
    int axis = adze_compress_weight_axis(node);
    if (w->rank == 2 && !adze_compress_is(node, "Conv")) {
        *out = axis == 0 ? i / w->dims[1] : i % w->dims[1];
        *in = axis == 0 ? i % w->dims[1] : i / w->dims[1];
        return;
    }
    int64_t window = adze_shape_elements(w->rank - 2, w->dims + 2);
    int64_t group_size = w->dims[0] / adze_node_int(node, "group", 1);
    *out = i / window / w->dims[1];
    *in = *out / group_size * w->dims[1] + i / window % w->dims[1];
}

static adze_status measure(correction *c, const adze_observer *o, adze_error *err)
{
    const adze_compression *work = c->work;
    const adze_tensor *w = c->node->inputs[1]->constant;
    adze_grouping grouping = adze_qdq_grouping(c->node, &work->recipe->weights);
    adze_quantized q;
    double *sum = ADZE_ARENA_ARRAY(work->arena, double, (size_t)c->channels);
    if (!sum)
        return adze_qdq_no_memory(err);
    ADZE_TRY(adze_weights_scales(&q, w, &grouping, &work->recipe->weights, NULL, work->arena, err));
    for (int64_t i = 0; i < adze_tensor_elements(w); i++) {
        int64_t out, in;
        ends(c->node, i, &out, &in);
        double rounded = (double)adze_weights_rounded(&q, w, &grouping, &work->recipe->weights, i);
        double mean = in < o->channels ? o->sums[in] / (double)o->rows : 0;
        sum[out] += (rounded - (double)((const float *)w->data)[i]) * mean;
    }
    for (int64_t i = 0; i < c->channels; i++)
        c->delta[i] = (float)-sum[i];
    return ADZE_OK;
}

/* False: nothing is known about this node. */
static adze_status find_delta(correction *c, bool *found, adze_error *err)
{
    const adze_compression *work = c->work;
    *found = false;
    if (!work->resolved) {
        const adze_named_floats *given = adze_recipe_find_correction(work->recipe, c->node->name);
        *found = given && given->count == c->channels;
        for (int64_t i = 0; *found && i < c->channels; i++)
            c->delta[i] = given->values[i];
        return ADZE_OK;
    }
    const adze_observer *o =
        work->seen ? adze_observation_find(work->seen, c->node->inputs[0]->name) : NULL;
    if (!o || !o->sums || o->rows == 0)
        return ADZE_OK;
    ADZE_TRY(measure(c, o, err));
    *found = true;
    if (!adze_recipe_add_correction(work->resolved, c->node->name, c->delta, c->channels))
        return adze_qdq_no_memory(err);
    return ADZE_OK;
}

static adze_status add_to_bias(const correction *c, adze_error *err)
{
    adze_node *node = c->node;
    adze_value *old = node->input_count > 2 ? node->inputs[2] : NULL;
    void *data;
    adze_value *bias =
        adze_compress_constant(c->work->graph, NULL, ADZE_F32, 1, &c->channels, &data);
    if (!bias || (old && !adze_value_take_name(c->work->graph, bias, old)))
        return adze_qdq_no_memory(err);
    for (int64_t i = 0; i < c->channels; i++)
        ((float *)data)[i] = (old ? ((const float *)old->constant->data)[i] : 0) + c->delta[i];
    while (node->input_count < 3)
        if (!adze_node_add_input(node, NULL))
            return adze_qdq_no_memory(err);
    node->inputs[2] = bias;
    return ADZE_OK;
}

adze_status adze_compress_correct_biases(adze_compression *work, adze_error *err)
{
    for (int i = 0; i < work->graph->node_count; i++) {
        adze_node *node = work->graph->nodes[i];
        bool able = adze_compress_is(node, "Conv") || adze_compress_is(node, "Gemm");
        if (!able || !adze_compress_wants(work, node))
            continue;
        correction c = {.work = work, .node = node, .channels = adze_compress_channels(node)};
        bool found;
        c.delta = ADZE_ARENA_ARRAY(work->arena, float, (size_t)c.channels);
        if (!c.delta)
            return adze_qdq_no_memory(err);
        ADZE_TRY(find_delta(&c, &found, err));
        if (found)
            ADZE_TRY(add_to_bias(&c, err));
    }
    return ADZE_OK;
}
