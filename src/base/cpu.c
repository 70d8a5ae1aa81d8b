/* What this processor can run. The kernels of a level are used only when the processor has all of the
 * level's instructions and the system saves their registers (XCR0). */
#include "base/cpu.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const char *const level_names[] = {
#define X(name, text, meaning) text,
    ADZE_CPU_LEVEL_LIST(X)
#undef X
};

const char *adze_cpu_level_name(adze_cpu_level level)
{
    size_t i = (size_t)level;
    return i < ADZE_COUNT_OF(level_names) ? level_names[i] : "unknown";
}

bool adze_cpu_level_from_name(adze_cpu_level *out, const char *name)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(level_names); i++)
        if (strcmp(level_names[i], name) == 0) {
            *out = (adze_cpu_level)i;
            return true;
        }
    return false;
}

#if defined(__x86_64__)
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool all_set(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

adze_cpu_level adze_cpu_detect(void)
{
    enum { FMA = 1u << 12, OSXSAVE = 1u << 27, AVX = 1u << 28, F16C = 1u << 29 };
    enum { AVX2 = 1u << 5, F = 1u << 16, DQ = 1u << 17, BW = 1u << 30, VNNI = 1u << 11 };
    const uint64_t vl = (uint64_t)1 << 31;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, FMA | OSXSAVE | AVX | F16C))
        return ADZE_CPU_REF;
    uint64_t saved = saved_registers();
    if (!all_set(saved, 0x06) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !all_set(b, AVX2))
        return ADZE_CPU_REF;
    bool wide =
        all_set(saved, 0xe6) && all_set(b, (uint64_t)(F | DQ | BW) | vl) && all_set(c, VNNI);
#ifdef ADZE_NO_AVX512
    wide = false;
#endif
    return wide ? ADZE_CPU_AVX512 : ADZE_CPU_AVX2;
}
#elif defined(__aarch64__)
adze_cpu_level adze_cpu_detect(void)
{
    return ADZE_CPU_NEON; /* part of the base architecture */
}
#else
adze_cpu_level adze_cpu_detect(void)
{
    return ADZE_CPU_REF;
}
#endif

bool adze_cpu_has(adze_cpu_level level)
{
    adze_cpu_level best = adze_cpu_detect();
    if (level == ADZE_CPU_REF || level == best)
        return true;
    return level == ADZE_CPU_AVX2 && best == ADZE_CPU_AVX512;
}

static bool name_from_cpuinfo(char buf[96])
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        bool wanted = strncmp(line, "model name", 10) == 0 || strncmp(line, "Model", 5) == 0;
        if (!colon || !wanted)
            continue;
        size_t skip = colon[1] == ' ' ? 2 : 1;
        size_t length = ADZE_MIN(strcspn(colon + skip, "\n"), (size_t)95);
        memcpy(buf, colon + skip, length);
        buf[length] = 0;
        found = length > 0;
    }
    if (file)
        (void)fclose(file);
    return found;
}

const char *adze_cpu_name(char buf[96])
{
    if (!name_from_cpuinfo(buf))
        (void)snprintf(buf, 96, "unknown processor");
    return buf;
}
