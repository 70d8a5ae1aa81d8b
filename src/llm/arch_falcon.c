/* Falcon (Almazrouei 2023): attention and feed-forward in parallel. The 7B shares one norm between them and one head
 * of k and v between all queries; the new decoder of the 40B has a norm and groups for each. Falcon-RW, before them,
 * has the usual layer, and ALiBi (Press 2021) in place of rotary positions, scaled with the scores. */
#include <math.h>

#include "llm/architectures.h"

/* Powers of 2 ^ (-8 / n) for the largest power of two n up to the number of heads; the rest lie between. */
static const float *alibi_slopes(adze_builder *b)
{
    const adze_llm_config *c = b->config;
    float *slopes = ADZE_ARENA_ARRAY(b->arena, float, (size_t)c->heads);
    int64_t n = 1;
    while (n * 2 <= c->heads)
        n *= 2;
    for (int64_t h = 0; slopes && h < c->heads; h++) {
        double power = h < n ? (double)(h + 1) : (double)(2 * (h - n) + 1) / 2;
        slopes[h] = (float)(pow(2, -8.0 * power / (double)n) / sqrt((double)c->key_dim));
    }
    if (!slopes)
        adze_build_fail(b, ADZE_NO_MEMORY, "ALiBi");
    return slopes;
}

static adze_value *layer(adze_builder *b, int64_t i, adze_value *x)
{
    const adze_llm_config *c = b->config;
    adze_build_attention alibi = {.no_rope = true};
    if (adze_config_float(c, "attention.max_alibi_bias", 0) > 0) {
        alibi.slopes = alibi_slopes(b);
        return adze_build_layer(b, i, x, &alibi);
    }
    if (!adze_config_bool(c, "use_parallel_residual", true))
        return adze_build_layer(b, i, x, NULL);
    adze_value *normed = adze_build_norm(b, x, "attn_norm", i), *in = normed;
    if (adze_build_has(b, "attn_norm_2", i)) /* then attn_norm is that of the feed-forward */
        in = adze_build_norm(b, x, "attn_norm_2", i);
    adze_value *y = adze_build_attend(b, in, i, NULL);
    return adze_build_add(b, x, adze_build_add(b, y, adze_build_feed(b, normed, i)));
}

const adze_architecture adze_arch_falcon[] = {
    {.name = "falcon",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .activation = "gelu",
     .required = "token_embd output_norm blk.*.attn_norm blk.*.attn_qkv blk.*.attn_output "
                 "blk.*.ffn_up",
     .layer = layer},
    {.name = NULL},
};
