/* The block formats against ggml's own bytes (conformance/ggml-quants of the test data): every format
 * that has a decoder, at every level, exactly. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel_check.h"
#include "kernels/blocks.h"

enum { ROWS = 64, COLUMNS = 4096 };

/* The whole of a file of the folder, ending at a guard page; NULL: there is none. */
static void *slurp(const char *folder, const char *type, const char *suffix, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/ggml-quants/%s%s", folder, type, suffix);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *out = test_guard_alloc(*size, NULL);
    CHECK_EQ(fread(out, 1, *size, file), *size);
    fclose(file);
    return out;
}

static int check_decoding(const adze_blocks_table *table, adze_cpu_level level, const char *folder,
                          const char *bytes_suffix, const char *floats_suffix)
{
    int checked = 0;
    for (adze_dtype type = 0; type < ADZE_DTYPE_COUNT; type++) {
        const adze_dtype_info *info = adze_dtype_describe(type);
        const char *name = type == ADZE_F16 ? "f16" : type == ADZE_BF16 ? "bf16" : info->name;
        size_t size, floats_size;
        const void *bytes = slurp(folder, name, bytes_suffix, &size);
        if (!bytes)
            continue;
        if (!table->codec[type].decode)
            continue;
        const float *expected = slurp(folder, name, floats_suffix, &floats_size);
        CHECK(expected != NULL);
        const int64_t n = (int64_t)(size / (size_t)info->block_bytes) * info->block_size;
        CHECK_EQ(floats_size, (size_t)n * sizeof(float));
        float *actual = test_guard_alloc(floats_size, NULL);
        table->codec[type].decode(bytes, n, actual);
        check_same(name, level, actual, expected, n);
        checked++;
    }
    return checked;
}

TEST(decoding_is_exact)
{
    const char *folder = test_need_unpacked("conformance/ggml-quants.tar.xz");
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_blocks_table table;
        adze_blocks_init(&table, level);
        CHECK(check_decoding(&table, level, folder, ".q", ".deq.f32") >= 17);
        CHECK(check_decoding(&table, level, folder, ".imat.q", ".imat.deq.f32") >= 15);
        CHECK(check_decoding(&table, level, folder, ".rand.q", ".rand.deq.f32") >= 17);
    }
}

/* Formats whose bytes follow from the definition alone. */
TEST(encoding_gives_the_bytes)
{
    static const struct {
        adze_dtype type;
        const char *name, *suffix;
    } formats[] = {
        {ADZE_F16, "f16", ".q"},     {ADZE_BF16, "bf16", ".q"},     {ADZE_Q4_0, "q4_0", ".q"},
        {ADZE_Q4_1, "q4_1", ".q"},   {ADZE_Q5_0, "q5_0", ".q"},     {ADZE_Q5_1, "q5_1", ".q"},
        {ADZE_Q8_0, "q8_0", ".q"},   {ADZE_Q8_1, "q8_1", ".ref.q"}, {ADZE_TQ1_0, "tq1_0", ".q"},
        {ADZE_TQ2_0, "tq2_0", ".q"}, {ADZE_MXFP4, "mxfp4", ".q"}};
    const char *folder = test_need_unpacked("conformance/ggml-quants.tar.xz");
    size_t size = 0, input_size = 0;
    const float *input = slurp(folder, "input.f32", "", &input_size);
    CHECK_EQ(input_size, ROWS * COLUMNS * sizeof(float));
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_blocks_table table;
        adze_blocks_init(&table, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(formats); i++) {
            const uint8_t *expected = slurp(folder, formats[i].name, formats[i].suffix, &size);
            CHECK(expected);
            const size_t row = size / ROWS;
            for (int r = 0; r < ROWS; r++) {
                uint8_t actual[4 * COLUMNS];
                table.codec[formats[i].type].encode(input + r * COLUMNS, COLUMNS, NULL, NULL,
                                                    actual);
                for (size_t k = 0; k < row; k++)
                    if (actual[k] != expected[(size_t)r * row + k])
                        FAIL("%s at %s: byte %zu of row %d is 0x%02x, expected 0x%02x",
                             formats[i].name, adze_cpu_level_name(level), k, r, actual[k],
                             expected[(size_t)r * row + k]);
            }
        }
    }
}

/* Sums over one row of w (a - x)^2, w 1 or the importance of the column. */
static double error_of(const float *x, const float *a, const float *importance)
{
    double sum = 0;
    for (int i = 0; i < COLUMNS; i++) {
        const double e = (double)a[i] - (double)x[i];
        sum += e * e * (importance ? (double)importance[i] : 1.0);
    }
    return sum;
}

/* Rows 0 to 39 are normal ones: there the error is at most 1.002 times ggml's, over all of them and,
 * but for a little, in each. Others must be finite, zeros zeros. Row 54 is of denormals. */
static void check_errors(const adze_block_codec *codec, const char *name, const float *input,
                         const float *importance, const uint8_t *theirs, size_t row_size)
{
    double ours_sum = 0, theirs_sum = 0, size_sum = 0;
    for (int r = 0; r < ROWS; r++) {
        uint8_t bytes[2 * COLUMNS];
        float actual[COLUMNS], expected[COLUMNS];
        const float *x = input + r * COLUMNS;
        codec->encode(x, COLUMNS, importance, NULL, bytes);
        codec->decode(bytes, COLUMNS, actual);
        codec->decode(theirs + (size_t)r * row_size, COLUMNS, expected);
        bool zero = true;
        for (int i = 0; i < COLUMNS; i++)
            zero = zero && x[i] == 0.0f;
        for (int i = 0; i < COLUMNS; i++)
            CHECK(zero ? actual[i] == 0.0f : isfinite(actual[i]));
        if (r >= 40)
            continue;
        const double a = error_of(x, actual, importance), b = error_of(x, expected, importance);
        if (a > b * 1.05)
            FAIL("%s row %d: error %g, ggml's %g", name, r, sqrt(a), sqrt(b));
        ours_sum += a;
        theirs_sum += b;
        size_sum += error_of(x, (float[COLUMNS]){0}, importance);
    }
    if (sqrt(ours_sum) > sqrt(theirs_sum) * 1.002)
        FAIL("%s%s: relative error %g, ggml's %g", name, importance ? " with importance" : "",
             sqrt(ours_sum / size_sum), sqrt(theirs_sum / size_sum));
}

TEST(encoding_errs_no_more_than_ggml)
{
    static const struct {
        adze_dtype type;
        const char *name;
    } formats[] = {{ADZE_Q4_0, "q4_0"},  {ADZE_Q4_1, "q4_1"},   {ADZE_Q5_0, "q5_0"},
                   {ADZE_Q5_1, "q5_1"},  {ADZE_Q8_0, "q8_0"},   {ADZE_Q2_K, "q2_K"},
                   {ADZE_Q3_K, "q3_K"},  {ADZE_Q4_K, "q4_K"},   {ADZE_Q5_K, "q5_K"},
                   {ADZE_Q6_K, "q6_K"},  {ADZE_MXFP4, "mxfp4"}, {ADZE_TQ1_0, "tq1_0"},
                   {ADZE_TQ2_0, "tq2_0"}};
    const char *folder = test_need_unpacked("conformance/ggml-quants.tar.xz");
    size_t size;
    const float *input = slurp(folder, "input.f32", "", &size);
    const float *importance = slurp(folder, "imatrix.f32", "", &size);
    CHECK_EQ(size, COLUMNS * sizeof(float));
    adze_blocks_table table;
    adze_blocks_init(&table, adze_cpu_has(ADZE_CPU_AVX2) ? ADZE_CPU_AVX2 : ADZE_CPU_REF);
    for (size_t i = 0; i < ADZE_COUNT_OF(formats); i++) {
        const adze_block_codec *codec = &table.codec[formats[i].type];
        const uint8_t *theirs = slurp(folder, formats[i].name, ".q", &size);
        check_errors(codec, formats[i].name, input, NULL, theirs, size / ROWS);
        theirs = slurp(folder, formats[i].name, ".imat.q", &size);
        check_errors(codec, formats[i].name, input, importance, theirs, size / ROWS);
    }
}
