/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: where numbers become integers and back. One
 * scale for all, one along an axis, or one for each block along an axis. */
#include <math.h>
#include <string.h>

#include "ops/execute.h"
#include "ops/helpers.h"
#include "tensor/dtype.h"

/* Which scale an element has: its index is ((i / inner / per_block) % count ...), laid out as the scales'
 * own tensor. */
typedef struct scale_map {
    int64_t total;  /* elements of x */
    int64_t inner;  /* elements behind the axis */
    int64_t axis;   /* size of the axis */
    int64_t block;  /* elements along the axis with one scale */
    int64_t blocks; /* scales along the axis; 0: one scale for all */
} scale_map;

static adze_status map_scales(scale_map *m, const adze_node *node, const adze_tensor *x,
                              const adze_tensor *scale, adze_error *err)
{
    int64_t n = adze_tensor_elements(scale), axis = adze_node_int(node, "axis", 1);
    *m = (scale_map){.total = adze_tensor_elements(x), .inner = 1, .axis = 1, .block = 1};
    if (m->total == 0)
        return ADZE_OK;
    if (n < 1)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': no scales", adze_node_op(node),
                         adze_node_name(node));
    if (n == 1 && scale->rank <= 1 && x->rank != 1)
        return ADZE_OK;
    if (n == 1 && scale->rank == 0)
        return ADZE_OK;
    axis = axis < 0 ? axis + x->rank : axis;
    if (x->rank == 1)
        axis = 0;
    if (axis < 0 || axis >= x->rank)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': axis %lld of a tensor of rank %d",
                         adze_node_op(node), adze_node_name(node), (long long)axis, x->rank);
    m->axis = x->dims[axis];
    for (int i = (int)axis + 1; i < x->rank; i++)
        m->inner *= x->dims[i];
    m->blocks = scale->rank == x->rank && x->rank > 1 ? scale->dims[axis] : n;
    int64_t block = ADZE_MIN(adze_node_int(node, "block_size", 0), ADZE_MAX(m->axis, 1));
    m->block = block > 0 ? block : m->blocks > 0 ? (m->axis + m->blocks - 1) / m->blocks : 1;
    int64_t span = m->axis * m->inner, outer = span > 0 ? m->total / span : 0;
    bool per_axis = scale->rank <= 1 && n == m->axis;
    bool blocked = scale->rank == x->rank && n == outer * m->blocks * m->inner &&
                   m->block * m->blocks >= m->axis;
    if (!per_axis && !blocked && n != 1)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %lld scales for an axis of %lld",
                         adze_node_op(node), adze_node_name(node), (long long)n,
                         (long long)m->axis);
    if (n == 1)
        m->blocks = 0;
    if (per_axis && !(blocked && block > 0))
        m->block = 0; /* one scale each, shared by all outer indices */
    return ADZE_OK;
}

static int64_t scale_index(const scale_map *m, int64_t i)
{
    if (m->blocks == 0)
        return 0;
    int64_t along = i / m->inner % m->axis;
    if (m->block == 0)
        return along;
    int64_t outer = i / m->inner / m->axis;
    return (outer * m->blocks + along / m->block) * m->inner + i % m->inner;
}

/* ---- rows of one scale: the fast path ---- */

typedef struct quantize_job {
    const adze_run *run;
    const adze_tensor *x, *scale, *zero;
    adze_tensor *y;
    const scale_map *map;
    int64_t run_length; /* elements in a row that share a scale */
} quantize_job;

#define ROW_MAX 65536

static float scale_at(const quantize_job *j, int64_t s)
{
    return j->scale->dtype == ADZE_F32 ? ((const float *)j->scale->data)[s]
                                       : (float)adze_tensor_get_f64(j->scale, s);
}

static int32_t zero_at(const quantize_job *j, int64_t s)
{
    return j->zero ? (int32_t)adze_tensor_get_i64(j->zero, s) : 0;
}

static void quantize_piece(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const quantize_job *j = user;
    const adze_eltwise_table *t = &j->run->kernels->eltwise;
    int64_t chunks = (j->run_length + ROW_MAX - 1) / ROW_MAX;
    int64_t at = piece / chunks * j->run_length + piece % chunks * ROW_MAX;
    int64_t n = ADZE_MIN(ROW_MAX, j->run_length - piece % chunks * ROW_MAX);
    int64_t s = scale_index(j->map, at);
    const float *x = (const float *)j->x->data + at;
    switch (j->y->dtype) {
    case ADZE_U8:
        t->quantize_u8(n, x, scale_at(j, s), zero_at(j, s), (uint8_t *)j->y->data + at);
        break;
    case ADZE_I8:
        t->quantize_i8(n, x, scale_at(j, s), zero_at(j, s), (int8_t *)j->y->data + at);
        break;
    case ADZE_U16:
        t->quantize_u16(n, x, scale_at(j, s), zero_at(j, s), (uint16_t *)j->y->data + at);
        break;
    default:
        t->quantize_i16(n, x, scale_at(j, s), zero_at(j, s), (int16_t *)j->y->data + at);
        break;
    }
}

static void dequantize_piece(void *user, int64_t piece, int worker)
{
    ADZE_UNUSED(worker);
    const quantize_job *j = user;
    const adze_eltwise_table *t = &j->run->kernels->eltwise;
    int64_t chunks = (j->run_length + ROW_MAX - 1) / ROW_MAX;
    int64_t at = piece / chunks * j->run_length + piece % chunks * ROW_MAX;
    int64_t n = ADZE_MIN(ROW_MAX, j->run_length - piece % chunks * ROW_MAX);
    int64_t s = scale_index(j->map, at);
    float *y = (float *)j->y->data + at;
    switch (j->x->dtype) {
    case ADZE_U8:
        t->dequantize_u8(n, (const uint8_t *)j->x->data + at, scale_at(j, s), zero_at(j, s), y);
        break;
    case ADZE_I8:
        t->dequantize_i8(n, (const int8_t *)j->x->data + at, scale_at(j, s), zero_at(j, s), y);
        break;
    case ADZE_U16:
        t->dequantize_u16(n, (const uint16_t *)j->x->data + at, scale_at(j, s), zero_at(j, s), y);
        break;
    case ADZE_I16:
        t->dequantize_i16(n, (const int16_t *)j->x->data + at, scale_at(j, s), zero_at(j, s), y);
        break;
    default:
        t->dequantize_i32(n, (const int32_t *)j->x->data + at, scale_at(j, s), zero_at(j, s), y);
        break;
    }
}

static bool has_rows(const scale_map *m)
{
    return m->blocks == 0 || m->block == 0;
}

static void run_rows(adze_run *run, quantize_job *j, void (*fn)(void *, int64_t, int))
{
    const scale_map *m = j->map;
    j->run_length = m->blocks == 0 ? m->total : m->inner;
    if (m->total == 0)
        return;
    int64_t chunks = (j->run_length + ROW_MAX - 1) / ROW_MAX;
    adze_run_parallel(run, m->total / j->run_length * chunks, fn, j);
}

/* ---- any types ---- */

static bool is_narrow_float(adze_dtype dtype)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    return info->kind == ADZE_KIND_FLOAT && info->bits <= 8;
}

static void set_narrow(adze_tensor *y, int64_t i, float v, bool saturate)
{
    uint8_t code = adze_f32_to_narrow(y->dtype, v, saturate);
    if (adze_dtype_describe(y->dtype)->bits == 8)
        ((uint8_t *)y->data)[i] = code;
    else
        adze_packed_set(y->dtype, y->data, i, code);
}

static void quantize_plain(const quantize_job *j)
{
    bool saturate = adze_node_int(j->run->node, "saturate", 1) != 0;
    for (int64_t i = 0; i < j->map->total; i++) {
        int64_t s = scale_index(j->map, i);
        float v = (float)adze_tensor_get_f64(j->x, i) / scale_at(j, s);
        if (is_narrow_float(j->y->dtype)) {
            set_narrow(j->y, i, v + (j->zero ? (float)adze_tensor_get_f64(j->zero, s) : 0),
                       saturate);
        } else {
            double q = rint((double)v) + (double)zero_at(j, s);
            adze_tensor_set_f64(j->y, i, q);
        }
    }
}

static void dequantize_plain(const quantize_job *j)
{
    for (int64_t i = 0; i < j->map->total; i++) {
        int64_t s = scale_index(j->map, i);
        double x = adze_tensor_get_f64(j->x, i);
        double zero = j->zero ? adze_tensor_get_f64(j->zero, s) : 0;
        adze_tensor_set_f64(j->y, i, (double)((float)(x - zero) * scale_at(j, s)));
    }
}

/* ---- the operators ---- */

/* Numbers, scales of a float type, a zero point for each scale. */
static adze_status check_operands(const adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    for (int i = 0; i < adze_infer_input_count(infer); i++) {
        const adze_type *t = adze_infer_input(infer, i);
        adze_kind kind = t ? adze_dtype_describe(t->dtype)->kind : ADZE_KIND_FLOAT;
        bool number = kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT;
        if (t && t->dtype != ADZE_UNDEFINED && kind != ADZE_KIND_FLOAT && (i == 1 || !number))
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is of type %s",
                             adze_node_op(node), adze_node_name(node), i,
                             adze_dtype_describe(t->dtype)->name);
    }
    return ADZE_OK;
}

static adze_status check_zero_points(const adze_run *run, const adze_tensor *scale,
                                     const adze_tensor *zero, adze_error *err)
{
    if (!zero || adze_tensor_elements(zero) == adze_tensor_elements(scale))
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %lld zero points for %lld scales",
                     adze_node_op(run->node), adze_node_name(run->node),
                     (long long)adze_tensor_elements(zero), (long long)adze_tensor_elements(scale));
}

static adze_status check_result(const adze_infer *infer, adze_dtype dtype, bool real,
                                adze_error *err)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    bool whole = info->kind == ADZE_KIND_INT || info->kind == ADZE_KIND_UINT;
    if (dtype == ADZE_UNDEFINED || info->kind == ADZE_KIND_FLOAT || (whole && !real))
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': a result of type %s",
                     adze_node_op(adze_infer_node(infer)), adze_node_name(adze_infer_node(infer)),
                     info->name);
}

static const adze_tensor *optional(const adze_run *run, int i)
{
    return i < run->input_count ? run->inputs[i] : NULL;
}

static adze_status quantize_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(check_operands(infer, err));
    const adze_node *node = adze_infer_node(infer);
    adze_type y = *adze_infer_input(infer, 0);
    const adze_type *zero = adze_infer_input(infer, 2);
    adze_dtype wanted = adze_dtype_from_onnx((int)adze_node_int(node, "output_dtype", 0));
    y.dtype = zero ? zero->dtype : wanted != ADZE_UNDEFINED ? wanted : ADZE_U8;
    ADZE_TRY(check_result(infer, y.dtype, false, err));
    y.quant = NULL;
    if (y.rank >= 0)
        adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status quantize_run(adze_run *run, adze_error *err)
{
    scale_map map;
    quantize_job j = {.run = run,
                      .x = run->inputs[0],
                      .scale = run->inputs[1],
                      .zero = optional(run, 2),
                      .y = run->outputs[0],
                      .map = &map};
    ADZE_TRY(map_scales(&map, run->node, j.x, j.scale, err));
    ADZE_TRY(check_zero_points(run, j.scale, j.zero, err));
    adze_dtype d = j.y->dtype;
    bool rows = j.x->dtype == ADZE_F32 && has_rows(&map) &&
                (d == ADZE_U8 || d == ADZE_I8 || d == ADZE_U16 || d == ADZE_I16);
    if (rows)
        run_rows(run, &j, quantize_piece);
    else
        quantize_plain(&j);
    return ADZE_OK;
}

static adze_status dequantize_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(check_operands(infer, err));
    const adze_node *node = adze_infer_node(infer);
    adze_type y = *adze_infer_input(infer, 0);
    const adze_type *zero = adze_infer_input(infer, 2);
    if (zero && zero->dtype != y.dtype && zero->dtype != ADZE_UNDEFINED &&
        y.dtype != ADZE_UNDEFINED)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': zero points of type %s, numbers of type %s",
                         adze_node_op(node), adze_node_name(node),
                         adze_dtype_describe(zero->dtype)->name,
                         adze_dtype_describe(y.dtype)->name);
    adze_dtype wanted = adze_dtype_from_onnx((int)adze_node_int(node, "output_dtype", 0));
    y.dtype = wanted != ADZE_UNDEFINED ? wanted : adze_infer_input(infer, 1)->dtype;
    ADZE_TRY(check_result(infer, y.dtype, true, err));
    y.quant = NULL;
    if (y.rank >= 0)
        adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

static adze_status dequantize_run(adze_run *run, adze_error *err)
{
    scale_map map;
    quantize_job j = {.run = run,
                      .x = run->inputs[0],
                      .scale = run->inputs[1],
                      .zero = optional(run, 2),
                      .y = run->outputs[0],
                      .map = &map};
    ADZE_TRY(map_scales(&map, run->node, j.x, j.scale, err));
    ADZE_TRY(check_zero_points(run, j.scale, j.zero, err));
    adze_dtype d = j.x->dtype;
    bool rows = j.y->dtype == ADZE_F32 && has_rows(&map) &&
                (d == ADZE_U8 || d == ADZE_I8 || d == ADZE_U16 || d == ADZE_I16 || d == ADZE_I32);
    if (rows)
        run_rows(run, &j, dequantize_piece);
    else
        dequantize_plain(&j);
    return ADZE_OK;
}

static adze_status dynamic_infer(adze_infer *infer, adze_error *err)
{
    adze_type y = *adze_infer_input(infer, 0);
    if (y.dtype != ADZE_F32 && y.dtype != ADZE_UNDEFINED)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': an input of type %s, expected float32",
                         adze_node_op(adze_infer_node(infer)),
                         adze_node_name(adze_infer_node(infer)),
                         adze_dtype_describe(y.dtype)->name);
    if (y.rank < 0)
        return ADZE_OK;
    y.dtype = ADZE_U8;
    y.quant = NULL;
    adze_infer_set(infer, 0, &y);
    adze_infer_set_tensor(infer, 1, ADZE_F32, 0, NULL);
    adze_infer_set_tensor(infer, 2, ADZE_U8, 0, NULL);
    return ADZE_OK;
}

static adze_status dynamic_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    int64_t n = adze_tensor_elements(x);
    float lo = 0, hi = 0; /* zero is always inside */
    if (n > 0)
        run->kernels->eltwise.range(n, x->data, &lo, &hi);
    float scale = (hi - lo) / 255.0f;
    float zero = scale > 0 ? rintf(-lo / scale) : 0;
    zero = !(zero > 0) ? 0 : zero > 255 ? 255 : zero; /* a NaN among the inputs: 0 */
    if (scale > 0)
        run->kernels->eltwise.quantize_u8(n, x->data, scale, (int32_t)zero, run->outputs[0]->data);
    else
        memset(run->outputs[0]->data, 0, run->outputs[0]->size);
    *(float *)run->outputs[1]->data = scale;
    *(uint8_t *)run->outputs[2]->data = (uint8_t)zero;
    return ADZE_OK;
}

const adze_op adze_ops_quantize[] = {
    {.name = "QuantizeLinear",
     .domain = "",
     .since = 10,
     .min_inputs = 2,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "axis saturate block_size output_dtype precision",
     .infer = quantize_infer,
     .run = quantize_run},
    {.name = "DequantizeLinear",
     .domain = "",
     .since = 10,
     .min_inputs = 2,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "axis block_size output_dtype",
     .infer = dequantize_infer,
     .run = dequantize_run},
    {.name = "DynamicQuantizeLinear",
     .domain = "",
     .since = 11,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 3,
     .max_outputs = 3,
     .attrs = "",
     .infer = dynamic_infer,
     .run = dynamic_run},
    {0},
};
