/* Reading ZIP archives. The directory at the end is the truth; of the local headers only the length is
 * used. An entry that claims more bytes than deflate could give (1032 to 1) is refused before anything
 * is allocated. */
#include "formats/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/cursor.h"

enum {
    LOCAL_MAGIC = 0x04034b50,
    ENTRY_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    END64_MAGIC = 0x06064b50,
    LOCATOR64_MAGIC = 0x07064b50,
    END_SIZE = 22,
    LOCATOR64_SIZE = 20,
    LONGEST_COMMENT = 65535
};

typedef struct directory {
    uint64_t count, size, offset;
} directory;

static adze_status bad(adze_error *err, const char *where, const char *what)
{
    return adze_fail(err, ADZE_BAD_FILE, "%s: ZIP archive: %s", where, what);
}

/* The end record is found from behind, past a comment of any length. */
static const uint8_t *find_end(const uint8_t *bytes, size_t size)
{
    if (size < END_SIZE)
        return NULL;
    size_t lowest = size > END_SIZE + LONGEST_COMMENT ? size - END_SIZE - LONGEST_COMMENT : 0;
    for (size_t at = size - END_SIZE + 1; at-- > lowest;)
        if (memcmp(bytes + at, "PK\5\6", 4) == 0)
            return bytes + at;
    return NULL;
}

/* ZIP64: a locator right before the end record points to a bigger record. */
static bool read_end64(directory *dir, const uint8_t *bytes, size_t size, const uint8_t *end)
{
    if ((size_t)(end - bytes) < LOCATOR64_SIZE)
        return false;
    adze_cursor locator = adze_cursor_over(end - LOCATOR64_SIZE, LOCATOR64_SIZE);
    if (adze_cursor_u32le(&locator) != LOCATOR64_MAGIC)
        return false;
    (void)adze_cursor_u32le(&locator); /* disk */
    adze_cursor c = adze_cursor_over(bytes, size);
    (void)adze_cursor_bytes(&c, adze_cursor_u64le(&locator));
    bool found = adze_cursor_u32le(&c) == END64_MAGIC;
    (void)adze_cursor_bytes(&c, 8 + 2 + 2 + 4 + 4 + 8); /* size, versions, disks, count here */
    dir->count = adze_cursor_u64le(&c);
    dir->size = adze_cursor_u64le(&c);
    dir->offset = adze_cursor_u64le(&c);
    return found && !c.failed;
}

static adze_status read_end(directory *dir, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err)
{
    const uint8_t *end = find_end(bytes, size);
    if (!end)
        return bad(err, where, "no end record: not an archive, or cut off");
    adze_cursor c = adze_cursor_over(end, END_SIZE);
    (void)adze_cursor_bytes(&c, 4 + 2 + 2 + 2);
    dir->count = adze_cursor_u16le(&c);
    dir->size = adze_cursor_u32le(&c);
    dir->offset = adze_cursor_u32le(&c);
    bool needs64 = dir->count == 0xffff || dir->size == UINT32_MAX || dir->offset == UINT32_MAX;
    if (needs64 && !read_end64(dir, bytes, size, end))
        return bad(err, where, "the ZIP64 end record is missing or damaged");
    return ADZE_OK;
}

/* ZIP64 values stand in an extra field, in this order, only for the fields that hold all ones. */
static void read_extra64(adze_cursor extra, uint64_t *size, uint64_t *stored, uint64_t *offset)
{
    while (!extra.failed && adze_cursor_left(&extra) >= 4) {
        uint16_t id = adze_cursor_u16le(&extra), length = adze_cursor_u16le(&extra);
        adze_cursor field = adze_cursor_sub(&extra, length);
        if (id != 1)
            continue;
        uint64_t *const values[] = {size, stored, offset};
        for (int i = 0; i < 3; i++)
            if (*values[i] == UINT32_MAX)
                *values[i] = adze_cursor_u64le(&field);
        return;
    }
}

static bool find_bytes(adze_zip_entry *entry, const uint8_t *bytes, size_t size, uint64_t offset)
{
    adze_cursor c = adze_cursor_over(bytes, size);
    (void)adze_cursor_bytes(&c, offset);
    if (adze_cursor_u32le(&c) != LOCAL_MAGIC)
        return false;
    (void)adze_cursor_bytes(&c, 22);
    uint16_t name = adze_cursor_u16le(&c), extra = adze_cursor_u16le(&c);
    (void)adze_cursor_bytes(&c, (uint64_t)name + extra);
    entry->bytes = adze_cursor_bytes(&c, entry->stored);
    return entry->bytes != NULL;
}

static adze_status read_entry(adze_zip *zip, adze_cursor *c, const uint8_t *bytes, size_t size,
                              adze_error *err)
{
    bool magic = adze_cursor_u32le(c) == ENTRY_MAGIC;
    (void)adze_cursor_u32le(c); /* versions */
    uint16_t flags = adze_cursor_u16le(c), method = adze_cursor_u16le(c);
    (void)adze_cursor_u32le(c); /* time */
    adze_zip_entry entry = {.crc = adze_cursor_u32le(c), .deflated = method == 8};
    entry.stored = adze_cursor_u32le(c);
    entry.size = adze_cursor_u32le(c);
    uint16_t name_size = adze_cursor_u16le(c), extra_size = adze_cursor_u16le(c);
    uint16_t comment_size = adze_cursor_u16le(c);
    (void)adze_cursor_bytes(c, 8); /* disk, attributes */
    uint64_t offset = adze_cursor_u32le(c);
    const uint8_t *name = adze_cursor_bytes(c, name_size);
    read_extra64(adze_cursor_sub(c, extra_size), &entry.size, &entry.stored, &offset);
    (void)adze_cursor_bytes(c, comment_size);
    if (!magic || c->failed)
        return bad(err, zip->where, "the directory is damaged or cut off");
    if (name_size == 0 || name[name_size - 1] == '/')
        return ADZE_OK;
    char *copy = adze_arena_strndup(&zip->arena, (const char *)name, name_size);
    if (!copy)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for the directory", zip->where);
    entry.name = copy;
    if ((flags & 1) || (method != 0 && method != 8))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: ZIP entry %s is %s; write it stored or deflated", zip->where, copy,
                         flags & 1 ? "encrypted" : "compressed with another method");
    bool possible = entry.deflated ? entry.size / 1032 <= entry.stored : entry.size == entry.stored;
    if (!possible || !find_bytes(&entry, bytes, size, offset))
        return adze_fail(err, ADZE_BAD_FILE, "%s: ZIP entry %s lies outside the file", zip->where,
                         copy);
    zip->entries[zip->count++] = entry;
    return ADZE_OK;
}

static adze_status read_directory(adze_zip *zip, const uint8_t *bytes, size_t size, adze_error *err)
{
    directory dir = {0};
    ADZE_TRY(read_end(&dir, bytes, size, zip->where, err));
    adze_cursor c = adze_cursor_over(bytes, size);
    (void)adze_cursor_bytes(&c, dir.offset);
    c = adze_cursor_sub(&c, dir.size);
    if (c.failed || dir.count > dir.size / 46 || dir.count > INT32_MAX)
        return bad(err, zip->where, "the directory lies outside the file");
    zip->entries = ADZE_ARENA_ARRAY(&zip->arena, adze_zip_entry, (size_t)dir.count);
    if (!zip->entries)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for the directory", zip->where);
    for (uint64_t i = 0; i < dir.count; i++)
        ADZE_TRY(read_entry(zip, &c, bytes, size, err));
    return ADZE_OK;
}

adze_status adze_zip_parse(adze_zip *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err)
{
    adze_zip zip = {0};
    zip.where = adze_arena_strdup(&zip.arena, where);
    adze_status status =
        zip.where ? read_directory(&zip, bytes, size, err)
                  : adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for the directory", where);
    if (status == ADZE_OK)
        *out = zip;
    else
        adze_zip_free(&zip);
    return status;
}

void adze_zip_free(adze_zip *zip)
{
    adze_arena_free(&zip->arena);
    *zip = (adze_zip){0};
}

adze_status adze_zip_check(const adze_zip *zip, const adze_zip_entry *entry, adze_error *err)
{
    if (crc32_z(0, entry->bytes, (z_size_t)entry->stored) != entry->crc)
        return adze_fail(err, ADZE_BAD_FILE, "%s: ZIP entry %s is damaged (CRC differs)",
                         zip->where, entry->name);
    return ADZE_OK;
}

/* Raw deflate into exactly `size` bytes. */
static bool inflate_exactly(uint8_t *out, uint64_t size, const uint8_t *bytes, uint64_t stored)
{
    z_stream z = {.next_in = (z_const Bytef *)bytes, .next_out = out};
    if (inflateInit2(&z, -15) != Z_OK)
        return false;
    uint8_t *out_end = out + size;
    int rc = Z_OK;
    while (rc == Z_OK) {
        z.avail_in = (uInt)ADZE_MIN((uint64_t)(bytes + stored - z.next_in), (uint64_t)1 << 30);
        z.avail_out = (uInt)ADZE_MIN((uint64_t)(out_end - z.next_out), (uint64_t)1 << 30);
        rc = inflate(&z, Z_NO_FLUSH);
    }
    (void)inflateEnd(&z);
    return rc == Z_STREAM_END && z.next_out == out_end;
}

adze_status adze_zip_extract(uint8_t **out, const adze_zip *zip, const adze_zip_entry *entry,
                             adze_error *err)
{
    uint8_t *data = entry->size <= SIZE_MAX ? adze_alloc(1, (size_t)entry->size) : NULL;
    if (!data)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for ZIP entry %s, %llu bytes",
                         zip->where, entry->name, (unsigned long long)entry->size);
    bool good = true;
    if (entry->deflated)
        good = inflate_exactly(data, entry->size, entry->bytes, entry->stored);
    else
        memcpy(data, entry->bytes, (size_t)entry->size);
    if (!good || crc32_z(0, data, (z_size_t)entry->size) != entry->crc) {
        adze_free(data);
        return adze_fail(err, ADZE_BAD_FILE, "%s: ZIP entry %s is damaged (%s)", zip->where,
                         entry->name, good ? "CRC differs" : "cannot be decompressed");
    }
    *out = data;
    return ADZE_OK;
}
