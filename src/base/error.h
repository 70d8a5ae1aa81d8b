/* Failing in one line: `return adze_fail(err, ADZE_BAD_FILE, "tensor %s: offset past the end", name);`
 * and ADZE_TRY, the only macro that changes the flow of control. */
#ifndef ADZE_BASE_ERROR_H
#define ADZE_BASE_ERROR_H
#include "adze/adze.h"

/* Writes the message (if err is not NULL) and returns status. */
adze_status adze_fail(adze_error *err, adze_status status, const char *format, ...)
    ADZE_PRINTF(3, 4);

/* Puts "context: " in front of the message in err; returns status for `return adze_wrap(...)`. */
adze_status adze_wrap(adze_error *err, adze_status status, const char *format, ...)
    ADZE_PRINTF(3, 4);

#define ADZE_TRY(call)                                                                             \
    do {                                                                                           \
        adze_status try_status_ = (call);                                                          \
        if (try_status_ != ADZE_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

#define ADZE_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ADZE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define ADZE_MAX(a, b) ((a) > (b) ? (a) : (b))
#define ADZE_UNUSED(x) ((void)(x))

#endif
