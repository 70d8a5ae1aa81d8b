/* ImageDecoder: the bytes of a picture's file -> [height, width, channels]. A picture that cannot be read is an
 * empty one, as the specification asks. */
#include <string.h>

#include "formats/image.h"
#include "ops/helpers.h"
#include "ops_extra/extra.h"

static const char *const layouts[] = {"RGB", "BGR", "Grayscale", NULL};

static int layout_of(const adze_node *node)
{
    return adze_ops_choice(layouts, adze_node_string(node, "pixel_format", "RGB"));
}

static adze_status decoder_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_infer_input(infer, 0);
    int layout = layout_of(node);
    if (layout < 0)
        return adze_ops_bad(node, err, "pixel_format must be RGB, BGR or Grayscale");
    if (x->dtype != ADZE_UNDEFINED && (x->dtype != ADZE_U8 || (x->rank >= 0 && x->rank != 1)))
        return adze_ops_bad(node, err, "the input must be the bytes of a file, uint8 [N]");
    adze_dim dims[3] = {adze_infer_unknown(infer, ADZE_IMAGE_LONGEST_SIDE),
                        adze_infer_unknown(infer, ADZE_IMAGE_LONGEST_SIDE), layout == 2 ? 1 : 3};
    adze_infer_set_tensor(infer, 0, ADZE_U8, 3, dims);
    return ADZE_OK;
}

/* ITU-R 601 luma in 16-bit fixed point, as Pillow's convert("L"). */
static uint8_t grey(const uint8_t *p)
{
    return (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

static void arrange(const adze_image *image, int layout, uint8_t *y)
{
    int64_t n = (int64_t)image->width * image->height;
    const uint8_t *p = image->pixels;
    bool colour = image->channels == 3;
    for (int64_t i = 0; i < n; i++, p += image->channels) {
        if (layout == 2) {
            *y++ = colour ? grey(p) : *p;
            continue;
        }
        *y++ = p[colour && layout == 1 ? 2 : 0];
        *y++ = p[colour ? 1 : 0];
        *y++ = p[colour && layout == 0 ? 2 : 0];
    }
}

static adze_status decoder_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int layout = layout_of(run->node);
    adze_image image = {0};
    adze_error why = {0};
    adze_status status =
        adze_image_decode(&image, x->data, x->size, adze_node_name(run->node), &why);
    if (status == ADZE_UNSUPPORTED || status == ADZE_NO_MEMORY) {
        if (err)
            *err = why;
        return status;
    }
    int64_t dims[3] = {image.height, image.width, layout == 2 ? 1 : 3};
    status = adze_run_resize(run, 0, ADZE_U8, 3, dims, err);
    if (status == ADZE_OK && image.pixels)
        arrange(&image, layout, run->outputs[0]->data);
    adze_image_free(&image);
    return status;
}

const adze_op adze_op_image_decoder = {.domain = "",
                                       .name = "ImageDecoder",
                                       .since = 20,
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .flags = ADZE_OP_DATA_SIZED,
                                       .attrs = "pixel_format",
                                       .infer = decoder_infer,
                                       .run = decoder_run};
