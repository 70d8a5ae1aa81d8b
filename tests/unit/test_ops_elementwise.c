/* Comparisons, logic, conversions and tests of numbers, against plain loops over odd sizes. */
#include "op_case.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdlib.h>

static const int64_t sizes[] = {1, 3, 17, 67, 1031};
static const float pool[] = {0,        -0.0f,     1,      -1,    2.5f,    -2.5f,    127.5f,
                             -128.7f,  255.9f,    3e9f,   -3e9f, 1e19f,   -1e19f,   NAN,
                             INFINITY, -INFINITY, 1e-40f, 300,   0x1p31f, -0x1p31f, 0x1.fffffep30f,
                             0x1p63f,  -0x1p63f};

/* n elements that repeat; of floats the hard ones. The memory ends where none may be read. */
static void *numbers(adze_dtype dtype, int64_t n, uint64_t seed, void **base)
{
    size_t size = adze_dtype_describe(dtype)->bits / 8u;
    uint8_t *bytes = malloc((size_t)n), *x = test_guard_alloc((size_t)n * size, base);
    adze_tensor t = adze_tensor_view(dtype, 1, &n, x);
    op_case_fill_bytes(bytes, (size_t)n, seed);
    for (int64_t i = 0; i < n; i++)
        if (dtype == ADZE_F32)
            ((float *)(void *)x)[i] = pool[bytes[i] % ADZE_COUNT_OF(pool)];
        else
            adze_tensor_set_f64(&t, i, dtype == ADZE_BOOL ? bytes[i] & 1 : bytes[i] % 5);
    free(bytes);
    return x;
}

static bool expected_pair(const char *op, double a, double b)
{
    return strcmp(op, "Equal") == 0            ? a == b
           : strcmp(op, "Less") == 0           ? a < b
           : strcmp(op, "LessOrEqual") == 0    ? a <= b
           : strcmp(op, "Greater") == 0        ? a > b
           : strcmp(op, "GreaterOrEqual") == 0 ? a >= b
           : strcmp(op, "And") == 0            ? a != 0 && b != 0
           : strcmp(op, "Or") == 0             ? a != 0 || b != 0
                                               : a != b;
}

/* na, nb: n, or 1 for an operand that is one number */
static void check_pair(const char *op, adze_dtype dtype, int64_t na, int64_t nb)
{
    op_case c;
    void *bases[2], *a = numbers(dtype, na, 1, &bases[0]), *b = numbers(dtype, nb, 2, &bases[1]);
    int64_t n = na > nb ? na : nb;
    op_case_open(&c, NULL);
    op_case_input(&c, dtype, 1, &na, a, NULL);
    op_case_input(&c, dtype, 1, &nb, b, NULL);
    op_case_node(&c, op, 1);
    op_case_run(&c);
    CHECK_EQ(c.output[0].dtype, ADZE_BOOL);
    for (int64_t i = 0; i < n; i++) {
        double x = adze_tensor_get_f64(&c.input[0], na == 1 ? 0 : i),
               y = adze_tensor_get_f64(&c.input[1], nb == 1 ? 0 : i);
        if (((const uint8_t *)c.output[0].data)[i] != expected_pair(op, x, y))
            FAIL("%s of %s: element %d of %d: %g, %g", op, adze_dtype_describe(dtype)->name, (int)i,
                 (int)n, x, y);
    }
    op_case_close(&c);
    test_guard_free(bases[0]);
    test_guard_free(bases[1]);
}

TEST(pairs_that_give_booleans)
{
    static const char *const compare[] = {"Equal", "Less", "LessOrEqual", "Greater",
                                          "GreaterOrEqual"};
    static const char *const logic[] = {"And", "Or", "Xor", "Equal"};
    static const adze_dtype types[] = {ADZE_F32, ADZE_I32, ADZE_I64, ADZE_F64, ADZE_U8};
    for (size_t s = 0; s < ADZE_COUNT_OF(sizes); s++)
        for (int form = 0; form < 3; form++) {
            int64_t na = form == 1 ? 1 : sizes[s], nb = form == 2 ? 1 : sizes[s];
            for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
                for (size_t op = 0; op < ADZE_COUNT_OF(compare); op++)
                    check_pair(compare[op], types[t], na, nb);
            for (size_t op = 0; op < ADZE_COUNT_OF(logic); op++)
                check_pair(logic[op], ADZE_BOOL, na, nb);
        }
}

static void check_one(const char *op, adze_dtype dtype, int64_t n)
{
    op_case c;
    void *base, *x = numbers(dtype, n, 3, &base);
    op_case_open(&c, NULL);
    op_case_input(&c, dtype, 1, &n, x, NULL);
    op_case_node(&c, op, 1);
    op_case_run(&c);
    for (int64_t i = 0; i < n; i++) {
        double v = adze_tensor_get_f64(&c.input[0], i);
        bool expected = strcmp(op, "Not") == 0     ? v == 0
                        : strcmp(op, "IsNaN") == 0 ? v != v
                                                   : isinf(v);
        CHECK_EQ(((const uint8_t *)c.output[0].data)[i], expected);
    }
    op_case_close(&c);
    test_guard_free(base);
}

TEST(tests_of_one_number)
{
    for (size_t s = 0; s < ADZE_COUNT_OF(sizes); s++) {
        check_one("Not", ADZE_BOOL, sizes[s]);
        check_one("IsNaN", ADZE_F32, sizes[s]);
        check_one("IsNaN", ADZE_F64, sizes[s]);
        check_one("IsInf", ADZE_F32, sizes[s]);
    }
}

/* What C does, saturated; NaN is 0. */
static double converted(double v, adze_dtype to)
{
    static const struct {
        adze_dtype dtype;
        double lo, hi;
    } limits[] = {{ADZE_I8, -128, 127},
                  {ADZE_U8, 0, 255},
                  {ADZE_I32, -0x1p31, 0x1p31 - 1},
                  {ADZE_I64, -0x1p63, 0x1p63}};
    if (to == ADZE_BOOL)
        return v != 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(limits); i++)
        if (limits[i].dtype == to)
            return v != v ? 0 : fmin(fmax(trunc(v), limits[i].lo), limits[i].hi);
    return to == ADZE_F32 ? (double)(float)v : v;
}

TEST(conversions)
{
    static const struct {
        adze_dtype from, to;
        int code; /* ONNX's number of `to` */
    } pairs[] = {{ADZE_F32, ADZE_I8, 3},   {ADZE_F32, ADZE_U8, 2},   {ADZE_F32, ADZE_I32, 6},
                 {ADZE_F32, ADZE_I64, 7},  {ADZE_F32, ADZE_BOOL, 9}, {ADZE_F32, ADZE_F64, 11},
                 {ADZE_F64, ADZE_F32, 1},  {ADZE_I64, ADZE_I32, 6},  {ADZE_I32, ADZE_I64, 7},
                 {ADZE_I64, ADZE_F32, 1},  {ADZE_I32, ADZE_F32, 1},  {ADZE_U8, ADZE_F32, 1},
                 {ADZE_I8, ADZE_F32, 1},   {ADZE_BOOL, ADZE_F32, 1}, {ADZE_BOOL, ADZE_I32, 6},
                 {ADZE_BOOL, ADZE_I64, 7}, {ADZE_I64, ADZE_BOOL, 9}, {ADZE_I32, ADZE_BOOL, 9},
                 {ADZE_U8, ADZE_BOOL, 9}};
    for (size_t p = 0; p < ADZE_COUNT_OF(pairs); p++)
        for (size_t s = 0; s < ADZE_COUNT_OF(sizes); s++) {
            op_case c;
            void *base, *x = numbers(pairs[p].from, sizes[s], 4, &base);
            op_case_open(&c, s % 2 ? "ref" : NULL);
            op_case_input(&c, pairs[p].from, 1, &sizes[s], x, NULL);
            CHECK(adze_node_set_int(op_case_node(&c, "Cast", 1), "to", pairs[p].code));
            op_case_run(&c);
            CHECK_EQ(c.output[0].dtype, pairs[p].to);
            for (int64_t i = 0; i < sizes[s]; i++)
                CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i),
                           converted(adze_tensor_get_f64(&c.input[0], i), pairs[p].to), 0);
            op_case_close(&c);
            test_guard_free(base);
        }
}

TEST(range_of_every_type)
{
    static const adze_dtype types[] = {ADZE_I64, ADZE_I32, ADZE_I16, ADZE_F32, ADZE_F64};
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++) {
        op_case c;
        double room[3];
        static const double given[3] = {20, -481, -3};
        op_case_open(&c, NULL);
        for (int k = 0; k < 3; k++) {
            op_case_input(&c, types[t], 0, NULL, &room[k], NULL);
            adze_tensor_set_f64(&c.input[k], 0, given[k]);
        }
        op_case_node(&c, "Range", 1);
        op_case_run(&c);
        CHECK_EQ(c.output[0].dims[0], 167);
        for (int64_t i = 0; i < 167; i++)
            CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), 20.0 - 3.0 * (double)i, 0);
        op_case_close(&c);
    }
}

/* x [3, 17, 301] of small whole numbers along one axis, exclusive and in reverse as the bits of `how` say. */
static void check_running(const char *op, adze_dtype dtype, int64_t axis, int how)
{
    enum { N = 3 * 17 * 301 };
    static double room[N], values[N], expected[N];
    static const int64_t dims[3] = {3, 17, 301}, inner[3] = {17 * 301, 301, 1};
    bool product = strcmp(op, "CumProd") == 0, exclusive = how & 1, reverse = how & 2;
    op_case c;
    op_case_open(&c, how == 0 ? "ref" : NULL);
    op_case_input(&c, dtype, 3, dims, room, NULL);
    op_case_input(&c, ADZE_I64, 0, NULL, &axis, NULL);
    for (int64_t i = 0; i < N; i++) {
        values[i] = product ? (i * 7 % 5 ? 1 : -1) : (double)(i * 7 % 11 - 5);
        adze_tensor_set_f64(&c.input[0], i, values[i]);
    }
    for (int64_t line = 0; line < N / dims[axis]; line++) {
        int64_t first = line / inner[axis] * inner[axis] * dims[axis] + line % inner[axis];
        double sum = product ? 1 : 0;
        for (int64_t k = 0; k < dims[axis]; k++) {
            int64_t at = first + (reverse ? dims[axis] - 1 - k : k) * inner[axis];
            double next = product ? sum * values[at] : sum + values[at];
            expected[at] = exclusive ? sum : next;
            sum = next;
        }
    }
    adze_node *node = op_case_node(&c, op, 1);
    CHECK(adze_node_set_int(node, "exclusive", exclusive));
    CHECK(adze_node_set_int(node, "reverse", reverse));
    op_case_run(&c);
    for (int64_t i = 0; i < N; i++)
        CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), expected[i], 0);
    op_case_close(&c);
}

TEST(running_sums_and_products)
{
    static const adze_dtype types[] = {ADZE_F32, ADZE_I64, ADZE_I32, ADZE_F64, ADZE_F16};
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
        for (int64_t axis = 0; axis < 3; axis++)
            for (int how = 0; how < 4; how++) {
                check_running("CumSum", types[t], axis, how);
                check_running("CumProd", types[t], axis, how);
            }
}
