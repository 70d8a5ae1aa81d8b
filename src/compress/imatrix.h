/* The inside of an importance matrix, and what the quantizer asks of it. */
#ifndef ADZE_COMPRESS_IMATRIX_H
#define ADZE_COMPRESS_IMATRIX_H
#include "adze/llm_quantize.h"
#include "base/memory.h"

enum { ADZE_IMATRIX_CHUNK = 512 }; /* tokens in a chunk where a file does not say */

struct adze_imatrix {
    adze_arena arena;
    adze_imatrix_entry **entries; /* sorted by name */
    int count, capacity;
    adze_string *datasets;
    int dataset_count, dataset_capacity;
    int64_t chunk_size; /* tokens; 0: not known yet */
};

/* The entry `name`, made with zeros if absent (at a place of its own in the arena). NULL: out of memory. */
adze_imatrix_entry *adze_imatrix_entry_make(adze_imatrix *imatrix, const char *name, int64_t width,
                                            int64_t experts);
bool adze_imatrix_add_dataset(adze_imatrix *imatrix, const char *name, size_t length);
/* Mean squares of the entry's columns, [experts, width]; ones for experts that saw nothing. */
void adze_imatrix_weights(float *out, const adze_imatrix_entry *entry);

#endif
