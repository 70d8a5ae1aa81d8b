/* What carries a small state from token to token: LinearAttention (a matrix for each head) and
 * CausalConvWithState (the last numbers of each channel). Both run token after token in float32. */
#include <math.h>
#include <string.h>

#include "ops/execute.h"
#include "ops/helpers.h"

static adze_status float_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    for (int i = 0; i < adze_node_input_count(node); i++) {
        const adze_tensor *t = adze_prepare_input(prepare, i);
        if (t && (!adze_ops_is_float(t->dtype) || t->quant))
            return adze_ops_unsupported(node, t->dtype, err);
    }
    return ADZE_OK;
}

static adze_status bad_run(const adze_run *run, const char *wrong, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s", adze_node_op(run->node),
                     adze_node_name(run->node), wrong);
}

static bool has_shape(const adze_tensor *t, int rank, const int64_t *dims)
{
    return !t || (t->rank == rank && memcmp(t->dims, dims, (size_t)rank * sizeof *dims) == 0);
}

/* ---- LinearAttention ---- */

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };

static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};
enum { GATED = 1, DELTA = 2 };

static int rule_of(const adze_node *node)
{
    return adze_ops_choice(rules, adze_node_string(node, "update_rule", "gated_delta"));
}

static adze_status linear_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const int64_t heads = adze_node_int(node, "q_num_heads", 0);
    const int64_t kv = adze_node_int(node, "kv_num_heads", 0);
    const int rule = rule_of(node);
    if (rule < 0)
        return adze_ops_bad(node, err, "update_rule is none of linear, gated, delta, gated_delta");
    if (heads < 1 || kv < 1 || heads % kv != 0)
        return adze_ops_bad(node, err, "q_num_heads is no multiple of kv_num_heads above zero");
    if (((rule & GATED) != 0) != (adze_infer_input(infer, DECAY) != NULL) ||
        ((rule & DELTA) != 0) != (adze_infer_input(infer, BETA) != NULL))
        return adze_ops_bad(node, err, "decay and beta do not fit the update_rule");
    const adze_type *q = adze_ops_ranked(infer, QUERY), *v = adze_ops_ranked(infer, VALUE);
    const adze_type *past = adze_infer_input(infer, PAST);
    if (!q || !v)
        return ADZE_OK;
    if (q->rank != 3 || v->rank != 3)
        return adze_ops_bad(node, err, "query, key and value are of rank 3");
    const adze_dim dk = adze_infer_div(infer, q->dims[2], heads);
    const adze_dim dv = adze_infer_div(infer, v->dims[2], kv);
    adze_infer_set_tensor(infer, 0, q->dtype, 3,
                          (adze_dim[]){q->dims[0], q->dims[1], adze_infer_mul(infer, heads, dv)});
    adze_infer_set_tensor(infer, 1, past ? past->dtype : q->dtype, 4,
                          (adze_dim[]){q->dims[0], kv, dk, dv});
    return ADZE_OK;
}

typedef struct linear {
    const adze_run *run;
    int64_t batches, tokens, heads, kv, dk, dv;
    int rule;
    float scale;
    size_t worker_floats;
} linear;

static const char *linear_fill(linear *j, const adze_run *run)
{
    const adze_tensor *q = run->inputs[QUERY], *v = run->inputs[VALUE];
    const adze_tensor *decay = adze_ops_input(run, DECAY), *beta = adze_ops_input(run, BETA);
    j->run = run;
    j->rule = rule_of(run->node);
    j->heads = adze_node_int(run->node, "q_num_heads", 1);
    j->kv = adze_node_int(run->node, "kv_num_heads", 1);
    j->batches = q->dims[0];
    j->tokens = q->dims[1];
    j->dk = q->dims[2] / j->heads;
    j->dv = v->dims[2] / j->kv;
    j->scale = adze_node_float(run->node, "scale", 0);
    j->scale = j->scale != 0 ? j->scale : 1 / sqrtf((float)ADZE_MAX(j->dk, 1));
    const int64_t bt[3] = {j->batches, j->tokens, j->kv}, one[3] = {bt[0], bt[1], 1};
    const int64_t keys[3] = {bt[0], bt[1], j->kv * j->dk},
                  values[3] = {bt[0], bt[1], j->kv * j->dv};
    const int64_t states[4] = {bt[0], j->kv, j->dk, j->dv};
    if (q->dims[2] != j->heads * j->dk || !has_shape(run->inputs[KEY], 3, keys) ||
        !has_shape(v, 3, values))
        return "query, key and value do not fit each other and the numbers of heads";
    if (!has_shape(adze_ops_input(run, PAST), 4, states))
        return "past_state is not [batch, kv_num_heads, d_k, d_v]";
    if (!has_shape(decay, 3, keys) && !has_shape(decay, 3, bt))
        return "decay is neither one number for each head nor for each number of a key";
    if (!has_shape(beta, 3, bt) && !has_shape(beta, 3, one))
        return "beta is neither one number for each head nor one for each token";
    const double floats = (double)j->dk * (double)j->dv + 3.0 * (double)j->dk + 3.0 * (double)j->dv;
    j->worker_floats =
        floats < (double)(SIZE_MAX / 64) ? ((size_t)floats + 63) / 16 * 16 : SIZE_MAX / 64;
    return NULL;
}

static size_t linear_scratch(const adze_run *run)
{
    linear j = {0};
    return linear_fill(&j, run) ? 0
                                : j.worker_floats * sizeof(float) * (size_t)adze_run_threads(run);
}

/* s += k (outer) v, after s was brought to this token and v corrected by what s says already. */
static void update(const linear *j, int64_t batch, int64_t token, int64_t kv, float *s, float *k,
                   float *v, float *decay, float *seen)
{
    const adze_run *run = j->run;
    const int64_t at = (batch * j->tokens + token) * j->kv + kv;
    adze_ops_load(run->kernels, run->inputs[KEY], at * j->dk, 1, j->dk, k);
    adze_ops_load(run->kernels, run->inputs[VALUE], at * j->dv, 1, j->dv, v);
    if (j->rule & GATED) {
        const adze_tensor *g = run->inputs[DECAY];
        const bool each = g->dims[2] == j->kv * j->dk && j->dk != 1;
        adze_ops_load(run->kernels, g, each ? at * j->dk : at, each, j->dk, decay);
        for (int64_t i = 0; i < j->dk; i++) {
            const float factor = expf(decay[i]);
            for (int64_t c = 0; c < j->dv; c++)
                s[i * j->dv + c] *= factor;
        }
    }
    if (j->rule & DELTA) {
        const adze_tensor *b = run->inputs[BETA];
        float beta;
        adze_ops_load(run->kernels, b, b->dims[2] == j->kv ? at : at / j->kv, 1, 1, &beta);
        memset(seen, 0, (size_t)j->dv * sizeof *seen);
        for (int64_t i = 0; i < j->dk; i++)
            for (int64_t c = 0; c < j->dv; c++)
                seen[c] += k[i] * s[i * j->dv + c];
        for (int64_t c = 0; c < j->dv; c++)
            v[c] = beta * (v[c] - seen[c]);
    }
    for (int64_t i = 0; i < j->dk; i++)
        for (int64_t c = 0; c < j->dv; c++)
            s[i * j->dv + c] += k[i] * v[c];
}

static void read_state(const linear *j, int64_t batch, int64_t token, int64_t head, const float *s,
                       float *q, float *y)
{
    const adze_run *run = j->run;
    const int64_t at = (batch * j->tokens + token) * j->heads + head;
    adze_ops_load(run->kernels, run->inputs[QUERY], at * j->dk, 1, j->dk, q);
    memset(y, 0, (size_t)j->dv * sizeof *y);
    for (int64_t i = 0; i < j->dk; i++)
        for (int64_t c = 0; c < j->dv; c++)
            y[c] += q[i] * s[i * j->dv + c];
    for (int64_t c = 0; c < j->dv; c++)
        y[c] *= j->scale;
    adze_ops_store(run->kernels, y, j->dv, run->outputs[0], at * j->dv);
}

static void linear_head(void *user, int64_t at, int worker)
{
    const linear *j = user;
    const adze_tensor *past = adze_ops_input(j->run, PAST);
    const int64_t size = j->dk * j->dv, batch = at / j->kv, kv = at % j->kv;
    const int64_t group = j->heads / j->kv;
    float *s = (float *)j->run->scratch + (size_t)worker * j->worker_floats, *k = s + size;
    float *decay = k + j->dk, *q = decay + j->dk, *v = q + j->dk, *seen = v + j->dv;
    if (past)
        adze_ops_load(j->run->kernels, past, at * size, 1, size, s);
    else
        memset(s, 0, (size_t)size * sizeof *s);
    for (int64_t t = 0; t < j->tokens; t++) {
        update(j, batch, t, kv, s, k, v, decay, seen);
        for (int64_t h = kv * group; h < (kv + 1) * group && j->run->outputs[0]; h++)
            read_state(j, batch, t, h, s, q, seen);
    }
    if (adze_ops_output(j->run, 1))
        adze_ops_store(j->run->kernels, s, size, j->run->outputs[1], at * size);
}

static adze_status linear_run(adze_run *run, adze_error *err)
{
    linear j = {0};
    const char *wrong = linear_fill(&j, run);
    if (wrong)
        return bad_run(run, wrong, err);
    if (j.dk > 0 && j.dv > 0)
        adze_run_parallel(run, j.batches * j.kv, linear_head, &j);
    else if (run->outputs[0])
        memset(run->outputs[0]->data, 0, run->outputs[0]->size);
    return ADZE_OK;
}

static void linear_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(outputs);
    const double heads = (double)adze_node_int(node, "q_num_heads", 1);
    cost->operations = 8.0 * (double)adze_tensor_elements(inputs[VALUE]) *
                       (double)inputs[QUERY]->dims[2] / ADZE_MAX(heads, 1);
}

/* ---- CausalConvWithState: a depthwise convolution that looks back only ---- */

enum { X, WEIGHT, BIAS, STATE };

static const char *const activations[] = {"none", "silu", "swish", NULL};

static adze_status conv_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, X), *w = adze_ops_ranked(infer, WEIGHT);
    if (adze_ops_choice(activations, adze_node_string(node, "activation", "none")) < 0)
        return adze_ops_bad(node, err, "activation is none of none, silu, swish");
    if (!x || !w)
        return ADZE_OK;
    if (x->rank != 3 || w->rank != 3)
        return adze_ops_bad(node, err, "input and weight are of rank 3");
    if (adze_dim_known(w->dims[2]) && w->dims[2] < 1)
        return adze_ops_bad(node, err, "the kernel is empty");
    adze_infer_set_tensor(infer, 0, x->dtype, 3, x->dims);
    adze_infer_set_tensor(
        infer, 1, x->dtype, 3,
        (adze_dim[]){x->dims[0], x->dims[1], adze_infer_sub(infer, w->dims[2], 1)});
    return ADZE_OK;
}

typedef struct conv {
    const adze_run *run;
    int64_t channels, length, taps;
    size_t worker_floats;
    bool silu;
} conv;

static conv conv_fill(const adze_run *run)
{
    const adze_tensor *x = run->inputs[X];
    conv j = {.run = run,
              .channels = x->dims[1],
              .length = x->dims[2],
              .taps = run->inputs[WEIGHT]->dims[2],
              .silu = strcmp(adze_node_string(run->node, "activation", "none"), "none") != 0};
    j.worker_floats = ((size_t)j.length * 2 + (size_t)j.taps * 2 + 15) / 16 * 16;
    return j;
}

static size_t conv_scratch(const adze_run *run)
{
    return conv_fill(run).worker_floats * sizeof(float) * (size_t)adze_run_threads(run);
}

static void conv_channel(void *user, int64_t at, int worker)
{
    const conv *j = user;
    const adze_run *run = j->run;
    const adze_kernels *k = run->kernels;
    const adze_tensor *bias = adze_ops_input(run, BIAS), *state = adze_ops_input(run, STATE);
    const int64_t before = j->taps - 1, c = at % j->channels;
    float *w = (float *)run->scratch + (size_t)worker * j->worker_floats, *x = w + j->taps;
    float *y = x + before + j->length, b = 0;
    adze_ops_load(k, run->inputs[WEIGHT], c * j->taps, 1, j->taps, w);
    memset(x, 0, (size_t)before * sizeof *x);
    if (state)
        adze_ops_load(k, state, at * before, 1, before, x);
    adze_ops_load(k, run->inputs[X], at * j->length, 1, j->length, x + before);
    if (bias)
        adze_ops_load(k, bias, c, 1, 1, &b);
    for (int64_t i = 0; i < j->length; i++) {
        float sum = b;
        for (int64_t t = 0; t < j->taps; t++)
            sum += w[t] * x[i + t];
        y[i] = sum;
    }
    adze_tensor *out = adze_ops_output(run, 0), *next = adze_ops_output(run, 1);
    if (out) {
        adze_ops_store(k, y, j->length, out, at * j->length);
        if (j->silu) { /* of what the type holds */
            adze_ops_load(k, out, at * j->length, 1, j->length, y);
            k->eltwise.unary[ADZE_UNARY_SILU](j->length, y, y, 0, 0);
            adze_ops_store(k, y, j->length, out, at * j->length);
        }
    }
    if (next)
        adze_ops_store(k, x + j->length, before, next, at * before);
}

static adze_status conv_run(adze_run *run, adze_error *err)
{
    conv j = conv_fill(run);
    const int64_t batches = run->inputs[X]->dims[0];
    const int64_t weights[3] = {j.channels, 1, j.taps},
                  states[3] = {batches, j.channels, j.taps - 1};
    if (j.taps < 1 || !has_shape(run->inputs[WEIGHT], 3, weights))
        return bad_run(run, "the weights are not [channels, 1, k]", err);
    if (!has_shape(adze_ops_input(run, BIAS), 1, weights))
        return bad_run(run, "the bias is not [channels]", err);
    if (!has_shape(adze_ops_input(run, STATE), 3, states))
        return bad_run(run, "past_state is not [batch, channels, k - 1]", err);
    adze_run_parallel(run, batches * j.channels, conv_channel, &j);
    return ADZE_OK;
}

static void conv_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    cost->operations =
        2.0 * (double)adze_tensor_elements(inputs[X]) * (double)inputs[WEIGHT]->dims[2];
}

#define STATE_ROW(op, most, attributes, part)                                                      \
    {                                                                                              \
        .domain = "", .name = op, .since = 27, .min_inputs = most == 6 ? 3 : 2,                    \
        .max_inputs = most, .min_outputs = 1, .max_outputs = 2, .attrs = attributes,               \
        .infer = part##_infer, .cost = part##_cost, .prepare = float_prepare,                      \
        .scratch = part##_scratch, .run = part##_run                                               \
    }

const adze_op adze_ops_linear_attention[] = {
    STATE_ROW("LinearAttention", 6, "chunk_size kv_num_heads q_num_heads scale update_rule",
              linear),
    STATE_ROW("CausalConvWithState", 4, "activation", conv),
    {.name = NULL},
};
