/* PBM, PGM and PPM (netpbm): "P5 width height maxval" and samples, in text (P1, P2, P3) or binary (P4, P5, P6);
 * PBM has no maximum, and 1 is black. */
#include <ctype.h>

#include "base/cursor.h"
#include "formats/image_impl.h"

/* Skips white space and comments, then reads digits; -1 when there are none or too many. */
static int64_t read_number(adze_cursor *c)
{
    while (c->at < c->end && (isspace(*c->at) || *c->at == '#')) {
        bool comment = *c->at == '#';
        do
            c->at++;
        while (comment && c->at < c->end && *c->at != '\n');
    }
    const uint8_t *start = c->at;
    int64_t value = 0;
    for (; c->at < c->end && isdigit(*c->at) && value < 100000000; c->at++)
        value = value * 10 + (*c->at - '0');
    return c->at > start ? value : -1;
}

static uint8_t scale(int64_t value, int64_t most)
{
    value = ADZE_MIN(value, most);
    return (uint8_t)((value * 255 * 2 + most) / (most * 2));
}

static bool read_samples(adze_image *image, adze_cursor *c, bool text, int64_t most)
{
    size_t count = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t i = 0; i < count; i++) {
        int64_t value = text ? read_number(c) : adze_cursor_u8(c);
        if (!text && most > 255)
            value = value << 8 | adze_cursor_u8(c);
        if (value < 0 || c->failed)
            return false;
        image->pixels[i] = scale(value, most);
    }
    return true;
}

/* A bit for each pixel: digits that need no blank between them, or packed with rows of whole bytes. */
static bool read_bits(adze_image *image, adze_cursor *c, bool text)
{
    for (int y = 0; y < image->height; y++)
        for (int x = 0, byte = 0; x < image->width; x++) {
            if (!text && x % 8 == 0)
                byte = adze_cursor_u8(c);
            while (text && c->at < c->end && isspace(*c->at))
                c->at++;
            int bit = text ? adze_cursor_u8(c) - '0' : byte >> (7 - x % 8) & 1;
            if (c->failed || bit < 0 || bit > 1)
                return false;
            image->pixels[(size_t)y * (size_t)image->width + (size_t)x] = bit ? 0 : 255;
        }
    return true;
}

adze_status adze_pnm_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err)
{
    adze_cursor c = adze_cursor_over(bytes, size);
    (void)adze_cursor_u8(&c);
    uint8_t kind = adze_cursor_u8(&c);
    bool text = kind < '4', bits = kind == '1' || kind == '4';
    int channels = kind == '3' || kind == '6' ? 3 : 1;
    int64_t width = read_number(&c), height = read_number(&c);
    int64_t most = bits ? 1 : read_number(&c);
    if (!text)
        (void)adze_cursor_u8(&c); /* one white space */
    if (c.failed || width < 0 || height < 0 || most < 1 || most > 65535)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: PNM header: expected width, height and a maximum of 1 to 65535",
                         where);
    /* every sample takes a byte (or bit) at least: no memory for pictures that cannot be there */
    uint64_t room = adze_cursor_left(&c) * (kind == '4' ? 8 : 1);
    if (height > 0 && (uint64_t)width > room / (uint64_t)height)
        return adze_fail(err, ADZE_BAD_FILE, "%s: cut off: fewer samples than %lld x %lld pixels",
                         where, (long long)width, (long long)height);
    adze_image image;
    ADZE_TRY(adze_image_make(&image, (uint64_t)width, (uint64_t)height, channels, where, err));
    if (!(bits ? read_bits(&image, &c, text) : read_samples(&image, &c, text, most))) {
        adze_image_free(&image);
        return adze_fail(err, ADZE_BAD_FILE, "%s: cut off: samples are missing", where);
    }
    *out = image;
    return ADZE_OK;
}
