/* 64-bit hash for tables; SHA-256 for identities in ledgers, recipes and manifests. */
#ifndef ADZE_BASE_HASH_H
#define ADZE_BASE_HASH_H
#include "base/error.h"

uint64_t adze_hash64(const void *bytes, size_t size);

typedef struct adze_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
} adze_sha256;

void adze_sha256_init(adze_sha256 *sha);
void adze_sha256_add(adze_sha256 *sha, const void *bytes, size_t size);
void adze_sha256_hex(adze_sha256 *sha, char out[65]); /* ends the hash */
/* SHA-256 of a whole file as hexadecimal text. */
adze_status adze_file_sha256(char out[65], const char *path, adze_error *err) ADZE_MUST_CHECK;

#endif
