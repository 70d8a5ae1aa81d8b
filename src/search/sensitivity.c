/* Which layers suffer most from being integer: the recipe is applied with one layer at a time left in
 * float, and the error of the outputs against the original's tells how much that helps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ops/registry.h"
#include "search/search_impl.h"

typedef struct ranked {
    const char *name;
    double error;
} ranked;

static int by_error(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->error < y->error ? -1 : x->error > y->error;
}

/* Mean squared error of the outputs with this node in float; INFINITY when it cannot be made. */
static double error_without(search *s, const adze_candidate *around, const char *node)
{
    adze_candidates one = {0};
    adze_recipe *recipe = NULL;
    adze_model *made = NULL;
    adze_plan *plan = NULL;
    json_t *metrics = NULL;
    adze_error ignored;
    adze_candidates_leave_float(&one, around, "one", &node, 1);
    char *text = one.count ? json_dumps(one.items[0].recipe, JSON_COMPACT) : NULL;
    bool ok = text && adze_recipe_parse(&recipe, text, "candidate", &ignored) == ADZE_OK &&
              adze_quantize(&made, NULL, s->model, recipe, s->calibration, &ignored) == ADZE_OK &&
              adze_plan_create(&plan, adze_model_graph(made), NULL, &ignored) == ADZE_OK &&
              search_judge_quality(s, plan, PART_PROBE, &metrics, &ignored) == ADZE_OK;
    double error = ok ? search_number(metrics, "mse.value") : INFINITY;
    json_decref(metrics);
    adze_plan_free(&plan);
    adze_model_close(&made);
    adze_recipe_free(&recipe);
    adze_candidates_free(&one);
    free(text);
    return isnan(error) ? INFINITY : error;
}

/* A ranking is measured once: its record in the ledger is the list of names. */
static adze_status from_ledger(search *s, const adze_candidate *around, char key[80],
                               const char **names, int *count, adze_error *err)
{
    json_t *record = NULL, *name;
    size_t i;
    char base[65];
    ADZE_TRY(search_key(base, s, around->recipe, err));
    snprintf(key, 80, "rank:%s", base);
    ADZE_TRY(adze_ledger_get(&record, s->ledger, key, err));
    json_array_foreach(record, i, name)
    {
        names[i] = adze_arena_strdup(&s->arena, json_string_value(name));
        *count = (int)i + 1;
    }
    json_decref(record);
    return ADZE_OK;
}

static adze_status to_ledger(search *s, const char *key, const char *const *names, int count,
                             adze_error *err)
{
    json_t *record = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(record, json_string(names[i]));
    adze_status status = adze_ledger_put(s->ledger, key, record, err);
    json_decref(record);
    return status;
}

adze_status search_rank_nodes(search *s, const adze_candidate *around, const char ***names,
                              int *count, adze_error *err)
{
    const adze_graph *g = adze_model_graph(s->model);
    int nodes = adze_graph_node_count(g), layers = 0;
    ranked *list = ADZE_ARENA_ARRAY(&s->arena, ranked, (size_t)nodes + 1);
    char key[80];
    *names = ADZE_ARENA_ARRAY(&s->arena, const char *, (size_t)nodes + 1);
    *count = 0;
    if (!list || !*names)
        return adze_fail(err, ADZE_NO_MEMORY, "sensitivity");
    ADZE_TRY(from_ledger(s, around, key, *names, count, err));
    if (*count > 0)
        return ADZE_OK;
    ADZE_TRY(search_need_calibration(s, err));
    for (int i = 0; i < nodes; i++) {
        const adze_op *op = adze_node_operator(adze_graph_node(g, i));
        if (op && op->quant == ADZE_QUANT_WEIGHTED)
            list[layers++].name = adze_node_name(adze_graph_node(g, i));
    }
    for (int i = 0; i < layers && !search_cancelled(s); i++) {
        search_progress(s, "sensitivity of layer %d of %d", i + 1, layers);
        list[i].error = error_without(s, around, list[i].name);
    }
    qsort(list, (size_t)layers, sizeof *list, by_error);
    for (int i = 0; i < layers; i++)
        (*names)[i] = list[i].name;
    *count = layers;
    return search_cancelled(s) ? ADZE_OK : to_ledger(s, key, *names, layers, err);
}
