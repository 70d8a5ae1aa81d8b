/* What the processor can do, seen at run time. */
#ifndef ADZE_BASE_CPU_H
#define ADZE_BASE_CPU_H
#include "base/error.h"

/* The best level of this machine. */
adze_cpu_level adze_cpu_detect(void);
bool adze_cpu_level_from_name(adze_cpu_level *out, const char *name);
/* True when the machine can run it. */
bool adze_cpu_has(adze_cpu_level level);
/* Processor's name for reports, e.g. from /proc/cpuinfo; never NULL. */
const char *adze_cpu_name(char buf[96]);

#endif
