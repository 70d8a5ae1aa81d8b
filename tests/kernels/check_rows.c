/* The row kernels: every level against the reference bit for bit, the reference against double
 * precision; transposition of all element sizes. */
#include "base/error.h"
#include "kernel_check.h"
#include "kernels/rows.h"

static const int64_t lengths[] = {1,  2,  3,  7,  8,  15,  16,  17,  31,  32,  33,
                                  47, 48, 63, 64, 65, 100, 127, 128, 500, 1000};

static float *row_of(int64_t n, float size, uint64_t *seed)
{
    float *x = check_passing_floats((size_t)n, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] *= size;
    return x;
}

static void check_reductions(const adze_rows_table *t, const adze_rows_table *ref,
                             adze_cpu_level level, int64_t n, uint64_t *seed)
{
    const float *x = row_of(n, 4, seed), *b = row_of(n, 4, seed);
    for (int op = 0; op < ADZE_REDUCE_COUNT; op++) {
        const float y = t->reduce[op](n, x), expected = ref->reduce[op](n, x);
        check_same(adze_reduce_name((adze_reduce)op), level, &y, &expected, 1);
    }
    const float d = t->dot(n, x, b), expected = ref->dot(n, x, b);
    check_same("dot", level, &d, &expected, 1);
    CHECK_EQ(t->argmax(n, x), ref->argmax(n, x));
    CHECK_EQ(t->argmin(n, x), ref->argmin(n, x));
}

/* Columns against rows: with equals, and NaN in some. */
static void check_columns(const adze_rows_table *t, const adze_rows_table *ref, int64_t columns,
                          int64_t rows, uint64_t *seed)
{
    const int64_t ldx = columns + 3;
    float *x = row_of(rows * ldx, 4, seed), column[16];
    int32_t *most = check_passing_bytes((size_t)columns * sizeof *most, seed);
    int32_t *least = check_passing_bytes((size_t)columns * sizeof *least, seed);
    for (int64_t i = 0; i < rows * ldx; i++)
        x[i] = test_random(seed) % 9 == 0 ? NAN : rintf(x[i]);
    t->argmax_columns(rows, columns, x, ldx, most);
    t->argmin_columns(rows, columns, x, ldx, least);
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++)
            column[i] = x[i * ldx + j];
        CHECK_EQ(most[j], ref->argmax(rows, column));
        CHECK_EQ(least[j], ref->argmin(rows, column));
    }
}

static void check_doubling(const adze_rows_table *t, int64_t n, uint64_t *seed)
{
    const uint32_t *x = check_passing_bytes((size_t)n * 4, seed);
    uint32_t *y = check_passing_bytes((size_t)n * 8, seed);
    t->double_4(n, x, y);
    for (int64_t i = 0; i < 2 * n; i++)
        CHECK_EQ(y[i], x[i / 2]);
    const uint8_t *narrow = (const uint8_t *)(x + n) - n; /* up to the end of what may be read */
    uint8_t *to = (uint8_t *)(y + 2 * n) - 2 * n;
    t->double_1(n, narrow, to);
    for (int64_t i = 0; i < 2 * n; i++)
        CHECK_EQ(to[i], narrow[i / 2]);
}

static void check_blend(const adze_rows_table *t, adze_cpu_level level, int64_t n, int64_t taps,
                        uint64_t *seed)
{
    const float *x = row_of(n * 3, 4, seed), *weights = row_of(taps + 1, 1, seed);
    float *y = row_of(n, 4, seed), *expected = row_of(n, 4, seed);
    int64_t offsets[10], back[10];
    memcpy(expected, y, (size_t)n * sizeof *y);
    for (int64_t k = 0; k < taps; k++) {
        offsets[k] = (int64_t)(test_random(seed) % (uint64_t)(2 * n + 1));
        for (int64_t j = 0; j < n; j++)
            expected[j] += weights[k] * x[offsets[k] + j];
    }
    t->blend(n, taps, x, offsets, weights, y);
    check_same("blend", level, y, expected, n);
    for (int64_t k = 0; k < taps; k++)
        for (int64_t j = 0; j < n; j++)
            expected[j] += x[offsets[k] + j] * x[offsets[taps - 1 - k] + j];
    for (int64_t k = 0; k < taps; k++)
        back[k] = offsets[taps - 1 - k];
    t->add_products(n, taps, x, offsets, x, back, y);
    check_same("add_products", level, y, expected, n);
}

static void check_norms(const adze_rows_table *t, const adze_rows_table *ref, adze_cpu_level level,
                        int64_t n, uint64_t *seed)
{
    float *x = row_of(n, 6, seed);
    const float *scale = row_of(n, 2, seed), *bias = row_of(n, 1, seed);
    float *y = row_of(n, 1, seed), *expected = row_of(n, 1, seed);
    ref->softmax(n, x, expected);
    t->softmax(n, x, y);
    check_same("softmax", level, y, expected, n);
    ref->log_softmax(n, x, expected);
    t->log_softmax(n, x, y);
    check_same("log_softmax", level, y, expected, n);
    for (int parts = 0; parts < 4; parts++) {
        const float *s = parts & 1 ? scale : NULL, *o = parts & 2 ? bias : NULL;
        ref->layer_norm(n, x, s, o, 1e-5f, expected);
        t->layer_norm(n, x, s, o, 1e-5f, y);
        check_same("layer_norm", level, y, expected, n);
        ref->rms_norm(n, x, s, 1e-5f, expected);
        t->rms_norm(n, x, s, 1e-5f, y);
        check_same("rms_norm", level, y, expected, n);
    }
    t->rms_norm(n, x, scale, 1e-5f, y);
    t->rms_norm(n, x, scale, 1e-5f, x);
    check_same("rms_norm in place", level, x, y, n);
    t->layer_norm(n, x, scale, bias, 1e-5f, y);
    t->layer_norm(n, x, scale, bias, 1e-5f, x);
    check_same("layer_norm in place", level, x, y, n);
    t->softmax(n, x, y);
    t->softmax(n, x, x);
    check_same("softmax in place", level, x, y, n);
    t->log_softmax(n, x, y);
    t->log_softmax(n, x, x);
    check_same("log_softmax in place", level, x, y, n);
}

TEST(rows_are_the_same_at_every_level)
{
    adze_rows_table ref, t;
    adze_rows_init(&ref, ADZE_CPU_REF);
    uint64_t seed = 1;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_rows_init(&t, level);
        for (size_t i = 0; i < ADZE_COUNT_OF(lengths); i++)
            for (int round = 0; round < 4; round++) {
                check_reductions(&t, &ref, level, lengths[i], &seed);
                check_blend(&t, level, lengths[i], 3 * round, &seed);
                check_doubling(&t, lengths[i], &seed);
                check_columns(&t, &ref, ADZE_MIN(lengths[i], 256), 1 + 5 * round, &seed);
                check_norms(&t, &ref, level, lengths[i], &seed);
            }
    }
}

/* The reductions once more in double precision, from their definitions. */
static double reduced(adze_reduce op, int64_t n, const float *x)
{
    double sum = 0, square = 0, l1 = 0, prod = 1, e = 0, max = -INFINITY, min = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        sum += v, square += v * v, l1 += fabs(v), prod *= v, e += exp(v);
        max = fmax(max, v), min = fmin(min, v);
    }
    switch (op) {
    case ADZE_REDUCE_SUM: return sum;
    case ADZE_REDUCE_MEAN: return sum / (double)n;
    case ADZE_REDUCE_MAX: return max;
    case ADZE_REDUCE_MIN: return min;
    case ADZE_REDUCE_PROD: return prod;
    case ADZE_REDUCE_SUM_SQUARE: return square;
    case ADZE_REDUCE_L1: return l1;
    case ADZE_REDUCE_L2: return sqrt(square);
    case ADZE_REDUCE_LOG_SUM: return log(sum);
    case ADZE_REDUCE_LOG_SUM_EXP: return log(e);
    default: return NAN;
    }
}

TEST(reductions_mean_what_they_say)
{
    adze_rows_table t;
    adze_rows_init(&t, ADZE_CPU_REF);
    uint64_t seed = 2;
    for (size_t k = 0; k < ADZE_COUNT_OF(lengths); k++) {
        const int64_t n = lengths[k];
        const float *x = row_of(n, 2, &seed);
        for (int op = 0; op < ADZE_REDUCE_COUNT; op++) {
            const double exact = reduced((adze_reduce)op, n, x);
            if (op == ADZE_REDUCE_LOG_SUM && !(exact > -1))
                continue; /* cancels */
            const double size = reduced(ADZE_REDUCE_L1, n, x);
            const double bound =
                op == ADZE_REDUCE_PROD ? 1e-4 * fabs(exact) + 1e-44 : 4e-6 * (1 + size);
            if (!(fabs((double)t.reduce[op](n, x) - exact) <= bound) && !isnan(exact))
                FAIL("%s of %lld is %g, exactly %g", adze_reduce_name((adze_reduce)op),
                     (long long)n, (double)t.reduce[op](n, x), exact);
        }
    }
#define X(name, text, meaning, empty) CHECK_NEAR(t.reduce[ADZE_REDUCE_##name](0, NULL), empty, 0);
    ADZE_REDUCE_LIST(X)
#undef X
}

TEST(softmax_and_norms_mean_what_they_say)
{
    adze_rows_table t;
    adze_rows_init(&t, ADZE_CPU_REF);
    uint64_t seed = 3;
    for (size_t k = 0; k < ADZE_COUNT_OF(lengths); k++) {
        const int64_t n = lengths[k];
        const float *x = row_of(n, 9, &seed), *scale = row_of(n, 2, &seed);
        const float *bias = row_of(n, 2, &seed);
        float *y = row_of(n, 1, &seed);
        double log_sum = 0, mean = 0, variance = 0, square = 0;
        for (int64_t i = 0; i < n; i++) {
            log_sum += exp((double)x[i]);
            mean += (double)x[i] / (double)n;
            square += (double)x[i] * (double)x[i] / (double)n;
        }
        for (int64_t i = 0; i < n; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        log_sum = log(log_sum);
        t.softmax(n, x, y);
        for (int64_t i = 0; i < n; i++) {
            const double exact = exp((double)x[i] - log_sum);
            CHECK_NEAR(y[i], exact, 3e-6 * exact);
        }
        t.log_softmax(n, x, y);
        for (int64_t i = 0; i < n; i++)
            CHECK_NEAR(y[i], (double)x[i] - log_sum, 3e-6);
        t.layer_norm(n, x, scale, bias, 1e-3f, y);
        for (int64_t i = 0; i < n; i++)
            CHECK_NEAR(y[i],
                       ((double)x[i] - mean) / sqrt(variance + 1e-3) * (double)scale[i] +
                           (double)bias[i],
                       2e-5);
        t.rms_norm(n, x, scale, 1e-3f, y);
        for (int64_t i = 0; i < n; i++)
            CHECK_NEAR(y[i], (double)x[i] / sqrt(square + 1e-3) * (double)scale[i], 5e-6);
    }
}

TEST(special_values_in_rows)
{
    adze_rows_table t;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_rows_init(&t, level);
        for (int at = 0; at < 70; at++) {
            float x[70];
            for (int i = 0; i < 70; i++)
                x[i] = (float)(i % 5);
            x[at] = 9;
            CHECK_EQ(t.argmax(70, x), at);
            x[at] = -9;
            CHECK_EQ(t.argmin(70, x), at);
            x[at] = NAN;
            CHECK_EQ(t.argmax(70, x), at);
            CHECK_EQ(t.argmin(70, x), at);
            CHECK_EQ(isnan(t.reduce[ADZE_REDUCE_MAX](70, x)), true);
            CHECK_EQ(isnan(t.reduce[ADZE_REDUCE_MIN](70, x)), true);
            t.softmax(70, x, x);
            CHECK_EQ(isnan(x[0]) && isnan(x[69]), true);
        }
        float masked[40], far[3] = {1000, 999, -1000};
        for (int i = 0; i < 40; i++)
            masked[i] = i < 10 ? 0.5f : -INFINITY;
        CHECK_EQ(t.argmax(40, masked), 0);
        CHECK_NEAR(t.reduce[ADZE_REDUCE_LOG_SUM_EXP](40, masked), 0.5 + log(10), 1e-6);
        t.softmax(40, masked, masked);
        CHECK_NEAR(masked[9], 0.1, 1e-7);
        CHECK_EQ(masked[10] == 0, true);
        t.softmax(3, far, far);
        CHECK_NEAR(far[0], 0.731058579, 1e-6);
        CHECK_EQ(far[2] == 0, true);
    }
}

static void check_transpose(const adze_rows_table *t, size_t size, int64_t rows, int64_t columns,
                            uint64_t *seed)
{
    const ptrdiff_t ldx = columns + (ptrdiff_t)(test_random(seed) % 3);
    const ptrdiff_t ldy = rows + (ptrdiff_t)(test_random(seed) % 3);
    const size_t x_size = (size_t)((rows - 1) * ldx + columns) * size;
    const size_t y_size = (size_t)((columns - 1) * ldy + rows) * size;
    uint8_t *x = check_passing_bytes(x_size, seed), *y = check_passing_bytes(y_size, seed);
    uint8_t *expected = check_passing_bytes(y_size, seed);
    memcpy(expected, y, y_size);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            memcpy(expected + (size_t)(j * ldy + i) * size, x + (size_t)(i * ldx + j) * size, size);
    switch (size) {
    case 1: t->transpose_1(rows, columns, x, ldx, y, ldy); break;
    case 2: t->transpose_2(rows, columns, x, ldx, y, ldy); break;
    case 4: t->transpose_4(rows, columns, x, ldx, y, ldy); break;
    default: t->transpose_8(rows, columns, x, ldx, y, ldy); break;
    }
    if (memcmp(y, expected, y_size) != 0)
        FAIL("size %zu, %lld x %lld, from %td, to %td", size, (long long)rows, (long long)columns,
             ldx, ldy);
}

TEST(transpose)
{
    adze_rows_table t;
    uint64_t seed = 4;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_rows_init(&t, level);
        for (size_t size = 1; size <= 8; size *= 2) {
            for (int64_t rows = 1; rows < 40; rows++)
                for (int64_t columns = 1; columns < 40; columns++)
                    check_transpose(&t, size, rows, columns, &seed);
            for (int64_t few = 1; few < 6; few++) {
                check_transpose(&t, size, few, 1000, &seed);
                check_transpose(&t, size, 1000, few, &seed);
            }
            check_transpose(&t, size, 100, 67, &seed);
        }
        uint32_t x[6] = {1, 2, 3, 4, 5, 6}, y[6], expected[6] = {1, 4, 2, 5, 3, 6};
        CHECK_EQ(adze_transpose(&t, 4, 2, 3, x, y), true);
        CHECK_BYTES(y, expected, sizeof y);
        CHECK_EQ(adze_transpose(&t, 3, 2, 3, x, y), false);
    }
}

/* y += a b of small whole numbers, which every type holds exactly. */
#define CHECK_MULTIPLY(name, type)                                                                 \
    do {                                                                                           \
        const size_t size = sizeof(type);                                                          \
        type *a = check_passing_bytes((size_t)(rows * depth) * size, &seed);                       \
        type *b = check_passing_bytes((size_t)(depth * n) * size, &seed);                          \
        type *y = check_passing_bytes((size_t)(rows * n) * size, &seed);                           \
        for (int64_t i = 0; i < rows * depth; i++)                                                 \
            a[i] = (type)(i % 7);                                                                  \
        for (int64_t i = 0; i < depth * n; i++)                                                    \
            b[i] = (type)(i % 11);                                                                 \
        for (int64_t i = 0; i < rows * n; i++)                                                     \
            y[i] = (type)(i % 5);                                                                  \
        t.multiply_##name(rows, n, depth, a, b, y);                                                \
        for (int64_t i = 0; i < rows * n; i++) {                                                   \
            type sum = (type)(i % 5);                                                              \
            for (int64_t k = 0; k < depth; k++)                                                    \
                sum += a[i / n * depth + k] * b[k * n + i % n];                                    \
            CHECK(y[i] == sum);                                                                    \
        }                                                                                          \
    } while (0)

TEST(multiply_wide)
{
    adze_rows_table t;
    uint64_t seed = 5;
    for (adze_cpu_level level = 0; check_next_level(&level); level++) {
        adze_rows_init(&t, level);
        for (int64_t rows = 1; rows < 10; rows++)
            for (int64_t depth = 0; depth < 10; depth++)
                for (int64_t n = 1; n < 600; n += n < 20 ? 1 : 193) {
                    CHECK_MULTIPLY(f64, double);
                    CHECK_MULTIPLY(u32, uint32_t);
                    CHECK_MULTIPLY(u64, uint64_t);
                }
    }
}
