/* Opens a context: CPU level, threads, kernel tables, operators. Lives here because this is the lowest
 * module that may see both kernels and operators. */
#include "base/context.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "ops/registry.h"

adze_context_options adze_context_options_default(void)
{
    return (adze_context_options){0};
}

static adze_status choose_level(adze_cpu_level *level, const char *name, adze_error *err)
{
    if (!name)
        name = getenv("ADZE_CPU");
    *level = adze_cpu_detect();
    if (!name || !*name)
        return ADZE_OK;
    if (!adze_cpu_level_from_name(level, name))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "CPU level '%s' is unknown: use ref, avx2, avx512 or neon", name);
    if (!adze_cpu_has(*level))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "CPU level '%s' is not available on this machine (best: %s)", name,
                         adze_cpu_level_name(adze_cpu_detect()));
    return ADZE_OK;
}

static adze_status fill(adze_context *context, const adze_context_options *options, adze_error *err)
{
    ADZE_TRY(choose_level(&context->level, options->cpu_level, err));
    ADZE_TRY(adze_pool_open(&context->pool, options->threads, err));
    adze_kernels *kernels = ADZE_ARENA_NEW(&context->arena, adze_kernels);
    if (!kernels)
        return adze_fail(err, ADZE_NO_MEMORY, "kernel tables");
    adze_kernels_init(kernels, context->level);
    context->kernels = kernels;
    return adze_registry_open(context, err);
}

adze_status adze_context_open(adze_context **out, const adze_context_options *options,
                              adze_error *err)
{
    adze_context_options defaults = adze_context_options_default();
    adze_context *context = adze_alloc(1, sizeof *context);
    if (!context)
        return adze_fail(err, ADZE_NO_MEMORY, "context");
    adze_status status = fill(context, options ? options : &defaults, err);
    if (status != ADZE_OK)
        adze_context_close(&context);
    else
        *out = context;
    return status;
}

void adze_context_close(adze_context **context)
{
    if (!context || !*context)
        return;
    adze_pool_close(&(*context)->pool);
    adze_arena_free(&(*context)->arena);
    adze_free(*context);
    *context = NULL;
}

adze_cpu_level adze_context_cpu_level(const adze_context *context)
{
    return context->level;
}

int adze_context_threads(const adze_context *context)
{
    return adze_pool_threads(context->pool);
}
