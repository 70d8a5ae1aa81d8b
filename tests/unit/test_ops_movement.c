/* Operators that move elements, against plain loops: every permutation, type width, odd shape. */
#include "op_case.h"

#include <stdlib.h>

static const struct {
    adze_dtype dtype;
    size_t size;
} widths[] = {{ADZE_U8, 1}, {ADZE_I16, 2}, {ADZE_F32, 4}, {ADZE_I64, 8}, {ADZE_C128, 16}};

static void check_transpose(int w, int rank, const int64_t *dims, const int64_t *perm)
{
    op_case c;
    size_t size = widths[w].size;
    int64_t n = adze_shape_elements(rank, dims), strides[8], stride = 1;
    uint8_t *x = malloc((size_t)n * size), *expected = malloc((size_t)n * size);
    op_case_fill_bytes(x, (size_t)n * size, 7);
    for (int i = rank - 1; i >= 0; stride *= dims[i--])
        strides[i] = stride;
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, from = 0;
        for (int k = rank - 1; k >= 0; k--) {
            from += rest % dims[perm[k]] * strides[perm[k]];
            rest /= dims[perm[k]];
        }
        memcpy(expected + (size_t)i * size, x + (size_t)from * size, size);
    }
    op_case_open(&c, NULL);
    op_case_input(&c, widths[w].dtype, rank, dims, x, NULL);
    CHECK(adze_node_set_ints(op_case_node(&c, "Transpose", 1), "perm", rank, perm));
    op_case_run(&c);
    for (int k = 0; k < rank; k++)
        CHECK_EQ(c.output[0].dims[k], dims[perm[k]]);
    CHECK_BYTES(c.output[0].data, expected, (size_t)n * size);
    op_case_close(&c);
    free(x);
    free(expected);
}

static void each_permutation(int w, int rank, const int64_t *dims, int64_t *perm, int at)
{
    if (at == rank) {
        check_transpose(w, rank, dims, perm);
        return;
    }
    for (int64_t axis = 0; axis < rank; axis++) {
        bool used = false;
        for (int k = 0; k < at; k++)
            used |= perm[k] == axis;
        perm[at] = axis;
        if (!used)
            each_permutation(w, rank, dims, perm, at + 1);
    }
}

TEST(transpose_every_permutation)
{
    int64_t dims[4] = {3, 5, 2, 7}, perm[4];
    for (int w = 0; w < 5; w++)
        each_permutation(w, 4, dims, perm, 0);
}

TEST(transpose_large)
{
    for (int w = 0; w < 5; w++) {
        check_transpose(w, 2, (int64_t[]){301, 517}, (int64_t[]){1, 0});
        check_transpose(w, 3, (int64_t[]){3, 67, 1031}, (int64_t[]){0, 2, 1});
        check_transpose(w, 3, (int64_t[]){70000, 3, 1}, (int64_t[]){1, 0, 2});
        check_transpose(w, 4, (int64_t[]){2, 33, 5, 64}, (int64_t[]){0, 2, 1, 3});
        check_transpose(w, 4, (int64_t[]){1, 3, 224, 224}, (int64_t[]){0, 2, 3, 1});
    }
}

/* x [6, 5, 40] sliced with steps. */
TEST(slice_steps)
{
    int64_t dims[3] = {6, 5, 40}, n = 3, axes[3] = {0, 1, -1}, starts[3] = {4, 1, -2},
            ends[3] = {-7, 100, 3}, steps[3] = {-2, 2, -5};
    for (int w = 0; w < 5; w++) {
        op_case c;
        size_t size = widths[w].size;
        uint8_t x[1200 * 16];
        op_case_fill_bytes(x, sizeof x, 8);
        op_case_open(&c, NULL);
        op_case_input(&c, widths[w].dtype, 3, dims, x, NULL);
        op_case_input(&c, ADZE_I64, 1, &n, starts, NULL);
        op_case_input(&c, ADZE_I64, 1, &n, ends, NULL);
        op_case_input(&c, ADZE_I64, 1, &n, axes, NULL);
        op_case_input(&c, ADZE_I64, 1, &n, steps, NULL);
        op_case_node(&c, "Slice", 1);
        op_case_run(&c);
        CHECK_EQ(c.output[0].dims[0], 3); /* 4, 2, 0 */
        CHECK_EQ(c.output[0].dims[1], 2); /* 1, 3 */
        CHECK_EQ(c.output[0].dims[2], 7); /* 38, 33, ..., 8 */
        const uint8_t *y = c.output[0].data;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 2; b++)
                for (int k = 0; k < 7; k++, y += size)
                    CHECK_BYTES(
                        y, x + (size_t)(((4 - 2 * a) * 5 + 1 + 2 * b) * 40 + 38 - 5 * k) * size,
                        size);
        op_case_close(&c);
    }
}

TEST(slice_ends_before_everything)
{
    int64_t one = 1, n = 3, first = -1, step = -1, axis = 0, ends[3] = {INT64_MIN, -INT64_MAX, -99};
    float x[3] = {1, 2, 3};
    for (int k = 0; k < 3; k++) {
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_F32, 1, &n, x, NULL);
        op_case_input(&c, ADZE_I64, 1, &one, &first, NULL);
        op_case_input(&c, ADZE_I64, 1, &one, &ends[k], NULL);
        op_case_input(&c, ADZE_I64, 1, &one, &axis, NULL);
        op_case_input(&c, ADZE_I64, 1, &one, &step, NULL);
        op_case_node(&c, "Slice", 1);
        op_case_run(&c);
        CHECK_EQ(c.output[0].dims[0], 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(((const float *)c.output[0].data)[i], x[2 - i]);
        op_case_close(&c);
    }
}

TEST(concat_and_split_are_inverse)
{
    for (int64_t axis = 0; axis < 3; axis++) {
        op_case c, back;
        int64_t a_dims[3] = {3, 4, 5}, b_dims[3] = {3, 4, 5}, two = 2;
        b_dims[axis] = 7;
        float a[60], b[3 * 4 * 7 * 5];
        int64_t n = adze_shape_elements(3, b_dims), sizes[2] = {a_dims[axis], 7};
        op_case_fill(a, 60, 1, -1, 1);
        op_case_fill(b, n, 2, -1, 1);
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_F32, 3, a_dims, a, NULL);
        op_case_input(&c, ADZE_F32, 3, b_dims, b, NULL);
        CHECK(adze_node_set_int(op_case_node(&c, "Concat", 1), "axis", axis));
        op_case_run(&c);
        op_case_open(&back, NULL);
        op_case_input(&back, ADZE_F32, 3, c.output[0].dims, c.output[0].data, NULL);
        op_case_input(&back, ADZE_I64, 1, &two, sizes, NULL);
        CHECK(adze_node_set_int(op_case_node(&back, "Split", 2), "axis", axis));
        op_case_run(&back);
        CHECK_BYTES(back.output[0].data, a, sizeof a);
        CHECK_BYTES(back.output[1].data, b, (size_t)n * sizeof(float));
        op_case_close(&back);
        op_case_close(&c);
    }
}

static float pair_of(const float *a, const int64_t *a_dims, const float *b, const int64_t *b_dims,
                     const int64_t *dims, int64_t i)
{
    int64_t at[2] = {0, 0}, stride[2] = {1, 1};
    const int64_t *shape[2] = {a_dims, b_dims};
    for (int k = 3; k >= 0; k--) {
        for (int o = 0; o < 2; o++) {
            at[o] += shape[o][k] == 1 ? 0 : i % dims[k] * stride[o];
            stride[o] *= shape[o][k];
        }
        i /= dims[k];
    }
    return a[at[0]] - b[at[1]];
}

/* Every pair of shapes with axes of 1 in it. */
TEST(broadcast_every_shape)
{
    int64_t full[4] = {3, 2, 4, 19};
    float a[456], b[456];
    op_case_fill(a, 456, 3, -1, 1);
    op_case_fill(b, 456, 4, -1, 1);
    for (int mask = 0; mask < 256; mask++) {
        int64_t dims[2][4], out[4];
        for (int k = 0; k < 4; k++) {
            dims[0][k] = mask >> k & 1 ? 1 : full[k];
            dims[1][k] = mask >> (k + 4) & 1 ? 1 : full[k];
            out[k] = dims[0][k] > dims[1][k] ? dims[0][k] : dims[1][k];
        }
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, ADZE_F32, 4, dims[0], a, NULL);
        op_case_input(&c, ADZE_F32, 4, dims[1], b, NULL);
        op_case_node(&c, "Sub", 1);
        op_case_run(&c);
        const float *y = c.output[0].data;
        for (int64_t i = 0; i < adze_shape_elements(4, out); i++)
            CHECK_EQ(y[i] == pair_of(a, dims[0], b, dims[1], out, i), 1);
        op_case_close(&c);
    }
}

/* The first two together are smaller than the result. */
TEST(variadic_small_operands_first)
{
    int64_t small[2] = {2, 1}, large[2] = {2, 37};
    float a[2] = {1, 5}, b[2] = {3, 2}, x[74];
    int32_t ai[2] = {1, 5}, bi[2] = {3, 2}, xi[74];
    for (int i = 0; i < 74; i++)
        xi[i] = (int32_t)(x[i] = (float)(i % 7));
    for (int whole = 0; whole < 2; whole++) {
        adze_dtype dtype = whole ? ADZE_I32 : ADZE_F32;
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, dtype, 2, small, whole ? (void *)ai : a, NULL);
        op_case_input(&c, dtype, 2, small, whole ? (void *)bi : b, NULL);
        op_case_input(&c, dtype, 2, large, whole ? (void *)xi : x, NULL);
        op_case_node(&c, "Max", 1);
        op_case_run(&c);
        for (int i = 0; i < 74; i++)
            CHECK_EQ(adze_tensor_get_i64(&c.output[0], i), ADZE_MAX(i < 37 ? 3 : 5, i % 7));
        op_case_close(&c);
    }
}

/* Sums over every set of axes, in float32 (kernels), float16 and int32. */
TEST(reduce_every_set_of_axes)
{
    static const adze_dtype types[] = {ADZE_F32, ADZE_F16, ADZE_I32, ADZE_F64};
    int64_t dims[4] = {3, 2, 5, 4};
    for (size_t t = 0; t < ADZE_COUNT_OF(types); t++)
        for (int mask = 1; mask < 16; mask++) {
            op_case c;
            adze_tensor x;
            int64_t axes[4], count = 0;
            double sums[120] = {0};
            CHECK_OK(adze_tensor_make(&x, types[t], 4, dims, NULL), NULL);
            for (int k = 0; k < 4; k++)
                if (mask >> k & 1)
                    axes[count++] = k;
            for (int64_t i = 0; i < 120; i++) {
                int64_t rest = i, to = 0, stride = 1;
                adze_tensor_set_f64(&x, i, (double)(i * 7 % 13 - 5));
                for (int k = 3; k >= 0; rest /= dims[k--])
                    if (!(mask >> k & 1)) {
                        to += rest % dims[k] * stride;
                        stride *= dims[k];
                    }
                sums[to] += (double)(i * 7 % 13 - 5);
            }
            op_case_open(&c, NULL);
            op_case_input(&c, types[t], 4, dims, x.data, NULL);
            op_case_input(&c, ADZE_I64, 1, &count, axes, NULL);
            CHECK(adze_node_set_int(op_case_node(&c, "ReduceSum", 1), "keepdims", 0));
            op_case_run(&c);
            CHECK_EQ(c.output[0].rank, 4 - count);
            for (int64_t i = 0; i < adze_tensor_elements(&c.output[0]); i++)
                CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), sums[i], 1e-6);
            op_case_close(&c);
            adze_tensor_free(&x);
        }
}

TEST(indices_outside_are_refused)
{
    op_case c;
    int64_t dims[2] = {3, 4}, one = 1, bad = 3;
    float x[12] = {0};
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, dims, x, NULL);
    op_case_input(&c, ADZE_I64, 1, &one, &bad, NULL);
    op_case_node(&c, "Gather", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
    bad = -4;
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_DATA, &c.error);
    bad = -3;
    CHECK_OK(op_case_try(&c), &c.error);
    op_case_close(&c);
}

TEST(top_k_is_stable)
{
    op_case c;
    int64_t dims[2] = {2, 6}, k = 4, one = 1;
    float x[12] = {1, 5, 5, 2, 5, 0, NAN, 3, 3, -1, 3, 9};
    int64_t expected[8] = {1, 2, 4, 3, 0, 5, 1, 2}; /* NaN counts as the largest */
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, dims, x, NULL);
    op_case_input(&c, ADZE_I64, 1, &one, &k, NULL);
    op_case_node(&c, "TopK", 2);
    op_case_run(&c);
    CHECK_BYTES(c.output[1].data, expected, sizeof expected);
    op_case_close(&c);
}

/* Operators that look at bytes must not take texts, whose bytes are addresses, nor make them. */
TEST(texts_are_no_numbers)
{
    static const struct {
        const char *op;
        adze_dtype dtype;
        int64_t to;
        adze_status status;
    } rows[] = {{"Not", ADZE_STRING, 0, ADZE_UNSUPPORTED},
                {"Not", ADZE_U8, 0, ADZE_UNSUPPORTED},
                {"BitwiseNot", ADZE_STRING, 0, ADZE_UNSUPPORTED},
                {"BitCast", ADZE_STRING, 15, ADZE_BAD_MODEL},
                {"BitCast", ADZE_C128, 8, ADZE_BAD_MODEL}};
    for (size_t i = 0; i < ADZE_COUNT_OF(rows); i++) {
        int64_t one = 1;
        adze_string text = {"text", 4};
        op_case c;
        op_case_open(&c, NULL);
        op_case_input(&c, rows[i].dtype, 1, &one, &text, NULL);
        adze_node *node = op_case_node(&c, rows[i].op, 1);
        if (rows[i].to)
            CHECK(adze_node_set_int(node, "to", rows[i].to));
        CHECK_FAILS(op_case_try(&c), rows[i].status, &c.error);
        op_case_close(&c);
    }
}

/* Rows of one element for all, and every second one. */
TEST(expand_and_space_to_depth_of_odd_sizes)
{
    for (int w = 0; w < 5; w++) {
        op_case c;
        int64_t narrow[4] = {1, 3, 1, 1}, shape[4] = {2, 3, 5, 67}, four = 4,
                wide[4] = {1, 3, 6, 134};
        size_t size = widths[w].size;
        uint8_t x[3 * 6 * 134 * 16];
        op_case_fill_bytes(x, sizeof x, 9);
        op_case_open(&c, NULL);
        op_case_input(&c, widths[w].dtype, 4, narrow, x, NULL);
        op_case_input(&c, ADZE_I64, 1, &four, shape, NULL);
        op_case_node(&c, "Expand", 1);
        op_case_run(&c);
        const uint8_t *y = c.output[0].data;
        for (size_t i = 0; i < 2 * 3 * 5 * 67; i++)
            CHECK_BYTES(y + i * size, x + i / 335 % 3 * size, size);
        op_case_close(&c);
        op_case_open(&c, NULL);
        op_case_input(&c, widths[w].dtype, 4, wide, x, NULL);
        CHECK(adze_node_set_int(op_case_node(&c, "SpaceToDepth", 1), "blocksize", 2));
        op_case_run(&c);
        y = c.output[0].data;
        for (size_t i = 0; i < 12 * 3 * 67; i++) { /* channel: (row, column, channel of x) */
            size_t channel = i / 201, h = i / 67 % 3, v = i % 67, block = channel / 3;
            size_t from = (channel % 3 * 6 + 2 * h + block / 2) * 134 + 2 * v + block % 2;
            CHECK_BYTES(y + i * size, x + from * size, size);
        }
        op_case_close(&c);
    }
}

static int64_t padded_from(const char *mode, int64_t i, int64_t n)
{
    int64_t period = *mode == 'w' ? n : 2 * (n - 1), r = (i % period + period) % period;
    if (i >= 0 && i < n)
        return i;
    return *mode == 'c' ? -1 : *mode == 'e' ? (i < 0 ? 0 : n - 1) : r < n ? r : period - r;
}

TEST(pad_of_every_mode)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const int64_t all_pads[][6] = {{1, 2, 3, 0, 1, 4},
                                          {0, 0, 1, 0, 0, 1},
                                          {2, -1, -3, 1, 3, 5},
                                          {0, 0, 500, 0, 0, 101},
                                          {1, 0, 0, 1, 0, 0}};
    int64_t dims[3] = {3, 5, 67}, six = 6;
    for (size_t m = 0; m < 4; m++)
        for (size_t p = 0; p < ADZE_COUNT_OF(all_pads); p++)
            for (int w = 0; w < 5; w++) {
                op_case c;
                const int64_t *pads = all_pads[p];
                size_t size = widths[w].size;
                uint8_t x[3 * 5 * 67 * 16], value[16];
                op_case_fill_bytes(x, sizeof x, 3);
                op_case_fill_bytes(value, sizeof value, 4);
                op_case_open(&c, NULL);
                op_case_input(&c, widths[w].dtype, 3, dims, x, NULL);
                op_case_input(&c, ADZE_I64, 1, &six, pads, NULL);
                op_case_input(&c, widths[w].dtype, 0, NULL, value, NULL);
                CHECK(adze_node_set_string(op_case_node(&c, "Pad", 1), "mode", modes[m]));
                op_case_run(&c);
                const int64_t *d = c.output[0].dims;
                for (int64_t i = 0; i < d[0] * d[1] * d[2]; i++) {
                    int64_t s[3] = {i / d[2] / d[1], i / d[2] % d[1], i % d[2]};
                    bool fill = false;
                    for (int k = 0; k < 3; k++) {
                        s[k] = padded_from(modes[m], s[k] - pads[k], dims[k]);
                        fill |= s[k] < 0;
                    }
                    CHECK_BYTES((const uint8_t *)c.output[0].data + (size_t)i * size,
                                fill ? value : x + (size_t)((s[0] * 5 + s[1]) * 67 + s[2]) * size,
                                size);
                }
                op_case_close(&c);
            }
}
