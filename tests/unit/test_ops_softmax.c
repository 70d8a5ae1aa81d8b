/* Softmax along axes that are not the last: float32 at every level against the operator in double. */
#include "op_case.h"

#include <math.h>

static void run_softmax(op_case *c, const char *level, const char *op, const int64_t *dims,
                        int axis, adze_dtype dtype, const void *x)
{
    op_case_open(c, level);
    op_case_input(c, dtype, 3, dims, x, NULL);
    op_case_node(c, op, 1);
    CHECK(adze_node_set_int(c->node, "axis", axis));
    op_case_run(c);
}

static void check_softmax(const char *level, const char *op, const int64_t *dims, int axis)
{
    enum { MOST = 20000 };
    static float x[MOST];
    static double wide[MOST];
    int64_t n = adze_shape_elements(3, dims);
    CHECK(n <= MOST);
    op_case_fill(x, n, 1, -60, 60);
    x[n / 2] = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)x[i];
    op_case narrow, exact;
    run_softmax(&narrow, level, op, dims, axis, ADZE_F32, x);
    run_softmax(&exact, level, op, dims, axis, ADZE_F64, wide);
    for (int64_t i = 0; i < n; i++) {
        float got = ((const float *)narrow.output[0].data)[i];
        double wanted = ((const double *)exact.output[0].data)[i];
        if (isinf(wanted))
            CHECK(isinf(got) && got < 0);
        else
            CHECK_NEAR(got, wanted, op[0] == 'L' ? 1e-4 : 1e-5);
    }
    op_case_close(&narrow);
    op_case_close(&exact);
}

TEST(softmax_along_any_axis)
{
    static const char *const levels[] = {"ref", NULL};
    for (int l = 0; l < 2; l++)
        for (int axis = 0; axis < 3; axis++) {
            check_softmax(levels[l], "Softmax", (int64_t[]){3, 5, 1100}, axis);
            check_softmax(levels[l], "LogSoftmax", (int64_t[]){40, 7, 3}, axis);
        }
}

TEST(softmax_of_no_numbers)
{
    const float x[4] = {NAN, 1, 2, 3}, up[4] = {1, INFINITY, 2, 3};
    for (int k = 0; k < 2; k++) {
        op_case c;
        run_softmax(&c, NULL, "Softmax", (int64_t[]){1, 2, 2}, 1, ADZE_F32, k ? up : x);
        const float *y = c.output[0].data;
        CHECK(isnan(y[k]) && isnan(y[k + 2])); /* their column */
        CHECK_NEAR(y[1 - k] + y[3 - k], 1, 1e-6);
        op_case_close(&c);
    }
}
