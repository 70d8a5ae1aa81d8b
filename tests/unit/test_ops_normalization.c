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
