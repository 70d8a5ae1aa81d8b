/* Encoding of the K formats. */
#ifndef ADZE_KERNELS_BLOCKS_K_ENCODE_IMPL_H
#define ADZE_KERNELS_BLOCKS_K_ENCODE_IMPL_H
#include "kernels/blocks_bits_impl.h"
#include "kernels/blocks_search_impl.h"

/* What a super-block becomes: q (less the least q), multiples of d and dmin for each group. */
typedef struct coded {
    uint8_t q[256];
    float multiple[16], min_multiple[16];
    float d, dmin; /* such as a float16 holds */
} coded;

static const search_plan q2_K_plan = {3, -1.0f, 0.28f, 9, 12, 2, 15, 0.53f, 2, 2, 3};
static const search_plan q3_K_plan = {4, -0.9f, 0.6f, 5, 7, 1, 32, 0.25f, 1, 0, 1};
static const search_plan q4_K_plan = {15, -1.6f, 0.34f, 8, 14, 2, 63, 0.127f, 1, 1, 2};
static const search_plan q5_K_plan = {31, -1.6f, 0.34f, 8, 14, 2, 63, 0.127f, 1, 1, 2};
static const search_plan q6_K_plan = {32, -0.9f, 0.6f, 5, 9, 1, 128, 0.063f, 1, 0, 1};

/* Multiples of d and dmin of each group; lanes of set s. */
typedef struct multiples {
    f8 scale[MOST_SETS], min[MOST_SETS];
} multiples;

/* The error of groups at scale and min; *rest: the sum of weighted errors, signs kept. */
static inline f8 error_at(const f8 *x, const f8 *w, int n, f8 scale, f8 min, float low, float high,
                          f8 *rest)
{
    const f8 inverse = f8_inverse(scale);
    f8 error = f8_set(0), sum = f8_set(0);
    for (int j = 0; j < n; j++) {
        const f8 y = f8_add(x[j], min);
        const f8 q = f8_clamp(f8_round(f8_mul(y, inverse)), low, high);
        const f8 r = f8_sub(y, f8_mul(scale, q));
        const f8 wr = f8_mul(w[j], r);
        error = f8_fused(wr, r, error);
        sum = f8_add(sum, wr);
    }
    *rest = sum;
    return error;
}

/* The best of lanes so far. */
typedef struct best_multiples {
    f8 error, scale, min;
} best_multiples;

static inline void keep_better(best_multiples *best, f8 error, f8 scale, f8 min)
{
    const m8 better = f8_less(error, best->error);
    best->error = f8_select(better, error, best->error);
    best->scale = f8_select(better, scale, best->scale);
    best->min = f8_select(better, min, best->min);
}

/* 0, -1, 1, -2, 2 ... */
static inline f8 neighbour(int k)
{
    return f8_set((float)(k % 2 ? -(k + 1) / 2 : k / 2));
}

/* Each group takes the best of the multiples around its own. For each scale its min is moved to where
 * the errors sum to nothing, to the nearest multiple. */
static inline void try_neighbours(const elements *e, const search_plan *plan, const f8 *weight,
                                  float d, float dmin, multiples *m)
{
    const f8 inverse_dmin = f8_inverse(f8_set(dmin));
    for (int s = 0; s < e->sets; s++) {
        const f8 *x = e->x + s * e->length, *w = e->w + s * e->length;
        best_multiples best = {f8_set(INFINITY), m->scale[s], m->min[s]};
        for (int k = 0; k <= 2 * plan->window; k++) {
            const f8 scale = f8_clamp(f8_add(m->scale[s], neighbour(k)), 0, plan->most);
            f8 min = m->min[s];
            for (int i = 0; i < plan->offsets; i++) {
                f8 rest;
                const f8 error = error_at(x, w, e->length, f8_mul(f8_set(d), scale),
                                          f8_mul(f8_set(dmin), min), 0, plan->top, &rest);
                keep_better(&best, error, scale, min);
                const f8 wanted = f8_sub(min, f8_mul(f8_div(rest, weight[s]), inverse_dmin));
                const f8 next = f8_clamp(f8_round(wanted), 0, plan->most);
                const f8 moved = f8_mul(f8_sub(next, min), f8_set(dmin));
                const f8 change =
                    f8_mul(moved, f8_add(f8_add(rest, rest), f8_mul(moved, weight[s])));
                keep_better(&best, f8_add(error, change), scale, next);
                min = next;
            }
        }
        m->scale[s] = best.scale;
        m->min[s] = best.min;
    }
}

/* d and dmin by least squares, given multiples and what the elements round to. */
static inline void solve_steps(const elements *e, const search_plan *plan, const offset_sums *sums,
                               const multiples *m, unit u, float *d, float *dmin)
{
    f8 ss = f8_set(0), sm = ss, mm = ss, sx = ss, mx = ss;
    for (int s = 0; s < e->sets; s++) {
        const f8 a = m->scale[s], b = m->min[s], min = f8_mul(f8_set(*dmin), b);
        const moments q = moments_of(e->x + s * e->length, e->w + s * e->length, e->length, min,
                                     f8_inverse(f8_mul(f8_set(*d), a)), 0, plan->top);
        ss = f8_fused(f8_mul(a, a), q.qq, ss);
        sm = f8_fused(f8_mul(a, b), q.q, sm);
        mm = f8_fused(f8_mul(b, b), sums[s].w, mm);
        sx = f8_fused(a, f8_sub(q.xq, f8_mul(min, q.q)), sx);
        mx = f8_fused(b, sums[s].x, mx);
    }
    const float A = f8_sum(ss), B = f8_sum(sm), C = f8_sum(mm), P = f8_sum(sx), Q = f8_sum(mx);
    const float det = A * C - B * B;
    if (det > 1e-5f * A * C) {
        const float scale = (P * C - B * Q) / det, min = (B * P - A * Q) / det;
        if (scale > 0.0f && min > 0.0f) {
            *d = snap(scale, u);
            *dmin = snap(min, u);
        }
    } else if (A > 0.0f && C == 0.0f && P > 0.0f) {
        *d = snap(P / A, u);
    }
}

static inline f8 nearest_multiples(f8 value, float step, float low, float high)
{
    return f8_clamp(f8_round(f8_mul(value, f8_inverse(f8_set(step)))), low, high);
}

static inline void code_with_offsets(const float *x, const float *importance,
                                     const search_plan *plan, int length, unit u, coded *c)
{
    elements e;
    offset_sums sums[MOST_SETS];
    f8 weight[MOST_SETS];
    float scale[16], min[16], bend[16], weights[16], largest = 0, largest_min = 0;
    load_elements(x, importance, u, length, &e);
    for (int s = 0; s < e.sets; s++) {
        const f8 *xs = e.x + s * length, *ws = e.w + s * length;
        sums[s] = sum_up(xs, ws, length, false);
        const offset_fit fit = fit_offset(xs, ws, length, &sums[s], plan,
                                          importance ? plan->matrix_tries : plan->tries, false);
        weight[s] = sums[s].w;
        f8_store(scale + 8 * s, fit.scale);
        f8_store(min + 8 * s, fit.min);
        f8_store(bend + 8 * s, fit.bend);
        f8_store(weights + 8 * s, sums[s].w);
        largest = fmaxf(largest, f8_most(fit.scale));
        largest_min = fmaxf(largest_min, f8_most(fit.min));
    }
    const int groups = 8 * e.sets;
    const float most = plan->most;
    float d = choose_step(scale, bend, groups, largest, most, plan->span, 0, most);
    float dmin = choose_step(min, weights, groups, largest_min, most, plan->span, 0, most);
    d = snap(d, u);
    dmin = snap(dmin, u);
    multiples m;
    for (int s = 0; s < e.sets; s++) {
        m.scale[s] = nearest_multiples(f8_load(scale + 8 * s), d, 0, most);
        m.min[s] = nearest_multiples(f8_load(min + 8 * s), dmin, 0, most);
    }
    for (int k = 0; k < plan->rounds; k++) {
        try_neighbours(&e, plan, weight, d, dmin, &m);
        solve_steps(&e, plan, sums, &m, u, &d, &dmin);
    }
    for (int s = 0; s < e.sets; s++) {
        f8_store(c->multiple + 8 * s, m.scale[s]);
        f8_store(c->min_multiple + 8 * s, m.min[s]);
    }
    for (int g = 0; g < groups; g++)
        round_group(x + g * length, length, u, d * c->multiple[g], dmin * c->min_multiple[g], 0,
                    plan->top, c->q + g * length);
    c->d = d * u.down;
    c->dmin = dmin * u.down;
}

static inline void code_without_offsets(const float *x, const float *importance,
                                        const search_plan *plan, unit u, coded *c)
{
    enum { LENGTH = 16, GROUPS = 16 };
    elements e;
    f8 multiple[MOST_SETS];
    float scale[GROUPS], bend[GROUPS], largest = 0;
    const float low = -plan->most, high = plan->most - 1;
    load_elements(x, importance, u, LENGTH, &e);
    for (int s = 0; s < e.sets; s++) {
        const scale_fit fit = fit_scale(e.x + s * LENGTH, e.w + s * LENGTH, LENGTH, plan,
                                        importance ? plan->matrix_tries : plan->tries);
        f8_store(scale + 8 * s, fit.scale);
        f8_store(bend + 8 * s, fit.bend);
    }
    for (int g = 0; g < GROUPS; g++)
        largest = fabsf(scale[g]) > fabsf(largest) ? scale[g] : largest;
    float d = choose_step(scale, bend, GROUPS, largest, low, plan->span, low, high);
    d = snap(d, u);
    for (int s = 0; s < e.sets; s++)
        multiple[s] = nearest_multiples(f8_load(scale + 8 * s), d, low, high);
    for (int k = 0; k < plan->rounds; k++) {
        f8 qq = f8_set(0), xq = f8_set(0);
        for (int s = 0; s < e.sets; s++) {
            const f8 *xs = e.x + s * LENGTH, *ws = e.w + s * LENGTH;
            best_multiples best = {f8_set(INFINITY), multiple[s], multiple[s]};
            for (int i = 0; i <= 2 * plan->window; i++) {
                const f8 near = f8_clamp(f8_add(multiple[s], neighbour(i)), low, high);
                f8 rest;
                const f8 error = error_at(xs, ws, LENGTH, f8_mul(f8_set(d), near), f8_set(0),
                                          -plan->top, plan->top - 1, &rest);
                keep_better(&best, error, near, near);
            }
            multiple[s] = best.scale;
            const moments m =
                moments_of(xs, ws, LENGTH, f8_set(0), f8_inverse(f8_mul(f8_set(d), best.scale)),
                           -plan->top, plan->top - 1);
            qq = f8_fused(f8_mul(best.scale, best.scale), m.qq, qq);
            xq = f8_fused(best.scale, m.xq, xq);
        }
        if (f8_sum(qq) > 0.0f)
            d = snap(f8_sum(xq) / f8_sum(qq), u);
    }
    for (int s = 0; s < e.sets; s++)
        f8_store(c->multiple + 8 * s, multiple[s]);
    for (int g = 0; g < GROUPS; g++)
        round_group(x + g * LENGTH, LENGTH, u, d * c->multiple[g], 0, -plan->top, plan->top - 1,
                    c->q + g * LENGTH);
    c->d = d * u.down;
}

/* --- packing -------------------------------------------------------------------------------------- */

static inline void pack_q2_K(const coded *c, uint8_t *b)
{
    for (int g = 0; g < 16; g++)
        b[g] = (uint8_t)((int)c->multiple[g] | (int)c->min_multiple[g] << 4);
    pack_pairs(c->q, b + 16);
    store_half(b + 80, c->d);
    store_half(b + 82, c->dmin);
}

static inline void pack_q3_K(const coded *c, uint8_t *b)
{
    for (int j = 0; j < 32; j++) {
        int high = 0;
        for (int i = 0; i < 8; i++)
            high |= (c->q[32 * i + j] >> 2) << i;
        b[j] = (uint8_t)high;
    }
    pack_pairs(c->q, b + 32);
    memset(b + 96, 0, 12);
    for (int g = 0; g < 16; g++) {
        const int v = (int)c->multiple[g] + 32;
        b[96 + g % 8] = (uint8_t)(b[96 + g % 8] | (v & 15) << g / 8 * 4);
        b[104 + g % 4] = (uint8_t)(b[104 + g % 4] | v >> 4 << g / 4 * 2);
    }
    store_half(b + 108, c->d);
}

static inline void pack_scales_mins(const coded *c, uint8_t *packed)
{
    for (int g = 0; g < 4; g++) {
        const int scale = (int)c->multiple[g], scale4 = (int)c->multiple[g + 4];
        const int min = (int)c->min_multiple[g], min4 = (int)c->min_multiple[g + 4];
        packed[g] = (uint8_t)(scale | scale4 >> 4 << 6);
        packed[g + 4] = (uint8_t)(min | min4 >> 4 << 6);
        packed[g + 8] = (uint8_t)((scale4 & 15) | (min4 & 15) << 4);
    }
}

static inline void pack_low_nibbles(const uint8_t *q, uint8_t *packed)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 32; j++)
            packed[32 * i + j] = (uint8_t)((q[64 * i + j] & 15) | (q[64 * i + 32 + j] & 15) << 4);
}

static inline void pack_q4_K(const coded *c, uint8_t *b)
{
    store_half(b, c->d);
    store_half(b + 2, c->dmin);
    pack_scales_mins(c, b + 4);
    pack_low_nibbles(c->q, b + 16);
}

static inline void pack_q5_K(const coded *c, uint8_t *b)
{
    store_half(b, c->d);
    store_half(b + 2, c->dmin);
    pack_scales_mins(c, b + 4);
    for (int j = 0; j < 32; j++) {
        int high = 0;
        for (int i = 0; i < 8; i++)
            high |= (c->q[32 * i + j] >> 4) << i;
        b[16 + j] = (uint8_t)high;
    }
    pack_low_nibbles(c->q, b + 48);
}

static inline void pack_q6_K(const coded *c, uint8_t *b)
{
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *q = c->q + 128 * h + j;
            b[64 * h + j] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
            b[64 * h + 32 + j] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
            b[128 + 32 * h + j] =
                (uint8_t)(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
        }
    for (int g = 0; g < 16; g++)
        b[192 + g] = (uint8_t)(int)c->multiple[g];
    store_half(b + 208, c->d);
}

#define K_ENCODER(name, bytes, zero, code)                                                         \
    static void encode_##name(const float *src, int64_t n, const float *importance,                \
                              const void *tables, void *dst)                                       \
    {                                                                                              \
        ADZE_UNUSED(tables);                                                                       \
        const search_plan *plan = &name##_plan;                                                    \
        uint8_t *to = dst;                                                                         \
        for (int64_t i = 0; i < n; i += 256, to += (bytes)) {                                      \
            const float *x = src + i, *weights = importance ? importance + i : NULL;               \
            const float size = size_of_block(x);                                                   \
            coded c;                                                                               \
            if (size < NEXT_TO_NOTHING) {                                                          \
                memset(&c, 0, sizeof c);                                                           \
                memset(c.q, zero, sizeof c.q);                                                     \
            } else {                                                                               \
                code;                                                                              \
            }                                                                                      \
            pack_##name(&c, to);                                                                   \
        }                                                                                          \
    }

K_ENCODER(q2_K, 84, 0, code_with_offsets(x, weights, plan, 16, unit_of(size), &c))
K_ENCODER(q3_K, 110, 4, code_without_offsets(x, weights, plan, unit_of(size), &c))
K_ENCODER(q4_K, 144, 0, code_with_offsets(x, weights, plan, 32, unit_of(size), &c))
K_ENCODER(q5_K, 176, 0, code_with_offsets(x, weights, plan, 32, unit_of(size), &c))
K_ENCODER(q6_K, 210, 32, code_without_offsets(x, weights, plan, unit_of(size), &c))

#endif
