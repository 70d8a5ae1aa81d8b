/* Picks the decoder by the first bytes. */
#include "formats/image.h"

#include <stdio.h>
#include <string.h>

#include "formats/image_impl.h"

typedef adze_status (*decoder)(adze_image *, const uint8_t *, size_t, const char *, adze_error *);

static decoder decoder_of(const uint8_t *bytes, size_t size)
{
    if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        return adze_png_decode;
    if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        return adze_jpeg_decode;
    if (size >= 2 && bytes[0] == 'P' && memchr("123456", bytes[1], 6))
        return adze_pnm_decode;
    if (size >= 26 && memcmp(bytes, "BM", 2) == 0 && bytes[15] == 0 &&
        (bytes[14] == 12 || (bytes[14] >= 40 && bytes[14] <= 124)))
        return adze_bmp_decode;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return adze_webp_decode;
    if (size >= 12 && (memcmp(bytes, "\0\0\0\x0cjP  \r\n\x87\n", 12) == 0 ||
                       memcmp(bytes, "\xff\x4f\xff\x51", 4) == 0))
        return adze_jpeg2000_decode;
    if (size >= 8 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0))
        return adze_tiff_decode;
    return NULL;
}

bool adze_image_is(const uint8_t *bytes, size_t size)
{
    return decoder_of(bytes, size) != NULL;
}

adze_status adze_image_make(adze_image *out, uint64_t width, uint64_t height, int channels,
                            const char *where, adze_error *err)
{
    if (width == 0 || height == 0)
        return adze_fail(err, ADZE_BAD_FILE, "%s: picture without pixels", where);
    if (width > ADZE_IMAGE_LONGEST_SIDE || height > ADZE_IMAGE_LONGEST_SIDE ||
        width * height > ADZE_IMAGE_MOST_PIXELS)
        return adze_fail(err, ADZE_LIMIT, "%s: picture of %llu x %llu; at most %d pixels are taken",
                         where, (unsigned long long)width, (unsigned long long)height,
                         ADZE_IMAGE_MOST_PIXELS);
    adze_image image = {(int)width, (int)height, channels, NULL};
    image.pixels = adze_alloc((size_t)(width * height), (size_t)channels);
    if (!image.pixels)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory for a picture of %d x %d", where,
                         image.width, image.height);
    *out = image;
    return ADZE_OK;
}

adze_status adze_image_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                              adze_error *err)
{
    decoder decode = decoder_of(bytes, size);
    if (!decode)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: not a PNG, JPEG, BMP, WebP, JPEG 2000, TIFF or PNM picture", where);
    return decode(out, bytes, size, where, err);
}

adze_status adze_image_load(adze_image *out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    adze_status status =
        adze_image_decode(out, adze_mapping_bytes(file), adze_mapping_size(file), path, err);
    adze_mapping_release(&file);
    return status;
}

void adze_image_free(adze_image *image)
{
    adze_free(image->pixels);
    *image = (adze_image){0};
}

adze_status adze_image_save(const adze_image *image, const char *path, adze_error *err)
{
    adze_output *output;
    ADZE_TRY(adze_output_open(&output, path, err));
    char header[48];
    int length = snprintf(header, sizeof header, "P%d\n%d %d\n255\n", image->channels == 3 ? 6 : 5,
                          image->width, image->height);
    adze_output_write(output, header, (size_t)length);
    adze_output_write(output, image->pixels,
                      (size_t)image->width * (size_t)image->height * (size_t)image->channels);
    return adze_output_finish(&output, err);
}
