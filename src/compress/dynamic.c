/* Dynamic int8: activations are quantized at run time to the range that they have then.
 *
 *   x -> DynamicQuantizeLinear -> MatMulInteger or ConvInteger -> Cast -> Mul (scales) -> Add (bias)
 *
 * which is the form that ONNX Runtime also writes and fuses. */
#include "compress/qdq.h"
#include "compress/schemes.h"

typedef struct dynamic {
    adze_qdq w;
    adze_node **quantizers; /* by id of value: its DynamicQuantizeLinear */
    const adze_compression *work;
} dynamic;

static bool can_convert(const adze_node *node)
{
    return !adze_compress_is(node, "ConvTranspose");
}

static adze_node *quantizer(dynamic *d, adze_value *x)
{
    adze_node **known = &d->quantizers[x->id];
    if (!*known)
        *known = adze_graph_add_node(d->w.graph, "", "DynamicQuantizeLinear", "q", 1, &x, 3);
    return *known;
}

/* Weights of Gemm as MatMulInteger takes them: [inputs, outputs]. */
static adze_status untranspose(dynamic *d, adze_tensor *out, const adze_node *node, adze_error *err)
{
    const adze_tensor *t = node->inputs[1]->constant;
    *out = *t;
    if (!adze_compress_is(node, "Gemm") || !adze_node_int(node, "transB", 0))
        return ADZE_OK;
    int64_t rows = t->dims[0], columns = t->dims[1];
    float *turned = ADZE_ARENA_ARRAY(d->w.arena, float, (size_t)(rows * columns));
    if (!turned)
        return adze_qdq_no_memory(err);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            turned[c * rows + r] = ((const float *)t->data)[r * columns + c];
    out->data = turned;
    out->dims[0] = columns;
    out->dims[1] = rows;
    return ADZE_OK;
}

/* A row of channels shaped to meet the channel axis of the result. */
static void channel_shape(int *rank, int64_t *dims, const adze_node *node, int64_t channels)
{
    bool conv = adze_compress_is(node, "Conv");
    *rank = conv ? node->inputs[1]->type.rank - 1 : 1;
    for (int i = 0; i < *rank; i++)
        dims[i] = 1;
    dims[0] = channels;
}

static adze_value *product(dynamic *d, adze_node *node, adze_node *q, adze_value *stored,
                           const adze_quantized *weights, adze_error *err)
{
    bool conv = adze_compress_is(node, "Conv");
    adze_quantized first = {.groups = 1,
                            .affine = weights->affine}; /* zero points are all the same */
    adze_value *scale, *zero;
    if (!adze_qdq_scales(&d->w, &scale, &zero, stored->type.dtype, &first))
        return NULL;
    ADZE_UNUSED(err);
    adze_value *inputs[] = {q->outputs[0], stored, q->outputs[2], zero};
    adze_node *made =
        adze_qdq_node(&d->w, conv ? "ConvInteger" : "MatMulInteger", "i", stored->id, inputs, 4);
    if (!made || (conv && !adze_node_copy_attrs(made, node)))
        return NULL;
    adze_node *cast = adze_qdq_node(&d->w, "Cast", "c", stored->id, made->outputs, 1);
    bool ok = cast && adze_node_set_int(cast, "to", adze_dtype_describe(ADZE_F32)->onnx);
    return ok ? cast->outputs[0] : NULL;
}

/* product * (x_scale * w_scale) + bias */
static adze_node *rescale(dynamic *d, adze_node *node, adze_value *sum, adze_value *x_scale,
                          const adze_quantized *weights, int id)
{
    int rank = 0;
    int64_t dims[ADZE_MAX_RANK];
    float *scales = ADZE_ARENA_ARRAY(d->w.arena, float, (size_t)weights->groups);
    if (!scales)
        return NULL;
    for (int64_t g = 0; g < weights->groups; g++)
        scales[g] = weights->affine[g].scale;
    if (weights->groups > 1)
        channel_shape(&rank, dims, node, weights->groups);
    adze_value *both[] = {x_scale, adze_qdq_shared(&d->w, ADZE_F32, rank, dims, scales)};
    adze_node *scale = both[1] ? adze_qdq_node(&d->w, "Mul", "s", id, both, 2) : NULL;
    if (!scale)
        return NULL;
    adze_value *factors[] = {sum, scale->outputs[0]};
    adze_node *mul = adze_qdq_node(&d->w, "Mul", "m", id, factors, 2);
    adze_value *bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!mul || !bias)
        return mul;
    channel_shape(&rank, dims, node, bias->constant->dims[0]);
    adze_value *terms[] = {mul->outputs[0],
                           adze_qdq_shared(&d->w, ADZE_F32, rank, dims, bias->constant->data)};
    return terms[1] ? adze_qdq_node(&d->w, "Add", "b", id, terms, 2) : NULL;
}

static adze_status convert(dynamic *d, adze_node *node, adze_error *err)
{
    const adze_weight_recipe *how = &d->work->recipe->weights;
    bool matrix = !adze_compress_is(node, "Conv");
    adze_grouping grouping = {how->granularity == ADZE_GRANULARITY_TENSOR ? -1 : matrix ? 1 : 0, 0};
    adze_value *stored, *old = node->inputs[1];
    adze_quantized q;
    adze_tensor t;
    adze_node *quantize = quantizer(d, node->inputs[0]);
    if (!quantize)
        return adze_qdq_no_memory(err);
    ADZE_TRY(untranspose(d, &t, node, err));
    ADZE_TRY(adze_qdq_stored(&d->w, &stored, &q, &t, &grouping, how, NULL, err));
    if (!adze_value_take_name(d->w.graph, stored, old))
        return adze_qdq_no_memory(err);
    adze_value *sum = product(d, node, quantize, stored, &q, err);
    adze_node *last = sum ? rescale(d, node, sum, quantize->outputs[1], &q, stored->id) : NULL;
    if (!last)
        return adze_qdq_no_memory(err);
    adze_qdq_take_over(last, node->outputs[0]);
    adze_node_kill(node);
    return ADZE_OK;
}

adze_status adze_compress_dynamic(adze_compression *work, adze_error *err)
{
    adze_graph *g = work->graph;
    dynamic d = {.w = adze_qdq_writer(g, work->arena), .work = work};
    int count = g->node_count;
    d.quantizers = ADZE_ARENA_ARRAY(work->arena, adze_node *, (size_t)g->value_count + 1);
    if (!d.quantizers)
        return adze_qdq_no_memory(err);
    for (int i = 0; i < count; i++)
        if (adze_compress_wants(work, g->nodes[i]) && can_convert(g->nodes[i]))
            ADZE_TRY(convert(&d, g->nodes[i], err));
    return ADZE_OK;
}
