/* Boxes, regions and deformable convolution: what the cases of ONNX do not show. */
#include "base/context.h"
#include "base/file.h"
#include "base/threads.h"
#include "op_case.h"

#include <math.h>

static void open_nms(op_case *c, const float *boxes, const float *scores, const float *iou)
{
    static const int64_t most[1] = {10};
    op_case_open(c, NULL);
    op_case_input(c, ADZE_F32, 3, (int64_t[]){1, 3, 4}, boxes, NULL);
    op_case_input(c, ADZE_F32, 3, (int64_t[]){1, 1, 3}, scores, NULL);
    op_case_input(c, ADZE_I64, 1, (int64_t[]){1}, most, NULL);
    op_case_input(c, ADZE_F32, 1, (int64_t[]){1}, iou, NULL);
    op_case_node(c, "NonMaxSuppression", 1);
}

TEST(nms_keeps_order_of_equal_scores_and_ignores_nan)
{
    const float boxes[12] = {0, 0, 1, 1, 5, 5, 6, 6, 9, 9, 10, 10};
    const float scores[3] = {0.5f, NAN, 0.5f}, iou = 0.5f, bad = 1.5f;
    op_case c;
    open_nms(&c, boxes, scores, &iou);
    op_case_run(&c);
    const int64_t *y = c.output[0].data;
    CHECK_EQ(c.output[0].dims[0], 2);
    CHECK_EQ(y[2], 0);
    CHECK_EQ(y[5], 2);
    op_case_close(&c);
    open_nms(&c, boxes, scores, &bad);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}

static int64_t wanted = -1;

static adze_status take_size(adze_run *run, int i, adze_dtype dtype, int rank, const int64_t *dims,
                             adze_error *err)
{
    ADZE_UNUSED(run);
    ADZE_UNUSED(i);
    ADZE_UNUSED(dtype);
    ADZE_UNUSED(rank);
    ADZE_UNUSED(err);
    wanted = dims[0];
    return ADZE_OK;
}

/* A run that is out of time leaves out pieces: what these would have counted must not be taken from memory. */
TEST(nms_out_of_time_finds_nothing)
{
    const float boxes[12] = {0}, scores[3] = {1, 1, 1}, iou = 0.5f;
    op_case c;
    open_nms(&c, boxes, scores, &iou);
    const adze_tensor *inputs[4] = {&c.input[0], &c.input[1], &c.input[2], &c.input[3]};
    adze_tensor *outputs[1] = {&c.output[0]};
    adze_run_host host = {.resize = take_size};
    int64_t scratch[64];
    memset(scratch, 1, sizeof scratch);
    adze_run run = {.node = c.node,
                    .kernels = c.context->kernels,
                    .input_count = 4,
                    .output_count = 1,
                    .inputs = inputs,
                    .outputs = outputs,
                    .scratch = scratch,
                    .session = &host};
    CHECK_OK(adze_pool_share(&run.pool, c.context->pool, NULL), NULL);
    CHECK(c.node->op->scratch(&run) <= sizeof scratch);
    adze_pool_set_deadline(run.pool, adze_now() - 1);
    CHECK_OK(c.node->op->run(&run, &c.error), &c.error);
    CHECK_EQ(wanted, 0);
    adze_pool_close(&run.pool);
    op_case_close(&c);
}

TEST(regions_of_absent_pictures_and_endless_regions_fail)
{
    float x[16] = {0}, roi[4] = {0, 0, 3, 3};
    int64_t picture[1] = {1};
    for (int i = 0; i < 2; i++) {
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_F32, 4, (int64_t[]){1, 1, 4, 4}, x, NULL);
        op_case_input(&c, ADZE_F32, 2, (int64_t[]){1, 4}, roi, NULL);
        op_case_input(&c, ADZE_I64, 1, (int64_t[]){1}, picture, NULL);
        op_case_node(&c, "RoiAlign", 1);
        CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
        op_case_close(&c);
        picture[0] = 0;
        roi[2] = roi[3] = 1e30f;
    }
}

TEST(unpool_refuses_places_outside)
{
    const float x[1] = {1};
    const int64_t place[1] = {4};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 4, (int64_t[]){1, 1, 1, 1}, x, NULL);
    op_case_input(&c, ADZE_I64, 4, (int64_t[]){1, 1, 1, 1}, place, NULL);
    op_case_node(&c, "MaxUnpool", 1);
    CHECK(adze_node_set_ints(c.node, "kernel_shape", 2, (int64_t[]){2, 2}));
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
    op_case_close(&c);
}

/* Whole offsets shift the picture; a volume has eight pixels around a place; far offsets read zeros. */
TEST(deformable_convolution_of_volumes)
{
    float x[27], w[1] = {2}, offset[3 * 27], expected[27];
    for (int i = 0; i < 27; i++) {
        x[i] = (float)i;
        offset[i] = 0;
        offset[27 + i] = 0.5f;               /* between two rows */
        offset[54 + i] = i == 0 ? 1e30f : 0; /* far outside */
        float below = i / 3 % 3 < 2 ? (float)(i + 3) : 0;
        expected[i] = i == 0 ? 0 : (float)i + below;
    }
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 5, (int64_t[]){1, 1, 3, 3, 3}, x, NULL);
    op_case_input(&c, ADZE_F32, 5, (int64_t[]){1, 1, 1, 1, 1}, w, NULL);
    op_case_input(&c, ADZE_F32, 5, (int64_t[]){1, 3, 3, 3, 3}, offset, NULL);
    op_case_node(&c, "DeformConv", 1);
    op_case_run(&c);
    CHECK_FLOATS(c.output[0].data, expected, 27, 1e-5, 1e-5);
    op_case_close(&c);
}

static void run_align(op_case *c, const char *level, int threads, adze_dtype dtype,
                      int64_t channels, int ratio, const char *mode, const char *shift,
                      const void *x, const void *rois)
{
    static const int64_t pictures[] = {0, 1, 1, 0, 1, 0};
    op_case_open_threads(c, level, threads);
    op_case_input(c, dtype, 4, (int64_t[]){2, channels, 9, 11}, x, NULL);
    op_case_input(c, dtype, 2, (int64_t[]){6, 4}, rois, NULL);
    op_case_input(c, ADZE_I64, 1, (int64_t[]){6}, pictures, NULL);
    op_case_node(c, "RoiAlign", 1);
    CHECK(adze_node_set_string(c->node, "mode", mode));
    CHECK(adze_node_set_string(c->node, "coordinate_transformation_mode", shift));
    CHECK(adze_node_set_int(c->node, "output_height", 3));
    CHECK(adze_node_set_int(c->node, "output_width", 5));
    CHECK(adze_node_set_int(c->node, "sampling_ratio", ratio));
    CHECK(adze_node_set_float(c->node, "spatial_scale", 0.5f));
    op_case_run(c);
}

/* Regions of all sizes: inside, in part and wholly outside, turned round, of no size. */
TEST(regions_of_floats_as_in_double)
{
    enum { MOST = 2 * 70 * 99 };
    static float x[MOST];
    static double wide[MOST];
    static const float rois[24] = {1,  2,  9, 15, -7, -3, 30, 21,    0, 0, 22, 18,
                                   15, 12, 3, 2,  60, 60, 80, 80.5f, 5, 5, 5,  5};
    double wide_rois[24];
    op_case_fill(x, MOST, 1, -2, 2);
    for (int i = 0; i < MOST; i++)
        wide[i] = (double)x[i];
    for (int i = 0; i < 24; i++)
        wide_rois[i] = (double)rois[i];
    for (int i = 0; i < 12; i++) {
        int64_t channels = i % 2 ? 70 : 3;
        int ratio = i / 2 % 3;
        const char *shift = i < 6 ? "half_pixel" : "output_half_pixel";
        for (int k = 0; k < 2; k++) {
            op_case narrow, threads, exact;
            const char *mode = k ? "max" : "avg";
            run_align(&narrow, "ref", 1, ADZE_F32, channels, ratio, mode, shift, x, rois);
            run_align(&threads, NULL, 3, ADZE_F32, channels, ratio, mode, shift, x, rois);
            run_align(&exact, NULL, 1, ADZE_F64, channels, ratio, mode, shift, wide, wide_rois);
            for (int64_t e = 0; e < 6 * channels * 15; e++)
                CHECK_NEAR(((const float *)narrow.output[0].data)[e],
                           ((const double *)exact.output[0].data)[e], 2e-6);
            CHECK_EQ(memcmp(narrow.output[0].data, threads.output[0].data, narrow.output[0].size),
                     0);
            op_case_close(&narrow);
            op_case_close(&threads);
            op_case_close(&exact);
        }
    }
}

static void run_roi_pool(op_case *c, const char *level, int threads, adze_dtype dtype,
                         int64_t channels, const void *x, const void *rois)
{
    op_case_open_threads(c, level, threads);
    op_case_input(c, dtype, 4, (int64_t[]){2, channels, 9, 11}, x, NULL);
    op_case_input(c, dtype, 2, (int64_t[]){6, 5}, rois, NULL);
    op_case_node(c, "MaxRoiPool", 1);
    CHECK(adze_node_set_ints(c->node, "pooled_shape", 2, (int64_t[]){3, 5}));
    CHECK(adze_node_set_float(c->node, "spatial_scale", 0.5f));
    op_case_run(c);
}

TEST(largest_of_regions_of_floats_as_in_double)
{
    enum { MOST = 2 * 70 * 99 };
    static float x[MOST];
    static double wide[MOST];
    static const float rois[30] = {0, 1,  2,  9, 15, 1, -7, -3, 30, 21,    1, 0, 0, 22, 18,
                                   0, 15, 12, 3, 2,  1, 60, 60, 80, 80.5f, 0, 5, 5, 5,  5};
    double wide_rois[30];
    op_case_fill(x, MOST, 1, -2, 2);
    for (int i = 0; i < MOST; i++)
        wide[i] = (double)x[i];
    for (int i = 0; i < 30; i++)
        wide_rois[i] = (double)rois[i];
    for (int64_t channels = 3; channels <= 70; channels += 67) {
        op_case narrow, threads, exact;
        run_roi_pool(&narrow, "ref", 1, ADZE_F32, channels, x, rois);
        run_roi_pool(&threads, NULL, 3, ADZE_F32, channels, x, rois);
        run_roi_pool(&exact, NULL, 1, ADZE_F64, channels, wide, wide_rois);
        for (int64_t e = 0; e < 6 * channels * 15; e++)
            CHECK_NEAR(((const float *)narrow.output[0].data)[e],
                       ((const double *)exact.output[0].data)[e], 0);
        CHECK_EQ(memcmp(narrow.output[0].data, threads.output[0].data, narrow.output[0].size), 0);
        op_case_close(&narrow);
        op_case_close(&threads);
        op_case_close(&exact);
    }
}

static void run_deform(op_case *c, const char *level, adze_dtype dtype, int groups,
                       int offset_groups, const void *x, const void *w, const void *offset,
                       const void *mask)
{
    op_case_open_threads(c, level, level ? 1 : 3);
    op_case_input(c, dtype, 4, (int64_t[]){2, 12, 7, 9}, x, NULL);
    op_case_input(c, dtype, 4, (int64_t[]){6, 12 / groups, 3, 2}, w, NULL);
    op_case_input(c, dtype, 4, (int64_t[]){2, offset_groups * 12, 7, 8}, offset, NULL);
    op_case_absent(c);
    op_case_input(c, dtype, 4, (int64_t[]){2, offset_groups * 6, 7, 8}, mask, NULL);
    op_case_node(c, "DeformConv", 1);
    CHECK(adze_node_set_int(c->node, "group", groups));
    CHECK(adze_node_set_int(c->node, "offset_group", offset_groups));
    CHECK(adze_node_set_ints(c->node, "pads", 4, (int64_t[]){1, 0, 1, 0}));
    op_case_run(c);
}

/* Groups of the product and of the offsets that do not fit into each other. */
TEST(deformable_convolution_of_floats_as_in_double)
{
    enum { MOST = 2 * 6 * 12 * 56 };
    static float x[MOST], w[MOST], offset[MOST], mask[MOST];
    static double wide[4][MOST];
    float *narrow[4] = {x, w, offset, mask};
    for (int k = 0; k < 4; k++) {
        op_case_fill(narrow[k], MOST, (uint64_t)k, -1, 1.5f);
        for (int i = 0; i < MOST; i++)
            wide[k][i] = (double)narrow[k][i];
    }
    for (int groups = 1; groups <= 3; groups++)
        for (int offsets = 1; offsets <= 6; offsets++) {
            if (12 % offsets != 0)
                continue;
            op_case plain, best, exact;
            run_deform(&plain, "ref", ADZE_F32, groups, offsets, x, w, offset, mask);
            run_deform(&best, NULL, ADZE_F32, groups, offsets, x, w, offset, mask);
            run_deform(&exact, NULL, ADZE_F64, groups, offsets, wide[0], wide[1], wide[2], wide[3]);
            for (int64_t i = 0; i < adze_tensor_elements(&exact.output[0]); i++) {
                double value = adze_tensor_get_f64(&exact.output[0], i);
                CHECK_NEAR(adze_tensor_get_f64(&plain.output[0], i), value, 1e-4);
                CHECK_NEAR(adze_tensor_get_f64(&best.output[0], i), value, 1e-4);
            }
            op_case_close(&plain);
            op_case_close(&best);
            op_case_close(&exact);
        }
}
