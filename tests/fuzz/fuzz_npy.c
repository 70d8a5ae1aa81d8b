/* NumPy arrays and archives: any bytes give an array whose elements can all be read, or a message. */
#include "formats/npy.h"
#include "formats/npy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const adze_tensor *tensor)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < tensor->size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)tensor->data)[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err;
    adze_tensor tensor;
    if (adze_npy_parse(&tensor, data, size, "fuzz", &err) == ADZE_OK) {
        touch(&tensor);
        char header[ADZE_NPY_HEADER];
        (void)adze_npy_make_header(header, &tensor);
        adze_tensor_free(&tensor);
    }
    adze_npz *npz;
    if (adze_npz_parse(&npz, data, size, "fuzz", &err) != ADZE_OK)
        return 0;
    for (int i = 0; i < adze_npz_count(npz); i++)
        if (adze_npz_read(&tensor, npz, i, &err) == ADZE_OK) {
            touch(&tensor);
            adze_tensor_free(&tensor);
        }
    adze_npz_close(&npz);
    return 0;
}
