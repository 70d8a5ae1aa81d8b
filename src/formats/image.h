/* Pictures -> 8-bit samples: PNG (libpng), JPEG (libjpeg), PPM, PGM, PBM and BMP (ours); WebP, JPEG 2000 and
 * TIFF where the libraries for them are there. Recognised by content.
 * Alpha is dropped, palettes are expanded, 16 bits become 8, colour profiles and EXIF are not applied:
 * of 8-bit files the same samples as Pillow's convert("RGB") or, of a grey file, convert("L"). */
#ifndef ADZE_FORMATS_IMAGE_H
#define ADZE_FORMATS_IMAGE_H
#include "base/file.h"

typedef struct adze_image {
    int width, height;
    int channels;    /* 1 grey, 3 red green blue */
    uint8_t *pixels; /* [height, width, channels] */
} adze_image;

/* Larger pictures are refused before memory is taken: 128 million pixels, 65,500 to a side. */
enum { ADZE_IMAGE_MOST_PIXELS = 1 << 27, ADZE_IMAGE_LONGEST_SIDE = 65500 };

/* True when the first bytes are those of a format above. */
bool adze_image_is(const uint8_t *bytes, size_t size);
/* Owned; free with adze_image_free. ADZE_UNSUPPORTED names the library that was left out. */
adze_status adze_image_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                              adze_error *err) ADZE_MUST_CHECK;
adze_status adze_image_load(adze_image *out, const char *path, adze_error *err) ADZE_MUST_CHECK;
void adze_image_free(adze_image *image);
/* Writes a PGM or PPM file. */
adze_status adze_image_save(const adze_image *image, const char *path,
                            adze_error *err) ADZE_MUST_CHECK;

#endif
