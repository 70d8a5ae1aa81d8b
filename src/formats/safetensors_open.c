/* Opening safetensors: a file, a folder, or an index that says which shard holds which tensor. The index is
 * believed in full: each of its tensors must be where it says, and what it does not name is left out. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "formats/safetensors_impl.h"

typedef struct opener {
    adze_safetensors *file;
    const char *index; /* path of the index, NULL: one file */
    adze_safetensors_shard *shards;
    adze_map by_name; /* name in the index -> shard */
    adze_error *err;
} opener;

static adze_status no_memory(const opener *o)
{
    return adze_fail(o->err, ADZE_NO_MEMORY, "%s: no memory to open it", o->file->path);
}

/* ---- the index ---- */

static bool stays_below(const char *name)
{
    if (!name[0] || name[0] == '/')
        return false;
    for (const char *step = name; step; step = strchr(step, '/')) {
        step += *step == '/';
        if (strncmp(step, "..", 2) == 0 && (step[2] == '/' || step[2] == 0))
            return false;
    }
    return true;
}

static adze_status name_shard(opener *o, adze_map *shards, const char *tensor, json_t *value)
{
    const char *name = json_string_value(value);
    if (!name || !stays_below(name))
        return adze_fail(o->err, ADZE_BAD_FILE,
                         "%s: tensor '%.200s': expected a file beside the index, found '%.200s'",
                         o->index, tensor, name ? name : "something else");
    adze_safetensors_shard *shard = adze_map_get(shards, name);
    if (!shard) {
        shard = &o->shards[o->file->mapping_count++];
        shard->path = adze_path_beside(&o->file->arena, o->index, name);
        if (!shard->path || !adze_map_set(shards, name, shard))
            return no_memory(o);
    }
    return adze_map_set(&o->by_name, tensor, shard) ? ADZE_OK : no_memory(o);
}

static adze_status check_shards(const opener *o)
{
    int missing = 0, count = o->file->mapping_count;
    const char *first = NULL;
    for (int i = 0; i < count; i++)
        if (adze_file_size(o->shards[i].path) < 0 && missing++ == 0)
            first = o->shards[i].path;
    if (missing == 0)
        return ADZE_OK;
    return adze_fail(o->err, ADZE_NOT_FOUND,
                     "%s: missing; %s names %d files, of which %d are not there: fetch them too",
                     first, o->index, count, missing);
}

static adze_status read_weight_map(opener *o, json_t *names)
{
    adze_map shards = adze_map_in(&o->file->arena);
    const char *tensor;
    json_t *value;
    size_t most = json_object_size(names);
    if (!json_is_object(names) || most == 0 || most > INT32_MAX)
        return adze_fail(o->err, ADZE_BAD_FILE,
                         "%s: expected \"weight_map\", an object of tensors and their files",
                         o->index);
    o->shards = ADZE_ARENA_ARRAY(&o->file->arena, adze_safetensors_shard, most);
    o->file->mappings = ADZE_ARENA_ARRAY(&o->file->arena, adze_mapping *, most);
    if (!o->shards || !o->file->mappings)
        return no_memory(o);
    json_object_foreach(names, tensor, value) ADZE_TRY(name_shard(o, &shards, tensor, value));
    return check_shards(o);
}

static adze_status read_index(opener *o)
{
    json_t *json;
    ADZE_TRY(adze_json_load(&json, o->index, o->err));
    adze_status status = read_weight_map(o, json_object_get(json, "weight_map"));
    json_decref(json);
    return status;
}

/* ---- the shards ---- */

static adze_status open_shards(opener *o)
{
    adze_safetensors *f = o->file;
    for (int i = 0; i < f->mapping_count; i++) {
        adze_safetensors_shard *s = &o->shards[i];
        ADZE_TRY(adze_mapping_open(&f->mappings[i], s->path, o->err));
        s->mapping = f->mappings[i];
        f->file_size += (int64_t)adze_mapping_size(s->mapping);
        ADZE_TRY(adze_safetensors_read_shard(s, i ? NULL : &f->metadata, &f->arena, o->err));
    }
    return ADZE_OK;
}

static bool wanted(const opener *o, const adze_safetensors_shard *s, const char *name)
{
    return !o->index || adze_map_get(&o->by_name, name) == s;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const adze_safetensor *)a)->name, ((const adze_safetensor *)b)->name);
}

/* All tensors of the index were found; else one that was not is named. */
static adze_status check_found(const opener *o)
{
    const adze_map *names = &o->by_name;
    for (size_t i = 0; i < names->capacity; i++) {
        const adze_safetensors_shard *shard = names->slots[i].value;
        if (names->slots[i].key && !adze_safetensors_find(o->file, names->slots[i].key))
            return adze_fail(o->err, ADZE_BAD_FILE,
                             "%s: tensor '%.200s' is said to lie in %s, which does not hold it",
                             o->index, names->slots[i].key, shard->path);
    }
    return ADZE_OK;
}

static adze_status join(opener *o)
{
    adze_safetensors *f = o->file;
    size_t total = 0;
    for (int i = 0; i < f->mapping_count; i++)
        total += (size_t)o->shards[i].count;
    f->tensors = ADZE_ARENA_ARRAY(&f->arena, adze_safetensor, total);
    if (!f->tensors || total > INT32_MAX)
        return no_memory(o);
    for (int i = 0; i < f->mapping_count; i++)
        for (int k = 0; k < o->shards[i].count; k++)
            if (wanted(o, &o->shards[i], o->shards[i].tensors[k].name))
                f->tensors[f->count++] = o->shards[i].tensors[k];
    qsort(f->tensors, (size_t)f->count, sizeof *f->tensors, by_name);
    for (int i = 0; i < f->count; i++)
        if (!adze_map_set(&f->by_name, f->tensors[i].name, &f->tensors[i]))
            return no_memory(o);
    return check_found(o);
}

/* ---- opening ---- */

static bool has_pickles(const opener *o)
{
    adze_arena arena = {0};
    char **names = NULL;
    int count = 0;
    bool found = false;
    if (adze_folder_list(&names, &count, o->file->path, &arena, NULL) == ADZE_OK)
        for (int i = 0; i < count; i++)
            found |= adze_ends_with(names[i], ".bin") || adze_ends_with(names[i], ".pt") ||
                     adze_ends_with(names[i], ".pth");
    adze_arena_free(&arena);
    return found;
}

/* The file or index to open for `path`, which may be a folder. */
static adze_status choose(const opener *o, const char **chosen)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    *chosen = o->file->path;
    if (!adze_file_is_folder(o->file->path))
        return ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(names); i++) {
        *chosen = adze_path_join(&o->file->arena, o->file->path, names[i]);
        if (!*chosen)
            return no_memory(o);
        if (adze_file_exists(*chosen))
            return ADZE_OK;
    }
    return adze_fail(
        o->err, ADZE_NOT_FOUND, "%s: expected %s or %s in this folder, found neither%s",
        o->file->path, names[0], names[1],
        has_pickles(o) ? "; PyTorch's own files (.bin, .pt, .pth) are programs and are not read: "
                         "save the model as safetensors with transformers"
                       : "");
}

static adze_status open_all(opener *o, const char *path)
{
    adze_safetensors *f = o->file;
    const char *chosen = NULL;
    f->path = adze_arena_strdup(&f->arena, path);
    f->by_name = f->metadata = o->by_name = adze_map_in(&f->arena);
    if (!f->path)
        return no_memory(o);
    ADZE_TRY(choose(o, &chosen));
    if (adze_ends_with(chosen, ".json")) {
        o->index = chosen;
        ADZE_TRY(read_index(o));
    } else {
        o->shards = ADZE_ARENA_NEW(&f->arena, adze_safetensors_shard);
        f->mappings = ADZE_ARENA_NEW(&f->arena, adze_mapping *);
        if (!o->shards || !f->mappings)
            return no_memory(o);
        o->shards[0].path = chosen;
        f->mapping_count = 1;
    }
    ADZE_TRY(open_shards(o));
    return join(o);
}

adze_status adze_safetensors_open(adze_safetensors **out, const char *path, adze_error *err)
{
    adze_safetensors *file = adze_alloc(1, sizeof *file);
    if (!file)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", path);
    opener o = {.file = file, .err = err};
    adze_status status = open_all(&o, path);
    if (status == ADZE_OK)
        *out = file;
    else
        adze_safetensors_close(&file);
    return status;
}

void adze_safetensors_close(adze_safetensors **file)
{
    adze_safetensors *gone = *file;
    *file = NULL;
    if (!gone)
        return;
    for (int i = 0; i < gone->mapping_count; i++)
        adze_mapping_release(&gone->mappings[i]);
    adze_arena_free(&gone->arena);
    adze_free(gone);
}

const adze_tensor *adze_safetensors_find(const adze_safetensors *file, const char *name)
{
    const adze_safetensor *found = adze_map_get(&file->by_name, name);
    return found ? &found->tensor : NULL;
}
