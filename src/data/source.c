/* What the samples of a data set are made of, checked to fit together as it is put together. */
#include <string.h>

#include "data/dataset_impl.h"

enum { MOST_CLASSES = 1 << 24 };

adze_status adze_source_no_memory(const adze_source *s, adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for the data set", s->path);
}

adze_source *adze_source_retain(adze_source *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

static void free_fields(adze_field_list *list)
{
    for (int i = 0; i < list->count; i++)
        adze_tensor_free(&list->items[i].array);
}

void adze_source_release(adze_source **source)
{
    adze_source *s = *source;
    *source = NULL;
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    free_fields(&s->inputs);
    free_fields(&s->expected);
    adze_npz_close(&s->npz);
    for (int i = 0; i < s->mapping_count; i++)
        adze_mapping_release(&s->mappings[i]);
    for (int i = 0; i < s->buffer_count; i++)
        adze_free(s->buffers[i]);
    adze_arena_free(&s->arena);
    adze_free(s);
}

adze_status adze_source_keep(adze_source *s, adze_mapping *mapping, uint8_t *buffer,
                             adze_error *err)
{
    bool room = adze_arena_grow(&s->arena, &s->mappings, &s->mapping_capacity, s->mapping_count,
                                sizeof(adze_mapping *)) &&
                adze_arena_grow(&s->arena, &s->buffers, &s->buffer_capacity, s->buffer_count,
                                sizeof(uint8_t *));
    if (!room) {
        adze_mapping_release(&mapping);
        adze_free(buffer);
        return adze_source_no_memory(s, err);
    }
    if (mapping)
        s->mappings[s->mapping_count++] = mapping;
    if (buffer)
        s->buffers[s->buffer_count++] = buffer;
    return ADZE_OK;
}

static adze_status set_count(adze_source *s, int64_t count, const char *where, adze_error *err)
{
    if (count == 0)
        return adze_fail(err, ADZE_BAD_DATA, "%s: no samples", where);
    if (s->count >= 0 && s->count != count)
        return adze_fail(
            err, ADZE_BAD_DATA,
            "%s: %lld samples, but %lld in what came before; each first axis must be the "
            "same",
            where, (long long)count, (long long)s->count);
    s->count = count;
    return ADZE_OK;
}

static adze_status add_field(adze_source *s, adze_field_list *list, const adze_field *field,
                             adze_error *err)
{
    if (!adze_arena_grow(&s->arena, &list->items, &list->capacity, list->count, sizeof *field))
        return adze_source_no_memory(s, err);
    list->items[list->count] = *field;
    list->items[list->count].name = adze_arena_strdup(&s->arena, field->name);
    if (!list->items[list->count].name)
        return adze_source_no_memory(s, err);
    list->count++;
    return ADZE_OK;
}

static bool channels_at(const adze_tensor *array, int axis)
{
    return array->rank == 4 && (array->dims[axis] == 1 || array->dims[axis] == 3);
}

/* [n, height, width], or with 1 or 3 channels last or second. */
static bool like_pictures(const adze_tensor *array)
{
    return array->dtype == ADZE_U8 &&
           (array->rank == 3 || channels_at(array, 3) || channels_at(array, 1));
}

/* The output that an array's name promises, or NULL; the result lives in the arena. */
static const char *expected_name(adze_source *s, const char *name)
{
    if (adze_starts_with(name, "expected/"))
        return name + strlen("expected/");
    if (adze_ends_with(name, ":expected"))
        return adze_arena_strndup(&s->arena, name, strlen(name) - strlen(":expected"));
    return NULL;
}

static adze_status add_numbers(adze_source *s, const char *name, const adze_tensor *array,
                               const char *where, adze_error *err)
{
    adze_kind kind = adze_dtype_describe(array->dtype)->kind;
    if (kind == ADZE_KIND_COMPLEX)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: complex numbers; save real numbers", where);
    if (array->rank == 0)
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: a single number; expected one row for each sample", where);
    ADZE_TRY(set_count(s, array->dims[0], where, err));
    const char *output = expected_name(s, name);
    adze_field field = {.name = output ? output : name, .array = *array};
    field.pictures = !output && s->preprocess_given && like_pictures(array);
    return add_field(s, output ? &s->expected : &s->inputs, &field, err);
}

adze_status adze_source_add_array(adze_source *s, const char *name, adze_tensor *array,
                                  const char *where, adze_error *err)
{
    if (strcmp(name, "labels") == 0)
        return adze_source_set_labels(s, array, where, err);
    adze_status status = add_numbers(s, name, array, where, err);
    if (status != ADZE_OK)
        adze_tensor_free(array);
    return status;
}

static adze_status copy_labels(adze_source *s, const adze_tensor *array, const char *where,
                               adze_error *err)
{
    adze_kind kind = adze_dtype_describe(array->dtype)->kind;
    bool shaped = array->rank == 1 || (array->rank == 2 && array->dims[1] == 1);
    char text[160];
    if (!shaped || (kind != ADZE_KIND_INT && kind != ADZE_KIND_UINT && kind != ADZE_KIND_BOOL))
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: labels: expected one integer for each sample, found %s", where,
                         adze_tensor_format(array, text, sizeof text));
    ADZE_TRY(set_count(s, array->dims[0], where, err));
    s->labels = ADZE_ARENA_ARRAY(&s->arena, int32_t, (size_t)s->count);
    if (!s->labels)
        return adze_source_no_memory(s, err);
    for (int64_t i = 0; i < s->count; i++) {
        int64_t label = adze_tensor_get_i64(array, i);
        if (label < 0 || label >= MOST_CLASSES)
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s: label of sample %lld: expected 0 to %d, found %lld", where,
                             (long long)i, MOST_CLASSES - 1, (long long)label);
        s->labels[i] = (int32_t)label;
        s->classes = ADZE_MAX(s->classes, label + 1);
    }
    return ADZE_OK;
}

adze_status adze_source_set_labels(adze_source *s, adze_tensor *array, const char *where,
                                   adze_error *err)
{
    adze_status status = copy_labels(s, array, where, err);
    adze_tensor_free(array);
    return status;
}

adze_status adze_source_add_files(adze_source *s, const char **files, int64_t count,
                                  adze_error *err)
{
    ADZE_TRY(set_count(s, count, s->path, err));
    adze_field field = {.name = "", .files = files, .pictures = true};
    return add_field(s, &s->inputs, &field, err);
}
