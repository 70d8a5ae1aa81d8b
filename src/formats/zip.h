/* ZIP archives (APPNOTE 6.3, with ZIP64): listing, extracting, writing; stored and deflated entries. */
#ifndef ADZE_FORMATS_ZIP_H
#define ADZE_FORMATS_ZIP_H
#include "base/file.h"

typedef struct adze_zip_entry {
    const char *name;
    const uint8_t *bytes; /* as stored in the archive */
    uint64_t stored;      /* size of bytes */
    uint64_t size;        /* after extraction */
    uint32_t crc;
    bool deflated;
} adze_zip_entry;

typedef struct adze_zip {
    adze_zip_entry *entries; /* in the order of the directory, folders left out */
    int count;
    const char *where; /* for messages */
    adze_arena arena;
} adze_zip;

/* Reads the directory; entries point into `bytes`, which must outlive *out. `where` names the file in
 * messages. Every entry lies inside the file and claims no more than deflate can give. */
adze_status adze_zip_parse(adze_zip *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err) ADZE_MUST_CHECK;
/* The entry's contents, checked against its CRC, in memory to be freed with adze_free. */
adze_status adze_zip_extract(uint8_t **out, const adze_zip *zip, const adze_zip_entry *entry,
                             adze_error *err) ADZE_MUST_CHECK;
/* Checks a stored entry's CRC without copying it. */
adze_status adze_zip_check(const adze_zip *zip, const adze_zip_entry *entry,
                           adze_error *err) ADZE_MUST_CHECK;
void adze_zip_free(adze_zip *zip);

/* An archive being written; dates are fixed, so equal contents give equal files. */
typedef struct adze_zip_writer {
    adze_output *output;
    adze_zip_entry *entries;
    uint64_t *offsets;
    int count, capacity, offsets_capacity;
    adze_arena arena;
} adze_zip_writer;

typedef struct adze_zip_part { /* an entry is the concatenation of its parts */
    const void *bytes;
    size_t size;
} adze_zip_part;

adze_status adze_zip_writer_open(adze_zip_writer *out, const char *path,
                                 adze_error *err) ADZE_MUST_CHECK;
adze_status adze_zip_writer_add(adze_zip_writer *writer, const char *name,
                                const adze_zip_part *parts, int count, bool deflate,
                                adze_error *err) ADZE_MUST_CHECK;
adze_status adze_zip_writer_finish(adze_zip_writer *writer, adze_error *err) ADZE_MUST_CHECK;
void adze_zip_writer_abort(adze_zip_writer *writer);

#endif
