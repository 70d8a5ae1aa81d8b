/* Cast and its kin. Floats to integers cut the fraction off, as C does; out of range wraps for
 * integers and types of 2 and 4 bits, saturates otherwise. To float8 and smaller by
 * tensor/dtype.h. Strings are parsed and printed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops/helpers.h"
#include "tensor/dtype.h"

#define GRAIN 16384
#define CHUNK 512

static adze_dtype target_of(const adze_infer *infer)
{
    const adze_node *node = adze_infer_node(infer);
    const char *op = adze_node_op(node);
    if (strcmp(op, "CastLike") == 0) {
        const adze_type *like = adze_infer_input(infer, 1);
        return like ? like->dtype : ADZE_UNDEFINED;
    }
    return adze_dtype_from_onnx((int)adze_node_int(node, "to", 0));
}

static adze_status cast_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_infer_input(infer, 0);
    adze_dtype to = target_of(infer);
    if (to == ADZE_UNDEFINED && adze_infer_input_count(infer) > 1)
        return ADZE_OK; /* CastLike: the other type is not known yet */
    if (to == ADZE_UNDEFINED)
        return adze_ops_bad(adze_infer_node(infer), err, "the type to cast to is not known");
    adze_type y = {.kind = ADZE_VALUE_TENSOR, .dtype = to, .rank = x->rank};
    memcpy(y.dims, x->dims, sizeof y.dims);
    adze_infer_set(infer, 0, &y);
    adze_dim known[ADZE_OPS_MAX_INTS];
    int n =
        to == ADZE_I64 || to == ADZE_I32 ? adze_ops_ints(infer, 0, known, ADZE_OPS_MAX_INTS) : -1;
    if (n >= 0 && x->rank <= 1)
        adze_ops_set_ints(infer, 0, known, n);
    return ADZE_OK;
}

/* ---- numbers and strings ---- */

enum { LONGEST_NUMBER = 400 };

/* The whole text is one number; text: room for it and a NUL. */
static adze_status parse_string(const adze_node *node, const adze_string *s, char *text,
                                double *out, adze_error *err)
{
    size_t n = ADZE_MIN(s->length, (size_t)LONGEST_NUMBER);
    memcpy(text, n ? s->data : "", n);
    text[n] = '\0';
    char *end = text;
    *out = strtod(text, &end);
    while (*end == ' ')
        end++;
    if (end == text || end != text + n || n < s->length)
        return adze_fail(err, ADZE_BAD_DATA, "node %s (Cast): '%.60s' is not a number",
                         adze_node_name(node), text);
    return ADZE_OK;
}

static adze_status from_strings(const adze_run *run, const adze_tensor *x, adze_tensor *y,
                                adze_error *err)
{
    const adze_string *s = x->data;
    adze_kind kind = adze_dtype_describe(y->dtype)->kind;
    char text[LONGEST_NUMBER + 1];
    for (int64_t i = 0; i < adze_tensor_elements(x); i++) {
        double v;
        ADZE_TRY(parse_string(run->node, &s[i], text, &v, err));
        bool wide = fabs(v) > 9007199254740992.0; /* more than a double counts in ones */
        if (y->dtype == ADZE_I64 && wide)
            adze_tensor_set_i64(y, i, strtoll(text, NULL, 10));
        else if (y->dtype == ADZE_U64 && wide && v > 0)
            ((uint64_t *)y->data)[i] = strtoull(text, NULL, 10);
        else
            adze_tensor_set_f64(y, i, kind == ADZE_KIND_FLOAT ? v : trunc(v));
    }
    return ADZE_OK;
}

/* The shortest text that gives the float back, as Python prints it. */
static int print_float(char *text, size_t size, double v, int digits_max, bool single)
{
    if (isnan(v))
        return snprintf(text, size, "NaN");
    if (isinf(v))
        return snprintf(text, size, v > 0 ? "INF" : "-INF");
    for (int digits = 1; digits < digits_max; digits++) {
        int n = snprintf(text, size, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)v : back == v)
            return n;
    }
    return snprintf(text, size, "%.*g", digits_max, v);
}

static int print_number(char *text, size_t size, const adze_tensor *x, int64_t i)
{
    switch (adze_dtype_describe(x->dtype)->kind) {
    case ADZE_KIND_BOOL:
        return snprintf(text, size, "%s", adze_tensor_get_i64(x, i) ? "True" : "False");
    case ADZE_KIND_UINT:
        return snprintf(text, size, "%llu", (unsigned long long)adze_tensor_get_i64(x, i));
    case ADZE_KIND_INT: return snprintf(text, size, "%lld", (long long)adze_tensor_get_i64(x, i));
    default:
        return print_float(text, size, adze_tensor_get_f64(x, i), x->dtype == ADZE_F64 ? 17 : 9,
                           x->dtype != ADZE_F64);
    }
}

static adze_status to_strings(adze_run *run, const adze_tensor *x, adze_tensor *y, adze_error *err)
{
    enum { WIDTH = 40 };
    int64_t count = adze_tensor_elements(x);
    adze_string *out = y->data;
    char *texts = count ? adze_run_alloc(run, 0, (size_t)count * WIDTH) : NULL;
    if (count && !texts)
        return adze_fail(err, ADZE_NO_MEMORY, "node %s", adze_node_name(run->node));
    for (int64_t i = 0; i < count; i++) {
        out[i].data = texts + i * WIDTH;
        out[i].length = (size_t)print_number(texts + i * WIDTH, WIDTH, x, i);
    }
    return ADZE_OK;
}

/* ---- numbers ---- */

typedef struct cast_job {
    const adze_kernels *kernels;
    const adze_tensor *x;
    adze_tensor *y;
    bool saturate;
} cast_job;

static bool is_narrow_float(adze_dtype dtype)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    return info->kind == ADZE_KIND_FLOAT && info->bits <= 8;
}

static bool is_integer(adze_dtype dtype)
{
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    return kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT;
}

/* Wraps integer v to the width of the type. */
static void set_wrapped(adze_tensor *y, int64_t i, int64_t v)
{
    const adze_dtype_info *info = adze_dtype_describe(y->dtype);
    if (info->bits >= 64) {
        ((int64_t *)y->data)[i] = v;
        return;
    }
    uint64_t low = (uint64_t)v & (((uint64_t)1 << info->bits) - 1);
    uint64_t sign = (uint64_t)1 << (info->bits - 1);
    if (info->kind == ADZE_KIND_INT && (low & sign))
        v = (int64_t)low - (int64_t)(sign << 1);
    else
        v = (int64_t)low;
    adze_tensor_set_i64(y, i, v);
}

static void set_narrow(const cast_job *job, int64_t i, float v)
{
    adze_tensor *y = job->y;
    uint8_t code = adze_f32_to_narrow(y->dtype, v, job->saturate);
    if (y->dtype == ADZE_F4E2M1)
        adze_packed_set(y->dtype, y->data, i, code);
    else
        ((uint8_t *)y->data)[i] = code;
}

static void cast_element(const cast_job *job, int64_t i)
{
    const adze_tensor *x = job->x;
    adze_tensor *y = job->y;
    if (y->dtype == ADZE_BOOL) {
        ((uint8_t *)y->data)[i] = adze_tensor_get_f64(x, i) != 0;
    } else if (is_narrow_float(y->dtype)) {
        set_narrow(job, i, (float)adze_tensor_get_f64(x, i));
    } else if (is_integer(y->dtype) && !is_integer(x->dtype)) {
        double v = adze_tensor_get_f64(x, i);
        bool wraps = adze_dtype_describe(y->dtype)->bits < 8 && fabs(v) < 1e15;
        if (wraps)
            set_wrapped(y, i, (int64_t)v);
        else
            adze_tensor_set_f64(y, i, isnan(v) ? 0 : trunc(v));
    } else if (is_integer(y->dtype)) {
        set_wrapped(y, i, adze_tensor_get_i64(x, i));
    } else {
        adze_tensor_set_f64(y, i, adze_tensor_get_f64(x, i));
    }
}

/* The conversions that models make all the time. */
#define PAIR(from, to) ((int)(from)*ADZE_DTYPE_COUNT + (int)(to))
#define CONVERT(FROM, TO, T, R, value)                                                             \
    case PAIR(ADZE_##FROM, ADZE_##TO): {                                                           \
        const T *x = (const T *)job->x->data;                                                      \
        R *y = (R *)job->y->data;                                                                  \
        ADZE_SIMD                                                                                  \
        for (int64_t i = begin; i < end; i++) {                                                    \
            const T v = x[i];                                                                      \
            y[i] = (R)(value);                                                                     \
        }                                                                                          \
        return true;                                                                               \
    }
#define PLAIN(FROM, TO, T, R) CONVERT(FROM, TO, T, R, v)
#define TRUTH(FROM, T) CONVERT(FROM, BOOL, T, uint8_t, v != 0)

/* Floats to integers: the fraction cut off, out of range saturated, NaN 0. */
static int32_t whole_i32(float v)
{
    return v >= 0x1p31f ? INT32_MAX : v > -0x1p31f ? (int32_t)v : v == v ? INT32_MIN : 0;
}

/* Most are near zero, where int32 is a vector's way. */
static void f32_to_i64(const float *x, int64_t *y, int64_t n)
{
    int32_t large = 0;
#pragma omp simd reduction(| : large)
    for (int64_t i = 0; i < n; i++)
        large |= !(fabsf(x[i]) < 0x1p31f);
    if (large) {
        for (int64_t i = 0; i < n; i++)
            y[i] = adze_ops_whole((double)x[i]);
        return;
    }
    ADZE_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = (int32_t)x[i];
}

static bool cast_common(const cast_job *job, int64_t begin, int64_t end)
{
    switch (PAIR(job->x->dtype, job->y->dtype)) {
        PLAIN(I64, I32, int64_t, int32_t)
        PLAIN(I32, I64, int32_t, int64_t)
        PLAIN(I64, F32, int64_t, float)
        PLAIN(I32, F32, int32_t, float)
        PLAIN(U8, F32, uint8_t, float)
        PLAIN(I8, F32, int8_t, float)
        PLAIN(BOOL, F32, uint8_t, float)
        PLAIN(BOOL, I32, uint8_t, int32_t)
        PLAIN(BOOL, I64, uint8_t, int64_t)
        PLAIN(F64, F32, double, float)
        PLAIN(F32, F64, float, double)
        CONVERT(F32, I32, float, int32_t, whole_i32(v))
        TRUTH(I64, int64_t)
        TRUTH(I32, int32_t)
        TRUTH(U8, uint8_t)
    default: return false;
    }
}

static bool from_f32(const cast_job *job, int64_t begin, int64_t end)
{
    const adze_eltwise_table *k = &job->kernels->eltwise;
    const float *x = (const float *)job->x->data + begin;
    const int64_t n = end - begin;
    uint8_t *bytes = (uint8_t *)job->y->data + begin;
    switch (job->y->dtype) {
    case ADZE_U8: k->f32_to_8(n, x, 0, 255, bytes); return true;
    case ADZE_I8: k->f32_to_8(n, x, -128, 127, bytes); return true;
    case ADZE_BOOL: k->f32_to_bool(n, x, bytes); return true;
    case ADZE_I64:
        for (int64_t at = 0; at < n; at += CHUNK)
            f32_to_i64(x + at, (int64_t *)job->y->data + begin + at, ADZE_MIN(CHUNK, n - at));
        return true;
    default: return false;
    }
}

static void cast_range(void *user, int64_t begin, int64_t end, int worker)
{
    const cast_job *job = user;
    ADZE_UNUSED(worker);
    adze_dtype from = job->x->dtype, to = job->y->dtype;
    bool by_float = (from == ADZE_F32 || from == ADZE_F16 || from == ADZE_BF16) &&
                    (to == ADZE_F32 || to == ADZE_F16 || to == ADZE_BF16);
    if (cast_common(job, begin, end))
        return;
    if (from == ADZE_F32 && from_f32(job, begin, end))
        return;
    if (!by_float) {
        for (int64_t i = begin; i < end; i++)
            cast_element(job, i);
        return;
    }
    float chunk[CHUNK];
    for (int64_t at = begin; at < end; at += CHUNK) {
        int64_t n = ADZE_MIN(CHUNK, end - at);
        adze_ops_load(job->kernels, job->x, at, 1, n, chunk);
        adze_ops_store(job->kernels, chunk, n, job->y, at);
    }
}

static adze_status cast_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *both[] = {adze_prepare_input(prepare, 0), adze_prepare_output(prepare, 0)};
    for (int i = 0; i < 2; i++) {
        adze_kind kind = adze_dtype_describe(both[i]->dtype)->kind;
        if (kind == ADZE_KIND_NONE || kind == ADZE_KIND_COMPLEX || kind == ADZE_KIND_BLOCK)
            return adze_ops_unsupported(adze_prepare_node(prepare), both[i]->dtype, err);
    }
    return ADZE_OK;
}

static adze_status cast_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    if (x->dtype == y->dtype) {
        adze_ops_copy_bytes(run, y->data, x->data, y->size);
        return ADZE_OK;
    }
    if (x->dtype == ADZE_STRING)
        return from_strings(run, x, y, err);
    if (y->dtype == ADZE_STRING)
        return to_strings(run, x, y, err);
    cast_job job = {run->kernels, x, y, adze_node_int(run->node, "saturate", 1) != 0};
    adze_ops_parallel(run, adze_tensor_elements(x), GRAIN, cast_range, &job);
    return ADZE_OK;
}

/* ---- BitCast: the same bytes under another name ---- */

static adze_status bitcast_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    adze_dtype to = adze_dtype_from_onnx((int)adze_node_int(node, "to", 0));
    if (!x)
        return ADZE_OK;
    if (to == ADZE_STRING || x->dtype == ADZE_STRING ||
        adze_dtype_describe(to)->bits != adze_dtype_describe(x->dtype)->bits)
        return adze_ops_bad(node, err, "expected types of numbers of one size");
    adze_infer_set_tensor(infer, 0, to, x->rank, x->dims);
    return ADZE_OK;
}

static adze_status bitcast_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_ops_copy_bytes(run, run->outputs[0]->data, run->inputs[0]->data, run->outputs[0]->size);
    return ADZE_OK;
}

const adze_op adze_ops_cast[] = {
    {.domain = "",
     .name = "Cast",
     .since = 6,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_ELEMENTWISE,
     .attrs = "to saturate round_mode",
     .infer = cast_infer,
     .prepare = cast_prepare,
     .run = cast_run},
    {.domain = "",
     .name = "CastLike",
     .since = 15,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "saturate round_mode",
     .infer = cast_infer,
     .prepare = cast_prepare,
     .run = cast_run},
    {.domain = "",
     .name = "BitCast",
     .since = 26,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "to",
     .infer = bitcast_infer,
     .run = bitcast_run},
    {.name = NULL},
};
