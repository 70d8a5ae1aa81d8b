/* The search for scales, for all formats that allow one. Groups of elements lie side by side as lanes,
 * so that nothing is summed across them; a step of the search is one pass over the elements.
 *
 * 1. For each group alone: scales around that of its range are tried, each judged by the least squares
 *    of what it rounds to; the best is refined by rounding and solving again (Lloyd's iteration).
 * 2. Formats whose scales are multiples of one step: of several steps the one is taken to whose
 *    multiples the groups' scales lie best.
 * 3. Each group tries the multiples next to its own, with the error that these really give.
 * 4. The step is solved for by least squares over all groups. 3 and 4 may be repeated.
 *
 * The lanes are plain C or instructions, and the results the same bits. */
#ifndef ADZE_KERNELS_BLOCKS_SEARCH_IMPL_H
#define ADZE_KERNELS_BLOCKS_SEARCH_IMPL_H
#include "kernels/blocks_impl.h"
#ifndef ADZE_KERNELS_LANES /* a level's own come before */
#include "kernels/lanes_impl.h"
#endif

enum { VECTORS = 32, MOST_SETS = 2, STEPS = 16 };

/* 256 elements: lane i of x[s * length + j] is element j of group 8 s + i. The largest is below 4;
 * weights are above 0. */
typedef struct elements {
    int sets, length; /* sets * length = VECTORS */
    f8 x[VECTORS], w[VECTORS];
} elements;

/* What is tried; `top`: q is 0 .. top with an offset, -top .. top - 1 without. */
typedef struct search_plan {
    float top;
    float first,
        between; /* scales tried: range / top, (top + first), (top + first + between) ... */
    int tries, matrix_tries; /* how many; and with an importance matrix, where it may pay to clip */
    int refinements;
    float most;  /* multiples of a step: 0 .. most, or -most .. most - 1 */
    float span;  /* steps are tried whose largest multiple is down to most * (1 - span) */
    int window;  /* multiples on either side that are tried */
    int offsets; /* and for each, how often the offset is improved */
    int rounds;  /* of 3 and 4 */
} search_plan;

typedef struct moments {
    f8 q, qq, xq; /* sums of w q, w q q, w x q */
} moments;

static inline f8 f8_clamp(f8 a, float low, float high)
{
    return f8_min(f8_max(a, f8_set(low)), f8_set(high));
}

/* How far try k is from the scale that the range alone gives. */
static inline float try_offset(const search_plan *plan, int k)
{
    return k == 0 ? 0.0f : plan->first + plan->between * (float)(k - 1);
}

/* What a gain must pass to count: of equals the first stays, which is the plainest. */
static inline f8 f8_passed(f8 gain)
{
    return f8_add(gain, f8_mul(f8_abs(gain), f8_set(4e-6f)));
}

static inline f8 f8_fused(f8 a, f8 b, f8 c) /* a * b + c, rounded twice */
{
    return f8_add(f8_mul(a, b), c);
}

/* 1 / a; 0 for 0. */
static inline f8 f8_inverse(f8 a)
{
    const f8 zero = f8_set(0), one = f8_set(1);
    const m8 some = f8_less(zero, f8_abs(a));
    return f8_select(some, f8_div(one, f8_select(some, a, one)), zero);
}

/* Of q = (x + shift) * inverse rounded; xq is that of x + shift. */
static inline moments moments_of(const f8 *x, const f8 *w, int n, f8 shift, f8 inverse, float low,
                                 float high)
{
    moments m = {f8_set(0), f8_set(0), f8_set(0)};
    for (int j = 0; j < n; j++) {
        const f8 y = f8_add(x[j], shift);
        const f8 q = f8_clamp(f8_round(f8_mul(y, inverse)), low, high);
        const f8 wq = f8_mul(w[j], q);
        m.q = f8_add(m.q, wq);
        m.qq = f8_fused(wq, q, m.qq);
        m.xq = f8_fused(wq, y, m.xq);
    }
    return m;
}

/* --- with an offset: x ~ scale * q - min ---------------------------------------------------------- */

/* For each lane. `bend`: how much an error of the scale costs, half of the second derivative. */
typedef struct offset_fit {
    f8 scale, min, bend;
} offset_fit;

/* Sums of weights and of weighted elements; the least (at most 0 unless `free`) and the largest. */
typedef struct offset_sums {
    f8 w, x, low, high;
} offset_sums;

static inline offset_sums sum_up(const f8 *x, const f8 *w, int n, bool free)
{
    offset_sums s = {w[0], f8_mul(w[0], x[0]), x[0], x[0]};
    for (int j = 1; j < n; j++) {
        s.w = f8_add(s.w, w[j]);
        s.x = f8_fused(w[j], x[j], s.x);
        s.low = f8_min(s.low, x[j]);
        s.high = f8_max(s.high, x[j]);
    }
    if (!free)
        s.low = f8_min(s.low, f8_set(0));
    return s;
}

/* Solves for scale and min given q, whose moments were taken with this shift; where min would be less
 * than 0 and may not be, with min 0. Takes lanes over into `fit` that gain more than *gain, that is,
 * by how much the error is less than that of shift alone. */
static inline void solve_offset(const moments *m, const offset_sums *sums, f8 shift, bool free,
                                offset_fit *fit, f8 *gain)
{
    const f8 zero = f8_set(0);
    const f8 sum_y = f8_fused(shift, sums->w, sums->x);
    const f8 wqq = f8_mul(sums->w, m->qq);
    const f8 det = f8_sub(wqq, f8_mul(m->q, m->q));
    const m8 flat = f8_less(det, f8_mul(wqq, f8_set(1e-5f)));
    f8 scale = f8_div(f8_sub(f8_mul(sums->w, m->xq), f8_mul(sum_y, m->q)), det);
    f8 offset = f8_div(f8_sub(f8_mul(m->qq, sum_y), f8_mul(m->q, m->xq)), det);
    f8 better = f8_fused(scale, m->xq, f8_mul(offset, sum_y));
    m8 bound = flat;
    if (!free)
        bound = m8_or(bound, f8_less(shift, offset));
    const f8 xq = f8_sub(m->xq, f8_mul(shift, m->q));
    const f8 scale_alone = f8_div(xq, m->qq);
    const f8 better_alone = f8_fused(scale_alone, xq, f8_mul(shift, f8_add(sum_y, sums->x)));
    scale = f8_select(bound, scale_alone, scale);
    offset = f8_select(bound, shift, offset);
    better = f8_select(bound, better_alone, better);
    const m8 take = m8_and(f8_less(f8_passed(*gain), better), f8_less(zero, scale));
    fit->scale = f8_select(take, scale, fit->scale);
    fit->min = f8_select(take, f8_sub(shift, offset), fit->min);
    fit->bend = f8_select(take, f8_sub(m->qq, f8_div(f8_mul(m->q, m->q), sums->w)), fit->bend);
    *gain = f8_select(take, better, *gain);
}

static inline offset_fit fit_offset(const f8 *x, const f8 *w, int n, const offset_sums *sums,
                                    const search_plan *plan, int tries, bool free)
{
    const f8 shift = f8_sub(f8_set(0), sums->low);
    const f8 inverse_range = f8_inverse(f8_sub(sums->high, sums->low));
    offset_fit fit = {f8_set(0), shift, f8_set(0)};
    f8 gain = f8_set(-1e30f);
    for (int k = 0; k < tries; k++) {
        const f8 inverse = f8_mul(f8_set(plan->top + try_offset(plan, k)), inverse_range);
        const moments m = moments_of(x, w, n, shift, inverse, 0, plan->top);
        solve_offset(&m, sums, shift, free, &fit, &gain);
    }
    for (int k = 0; k < plan->refinements; k++) {
        const f8 min = fit.min;
        const moments m = moments_of(x, w, n, min, f8_inverse(fit.scale), 0, plan->top);
        gain = f8_set(-1e30f);
        solve_offset(&m, sums, min, free, &fit, &gain);
    }
    return fit;
}

/* --- without: x ~ scale * q ----------------------------------------------------------------------- */

typedef struct scale_fit {
    f8 scale, bend;
} scale_fit;

static inline void solve_scale(const moments *m, scale_fit *fit, f8 *gain)
{
    const f8 scale = f8_div(m->xq, m->qq), better = f8_mul(scale, m->xq);
    const m8 take = f8_less(f8_passed(*gain), better);
    fit->scale = f8_select(take, scale, fit->scale);
    fit->bend = f8_select(take, m->qq, fit->bend);
    *gain = f8_select(take, better, *gain);
}

/* The largest element may become -top, or top - 1: there is one more value on the negative side. */
static inline scale_fit fit_scale(const f8 *x, const f8 *w, int n, const search_plan *plan,
                                  int tries)
{
    const f8 zero = f8_set(0);
    f8 size = zero, largest = zero, gain = zero;
    for (int j = 0; j < n; j++) {
        const f8 a = f8_abs(x[j]);
        const m8 more = f8_less(size, a);
        size = f8_select(more, a, size);
        largest = f8_select(more, x[j], largest);
    }
    const f8 inverse_largest = f8_inverse(largest);
    scale_fit fit = {zero, zero};
    for (int k = 0; k < 2 * tries; k++) {
        const float size_k = plan->top + try_offset(plan, k / 2);
        const float end = k % 2 ? size_k - 1 : -size_k;
        const moments m = moments_of(x, w, n, zero, f8_mul(f8_set(end), inverse_largest),
                                     -plan->top, plan->top - 1);
        solve_scale(&m, &fit, &gain);
    }
    for (int k = 0; k < plan->refinements; k++) {
        const moments m =
            moments_of(x, w, n, zero, f8_inverse(fit.scale), -plan->top, plan->top - 1);
        gain = zero;
        solve_scale(&m, &fit, &gain);
    }
    return fit;
}

/* --- steps ---------------------------------------------------------------------------------------- */

/* Of d = largest / (end * (1 - some of span)) the one to whose multiples low .. high of it the values
 * lie best, cost[i] being that of an error of value[i]. 0 when largest is. */
static inline float choose_step(const float *value, const float *cost, int count, float largest,
                                float end, float span, float low, float high)
{
    static const float part[STEPS] = {0.00f, -0.05f, 0.07f, 0.14f, 0.21f, 0.28f, 0.35f, 0.42f,
                                      0.49f, 0.56f,  0.63f, 0.70f, 0.77f, 0.84f, 0.92f, 1.00f};
    if (largest == 0.0f)
        return 0.0f;
    float step[STEPS], error[STEPS];
    for (int s = 0; s < STEPS; s += 8) {
        const f8 share = f8_sub(f8_set(1), f8_mul(f8_set(span), f8_load(part + s)));
        const f8 inverse = f8_div(f8_mul(f8_set(end), share), f8_set(largest));
        const f8 d = f8_div(f8_set(1), inverse);
        f8 sum = f8_set(0);
        for (int i = 0; i < count; i++) {
            const f8 v = f8_set(value[i]);
            const f8 multiple = f8_clamp(f8_round(f8_mul(v, inverse)), low, high);
            const f8 rest = f8_sub(v, f8_mul(d, multiple));
            sum = f8_fused(f8_mul(f8_set(cost[i]), rest), rest, sum);
        }
        f8_store(step + s, d);
        f8_store(error + s, sum);
    }
    int best = 0;
    for (int s = 1; s < STEPS; s++)
        best = error[s] < error[best] ? s : best;
    return step[best];
}

/* Elements are scaled by a power of two, so that no sum overflows or vanishes. */
typedef struct unit {
    float up, down; /* up * down = 1 */
} unit;

static inline unit unit_of(float size)
{
    uint32_t exponent;
    memcpy(&exponent, &size, sizeof exponent);
    exponent >>= 23;
    exponent = exponent < 1 ? 1 : exponent > 253 ? 253 : exponent;
    return (unit){float_of_bits((254 - exponent) << 23), float_of_bits(exponent << 23)};
}

/* The scale that the file can hold: the nearest float16, but not 0 for what is not, nor infinity. */
static inline float snap(float d, unit u)
{
    const float size = fabsf(d) * u.down;
    if (d == 0.0f)
        return 0.0f;
    const float held = half_to_float(float_to_half(size > 65504.0f   ? 65504.0f
                                                   : size < 0x1p-24f ? 0x1p-24f
                                                                     : size));
    return copysignf(held, d) * u.up;
}

/* --- in and out ------------------------------------------------------------------------------------ */

/* Nothing a float16 scale can say is nearer to such small numbers than 0. */
#define NEXT_TO_NOTHING 0x1p-25f

static inline float size_of_block(const float *x)
{
    f8 most = f8_set(0);
    for (int j = 0; j < 256; j += 8)
        most = f8_max(f8_abs(f8_load(x + j)), most);
    return f8_most(most);
}

/* Weights of 256 elements: 1, or with a matrix its importance, somewhat more for large elements.
 * They are within a factor of 2^14 of each other: columns that hardly mattered keep their shape where one
 * matters enormously (inputs of a few tokens can be a thousand times the others), and what least squares
 * subtracts is not lost in rounding. */
static inline void weigh(const float *scaled, const float *importance, float *weight)
{
    const f8 one = f8_set(1);
    f8 most = f8_set(0), sum = f8_set(0);
    for (int j = 0; j < 256; j += 8) {
        f8_store(weight + j, one);
        if (importance)
            most = f8_max(f8_load(importance + j), most);
    }
    if (!(f8_most(most) > 0.0f))
        return;
    const f8 up = f8_set(unit_of(f8_most(most)).up), least = f8_set(0x1p-14f);
    for (int j = 0; j < 256; j += 8) {
        const f8 v = f8_load(scaled + j);
        sum = f8_fused(v, v, sum);
    }
    const f8 base = f8_set(f8_sum(sum) * (4.0f / 256.0f));
    for (int j = 0; j < 256; j += 8) {
        const f8 v = f8_load(scaled + j);
        const f8 w = f8_max(f8_mul(f8_load(importance + j), up), least);
        f8_store(weight + j, f8_mul(w, f8_sqrt(f8_fused(v, v, base))));
    }
}

/* x * up and weights, as lanes. */
static inline void load_elements(const float *x, const float *importance, unit u, int length,
                                 elements *e)
{
    float scaled[256], weight[256];
    for (int j = 0; j < 256; j += 8)
        f8_store(scaled + j, f8_mul(f8_load(x + j), f8_set(u.up)));
    weigh(scaled, importance, weight);
    e->length = length;
    e->sets = VECTORS / length;
    for (int s = 0; s < e->sets; s++)
        for (int j = 0; j < length; j += 8) {
            f8_load_columns(scaled + 8 * s * length + j, length, e->x + s * length + j);
            f8_load_columns(weight + 8 * s * length + j, length, e->w + s * length + j);
        }
}

/* q of a group of contiguous elements, less `low`. */
static inline void round_group(const float *x, int n, unit u, float scale, float min, float low,
                               float high, uint8_t *q)
{
    const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    for (int j = 0; j < n; j += 8) {
        const f8 y = f8_add(f8_mul(f8_load(x + j), f8_set(u.up)), f8_set(min));
        const f8 v = f8_clamp(f8_round(f8_mul(y, f8_set(inverse))), low, high);
        f8_store_bytes(q + j, f8_sub(v, f8_set(low)));
    }
}

#endif
