/* What the process can ask about itself: time and resident memory. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

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
