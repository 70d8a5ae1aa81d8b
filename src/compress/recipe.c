/* Recipes: making, copying, looking up, canonical text. Their JSON form is in recipe_json.c. */
#include "compress/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

/* ---- files and text ---- */

adze_status adze_recipe_load(adze_recipe **out, const char *path, adze_error *err)
{
    json_t *json;
    ADZE_TRY(adze_json_load(&json, path, err));
    adze_status status = adze_recipe_from_json(out, json, path, err);
    json_decref(json);
    return status;
}

adze_status adze_recipe_parse(adze_recipe **out, const char *text, const char *name,
                              adze_error *err)
{
    json_error_t why;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return adze_fail(err, ADZE_BAD_FILE, "%s:%d:%d: not valid JSON: %s", name, why.line,
                         why.column, adze_json_why(&why));
    adze_status status = adze_recipe_from_json(out, json, name, err);
    json_decref(json);
    return status;
}

adze_status adze_recipe_create(adze_recipe **out, const char *scheme, adze_error *err)
{
    json_t *json = json_pack("{s:i, s:s}", "version", ADZE_RECIPE_VERSION, "scheme", scheme);
    if (!json)
        return adze_fail(err, ADZE_NO_MEMORY, "recipe: out of memory");
    adze_status status = adze_recipe_from_json(out, json, "recipe", err);
    json_decref(json);
    return status == ADZE_BAD_FILE ? adze_wrap(err, ADZE_BAD_ARGUMENT, "scheme") : status;
}

adze_status adze_recipe_save(const adze_recipe *recipe, const char *path, adze_error *err)
{
    json_t *json;
    ADZE_TRY(adze_recipe_to_json(&json, recipe, err));
    adze_status status = adze_json_save(json, path, err);
    json_decref(json);
    return status;
}

adze_status adze_recipe_copy(adze_recipe **out, const adze_recipe *recipe, adze_error *err)
{
    json_t *json;
    ADZE_TRY(adze_recipe_to_json(&json, recipe, err));
    adze_status status = adze_recipe_from_json(out, json, "recipe", err);
    json_decref(json);
    return status;
}

void adze_recipe_free(adze_recipe **recipe)
{
    if (!recipe || !*recipe)
        return;
    adze_arena_free(&(*recipe)->arena);
    adze_free(*recipe);
    *recipe = NULL;
}

static int add_bytes(const char *bytes, size_t size, void *user)
{
    adze_text *text = user;
    adze_text_add(text, bytes, size);
    return text->failed ? -1 : 0;
}

static adze_status dump(char **out, const json_t *json, adze_error *err)
{
    adze_text text = {0};
    size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY;
    if (json_dump_callback(json, add_bytes, &text, flags) != 0 || text.failed) {
        adze_text_free(&text);
        return adze_fail(err, ADZE_NO_MEMORY, "recipe: out of memory");
    }
    *out = text.data;
    return ADZE_OK;
}

adze_status adze_recipe_text(char **out, const adze_recipe *recipe, adze_error *err)
{
    json_t *json;
    ADZE_TRY(adze_recipe_to_json(&json, recipe, err));
    adze_status status = dump(out, json, err);
    json_decref(json);
    return status;
}

adze_status adze_recipe_hash(char out[65], const adze_recipe *recipe, adze_error *err)
{
    char *text;
    ADZE_TRY(adze_recipe_text(&text, recipe, err));
    adze_sha256 sha;
    adze_sha256_init(&sha);
    adze_sha256_add(&sha, text, strlen(text));
    adze_sha256_hex(&sha, out);
    adze_string_free(&text);
    return ADZE_OK;
}

bool adze_recipe_preprocess(adze_preprocess *out, const adze_recipe *recipe)
{
    if (recipe->has_preprocess)
        *out = recipe->preprocess;
    return recipe->has_preprocess;
}

void adze_recipe_set_preprocess(adze_recipe *recipe, const adze_preprocess *preprocess)
{
    recipe->preprocess = *preprocess;
    recipe->has_preprocess = true;
}

/* ---- one field ---- */

/* The object that holds the last part of a dotted key, made where it is missing. */
static json_t *descend(json_t *json, const char *key, const char **last)
{
    const char *dot;
    while (json && (dot = strchr(key, '.'))) {
        char part[64];
        size_t n = (size_t)(dot - key);
        if (n >= sizeof part)
            return NULL;
        memcpy(part, key, n);
        part[n] = 0;
        if (!json_object_get(json, part) && json_object_set_new(json, part, json_object()) != 0)
            return NULL;
        json = json_object_get(json, part);
        key = dot + 1;
    }
    *last = key;
    return json_is_object(json) ? json : NULL;
}

adze_status adze_recipe_set(adze_recipe **recipe, const char *key, const char *value,
                            adze_error *err)
{
    json_t *json, *item = json_loads(value, JSON_DECODE_ANY, NULL);
    const char *last = key;
    adze_recipe *changed;
    if (!item)
        item = json_string(value);
    adze_status status = adze_recipe_to_json(&json, *recipe, err);
    if (status != ADZE_OK) {
        json_decref(item);
        return status;
    }
    json_t *object = descend(json, key, &last);
    if (!object)
        json_decref(item);
    if (!object || json_object_set_new(object, last, item) != 0)
        status = adze_fail(err, ADZE_BAD_ARGUMENT, "recipe: no key '%s' can be set", key);
    else
        status = adze_recipe_from_json(&changed, json, "recipe", err);
    json_decref(json);
    if (status != ADZE_OK)
        return status == ADZE_BAD_FILE ? ADZE_BAD_ARGUMENT : status;
    adze_recipe_free(recipe);
    *recipe = changed;
    return ADZE_OK;
}

/* ---- looking ---- */

bool adze_recipe_is_complete(const adze_recipe *r)
{
    bool data = r->scheme == ADZE_SCHEME_STATIC || r->bias_correction;
    return r->resolved || !data;
}

const char *adze_recipe_scheme(const adze_recipe *recipe)
{
    static const char *const names[] = {
#define X(name, text) text,
        ADZE_SCHEME_LIST(X)
#undef X
    };
    return names[recipe->scheme];
}

int64_t adze_recipe_samples(const adze_recipe *recipe)
{
    return recipe->samples;
}

uint64_t adze_recipe_seed(const adze_recipe *recipe)
{
    return recipe->seed;
}

bool adze_recipe_equalizes(const adze_recipe *recipe)
{
    return recipe->equalize;
}

adze_override adze_recipe_activation(const adze_recipe *recipe, const char *value)
{
    for (int i = 0; i < recipe->override_count; i++)
        if (strcmp(recipe->overrides[i].value, value) == 0)
            return recipe->overrides[i];
    return (adze_override){.value = value, .activation = recipe->activations};
}

bool adze_recipe_keeps_float(const adze_recipe *recipe, const char *node, const char *op)
{
    for (int i = 0; i < recipe->float_count; i++)
        if (strcmp(recipe->float_nodes[i], op) == 0 ||
            adze_glob_match(recipe->float_nodes[i], node))
            return true;
    return false;
}

/* ---- what came from data ---- */

bool adze_recipe_add_range(adze_recipe *r, const char *value, float low, float high)
{
    if (!adze_arena_grow(&r->arena, &r->ranges, &r->range_capacity, r->range_count,
                         sizeof *r->ranges))
        return false;
    const char *name = adze_arena_strdup(&r->arena, value);
    r->ranges[r->range_count++] = (adze_named_range){name, low, high};
    return name;
}

static bool add_floats(adze_recipe *r, adze_named_floats **list, int *capacity, int *count,
                       const adze_named_floats *item)
{
    if (!adze_arena_grow(&r->arena, list, capacity, *count, sizeof **list))
        return false;
    adze_named_floats copy = *item;
    copy.name = adze_arena_strdup(&r->arena, item->name);
    copy.values =
        adze_arena_memdup(&r->arena, item->values, (size_t)item->count * sizeof *item->values);
    (*list)[(*count)++] = copy;
    return copy.name && copy.values;
}

bool adze_recipe_add_factors(adze_recipe *r, const char *node, const float *values, int64_t count)
{
    return add_floats(r, &r->factors, &r->factor_capacity, &r->factor_count,
                      &(adze_named_floats){node, count, values});
}

bool adze_recipe_add_correction(adze_recipe *r, const char *node, const float *values,
                                int64_t count)
{
    return add_floats(r, &r->corrections, &r->correction_capacity, &r->correction_count,
                      &(adze_named_floats){node, count, values});
}

bool adze_recipe_add_kept(adze_recipe *r, const char *node)
{
    if (!adze_arena_grow(&r->arena, &r->kept, &r->kept_capacity, r->kept_count, sizeof *r->kept))
        return false;
    r->kept[r->kept_count++] = adze_arena_strdup(&r->arena, node);
    return r->kept[r->kept_count - 1];
}

const adze_named_range *adze_recipe_find_range(const adze_recipe *r, const char *value)
{
    for (int i = 0; i < r->range_count; i++)
        if (strcmp(r->ranges[i].name, value) == 0)
            return &r->ranges[i];
    return NULL;
}

static const adze_named_floats *find_floats(const adze_named_floats *list, int count,
                                            const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

const adze_named_floats *adze_recipe_find_factors(const adze_recipe *r, const char *node)
{
    return find_floats(r->factors, r->factor_count, node);
}

const adze_named_floats *adze_recipe_find_correction(const adze_recipe *r, const char *node)
{
    return find_floats(r->corrections, r->correction_count, node);
}
