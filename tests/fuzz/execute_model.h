/* A model from bytes, made-up inputs, a run: for the fuzzer, and for tests of what it found. */
#ifndef ADZE_EXECUTE_MODEL_H
#define ADZE_EXECUTE_MODEL_H
#include "adze/adze.h"

typedef struct execute_options {
    bool fuse, keep_all;
    double seconds; /* that a run may take; 0: no limit */
    uint64_t seed;  /* of the inputs */
} execute_options;

/* Opened, planned, run twice, each byte of the results read. Inputs hold what the file's constants named
 * MUTATE_FEED... say, else small numbers. ADZE_OK: the first run came to its end. */
adze_status execute_model(adze_context *context, const uint8_t *bytes, size_t size,
                          const execute_options *how, adze_error *err);

#endif
