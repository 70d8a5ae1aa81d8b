/* ArgMax, ArgMin and Hardmax of float32 along any axis as of double; integer sums along any axis. */
#include "op_case.h"

enum { OUTER = 3, LENGTH = 19, INNER = 301, COUNT = OUTER * LENGTH * INNER };

static void check_choice(const char *op, int64_t axis, int last, const float *x, const double *wide)
{
    op_case c[3];
    for (int i = 0; i < 3; i++) {
        op_case_open_threads(&c[i], i == 1 ? "ref" : NULL, i + 1);
        op_case_input(&c[i], i ? ADZE_F32 : ADZE_F64, 3, (int64_t[]){OUTER, LENGTH, INNER},
                      i ? (const void *)x : wide, NULL);
        op_case_node(&c[i], op, 1);
        CHECK(adze_node_set_int(c[i].node, "axis", axis));
        if (last)
            CHECK(adze_node_set_int(c[i].node, "select_last_index", 1));
        op_case_run(&c[i]);
    }
    for (int64_t i = 0; i < adze_tensor_elements(&c[0].output[0]); i++)
        for (int k = 1; k < 3; k++)
            CHECK_NEAR(adze_tensor_get_f64(&c[k].output[0], i),
                       adze_tensor_get_f64(&c[0].output[0], i), 0);
    for (int i = 0; i < 3; i++)
        op_case_close(&c[i]);
}

TEST(choices_of_floats_as_of_double)
{
    static float x[COUNT];
    static double wide[COUNT];
    op_case_fill(x, COUNT, 1, -9, 9);
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)(int)x[i]; /* many are equal */
        wide[i] = (double)x[i];
    }
    for (int64_t axis = 0; axis < 3; axis++) {
        check_choice("Hardmax", axis, 0, x, wide);
        for (int last = 0; last < 2; last++) {
            check_choice("ArgMax", axis, last, x, wide);
            check_choice("ArgMin", axis, last, x, wide);
        }
    }
}

static void check_integers(const char *op, int64_t axis, const int64_t *x)
{
    int64_t dims[3] = {OUTER, LENGTH, INNER}, inner = 1, one = 1;
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_I64, 3, dims, x, NULL);
    op_case_input(&c, ADZE_I64, 1, &one, &axis, NULL);
    op_case_node(&c, op, 1);
    op_case_run(&c);
    for (int64_t i = axis + 1; i < 3; i++)
        inner *= dims[i];
    for (int64_t i = 0; i < COUNT / dims[axis]; i++) {
        int64_t sum = 0;
        for (int64_t k = 0; k < dims[axis]; k++)
            sum += x[(i / inner * dims[axis] + k) * inner + i % inner];
        CHECK_EQ(((const int64_t *)c.output[0].data)[i], op[6] == 'M' ? sum / dims[axis] : sum);
    }
    op_case_close(&c);
}

TEST(integer_sums_and_means_along_any_axis)
{
    static int64_t x[COUNT];
    for (int64_t i = 0; i < COUNT; i++)
        x[i] = i * i % 1009 - 700;
    for (int64_t axis = 0; axis < 3; axis++) {
        check_integers("ReduceSum", axis, x);
        check_integers("ReduceMean", axis, x);
    }
}

/* Extremes of integers, and where they are. */
TEST(integer_extremes_along_any_axis)
{
    static int64_t x[COUNT];
    static int8_t narrow[COUNT];
    static const char *const ops[] = {"ReduceMax", "ReduceMin", "ArgMax", "ArgMin"};
    const int64_t dims[3] = {OUTER, LENGTH, INNER}, one = 1;
    for (int64_t i = 0; i < COUNT; i++) {
        narrow[i] = (int8_t)(i * i % 19 - 11);
        x[i] = narrow[i];
    }
    for (int64_t k = 0; k < 36; k++) {
        int64_t axis = k % 3, inner = 1;
        int op = (int)(k / 3 % 4);
        bool last = k >= 24 && op >= 2, wide = k < 12;
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, wide ? ADZE_I64 : ADZE_I8, 3, dims,
                      wide ? (const void *)x : (const void *)narrow, NULL);
        if (op < 2)
            op_case_input(&c, ADZE_I64, 1, &one, &axis, NULL);
        op_case_node(&c, ops[op], 1);
        if (op >= 2)
            CHECK(adze_node_set_int(c.node, "axis", axis));
        if (last)
            CHECK(adze_node_set_int(c.node, "select_last_index", 1));
        op_case_run(&c);
        for (int64_t i = axis + 1; i < 3; i++)
            inner *= dims[i];
        for (int64_t i = 0; i < COUNT / dims[axis]; i++) {
            int64_t best = 0, first = i / inner * dims[axis] * inner + i % inner;
            for (int64_t e = 1; e < dims[axis]; e++) {
                int64_t v = x[first + e * inner], most = x[first + best * inner];
                if ((op % 2 ? v < most : v > most) || (last && v == most))
                    best = e;
            }
            CHECK_EQ(adze_tensor_get_i64(&c.output[0], i), op < 2 ? x[first + best * inner] : best);
        }
        op_case_close(&c);
    }
}
