/* PNG through libpng. Its errors arrive by longjmp, so all that must survive one lives in a struct. */
#include "formats/image_impl.h"

#ifdef ADZE_HAVE_PNG
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"

typedef struct reader {
    png_structp png;
    png_infop info;
    adze_cursor cursor;
    adze_image image;
    const char *where;
    adze_error *err;
    adze_status status;
    char message[128];
} reader;

static void keep_error(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    (void)snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    ADZE_UNUSED(png);
    ADZE_UNUSED(message);
}

static void read_bytes(png_structp png, png_bytep out, size_t size)
{
    reader *r = png_get_io_ptr(png);
    const uint8_t *bytes = adze_cursor_bytes(&r->cursor, size);
    if (!bytes)
        png_error(png, "cut off");
    memcpy(out, bytes, size);
}

/* Rows of every pass go to their place in the picture, so interlacing needs nothing special. */
static void read_picture(reader *r)
{
    png_set_user_limits(r->png, ADZE_IMAGE_LONGEST_SIDE, ADZE_IMAGE_LONGEST_SIDE);
    png_set_chunk_malloc_max(r->png, 8 << 20);
    png_read_info(r->png, r->info);
    int color = png_get_color_type(r->png, r->info);
    int channels = color & PNG_COLOR_MASK_COLOR ? 3 : 1;
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_strip_alpha(r->png);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    png_uint_32 width = png_get_image_width(r->png, r->info);
    png_uint_32 height = png_get_image_height(r->png, r->info);
    size_t row = (size_t)width * (size_t)channels;
    r->status = adze_image_make(&r->image, width, height, channels, r->where, r->err);
    if (r->status != ADZE_OK)
        return;
    if (png_get_rowbytes(r->png, r->info) != row)
        png_error(r->png, "unexpected layout of rows");
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++)
            png_read_row(r->png, r->image.pixels + y * row, NULL);
    png_read_end(r->png, NULL);
}

static void decode(reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) {
        r->status = adze_fail(r->err, ADZE_BAD_FILE, "%s: PNG: %s", r->where, r->message);
        return;
    }
    read_picture(r);
}

adze_status adze_png_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                            adze_error *err)
{
    reader r = {.cursor = adze_cursor_over(bytes, size), .where = where, .err = err};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, keep_error, ignore_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info) {
        png_set_read_fn(r.png, &r, read_bytes);
        decode(&r);
    } else {
        r.status = adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to decode it", where);
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (r.status == ADZE_OK)
        *out = r.image;
    else
        adze_image_free(&r.image);
    return r.status;
}
#else
ADZE_IMAGE_LEFT_OUT(adze_png_decode, "a PNG picture", "libpng")
#endif
