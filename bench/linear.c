/* Speed of the products of language models: bytes of weights and operations in a second, and the share of
 * what the arithmetic units do, measured beside each case. Usage:
 *     adze-bench-linear [-l LEVEL] [-t THREADS] [-n N -k K] [-T TOKENS] [TYPE]... */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"
#include "bench_peak.h"
#include "kernels/kernels.h"

enum { RUNS = 15 };

typedef struct bench {
    adze_kernels kernels;
    adze_pool *pool;
    adze_rng rng;
} bench;

static double now(const bench *b)
{
    struct timespec t;
    bool alone = adze_pool_threads(b->pool) == 1;
    clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_of(const bench *b, const adze_linear_args *args, int repeats)
{
    double start = now(b);
    for (int i = 0; i < repeats; i++)
        adze_linear_run(&b->kernels, b->pool, args);
    return (now(b) - start) / repeats;
}

static void measure(bench *b, const adze_linear_args *args, size_t bytes)
{
    const bool integer = adze_dtype_describe(args->dtype)->kind == ADZE_KIND_BLOCK;
    const double operations = 2.0 * (double)args->tokens * (double)(args->n * args->k);
    double once = time_of(b, args, 1), times[RUNS], shares[RUNS];
    int repeats = (int)ADZE_MAX(0.004 / ADZE_MAX(once, 1e-8), 1);
    for (int i = 0; i < RUNS; i++) {
        double peak = bench_peak(b->kernels.level, integer) * adze_pool_threads(b->pool);
        times[i] = time_of(b, args, repeats);
        shares[i] = operations / times[i] / peak;
    }
    adze_sort_f64(times, RUNS);
    adze_sort_f64(shares, RUNS);
    double time = times[RUNS / 2];
    printf("%-8s tokens %4lld n %6lld k %5lld %10.1f us (least %10.1f) %6.2f GB/s %7.1f GOP/s "
           "%5.1f %% of peak\n",
           adze_dtype_describe(args->dtype)->name, (long long)args->tokens, (long long)args->n,
           (long long)args->k, 1e6 * time, 1e6 * times[0], 1e-9 * (double)bytes / time,
           1e-9 * operations / time, 100 * shares[RUNS / 2]);
    fflush(stdout);
}

static void bench_case(bench *b, adze_dtype dtype, int64_t tokens, int64_t n, int64_t k)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    if (k % info->block_size != 0 || !adze_linear_can(&b->kernels, dtype))
        return;
    const size_t row = adze_dtype_bytes(dtype, k), bytes = row * (size_t)n;
    const int threads = adze_pool_threads(b->pool);
    uint8_t *w = adze_alloc(bytes, 1);
    float *x = adze_alloc((size_t)(tokens * k), sizeof *x);
    float *y = adze_alloc((size_t)(tokens * n), sizeof *y);
    void *scratch = adze_alloc(adze_linear_scratch(&b->kernels, dtype, tokens, k, threads), 1);
    if (!w || !x || !y || !scratch) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        const uint64_t r = adze_rng_u64(&b->rng) & 0x3fff3fff3fff3fffU; /* no infinite scales */
        memcpy(w + i, &r, sizeof r);
    }
    for (int64_t i = 0; i < tokens * k; i++)
        x[i] = (float)adze_rng_f64(&b->rng) - 0.5f;
    const adze_linear_args args = {.dtype = dtype,
                                   .w = w,
                                   .w_stride = row,
                                   .tokens = tokens,
                                   .n = n,
                                   .k = k,
                                   .x = x,
                                   .ldx = k,
                                   .y = y,
                                   .ldy = n,
                                   .scratch = scratch};
    measure(b, &args, bytes);
    adze_free(w), adze_free(x), adze_free(y), adze_free(scratch);
}

/* n, k: SmolLM2-135M, Llama-3.2-1B. */
static const int64_t shapes[][2] = {
    {576, 576},   {192, 576},  {1536, 576},  {576, 1536},  {49152, 576},
    {2048, 2048}, {512, 2048}, {8192, 2048}, {2048, 8192}, {128256, 2048},
};

typedef struct options {
    int64_t tokens, n, k;
} options;

static void bench_type(bench *b, adze_dtype dtype, const options *o)
{
    if (o->n > 0) {
        bench_case(b, dtype, o->tokens > 0 ? o->tokens : 1, o->n, o->k);
        return;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const bool large = shapes[i][0] * shapes[i][1] > 1 << 25;
        if (o->tokens <= 0 || o->tokens == 1)
            bench_case(b, dtype, 1, shapes[i][0], shapes[i][1]);
        if (o->tokens != 1 && !large)
            bench_case(b, dtype, o->tokens > 0 ? o->tokens : 512, shapes[i][0], shapes[i][1]);
    }
}

int main(int argc, char **argv)
{
    bench b = {0};
    options o = {0};
    adze_cpu_level level = adze_cpu_detect();
    int threads = 1, option;
    while ((option = getopt(argc, argv, "l:t:n:k:T:")) != -1) {
        bool fine = option != '?';
        switch (option) {
        case 'l': fine = adze_cpu_level_from_name(&level, optarg) && adze_cpu_has(level); break;
        case 't': threads = atoi(optarg); break;
        case 'n': o.n = atoll(optarg); break;
        case 'k': o.k = atoll(optarg); break;
        case 'T': o.tokens = atoll(optarg); break;
        default: break;
        }
        if (!fine) {
            fprintf(stderr, "usage: adze-bench-linear [-l LEVEL] [-t THREADS] [-n N -k K] "
                            "[-T TOKENS] [TYPE]...\n");
            return 2;
        }
    }
    if (o.n > 0 && o.k <= 0)
        o.k = o.n;
    if (adze_pool_open(&b.pool, threads, NULL) != ADZE_OK)
        return 1;
    b.rng = adze_rng_seed(1);
    adze_kernels_init(&b.kernels, level);
    static const adze_dtype usual[] = {ADZE_Q8_0, ADZE_Q4_0, ADZE_Q4_K, ADZE_Q6_K, ADZE_F16};
    for (size_t i = 0; optind == argc && i < sizeof usual / sizeof *usual; i++)
        bench_type(&b, usual[i], &o);
    for (int i = optind; i < argc; i++) {
        const adze_dtype dtype = adze_dtype_from_name(argv[i]);
        if (!adze_linear_can(&b.kernels, dtype)) {
            fprintf(stderr, "%s: no type of weights, such as float16, q8_0, q4_K\n", argv[i]);
            return 2;
        }
        bench_type(&b, dtype, &o);
    }
    adze_pool_close(&b.pool);
    return 0;
}
