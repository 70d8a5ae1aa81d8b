/* Attention and MultiHeadAttention of com.microsoft as ONNX's Attention: projections and biases before it, masks of
 * all forms brought to [batch, 1, queries or 1, keys], caches split and joined. */
#include <string.h>

#include "model/onnx_fused_impl.h"

/* Operands of the Attention to be. */
typedef struct parts {
    adze_piece q, k, v, past_k, past_v;
    adze_piece mask, bias; /* the file's: integers of any form; numbers to be added */
    int64_t heads;
    bool deep; /* keys and values of rank 4 */
} parts;

static adze_dim dim_of(const adze_value *v, int axis)
{
    return v && v->type.rank > axis ? v->type.dims[axis] : -1;
}

static int rank_of(const adze_value *v)
{
    return v ? v->type.rank : -1;
}

/* `axes` inserted. */
static adze_piece unsqueeze(const adze_node *node, adze_piece x, int n, const int64_t *axes)
{
    return adze_fused_emit2(node, "Unsqueeze", x, adze_fused_ints(node, n, axes));
}

static adze_piece reshape(const adze_node *node, adze_piece x, int n, const int64_t *dims)
{
    return adze_fused_emit2(node, "Reshape", x, adze_fused_ints(node, n, dims));
}

static adze_piece swap_middle(const adze_node *node, adze_piece x)
{
    static const int64_t perm[4] = {0, 2, 1, 3};
    adze_piece y = adze_fused_emit1(node, "Transpose", x);
    return y && adze_node_set_ints(y->producer, "perm", 4, perm) ? adze_fused_again(y) : NULL;
}

/* x cut into `count` parts along an axis: equal ones, or of these sizes. */
static bool split(const adze_node *node, adze_piece x, int64_t axis, int count, adze_piece sizes,
                  adze_piece *to)
{
    const adze_piece operands[2] = {x, sizes};
    adze_node *made = x ? adze_fused_emit(node, "Split", sizes ? 2 : 1, operands, count) : NULL;
    if (!made || !adze_node_set_int(made, "axis", axis) ||
        (!sizes && !adze_node_set_int(made, "num_outputs", count)))
        return false;
    adze_fused_again(made->outputs[0]);
    memcpy(to, made->outputs, (size_t)count * sizeof *to);
    return true;
}

/* [1] int64: an axis of x. */
static adze_piece extent(const adze_node *node, adze_piece x, int64_t axis)
{
    adze_piece y = adze_fused_emit1(node, "Shape", x);
    return y && adze_node_set_int(y->producer, "start", axis) &&
                   adze_node_set_int(y->producer, "end", axis + 1)
               ? adze_fused_again(y)
               : NULL;
}

/* ---- masks ---- */

/* [B, keys] of booleans from ends (and starts behind them) in one vector. Where only a run knows whether there are
 * starts, zeros behind the vector stand for them. */
static adze_piece mask_of_lengths(const adze_node *node, const parts *p, bool starts, bool unsure)
{
    static const int64_t last[1] = {1};
    adze_piece total = extent(node, p->k, p->deep ? 2 : 1), none[2];
    if (p->past_k)
        total = adze_fused_emit2(node, "Add", total, extent(node, p->past_k, 2));
    adze_piece lengths = adze_fused_cast(node, p->mask, ADZE_I64);
    const int64_t zero = 0;
    if (unsure) {
        const adze_piece batch = extent(node, p->q, 0), start = adze_fused_int(node, 0);
        const adze_piece pads[2] = {start, batch}, two = adze_fused_int(node, 2);
        adze_node *ends = start && batch ? adze_fused_emit(node, "Concat", 2, pads, 1) : NULL;
        if (!ends || !adze_node_set_int(ends, "axis", 0))
            return NULL;
        lengths = adze_fused_emit2(node, "Pad", lengths, adze_fused_again(ends->outputs[0]));
        const adze_piece cut[3] = {lengths, start, adze_fused_emit2(node, "Mul", batch, two)};
        adze_node *first = lengths && cut[2] ? adze_fused_emit(node, "Slice", 3, cut, 1) : NULL;
        lengths = first ? first->outputs[0] : NULL;
    }
    if (!split(node, lengths, 0, starts ? 2 : 1, NULL, none))
        return NULL;
    adze_piece scalar_total =
        total ? adze_fused_emit2(node, "Squeeze", total, adze_fused_ints(node, 1, &zero)) : NULL;
    adze_piece begin =
        adze_fused_emit2(node, "Squeeze", adze_fused_int(node, 0), adze_fused_ints(node, 1, &zero));
    adze_piece step =
        adze_fused_emit2(node, "Squeeze", adze_fused_int(node, 1), adze_fused_ints(node, 1, &zero));
    const adze_piece range[3] = {begin, scalar_total, step};
    adze_node *places =
        begin && scalar_total && step ? adze_fused_emit(node, "Range", 3, range, 1) : NULL;
    adze_piece at = places ? places->outputs[0] : NULL;
    adze_piece seen = adze_fused_emit2(node, "Less", at, unsqueeze(node, none[0], 1, last));
    if (!starts)
        return seen;
    return adze_fused_emit2(
        node, "And", seen,
        adze_fused_emit2(node, "GreaterOrEqual", at, unsqueeze(node, none[1], 1, last)));
}

/* The mask as numbers to be added, [B, 1, queries or 1, keys], together with the bias. */
static adze_status mask_of(adze_piece *out, const adze_node *node, const parts *p, adze_error *err)
{
    static const int64_t axes[2] = {1, 2};
    const int rank = rank_of(p->mask);
    *out = p->bias;
    if (!p->mask)
        return ADZE_OK;
    if (rank < 1 || rank > 3)
        return adze_fused_unsupported(node, "a mask of this rank", err);
    const adze_dim batch = dim_of(p->q, 0), n = dim_of(p->mask, 0);
    const bool unsure = rank == 1 && n != batch && (n < 0 || batch < 0);
    const bool starts = unsure || (rank == 1 && n != batch && n == 2 * batch);
    if (rank == 1 && n >= 0 && batch >= 0 && n != batch && !starts)
        return adze_fused_unsupported(node, "a mask of cumulated lengths", err);
    adze_piece allowed = rank == 1 ? mask_of_lengths(node, p, starts, unsure)
                                   : adze_fused_cast(node, p->mask, ADZE_BOOL);
    allowed = unsqueeze(node, allowed, rank == 3 ? 1 : 2, axes);
    const adze_piece choice[3] = {
        allowed, adze_fused_scalar(node, p->q, 0),
        adze_fused_scalar(node, p->q, adze_node_float(node, "mask_filter_value", -10000.0f))};
    adze_node *made =
        allowed && choice[1] && choice[2] ? adze_fused_emit(node, "Where", 3, choice, 1) : NULL;
    *out = made ? made->outputs[0] : NULL;
    if (p->bias)
        *out = adze_fused_emit2(node, "Add", *out, p->bias);
    return *out ? ADZE_OK : adze_fused_no_memory(err);
}

/* ---- the node itself ---- */

/* An Attention before the node; outputs: y, present keys and values where asked for. */
static adze_status attend(adze_node **out, const adze_node *node, const parts *p, bool present,
                          adze_error *err)
{
    adze_piece mask;
    ADZE_TRY(mask_of(&mask, node, p, err));
    if (!p->q || !p->k || !p->v)
        return adze_fused_no_memory(err);
    const adze_piece operands[6] = {p->q, p->k, p->v, mask, p->past_k, p->past_v};
    const int count = p->past_k ? 6 : mask ? 4 : 3;
    adze_node *made = adze_fused_emit(node, "Attention", count, operands, present ? 3 : 1);
    const bool scaled = adze_node_float(node, "scale", 0) != 0;
    if (!made ||
        (scaled && !adze_node_set_float(made, "scale", adze_node_float(node, "scale", 0))) ||
        !adze_node_set_int(made, "is_causal", adze_node_int(node, "unidirectional", 0)) ||
        (!p->deep && (!adze_node_set_int(made, "q_num_heads", p->heads) ||
                      !adze_node_set_int(made, "kv_num_heads", p->heads))))
        return adze_fused_no_memory(err);
    *out = made;
    return ADZE_OK;
}

/* Parts of [batch, tokens, heads, n, numbers]: side by side. */
static bool unpack(const adze_node *node, adze_piece packed, int n, adze_piece *to)
{
    static const int64_t flat[3] = {0, 0, -1};
    if (!split(node, packed, 3, n, NULL, to))
        return false;
    for (int i = 0; i < n; i++)
        if (!(to[i] = reshape(node, to[i], 3, flat)))
            return false;
    return true;
}

static adze_status add_biases(adze_node *node, parts *p, adze_piece bias, adze_error *err)
{
    adze_piece b[3];
    const adze_dim q = dim_of(p->q, 2), v = p->deep ? -1 : dim_of(p->v, 2), all = dim_of(bias, 0);
    if (!bias)
        return ADZE_OK;
    if (q >= 0 && v >= 0 && all >= 0 && q + q + v != all)
        return adze_fused_unsupported(node, "a bias that does not fit queries, keys and values",
                                      err);
    adze_piece size = extent(node, p->q, 2), last = extent(node, p->v, p->deep ? 3 : 2);
    if (p->deep)
        last = adze_fused_emit2(node, "Mul", last, adze_fused_ints(node, 1, &p->heads));
    const adze_piece sizes[3] = {size, size, last};
    adze_node *joined = size && last ? adze_fused_emit(node, "Concat", 3, sizes, 1) : NULL;
    if (!joined || !adze_node_set_int(joined, "axis", 0) ||
        !split(node, bias, 0, 3, adze_fused_again(joined->outputs[0]), b))
        return adze_fused_no_memory(err);
    p->q = adze_fused_emit2(node, "Add", p->q, b[0]);
    if (p->deep)
        return ADZE_OK;
    p->k = adze_fused_emit2(node, "Add", p->k, b[1]);
    p->v = adze_fused_emit2(node, "Add", p->v, b[2]);
    return ADZE_OK;
}

adze_status adze_fused_multi_head(adze_node *node, adze_error *err)
{
    enum { QUERY, KEY, VALUE, BIAS, MASK, SCORES, PAST_K, PAST_V, PAST_LENGTH, INDIRECTION };
    static const int64_t flat[3] = {0, 0, -1};
    parts p = {.q = adze_fused_in(node, QUERY),
               .k = adze_fused_in(node, KEY),
               .v = adze_fused_in(node, VALUE),
               .past_k = adze_fused_in(node, PAST_K),
               .past_v = adze_fused_in(node, PAST_V),
               .mask = adze_fused_in(node, MASK),
               .bias = adze_fused_in(node, SCORES),
               .heads = adze_node_int(node, "num_heads", 0)};
    adze_piece three[3];
    if (adze_fused_in(node, PAST_LENGTH) || adze_fused_in(node, INDIRECTION) ||
        adze_fused_out(node, 3))
        return adze_fused_unsupported(node, "shared buffers, beams or scores as an output", err);
    if (p.heads < 1 || rank_of(p.q) < 3 || (p.k && rank_of(p.k) < 3) || !p.past_k != !p.past_v ||
        (!p.k && rank_of(p.q) != 5) || (p.k && !p.v && rank_of(p.k) != 5))
        return adze_fused_unsupported(node, "queries and keys in this form", err);
    p.deep = rank_of(p.k) == 4;
    if (!p.k && unpack(node, p.q, 3, three)) {
        p.q = three[0];
        p.k = three[1];
        p.v = three[2];
    } else if (!p.v && unpack(node, p.k, 2, three)) {
        p.k = three[0];
        p.v = three[1];
    }
    ADZE_TRY(add_biases(node, &p, adze_fused_in(node, BIAS), err));
    if (p.deep)
        p.q = swap_middle(node, reshape(node, p.q, 4, (const int64_t[]){0, 0, p.heads, -1}));
    adze_node *made;
    const bool present = adze_fused_out(node, 1) || adze_fused_out(node, 2);
    ADZE_TRY(attend(&made, node, &p, present, err));
    for (int i = 1; i <= 2 && present; i++)
        adze_fused_deliver(node, i, made->outputs[i]);
    if (!p.deep)
        return adze_fused_become(node, "Identity", 1, made->outputs[0], NULL, NULL, NULL, err);
    return adze_fused_become(node, "Reshape", 1, swap_middle(node, made->outputs[0]),
                             adze_fused_ints(node, 3, flat), NULL, NULL, err);
}

/* [2, batch, heads, length, size] -> keys, values */
static bool split_past(const adze_node *node, adze_piece past, parts *p)
{
    adze_piece two[2];
    if (!split(node, past, 0, 2, NULL, two))
        return false;
    p->past_k = adze_fused_emit2(node, "Squeeze", two[0], adze_fused_int(node, 0));
    p->past_v = adze_fused_emit2(node, "Squeeze", two[1], adze_fused_int(node, 0));
    return p->past_k && p->past_v;
}

static adze_status deliver_present(adze_node *node, const adze_node *made, adze_error *err)
{
    static const int64_t front[1] = {0};
    const adze_piece two[2] = {unsqueeze(node, made->outputs[1], 1, front),
                               unsqueeze(node, made->outputs[2], 1, front)};
    adze_node *both = two[0] && two[1] ? adze_fused_emit(node, "Concat", 2, two, 1) : NULL;
    if (!both || !adze_node_set_int(both, "axis", 0))
        return adze_fused_no_memory(err);
    adze_fused_deliver(node, 1, both->outputs[0]);
    return ADZE_OK;
}

adze_status adze_fused_attention_of(adze_node *node, adze_piece x, adze_piece mask, adze_piece past,
                                    adze_piece scores, adze_error *err)
{
    int count;
    const int64_t *sizes = adze_node_ints(node, "qkv_hidden_sizes", &count);
    adze_piece three[3];
    parts p = {.mask = mask, .bias = scores, .heads = adze_node_int(node, "num_heads", 0)};
    if (adze_node_int(node, "do_rotary", 0) ||
        adze_node_int(node, "past_present_share_buffer", 0) || p.heads < 1 || (sizes && count != 3))
        return adze_fused_unsupported(node, "rotary positions, shared buffers or no num_heads",
                                      err);
    adze_piece parts_of = sizes ? adze_fused_ints(node, 3, sizes) : NULL;
    if ((sizes && !parts_of) || !split(node, x, 2, 3, parts_of, three))
        return adze_fused_no_memory(err);
    p.q = three[0];
    p.k = three[1];
    p.v = three[2];
    if (past && !split_past(node, past, &p))
        return adze_fused_no_memory(err);
    adze_node *made;
    const bool present = adze_fused_out(node, 1) != NULL;
    ADZE_TRY(attend(&made, node, &p, present, err));
    if (present)
        ADZE_TRY(deliver_present(node, made, err));
    return adze_fused_become(node, "Identity", 1, made->outputs[0], NULL, NULL, NULL, err);
}

adze_status adze_fused_attention(adze_node *node, adze_error *err)
{
    enum { INPUT, WEIGHTS, BIAS, MASK, PAST, SCORES, PAST_LENGTH };
    adze_piece x =
        adze_fused_emit2(node, "MatMul", adze_fused_in(node, INPUT), adze_fused_in(node, WEIGHTS));
    if (adze_fused_in(node, PAST_LENGTH))
        return adze_fused_unsupported(node, "shared buffers", err);
    if (adze_fused_in(node, BIAS))
        x = adze_fused_emit2(node, "Add", x, node->inputs[BIAS]);
    return adze_fused_attention_of(node, x, adze_fused_in(node, MASK), adze_fused_in(node, PAST),
                                   adze_fused_in(node, SCORES), err);
}
