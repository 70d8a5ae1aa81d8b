/* Pad, CenterCropPad, Trilu: the input's elements at an offset, the rest filled by a rule. Pads
 * become tables of coordinates for mapped.c. */
#include <math.h>
#include <string.h>
#include "ops/helpers.h"
#include "tensor/dtype.h"

/* ---- inference ---- */

/* Axes of the optional input 3: all when absent. -1: not known. */
static int pad_axes(const adze_infer *infer, int rank, int *axes, adze_error *err,
                    adze_status *status)
{
    int64_t given[ADZE_MAX_RANK];
    *status = ADZE_OK;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (adze_infer_input_count(infer) < 4 || !adze_infer_input(infer, 3))
        return rank;
    int n = adze_ops_numbers(infer, 3, given, rank);
    if (n >= 0)
        *status = adze_ops_axes(axes, adze_infer_node(infer), given, n, rank, err);
    return n;
}

static adze_status pad_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    ADZE_TRY(adze_ops_need_scalar(infer, 2, err));
    int axes[ADZE_MAX_RANK];
    adze_dim pads[2 * ADZE_MAX_RANK];
    adze_status status;
    int n = pad_axes(infer, x->rank, axes, err, &status);
    ADZE_TRY(status);
    int count = adze_ops_ints(infer, 1, pads, 2 * ADZE_MAX_RANK);
    adze_type y = *x;
    if (n >= 0 && count >= 0 && count != 2 * n)
        return adze_ops_bad(adze_infer_node(infer), err, "two pads for each axis");
    for (int i = 0; i < (n < 0 || count < 0 ? x->rank : n); i++) {
        int axis = n < 0 || count < 0 ? i : axes[i];
        adze_dim sum = 0;
        bool ok = n >= 0 && count >= 0 &&
                  adze_ops_dim_op(infer, ADZE_DIM_ADD, pads[i], pads[i + n], &sum) &&
                  adze_ops_dim_op(infer, ADZE_DIM_ADD, x->dims[axis], sum, &y.dims[axis]);
        if (ok && y.dims[axis] < INT64_MIN / 2)
            return adze_ops_bad(adze_infer_node(infer), err, "more is cut off than there is");
        if (!ok)
            y.dims[axis] = adze_infer_unknown(infer, INT64_MAX);
    }
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

/* ---- the tables ---- */

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

static int mode_of(const adze_node *node)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap", NULL};
    return adze_ops_choice(names, adze_node_string(node, "mode", "constant"));
}

static int64_t source_of(pad_mode mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (mode == PAD_CONSTANT || n == 0)
        return -1;
    if (mode == PAD_EDGE || n == 1)
        return i < 0 ? 0 : n - 1;
    int64_t period = mode == PAD_WRAP ? n : 2 * (n - 1), r = i % period;
    r += r < 0 ? period : 0;
    return r < n ? r : period - r;
}

static size_t table_bytes(const adze_run *run)
{
    const adze_tensor *y = run->outputs[0];
    size_t n = 0;
    for (int i = 0; i < y->rank; i++)
        n += (size_t)ADZE_MAX(y->dims[i], 0);
    return n * sizeof(int64_t);
}

static size_t pad_scratch(const adze_run *run)
{
    return adze_ops_packed_scratch(run, table_bytes(run));
}

/* Fills y with x shifted by before[axis]. */
static void run_pad(adze_run *run, adze_ops_map *map, pad_mode mode, const int64_t *before)
{
    const adze_tensor *x = map->x;
    int64_t *table = run->scratch;
    map->size = adze_ops_element(x->dtype);
    for (int a = 0; a < x->rank; a++) {
        map->source[a] = table;
        for (int64_t i = 0; i < map->y->dims[a]; i++)
            *table++ = source_of(mode, i - before[a], x->dims[a]);
    }
    adze_ops_map_copy(run, map);
}

/* The constant in the output's type: real 0 of a quantized tensor is its zero point. */
static void set_fill(const adze_kernels *kernels, adze_ops_map *map, const adze_tensor *value)
{
    adze_tensor fill = adze_tensor_view(map->x->dtype, 0, NULL, map->fill);
    fill.quant = map->x->quant;
    if (map->x->dtype == ADZE_STRING) {
        *(adze_string *)(void *)map->fill = (adze_string){"", 0};
        if (value)
            memcpy(map->fill, value->data, sizeof(adze_string));
    } else if (adze_ops_is_q8(map->x) && (!value || adze_ops_can_load(value))) {
        float real = 0;
        if (value)
            adze_ops_load(kernels, value, 0, 1, 1, &real);
        adze_ops_store(kernels, &real, 1, &fill, 0);
    } else if (value && !adze_ops_element(value->dtype)) {
        *(uint8_t *)map->fill = (uint8_t)adze_packed_get(value->dtype, value->data, 0);
    } else if (value) {
        memcpy(map->fill, value->data, adze_ops_element(value->dtype));
    }
}

static adze_status pad_bytes(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *value = adze_ops_input(run, 2);
    int axes[ADZE_MAX_RANK];
    int64_t given[ADZE_MAX_RANK], pads[2 * ADZE_MAX_RANK], before[ADZE_MAX_RANK] = {0};
    int n = x->rank;
    for (int i = 0; i < n; i++)
        given[i] = i;
    if (adze_ops_input(run, 3))
        n = adze_ops_tensor_ints(run->inputs[3], given, x->rank);
    if (n < 0 || adze_ops_tensor_ints(run->inputs[1], pads, 2 * ADZE_MAX_RANK) != 2 * n)
        return adze_ops_bad(run->node, err, "two pads for each axis");
    ADZE_TRY(adze_ops_axes(axes, run->node, given, n, x->rank, err));
    for (int i = 0; i < n; i++)
        before[axes[i]] = pads[i];
    adze_ops_map map = {.x = x, .y = run->outputs[0]};
    set_fill(run->kernels, &map, value && value->data ? value : NULL);
    run_pad(run, &map, (pad_mode)mode_of(run->node), before);
    return ADZE_OK;
}

static adze_status pad_run(adze_run *run, adze_error *err)
{
    return adze_ops_move_packed(run, table_bytes(run), pad_bytes, err);
}

/* ---- CenterCropPad ---- */

static adze_status center_axes(int *axes, int *count, const adze_node *node, int rank,
                               adze_error *err)
{
    const int64_t *given = adze_node_ints(node, "axes", count);
    if (given)
        return *count > rank ? adze_ops_bad(node, err, "more axes than the rank")
                             : adze_ops_axes(axes, node, given, *count, rank, err);
    *count = rank;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    return ADZE_OK;
}

static adze_status center_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    if (!x)
        return ADZE_OK;
    int axes[ADZE_MAX_RANK] = {0}, n;
    adze_dim shape[ADZE_MAX_RANK];
    ADZE_TRY(center_axes(axes, &n, node, x->rank, err));
    int known = adze_ops_ints(infer, 1, shape, ADZE_MAX_RANK);
    if (known >= 0 && known != n)
        return adze_ops_bad(node, err, "one size for each axis");
    adze_type y = *x;
    for (int i = 0; i < n; i++)
        y.dims[axes[i]] = known < 0 ? adze_infer_unknown(infer, INT64_MAX) : shape[i];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status center_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    adze_ops_map map = {.x = x, .y = run->outputs[0]};
    int64_t before[ADZE_MAX_RANK] = {0};
    for (int i = 0; i < x->rank; i++) { /* cut or add half on each side, the odd one at the end */
        int64_t more = map.y->dims[i] - x->dims[i];
        before[i] = more >= 0 ? more / 2 : -(-more / 2);
    }
    set_fill(run->kernels, &map, NULL);
    run_pad(run, &map, PAD_CONSTANT, before);
    return ADZE_OK;
}

/* ---- Trilu ---- */

static adze_status trilu_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_ops_need_scalar(infer, 1, err));
    return adze_ops_infer_same(infer, err);
}

static adze_status trilu_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *k_tensor = adze_ops_input(run, 1);
    adze_tensor *y = run->outputs[0];
    if (x->rank < 2)
        return adze_ops_bad(run->node, err, "the input must have two axes or more");
    int64_t k = k_tensor && k_tensor->data ? adze_tensor_get_i64(k_tensor, 0) : 0;
    bool upper = adze_node_int(run->node, "upper", 1) != 0;
    int64_t h = x->dims[x->rank - 2], w = x->dims[x->rank - 1];
    k = ADZE_MAX(-h, ADZE_MIN(k, w));
    int64_t size = (int64_t)adze_ops_element(x->dtype), rows = w ? adze_tensor_elements(x) / w : 0;
    adze_ops_copy_bytes(run, y->data, x->data, y->size);
    for (int64_t r = 0; r < rows && !adze_ops_is_late(run, r);
         r++) { /* upper keeps columns >= r + k, lower those <= r + k */
        int64_t edge = r % h + (upper ? k : k + 1);
        edge = ADZE_MAX(0, ADZE_MIN(edge, w));
        int64_t from = upper ? 0 : edge, to = upper ? edge : w;
        memset((char *)y->data + (r * w + from) * size, 0, (size_t)((to - from) * size));
    }
    return ADZE_OK;
}

static adze_status pad_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    if (mode_of(node) < 0)
        return adze_fail(err, ADZE_UNSUPPORTED, "node %s (Pad): mode '%s'", adze_node_name(node),
                         adze_node_string(node, "mode", ""));
    return adze_ops_prepare_move_packed(prepare, err);
}

#define ROW(text, version, in_min, in_max)                                                         \
    .domain = "", .name = text, .since = version, .min_inputs = in_min, .max_inputs = in_max,      \
    .min_outputs = 1, .max_outputs = 1, .cost = adze_ops_cost_move

const adze_op adze_ops_pad[] = {
    {ROW("Pad", 11, 2, 4), .quant = ADZE_QUANT_MOVE, .attrs = "mode", .infer = pad_infer,
     .prepare = pad_prepare, .scratch = pad_scratch, .run = pad_run},
    {ROW("CenterCropPad", 18, 2, 2), .quant = ADZE_QUANT_MOVE, .attrs = "axes",
     .infer = center_infer, .prepare = adze_ops_prepare_move, .scratch = table_bytes,
     .run = center_run},
    {ROW("Trilu", 14, 1, 2), .attrs = "upper", .infer = trilu_infer,
     .prepare = adze_ops_prepare_move, .run = trilu_run},
    {.name = NULL},
};
