/* Encoding of the formats that take points of a grid, all in one way: for each group of elements the
 * scale at which the grid says it best is searched; then the scale of the super-block of which the
 * groups' multiples come nearest to those; then each group is searched again at the multiples that it
 * can really have. Included by blocks_iq.c and x86/blocks_iq_avx2.c. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_ENCODE_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_ENCODE_IMPL_H
#include <float.h>
#include "kernels/blocks_iq_search_impl.h"
#include "kernels/blocks_iq_weights_impl.h"

typedef enum iq_signs {
    SIGNS_IN_GRID,
    SIGNS_FREE,
    SIGNS_EVEN /* the number of negative ones of each eight is even */
} iq_signs;

typedef enum iq_shifts {
    SHIFT_NONE,
    SHIFT_OF_GROUP, /* the levels have two places: one for all of a group, ... */
    SHIFT_OF_EIGHT  /* ... or one for each eight elements */
} iq_shifts;

/* An element is d * (2 * scale + 1) * level. */
typedef struct iq_shape {
    iq_grid grid;
    float level[2][8]; /* of each number, by shift; of 2 bits twice */
    int group;         /* elements with one scale */
    int scales;
    iq_signs signs;
    iq_shifts shifts;
    float spread; /* of the weights */
    float from, to;
    int tries; /* scales that are tried for a group, see best_scale */
} iq_shape;

enum { SUPER = 256, GROUPS = 16, EIGHTS = 32, SHIFTED = 1 << 24, D_TRIES = 16 };

typedef struct iq_work {
    float x[SUPER], w[SUPER];
    float unit;              /* x is the source divided by it */
    float best[2][GROUPS];   /* by shift: the scale that a group would like, ... */
    float gain[2][GROUPS];   /* ... how much less than zeros it then costs, ... */
    float weight[2][GROUPS]; /* ... and what the square of a deviation from it costs */
    uint32_t code[EIGHTS];   /* point or points | SHIFTED */
    uint8_t signs[EIGHTS];
    uint8_t scale[GROUPS];
    uint16_t d; /* float16 */
} iq_work;

/* Leaves magnitudes in x; but where signs must be even and are not, the element for which it matters
 * least becomes a negative magnitude. */
static inline void take_signs(const iq_shape *shape, iq_work *work)
{
    for (int e = 0; e < EIGHTS; e++) {
        float *x = work->x + 8 * e;
        const lanes values = lanes_load(x), size = lanes_abs(values);
        unsigned signs = lanes_above(lanes_set(0.0f), values);
        lanes_store(x, size);
        if (shape->signs == SIGNS_EVEN && even_signs(signs) != signs) {
            float matters[8];
            lanes_store(matters, lanes_mul(size, lanes_load(work->w + 8 * e)));
            int least = 0;
            for (int i = 1; i < 8; i++)
                least = matters[i] < matters[least] ? i : least;
            x[least] = -x[least];
            signs ^= 1u << least;
        }
        work->signs[e] = (uint8_t)signs;
    }
}

INLINE iq_fit fit_eight(const iq_shape *shape, const iq_tables *tables, const float *level,
                        const float *x, const float *w, float s, uint32_t *code, lanes *xq,
                        lanes *qq)
{
    lanes q;
    if (shape->grid.bits == 2) {
        *code = nearest_point(&shape->grid, tables, level, x, w, s);
        q = lanes_pick(level, *code, 2);
    } else {
        *code = nearest_points(tables, level, x, w, s);
        q = lanes_pick(level, *code, 3);
    }
    const lanes wq = lanes_mul(lanes_load(w), q);
    *xq = lanes_mul(wq, lanes_load(x));
    *qq = lanes_mul(wq, q);
    if (shape->shifts != SHIFT_OF_EIGHT)
        return (iq_fit){0, 0};
    return (iq_fit){lanes_sum(*xq), lanes_sum(*qq)};
}

/* The points of a group at scale s. */
INLINE iq_fit fit_group(const iq_shape *shape, const iq_tables *tables, const iq_work *work, int g,
                        int shift, float s, uint32_t *code)
{
    lanes sum_xq = lanes_set(0.0f), sum_qq = sum_xq;
    for (int e = 0; e < shape->group / 8; e++) {
        const float *x = work->x + g * shape->group + 8 * e;
        const float *w = work->w + g * shape->group + 8 * e;
        lanes xq, qq;
        iq_fit fit = fit_eight(shape, tables, shape->level[shift], x, w, s, &code[e], &xq, &qq);
        code[e] |= shift ? SHIFTED : 0;
        if (shape->shifts == SHIFT_OF_EIGHT) {
            lanes other_xq, other_qq;
            uint32_t other;
            iq_fit shifted =
                fit_eight(shape, tables, shape->level[1], x, w, s, &other, &other_xq, &other_qq);
            if (fit_cost(shifted, s) < fit_cost(fit, s)) {
                code[e] = other | SHIFTED;
                xq = other_xq;
                qq = other_qq;
            }
        }
        sum_xq = lanes_add(sum_xq, xq);
        sum_qq = lanes_add(sum_qq, qq);
    }
    return (iq_fit){lanes_sum(sum_xq), lanes_sum(sum_qq)};
}

/* Tries scales at which the largest element of the group is so many times the highest level; where the
 * grid has the signs: so many times the root mean square. */
ONE_COPY void best_scale(const iq_shape *shape, const iq_tables *tables, iq_work *work, int g,
                         int shift)
{
    lanes top = lanes_set(0.0f), sum = top;
    for (int i = 0; i < shape->group; i += 8) {
        const lanes x = lanes_load(work->x + g * shape->group + i);
        top = lanes_max(top, lanes_abs(x));
        sum = lanes_add(sum, lanes_mul(x, x));
    }
    work->best[shift][g] = work->gain[shift][g] = work->weight[shift][g] = 0.0f;
    const float largest = lanes_largest(top);
    if (largest < 0x1p-40f)
        return;
    const float highest = shape->level[0][shape->grid.bits == 2 ? 2 : 7];
    const float mean = sqrtf(lanes_sum(sum) / (float)shape->group);
    for (int k = 0; k < shape->tries; k++) {
        const float times =
            shape->from + (shape->to - shape->from) * (float)k / (float)(shape->tries - 1);
        const float s = shape->signs == SIGNS_IN_GRID ? mean * times : largest / (highest * times);
        uint32_t code[4];
        const iq_fit fit = fit_group(shape, tables, work, g, shift, s, code);
        if (fit.xq > 0.0f && fit.xq / fit.qq * fit.xq > work->gain[shift][g]) {
            work->best[shift][g] = fit.xq / fit.qq;
            work->gain[shift][g] = fit.xq / fit.qq * fit.xq;
            work->weight[shift][g] = fit.qq;
        }
    }
}

static inline float nearest_multiple(const iq_shape *shape, float wanted, float d)
{
    float l = (wanted / d - 1.0f) * 0.5f;
    l = l < (float)(shape->scales - 1) ? l : (float)(shape->scales - 1);
    return l > 0.0f ? floorf(l + 0.5f) : 0.0f;
}

/* The d of which multiples come nearest to the scales that the groups would like; 0: nothing does. */
static inline float choose_d(const iq_shape *shape, const iq_work *work)
{
    const float *wanted[GROUPS], *weight[GROUPS];
    float most = 0.0f;
    const int groups = SUPER / shape->group;
    for (int g = 0; g < groups; g++) {
        const int shift =
            shape->shifts == SHIFT_OF_GROUP && work->gain[1][g] > work->gain[0][g] ? 1 : 0;
        wanted[g] = &work->best[shift][g];
        weight[g] = &work->weight[shift][g];
        most = *wanted[g] > most ? *wanted[g] : most;
    }
    float best = 0.0f, least = FLT_MAX;
    for (int k = 0; k < D_TRIES; k++) {
        const float times = 0.8f + 0.02f * (float)k;
        const float d = round_scale(work->unit, most * times / (float)(2 * shape->scales - 1));
        if (!(d > 0.0f))
            continue;
        float cost = 0.0f;
        for (int g = 0; g < groups; g++) {
            const float l = nearest_multiple(shape, *wanted[g], d);
            const float off = d * (2.0f * l + 1.0f) - *wanted[g];
            cost += *weight[g] * off * off;
        }
        if (cost < least) {
            least = cost;
            best = d;
        }
    }
    return best;
}

/* The points of each group at the multiple of d that suits it best. Gives what all of them are worth as
 * multiples of d. */
ONE_COPY iq_fit settle_groups(const iq_shape *shape, const iq_tables *tables, iq_work *work,
                              float d)
{
    iq_fit all = {0, 0};
    const int eights = shape->group / 8;
    for (int g = 0; g < SUPER / shape->group; g++) {
        float least = FLT_MAX;
        iq_fit best = {0, 0};
        for (int shift = 0; shift < (shape->shifts == SHIFT_OF_GROUP ? 2 : 1); shift++) {
            const int middle = (int)nearest_multiple(shape, work->best[shift][g], d);
            const int first = middle > 0 ? middle - 1 : 0;
            const int last = middle < shape->scales - 1 ? middle + 1 : middle;
            for (int l = first; l <= last; l++) {
                uint32_t code[4];
                const float times = (float)(2 * l + 1);
                const iq_fit fit = fit_group(shape, tables, work, g, shift, d * times, code);
                const float cost = fit_cost(fit, d * times);
                if (cost < least) {
                    least = cost;
                    best = (iq_fit){fit.xq * times, fit.qq * times * times};
                    memcpy(work->code + eights * g, code, (size_t)eights * sizeof *code);
                    work->scale[g] = (uint8_t)l;
                }
            }
        }
        all.xq += best.xq;
        all.qq += best.qq;
    }
    return all;
}

/* false: zeros say it best. */
ONE_COPY bool encode_super(const iq_shape *shape, const iq_tables *tables, const float *source,
                           const float *importance, iq_work *work)
{
    work->unit = load_values(source, SUPER, work->x);
    if (work->unit == 0.0f)
        return false;
    load_weights(work->x, SUPER, shape->spread, importance, work->w);
    if (shape->signs != SIGNS_IN_GRID)
        take_signs(shape, work);
    for (int g = 0; g < SUPER / shape->group; g++)
        for (int shift = 0; shift < (shape->shifts == SHIFT_OF_GROUP ? 2 : 1); shift++)
            best_scale(shape, tables, work, g, shift);
    float d = choose_d(shape, work);
    if (!(d > 0.0f))
        return false;
    const iq_fit all = settle_groups(shape, tables, work, d);
    if (all.qq > 0.0f) {
        const float better = round_scale(work->unit, all.xq / all.qq);
        if (fit_cost(all, better) < fit_cost(all, d))
            d = better;
    }
    store_half(&work->d, d * work->unit);
    return d > 0.0f && fit_cost(all, d) < 0.0f;
}

/* The number of a point in its grid. */
static inline unsigned point_number(const iq_grid *grid, const iq_tables *tables, uint32_t point)
{
    unsigned combination = point;
    if (grid->bits == 2) {
        combination = 0;
        for (int i = 7; i >= 0; i--)
            combination = combination * 3 + (point >> 2 * i & 3);
    }
    return tables->place[combination] & ~(unsigned)ON_GRID;
}

#endif
