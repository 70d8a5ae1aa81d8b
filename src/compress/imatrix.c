/* Importance matrices in memory: sums of squares in double, so that the order in which text comes hardly
 * matters; entries sorted by name, as files hold them. */
#include "compress/imatrix.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

adze_status adze_imatrix_create(adze_imatrix **out, adze_error *err)
{
    adze_imatrix *imatrix = adze_alloc(1, sizeof *imatrix);
    if (!imatrix)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for an importance matrix");
    *out = imatrix;
    return ADZE_OK;
}

void adze_imatrix_close(adze_imatrix **imatrix)
{
    adze_imatrix *gone = *imatrix;
    *imatrix = NULL;
    if (!gone)
        return;
    adze_arena_free(&gone->arena);
    adze_free(gone);
}

/* Index of the first entry not before `name`. */
static int place_of(const adze_imatrix *imatrix, const char *name)
{
    int low = 0, high = imatrix->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(imatrix->entries[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static adze_imatrix_entry *find(const adze_imatrix *imatrix, const char *name)
{
    int at = place_of(imatrix, name);
    return at < imatrix->count && strcmp(imatrix->entries[at]->name, name) == 0
               ? imatrix->entries[at]
               : NULL;
}

const adze_imatrix_entry *adze_imatrix_find(const adze_imatrix *imatrix, const char *name)
{
    return find(imatrix, name);
}

int adze_imatrix_count(const adze_imatrix *imatrix)
{
    return imatrix->count;
}

const adze_imatrix_entry *adze_imatrix_entry_at(const adze_imatrix *imatrix, int i)
{
    return imatrix->entries[i];
}

adze_imatrix_entry *adze_imatrix_entry_make(adze_imatrix *imatrix, const char *name, int64_t width,
                                            int64_t experts)
{
    size_t size;
    adze_imatrix_entry *entry = find(imatrix, name);
    if (entry)
        return entry;
    entry = ADZE_ARENA_NEW(&imatrix->arena, adze_imatrix_entry);
    if (!entry || !adze_mul_size(&size, (size_t)width, (size_t)experts) ||
        !adze_arena_grow(&imatrix->arena, &imatrix->entries, &imatrix->capacity, imatrix->count,
                         sizeof *imatrix->entries))
        return NULL;
    *entry = (adze_imatrix_entry){
        .name = adze_arena_strdup(&imatrix->arena, name),
        .width = width,
        .experts = experts,
        .sums = ADZE_ARENA_ARRAY(&imatrix->arena, double, size),
        .counts = ADZE_ARENA_ARRAY(&imatrix->arena, int64_t, (size_t)experts),
    };
    if (!entry->name || !entry->sums || !entry->counts)
        return NULL;
    int at = place_of(imatrix, name);
    memmove(imatrix->entries + at + 1, imatrix->entries + at,
            (size_t)(imatrix->count - at) * sizeof *imatrix->entries);
    imatrix->entries[at] = entry;
    imatrix->count++;
    return entry;
}

bool adze_imatrix_add_dataset(adze_imatrix *imatrix, const char *name, size_t length)
{
    char *copy = adze_arena_strndup(&imatrix->arena, name, length);
    if (!copy || !adze_arena_grow(&imatrix->arena, &imatrix->datasets, &imatrix->dataset_capacity,
                                  imatrix->dataset_count, sizeof *imatrix->datasets))
        return false;
    imatrix->datasets[imatrix->dataset_count++] = (adze_string){copy, length};
    return true;
}

int64_t adze_imatrix_chunks(const adze_imatrix *imatrix)
{
    int64_t most = 0;
    for (int i = 0; i < imatrix->count; i++)
        for (int64_t e = 0; e < imatrix->entries[i]->experts; e++)
            most = ADZE_MAX(most, imatrix->entries[i]->counts[e]);
    return most / (imatrix->chunk_size > 0 ? imatrix->chunk_size : ADZE_IMATRIX_CHUNK);
}

/* ---- adding ---- */

/* The entry's own arrays, which only this file writes. */
static double *sums_of(adze_imatrix_entry *entry)
{
    return (double *)(uintptr_t)entry->sums;
}

static int64_t *counts_of(adze_imatrix_entry *entry)
{
    return (int64_t *)(uintptr_t)entry->counts;
}

adze_status adze_imatrix_add(adze_imatrix *imatrix, const char *weights, int64_t expert,
                             int64_t experts, const float *x, int64_t tokens, int64_t width,
                             adze_error *err)
{
    int64_t slice = ADZE_MAX(expert, 0);
    if (experts < 1 || slice >= experts || width < 1)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: expert %lld of %lld, %lld columns", weights,
                         (long long)expert, (long long)experts, (long long)width);
    adze_imatrix_entry *entry = adze_imatrix_entry_make(imatrix, weights, width, experts);
    if (!entry)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for its importance", weights);
    if (entry->width != width || entry->experts != experts)
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: expected %lld experts of %lld columns as before, found %lld of %lld",
                         weights, (long long)entry->experts, (long long)entry->width,
                         (long long)experts, (long long)width);
    double *sums = sums_of(entry) + slice * width, all = 0;
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t j = 0; j < width; j++) {
            double value = x[t * width + j];
            sums[j] += value * value;
        }
    for (int64_t j = 0; j < width; j++)
        all += sums[j];
    counts_of(entry)[slice] += tokens;
    return isfinite(all) ? ADZE_OK
                         : adze_fail(err, ADZE_BAD_DATA,
                                     "%s: the activations that meet it are not finite", weights);
}

/* One count for all slices, or as many as the other has: older files keep one. */
static bool counts_fit(const adze_imatrix_entry *a, const adze_imatrix_entry *b)
{
    return a->width * a->experts == b->width * b->experts &&
           (a->experts == b->experts || a->experts == 1 || b->experts == 1);
}

static bool split_counts(adze_imatrix *imatrix, adze_imatrix_entry *entry, int64_t experts)
{
    int64_t *counts = ADZE_ARENA_ARRAY(&imatrix->arena, int64_t, (size_t)experts);
    for (int64_t e = 0; counts && e < experts; e++)
        counts[e] = entry->counts[0];
    if (!counts)
        return false;
    entry->width = entry->width / experts;
    entry->experts = experts;
    entry->counts = counts;
    return true;
}

static bool merge_entry(adze_imatrix *imatrix, const adze_imatrix_entry *from)
{
    adze_imatrix_entry *entry =
        adze_imatrix_entry_make(imatrix, from->name, from->width, from->experts);
    if (!entry || (entry->experts < from->experts && !split_counts(imatrix, entry, from->experts)))
        return false;
    for (int64_t j = 0; j < from->width * from->experts; j++)
        sums_of(entry)[j] += from->sums[j];
    for (int64_t e = 0; e < entry->experts; e++)
        counts_of(entry)[e] += from->counts[from->experts == 1 ? 0 : e];
    return true;
}

adze_status adze_imatrix_merge(adze_imatrix *imatrix, const adze_imatrix *from, adze_error *err)
{
    for (int i = 0; i < from->count; i++) {
        const adze_imatrix_entry *theirs = from->entries[i], *ours = find(imatrix, theirs->name);
        if (ours && !counts_fit(ours, theirs))
            return adze_fail(err, ADZE_BAD_DATA,
                             "importance matrices of different models: %s has %lld columns in one "
                             "and %lld in the other",
                             theirs->name, (long long)(ours->width * ours->experts),
                             (long long)(theirs->width * theirs->experts));
    }
    bool fine = true;
    for (int i = 0; i < from->count && fine; i++)
        fine = merge_entry(imatrix, from->entries[i]);
    for (int i = 0; i < from->dataset_count && fine; i++)
        fine = adze_imatrix_add_dataset(imatrix, from->datasets[i].data, from->datasets[i].length);
    if (!imatrix->chunk_size)
        imatrix->chunk_size = from->chunk_size;
    return fine ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "no memory to merge matrices");
}

void adze_imatrix_weights(float *out, const adze_imatrix_entry *entry)
{
    for (int64_t e = 0; e < entry->experts; e++) {
        const double *sums = entry->sums + e * entry->width;
        float count = (float)entry->counts[e];
        for (int64_t j = 0; j < entry->width; j++)
            out[e * entry->width + j] = count > 0 ? (float)sums[j] / count : 1.0f;
    }
}
