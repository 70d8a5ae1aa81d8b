/* For the tests of kernels: the levels of this machine and arrays that end at a page that cannot be
 * touched. Arrays live until the test's process ends. */
#ifndef KERNEL_CHECK_H
#define KERNEL_CHECK_H
#include "base/cpu.h"
#include "test.h"

/* for (adze_cpu_level level = 0; check_next_level(&level); level++) */
static inline bool check_next_level(adze_cpu_level *level)
{
    while (*level <= ADZE_CPU_NEON && !adze_cpu_has(*level))
        (*level)++;
    return *level <= ADZE_CPU_NEON;
}

static inline float *check_floats(size_t count, uint64_t *seed)
{
    float *out = test_guard_alloc(count * sizeof(float), NULL);
    test_random_floats(out, count, -1, 1, test_random(seed));
    return out;
}

static inline void *check_bytes(size_t size, uint64_t *seed)
{
    void *out = test_guard_alloc(size, NULL);
    test_random_bytes(out, size, test_random(seed));
    return out;
}

/* For tests of very many small arrays: up to 64 KiB, ending at a guard page, with random bytes; the
 * place is used again by the eighth call after. */
static inline void *check_passing_bytes(size_t size, uint64_t *seed)
{
    enum { PLACES = 8, ROOM = 1 << 16 };
    static uint8_t *places[PLACES];
    static int next;
    uint8_t **place = &places[next++ % PLACES];
    if (*place == NULL)
        *place = test_guard_alloc(ROOM, NULL);
    CHECK(size <= ROOM);
    test_random_bytes(*place + ROOM - size, size, test_random(seed));
    return *place + ROOM - size;
}

static inline float *check_passing_floats(size_t count, uint64_t *seed)
{
    float *out = check_passing_bytes(count * sizeof(float), seed);
    test_random_floats(out, count, -1, 1, test_random(seed));
    return out;
}

/* The same bits; any NaN equals any NaN. */
static inline void check_same(const char *what, adze_cpu_level level, const float *actual,
                              const float *expected, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t a, e;
        memcpy(&a, &actual[i], sizeof a);
        memcpy(&e, &expected[i], sizeof e);
        if (a != e && !(isnan(actual[i]) && isnan(expected[i])))
            FAIL("%s at %s: [%lld] of %lld is %.9g, expected %.9g", what,
                 adze_cpu_level_name(level), (long long)i, (long long)n, (double)actual[i],
                 (double)expected[i]);
    }
}

static inline int64_t check_between(int64_t lo, int64_t hi, uint64_t *seed)
{
    return lo + (int64_t)(test_random(seed) % (uint64_t)(hi - lo + 1));
}

#endif
