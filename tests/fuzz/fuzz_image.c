/* PNG, JPEG, PPM, PGM. */
#include "formats/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err;
    adze_image image;
    if (adze_image_decode(&image, data, size, "fuzz", &err) == ADZE_OK)
        adze_image_free(&image);
    return 0;
}
