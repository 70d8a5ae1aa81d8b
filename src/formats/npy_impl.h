/* What npy.c and npz.c share. */
#ifndef ADZE_FORMATS_NPY_IMPL_H
#define ADZE_FORMATS_NPY_IMPL_H
#include "formats/npy.h"

enum { ADZE_NPY_HEADER = 384 }; /* bytes: the longest header of ADZE_MAX_RANK axes */

/* `tensor` in a type that NumPy has: a view of it, or an owned copy. */
adze_status adze_npy_convert(adze_tensor *out, const adze_tensor *tensor, adze_error *err);
/* The bytes before the elements; returns their number. */
size_t adze_npy_make_header(char out[ADZE_NPY_HEADER], const adze_tensor *tensor);

/* Of a header that names strings: the strings. How many characters the longest has; all, each of that width. */
adze_status adze_npy_read_strings(adze_tensor *out, const adze_npy_header *header,
                                  const uint8_t *data, const char *where, adze_error *err);
size_t adze_npy_string_width(const adze_tensor *tensor);
void adze_npy_write_strings(adze_output *output, const adze_tensor *tensor, size_t width);

#endif
