/* Arithmetic and elementary functions, element by element; what is not a row over unary.h and
 * binary.h: choosing (Where), tests that give booleans, running sums. */
#include <math.h>
#include <string.h>
#include "ops/binary.h"
#include "ops/fused.h"
#include "ops/unary.h"
#include "tensor/dtype.h"

#define GRAIN 16384
#define CHUNK 512

/* ---- IsNaN, IsInf, Not, BitwiseNot ---- */

static adze_status test_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x)
        adze_infer_set_tensor(infer, 0, ADZE_BOOL, x->rank, x->dims);
    return ADZE_OK;
}

static adze_status test_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    bool narrow = adze_dtype_describe(x->dtype)->kind == ADZE_KIND_FLOAT;
    return narrow || adze_ops_can_load(x)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

typedef struct test_job {
    const adze_kernels *kernels;
    const adze_tensor *x;
    uint8_t *y;
    bool nan, positive, negative; /* what counts */
} test_job;

static bool counts(const test_job *job, double v)
{
    if (job->nan)
        return isnan(v);
    return isinf(v) && (v > 0 ? job->positive : job->negative);
}

static void test_range(void *user, int64_t begin, int64_t end, int worker)
{
    const test_job *job = user;
    ADZE_UNUSED(worker);
    float v[CHUNK];
    if (job->x->dtype == ADZE_F64) {
        for (int64_t i = begin; i < end; i++)
            job->y[i] = counts(job, ((const double *)job->x->data)[i]);
        return;
    }
    if (job->x->dtype == ADZE_F32 && job->nan) {
        const float *x = job->x->data;
        uint8_t *y = job->y;
        ADZE_SIMD
        for (int64_t i = begin; i < end; i++)
            y[i] = x[i] != x[i];
        return;
    }
    for (int64_t at = begin; at < end; at += CHUNK) {
        int64_t n = ADZE_MIN(CHUNK, end - at);
        adze_ops_load(job->kernels, job->x, at, 1, n, v);
        for (int64_t i = 0; i < n; i++)
            job->y[at + i] = counts(job, (double)v[i]);
    }
}

static adze_status test_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    test_job job = {run->kernels,
                    run->inputs[0],
                    run->outputs[0]->data,
                    strcmp(adze_node_op(run->node), "IsNaN") == 0,
                    adze_node_int(run->node, "detect_positive", 1) != 0,
                    adze_node_int(run->node, "detect_negative", 1) != 0};
    adze_ops_parallel(run, adze_tensor_elements(job.x), GRAIN, test_range, &job);
    return ADZE_OK;
}

static adze_status not_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    adze_dtype dtype = adze_prepare_input(prepare, 0)->dtype;
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    bool logic = strcmp(adze_node_op(node), "Not") == 0;
    bool fits = logic ? kind == ADZE_KIND_BOOL : kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT;
    return fits ? ADZE_OK : adze_ops_unsupported(node, dtype, err);
}

static adze_status not_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *x = run->inputs[0];
    const uint8_t *from = x->data;
    uint8_t *to = run->outputs[0]->data;
    uint8_t flip = x->dtype == ADZE_BOOL ? 1 : 0xff;
    ADZE_SIMD
    for (size_t i = 0; i < run->outputs[0]->size; i++)
        to[i] = from[i] ^ flip;
    return ADZE_OK;
}

/* ---- Where ---- */

static adze_status where_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *c = adze_ops_ranked(infer, 0), *a = adze_ops_ranked(infer, 1),
                    *b = adze_ops_ranked(infer, 2);
    if (!c || !a || !b)
        return ADZE_OK;
    adze_type ab, y;
    ADZE_TRY(adze_infer_broadcast(infer, &ab, a, b, err));
    ADZE_TRY(adze_infer_broadcast(infer, &y, &ab, c, err));
    y.kind = ADZE_VALUE_TENSOR;
    y.dtype = a->dtype;
    y.quant = a->quant;
    adze_infer_set(infer, 0, &y);
    adze_dim k[ADZE_OPS_MAX_INTS], v[2][ADZE_OPS_MAX_INTS];
    int n = adze_ops_ints(infer, 0, k, ADZE_OPS_MAX_INTS);
    int n1 = adze_ops_ints(infer, 1, v[0], ADZE_OPS_MAX_INTS);
    int n2 = adze_ops_ints(infer, 2, v[1], ADZE_OPS_MAX_INTS);
    int count = ADZE_MAX(n, ADZE_MAX(n1, n2));
    if (n < 1 || n1 < 1 || n2 < 1 || y.rank > 1 || (n != 1 && n != count) ||
        (n1 != 1 && n1 != count) || (n2 != 1 && n2 != count))
        return ADZE_OK;
    adze_dim out[ADZE_OPS_MAX_INTS];
    for (int i = 0; i < count; i++) {
        if (k[n == 1 ? 0 : i] < 0)
            return ADZE_OK;
        out[i] = k[n == 1 ? 0 : i] ? v[0][n1 == 1 ? 0 : i] : v[1][n2 == 1 ? 0 : i];
    }
    adze_ops_set_ints(infer, 0, out, count);
    return ADZE_OK;
}

static adze_status where_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *a = adze_prepare_input(prepare, 1);
    return adze_ops_element(a->dtype)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), a->dtype, err);
}

typedef struct where_job {
    adze_broadcast b;
    const char *x[3];
    char *y;
    size_t size;
} where_job;

#define WHERE(type)                                                                                \
    do {                                                                                           \
        const type *a = (const type *)(const void *)p, *b = (const type *)(const void *)q;         \
        type *y = (type *)(void *)r;                                                               \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = c[i * sc] ? a[i * sa] : b[i * sb];                                              \
    } while (0)

static void where_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    const where_job *job = user;
    int64_t size = (int64_t)job->size;
    const char *c = job->x[0] + from[0], *p = job->x[1] + from[1] * size,
               *q = job->x[2] + from[2] * size;
    char *r = job->y + to * size;
    int sc = adze_ops_step(&job->b, 0), sa = adze_ops_step(&job->b, 1),
        sb = adze_ops_step(&job->b, 2);
    switch (size) {
    case 1: WHERE(uint8_t); break;
    case 2: WHERE(uint16_t); break;
    case 4: WHERE(uint32_t); break;
    case 8: WHERE(uint64_t); break;
    default: WHERE(adze_string); break;
    }
}

static void where_range(void *user, int64_t begin, int64_t end, int worker)
{
    where_job *job = user;
    ADZE_UNUSED(worker);
    adze_ops_broadcast_range(&job->b, begin, end, where_row, job);
}

static adze_status where_run(adze_run *run, adze_error *err)
{
    where_job job = {.y = run->outputs[0]->data, .size = adze_ops_element(run->inputs[1]->dtype)};
    for (int i = 0; i < 3; i++)
        job.x[i] = run->inputs[i]->data;
    ADZE_TRY(adze_ops_broadcast(&job.b, run, run->outputs[0], 3, run->inputs, err));
    adze_ops_parallel(run, job.b.total, GRAIN, where_range, &job);
    return ADZE_OK;
}

/* ---- CumSum, CumProd ---- */

static adze_status running_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_ops_need_scalar(infer, 1, err));
    return adze_ops_infer_same(infer, err);
}

static adze_status running_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    bool floats = adze_ops_is_float(x->dtype);
    bool integers = adze_pair_typed(ADZE_PAIR_ADD, x->dtype) != NULL;
    return !x->quant && (floats || integers)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

typedef struct running_job {
    const adze_kernels *kernels;
    const adze_tensor *x;
    adze_tensor *y;
    int64_t inner, length;
    bool exclusive, reverse, product;
    adze_pair_fn typed; /* NULL: narrow floats, summed in double precision */
} running_job;

/* float32, summed in double precision. */
static void running_line_f32(const running_job *job, int64_t first)
{
    int64_t step = job->reverse ? -job->inner : job->inner;
    int64_t at = first + (job->reverse ? (job->length - 1) * job->inner : 0);
    const float *x = job->x->data;
    float *y = job->y->data;
    double sum = job->product ? 1 : 0;
    for (int64_t i = 0; i < job->length; i++, at += step) {
        double v = (double)x[at], next = job->product ? sum * v : sum + v;
        y[at] = (float)(job->exclusive ? sum : next);
        sum = next;
    }
}

enum { COLUMNS = 256 };

/* float32: the sums of n <= COLUMNS neighbouring lines side by side. An exclusive sum is that of the row before. */
static void running_columns_f32(const running_job *job, int64_t first, int64_t n)
{
    int64_t step = job->reverse ? -job->inner : job->inner;
    int64_t at = first + (job->reverse ? (job->length - 1) * job->inner : 0);
    const float *x = job->x->data;
    float *y = job->y->data;
    double sums[COLUMNS] = {0};
    if (job->exclusive)
        memset(y + at, 0, (size_t)n * sizeof *y);
    for (int64_t i = job->exclusive; i < job->length; i++, at += step)
        job->kernels->eltwise.accumulate(n, x + at, sums, y + at + (job->exclusive ? step : 0));
}

static void add_i64(int64_t n, const uint64_t *a, const uint64_t *b, uint64_t *y)
{
    ADZE_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* Integers and float64, n neighbouring lines: adds y's last row and x's next one. */
static void running_typed(const running_job *job, int64_t first, int64_t n)
{
    int64_t size = (int64_t)adze_ops_element(job->x->dtype);
    int64_t step = (job->reverse ? -job->inner : job->inner) * size;
    int64_t at = (first + (job->reverse ? (job->length - 1) * job->inner : 0)) * size;
    const char *x = job->x->data;
    char *y = job->y->data;
    if (!job->exclusive)
        memcpy(y + at, x + at, (size_t)(n * size));
    for (int64_t i = 0; i < n && job->exclusive; i++)
        adze_tensor_set_f64(job->y, at / size + i, job->product ? 1 : 0);
    for (int64_t i = 1; i < job->length; i++, at += step) {
        const char *term = x + at + (job->exclusive ? 0 : step);
        if (job->x->dtype == ADZE_I64 && !job->product)
            add_i64(n, (const void *)term, (const void *)(y + at), (void *)(y + at + step));
        else
            job->typed(n, y + at, 1, term, 1, y + at + step);
    }
}

/* int64 along the last axis, as positions are counted. */
static void running_line_i64(const running_job *job, int64_t first)
{
    const int64_t *x = (const int64_t *)job->x->data + first, n = job->length;
    int64_t *y = (int64_t *)job->y->data + first;
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = job->reverse ? n - 1 - i : i;
        uint64_t next = sum + (uint64_t)x[at];
        y[at] = (int64_t)(job->exclusive ? sum : next);
        sum = next;
    }
}

/* Narrow floats, summed in double precision. */
static void running_line(const running_job *job, int64_t first)
{
    int64_t step = job->reverse ? -job->inner : job->inner;
    int64_t at = first + (job->reverse ? (job->length - 1) * job->inner : 0);
    double sum = job->product ? 1 : 0;
    for (int64_t i = 0; i < job->length; i++, at += step) {
        double v = adze_tensor_get_f64(job->x, at), next = job->product ? sum * v : sum + v;
        adze_tensor_set_f64(job->y, at, job->exclusive ? sum : next);
        sum = next;
    }
}

static void running_range(void *user, int64_t begin, int64_t end, int worker)
{
    const running_job *job = user;
    adze_dtype dtype = job->x->dtype;
    int64_t inner = job->inner;
    ADZE_UNUSED(worker);
    for (int64_t line = begin, n; line < end; line += n) {
        int64_t first = line / inner * inner * job->length + line % inner;
        n = ADZE_MIN(ADZE_MIN(COLUMNS, end - line), inner - line % inner);
        if (dtype == ADZE_F32 && n > 1 && !job->product)
            running_columns_f32(job, first, n);
        else if (dtype == ADZE_I64 && inner == 1 && !job->product)
            running_line_i64(job, first);
        else if (job->typed && dtype != ADZE_F32)
            running_typed(job, first, n);
        else {
            n = 1;
            (dtype == ADZE_F32 ? running_line_f32 : running_line)(job, first);
        }
    }
}

static adze_status running_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_tensor_get_i64(run->inputs[1], 0), x->rank, err));
    running_job job = {.kernels = run->kernels,
                       .x = x,
                       .y = run->outputs[0],
                       .inner = 1,
                       .length = x->dims[axis],
                       .exclusive = adze_node_int(run->node, "exclusive", 0) != 0,
                       .reverse = adze_node_int(run->node, "reverse", 0) != 0,
                       .product = strcmp(adze_node_op(run->node), "CumProd") == 0};
    job.typed = adze_pair_typed(job.product ? ADZE_PAIR_MUL : ADZE_PAIR_ADD, x->dtype);
    for (int i = axis + 1; i < x->rank; i++)
        job.inner *= x->dims[i];
    int64_t total = adze_tensor_elements(x);
    if (total > 0)
        adze_ops_parallel(run, total / job.length, ADZE_MAX(1, 2 * GRAIN / job.length),
                          running_range, &job);
    return ADZE_OK;
}

#define FUSED_CLAMP ADZE_FUSED_LO " " ADZE_FUSED_HI
#define MATH(op, version, function) ADZE_UNARY_ROW(op, version, "", .kernel = ADZE_UNARY_##function)
#define ARITHMETIC(op, version, pair, attributes)                                                  \
    ADZE_BINARY_ROW(op, version, pair, ADZE_OP_INPLACE_ANY, ADZE_QUANT_COMPUTE, attributes)
#define INTEGER(op, version, pair, attributes)                                                     \
    ADZE_BINARY_ROW(op, version, pair, ADZE_OP_INPLACE_ANY, ADZE_QUANT_NEVER, attributes)
#define COMPARE(op, version, pair) ADZE_BINARY_ROW(op, version, pair, 0, ADZE_QUANT_NEVER, "")
#define ONE_TO_ONE                                                                                 \
    .domain = "", .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1

const adze_op adze_ops_elementwise[] = {
    ARITHMETIC("Add", 7, ADD, FUSED_CLAMP),
    ARITHMETIC("Sub", 7, SUB, ""),
    ARITHMETIC("Mul", 7, MUL, ""),
    ARITHMETIC("Div", 7, DIV, ""),
    ADZE_BINARY_ROW("Pow", 7, POW, ADZE_OP_INPLACE, ADZE_QUANT_COMPUTE, ""),
    INTEGER("Mod", 10, MOD, "fmod"),
    INTEGER("And", 7, AND, ""),
    INTEGER("Or", 7, OR, ""),
    INTEGER("Xor", 7, XOR, ""),
    INTEGER("BitwiseAnd", 18, AND, ""),
    INTEGER("BitwiseOr", 18, OR, ""),
    INTEGER("BitwiseXor", 18, XOR, ""),
    INTEGER("BitShift", 11, SHIFT_LEFT, "direction"),
    COMPARE("Equal", 7, EQUAL),
    COMPARE("Less", 7, LESS),
    COMPARE("LessOrEqual", 12, LESS_EQUAL),
    COMPARE("Greater", 7, GREATER),
    COMPARE("GreaterOrEqual", 12, GREATER_EQUAL),
    ADZE_VARIADIC_ROW("Min", 8, MIN),
    ADZE_VARIADIC_ROW("Max", 8, MAX),
    ADZE_VARIADIC_ROW("Sum", 8, ADD),
    ADZE_VARIADIC_ROW("Mean", 8, ADD),
    MATH("Abs", 6, ABS),
    MATH("Neg", 6, NEG),
    MATH("Sign", 9, SIGN),
    MATH("Sqrt", 6, SQRT),
    MATH("Reciprocal", 6, RECIPROCAL),
    MATH("Floor", 6, FLOOR),
    MATH("Ceil", 6, CEIL),
    MATH("Round", 11, ROUND),
    MATH("Exp", 6, EXP),
    MATH("Log", 6, LOG),
    MATH("Sin", 7, SIN),
    MATH("Cos", 7, COS),
    MATH("Tan", 7, TAN),
    MATH("Asin", 7, ASIN),
    MATH("Acos", 7, ACOS),
    MATH("Atan", 7, ATAN),
    MATH("Sinh", 9, SINH),
    MATH("Cosh", 9, COSH),
    MATH("Asinh", 9, ASINH),
    MATH("Acosh", 9, ACOSH),
    MATH("Atanh", 9, ATANH),
    {.name = "IsNaN",
     .since = 9,
     ONE_TO_ONE,
     .attrs = "",
     .infer = test_infer,
     .prepare = test_prepare,
     .run = test_run,
     .flags = ADZE_OP_ELEMENTWISE},
    {.name = "IsInf",
     .since = 10,
     ONE_TO_ONE,
     .attrs = "detect_negative detect_positive",
     .infer = test_infer,
     .prepare = test_prepare,
     .run = test_run,
     .flags = ADZE_OP_ELEMENTWISE},
    {.name = "Not",
     .since = 1,
     ONE_TO_ONE,
     .attrs = "",
     .infer = adze_ops_infer_same,
     .prepare = not_prepare,
     .run = not_run,
     .flags = ADZE_OP_ELEMENTWISE | ADZE_OP_INPLACE},
    {.name = "BitwiseNot",
     .since = 18,
     ONE_TO_ONE,
     .attrs = "",
     .infer = adze_ops_infer_same,
     .prepare = not_prepare,
     .run = not_run,
     .flags = ADZE_OP_ELEMENTWISE | ADZE_OP_INPLACE},
    {.domain = "",
     .name = "Where",
     .since = 9,
     .min_inputs = 3,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "",
     .types = "Ba",
     .infer = where_infer,
     .prepare = where_prepare,
     .run = where_run,
     .flags = ADZE_OP_ELEMENTWISE},
    {.domain = "",
     .name = "CumSum",
     .since = 11,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "exclusive reverse",
     .infer = running_infer,
     .prepare = running_prepare,
     .run = running_run},
    {.domain = "",
     .name = "CumProd",
     .since = 26,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "exclusive reverse",
     .infer = running_infer,
     .prepare = running_prepare,
     .run = running_run},
    {.name = NULL},
};
