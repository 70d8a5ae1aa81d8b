/* JPEG 2000 (JP2 files and bare codestreams) through OpenJPEG. One component is grey, three or more are red,
 * green, blue; other depths are stretched to 8 bits. */
#include "formats/image_impl.h"

#ifdef ADZE_HAVE_OPENJPEG
#include <math.h>
#include <openjpeg.h>
#include <string.h>

typedef struct source {
    const uint8_t *bytes;
    size_t size, at;
} source;

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T wanted, void *user)
{
    source *s = user;
    size_t n = ADZE_MIN(wanted, s->size - s->at);
    memcpy(to, s->bytes + s->at, n);
    s->at += n;
    return n ? n : (OPJ_SIZE_T)-1;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T wanted, void *user)
{
    source *s = user;
    if (wanted < 0)
        return -1;
    size_t n = ADZE_MIN((size_t)wanted, s->size - s->at);
    s->at += n;
    return n || !wanted ? (OPJ_OFF_T)n : -1;
}

static OPJ_BOOL seek_bytes(OPJ_OFF_T to, void *user)
{
    source *s = user;
    if (to < 0 || (size_t)to > s->size)
        return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static bool has_samples(const opj_image_t *from, int channels)
{
    for (int c = 0; c < channels; c++) {
        const opj_image_comp_t *k = &from->comps[c];
        if (!k->data || !k->w || !k->h || !k->prec || k->prec > 31)
            return false;
    }
    return true;
}

static int64_t sample(const opj_image_comp_t *k, int64_t x, int64_t y, const adze_image *to)
{
    int64_t across = ADZE_MIN(x * k->w / to->width, (int64_t)k->w - 1);
    int64_t down = ADZE_MIN(y * k->h / to->height, (int64_t)k->h - 1);
    int64_t value = k->data[down * k->w + across] + (k->sgnd ? (int64_t)1 << (k->prec - 1) : 0);
    int64_t most = ((int64_t)1 << k->prec) - 1;
    value = ADZE_MAX(0, ADZE_MIN(value, most));
    return k->prec == 8 ? value : (value * 255 + most / 2) / most;
}

static uint8_t clamp(double v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)lround(v);
}

static void to_rgb(uint8_t *p)
{
    double y = p[0], b = p[1] - 128.0, r = p[2] - 128.0;
    p[0] = clamp(y + 1.402 * r);
    p[1] = clamp(y - 0.344136 * b - 0.714136 * r);
    p[2] = clamp(y + 1.772 * b);
}

static adze_status take_image(adze_image *out, opj_codec_t *codec, opj_stream_t *stream,
                              opj_image_t **image, const char *where, adze_error *err)
{
    if (!opj_read_header(stream, codec, image))
        return adze_fail(err, ADZE_BAD_FILE, "%s: JPEG 2000: the header is broken", where);
    const opj_image_t *i = *image;
    int channels = i->numcomps >= 3 ? 3 : 1;
    uint64_t width = i->x1 > i->x0 ? i->x1 - i->x0 : 0, height = i->y1 > i->y0 ? i->y1 - i->y0 : 0;
    if (i->numcomps < 1)
        return adze_fail(err, ADZE_BAD_FILE, "%s: JPEG 2000: no components", where);
    ADZE_TRY(adze_image_make(out, width, height, channels, where, err));
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream) ||
        !has_samples(*image, channels)) {
        adze_image_free(out);
        return adze_fail(err, ADZE_BAD_FILE, "%s: JPEG 2000: the picture is broken", where);
    }
    uint8_t *p = out->pixels;
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t x = 0; x < out->width; x++, p += channels) {
            for (int c = 0; c < channels; c++)
                p[c] = (uint8_t)sample(&i->comps[c], x, y, out);
            if (channels == 3 && i->color_space == OPJ_CLRSPC_SYCC)
                to_rgb(p);
        }
    return ADZE_OK;
}

adze_status adze_jpeg2000_decode(adze_image *out, const uint8_t *bytes, size_t size,
                                 const char *where, adze_error *err)
{
    source s = {bytes, size, 0};
    opj_image_t *image = NULL;
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_codec_t *codec = opj_create_decompress(bytes[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    adze_status status = ADZE_OK;
    if (codec && stream && opj_setup_decoder(codec, &parameters)) {
        opj_stream_set_user_data(stream, &s, NULL);
        opj_stream_set_user_data_length(stream, size);
        opj_stream_set_read_function(stream, read_bytes);
        opj_stream_set_skip_function(stream, skip_bytes);
        opj_stream_set_seek_function(stream, seek_bytes);
        status = take_image(out, codec, stream, &image, where, err);
    } else {
        status = adze_fail(err, ADZE_NO_MEMORY, "%s: JPEG 2000", where);
    }
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(image);
    return status;
}
#else
ADZE_IMAGE_LEFT_OUT(adze_jpeg2000_decode, "a JPEG 2000 picture", "openjpeg")
#endif
