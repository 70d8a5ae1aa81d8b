/* The one place that knows old operator forms: each rule brings a node from the opset it was written in
 * to the newest form (ONNX operator changelog). A rule applies to nodes of its operator when the file's
 * opset is below `until`; rules run in the order of the table. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_fused_impl.h"

typedef struct rule {
    const char *op;
    int until; /* first opset that has the newer form */
    adze_status (*apply)(adze_node *node, adze_node **last, adze_error *err);
} rule;

static adze_status out_of_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "adapting an operator of an old opset");
}

/* ---- pieces ---- */

static adze_value *constant_ints(adze_node *node, const char *suffix, int n, const int64_t *values,
                                 bool scalar)
{
    int64_t dims[1] = {n};
    adze_tensor t = adze_tensor_view(ADZE_I64, scalar ? 0 : 1, dims, (void *)values);
    char name[512];
    snprintf(name, sizeof name, "%.400s.%.64s", node->name, suffix);
    return adze_graph_add_constant(node->graph, name, &t, true);
}

/* A constant of the type of input 0 (float32 when that is not known). */
static adze_value *constant_scalar(adze_node *node, const char *suffix, float value)
{
    adze_dtype dtype = node->inputs[0] ? node->inputs[0]->type.dtype : ADZE_F32;
    if (dtype == ADZE_STRING)
        return NULL;
    adze_tensor t;
    adze_value *made = NULL;
    char name[512];
    snprintf(name, sizeof name, "%.400s.%.64s", node->name, suffix);
    if (adze_tensor_make(&t, dtype == ADZE_UNDEFINED ? ADZE_F32 : dtype, 0, NULL, NULL) != ADZE_OK)
        return NULL;
    adze_tensor_set_f64(&t, 0, (double)value);
    made = adze_graph_add_constant(node->graph, name, &t, true);
    adze_tensor_free(&t);
    return made;
}

static adze_status set_input(adze_node *node, int i, adze_value *value, adze_error *err)
{
    while (node->input_count <= i)
        if (!adze_node_add_input(node, NULL))
            return out_of_memory(err);
    if (!value)
        return out_of_memory(err);
    node->inputs[i] = value;
    return ADZE_OK;
}

/* Attribute with a list of integers -> constant input i. */
static adze_status ints_to_input(adze_node *node, const char *attr, int i, adze_error *err)
{
    int n;
    const int64_t *values = adze_node_ints(node, attr, &n);
    if (!values)
        return ADZE_OK;
    ADZE_TRY(set_input(node, i, constant_ints(node, attr, n, values, false), err));
    adze_node_remove_attr(node, attr);
    return ADZE_OK;
}

/* A node of one output whose output becomes node's output k; node gets a fresh one and feeds it. */
static adze_node *put_behind_output(adze_node *node, int k, const char *op, int inputs)
{
    adze_node *after = adze_graph_new_node(node->graph, "", op, NULL, inputs, 1);
    if (!after)
        return NULL;
    adze_value *fresh = after->outputs[0], *old = node->outputs[k];
    after->outputs[0] = old;
    old->producer = after;
    old->producer_output = 0;
    node->outputs[k] = fresh;
    fresh->producer = node;
    fresh->producer_output = k;
    after->inputs[0] = fresh;
    return after;
}

static adze_node *put_behind(adze_node *node, const char *op, int inputs)
{
    return put_behind_output(node, 0, op, inputs);
}

static adze_node *put_before(adze_node *node, const char *op, int inputs)
{
    adze_node *before = adze_graph_new_node(node->graph, "", op, NULL, inputs, 1);
    if (!before || !adze_graph_append(node->graph, before))
        return NULL;
    before->inputs[0] = node->inputs[0];
    node->inputs[0] = before->outputs[0];
    return before;
}

/* ---- rules ---- */

static adze_status axes_to_input(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    return ints_to_input(node, "axes", 1, err);
}

static adze_status shape_to_input(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    return ints_to_input(node, "shape", 1, err);
}

/* In opset 1 the lengths may be an input, of the type of the data. */
static adze_status split_to_input(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (node->input_count > 1 && node->inputs[1] && node->inputs[1]->type.dtype != ADZE_I64) {
        adze_node *cast = adze_graph_new_node(node->graph, "", "Cast", NULL, 1, 1);
        if (!cast || !adze_node_set_int(cast, "to", adze_dtype_describe(ADZE_I64)->onnx) ||
            !adze_graph_append(node->graph, cast))
            return out_of_memory(err);
        cast->inputs[0] = node->inputs[1];
        node->inputs[1] = cast->outputs[0];
    }
    return ints_to_input(node, "split", 1, err);
}

static adze_status split_count(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (node->input_count < 2 && !adze_node_set_int(node, "num_outputs", node->output_count))
        return out_of_memory(err);
    return ADZE_OK;
}

static adze_status clip_bounds(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (adze_node_has(node, "min"))
        ADZE_TRY(
            set_input(node, 1, constant_scalar(node, "min", adze_node_float(node, "min", 0)), err));
    if (adze_node_has(node, "max"))
        ADZE_TRY(
            set_input(node, 2, constant_scalar(node, "max", adze_node_float(node, "max", 0)), err));
    adze_node_remove_attr(node, "min");
    adze_node_remove_attr(node, "max");
    return ADZE_OK;
}

static adze_status slice_inputs(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    ADZE_TRY(ints_to_input(node, "starts", 1, err));
    ADZE_TRY(ints_to_input(node, "ends", 2, err));
    return ints_to_input(node, "axes", 3, err);
}

static adze_status pad_inputs(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    const char *pads = adze_node_has(node, "pads") ? "pads" : "paddings";
    ADZE_TRY(ints_to_input(node, pads, 1, err));
    if (adze_node_has(node, "value"))
        ADZE_TRY(set_input(node, 2,
                           constant_scalar(node, "value", adze_node_float(node, "value", 0)), err));
    adze_node_remove_attr(node, "value");
    return ADZE_OK;
}

static adze_status topk_input(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int64_t k = adze_node_int(node, "k", 1);
    adze_node_remove_attr(node, "k");
    return set_input(node, 1, constant_ints(node, "k", 1, &k, false), err);
}

static adze_status rename_op(adze_node *node, const char *op, adze_error *err)
{
    node->op_type = adze_arena_strdup(&node->graph->arena, op);
    return node->op_type ? ADZE_OK : out_of_memory(err);
}

static adze_status scatter_name(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    return rename_op(node, "ScatterElements", err);
}

static adze_status resize_asymmetric(adze_node *node, adze_error *err)
{
    if (!adze_node_set_string(node, "coordinate_transformation_mode", "asymmetric") ||
        !adze_node_set_string(node, "nearest_mode", "floor"))
        return out_of_memory(err);
    return ADZE_OK;
}

static adze_status upsample_to_resize(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int n;
    const float *scales = adze_node_floats(node, "scales", &n);
    adze_value *value = node->input_count > 1 ? node->inputs[1] : NULL;
    if (scales) {
        int64_t dims[1] = {n};
        adze_tensor t = adze_tensor_view(ADZE_F32, 1, dims, (void *)scales);
        value = adze_graph_add_constant(node->graph, NULL, &t, true);
    }
    if (!value)
        return adze_fail(err, ADZE_BAD_MODEL, "Upsample '%s': no scales", node->name);
    if (node->input_count > 1)
        node->inputs[1] = NULL;
    ADZE_TRY(set_input(node, 2, value, err));
    adze_node_remove_attr(node, "scales");
    const char *mode = adze_node_string(node, "mode", "nearest");
    if (strcmp(mode, "bilinear") == 0 && !adze_node_set_string(node, "mode", "linear"))
        return out_of_memory(err);
    ADZE_TRY(rename_op(node, "Resize", err));
    return resize_asymmetric(node, err);
}

/* Resize-10: inputs X, scales. */
static adze_status resize_inputs(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    adze_value *scales = node->input_count > 1 ? node->inputs[1] : NULL;
    if (!scales)
        return ADZE_OK;
    node->inputs[1] = NULL;
    ADZE_TRY(set_input(node, 2, scales, err));
    return resize_asymmetric(node, err);
}

static bool is_empty_constant(const adze_value *v)
{
    return v && v->role == ADZE_ROLE_CONSTANT && adze_tensor_elements(v->constant) == 0;
}

/* Some exporters write empty tensors where an optional input should be absent. */
static adze_status resize_empty_inputs(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    ADZE_UNUSED(err);
    for (int i = 1; i < node->input_count; i++)
        if (is_empty_constant(node->inputs[i]))
            node->inputs[i] = NULL;
    while (node->input_count > 1 && !node->inputs[node->input_count - 1])
        node->input_count--;
    return ADZE_OK;
}

static adze_status drop_training(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    ADZE_UNUSED(err);
    static const char *const gone[] = {"is_test", "spatial", "ratio", "momentum",
                                       "consumed_inputs"};
    bool momentum = strcmp(node->op_type, "BatchNormalization") != 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(gone); i++)
        if (momentum || strcmp(gone[i], "momentum") != 0)
            adze_node_remove_attr(node, gone[i]);
    return ADZE_OK;
}

/* spatial = 0: statistics of every element of [channels, ...]. What is not the batch becomes one axis. */
static adze_status flatten_places(adze_node *node, adze_node **last, adze_error *err)
{
    static const int64_t matrix[2] = {0, -1}, vector[1] = {-1};
    adze_value *x = node->inputs[0], *flat = constant_ints(node, "flat", 1, vector, false);
    adze_node *shape = adze_graph_new_node(node->graph, "", "Shape", NULL, 1, 1);
    adze_node *before = put_before(node, "Reshape", 2);
    if (!flat || !shape || !before)
        return out_of_memory(err);
    ADZE_TRY(set_input(before, 1, constant_ints(node, "matrix", 2, matrix, false), err));
    for (int i = 1; i < node->input_count; i++) {
        adze_node *part = adze_graph_new_node(node->graph, "", "Reshape", NULL, 2, 1);
        if (!part || !adze_graph_append(node->graph, part))
            return out_of_memory(err);
        part->inputs[0] = node->inputs[i];
        part->inputs[1] = flat;
        node->inputs[i] = part->outputs[0];
    }
    shape->inputs[0] = x;
    *last = put_behind(node, "Reshape", 2);
    return *last && adze_node_set_int(*last, "allowzero", 1) &&
                   adze_graph_append(node->graph, shape)
               ? set_input(*last, 1, shape->outputs[0], err)
               : out_of_memory(err);
}

/* Before opset 10 the mask has the type of the data. */
static adze_status mask_of_numbers(adze_node *node, adze_node **last, adze_error *err)
{
    if (node->output_count < 2 || !node->outputs[1] || !node->inputs[0])
        return ADZE_OK;
    adze_dtype dtype = node->inputs[0]->type.dtype;
    adze_node *cast = put_behind_output(node, 1, "Cast", 1);
    int type = adze_dtype_describe(dtype == ADZE_UNDEFINED ? ADZE_F32 : dtype)->onnx;
    if (!cast || !adze_node_set_int(cast, "to", type))
        return out_of_memory(err);
    *last = cast;
    return ADZE_OK;
}

/* Before opset 14 the extra outputs of BatchNormalization belong to training. */
static adze_status batch_norm_outputs(adze_node *node, adze_node **last, adze_error *err)
{
    if (adze_node_int(node, "spatial", 1) == 0 && node->inputs[0] &&
        node->inputs[0]->type.rank != 2)
        ADZE_TRY(flatten_places(node, last, err));
    ADZE_TRY(drop_training(node, last, err));
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i])
            node->outputs[i]->producer = NULL;
    node->output_count = ADZE_MIN(node->output_count, 1);
    return ADZE_OK;
}

/* Before opset 13 these work on the input seen as a matrix, split at `axis` (default 1). */
static adze_status softmax_matrix(adze_node *node, adze_node **last, adze_error *err)
{
    int64_t axis = adze_node_int(node, "axis", 1);
    int rank = node->inputs[0] ? node->inputs[0]->type.rank : -1;
    if (!adze_node_set_int(node, "axis", -1))
        return out_of_memory(err);
    if (axis == -1 || (rank >= 0 && axis == rank - 1))
        return ADZE_OK;
    adze_value *input = node->inputs[0];
    adze_node *shape = adze_graph_new_node(node->graph, "", "Shape", NULL, 1, 1);
    adze_node *flatten = put_before(node, "Flatten", 1);
    adze_node *reshape = put_behind(node, "Reshape", 2);
    if (!shape || !flatten || !reshape || !adze_graph_append(node->graph, shape) ||
        !adze_node_set_int(flatten, "axis", axis) || !adze_node_set_int(reshape, "allowzero", 1))
        return out_of_memory(err);
    shape->inputs[0] = input;
    reshape->inputs[1] = shape->outputs[0];
    *last = reshape;
    return ADZE_OK;
}

/* Opset 6 and before: the second operand is aligned at `axis`, only when broadcast = 1. */
static adze_status legacy_broadcast(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    bool has_axis = adze_node_has(node, "axis");
    int64_t axis = adze_node_int(node, "axis", 0);
    adze_node_remove_attr(node, "axis");
    adze_node_remove_attr(node, "broadcast");
    adze_node_remove_attr(node, "consumed_inputs");
    if (!has_axis || node->input_count < 2 || !node->inputs[0] || !node->inputs[1])
        return ADZE_OK;
    int rank_a = node->inputs[0]->type.rank, rank_b = node->inputs[1]->type.rank;
    if (rank_a < 0 || rank_b < 0)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s '%s': old broadcasting (axis) of inputs without a known rank",
                         node->op_type, node->name);
    axis = axis < 0 ? axis + rank_a : axis;
    if (axis < 0 || axis > rank_a)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': axis %lld of a tensor of rank %d",
                         node->op_type, node->name, (long long)axis, rank_a);
    int64_t axes[ADZE_MAX_RANK];
    int n = (int)(rank_a - axis - rank_b);
    if (n <= 0)
        return ADZE_OK;
    for (int i = 0; i < n && i < ADZE_MAX_RANK; i++)
        axes[i] = rank_b + i;
    adze_node *unsqueeze = adze_graph_new_node(node->graph, "", "Unsqueeze", NULL, 2, 1);
    if (!unsqueeze || !adze_graph_append(node->graph, unsqueeze))
        return out_of_memory(err);
    unsqueeze->inputs[0] = node->inputs[1];
    node->inputs[1] = unsqueeze->outputs[0];
    return set_input(unsqueeze, 1, constant_ints(node, "axes", n, axes, false), err);
}

/* Opset 6 and before: one slope a channel, without an axis that says so. */
static adze_status prelu_slope(adze_node *node, adze_node **last, adze_error *err)
{
    const adze_type *slope =
        node->input_count > 1 && node->inputs[1] ? &node->inputs[1]->type : NULL;
    if (slope && slope->rank == 1 && slope->dims[0] != 1 && !adze_node_set_int(node, "axis", 1))
        return out_of_memory(err);
    return legacy_broadcast(node, last, err);
}

/* Before opset 21 scale and bias have one element a group; since then one a channel. */
static adze_status group_norm_channels(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    adze_piece x = adze_fused_in(node, 0), repeats;
    int64_t groups = adze_node_int(node, "num_groups", 1);
    if (node->input_count < 3 || !x || groups < 1 || (x->type.rank >= 0 && x->type.rank < 2))
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': inputs or num_groups", node->op_type,
                         node->name);
    if (x->type.rank >= 2 && x->type.dims[1] >= 0) {
        repeats = adze_fused_ints(node, 2, (const int64_t[]){1, x->type.dims[1] / groups});
    } else {
        adze_piece channels = adze_fused_emit1(node, "Shape", x);
        if (!channels || !adze_node_set_int(channels->producer, "start", 1) ||
            !adze_node_set_int(channels->producer, "end", 2))
            return out_of_memory(err);
        adze_piece each =
            adze_fused_emit2(node, "Div", adze_fused_again(channels), adze_fused_int(node, groups));
        repeats = adze_fused_emit2(node, "Concat", adze_fused_int(node, 1), each);
        if (!repeats || !adze_node_set_int(repeats->producer, "axis", 0))
            return out_of_memory(err);
        adze_fused_again(repeats);
    }
    for (int i = 1; i <= 2; i++) {
        adze_piece rows =
            adze_fused_emit2(node, "Unsqueeze", node->inputs[i], adze_fused_int(node, 1));
        node->inputs[i] =
            adze_fused_emit2(node, "Reshape", adze_fused_emit2(node, "Tile", rows, repeats),
                             adze_fused_int(node, -1));
        if (!node->inputs[i])
            return out_of_memory(err);
    }
    return ADZE_OK;
}

/* Before opset 16 there was no shift by half a pixel. */
static adze_status roi_align_mode(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (!adze_node_set_string(node, "coordinate_transformation_mode", "output_half_pixel"))
        return out_of_memory(err);
    return ADZE_OK;
}

/* Before opset 20 the axis was an attribute with another default. */
static adze_status dft_axis(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int64_t axis = adze_node_int(node, "axis", 1);
    adze_node_remove_attr(node, "axis");
    return set_input(node, 2, constant_ints(node, "axis", 1, &axis, true), err);
}

/* Scan-8 has an axis of batches in front and lengths as its first input. */
static adze_status scan_batches(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    return adze_node_set_int(node, "batched", 1) ? ADZE_OK : out_of_memory(err);
}

/* ---- opset 1 to 5 ---- */

static adze_status concat_axis(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (!adze_node_has(node, "axis") && !adze_node_set_int(node, "axis", 1))
        return out_of_memory(err);
    return ADZE_OK;
}

/* The type was a word: "FLOAT", "INT64", "DOUBLE". */
static adze_status cast_word(adze_node *node, adze_node **last, adze_error *err)
{
    static const char *const words[] = {"UNDEFINED",  "FLOAT",  "UINT8",  "INT8",   "UINT16",
                                        "INT16",      "INT32",  "INT64",  "STRING", "BOOL",
                                        "FLOAT16",    "DOUBLE", "UINT32", "UINT64", "COMPLEX64",
                                        "COMPLEX128", NULL};
    ADZE_UNUSED(last);
    const adze_attr *to = adze_node_attr(node, "to");
    if (!to || to->type != ADZE_ATTR_STRING)
        return ADZE_OK;
    int type = 0;
    while (words[type] && strcmp(words[type], to->as.s) != 0)
        type++;
    if (!words[type])
        return adze_fail(err, ADZE_BAD_MODEL, "Cast '%s': unknown type '%.60s'", node->name,
                         to->as.s);
    return adze_node_set_int(node, "to", type) ? ADZE_OK : out_of_memory(err);
}

static bool constant_number(const adze_value *v, int64_t *out)
{
    if (!v || v->role != ADZE_ROLE_CONSTANT || adze_tensor_elements(v->constant) != 1)
        return false;
    *out = adze_tensor_get_i64(v->constant, 0);
    return true;
}

/* Inputs were how often, and along which axis. */
static adze_status tile_axis(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int64_t tiles, axis, repeats[ADZE_MAX_RANK];
    int rank = node->inputs[0] ? node->inputs[0]->type.rank : -1;
    if (node->input_count != 3)
        return ADZE_OK;
    if (rank < 0 || !constant_number(node->inputs[1], &tiles) ||
        !constant_number(node->inputs[2], &axis))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "Tile '%s': tiles and axis (opset 1) must be constants, the rank known",
                         node->name);
    if (axis < 0 || axis >= rank)
        return adze_fail(err, ADZE_BAD_MODEL, "Tile '%s': axis %lld of a tensor of rank %d",
                         node->name, (long long)axis, rank);
    for (int i = 0; i < rank; i++)
        repeats[i] = i == axis ? tiles : 1;
    node->input_count = 2;
    return set_input(node, 1, constant_ints(node, "repeats", rank, repeats, false), err);
}

static adze_status upsample_sides(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    if (!adze_node_has(node, "height_scale") && !adze_node_has(node, "width_scale"))
        return ADZE_OK;
    float scales[4] = {1, 1, adze_node_float(node, "height_scale", 1),
                       adze_node_float(node, "width_scale", 1)};
    adze_node_remove_attr(node, "height_scale");
    adze_node_remove_attr(node, "width_scale");
    return adze_node_set_floats(node, "scales", 4, scales) ? ADZE_OK : out_of_memory(err);
}

/* The order of the norm was a float. */
static adze_status lp_order(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    const adze_attr *p = adze_node_attr(node, "p");
    if (!p || p->type != ADZE_ATTR_FLOAT)
        return ADZE_OK;
    float order = p->as.f;
    if (!(order >= 1 && order <= 1000) || order != (float)(int)order)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s '%s': order %g of the norm", node->op_type,
                         node->name, (double)order);
    return adze_node_set_int(node, "p", (int)order) ? ADZE_OK : out_of_memory(err);
}

static adze_status drop_words(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    ADZE_UNUSED(err);
    adze_node_remove_attr(node, "broadcast");       /* Gemm: C broadcasts anyway */
    adze_node_remove_attr(node, "output_sequence"); /* recurrent: Y is wanted where it is named */
    return ADZE_OK;
}

/* ---- operators that were experimental until opset 10 ---- */

/* x -> a * x in front of the node. */
static adze_status scale_before(adze_node *node, const char *attr, float otherwise, adze_error *err)
{
    float a = adze_node_float(node, attr, otherwise);
    adze_node_remove_attr(node, attr);
    adze_value *factor = constant_scalar(node, attr, a);
    adze_node *mul = put_before(node, "Mul", 2);
    if (!factor || !mul)
        return out_of_memory(err);
    mul->inputs[1] = factor;
    return ADZE_OK;
}

static adze_status scale_behind(adze_node *node, const char *attr, adze_node **last,
                                adze_error *err)
{
    float a = adze_node_float(node, attr, 1);
    adze_node_remove_attr(node, attr);
    adze_value *factor = constant_scalar(node, attr, a);
    *last = put_behind(node, "Mul", 2);
    if (!factor || !*last)
        return out_of_memory(err);
    (*last)->inputs[1] = factor;
    return ADZE_OK;
}

/* alpha * f(beta * x) */
static adze_status scaled_function(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_TRY(scale_before(node, "beta", 1, err));
    ADZE_TRY(scale_behind(node, "alpha", last, err));
    return rename_op(node, strcmp(node->op_type, "ScaledTanh") == 0 ? "Tanh" : "Softplus", err);
}

/* alpha * x + beta */
static adze_status affine(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    adze_value *beta = constant_scalar(node, "beta", adze_node_float(node, "beta", 0));
    adze_node_remove_attr(node, "beta");
    ADZE_TRY(scale_before(node, "alpha", 1, err));
    ADZE_TRY(set_input(node, 1, beta, err));
    return rename_op(node, "Add", err);
}

/* scale * x */
static adze_status plain_scale(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    adze_value *scale = constant_scalar(node, "scale", adze_node_float(node, "scale", 1));
    adze_node_remove_attr(node, "scale");
    ADZE_TRY(set_input(node, 1, scale, err));
    return rename_op(node, "Mul", err);
}

/* scale * x + bias of each channel */
static adze_status image_scaler(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int n;
    const float *bias = adze_node_floats(node, "bias", &n);
    int64_t dims[3] = {n, 1, 1};
    if (n < 1)
        return adze_fail(err, ADZE_BAD_MODEL, "ImageScaler '%s': no bias", node->name);
    adze_tensor t = adze_tensor_view(ADZE_F32, 3, dims, (void *)bias);
    adze_value *added = adze_graph_add_constant(node->graph, NULL, &t, true);
    adze_node_remove_attr(node, "bias");
    ADZE_TRY(scale_before(node, "scale", 1, err));
    ADZE_TRY(set_input(node, 1, added, err));
    return rename_op(node, "Add", err);
}

/* border: left, top, right, bottom; scale: height, width of what stays */
static adze_status crop(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    int n, sizes;
    const int64_t *b = adze_node_ints(node, "border", &n);
    const int64_t *size = adze_node_ints(node, "scale", &sizes);
    if (n != 4 || (sizes != 0 && sizes != 2) || b[0] < 0 || b[1] < 0 || b[2] < 0 || b[3] < 0)
        return adze_fail(err, ADZE_BAD_MODEL, "Crop '%s': border must be four counts", node->name);
    int64_t starts[2] = {b[1], b[0]}, axes[2] = {2, 3};
    int64_t ends[2] = {b[3] ? -b[3] : INT64_MAX, b[2] ? -b[2] : INT64_MAX};
    for (int i = 0; i < sizes; i++)
        ends[i] = size[i] > INT32_MAX || starts[i] > INT32_MAX ? INT64_MAX : starts[i] + size[i];
    adze_node_remove_attr(node, "border");
    adze_node_remove_attr(node, "scale");
    ADZE_TRY(set_input(node, 1, constant_ints(node, "starts", 2, starts, false), err));
    ADZE_TRY(set_input(node, 2, constant_ints(node, "ends", 2, ends, false), err));
    ADZE_TRY(set_input(node, 3, constant_ints(node, "axes", 2, axes, false), err));
    return rename_op(node, "Slice", err);
}

static adze_status drop_consumed(adze_node *node, adze_node **last, adze_error *err)
{
    ADZE_UNUSED(last);
    ADZE_UNUSED(err);
    adze_node_remove_attr(node, "consumed_inputs");
    return ADZE_OK;
}

static const rule rules[] = {
    {"Add", 7, legacy_broadcast},
    {"Sub", 7, legacy_broadcast},
    {"Mul", 7, legacy_broadcast},
    {"Div", 7, legacy_broadcast},
    {"Pow", 7, legacy_broadcast},
    {"And", 7, legacy_broadcast},
    {"Or", 7, legacy_broadcast},
    {"Xor", 7, legacy_broadcast},
    {"Equal", 7, legacy_broadcast},
    {"Less", 7, legacy_broadcast},
    {"Greater", 7, legacy_broadcast},
    {"PRelu", 7, prelu_slope},
    {"BatchNormalization", 14, batch_norm_outputs},
    {"Affine", INT32_MAX, affine},
    {"Cast", 6, cast_word},
    {"Clip", 11, clip_bounds},
    {"Concat", 4, concat_axis},
    {"Crop", INT32_MAX, crop},
    {"DFT", 20, dft_axis},
    {"Dropout", 10, mask_of_numbers},
    {"Dropout", 12, drop_training},
    {"GRU", 7, drop_words},
    {"Gemm", 7, drop_words},
    {"GlobalLpPool", 2, lp_order},
    {"GroupNormalization", 21, group_norm_channels},
    {"Hardmax", 13, softmax_matrix},
    {"ImageScaler", INT32_MAX, image_scaler},
    {"LSTM", 7, drop_words},
    {"LogSoftmax", 13, softmax_matrix},
    {"LpPool", 2, lp_order},
    {"Pad", 11, pad_inputs},
    {"ParametricSoftplus", INT32_MAX, scaled_function},
    {"RNN", 7, drop_words},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceSum", 13, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"Reshape", 5, shape_to_input},
    {"Resize", 11, resize_inputs},
    {"Resize", INT32_MAX, resize_empty_inputs},
    {"RoiAlign", 16, roi_align_mode},
    {"Scale", INT32_MAX, plain_scale},
    {"ScaledTanh", INT32_MAX, scaled_function},
    {"Scan", 9, scan_batches},
    {"Scatter", INT32_MAX, scatter_name},
    {"Slice", 10, slice_inputs},
    {"Softmax", 13, softmax_matrix},
    {"Split", 13, split_to_input},
    {"Split", 18, split_count},
    {"Squeeze", 13, axes_to_input},
    {"Tile", 6, tile_axis},
    {"TopK", 10, topk_input},
    {"Unsqueeze", 13, axes_to_input},
    {"Upsample", 7, upsample_sides},
    {"Upsample", INT32_MAX, upsample_to_resize},
};

adze_status adze_onnx_adapt_node(adze_node *node, int64_t opset, adze_node **last, adze_error *err)
{
    if (*node->domain || node->input_count < 1 || node->output_count < 1)
        return ADZE_OK; /* without input or output: refused by inference */
    if (opset < 6)
        ADZE_TRY(drop_consumed(node, last, err));
    const char *op = node->op_type;
    for (size_t i = 0; i < ADZE_COUNT_OF(rules); i++)
        if (strcmp(rules[i].op, op) == 0 && opset < rules[i].until)
            ADZE_TRY(rules[i].apply(node, last, err));
    return ADZE_OK;
}
