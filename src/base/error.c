/* Statuses, their names, and messages. Messages may carry names out of hostile files, so control
 * characters are replaced: a terminal must be able to show any message safely. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

typedef struct status_row {
    const char *name;
    int exit_code;
    const char *text;
} status_row;

static const status_row statuses[] = {
#define X(name, code, text) {#name, code, text},
    ADZE_STATUS_LIST(X)
#undef X
};

static const status_row *row_of(adze_status status)
{
    size_t i = (size_t)status;
    return &statuses[i < ADZE_COUNT_OF(statuses) ? i : ADZE_INTERNAL];
}

const char *adze_status_name(adze_status status)
{
    return row_of(status)->name;
}

const char *adze_status_text(adze_status status)
{
    return row_of(status)->text;
}

int adze_status_exit_code(adze_status status)
{
    return row_of(status)->exit_code;
}

const char *adze_version(void)
{
    return ADZE_VERSION;
}

/* What terminals and JSON do not take becomes '?': control characters, and bytes that are not UTF-8, as a name cut
 * in the middle of a character leaves. */
static void make_printable(char *text)
{
    size_t length = strlen(text), valid = adze_utf8_valid_prefix(text, length);
    for (size_t i = 0; i < length; i++) {
        if (i == valid) {
            text[i] = '?';
            valid = i + 1 + adze_utf8_valid_prefix(text + i + 1, length - i - 1);
        }
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') ||
            text[i] == 0x7f)
            text[i] = '?';
    }
}

static void name_limit(adze_error *err)
{
    char size[32];
    size_t length = strlen(err->message);
    (void)snprintf(err->message + length, sizeof err->message - length,
                   ": more than the %s that may be used in all; raise --max-ram",
                   adze_format_bytes(size, (double)adze_memory_limit()));
}

adze_status adze_fail(adze_error *err, adze_status status, const char *format, ...)
{
    bool limited = status == ADZE_NO_MEMORY && adze_memory_was_refused();
    status = limited ? ADZE_LIMIT : status;
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        (void)vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        make_printable(err->message);
        if (limited)
            name_limit(err);
    }
    return status;
}

adze_status adze_wrap(adze_error *err, adze_status status, const char *format, ...)
{
    if (err) {
        char prefix[512];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(prefix, sizeof prefix, format, args);
        va_end(args);
        size_t size = sizeof err->message, shift = strlen(prefix) + 2;
        size_t kept = strlen(err->message);
        kept = ADZE_MIN(kept, size - 1 - shift);
        memmove(err->message + shift, err->message, kept);
        err->message[shift + kept] = 0;
        memcpy(err->message, prefix, shift - 2);
        memcpy(err->message + shift - 2, ": ", 2);
        make_printable(err->message);
        err->status = status;
    }
    return status;
}
