/* See onnx_fused_impl.h. */
#include "model/onnx_fused_impl.h"

#include <string.h>

adze_status adze_fused_no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "expanding a fused operator");
}

adze_status adze_fused_unsupported(const adze_node *node, const char *what, adze_error *err)
{
    return adze_fail(err, ADZE_UNSUPPORTED, "%s '%s': %s", node->op_type, node->name, what);
}

adze_piece adze_fused_in(const adze_node *node, int i)
{
    return i < node->input_count ? node->inputs[i] : NULL;
}

adze_piece adze_fused_out(const adze_node *node, int i)
{
    return i < node->output_count ? node->outputs[i] : NULL;
}

/* A node before this one; NULL when out of memory, and when an operand is NULL for that reason. */
adze_node *adze_fused_emit(const adze_node *node, const char *op, int inputs,
                           const adze_piece *operands, int outputs)
{
    adze_node *made = adze_graph_new_node(node->graph, "", op, NULL, inputs, outputs);
    if (!made || !adze_graph_append(node->graph, made))
        return NULL;
    for (int i = 0; i < inputs; i++)
        made->inputs[i] = operands[i];
    adze_error ignored; /* failures are found again later */
    (void)!adze_graph_infer_node(made, &ignored);
    return made;
}

adze_piece adze_fused_emit1(const adze_node *node, const char *op, adze_piece a)
{
    adze_node *made = a ? adze_fused_emit(node, op, 1, &a, 1) : NULL;
    return made ? made->outputs[0] : NULL;
}

adze_piece adze_fused_emit2(const adze_node *node, const char *op, adze_piece a, adze_piece b)
{
    adze_node *made = a && b ? adze_fused_emit(node, op, 2, (adze_piece[]){a, b}, 1) : NULL;
    return made ? made->outputs[0] : NULL;
}

adze_piece adze_fused_again(adze_piece x)
{
    adze_error ignored; /* failures are found again later */
    (void)!adze_graph_infer_node(x->producer, &ignored);
    return x;
}

adze_piece adze_fused_cast(const adze_node *node, adze_piece x, adze_dtype to)
{
    if (!x || x->type.dtype == to)
        return x;
    adze_piece y = adze_fused_emit1(node, "Cast", x);
    return y && adze_node_set_int(y->producer, "to", adze_dtype_describe(to)->onnx)
               ? adze_fused_again(y)
               : NULL;
}

/* What made `from` makes `to` instead: an output of the node that is taken apart. */
adze_piece adze_fused_deliver(adze_node *node, int output, adze_piece from)
{
    adze_piece to = adze_fused_out(node, output);
    if (!from || !to)
        return from;
    adze_node *producer = from->producer;
    producer->outputs[from->producer_output] = to;
    to->producer = producer;
    to->producer_output = from->producer_output;
    from->producer = NULL;
    node->outputs[output] = NULL;
    return to;
}

adze_piece adze_fused_ints(const adze_node *node, int n, const int64_t *values)
{
    int64_t dims[1] = {n};
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, dims, (void *)values);
    return adze_graph_add_constant(node->graph, NULL, &t, true);
}

adze_piece adze_fused_int(const adze_node *node, int64_t v)
{
    return adze_fused_ints(node, 1, &v);
}

/* A number of the type of `like`. */
adze_piece adze_fused_scalar(const adze_node *node, const adze_value *like, float v)
{
    adze_dtype dtype = like ? like->type.dtype : ADZE_F32;
    adze_tensor t;
    if (dtype == ADZE_STRING || dtype == ADZE_UNDEFINED)
        dtype = ADZE_F32;
    if (adze_tensor_make(&t, dtype, 0, NULL, NULL) != ADZE_OK)
        return NULL;
    adze_tensor_set_f64(&t, 0, (double)v);
    adze_piece made = adze_graph_add_constant(node->graph, NULL, &t, true);
    adze_tensor_free(&t);
    return made;
}

/* The node becomes a plain one over these operands (NULL at the end: fewer); other attributes go. */
adze_status adze_fused_become(adze_node *node, const char *op, int outputs, adze_piece a,
                              adze_piece b, adze_piece c, const char *keep, adze_error *err)
{
    if (!a)
        return adze_fused_no_memory(err);
    for (int i = node->attr_count - 1; i >= 0; i--)
        if (!keep || !strstr(keep, node->attrs[i].name))
            adze_node_remove_attr(node, node->attrs[i].name);
    for (int i = outputs; i < node->output_count; i++)
        if (node->outputs[i])
            return adze_fused_unsupported(node, "an output that only training needs", err);
    node->output_count = ADZE_MIN(node->output_count, outputs);
    node->op_type = adze_arena_strdup(&node->graph->arena, op);
    node->domain = adze_arena_strdup(&node->graph->arena, "");
    const adze_piece operands[3] = {a, b, c};
    const int count = c ? 3 : b ? 2 : 1;
    while (node->input_count < count)
        if (!adze_node_add_input(node, NULL))
            return adze_fused_no_memory(err);
    node->input_count = count;
    memcpy(node->inputs, operands, (size_t)count * sizeof *operands);
    return node->op_type && node->domain ? ADZE_OK : adze_fused_no_memory(err);
}
