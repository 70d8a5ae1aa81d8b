/* The table of architectures. */
#include "llm/architectures.h"

#include <stdio.h>
#include <string.h>

static const adze_architecture *const files[] = {
#define X(name) adze_arch_##name,
    ADZE_ARCHITECTURES(X)
#undef X
};

const adze_architecture *adze_architecture_find(const char *name)
{
    for (size_t f = 0; f < ADZE_COUNT_OF(files); f++)
        for (const adze_architecture *a = files[f]; a->name; a++)
            if (strcmp(a->name, name) == 0)
                return a;
    return NULL;
}

const char *adze_architecture_names(char *buf, size_t size)
{
    size_t at = 0;
    buf[0] = 0;
    for (size_t f = 0; f < ADZE_COUNT_OF(files); f++)
        for (const adze_architecture *a = files[f]; a->name && at < size; a++)
            at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", a->name);
    return buf;
}
