/* IDX files, the format of the MNIST family (yann.lecun.com/exdb/mnist), plain or gzipped. */
#ifndef ADZE_FORMATS_IDX_H
#define ADZE_FORMATS_IDX_H
#include "adze/tensor.h"
#include "base/file.h"

/* Borrowed from `bytes` for one-byte elements, else an owned copy in this machine's byte order. */
adze_status adze_idx_parse(adze_tensor *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err) ADZE_MUST_CHECK;

/* An opened file with what keeps its elements alive. */
typedef struct adze_idx {
    adze_tensor tensor;
    adze_mapping *file;
    uint8_t *unzipped;
} adze_idx;

/* gzip is recognised by content, whatever the name. */
adze_status adze_idx_open(adze_idx *out, const char *path, adze_error *err) ADZE_MUST_CHECK;
void adze_idx_close(adze_idx *idx);

#endif
