#include "kernel_check.h"
#include "kernels/conv.h"

/* n, h, w, c, oc, kh, kw, stride, dilation, pad, groups */
static const int shapes[][11] = {
    {1, 5, 5, 1, 8, 3, 3, 1, 1, 1, 1},     {1, 28, 28, 1, 32, 3, 3, 1, 1, 1, 1},
    {1, 9, 9, 3, 16, 3, 3, 2, 1, 1, 1},    {2, 8, 7, 16, 24, 1, 1, 1, 1, 0, 1},
    {1, 14, 14, 32, 33, 3, 3, 1, 1, 1, 1}, {1, 13, 11, 20, 40, 1, 1, 2, 1, 0, 1},
    {1, 7, 7, 64, 70, 3, 3, 1, 1, 1, 1},   {2, 10, 12, 12, 18, 3, 3, 1, 1, 1, 3},
    {1, 12, 12, 8, 10, 3, 3, 1, 2, 2, 1},  {1, 16, 16, 5, 9, 5, 5, 2, 1, 2, 1},
    {1, 6, 40, 24, 16, 1, 7, 1, 1, 3, 1},  {1, 4, 4, 6, 6, 4, 4, 1, 1, 0, 1},
    {1, 20, 20, 16, 8, 2, 2, 2, 1, 0, 1},  {1, 3, 3, 4, 130, 3, 3, 1, 1, 1, 1},
    {1, 23, 23, 3, 64, 7, 7, 2, 1, 3, 1},  {1, 9, 9, 8, 8, 3, 3, 1, 1, 1, 8},
    {1, 1, 50, 16, 20, 1, 3, 1, 1, 1, 1},  {1, 6, 6, 16, 20, 1, 1, 1, 1, 1, 1},
    {1, 2, 8, 6000, 3, 2, 3, 1, 1, 1, 1},  {1, 3, 300, 64, 9, 3, 3, 1, 1, 1, 1},
    {1, 1, 6, 40000, 2, 1, 1, 1, 1, 1, 1}, {0, 9, 9, 8, 8, 3, 3, 1, 1, 1, 1},
    {1, 9, 9, 0, 8, 3, 3, 1, 1, 1, 1},     {2, 2, 9, 8, 8, 3, 3, 1, 1, 0, 1},
    {1, 14, 30, 32, 32, 3, 3, 1, 1, 1, 8}, {1, 10, 33, 15, 9, 3, 3, 1, 1, 1, 3},
    {2, 9, 20, 12, 6, 3, 5, 2, 1, 2, 2},   {1, 20, 64, 64, 128, 3, 3, 1, 1, 1, 4},
    {1, 9, 9, 8, 0, 3, 3, 1, 1, 1, 1},     {3, 11, 11, 28, 36, 3, 3, 2, 1, 0, 1},
};

static adze_conv_shape make_shape(const int *d)
{
    int pad_h = d[5] == 1 && d[6] > 1 ? 0 : d[9];
    adze_conv_shape s = {.n = d[0],
                         .h = d[1],
                         .w = d[2],
                         .c = d[3],
                         .oc = d[4],
                         .kh = d[5],
                         .kw = d[6],
                         .stride_h = d[7],
                         .stride_w = d[7],
                         .dilation_h = d[8],
                         .dilation_w = d[8],
                         .pad_top = pad_h,
                         .pad_left = d[9],
                         .groups = d[10]};
    s.oh = (s.h + 2 * pad_h - (s.kh - 1) * s.dilation_h - 1) / s.stride_h + 1;
    s.ow = (s.w + 2 * d[9] - (s.kw - 1) * s.dilation_w - 1) / s.stride_w + 1;
    return s;
}

/* All that packing may look at. */
static adze_conv_shape without_sizes(const adze_conv_shape *s)
{
    return (adze_conv_shape){.c = s->c, .oc = s->oc, .kh = s->kh, .kw = s->kw, .groups = s->groups};
}

static size_t inputs(const adze_conv_shape *s)
{
    return (size_t)(s->n * s->h * s->w * s->c);
}

static size_t outputs(const adze_conv_shape *s)
{
    return (size_t)(s->n * s->oh * s->ow * s->oc);
}

static size_t weights(const adze_conv_shape *s)
{
    return (size_t)(s->oc * (s->c / s->groups) * s->kh * s->kw);
}

/* What a window element is worth: visit(user, index of x or -1 in the padding, index of w). */
typedef void (*visit_fn)(void *user, int64_t x, int64_t w);

static void visit_window(const adze_conv_shape *s, int64_t output, visit_fn visit, void *user)
{
    int64_t cg = s->c / s->groups, o = output % s->oc, ox = output / s->oc % s->ow;
    int64_t oy = output / s->oc / s->ow % s->oh, image = output / s->oc / s->ow / s->oh;
    int64_t group = o / (s->oc / s->groups);
    for (int64_t ky = 0; ky < s->kh; ky++)
        for (int64_t kx = 0; kx < s->kw; kx++)
            for (int64_t ch = 0; ch < cg; ch++) {
                int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
                int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
                bool inside = iy >= 0 && iy < s->h && ix >= 0 && ix < s->w;
                int64_t x = ((image * s->h + iy) * s->w + ix) * s->c + group * cg + ch;
                visit(user, inside ? x : -1, ((o * cg + ch) * s->kh + ky) * s->kw + kx);
            }
}

static adze_kernels make_kernels(adze_cpu_level level)
{
    adze_kernels k = {.level = level};
    adze_gemm_f32_init(&k.gemm_f32, level);
    adze_gemm_q8_init(&k.gemm_q8, level);
    return k;
}

typedef struct f32_case {
    adze_conv_f32_args args;
    const float *w;
    double sum, magnitude;
} f32_case;

static void visit_f32(void *user, int64_t x, int64_t w)
{
    f32_case *c = user;
    double product = x < 0 ? 0 : (double)c->args.x[x] * (double)c->w[w];
    c->sum += product;
    c->magnitude += fabs(product);
}

static f32_case make_f32(const int *d, uint64_t seed)
{
    adze_conv_shape s = make_shape(d);
    return (f32_case){.args = {.shape = s,
                               .x = check_floats(inputs(&s), &seed),
                               .bias = seed % 3 ? check_floats((size_t)s.oc, &seed) : NULL,
                               .residual = seed % 2 ? check_floats(outputs(&s), &seed) : NULL,
                               .lo = -2,
                               .hi = seed % 5 ? 2.5f : INFINITY},
                      .w = check_floats(weights(&s), &seed)};
}

static float *run_f32(const f32_case *c, adze_cpu_level level, adze_pool *pool)
{
    adze_kernels k = make_kernels(level);
    adze_conv_f32_args args = c->args;
    int threads = pool ? adze_pool_threads(pool) : 1;
    adze_conv_shape sizeless = without_sizes(&args.shape);
    float *packed = test_guard_alloc(adze_conv_f32_packed_size(&k, &sizeless), NULL);
    adze_conv_f32_pack(&k, &sizeless, c->w, packed);
    args.packed = packed;
    args.y = test_guard_alloc(outputs(&args.shape) * sizeof(float), NULL);
    args.scratch =
        test_guard_alloc(adze_conv_scratch_size(&k, &args.shape, threads, sizeof(float)), NULL);
    adze_conv_f32(&k, pool, &args);
    return args.y;
}

TEST(float_convolution_is_near_the_exact_result)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++)
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            f32_case c = make_f32(shapes[i], i + 1);
            float *got = run_f32(&c, level, NULL);
            for (size_t o = 0; o < outputs(&c.args.shape); o++) {
                c.sum = c.args.bias ? (double)c.args.bias[(int64_t)o % c.args.shape.oc] : 0;
                c.sum += c.args.residual ? (double)c.args.residual[o] : 0;
                c.magnitude = 2;
                visit_window(&c.args.shape, (int64_t)o, visit_f32, &c);
                double want = fmin(fmax(c.sum, (double)c.args.lo), (double)c.args.hi);
                CHECK_NEAR(got[o], want, 1e-6 * 9 * c.magnitude);
            }
        }
}

typedef struct q8_case {
    adze_conv_q8_args args;
    adze_q8_residual residual;
    const int8_t *w;
    int64_t acc;
} q8_case;

static void visit_q8(void *user, int64_t x, int64_t w)
{
    q8_case *c = user;
    int32_t value = (x < 0 ? c->args.x_pad : c->args.x[x]) ^ c->args.a_flip;
    const adze_conv_shape *s = &c->args.shape;
    int64_t o = w / (s->c / s->groups * s->kh * s->kw);
    c->acc += value * (c->w[w] - (c->args.gemm.b_zero ? c->args.gemm.b_zero[o] : 0));
}

static q8_case make_q8(const int *d, int variant, uint64_t seed)
{
    adze_conv_shape s = make_shape(d);
    q8_case c = {.w = check_bytes(weights(&s), &seed)};
    float *scale = check_floats((size_t)s.oc, &seed);
    int32_t *bias = test_guard_alloc((size_t)s.oc * sizeof *bias, NULL);
    int32_t *b_zero = test_guard_alloc((size_t)s.oc * sizeof *b_zero, NULL);
    float root = sqrtf((float)(s.kh * s.kw * s.c / s.groups));
    for (int64_t j = 0; j < s.oc; j++) {
        scale[j] = (scale[j] + 1.5f) / (100 * root);
        bias[j] = (int32_t)check_between(-9999, 9999, &seed);
        b_zero[j] = (int32_t)check_between(-30, 30, &seed);
    }
    c.args = (adze_conv_q8_args){.shape = s,
                                 .x = check_bytes(inputs(&s), &seed),
                                 .a_flip = variant & 1 ? 0x80 : 0,
                                 .x_pad = (uint8_t)(variant & 1 ? -5 : 131)};
    c.args.gemm = (adze_gemm_q8_args){.bias = bias,
                                      .b_zero = variant & 2 ? b_zero : NULL,
                                      .scale = scale,
                                      .zero = 120,
                                      .lo = 3,
                                      .hi = 255};
    c.residual = (adze_q8_residual){.data = check_bytes(outputs(&s), &seed),
                                    .ld = s.oc,
                                    .zero = 99,
                                    .scale = 0.6f,
                                    .t_scale = 0.8f,
                                    .y_zero = 110,
                                    .y_hi = 255};
    return c;
}

static uint8_t *run_q8(const q8_case *c, bool residual, adze_cpu_level level, adze_pool *pool)
{
    adze_kernels k = make_kernels(level);
    adze_conv_q8_args args = c->args;
    int threads = pool ? adze_pool_threads(pool) : 1;
    adze_conv_shape sizeless = without_sizes(&args.shape);
    int8_t *packed = test_guard_alloc(adze_conv_q8_packed_size(&k, &sizeless), NULL);
    adze_conv_q8_pack(&k, &sizeless, c->w, packed);
    args.packed = packed;
    args.gemm.residual = residual ? &c->residual : NULL;
    args.y = test_guard_alloc(outputs(&args.shape), NULL);
    args.scratch = test_guard_alloc(adze_conv_scratch_size(&k, &args.shape, threads, 1), NULL);
    adze_conv_q8(&k, pool, &args);
    return args.y;
}

static int round_to(float v, int zero, int lo, int hi)
{
    return (int)rintf(fmaxf(fminf(v, (float)(hi - zero)), (float)(lo - zero))) + zero;
}

TEST(integer_convolution_gives_the_defined_bits)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(shapes); i++)
        for (int variant = 0; variant < 4; variant++)
            for (adze_cpu_level level = 0; check_next_level(&level); level++) {
                q8_case c = make_q8(shapes[i], variant, i + 1);
                const adze_gemm_q8_args *g = &c.args.gemm;
                uint8_t *plain = run_q8(&c, false, level, NULL),
                        *sum = run_q8(&c, true, level, NULL);
                for (size_t o = 0; o < outputs(&c.args.shape); o++) {
                    int64_t j = (int64_t)o % c.args.shape.oc;
                    c.acc = g->bias[j];
                    visit_window(&c.args.shape, (int64_t)o, visit_q8, &c);
                    int t = round_to((float)(int32_t)c.acc * g->scale[j], g->zero, g->lo, g->hi);
                    CHECK_EQ(plain[o], t);
                    float left = (float)(t - g->zero) * c.residual.t_scale;
                    float right = (float)(c.residual.data[o] - c.residual.zero) * c.residual.scale;
                    CHECK_EQ(sum[o], round_to(left + right, 110, 0, 255));
                }
            }
}

TEST(conv_threads_do_not_change_the_bits)
{
    static const int large[][11] = {{1, 30, 31, 16, 40, 3, 3, 1, 1, 1, 1},
                                    {2, 20, 20, 40, 200, 1, 1, 1, 1, 0, 1},
                                    {1, 7, 7, 64, 300, 3, 3, 1, 1, 1, 1},
                                    {1, 20, 20, 32, 32, 3, 3, 1, 1, 1, 4}};
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    for (size_t i = 0; i < ADZE_COUNT_OF(large); i++)
        for (adze_cpu_level level = 0; check_next_level(&level); level++) {
            f32_case f32 = make_f32(large[i], i);
            q8_case q8 = make_q8(large[i], 3, i);
            size_t count = outputs(&f32.args.shape);
            CHECK_BYTES(run_f32(&f32, level, pool), run_f32(&f32, level, NULL),
                        count * sizeof(float));
            CHECK_BYTES(run_q8(&q8, true, level, pool), run_q8(&q8, true, level, NULL), count);
        }
    adze_pool_close(&pool);
}
