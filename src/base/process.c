/* What the process can ask about itself and its machine: time and memory. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

double adze_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A "VmHWM:   1234 kB" line of /proc/self/status, in bytes; 0 when there is none. */
static uint64_t status_line(const char *name)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long long kilobytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) {
            (void)sscanf(line + strlen(name), "%llu", &kilobytes);
            break;
        }
    if (file)
        (void)fclose(file);
    return (uint64_t)kilobytes * 1024;
}

uint64_t adze_peak_rss(void)
{
    uint64_t peak = status_line("VmHWM:");
    struct rusage
        usage; /* counts what was resident before exec too, hence only the second choice */
    if (peak == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        peak = (uint64_t)usage.ru_maxrss * 1024;
    uint64_t now = adze_current_rss(); /* the system's peak may lag behind */
    return ADZE_MAX(peak, now);
}

uint64_t adze_current_rss(void)
{
    return status_line("VmRSS:");
}

size_t adze_last_cache(void)
{
#ifdef _SC_LEVEL3_CACHE_SIZE
    long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return bytes > 0 ? (size_t)bytes : 0;
#else
    return 0;
#endif
}

/* What the control group grants; SIZE_MAX when it sets no limit. */
static size_t memory_granted(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
    unsigned long long bytes = 0;
    bool limited = file && fscanf(file, "%llu", &bytes) == 1 && bytes > 0;
    if (file)
        (void)fclose(file);
    return limited && bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

size_t adze_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes, granted = memory_granted();
    bool known = pages > 0 && page > 0 && adze_mul_size(&bytes, (size_t)pages, (size_t)page);
    return known ? ADZE_MIN(bytes, granted) : granted;
}
