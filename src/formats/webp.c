/* WebP through libwebp: still pictures, alpha dropped. */
#include "formats/image_impl.h"

#ifdef ADZE_HAVE_WEBP
#include <webp/decode.h>

adze_status adze_webp_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err)
{
    int width, height;
    if (!WebPGetInfo(bytes, size, &width, &height) || width < 1 || height < 1)
        return adze_fail(err, ADZE_BAD_FILE, "%s: not a WebP picture", where);
    ADZE_TRY(adze_image_make(out, (uint64_t)width, (uint64_t)height, 3, where, err));
    size_t room = (size_t)width * (size_t)height * 3;
    if (WebPDecodeRGBInto(bytes, size, out->pixels, room, width * 3))
        return ADZE_OK;
    adze_image_free(out);
    return adze_fail(err, ADZE_BAD_FILE, "%s: WebP: the picture is broken or moves", where);
}
#else
ADZE_IMAGE_LEFT_OUT(adze_webp_decode, "a WebP picture", "libwebp")
#endif
