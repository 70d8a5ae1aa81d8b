/* Attention, feed-forward and the usual layer, following the tensors that are there. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "llm/architectures.h"
#include "llm/build.h"

/* ---- rotary positions: one table for each base, made once and shared by the layers ---- */

static const float *factors_of(adze_builder *b, int64_t dims)
{
    const char *name = "rope_freqs";
    if (adze_build_has(b, "rope_factors_long", -1))
        name =
            adze_rope_is_long(b->config, b->context) ? "rope_factors_long" : "rope_factors_short";
    adze_value *factors = adze_build_vector(b, name, "weight", -1);
    if (!factors)
        return NULL;
    if (factors->constant->rank != 1 || factors->constant->dims[0] != dims / 2) {
        adze_build_fail(b, ADZE_BAD_MODEL, "tensor %s: expected [%lld]", factors->name,
                        (long long)(dims / 2));
        return NULL;
    }
    return factors->constant->data;
}

static adze_value *rope_table(adze_builder *b, float base, bool scaled)
{
    int64_t dims = b->config->rope_dims;
    for (int i = 0; i < b->rope_count; i++)
        if (b->ropes[i].base == base && b->ropes[i].scaled == scaled)
            return b->ropes[i].table;
    float *frequencies = ADZE_ARENA_ARRAY(b->arena, float, (size_t)dims + 1);
    if (!frequencies || b->rope_count == ADZE_BUILDER_ROPES)
        return adze_build_fail(b, ADZE_NO_MEMORY, "rotary positions");
    float scale = 1;
    if (scaled)
        adze_rope_frequencies(b->config, base, dims, b->context, factors_of(b, dims), frequencies,
                              &scale);
    for (int64_t i = 0; i < dims / 2 && !scaled; i++)
        frequencies[i] = (float)(1.0 / pow(base, 2.0 * (double)i / (double)dims));
    adze_value *constant =
        adze_build_constant(b, "rope.frequencies", 1, (int64_t[]){dims / 2}, frequencies);
    adze_value *table = ADZE_BUILD(b, "adze", "RopeTable", b->positions, constant);
    adze_build_float(b, table, "scale", scale);
    b->ropes[b->rope_count].base = base;
    b->ropes[b->rope_count].scaled = scaled;
    b->ropes[b->rope_count++].table = table;
    return table;
}

static adze_value *rotate(adze_builder *b, adze_value *x, const adze_build_attention *o)
{
    adze_rope_kind kind = b->config->architecture->rope;
    if (kind == ADZE_ROPE_NONE || o->no_rope || b->config->rope_dims == 0)
        return x;
    float base = o->rope_base > 0 ? o->rope_base : b->config->rope_base;
    adze_value *table = rope_table(b, base, !o->rope_unscaled);
    if (!table || !x)
        return NULL;
    adze_value *y = ADZE_BUILD(b, "adze", "Rope", x, table);
    adze_build_int(b, y, "interleaved", kind == ADZE_ROPE_INTERLEAVED);
    return y;
}

/* ---- attention ---- */

/* Heads [T, heads, dim] of one of q, k, v: rows first.. of attn_qkv, or a tensor of its own. */
static adze_value *heads_of(adze_builder *b, adze_value *x, const char *name, int64_t layer,
                            int64_t first, int64_t heads, int64_t dim, bool fused, const char *norm)
{
    adze_value *y = fused ? adze_build_linear_rows(b, x, "attn_qkv", layer, first, heads * dim)
                          : adze_build_linear(b, x, name, layer);
    bool normed = norm && adze_build_has(b, norm, layer);
    adze_value *scale = normed ? adze_build_vector(b, norm, "weight", layer) : NULL;
    int64_t width = scale && scale->constant ? adze_tensor_elements(scale->constant) : 0;
    bool whole = normed && width == heads * dim && heads > 1 && scale->constant->rank == 1;
    if (whole)
        y = adze_build_norm(b, y, norm, layer);
    y = adze_build_reshape(b, y, 3, (int64_t[]){0, heads, dim});
    return normed && !whole ? adze_build_norm(b, y, norm, layer) : y;
}

/* What the keys or values of all tokens so far are, x of this run's included. */
static adze_value *remember(adze_builder *b, adze_value *x, const char *which, int64_t layer,
                            int64_t heads, int64_t dim)
{
    if (!b->positions || !x || b->config->architecture->encoder)
        return x;
    char name[64];
    snprintf(name, sizeof name, "cache.%lld.%s", (long long)layer, which);
    adze_tensor zeros =
        adze_tensor_view(b->cache_type, 3, (int64_t[]){b->context, heads, dim}, NULL);
    adze_value *state = adze_graph_add_state(b->graph, name, &zeros);
    if (!state)
        return adze_build_fail(b, ADZE_NO_MEMORY, "KV cache");
    adze_value *next = ADZE_BUILD(b, "adze", "CacheWrite", state, x, b->positions);
    if (next)
        adze_graph_set_next(state, next);
    return next;
}

adze_value *adze_build_attend(adze_builder *b, adze_value *x, int64_t layer,
                              const adze_build_attention *options)
{
    const adze_llm_config *c = b->config;
    adze_build_attention usual = {.window = adze_config_window(c, layer),
                                  .scale = c->attention_scale};
    const adze_build_attention *o = options ? options : &usual;
    int64_t heads = c->heads, kv = c->kv_heads[layer], q_rows = heads * c->key_dim,
            k_rows = kv * c->key_dim;
    bool fused = adze_build_has(b, "attn_qkv", layer);
    adze_value *q = heads_of(b, x, "attn_q", layer, 0, heads, c->key_dim, fused, "attn_q_norm");
    adze_value *k = heads_of(b, x, "attn_k", layer, q_rows, kv, c->key_dim, fused, "attn_k_norm");
    adze_value *v = heads_of(b, x, "attn_v", layer, q_rows + k_rows, kv, c->value_dim, fused, NULL);
    q = rotate(b, q, o);
    k = remember(b, rotate(b, k, o), "k", layer, kv, c->key_dim);
    v = remember(b, v, "v", layer, kv, c->value_dim);
    adze_value *slopes =
        o->slopes ? adze_build_constant(b, "alibi.slopes", 1, &c->heads, o->slopes) : NULL;
    if (!q || !k || !v)
        return NULL;
    adze_value *positions = c->architecture->encoder ? NULL : b->positions;
    adze_value *y = ADZE_BUILD(b, "adze", "CachedAttention", q, k, v, positions, slopes);
    if (o->scale > 0)
        adze_build_float(b, y, "scale", o->scale);
    if (c->attention_softcap > 0)
        adze_build_float(b, y, "softcap", c->attention_softcap);
    if (o->window > 0)
        adze_build_int(b, y, "window", o->window);
    if (adze_build_has(b, "attn_sub_norm", layer))
        y = adze_build_norm(b, y, "attn_sub_norm", layer);
    return adze_build_linear(b, y, "attn_output", layer);
}

/* ---- feed-forward ---- */

static adze_value *glu(adze_builder *b, adze_value *gate, adze_value *up)
{
    if (!gate || !up)
        return NULL;
    adze_value *y = ADZE_BUILD(b, "adze", "Glu", gate, up);
    adze_build_string(b, y, "activation", b->config->architecture->activation);
    return y;
}

static adze_value *activate(adze_builder *b, adze_value *x)
{
    const char *name = b->config->architecture->activation;
    if (strcmp(name, "silu") == 0)
        return ADZE_BUILD(b, "", "Swish", x);
    if (strcmp(name, "relu") == 0)
        return ADZE_BUILD(b, "", "Relu", x);
    adze_value *y = ADZE_BUILD(b, "", "Gelu", x);
    adze_build_string(b, y, "approximate", strcmp(name, "gelu_tanh") == 0 ? "tanh" : "none");
    return y;
}

static adze_value *dense(adze_builder *b, adze_value *x, const char *gate, const char *up,
                         const char *down, int64_t layer)
{
    adze_value *weight = adze_build_weight(b, up, layer), *last = adze_build_weight(b, down, layer);
    if (!weight || !last)
        return NULL;
    int64_t rows = weight->constant->dims[0], inner = last->constant->dims[1];
    adze_value *y;
    if (adze_build_has(b, gate, layer))
        y = glu(b, adze_build_linear(b, x, gate, layer), adze_build_linear(b, x, up, layer));
    else if (rows == 2 * inner) /* gate and up in one tensor */
        y = glu(b, adze_build_linear_rows(b, x, up, layer, 0, inner),
                adze_build_linear_rows(b, x, up, layer, inner, inner));
    else
        y = activate(b, adze_build_linear(b, x, up, layer));
    return adze_build_linear(b, y, down, layer);
}

static adze_value *expert_linear(adze_builder *b, adze_value *x, const char *name, int64_t layer,
                                 adze_value *ids)
{
    adze_value *weight = adze_build_weight(b, name, layer);
    if (!x || !weight || !ids)
        return NULL;
    adze_value *inputs[] = {x, weight, ids, adze_build_vector(b, name, "bias", layer)};
    return adze_build_node(b, "adze", "ExpertLinear", weight->name, 4, inputs);
}

/* ids is output 1 of the router. */
static adze_value *route(adze_builder *b, adze_value *x, int64_t layer, adze_value **ids)
{
    const adze_llm_config *c = b->config;
    adze_value *logits = adze_build_linear(b, x, "ffn_gate_inp", layer);
    if (!logits)
        return NULL;
    adze_node *node = adze_graph_add_node(b->graph, "adze", "MoeRoute", NULL, 1, &logits, 2);
    if (!node)
        return adze_build_fail(b, ADZE_NO_MEMORY, "experts");
    adze_value *weights = node->outputs[0];
    *ids = node->outputs[1];
    adze_build_int(b, weights, "k", c->experts_used);
    adze_build_int(b, weights, "normalize",
                   adze_config_bool(c, "expert_weights_norm", !c->architecture->experts_unnormed));
    adze_build_string(b, weights, "gate",
                      adze_config_int(c, "expert_gating_func", 1) == 2 ? "sigmoid" : "softmax");
    float scale = adze_config_float(c, "expert_weights_scale", 0);
    if (scale != 0)
        adze_build_float(b, weights, "scale", scale);
    return weights;
}

/* One number for each token; GGUF files hold its weight as a vector. */
static adze_value *shared_gate(adze_builder *b, adze_value *x, int64_t layer)
{
    adze_value *row = adze_build_vector(b, "ffn_gate_inp_shexp", "weight", layer);
    if (!row || !x)
        return NULL;
    int64_t dims[] = {1, adze_tensor_elements(row->constant)};
    adze_value *weight = adze_build_constant(b, row->name, 2, dims, row->constant->data);
    return weight ? ADZE_BUILD(b, "adze", "Linear", x, weight) : NULL;
}

static adze_value *experts(adze_builder *b, adze_value *x, int64_t layer)
{
    adze_value *ids = NULL, *weights = route(b, x, layer, &ids);
    adze_value *y = glu(b, expert_linear(b, x, "ffn_gate_exps", layer, ids),
                        expert_linear(b, x, "ffn_up_exps", layer, ids));
    y = expert_linear(b, y, "ffn_down_exps", layer, ids);
    if (!y || !weights)
        return NULL;
    y = ADZE_BUILD(b, "adze", "MoeCombine", y, weights);
    if (!adze_build_has(b, "ffn_down_shexp", layer))
        return y;
    adze_value *shared = dense(b, x, "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp", layer);
    if (adze_build_has(b, "ffn_gate_inp_shexp", layer)) {
        adze_value *gate = ADZE_BUILD(b, "", "Sigmoid", shared_gate(b, x, layer));
        shared = shared && gate ? ADZE_BUILD(b, "", "Mul", shared, gate) : NULL;
    }
    return adze_build_add(b, y, shared);
}

adze_value *adze_build_feed(adze_builder *b, adze_value *x, int64_t layer)
{
    if (adze_build_has(b, "ffn_gate_inp", layer))
        return experts(b, x, layer);
    return dense(b, x, "ffn_gate", "ffn_up", "ffn_down", layer);
}

/* ---- the usual layer ---- */

static adze_value *post_norm(adze_builder *b, adze_value *x, const char *name, int64_t layer)
{
    return adze_build_has(b, name, layer) ? adze_build_norm(b, x, name, layer) : x;
}

adze_value *adze_build_layer(adze_builder *b, int64_t layer, adze_value *x,
                             const adze_build_attention *options)
{
    float scale = b->config->residual_scale;
    bool before = adze_build_has(b, "attn_norm", layer),
         second = adze_build_has(b, "ffn_norm", layer);
    bool after = adze_build_has(b, "post_ffw_norm", layer);
    adze_value *normed = before ? adze_build_norm(b, x, "attn_norm", layer) : x;
    adze_value *y = adze_build_attend(b, normed, layer, options);
    y = post_norm(b, y, "post_attention_norm", layer);
    y = adze_build_scale(b, y, scale);
    bool parallel = before && !second && !after;
    adze_value *middle = parallel ? x : adze_build_add(b, x, y);
    adze_value *in = parallel ? normed
                     : second ? adze_build_norm(b, middle, "ffn_norm", layer)
                              : middle;
    adze_value *z = adze_build_feed(b, in, layer);
    z = post_norm(b, z, "post_ffw_norm", layer);
    z = adze_build_scale(b, z, scale);
    if (parallel)
        z = adze_build_add(b, y, z);
    return adze_build_add(b, middle, z);
}
