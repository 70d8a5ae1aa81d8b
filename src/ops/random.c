/* RandomUniform, RandomNormal, their Like forms, Bernoulli, Multinomial. MT19937: Matsumoto and Nishimura,
 * 1998. Normal numbers by the polar method (Marsaglia), in pairs. */
#include "ops/random.h"

#include <math.h>
#include <string.h>

#include "ops/helpers.h"

/* ---- numbers ---- */

void adze_twister_open(adze_twister *t, const adze_node *node)
{
    const adze_attr *seed = adze_node_attr(node, "seed");
    uint32_t s = 2166136261u; /* FNV-1a */
    for (const char *c = adze_node_name(node); !seed && *c; c++)
        s = (s ^ (uint8_t)*c) * 16777619u;
    if (seed && seed->type == ADZE_ATTR_INT)
        s = (uint32_t)(uint64_t)seed->as.i;
    else if (seed && seed->type == ADZE_ATTR_FLOAT && fabsf(seed->as.f) < 9e18f)
        s = (uint32_t)(uint64_t)(int64_t)seed->as.f;
    *t = (adze_twister){.at = 624};
    t->state[0] = s;
    for (uint32_t i = 1; i < 624; i++)
        t->state[i] = 1812433253u * (t->state[i - 1] ^ (t->state[i - 1] >> 30)) + i;
}

static uint32_t next(adze_twister *t)
{
    uint32_t *s = t->state;
    if (t->at == 624) {
        for (int i = 0; i < 624; i++) {
            uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % 624] & 0x7fffffffu);
            s[i] = s[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    uint32_t y = s[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double adze_twister_uniform(adze_twister *t)
{
    uint32_t high = next(t) >> 5, low = next(t) >> 6;
    return ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
}

double adze_twister_normal(adze_twister *t)
{
    double x, y, square;
    if (t->has_normal) {
        t->has_normal = false;
        return t->normal;
    }
    do {
        x = 2 * adze_twister_uniform(t) - 1;
        y = 2 * adze_twister_uniform(t) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double scale = sqrt(-2 * log(square) / square);
    t->normal = scale * x;
    t->has_normal = true;
    return scale * y;
}

/* ---- inference ---- */

/* Attribute dtype, else the given one. */
static adze_status asked_type(adze_dtype *out, const adze_node *node, adze_dtype otherwise,
                              adze_error *err)
{
    int64_t asked = adze_node_int(node, "dtype", 0);
    *out = asked == 0                ? otherwise
           : asked > 0 && asked < 64 ? adze_dtype_from_onnx((int)asked)
                                     : ADZE_UNDEFINED;
    adze_kind kind = adze_dtype_describe(*out)->kind;
    if (kind != ADZE_KIND_FLOAT && kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT &&
        kind != ADZE_KIND_BOOL)
        return adze_ops_bad(node, err, "dtype is no type of numbers");
    return ADZE_OK;
}

static adze_status shaped_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    int n;
    const int64_t *shape = adze_node_ints(node, "shape", &n);
    adze_dtype dtype;
    ADZE_TRY(asked_type(&dtype, node, ADZE_F32, err));
    if (!adze_node_has(node, "shape") || n > ADZE_MAX_RANK || adze_shape_elements(n, shape) < 0)
        return adze_ops_bad(node, err, "shape is missing or out of range");
    adze_infer_set_tensor(infer, 0, dtype, n, shape);
    return ADZE_OK;
}

static adze_status like_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    adze_dtype dtype;
    if (!x)
        return ADZE_OK;
    ADZE_TRY(asked_type(&dtype, adze_infer_node(infer), adze_ops_real(x).dtype, err));
    adze_infer_set_tensor(infer, 0, dtype, x->rank, x->dims);
    return ADZE_OK;
}

static adze_status multinomial_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    int64_t samples = adze_node_int(node, "sample_size", 1);
    adze_dtype dtype;
    if (!x)
        return ADZE_OK;
    ADZE_TRY(asked_type(&dtype, node, ADZE_I32, err));
    if (x->rank != 2 || samples < 0 || (dtype != ADZE_I32 && dtype != ADZE_I64))
        return adze_ops_bad(node, err, "the input must be [batch, classes], the output integer");
    adze_dim dims[2] = {x->dims[0], samples};
    adze_infer_set_tensor(infer, 0, dtype, 2, dims);
    return ADZE_OK;
}

/* ---- run ---- */

/* Each element is from + by * what is drawn for it. */
static adze_status draw(adze_run *run, double from, double by, double (*one)(adze_twister *t))
{
    adze_twister t;
    adze_twister_open(&t, run->node);
    const int64_t total = adze_tensor_elements(run->outputs[0]);
    for (int64_t i = 0; i < total && (i % 4096 || !adze_run_is_late(run)); i++)
        adze_ops_put(run->outputs[0], i, from + by * one(&t));
    return ADZE_OK;
}

static adze_status uniform_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    double low = (double)adze_node_float(run->node, "low", 0);
    double high = (double)adze_node_float(run->node, "high", 1);
    return draw(run, low, high - low, adze_twister_uniform);
}

static adze_status normal_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    double mean = (double)adze_node_float(run->node, "mean", 0);
    double scale = (double)adze_node_float(run->node, "scale", 1);
    return draw(run, mean, scale, adze_twister_normal);
}

/* 1 where a uniform number is below the probability, as ONNX defines it by RandomUniformLike. */
static adze_status bernoulli_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_twister t;
    adze_twister_open(&t, run->node);
    for (int64_t i = 0; i < adze_tensor_elements(run->outputs[0]); i++)
        adze_ops_put(run->outputs[0], i,
                     adze_twister_uniform(&t) < adze_ops_get(run->inputs[0], i) ? 1 : 0);
    return ADZE_OK;
}

/* Classes by their log probabilities, which need not be normalized. */
static adze_status multinomial_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int64_t classes = x->dims[1], samples = y->dims[1];
    adze_twister t;
    adze_twister_open(&t, run->node);
    if (classes < 1 && adze_tensor_elements(y) > 0)
        return adze_ops_bad(run->node, err, "no classes to choose from");
    for (int64_t b = 0; b < x->dims[0]; b++) {
        double most = -(double)INFINITY, total = 0;
        for (int64_t c = 0; c < classes; c++)
            most = fmax(most, adze_ops_get(x, b * classes + c));
        for (int64_t c = 0; c < classes; c++)
            total += exp(adze_ops_get(x, b * classes + c) - most);
        for (int64_t s = 0; s < samples && !adze_run_is_late(run); s++) {
            double rest = total * adze_twister_uniform(&t);
            int64_t c = 0;
            for (; c < classes - 1; c++) {
                rest -= exp(adze_ops_get(x, b * classes + c) - most);
                if (rest < 0)
                    break;
            }
            adze_tensor_set_i64(y, b * samples + s, c);
        }
    }
    return ADZE_OK;
}

#define ROW(text, version, inputs)                                                                 \
    .domain = "", .name = text, .since = version, .min_inputs = inputs, .max_inputs = inputs,      \
    .min_outputs = 1, .max_outputs = 1, .flags = ADZE_OP_RANDOM

const adze_op adze_ops_random[] = {
    {ROW("RandomUniform", 1, 0), .attrs = "dtype high low seed shape", .infer = shaped_infer,
     .run = uniform_run},
    {ROW("RandomNormal", 1, 0), .attrs = "dtype mean scale seed shape", .infer = shaped_infer,
     .run = normal_run},
    {ROW("RandomUniformLike", 1, 1), .attrs = "dtype high low seed", .infer = like_infer,
     .run = uniform_run},
    {ROW("RandomNormalLike", 1, 1), .attrs = "dtype mean scale seed", .infer = like_infer,
     .run = normal_run},
    {ROW("Bernoulli", 15, 1), .attrs = "dtype seed", .infer = like_infer,
     .prepare = adze_ops_prepare_float, .run = bernoulli_run},
    {ROW("Multinomial", 7, 1), .attrs = "dtype sample_size seed", .infer = multinomial_infer,
     .prepare = adze_ops_prepare_float, .run = multinomial_run},
    {.name = NULL},
};
