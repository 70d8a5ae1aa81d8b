/* Writing ZIP archives: sizes are known before an entry is written, so no data descriptors; ZIP64 fields
 * appear only where a number needs them. */
#include <string.h>
#include <zlib.h>

#include "formats/zip.h"

enum { DATE_1980_01_01 = 0x0021, VERSION = 20, VERSION64 = 45 };

/* Little-endian fields gathered in a small buffer. */
typedef struct record {
    uint8_t bytes[128];
    size_t size;
} record;

static void put(record *r, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        r->bytes[r->size++] = (uint8_t)(value >> (8 * i));
}

static uint64_t capped(uint64_t value)
{
    return ADZE_MIN(value, (uint64_t)UINT32_MAX);
}

adze_status adze_zip_writer_open(adze_zip_writer *out, const char *path, adze_error *err)
{
    adze_zip_writer writer = {0};
    ADZE_TRY(adze_output_open(&writer.output, path, err));
    *out = writer;
    return ADZE_OK;
}

static bool remember(adze_zip_writer *writer, const char *name)
{
    if (!adze_arena_grow(&writer->arena, &writer->entries, &writer->capacity, writer->count,
                         sizeof *writer->entries) ||
        !adze_arena_grow(&writer->arena, &writer->offsets, &writer->offsets_capacity, writer->count,
                         sizeof *writer->offsets))
        return false;
    char *copy = adze_arena_strdup(&writer->arena, name);
    writer->entries[writer->count] = (adze_zip_entry){.name = copy};
    writer->offsets[writer->count] = adze_output_size(writer->output);
    return copy != NULL;
}

/* All parts deflated, in memory to be freed; NULL when there is none. */
static uint8_t *deflate_parts(const adze_zip_part *parts, int count, uint64_t size,
                              uint64_t *stored)
{
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    uint64_t bound = size + size / 1000 + 1024; /* zlib needs less: size + size / 4096 + 13 */
    uint8_t *data = bound <= SIZE_MAX ? adze_realloc(NULL, 1, (size_t)bound) : NULL;
    z.next_out = data;
    for (int i = 0; data && i <= count; i++) {
        const uint8_t *end = i < count ? (const uint8_t *)parts[i].bytes + parts[i].size : NULL;
        z.next_in = i < count ? (z_const Bytef *)parts[i].bytes : NULL;
        do {
            z.avail_in = end ? (uInt)ADZE_MIN((size_t)(end - z.next_in), (size_t)1 << 30) : 0;
            z.avail_out = (uInt)ADZE_MIN((uint64_t)(data + bound - z.next_out), (uint64_t)1 << 30);
            if (deflate(&z, i < count ? Z_NO_FLUSH : Z_FINISH) == Z_STREAM_END)
                break;
        } while (i == count || z.next_in < end);
    }
    *stored = data ? (uint64_t)(z.next_out - data) : 0;
    (void)deflateEnd(&z);
    return data;
}

static void write_local_header(adze_zip_writer *writer, const adze_zip_entry *entry)
{
    bool big = entry->size >= UINT32_MAX || entry->stored >= UINT32_MAX;
    size_t name_size = strlen(entry->name);
    record r = {0};
    put(&r, 0x04034b50, 4);
    put(&r, big ? VERSION64 : VERSION, 2);
    put(&r, 1 << 11, 2); /* names are UTF-8 */
    put(&r, entry->deflated ? 8 : 0, 2);
    put(&r, (uint64_t)DATE_1980_01_01 << 16, 4);
    put(&r, entry->crc, 4);
    put(&r, big ? UINT32_MAX : entry->stored, 4);
    put(&r, big ? UINT32_MAX : entry->size, 4);
    put(&r, name_size, 2);
    put(&r, big ? 20 : 0, 2);
    adze_output_write(writer->output, r.bytes, r.size);
    adze_output_write(writer->output, entry->name, name_size);
    if (!big)
        return;
    r.size = 0;
    put(&r, 1, 2);
    put(&r, 16, 2);
    put(&r, entry->size, 8);
    put(&r, entry->stored, 8);
    adze_output_write(writer->output, r.bytes, r.size);
}

adze_status adze_zip_writer_add(adze_zip_writer *writer, const char *name,
                                const adze_zip_part *parts, int count, bool deflate,
                                adze_error *err)
{
    if (strlen(name) > UINT16_MAX)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "ZIP: the name of an entry is too long");
    if (!remember(writer, name))
        return adze_fail(err, ADZE_NO_MEMORY, "ZIP: no memory for entry %s", name);
    adze_zip_entry *entry = &writer->entries[writer->count];
    for (int i = 0; i < count; i++) {
        entry->crc = (uint32_t)crc32_z(entry->crc, parts[i].bytes, parts[i].size);
        entry->size += parts[i].size;
    }
    entry->stored = entry->size;
    entry->deflated = deflate && entry->size > 0;
    uint8_t *packed = NULL;
    if (entry->deflated && !(packed = deflate_parts(parts, count, entry->size, &entry->stored)))
        return adze_fail(err, ADZE_NO_MEMORY, "ZIP: no memory to compress entry %s", name);
    write_local_header(writer, entry);
    if (packed)
        adze_output_write(writer->output, packed, (size_t)entry->stored);
    for (int i = 0; i < count && !packed; i++)
        adze_output_write(writer->output, parts[i].bytes, parts[i].size);
    adze_free(packed);
    writer->count++;
    return ADZE_OK;
}

static void write_directory_entry(adze_zip_writer *writer, int index)
{
    const adze_zip_entry *entry = &writer->entries[index];
    uint64_t offset = writer->offsets[index];
    const uint64_t values[] = {entry->size, entry->stored, offset};
    record extra = {0}, r = {0};
    put(&extra, 1, 2);
    put(&extra, 0, 2);
    for (int i = 0; i < 3; i++)
        if (values[i] >= UINT32_MAX)
            put(&extra, values[i], 8);
    extra.bytes[2] = (uint8_t)(extra.size - 4);
    if (extra.size == 4)
        extra.size = 0;
    put(&r, 0x02014b50, 4);
    put(&r, extra.size ? VERSION64 : VERSION, 2);
    put(&r, extra.size ? VERSION64 : VERSION, 2);
    put(&r, 1 << 11, 2);
    put(&r, entry->deflated ? 8 : 0, 2);
    put(&r, (uint64_t)DATE_1980_01_01 << 16, 4);
    put(&r, entry->crc, 4);
    put(&r, capped(entry->stored), 4);
    put(&r, capped(entry->size), 4);
    put(&r, strlen(entry->name), 2);
    put(&r, extra.size, 2);
    put(&r, 0, 2 + 2 + 2); /* comment, disk, attributes inside */
    put(&r, 0, 4);         /* and outside */
    put(&r, capped(offset), 4);
    adze_output_write(writer->output, r.bytes, r.size);
    adze_output_write(writer->output, entry->name, strlen(entry->name));
    adze_output_write(writer->output, extra.bytes, extra.size);
}

static void write_end(adze_zip_writer *writer, uint64_t offset)
{
    uint64_t end = adze_output_size(writer->output), size = end - offset;
    uint64_t count = (uint64_t)writer->count;
    record r = {0};
    if (count >= UINT16_MAX || offset >= UINT32_MAX || size >= UINT32_MAX) {
        put(&r, 0x06064b50, 4);
        put(&r, 44, 8);
        put(&r, VERSION64, 2);
        put(&r, VERSION64, 2);
        put(&r, 0, 8);
        put(&r, count, 8);
        put(&r, count, 8);
        put(&r, size, 8);
        put(&r, offset, 8);
        put(&r, 0x07064b50, 4); /* locator */
        put(&r, 0, 4);
        put(&r, end, 8);
        put(&r, 1, 4);
    }
    put(&r, 0x06054b50, 4);
    put(&r, 0, 4);
    put(&r, ADZE_MIN(count, (uint64_t)UINT16_MAX), 2);
    put(&r, ADZE_MIN(count, (uint64_t)UINT16_MAX), 2);
    put(&r, capped(size), 4);
    put(&r, capped(offset), 4);
    put(&r, 0, 2);
    adze_output_write(writer->output, r.bytes, r.size);
}

adze_status adze_zip_writer_finish(adze_zip_writer *writer, adze_error *err)
{
    uint64_t offset = adze_output_size(writer->output);
    for (int i = 0; i < writer->count; i++)
        write_directory_entry(writer, i);
    write_end(writer, offset);
    adze_status status = adze_output_finish(&writer->output, err);
    adze_zip_writer_abort(writer);
    return status;
}

void adze_zip_writer_abort(adze_zip_writer *writer)
{
    adze_output_abort(&writer->output);
    adze_arena_free(&writer->arena);
    *writer = (adze_zip_writer){0};
}
