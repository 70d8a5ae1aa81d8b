/* BERT (Devlin 2018) and Nomic's, which has rotary positions and a gate: encoders, normed after each sum. All tokens
 * are of the first type ("sentence A"). */
#include "llm/architectures.h"

/* Row 0 of token_types, for all tokens. */
static adze_value *first_type(adze_builder *b)
{
    adze_value *types = adze_build_vector(b, "token_types", "weight", -1);
    if (!types)
        return NULL;
    return adze_build_constant(b, NULL, 1, &b->config->width, types->constant->data);
}

static adze_value *embed(adze_builder *b, adze_value *tokens)
{
    adze_value *x = adze_build_embedding(b, tokens, "token_embd");
    if (adze_build_has(b, "token_types", -1))
        x = adze_build_add(b, x, first_type(b));
    if (adze_build_has(b, "position_embd", -1))
        x = adze_build_add(b, x, adze_build_learned_positions(b));
    return adze_build_norm(b, x, "token_embd_norm", -1);
}

static adze_value *layer(adze_builder *b, int64_t i, adze_value *x)
{
    adze_value *y = adze_build_add(b, x, adze_build_attend(b, x, i, NULL));
    y = adze_build_norm(b, y, "attn_output_norm", i);
    adze_value *z = adze_build_add(b, y, adze_build_feed(b, y, i));
    return adze_build_norm(b, z, "layer_output_norm", i);
}

#define ALWAYS                                                                                     \
    "token_embd token_embd_norm blk.*.attn_output blk.*.attn_output_norm blk.*.ffn_up "            \
    "blk.*.layer_output_norm "

const adze_architecture adze_arch_bert[] = {
    {.name = "bert",
     .rope = ADZE_ROPE_NONE,
     .layer_norm = true,
     .encoder = true,
     .activation = "gelu",
     .required = ALWAYS "position_embd",
     .embed = embed,
     .layer = layer},
    {.name = "nomic-bert",
     .rope = ADZE_ROPE_HALVES,
     .layer_norm = true,
     .encoder = true,
     .activation = "silu",
     .required = ALWAYS "blk.*.attn_qkv blk.*.ffn_gate",
     .embed = embed,
     .layer = layer},
    {.name = NULL},
};
