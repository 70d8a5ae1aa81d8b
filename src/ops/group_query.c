/* GroupQueryAttention of com.microsoft: attention over a cache that the node itself fills. Keys are turned by their
 * positions and put behind those of the past, each entry of the batch at its own length; then the cache, past and
 * new rows in one tensor, is all that the attention core sees. A cache of 8 or 4 bits, and one that holds a window
 * only, are staged: past and new rows as floats in scratch, from which the cache is written. */
#include <math.h>
#include <string.h>

#include "ops/attention_core.h"

enum {
    QUERY,
    KEY,
    VALUE,
    PAST_K,
    PAST_V,
    LENGTHS, /* rows of the cache in use afterwards, less one, for each entry of the batch */
    TOTAL,   /* the largest of these */
    COSINES,
    SINES,
    POSITIONS,
    BIAS,
    SINKS,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    QUERY_LENGTHS /* rows of the query that count, for each entry of the batch */
};

/* ---- shapes ---- */

static bool together(const adze_infer *infer, int a, int b)
{
    return !adze_infer_input(infer, a) == !adze_infer_input(infer, b);
}

static adze_status check(const adze_infer *infer, int64_t heads, int64_t kv_heads, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    if (heads < 1 || kv_heads < 1 || heads > INT32_MAX || heads % kv_heads != 0)
        return adze_ops_bad(node, err, "num_heads is no multiple of kv_num_heads above zero");
    if (!together(infer, KEY, VALUE) || !together(infer, PAST_K, PAST_V) ||
        !together(infer, COSINES, SINES) || !together(infer, Q_NORM, K_NORM))
        return adze_ops_bad(node, err,
                            "key and value, past_key and past_value, cos_cache and sin_cache, "
                            "q_norm_weight and k_norm_weight come together or not at all");
    if (!adze_infer_input(infer, LENGTHS) || !adze_infer_input(infer, TOTAL))
        return adze_ops_bad(node, err, "seqlens_k or total_sequence_length is absent");
    if (adze_node_int(node, "do_rotary", 0) && !adze_infer_input(infer, COSINES))
        return adze_ops_bad(node, err, "do_rotary without cos_cache and sin_cache");
    return ADZE_OK;
}

/* Rows of the cache afterwards: those it has, or as many as will be in use. */
static adze_dim present_rows(adze_infer *infer, adze_dim total)
{
    const adze_type *past = adze_infer_input(infer, PAST_K);
    adze_dim rows;
    if (past &&
        (past->rank != 4 || !adze_ops_dim_op(infer, ADZE_DIM_MAX, past->dims[2], total, &rows)))
        return adze_infer_unknown(infer, INT64_MAX);
    return past ? rows : total;
}

static bool is_quantized(const adze_node *node, const char *attr)
{
    return strcmp(adze_node_string(node, attr, "NONE"), "NONE") != 0;
}

/* Bits of a number in the cache; 0: floats. */
static int bits_of(const adze_node *node)
{
    return is_quantized(node, "k_quant_type") ? (int)adze_node_int(node, "kv_cache_bit_width", 8)
                                              : 0;
}

static void infer_cache(adze_infer *infer, const adze_type *q, adze_dim rows, adze_dim d)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *past = adze_infer_input(infer, PAST_K);
    const int bits = bits_of(node);
    const adze_dtype dtype = past ? past->dtype : bits == 4 ? ADZE_U8 : bits ? ADZE_I8 : q->dtype;
    if (adze_node_int(node, "sliding_window_cache", 0) && past && past->rank == 4)
        rows = past->dims[2];
    for (int i = 1; i <= 2; i++)
        adze_infer_set_tensor(infer, i, dtype, 4,
                              (adze_dim[]){q->dims[0], adze_node_int(node, "kv_num_heads", 0), rows,
                                           bits == 4 ? adze_infer_div(infer, d, 2) : d});
}

static adze_status group_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const int64_t heads = adze_node_int(node, "num_heads", 0);
    const int64_t kv = adze_node_int(node, "kv_num_heads", 0);
    const adze_type *q = adze_ops_ranked(infer, QUERY), *past = adze_infer_input(infer, PAST_K);
    adze_dim total;
    ADZE_TRY(check(infer, heads, kv, err));
    if (!q)
        return ADZE_OK;
    if (q->rank != 3 || (past && past->rank >= 0 && past->rank != 4))
        return adze_ops_bad(node, err, "query is not of rank 3, or past_key not of rank 4");
    const bool packed = !adze_infer_input(infer, KEY);
    const adze_dim d = adze_infer_div(infer, q->dims[2], packed ? heads + 2 * kv : heads);
    adze_infer_set_tensor(infer, 0, q->dtype, 3,
                          (adze_dim[]){q->dims[0], q->dims[1],
                                       packed ? adze_infer_mul(infer, d, heads) : q->dims[2]});
    const bool known = adze_ops_ints(infer, TOTAL, &total, 1) == 1;
    const adze_dim rows = known ? present_rows(infer, total) : adze_infer_unknown(infer, INT64_MAX);
    infer_cache(infer, q, rows, d);
    adze_infer_set_tensor(infer, 3, q->dtype, 4,
                          (adze_dim[]){q->dims[0], heads, q->dims[1],
                                       known ? total : adze_infer_unknown(infer, INT64_MAX)});
    return ADZE_OK;
}

static adze_status check_cache(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *past_k = adze_ops_prepare_input(prepare, PAST_K);
    const int bits = bits_of(node);
    if (past_k && adze_ops_prepare_input(prepare, PAST_V)->dtype != past_k->dtype)
        return adze_ops_bad(node, err, "past_key and past_value are of different types");
    if (is_quantized(node, "k_quant_type") != is_quantized(node, "v_quant_type"))
        return adze_fail(err, ADZE_UNSUPPORTED, "keys or values alone quantized");
    if (bits != 0 && bits != 8 && bits != 4)
        return adze_fail(err, ADZE_UNSUPPORTED, "kv_cache_bit_width %d", bits);
    if (bits != 0 &&
        (!adze_ops_prepare_input(prepare, K_SCALE) || !adze_ops_prepare_input(prepare, V_SCALE)))
        return adze_fail(err, ADZE_UNSUPPORTED, "a quantized cache without k_scale and v_scale");
    if (adze_node_int(node, "sliding_window_cache", 0) &&
        (!past_k || adze_node_int(node, "qk_output", 0)))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "sliding_window_cache without past_key, or with qk_output");
    return ADZE_OK;
}

static adze_status group_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const int bits = bits_of(node);
    ADZE_TRY(check_cache(prepare, err));
    for (int i = QUERY; i < QUERY_LENGTHS; i++) {
        const adze_tensor *t = adze_ops_prepare_input(prepare, i);
        const bool packed = bits != 0 && (i == PAST_K || i == PAST_V);
        if (!t || i == LENGTHS || i == TOTAL || i == POSITIONS)
            continue;
        if (t->quant || t->dtype == ADZE_F64 ||
            (packed ? t->dtype != (bits == 4 ? ADZE_U8 : ADZE_I8) : !adze_ops_is_float(t->dtype)))
            return adze_ops_unsupported(node, t->dtype, err);
    }
    return ADZE_OK;
}

/* ---- this run ---- */

typedef enum part_kind { PART_Q, PART_K, PART_V } part_kind; /* of keys and values: the output */

typedef struct state {
    adze_attend a;
    adze_run *run;
    adze_mask mask;     /* tensor NULL: none */
    adze_heads q, k, v; /* new rows as the inputs have them */
    adze_tensor turned; /* queries after rotation */
    /* Past and new keys and values as float32 [batch, kv_heads, rows, d], where the cache itself cannot be read. */
    adze_tensor staging[2];
    bool staged, sliding, causal, interleaved;
    bool moves;       /* queries are not used as they are */
    int bits;         /* of a number in the cache; 0: floats */
    int64_t *lengths; /* [batches] tokens so far, these included */
    int64_t *rows;    /* [batches] rows that attention sees of them: the last ones */
    int64_t capacity; /* rows of the cache that is written */
    int64_t turns;    /* numbers of a head that are rotated */
    float *own;       /* of workers: three heads each */
    int64_t window, total;
} state;

/* Rows [0, queries) of the query, and as many of the cache's, belong to this entry. */
static int64_t queries_of(const state *s, int64_t batch)
{
    const adze_tensor *given = adze_ops_input(s->run, QUERY_LENGTHS);
    return given ? adze_tensor_get_i64(given, batch) : ADZE_MIN(s->a.queries, s->lengths[batch]);
}

static adze_heads packed_part(const adze_tensor *t, int64_t length, int64_t d, int64_t first)
{
    return (adze_heads){.tensor = t,
                        .first = first * d,
                        .batch = length * t->dims[2],
                        .head = d,
                        .row = t->dims[2]};
}

static const char *fill_sizes(state *s, adze_run *run)
{
    const adze_node *node = run->node;
    const adze_tensor *q = run->inputs[QUERY], *k = adze_ops_input(run, KEY);
    const adze_tensor *v = adze_ops_input(run, VALUE);
    adze_attend *a = &s->a;
    a->heads = adze_node_int(node, "num_heads", 0);
    a->kv_heads = adze_node_int(node, "kv_num_heads", 0);
    a->batches = q->dims[0];
    a->queries = q->dims[1];
    s->bits = bits_of(node);
    const int64_t parts = k ? a->heads : a->heads + 2 * a->kv_heads;
    a->d = a->dv = q->dims[2] / parts;
    if (q->dims[2] % parts != 0 || (s->bits == 4 && a->d % 2 != 0))
        return "the rows of the query cannot be cut into heads";
    for (int i = KEY; i <= VALUE && k; i++) {
        const adze_tensor *t = run->inputs[i];
        if (t->rank != 3 || t->dims[0] != a->batches || t->dims[1] != a->queries ||
            t->dims[2] != a->kv_heads * a->d)
            return "key or value is not [batch, queries, kv_num_heads * head size]";
    }
    s->q = packed_part(q, a->queries, a->d, 0);
    s->k = packed_part(k ? k : q, a->queries, a->d, k ? 0 : a->heads);
    s->v = packed_part(k ? v : q, a->queries, a->d, k ? 0 : a->heads + a->kv_heads);
    for (int i = PAST_K; i <= PAST_V; i++) {
        const adze_tensor *t = adze_ops_input(run, i);
        if (t && (t->rank != 4 || t->dims[0] != a->batches || t->dims[1] != a->kv_heads ||
                  t->dims[2] != run->inputs[PAST_K]->dims[2] ||
                  t->dims[3] != (s->bits == 4 ? a->d / 2 : a->d)))
            return "past_key or past_value does not fit the query";
    }
    return NULL;
}

static const char *fill_rotation(state *s, const adze_run *run)
{
    const adze_tensor *c = adze_ops_input(run, COSINES), *sines = adze_ops_input(run, SINES);
    if (!adze_node_int(run->node, "do_rotary", 0))
        return NULL;
    if (c->rank != 2 || sines->rank != 2 || sines->dims[0] != c->dims[0] ||
        sines->dims[1] != c->dims[1] || c->dims[1] > s->a.d / 2)
        return "cos_cache and sin_cache are not both [positions, half of a head or less]";
    s->turns = 2 * c->dims[1];
    s->interleaved = adze_node_int(run->node, "rotary_interleaved", 0) != 0;
    return NULL;
}

static const char *fill_cache_form(state *s, const adze_run *run)
{
    adze_attend *a = &s->a;
    const adze_tensor *past = adze_ops_input(run, PAST_K);
    s->capacity = run->outputs[1]->dims[2];
    s->window = adze_node_int(run->node, "local_window_size", -1);
    s->sliding = adze_node_int(run->node, "sliding_window_cache", 0) != 0;
    s->staged = s->sliding || s->bits != 0;
    a->keys = s->capacity + (s->sliding ? a->queries : 0);
    for (int i = 0; i < 2; i++)
        s->staging[i] = adze_tensor_view(
            ADZE_F32, 4, (int64_t[]){a->batches, a->kv_heads, s->staged ? a->keys : 0, a->d}, NULL);
    for (int i = K_SCALE; i <= V_SCALE && s->bits != 0; i++) {
        const int64_t n = adze_tensor_elements(run->inputs[i]);
        if (n != 1 && n != a->d && n != a->kv_heads * a->d)
            return "k_scale and v_scale are not one number, or one for each of a head";
    }
    s->moves = s->turns > 0 || adze_ops_input(run, Q_NORM);
    for (int i = Q_NORM; i <= K_NORM; i++)
        if (adze_ops_input(run, i) && adze_tensor_elements(run->inputs[i]) != a->d)
            return "q_norm_weight and k_norm_weight are not one number for each of a head";
    if (s->sliding && (s->window < 1 || s->window > s->capacity || past->dims[2] != s->capacity))
        return "local_window_size is not within the rows of the cache";
    return NULL;
}

/* What the core is to read: the cache, or what is staged. */
static void point_core(state *s)
{
    adze_attend *a = &s->a;
    const adze_run *run = s->run;
    a->q = s->q;
    if (s->moves)
        a->q = adze_heads_of(&s->turned, false, a->heads, a->queries, a->d);
    a->k = adze_heads_of(s->staged ? &s->staging[0] : run->outputs[1], false, a->kv_heads, a->keys,
                         a->d);
    a->v = adze_heads_of(s->staged ? &s->staging[1] : run->outputs[2], false, a->kv_heads, a->keys,
                         a->d);
    a->y = adze_heads_of(run->outputs[0], true, a->heads, a->queries, a->d);
}

static const char *fill(state *s, adze_run *run)
{
    const adze_node *node = run->node;
    const adze_tensor *bias = adze_ops_input(run, BIAS);
    adze_attend *a = &s->a;
    const char *wrong = fill_sizes(s, run);
    s->run = run;
    if (!wrong)
        wrong = fill_rotation(s, run);
    if (!wrong)
        wrong = fill_cache_form(s, run);
    if (wrong)
        return wrong;
    point_core(s);
    a->scale = adze_node_float(node, "scale", 0);
    if (a->scale == 0)
        a->scale = 1 / sqrtf((float)ADZE_MAX(a->d, 1));
    a->softcap = adze_node_float(node, "softcap", 0);
    a->round = a->precision = ADZE_F32;
    a->smooth = adze_node_int(node, "smooth_softmax", 0) == 1;
    a->sinks = adze_ops_input(run, SINKS);
    a->scores = adze_node_int(node, "qk_output", 0) ? adze_ops_output(run, 3) : NULL;
    a->mode = adze_node_int(node, "qk_output", 0) == 1 ? ADZE_SCORES_BIASED : ADZE_SCORES_SOFTMAX;
    s->causal = adze_node_int(node, "causal", 1) != 0;
    a->user = s;
    if (a->sinks && adze_tensor_elements(a->sinks) != a->heads)
        return "head_sink is not one number for each head";
    if (a->scores && a->scores->dims[3] > a->keys)
        return "total_sequence_length is more than the cache holds";
    adze_attend whole = *a;
    whole.keys = INT64_MAX; /* columns are positions, which a window leaves behind */
    if (bias && !adze_mask_make(&s->mask, bias, &whole, true))
        return "attention_bias does not broadcast to [batch, heads, queries, keys]";
    return NULL;
}

/* Scratch: lengths and rows, three heads for each worker, turned queries, staged keys and values, the core's. */
static size_t divide(state *s, adze_run *run)
{
    const adze_attend *a = &s->a;
    s->turned =
        adze_tensor_view(run->inputs[QUERY]->dtype, 4,
                         (int64_t[]){a->batches, a->heads, s->moves ? a->queries : 0, a->d}, NULL);
    const size_t sizes[5] = {2 * (size_t)a->batches * sizeof(int64_t),
                             (size_t)(3 * a->d * adze_run_threads(run)) * sizeof(float),
                             s->turned.size, s->staging[0].size, s->staging[1].size};
    char *areas[5] = {0};
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        areas[i] = run->scratch ? (char *)run->scratch + at : NULL;
        at += (sizes[i] + 63) / 64 * 64;
    }
    s->lengths = (int64_t *)(void *)areas[0];
    s->rows = s->lengths ? s->lengths + a->batches : NULL;
    s->own = (float *)(void *)areas[1];
    s->turned.data = areas[2];
    s->staging[0].data = areas[3];
    s->staging[1].data = areas[4];
    return at;
}

static size_t group_scratch(const adze_run *run)
{
    state s = {0};
    adze_run sizes = *run;
    sizes.scratch = NULL;
    if (fill(&s, &sizes))
        return 0;
    return divide(&s, &sizes) + adze_attend_scratch(run, &s.a);
}

/* ---- lengths and positions ---- */

static bool is_int_vector(const adze_tensor *t, int64_t n)
{
    return (t->dtype == ADZE_I32 || t->dtype == ADZE_I64) && adze_tensor_elements(t) == n;
}

static adze_status bad_length(const adze_run *run, const char *name, int64_t found, int64_t batch,
                              int64_t most, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s %lld of batch %lld, expected at most %lld",
                     adze_node_op(run->node), adze_node_name(run->node), name, (long long)found,
                     (long long)batch, (long long)most);
}

/* Rows that the cache holds of so many tokens. One that holds a window gives up as many rows at once as it has beside
 * the window, whenever it is full. */
static int64_t resident(const state *s, int64_t tokens)
{
    const int64_t at_once = s->capacity - s->window + 1;
    return !s->sliding || tokens <= s->capacity
               ? tokens
               : tokens - at_once * ((tokens - s->capacity + at_once - 1) / at_once);
}

static adze_status read_lengths(state *s, adze_error *err)
{
    const adze_run *run = s->run;
    const adze_attend *a = &s->a;
    const adze_tensor *lengths = run->inputs[LENGTHS], *past = adze_ops_input(run, PAST_K);
    const adze_tensor *queries = adze_ops_input(run, QUERY_LENGTHS);
    const int64_t old = past ? past->dims[2] : 0;
    if (!is_int_vector(lengths, a->batches) || !is_int_vector(run->inputs[TOTAL], 1) ||
        (queries && !is_int_vector(queries, a->batches)))
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s '%s': seqlens_k or query_seqlens is not one integer for each of the "
                         "batch, or total_sequence_length not a single one",
                         adze_node_op(run->node), adze_node_name(run->node));
    s->total = adze_tensor_get_i64(run->inputs[TOTAL], 0);
    for (int64_t b = 0; b < a->batches; b++) {
        const int64_t given = adze_tensor_get_i64(lengths, b), length = given + (given < INT64_MAX);
        const int64_t most = s->sliding ? INT32_MAX : s->capacity;
        if (length < 0 || length > most)
            return bad_length(run, "seqlens_k", given, b, most - 1, err);
        s->lengths[b] = length;
        const int64_t fresh = queries_of(s, b);
        if (fresh < 0 || fresh > ADZE_MIN(length, a->queries))
            return bad_length(run, "query_seqlens", fresh, b, ADZE_MIN(length, a->queries), err);
        s->rows[b] = resident(s, length - fresh) + fresh;
        if (s->rows[b] - fresh > old)
            return bad_length(run, "rows of the past", s->rows[b] - fresh, b, old, err);
    }
    return ADZE_OK;
}

/* A first prompt, whose rows follow each other: one position says where they begin. */
static bool is_first_prompt(const state *s)
{
    return s->total == s->a.queries && !adze_ops_input(s->run, QUERY_LENGTHS);
}

/* The position of row `row` of an entry, as its angles have it. */
static int64_t angle_of(const state *s, int64_t batch, int64_t row)
{
    const adze_tensor *given = adze_ops_input(s->run, POSITIONS);
    const int64_t past = s->lengths[batch] - queries_of(s, batch);
    if (!given)
        return past + row;
    if (is_first_prompt(s))
        return adze_tensor_get_i64(given, 0) + row;
    return adze_tensor_get_i64(given, batch * s->a.queries + row);
}

static adze_status check_angles(const state *s, adze_error *err)
{
    const adze_attend *a = &s->a;
    const adze_tensor *given = adze_ops_input(s->run, POSITIONS);
    if (s->turns == 0)
        return ADZE_OK;
    const int64_t most = s->run->inputs[COSINES]->dims[0];
    if (given && (given->dtype != ADZE_I64 || adze_tensor_elements(given) < 1 ||
                  adze_tensor_elements(given) > a->batches * a->queries ||
                  (!is_first_prompt(s) && adze_tensor_elements(given) != a->batches * a->queries)))
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': position_ids is not [batch, queries] int64",
                         adze_node_op(s->run->node), adze_node_name(s->run->node));
    for (int64_t b = 0; b < a->batches; b++)
        for (int64_t i = 0; i < queries_of(s, b); i++)
            if (angle_of(s, b, i) < 0 || angle_of(s, b, i) >= most)
                return bad_length(s->run, "position", angle_of(s, b, i), b, most - 1, err);
    return ADZE_OK;
}

/* ---- rotation, and filling the cache ---- */

static int64_t row_of(const adze_heads *h, int64_t batch, int64_t head, int64_t row)
{
    return h->first + batch * h->batch + head * h->head + row * h->row;
}

/* x / sqrt(mean of x^2 + epsilon) * weight */
static void normalize(const adze_tensor *weight, float epsilon, int64_t d, float *x)
{
    float sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += x[i] * x[i];
    const float scale = 1 / sqrtf(sum / (float)d + epsilon);
    for (int64_t i = 0; i < d; i++)
        x[i] = x[i] * scale * (float)adze_ops_get(weight, i);
}

/* New row i of a head as attention wants it: normalised and turned, but values. */
static const float *new_row(const state *s, part_kind kind, int64_t batch, int64_t head, int64_t i,
                            int worker)
{
    const adze_kernels *k = s->run->kernels;
    const adze_node *node = s->run->node;
    const adze_heads *from = kind == PART_Q ? &s->q : kind == PART_K ? &s->k : &s->v;
    const int64_t d = s->a.d, half = s->turns / 2;
    float *table = s->own + 3 * d * worker, *in = table + d, *out = in + d;
    const adze_tensor *weight =
        kind == PART_V ? NULL : adze_ops_input(s->run, kind == PART_Q ? Q_NORM : K_NORM);
    adze_ops_load(k, from->tensor, row_of(from, batch, head, i), 1, d, in);
    if (weight)
        normalize(weight,
                  adze_node_float(node, kind == PART_Q ? "q_norm_epsilon" : "k_norm_epsilon",
                                  adze_node_float(node, "qk_norm_epsilon", 1e-6f)),
                  d, in);
    if (kind == PART_V || half == 0)
        return in;
    const int64_t angle = angle_of(s, batch, i);
    adze_ops_load(k, s->run->inputs[COSINES], angle * half, 1, half, table);
    adze_ops_load(k, s->run->inputs[SINES], angle * half, 1, half, table + half);
    k->attention.rope(1, d, s->turns, s->interleaved, table, in, out);
    return out;
}

static void store_rows(const state *s, part_kind kind, const adze_heads *to, int64_t batch,
                       int64_t head, int64_t count, int64_t first, int worker)
{
    for (int64_t i = 0; i < count; i++)
        adze_ops_store(s->run->kernels, new_row(s, kind, batch, head, i, worker), s->a.d,
                       (adze_tensor *)to->tensor, row_of(to, batch, head, first + i));
}

/* One head of the cache: past rows, new rows, zeros. */
static void fill_cache(const state *s, part_kind kind, int64_t batch, int64_t head, int worker)
{
    const adze_attend *a = &s->a;
    adze_tensor *cache = s->run->outputs[kind];
    const adze_tensor *past = adze_ops_input(s->run, kind == PART_K ? PAST_K : PAST_V);
    const size_t row = (size_t)a->d * adze_ops_element(cache->dtype);
    const int64_t fresh = queries_of(s, batch), used = s->rows[batch], old = used - fresh;
    char *begin = (char *)cache->data + (size_t)((batch * a->kv_heads + head) * a->keys) * row;
    if (past && old > 0)
        memcpy(begin,
               (const char *)past->data +
                   (size_t)((batch * a->kv_heads + head) * past->dims[2]) * row,
               (size_t)old * row);
    store_rows(s, kind, kind == PART_K ? &a->k : &a->v, batch, head, fresh, old, worker);
    memset(begin + (size_t)used * row, 0, (size_t)(a->keys - used) * row);
}

/* ---- caches that are staged ---- */

static float scale_of(const state *s, part_kind kind, int64_t head, int64_t i)
{
    const adze_tensor *scales = s->run->inputs[kind == PART_K ? K_SCALE : V_SCALE];
    const int64_t n = adze_tensor_elements(scales);
    return (float)adze_ops_get(scales, n == 1 ? 0 : n == s->a.d ? i : head * s->a.d + i);
}

/* The whole number that stands for x in the cache. */
static int level_of(const state *s, part_kind kind, int64_t head, int64_t i, float x)
{
    const int most = (1 << (s->bits - 1)) - 1;
    const float level = rintf(x / scale_of(s, kind, head, i));
    return level > (float)most ? most : level >= (float)-most - 1 ? (int)level : -most - 1;
}

static void read_past(const state *s, part_kind kind, int64_t head, const adze_tensor *past,
                      int64_t row, float *to)
{
    const int64_t d = s->a.d;
    if (s->bits == 0) {
        adze_ops_load(s->run->kernels, past, row * d, 1, d, to);
        return;
    }
    const uint8_t *bytes = (const uint8_t *)past->data + row * d * s->bits / 8;
    for (int64_t i = 0; i < d; i++) {
        const int level = s->bits == 8 ? (int8_t)bytes[i] : (bytes[i / 2] >> (i % 2 * 4) & 15) - 8;
        to[i] = (float)level * scale_of(s, kind, head, i);
    }
}

static void write_present(const state *s, part_kind kind, int64_t head, adze_tensor *cache,
                          int64_t row, const float *x)
{
    const int64_t d = s->a.d;
    if (s->bits == 0) {
        adze_ops_store(s->run->kernels, x, d, cache, row * d);
        return;
    }
    uint8_t *bytes = (uint8_t *)cache->data + row * d * s->bits / 8;
    for (int64_t i = 0; i < d; i++) {
        const int level = level_of(s, kind, head, i, x[i]);
        if (s->bits == 8)
            bytes[i] = (uint8_t)level;
        else
            bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] | (level + 8) << 4 : level + 8);
    }
}

/* One head staged: past and new rows, the latter as the cache will give them back; and the cache after this step. */
static void stage(const state *s, part_kind kind, int64_t batch, int64_t head, int worker)
{
    const adze_attend *a = &s->a;
    const adze_tensor *past = adze_ops_input(s->run, kind == PART_K ? PAST_K : PAST_V);
    adze_tensor *cache = s->run->outputs[kind];
    const int64_t fresh = queries_of(s, batch), used = s->rows[batch], old = used - fresh;
    const int64_t at = batch * a->kv_heads + head, kept = resident(s, s->lengths[batch]);
    float *rows = (float *)s->staging[kind - PART_K].data + at * a->keys * a->d;
    for (int64_t i = 0; i < old; i++)
        read_past(s, kind, head, past, at * past->dims[2] + i, rows + i * a->d);
    for (int64_t i = 0; i < fresh; i++) {
        const float *x = new_row(s, kind, batch, head, i, worker);
        for (int64_t e = 0; e < a->d; e++)
            rows[(old + i) * a->d + e] =
                s->bits ? (float)level_of(s, kind, head, e, x[e]) * scale_of(s, kind, head, e)
                        : x[e];
    }
    for (int64_t i = 0; i < kept; i++)
        write_present(s, kind, head, cache, at * s->capacity + i, rows + (used - kept + i) * a->d);
    const size_t row = cache->size / (size_t)ADZE_MAX(a->batches * a->kv_heads * s->capacity, 1);
    memset((char *)cache->data + (size_t)(at * s->capacity + kept) * row, 0,
           (size_t)(s->capacity - kept) * row);
}

static void prepare_head(void *user, int64_t at, int worker)
{
    const state *s = user;
    const adze_attend *a = &s->a;
    const int64_t parts = a->heads + 2 * a->kv_heads, batch = at / parts, part = at % parts;
    if (part < a->heads) {
        if (s->moves)
            store_rows(s, PART_Q, &a->q, batch, part, queries_of(s, batch), 0, worker);
        return;
    }
    const part_kind kind = part < a->heads + a->kv_heads ? PART_K : PART_V;
    (s->staged ? stage : fill_cache)(s, kind, batch, (part - a->heads) % a->kv_heads, worker);
}

/* ---- attention ---- */

/* Keys [begin, end) are what a query sees. */
static void seen_by(const state *s, int64_t batch, int64_t query, int64_t *begin, int64_t *end)
{
    const int64_t used = s->rows[batch];
    const int64_t position = used - queries_of(s, batch) + query;
    *begin = s->window > 0 ? ADZE_MAX(position + 1 - s->window, 0) : 0;
    *end = s->causal ? ADZE_MIN(position + 1, used) : used;
}

/* Columns of the mask are positions: those before the rows that are there are left out. */
static void add_mask(const state *s, int64_t batch, int64_t head, int64_t query, int64_t keys,
                     float *row)
{
    const int64_t gone = ADZE_MIN(s->lengths[batch] - s->rows[batch], s->mask.keys);
    adze_tensor columns = *s->mask.tensor;
    adze_mask mask = s->mask;
    columns.data = (char *)columns.data + (size_t)gone * adze_ops_element(columns.dtype);
    mask.tensor = &columns;
    mask.keys -= gone;
    adze_mask_add(&mask, batch, head, query, keys, row);
}

static void add_bias(const adze_attend *a, int64_t batch, int64_t head, int64_t query, float *row)
{
    const state *s = a->user;
    const int64_t keys = a->scores ? a->keys : s->rows[batch];
    int64_t begin, end;
    seen_by(s, batch, query, &begin, &end);
    if (s->mask.tensor)
        add_mask(s, batch, head, query, keys, row);
    for (int64_t j = 0; j < ADZE_MIN(begin, keys); j++)
        row[j] = -INFINITY;
    for (int64_t j = end; j < keys; j++)
        row[j] = -INFINITY;
}

/* Scores of keys that a query does not see are shown as 0. */
static void clear_unseen(const state *s)
{
    const adze_attend *a = &s->a;
    adze_tensor *scores = a->scores;
    const int64_t shown = scores->dims[3], rows = a->batches * a->heads * a->queries;
    for (int64_t r = 0; r < rows; r++) {
        int64_t begin, end;
        seen_by(s, r / (a->heads * a->queries), r % a->queries, &begin, &end);
        for (int64_t j = 0; j < shown; j++)
            if (j < begin || j >= end)
                adze_tensor_set_f64(scores, r * shown + j, 0);
    }
}

static adze_status group_run(adze_run *run, adze_error *err)
{
    state s = {0};
    const char *wrong = fill(&s, run);
    if (wrong)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s", adze_node_op(run->node),
                         adze_node_name(run->node), wrong);
    adze_attend *a = &s.a;
    const size_t own = divide(&s, run);
    ADZE_TRY(read_lengths(&s, err));
    ADZE_TRY(check_angles(&s, err));
    if (s.moves)
        memset(s.turned.data, 0, s.turned.size); /* rows that do not count */
    adze_run_parallel(run, a->batches * (a->heads + 2 * a->kv_heads), prepare_head, &s);
    a->valid = s.rows;
    a->bias = add_bias;
    adze_run core = *run;
    core.scratch = (char *)run->scratch + own;
    adze_attend_run(&core, a);
    if (a->scores)
        clear_unseen(&s);
    return ADZE_OK;
}

static void group_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                       const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(inputs);
    cost->operations = 4.0 * (double)outputs[1]->dims[2] * (double)adze_tensor_elements(outputs[0]);
}

const adze_op adze_ops_group_query[] = {
    {.domain = "com.microsoft",
     .name = "GroupQueryAttention",
     .since = 1,
     .min_inputs = 1, /* see check() */
     .max_inputs = 17,
     .min_outputs = 3,
     .max_outputs = 4,
     .attrs = "causal do_rotary k_norm_epsilon k_quant_type kv_cache_bit_width kv_num_heads "
              "local_window_size num_heads q_norm_epsilon qk_norm_epsilon qk_output "
              "rotary_interleaved scale sliding_window_cache smooth_softmax softcap v_quant_type",
     .infer = group_infer,
     .cost = group_cost,
     .prepare = group_prepare,
     .scratch = group_scratch,
     .run = group_run},
    {.name = NULL},
};
