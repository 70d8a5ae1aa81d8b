/* GridSample in float32 against the same in double; Col2Im against its definition. */
#include "op_case.h"

enum { MOST = 1 << 15 };

typedef struct sample_test {
    int spatial;
    int64_t x[5], grid[5];
} sample_test;

static const sample_test sample_tests[] = {
    {2, {2, 5, 7, 9}, {2, 9, 11, 2}},       {2, {1, 70, 3, 4}, {1, 1, 65, 2}},
    {2, {1, 1, 9, 1}, {1, 8, 8, 2}},        {1, {2, 3, 17}, {2, 33, 1}},
    {3, {1, 4, 3, 5, 6}, {1, 2, 3, 11, 3}},
};

static void run_sample(op_case *c, const sample_test *t, const char *level, int threads,
                       const char *mode, const char *padding, int align, adze_dtype dtype,
                       const void *x, const void *grid)
{
    op_case_open_threads(c, level, threads);
    op_case_input(c, dtype, t->spatial + 2, t->x, x, NULL);
    op_case_input(c, dtype, t->spatial + 2, t->grid, grid, NULL);
    op_case_node(c, "GridSample", 1);
    CHECK(adze_node_set_string(c->node, "mode", mode));
    CHECK(adze_node_set_string(c->node, "padding_mode", padding));
    CHECK(adze_node_set_int(c->node, "align_corners", align));
    op_case_run(c);
}

static void check_sample(const sample_test *t, const char *mode, const char *padding, int align)
{
    static float x[MOST], grid[MOST];
    static double wide_x[MOST], wide_grid[MOST];
    op_case_fill(x, MOST, 1, -2, 2);
    op_case_fill(grid, MOST, 2, -1.6f, 1.6f);
    for (int i = 0; i < MOST; i++) {
        wide_x[i] = (double)x[i];
        wide_grid[i] = (double)grid[i];
    }
    op_case narrow, threads, exact;
    run_sample(&narrow, t, "ref", 1, mode, padding, align, ADZE_F32, x, grid);
    run_sample(&threads, t, NULL, 3, mode, padding, align, ADZE_F32, x, grid);
    run_sample(&exact, t, NULL, 1, mode, padding, align, ADZE_F64, wide_x, wide_grid);
    for (int64_t i = 0; i < adze_tensor_elements(&exact.output[0]); i++)
        CHECK_NEAR(((const float *)narrow.output[0].data)[i],
                   ((const double *)exact.output[0].data)[i], 3e-6);
    CHECK_EQ(memcmp(narrow.output[0].data, threads.output[0].data, narrow.output[0].size), 0);
    op_case_close(&narrow);
    op_case_close(&threads);
    op_case_close(&exact);
}

TEST(sampling_of_floats_as_in_double)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    for (size_t i = 0; i < ADZE_COUNT_OF(sample_tests); i++)
        for (int k = 0; k < 18; k++)
            check_sample(&sample_tests[i], modes[k % 3], paddings[k / 3 % 3], k / 9);
}

typedef struct col_test {
    int64_t n, c, image[2], block[2], stride[2], dilation[2], pads[4];
} col_test;

static void check_col(const col_test *t, const char *level, int threads, adze_dtype dtype)
{
    static float x[MOST];
    static double wide[MOST], expected[MOST];
    const int64_t *image = t->image, *block = t->block;
    int64_t places[2], two = 2, plane = image[0] * image[1], at = 0;
    for (int i = 0; i < 2; i++)
        places[i] = (image[i] + t->pads[i] + t->pads[i + 2] - t->dilation[i] * (block[i] - 1) - 1) /
                        t->stride[i] +
                    1;
    op_case_fill(x, MOST, 3, -8, 8);
    memset(expected, 0, sizeof expected);
    for (int64_t row = 0; row < t->n * t->c * block[0] * block[1]; row++)
        for (int64_t p = 0; p < places[0] * places[1]; p++, at++) {
            int64_t tap = row % (block[0] * block[1]), channel = row / (block[0] * block[1]);
            int64_t h = p / places[1] * t->stride[0] + tap / block[1] * t->dilation[0];
            int64_t w = p % places[1] * t->stride[1] + tap % block[1] * t->dilation[1];
            h -= t->pads[0];
            w -= t->pads[1];
            x[at] = (float)(int)x[at]; /* sums are exact */
            wide[at] = (double)x[at];
            if (h >= 0 && h < image[0] && w >= 0 && w < image[1])
                expected[channel * plane + h * image[1] + w] += wide[at];
        }
    op_case c;
    op_case_open_threads(&c, level, threads);
    op_case_input(&c, dtype, 3,
                  (int64_t[]){t->n, t->c * block[0] * block[1], places[0] * places[1]},
                  dtype == ADZE_F32 ? (const void *)x : wide, NULL);
    op_case_input(&c, ADZE_I64, 1, &two, image, NULL);
    op_case_input(&c, ADZE_I64, 1, &two, block, NULL);
    op_case_node(&c, "Col2Im", 1);
    CHECK(adze_node_set_ints(c.node, "strides", 2, t->stride));
    CHECK(adze_node_set_ints(c.node, "dilations", 2, t->dilation));
    CHECK(adze_node_set_ints(c.node, "pads", 4, t->pads));
    op_case_run(&c);
    for (int64_t i = 0; i < t->n * t->c * plane; i++)
        CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), expected[i], 0);
    op_case_close(&c);
}

TEST(columns_to_pictures_as_defined)
{
    static const col_test tests[] = {
        {2, 3, {9, 11}, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
        {1, 5, {8, 7}, {3, 2}, {2, 1}, {1, 2}, {1, 2, 1, 1}},
        {1, 2, {7, 13}, {2, 5}, {1, 3}, {3, 1}, {0, 4, 2, 3}},
        {1, 2, {5, 2}, {1, 4}, {2, 2}, {1, 3}, {3, 9, 0, 8}},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(tests); i++) {
        check_col(&tests[i], "ref", 1, ADZE_F32);
        check_col(&tests[i], NULL, 3, ADZE_F32);
        check_col(&tests[i], NULL, 1, ADZE_F64);
    }
}

static void check_nearest(adze_dtype dtype, size_t size, const float *scales)
{
    static uint8_t x[2 * 3 * 5 * 23 * 8];
    static const int64_t dims[4] = {2, 3, 5, 23}, four = 4;
    op_case c;
    op_case_fill_bytes(x, sizeof x, 1);
    op_case_open_threads(&c, NULL, 3);
    op_case_input(&c, dtype, 4, dims, x, NULL);
    op_case_absent(&c);
    op_case_input(&c, ADZE_F32, 1, &four, scales, NULL);
    op_case_node(&c, "Resize", 1);
    CHECK(adze_node_set_string(c.node, "mode", "nearest"));
    CHECK(adze_node_set_string(c.node, "coordinate_transformation_mode", "asymmetric"));
    CHECK(adze_node_set_string(c.node, "nearest_mode", "floor"));
    op_case_run(&c);
    const adze_tensor *y = &c.output[0];
    for (int64_t i = 0; i < adze_tensor_elements(y); i++) {
        int64_t rest = i, at = 0, step = 1;
        for (int d = 3; d >= 0; d--) {
            at += (int64_t)((float)(rest % y->dims[d]) / scales[d]) * step;
            rest /= y->dims[d];
            step *= dims[d];
        }
        CHECK_EQ(memcmp((const uint8_t *)y->data + (size_t)i * size, x + (size_t)at * size, size),
                 0);
    }
    op_case_close(&c);
}

TEST(nearest_pixels_of_all_sizes)
{
    static const float scales[][4] = {
        {1, 1, 2, 2}, {1, 1, 1, 2}, {1, 2, 3, 1}, {2, 1, 2, 4}, {1, 1, 0.5f, 2}};
    for (size_t i = 0; i < ADZE_COUNT_OF(scales); i++) {
        check_nearest(ADZE_F32, 4, scales[i]);
        check_nearest(ADZE_I8, 1, scales[i]);
        check_nearest(ADZE_F16, 2, scales[i]);
        check_nearest(ADZE_F64, 8, scales[i]);
    }
}

enum { LINES = 41, LINE = 50 };

/* x [LINES, LINE] or turned, with an axis of 1 behind it; the axis of LINE becomes shorter. */
static void run_shrink(op_case *c, int threads, bool turned, int64_t size, const char *mode,
                       const float *x)
{
    int64_t dims[3] = {turned ? LINE : LINES, turned ? LINES : LINE, 1}, three = 3;
    int64_t sizes[3] = {turned ? size : LINES, turned ? LINES : size, 1};
    op_case_open_threads(c, NULL, threads);
    op_case_input(c, ADZE_F32, 3, dims, x, NULL);
    op_case_absent(c);
    op_case_absent(c);
    op_case_input(c, ADZE_I64, 1, &three, sizes, NULL);
    op_case_node(c, "Resize", 1);
    CHECK(adze_node_set_string(c->node, "mode", mode));
    CHECK(adze_node_set_int(c->node, "antialias", 1));
    op_case_run(c);
}

TEST(filters_along_lines_as_along_columns)
{
    static float x[LINES * LINE], turned[LINES * LINE];
    op_case_fill(x, LINES * LINE, 1, -2, 2);
    for (int i = 0; i < LINES * LINE; i++)
        turned[i % LINE * LINES + i / LINE] = x[i];
    for (int64_t size = 1; size < LINE; size += 6)
        for (int cubic = 0; cubic < 2; cubic++) {
            op_case lines, columns;
            run_shrink(&lines, 3, false, size, cubic ? "cubic" : "linear", x);
            run_shrink(&columns, 1, true, size, cubic ? "cubic" : "linear", turned);
            for (int64_t i = 0; i < LINES * size; i++)
                CHECK_NEAR(((const float *)lines.output[0].data)[i],
                           ((const float *)columns.output[0].data)[i % size * LINES + i / size], 0);
            op_case_close(&lines);
            op_case_close(&columns);
        }
}
