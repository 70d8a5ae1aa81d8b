/* The codecs of block formats at every level: the bytes and the bits of the reference, on random rows
 * and on rows that are hard; nothing is read or written past the end. */
#include <stdio.h>
#include "kernel_check.h"
#include "kernels/blocks.h"

static const adze_dtype types[] = {
    ADZE_F32,  ADZE_F16,   ADZE_BF16,  ADZE_Q4_0,  ADZE_Q4_1,  ADZE_Q5_0, ADZE_Q5_1,
    ADZE_Q8_0, ADZE_Q8_1,  ADZE_Q2_K,  ADZE_Q3_K,  ADZE_Q4_K,  ADZE_Q5_K, ADZE_Q6_K,
    ADZE_Q8_K, ADZE_TQ1_0, ADZE_TQ2_0, ADZE_MXFP4, ADZE_NVFP4, ADZE_Q1_0, ADZE_Q2_0};

enum row_kind {
    NORMAL,
    ZEROS,
    MINUS_ZEROS,
    CONSTANT,
    NEGATIVE,
    ALTERNATING,
    OUTLIER,
    ONE_SIDED,
    HUGE_ONES,
    TINY,
    DENORMAL,
    ALL_SIZES,
    TIES,
    ROW_KINDS
};

static float normal(uint64_t *seed)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (float)(test_random(seed) >> 40) * 0x1p-24f - 0.5f;
    return sum;
}

static float element(enum row_kind kind, int64_t i, uint64_t *seed)
{
    const float x = normal(seed);
    switch (kind) {
    case NORMAL: return x;
    case ZEROS: return 0.0f;
    case MINUS_ZEROS: return -0.0f;
    case CONSTANT: return 0.7f;
    case NEGATIVE: return -0.7f;
    case ALTERNATING: return i % 2 ? -1.0f : 1.0f;
    case OUTLIER: return i == 77 || i == 20 ? 1000.0f : x;
    case ONE_SIDED: return fabsf(x) + 0.01f;
    case HUGE_ONES: return x * 5e37f;
    case TINY: return x * 1e-6f;
    case DENORMAL: return x * 1e-40f;
    case ALL_SIZES: return x * exp2f((float)check_between(-40, 20, seed));
    case TIES: return (float)check_between(-16, 16, seed) * 0.5f;
    default: return x;
    }
}

/* NULL, random, spiky, mostly zero, all zero. */
static float *importance_of(int kind, int64_t n, uint64_t *seed)
{
    if (kind == 0)
        return NULL;
    float *out = check_passing_floats((size_t)n, seed);
    for (int64_t i = 0; i < n; i++)
        out[i] = kind == 1   ? 0.5f + fabsf(out[i])
                 : kind == 2 ? exp2f(20.0f * out[i])
                 : kind == 3 ? (i % 11 == 0 ? 1e-30f : 0.0f)
                             : 0.0f;
    return out;
}

static void check_row(const adze_block_codec *reference, const adze_block_codec *codec,
                      adze_dtype type, adze_cpu_level level, enum row_kind kind, uint64_t *seed)
{
    const adze_dtype_info *info = adze_dtype_describe(type);
    const int64_t blocks = check_between(1, info->block_size > 32 ? 3 : 19, seed);
    const int64_t n = blocks * info->block_size;
    const size_t size = (size_t)blocks * (size_t)info->block_bytes;
    void *base;
    float *row = test_guard_alloc((size_t)n * sizeof *row, &base);
    for (int64_t i = 0; i < n; i++)
        row[i] = element(kind, i, seed);
    for (int weights = 0; weights < 5; weights++) {
        const float *importance = importance_of(weights, n, seed);
        uint8_t *expected = check_passing_bytes(size, seed);
        uint8_t *actual = check_passing_bytes(size, seed);
        reference->encode(row, n, importance, NULL, expected);
        codec->encode(row, n, importance, NULL, actual);
        for (size_t i = 0; i < size; i++)
            if (actual[i] != expected[i])
                FAIL("%s at %s, row %d, importance %d: byte %zu of %zu is 0x%02x, expected 0x%02x",
                     info->name, adze_cpu_level_name(level), kind, weights, i, size, actual[i],
                     expected[i]);
        float *decoded = check_passing_floats((size_t)n, seed);
        codec->decode(actual, n, decoded);
        for (int64_t i = 0; i < n; i++) {
            CHECK(isfinite(decoded[i]) || type == ADZE_F16);
            if (kind == ZEROS || kind == MINUS_ZEROS)
                CHECK(decoded[i] == 0.0f);
        }
    }
    test_guard_free(base);
}

TEST(encoding_is_the_same_at_every_level)
{
    uint64_t seed = 7;
    adze_blocks_table reference, table;
    adze_blocks_init(&reference, ADZE_CPU_REF);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_blocks_init(&table, level);
        for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
            for (enum row_kind kind = 0; kind < ROW_KINDS; kind++)
                for (int repeat = 0; repeat < 3 && reference.codec[types[t]].encode; repeat++)
                    check_row(&reference.codec[types[t]], &table.codec[types[t]], types[t], level,
                              kind, &seed);
    }
}

/* One input is a thousand times the others, as models have it at the beginning of a text: its column matters a
 * million times as much, yet the others must stay what they are. */
TEST(one_enormous_column_leaves_the_others_alone)
{
    enum { N = 256 * 32, HEAVY = 77 };
    uint64_t seed = 9;
    adze_blocks_table table;
    float *row = check_passing_floats(N, &seed), *decoded = check_passing_floats(N, &seed);
    float *importance = check_passing_floats(N, &seed);
    adze_blocks_init(&table, adze_cpu_detect());
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++) {
        const adze_block_codec *codec = &table.codec[types[t]];
        if (!codec->encode || types[t] == ADZE_Q8_1 || types[t] == ADZE_Q8_K)
            continue;
        for (int64_t i = 0; i < N; i++) {
            row[i] = normal(&seed);
            importance[i] = i % 256 == HEAVY ? 1e4f : 1e-2f * (1.5f + sinf((float)i));
        }
        uint8_t *bytes = check_passing_bytes(N * 4, &seed);
        double error[2] = {0};
        for (int with = 0; with < 2; with++) {
            codec->encode(row, N, with ? importance : NULL, NULL, bytes);
            codec->decode(bytes, N, decoded);
            for (int64_t i = 0; i < N; i++)
                if (i % 256 / 32 == HEAVY / 32 && i % 256 != HEAVY)
                    error[with] += (decoded[i] - row[i]) * (decoded[i] - row[i]);
        }
        if (error[1] > 4 * error[0] + 1e-12)
            FAIL("%s: squared error %g with the matrix, %g without",
                 adze_dtype_describe(types[t])->name, error[1], error[0]);
    }
}

TEST(decoding_is_the_same_at_every_level)
{
    uint64_t seed = 8;
    adze_blocks_table reference, table;
    adze_blocks_init(&reference, ADZE_CPU_REF);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_blocks_init(&table, level);
        for (size_t t = 0; t < ADZE_COUNT_OF(types); t++) {
            const adze_dtype_info *info = adze_dtype_describe(types[t]);
            for (int64_t blocks = 1; blocks < 12; blocks++) {
                const int64_t n = blocks * info->block_size;
                const void *bytes =
                    check_passing_bytes((size_t)blocks * (size_t)info->block_bytes, &seed);
                float *expected = check_passing_floats((size_t)n, &seed);
                float *actual = check_passing_floats((size_t)n, &seed);
                reference.codec[types[t]].decode(bytes, n, expected);
                table.codec[types[t]].decode(bytes, n, actual);
                check_same(info->name, level, actual, expected, n);
            }
        }
    }
}

static const void *take(const uint8_t **at, const uint8_t *end, size_t size)
{
    CHECK(size <= (size_t)(end - *at));
    void *out = test_guard_alloc(size, NULL);
    memcpy(out, *at, size);
    *at += size;
    return out;
}

static double sum_of_squares(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* One format of the golden file: decoded exactly, and encoded with no more error than there. */
static void check_golden(const adze_blocks_table *table, adze_cpu_level level, const float *row,
                         const uint8_t **at, const uint8_t *end)
{
    char name[9] = {0};
    uint32_t n, size;
    memcpy(name, take(at, end, 8), 8);
    memcpy(&n, take(at, end, 4), 4);
    memcpy(&size, take(at, end, 4), 4);
    const adze_block_codec *codec = &table->codec[adze_dtype_from_name(name)];
    CHECK(codec->decode != NULL);
    const void *theirs = take(at, end, size);
    const float *floats = take(at, end, n * sizeof(float));
    const void *random = take(at, end, size);
    const float *random_floats = take(at, end, n * sizeof(float));
    float *actual = test_guard_alloc(n * sizeof(float), NULL);
    codec->decode(theirs, n, actual);
    check_same(name, level, actual, floats, n);
    codec->decode(random, n, actual);
    check_same(name, level, actual, random_floats, n);
    if (!codec->encode)
        return;
    uint8_t *bytes = test_guard_alloc(size, NULL);
    codec->encode(row, n, NULL, NULL, bytes);
    codec->decode(bytes, n, actual);
    if (strstr(name, "_K")) {
        if (sum_of_squares(row, actual, n) > sum_of_squares(row, floats, n) * 1.004)
            FAIL("%s at %s: more error than ggml's", name, adze_cpu_level_name(level));
    } else {
        CHECK_BYTES(bytes, theirs, size);
    }
}

TEST(golden_blocks_of_ggml)
{
    FILE *file = fopen(test_source_path("tests/golden/blocks/blocks.bin"), "rb");
    CHECK(file != NULL);
    static uint8_t all[1 << 17];
    const size_t size = fread(all, 1, sizeof all, file);
    fclose(file);
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        const uint8_t *at = all, *end = all + size;
        uint32_t formats, n;
        CHECK_BYTES(take(&at, end, 4), "blk1", 4);
        memcpy(&formats, take(&at, end, 4), 4);
        memcpy(&n, take(&at, end, 4), 4);
        const float *row = take(&at, end, n * sizeof(float));
        adze_blocks_table table;
        adze_blocks_init(&table, level);
        for (uint32_t i = 0; i < formats; i++)
            check_golden(&table, level, row, &at, end);
        CHECK(at == end);
    }
}
