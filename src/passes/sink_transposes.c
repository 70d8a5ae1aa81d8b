/* Moves each Transpose from channels-last to channels-first behind the operator that reads it, until it
 * meets its inverse and both go. What the operator says about axes is said anew for the other order. */
#include "passes/list_impl.h"
#include "passes/transposes_impl.h"

#include <string.h>

/* The value before its Transpose to channels-first; NULL: it has none. */
static adze_value *source(const adze_value *value)
{
    adze_perm p;
    if (!value || !adze_perm_read(&p, value->producer) || !adze_perm_equal(&p, &adze_perm_to_first))
        return NULL;
    return value->producer->inputs[0];
}

/* Axis of channels-last that is this axis of channels-first; -1: out of range. */
static int64_t new_axis(int64_t axis)
{
    axis += axis < 0 ? 4 : 0;
    return axis < 0 || axis > 3 ? -1 : adze_perm_to_first.axes[axis];
}

/* ---- element by element ---- */

/* What an operand of a broadcasting operator becomes; NULL: it cannot. */
static adze_value *turned_operand(adze_rewriter *rw, adze_value *value)
{
    const adze_type *t = &value->type;
    adze_value *from = source(value);
    if (from)
        return from;
    if (adze_rw_constant(value))
        return adze_rw_transpose_constant(rw, value, &adze_perm_to_last);
    int ones = 0;
    for (int i = 0; i < t->rank; i++)
        ones += t->dims[i] == 1;
    if (t->rank >= 0 && ones == t->rank)
        return value;
    if (t->rank == 4 && adze_perm_is_free(t, &adze_perm_to_last))
        return adze_rw_transpose(rw, value, &adze_perm_to_last);
    return NULL;
}

static bool could_turn(const adze_value *value)
{
    const adze_type *t = &value->type;
    if (source(value) || (adze_rw_constant(value) && t->rank <= 4))
        return true;
    int ones = 0;
    for (int i = 0; i < t->rank; i++)
        ones += t->dims[i] == 1;
    return t->rank >= 0 &&
           (ones == t->rank || (t->rank == 4 && adze_perm_is_free(t, &adze_perm_to_last)));
}

static bool turn_inputs(adze_rewriter *rw, adze_node *node)
{
    adze_value *turned[8];
    if (node->input_count > 8)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && !could_turn(node->inputs[i]))
            return false;
    for (int i = 0; i < node->input_count; i++) {
        turned[i] = node->inputs[i] ? turned_operand(rw, node->inputs[i]) : NULL;
        if (node->inputs[i] && !turned[i])
            return false;
    }
    for (int i = 0; i < node->input_count; i++)
        adze_rw_set_input(rw, node, i, turned[i]);
    return !rw->failed;
}

static bool sink_elementwise(adze_rewriter *rw, adze_node *node)
{
    return turn_inputs(rw, node) && adze_rw_transpose_output(rw, node, 0, &adze_perm_to_first);
}

/* ---- one tensor along an axis ---- */

/* Only input 0 is a picture; every output is one. */
static bool turn_pictures(adze_rewriter *rw, adze_node *node)
{
    adze_rw_set_input(rw, node, 0, source(node->inputs[0]));
    for (int i = 0; i < node->output_count && !rw->failed; i++)
        if (node->outputs[i] && !adze_rw_transpose_output(rw, node, i, &adze_perm_to_first))
            return false;
    return !rw->failed;
}

static bool turn_axis(adze_rewriter *rw, adze_node *node, int64_t otherwise)
{
    int64_t axis = new_axis(adze_node_int(node, "axis", otherwise));
    return axis >= 0 && adze_rw_check(rw, adze_node_set_int(node, "axis", axis));
}

static bool sink_softmax(adze_rewriter *rw, adze_node *node)
{
    return turn_axis(rw, node, -1) && turn_pictures(rw, node);
}

static bool sink_split(adze_rewriter *rw, adze_node *node)
{
    return turn_axis(rw, node, 0) && turn_pictures(rw, node);
}

/* QuantizeLinear, DequantizeLinear: scales along an axis, or one. */
static bool sink_quantize(adze_rewriter *rw, adze_node *node)
{
    if (adze_node_int(node, "block_size", 0) != 0)
        return false;
    return turn_axis(rw, node, 1) && turn_pictures(rw, node);
}

static bool sink_concat(adze_rewriter *rw, adze_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (!source(node->inputs[i]) &&
            (node->inputs[i]->type.rank != 4 || !adze_rw_constant(node->inputs[i])))
            return false;
    if (!turn_axis(rw, node, 0))
        return false;
    for (int i = 0; i < node->input_count && !rw->failed; i++) {
        adze_value *turned = turned_operand(rw, node->inputs[i]);
        if (adze_rw_check(rw, turned))
            adze_rw_set_input(rw, node, i, turned);
    }
    return !rw->failed && adze_rw_transpose_output(rw, node, 0, &adze_perm_to_first);
}

/* Axes given as input `i` (constant), or the first `count` when it is absent; -1: not known. */
static int read_axes(const adze_node *node, int i, int count, int64_t *axes)
{
    const adze_value *value = adze_rw_input(node, i);
    for (int k = 0; k < count; k++)
        axes[k] = k;
    int n = value ? adze_rw_ints(value, axes, ADZE_MAX_RANK) : count;
    for (int k = 0; k < n; k++) {
        axes[k] = new_axis(axes[k]);
        if (axes[k] < 0)
            return -1;
    }
    return n;
}

static bool put_axes(adze_rewriter *rw, adze_node *node, int i, int count, const int64_t *axes)
{
    adze_value *value = adze_rw_new_ints(rw, NULL, count, axes);
    if (!value)
        return false;
    adze_rw_set_input(rw, node, i, value);
    return !rw->failed;
}

static bool sink_slice(adze_rewriter *rw, adze_node *node)
{
    int64_t axes[ADZE_MAX_RANK];
    const adze_type *starts = &node->inputs[1]->type;
    if (starts->rank != 1 || starts->dims[0] < 0 || starts->dims[0] > 4)
        return false;
    int n = read_axes(node, 3, (int)starts->dims[0], axes);
    return n == starts->dims[0] && put_axes(rw, node, 3, n, axes) && turn_pictures(rw, node);
}

static bool sink_pad(adze_rewriter *rw, adze_node *node)
{
    int64_t axes[ADZE_MAX_RANK];
    const adze_type *pads = &node->inputs[1]->type;
    if (pads->rank != 1 || pads->dims[0] < 0 || pads->dims[0] > 8)
        return false;
    int n = read_axes(node, 3, (int)pads->dims[0] / 2, axes);
    return n == pads->dims[0] / 2 && put_axes(rw, node, 3, n, axes) && turn_pictures(rw, node);
}

/* ---- reductions ---- */

/* Order of the axes that stay, as they come out of the turned node. */
static adze_perm kept_axes(const bool *reduced)
{
    adze_perm p = {0};
    for (int axis = 0; axis < 4; axis++) { /* channels-first, as it must come out */
        int64_t mine = adze_perm_to_first.axes[axis], before = 0;
        if (reduced[mine])
            continue;
        for (int64_t other = 0; other < mine; other++)
            before += !reduced[other];
        p.axes[p.rank++] = before;
    }
    return p;
}

static bool turn_reduced(adze_rewriter *rw, adze_node *node, const bool *reduced)
{
    bool keep = adze_node_int(node, "keepdims", 1) != 0;
    adze_perm p = keep ? adze_perm_to_first : kept_axes(reduced);
    if (node->outputs[0]->type.rank != p.rank)
        return false;
    adze_rw_set_input(rw, node, 0, source(node->inputs[0]));
    return !rw->failed && (p.rank == 0 || adze_rw_transpose_output(rw, node, 0, &p));
}

static bool sink_reduce(adze_rewriter *rw, adze_node *node)
{
    int64_t axes[ADZE_MAX_RANK];
    bool reduced[4] = {false}, given = adze_rw_input(node, 1);
    if (!given && adze_node_int(node, "noop_with_empty_axes", 0))
        return false;
    int n = read_axes(node, 1, 4, axes);
    if (n < 1)
        return false;
    for (int i = 0; i < n; i++)
        reduced[axes[i]] = true;
    return (!given || put_axes(rw, node, 1, n, axes)) && turn_reduced(rw, node, reduced);
}

static bool sink_arg(adze_rewriter *rw, adze_node *node)
{
    bool reduced[4] = {false};
    if (!turn_axis(rw, node, 0))
        return false;
    reduced[adze_node_int(node, "axis", 0)] = true;
    return turn_reduced(rw, node, reduced);
}

/* ---- operators that know channels-last ---- */

static bool sink_picture(adze_rewriter *rw, adze_node *node)
{
    const adze_type *t = &node->inputs[0]->type;
    bool fits = t->dtype == ADZE_F32 || t->dtype == ADZE_U8 || t->dtype == ADZE_I8;
    fits &= adze_node_int(node, "training_mode", 0) == 0; /* statistics are of channels first */
    if (!fits || adze_rw_has_output(node, 1) || adze_node_has(node, ADZE_FUSED_CHANNELS_LAST) ||
        !adze_rw_check(rw, adze_node_set_int(node, ADZE_FUSED_CHANNELS_LAST, 1)))
        return false;
    return turn_pictures(rw, node);
}

static bool sink_resize(adze_rewriter *rw, adze_node *node)
{
    const char *transform = adze_node_string(node, "coordinate_transformation_mode", "half_pixel");
    if (adze_node_has(node, "axes") || strcmp(transform, "tf_crop_and_resize") == 0)
        return false;
    return sink_picture(rw, node);
}

/* ---- asking for the shape ---- */

static bool sink_shape(adze_rewriter *rw, adze_node *node)
{
    int64_t start = adze_node_int(node, "start", 0), end = adze_node_int(node, "end", 4);
    start = ADZE_MAX(start + (start < 0 ? 4 : 0), 0);
    end = ADZE_MIN(end + (end < 0 ? 4 : 0), 4);
    if (start >= end)
        return false;
    adze_node *gather = adze_rw_new_node(rw, "Gather", NULL, 2, 1);
    adze_value *which =
        adze_rw_new_ints(rw, NULL, (int)(end - start), adze_perm_to_first.axes + start);
    adze_node *shape = adze_rw_new_node(rw, "Shape", NULL, 1, 1);
    if (!gather || !which || !shape)
        return false;
    int64_t four = 4;
    shape->inputs[0] = source(node->inputs[0]);
    shape->outputs[0]->type = adze_type_tensor(ADZE_I64, 1, &four);
    gather->inputs[0] = shape->outputs[0];
    gather->inputs[1] = which;
    adze_rw_take_output(rw, gather, 0, node->outputs[0]);
    return true;
}

/* ---- pictures as sequences ---- */

/* [N, C, H, W] flattened to [N, C, H*W] and transposed to [N, H*W, C]: channels-last has it so. */
static bool flatten(adze_rewriter *rw, adze_node *transpose)
{
    static const adze_perm to_sequence = {3, {0, 2, 1}};
    adze_perm p;
    const adze_node *reshape = transpose->inputs[0]->producer;
    if (!adze_perm_read(&p, transpose) || !adze_perm_equal(&p, &to_sequence) ||
        (!adze_rw_is(reshape, "Reshape") && !adze_rw_is(reshape, "Squeeze")))
        return false;
    adze_value *x = source(reshape->inputs[0]);
    const adze_type *flat = &transpose->inputs[0]->type;
    if (!x || !adze_rw_same_dim(flat->dims[0], x->type.dims[0]) ||
        !adze_rw_same_dim(flat->dims[1], x->type.dims[3]) || x->type.dims[3] < 1)
        return false;
    adze_value *shape = adze_rw_new_ints(rw, NULL, 3, (int64_t[]){0, -1, x->type.dims[3]});
    adze_node *sequence = adze_rw_new_node(rw, "Reshape", transpose->name, 2, 1);
    if (!shape || !sequence)
        return false;
    sequence->inputs[0] = x;
    sequence->inputs[1] = shape;
    adze_rw_take_output(rw, sequence, 0, transpose->outputs[0]);
    return true;
}

/* ---- shuffling of channels ---- */

static bool reshape_to(adze_rewriter *rw, adze_node *reshape, adze_value *x, const int64_t *shape,
                       int rank)
{
    adze_value *target = adze_rw_new_ints(rw, NULL, rank, shape);
    reshape->inputs[0] = x;
    reshape->inputs[1] = target;
    return target;
}

/* [N, C, H, W] -> [N, g, k, H, W] -> [N, k, g, H, W] -> [N, C, H, W]: the same on the last axis. */
static bool shuffle(adze_rewriter *rw, adze_node *last)
{
    static const adze_perm swap = {5, {0, 2, 1, 3, 4}}, swap_last = {5, {0, 1, 2, 4, 3}};
    adze_perm p;
    const adze_node *turn = last->inputs[0]->producer;
    const adze_node *first = turn ? adze_rw_producer(turn->inputs[0], "Reshape") : NULL;
    adze_value *x = first ? source(first->inputs[0]) : NULL;
    if (!x || !adze_perm_read(&p, turn) || !adze_perm_equal(&p, &swap) ||
        !adze_rw_same_shape(first->inputs[0], last->outputs[0]))
        return false;
    const adze_dim *split = first->outputs[0]->type.dims, *dims = x->type.dims;
    if (split[1] < 1 || split[2] < 1 || split[1] * split[2] != dims[3] ||
        !adze_rw_same_dim(split[0], dims[0]) || !adze_rw_same_dim(split[3], dims[1]) ||
        !adze_rw_same_dim(split[4], dims[2]))
        return false;
    adze_node *apart = adze_rw_new_node(rw, "Reshape", NULL, 2, 1);
    if (!apart || !reshape_to(rw, apart, x, (int64_t[]){0, 0, 0, split[1], split[2]}, 5))
        return false;
    apart->outputs[0]->type = x->type;
    apart->outputs[0]->type.rank = 5;
    memcpy(apart->outputs[0]->type.dims + 3, split + 1, 2 * sizeof *split);
    adze_value *turned = adze_rw_transpose(rw, apart->outputs[0], &swap_last);
    if (!turned || !reshape_to(rw, last, turned, (int64_t[]){0, 0, 0, dims[3]}, 4))
        return false;
    return adze_rw_transpose_output(rw, last, 0, &adze_perm_to_first);
}

/* ---- the table ---- */

typedef struct sinker {
    const char *op;
    adze_rewrite_fn sink;
} sinker;

static const sinker sinkers[] = {
    {"QuantizeLinear", sink_quantize},
    {"DequantizeLinear", sink_quantize},
    {"Concat", sink_concat},
    {"Split", sink_split},
    {"Slice", sink_slice},
    {"Pad", sink_pad},
    {"Softmax", sink_softmax},
    {"LogSoftmax", sink_softmax},
    {"ReduceMean", sink_reduce},
    {"ReduceSum", sink_reduce},
    {"ReduceMax", sink_reduce},
    {"ReduceMin", sink_reduce},
    {"ReduceL2", sink_reduce},
    {"ReduceProd", sink_reduce},
    {"ReduceSumSquare", sink_reduce},
    {"ArgMax", sink_arg},
    {"ArgMin", sink_arg},
    {"MaxPool", sink_picture},
    {"AveragePool", sink_picture},
    {"GlobalAveragePool", sink_picture},
    {"GlobalMaxPool", sink_picture},
    {"BatchNormalization", sink_picture},
    {"Resize", sink_resize},
    {"Shape", sink_shape},
};

static bool reads_transposed(const adze_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (source(node->inputs[i]))
            return true;
    return false;
}

static bool sink(adze_rewriter *rw, adze_node *node)
{
    if (adze_rw_is(node, "Transpose"))
        return adze_rw_tidy_transpose(rw, node) || flatten(rw, node);
    if (adze_rw_is(node, "Reshape"))
        return shuffle(rw, node);
    if (!node->op || node->output_count < 1 || !node->outputs[0] || !reads_transposed(node))
        return false;
    for (size_t i = 0; i < ADZE_COUNT_OF(sinkers); i++)
        if (adze_rw_is(node, sinkers[i].op))
            return source(node->inputs[0]) && sinkers[i].sink(rw, node);
    bool plain = (node->op->flags & ADZE_OP_ELEMENTWISE) && node->output_count == 1 &&
                 node->outputs[0]->type.rank == 4;
    return plain && sink_elementwise(rw, node);
}

adze_status adze_pass_sink_transposes(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, sink, changed, err);
}

adze_status adze_pass_tidy_transposes(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, adze_rw_transpose_to_reshape, changed, err);
}
