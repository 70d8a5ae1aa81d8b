/* TopK and Unique against plain selection, Det against expansion. */
#include "op_case.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdlib.h>

/* A few values many times, so that equals meet; -0 is 0. */
static double value_at(adze_dtype dtype, uint8_t byte, int64_t i)
{
    if (dtype == ADZE_F32 && byte == 7)
        return i % 2 ? -0.0 : 0.0;
    return (double)(byte % 61 - 30) * (dtype == ADZE_F32 ? 0.25 : 1);
}

static void check_top(adze_dtype dtype, const int64_t *dims, int64_t axis, int64_t k, bool largest)
{
    op_case c;
    int64_t n = dims[0] * dims[1] * dims[2], inner = axis == 2   ? 1
                                                     : axis == 1 ? dims[2]
                                                                 : dims[1] * dims[2];
    uint8_t *bytes = malloc((size_t)n);
    void *x = calloc((size_t)n, 8);
    bool *taken = malloc((size_t)n);
    op_case_fill_bytes(bytes, (size_t)n, 12);
    op_case_open(&c, NULL);
    op_case_input(&c, dtype, 3, dims, x, NULL);
    op_case_input(&c, ADZE_I64, 1, (int64_t[]){1}, &k, NULL);
    for (int64_t i = 0; i < n; i++)
        adze_tensor_set_f64(&c.input[0], i, value_at(dtype, bytes[i], i));
    adze_node *node = op_case_node(&c, "TopK", 2);
    CHECK(adze_node_set_int(node, "axis", axis) && adze_node_set_int(node, "largest", largest));
    op_case_run(&c);
    memset(taken, 0, (size_t)n);
    for (int64_t line = 0; line < n / dims[axis]; line++) {
        int64_t start = line / inner * inner * dims[axis] + line % inner;
        int64_t to = line / inner * inner * k + line % inner;
        for (int64_t r = 0; r < k; r++) {
            int64_t best = -1;
            for (int64_t i = 0; i < dims[axis]; i++) {
                double v = adze_tensor_get_f64(&c.input[0], start + i * inner);
                double b = best < 0 ? 0 : adze_tensor_get_f64(&c.input[0], start + best * inner);
                if (!taken[start + i * inner] && (best < 0 || (largest ? v > b : v < b)))
                    best = i;
            }
            taken[start + best * inner] = true;
            CHECK_EQ(((const int64_t *)c.output[1].data)[to + r * inner], best);
            CHECK_NEAR(adze_tensor_get_f64(&c.output[0], to + r * inner),
                       adze_tensor_get_f64(&c.input[0], start + best * inner), 0);
        }
    }
    op_case_close(&c);
    free(bytes);
    free(x);
    free(taken);
}

TEST(top_of_every_axis_and_type)
{
    static const adze_dtype types[] = {ADZE_F32, ADZE_I64, ADZE_F64, ADZE_I8};
    static const int64_t dims[3] = {5, 7, 601};
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
        for (int64_t axis = 0; axis < 3; axis++)
            for (int way = 0; way < 4; way++)
                check_top(types[t], dims, axis, way & 1 ? dims[axis] : ADZE_MIN(dims[axis], 3),
                          way & 2);
    check_top(ADZE_F32, (int64_t[]){1, 1, 2000}, 2, 300, true);
}

static void check_unique(adze_dtype dtype, int64_t n, bool sorted)
{
    op_case c;
    uint8_t *bytes = malloc((size_t)n);
    void *x = calloc((size_t)n, 8);
    op_case_fill_bytes(bytes, (size_t)n, 13);
    op_case_open(&c, NULL);
    op_case_input(&c, dtype, 1, &n, x, NULL);
    for (int64_t i = 0; i < n; i++)
        adze_tensor_set_f64(&c.input[0], i,
                            value_at(dtype, bytes[i], i) * (dtype == ADZE_I64 ? 100003 : 1));
    CHECK(adze_node_set_int(op_case_node(&c, "Unique", 4), "sorted", sorted));
    op_case_run(&c);
    const int64_t *first = c.output[1].data, *inverse = c.output[2].data,
                  *counts = c.output[3].data;
    int64_t groups = c.output[0].dims[0], total = 0;
    for (int64_t g = 0; g < groups; g++) {
        double v = adze_tensor_get_f64(&c.output[0], g);
        CHECK(g == 0 ||
              (sorted ? adze_tensor_get_f64(&c.output[0], g - 1) < v : first[g - 1] < first[g]));
        CHECK_NEAR(adze_tensor_get_f64(&c.input[0], first[g]), v, 0);
        total += counts[g];
    }
    CHECK_EQ(total, n);
    for (int64_t i = 0; i < n; i++) {
        CHECK(inverse[i] >= 0 && inverse[i] < groups && first[inverse[i]] <= i);
        CHECK_NEAR(adze_tensor_get_f64(&c.output[0], inverse[i]),
                   adze_tensor_get_f64(&c.input[0], i), 0);
    }
    op_case_close(&c);
    free(bytes);
    free(x);
}

TEST(unique_of_numbers)
{
    static const adze_dtype types[] = {ADZE_F32, ADZE_I64, ADZE_F64, ADZE_I8};
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
        for (int sorted = 0; sorted < 2; sorted++) {
            check_unique(types[t], 1, sorted);
            check_unique(types[t], 1001, sorted);
        }
}

/* By expansion along the first row. */
static double expanded(int n, const double *a)
{
    double det = 0, minor[36];
    if (n == 1)
        return a[0];
    for (int c = 0; c < n; c++) {
        for (int r = 1; r < n; r++)
            for (int k = 0, to = 0; k < n; k++)
                if (k != c)
                    minor[(r - 1) * (n - 1) + to++] = a[r * n + k];
        det += (c % 2 ? -1 : 1) * a[c] * expanded(n - 1, minor);
    }
    return det;
}

TEST(determinants)
{
    for (int n = 1; n < 7; n++) {
        float x[5 * 36];
        double a[36];
        int64_t dims[3] = {5, n, n};
        op_case c;
        op_case_fill(x, 5 * n * n, (uint64_t)n, -2, 2);
        for (int i = 0; i < n && n > 1; i++)
            x[i * n] = i == n - 1 ? 1.5f : 0; /* the first pivot is last */
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_F32, 3, dims, x, NULL);
        op_case_node(&c, "Det", 1);
        op_case_run(&c);
        for (int m = 0; m < 5; m++) {
            for (int i = 0; i < n * n; i++)
                a[i] = (double)x[m * n * n + i];
            CHECK_NEAR(((const float *)c.output[0].data)[m], expanded(n, a),
                       1e-5 * (1 + fabs(expanded(n, a))));
        }
        op_case_close(&c);
    }
}
