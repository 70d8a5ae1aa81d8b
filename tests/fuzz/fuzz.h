/* What several fuzz targets share. */
#ifndef ADZE_FUZZ_H
#define ADZE_FUZZ_H
#include "adze/adze.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed);

/* A context of one thread with all operators; `level` NULL: the machine's best. NULL when the machine lacks it. */
adze_context *fuzz_context(const char *level);
/* Stops the fuzzer with `what` and the message when the condition does not hold. */
void fuzz_must(bool condition, const char *what, const adze_error *err);
/* True for ADZE_OK; where a failure left no message, or calls itself internal, the fuzzer stops. */
bool fuzz_done(adze_status status, const adze_error *err);
/* A path of this process's own on a file system in memory. */
const char *fuzz_path(char path[64], const char *ending);
/* The input now being tried is to count as one that reached nothing. */
void fuzz_forget(void);

#endif
