/* Opening folders: of .npy files, of pictures, of folders of pictures (one for each class). */
#include <string.h>
#include <strings.h>

#include "data/dataset_impl.h"

typedef struct file_list {
    const char **items;
    int count, capacity;
} file_list;

typedef struct class_list {
    int32_t *labels;
    int count, capacity;
} class_list;

static bool ends_with_any_case(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcasecmp(name + length - tail, ending) == 0;
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".ppm", ".pgm"};
    for (size_t i = 0; name[0] != '.' && i < ADZE_COUNT_OF(endings); i++)
        if (ends_with_any_case(name, endings[i]))
            return true;
    return false;
}

static adze_status add_picture(adze_source *s, file_list *files, const char *folder,
                               const char *name, adze_error *err)
{
    if (!adze_arena_grow(&s->arena, &files->items, &files->capacity, files->count,
                         sizeof *files->items))
        return adze_source_no_memory(s, err);
    files->items[files->count] = adze_path_join(&s->arena, folder, name);
    return files->items[files->count++] ? ADZE_OK : adze_source_no_memory(s, err);
}

static adze_status add_class(adze_source *s, file_list *files, class_list *classes,
                             const char *folder, adze_error *err)
{
    char **names;
    int count;
    ADZE_TRY(adze_folder_list(&names, &count, folder, &s->arena, err));
    for (int i = 0; i < count; i++) {
        if (!is_picture(names[i]))
            continue;
        ADZE_TRY(add_picture(s, files, folder, names[i], err));
        if (!adze_arena_grow(&s->arena, &classes->labels, &classes->capacity, classes->count,
                             sizeof *classes->labels))
            return adze_source_no_memory(s, err);
        classes->labels[classes->count++] = (int32_t)s->classes;
    }
    return ADZE_OK;
}

static adze_status open_classes(adze_source *s, const char *path, char **names, int count,
                                adze_error *err)
{
    file_list files = {0};
    class_list classes = {0};
    s->class_names = ADZE_ARENA_ARRAY(&s->arena, char *, (size_t)count);
    if (!s->class_names)
        return adze_source_no_memory(s, err);
    for (int i = 0; i < count; i++) {
        const char *folder = adze_path_join(&s->arena, path, names[i]);
        if (!folder)
            return adze_source_no_memory(s, err);
        if (names[i][0] == '.' || !adze_file_is_folder(folder))
            continue;
        ADZE_TRY(add_class(s, &files, &classes, folder, err));
        s->class_names[s->classes++] = names[i];
    }
    if (files.count == 0)
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: expected .npy files, pictures (PNG, JPEG, PPM, PGM), or a folder of "
                         "pictures for each class; found none",
                         path);
    s->labels = classes.labels;
    return adze_source_add_files(s, files.items, files.count, err);
}

static adze_status open_pictures(adze_source *s, const char *path, char **names, int count,
                                 adze_error *err)
{
    file_list files = {0};
    for (int i = 0; i < count; i++)
        if (is_picture(names[i]))
            ADZE_TRY(add_picture(s, &files, path, names[i], err));
    return adze_source_add_files(s, files.items, files.count, err);
}

/* Every NAME.npy of a folder, named prefix + NAME. */
static adze_status open_arrays(adze_source *s, const char *path, const char *prefix,
                               adze_error *err)
{
    char **names;
    int count;
    ADZE_TRY(adze_folder_list(&names, &count, path, &s->arena, err));
    for (int i = 0; i < count; i++) {
        if (!adze_ends_with(names[i], ".npy") || names[i][0] == '.')
            continue;
        const char *file = adze_path_join(&s->arena, path, names[i]);
        int length = (int)strlen(names[i]) - 4;
        const char *name = adze_arena_printf(&s->arena, "%s%.*s", prefix, length, names[i]);
        if (!file || !name)
            return adze_source_no_memory(s, err);
        ADZE_TRY(adze_source_open_npy(s, name, file, err));
    }
    return ADZE_OK;
}

adze_status adze_source_open_folder(adze_source *s, const char *path, adze_error *err)
{
    char **names;
    int count;
    bool arrays = false, pictures = false;
    ADZE_TRY(adze_folder_list(&names, &count, path, &s->arena, err));
    for (int i = 0; i < count; i++) {
        arrays = arrays || (adze_ends_with(names[i], ".npy") && names[i][0] != '.');
        pictures = pictures || is_picture(names[i]);
    }
    if (!arrays)
        return pictures ? open_pictures(s, path, names, count, err)
                        : open_classes(s, path, names, count, err);
    ADZE_TRY(open_arrays(s, path, "", err));
    const char *expected = adze_path_join(&s->arena, path, "expected");
    if (!expected)
        return adze_source_no_memory(s, err);
    return adze_file_is_folder(expected) ? open_arrays(s, expected, "expected/", err) : ADZE_OK;
}
