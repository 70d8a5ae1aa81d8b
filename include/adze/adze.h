/** @file
 * What every other header needs: visibility, statuses, errors, versions, the context.
 *
 * Errors are values. A fallible function returns an adze_status, writes its results through its
 * first parameters (unchanged on failure unless said otherwise) and takes a nullable
 * `adze_error *err` last, which then holds a message that names the file, the place in it, what was
 * expected, what was found and what to do. The library never prints, exits or aborts on input. */
#ifndef ADZE_ADZE_H
#define ADZE_ADZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ADZE_BEGIN_C extern "C" {
#define ADZE_END_C }
#else
#define ADZE_BEGIN_C
#define ADZE_END_C
#endif

#if defined(__GNUC__)
#define ADZE_API __attribute__((visibility("default")))
#define ADZE_MUST_CHECK __attribute__((warn_unused_result))
#define ADZE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define ADZE_API
#define ADZE_MUST_CHECK
#define ADZE_PRINTF(text, first)
#endif

ADZE_BEGIN_C

#define ADZE_VERSION_MAJOR 0
#define ADZE_VERSION_MINOR 1
#define ADZE_VERSION_PATCH 0
#define ADZE_VERSION "0.1.0"

/* name, exit code of the program (DESIGN: 0 done, 1 gate failed, 2 usage, 3 bad input, 4 not
 * supported, 5 the machine could not), what it means */
#define ADZE_STATUS_LIST(X)                                                                        \
    X(OK, 0, "ok")                                                                                 \
    X(GATE_FAILED, 1, "a requirement or comparison failed")                                        \
    X(BAD_ARGUMENT, 2, "bad argument")                                                             \
    X(BAD_FILE, 3, "file is malformed")                                                            \
    X(BAD_MODEL, 3, "model is inconsistent")                                                       \
    X(BAD_DATA, 3, "data do not fit the model")                                                    \
    X(NOT_FOUND, 3, "not found")                                                                   \
    X(UNSUPPORTED, 4, "not supported")                                                             \
    X(NO_MEMORY, 5, "out of memory")                                                               \
    X(IO, 5, "input or output failed")                                                             \
    X(LIMIT, 5, "a limit was exceeded")                                                            \
    X(CANCELLED, 5, "cancelled")                                                                   \
    X(TIMEOUT, 5, "the time allowed is over")                                                      \
    X(INTERNAL, 5, "internal error: please report it")

typedef enum adze_status {
#define X(name, code, text) ADZE_##name,
    ADZE_STATUS_LIST(X)
#undef X
} adze_status;

/** Where a failure leaves its message; the caller's, may live on the stack. */
typedef struct adze_error {
    adze_status status;
    char message[2048];
} adze_error;

/** "BAD_FILE" and the like; never NULL. */
ADZE_API const char *adze_status_name(adze_status status);
/** A few words for people; never NULL. */
ADZE_API const char *adze_status_text(adze_status status);
/** The exit code that the program uses for it, 0 to 5. */
ADZE_API int adze_status_exit_code(adze_status status);

/** Version of the library at run time, as "0.1.0". */
ADZE_API const char *adze_version(void);

/* CPU levels: each holds all before it of the same architecture. */
#define ADZE_CPU_LEVEL_LIST(X)                                                                     \
    X(REF, "ref", "plain C reference kernels")                                                     \
    X(AVX2, "avx2", "x86-64 with AVX2, FMA and F16C")                                              \
    X(AVX512, "avx512", "x86-64 with AVX-512 F/BW/DQ/VL and VNNI")                                 \
    X(NEON, "neon", "AArch64 with NEON")

typedef enum adze_cpu_level {
#define X(name, text, meaning) ADZE_CPU_##name,
    ADZE_CPU_LEVEL_LIST(X)
#undef X
} adze_cpu_level;

/** "ref", "avx2", ...; never NULL. */
ADZE_API const char *adze_cpu_level_name(adze_cpu_level level);

/** Process-wide services without process-wide state: the kernel tables for one CPU level, the
 * operators (built in and registered), the worker threads. Create it first, free it last. */
typedef struct adze_context adze_context;

typedef struct adze_context_options {
    int threads;           /* worker threads for computing; 0: one per usable core */
    const char *cpu_level; /* NULL: $ADZE_CPU, else the best this machine has; "ref", "avx2", ... */
} adze_context_options;

ADZE_API adze_context_options adze_context_options_default(void);

/** Makes a context; free with adze_context_close. Fails with ADZE_BAD_ARGUMENT (level unknown or not
 * on this machine), ADZE_NO_MEMORY. Threads: a context may be shared by many threads once made;
 * registering operators must be over before that. */
ADZE_MUST_CHECK ADZE_API adze_status adze_context_open(adze_context **out,
                                                       const adze_context_options *options,
                                                       adze_error *err);
/** Frees and nulls `*context`; NULL is fine. All that was made from it must be freed before. */
ADZE_API void adze_context_close(adze_context **context);

/** The most memory that all of adze in this process may hold together, whatever the files say; mapped files do
 * not count. What needs more fails with ADZE_LIMIT and leaves the rest usable. 0: back to the usual, half of what
 * the machine or the control group has. Any thread, any time. */
ADZE_API void adze_memory_set_limit(size_t bytes);
ADZE_API size_t adze_memory_limit(void);

ADZE_API adze_cpu_level adze_context_cpu_level(const adze_context *context);
ADZE_API int adze_context_threads(const adze_context *context);

ADZE_END_C
#endif
