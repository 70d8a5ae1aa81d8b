/* What several fuzz targets share. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adze/ops_extra.h"
#include "fuzz.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

/* UBSAN_OPTIONS=halt_on_error=0 goes on: for seeing many findings in one run. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:print_stacktrace=1";
}

adze_context *fuzz_context(const char *level)
{
    adze_context *context = NULL;
    adze_context_options options = adze_context_options_default();
    options.threads = 1;
    options.cpu_level = level;
    adze_error err = {0};
    adze_memory_set_limit((size_t)1 << 30);
    adze_status status = adze_context_open(&context, &options, &err);
    if (status == ADZE_BAD_ARGUMENT)
        return NULL;
    fuzz_must(status == ADZE_OK && adze_ops_extra_register(context, &err) == ADZE_OK, "context",
              &err);
    return context;
}

void fuzz_must(bool condition, const char *what, const adze_error *err)
{
    if (condition)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

bool fuzz_done(adze_status status, const adze_error *err)
{
    fuzz_must(status == ADZE_OK || err->message[0], "no message", err);
    fuzz_must(status != ADZE_INTERNAL, "internal", err);
    return status == ADZE_OK;
}

const char *fuzz_path(char path[64], const char *ending)
{
    (void)snprintf(path, 64, "/dev/shm/adze-fuzz-%ld%s", (long)getpid(), ending);
    return path;
}
