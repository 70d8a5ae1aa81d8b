/* IDX files, plain and gzipped. */
#include "formats/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err;
    adze_tensor tensor;
    if (adze_idx_parse(&tensor, data, size, "fuzz", &err) == ADZE_OK) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < tensor.size; i++)
            sum = (uint8_t)(sum + ((const uint8_t *)tensor.data)[i]);
        adze_tensor_free(&tensor);
    }
    uint8_t *out;
    size_t out_size;
    if (adze_gunzip(&out, &out_size, data, size, 1 << 20, &err) == ADZE_OK)
        adze_free(out);
    return 0;
}
