/* Fused operators that onnxruntime's optimiser leaves in files (domain com.microsoft, one of them in ONNX's own):
 * put back as the plain operators they stand for. Passes fuse them again in their own way, and every rule
 * about plain operators (integers, layouts) holds for them. The node itself becomes the last of them. */
#include <string.h>

#include "model/onnx_fused_impl.h"

/* ---- activations ---- */

static adze_status gelu(adze_node *node, adze_error *err)
{
    adze_piece x = adze_fused_in(node, 0);
    if (adze_fused_in(node, 1))
        x = adze_fused_emit2(node, "Add", x, node->inputs[1]);
    const bool fast = strcmp(node->op_type, "FastGelu") == 0;
    ADZE_TRY(adze_fused_become(node, "Gelu", 1, x, NULL, NULL, NULL, err));
    return !fast || adze_node_set_string(node, "approximate", "tanh") ? ADZE_OK
                                                                      : adze_fused_no_memory(err);
}

static adze_status quick_gelu(adze_node *node, adze_error *err)
{
    const float alpha = adze_node_float(node, "alpha", 1.702f);
    ADZE_TRY(adze_fused_become(node, "Swish", 1, adze_fused_in(node, 0), NULL, NULL, NULL, err));
    return adze_node_set_float(node, "alpha", alpha) ? ADZE_OK : adze_fused_no_memory(err);
}

/* The node becomes the activation of x that a FusedConv or FusedGemm names. */
static adze_status activate(adze_node *node, adze_piece x, const char *name, const float params[2],
                            adze_error *err)
{
    static const char *const plain[] = {"Relu",      "Tanh",     "Sigmoid",
                                        "HardSwish", "Softplus", "Softsign"};
    for (size_t i = 0; i < ADZE_COUNT_OF(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            return adze_fused_become(node, plain[i], 1, x, NULL, NULL, NULL, err);
    if (strcmp(name, "Clip") == 0)
        return adze_fused_become(
            node, "Clip", 1, x, adze_fused_scalar(node, adze_fused_in(node, 0), params[0]),
            adze_fused_scalar(node, adze_fused_in(node, 0), params[1]), NULL, err);
    const bool leaky = strcmp(name, "LeakyRelu") == 0, hard = strcmp(name, "HardSigmoid") == 0;
    if (!leaky && !hard && strcmp(name, "Elu") != 0)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s '%s': activation '%.60s'", node->op_type,
                         node->name, name);
    ADZE_TRY(adze_fused_become(node,
                               leaky  ? "LeakyRelu"
                               : hard ? "HardSigmoid"
                                      : "Elu",
                               1, x, NULL, NULL, NULL, err));
    return adze_node_set_float(node, "alpha", params[0]) &&
                   (!hard || adze_node_set_float(node, "beta", params[1]))
               ? ADZE_OK
               : adze_fused_no_memory(err);
}

/* The plain operator of a fused one, before it, over its first inputs and with its attributes. */
static adze_piece plain_part(const adze_node *node, const char *op, int inputs,
                             const char *const *gone)
{
    adze_piece operands[3] = {adze_fused_in(node, 0), adze_fused_in(node, 1),
                              adze_fused_in(node, 2)};
    while (inputs > 2 && !operands[inputs - 1])
        inputs--;
    adze_node *made = adze_fused_emit(node, op, inputs, operands, 1);
    if (!made || !adze_node_copy_attrs(made, node))
        return NULL;
    for (int i = 0; gone[i]; i++)
        adze_node_remove_attr(made, gone[i]);
    return made->outputs[0];
}

static adze_status fused_conv(adze_node *node, adze_error *err)
{
    static const char *const gone[] = {"activation", "activation_params", NULL};
    int count;
    const float *given = adze_node_floats(node, "activation_params", &count);
    const char *name = adze_node_string(node, "activation", "");
    const float params[2] = {count > 0 ? given[0] : 0.01f, count > 1 ? given[1] : 0.5f};
    adze_piece y = plain_part(node, "Conv", 3, gone);
    if (adze_fused_in(node, 3))
        y = adze_fused_emit2(node, "Add", y, node->inputs[3]);
    return *name ? activate(node, y, name, params, err)
                 : adze_fused_become(node, "Identity", 1, y, NULL, NULL, NULL, err);
}

static adze_status fused_gemm(adze_node *node, adze_error *err)
{
    static const char *const gone[] = {"activation",       "activation_alpha", "activation_beta",
                                       "activation_gamma", "leaky_relu_alpha", NULL};
    const char *name = adze_node_string(node, "activation", "");
    const float alpha = adze_node_float(node, "leaky_relu_alpha", 0.01f);
    const float params[2] = {adze_node_float(node, "activation_alpha", alpha),
                             adze_node_float(node, "activation_beta", 0.5f)};
    adze_piece y = plain_part(node, "Gemm", 3, gone);
    return *name ? activate(node, y, name, params, err)
                 : adze_fused_become(node, "Identity", 1, y, NULL, NULL, NULL, err);
}

/* ---- products ---- */

/* The axes of an operand as a product has them: `batches`: rows stand first, before the axes of the batch. */
static adze_status turned(adze_piece *x, adze_node *node, const char *attr, const char *batches,
                          adze_error *err)
{
    int64_t perm[ADZE_MAX_RANK];
    const bool swap = adze_node_int(node, attr, 0) != 0,
               first = adze_node_int(node, batches, 0) != 0;
    if (!*x || (!swap && !first))
        return ADZE_OK;
    const int rank = (*x)->type.rank;
    if (rank < 0)
        return adze_fused_unsupported(node, "a transposed operand of unknown rank", err);
    if (rank < 2)
        return ADZE_OK;
    for (int i = 0; i < rank - 1; i++)
        perm[i] = !first ? i : i == rank - 2 ? 0 : i + 1;
    perm[rank - 1] = rank - 1;
    if (swap) {
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = rank - 1;
    }
    adze_node *made = adze_fused_emit(node, "Transpose", 1, x, 1);
    if (!made || !adze_node_set_ints(made, "perm", rank, perm))
        return adze_fused_no_memory(err);
    *x = adze_fused_again(made->outputs[0]);
    return ADZE_OK;
}

static adze_status fused_matmul(adze_node *node, adze_error *err)
{
    adze_piece a = adze_fused_in(node, 0), b = adze_fused_in(node, 1);
    const float alpha = adze_node_float(node, "alpha", 1);
    ADZE_TRY(turned(&a, node, "transA", "transBatchA", err));
    ADZE_TRY(turned(&b, node, "transB", "transBatchB", err));
    if (alpha == 1)
        return adze_fused_become(node, "MatMul", 1, a, b, NULL, NULL, err);
    return adze_fused_become(node, "Mul", 1, adze_fused_emit2(node, "MatMul", a, b),
                             adze_fused_scalar(node, adze_fused_in(node, 0), alpha), NULL, NULL,
                             err);
}

/* ---- normalisations ---- */

static adze_status with_epsilon(adze_node *node, float otherwise, adze_error *err)
{
    return adze_node_has(node, "epsilon") || adze_node_set_float(node, "epsilon", otherwise)
               ? ADZE_OK
               : adze_fused_no_memory(err);
}

static adze_status simplified_norm(adze_node *node, adze_error *err)
{
    return adze_fused_become(node, "RMSNormalization", 1, adze_fused_in(node, 0),
                             adze_fused_in(node, 1), NULL, "epsilon axis stash_type", err);
}

/* LayerNormalization, or RMSNormalization, of input + skip + bias. */
static adze_status skip_norm(adze_node *node, adze_error *err)
{
    const bool rms = strcmp(node->op_type, "SkipSimplifiedLayerNormalization") == 0;
    adze_piece bias = adze_fused_in(node, rms ? 3 : 4);
    adze_piece sum = adze_fused_emit2(node, "Add", adze_fused_in(node, 0), adze_fused_in(node, 1));
    if (bias)
        sum = adze_fused_emit2(node, "Add", sum, bias);
    sum = adze_fused_deliver(node, 3, sum);
    ADZE_TRY(with_epsilon(node, 1e-12f, err));
    return rms ? adze_fused_become(node, "RMSNormalization", 1, sum, adze_fused_in(node, 2), NULL,
                                   "epsilon", err)
               : adze_fused_become(node, "LayerNormalization", 3, sum, adze_fused_in(node, 2),
                                   adze_fused_in(node, 3), "epsilon", err);
}

/* Rows 0 .. tokens - 1 of the table of positions. */
static adze_piece first_positions(const adze_node *node, adze_piece ids, adze_piece table)
{
    adze_node *shape = ids ? adze_fused_emit(node, "Shape", 1, &ids, 1) : NULL;
    if (!shape || !adze_node_set_int(shape, "start", 1) || !adze_node_set_int(shape, "end", 2))
        return NULL;
    adze_fused_again(shape->outputs[0]);
    const adze_piece operands[4] = {table, adze_fused_int(node, 0), shape->outputs[0],
                                    adze_fused_int(node, 0)};
    adze_node *slice =
        operands[1] && operands[3] ? adze_fused_emit(node, "Slice", 4, operands, 1) : NULL;
    return slice ? slice->outputs[0] : NULL;
}

static adze_status embed_norm(adze_node *node, adze_error *err)
{
    enum { IDS, SEGMENTS, WORDS, POSITIONS, SEGMENT_TABLE, GAMMA, BETA, MASK, POSITION_IDS };
    adze_piece ids = adze_fused_in(node, IDS), table = adze_fused_in(node, POSITIONS),
               mask = adze_fused_in(node, MASK);
    adze_piece where = adze_fused_in(node, POSITION_IDS);
    adze_piece sum = adze_fused_emit2(node, "Gather", adze_fused_in(node, WORDS), ids);
    sum = adze_fused_emit2(node, "Add", sum,
                           where ? adze_fused_emit2(node, "Gather", table, where)
                                 : first_positions(node, ids, table));
    if (adze_fused_in(node, SEGMENTS) && adze_fused_in(node, SEGMENT_TABLE))
        sum = adze_fused_emit2(
            node, "Add", sum,
            adze_fused_emit2(node, "Gather", node->inputs[SEGMENT_TABLE], node->inputs[SEGMENTS]));
    sum = adze_fused_deliver(node, 2, sum);
    if (adze_fused_out(node, 1)) {
        adze_piece counted = adze_fused_emit2(node, "ReduceSum",
                                              mask ? mask : adze_fused_emit2(node, "Sub", ids, ids),
                                              adze_fused_int(node, 1));
        if (!counted || !adze_node_set_int(counted->producer, "keepdims", 0))
            return adze_fused_no_memory(err);
        adze_fused_deliver(node, 1, counted);
    }
    ADZE_TRY(with_epsilon(node, 1e-12f, err));
    return adze_fused_become(node, "LayerNormalization", 1, sum, adze_fused_in(node, GAMMA),
                             adze_fused_in(node, BETA), "epsilon", err);
}

/* Tables and parameters of 8 bits, with their scales from input 8 on and zero points behind those. */
static adze_status quantized_embed_norm(adze_node *node, adze_error *err)
{
    static const int tables[5] = {2, 3, 4, 5, 6};
    for (int i = 0; i < 5; i++) {
        const adze_piece operands[3] = {adze_fused_in(node, tables[i]), adze_fused_in(node, 8 + i),
                                        adze_fused_in(node, 13 + i)};
        if (!operands[0])
            continue;
        adze_node *made =
            operands[1] ? adze_fused_emit(node, "DequantizeLinear", 3, operands, 1) : NULL;
        if (!made)
            return adze_fused_unsupported(node, "a table without a scale", err);
        node->inputs[tables[i]] = made->outputs[0];
    }
    node->input_count = ADZE_MIN(node->input_count, 8);
    return embed_norm(node, err);
}

/* ---- all ---- */

/* Operators that ONNX itself has in the same form. */
static adze_status plain(adze_node *node, adze_error *err)
{
    node->domain = adze_arena_strdup(&node->graph->arena, "");
    return node->domain ? ADZE_OK : adze_fused_no_memory(err);
}

/* Pads may be [1, 2 * rank], the value [1]. */
static adze_status pad(adze_node *node, adze_error *err)
{
    for (int i = 1; i <= 2; i++)
        if (adze_fused_in(node, i) && adze_fused_in(node, i)->type.rank != 2 - i) {
            const int64_t flat[1] = {-1};
            node->inputs[i] = adze_fused_emit2(node, "Reshape", node->inputs[i],
                                               adze_fused_ints(node, 2 - i, flat));
            if (!node->inputs[i])
                return adze_fused_no_memory(err);
        }
    return plain(node, err);
}

static const struct {
    const char *op;
    bool everywhere; /* in ONNX's own domain too */
    adze_status (*expand)(adze_node *node, adze_error *err);
} fused[] = {
    {"Attention", false, adze_fused_attention},
    {"BiasGelu", false, gelu},
    {"DequantizeLinear", false, plain},
    {"EmbedLayerNormalization", false, embed_norm},
    {"FastGelu", false, gelu},
    {"FusedConv", false, fused_conv},
    {"FusedGemm", false, fused_gemm},
    {"FusedMatMul", false, fused_matmul},
    {"Gelu", false, gelu},
    {"MultiHeadAttention", false, adze_fused_multi_head},
    {"Pad", false, pad},
    {"QEmbedLayerNormalization", false, quantized_embed_norm},
    {"QuantizeLinear", false, plain},
    {"QuickGelu", false, quick_gelu},
    {"SimplifiedLayerNormalization", true, simplified_norm},
    {"SkipLayerNormalization", false, skip_norm},
    {"SkipSimplifiedLayerNormalization", false, skip_norm},
    {"TransposeMatMul", false, fused_matmul},
};

adze_status adze_onnx_expand_fused(adze_node *node, adze_error *err)
{
    const bool own = *node->domain == '\0';
    if ((!own && strcmp(node->domain, "com.microsoft") != 0) || node->output_count < 1 ||
        !adze_fused_in(node, 0))
        return ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(fused); i++)
        if (strcmp(fused[i].op, node->op_type) == 0 && (!own || fused[i].everywhere))
            return fused[i].expand(node, err);
    return ADZE_OK;
}
