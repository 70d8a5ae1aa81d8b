/* GGUF: any bytes give a file whose metadata and tensors can all be read, and which is written again as it
 * was, or a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const void *bytes, size_t size)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}

static void touch_entry(const adze_gguf_meta *meta, const adze_gguf_entry *entry)
{
    if (adze_gguf_find(meta, entry->key) != entry)
        abort();
    (void)adze_gguf_int(meta, entry->key, 0);
    (void)adze_gguf_float(meta, entry->key, 0);
    (void)adze_gguf_bool(meta, entry->key, false);
    (void)adze_gguf_string(meta, entry->key, "");
    for (int64_t i = -1; i <= entry->count; i++) {
        (void)adze_gguf_int_at(entry, i);
        (void)adze_gguf_float_at(entry, i);
    }
    if (entry->type == ADZE_GGUF_STRING)
        touch(entry->as.s.data, entry->as.s.length + 1);
    else if (entry->type == ADZE_GGUF_ARRAY && entry->element == ADZE_GGUF_STRING)
        for (int64_t i = 0; i < entry->count; i++)
            touch(entry->as.strings[i].data, entry->as.strings[i].length);
    else if (entry->type == ADZE_GGUF_ARRAY)
        touch(entry->as.bytes, entry->byte_count);
}

/* A file in memory, and its path. */
static int save(char path[64], const void *bytes, size_t size)
{
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* The header that would be written; false when the writer refuses. */
static bool lay_out(char **header, size_t *size, const adze_gguf *gguf)
{
    adze_arena arena = {0};
    adze_gguf_meta copy;
    uint64_t total;
    adze_gguf_plan *plans = ADZE_ARENA_ARRAY(&arena, adze_gguf_plan, (size_t)gguf->tensor_count);
    adze_gguf_meta_init(&copy, &arena);
    for (int i = 0; i < gguf->meta.count; i++)
        if (!adze_gguf_copy_entry(&copy, &gguf->meta.entries[i]))
            abort();
    for (int i = 0; i < gguf->tensor_count; i++) {
        const adze_tensor *t = &gguf->tensors[i].tensor;
        plans[i] =
            (adze_gguf_plan){.name = gguf->tensors[i].name, .dtype = t->dtype, .rank = t->rank};
        for (int k = 0; k < t->rank; k++)
            plans[i].dims[k] = t->dims[k];
    }
    bool ok =
        adze_gguf_layout(header, size, &total, &copy, plans, gguf->tensor_count, NULL) == ADZE_OK;
    if (ok && total < *size)
        abort();
    adze_arena_free(&arena);
    return ok;
}

/* What was read can be written, read again and written to the same bytes. */
static void round_trip(const adze_gguf *gguf)
{
    char *first, *second, path[64];
    size_t first_size, second_size;
    adze_error err;
    adze_gguf *again;
    if (!lay_out(&first, &first_size, gguf))
        return;
    int fd = save(path, first, first_size);
    if (adze_gguf_open_header(&again, path, &err) != ADZE_OK) {
        fprintf(stderr, "again: %s\n", err.message);
        abort();
    }
    if (!lay_out(&second, &second_size, again) || first_size != second_size ||
        memcmp(first, second, first_size) != 0)
        abort();
    adze_gguf_close(&again);
    (void)close(fd);
    adze_free(first);
    adze_free(second);
}

static void use(const adze_gguf *gguf)
{
    for (int i = 0; i < gguf->meta.count; i++)
        touch_entry(&gguf->meta, &gguf->meta.entries[i]);
    for (int i = 0; i < gguf->tensor_count; i++) {
        const adze_gguf_tensor *t = &gguf->tensors[i];
        if (adze_map_get(&gguf->by_name, t->name) != t)
            abort();
        if (t->tensor.data)
            touch(t->tensor.data, t->tensor.size);
        else if (!gguf->header_only)
            abort();
    }
    round_trip(gguf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    adze_error err;
    adze_gguf *gguf;
    int fd = save(path, data, size);
    if (adze_gguf_open_header(&gguf, path, &err) == ADZE_OK) {
        use(gguf);
        adze_gguf_close(&gguf);
    }
    (void)close(fd);
    return 0;
}
