/* Speed of the matrix product and convolution kernels on one thread, as a share of what this machine's
 * arithmetic units do in a loop of nothing else, measured beside each case (neighbours and clocks
 * change by the minute). Usage: adze-bench-kernels [f32|q8|dwconv|conv]... [-l LEVEL] [-t THREADS] */
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
#include "kernels/conv.h"

enum { RUNS = 9 };

typedef struct bench {
    adze_kernels kernels;
    adze_pool *pool;
    adze_rng rng;
} bench;

typedef struct work {
    void (*run)(void *user);
    void *user;
    double operations; /* of one run */
    bool integer;
} work;

/* One thread: its own processor time, so that others on this core do not count. */
static double now(const bench *b)
{
    struct timespec t;
    bool alone = adze_pool_threads(b->pool) == 1;
    clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_of(const bench *b, const work *w, int repeats)
{
    double start = now(b);
    for (int i = 0; i < repeats; i++)
        w->run(w->user);
    return (now(b) - start) / repeats;
}

/* Peak and kernel by turns; prints the medians and the median of the ratios. */
static void measure(bench *b, const char *name, const work *w)
{
    double once = time_of(b, w, 1), rates[RUNS], shares[RUNS];
    int repeats = (int)ADZE_MAX(0.008 / ADZE_MAX(once, 1e-8), 1);
    for (int i = 0; i < RUNS; i++) {
        double peak = bench_peak(b->kernels.level, w->integer) * adze_pool_threads(b->pool);
        rates[i] = w->operations / time_of(b, w, repeats);
        shares[i] = rates[i] / peak;
    }
    adze_sort_f64(rates, RUNS);
    adze_sort_f64(shares, RUNS);
    double rate = rates[RUNS / 2];
    printf("%-44s %9.1f us %8.1f G/s %5.1f %% of peak\n", name, 1e6 * w->operations / rate,
           1e-9 * rate, 100 * shares[RUNS / 2]);
    fflush(stdout);
}

static void *random_floats(bench *b, size_t count)
{
    float *out = adze_alloc(count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (float)adze_rng_f64(&b->rng) - 0.5f;
    return out;
}

static void *random_bytes(bench *b, size_t count)
{
    uint8_t *out = adze_alloc(count, 1);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (uint8_t)adze_rng_u64(&b->rng);
    return out;
}

static float *constant_floats(size_t count, float value)
{
    float *out = adze_alloc(count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = value;
    return out;
}

typedef struct product {
    bench *bench;
    adze_gemm_f32_args f32;
    adze_gemm_q8_args q8;
} product;

static void run_f32(void *user)
{
    product *p = user;
    adze_matmul_f32(&p->bench->kernels, p->bench->pool, &p->f32);
}

static void run_q8(void *user)
{
    product *p = user;
    adze_matmul_q8(&p->bench->kernels, p->bench->pool, &p->q8);
}

static void bench_f32(bench *b, int64_t m, int64_t n, int64_t k)
{
    const adze_gemm_f32_table *t = &b->kernels.gemm_f32;
    float *raw = random_floats(b, (size_t)(n * k)), *a = random_floats(b, (size_t)(m * k));
    float *packed = random_floats(b, t->packed_size(n, k)), *bias = random_floats(b, (size_t)n);
    float *c = random_floats(b, (size_t)(m * n));
    t->pack_b(n, k, raw, n, 1, packed);
    product p = {.bench = b,
                 .f32 = {.m = m,
                         .n = n,
                         .k = k,
                         .a = a,
                         .lda = k,
                         .b = packed,
                         .bias = bias,
                         .c = c,
                         .ldc = n,
                         .lo = 0,
                         .hi = 6}};
    char name[64];
    snprintf(name, sizeof name, "f32 m %lld n %lld k %lld", (long long)m, (long long)n,
             (long long)k);
    measure(b, name, &(work){run_f32, &p, 2.0 * (double)(m * n * k), false});
    adze_free(raw), adze_free(a), adze_free(packed), adze_free(bias), adze_free(c);
}

static void bench_q8(bench *b, int64_t m, int64_t n, int64_t k)
{
    const adze_gemm_q8_table *t = &b->kernels.gemm_q8;
    int8_t *raw = random_bytes(b, (size_t)(n * k)), *packed = random_bytes(b, t->packed_size(n, k));
    uint8_t *a = random_bytes(b, (size_t)(m * k)), *c = random_bytes(b, (size_t)(m * n));
    int32_t *bias = adze_alloc((size_t)n, sizeof *bias);
    float *scale = constant_floats((size_t)n, 0.0002f);
    t->pack_b(n, k, raw, n, 1, packed);
    product p = {.bench = b,
                 .q8 = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .lda = k,
                        .b = packed,
                        .bias = bias,
                        .output = ADZE_Q8_TO_Q8,
                        .scale = scale,
                        .zero = 3,
                        .hi = 255,
                        .c = c,
                        .ldc = n}};
    char name[64];
    snprintf(name, sizeof name, "q8  m %lld n %lld k %lld", (long long)m, (long long)n,
             (long long)k);
    measure(b, name, &(work){run_q8, &p, 2.0 * (double)(m * n * k), true});
    adze_free(raw), adze_free(packed), adze_free(a), adze_free(c), adze_free(bias),
        adze_free(scale);
}

/* m, n, k: ResNet-50 at 224x224, MobileNetV2, networks of 28x28 and 14x14 pixels, vectors, a plain
 * large product. */
static const int64_t products[][3] = {
    {1024, 1024, 1024}, {3136, 64, 576},  {784, 128, 1152}, {196, 256, 2304}, {49, 512, 4608},
    {3136, 256, 64},    {196, 1024, 256}, {49, 2048, 512},  {12544, 32, 27},  {12544, 16, 32},
    {3136, 144, 24},    {3136, 24, 144},  {196, 384, 64},   {49, 320, 960},   {784, 32, 32},
    {784, 64, 32},      {784, 96, 96},    {784, 16, 96},    {196, 64, 64},    {196, 128, 128},
    {196, 32, 96},      {784, 32, 288},   {196, 64, 576},   {1, 1000, 2048},  {4, 1024, 1024},
    {1, 10, 128},
};

typedef struct convolution {
    bench *bench;
    adze_conv_f32_args f32;
    adze_conv_q8_args q8;
    adze_dwconv_f32_args dw_f32;
    adze_dwconv_q8_args dw_q8;
} convolution;

static void run_conv_f32(void *user)
{
    convolution *c = user;
    adze_conv_f32(&c->bench->kernels, c->bench->pool, &c->f32);
}

static void run_conv_q8(void *user)
{
    convolution *c = user;
    adze_conv_q8(&c->bench->kernels, c->bench->pool, &c->q8);
}

static void run_dwconv_f32(void *user)
{
    convolution *c = user;
    adze_dwconv_f32(&c->bench->kernels.dwconv, c->bench->pool, &c->dw_f32);
}

static void run_dwconv_q8(void *user)
{
    convolution *c = user;
    adze_dwconv_q8(&c->bench->kernels.dwconv, c->bench->pool, &c->dw_q8);
}

/* hw, channels, output channels, kernel, stride */
static const int convolutions[][5] = {
    {224, 3, 32, 3, 2},   {224, 3, 64, 7, 2},  {56, 64, 64, 3, 1},   {28, 128, 128, 3, 1},
    {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1}, {56, 128, 128, 3, 2}, {56, 256, 512, 1, 2},
    {28, 1, 32, 3, 1},    {28, 32, 32, 3, 1},  {28, 32, 64, 3, 2},   {14, 64, 64, 3, 1},
    {14, 128, 128, 3, 1}, {28, 16, 16, 3, 1},
};

static void bench_conv(bench *b, const int *d, bool q8)
{
    int o = (d[0] + d[4] - 1) / d[4], pad = d[4] == 1 || d[3] == 1 ? d[3] / 2 : (d[3] - 1) / 2;
    adze_conv_shape s = {.n = 1,
                         .h = d[0],
                         .w = d[0],
                         .c = d[1],
                         .oh = o,
                         .ow = o,
                         .oc = d[2],
                         .kh = d[3],
                         .kw = d[3],
                         .stride_h = d[4],
                         .stride_w = d[4],
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .pad_top = pad,
                         .pad_left = pad,
                         .groups = 1};
    size_t inputs = (size_t)(s.h * s.w * s.c), outputs = (size_t)(o * o * d[2]);
    size_t weights = (size_t)(d[1] * d[2] * d[3] * d[3]);
    int threads = adze_pool_threads(b->pool);
    void *x = random_floats(b, inputs), *y = random_floats(b, outputs);
    void *w = random_floats(b, weights), *bias = adze_alloc((size_t)d[2], sizeof(float));
    float *scale = constant_floats((size_t)d[2], 0.0002f);
    void *scratch = adze_alloc(adze_conv_scratch_size(&b->kernels, &s, threads, 4), 1);
    void *packed = adze_alloc(adze_conv_f32_packed_size(&b->kernels, &s), 1);
    void *packed_q8 = adze_alloc(adze_conv_q8_packed_size(&b->kernels, &s), 1);
    convolution c = {.bench = b,
                     .f32 = {.shape = s,
                             .x = x,
                             .packed = packed,
                             .bias = bias,
                             .y = y,
                             .hi = 6,
                             .scratch = scratch},
                     .q8 = {.shape = s,
                            .x = x,
                            .packed = packed_q8,
                            .y = y,
                            .scratch = scratch,
                            .gemm = {.scale = scale, .bias = bias, .hi = 255}}};
    adze_conv_f32_pack(&b->kernels, &s, w, packed);
    adze_conv_q8_pack(&b->kernels, &s, w, packed_q8);
    char name[64];
    snprintf(name, sizeof name, "conv %s %dx%dx%d to %d, %dx%d / %d", q8 ? "q8" : "f32", d[0], d[0],
             d[1], d[2], d[3], d[3], d[4]);
    double operations = 2.0 * (double)weights * o * o;
    measure(b, name, &(work){q8 ? run_conv_q8 : run_conv_f32, &c, operations, q8});
    adze_free(x), adze_free(y), adze_free(w), adze_free(bias), adze_free(scale);
    adze_free(scratch), adze_free(packed), adze_free(packed_q8);
}

/* hw, channels, kernel, stride */
static const int depthwises[][4] = {
    {112, 32, 3, 1}, {112, 96, 3, 2}, {56, 144, 3, 1}, {28, 192, 3, 1},
    {14, 384, 3, 1}, {14, 576, 3, 2}, {7, 960, 3, 1},  {28, 32, 3, 1},
    {28, 24, 5, 1},  {14, 120, 5, 1}, {28, 72, 5, 2},
};

static void bench_dwconv(bench *b, const int *d, bool q8)
{
    int o = (d[0] + d[3] - 1) / d[3], pad = d[2] / 2;
    adze_dwconv_shape s = {.n = 1,
                           .h = d[0],
                           .w = d[0],
                           .c = d[1],
                           .oh = o,
                           .ow = o,
                           .kh = d[2],
                           .kw = d[2],
                           .stride_h = d[3],
                           .stride_w = d[3],
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .pad_top = pad,
                           .pad_left = pad};
    size_t inputs = (size_t)(s.h * s.w * s.c), weights = (size_t)(d[1] * d[2] * d[2]);
    void *x = random_floats(b, inputs), *y = random_floats(b, inputs);
    void *w = random_floats(b, weights), *bias = adze_alloc((size_t)d[1], sizeof(float));
    int16_t *w16 = adze_alloc(weights, sizeof *w16);
    for (size_t i = 0; i < weights; i++)
        w16[i] = (int8_t)adze_rng_u64(&b->rng);
    float *scale = constant_floats((size_t)d[1], 0.002f);
    convolution c = {.bench = b,
                     .dw_f32 = {.shape = s, .x = x, .weights = w, .bias = bias, .y = y, .hi = 6},
                     .dw_q8 = {.shape = s,
                               .x = x,
                               .x_zero = 3,
                               .weights = w16,
                               .bias = bias,
                               .scale = scale,
                               .y = y,
                               .hi = 255}};
    char name[64];
    snprintf(name, sizeof name, "dwconv %s %dx%dx%d, %dx%d / %d", q8 ? "q8" : "f32", d[0], d[0],
             d[1], d[2], d[2], d[3]);
    double operations = 2.0 * (double)weights * o * o;
    measure(b, name, &(work){q8 ? run_dwconv_q8 : run_dwconv_f32, &c, operations, q8});
    adze_free(x), adze_free(y), adze_free(w), adze_free(bias), adze_free(w16), adze_free(scale);
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = optind; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return optind == argc;
}

static void bench_level(bench *b, int argc, char **argv)
{
    adze_gemm_f32_init(&b->kernels.gemm_f32, b->kernels.level);
    adze_gemm_q8_init(&b->kernels.gemm_q8, b->kernels.level);
    adze_dwconv_init(&b->kernels.dwconv, b->kernels.level);
    printf("level %s, %d threads; per thread %.1f GFLOP/s, %.1f GOP/s in 8 bits\n",
           adze_cpu_level_name(b->kernels.level), adze_pool_threads(b->pool),
           1e-9 * bench_peak(b->kernels.level, false), 1e-9 * bench_peak(b->kernels.level, true));
    for (size_t i = 0; wanted(argc, argv, "f32") && i < ADZE_COUNT_OF(products); i++)
        bench_f32(b, products[i][0], products[i][1], products[i][2]);
    for (size_t i = 0; wanted(argc, argv, "q8") && i < ADZE_COUNT_OF(products); i++)
        bench_q8(b, products[i][0], products[i][1], products[i][2]);
    for (int q8 = 0; q8 < 2; q8++) {
        for (size_t i = 0; wanted(argc, argv, "conv") && i < ADZE_COUNT_OF(convolutions); i++)
            bench_conv(b, convolutions[i], q8);
        for (size_t i = 0; wanted(argc, argv, "dwconv") && i < ADZE_COUNT_OF(depthwises); i++)
            bench_dwconv(b, depthwises[i], q8);
    }
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    int threads = 1, option;
    while ((option = getopt(argc, argv, "l:t:")) != -1) {
        if (option == 'l')
            only = optarg;
        else if (option == 't')
            threads = atoi(optarg);
        else
            return 2;
    }
    bench b = {.rng = adze_rng_seed(1)};
    if (adze_pool_open(&b.pool, threads, NULL) != ADZE_OK)
        return 5;
    char cpu[96];
    printf("%s\n", adze_cpu_name(cpu));
    for (adze_cpu_level level = ADZE_CPU_REF; level <= ADZE_CPU_NEON; level++) {
        b.kernels.level = level;
        if (only ? strcmp(only, adze_cpu_level_name(level)) == 0 && adze_cpu_has(level)
                 : adze_cpu_has(level) && level != ADZE_CPU_REF)
            bench_level(&b, argc, argv);
    }
    adze_pool_close(&b.pool);
    return 0;
}
