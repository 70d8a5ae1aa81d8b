/* The quantized operators of ONNX Runtime's domain com.microsoft, written out as what they mean:
 * dequantize, compute, quantize. The passes make integer operators of that as of any other. The node
 * itself becomes the last one and keeps its outputs; the others are appended before it. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_fused_impl.h"

static adze_status out_of_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "writing out an operator of com.microsoft");
}

/* ---- pieces ---- */

static adze_value *input(const adze_node *node, int i)
{
    return i < node->input_count ? node->inputs[i] : NULL;
}

static bool set_inputs(adze_node *node, int n, adze_value *const *inputs)
{
    node->input_count = 0;
    while (n > 0 && !inputs[n - 1])
        n--;
    for (int i = 0; i < n; i++)
        if (!adze_node_add_input(node, inputs[i]))
            return false;
    return true;
}

static adze_node *make(adze_node *node, const char *op, int n, adze_value *const *inputs,
                       int outputs)
{
    adze_node *made = adze_graph_new_node(node->graph, "", op, NULL, 0, outputs);
    return made && set_inputs(made, n, inputs) ? made : NULL;
}

/* Appends a node; its output, NULL when out of memory. */
static adze_value *append(adze_node *made)
{
    adze_error ignored;
    if (!made || !adze_graph_append(made->graph, made))
        return NULL;
    (void)!adze_graph_infer_node(made, &ignored); /* failures are found again later */
    return made->outputs[0];
}

static adze_value *add(adze_node *node, const char *op, int n, adze_value *const *inputs)
{
    return append(make(node, op, n, inputs, 1));
}

/* Input `at` of the node with its scale and zero point, as floats. */
static adze_value *dequantize(adze_node *node, int at, int64_t axis)
{
    adze_value *inputs[3] = {input(node, at), input(node, at + 1), input(node, at + 2)};
    adze_node *made = make(node, "DequantizeLinear", 3, inputs, 1);
    return made && adze_node_set_int(made, "axis", axis) ? append(made) : NULL;
}

/* The node turns into another operator that has no attributes yet. */
static bool become(adze_node *node, const char *op, int n, adze_value *const *inputs)
{
    node->domain = "";
    node->op_type = adze_arena_strdup(&node->graph->arena, op);
    node->attr_count = 0;
    return node->op_type && set_inputs(node, n, inputs);
}

/* The node quantizes x with its inputs at `scale` and after; like: a tensor of the same type. */
static adze_status quantize(adze_node *node, adze_value *x, int scale, const adze_value *like,
                            adze_error *err)
{
    adze_value *inputs[3] = {x, input(node, scale), input(node, scale + 1)};
    adze_dtype dtype = like ? like->type.dtype : ADZE_UNDEFINED;
    bool typed = inputs[2] || dtype == ADZE_UNDEFINED;
    if (!x || !become(node, "QuantizeLinear", 3, inputs) ||
        (!typed && !adze_node_set_int(node, "output_dtype", adze_dtype_describe(dtype)->onnx)))
        return out_of_memory(err);
    return ADZE_OK;
}

/* Channels from last to second, or back. */
static adze_node *turn(adze_node *node, adze_value *x, int rank, bool back)
{
    int64_t perm[ADZE_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : back ? (i == rank - 1 ? 1 : i + 1) : i == 1 ? rank - 1 : i - 1;
    adze_node *made = make(node, "Transpose", 1, &x, 1);
    return made && adze_node_set_ints(made, "perm", rank, perm) ? made : NULL;
}

/* False: nothing says so far how many axes input 0 has. Such a node stays as it is, and is listed as unknown together
 * with what makes its input. */
static bool knows_rank(const adze_node *node, int *rank)
{
    int axes;
    *rank = input(node, 0) ? input(node, 0)->type.rank : -1;
    if (*rank < 0 && adze_node_ints(node, "kernel_shape", &axes))
        *rank = axes + 2;
    return *rank >= 3 && *rank <= ADZE_MAX_RANK;
}

/* ---- dequantize, compute, quantize ---- */

typedef struct simple {
    const char *name, *op;
    int count, inputs[3]; /* where each quantized input begins; -1: input 0 as it is */
    int scale;            /* of the output */
    int64_t opset;        /* of the float operator's form */
} simple;

static const simple simples[] = {
    {"QLinearAdd", "Add", 2, {0, 3}, 6, 14},
    {"QLinearMul", "Mul", 2, {0, 3}, 6, 14},
    {"QLinearWhere", "Where", 3, {-1, 1, 4}, 7, 16},
    {"QLinearLeakyRelu", "LeakyRelu", 1, {0}, 3, 16},
    {"QLinearSigmoid", "Sigmoid", 1, {0}, 3, 13},
    {"QLinearSoftmax", "Softmax", 1, {0}, 3, 13},
    {"QLinearAveragePool", "AveragePool", 1, {0}, 3, 11},
    {"QLinearGlobalAveragePool", "GlobalAveragePool", 1, {0}, 3, 1},
    {"QLinearReduceMean", "ReduceMean", 1, {0}, 3, 13},
};

static adze_status expand_simple(adze_node *node, const simple *row, adze_error *err)
{
    adze_value *inputs[3] = {NULL};
    int64_t opset = adze_node_int(node, "opset", row->opset);
    bool last = adze_node_int(node, "channels_last", 0) != 0;
    int rank = 0;
    if (last && !knows_rank(node, &rank))
        return ADZE_OK;
    for (int i = 0; i < row->count; i++) {
        inputs[i] = row->inputs[i] < 0 ? input(node, 0) : dequantize(node, row->inputs[i], 0);
        if (!inputs[i])
            return out_of_memory(err);
    }
    if (last)
        inputs[0] = append(turn(node, inputs[0], rank, false));
    adze_node *real = make(node, row->op, row->count, inputs, 1), *after = NULL;
    if (!real || !adze_node_copy_attrs(real, node))
        return out_of_memory(err);
    adze_node_remove_attr(real, "opset");
    adze_node_remove_attr(real, "channels_last");
    adze_value *y = real->outputs[0];
    ADZE_TRY(adze_onnx_adapt_node(real, opset, &after, err));
    if (!append(real) || (after && !append(after)))
        return out_of_memory(err);
    if (last && !(y = append(turn(node, y, rank, true))))
        return out_of_memory(err);
    return quantize(node, y, row->scale, input(node, row->inputs[row->count - 1]), err);
}

static adze_status expand_concat(adze_node *node, adze_error *err)
{
    int n = (node->input_count - 2) / 3;
    adze_value **inputs =
        n < 1 ? NULL : ADZE_ARENA_ARRAY(&node->graph->arena, adze_value *, (size_t)n);
    if (n < 1 || node->input_count != 3 * n + 2)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "QLinearConcat '%s': %d inputs, expected 2 and threes", node->name,
                         node->input_count);
    for (int i = 0; inputs && i < n; i++)
        if (!(inputs[i] = dequantize(node, 2 + 3 * i, 0)))
            return out_of_memory(err);
    adze_node *real = inputs ? make(node, "Concat", n, inputs, 1) : NULL;
    if (!real || !adze_node_copy_attrs(real, node) || !append(real))
        return out_of_memory(err);
    return quantize(node, real->outputs[0], 0, input(node, 2), err);
}

/* ---- products ---- */

/* A a_scale a_zero B b_scale b_zero [C] [y_scale y_zero]; C counts in units of the product's scale. */
static adze_status expand_gemm(adze_node *node, adze_error *err)
{
    bool turned = adze_node_int(node, "transB", 0) != 0;
    adze_value *inputs[3] = {dequantize(node, 0, 0), dequantize(node, 3, turned ? 0 : 1)};
    adze_value *bias = input(node, 6);
    if (!inputs[0] || !inputs[1])
        return out_of_memory(err);
    if (bias) {
        adze_value *scales[2] = {input(node, 1), input(node, 4)};
        adze_value *units[2] = {bias, add(node, "Mul", 2, scales)};
        adze_node *made = units[1] ? make(node, "DequantizeLinear", 2, units, 1) : NULL;
        if (!made || !adze_node_set_int(made, "axis", -1) || !(inputs[2] = append(made)))
            return out_of_memory(err);
    }
    adze_node *real = make(node, "Gemm", 3, inputs, 1);
    if (!real || !adze_node_copy_attrs(real, node) ||
        !adze_node_set_float(real, "beta", adze_node_float(node, "alpha", 1)))
        return out_of_memory(err);
    if (input(node, 7))
        return append(real) ? quantize(node, real->outputs[0], 7, input(node, 0), err)
                            : out_of_memory(err);
    if (!become(node, "Gemm", 3, inputs) || !adze_node_copy_attrs(node, real))
        return out_of_memory(err);
    return ADZE_OK;
}

typedef struct integer_product {
    adze_value *a, *b, *a_scale, *b_scale, *a_zero, *b_zero, *bias;
} integer_product;

/* (a - a_zero) (b - b_zero) as integers, times the scales, plus the bias, in float32: such sums are too large for
 * narrower types. */
static adze_status expand_product(adze_node *node, const integer_product *p, adze_error *err)
{
    adze_value *inputs[4] = {p->a, p->b, p->a_zero, p->b_zero};
    adze_dtype dtype = p->b_scale && p->b_scale->type.dtype ? p->b_scale->type.dtype : ADZE_F32;
    adze_value *terms[2] = {adze_fused_cast(node, add(node, "MatMulInteger", 4, inputs), ADZE_F32),
                            adze_fused_emit2(node, "Mul",
                                             adze_fused_cast(node, p->a_scale, ADZE_F32),
                                             adze_fused_cast(node, p->b_scale, ADZE_F32))};
    adze_value *y = terms[0] && terms[1] ? add(node, "Mul", 2, terms) : NULL;
    if (y && p->bias)
        y = adze_fused_emit2(node, "Add", y, adze_fused_cast(node, p->bias, ADZE_F32));
    const bool narrow = dtype != ADZE_F32;
    if (!y || !become(node, narrow ? "Cast" : "Identity", 1, &y) ||
        (narrow && !adze_node_set_int(node, "to", adze_dtype_describe(dtype)->onnx)))
        return out_of_memory(err);
    return ADZE_OK;
}

static adze_status expand_to_float(adze_node *node, adze_error *err)
{
    integer_product p = {input(node, 0), input(node, 1), input(node, 2), input(node, 3),
                         input(node, 4), input(node, 5), input(node, 6)};
    return expand_product(node, &p, err);
}

static adze_status expand_dynamic(adze_node *node, adze_error *err)
{
    adze_value *a = input(node, 0);
    adze_node *made = make(node, "DynamicQuantizeLinear", 1, &a, 3);
    if (!append(made))
        return out_of_memory(err);
    integer_product p = {made->outputs[0], input(node, 1), made->outputs[1], input(node, 2),
                         made->outputs[2], input(node, 3), input(node, 4)};
    return expand_product(node, &p, err);
}

/* Attention over a product of bytes. */
static adze_status expand_attention(adze_node *node, adze_error *err)
{
    enum { INPUT, WEIGHTS, BIAS, X_SCALE, W_SCALE, MASK, X_ZERO, W_ZERO, PAST };
    adze_node *x =
        adze_graph_new_node(node->graph, "com.microsoft", "MatMulIntegerToFloat", node->name, 0, 1);
    integer_product p = {input(node, INPUT),   input(node, WEIGHTS), input(node, X_SCALE),
                         input(node, W_SCALE), input(node, X_ZERO),  input(node, W_ZERO),
                         input(node, BIAS)};
    if (!x)
        return out_of_memory(err);
    ADZE_TRY(expand_product(x, &p, err));
    return adze_fused_attention_of(node, append(x), input(node, MASK), input(node, PAST), NULL,
                                   err);
}

/* ---- MatMulNBits: A, B [N, blocks, bytes], scales, zero points ---- */

typedef struct bit_weights {
    int64_t k, n, bits, block, blocks;
    adze_dtype dtype;
} bit_weights;

static adze_status read_bits(bit_weights *w, const adze_node *node, adze_error *err)
{
    const adze_value *b = input(node, 1), *scales = input(node, 2);
    *w = (bit_weights){.k = adze_node_int(node, "K", 0),
                       .n = adze_node_int(node, "N", 0),
                       .bits = adze_node_int(node, "bits", 4),
                       .block = adze_node_int(node, "block_size", 0)};
    w->dtype = w->bits == 4 ? ADZE_U4 : w->bits == 8 ? ADZE_U8 : ADZE_U2;
    if (!b || !b->constant || !scales || !scales->constant ||
        (input(node, 4) && !input(node, 4)->constant))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "MatMulNBits '%s': weights or groups that are not constant", node->name);
    if ((w->bits != 2 && w->bits != 4 && w->bits != 8) || w->block < 16 || w->block > 1 << 20 ||
        w->k < 1 || w->n < 1 || w->k > INT32_MAX || w->n > INT32_MAX)
        return adze_fail(err, ADZE_BAD_MODEL, "MatMulNBits '%s': K, N, bits or block_size",
                         node->name);
    w->blocks = (w->k + w->block - 1) / w->block;
    if (b->constant->dtype != ADZE_U8 ||
        (uint64_t)b->constant->size !=
            (uint64_t)w->n * (uint64_t)w->blocks * (uint64_t)(w->block * w->bits / 8) ||
        adze_tensor_elements(scales->constant) != w->n * w->blocks)
        return adze_fail(err, ADZE_BAD_MODEL, "MatMulNBits '%s': weights or scales do not fit K, N",
                         node->name);
    return ADZE_OK;
}

static bool has_float_zeros(const adze_node *node)
{
    const adze_value *given = input(node, 3);
    const adze_dtype dtype = given && given->constant ? given->constant->dtype : ADZE_UNDEFINED;
    return dtype == ADZE_F32 || dtype == ADZE_F16 || dtype == ADZE_BF16;
}

/* Zero points [N, blocks]: in the file each row begins at a byte; absent ones are half the range. Those that are
 * floats are subtracted afterwards. */
static adze_status zero_points(adze_value **out, adze_node *node, const bit_weights *w,
                               adze_error *err)
{
    const adze_value *given = has_float_zeros(node) ? NULL : input(node, 3);
    const bool none = has_float_zeros(node);
    int64_t dims[2] = {w->n, w->blocks}, row = (w->blocks * w->bits + 7) / 8;
    adze_tensor t;
    if (given && (!given->constant || given->constant->dtype != ADZE_U8 ||
                  (int64_t)given->constant->size != w->n * row))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "MatMulNBits '%s': zero points that are not constant packed integers",
                         node->name);
    ADZE_TRY(adze_tensor_make(&t, w->dtype, 2, dims, err));
    int64_t each = 8 / w->bits, mask = (1 << w->bits) - 1;
    for (int64_t i = 0; i < w->n * w->blocks; i++) {
        int64_t block = i % w->blocks, zero = none ? 0 : 1 << (w->bits - 1);
        if (given)
            zero = ((const uint8_t *)given->constant->data)[i / w->blocks * row + block / each] >>
                       (block % each * w->bits) &
                   mask;
        adze_tensor_set_i64(&t, i, zero);
    }
    *out = adze_graph_add_constant(node->graph, NULL, &t, true);
    adze_tensor_free(&t);
    return *out ? ADZE_OK : out_of_memory(err);
}

static adze_value *shaped_constant(adze_node *node, adze_dtype dtype, const int64_t dims[2],
                                   const adze_tensor *from)
{
    adze_tensor t = adze_tensor_view(dtype, 2, dims, from->data);
    return adze_graph_add_constant(node->graph, NULL, &t, false);
}

/* Only the first k of the columns: the last block of a row may be longer than the row. */
static adze_value *cut(adze_node *node, adze_value *weights, int64_t k)
{
    int64_t numbers[3] = {0, k, 1}, dims[1] = {1};
    adze_value *inputs[4] = {weights};
    for (int i = 0; i < 3; i++) {
        adze_tensor t = adze_tensor_view(ADZE_I64, 1, dims, &numbers[i]);
        if (!(inputs[i + 1] = adze_graph_add_constant(node->graph, NULL, &t, true)))
            return NULL;
    }
    return add(node, "Slice", 4, inputs);
}

/* Input 4 says the group of each column: *parameter, one for each block, becomes one for each column. */
static adze_status by_column(adze_value **parameter, adze_node *node, const bit_weights *w,
                             adze_error *err)
{
    const adze_tensor *from = *parameter ? (*parameter)->constant : NULL;
    const adze_tensor *groups = input(node, 4)->constant;
    const int64_t columns = w->blocks * w->block, dims[2] = {w->n, columns};
    const int64_t known = adze_tensor_elements(groups);
    adze_tensor t;
    if (!from)
        return out_of_memory(err);
    if (known < w->k || known > columns)
        return adze_fail(err, ADZE_BAD_MODEL, "MatMulNBits '%s': groups do not fit K", node->name);
    for (int64_t i = 0; i < known; i++)
        if (adze_tensor_get_i64(groups, i) < 0 || adze_tensor_get_i64(groups, i) >= w->blocks)
            return adze_fail(err, ADZE_BAD_MODEL, "MatMulNBits '%s': column %lld is of no group",
                             node->name, (long long)i);
    ADZE_TRY(adze_tensor_make(&t, from->dtype, 2, dims, err));
    for (int64_t i = 0; i < w->n * columns; i++) {
        int64_t at = i % columns, group = at < known ? adze_tensor_get_i64(groups, at) : 0;
        adze_tensor_set_f64(&t, i, adze_tensor_get_f64(from, i / columns * w->blocks + group));
    }
    *parameter = adze_graph_add_constant(node->graph, NULL, &t, true);
    adze_tensor_free(&t);
    return *parameter ? ADZE_OK : out_of_memory(err);
}

/* Weights [N, blocks * block] less scale * zero of their block. */
static adze_value *less_zeros(adze_node *node, adze_value *weights, adze_value *scales,
                              adze_value *zeros, const bit_weights *w)
{
    int64_t shapes[3][3] = {{w->n, w->blocks, w->block}, {w->n, w->blocks, 1}, {w->n, -1}};
    adze_value *to[3], *parts[3] = {weights, NULL, NULL};
    for (int i = 0; i < 3; i++)
        if (!(to[i] = adze_fused_ints(node, i < 2 ? 3 : 2, shapes[i])))
            return NULL;
    adze_value *offsets = adze_fused_emit2(node, "Mul", scales, zeros);
    parts[0] = adze_fused_emit2(node, "Reshape", weights, to[0]);
    parts[1] = adze_fused_emit2(node, "Reshape", offsets, to[1]);
    parts[2] = adze_fused_emit2(node, "Sub", parts[0], parts[1]);
    return adze_fused_emit2(node, "Reshape", parts[2], to[2]);
}

static adze_status expand_bits(adze_node *node, adze_error *err)
{
    bit_weights w;
    adze_value *inputs[4] = {NULL}, *zeros = input(node, 3);
    ADZE_TRY(read_bits(&w, node, err));
    ADZE_TRY(zero_points(&inputs[2], node, &w, err));
    int64_t whole[2] = {w.n, w.blocks * w.block}, blocks[2] = {w.n, w.blocks}, perm[2] = {1, 0};
    const bool floats = has_float_zeros(node), grouped = input(node, 4) != NULL;
    if (floats && adze_tensor_elements(zeros->constant) != w.n * w.blocks)
        return adze_fail(err, ADZE_BAD_MODEL, "MatMulNBits '%s': zero points do not fit K, N",
                         node->name);
    inputs[0] = shaped_constant(node, w.dtype, whole, input(node, 1)->constant);
    inputs[1] =
        shaped_constant(node, input(node, 2)->constant->dtype, blocks, input(node, 2)->constant);
    if (floats)
        inputs[3] = shaped_constant(node, zeros->constant->dtype, blocks, zeros->constant);
    for (int i = 1; i < (floats ? 4 : 3) && grouped; i++)
        ADZE_TRY(by_column(&inputs[i], node, &w, err));
    if (grouped) {
        w.blocks *= w.block;
        w.block = 1;
    }
    adze_node *made = inputs[0] && inputs[1] ? make(node, "DequantizeLinear", 3, inputs, 1) : NULL;
    if (!made || !adze_node_set_int(made, "axis", 1) ||
        !adze_node_set_int(made, "block_size", w.block))
        return out_of_memory(err);
    adze_value *weights = append(made);
    if (weights && floats)
        weights = inputs[3] ? less_zeros(node, weights, inputs[1], inputs[3], &w) : NULL;
    if (weights && whole[1] > w.k)
        weights = cut(node, weights, w.k);
    adze_node *turned = weights ? make(node, "Transpose", 1, &weights, 1) : NULL;
    if (!turned || !adze_node_set_ints(turned, "perm", 2, perm))
        return out_of_memory(err);
    adze_value *operands[2] = {input(node, 0), append(turned)}, *bias = input(node, 5);
    if (!operands[1])
        return out_of_memory(err);
    if (!bias)
        return become(node, "MatMul", 2, operands) ? ADZE_OK : out_of_memory(err);
    adze_value *parts[2] = {add(node, "MatMul", 2, operands), bias};
    return parts[0] && become(node, "Add", 2, parts) ? ADZE_OK : out_of_memory(err);
}

/* ---- channels last ---- */

/* The operator of ONNX over the same inputs, between two transposes. */
static adze_status channels_last(adze_node *node, const char *op, adze_error *err)
{
    int rank;
    if (!knows_rank(node, &rank))
        return ADZE_OK;
    adze_value *x = append(turn(node, input(node, 0), rank, false));
    adze_node *real = x ? make(node, op, node->input_count, node->inputs, 1) : NULL;
    if (!real || !adze_node_copy_attrs(real, node))
        return out_of_memory(err);
    real->inputs[0] = x;
    adze_node_remove_attr(real, "channels_last");
    if (!append(real))
        return out_of_memory(err);
    adze_node *back = turn(node, real->outputs[0], rank, true);
    if (!back || !become(node, "Transpose", 1, back->inputs) || !adze_node_copy_attrs(node, back))
        return out_of_memory(err);
    return ADZE_OK;
}

static adze_status expand_max_pool(adze_node *node, adze_error *err)
{
    return channels_last(node, "MaxPool", err);
}

static adze_status expand_qlinear_conv(adze_node *node, adze_error *err)
{
    if (adze_node_int(node, "channels_last", 0))
        return channels_last(node, "QLinearConv", err);
    node->domain = "";
    adze_node_remove_attr(node, "channels_last");
    return ADZE_OK;
}

/* ---- table ---- */

static const struct {
    const char *name;
    int least; /* inputs */
    adze_status (*expand)(adze_node *node, adze_error *err);
} others[] = {
    {"QLinearConcat", 5, expand_concat},
    {"QGemm", 6, expand_gemm},
    {"MatMulIntegerToFloat", 4, expand_to_float},
    {"DynamicQuantizeMatMul", 3, expand_dynamic},
    {"MatMulNBits", 3, expand_bits},
    {"NhwcMaxPool", 1, expand_max_pool},
    {"QAttention", 5, expand_attention},
    {"QLinearConv", 8, expand_qlinear_conv},
};

static adze_status too_few(const adze_node *node, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %d inputs are too few", node->op_type,
                     node->name, node->input_count);
}

adze_status adze_onnx_expand_contrib(adze_node *node, adze_error *err)
{
    if (strcmp(node->domain, "com.microsoft") != 0 || node->output_count < 1)
        return ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(simples); i++)
        if (strcmp(simples[i].name, node->op_type) == 0)
            return node->input_count > simples[i].scale ? expand_simple(node, &simples[i], err)
                                                        : too_few(node, err);
    for (size_t i = 0; i < ADZE_COUNT_OF(others); i++)
        if (strcmp(others[i].name, node->op_type) == 0)
            return node->input_count >= others[i].least ? others[i].expand(node, err)
                                                        : too_few(node, err);
    return ADZE_OK;
}
