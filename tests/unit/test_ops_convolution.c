/* Convolutions over three and more axes: float32 by planes against plain loops in double precision. */
#include "op_case.h"

typedef struct deep_case {
    const char *op;
    int rank, groups;
    int64_t x[7], w[7], strides[5], dilations[5], pads[10];
} deep_case;

static void run_deep(op_case *c, const char *level, const deep_case *d, adze_dtype dtype,
                     const void *x, const void *w, const void *b)
{
    int64_t biases = strcmp(d->op, "Conv") == 0 ? d->w[0] : d->w[1] * d->groups;
    int axes = d->rank - 2;
    op_case_open(c, level);
    op_case_input(c, dtype, d->rank, d->x, x, NULL);
    op_case_input(c, dtype, d->rank, d->w, w, NULL);
    op_case_input(c, dtype, 1, &biases, b, NULL);
    op_case_node(c, d->op, 1);
    CHECK(adze_node_set_int(c->node, "group", d->groups));
    CHECK(adze_node_set_ints(c->node, "strides", axes, d->strides));
    CHECK(adze_node_set_ints(c->node, "dilations", axes, d->dilations));
    CHECK(adze_node_set_ints(c->node, "pads", 2 * axes, d->pads));
    op_case_run(c);
}

static void check_deep(const char *level, const deep_case *d)
{
    enum { MOST = 4000 };
    static float x[MOST], w[MOST], b[MOST];
    static double wide_x[MOST], wide_w[MOST], wide_b[MOST];
    CHECK(adze_shape_elements(d->rank, d->x) <= MOST && adze_shape_elements(d->rank, d->w) <= MOST);
    op_case_fill(x, MOST, 1, -1, 1);
    op_case_fill(w, MOST, 2, -1, 1);
    op_case_fill(b, MOST, 3, -1, 1);
    for (int i = 0; i < MOST; i++) {
        wide_x[i] = (double)x[i];
        wide_w[i] = (double)w[i];
        wide_b[i] = (double)b[i];
    }
    op_case narrow, exact;
    run_deep(&narrow, level, d, ADZE_F32, x, w, b);
    run_deep(&exact, level, d, ADZE_F64, wide_x, wide_w, wide_b);
    int64_t n = adze_tensor_elements(&exact.output[0]);
    CHECK(n > 0);
    CHECK_EQ(adze_tensor_elements(&narrow.output[0]), n);
    for (int64_t i = 0; i < n; i++)
        CHECK_NEAR(((const float *)narrow.output[0].data)[i],
                   ((const double *)exact.output[0].data)[i], 2e-5);
    op_case_close(&narrow);
    op_case_close(&exact);
}

static void check_all(const deep_case *cases, size_t count)
{
    static const char *const levels[] = {"ref", NULL};
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < count; i++)
            check_deep(levels[l], &cases[i]);
}

TEST(convolutions_over_many_axes)
{
    static const deep_case cases[] = {
        {"Conv", 5, 1, {2, 3, 4, 5, 6}, {5, 3, 3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}},
        {"Conv", 5, 2, {1, 4, 7, 6, 5}, {6, 2, 2, 3, 1}, {2, 1, 2}, {3, 2, 1}, {2, 0, 1, 0, 1, 0}},
        {"Conv", 5, 4, {1, 4, 3, 5, 5}, {4, 1, 3, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1, 2, 1, 1}},
        /* the first and last planes are padding alone */
        {"Conv", 5, 1, {1, 2, 2, 3, 3}, {3, 2, 1, 2, 2}, {1, 1, 1}, {1, 1, 1}, {1, 0, 0, 2, 0, 0}},
        {"Conv",
         6,
         1,
         {2, 2, 3, 3, 4, 4},
         {3, 2, 2, 2, 2, 3},
         {1, 2, 1, 1},
         {1, 1, 1, 1},
         {0, 1, 0, 1, 1, 0, 0, 1}},
    };
    check_all(cases, sizeof cases / sizeof *cases);
}

TEST(transposed_convolutions_over_many_axes)
{
    static const deep_case cases[] = {
        {"ConvTranspose", 4, 1, {2, 3, 5, 6}, {3, 4, 3, 2}, {2, 3}, {1, 2}, {1, 0, 0, 1}},
        {"ConvTranspose",
         5,
         1,
         {2, 3, 2, 3, 4},
         {3, 4, 2, 3, 3},
         {2, 1, 2},
         {1, 2, 1},
         {0, 1, 1, 1, 2, 0}},
        {"ConvTranspose",
         5,
         2,
         {1, 4, 3, 2, 5},
         {4, 3, 3, 2, 1},
         {1, 3, 1},
         {2, 1, 1},
         {2, 0, 0, 1, 0, 0}},
        {"ConvTranspose",
         6,
         1,
         {1, 2, 2, 3, 2, 3},
         {2, 3, 2, 1, 3, 2},
         {1, 2, 2, 1},
         {1, 1, 1, 1},
         {0, 0, 1, 0, 0, 0, 1, 1}},
    };
    check_all(cases, sizeof cases / sizeof *cases);
}

/* A channel on its own, and steps as wide as the kernel. */
TEST(transposed_convolutions_of_simple_forms)
{
    static const deep_case cases[] = {
        {"ConvTranspose", 4, 5, {2, 5, 4, 7}, {5, 1, 4, 3}, {2, 2}, {1, 1}, {1, 0, 1, 1}},
        {"ConvTranspose", 4, 3, {1, 3, 10, 11}, {3, 1, 9, 9}, {1, 1}, {1, 1}, {4, 4, 4, 4}},
        {"ConvTranspose", 4, 67, {1, 67, 3, 5}, {67, 1, 2, 3}, {3, 1}, {2, 3}, {0, 2, 1, 0}},
        {"ConvTranspose",
         5,
         4,
         {1, 4, 3, 2, 5},
         {4, 1, 3, 2, 2},
         {1, 3, 2},
         {2, 1, 2},
         {2, 0, 0, 1, 0, 0}},
        {"ConvTranspose", 3, 1, {1, 1, 9}, {1, 1, 4}, {3}, {1}, {2, 1}},
        {"ConvTranspose", 4, 1, {1, 6, 5, 17}, {6, 9, 2, 3}, {2, 3}, {1, 1}, {0, 0, 0, 0}},
        {"ConvTranspose", 4, 1, {2, 6, 5, 3}, {6, 9, 3, 2}, {2, 2}, {1, 1}, {1, 0, 0, 0}},
        {"ConvTranspose", 4, 1, {1, 6, 5, 3}, {6, 9, 3, 2}, {2, 2}, {1, 1}, {1, 0, 0, 1}},
    };
    check_all(cases, sizeof cases / sizeof *cases);
}
