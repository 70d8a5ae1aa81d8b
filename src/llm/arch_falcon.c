/* Falcon (Almazrouei 2023): attention and feed-forward in parallel. The 7B shares one norm between them and one head
 * of k and v between all queries; the new decoder of the 40B has a norm and groups for each. */
#include "llm/architectures.h"

static adze_value *layer(adze_builder *b, int64_t i, adze_value *x)
{
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
