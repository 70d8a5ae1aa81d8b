/* Scaling and shifting of channels behind a linear operator, and in front of a convolution, moves into
 * its weights and bias: BatchNormalization, and Mul, Div, Add, Sub with constants. Computed in double,
 * stored as float32. */
#include "passes/list_impl.h"
#include "passes/rewriter_impl.h"

#include <math.h>
#include <string.h>

/* y[c] = x[c] * scale[c] + offset[c] */
typedef struct affine {
    int64_t channels;
    double *scale, *offset;
} affine;

/* ---- what stands behind ---- */

/* Element for channel c of a constant that broadcasts over everything else. */
typedef struct per_channel {
    const adze_tensor *tensor;
    int64_t step; /* 0: one number for all */
} per_channel;

/* `axis` is the channel axis of a tensor of that rank. */
static bool match_per_channel(per_channel *out, const adze_value *value, int rank, int axis,
                              int64_t channels)
{
    const adze_tensor *t = adze_rw_constant(value);
    if (!t || t->dtype != ADZE_F32 || t->quant || t->rank > rank)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1 && (i + rank - t->rank != axis || t->dims[i] != channels))
            return false;
    *out = (per_channel){t, adze_tensor_elements(t) > 1};
    return true;
}

static double element(const per_channel *p, int64_t c)
{
    return (double)((const float *)p->tensor->data)[c * p->step];
}

static bool read_batch_norm(affine *out, const adze_node *node)
{
    per_channel p[4]; /* scale, B, mean, var */
    if (adze_node_int(node, "training_mode", 0) != 0 || node->input_count != 5)
        return false;
    for (int i = 0; i < 4; i++)
        if (!match_per_channel(&p[i], node->inputs[i + 1], 1, 0, out->channels))
            return false;
    double epsilon = (double)adze_node_float(node, "epsilon", 1e-5f);
    for (int64_t c = 0; c < out->channels; c++) {
        out->scale[c] = element(&p[0], c) / sqrt(element(&p[3], c) + epsilon);
        out->offset[c] = element(&p[1], c) - element(&p[2], c) * out->scale[c];
    }
    return true;
}

static bool read_arithmetic(affine *out, const adze_node *node, const adze_value *x)
{
    bool add = adze_rw_is(node, "Add"), sub = adze_rw_is(node, "Sub");
    bool mul = adze_rw_is(node, "Mul"), divide = adze_rw_is(node, "Div");
    per_channel p;
    if ((!add && !sub && !mul && !divide) || node->input_count != 2 || adze_rw_has_clamp(node))
        return false;
    int other = node->inputs[0] == x; /* position of the constant */
    if (node->inputs[1 - other] != x || (divide && other == 0) ||
        !match_per_channel(&p, node->inputs[other], x->type.rank, 1, out->channels))
        return false;
    for (int64_t c = 0; c < out->channels; c++) {
        double e = element(&p, c);
        out->scale[c] = mul ? e : divide ? 1 / e : sub && other == 0 ? -1 : 1;
        out->offset[c] = mul || divide ? 0 : sub && other == 1 ? -e : e;
    }
    return true;
}

/* ---- the linear operator ---- */

typedef struct linear {
    adze_node *node;
    int64_t channels;
    int64_t outer, inner; /* channel c of the weights: [outer, channels', inner] */
    int64_t group;        /* ConvTranspose: outer is [group, ...]; else 1 */
} linear;

static bool match_linear(linear *out, adze_node *node)
{
    const adze_tensor *w = node->input_count > 1 ? adze_rw_constant(node->inputs[1]) : NULL;
    bool conv = adze_rw_is(node, "Conv"), transposed = adze_rw_is(node, "ConvTranspose");
    bool gemm = adze_rw_is(node, "Gemm");
    if ((!conv && !transposed && !gemm) || !w || w->dtype != ADZE_F32 || w->quant || w->rank < 2 ||
        adze_rw_has_clamp(node) || adze_tensor_elements(w) < 1)
        return false;
    int64_t all = adze_tensor_elements(w);
    *out = (linear){.node = node, .group = 1, .outer = 1};
    if (conv || (gemm && adze_node_int(node, "transB", 0))) {
        out->channels = w->dims[0];
    } else if (gemm) {
        out->channels = w->dims[1];
        out->outer = w->dims[0];
    } else {
        out->group = adze_node_int(node, "group", 1);
        if (out->group < 1 || w->dims[0] % out->group != 0)
            return false;
        out->outer = w->dims[0];
        out->channels = w->dims[1] * out->group;
    }
    out->inner = all / out->outer / (out->channels / out->group);
    return true;
}

/* The bias as it counts (beta applied), zeros where there is none. */
static bool read_bias(const linear *l, double *bias)
{
    const adze_value *value = adze_rw_input(l->node, 2);
    double beta = adze_rw_is(l->node, "Gemm") ? (double)adze_node_float(l->node, "beta", 1) : 1;
    per_channel p;
    if (value && !match_per_channel(&p, value, 2, 1, l->channels))
        return false;
    for (int64_t c = 0; c < l->channels; c++)
        bias[c] = value ? beta * element(&p, c) : 0;
    return true;
}

static void scale_weights(const linear *l, const float *from, const double *scale, float *to)
{
    int64_t block = l->channels / l->group; /* channels side by side */
    int64_t outer_of_group = l->outer / l->group;
    for (int64_t o = 0; o < l->outer; o++) {
        int64_t first = o / outer_of_group * block;
        for (int64_t c = 0; c < block; c++)
            for (int64_t i = 0; i < l->inner; i++) {
                int64_t at = (o * block + c) * l->inner + i;
                to[at] = (float)((double)from[at] * scale[l->group > 1 ? first + c : c]);
            }
    }
}

static bool apply(adze_rewriter *rw, const linear *l, const affine *a, const double *bias)
{
    adze_node *node = l->node;
    const adze_tensor *w = node->inputs[1]->constant;
    adze_value *new_weights, *new_bias;
    const char *bias_name = adze_rw_input(node, 2) ? node->inputs[2]->name : NULL;
    float *weights = adze_rw_new_floats(rw, &new_weights, node->inputs[1]->name, w->rank, w->dims);
    float *sums = adze_rw_new_floats(rw, &new_bias, bias_name, 1, &l->channels);
    if (!weights || !sums)
        return false;
    scale_weights(l, w->data, a->scale, weights);
    for (int64_t c = 0; c < l->channels; c++)
        sums[c] = (float)(bias[c] * a->scale[c] + a->offset[c]);
    adze_node_remove_attr(node, "beta");
    adze_rw_set_input(rw, node, 1, new_weights);
    adze_rw_set_input(rw, node, 2, new_bias);
    return !rw->failed;
}

static bool is_finite(const affine *a)
{
    for (int64_t c = 0; c < a->channels; c++)
        if (!isfinite(a->scale[c]) || !isfinite(a->offset[c]))
            return false;
    return true;
}

static bool fuse_behind(adze_rewriter *rw, const linear *l, adze_node *user, adze_arena *arena)
{
    size_t n = (size_t)l->channels;
    affine a = {l->channels, ADZE_ARENA_ARRAY(arena, double, n),
                ADZE_ARENA_ARRAY(arena, double, n)};
    double *bias = ADZE_ARENA_ARRAY(arena, double, n);
    adze_value *x = l->node->outputs[0];
    if (!adze_rw_check(rw, a.scale && a.offset && bias))
        return false;
    bool norm = adze_rw_is(user, "BatchNormalization") && user->inputs[0] == x;
    if (!(norm ? read_batch_norm(&a, user) : read_arithmetic(&a, user, x)) || !is_finite(&a) ||
        !read_bias(l, bias) || !apply(rw, l, &a, bias))
        return false;
    adze_rw_take_output(rw, l->node, 0, user->outputs[0]);
    return true;
}

static bool fuse_any_behind(adze_rewriter *rw, const linear *l)
{
    const adze_value *y = l->node->outputs[0];
    adze_node *user = adze_rw_is_float(y) && y->type.rank >= 2 ? adze_rw_sole_user(rw, y) : NULL;
    if (!user)
        return false;
    adze_arena arena = {0};
    bool done = fuse_behind(rw, l, user, &arena);
    adze_arena_free(&arena);
    return done;
}

/* ---- in front of a convolution ---- */

/* The operand of `node` that is not a constant, if the result has its shape. */
static adze_value *scaled_input(const adze_node *node)
{
    int at = node->input_count == 2 && adze_rw_constant(node->inputs[0]);
    adze_value *x = adze_rw_input(node, at);
    bool fits =
        x && !adze_rw_constant(x) && adze_rw_is_float(x) && adze_rw_same_shape(x, node->outputs[0]);
    return fits ? x : NULL;
}

/* Padding would have to be something else than zero. */
static bool shifts_padding(const adze_node *conv, const affine *a)
{
    int n;
    const int64_t *pads = adze_node_ints(conv, "pads", &n);
    const char *mode = adze_node_string(conv, "auto_pad", "NOTSET");
    bool padded = strncmp(mode, "SAME", 4) == 0;
    for (int i = 0; i < n; i++)
        padded |= pads[i] != 0;
    for (int64_t c = 0; padded && c < a->channels; c++)
        if (a->offset[c] != 0)
            return true;
    return false;
}

/* w * (x * scale + offset) = (w * scale) * x + sum of w * offset */
static bool apply_before(adze_rewriter *rw, const linear *l, const affine *a, double *bias)
{
    adze_node *node = l->node;
    const adze_tensor *w = node->inputs[1]->constant;
    int64_t per_group = w->dims[1], taps = l->inner / per_group;
    int64_t in_group = l->channels / (a->channels / per_group); /* outputs of a group */
    adze_value *new_weights, *new_bias;
    float *weights = adze_rw_new_floats(rw, &new_weights, node->inputs[1]->name, w->rank, w->dims);
    float *sums = adze_rw_new_floats(rw, &new_bias, NULL, 1, &l->channels);
    if (!weights || !sums)
        return false;
    for (int64_t o = 0; o < l->channels; o++) {
        for (int64_t i = 0; i < l->inner; i++) {
            int64_t c = o / in_group * per_group + i / taps, at = o * l->inner + i;
            double old = (double)((const float *)w->data)[at];
            weights[at] = (float)(old * a->scale[c]);
            bias[o] += old * a->offset[c];
        }
        sums[o] = (float)bias[o];
    }
    adze_rw_set_input(rw, node, 1, new_weights);
    adze_rw_set_input(rw, node, 2, new_bias);
    return !rw->failed;
}

static bool fuse_before(adze_rewriter *rw, const linear *l, adze_node *before, adze_arena *arena)
{
    adze_value *x = scaled_input(before);
    const adze_type *t = &before->outputs[0]->type;
    const adze_tensor *w = l->node->inputs[1]->constant;
    if (!x || t->rank != w->rank || t->dims[1] != w->dims[1] * adze_node_int(l->node, "group", 1) ||
        l->channels % (t->dims[1] / w->dims[1]) != 0)
        return false;
    size_t n = (size_t)t->dims[1];
    affine a = {t->dims[1], ADZE_ARENA_ARRAY(arena, double, n), ADZE_ARENA_ARRAY(arena, double, n)};
    double *bias = ADZE_ARENA_ARRAY(arena, double, (size_t)l->channels);
    if (!adze_rw_check(rw, a.scale && a.offset && bias))
        return false;
    bool norm = adze_rw_is(before, "BatchNormalization");
    if (!(norm ? read_batch_norm(&a, before) : read_arithmetic(&a, before, x)) || !is_finite(&a) ||
        shifts_padding(l->node, &a) || !read_bias(l, bias) || !apply_before(rw, l, &a, bias))
        return false;
    adze_rw_set_input(rw, l->node, 0, x);
    return true;
}

static bool fuse_any_before(adze_rewriter *rw, const linear *l)
{
    adze_value *x = l->node->inputs[0];
    if (!adze_rw_is(l->node, "Conv") || !x->producer || !adze_rw_is_float(x) ||
        adze_rw_sole_user(rw, x) != l->node)
        return false;
    adze_arena arena = {0};
    bool done = fuse_before(rw, l, x->producer, &arena);
    adze_arena_free(&arena);
    return done;
}

static bool fuse(adze_rewriter *rw, adze_node *node)
{
    linear l;
    return match_linear(&l, node) && (fuse_any_behind(rw, &l) || fuse_any_before(rw, &l));
}

adze_status adze_pass_fuse_batch_norm(adze_graph *graph, bool *changed, adze_error *err)
{
    return adze_rewrite_sweep(graph, fuse, changed, err);
}
