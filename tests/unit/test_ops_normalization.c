/* Normalisations of groups: float32 at every level against the same operator in double precision. */
#include "op_case.h"

enum { IMAGES = 2, CHANNELS = 6, INNER = 7 * 301, COUNT = IMAGES * CHANNELS * INNER };

static void run_group(op_case *c, const char *level, int groups, adze_dtype dtype, const void *x,
                      const void *scale, const void *bias)
{
    int64_t dims[4] = {IMAGES, CHANNELS, 7, 301}, channels = CHANNELS;
    op_case_open(c, level);
    op_case_input(c, dtype, 4, dims, x, NULL);
    op_case_input(c, dtype, 1, &channels, scale, NULL);
    op_case_input(c, dtype, 1, &channels, bias, NULL);
    op_case_node(c, groups ? "GroupNormalization" : "InstanceNormalization", 1);
    CHECK(adze_node_set_float(c->node, "epsilon", 0.01f));
    if (groups)
        CHECK(adze_node_set_int(c->node, "num_groups", groups));
    op_case_run(c);
}

static void check_groups(const char *level, int groups)
{
    static float x[COUNT];
    static double wide[COUNT];
    float scale[CHANNELS], bias[CHANNELS];
    double wide_scale[CHANNELS], wide_bias[CHANNELS];
    op_case_fill(x, COUNT, 3, 10, 12); /* far from 0: squares alone would not do */
    op_case_fill(scale, CHANNELS, 4, -2, 2);
    op_case_fill(bias, CHANNELS, 5, -2, 2);
    for (int i = 0; i < COUNT; i++)
        wide[i] = (double)x[i];
    for (int i = 0; i < CHANNELS; i++) {
        wide_scale[i] = (double)scale[i];
        wide_bias[i] = (double)bias[i];
    }
    op_case narrow, exact;
    run_group(&narrow, level, groups, ADZE_F32, x, scale, bias);
    run_group(&exact, level, groups, ADZE_F64, wide, wide_scale, wide_bias);
    for (int i = 0; i < COUNT; i++)
        CHECK_NEAR(((const float *)narrow.output[0].data)[i],
                   ((const double *)exact.output[0].data)[i], 2e-5);
    op_case_close(&narrow);
    op_case_close(&exact);
}

TEST(groups_of_floats_as_in_double)
{
    static const char *const levels[] = {"ref", NULL};
    for (int i = 0; i < 2; i++)
        for (int groups = 0; groups < 4; groups++) /* 0: InstanceNormalization */
            check_groups(levels[i], groups);
}

/* ---- of one input: float32 at every level against the same operator in double ---- */

typedef struct norm_case {
    const char *op;
    int rank;
    int64_t dims[4];
    int64_t size; /* LRN */
    float beta;
    int64_t axis, p; /* LpNormalization */
    int64_t axes[4]; /* MeanVarianceNormalization */
    int axis_count;
} norm_case;

static void run_norm(op_case *c, const norm_case *n, const char *level, int threads,
                     adze_dtype dtype, const void *x)
{
    op_case_open_threads(c, level, threads);
    op_case_input(c, dtype, n->rank, n->dims, x, NULL);
    op_case_node(c, n->op, 1);
    if (n->size) {
        CHECK(adze_node_set_int(c->node, "size", n->size));
        CHECK(adze_node_set_float(c->node, "alpha", 0.3f));
        CHECK(adze_node_set_float(c->node, "beta", n->beta));
        CHECK(adze_node_set_float(c->node, "bias", 0.5f));
    } else if (n->p) {
        CHECK(adze_node_set_int(c->node, "axis", n->axis));
        CHECK(adze_node_set_int(c->node, "p", n->p));
    } else {
        CHECK(adze_node_set_ints(c->node, "axes", n->axis_count, n->axes));
    }
    op_case_run(c);
}

static void check_norm(const norm_case *n, const float *x, double close)
{
    static double wide[1 << 16];
    int64_t count = adze_shape_elements(n->rank, n->dims);
    for (int64_t i = 0; i < count; i++)
        wide[i] = (double)x[i];
    op_case exact, narrow, threads;
    run_norm(&exact, n, NULL, 1, ADZE_F64, wide);
    run_norm(&narrow, n, "ref", 1, ADZE_F32, x);
    run_norm(&threads, n, NULL, 3, ADZE_F32, x);
    for (int64_t i = 0; i < count; i++)
        CHECK_NEAR(((const float *)narrow.output[0].data)[i],
                   ((const double *)exact.output[0].data)[i], close);
    CHECK_EQ(memcmp(narrow.output[0].data, threads.output[0].data, narrow.output[0].size), 0);
    op_case_close(&exact);
    op_case_close(&narrow);
    op_case_close(&threads);
}

static const norm_case norm_cases[] = {
    {"LRN", 4, {2, 7, 5, 61}, 5, 0.75f, .p = 0},
    {"LRN", 4, {1, 9, 3, 7}, 4, 0.5f, .p = 0},
    {"LRN", 3, {1, 6, 300}, 3, 0.6f, .p = 0},
    {"LRN", 2, {3, 5}, 20, 1, .p = 0},
    {"LRN", 4, {1, 3, 0, 7}, 3, 1, .p = 0},
    {"LpNormalization", 2, {5, 129}, .axis = -1, .p = 2},
    {"LpNormalization", 2, {3, 9001}, .axis = 1, .p = 1},
    {"LpNormalization", 3, {2, 67, 301}, .axis = 1, .p = 2},
    {"LpNormalization", 3, {3, 5, 7}, .axis = 0, .p = 1},
    {"MeanVarianceNormalization", 4, {2, 3, 7, 31}, .axes = {0, 2, 3}, .axis_count = 3},
    {"MeanVarianceNormalization", 4, {2, 3, 7, 31}, .axes = {-1}, .axis_count = 1},
    {"MeanVarianceNormalization", 4, {2, 3, 70, 91}, .axes = {1, 2, 3}, .axis_count = 3},
    {"MeanVarianceNormalization", 4, {2, 3, 7, 31}, .axes = {1}, .axis_count = 1},
    {"MeanVarianceNormalization", 4, {2, 70, 9, 31}, .axes = {1}, .axis_count = 1},
    {"MeanVarianceNormalization", 4, {3, 5, 2, 301}, .axes = {2, 1}, .axis_count = 2},
    {"MeanVarianceNormalization", 4, {3, 5, 2, 31}, .axes = {0, 2}, .axis_count = 2},
    {"MeanVarianceNormalization", 4, {9, 5, 2, 4}, .axes = {0}, .axis_count = 1},
    {"MeanVarianceNormalization", 2, {9, 3}, .axes = {1}, .axis_count = 1},
};

TEST(norms_of_floats_as_in_double)
{
    static float x[1 << 16];
    for (size_t i = 0; i < ADZE_COUNT_OF(norm_cases); i++) {
        op_case_fill(x, ADZE_COUNT_OF(x), i, -3, 4);
        check_norm(&norm_cases[i], x, 2e-6);
    }
}

/* Squares that float32 does not hold, rows of zeros, and values far from 0. */
TEST(norms_of_floats_at_the_ends_of_their_range)
{
    static float x[1 << 16];
    static const float scales[] = {0, 1e-25f, 1e-15f, 1e25f, 1e37f};
    for (size_t i = 5; i < ADZE_COUNT_OF(norm_cases); i++)
        for (size_t k = 0; k < ADZE_COUNT_OF(scales); k++) {
            op_case_fill(x, ADZE_COUNT_OF(x), i, -1, 2);
            for (size_t e = 0; e < ADZE_COUNT_OF(x); e++)
                x[e] *= scales[k];
            check_norm(&norm_cases[i], x, 2e-6);
        }
    for (size_t i = 9; i < ADZE_COUNT_OF(norm_cases); i++) {
        op_case_fill(x, ADZE_COUNT_OF(x), i, 999, 1001);
        check_norm(&norm_cases[i], x, 2e-6);
    }
}
