/** @file
 * Single tensors in files: NumPy's .npy. */
#ifndef ADZE_FORMATS_H
#define ADZE_FORMATS_H
#include "adze/tensor.h"

ADZE_BEGIN_C

/** Reads a .npy file into an owned tensor. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE, ADZE_UNSUPPORTED
 * (objects, dates, records), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_npy_load(adze_tensor *out, const char *path,
                                                   adze_error *err);
/** Types that NumPy does not have become the next that holds all their values (bfloat16, float8, float4:
 * float32; packed integers: int8, uint8); block types fail with ADZE_UNSUPPORTED. */
ADZE_MUST_CHECK ADZE_API adze_status adze_npy_save(const adze_tensor *tensor, const char *path,
                                                   adze_error *err);

ADZE_END_C
#endif
