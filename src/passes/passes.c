/* The ordered list of passes. After each, types are inferred anew; builds with assertions also check
 * that the graph still holds together and that its outputs are still of the types they were. */
#include "passes/passes.h"

#include <string.h>

#include "passes/list_impl.h"

static const adze_pass passes[] = {
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
    {"widen_half", "operators on float16 and bfloat16 compute in float32", adze_pass_widen_half},
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
    {"fold_constants", "what depends on constants alone is computed", adze_pass_fold_constants},
    {"remove_identities", "nodes that change nothing go", adze_pass_remove_identities},
    {"fuse_pad", "Pad becomes padding of Conv and pooling", adze_pass_fuse_pad},
    {"name_hard_activations", "arithmetic that is HardSigmoid, HardSwish is called so",
     adze_pass_name_hard_activations},
    {"name_activations", "arithmetic that is Gelu, Swish is called so", adze_pass_name_activations},
    {"name_layer_norm", "arithmetic that is LayerNormalization is called so",
     adze_pass_name_layer_norm},
    {"fuse_batch_norm", "scales and shifts go into weights", adze_pass_fuse_batch_norm},
    {"fuse_bias", "MatMul takes the bias behind it", adze_pass_fuse_bias},
    {"fuse_activation", "Relu and Clip become clamps of what is before them",
     adze_pass_fuse_activation},
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
    {"expand_qlinear", "QLinearConv is Conv between dequantizing and quantizing",
     adze_pass_expand_qlinear},
    {"qdq_to_integer", "operators between dequantizing and quantizing compute on integers",
     adze_pass_qdq_to_integer},
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
    {"fold_weights", "weights that stayed dequantized become floats", adze_pass_fold_weights},
    {"channels_last", "convolutions get channels side by side", adze_pass_channels_last},
    {"sink_transposes", "Transposes move down until they meet", adze_pass_sink_transposes},
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
    {"fuse_residual", "convolutions add the shortcut behind them", adze_pass_fuse_residual},
    {"tidy_transposes", "Transposes that move no byte become Reshapes", adze_pass_tidy_transposes},
    {"remove_identities", "nodes that change nothing go", adze_pass_remove_identities},
    {"remove_dead", "what no output needs goes", adze_pass_remove_dead},
};

int adze_pass_count(void)
{
    return (int)ADZE_COUNT_OF(passes);
}

const char *adze_pass_name(int i)
{
    return i >= 0 && i < adze_pass_count() ? passes[i].name : NULL;
}

const char *adze_pass_what(int i)
{
    return i >= 0 && i < adze_pass_count() ? passes[i].what : NULL;
}

adze_pass_options adze_pass_options_default(void)
{
    return (adze_pass_options){.fuse = true};
}

/* ---- checking ---- */

#ifndef NDEBUG
/* Types of the outputs when the passes began. */
static adze_status save_types(adze_type **out, const adze_graph *graph, adze_arena *arena,
                              adze_error *err)
{
    *out = ADZE_ARENA_ARRAY(arena, adze_type, (size_t)graph->output_count);
    if (!*out)
        return adze_fail(err, ADZE_NO_MEMORY, "rewriting the graph: out of memory");
    for (int i = 0; i < graph->output_count; i++)
        (*out)[i] = graph->outputs[i]->type;
    return ADZE_OK;
}

static bool types_agree(const adze_type *a, const adze_type *b)
{
    if (a->rank < 0 || b->rank < 0)
        return true;
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same =
            !adze_dim_known(a->dims[i]) || !adze_dim_known(b->dims[i]) || a->dims[i] == b->dims[i];
    return same;
}

static adze_status check(const adze_graph *graph, const adze_type *types, const char *after,
                         adze_error *err)
{
    char was[160], is[160];
    ADZE_TRY(adze_graph_verify(graph, after, err));
    for (int i = 0; i < graph->output_count; i++)
        if (!types_agree(&types[i], &graph->outputs[i]->type))
            return adze_fail(err, ADZE_INTERNAL, "after %s output %s is %s, not %s", after,
                             graph->outputs[i]->name,
                             adze_type_format(graph, &graph->outputs[i]->type, is, sizeof is),
                             adze_type_format(graph, &types[i], was, sizeof was));
    return ADZE_OK;
}
#else
static adze_status save_types(adze_type **out, const adze_graph *graph, adze_arena *arena,
                              adze_error *err)
{
    ADZE_UNUSED(graph);
    ADZE_UNUSED(arena);
    ADZE_UNUSED(err);
    *out = NULL;
    return ADZE_OK;
}

static adze_status check(const adze_graph *graph, const adze_type *types, const char *after,
                         adze_error *err)
{
    ADZE_UNUSED(graph);
    ADZE_UNUSED(types);
    ADZE_UNUSED(after);
    ADZE_UNUSED(err);
    return ADZE_OK;
}
#endif

/* ---- running ---- */

static adze_status run_pass(adze_graph *graph, const adze_pass *pass, const adze_type *types,
                            adze_error *err)
{
    bool changed = false;
    adze_status status = pass->run(graph, &changed, err);
    if (status != ADZE_OK)
        return adze_wrap(err, status, "pass %s", pass->name);
    if (!changed)
        return ADZE_OK;
    status = adze_graph_infer(graph, err);
    if (status != ADZE_OK)
        return adze_wrap(err, status, "after pass %s", pass->name);
    return check(graph, types, pass->name, err);
}

static adze_status run_list(adze_graph *graph, const adze_pass_options *options,
                            adze_arena *scratch, adze_error *err)
{
    adze_type *types;
    ADZE_TRY(adze_graph_infer(graph, err));
    ADZE_TRY(save_types(&types, graph, scratch, err));
    ADZE_TRY(check(graph, types, "inference", err));
    for (size_t i = 0; options->fuse && i < ADZE_COUNT_OF(passes); i++) {
        ADZE_TRY(run_pass(graph, &passes[i], types, err));
        if (options->after && strcmp(options->after, passes[i].name) == 0)
            return ADZE_OK;
    }
    if (options->after && options->fuse)
        return adze_fail(err, ADZE_NOT_FOUND, "no pass is called %s", options->after);
    return ADZE_OK;
}

adze_status adze_passes_run(adze_graph *graph, const adze_pass_options *options, adze_error *err)
{
    adze_pass_options defaults = adze_pass_options_default();
    adze_arena scratch = {0};
    adze_status status = run_list(graph, options ? options : &defaults, &scratch, err);
    adze_arena_free(&scratch);
    return status;
}

adze_status adze_passes_run_one(adze_graph *graph, const char *name, adze_error *err)
{
    adze_arena scratch = {0};
    adze_type *types;
    size_t i = 0;
    while (i < ADZE_COUNT_OF(passes) && strcmp(passes[i].name, name) != 0)
        i++;
    if (i == ADZE_COUNT_OF(passes))
        return adze_fail(err, ADZE_NOT_FOUND, "no pass is called %s", name);
    adze_status status = save_types(&types, graph, &scratch, err);
    if (status == ADZE_OK)
        status = run_pass(graph, &passes[i], types, err);
    adze_arena_free(&scratch);
    return status;
}

adze_status adze_graph_rewrite(adze_graph *graph, const char *after, adze_error *err)
{
    adze_pass_options options = adze_pass_options_default();
    options.after = after;
    return adze_passes_run(graph, &options, err);
}
