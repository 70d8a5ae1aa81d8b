/* The public face of a data set: opening, asking, hashing. Reading is in dataset_read.c. */
#include <string.h>

#include "base/hash.h"
#include "data/dataset_impl.h"

/* "images.gz,labels.gz", unless a file has that very name. */
static adze_status open_path(adze_source *s, const char *path, adze_error *err)
{
    if (adze_file_is_folder(path))
        return adze_source_open_folder(s, path, err);
    const char *comma = adze_file_exists(path) ? NULL : strrchr(path, ',');
    if (!comma)
        return adze_source_open_file(s, path, err);
    const char *samples = adze_arena_strndup(&s->arena, path, (size_t)(comma - path));
    if (!samples)
        return adze_source_no_memory(s, err);
    ADZE_TRY(adze_source_open_labels(s, comma + 1, err));
    return adze_source_open_file(s, samples, err);
}

static adze_status check_complete(const adze_source *s, adze_error *err)
{
    if (s->inputs.count == 0)
        return adze_fail(
            err, ADZE_BAD_DATA,
            "%s: only labels or expected outputs; expected an array for each model input", s->path);
    return ADZE_OK;
}

static adze_status new_dataset(adze_dataset **out, adze_source *s, int64_t count, adze_error *err)
{
    adze_dataset *dataset = adze_alloc(1, sizeof *dataset);
    if (!dataset)
        return adze_source_no_memory(s, err);
    dataset->source = adze_source_retain(s);
    dataset->count = count;
    *out = dataset;
    return ADZE_OK;
}

adze_status adze_dataset_open(adze_dataset **out, const char *path,
                              const adze_preprocess *preprocess, adze_error *err)
{
    adze_source *s = adze_alloc(1, sizeof *s);
    if (!s)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", path);
    atomic_init(&s->references, 1);
    s->preprocess = preprocess ? *preprocess : adze_preprocess_default();
    s->preprocess_given = preprocess != NULL;
    s->count = -1;
    s->path = path;
    const char *copy = adze_arena_strdup(&s->arena, path);
    s->path = copy ? copy : "";
    adze_status status = copy ? open_path(s, path, err) : adze_source_no_memory(s, err);
    if (status == ADZE_OK)
        status = check_complete(s, err);
    if (status == ADZE_OK)
        status = new_dataset(out, s, s->count, err);
    adze_source_release(&s);
    return status;
}

void adze_dataset_close(adze_dataset **dataset)
{
    if (!*dataset)
        return;
    adze_source_release(&(*dataset)->source);
    adze_free((*dataset)->chosen);
    adze_free(*dataset);
    *dataset = NULL;
}

const char *adze_dataset_path(const adze_dataset *dataset)
{
    return dataset->source->path;
}

int64_t adze_dataset_count(const adze_dataset *dataset)
{
    return dataset->count;
}

int adze_dataset_input_count(const adze_dataset *dataset)
{
    return dataset->source->inputs.count;
}

const char *adze_dataset_input_name(const adze_dataset *dataset, int index)
{
    return dataset->source->inputs.items[index].name;
}

int adze_dataset_expected_count(const adze_dataset *dataset)
{
    return dataset->source->expected.count;
}

const char *adze_dataset_expected_name(const adze_dataset *dataset, int index)
{
    return dataset->source->expected.items[index].name;
}

bool adze_dataset_has_labels(const adze_dataset *dataset)
{
    return dataset->source->labels != NULL;
}

int64_t adze_dataset_label(const adze_dataset *dataset, int64_t sample)
{
    if (!dataset->source->labels || sample < 0 || sample >= dataset->count)
        return -1;
    return dataset->source->labels[dataset->chosen ? dataset->chosen[sample] : sample];
}

int64_t adze_dataset_classes(const adze_dataset *dataset)
{
    return dataset->source->labels ? dataset->source->classes : 0;
}

const char *adze_dataset_class_name(const adze_dataset *dataset, int64_t index)
{
    const adze_source *s = dataset->source;
    return s->labels && s->class_names && index >= 0 && index < s->classes ? s->class_names[index]
                                                                           : NULL;
}

static void hash_number(adze_sha256 *sha, int64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    adze_sha256_add(sha, bytes, sizeof bytes);
}

static adze_status hash_field(adze_sha256 *sha, const adze_source *s, const adze_field *field,
                              adze_error *err)
{
    adze_sha256_add(sha, field->name, strlen(field->name) + 1);
    if (field->array.data) {
        hash_number(sha, field->array.dtype);
        for (int i = 0; i < field->array.rank; i++)
            hash_number(sha, field->array.dims[i]);
        adze_sha256_add(sha, field->array.data, field->array.size);
        return ADZE_OK;
    }
    for (int64_t i = 0; i < s->count; i++) {
        adze_mapping *file;
        ADZE_TRY(adze_mapping_open(&file, field->files[i], err));
        hash_number(sha, (int64_t)adze_mapping_size(file));
        adze_sha256_add(sha, adze_mapping_bytes(file), adze_mapping_size(file));
        adze_mapping_release(&file);
    }
    return ADZE_OK;
}

adze_status adze_dataset_identity(char out[65], const adze_dataset *dataset, adze_error *err)
{
    const adze_source *s = dataset->source;
    adze_sha256 sha;
    adze_sha256_init(&sha);
    hash_number(&sha, s->count);
    for (int i = 0; i < s->inputs.count; i++)
        ADZE_TRY(hash_field(&sha, s, &s->inputs.items[i], err));
    hash_number(&sha, s->inputs.count);
    for (int i = 0; i < s->expected.count; i++)
        ADZE_TRY(hash_field(&sha, s, &s->expected.items[i], err));
    hash_number(&sha, s->expected.count);
    for (int64_t i = 0; s->labels && i < s->count; i++)
        hash_number(&sha, s->labels[i]);
    for (int64_t i = 0; dataset->chosen && i < dataset->count; i++)
        hash_number(&sha, dataset->chosen[i]);
    adze_sha256_hex(&sha, out);
    return ADZE_OK;
}

adze_status adze_dataset_subset(adze_dataset **out, const adze_dataset *dataset,
                                const int64_t *indices, int64_t count, adze_error *err)
{
    adze_dataset *subset = NULL;
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= dataset->count)
            return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: no sample %lld; there are %lld",
                             dataset->source->path, (long long)indices[i],
                             (long long)dataset->count);
    if (count < 1)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: a subset needs a sample",
                         dataset->source->path);
    ADZE_TRY(new_dataset(&subset, dataset->source, count, err));
    subset->chosen = adze_alloc((size_t)count, sizeof *subset->chosen);
    if (!subset->chosen) {
        adze_dataset_close(&subset);
        return adze_source_no_memory(dataset->source, err);
    }
    for (int64_t i = 0; i < count; i++)
        subset->chosen[i] = dataset->chosen ? dataset->chosen[indices[i]] : indices[i];
    *out = subset;
    return ADZE_OK;
}
