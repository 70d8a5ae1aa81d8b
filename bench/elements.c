/* Speed of the element-wise, row and pooling kernels on one thread, in bytes read and written per
 * second, beside what this machine copies (memcpy of as many bytes) at the same moment: in the first
 * cache and from memory. Usage: adze-bench-elements [-l LEVEL] [NAME PART]... */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { RUNS = 9, SMALL = 2048, LARGE = 1 << 23 }; /* floats */

typedef struct bench {
    adze_eltwise_table eltwise;
    adze_pool_table pool;
    adze_rows_table rows;
    adze_cpu_level level;
    int argc;
    char **argv;
    int64_t n;
    float *a, *b, *y; /* [LARGE] */
    int op, form;     /* of the case that runs */
    adze_q8_binary_args q8;
    adze_pool_f32_args pool_f32;
    adze_pool_q8_args pool_q8;
    uint8_t table[256];
} bench;

/* One entry: a call on b->n elements; bytes that it reads and writes for one element. */
typedef struct entry {
    const char *name;
    void (*run)(bench *b);
    double bytes;
} entry;

static double seconds_of(bench *b, void (*run)(bench *), int repeats)
{
    const double start = adze_now();
    for (int i = 0; i < repeats; i++)
        run(b);
    return (adze_now() - start) / repeats;
}

static void run_copy(bench *b)
{
    memcpy(b->y, b->a, (size_t)b->n * sizeof *b->y);
}

/* Best seconds of run; *copy: of a copy of n floats (8 n bytes moved), by turns. */
static double measure(bench *b, void (*run)(bench *), double *copy)
{
    const double once = seconds_of(b, run, 1);
    const int repeats = once > 0.002 ? 1 : (int)(0.002 / (once + 1e-8));
    const int copy_repeats = b->n <= SMALL ? 2000 : 1;
    double best = INFINITY;
    *copy = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        const double copied = seconds_of(b, run_copy, copy_repeats);
        const double mine = seconds_of(b, run, repeats);
        *copy = ADZE_MIN(*copy, copied);
        best = ADZE_MIN(best, mine);
    }
    return best;
}

static bool wanted(const bench *b, const char *name)
{
    for (int i = optind; i < b->argc; i++)
        if (strstr(name, b->argv[i]) != NULL)
            return true;
    return optind == b->argc;
}

static void report(bench *b, const entry *e)
{
    if (!wanted(b, e->name))
        return;
    double copy_small, copy_large;
    b->n = SMALL;
    const double small = measure(b, e->run, &copy_small);
    b->n = LARGE;
    const double large = measure(b, e->run, &copy_large);
    printf("%-8s %-24s %7.3f ns/element %7.1f GB/s in cache %6.1f GB/s memory (%3.0f %% of copy)\n",
           adze_cpu_level_name(b->level), e->name, 1e9 * small / SMALL,
           1e-9 * e->bytes * SMALL / small, 1e-9 * e->bytes * LARGE / large,
           100 * (e->bytes * LARGE / large) / (8.0 * LARGE / copy_large));
    fflush(stdout);
}

static void run_binary(bench *b)
{
    b->eltwise.binary[b->op][b->form](b->n, b->a, b->b, b->y);
}

static void run_square(bench *b)
{
    const float two = 2;
    b->eltwise.binary[ADZE_BINARY_POW][ADZE_FORM_VS](b->n, b->a, &two, b->y);
}

static void run_unary(bench *b)
{
    b->eltwise.unary[b->op](b->n, b->a, b->y, 0.1f, 0.5f);
}

static float result; /* keeps reductions alive */

static void run_reduce(bench *b)
{
    result = b->rows.reduce[b->op](b->n, b->a);
}

#define RUN(name, call)                                                                            \
    static void run_##name(bench *b)                                                               \
    {                                                                                              \
        call;                                                                                      \
    }
RUN(quantize_u8, b->eltwise.quantize_u8(b->n, b->a, 0.01f, 128, (uint8_t *)b->y))
RUN(quantize_i8, b->eltwise.quantize_i8(b->n, b->a, 0.01f, 0, (int8_t *)b->y))
RUN(quantize_i16, b->eltwise.quantize_i16(b->n, b->a, 0.01f, 0, (int16_t *)b->y))
RUN(fake_quantize, b->eltwise.fake_quantize(b->n, b->a, 0.01f, 128, 0, 255, b->y))
RUN(dequantize_u8, b->eltwise.dequantize_u8(b->n, (uint8_t *)b->a, 0.01f, 128, b->y))
RUN(dequantize_i8, b->eltwise.dequantize_i8(b->n, (int8_t *)b->a, 0.01f, 0, b->y))
RUN(dequantize_i32, b->eltwise.dequantize_i32(b->n, (int32_t *)b->a, 0.01f, 0, b->y))
RUN(requantize, b->eltwise.requantize(b->n, (int32_t *)b->a, b->b, 3, 0, 255, (uint8_t *)b->y))
RUN(lookup, b->eltwise.lookup(b->n, (uint8_t *)b->a, b->table, (uint8_t *)b->y))
RUN(f16_to_f32, b->eltwise.f16_to_f32(b->n, (uint16_t *)b->a, b->y))
RUN(f32_to_f16, b->eltwise.f32_to_f16(b->n, b->a, (uint16_t *)b->y))
RUN(bf16_to_f32, b->eltwise.bf16_to_f32(b->n, (uint16_t *)b->a, b->y))
RUN(f32_to_bf16, b->eltwise.f32_to_bf16(b->n, b->a, (uint16_t *)b->y))
RUN(range, b->eltwise.range(b->n, b->a, &b->y[0], &b->y[1]))
RUN(sum_u8, b->q8.lo = b->eltwise.sum_u8(b->n, (uint8_t *)b->a, 0x80))
RUN(softmax, b->rows.softmax(b->n, b->a, b->y))
RUN(log_softmax, b->rows.log_softmax(b->n, b->a, b->y))
RUN(layer_norm, b->rows.layer_norm(b->n, b->a, b->b, b->b, 1e-5f, b->y))
RUN(rms_norm, b->rows.rms_norm(b->n, b->a, b->b, 1e-5f, b->y))
RUN(dot, result = b->rows.dot(b->n, b->a, b->b))
RUN(argmax, result = (float)b->rows.argmax(b->n, b->a))
RUN(transpose_1, adze_transpose(&b->rows, 1, 64, b->n / 64, b->a, b->y))
RUN(transpose_2, adze_transpose(&b->rows, 2, 64, b->n / 64, b->a, b->y))
RUN(transpose_4, adze_transpose(&b->rows, 4, 64, b->n / 64, b->a, b->y))
RUN(transpose_8, adze_transpose(&b->rows, 8, 64, b->n / 128, b->a, b->y))
RUN(transpose_4_back, adze_transpose(&b->rows, 4, b->n / 64, 64, b->a, b->y))
RUN(transpose_4_picture, adze_transpose(&b->rows, 4, 3, b->n / 3, b->a, b->y))
RUN(transpose_1_picture, adze_transpose(&b->rows, 1, 3, b->n / 3, b->a, b->y))
RUN(transpose_4_3_back, adze_transpose(&b->rows, 4, b->n / 3, 3, b->a, b->y))
RUN(global_average_f32, b->pool.global_average_f32(b->n / 64, 64, b->a, 64, b->y))

static void run_global_average_q8(bench *b)
{
    b->pool.global_average_q8(&(adze_global_pool_q8_args){.hw = b->n / 64,
                                                          .c = 64,
                                                          .x = (uint8_t *)b->a,
                                                          .ldx = 64,
                                                          .y = (uint8_t *)b->y,
                                                          .x_zero = 3,
                                                          .hi = 255,
                                                          .scale = 1.5f});
}

static void set_q8(bench *b, bool b_scalar)
{
    b->q8 = (adze_q8_binary_args){.n = b->n,
                                  .a = (uint8_t *)b->a,
                                  .b = (uint8_t *)b->b,
                                  .y = (uint8_t *)b->y,
                                  .b_scalar = b_scalar,
                                  .a_zero = 120,
                                  .b_zero = 130,
                                  .y_zero = 3,
                                  .hi = 255,
                                  .a_scale = 0.7f,
                                  .b_scale = 0.4f};
}

RUN(q8_add, (set_q8(b, false), b->eltwise.q8_add(&b->q8)))
RUN(q8_add_scalar, (set_q8(b, true), b->eltwise.q8_add(&b->q8)))
RUN(q8_mul, (set_q8(b, false), b->eltwise.q8_mul(&b->q8)))

static const entry entries[] = {
    {"pow 2", run_square, 8},
    {"quantize_u8", run_quantize_u8, 5},
    {"quantize_i8", run_quantize_i8, 5},
    {"quantize_i16", run_quantize_i16, 6},
    {"fake_quantize", run_fake_quantize, 8},
    {"dequantize_u8", run_dequantize_u8, 5},
    {"dequantize_i8", run_dequantize_i8, 5},
    {"dequantize_i32", run_dequantize_i32, 8},
    {"requantize", run_requantize, 9},
    {"q8_add", run_q8_add, 3},
    {"q8_add_scalar", run_q8_add_scalar, 2},
    {"q8_mul", run_q8_mul, 3},
    {"lookup", run_lookup, 2},
    {"f16_to_f32", run_f16_to_f32, 6},
    {"f32_to_f16", run_f32_to_f16, 6},
    {"bf16_to_f32", run_bf16_to_f32, 6},
    {"f32_to_bf16", run_f32_to_bf16, 6},
    {"range", run_range, 4},
    {"sum_u8", run_sum_u8, 1},
    {"softmax", run_softmax, 8},
    {"log_softmax", run_log_softmax, 8},
    {"layer_norm", run_layer_norm, 16},
    {"rms_norm", run_rms_norm, 12},
    {"dot", run_dot, 8},
    {"argmax", run_argmax, 4},
    {"transpose_1", run_transpose_1, 2},
    {"transpose_2", run_transpose_2, 4},
    {"transpose_4", run_transpose_4, 8},
    {"transpose_8", run_transpose_8, 8},
    {"transpose_4_back", run_transpose_4_back, 8},
    {"transpose_4_picture", run_transpose_4_picture, 8},
    {"transpose_1_picture", run_transpose_1_picture, 2},
    {"transpose_4_3_back", run_transpose_4_3_back, 8},
    {"global_average_f32", run_global_average_f32, 4},
    {"global_average_q8", run_global_average_q8, 1},
};

/* hw, channels, kernel, stride */
static const int windows[][4] = {
    {112, 64, 3, 2}, {56, 64, 2, 2}, {28, 32, 2, 2},  {28, 16, 3, 1},  {28, 24, 3, 1},
    {28, 8, 3, 1},   {28, 3, 3, 1},  {14, 512, 3, 1}, {28, 192, 5, 1},
};

static void report_window(bench *b, const int *d, int kind)
{
    static const char *const kinds[] = {"max f32", "average f32", "max q8", "average q8"};
    const int o = (d[0] + d[3] - 1) / d[3];
    char name[64];
    snprintf(name, sizeof name, "pool %s %dx%dx%d %d/%d", kinds[kind], d[0], d[0], d[1], d[2],
             d[3]);
    if (!wanted(b, name))
        return;
    const adze_pool_shape s = {1, d[0], d[0], d[1],           o, o, d[2], d[2], d[3], d[3],
                               1, 1,    0,    (d[2] - 1) / 2, 0, 0};
    const adze_pool_f32_args f = {s, b->a, b->y, false};
    const adze_pool_q8_args q = {.shape = s,
                                 .x = (uint8_t *)b->a,
                                 .y = (uint8_t *)b->y,
                                 .x_zero = 3,
                                 .hi = 255,
                                 .scale = 1.1f};
    double best = 1e9;
    for (int run = 0; run < 30; run++) {
        const double start = adze_now();
        switch (kind) {
        case 0: adze_pool_max_f32(&b->pool, NULL, &f); break;
        case 1: adze_pool_average_f32(&b->pool, NULL, &f); break;
        case 2: adze_pool_max_q8(&b->pool, NULL, &q); break;
        default: adze_pool_average_q8(&b->pool, NULL, &q); break;
        }
        best = ADZE_MIN(best, adze_now() - start);
    }
    const double taps = (double)o * o * d[1] * d[2] * d[2];
    printf("%-8s %-36s %8.1f us %7.3f ns/tap %7.1f GB/s of taps\n", adze_cpu_level_name(b->level),
           name, 1e6 * best, 1e9 * best / taps, 1e-9 * taps * (kind < 2 ? 4 : 1) / best);
}

static void report_level(bench *b)
{
    char name[64];
    for (b->op = 0; b->op < ADZE_BINARY_COUNT; b->op++)
        for (b->form = 0; b->form < ADZE_FORM_COUNT; b->form++) {
            snprintf(name, sizeof name, "%s %s", adze_binary_name((adze_binary)b->op),
                     b->form == ADZE_FORM_VV   ? "vv"
                     : b->form == ADZE_FORM_VS ? "vs"
                                               : "sv");
            report(b, &(entry){name, run_binary, b->form == ADZE_FORM_VV ? 12 : 8});
        }
    for (b->op = 0; b->op < ADZE_UNARY_COUNT; b->op++)
        report(b, &(entry){adze_unary_name((adze_unary)b->op), run_unary, 8});
    for (b->op = 0; b->op < ADZE_REDUCE_COUNT; b->op++) {
        snprintf(name, sizeof name, "reduce %s", adze_reduce_name((adze_reduce)b->op));
        report(b, &(entry){name, run_reduce, 4});
    }
    for (size_t i = 0; i < ADZE_COUNT_OF(entries); i++)
        report(b, &entries[i]);
    for (int kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < ADZE_COUNT_OF(windows); i++)
            report_window(b, windows[i], kind);
}

static float *random_floats(size_t count, adze_rng *rng)
{
    float *out = adze_alloc(count, sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++)
        out[i] = 4 * (float)adze_rng_f64(rng) - 2;
    return out;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    int option;
    while ((option = getopt(argc, argv, "l:")) != -1) {
        if (option != 'l')
            return 2;
        only = optarg;
    }
    adze_rng rng = adze_rng_seed(1);
    bench b = {.argc = argc,
               .argv = argv,
               .a = random_floats(LARGE, &rng),
               .b = random_floats(LARGE, &rng),
               .y = random_floats(LARGE, &rng)};
    char cpu[96];
    printf("%s, one thread\n", adze_cpu_name(cpu));
    for (adze_cpu_level level = ADZE_CPU_REF; level <= ADZE_CPU_NEON; level++) {
        if (!adze_cpu_has(level) || (only && strcmp(only, adze_cpu_level_name(level)) != 0))
            continue;
        b.level = level;
        adze_eltwise_init(&b.eltwise, level);
        adze_rows_init(&b.rows, level);
        adze_pool_init(&b.pool, level);
        report_level(&b);
    }
    adze_free(b.a), adze_free(b.b), adze_free(b.y);
    return result == 0.123f; /* never: keeps the reductions alive */
}
