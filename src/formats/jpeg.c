/* JPEG through libjpeg. Its errors arrive by longjmp, so all that must survive one lives in a struct.
 * Cut-off data are an error here, although libjpeg would paint the rest grey. */
#include "formats/image_impl.h"

#ifdef ADZE_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

enum { MOST_SCANS = 500 }; /* a progressive bomb repeats scans at will */

typedef struct reader {
    struct jpeg_error_mgr errors; /* first: libjpeg hands us its address */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf back;
    adze_image image;
    const char *where;
    adze_error *err;
    adze_status status;
    char message[JMSG_LENGTH_MAX];
} reader;

static void keep_error(j_common_ptr jpeg)
{
    reader *r = (reader *)(void *)jpeg->err;
    (*jpeg->err->format_message)(jpeg, r->message);
    longjmp(r->back, 1);
}

static void judge_warning(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        keep_error(jpeg);
}

static void count_scans(j_common_ptr jpeg)
{
    reader *r = (reader *)(void *)jpeg->err;
    if (r->jpeg.input_scan_number > MOST_SCANS) {
        (void)snprintf(r->message, sizeof r->message, "more than %d scans", MOST_SCANS);
        longjmp(r->back, 1);
    }
}

static void read_picture(reader *r, const uint8_t *bytes, size_t size)
{
    jpeg_create_decompress(&r->jpeg);
    r->progress.progress_monitor = count_scans;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, bytes, (unsigned long)size);
    (void)jpeg_read_header(&r->jpeg, TRUE);
    bool grey = r->jpeg.jpeg_color_space == JCS_GRAYSCALE;
    if (r->jpeg.num_components != 1 && r->jpeg.num_components != 3) {
        r->status = adze_fail(r->err, ADZE_UNSUPPORTED,
                              "%s: JPEG with %d components; convert it to RGB or grey", r->where,
                              r->jpeg.num_components);
        return;
    }
    r->jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    r->status = adze_image_make(&r->image, r->jpeg.image_width, r->jpeg.image_height, grey ? 1 : 3,
                                r->where, r->err);
    if (r->status != ADZE_OK)
        return;
    (void)jpeg_start_decompress(&r->jpeg);
    size_t row = (size_t)r->image.width * (size_t)r->image.channels;
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        JSAMPROW line = r->image.pixels + r->jpeg.output_scanline * row;
        (void)jpeg_read_scanlines(&r->jpeg, &line, 1);
    }
    (void)jpeg_finish_decompress(&r->jpeg);
}

adze_status adze_jpeg_decode(adze_image *out, const uint8_t *bytes, size_t size, const char *where,
                             adze_error *err)
{
    reader *r = adze_alloc(1, sizeof *r);
    if (!r)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to decode it", where);
    r->where = where;
    r->err = err;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = keep_error;
    r->errors.emit_message = judge_warning;
    if (setjmp(r->back))
        r->status = adze_fail(err, ADZE_BAD_FILE, "%s: JPEG: %s", where, r->message);
    else
        read_picture(r, bytes, size);
    jpeg_destroy_decompress(&r->jpeg);
    adze_status status = r->status;
    if (status == ADZE_OK)
        *out = r->image;
    else
        adze_image_free(&r->image);
    adze_free(r);
    return status;
}
#else
ADZE_IMAGE_LEFT_OUT(adze_jpeg_decode, "a JPEG picture", "libjpeg")
#endif
