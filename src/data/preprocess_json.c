/* The preprocessing description as JSON. Each key has a row that reads it; an unknown key is an error,
 * because a typing mistake here costs accuracy silently. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/preprocess.h"

enum { LARGEST_SIDE = 16384 };

typedef struct source {
    const char *where;
    adze_error *err;
} source;

static adze_status expected(const source *s, const char *key, const char *what)
{
    return adze_fail(s->err, ADZE_BAD_FILE, "%s: preprocessing key \"%s\": expected %s", s->where,
                     key, what);
}

static int index_of(const json_t *value, const char *const *names, int count)
{
    const char *text = json_string_value(value);
    for (int i = 0; text && i < count; i++)
        if (names[i] && strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static const char *const layouts[] = {"NCHW", "NHWC"};
static const char *const channel_names[] = {"keep", "rgb", "bgr", "grey"};
static const char *const modes[] = {"bilinear", "nearest"};

static adze_status read_layout(adze_preprocess *p, const json_t *value, const source *s)
{
    int i = index_of(value, layouts, (int)ADZE_COUNT_OF(layouts));
    if (i < 0)
        return expected(s, "layout", "\"NCHW\" or \"NHWC\"");
    p->layout = (adze_layout)i;
    return ADZE_OK;
}

static adze_status read_channels(adze_preprocess *p, const json_t *value, const source *s)
{
    int i = index_of(value, channel_names, (int)ADZE_COUNT_OF(channel_names));
    const char *text = json_string_value(value);
    if (text && strcmp(text, "gray") == 0)
        i = ADZE_CHANNELS_GREY;
    if (i < 0)
        return expected(s, "channels", "\"keep\", \"rgb\", \"bgr\" or \"grey\"");
    p->channels = (adze_channels)i;
    return ADZE_OK;
}

static adze_status read_scale(adze_preprocess *p, const json_t *value, const source *s)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return expected(s, "scale", "a number");
    p->scale = json_number_value(value);
    return ADZE_OK;
}

static bool read_list(double out[4], int *count, const json_t *value, bool positive)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n != 1 && n != 3)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        double number = json_number_value(item);
        if (!json_is_number(item) || !isfinite(number) || (positive && number <= 0))
            return false;
        out[i] = number;
    }
    *count = (int)n;
    return true;
}

static adze_status read_mean(adze_preprocess *p, const json_t *value, const source *s)
{
    return read_list(p->mean, &p->mean_count, value, false)
               ? ADZE_OK
               : expected(s, "mean", "one number, or three, one for each channel");
}

static adze_status read_std(adze_preprocess *p, const json_t *value, const source *s)
{
    return read_list(p->std, &p->std_count, value, true)
               ? ADZE_OK
               : expected(s, "std", "one number over 0, or three, one for each channel");
}

static bool read_side(int *out, const json_t *value)
{
    json_int_t side = json_integer_value(value);
    if (!json_is_integer(value) || side < 1 || side > LARGEST_SIDE)
        return false;
    *out = (int)side;
    return true;
}

static adze_status read_resize(adze_preprocess *p, const json_t *value, const source *s)
{
    if (json_is_integer(value)) { /* the shorter side */
        p->keep_aspect = true;
        bool good = read_side(&p->resize_width, value) && read_side(&p->resize_height, value);
        return good ? ADZE_OK : expected(s, "resize", "1 to 16384 pixels");
    }
    const char *key;
    json_t *item;
    bool width = false, height = false, rest = json_is_object(value);
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        int mode = index_of(item, modes, (int)ADZE_COUNT_OF(modes));
        if (strcmp(key, "width") == 0)
            width = read_side(&p->resize_width, item);
        else if (strcmp(key, "height") == 0)
            height = read_side(&p->resize_height, item);
        else if (strcmp(key, "mode") == 0 && mode >= 0)
            p->resize_mode = (adze_resize_mode)mode;
        else if (strcmp(key, "keep_aspect") == 0 && json_is_boolean(item))
            p->keep_aspect = json_is_true(item);
        else
            rest = false;
    }
    return width && height && rest
               ? ADZE_OK
               : expected(s, "resize",
                          "a number (the shorter side), or {\"width\": 1 to 16384, \"height\": the "
                          "same, "
                          "\"mode\": \"bilinear\" or \"nearest\", \"keep_aspect\": true or false}");
}

static adze_status read_crop(adze_preprocess *p, const json_t *value, const source *s)
{
    bool square = json_is_integer(value);
    bool good = read_side(&p->crop_width, square ? value : json_object_get(value, "width")) &&
                read_side(&p->crop_height, square ? value : json_object_get(value, "height")) &&
                (square || json_object_size(value) == 2);
    return good ? ADZE_OK
                : expected(s, "crop", "a number, or {\"width\": 1 to 16384, \"height\": the same}");
}

static adze_status read_dtype(adze_preprocess *p, const json_t *value, const source *s)
{
    const char *name = json_string_value(value);
    p->dtype = name ? adze_dtype_from_name(name) : ADZE_UNDEFINED;
    adze_kind kind = adze_dtype_describe(p->dtype)->kind;
    bool good = kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT;
    return good ? ADZE_OK
                : expected(s, "dtype", "a type such as \"float32\", \"uint8\" or \"int8\"");
}

static adze_status read_label(adze_preprocess *p, const json_t *value, const source *s)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) >= sizeof p->label_column)
        return expected(s, "label", "the name of a column, at most 63 bytes");
    memcpy(p->label_column, text, strlen(text) + 1);
    return ADZE_OK;
}

typedef struct key_row {
    const char *key;
    adze_status (*read)(adze_preprocess *p, const json_t *value, const source *s);
} key_row;

static const key_row keys[] = {
    {"channels", read_channels}, {"resize", read_resize}, {"crop", read_crop},
    {"scale", read_scale},       {"mean", read_mean},     {"std", read_std},
    {"layout", read_layout},     {"dtype", read_dtype},   {"label", read_label},
};

static adze_status unknown_key(const source *s, const char *key)
{
    adze_text known = {0};
    for (size_t i = 0; i < ADZE_COUNT_OF(keys); i++)
        adze_text_printf(&known, "%s%s", i ? ", " : "", keys[i].key);
    adze_status status =
        adze_fail(s->err, ADZE_BAD_FILE, "%s: unknown preprocessing key \"%s\"; known are %s",
                  s->where, key, adze_text_get(&known));
    adze_text_free(&known);
    return status;
}

adze_status adze_preprocess_from_json(adze_preprocess *out, const json_t *json, const char *where,
                                      adze_error *err)
{
    source s = {where, err};
    adze_preprocess p = adze_preprocess_default();
    if (!json_is_object(json))
        return adze_fail(err, ADZE_BAD_FILE, "%s: preprocessing: expected an object {...}", where);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        size_t i = 0;
        while (i < ADZE_COUNT_OF(keys) && strcmp(keys[i].key, key) != 0)
            i++;
        if (i == ADZE_COUNT_OF(keys))
            return unknown_key(&s, key);
        ADZE_TRY(keys[i].read(&p, value, &s));
    }
    *out = p;
    return ADZE_OK;
}

adze_status adze_preprocess_load(adze_preprocess *out, const char *path, adze_error *err)
{
    json_t *json;
    ADZE_TRY(adze_json_load(&json, path, err));
    adze_status status = adze_preprocess_from_json(out, json, path, err);
    json_decref(json);
    return status;
}

static json_t *list(const double *values, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        (void)json_array_append_new(array, json_real(values[i]));
    return array;
}

json_t *adze_preprocess_to_json(const adze_preprocess *p)
{
    json_t *json = json_object();
    int failed = json ? 0 : 1;
    if (p->channels != ADZE_CHANNELS_KEEP)
        failed |= json_object_set_new(json, "channels", json_string(channel_names[p->channels]));
    if (p->resize_width)
        failed |= json_object_set_new(
            json, "resize",
            json_pack("{s:i,s:i,s:s,s:b}", "width", p->resize_width, "height", p->resize_height,
                      "mode", modes[p->resize_mode], "keep_aspect", p->keep_aspect));
    if (p->crop_width)
        failed |= json_object_set_new(
            json, "crop", json_pack("{s:i,s:i}", "width", p->crop_width, "height", p->crop_height));
    failed |= json_object_set_new(json, "scale", json_real(p->scale));
    failed |= json_object_set_new(json, "mean", list(p->mean, p->mean_count));
    failed |= json_object_set_new(json, "std", list(p->std, p->std_count));
    failed |= json_object_set_new(json, "layout", json_string(layouts[p->layout]));
    failed |= json_object_set_new(json, "dtype", json_string(adze_dtype_describe(p->dtype)->name));
    if (p->label_column[0])
        failed |= json_object_set_new(json, "label", json_string(p->label_column));
    if (failed) {
        json_decref(json);
        return NULL;
    }
    return json;
}
