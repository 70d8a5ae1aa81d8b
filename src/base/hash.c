/* A fast 64-bit hash (multiply and fold, eight bytes at a time; not for adversaries) and SHA-256
 * (FIPS 180-4), ours so that the core needs no library. */
#include "base/hash.h"

#include <string.h>

#include "base/file.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t adze_hash64(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = 0x9e3779b97f4a7c15u ^ (uint64_t)size;
    while (size > 0) {
        size_t step = ADZE_MIN(size, (size_t)8);
        uint64_t word = 0;
        for (size_t i = 0; i < step; i++)
            word |= (uint64_t)at[i] << (8 * i);
        hash = mix(hash ^ word) + 0x9e3779b97f4a7c15u;
        at += step;
        size -= step;
    }
    return mix(hash);
}

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void expand(uint32_t w[64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        uint32_t s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3);
        uint32_t s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], s[8];
    expand(w, block);
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + round_constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

void adze_sha256_init(adze_sha256 *sha)
{
    *sha = (adze_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void adze_sha256_add(adze_sha256 *sha, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t filled = (size_t)(sha->length % 64);
        if (filled == 0 && size >= 64) {
            compress(sha->state, at);
            at += 64, size -= 64, sha->length += 64;
            continue;
        }
        size_t step = ADZE_MIN(size, 64 - filled);
        memcpy(sha->block + filled, at, step);
        at += step, size -= step, sha->length += step;
        if (filled + step == 64)
            compress(sha->state, sha->block);
    }
}

void adze_sha256_hex(adze_sha256 *sha, char out[65])
{
    static const uint8_t padding[64] = {0x80};
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = sha->length * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    adze_sha256_add(sha, padding, (size_t)(1 + (119 - sha->length % 64) % 64));
    adze_sha256_add(sha, length, sizeof length);
    for (int i = 0; i < 64; i++)
        out[i] = digits[sha->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = 0;
}

adze_status adze_file_sha256(char out[65], const char *path, adze_error *err)
{
    adze_mapping *mapping;
    ADZE_TRY(adze_mapping_open(&mapping, path, err));
    adze_sha256 sha;
    adze_sha256_init(&sha);
    adze_sha256_add(&sha, adze_mapping_bytes(mapping), adze_mapping_size(mapping));
    adze_sha256_hex(&sha, out);
    adze_mapping_release(&mapping);
    return ADZE_OK;
}
