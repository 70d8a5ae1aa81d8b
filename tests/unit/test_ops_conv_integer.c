/* ConvInteger: exactly the sum over the window, for all signs, zero points, groups, strides and pads. */
#include "op_case.h"

typedef struct integer_case {
    int64_t n, c, h, w, oc, kh, kw, groups, stride, dilation, pad;
    bool x_signed, w_signed, per_channel;
} integer_case;

static int at(const uint8_t *bytes, int64_t i, bool is_signed)
{
    return is_signed ? (int8_t)bytes[i] : bytes[i];
}

/* Element [n, o, y, x] of the result. */
static int32_t expected(const integer_case *t, const uint8_t *x, const uint8_t *w, uint8_t x_zero,
                        const uint8_t *w_zero, const int64_t place[4])
{
    int64_t per_group = t->c / t->groups, first = place[1] / (t->oc / t->groups) * per_group;
    int32_t sum = 0, zx = at(&x_zero, 0, t->x_signed),
            zw = at(w_zero, t->per_channel ? place[1] : 0, t->w_signed);
    for (int64_t c = 0; c < per_group; c++)
        for (int64_t ky = 0; ky < t->kh; ky++)
            for (int64_t kx = 0; kx < t->kw; kx++) {
                int64_t iy = place[2] * t->stride + ky * t->dilation - t->pad,
                        ix = place[3] * t->stride + kx * t->dilation - t->pad;
                if (iy < 0 || iy >= t->h || ix < 0 || ix >= t->w)
                    continue;
                int64_t i = ((place[0] * t->c + first + c) * t->h + iy) * t->w + ix,
                        k = ((place[1] * per_group + c) * t->kh + ky) * t->kw + kx;
                sum += (at(x, i, t->x_signed) - zx) * (at(w, k, t->w_signed) - zw);
            }
    return sum;
}

static void check_case(const char *level, const integer_case *t)
{
    uint8_t x[4096], w[4096], x_zero[1], w_zero[16];
    op_case c;
    op_case_fill_bytes(x, sizeof x, 1);
    op_case_fill_bytes(w, sizeof w, 2);
    op_case_fill_bytes(x_zero, sizeof x_zero, 3);
    op_case_fill_bytes(w_zero, sizeof w_zero, 4);
    adze_dtype tx = t->x_signed ? ADZE_I8 : ADZE_U8, tw = t->w_signed ? ADZE_I8 : ADZE_U8;
    op_case_open(&c, level);
    op_case_input(&c, tx, 4, (int64_t[]){t->n, t->c, t->h, t->w}, x, NULL);
    op_case_input(&c, tw, 4, (int64_t[]){t->oc, t->c / t->groups, t->kh, t->kw}, w, NULL);
    op_case_input(&c, tx, 0, NULL, x_zero, NULL);
    op_case_input(&c, tw, t->per_channel, &t->oc, w_zero, NULL);
    op_case_node(&c, "ConvInteger", 1);
    CHECK(adze_node_set_int(c.node, "group", t->groups));
    CHECK(adze_node_set_ints(c.node, "strides", 2, (int64_t[]){t->stride, t->stride}));
    CHECK(adze_node_set_ints(c.node, "dilations", 2, (int64_t[]){t->dilation, t->dilation}));
    CHECK(adze_node_set_ints(c.node, "pads", 4, (int64_t[]){t->pad, t->pad, t->pad, t->pad}));
    op_case_run(&c);
    const int64_t *d = c.output[0].dims;
    const int32_t *y = c.output[0].data;
    CHECK(adze_tensor_elements(&c.output[0]) > 0);
    for (int64_t i = 0; i < adze_tensor_elements(&c.output[0]); i++)
        CHECK_EQ(y[i], expected(t, x, w, x_zero[0], w_zero,
                                (int64_t[]){i / (d[1] * d[2] * d[3]), i / (d[2] * d[3]) % d[1],
                                            i / d[3] % d[2], i % d[3]}));
    op_case_close(&c);
}

TEST(integer_convolutions_are_exact)
{
    static const integer_case cases[] = {
        {2, 3, 6, 7, 5, 3, 3, 1, 1, 1, 1, false, false, false},
        {1, 4, 9, 5, 6, 3, 2, 2, 2, 1, 1, true, true, true},
        {1, 8, 5, 5, 8, 3, 3, 8, 1, 2, 2, false, true, true},
        {3, 7, 1, 20, 16, 1, 5, 1, 1, 1, 0, true, false, true},
        {1, 16, 4, 4, 10, 1, 1, 1, 1, 1, 0, false, true, false},
        {1, 2, 3, 3, 3, 2, 2, 1, 1, 1, 3, true, false, false}, /* windows of padding alone */
    };
    static const char *const levels[] = {"ref", NULL};
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            check_case(levels[l], &cases[i]);
}

TEST(integer_convolutions_need_zero_points_of_their_type)
{
    const int8_t numbers[9] = {-1};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_U8, 4, (int64_t[]){1, 1, 3, 3}, numbers, NULL);
    op_case_input(&c, ADZE_I8, 4, (int64_t[]){1, 1, 3, 3}, numbers, NULL);
    op_case_input(&c, ADZE_I8, 0, NULL, numbers, NULL);
    op_case_node(&c, "ConvInteger", 1);
    CHECK_FAILS(op_case_try(&c), ADZE_BAD_MODEL, &c.error);
    op_case_close(&c);
}
