/* Whole graphs: from tokens to hidden states, from hidden states to logits. Two, because logits are wanted for few
 * of the tokens of a prompt, and an embedding has none at all. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "llm/architectures.h"
#include "llm/build.h"
#include "ops/registry.h"

/* ---- what must be there ---- */

static int report_missing(const adze_builder *b, const char *pattern, adze_text *missing)
{
    bool each = adze_starts_with(pattern, "blk.*.");
    int count = 0;
    for (int64_t i = 0; i < (each ? b->config->layers : 1); i++) {
        if (adze_build_has(b, each ? pattern + 6 : pattern, each ? i : -1))
            continue;
        if (count++ > 0 && each)
            continue; /* one example for each pattern */
        adze_text_puts(missing, missing->length ? ", " : "");
        if (each)
            adze_text_printf(missing, "blk.%lld.%s.weight", (long long)i, pattern + 6);
        else
            adze_text_printf(missing, "%s.weight", pattern);
    }
    return count;
}

static void check_required(adze_builder *b)
{
    char pattern[64];
    adze_text missing = {0};
    int count = 0;
    for (const char *at = b->config->architecture->required; at && *at;) {
        size_t n = strcspn(at, " ");
        snprintf(pattern, sizeof pattern, "%.*s", (int)n, at);
        count += report_missing(b, pattern, &missing);
        at += n + (at[n] == ' ');
    }
    if (count > 0)
        adze_build_fail(b, ADZE_BAD_MODEL, "%d tensors that architecture %s needs are missing: %s",
                        count, b->config->architecture->name, adze_text_get(&missing));
    adze_text_free(&missing);
}

/* ---- graphs ---- */

static adze_value *add_input(adze_builder *b, const char *name, adze_dtype dtype,
                             const char *symbol, int64_t most, int64_t width)
{
    if (b->status != ADZE_OK)
        return NULL;
    adze_dim dims[2] = {adze_graph_symbol(b->graph, symbol), width};
    adze_type type = adze_type_tensor(dtype, width > 0 ? 2 : 1, dims);
    adze_value *value = dims[0] ? adze_graph_add_input(b->graph, name, &type) : NULL;
    if (!value)
        return adze_build_fail(b, ADZE_NO_MEMORY, "input %s", name);
    adze_status status = adze_graph_bound(b->graph, symbol, 1, most, b->err);
    b->status = status;
    return status == ADZE_OK ? value : NULL;
}

static adze_value *embed_tokens(adze_builder *b, adze_value *tokens)
{
    const adze_architecture *a = b->config->architecture;
    if (a->embed)
        return a->embed(b, tokens);
    return adze_build_embedding(b, tokens, "token_embd");
}

static adze_status finish(adze_builder *b, adze_value *output)
{
    if (b->status == ADZE_OK && !output)
        adze_build_fail(b, ADZE_INTERNAL, "the graph has no output");
    if (b->status == ADZE_OK)
        b->status = adze_graph_add_output(b->graph, output, b->err);
    if (b->status == ADZE_OK)
        b->status = adze_graph_infer(b->graph, b->err);
    return b->status;
}

static adze_status build_body(adze_builder *b, const adze_build_sizes *sizes)
{
    const adze_architecture *a = b->config->architecture;
    check_required(b);
    adze_value *tokens = add_input(b, "tokens", ADZE_I64, "T", sizes->batch, 0);
    b->positions = add_input(b, "positions", ADZE_I64, "T", sizes->batch, 0);
    adze_value *x = embed_tokens(b, tokens);
    for (int64_t i = 0; i < b->config->layers; i++)
        x = a->layer ? a->layer(b, i, x) : adze_build_layer(b, i, x, NULL);
    if (adze_build_has(b, "output_norm", -1))
        x = adze_build_norm(b, x, "output_norm", -1);
    return finish(b, x);
}

static adze_status build_head(adze_builder *b, const adze_build_sizes *sizes)
{
    const adze_llm_config *c = b->config;
    adze_value *hidden = add_input(b, "hidden", ADZE_F32, "R", sizes->rows, c->width);
    bool own = adze_build_has(b, "output", -1);
    adze_value *logits = adze_build_linear(b, hidden, own ? "output" : "token_embd", -1);
    logits = adze_build_scale(b, logits, c->logit_scale);
    if (c->logit_softcap > 0 && logits) {
        logits = ADZE_BUILD(b, "adze", "Softcap", logits);
        adze_build_float(b, logits, "cap", c->logit_softcap);
    }
    return finish(b, logits);
}

adze_status adze_llm_build(adze_graph **body, adze_graph **head, adze_context *context,
                           const adze_checkpoint *checkpoint, const adze_llm_config *config,
                           const adze_build_sizes *sizes, adze_arena *arena, adze_error *err)
{
    adze_builder b = {.checkpoint = checkpoint,
                      .config = config,
                      .arena = arena,
                      .context = sizes->context,
                      .cache_type = sizes->cache_type,
                      .err = err};
    *body = *head = NULL;
    adze_status status = adze_graph_create(&b.graph, context, err);
    if (status != ADZE_OK)
        return status;
    *body = b.graph;
    status = build_body(&b, sizes);
    if (status == ADZE_OK && !config->architecture->encoder) {
        adze_builder top = b;
        status = adze_graph_create(&top.graph, context, err);
        if (status == ADZE_OK) {
            *head = top.graph;
            status = build_head(&top, sizes);
        }
    }
    if (status != ADZE_OK) {
        adze_graph_free(body);
        adze_graph_free(head);
    }
    return status;
}
