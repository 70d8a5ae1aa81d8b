/* Applying a recipe: the base graph, equalisation, then the scheme. */
#include "compress/base_graph.h"
#include "compress/schemes.h"

typedef adze_status (*scheme_fn)(adze_compression *work, adze_error *err);

static adze_status leave(adze_compression *work, adze_error *err)
{
    ADZE_UNUSED(work);
    ADZE_UNUSED(err);
    return ADZE_OK;
}

static const scheme_fn schemes[] = {
    [ADZE_SCHEME_NONE] = leave,
    [ADZE_SCHEME_STATIC] = adze_compress_static,
    [ADZE_SCHEME_DYNAMIC] = adze_compress_dynamic,
    [ADZE_SCHEME_WEIGHT_ONLY] = adze_compress_weights,
    [ADZE_SCHEME_FLOAT16] = adze_compress_float16,
};

bool adze_compress_wants(const adze_compression *work, const adze_node *node)
{
    return adze_compress_has_weights(node) &&
           !adze_recipe_keeps_float(work->recipe, node->name, node->op_type);
}

static adze_status apply(adze_compression *work, adze_error *err)
{
    const adze_recipe *given = work->recipe->resolved ? work->recipe : NULL;
    if (work->recipe->equalize)
        ADZE_TRY(adze_compress_equalize(work->graph, given, work->resolved, err));
    if (work->recipe->bias_correction)
        ADZE_TRY(adze_compress_correct_biases(work, err));
    ADZE_TRY(schemes[work->recipe->scheme](work, err));
    adze_graph_compact(work->graph);
    ADZE_TRY(adze_graph_sort(work->graph, err));
    return adze_graph_infer(work->graph, err);
}

static adze_status check_calibration(const adze_recipe *recipe, const adze_calibration *calibration,
                                     adze_error *err)
{
    if (adze_recipe_is_complete(recipe) || adze_calibration_for(calibration, recipe))
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_ARGUMENT,
                     "the recipe is not resolved: calibration data are needed%s",
                     recipe->equalize ? ", observed after equalisation" : "");
}

static adze_status quantize(adze_compression *work, adze_model **out, const adze_model *model,
                            adze_error *err)
{
    ADZE_TRY(adze_compress_base_graph(&work->graph, adze_model_graph(model), err));
    adze_status status = apply(work, err);
    if (status != ADZE_OK) {
        adze_graph_free(&work->graph);
        return status;
    }
    return adze_model_from_graph(out, &work->graph, model, err);
}

adze_status adze_quantize(adze_model **out, adze_recipe **resolved, const adze_model *model,
                          const adze_recipe *recipe, const adze_calibration *calibration,
                          adze_error *err)
{
    adze_recipe *copy;
    adze_arena scratch = {0};
    ADZE_TRY(check_calibration(recipe, calibration, err));
    ADZE_TRY(adze_recipe_copy(&copy, recipe, err));
    adze_compression work = {.recipe = recipe,
                             .resolved = recipe->resolved ? NULL : copy,
                             .seen = adze_calibration_for(calibration, recipe),
                             .arena = &scratch};
    copy->resolved = true;
    adze_status status = quantize(&work, out, model, err);
    adze_arena_free(&scratch);
    if (status == ADZE_OK && resolved)
        *resolved = copy;
    else
        adze_recipe_free(&copy);
    return status;
}
