/* What to try, in which order. */
#include "search/candidates.h"

#include <stdio.h>
#include <string.h>

void adze_candidates_free(adze_candidates *list)
{
    for (int i = 0; i < list->count; i++)
        json_decref(list->items[i].recipe);
    adze_arena_free(&list->arena);
    *list = (adze_candidates){0};
}

bool adze_candidates_has(const adze_candidates *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return true;
    return false;
}

/* Takes the reference to `recipe`; a name that is there already is dropped. */
static void add(adze_candidates *list, const char *name, const char *scheme, json_t *recipe)
{
    if (!recipe || adze_candidates_has(list, name)) {
        list->failed |= !recipe;
        json_decref(recipe);
        return;
    }
    adze_candidate c = {adze_arena_strdup(&list->arena, name), scheme, recipe};
    if (!c.name || !adze_arena_grow(&list->arena, &list->items, &list->capacity, list->count,
                                    sizeof *list->items)) {
        list->failed = true;
        json_decref(recipe);
        return;
    }
    list->items[list->count++] = c;
}

/* ---- coarse ---- */

static json_t *weight_only(const char *type, const char *granularity, int block, bool clipped)
{
    json_t *weights =
        json_pack("{s:s, s:s, s:b}", "type", type, "granularity", granularity, "symmetric", 1);
    if (block > 0)
        json_object_set_new(weights, "block", json_integer(block));
    if (clipped)
        json_object_set_new(weights, "calibrator", json_string("mse"));
    return json_pack("{s:i, s:s, s:o}", "version", 1, "scheme", "weight_only", "weights", weights);
}

void adze_candidates_coarse(adze_candidates *list)
{
    add(list, "float16 weights", "float16",
        json_pack("{s:i, s:s}", "version", 1, "scheme", "float16"));
    add(list, "int8 weights per channel", "weight-only int8",
        weight_only("int8", "channel", 0, false));
    add(list, "int4 weights, blocks of 32", ADZE_SCHEME_INT4,
        weight_only("int4", "block", 32, false));
    add(list, "int4 weights, blocks of 32, clipped", ADZE_SCHEME_INT4,
        weight_only("int4", "block", 32, true));
    add(list, "int4 weights, blocks of 16, clipped", ADZE_SCHEME_INT4,
        weight_only("int4", "block", 16, true));
    add(list, "dynamic int8", "dynamic int8",
        json_pack("{s:i, s:s}", "version", 1, "scheme", "dynamic"));
}

/* ---- the static grid ---- */

typedef struct calibrator {
    const char *label, *name;
    double percentile;
} calibrator;

static const calibrator calibrators[] = {
    {"min-max", "minmax", 0},
    {"percentile 99.99", "percentile", 99.99},
    {"percentile 99.9", "percentile", 99.9},
    {"entropy", "entropy", 0},
    {"mean squared error", "mse", 0},
};

/* Symmetric as uint8 around 128: the numbers are those of int8 around 0, but other runtimes keep signed
 * activations that several layers share in float. */
static json_t *static_recipe(const calibrator *c, bool symmetric, bool per_channel)
{
    json_t *activations = json_pack("{s:s, s:b, s:s}", "type", "uint8", "symmetric", symmetric,
                                    "calibrator", c->name);
    if (c->percentile > 0)
        json_object_set_new(activations, "percentile", json_real(c->percentile));
    return json_pack("{s:i, s:s, s:o, s:{s:s, s:s, s:b}}", "version", 1, "scheme", "static",
                     "activations", activations, "weights", "type", "int8", "granularity",
                     per_channel ? "channel" : "tensor", "symmetric", 1);
}

static void add_static(adze_candidates *list, const calibrator *c, bool symmetric, bool per_channel)
{
    char name[160];
    snprintf(name, sizeof name, "static int8, %s, %s, weights per %s", c->label,
             symmetric ? "symmetric" : "asymmetric", per_channel ? "channel" : "tensor");
    add(list, name, ADZE_SCHEME_STATIC_INT8, static_recipe(c, symmetric, per_channel));
}

void adze_candidates_grid(adze_candidates *list)
{
    for (int form = 0; form < 4; form++) /* the promising form of every calibrator first */
        for (size_t i = 0; i < ADZE_COUNT_OF(calibrators); i++)
            add_static(list, &calibrators[i], (form & 1) != 0, form < 2);
}

/* ---- variations ---- */

static void add_with(adze_candidates *list, const adze_candidate *around, const char *suffix,
                     const char *key, json_t *value, const char *key2)
{
    char name[240];
    json_t *recipe = json_deep_copy(around->recipe);
    snprintf(name, sizeof name, "%.180s, %s", around->name, suffix);
    if (recipe && key2)
        json_object_set(recipe, key2, value);
    if (recipe)
        json_object_set_new(recipe, key, value);
    add(list, name, around->scheme, recipe);
}

void adze_candidates_refine(adze_candidates *list, const adze_candidate *around)
{
    if (json_object_get(around->recipe, "bias_correction") ||
        json_object_get(around->recipe, "equalize"))
        return;
    add_with(list, around, "bias corrected", "bias_correction", json_true(), NULL);
    add_with(list, around, "equalised", "equalize", json_true(), NULL);
    add_with(list, around, "equalised, bias corrected", "equalize", json_true(), "bias_correction");
}

void adze_candidates_leave_float(adze_candidates *list, const adze_candidate *around,
                                 const char *what, const char *const *nodes, int count)
{
    char suffix[80];
    json_t *names = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(names, json_string(nodes[i]));
    snprintf(suffix, sizeof suffix, "%s in float", what);
    add_with(list, around, suffix, "float_nodes", names, NULL);
}
