/* Opening GGUF: one file, or all shards of a split one (NAME-00001-of-00003.gguf, written by
 * llama-gguf-split), whichever of them was named. The first shard has the model's metadata; each has
 * split.no (from 0), split.count and split.tensors.count. */
#include <stdio.h>
#include <string.h>

#include "formats/gguf_impl.h"

static adze_status no_memory(const adze_gguf *g, adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", g->path);
}

/* Opens shard i; its mapping belongs to `g` from then on. */
static adze_status open_shard(adze_gguf *g, adze_gguf_shard *s, int i, adze_error *err)
{
    ADZE_TRY(adze_mapping_open(&g->mappings[i], s->path, err));
    s->mapping = g->mappings[i];
    g->file_size += (int64_t)adze_mapping_size(s->mapping);
    return adze_gguf_read_shard(s, &g->arena, err);
}

/* ---- shards ---- */

static int shard_count(const adze_gguf_shard *s)
{
    int64_t count = adze_gguf_int(&s->meta, "split.count", 1);
    return count >= 1 && count <= UINT16_MAX ? (int)count : 0;
}

/* The path of shard i of `count`, made from that of shard `no`; NULL when that has not the usual name. */
static char *shard_path(adze_arena *arena, const char *path, int no, int i, int count)
{
    char suffix[32];
    int length = snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", no + 1, count);
    size_t size = strlen(path);
    if (size <= (size_t)length || strcmp(path + size - (size_t)length, suffix) != 0)
        return NULL;
    return adze_arena_printf(arena, "%.*s-%05d-of-%05d.gguf", (int)(size - (size_t)length), path,
                             i + 1, count);
}

static adze_status check_number(const adze_gguf_shard *s, int no, int count, adze_error *err)
{
    int64_t found = adze_gguf_int(&s->meta, "split.no", -1);
    if (found == no && shard_count(s) == count)
        return ADZE_OK;
    return adze_fail(
        err, ADZE_BAD_FILE,
        "%s: expected shard %d of %d (split.no, split.count), found %lld of %lld; is it "
        "from another model?",
        s->path, no + 1, count, (long long)found + 1,
        (long long)adze_gguf_int(&s->meta, "split.count", -1));
}

static adze_status name_shards(adze_gguf *g, adze_gguf_shard *shards, int count, int no,
                               adze_error *err)
{
    int missing = 0, first = 0;
    for (int i = 0; i < count; i++) {
        char *path = shard_path(&g->arena, g->path, no, i, count);
        if (!path)
            return adze_fail(
                err, ADZE_BAD_FILE,
                "%s: holds shard %d of %d, but is not called NAME-%05d-of-%05d.gguf, so the "
                "others cannot be found: rename it",
                g->path, no + 1, count, no + 1, count);
        shards[i].path = i == no ? g->path : path;
        if (adze_file_size(path) < 0 && missing++ == 0)
            first = i;
    }
    if (missing == 0)
        return ADZE_OK;
    char more[48] = "";
    if (missing > 1)
        (void)snprintf(more, sizeof more, " (and %d more)", missing - 1);
    return adze_fail(err, ADZE_NOT_FOUND, "%s: shard %d of %d is missing%s: fetch it too",
                     shards[first].path, first + 1, count, more);
}

static adze_status open_others(adze_gguf *g, adze_gguf_shard *shards, int count, int no,
                               adze_error *err)
{
    ADZE_TRY(name_shards(g, shards, count, no, err));
    for (int i = 0; i < count; i++) {
        if (i != no)
            ADZE_TRY(open_shard(g, &shards[i], i, err));
        ADZE_TRY(check_number(&shards[i], i, count, err));
    }
    return ADZE_OK;
}

/* ---- joining ---- */

static adze_status add_tensor(adze_gguf *g, const adze_gguf_tensor *from, adze_error *err)
{
    const adze_gguf_tensor *twin = adze_map_get(&g->by_name, from->name);
    if (twin)
        return adze_fail(err, ADZE_BAD_FILE, "%s: the tensor '%s' occurs twice%s%s",
                         adze_mapping_path(from->mapping), from->name,
                         twin->mapping == from->mapping ? "" : ", also in ",
                         twin->mapping == from->mapping ? "" : adze_mapping_path(twin->mapping));
    adze_gguf_tensor *t = &g->tensors[g->tensor_count++];
    *t = *from;
    return adze_map_set(&g->by_name, t->name, t) ? ADZE_OK : no_memory(g, err);
}

static adze_status join(adze_gguf *g, const adze_gguf_shard *shards, int count, adze_error *err)
{
    int64_t total = 0, claimed = adze_gguf_int(&shards[0].meta, "split.tensors.count", -1);
    for (int i = 0; i < count; i++)
        total += shards[i].tensor_count;
    if (count > 1 && claimed >= 0 && claimed != total)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: expected %lld tensors in %d shards (split.tensors.count), found %lld",
                         g->path, (long long)claimed, count, (long long)total);
    g->tensors = ADZE_ARENA_ARRAY(&g->arena, adze_gguf_tensor, (size_t)total);
    if (!g->tensors || total > INT32_MAX)
        return no_memory(g, err);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < shards[i].tensor_count; k++)
            ADZE_TRY(add_tensor(g, &shards[i].tensors[k], err));
    return ADZE_OK;
}

static void take_metadata(adze_gguf *g, const adze_gguf_shard *first)
{
    g->version = first->version;
    g->alignment = (int)first->alignment;
    g->meta = first->meta;
    adze_gguf_remove(&g->meta, "split.no");
    adze_gguf_remove(&g->meta, "split.count");
    adze_gguf_remove(&g->meta, "split.tensors.count");
}

static adze_status refuse_header_only(const adze_gguf_shard *s, adze_error *err)
{
    return adze_fail(
        err, ADZE_BAD_FILE,
        "%s: ends behind its header, at byte %zu: the bytes of its %d tensors are missing; "
        "fetch it again",
        s->path, adze_mapping_size(s->mapping), s->tensor_count);
}

static adze_status open_all(adze_gguf *g, const char *path, bool header, adze_error *err)
{
    g->path = adze_arena_strdup(&g->arena, path);
    g->mappings = ADZE_ARENA_NEW(&g->arena, adze_mapping *);
    g->by_name = adze_map_in(&g->arena);
    if (!g->path || !g->mappings)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", path);
    g->mapping_count = 1;
    adze_gguf_shard given = {.path = g->path};
    ADZE_TRY(open_shard(g, &given, 0, err));
    int count = shard_count(&given);
    int64_t no = count > 1 ? adze_gguf_int(&given.meta, "split.no", -1) : 0;
    if (count == 0 || no < 0 || no >= count)
        return adze_fail(err, ADZE_BAD_FILE, "%s: shard %lld of %lld (split.no, split.count)", path,
                         (long long)no + 1,
                         (long long)adze_gguf_int(&given.meta, "split.count", 1));
    adze_gguf_shard *shards = ADZE_ARENA_ARRAY(&g->arena, adze_gguf_shard, (size_t)count);
    adze_mapping **mappings = ADZE_ARENA_ARRAY(&g->arena, adze_mapping *, (size_t)count);
    if (!shards || !mappings)
        return no_memory(g, err);
    shards[no] = given;
    mappings[no] = g->mappings[0];
    g->mappings = mappings;
    g->mapping_count = count;
    if (count > 1)
        ADZE_TRY(open_others(g, shards, count, (int)no, err));
    for (int i = 0; i < count; i++) {
        if (shards[i].lacks_data && !header)
            return refuse_header_only(&shards[i], err);
        g->header_only |= shards[i].lacks_data;
    }
    ADZE_TRY(join(g, shards, count, err));
    take_metadata(g, &shards[0]);
    return ADZE_OK;
}

static adze_status open_gguf(adze_gguf **out, const char *path, bool header, adze_error *err)
{
    adze_gguf *g = adze_alloc(1, sizeof *g);
    if (!g)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", path);
    adze_status status = open_all(g, path, header, err);
    if (status == ADZE_OK)
        *out = g;
    else
        adze_gguf_close(&g);
    return status;
}

adze_status adze_gguf_open(adze_gguf **out, const char *path, adze_error *err)
{
    return open_gguf(out, path, false, err);
}

adze_status adze_gguf_open_header(adze_gguf **out, const char *path, adze_error *err)
{
    return open_gguf(out, path, true, err);
}

void adze_gguf_close(adze_gguf **gguf)
{
    adze_gguf *g = *gguf;
    *gguf = NULL;
    if (!g)
        return;
    for (int i = 0; i < g->mapping_count; i++)
        adze_mapping_release(&g->mappings[i]);
    adze_arena_free(&g->arena);
    adze_free(g);
}
