/* The inside of adze_context. Base knows only that kernels and operators exist; src/ops/context.c,
 * which may see both, fills them in. Read-only once opened, except the registry before first use. */
#ifndef ADZE_BASE_CONTEXT_H
#define ADZE_BASE_CONTEXT_H
#include "base/memory.h"
#include "base/threads.h"

struct adze_context {
    adze_cpu_level level;
    adze_pool *pool;
    const struct adze_kernels *kernels; /* kernels/kernels.h */
    struct adze_registry *registry;     /* ops/registry.h */
    adze_arena arena;                   /* the two above live here */
};

#endif
