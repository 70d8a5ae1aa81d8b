/* RotaryEmbedding of ONNX and of com.microsoft: pairs of numbers in each head are turned by the angles of the
 * token's position, whose cosines and sines come as tables. One kernel call turns a row of heads. */
#include <string.h>

#include "ops/execute.h"
#include "ops/helpers.h"

typedef struct rotary {
    const adze_run *run;
    int64_t batches, heads, tokens, d, r; /* r: numbers turned in a head */
    int64_t head, row;                    /* strides of a head and of a token in x and y */
    const adze_tensor *cosines, *sines, *positions;
    bool interleaved;
    size_t worker_floats;
} rotary;

static bool is_microsoft(const adze_node *node)
{
    return *adze_node_domain(node) != '\0';
}

static const char *fill(rotary *j, const adze_run *run)
{
    const bool ms = is_microsoft(run->node);
    const adze_tensor *x = run->inputs[0];
    const int64_t heads = adze_node_int(run->node, "num_heads", 0);
    j->run = run;
    j->cosines = run->inputs[ms ? 2 : 1];
    j->sines = run->inputs[ms ? 3 : 2];
    j->positions = adze_ops_input(run, ms ? 1 : 3);
    j->interleaved = adze_node_int(run->node, "interleaved", 0) != 0;
    j->r = adze_node_int(run->node, "rotary_embedding_dim", 0);
    j->batches = x->dims[0];
    if (x->rank == 4) {
        j->heads = x->dims[1];
        j->tokens = x->dims[2];
        j->d = x->dims[3];
    } else {
        const int64_t half = j->cosines->dims[j->cosines->rank > 0 ? j->cosines->rank - 1 : 0];
        j->tokens = x->dims[1];
        j->heads = heads > 0 ? heads : ms && half > 0 && j->r == 0 ? x->dims[2] / (2 * half) : 0;
        if (j->heads < 1 || x->dims[2] % j->heads != 0)
            return "num_heads does not divide the last dimension";
        j->d = x->dims[2] / j->heads;
    }
    j->head = x->rank == 4 ? j->tokens * j->d : j->d;
    j->row = x->rank == 4 ? j->d : j->heads * j->d;
    j->r = j->r > 0 ? j->r : j->d;
    if (j->r % 2 != 0 || j->r > j->d)
        return "the numbers to be turned are odd or more than a head has";
    j->worker_floats = (size_t)(j->r + 2 * j->d + 15) / 16 * 16;
    return NULL;
}

static const char *check_tables(const rotary *j)
{
    const adze_tensor *c = j->cosines, *s = j->sines;
    const int rank = j->positions ? 2 : 3;
    if (c->rank != rank || s->rank != rank || c->dims[rank - 1] != j->r / 2)
        return "the tables are not [positions, r / 2], or [batch, tokens, r / 2] without positions";
    for (int i = 0; i < rank; i++)
        if (c->dims[i] != s->dims[i])
            return "the tables of cosines and sines differ in shape";
    if (!j->positions)
        return c->dims[0] == j->batches && c->dims[1] == j->tokens
                   ? NULL
                   : "the tables are not those of each token";
    const int64_t n = adze_tensor_elements(j->positions);
    if (j->positions->dtype != ADZE_I64)
        return "positions are no int64";
    if (n != j->batches * j->tokens && !(is_microsoft(j->run->node) && n == 1))
        return "positions are not [batch, tokens]";
    return NULL;
}

/* Row of the tables for a token; below zero or beyond the end: bad data. */
static int64_t table_row(const rotary *j, int64_t at)
{
    if (!j->positions)
        return at;
    const int64_t *p = j->positions->data;
    if (adze_tensor_elements(j->positions) == j->batches * j->tokens && j->positions->rank == 2)
        return p[at];
    return p[0] < 0 || p[0] >= j->cosines->dims[0] ? -1 : p[0] + at % j->tokens;
}

static size_t rotary_scratch(const adze_run *run)
{
    rotary j = {0};
    return fill(&j, run) ? 0 : j.worker_floats * sizeof(float) * (size_t)adze_run_threads(run);
}

static void rotary_tokens(void *user, int64_t begin, int64_t end, int worker)
{
    const rotary *j = user;
    const adze_kernels *k = j->run->kernels;
    const int64_t half = j->r / 2;
    float *table = (float *)j->run->scratch + (size_t)worker * j->worker_floats;
    float *in = table + j->r, *out = in + j->d;
    const adze_tensor *x = j->run->inputs[0];
    adze_tensor *y = j->run->outputs[0];
    const bool plain = x->dtype == ADZE_F32;
    for (int64_t at = begin; at < end; at++) {
        const int64_t row = table_row(j, at);
        const int64_t first =
            at / j->tokens * j->heads * j->tokens * j->d + at % j->tokens * j->row;
        adze_ops_load(k, j->cosines, row * half, 1, half, table);
        adze_ops_load(k, j->sines, row * half, 1, half, table + half);
        for (int64_t h = 0; h < j->heads && !plain; h++) {
            adze_ops_load(k, x, first + h * j->head, 1, j->d, in);
            k->attention.rope(1, j->d, j->r, j->interleaved, table, in, out);
            adze_ops_store(k, out, j->d, y, first + h * j->head);
        }
        const int64_t together = j->head == j->d ? j->heads : 1; /* heads that are neighbours */
        for (int64_t h = 0; h < j->heads && plain; h += together)
            k->attention.rope(together, j->d, j->r, j->interleaved, table,
                              (const float *)x->data + first + h * j->head,
                              (float *)y->data + first + h * j->head);
    }
}

static adze_status rotary_run(adze_run *run, adze_error *err)
{
    rotary j = {0};
    const char *wrong = fill(&j, run);
    if (!wrong)
        wrong = check_tables(&j);
    if (wrong)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s", adze_node_op(run->node),
                         adze_node_name(run->node), wrong);
    const int64_t total = j.batches * j.tokens;
    for (int64_t at = 0; j.positions && at < total; at++)
        if (table_row(&j, at) < 0 || table_row(&j, at) >= j.cosines->dims[0])
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s '%s': position of token %lld, expected 0 to %lld",
                             adze_node_op(run->node), adze_node_name(run->node), (long long)at,
                             (long long)j.cosines->dims[0] - 1);
    adze_ops_parallel(run, total, ADZE_MAX(1, 16384 / ADZE_MAX(j.heads * j.d, 1)), rotary_tokens,
                      &j);
    return ADZE_OK;
}

static adze_status rotary_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (x && x->rank != 3 && x->rank != 4)
        return adze_ops_bad(adze_infer_node(infer), err, "the input is of rank 3 or 4");
    return adze_ops_infer_same(infer, err);
}

static adze_status rotary_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    for (int i = 0; i < adze_node_input_count(node); i++) {
        const adze_tensor *t = adze_prepare_input(prepare, i);
        if (t && i != (is_microsoft(node) ? 1 : 3) && (!adze_ops_is_float(t->dtype) || t->quant))
            return adze_ops_unsupported(node, t->dtype, err);
    }
    return adze_node_int(node, "is_packed_batching", 0) != 0
               ? adze_fail(err, ADZE_UNSUPPORTED, "is_packed_batching")
               : ADZE_OK;
}

static void rotary_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 3.0 * (double)adze_tensor_elements(outputs[0]);
}

#define ROTARY_ROW(space, first, least, attributes)                                                \
    {                                                                                              \
        .domain = space, .name = "RotaryEmbedding", .since = first, .min_inputs = least,           \
        .max_inputs = 4, .min_outputs = 1, .max_outputs = 1, .attrs = attributes,                  \
        .infer = rotary_infer, .cost = rotary_cost, .prepare = rotary_prepare,                     \
        .scratch = rotary_scratch, .run = rotary_run                                               \
    }

const adze_op adze_ops_rotary[] = {
    ROTARY_ROW("", 23, 3, "interleaved num_heads rotary_embedding_dim"),
    ROTARY_ROW("com.microsoft", 1, 4,
               "interleaved is_packed_batching num_heads rotary_embedding_dim scale"),
    {.name = NULL},
};
