/* Element-wise functions of one tensor: float32 by the kernels, narrow floats through float32,
 * 8-bit quantized tensors by a table of 256 results made in prepare, float64 and integers in
 * plain C. */
#include "ops/unary.h"
#include <math.h>
#include <string.h>

#define GRAIN 16384
#define BYTES_GRAIN 131072 /* less is looked up before a second thread has begun */
#define CHUNK 1024

/* ---- float64 ---- */

static double sigmoid64(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double softplus64(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* kernel, value with x and parameters a, b */
#define F64_LIST(X)                                                                                \
    X(RELU, x < 0 ? 0 : x)                                                                         \
    X(LEAKY_RELU, x < 0 ? a * x : x)                                                               \
    X(THRESHOLDED_RELU, x > a ? x : 0)                                                             \
    X(CLIP, isnan(x) ? x : fmin(fmax(x, a), b))                                                    \
    X(LINEAR, a *x + b)                                                                            \
    X(ABS, fabs(x))                                                                                \
    X(NEG, -x)                                                                                     \
    X(SIGN, x > 0 ? 1 : x < 0 ? -1 : x)                                                            \
    X(SQUARE, x *x)                                                                                \
    X(SQRT, sqrt(x))                                                                               \
    X(RSQRT, 1 / sqrt(x))                                                                          \
    X(RECIPROCAL, 1 / x)                                                                           \
    X(FLOOR, floor(x))                                                                             \
    X(CEIL, ceil(x))                                                                               \
    X(ROUND, rint(x))                                                                              \
    X(TRUNC, trunc(x))                                                                             \
    X(EXP, exp(x))                                                                                 \
    X(EXPM1, expm1(x))                                                                             \
    X(LOG, log(x))                                                                                 \
    X(LOG1P, log1p(x))                                                                             \
    X(SIGMOID, sigmoid64(x))                                                                       \
    X(LOG_SIGMOID, -softplus64(-x))                                                                \
    X(TANH, tanh(x))                                                                               \
    X(ERF, erf(x))                                                                                 \
    X(HARD_SIGMOID, isnan(x) ? x : fmin(fmax(a *x + b, 0), 1))                                     \
    X(HARD_SWISH, x *fmin(fmax(x / 6 + 0.5, 0), 1))                                                \
    X(SILU, x *sigmoid64(x))                                                                       \
    X(GELU, x *(1 + erf(x / sqrt(2))) / 2)                                                         \
    X(GELU_TANH, x *(1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))) / 2)           \
    X(GELU_QUICK, x *sigmoid64(a *x))                                                              \
    X(SOFTCAP, a *tanh(x / a))                                                                     \
    X(SOFTPLUS, softplus64(x))                                                                     \
    X(SOFTSIGN, x / (1 + fabs(x)))                                                                 \
    X(ELU, x < 0 ? a * expm1(x) : x)                                                               \
    X(SELU, b *(x < 0 ? a * expm1(x) : x))                                                         \
    X(CELU, x < 0 ? a * expm1(x / a) : x)                                                          \
    X(MISH, x *tanh(softplus64(x)))                                                                \
    X(SHRINK, x<-b ? x + a : x> b ? x - a : 0)                                                     \
    X(SIN, sin(x))                                                                                 \
    X(COS, cos(x))                                                                                 \
    X(TAN, tan(x))                                                                                 \
    X(ASIN, asin(x))                                                                               \
    X(ACOS, acos(x))                                                                               \
    X(ATAN, atan(x))                                                                               \
    X(SINH, sinh(x))                                                                               \
    X(COSH, cosh(x))                                                                               \
    X(ASINH, asinh(x))                                                                             \
    X(ACOSH, acosh(x))                                                                             \
    X(ATANH, atanh(x))

#define X(name, value)                                                                             \
    static double f64_##name(double x, double a, double b)                                         \
    {                                                                                              \
        ADZE_UNUSED(a);                                                                            \
        ADZE_UNUSED(b);                                                                            \
        return value;                                                                              \
    }
F64_LIST(X)
#undef X

static double (*const f64_functions[ADZE_UNARY_COUNT])(double, double, double) = {
#define X(name, value) [ADZE_UNARY_##name] = f64_##name,
    F64_LIST(X)
#undef X
};

double adze_unary_f64(adze_unary_call call, double x)
{
    return f64_functions[call.kernel](x, (double)call.a, (double)call.b);
}

/* ---- integers ---- */

static bool on_integers(adze_unary kernel)
{
    return kernel == ADZE_UNARY_RELU || kernel == ADZE_UNARY_ABS || kernel == ADZE_UNARY_NEG ||
           kernel == ADZE_UNARY_SIGN || kernel == ADZE_UNARY_SHRINK;
}

#define INTEGER_LOOP(result)                                                                       \
    for (int64_t i = begin; i < end; i++) {                                                        \
        int64_t v = (int64_t)x[i];                                                                 \
        const bool below = is_signed && v < 0;                                                     \
        ADZE_UNUSED(below);                                                                        \
        y[i] = (result);                                                                           \
    }                                                                                              \
    break

#define INTEGERS(name, T)                                                                          \
    static void integers_##name(adze_unary_call call, const T *x, T *y, int64_t begin,             \
                                int64_t end)                                                       \
    {                                                                                              \
        const bool is_signed = (T)-1 < (T)1;                                                       \
        switch (call.kernel) {                                                                     \
        case ADZE_UNARY_RELU: INTEGER_LOOP((T)(below ? 0 : x[i]));                                 \
        case ADZE_UNARY_ABS: INTEGER_LOOP((T)(below ? 0 - (uint64_t)v : (uint64_t)v));             \
        case ADZE_UNARY_NEG: INTEGER_LOOP((T)(0 - (uint64_t)v));                                   \
        case ADZE_UNARY_SHRINK:                                                                    \
            INTEGER_LOOP((T)adze_ops_whole(adze_unary_f64(call, (double)x[i])));                   \
        default: INTEGER_LOOP((T)(below ? (T)-1 : x[i] != 0));                                     \
        }                                                                                          \
    }
ADZE_OPS_INT_LIST(INTEGERS)

/* ---- preparation and execution ---- */

typedef struct prepared {
    adze_unary_call call;
    uint8_t table[256];
} prepared;

static void make_table(const adze_prepare *prepare, prepared *p)
{
    const adze_kernels *kernels = adze_prepare_kernels(prepare);
    uint8_t codes[256];
    float values[256];
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    adze_tensor x = *adze_prepare_input(prepare, 0), y = *adze_prepare_output(prepare, 0);
    x.data = codes;
    y.data = p->table;
    adze_ops_load(kernels, &x, 0, 1, 256, values);
    kernels->eltwise.unary[p->call.kernel](256, values, values, p->call.a, p->call.b);
    adze_ops_store(kernels, values, 256, &y, 0);
}

adze_status adze_unary_prepare_call(adze_prepare *prepare, adze_unary_call call, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0), *y = adze_prepare_output(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    bool integer = (kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT) &&
                   adze_ops_element(x->dtype) && !x->quant && on_integers(call.kernel);
    if (!integer && !adze_ops_can_load(x))
        return adze_ops_unsupported(node, x->dtype, err);
    prepared *p = adze_prepare_alloc(prepare, sizeof *p);
    if (!p)
        return adze_fail(err, ADZE_NO_MEMORY, "node %s", adze_node_name(node));
    p->call = call;
    if (adze_ops_is_q8(x) && adze_ops_is_q8(y))
        make_table(prepare, p);
    adze_prepare_set(prepare, p);
    return ADZE_OK;
}

static adze_unary_call call_of(const adze_node *node)
{
    const adze_unary_spec *spec = adze_node_operator(node)->user;
    if (spec->choose)
        return spec->choose(node);
    adze_unary_call call = {spec->kernel, spec->a, spec->b};
    if (spec->a_attr)
        call.a = adze_node_float(node, spec->a_attr, spec->a);
    if (spec->b_attr)
        call.b = adze_node_float(node, spec->b_attr, spec->b);
    return call;
}

adze_status adze_unary_prepare(adze_prepare *prepare, adze_error *err)
{
    return adze_unary_prepare_call(prepare, call_of(adze_prepare_node(prepare)), err);
}

typedef struct unary_job {
    const adze_kernels *kernels;
    adze_unary_call call;
    const uint8_t *table;
    const adze_tensor *x;
    adze_tensor *y;
} unary_job;

static void run_narrow(const unary_job *job, int64_t begin, int64_t end)
{
    float buffer[CHUNK];
    for (int64_t at = begin; at < end; at += CHUNK) {
        int64_t n = ADZE_MIN(CHUNK, end - at);
        adze_ops_load(job->kernels, job->x, at, 1, n, buffer);
        job->kernels->eltwise.unary[job->call.kernel](n, buffer, buffer, job->call.a, job->call.b);
        adze_ops_store(job->kernels, buffer, n, job->y, at);
    }
}

static void run_f64(const unary_job *job, int64_t begin, int64_t end)
{
    const double *x = job->x->data;
    double *y = job->y->data;
    for (int64_t i = begin; i < end; i++)
        y[i] = adze_unary_f64(job->call, x[i]);
}

static void unary_range(void *user, int64_t begin, int64_t end, int worker)
{
    const unary_job *job = user;
    const adze_tensor *x = job->x;
    adze_tensor *y = job->y;
    ADZE_UNUSED(worker);
    if (job->table) {
        job->kernels->eltwise.lookup(end - begin, (const uint8_t *)x->data + begin, job->table,
                                     (uint8_t *)y->data + begin);
        return;
    }
    if (x->quant || y->quant) {
        run_narrow(job, begin, end);
        return;
    }
    switch (x->dtype) {
#define X(name, T)                                                                                 \
    case ADZE_##name: integers_##name(job->call, x->data, y->data, begin, end); break;
        ADZE_OPS_INT_LIST(X)
#undef X
    case ADZE_F32:
        job->kernels->eltwise.unary[job->call.kernel](end - begin, (const float *)x->data + begin,
                                                      (float *)y->data + begin, job->call.a,
                                                      job->call.b);
        break;
    case ADZE_F64: run_f64(job, begin, end); break;
    default: run_narrow(job, begin, end); break;
    }
}

adze_status adze_unary_run_call(adze_run *run, adze_unary_call call, adze_error *err)
{
    ADZE_UNUSED(err);
    const prepared *p = run->prepared;
    unary_job job = {run->kernels, call, NULL, run->inputs[0], run->outputs[0]};
    if (p && adze_ops_is_q8(job.x) && adze_ops_is_q8(job.y))
        job.table = p->table;
    adze_ops_parallel(run, adze_tensor_elements(job.x), job.table ? BYTES_GRAIN : GRAIN,
                      unary_range, &job);
    return ADZE_OK;
}

adze_status adze_unary_run(adze_run *run, adze_error *err)
{
    const prepared *p = run->prepared; /* NULL: the type was not known in time */
    return adze_unary_run_call(run, p ? p->call : call_of(run->node), err);
}

/* Cheap ones cost an operation or two, those with an exponential about fifteen. */
void adze_unary_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                     const adze_tensor *const *outputs)
{
    ADZE_UNUSED(inputs);
    const adze_unary_spec *spec = adze_node_operator(node)->user;
    int each = !spec || spec->kernel < ADZE_UNARY_EXP ? 1 : 15;
    cost->operations = (double)each * (double)adze_tensor_elements(outputs[0]);
}
