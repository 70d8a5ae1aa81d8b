/* Mixtures of experts: a router chooses k experts for each token, each expert's product runs once over the
 * rows that chose it, and their results are summed by weight. */
#include "ops/language.h"

#include <math.h>
#include <string.h>

#include "kernels/linear.h"
#include "ops/execute.h"

static inline size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- MoeRoute: logits [T, E] -> weights [T, K], experts [T, K] ---- */

static const char *const gates[] = {"softmax", "sigmoid", NULL};

static adze_status route_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(adze_language_f32(infer, 0, err));
    const adze_node *node = adze_infer_node(infer);
    const int64_t k = adze_node_int(node, "k", 1);
    if (adze_ops_choice(gates, adze_node_string(node, "gate", "softmax")) < 0)
        return adze_ops_bad(node, err, "gate is neither softmax nor sigmoid");
    const adze_dim any[2] = {ADZE_LANGUAGE_ANY, ADZE_LANGUAGE_ANY};
    ADZE_TRY(adze_language_shape(infer, 0, 2, any, "[T, E]", err));
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (k < 1 || (x && adze_dim_known(x->dims[1]) && k > x->dims[1]))
        return adze_ops_bad(node, err, "k must be between 1 and the number of experts");
    if (!x)
        return ADZE_OK;
    const adze_dim dims[2] = {x->dims[0], k};
    adze_infer_set_tensor(infer, 0, ADZE_F32, 2, dims);
    adze_infer_set_tensor(infer, 1, ADZE_I64, 2, dims);
    return ADZE_OK;
}

static size_t route_scratch(const adze_run *run)
{
    return (size_t)adze_run_threads(run) *
           aligned((size_t)ADZE_MAX(run->inputs[0]->dims[1], 1) * sizeof(float));
}

typedef struct route_job {
    const adze_run *run;
    int64_t experts, k;
    bool sigmoid, normalize;
    float scale;
} route_job;

/* The largest k, first of equals first; what is chosen becomes -1, below every weight. */
static void choose(float *w, int64_t experts, int64_t k, float *weights, int64_t *ids)
{
    for (int64_t i = 0; i < k; i++) {
        int64_t best = -1;
        for (int64_t e = 0; e < experts; e++)
            if (w[e] >= 0 && (best < 0 || w[e] > w[best]))
                best = e;
        weights[i] = best < 0 ? NAN : w[best]; /* none left: the others are NaN */
        ids[i] = best < 0 ? 0 : best;
        if (best >= 0)
            w[best] = -1;
    }
}

static void route_rows(void *user, int64_t begin, int64_t end, int worker)
{
    const route_job *j = user;
    const adze_run *run = j->run;
    float *w = (float *)(void *)((char *)run->scratch +
                                 (size_t)worker * aligned((size_t)j->experts * sizeof(float)));
    for (int64_t t = begin; t < end; t++) {
        const float *x = (const float *)run->inputs[0]->data + t * j->experts;
        float *weights = (float *)run->outputs[0]->data + t * j->k, sum = 0;
        if (j->sigmoid)
            run->kernels->eltwise.unary[ADZE_UNARY_SIGMOID](j->experts, x, w, 0, 0);
        else
            run->kernels->rows.softmax(j->experts, x, w);
        choose(w, j->experts, j->k, weights, (int64_t *)run->outputs[1]->data + t * j->k);
        for (int64_t i = 0; i < j->k; i++)
            sum += weights[i];
        for (int64_t i = 0; i < j->k; i++)
            weights[i] = (j->normalize ? weights[i] / sum : weights[i]) * j->scale;
    }
}

static adze_status route_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_node *node = run->node;
    route_job j = {.run = run,
                   .experts = run->inputs[0]->dims[1],
                   .k = adze_node_int(node, "k", 1),
                   .sigmoid = strcmp(adze_node_string(node, "gate", "softmax"), "sigmoid") == 0,
                   .normalize = adze_node_int(node, "normalize", 0) != 0,
                   .scale = adze_node_float(node, "scale", 1)};
    adze_ops_parallel(run, run->inputs[0]->dims[0], 16, route_rows, &j);
    return ADZE_OK;
}

/* ---- ExpertLinear: x [T, K] or [T, k, K], w [E, N, K], experts [T, k], bias [E, N] or none -> [T, k, N] ---- */

static adze_status expert_infer(adze_infer *infer, adze_error *err)
{
    const adze_dim any = ADZE_LANGUAGE_ANY;
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_weights(infer, 1, err));
    ADZE_TRY(adze_language_i64(infer, 2, err));
    ADZE_TRY(adze_language_f32(infer, 3, err));
    const adze_type *x = adze_ops_ranked(infer, 0), *w = adze_ops_ranked(infer, 1);
    const adze_type *ids = adze_ops_ranked(infer, 2);
    if (!x || !w || !ids)
        return ADZE_OK;
    ADZE_TRY(adze_language_shape(infer, 2, 2, (adze_dim[]){x->rank > 0 ? x->dims[0] : any, any},
                                 "[T, k]", err));
    if (x->rank != 2)
        ADZE_TRY(adze_language_shape(infer, 0, 3, (adze_dim[]){ids->dims[0], ids->dims[1], any},
                                     "[T, K] or [T, k, K]", err));
    ADZE_TRY(adze_language_shape(infer, 1, 3, (adze_dim[]){any, any, x->dims[x->rank - 1]},
                                 "[E, N, K]", err));
    ADZE_TRY(adze_language_shape(infer, 3, 2, w->dims, "[E, N]", err));
    adze_infer_set_tensor(infer, 0, ADZE_F32, 3,
                          (adze_dim[]){ids->dims[0], ids->dims[1], w->dims[1]});
    return ADZE_OK;
}

/* At most so many experts are read as rows were routed. */
static void expert_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    const adze_tensor *w = inputs[1], *y = outputs[0];
    const double rows = (double)(y->dims[0] * y->dims[1]), experts = (double)w->dims[0];
    cost->operations = 2.0 * (double)adze_tensor_elements(y) * (double)w->dims[2];
    cost->bytes = (double)inputs[0]->size + (double)y->size +
                  (double)w->size * (experts > 0 ? ADZE_MIN(rows / experts, 1.0) : 0);
}

static adze_status expert_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *w = adze_prepare_input(prepare, 1);
    return adze_linear_can(adze_prepare_kernels(prepare), w->dtype)
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), w->dtype, err);
}

/* Scratch: first rows of the experts, rows in the order of experts, gathered x, their y, then what the
 * product needs. */
typedef struct expert_memory {
    int64_t *first; /* [E + 1] */
    int64_t *order; /* [T * k] */
    float *x, *y;   /* [T * k, K], [T * k, N] */
    void *linear;
    size_t size;
} expert_memory;

static expert_memory expert_memory_at(char *base, int64_t experts, int64_t rows, int64_t k,
                                      int64_t n)
{
    size_t first = aligned((size_t)(experts + 1) * sizeof(int64_t));
    size_t order = first + aligned((size_t)rows * sizeof(int64_t));
    size_t x = order + aligned((size_t)(rows * k) * sizeof(float));
    size_t y = x + aligned((size_t)(rows * n) * sizeof(float));
    if (!base)
        return (expert_memory){.size = y};
    return (expert_memory){(int64_t *)(void *)base,
                           (int64_t *)(void *)(base + first),
                           (float *)(void *)(base + order),
                           (float *)(void *)(base + x),
                           base + y,
                           y};
}

static size_t expert_scratch(const adze_run *run)
{
    const adze_tensor *w = run->inputs[1];
    const int64_t rows = adze_tensor_elements(run->inputs[2]);
    return expert_memory_at(NULL, w->dims[0], rows, w->dims[2], w->dims[1]).size +
           adze_linear_scratch(run->kernels, w->dtype, rows, w->dims[2], adze_run_threads(run));
}

/* Counting sort: the rows of expert e are order[first[e]] .. order[first[e + 1] - 1], ascending. */
static void group_rows(const expert_memory *m, const int64_t *ids, int64_t rows, int64_t experts)
{
    memset(m->first, 0, (size_t)(experts + 1) * sizeof *m->first);
    for (int64_t r = 0; r < rows; r++)
        m->first[ids[r] + 1]++;
    for (int64_t e = 0; e < experts; e++)
        m->first[e + 1] += m->first[e];
    for (int64_t r = 0; r < rows; r++)
        m->order[m->first[ids[r]]++] = r;
    for (int64_t e = experts; e > 0; e--)
        m->first[e] = m->first[e - 1];
    m->first[0] = 0;
}

typedef struct expert_job {
    adze_run *run;
    expert_memory memory;
    adze_linear_args args; /* of one expert */
    int64_t shared;        /* rows of ids that share a row of x */
} expert_job;

static void run_expert(expert_job *j, int64_t count, const int64_t *order)
{
    const float *x = j->run->inputs[0]->data;
    float *y = j->run->outputs[0]->data;
    adze_linear_args a = j->args;
    const size_t x_bytes = (size_t)a.k * sizeof(float), y_bytes = (size_t)a.n * sizeof(float);
    a.tokens = count;
    if (count == 1) { /* in place */
        a.x = x + order[0] / j->shared * a.k;
        a.y = y + order[0] * a.n;
        adze_linear_run(j->run->kernels, j->run->pool, &a);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        memcpy(j->memory.x + i * a.k, x + order[i] / j->shared * a.k, x_bytes);
    a.x = j->memory.x;
    a.y = j->memory.y;
    adze_linear_run(j->run->kernels, j->run->pool, &a);
    for (int64_t i = 0; i < count; i++)
        memcpy(y + order[i] * a.n, j->memory.y + i * a.n, y_bytes);
}

static adze_status expert_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0], *w = run->inputs[1], *ids = run->inputs[2];
    const adze_tensor *bias = adze_ops_input(run, 3);
    const int64_t experts = w->dims[0], n = w->dims[1], k = w->dims[2];
    const int64_t rows = adze_tensor_elements(ids);
    const size_t row_bytes = adze_dtype_bytes(w->dtype, k);
    ADZE_TRY(adze_language_range(run, 2, experts, "expert", err));
    expert_job j = {.run = run,
                    .memory = expert_memory_at(run->scratch, experts, rows, k, n),
                    .shared = x->rank == 2 ? ids->dims[1] : 1};
    j.args = (adze_linear_args){.dtype = w->dtype,
                                .w_stride = row_bytes,
                                .n = n,
                                .k = k,
                                .ldx = k,
                                .ldy = n,
                                .scratch = j.memory.linear};
    group_rows(&j.memory, ids->data, rows, experts);
    for (int64_t e = 0; e < experts && n > 0; e++) {
        const int64_t first = j.memory.first[e], count = j.memory.first[e + 1] - first;
        j.args.w = (const char *)w->data + (size_t)(e * n) * row_bytes;
        j.args.bias = bias ? (const float *)bias->data + e * n : NULL;
        if (count > 0)
            run_expert(&j, count, j.memory.order + first);
    }
    return ADZE_OK;
}

/* ---- MoeCombine: y [T, k, N], weights [T, k] -> [T, N] ---- */

static adze_status combine_infer(adze_infer *infer, adze_error *err)
{
    const adze_dim any = ADZE_LANGUAGE_ANY;
    ADZE_TRY(adze_language_f32(infer, 0, err));
    ADZE_TRY(adze_language_f32(infer, 1, err));
    ADZE_TRY(adze_language_shape(infer, 0, 3, (adze_dim[]){any, any, any}, "[T, k, N]", err));
    const adze_type *y = adze_ops_ranked(infer, 0);
    if (!y)
        return ADZE_OK;
    ADZE_TRY(adze_language_shape(infer, 1, 2, y->dims, "[T, k]", err));
    adze_infer_set_tensor(infer, 0, ADZE_F32, 2, (adze_dim[]){y->dims[0], y->dims[2]});
    return ADZE_OK;
}

static void combine_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                         const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    cost->operations = 2.0 * (double)adze_tensor_elements(inputs[0]);
}

static void combine_rows(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const adze_run *run = user;
    const int64_t k = run->inputs[0]->dims[1], n = run->inputs[0]->dims[2];
    for (int64_t t = begin; t < end; t++) {
        const float *from = (const float *)run->inputs[0]->data + t * k * n;
        const float *weights = (const float *)run->inputs[1]->data + t * k;
        float *y = (float *)run->outputs[0]->data + t * n;
        memset(y, 0, (size_t)n * sizeof *y);
        for (int64_t j = 0; j < k; j++)
            for (int64_t i = 0; i < n; i++)
                y[i] += weights[j] * from[j * n + i];
    }
}

static adze_status combine_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_tensor *y = run->inputs[0];
    adze_ops_parallel(run, y->dims[0], ADZE_MAX(1, 16384 / ADZE_MAX(y->dims[1] * y->dims[2], 1)),
                      combine_rows, run);
    return ADZE_OK;
}

const adze_op adze_ops_language_moe[] = {
    ADZE_LANGUAGE_ROW("MoeRoute", 1, 1, 2, "k gate normalize scale", .flags = ADZE_OP_INTERNAL,
                      .infer = route_infer, .scratch = route_scratch, .run = route_run),
    ADZE_LANGUAGE_ROW("ExpertLinear", 3, 4, 1, "", .flags = ADZE_OP_INTERNAL, .infer = expert_infer,
                      .cost = expert_cost, .prepare = expert_prepare, .scratch = expert_scratch,
                      .run = expert_run),
    ADZE_LANGUAGE_ROW("MoeCombine", 2, 2, 1, "", .flags = ADZE_OP_INTERNAL, .infer = combine_infer,
                      .cost = combine_cost, .run = combine_run),
    {.name = NULL},
};
