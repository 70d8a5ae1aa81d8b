/* Windows bitmaps: palettes of 1, 4 and 8 bits, 16, 24 and 32 bits with or without masks; rows from the
 * bottom up unless the height is negative. Run-length coding is not read. */
#include <string.h>

#include "base/cursor.h"
#include "formats/image_impl.h"

enum { PLAIN = 0, MASKS = 3, ALPHA_MASKS = 6, SHORT_HEADER = 12 };

typedef struct bitmap {
    int64_t width, height;
    bool top_down;
    int bits;
    uint32_t masks[3];
    const uint8_t *palette;
    int64_t colours;
    size_t entry; /* bytes of a palette entry */
    const uint8_t *rows;
    size_t row_size;
} bitmap;

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static adze_status bad(const char *where, const char *what, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_FILE, "%s: BMP: %s", where, what);
}

/* Masks of the three colours, after the header or as the format has them. */
static bool read_masks(bitmap *b, const uint8_t *bytes, size_t size, uint32_t compression)
{
    static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    memcpy(b->masks, usual[b->bits != 16], sizeof b->masks);
    if (compression != MASKS && compression != ALPHA_MASKS)
        return true;
    if (size < 14 + 40 + 12 || (b->bits != 16 && b->bits != 32))
        return false;
    for (size_t i = 0; i < 3; i++) {
        b->masks[i] = le32(bytes + 14 + 40 + 4 * i);
        if (!b->masks[i])
            return false;
    }
    return true;
}

static adze_status read_header(bitmap *b, const uint8_t *bytes, size_t size, const char *where,
                               adze_error *err)
{
    if (size < 26)
        return bad(where, "the header is cut off", err);
    uint32_t header = le32(bytes + 14), first = le32(bytes + 10), compression = 0;
    bool small = header == SHORT_HEADER;
    if (!small && (header < 40 || size < 54 || header > size - 14))
        return bad(where, "an unknown header", err);
    b->width = small ? le16(bytes + 18) : (int32_t)le32(bytes + 18);
    b->height = small ? le16(bytes + 20) : (int32_t)le32(bytes + 22);
    b->bits = le16(bytes + (small ? 24 : 28));
    compression = small ? PLAIN : le32(bytes + 30);
    b->colours = small ? 0 : le32(bytes + 46);
    b->top_down = b->height < 0;
    b->height = b->top_down ? -b->height : b->height;
    bool known = b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 ||
                 b->bits == 32;
    if (!known || (compression != PLAIN && compression != MASKS && compression != ALPHA_MASKS))
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: BMP of %d bits, compression %u", where,
                         b->bits, compression);
    if (b->width < 1 || b->width > ADZE_IMAGE_LONGEST_SIDE || b->height > ADZE_IMAGE_LONGEST_SIDE ||
        !read_masks(b, bytes, size, compression))
        return bad(where, "impossible size or masks", err);
    if (b->bits <= 8) {
        size_t start = 14 + header;
        b->entry = small ? 3 : 4;
        b->colours = b->colours > 0 && b->colours < 1 << b->bits ? b->colours : 1 << b->bits;
        if ((size - start) / b->entry < (size_t)b->colours)
            return bad(where, "the palette is cut off", err);
        b->palette = bytes + start;
    }
    b->row_size = ((size_t)b->width * (size_t)b->bits + 31) / 32 * 4;
    if (first > size || (size - first) / b->row_size < (size_t)b->height)
        return bad(where, "the rows are cut off", err);
    b->rows = bytes + first;
    return ADZE_OK;
}

/* The bits under a mask, stretched to 0...255. */
static uint8_t masked(uint32_t pixel, uint32_t mask)
{
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift, value = (pixel & mask) >> shift;
    return (uint8_t)((value * 255 + most / 2) / most);
}

static void read_pixel(const bitmap *b, const uint8_t *row, int64_t x, uint8_t *to)
{
    if (b->bits <= 8) {
        int64_t bit = x * b->bits;
        int index = row[bit / 8] >> (8 - b->bits - bit % 8) & ((1 << b->bits) - 1);
        const uint8_t *entry = b->palette + (size_t)ADZE_MIN(index, b->colours - 1) * b->entry;
        for (int c = 0; c < 3; c++)
            to[c] = entry[2 - c];
    } else if (b->bits == 24) {
        for (int c = 0; c < 3; c++)
            to[c] = row[3 * x + 2 - c];
    } else {
        uint32_t pixel = b->bits == 16 ? le16(row + 2 * x) : le32(row + 4 * x);
        for (int c = 0; c < 3; c++)
            to[c] = masked(pixel, b->masks[c]);
    }
}

adze_status adze_bmp_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err)
{
    bitmap b = {0};
    ADZE_TRY(read_header(&b, bytes, size, where, err));
    ADZE_TRY(adze_image_make(out, (uint64_t)b.width, (uint64_t)b.height, 3, where, err));
    for (int64_t y = 0; y < b.height; y++) {
        const uint8_t *row = b.rows + (size_t)(b.top_down ? y : b.height - 1 - y) * b.row_size;
        for (int64_t x = 0; x < b.width; x++)
            read_pixel(&b, row, x, out->pixels + (y * b.width + x) * 3);
    }
    return ADZE_OK;
}
