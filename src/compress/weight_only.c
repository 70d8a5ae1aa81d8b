/* Weights as integers with scales, or as float16, behind which a DequantizeLinear or Cast gives floats:
 * smaller files, the same computing. */
#include <math.h>

#include "compress/qdq.h"
#include "compress/schemes.h"
#include "tensor/dtype.h"

static adze_status shrink(adze_qdq *w, adze_node *node, const adze_weight_recipe *how,
                          adze_error *err)
{
    adze_value *old = node->inputs[1], *stored;
    adze_grouping grouping = adze_qdq_grouping(node, how);
    bool zeros = !how->symmetric || adze_dtype_describe(how->type)->kind == ADZE_KIND_UINT;
    adze_quantized q;
    ADZE_TRY(adze_qdq_stored(w, &stored, &q, old->constant, &grouping, how, NULL, err));
    if (!adze_value_take_name(w->graph, stored, old))
        return adze_qdq_no_memory(err);
    return adze_qdq_dequantized(w, &node->inputs[1], stored, &q, &grouping, zeros, err);
}

adze_status adze_compress_weights(adze_compression *work, adze_error *err)
{
    adze_qdq w = adze_qdq_writer(work->graph, work->arena);
    int count = work->graph->node_count;
    for (int i = 0; i < count; i++)
        if (adze_compress_wants(work, work->graph->nodes[i]))
            ADZE_TRY(shrink(&w, work->graph->nodes[i], &work->recipe->weights, err));
    return ADZE_OK;
}

/* ---- float16 ---- */

enum { LEAST_ELEMENTS = 16 }; /* below, the Cast would be larger than what it saves */

static bool fits(const adze_tensor *t)
{
    const float *x = t->data;
    int64_t n = adze_tensor_elements(t);
    if (t->dtype != ADZE_F32 || t->quant || n < LEAST_ELEMENTS)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) < 65504))
            return false;
    return true;
}

/* `value` as float16 behind a Cast; NULL: out of memory. */
static adze_value *halve(adze_qdq *w, adze_value *value)
{
    const adze_tensor *t = value->constant;
    void *data;
    adze_value *half = adze_compress_constant(w->graph, NULL, ADZE_F16, t->rank, t->dims, &data);
    if (!half || !adze_value_take_name(w->graph, half, value))
        return NULL;
    int64_t n = adze_tensor_elements(t);
    for (int64_t i = 0; i < n; i++)
        ((uint16_t *)data)[i] = adze_f32_to_f16(((const float *)t->data)[i]);
    adze_node *cast = adze_qdq_node(w, "Cast", "c", half->id, &half, 1);
    return cast && adze_node_set_int(cast, "to", adze_dtype_describe(ADZE_F32)->onnx)
               ? cast->outputs[0]
               : NULL;
}

adze_status adze_compress_float16(adze_compression *work, adze_error *err)
{
    adze_graph *g = work->graph;
    adze_qdq w = adze_qdq_writer(g, work->arena);
    int count = g->node_count;
    adze_value **halves = ADZE_ARENA_ARRAY(work->arena, adze_value *, (size_t)g->value_count + 1);
    if (!halves)
        return adze_qdq_no_memory(err);
    for (int n = 0; n < count; n++) {
        adze_node *node = g->nodes[n];
        if (adze_recipe_keeps_float(work->recipe, node->name, node->op_type))
            continue;
        for (int i = 0; i < node->input_count; i++) {
            adze_value *v = node->inputs[i];
            if (!v || v->role != ADZE_ROLE_CONSTANT || !fits(v->constant))
                continue;
            if (!halves[v->id] && !(halves[v->id] = halve(&w, v)))
                return adze_qdq_no_memory(err);
            node->inputs[i] = halves[v->id];
        }
    }
    return ADZE_OK;
}
