/* What this machine can do. Each peak is the best of several short passes of all threads together: the
 * best, because everything that disturbs a pass makes it slower. */
#include "adze/device.h"

#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "kernels/peak.h"

enum { PASS_STEPS = 50000, PIECES = 16, LEAST_CHUNK = 4096, CHUNK = 1 << 20 };
static const size_t least_pass = (size_t)16
                                 << 20; /* bytes: so much that starting threads is little */
static const size_t largest_buffer = (size_t)256 << 20;

adze_device_options adze_device_options_default(void)
{
    return (adze_device_options){.seconds = 0.2};
}

/* ---- description ---- */

static void add_feature(adze_device *d, const char *name, bool has)
{
    size_t used = strlen(d->features);
    if (has)
        (void)snprintf(d->features + used, sizeof d->features - used, "%s%s", used ? " " : "",
                       name);
}

static void find_features(adze_device *d)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    add_feature(d, "sse4.2", __builtin_cpu_supports("sse4.2"));
    add_feature(d, "avx", __builtin_cpu_supports("avx"));
    add_feature(d, "avx2", __builtin_cpu_supports("avx2"));
    add_feature(d, "fma", __builtin_cpu_supports("fma"));
    add_feature(d, "avx512f", __builtin_cpu_supports("avx512f"));
    add_feature(d, "avx512bw", __builtin_cpu_supports("avx512bw"));
    add_feature(d, "avx512vl", __builtin_cpu_supports("avx512vl"));
    add_feature(d, "avx512vnni", __builtin_cpu_supports("avx512vnni"));
#elif defined(__aarch64__)
    add_feature(d, "neon", true);
#else
    ADZE_UNUSED(add_feature);
    ADZE_UNUSED(d);
#endif
}

void adze_device_describe(adze_device *out, const adze_context *context)
{
    *out = (adze_device){.level = context->level, .cores = adze_machine_cores()};
    char name[96];
    (void)snprintf(out->processor, sizeof out->processor, "%s", adze_cpu_name(name));
    find_features(out);
    out->memory = adze_machine_memory();
}

void adze_device_identity(char out[65], const adze_device *device)
{
    char text[160];
    adze_sha256 sha;
    int n = snprintf(text, sizeof text, "%s|%s|%d", device->processor,
                     adze_cpu_level_name(device->level), device->cores);
    adze_sha256_init(&sha);
    adze_sha256_add(&sha, text, (size_t)n);
    adze_sha256_hex(&sha, out);
}

/* ---- measuring ---- */

typedef struct peak_pass {
    adze_peak_kernels kernels;
    const uint8_t *buffer;
    size_t chunk, chunks; /* the buffer is read in chunks, several times when it is small */
    double (*compute)(int64_t steps);
    double operations; /* of one piece */
    uint64_t seen;
} peak_pass;

static void compute_piece(void *user, int64_t piece, int worker)
{
    peak_pass *p = user;
    double done = p->compute(PASS_STEPS);
    if (piece == 0)
        p->operations = done;
    ADZE_UNUSED(worker);
}

static void read_piece(void *user, int64_t piece, int worker)
{
    peak_pass *p = user;
    size_t at = (size_t)piece % p->chunks;
    uint64_t seen = p->kernels.read(p->buffer + at * p->chunk, p->chunk);
    if (piece == 0)
        p->seen ^= seen;
    ADZE_UNUSED(worker);
}

/* Least seconds of a pass over `pieces` pieces. */
static double best_pass(adze_pool *pool, int64_t pieces, adze_piece_fn fn, peak_pass *pass,
                        double seconds)
{
    double best = 1e30, start = adze_now(), now = start;
    for (int i = 0; i < 3 || now - start < seconds; i++) {
        double before = now;
        adze_pool_run(pool, pieces, fn, pass);
        now = adze_now();
        best = ADZE_MIN(best, now - before);
    }
    return best > 0 ? best : 1e-9;
}

static adze_status measure_row(adze_device_peak *row, int threads, peak_pass *pass, size_t buffer,
                               double seconds, adze_error *err)
{
    adze_pool *pool = NULL;
    ADZE_TRY(adze_pool_open(&pool, threads, err));
    row->threads = threads;
    pass->compute = pass->kernels.f32;
    int pieces = threads * PIECES;
    double best = best_pass(pool, pieces, compute_piece, pass, seconds);
    row->f32_operations = pass->operations * pieces / best;
    pass->compute = pass->kernels.i8;
    best = best_pass(pool, pieces, compute_piece, pass, seconds);
    row->i8_operations = pass->operations * pieces / best;
    pass->chunk =
        ADZE_MIN(ADZE_MAX(buffer / (size_t)threads / LEAST_CHUNK, 1) * LEAST_CHUNK, CHUNK);
    pass->chunks = buffer / pass->chunk;
    size_t reads = pass->chunks * ((least_pass - 1) / (pass->chunks * pass->chunk) + 1);
    best = best_pass(pool, (int64_t)reads, read_piece, pass, seconds);
    row->read_bandwidth = (double)(reads * pass->chunk) / best;
    adze_pool_close(&pool);
    return ADZE_OK;
}

/* 1, 2, ... cores while they fit the table, else powers of two and all. */
static int thread_counts(int out[ADZE_DEVICE_ROWS], int most)
{
    int n = 0;
    for (int t = 1; t < most && n < ADZE_DEVICE_ROWS - 1;
         t = most <= ADZE_DEVICE_ROWS ? t + 1 : 2 * t)
        out[n++] = t;
    out[n++] = most;
    return n;
}

adze_status adze_device_measure(adze_device *out, const adze_context *context,
                                const adze_device_options *options, adze_error *err)
{
    adze_device_options o = options ? *options : adze_device_options_default();
    adze_device device;
    int counts[ADZE_DEVICE_ROWS];
    adze_device_describe(&device, context);
    double seconds = o.seconds > 0 ? o.seconds : 0.2;
    size_t buffer = o.buffer ? o.buffer : largest_buffer;
    if (!o.buffer && device.memory)
        buffer = ADZE_MIN(buffer, (size_t)(device.memory / 8));
    buffer = ((buffer - 1) / LEAST_CHUNK + 1) * LEAST_CHUNK;
    uint8_t *bytes = adze_alloc(buffer, 1);
    if (!bytes)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %zu bytes to read", buffer);
    memset(bytes, 1, buffer); /* untouched pages would all be the same one */
    peak_pass pass = {.kernels = adze_peak_of(device.level), .buffer = bytes};
    int most = o.max_threads > 0 ? o.max_threads : device.cores;
    int rows = thread_counts(counts, most);
    adze_status status = ADZE_OK;
    for (int i = 0; i < rows && status == ADZE_OK; i++)
        status = measure_row(&device.peaks[i], counts[i], &pass, buffer, seconds, err);
    adze_free(bytes);
    device.peak_count = rows;
    if (status == ADZE_OK)
        *out = device;
    return status;
}

adze_device_peak adze_device_peak_at(const adze_device *device, int threads)
{
    adze_device_peak found = {0};
    for (int i = 0; i < device->peak_count; i++)
        if (i == 0 || device->peaks[i].threads <= threads)
            found = device->peaks[i];
    return found;
}

/* ---- showing ---- */

static json_t *peaks_json(const adze_device *d)
{
    json_t *rows = json_array();
    for (int i = 0; i < d->peak_count; i++)
        json_array_append_new(rows, json_pack("{s:i,s:f,s:f,s:f}", "threads", d->peaks[i].threads,
                                              "read_bytes_per_s", d->peaks[i].read_bandwidth,
                                              "f32_operations_per_s", d->peaks[i].f32_operations,
                                              "i8_operations_per_s", d->peaks[i].i8_operations));
    return rows;
}

adze_status adze_device_format(char **json, char **text, const adze_device *d, adze_error *err)
{
    char identity[65], memory[32];
    adze_text t = {0};
    adze_device_identity(identity, d);
    adze_text_printf(&t, "%s, %d cores, %s of memory, CPU level %s\n", d->processor, d->cores,
                     adze_format_bytes(memory, (double)d->memory), adze_cpu_level_name(d->level));
    adze_text_printf(&t, "features: %s\nidentity: %.16s\n", d->features, identity);
    if (d->peak_count)
        adze_text_printf(&t, "\n%8s %14s %16s %16s\n", "threads", "read GB/s", "float32 GFLOP/s",
                         "int8 GOP/s");
    for (int i = 0; i < d->peak_count; i++)
        adze_text_printf(&t, "%8d %14.1f %16.1f %16.1f\n", d->peaks[i].threads,
                         d->peaks[i].read_bandwidth / 1e9, d->peaks[i].f32_operations / 1e9,
                         d->peaks[i].i8_operations / 1e9);
    json_t *root = json_pack("{s:s,s:s,s:s,s:i,s:I,s:s,s:o}", "processor", d->processor, "features",
                             d->features, "cpu_level", adze_cpu_level_name(d->level), "cores",
                             d->cores, "memory_bytes", (json_int_t)d->memory, "identity", identity,
                             "peaks", peaks_json(d));
    return adze_json_report(json, text, root, &t, err);
}
