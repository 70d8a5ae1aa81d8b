/** @file
 * What this machine can do: processor, cores, memory, and measured peaks of bandwidth and arithmetic. */
#ifndef ADZE_DEVICE_H
#define ADZE_DEVICE_H
#include "adze/adze.h"

ADZE_BEGIN_C

#define ADZE_DEVICE_ROWS 16

/** Peaks with so many threads; 0: not measured. */
typedef struct adze_device_peak {
    int threads;
    double read_bandwidth; /* bytes per second from memory, several streams */
    double f32_operations; /* per second; a multiply-add counts as two */
    double i8_operations;  /* per second, by the best exact 8-bit instructions of the level */
} adze_device_peak;

typedef struct adze_device {
    char processor[96]; /* as the processor calls itself */
    char features[256]; /* those adze knows of, separated by blanks */
    adze_cpu_level level;
    int cores;       /* usable by this process */
    uint64_t memory; /* bytes */
    int peak_count;
    adze_device_peak peaks[ADZE_DEVICE_ROWS]; /* by threads: 1, 2, ... cores */
} adze_device;

typedef struct adze_device_options {
    double seconds;  /* for each number; 0: 0.2 */
    size_t buffer;   /* bytes read for the bandwidth; 0: 256 MiB, less on small machines */
    int max_threads; /* 0: one per core */
} adze_device_options;

ADZE_API adze_device_options adze_device_options_default(void);

/** Fills in what needs no measuring; peak_count 0. */
ADZE_API void adze_device_describe(adze_device *out, const adze_context *context);
/** Describes and measures at the context's CPU level, with pools of its own for each thread count.
 * Fails with ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_device_measure(adze_device *out,
                                                         const adze_context *context,
                                                         const adze_device_options *options,
                                                         adze_error *err);
/** Peaks for so many threads (the nearest row not above, scaled up for none); zero when not measured. */
ADZE_API adze_device_peak adze_device_peak_at(const adze_device *device, int threads);
/** SHA-256, in hexadecimal, of processor name, level and cores: measured times are comparable between
 * equal identities only. */
ADZE_API void adze_device_identity(char out[65], const adze_device *device);
/** As JSON and for people; free with adze_string_free; either may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_device_format(char **json, char **text,
                                                        const adze_device *device, adze_error *err);

ADZE_END_C
#endif
