/* Constants and nodes that the schemes have in common. */
#include "compress/qdq.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

adze_qdq adze_qdq_writer(adze_graph *graph, adze_arena *scratch)
{
    return (adze_qdq){graph, scratch, adze_map_in(scratch)};
}

adze_status adze_qdq_no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "quantizing: out of memory");
}

adze_value *adze_qdq_shared(adze_qdq *w, adze_dtype dtype, int rank, const int64_t *dims,
                            const void *bytes)
{
    size_t size = adze_dtype_bytes(dtype, adze_shape_elements(rank, dims));
    char key[160];
    int n = snprintf(key, sizeof key, "%d/%016llx", (int)dtype,
                     (unsigned long long)adze_hash64(bytes, size));
    for (int i = 0; i < rank; i++)
        n += snprintf(key + n, sizeof key - (size_t)n, "/%llx", (unsigned long long)dims[i]);
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

bool adze_qdq_scales(adze_qdq *w, adze_value **scale, adze_value **zero, adze_dtype type,
                     const adze_quantized *q)
{
    float *scales = ADZE_ARENA_ARRAY(w->arena, float, (size_t)q->groups);
    uint8_t *zeros = ADZE_ARENA_ARRAY(w->arena, uint8_t, (size_t)q->groups);
    if (!scales || !zeros)
        return false;
    bool packed = adze_dtype_describe(type)->bits == 4;
    for (int64_t g = 0; g < q->groups; g++) {
        uint8_t z = (uint8_t)q->affine[g].zero_point;
        scales[g] = q->affine[g].scale;
        if (packed)
            zeros[g / 2] |= (uint8_t)((z & 15) << (g % 2 * 4));
        else
            zeros[g] = z;
    }
    *scale = adze_qdq_shared(w, ADZE_F32, q->scale_rank, q->scale_dims, scales);
    if (zero)
        *zero = adze_qdq_shared(w, type, q->scale_rank, q->scale_dims, zeros);
    return *scale && (!zero || *zero);
}

adze_node *adze_qdq_node(adze_qdq *w, const char *op, const char *prefix, int id,
                         adze_value *const *inputs, int count)
{
    char name[32];
    snprintf(name, sizeof name, "%s%d", prefix, id);
    return adze_graph_add_node(w->graph, "", op, name, count, inputs, 1);
}

/* ---- weights ---- */

/* Axis of the weights that is summed over. */
static int sum_axis(const adze_node *node)
{
    if (adze_compress_is(node, "Gemm"))
        return adze_node_int(node, "transB", 0) ? 1 : 0;
    return adze_compress_is(node, "Conv") ? 1 : 0;
}

adze_grouping adze_qdq_grouping(const adze_node *node, const adze_weight_recipe *how)
{
    int axis = adze_compress_weight_axis(node), along = sum_axis(node);
    if (how->granularity == ADZE_GRANULARITY_TENSOR)
        return (adze_grouping){-1, 0};
    int64_t size = node->inputs[1]->constant->dims[along];
    if (how->granularity == ADZE_GRANULARITY_CHANNEL || size < how->block)
        return (adze_grouping){axis, 0};
    int64_t blocks = (size + how->block - 1) / how->block; /* as even as can be */
    return (adze_grouping){along, (size + blocks - 1) / blocks};
}

adze_status adze_qdq_stored(adze_qdq *w, adze_value **out, adze_quantized *q, const adze_tensor *t,
                            const adze_grouping *grouping, const adze_weight_recipe *how,
                            const float *least, adze_error *err)
{
    void *data;
    ADZE_TRY(adze_weights_scales(q, t, grouping, how, least, w->arena, err));
    *out = adze_compress_constant(w->graph, NULL, how->type, t->rank, t->dims, &data);
    if (!*out)
        return adze_qdq_no_memory(err);
    adze_weights_quantize(data, q, t, grouping, how);
    return ADZE_OK;
}

adze_status adze_qdq_dequantized(adze_qdq *w, adze_value **out, adze_value *stored,
                                 const adze_quantized *q, const adze_grouping *grouping, bool zeros,
                                 adze_error *err)
{
    adze_value *inputs[3] = {stored};
    if (!adze_qdq_scales(w, &inputs[1], zeros ? &inputs[2] : NULL, stored->type.dtype, q))
        return adze_qdq_no_memory(err);
    adze_node *d = adze_qdq_node(w, "DequantizeLinear", "w", stored->id, inputs, zeros ? 3 : 2);
    bool axis = q->scale_rank > 0 && grouping->axis != 1; /* 1 is the default */
    if (!d || (axis && !adze_node_set_int(d, "axis", grouping->axis)) ||
        (grouping->block && !adze_node_set_int(d, "block_size", grouping->block)))
        return adze_qdq_no_memory(err);
    *out = d->outputs[0];
    return ADZE_OK;
}

void adze_qdq_take_over(adze_node *node, adze_value *value)
{
    node->outputs[0]->producer = NULL;
    node->outputs[0] = value;
    value->producer = node;
    value->producer_output = 0;
}
