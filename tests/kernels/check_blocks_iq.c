/* The IQ block formats: every level gives the bytes of the reference, whatever the rows, and touches
 * nothing else; against ggml: random blocks mean the same, and our encoding is at least as near. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel_check.h"
#include "kernels/blocks.h"

enum { COLUMNS = 512, RANDOM_BLOCKS = 2 };

/* In the order of tests/golden/blocks-iq/make.py. */
static const adze_dtype formats[] = {ADZE_IQ1_S,  ADZE_IQ1_M,  ADZE_IQ2_XXS,
                                     ADZE_IQ2_XS, ADZE_IQ2_S,  ADZE_IQ3_XXS,
                                     ADZE_IQ3_S,  ADZE_IQ4_NL, ADZE_IQ4_XS};

static size_t row_bytes(adze_dtype type, int64_t n)
{
    return adze_dtype_bytes(type, n);
}

/* The encoder's tables, ending at a guard page; NULL where it has none. */
static const void *make_tables(const adze_block_codec *codec)
{
    if (codec->tables_size == 0)
        return NULL;
    void *tables = test_guard_alloc(codec->tables_size, NULL);
    codec->tables_init(tables);
    return tables;
}

typedef enum row_kind {
    ROW_NORMAL,
    ROW_ZERO,
    ROW_NEGATIVE_ZERO,
    ROW_CONSTANT,
    ROW_ALTERNATING,
    ROW_HUGE,
    ROW_TINY,
    ROW_DENORMAL,
    ROW_SPIKE,
    ROW_OUTLIERS,
    ROW_ALL_SIZES,
    ROW_HALF_ZERO,
    ROW_KINDS
} row_kind;

static void fill_row(row_kind kind, float *x, uint64_t *seed)
{
    test_random_floats(x, COLUMNS, -1, 1, test_random(seed));
    for (int i = 0; i < COLUMNS; i++)
        switch (kind) {
        case ROW_NORMAL:
        case ROW_KINDS: break;
        case ROW_ZERO: x[i] = 0.0f; break;
        case ROW_NEGATIVE_ZERO: x[i] = -0.0f; break;
        case ROW_CONSTANT: x[i] = -0.7f; break;
        case ROW_ALTERNATING: x[i] = i % 2 ? 1.0f : -1.0f; break;
        case ROW_HUGE: x[i] *= 3.4e38f; break;
        case ROW_TINY: x[i] *= 1e-6f; break;
        case ROW_DENORMAL: x[i] *= 1e-40f; break;
        case ROW_SPIKE: x[i] = i == 300 ? 5.0f : 0.0f; break;
        case ROW_OUTLIERS: x[i] *= i % 128 == 7 ? 1e3f : 1.0f; break;
        case ROW_ALL_SIZES: x[i] *= ldexpf(1.0f, (int)(test_random(seed) % 60) - 40); break;
        case ROW_HALF_ZERO: x[i] = i / 32 % 2 ? x[i] : 0.0f; break;
        }
}

typedef enum importance_kind {
    IMPORTANCE_NONE,
    IMPORTANCE_RANDOM,
    IMPORTANCE_ZERO,
    IMPORTANCE_SOME_ZERO,
    IMPORTANCE_HUGE,
    IMPORTANCE_KINDS
} importance_kind;

static const float *make_importance(importance_kind kind, float *w, uint64_t *seed)
{
    test_random_floats(w, COLUMNS, 0, 4, test_random(seed));
    for (int i = 0; i < COLUMNS; i++)
        if (kind == IMPORTANCE_ZERO || (kind == IMPORTANCE_SOME_ZERO && i % 80 < 64))
            w[i] = 0.0f;
        else if (kind == IMPORTANCE_HUGE)
            w[i] *= 5e37f;
    return kind == IMPORTANCE_NONE ? NULL : w;
}

static void check_row(adze_dtype type, row_kind kind, const float *decoded)
{
    for (int i = 0; i < COLUMNS; i++) {
        if (!isfinite(decoded[i]))
            FAIL("%s: row of kind %d: [%d] is %g", adze_dtype_describe(type)->name, (int)kind, i,
                 (double)decoded[i]);
        if (kind <= ROW_NEGATIVE_ZERO && kind >= ROW_ZERO)
            CHECK(decoded[i] == 0.0f);
    }
}

TEST(every_level_gives_the_bytes_of_the_reference)
{
    adze_blocks_table reference;
    adze_blocks_init(&reference, ADZE_CPU_REF);
    uint64_t seed = 1;
    float *x = check_floats(COLUMNS, &seed), *w = check_floats(COLUMNS, &seed);
    float *decoded = check_floats(COLUMNS, &seed), *again = check_floats(COLUMNS, &seed);
    for (size_t f = 0; f < ADZE_COUNT_OF(formats); f++) {
        const adze_dtype type = formats[f];
        const adze_block_codec *codec = &reference.codec[type];
        const void *tables = make_tables(codec);
        const size_t size = row_bytes(type, COLUMNS);
        uint8_t *expected = check_bytes(size, &seed), *actual = check_bytes(size, &seed);
        for (int k = 0; k < ROW_KINDS * IMPORTANCE_KINDS; k++) {
            fill_row((row_kind)(k % ROW_KINDS), x, &seed);
            const float *importance = make_importance((importance_kind)(k / ROW_KINDS), w, &seed);
            codec->encode(x, COLUMNS, importance, tables, expected);
            codec->decode(expected, COLUMNS, decoded);
            check_row(type, (row_kind)(k % ROW_KINDS), decoded);
            for (adze_cpu_level level = 0; check_next_level(&level); level++) {
                adze_blocks_table table;
                adze_blocks_init(&table, level);
                memset(actual, 0xA5, size);
                table.codec[type].encode(x, COLUMNS, importance, tables, actual);
                if (memcmp(actual, expected, size) != 0)
                    FAIL("%s at %s: row of kind %d, importance of kind %d",
                         adze_dtype_describe(type)->name, adze_cpu_level_name(level), k % ROW_KINDS,
                         k / ROW_KINDS);
                table.codec[type].decode(actual, COLUMNS, again);
                check_same(adze_dtype_describe(type)->name, level, again, decoded, COLUMNS);
            }
        }
    }
}

TEST(importance_is_needed_where_ggml_needs_it)
{
    adze_blocks_table table;
    adze_blocks_init(&table, ADZE_CPU_REF);
    for (size_t f = 0; f < ADZE_COUNT_OF(formats); f++) {
        const adze_dtype type = formats[f];
        CHECK_EQ(table.codec[type].needs_importance,
                 type == ADZE_IQ1_S || type == ADZE_IQ2_XXS || type == ADZE_IQ2_XS);
    }
}

typedef struct matrix {
    const float *x, *importance; /* [rows, columns], [columns] */
    int64_t rows, columns;
} matrix;

/* How far what blocks say of a matrix is from it. */
typedef struct distance {
    double plain, weighted; /* sums of squared errors, as they are and by importance */
} distance;

static distance measure(const adze_block_codec *codec, const matrix *m, size_t row_size,
                        const uint8_t *blocks)
{
    distance out = {0, 0};
    float *decoded = malloc((size_t)m->columns * sizeof *decoded);
    CHECK(decoded != NULL);
    for (int64_t r = 0; r < m->rows; r++) {
        codec->decode(blocks + (size_t)r * row_size, m->columns, decoded);
        for (int64_t i = 0; i < m->columns; i++) {
            const double e = (double)decoded[i] - (double)m->x[r * m->columns + i];
            out.plain += e * e;
            out.weighted += e * e * (double)m->importance[i];
        }
    }
    free(decoded);
    return out;
}

/* Our own encoding of the matrix is at least as near as `theirs`: at most 1.002 times their relative
 * RMSE, weighted where they had the importance. */
static void check_quality(adze_dtype type, const adze_block_codec *codec, const matrix *m,
                          bool with_importance, const uint8_t *theirs)
{
    const size_t row_size = row_bytes(type, m->columns);
    uint8_t *ours = test_guard_alloc((size_t)m->rows * row_size, NULL);
    const void *tables = make_tables(codec);
    for (int64_t r = 0; r < m->rows; r++)
        codec->encode(m->x + r * m->columns, m->columns, with_importance ? m->importance : NULL,
                      tables, ours + (size_t)r * row_size);
    const distance our = measure(codec, m, row_size, ours);
    const distance their = measure(codec, m, row_size, theirs);
    const double ratio =
        with_importance ? sqrt(our.weighted / their.weighted) : sqrt(our.plain / their.plain);
    if (!(ratio <= 1.002))
        FAIL("%s%s: error %.4f times that of ggml", adze_dtype_describe(type)->name,
             with_importance ? " with importance" : "", ratio);
}

static void *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        FAIL("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *out = test_guard_alloc(*size, NULL);
    CHECK_EQ(fread(out, 1, *size, file), *size);
    fclose(file);
    return out;
}

TEST(golden_blocks_mean_the_same_and_ours_are_nearer)
{
    enum { ROWS = 4 };
    adze_blocks_table table;
    adze_blocks_init(&table, ADZE_CPU_REF);
    size_t size, at = (ROWS + 1) * COLUMNS * sizeof(float);
    const uint8_t *golden =
        read_whole(test_source_path("tests/golden/blocks-iq/golden.bin"), &size);
    const float *x = (const float *)(const void *)golden;
    const matrix m = {x, x + ROWS * COLUMNS, ROWS, COLUMNS};
    for (size_t f = 0; f < ADZE_COUNT_OF(formats); f++) {
        const adze_dtype type = formats[f];
        const adze_block_codec *codec = &table.codec[type];
        if (!codec->needs_importance) {
            check_quality(type, codec, &m, false, golden + at);
            at += ROWS * row_bytes(type, COLUMNS);
        }
        check_quality(type, codec, &m, true, golden + at);
        at += ROWS * row_bytes(type, COLUMNS);

        const int64_t n = RANDOM_BLOCKS * adze_dtype_describe(type)->block_size;
        float decoded[RANDOM_BLOCKS * 256], expected[RANDOM_BLOCKS * 256];
        memcpy(expected, golden + at + row_bytes(type, n), (size_t)n * sizeof *expected);
        codec->decode(golden + at, n, decoded);
        check_same(adze_dtype_describe(type)->name, ADZE_CPU_REF, decoded, expected, n);
        at += row_bytes(type, n) + (size_t)n * sizeof *expected;
    }
    CHECK_EQ(at, size);
}

/* The same for the large matrix of the test data: its rows of distributions that weights have. */
TEST(ours_are_nearer_than_the_file)
{
    enum { ROWS = 40, WIDE = 4096 };
    const char *folder = test_need_unpacked("conformance/ggml-quants.tar.xz");
    char path[512];
    size_t size;
    adze_cpu_level best = ADZE_CPU_REF;
    for (adze_cpu_level level = 0; check_next_level(&level); level++)
        best = level;
    adze_blocks_table table;
    adze_blocks_init(&table, best);
    snprintf(path, sizeof path, "%s/ggml-quants/input.f32", folder);
    const float *x = read_whole(path, &size);
    snprintf(path, sizeof path, "%s/ggml-quants/imatrix.f32", folder);
    const matrix m = {x, read_whole(path, &size), ROWS, WIDE};
    for (size_t f = 0; f < ADZE_COUNT_OF(formats); f++)
        for (int with_importance = 0; with_importance < 2; with_importance++) {
            const adze_block_codec *codec = &table.codec[formats[f]];
            if (codec->needs_importance && !with_importance)
                continue;
            snprintf(path, sizeof path, "%s/ggml-quants/%s%s.q", folder,
                     adze_dtype_describe(formats[f])->name, with_importance ? ".imat" : "");
            check_quality(formats[f], codec, &m, with_importance != 0, read_whole(path, &size));
        }
}
