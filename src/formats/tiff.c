/* TIFF through libtiff: the first picture of a file, whatever its samples and compression, as RGB. */
#include "formats/image_impl.h"

#ifdef ADZE_HAVE_TIFF
#include <tiffio.h>
#endif
#if defined(ADZE_HAVE_TIFF) && TIFFLIB_VERSION >= 20221213 /* 4.5: errors by handle, limits */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct source {
    const uint8_t *bytes;
    size_t size;
    uint64_t at;
    char message[160];
} source;

static tmsize_t read_bytes(thandle_t user, void *to, tmsize_t wanted)
{
    source *s = user;
    size_t left = s->at < s->size ? s->size - (size_t)s->at : 0;
    size_t n = wanted < 0 ? 0 : ADZE_MIN((size_t)wanted, left);
    memcpy(to, s->bytes + (s->size - left), n);
    s->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_nothing(thandle_t user, void *from, tmsize_t size)
{
    ADZE_UNUSED(user);
    ADZE_UNUSED(from);
    ADZE_UNUSED(size);
    return 0;
}

static toff_t seek(thandle_t user, toff_t to, int whence)
{
    source *s = user;
    s->at = to + (whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->size : 0);
    return s->at;
}

static int close_nothing(thandle_t user)
{
    ADZE_UNUSED(user);
    return 0;
}

static toff_t size_of(thandle_t user)
{
    return ((const source *)user)->size;
}

static int keep_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    source *s = user;
    ADZE_UNUSED(tiff);
    ADZE_UNUSED(module);
    (void)vsnprintf(s->message, sizeof s->message, format, args);
    return 1;
}

static int ignore_warning(TIFF *tiff, void *user, const char *module, const char *format,
                          va_list args)
{
    ADZE_UNUSED(tiff);
    ADZE_UNUSED(user);
    ADZE_UNUSED(module);
    ADZE_UNUSED(format);
    ADZE_UNUSED(args);
    return 1;
}

/* Colours beside an alpha channel, which the usual way would multiply into them. */
static bool has_plain_colours(TIFF *tiff)
{
    uint16_t bits = 0, samples = 0, planes = 0, meaning = 0, turned = ORIENTATION_TOPLEFT;
    TIFFGetField(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetField(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetField(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &meaning);
    TIFFGetField(tiff, TIFFTAG_ORIENTATION, &turned);
    return bits == 8 && samples == 4 && planes == PLANARCONFIG_CONTIG && !TIFFIsTiled(tiff) &&
           meaning == PHOTOMETRIC_RGB && turned == ORIENTATION_TOPLEFT;
}

static bool read_rows(TIFF *tiff, adze_image *out, uint8_t *row, size_t room)
{
    if (TIFFScanlineSize(tiff) < 0 || (size_t)TIFFScanlineSize(tiff) != (size_t)out->width * 4 ||
        room < (size_t)out->width * 4)
        return false;
    uint8_t *p = out->pixels;
    for (uint32_t y = 0; y < (uint32_t)out->height; y++) {
        if (TIFFReadScanline(tiff, row, y, 0) < 0)
            return false;
        for (int x = 0; x < out->width; x++, p += 3)
            memcpy(p, row + 4 * (size_t)x, 3);
    }
    return true;
}

static bool read_any(TIFF *tiff, adze_image *out, uint32_t *raster)
{
    uint32_t width = (uint32_t)out->width, height = (uint32_t)out->height;
    if (!TIFFReadRGBAImageOriented(tiff, width, height, raster, ORIENTATION_TOPLEFT, 1))
        return false;
    for (size_t i = 0; i < (size_t)width * height; i++) {
        out->pixels[3 * i] = TIFFGetR(raster[i]);
        out->pixels[3 * i + 1] = TIFFGetG(raster[i]);
        out->pixels[3 * i + 2] = TIFFGetB(raster[i]);
    }
    return true;
}

static adze_status take_image(adze_image *out, TIFF *tiff, const char *where, adze_error *err)
{
    uint32_t width = 0, height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    ADZE_TRY(adze_image_make(out, width, height, 3, where, err));
    uint32_t *raster = adze_alloc((size_t)width * height, sizeof *raster);
    size_t room = (size_t)width * height * sizeof *raster;
    bool read = raster && (has_plain_colours(tiff) ? read_rows(tiff, out, (uint8_t *)raster, room)
                                                   : read_any(tiff, out, raster));
    if (!read) {
        adze_image_free(out);
        adze_free(raster);
        return adze_fail(err, raster ? ADZE_BAD_FILE : ADZE_NO_MEMORY, "%s: TIFF", where);
    }
    adze_free(raster);
    return ADZE_OK;
}

adze_status adze_tiff_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err)
{
    source s = {bytes, size, 0, ""};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: TIFF", where);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, &s);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, NULL);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)ADZE_IMAGE_MOST_PIXELS * 4);
    TIFF *tiff = TIFFClientOpenExt(where, "rm", &s, read_bytes, write_nothing, seek, close_nothing,
                                   size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    adze_error why = {0};
    adze_status status = tiff ? take_image(out, tiff, where, &why) : ADZE_BAD_FILE;
    if (tiff)
        TIFFClose(tiff);
    if (status == ADZE_BAD_FILE && *s.message)
        return adze_fail(err, status, "%s: TIFF: %s", where, s.message);
    if (status != ADZE_OK)
        return adze_fail(err, status, "%s", *why.message ? why.message : where);
    return ADZE_OK;
}
#else
ADZE_IMAGE_LEFT_OUT(adze_tiff_decode, "a TIFF picture", "libtiff 4.5")
#endif
