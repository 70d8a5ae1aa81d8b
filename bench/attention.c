/* Speed of attention: prompts as a share of the arithmetic peak (a multiply-add is two operations, only visible
 * keys count), generation in bytes of the cache a second, beside a plain sum over as much memory. As in a
 * model of many layers each call has a cache of its own, so that it comes from memory.
 * Usage: adze-bench-attention [-l LEVEL] [-t THREADS] [MODEL] */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/memory.h"
#include "base/rng.h"
#include "bench_peak.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

enum { RUNS = 7, MEMORY = 192 << 20 };

typedef struct model {
    const char *name;
    int64_t heads, kv_heads, d;
} model;

static const model models[] = {
    {"SmolLM2-135M", 9, 3, 64}, {"Llama-3.2-1B", 32, 8, 64}, {"Llama-2-7B", 32, 32, 128},
    {"Qwen3-4B", 32, 8, 128},   {"Gemma-3-1B", 4, 1, 256},
};

typedef struct bench {
    adze_kernels kernels;
    adze_pool *pool;
    uint16_t *memory;
    float *q, *y;
    int64_t *positions;
} bench;

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double operations_of(const adze_attention_args *a)
{
    double seen = 0;
    for (int64_t t = 0; t < a->tokens; t++)
        seen += (double)a->positions[t] + 1;
    return 4.0 * seen * (double)(a->heads * a->d);
}

/* As fast as threads can read. */
static void sum_piece(void *user, int64_t piece, int worker)
{
    const uint64_t *x = (const uint64_t *)user + piece * (1 << 17);
    volatile uint64_t keep;
    uint64_t sum = 0;
    ADZE_UNUSED(worker);
    for (int64_t i = 0; i < 1 << 17; i++)
        sum += x[i];
    keep = sum;
    ADZE_UNUSED(keep);
}

static void measure(bench *b, const model *m, int64_t tokens, int64_t past)
{
    adze_attention_args a = {.tokens = tokens,
                             .heads = m->heads,
                             .kv_heads = m->kv_heads,
                             .keys = past + tokens,
                             .d = m->d,
                             .dv = m->d,
                             .dtype = ADZE_F16,
                             .q = b->q,
                             .positions = b->positions,
                             .scale = 1 / sqrtf((float)m->d),
                             .y = b->y};
    for (int64_t t = 0; t < tokens; t++)
        b->positions[t] = past + t;
    const int64_t half = a.keys * m->kv_heads * m->d; /* numbers in k or in v */
    const int64_t layers = ADZE_MAX(1, MEMORY / (int64_t)sizeof(uint16_t) / (2 * half));
    a.scratch = adze_alloc(1, adze_attention_scratch(&b->kernels, &a, adze_pool_threads(b->pool)));
    const int repeats = tokens > 4 ? 1 : (int)layers;
    double best = INFINITY, copy = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        double start = cpu_now();
        for (int i = 0; i < repeats; i++) {
            a.k = b->memory + i % layers * 2 * half;
            a.v = b->memory + (i % layers * 2 + 1) * half;
            adze_attention_run(&b->kernels, b->pool, &a);
        }
        best = fmin(best, (cpu_now() - start) / repeats);
        start = cpu_now();
        adze_pool_run(b->pool, MEMORY >> 20, sum_piece, b->memory);
        copy = fmin(copy, cpu_now() - start);
    }
    const double peak = bench_peak(b->kernels.level, false) * adze_pool_threads(b->pool);
    const double bytes = 4.0 * (double)half, ops = operations_of(&a);
    printf("%-14s tokens %4d past %5d %10.1f us %7.1f GF/s %5.1f %% of peak", m->name, (int)tokens,
           (int)past, 1e6 * best, 1e-9 * ops / best, 100 * ops / best / peak);
    if (tokens <= 4)
        printf(" %6.1f GB/s, %5.1f %% of a sum", 1e-9 * bytes / best,
               100 * bytes / best / (MEMORY / copy));
    printf("\n");
    fflush(stdout);
    adze_free(a.scratch);
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    int threads = 1;
    for (int c; (c = getopt(argc, argv, "l:t:")) != -1;)
        if (c == 'l')
            only = optarg;
        else if (c == 't')
            threads = atoi(optarg);
        else
            return 2;
    bench *b = adze_alloc(1, sizeof *b);
    const size_t most = (size_t)512 * 32 * 128;
    if (!b || adze_pool_open(&b->pool, threads, NULL) != ADZE_OK)
        return 1;
    b->memory = adze_alloc(MEMORY / sizeof(uint16_t), sizeof(uint16_t));
    b->q = adze_alloc(most, sizeof(float));
    b->y = adze_alloc(most, sizeof(float));
    b->positions = adze_alloc(512, sizeof(int64_t));
    if (!b->memory || !b->q || !b->y || !b->positions)
        return 1;
    adze_rng rng = adze_rng_seed(1);
    for (size_t i = 0; i < most; i++)
        b->q[i] = (float)adze_rng_normal(&rng);
    for (size_t i = 0; i < MEMORY / sizeof(uint16_t); i++)
        b->memory[i] = adze_f32_to_f16(b->q[i % (most - 1)]);
    for (adze_cpu_level level = 0; level <= ADZE_CPU_NEON; level++) {
        if (!adze_cpu_has(level) ||
            (only ? strcmp(only, adze_cpu_level_name(level)) != 0 : level == ADZE_CPU_REF))
            continue;
        adze_kernels_init(&b->kernels, level);
        printf("%s, %d threads\n", adze_cpu_level_name(level), threads);
        for (size_t i = 0; i < ADZE_COUNT_OF(models); i++) {
            if (optind < argc && !strstr(models[i].name, argv[optind]))
                continue;
            measure(b, &models[i], 512, 0);
            measure(b, &models[i], 512, 3584);
            measure(b, &models[i], 1, 4095);
            measure(b, &models[i], 1, 511);
            measure(b, &models[i], 8, 1024);
        }
    }
    adze_pool_close(&b->pool);
    adze_free(b->memory);
    adze_free(b->q);
    adze_free(b->y);
    adze_free(b->positions);
    adze_free(b);
    return 0;
}
