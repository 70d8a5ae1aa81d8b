/* Random numbers that are the same everywhere: xoshiro256** seeded by splitmix64 (Blackman, Vigna). */
#ifndef ADZE_BASE_RNG_H
#define ADZE_BASE_RNG_H
#include "base/error.h"

typedef struct adze_rng {
    uint64_t s[4];
} adze_rng;

adze_rng adze_rng_seed(uint64_t seed);
uint64_t adze_rng_u64(adze_rng *rng);
uint64_t adze_rng_below(adze_rng *rng, uint64_t n); /* uniform in [0, n), n > 0 */
double adze_rng_f64(adze_rng *rng);                 /* uniform in [0, 1) */
double adze_rng_normal(adze_rng *rng);              /* mean 0, variance 1 */

#endif
