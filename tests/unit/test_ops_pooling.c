/* Pooling over any axes, and its indices, against the definition. */
#include <math.h>

#include "op_case.h"

enum { MOST = 1 << 15 };

typedef struct pool_test {
    const char *op;
    int spatial;
    int64_t dims[5], kernel[3], stride[3], dilation[3], pads[6];
    int64_t include_pad, ceil, p, column_major;
    bool indices;
} pool_test;

/* What one window has. */
typedef struct found {
    double max, sum;
    int64_t index, inside, padded;
} found;

static found look(const pool_test *t, const double *x, const int64_t *at)
{
    found f = {.max = -(double)INFINITY};
    int64_t taps = 1;
    for (int d = 0; d < t->spatial; d++)
        taps *= t->kernel[d];
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t rest = tap, offset = 0, turned = 0, place[3] = {0};
        bool inside = true, padded = true;
        for (int d = t->spatial - 1; d >= 0; d--) {
            int64_t n = t->dims[2 + d];
            place[d] = at[d] * t->stride[d] + rest % t->kernel[d] * t->dilation[d] - t->pads[d];
            rest /= t->kernel[d];
            inside &= place[d] >= 0 && place[d] < n;
            padded &= place[d] < n + t->pads[d + t->spatial];
            turned = turned * n + place[d];
        }
        f.padded += padded;
        if (!inside)
            continue;
        for (int d = 0; d < t->spatial; d++)
            offset = offset * t->dims[2 + d] + place[d];
        double v = x[offset];
        if (f.inside++ == 0 || v > f.max) {
            f.max = v;
            f.index = t->column_major ? turned : offset;
        }
        f.sum += t->p == 0 ? v : pow(fabs(v), (double)t->p);
    }
    return f;
}

static double wanted(const pool_test *t, const found *f)
{
    if (t->op[0] == 'M')
        return f->max;
    if (t->op[0] == 'L')
        return pow(f->sum, 1 / (double)t->p);
    int64_t count = t->include_pad ? f->padded : f->inside;
    return f->sum / (double)(count ? count : 1);
}

static void open_case(op_case *c, const pool_test *t, const char *level, int threads,
                      adze_dtype dtype, const void *x)
{
    op_case_open_threads(c, level, threads);
    op_case_input(c, dtype, 2 + t->spatial, t->dims, x, NULL);
    op_case_node(c, t->op, t->indices ? 2 : 1);
    CHECK(adze_node_set_ints(c->node, "kernel_shape", t->spatial, t->kernel));
    CHECK(adze_node_set_ints(c->node, "strides", t->spatial, t->stride));
    CHECK(adze_node_set_ints(c->node, "dilations", t->spatial, t->dilation));
    CHECK(adze_node_set_ints(c->node, "pads", 2 * t->spatial, t->pads));
    CHECK(adze_node_set_int(c->node, "ceil_mode", t->ceil));
    if (t->include_pad)
        CHECK(adze_node_set_int(c->node, "count_include_pad", 1));
    if (t->column_major)
        CHECK(adze_node_set_int(c->node, "storage_order", 1));
    if (t->p)
        CHECK(adze_node_set_int(c->node, "p", t->p));
    op_case_run(c);
}

static void check_pool(const pool_test *t, const char *level, int threads, adze_dtype dtype,
                       const void *x, const double *wide)
{
    op_case c;
    open_case(&c, t, level, threads, dtype, x);
    const adze_tensor *y = &c.output[0];
    int64_t plane = 1, points = 1, at[3] = {0};
    for (int d = 0; d < t->spatial; d++) {
        plane *= t->dims[2 + d];
        points *= y->dims[2 + d];
    }
    for (int64_t i = 0; i < t->dims[0] * t->dims[1] * points; i++) {
        int64_t image = i / points, rest = i % points;
        for (int d = t->spatial - 1; d >= 0; d--) {
            at[d] = rest % y->dims[2 + d];
            rest /= y->dims[2 + d];
        }
        found f = look(t, wide + image * plane, at);
        if (f.inside > 0 || dtype != ADZE_U8)
            CHECK_NEAR(adze_tensor_get_f64(y, i), wanted(t, &f), t->op[0] == 'M' ? 0 : 1e-6);
        if (t->indices)
            CHECK_EQ(((const int64_t *)c.output[1].data)[i], image * plane + f.index);
    }
    op_case_close(&c);
}

static const pool_test tests[] = {
    {"MaxPool", 2, {2, 5, 20, 21}, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, .p = 0},
    {"MaxPool", 2, {2, 3, 14, 39}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, .ceil = 1},
    {"MaxPool", 2, {1, 3, 17, 23}, {4, 7}, {1, 2}, {2, 1}, {0, 3, 1, 2}, .ceil = 1},
    {"MaxPool", 2, {1, 67, 9, 11}, {9, 11}, {1, 1}, {1, 1}, {4, 5, 4, 5}, .p = 0},
    {"MaxPool", 2, {2, 3, 13, 14}, {2, 2}, {2, 2}, {1, 1}, {0, 0, 1, 1}, .indices = true},
    {"MaxPool", 2, {1, 2, 7, 9}, {3, 2}, {2, 1}, {2, 3}, {1, 0, 1, 1}, .indices = true},
    {"MaxPool",
     2,
     {2, 2, 7, 9},
     {3, 3},
     {2, 2},
     {1, 1},
     {1, 1, 1, 1},
     .column_major = 1,
     .indices = true},
    {"MaxPool", 3, {1, 2, 5, 6, 7}, {3, 2, 3}, {2, 1, 2}, {1, 2, 1}, {1, 1, 1, 1, 1, 1}, .ceil = 1},
    {"MaxPool", 3, {2, 5, 6, 7, 33}, {2, 2, 3}, {2, 2, 2}, {1, 1, 1}, {0, 1, 0, 1, 0, 1}, .p = 0},
    {"MaxPool", 3, {1, 3, 9, 9, 8}, {5, 5, 5}, {1, 1, 1}, {1, 1, 1}, {2, 2, 2, 2, 2, 2}, .p = 0},
    {"MaxPool",
     3,
     {1, 2, 5, 6, 7},
     {3, 2, 3},
     {2, 1, 2},
     {1, 2, 1},
     {1, 1, 1, 1, 1, 1},
     .indices = true},
    {"MaxPool", 1, {2, 3, 29}, {3}, {2}, {1}, {1, 1}, .indices = true},
    {"AveragePool", 3, {1, 3, 5, 6, 7}, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}, {0}, .p = 0},
    {"AveragePool",
     3,
     {2, 2, 5, 6, 9},
     {3, 2, 4},
     {1, 2, 3},
     {1, 1, 1},
     {1, 0, 2, 1, 1, 3},
     .include_pad = 1,
     .ceil = 1},
    {"AveragePool",
     3,
     {2, 2, 5, 6, 9},
     {3, 2, 4},
     {1, 2, 3},
     {2, 1, 2},
     {1, 0, 2, 1, 1, 3},
     .ceil = 1},
    {"AveragePool", 2, {1, 3, 13, 11}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, .include_pad = 1},
    {"LpPool", 2, {1, 3, 13, 11}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, .p = 2},
    {"LpPool", 1, {1, 3, 40}, {5}, {3}, {2}, {2, 0}, .p = 3},
    {"LpPool", 3, {1, 2, 4, 5, 6}, {2, 3, 2}, {1, 2, 2}, {1, 1, 1}, {0, 1, 0, 1, 1, 1}, .p = 1},
};

/* Few values, so that many are the same and the first of them counts. */
TEST(pools_of_any_axes_as_defined)
{
    static float x[MOST];
    static double wide[MOST];
    static uint8_t bytes[MOST];
    for (size_t i = 0; i < ADZE_COUNT_OF(tests); i++) {
        const pool_test *t = &tests[i];
        op_case_fill(x, MOST, i, 0, 60);
        for (int k = 0; k < MOST; k++) {
            bytes[k] = (uint8_t)x[k];
            wide[k] = (double)bytes[k];
        }
        if (t->op[0] == 'M')
            check_pool(t, NULL, 2, ADZE_U8, bytes, wide);
        for (int k = 0; k < MOST; k++) {
            x[k] = (k % 7 == 3 ? -0.0f : (float)bytes[k] / 4 - 7);
            wide[k] = (double)x[k];
        }
        check_pool(t, "ref", 1, ADZE_F32, x, wide);
        check_pool(t, NULL, 3, ADZE_F32, x, wide);
        check_pool(t, NULL, 2, ADZE_F64, wide, wide);
    }
}

TEST(largest_of_nan_and_infinity)
{
    static const float x[] = {1, NAN, 2, -INFINITY, -INFINITY, 3, -NAN, 1};
    static const int64_t dims[] = {1, 1, 8}, two[] = {2};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 3, dims, x, NULL);
    op_case_node(&c, "MaxPool", 2);
    CHECK(adze_node_set_ints(c.node, "kernel_shape", 1, two));
    op_case_run(&c);
    const float *y = c.output[0].data;
    const int64_t *at = c.output[1].data;
    CHECK(isnan(y[0]) && isnan(y[1]) && isnan(y[5]) && isnan(y[6]));
    CHECK(at[0] == 1 && at[1] == 1 && at[5] == 6 && at[6] == 6);
    CHECK(y[2] == 2 && y[3] == -INFINITY && at[3] == 3 && y[4] == 3);
    op_case_close(&c);
}
