/* Elements chosen by others, against plain loops: every axis, element size and type of index. */
#include "op_case.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdlib.h>

static const adze_dtype types[] = {ADZE_U8, ADZE_I16, ADZE_F32, ADZE_I64, ADZE_C128};
static const int64_t data_dims[3] = {5, 4, 301}, index_dims[3] = {3, 4, 300};
enum { DATA = 5 * 4 * 301, INDICES = 3 * 4 * 300 };

/* Indices along `axis`, some from the end. Element i names element place[i] of the data. */
static void fill_indices(int axis, adze_tensor *indices, int64_t *place)
{
    uint8_t bytes[2 * INDICES];
    op_case_fill_bytes(bytes, sizeof bytes, 11);
    for (int64_t i = 0; i < INDICES; i++) {
        int64_t c[3] = {i / 1200, i / 300 % 4, i % 300}, size = data_dims[axis];
        int64_t v = (bytes[2 * i] * 256 + bytes[2 * i + 1]) % (2 * size) - size;
        adze_tensor_set_i64(indices, i, v);
        c[axis] = v < 0 ? v + size : v;
        place[i] = (c[0] * 4 + c[1]) * 301 + c[2];
    }
}

typedef struct index_case {
    op_case c;
    int64_t room[INDICES], place[INDICES];
    uint8_t data[DATA * 16], updates[INDICES * 16];
} index_case;

static index_case *open_case(adze_dtype data, adze_dtype index, int axis, int threads)
{
    index_case *t = calloc(1, sizeof *t);
    adze_tensor indices = adze_tensor_view(index, 3, index_dims, t->room);
    op_case_fill_bytes(t->data, sizeof t->data, 5);
    op_case_fill_bytes(t->updates, sizeof t->updates, 6);
    fill_indices(axis, &indices, t->place);
    op_case_open_threads(&t->c, NULL, threads);
    op_case_input(&t->c, data, 3, data_dims, t->data, NULL);
    op_case_input(&t->c, index, 3, index_dims, t->room, NULL);
    return t;
}

static void close_case(index_case *t)
{
    op_case_close(&t->c);
    free(t);
}

TEST(gather_elements_along_every_axis)
{
    for (size_t k = 0; k < ADZE_COUNT_OF(types); k++)
        for (int axis = 0; axis < 3; axis++)
            for (int narrow = 0; narrow < 2; narrow++) {
                index_case *t = open_case(types[k], narrow ? ADZE_I32 : ADZE_I64, axis, 1 + narrow);
                size_t size = adze_dtype_describe(types[k])->bits / 8u;
                CHECK(adze_node_set_int(op_case_node(&t->c, "GatherElements", 1), "axis", axis));
                op_case_run(&t->c);
                for (int64_t i = 0; i < INDICES; i++)
                    CHECK_BYTES((uint8_t *)t->c.output[0].data + (size_t)i * size,
                                t->data + (size_t)t->place[i] * size, size);
                close_case(t);
            }
}

TEST(scatter_elements_along_every_axis)
{
    for (size_t k = 0; k < ADZE_COUNT_OF(types); k++)
        for (int axis = -3; axis < 0; axis++) {
            index_case *t = open_case(types[k], axis == -1 ? ADZE_I32 : ADZE_I64, axis + 3, 1);
            size_t size = adze_dtype_describe(types[k])->bits / 8u;
            uint8_t *expected = malloc(DATA * size);
            memcpy(expected, t->data, DATA * size);
            op_case_input(&t->c, types[k], 3, index_dims, t->updates, NULL);
            CHECK(adze_node_set_int(op_case_node(&t->c, "ScatterElements", 1), "axis", axis));
            op_case_run(&t->c);
            for (int64_t i = 0; i < INDICES; i++)
                memcpy(expected + (size_t)t->place[i] * size, t->updates + (size_t)i * size, size);
            CHECK_BYTES(t->c.output[0].data, expected, DATA * size);
            free(expected);
            close_case(t);
        }
}

static double merged(const char *how, double a, double b)
{
    return *how == 'a' ? a + b : how[1] == 'u' ? a * b : how[1] == 'i' ? fmin(a, b) : fmax(a, b);
}

TEST(scatter_elements_merges)
{
    static const char *const how[] = {"add", "mul", "min", "max"};
    static const adze_dtype kinds[] = {ADZE_F32, ADZE_I32, ADZE_F64};
    for (size_t k = 0; k < ADZE_COUNT_OF(kinds); k++)
        for (size_t h = 0; h < ADZE_COUNT_OF(how); h++) {
            index_case *t = open_case(kinds[k], ADZE_I64, 1, 1);
            adze_tensor updates = adze_tensor_view(kinds[k], 3, index_dims, t->updates);
            double *expected = malloc(DATA * sizeof *expected);
            for (int64_t i = 0; i < DATA; i++) {
                expected[i] = (double)(i % 7 - 3);
                adze_tensor_set_f64(&t->c.input[0], i, expected[i]);
            }
            for (int64_t i = 0; i < INDICES; i++) {
                double u = (double)(i % 3 + 1);
                adze_tensor_set_f64(&updates, i, u);
                expected[t->place[i]] = merged(how[h], expected[t->place[i]], u);
            }
            op_case_input(&t->c, kinds[k], 3, index_dims, t->updates, NULL);
            adze_node *node = op_case_node(&t->c, "ScatterElements", 1);
            CHECK(adze_node_set_int(node, "axis", 1));
            CHECK(adze_node_set_string(node, "reduction", how[h]));
            op_case_run(&t->c);
            for (int64_t i = 0; i < DATA; i++)
                CHECK_NEAR(adze_tensor_get_f64(&t->c.output[0], i), expected[i], 0);
            free(expected);
            close_case(t);
        }
}

TEST(indices_of_elements_stay_inside)
{
    static const char *const ops[] = {"GatherElements", "ScatterElements"};
    for (int op = 0; op < 2; op++)
        for (int wrong = 0; wrong < 3; wrong++) {
            index_case *t = open_case(ADZE_F32, ADZE_I64, 2, 2);
            int64_t longer[3] = {6, 4, 150};
            t->room[INDICES - 1] = wrong == 0 ? 301 : wrong == 1 ? -302 : 0;
            if (wrong == 2) /* as many, but longer than the data along another axis */
                memcpy(t->c.input[1].dims, longer, sizeof longer);
            if (op)
                op_case_input(&t->c, ADZE_F32, 3, t->c.input[1].dims, t->updates, NULL);
            CHECK(adze_node_set_int(op_case_node(&t->c, ops[op], 1), "axis", 2));
            CHECK_FAILS(op_case_try(&t->c), ADZE_BAD_DATA, &t->c.error);
            close_case(t);
        }
}

TEST(non_zero_of_every_type)
{
    static const adze_dtype kinds[] = {ADZE_BOOL, ADZE_U8,  ADZE_I16, ADZE_I32,
                                       ADZE_I64,  ADZE_F32, ADZE_F64};
    static const int64_t shapes[][3] = {{3, 1, 1500}, {1, 700, 3}, {7, 11, 13}, {1, 1, 1}};
    for (size_t k = 0; k < ADZE_COUNT_OF(kinds); k++)
        for (size_t s = 0; s < ADZE_COUNT_OF(shapes); s++) {
            op_case c;
            const int64_t *d = shapes[s];
            int64_t n = d[0] * d[1] * d[2], at = 0;
            void *x = calloc((size_t)n, 8);
            op_case_open(&c, NULL);
            op_case_input(&c, kinds[k], 3, d, x, NULL);
            for (int64_t i = 0; i < n; i++)
                adze_tensor_set_f64(&c.input[0], i,
                                    i % 5 == 2 || i % 11 == 0 ? 1 + (double)(i % 2 * 63) : -0.0);
            op_case_node(&c, "NonZero", 1);
            op_case_run(&c);
            const int64_t *y = c.output[0].data, count = c.output[0].dims[1];
            for (int64_t i = 0; i < n; i++) {
                if (i % 5 != 2 && i % 11 != 0)
                    continue;
                CHECK_EQ(y[at], i / (d[1] * d[2]));
                CHECK_EQ(y[count + at], i / d[2] % d[1]);
                CHECK_EQ(y[2 * count + at++], i % d[2]);
            }
            CHECK_EQ(at, count);
            op_case_close(&c);
            free(x);
        }
}

TEST(one_hot_of_every_size)
{
    static const adze_dtype kinds[] = {ADZE_U8, ADZE_I16, ADZE_F32, ADZE_I64};
    for (size_t k = 0; k < ADZE_COUNT_OF(kinds); k++)
        for (int axis = 0; axis < 3; axis++) {
            op_case c;
            int64_t dims[2] = {3, 67}, two = 2, depth = 101, index[201];
            uint64_t values[2];
            for (int i = 0; i < 201; i++)
                index[i] = i % 5 == 4 ? 200 : i % 101 - (i % 2) * 101;
            op_case_open(&c, NULL);
            op_case_input(&c, ADZE_I64, 2, dims, index, NULL);
            op_case_input(&c, ADZE_I64, 0, NULL, &depth, NULL);
            op_case_input(&c, kinds[k], 1, &two, values, NULL);
            adze_tensor_set_f64(&c.input[2], 0, 3);
            adze_tensor_set_f64(&c.input[2], 1, 7);
            CHECK(adze_node_set_int(op_case_node(&c, "OneHot", 1), "axis", axis));
            op_case_run(&c);
            for (int64_t i = 0; i < 201; i++)
                for (int64_t d = 0; d < 101; d++) {
                    int64_t at = axis == 0   ? d * 201 + i
                                 : axis == 1 ? (i / 67 * 101 + d) * 67 + i % 67
                                             : i * 101 + d;
                    bool on = i % 5 != 4 && d == i % 101;
                    CHECK_NEAR(adze_tensor_get_f64(&c.output[0], at), on ? 7 : 3, 0);
                }
            op_case_close(&c);
        }
}
