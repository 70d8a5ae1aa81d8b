/* Opening a checkpoint by what lies at the path, and what all sources have in common. A GGUF file needs no
 * more than its tensors listed; folders are checkpoint_folder.c's. */
#include <string.h>

#include "llm/checkpoint_impl.h"

adze_status adze_checkpoint_index(adze_checkpoint *c, adze_error *err)
{
    c->by_name = adze_map_in(&c->arena);
    for (int i = 0; i < c->count; i++) {
        adze_checkpoint_tensor *t = &c->tensors[i];
        int64_t elements = adze_shape_elements(t->rank, t->dims);
        int64_t last = t->rank > 0 ? t->dims[t->rank - 1] : 1;
        t->rows = last > 0 ? elements / last : 0;
        t->row_bytes = adze_dtype_bytes(t->dtype, last);
        if (elements < 0 || t->row_bytes == SIZE_MAX)
            return adze_fail(err, ADZE_BAD_FILE,
                             "%s: tensor %s: its rows of %lld %s are impossible", c->path, t->name,
                             (long long)last, adze_dtype_describe(t->dtype)->name);
        if (!adze_map_set(&c->by_name, t->name, t))
            return adze_fail(err, ADZE_NO_MEMORY, "%s: %d tensors", c->path, c->count);
    }
    return ADZE_OK;
}

static void close_gguf(void *source)
{
    adze_gguf *gguf = source;
    adze_gguf_close(&gguf);
}

static adze_status open_gguf(adze_checkpoint *c, adze_error *err)
{
    adze_gguf *gguf;
    ADZE_TRY(adze_gguf_open(&gguf, c->path, err));
    c->source = gguf;
    c->close = close_gguf;
    c->format = "GGUF";
    c->file_size = gguf->file_size;
    c->mappings = gguf->mappings;
    c->mapping_count = gguf->mapping_count;
    c->meta = &gguf->meta;
    c->count = gguf->tensor_count;
    c->tensors = ADZE_ARENA_ARRAY(&c->arena, adze_checkpoint_tensor, (size_t)c->count + 1);
    if (!c->tensors)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: %d tensors", c->path, c->count);
    for (int i = 0; i < c->count; i++) {
        const adze_gguf_tensor *from = &gguf->tensors[i];
        adze_checkpoint_tensor *t = &c->tensors[i];
        *t = (adze_checkpoint_tensor){.name = from->name,
                                      .dtype = from->tensor.dtype,
                                      .rank = from->tensor.rank,
                                      .mapped = from->tensor.data,
                                      .mapping = from->mapping,
                                      .source = from};
        memcpy(t->dims, from->tensor.dims, (size_t)t->rank * sizeof *t->dims);
    }
    return adze_checkpoint_index(c, err);
}

adze_status adze_checkpoint_open(adze_checkpoint **out, const char *path, adze_error *err)
{
    adze_checkpoint *c = adze_alloc(1, sizeof *c);
    if (!c)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    c->path = adze_arena_strdup(&c->arena, path);
    adze_status status = !c->path                    ? adze_fail(err, ADZE_NO_MEMORY, "%s", path)
                         : adze_file_is_folder(path) ? adze_checkpoint_open_folder(c, err)
                                                     : open_gguf(c, err);
    if (status != ADZE_OK)
        adze_checkpoint_close(&c);
    else
        *out = c;
    return status;
}

void adze_checkpoint_close(adze_checkpoint **checkpoint)
{
    if (!checkpoint || !*checkpoint)
        return;
    adze_checkpoint *c = *checkpoint;
    if (c->close && c->source)
        c->close(c->source);
    adze_arena_free(&c->arena);
    adze_free(c);
    *checkpoint = NULL;
}

const char *adze_checkpoint_path(const adze_checkpoint *c)
{
    return c->path;
}

const char *adze_checkpoint_format(const adze_checkpoint *c)
{
    return c->format;
}

int64_t adze_checkpoint_file_size(const adze_checkpoint *c)
{
    return c->file_size;
}

adze_mapping *const *adze_checkpoint_mappings(const adze_checkpoint *c, int *count)
{
    *count = c->mapping_count;
    return c->mappings;
}

/* Of a folder: config and tokenizer are read as well. */
static bool is_of_folder(const char *name)
{
    static const char *const ends[] = {".json", ".safetensors", ".jinja", ".txt", ".model"};
    bool found = false;
    for (size_t i = 0; i < ADZE_COUNT_OF(ends); i++)
        found |= adze_ends_with(name, ends[i]);
    return found;
}

adze_status adze_checkpoint_spare(const adze_checkpoint *c, const char *path, adze_error *err)
{
    bool clash = false;
    for (int i = 0; i < c->mapping_count && !clash; i++)
        clash = adze_file_is_same(path, adze_mapping_path(c->mappings[i]));
    if (adze_file_is_folder(c->path)) {
        adze_arena arena = {0};
        char **names = NULL;
        int count = 0;
        adze_status status = adze_folder_list(&names, &count, c->path, &arena, err);
        for (int i = 0; i < count && status == ADZE_OK && !clash; i++) {
            const char *file = adze_path_join(&arena, c->path, names[i]);
            clash = file && is_of_folder(names[i]) && adze_file_is_same(path, file);
        }
        adze_arena_free(&arena);
        ADZE_TRY(status);
    }
    return !clash
               ? ADZE_OK
               : adze_fail(err, ADZE_BAD_ARGUMENT,
                           "%s: is a file of the model that is read; give the output another name",
                           path);
}

const adze_gguf_meta *adze_checkpoint_meta(const adze_checkpoint *c)
{
    return c->meta;
}

adze_status adze_checkpoint_add_tokenizer(adze_checkpoint *c, adze_error *err)
{
    return c->add_tokenizer ? c->add_tokenizer(c, err) : ADZE_OK;
}

int adze_checkpoint_count(const adze_checkpoint *c)
{
    return c->count;
}

const adze_checkpoint_tensor *adze_checkpoint_tensor_at(const adze_checkpoint *c, int i)
{
    return &c->tensors[i];
}

const adze_checkpoint_tensor *adze_checkpoint_find(const adze_checkpoint *c, const char *name)
{
    return adze_map_get(&c->by_name, name);
}

adze_status adze_checkpoint_rows(const adze_checkpoint *c, const adze_checkpoint_tensor *tensor,
                                 int64_t first, int64_t count, void *to, adze_error *err)
{
    if (first < 0 || count < 0 || first > tensor->rows - count)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: tensor %s has %lld rows, not %lld + %lld",
                         c->path, tensor->name, (long long)tensor->rows, (long long)first,
                         (long long)count);
    if (!tensor->mapped)
        return c->rows(c, tensor, first, count, to, err);
    memcpy(to, (const char *)tensor->mapped + (size_t)first * tensor->row_bytes,
           (size_t)count * tensor->row_bytes);
    return ADZE_OK;
}
