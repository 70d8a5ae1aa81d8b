/* NumPy arrays: .npy (versions 1 to 3) and .npz (a ZIP archive of them). Read: bool, all integers,
 * float16/32/64, complex64/128, either byte order, C or Fortran order; adze_npy_load reads strings ('<U', '|S')
 * too. Objects, dates and records are refused by name. */
#ifndef ADZE_FORMATS_NPY_H
#define ADZE_FORMATS_NPY_H
#include "adze/formats.h"
#include "base/file.h"

typedef struct adze_npy_header {
    adze_dtype dtype;
    int rank;
    int64_t dims[ADZE_MAX_RANK];
    bool fortran, big_endian;
    bool wide;                     /* strings: characters of 32 bits, not bytes */
    size_t width;                  /* strings: characters of each */
    size_t data_offset, data_size; /* the elements; all inside the bytes given */
} adze_npy_header;

/* `where` names the file (and entry) in messages. */
adze_status adze_npy_parse_header(adze_npy_header *out, const uint8_t *bytes, size_t size,
                                  const char *where, adze_error *err) ADZE_MUST_CHECK;
/* The array: borrowed from `bytes` when they can be used as they are (C order, this byte order,
 * aligned), else an owned copy. */
adze_status adze_npy_parse(adze_tensor *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err) ADZE_MUST_CHECK;
/* An opened .npz; arrays are read when asked for. */
typedef struct adze_npz adze_npz;

adze_status adze_npz_open(adze_npz **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Over bytes that outlive *out. */
adze_status adze_npz_parse(adze_npz **out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err) ADZE_MUST_CHECK;
void adze_npz_close(adze_npz **npz);
int adze_npz_count(const adze_npz *npz);
const char *adze_npz_name(const adze_npz *npz, int index); /* without ".npy" */
int adze_npz_find(const adze_npz *npz, const char *name);  /* -1 when absent */
/* Owned, or borrowed for as long as the archive is open. */
adze_status adze_npz_read(adze_tensor *out, const adze_npz *npz, int index,
                          adze_error *err) ADZE_MUST_CHECK;

adze_status adze_npz_save(const char *path, const char *const *names, const adze_tensor *tensors,
                          int count, bool compress, adze_error *err) ADZE_MUST_CHECK;

#endif
