/* Speed of the block codecs on one thread, in millions of elements per second, and the relative RMSE of
 * what was encoded, on normal random rows. Usage: adze-bench-blocks [-l LEVEL] [NAME PART]... */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/blocks.h"

enum { COLUMNS = 4096, ROWS = 16, RUNS = 5 };

typedef struct bench {
    float *source, *importance, *decoded;
    uint8_t *blocks;
    void *tables;
} bench;

/* Best time of a few calls over all rows, as millions of elements per second. */
static double speed_of(const bench *b, const adze_block_codec *codec, size_t row_bytes,
                       const float *importance, bool decode)
{
    double best = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        const double start = adze_now();
        for (int r = 0; r < ROWS; r++) {
            uint8_t *blocks = b->blocks + (size_t)r * row_bytes;
            if (decode)
                codec->decode(blocks, COLUMNS, b->decoded + r * COLUMNS);
            else
                codec->encode(b->source + r * COLUMNS, COLUMNS, importance, b->tables, blocks);
        }
        best = fmin(best, adze_now() - start);
    }
    return (double)ROWS * COLUMNS / best / 1e6;
}

static double error_of(const bench *b)
{
    double error = 0, all = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const double x = (double)b->source[i], e = x - (double)b->decoded[i];
        error += e * e;
        all += x * x;
    }
    return sqrt(error / all);
}

static void measure(const bench *b, adze_dtype type, const adze_block_codec *codec,
                    adze_cpu_level level)
{
    const adze_dtype_info *info = adze_dtype_describe(type);
    const size_t row_bytes = (size_t)(COLUMNS / info->block_size * info->block_bytes);
    printf("%-9s %-7s", info->name, adze_cpu_level_name(level));
    if (codec->tables_init)
        codec->tables_init(b->tables);
    if (codec->encode) {
        printf(" encode %8.1f",
               codec->needs_importance ? NAN : speed_of(b, codec, row_bytes, NULL, false));
        printf(" with importance %8.1f", speed_of(b, codec, row_bytes, b->importance, false));
        if (!codec->needs_importance)
            speed_of(b, codec, row_bytes, NULL, false);
    }
    const double decode = speed_of(b, codec, row_bytes, NULL, true);
    printf(" decode %8.1f M/s", decode);
    if (codec->encode)
        printf("  relative rmse %.5f", error_of(b));
    printf("\n");
    fflush(stdout);
}

static bool wanted(const char *name, int count, char **parts)
{
    for (int i = 0; i < count; i++)
        if (strstr(name, parts[i]))
            return true;
    return count == 0;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    for (int c; (c = getopt(argc, argv, "l:")) != -1;)
        if (c == 'l')
            only = optarg;
        else
            return 2;
    const size_t count = (size_t)ROWS * COLUMNS;
    bench b = {adze_alloc(count, sizeof(float)), adze_alloc(COLUMNS, sizeof(float)),
               adze_alloc(count, sizeof(float)), adze_alloc(count, sizeof(float)), NULL};
    if (!b.source || !b.importance || !b.decoded || !b.blocks)
        return 1;
    adze_rng rng = adze_rng_seed(1);
    for (size_t i = 0; i < count; i++)
        b.source[i] = (float)adze_rng_normal(&rng);
    for (size_t i = 0; i < COLUMNS; i++)
        b.importance[i] = (float)exp(1.5 * adze_rng_normal(&rng));
    for (adze_cpu_level level = 0; level <= ADZE_CPU_NEON; level++) {
        if (!adze_cpu_has(level) || (only && strcmp(only, adze_cpu_level_name(level)) != 0))
            continue;
        adze_blocks_table table;
        adze_blocks_init(&table, level);
        for (adze_dtype type = 0; type < ADZE_DTYPE_COUNT; type++) {
            const adze_block_codec *codec = &table.codec[type];
            if (!codec->decode ||
                !wanted(adze_dtype_describe(type)->name, argc - optind, argv + optind))
                continue;
            b.tables = codec->tables_size > 0 ? adze_alloc(1, codec->tables_size) : NULL;
            measure(&b, type, codec, level);
            adze_free(b.tables);
        }
    }
    adze_free(b.source);
    adze_free(b.importance);
    adze_free(b.decoded);
    adze_free(b.blocks);
    return 0;
}
