/* xoshiro256** 1.0 by Blackman and Vigna (public domain), seeded by splitmix64. */
#include "base/rng.h"

#include <math.h>

adze_rng adze_rng_seed(uint64_t seed)
{
    adze_rng rng;
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        rng.s[i] = z ^ (z >> 31);
    }
    return rng;
}

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

uint64_t adze_rng_u64(adze_rng *rng)
{
    uint64_t *s = rng->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t adze_rng_below(adze_rng *rng, uint64_t n)
{
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: results under it would favour small values */
    for (;;) {
        uint64_t x = adze_rng_u64(rng);
        if (x >= uneven)
            return x % n;
    }
}

double adze_rng_f64(adze_rng *rng)
{
    return (double)(adze_rng_u64(rng) >> 11) * 0x1p-53;
}

/* Marsaglia's polar method; the second value is dropped to keep the state plain. */
double adze_rng_normal(adze_rng *rng)
{
    for (;;) {
        double u = 2 * adze_rng_f64(rng) - 1, v = 2 * adze_rng_f64(rng) - 1;
        double s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrt(-2 * log(s) / s);
    }
}
