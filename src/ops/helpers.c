/* See helpers.h. Inference and attributes first, then loading and storing, then broadcasting. */
#include "ops/helpers.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "tensor/dtype.h"

/* ---- inference ---- */

const adze_type *adze_ops_ranked(const adze_infer *infer, int i)
{
    const adze_type *type = i < adze_infer_input_count(infer) ? adze_infer_input(infer, i) : NULL;
    return type && type->kind == ADZE_VALUE_TENSOR && type->rank >= 0 ? type : NULL;
}

adze_type adze_ops_real(const adze_type *type)
{
    adze_type real = *type;
    if (real.quant) {
        real.dtype = ADZE_F32;
        real.quant = NULL;
    }
    return real;
}

adze_status adze_ops_infer_same(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x) {
        adze_type y = adze_ops_real(x);
        adze_infer_set(infer, 0, &y);
    }
    return ADZE_OK;
}

adze_status adze_ops_infer_move(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x)
        adze_infer_set(infer, 0, x);
    return ADZE_OK;
}

adze_status adze_ops_infer_broadcast(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_type y = adze_ops_real(x);
    for (int i = 1; i < adze_infer_input_count(infer); i++) {
        const adze_type *b = adze_ops_ranked(infer, i);
        if (!b)
            return ADZE_OK;
        adze_type a = y;
        ADZE_TRY(adze_infer_broadcast(infer, &y, &a, b, err));
        y.kind = ADZE_VALUE_TENSOR;
        y.dtype = a.dtype;
        y.quant = NULL;
    }
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

adze_status adze_ops_need_scalar(const adze_infer *infer, int i, adze_error *err)
{
    const adze_type *type = adze_ops_ranked(infer, i);
    bool one = true;
    for (int k = 0; type && k < type->rank; k++)
        one = one && (type->dims[k] == 1 || !adze_dim_known(type->dims[k]));
    return one ? ADZE_OK
               : adze_fail(err, ADZE_BAD_MODEL, "node %s (%s): input %d must be one number",
                           adze_node_name(adze_infer_node(infer)),
                           adze_node_op(adze_infer_node(infer)), i);
}

adze_dim adze_ops_number(int64_t value)
{
    return value >= 0 ? value : INT64_MIN - ADZE_MAX(value, ADZE_OPS_LEAST);
}

bool adze_ops_is_number(adze_dim d, int64_t *value)
{
    if (d < 0 && d > ADZE_OPS_LEAST)
        return false;
    *value = d >= 0 ? d : INT64_MIN - d;
    return true;
}

static bool is_index_type(adze_dtype dtype)
{
    return dtype == ADZE_I64 || dtype == ADZE_I32 || dtype == ADZE_BOOL;
}

int adze_ops_ints(const adze_infer *infer, int i, adze_dim *out, int max)
{
    if (i >= adze_infer_input_count(infer) || !adze_infer_input(infer, i))
        return -1;
    const adze_tensor *content = adze_infer_content(infer, i);
    if (!content)
        return adze_infer_ints(infer, i, out, max);
    int64_t count = adze_tensor_elements(content);
    if (count < 0 || count > max || !is_index_type(content->dtype))
        return -1;
    for (int64_t k = 0; k < count; k++)
        out[k] = adze_ops_number(adze_tensor_get_i64(content, k));
    return (int)count;
}

int adze_ops_numbers(const adze_infer *infer, int i, int64_t *out, int max)
{
    int count = adze_ops_ints(infer, i, out, max);
    for (int k = 0; k < count; k++)
        if (!adze_ops_is_number(out[k], &out[k]))
            return -1;
    return count;
}

void adze_ops_set_ints(adze_infer *infer, int i, const adze_dim *values, int count)
{
    if (count >= 0 && count <= ADZE_OPS_MAX_INTS)
        adze_infer_set_ints(infer, i, values, count);
}

static bool number_op(adze_dim_kind kind, int64_t a, int64_t b, int64_t *out)
{
    int64_t r = 0;
    bool overflow = false;
    switch (kind) {
    case ADZE_DIM_ADD: overflow = __builtin_add_overflow(a, b, &r); break;
    case ADZE_DIM_SUB: overflow = __builtin_sub_overflow(a, b, &r); break;
    case ADZE_DIM_MUL: overflow = __builtin_mul_overflow(a, b, &r); break;
    case ADZE_DIM_DIV: /* integer division of ONNX: towards zero */
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        r = a / b;
        break;
    case ADZE_DIM_MIN: r = ADZE_MIN(a, b); break;
    case ADZE_DIM_MAX: r = ADZE_MAX(a, b); break;
    default: return false;
    }
    *out = adze_ops_number(r);
    return !overflow && r > INT64_MIN / 4 && r < INT64_MAX / 4;
}

bool adze_ops_dim_op(adze_infer *infer, adze_dim_kind kind, adze_dim a, adze_dim b, adze_dim *out)
{
    int64_t x = 0, y = 0;
    bool a_number = adze_ops_is_number(a, &x), b_number = adze_ops_is_number(b, &y);
    if (a_number && b_number)
        return number_op(kind, x, y, out);
    if (kind == ADZE_DIM_ADD && a_number && x < 0)
        return adze_ops_dim_op(infer, kind, b, a, out);
    if (b_number && y < 0 && kind == ADZE_DIM_ADD)
        *out = adze_infer_sub(infer, a, -y);
    else if (b_number && y < 0 && kind == ADZE_DIM_SUB)
        *out = adze_infer_add(infer, a, -y);
    else if ((a_number && x < 0) || (b_number && y < 0))
        return false;
    else if (kind == ADZE_DIM_DIV && b_number && y == 0)
        return false;
    else
        *out = adze_dim_op(infer->dims, kind, a, b);
    return true;
}

/* ---- attributes ---- */

adze_status adze_ops_bad(const adze_node *node, adze_error *err, const char *what)
{
    return adze_fail(err, ADZE_BAD_MODEL, "node %s (%s): %s", adze_node_name(node),
                     adze_node_op(node), what);
}

int adze_ops_choice(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

adze_status adze_ops_unsupported(const adze_node *node, adze_dtype dtype, adze_error *err)
{
    return adze_fail(err, ADZE_UNSUPPORTED, "node %s (%s): no kernel for %s", adze_node_name(node),
                     adze_node_op(node), adze_dtype_describe(dtype)->name);
}

adze_status adze_ops_axis(int *out, const adze_node *node, int64_t axis, int rank, adze_error *err)
{
    if (axis < -rank || axis >= rank)
        return adze_fail(err, ADZE_BAD_MODEL, "node %s (%s): axis %lld outside rank %d",
                         adze_node_name(node), adze_node_op(node), (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return ADZE_OK;
}

adze_status adze_ops_axes(int *out, const adze_node *node, const int64_t *axes, int count, int rank,
                          adze_error *err)
{
    unsigned seen = 0;
    for (int i = 0; i < count; i++) {
        int axis = 0;
        ADZE_TRY(adze_ops_axis(&axis, node, axes[i], rank, err));
        if (seen >> axis & 1)
            return adze_ops_bad(node, err, "an axis is named twice");
        seen |= 1u << axis;
        out[i] = axis;
    }
    return ADZE_OK;
}

/* ---- execution ---- */

const adze_tensor *adze_ops_input(const adze_run *run, int i)
{
    return i < run->input_count ? run->inputs[i] : NULL;
}

adze_tensor *adze_ops_output(const adze_run *run, int i)
{
    return i < run->output_count ? run->outputs[i] : NULL;
}

const adze_tensor *adze_ops_prepare_input(const adze_prepare *prepare, int i)
{
    return i < adze_node_input_count(adze_prepare_node(prepare)) ? adze_prepare_input(prepare, i)
                                                                 : NULL;
}

int adze_ops_tensor_ints(const adze_tensor *tensor, int64_t *out, int max)
{
    if (!tensor)
        return 0;
    int64_t count = adze_tensor_elements(tensor);
    if (count > max)
        return -1;
    for (int64_t i = 0; i < count; i++)
        out[i] = adze_tensor_get_i64(tensor, i);
    return (int)count;
}

size_t adze_ops_element(adze_dtype dtype)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    return info->block_size == 1 && info->kind != ADZE_KIND_BLOCK ? (size_t)info->block_bytes : 0;
}

bool adze_ops_is_float(adze_dtype dtype)
{
    return dtype == ADZE_F32 || dtype == ADZE_F64 || dtype == ADZE_F16 || dtype == ADZE_BF16;
}

bool adze_ops_is_q8(const adze_tensor *tensor)
{
    return tensor && tensor->quant && tensor->quant->axis < 0 && tensor->quant->block == 0 &&
           (tensor->dtype == ADZE_U8 || tensor->dtype == ADZE_I8);
}

bool adze_ops_falls_between(float scale, float step)
{
    enum { NEAR = 1 << 16 }; /* of 2^32 parts of a step: what float32 may be wrong by */
    const double ratio = (double)scale / (double)step;
    if (!(ratio >= 0 && ratio < 0x1p20))
        return false;
    const uint32_t part = (uint32_t)(int64_t)((ratio - floor(ratio)) * 0x1p32);
    uint32_t at = 0x80000000u + NEAR / 2; /* 0 to NEAR: about half a step */
    bool found = false;
    for (int k = 1; k < 256; k++) {
        at += part;
        found |= at < NEAR;
    }
    return found;
}

int32_t adze_ops_zero_point(const adze_tensor *tensor)
{
    return tensor->quant->zero_point ? tensor->quant->zero_point[0] : 0;
}

adze_status adze_ops_prepare_move(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_ops_prepare_input(prepare, 0);
    if (x && adze_ops_element(x->dtype) == 0)
        return adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
    return ADZE_OK;
}

static bool is_packed(const adze_tensor *x)
{
    return adze_ops_element(x->dtype) == 0 &&
           adze_dtype_describe(x->dtype)->kind != ADZE_KIND_BLOCK;
}

adze_status adze_ops_prepare_move_packed(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_ops_prepare_input(prepare, 0);
    return x && is_packed(x) && !x->quant ? ADZE_OK : adze_ops_prepare_move(prepare, err);
}

static size_t whole_bytes(const adze_tensor *x)
{
    return ((size_t)ADZE_MAX(adze_tensor_elements(x), 0) + 63) / 64 * 64;
}

size_t adze_ops_packed_scratch(const adze_run *run, size_t own)
{
    const adze_tensor *x = run->inputs[0], *y = run->outputs[0];
    return is_packed(x) ? (own + 63) / 64 * 64 + whole_bytes(x) + whole_bytes(y) : own;
}

adze_status adze_ops_move_packed(adze_run *run, size_t own,
                                 adze_status (*move)(adze_run *run, adze_error *err),
                                 adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *inputs[4] = {NULL};
    adze_tensor *y = run->outputs[0];
    if (!is_packed(x))
        return move(run, err);
    uint8_t *from = (uint8_t *)run->scratch + (own + 63) / 64 * 64, *to = from + whole_bytes(x);
    adze_tensor wide_x = adze_tensor_view(ADZE_U8, x->rank, x->dims, from);
    adze_tensor wide_y = adze_tensor_view(ADZE_U8, y->rank, y->dims, to), *outputs[1] = {&wide_y};
    memcpy(inputs, run->inputs, (size_t)ADZE_MIN(run->input_count, 4) * sizeof *inputs);
    inputs[0] = &wide_x;
    for (int64_t i = adze_tensor_elements(x) - 1; i >= 0; i--)
        from[i] = (uint8_t)adze_packed_get(x->dtype, x->data, i);
    adze_run wide = *run;
    wide.inputs = inputs;
    wide.outputs = outputs;
    ADZE_TRY(move(&wide, err));
    if (y->size) /* the bits behind the last element too */
        memset((char *)y->data + y->size - 1, 0, 1);
    for (int64_t i = adze_tensor_elements(y) - 1; i >= 0; i--)
        adze_packed_set(y->dtype, y->data, i, to[i]);
    return ADZE_OK;
}

adze_status adze_ops_prepare_float(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    if (x->quant || !adze_ops_is_float(x->dtype))
        return adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
    return ADZE_OK;
}

void adze_ops_cost_move(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    ADZE_UNUSED(outputs);
    cost->operations = 0;
}

typedef struct range_job {
    int64_t total, grain;
    adze_ops_range_fn fn;
    void *user;
} range_job;

static void run_range(void *user, int64_t piece, int worker)
{
    const range_job *job = user;
    int64_t begin = piece * job->grain;
    job->fn(job->user, begin, ADZE_MIN(begin + job->grain, job->total), worker);
}

void adze_ops_parallel(adze_run *run, int64_t total, int64_t grain, adze_ops_range_fn fn,
                       void *user)
{
    if (total <= grain) {
        if (total > 0)
            fn(user, 0, total, 0);
        return;
    }
    range_job job = {total, grain, fn, user};
    adze_run_parallel(run, (total + grain - 1) / grain, run_range, &job);
}

bool adze_ops_can_load(const adze_tensor *tensor)
{
    return tensor->quant ? adze_ops_is_q8(tensor) : adze_ops_is_float(tensor->dtype);
}

void adze_ops_load(const adze_kernels *kernels, const adze_tensor *from, int64_t first, int step,
                   int64_t n, float *to)
{
    const adze_eltwise_table *k = &kernels->eltwise;
    int64_t count = step ? n : 1;
    const uint8_t *bytes =
        (const uint8_t *)from->data + (size_t)first * adze_ops_element(from->dtype);
    if (adze_ops_is_q8(from) && from->dtype == ADZE_U8)
        k->dequantize_u8(count, bytes, from->quant->scale[0], adze_ops_zero_point(from), to);
    else if (adze_ops_is_q8(from))
        k->dequantize_i8(count, (const int8_t *)bytes, from->quant->scale[0],
                         adze_ops_zero_point(from), to);
    else if (from->dtype == ADZE_F32)
        memcpy(to, bytes, (size_t)count * sizeof(float));
    else if (from->dtype == ADZE_F16)
        k->f16_to_f32(count, (const uint16_t *)(const void *)bytes, to);
    else if (from->dtype == ADZE_BF16)
        k->bf16_to_f32(count, (const uint16_t *)(const void *)bytes, to);
    else
        adze_row_to_f32(from->dtype, from->data, first, count, to);
    for (int64_t i = 1; i < n && !step; i++)
        to[i] = to[0];
}

void adze_ops_store(const adze_kernels *kernels, const float *from, int64_t n, adze_tensor *to,
                    int64_t first)
{
    const adze_eltwise_table *k = &kernels->eltwise;
    uint8_t *bytes = (uint8_t *)to->data + (size_t)first * adze_ops_element(to->dtype);
    if (adze_ops_is_q8(to) && to->dtype == ADZE_U8)
        k->quantize_u8(n, from, to->quant->scale[0], adze_ops_zero_point(to), bytes);
    else if (adze_ops_is_q8(to))
        k->quantize_i8(n, from, to->quant->scale[0], adze_ops_zero_point(to), (int8_t *)bytes);
    else if (to->dtype == ADZE_F32)
        memcpy(bytes, from, (size_t)n * sizeof(float));
    else if (to->dtype == ADZE_F16)
        k->f32_to_f16(n, from, (uint16_t *)(void *)bytes);
    else if (to->dtype == ADZE_BF16)
        k->f32_to_bf16(n, from, (uint16_t *)(void *)bytes);
    else
        adze_row_from_f32(to->dtype, from, n, to->data, first);
}

/* ---- broadcasting ---- */

void adze_ops_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

static void operand_strides(int64_t *strides, const adze_tensor *x, int rank)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int axis = i - (rank - x->rank);
        int64_t dim = axis >= 0 ? x->dims[axis] : 1;
        strides[i] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

static bool broadcasts_to(const adze_tensor *x, const adze_tensor *y)
{
    for (int i = 0; i < x->rank && x->rank <= y->rank; i++)
        if (x->dims[i] != 1 && x->dims[i] != y->dims[y->rank - x->rank + i])
            return false;
    return x->rank <= y->rank;
}

adze_status adze_ops_broadcast(adze_broadcast *out, const adze_run *run, const adze_tensor *y,
                               int operands, const adze_tensor *const *inputs, adze_error *err)
{
    for (int k = 0; k < operands; k++)
        if (!broadcasts_to(inputs[k], y)) {
            char from[100], to[100];
            return adze_fail(err, ADZE_BAD_DATA, "node %s (%s): %s does not broadcast to %s",
                             adze_node_name(run->node), adze_node_op(run->node),
                             adze_tensor_format(inputs[k], from, sizeof from),
                             adze_tensor_format(y, to, sizeof to));
        }
    int64_t strides[3][ADZE_MAX_RANK];
    for (int k = 0; k < operands; k++)
        operand_strides(strides[k], inputs[k], y->rank);
    out->rank = 0;
    out->operands = operands;
    out->total = adze_tensor_elements(y);
    for (int i = 0; i < y->rank; i++) {
        if (y->dims[i] == 1)
            continue;
        bool join = out->rank > 0;
        for (int k = 0; k < operands && join; k++)
            join = out->stride[k][out->rank - 1] == strides[k][i] * y->dims[i];
        int at = join ? out->rank - 1 : out->rank++;
        out->dims[at] = join ? out->dims[at] * y->dims[i] : y->dims[i];
        for (int k = 0; k < operands; k++)
            out->stride[k][at] = strides[k][i];
    }
    if (out->rank == 0) {
        out->rank = 1;
        out->dims[0] = 1;
        for (int k = 0; k < operands; k++)
            out->stride[k][0] = 1;
    }
    return ADZE_OK;
}

int adze_ops_step(const adze_broadcast *b, int operand)
{
    return b->stride[operand][b->rank - 1] ? 1 : 0;
}

void adze_ops_broadcast_range(const adze_broadcast *b, int64_t begin, int64_t end,
                              adze_broadcast_fn fn, void *user)
{
    if (begin >= end)
        return;
    assert(b->rank >= 1 && b->operands <= 3);
    int last = b->rank - 1;
    int64_t width = b->dims[last], column = begin % width, rest = begin / width;
    int64_t index[ADZE_MAX_RANK], from[3] = {0, 0, 0};
    for (int i = last - 1; i >= 0; i--) {
        index[i] = rest % b->dims[i];
        rest /= b->dims[i];
        for (int k = 0; k < b->operands; k++)
            from[k] += index[i] * b->stride[k][i];
    }
    while (begin < end) {
        int64_t n = ADZE_MIN(width - column, end - begin), at[3] = {0, 0, 0};
        for (int k = 0; k < b->operands; k++)
            at[k] = from[k] + column * b->stride[k][last];
        fn(user, n, at, begin);
        begin += n;
        column = 0;
        for (int i = last - 1; i >= 0; i--) {
            bool wrap = ++index[i] == b->dims[i];
            for (int k = 0; k < b->operands; k++)
                from[k] += b->stride[k][i] * (wrap ? 1 - b->dims[i] : 1);
            if (!wrap)
                break;
            index[i] = 0;
        }
    }
}
