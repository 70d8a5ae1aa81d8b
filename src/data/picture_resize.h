/* Resizing 8-bit pictures exactly as Pillow does (Image.resize with BILINEAR and NEAREST). */
#ifndef ADZE_DATA_PICTURE_RESIZE_H
#define ADZE_DATA_PICTURE_RESIZE_H
#include "adze/data.h"

/* An interleaved 8-bit picture to be freed with adze_free(pixels). */
typedef struct adze_pixels {
    uint8_t *pixels; /* [height, width, channels] */
    int width, height, channels;
} adze_pixels;

/* False without memory. */
bool adze_resize(adze_pixels *out, const adze_pixels *in, int width, int height,
                 adze_resize_mode mode);

#endif
