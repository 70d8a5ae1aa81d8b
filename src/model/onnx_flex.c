/* FlexAttention (ai.onnx.preview) with graphs that change scores or probabilities: written out as the products and
 * the softmax that it stands for, so that these graphs can stand between them. Without such graphs the operator
 * stays whole. */
#include "model/onnx_flex.h"

#include <math.h>

#include "model/onnx_fused_impl.h"

enum { Q, K, V };

static adze_dim dim_of(const adze_value *v, int axis)
{
    return v && v->type.rank == 4 ? v->type.dims[axis] : -1;
}

/* [end - start]: extents of x. */
static adze_piece extents(const adze_node *node, adze_piece x, int64_t start, int64_t end)
{
    adze_piece y = adze_fused_emit1(node, "Shape", x);
    return y && adze_node_set_int(y->producer, "start", start) &&
                   adze_node_set_int(y->producer, "end", end)
               ? adze_fused_again(y)
               : NULL;
}

static adze_piece joined(const adze_node *node, adze_piece a, adze_piece b, adze_piece c)
{
    const adze_piece parts[3] = {a, b, c};
    adze_node *made = a && b && c ? adze_fused_emit(node, "Concat", 3, parts, 1) : NULL;
    return made && adze_node_set_int(made, "axis", 0) ? adze_fused_again(made->outputs[0]) : NULL;
}

/* Each head of x as often as heads of the queries share it. */
static adze_piece align(const adze_node *node, adze_piece x)
{
    const adze_piece q = adze_fused_in(node, Q);
    if (dim_of(q, 1) >= 0 && dim_of(q, 1) == dim_of(x, 1))
        return x;
    const adze_piece heads = extents(node, q, 1, 2), rest = extents(node, x, 2, 4);
    const adze_piece share = adze_fused_emit2(node, "Div", heads, extents(node, x, 1, 2));
    const adze_piece wide = adze_fused_emit2(
        node, "Expand", adze_fused_emit2(node, "Unsqueeze", x, adze_fused_int(node, 2)),
        joined(node, extents(node, x, 0, 2), share, rest));
    return adze_fused_emit2(node, "Reshape", wide,
                            joined(node, extents(node, x, 0, 1), heads, rest));
}

/* The fourth root of 1 / head size, or the root of the scale, in the type of x. */
static adze_piece root_of_scale(const adze_node *node, adze_piece x)
{
    const adze_dim d = dim_of(x, 3);
    if (adze_node_has(node, "scale"))
        return adze_fused_scalar(node, x, sqrtf(adze_node_float(node, "scale", 1)));
    if (d > 0)
        return adze_fused_scalar(node, x, sqrtf(1 / sqrtf((float)d)));
    adze_piece size = adze_fused_cast(node, extents(node, x, 3, 4), ADZE_F32);
    size = adze_fused_emit1(node, "Reciprocal", adze_fused_emit1(node, "Sqrt", size));
    return adze_fused_cast(node, adze_fused_emit1(node, "Sqrt", size), x->type.dtype);
}

static adze_dtype precision_of(const adze_node *node)
{
    const adze_dtype dtype = adze_fused_in(node, Q)->type.dtype;
    return adze_node_has(node, "softmax_precision")
               ? adze_dtype_from_onnx((int)adze_node_int(node, "softmax_precision", 1))
           : dtype == ADZE_F64 ? ADZE_F64
                               : ADZE_F32;
}

adze_status adze_onnx_flex_scores(adze_value **out, const adze_node *node, adze_error *err)
{
    static const int64_t perm[4] = {0, 1, 3, 2};
    adze_piece q = adze_fused_in(node, Q), k = adze_fused_in(node, K);
    if (!q || !k || !adze_fused_in(node, V) || q->type.rank != 4 || k->type.rank != 4)
        return adze_fused_unsupported(node, "score_mod or prob_mod, and inputs not of rank 4", err);
    if (!adze_dtype_describe(precision_of(node))->onnx)
        return adze_fail(err, ADZE_BAD_MODEL, "FlexAttention '%s': softmax_precision", node->name);
    const adze_piece root = root_of_scale(node, q);
    adze_piece turned =
        adze_fused_emit1(node, "Transpose", adze_fused_emit2(node, "Mul", align(node, k), root));
    if (!turned || !adze_node_set_ints(turned->producer, "perm", 4, perm))
        return adze_fused_no_memory(err);
    *out = adze_fused_cast(node,
                           adze_fused_emit2(node, "MatMul", adze_fused_emit2(node, "Mul", q, root),
                                            adze_fused_again(turned)),
                           precision_of(node));
    return *out ? ADZE_OK : adze_fused_no_memory(err);
}

adze_status adze_onnx_flex_softmax(adze_value **out, const adze_node *node, adze_value *scores,
                                   adze_error *err)
{
    adze_node *made = adze_fused_emit(node, "Softmax", 1, &scores, 1);
    if (!made || !adze_node_set_int(made, "axis", -1))
        return adze_fused_no_memory(err);
    *out = made->outputs[0];
    return ADZE_OK;
}

adze_status adze_onnx_flex_finish(adze_node *node, adze_value *probabilities, adze_error *err)
{
    adze_piece v = adze_fused_in(node, V);
    const adze_dtype dtype = v->type.dtype, precision = precision_of(node);
    v = adze_fused_cast(node, align(node, v), precision);
    if (dtype == precision)
        return v ? adze_fused_become(node, "MatMul", 1, probabilities, v, NULL, NULL, err)
                 : adze_fused_no_memory(err);
    ADZE_TRY(adze_fused_become(node, "Cast", 1, adze_fused_emit2(node, "MatMul", probabilities, v),
                               NULL, NULL, NULL, err));
    return adze_node_set_int(node, "to", adze_dtype_describe(dtype)->onnx)
               ? ADZE_OK
               : adze_fused_no_memory(err);
}
