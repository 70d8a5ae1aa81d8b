/* Importance matrices in files. GGUF, as llama-imatrix writes it (tools/imatrix of llama.cpp): for each tensor
 * of weights NAME.in_sum2 [experts, width] and NAME.counts [experts, 1], both F32. The older .dat: a count
 * of entries, then for each its name, how many calls were summed and the values times that; at the end, if
 * present, the number of chunks and the name of the text. */
#include "compress/imatrix.h"

#include <math.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

/* Sums of squares: finite and not negative; -1: all are. */
static int64_t first_bad(const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(values[i] >= 0 && isfinite(values[i])))
            return i;
    return -1;
}

static adze_status fail_value(adze_error *err, const char *path, const char *name, int64_t at)
{
    return adze_fail(err, ADZE_BAD_FILE,
                     "%s: %s, value %lld: expected a finite sum of squares; collect it again", path,
                     name, (long long)at);
}

/* ---- GGUF ---- */

static const float *floats_of(const adze_gguf_tensor *t, int64_t *count)
{
    *count = t->tensor.dtype == ADZE_F32 ? adze_tensor_elements(&t->tensor) : 0;
    return t->tensor.data;
}

static adze_status read_pair(adze_imatrix *imatrix, const char *path, const char *name,
                             const adze_gguf_tensor *sums, const adze_gguf_tensor *counts,
                             adze_error *err)
{
    int64_t n = 0, experts = 0;
    const float *values = floats_of(sums, &n);
    const float *seen = counts ? floats_of(counts, &experts) : NULL;
    if (n < 1 || experts < 1 || n % experts != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: %s: expected float32 %s and %s of one count for each matrix, found "
                         "%lld and %lld values",
                         path, name, sums_suffix, counts_suffix, (long long)n, (long long)experts);
    adze_imatrix_entry *entry = adze_imatrix_entry_make(imatrix, name, n / experts, experts);
    if (!entry)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
    double *to = (double *)(uintptr_t)entry->sums;
    for (int64_t i = 0; i < n; i++)
        to[i] = (double)values[i];
    for (int64_t e = 0; e < experts; e++) {
        if (!(seen[e] >= 0 && seen[e] < 1e15f))
            return fail_value(err, path, counts->name, e);
        ((int64_t *)(uintptr_t)entry->counts)[e] = llroundf(seen[e]);
    }
    int64_t bad = first_bad(to, n);
    return bad < 0 ? ADZE_OK : fail_value(err, path, sums->name, bad);
}

static adze_status read_gguf_meta(adze_imatrix *imatrix, const adze_gguf *gguf, const char *path,
                                  adze_error *err)
{
    const char *type = adze_gguf_string(&gguf->meta, "general.type", "");
    const adze_gguf_entry *datasets = adze_gguf_find(&gguf->meta, "imatrix.datasets");
    if (strcmp(type, "imatrix") != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: expected an importance matrix (general.type \"imatrix\"), found %s",
                         path, *type ? type : "another GGUF file");
    int64_t size = adze_gguf_int(&gguf->meta, "imatrix.chunk_size", 0);
    imatrix->chunk_size = size > 0 && size <= INT32_MAX ? size : ADZE_IMATRIX_CHUNK;
    if (!datasets || datasets->type != ADZE_GGUF_ARRAY || datasets->element != ADZE_GGUF_STRING)
        return ADZE_OK;
    for (int64_t i = 0; i < datasets->count; i++)
        if (!adze_imatrix_add_dataset(imatrix, datasets->as.strings[i].data,
                                      datasets->as.strings[i].length))
            return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
    return ADZE_OK;
}

static adze_status read_gguf_tensors(adze_imatrix *imatrix, const adze_gguf *gguf, const char *path,
                                     adze_error *err)
{
    for (int i = 0; i < gguf->tensor_count; i++) {
        const adze_gguf_tensor *sums = &gguf->tensors[i];
        if (!adze_ends_with(sums->name, sums_suffix))
            continue;
        size_t length = strlen(sums->name) - (sizeof sums_suffix - 1);
        char *name = adze_arena_strndup(&imatrix->arena, sums->name, length);
        char *other = name ? adze_arena_printf(&imatrix->arena, "%s%s", name, counts_suffix) : NULL;
        if (!other)
            return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
        ADZE_TRY(read_pair(imatrix, path, name, sums, adze_map_get(&gguf->by_name, other), err));
    }
    return ADZE_OK;
}

static adze_status read_gguf(adze_imatrix *imatrix, const char *path, adze_error *err)
{
    adze_gguf *gguf;
    ADZE_TRY(adze_gguf_open(&gguf, path, err));
    adze_status status = read_gguf_meta(imatrix, gguf, path, err);
    if (status == ADZE_OK)
        status = read_gguf_tensors(imatrix, gguf, path, err);
    adze_gguf_close(&gguf);
    return status;
}

/* ---- .dat ---- */

static adze_status fail_cut(adze_error *err, const char *path, const adze_cursor *c,
                            const char *expected)
{
    return adze_fail(err, ADZE_BAD_FILE,
                     "%s: byte %zu: expected %s of an importance matrix; the file is cut off or is "
                     "none",
                     path, adze_cursor_offset(c), expected);
}

/* Values are means times calls; kept as sums over calls of one chunk each, which divide to the same. */
static adze_status read_dat_entry(adze_imatrix *imatrix, adze_cursor *c, const char *path,
                                  adze_error *err)
{
    uint32_t length = adze_cursor_u32le(c);
    const uint8_t *bytes = adze_cursor_bytes(c, length);
    int32_t calls = (int32_t)adze_cursor_u32le(c), n = (int32_t)adze_cursor_u32le(c);
    if (c->failed || length == 0 || length > 1024 || memchr(bytes, 0, length) || calls < 0)
        return fail_cut(err, path, c, "the name and counts of an entry");
    if (n < 1 || (size_t)n > adze_cursor_left(c) / 4)
        return fail_cut(err, path, c, "as many values as the entry says");
    char *name = adze_arena_strndup(&imatrix->arena, (const char *)bytes, length);
    if (name && adze_imatrix_find(imatrix, name))
        return adze_fail(err, ADZE_BAD_FILE, "%s: %s occurs twice", path, name);
    adze_imatrix_entry *entry = name ? adze_imatrix_entry_make(imatrix, name, n, 1) : NULL;
    if (!entry)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
    double *to = (double *)(uintptr_t)entry->sums;
    for (int32_t i = 0; i < n; i++)
        to[i] = (double)adze_cursor_f32le(c) * ADZE_IMATRIX_CHUNK;
    *(int64_t *)(uintptr_t)entry->counts = (int64_t)ADZE_MAX(calls, 1) * ADZE_IMATRIX_CHUNK;
    int64_t bad = first_bad(to, n);
    return bad < 0 ? ADZE_OK : fail_value(err, path, name, bad);
}

static adze_status read_dat(adze_imatrix *imatrix, const adze_mapping *mapping, const char *path,
                            adze_error *err)
{
    adze_cursor c = adze_cursor_over(adze_mapping_bytes(mapping), adze_mapping_size(mapping));
    uint32_t count = adze_cursor_u32le(&c);
    if (c.failed || count == 0 || count > adze_cursor_left(&c) / 16)
        return fail_cut(err, path, &c, "the number of entries");
    for (uint32_t i = 0; i < count; i++)
        ADZE_TRY(read_dat_entry(imatrix, &c, path, err));
    imatrix->chunk_size = ADZE_IMATRIX_CHUNK;
    (void)adze_cursor_u32le(&c); /* chunks: the counts say it */
    uint32_t length = adze_cursor_u32le(&c);
    const uint8_t *name = adze_cursor_bytes(&c, length);
    if (name && length > 0 && !adze_imatrix_add_dataset(imatrix, (const char *)name, length))
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
    return ADZE_OK;
}

adze_status adze_imatrix_open(adze_imatrix **out, const char *path, adze_error *err)
{
    adze_mapping *mapping = NULL;
    adze_imatrix *imatrix = NULL;
    ADZE_TRY(adze_mapping_open(&mapping, path, err));
    adze_status status = adze_imatrix_create(&imatrix, err);
    if (status == ADZE_OK)
        status = adze_gguf_sniff(adze_mapping_bytes(mapping), adze_mapping_size(mapping))
                     ? read_gguf(imatrix, path, err)
                     : read_dat(imatrix, mapping, path, err);
    adze_mapping_release(&mapping);
    if (status == ADZE_OK && imatrix->count == 0)
        status = adze_fail(err, ADZE_BAD_FILE, "%s: expected entries, found none", path);
    if (status == ADZE_OK)
        *out = imatrix;
    else
        adze_imatrix_close(&imatrix);
    return status;
}

/* ---- writing ---- */

typedef struct writer {
    adze_arena arena;
    adze_gguf_meta meta;
    adze_gguf_plan *plans;
    const void **data;
} writer;

static bool fill_meta(writer *w, const adze_imatrix *imatrix)
{
    int64_t size = imatrix->chunk_size > 0 ? imatrix->chunk_size : ADZE_IMATRIX_CHUNK;
    adze_gguf_meta_init(&w->meta, &w->arena);
    return adze_gguf_set_string(&w->meta, "general.type", "imatrix", 7) &&
           adze_gguf_set_strings(&w->meta, "imatrix.datasets", imatrix->datasets,
                                 imatrix->dataset_count) &&
           adze_gguf_set_int(&w->meta, "imatrix.chunk_count", ADZE_GGUF_U32,
                             adze_imatrix_chunks(imatrix)) &&
           adze_gguf_set_int(&w->meta, "imatrix.chunk_size", ADZE_GGUF_U32, size);
}

static bool fill_tensor(writer *w, int at, const adze_imatrix_entry *entry, bool counts)
{
    int64_t width = counts ? 1 : entry->width, n = width * entry->experts;
    float *values = ADZE_ARENA_ARRAY(&w->arena, float, (size_t)n);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = counts ? (float)entry->counts[i] : (float)entry->sums[i];
    w->data[at] = values;
    w->plans[at] = (adze_gguf_plan){
        .name =
            adze_arena_printf(&w->arena, "%s%s", entry->name, counts ? counts_suffix : sums_suffix),
        .dtype = ADZE_F32,
        .rank = 2,
        .dims = {entry->experts, width},
    };
    return values && w->plans[at].name;
}

adze_status adze_imatrix_save(const adze_imatrix *imatrix, const char *path, adze_error *err)
{
    writer w = {0};
    int count = 2 * imatrix->count;
    w.plans = ADZE_ARENA_ARRAY(&w.arena, adze_gguf_plan, (size_t)count + 1);
    w.data = ADZE_ARENA_ARRAY(&w.arena, const void *, (size_t)count + 1);
    bool fine = w.plans && w.data && fill_meta(&w, imatrix);
    for (int i = 0; i < count && fine; i++)
        fine = fill_tensor(&w, i, imatrix->entries[i / 2], i % 2);
    adze_status status = fine ? adze_gguf_write(path, &w.meta, w.plans, w.data, count, err)
                              : adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
    adze_arena_free(&w.arena);
    return status;
}
