/* Attention of ONNX (opset 23 to 25): caches joined inside (past, present) or outside (nonpad_kv_seqlen), masks,
 * causal frontier and window, grouped heads, softcap, the scores as an output. 3-D inputs hold their heads
 * side by side in the last axis. */
#include <math.h>
#include <string.h>

#include "ops/attention_core.h"
#include "ops/execute.h"

enum { Q, K, V, MASK, PAST_K, PAST_V, NONPAD };

/* FlexAttention of ai.onnx.preview: 4-D only, probabilities in the precision of the softmax. One with graphs
 * inside (score_mod, prob_mod) is written out when a file is read: model/onnx_flex.c. */
static bool is_flex(const adze_node *node)
{
    return adze_node_op(node)[0] == 'F';
}

/* ---- shapes ---- */

static adze_status check_heads(const adze_node *node, const adze_type *q, adze_error *err)
{
    int64_t heads = adze_node_int(node, "q_num_heads", 0);
    int64_t kv = adze_node_int(node, "kv_num_heads", 0);
    if (q->rank == 4)
        return ADZE_OK;
    return heads > 0 && kv > 0 && heads % kv == 0
               ? ADZE_OK
               : adze_fail(
                     err, ADZE_BAD_MODEL,
                     "%s '%s': q_num_heads %lld and kv_num_heads %lld, expected a multiple and "
                     "its divisor, above zero",
                     adze_node_op(node), adze_node_name(node), (long long)heads, (long long)kv);
}

static adze_status check_attributes(const adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const int64_t mode = adze_node_int(node, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
        return adze_ops_bad(node, err, "qk_matmul_output_mode is none of 0 to 3");
    if (adze_node_int(node, "left_window_size", -1) < -1 ||
        adze_node_int(node, "right_window_size", -1) < -1)
        return adze_ops_bad(node, err, "a window size below -1");
    if (adze_node_has(node, "softmax_precision") &&
        !adze_ops_is_float(adze_dtype_from_onnx((int)adze_node_int(node, "softmax_precision", 1))))
        return adze_ops_bad(node, err, "softmax_precision is no float type");
    const bool past = adze_infer_input(infer, PAST_K), past_v = adze_infer_input(infer, PAST_V);
    if (past != past_v)
        return adze_ops_bad(node, err, "past_key and past_value come together or not at all");
    if (past && adze_infer_input(infer, NONPAD))
        return adze_ops_bad(node, err, "nonpad_kv_seqlen and a past exclude each other");
    return ADZE_OK;
}

/* [batch, heads, length, d] of an input of either form. */
static void four_dims(adze_infer *infer, const adze_type *t, int64_t heads, adze_dim out[4])
{
    out[0] = t->dims[0];
    out[1] = t->rank == 4 ? t->dims[1] : heads;
    out[2] = t->dims[t->rank == 4 ? 2 : 1];
    out[3] = t->rank == 4 ? t->dims[3] : adze_infer_div(infer, t->dims[2], heads);
}

static adze_status attention_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *q = adze_ops_ranked(infer, Q), *k = adze_ops_ranked(infer, K);
    const adze_type *v = adze_ops_ranked(infer, V);
    ADZE_TRY(check_attributes(infer, err));
    if (!q || !k || !v)
        return ADZE_OK;
    if ((q->rank != (is_flex(node) ? 4 : 3) && q->rank != 4) || k->rank != q->rank ||
        v->rank != q->rank)
        return adze_ops_bad(node, err,
                            "queries, keys and values are all of rank 3 or all of rank 4");
    ADZE_TRY(check_heads(node, q, err));
    const int64_t heads = adze_node_int(node, "q_num_heads", 0);
    const int64_t kv = adze_node_int(node, "kv_num_heads", 0);
    adze_dim qd[4], kd[4], vd[4];
    four_dims(infer, q, heads, qd);
    four_dims(infer, k, kv, kd);
    four_dims(infer, v, kv, vd);
    const adze_type *past = adze_infer_input(infer, PAST_K);
    const adze_type *past_v = adze_infer_input(infer, PAST_V);
    bool known = !past || (past->rank >= 0 && past_v->rank >= 0);
    if (past && known && (past->rank != 4 || past_v->rank != 4))
        return adze_ops_bad(node, err, "past_key and past_value are not of rank 4");
    if (q->rank == 4)
        adze_infer_set_tensor(infer, 0, q->dtype, 4, (adze_dim[]){qd[0], qd[1], qd[2], vd[3]});
    else
        adze_infer_set_tensor(infer, 0, q->dtype, 3,
                              (adze_dim[]){qd[0], qd[2], adze_infer_mul(infer, heads, vd[3])});
    if (!known)
        return ADZE_OK;
    const adze_dim total = past ? adze_infer_add(infer, past->dims[2], kd[2]) : kd[2];
    adze_infer_set_tensor(infer, 1, k->dtype, 4, (adze_dim[]){kd[0], kd[1], total, kd[3]});
    adze_infer_set_tensor(infer, 2, v->dtype, 4, (adze_dim[]){vd[0], vd[1], total, vd[3]});
    adze_infer_set_tensor(infer, 3, q->dtype, 4, (adze_dim[]){qd[0], qd[1], qd[2], total});
    return ADZE_OK;
}

static adze_status attention_prepare(adze_prepare *prepare, adze_error *err)
{
    for (int i = Q; i <= PAST_V; i++) {
        const adze_tensor *t = adze_ops_prepare_input(prepare, i);
        if (t && i != MASK && (!adze_ops_is_float(t->dtype) || t->quant))
            return adze_ops_unsupported(adze_prepare_node(prepare), t->dtype, err);
    }
    return ADZE_OK;
}

/* ---- this run ---- */

typedef struct attention_run_state {
    adze_attend a;
    adze_mask mask; /* tensor NULL: none */
    bool causal;
    int64_t left, right; /* -1: no bound */
} state;

static int64_t heads_in(const adze_tensor *t, int64_t attribute)
{
    return t->rank == 4 ? t->dims[1] : attribute;
}

static int64_t length_of(const adze_tensor *t)
{
    return t->dims[t->rank == 4 ? 2 : 1];
}

static int64_t numbers_of(const adze_tensor *t, int64_t heads)
{
    return t->rank == 4                           ? t->dims[3]
           : heads > 0 && t->dims[2] % heads == 0 ? t->dims[2] / heads
                                                  : -1;
}

static bool past_fits(const adze_tensor *t, const adze_attend *a, int64_t d)
{
    return t->rank == 4 && t->dims[0] == a->batches && t->dims[1] == a->kv_heads && t->dims[3] == d;
}

static adze_dtype precision_of(const adze_node *node, adze_dtype otherwise)
{
    return adze_node_has(node, "softmax_precision")
               ? adze_dtype_from_onnx((int)adze_node_int(node, "softmax_precision", 1))
               : otherwise;
}

/* What is wrong, or NULL. */
static const char *fill_sizes(adze_attend *a, const adze_run *run)
{
    const adze_tensor *q = run->inputs[Q], *k = run->inputs[K], *v = run->inputs[V];
    const adze_tensor *past_k = adze_ops_input(run, PAST_K), *past_v = adze_ops_input(run, PAST_V);
    const int64_t kv = adze_node_int(run->node, "kv_num_heads", 0);
    a->batches = q->dims[0];
    a->heads = heads_in(q, adze_node_int(run->node, "q_num_heads", 0));
    a->kv_heads = heads_in(k, kv);
    a->queries = length_of(q);
    a->past = past_k ? past_k->dims[2] : 0;
    a->keys = a->past + length_of(k);
    a->d = numbers_of(q, a->heads);
    a->dv = numbers_of(v, a->kv_heads);
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0)
        return "the heads of the queries are no multiple of those of the keys";
    if (heads_in(v, kv) != a->kv_heads || length_of(v) != length_of(k))
        return "keys and values differ in heads or length";
    if (k->dims[0] != a->batches || v->dims[0] != a->batches)
        return "queries, keys and values differ in batch";
    if (a->d < 0 || a->dv < 0 || numbers_of(k, a->kv_heads) != a->d)
        return "the sizes of heads do not fit";
    if (past_k &&
        (!past_fits(past_k, a, a->d) || !past_fits(past_v, a, a->dv) || past_v->dims[2] != a->past))
        return "past_key or past_value does not fit keys and values";
    return NULL;
}

static void add_bias(const adze_attend *a, int64_t batch, int64_t head, int64_t query, float *row)
{
    const state *s = a->user;
    const int64_t keys =
        a->valid && !a->scores ? ADZE_MAX(0, ADZE_MIN(a->valid[batch], a->keys)) : a->keys;
    if (s->mask.tensor)
        adze_mask_add(&s->mask, batch, head, query, keys, row);
    const int64_t p = query + (a->valid ? a->valid[batch] - a->queries : a->past);
    int64_t begin = s->left >= 0 && p > s->left ? p - s->left : 0, end = keys;
    if (s->right >= 0 && s->right < keys)
        end = ADZE_MIN(end, p + s->right + 1);
    if (s->causal)
        end = ADZE_MIN(end, p + 1);
    if (a->valid)
        end = ADZE_MIN(end, a->valid[batch]);
    for (int64_t j = 0; j < ADZE_MIN(begin, keys); j++)
        row[j] = -INFINITY;
    for (int64_t j = ADZE_MAX(end, 0); j < keys; j++)
        row[j] = -INFINITY;
}

static const char *fill(state *s, const adze_run *run)
{
    const adze_node *node = run->node;
    adze_attend *a = &s->a;
    const char *wrong = fill_sizes(a, run);
    if (wrong)
        return wrong;
    const adze_tensor *q = run->inputs[Q], *mask = adze_ops_input(run, MASK);
    const adze_tensor *nonpad = adze_ops_input(run, NONPAD);
    const bool packed = q->rank == 3;
    s->causal = adze_node_int(node, "is_causal", 0) != 0;
    s->left = adze_node_int(node, "left_window_size", -1);
    s->right = adze_node_int(node, "right_window_size", -1);
    a->q = adze_heads_of(q, packed, a->heads, a->queries, a->d);
    a->k = adze_heads_of(run->inputs[K], packed, a->kv_heads, a->keys - a->past, a->d);
    a->v = adze_heads_of(run->inputs[V], packed, a->kv_heads, a->keys - a->past, a->dv);
    a->y = adze_heads_of(run->outputs[0], packed, a->heads, a->queries, a->dv);
    a->past_k = adze_heads_of(adze_ops_input(run, PAST_K), false, a->kv_heads, a->past, a->d);
    a->past_v = adze_heads_of(adze_ops_input(run, PAST_V), false, a->kv_heads, a->past, a->dv);
    a->scale = adze_node_float(node, "scale", 1 / sqrtf((float)ADZE_MAX(a->d, 1)));
    a->softcap = adze_node_float(node, "softcap", 0);
    a->half_scale = true;
    a->round = q->dtype;
    a->precision = precision_of(node, q->dtype);
    if (is_flex(node)) {
        a->exact = true;
        a->precision = precision_of(node, q->dtype == ADZE_F64 ? ADZE_F64 : ADZE_F32);
    }
    a->scores = adze_ops_output(run, 3);
    a->mode = (adze_scores_mode)adze_node_int(node, "qk_matmul_output_mode", 0);
    a->valid = nonpad ? nonpad->data : NULL;
    a->user = s;
    if (nonpad && (nonpad->dtype != ADZE_I64 || adze_tensor_elements(nonpad) != a->batches))
        return "nonpad_kv_seqlen is not one int64 for each of the batch";
    if (mask && !adze_mask_make(&s->mask, mask, a, true))
        return "attn_mask does not broadcast to [batch, heads, queries, keys]";
    if (mask || nonpad || s->causal || s->left >= 0 || s->right >= 0)
        a->bias = add_bias;
    return NULL;
}

static size_t attention_scratch(const adze_run *run)
{
    state s = {0};
    return fill(&s, run) ? 0 : adze_attend_scratch(run, &s.a);
}

static adze_status attention_run(adze_run *run, adze_error *err)
{
    state s = {0};
    const char *wrong = fill(&s, run);
    if (wrong)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s", adze_node_op(run->node),
                         adze_node_name(run->node), wrong);
    const adze_attend *a = &s.a;
    for (int64_t b = 0; a->valid && b < a->batches; b++)
        if (a->valid[b] < 0 || a->valid[b] > a->keys)
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s '%s': nonpad_kv_seqlen %lld of batch %lld, expected 0 to %lld",
                             adze_node_op(run->node), adze_node_name(run->node),
                             (long long)a->valid[b], (long long)b, (long long)a->keys);
    adze_attend_run(run, a);
    if (adze_ops_output(run, 1))
        adze_attend_join(run, &a->past_k, a->past, &a->k, a->keys - a->past, run->outputs[1]);
    if (adze_ops_output(run, 2))
        adze_attend_join(run, &a->past_v, a->past, &a->v, a->keys - a->past, run->outputs[2]);
    return ADZE_OK;
}

static void attention_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                           const adze_tensor *const *outputs)
{
    const adze_tensor *k = inputs[K];
    const double past = node->input_count > PAST_K && inputs[PAST_K] && inputs[PAST_K]->rank == 4
                            ? (double)inputs[PAST_K]->dims[2]
                            : 0;
    const double keys = k->rank >= 3 ? (double)length_of(k) + past : 0;
    cost->operations =
        2 * keys * (double)(adze_tensor_elements(inputs[Q]) + adze_tensor_elements(outputs[0]));
}

const adze_op adze_ops_onnx_attention[] = {
    {.domain = "",
     .name = "Attention",
     .since = 23,
     .min_inputs = 3,
     .max_inputs = 7,
     .min_outputs = 1,
     .max_outputs = 4,
     .attrs = "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap "
              "softmax_precision left_window_size right_window_size",
     .types = "aab.abL",
     .infer = attention_infer,
     .cost = attention_cost,
     .prepare = attention_prepare,
     .scratch = attention_scratch,
     .run = attention_run},
    {.domain = "ai.onnx.preview",
     .name = "FlexAttention",
     .since = 1,
     .min_inputs = 3,
     .max_inputs = 3,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "scale softmax_precision",
     .types = "a",
     .infer = attention_infer,
     .cost = attention_cost,
     .prepare = attention_prepare,
     .scratch = attention_scratch,
     .run = attention_run},
    {.name = NULL},
};
