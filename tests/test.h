/* The test harness. A test is a function; adze-tests finds it by itself and runs each in a process of
 * its own with a time limit:
 *
 *     #include "test.h"
 *     TEST(addition) { CHECK_EQ(1 + 1, 2); }
 *
 * The first check that fails ends the test. A test is known as <file name>.<name>. */
#ifndef ADZE_TEST_H
#define ADZE_TEST_H
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "adze/adze.h"

typedef struct test_case {
    const char *name;
    const char *file;
    void (*run)(void);
    struct test_case *next;
} test_case;

#define TEST(id)                                                                                   \
    static void test_##id(void);                                                                   \
    __attribute__((constructor)) static void test_register_##id(void)                              \
    {                                                                                              \
        static test_case self = {#id, __FILE__, test_##id, NULL};                                  \
        test_register(&self);                                                                      \
    }                                                                                              \
    static void test_##id(void)

#define TEST_HERE __FILE__, __LINE__

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            test_fail(TEST_HERE, "not true: %s", #condition);                                      \
    } while (0)

/* Integers, pointers too when cast to intptr_t. */
#define CHECK_EQ(actual, expected)                                                                 \
    test_check_int(TEST_HERE, #actual, (long long)(actual), #expected, (long long)(expected))
/* Strings; NULL equals NULL only. */
#define CHECK_STR(actual, expected) test_check_str(TEST_HERE, #actual, (actual), (expected))
/* |actual - expected| <= tolerance; NaN equals NaN. */
#define CHECK_NEAR(actual, expected, tolerance)                                                    \
    test_check_near(TEST_HERE, #actual, (double)(actual), (double)(expected), (double)(tolerance))
/* `size` bytes; names the first that differs. */
#define CHECK_BYTES(actual, expected, size)                                                        \
    test_check_bytes(TEST_HERE, #actual, (actual), (expected), (size))
/* `count` floats, each |actual - expected| <= absolute + relative * |expected|. */
#define CHECK_FLOATS(actual, expected, count, absolute, relative)                                  \
    test_check_floats(TEST_HERE, #actual, (actual), (expected), (size_t)(count), (absolute),       \
                      (relative))
/* The call must give ADZE_OK; `error` is the adze_error * that it was given, or NULL. */
#define CHECK_OK(call, error) test_check_status(TEST_HERE, #call, (call), ADZE_OK, (error))
/* The call must give this failure. */
#define CHECK_FAILS(call, status, error)                                                           \
    test_check_status(TEST_HERE, #call, (call), (status), (error))

#define FAIL(...) test_fail(TEST_HERE, __VA_ARGS__)
/* Ends the test as not run, with the reason. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* A file or folder of the test data that are kept outside the repository: below $ADZE_TEST_DATA, else
 * ../shared/data from the repository's root. NULL when absent: SKIP then. Lives until the test ends. */
const char *test_data_path(const char *name);
/* The same, skipping the test when absent. */
const char *test_need_data(const char *name);
/* The folder into which an archive ("conformance/x.tar.xz") of the test data is unpacked, once for each
 * build folder; skips the test when the archive is absent. */
const char *test_need_unpacked(const char *archive);
/* A path below the repository's root ("models/..."); lives until the test ends. */
const char *test_source_path(const char *name);
/* An empty folder of this test's own, removed after the test. */
const char *test_tmpdir(void);
/* "<test_tmpdir()>/<name>"; lives until the test ends. */
const char *test_tmpfile(const char *name);

/* `size` bytes (filled with 0xA5) that end exactly at a page that cannot be touched: reading or
 * writing past the end kills the test. Frees with test_guard_free(base). */
void *test_guard_alloc(size_t size, void **base);
void test_guard_free(void *base);

/* Deterministic values for kernels: uniform in [lo, hi); the same for the same seed everywhere. */
uint64_t test_random(uint64_t *seed);
void test_random_floats(float *out, size_t count, float lo, float hi, uint64_t seed);
void test_random_bytes(void *out, size_t size, uint64_t seed);

/* What the macros call. */
void test_register(test_case *test);
_Noreturn void test_fail(const char *file, int line, const char *format, ...) ADZE_PRINTF(3, 4);
_Noreturn void test_skip(const char *format, ...) ADZE_PRINTF(1, 2);
void test_check_int(const char *file, int line, const char *text, long long actual,
                    const char *expected_text, long long expected);
void test_check_str(const char *file, int line, const char *text, const char *actual,
                    const char *expected);
void test_check_near(const char *file, int line, const char *text, double actual, double expected,
                     double tolerance);
void test_check_bytes(const char *file, int line, const char *text, const void *actual,
                      const void *expected, size_t size);
void test_check_floats(const char *file, int line, const char *text, const float *actual,
                       const float *expected, size_t count, double absolute, double relative);
void test_check_status(const char *file, int line, const char *text, adze_status actual,
                       adze_status expected, const adze_error *error);

#endif
