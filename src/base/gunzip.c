/* Whole-file gunzip through zlib, with a limit on the result so that a bomb cannot fill memory. */
#include <string.h>
#include <zlib.h>

#include "base/file.h"

/* Gives the stream more room; false when the limit or memory is at its end. */
static bool more_room(uint8_t **data, size_t *capacity, size_t limit)
{
    if (*capacity > limit)
        return false;
    size_t bigger = *capacity < (limit + 1) / 2 ? *capacity * 2 : limit + 1;
    uint8_t *moved = adze_realloc(*data, 1, bigger);
    if (!moved)
        return false;
    *data = moved;
    *capacity = bigger;
    return true;
}

/* Inflates into *data until the end of all members; *length bytes are valid afterwards. */
static int inflate_all(z_stream *z, uint8_t **data, size_t *capacity, size_t *length, size_t limit,
                       const uint8_t *end)
{
    for (;;) {
        if (*length == *capacity && !more_room(data, capacity, limit))
            return *capacity > limit ? Z_BUF_ERROR : Z_MEM_ERROR;
        uInt in = (uInt)ADZE_MIN((size_t)(end - z->next_in), (size_t)1 << 30);
        uInt room = (uInt)ADZE_MIN(*capacity - *length, (size_t)1 << 30);
        z->avail_in = in;
        z->next_out = *data + *length;
        z->avail_out = room;
        int rc = inflate(z, Z_NO_FLUSH);
        *length += room - z->avail_out;
        if (rc == Z_STREAM_END) {
            if (end - z->next_in < 2 || z->next_in[0] != 0x1f)
                return Z_OK; /* zero padding and the like is ignored, as gzip does */
            rc = inflateReset(z);
        }
        if (rc == Z_BUF_ERROR && z->avail_out == 0)
            rc = Z_OK;
        if (rc != Z_OK)
            return rc == Z_BUF_ERROR ? Z_DATA_ERROR : rc;
        if (z->next_in == end && z->avail_out != 0)
            return Z_DATA_ERROR; /* all read, nothing more to say, no end seen */
    }
}

adze_status adze_gunzip(uint8_t **out, size_t *out_size, const uint8_t *bytes, size_t size,
                        size_t limit, adze_error *err)
{
    if (size < 18 || bytes[0] != 0x1f || bytes[1] != 0x8b)
        return adze_fail(err, ADZE_BAD_FILE, "gzip: expected the bytes 1f 8b at the start");
    limit = ADZE_MIN(limit, (size_t)PTRDIFF_MAX - 1);
    z_stream z = {.next_in = (z_const Bytef *)bytes};
    size_t capacity = ADZE_MIN(limit + 1, size < SIZE_MAX / 4 ? size * 4 : size), length = 0;
    uint8_t *data = adze_realloc(NULL, 1, capacity);
    if (!data || inflateInit2(&z, 15 + 16) != Z_OK) {
        adze_free(data);
        return adze_fail(err, ADZE_NO_MEMORY, "gzip: no memory to decompress %zu bytes", size);
    }
    int rc = inflate_all(&z, &data, &capacity, &length, limit, bytes + size);
    (void)inflateEnd(&z);
    if (rc == Z_OK && length <= limit) {
        *out = data;
        *out_size = length;
        return ADZE_OK;
    }
    adze_free(data);
    if (rc == Z_OK || rc == Z_BUF_ERROR)
        return adze_fail(err, ADZE_LIMIT, "gzip: result is larger than the limit of %zu bytes",
                         limit);
    if (rc == Z_MEM_ERROR)
        return adze_fail(err, ADZE_NO_MEMORY, "gzip: no memory to decompress %zu bytes", size);
    return adze_fail(err, ADZE_BAD_FILE, "gzip: compressed data are damaged or cut off");
}
