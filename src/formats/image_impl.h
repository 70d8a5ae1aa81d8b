/* What the picture formats share. */
#ifndef ADZE_FORMATS_IMAGE_IMPL_H
#define ADZE_FORMATS_IMAGE_IMPL_H
#include "formats/image.h"

/* Checks the size against the limits and allocates the pixels. */
adze_status adze_image_make(adze_image *out, uint64_t width, uint64_t height, int channels,
                            const char *where, adze_error *err) ADZE_MUST_CHECK;

adze_status adze_png_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err) ADZE_MUST_CHECK;
adze_status adze_jpeg_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err) ADZE_MUST_CHECK;
adze_status adze_bmp_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err) ADZE_MUST_CHECK;
adze_status adze_webp_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err) ADZE_MUST_CHECK;
adze_status adze_jpeg2000_decode(adze_image *out, const uint8_t *bytes, size_t size,
                                 const char *where, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_tiff_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err) ADZE_MUST_CHECK;
adze_status adze_pnm_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err) ADZE_MUST_CHECK;

/* Defines a decoder whose library this build leaves out. */
#define ADZE_IMAGE_LEFT_OUT(decode, picture, library)                                              \
    adze_status decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,      \
                       adze_error *err)                                                            \
    {                                                                                              \
        ADZE_UNUSED(out);                                                                          \
        ADZE_UNUSED(bytes);                                                                        \
        ADZE_UNUSED(size);                                                                         \
        return adze_fail(err, ADZE_UNSUPPORTED,                                                    \
                         "%s: " picture ", but adze was built without " library, where);           \
    }

#endif
