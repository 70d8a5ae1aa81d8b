/* Recipes from and to JSON. Reading checks every key, so that a misspelt one is an error that says what
 * would have been right. */
#include "compress/recipe.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/preprocess.h"

/* Where in the file a value stands, for messages. */
typedef struct place {
    const char *file, *object; /* object: "activations." or "" */
    adze_error *err;
} place;

static adze_status wrong(const place *p, const char *key, const char *expected, const json_t *found)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    adze_status status = adze_fail(p->err, ADZE_BAD_FILE, "%s: '%s%s': expected %s, found %.80s",
                                   p->file, p->object, key, expected, text ? text : "?");
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text)
        release(text);
    return status;
}

/* `names`: separated by blanks. */
static bool is_listed(const char *names, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = names; n && (at = strstr(at, key)); at += n)
        if ((at == names || at[-1] == ' ') && (at[n] == 0 || at[n] == ' '))
            return true;
    return false;
}

static adze_status check_keys(const json_t *object, const char *names, const place *p)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!is_listed(names, key))
            return adze_fail(p->err, ADZE_BAD_FILE, "%s: unknown key '%s%s'; expected one of: %s",
                             p->file, p->object, key, names);
    }
    return ADZE_OK;
}

/* ---- fields; an absent one leaves *out as it is ---- */

static adze_status read_word(int *out, const json_t *object, const char *key,
                             const char *const *words, const place *p)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return ADZE_OK;
    adze_text expected = {0};
    adze_text_puts(&expected, "one of");
    for (int i = 0; words[i]; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), words[i]) == 0) {
            *out = i;
            adze_text_free(&expected);
            return ADZE_OK;
        }
        adze_text_printf(&expected, "%s \"%s\"", i ? "," : "", words[i]);
    }
    adze_status status = wrong(p, key, adze_text_get(&expected), value);
    adze_text_free(&expected);
    return status;
}

static adze_status read_bool(bool *out, const json_t *object, const char *key, const place *p)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value))
        return wrong(p, key, "true or false", value);
    if (value)
        *out = json_is_true(value);
    return ADZE_OK;
}

static adze_status read_int(int64_t *out, const json_t *object, const char *key, int64_t least,
                            const place *p)
{
    const json_t *value = json_object_get(object, key);
    char expected[64];
    snprintf(expected, sizeof expected, "a whole number of at least %lld", (long long)least);
    if (value && (!json_is_integer(value) || json_integer_value(value) < least))
        return wrong(p, key, expected, value);
    if (value)
        *out = json_integer_value(value);
    return ADZE_OK;
}

static adze_status read_type(adze_dtype *out, const json_t *object, const char *const *words,
                             const place *p)
{
    int index = -1;
    ADZE_TRY(read_word(&index, object, "type", words, p));
    if (index >= 0)
        *out = adze_dtype_from_name(words[index]);
    return ADZE_OK;
}

static adze_status read_object(const json_t **out, const json_t *object, const char *key,
                               const place *p)
{
    *out = json_object_get(object, key);
    return *out && !json_is_object(*out) ? wrong(p, key, "an object", *out) : ADZE_OK;
}

#define X(name, text) text,
static const char *const scheme_words[] = {ADZE_SCHEME_LIST(X) NULL};
static const char *const calibrator_words[] = {ADZE_CALIBRATOR_LIST(X) NULL};
static const char *const granularity_words[] = {ADZE_GRANULARITY_LIST(X) NULL};
#undef X
static const char *const activation_types[] = {"uint8", "int8", NULL};
static const char *const weight_types[] = {"int8", "uint8", "int4", "uint4", NULL};
static const char *const weight_calibrators[] = {"minmax", "mse", NULL};

static adze_status read_activation(adze_activation_recipe *out, const json_t *json, const place *p)
{
    int calibrator = (int)out->calibrator;
    ADZE_TRY(read_type(&out->type, json, activation_types, p));
    ADZE_TRY(read_bool(&out->symmetric, json, "symmetric", p));
    ADZE_TRY(read_word(&calibrator, json, "calibrator", calibrator_words, p));
    out->calibrator = (adze_calibrator)calibrator;
    const json_t *percentile = json_object_get(json, "percentile");
    if (!percentile)
        return ADZE_OK;
    out->percentile = json_number_value(percentile);
    if (!json_is_number(percentile) || out->percentile <= 50 || out->percentile > 100)
        return wrong(p, "percentile", "a number above 50, at most 100", percentile);
    return ADZE_OK;
}

static adze_status read_weights(adze_weight_recipe *out, const json_t *json, const place *p)
{
    int granularity = (int)out->granularity, calibrator = 0;
    ADZE_TRY(check_keys(json, "type granularity block symmetric calibrator", p));
    ADZE_TRY(read_type(&out->type, json, weight_types, p));
    ADZE_TRY(read_word(&granularity, json, "granularity", granularity_words, p));
    ADZE_TRY(read_int(&out->block, json, "block", 2, p));
    ADZE_TRY(read_bool(&out->symmetric, json, "symmetric", p));
    ADZE_TRY(read_word(&calibrator, json, "calibrator", weight_calibrators, p));
    out->granularity = (adze_granularity)granularity;
    out->calibrator = calibrator ? ADZE_CALIBRATOR_MSE : ADZE_CALIBRATOR_MINMAX;
    return ADZE_OK;
}

static adze_status read_range(float *low, float *high, const json_t *json, const char *key,
                              const place *p)
{
    const json_t *a = json_array_get(json, 0), *b = json_array_get(json, 1);
    if (json_array_size(json) != 2 || !json_is_number(a) || !json_is_number(b) ||
        json_number_value(a) > json_number_value(b))
        return wrong(p, key, "[low, high]", json);
    *low = (float)json_number_value(a);
    *high = (float)json_number_value(b);
    return isfinite(*low) && isfinite(*high) ? ADZE_OK : wrong(p, key, "finite numbers", json);
}

static adze_status read_names(adze_recipe *r, const char ***out, int *count, const json_t *array,
                              const char *key, const place *p)
{
    if (array && !json_is_array(array))
        return wrong(p, key, "a list of names", array);
    size_t n = json_array_size(array);
    *out = ADZE_ARENA_ARRAY(&r->arena, const char *, n + 1);
    for (size_t i = 0; *out && i < n; i++) {
        const json_t *name = json_array_get(array, i);
        if (!json_is_string(name))
            return wrong(p, key, "a list of names", array);
        (*out)[i] = adze_arena_strdup(&r->arena, json_string_value(name));
        if (!(*out)[i])
            return adze_fail(p->err, ADZE_NO_MEMORY, "%s", p->file);
    }
    *count = (int)n;
    return *out ? ADZE_OK : adze_fail(p->err, ADZE_NO_MEMORY, "%s", p->file);
}

static adze_status read_override(adze_override *out, const json_t *json, const place *p)
{
    if (!json_is_object(json))
        return wrong(p, out->value, "an object", json);
    ADZE_TRY(check_keys(json, "calibrator percentile range symmetric type", p));
    ADZE_TRY(read_activation(&out->activation, json, p));
    const json_t *range = json_object_get(json, "range");
    out->ranged = range;
    return range ? read_range(&out->low, &out->high, range, "range", p) : ADZE_OK;
}

static adze_status read_overrides(adze_recipe *r, const json_t *json, const place *p)
{
    const char *key;
    json_t *value;
    r->overrides = ADZE_ARENA_ARRAY(&r->arena, adze_override, json_object_size(json) + 1);
    json_object_foreach((json_t *)json, key, value)
    {
        adze_override item = {.value = adze_arena_strdup(&r->arena, key),
                              .activation = r->activations};
        if (!item.value || !r->overrides)
            return adze_fail(p->err, ADZE_NO_MEMORY, "%s", p->file);
        ADZE_TRY(read_override(&item, value, p));
        r->overrides[r->override_count++] = item;
    }
    return ADZE_OK;
}

/* ---- the resolved part ---- */

static adze_status read_ranges(adze_recipe *r, const json_t *json, const place *p)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        float low, high;
        ADZE_TRY(read_range(&low, &high, value, key, p));
        if (!adze_recipe_add_range(r, key, low, high))
            return adze_fail(p->err, ADZE_NO_MEMORY, "%s", p->file);
    }
    return ADZE_OK;
}

static adze_status read_floats(adze_recipe *r, const json_t *json, const place *p,
                               bool (*add)(adze_recipe *, const char *, const float *, int64_t))
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        size_t n = json_array_size(value);
        float *numbers = adze_alloc(n, sizeof *numbers);
        bool ok = json_is_array(value), kept = numbers;
        for (size_t i = 0; kept && ok && i < n; i++) {
            numbers[i] = (float)json_number_value(json_array_get(value, i));
            ok = json_is_number(json_array_get(value, i)) && isfinite(numbers[i]);
        }
        kept = kept && ok && add(r, key, numbers, (int64_t)n);
        adze_free(numbers);
        if (!ok)
            return wrong(p, key, "a list of finite numbers", value);
        if (!kept)
            return adze_fail(p->err, ADZE_NO_MEMORY, "%s", p->file);
    }
    return ADZE_OK;
}

static adze_status read_resolved(adze_recipe *r, const json_t *json, place p)
{
    const json_t *ranges, *factors, *corrections;
    p.object = "resolved.";
    ADZE_TRY(check_keys(json, "bias_corrections equalization float_nodes ranges", &p));
    ADZE_TRY(read_object(&ranges, json, "ranges", &p));
    ADZE_TRY(read_object(&factors, json, "equalization", &p));
    ADZE_TRY(read_object(&corrections, json, "bias_corrections", &p));
    ADZE_TRY(read_names(r, &r->kept, &r->kept_count, json_object_get(json, "float_nodes"),
                        "float_nodes", &p));
    r->resolved = true;
    ADZE_TRY(read_ranges(r, ranges, &p));
    ADZE_TRY(read_floats(r, factors, &p, adze_recipe_add_factors));
    return read_floats(r, corrections, &p, adze_recipe_add_correction);
}

/* ---- the whole ---- */

static void set_defaults(adze_recipe *r)
{
    bool blocks = r->scheme == ADZE_SCHEME_WEIGHT_ONLY;
    r->activations = (adze_activation_recipe){.type = ADZE_U8, .percentile = 99.99};
    r->weights = (adze_weight_recipe){.type = ADZE_I8,
                                      .granularity = blocks ? ADZE_GRANULARITY_BLOCK
                                                            : ADZE_GRANULARITY_CHANNEL,
                                      .block = 32,
                                      .symmetric = true};
    r->seed = 1;
}

static adze_status read_parts(adze_recipe *r, const json_t *json, place p)
{
    const json_t *part;
    place inner = p;
    ADZE_TRY(read_object(&part, json, "activations", &p));
    inner.object = "activations.";
    if (part)
        ADZE_TRY(check_keys(part, "calibrator percentile symmetric type", &inner));
    ADZE_TRY(read_activation(&r->activations, part, &inner));
    ADZE_TRY(read_object(&part, json, "weights", &p));
    inner.object = "weights.";
    ADZE_TRY(read_weights(&r->weights, part, &inner));
    ADZE_TRY(read_object(&part, json, "calibration", &p));
    inner.object = "calibration.";
    int64_t seed = (int64_t)r->seed;
    if (part)
        ADZE_TRY(check_keys(part, "samples seed", &inner));
    ADZE_TRY(read_int(&r->samples, part, "samples", 0, &inner));
    ADZE_TRY(read_int(&seed, part, "seed", 0, &inner));
    r->seed = (uint64_t)seed;
    ADZE_TRY(read_object(&part, json, "overrides", &p));
    inner.object = "overrides.";
    return read_overrides(r, part, &inner);
}

/* Choices that contradict each other. */
static adze_status check(const adze_recipe *r, const place *p)
{
    bool blocks = r->weights.granularity == ADZE_GRANULARITY_BLOCK;
    bool narrow = r->weights.type == ADZE_I4 || r->weights.type == ADZE_U4;
    bool integer = r->scheme == ADZE_SCHEME_STATIC || r->scheme == ADZE_SCHEME_DYNAMIC;
    if (integer && (blocks || narrow))
        return adze_fail(p->err, ADZE_BAD_FILE,
                         "%s: 'weights': blocks and 4-bit types are for scheme weight_only; scheme "
                         "%s has 8 bits by tensor or channel",
                         p->file, scheme_words[r->scheme]);
    if (integer && !r->weights.symmetric && r->weights.granularity == ADZE_GRANULARITY_CHANNEL)
        return adze_fail(p->err, ADZE_BAD_FILE,
                         "%s: 'weights.symmetric': expected true with granularity channel, found "
                         "false",
                         p->file);
    return ADZE_OK;
}

static adze_status read_recipe(adze_recipe *r, const json_t *json, place p)
{
    int scheme = (int)ADZE_SCHEME_STATIC;
    int64_t version = 0;
    const json_t *preprocess, *resolved;
    if (!json_is_object(json))
        return adze_fail(p.err, ADZE_BAD_FILE, "%s: expected a JSON object", p.file);
    ADZE_TRY(check_keys(json,
                        "activations bias_correction calibration equalize float_nodes overrides "
                        "preprocess resolved scheme version weights",
                        &p));
    ADZE_TRY(read_int(&version, json, "version", 1, &p));
    if (version != ADZE_RECIPE_VERSION)
        return adze_fail(p.err, ADZE_BAD_FILE, "%s: 'version': expected %d, found %lld", p.file,
                         ADZE_RECIPE_VERSION, (long long)version);
    ADZE_TRY(read_word(&scheme, json, "scheme", scheme_words, &p));
    r->scheme = (adze_scheme)scheme;
    set_defaults(r);
    ADZE_TRY(read_parts(r, json, p));
    ADZE_TRY(read_bool(&r->equalize, json, "equalize", &p));
    ADZE_TRY(read_bool(&r->bias_correction, json, "bias_correction", &p));
    ADZE_TRY(read_names(r, &r->float_nodes, &r->float_count, json_object_get(json, "float_nodes"),
                        "float_nodes", &p));
    ADZE_TRY(read_object(&preprocess, json, "preprocess", &p));
    r->has_preprocess = preprocess;
    if (preprocess)
        ADZE_TRY(adze_preprocess_from_json(&r->preprocess, preprocess, p.file, p.err));
    ADZE_TRY(read_object(&resolved, json, "resolved", &p));
    if (resolved)
        ADZE_TRY(read_resolved(r, resolved, p));
    return check(r, &p);
}

adze_status adze_recipe_from_json(adze_recipe **out, const json_t *json, const char *name,
                                  adze_error *err)
{
    adze_recipe *recipe = adze_alloc(1, sizeof *recipe);
    if (!recipe)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: out of memory", name);
    adze_status status = read_recipe(recipe, json, (place){name, "", err});
    if (status != ADZE_OK)
        adze_recipe_free(&recipe);
    else
        *out = recipe;
    return status;
}

/* ---- writing ---- */

static json_t *write_activation(const adze_activation_recipe *a)
{
    return json_pack("{s:s, s:f, s:b, s:s}", "calibrator", calibrator_words[a->calibrator],
                     "percentile", a->percentile, "symmetric", a->symmetric, "type",
                     adze_dtype_describe(a->type)->name);
}

static json_t *write_weights(const adze_weight_recipe *w)
{
    return json_pack("{s:I, s:s, s:s, s:b, s:s}", "block", (json_int_t)w->block, "calibrator",
                     calibrator_words[w->calibrator], "granularity",
                     granularity_words[w->granularity], "symmetric", w->symmetric, "type",
                     adze_dtype_describe(w->type)->name);
}

static json_t *write_names(const char *const *names, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, json_string(names[i]));
    return array;
}

static json_t *write_overrides(const adze_recipe *r)
{
    json_t *all = json_object();
    for (int i = 0; i < r->override_count; i++) {
        const adze_override *o = &r->overrides[i];
        json_t *one = write_activation(&o->activation);
        if (o->ranged)
            json_object_set_new(one, "range", json_pack("[f, f]", (double)o->low, (double)o->high));
        json_object_set_new(all, o->value, one);
    }
    return all;
}

static json_t *write_floats(const adze_named_floats *list, int count)
{
    json_t *all = json_object();
    for (int i = 0; i < count; i++) {
        json_t *numbers = json_array();
        for (int64_t k = 0; k < list[i].count; k++)
            json_array_append_new(numbers, json_real((double)list[i].values[k]));
        json_object_set_new(all, list[i].name, numbers);
    }
    return all;
}

static json_t *write_resolved(const adze_recipe *r)
{
    json_t *ranges = json_object();
    for (int i = 0; i < r->range_count; i++)
        json_object_set_new(
            ranges, r->ranges[i].name,
            json_pack("[f, f]", (double)r->ranges[i].low, (double)r->ranges[i].high));
    return json_pack("{s:o, s:o, s:o, s:o}", "bias_corrections",
                     write_floats(r->corrections, r->correction_count), "equalization",
                     write_floats(r->factors, r->factor_count), "float_nodes",
                     write_names(r->kept, r->kept_count), "ranges", ranges);
}

adze_status adze_recipe_to_json(json_t **out, const adze_recipe *r, adze_error *err)
{
    json_t *json = json_pack(
        "{s:i, s:s, s:o, s:o, s:o, s:b, s:b, s:{s:I, s:I}, s:o}", "version", ADZE_RECIPE_VERSION,
        "scheme", scheme_words[r->scheme], "activations", write_activation(&r->activations),
        "weights", write_weights(&r->weights), "float_nodes",
        write_names(r->float_nodes, r->float_count), "equalize", r->equalize, "bias_correction",
        r->bias_correction, "calibration", "samples", (json_int_t)r->samples, "seed",
        (json_int_t)r->seed, "overrides", write_overrides(r));
    if (!json)
        return adze_fail(err, ADZE_NO_MEMORY, "recipe: out of memory");
    if (r->has_preprocess)
        json_object_set_new(json, "preprocess", adze_preprocess_to_json(&r->preprocess));
    if (r->resolved)
        json_object_set_new(json, "resolved", write_resolved(r));
    *out = json;
    return ADZE_OK;
}
