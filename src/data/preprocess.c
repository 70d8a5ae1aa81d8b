/* From 8-bit samples to the floats of a model's input. The arithmetic on samples is a table of 256
 * results for each channel, made in double. */
#include "data/preprocess.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/picture_resize.h"

adze_preprocess adze_preprocess_default(void)
{
    return (adze_preprocess){.scale = 1.0 / 255,
                             .mean = {0},
                             .std = {1},
                             .mean_count = 1,
                             .std_count = 1,
                             .dtype = ADZE_F32};
}

static int channels_out(const adze_preprocess *p, const adze_picture *picture)
{
    switch (p->channels) {
    case ADZE_CHANNELS_GREY: return 1;
    case ADZE_CHANNELS_RGB:
    case ADZE_CHANNELS_BGR: return 3;
    default: return picture->channels;
    }
}

/* The size after resizing: with keep_aspect the smallest that covers the one asked for, the longer side
 * rounded down as torchvision does. */
static void resized(int *width, int *height, const adze_preprocess *p, const adze_picture *picture)
{
    int64_t in_width = picture->width, in_height = picture->height;
    *width = p->resize_width;
    *height = p->resize_height;
    if (p->resize_width == 0) {
        *width = picture->width;
        *height = picture->height;
    } else if (p->keep_aspect && in_width * *height <= in_height * *width) {
        *height = (int)(*width * in_height / in_width);
    } else if (p->keep_aspect) {
        *width = (int)(*height * in_width / in_height);
    }
}

adze_status adze_preprocess_shape(int64_t dims[3], const adze_preprocess *p,
                                  const adze_picture *picture, adze_error *err)
{
    int width, height, channels = channels_out(p, picture);
    resized(&width, &height, p, picture);
    if ((int64_t)width * height > (int64_t)1 << 28)
        return adze_fail(err, ADZE_LIMIT, "%s: resized to %d x %d: too large", picture->where,
                         width, height);
    if (p->crop_width > width || p->crop_height > height)
        return adze_fail(
            err, ADZE_BAD_DATA,
            "%s: the crop of %d x %d is larger than the picture of %d x %d; resize first",
            picture->where, p->crop_width, p->crop_height, width, height);
    if ((p->mean_count > 1 && p->mean_count != channels) ||
        (p->std_count > 1 && p->std_count != channels))
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: mean or std of %d channels, but the picture has %d; set \"channels\"",
                         picture->where, ADZE_MAX(p->mean_count, p->std_count), channels);
    int64_t out_width = p->crop_width ? p->crop_width : width;
    int64_t out_height = p->crop_height ? p->crop_height : height;
    bool first = p->layout == ADZE_NCHW;
    dims[0] = first ? channels : out_height;
    dims[1] = first ? out_height : out_width;
    dims[2] = first ? out_width : channels;
    return ADZE_OK;
}

static uint8_t sample(const adze_picture *p, size_t pixel, int channel)
{
    size_t plane = (size_t)p->width * (size_t)p->height;
    return p->planar ? p->pixels[(size_t)channel * plane + pixel]
                     : p->pixels[pixel * (size_t)p->channels + (size_t)channel];
}

/* Pillow's weights (ITU-R 601-2 luma), in 16-bit fixed point. */
static uint8_t luma(unsigned r, unsigned g, unsigned b)
{
    return (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

/* Interleaved, with the channels asked for. */
static bool convert_channels(adze_pixels *out, const adze_preprocess *p,
                             const adze_picture *picture)
{
    size_t count = (size_t)picture->width * (size_t)picture->height;
    int channels = channels_out(p, picture);
    *out = (adze_pixels){adze_alloc(count, (size_t)channels), picture->width, picture->height,
                         channels};
    if (!out->pixels)
        return false;
    bool to_grey = channels == 1 && picture->channels == 3;
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < channels; c++) {
            int from = picture->channels == 1 ? 0 : p->channels == ADZE_CHANNELS_BGR ? 2 - c : c;
            out->pixels[i * (size_t)channels + (size_t)c] =
                to_grey ? luma(sample(picture, i, 0), sample(picture, i, 1), sample(picture, i, 2))
                        : sample(picture, i, from);
        }
    return true;
}

static void make_tables(float tables[3][256], const adze_preprocess *p, int channels)
{
    for (int c = 0; c < channels; c++) {
        double mean = p->mean[p->mean_count > 1 ? c : 0], std = p->std[p->std_count > 1 ? c : 0];
        for (int i = 0; i < 256; i++)
            tables[c][i] = (float)((i * p->scale - mean) / std);
    }
}

/* Where a centred crop begins; halves to even, as Python's round. */
static int crop_start(int size, int crop)
{
    return crop ? (int)nearbyint((size - crop) / 2.0) : 0;
}

static void write_floats(float *out, const adze_preprocess *p, const adze_pixels *in,
                         const int64_t dims[3])
{
    float tables[3][256];
    make_tables(tables, p, in->channels);
    bool first = p->layout == ADZE_NCHW;
    size_t channels = (size_t)in->channels;
    size_t height = (size_t)dims[first ? 1 : 0], width = (size_t)dims[first ? 2 : 1];
    size_t top = (size_t)crop_start(in->height, p->crop_height);
    size_t left = (size_t)crop_start(in->width, p->crop_width);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < channels; c++) {
                size_t from = ((top + y) * (size_t)in->width + left + x) * channels + c;
                size_t to = first ? (c * height + y) * width + x : (y * width + x) * channels + c;
                out[to] = tables[c][in->pixels[from]];
            }
}

adze_status adze_preprocess_apply(float *out, const adze_preprocess *p, const adze_picture *picture,
                                  adze_error *err)
{
    int64_t dims[3];
    int width, height;
    adze_pixels pixels, sized;
    ADZE_TRY(adze_preprocess_shape(dims, p, picture, err));
    resized(&width, &height, p, picture);
    if (!convert_channels(&pixels, p, picture))
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to preprocess it", picture->where);
    if (width != pixels.width || height != pixels.height) {
        bool good = adze_resize(&sized, &pixels, width, height, p->resize_mode);
        adze_free(pixels.pixels);
        if (!good)
            return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to resize it", picture->where);
        pixels = sized;
    }
    write_floats(out, p, &pixels, dims);
    adze_free(pixels.pixels);
    return ADZE_OK;
}
